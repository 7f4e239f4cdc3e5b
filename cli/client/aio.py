"""The client for asyncio: the same methods as the blocking one, as coroutines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from packhorse.client import calls
from packhorse.client.connect import OPTIONS, PAUSES_S, RETRIED, Credentials, failed
from packhorse.client.convert import JobRef, SchedulerStub, event_of, infos_of, results_of
from packhorse.client.request import JobRequest
from packhorse.client.results import JobEvent, JobInfo, JobResult, NotFinished


class AsyncClient:
    """A connection to one scheduler, for one event loop. See Client for the arguments."""

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        home: str | Path | None = None,
        root_ca: str | Path | None = None,
    ) -> None:
        self._credentials = Credentials(server=server, token=token, home=home, root_ca=root_ca)
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close(None)

    # -- submitting

    async def submit(self, request: JobRequest | str | Sequence[str], **fields: Any) -> AsyncJob:
        """Queue one job or array; durable when this returns. See Client.submit."""
        if not isinstance(request, JobRequest):
            request = JobRequest(command=request, **fields)
        answer = await self._call("SubmitJob", calls.submission(request))
        return AsyncJob(self, answer.job_id)

    async def submit_many(self, requests: Sequence[JobRequest]) -> list[AsyncJob]:
        """Queue many jobs in one call and one commit: all of them or none."""
        answer = await self._call("SubmitJobs", calls.batch(requests))
        return [AsyncJob(self, answer.first_job_id + i) for i in range(answer.count)]

    async def submit_sweep(self, request: JobRequest, args: Iterable[Sequence[str]]) -> list[AsyncJob]:
        """Queue one job per list of arguments, all else equal, in one call and one commit."""
        answer = await self._call("SubmitJobs", calls.sweep(request, args))
        return [AsyncJob(self, answer.first_job_id + i) for i in range(answer.count)]

    # -- jobs that exist

    def job(self, job: JobRef) -> AsyncJob:
        """A handle on a job by its number; nothing is asked of the scheduler."""
        return AsyncJob(self, job)

    async def jobs(
        self,
        *jobs: JobRef,
        users: Sequence[str] = (),
        states: Sequence[str] = (),
        ended: bool = False,
    ) -> list[JobInfo]:
        """The queue, or these jobs of it. ended: those that ended a short while ago too."""
        call = calls.listing(jobs, users=users, states=states, ended=ended)
        return infos_of(await self._call("ListJobs", call))

    async def cancel(self, *jobs: JobRef, signal: int = 0) -> None:
        """End jobs, or only send them a signal."""
        calls.check_outcomes(await self._call("CancelJobs", calls.cancellation(jobs, signal)))

    async def hold(self, *jobs: JobRef) -> None:
        calls.check_outcomes(await self._call("HoldJobs", calls.holding(jobs)))

    async def release(self, *jobs: JobRef) -> None:
        calls.check_outcomes(await self._call("ReleaseJobs", calls.releasing(jobs)))

    async def wait(
        self, *jobs: JobRef, timeout_s: float | None = None, progress: bool = False
    ) -> tuple[JobResult, ...]:
        """How the jobs ended, when all have. Raises NotFinished after timeout_s."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s
        while True:
            hold_s = calls.FIRST_LOOK_S if progress else calls.HOLD_S
            if deadline is not None:
                hold_s = min(hold_s, max(0.001, deadline - loop.time()))
            answer = await self._call("WaitJobs", calls.waiting(jobs, hold_s))
            results = results_of(answer)
            if progress:
                end = "\n" if answer.all_ended else ""
                print(f"\r{calls.progress_line(results)}", end=end, file=sys.stderr, flush=True)
            if answer.all_ended:
                return results
            if deadline is not None and timeout_s is not None and loop.time() >= deadline:
                raise NotFinished(results, timeout_s)

    async def watch(self, *jobs: JobRef, after_seq: int = 0) -> AsyncIterator[JobEvent]:
        """Events as they become durable, of these jobs or of all; from now on, or from after_seq.

        Goes on where it was when the scheduler was restarted.
        """
        seen = after_seq
        pauses = iter(PAUSES_S)
        while True:
            metadata = await self._metadata()
            call = self._open().WatchEvents(calls.watching(jobs, seen), metadata=metadata)
            try:
                async for event in call:
                    pauses = iter(PAUSES_S)
                    seen = event.seq
                    yield event_of(event)
                return
            except grpc.aio.AioRpcError as error:
                pause = next(pauses, None)
                if error.code() not in RETRIED or pause is None:
                    raise failed(error) from None
                await self.close()
                await asyncio.sleep(pause)
            finally:
                call.cancel()

    # -- below

    def _open(self) -> Any:
        if self._channel is None:
            server = self._credentials.server()
            if server.root_ca is None:
                self._channel = grpc.aio.insecure_channel(server.address, options=OPTIONS)
            else:
                credentials = grpc.ssl_channel_credentials(server.root_ca)
                self._channel = grpc.aio.secure_channel(server.address, credentials, options=OPTIONS)
            self._stub = SchedulerStub(self._channel)
        return self._stub

    async def _metadata(self) -> tuple[tuple[str, str], ...]:
        if self._credentials.fresh:
            return self._credentials.metadata()
        # A token comes through a socket, which must not hold up the loop.
        return await asyncio.to_thread(self._credentials.metadata)

    async def _call(self, method: str, request: Any) -> Any:
        """One unary call, repeated while the scheduler is away for a moment: changes carry a key."""
        pauses = iter(PAUSES_S)
        while True:
            metadata = await self._metadata()
            call: Callable[..., Any] = getattr(self._open(), method)
            try:
                return await call(request, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                pause = next(pauses, None)
                if error.code() not in RETRIED or pause is None:
                    raise failed(error) from None
                await self.close()  # a restarted scheduler may listen on another port
                await asyncio.sleep(pause)


class AsyncJob:
    """A handle on a job, an array, or an array task."""

    def __init__(self, client: AsyncClient, ref: JobRef) -> None:
        self._client = client
        self.ref = ref

    def __repr__(self) -> str:
        return f"AsyncJob({self.ref!r})"

    @property
    def id(self) -> int:
        """Its number; of an array task, the array's."""
        return int(str(self.ref).partition("_")[0])

    async def info(self) -> JobInfo | None:
        """Its row of the queue, None once it is forgotten there (accounting keeps it)."""
        rows = await self._client.jobs(self.ref, ended=True)
        return rows[0] if rows else None

    async def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> JobResult:
        """How it ended, when it has. Raises NotFinished after timeout_s."""
        return (await self._client.wait(self.ref, timeout_s=timeout_s, progress=progress))[0]

    async def cancel(self, signal: int = 0) -> None:
        await self._client.cancel(self.ref, signal=signal)

    async def hold(self) -> None:
        await self._client.hold(self.ref)

    async def release(self) -> None:
        await self._client.release(self.ref)

    def watch(self) -> AsyncIterator[JobEvent]:
        """Its events from now on."""
        return self._client.watch(self.ref)

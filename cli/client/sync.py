"""The blocking client."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from packhorse.client import calls
from packhorse.client.connect import OPTIONS, PAUSES_S, RETRIED, Credentials, failed
from packhorse.client.convert import JobRef, SchedulerStub, event_of, infos_of, results_of
from packhorse.client.request import JobRequest
from packhorse.client.results import JobEvent, JobInfo, JobResult, NotFinished

Answer = TypeVar("Answer")


class Client:
    """A connection to one scheduler; may be shared by threads. Also a context manager.

    Without arguments: the cluster of PACKHORSE_HOME here. server: HOST:PORT of one elsewhere, with its token.
    """

    def __init__(
        self,
        server: str | None = None,
        *,
        token: str | None = None,
        home: str | Path | None = None,
        root_ca: str | Path | None = None,
    ) -> None:
        self._credentials = Credentials(server=server, token=token, home=home, root_ca=root_ca)
        self._channel: grpc.Channel | None = None
        self._stub: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    # -- submitting

    def submit(self, request: JobRequest | str | Sequence[str], **fields: Any) -> Job:
        """Queue one job or array; durable when this returns. fields: of JobRequest, for a bare command.

        Raises ValueError for what cannot be understood, CallFailed for what is refused.
        """
        if not isinstance(request, JobRequest):
            request = JobRequest(command=request, **fields)
        answer = self._call("SubmitJob", calls.submission(request))
        return Job(self, answer.job_id)

    def submit_many(self, requests: Sequence[JobRequest]) -> list[Job]:
        """Queue many jobs in one call and one commit: all of them or none."""
        answer = self._call("SubmitJobs", calls.batch(requests))
        return [Job(self, answer.first_job_id + i) for i in range(answer.count)]

    def submit_sweep(self, request: JobRequest, args: Iterable[Sequence[str]]) -> list[Job]:
        """Queue one job per list of arguments, all else equal, in one call and one commit."""
        answer = self._call("SubmitJobs", calls.sweep(request, args))
        return [Job(self, answer.first_job_id + i) for i in range(answer.count)]

    # -- jobs that exist

    def job(self, job: JobRef) -> Job:
        """A handle on a job by its number; nothing is asked of the scheduler."""
        return Job(self, job)

    def jobs(
        self,
        *jobs: JobRef,
        users: Sequence[str] = (),
        states: Sequence[str] = (),
        ended: bool = False,
    ) -> list[JobInfo]:
        """The queue, or these jobs of it. ended: those that ended a short while ago too."""
        return infos_of(self._call("ListJobs", calls.listing(jobs, users=users, states=states, ended=ended)))

    def cancel(self, *jobs: JobRef, signal: int = 0) -> None:
        """End jobs, or only send them a signal."""
        calls.check_outcomes(self._call("CancelJobs", calls.cancellation(jobs, signal)))

    def hold(self, *jobs: JobRef) -> None:
        calls.check_outcomes(self._call("HoldJobs", calls.holding(jobs)))

    def release(self, *jobs: JobRef) -> None:
        calls.check_outcomes(self._call("ReleaseJobs", calls.releasing(jobs)))

    def wait(
        self, *jobs: JobRef, timeout_s: float | None = None, progress: bool = False
    ) -> tuple[JobResult, ...]:
        """How the jobs ended, when all have. Raises NotFinished after timeout_s."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            hold_s = calls.FIRST_LOOK_S if progress else calls.HOLD_S
            if deadline is not None:
                hold_s = min(hold_s, max(0.001, deadline - time.monotonic()))
            answer = self._call("WaitJobs", calls.waiting(jobs, hold_s))
            results = results_of(answer)
            if progress:
                end = "\n" if answer.all_ended else ""
                print(f"\r{calls.progress_line(results)}", end=end, file=sys.stderr, flush=True)
            if answer.all_ended:
                return results
            if deadline is not None and timeout_s is not None and time.monotonic() >= deadline:
                raise NotFinished(results, timeout_s)

    def watch(self, *jobs: JobRef, after_seq: int = 0) -> Iterator[JobEvent]:
        """Events as they become durable, of these jobs or of all; from now on, or from after_seq.

        Goes on where it was when the scheduler was restarted.
        """
        seen = after_seq
        pauses = iter(PAUSES_S)
        while True:
            call = self._open().WatchEvents(calls.watching(jobs, seen), metadata=self._credentials.metadata())
            try:
                for event in call:
                    pauses = iter(PAUSES_S)
                    seen = event.seq
                    yield event_of(event)
                return
            except grpc.RpcError as error:
                pause = next(pauses, None)
                if error.code() not in RETRIED or pause is None:
                    raise failed(error) from None
                self.close()
                time.sleep(pause)
            finally:
                call.cancel()

    # -- below

    def _open(self) -> Any:
        if self._channel is None:
            server = self._credentials.server()
            if server.root_ca is None:
                self._channel = grpc.insecure_channel(server.address, options=OPTIONS)
            else:
                credentials = grpc.ssl_channel_credentials(server.root_ca)
                self._channel = grpc.secure_channel(server.address, credentials, options=OPTIONS)
            self._stub = SchedulerStub(self._channel)
        return self._stub

    def _call(self, method: str, request: Any) -> Any:
        """One unary call, repeated while the scheduler is away for a moment: changes carry a key."""
        pauses = iter(PAUSES_S)
        while True:
            call: Callable[..., Any] = getattr(self._open(), method)
            try:
                return call(request, metadata=self._credentials.metadata())
            except grpc.RpcError as error:
                pause = next(pauses, None)
                if error.code() not in RETRIED or pause is None:
                    raise failed(error) from None
                self.close()  # a restarted scheduler may listen on another port
                time.sleep(pause)


class Job:
    """A handle on a job, an array, or an array task."""

    def __init__(self, client: Client, ref: JobRef) -> None:
        self._client = client
        self.ref = ref

    def __repr__(self) -> str:
        return f"Job({self.ref!r})"

    @property
    def id(self) -> int:
        """Its number; of an array task, the array's."""
        return int(str(self.ref).partition("_")[0])

    def info(self) -> JobInfo | None:
        """Its row of the queue, None once it is forgotten there (accounting keeps it)."""
        rows = self._client.jobs(self.ref, ended=True)
        return rows[0] if rows else None

    def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> JobResult:
        """How it ended, when it has. Raises NotFinished after timeout_s."""
        return self._client.wait(self.ref, timeout_s=timeout_s, progress=progress)[0]

    def cancel(self, signal: int = 0) -> None:
        self._client.cancel(self.ref, signal=signal)

    def hold(self) -> None:
        self._client.hold(self.ref)

    def release(self) -> None:
        self._client.release(self.ref)

    def watch(self) -> Iterator[JobEvent]:
        """Its events from now on."""
        return self._client.watch(self.ref)

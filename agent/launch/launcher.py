"""The agent's side of launching: start attempts, find them again, wait for their end, give them orders.

    launcher = Launcher(spool, cgroups)
    await launcher.start()
    supervised = await launcher.launch(spec)
    record = await launcher.wait(supervised)

The agent journals an attempt before `launch` and, after a restart, calls `adopt` for each attempt directory
it finds.
Crash points: before_request (journalled, nothing asked for), request_sent (asked for, no answer read).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGTERM

import msgspec
import structlog

from packhorse.agent.cgroups import Cgroups
from packhorse.agent.launch import attemptdir, cgroup, contact, control, jobtree, processes, wire
from packhorse.agent.launch.control import ControlReply, OrderedCause, Scope
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.spec import AttemptOver, ForkAnswer, ForkRequest, Group, LaunchSpec
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.errors import PackhorseError

BEFORE_REQUEST = register("launcher.before_request", "attempt journalled, the fork server not yet asked")
REQUEST_SENT = register("launcher.request_sent", "the fork server asked, its answer not yet read")

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REPLY_S = 5.0
"""A supervisor answers within a millisecond; one that is stopped or starved gets this long."""

KILL_ORPHANS_S = 10.0

CLOSE_S = 5.0
"""A fork server goes within milliseconds when it is hung up on."""

_decode_answer = msgspec.msgpack.Decoder(ForkAnswer | AttemptOver).decode


class LaunchError(PackhorseError):
    """The attempt was not started, and never will be in its directory. The message is one line for the
    user.
    """


class Interrupted(LaunchError):
    """The fork server died over it, or could not fork or use the directory: the node's fault, not the job's.
    Nothing ran, and nothing will in this directory; another may be used.
    """


class NotRunning(PackhorseError):
    """An order came too late: no supervisor listens any more."""


class Supervised(msgspec.Struct, frozen=True):
    """A running attempt. (boot_id, pid, start_time) is its supervisor, whatever the number is used for later.

    started_at: wall clock, microseconds. cpus: the processors it is bound to; cpu_milli: what it has of them.
    suspended: it was when this was made.
    """

    key: str
    attempt_dir: str
    pid: int
    start_time: int
    boot_id: str
    started_at: int
    token: str
    groups: tuple[Group, ...]
    cpus: tuple[int, ...] = ()
    cpu_milli: int = 0
    suspended: bool = False


class NeverStarted(msgspec.Struct, frozen=True):
    """Nothing of the attempt ever ran, and nothing will: its directory is fenced."""

    key: str


class AttemptUse(msgspec.Struct, frozen=True):
    """What a running attempt holds and has used so far, of the processes that are alive now."""

    processes: int = 0
    mem_kib: int = 0
    user_us: int = 0
    system_us: int = 0


class Launcher:
    """One per agent; to be used from one event loop.

    spool: the agent's directory; the fork server's log is kept there. cgroups: see Cgroups.detect; None:
    none.
    """

    def __init__(self, spool: str | Path, cgroups: Cgroups | None = None) -> None:
        self.cgroups = cgroups or Cgroups("none", {}, {"cgroup": "switched off"})
        self._spool = Path(spool)
        self._server: _ForkServer | None = None
        self._starting = asyncio.Lock()
        self._mark = secrets.token_hex(8)
        self._n_launched = 0
        self._ends: dict[str, _End] = {}  # by token: attempts that this agent started, until waited for

    async def start(self) -> None:
        """Starts the fork server (about 60 ms), so that the first launch need not."""
        await self._fork_server()

    async def close(self) -> None:
        """Ends the fork server. Running attempts run on."""
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    @property
    def fork_server_pid(self) -> int:
        """0 while there is none."""
        return self._server.pid if self._server is not None else 0

    async def launch(self, spec: LaunchSpec) -> Supervised:
        """Starts an attempt in its (existing, unused) directory; returns when its supervisor exists.

        Raises LaunchError, or Interrupted where trying again may help, if that failed; then nothing ran. What
        fails later (a missing interpreter, an output file that cannot be opened) comes with the exit record.
        """
        _check(spec)
        self._n_launched += 1
        token = f"{spec.key}-{self._mark}-{self._n_launched}"
        groups = self.cgroups.groups(spec.key, spec.limits, spec.cpus)
        crash_point(BEFORE_REQUEST)
        try:
            server = self._server
            if server is None or server.closed:
                server = await self._fork_server()
            answer, end = await server.ask(spec, token, groups)
        except (ConnectionError, OSError) as error:
            # The fork server died with the request in its hands: only the directory knows how far it came.
            found = await self.adopt(spec.attempt_dir, spec.key)
            if isinstance(found, Supervised):
                return found
            if isinstance(found, ExitRecord):
                return self._ended(spec, token, groups, found)
            raise Interrupted(f"cannot launch: the fork server failed: {error}") from None
        if answer.error:
            raise Interrupted(f"cannot launch: {answer.error}")
        self._ends[token] = end
        return Supervised(
            key=spec.key,
            attempt_dir=spec.attempt_dir,
            pid=answer.pid,
            start_time=answer.start_time,
            boot_id=processes.boot_id(),
            started_at=answer.started_at,
            token=token,
            groups=groups,
            cpus=spec.cpus,
            cpu_milli=spec.limits.cpu_milli,
        )

    async def adopt(self, attempt_dir: str | Path, key: str = "") -> Supervised | ExitRecord | NeverStarted:
        """What became of the attempt in `attempt_dir`; key: its name, if the directory does not know it.

        A supervisor that vanished without a record has its job killed first, then its end is recorded as
        "lost". Raises OSError if the directory cannot be read or written.
        """
        return await asyncio.to_thread(_look, str(attempt_dir), key)

    async def wait(self, supervised: Supervised) -> ExitRecord:
        """Returns when the attempt is over and nothing of it is left. Cancelling it leaves the attempt
        alone.
        """
        end = self._ends.get(supervised.token)
        if end is not None:
            text = await end.wait()
            self._ends.pop(supervised.token, None)
            if text:  # then nothing is left of it; its supervisor may live on, with another attempt
                return attemptdir.decode_exit(text)
        await _gone(supervised.pid, supervised.start_time)
        record = _exit_of(supervised.attempt_dir)
        if record is None:
            found = await self.adopt(supervised.attempt_dir, supervised.key)
            if isinstance(found, Supervised):  # an earlier supervisor of the same directory; not by our doing
                return await self.wait(found)
            record = found if isinstance(found, ExitRecord) else _never_ran(supervised)
        for group in supervised.groups:
            cgroup.remove(group, tries=1)
        return record

    async def signal(self, supervised: Supervised, number: int, scope: Scope = "steps") -> int:
        """Sends a signal to part of the job; how many processes it reached. Raises NotRunning."""
        return (await self.send(supervised, control.Signal(number, scope))).reached

    async def terminate(
        self,
        supervised: Supervised,
        grace_s: float,
        *,
        number: int = SIGTERM,
        cause: OrderedCause = "terminated",
        detail: str = "",
        notice: str = "",
    ) -> None:
        """Ends the job: `number` to all of it, KILL after the grace. See control.Terminate. Raises
        NotRunning.
        """
        await self.send(supervised, control.Terminate(grace_s, int(number), cause, detail, notice))

    async def set_limit(self, supervised: Supervised, seconds: int) -> None:
        """The time limit that the supervisor enforces as a backstop is now `seconds` from the start; 0:
        none.
        """
        await self.send(supervised, control.SetLimit(seconds))

    async def send(
        self,
        supervised: Supervised,
        order: control.Order,
        connection: socket.socket | None = None,
        *,
        within_s: float = 0,
    ) -> ControlReply:
        """Gives an order and waits for the answer. Raises NotRunning, or LaunchError for an order it cannot
        obey, or TimeoutError. connection: of a client, for Attach. within_s 0: REPLY_S.
        """
        gone = NotRunning(f"attempt {supervised.key} runs no more")
        try:
            back = control.send(supervised.attempt_dir, order, connection)
        except (FileNotFoundError, ConnectionError):
            raise gone from None
        with back:
            loop = asyncio.get_running_loop()
            data = await asyncio.wait_for(loop.sock_recv(back, control.MAX_DATAGRAM), within_s or REPLY_S)
        if not data:
            raise gone
        reply = control.decode_reply(data)
        if reply.error:
            raise LaunchError(f"attempt {supervised.key}: {reply.error}")
        return reply

    def use(self, supervised: Supervised) -> AttemptUse:
        """What the attempt uses now. Costs some 30 us for each of its processes."""
        below = processes.descendants(supervised.pid)
        user_us, system_us = processes.cpu_us(below)
        mem_kib = next((cgroup.memory_kib(group) for group in supervised.groups if group.memory), 0)
        return AttemptUse(len(below), mem_kib or processes.memory_kib(below), user_us, system_us)

    @staticmethod
    def discard(attempt_dir: str | Path) -> None:
        """Removes the directory of an attempt that is over and acknowledged."""
        shutil.rmtree(attempt_dir, ignore_errors=True)

    def _ended(
        self, spec: LaunchSpec, token: str, groups: tuple[Group, ...], record: ExitRecord
    ) -> Supervised:
        """A supervisor that has already gone, as `wait` takes it."""
        boot = processes.boot_id()
        return Supervised(spec.key, spec.attempt_dir, 0, 0, boot, record.started_at, token, groups)

    async def _fork_server(self) -> _ForkServer:
        async with self._starting:
            if self._server is None or self._server.closed:
                if self._server is not None:
                    log.warning("forkserver.restarted", died=self._server.pid)
                self._server = await _ForkServer.start(self._spool)
            return self._server


class _ForkServer:
    """The running fork server and the requests it has not yet answered."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = process.pid
        self.closed = False
        self._process = process
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[ForkAnswer]] = {}
        self._running: dict[int, _End] = {}
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, spool: Path) -> _ForkServer:
        near, far = socket.socketpair()
        log_fd = os.open(spool / "forkserver.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            with far:
                process = subprocess.Popen(  # noqa: ASYNC220 (returns after a vfork)
                    [sys.executable, "-P", "-m", "packhorse.agent.launch.forkserver", str(far.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log_fd,
                    stderr=log_fd,
                    pass_fds=(far.fileno(),),
                    start_new_session=True,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                )
        except BaseException:
            near.close()
            raise
        finally:
            os.close(log_fd)
        reader, writer = await asyncio.open_connection(sock=near)
        return cls(process, reader, writer)

    async def ask(self, spec: LaunchSpec, token: str, groups: tuple[Group, ...]) -> tuple[ForkAnswer, _End]:
        """One request, one answer, and what will tell of the attempt's end.

        Raises ConnectionError if the fork server dies before it answers.
        """
        if self.closed:
            raise ConnectionResetError("it is gone")
        self._last_id += 1
        request = ForkRequest(self._last_id, spec, token, groups)
        future: asyncio.Future[ForkAnswer] = asyncio.get_running_loop().create_future()
        end = _End()
        self._waiting[request.id] = future
        self._running[request.id] = end
        self._writer.write(wire.frame(request))
        crash_point(REQUEST_SENT)
        return await future, end

    async def close(self) -> None:
        self._writer.close()
        if not (await asyncio.wait({self._listener}, timeout=CLOSE_S))[0]:
            log.warning("forkserver.killed", pid=self.pid)  # stopped, or starved; it keeps nothing in mind
            self._process.kill()
        await self._listener

    async def _listen(self) -> None:
        frames = wire.Frames()
        try:
            while data := await self._reader.read(1 << 16):
                for body in frames.feed(data):
                    self._heard(_decode_answer(body))
        except (ConnectionError, ValueError) as error:
            log.warning("forkserver.broken", error=str(error))
        finally:
            self.closed = True
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("it ended before it answered"))
            self._waiting.clear()
            for end in self._running.values():
                end.tell(b"")
            self._running.clear()
        await asyncio.to_thread(self._process.wait)

    def _heard(self, answer: ForkAnswer | AttemptOver) -> None:
        if isinstance(answer, AttemptOver):
            if (end := self._running.pop(answer.id, None)) is not None:
                end.tell(answer.record)
            return
        if answer.error:
            self._running.pop(answer.id, None)
        future = self._waiting.pop(answer.id, None)
        if future is not None and not future.done():
            future.set_result(answer)


class _End:
    """The end of an attempt that this fork server started, for one at a time to wait for."""

    __slots__ = ("_record", "_waiter")

    def __init__(self) -> None:
        self._record: bytes | None = None
        self._waiter: asyncio.Future[None] | None = None

    def tell(self, record: bytes) -> None:
        """It is over. record b"": that is for the waiter to find out."""
        self._record = record
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> bytes:
        """The exit record, b"" where nobody but the attempt's directory knows."""
        if self._record is None:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._record or b""


def _check(spec: LaunchSpec) -> None:
    if not spec.key or "/" in spec.key or "\0" in spec.key:
        raise LaunchError(f'cannot launch: "{spec.key}" does not name an attempt')
    if not spec.argv and not (spec.step is not None and all(task.argv for task in spec.step.tasks)):
        raise LaunchError("cannot launch: there is nothing to execute")
    for name in ("attempt_dir", "cwd", "stdin", "stdout", "stderr"):
        path = getattr(spec, name)
        if path and not path.startswith("/"):
            raise LaunchError(f'cannot launch: {name} "{path}" is not absolute')
    if spec.lease_s and not spec.contact_file:
        raise LaunchError("cannot launch: a lease without a contact file")
    if any("\0" in entry for entry in spec.environment):
        raise LaunchError("cannot launch: the environment holds a NUL character")


def _look(directory: str, key: str) -> Supervised | ExitRecord | NeverStarted:
    """`Launcher.adopt` without the event loop."""
    while True:
        if (record := _exit_of(directory)) is not None:
            return record
        try:
            started = attemptdir.read_started(directory)
        except msgspec.DecodeError as error:  # power was cut before it was durable, so before anything ran
            log.warning("started_record.damaged", directory=directory, error=str(error))
            return NeverStarted(key)
        if started is None:
            if attemptdir.fence(directory, key):
                return NeverStarted(key)
            continue
        key = started.key or key
        if started.kind == "never":
            return NeverStarted(key)
        if started.boot_id != processes.boot_id():
            return _lost(directory, key, started, "the machine was restarted while it ran")
        if processes.is_running(started.pid, started.start_time):
            return Supervised(
                key=key,
                attempt_dir=directory,
                pid=started.pid,
                start_time=started.start_time,
                boot_id=started.boot_id,
                started_at=started.started_at,
                token=started.token,
                groups=started.groups,
                cpus=started.cpus,
                cpu_milli=started.cpu_milli,
                suspended=attemptdir.is_suspended(directory),
            )
        if (record := _exit_of(directory)) is not None:  # it ended between the two looks
            return record
        return _lost(directory, key, started, "its supervisor was killed")


def _lost(directory: str, key: str, started: attemptdir.Started, why: str) -> ExitRecord:
    """Kills what is left, then writes the record that the supervisor could not."""
    left = run_us = 0
    if started.boot_id == processes.boot_id():
        run_us = max(0, contact.boot_clock_us() - started.boot_clock_us)
        first = attemptdir.read_first(directory)
        left = jobtree.kill_orphans(started.token, started.groups, first, KILL_ORPHANS_S)
    record = ExitRecord(
        key=key,
        cause="lost",
        detail=why,
        started_at=started.started_at,
        ended_at=time.time_ns() // 1000,
        run_us=run_us,
        unkillable=left,
        boot_id=processes.boot_id(),
    )
    fd = attemptdir.reserve_exit(directory)
    try:
        attemptdir.write_exit(directory, fd, record)
    finally:
        os.close(fd)
    return record


def _exit_of(directory: str) -> ExitRecord | None:
    """The exit record; one that cannot be read is set aside and counts as none."""
    try:
        return attemptdir.read_exit(directory)
    except msgspec.DecodeError as error:
        log.error("exit_record.damaged", directory=directory, error=str(error))
        os.replace(f"{directory}/{attemptdir.EXIT}", f"{directory}/{attemptdir.EXIT}.damaged")
        return None


def _never_ran(supervised: Supervised) -> ExitRecord:
    now = time.time_ns() // 1000
    return ExitRecord(
        key=supervised.key,
        cause="lost",
        detail="its supervisor died before it could start anything",
        started_at=supervised.started_at or now,
        ended_at=now,
        boot_id=supervised.boot_id,
    )


async def _gone(pid: int, started: int) -> None:
    """Returns when the process (pid, started) has ended."""
    try:
        fd = os.pidfd_open(pid) if pid > 0 else -1
    except ProcessLookupError:
        return
    if fd < 0:
        return
    try:
        if not processes.is_running(pid, started):  # already another process, or a zombie
            return
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        loop.add_reader(fd, _finish, over)
        try:
            await over
        finally:
            loop.remove_reader(fd)
    finally:
        os.close(fd)


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)

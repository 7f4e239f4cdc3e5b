"""One process per attempt: starts the job, watches over it, ends it, and leaves the exit record.

It outlives the agent and the fork server: own session, no terminal, SIGHUP ignored, nothing shared with them
but the files of the attempt's directory. It waits without polling: for a child's end, an order at its
socket, or the next instant at which the time limit, the lease, the grace or (without a memory cgroup) the
memory has to be looked at.

An attempt that left nothing behind is followed by another, if the fork server has one soon: a fork, the
pages it copies and an exit cost more than all the rest (measured: 2.3 of 8 ms of processor time per job of
`true`). Then the fork server is told how the attempt ended, instead of the supervisor ending. Without a fork
server, and after anything out of the ordinary, a supervisor ends with its attempt.

Crash points and what a death there leaves:

    before_started    no started record: the agent fences the directory; nothing ran
    after_started     started record, no job: lost
    after_fork        a job that perhaps began: lost, the rest of it is killed by the agent
    child_ended       the first process is over, others may run: lost, killed by the agent
    before_exit       all is over, nothing written: lost
    exit_temporary    (attemptdir.py) as before
    after_exit        the record counts; cgroups are left for the agent to remove
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import ctypes
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import NoReturn

import msgspec

from packhorse.agent.launch import attemptdir, cgroup, contact, control, oomscore, processes, spawn, successor
from packhorse.agent.launch.control import (
    Attach,
    Continue,
    ControlReply,
    SetLimit,
    Signal,
    Suspend,
    Terminate,
)
from packhorse.agent.launch.exitrecord import Cause, ExitRecord, LaunchFailure
from packhorse.agent.launch.jobtree import JobTree
from packhorse.agent.launch.spec import ForkRequest
from packhorse.agent.launch.successor import Beginning
from packhorse.agent.launch.watch import Watch
from packhorse.scheduler.model.crashpoint import crash_point, register

BEFORE_STARTED = register("supervisor.before_started", "forked, no record yet")
AFTER_STARTED = register("supervisor.after_started", "started record durable, job not yet forked")
AFTER_FORK = register("supervisor.after_fork", "job forked, perhaps not yet executed")
CHILD_ENDED = register("supervisor.child_ended", "first process ended, others not yet killed")
BEFORE_EXIT = register("supervisor.before_exit", "nothing of the job left, exit record not written")
AFTER_EXIT = register("supervisor.after_exit", "exit record durable, cgroups not removed")

UNKILLABLE_S = 60
"""Processes that are still there this long after KILL wait for a device or file system: the record says
so.
"""

MOST_ATTEMPTS = 500
"""Of one supervisor: it has no garbage collector."""

LONGEST_SLEEP_MS = 3_600_000
"""poll takes 32 bits of milliseconds, which a limit of a month exceeds."""

STOP_AGAIN_US = 1_000_000
"""Between two looks whether all of a suspended job is stopped, where no cgroup holds it: anybody who may send
it signals can make it go on."""

_US = 1_000_000

# Plain calls: in a freshly forked process signal.signal's enums cost 70 us more, ctypes' errno 120 us.
_libc = ctypes.CDLL(None)
_handle = _signal.signal
_PR_SET_CHILD_SUBREAPER = 36
_ZERO, _ONE = ctypes.c_ulong(0), ctypes.c_ulong(1)


def supervise(
    request: ForkRequest,
    door: socket.socket,
    began: Beginning,
    server: socket.socket,
    kind_of: Callable[[ForkRequest], type[Supervisor]],
) -> NoReturn:
    """Runs one attempt to its end, then those that come over `server`, and exits.

    Called in the freshly forked process. kind_of: what supervises it.
    """
    key, directory = request.spec.key, request.spec.attempt_dir
    status = 70
    try:
        process = Process()
        for _ in range(MOST_ATTEMPTS):
            record = kind_of(request)(request, door, began, process).run()
            door.close()
            if record is None or not successor.tell_end(server, record):
                break
            following = successor.take(server)
            if following is None:
                break
            request, door, began = following
            key, directory = request.spec.key, request.spec.attempt_dir
        status = 0
    except BaseException as error:
        attemptdir.log_trouble(directory, f"supervisor of {key} failed: {error!r}")
    finally:
        os._exit(status)


class Process:
    """What this process is and keeps from one attempt to the next. Raises OSError if it cannot be."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.start_time = processes.start_time(self.pid)
        self.current: Supervisor | None = None
        oomscore.protect()
        if _libc.prctl(_PR_SET_CHILD_SUBREAPER, _ONE, _ZERO, _ZERO, _ZERO) != 0:
            raise OSError("prctl refuses to make a subreaper")
        self.wakeup, wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        _handle(signal.SIGCHLD, _ignore)
        _handle(signal.SIGTERM, self._told_to_go)

    def _told_to_go(self, *_: object) -> None:
        """SIGTERM, as at shutdown: the job gets its grace and the record is written."""
        if self.current is None:
            os._exit(0)
        self.current.told_to_go()


class Supervisor:
    """The state of one supervised job; instants are microseconds since boot."""

    def __init__(self, request: ForkRequest, door: socket.socket, began: Beginning, process: Process) -> None:
        self.process = process
        self.request = request
        self.spec = request.spec
        self.directory = request.spec.attempt_dir
        self.door = door
        self.started_at = began.at
        self.began = began.boot_us
        self.tree = JobTree(request.groups)
        self.status: int | None = None  # wait status of the first process, once it ended
        self.failure: LaunchFailure | None = None
        self.cause: Cause = "exited"
        self.detail = ""
        self.ending = False  # told to end, or the first process has ended
        self.kill_at = 0  # KILL from this instant on; 0: not
        self.killed_at = 0  # first KILL
        self.kill_pause_us = 1000
        self.unkillable = 0
        self.limit_s = self.spec.time_limit_s
        self.suspended_at = 0  # 0: it is not
        self.stood_us = 0  # how long it was, before that
        self.stop_again_at = 0  # look whether all of it is stopped; 0: need not
        self.user_s = self.system_s = 0.0
        self.max_rss_kib = self.blocks_in = self.blocks_out = 0
        self.job_stderr = -1
        self.going = False  # nothing more after this attempt
        self.ended: Beginning | None = None  # when nothing of it was left, if that was not just now
        self.watch = Watch(self.spec.limits, request.groups, self.began)

    def run(self) -> bytes | None:
        """The attempt from claim to exit record.

        Returns the record as it was written; None if this process should not do more than end.
        """
        crash_point(BEFORE_STARTED)
        record = attemptdir.Started(
            kind="supervised",
            key=self.spec.key,
            pid=self.process.pid,
            start_time=self.process.start_time,
            boot_id=processes.boot_id(),
            started_at=self.started_at,
            boot_clock_us=self.began,
            token=self.request.token,
            groups=self.request.groups,
            cpus=self.spec.cpus,
            cpu_milli=self.spec.limits.cpu_milli,
        )
        exit_fd = attemptdir.reserve_exit(self.directory)
        try:
            if not attemptdir.claim(self.directory, record):
                attemptdir.log_trouble(self.directory, "not started: the attempt is settled already")
                return None
        except OSError as error:
            message = f"cannot write the started record: {os.strerror(error.errno or 0)}"
            self.failure = LaunchFailure("fork", error.errno or 0, message)
            attemptdir.write_exit(self.directory, exit_fd, self._exit_record())
            return None
        crash_point(AFTER_STARTED)
        self.process.current = self
        self._start(exit_fd)
        self._watch()
        self._finish()
        crash_point(BEFORE_EXIT)
        text = self._record(exit_fd)
        crash_point(AFTER_EXIT)
        clean = True
        for group in self.request.groups:
            if not cgroup.remove(group):
                clean = False
                attemptdir.log_trouble(self.directory, f"cannot remove cgroup {group.path}")
        self.process.current = None
        os.close(exit_fd)
        if self.job_stderr >= 0:
            os.close(self.job_stderr)
        # Without the right to go back it stays as nice as its job.
        return text if clean and not (self.going or self.unkillable or self.spec.nice) else None

    # -- the start

    def _start(self, exit_fd: int) -> None:
        """Starts the job, or notes why it could not be started."""
        if self.spec.lease_s and contact.boot_clock_us() >= self._lease_over():
            self.cause, self.detail = "lease", f"{self._lost_contact()}: not started"
            self.ending = True
            return
        try:
            first = spawn.spawn(self.request)
        except spawn.Refused as refused:
            self.failure = refused.failure
            self.status = 0
            self.ending = True
            return
        crash_point(AFTER_FORK)
        self.tree.first, self.job_stderr = first
        attemptdir.note_first(exit_fd, attemptdir.First(first.pid, processes.start_time(first.pid)))

    # -- the watch

    def _watch(self) -> None:
        """Returns when nothing of the job is left, or what is left cannot be killed."""
        self._listen()
        while self._reap():
            now = contact.boot_clock_us()
            if self.killed_at and now - self.killed_at > UNKILLABLE_S * _US:
                self.unkillable = len(self.tree.members())
                break
            until = self._act(now)
            # Rounded up: one wakeup too early would be one too many.
            timeout = (until - contact.boot_clock_us() + 999) // 1000 if until else LONGEST_SLEEP_MS
            self._wait(min(max(0, timeout), LONGEST_SLEEP_MS))

    def _listen(self) -> None:
        """Before the first `_wait`."""
        self._poll = select.poll()
        self._poll.register(self.process.wakeup, select.POLLIN)
        self._poll.register(self.door, select.POLLIN)

    def _wait(self, timeout_ms: int) -> None:
        """Returns after the timeout, or when something has happened, which is dealt with."""
        for fd, _ in self._poll.poll(timeout_ms):
            if fd == self.process.wakeup:
                os.read(fd, 4096)
            else:
                self._obey()

    def _finish(self) -> None:
        """Nothing of the job is left: what is to be done before that is written down."""

    def _reap(self) -> bool:
        """Collects the ended; False when no process of the job is left."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self.user_s += used.ru_utime
            self.system_s += used.ru_stime
            self.max_rss_kib = max(self.max_rss_kib, used.ru_maxrss)
            self.blocks_in += used.ru_inblock
            self.blocks_out += used.ru_oublock
            self._collected(pid, status)

    def _collected(self, pid: int, status: int) -> None:
        """A process has ended. With the first one the job has."""
        if pid == self.tree.first:
            crash_point(CHILD_ENDED)
            self.status = status
            self.tree.first = 0  # the number may belong to somebody else now
            self._all_over()

    def _all_over(self) -> None:
        """It has ended by itself: what it left is killed."""
        if not self.ending:
            self.ending = True
            self.kill_at = contact.boot_clock_us()

    def _act(self, now: int) -> int:
        """Does what is due at `now`; the next instant at which something will be, 0 for none."""
        if self.kill_at and now >= self.kill_at:
            self.killed_at = self.killed_at or now
            self.tree.signal(signal.SIGKILL)
            self._go_on()  # what a version 1 group holds dies only then
            self.kill_pause_us = min(100_000, self.kill_pause_us * 2)
            return now + self.kill_pause_us
        if self.ending:
            return self.kill_at
        dues = [self._check_limit(now), self._check_lease(now), self._look(now), self.kill_at]
        if self.suspended_at:
            dues.append(self._hold_still(now))
        return min(filter(None, dues), default=0)

    def _check_limit(self, now: int) -> int:
        if not self.limit_s or self.suspended_at:
            return 0
        due = self.began + self.stood_us + (self.limit_s + self.spec.backstop_s) * _US
        if now >= due:
            self._end("time_limit", self.spec.grace_s, f"time limit of {self.limit_s} s", "DUE TO TIME LIMIT")
        return due

    def _check_lease(self, now: int) -> int:
        """The job is dead by the end of the lease, so TERM comes before: by the grace, at most half the
        lease.
        """
        if not self.spec.lease_s:
            return 0
        over = self._lease_over()
        grace_us = min(self.spec.grace_s * _US, self.spec.lease_s * _US // 2)
        if now >= over - grace_us:
            self._end("lease", max(0, over - now) / _US, self._lost_contact(), "DUE TO LOST CONTACT")
        return over - grace_us

    def _lease_over(self) -> int:
        """Counts from the last contact, not from our beginning: an agent that was stopped with the order in
        its hands begins late, when the job may run elsewhere already.
        """
        last = contact.last_contact_us(self.spec.contact_file) or self.began
        return last + self.spec.lease_s * _US

    def _lost_contact(self) -> str:
        return f"no contact to the scheduler within the lease of {self.spec.lease_s} s"

    def _look(self, now: int) -> int:
        if self.watch.due and now >= self.watch.due:
            held_kib, n_processes = self.tree.size(self.watch.limit_kib)
            if excess := self.watch.seen(now, held_kib, n_processes):
                self._end(excess.cause, 0, excess.detail, excess.notice)
        return self.watch.due

    # -- orders

    def _obey(self) -> None:
        while (received := control.receive(self.door)) is not None:
            data, fd, connection = received
            try:
                order = control.decode_order(data)
                if isinstance(order, Attach):
                    reply = self._attach(order, connection)
                    connection = -1
                else:
                    reply = self._carry_out(order)
            except msgspec.DecodeError as error:
                reply = ControlReply(error=f"not understood: {error}")
            finally:
                if connection >= 0:
                    os.close(connection)
            control.answer(fd, reply)

    def _attach(self, order: Attach, connection: int) -> ControlReply:
        """A client comes with this connection, which is this method's to close."""
        if connection >= 0:
            os.close(connection)
        return ControlReply(error="it is no step")

    def _carry_out(self, order: Signal | SetLimit | Terminate | Suspend | Continue) -> ControlReply:
        match order:
            case Signal(number, scope):
                if not 0 <= number < signal.NSIG:
                    return ControlReply(error=f"no signal {number}")
                if number == signal.SIGCONT and self.suspended_at:
                    return ControlReply(suspended=True)  # whose it is to let it go on is not its owner's word
                return ControlReply(self.tree.signal(number, scope))
            case SetLimit(seconds):
                self.limit_s = seconds
                return ControlReply()
            case Terminate():
                return ControlReply(self._terminate(order))
            case Suspend():
                reached = 0 if self.ending else self._suspend()
                return ControlReply(reached, suspended=bool(self.suspended_at))
            case Continue(cpus):
                if cpus:
                    self.tree.bind(cpus)
                return ControlReply(self._go_on())

    def _suspend(self) -> int:
        """How many processes it has. Done again it stops what has begun to run."""
        reached, n_loose = self.tree.stop()
        now = contact.boot_clock_us()
        self.suspended_at = self.suspended_at or now
        self.stop_again_at = now + STOP_AGAIN_US if n_loose else 0
        self._note_suspended(True)
        return reached

    def _hold_still(self, now: int) -> int:
        if self.stop_again_at and now >= self.stop_again_at:
            self.tree.stop()
            self.stop_again_at = now + STOP_AGAIN_US
        return self.stop_again_at

    def _go_on(self) -> int:
        """How many processes it has; 0 if it was not suspended."""
        if not self.suspended_at:
            return 0
        self.stood_us += contact.boot_clock_us() - self.suspended_at
        self.suspended_at = 0
        self._note_suspended(False)
        return self.tree.go_on()

    def _note_suspended(self, on: bool) -> None:
        try:
            attemptdir.note_suspended(self.directory, on)
        except OSError as error:  # the scheduler tells an agent that does not know it
            attemptdir.log_trouble(self.directory, f"cannot note that it is suspended: {error}")

    def _terminate(self, order: Terminate) -> int:
        """The first signal goes out once; the grace can only become shorter."""
        now = contact.boot_clock_us()
        kill_at = now + int(order.grace_s * _US)
        if self.status is not None and self.cause == "exited":
            return 0  # over by itself; what is left is being killed
        if self.ending:
            self.kill_at = min(self.kill_at, kill_at)
            return 0
        self.ending = True
        self.cause, self.detail = order.cause, order.detail
        self.kill_at = kill_at
        self._notice(order.notice)
        if order.grace_s <= 0:
            return len(self.tree.members())
        reached = self.tree.signal(order.signal)
        self._go_on()
        self.tree.signal(signal.SIGCONT)  # a stopped process meets its signal only when it goes on
        return reached

    def _end(self, cause: control.OrderedCause, grace_s: float, detail: str, why: str) -> None:
        """Ends the job on the supervisor's own decision."""
        line = control.cancel_notice(self.spec.label or self.spec.key, self.spec.node, why)
        self._terminate(Terminate(grace_s, cause=cause, detail=detail, notice=line))

    def told_to_go(self) -> None:
        """The job gets its grace, then this process ends."""
        self.going = True
        self._terminate(Terminate(self.spec.grace_s, detail="supervisor got SIGTERM"))

    def _notice(self, line: str) -> None:
        if line and self.job_stderr >= 0:
            try:
                os.write(self.job_stderr, f"{line}\n".encode())
            except OSError:
                pass

    # -- the end

    def _record(self, exit_fd: int) -> bytes | None:
        """Writes the exit record, for as long as it takes: a full disk must not swallow an exit.

        Returns what was written; None if the agent has removed the directory, so that nobody wants to know.
        """
        record = self._exit_record()
        pause = 0.1
        while True:
            try:
                return attemptdir.write_exit(self.directory, exit_fd, record)
            except FileNotFoundError:
                return None
            except OSError as error:
                attemptdir.log_trouble(self.directory, f"cannot write the exit record: {error}")
                time.sleep(pause)
                pause = min(10.0, pause * 2)

    def _exit_record(self) -> ExitRecord:
        own = resource.getrusage(resource.RUSAGE_SELF)
        ended = self.ended or Beginning(time.time_ns() // 1000, contact.boot_clock_us())
        memory = next((cgroup.memory_history(group) for group in self.request.groups if group.memory), None)
        if memory is None:
            memory = cgroup.MemoryHistory(self.watch.peak_kib)
        status = self.status if self.status is not None else int(signal.SIGKILL)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        cause, detail = self.cause, self.detail
        failure = self.failure
        if failure is not None and self.cause == "exited":
            cause, detail = "launch_error", failure.message
            code = (failure.errno or 1) if failure.stage == "exec" else 1
            number = 0
        elif memory.oom_kills and cause == "exited":
            cause = "oom"
            detail = _killed_for_memory(memory, self.spec.limits.mem_mib)
        # File pages are not what a job goes short of, unless it went short: then none were left.
        peak_kib = memory.peak_kib if cause == "oom" else max(0, memory.peak_kib - memory.cache_kib)
        largest_kib = self.max_rss_kib if self.max_rss_kib > own.ru_maxrss else 0
        peak_kib = max(peak_kib, min(largest_kib, memory.peak_kib))
        return ExitRecord(
            key=self.spec.key,
            cause=cause,
            exit_code=code,
            signal=number,
            core_dumped=os.WCOREDUMP(status) and bool(number),
            detail=detail,
            launch_error=failure if cause == "launch_error" else None,
            started_at=self.started_at,
            ended_at=ended.at,
            run_us=ended.boot_us - self.began,
            user_us=int(self.user_s * _US),
            system_us=int(self.system_s * _US),
            max_rss_kib=largest_kib or peak_kib,
            peak_mem_kib=peak_kib,
            cache_kib=memory.cache_kib,
            disk_read_bytes=self.blocks_in * 512,
            disk_write_bytes=self.blocks_out * 512,
            oom_kills=memory.oom_kills,
            unkillable=self.unkillable,
            boot_id=processes.boot_id(),
        )


def _killed_for_memory(memory: cgroup.MemoryHistory, limit_mib: int) -> str:
    """What the user is told of kills by the kernel; they need not be for the job's own limit."""
    n = memory.oom_kills
    killed = f"the kernel killed {n} process{'es' * (n != 1)}"
    used = (
        f"{memory.peak_kib // 1024} MiB used, limit {limit_mib} MiB" if limit_mib else "no limit of its own"
    )
    return f"{used}; {killed}{'' if memory.at_limit else ', since the machine was out of memory'}"


def _ignore(*_: object) -> None:
    """A handler, so that the signal wakes the poll."""

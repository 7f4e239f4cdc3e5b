"""Supervises the part of a step that runs on this node: several tasks, their streams, and who is attached.

What the supervisor of a batch script does for its job is done here as there: the record of who supervises,
limits, signals, suspension, the end of every process, the exit record. Added are the tasks' output, which
goes to the owner that attached as fast as it takes it and waits in the tasks' pipes otherwise, their input,
and their ends, of which the worst is the step's.

When all tasks have ended what they left is killed; then the output that is still in the pipes is delivered,
and the record written. An owner that does not come, or does not come back, is waited for so long as the plan
says, and then the step is ended without it.

Crash points and what a death there leaves: task_forked (steptasks.py): lost, and the tasks killed by the
agent; all_ended: the same, some of the output not delivered; told_over: the owner knows of the end, nobody
else does.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time

from packhorse.agent.launch import (
    attemptdir,
    cgroup,
    contact,
    frames,
    mpi,
    mpikinds,
    processes,
    ptys,
    steptasks,
)
from packhorse.agent.launch.attached import MOST_WATCHERS, Attached
from packhorse.agent.launch.control import Attach, ControlReply, Terminate
from packhorse.agent.launch.exitrecord import LaunchFailure
from packhorse.agent.launch.inflow import Inflow
from packhorse.agent.launch.outflow import Outflow
from packhorse.agent.launch.spawn import Refused
from packhorse.agent.launch.spec import ForkRequest, StepPlan
from packhorse.agent.launch.steptasks import Begun, Ends, Failures
from packhorse.agent.launch.successor import Beginning
from packhorse.agent.launch.supervisor import AFTER_FORK, LONGEST_SLEEP_MS, Process, Supervisor
from packhorse.scheduler.model.crashpoint import crash_point, register

ALL_ENDED = register("step.all_ended", "all tasks ended, their output not all delivered")
TOLD_OVER = register("step.told_over", "the owner was told of the end, no exit record written")

DELIVER_S = 5
"""After the end of a step that was told to end its owner may take so long to take what is left."""

MOST_LOOK_MS = 100
"""Between two looks whether an owner has read what it was sent, of which the kernel does not tell unasked."""

OUT_OF_MEMORY = 125
"""Instead of a signal, in the wait status of a task that was killed for memory: Slurm's number."""

READ = 1 << 16
"""What a pipe holds."""

_AT_ONCE = 16
"""Pipes that are read before anything is sent."""

_US = 1_000_000
_IN, _OUT, _HUP, _ERR = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP, select.EPOLLERR


def kind_of(request: ForkRequest) -> type[Supervisor]:
    """What supervises this."""
    return Supervisor if request.spec.step is None else StepSupervisor


class _Stream:
    """One of a task's outputs. end: the kind of the frame that tells of its end."""

    __slots__ = ("end", "fd", "kind", "rank")

    def __init__(self, fd: int, kind: int, rank: int) -> None:
        self.fd = fd
        self.kind = kind
        self.end = frames.OUTPUT_END if kind == frames.OUTPUT else frames.ERROR_END
        self.rank = rank


class _Task:
    """One task. status: its wait status, None while it runs. open: the kinds of its streams that go on."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.pid = 0
        self.status: int | None = None
        self.failure: tuple[int, str] | None = None
        self.stderr = -1
        self.open: set[int] = set()


class StepSupervisor(Supervisor):
    """The state of one step on this node."""

    def __init__(self, request: ForkRequest, door: socket.socket, began: Beginning, process: Process) -> None:
        super().__init__(request, door, began, process)
        plan = request.spec.step
        assert plan is not None, "kind_of chose"
        self.plan: StepPlan = plan
        self.tasks = {task.rank: _Task(task.rank) for task in plan.tasks}
        self._by_pid: dict[int, _Task] = {}
        self._n_running = 0
        self._loop = select.epoll()
        self._outputs = select.epoll()  # in itself watched by _loop, while output may be read
        self._reading = False
        self._streams: dict[int, _Stream] = {}
        self._failures: Failures | None = None
        self._inflow = Inflow(self._loop)
        self._master = self._slave = -1
        self._mpi: mpi.Mpi | None = None
        self._mpi_fds: set[int] = set()
        self._abort_code = 0
        self._clients = Attached(self._loop)
        self._owner_due = self.began + plan.attach_s * _US if plan.attach_s else 0
        self._told_over = False
        self._look_ms = 0  # until the next look whether the owner has read everything
        self._given_up_at = 0  # it was told to end when all tasks had, or nobody waits for the rest

    # -- the start

    def _start(self, exit_fd: int) -> None:
        plan = self.plan
        if self.spec.lease_s and contact.boot_clock_us() >= self._lease_over():
            self.cause, self.detail = "lease", f"{self._lost_contact()}: not started"
            self._none_started(0, self.detail)
            return
        _need_descriptors(len(plan.tasks))
        try:
            name = self.spec.label.rpartition(" ")[2]
            self._mpi = mpikinds.begin(plan, name, self.spec.node, self._tell_owner, self._aborted)
            started = steptasks.start(self.request, plan, self._mpi)
        except ValueError as why:
            self.failure = LaunchFailure("exec", 0, str(why))
            self._none_started(0, str(why))
            return
        except Refused as refused:
            self.failure = refused.failure
            self._none_started(refused.failure.errno, refused.failure.message)
            return
        crash_point(AFTER_FORK)
        self._failures = Failures(started.failures)
        self._loop.register(started.failures, _IN)
        for begun in started.tasks:
            self._take_up(begun)
        first = started.tasks[0].pid
        attemptdir.note_first(exit_fd, attemptdir.First(first, processes.start_time(first)))
        for fd in self._mpi.descriptors():
            self._mpi_fds.add(fd)
            self._loop.register(fd, _IN)

    def _none_started(self, number: int, why: str) -> None:
        """Whoever attaches is told."""
        self.status = 0
        self.ending = True
        for task in self.tasks.values():
            task.failure = number, why
            task.status = 1 << 8
        self._tell_ended(self._clients.flow)

    def _take_up(self, begun: Begun) -> None:
        task = self.tasks[begun.task.rank]
        task.pid, task.stderr = begun.pid, begun.stderr
        self._by_pid[begun.pid] = task
        self._n_running += 1
        self._say(frames.TASK_STARTED, task.rank, frames.U32.pack(task.pid))
        ends: Ends = begun.ends
        if ends.master >= 0:
            self._master, self._slave = ends.master, ends.slave
            self._inflow.open(task.rank, ends.master, terminal=True)
        elif ends.stdin >= 0:
            self._inflow.open(task.rank, ends.stdin)
        for kind, fd in ((frames.OUTPUT, max(ends.stdout, ends.master)), (frames.ERROR_OUTPUT, ends.stderr)):
            if fd < 0:
                self._say(kind + 2, task.rank)
                continue
            self._streams[fd] = _Stream(fd, kind, task.rank)
            task.open.add(kind)
            self._outputs.register(fd, _IN)

    # -- the watch

    def _listen(self) -> None:
        self._loop.register(self.process.wakeup, _IN)
        self._loop.register(self.door, _IN)

    def _wait(self, timeout_ms: int) -> None:
        owner = self._clients.owner
        self._flush()  # what was said of a task's end, too
        if owner is not self._clients.owner:
            return  # it is gone, and for how long it may be is still to be counted
        self._turn()
        for fd, events in self._loop.poll(timeout_ms / 1000):
            if fd == self.process.wakeup:
                os.read(fd, 4096)
            elif fd == self.door.fileno():
                self._obey()
            elif fd == self._outputs.fileno():
                self._read_outputs()
            elif self._failures is not None and fd == self._failures.fd:
                self._read_failures()
            elif fd in self._mpi_fds:
                self._read_mpi(fd)
            elif (said := self._clients.happened(fd, events)) is not None:
                self._follow(said)
            else:
                self._inflow.happened(fd, events)

    def _turn(self) -> None:
        """Reads output only while somebody takes it."""
        clients = self._clients
        wanted = clients.owner is not None and clients.flow.has_room and bool(self._streams)
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._loop.register(self._outputs, _IN)
            else:
                self._loop.unregister(self._outputs)

    def _read_outputs(self) -> None:
        for fd, _ in self._outputs.poll(0, _AT_ONCE):
            self._read(self._streams[fd])
            if not self._clients.flow.has_room:
                return

    def _read(self, stream: _Stream) -> bool:
        """Passes on what is there; False if nothing is."""
        try:
            data = os.read(stream.fd, READ)
        except BlockingIOError:
            return False
        except OSError:  # a terminal that nobody has open any more
            data = b""
        if not data:
            self._close_stream(stream)
            return False
        self._clients.output(stream.kind, stream.rank, data)
        return True

    def _close_stream(self, stream: _Stream) -> None:
        del self._streams[stream.fd]
        self._outputs.unregister(stream.fd)
        if stream.fd == self._master:
            self._inflow.drop(stream.rank)
            self._master = -1
        os.close(stream.fd)
        self.tasks[stream.rank].open.discard(stream.kind)
        self._say(stream.end, stream.rank)

    def _read_failures(self) -> None:
        assert self._failures is not None, "its descriptor was told of"
        found, more = self._failures.read()
        for failure in found:
            task = self.tasks[failure.rank]
            task.failure = failure.errno, failure.text
            self._say(frames.TASK_FAILED, task.rank, frames.I32.pack(failure.errno) + failure.text.encode())
            if task.stderr >= 0:
                _write(task.stderr, f"packhorse-{self.spec.node}: error: {failure.text}\n")
        if not more:
            self._loop.unregister(self._failures.fd)
            os.close(self._failures.fd)
            self._failures = None
            self._let_go_of_terminal()

    def _let_go_of_terminal(self) -> None:
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1

    # -- the tasks' ends

    def _collected(self, pid: int, status: int) -> None:
        task = self._by_pid.pop(pid, None)
        if task is None:
            return
        if self._failures is not None:
            self._read_failures()  # why it failed is told before that it did
        task.status = OUT_OF_MEMORY if status == signal.SIGKILL and self._went_out_of_memory() else status
        self._n_running -= 1
        self._say(frames.TASK_ENDED, task.rank, frames.I32.pack(task.status))
        if self._mpi is not None:
            self._mpi.task_ended(task.rank)
        if self._n_running == 0:
            crash_point(ALL_ENDED)
            worst = max((one.status or 0 for one in self.tasks.values()), key=_weight)
            if worst == OUT_OF_MEMORY:
                worst = int(signal.SIGKILL)
            self.status = self._abort_code << 8 or worst
            self._all_over()

    def _went_out_of_memory(self) -> bool:
        """Something of the step was killed for memory."""
        if self.cause != "exited":
            return self.cause == "oom"
        return any(cgroup.memory_history(group).oom_kills for group in self.request.groups if group.memory)

    def _act(self, now: int) -> int:
        due = super()._act(now)
        owner_due = self._owner_deadline(now)
        if self.ending or not owner_due:
            return due
        if now >= owner_due:
            waited = self.plan.return_s if self._clients.was_owned else self.plan.attach_s
            self._end("terminated", self.spec.grace_s, f"nobody was attached to it for {waited} s", "")
            return self.kill_at
        return min(due, owner_due) if due else owner_due

    def _owner_deadline(self, now: int) -> int:
        """Until when an owner has to come, or to come back; 0: it is there, or need not."""
        clients = self._clients
        if clients.owner is not None or clients.detached:
            self._owner_due = 0
        elif clients.was_owned and not self._owner_due:
            self._owner_due = now + self.plan.return_s * _US
        return self._owner_due

    # -- who is attached

    def _attach(self, order: Attach, connection: int) -> ControlReply:
        if error := self._clients.refuse(order):
            os.close(connection)
            return ControlReply(error=error)
        ranks = sorted(self.tasks)
        pids = [self.tasks[rank].pid for rank in ranks]
        first: dict[str, object] = {"ok": True, "ranks": ranks, "pids": pids, "input": self._inflow.got}
        try:
            client, said = self._clients.admit(order, connection, first, self._tell_begun, self._tell_ended)
        except OSError as why:
            return ControlReply(error=f"its connection is broken: {why}")
        if client.owner:
            self._owner_due = 0
            self._follow(said)
        return ControlReply(1)

    def _tell_begun(self, flow: Outflow) -> None:
        for task in self.tasks.values():
            if task.pid:
                flow.add(frames.TASK_STARTED, task.rank, frames.U32.pack(task.pid))

    def _tell_ended(self, flow: Outflow) -> None:
        for task in self.tasks.values():
            if task.failure is not None:
                number, why = task.failure
                flow.add(frames.TASK_FAILED, task.rank, frames.I32.pack(number) + why.encode())
            for kind in (frames.OUTPUT, frames.ERROR_OUTPUT):
                if kind not in task.open:
                    flow.add(kind + 2, task.rank)
            if task.status is not None:
                flow.add(frames.TASK_ENDED, task.rank, frames.I32.pack(task.status))
        if self._told_over:
            flow.add(frames.OVER, frames.ALL)

    def _flush(self) -> None:
        if not self._told_over and (taken := self._inflow.news()) >= 0:
            self._clients.flow.add(frames.INPUT_TAKEN, frames.ALL, frames.U64.pack(taken))
        self._clients.flush(listen=not self._inflow.full)

    def _follow(self, said: list[frames.Frame]) -> None:
        """What the owner wants."""
        for kind, rank, payload in said:
            match kind:
                case frames.INPUT:
                    self._inflow.feed(rank, payload)
                case frames.INPUT_END:
                    self._inflow.end(rank)
                case frames.SIGNAL if len(payload) == 1:
                    self._signal(rank, payload[0])
                case frames.WINDOW_SIZE if len(payload) == frames.SIZE.size and self._master >= 0:
                    ptys.resize(self._master, payload)
                case frames.RECEIVED if len(payload) == frames.U64.size:
                    self._clients.flow.confirm(frames.U64.unpack(payload)[0])
                case frames.CLIENT_PMI if self._mpi is not None:
                    self._mpi.heard(rank, payload)
                case frames.DETACH:
                    self._clients.detach()
                    return
                case frames.END_STEP if len(payload) == frames.U32.size:
                    grace_s = frames.U32.unpack(payload)[0] / 1000
                    self._end("terminated", grace_s, "cancelled", "")

    def _signal(self, rank: int, number: int) -> None:
        if not 0 < number < signal.NSIG or (number == signal.SIGCONT and self.suspended_at):
            return
        if rank == frames.ALL:
            self.tree.signal(number)
        elif (task := self.tasks.get(rank)) is not None and task.pid in self._by_pid:
            processes.send([task.pid, *processes.descendants(task.pid)], number)

    # -- what it says

    def _say(self, kind: int, rank: int, payload: bytes = b"") -> None:
        self._clients.say(kind, rank, payload)

    def _notice(self, line: str) -> None:
        if not line:
            return
        self._say(frames.NOTICE, frames.ALL, line.encode())
        for fd in {task.stderr for task in self.tasks.values()} - {-1}:
            _write(fd, f"{line}\n")

    def _tell_owner(self, rank: int, payload: bytes) -> None:
        self._clients.flow.add(frames.PMI, rank, payload)

    def _aborted(self, why: str, code: int) -> None:
        self._abort_code = code & 0xFF
        self._notice(why)
        self._end("terminated", 0, why, "")

    def _read_mpi(self, fd: int) -> None:
        assert self._mpi is not None, "its descriptor was told of"
        if not self._mpi.readable(fd):
            self._mpi_fds.discard(fd)
            # Closed by now, and with that no longer watched.

    def _terminate(self, order: Terminate) -> int:
        if not self._n_running and not self._given_up_at:
            self._given_up_at = contact.boot_clock_us() + DELIVER_S * _US
        return super()._terminate(order)

    # -- the end

    def _finish(self) -> None:
        """No process is left: delivers what they wrote."""
        self.ended = Beginning(time.time_ns() // 1000, contact.boot_clock_us())
        self._inflow.close()
        if self.cause != "exited":
            self._given_up_at = self.ended.boot_us + DELIVER_S * _US
        while True:
            if not self._told_over and self._drain():
                self._told_over = True
                self._say(frames.OVER, frames.ALL)
            self._flush()
            now = contact.boot_clock_us()
            until = self._patience(now)
            if until <= now:
                break
            self._wait((until - now + 999) // 1000)
        crash_point(TOLD_OVER)
        self._close()

    def _drain(self) -> bool:
        """Reads what is left in the pipes, as far as there is room for it; whether that is all."""
        for stream in list(self._streams.values()):
            while self._clients.flow.has_room:
                if not self._read(stream):
                    if stream.fd in self._streams:
                        self._close_stream(stream)  # nobody is left who could write to it
                    break
                self._flush()
        return not self._streams

    def _patience(self, now: int) -> int:
        """Until when there is something to wait for; 0: for nothing."""
        assert self.ended is not None, "set when it ended"
        clients = self._clients
        if self.going:
            return 0
        if clients.owner is not None:
            if not self._told_over or clients.flow.waiting:
                return self._given_up_at or now + LONGEST_SLEEP_MS * 1000
            # In this order: what waits unread for one that hung up is gone from the kernel's count as well.
            if clients.owner.has_read and not clients.owner.is_gone():
                return 0
            self._look_ms = min(MOST_LOOK_MS, 2 * self._look_ms or 1)
            return min(now + self._look_ms * 1000, self._given_up_at or LONGEST_SLEEP_MS * 1000 + now)
        if self._given_up_at or (self._told_over and clients.got_all):
            return 0  # nor does anybody wait for what was told to end
        if due := self._owner_deadline(now):
            return due
        waits = not self._told_over or clients.flow.has_output
        return self.ended.boot_us + self.plan.return_s * _US if waits else 0

    def _close(self) -> None:
        self._clients.close()
        for stream in self._streams.values():
            os.close(stream.fd)
        if self._failures is not None:
            os.close(self._failures.fd)
        self._let_go_of_terminal()
        for task in self.tasks.values():
            if task.stderr >= 0:
                os.close(task.stderr)
        if self._mpi is not None:
            self._mpi.close()
        self._outputs.close()
        self._loop.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, steptasks.NOFILE)


def _need_descriptors(n_tasks: int) -> None:
    """Raises the caller's limit, as far as it may, to what so many tasks need."""
    soft, hard = steptasks.NOFILE
    wanted = n_tasks * steptasks.DESCRIPTORS_PER_TASK + MOST_WATCHERS + 64
    if soft != resource.RLIM_INFINITY and wanted > soft:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _weight(status: int) -> int:
    """By which the worst end counts: 128 and the signal, or the code."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _write(fd: int, line: str) -> None:
    try:
        os.write(fd, line.encode())
    except OSError:
        pass

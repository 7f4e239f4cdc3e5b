"""Starts the tasks of a step: their files, pipes and terminal, and a process each.

A task is told its own process number (SLURM_TASK_PID), so its environment cannot be made before it exists: it
is forked, not spawned. What can fail is done before, with the user's rights, by the supervisor; the rest in
the new process, which says over one pipe for all why it could not become its program.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import struct
from functools import partial
from typing import NamedTuple, NoReturn

from packhorse.agent.launch import mpi, oomscore, ptys, spawn
from packhorse.agent.launch.mpi import Mpi
from packhorse.agent.launch.spawn import Refused, Undo
from packhorse.agent.launch.spec import TOKEN_VARIABLE, ForkRequest, LaunchSpec, StepPlan, Task
from packhorse.scheduler.model.crashpoint import crash_point, register

TASK_FORKED = register("step.task_forked", "some of the tasks forked, others not yet")

NO_INPUT = -2
"""As StepPlan.input_rank: nobody gets any."""

ELSEWHERE = "/tmp"
"""Where a task runs whose directory cannot be entered, as under Slurm."""

NOFILE = resource.getrlimit(resource.RLIMIT_NOFILE)
"""As the fork server was given it: a supervisor of many tasks needs more for itself."""

DESCRIPTORS_PER_TASK = 8
"""Both ends of three pipes, its file of errors, and one of an Mpi."""

_FAILURE = struct.Struct("<IiH")
_MAX_TEXT = 2000
_HIGH = 64
"""Descriptors are moved here before they get the number that a task wants them at."""


class Place(NamedTuple):
    """What a task has for stdin, stdout and stderr; terminal: the path of one, instead of them."""

    files: tuple[int, int, int]
    terminal: str = ""


class Ends(NamedTuple):
    """The supervisor's ends of a task's streams, -1 for what is in files. All of them do not block.

    master: of its terminal, which is input and output in one; slave: the other side of that, to be held open
    until all tasks have been executed.
    """

    stdin: int = -1
    stdout: int = -1
    stderr: int = -1
    master: int = -1
    slave: int = -1


class Begun(NamedTuple):
    """A task that was forked. stderr: its file for lines of the supervisor, -1 where that is no file."""

    task: Task
    pid: int
    ends: Ends
    stderr: int


class Failure(NamedTuple):
    """Why a task did not become its program. code: what it exits with."""

    rank: int
    errno: int
    text: str


class Started(NamedTuple):
    """failures: a pipe that tells of those that failed, and ends when all others have been executed."""

    tasks: list[Begun]
    failures: int


def start(request: ForkRequest, plan: StepPlan, mpi_of_step: Mpi) -> Started:
    """Forks all tasks. Raises Refused; then nothing runs, or what runs is to be killed.

    The caller may have raised its limit of descriptors; the tasks get NOFILE.

    An OSError on the way back means that the supervisor is not what it was: it must not go on.
    """
    spec = request.spec
    undo: Undo = []
    opened: list[int] = []
    try:
        spawn.enter_groups(request, undo)
        if oomscore.step_back():
            undo.append(oomscore.step_forward)
        places, ends = _places(spec, plan, undo, opened)
        bound = any(group.writes_to("cpuset.cpus") for group in request.groups)
        return _fork_all(request, plan, mpi_of_step, places, ends, () if bound else spec.cpus, opened)
    finally:
        spawn.take_back(undo, opened)


def _places(
    spec: LaunchSpec, plan: StepPlan, undo: Undo, opened: list[int]
) -> tuple[list[Place], list[Ends]]:
    """What every task reads from and writes to, opened as the user. What is opened for the tasks is added to
    `opened`; the supervisor's ends are closed if this fails.
    """
    back: Undo = [partial(os.umask, os.umask(spec.umask))]
    ends: list[Ends] = []
    places = []
    files: dict[str, int] = {}
    try:
        spawn.become_user(spec, back)
        for task in plan.tasks:
            if not plan.pty:
                place, own = _streams(spec, plan, task, files, opened)
            elif task.rank == 0:
                place, own = _terminal(plan)
            else:
                place, own = _silent(files, opened)
            places.append(place)
            ends.append(own)
    except BaseException as error:
        for own in ends:
            close(own)
        if isinstance(error, OSError):
            raise Refused(
                "fork", f"cannot make pipes: {os.strerror(error.errno or 0)}", error.errno or 0
            ) from None
        raise
    finally:
        spawn.take_back(back, [])
    return places, ends


def close(ends: Ends) -> None:
    """Closes the supervisor's ends of one task."""
    for fd in ends:
        if fd >= 0:
            os.close(fd)


def _terminal(plan: StepPlan) -> tuple[Place, Ends]:
    terminal = ptys.make(plan.rows, plan.columns)
    return Place((-1, -1, -1), terminal.path), Ends(master=terminal.master, slave=terminal.slave)


def _silent(files: dict[str, int], opened: list[int]) -> tuple[Place, Ends]:
    """Beside a task with a terminal the others are neither heard nor told anything."""
    null = _null(files, opened)
    return Place((null, null, null)), Ends()


def _null(files: dict[str, int], opened: list[int]) -> int:
    if os.devnull not in files:
        files[os.devnull] = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        opened.append(files[os.devnull])
    return files[os.devnull]


def _streams(
    spec: LaunchSpec, plan: StepPlan, task: Task, files: dict[str, int], opened: list[int]
) -> tuple[Place, Ends]:
    stdin = stdout = stderr = -1
    if task.stdin:
        source = spawn.open_input(task.stdin)
        opened.append(source)
    elif plan.input_rank != NO_INPUT and plan.input_rank in (-1, task.rank):
        source, stdin = os.pipe2(os.O_CLOEXEC)
        opened.append(source)
        os.set_blocking(stdin, False)
    else:
        source = _null(files, opened)
    try:
        out, stdout = _output("stdout", task.stdout, spec, files, opened)
        err, stderr = _output("stderr", task.stderr, spec, files, opened)
    except BaseException:
        close(Ends(stdin, stdout, stderr))
        raise
    return Place((source, out, err)), Ends(stdin, stdout, stderr)


def _output(
    name: str, path: str, spec: LaunchSpec, files: dict[str, int], opened: list[int]
) -> tuple[int, int]:
    """The task's end, and the supervisor's. A file that several write to is opened, and emptied, once."""
    if not path:
        near, far = os.pipe2(os.O_CLOEXEC)
        opened.append(far)
        os.set_blocking(near, False)
        return far, near
    path = os.path.normpath(path)
    if path not in files:
        stage, what = ("stdout", "output") if name == "stdout" else ("stderr", "error")
        files[path] = spawn.open_output(stage, what, path, spec.append)  # type: ignore[arg-type]
        opened.append(files[path])
    return files[path], -1


def _fork_all(
    request: ForkRequest,
    plan: StepPlan,
    mpi_of_step: Mpi,
    places: list[Place],
    ends: list[Ends],
    cpus: tuple[int, ...],
    opened: list[int],
) -> Started:
    failures, say = os.pipe2(os.O_CLOEXEC)
    opened.append(say)
    os.set_blocking(failures, False)
    begun: list[Begun] = []
    try:
        for task, place, own in zip(plan.tasks, places, ends, strict=True):
            outfit = mpi_of_step.outfit(task.rank)
            try:
                pid = os.fork()
                if pid == 0:
                    _become(request, task, place, cpus, outfit, say)
            finally:
                for _, fd in outfit.inherited:
                    os.close(fd)
            begun.append(Begun(task, pid, own, os.dup(place.files[2]) if task.stderr else -1))
            crash_point(TASK_FORKED)
    except OSError as error:
        os.close(failures)
        for one in begun:
            os.kill(one.pid, signal.SIGKILL)
            if one.stderr >= 0:
                os.close(one.stderr)
        for own in ends:
            close(own)
        number = error.errno or 0
        hint = " (too many processes?)" if number == errno.EAGAIN else ""
        raise Refused("fork", f"cannot fork: {os.strerror(number)}{hint}", number) from None
    return Started(begun, failures)


# -- in the new process


def _become(
    request: ForkRequest, task: Task, place: Place, cpus: tuple[int, ...], outfit: mpi.Outfit, say: int
) -> NoReturn:
    """Becomes the task's program, or tells why not and ends."""
    code = 1
    try:
        try:
            code = _prepare_and_execute(request, task, place, cpus, outfit, say)
        except OSError as error:
            code = error.errno or 1
            _tell(say, Failure(task.rank, code, f"{error.filename or 'start'}: {os.strerror(code)}"))
        except BaseException as error:
            _tell(say, Failure(task.rank, 0, f"cannot start: {error!r}"))
    finally:
        os._exit(code)


def _prepare_and_execute(
    request: ForkRequest, task: Task, place: Place, cpus: tuple[int, ...], outfit: mpi.Outfit, say: int
) -> int:
    """Only returns if the program cannot be executed: the code to exit with."""
    spec = request.spec
    signal.set_wakeup_fd(-1)
    for number in (*spawn.TO_DEFAULT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    if task.cpus or cpus:
        try:
            os.sched_setaffinity(0, task.cpus or cpus)
        except OSError as error:
            error.filename = "processors " + ",".join(map(str, task.cpus or cpus))
            raise
    if spec.nice:
        os.nice(spec.nice)
    _limit(spec)
    os.umask(spec.umask)
    if os.geteuid() == 0:
        os.setgroups(spec.groups)
        os.setresgid(spec.gid, spec.gid, spec.gid)
        os.setresuid(spec.uid, spec.uid, spec.uid)
    _take_descriptors(place, outfit)
    try:
        os.chdir(spec.cwd)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        where = f"couldn't chdir to `{spec.cwd}': {why}: going to {ELSEWHERE} instead"
        _say(f"packhorse-{spec.node}: error: {where}\n")
        os.chdir(ELSEWHERE)
    if task.banner:
        _say(task.banner % os.getpid() + "\n")
    environment = dict(entry.partition("=")[::2] for entry in spec.environment)
    environment.update(entry.partition("=")[::2] for entry in task.environment)
    environment.update(entry.partition("=")[::2] for entry in outfit.environment)
    environment["SLURM_TASK_PID"] = str(os.getpid())
    environment[TOKEN_VARIABLE] = request.token
    code = _execute(task.argv, environment)
    _tell(say, Failure(task.rank, code, f"execve(): {task.argv[0]}: {os.strerror(code)}"))
    return code


def _limit(spec: LaunchSpec) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, NOFILE)
    for name, soft in spec.rlimits:
        kind = spawn.RLIMITS.get(name.lower().removeprefix("rlimit_"))
        if kind is None:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), f"resource limit {name}")
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
            try:
                resource.setrlimit(kind, (soft, soft))
                continue
            except (OSError, ValueError):  # without the right to raise it
                soft = hard
        resource.setrlimit(kind, (soft, hard))


def _take_descriptors(place: Place, outfit: mpi.Outfit) -> None:
    """stdin, stdout and stderr, and what the task inherits beside them."""
    moved = [(at, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)) for at, fd in outfit.inherited]
    if place.terminal:
        ptys.enter(place.terminal)
    else:
        for at, fd in enumerate(place.files):
            os.dup2(fd, at)
    for at, fd in moved:
        os.dup2(fd, at)


def _execute(argv: tuple[str, ...], environment: dict[str, str]) -> int:
    """The error number of the try that came furthest."""
    program = argv[0]
    if "/" in program:
        places = [program]
    else:
        path = environment.get("PATH", spawn.DEFAULT_PATH)
        places = [f"{at or '.'}/{program}" for at in path.split(":")]
    worst = errno.ENOENT
    for place in places:
        try:
            os.execve(place, argv, environment)
        except OSError as error:
            number = error.errno or errno.EINVAL
        except ValueError:  # a NUL byte, or an empty name
            return errno.EINVAL
        if number not in (errno.ENOENT, errno.ENOTDIR):
            worst = number
            if number != errno.EACCES:
                break
    return worst


def _say(line: str) -> None:
    try:
        os.write(2, line.encode())
    except OSError:
        pass


def _tell(say: int, failure: Failure) -> None:
    text = failure.text.encode()[:_MAX_TEXT]
    try:
        os.write(say, _FAILURE.pack(failure.rank, failure.errno, len(text)) + text)
    except OSError:
        pass


class Failures:
    """Reads what `Started.failures` tells."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = b""

    def read(self) -> tuple[list[Failure], bool]:
        """What is new, and whether more may come."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return [], True
        self._buffer += data
        found = []
        while len(self._buffer) >= _FAILURE.size:
            rank, number, length = _FAILURE.unpack_from(self._buffer)
            end = _FAILURE.size + length
            if len(self._buffer) < end:
                break
            found.append(Failure(rank, number, self._buffer[_FAILURE.size : end].decode(errors="replace")))
            self._buffer = self._buffer[end:]
        return found, bool(data)

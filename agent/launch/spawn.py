"""Turns the request into the job's first process.

All preparation happens in the supervisor itself, step by step and undone afterwards, and the process is then
made
by posix_spawn: that neither copies the supervisor's address space nor runs Python between fork and exec,
which costs a third of a forked child (measured: 1.3 of 6 ms of processor time per job of `true`), and every
failure is an exception here.

While the files are opened, the directory is entered and the program is executed, the supervisor *is* the
user: effective and real ids are the user's, only the saved uid is still 0. The kernel checks every access
against the user's rights; exec copies the effective id over the saved one and drops every capability, so
nothing of root is left in the job.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from packhorse.agent.launch import cgroup, oomscore
from packhorse.agent.launch.exitrecord import LaunchFailure, Stage
from packhorse.agent.launch.spec import TOKEN_VARIABLE, ForkRequest, LaunchSpec
from packhorse.scheduler.model.crashpoint import crash_point, register

BEFORE_EXEC = register("supervisor.before_exec", "files open and user changed, the job not yet executed")

DIRECTORY_WAIT_S = 2.0
"""How long a batch script's output waits for its directory. Clients that name it after the job
(`--output=%j/out`) make it when `sbatch` has told them the id, which can be after the job has started; on a
network file system a node sees it later still.
"""

LOGIN, IMAGE, BUNDLE = "SLURM_GET_USER_ENV", "SLURM_CONTAINER_IMAGE", "SLURM_CONTAINER"
"""What asks for loginenv.py and container.py, which few jobs load."""

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
TO_DEFAULT = (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGXCPU, signal.SIGXFSZ)
RLIMITS: dict[str, int] = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_")
}


class Refused(Exception):
    """A step failed; carries what the exit record will say."""

    def __init__(self, stage: Stage, message: str, number: int) -> None:
        super().__init__(message)
        self.failure = LaunchFailure(stage, number, message)


class First(NamedTuple):
    """The job's first process, and a descriptor of its stderr for notices (-1: not a plain file)."""

    pid: int
    stderr: int


class Limit(NamedTuple):
    """A resource limit to set, and the soft limit to go back to."""

    kind: int
    soft: int
    hard: int
    before: int


Undo = list[Callable[[], object]]
"""Steps back to what the supervisor was, to be taken in reverse order."""


def spawn(request: ForkRequest) -> First:
    """Starts the job's first process. Raises Refused; then nothing runs.

    An OSError on the way back means that the supervisor is not what it was: it must not go on.
    """
    spec = request.spec
    undo: Undo = []
    opened: list[int] = []
    try:
        script = _open_before(spec, opened)
        place = os.open(".", os.O_PATH | os.O_DIRECTORY)
        opened.append(place)
        enter_groups(request, undo)
        if oomscore.step_back():
            undo.append(oomscore.step_forward)
        if spec.cpus and not any(group.writes_to("cpuset.cpus") for group in request.groups):
            _take_processors(spec, undo)
        if spec.nice:
            _be_nicer(spec.nice, undo)
        limits = raise_limits(spec, undo) if spec.rlimits else []
        undo.append(partial(os.umask, os.umask(spec.umask)))
        undo.append(partial(os.fchdir, place))
        become_user(spec, undo)
        pid = _prepare_and_execute(spec, request.token, limits, script, opened)
    except BaseException:
        take_back(undo, opened)
        raise
    stderr = opened.pop()
    take_back(undo, opened)
    if not stat.S_ISREG(os.fstat(stderr).st_mode):  # a pipe that nobody reads would hold notices up
        os.close(stderr)
        stderr = -1
    return First(pid, stderr)


def take_back(undo: Undo, opened: list[int]) -> None:
    for step in reversed(undo):
        step()
    for fd in opened:
        os.close(fd)


def _prepare_and_execute(
    spec: LaunchSpec, token: str, limits: list[Limit], script: int, opened: list[int]
) -> int:
    """Everything that happens with the user's rights. Leaves stdin, stdout and stderr as the last of
    `opened`.
    """
    opened.append(open_input(spec.stdin))
    opened.append(_open_late("stdout", "output", spec.stdout, spec.append))
    if not spec.stderr or os.path.normpath(spec.stderr) == os.path.normpath(spec.stdout):
        opened.append(os.dup(opened[-1]))
    else:
        opened.append(_open_late("stderr", "error", spec.stderr, spec.append))
    try:
        try:
            os.chdir(spec.cwd)
        except OSError as error:
            what = f'cannot enter working directory "{spec.cwd}": {_why(error)}'
            raise Refused("chdir", what, error.errno or 0) from None
        spec, script = _asked_for(spec, token, script, opened[-1])
        crash_point(BEFORE_EXEC)
        return _execute(spec, token, limits, script, opened[-3:])
    except Refused as refused:  # the user looks there first
        if stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            _say(opened[-1], f"packhorse-{spec.node}: error: {refused}\n")
        raise


def _asked_for(spec: LaunchSpec, token: str, script: int, stderr: int) -> tuple[LaunchSpec, int]:
    """The same with the user's login environment, or inside of a container, if the job's environment says
    so."""
    environment = dict(entry.partition("=")[::2] for entry in spec.environment)
    if environment.get(LOGIN) == "1":
        from packhorse.agent.launch import loginenv

        try:
            environment = loginenv.with_login(environment, spec.user, spec.cwd, token)
        except loginenv.NoLogin as error:
            environment.pop(loginenv.HOW, None)
            _say(stderr, f"packhorse-{spec.node}: error: no login environment: {error}\n")
        spec = replace(spec, environment=tuple([f"{name}={value}" for name, value in environment.items()]))
    if environment.get(IMAGE) or environment.get(BUNDLE):
        from packhorse.agent.launch import container

        copied = script >= 0 and not _reachable(spec.argv[0])
        try:
            own = container.copied(script, environment) if copied else spec.argv[0]
            argv = container.wrapped((own, *spec.argv[1:]), environment, spec.cwd, spec.uid, spec.gid)
        except container.NoContainer as error:
            raise Refused("exec", str(error), errno.ENOENT) from None
        except OSError as error:
            raise Refused("exec", f"cannot prepare the container: {_why(error)}", error.errno or 0) from None
        return replace(spec, argv=container.removing(own, argv) if copied else argv), -1
    return spec, script


def enter_groups(request: ForkRequest, undo: Undo) -> None:
    """Puts the caller into the job's cgroups, so that its next child begins there."""
    for group in request.groups:
        try:
            cgroup.create(group)
            cgroup.join(group)
        except OSError as error:
            what = f'cannot set up cgroup "{error.filename}": {_why(error)}'
            raise Refused("cgroup", what, error.errno or 0) from None
        undo.append(partial(cgroup.leave, group))


def _take_processors(spec: LaunchSpec, undo: Undo) -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, spec.cpus)
    except OSError as error:
        cpus = ",".join(map(str, spec.cpus))
        raise Refused("limits", f"cannot run on processors {cpus}: {_why(error)}", error.errno or 0) from None
    undo.append(partial(os.sched_setaffinity, 0, before))


def raise_limits(spec: LaunchSpec, undo: Undo) -> list[Limit]:
    """Raises the caller's hard limits where the job's soft ones need it; the limits to be set.

    Without the right to raise a hard limit the soft one is cut to it.
    """
    limits = []
    for name, soft in spec.rlimits:
        try:
            kind = RLIMITS[name.lower().removeprefix("rlimit_")]
        except KeyError:
            raise Refused("limits", f'unknown resource limit "{name}"', errno.EINVAL) from None
        now, hard = before = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
            try:
                resource.setrlimit(kind, (now, soft))
                undo.append(partial(resource.setrlimit, kind, before))
                hard = soft
            except (OSError, ValueError):
                soft = hard
        limits.append(Limit(kind, soft, hard, now))
    return limits


def _be_nicer(nice: int, undo: Undo) -> None:
    """The new process inherits it. Without the right to go back the supervisor stays as nice as its job."""
    before = os.getpriority(os.PRIO_PROCESS, 0)

    def set_priority(value: int) -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, value)
        except PermissionError:
            pass

    set_priority(before + nice)
    undo.append(partial(set_priority, before))


def become_user(spec: LaunchSpec, undo: Undo) -> None:
    """Makes the caller the user, for access, signals and exec; only its saved ids let it return."""
    own = os.geteuid()
    if own != 0:
        if spec.uid != own:
            who = f"{spec.user or 'the user'} (uid {spec.uid})"
            what = f"cannot run as {who}: the agent has uid {own}, only an agent of uid 0 can change it"
            raise Refused("user", what, errno.EPERM)
        return
    gids = os.getresgid()
    undo += (partial(os.setgroups, os.getgroups()), partial(os.setresgid, *gids))
    undo.append(partial(os.setresuid, 0, 0, 0))
    try:
        os.setgroups(spec.groups)
        os.setresgid(spec.gid, spec.gid, gids[2])
        os.setresuid(spec.uid, spec.uid, 0)
    except OSError as error:
        what = f"cannot become {spec.user or 'user'} (uid {spec.uid}, gid {spec.gid}): {_why(error)}"
        raise Refused("user", what, error.errno or 0) from None


def open_input(path: str) -> int:
    fd = _open("stdin", "input", path, os.O_RDONLY)
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused("stdin", f'cannot open input file "{path}": a FIFO, to which nobody may ever write', 0)
    return fd


def open_output(stage: Stage, name: str, path: str, append: bool) -> int:
    return _open(stage, name, path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if append else os.O_TRUNC))


def _open_late(stage: Stage, name: str, path: str, append: bool) -> int:
    """Like open_output, of a file whose directory may still be made."""
    until = 0.0
    while True:
        try:
            return open_output(stage, name, path, append)
        except Refused as refused:
            now = time.monotonic()
            until = until or now + DIRECTORY_WAIT_S
            if refused.failure.errno != errno.ENOENT or now >= until:
                raise
        time.sleep(0.02)


def _open(stage: Stage, name: str, path: str, flags: int) -> int:
    """Opens without waiting for anybody: a FIFO without a reader is opened for both, so that it has one."""
    try:
        try:
            fd = os.open(path, flags | os.O_NOCTTY | os.O_NONBLOCK, 0o666)
        except OSError as error:
            if error.errno != errno.ENXIO or not stat.S_ISFIFO(os.stat(path).st_mode):
                raise
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.set_blocking(fd, True)
    except OSError as error:
        raise Refused(stage, f'cannot open {name} file "{path}": {_why(error)}', error.errno or 0) from None
    return fd


def _open_before(spec: LaunchSpec, opened: list[int]) -> int:
    """The script, opened while this process may still pass every directory; -1 where that is not needed."""
    if os.geteuid() != 0 or spec.uid == 0 or "/" not in spec.argv[0]:
        return -1
    try:
        fd = os.open(spec.argv[0], os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return -1
    opened.append(fd)
    return fd if stat.S_ISREG(os.fstat(fd).st_mode) else -1


def _execute(spec: LaunchSpec, token: str, limits: list[Limit], script: int, files: list[int]) -> int:
    environment = dict(entry.partition("=")[::2] for entry in spec.environment)
    environment[TOKEN_VARIABLE] = token
    program = spec.argv[0]
    if "/" in program:
        places = [program]
    else:
        places = [f"{at}/{program}" for at in environment.get("PATH", DEFAULT_PATH).split(":") if at]
    worst = errno.ENOENT
    for place in places:
        number = pid = 0
        try:
            pid = _posix_spawn(place, spec.argv, environment, files, limits)
        except OSError as error:
            number = error.errno or errno.EINVAL
        except MemoryError:
            number = errno.ENOMEM
        except ValueError as error:  # a NUL byte or an empty name somewhere
            raise Refused("exec", f'cannot execute "{program}": {error}', errno.EINVAL) from None
        if pid:
            return pid
        if number not in (errno.ENOENT, errno.ENOTDIR):
            worst = number
            if number != errno.EACCES:
                break
    if worst == errno.EACCES and script >= 0 and not _reachable(program):
        os.set_inheritable(script, True)
        try:
            return _posix_spawn(f"/dev/fd/{script}", spec.argv, environment, files, limits)
        except OSError as error:
            worst = error.errno or errno.EINVAL
    if worst in (errno.EAGAIN, errno.ENOMEM):
        hint = "too many processes?" if worst == errno.EAGAIN else "its own memory limit?"
        raise Refused("fork", f"cannot fork: {os.strerror(worst)} ({hint})", worst)
    raise Refused("exec", f'cannot execute "{program}": {_exec_reason(places, worst)}', worst)


def _posix_spawn(
    path: str, argv: tuple[str, ...], environment: dict[str, str], files: list[int], limits: list[Limit]
) -> int:
    """The new process. It inherits its limits, so the caller has them too, for this one call."""
    actions = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate(files)]
    try:
        for limit in limits:
            resource.setrlimit(limit.kind, (limit.soft, limit.hard))
        pid: int = os.posix_spawn(
            path,
            argv,
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=TO_DEFAULT,
        )
    finally:
        for limit in limits:
            resource.setrlimit(limit.kind, (limit.before, limit.hard))
    return pid


def _reachable(path: str) -> bool:
    """Whether the caller may look at `path`; a directory on the way may forbid it."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except OSError:
        pass
    return True


def _exec_reason(places: list[str], number: int) -> str:
    """What stands between a file and its execution, in words; a script's interpreter is often the one to
    blame.
    """
    if number == errno.ENOEXEC:
        return 'neither a program nor a script with a "#!" line (Exec format error)'
    if number == errno.E2BIG:
        return "arguments and environment are too long (Argument list too long)"
    path = places[0] if places else ""
    if number == errno.ENOENT and len(places) != 1:
        return "not found in PATH"
    if number in (errno.ENOENT, errno.EACCES, errno.ELOOP, errno.ENOTDIR) and os.path.isfile(path):
        interpreter = _interpreter(path)
        if interpreter.endswith("\r"):
            return f'its "#!" line has DOS line ends: "{interpreter[:-1]}\\r" not found'
        if interpreter and not os.access(interpreter, os.X_OK, effective_ids=True):
            return f'its interpreter "{interpreter}": {os.strerror(number)}'
        if number == errno.EACCES and not os.access(path, os.X_OK, effective_ids=True):
            return "it is not executable (Permission denied)"
    return os.strerror(number)


def _interpreter(path: str) -> str:
    """The program in the script's "#!" line, "" if there is none or it cannot be read."""
    try:
        with open(path, "rb") as script:
            line = script.readline(512)
    except OSError:
        return ""
    words = line[2:].split(None, 1) if line.startswith(b"#!") else []
    if not words:
        return ""
    ends_in_return = len(words) == 1 and line.rstrip(b"\n").endswith(b"\r")
    return words[0].decode(errors="replace") + ("\r" if ends_in_return else "")


def _say(fd: int, line: str) -> None:
    try:
        os.write(fd, line.encode())
    except OSError:
        pass


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)

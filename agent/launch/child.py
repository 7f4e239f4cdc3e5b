"""Between fork and exec: the job's first process makes itself what the spec says, then becomes the job.

In this order: die with the supervisor, join the cgroups, new session, limits, become the user, open the
files, change directory, execute. What fails is told to the supervisor over a socket that a successful exec
closes, and to the user in the job's own stderr once that is open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import stat
from typing import NoReturn

import msgspec

from packhorse.agent.launch import cgroup
from packhorse.agent.launch.exitrecord import LaunchFailure, Stage
from packhorse.agent.launch.spec import TOKEN_VARIABLE, ForkRequest, LaunchSpec
from packhorse.scheduler.model.crashpoint import crash_point, register

BEFORE_EXEC = register("child.before_exec", "the job's first process, just before it becomes the job")

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_CHANGED = (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT)
_RLIMITS = {
    name.removeprefix("RLIMIT_").lower(): getattr(resource, name)
    for name in dir(resource)
    if name.startswith("RLIMIT_")
}

_encode = msgspec.msgpack.Encoder().encode
decode_failure = msgspec.msgpack.Decoder(LaunchFailure).decode


class Refused(Exception):
    """A step failed; carries what the exit record will say."""

    def __init__(self, stage: Stage, message: str, number: int) -> None:
        super().__init__(message)
        self.failure = LaunchFailure(stage, number, message)


def adopt_orphans() -> None:
    """Makes the caller the parent of every process below it whose own parent dies. Raises OSError."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def become_job(request: ForkRequest, report: socket.socket, supervisor: int) -> NoReturn:
    """Runs in the forked child and never returns to the supervisor's code.

    report: gets one descriptor, the job's stderr, as soon as it is open, and one LaunchFailure if it comes
    to that.
    """
    stderr_open = False
    try:
        _restore_signals()
        _die_with(supervisor)
        spec = request.spec
        for group in request.groups:
            try:
                cgroup.join(group)
            except OSError as error:
                raise Refused("cgroup", f"cannot join cgroup: {_said(error)}", error.errno or 0) from None
        os.setsid()
        script = _open_before(spec)
        _set_limits(spec)
        _become_user(spec)
        _die_with(supervisor)  # changing the user has undone it
        os.umask(spec.umask)
        _open_files(spec)
        stderr_open = True
        socket.send_fds(report, [b"!"], [2])
        try:
            os.chdir(spec.cwd)
        except OSError as error:
            what = f'cannot enter working directory "{spec.cwd}": {_why(error)}'
            raise Refused("chdir", what, error.errno or 0) from None
        crash_point(BEFORE_EXEC)
        _execute(spec, request.token, script)
    except Refused as refused:
        failure = refused.failure
    except BaseException as error:
        failure = LaunchFailure("fork", getattr(error, "errno", 0) or 0, f"cannot start: {error!r}")
    try:
        report.sendall(_encode(failure))
        if stderr_open:
            os.write(2, f"packhorse-{request.spec.node}: error: {failure.message}\n".encode())
    finally:
        os._exit(1)


def _die_with(supervisor: int) -> None:
    """The kernel kills this process when its parent dies: a job whose end nobody would see must not run."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)


def _restore_signals() -> None:
    for number in _CHANGED:
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)


def _set_limits(spec: LaunchSpec) -> None:
    try:
        if spec.cpus:
            os.sched_setaffinity(0, spec.cpus)
    except OSError as error:
        cpus = ",".join(map(str, spec.cpus))
        raise Refused("limits", f"cannot run on processors {cpus}: {_why(error)}", error.errno or 0) from None
    try:
        if spec.nice:
            os.nice(spec.nice)
    except OSError as error:
        raise Refused("limits", f"cannot set nice {spec.nice}: {_why(error)}", error.errno or 0) from None
    for name, soft in spec.rlimits:
        kind = _RLIMITS.get(name.lower().removeprefix("rlimit_"))
        if kind is None:
            raise Refused("limits", f'unknown resource limit "{name}"', errno.EINVAL)
        hard = resource.getrlimit(kind)[1]
        if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
            try:
                resource.setrlimit(kind, (soft, soft))
                continue
            except (OSError, ValueError):
                soft = hard
        resource.setrlimit(kind, (soft, hard))


def _become_user(spec: LaunchSpec) -> None:
    own = os.geteuid()
    if own != 0:
        if spec.uid != own:
            who = f"{spec.user or 'the user'} (uid {spec.uid})"
            what = f"cannot run as {who}: the agent has uid {own}, only an agent of uid 0 can change it"
            raise Refused("user", what, errno.EPERM)
        return
    try:
        os.setgroups(spec.groups)
        os.setresgid(spec.gid, spec.gid, spec.gid)
        os.setresuid(spec.uid, spec.uid, spec.uid)
    except OSError as error:
        what = f"cannot become {spec.user or 'user'} (uid {spec.uid}, gid {spec.gid}): {_why(error)}"
        raise Refused("user", what, error.errno or 0) from None


def _open_files(spec: LaunchSpec) -> None:
    """Standard input, output and error on descriptors 0, 1 and 2; by now this process is the user."""
    _put(_open("stdin", "input", spec.stdin, os.O_RDONLY), 0)
    writing = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if spec.append else os.O_TRUNC)
    _put(_open("stdout", "output", spec.stdout, writing), 1)
    if not spec.stderr or os.path.normpath(spec.stderr) == os.path.normpath(spec.stdout):
        os.dup2(1, 2, inheritable=True)
    else:
        _put(_open("stderr", "error", spec.stderr, writing), 2)


def _open(stage: Stage, name: str, path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_NOCTTY, 0o666)
    except OSError as error:
        raise Refused(stage, f'cannot open {name} file "{path}": {_why(error)}', error.errno or 0) from None


def _put(fd: int, at: int) -> None:
    os.dup2(fd, at, inheritable=True)
    if fd != at:
        os.close(fd)


def _open_before(spec: LaunchSpec) -> int:
    """The script, opened while this process may still pass every directory; -1 where that is not needed."""
    if os.geteuid() != 0 or spec.uid == 0 or "/" not in spec.argv[0]:
        return -1
    try:
        fd = os.open(spec.argv[0], os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return -1
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return -1
    return fd


def _execute(spec: LaunchSpec, token: str, script: int) -> NoReturn:
    environment = dict(entry.partition("=")[::2] for entry in spec.environment)
    environment[TOKEN_VARIABLE] = token
    program = spec.argv[0]
    if "/" in program:
        places = [program]
    else:
        places = [f"{at}/{program}" for at in environment.get("PATH", DEFAULT_PATH).split(":") if at]
    worst: OSError | None = None
    for place in places:
        try:
            os.execve(place, spec.argv, environment)
        except OSError as error:
            if worst is None or error.errno not in (errno.ENOENT, errno.ENOTDIR):
                worst = error
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                break
        except ValueError as error:  # a NUL byte somewhere
            raise Refused("exec", f'cannot execute "{program}": {error}', errno.EINVAL) from None
    if script >= 0 and worst is not None and worst.errno == errno.EACCES and not _reachable(program):
        os.set_inheritable(script, True)
        try:
            os.execve(f"/dev/fd/{script}", spec.argv, environment)
        except OSError as error:
            worst = error
    number = worst.errno or 0 if worst is not None else errno.ENOENT
    raise Refused("exec", f'cannot execute "{program}": {_exec_reason(places, number)}', number)


def _reachable(path: str) -> bool:
    """Whether this process may look at `path`; a directory on the way may forbid it."""
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
        if interpreter := _interpreter(path):
            if interpreter.endswith("\r"):
                return f'its "#!" line has DOS line ends: "{interpreter[:-1]}\\r" not found'
            if not os.access(interpreter, os.X_OK):
                return f'its interpreter "{interpreter}": {os.strerror(number)}'
        if number == errno.EACCES and not os.access(path, os.X_OK):
            return "it is not executable (Permission denied)"
    return os.strerror(number)


def _interpreter(path: str) -> str:
    """The program in the script's "#!" line, "" if there is none or it cannot be read."""
    try:
        with open(path, "rb") as script:
            line = script.readline(512)
    except OSError:
        return ""
    words = line[2:].rstrip(b"\n").split(None, 1) if line.startswith(b"#!") else []
    if not words:
        return ""
    name = words[0]
    if len(words) == 1 and line.rstrip(b"\n").endswith(b"\r"):
        name += b"\r"
    return name.decode(errors="replace")


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _said(error: OSError) -> str:
    return f'"{error.filename}": {_why(error)}' if error.filename else _why(error)

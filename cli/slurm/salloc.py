"""salloc: get nodes, run a command or a shell here with them, and give them back when it ends.

The command has the terminal to itself: it is a process group in the foreground, and salloc only waits, for it
and for the end of the job.
"""

from __future__ import annotations

import os
import sys
from _signal import (  # type: ignore[import-not-found]
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGQUIT,
    SIGTERM,
    SIGTSTP,
    SIGTTIN,
    SIGTTOU,
    SIGUSR1,
    SIGUSR2,
    signal,
)
from time import sleep

from packhorse.cli.slurm import sbatch_request
from packhorse.cli.slurm.options import WARNED, UsageError, print_version, take_server
from packhorse.cli.slurm.process import CommandError, run
from packhorse.cli.slurm.salloc_options import PARSER, TABLE, from_environment
from packhorse.cli.slurm.steps import allocation
from packhorse.cli.slurm.steps.shepherd import Shepherd
from packhorse.cli.slurm.submission import error_code, list_options, merged, warn_of_too_many_nodes
from packhorse.cli.transport import CallError, TransportError, call, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PROG = "salloc"
_BELL_AFTER_S = 10.0
_STOPS = (SIGTSTP, SIGTTIN, SIGTTOU)
_SILENT_ENDS = (SIGHUP, SIGINT, SIGQUIT, SIGKILL)
"""A command that one of these ends was most likely ended by its user: the code is 0 then, as Slurm's."""


def main() -> int:
    """The console script."""
    return run(PROG, command)


def command(words: list[str]) -> int:
    """Exit code of `salloc WORDS`."""
    try:
        return _command(words)
    except (CommandError, UsageError) as error:
        error.code = error_code(error.code)
        raise
    except TransportError as error:
        raise CommandError(
            f"{PROG}: error: Unable to contact the scheduler: {error}", error_code(1)
        ) from error


def _command(words: list[str]) -> int:
    found, arguments = PARSER.parse(words)
    for name, _ in found:
        if name in ("help", "usage", "version"):
            _tell(name)
            return 0
    if ":" in arguments or ":" in words[: len(words) - len(arguments)]:
        raise sbatch_request.refuse("heterogeneous jobs (:) are not supported by Packhorse yet")
    options = merged(PARSER, from_environment(os.environ), found)
    take_server(list(options.items()))
    for name, _ in found:
        if TABLE[name][2] == WARNED:
            sys.stderr.write(f"{PROG}: warning: option --{name} has no effect\n")
    if "no-shell" in options and arguments:
        raise CommandError(f"{PROG}: error: --no-shell runs no command, and one is given: {arguments[0]}", 1)
    if options.get("clusters"):
        from packhorse.cli.slurm.clusters import checked

        checked(PROG, options["clusters"])
    kill_signal = _kill_signal(options)
    wait_s = allocation.immediate_s(options)
    name = options.get("job-name") or "interactive"  # whatever the command, as 22.05 does
    request = sbatch_request.allocation(options, PROG, name, " ".join([PROG, *words]))
    warn_of_too_many_nodes(request["spec"]["ask"])
    if "verbose" in options:
        list_options(options)
    job_id = allocation.submit(request)
    if "test-only" in options:
        return 0
    with Shepherd(job_id):
        return _hold(options, arguments, job_id, wait_s, kill_signal)


def _tell(name: str) -> None:
    if name == "version":
        print_version()
        return
    from packhorse.cli.slurm import usage

    usage.show(PROG, name)


def _hold(options: dict[str, str], arguments: list[str], job_id: int, wait_s: int, kill_signal: int) -> int:
    """From the submission to the end of the job; the command's code."""
    quiet = "quiet" in options
    from time import monotonic

    since = monotonic()
    got = allocation.granted(job_id, wait_s, quiet)
    if got is None:
        allocation.end(job_id, 1)
        sys.stderr.write(f"{PROG}: Job allocation {job_id} has been revoked.\n")
        sys.stderr.write(f"{PROG}: error: Job aborted due to signal\n")
        return error_code(1)
    if "bell" in options or ("no-bell" not in options and monotonic() - since > _BELL_AFTER_S):
        sys.stdout.write("\a")
        sys.stdout.flush()
    _say(quiet, f"Granted job allocation {job_id}")
    if "no-shell" in options:
        return 0
    code = 1
    try:
        environment = dict(item.partition("=")[::2] for item in field(got, "environment", []))
        code = _run(arguments or [_shell()], _environment(options, environment), options, job_id, kill_signal)
    finally:
        _say(quiet, f"Relinquishing job allocation {job_id}")
        allocation.end(job_id, code)
    return code


def _environment(options: Mapping[str, str], given: dict[str, str]) -> dict[str, str]:
    """The command's: ours, without what describes a job that we may run in, and the allocation's."""
    environment = sbatch_request.callers()
    environment.update(given)
    return environment


def _shell() -> str:
    """The user's, as SHELL or the system says."""
    if shell := os.environ.get("SHELL"):
        return shell
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:
        return "/bin/sh"


def _kill_signal(options: Mapping[str, str]) -> int:
    """--kill-command: what a command without a terminal gets when the job is over; 0: nothing."""
    if "kill-command" not in options:
        return 0
    text = options["kill-command"]
    if not text or text == "1":
        return int(SIGTERM)
    from packhorse.scheduler.model.signalspec import SignalError, parse_signal

    try:
        return parse_signal(text)
    except SignalError:
        raise sbatch_request.refuse("Invalid --kill-command specification") from None


def _run(
    words: list[str], environment: dict[str, str], options: Mapping[str, str], job_id: int, kill_signal: int
) -> int:
    """Runs the command and waits for it; its exit code as Slurm's salloc has it."""
    work_dir = os.path.join(sbatch_request.working_directory(), options.get("chdir", ""))
    from packhorse.cli.slurm.srun_step import resolved

    program = resolved(words[0], work_dir)
    interactive = os.isatty(0) and _foreground(0)
    child = _Child(program, words, environment, work_dir, interactive)
    if not child.pid:
        sys.stderr.write(f'{PROG}: error: Unable to exec command "{words[0]}": {child.error}\n')
        return 1
    status = child.wait(job_id, int(SIGHUP) if interactive else kill_signal)
    if interactive:
        _take_terminal(0, os.getpgrp())
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return 0 if number in _SILENT_ENDS else 128 + number
    return os.WEXITSTATUS(status)


class _Interrupt(Exception):
    """The command changed its state while we asked about the job."""


class _Child:
    """The command. pid 0: it could not be started, and error says why."""

    def __init__(
        self, program: str, words: list[str], environment: dict[str, str], work_dir: str, interactive: bool
    ) -> None:
        self.pid = 0
        self.error = ""
        self._interactive = interactive
        self._asking = self._changed = False
        self._early: list[int] = []
        for number in (SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2):
            signal(number, self._forward)
        signal(SIGTTOU, SIG_IGN)
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if not pid:
            self._exec(program, words, environment, work_dir, write_end)
        os.close(write_end)
        if interactive:
            # Both sides set it, so that it holds whichever comes first.
            _set_group(pid)
            _take_terminal(0, pid)
        self.error = os.read(read_end, 4096).decode("utf-8", "replace")
        os.close(read_end)
        if self.error:
            os.waitpid(pid, 0)
        else:
            self.pid = pid
            for number in self._early:
                _kill(pid, number)

    def _exec(
        self, program: str, words: list[str], environment: dict[str, str], work_dir: str, report: int
    ) -> None:
        """In the child: becomes the command, or says why it cannot."""
        try:
            if self._interactive:
                _set_group(0)
                _take_terminal(0, os.getpgrp())
            for number in (SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, *_STOPS):
                signal(number, SIG_DFL)
            from _signal import SIGPIPE

            signal(SIGPIPE, SIG_DFL)
            os.chdir(work_dir)
            os.execve(program, words, environment)
        except OSError as error:
            os.write(report, (error.strerror or str(error)).encode())
        finally:
            os._exit(127)

    def _forward(self, number: int, frame: object) -> None:
        """A terminal sends its signals to the command by itself; others are passed on, those that come while
        it is being started once it has."""
        if not self._interactive and number in (SIGINT, SIGQUIT) and os.isatty(0):
            return
        if self.pid:
            _kill(self.pid, number)
        else:
            self._early.append(number)

    def wait(self, job_id: int, at_end: int) -> int:
        """Its wait status. at_end: the signal that it gets when the job is over first, 0: none."""
        revoked = False
        signal(SIGCHLD, self._changed_state)
        while True:
            self._changed = False
            status = self._reaped()
            if status is not None:
                return status
            try:
                self._asking = True
                if self._changed:
                    pass
                elif revoked:
                    sleep(3600)
                elif _over(job_id):
                    revoked = True
                    sys.stderr.write(f"{PROG}: Job allocation {job_id} has been revoked.\n")
                    sys.stderr.flush()
                    if at_end:
                        _kill(self.pid, at_end)
            except _Interrupt:
                continue
            finally:
                self._asking = False

    def _changed_state(self, number: int, frame: object) -> None:
        """Ends the wait for the job, and nothing else: a wait status must not be lost."""
        self._changed = True
        if self._asking:
            self._asking = False
            raise _Interrupt

    def _reaped(self) -> int | None:
        """The wait status, if it is over. A stopped command stops us too, and goes on with us."""
        pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        if not pid:
            return None
        if not os.WIFSTOPPED(status):
            signal(SIGCHLD, SIG_DFL)
            return status
        if self._interactive:
            _take_terminal(0, os.getpgrp())
            os.kill(os.getpid(), SIGTSTP)
            _take_terminal(0, self.pid)
            from _signal import SIGCONT

            _kill(-self.pid, SIGCONT)
        return None


def _over(job_id: int) -> bool:
    """Waits for the end of the job, and says whether it came."""
    try:
        reply = call("WaitJobs", {"jobs": [{"jobId": job_id}], "timeoutS": allocation.WAIT_S}, again=False)
    except (CallError, TransportError):
        sleep(allocation.RETRY_S)
        return False
    return bool(field(reply, "all_ended", False))


def _foreground(fd: int) -> bool:
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False


def _take_terminal(fd: int, group: int) -> None:
    try:
        os.tcsetpgrp(fd, group)
    except OSError:
        pass


def _set_group(pid: int) -> None:
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass


def _say(quiet: bool, text: str) -> None:
    if not quiet:
        sys.stderr.write(f"{PROG}: {text}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

"""What every Slurm-style command does around its own work: signals, errors to one line, flushing, exit
code.
"""

from __future__ import annotations

import gc
import sys

from packhorse.cli.slurm.options import UsageError
from packhorse.cli.transport import CallError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


_program = "sbatch"


def program() -> str:
    """The command that runs: its name stands before what it says."""
    return _program


class CommandError(Exception):
    """The command ends here. text: for standard error, as it stands, no newline at its end."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def run(prog: str, work: Callable[[list[str]], int], words: list[str] | None = None) -> int:
    """Exit code of `work(arguments)`; every expected failure becomes one line on standard error.

    words: the arguments, by default the process's.
    """
    global _program
    _program = prog
    if words is None:
        words = sys.argv[1:]
        gc.disable()  # the process ends before collecting would pay
        _end_quietly_on_pipe_and_interrupt()
    try:
        code = work(words)
    except UsageError as error:
        code, text = error.code, error.lines
    except CommandError as error:
        code, text = error.code, error.text
    except CallError as error:
        code, text = 1, f"{prog}: error: {_said(error)}"
    except TransportError as error:
        code, text = 1, f"{prog}: error: {error}"
    else:
        text = ""
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or 1
        text = text or f"{prog}: error: cannot write the output: {error.strerror}"
    if text:
        sys.stderr.write(text + "\n")
    return code


def _said(error: CallError) -> str:
    """Slurm's phrase where there is one. What is not allowed says as well who asked, and who may."""
    if error.slurm and error.code == "permission_denied":
        phrase, _, _ = error.slurm.partition(" (")  # a relay's remark is in both
        return f"{phrase}: {error.message}"
    return error.slurm or error.message


def _end_quietly_on_pipe_and_interrupt() -> None:
    """`squeue | head` and Ctrl-C end the command as they end any other, without a traceback."""
    from _signal import SIG_DFL, SIGINT, SIGPIPE, signal  # type: ignore[import-not-found]

    signal(SIGPIPE, SIG_DFL)
    signal(SIGINT, SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]

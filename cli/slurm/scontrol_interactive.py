"""scontrol without a command: reads them, one a line, until `exit`, `quit` or the end of its input."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.options import UsageError
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.transport import CallError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROMPT = "scontrol: "

SWITCHES = {
    "all": ("all", True),
    "details": ("details", True),
    "hide": ("all", False),
    "oneliner": ("oneliner", True),
    "quiet": ("quiet", True),
    "verbose": ("verbose", True),
}
"""Words that switch an option on, or off, for the commands that follow."""


def session(do: Callable[[list[str], dict[str, str]], int], options: dict[str, str]) -> int:
    """Exit code: 1 if some command failed. do: one command, its words and the options."""
    worst = 0
    last: list[str] = []
    while True:
        sys.stdout.write(PROMPT)
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            sys.stdout.write("\n")
            return worst
        words, problem = _words(line)
        if words == ["!!"]:
            words = last
        if problem:
            sys.stderr.write(f"{problem}\n")
            worst = 1
        elif words:
            last = words
            if words[0].lower() in ("exit", "quit"):
                return worst
            worst = max(worst, _one(do, words, options))


def _words(line: str) -> tuple[list[str], str]:
    """The words of a line, quotes removed, and what is wrong with it."""
    import shlex

    try:
        return shlex.split(line), ""
    except ValueError as error:
        return [], f"scontrol: error: {str(error).lower()}"


def _one(do: Callable[[list[str], dict[str, str]], int], words: list[str], options: dict[str, str]) -> int:
    name = words[0].lower()
    if name in SWITCHES and len(words) == 1:
        option, on = SWITCHES[name]
        if on:
            options[option] = ""
        else:
            options.pop(option, None)
        return 0
    try:
        return do(words, options)
    except (CommandError, UsageError) as error:
        text = error.text if isinstance(error, CommandError) else error.lines
    except CallError as error:
        text = f"scontrol: error: {error.slurm or error.message}"
    except TransportError as error:
        text = f"scontrol: error: {error}"
    sys.stdout.flush()
    sys.stderr.write(f"{text}\n")
    return 1

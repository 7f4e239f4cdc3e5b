"""Signals by name or number, and `--signal=[R][B:]SIG[@SECONDS]`.

Numbers are Linux's on x86-64 and arm64. Standard library only and no imports: the Slurm-style commands load
this file.
"""

from __future__ import annotations

# Position is number - 1.
# fmt: off
_NAMES = (
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU",
    "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
)
# fmt: on

NUMBER_BY_NAME = {name: number for number, name in enumerate(_NAMES, start=1)}

DEFAULT_WARN_S = 60
"""Seconds before the limit at which a warning signal without @ is sent."""

MAX_WARN_S = 65535


class SignalError(ValueError):
    """A signal that cannot be read."""


def parse_signal(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `term` or `15`."""
    if text.isdecimal() and text.isascii() and len(text) <= 3:
        number = int(text)
        if 1 <= number <= 64:
            return number
        raise SignalError(f'signal "{text}": numbers are 1 to 64')
    number = NUMBER_BY_NAME.get(text.upper().removeprefix("SIG"), 0)
    if not number:
        raise SignalError(f'signal "{text}": not a signal name (TERM, USR1, ...) or number')
    return number


def signal_name(number: int) -> str:
    """`TERM` for 15; a number without a name stays a number."""
    return _NAMES[number - 1] if 1 <= number <= len(_NAMES) else str(number)


def parse_warning(text: str) -> tuple[int, int, bool]:
    """(signal number, seconds before the limit, to the batch shell only) of `[R][B:]SIG[@SECONDS]`.

    R (also when a reservation begins to be used) is read and has no effect: there are no overlapping
    reservations.
    """
    spec = text
    to_batch_shell = False
    head, colon, rest = spec.partition(":")
    if colon:
        flags = head.upper()
        if not flags or set(flags) - {"R", "B"}:
            raise SignalError(f'signal "{text}": accepted is [R][B:]SIGNAL[@SECONDS]')
        to_batch_shell = "B" in flags
        spec = rest
    name, at, seconds = spec.partition("@")
    if at and not (
        seconds.isdecimal() and seconds.isascii() and len(seconds) <= 5 and int(seconds) <= MAX_WARN_S
    ):
        raise SignalError(f'signal "{text}": seconds after @ are 0 to {MAX_WARN_S}')
    return parse_signal(name), int(seconds) if at else DEFAULT_WARN_S, to_batch_shell

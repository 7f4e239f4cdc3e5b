"""`--gang=NAME:SIZE[@TIME]`: jobs of one user that start together or not at all.

Standard library only and no imports: the Slurm-style commands load this file.
"""

from __future__ import annotations

MOST_MEMBERS = 10_000
MOST_WAIT_S = 365 * 86_400
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class GangError(ValueError):
    """What cannot be read; the text says what is accepted."""


def parse_gang(text: str) -> tuple[str, int, int]:
    """(name, how many members, seconds after which those that wait are given up, 0: never) of `NAME:SIZE`,
    `NAME:SIZE@30m`."""
    name, colon, rest = text.strip().rpartition(":")
    size, at, wait = rest.partition("@")
    if not colon or not name or not name.isprintable() or " " in name:
        raise GangError(f'"{text}" is not NAME:SIZE[@TIME], such as pair:2 or pair:2@30m')
    if not _is_number(size) or not 1 <= int(size) <= MOST_MEMBERS:
        raise GangError(f'"{size}" is not a number of members from 1 to {MOST_MEMBERS}')
    return name, int(size), _time_s(wait) if at else 0


def _time_s(text: str) -> int:
    unit = _UNITS_S.get(text[-1:].lower(), 0)
    digits = text[:-1] if unit else text
    if not _is_number(digits) or not 1 <= int(digits) * (unit or 1) <= MOST_WAIT_S:
        raise GangError(f'"{text}" is not a time such as 90s, 30m, 2h or 1d, up to 365d')
    return int(digits) * (unit or 1)


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) < 10

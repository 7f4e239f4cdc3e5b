"""Values as Slurm's configuration writes them: yes and no, counts, times, memory, weights."""

from __future__ import annotations

import re

from packhorse.cli.importing.conf_file import Pair
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.tres import is_name
from packhorse.scheduler.model.units import UnitError, parse_time_limit_s

_NUMBER = re.compile(r"[0-9]{1,18}")
_WEIGHT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})([KMGTP]?)", re.IGNORECASE)
_UNLIMITED = ("unlimited", "infinite", "-1")


def bad(pair: Pair, wanted: str) -> BadValue:
    """The error for a value that none is."""
    return BadValue(f'{pair.place}: {pair.key}="{pair.value[:60]}" is not {wanted}')


def flag(pair: Pair) -> bool:
    """YES, NO, UP, DOWN, TRUE, FALSE, 1, 0, as Slurm reads them."""
    word = pair.value.lower()
    if word in ("yes", "up", "true", "1", "y", "t"):
        return True
    if word in ("no", "down", "false", "0", "n", "f"):
        return False
    raise bad(pair, "YES or NO")


def count(pair: Pair, low: int = 0, high: int = (1 << 32) - 1) -> int:
    """A whole number between low and high."""
    if not _NUMBER.fullmatch(pair.value):
        raise bad(pair, f"a whole number from {low} to {high}")
    number = int(pair.value)
    if not low <= number <= high:
        raise bad(pair, f"between {low} and {high}")
    return number


def is_unlimited(pair: Pair) -> bool:
    return pair.value.lower() in _UNLIMITED


def seconds(pair: Pair) -> int:
    """Of a time as in --time, bare minutes; 0 for none."""
    try:
        return parse_time_limit_s(pair.value)
    except UnitError:
        raise bad(pair, "a time: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S or UNLIMITED") from None


def words(pair: Pair) -> list[str]:
    """`a,b,,c`: a, b, c."""
    return [word.strip() for word in pair.value.split(",") if word.strip()]


def hosts(pair: Pair) -> list[str]:
    """The names of a host list, each once."""
    try:
        return list(dict.fromkeys(expand(pair.value)))
    except HostlistError as error:
        raise BadValue(f"{pair.place}: {pair.key}: {error}") from None


def weights(pair: Pair) -> dict[str, tuple[float, str]]:
    """`CPU=1.0,Mem=0.25G,GRES/gpu=2`: by name (cpu, mem, gres/gpu) the number and its suffix, in capitals."""
    found: dict[str, tuple[float, str]] = {}
    for word in words(pair):
        name, equals, text = word.partition("=")
        match = _WEIGHT.fullmatch(text.strip())
        if not equals or match is None:
            raise bad(pair, f'a list of NAME=WEIGHT ("{word[:40]}")')
        found[tres_name(name.strip())] = (float(match[1]), match[2].upper())
    return found


def tres_name(name: str) -> str:
    """As Packhorse spells it: kinds in lower case, what follows the slash as it stands."""
    kind, slash, rest = name.partition("/")
    return kind.lower() + slash + rest


def is_counted(name: str) -> bool:
    """Whether Packhorse counts something of this name."""
    return is_name(name)

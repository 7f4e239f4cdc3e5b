"""Times, amounts of memory and counts as people write them, and as Slurm's commands print them.

Time limits are whole seconds here, 0 meaning no limit; memory is whole MiB. Departure from Slurm: a limit of
`0:90` stays 90 seconds, where Slurm rounds it up to 2 minutes.

Standard library only and no imports: the Slurm-style commands load this file at every start.
"""

from __future__ import annotations

NO_LIMIT = 0
"""A time limit of 0 is no time limit, in requests (`--time=0`) and in every stored value."""

MAX_TIME_LIMIT_S = 365 * 24 * 3600 * 100
"""Longest finite limit that is read; more is a typing error."""

_UNITS = "?KMGTP?"  # position 0: a plain number


class UnitError(ValueError):
    """A time or amount that cannot be read; the text names it and says what is accepted."""


def parse_time_limit_s(text: str) -> int:
    """Seconds of a time limit, 0 for none.

    Accepted: minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S (any part may be larger than the clock's, `36:00:00`),
    and UNLIMITED, INFINITE or -1.
    """
    lowered = text.lower()
    if lowered in ("-1", "infinite", "unlimited"):
        return NO_LIMIT
    days_text, dash, rest = text.partition("-")
    parts = (rest if dash else text).split(":")
    if len(parts) > 3 or not all(_is_count(part) for part in parts) or (dash and not _is_count(days_text)):
        raise UnitError(
            f'time limit "{text}": accepted are minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S and UNLIMITED'
        )
    numbers = [int(part) for part in parts]
    if dash:
        hours, minutes, seconds = (*numbers, 0, 0)[:3]
        total = int(days_text) * 86400 + hours * 3600 + minutes * 60 + seconds
    elif len(numbers) == 3:
        total = numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
    else:
        total = numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0)
    if total > MAX_TIME_LIMIT_S:
        raise UnitError(f'time limit "{text}": more than 100 years')
    return total


def format_elapsed(seconds: int) -> str:
    """squeue's form: `0:05`, `1:02:03`, `2-00:00:00`."""
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    if seconds < 86400:
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 86400}-{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def format_clock(seconds: int) -> str:
    """scontrol's and sacct's form: `00:00:05`, `2-00:00:00`."""
    if seconds < 86400:
        return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 86400}-{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def format_time_limit(seconds: int) -> str:
    """scontrol's form of a limit: `01:00:00`, `UNLIMITED`."""
    return "UNLIMITED" if seconds == NO_LIMIT else format_clock(seconds)


def parse_mem_mib(text: str) -> int:
    """MiB of an amount of memory: a whole number with K, M (also none), G, T or P, and an optional B.

    K is rounded up to a MiB. Fractions are refused, as Slurm does.
    """
    digits = text.rstrip("KMGTPBkmgtpb")
    unit = text[len(digits) :].upper()
    if not _is_count(digits) or unit not in ("", "K", "KB", "M", "MB", "G", "GB", "T", "TB", "P", "PB"):
        raise UnitError(f'memory "{text}": accepted is a whole number with K, M, G, T or P (none: M)')
    number = int(digits)
    if unit.startswith("K"):
        return -(-number // 1024)
    power = " MGTP".index(unit[0]) - 1 if unit else 0
    return int(number << (10 * power))


def format_size(
    amount: float, unit: str, *, as_unit: str = "", exact: bool = True, convert: bool = True
) -> str:
    """An amount in `unit` ("", K, M, G, T, P: powers of 1024) as Slurm prints it: `500M`, `1G`, `2.60M`, `0`.

    exact: go to a larger unit only while nothing is lost (else: to the largest unit). as_unit: this unit and
    no other. convert=False keeps `unit`.
    """
    if amount == 0:
        return "0"
    index = _UNITS.index(unit) if unit else 0
    if as_unit:
        wanted = _UNITS.index(as_unit)
        number: float = amount * 1024.0 ** (index - wanted)
        index = wanted
    else:
        number = amount
        while convert and number >= 1024 and index < 5:
            if exact and number % 1024:
                break
            number /= 1024
            index += 1
    letter = _UNITS[index] if index else ""
    return f"{int(number)}{letter}" if number == int(number) else f"{number:.2f}{letter}"


def format_mem_mib(mib: int) -> str:
    """`500M`, `1G`, `1500M`: never less exact than the amount."""
    unit = "M"
    for larger in "GTP":
        if mib < 1024 or mib % 1024:
            break
        mib //= 1024
        unit = larger
    return f"{mib}{unit}" if mib else "0"


def format_span(seconds: int) -> str:
    """`2 h 10 min`, `40 s`: the two largest units that are not 0."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        n, seconds = divmod(seconds, size)
        if n:
            parts.append(f"{n} {unit}")
    return " ".join(parts[:2]) or "0 s"


def parse_count(text: str, *, low: int = 0, high: int = 0xFFFF_FFFF) -> int:
    """A plain whole number between low and high."""
    if not _is_count(text):
        raise UnitError(f'"{text}" is not a whole number')
    number = int(text)
    if not low <= number <= high:
        raise UnitError(f'"{text}" is not between {low} and {high}')
    return number


def parse_count_range(text: str) -> tuple[int, int]:
    """`4` -> (4, 4); `2-8` -> (2, 8). Counts may end in k or m (1024s), as Slurm allows for --nodes."""
    low_text, dash, high_text = text.partition("-")
    low = _scaled(low_text, text)
    high = _scaled(high_text, text) if dash else low
    if high < low:
        raise UnitError(f'"{text}": the range runs backwards')
    return low, high


def _scaled(text: str, whole: str) -> int:
    factor = 1
    if text[-1:] in ("k", "K"):
        text, factor = text[:-1], 1024
    elif text[-1:] in ("m", "M"):
        text, factor = text[:-1], 1024 * 1024
    if not _is_count(text):
        raise UnitError(f'"{whole}" is not a count or a range like 2-4')
    return int(text) * factor


def _is_count(text: str) -> bool:
    """Plain ASCII digits, short enough to be an amount."""
    return text.isdecimal() and text.isascii() and len(text) <= 18

"""`--oom-retry=FACTORx[,max=N]`: how a job that ran out of memory is run again.

Standard library only and no imports: the Slurm-style commands load this file.
"""

from __future__ import annotations

LEAST_MILLI = 1_001
MOST_MILLI = 100_000
"""Thousandths: memory that does not grow would run out again."""
MOST_RETRIES = 1_000


class OomRetryError(ValueError):
    """What cannot be read; the text says what is accepted."""


def parse_oom_retry(text: str) -> tuple[int, int]:
    """(thousandths of the memory, most further runs) of `2x`, `1.5x`, `2x,max=3`; 0 runs: as many as may
    be."""
    factor, comma, rest = text.strip().lower().partition(",")
    milli = _milli(factor.removesuffix("x"))
    if milli is None or not LEAST_MILLI <= milli <= MOST_MILLI:
        raise OomRetryError(
            f'"{factor}" is not a factor over 1 and up to {MOST_MILLI // 1000}; give one such as 2x or 1.5x'
        )
    if not comma:
        return milli, 0
    name, equals, number = rest.partition("=")
    if name.strip() != "max" or not equals:
        raise OomRetryError(f'"{rest}" is not max=N, the most further runs')
    if not (number.isdecimal() and number.isascii() and 1 <= int(number) <= MOST_RETRIES):
        raise OomRetryError(f'"{number}" is not a number of runs from 1 to {MOST_RETRIES}')
    return milli, int(number)


def format_factor(milli: int) -> str:
    """`2x`, `1.5x`."""
    whole, rest = divmod(milli, 1000)
    return f"{whole}.{rest:03}".rstrip("0") + "x" if rest else f"{whole}x"


def _milli(text: str) -> int | None:
    """Thousandths of a number with at most three digits after the point."""
    whole, _, part = text.partition(".")
    digits = whole + part
    if not (digits.isdecimal() and digits.isascii()) or not whole or len(part) > 3 or len(whole) > 6:
        return None
    return int(whole) * 1000 + int(part.ljust(3, "0") if part else 0)

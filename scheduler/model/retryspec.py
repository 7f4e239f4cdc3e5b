"""`--retry=N[,backoff=TIME][,on=CODE[:CODE]...][,avoid-node]`: how a job that failed is run again.

Standard library only and no imports: the Slurm-style commands load this file.
"""

from __future__ import annotations

MOST_RETRIES = 1_000
MOST_BACKOFF_S = 86_400
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


class RetryError(ValueError):
    """What cannot be read; the text says what is accepted."""


def parse_retry(text: str) -> tuple[int, int, tuple[int, ...], bool]:
    """(most further runs, seconds before the first, exit codes, not on the node where it failed) of `3`,
    `3,backoff=1m,on=75:137,avoid-node`. No codes: after any failure. A signal N counts as 128 + N."""
    first, *rest = [part.strip() for part in text.strip().lower().split(",")]
    most = _number(first, MOST_RETRIES)
    if not most:
        raise RetryError(f'"{first}" is not a number of further runs from 1 to {MOST_RETRIES}')
    codes: tuple[int, ...] = ()
    backoff_s, avoid = 30, False
    for part in rest:
        name, _, value = part.partition("=")
        if name == "backoff":
            backoff_s = _time_s(value)
        elif name == "on":
            codes = tuple(sorted({_code(one) for one in value.split(":")}))
        elif part == "avoid-node":
            avoid = True
        else:
            raise RetryError(f'"{part}" is none of backoff=TIME, on=CODE[:CODE]..., avoid-node')
    return most, backoff_s, codes, avoid


def format_retry(most: int, backoff_s: int, codes: tuple[int, ...], avoid: bool) -> str:
    """As `parse_retry` reads it."""
    on = f",on={':'.join([str(code) for code in codes])}" if codes else ""
    return f"{most},backoff={backoff_s}s{on}{',avoid-node' if avoid else ''}"


def _code(text: str) -> int:
    code = _number(text, 255)
    if not code:
        raise RetryError(f'"{text}" is not an exit code from 1 to 255')
    return code


def _time_s(text: str) -> int:
    unit = _UNITS_S.get(text[-1:], 0)
    digits = text[:-1] if unit else text
    if not (digits.isdecimal() and digits.isascii()) or int(digits) * (unit or 1) > MOST_BACKOFF_S:
        raise RetryError(f'backoff "{text}" is not a time such as 30s, 5m or 1h, up to 24h')
    return int(digits) * (unit or 1)


def _number(text: str, most: int) -> int:
    """The number from 1 to most, 0 if it is none."""
    ok = text.isdecimal() and text.isascii() and len(text) < 9 and 1 <= int(text) <= most
    return int(text) if ok else 0

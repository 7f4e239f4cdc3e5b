"""Times in a query: seconds since 1970 or a date, as slurmrestd reads them."""

from __future__ import annotations

import time

from packhorse.scheduler.service.failures import CallFailed, Code

_FORMS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d")
_LONGEST = 12
"""Digits of seconds; more are beyond every calendar."""


def instant_us(name: str, text: str, now_us: int) -> int:
    """Microseconds since 1970 of a parameter's text, 0 for none. Dates are of this host's zone, and a number
    after uts is seconds too; `now-2hours` is not read. Raises CallFailed."""
    text = text.strip()
    if not text:
        return 0
    digits = text.removeprefix("uts")
    if digits.isascii() and digits.isdecimal() and len(digits) <= _LONGEST:
        return int(digits) * 1_000_000
    if text.lower() == "now":
        return now_us
    for form in _FORMS:
        try:
            return int(time.mktime(time.strptime(text, form))) * 1_000_000
        except (ValueError, OverflowError):
            continue
    raise CallFailed(
        Code.INVALID_ARGUMENT,
        f'{name}: "{text[:100]}" is no time; write seconds since 1970 or 2026-11-28T12:00:00',
    )

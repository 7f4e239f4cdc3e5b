"""When a line of a crontab is due: five fields, or a nickname.

`minute hour day-of-month month day-of-week`, each `*`, a number, a range `a-b`, a list of these, and steps
`*/n` and `a-b/n`; months and days of the week by the first three letters of their names too. As in cron a
day counts if day of month or day of week fits, where both are restricted, else if both do.
"""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.model.errors import BadValue

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@elevenses": "0 11 * * *",
    "@fika": "0 15 * * *",
    "@teatime": "0 16 * * *",
}

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
"""(name, lowest, highest, names of values from the lowest on)."""


class Cron(NamedTuple):
    """What the fields allow. either_day: a day of the month or of the week is enough. weekdays: 0 is
    Sunday."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either_day: bool

    @property
    def every_hour(self) -> bool:
        return len(self.hours) == 24


def parse_cron(text: str) -> Cron:
    """Raises BadValue that names the field."""
    words = NICKNAMES.get(text.strip().lower(), text).split()
    if text.strip().startswith("@") and len(words) == 1:
        raise BadValue(f'"{text.strip()}" is not known; there are {", ".join(NICKNAMES)}')
    if len(words) != len(_FIELDS):
        raise BadValue(f'"{text}": minute, hour, day of month, month and day of week are needed')
    minutes, hours, days, months, weekdays = (
        _field(word, name, low, high, names)
        for word, (name, low, high, names) in zip(words, _FIELDS, strict=True)
    )
    weekdays = frozenset(day % 7 for day in weekdays)
    restricted = not words[2].startswith("*") and not words[4].startswith("*")
    return Cron(minutes, hours, days, months, weekdays, restricted)


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, name, 1, high, ()) if slash else 1
        if span == "*":
            first, last = low, high
        else:
            first_text, dash, last_text = span.partition("-")
            first = _number(first_text, name, low, high, names)
            last = _number(last_text, name, low, high, names) if dash else high if slash else first
        if last < first:
            raise BadValue(f'{name} "{part}": its end is before its beginning')
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not (text.isascii() and text.isdecimal() and len(text) < 9) or not low <= int(text) <= high:
        raise BadValue(f'{name} "{text}": a number from {low} to {high} is needed')
    return int(text)

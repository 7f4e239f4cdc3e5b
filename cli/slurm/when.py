"""Instants as people write them: `now+1hour`, `16:30`, `tomorrow`, `2027-01-31T08:00`, `013127`.

The forms of Slurm's --begin, --deadline and sacct's -S/-E. Local time, as those commands have it. The
current time is an argument; the zone is the process's (TZ).
"""

from __future__ import annotations

from time import localtime, mktime

_HOURS = {"midnight": 0, "noon": 12, "fika": 15, "teatime": 16}
_UNITS_S = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


class WhenError(ValueError):
    """A date or time that cannot be read. pos: index of the first character that is not understood."""

    def __init__(self, text: str, pos: int) -> None:
        super().__init__(f"Invalid time specification (pos={pos}): {text}")
        self.text = text
        self.pos = pos


def parse_when_s(text: str, now_s: int, *, past: bool = False) -> int:
    """Seconds since the epoch of `text`, read at `now_s`.

    A time of day without a date that has already passed is tomorrow's, a date without a year that has passed
    is next year's; with past=True (sacct) they stay today's and this year's. A date without a time is its
    midnight. Raises WhenError.
    """
    return _Reader(text, now_s, past).read()


class _Reader:
    """One text read from left to right; date and time of day may come in either order."""

    def __init__(self, text: str, now_s: int, past: bool) -> None:
        self.text = text
        self.pos = 0
        self.now_s = now_s
        self.past = past
        self.date: tuple[int, int, int] | None = None  # year (0: not given), month, day
        self.time: tuple[int, int, int] | None = None

    def read(self) -> int:
        text = self.text
        instant: int | None = None
        if text.startswith("uts") and text[3:].isdecimal():
            return int(text[3:])
        while self.pos < len(text):
            char = text[self.pos]
            if char in " \t-T" and self._word() != "teatime" and self._word() not in ("today", "tomorrow"):
                self.pos += 1
            elif char.isdecimal():
                self._number()
            elif self._word() == "now" and self.date is None and self.time is None:
                instant = self._now()
            else:
                self._named(self._word())
        if instant is not None:
            if self.date or self.time:
                raise WhenError(text, 0)
            return instant
        if self.date is None and self.time is None:
            raise WhenError(text, 0)
        return self._instant()

    def _fail(self) -> WhenError:
        return WhenError(self.text, self.pos)

    def _word(self) -> str:
        """The letters at the current place, lower case."""
        end = self.pos
        while end < len(self.text) and self.text[end].isalpha():
            end += 1
        return self.text[self.pos : end].lower()

    def _digits(self) -> str:
        end = self.pos
        while end < len(self.text) and self.text[end] in "0123456789":
            end += 1
        digits = self.text[self.pos : end]
        self.pos = end
        return digits

    def _named(self, word: str) -> None:
        if word in _HOURS and self.time is None:
            self.time = (_HOURS[word], 0, 0)
        elif word in ("today", "tomorrow") and self.date is None:
            # Noon of that day counted from now, so that a day of 23 or 25 hours cannot skip one.
            day = localtime(self.now_s)
            noon = int(mktime((day[0], day[1], day[2] + (word == "tomorrow"), 12, 0, 0, 0, 0, -1)))
            there = localtime(noon)
            self.date = (there[0], there[1], there[2])
        else:
            raise self._fail()
        self.pos += len(word)

    def _now(self) -> int:
        """`now`, `now+COUNT[unit]`, `now-COUNT[unit]`, blanks allowed around the sign."""
        self.pos += 3
        text = self.text
        while self.pos < len(text) and text[self.pos] in " \t":
            self.pos += 1
        if self.pos == len(text):
            return self.now_s
        sign = text[self.pos]
        if sign not in "+-":
            raise self._fail()
        self.pos += 1
        while self.pos < len(text) and text[self.pos] in " \t":
            self.pos += 1
        digits = self._digits()
        if not digits or len(digits) > 9:
            raise self._fail()
        while self.pos < len(text) and text[self.pos] in " \t":
            self.pos += 1
        word = self._word()
        unit = 1
        if word:
            singular = word.removesuffix("s")
            matches = [name for name in _UNITS_S if name.startswith(singular)] if singular else []
            if not matches:
                raise self._fail()
            unit = _UNITS_S[matches[0]]
            self.pos += len(word)
        delta = int(digits) * unit
        return self.now_s + delta if sign == "+" else self.now_s - delta

    def _number(self) -> None:
        start = self.pos
        digits = self._digits()
        after = self.text[self.pos : self.pos + 1]
        if after == ":" and len(digits) <= 2:
            self._clock(int(digits))
        elif len(digits) == 4 and self.date is None and self._month_follows():
            self._iso(int(digits))
        elif after in ("/", ".") and after and len(digits) <= 2 and self.date is None:
            self._slashed(int(digits), after)
        elif len(digits) in (4, 6) and self.date is None:
            year = 2000 + int(digits[4:6]) if len(digits) == 6 else 0
            self._set_date(year, int(digits[:2]), int(digits[2:4]), start)
        elif self._word() in ("am", "pm") and len(digits) <= 2:
            self._half(int(digits), 0, 0)
        else:
            self.pos = start
            raise self._fail()

    def _month_follows(self) -> bool:
        """Whether `-MM-` stands here: four digits before it are a year, not month and day."""
        rest = self.text[self.pos : self.pos + 4]
        month = rest[1:3].rstrip("-")
        return rest[:1] == "-" and month.isdecimal() and rest[1 + len(month) : 2 + len(month)] == "-"

    def _clock(self, hour: int) -> None:
        """`:MM[:SS][am|pm]` after the hour."""
        numbers = [0, 0]
        for index in range(2):
            if self.text[self.pos : self.pos + 1] != ":":
                break
            self.pos += 1
            digits = self._digits()
            if not 1 <= len(digits) <= 2 or int(digits) > 59:
                raise self._fail()
            numbers[index] = int(digits)
        if self.text[self.pos : self.pos + 1] == ".":  # fractions of a second are read and dropped
            self.pos += 1
            if not self._digits():
                raise self._fail()
        blanks = self.pos
        while self.text[self.pos : self.pos + 1] == " ":
            self.pos += 1
        if self._word() in ("am", "pm"):
            self._half(hour, numbers[0], numbers[1])
            return
        self.pos = blanks
        if hour > 23 or self.time is not None:
            raise self._fail()
        self.time = (hour, numbers[0], numbers[1])

    def _half(self, hour: int, minute: int, second: int) -> None:
        if not 1 <= hour <= 12 or self.time is not None:
            raise self._fail()
        self.time = (hour % 12 + (12 if self._word() == "pm" else 0), minute, second)
        self.pos += 2

    def _iso(self, year: int) -> None:
        start = self.pos
        numbers = []
        for _ in range(2):
            if self.text[self.pos : self.pos + 1] != "-":
                raise self._fail()
            self.pos += 1
            digits = self._digits()
            if not 1 <= len(digits) <= 2:
                raise self._fail()
            numbers.append(int(digits))
        self._set_date(year, numbers[0], numbers[1], start)

    def _slashed(self, month: int, mark: str) -> None:
        start = self.pos
        self.pos += 1
        digits = self._digits()
        if not 1 <= len(digits) <= 2:
            raise self._fail()
        year = 0
        if self.text[self.pos : self.pos + 1] == mark:
            self.pos += 1
            year_digits = self._digits()
            if len(year_digits) not in (2, 4):
                raise self._fail()
            year = int(year_digits) + (2000 if len(year_digits) == 2 else 0)
        self._set_date(year, month, int(digits), start)

    def _set_date(self, year: int, month: int, day: int, start: int) -> None:
        if not (1 <= month <= 12 and 1 <= day <= 31) or (year and not 1970 <= year <= 2999):
            self.pos = start
            raise self._fail()
        self.date = (year, month, day)

    def _instant(self) -> int:
        hour, minute, second = self.time or (0, 0, 0)
        today = localtime(self.now_s)
        if self.date is None:
            at = _local(today[0], today[1], today[2], hour, minute, second)
            if at < self.now_s and not self.past:
                at = _local(today[0], today[1], today[2] + 1, hour, minute, second)
            return at
        year, month, day = self.date
        at = _local(year or today[0], month, day, hour, minute, second)
        if not year and at < self.now_s and not self.past:
            at = _local(today[0] + 1, month, day, hour, minute, second)
        if localtime(at)[1] != month:  # 31 April
            raise WhenError(self.text, 0)
        return at


def _local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    return int(mktime((year, month, day, hour, minute, second, 0, 0, -1)))

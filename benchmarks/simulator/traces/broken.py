"""What is done about what cannot be read or simulated: stop with an error, or skip, count and go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final, TypeVar

from packhorse.scheduler.model.errors import PackhorseError

KEPT_MESSAGES: Final = 5
"""Of skipped lines; a file in another format than thought has as many as lines."""

SHOWN: Final = 60
"""Characters of a field that errors show."""

Line = TypeVar("Line")
Made = TypeVar("Made")


class TraceBroken(PackhorseError):
    """A trace cannot be read: file, line, column, and what was expected there."""


def shown(text: str) -> str:
    """A field as errors show it: in quotes, on one line, and not too long."""
    short = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return '"' + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short) + '"'


class OnBroken(StrEnum):
    """What to do about a line that cannot be read."""

    STOP = "stop"
    SKIP = "skip"


class Skipped:
    """The lines of a trace that gave no job, counted while it is read.

    broken: those that could not be read (on_broken "skip" only). left_out: by reason, those that could be
    read and that the reader's rules leave out. messages: the first few errors. All complete when the jobs
    have been read to their end.
    """

    __slots__ = ("broken", "left_out", "messages", "on_broken")

    def __init__(self, on_broken: str = OnBroken.STOP) -> None:
        try:
            self.on_broken = OnBroken(on_broken)
        except ValueError:
            raise TraceBroken(f'on_broken "{on_broken}": write stop or skip') from None
        self.broken = 0
        self.left_out: Counter[str] = Counter()
        self.messages: list[str] = []

    @property
    def count(self) -> int:
        """Lines that gave no job, for whatever reason."""
        return self.broken + self.left_out.total()

    def line_broken(self, why: TraceBroken) -> None:
        """Counts a line that cannot be read, or raises `why` where that is to stop the reading."""
        if self.on_broken is OnBroken.STOP:
            raise why
        self.broken += 1
        if len(self.messages) < KEPT_MESSAGES:
            self.messages.append(str(why))

    def leave_out(self, reason: str) -> None:
        """Counts a line that the reader's rules leave out."""
        self.left_out[reason] += 1

    def __str__(self) -> str:
        """One line for people: `3 lines skipped: 2 cannot be read, 1 run time unknown`; "" for none."""
        parts = [f"{self.broken} cannot be read"] if self.broken else []
        parts += [f"{n} {reason}" for reason, n in sorted(self.left_out.items())]
        what = "line" if self.count == 1 else "lines"
        return f"{self.count} {what} skipped: {', '.join(parts)}" if parts else ""


def converted(
    lines: Iterable[Line], convert: Callable[[Line], Made | None], skipped: Skipped
) -> Iterator[Made]:
    """What `convert` makes of the lines, without those of which it makes nothing or that are broken."""
    for line in lines:
        try:
            made = convert(line)
        except TraceBroken as why:
            skipped.line_broken(why)
            continue
        if made is not None:
            yield made

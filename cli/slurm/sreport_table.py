"""How sreport writes: units of time, columns with Slurm's widths, headings."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


class Unit:
    """A unit of time. title: in the heading. seconds: of one. per: with the part of the total; only: that
    alone."""

    __slots__ = ("only", "per", "seconds", "title")

    def __init__(self, title: str, seconds: int, per: bool, only: bool) -> None:
        self.title = title
        self.seconds = seconds
        self.per = per
        self.only = only


class Field:
    """A column. width below 0: to the left. wide: width where the part of the total is shown, 0: as ever."""

    __slots__ = ("title", "value", "wide", "width")

    def __init__(self, title: str, width: int, value: Callable[[Any], Any], wide: int = 0) -> None:
        self.title = title
        self.width = width
        self.value = value
        self.wide = wide

    def as_wide_as(self, width: int) -> Field:
        """The same column with this width, whatever is shown."""
        return Field(self.title, width, self.value, width)


UNITS = {
    "seconds": Unit("Seconds", 1, False, False),
    "minutes": Unit("Minutes", 60, False, False),
    "hours": Unit("Hours", 3600, False, False),
    "percent": Unit("Percentage of Total", 1, False, True),
    "secper": Unit("Seconds/Percentage of Total", 1, True, False),
    "minper": Unit("Minutes/Percentage of Total", 60, True, False),
    "hourper": Unit("Hours/Percentage of Total", 3600, True, False),
}
"""By name; a beginning is enough, and means the first that has it."""

LINE = "-" * 80


def unit_named(name: str) -> Unit | None:
    """The unit that the word begins, None if it begins none."""
    return next((unit for key, unit in UNITS.items() if name and key.startswith(name.lower())), None)


class Amount:
    """A time of a resource, in seconds, and the total that it is a part of."""

    __slots__ = ("seconds", "total")

    def __init__(self, seconds: float, total: float) -> None:
        self.seconds = seconds
        self.total = total

    def text(self, unit: Unit) -> str:
        """As in the unit."""
        part = f"{100 * self.seconds / self.total if self.total else 0:.2f}%"
        if unit.only:
            return part
        amount = f"{self.seconds / unit.seconds:.0f}"
        return f"{amount}({part})" if unit.per else amount


class Layout:
    """What the options say about form."""

    def __init__(self, unit: Unit, header: bool, separator: str, end: str) -> None:
        self.unit = unit
        self.header = header
        self.separator = separator
        self.end = end

    def heading(self, title: str, measure: str) -> str:
        """The lines above the columns."""
        return f"{LINE}\n{title}\n{measure}\n{LINE}\n" if self.header else ""

    def rows(self, fields: Sequence[Field], rows: Sequence[Any]) -> str:
        """Column heads and rows."""
        widths = [f.wide if f.wide and self.unit.per else f.width for f in fields]
        lines = []
        if self.header:
            lines.append(self._line([f.title for f in fields], widths))
            if not self.separator:
                lines.append("".join("-" * abs(width) + " " for width in widths))
        lines += [self._line([self._text(f.value(row)) for f in fields], widths) for row in rows]
        return "".join(f"{line}\n" for line in lines)

    def _text(self, value: object) -> str:
        return value.text(self.unit) if isinstance(value, Amount) else str(value)

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        if self.separator:
            return self.separator.join(cells) + self.end
        return "".join(
            (cell[:-width].ljust(-width) if width < 0 else cell[:width].rjust(width)) + " "
            for cell, width in zip(cells, widths, strict=True)
        )


def chosen(names: Sequence[str], fields: Mapping[str, Field], default: Sequence[str]) -> list[Field]:
    """The fields that `format=` names, each perhaps with `%width`; the default ones for none.

    Raises ValueError with the name that is none.
    """
    out = []
    for name in names or default:
        word, percent, width = name.partition("%")
        asked = word.lower()
        key = asked if asked in fields else None
        key = key or next((known for known in fields if asked and known.startswith(asked)), None)
        if key is None:
            raise ValueError(word)
        field = fields[key]
        if percent and width.lstrip("-").isdecimal() and int(width):
            field = field.as_wide_as(int(width))
        out.append(field)
    return out


def span(since_s: int, until_s: int) -> str:
    """`2026-11-27T00:00:00 - 2026-11-27T23:59:59`."""
    form = "%Y-%m-%dT%H:%M:%S"
    begin, end = time.localtime(since_s), time.localtime(until_s - 1)
    return f"{time.strftime(form, begin)} - {time.strftime(form, end)}"

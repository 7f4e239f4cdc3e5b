"""What became of each parameter, as rows of a report."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from packhorse.cli.importing.conf_file import Pair


class Fate(StrEnum):
    """What became of a parameter, or does in general.

    IN_PART: something of its meaning is lost, the remark says what. BY_DEFAULT: it is not in the file, and
    what Slurm then does was written down, because Packhorse by itself does something else.
    """

    MAPPED = "mapped"
    IN_PART = "in part"
    BY_DEFAULT = "by default"
    NOT_NEEDED = "not needed"
    UNSUPPORTED = "not supported"
    UNKNOWN = "not known"


class Known(NamedTuple):
    """A parameter of Slurm's. remark: what it becomes, why it is not needed, or what to do instead.

    slurm_default: the value that Slurm takes where the file has none, "" where Packhorse does the same.
    same: values, in lower case, that mean what Packhorse does anyhow.
    """

    fate: Fate
    remark: str
    slurm_default: str = ""
    same: tuple[str, ...] = ()

    def of(self, value: str) -> tuple[Fate, str]:
        """What becomes of it with this value."""
        word = value.lower()
        if self.fate in (Fate.IN_PART, Fate.UNSUPPORTED):
            if word in self.same:
                return Fate.NOT_NEEDED, "it is what is done"
            if self.fate is Fate.UNSUPPORTED and (word in ("none", "(null)") or word.endswith("/none")):
                return Fate.NOT_NEEDED, "nothing to do"
        return self.fate, self.remark


class Row(NamedTuple):
    """place: FILE:LINE, "" for what no line says."""

    fate: Fate
    what: str
    place: str
    remark: str


class Report:
    """Rows in the order in which they were told, the same said once."""

    def __init__(self) -> None:
        self._rows: dict[Row, None] = {}

    def tell(self, fate: Fate, what: str, place: str, remark: str) -> None:
        self._rows.setdefault(Row(fate, what, place, remark))

    def of(self, pair: Pair, fate: Fate, remark: str, within: str = "") -> None:
        """About a pair. within: the thing it is said of, like `NodeName=n1`."""
        value = pair.value if len(pair.value) <= 60 else pair.value[:57] + "..."
        if pair.key.lower().endswith("pass"):
            value = "***"  # reports are shown to others
        self.tell(fate, f"{within + ' ' if within else ''}{pair.key}={value}", pair.place, remark)

    @property
    def rows(self) -> list[Row]:
        return list(self._rows)

    def count(self) -> dict[Fate, int]:
        return {fate: sum(row.fate is fate for row in self._rows) for fate in Fate}


def text_of(rows: list[Row], counts: dict[Fate, int]) -> str:
    """The table, for people: what needs a look last, where it is seen."""
    order = (
        *(Fate.MAPPED, Fate.BY_DEFAULT, Fate.NOT_NEEDED),
        *(Fate.IN_PART, Fate.UNSUPPORTED, Fate.UNKNOWN),
    )
    lines: list[str] = []
    for fate in order:
        own = [row for row in rows if row.fate is fate]
        if not own:
            continue
        lines.append(f"{fate.value.upper()} ({len(own)})")
        width = min(48, max(len(row.what) for row in own))
        where = min(32, max(len(_short(row.place)) for row in own))
        lines += [
            f"  {row.what:<{width}}  {_short(row.place):<{where}}  {row.remark}".rstrip() for row in own
        ]
        lines.append("")
    said = ", ".join(f"{counts[fate]} {fate.value}" for fate in order if counts[fate])
    return "\n".join([*lines, said or "nothing was found"]) + "\n"


def _short(place: str) -> str:
    return place.rpartition("/")[2]

"""Which differences are meant: meant.toml."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_name("meant.toml")
KEYS = {"transcripts", "reason", "part", "both", "theirs", "ours", "whole", "maybe"}


class Meant(NamedTuple):
    """A difference and its reason.

    transcripts: patterns of their names. part: exit, stdout or stderr, "" for any. both: what is left out of
    lines on both sides; theirs, ours: lines that one side alone may have; whole: the part is not compared.
    maybe: some sessions do not need the entry, since it is about what time decides.
    """

    transcripts: tuple[str, ...]
    reason: str
    part: str
    both: re.Pattern[str] | None
    theirs: re.Pattern[str] | None
    ours: re.Pattern[str] | None
    whole: bool
    maybe: bool

    def concerns(self, name: str, part: str) -> bool:
        return self.part in ("", part) and any(fnmatch.fnmatch(name, pattern) for pattern in self.transcripts)


def read(path: Path = LIST) -> list[Meant]:
    """Every entry of the list. Raises ValueError for one that says nothing, or nothing known."""
    found = []
    for entry in tomllib.loads(path.read_text())["meant"]:
        if (
            set(entry) - KEYS
            or not entry.get("reason")
            or len(set(entry) & {"both", "theirs", "ours", "whole", "maybe"}) == 0
        ):
            raise ValueError(f"{path}: {entry}")
        patterns = {
            key: re.compile(entry[key]) if key in entry else None for key in ("both", "theirs", "ours")
        }
        found.append(
            Meant(
                tuple(entry["transcripts"]),
                entry["reason"],
                entry.get("part", ""),
                patterns["both"],
                patterns["theirs"],
                patterns["ours"],
                entry.get("whole", False),
                entry.get("maybe", False),
            )
        )
    return found

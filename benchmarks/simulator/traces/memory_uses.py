"""What jobs use of their memory over time, by the names that jobs give (`use` of our job format).

A CSV file with the columns use, at_s (seconds since the job began to run) and mem_mib, lines of a name in any
order; or one of the published files of usage.py, whose machines' times count from each one's first sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from packhorse.scheduler.model.ids import US
from packhorse.simulator.memory import Use
from packhorse.simulator.traces import usage
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.textfile import head
from packhorse.simulator.traces.trace import columns

COLUMNS: Final = ("use", "at_s", "mem_mib")
MOST_S: Final = 1e12


def read(path: Path, skipped: Skipped | None = None) -> dict[str, Use]:
    """All of them, by name. Raises TraceBroken where the file cannot be read, or is something else."""
    skipped = skipped or Skipped()
    known = columns(head(path, 1))
    if known.issuperset(COLUMNS):
        return _own(path, skipped)
    if known.issuperset(usage.BITBRAINS) or known.issuperset(usage.GOOGLE):
        found = usage.read(path, skipped)
        return {series.name: Use(series.at_us - series.at_us[0], series.mem_mib) for series in found}
    wanted = ", or ".join(",".join(names) for names in (COLUMNS, usage.BITBRAINS, usage.GOOGLE))
    raise TraceBroken(f"{path}, line 1: no memory use over time; expected a header with {wanted}")


def _own(path: Path, skipped: Skipped) -> dict[str, Use]:
    found: dict[str, dict[int, int]] = {}
    for name, at_us, mem_mib in converted(records(path, COLUMNS, skipped), _sample, skipped):
        found.setdefault(name, {})[at_us] = mem_mib
    return {
        name: Use(np.array(sorted(of)), np.array([of[at] for at in sorted(of)])) for name, of in found.items()
    }


def _sample(line: Record) -> tuple[str, int, int]:
    name, at_s = line.text("use"), line.number("at_s")
    if not name:
        line.wrong("use", "a name")
    if not 0 <= at_s <= MOST_S:
        line.wrong("at_s", f"0 to {MOST_S:g}")
    return name, round(at_s * US), line.whole("mem_mib", usage.MOST)

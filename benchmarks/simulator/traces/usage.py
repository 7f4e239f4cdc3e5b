"""What machines asked for and what they used of it over time: two published files, told by their headers.

Bitbrains (GWA-T-12; Shen, van Beek and Iosup, CCGrid 2015): vm, t (unix s), cores, cpu_prov_mhz,
cpu_used_mhz, mem_prov_kb, mem_used_kb. A VM asks for its cores, and uses used/provisioned of them; memory is
in KiB.

Google 2011, condensed by HiPro-IT: vm, slot (of 5 minutes), cpu_pct, mem_pct, percent of the VM's size, which
is not known: it is taken for one CPU and 100 GiB.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.textfile import head
from packhorse.simulator.traces.trace import columns

SLOT_US: Final = 300 * US
PERCENT_CPU_MILLI: Final = 10
PERCENT_MEM_MIB: Final = 1024
"""A percent of the size that is taken for Google's machines."""
MOST: Final = 1 << 40

BITBRAINS: Final = ("vm", "t", "cores", "cpu_prov_mhz", "cpu_used_mhz", "mem_prov_kb", "mem_used_kb")
GOOGLE: Final = ("vm", "slot", "cpu_pct", "mem_pct")


class Series(NamedTuple):
    """One VM or job. All `[n]` by time, each time once, the last sample where there are several.

    at_us: when. cpu_asked_milli, mem_asked_mib: what it had asked for. cpu_milli, mem_mib: what it
    used, which may be more.
    """

    name: str
    at_us: np.ndarray
    cpu_asked_milli: np.ndarray
    cpu_milli: np.ndarray
    mem_asked_mib: np.ndarray
    mem_mib: np.ndarray


class Sample(NamedTuple):
    """One line, in the order of the columns of Series."""

    name: str
    at_us: int
    cpu_asked_milli: int
    cpu_milli: int
    mem_asked_mib: int
    mem_mib: int


def read(path: Path, skipped: Skipped) -> list[Series]:
    """All VMs of a file in the order in which they come, whole. Raises TraceBroken."""
    names = next((names for names in _SAMPLES if columns(head(path, 1)).issuperset(names)), None)
    if names is None:
        raise TraceBroken(
            f"{path}, line 1: no usage over time; expected {','.join(BITBRAINS)} or {','.join(GOOGLE)}"
        )
    found: dict[str, list[Sample]] = {}
    for each in converted(records(path, names, skipped), _SAMPLES[names], skipped):
        found.setdefault(each.name, []).append(each)
    return [_series(name, samples) for name, samples in found.items()]


def _series(name: str, samples: list[Sample]) -> Series:
    table = np.array([sample[1:] for sample in samples], dtype=np.int64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    table = table[np.append(np.diff(table[:, 0]) > 0, True)]
    return Series(name, *(np.ascontiguousarray(column) for column in table.T))


def _bitbrains(line: Record) -> Sample:
    cores, provided = line.whole("cores", 1 << 20), _amount(line, "cpu_prov_mhz")
    used = _amount(line, "cpu_used_mhz")
    if provided == 0 and used > 0:
        line.wrong("cpu_prov_mhz", "more than 0, since some of it was used")
    return Sample(
        line.text("vm"),
        line.whole("t", MOST) * US,
        cores * 1000,
        round(used / provided * cores * 1000) if provided else 0,
        -(-line.whole("mem_prov_kb", MOST) // 1024),
        -(-line.whole("mem_used_kb", MOST) // 1024),
    )


def _google(line: Record) -> Sample:
    return Sample(
        line.text("vm"),
        line.whole("slot", MOST) * SLOT_US,
        100 * PERCENT_CPU_MILLI,
        round(_amount(line, "cpu_pct") * PERCENT_CPU_MILLI),
        100 * PERCENT_MEM_MIB,
        round(_amount(line, "mem_pct") * PERCENT_MEM_MIB),
    )


def _amount(line: Record, column: str) -> float:
    value = line.number(column)
    if not 0 <= value <= MOST:
        line.wrong(column, f"0 to {MOST}")
    return value


_SAMPLES: Final[dict[tuple[str, ...], Callable[[Record], Sample]]] = {BITBRAINS: _bitbrains, GOOGLE: _google}
"""By the columns that tell the format."""

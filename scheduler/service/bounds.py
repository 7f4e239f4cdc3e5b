"""How large the values of a request may be.

What passes here cannot overflow anything further in: products of the core's columns stay below 2**63, job
numbers fit the store's index, and no text can hold what it is cut up or ended by later.
"""

from __future__ import annotations

from collections.abc import Iterable

from packhorse.scheduler.model.errors import BadValue

YEAR_S = 365 * 86_400
MAX_DURATION_S = 100 * YEAR_S
MAX_INSTANT_US = 8_000_000_000_000_000
"""In the year 2223."""
MAX_JOB_ID = (1 << 44) - 1
MAX_TASKS = 1 << 20
MAX_NODES = 1 << 20
MAX_CPU_MILLI = 1 << 27
"""134,000 CPUs for one task; with MAX_TASKS tasks and MAX_MEM_PER_CPU_MIB for each CPU below 2**62 MiB."""
MAX_MEM_MIB = 1 << 32
MAX_MEM_PER_CPU_MIB = 1 << 24
MAX_GRES = 1 << 20
MAX_HOPS = 63
"""Levels of switches and racks; no tree is so deep."""
MAX_INDEX = 1 << 31
MAX_PRIORITY = (1 << 32) - 1
MAX_NICE = (1 << 31) - 3
"""Slurm's bounds of both."""
MAX_JOBS = 1_000_000
"""In one call."""
MAX_CONDITIONS = 10_000
MAX_NAME = 1024
MAX_PATH = 4096
MAX_LINE = 65_536
MAX_ARGS = 131_072
"""Characters of all arguments together; the kernel takes no longer single one."""
MAX_KEY = 256


def whole(name: str, value: int, low: int, high: int) -> int:
    """The value, if it is within the bounds. Raises BadValue."""
    if low <= value <= high:
        return value
    raise BadValue(f"{name}: {value} is not between {low} and {high}")


def text(name: str, value: str, longest: int = MAX_NAME) -> str:
    """The text, if it is not longer than that and has no NUL. Raises BadValue."""
    if len(value) > longest:
        raise BadValue(f"{name}: {len(value)} characters, limit {longest}")
    if "\0" in value:
        raise BadValue(f"{name}: has a NUL character")
    return value


def texts(name: str, values: Iterable[str], longest: int = MAX_ARGS) -> tuple[str, ...]:
    """The texts, if they are not longer than that together and none has a NUL. Raises BadValue."""
    found = tuple(values)
    if found:
        text(name, "".join(found), longest)
    return found

"""Two amounts that would do together where neither does alone: memory and time, CPUs and time, nodes and
time, memory and CPUs, and devices with memory or CPUs.

Of a pair the first is lowered to some parts of what is asked, the most of the second that fits then is found
by halving, and after it the most of the first that fits with that. The smallest change of all parts counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.why import amounts
from packhorse.scheduler.core.why.amounts import LEAST_PART, Search, mem_step
from packhorse.scheduler.core.why.change import Change
from packhorse.scheduler.model.input import Changes
from packhorse.scheduler.model.job import JobSpec

_PARTS: Final = (LEAST_PART, 4, 2)
"""Of the first amount. If the second does not help with the least, it does not with more."""

_Find = Callable[[Search, JobSpec], Iterator[Change]]


class _First(NamedTuple):
    """fields: of the ask, that it changes. lowered: the job with that part of what it asks."""

    find: _Find
    fields: tuple[str, ...]
    lowered: Callable[[JobSpec, int], JobSpec | None]


def pairs(search: Search, spec: JobSpec) -> Iterator[Change]:
    """Those that the search found room for, each pair at most once."""
    for first, second in _PAIRS:
        found: list[Change] = []
        for part in _PARTS:
            one = _both(search, spec, first, second, part)
            if one is None and part == LEAST_PART:
                break
            found += [one] if one is not None else []
        if found:
            yield min(found, key=lambda change: change.size)


def _both(search: Search, spec: JobSpec, first: _First, second: _Find, part: int) -> Change | None:
    low = first.lowered(spec, part)
    more = next(second(search, low), None) if low is not None else None
    if more is None:
        return None
    whole = {title: getattr(spec.ask, title) for title in first.fields}
    with_second = replace(more.spec, ask=replace(more.spec.ask, **whole))
    less = next(first.find(search, with_second), None)
    return _joined(less, more) if less is not None else None


def _joined(less: Change, more: Change) -> Change:
    """less: its job has both changes already."""
    kind, words = f"{less.kind} and {more.kind}", f"{less.words} and {more.words}"
    size = less.size + more.size
    if less.changes is None or more.changes is None:
        return Change(kind, words, size, less.spec, options=f"{less.options} {more.options}")
    given = [(c, name) for c in (less.changes, more.changes) for name in Changes.__struct_fields__]
    default = Changes()
    values = {name: getattr(c, name) for c, name in given if getattr(c, name) != getattr(default, name)}
    return Change(kind, words, size, less.spec, Changes(**values), f"{less.update} {more.update}")


def _less_memory(spec: JobSpec, part: int) -> JobSpec | None:
    title = "mem_mib_per_cpu" if spec.ask.mem_mib_per_cpu else "mem_mib_per_node"
    asked: int = getattr(spec.ask, title)
    step = mem_step(asked)
    low = max(step, asked // part // step * step)
    if spec.ask.mem_all or low >= asked:
        return None
    return replace(spec, ask=replace(spec.ask, **{title: low}))


def _fewer_cpus(spec: JobSpec, part: int) -> JobSpec | None:
    asked = spec.ask.cpu_milli_per_task // 1000
    low = max(1, asked // part)
    return replace(spec, ask=replace(spec.ask, cpu_milli_per_task=1000 * low)) if low < asked else None


def _fewer_nodes(spec: JobSpec, part: int) -> JobSpec | None:
    asked = spec.ask.min_nodes
    low = max(1, asked // part)
    return amounts.closer(spec, low) if low < asked else None


_MEMORY = _First(amounts.memory, ("mem_mib_per_cpu", "mem_mib_per_node", "mem_all"), _less_memory)
_CPUS = _First(amounts.cpus, ("cpu_milli_per_task",), _fewer_cpus)
_NODES = _First(amounts.nodes, ("min_nodes", "max_nodes"), _fewer_nodes)

_PAIRS: Final[tuple[tuple[_First, _Find], ...]] = (
    (_MEMORY, amounts.time),
    (_CPUS, amounts.time),
    (_NODES, amounts.time),
    (_MEMORY, amounts.cpus),
    (_MEMORY, amounts.devices),
    (_CPUS, amounts.devices),
)

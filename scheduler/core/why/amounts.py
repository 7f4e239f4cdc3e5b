"""Smaller amounts that would do: the most memory, CPUs, devices, nodes and time with which a job would find
room.

Each is found by halving, on the assumption that what fits with some amount fits with less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from msgspec.structs import replace

from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.priority import Rules
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.why.change import Change
from packhorse.scheduler.core.why.conditions import SIZES
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.input import Changes
from packhorse.scheduler.model.job import JobSpec
from packhorse.scheduler.model.resources import WHOLE, Gres, is_slice
from packhorse.scheduler.model.units import format_mem_mib, format_time_limit

LEAST_PART: Final = 16
"""No less than this part of what is asked is ever suggested."""

SLACK_S: Final = 60
"""A hole is not filled to its last minute: the suggestion has to be read and typed first."""

_GPU_OPTIONS: Final = {
    "gres_per_node": "--gres={kind}:{amount}",
    "gres_per_task": "--gpus-per-task={amount}",
    "gres_per_job": "--gpus={amount}",
}

_Make = Callable[[int], JobSpec]


class Search(Protocol):
    """Whoever can say whether a job would start, or find room, if it asked for that."""

    now: Instant
    field: Field
    rules: Rules

    def fits(self, spec: JobSpec) -> bool: ...

    def deadlines(self, spec: JobSpec) -> list[int]: ...


def smaller(search: Search, spec: JobSpec) -> Iterator[Change]:
    """All of them, those that a search found room for."""
    yield from memory(search, spec)
    yield from cpus(search, spec)
    yield from _tasks(search, spec)
    yield from nodes(search, spec)
    yield from devices(search, spec)
    yield from _scratch(search, spec)
    yield from time(search, spec)


def within(search: Search, spec: JobSpec, reason: Reason) -> Iterator[Change]:
    """Those that a limit or a window asks for, by what the reason is called: nothing else would help."""
    what = set(reason.name.split("_"))
    if what & {"WALL", "MINS", "RESERVED", "MAINT"}:
        yield from _shorter(search, spec)
    if what & {"CPU", "BILLING"}:
        yield from cpus(search, spec)
        yield from _tasks(search, spec)
    if "MEM" in what:
        yield from memory(search, spec)
    if "NODE" in what:
        yield from nodes(search, spec)
    if "GRES" in what:
        yield from devices(search, spec)


def _most(search: Search, make: _Make, low: int, high: int, step: int = 1) -> int:
    """The most of low, low + step … high with which it fits; 0 if it does not even with the least."""
    if high < low or not search.fits(make(low)):
        return 0
    n, beyond = 0, (high - low) // step + 1
    while beyond - n > 1:
        middle = (n + beyond) // 2
        if search.fits(make(low + middle * step)):
            n = middle
        else:
            beyond = middle
    return low + n * step


def _less(asked: int, left: int) -> float:
    return (asked - left) / asked


def _with(spec: JobSpec, **values: object) -> JobSpec:
    return replace(spec, ask=replace(spec.ask, **values))


def mem_step(asked_mib: int) -> int:
    """Steps that people would choose: whole GiB of large amounts."""
    return 1024 if asked_mib > 8192 else 256 if asked_mib > 1024 else 16


def memory(search: Search, spec: JobSpec) -> Iterator[Change]:
    """Less memory, on each node or for each CPU."""
    ask = spec.ask
    if ask.mem_all:
        most = int(search.field.board.capacity[1].max(initial=0))

        def some(mib: int) -> JobSpec:
            return _with(spec, mem_all=False, mem_mib_per_node=mib)

        left = _most(search, some, 1024, most // 1024 * 1024, 1024)
        if left:
            shown = format_mem_mib(left)
            words = f"{shown} of memory instead of all of a node's"
            changes = Changes(mem_mib_per_node=left)
            yield Change(
                "memory", words, 0.5, some(left), changes, f"MinMemoryNode={shown}", f"--mem={shown}"
            )
        return
    title = "mem_mib_per_cpu" if ask.mem_mib_per_cpu else "mem_mib_per_node"
    asked = ask.mem_mib_per_cpu or ask.mem_mib_per_node
    step = mem_step(asked)
    low, high = max(step, asked // LEAST_PART // step * step), (asked - 1) // step * step
    left = _most(search, lambda mib: _with(spec, **{title: mib}), low, high, step) if asked else 0
    if left:
        shown = format_mem_mib(left)
        each = " for each CPU" if ask.mem_mib_per_cpu else " on each node" if ask.min_nodes > 1 else ""
        key = "MinMemoryCPU" if ask.mem_mib_per_cpu else "MinMemoryNode"
        words = f"{shown} of memory{each} instead of {format_mem_mib(asked)}"
        changes = Changes(mem_mib_per_cpu=left) if ask.mem_mib_per_cpu else Changes(mem_mib_per_node=left)
        new = _with(spec, **{title: left})
        option = f"--mem-per-cpu={shown}" if ask.mem_mib_per_cpu else f"--mem={shown}"
        yield Change("memory", words, _less(asked, left), new, changes, f"{key}={shown}", option)


def cpus(search: Search, spec: JobSpec) -> Iterator[Change]:
    """Fewer CPUs for each task."""
    ask = spec.ask
    asked = ask.cpu_milli_per_task // 1000
    if asked < 2:
        return

    def fewer(n: int) -> JobSpec:
        return _with(spec, cpu_milli_per_task=1000 * n)

    left = _most(search, fewer, max(1, asked // LEAST_PART), asked - 1)
    if left:
        n = left * ask.n_tasks
        each = " for each task" if ask.n_tasks > 1 else ""
        words = f"{left} CPU{'s' * (left > 1)}{each} instead of {asked}"
        size, changes, option = _less(asked, left), Changes(n_cpus=n), f"--cpus-per-task={left}"
        yield Change("cpus", words, size, fewer(left), changes, f"NumCPUs={n}", option)


def _tasks(search: Search, spec: JobSpec) -> Iterator[Change]:
    """Fewer tasks, on as many nodes as before."""
    ask = spec.ask

    def fewer(n: int) -> JobSpec:
        return _with(spec, n_tasks=n)

    left = _most(search, fewer, max(ask.min_nodes, ask.n_tasks // LEAST_PART, 1), ask.n_tasks - 1)
    if left:
        words = f"{left} task{'s' * (left > 1)} instead of {ask.n_tasks}"
        size = _less(ask.n_tasks, left)
        yield Change("tasks", words, size, fewer(left), options=f"--ntasks={left}")


def nodes(search: Search, spec: JobSpec) -> Iterator[Change]:
    """The same tasks on fewer nodes; else fewer nodes and fewer tasks."""
    ask = spec.ask
    asked = ask.min_nodes
    if asked < 2:
        return

    left = _most(search, lambda n: closer(spec, n), 1, asked - 1)
    if left:
        words = f"{left} node{'s' * (left > 1)} instead of {asked} for the same tasks"
        size = _less(asked, left) / 2  # it keeps all that it computes with
        new, changes = closer(spec, left), Changes(min_nodes=left)
        yield Change("nodes", words, size, new, changes, f"NumNodes={left}", f"--nodes={left}")

    def fewer(n: int) -> JobSpec:
        spread = closer(spec, n)
        return _with(spread, n_tasks=max(1, ask.n_tasks * n // asked))

    left = _most(search, fewer, 1, asked - 1)
    if left:
        tasks = fewer(left).ask.n_tasks
        words = (
            f"{left} node{'s' * (left > 1)} instead of {asked}, and {tasks} tasks instead of {ask.n_tasks}"
        )
        options = f"--nodes={left} --ntasks={tasks}"
        yield Change("nodes and tasks", words, _less(asked, left), fewer(left), options=options)


def closer(spec: JobSpec, n: int) -> JobSpec:
    """The same tasks on at least so many nodes."""
    asked, most = spec.ask.min_nodes, spec.ask.max_nodes
    bounded = most and (most < n or most == asked)
    return _with(spec, min_nodes=n, max_nodes=n if bounded else most)


def devices(search: Search, spec: JobSpec) -> Iterator[Change]:
    """Less of each kind of device."""
    for title in _GPU_OPTIONS:
        for i, gres in enumerate(getattr(spec.ask, title)):
            yield from _of_one(search, spec, title, i, gres)


def _of_one(search: Search, spec: JobSpec, title: str, i: int, gres: Gres) -> Iterator[Change]:
    """Less of one entry: fewer of them, a smaller share or slice, or any model."""
    all_of_it: tuple[Gres, ...] = getattr(spec.ask, title)

    def with_(one: Gres) -> JobSpec:
        return _with(spec, **{title: (*all_of_it[:i], one, *all_of_it[i + 1 :])})

    def change(kind: str, words: str, size: float, one: Gres) -> Change:
        new = with_(one)
        return Change(kind, words, size, new, options=option(title, getattr(new.ask, title), one))

    name = gres.kind.upper() if gres.kind == "gpu" else gres.kind
    if gres.type and not is_slice(gres.type):
        any_type = gres._replace(type="")
        yield change("device type", f"any {name} instead of {gres.type}", SIZES["device type"], any_type)
    if is_slice(gres.type):
        for part in _smaller_slices(search, gres.type):
            words, size = f"slice {part} instead of {gres.type}", _less(_parts(gres.type), _parts(part))
            one = gres._replace(type=part)
            if search.fits(with_(one)):
                yield change("slice", words, size, one)
                return
        return
    if gres.mem_mib:
        asked, step = gres.mem_mib, mem_step(gres.mem_mib)
        left = _most(
            search, lambda n: with_(gres._replace(mem_mib=n)), step, (asked - 1) // step * step, step
        )
        if left:
            words = f"{format_mem_mib(left)} of a {name}'s memory instead of {format_mem_mib(asked)}"
            yield change("share", words, _less(asked, left), gres._replace(mem_mib=left))
    elif gres.milli < WHOLE:
        asked = gres.milli
        left = _most(search, lambda n: with_(gres._replace(milli=n)), 50, (asked - 1) // 50 * 50, 50)
        if left:
            words = f"{left / WHOLE:g} of a {name} instead of {asked / WHOLE:g}"
            yield change("share", words, _less(asked, left), gres._replace(milli=left))
    elif gres.n > 1:
        left = _most(search, lambda n: with_(gres._replace(n=n)), 1, gres.n - 1)
        if left:
            each = {"gres_per_task": " for each task", "gres_per_job": ""}.get(title, " on each node")
            each = "" if title == "gres_per_node" and spec.ask.min_nodes == 1 else each
            words = f"{left} {name}{'s' * (left > 1)}{each} instead of {gres.n}"
            yield change("devices", words, _less(gres.n, left), gres._replace(n=left))


def option(title: str, all_of_it: tuple[Gres, ...], one: Gres) -> str:
    """What sbatch gets for these; `--gres` names all of a node's, the others one kind."""
    if title == "gres_per_node":
        return "--gres=" + ",".join(str(gres) for gres in all_of_it)
    _, _, amount = str(one).partition(":")
    return _GPU_OPTIONS[title].format(kind=one.kind, amount=amount)


def _parts(part: str) -> int:
    return int(part.partition("g")[0])


def _smaller_slices(search: Search, asked: str) -> list[str]:
    """Those that some device can be cut into, the largest first."""
    devices = {d for slots in set(search.field.board.maps) for d in slots.devices}
    known = {part for d in devices for layout in d.layouts for part in layout}
    found = [part for part in known if re.match(r"\d+g", part) and _parts(part) < _parts(asked)]
    return sorted(found, key=lambda part: (-_parts(part), part))


def _scratch(search: Search, spec: JobSpec) -> Iterator[Change]:
    asked = spec.ask.tmp_mib_per_node
    step = mem_step(asked)
    left = _most(search, lambda mib: _with(spec, tmp_mib_per_node=mib), 0, (asked - 1) // step * step, step)
    if asked and (left or search.fits(_with(spec, tmp_mib_per_node=0))):
        shown = format_mem_mib(left)
        words = f"{shown} of scratch space instead of {format_mem_mib(asked)}"
        new = _with(spec, tmp_mib_per_node=left)
        yield Change("scratch", words, _less(asked, left), new, options=f"--tmp={shown}")


def time(search: Search, spec: JobSpec) -> Iterator[Change]:
    """The longest limit with which it is through before a planned start that it must not delay."""
    partition = search.rules.partitions.get(spec.partition)
    most = partition.max_time_s if partition is not None else 0
    asked = spec.time_limit_s
    limits = [limit_s(at - search.now) for at in search.deadlines(spec)]
    for left in sorted({most, *limits}, reverse=True):
        if left <= 0 or (asked and left >= asked) or (asked and left * LEAST_PART * 2 < asked):
            continue
        if search.fits(replace(spec, time_limit_s=left)):
            yield time_change(spec, left)
            return


def _shorter(search: Search, spec: JobSpec) -> Iterator[Change]:
    """The longest limit, to a sixteenth of its own."""
    asked = spec.time_limit_s

    def shorter(part: int) -> JobSpec:
        return replace(spec, time_limit_s=limit_s(asked * US * part // LEAST_PART))

    part = _most(search, shorter, 1, LEAST_PART - 1) if asked >= 2 * LEAST_PART else 0
    if part:
        yield time_change(spec, shorter(part).time_limit_s)


def limit_s(hole_us: int) -> int:
    """The time limit for a hole of that length, in whole minutes where it has some."""
    seconds = hole_us // US
    if seconds > 5 * SLACK_S:
        seconds -= SLACK_S
    return seconds // 60 * 60 if seconds >= 120 else seconds


def time_change(spec: JobSpec, left: int) -> Change:
    """That time limit instead of its own."""
    asked = spec.time_limit_s
    shown = format_time_limit(left)
    words = f"a time limit of {shown} instead of {format_time_limit(asked)}"
    size = _less(asked, left) if asked else 1.0
    new = replace(spec, time_limit_s=left)
    changes, option = Changes(time_limit_s=left), f"--time={shown}"
    return Change("time limit", words, size, new, changes, f"TimeLimit={shown}", option)

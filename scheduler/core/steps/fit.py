"""Where a step goes within its job's allocation, and what of it the step gets.

A step holds what it asked for by amount, and without `--exact` all CPUs of its nodes, as in Slurm; what it
did not ask for (memory, GPUs) it shares with the others. An overlapping one holds nothing, and nobody holds
anything from it. "Busy" is said where it would fit if no other step ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packhorse.scheduler.core.steps import layout
from packhorse.scheduler.core.steps.book import NO_STEPS, JobSteps
from packhorse.scheduler.core.steps.devices import Pool, joined, none_wanted, wanted_kinds
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.resources import Devices, Gres, Placement
from packhorse.scheduler.model.step import Overlap, StepPart, StepSpec

TOO_MANY_CPUS = "More processors requested than permitted"
NOT_AVAILABLE = "Requested node configuration is not available"
NO_MEMORY = "Memory required by task is not available"
BAD_GRES = "Invalid generic resource (gres) specification"
BUSY = "Requested nodes are busy"

WHOLE_CPU = 1000


class _Room(NamedTuple):
    """What a node of the job has for the step. cpu_milli, mem_mib: that it may take; idle: no other step
    holds CPUs of it. A job without a limit of memory has mem_mib None."""

    placement: Placement
    cpu_milli: int
    mem_mib: int | None
    devices: Pool
    idle: bool


class _Short(NamedTuple):
    """It does not fit. message: what is missing; slurm: in Slurm's words."""

    message: str
    slurm: str


def place(job: Job, active: Active, spec: StepSpec, steps: JobSteps) -> tuple[StepPart, ...] | Refused:
    """The parts of the step, in the order of the job's nodes; EXHAUSTED while others hold what it needs,
    IMPOSSIBLE where that would not help."""
    nodes = _nodes(active, spec)
    if isinstance(nodes, Refused):
        return nodes
    empty = [_room(p, spec, NO_STEPS) for p in nodes]
    fits = _try(job, active, spec, empty)
    if isinstance(fits, _Short):
        return Refused(RefusalCode.IMPOSSIBLE, f"job {job.id}: {fits.message}", fits.slurm)
    if not steps.running or spec.overlap is Overlap.OVERLAP:
        return fits
    now = _try(job, active, spec, [_room(p, spec, steps) for p in nodes])
    if isinstance(now, _Short):
        return Refused(RefusalCode.EXHAUSTED, f"job {job.id}: {now.message} beside its other steps", BUSY)
    return now


def holds_memory(spec: StepSpec) -> bool:
    """Whether the step has memory for itself."""
    return spec.overlap is not Overlap.OVERLAP and (spec.mem_mib_per_node > 0 or spec.mem_mib_per_cpu > 0)


def holds_devices(spec: StepSpec) -> bool:
    """Whether the step has devices for itself."""
    return spec.overlap is not Overlap.OVERLAP and bool(wanted_kinds(spec))


def default_tasks(job: Job, active: Active) -> int:
    """How many tasks the job's ask says that it has, one per node where it says nothing."""
    ask, given = job.spec.ask, job.spec.given
    n_nodes = len(active.placements)
    if given.n_tasks:
        return ask.n_tasks
    return n_nodes * ask.tasks_per_node if given.tasks_per_node and ask.tasks_per_node else n_nodes


def _nodes(active: Active, spec: StepSpec) -> list[Placement] | Refused:
    """The job's nodes that the step may use, in their order."""
    names = [p.node for p in active.placements]
    foreign = [node for node in (*spec.nodes_required, *spec.nodes_excluded) if node not in names]
    if any(node in spec.nodes_required for node in foreign):
        return _never(f"node {foreign[0]} is not part of the allocation", NOT_AVAILABLE)
    if spec.relative >= len(names):
        return _never(f"--relative={spec.relative}: its job has {len(names)} nodes", NOT_AVAILABLE)
    usable = active.placements[max(spec.relative, 0) :]
    usable = tuple(p for p in usable if p.node not in spec.nodes_excluded)
    if not usable or any(node not in [p.node for p in usable] for node in spec.nodes_required):
        return _never("its nodes are excluded, or in front of the one given as relative", NOT_AVAILABLE)
    return list(usable)


def _room(p: Placement, spec: StepSpec, steps: JobSteps) -> _Room:
    """What of this node is left beside those steps."""
    cpu_milli, mem_mib, idle, pool = p.cpu_milli, p.mem_mib, True, Pool(p.devices)
    for step in steps.running:
        if step.spec.overlap is Overlap.OVERLAP:
            continue
        for part in step.parts:
            if part.node == p.node and not part.over:
                cpu_milli -= part.cpu_milli
                idle = False
                if holds_memory(step.spec):
                    mem_mib -= part.mem_mib
                if holds_devices(step.spec):
                    pool.take_these(part.devices)
    return _Room(p, max(cpu_milli, 0), max(mem_mib, 0) if p.mem_mib else None, pool, idle)


def _try(job: Job, active: Active, spec: StepSpec, rooms: list[_Room]) -> tuple[StepPart, ...] | _Short:
    """The largest number of nodes first; the job's CPUs per task, where the step leaves them to it and they
    do not fit, as in Slurm 22.05: one CPU each."""
    if spec.overlap is Overlap.EXCLUSIVE:
        free = [room for room in rooms if room.idle]
        if len(free) < len(rooms) and any(
            not r.idle and r.placement.node in spec.nodes_required for r in rooms
        ):
            return _Short("the CPUs of a node that it needs are taken", BUSY)
        rooms = free
    milli = [spec.cpu_milli_per_task or job.spec.ask.cpu_milli_per_task or WHOLE_CPU]
    if not spec.cpu_milli_per_task and milli[0] > WHOLE_CPU:
        milli.append(WHOLE_CPU)
    short: _Short | None = None
    for each in milli:
        for n_nodes, n_tasks in _counts(job, active, spec):
            found = _on(spec, rooms, n_nodes, n_tasks, each)
            if not isinstance(found, _Short):
                return found
            short = short or found
    return short or _Short("no node is left for it", NOT_AVAILABLE)


def _counts(job: Job, active: Active, spec: StepSpec) -> list[tuple[int, int]]:
    """Numbers of nodes and tasks that would do, best first."""
    named = len(set(spec.nodes_required))
    if spec.distribution == "arbitrary" and named:
        return [(named, spec.n_tasks or len(spec.nodes_required))]
    least = spec.min_nodes or spec.max_nodes or named
    n_tasks = spec.n_tasks
    if not n_tasks and not least and not spec.tasks_per_node:
        n_tasks = default_tasks(job, active)
    least = max(least or len(active.placements) - max(spec.relative, 0), named)
    found = []
    for n in range(max(spec.max_nodes, least), least - 1, -1):
        wanted = n_tasks or n * (spec.tasks_per_node or 1)
        found.append((max(min(n, wanted), 1), wanted))
    return list(dict.fromkeys(found))


def _on(
    spec: StepSpec, rooms: list[_Room], n_nodes: int, n_tasks: int, cpu_milli_per_task: int
) -> tuple[StepPart, ...] | _Short:
    """So many tasks on so many nodes, with so many CPUs each."""
    if n_nodes > len(rooms):
        return _Short(f"{n_nodes} nodes asked, {len(rooms)} are there for it", NOT_AVAILABLE)
    usable = [room for room in rooms if room.devices.holds(spec.gres_per_node)]
    caps = {id(room): _cap(room, spec, cpu_milli_per_task) for room in usable}
    usable = [room for room in usable if caps[id(room)]]
    chosen = _choose(usable, [caps[id(room)] for room in usable], spec.nodes_required, n_nodes, n_tasks)
    if chosen is None:
        what = f"{n_tasks} tasks of {cpu_milli_per_task / 1000:g} CPUs do not fit on {n_nodes} of its nodes"
        return _Short(what, BAD_GRES if len(usable) < n_nodes and wanted_kinds(spec) else TOO_MANY_CPUS)
    ranks = _ranks(spec, [room.placement.node for room in chosen], [caps[id(r)] for r in chosen], n_tasks)
    counts = [len(mine) for mine in ranks]
    given = _devices(spec, chosen, counts)
    if given is None:
        return _Short("not so many devices are there for it", BAD_GRES)
    parts = []
    for room, mine, devices in zip(chosen, ranks, given, strict=True):
        cpus_milli = cpu_milli_per_task * len(mine)
        mem_mib = max(0, spec.mem_mib_per_node)
        mem_mib = mem_mib or spec.mem_mib_per_cpu * -(-cpus_milli // 1000)
        if room.mem_mib is not None and mem_mib > room.mem_mib:
            where = (
                f"{mem_mib} MiB of memory asked on {room.placement.node}, {room.mem_mib} MiB are there for it"
            )
            return _Short(where, NO_MEMORY)
        if spec.overlap is not Overlap.EXACT:
            cpus_milli = room.placement.cpu_milli
        parts.append(
            StepPart(
                room.placement.node,
                mine,
                min(cpus_milli, room.cpu_milli),
                mem_mib or room.placement.mem_mib,
                room.placement.devices if devices is None else devices,
            )
        )
    return tuple(part for part in parts if part.ranks)


def _cap(room: _Room, spec: StepSpec, cpu_milli_per_task: int) -> int:
    """How many tasks a node takes, by CPUs and by what each of them wants of devices."""
    cap = room.cpu_milli // cpu_milli_per_task
    if spec.gres_per_task and not none_wanted(spec.gres_per_task):
        cap = min(cap, room.devices.times(spec.gres_per_task))
    if spec.mem_mib_per_cpu and room.mem_mib is not None:
        per_task = spec.mem_mib_per_cpu * cpu_milli_per_task
        cap = min(cap, room.mem_mib * 1000 // per_task)
    return cap


def _choose(
    rooms: list[_Room], caps: list[int], required: Sequence[NodeName], n_nodes: int, n_tasks: int
) -> list[_Room] | None:
    """Those that are required and the first others; the largest others, where those take too few
    tasks."""
    must = [i for i, room in enumerate(rooms) if room.placement.node in required]
    others = [i for i, room in enumerate(rooms) if room.placement.node not in required]
    if len(must) < len(set(required)) or len(must) > n_nodes or len(rooms) < n_nodes:
        return None
    for order in (others, sorted(others, key=lambda i: -caps[i])):
        taken = sorted(must + order[: n_nodes - len(must)])
        if sum(caps[i] for i in taken) >= n_tasks:
            return [rooms[i] for i in taken]
    return None


def _ranks(spec: StepSpec, nodes: list[NodeName], caps: list[int], n_tasks: int) -> layout.Ranks:
    """The tasks of each node. More per node than asked for are only where they would not fit otherwise."""
    if spec.tasks_per_node and n_tasks <= spec.tasks_per_node * len(nodes):
        caps = [min(cap, spec.tasks_per_node) for cap in caps]
    if spec.distribution == "arbitrary" and spec.nodes_required:
        return layout.arbitrary(n_tasks, [nodes.index(node) for node in spec.nodes_required], len(nodes))
    if spec.distribution == "plane" and spec.plane_size:
        return layout.plane(n_tasks, len(nodes), spec.plane_size)
    if spec.distribution == "cyclic":
        return layout.cyclic(n_tasks, caps)
    return layout.block(n_tasks, caps)


def _devices(
    spec: StepSpec, rooms: list[_Room], counts: list[int]
) -> list[tuple[Devices, ...] | None] | None:
    """The devices of each node's part, None for all that the job has there; None in all if there are too
    few."""
    asked: list[Gres] = [*spec.gres_per_node, *spec.gres_per_task, *spec.gres_per_step]
    if not asked:
        return [None] * len(rooms)
    if none_wanted(asked):
        return [()] * len(rooms)
    wanted = [
        [*spec.gres_per_node, *(g._replace(n=g.n * count) for g in spec.gres_per_task)] for count in counts
    ]
    pools = [Pool(room.devices.left()) for room in rooms]
    found = []
    for pool, mine in zip(pools, wanted, strict=True):
        taken = pool.take(mine)
        if taken is None:
            return None
        found.append(list(taken))
    for gres in spec.gres_per_step:
        left = gres.n
        while left:
            before = left
            for pool, mine_ in zip(pools, found, strict=True):
                one = pool.take([gres._replace(n=1)]) if left else None
                if one is not None:
                    mine_ += one
                    left -= 1
            if left == before:
                return None
    return [joined(mine_) for mine_ in found]


def _never(message: str, slurm: str) -> Refused:
    return Refused(RefusalCode.IMPOSSIBLE, message, slurm)

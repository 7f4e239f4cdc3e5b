"""How an ask lies on nodes: what some tasks of it need on one node, and how many tasks fit where.

An ask becomes a `Shape` once per ask class: T tasks on lo..hi nodes. `needs` is the vector of resources that
t tasks take on any node; `caps` how many tasks each node can take now. Exclusive jobs get all CPUs of their
nodes and all their slots; `mem_all` jobs get all memory. Slurm's CR_Core_Memory with CPUs as the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing import slotfit
from packhorse.scheduler.core.packing.board import CPU, EXCLUSIVE, FIXED, MEM, SLOTS, TMP, Board
from packhorse.scheduler.core.packing.slots import (
    ALIGNED,
    LOCATED,
    Part,
    Share,
    Whole,
    share_mem_name,
    share_name,
)
from packhorse.scheduler.model.resources import Ask, Gres, is_slice

NO_BOUND: Final = 1 << 30


Base = tuple[int, int, list[tuple[int, int]]]
"""CPU in thousandths, memory in MiB, and the amounts by resource."""


class Wishes(NamedTuple):
    """Devices wanted of one node: those only counted, by resource, and those that have slots."""

    counted: dict[str, int]
    located: tuple[Whole | Share | Part, ...]


class Shape:
    """An ask with its rules worked out.

    tasks: on all nodes together. lo, hi: how many nodes; lo > hi for a contradictory ask. per_node: most
    tasks on one. even: tasks are dealt out evenly over the nodes (a number of nodes was asked for), not
    node after node. gres_node, gres_task, job_devices: (resource, n), typed ones under their kind as
    well; gres_job: devices for the whole job as asked, typed ones first. mixed: of some kind both
    typed and any devices are asked for. share: a share of one device, for the node or (share_per_task) for
    each task on it. aligned: devices are asked for that are given in aligned blocks. hops, spread, linked:
    as in
    Ask. counts: (features, how many nodes must have them), for an expression with counts.
    """

    __slots__ = (
        "_bases",
        "_wishes",
        "aligned",
        "contiguous",
        "counts",
        "cpu_min",
        "cpu_task",
        "even",
        "exclusive",
        "gres_job",
        "gres_node",
        "gres_task",
        "has_devices",
        "hi",
        "hops",
        "job_devices",
        "linked",
        "lo",
        "max_switches",
        "mem_all",
        "mem_cpu",
        "mem_node",
        "mixed",
        "per_node",
        "required",
        "share",
        "share_per_task",
        "spread",
        "tasks",
        "tmp",
    )

    def __init__(self, ask: Ask) -> None:
        self.required = frozenset(ask.nodes_required)
        self.counts = counted(ask.features)
        lo = max(ask.min_nodes, len(self.required), sum(n for _, n in self.counts), 1)
        self.tasks = max(ask.n_tasks, lo)
        self.per_node = ask.tasks_per_node or NO_BOUND
        self.lo = max(lo, -(-self.tasks // self.per_node))
        self.hi = min(ask.max_nodes or self.tasks, self.tasks)
        self.even = self.lo > 1 or ask.spread
        self.cpu_task = ask.cpu_milli_per_task
        self.cpu_min = ask.min_cpu_milli_per_node
        self.mem_node = 0 if ask.mem_all else ask.mem_mib_per_node
        self.mem_cpu = 0 if ask.mem_all else ask.mem_mib_per_cpu
        self.mem_all = ask.mem_all
        self.tmp = ask.tmp_mib_per_node
        self.exclusive = ask.exclusive
        self.contiguous = ask.contiguous
        self.gres_node = _by_resource(ask.gres_per_node)
        self.gres_task = _by_resource(ask.gres_per_task)
        whole = (g for g in ask.gres_per_job if g.n and not g.shares)
        self.gres_job = tuple(sorted(whole, key=lambda g: not g.type))
        self.job_devices = _by_resource(self.gres_job)
        every = (*ask.gres_per_node, *ask.gres_per_task, *ask.gres_per_job)
        self.share: Share | None = None
        for g in every:
            if g.shares and g.n:
                self.share = Share(g.kind, g.type, 1, g.milli, g.mem_mib)
        self.share_per_task = any(g.shares and g.n for g in ask.gres_per_task)
        if any(g.shares and g.n for g in ask.gres_per_job):
            self.hi = min(self.hi, 1)
        self.has_devices = bool(self.gres_node or self.gres_task or self.gres_job or self.share)
        self.mixed = _mixed(every)
        self.aligned = tuple(kind for kind in ALIGNED if any(g.kind == kind and g.n for g in every))
        self.hops = ask.hops
        self.max_switches = ask.max_switches
        self.spread = ask.spread
        self.linked = ask.linked
        self._wishes: dict[tuple[int, bool], Wishes] = {}
        self._bases: dict[int, Base] = {}

    @property
    def single(self) -> bool:
        """All tasks may be on one node."""
        return self.lo == 1 and self.hi >= 1

    @property
    def multi(self) -> bool:
        """The tasks may be on several nodes."""
        return self.hi > 1 and self.hi >= self.lo

    def cpus(self, tasks: int) -> int:
        """Thousandths of CPUs for that many tasks on one node, unless the job is exclusive."""
        return max(self.cpu_task * tasks, self.cpu_min)

    def mem(self, cpu_milli: int) -> int:
        """MiB on a node that gives these CPUs, unless the job takes all of it."""
        return self.mem_node or -(-self.mem_cpu * cpu_milli // 1000)

    def base(self, tasks: int) -> Base:
        """What that many tasks take of a node that has no say in it, but for devices; worked out once."""
        found = self._bases.get(tasks)
        if found is None:
            cpu = self.cpus(tasks)
            found = self._bases[tasks] = self.base_of(cpu, self.mem(cpu))
        return found

    def base_of(self, cpu: int, mem: int) -> Base:
        """The same, given CPU and memory."""
        pairs = [(SLOTS, EXCLUSIVE if self.exclusive else 1)]
        pairs += [(r, amount) for r, amount in ((CPU, cpu), (MEM, mem), (TMP, self.tmp)) if amount]
        return cpu, mem, pairs

    def devices(self, tasks: int, whole_job: bool) -> dict[str, int]:
        """Devices by resource for that many tasks on one node; whole_job: all tasks are there."""
        out = dict(self.gres_node)
        for resource, n in self.gres_task:
            out[resource] = out.get(resource, 0) + n * tasks
        if whole_job:
            for resource, n in self.job_devices:
                out[resource] = out.get(resource, 0) + n
        return out

    def needs(self, tasks: int, whole_job: bool, column_of: Mapping[str, int]) -> list[int] | None:
        """Amounts `[n_resources]` that tasks take at least on a node; None: a device no node has.

        Exact but for exclusive with memory per CPU and for mem_all, where the node decides.
        """
        cpu = self.cpu_task * tasks
        if cpu < self.cpu_min:
            cpu = self.cpu_min
        mem = self.mem(cpu)
        out = [cpu, mem, self.tmp, EXCLUSIVE if self.exclusive else 1]  # CPU, MEM, TMP, SLOTS
        out += [0] * (len(column_of) - FIXED)
        if self.has_devices:
            for resource, n in self.devices(tasks, whole_job).items():
                column = column_of.get(resource)
                if column is None:
                    return None
                out[column] = n
        if self.share is not None:
            column = column_of.get(self.share_resource)
            if column is None:
                return None
            out[column] = self.share.mem_mib or self.share.milli
        return out

    @property
    def share_resource(self) -> str:
        """The column that says whether a node can give the share."""
        assert self.share is not None
        return share_mem_name(self.share.kind) if self.share.mem_mib else share_name(self.share.kind)

    @property
    def picky(self) -> bool:
        """Sums of devices do not say whether it fits: which devices they are does."""
        return self.share is not None or self.linked or bool(self.aligned)

    @property
    def undecided(self) -> bool:
        """Amounts do not say which nodes hold the whole job: the node, or something else has a say in it."""
        return self.node_decides or self.picky or self.spread or bool(self.required or self.counts)

    def located(self, tasks: int, wanted: Mapping[str, int]) -> list[Whole | Share | Part]:
        """What is wanted of devices that have slots, typed before open; wanted: as `devices` gives it."""
        out: list[Whole | Share | Part] = []
        if self.share is not None:
            out.append(self.share._replace(n=tasks if self.share_per_task else 1))
        for kind in LOCATED:
            rest = wanted.get(kind, 0)
            for name, n in wanted.items():
                type_ = name.removeprefix(f"{kind}:") if name.startswith(f"{kind}:") else ""
                if type_ and is_slice(type_):
                    out.append(Part(kind, type_, n))
                elif type_ and n:
                    out.append(Whole(kind, type_, n, self.linked))
                    rest -= n
            if rest > 0:
                out.append(Whole(kind, "", rest, self.linked))
        return out

    def wishes(self, tasks: int, whole_job: bool) -> Wishes:
        """Devices that so many tasks take on a node, apart from those dealt out per job; worked out once."""
        found = self._wishes.get((tasks, whole_job))
        if found is None:
            found = self._wishes[tasks, whole_job] = self.wishes_of(tasks, self.devices(tasks, whole_job))
        return found

    def wishes_of(self, tasks: int, wanted: Mapping[str, int]) -> Wishes:
        """The same of devices by resource."""
        counted = {name: n for name, n in wanted.items() if name.partition(":")[0] not in LOCATED}
        return Wishes(counted, tuple(self.located(tasks, wanted)))

    @property
    def node_decides(self) -> bool:
        """What a node gives depends on the node: all its CPUs or all its memory."""
        return self.exclusive or self.mem_all

    def memory(self, cpu_milli: np.ndarray, offered_mem: np.ndarray) -> np.ndarray:
        """MiB on nodes that give these CPUs and have this memory in all."""
        if self.mem_all:
            return offered_mem
        if self.mem_cpu:
            return -(-self.mem_cpu * cpu_milli // 1000)
        return np.full_like(cpu_milli, self.mem_node)

    def caps(
        self, free: np.ndarray, offered: np.ndarray, column_of: Mapping[str, int], board: Board
    ) -> np.ndarray:
        """How many tasks each node can take, at most all of them: `[n_nodes]`, 0 where none.

        free, offered: `[n_resources, n_nodes]`. Devices per job are not looked at here.
        """
        fits = free[SLOTS] >= (EXCLUSIVE if self.exclusive else 1)
        t = np.full(free.shape[1], min(self.tasks, self.per_node), dtype=np.int64)
        cpu = free[CPU]
        fits &= cpu >= self.cpu_min
        if self.cpu_task:
            np.minimum(t, cpu // self.cpu_task, out=t)
        mem = free[MEM]
        if self.mem_all:
            fits &= (mem >= offered[MEM]) & (mem > 0)
        elif self.mem_cpu and self.exclusive:
            fits &= mem >= -(-self.mem_cpu * offered[CPU] // 1000)
        elif self.mem_cpu:
            payable = mem * 1000 // self.mem_cpu
            fits &= payable >= self.cpu_min
            if self.cpu_task:
                np.minimum(t, payable // self.cpu_task, out=t)
        elif self.mem_node:
            fits &= mem >= self.mem_node
        if self.tmp:
            fits &= free[TMP] >= self.tmp
        if self.gres_node or self.gres_task:
            per_node, per_task = dict(self.gres_node), dict(self.gres_task)
            for resource in {**per_node, **per_task}:
                column = column_of.get(resource)
                if column is None:
                    return np.zeros_like(t)
                left = free[column] - per_node.get(resource, 0)
                fits &= left >= 0
                if resource in per_task:
                    np.minimum(t, left // per_task[resource], out=t)
        if self.share is not None:
            n = slotfit.shares(board, self.share, free[board.slot_columns])
            if self.share_per_task:
                np.minimum(t, n, out=t)
            else:
                fits &= n > 0
        if self.linked or self.aligned:
            t = slotfit.tasks(board, self, free, t)
        return np.where(fits, np.maximum(t, 0), 0)


def feature_parts(features: str) -> list[str]:
    """What stands between the `&` of `[(a&b)*2&c*4]`, those in parentheses left as they are."""
    parts, depth = [""], 0
    for char in features.strip().strip("[]"):
        depth += (char == "(") - (char == ")")
        if char == "&" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def counted(features: str) -> tuple[tuple[str, int], ...]:
    """`a*2&b*4` as (expression, nodes that must satisfy it); empty for an expression without counts."""
    if "*" not in features:
        return ()
    out = []
    for part in feature_parts(features):
        text, star, n = part.strip().rpartition("*")
        if star and n.isascii() and n.isdecimal():
            out.append((text.strip(), int(n)))
    return tuple(out)


def _mixed(gres: tuple[Gres, ...]) -> bool:
    typed = {g.kind for g in gres if g.type and g.n}
    return any(g.kind in typed for g in gres if not g.type and g.n)


def _by_resource(gres: tuple[Gres, ...]) -> tuple[tuple[str, int], ...]:
    """Counts by resource name; a typed device counts under its kind as well, a slice does not. No shares."""
    if not gres:
        return ()
    out: dict[str, int] = {}
    for g in gres:
        if g.shares:
            continue
        kind, type_, n, *_ = g
        if not is_slice(type_):
            out[kind] = out.get(kind, 0) + n
        if type_:
            out[f"{kind}:{type_}"] = out.get(f"{kind}:{type_}", 0) + n
    return tuple((resource, n) for resource, n in out.items() if n)

"""Invariants of steps: what they have is their job's, and nobody else's."""

from __future__ import annotations

from collections import Counter

from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import parts_left
from packhorse.scheduler.core.steps.fit import holds_devices, holds_memory
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.resources import Devices, Placement
from packhorse.scheduler.model.step import Overlap, Step


def check_steps(state: State) -> None:
    """Raises InvariantBroken with the first contradiction found."""
    for id, steps in state.steps.items():
        job = state.jobs.get(id)
        if job is None or not isinstance(job.phase, Active):
            raise InvariantBroken(f"job {id} has steps and holds no allocation")
        ids = [step.id for step in steps.running]
        _require(ids == sorted(set(ids)), id, f"steps {ids} are not in order")
        _require(not ids or ids[-1] < steps.next, id, f"step {ids[-1:]} runs, the next one is {steps.next}")
        for step in steps.running:
            _step(job.phase, id, step)
        _beside_each_other(job.phase, id, steps.running)
    for job in state.jobs.values():
        if isinstance(job.phase, Active) and job.phase.batch_end is not None:
            left = next(parts_left(state.steps, job.id), None)
            _require(left is not None, job.id, "its script is over, no step runs, and it does")


def _require(holds: bool, job: JobId, message: str) -> None:
    if not holds:
        raise InvariantBroken(f"job {job}: {message}")


def _step(active: Active, job: JobId, step: Step) -> None:
    """Each of its tasks once, on nodes of the job; nothing beyond what the job has there."""
    name = f"step {step.id}"
    by_node = {p.node: p for p in active.placements}
    ranks = sorted(rank for part in step.parts for rank in part.ranks)
    _require(ranks == list(range(len(ranks))) and bool(ranks), job, f"{name}: tasks {ranks}")
    _require(len({part.node for part in step.parts}) == len(step.parts), job, f"{name}: a node twice")
    _require(not all(part.over for part in step.parts), job, f"{name} is over and runs")
    for part in step.parts:
        placement = by_node.get(part.node)
        if placement is None:
            raise InvariantBroken(f"job {job}: {name} is on {part.node}, the job is not")
        _require(list(part.ranks) == sorted(part.ranks), job, f"{name}: tasks {part.ranks}")
        _require(part.cpu_milli <= placement.cpu_milli, job, f"{name}: {part.cpu_milli} milli-CPU")
        within = not placement.mem_mib or part.mem_mib <= placement.mem_mib
        _require(within, job, f"{name}: {part.mem_mib} MiB of {placement.mem_mib}")
        _require(not _single(part.devices) - _single(placement.devices), job, f"{name}: {part.devices}")
        _require(not part.over or bool(part.ended_at), job, f"{name}: it is over since never")


def _single(devices: tuple[Devices, ...]) -> Counter[Devices]:
    return Counter(d._replace(indices=(index,)) for d in devices for index in d.indices)


def _beside_each_other(active: Active, job: JobId, running: tuple[Step, ...]) -> None:
    """What steps hold for themselves is not more than the job has."""
    cpu_milli: Counter[NodeName] = Counter()
    mem_mib: Counter[NodeName] = Counter()
    devices: dict[NodeName, Counter[Devices]] = {p.node: Counter() for p in active.placements}
    for step in running:
        if step.spec.overlap is Overlap.OVERLAP:
            continue
        for part in step.parts:
            if not part.over:
                cpu_milli[part.node] += part.cpu_milli
                mem_mib[part.node] += part.mem_mib if holds_memory(step.spec) else 0
                devices[part.node] += _single(part.devices) if holds_devices(step.spec) else Counter()
    for p in active.placements:
        _placement(job, p, cpu_milli[p.node], mem_mib[p.node], devices[p.node])


def _placement(job: JobId, p: Placement, cpu_milli: int, mem_mib: int, devices: Counter[Devices]) -> None:
    _require(cpu_milli <= p.cpu_milli, job, f"its steps hold {cpu_milli} milli-CPU on {p.node}")
    _require(not p.mem_mib or mem_mib <= p.mem_mib, job, f"its steps hold {mem_mib} MiB on {p.node}")
    _require(not devices - _single(p.devices), job, f"its steps hold {dict(devices)} on {p.node}")

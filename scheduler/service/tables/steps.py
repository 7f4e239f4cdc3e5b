"""The table of running steps, batch scripts among them, as squeue -s, scontrol and sstat ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from packhorse.scheduler.core.active import suspended_us
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import NO_STEPS, has_script, must_end, step_key
from packhorse.scheduler.core.steps.rows import layout_name
from packhorse.scheduler.model.hostlist import compress
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, NodeName
from packhorse.scheduler.model.job import Active, ArrayJob, Job
from packhorse.scheduler.model.resources import Placement, Usage, joined_usage
from packhorse.scheduler.model.step import Step
from packhorse.scheduler.service.convert_agents import NodeUsage
from packhorse.scheduler.service.tables.amounts import placed, tres_text
from packhorse.scheduler.service.tables.table import Catalogue, Field, ints, texts

BATCH = "batch"


class StepRow(NamedTuple):
    """A running step, or (step None) a job's batch script. parts: what it has, node by node."""

    job: Job
    active: Active
    step: Step | None
    parts: tuple[Placement, ...]
    started_at: Instant
    usage: Usage

    @property
    def name(self) -> str:
        return BATCH if self.step is None else str(self.step.id)


class StepView:
    """The steps of these jobs, in the order of the jobs; refs that name a step mean that one alone."""

    def __init__(
        self,
        state: State,
        now: Instant,
        items: Iterable[Job | ArrayJob],
        usage: Mapping[NodeName, NodeUsage],
        refs: Sequence[Any] = (),
    ) -> None:
        self.now = now
        only: dict[int, set[int] | None] = {}
        for ref in refs:
            known = only.get(ref.job_id, set())
            only[ref.job_id] = None if ref.step is None or known is None else known | {ref.step}
        self.rows: list[StepRow] = []
        for item in items:
            if isinstance(item, Job) and isinstance(item.phase, Active):
                wanted = only.get(item.id) or only.get(item.array_id)
                self.rows += [
                    row
                    for row in _rows(state, item, item.phase, usage)
                    if wanted is None or (row.step is not None and row.step.id in wanted)
                ]
        found = {(row.job.id, row.step.id) for row in self.rows if row.step is not None}
        self.unknown = [
            ref.text or f"{ref.job_id}.{ref.step}"
            for ref in refs
            if ref.step is not None and (ref.job_id, ref.step) not in found and not ref.indices
        ]


def _rows(state: State, job: Job, active: Active, usage: Mapping[NodeName, NodeUsage]) -> list[StepRow]:
    rows = []
    if has_script(job, active) and active.started_at:
        first = active.placements[0]
        used = _used(usage, [(first.node, active.attempt)])
        rows.append(StepRow(job, active, None, (first,), active.started_at, used))
    for step in state.steps.get(job.id, NO_STEPS).running:
        key = step_key(active.attempt, step)
        parts = tuple(
            Placement(part.node, part.cpu_milli, part.mem_mib, len(part.ranks), part.devices)
            for part in step.parts
        )
        used = _used(usage, [(part.node, key) for part in step.parts])
        rows.append(StepRow(job, active, step, parts, step.created_at, used))
    return rows


def _used(usage: Mapping[NodeName, NodeUsage], where: Iterable[tuple[NodeName, AttemptKey]]) -> Usage:
    """What its nodes last measured, all together; the most memory of one."""
    found = []
    for node, key in where:
        said = usage.get(node)
        sample = said.attempts.get(key) if said is not None else None
        if sample is not None:
            found.append(sample.usage)
    return found[0] if len(found) == 1 else joined_usage(found)


def _text(value: Callable[[StepRow], str]) -> Field[StepView]:
    return texts(lambda view: [value(row) for row in view.rows])


def _int(value: Callable[[StepRow], int]) -> Field[StepView]:
    return ints(lambda view: [value(row) for row in view.rows])


def _measured(name: str) -> Field[StepView]:
    """0 was not measured."""
    return _int(lambda row: getattr(row.usage, name) or -1)


def _state(row: StepRow) -> str:
    if row.active.suspended_at and row.active.ending is None:
        return "SUSPENDED"
    if row.step is None:
        return row.job.state.value
    return "COMPLETING" if must_end(row.active, row.step) else "RUNNING"


def _suspended_us(row: StepRow, now: Instant) -> int:
    total_us = suspended_us(row.active, now)
    return total_us if row.step is None else total_us - row.active.suspended_us + row.step.suspended_us


def _n_tasks(row: StepRow) -> int:
    return 1 if row.step is None else sum(part.n_tasks for part in row.parts)


def _layout(row: StepRow) -> str:
    if row.step is None:
        return ""
    return layout_name(row.step.spec.distribution, _n_tasks(row), len(row.parts))


STEPS: Catalogue[StepView] = {
    "job_id": _int(lambda row: row.job.id),
    "array_job_id": _int(lambda row: row.job.array_id),
    "array_task_id": _int(lambda row: row.job.index),
    "step": _text(lambda row: row.name),
    "name": _text(lambda row: BATCH if row.step is None else row.step.spec.name),
    "partition": _text(lambda row: row.job.spec.partition),
    "account": _text(lambda row: row.job.spec.account),
    "qos": _text(lambda row: row.job.spec.qos),
    "user": _text(lambda row: row.job.owner.user),
    "uid": _int(lambda row: row.job.owner.uid),
    "state": _text(_state),
    "start_at": _int(lambda row: row.started_at),
    "suspended_s": ints(lambda view: [_suspended_us(row, view.now) // US for row in view.rows]),
    "time_limit_s": _int(lambda row: 0 if row.step is None else row.step.spec.time_limit_s),
    "n_nodes": _int(lambda row: len(row.parts)),
    "n_cpus": _int(lambda row: placed(row.parts).cpus),
    "n_tasks": _int(_n_tasks),
    "nodes": _text(lambda row: compress(part.node for part in row.parts)),
    "alloc_tres": _text(lambda row: tres_text(placed(row.parts), billing=False)),
    "layout": _text(_layout),
    "submit_host": _text(lambda row: "" if row.step is None else row.step.spec.submit_host),
    "submit_line": _text(lambda row: "" if row.step is None else row.step.spec.submit_line),
    "user_cpu_us": _measured("user_cpu_us"),
    "system_cpu_us": _measured("system_cpu_us"),
    "max_rss_kib": _measured("max_rss_kib"),
    "max_vm_kib": _measured("max_vm_kib"),
    "disk_read_bytes": _measured("disk_read_bytes"),
    "disk_write_bytes": _measured("disk_write_bytes"),
}

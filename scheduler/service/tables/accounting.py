"""The table of accounting, as sacct asks for it: attempts and their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from packhorse.scheduler.model.accounting import BATCH_STEP, AttemptRow, StepRow
from packhorse.scheduler.model.hostlist import expand
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.service.tables.amounts import Amounts, tres_text
from packhorse.scheduler.service.tables.table import Catalogue, Field, ints, texts

BATCH = "batch"

UNBLAMED = frozenset({JobState.CANCELLED, JobState.TIMEOUT, JobState.REQUEUED, JobState.PREEMPTED})
"""States whose allocation shows 0:0 in accounting: the signal that ended it is its batch step's."""


class AccountingRow(NamedTuple):
    """One row: an attempt, or (step "batch", "0" …) a step of it. The row's own words where these differ.

    derived: the highest exit code of srun's steps, and the signal, on the row of an attempt.
    """

    attempt: AttemptRow
    step: str
    name: str
    state: str
    exit_code: int
    exit_signal: int
    n_nodes: int
    n_cpus: int
    n_tasks: int
    nodes: str
    alloc_tres: str
    started_at: Instant
    ended_at: Instant
    usage: Usage
    max_rss_node: str = ""
    submit_line: str = ""
    layout: str = ""
    derived: tuple[int, int] = (0, 0)


class AccountingView(NamedTuple):
    """The rows in their order, and the name of the cluster."""

    rows: list[AccountingRow]
    cluster: str


def job_row(attempt: AttemptRow, steps: Sequence[StepRow] = ()) -> AccountingRow:
    """The row of the allocation."""
    blamed = attempt.state not in UNBLAMED
    ended = [(step.exit_code, step.exit_signal) for step in steps if step.step != BATCH_STEP]
    return AccountingRow(
        attempt,
        "",
        attempt.name,
        attempt.state,
        attempt.exit_code if blamed else 0,
        attempt.exit_signal if blamed else 0,
        attempt.n_nodes,
        attempt.n_cpus,
        attempt.n_tasks,
        attempt.nodes,
        attempt.alloc_tres,
        attempt.started_at,
        attempt.ended_at,
        attempt.usage,
        submit_line=attempt.submit_line,
        derived=max(ended, key=lambda pair: 128 + pair[1] if pair[1] else pair[0], default=(0, 0)),
    )


def step_rows(attempt: AttemptRow, steps: Sequence[StepRow]) -> list[AccountingRow]:
    """The rows of its batch script, if it has one, and of its steps."""
    own = next((step for step in steps if step.step == BATCH_STEP), None)
    rows = [] if attempt.allocation else [_batch(attempt, own)]
    return rows + [_step(attempt, step) for step in steps if step.step != BATCH_STEP]


def _step(attempt: AttemptRow, step: StepRow) -> AccountingRow:
    return AccountingRow(
        attempt,
        str(step.step),
        step.name,
        step.state,
        step.exit_code,
        step.exit_signal,
        step.n_nodes,
        step.n_cpus,
        step.n_tasks,
        step.nodes,
        step.alloc_tres,
        step.started_at,
        step.ended_at,
        step.usage,
        step.max_rss_node,
        step.submit_line,
        step.layout,
    )


def _batch(attempt: AttemptRow, own: StepRow | None) -> AccountingRow:
    """The row of the batch script: one task on the first node, with that node's share of the CPUs. own: what
    is known of it apart from the steps beside it."""
    n_nodes = max(attempt.n_nodes, 1)
    n_cpus = -(-attempt.n_cpus // n_nodes)
    node = attempt.nodes if n_nodes == 1 else expand(attempt.nodes)[0] if attempt.nodes else ""
    amounts = Amounts(n_cpus, attempt.mem_mib // n_nodes, 1, 1, ())
    usage = attempt.usage if own is None else own.usage
    return AccountingRow(
        attempt,
        BATCH,
        BATCH,
        _step_state(attempt),
        attempt.exit_code,
        attempt.exit_signal,
        1,
        n_cpus if own is None else own.n_cpus,
        1,
        node,
        tres_text(amounts, billing=False) if own is None else own.alloc_tres,
        attempt.started_at,
        attempt.ended_at if own is None else own.ended_at,
        usage,
        node,
    )


def _step_state(attempt: AttemptRow) -> str:
    """Slurm's: a step that a signal ended was cancelled, whatever became of the job."""
    if not attempt.ended_at:
        return JobState.RUNNING.value if attempt.state == JobState.CONFIGURING else attempt.state
    if attempt.state == JobState.OUT_OF_MEMORY:
        return attempt.state
    if attempt.exit_signal or (attempt.state in UNBLAMED and not attempt.exit_code):
        return JobState.CANCELLED.value
    return JobState.FAILED.value if attempt.exit_code else JobState.COMPLETED.value


def _text(name: str) -> Field[AccountingView]:
    return texts(lambda view: [getattr(row.attempt, name) for row in view.rows])


def _int(name: str) -> Field[AccountingView]:
    return ints(lambda view: [getattr(row.attempt, name) for row in view.rows])


def _own(value: Callable[[AccountingRow], int]) -> Field[AccountingView]:
    return ints(lambda view: [value(row) for row in view.rows])


def _measured(name: str) -> Field[AccountingView]:
    """Of the batch step; the allocation's row has no measurement of its own. 0 was not measured."""
    return ints(lambda view: [(getattr(row.usage, name) or -1) if row.step else -1 for row in view.rows])


def _cpu_time(name: str) -> Field[AccountingView]:
    """Of both rows: an allocation has used what its steps have."""
    return ints(lambda view: [getattr(row.usage, name) for row in view.rows])


def _of_gpus(name: str, told_by: str) -> Field[AccountingView]:
    """Of the batch step; -1 where `told_by` says that its GPUs did not tell: 0 is a measurement here."""

    def value(row: AccountingRow) -> int:
        usage = row.usage
        return getattr(usage, name) if row.step and getattr(usage, told_by) > 0 else -1

    return _own(value)


def _pending_text(row: AccountingRow) -> str:
    return row.attempt.array_indices if row.attempt.index < 0 else ""


ACCOUNTING: Catalogue[AccountingView] = {
    "row_kind": texts(lambda view: ["step" if row.step else "job" for row in view.rows]),
    "step": texts(lambda view: [row.step for row in view.rows]),
    "job_id": _int("job"),
    "array_job_id": _int("array_id"),
    "array_task_id": _int("index"),
    "array_pending": texts(lambda view: [_pending_text(row) for row in view.rows]),
    "name": texts(lambda view: [row.name for row in view.rows]),
    "user": _text("user"),
    "uid": _int("uid"),
    "group": _text("group"),
    "gid": _int("gid"),
    "account": _text("account"),
    "partition": _text("partition"),
    "qos": _text("qos"),
    "cluster": texts(lambda view: [view.cluster] * len(view.rows)),
    "state": texts(lambda view: [row.state for row in view.rows]),
    "reason": _text("reason"),
    "cancelled_by": _own(lambda row: -1 if row.step else row.attempt.cancelled_by),
    "exit_code": _own(lambda row: row.exit_code),
    "exit_signal": _own(lambda row: row.exit_signal),
    "derived_exit_code": _own(lambda row: row.derived[0]),
    "derived_exit_signal": _own(lambda row: row.derived[1]),
    "submit_at": _own(lambda row: row.started_at if row.step else row.attempt.submitted_at),
    "eligible_at": _own(lambda row: row.started_at if row.step else row.attempt.eligible_at),
    "start_at": _own(lambda row: row.started_at),
    "end_at": _own(lambda row: row.ended_at),
    "suspended_s": _own(lambda row: row.attempt.suspended_us // US),
    "time_limit_s": _int("time_limit_s"),
    "priority": _int("priority"),
    "restarts": _int("restarts"),
    "n_nodes": _own(lambda row: row.n_nodes),
    "req_nodes": _own(lambda row: row.n_nodes),
    "alloc_cpus": _own(lambda row: row.n_cpus),
    "req_cpus": _own(lambda row: row.n_cpus),
    "n_tasks": _own(lambda row: row.n_tasks),
    "nodes": texts(lambda view: [row.nodes for row in view.rows]),
    "alloc_tres": texts(lambda view: [row.alloc_tres for row in view.rows]),
    "req_tres": texts(lambda view: ["" if row.step else row.attempt.req_tres for row in view.rows]),
    "user_cpu_us": _cpu_time("user_cpu_us"),
    "system_cpu_us": _cpu_time("system_cpu_us"),
    "max_rss_kib": _measured("max_rss_kib"),
    "max_rss_node": texts(lambda view: [row.max_rss_node for row in view.rows]),
    "ave_rss_kib": _measured("max_rss_kib"),
    "max_vm_kib": _measured("max_vm_kib"),
    "ave_vm_kib": _measured("max_vm_kib"),
    "disk_read_bytes": _measured("disk_read_bytes"),
    "disk_write_bytes": _measured("disk_write_bytes"),
    "max_cache_kib": _measured("max_cache_kib"),
    "oom_kills": _own(lambda row: row.usage.oom_kills if row.step else 0),
    "gpu_ms": _measured("gpu_ms"),
    "gpu_busy_ms": _of_gpus("gpu_busy_ms", "gpu_ms"),
    "gpu_max_mem_mib": _measured("gpu_max_mem_mib"),
    "gpu_energy_mj": ints(lambda view: [row.usage.gpu_energy_mj or -1 for row in view.rows]),
    "gpu_gflop": _of_gpus("gpu_gflop", "gpu_peak_gflop"),
    "gpu_peak_gflop": _measured("gpu_peak_gflop"),
    "attempt": _int("attempt"),
    "mem_mib": _int("mem_mib"),
    "features": _text("features"),
    "comment": _text("comment"),
    "wckey": _text("wckey"),
    "reservation": _text("reservation"),
    "work_dir": _text("work_dir"),
    "submit_line": texts(lambda view: [row.submit_line for row in view.rows]),
    "layout": texts(lambda view: [row.layout for row in view.rows]),
}

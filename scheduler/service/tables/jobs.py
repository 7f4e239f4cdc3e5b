"""The table of jobs, as squeue and scontrol ask for it.

A row is a job, an array's waiting remainder as a whole, or (expanded) one waiting index of it. All rows are
`Job` values: a remainder is shown as the job that the next of its tasks would be, with index -1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeVar

from packhorse.scheduler.core import indices, multifactor
from packhorse.scheduler.core.active import is_suspended, suspended_us
from packhorse.scheduler.core.explain import explain, reason_text
from packhorse.scheduler.core.gangs import text as gang_text
from packhorse.scheduler.core.gpu_idle import stop_at
from packhorse.scheduler.core.oom_retry import retries_allowed
from packhorse.scheduler.core.orders import MULTIFACTOR
from packhorse.scheduler.core.priority import base_priority
from packhorse.scheduler.core.reasons import REASONS, Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.when.book import Key
from packhorse.scheduler.model.cluster import GpuIdleAction
from packhorse.scheduler.model.event import StartEstimate
from packhorse.scheduler.model.hostlist import compress, compress_sorted
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import (
    Active,
    ArrayJob,
    Condition,
    DependencyKind,
    Ended,
    IndexRange,
    Job,
    JobSpec,
    Pending,
    Phase,
)
from packhorse.scheduler.model.oomspec import format_factor
from packhorse.scheduler.model.resources import Ask, Placement
from packhorse.scheduler.model.retryspec import format_retry
from packhorse.scheduler.model.units import format_elapsed, format_mem_mib
from packhorse.scheduler.service.tables.amounts import (
    Amounts,
    asked,
    cpus_of,
    granted_text,
    gres_text,
    placed,
    repeated_text,
    tres_text,
)
from packhorse.scheduler.service.tables.estimates import Expected, expected_starts
from packhorse.scheduler.service.tables.preemption import (
    checkpoint_text,
    eligible_at,
    preempted_at,
    preempted_why,
)
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts

T = TypeVar("T")

MAX_EXPLAINED = 500
"""Waiting rows of one table that get whole sentences: measured as 25 ms of work."""


class JobView:
    """Some rows, and what several columns need. Lives for one call, without an await in between."""

    def __init__(
        self,
        state: State,
        now: Instant,
        rows: list[Job],
        remaining: dict[JobId, tuple[IndexRange, ...]],
        estimates: Mapping[Key, StartEstimate],
    ) -> None:
        self.state = state
        self.now = now
        self.rows = rows
        self.remaining = remaining
        """By array: the waiting indices that its row (index -1) stands for."""
        self._estimates = estimates

    @cached_property
    def specs(self) -> list[JobSpec]:
        return [job.spec for job in self.rows]

    @cached_property
    def asks(self) -> list[Ask]:
        return [spec.ask for spec in self.specs]

    @cached_property
    def phases(self) -> list[Phase]:
        return [job.phase for job in self.rows]

    @cached_property
    def node_counts(self) -> list[int]:
        """Of jobs that wait: as many nodes as their CPUs take at least, were all like the largest."""
        counts = [amounts.nodes for amounts in self.amounts]
        most = max((cpus_of(node.spec.cpu_milli) for node in self.state.nodes.values()), default=0)
        if not most:
            return counts
        return [
            max(n, -(-amounts.cpus // most)) if isinstance(phase, Pending) else n
            for n, amounts, phase in zip(counts, self.amounts, self.phases, strict=True)
        ]

    @cached_property
    def waiting_codes(self) -> dict[int, int]:
        """Reason code by id: of the rows if they are few, else of everything that waits."""
        columns = self.state.pending_columns
        if len(self.rows) * 16 < len(columns):
            return {job.id: columns.reason(job.id).code for job in self.rows if job.id in columns}
        return dict(zip(columns.id.tolist(), columns.reason_code.tolist(), strict=True))

    @cached_property
    def planned(self) -> dict[int, int]:
        """Planned start by id, of those that have one."""
        columns = self.state.pending_columns
        rows = columns.planned_at.nonzero()[0]
        return dict(zip(columns.id[rows].tolist(), columns.planned_at[rows].tolist(), strict=True))

    @cached_property
    def expected(self) -> list[Expected]:
        """When each row is expected to start."""
        return expected_starts(self.state, self.now, self.rows, self._estimates)

    @cached_property
    def amounts(self) -> list[Amounts]:
        """Held now or at the end; asked for where nothing was granted."""
        of_ask: dict[int, Amounts] = {}  # by identity: equal asks are mostly one object
        found = []
        for ask, phase in zip(self.asks, self.phases, strict=True):
            placements = () if type(phase) is Pending else phase.placements  # type: ignore[union-attr]
            if placements:
                found.append(placed(placements))
                continue
            amounts = of_ask.get(id(ask))
            if amounts is None:
                amounts = of_ask[id(ask)] = asked(ask)
            found.append(amounts)
        return found

    def of_spec(self, value: Callable[[JobSpec], T]) -> list[T]:
        """The value for every row, computed once for each spec object."""
        known: dict[int, T] = {}
        found = []
        for spec in self.specs:
            key = id(spec)
            if key not in known:
                known[key] = value(spec)
            found.append(known[key])
        return found

    def of_placements(self, value: Callable[[Sequence[Placement]], T], otherwise: T) -> list[T]:
        """The value for rows that hold or held an allocation."""
        return [
            otherwise if type(phase) is Pending or not phase.placements else value(phase.placements)  # type: ignore[union-attr]
            for phase in self.phases
        ]


def view(
    state: State,
    now: Instant,
    chosen: Sequence[Job | ArrayJob],
    *,
    expand: bool = False,
    estimates: Mapping[Key, StartEstimate] = MappingProxyType({}),
) -> JobView:
    """The view of these jobs and array remainders. expand: one row for each waiting index. estimates: of
    starts, newer than those that jobs were told."""
    rows: list[Job] = []
    remaining: dict[JobId, tuple[IndexRange, ...]] = {}
    for item in chosen:
        if type(item) is Job:
            rows.append(item)
        elif isinstance(item, ArrayJob) and item.remaining:
            if expand:
                rows += [_task(item, index) for index in indices.each(item.remaining)]
            else:
                remaining[item.id] = item.remaining
                rows.append(_task(item, -1))
    return JobView(state, now, rows, remaining, estimates)


def _task(array: ArrayJob, index: int) -> Job:
    return Job(
        id=array.id,
        spec=array.spec,
        owner=array.owner,
        submitted_at=array.submitted_at,
        phase=array.phase,
        array_id=array.id,
        index=index,
    )


def state_word(job: Job) -> str:
    """Slurm's long word."""
    return job.state.value


def reasons(view: JobView) -> list[str]:
    """Slurm's word or phrase."""
    codes = view.waiting_codes if any(type(phase) is Pending for phase in view.phases) else {}
    found = []
    for job, phase in zip(view.rows, view.phases, strict=True):
        if type(phase) is Pending:
            code = codes.get(job.id, 0)
            text = _WORDS[code]
            if code == _UNAVAILABLE:
                text = reason_text(view.state, job.id)
            found.append(text)
        else:
            found.append(phase.reason if type(phase) is Ended else "None")
    return found


def explanations(view: JobView) -> list[str]:
    """Why each row waits, or how it ended, in sentences.

    Each costs a look at nodes and queue: of a table with more waiting rows the first MAX_EXPLAINED get
    theirs, the others their reason alone.
    """
    found = []
    left = MAX_EXPLAINED
    for job, phase, reason in zip(view.rows, view.phases, reasons(view), strict=True):
        if type(phase) is not Pending:
            found.append(phase.detail if type(phase) is Ended else "")
        elif left:
            left -= 1
            found.append("; ".join([why.sentence for why in explain(view.state, job.id, view.now)]))
        else:
            found.append(reason)
    return found


_WORDS = [reason.value for reason in REASONS]
_UNAVAILABLE = Reason.NODES_REQUIRED_OFF.code


def _pending_texts(view: JobView) -> list[str]:
    found = []
    for job in view.rows:
        ranges = view.remaining.get(job.id) if job.index < 0 and job.array_id else None
        found.append(indices.text(ranges, _limit(view.state, job)) if ranges else "")
    return found


def _limit(state: State, job: Job) -> int:
    array = state.arrays.get(job.array_id) if job.array_id else None
    return array.array.limit if array is not None else 0


def priorities(view: JobView) -> list[int]:
    """What orders them, 0 for those that are held. Other words for it: %Q of squeue, Priority of scontrol."""
    partitions = {partition.name: partition for partition in view.state.config.partitions}
    if view.state.config.order == MULTIFACTOR:
        by_spec = multifactor.shown(view.state, view.now, view.rows)
    else:
        by_spec = view.of_spec(lambda spec: base_priority(spec, partitions.get(spec.partition)))
    return [
        0 if type(phase) is Pending and phase.held else priority
        for phase, priority in zip(view.phases, by_spec, strict=True)
    ]


def _eligible_at(view: JobView) -> list[int]:
    """Since when nothing is in the way; of a job that only waits for its begin time, that time."""
    found: list[int] = []
    for phase in view.phases:
        if phase.eligible_at or not isinstance(phase, Pending):
            found.append(phase.eligible_at)
        else:
            found.append(0 if phase.held or phase.unmet or phase.never else phase.begin_at)
    return found


def _start_at(view: JobView) -> list[int]:
    """Of the run; of a job that waits for its begin time, that time."""
    now = view.now
    found: list[int] = []
    for phase in view.phases:
        if type(phase) is Pending:
            found.append(phase.begin_at if phase.begin_at > now else 0)
        elif type(phase) is Active:
            found.append(phase.started_at or phase.granted_at)
        else:
            found.append(phase.started_at)  # type: ignore[union-attr]
    return found


def dependency_text(job: Job) -> str:
    """`afterok:4(failed),afterany:7_3(unfulfilled)`: what is still in the way; "" once nothing is."""
    phase, dependency = job.phase, job.spec.dependency
    if dependency is None or type(phase) is not Pending:
        return ""
    parts = []
    for condition in dependency.conditions:
        if condition in phase.failed or _same(condition, phase.failed):
            parts.append(f"{_condition_text(condition)}(failed)")
        elif condition in phase.unmet or _same(condition, phase.unmet) or _by_index(job, condition):
            parts.append(f"{_condition_text(condition)}(unfulfilled)")
    return ("?" if dependency.any_of else ",").join(parts)


def _same(condition: Condition, others: Sequence[Condition]) -> bool:
    """Whether one of the others is this condition narrowed to one task (aftercorr)."""
    return condition.kind is DependencyKind.AFTERCORR and any(
        other.kind is condition.kind and other.job == condition.job for other in others
    )


def _by_index(job: Job, condition: Condition) -> bool:
    """An array that waits for its counterpart index by index keeps what it waits for beside its phase."""
    return condition.kind is DependencyKind.AFTERCORR and job.array_id == job.id and job.index < 0


def _condition_text(condition: Condition) -> str:
    if condition.kind is DependencyKind.SINGLETON:
        return condition.kind.value
    text = f"{condition.kind.value}:{condition.job}"
    if condition.index >= 0:
        text += f"_{condition.index}"
    elif condition.kind is DependencyKind.AFTERCORR:
        text += "_*"
    return f"{text}+{condition.delay_s // 60}" if condition.delay_s else text


@lru_cache(maxsize=4096)
def _node_list(names: tuple[NodeName, ...]) -> str:
    return compress_sorted(names)


def nodes_text(placements: Sequence[Placement]) -> str:
    """The nodes as a host list."""
    if len(placements) == 1:
        return placements[0].node
    return _node_list(tuple([placement.node for placement in placements]))


def _topology(spec: JobSpec) -> str:
    """What is asked of where nodes and devices are: `hops=0,spread,linked`, `switches=2@00:10:00`; "" for
    nothing."""
    ask = spec.ask
    parts = [f"hops={ask.hops}"] if ask.hops >= 0 else []
    if ask.max_switches:
        wait = f"@{format_elapsed(spec.switches_wait_s)}" if spec.switches_wait_s >= 0 else ""
        parts.append(f"switches={ask.max_switches}{wait}")
    return ",".join([*parts, *["spread"] * ask.spread, *["linked"] * ask.linked])


def _lending(view: JobView) -> list[str]:
    """`lends=no`, or of one that runs what it is expected to use where that is known, and what it has lent or
    borrowed: `expected=1200M,lent=3000M,to=7+9`, `borrowed=2000M,from=1`; "" for nothing."""
    return [_lending_of(view.state, job) for job in view.rows]


def _lending_of(state: State, job: Job) -> str:
    parts = ["lends=no"] if job.spec.no_lend else []
    phase = job.phase
    if type(phase) is not Active:
        return ",".join(parts)
    if phase.estimated:
        parts.append(f"expected={format_mem_mib(sum(phase.estimated))}")
    lent: dict[JobId, int] = {}
    for borrower in state.reclaim.borrowers_of.get(job.id, ()):
        other = state.jobs[borrower].phase
        if type(other) is Active:
            lent[borrower] = sum(loan.mem_mib for loan in other.loans if loan.lender == job.id)
    if lent:
        parts += [f"lent={format_mem_mib(sum(lent.values()))}", f"to={'+'.join(map(str, lent))}"]
    if phase.loans:
        lenders = dict.fromkeys(loan.lender for loan in phase.loans)
        borrowed = sum(loan.mem_mib for loan in phase.loans)
        parts += [f"borrowed={format_mem_mib(borrowed)}", f"from={'+'.join(map(str, lenders))}"]
    return ",".join(parts)


def _reservation(view: JobView) -> list[str]:
    """The one that a job runs in, else the one that it names."""
    return [
        (phase.reservation if type(phase) is Active else "") or spec.reservation
        for phase, spec in zip(view.phases, view.specs, strict=True)
    ]


def _isolation(view: JobView) -> list[str]:
    """What keeps a job to its amounts on the node of its batch script, "" where that is not known."""
    nodes = view.state.nodes
    hosts = view.of_placements(lambda placements: nodes.get(placements[0].node), None)
    return [host.spec.isolation if host is not None else "" for host in hosts]


def _retry(view: JobView) -> list[str]:
    """`3,backoff=30s,on=75,tried=1`, "" for jobs that are not run again when they fail."""
    out = []
    for job in view.rows:
        retry = job.spec.retry
        if retry is None:
            out.append("")
            continue
        text = format_retry(retry.max_retries, retry.backoff_s, retry.codes, retry.avoid_node)
        out.append(f"{text},tried={job.retries}")
    return out


def _oom_retry(view: JobView) -> list[str]:
    """`2x,max=16,tried=1`, "" for jobs that are not run again with more memory."""
    limit = view.state.config.max_requeues
    found = []
    for job in view.rows:
        factor, most = format_factor(job.spec.oom_factor_milli), retries_allowed(job.spec, limit)
        found.append(f"{factor},max={most},tried={job.oom_retries}" if job.spec.oom_factor_milli else "")
    return found


def _gpu_stop_at(view: JobView) -> list[int]:
    """When a job that was warned of idle GPUs is stopped if they stay so, 0 for never."""
    policy = view.state.config.gpu_idle
    stops = policy.enabled and policy.action is not GpuIdleAction.WARN
    return [
        stop_at(policy, phase) if stops and type(phase) is Active and phase.gpus_warned_at else 0
        for phase in view.phases
    ]


def _cron(view: JobView) -> list[str]:
    """When the lines of crontabs that the jobs are of are due."""
    crontabs = view.state.crontabs.values()
    whens = {entry.job: entry.when for crontab in crontabs for entry in crontab.entries}
    return [whens.get(job.id, "") for job in view.rows]


def _suspended_s(view: JobView) -> list[int]:
    """For how long the present or last attempt has been suspended by now."""
    return [
        suspended_us(phase, view.now) // US
        if type(phase) is Active
        else phase.suspended_us // US
        if type(phase) is Ended
        else 0
        for phase in view.phases
    ]


def _ended(view: JobView, value: Callable[[Ended], int]) -> list[int]:
    return [value(phase) if type(phase) is Ended else 0 for phase in view.phases]


def _alloc_tres(view: JobView) -> list[str]:
    return view.of_placements(lambda placements: tres_text(placed(placements)), "")


JOBS: Catalogue[JobView] = {
    "job_id": ints(lambda view: [job.id for job in view.rows]),
    "array_job_id": ints(lambda view: [job.array_id for job in view.rows]),
    "array_task_id": ints(lambda view: [job.index for job in view.rows]),
    "array_pending": texts(_pending_texts),
    "array_limit": ints(lambda view: [_limit(view.state, job) for job in view.rows]),
    "name": texts(lambda view: [spec.name for spec in view.specs]),
    "user": texts(lambda view: [job.owner.user for job in view.rows]),
    "uid": ints(lambda view: [job.owner.uid for job in view.rows]),
    "group": texts(lambda view: [job.owner.group for job in view.rows]),
    "gid": ints(lambda view: [job.owner.gid for job in view.rows]),
    "account": texts(lambda view: [spec.account for spec in view.specs]),
    "partition": texts(lambda view: [spec.partition for spec in view.specs]),
    "qos": texts(lambda view: [spec.qos for spec in view.specs]),
    "state": texts(
        lambda view: [
            "PENDING" if type(phase) is Pending else job.state.value
            for job, phase in zip(view.rows, view.phases, strict=True)
        ]
    ),
    "reason": texts(reasons),
    "reason_text": texts(explanations),
    "priority": ints(priorities),
    "nice": ints(lambda view: [spec.nice for spec in view.specs]),
    "submit_at": ints(lambda view: [job.submitted_at for job in view.rows]),
    "eligible_at": ints(_eligible_at),
    "begin_at": ints(lambda view: [phase.begin_at if type(phase) is Pending else 0 for phase in view.phases]),
    "start_at": ints(_start_at),
    "end_at": ints(lambda view: _ended(view, lambda phase: phase.ended_at)),
    "planned_start_at": ints(lambda view: [view.planned.get(job.id, 0) for job in view.rows]),
    "estimated_start_at": ints(lambda view: [expected.median for expected in view.expected]),
    "estimated_low_at": ints(lambda view: [expected.low for expected in view.expected]),
    "estimated_high_at": ints(lambda view: [expected.high for expected in view.expected]),
    "time_limit_s": ints(lambda view: [spec.time_limit_s for spec in view.specs]),
    "restarts": ints(lambda view: [job.restarts for job in view.rows]),
    "requeue": ints(lambda view: [int(spec.requeue) for spec in view.specs]),
    "exit_code": ints(lambda view: _ended(view, lambda phase: phase.exit_code)),
    "exit_signal": ints(lambda view: _ended(view, lambda phase: phase.exit_signal)),
    "dependency": texts(
        lambda view: [dependency_text(job) if job.spec.dependency else "" for job in view.rows]
    ),
    "n_nodes": ints(lambda view: view.node_counts),
    "max_nodes": ints(lambda view: [ask.max_nodes for ask in view.asks]),
    "n_cpus": ints(lambda view: [amounts.cpus for amounts in view.amounts]),
    "n_tasks": ints(lambda view: [amounts.tasks for amounts in view.amounts]),
    "cpus_per_task": ints(lambda view: [cpus_of(ask.cpu_milli_per_task) for ask in view.asks]),
    "min_cpus": ints(
        lambda view: [
            max(1, cpus_of(ask.min_cpu_milli_per_node), cpus_of(ask.cpu_milli_per_task)) for ask in view.asks
        ]
    ),
    "tasks_per_node": ints(lambda view: [ask.tasks_per_node for ask in view.asks]),
    "nodes": texts(lambda view: view.of_placements(nodes_text, "")),
    "req_nodes": texts(lambda view: view.of_spec(lambda spec: compress(spec.ask.nodes_required))),
    "exc_nodes": texts(lambda view: view.of_spec(lambda spec: compress(spec.ask.nodes_excluded))),
    "batch_host": texts(lambda view: view.of_placements(lambda placements: placements[0].node, "")),
    "mem_mib_per_node": ints(lambda view: [ask.mem_mib_per_node for ask in view.asks]),
    "mem_mib_per_cpu": ints(lambda view: [ask.mem_mib_per_cpu for ask in view.asks]),
    "tmp_mib": ints(lambda view: [ask.tmp_mib_per_node for ask in view.asks]),
    "gres": texts(lambda view: view.of_spec(lambda spec: gres_text(spec.ask.gres_per_node))),
    "gres_per_job": texts(lambda view: view.of_spec(lambda spec: gres_text(spec.ask.gres_per_job))),
    "gres_per_task": texts(lambda view: view.of_spec(lambda spec: gres_text(spec.ask.gres_per_task))),
    "gres_detail": texts(lambda view: view.of_placements(granted_text, "")),
    "features": texts(lambda view: [ask.features for ask in view.asks]),
    "exclusive": ints(lambda view: [int(ask.exclusive) for ask in view.asks]),
    "contiguous": ints(lambda view: [int(ask.contiguous) for ask in view.asks]),
    "topology": texts(lambda view: view.of_spec(_topology)),
    "lending": texts(_lending),
    "isolation": texts(_isolation),
    "deadline_at": ints(lambda view: [spec.deadline_at for spec in view.specs]),
    "gang": texts(lambda view: [gang_text(view.state, job) for job in view.rows]),
    "retry": texts(_retry),
    "oom_retry": texts(_oom_retry),
    "right_sized": texts(lambda view: [spec.right_sized for spec in view.specs]),
    "gpus_idle_since": ints(
        lambda view: [phase.gpus_idle_since if type(phase) is Active else 0 for phase in view.phases]
    ),
    "gpus_stop_at": ints(_gpu_stop_at),
    "preempt_eligible_at": ints(lambda view: [eligible_at(view.state, job) for job in view.rows]),
    "preempted_at": ints(lambda view: [preempted_at(job) for job in view.rows]),
    "preempted_why": texts(lambda view: [preempted_why(job) for job in view.rows]),
    "checkpoint": texts(lambda view: [checkpoint_text(spec.checkpoint) for spec in view.specs]),
    "suspended_at": ints(
        lambda view: [
            phase.suspended_at if type(phase) is Active and is_suspended(phase) else 0
            for phase in view.phases
        ]
    ),
    "suspended_s": ints(_suspended_s),
    "quarantine": texts(
        lambda view: [phase.error if isinstance(phase, Pending) else "" for phase in view.phases]
    ),
    "cron": texts(_cron),
    "licenses": texts(lambda view: [spec.licenses for spec in view.specs]),
    "reservation": texts(_reservation),
    "work_dir": texts(lambda view: [spec.work_dir for spec in view.specs]),
    "std_in": texts(lambda view: [spec.std_in for spec in view.specs]),
    "std_out": texts(lambda view: [spec.std_out for spec in view.specs]),
    "std_err": texts(lambda view: [spec.std_err for spec in view.specs]),
    "command": texts(lambda view: [spec.command for spec in view.specs]),
    "comment": texts(lambda view: [spec.comment for spec in view.specs]),
    "mail": texts(lambda view: [spec.mail for spec in view.specs]),
    "mail_user": texts(lambda view: [spec.mail_user for spec in view.specs]),
    "wckey": texts(lambda view: [spec.wckey for spec in view.specs]),
    "submit_host": texts(lambda view: [spec.submit_host for spec in view.specs]),
    "alloc_tres": texts(_alloc_tres),
    "req_tres": texts(lambda view: view.of_spec(lambda spec: tres_text(asked(spec.ask)))),
    "cpus_per_node": texts(
        lambda view: view.of_placements(
            lambda placements: repeated_text([cpus_of(placement.cpu_milli) for placement in placements]), ""
        )
    ),
    "mem_per_node": texts(
        lambda view: view.of_placements(
            lambda placements: repeated_text([placement.mem_mib for placement in placements]), ""
        )
    ),
    "submit_line": texts(lambda view: [spec.submit_line for spec in view.specs]),
}

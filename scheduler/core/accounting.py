"""The accounting rows that an event leaves behind: one per attempt that ended, one per job that never ran.

Called with the state as it was before the event, by the engine, which stores rows and event together.
"""

from __future__ import annotations

from posixpath import normpath

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.active import suspended_us
from packhorse.scheduler.core.priority import base_priority
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.event import ArrayRemainderCancelled, Event, JobEnded, JobRequeued
from packhorse.scheduler.model.gresspec import share_text
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import UNKNOWN, Instant
from packhorse.scheduler.model.job import Active, ArrayJob, Job, JobSpec, JobState
from packhorse.scheduler.model.resources import WHOLE, Ask, Placement, Usage, is_slice, joined_usage
from packhorse.scheduler.model.tres import CPU, MEM, NODE, placed_tres
from packhorse.scheduler.model.units import format_mem_mib

NONE_ASSIGNED = "None assigned"
"""Slurm's node list of a job that never had any."""

NO_USAGE = Usage()


def accounting_rows(state: State, event: Event) -> tuple[AttemptRow, ...]:
    """What is to be kept for ever of what this event ends. Most events end nothing."""
    kind = type(event)
    if kind is JobEnded:
        return (_ended(state, event),)  # type: ignore[arg-type]
    if kind is JobRequeued:
        return (_requeued(state, event),)  # type: ignore[arg-type]
    if kind is ArrayRemainderCancelled:
        return (_remainder(state, event),)  # type: ignore[arg-type]
    return ()


def _ended(state: State, event: JobEnded) -> AttemptRow:
    job = state.jobs[event.job]
    # Cancelled while it waited: number 0 if it never ran, else the number its next attempt would have had.
    waiting = job.attempts + 1 if job.attempts else 0
    return _row(
        state,
        job,
        attempt=event.attempt.number if event.attempt else waiting,
        index=job.index,
        end=event.state,
        reason=event.reason,
        detail=event.detail,
        exit_code=event.exit_code,
        exit_signal=event.exit_signal,
        cancelled_by=event.cancelled_by,
        started_at=event.started_at,
        ended_at=event.ended_at or event.at,
        usage=_usage(state, event),
    )


def _requeued(state: State, event: JobRequeued) -> AttemptRow:
    job = state.jobs[event.job]
    return _row(
        state,
        job,
        attempt=event.attempt.number,
        index=job.index,
        end=event.state,
        reason=event.reason,
        detail=event.detail,
        exit_code=event.exit_code,
        exit_signal=event.exit_signal,
        cancelled_by=-1,
        started_at=event.started_at,
        ended_at=event.ended_at or event.at,
        usage=_usage(state, event),
    )


def _usage(state: State, event: JobEnded | JobRequeued) -> Usage:
    """What the attempt used, its steps included."""
    steps = state.steps.get(event.job)
    return event.usage if steps is None else joined_usage((event.usage, steps.used))


def _remainder(state: State, event: ArrayRemainderCancelled) -> AttemptRow:
    return _row(
        state,
        state.arrays[event.array],
        attempt=0,
        index=-1,
        end=event.end,
        reason=event.reason,
        detail=event.detail,
        array_indices=indices.text(event.ranges),
        cancelled_by=event.by,
        ended_at=event.at,
    )


def _row(
    state: State,
    job: Job | ArrayJob,
    *,
    attempt: int,
    index: int,
    end: JobState,
    ended_at: Instant,
    array_indices: str = "",
    reason: str = "None",
    detail: str = "",
    exit_code: int = 0,
    exit_signal: int = 0,
    cancelled_by: int = -1,
    started_at: Instant = UNKNOWN,
    usage: Usage = NO_USAGE,
) -> AttemptRow:
    spec, owner, phase = job.spec, job.owner, job.phase
    asked = Amounts.asked(spec.ask)
    placements = phase.placements if isinstance(phase, Active) else ()
    given = Amounts.given(placements) if placements else asked
    return AttemptRow(
        job=job.id,
        attempt=attempt,
        array_id=job.array_id if isinstance(job, Job) else job.id,
        index=index,
        array_indices=array_indices,
        name=spec.name,
        uid=owner.uid,
        gid=owner.gid,
        user=owner.user,
        group=owner.group,
        account=spec.account,
        partition=spec.partition,
        qos=spec.qos,
        state=end.value,
        reason=reason,
        detail=detail,
        exit_code=exit_code,
        exit_signal=exit_signal,
        cancelled_by=cancelled_by,
        submitted_at=job.submitted_at,
        eligible_at=phase.eligible_at,
        started_at=started_at,
        ended_at=ended_at,
        time_limit_s=spec.time_limit_s,
        n_nodes=given.n_nodes,
        n_tasks=sum(p.n_tasks for p in placements) or spec.ask.n_tasks,
        n_cpus=given.n_cpus,
        mem_mib=given.mem_mib,
        req_mem=format_mem_mib(asked.mem_mib),
        req_tres=asked.text(),
        alloc_tres=given.text() if placements else "",
        nodes=compress_sorted(p.node for p in placements) if placements else NONE_ASSIGNED,
        priority=_priority(state, job),
        restarts=job.restarts if isinstance(job, Job) else 0,
        work_dir=spec.work_dir,
        comment=spec.comment,
        submit_line=spec.submit_line,
        features=spec.ask.features,
        command=command_of(spec),
        gpu_milli=given.gpu_milli,
        wckey=spec.wckey,
        reservation=(phase.reservation if isinstance(phase, Active) else "") or spec.reservation,
        suspended_us=suspended_us(phase, ended_at) if isinstance(phase, Active) else 0,
        allocation=spec.allocation.value,
        usage=usage,
    )


def command_of(spec: JobSpec) -> str:
    """What tells one job's program from another's: script and arguments, or where there is no file a
    digest."""
    return plain_command(spec.command) or f"script:{spec.script_ref[:16]}"


def plain_command(command: str) -> str:
    """The command with its script's path as short as it can be said: `/a/./b.sh x` is `/a/b.sh x`."""
    program, space, arguments = command.partition(" ")
    return f"{normpath(program)}{space}{arguments}" if program else ""


class Amounts:
    """Totals over all nodes of a job, in the units that accounting uses. gres: (name, thousandths), sorted;
    `gpu:1g.18gb` has 1000 for each such slice, and what these are of devices counts under `gpu`, once it is
    known which. gpumem_mib: of shares by memory, before it is known of what.
    """

    __slots__ = ("gpumem_mib", "gres", "mem_mib", "n_cpus", "n_nodes")

    def __init__(
        self, n_nodes: int, cpu_milli: int, mem_mib: int, gres: dict[str, int], gpumem_mib: int = 0
    ) -> None:
        self.gpumem_mib = gpumem_mib
        self.n_nodes = n_nodes
        self.n_cpus = -(-cpu_milli // 1000)
        self.mem_mib = mem_mib
        self.gres = sorted((name, n) for name, n in gres.items() if n)

    @property
    def gpu_milli(self) -> int:
        """Thousandths of GPUs, whatever their type."""
        return dict(self.gres).get("gpu", 0)

    @classmethod
    def asked(cls, ask: Ask) -> Amounts:
        """The least that the ask can mean, before it is known where it runs."""
        n_nodes = max(ask.min_nodes, len(ask.nodes_required))
        n_tasks = max(ask.n_tasks, n_nodes)
        cpu_milli = max(n_tasks * ask.cpu_milli_per_task, n_nodes * ask.min_cpu_milli_per_node)
        mem_mib = n_nodes * ask.mem_mib_per_node + ask.mem_mib_per_cpu * -(-cpu_milli // 1000)
        gres: dict[str, int] = {}
        gpumem_mib = 0
        for times, wanted in (
            (n_nodes, ask.gres_per_node),
            (n_tasks, ask.gres_per_task),
            (1, ask.gres_per_job),
        ):
            for kind, type_, n, milli, share_mib in wanted:
                if share_mib:
                    gpumem_mib += times * share_mib
                else:
                    _count(gres, kind, type_, times * n * milli)
        return cls(n_nodes, cpu_milli, mem_mib, gres, gpumem_mib)

    @classmethod
    def given(cls, placements: tuple[Placement, ...]) -> Amounts:
        """What was really allocated."""
        tres = dict(placed_tres(placements))
        gres = {name.removeprefix("gres/"): n for name, n in tres.items() if name.startswith("gres/")}
        for held in [held for p in placements for held in p.devices if held.part]:
            # A slice counts by its own name, in pieces, and not under the type of its device.
            if held.type:
                gres[f"{held.kind}:{held.type}"] -= held.milli * len(held.indices)
            gres[f"{held.kind}:{held.part}"] = gres.get(f"{held.kind}:{held.part}", 0) + WHOLE
        return cls(tres.get(NODE, 0), tres.get(CPU, 0), tres.get(MEM, 0), gres)

    def text(self) -> str:
        """As Slurm's accounting writes it: `billing=2,cpu=2,gres/gpu=1,mem=1000M,node=1`."""
        parts = [f"billing={self.n_cpus}", f"cpu={self.n_cpus}"]
        parts += [f"gres/{name}={share_text(milli)}" for name, milli in self.gres]
        if self.gpumem_mib:
            parts.append(f"gres/gpumem={format_mem_mib(self.gpumem_mib)}")
        if self.mem_mib:
            parts.append(f"mem={format_mem_mib(self.mem_mib)}")
        parts.append(f"node={self.n_nodes}")
        return ",".join(parts)


def _count(gres: dict[str, int], kind: str, type_: str, milli: int) -> None:
    """Thousandths of devices count under their kind, and with a type under `kind:type` as well; slices, in
    pieces, only under the latter."""
    if not is_slice(type_):
        gres[kind] = gres.get(kind, 0) + milli
    if type_:
        name = f"{kind}:{type_}"
        gres[name] = gres.get(name, 0) + milli


def _priority(state: State, job: Job | ArrayJob) -> int:
    """What it was started by; of one that never was what the last pass went by."""
    spec, pending = job.spec, state.pending_columns
    started_by = job.phase.priority if isinstance(job.phase, Active) else 0
    decided = started_by or (pending.decided_of(job.id, state.config) if job.id in pending else 0)
    if decided:
        return decided
    for partition in state.config.partitions:
        if partition.name == spec.partition:
            return base_priority(spec, partition)
    return base_priority(spec, None)

"""Why one job waits, in sentences with figures, the reason that decides first.

The words are those of core/reasons.py; here they get names and amounts. Made when somebody asks: it looks at
the nodes and the queue as they are now, so it may know more than the reason of the last cycle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core import gangs, indices, order_keys
from packhorse.scheduler.core.accounts.held_up import held_up
from packhorse.scheduler.core.batch.memory import Told
from packhorse.scheduler.core.names import name_in
from packhorse.scheduler.core.orders import FCFS, PACKHORSE
from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS, TMP
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.masks import partition_mask
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.packing.verdicts import holds, judge, refresh
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.reasons import OF_LIMITS, Reason
from packhorse.scheduler.core.reservations.tell import reserved_text
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import ArrayJob, Condition, DependencyKind, Held, Job, Pending
from packhorse.scheduler.model.node import Admin, Node
from packhorse.scheduler.model.units import format_elapsed


class Explanation(NamedTuple):
    """One reason, and what it means for this job."""

    reason: Reason
    sentence: str


def explain(state: State, job_id: JobId, now: Instant) -> tuple[Explanation, ...]:
    """All reasons, the one that decides first; never empty. KeyError for an unknown job."""
    job: Job | ArrayJob | None = state.jobs.get(job_id) or state.arrays.get(job_id)
    if job is None:
        raise KeyError(job_id)
    if not isinstance(job.phase, Pending):
        return (Explanation(Reason.NONE, f"it does not wait: it is {job.state}"),)
    if job_id not in state.pending_columns:
        return (Explanation(Reason.NONE, "nothing of it waits"),)
    out = [*_held(job), *_dependencies(state, job, job.phase), *_begin(job.phase, now)]
    if not out:
        out = _array_limit(state, job)
    if not out:
        out = _alone(state, job) or _eligible(state, job, now)
    if not out:
        out = [Explanation(Reason.NONE, "nothing is in its way: the next cycle looks at it")]
    return tuple(out)


def reason_text(state: State, job_id: JobId) -> str:
    """What `squeue` shows: the reason of the last cycle, with the names that Slurm adds. KeyError if it does
    not wait."""
    reason = state.pending_columns.reason(job_id)
    if reason is not Reason.NODES_REQUIRED_OFF:
        return reason.value
    ask = state.pending_columns.class_of(job_id).ask
    away = [name for name in ask.nodes_required if name in state.nodes and not state.nodes[name].schedulable]
    if not away:
        return reason.value
    return f"{reason.value}, UnavailableNodes:{compress_sorted(away)}"


# -- what is in the way before resources are ---------------------------------------------------------------


def _held(job: Job | ArrayJob) -> list[Explanation]:
    assert isinstance(job.phase, Pending)
    release = f"`scontrol release {job.id}` lets it go"
    match job.phase.held:
        case Held.USER:
            return [Explanation(Reason.HELD_USER, f"held by its owner; {release}")]
        case Held.ADMIN:
            return [Explanation(Reason.HELD_ADMIN, f"held by an administrator, who alone can say: {release}")]
        case Held.REQUEUED:
            return [Explanation(Reason.HELD_REQUEUED, f"requeued in held state; {release}")]
        case Held.QUARANTINED:
            sentence = (
                f"set aside, since decisions about it failed ({job.phase.error}); an administrator may "
            )
            return [Explanation(Reason.QUARANTINED, f"{sentence}try again: `scontrol release {job.id}`")]
    return []


def _dependencies(state: State, job: Job | ArrayJob, phase: Pending) -> list[Explanation]:
    out = []
    if phase.never:
        failed = "; ".join(f"{_condition(c)} can no longer come true" for c in phase.failed)
        sentence = f"{failed}: it will never start; cancel it or change its dependency"
        out.append(Explanation(Reason.DEPENDENCY_NEVER, sentence))
    elif phase.unmet:
        waits = [f"waits for {_waited_for(state, c)}" for c in phase.unmet]
        any_of = job.spec.dependency is not None and job.spec.dependency.any_of and len(waits) > 1
        sentence = ("; any of these is enough: " if any_of else "; ").join(waits)
        out.append(Explanation(Reason.DEPENDENCY, sentence))
    if isinstance(job, ArrayJob) and job.blocked and not out:
        n, lost = indices.size(job.blocked), indices.size(job.never)
        if n == indices.size(job.remaining):
            reason = Reason.DEPENDENCY_NEVER if lost == n else Reason.DEPENDENCY
            sentence = f"{n - lost} of its tasks wait for their counterpart in another array (aftercorr)"
            if lost:
                sentence += f", {lost} will never start because theirs failed"
            out.append(Explanation(reason, sentence))
    return out


def _condition(c: Condition) -> str:
    target = f"{c.job}_{c.index}" if c.index >= 0 else str(c.job)
    return "singleton" if c.kind is DependencyKind.SINGLETON else f"{c.kind.value}:{target}"


def _waited_for(state: State, c: Condition) -> str:
    if c.kind is DependencyKind.SINGLETON:
        return "earlier jobs of the same name and user (singleton)"
    name = f"task {c.job}_{c.index}" if c.index >= 0 else f"job {c.job}"
    other = state.jobs.get(c.job)
    stands = f", now {other.state}," if other is not None else ""
    what = {
        DependencyKind.AFTER: "to start",
        DependencyKind.AFTERANY: "to end",
        DependencyKind.AFTEROK: "to end well",
        DependencyKind.AFTERNOTOK: "to fail",
        DependencyKind.AFTERCORR: "to end well",
    }[c.kind]
    return f"{name}{stands} {what} ({c.kind.value})"


def _begin(phase: Pending, now: Instant) -> list[Explanation]:
    if phase.begin_at <= now or phase.eligible_at:
        return []
    return [
        Explanation(
            Reason.BEGIN_TIME,
            f"may not start for another {_span(phase.begin_at - now)} "
            "(begin time, or the pause after a requeue or failure)",
        )
    ]


def _array_limit(state: State, job: Job | ArrayJob) -> list[Explanation]:
    if state.pending_columns.reason(job.id) is not Reason.ARRAY_TASK_LIMIT or not isinstance(job, ArrayJob):
        return []
    limit = job.array.limit or 1
    return [
        Explanation(
            Reason.ARRAY_TASK_LIMIT,
            f"{limit} of its tasks hold an allocation, and its limit (--array=…%{limit}) is {limit}; "
            "the next starts when one of them ends",
        )
    ]


def _alone(state: State, job: Job | ArrayJob) -> list[Explanation]:
    found = gangs.missing(state, job)
    return [Explanation(Reason.GANG_INCOMPLETE, found)] if found else []


# -- partitions, nodes, resources, order -------------------------------------------------------------------


def _eligible(state: State, job: Job | ArrayJob, now: Instant) -> list[Explanation]:
    pending, spec = state.pending_columns, job.spec
    partition = next((p for p in state.config.partitions if p.name == spec.partition), None)
    ask_class = pending.class_of(job.id)
    if partition is not None and partition.max_time_s:
        limit = spec.time_limit_s
        if not limit or limit > partition.max_time_s:
            asked = format_elapsed(limit) if limit else "UNLIMITED"
            allowed = format_elapsed(partition.max_time_s)
            return [
                Explanation(
                    Reason.PARTITION_TIME_LIMIT,
                    f'its time limit {asked} is over the {allowed} of partition "{partition.name}" (MaxTime)',
                )
            ]
    empty = Field(state.node_columns, empty=True)
    verdict = judge(ask_class, partition, empty)
    request = ask_class.request(empty.board, partition, empty.column_of)
    if verdict is not Reason.NONE:
        return [Explanation(verdict, _verdict(state, verdict, job, request, empty))]
    licenses = _unlicensed(state, spec.licenses)
    limits = [Explanation(reason, text) for reason, text in held_up(state, job, now)]
    told = state.batch.told if state.config.order == PACKHORSE else None
    field = Field(state.node_columns)
    shortage = None if holds(field, request, up=True) else _shortage(field, request)
    ahead, promised = _ahead(state, job.id, now)
    out = limits.copy()
    told_reason, text = reserved_text(state, job, ask_class, now)
    if told_reason is not Reason.NONE:
        out.append(Explanation(told_reason, text))
    if licenses:
        out.append(Explanation(Reason.LICENSES, licenses))
    if shortage is not None:
        out.append(Explanation(Reason.RESOURCES, shortage))
    held_up_by = gangs.held_up_by(state, job)
    if held_up_by:
        out.append(Explanation(Reason.GANG_INCOMPLETE, held_up_by))
    elif shortage is None and pending.reason(job.id) is Reason.RESOURCES:
        out += [Explanation(Reason.RESOURCES, found) for found in gangs.room(state, job)]
    if told is not None:
        out += _turn(told, job, fits=shortage is None)
    if ahead and not (licenses or limits):
        sentence = f'{_n(ahead, "job is", "jobs are")} ahead in partition "{spec.partition}"'
        if shortage is None and promised:
            other, at = promised
            whom = f"job {name_in(state, other)}, planned in {_span(at - now)}"
            sentence += f"; there is room now, but it would delay {whom}"
        out.append(Explanation(Reason.PRIORITY, sentence))
    if pending.reason(job.id) is Reason.PRIORITY:
        out.sort(key=lambda e: e.reason is not Reason.PRIORITY)
    planned = pending.planned(job.id)
    if planned > now and out:
        first = out[0]
        when = _span(planned - now)
        if _promised(state.config):
            planned_for = f"; it starts in {when} at the latest if all keep to their limits"
        else:
            planned_for = f"; as things stand it starts in {when}"
        out[0] = Explanation(first.reason, first.sentence + planned_for)
    return out


def _turn(told: Told, job: Job | ArrayJob, *, fits: bool) -> list[Explanation]:
    """What the order "packhorse" has against a job, as of its last pass. fits: there is room for it now."""
    out, name = [], job.spec.partition
    if job.id in told.quiet:
        sentence = f'takes nearly all of partition "{name}", and waits for an hour in which few jobs come'
        out.append(Explanation(Reason.PRIORITY, sentence))
    kept = told.kept_back(job.id)
    if kept is not None and fits:
        one, many = ("device", "devices") if kept.on_devices else ("CPU", "CPUs")
        sentence = (
            f'kept back so that {_n(kept.hold, one, many)} of partition "{name}" '
            f"{'stays' if kept.hold == 1 else 'stay'} free for short jobs: it takes {kept.amount:g}, "
            f"and {kept.free:g} {'is' if kept.free == 1 else 'are'} free"
        )
        out.append(Explanation(Reason.PRIORITY, sentence))
    return out


def _unlicensed(state: State, licenses: str) -> str:
    """Which of these licences are not free in that number, "" if all are."""
    free, totals = state.licenses.free(state.config), dict(state.config.licenses)
    short = []
    for name, n in parse_licenses(licenses):
        total = totals.get(name, 0)
        if n > total:
            short.append(
                f'needs {n} of license "{name}", of which the cluster now has {total}: it will not start '
                "until that is raised (licenses in packhorse.toml)"
            )
        elif n > free[name]:
            short.append(f'needs {n} of license "{name}"; {max(free[name], 0)} of {total} free')
    return "; ".join(short)


def _verdict(state: State, verdict: Reason, job: Job | ArrayJob, request: Request, empty: Field) -> str:
    shape, name = request.shape, job.spec.partition
    match verdict:
        case Reason.PARTITION_DOWN:
            return f'partition "{name}" is down: it starts nothing until an administrator opens it'
        case Reason.PARTITION_NODE_LIMIT:
            p = request.partition
            n = int(partition_mask(empty.board, p).sum())
            bounds = f"{p.min_nodes} to {p.max_nodes or 'any number'} (MinNodes, MaxNodes)" if p else "none"
            return f'{_n(shape.lo, "node", "nodes")} asked; partition "{name}" has {n} and allows {bounds}'
        case Reason.PARTITION_CONFIG if request.partition is None:
            return f'partition "{name}" does not exist any more; `scontrol update job` can move it to another'
        case Reason.PARTITION_CONFIG:
            return f'the nodes of partition "{name}" are too small or too few for it, even empty and all up'
        case Reason.NODES_REQUIRED_OFF:
            away = [empty.board.names[p] for p in request.required if p >= 0 and not empty.up[p]]
            return f"it asks for nodes that are away: {_away(state, away)}"
    mask = np.logical_or.reduce(request.together) & ~empty.up
    away = [empty.board.names[p] for p in np.flatnonzero(mask).tolist()]
    return f"what is up cannot hold it even when empty; {_away(state, away)}"


def _away(state: State, names: list[NodeName]) -> str:
    """The nodes by what keeps them away: `n1 is drained (disk)`."""
    groups: dict[str, list[NodeName]] = {}
    for name in names:
        groups.setdefault(_why_away(state.node_columns.node(name)), []).append(name)
    return "; ".join(
        f"{compress_sorted(members)} {'is' if len(members) == 1 else 'are'} {why}"
        for why, members in groups.items()
    )


def _why_away(node: Node) -> str:
    said = f" ({node.reason})" if node.reason else ""
    if node.admin is Admin.DRAIN:
        return f"drained{said}"
    if node.admin is Admin.DOWN:
        return f"down{said}"
    if not node.reachable:
        return "silent: the agent is not connected"
    return f"not accepting work ({node.offer.reason or 'the agent says so'})"


def _promised(config: ClusterConfig) -> bool:
    """Whether a planned start is a promise: nobody who comes later goes first, and what runs may not run for
    longer than is believed."""
    return config.predictor == LIMIT and (config.order == FCFS or config.keep_next)


def _ahead(state: State, id: JobId, now: Instant) -> tuple[int, tuple[JobId, Instant] | None]:
    """How many jobs of its partition that could run come before it, and the first with a planned start."""
    pending = state.pending_columns
    refresh(pending, state.node_columns, pending.rules(state.config))
    order = _order(state, now)
    found = np.flatnonzero(pending.id[order] == id)
    if found.size == 0:
        return 0, None
    place = int(found[0])
    before = order[:place]
    able = pending.demands.verdict[pending.ask_class[before]] == Reason.NONE.code
    able &= ~np.isin(pending.reason_code[before], [reason.code for reason in (Reason.LICENSES, *OF_LIMITS)])
    own = before[able & (pending.partition[before] == pending.partition[order[place]])]
    count, room = pending.count[own], pending.room[own]
    n = int(np.where(room < 0, count, np.minimum(count, room)).sum())
    promised = before[pending.planned_at[before] > 0]
    if promised.size == 0:
        return n, None
    return n, (JobId(int(pending.id[promised[0]])), Instant(int(pending.planned_at[promised[0]])))


def _order(state: State, now: Instant) -> np.ndarray:
    """Slots of the rows that may start, best first; under the order "packhorse" as its last pass had them."""
    pending = state.pending_columns
    if state.config.order != PACKHORSE:
        totals = state.node_columns.board().totals
        return pending.ordered(state.config, now, state.usage, totals, order_keys.key_of(state, now))
    told = state.batch.told
    if told is None:
        return np.zeros(0, dtype=np.intp)
    slots: np.ndarray = told.slots[(pending.id[told.slots] == told.ids) & pending.ready[told.slots]]
    return slots


def _shortage(field: Field, request: Request) -> str:
    """What is missing, with what there is."""
    if request.whole is not None and not request.shape.multi:
        return _short_on_one(field, request)
    shape = request.shape
    caps = shape.caps(field.free, field.offered, field.column_of, field.board)
    masks = [field.usable(mask) for mask in request.together]
    best = max(masks, key=lambda mask: int(np.sort(caps[mask])[::-1][: request.most].sum()))
    room = np.where(best, caps, 0)
    n_nodes, n_tasks = int((room > 0).sum()), int(np.sort(room)[::-1][: request.most].sum())
    each = f"{_amount(CPU, shape.cpus(1), field)} for each"
    if n_nodes < shape.lo:
        names = compress_sorted(field.board.names[p] for p in np.flatnonzero(room).tolist())
        there = f"{_n(n_nodes, 'has', 'have')} room now" + (f" ({names})" if names else "")
        return f"needs {shape.lo} nodes for {_n(shape.tasks, 'task', 'tasks')} ({each}); {there}"
    if n_tasks < shape.tasks:
        return f"needs room for {_n(shape.tasks, 'task', 'tasks')} ({each}); there is room for {n_tasks} now"
    missing = ", ".join(f"{n} {name}" for name, n in shape.job_devices) or "nodes next to each other"
    return f"there is room for its tasks, but not together with {missing}"


def _short_on_one(field: Field, request: Request) -> str:
    """For a job that has to be on one node."""
    assert request.whole is not None
    usable = np.flatnonzero(field.usable(request.alone))
    names = field.board.names
    short = []
    for resource, amount in request.whole:
        free = field.free[resource, usable]
        best = int(usable[np.argmax(free)])
        most = int(free.max())
        if resource == SLOTS:
            if most < amount and request.shape.exclusive:
                short.append("needs a node for itself; none is empty")
        elif most < amount:
            short.append(
                f"needs {_amount(resource, amount, field)} on one node; "
                f"the most that is free on any is {_figure(resource, max(most, 0))} ({names[best]})"
            )
    if short:
        return "; ".join(short)
    wants = [(r, n) for r, n in request.whole if r != SLOTS]
    met = sum((field.free[r, usable] >= n).astype(np.int64) for r, n in wants)
    best = int(usable[np.argmax(met)])
    asked = ", ".join(_amount(r, n, field) for r, n in wants)
    there = ", ".join(_amount(r, max(int(field.free[r, best]), 0), field) for r, n in wants)
    return (
        f"no node has all of it free at once: {asked}; {field.board.names[best]} comes closest with {there}"
    )


def _figure(resource: int, amount: int) -> str:
    if resource == CPU:
        return str(amount // 1000) if amount % 1000 == 0 else f"{amount / 1000:g}"
    return f"{amount} MiB" if resource in (MEM, TMP) else str(amount)


def _amount(resource: int, amount: int, field: Field) -> str:
    figure = _figure(resource, amount)
    match resource:
        case 0:
            return f"{figure} CPU{'' if amount == 1000 else 's'}"
        case 1:
            return f"{figure} of memory"
        case 2:
            return f"{figure} of scratch space"
    name = field.board.resources[resource]
    if name.endswith("%MiB"):
        return f"{figure} MiB of the memory of one {name[:-4]}"
    if name.endswith("%"):
        return f"{amount / 1000:g} of one {name[:-1]}"
    return f"{figure} {name}"


def _span(us: int) -> str:
    if us >= FOREVER:
        return "UNLIMITED"
    return format_elapsed(max(us + US - 1, US) // US)


def _n(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"

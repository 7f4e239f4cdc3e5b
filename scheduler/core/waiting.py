"""Jobs and arrays that wait: what is in their way, and their rows in the pending columns.

Everything that changes a waiting job goes through here, so that value, row, timers and the index of
dependents agree. Used by `apply` only.
"""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core import gangs, indices
from packhorse.scheduler.core.conditions import (
    EACH,
    WHOLE,
    Key,
    Verdict,
    Waiter,
    effective,
    judge,
    judge_index,
    key_of,
    order_of,
)
from packhorse.scheduler.core.deadlines import set_deadline_timer
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.predictors import LIMIT, kind_of, predicted_us
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.timers import Timer
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.job import (
    NORMAL_QOS,
    Active,
    ArrayJob,
    Condition,
    DependencyKind,
    Held,
    IndexRange,
    Job,
    JobSpec,
    Owner,
    Pending,
)

Ranges = tuple[IndexRange, ...]


def first_phase(spec: JobSpec, at: Instant) -> Pending:
    """The phase of a job just submitted, dependencies aside."""
    held = Held.USER if spec.hold else Held.NO
    begin_at = spec.begin_at if spec.begin_at > at else UNKNOWN
    return Pending(begin_at=begin_at, eligible_at=UNKNOWN if held or begin_at else at, held=held)


def enqueue(state: State, waiter: Waiter, at: Instant) -> None:
    """Put a new waiting job or array into the state: dependency, row and timers."""
    waiter = judge_dependency(state, waiter, at)
    _store(state, waiter)
    join_singletons(state, waiter)
    watch(state, waiter)
    state.pending_columns.add(row_of(state, waiter))


def dequeue(state: State, waiter: Waiter) -> None:
    """Take a waiting job or an array's remainder out of the queue (it starts, ends, or nothing is left)."""
    state.pending_columns.remove(waiter.id)
    if waiter.spec.gang is not None:
        gangs.leave(state, waiter)
    if waiter.phase.unmet or waiter.phase.failed or isinstance(waiter, ArrayJob):  # type: ignore[union-attr]
        unwatch(state, waiter)


def change(state: State, old: Waiter, new: Waiter, at: Instant) -> None:
    """Replace a waiting job or array by a changed one (spec, hold, dependency, what remains)."""
    unwatch(state, old)
    phase = pending_phase(new)
    new = replace(new, phase=with_eligibility(phase, at))
    _store(state, new)
    watch(state, new)
    state.pending_columns.replace(row_of(state, new))


def set_phase(state: State, waiter: Waiter, phase: Pending, at: Instant) -> None:
    """Give a waiting job or array a new phase; its place among the dependents stays as it is."""
    waiter = replace(waiter, phase=with_eligibility(phase, at))
    _store(state, waiter)
    _set_timers(state, waiter)
    refresh_row(state, waiter)


def judge_dependency(state: State, waiter: Waiter, at: Instant) -> Waiter:
    """The waiter with every condition of its spec judged anew."""
    phase = pending_phase(waiter)
    dependency = waiter.spec.dependency
    unmet: list[Condition] = []
    failed: list[Condition] = []
    begin_at = phase.begin_at
    met = 0
    blocked: Ranges = ()
    never: Ranges = ()
    for given in dependency.conditions if dependency else ():
        condition = effective(waiter, given, state)
        if isinstance(waiter, ArrayJob) and key_of(waiter, condition)[1] == EACH:
            blocked, never = _judge_each(state, waiter, condition, blocked, never, at)
            continue
        verdict, not_before = judge(state, waiter, condition, at)
        if verdict is Verdict.MET:
            met += 1
            begin_at = max(begin_at, not_before)
        else:
            (unmet if verdict is Verdict.OPEN else failed).append(condition)
    if dependency and dependency.any_of and met:
        unmet, failed = [], []
    phase = replace(phase, begin_at=begin_at, unmet=tuple(unmet), failed=tuple(failed))
    phase = with_eligibility(replace(phase, never=_is_never(waiter.spec, phase)), at)
    if isinstance(waiter, ArrayJob):
        return replace(waiter, phase=phase, blocked=blocked, never=never)
    return replace(waiter, phase=phase)


def notify(state: State, key: Key, at: Instant) -> None:
    """What the key names has started, ended, or come back: tell whoever waits for it."""
    waiting = state.dependents.get(key)
    if not waiting:
        return
    for id in list(waiting):
        waiter: Waiter | None = state.jobs.get(id) or state.arrays.get(id)
        if waiter is None or not isinstance(waiter.phase, Pending):
            continue
        _rejudge(state, waiter, waiter.phase, key, at)


def notify_each(state: State, array: JobId, index: int, at: Instant) -> None:
    """This task of the array is over (or came back): tell the arrays that wait for it index by index."""
    for id in list(state.dependents.get((array, EACH), ())):
        waiter = state.arrays.get(id)
        if waiter is None or not indices.contains(waiter.blocked, index):
            continue
        waiter = _rejudge_index(state, waiter, index, at)
        _store(state, waiter)
        _set_timers(state, waiter)
        refresh_row(state, waiter)


def fail_each(state: State, array: JobId, gone: Ranges) -> None:
    """These indices of the array will never run: their counterparts neither."""
    for id in list(state.dependents.get((array, EACH), ())):
        waiter = state.arrays.get(id)
        if waiter is None or not waiter.remaining:
            continue
        never = indices.union(waiter.never, indices.intersect(waiter.blocked, gone))
        waiter = replace(waiter, never=never)
        _store(state, waiter)
        _set_timers(state, waiter)
        refresh_row(state, waiter)


def watch(state: State, waiter: Waiter) -> None:
    """Enter the waiter under everything it waits for, and set its timers."""
    for key in keys(waiter):
        state.dependents.setdefault(key, {})[waiter.id] = None
    _set_timers(state, waiter)


def unwatch(state: State, waiter: Waiter) -> None:
    """Undo `watch`."""
    for key in keys(waiter):
        waiting = state.dependents.get(key)
        if waiting is not None and waiting.pop(waiter.id, waiting) is None and not waiting:
            del state.dependents[key]


def join_singletons(state: State, waiter: Waiter) -> None:
    """An unfinished job counts for later singletons of its name and user."""
    if not state.singletons or (isinstance(waiter, Job) and waiter.array_id):
        return
    members = state.singletons.get((waiter.owner.uid, waiter.spec.name))
    if members is not None:
        members[waiter.id] = order_of(waiter)


def leave_singletons(state: State, waiter: Waiter, at: Instant) -> None:
    """The job is over (or is called differently now): the next singleton of its name may go."""
    if not state.singletons:
        return
    key = (waiter.owner.uid, waiter.spec.name)
    members = state.singletons.get(key)
    if members is None or members.pop(waiter.id, None) is None:
        return
    if not members:
        del state.singletons[key]
        return
    following = min(members.items(), key=lambda item: (item[1], item[0]))[0]
    rejudge_singleton(state, following, at)


def rejudge_singleton(state: State, id: JobId, at: Instant) -> None:
    """Whether another job of its name and user is still before this one."""
    found: Waiter | None = state.jobs.get(id) or state.arrays.get(id)
    if found is not None and isinstance(found.phase, Pending):
        _rejudge(state, found, found.phase, (JobId(0), WHOLE), at)


def reason_of(waiter: Waiter) -> Reason:
    """Why a waiting job or array may not start yet whatever is free; NONE if it is up to the cycle."""
    phase = pending_phase(waiter)
    match phase.held:
        case Held.USER:
            return Reason.HELD_USER
        case Held.ADMIN:
            return Reason.HELD_ADMIN
        case Held.REQUEUED:
            return Reason.HELD_REQUEUED
        case Held.QUARANTINED:
            return Reason.QUARANTINED
    if phase.never:
        return Reason.DEPENDENCY_NEVER
    if phase.unmet:
        return Reason.DEPENDENCY
    if not phase.eligible_at:
        return Reason.BEGIN_TIME
    if isinstance(waiter, ArrayJob) and waiter.blocked and not startable(waiter):
        waits = indices.size(waiter.blocked) > indices.size(waiter.never)
        return Reason.DEPENDENCY if waits else Reason.DEPENDENCY_NEVER
    return Reason.NONE


def _in_the_way(state: State, waiter: Waiter) -> Reason:
    """The same, with what other jobs have to do with it."""
    reason = reason_of(waiter)
    if reason is Reason.NONE and waiter.spec.gang is not None and gangs.lacks_others(state, waiter):
        return Reason.GANG_INCOMPLETE
    return reason


def startable(array: ArrayJob) -> int:
    """How many of the remaining indices do not wait for a counterpart."""
    return indices.size(array.remaining) - indices.size(array.blocked)


def array_limit(array: ArrayJob) -> int:
    """How many tasks may hold an allocation at once, 0: any number. A singleton array runs one by one."""
    dependency = array.spec.dependency
    if dependency and any(c.kind is DependencyKind.SINGLETON for c in dependency.conditions):
        return 1
    return array.array.limit


def room_of(state: State, array: ArrayJob) -> int:
    """How many more tasks may start under the array's limit, -1: any number."""
    limit = array_limit(array)
    return max(0, limit - state.tasks[array.id].n_active) if limit else -1


def row_of(state: State, waiter: Waiter) -> PendingRow:
    """The row of a waiting job or array in the pending columns; `eligible` covers begin times."""
    spec, owner, phase = waiter.spec, waiter.owner, waiter.phase
    assert isinstance(phase, Pending), waiter
    if isinstance(waiter, Job) and phase.eligible_at and spec.gang is None:
        # Nearly every row is made here, by the faster constructor: nothing is in the way of a single job.
        return PendingRow._make(
            (
                waiter.id,
                spec.ask,
                spec.partition,
                spec.time_limit_s,
                spec.priority,
                spec.nice - spec.site_factor,
                phase.eligible_at,
                1,
                -1,
                waiter.avoid,
                True,
                Reason.NONE,
                spec.licenses,
                expected_us(state, waiter) if state.config.predictor != LIMIT else 0,
                owner.uid,
                waiter.ran_us,
                qos_of(spec),
                holder_of(spec, owner),
                spec.reservation,
            )
        )
    reason = _in_the_way(state, waiter)
    return PendingRow(
        id=waiter.id,
        ask=spec.ask,
        partition=spec.partition,
        time_limit_s=spec.time_limit_s,
        priority=spec.priority,
        nice=spec.nice - spec.site_factor,
        eligible_at=phase.eligible_at,
        count=startable(waiter) if isinstance(waiter, ArrayJob) else 1,
        room=room_of(state, waiter) if isinstance(waiter, ArrayJob) else -1,
        avoid=waiter.avoid if not isinstance(waiter, ArrayJob) else (),
        eligible=reason is Reason.NONE,
        reason=reason,
        licenses=spec.licenses,
        expected_us=expected_us(state, waiter),
        uid=owner.uid,
        ran_us=waiter.ran_us if not isinstance(waiter, ArrayJob) else 0,
        qos=qos_of(spec),
        holder=holder_of(spec, owner),
        reservation=spec.reservation,
    )


def holder_of(spec: JobSpec, owner: Owner) -> Holder:
    """On whose name a job counts."""
    return Holder._make((spec.account, owner.user, spec.partition, spec.qos))


def qos_of(spec: JobSpec) -> str:
    """Its QOS, if that may be one whose jobs are stopped and borrow memory; "" for others."""
    return spec.qos if spec.requeue and spec.qos != NORMAL_QOS else ""


def expected_us(state: State, waiter: Waiter) -> int:
    """How long it is expected to run, 0: for all of its time limit."""
    name = state.config.predictor
    if name == LIMIT:
        return 0
    return predicted_us(name, state.history, kind_of(waiter.owner.uid, waiter.spec))


def expect(state: State, job: Job, active: Active) -> None:
    """What is expected of a running job, by what is known now. Of a suspended one nothing is."""
    if active.suspended_at:
        return
    since = Instant((active.started_at or active.granted_at) + active.suspended_us)
    state.running_columns.expect(job.id, since, expected_us(state, job))


def expect_again(state: State) -> None:
    """The same of all that wait or run: another predictor is to be used, or a new process begins."""
    for job in state.jobs.values():
        if isinstance(job.phase, Active):
            expect(state, job, job.phase)
        elif isinstance(job.phase, Pending):
            state.pending_columns.expect(job.id, expected_us(state, job))
    for array in state.arrays.values():
        if array.remaining:
            state.pending_columns.expect(array.id, expected_us(state, array))


def refresh_row(state: State, waiter: Waiter) -> None:
    """Bring count, room, eligibility and reason of the row up to date."""
    columns = state.pending_columns
    if isinstance(waiter, ArrayJob):
        columns.set_count(waiter.id, startable(waiter), room_of(state, waiter))
    reason = _in_the_way(state, waiter)
    columns.set_eligible(waiter.id, reason is Reason.NONE, reason, pending_phase(waiter).eligible_at)


def with_eligibility(phase: Pending, at: Instant) -> Pending:
    """The phase with eligible_at set when nothing is in the way any more, and cleared when something is."""
    free = not (phase.held or phase.unmet or phase.never or phase.begin_at > at)
    if free == bool(phase.eligible_at):
        return phase
    return replace(phase, eligible_at=at if free else UNKNOWN)


def pending_phase(waiter: Waiter) -> Pending:
    """The phase of something that waits."""
    phase = waiter.phase
    assert isinstance(phase, Pending), waiter
    return phase


def _rejudge(state: State, waiter: Waiter, phase: Pending, key: Key, at: Instant) -> None:
    unmet: list[Condition] = []
    failed: list[Condition] = []
    begin_at = phase.begin_at
    met = False
    for condition in (*phase.unmet, *phase.failed):
        if key_of(waiter, condition) == key:
            verdict, not_before = judge(state, waiter, condition, at)
            if verdict is Verdict.MET:
                met = True
                begin_at = max(begin_at, not_before)
                continue
        else:
            verdict = Verdict.FAILED if condition in phase.failed else Verdict.OPEN
        (unmet if verdict is Verdict.OPEN else failed).append(condition)
    if met and waiter.spec.dependency and waiter.spec.dependency.any_of:
        unmet, failed = [], []
    new = replace(phase, begin_at=begin_at, unmet=tuple(unmet), failed=tuple(failed))
    new = replace(new, never=_is_never(waiter.spec, new))
    if new != phase:
        unwatch(state, waiter)
        waiter = replace(waiter, phase=with_eligibility(new, at))
        _store(state, waiter)
        watch(state, waiter)
        refresh_row(state, waiter)


def _rejudge_index(state: State, waiter: ArrayJob, index: int, at: Instant) -> ArrayJob:
    assert waiter.spec.dependency is not None
    verdicts = {
        judge_index(state, condition, index, at)
        for condition in waiter.spec.dependency.conditions
        if key_of(waiter, condition)[1] == EACH
    }
    if Verdict.FAILED in verdicts:
        return replace(waiter, never=indices.add(waiter.never, index))
    if Verdict.OPEN in verdicts:
        return replace(waiter, never=indices.remove(waiter.never, index))
    return replace(
        waiter,
        blocked=indices.remove(waiter.blocked, index),
        never=indices.remove(waiter.never, index),
    )


def _judge_each(
    state: State, waiter: ArrayJob, condition: Condition, blocked: Ranges, never: Ranges, at: Instant
) -> tuple[Ranges, Ranges]:
    """Adds to blocked and never what one aftercorr condition blocks of the waiter's remaining indices."""
    other = state.arrays.get(condition.job)
    if other is None:
        return blocked, never
    tasks = state.tasks[other.id].by_index
    mine = waiter.remaining
    ended: list[int] = []
    open: list[int] = []
    for index in sorted(tasks):
        match judge_index(state, condition, index, at):
            case Verdict.FAILED:
                ended.append(index)
            case Verdict.OPEN:
                open.append(index)
    lost = indices.intersect(mine, indices.union(other.cancelled, indices.of(ended)))
    waits = indices.intersect(mine, indices.union(other.remaining, indices.of(open)))
    return indices.union(blocked, indices.union(waits, lost)), indices.union(never, lost)


def _is_never(spec: JobSpec, phase: Pending) -> bool:
    if not phase.failed:
        return False
    return not (spec.dependency and spec.dependency.any_of and phase.unmet)


def keys(waiter: Waiter) -> list[Key]:
    """Under what the waiter is entered among the dependents."""
    phase = pending_phase(waiter)
    found = [key_of(waiter, condition) for condition in (*phase.unmet, *phase.failed)]
    if isinstance(waiter, ArrayJob) and waiter.spec.dependency:
        for condition in waiter.spec.dependency.conditions:
            key = key_of(waiter, condition)
            if key[1] == EACH and key not in found:
                found.append(key)
    return found


def switches_over_at(waiter: Waiter) -> Instant:
    """When it takes nodes below any number of switches, UNKNOWN for never or not yet known."""
    spec, phase = waiter.spec, waiter.phase
    asks = spec.ask.max_switches and spec.switches_wait_s >= 0
    if not asks or not isinstance(phase, Pending) or not phase.eligible_at:
        return UNKNOWN
    return Instant(phase.eligible_at + spec.switches_wait_s * US)


def set_patience_timers(state: State, waiter: Waiter) -> None:
    """Enter when it is given up, and when it takes what it can get."""
    patience = switches_over_at(waiter)
    if patience:
        state.timers.add(patience, Timer.SWITCHES, waiter.id)
    set_deadline_timer(state, waiter)


def _set_timers(state: State, waiter: Waiter) -> None:
    phase = pending_phase(waiter)
    set_patience_timers(state, waiter)
    if phase.begin_at and not (phase.eligible_at or phase.held or phase.unmet or phase.never):
        state.timers.add(phase.begin_at, Timer.BEGIN, waiter.id)
    if doomed(waiter):
        state.timers.add(UNKNOWN, Timer.DOOMED, waiter.id)


def _store(state: State, waiter: Waiter) -> None:
    if isinstance(waiter, ArrayJob):
        state.arrays[waiter.id] = waiter
    else:
        state.jobs[waiter.id] = waiter
        if waiter.spec.gang is not None:
            gangs.gather(state, waiter)


def anything(waiter: Waiter) -> bool:
    """Whether there is something that waits at all: an array may be a name for its tasks only."""
    return not isinstance(waiter, ArrayJob) or bool(waiter.remaining)


def doomed(waiter: Waiter) -> bool:
    """Whether it (or some of its indices) can never start and wants to be cancelled then."""
    if not waiter.spec.kill_on_invalid_dep or not anything(waiter):
        return False
    return pending_phase(waiter).never or (isinstance(waiter, ArrayJob) and bool(waiter.never))

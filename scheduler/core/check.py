"""`check(state)`: every invariant of the state, once each. Tests and the simulator call it after every event.

It believes nothing that is derived: indexes, counts, timers and columns are computed again from the values.
"""

from __future__ import annotations

from collections import Counter

from packhorse.scheduler.core import indices, waiting
from packhorse.scheduler.core.accounts.check_limits import check_limits
from packhorse.scheduler.core.active import (
    brake_holds,
    can_lose,
    inactive_at,
    lease_over_at,
    nothing_left_at,
    ranked_next_at,
)
from packhorse.scheduler.core.array_tasks import count
from packhorse.scheduler.core.check_gangs import check_gangs
from packhorse.scheduler.core.conditions import order_of
from packhorse.scheduler.core.deadlines import due_at
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.reasons import BY_CYCLE, Reason
from packhorse.scheduler.core.reclaim.check_loans import check_loans
from packhorse.scheduler.core.reservations.check_reservations import check_reservations
from packhorse.scheduler.core.state import ArrayTasks, State
from packhorse.scheduler.core.steps.check_steps import check_steps
from packhorse.scheduler.core.steps.ending import limit_at
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.core.usage import UserUsage
from packhorse.scheduler.core.when.check_estimates import check_estimates
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, ArrayJob, DependencyKind, Ended, Job, Pending
from packhorse.scheduler.model.node import Admin
from packhorse.scheduler.model.resources import WHOLE


def check(state: State) -> None:
    """Raises InvariantBroken with the first contradiction found."""
    _ids(state)
    for job in state.jobs.values():
        _job(state, job)
    for array in state.arrays.values():
        _array(state, array)
    _finished(state)
    _nodes(state)
    _allocations(state)
    check_loans(state)
    _licenses(state)
    _held_by_users(state)
    state.accounts.check()
    state.spent.check(state.accounts)
    if state.spent.counting:
        charged = set(state.spent.charges) == set(state.running_columns.jobs())
        _require(charged, "not exactly the jobs that hold an allocation are charged for it")
    check_estimates(state)
    check_limits(state)
    check_reservations(state)
    check_gangs(state)
    check_steps(state)
    _crontabs(state)
    _pending_rows(state)
    _dependents(state)
    _singletons(state)
    _timers(state)
    _answered(state)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvariantBroken(message)


def _crontabs(state: State) -> None:
    """The jobs of a crontab are its user's and there, and those that have ended are to be run again."""
    whose = {}
    for uid, crontab in state.crontabs.items():
        for entry in crontab.entries:
            job = state.jobs.get(entry.job)
            there = job is not None and job.owner.uid == uid == crontab.owner.uid
            _require(there, f"crontab of {uid}: job {entry.job} is not theirs, or not there")
            whose[entry.job] = uid
    _require(state.cron_jobs == whose, f"jobs of crontabs: {state.cron_jobs}, expected {whose}")
    due = {id for id in whose if isinstance(state.jobs[id].phase, Ended)}
    _require(set(state.cron_due) == due, f"to be run again: {set(state.cron_due)}, expected {due}")


def _ids(state: State) -> None:
    """Ids are unique over jobs and arrays, and all were given out."""
    both = state.jobs.keys() & state.arrays.keys()
    _require(not both, f"{sorted(both)} are jobs and arrays at once")
    highest = max((*state.jobs, *state.arrays), default=0)
    _require(highest < state.next_job_id, f"id {highest} exists, but the next id is {state.next_job_id}")


def _job(state: State, job: Job) -> None:
    """A job's own fields agree with each other and with its array."""
    name = f"job {job.id}"
    _require(state.jobs[job.id] is job and job.id > 0, f"{name} is filed under another id")
    _require(bool(job.array_id) == (job.index >= 0), f"{name}: array {job.array_id}, index {job.index}")
    if job.array_id:
        tasks = state.tasks.get(job.array_id)
        _require(job.array_id in state.arrays, f"{name}: its array {job.array_id} is gone")
        _require(tasks is not None and tasks.by_index.get(job.index) == job.id, f"{name}: array has another")
    runs = max(job.retries, job.restarts, job.refusals, job.oom_retries)
    _require(runs <= job.attempts, f"{name}: {runs} of {job.attempts} attempts are over")
    _require(job.preemptions <= job.restarts, f"{name}: {job.preemptions} of {job.restarts} restarts")
    _require(job.ran_us >= 0, f"{name} ran {job.ran_us} us")
    match job.phase:
        case Pending() as phase:
            _pending(name, phase)
        case Active() as active:
            _active(state, job, active)
        case Ended() as end:
            _require(end.ended_at >= end.started_at >= 0, f"{name}: ended before it started")
            _require(job.id in state.finished, f"{name} has ended but is not among the finished")


def _pending(name: str, phase: Pending) -> None:
    in_the_way = phase.held or phase.unmet or phase.never
    _require(not (phase.eligible_at and in_the_way), f"{name} is eligible although {phase}")
    _require(not phase.never or bool(phase.failed), f"{name} can never start, for no reason")
    _require(
        bool(phase.eligible_at or in_the_way or phase.begin_at), f"{name} is not eligible, for no reason"
    )


def _active(state: State, job: Job, active: Active) -> None:
    """Exactly one attempt, the last one granted, of an epoch that was."""
    name = f"job {job.id}"
    _require(active.attempt.job == job.id, f"{name} runs {active.attempt}")
    _require(active.attempt.number == job.attempts, f"{name} runs {active.attempt} of {job.attempts}")
    _require(0 < active.attempt.epoch <= state.epoch, f"{name}: {active.attempt} is of no past epoch")
    _require(bool(active.placements), f"{name} runs nowhere")
    _require(active.ending is not None or not active.terminate_at, f"{name} is to be stopped, for no cause")
    if job.spec.time_limit_s:
        since = active.started_at or active.granted_at
        limit_us = job.spec.time_limit_s * US + active.suspended_us
        _require(active.end_by == since + limit_us, f"{name}: its limit and end disagree")
    else:
        _require(not active.end_by, f"{name} has no limit but an end")
    _require(active.suspended_us >= 0, f"{name} was suspended for {active.suspended_us} us")
    _require(bool(active.started_at) or not active.suspended_at, f"{name} is suspended and never ran")
    _require(
        bool(active.suspended_at) or not active.suspended_for, f"{name} makes room without being suspended"
    )
    suspended = state.node_columns.is_suspended(job.id)
    _require(suspended == bool(active.suspended_at), f"{name}: its CPUs are free: {suspended}")


def _array(state: State, array: ArrayJob) -> None:
    name = f"array {array.id}"
    for title in ("remaining", "blocked", "never", "cancelled"):
        _require(indices.is_canonical(getattr(array, title)), f"{name}: {title} {getattr(array, title)}")
    tasks = state.tasks.get(array.id)
    _require(tasks is not None, f"{name} has no tasks entry")
    assert tasks is not None
    again = ArrayTasks()
    for job in state.jobs.values():
        if job.array_id == array.id:
            again.by_index[job.index] = job.id
            count(again, job, 1)
    _require(again == tasks, f"{name}: {tasks} are counted, {again} are there")
    _require(not indices.subtract(array.blocked, array.remaining), f"{name}: blocked indices are gone")
    _require(not indices.subtract(array.never, array.blocked), f"{name}: never without blocked")
    _require(not indices.intersect(array.remaining, array.cancelled), f"{name}: waits although cancelled")
    _require(not indices.subtract(array.late, array.cancelled), f"{name}: late without cancelled")
    for index in tasks.by_index:
        elsewhere = indices.contains(array.remaining, index) or indices.contains(array.cancelled, index)
        _require(not elsewhere, f"{name}: index {index} is a job and waits")
    if array.remaining:
        _pending(name, array.phase)
    over = not (array.remaining or tasks.n_pending or tasks.n_active)
    _require(over == (array.id in state.finished), f"{name}: over is {over}, finished is not")
    bad_end = any(
        isinstance(phase := state.jobs[task].phase, Ended) and phase.state.value != "COMPLETED"
        for task in tasks.by_index.values()
    )
    _require(array.failed or not (bad_end or array.cancelled), f"{name} has a task that failed, and has not")


def _finished(state: State) -> None:
    """In order of time; only what is over."""
    last = Instant(0)
    for id, at in state.finished.items():
        _require(at >= last, f"{id} finished at {at}, before the one in front of it")
        last = at
        job = state.jobs.get(id)
        _require(job is None or isinstance(job.phase, Ended), f"job {id} is finished and {job and job.state}")
        _require(job is not None or id in state.arrays, f"{id} is finished but unknown")
        if job is not None and job.array_id in state.finished:
            order = list(state.finished)
            _require(
                order.index(id) < order.index(job.array_id), f"array {job.array_id} before its task {id}"
            )


def _nodes(state: State) -> None:
    n_silent = 0
    for name, node in state.nodes.items():
        _require(name == node.name, f"node {node.name} is filed under {name}")
        _require(node.reachable == (not node.silent_since), f"node {name}: silent since, and reachable")
        _require(node.admin is not Admin.UP or not node.reason, f"node {name} is up for a reason")
        _require(name in state.node_columns, f"node {name} is not in the columns")
        _require(state.node_columns.node(name) == node, f"node {name} differs in the columns")
        n_silent += not node.reachable
    _require(len(state.nodes) == len(state.node_columns), "the columns have nodes more")
    _require(n_silent == state.n_silent, f"{n_silent} nodes are silent, {state.n_silent} are counted")
    state.node_columns.check()


def _allocations(state: State) -> None:
    """Known to the job, its nodes and the columns alike; no node above what it has."""
    active = {job.id: job.phase for job in state.jobs.values() if isinstance(job.phase, Active)}
    _require(len(state.running_columns) == len(active), "running columns and running jobs differ in number")
    used: dict[NodeName, Counter[str]] = {name: Counter() for name in state.nodes}
    granted: dict[tuple[NodeName, str], Instant] = {}
    devices: Counter[tuple[NodeName, str, int]] = Counter()
    slices: dict[tuple[NodeName, str, int], set[tuple[int, int]]] = {}
    for id, phase in active.items():
        _require(
            state.node_columns.held(id) == phase.placements, f"job {id}: the columns hold something else"
        )
        _require(id in state.running_columns, f"job {id} runs but is not in the running columns")
        for p in phase.placements:
            _require(p.node in state.nodes, f"job {id}: no node {p.node}")
            _require(id in state.node_columns.jobs_on(p.node), f"job {id} is unknown on {p.node}")
            cpu_milli = 0 if phase.suspended_at else p.cpu_milli
            amounts = {"cpu_milli": cpu_milli, "mem_mib": p.mem_mib - p.lent_mib, "tmp_mib": p.tmp_mib}
            used[p.node].update(amounts)
            for amount in [amount for amount, n in amounts.items() if n]:
                granted[p.node, amount] = max(granted.get((p.node, amount), Instant(0)), phase.granted_at)
            for d in p.devices:
                for index in d.indices:
                    device = (p.node, d.kind, index)
                    devices[device] += d.milli
                    _require(devices[device] <= WHOLE, f"{d.kind} {index} of {p.node} is held twice")
                    if d.part:
                        cut = slices.setdefault(device, set())
                        _require(d.place not in cut, f"slice {d.part} of {d.kind} {index} is held twice")
                        cut.add(d.place)
                        _require(len({layout for layout, _ in cut}) == 1, f"{d.kind} {index} has two layouts")
    for name, node in state.nodes.items():
        for id in state.node_columns.jobs_on(name):
            _require(id in active, f"job {id} holds {name} but does not run")
        for amount, n in used[name].items():
            if granted.get((name, amount), 0) <= node.registered_at:
                continue  # it may have come back smaller than what was given of it before
            _require(
                n <= getattr(node.spec, amount), f"node {name}: {n} {amount} are given, beyond what it has"
            )


def _held_by_users(state: State) -> None:
    """What users and accounts hold is what their jobs hold; suspended ones hold no CPUs."""
    again = UserUsage()
    for job in state.jobs.values():
        if isinstance(job.phase, Active):
            again.take(job.owner.uid, job.phase.placements)
            if job.spec.account:
                again.take(job.spec.account, job.phase.placements)
            if job.phase.suspended_at:
                again.take_cpus(job, job.phase.placements, -1)
    counted, held = (
        {uid: (h.cpu_milli, h.mem_mib, h.device_milli) for uid, h in usage.held.items()}
        for usage in (state.usage, again)
    )
    _require(counted == held, f"users are said to hold {counted}, and hold {held}")


def _licenses(state: State) -> None:
    """Counted once for each job that has an allocation, and no more of them given than there are."""
    held: Counter[str] = Counter()
    since: dict[str, tuple[int, Instant]] = {}
    for job in state.jobs.values():
        if isinstance(job.phase, Active):
            for name, n in parse_licenses(job.spec.licenses):
                held[name] += n
                given = job.phase.attempt.epoch, job.phase.granted_at
                since[name] = max(since.get(name, given), given)
    _require(state.licenses.held == held, f"licences: {state.licenses.held} counted, {dict(held)} held")
    totals = dict(state.config.licenses)
    for name, n in held.items():
        epoch, granted_at = since[name]
        if epoch < state.epoch or granted_at <= state.configured_at:
            continue  # there may be fewer of them since then
        _require(n <= totals.get(name, 0), f"license {name}: {n} are held, of {totals.get(name, 0)}")


def _pending_rows(state: State) -> None:
    """One row for each job or array that waits, with a reason, saying what the value says."""
    waiters: dict[JobId, Job | ArrayJob] = {
        job.id: job for job in state.jobs.values() if isinstance(job.phase, Pending)
    }
    waiters.update((array.id, array) for array in state.arrays.values() if array.remaining)
    _require(len(state.pending_columns) == len(waiters), "rows and waiting jobs differ in number")
    for id, waiter in waiters.items():
        _require(id in state.pending_columns, f"{id} waits without a row")
        row = state.pending_columns.row(id)
        expected = waiting.row_of(state, waiter)
        _require(_comparable(row, expected), f"{id}: row {row}, expected {expected}")
        reason = state.pending_columns.reason(id)
        if expected.eligible:
            allowed = reason in BY_CYCLE or reason is Reason.ARRAY_TASK_LIMIT
            _require(allowed, f"{id} is eligible, but its reason is {reason.value}")
        else:
            _require(reason is expected.reason, f"{id}: reason {reason.value}, not {expected.reason.value}")


def _comparable(row: PendingRow, expected: PendingRow) -> bool:
    """Reasons of eligible rows are the cycle's, nice means nothing beside a priority, and a job is expected
    to run as long as was thought when it came."""
    free = {"reason": Reason.NONE, "nice": 0, "expected_us": 0}
    return row._replace(**free) == expected._replace(**free)  # type: ignore[arg-type]


def _dependents(state: State) -> None:
    """Everybody who waits for something is found there, and nobody else."""
    again: dict[tuple[JobId, int], set[JobId]] = {}
    waiters: list[Job | ArrayJob] = [j for j in state.jobs.values() if isinstance(j.phase, Pending)]
    waiters += [array for array in state.arrays.values() if array.remaining]
    for waiter in waiters:
        for key in waiting.keys(waiter):
            again.setdefault(key, set()).add(waiter.id)
    found = {key: set(ids) for key, ids in state.dependents.items()}
    _require(found == again, f"dependents {found}, expected {again}")


def _singletons(state: State) -> None:
    """Members of each name that is asked about: the unfinished jobs and arrays of that user and name."""
    unfinished: list[Job | ArrayJob] = [
        job for job in state.jobs.values() if not job.array_id and not isinstance(job.phase, Ended)
    ]
    unfinished += [array for array in state.arrays.values() if array.id not in state.finished]
    again: dict[tuple[int, str], dict[JobId, int]] = {}
    for one in unfinished:
        again.setdefault((one.owner.uid, one.spec.name), {})[one.id] = order_of(one)
    for one in unfinished:
        if isinstance(one.phase, Pending) and any(
            c.kind is DependencyKind.SINGLETON for c in one.phase.unmet
        ):
            _require(
                (one.owner.uid, one.spec.name) in state.singletons, f"job {one.id} waits for its name unseen"
            )
    for key, members in state.singletons.items():
        _require(members == again.get(key), f"singletons {key}: {members}, expected {again.get(key)}")


def _timers(state: State) -> None:
    """Whatever has an instant to come is woken by then. (An earlier wake-up harms nobody.)"""
    at = next_timer(state)
    for job in state.jobs.values():
        due = _due(state, job)
        _require(
            due is None or (at is not None and at <= due), f"job {job.id} is due at {due}, next timer {at}"
        )
        ranked = ranked_next_at(state, job, job.phase) if isinstance(job.phase, Active) else None
        _require(
            not ranked or (at is not None and at <= ranked),
            f"job {job.id} stands elsewhere in the order at {ranked}, next timer {at}",
        )
        _patience(at, job)
    for array in state.arrays.values():
        if array.remaining:
            _patience(at, array)
        if array.remaining and waiting.doomed(array):
            _require(at is not None, f"array {array.id} waits to be cancelled, and no timer is set")


def _patience(at: Instant | None, waiter: Job | ArrayJob) -> None:
    """Its deadline, and when it takes nodes below any switch, are not slept through."""
    for due in (due_at(waiter), waiting.switches_over_at(waiter)):
        _require(not due or (at is not None and at <= due), f"{waiter.id} is due at {due}, next timer {at}")


def _due(state: State, job: Job) -> Instant | None:
    match job.phase:
        case Pending(begin_at=begin_at, eligible_at=0, held="", unmet=(), never=False):
            return begin_at
        case Pending(never=True) if job.spec.kill_on_invalid_dep:
            return Instant(0)
        case Active(terminate_at=terminate_at) if terminate_at:
            return terminate_at
        case Active() as active if at := _step_due(state, job, active):
            return at
        case Active(ending=None, suspended_at=0, started_at=started_at, end_by=end_by) if (
            started_at and end_by
        ):
            return end_by
        case Active(placements=placements) as active if job.spec.lease_s and not brake_holds(state):
            due = [
                lease_over_at(state, job, p.node) for p in placements if can_lose(state, job, active, p.node)
            ]
            return min((at for at in due if at), default=None)
    return None


def _step_due(state: State, job: Job, active: Active) -> Instant | None:
    """What its steps, or that it has none, bring about."""
    return nothing_left_at(state, job, active) or limit_at(state, job) or inactive_at(state, job) or None


def _answered(state: State) -> None:
    last = Instant(0)
    for (uid, key), answer in state.answered.items():
        _require((answer.uid, answer.key) == (uid, key), f"the answer to {key} is filed under another key")
        _require(answer.at >= last, f"answers are not in order at {key}")
        last = answer.at

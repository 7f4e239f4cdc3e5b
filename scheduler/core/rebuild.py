"""Indexes, timers and columns made anew from the values alone, as after reading a snapshot."""

from __future__ import annotations

from packhorse.scheduler.core import gangs, waiting
from packhorse.scheduler.core.active import set_lease_timers, set_timers
from packhorse.scheduler.core.array_tasks import count
from packhorse.scheduler.core.conditions import ensure_members
from packhorse.scheduler.core.crontabs.apply_crontabs import watch
from packhorse.scheduler.core.pending_columns import PendingRow
from packhorse.scheduler.core.preempt.apply_room import ends_at
from packhorse.scheduler.core.reclaim.apply_loans import begin_loans, suspect_all
from packhorse.scheduler.core.state import ArrayTasks, State
from packhorse.scheduler.core.steps.apply_steps import set_step_timer
from packhorse.scheduler.model.ids import UNKNOWN, US
from packhorse.scheduler.model.job import Active, DependencyKind, Ended, Job, Pending


def rebuild(state: State) -> None:
    """Everything derived, from the values. Interned tables are filled by whoever made the values."""
    interned = state.interned
    state.clear_derived()
    state.interned = interned
    if state.config.topology:
        state.node_columns.set_places(state.config.topology)
    for node in state.nodes.values():
        state.node_columns.put(node)
        if not node.reachable:
            state.n_silent += 1
    for id in state.arrays:
        state.tasks[id] = ArrayTasks()
    rows: list[PendingRow] = []
    members: list[Job] = []
    lent: list[Job] = []
    for job in state.jobs.values():
        phase, spec = job.phase, job.spec
        if job.array_id:
            tasks = state.tasks[job.array_id]
            tasks.by_index[job.index] = job.id
            count(tasks, job, 1)
        if isinstance(phase, Pending):
            if spec.gang is not None:
                gangs.gather(state, job)
                members.append(job)
            else:
                rows.append(waiting.row_of(state, job))
            if not phase.eligible_at:
                waiting.watch(state, job)
            elif spec.deadline_at or spec.switches_wait_s >= 0:
                waiting.set_patience_timers(state, job)
            if job.room_until:
                state.preempting.put(job)
        elif isinstance(phase, Active):
            _hold(state, job, phase)
            state.preempting.put(job)
            if phase.loans:
                lent.append(job)
    rows += [waiting.row_of(state, job) for job in members]  # which go by one another
    for job in lent:
        assert isinstance(job.phase, Active)
        begin_loans(state, job.id, job.phase)
    suspect_all(state)
    state.windows.changed(state.reservations, UNKNOWN)
    for array in state.arrays.values():
        if array.remaining:
            rows.append(waiting.row_of(state, array))
            waiting.watch(state, array)
    state.pending_columns.add_many(rows)
    for node in state.nodes.values():
        if not node.reachable:
            set_lease_timers(state, node.name)
    for id, steps in state.steps.items():
        for step in steps.running:
            set_step_timer(state, id, step)
    _find_singletons(state)
    for uid in state.crontabs:
        watch(state, uid)


def learn_from_finished(state: State) -> None:
    """What is known of how long jobs ran and who used how much, from the ended jobs that are still there: for
    states that were written before they held it."""
    for id in state.finished:
        job = state.jobs.get(id)
        if job is not None and isinstance(job.phase, Ended) and job.phase.started_at:
            phase, uid = job.phase, job.owner.uid
            run_us = phase.ended_at - phase.started_at - phase.suspended_us
            state.history.ended(uid, job.spec, phase.state, run_us)
            state.usage.use(uid, phase.placements, run_us, phase.ended_at)


def _hold(state: State, job: Job, active: Active) -> None:
    """A node may have shrunk under its running work, so the allocation is not measured again."""
    state.node_columns.allocate(
        job.id,
        active.placements,
        exclusive=job.spec.ask.exclusive,
        beyond_capacity=True,
        suspended=bool(active.suspended_at),
    )
    limit_us = job.spec.time_limit_s * US
    state.running_columns.add(job.id, ends_at(state, active), active.placements, limit_us)
    state.usage.take(job.owner.uid, active.placements)
    if job.spec.account:
        state.usage.take(job.spec.account, active.placements)
    if active.suspended_at:
        state.usage.take_cpus(job, active.placements, -1)
    if active.reservation:
        state.windows.enter(active.reservation, job.id)
    waiting.expect(state, job, active)
    if job.spec.licenses:
        state.licenses.hold(job.spec.licenses)
    set_timers(state, job, active)


def _find_singletons(state: State) -> None:
    """Who counts for the singletons that wait."""
    waiters = {id: None for (job, _), ids in state.dependents.items() if not job for id in ids}
    for id in waiters:
        waiter = state.jobs.get(id) or state.arrays[id]
        phase = waiting.pending_phase(waiter)
        if any(c.kind is DependencyKind.SINGLETON for c in phase.unmet):
            ensure_members(state, waiter.owner, waiter.spec.name)

"""A node's report of what is used there: what it means for estimates, and for what is lent there.

Every sample goes to the estimates in memory, and those of attempts that the report leaves out rise in time
(estimators.py); the state knows them in steps, by MemoryEstimated. A step is a
32nd of a job's limit, at least 16 MiB, and what the state knows is never below the estimate: a rise over it
is told at once, a fall by a step or more at most once in settle_s for each node. Decisions rest on
what the state knows alone, so that they are the same after a restart.

Loans are taken back at once, in the same step, where estimates say that too much is lent, and where the node
itself is short: less free than its floor, or processes that wait for memory.
"""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.lifecycle import current
from packhorse.scheduler.core.reclaim.lending import floor_mib, fresh_since, loans_on, may_lend, refresh
from packhorse.scheduler.core.reclaim.settle import Holder, settle, stop, victims
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import MemoryEstimated, UsageLearned
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import ReportUsage
from packhorse.scheduler.model.job import Active

STEPS: Final = 32
LEAST_STEP_MIB: Final = 16
LEARNED_EVERY_S: Final = 3600
"""Some 17 kB in the log each time."""


def report_usage(state: State, report: ReportUsage, now: Instant) -> Decision:
    """See the module. more: memory has become lendable that a waiting job might borrow."""
    config, name = state.config.reclaim, report.node
    row = state.node_columns.row_of.get(name, -1)
    if not config.enabled or row < 0:
        return UNCHANGED
    draft = Draft(state, now)
    lenders, used, borrowed = _sorted_out(state, report)
    moved: dict[JobId, int] = {}
    grown, fell = JobId(0), False
    lenders += _unmeasured(state, report)
    if lenders:
        moved, grown, fell = _estimate(state, name, lenders, used, now)
        _write_down(draft)
    if moved:
        draft.events.append(MemoryEstimated(now, name, tuple(moved.items())))
        if fell:
            state.reclaim.fell_at[name] = now
    shortage = _shortage(state, report)
    opened = not shortage and _opens(state, report, row, now)
    state.reclaim.saw(row, now, report.free_mib, bool(shortage))
    if name in state.reclaim.borrowers:
        stopped = settle(draft, name, moved, grown) if moved else set()
        if shortage:
            _relieve(draft, report, borrowed, stopped, shortage)
    more = (fell or opened) and state.pending_columns.n_ready_of(config.stoppable_qos) > 0
    return draft.decision()._replace(more=more)


def _write_down(draft: Draft) -> None:
    """Once in LEARNED_EVERY_S: what the estimator has learned, from which a new process goes on."""
    state, config = draft.state, draft.state.config.reclaim
    last = state.learned
    if last is not None and last.estimator == config.estimator and draft.now < last.at + LEARNED_EVERY_S * US:
        return
    learned = state.reclaim.estimates(config, state.learned).learned()
    if any(learned):
        draft.events.append(UsageLearned(draft.now, config.estimator, tuple(learned)))


def _opens(state: State, report: ReportUsage, row: int, now: Instant) -> bool:
    """Whether only this report makes something lendable on the node: it had not reported lately, was short,
    or had less free than might have been lent."""
    refresh(state)
    book = state.reclaim
    book.room_for(row)
    if not book.lendable[row]:
        return False
    floor = floor_mib(state.config.reclaim, state.nodes[report.node].spec.mem_mib)
    since = max(int(book.lent[row] - book.lent_seen[row]), 0)
    had = int(book.free_seen[row]) - floor - since
    bound = had < book.lendable[row] and report.free_mib - floor >= max(had, 0) + LEAST_STEP_MIB
    return bool(book.seen_at[row] < fresh_since(now) or book.short[row] or bound)


def _sorted_out(
    state: State, report: ReportUsage
) -> tuple[list[tuple[JobId, Active]], list[int], dict[JobId, int]]:
    """Lenders among the running attempts with what they use, and what borrowers use."""
    config, name = state.config.reclaim, report.node
    lenders: list[tuple[JobId, Active]] = []
    used: list[int] = []
    borrowed: dict[JobId, int] = {}
    for key, used_mib in dict(report.attempts).items():
        found = current(state, key)
        if found is None:
            continue
        job, active = found
        if active.loans:
            borrowed[job.id] = max(used_mib, 0)
        elif active.started_at and may_lend(config, job) and any(p.node == name for p in active.placements):
            lenders.append((job.id, active))
            used.append(max(used_mib, 0))
    return lenders, used, borrowed


def _unmeasured(state: State, report: ReportUsage) -> list[tuple[JobId, Active]]:
    """Those that are expected to use less than their limits, of which the report says nothing."""
    told = {key.job for key, _ in report.attempts}
    found: list[tuple[JobId, Active]] = []
    for id in state.node_columns.jobs_on(report.node):
        if id not in told:
            job = state.jobs[id]
            active = job.phase
            assert isinstance(active, Active)
            if active.estimated and not active.loans and may_lend(state.config.reclaim, job):
                found.append((id, active))
    return found


def _estimate(
    state: State, name: NodeName, lenders: list[tuple[JobId, Active]], used: list[int], now: Instant
) -> tuple[dict[JobId, int], JobId, bool]:
    """Estimates that have moved by a step; the job whose estimate has risen most, 0 if none has; and whether
    one has fallen. used: of the first of them; the others were not measured."""
    book = state.reclaim
    estimates = book.estimates(state.config.reclaim, state.learned)
    keys = [(name, id) for id, _ in lenders]
    before: list[tuple[int, int]] = []
    for key, (_, active) in zip(keys, lenders, strict=True):
        i = next(i for i, p in enumerate(active.placements) if p.node == name)
        limit = active.placements[i].mem_mib
        known = active.estimated[i] if active.estimated else limit
        before.append((limit, known))
        if key not in estimates:
            estimates.add(key, limit, active.started_at, known if active.estimated else None, now_us=now)
    estimates.observe(keys[: len(used)], used, now)
    may_fall = now >= book.fell_at.get(name, 0) + state.config.reclaim.settle_s * US
    moved: dict[JobId, int] = {}
    most, grown, fell = 0, JobId(0), False
    for (_, id), (limit, known), estimate in zip(
        keys, before, estimates.estimates(keys, now).tolist(), strict=True
    ):
        step = max(limit // STEPS, LEAST_STEP_MIB)
        told = min(-(-estimate // step) * step, limit)
        if told > known:
            moved[id] = told
            if told - known > most:
                most, grown = told - known, id
        elif told <= known - step and may_fall:
            moved[id] = told
            fell = True
    return moved, grown, fell


def _shortage(state: State, report: ReportUsage) -> str:
    """Why the node is short of memory, "" if it is not."""
    config = state.config.reclaim
    floor = floor_mib(config, state.nodes[report.node].spec.mem_mib)
    if report.free_mib < floor:
        return f"{report.free_mib} MiB free on node {report.node}, floor {floor} MiB"
    pressure = report.pressure_milli
    if pressure is not None and pressure > config.pressure_milli:
        bound = config.pressure_milli / 10
        return f"memory pressure {pressure / 10:g} % on node {report.node}, bound {bound:g} %"
    return ""


def _relieve(
    draft: Draft, report: ReportUsage, used: dict[JobId, int], stopped: set[JobId], shortage: str
) -> None:
    """Stops borrowers until the node has enough; under mere pressure one, and the next when it is gone."""
    state = draft.state
    floor = floor_mib(state.config.reclaim, state.nodes[report.node].spec.mem_mib)
    need = floor - report.free_mib
    holders: dict[JobId, Holder] = {}
    leaving = False
    borrowers = {job.id: (job, active) for job, active, _ in loans_on(state, report.node)}
    for job, active in borrowers.values():
        brings = max(used.get(job.id, 0), 1)
        if active.ending is None and job.id not in stopped:
            holders[job.id] = Holder(job, active, brings)
        else:
            leaving = True
            need -= brings
    if need <= 0:
        if report.free_mib < floor or leaving:
            return
        need = 1
    for holder in victims(list(holders.values()), need, draft.now):
        stop(draft, holder, f"lent memory taken back: {shortage}")

"""Suspended jobs: stopped where they are, their CPUs free for others, their memory and devices kept.

A job is suspended by an administrator (`scontrol suspend`) or for a job that needs its CPUs, and goes on
only if its CPUs are free again on the very same nodes, and not set aside for others: it cannot move. Its
time limit stands still meanwhile, and nobody is charged for that time. Licences stay held, as in Slurm.

When its memory becomes free nobody knows, so no planned start counts on it. When it will want its CPUs again
nobody knows either: a planned start may find them taken.

A job that is told to end while it is suspended goes on for that (it has to hear the TERM), for as long as its
grace at most, without its CPUs being taken from others again.
"""

from __future__ import annotations

from collections.abc import Callable

from packhorse.scheduler.core import targets
from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.lifecycle import NO_JOB, current
from packhorse.scheduler.core.packing.board import CPU, EXCLUSIVE, SLOTS
from packhorse.scheduler.core.reservations.going_on import reserved_by
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.tell import whole
from packhorse.scheduler.model.command import Continue, Suspend
from packhorse.scheduler.model.event import JobEnded, JobGranted, JobRequeued, JobResumed, JobSuspended
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, ReportSuspension, ResumeJobs, SuspendJobs, Target
from packhorse.scheduler.model.job import Active, Ended, Job
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused

PENDING = "Job is pending execution"
ALREADY_OVER = "Job/step already completing or completed"
DISABLED = "Requested operation is presently disabled"
BUSY = "Requested nodes are busy"
TRY_AGAIN = "Job can not be altered now, try again later"
ACCESS_DENIED = "Access/permission denied"

Act = Callable[[Draft, Job, Active, int], str]
"""Does it to one job, for this uid; returns why it could not be done, "" if it was."""


def suspend(draft: Draft, job: Job, active: Active, by: int = -1, for_job: JobId = NO_JOB) -> str:
    """Stop the job. Returns why that cannot be, as the end of a sentence about it, "" if it is done.

    by: the uid that asked, -1: the scheduler itself. for_job: whose room that makes.
    """
    if active.ending is not None:
        return "is being ended"
    if not active.started_at:
        return "has not begun yet"
    if active.suspended_at:
        return "is suspended already"
    if away := _silent(draft.state, active):
        return away
    draft.events.append(JobSuspended(draft.now, job.id, active.attempt, by, for_job))
    draft.commands += [Suspend(node, key) for node, key in whole(draft.state, job, active)]
    return ""


def resume(draft: Draft, job: Job, active: Active, by: int = -1) -> str:
    """Let the suspended job go on, as `suspend`. What this draft has done already counts: jobs that it
    starts, stops, or lets go on."""
    if active.ending is not None:
        return "is being ended"
    if not active.suspended_at:
        return "is not suspended"
    if away := _silent(draft.state, active):
        return away
    if short := _shortage(draft, job, active) or _kept_out(draft, job, active):
        return short
    draft.events.append(JobResumed(draft.now, job.id, active.attempt, end_by(job, active, draft.now), by))
    draft.commands += [Continue(node, key) for node, key in whole(draft.state, job, active)]
    return ""


def end_by(job: Job, active: Active, now: Instant) -> Instant:
    """When the time limit of a suspended job ends it if it goes on now, 0 for never."""
    if not job.spec.time_limit_s:
        return UNKNOWN
    stood_us = active.suspended_us + now - active.suspended_at
    return Instant(active.started_at + job.spec.time_limit_s * US + stood_us)


def suspend_jobs(state: State, call: SuspendJobs, now: Instant) -> Decision:
    """`scontrol suspend`: one outcome per target."""
    return _on_each(state, call.caller, call.targets, now, suspend)


def resume_jobs(state: State, call: ResumeJobs, now: Instant) -> Decision:
    """`scontrol resume`: one outcome per target."""
    return _on_each(state, call.caller, call.targets, now, resume)


def report_suspension(state: State, report: ReportSuspension, now: Instant) -> Decision:
    """An agent has carried out an order, or could not.

    A job that could not be stopped runs, and that is what is known of it again, unless its CPUs have been
    given away by now. Where an older order was carried out last, the newer one is given again.
    """
    found = current(state, report.attempt)
    if found is None:
        return UNCHANGED
    job, active = found
    if active.ending is not None or active.placements[0].node != report.node:
        return UNCHANGED
    wanted = bool(active.suspended_at)
    if report.suspended == wanted:
        return UNCHANGED
    draft = Draft(state, now)
    if not report.error:
        draft.commands.append(order(active))
    elif wanted:
        resume(draft, job, active)
    return draft.decision()


def order(active: Active) -> Suspend | Continue:
    """What the attempt's node has to do to it now."""
    node = active.placements[0].node
    return Suspend(node, active.attempt) if active.suspended_at else Continue(node, active.attempt)


def _on_each(state: State, caller: Caller, wanted: tuple[Target, ...], now: Instant, act: Act) -> Decision:
    draft = Draft(state, now)
    if not caller.admin:
        message = f'user "{caller.owner.user}" may not suspend or resume jobs; only an administrator may'
        return draft.answer(caller, Refused(RefusalCode.DENIED, message, ACCESS_DENIED))
    seen: set[JobId] = set()
    outcomes = tuple(_aim(draft, caller, target, act, seen) for target in wanted)
    return draft.answer(caller, Done(outcomes))


def _aim(draft: Draft, caller: Caller, target: Target, act: Act, seen: set[JobId]) -> Outcome:
    """A target that names several jobs is done if it could be done to any of them."""
    aim = targets.resolve(draft.state, target)
    if aim is None:
        return targets.not_found(target)
    if targets.finished(aim):
        return targets.wrong_state(target, "is over already", ALREADY_OVER)
    problem: Outcome | None = None
    n = 0
    for job in aim.jobs:
        active = job.phase
        if job.id in seen:
            n += 1
        elif isinstance(active, Active):
            why = act(draft, job, active, caller.owner.uid)
            if why:
                problem = problem or targets.wrong_state(target, why, _slurm(active, why))
            else:
                seen.add(job.id)
                n += 1
        elif isinstance(active, Ended):
            problem = problem or targets.wrong_state(target, "is over already", ALREADY_OVER)
    if n:
        return targets.done(target)
    return problem or targets.wrong_state(target, "waits: there is nothing to stop or continue", PENDING)


def _slurm(active: Active, why: str) -> str:
    """Slurm's words for why it cannot be done."""
    if active.ending is not None:
        return ALREADY_OVER
    if not active.started_at or "silent" in why:
        return TRY_AGAIN
    return BUSY if "node " in why else DISABLED


def _silent(state: State, active: Active) -> str:
    """Nobody could tell whether a silent node has done it."""
    node = active.placements[0].node
    if state.nodes[node].reachable:
        return ""
    return f"is on node {node}, which is silent: nothing can be told to it until its agent is back"


def _shortage(draft: Draft, job: Job, active: Active) -> str:
    """What the nodes have too little of for the suspended job to go on, "" for nothing."""
    columns = draft.state.node_columns
    exclusive = columns.is_exclusive(job.id)
    taken = _taken(draft)
    for p in active.placements:
        row = columns.row_of[p.node]
        cpu_milli, slots = taken.get(p.node, (0, 0))
        free = max(int(columns.free[CPU, row]) - cpu_milli, 0)
        if p.cpu_milli > free:
            return f"cannot go on: node {p.node} has {_cpus(free)} free, {p.cpu_milli / 1000:g} needed"
        if (EXCLUSIVE if exclusive else 1) > int(columns.free[SLOTS, row]) - slots:
            whose = "it wants the node for itself" if exclusive else "which has the node for itself"
            return f"cannot go on: on node {p.node} runs another job, {whose}"
    return ""


def _kept_out(draft: Draft, job: Job, active: Active) -> str:
    """Whose nodes it would be on while they are set aside for others, "" for nobody's."""
    if not draft.state.reservations:
        return ""
    taken = {node: cpu_milli for node, (cpu_milli, _) in _taken(draft).items()}
    end = end_by(job, active, draft.now)
    found = reserved_by(draft.state, active, end, draft.now, taken)
    return f"cannot go on: node {found[0]} is set aside by reservation {found[1]}" if found else ""


def _taken(draft: Draft) -> dict[NodeName, tuple[int, int]]:
    """Milli-CPU and slots that this draft takes of each node; less than nothing where it frees some."""
    state, taken = draft.state, dict[NodeName, tuple[int, int]]()
    for event in draft.events:
        match event:
            case JobGranted(placements=placements):
                sign = 1
                exclusive = (id := event.job) in state.jobs and state.jobs[id].spec.ask.exclusive
            case JobResumed() | JobSuspended() | JobEnded() | JobRequeued():
                sign = 1 if isinstance(event, JobResumed) else -1
                placements = state.node_columns.held(event.job)
                exclusive = state.node_columns.is_exclusive(event.job)
                if state.node_columns.is_suspended(event.job) and sign < 0:
                    continue
            case _:
                continue
        for p in placements:
            cpu_milli, slots = taken.get(p.node, (0, 0))
            slot = EXCLUSIVE if exclusive else 1
            taken[p.node] = cpu_milli + sign * p.cpu_milli, slots + sign * slot
    return taken


def _cpus(milli: int) -> str:
    return f"{milli / 1000:g} CPU{'' if milli == 1000 else 's'}"

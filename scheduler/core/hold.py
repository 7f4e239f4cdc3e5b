"""scontrol hold, uhold and release: keeping waiting jobs from starting."""

from __future__ import annotations

from packhorse.scheduler.core import indices, targets
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.targets import Aim
from packhorse.scheduler.model.event import ArrayTaskSplit, JobHeld, JobReleased
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.input import Hold, Release, Target
from packhorse.scheduler.model.job import Held, Pending
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode

NOT_PENDING = "Job is no longer pending execution"
INVALID_USER = "Invalid user id"
ACCESS_DENIED = "Access/permission denied"
BY_ADMIN = frozenset({Held.ADMIN, Held.QUARANTINED})
"""Holds that an owner neither takes back nor makes an own one."""
ASK = "an administrator may release it, which tries again"
MAX_SPLITS = 10_000
"""Indices of an array that one call may make jobs of their own. The whole array needs none."""


def hold(state: State, call: Hold, now: Instant) -> Decision:
    """An owner's hold is the owner's to release, an administrator's is not (but for `uhold`)."""
    draft = Draft(state, now)
    held: set[JobId] = set()
    outcomes = []
    for target in call.targets:
        aim = targets.resolve(state, target)
        outcome = _unfit(target, aim, call.caller.admin, call.caller.owner.uid)
        if aim is None or outcome is not None:
            outcomes.append(outcome or targets.not_found(target))
            continue
        own = targets.owner_uid(aim) == call.caller.owner.uid
        kind = Held.USER if own or call.as_user else Held.ADMIN
        ids = waiting_ids(draft, aim if call.caller.admin else _not_held_by_admin(aim), held)
        if isinstance(ids, str):
            outcomes.append(Outcome(target.ref, RefusalCode.EXHAUSTED, ids))
            continue
        draft.events += [JobHeld(now, id, kind, call.caller.owner.uid) for id in ids]
        outcomes.append(targets.done(target))
    return draft.answer(call.caller, Done(tuple(outcomes)))


def release(state: State, call: Release, now: Instant) -> Decision:
    """Takes holds back; a job that is not held is left alone, and that is no error."""
    draft = Draft(state, now)
    released: set[JobId] = set()
    outcomes = []
    for target in call.targets:
        aim = targets.resolve(state, target)
        outcome = _unfit(target, aim, call.caller.admin, call.caller.owner.uid)
        if aim is None or outcome is not None:
            outcomes.append(outcome or targets.not_found(target))
            continue
        if not call.caller.admin and not _holds(aim).isdisjoint(BY_ADMIN):
            message = f"job {target.ref} was held by an administrator, who alone can release it"
            if Held.QUARANTINED in _holds(aim):
                message = f"job {target.ref} was set aside since decisions about it failed; {ASK}"
            outcomes.append(Outcome(target.ref, RefusalCode.DENIED, message, ACCESS_DENIED))
            continue
        ids = waiting_ids(draft, _held_part(aim), released)
        if isinstance(ids, str):
            outcomes.append(Outcome(target.ref, RefusalCode.EXHAUSTED, ids))
            continue
        draft.events += [JobReleased(now, id, call.caller.owner.uid) for id in ids]
        outcomes.append(targets.done(target))
    return draft.answer(call.caller, Done(tuple(outcomes)))


def waiting_ids(draft: Draft, aim: Aim, seen: set[JobId]) -> list[JobId] | str:
    """The waiting jobs and arrays that are meant, each once in a call; a text instead says why not.

    Single indices of an array are split off as jobs of their own.
    """
    ids: list[JobId] = []
    for job in aim.jobs:
        if isinstance(job.phase, Pending) and job.id not in seen:
            seen.add(job.id)
            ids.append(job.id)
    array = aim.array
    if array is None or not aim.ranges or array.id in seen:
        return ids
    if aim.whole:
        seen.add(array.id)
        return [*ids, array.id]
    taken = {e.index for e in draft.events if isinstance(e, ArrayTaskSplit) and e.array == array.id}
    n = indices.size(aim.ranges)
    if n > MAX_SPLITS:
        return f"{n} indices of array {array.id} at once, limit {MAX_SPLITS}; name fewer, or the whole array"
    for index in indices.each(aim.ranges):
        if index not in taken:
            id = draft.new_id()
            draft.events.append(ArrayTaskSplit(draft.now, array.id, index, id))
            ids.append(id)
    return ids


def _unfit(target: Target, aim: Aim | None, admin: bool, uid: int) -> Outcome | None:
    if aim is None:
        return targets.not_found(target)
    if not admin and targets.owner_uid(aim) != uid:
        return targets.denied(target, INVALID_USER)
    if not aim.ranges and not any(isinstance(job.phase, Pending) for job in aim.jobs):
        return targets.wrong_state(target, "does not wait (any more)", NOT_PENDING)
    return None


def _holds(aim: Aim) -> set[Held]:
    found = {job.phase.held for job in aim.jobs if isinstance(job.phase, Pending)}
    if aim.array is not None and aim.ranges:
        found.add(aim.array.phase.held)
    return found


def _not_held_by_admin(aim: Aim) -> Aim:
    """What of it an owner may hold: the rest is held already, and does not become theirs to release."""
    jobs = tuple(
        job for job in aim.jobs if not isinstance(job.phase, Pending) or job.phase.held not in BY_ADMIN
    )
    if aim.array is None or aim.array.phase.held in BY_ADMIN:
        return Aim(jobs)
    return Aim(jobs, aim.array, aim.ranges)


def _held_part(aim: Aim) -> Aim:
    """What of it is held, or keeps away from nodes that refused it."""
    jobs = tuple(
        job for job in aim.jobs if isinstance(job.phase, Pending) and (job.phase.held or job.refusals)
    )
    if aim.array is None or not aim.array.phase.held:
        return Aim(jobs)
    return Aim(jobs, aim.array, aim.ranges)

"""What holds of gangs, counted again from the jobs."""

from __future__ import annotations

from packhorse.scheduler.core import gangs
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Active, Job, Pending


def check_gangs(state: State) -> None:
    """Members that wait are gathered, no more than the gang has; and where one has started all others have.

    Who joins a gang comes before it starts, since all that wait start with it. So nobody who runs is newer
    than one who waits. Jobs that have run before have no part in this.
    """
    waiting: dict[gangs.Key, dict[JobId, Job]] = {}
    newest: dict[gangs.Key, JobId] = {}
    for job in state.jobs.values():
        if job.spec.gang is None:
            continue
        key = (job.owner.uid, job.spec.gang.name)
        if isinstance(job.phase, Pending) and not job.attempts:
            waiting.setdefault(key, {})[job.id] = job
        elif isinstance(job.phase, Active) and job.attempts == 1:
            newest[key] = max(newest.get(key, job.id), job.id)
    _require(waiting.keys() == state.gangs.by_key.keys(), f"gangs {list(waiting)} wait, others are gathered")
    at = next_timer(state)
    for key, members in waiting.items():
        found = state.gangs.by_key[key]
        _require(found.members.keys() == members.keys(), f"gang {key}: {sorted(members)} wait")
        _require(len(members) <= found.gang.size, f"gang {key}: {len(members)} of {found.gang.size} wait")
        _require(
            all(job.spec.gang == found.gang for job in members.values()), f"gang {key} is of several minds"
        )
        eligible = sum(
            isinstance(job.phase, Pending) and bool(job.phase.eligible_at) for job in members.values()
        )
        _require(found.n_eligible == eligible, f"gang {key}: {found.n_eligible} are counted, {eligible} may")
        _require((key in state.gangs.ready) == (eligible == found.gang.size), f"gang {key}: ready or not")
        first = min(members)
        _require(newest.get(key, 0) < first, f"gang {key}: {newest.get(key)} runs, and {first} waits")
        due = found.due_at
        _require(not due or (at is not None and at <= due), f"gang {key} is due at {due}, next timer {at}")
    _require(state.gangs.ready.keys() <= waiting.keys(), "a gang is ready that nobody waits in")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise InvariantBroken(message)

"""Gangs of jobs: members start in the same pass or not at all.

Members are jobs of one user that give the same `Gang`. Those that wait and were never given an allocation are
gathered here, under their user and the gang's name. A gang is ready once as many of them as it has members
wait for nothing but room; before that none of their rows is looked at (GANG_INCOMPLETE).

A job that has had an allocation waits for nobody any more: put back into the queue it starts by itself, and
so does one that was cancelled while it waited and was reopened. The name of a gang that has started may be
given again.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING, Final, NamedTuple

from packhorse.scheduler.core.names import name_in
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.timers import Timer
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.job import ArrayJob, Gang, Job, JobSpec, Owner, Pending
from packhorse.scheduler.model.reply import RefusalCode, Refused

if TYPE_CHECKING:
    from packhorse.scheduler.core.state import State

Key = tuple[int, str]
"""The user and the name of the gang."""

TIMEOUT = "GangTimeout"
"""Why members ended that were given up."""

_ROOM: Final = (Reason.NONE, Reason.PRIORITY, Reason.RESOURCES, Reason.GANG_INCOMPLETE)
"""Of members that a gang does not wait for in particular."""


class Member(NamedTuple):
    """One that waits. eligible: for nothing but room."""

    submitted_at: Instant
    eligible: bool


class Gathered:
    """Members of one gang that wait, by id."""

    __slots__ = ("gang", "members", "n_eligible")

    def __init__(self, gang: Gang) -> None:
        self.gang = gang
        self.members: dict[JobId, Member] = {}
        self.n_eligible = 0

    @property
    def ready(self) -> bool:
        """Whether all are there."""
        return self.n_eligible >= self.gang.size

    @property
    def due_at(self) -> Instant:
        """When they are given up, UNKNOWN for never."""
        if not self.gang.wait_s or not self.members:
            return UNKNOWN
        first = min(member.submitted_at for member in self.members.values())
        return Instant(first + self.gang.wait_s * US)


class Gangs:
    """All gangs of which some member waits. ready: those that are complete, the earliest to be so first."""

    __slots__ = ("by_key", "ready")

    def __init__(self) -> None:
        self.by_key: dict[Key, Gathered] = {}
        self.ready: dict[Key, None] = {}

    def of(self, job: Job | ArrayJob) -> Gathered | None:
        """The gang that the waiting job starts together with, None if it starts by itself."""
        key = key_of(job)
        return self.by_key.get(key) if key is not None else None


def key_of(job: Job | ArrayJob) -> Key | None:
    """Of a job that was never given an allocation: its gang's. None for others."""
    gang = job.spec.gang
    if gang is None or isinstance(job, ArrayJob) or job.attempts:
        return None
    return job.owner.uid, gang.name


def gather(state: State, job: Job) -> None:
    """The job waits, as it is now."""
    key = key_of(job)
    if key is None:
        return
    assert job.spec.gang is not None and isinstance(job.phase, Pending)
    found = state.gangs.by_key.setdefault(key, Gathered(job.spec.gang))
    old = found.members.get(job.id)
    found.members[job.id] = new = Member(job.submitted_at, bool(job.phase.eligible_at))
    found.n_eligible += new.eligible - (old is not None and old.eligible)
    _settle(state, key, found, job.id)
    if old is None:
        _set_timer(state, found)


def leave(state: State, job: Job | ArrayJob) -> None:
    """The job waits no more."""
    key = key_of(job)
    found = state.gangs.by_key.get(key) if key is not None else None
    if key is None or found is None:
        return
    found.n_eligible -= found.members.pop(job.id).eligible
    if not found.members:
        del state.gangs.by_key[key]
    _settle(state, key, found, job.id)
    _set_timer(state, found)


def lacks_others(state: State, job: Job | ArrayJob) -> bool:
    """Whether it waits for other members to come."""
    found = state.gangs.of(job)
    return found is not None and not found.ready


def split(state: State, starting: Set[JobId]) -> set[JobId]:
    """Of jobs that are to start now those whose gang would not start as a whole."""
    out: set[JobId] = set()
    for key in state.gangs.ready:
        members = state.gangs.by_key[key].members.keys()
        if not members <= starting:
            out |= members & starting
    return out


def due_at(state: State, job: Job) -> Instant:
    """When the job is given up if its gang has not started, UNKNOWN for never."""
    found = state.gangs.of(job)
    return found.due_at if found is not None and job.id in found.members else UNKNOWN


def timed_out(found: Gathered) -> str:
    """What is told of members that are given up."""
    return f"its gang {found.gang.name} could not start within {found.gang.wait_s} s of its first submission"


def text(state: State, job: Job | ArrayJob) -> str:
    """`NAME:SIZE`, and how many are there while it waits for them; "" for a job of no gang."""
    gang, found = job.spec.gang, state.gangs.of(job)
    if gang is None:
        return ""
    waits = found is not None and job.id in found.members
    here = f", {len(found.members)} of {gang.size} here" if found is not None and waits else ""
    return f"{gang.name}:{gang.size}{here}"


def missing(state: State, job: Job | ArrayJob) -> str:
    """Of whom the job waits for, "" if all are there."""
    found = state.gangs.of(job)
    if found is None or found.ready:
        return ""
    size, name, n = found.gang.size, found.gang.name, len(found.members)
    parts = []
    if n < size:
        parts.append(f"{n} of the {size} members of its gang {name} are here; submit the others")
    away = sorted(id for id, member in found.members.items() if not member.eligible)
    parts += [
        f"job {name_in(state, id)} of its gang {name} waits: {state.pending_columns.reason(id).value}"
        for id in away[:3]
    ]
    return "; ".join(parts)


def held_up_by(state: State, job: Job | ArrayJob) -> str:
    """Which other member of its gang waits for more than room, "" if none does."""
    found = state.gangs.of(job)
    for id in sorted(found.members) if found is not None and found.ready else ():
        reason = state.pending_columns.reason(id)
        if id != job.id and reason not in _ROOM:
            return f"starts together with job {name_in(state, id)} of its gang, which waits: {reason.value}"
    return ""


def room(state: State, job: Job | ArrayJob) -> list[str]:
    """What is told of a member that would fit by itself."""
    found = state.gangs.of(job)
    return [f"there is no room for all {found.gang.size} members of its gang at once"] if found else []


def check_gangs(state: State, owner: Owner, wanted: Iterable[tuple[JobSpec, int]]) -> Refused | None:
    """Whether these jobs, so many of each, may join their gangs."""
    news: dict[str, int] = {}
    given: dict[str, Gang] = {}
    for spec, n in wanted:
        gang = spec.gang
        if gang is None:
            continue
        found = state.gangs.by_key.get((owner.uid, gang.name))
        here = given.setdefault(gang.name, found.gang if found is not None else gang)
        if here != gang:
            return _invalid(
                f'gang "{gang.name}": {_described(gang)} asked, but its members that wait have '
                f"{_described(here)}; give the same, or another name"
            )
        news[gang.name] = news.get(gang.name, 0) + n
        there = len(found.members) if found is not None else 0
        if there + news[gang.name] > gang.size:
            return _invalid(
                f'gang "{gang.name}": {there} of its {gang.size} members wait and {news[gang.name]} more '
                "would be too many; give another name or a larger size"
            )
    return None


def check_array(spec: JobSpec) -> Refused | None:
    """Arrays are no members."""
    if spec.gang is None:
        return None
    return _invalid(
        f'gang "{spec.gang.name}": an array cannot be a member, since its tasks start one by one; '
        "submit the members as jobs of their own"
    )


def _described(gang: Gang) -> str:
    wait = f" and a wait of {gang.wait_s} s" if gang.wait_s else " and no end of waiting"
    return f"size {gang.size}{wait}"


def _invalid(message: str) -> Refused:
    return Refused(RefusalCode.INVALID, message)


def _settle(state: State, key: Key, found: Gathered, but: JobId) -> None:
    """If it has become complete, or is so no more, the rows of the others say so."""
    gangs, ready = state.gangs, found.ready
    if ready == (key in gangs.ready):
        return
    if ready:
        gangs.ready[key] = None
    else:
        del gangs.ready[key]
    reason = Reason.NONE if ready else Reason.GANG_INCOMPLETE
    for id, member in found.members.items():
        if member.eligible and id != but and id in state.pending_columns:
            state.pending_columns.set_eligible(id, ready, reason)


def _set_timer(state: State, found: Gathered) -> None:
    """By one of them: the earliest."""
    at = found.due_at
    if at:
        state.timers.add(at, Timer.GANG, min(found.members))

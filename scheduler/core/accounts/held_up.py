"""Which limits hold up a job, in sentences with figures; for whoever asks why it waits."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.needs import asked
from packhorse.scheduler.core.accounts.quota import quota
from packhorse.scheduler.core.accounts.quota_text import held_up_text
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.job import ArrayJob, Job


def held_up(state: State, waiter: Job | ArrayJob, now: Instant) -> list[tuple[Reason, str]]:
    """All limits in its way as of now, those of the job by itself first; empty if there are none."""
    given = quota(state, now)
    if given is None:
        return []
    spec = waiter.spec
    needs = asked(spec.ask, spec.licenses, state.config, spec.partition)
    found = given.in_the_way(holder_of(spec, waiter.owner), needs, spec.time_limit_s)
    return [(limit.reason, held_up_text(limit, needed, room)) for limit, needed, room in found]

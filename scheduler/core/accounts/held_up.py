"""Which limits hold up a job, in sentences with figures; for whoever asks why it waits."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.needs import asked
from packhorse.scheduler.core.accounts.quota import book_of, quota
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
    holder = holder_of(spec, waiter.owner)
    found = given.in_the_way(holder, needs, spec.time_limit_s)
    threshold = book_of(state).terms.threshold_milli(holder)
    factor = given.fair_share_milli(holder) if threshold else 0
    barred = []
    if factor < threshold:
        text = f"QOS {spec.qos}: the fair share factor is {factor / 1000:g}, at least {threshold / 1000:g}"
        barred.append((Reason.QOS_USAGE_THRESHOLD, f"{text} (UsageThreshold)"))
    return barred + [(limit.reason, held_up_text(limit, needed, room)) for limit, needed, room in found]

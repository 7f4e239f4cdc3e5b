"""Jobs that were suspended to make room go on as soon as their CPUs are free again."""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.preempt.rights import Group, group_of
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.suspend import resume
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.job import Active

_FOR_ROOM: Final = [Reason.NONE.code, Reason.RESOURCES.code, Reason.PRIORITY.code]


def go_on(draft: Draft) -> None:
    """Before a pass: those go on that can, the first suspended first.

    Not while room is kept for somebody, nor where a job waits that would only have it suspended again.
    """
    state, known = draft.state, draft.state.preempting
    if not known.suspended or any(state.jobs[id].room_until > draft.now for id in known.claims):
        return
    waiting = _waiting(state)
    rights = known.rights(state.config, state.accounts.qos, state.accounts.version)
    order = {id: _since(state, id) for id in known.suspended}
    for id in sorted(order, key=lambda id: (order[id], id)):
        job = state.jobs[id]
        assert isinstance(job.phase, Active)
        if not any(rights.over(group, group_of(job)) for group in waiting):
            resume(draft, job, job.phase)


def _waiting(state: State) -> set[Group]:
    """Of jobs that wait for nothing but room, or were not looked at yet: what a limit, a licence or a window
    holds up has nobody suspended."""
    columns = state.pending_columns
    slots = columns.order(state.config)
    slots = slots[np.isin(columns.reason_code[slots], _FOR_ROOM)]
    holders = (columns.holders[code] for code in set(columns.holder[slots].tolist()))
    return {Group(holder.qos, holder.partition) for holder in holders}


def _since(state: State, id: JobId) -> Instant:
    phase = state.jobs[id].phase
    assert isinstance(phase, Active)
    return phase.suspended_at

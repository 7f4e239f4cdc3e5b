"""A second try, with lent memory, for jobs of a pass that found no room and may be stopped (core/reclaim)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from packhorse.scheduler.core.plan import Plan
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reclaim import lend
from packhorse.scheduler.model.ids import JobId

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle


def with_lent_memory(cycle: Cycle, plan: Plan, lendable: np.ndarray) -> Plan:
    """The plan, and jobs that may be stopped which start with lent memory. lendable: by position."""
    state, pending, names = cycle.state, cycle.pending, cycle.config.reclaim.stoppable_qos
    waits = (
        (cycle.codes == 0) | (cycle.codes == Reason.RESOURCES.code) | (cycle.codes == Reason.PRIORITY.code)
    )
    if cycle.backfill.nobody or cycle.backfill.before:
        waits = cycle.codes == Reason.RESOURCES.code
    waits[waits] &= pending.of_qos(cycle.order[waits], names)
    waits[waits] &= lend.may_borrow(state, pending.partitions)[pending.partition[cycle.order[waits]]]
    if cycle.together is not None:
        waits &= ~cycle.together.mask()
    todo = np.flatnonzero(waits)
    room = lend.LentRoom(state, cycle.field, lendable)
    started = Counter(g.id for g in plan.grants)
    while todo.size and cycle.left:
        at, todo = int(todo[0]), todo[1:]
        slot, code, duration = cycle.order[at], int(cycle.classes[at]), int(cycle.durations[at])
        id, partition = JobId(int(pending.id[slot])), int(pending.partition[slot])
        if code in cycle.supply.short or lend.barred(state, id, cycle.now):
            continue
        if cycle.reserved is not None and cycle.reserved.beside(code):
            continue
        state.looking_at = ((id,), 0, 1)
        request = cycle._request(code, duration)
        want = cycle._want(slot, at, duration) - started[id]
        want = min(want, cycle._room_under_limits(slot, at, code))
        n = 0
        own = cycle.plans.get(id)
        while n < want and not request.shape.node_decides:
            batch = room.place(request, cycle.now + duration, own if n == 0 else None)
            if batch is None:
                break
            n += 1
            if any(p.lent_mib for p in batch.parts.placements):
                cycle._hand_out([batch], 0, 1, [id], [1], [-1], [duration], [partition], code)
        if n < want:
            todo = todo[(cycle.classes[todo] != code) | (cycle.durations[todo] < duration)]
        if code in pending.licensed:
            cycle._take_licenses(code, n)
        if cycle.quota is not None:
            cycle.quota.take(slot, code, n)
    return Plan(cycle.grants, cycle.planned, plan.more)

"""The first thing a pass does: open reservations draw in jobs that name none (the flag MAGNETIC)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packhorse.scheduler.core.reasons import Reason

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle


def draw_in(cycle: Cycle) -> None:
    """Rows that name no reservation go first into open ones that draw them in."""
    reserved, pending = cycle.reserved, cycle.pending
    for name in reserved.magnetic if reserved is not None else ():
        assert reserved is not None
        lost: dict[int, int] = {}
        for at in reserved.drawable(name, cycle.order, cycle.classes, cycle.codes).tolist():
            if not cycle.left:
                return
            slot, code = cycle.order[at], int(cycle.classes[at])
            id, duration = int(pending.id[slot]), reserved.inside(name, int(cycle.durations[at]))
            want = cycle._want(slot, at, duration) - cycle.drawn.get(id, 0)
            if want <= 0 or (code in lost and duration >= lost[code]):
                continue
            cycle.state.looking_at = ((id,), 0, 1)
            want = min(want, cycle._room_under_limits(slot, at, code))
            batches = reserved.place_in(name, cycle._own_request(code), duration, want) if want else []
            cycle._note_claims()
            j = cycle.field.layer_of(cycle.now + duration)
            batches, fit = cycle._take_quota(slot, code, batches, j, name)
            done = sum(n for _, n in batches)
            partition = int(pending.partition[slot])
            cycle._hand_out(
                batches, 0, 1, [id], [want], [-1], [duration], [partition], code, reservation=name
            )
            cycle.drawn[id] = cycle.drawn.get(id, 0) + done
            if code in pending.licensed:
                cycle._take_licenses(code, done)
            if fit and done < want:
                lost[code] = duration
            if cycle.drawn[id] >= int(pending.count[slot]):
                cycle.codes[at] = Reason.PRIORITY.code

"""`packhorse reclaim off|on`: lending as a whole, or for the jobs of one partition or account."""

from __future__ import annotations

from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import ReclaimSwitched
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import SwitchReclaim
from packhorse.scheduler.model.loan import Switch
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused

KINDS = ("", "partition", "account")


def switch_reclaim(state: State, call: SwitchReclaim, now: Instant) -> Decision:
    """Switching off lends nothing new; with recall what is lent is taken back, else it runs out."""
    draft = Draft(state, now)
    switch = call.switch
    if not call.caller.admin:
        message = "only an administrator may switch lending on or off"
        return draft.answer(call.caller, Refused(RefusalCode.DENIED, message, "Access/permission denied"))
    if switch.kind not in KINDS or bool(switch.kind) != bool(switch.name):
        message = "lending is switched for everybody, one partition or one account"
        return draft.answer(call.caller, Refused(RefusalCode.INVALID, message))
    known = [p.name for p in state.config.partitions]
    if switch.kind == "partition" and switch.name not in known:
        message = f'partition "{switch.name}" does not exist; choose one of: {", ".join(known)}'
        return draft.answer(call.caller, Refused(RefusalCode.NOT_FOUND, message))
    if call.on and switch.kind and any(not s.kind for s in state.lending_off):
        message = "lending is off everywhere, not only there; switch it on with: packhorse reclaim on"
        return draft.answer(call.caller, Refused(RefusalCode.INVALID, message))
    if call.on and not switch.kind:
        off: tuple[Switch, ...] = ()
    else:
        rest = [s for s in state.lending_off if (s.kind, s.name) != (switch.kind, switch.name)]
        off = tuple(rest) if call.on else (*rest, switch)
    if off != state.lending_off:
        draft.events.append(ReclaimSwitched(now, off, call.caller.owner.uid))
    return draft.answer(call.caller, Done((Outcome(switch.name or "lending"),)))

"""strigger: who may set and clear which triggers."""

from __future__ import annotations

from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.triggers.book import MOST
from packhorse.scheduler.model.event import TriggersCleared, TriggerSet
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import ClearTriggers, SetTrigger
from packhorse.scheduler.model.job import Ended
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused
from packhorse.scheduler.model.trigger import Trigger, TriggerKind

OF_JOBS = frozenset({TriggerKind.FINI, TriggerKind.TIME})
INVALID_JOB = "Invalid job id specified"


def set_trigger(state: State, call: SetTrigger, now: Instant) -> Decision:
    """The outcome's ref is the number of the trigger."""
    draft = Draft(state, now)
    id = state.triggers.next_id
    trigger = Trigger(
        id,
        call.caller.owner,
        call.kind,
        call.program,
        call.job,
        call.nodes,
        call.offset_s,
        call.permanent,
    )
    refused = _refused(state, trigger)
    if refused is None:
        draft.events.append(TriggerSet(now, trigger))
        return draft.answer(call.caller, Done((Outcome(str(id)),)))
    return draft.answer(call.caller, refused)


def _refused(state: State, trigger: Trigger) -> Refused | None:
    if len(state.triggers.by_id) >= MOST:
        return Refused(RefusalCode.EXHAUSTED, f"{MOST} triggers wait, and no more may: strigger --clear")
    if trigger.kind in OF_JOBS and not trigger.job:
        return Refused(RefusalCode.INVALID, f"a trigger --{trigger.kind.value} is for a job: --jobid=N")
    if trigger.kind is TriggerKind.DRAINED and trigger.job:
        return Refused(RefusalCode.INVALID, "a trigger --drained is for nodes: --node[=NODES]")
    if trigger.offset_s < 0 and trigger.kind is not TriggerKind.TIME:
        return Refused(RefusalCode.INVALID, "only a trigger --time can be fired ahead (negative offset)")
    unknown = [name for name in trigger.nodes if name not in state.nodes]
    if unknown:
        message = f'node "{unknown[0]}" is not known; sinfo -N lists them'
        return Refused(RefusalCode.NOT_FOUND, message, "Invalid node name specified")
    if not trigger.job:
        return None
    job = state.jobs.get(trigger.job)
    if job is None:
        array = " (of an array its tasks have numbers of their own)" if trigger.job in state.arrays else ""
        return Refused(RefusalCode.NOT_FOUND, f"job {trigger.job} is not known{array}", INVALID_JOB)
    if isinstance(job.phase, Ended):
        message = f"job {trigger.job} has ended already"
        return Refused(RefusalCode.WRONG_STATE, message, "Job/step already completing or completed")
    return None


def clear_triggers(state: State, call: ClearTriggers, now: Instant) -> Decision:
    """Those that the call names; other people's are for administrators."""
    draft = Draft(state, now)
    caller = call.caller
    found = [
        trigger
        for trigger in state.triggers.by_id.values()
        if (not call.id or trigger.id == call.id)
        and (not call.job or trigger.job == call.job)
        and (call.uid < 0 or trigger.owner.uid == call.uid)
    ]
    mine = [trigger for trigger in found if caller.admin or trigger.owner.uid == caller.owner.uid]
    if found and not mine:
        ref = ",".join(str(trigger.id) for trigger in found[:5])
        message = f"trigger {ref}: only its owner or an administrator may clear it"
        return draft.answer(caller, Refused(RefusalCode.DENIED, message, "Access/permission denied"))
    if not mine:
        message = "no such trigger waits; strigger --get lists them"
        return draft.answer(caller, Refused(RefusalCode.NOT_FOUND, message))
    ids = tuple(trigger.id for trigger in mine)
    draft.events.append(TriggersCleared(now, ids, caller.owner.uid))
    return draft.answer(caller, Done(tuple(Outcome(str(id)) for id in ids)))

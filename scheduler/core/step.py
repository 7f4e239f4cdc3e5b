"""`step(state, input, now)`: the one entrance to all decisions.

Pure: it reads the state and returns a Decision; whoever called applies its events, makes them durable,
and only then sends the commands and the reply. Live scheduler and simulator call nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packhorse.scheduler.core import (
    cancel,
    gpu_idle,
    hold,
    nodes,
    partitions,
    quarantine,
    reconfigure,
    requeue,
    submit,
    suspend,
    teach,
    tick,
    update,
)
from packhorse.scheduler.core.accounts.change import change_accounts
from packhorse.scheduler.core.crontabs import requests as crontabs
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.reclaim.report import report_usage
from packhorse.scheduler.core.reclaim.switch import switch_reclaim
from packhorse.scheduler.core.reservations import requests
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps import create, ending, reports
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.core.triggers import requests as triggers
from packhorse.scheduler.core.when import note
from packhorse.scheduler.model import input as inp
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Caller, Input
from packhorse.scheduler.model.reply import RefusalCode, Refused

__all__ = ["next_timer", "step"]


def step(state: State, input: Input, now: Instant) -> Decision:
    """What follows from this input at this instant."""
    kind = type(input)
    caller: Caller | None = getattr(input, "caller", None)
    if caller is not None and caller.key:
        answered = _already_answered(state, caller)
        if answered is not None:
            return answered
    return _STEP[kind](state, input, now)


def _already_answered(state: State, caller: Caller) -> Decision | None:
    """The answer to a repeated call: the same as the first time."""
    earlier = state.answered.get((caller.owner.uid, caller.key))
    if earlier is None:
        return None
    if earlier.fingerprint != caller.fingerprint:
        return Decision(
            (),
            (),
            Refused(
                RefusalCode.CONFLICT,
                f'idempotency key "{caller.key}" was used for a different call; use a new key for a new call',
            ),
        )
    return Decision((), (), earlier.reply)


_STEP: dict[type, Callable[[State, Any, Instant], Decision]] = {
    inp.Start: nodes.start,
    inp.Submit: submit.submit,
    inp.SubmitArray: submit.submit_array,
    inp.Cancel: cancel.cancel,
    inp.Hold: hold.hold,
    inp.Release: hold.release,
    inp.Requeue: requeue.requeue,
    inp.UpdateJob: update.update_job,
    inp.UpdateNode: nodes.update_node,
    inp.RegisterNode: nodes.register,
    inp.ReportOffer: nodes.report_offer,
    inp.ReportSilence: nodes.report_silence,
    inp.ReportStart: reports.report_start,
    inp.ReportExit: reports.report_exit,
    inp.ReportGpus: gpu_idle.report_gpus,
    inp.Tick: tick.tick,
    inp.RunCycle: quarantine.run_cycle,
    inp.Teach: teach.teach,
    inp.NoteEstimates: note.note,
    inp.ReportUsage: report_usage,
    inp.SwitchReclaim: switch_reclaim,
    inp.ChangeAccounts: change_accounts,
    inp.SuspendJobs: suspend.suspend_jobs,
    inp.ResumeJobs: suspend.resume_jobs,
    inp.ReportSuspension: reports.report_suspension,
    inp.Reconfigure: reconfigure.reconfigure,
    inp.CreateReservation: requests.create_reservation,
    inp.UpdateReservation: requests.update_reservation,
    inp.DeleteReservation: requests.delete_reservation,
    inp.CreateStep: create.create_step,
    inp.CancelStep: ending.cancel_step,
    inp.EndAllocation: ending.end_allocation,
    inp.SwitchPartition: partitions.switch_partition,
    inp.SetTrigger: triggers.set_trigger,
    inp.ClearTriggers: triggers.clear_triggers,
    inp.SetCrontab: crontabs.set_crontab,
}

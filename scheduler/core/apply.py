"""`apply(state, event)`: the only way the state changes, live, in replay and in simulation.

Each kind of event has one function, here for the cluster as a whole and in `apply_*.py` for jobs that
wait, attempts, and nodes. An event that does not fit raises InvalidTransition, which means a defect in
whoever decided it: nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packhorse.scheduler.core import apply_attempt, apply_node, apply_pending, apply_suspend, waiting
from packhorse.scheduler.core.accounts import charging, holding
from packhorse.scheduler.core.active import set_inactive_timer, set_rank_timer
from packhorse.scheduler.core.reclaim import apply_loans
from packhorse.scheduler.core.reservations import apply_reservations
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps import apply_steps
from packhorse.scheduler.core.when import note
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import Active


def apply(state: State, event: Event) -> None:
    """Make the event part of the state. Raises InvalidTransition or InvariantBroken if it does not fit."""
    _APPLY[type(event)](state, event)


def _configured(state: State, event: ev.Configured) -> None:
    before, state.config = state.config, event.config
    state.configured_at, state.fallback = event.at, None
    charging.configured(state, event.at)
    holding.configured(state, before)
    if event.config.resv_over_run_s != before.resv_over_run_s:
        state.windows.changed(state.reservations, event.at)
    if event.config.reclaim != before.reclaim:
        apply_loans.suspect_all(state)
    if event.config.topology != before.topology:
        state.node_columns.set_places(event.config.topology)
    if event.config.predictor != before.predictor:
        waiting.expect_again(state)
    if event.config.inactive_limit_s != before.inactive_limit_s:
        for id in state.running_columns.jobs():
            set_inactive_timer(state, state.jobs[id])
    if (event.config.preempt, event.config.order) != (before.preempt, before.order):
        for id in state.running_columns.jobs():
            job = state.jobs[id]
            assert isinstance(job.phase, Active)
            set_rank_timer(state, job, job.phase)


def _taught(state: State, event: ev.PolicyTaught) -> None:
    state.taught = event


def _accounts_changed(state: State, event: ev.AccountsChanged) -> None:
    charging.accounts_changed(state, event)


def _answered(state: State, event: ev.CallAnswered) -> None:
    """Remembers the answer, and drops those too old or too many: a key is for retries, not for ever."""
    answered = state.answered
    answered[event.uid, event.key] = event
    oldest = event.at - state.config.key_retention_s * US
    while answered:
        key = next(iter(answered))
        if answered[key].at >= oldest and len(answered) <= state.config.max_keys_kept:
            break
        del answered[key]


def _refuse(state: State, event: object) -> None:
    raise InvalidTransition(event, "not an event")


_APPLY: dict[type, Callable[[State, Any], None]] = {
    ev.SchedulerStarted: apply_node.scheduler_started,
    ev.Configured: _configured,
    ev.CallAnswered: _answered,
    ev.PolicyTaught: _taught,
    ev.StartsEstimated: note.starts_estimated,
    ev.AccountsChanged: _accounts_changed,
    ev.ReservationSet: apply_reservations.reservation_set,
    ev.ReservationDeleted: apply_reservations.reservation_deleted,
    ev.JobsSubmitted: apply_pending.jobs_submitted,
    ev.ArraySubmitted: apply_pending.array_submitted,
    ev.ArrayTaskSplit: apply_pending.array_task_split,
    ev.ArrayRemainderCancelled: apply_pending.array_remainder_cancelled,
    ev.JobsEligible: apply_pending.jobs_eligible,
    ev.JobHeld: apply_pending.job_held,
    ev.JobReleased: apply_pending.job_released,
    ev.JobQuarantined: apply_pending.job_quarantined,
    ev.JobUpdated: apply_pending.job_updated,
    ev.JobReopened: apply_pending.job_reopened,
    ev.JobsForgotten: apply_pending.jobs_forgotten,
    ev.JobGranted: apply_attempt.job_granted,
    ev.AttemptStarted: apply_attempt.attempt_started,
    ev.JobWarned: apply_attempt.job_warned,
    ev.MemoryEstimated: apply_loans.memory_estimated,
    ev.LoansChanged: apply_loans.loans_changed,
    ev.ReclaimSwitched: apply_loans.reclaim_switched,
    ev.UsageLearned: apply_loans.usage_learned,
    ev.JobGpusIdle: apply_attempt.job_gpus_idle,
    ev.JobGpusBusy: apply_attempt.job_gpus_busy,
    ev.JobsRanked: apply_attempt.jobs_ranked,
    ev.JobSuspended: apply_suspend.job_suspended,
    ev.JobResumed: apply_suspend.job_resumed,
    ev.JobEnding: apply_attempt.job_ending,
    ev.JobTerminating: apply_attempt.job_terminating,
    ev.JobEnded: apply_attempt.job_ended,
    ev.JobRequeued: apply_attempt.job_requeued,
    ev.StepCreated: apply_steps.step_created,
    ev.StepStarted: apply_steps.step_started,
    ev.StepEnding: apply_steps.step_ending,
    ev.StepPartEnded: apply_steps.step_part_ended,
    ev.BatchEnded: apply_steps.batch_ended,
    ev.NodeRegistered: apply_node.node_registered,
    ev.NodeOffered: apply_node.node_offered,
    ev.NodeSilenced: apply_node.node_silenced,
    ev.NodeDrained: apply_node.node_drained,
    ev.NodeDowned: apply_node.node_downed,
    ev.NodeResumed: apply_node.node_resumed,
}

"""`apply(state, event)`: the only way the state changes, live, in replay and in simulation.

Each kind of event has one function, here for the cluster as a whole and in `apply_*.py` for jobs that
wait, attempts, and nodes. An event that does not fit raises InvalidTransition, which means a defect in
whoever decided it: nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from packhorse.scheduler.core import (
    apply_attempt,
    apply_node,
    apply_pending,
    apply_suspend,
    partitions,
    waiting,
)
from packhorse.scheduler.core.accounts import charging, holding
from packhorse.scheduler.core.active import set_inactive_timer, set_rank_timer
from packhorse.scheduler.core.crontabs import apply_crontabs
from packhorse.scheduler.core.reclaim import apply_loans
from packhorse.scheduler.core.reservations import apply_reservations
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps import apply_steps
from packhorse.scheduler.core.triggers import apply_triggers
from packhorse.scheduler.core.when import note
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.node import Admin
from packhorse.scheduler.model.trigger import TriggerKind


def apply(state: State, event: Event) -> None:
    """Make the event part of the state. Raises InvalidTransition or InvariantBroken if it does not fit."""
    _APPLY[type(event)](state, event)


def _configured(state: State, event: ev.Configured) -> None:
    before, state.config = state.config, event.config
    partitions.configured(state)
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


def _job_ended(state: State, event: ev.JobEnded) -> None:
    if not state.triggers:
        apply_attempt.job_ended(state, event)
    else:
        nodes = apply_triggers.nodes_of(state, event.job)
        apply_attempt.job_ended(state, event)
        apply_triggers.job_ended(state, event.job, event.at)
        apply_triggers.left(state, nodes, event.at)
    if state.cron_jobs:
        apply_crontabs.job_ended(state, event.job)


def _job_reopened(state: State, event: ev.JobReopened) -> None:
    apply_pending.job_reopened(state, event)
    state.cron_due.pop(event.job, None)


def _job_requeued(state: State, event: ev.JobRequeued) -> None:
    nodes = apply_triggers.nodes_of(state, event.job) if state.triggers else ()
    apply_attempt.job_requeued(state, event)
    apply_triggers.left(state, nodes, event.at)


def _node_registered(state: State, event: ev.NodeRegistered) -> None:
    apply_node.node_registered(state, event)
    if state.triggers:
        apply_triggers.came_back(state, event.spec.name, event.at)


def _node_silenced(state: State, event: ev.NodeSilenced) -> None:
    apply_node.node_silenced(state, event)
    if state.triggers:
        apply_triggers.fell_silent(state, event.node, event.at)


def _node_drained(state: State, event: ev.NodeDrained) -> None:
    apply_node.node_drained(state, event)
    if state.triggers:
        apply_triggers.drained(state, event.node, event.at)


def _node_downed(state: State, event: ev.NodeDowned) -> None:
    apply_node.node_downed(state, event)
    if state.triggers:
        apply_triggers.happened(state, TriggerKind.DOWN, event.node, event.at)


def _node_resumed(state: State, event: ev.NodeResumed) -> None:
    was_down = state.nodes[event.node].admin is Admin.DOWN if event.node in state.nodes else False
    apply_node.node_resumed(state, event)
    if state.triggers and was_down:
        apply_triggers.happened(state, TriggerKind.UP, event.node, event.at)


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
    ev.JobReopened: _job_reopened,
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
    ev.JobEnded: _job_ended,
    ev.JobRequeued: _job_requeued,
    ev.StepCreated: apply_steps.step_created,
    ev.StepStarted: apply_steps.step_started,
    ev.StepEnding: apply_steps.step_ending,
    ev.StepPartEnded: apply_steps.step_part_ended,
    ev.BatchEnded: apply_steps.batch_ended,
    ev.NodeRegistered: _node_registered,
    ev.NodeOffered: apply_node.node_offered,
    ev.NodeSilenced: _node_silenced,
    ev.NodeDrained: _node_drained,
    ev.NodeDowned: _node_downed,
    ev.NodeResumed: _node_resumed,
    ev.PartitionSwitched: partitions.partition_switched,
    ev.TriggerSet: apply_triggers.trigger_set,
    ev.TriggersCleared: apply_triggers.triggers_cleared,
    ev.TriggersFired: apply_triggers.triggers_fired,
    ev.CrontabSet: apply_crontabs.crontab_set,
}

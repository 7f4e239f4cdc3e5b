"""Nodes and their agents: what a registration proves, what silence does not, what an operator's word does.

Silence proves nothing: a silent node is unreachable and its jobs go on. They are given up only when it
is proven that they do not run any more: the node registers with a new boot id, or its agent answers and
does not know them, or an operator says so, or (jobs with a lease) the node has stopped them by itself.
"""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.decision import UNCHANGED, Decision, Draft
from packhorse.scheduler.core.lifecycle import (
    current,
    lose_node,
    lose_script,
    started,
    stop,
    terminate,
)
from packhorse.scheduler.core.partitions import as_switched
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import has_script
from packhorse.scheduler.core.steps.reconcile import reconcile
from packhorse.scheduler.core.steps.reports import find
from packhorse.scheduler.core.suspend import order
from packhorse.scheduler.model.command import JobOver, Launch, Resume, SetTimeLimit, Terminate
from packhorse.scheduler.model.event import (
    Configured,
    NodeDowned,
    NodeDrained,
    NodeOffered,
    NodeRegistered,
    NodeResumed,
    NodeSilenced,
    SchedulerStarted,
)
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, NodeName
from packhorse.scheduler.model.input import (
    NodeAction,
    RegisterNode,
    ReportOffer,
    ReportSilence,
    RunningAttempt,
    Start,
    UpdateNode,
)
from packhorse.scheduler.model.job import Active, EndCause, Job
from packhorse.scheduler.model.node import Admin, Node
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused


def start(state: State, input: Start, now: Instant) -> Decision:
    """A process takes over: a new epoch, so that what it grants outranks whatever was granted before.

    Where the configuration has no origin, it stays the instant of the first start.
    """
    draft = Draft(state, now)
    draft.events.append(SchedulerStarted(now, state.epoch + 1))
    config = input.config
    if config.origin == UNKNOWN:
        # Orders that count from the beginning of a log would hardly tell two jobs apart, counted from 1970.
        config = replace(config, origin=state.config.origin or now)
    if as_switched(state, config) != state.config:
        draft.events.append(Configured(now, config))
    return draft.decision()


def report_silence(state: State, input: ReportSilence, now: Instant) -> Decision:
    """The stream of an agent is gone."""
    node = state.nodes.get(input.node)
    if node is None or not node.reachable:
        return UNCHANGED
    return Decision((NodeSilenced(now, input.node),))


def report_offer(state: State, input: ReportOffer, now: Instant) -> Decision:
    """A later offer voids the earlier; one that says the same again is not worth recording."""
    node = state.nodes.get(input.node)
    if node is None or not node.reachable or input.offer.epoch <= node.offer.epoch:
        return UNCHANGED
    same = replace(input.offer, epoch=node.offer.epoch) == node.offer
    return UNCHANGED if same else Decision((NodeOffered(now, input.node, input.offer),))


def register(state: State, input: RegisterNode, now: Instant) -> Decision:
    """An agent connected: compare what should run there with what does."""
    draft = Draft(state, now)
    name = input.spec.name
    known = state.nodes.get(name)
    draft.events.append(NodeRegistered(now, input.spec, input.boot_id, input.offer))
    running = {found.attempt: found for found in input.running}
    launching = set(input.launching)
    exited = set(input.exited)
    rebooted = known is not None and known.boot_id != input.boot_id
    for id in sorted(state.node_columns.jobs_on(name)) if known is not None else ():
        job = state.jobs[id]
        active = job.phase
        assert isinstance(active, Active)
        script_here = active.placements[0].node == name and has_script(job, active)
        if rebooted and (active.started_at if script_here else True) and active.attempt not in exited:
            lose_node(draft, job, active, name, f"node {name} was restarted", EndCause.NODE_FAIL)
            continue
        if not script_here or active.attempt in exited:
            pass  # its exit follows as a report
        elif active.attempt in running:
            _runs(draft, job, active, running[active.attempt])
        elif active.attempt in launching:
            if active.ending is not None and not active.terminate_at:
                terminate(draft, active, active.ending)
        else:
            active = _unknown_to_agent(draft, job, active, known)
        if job.id in state.steps:
            reconcile(draft, job, active, name, running, launching, exited)
    for attempt in (*running, *input.launching):
        if not _is_current_here(state, attempt, known):
            draft.commands.append(Terminate(name, attempt, state.config.kill_wait_s, EndCause.STALE))
    for attempt in input.kept:
        if not _has_place_here(state, attempt, name):  # it was not there to hear of it
            draft.commands.append(JobOver(name, attempt))
    return draft.decision()


def _runs(draft: Draft, job: Job, active: Active, found: RunningAttempt) -> None:
    """Re-adopted. What was ordered meanwhile may not have arrived, so it is ordered again."""
    if not active.started_at:
        started(draft, job, active, found.started_at)
    if active.ending is not None:
        if not active.terminate_at:
            terminate(draft, active, active.ending)
        return
    if found.suspended != bool(active.suspended_at):
        draft.commands.append(order(active))
    draft.commands.append(SetTimeLimit(active.placements[0].node, active.attempt, job.spec.time_limit_s))


def _unknown_to_agent(draft: Draft, job: Job, active: Active, known: Node | None) -> Active:
    """Should run here, and does not. Returns it as it is then, if steps of it go on.

    Known to have begun, it is lost. Otherwise nobody can tell: its launch may be on its way at this
    moment. So the agent is asked, and its answer settles it: it launches an attempt at most once, also
    across restarts, and refuses one that it was told to stop.
    """
    node = active.placements[0].node
    if active.started_at:
        return lose_script(draft, job, active, f"the agent of node {node} has lost it", EndCause.NODE_FAIL)
    if active.ending is not None:
        if not active.terminate_at:
            terminate(draft, active, active.ending)
    elif known is not None and known.admin is Admin.DOWN:
        stop(draft, job, active, EndCause.NODE_FAIL)
    else:
        draft.commands.append(Launch(node, job.id, active.attempt))
    return active


def _is_current_here(state: State, attempt: AttemptKey, known: Node | None) -> bool:
    if attempt.step >= 0:
        return known is not None and find(state, attempt, known.name) is not None
    found = current(state, attempt)
    return found is not None and known is not None and found[1].placements[0].node == known.name


def _has_place_here(state: State, attempt: AttemptKey, name: NodeName) -> bool:
    found = current(state, attempt)
    return found is not None and any(placement.node == name for placement in found[1].placements)


def update_node(state: State, call: UpdateNode, now: Instant) -> Decision:
    """Drain, down and resume. Administrators only."""
    draft = Draft(state, now)
    if not call.caller.admin:
        message = f'user "{call.caller.owner.user}" may not change nodes; only an administrator may'
        return draft.answer(call.caller, Refused(RefusalCode.DENIED, message, "Invalid user id"))
    if call.action is not NodeAction.RESUME and not call.reason.strip():
        message = f"a node is not set to {call.action.value.upper()} without a reason; give Reason="
        slurm = "You must specify a reason when DOWNING or DRAINING a node. Request denied"
        return draft.answer(call.caller, Refused(RefusalCode.INVALID, message, slurm))
    uid = call.caller.owner.uid
    outcomes = []
    for name in dict.fromkeys(call.nodes):
        node = state.nodes.get(name)
        if node is None:
            message = f"node {name} has never registered; known nodes: packhorse status"
            outcomes.append(Outcome(name, RefusalCode.NOT_FOUND, message, "Invalid node name specified"))
            continue
        match call.action:
            case NodeAction.DRAIN:
                draft.events.append(NodeDrained(now, name, call.reason, uid))
            case NodeAction.RESUME:
                if node.admin is not Admin.UP or not node.offer.accepting:
                    draft.events.append(NodeResumed(now, name, uid))
                if not node.offer.accepting:
                    draft.commands.append(Resume(name))
            case NodeAction.DOWN:
                draft.events.append(NodeDowned(now, name, call.reason, uid))
                _give_up(draft, node, call.reason)
        outcomes.append(Outcome(name))
    return draft.answer(call.caller, Done(tuple(outcomes)))


def _give_up(draft: Draft, node: Node, reason: str) -> None:
    """An operator's word that nothing runs there: believed of a silent node; one that answers must stop."""
    state = draft.state
    for id in sorted(state.node_columns.jobs_on(node.name)):
        job = state.jobs[id]
        active = job.phase
        assert isinstance(active, Active)
        detail = f"node {node.name} was set down: {reason}"
        if not node.reachable:
            lose_node(draft, job, active, node.name, detail, EndCause.NODE_FAIL)
        elif active.ending is None:
            stop(draft, job, active, EndCause.NODE_FAIL)

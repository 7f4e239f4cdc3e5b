"""`srun` in a running job: a step is placed and its nodes are told, or the answer is "not now" or "never"."""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import NO_STEPS
from packhorse.scheduler.core.steps.fit import BAD_GRES, BUSY, place
from packhorse.scheduler.model.command import Launch
from packhorse.scheduler.model.event import StepCreated
from packhorse.scheduler.model.ids import UNKNOWN, US, AttemptKey, Instant
from packhorse.scheduler.model.input import CreateStep
from packhorse.scheduler.model.job import Active, Ended, Job
from packhorse.scheduler.model.reply import RefusalCode, Refused, StepMade
from packhorse.scheduler.model.step import SAME, StepSpec

UNKNOWN_JOB = "Invalid job id specified"
ACCESS_DENIED = "Access/permission denied"
ALREADY_OVER = "Job/step already completing or completed"
PENDING = "Job is pending execution"
DISABLED = "Requested operation is presently disabled"

MAX_STEPS: Final = 40_000
"""Of one attempt: Slurm's MaxStepCount."""

DISTRIBUTIONS: Final = ("block", "cyclic", "plane", "arbitrary")
"""What may be asked for; "" where nobody did, which is block."""


def create_step(state: State, call: CreateStep, now: Instant) -> Decision:
    """One event, and a Launch for every node. Answered StepMade."""
    draft = Draft(state, now)
    job = state.jobs.get(call.job)
    refused = _check_job(state, call, job) or _check_spec(call.spec)
    if refused is not None:
        return draft.answer(call.caller, refused)
    assert job is not None and isinstance(job.phase, Active)
    active, known = job.phase, state.steps.get(job.id, NO_STEPS)
    if known.next >= MAX_STEPS:
        message = f"job {job.id} has had {known.next} steps, no job has more; start several tasks in a step"
        return draft.answer(
            call.caller, Refused(RefusalCode.IMPOSSIBLE, message, "Step limit reached for this job")
        )
    parts = place(job, active, call.spec, known)
    if isinstance(parts, Refused):
        return draft.answer(call.caller, parts)
    silent = [part.node for part in parts if not state.nodes[part.node].reachable]
    if silent:
        message = f"job {job.id}: node {silent[0]} is silent, nothing can be started there"
        return draft.answer(call.caller, Refused(RefusalCode.EXHAUSTED, message, BUSY))
    key = AttemptKey(job.id, active.attempt.number, active.attempt.epoch, known.next)
    limit_s = call.spec.time_limit_s
    end_by = Instant(now + limit_s * US) if limit_s else UNKNOWN
    draft.events.append(StepCreated(now, key, call.spec, parts, end_by))
    draft.commands += [Launch(part.node, job.id, key) for part in parts]
    return draft.answer(call.caller, StepMade(key, parts))


def _check_job(state: State, call: CreateStep, job: Job | None) -> Refused | None:
    """Whether a step of this caller may be started in the job."""
    if job is None:
        array = state.arrays.get(call.job)
        if array is None:
            message = f"job {call.job} is not known: never submitted, or finished long ago (see sacct)"
            return Refused(RefusalCode.NOT_FOUND, message, UNKNOWN_JOB)
        message = f"job {call.job} is an array; a step belongs to one task of it, {call.job}_N"
        return Refused(RefusalCode.INVALID, message, UNKNOWN_JOB)
    if not call.caller.admin and call.caller.owner.uid != job.owner.uid:
        message = f"job {job.id} belongs to another user; its owner or an administrator may start steps in it"
        return Refused(RefusalCode.DENIED, message, ACCESS_DENIED)
    match job.phase:
        case Ended():
            return Refused(RefusalCode.WRONG_STATE, f"job {job.id} is over already", ALREADY_OVER)
        case Active(ending=None, batch_end=None, suspended_at=0):
            return None
        case Active(ending=None, batch_end=None):
            return Refused(RefusalCode.WRONG_STATE, f"job {job.id} is suspended", DISABLED)
        case Active():
            return Refused(RefusalCode.WRONG_STATE, f"job {job.id} is being ended", ALREADY_OVER)
    return Refused(RefusalCode.WRONG_STATE, f"job {job.id} waits: it has no nodes yet", PENDING)


def _check_spec(spec: StepSpec) -> Refused | None:
    """Amounts that make no sense whatever the job."""
    amounts = (
        spec.n_tasks,
        spec.min_nodes,
        spec.max_nodes,
        spec.tasks_per_node,
        spec.cpu_milli_per_task,
        spec.mem_mib_per_cpu,
        spec.plane_size,
        spec.time_limit_s,
    )
    if min(amounts) < 0 or spec.mem_mib_per_node < SAME:
        return _invalid("amounts of a step must not be negative")
    if not spec.argv and not spec.multi_prog:
        return _invalid("a step needs a command", "No command given to execute.")
    if spec.max_nodes and spec.max_nodes < spec.min_nodes:
        message = f"at most {spec.max_nodes} nodes but at least {spec.min_nodes} were asked for"
        return _invalid(message, "Node count specification invalid")
    if spec.mem_mib_per_node > 0 and spec.mem_mib_per_cpu:
        return _invalid("memory per node and memory per CPU exclude each other; give one of them")
    if spec.distribution and spec.distribution not in DISTRIBUTIONS:
        return _invalid(f'distribution "{spec.distribution}": one of {", ".join(DISTRIBUTIONS)}')
    if spec.distribution == "plane" and not spec.plane_size:
        return _invalid("distribution plane needs a size, as in plane=4")
    if spec.distribution == "arbitrary" and not spec.nodes_required:
        return _invalid("distribution arbitrary needs the nodes in the order of the tasks (--nodelist)")
    for gres in (*spec.gres_per_node, *spec.gres_per_task, *spec.gres_per_step):
        if gres.n < 0 or gres.shares:
            return _invalid(f"{gres}: a step gets whole devices of those that its job has", BAD_GRES)
    return None


def _invalid(message: str, slurm: str = "") -> Refused:
    return Refused(RefusalCode.INVALID, message, slurm)

"""scontrol update job: what may still be changed, by whom, and in which state."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from packhorse.scheduler.core import indices, targets
from packhorse.scheduler.core.accounts.admission import check_change
from packhorse.scheduler.core.accounts.rights import check_access, complete_account
from packhorse.scheduler.core.deadlines import check_deadline
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.dependencies import check_dependency
from packhorse.scheduler.core.gang_room import check_room
from packhorse.scheduler.core.hold import INVALID_USER, waiting_ids
from packhorse.scheduler.core.licenses import check_licenses
from packhorse.scheduler.core.reservations.admission import check_longer, check_reservation
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import has_script
from packhorse.scheduler.core.submit import (
    ACCESS_DENIED,
    check_partition,
    check_possible,
    fill_memory,
    find_partition,
)
from packhorse.scheduler.core.targets import Aim
from packhorse.scheduler.model.command import SetTimeLimit
from packhorse.scheduler.model.event import JobUpdated
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.input import Changes, Target, UpdateJob
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, JobSpec, Pending
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused
from packhorse.scheduler.model.resources import Ask

FINISHED = "Job/step already completing or completed"
NOT_PENDING = "Job is no longer pending execution"

_WHILE_WAITING = (
    "partition",
    "begin_at",
    "dependency",
    "features",
    "nodes_required",
    "nodes_excluded",
    "mem_mib_per_node",
    "mem_mib_per_cpu",
    "n_cpus",
    "min_nodes",
    "priority",
    "nice",
    "site_factor",
    "reservation",
    "licenses",
)
"""Changes that mean nothing once the job has its nodes."""

_PLAIN = (
    "name",
    "comment",
    "begin_at",
    "dependency",
    "requeue",
    "account",
    "priority",
    "nice",
    "no_lend",
    "deadline_at",
    "site_factor",
    "reservation",
    "wckey",
    "licenses",
)


def update_job(state: State, call: UpdateJob, now: Instant) -> Decision:
    """One outcome per target; a target whose change is refused is left as it was."""
    draft = Draft(state, now)
    seen: set[JobId] = set()
    outcomes = tuple(_aim(draft, call, target, seen) for target in call.targets)
    return draft.answer(call.caller, Done(outcomes))


def _aim(draft: Draft, call: UpdateJob, target: Target, seen: set[JobId]) -> Outcome:
    state = draft.state
    aim = targets.resolve(state, target)
    if aim is None:
        return targets.not_found(target)
    if not targets.may_act(call.caller, aim):
        return targets.denied(target, INVALID_USER)
    changes = call.changes
    if changes.array_limit is not None and not (aim.array is not None and target.indices is None):
        return _refuse(target, RefusalCode.INVALID, "is no array: it has no limit of tasks at once", "")
    if changes.array_limit is not None and aim.array is not None and not aim.ranges:
        return targets.wrong_state(target, "has no task left that waits", NOT_PENDING)
    active = [job for job in aim.jobs if isinstance(job.phase, Active) and job.id not in seen]
    n_waiting = sum(1 for job in aim.jobs if isinstance(job.phase, Pending))
    if not aim.ranges and not active and not n_waiting:
        return targets.wrong_state(target, "is over already", FINISHED)
    needs_waiting = [name for name in _WHILE_WAITING if getattr(changes, name) is not None]
    if changes.drop_dependency:
        needs_waiting.append("dependency")
    if needs_waiting and not aim.ranges and not n_waiting:
        return targets.wrong_state(target, f"does not wait: {needs_waiting[0]} cannot change", NOT_PENDING)
    planned = _plan(draft, call, target, aim, [] if needs_waiting else active)
    if isinstance(planned, Outcome):
        return planned
    specs = planned
    waiting = waiting_ids(draft, aim, seen)
    if isinstance(waiting, str):
        return Outcome(target.ref, RefusalCode.EXHAUSTED, waiting)
    uid = call.caller.owner.uid
    for id in waiting:
        # An index split off just now has the spec of its array.
        spec = specs[id] if id in specs else specs[aim.array.id] if aim.array is not None else None
        assert spec is not None
        limit = changes.array_limit if aim.array is not None and id == aim.array.id else None
        draft.events.append(JobUpdated(draft.now, id, spec, uid, array_limit=limit))
    for job in active:
        if job.id in specs and job.id not in seen:
            seen.add(job.id)
            _update_active(draft, job, specs[job.id], uid)
    return targets.done(target)


def _plan(
    draft: Draft, call: UpdateJob, target: Target, aim: Aim, active: list[Job]
) -> dict[JobId, JobSpec] | Outcome:
    """The new spec of everything meant, or why one of them cannot have it."""
    specs: dict[JobId, JobSpec] = {}
    meant: list[Job | ArrayJob] = [job for job in aim.jobs if isinstance(job.phase, Pending)]
    meant += active
    if aim.array is not None and aim.ranges:
        meant.append(aim.array)
    for one in meant:
        spec = _changed(draft, call, target, one)
        if isinstance(spec, Outcome):
            return spec
        specs[one.id] = spec
    return specs


def _changed(draft: Draft, call: UpdateJob, target: Target, one: Job | ArrayJob) -> JobSpec | Outcome:
    """The spec of a job or array with the changes made."""
    state, changes, admin = draft.state, call.changes, call.caller.admin
    old = one.spec
    values: dict[str, Any] = {n: v for n in _PLAIN if (v := getattr(changes, n)) is not None}
    if changes.drop_dependency:
        values["dependency"] = None
    if not admin and values.get("nice", old.nice) < min(old.nice, 0):
        return _refuse(
            target, RefusalCode.DENIED, "gets a nice below 0 from an administrator only", ACCESS_DENIED
        )
    for field, what in (("priority", "priority"), ("site_factor", "site factor")):
        if not admin and field in values:
            return _refuse(
                target, RefusalCode.DENIED, f"gets a {what} from an administrator only", ACCESS_DENIED
            )
    if changes.qos is not None and changes.qos != old.qos:
        if isinstance(one.phase, Active):
            return targets.wrong_state(target, "does not wait: its QOS cannot change", NOT_PENDING)
        values["qos"] = changes.qos
    if changes.array_limit is not None and changes.array_limit < 0:
        return _refuse(target, RefusalCode.INVALID, "needs a limit of 0 (none) or more tasks", "")
    limit = new_time_limit(changes, old.time_limit_s)
    if limit is not None:
        longer = old.time_limit_s and (limit == 0 or limit > old.time_limit_s)
        if longer and not admin:
            return _refuse(
                target,
                RefusalCode.DENIED,
                "gets more time from an administrator only",
                ACCESS_DENIED,
            )
        values["time_limit_s"] = limit
    partition = find_partition(state, old.partition if changes.partition is None else changes.partition)
    if isinstance(partition, Refused):
        if changes.partition is not None or _changed_ask(old.ask, changes) != old.ask:
            return _from_refused(target, partition)
        return replace(old, **values)  # its partition is gone, and with it what that allowed
    ask = _changed_ask(old.ask, changes)
    if isinstance(ask, str):
        return _refuse(target, RefusalCode.INVALID, ask, "")
    spec = replace(old, **values, partition=partition.name, ask=fill_memory(ask, partition))
    refused: Refused | None = None
    if (spec.account, spec.qos, spec.partition) != (old.account, old.qos, old.partition):
        filled = complete_account(state, one.owner, spec)
        if isinstance(filled, Refused):
            return _from_refused(target, filled)
        spec, refused = filled, check_access(state, partition, one.owner, filled)
    placed_anew = spec.ask != old.ask or spec.partition != old.partition
    if refused is None and (placed_anew or spec.time_limit_s != old.time_limit_s):
        refused = None if admin and not placed_anew else check_partition(partition, one.owner, spec)
    if refused is None and placed_anew:
        refused = check_possible(state, partition, spec.ask)
    if refused is None and placed_anew and state.gangs.of(one) is not None:
        refused = check_room(state, one.owner, [(spec, 1)], instead_of=one.id)
    if refused is None and spec.licenses and spec.licenses != old.licenses:
        refused = check_licenses(spec.licenses, state.config)
    if refused is None and (spec.deadline_at, spec.time_limit_s) != (old.deadline_at, old.time_limit_s):
        refused = _check_deadline(one, spec, draft.now)
    if refused is None and spec.reservation and spec.reservation != old.reservation:
        refused = check_reservation(state, one.owner, spec, draft.now)
    if refused is None and isinstance(one, Job) and isinstance(one.phase, Active):
        refused = (
            check_longer(state, one, spec.time_limit_s) if spec.time_limit_s != old.time_limit_s else None
        )
    if refused is None and spec.dependency is not None and spec.dependency != old.dependency:
        refused = check_dependency(state, spec.dependency, one.id)
    if refused is None:
        n = indices.size(one.remaining) if isinstance(one, ArrayJob) else 1
        refused = check_change(state, one.owner, old, spec, n)
    return spec if refused is None else _from_refused(target, refused)


def _check_deadline(one: Job | ArrayJob, spec: JobSpec, now: Instant) -> Refused | None:
    """None unless it would be given up at once: what waits has its time limit before it, what runs has until
    the deadline."""
    if isinstance(one.phase, Active):
        spec = replace(spec, time_limit_s=0)
    return check_deadline(spec, now)


def new_time_limit(changes: Changes, old_s: int) -> int | None:
    """The changed time limit in seconds (0: none), None if it stays. A limit cannot shrink to nothing."""
    if changes.time_limit_s is not None:
        return max(0, changes.time_limit_s)
    if changes.time_limit_by_s is not None and old_s:
        return max(1, old_s + changes.time_limit_by_s)
    return None


def _changed_ask(ask: Ask, changes: Changes) -> Ask | str:
    """The ask with the changed amounts, or what is wrong with them."""
    values: dict[str, Any] = {}
    for name in ("features", "nodes_required", "nodes_excluded"):
        value = getattr(changes, name)
        if value is not None:
            values[name] = value
    if changes.mem_mib_per_node is not None:
        values.update(mem_mib_per_node=changes.mem_mib_per_node, mem_mib_per_cpu=0, mem_all=False)
    if changes.mem_mib_per_cpu is not None:
        values.update(mem_mib_per_cpu=changes.mem_mib_per_cpu, mem_mib_per_node=0, mem_all=False)
    if changes.min_nodes is not None:
        values["min_nodes"] = changes.min_nodes
        if ask.max_nodes and (ask.max_nodes < changes.min_nodes or ask.max_nodes == ask.min_nodes):
            values["max_nodes"] = changes.min_nodes
    if changes.n_cpus is not None:
        n = changes.n_cpus
        if n < 1:
            return "needs at least 1 CPU"
        per_task = max(1, -(-ask.cpu_milli_per_task // 1000))
        if ask.n_tasks == 1:
            values["cpu_milli_per_task"] = n * 1000
        elif n % ask.n_tasks == 0:
            values["cpu_milli_per_task"] = n // ask.n_tasks * 1000
        elif n % per_task == 0:
            values["n_tasks"] = n // per_task
        else:
            return f"has {ask.n_tasks} tasks of {per_task} CPUs: {n} CPUs cannot be shared evenly"
    new = replace(ask, **values) if values else ask
    if min(new.mem_mib_per_node, new.mem_mib_per_cpu) < 0 or new.min_nodes < 1:
        return "needs amounts that are not negative, and at least one node"
    return new


def _update_active(draft: Draft, job: Job, spec: JobSpec, uid: int) -> None:
    active = job.phase
    assert isinstance(active, Active) and not isinstance(active, Ended)
    end_by = active.end_by
    if spec.time_limit_s != job.spec.time_limit_s:
        since = active.started_at or active.granted_at
        limit_us = spec.time_limit_s * US + active.suspended_us
        end_by = Instant(since + limit_us) if spec.time_limit_s else UNKNOWN
        if has_script(job, active):
            draft.commands.append(SetTimeLimit(active.placements[0].node, active.attempt, spec.time_limit_s))
    draft.events.append(JobUpdated(draft.now, job.id, spec, uid, end_by=end_by))


def _refuse(target: Target, code: RefusalCode, message: str, slurm: str) -> Outcome:
    return Outcome(target.ref, code, f"job {target.ref} {message}", slurm)


def _from_refused(target: Target, refused: Refused) -> Outcome:
    return Outcome(target.ref, refused.code, f"job {target.ref}: {refused.message}", refused.slurm)

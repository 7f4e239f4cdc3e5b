"""Submission: defaults are filled in, and what can never run is refused with the way out.

All jobs of a call or none. Where Slurm has a phrase for a refusal it goes along, for the commands
that have to print it. While no node is registered, nothing is impossible yet.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.accounts.admission import check_submission, longest_s
from packhorse.scheduler.core.accounts.rights import account_and_qos, check_access
from packhorse.scheduler.core.deadlines import check_deadline
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.dependencies import check_dependency
from packhorse.scheduler.core.gang_room import check_room
from packhorse.scheduler.core.gangs import check_array, check_gangs
from packhorse.scheduler.core.licenses import check_licenses
from packhorse.scheduler.core.oom_retry import check_oom_retry
from packhorse.scheduler.core.packing.possible import possible
from packhorse.scheduler.core.partitions import check_open
from packhorse.scheduler.core.reservations.admission import check_reservation
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.event import ArraySubmitted, JobsSubmitted
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Caller, Submit, SubmitArray
from packhorse.scheduler.model.job import ArraySpec, JobSpec, Owner
from packhorse.scheduler.model.reply import RefusalCode, Refused, Submitted
from packhorse.scheduler.model.resources import Ask
from packhorse.scheduler.model.units import format_elapsed

NODE_CONFIGURATION = "Requested node configuration is not available"
ACCESS_DENIED = "Access/permission denied"
MAX_NICE = 2_147_483_645
"""Slurm's bound."""


def submit(state: State, call: Submit, now: Instant) -> Decision:
    """Separate jobs, any number of them from few specs."""
    draft = Draft(state, now)
    refused = _check_caller(state, call.caller) or _check_count(state, len(call.items))
    if refused is not None:
        return draft.answer(call.caller, refused)
    if not _names_specs(call):
        return draft.answer(call.caller, _invalid("a submission names one of its specs for each of its jobs"))
    specs = []
    for spec in call.specs:
        filled = complete(state, call.caller, spec, now)
        if isinstance(filled, Refused):
            return draft.answer(call.caller, filled)
        specs.append(filled)
    owner = call.caller.owner
    wanted = [(specs[0], len(call.items))]
    if len(specs) > 1:
        wanted = [(specs[i], n) for i, n in sorted(Counter(item.spec for item in call.items).items())]
    refused = (
        check_gangs(state, owner, wanted)
        or check_room(state, owner, wanted)
        or check_submission(state, owner, wanted)
    )
    if refused is not None:
        return draft.answer(call.caller, refused)
    event = JobsSubmitted(now, call.caller.owner, state.next_job_id, tuple(specs), call.items)
    draft.events.append(event)
    return draft.answer(call.caller, Submitted(event.first_id, len(call.items)))


def submit_array(state: State, call: SubmitArray, now: Instant) -> Decision:
    """An array: one row until its tasks start."""
    draft = Draft(state, now)
    refused = _check_caller(state, call.caller) or _check_count(state, 1)
    if refused is not None:
        return draft.answer(call.caller, refused)
    array = _check_array(state, call.array)
    if isinstance(array, Refused):
        return draft.answer(call.caller, array)
    spec = complete(state, call.caller, call.spec, now)
    if isinstance(spec, Refused):
        return draft.answer(call.caller, spec)
    if spec.allocation:
        return draft.answer(call.caller, _invalid_array("an array needs a batch script"))
    n = indices.size(array.ranges)
    refused = check_array(spec) or check_submission(state, call.caller.owner, [(spec, n)])
    if refused is not None:
        return draft.answer(call.caller, refused)
    id = state.next_job_id
    draft.events.append(ArraySubmitted(now, call.caller.owner, id, spec, array))
    return draft.answer(call.caller, Submitted(id))


def complete(state: State, caller: Caller, spec: JobSpec, now: Instant) -> JobSpec | Refused:
    """The spec with the defaults of partition, account, QOS, time limit and memory, or why it cannot be."""
    if spec.allocation:  # there is nothing that could be run again without the command that holds it
        spec = replace(spec, requeue=False, retry=None, oom_factor_milli=0)
    reserved = state.reservations.get(spec.reservation)
    partition = find_partition(state, spec.partition or (reserved.partition if reserved else ""))
    if isinstance(partition, Refused):
        return partition
    bounded = spec.time_limit_s >= 0
    names = account_and_qos(state, caller.owner, spec, partition.name)
    if isinstance(names, Refused):
        return names
    spec = replace(
        spec,
        partition=partition.name,
        account=names[0],
        qos=names[1],
        time_limit_s=_time_limit(spec.time_limit_s, partition),
        ask=fill_memory(spec.ask, partition),
        lease_s=spec.lease_s or partition.lease_s,
    )
    if not spec.time_limit_s and not bounded:
        spec = replace(spec, time_limit_s=longest_s(state, spec, caller.owner))
    refused = (
        _check_plain(spec)
        or check_open(state, partition.name)
        or check_access(state, partition, caller.owner, spec)
        or (check_deadline(spec, now) if spec.deadline_at else None)
        or check_oom_retry(spec)
        or _check_privileges(caller, spec)
        or check_partition(partition, caller.owner, spec)
        or (check_dependency(state, spec.dependency) if spec.dependency else None)
        or (check_licenses(spec.licenses, state.config) if spec.licenses else None)
        or (check_reservation(state, caller.owner, spec, now) if spec.reservation else None)
        or check_possible(state, partition, spec.ask)
    )
    return refused if refused is not None else spec


def find_partition(state: State, name: str) -> Partition | Refused:
    """The partition of that name, or the default one for ""."""
    for partition in state.config.partitions:
        if partition.name == name or (not name and partition.is_default):
            return partition
    known = ", ".join(p.name for p in state.config.partitions)
    if not name:
        return Refused(
            RefusalCode.INVALID,
            f"no partition was named and none is the default; choose one of: {known}",
            "No partition specified or system default partition",
        )
    return Refused(
        RefusalCode.INVALID,
        f'partition "{name}" does not exist; choose one of: {known}',
        "Invalid partition name specified",
    )


def check_partition(partition: Partition, owner: Owner, spec: JobSpec) -> Refused | None:
    """Whether the partition takes this user, and the limits it sets: time, nodes, memory per node."""
    name, ask = partition.name, spec.ask
    if partition.allow_users and owner.user not in partition.allow_users:
        return Refused(
            RefusalCode.DENIED,
            f'partition "{name}": user {owner.user} may not use it (AllowUsers); choose another partition',
            "User's group not permitted to use this partition",
        )
    if partition.max_time_s and not 0 < spec.time_limit_s <= partition.max_time_s:
        asked = format_elapsed(spec.time_limit_s) if spec.time_limit_s else "UNLIMITED"
        most = format_elapsed(partition.max_time_s)
        return Refused(
            RefusalCode.IMPOSSIBLE,
            f'partition "{name}": time limit {asked} asked, at most {most} (MaxTime)',
            "Requested time limit is invalid (missing or exceeds some limit)",
        )
    if partition.max_nodes and ask.min_nodes > partition.max_nodes:
        return Refused(
            RefusalCode.IMPOSSIBLE,
            f'partition "{name}": {ask.min_nodes} nodes asked, limit {partition.max_nodes} (MaxNodes)',
            "Node count specification invalid",
        )
    if ask.max_nodes and ask.max_nodes < partition.min_nodes:
        return Refused(
            RefusalCode.IMPOSSIBLE,
            f'partition "{name}": {ask.max_nodes} nodes asked, at least {partition.min_nodes} (MinNodes)',
            "Node count specification invalid",
        )
    limit = partition.max_mem_mib_per_node
    if limit and (ask.mem_mib_per_node > limit or ask.mem_mib_per_cpu > limit):
        asked_mib = max(ask.mem_mib_per_node, ask.mem_mib_per_cpu)
        return Refused(
            RefusalCode.IMPOSSIBLE,
            f'partition "{name}": {asked_mib} MiB of memory asked, limit {limit} MiB a node (MaxMemPerNode)',
            "Memory specification can not be satisfied",
        )
    return None


def check_possible(state: State, partition: Partition, ask: Ask) -> Refused | None:
    """Whether the registered nodes could ever hold it."""
    return possible(ask, partition, state.node_columns) if state.nodes else None


def fill_memory(ask: Ask, partition: Partition) -> Ask:
    """The partition's default memory per CPU for an ask that says nothing about memory."""
    if ask.mem_mib_per_node or ask.mem_mib_per_cpu or ask.mem_all or not partition.def_mem_mib_per_cpu:
        return ask
    return replace(ask, mem_mib_per_cpu=partition.def_mem_mib_per_cpu)


def _time_limit(asked_s: int, partition: Partition) -> int:
    if asked_s >= 0:
        return asked_s
    return partition.default_time_s or partition.max_time_s


def _check_caller(state: State, caller: Caller) -> Refused | None:
    if caller.owner.uid == 0 and not state.config.allow_root_jobs:
        return Refused(
            RefusalCode.DENIED,
            "jobs of uid 0 are refused; use another account, or set allow_root_jobs = true in packhorse.toml",
            ACCESS_DENIED,
        )
    return None


def _names_specs(call: Submit) -> bool:
    """Whether there are jobs, and a spec for each of them."""
    n = len(call.specs)
    for item in call.items:  # three times as fast as all()
        if not 0 <= item.spec < n:
            return False
    return bool(call.items)


def _check_count(state: State, n: int) -> Refused | None:
    limit = state.config.max_pending_jobs
    waiting = len(state.pending_columns)
    if waiting + n <= limit:
        return None
    return Refused(
        RefusalCode.EXHAUSTED,
        f"{waiting} jobs wait and {n} more would pass the limit of {limit} (max_pending_jobs); "
        "try again later, or submit an array, which counts as one",
        "Resource temporarily unavailable",
    )


def _check_array(state: State, array: ArraySpec) -> ArraySpec | Refused:
    """The array's indices as canonical ranges."""
    limit = state.config.max_array_size
    malformed = any(r.step < 1 or r.start < 0 or r.stop < r.start for r in array.ranges)
    if malformed or not array.ranges or array.limit < 0:
        return _invalid_array("an array needs indices from 0 on, ascending within each range")
    highest = max(r.stop for r in array.ranges)
    if highest >= limit or sum(r.size for r in array.ranges) > limit:
        return _invalid_array(
            f"array index {highest} asked, at most {limit - 1} (MaxArraySize {limit}); use several arrays"
        )
    ranges = tuple(sorted(r._replace(stop=r.stop - (r.stop - r.start) % r.step) for r in array.ranges))
    ranges = tuple(r if r.stop > r.start else r._replace(step=1) for r in ranges)
    if not indices.is_canonical(ranges):
        ranges = indices.of(sorted({i for r in ranges for i in range(r.start, r.stop + 1, r.step)}))
    return ArraySpec(ranges, array.limit)


def _check_plain(spec: JobSpec) -> Refused | None:
    """Amounts that make no sense whatever the cluster."""
    ask = spec.ask
    amounts = (
        ask.cpu_milli_per_task,
        ask.min_cpu_milli_per_node,
        ask.mem_mib_per_node,
        ask.mem_mib_per_cpu,
        ask.tmp_mib_per_node,
        ask.tasks_per_node,
        spec.time_limit_s,
        spec.lease_s,
    )
    if min(amounts) < 0 or ask.n_tasks < 1 or ask.min_nodes < 1:
        return _invalid("amounts must not be negative, and a job has at least one task and one node")
    if ask.cpu_milli_per_task < 1 and ask.min_cpu_milli_per_node < 1:
        return _invalid("a job needs some CPU: give cpu_milli_per_task")
    if ask.max_nodes and ask.max_nodes < ask.min_nodes:
        return _invalid(
            f"at most {ask.max_nodes} nodes but at least {ask.min_nodes} were asked for",
            "Node count specification invalid",
        )
    if ask.mem_mib_per_node and ask.mem_mib_per_cpu:
        return _invalid("memory per node and memory per CPU exclude each other; give one of them")
    if spec.retry is not None and (spec.retry.max_retries < 0 or spec.retry.backoff_s < 0):
        return _invalid("retries and their backoff must not be negative")
    if abs(spec.nice) > MAX_NICE:
        return _invalid(f"nice {spec.nice}: at most {MAX_NICE} either way")
    return None


def _check_privileges(caller: Caller, spec: JobSpec) -> Refused | None:
    if caller.admin:
        return None
    if spec.nice < 0:
        return Refused(
            RefusalCode.DENIED, f"nice {spec.nice}: only an administrator may go below 0", ACCESS_DENIED
        )
    if spec.priority is not None:
        return Refused(
            RefusalCode.DENIED,
            "only an administrator may set a priority; use nice to step back behind other jobs",
            ACCESS_DENIED,
        )
    if spec.site_factor:
        return Refused(
            RefusalCode.DENIED, "only an administrator may set a site factor of the priority", ACCESS_DENIED
        )
    return None


def _invalid(message: str, slurm: str = "") -> Refused:
    return Refused(RefusalCode.INVALID, message, slurm)


def _invalid_array(message: str) -> Refused:
    return Refused(RefusalCode.INVALID, message, "Invalid job array specification")

"""What people ask for, to inputs of the core.

Reads protobuf messages and the structs of `messages` alike: their fields have the same names, and `has`
says for either whether an optional one is set. A handwritten reader, since it is on the path of every
submission: about 20 us for one job, about 1 us for one of a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from google.protobuf.message import Message

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.gresspec import GresError, parse_licenses
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    Cancel,
    Changes,
    Hold,
    NodeAction,
    Release,
    Requeue,
    ResumeJobs,
    SignalScope,
    Submit,
    SubmitArray,
    SuspendJobs,
    SwitchReclaim,
    Target,
    UpdateJob,
    UpdateNode,
)
from packhorse.scheduler.model.job import (
    ArraySpec,
    Condition,
    Dependency,
    DependencyKind,
    Gang,
    Given,
    IndexRange,
    JobSpec,
    Owner,
    Retry,
    WarnSignal,
)
from packhorse.scheduler.model.loan import Switch
from packhorse.scheduler.model.mailspec import MailError, parse_mail_types
from packhorse.scheduler.model.oomspec import LEAST_MILLI, MOST_MILLI, MOST_RETRIES
from packhorse.scheduler.model.resources import DIVISIBLE, WHOLE, Ask, Gres, is_slice
from packhorse.scheduler.model.step import AllocationKind
from packhorse.scheduler.service import bounds
from packhorse.scheduler.service.bounds import MAX_DURATION_S, MAX_JOB_ID, text, texts, whole
from packhorse.scheduler.service.device_ways import one_way
from packhorse.scheduler.service.payloads import Payload, pack_environment, payload

Has = Callable[[Any, str], bool]

MAX_SCRIPT_BYTES = 1 << 20
MAX_ENVIRONMENT_BYTES = 4 << 20
"""Both bounds keep one submission from filling the memory; the kernel takes about 2 MiB of environment."""

DEFAULT_WARN_S = 60
MAX_WARN_S = 65_535
"""Slurm's bound."""
MAX_RETRIES = 1_000
MAX_LIMIT = (1 << 63) - 1
MAX_NODE_NAMES = 1 << 20
"""Characters of all node names of one list together."""
UNSET_LIMIT = -1
UNSET_LEASE = 0

NO_GIVEN = Given()
NO_GRES: tuple[Gres, ...] = ()

KINDS = {kind.value: kind for kind in DependencyKind}
SCOPES: dict[Any, SignalScope] = {
    0: SignalScope.STEPS,
    1: SignalScope.BATCH,
    2: SignalScope.ALL,
    "SIGNAL_SCOPE_STEPS": SignalScope.STEPS,
    "SIGNAL_SCOPE_BATCH": SignalScope.BATCH,
    "SIGNAL_SCOPE_ALL": SignalScope.ALL,
}
ACTIONS: dict[Any, NodeAction] = {
    1: NodeAction.DRAIN,
    2: NodeAction.RESUME,
    3: NodeAction.DOWN,
    "NODE_ACTION_DRAIN": NodeAction.DRAIN,
    "NODE_ACTION_RESUME": NodeAction.RESUME,
    "NODE_ACTION_DOWN": NodeAction.DOWN,
}


class Submission(NamedTuple):
    """A submission for the core, and the texts that have to become durable with it."""

    input: Submit | SubmitArray
    payloads: tuple[Payload, ...]


def has_field(message: Any, name: str) -> bool:
    """Whether an optional field is set: the test for protobuf messages."""
    return bool(message.HasField(name))


def not_none(message: Any, name: str) -> bool:
    """The same for structs."""
    return getattr(message, name) is not None


def presence(message: Any) -> Has:
    """The test that fits this message."""
    return has_field if isinstance(message, Message) else not_none


# -- who calls


def caller(owner: Owner, admin: bool, request: Any) -> Caller:
    """Who makes a mutating request. The fingerprint tells a repeated call from another with the same key."""
    key = text("idempotency_key", request.idempotency_key, bounds.MAX_KEY)
    if not key:
        return Caller(owner, admin)
    return Caller(owner, admin, key, fingerprint(request))


def fingerprint(request: Any) -> str:
    """A digest of everything a request says, its kind included."""
    if isinstance(request, Message):
        kind, text = request.DESCRIPTOR.name, request.SerializeToString(deterministic=True)
    else:
        # Either door has a form of its own; whoever repeats a call repeats it at the same door.
        kind, text = type(request).__name__, msgspec.msgpack.encode(request, order="deterministic")
    return hashlib.blake2b(text, digest_size=16, person=kind.encode()[:16]).hexdigest()


# -- submitting


def submission(request: Any, owner: Owner, admin: bool) -> Submission:
    """A SubmitJobRequest. Raises BadValue for what cannot be understood."""
    has = presence(request)
    if not has(request, "spec"):
        raise BadValue("spec: missing; it says what shall run")
    spec, payloads = job_spec(request.spec, has)
    by = caller(owner, admin, request)
    if has(request, "array"):
        return Submission(SubmitArray(by, spec, array_spec(request.array)), payloads)
    return Submission(Submit(by, (spec,), (Item(0),)), payloads)


def batch_submission(request: Any, owner: Owner, admin: bool) -> Submission:
    """A SubmitJobsRequest: one item for each job. Raises BadValue for what cannot be understood."""
    has = presence(request)
    specs = []
    payloads: dict[str, Payload] = {}
    for wire in request.specs:
        spec, mine = job_spec(wire, has)
        specs.append(spec)
        payloads.update((one.ref, one) for one in mine)
    n_specs = len(specs)
    items: list[Item] = []
    plain = [Item(i) for i in range(n_specs)]
    for wire in request.items:
        index = wire.spec
        if index >= n_specs:
            raise BadValue(f"items[{len(items)}].spec: {index}, but there are {n_specs} specs")
        named = has(wire, "name")
        if named or wire.own_args:
            name = text("name", wire.name) if named else None
            item = Item(index, name, texts("args", wire.args) if wire.own_args else None)
        else:
            item = plain[index]
        copies = wire.copies
        if copies > 1:
            whole("items: jobs", len(items) + copies, 1, bounds.MAX_JOBS)
            items += [item] * copies
        else:
            items.append(item)
    whole("items: jobs", len(items), 1, bounds.MAX_JOBS)
    return Submission(
        Submit(caller(owner, admin, request), tuple(specs), tuple(items)), tuple(payloads.values())
    )


def allocation_kind(wire: str) -> AllocationKind:
    """What a job has instead of a batch script. Raises BadValue."""
    try:
        return AllocationKind(wire)
    except ValueError as error:
        raise BadValue(f'allocation: "{wire[:40]}" is neither "salloc" nor "srun"') from error


def job_spec(wire: Any, has: Has) -> tuple[JobSpec, tuple[Payload, ...]]:
    """A job as the core takes it, and its script and environment. Raises BadValue."""
    script: bytes = wire.script
    kind = allocation_kind(wire.allocation)
    if kind and script:
        raise BadValue("script: an allocation has none; its command fills it with steps")
    if not kind and not script.startswith(b"#!"):
        if not script:
            raise BadValue("script: empty; a batch script is needed")
        raise BadValue('script: does not start with #! followed by an interpreter ("#!/bin/sh")')
    if len(script) > MAX_SCRIPT_BYTES:
        raise BadValue(
            f"script: {len(script)} bytes, limit {MAX_SCRIPT_BYTES} (1 MiB); "
            "put data into files and let the script read them"
        )
    environment = pack_environment(texts("environment", wire.environment, MAX_ENVIRONMENT_BYTES))
    if len(environment) > MAX_ENVIRONMENT_BYTES:
        raise BadValue(
            f"environment: {len(environment)} bytes, limit {MAX_ENVIRONMENT_BYTES} (4 MiB); "
            "export fewer variables (--export)"
        )
    variables = payload(environment)
    program = Payload("", b"") if kind else payload(script)
    spec = JobSpec(
        name=text("name", wire.name),
        ask=ask(wire.ask, has) if has(wire, "ask") else Ask(),
        partition=text("partition", wire.partition),
        script_ref=program.ref,
        env_ref=variables.ref,
        work_dir=work_dir(wire.work_dir),
        args=texts("args", wire.args),
        account=text("account", wire.account),
        qos=text("qos", wire.qos),
        time_limit_s=duration("time_limit_s", wire.time_limit_s)
        if has(wire, "time_limit_s")
        else UNSET_LIMIT,
        priority=whole("priority", wire.priority, 0, bounds.MAX_PRIORITY) if has(wire, "priority") else None,
        nice=whole("nice", wire.nice, -bounds.MAX_NICE, bounds.MAX_NICE),
        begin_at=instant("begin_at_us", wire.begin_at_us),
        hold=wire.hold,
        dependency=dependency(wire.dependency, has) if has(wire, "dependency") else None,
        kill_on_invalid_dep=wire.kill_on_invalid_dep,
        requeue=wire.requeue if has(wire, "requeue") else True,
        retry=retry(wire.retry) if has(wire, "retry") else None,
        warn=warn(wire.warn) if has(wire, "warn") else None,
        std_in=text("std_in", wire.std_in, bounds.MAX_PATH) or "/dev/null",
        std_out=text("std_out", wire.std_out, bounds.MAX_PATH),
        std_err=text("std_err", wire.std_err, bounds.MAX_PATH),
        append=wire.append if has(wire, "append") else None,
        umask=whole("umask", wire.umask, 0, 0o777) if has(wire, "umask") else 0o022,
        rlimits=tuple(
            [
                (text("rlimits", limit.name), whole("rlimits", limit.value, -1, MAX_LIMIT))
                for limit in wire.rlimits
            ]
        ),
        comment=text("comment", wire.comment, bounds.MAX_LINE),
        command=text("command", wire.command, bounds.MAX_LINE),
        submit_host=text("submit_host", wire.submit_host),
        submit_line=text("submit_line", wire.submit_line, bounds.MAX_LINE),
        given=given(wire.given) if has(wire, "given") else NO_GIVEN,
        lease_s=duration("lease_s", wire.lease_s) if has(wire, "lease_s") else UNSET_LEASE,
        licenses=licenses(wire.licenses),
        submit_dir=text("submit_dir", wire.submit_dir, bounds.MAX_PATH),
        no_lend=wire.no_lend,
        oom_factor_milli=_oom_factor(wire.oom_factor_milli),
        oom_max_retries=whole("oom_max_retries", wire.oom_max_retries, 0, MOST_RETRIES),
        idle_gpu_ok=wire.idle_gpu_ok,
        reservation=text("reservation", wire.reservation),
        deadline_at=instant("deadline_at_us", wire.deadline_at_us),
        site_factor=whole("site_factor", wire.site_factor, -bounds.MAX_NICE, bounds.MAX_NICE),
        wckey=text("wckey", wire.wckey),
        checkpoint=warn(wire.checkpoint) if has(wire, "checkpoint") else None,
        gang=gang(wire.gang) if has(wire, "gang") else None,
        switches_wait_s=duration("switches_wait_s", wire.switches_wait_s)
        if has(wire, "switches_wait_s")
        else -1,
        allocation=kind,
        mail=_mail(wire.mail),
        mail_user=_address(wire.mail_user),
    )
    return spec, (variables,) if kind else (program, variables)


def _mail(kinds: str) -> str:
    """Of what mail is sent, in the form that is kept. Raises BadValue."""
    try:
        return parse_mail_types(kinds) if kinds else ""
    except MailError as error:
        raise BadValue(f"mail: {error}") from None


def _address(to: str) -> str:
    """A mail address or a user's name. Raises BadValue for what a program could take for an option."""
    found = text("mail_user", to)
    if found.startswith("-") or any(char.isspace() for char in found):
        raise BadValue(f'mail_user: "{found[:80]}" is no mail address')
    return found


def _oom_factor(milli: int) -> int:
    """Growth of the memory from one try to the next, in thousandths; 0: no other try. Raises BadValue."""
    return whole("oom_factor_milli", milli, LEAST_MILLI, MOST_MILLI) if milli else 0


def work_dir(path: str) -> str:
    """The directory a job starts in; "" means the root. Raises BadValue unless it is absolute."""
    if path and not path.startswith("/"):
        raise BadValue(f'work_dir: "{path[:80]}" is not absolute; give the whole path')
    return text("work_dir", path, bounds.MAX_PATH) or "/"


def duration(name: str, seconds: int) -> int:
    """Seconds that make sense. Raises BadValue."""
    return whole(name, seconds, 0, MAX_DURATION_S)


def instant(name: str, at_us: int) -> Instant:
    """An instant that makes sense, 0 for none. Raises BadValue."""
    return Instant(whole(name, at_us, 0, bounds.MAX_INSTANT_US))


def retry(wire: Any) -> Retry:
    """When to try again. Raises BadValue."""
    return Retry(
        whole("max_retries", wire.max_retries, 0, MAX_RETRIES),
        duration("backoff_s", wire.backoff_s),
        tuple([whole("retry.codes", code, 1, 255) for code in wire.codes]),
        wire.avoid_node,
    )


def gang(wire: Any) -> Gang:
    """Jobs that start together. Raises BadValue."""
    name = text("gang.name", wire.name)
    if not name:
        raise BadValue("gang: it has no name; jobs of a gang all give the same one")
    size = whole("gang.size", wire.size, 1, bounds.MAX_NODES)
    return Gang(name, size, duration("gang.wait_s", wire.wait_s))


def warn(wire: Any) -> WarnSignal:
    """The signal before the time limit. Raises BadValue."""
    seconds = whole("warn.seconds_before", wire.seconds_before, 0, MAX_WARN_S)
    return WarnSignal(whole("warn.signal", wire.signal, 1, 64), seconds or DEFAULT_WARN_S, wire.batch_only)


def ask(wire: Any, has: Has) -> Ask:
    """Amounts; what is 0 on the wire gets its default here. Raises BadValue."""
    mem = bounds.MAX_MEM_MIB
    found = Ask(
        n_tasks=whole("n_tasks", wire.n_tasks, 0, bounds.MAX_TASKS)
        or whole("n_tasks", max(1, wire.min_nodes) * max(1, wire.tasks_per_node), 1, bounds.MAX_TASKS),
        min_nodes=whole("min_nodes", wire.min_nodes, 0, bounds.MAX_NODES) or 1,
        max_nodes=whole("max_nodes", wire.max_nodes, 0, bounds.MAX_NODES),
        tasks_per_node=whole("tasks_per_node", wire.tasks_per_node, 0, bounds.MAX_TASKS),
        cpu_milli_per_task=whole("cpu_milli_per_task", wire.cpu_milli_per_task, 0, bounds.MAX_CPU_MILLI)
        or 1000,
        min_cpu_milli_per_node=whole(
            "min_cpu_milli_per_node", wire.min_cpu_milli_per_node, 0, bounds.MAX_CPU_MILLI
        ),
        mem_mib_per_node=whole("mem_mib_per_node", wire.mem_mib_per_node, 0, mem),
        mem_mib_per_cpu=whole("mem_mib_per_cpu", wire.mem_mib_per_cpu, 0, bounds.MAX_MEM_PER_CPU_MIB),
        mem_all=wire.mem_all,
        tmp_mib_per_node=whole("tmp_mib_per_node", wire.tmp_mib_per_node, 0, mem),
        gres_per_node=gres(wire.gres_per_node),
        gres_per_task=gres(wire.gres_per_task),
        gres_per_job=gres(wire.gres_per_job),
        features=features(wire.features),
        nodes_required=node_names("nodes_required", wire.nodes_required),
        nodes_excluded=node_names("nodes_excluded", wire.nodes_excluded),
        exclusive=wire.exclusive,
        contiguous=wire.contiguous,
        hops=whole("hops", wire.hops, 0, bounds.MAX_HOPS) if has(wire, "hops") else -1,
        spread=wire.spread,
        linked=wire.linked,
        max_switches=whole("max_switches", wire.max_switches, 0, bounds.MAX_NODES),
    )
    if found.gres_per_node or found.gres_per_task or found.gres_per_job:
        found = one_way(_check_devices(found), wire.n_tasks, wire.min_nodes)
        whole("n_tasks", found.n_tasks, 1, bounds.MAX_TASKS)
    _check_layout(found)
    return found


def _check_layout(ask: Ask) -> None:
    """Raises BadValue where tasks and nodes contradict each other."""
    if ask.max_nodes and ask.min_nodes > ask.max_nodes:
        raise BadValue(f"min_nodes: {ask.min_nodes} is over max_nodes, {ask.max_nodes}")
    if ask.max_nodes and ask.tasks_per_node and ask.n_tasks > ask.max_nodes * ask.tasks_per_node:
        raise BadValue(
            f"n_tasks: {ask.n_tasks} tasks do not go on {ask.max_nodes} "
            f"node{'s' * (ask.max_nodes != 1)} with {ask.tasks_per_node} on each (tasks_per_node); "
            "ask for more nodes or fewer tasks"
        )


def _check_devices(ask: Ask) -> Ask:
    """The ask, a share for the whole job told as one of its only node.

    Raises BadValue for shares that make no sense together: all of a job's devices of one kind are either
    whole or one share for each node or task.
    """
    every = (*ask.gres_per_node, *ask.gres_per_task, *ask.gres_per_job)
    for item in every:
        if item.shares and sum([other.kind == item.kind for other in every]) > 1:
            raise BadValue(
                f"gres {item}: a share cannot be asked for beside other devices of kind {item.kind}; "
                "ask for one share, or for whole ones"
            )
    if not any(item.shares for item in ask.gres_per_job):
        return ask
    if ask.min_nodes > 1:
        share = next(item for item in ask.gres_per_job if item.shares)
        raise BadValue(
            f"gres_per_job {share}: a share of one {share.kind} for a job on {ask.min_nodes} nodes; "
            "ask for it per node or per task"
        )
    return msgspec.structs.replace(
        ask,
        max_nodes=1,
        gres_per_node=ask.gres_per_node + tuple([item for item in ask.gres_per_job if item.shares]),
        gres_per_job=tuple([item for item in ask.gres_per_job if not item.shares]),
    )


def features(wire: str) -> str:
    """`a&b|c`, `a*2&b*4`: what no count makes too large; the core reads the rest. Raises BadValue."""
    for part in text("features", wire).split("*")[1:]:
        digits = part.partition("&")[0].replace("]", " ").strip()
        if digits.isascii() and digits.isdecimal():
            whole(f'features: nodes in "*{digits}"', int(digits), 0, bounds.MAX_NODES)
    return wire


def licenses(wire: str) -> str:
    """`matlab:2,fluent`. Raises BadValue."""
    try:
        parse_licenses(text("licenses", wire))
    except GresError as error:
        raise BadValue(f"licenses: {error}") from error
    return wire


def node_names(name: str, wire: Iterable[str]) -> tuple[NodeName, ...]:
    """Names of nodes. Raises BadValue."""
    return tuple([NodeName(node) for node in texts(name, wire, MAX_NODE_NAMES)])


def gres(wire: Sequence[Any]) -> tuple[Gres, ...]:
    """Counts of devices, or shares of one; a count of 0 means 1, as in `--gres=gpu`. Raises BadValue."""
    if not wire:
        return NO_GRES
    found = []
    for item in wire:
        if not item.kind:
            raise BadValue("gres: without a kind; name one, as in gpu:1")
        kind, type_ = text("gres", item.kind), text("gres", item.type)
        n = whole(f"gres {kind}: count", item.count, 0, bounds.MAX_GRES) or 1
        milli = whole(f"gres {kind}: milli", item.milli, 0, WHOLE) or WHOLE
        one = Gres(kind, type_, n, milli, whole(f"gres {kind}: mem_mib", item.mem_mib, 0, bounds.MAX_MEM_MIB))
        if one.shares:
            _check_share(one)
        found.append(one)
    return tuple(found)


def _check_share(item: Gres) -> None:
    """Raises BadValue for a share that nobody can give."""
    if item.kind not in DIVISIBLE:
        raise BadValue(
            f"gres {item.kind}: only whole ones are given out; shares are of {', '.join(DIVISIBLE)}"
        )
    if item.milli < WHOLE and item.mem_mib:
        raise BadValue(
            f"gres {item.kind}: a share by thousandths and by memory; give one of milli and mem_mib"
        )
    if item.n > 1:
        raise BadValue(
            f"gres {item.kind}: {item.n} shares (count); a node or task has one share of one device"
        )
    if is_slice(item.type):
        raise BadValue(f"gres {item.kind}:{item.type}: a slice is given out whole; give a count")


def given(wire: Any) -> Given:
    """What the submitter spelled out."""
    return Given(
        n_tasks=wire.n_tasks,
        cpus_per_task=wire.cpus_per_task,
        tasks_per_node=wire.tasks_per_node,
        gpus=text("gpus", wire.gpus),
        gpus_per_node=text("gpus_per_node", wire.gpus_per_node),
        gpus_per_task=text("gpus_per_task", wire.gpus_per_task),
        export=text("export", wire.export, bounds.MAX_LINE),
        threads_per_core=wire.threads_per_core,
    )


def dependency(wire: Any, has: Has) -> Dependency | None:
    """Conditions on other jobs; None for none. Raises BadValue for a kind that does not exist."""
    conditions = []
    for item in wire.conditions:
        kind = KINDS.get(item.kind)
        if kind is None:
            raise BadValue(f'dependency "{item.kind}": not one of {", ".join(KINDS)}')
        index = (
            whole("array_index", item.array_index, 0, bounds.MAX_INDEX) if has(item, "array_index") else -1
        )
        conditions.append(Condition(kind, job_id(item.job_id), index, duration("delay_s", item.delay_s)))
    whole("dependency: conditions", len(conditions), 0, bounds.MAX_CONDITIONS)
    return Dependency(tuple(conditions), wire.any_of) if conditions else None


def array_spec(wire: Any) -> ArraySpec:
    """The indices of an array, in order. Raises BadValue where they make no sense."""
    ranges = index_ranges(wire.ranges)
    if not ranges:
        raise BadValue("array: no index given")
    return ArraySpec(ranges, whole("array: limit of those running at once", wire.limit, 0, bounds.MAX_INDEX))


def index_ranges(wire: Iterable[Any]) -> tuple[IndexRange, ...]:
    """Ranges in order, each ending on one of its indices. Raises BadValue for one that is none."""
    ranges = []
    for item in wire:
        start, stop, step = item.start, item.stop, item.step or 1
        if not 0 <= start <= stop <= bounds.MAX_INDEX or not 1 <= step <= bounds.MAX_INDEX:
            raise BadValue(f"array: {start}-{stop}:{step} is not a range of indices")
        stop = start + (stop - start) // step * step
        ranges.append(IndexRange(start, stop, step if stop > start else 1))
    ranges.sort()
    for before, after in pairwise(ranges):
        if after.start <= before.stop:
            raise BadValue(
                f"array: {before.start}-{before.stop} and {after.start}-{after.stop} overlap; "
                "name ranges that follow each other"
            )
    return tuple(ranges)


# -- acting on jobs and nodes that are there


def target(wire: Any) -> Target:
    """One job, array or part of an array. Raises BadValue."""
    indices = index_ranges(wire.indices)
    ref = text("jobs", wire.text) or str(wire.job_id)
    return Target(ref, job_id(wire.job_id), ArraySpec(indices) if indices else None)


def job_id(number: int) -> JobId:
    """The number of a job. Raises BadValue for one that no job can have."""
    return JobId(whole("job id", number, 0, MAX_JOB_ID))


def targets(wire: Iterable[Any]) -> tuple[Target, ...]:
    """Every job named. Raises BadValue."""
    return tuple([target(item) for item in wire])


def cancel(request: Any, owner: Owner, admin: bool, chosen: tuple[Target, ...]) -> Cancel:
    """A CancelJobsRequest; chosen: what its references and its filter came to."""
    scope = SCOPES.get(request.scope)
    if scope is None:
        raise BadValue(f"scope: {request.scope} is not known")
    return Cancel(caller(owner, admin, request), chosen, whole("signal", request.signal, 0, 64), scope)


def hold(request: Any, owner: Owner, admin: bool) -> Hold:
    """A HoldJobsRequest. Raises BadValue."""
    return Hold(caller(owner, admin, request), targets(request.jobs), request.as_user)


def release(request: Any, owner: Owner, admin: bool) -> Release:
    """A ReleaseJobsRequest. Raises BadValue."""
    return Release(caller(owner, admin, request), targets(request.jobs))


def requeue(request: Any, owner: Owner, admin: bool) -> Requeue:
    """A RequeueJobsRequest. Raises BadValue."""
    return Requeue(caller(owner, admin, request), targets(request.jobs), request.hold)


def suspend(request: Any, owner: Owner, admin: bool) -> SuspendJobs:
    """A SuspendJobsRequest. Raises BadValue."""
    return SuspendJobs(caller(owner, admin, request), targets(request.jobs))


def resume(request: Any, owner: Owner, admin: bool) -> ResumeJobs:
    """A ResumeJobsRequest. Raises BadValue."""
    return ResumeJobs(caller(owner, admin, request), targets(request.jobs))


def update_jobs(request: Any, owner: Owner, admin: bool) -> UpdateJob:
    """An UpdateJobsRequest. Raises BadValue."""
    has = presence(request)
    if not has(request, "changes"):
        raise BadValue("changes: missing; they say what shall be different")
    return UpdateJob(caller(owner, admin, request), targets(request.jobs), changes(request.changes, has))


def switch_reclaim(request: Any, owner: Owner, admin: bool) -> SwitchReclaim:
    """A SwitchReclaimRequest. Raises BadValue."""
    partition, account = text("partition", request.partition), text("account", request.account)
    if partition and account:
        raise BadValue("partition and account exclude each other; switch one after the other")
    kind = "partition" if partition else "account" if account else ""
    switch = Switch(kind, partition or account, request.recall)
    return SwitchReclaim(caller(owner, admin, request), request.on, switch)


def changes(wire: Any, has: Has) -> Changes:
    """What is set; the rest stays as it is."""
    values: dict[str, Any] = {}
    for name, (low, high) in NUMBERS.items():
        if has(wire, name):
            values[name] = whole(name, getattr(wire, name), low, high)
    for name, longest in TEXTS.items():
        if has(wire, name):
            values[name] = text(name, getattr(wire, name), longest)
    if has(wire, "features"):
        values["features"] = features(wire.features)
    for name in ("requeue", "no_lend"):
        if has(wire, name):
            values[name] = getattr(wire, name)
    if has(wire, "begin_at_us"):
        values["begin_at"] = instant("begin_at_us", wire.begin_at_us)
    if has(wire, "deadline_at_us"):
        values["deadline_at"] = instant("deadline_at_us", wire.deadline_at_us)
    if has(wire, "licenses"):
        values["licenses"] = licenses(wire.licenses)
    if has(wire, "dependency"):
        values["dependency"] = dependency(wire.dependency, has)
        values["drop_dependency"] = values["dependency"] is None
    if wire.drop_dependency:
        values["drop_dependency"] = True
    for name in ("nodes_required", "nodes_excluded"):
        if has(wire, name):
            values[name] = node_names(name, getattr(wire, name).values)
    return Changes(**values)


NUMBERS = {
    "time_limit_s": (0, MAX_DURATION_S),
    "time_limit_by_s": (-MAX_DURATION_S, MAX_DURATION_S),
    "priority": (0, bounds.MAX_PRIORITY),
    "nice": (-bounds.MAX_NICE, bounds.MAX_NICE),
    "site_factor": (-bounds.MAX_NICE, bounds.MAX_NICE),
    "mem_mib_per_node": (0, bounds.MAX_MEM_MIB),
    "mem_mib_per_cpu": (0, bounds.MAX_MEM_PER_CPU_MIB),
    "n_cpus": (0, bounds.MAX_TASKS),
    "min_nodes": (0, bounds.MAX_NODES),
    "array_limit": (0, bounds.MAX_INDEX),
}
TEXTS = {
    "name": bounds.MAX_NAME,
    "comment": bounds.MAX_LINE,
    "partition": bounds.MAX_NAME,
    "account": bounds.MAX_NAME,
    "qos": bounds.MAX_NAME,
    "reservation": bounds.MAX_NAME,
    "wckey": bounds.MAX_NAME,
}
"""What of a job may be changed to what: fields of JobChanges with their bounds."""


def update_nodes(request: Any, owner: Owner, admin: bool) -> UpdateNode:
    """An UpdateNodesRequest. Raises BadValue."""
    action = ACTIONS.get(request.action)
    if action is None:
        raise BadValue("action: missing; one of drain, resume, down")
    reason = text("reason", request.reason, bounds.MAX_LINE)
    return UpdateNode(caller(owner, admin, request), node_names("nodes", request.nodes), action, reason)

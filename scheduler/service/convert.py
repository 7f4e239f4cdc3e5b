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
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    Cancel,
    Changes,
    Hold,
    NodeAction,
    Release,
    Requeue,
    SignalScope,
    Submit,
    SubmitArray,
    Target,
    UpdateJob,
    UpdateNode,
)
from packhorse.scheduler.model.job import (
    ArraySpec,
    Condition,
    Dependency,
    DependencyKind,
    Given,
    IndexRange,
    JobSpec,
    Owner,
    Retry,
    WarnSignal,
)
from packhorse.scheduler.model.resources import Ask, Gres
from packhorse.scheduler.service.payloads import Payload, pack_environment, payload

Has = Callable[[Any, str], bool]

MAX_SCRIPT_BYTES = 1 << 20
MAX_ENVIRONMENT_BYTES = 4 << 20
"""Both bounds keep one submission from filling the memory; the kernel takes about 2 MiB of environment."""

DEFAULT_WARN_S = 60
UNSET_TIME_LIMIT = -1
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
    key: str = request.idempotency_key
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
        spec, texts = job_spec(wire, has)
        specs.append(spec)
        for text in texts:
            payloads[text.ref] = text
    n_specs = len(specs)
    items: list[Item] = []
    plain = [Item(i) for i in range(n_specs)]
    for wire in request.items:
        index = wire.spec
        if index >= n_specs:
            raise BadValue(f"items[{len(items)}].spec: {index}, but there are {n_specs} specs")
        named = has(wire, "name")
        if named or wire.own_args:
            item = Item(index, wire.name if named else None, tuple(wire.args) if wire.own_args else None)
        else:
            item = plain[index]
        copies = wire.copies
        if copies > 1:
            items += [item] * copies
        else:
            items.append(item)
    if not items:
        raise BadValue("items: none; there must be one for every job")
    return Submission(
        Submit(caller(owner, admin, request), tuple(specs), tuple(items)), tuple(payloads.values())
    )


def job_spec(wire: Any, has: Has) -> tuple[JobSpec, tuple[Payload, Payload]]:
    """A job as the core takes it, and its script and environment. Raises BadValue."""
    script: bytes = wire.script
    if not script.startswith(b"#!"):
        if not script:
            raise BadValue("script: empty; a batch script is needed")
        raise BadValue('script: does not start with #! followed by an interpreter ("#!/bin/sh")')
    if len(script) > MAX_SCRIPT_BYTES:
        raise BadValue(
            f"script: {len(script)} bytes, limit {MAX_SCRIPT_BYTES} (1 MiB); "
            "put data into files and let the script read them"
        )
    environment = pack_environment(wire.environment)
    if len(environment) > MAX_ENVIRONMENT_BYTES:
        raise BadValue(
            f"environment: {len(environment)} bytes, limit {MAX_ENVIRONMENT_BYTES} (4 MiB); "
            "export fewer variables (--export)"
        )
    text, variables = payload(script), payload(environment)
    spec = JobSpec(
        name=wire.name,
        ask=ask(wire.ask) if has(wire, "ask") else Ask(),
        partition=wire.partition,
        script_ref=text.ref,
        env_ref=variables.ref,
        work_dir=wire.work_dir or "/",
        args=tuple(wire.args),
        account=wire.account,
        qos=wire.qos or "normal",
        time_limit_s=wire.time_limit_s if has(wire, "time_limit_s") else UNSET_TIME_LIMIT,
        priority=wire.priority if has(wire, "priority") else None,
        nice=wire.nice,
        begin_at=Instant(wire.begin_at_us),
        hold=wire.hold,
        dependency=dependency(wire.dependency, has) if has(wire, "dependency") else None,
        kill_on_invalid_dep=wire.kill_on_invalid_dep,
        requeue=wire.requeue if has(wire, "requeue") else True,
        retry=Retry(wire.retry.max_retries, wire.retry.backoff_s) if has(wire, "retry") else None,
        warn=(
            WarnSignal(wire.warn.signal, wire.warn.seconds_before or DEFAULT_WARN_S, wire.warn.batch_only)
            if has(wire, "warn")
            else None
        ),
        std_in=wire.std_in or "/dev/null",
        std_out=wire.std_out,
        std_err=wire.std_err,
        append=wire.append if has(wire, "append") else None,
        umask=wire.umask if has(wire, "umask") else 0o022,
        rlimits=tuple([(limit.name, limit.value) for limit in wire.rlimits]),
        comment=wire.comment,
        command=wire.command,
        submit_host=wire.submit_host,
        submit_line=wire.submit_line,
        given=given(wire.given) if has(wire, "given") else NO_GIVEN,
        lease_s=wire.lease_s if has(wire, "lease_s") else UNSET_LEASE,
        licenses=wire.licenses,
    )
    return spec, (text, variables)


def ask(wire: Any) -> Ask:
    """Amounts; what is 0 on the wire gets its default here. Tasks per node alone: so many on each node."""
    return Ask(
        n_tasks=wire.n_tasks or max(1, wire.min_nodes) * max(1, wire.tasks_per_node),
        min_nodes=wire.min_nodes or 1,
        max_nodes=wire.max_nodes,
        tasks_per_node=wire.tasks_per_node,
        cpu_milli_per_task=wire.cpu_milli_per_task or 1000,
        min_cpu_milli_per_node=wire.min_cpu_milli_per_node,
        mem_mib_per_node=wire.mem_mib_per_node,
        mem_mib_per_cpu=wire.mem_mib_per_cpu,
        mem_all=wire.mem_all,
        tmp_mib_per_node=wire.tmp_mib_per_node,
        gres_per_node=gres(wire.gres_per_node),
        gres_per_task=gres(wire.gres_per_task),
        gres_per_job=gres(wire.gres_per_job),
        features=wire.features,
        nodes_required=tuple(wire.nodes_required),
        nodes_excluded=tuple(wire.nodes_excluded),
        exclusive=wire.exclusive,
        contiguous=wire.contiguous,
    )


def gres(wire: Sequence[Any]) -> tuple[Gres, ...]:
    """Counts of devices; 0 means 1, as in `--gres=gpu`."""
    return tuple([Gres(item.kind, item.type, item.count or 1) for item in wire]) if wire else NO_GRES


def given(wire: Any) -> Given:
    """What the submitter spelled out."""
    return Given(
        n_tasks=wire.n_tasks,
        cpus_per_task=wire.cpus_per_task,
        tasks_per_node=wire.tasks_per_node,
        gpus=wire.gpus,
        gpus_per_node=wire.gpus_per_node,
        gpus_per_task=wire.gpus_per_task,
        export=wire.export,
        threads_per_core=wire.threads_per_core,
    )


def dependency(wire: Any, has: Has) -> Dependency | None:
    """Conditions on other jobs; None for none. Raises BadValue for a kind that does not exist."""
    conditions = []
    for item in wire.conditions:
        kind = KINDS.get(item.kind)
        if kind is None:
            raise BadValue(f'dependency "{item.kind}": not one of {", ".join(KINDS)}')
        index = item.array_index if has(item, "array_index") else -1
        conditions.append(Condition(kind, JobId(item.job_id), index, item.delay_s))
    return Dependency(tuple(conditions), wire.any_of) if conditions else None


def array_spec(wire: Any) -> ArraySpec:
    """The indices of an array, in order. Raises BadValue where they make no sense."""
    ranges = index_ranges(wire.ranges)
    if not ranges:
        raise BadValue("array: no index given")
    if wire.limit < 0:
        raise BadValue(f"array: {wire.limit} running at once; 1 or more, or 0 for no limit")
    return ArraySpec(ranges, wire.limit)


def index_ranges(wire: Iterable[Any]) -> tuple[IndexRange, ...]:
    """Ranges in order, each ending on one of its indices. Raises BadValue for one that is none."""
    ranges = []
    for item in wire:
        start, stop, step = item.start, item.stop, item.step or 1
        if start < 0 or stop < start or step < 1:
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
    return Target(wire.text or str(wire.job_id), JobId(wire.job_id), ArraySpec(indices) if indices else None)


def targets(wire: Iterable[Any]) -> tuple[Target, ...]:
    """Every job named. Raises BadValue."""
    return tuple([target(item) for item in wire])


def cancel(request: Any, owner: Owner, admin: bool, chosen: tuple[Target, ...]) -> Cancel:
    """A CancelJobsRequest; chosen: what its references and its filter came to."""
    scope = SCOPES.get(request.scope)
    if scope is None:
        raise BadValue(f"scope: {request.scope} is not known")
    return Cancel(caller(owner, admin, request), chosen, request.signal, scope)


def hold(request: Any, owner: Owner, admin: bool) -> Hold:
    """A HoldJobsRequest. Raises BadValue."""
    return Hold(caller(owner, admin, request), targets(request.jobs), request.as_user)


def release(request: Any, owner: Owner, admin: bool) -> Release:
    """A ReleaseJobsRequest. Raises BadValue."""
    return Release(caller(owner, admin, request), targets(request.jobs))


def requeue(request: Any, owner: Owner, admin: bool) -> Requeue:
    """A RequeueJobsRequest. Raises BadValue."""
    return Requeue(caller(owner, admin, request), targets(request.jobs), request.hold)


def update_jobs(request: Any, owner: Owner, admin: bool) -> UpdateJob:
    """An UpdateJobsRequest. Raises BadValue."""
    has = presence(request)
    if not has(request, "changes"):
        raise BadValue("changes: missing; they say what shall be different")
    return UpdateJob(caller(owner, admin, request), targets(request.jobs), changes(request.changes, has))


def changes(wire: Any, has: Has) -> Changes:
    """What is set; the rest stays as it is."""
    values: dict[str, Any] = {name: getattr(wire, name) for name in PLAIN_CHANGES if has(wire, name)}
    if has(wire, "begin_at_us"):
        values["begin_at"] = Instant(wire.begin_at_us)
    if has(wire, "dependency"):
        values["dependency"] = dependency(wire.dependency, has)
        values["drop_dependency"] = values["dependency"] is None
    if wire.drop_dependency:
        values["drop_dependency"] = True
    for name in ("nodes_required", "nodes_excluded"):
        if has(wire, name):
            values[name] = tuple(getattr(wire, name).values)
    return Changes(**values)


PLAIN_CHANGES = (
    "name",
    "comment",
    "time_limit_s",
    "time_limit_by_s",
    "priority",
    "nice",
    "partition",
    "features",
    "mem_mib_per_node",
    "mem_mib_per_cpu",
    "n_cpus",
    "min_nodes",
    "requeue",
    "array_limit",
    "account",
    "qos",
)


def update_nodes(request: Any, owner: Owner, admin: bool) -> UpdateNode:
    """An UpdateNodesRequest. Raises BadValue."""
    action = ACTIONS.get(request.action)
    if action is None:
        raise BadValue("action: missing; one of drain, resume, down")
    nodes = tuple([NodeName(name) for name in request.nodes])
    return UpdateNode(caller(owner, admin, request), nodes, action, request.reason)

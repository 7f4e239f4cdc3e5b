"""Requests become inputs, the same from protobuf messages and from structs, or are clearly refused."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import Changes, NodeAction, SignalScope, Submit, SubmitArray, Target
from packhorse.scheduler.model.job import (
    ArraySpec,
    Condition,
    Dependency,
    DependencyKind,
    Given,
    IndexRange,
    Owner,
    Retry,
    WarnSignal,
)
from packhorse.scheduler.model.resources import Ask, Gres
from packhorse.scheduler.service import convert, messages
from packhorse.scheduler.service.convert_queries import reader
from packhorse.scheduler.service.payloads import pack_environment, payload, unpack_environment
from packhorse.v1 import job_pb2, scheduler_pb2

ME = Owner(1000, 100, "user", "users")
SCRIPT = b"#!/bin/sh\nhostname\n"


def both(message: Message) -> list[Any]:
    """The message itself, and the struct that the JSON door makes of it."""
    return [message, reader(getattr(messages, message.DESCRIPTOR.name))(message)]


def full_spec() -> job_pb2.JobSpec:
    return job_pb2.JobSpec(
        name="fit",
        ask=job_pb2.Ask(
            n_tasks=4,
            min_nodes=2,
            cpu_milli_per_task=2000,
            mem_mib_per_cpu=500,
            gres_per_node=[job_pb2.Gres(kind="gpu", type="h200", count=2), job_pb2.Gres(kind="tpu")],
            nodes_required=["n1"],
            exclusive=True,
        ),
        partition="long",
        account="lab",
        time_limit_s=0,
        priority=0,
        begin_at_us=5,
        dependency=job_pb2.Dependency(
            conditions=[
                job_pb2.Condition(kind="afterok", job_id=3, array_index=0),
                job_pb2.Condition(kind="after", job_id=4, delay_s=60),
            ],
            any_of=True,
        ),
        requeue=False,
        retry=job_pb2.Retry(max_retries=2, backoff_s=5),
        warn=job_pb2.WarnSignal(signal=10),
        append=False,
        umask=0,
        rlimits=[job_pb2.Limit(name="core", value=-1)],
        work_dir="/data",
        args=["a", "b"],
        given=job_pb2.Given(n_tasks=True, gpus="2", export="ALL"),
        lease_s=0,
        script=SCRIPT,
        environment=["PATH=/bin", "X="],
    )


def test_every_field_of_a_job() -> None:
    for request in both(scheduler_pb2.SubmitJobRequest(spec=full_spec(), idempotency_key="k")):
        made = convert.submission(request, ME, True)
        assert isinstance(made.input, Submit)
        assert made.input.caller.owner == ME
        assert made.input.caller.admin
        assert made.input.caller.key == "k"
        assert made.input.items == (Item(0),)
        (spec,) = made.input.specs
        assert spec.ask == Ask(
            n_tasks=4,
            min_nodes=2,
            cpu_milli_per_task=2000,
            mem_mib_per_cpu=500,
            gres_per_node=(Gres("gpu", "h200", 2), Gres("tpu", "", 1)),
            nodes_required=(NodeName("n1"),),
            exclusive=True,
        )
        assert spec.dependency == Dependency(
            (
                Condition(DependencyKind.AFTEROK, JobId(3), 0),
                Condition(DependencyKind.AFTER, JobId(4), -1, 60),
            ),
            any_of=True,
        )
        assert (spec.time_limit_s, spec.priority, spec.requeue, spec.append, spec.umask, spec.lease_s) == (
            0,
            0,
            False,
            False,
            0,
            0,
        )
        assert (spec.retry, spec.warn) == (Retry(2, 5), WarnSignal(10, 60, False))
        assert spec.given == Given(n_tasks=True, gpus="2", export="ALL")
        assert (spec.args, spec.rlimits, spec.work_dir) == (("a", "b"), (("core", -1),), "/data")
        script, environment = made.payloads
        assert script == payload(SCRIPT)
        assert spec.script_ref == script.ref
        assert spec.env_ref == environment.ref
        assert unpack_environment(environment.data) == ["PATH=/bin", "X="]


def test_what_is_not_said_gets_its_default() -> None:
    for request in both(scheduler_pb2.SubmitJobRequest(spec=job_pb2.JobSpec(script=SCRIPT))):
        made = convert.submission(request, ME, False)
        assert isinstance(made.input, Submit)
        spec = made.input.specs[0]
        assert spec.ask == Ask()
        assert (spec.time_limit_s, spec.priority, spec.requeue, spec.append, spec.umask) == (
            -1,
            None,
            True,
            None,
            0o022,
        )
        assert (spec.qos, spec.std_in, spec.dependency, spec.warn) == ("", "/dev/null", None, None)
        assert made.input.caller.key == made.input.caller.fingerprint == ""


def test_an_array_in_order() -> None:
    array = job_pb2.ArraySpec(
        ranges=[job_pb2.IndexRange(start=9, stop=9), job_pb2.IndexRange(start=0, stop=8, step=3)], limit=2
    )
    for request in both(scheduler_pb2.SubmitJobRequest(spec=full_spec(), array=array)):
        made = convert.submission(request, ME, False)
        assert isinstance(made.input, SubmitArray)
        assert made.input.array == ArraySpec((IndexRange(0, 6, 3), IndexRange(9, 9, 1)), 2)


@pytest.mark.parametrize("ranges", [[], [(3, 1, 1)], [(-1, 1, 1)], [(0, 5, 1), (5, 6, 1)], [(0, 5, -1)]])
def test_an_array_that_makes_no_sense(ranges: list[tuple[int, int, int]]) -> None:
    wire = job_pb2.ArraySpec(ranges=[job_pb2.IndexRange(start=a, stop=b, step=c) for a, b, c in ranges])
    with pytest.raises(BadValue, match="array"):
        convert.submission(scheduler_pb2.SubmitJobRequest(spec=full_spec(), array=wire), ME, False)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (b"", "empty"),
        (b"hostname\n", "does not start with #!"),
        (b"#!/bin/sh\n" + b"x" * (1 << 20), "limit 1048576"),
    ],
)
def test_scripts_that_are_refused(script: bytes, says: str) -> None:
    request = scheduler_pb2.SubmitJobRequest(spec=job_pb2.JobSpec(script=script))
    with pytest.raises(BadValue, match=says):
        convert.submission(request, ME, False)


def test_an_unknown_dependency_is_named() -> None:
    spec = job_pb2.JobSpec(
        script=SCRIPT, dependency=job_pb2.Dependency(conditions=[job_pb2.Condition(kind="before", job_id=1)])
    )
    with pytest.raises(BadValue, match=r'"before".*afterok'):
        convert.submission(scheduler_pb2.SubmitJobRequest(spec=spec), ME, False)


def test_a_batch() -> None:
    items = [
        scheduler_pb2.BatchItem(spec=0),
        scheduler_pb2.BatchItem(spec=1, name="other", copies=2),
        scheduler_pb2.BatchItem(spec=0, args=["x"], own_args=True),
    ]
    wire = scheduler_pb2.SubmitJobsRequest(
        specs=[full_spec(), job_pb2.JobSpec(script=SCRIPT)], items=items, idempotency_key="k"
    )
    for request in both(wire):
        made = convert.batch_submission(request, ME, False)
        assert isinstance(made.input, Submit)
        assert made.input.items == (Item(0), Item(1, "other"), Item(1, "other"), Item(0, None, ("x",)))
        assert len(made.input.specs) == 2
        assert {text.ref for text in made.payloads} == {
            payload(SCRIPT).ref,
            payload(pack_environment(["PATH=/bin", "X="])).ref,
            payload(b"").ref,
        }


@pytest.mark.parametrize("items", [[], [scheduler_pb2.BatchItem(spec=1)]])
def test_a_batch_without_jobs_or_with_a_spec_that_is_not_there(items: list[scheduler_pb2.BatchItem]) -> None:
    with pytest.raises(BadValue, match="items"):
        convert.batch_submission(scheduler_pb2.SubmitJobsRequest(specs=[full_spec()], items=items), ME, False)


def test_a_fingerprint_tells_calls_apart() -> None:
    first = scheduler_pb2.SubmitJobRequest(spec=full_spec(), idempotency_key="k")
    same = scheduler_pb2.SubmitJobRequest.FromString(first.SerializeToString())
    other = scheduler_pb2.SubmitJobRequest(spec=full_spec(), idempotency_key="k", test_only=True)
    for mine, again, different in zip(both(first), both(same), both(other), strict=True):
        assert convert.fingerprint(mine) == convert.fingerprint(again)
        assert convert.fingerprint(mine) != convert.fingerprint(different)
    hold = scheduler_pb2.HoldJobsRequest(idempotency_key="k")
    release = scheduler_pb2.ReleaseJobsRequest(idempotency_key="k")
    assert convert.fingerprint(hold) != convert.fingerprint(release)


def test_targets() -> None:
    wire = scheduler_pb2.HoldJobsRequest(
        jobs=[
            scheduler_pb2.JobRef(job_id=7),
            scheduler_pb2.JobRef(job_id=8, text="8_[1-3]", indices=[job_pb2.IndexRange(start=1, stop=3)]),
        ]
    )
    for request in both(wire):
        assert convert.hold(request, ME, False).targets == (
            Target("7", JobId(7)),
            Target("8_[1-3]", JobId(8), ArraySpec((IndexRange(1, 3, 1),))),
        )


def test_signals_and_scopes() -> None:
    wire = scheduler_pb2.CancelJobsRequest(signal=10, scope=scheduler_pb2.SIGNAL_SCOPE_BATCH)
    for request in both(wire):
        made = convert.cancel(request, ME, False, (Target("7", JobId(7)),))
        assert (made.signal, made.scope, made.targets) == (10, SignalScope.BATCH, (Target("7", JobId(7)),))


def test_changes_say_only_what_is_said() -> None:
    wire = scheduler_pb2.UpdateJobsRequest(
        changes=scheduler_pb2.JobChanges(
            time_limit_s=0,
            begin_at_us=9,
            nodes_required=scheduler_pb2.StringList(values=["n1", "n2"]),
            nodes_excluded=scheduler_pb2.StringList(),
        )
    )
    for request in both(wire):
        assert convert.update_jobs(request, ME, False).changes == Changes(
            time_limit_s=0,
            begin_at=9,  # type: ignore[arg-type]
            nodes_required=(NodeName("n1"), NodeName("n2")),
            nodes_excluded=(),
        )


def test_counts_of_features_are_bounded_in_changes_too() -> None:
    for features in ("a*2", "", f"a*{1 << 40}"):
        wire = scheduler_pb2.UpdateJobsRequest(changes=scheduler_pb2.JobChanges(features=features))
        for request in both(wire):
            if len(features) < 9:
                assert convert.update_jobs(request, ME, False).changes == Changes(features=features)
                continue
            with pytest.raises(BadValue, match="features: nodes in"):
                convert.update_jobs(request, ME, False)


def test_every_plain_change_is_passed_on() -> None:
    names = {field.name for field in scheduler_pb2.JobChanges.DESCRIPTOR.fields}
    by_hand = {"begin_at_us", "dependency", "drop_dependency", "nodes_required", "nodes_excluded", "requeue"}
    by_hand |= {"features", "no_lend", "deadline_at_us", "licenses"}
    assert names - by_hand == convert.NUMBERS.keys() | convert.TEXTS.keys()


def test_node_actions() -> None:
    for text, action in [
        ("DRAIN", NodeAction.DRAIN),
        ("RESUME", NodeAction.RESUME),
        ("DOWN", NodeAction.DOWN),
    ]:
        wire = json_format.Parse(
            f'{{"nodes": ["n1"], "action": "NODE_ACTION_{text}", "reason": "fan"}}',
            scheduler_pb2.UpdateNodesRequest(),
        )
        for request in both(wire):
            made = convert.update_nodes(request, ME, True)
            assert (made.nodes, made.action, made.reason) == ((NodeName("n1"),), action, "fan")
    with pytest.raises(BadValue, match="action"):
        convert.update_nodes(scheduler_pb2.UpdateNodesRequest(), ME, True)


OUT_OF_BOUNDS = [
    job_pb2.JobSpec(ask=job_pb2.Ask(cpu_milli_per_task=-1)),
    job_pb2.JobSpec(ask=job_pb2.Ask(mem_mib_per_node=1 << 62)),
    job_pb2.JobSpec(ask=job_pb2.Ask(n_tasks=(1 << 32) - 1)),
    job_pb2.JobSpec(ask=job_pb2.Ask(gres_per_node=[job_pb2.Gres(kind="gpu", count=-1)])),
    job_pb2.JobSpec(ask=job_pb2.Ask(gres_per_node=[job_pb2.Gres(count=1)])),
    job_pb2.JobSpec(time_limit_s=1 << 62),
    job_pb2.JobSpec(time_limit_s=-1),
    job_pb2.JobSpec(begin_at_us=(1 << 63) - 1),
    job_pb2.JobSpec(nice=1 << 40),
    job_pb2.JobSpec(priority=-1),
    job_pb2.JobSpec(umask=1 << 31),
    job_pb2.JobSpec(lease_s=-1),
    job_pb2.JobSpec(retry=job_pb2.Retry(max_retries=-1)),
    job_pb2.JobSpec(warn=job_pb2.WarnSignal(signal=65)),
    job_pb2.JobSpec(name="x" * 2000),
    job_pb2.JobSpec(name="a\0b"),
    job_pb2.JobSpec(work_dir="relative"),
    job_pb2.JobSpec(args=["a\0b"]),
    job_pb2.JobSpec(environment=["A=1\0B=2"]),
    job_pb2.JobSpec(dependency=job_pb2.Dependency(conditions=[job_pb2.Condition(kind="after", job_id=-1)])),
]


@pytest.mark.parametrize("spec", OUT_OF_BOUNDS, ids=lambda spec: str(spec).replace("\n", " ")[:40])
def test_values_nothing_further_in_could_bear(spec: job_pb2.JobSpec) -> None:
    wire = job_pb2.JobSpec(script=SCRIPT)
    wire.MergeFrom(spec)
    for request in both(scheduler_pb2.SubmitJobRequest(spec=wire)):
        with pytest.raises(BadValue):
            convert.submission(request, ME, False)


def test_a_batch_of_more_jobs_than_memory_is_refused_before_it_is_made() -> None:
    request = scheduler_pb2.SubmitJobsRequest(
        specs=[full_spec()], items=[scheduler_pb2.BatchItem(spec=0, copies=(1 << 32) - 1)]
    )
    with pytest.raises(BadValue, match="items"):
        convert.batch_submission(request, ME, False)

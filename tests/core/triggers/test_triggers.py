"""Triggers: when they are fired, once, and who may set and clear them."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.model.event import TriggersFired
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import Caller, ClearTriggers, SetTrigger, Start
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.reply import Done, RefusalCode, Refused
from packhorse.scheduler.model.trigger import TriggerKind
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster

OTHER = Caller(Owner(1002, 1002, "bob", "users"))


def put(cluster: Cluster, kind: str, caller: Caller | None = None, **what: Any) -> Done | Refused:
    reply = cluster.do(SetTrigger(caller or Caller(USER), TriggerKind(kind), "/bin/tell", **what)).reply
    assert isinstance(reply, Done | Refused)
    return reply


def fired(cluster: Cluster) -> list[tuple[int, str]]:
    """(number, argument) of everything that was fired."""
    return [
        (one.id, one.argument)
        for event in cluster.log
        if isinstance(event, TriggersFired)
        for one in event.fired
    ]


def a_running(nodes: int = 2) -> tuple[Cluster, JobId]:
    cluster = a_cluster(nodes=nodes, cpus=4)
    job = cluster.submit(time_limit_s=600)
    cluster.run_cycle()
    cluster.run(job)
    return cluster, job


def test_the_end_of_a_job() -> None:
    cluster, job = a_running()
    put(cluster, "fini", job=job, offset_s=30)
    cluster.pass_time(100)
    assert fired(cluster) == [] and len(cluster.state.triggers.by_id) == 1
    cluster.exit(job)
    cluster.pass_time(29)
    assert fired(cluster) == []
    cluster.pass_time(2)
    assert fired(cluster) == [(1, str(job))]
    cluster.pass_time(1000)
    assert fired(cluster) == [(1, str(job))] and not cluster.state.triggers.by_id
    assert cluster.replayed() == cluster.state


def test_ahead_of_a_time_limit() -> None:
    cluster, job = a_running()
    put(cluster, "time", job=job, offset_s=-60)
    cluster.pass_time(539)
    assert fired(cluster) == []
    cluster.pass_time(2)
    assert fired(cluster) == [(1, str(job))]


def test_a_job_that_ends_before_its_limit_fires_nothing() -> None:
    cluster, job = a_running()
    put(cluster, "time", job=job)
    cluster.exit(job)
    cluster.pass_time(1000)
    assert fired(cluster) == [] and not cluster.state.triggers.by_id


def test_a_node_goes_down_and_comes_back() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    put(cluster, "down", nodes=(NodeName("n1"),))
    put(cluster, "up")
    cluster.silence("n2")
    cluster.tick()
    assert fired(cluster) == [], "another node"
    cluster.down("n1")
    cluster.tick()
    assert fired(cluster) == [(1, "n1")]
    cluster.register("n2")
    cluster.tick()
    assert fired(cluster) == [(1, "n1"), (2, "n2")]


def test_a_permanent_one_waits_again_and_names_all_nodes() -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    put(cluster, "down", permanent=True, offset_s=10)
    cluster.down("n1")
    cluster.down("n3")
    cluster.pass_time(11)
    assert fired(cluster) == [(1, "n[1,3]")]
    cluster.resume("n1")
    cluster.down("n1")
    cluster.pass_time(11)
    assert fired(cluster) == [(1, "n[1,3]"), (1, "n1")]


def test_a_drained_node_is_one_without_jobs() -> None:
    cluster, job = a_running(nodes=1)
    put(cluster, "drained", nodes=(NodeName("n1"),))
    cluster.drain("n1")
    cluster.tick()
    assert fired(cluster) == []
    cluster.exit(job)
    cluster.tick()
    assert fired(cluster) == [(1, "n1")]


def test_the_nodes_of_a_job() -> None:
    cluster, job = a_running()
    put(cluster, "down", job=job)
    mine = str(cluster.active(job).placements[0].node)
    cluster.down("n2" if mine == "n1" else "n1")
    cluster.tick()
    assert fired(cluster) == []
    cluster.silence(mine)
    cluster.tick()
    assert fired(cluster) == [(1, str(job))]


def test_what_was_due_while_the_scheduler_was_away_is_fired_once() -> None:
    cluster, job = a_running()
    put(cluster, "fini", job=job, offset_s=30)
    put(cluster, "up")
    cluster.exit(job)
    cluster.state = load(list(dump(cluster.state.freeze())))
    cluster.clock.advance(3600)
    cluster.do(Start(cluster.state.config))
    at = next_timer(cluster.state)
    assert at is not None and at <= cluster.clock.now
    cluster.tick()
    cluster.register("n1")
    cluster.tick()
    assert fired(cluster) == [(1, str(job))], "agents that connect after a start were not away"
    put(cluster, "down")
    assert max(cluster.state.triggers.by_id) == 3, "numbers are never used again"


@pytest.mark.parametrize(
    ("kind", "what", "code"),
    [
        ("fini", {}, RefusalCode.INVALID),
        ("fini", {"job": JobId(99)}, RefusalCode.NOT_FOUND),
        ("fini", {"job": JobId(1), "offset_s": -5}, RefusalCode.INVALID),
        ("drained", {"job": JobId(1)}, RefusalCode.INVALID),
        ("down", {"nodes": (NodeName("n9"),)}, RefusalCode.NOT_FOUND),
    ],
)
def test_refused(kind: str, what: dict[str, Any], code: RefusalCode) -> None:
    cluster, _ = a_running()
    refused = put(cluster, kind, **what)
    assert isinstance(refused, Refused) and refused.code is code


def test_an_ended_job_and_an_array() -> None:
    cluster, job = a_running()
    array = cluster.submit_array("0-3")
    refused = put(cluster, "fini", job=array)
    assert isinstance(refused, Refused) and "tasks have numbers" in refused.message
    cluster.exit(job)
    refused = put(cluster, "fini", job=job)
    assert isinstance(refused, Refused) and refused.code is RefusalCode.WRONG_STATE


def test_only_owners_and_administrators_clear() -> None:
    cluster, job = a_running()
    put(cluster, "fini", job=job)
    put(cluster, "down")
    put(cluster, "up", caller=OTHER)

    def clear(caller: Caller, **what: Any) -> Any:
        return cluster.do(ClearTriggers(caller, **what)).reply

    assert clear(OTHER, id=1).code is RefusalCode.DENIED
    assert clear(OTHER, id=9).code is RefusalCode.NOT_FOUND
    assert [outcome.ref for outcome in clear(Caller(USER), job=job).outcomes] == ["1"]
    assert [outcome.ref for outcome in clear(OTHER).outcomes] == ["3"], "one's own only"
    assert [outcome.ref for outcome in clear(ADMIN, uid=USER.uid).outcomes] == ["2"]
    assert cluster.replayed() == cluster.state

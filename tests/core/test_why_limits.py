"""What would start a job that a limit holds up: less of what is limited, or another account; followed as
typed."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.why.answer import why
from packhorse.scheduler.core.why.change import inputs
from packhorse.scheduler.core.why.snapshot import taken
from packhorse.scheduler.model.ids import JobId
from tests.core.accounts.limits import ANN, a_tree
from tests.core.scenario import Cluster, a_cluster

HOUR = 3600


@pytest.mark.parametrize(
    ("limits", "what", "kind", "update"),
    [
        ({"grp_tres": "cpu=5"}, {"cpus": 4}, "cpus", "NumCPUs=3"),
        ({"grp_tres": "mem=5G"}, {"mem_mib": 4096}, "memory", "MinMemoryNode=3G"),
        ({"grp_tres": "gres/gpu=3"}, {"gpus": 2, "cpus": 1}, "devices", ""),
        ({"grp_tres": "node=2"}, {"nodes": 2, "cpus": 1}, "nodes", "NumNodes=1"),
        ({"max_wall_s": HOUR // 2}, {}, "time limit", "TimeLimit=00:29:00"),
    ],
)
def test_less_of_what_is_limited(
    limits: dict[str, Any], what: dict[str, Any], kind: str, update: str
) -> None:
    """A job of 2 CPUs, 2 GiB, 2 GPUs runs; another one asks for too much beside it."""
    cluster = a_cluster(nodes=4, gpus=4)
    a_tree(cluster, chem=limits)
    gpus = 2 if "gpus" in what else 0
    holds: dict[str, Any] = {"cpus": 2, "mem_mib": 2048, "gpus": gpus, "time_limit_s": HOUR // 2}
    cluster.submit(caller=ANN, account="chem", **holds)
    job = cluster.submit(caller=ANN, account="chem", **{"time_limit_s": HOUR, "cpus": 1, **what})
    cluster.run_cycle()
    assert cluster.state_of(job) == "PENDING"
    found = why(taken(cluster.state), cluster.job(job), cluster.clock.now)
    assert found.reasons[0].reason is cluster.reason_of(job)
    (one,) = [s for s in found.suggestions if s.change.kind == kind]
    assert one.at == cluster.clock.now and not one.admin
    if update:
        assert one.command == f"scontrol update JobId={job} {update}"
    assert follow(cluster, job, one.change)


def test_a_time_limit_before_a_maintenance() -> None:
    """The job would run into the window; the longest limit that does not is told, to the minute."""
    cluster = a_cluster(nodes=1)
    cluster.reserve("m", start_s=3 * HOUR, hours=1, nodes="n1", users="root", flags="MAINT")
    job = cluster.submit(cpus=1, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.RESERVED_MAINT
    found = why(taken(cluster.state), cluster.job(job), cluster.clock.now)
    assert found.reasons[0].reason is Reason.RESERVED_MAINT
    one = found.suggestions[0]
    assert one.command == f"scontrol update JobId={job} TimeLimit=02:59:00"
    assert one.at == cluster.clock.now
    assert follow(cluster, job, one.change) == [job]


def test_outside_a_reservation_that_has_not_begun() -> None:
    cluster = a_cluster(nodes=2)
    cluster.reserve("course", start_s=3 * HOUR, hours=1, nodes="n1", users="mule")
    job = cluster.submit(cpus=1, time_limit_s=HOUR, reservation="course")
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.RESERVATION
    found = why(taken(cluster.state), cluster.job(job), cluster.clock.now)
    (one,) = [s for s in found.suggestions if s.change.kind == "reservation"]
    assert one.command == f"scontrol update JobId={job} ReservationName="
    assert follow(cluster, job, one.change) == [job]


def follow(cluster: Cluster, job: JobId, change: Any) -> list[JobId]:
    """Does it and runs a pass."""
    for input in inputs(cluster.job(job), change, False):
        cluster.do(input)
    return cluster.run_cycle()


def test_room_does_not_say_when_a_budget_lets_it_go() -> None:
    """The node is free at 1:00, but the budget is used up by then: no start is told."""
    cluster = a_cluster(nodes=1)
    a_tree(cluster, chem={"grp_tres_mins": "cpu=300"})
    cluster.submit(caller=ANN, account="chem", cpus=4, time_limit_s=HOUR)
    job = cluster.submit(caller=ANN, account="chem", cpus=8, time_limit_s=HOUR)
    cluster.run_cycle()
    found = why(taken(cluster.state), cluster.job(job), cluster.clock.now)
    assert found.reasons[0].reason is Reason.ASSOC_GRP_MINS_CPU
    assert "needs 480 CPU minutes; 240 CPU minutes of 300 CPU minutes" in found.reasons[0].sentence
    assert not found.planned

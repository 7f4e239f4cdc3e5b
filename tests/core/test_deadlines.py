"""Deadlines: given up when it is too late to start, stopped when they come."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import EndCause, Ended
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import ADMIN, Cluster, a_cluster


def deadline(cluster: Cluster, seconds: int) -> Instant:
    return Instant(cluster.clock.now + seconds * US)


def test_given_up_when_it_can_no_longer_be_over_by_then() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    first = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run_cycle()
    waits = cluster.submit(cpus=4, time_limit_s=60, deadline_at=deadline(cluster, 100))
    cluster.pass_time(39)
    assert cluster.state_of(waits) == "PENDING"
    cluster.pass_time(2)
    assert cluster.state_of(waits) == "DEADLINE"
    phase = cluster.job(waits).phase
    assert isinstance(phase, Ended) and phase.reason == "DeadLine" and "--time" in phase.detail
    assert cluster.rows[-1].state == "DEADLINE"
    assert cluster.replayed() == cluster.state
    assert first != waits


def test_at_the_very_last_moment_it_may_start() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = cluster.submit(cpus=4, time_limit_s=60, deadline_at=deadline(cluster, 60))
    cluster.run_cycle()
    cluster.start(job)
    assert cluster.state_of(job) == "RUNNING"


def test_what_runs_is_stopped_at_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = cluster.submit(cpus=1, deadline_at=deadline(cluster, 30))
    cluster.run_cycle()
    cluster.start(job)
    cluster.pass_time(31)
    assert cluster.state_of(job) == "COMPLETING"
    cluster.exit(job, signal=15)
    assert cluster.state_of(job) == "DEADLINE"


def test_of_arrays_the_waiting_tasks_go() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    array = cluster.submit_array("0-3", cpus=1, time_limit_s=20, deadline_at=deadline(cluster, 50))
    cluster.run_cycle()
    cluster.pass_time(31)
    assert cluster.waiting(array) == ""
    row, over = cluster.rows[-1], cluster.state.arrays[array]
    assert row.array_indices == "1-3"
    assert (row.state, row.reason, row.cancelled_by) == ("DEADLINE", "DeadLine", -1)
    assert "--time" in row.detail
    assert over.late == over.cancelled and over.failed
    assert cluster.replayed() == cluster.state == load(dump(cluster.state.freeze()))


def test_of_arrays_what_was_cancelled_is_told_apart() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    array = cluster.submit_array("0-3", cpus=1, time_limit_s=20, deadline_at=deadline(cluster, 50))
    cluster.cancel(f"{array}_2")
    assert cluster.rows[-1].state == "CANCELLED"
    cluster.pass_time(31)
    over = cluster.state.arrays[array]
    assert (indices.text(over.cancelled), indices.text(over.late)) == ("0-3", "0-1,3")


def test_too_late_already() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    reply = cluster.try_submit(cpus=1, time_limit_s=120, deadline_at=deadline(cluster, 60))
    assert isinstance(reply, Refused) and "later deadline or a shorter time limit" in reply.message


def test_too_late_by_its_begin_time() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    what: dict[str, Any] = {"cpus": 1, "time_limit_s": 60, "begin_at": deadline(cluster, 100)}
    reply = cluster.try_submit(deadline_at=deadline(cluster, 159), **what)
    assert isinstance(reply, Refused) and "start before its begin time" in reply.message
    job = cluster.submit(deadline_at=deadline(cluster, 160), **what)
    cluster.pass_time(100)
    assert cluster.run_cycle() == [job]


def test_held_and_requeued_ones_are_given_up_too_and_it_can_be_moved() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    held = cluster.submit(cpus=1, hold=True, deadline_at=deadline(cluster, 30))
    moved = cluster.submit(cpus=1, hold=True, deadline_at=deadline(cluster, 30))
    cluster.update(moved, deadline_at=deadline(cluster, 500))
    cluster.pass_time(31)
    assert (cluster.state_of(held), cluster.state_of(moved)) == ("DEADLINE", "PENDING")
    cluster.pass_time(500)
    assert cluster.state_of(moved) == "DEADLINE"


def test_what_was_granted_and_never_heard_of_is_stopped_at_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = cluster.submit(cpus=1, deadline_at=deadline(cluster, 30))
    cluster.run_cycle()
    cluster.pass_time(31)
    assert cluster.active(job).ending is EndCause.DEADLINE


def test_a_change_that_would_end_it_at_once_is_refused() -> None:
    """A waiting job needs its time limit before the deadline, a running one only the deadline."""
    cluster = a_cluster(nodes=1, cpus=4)
    running = cluster.submit(cpus=4, time_limit_s=60, deadline_at=deadline(cluster, 100))
    waiting = cluster.submit(cpus=4, time_limit_s=60, deadline_at=deadline(cluster, 100))
    cluster.run(running)
    for job, changes in (
        (waiting, {"deadline_at": deadline(cluster, 50)}),
        (waiting, {"time_limit_s": 200}),
        (running, {"deadline_at": deadline(cluster, -1)}),
    ):
        [outcome] = cluster.update(job, caller=ADMIN, **changes)
        assert "deadline" in outcome.message
    assert not cluster.update(running, deadline_at=deadline(cluster, 50))[0].message
    assert not cluster.update(waiting, time_limit_s=90, deadline_at=deadline(cluster, 95), caller=ADMIN)[
        0
    ].message
    assert not cluster.update(waiting, time_limit_s=900, deadline_at=Instant(0), caller=ADMIN)[0].message

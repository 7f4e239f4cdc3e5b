"""Who may be on reserved nodes when: windows open now and to come, jobs that run up to them, their ends."""

from __future__ import annotations

import pytest
from msgspec import structs

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, Guided, RunCycle
from packhorse.scheduler.model.job import Active, Ended
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.model.reservation import Repeat
from tests.core.scenario import ADMIN, OTHER, Cluster, a_cluster, a_config

THEM = Caller(OTHER)
HOUR = 3600


def where(cluster: Cluster, job: int) -> list[str]:
    return [placement.node for placement in cluster.active(job).placements]


def test_a_window_that_is_open_keeps_others_off_its_nodes() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(nodes="n1")
    theirs = [cluster.submit(cpus=4, caller=THEM, time_limit_s=60) for _ in range(2)]
    ours = cluster.submit(cpus=4, reservation="r", time_limit_s=60)
    assert set(cluster.run_cycle()) == {theirs[0], ours}
    assert (where(cluster, theirs[0]), where(cluster, ours)) == (["n2"], ["n1"])
    assert cluster.active(ours).reservation == "r" and cluster.active(theirs[0]).reservation == ""


def test_jobs_run_up_to_a_window_and_not_into_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve("maint", start_s=HOUR, nodes="ALL", flags="MAINT", users="root")
    long = cluster.submit(caller=THEM, time_limit_s=HOUR + 1)
    fits = cluster.submit(caller=THEM, time_limit_s=HOUR)
    unlimited = cluster.submit(caller=THEM, time_limit_s=0)
    assert cluster.run_cycle() == [fits]
    assert cluster.reason_of(long) is Reason.RESERVED_MAINT
    assert cluster.reason_of(unlimited) is Reason.RESERVED_MAINT
    assert Reason.RESERVED_MAINT.value == "ReqNodeNotAvail, Reserved for maintenance"
    assert cluster.state.pending_columns.planned(long) == cluster.clock.now + 2 * HOUR * US
    cluster.start(fits)
    cluster.pass_time(600)
    later = cluster.submit(caller=THEM, time_limit_s=HOUR - 600)
    too_late = cluster.submit(caller=THEM, time_limit_s=HOUR - 599)
    assert cluster.run_cycle() == [later]
    assert cluster.reason_of(too_late) in (Reason.RESERVED_MAINT, Reason.PRIORITY)
    cluster.exit(fits)
    cluster.exit(later)
    cluster.pass_time(2 * HOUR - 600)
    assert "maint" not in cluster.state.reservations
    assert set(cluster.run_cycle()) == {long, too_late, unlimited}


def test_a_window_to_come_on_some_nodes_sends_long_jobs_to_the_others() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(start_s=HOUR, nodes="n1")
    long = cluster.submit(cpus=4, caller=THEM, time_limit_s=2 * HOUR)
    next_ = cluster.submit(cpus=4, caller=THEM, time_limit_s=2 * HOUR)
    short = cluster.submit(cpus=4, caller=THEM, time_limit_s=60)
    assert set(cluster.run_cycle()) == {long, short}
    assert (where(cluster, long), where(cluster, short)) == (["n2"], ["n1"])
    # n1 is its own only after the window, n2 when the long one is through: both in two hours
    assert cluster.state.pending_columns.planned(next_) == cluster.clock.now + 2 * HOUR * US


def test_the_reason_of_a_reservation_that_is_no_maintenance() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1")
    job = cluster.submit(caller=THEM, time_limit_s=60)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.RESERVED_OTHER


def test_a_row_that_a_window_keeps_out_is_nobodys_next_one() -> None:
    """The first that is short of room still gets the planned start that a backfill depth of 1 gives."""
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve("maint", start_s=HOUR, nodes="n2", flags="MAINT", users="root")
    running = cluster.submit(cpus=3, caller=THEM, time_limit_s=1800, nodes_required=(NodeName("n1"),))
    cluster.run(running)
    kept_out = cluster.submit(cpus=4, caller=THEM, time_limit_s=2 * HOUR, nodes_required=(NodeName("n2"),))
    short_of_room = cluster.submit(
        cpus=4, caller=THEM, time_limit_s=2 * HOUR, nodes_required=(NodeName("n1"),)
    )
    delays_it = cluster.submit(cpus=1, caller=THEM, time_limit_s=HOUR, nodes_required=(NodeName("n1"),))
    assert cluster.run_cycle() == []
    assert cluster.reason_of(kept_out) is Reason.RESERVED_MAINT
    assert cluster.reason_of(short_of_room) is Reason.RESOURCES
    planned = cluster.state.pending_columns.planned
    assert planned(short_of_room) == cluster.clock.now + 1800 * US
    assert planned(kept_out) == cluster.clock.now + 2 * HOUR * US
    assert cluster.reason_of(delays_it) is Reason.PRIORITY


def test_jobs_of_a_reservation_wait_for_its_window() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(start_s=HOUR, nodes="n1")
    job = cluster.submit(cpus=1, reservation="r", time_limit_s=600)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is Reason.RESERVATION
    cluster.pass_time(HOUR)
    assert cluster.run_cycle() == [job]
    assert where(cluster, job) == ["n1"]


def test_jobs_are_stopped_when_the_window_is_over() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1")
    job = cluster.submit(reservation="r", time_limit_s=3 * HOUR)
    waits = cluster.submit(cpus=4, reservation="r", time_limit_s=HOUR)
    cluster.run(job)
    cluster.pass_time(HOUR)
    assert "r" not in cluster.state.reservations
    assert cluster.active(job).ending is not None
    cluster.exit(job, signal=15)
    assert cluster.state_of(job) == "TIMEOUT"
    cluster.run_cycle()
    assert cluster.reason_of(waits) is Reason.RESERVATION_DELETED
    cluster.update(waits, reservation="")
    assert cluster.run_cycle() == [waits]


def test_jobs_may_run_on_for_as_long_as_the_cluster_allows() -> None:
    cluster = a_cluster(nodes=1, cpus=4, config=a_config(resv_over_run_s=600))
    cluster.reserve(nodes="n1")
    job = cluster.submit(reservation="r", time_limit_s=3 * HOUR)
    late = cluster.submit(cpus=4, reservation="r", time_limit_s=60)
    cluster.run(job)
    cluster.pass_time(HOUR + 599)
    assert cluster.active(job).ending is None
    beside = cluster.submit(caller=THEM, time_limit_s=60)
    assert cluster.run_cycle() == [beside], "the window is over: others may come, and nobody begins in it"
    assert isinstance(cluster.try_submit(reservation="r"), Refused)
    assert cluster.reason_of(late) is Reason.RESERVATION
    cluster.pass_time(1)
    assert cluster.active(job).ending is not None and "r" not in cluster.state.reservations


def test_one_that_repeats_moves_on_and_jobs_keep_clear_of_the_next_window() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    r = cluster.reserve(nodes="n1", flags="DAILY")
    assert r.repeat is Repeat.DAILY
    inside = cluster.submit(reservation="r", time_limit_s=60)
    cluster.run(inside)
    cluster.exit(inside)
    cluster.pass_time(HOUR)
    moved = cluster.state.reservations["r"]
    assert moved.start_at == r.start_at + 24 * HOUR * US
    assert moved.created_at == r.created_at
    too_long = cluster.submit(caller=THEM, time_limit_s=23 * HOUR + 1)
    fits = cluster.submit(caller=THEM, time_limit_s=23 * HOUR)
    assert cluster.run_cycle() == [fits]
    assert cluster.state.pending_columns.planned(too_long) == 0, "no gap between windows is as long as that"


@pytest.mark.parametrize(
    ("flag", "days"), [("HOURLY", 1 / 24), ("DAILY", 1), ("WEEKLY", 7), ("WEEKDAY", 1), ("WEEKEND", 6)]
)
def test_how_windows_repeat(flag: str, days: float) -> None:
    """NOON is a Sunday: weekdays begin on Monday and go on on Tuesday, weekends go on next Saturday."""
    cluster = a_cluster(nodes=1)
    r = cluster.reserve(nodes="n1", flags=flag, hours=0.5)
    begins = r.start_at - cluster.clock.now
    assert begins == (24 * HOUR * US if flag == "WEEKDAY" else 0)
    cluster.pass_time(begins / US + 1800)
    assert cluster.state.reservations["r"].start_at == r.start_at + days * 24 * HOUR * US


def test_a_flexible_one_binds_its_jobs_to_nothing() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(start_s=600, nodes="n1", flags="FLEX")
    early = [cluster.submit(cpus=4, reservation="r", time_limit_s=3 * HOUR) for _ in range(2)]
    assert cluster.run_cycle() == early
    cluster.start(*early)
    cluster.pass_time(2 * HOUR)
    assert "r" not in cluster.state.reservations
    assert [cluster.active(job).ending for job in early] == [None, None]


def test_a_magnetic_one_draws_jobs_in_that_name_none() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(nodes="n2", flags="MAGNETIC")
    ours = cluster.submit(cpus=2, count=3, time_limit_s=60)
    theirs = cluster.submit(cpus=2, caller=THEM, time_limit_s=60)
    assert set(cluster.run_cycle()) == {ours, ours + 1, ours + 2, theirs}
    assert [where(cluster, job) for job in (ours, ours + 1, ours + 2, theirs)] == [
        ["n2"],
        ["n2"],
        ["n1"],
        ["n1"],
    ]
    assert [cluster.active(job).reservation for job in (ours, ours + 2)] == ["r", ""]
    cluster.start(ours)
    cluster.exit(ours)
    assert cluster.rows[-1].reservation == "r", "accounting says where it ran"


def test_a_magnetic_one_draws_in_the_tasks_of_arrays_once() -> None:
    cluster = a_cluster(nodes=2, cpus=2)
    cluster.reserve(nodes="n2", flags="MAGNETIC")
    array = cluster.submit_array("0-9%3", cpus=1, time_limit_s=60)
    assert len(cluster.run_cycle()) == 3
    assert cluster.waiting(array) == "3-9"
    inside = [cluster.active(cluster.task(array, i)).reservation for i in range(3)]
    assert sorted(inside) == ["", "r", "r"]


def test_cpus_of_nodes_leave_the_rest_to_others() -> None:
    cluster = a_cluster(nodes=1, cpus=8)
    r = cluster.reserve(nodes="n1", core_counts=(5,))
    assert r.cpu_milli == (5000,)
    theirs = cluster.submit(cpus=1, count=5, caller=THEM, time_limit_s=60)
    ours = cluster.submit(cpus=2, count=3, reservation="r", time_limit_s=60)
    started = cluster.run_cycle()
    assert started == [theirs, theirs + 1, theirs + 2, ours, ours + 1]
    cluster.start(*started)
    cluster.exit(ours)
    assert cluster.run_cycle() == [ours + 2], "what it gives back is its reservation's"


def test_cpus_that_are_reserved_later_bound_how_long_others_run() -> None:
    cluster = a_cluster(nodes=1, cpus=8)
    cluster.reserve(start_s=HOUR, nodes="n1", core_counts=(6,))
    long = cluster.submit(cpus=1, count=4, caller=THEM, time_limit_s=2 * HOUR)
    short = cluster.submit(cpus=6, caller=THEM, time_limit_s=HOUR)
    assert cluster.run_cycle() == [long, long + 1, short]
    assert cluster.state.pending_columns.planned(JobId(long + 2)) == cluster.clock.now + 2 * HOUR * US


def test_licences_are_set_aside_too() -> None:
    cluster = a_cluster(nodes=2, cpus=8, config=a_config(licenses=(("matlab", 3),)))
    cluster.reserve(nodes="n1", licenses="matlab:2")
    theirs = cluster.submit(count=2, caller=THEM, licenses="matlab", time_limit_s=60)
    ours = cluster.submit(count=2, reservation="r", licenses="matlab", time_limit_s=60)
    assert set(cluster.run_cycle()) == {theirs, ours, ours + 1}
    assert cluster.reason_of(theirs + 1) is Reason.LICENSES


def test_a_reservation_of_licences_alone() -> None:
    cluster = a_cluster(nodes=1, cpus=8, config=a_config(licenses=(("matlab", 2),)))
    cluster.reserve(licenses="matlab:2", flags="ANY_NODES")
    theirs = cluster.submit(caller=THEM, licenses="matlab", time_limit_s=60)
    ours = cluster.submit(reservation="r", licenses="matlab", time_limit_s=60)
    assert cluster.run_cycle() == [ours]
    assert cluster.reason_of(theirs) is Reason.LICENSES


def test_predictions_take_no_job_into_a_window() -> None:
    """What counts there is how long it may run, whatever is expected."""
    cluster = a_cluster(nodes=1, cpus=4, config=a_config(predictor="last2"))
    for _ in range(3):
        job = cluster.submit(caller=THEM, time_limit_s=2 * HOUR)
        cluster.run(job)
        cluster.pass_time(5)
        cluster.exit(job)
    assert cluster.state.pending_columns is not None
    cluster.reserve("maint", start_s=HOUR, nodes="ALL", flags="MAINT", users="root")
    job = cluster.submit(caller=THEM, time_limit_s=2 * HOUR)
    assert 0 < cluster.state.pending_columns.expected(job) < HOUR * US
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is Reason.RESERVED_MAINT


@pytest.mark.parametrize(
    "law", [{"preempt": "order", "order": "srtf"}, {"order": "packhorse"}, {"backfill": "none"}]
)
def test_every_order_keeps_to_windows(law: dict[str, str]) -> None:
    cluster = a_cluster(nodes=2, cpus=4, config=a_config(**law))
    cluster.reserve(start_s=HOUR, nodes="n1")
    long = cluster.submit(cpus=4, count=2, caller=THEM, time_limit_s=2 * HOUR)
    short = cluster.submit(cpus=2, caller=THEM, time_limit_s=HOUR)
    cluster.run_cycle()
    placed = [job for job in (long, long + 1) if isinstance(cluster.job(job).phase, Active)]
    assert [where(cluster, job) for job in placed] == [["n2"]]
    if law.get("backfill") != "none":
        assert where(cluster, short) == ["n1"]


def test_a_guide_leads_nobody_into_a_window() -> None:
    """What the solver says is a wish: a row is tried there, and nowhere that is closed to it."""
    cluster = a_cluster(nodes=3, cpus=4)
    cluster.reserve("r", start_s=HOUR, nodes="n1")
    cluster.reserve("cpus", nodes="n2", core_counts=(2,))
    long = cluster.submit(cpus=4, caller=THEM, time_limit_s=2 * HOUR)
    inside = cluster.submit(cpus=1, reservation="cpus", time_limit_s=60)
    guide = (Guided(long, (NodeName("n1"),)), Guided(inside, (NodeName("n3"),)))
    cluster.do(RunCycle(guide))
    assert (where(cluster, long), where(cluster, inside)) == (["n3"], ["n2"])


def test_a_running_job_gets_no_more_time_than_up_to_the_window() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve("maint", start_s=HOUR, nodes="n1", flags="MAINT", users="root")
    job = cluster.submit(caller=THEM, time_limit_s=600)
    cluster.run(job)
    [outcome] = cluster.update(job, caller=ADMIN, time_limit_s=2 * HOUR)
    assert "maint" in outcome.message
    [outcome] = cluster.update(job, caller=ADMIN, time_limit_s=HOUR)
    assert outcome.code is None


def test_what_ran_before_the_reservation_was_made_may_go_on() -> None:
    cluster = a_cluster(nodes=1)
    job = cluster.submit(caller=THEM, time_limit_s=2 * HOUR)
    cluster.run(job)
    refused = cluster.try_reserve("r", start_s=HOUR, hours=1, nodes="n1", users="mule")
    assert isinstance(refused, Refused) and refused.slurm == "Requested nodes are busy"
    cluster.reserve("r", start_s=HOUR, nodes="n1", flags="IGNORE_JOBS")
    cluster.pass_time(HOUR)
    assert cluster.state_of(job) == "RUNNING"


def test_one_that_is_unused_is_purged() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve(start_s=60, nodes="n1", flags="PURGE_COMP", purge_after_s=300)
    cluster.pass_time(60)
    job = cluster.submit(reservation="r", time_limit_s=HOUR)
    cluster.run(job)
    cluster.pass_time(1000)
    assert "r" in cluster.state.reservations
    cluster.exit(job)
    cluster.pass_time(299)
    assert "r" in cluster.state.reservations
    cluster.pass_time(1)
    assert "r" not in cluster.state.reservations


def test_jobs_are_let_go_where_the_flag_says_so() -> None:
    cluster = a_cluster(nodes=2)
    cluster.reserve(nodes="n1", flags="NO_HOLD_JOBS_AFTER")
    job = cluster.submit(cpus=8, count=2, reservation="r", time_limit_s=HOUR)
    cluster.run(job)
    array = cluster.submit_array("0-2", reservation="r", time_limit_s=60)
    cluster.pass_time(HOUR)
    assert cluster.job(job + 1).spec.reservation == "" == cluster.state.arrays[array].spec.reservation
    assert job + 1 in cluster.run_cycle()


def test_reservations_are_in_snapshots_and_in_replay() -> None:
    cluster = a_cluster(nodes=2)
    cluster.reserve(nodes="n1", flags="DAILY,PURGE_COMP")
    job = cluster.submit(reservation="r", time_limit_s=60)
    cluster.run(job)
    state = load(dump(cluster.state.freeze()))
    assert state == cluster.state == cluster.replayed()
    assert state.windows.inside == {"r": {job: None}} == cluster.replayed().windows.inside
    del state.reservations["r"]
    assert state != cluster.state


def test_permission_is_asked_for_again_at_the_start() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve(nodes="n1", start_s=60)
    job = cluster.submit(reservation="r", time_limit_s=60)
    cluster.change_reservation(users="donkey")
    cluster.pass_time(60)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is Reason.RESERVATION
    cluster.change_reservation(users="+mule")
    assert cluster.run_cycle() == [job]


def test_a_job_that_ends_by_itself_at_the_end_is_not_timed_out() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve(nodes="n1")
    job = cluster.submit(reservation="r", time_limit_s=2 * HOUR)
    cluster.run(job)
    cluster.pass_time(HOUR)
    cluster.exit(job, ended_at=Instant(cluster.clock.now - US))
    end = cluster.job(job).phase
    assert isinstance(end, Ended) and cluster.state_of(job) == "COMPLETED"


def test_nodes_in_maintenance_are_closed_to_other_reservations() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve("r", nodes="n1,n2", hours=5)
    cluster.reserve("maint", nodes="n1", hours=1, flags="MAINT", users="root")
    job = cluster.submit(cpus=4, count=2, reservation="r", time_limit_s=60)
    assert cluster.run_cycle() == [job]
    assert where(cluster, job) == ["n2"]


def test_structs_of_reservations_grow_at_the_end_only() -> None:
    r = a_cluster(nodes=1).reserve(nodes="n1")
    assert structs.astuple(r)[:4] == ("r", r.start_at, r.end_at, ("n1",))


def test_cpus_that_are_all_in_use_and_others_to_come() -> None:
    """Nothing is left of the present window's to be given back when it ends."""
    cluster = a_cluster(cpus=4)
    cluster.reserve("now", nodes="n1", core_counts=(2,))
    cluster.reserve("later", start_s=2 * HOUR, nodes="n1", core_counts=(2,))
    inside = cluster.submit(cpus=2, reservation="now")
    cluster.clock.advance(1)
    cluster.run(inside)
    assert cluster.run_cycle() == []
    outside = cluster.submit(cpus=2, time_limit_s=60)
    assert cluster.run_cycle() == [outside]


@pytest.mark.parametrize("start_s", [0, 30])
def test_an_exclusive_job_is_not_where_cpus_are_set_aside(start_s: int) -> None:
    """It asks for one CPU, and gets all that the node has."""
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.reserve(nodes="n1", core_counts=(3,), start_s=start_s)
    cluster.clock.advance(1)
    outside = [cluster.submit(caller=THEM, time_limit_s=60, exclusive=True) for _ in range(2)]
    inside = cluster.submit(reservation="r", time_limit_s=60, exclusive=True)
    assert cluster.run_cycle() == outside[:1] and where(cluster, outside[0]) == ["n2"]
    cluster.cancel(outside[1], inside, caller=ADMIN)
    plain = cluster.submit(caller=THEM, time_limit_s=60)
    assert cluster.run_cycle() == [plain]


def test_an_exclusive_job_is_where_all_cpus_are_set_aside_for_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.reserve(nodes="n1", core_counts=(4,))
    cluster.clock.advance(1)
    jobs = [cluster.submit(reservation="r", time_limit_s=60, exclusive=True) for _ in range(2)]
    assert cluster.run_cycle() == jobs[:1]
    assert cluster.run_cycle() == []

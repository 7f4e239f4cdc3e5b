"""Running jobs make room for those that have a right to it: who, when, how, and for whom the room is kept."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.step import next_timer
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import Partition, PreemptBy
from packhorse.scheduler.model.command import Signal, Terminate
from packhorse.scheduler.model.event import JobEnding, JobTerminating
from packhorse.scheduler.model.ids import US, JobId
from packhorse.scheduler.model.input import Caller, Requeue, SignalScope
from packhorse.scheduler.model.job import EndCause, Ended, WarnSignal
from packhorse.scheduler.model.resources import Gres
from tests.core.preempt.cluster_of import HIGH, LOW, a_qos, know, told, yielding
from tests.core.scenario import ADMIN, OTHER, USER

BOSS = Caller(USER, admin=True)

# -- who ---------------------------------------------------------------------------------------------------


def test_a_job_makes_room_for_one_of_a_qos_that_preempts_its_own() -> None:
    cluster = yielding()
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    cluster.run(low)
    cluster.clock.advance(100)
    high = cluster.submit(cpus=4, qos=HIGH, time_limit_s=1000)
    n = len(cluster.sent)
    assert told(cluster) == [low]
    (order,) = cluster.sent_since(n)
    assert isinstance(order, Terminate)
    assert (order.attempt.job, order.cause, order.grace_s) == (low, EndCause.PREEMPTED, 30)
    assert cluster.state_of(low) == "COMPLETING"
    assert cluster.reason_of(high) is Reason.RESOURCES
    assert told(cluster) == []
    cluster.exit(low, signal=15)
    assert cluster.run_cycle() == [high], "though the other was submitted before it"
    assert cluster.state_of(low) == "PENDING"
    cluster.start(high)
    cluster.exit(high)
    assert cluster.run_cycle() == [low]


@pytest.mark.parametrize(
    "first, second", [(HIGH, LOW), (LOW, LOW), (HIGH, HIGH), ("normal", HIGH), (LOW, "normal")]
)
def test_no_other_qos_has_that_right(first: str, second: str) -> None:
    cluster = yielding()
    cluster.run(cluster.submit(cpus=4, qos=first))
    cluster.submit(cpus=4, qos=second)
    assert told(cluster) == []


def test_a_higher_tier_preempts_a_lower_one() -> None:
    cluster = yielding(type=PreemptBy.PARTITION)
    low = cluster.submit(cpus=4)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == [], "of the same tier"
    fast = cluster.submit(cpus=4, partition="fast")
    assert told(cluster) == [low]
    assert cluster.active(low).ending_for == fast


def test_neither_counts_where_the_other_is_asked_for_and_none_where_nobody_is() -> None:
    for kind, right in ((PreemptBy.QOS, False), (PreemptBy.NONE, False), (PreemptBy.BOTH, True)):
        cluster = yielding(type=kind)
        low = cluster.submit(cpus=4)
        cluster.run(low)
        cluster.submit(cpus=4, partition="fast")
        assert told(cluster) == [low] * right
    for kind, right in ((PreemptBy.PARTITION, False), (PreemptBy.NONE, False), (PreemptBy.BOTH, True)):
        cluster = yielding(type=kind)
        low = cluster.submit(cpus=4, qos=LOW)
        cluster.run(low)
        cluster.submit(cpus=4, qos=HIGH)
        assert told(cluster) == [low] * right


def test_with_both_a_qos_gives_no_right_over_a_higher_tier() -> None:
    cluster = yielding(type=PreemptBy.BOTH)
    low = cluster.submit(cpus=4, qos=LOW, partition="fast")
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == []


def test_qos_that_preempt_in_a_circle_have_no_right() -> None:
    circle = (a_qos("a", "b"), a_qos("b", "c"), a_qos("c", "a"), a_qos("d", "a"))
    for one, other, right in (("a", "b", False), ("b", "c", False), ("c", "a", False), ("d", "a", True)):
        cluster = yielding(qos=circle)
        low = cluster.submit(cpus=4, qos=other)
        cluster.run(low)
        cluster.submit(cpus=4, qos=one)
        assert told(cluster) == [low] * right


def test_rights_follow_the_book_as_it_changes() -> None:
    cluster = yielding(qos=(a_qos(LOW), a_qos(HIGH)))
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == []
    know(cluster, a_qos(HIGH, LOW))
    assert told(cluster) == [low]


def test_jobs_of_a_mode_off_stay() -> None:
    cluster = yielding(qos=(a_qos(LOW, mode="off"), a_qos(HIGH, LOW)))
    cluster.run(cluster.submit(cpus=4, qos=LOW))
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == []


def test_the_partition_of_the_victim_says_how_where_a_tier_decides() -> None:
    off = Partition("slow", priority_tier=0, preempt_mode="cancel", grace_s=60)
    cluster = yielding(type=PreemptBy.PARTITION, others=(off,))
    slow = cluster.submit(cpus=4, partition="slow")
    cluster.run(slow)
    cluster.submit(cpus=4)
    assert told(cluster) == [slow]
    active = cluster.active(slow)
    assert active.ending_mode is PreemptMode.CANCEL
    assert active.terminate_at == cluster.clock.now + 60 * US


# -- when --------------------------------------------------------------------------------------------------


def test_nobody_makes_room_before_its_exempt_time_is_over() -> None:
    cluster = yielding(exempt_s=300)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == []
    at = next_timer(cluster.state)
    assert at == cluster.active(low).started_at + 300 * US, "a pass is due then"
    cluster.clock.advance(299)
    assert told(cluster) == []
    cluster.clock.advance(1)
    assert cluster.tick().more
    assert told(cluster) == [low]


def test_the_exempt_time_of_its_qos_comes_first() -> None:
    cluster = yielding(exempt_s=10, qos=(a_qos(LOW, exempt_s=100), a_qos(HIGH, LOW)))
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    cluster.clock.advance(99)
    assert told(cluster) == []
    cluster.clock.advance(1)
    assert told(cluster) == [low]


def test_free_room_is_used_first() -> None:
    cluster = yielding(nodes=2)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    high = cluster.submit(cpus=4, qos=HIGH)
    assert cluster.run_cycle() == [high]
    assert cluster.state_of(low) == "RUNNING"


def test_it_waits_where_it_would_start_as_soon_anyway() -> None:
    """The room is free in 25 s; a victim has 30 s (kill_wait) to end."""
    cluster = yielding(cpus=4)
    short = cluster.submit(cpus=2, time_limit_s=1000)
    low = cluster.submit(cpus=2, qos=LOW)
    cluster.run(short, low)
    cluster.clock.advance(975)
    cluster.submit(cpus=2, qos=HIGH)
    assert told(cluster) == []
    other = yielding(cpus=4)
    short, low = other.submit(cpus=2, time_limit_s=1000), other.submit(cpus=2, qos=LOW)
    other.run(short, low)
    other.clock.advance(900)
    other.submit(cpus=2, qos=HIGH)
    assert told(other) == [low]


def test_it_waits_for_those_who_are_leaving_already() -> None:
    cluster = yielding(nodes=2)
    jobs = [cluster.submit(cpus=4, qos=LOW) for _ in range(2)]
    cluster.run(*jobs)
    cluster.cancel(jobs[0])
    high = cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == []
    cluster.exit(jobs[0], signal=15)
    assert cluster.run_cycle() == [high]


def test_a_planned_start_before_it_is_not_delayed() -> None:
    """A job without rights comes first and is to have the node at the end of what runs there."""
    for limit, victims in ((400, 1), (600, 0)):
        cluster = yielding(cpus=4)
        low = cluster.submit(cpus=4, qos=LOW, time_limit_s=500)
        cluster.run(low)
        first = cluster.submit(cpus=4, time_limit_s=100)
        cluster.submit(cpus=4, qos=HIGH, time_limit_s=limit)
        assert told(cluster) == [low] * victims
        assert cluster.reason_of(first) is Reason.RESOURCES


def test_a_job_before_it_that_waits_for_no_end_in_sight_is_no_hindrance() -> None:
    cluster = yielding(cpus=4)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4)
    high = cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == [low]
    cluster.exit(low, signal=15)
    assert cluster.run_cycle() == [high]


def test_what_a_row_after_it_would_take_is_no_hindrance() -> None:
    """Two CPUs are free: the small job behind the high one could have them, and does not."""
    cluster = yielding(cpus=4)
    low = cluster.submit(cpus=2, qos=LOW, time_limit_s=1000)
    cluster.run(low)
    high = cluster.submit(cpus=4, qos=HIGH, time_limit_s=1000)
    small = cluster.submit(cpus=2, qos=LOW, time_limit_s=100)
    assert told(cluster) == [low]
    assert cluster.state_of(small) == "PENDING"
    cluster.exit(low, signal=15)
    assert cluster.run_cycle() == [high]


def test_a_start_that_is_not_in_the_way_is_made() -> None:
    cluster = yielding(nodes=2, cpus=4)
    low = cluster.submit(cpus=3, qos=LOW, time_limit_s=1000)
    normal = cluster.submit(cpus=3, time_limit_s=1000)
    cluster.run(low, normal)
    cluster.submit(cpus=4, qos=HIGH, time_limit_s=1000)
    small = cluster.submit(cpus=1, time_limit_s=1000, nodes_required=("n2",))
    assert cluster.active(normal).placements[0].node == "n2"
    assert cluster.run_cycle() == [small]
    assert cluster.state_of(low) == "COMPLETING"


# -- which -------------------------------------------------------------------------------------------------


def test_no_more_than_it_takes_and_those_that_lose_least() -> None:
    cluster = yielding(cpus=8)
    jobs = []
    for _ in range(4):
        jobs.append(cluster.submit(cpus=2, qos=LOW, time_limit_s=10_000))
        cluster.run(jobs[-1])
        cluster.clock.advance(100)
    cluster.submit(cpus=4, qos=HIGH, time_limit_s=10_000)
    assert sorted(told(cluster)) == [jobs[2], jobs[3]]


def test_one_that_loses_more_may_still_be_the_best_choice() -> None:
    """One job of 4 CPUs and 100 s against four of one CPU and 150 s each."""
    cluster = yielding(nodes=2, cpus=4)
    small = [cluster.submit(cpus=1, qos=LOW, time_limit_s=9000) for _ in range(4)]
    cluster.run(*small)
    cluster.clock.advance(50)
    large = cluster.submit(cpus=4, qos=LOW, time_limit_s=9000)
    cluster.run(large)
    cluster.clock.advance(100)
    cluster.submit(cpus=4, qos=HIGH, time_limit_s=9000)
    assert told(cluster) == [large]


def test_a_job_with_a_checkpoint_loses_nothing() -> None:
    cluster = yielding(cpus=4)
    old = cluster.submit(cpus=2, qos=LOW, checkpoint=WarnSignal(10, 60))
    cluster.run(old)
    cluster.clock.advance(5000)
    new = cluster.submit(cpus=2, qos=LOW)
    cluster.run(new)
    cluster.clock.advance(100)
    cluster.submit(cpus=2, qos=HIGH)
    assert told(cluster) == [old]


def test_a_job_on_several_nodes_gets_room_on_all_of_them() -> None:
    cluster = yielding(nodes=4, cpus=4)
    jobs = []
    for _ in range(4):
        jobs.append(cluster.submit(cpus=4, qos=LOW))
        cluster.run(jobs[-1])
        cluster.clock.advance(100)
    high = cluster.submit(cpus=4, nodes=2, qos=HIGH)
    assert sorted(told(cluster)) == jobs[2:]
    cluster.exit(jobs[2], signal=15)
    assert cluster.run_cycle() == []
    cluster.exit(jobs[3], signal=15)
    assert cluster.run_cycle() == [high]


def test_devices_make_room_too() -> None:
    cluster = yielding(cpus=8, gpus=4)
    jobs = [cluster.submit(gpus=1, qos=LOW) for _ in range(4)]
    cluster.run(*jobs)
    high = cluster.submit(gpus=2, qos=HIGH)
    victims = told(cluster)
    assert len(victims) == 2
    for job in victims:
        cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [high]


def test_two_shares_of_one_device_make_room_where_one_each_of_two_do_not() -> None:
    cluster = yielding(cpus=8, gpus=2)
    jobs = [cluster.submit(gres_per_node=(Gres("gpu", "", 1, 500),), qos=LOW) for _ in range(4)]
    cluster.run(*jobs)
    device = {job: cluster.active(job).placements[0].devices[0].indices for job in jobs}
    cluster.submit(gpus=1, qos=HIGH)
    victims = told(cluster)
    assert len(victims) == 2
    assert len({device[JobId(job)] for job in victims}) == 1


def test_nobody_leaves_in_vain() -> None:
    cluster = yielding(cpus=4)
    cluster.run(cluster.submit(cpus=2, qos=LOW), cluster.submit(cpus=2))
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == []


def test_at_most_so_many_in_one_pass() -> None:
    cluster = yielding(cpus=4, max_victims=3)
    cluster.run(*[cluster.submit(cpus=1, qos=LOW, time_limit_s=9000) for _ in range(4)])
    cluster.submit(cpus=4, qos=HIGH, time_limit_s=100)
    assert told(cluster) == []
    cluster.submit(cpus=3, qos=HIGH, time_limit_s=100)
    assert len(told(cluster)) == 3


def test_each_of_an_arrays_tasks_gets_its_own_room() -> None:
    cluster = yielding(cpus=4)
    jobs = [cluster.submit(cpus=2, qos=LOW) for _ in range(2)]
    cluster.run(*jobs)
    array = cluster.submit_array("0-2", cpus=2, qos=HIGH)
    assert sorted(told(cluster)) == jobs
    assert {cluster.active(job).ending_for for job in jobs} == {cluster.task(array, i) for i in (0, 1)}
    assert cluster.waiting(array) == "2"
    for job in jobs:
        cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [cluster.task(array, 0), cluster.task(array, 1)]


# -- how ---------------------------------------------------------------------------------------------------


def test_a_grace_time_begins_with_a_warning() -> None:
    cluster = yielding(grace_s=60)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    n = len(cluster.sent)
    told_at = cluster.clock.now
    assert told(cluster) == [low]
    (warning,) = cluster.sent_since(n)
    assert isinstance(warning, Signal)
    assert (warning.signal, warning.scope) == (15, SignalScope.STEPS)
    cluster.pass_time(59)
    assert cluster.sent_since(n + 1) == []
    cluster.pass_time(1)
    (order,) = cluster.sent_since(n + 1)
    assert isinstance(order, Terminate)
    assert order.grace_s == 30
    (event,) = [event for event in cluster.log if isinstance(event, JobTerminating)]
    assert event.at == told_at + 60 * US


@pytest.mark.parametrize(
    "asked, given", [(30, 60), (200, 200), (4000, 300)], ids=["grace", "its own", "the longest"]
)
def test_the_checkpoint_signal_is_its_warning(asked: int, given: int) -> None:
    cluster = yielding(grace_s=60)
    low = cluster.submit(cpus=4, qos=LOW, checkpoint=WarnSignal(10, asked, asked < 4000), warn=WarnSignal(12))
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    n = len(cluster.sent)
    assert told(cluster) == [low]
    (warning,) = cluster.sent_since(n)
    assert isinstance(warning, Signal)
    assert (warning.signal, warning.scope) == (10, SignalScope.BATCH if asked < 4000 else SignalScope.ALL)
    assert cluster.active(low).terminate_at == cluster.clock.now + given * US


def test_the_signal_of_signal_is_the_warning_of_others() -> None:
    cluster = yielding(grace_s=60)
    cluster.run(cluster.submit(cpus=4, qos=LOW, warn=WarnSignal(12)))
    cluster.submit(cpus=4, qos=HIGH)
    n = len(cluster.sent)
    told(cluster)
    (warning,) = cluster.sent_since(n)
    assert isinstance(warning, Signal) and warning.signal == 12


def test_a_job_that_ends_after_its_checkpoint_goes_on_later_and_one_without_has_ended() -> None:
    for checkpoint, state in ((WarnSignal(10, 60), "PENDING"), (None, "COMPLETED")):
        cluster = yielding(grace_s=60)
        low = cluster.submit(cpus=4, qos=LOW, checkpoint=checkpoint)
        cluster.run(low)
        cluster.submit(cpus=4, qos=HIGH)
        assert told(cluster) == [low]
        cluster.clock.advance(5)
        cluster.exit(low, 0)
        assert cluster.state_of(low) == state
    cluster = yielding(grace_s=60)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    told(cluster)
    cluster.exit(low, signal=15)
    assert cluster.state_of(low) == "PENDING", "the warning ended it"


def test_cancelled_is_over() -> None:
    cluster = yielding(mode=PreemptMode.CANCEL)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    high = cluster.submit(cpus=4, qos=HIGH, caller=Caller(OTHER))
    assert told(cluster) == [low]
    cluster.exit(low, signal=15)
    phase = cluster.job(low).phase
    assert isinstance(phase, Ended)
    assert (phase.state, phase.exit_signal) == ("PREEMPTED", 15)
    why = f"made room for job {high} of QOS high (donkey)"
    assert phase.detail == why
    assert (cluster.rows[-1].state, cluster.rows[-1].detail) == ("PREEMPTED", why)
    assert (cluster.job(low).preempted_by, cluster.job(low).preempted_why) == (high, why)
    assert load(dump(cluster.state.freeze())) == cluster.state == cluster.replayed()
    assert cluster.run_cycle() == [high]
    assert cluster.requeue(low)[0].code is None, "as any job that is over"


def test_what_may_not_be_requeued_is_cancelled() -> None:
    cluster = yielding()
    low = cluster.submit(cpus=4, qos=LOW, requeue=False)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == [low]
    cluster.exit(low, signal=15)
    assert cluster.state_of(low) == "PREEMPTED"


def test_what_its_record_says_once_it_waits_again() -> None:
    cluster = yielding(max_victims=1, fields={"max_requeues": 0})
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.clock.advance(100)
    high = cluster.submit(cpus=4, qos=HIGH)
    told(cluster)
    told_at = cluster.clock.now
    cluster.clock.advance(10)
    cluster.exit(low, signal=15)
    job = cluster.job(low)
    why = f"made room for job {high} of QOS high (mule)"
    assert (job.preempted_by, job.preempted_at, job.preempted_why) == (high, told_at, why)
    assert (job.restarts, job.preemptions, job.retries) == (1, 1, 0)
    assert cluster.rows[-1].detail == why
    (event,) = [event for event in cluster.log if isinstance(event, JobEnding)]
    assert (event.for_job, event.why, event.by) == (high, why, -1)
    assert load(dump(cluster.state.freeze())) == cluster.state == cluster.replayed()


def test_who_is_cancelled_while_making_room_is_cancelled() -> None:
    cluster = yielding(grace_s=60)
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    cluster.submit(cpus=4, qos=HIGH)
    told(cluster)
    cluster.cancel(low)
    cluster.exit(low, signal=15)
    assert cluster.state_of(low) == "CANCELLED"


# -- for whom ----------------------------------------------------------------------------------------------


def test_the_room_is_kept_until_all_have_left() -> None:
    """Two of three victims have left: nobody who comes first in the order, or is small, gets their room."""
    cluster = yielding(cpus=6)
    jobs = [cluster.submit(cpus=2, qos=LOW, time_limit_s=9000) for _ in range(3)]
    cluster.run(*jobs)
    high = cluster.submit(cpus=6, qos=HIGH, time_limit_s=9000)
    assert sorted(told(cluster)) == jobs
    for job in jobs[:2]:
        cluster.exit(job, signal=15)
        cluster.submit(cpus=1, time_limit_s=100, priority=1_000_000, caller=BOSS)
        assert cluster.run_cycle() == []
    cluster.exit(jobs[2], signal=15)
    assert cluster.run_cycle() == [high]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_two_jobs_keep_what_each_was_promised(depth: int) -> None:
    cluster = yielding(nodes=2, cpus=4, fields={"backfill_depth": depth})
    jobs = [cluster.submit(cpus=4, qos=LOW, time_limit_s=9000) for _ in range(2)]
    cluster.run(*jobs)
    high = [cluster.submit(cpus=4, qos=HIGH, time_limit_s=9000) for _ in range(2)]
    assert sorted(told(cluster)) == jobs
    assert sorted(cluster.active(job).ending_for for job in jobs) == high
    cluster.submit(cpus=4, time_limit_s=9000, priority=1_000_000, caller=BOSS)
    cluster.exit(jobs[1], signal=15)
    (first,) = cluster.run_cycle()
    cluster.exit(jobs[0], signal=15)
    (second,) = cluster.run_cycle()
    assert {first, second} == set(high)


def test_room_is_not_kept_for_ever() -> None:
    cluster = yielding(cpus=4, nodes=2)
    low = cluster.submit(cpus=4, qos=LOW, nodes_required=("n1",), time_limit_s=9000)
    other = cluster.submit(cpus=4, nodes_required=("n2",), time_limit_s=9000)
    cluster.run(low, other)
    cluster.submit(cpus=4, qos=HIGH, time_limit_s=9000)
    assert told(cluster) == [low]
    cluster.drain("n1")
    cluster.exit(low, signal=15)
    first = cluster.submit(cpus=2, time_limit_s=9000, priority=1_000_000, caller=BOSS)
    cluster.clock.advance(30 + 120)
    cluster.resume("n1")
    assert cluster.run_cycle() == [first]


def test_a_job_that_is_held_meanwhile_keeps_nothing() -> None:
    cluster = yielding()
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    high = cluster.submit(cpus=4, qos=HIGH)
    told(cluster)
    cluster.hold(high, caller=ADMIN)
    cluster.exit(low, signal=15)
    assert cluster.run_cycle() == [low]


def test_a_restart_changes_nothing() -> None:
    cluster = yielding(cpus=6, grace_s=20)
    jobs = [cluster.submit(cpus=2, qos=LOW, time_limit_s=9000) for _ in range(3)]
    cluster.run(*jobs)
    high = cluster.submit(cpus=6, qos=HIGH, time_limit_s=9000)
    assert sorted(told(cluster)) == jobs
    cluster.pass_time(20)
    cluster.exit(jobs[0], signal=15)
    cluster.submit(cpus=1, time_limit_s=60, priority=1_000_000, caller=BOSS)
    cluster.state = load(dump(cluster.state.freeze()))
    assert cluster.run_cycle() == []
    cluster.exit(jobs[1], signal=15)
    cluster.exit(jobs[2], signal=15)
    assert cluster.run_cycle() == [high]


def test_it_does_not_go_back_and_forth() -> None:
    """Low and high jobs without end: whoever made room waits until the high ones are through."""
    cluster = yielding()
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    high = [cluster.submit(cpus=4, qos=HIGH) for _ in range(3)]
    assert told(cluster) == [low]
    cluster.exit(low, signal=15)
    for job in high:
        assert cluster.run_cycle() == [job], "and not the low one, which was there before"
        cluster.start(job)
        assert told(cluster) == []
        cluster.exit(job)
    assert cluster.run_cycle() == [low]


def test_requeue_by_hand_is_another_matter() -> None:
    """Room that is kept for a job is kept also from one that somebody requeued."""
    cluster = yielding(nodes=2, cpus=4)
    low, normal = cluster.submit(cpus=4, qos=LOW), cluster.submit(cpus=4)
    cluster.run(low, normal)
    high = cluster.submit(cpus=4, qos=HIGH)
    assert told(cluster) == [low]
    cluster.do(Requeue(ADMIN, cluster.targets(normal)))
    cluster.pass_time(5)
    cluster.exit(low, signal=15)
    assert cluster.run_cycle() == [high]


def test_nobody_starts_only_to_be_stopped_and_nobody_else_gives_way() -> None:
    """Two nodes are free. First come a low job and a normal one, then the high one: it takes the place of the
    low one, and not of the other."""
    cluster = yielding(nodes=2, cpus=4)
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    normal = cluster.submit(cpus=4, time_limit_s=1000)
    high = cluster.submit(cpus=4, qos=HIGH, time_limit_s=1000)
    assert sorted(cluster.run_cycle()) == [normal, high]
    assert told(cluster) == []
    assert cluster.state_of(low) == "PENDING"


def test_with_an_exempt_time_the_first_in_the_order_starts() -> None:
    cluster = yielding(exempt_s=60)
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    cluster.submit(cpus=4, qos=HIGH, time_limit_s=1000)
    assert cluster.run_cycle() == [low]

"""preempt = "order": running and waiting jobs in one order, and who has to make room for whom."""

import pytest

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.step import next_timer
from packhorse.scheduler.model.command import Launch, Terminate
from packhorse.scheduler.model.event import JobEnding, JobsRanked
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.input import Caller, Start
from packhorse.scheduler.model.job import EndCause
from packhorse.scheduler.model.resources import Gres
from tests.core.scenario import OTHER, Cluster, a_cluster, a_config, a_node


def preemptive(
    order: str = "srtf", nodes: int = 1, cpus: int = 4, gpus: int = 0, **fields: object
) -> Cluster:
    """Equal nodes under the order."""
    config = a_config(order=order, preempt="order", **fields)
    return a_cluster(nodes, cpus, gpus=gpus, config=config)


def stopped(cluster: Cluster) -> list[int]:
    """Jobs that are told to make room by the next cycle."""
    n = len(cluster.log)
    assert cluster.run_cycle() == []
    return [event.job for event in cluster.log[n:] if isinstance(event, JobEnding)]


def test_a_better_job_starts_once_the_room_is_free_and_not_before() -> None:
    cluster = preemptive()
    long = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run(long)
    cluster.clock.advance(100)
    short = cluster.submit(cpus=4, time_limit_s=60)
    n = len(cluster.sent)
    assert cluster.run_cycle() == []
    (told,) = cluster.sent[n:]
    assert isinstance(told, Terminate)
    assert (told.attempt.job, told.cause) == (long, EndCause.PREEMPTED)
    assert cluster.state_of(long) == "COMPLETING"
    assert cluster.reason_of(short) is Reason.RESOURCES
    cluster.clock.advance(5)
    assert stopped(cluster) == []
    cluster.exit(long, signal=15)
    assert cluster.state_of(long) == "PENDING"
    assert cluster.run_cycle() == [short]
    assert cluster.run_cycle() == []


def test_what_the_books_say_of_it() -> None:
    cluster = preemptive()
    long = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run(long)
    cluster.clock.advance(100)
    short = cluster.submit(cpus=4, time_limit_s=60, caller=Caller(OTHER))
    cluster.run_cycle()
    assert cluster.active(long).ending_by == -1
    assert cluster.active(long).ending_for == short
    cluster.exit(long, signal=15)
    (row,) = cluster.rows
    assert (row.job, row.state, row.exit_signal) == (long, "PREEMPTED", 15)
    assert row.cancelled_by == -1
    assert row.detail == f"made room for job {short}"
    job = cluster.job(long)
    assert (job.restarts, job.preemptions, job.retries, job.ran_us) == (1, 1, 0, 100 * US)
    assert job.phase.begin_at == 0  # type: ignore[union-attr]  # no requeue delay
    assert load(dump(cluster.state.freeze())) == cluster.state == cluster.replayed()


def test_it_goes_on_with_what_it_has_left_to_run() -> None:
    """A job that has run 990 of its 1000 seconds comes before one of 60."""
    cluster = preemptive()
    long = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run(long)
    cluster.clock.advance(930)
    first = cluster.submit(cpus=4, time_limit_s=60)
    assert stopped(cluster) == [long]
    cluster.exit(long, signal=15)
    cluster.run(first)
    cluster.clock.advance(60)
    cluster.exit(first)
    cluster.run(long)
    cluster.clock.advance(20)
    second = cluster.submit(cpus=4, time_limit_s=60)
    assert stopped(cluster) == []
    cluster.clock.advance(10)
    cluster.exit(long)
    assert cluster.run_cycle() == [second]
    assert [row.state for row in cluster.rows] == ["PREEMPTED", "COMPLETED", "COMPLETED"]


def test_no_more_are_stopped_than_it_takes_and_the_last_ones_first() -> None:
    cluster = preemptive(cpus=4)
    limits = (4000, 1000, 3000, 2000)
    jobs = [cluster.submit(time_limit_s=limit) for limit in limits]
    cluster.run(*jobs)
    cluster.submit(cpus=2, time_limit_s=60)
    assert stopped(cluster) == [jobs[2], jobs[0]]


def test_a_job_is_not_stopped_where_that_does_not_help() -> None:
    """The last in the order is on a node on which a better one leaves too little room."""
    cluster = preemptive(nodes=2, cpus=4)
    last = cluster.submit(cpus=1, time_limit_s=9000)
    good = cluster.submit(cpus=3, time_limit_s=10)
    middle = cluster.submit(cpus=4, time_limit_s=5000)
    cluster.run(last, good, middle)
    assert cluster.active(last).placements[0].node == cluster.active(good).placements[0].node
    cluster.submit(cpus=4, time_limit_s=100)
    assert stopped(cluster) == [middle]


def test_free_room_is_used_before_anybody_is_stopped() -> None:
    cluster = preemptive(nodes=2, cpus=4)
    long = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run(long)
    short = cluster.submit(cpus=4, time_limit_s=60)
    assert cluster.run_cycle() == [short]
    assert cluster.state_of(long) == "RUNNING"


def test_what_does_not_fit_is_skipped_and_the_walk_goes_on() -> None:
    cluster = preemptive(cpus=4)
    best = cluster.submit(cpus=2, time_limit_s=10)
    cluster.run(best)
    wide = cluster.submit(cpus=4, time_limit_s=20)
    small = cluster.submit(cpus=2, time_limit_s=3000)
    assert cluster.run_cycle() == [small]
    assert cluster.reason_of(wide) is Reason.RESOURCES


def test_nobody_takes_the_room_that_is_kept_for_a_better_job() -> None:
    """One CPU is free; a job of one CPU could have it, but the better one needs all four."""
    cluster = preemptive(cpus=4)
    long = cluster.submit(cpus=3, time_limit_s=1000)
    cluster.run(long)
    wide = cluster.submit(cpus=4, time_limit_s=60)
    cluster.submit(cpus=1, time_limit_s=100)
    assert stopped(cluster) == [long]
    assert stopped(cluster) == []
    cluster.exit(long, signal=15)
    assert cluster.run_cycle() == [wide]


def test_jobs_that_may_not_be_requeued_stay() -> None:
    cluster = preemptive()
    long = cluster.submit(cpus=4, time_limit_s=1000, requeue=False)
    cluster.run(long)
    cluster.submit(cpus=4, time_limit_s=60)
    assert stopped(cluster) == []


def test_ties_are_by_submission_and_nothing_goes_back_and_forth() -> None:
    cluster = preemptive()
    jobs = [cluster.submit(cpus=4, time_limit_s=100) for _ in range(3)]
    cluster.run(jobs[0])
    for _ in range(5):
        assert stopped(cluster) == []
    late = cluster.submit(cpus=4, time_limit_s=50)
    for _ in range(5):
        cluster.run_cycle()
        for job in (*jobs, late):
            if cluster.state_of(job) == "COMPLETING":
                cluster.exit(job, signal=15)
    ended = [event for event in cluster.log if isinstance(event, JobEnding)]
    assert [event.job for event in ended] == [jobs[0]]
    assert cluster.state_of(late) == "CONFIGURING"
    cluster.start(late)
    cluster.exit(late)
    assert cluster.run_cycle() == [jobs[0]], "it has kept its place"


def test_being_stopped_does_not_wear_a_job_out() -> None:
    cluster = preemptive(max_requeues=1)
    long = cluster.submit(cpus=4, time_limit_s=1000)
    for _ in range(3):
        cluster.run(long)
        short = cluster.submit(cpus=4, time_limit_s=10)
        cluster.run_cycle()
        cluster.exit(long, signal=15)
        cluster.run(short)
        cluster.exit(short)
    assert cluster.job(long).restarts == 3
    cluster.run(long)
    cluster.register("n1", reboot=True)
    cluster.pass_time(5)
    assert cluster.run_cycle() == [long], "its node failed once, and that is within max_requeues"


def test_a_cancelled_job_is_not_requeued() -> None:
    cluster = preemptive()
    long = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run(long)
    cluster.submit(cpus=4, time_limit_s=60)
    cluster.run_cycle()
    cluster.cancel(long)
    cluster.exit(long, signal=15)
    assert cluster.state_of(long) == "CANCELLED"


def test_the_node_dies_under_a_job_that_makes_room() -> None:
    cluster = preemptive()
    long = cluster.submit(cpus=4, time_limit_s=1000)
    cluster.run(long)
    short = cluster.submit(cpus=4, time_limit_s=60)
    cluster.run_cycle()
    cluster.register("n1", reboot=True)
    assert cluster.state_of(long) == "PENDING"
    assert cluster.job(long).preemptions == 1
    assert cluster.run_cycle() == [short]


def test_devices_are_never_promised_twice() -> None:
    """Each of two better jobs has two GPUs of its own stopped for it, on the same node."""
    cluster = preemptive("srsf", cpus=8, gpus=4)
    jobs = [cluster.submit(gpus=1, time_limit_s=1000 + i) for i in range(4)]
    cluster.run(*jobs)
    better = [cluster.submit(gpus=2, time_limit_s=10 + i) for i in range(2)]
    assert sorted(stopped(cluster)) == jobs
    for job in jobs[2:]:
        cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [better[0]]
    for job in jobs[:2]:
        cluster.exit(job, signal=15)
    assert cluster.run_cycle() == [better[1]]


def test_a_device_cut_in_this_pass_is_cut_in_what_would_be_free() -> None:
    """The first slice goes out at once; room for the second is looked for beside it."""
    cluster = Cluster(a_config(order="srtf", preempt="order"))
    cluster.register(a_node("n1", cpus=4, gpus=1, layouts=(("1g.10gb", "1g.10gb"),)))
    long = cluster.submit(cpus=3, time_limit_s=1000)
    cluster.run(long)
    slices = (Gres("gpu", "1g.10gb", 1),)
    first = cluster.submit(cpus=1, gres_per_node=slices, time_limit_s=10)
    second = cluster.submit(cpus=1, gres_per_node=slices, time_limit_s=20)
    assert cluster.run_cycle() == [first]
    assert cluster.state_of(long) == "COMPLETING"
    cluster.exit(long, signal=15)
    assert cluster.run_cycle() == [second]


def test_an_array_is_walked_task_by_task() -> None:
    cluster = preemptive(cpus=4)
    long = cluster.submit(cpus=2, time_limit_s=1000)
    longer = cluster.submit(cpus=2, time_limit_s=2000)
    cluster.run(long, longer)
    cluster.submit_array("0-1", cpus=2, time_limit_s=60)
    assert sorted(stopped(cluster)) == [long, longer]
    cluster.exit(longer, signal=15)
    cluster.exit(long, signal=15)
    assert len(cluster.run_cycle()) == 2


def test_priority_comes_before_the_order() -> None:
    cluster = preemptive()
    short = cluster.submit(cpus=4, time_limit_s=60, nice=100)
    cluster.run(short)
    cluster.submit(cpus=4, time_limit_s=9000)
    assert stopped(cluster) == [short]


def test_srsf_counts_devices() -> None:
    """30 s on four GPUs are more than 60 s on one."""
    cluster = preemptive("srsf", cpus=8, gpus=4)
    wide = cluster.submit(gpus=4, time_limit_s=30)
    cluster.run(wide)
    cluster.submit(gpus=1, time_limit_s=60)
    assert stopped(cluster) == [wide]


def test_a_job_falls_into_the_next_queue_and_the_core_wakes_up_for_it() -> None:
    """3250 GPU-seconds on four GPUs are 813 s, rounded up."""
    cluster = preemptive("las2d", cpus=8, gpus=4)
    first = cluster.submit(gpus=4, time_limit_s=90_000)
    cluster.run(first)
    since = cluster.active(first).started_at
    second = cluster.submit(gpus=4, time_limit_s=90_000)
    assert stopped(cluster) == []
    assert next_timer(cluster.state) == since + 813 * US
    cluster.pass_time(813)
    assert isinstance(cluster.log[-1], JobsRanked)
    assert next_timer(cluster.state) == since + 1800 * US
    assert stopped(cluster) == [first]
    cluster.exit(first, signal=15)
    assert cluster.run_cycle() == [second]
    cluster.start(second)
    cluster.pass_time(813)
    assert stopped(cluster) == [second], "the other one came to the queue before it"
    cluster.exit(second, signal=15)
    cluster.run(first)
    cluster.pass_time(1)
    assert stopped(cluster) == [], "within a queue nobody makes room"
    assert next_timer(cluster.state) == cluster.active(first).started_at + (1800 - 813) * US
    again = load(dump(cluster.state.freeze()))
    assert next_timer(again) == next_timer(cluster.state)


def test_timers_follow_the_configuration() -> None:
    cluster = a_cluster(1, 8, gpus=4)
    job = cluster.submit(gpus=4, time_limit_s=90_000)
    cluster.run(job)
    cluster.do(Start(a_config(order="las2d", preempt="order")))
    assert next_timer(cluster.state) == cluster.active(job).started_at + 813 * US


@pytest.mark.parametrize(
    "order", ["srtf", "srsf", "las2d", "priority", "drf", "fairshare-age", "wfp3", "multifactor"]
)
def test_no_order_goes_back_and_forth_within_an_instant(order: str) -> None:
    cluster = preemptive(order, nodes=2, cpus=8, gpus=4)
    for i in range(12):
        caller = Caller(OTHER) if i % 3 else None
        cluster.submit(gpus=1 + i % 4, time_limit_s=100 + 700 * (i * 5 % 12), caller=caller)
        for _ in range(10):
            n = len(cluster.sent)
            cluster.run_cycle()
            told = [command for command in cluster.sent[n:] if isinstance(command, Launch | Terminate)]
            for command in told:
                if isinstance(command, Terminate):
                    cluster.exit(command.attempt.job, signal=15)
                else:
                    cluster.start(command.job)
            if not told:
                break
        else:
            raise AssertionError("it never ends")
        cluster.pass_time(300)

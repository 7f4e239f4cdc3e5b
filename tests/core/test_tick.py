"""What time alone brings about."""

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.step import next_timer
from packhorse.scheduler.core.timers import Timer
from packhorse.scheduler.model.command import SetTimeLimit, Signal, Terminate
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.input import SignalScope
from packhorse.scheduler.model.job import EndCause, WarnSignal
from tests.core.scenario import ADMIN, NOON, a_cluster, a_config


def test_nothing_is_due_in_an_idle_cluster() -> None:
    cluster = a_cluster()
    assert next_timer(cluster.state) is None
    assert cluster.tick().events == ()


def test_begin_times() -> None:
    cluster = a_cluster()
    later = cluster.submit(begin_at=Instant(NOON + 60 * US))
    past = cluster.submit(begin_at=Instant(NOON - 60 * US))
    assert cluster.reason_of(later) is Reason.BEGIN_TIME
    assert cluster.run_cycle() == [past]
    assert next_timer(cluster.state) == NOON + 60 * US
    cluster.pass_time(60)
    assert cluster.run_cycle() == [later]


def test_a_hold_outlasts_the_begin_time() -> None:
    cluster = a_cluster()
    job = cluster.submit(begin_at=Instant(NOON + 60 * US))
    cluster.hold(job)
    cluster.pass_time(120)
    assert cluster.reason_of(job) is Reason.HELD_USER
    cluster.release(job)
    assert cluster.run_cycle() == [job]


def test_a_changed_begin_time_counts() -> None:
    cluster = a_cluster()
    job = cluster.submit(begin_at=Instant(NOON + 60 * US))
    array = cluster.submit_array("0-3", begin_at=Instant(NOON + 60 * US))
    cluster.update(job, array, begin_at=Instant(NOON + 10 * US))
    cluster.pass_time(10)
    assert len(cluster.run_cycle()) == 5


def test_time_limits_run_from_the_start_of_the_script() -> None:
    cluster = a_cluster()
    job = cluster.submit(time_limit_s=100)
    cluster.run_cycle()
    cluster.pass_time(50)
    cluster.start(job)
    cluster.pass_time(99)
    assert cluster.state_of(job) == "RUNNING"
    cluster.pass_time(1)
    assert cluster.state_of(job) == "COMPLETING"
    assert cluster.sent[-1] == Terminate(
        cluster.active(job).placements[0].node, cluster.active(job).attempt, 30, EndCause.TIME_LIMIT
    )
    cluster.exit(job, 0, signal=15)
    assert cluster.state_of(job) == "TIMEOUT"
    assert (cluster.rows[-1].reason, cluster.rows[-1].exit_signal) == ("TimeLimit", 15)


def test_the_warning_comes_once_and_before_the_end() -> None:
    cluster = a_cluster()
    job = cluster.submit(time_limit_s=100, warn=WarnSignal(10, 40, batch_only=True))
    short = cluster.submit(time_limit_s=30, warn=WarnSignal(12, 60))
    cluster.run(job, short)
    n = len(cluster.sent)
    cluster.pass_time(59)
    key = cluster.active(job).attempt
    assert [c.signal for c in cluster.sent[n:] if isinstance(c, Signal)] == [12]
    n = len(cluster.sent)
    cluster.pass_time(40)
    assert cluster.sent[n:] == [Signal(cluster.active(job).placements[0].node, key, 10, SignalScope.BATCH)]
    cluster.pass_time(10)
    assert cluster.state_of(job) == "COMPLETING"


def test_a_warning_at_the_very_end_does_not_follow_it() -> None:
    cluster = a_cluster()
    job = cluster.submit(time_limit_s=100, warn=WarnSignal(10, 0))
    cluster.run(job)
    cluster.clock.advance(500)
    cluster.pass_time(0)
    assert cluster.state_of(job) == "COMPLETING"


def test_changing_the_limit_of_a_running_job() -> None:
    cluster = a_cluster()
    job = cluster.submit(time_limit_s=100)
    cluster.run(job)
    assert cluster.update(job, time_limit_s=50)[0].code is None
    assert isinstance(cluster.sent[-1], SetTimeLimit)
    assert cluster.update(job, time_limit_s=200)[0].slurm == "Access/permission denied"
    cluster.update(job, time_limit_by_s=150, caller=ADMIN)
    cluster.pass_time(199)
    assert cluster.state_of(job) == "RUNNING"
    cluster.update(job, time_limit_s=0, caller=ADMIN)
    cluster.pass_time(1000)
    assert cluster.state_of(job) == "RUNNING"
    cluster.update(job, time_limit_s=60)
    cluster.pass_time(0)
    assert cluster.state_of(job) == "COMPLETING"


def test_finished_jobs_are_forgotten_after_their_time() -> None:
    cluster = a_cluster(config=a_config(min_job_age_s=300))
    job = cluster.submit()
    cluster.cancel(job)
    cluster.pass_time(299)
    assert job in cluster.state.jobs
    cluster.pass_time(6)
    assert job not in cluster.state.jobs
    assert next_timer(cluster.state) is None
    # Its number is not used again.
    assert cluster.submit() == job + 1


def test_too_many_finished_jobs_are_forgotten_early_oldest_first() -> None:
    cluster = a_cluster(config=a_config(max_finished_kept=50))
    first = cluster.submit(count=60)
    for job in range(first, first + 60):
        cluster.cancel(job)
        cluster.pass_time(0)
    assert min(cluster.state.finished) > first
    assert 50 <= len(cluster.state.finished) <= 51


def test_timers_of_jobs_that_ended_early_do_not_pile_up() -> None:
    cluster = a_cluster(cpus=64, config=a_config(max_finished_kept=10))
    for _ in range(5):
        cluster.state.timers.add(Instant(NOON + US), Timer.LIMIT, cluster.submit())
    job = cluster.submit(begin_at=Instant(NOON + 50 * US))
    for i in range(10_000):
        cluster.state.timers.add(Instant(NOON + 86_400 * US + i), Timer.LIMIT, job)
    assert next_timer(cluster.state) == NOON + 50 * US
    assert len(cluster.state.timers) == 1

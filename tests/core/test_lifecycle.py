"""From the grant to the exit: what an agent's reports make of a job."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.command import AckExit, Launch, Signal, Terminate
from packhorse.scheduler.model.errors import InvalidTransition
from packhorse.scheduler.model.event import AttemptStarted, JobEnded, JobRequeued
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, ReportStart
from packhorse.scheduler.model.job import EndCause, Ended, JobState, Pending, Retry
from packhorse.scheduler.model.resources import Usage
from tests.core.scenario import NOON, OTHER, a_cluster, a_config


def test_a_job_runs_and_completes() -> None:
    cluster = a_cluster(cpus=4)
    job = cluster.submit(cpus=2)
    assert cluster.state_of(job) == "PENDING"
    assert cluster.run_cycle() == [job]
    assert cluster.state_of(job) == "CONFIGURING"
    assert cluster.sent == [Launch(NodeName("n1"), job, AttemptKey(job, 1, 1))]
    cluster.start(job)
    assert cluster.state_of(job) == "RUNNING"
    cluster.clock.advance(60)
    cluster.exit(job, usage=Usage(user_cpu_us=5))
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert (end.state, end.exit_code, end.reason) == (JobState.COMPLETED, 0, "None")
    assert (end.started_at, end.ended_at) == (NOON, NOON + 60 * US)
    assert end.usage.user_cpu_us == 5
    assert cluster.sent[-1] == AckExit(NodeName("n1"), AttemptKey(job, 1, 1))
    assert cluster.state.node_columns.amounts_free(NodeName("n1"))["cpu_milli"] == 4000


@pytest.mark.parametrize(
    ("report", "state", "code", "signal", "reason", "detail"),
    [
        ({"code": 3}, "FAILED", 3, 0, "NonZeroExitCode", ""),
        ({"signal": 9}, "FAILED", 0, 9, "JobLaunchFailure", "the batch script was ended by signal 9"),
        ({"signal": 11}, "FAILED", 0, 11, "JobLaunchFailure", "the batch script was ended by signal 11"),
        ({"signal": 9, "cause": "oom"}, "OUT_OF_MEMORY", 0, 125, "OutOfMemory", "memory limit"),
        ({"code": 4, "cause": "oom", "detail": "9 MiB"}, "OUT_OF_MEMORY", 0, 125, "OutOfMemory", "9 MiB"),
        ({"signal": 9, "cause": "terminated", "detail": "many"}, "FAILED", 0, 9, "JobLaunchFailure", "many"),
        ({"signal": 15, "cause": "time_limit"}, "TIMEOUT", 0, 15, "TimeLimit", ""),
        ({"code": 127, "launch_error": "no /bin/x"}, "FAILED", 127, 0, "JobLaunchFailure", "/bin/x"),
        ({"code": 0, "launch_error": "no /gone"}, "FAILED", 1, 0, "JobLaunchFailure", "/gone"),
    ],
)  # fmt: skip
def test_failing_ends(
    report: dict[str, object], state: str, code: int, signal: int, reason: str, detail: str
) -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    cluster.exit(job, **report)  # type: ignore[arg-type]
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert (end.state, end.exit_code, end.exit_signal, end.reason) == (state, code, signal, reason)
    assert detail in end.detail


def test_an_exit_before_the_start_was_heard_of_counts_from_the_reported_start() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    cluster.clock.advance(10)
    cluster.exit(job, 0, started_at=NOON + 2 * US, ended_at=NOON + 7 * US)
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert (end.started_at, end.ended_at) == (NOON + 2 * US, NOON + 7 * US)
    # The start that was overtaken is answered with an order to stop, and changes nothing.
    cluster.do(ReportStart(NodeName("n1"), AttemptKey(job, 1, 1), cluster.clock.now))
    assert isinstance(cluster.sent[-1], Terminate)
    assert cluster.sent[-1].cause is EndCause.STALE


def test_a_nodes_clock_that_contradicts_ours_is_bounded_by_it() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    cluster.clock.advance(10)
    cluster.exit(job, 0, started_at=NOON - 3600 * US, ended_at=NOON + 3600 * US)
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert (end.started_at, end.ended_at) == (NOON, NOON + 10 * US)


INSTANTS = st.one_of(st.just(0), st.integers(-(2**62), 2**62), st.integers(NOON - 200 * US, NOON + 200 * US))


@settings(max_examples=80, deadline=None)
@given(first=INSTANTS, started=INSTANTS, ended=INSTANTS)
def test_no_report_makes_a_run_that_ends_before_it_began_or_later_than_now(
    first: int, started: int, ended: int
) -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    key = cluster.active(job).attempt
    cluster.do(ReportStart(NodeName("n1"), key, Instant(first)))
    cluster.clock.advance(100)
    cluster.exit(job, started_at=Instant(started), ended_at=Instant(ended))
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert NOON <= end.started_at <= end.ended_at <= NOON + 100 * US


@pytest.mark.parametrize("off_s", [-86_400, -5, 0, 5, 86_400])
def test_a_run_is_as_long_as_it_was_however_wrong_its_nodes_clock_is(off_s: int) -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    key, begun = cluster.active(job).attempt, cluster.clock.now
    off = off_s * US
    cluster.do(ReportStart(NodeName("n1"), key, Instant(begun + off)))
    cluster.clock.advance(100)
    cluster.exit(job, started_at=Instant(begun + off), ended_at=Instant(begun + off + 90 * US))
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert (end.started_at, end.ended_at) == (begun, begun + 90 * US)


@pytest.mark.parametrize(
    ("ended_after_s", "cause", "state"),
    [(59, "exited", "FAILED"), (60, "exited", "TIMEOUT"), (59, "time_limit", "TIMEOUT")],
)
def test_an_end_before_the_time_limit_that_is_told_after_it(
    ended_after_s: int, cause: str, state: str
) -> None:
    """After a long epilog, or by an agent that was away."""
    cluster = a_cluster()
    job = cluster.submit(time_limit_s=60)
    cluster.run(job)
    begun = cluster.clock.now
    cluster.pass_time(90)
    assert cluster.active(job).ending is EndCause.TIME_LIMIT
    cluster.exit(job, 3, ended_at=Instant(begun + ended_after_s * US), cause=cause)
    assert cluster.state_of(job) == state
    if state == "FAILED":
        end = cluster.job(job).phase
        assert isinstance(end, Ended) and (end.exit_code, end.ended_at - end.started_at) == (3, 59 * US)


def test_repeated_reports_change_nothing_and_exits_are_acknowledged_again() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    cluster.start(job)
    key = cluster.active(job).attempt
    cluster.exit(job, 4)
    before = len(cluster.log)
    cluster.exit(job, 0, attempt=key)
    assert len(cluster.log) == before
    assert cluster.sent[-1] == AckExit(NodeName("n1"), key)
    assert cluster.state_of(job) == "FAILED"


def test_a_cancelled_running_job_holds_its_nodes_until_it_is_gone() -> None:
    cluster = a_cluster(cpus=1)
    job = cluster.submit()
    follower = cluster.submit()
    cluster.run(job)
    assert cluster.cancel(job)[0].code is None
    assert cluster.state_of(job) == "COMPLETING"
    assert cluster.sent[-1] == Terminate(NodeName("n1"), cluster.active(job).attempt, 30, EndCause.CANCELLED)
    assert cluster.run_cycle() == []
    assert cluster.cancel(job)[0].slurm == "Job/step already completing or completed"
    cluster.exit(job, 0, signal=15)
    assert cluster.state_of(job) == "CANCELLED"
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert end.cancelled_by == 1000
    assert cluster.run_cycle() == [follower]


def test_a_cancelled_pending_job_never_runs() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.cancel(job)
    assert cluster.state_of(job) == "CANCELLED"
    assert cluster.run_cycle() == []
    assert cluster.cancel(job)[0].slurm == "Job/step already completing or completed"


def test_a_signal_goes_to_the_running_job_and_changes_nothing() -> None:
    cluster = a_cluster()
    job, waiting = cluster.submit(cpus=8), cluster.submit(cpus=8)
    cluster.run(job)
    n = len(cluster.log)
    assert cluster.cancel(job, signal=10)[0].code is None
    assert isinstance(cluster.sent[-1], Signal)
    assert cluster.sent[-1].signal == 10
    assert cluster.cancel(waiting, signal=10)[0].slurm == "Job can not be altered now, try again later"
    assert cluster.cancel(job, signal=99)[0].slurm == "Invalid signal"
    assert len(cluster.log) == n
    cluster.cancel(waiting, signal=9)
    assert cluster.state_of(waiting) == "CANCELLED"


def test_unknown_and_foreign_jobs_are_refused_one_by_one() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    unknown, foreign = cluster.cancel(99, job, caller=Caller(OTHER))
    assert unknown.slurm == "Invalid job id specified"
    assert foreign.slurm == "Access/permission denied"
    assert cluster.state_of(job) == "PENDING"


def test_retries_run_again_with_growing_waits_and_then_fail() -> None:
    cluster = a_cluster()
    job = cluster.submit(retry=Retry(2, backoff_s=10))
    for wait in (10, 20):
        cluster.run(job)
        cluster.exit(job, 7)
        assert cluster.state_of(job) == "PENDING"
        assert cluster.reason_of(job) is Reason.BEGIN_TIME
        cluster.pass_time(wait - 1)
        assert cluster.run_cycle() == []
        cluster.pass_time(2)
    cluster.run(job)
    cluster.exit(job, 7)
    assert cluster.state_of(job) == "FAILED"
    assert cluster.job(job).restarts == cluster.job(job).retries == 2
    assert [row.attempt for row in cluster.rows] == [1, 2, 3]
    assert [row.state for row in cluster.rows] == ["FAILED"] * 3


def test_a_refused_launch_goes_to_another_node() -> None:
    cluster = a_cluster(nodes=2)
    job = cluster.submit()
    cluster.run_cycle()
    first = cluster.active(job).placements[0].node
    cluster.exit(job, 1, refused=True, launch_error="no room for another supervisor")
    assert cluster.job(job).avoid == (first,)
    assert cluster.job(job).restarts == 0
    cluster.pass_time(2)
    cluster.run_cycle()
    assert cluster.active(job).placements[0].node != first


def test_a_job_that_is_always_refused_fails_and_says_why() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    for _ in range(6):
        cluster.run_cycle()
        cluster.exit(job, 1, refused=True, launch_error="no cgroup left")
        cluster.pass_time(64)
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert end.state is JobState.FAILED
    assert end.detail == "n1: no cgroup left; refused 6 times"


def test_losing_the_supervisor_is_losing_the_run_not_the_job() -> None:
    cluster = a_cluster()
    job, once = cluster.submit(), cluster.submit(requeue=False)
    cluster.run(job, once)
    cluster.exit(job, 0, lost=True)
    cluster.exit(once, 0, lost=True)
    assert cluster.state_of(job) == "PENDING"
    assert cluster.job(job).restarts == 1
    assert cluster.state_of(once) == "NODE_FAIL"


def test_a_job_lost_too_often_is_held_for_an_administrator() -> None:
    cluster = a_cluster(config=a_config(max_requeues=2))
    job = cluster.submit()
    for _ in range(3):
        cluster.run(job)
        cluster.exit(job, 0, lost=True)
        cluster.pass_time(10)
    assert cluster.reason_of(job) is Reason.HELD_ADMIN
    last = cluster.log[-1]
    assert isinstance(last, JobRequeued)
    assert "max_requeues = 2" in last.detail


def test_events_that_do_not_fit_are_refused() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    now, key = cluster.clock.now, cluster.active(job).attempt
    other = AttemptKey(job, 2, 1)
    for event in (
        AttemptStarted(now, job, key),
        AttemptStarted(now, job, other),
        AttemptStarted(now, JobId(99), key),
        JobEnded(now, job, JobState.COMPLETED, other),
        JobEnded(now, job, JobState.CANCELLED, key),
        JobEnded(now, job, JobState.PREEMPTED, key),
        JobRequeued(now, job, other, EndCause.REQUEUED, JobState.REQUEUED, now),
    ):
        with pytest.raises(InvalidTransition):
            apply(cluster.state, event)
    assert isinstance(cluster.job(job).spec.name, str)
    assert not isinstance(cluster.job(job).phase, Pending)

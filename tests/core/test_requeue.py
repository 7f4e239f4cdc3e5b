"""scontrol requeue: the answer before the kill, and whatever the exit then is, the job runs again."""

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.command import Terminate
from packhorse.scheduler.model.job import EndCause
from tests.core.scenario import ADMIN, a_cluster


def test_the_order_to_stop_follows_the_answer() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    n = len(cluster.sent)
    assert cluster.requeue(job)[0].code is None
    assert cluster.state_of(job) == "COMPLETING"
    assert cluster.sent[n:] == []
    cluster.pass_time(0.9)
    assert cluster.sent[n:] == []
    cluster.pass_time(0.2)
    (stop,) = cluster.sent[n:]
    assert isinstance(stop, Terminate)
    assert stop.cause is EndCause.REQUEUED


def test_an_exit_of_a_requeued_run_is_no_failure() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    cluster.requeue(job)
    cluster.exit(job, 255)
    assert cluster.state_of(job) == "PENDING"
    assert cluster.reason_of(job) is Reason.BEGIN_TIME
    assert [(row.state, row.exit_code) for row in cluster.rows] == [("REQUEUED", 255)]
    cluster.pass_time(3)
    assert cluster.run_cycle() == [job]
    cluster.start(job)
    assert cluster.job(job).restarts == 1
    assert cluster.active(job).attempt.number == 2
    cluster.exit(job)
    assert cluster.state_of(job) == "COMPLETED"


def test_requeuehold_waits_for_release() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    cluster.requeue(job, hold=True)
    cluster.exit(job, 0, signal=15)
    cluster.pass_time(60)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is Reason.HELD_REQUEUED
    cluster.release(job)
    assert cluster.run_cycle() == [job]


def test_a_finished_job_can_be_reopened() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    cluster.exit(job, 3)
    cluster.requeue(job)
    cluster.pass_time(3)
    cluster.run(job)
    assert cluster.job(job).restarts == 1
    cluster.exit(job)
    assert cluster.state_of(job) == "COMPLETED"
    assert list(cluster.state.finished) == [job]


def test_what_cannot_be_requeued() -> None:
    cluster = a_cluster()
    pending, once = cluster.submit(hold=True), cluster.submit(requeue=False)
    cluster.run(once)
    assert cluster.requeue(pending)[0].slurm == "Job is pending execution"
    assert cluster.requeue(99)[0].slurm == "Invalid job id specified"
    assert cluster.requeue(once)[0].slurm == "Requested operation is presently disabled"
    assert cluster.requeue(once, caller=ADMIN)[0].code is None


def test_a_cancel_during_the_requeue_wins() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    cluster.requeue(job)
    assert cluster.cancel(job)[0].code is None
    assert isinstance(cluster.sent[-1], Terminate)
    assert cluster.requeue(job)[0].slurm == "Job can not be altered now, try again later"
    cluster.exit(job, 255)
    assert cluster.state_of(job) == "CANCELLED"


def test_repeating_a_requeue_is_harmless() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    assert cluster.requeue(job, job)[0].code is None
    assert cluster.requeue(job)[0].code is None
    cluster.exit(job, 0)
    cluster.pass_time(5)
    assert cluster.run_cycle() == [job]

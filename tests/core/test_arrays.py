"""Arrays: one row however many indices, and a job of its own for each that starts."""

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.event import ArrayRemainderCancelled, ArrayTaskSplit
from packhorse.scheduler.model.input import Caller, SubmitArray
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import ADMIN, USER, a_cluster, a_config, a_spec, an_array


def test_tasks_start_in_order_and_get_numbers_of_their_own() -> None:
    cluster = a_cluster(cpus=3)
    array = cluster.submit_array("1-9:2")
    tasks = cluster.run_cycle()
    assert [(job, cluster.job(job).index) for job in tasks] == [(2, 1), (3, 3), (4, 5)]
    assert all(cluster.job(job).array_id == array for job in tasks)
    assert cluster.waiting(array) == "7,9"


def test_the_limit_of_tasks_at_once_holds() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-9%2")
    tasks = cluster.run_cycle()
    assert len(tasks) == 2
    assert cluster.run_cycle() == []
    assert cluster.reason_of(array) is Reason.ARRAY_TASK_LIMIT
    cluster.start(*tasks)
    cluster.exit(tasks[0])
    assert len(cluster.run_cycle()) == 1
    cluster.update(array, array_limit=5)
    assert len(cluster.run_cycle()) == 3
    cluster.update(array, array_limit=0)
    assert len(cluster.run_cycle()) == 3


def test_a_requeued_task_counts_against_the_limit_too() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-5%2")
    tasks = cluster.run_cycle()
    cluster.start(*tasks)
    cluster.requeue(tasks[0])
    cluster.exit(tasks[0])
    cluster.pass_time(5)
    assert len(cluster.run_cycle()) == 1
    assert cluster.state.tasks[array].n_active == 2


def test_a_million_indices_are_one_row_and_one_event() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-999999")
    assert len(cluster.state.pending_columns) == 1
    cluster.cancel(array)
    assert isinstance(cluster.log[-1], ArrayRemainderCancelled)
    assert len(cluster.log) == 5  # start, configuration, node, array, cancel
    assert cluster.rows[-1].array_indices == "0-999999"
    assert array in cluster.state.finished


def test_many_indices_named_one_by_one_are_cancelled_together() -> None:
    """One event and one accounting row: a thousand of them took seconds, all on the event loop."""
    cluster = a_cluster()
    array = cluster.submit_array("0-9999")
    before = len(cluster.log)
    outcomes = cluster.cancel(*[f"{array}_{index}" for index in range(0, 4000, 2)])
    assert all(outcome.code is None for outcome in outcomes)
    assert len(cluster.log) == before + 1
    assert cluster.rows[-1].array_indices == "0-3998:2"


def test_cancelling_some_indices() -> None:
    cluster = a_cluster(cpus=2)
    array = cluster.submit_array("0-9")
    running = cluster.run_cycle()
    cluster.start(*running)
    outcome = cluster.cancel(f"{array}_[1,4-6]")[0]
    assert outcome.code is None
    assert cluster.state_of(running[0]) == "RUNNING"
    assert cluster.state_of(running[1]) == "COMPLETING"
    assert cluster.waiting(array) == "2-3,7-9"
    assert cluster.cancel(f"{array}_5")[0].slurm == "Job/step already completing or completed"
    assert cluster.cancel(f"{array}_77")[0].slurm == "Invalid job id specified"
    # The same indices twice in one call are cancelled once.
    cluster.cancel(f"{array}_[2-3]", f"{array}_3", array)
    assert cluster.waiting(array) == ""


def test_the_array_is_over_with_its_last_task_and_forgotten_with_it() -> None:
    cluster = a_cluster(config=a_config(min_job_age_s=10))
    array = cluster.submit_array("0-1")
    tasks = cluster.run_cycle()
    cluster.start(*tasks)
    cluster.exit(tasks[0])
    cluster.pass_time(20)
    assert tasks[0] not in cluster.state.jobs
    assert array in cluster.state.arrays
    cluster.exit(tasks[1], 1)
    assert list(cluster.state.finished) == [tasks[1], array]
    assert cluster.state.arrays[array].failed
    cluster.pass_time(20)
    assert not cluster.state.arrays and not cluster.state.jobs and not cluster.state.tasks


def test_reopening_a_task_reopens_the_array() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-1")
    tasks = cluster.run_cycle()
    cluster.start(*tasks)
    for task in tasks:
        cluster.exit(task, 1)
    assert array in cluster.state.finished
    cluster.requeue(f"{array}_0")
    assert array not in cluster.state.finished
    cluster.pass_time(5)
    cluster.run(tasks[0])
    cluster.exit(tasks[0])
    assert list(cluster.state.finished) == [tasks[1], tasks[0], array]


def test_holding_single_indices_makes_jobs_of_them() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-3")
    cluster.hold(f"{array}_[1-2]")
    assert cluster.waiting(array) == "0,3"
    assert len(cluster.run_cycle()) == 2
    held = cluster.task(array, 1)
    assert cluster.reason_of(held) is Reason.HELD_USER
    cluster.release(array)
    assert [cluster.job(job).index for job in cluster.run_cycle()] == [1, 2]


def test_holding_the_whole_array_splits_nothing() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-99999")
    cluster.hold(array)
    assert not any(isinstance(event, ArrayTaskSplit) for event in cluster.log)
    assert cluster.run_cycle() == []
    assert "name fewer, or the whole array" in cluster.hold(f"{array}_[0-50000]")[0].message
    cluster.release(array)
    assert len(cluster.run_cycle()) == 8


def test_updating_one_index_and_all_of_them() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-3", time_limit_s=600)
    cluster.update(f"{array}_2", time_limit_s=60)
    cluster.update(array, name="renamed")
    assert cluster.job(cluster.task(array, 2)).spec.time_limit_s == 60
    assert cluster.job(cluster.task(array, 2)).spec.name == "renamed"
    assert cluster.state.arrays[array].spec.time_limit_s == 600
    assert cluster.update(array, array_limit=-1, caller=ADMIN)[0].code is not None
    assert cluster.update(1000, array_limit=1)[0].code is not None


def test_array_specifications_are_checked_and_tidied() -> None:
    cluster = a_cluster(config=a_config(max_array_size=1001))

    def answer(text: str) -> object:
        return cluster.do(SubmitArray(Caller(USER), a_spec(), an_array(text))).reply

    for bad in ("0-1001", "5-1", "0-9:0"):
        reply = answer(bad)
        assert isinstance(reply, Refused)
        assert reply.slurm == "Invalid job array specification"
    array = cluster.submit_array("7,0-4:2,1-3:2,9-9:5,2")
    assert cluster.waiting(array) == "0-4,7,9"


def test_a_task_that_waits_alone_is_cancelled_by_its_array() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-2", hold=True)
    cluster.update(f"{array}_1", name="own")
    task = cluster.task(array, 1)
    cluster.cancel(array)
    assert cluster.job(task).state is JobState.CANCELLED
    assert cluster.waiting(array) == ""
    assert list(cluster.state.finished) == [task, array]

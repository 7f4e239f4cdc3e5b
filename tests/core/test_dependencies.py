"""Dependencies: when they come true, when they never do, and that they outlive what they were about."""

import pytest

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.job import Dependency, Ended, Pending
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import Cluster, a_cluster, a_config, after

ENDS = {"ok": {}, "failed": {"code": 1}}


def finish(cluster: Cluster, job: int, end: str) -> None:
    if end == "cancelled":
        cluster.cancel(job)
        return
    cluster.run(job)
    cluster.exit(job, **ENDS[end])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "end", "starts"),
    [
        ("afterany", "ok", True),
        ("afterany", "failed", True),
        ("afterany", "cancelled", True),
        ("afterok", "ok", True),
        ("afterok", "failed", False),
        ("afterok", "cancelled", False),
        ("afternotok", "ok", False),
        ("afternotok", "failed", True),
        ("afternotok", "cancelled", True),
        ("aftercorr", "ok", True),
        ("aftercorr", "failed", False),
        ("after", "cancelled", True),
    ],
)
def test_conditions_on_one_job(kind: str, end: str, starts: bool) -> None:
    cluster = a_cluster()
    first = cluster.submit()
    second = cluster.submit(dependency=after(kind, first))
    assert cluster.reason_of(second) is Reason.DEPENDENCY
    finish(cluster, first, end)
    if starts:
        assert cluster.run_cycle() == [second]
    else:
        assert cluster.reason_of(second) is Reason.DEPENDENCY_NEVER
        assert cluster.run_cycle() == []
    # A condition that is judged at submission has the same outcome.
    third = cluster.submit(dependency=after(kind, first))
    assert (cluster.reason_of(third) is Reason.DEPENDENCY_NEVER) is not starts


def test_after_waits_for_the_start_and_its_delay() -> None:
    cluster = a_cluster()
    first = cluster.submit()
    second = cluster.submit(dependency=after("after", first, delay_s=60))
    assert cluster.run_cycle() == [first]
    assert cluster.reason_of(second) is Reason.DEPENDENCY
    cluster.start(first)
    assert cluster.reason_of(second) is Reason.BEGIN_TIME
    cluster.pass_time(59)
    assert cluster.run_cycle() == []
    cluster.pass_time(2)
    assert cluster.run_cycle() == [second]


def test_all_or_any() -> None:
    cluster = a_cluster()
    a, b = cluster.submit(hold=True), cluster.submit(hold=True)
    both = cluster.submit(dependency=after("afterany", a, b))
    either = cluster.submit(dependency=after("afterok", a, b, any_of=True))
    any_end = cluster.submit(dependency=after("afterany", a, b, any_of=True))
    cluster.cancel(a)
    assert cluster.reason_of(both) is Reason.DEPENDENCY
    assert cluster.reason_of(either) is Reason.DEPENDENCY
    assert cluster.run_cycle() == [any_end]
    cluster.cancel(b)
    assert cluster.reason_of(either) is Reason.DEPENDENCY_NEVER
    assert cluster.run_cycle() == [both]


def test_unknown_and_forgotten_jobs_satisfy_everything() -> None:
    cluster = a_cluster()
    assert cluster.submit(dependency=after("afterok", 9999)) in cluster.run_cycle()


def test_a_verdict_outlives_the_job_it_was_about() -> None:
    cluster = a_cluster(config=a_config(min_job_age_s=10))
    bad, slow = cluster.submit(), cluster.submit(hold=True)
    waits = cluster.submit(dependency=after("afterok", bad, slow))
    cluster.run(bad)
    cluster.exit(bad, 1)
    cluster.pass_time(60)
    assert bad not in cluster.state.jobs
    cluster.release(slow)
    cluster.run(slow)
    cluster.exit(slow)
    assert cluster.reason_of(waits) is Reason.DEPENDENCY_NEVER
    phase = cluster.job(waits).phase
    assert isinstance(phase, Pending)
    assert [c.job for c in phase.failed] == [bad]


def test_kill_on_invalid_dependency_goes_down_the_chain() -> None:
    cluster = a_cluster()
    a = cluster.submit()
    b = cluster.submit(dependency=after("afterok", a), kill_on_invalid_dep=True)
    c = cluster.submit(dependency=after("afterok", b), kill_on_invalid_dep=True)
    d = cluster.submit(dependency=after("afternotok", c), kill_on_invalid_dep=True)
    cluster.run(a)
    cluster.exit(a, 1)
    cluster.pass_time(0)
    for job in (b, c):
        end = cluster.job(job).phase
        assert isinstance(end, Ended)
        assert (end.state.value, end.reason) == ("CANCELLED", "DependencyNeverSatisfied")
    assert cluster.run_cycle() == [d]


def test_reopening_the_other_job_gives_the_waiting_one_hope_again() -> None:
    cluster = a_cluster()
    first = cluster.submit()
    second = cluster.submit(dependency=after("afterok", first))
    cluster.run(first)
    cluster.exit(first, 1)
    cluster.requeue(first)
    assert cluster.reason_of(second) is Reason.DEPENDENCY
    cluster.pass_time(5)
    cluster.run(first)
    cluster.exit(first)
    assert cluster.run_cycle() == [second]


def test_a_requeued_job_has_not_ended() -> None:
    cluster = a_cluster()
    first = cluster.submit()
    second = cluster.submit(dependency=after("afterany", first))
    cluster.run(first)
    cluster.requeue(first)
    cluster.exit(first, 1)
    assert cluster.reason_of(second) is Reason.DEPENDENCY


def test_conditions_on_a_whole_array() -> None:
    cluster = a_cluster(cpus=1)
    array = cluster.submit_array("0-1")
    ok = cluster.submit(dependency=after("afterok", array))
    notok = cluster.submit(dependency=after("afternotok", array))
    started = cluster.submit(dependency=after("after", array))
    over = cluster.submit(dependency=after("afterany", array))
    (first,) = cluster.run_cycle()
    cluster.start(first)
    cluster.exit(first, 1)
    assert cluster.reason_of(ok) is Reason.DEPENDENCY_NEVER
    assert cluster.reason_of(notok) is Reason.DEPENDENCY
    assert cluster.reason_of(started) is Reason.DEPENDENCY
    (second,) = cluster.run_cycle()
    cluster.start(second)
    assert cluster.reason_of(over) is Reason.DEPENDENCY
    cluster.exit(second)
    assert cluster.run_cycle() == [notok]
    for job in (notok, started, over):
        cluster.start(job)
        cluster.exit(job)
        cluster.run_cycle()
    assert all(cluster.state_of(job) == "COMPLETED" for job in (notok, started, over))


def test_conditions_on_one_index() -> None:
    cluster = a_cluster(cpus=4)
    array = cluster.submit_array("0-5")
    good = cluster.submit(dependency=after("afterok", array, index=0))
    gone = cluster.submit(dependency=after("afterok", array, index=5))
    cluster.cancel(f"{array}_5")
    assert cluster.reason_of(gone) is Reason.DEPENDENCY_NEVER
    cluster.run_cycle()
    task = cluster.task(array, 0)
    cluster.start(task)
    cluster.exit(task)
    assert cluster.reason_of(good) is Reason.NONE


def test_aftercorr_starts_each_index_with_its_counterpart() -> None:
    cluster = a_cluster(cpus=4)
    first = cluster.submit_array("0-3")
    second = cluster.submit_array("0-4", dependency=after("aftercorr", first))
    for job in (one := cluster.run_cycle()):
        cluster.start(job)
    assert len(one) == 4
    # Index 4 has no counterpart, so nothing is in its way.
    array = cluster.state.arrays[second]
    assert (cluster.waiting(second), [r.start for r in array.blocked]) == ("0-4", [0])
    cluster.exit(cluster.task(first, 2))
    cluster.exit(cluster.task(first, 1), 1)
    started = cluster.run_cycle()
    assert [cluster.job(job).index for job in started] == [2, 4]
    assert cluster.waiting(second) == "0,1,3" or cluster.waiting(second) == "0-1,3"
    assert [r.start for r in cluster.state.arrays[second].never] == [1]
    for index in (0, 3):
        cluster.exit(cluster.task(first, index))
    cluster.exit(started[0])
    assert [cluster.job(job).index for job in cluster.run_cycle()] == [0, 3]
    assert cluster.reason_of(second) is Reason.DEPENDENCY_NEVER


def test_aftercorr_of_cancelled_indices_with_kill_on_invalid() -> None:
    cluster = a_cluster(cpus=4)
    first = cluster.submit_array("0-9", hold=True)
    second = cluster.submit_array("0-9", dependency=after("aftercorr", first), kill_on_invalid_dep=True)
    cluster.cancel(f"{first}_[3-5]")
    cluster.pass_time(0)
    assert cluster.waiting(second) == "0-2,6-9"


def test_singletons_run_one_after_the_other() -> None:
    cluster = a_cluster()
    jobs = [cluster.submit(name="solo", dependency=after("singleton")) for _ in range(3)]
    plain = cluster.submit(name="solo")
    elsewhere = cluster.submit(name="other", dependency=after("singleton"))
    assert cluster.run_cycle() == [jobs[0], plain, elsewhere]
    cluster.start(jobs[0])
    cluster.exit(jobs[0], 1)
    assert cluster.run_cycle() == [jobs[1]]
    cluster.cancel(jobs[2])
    last = cluster.submit(name="solo", dependency=after("singleton"))
    cluster.start(jobs[1], plain)
    cluster.exit(jobs[1])
    assert cluster.reason_of(last) is Reason.DEPENDENCY
    cluster.exit(plain)
    assert cluster.run_cycle() == [last]


def test_a_singleton_array_runs_one_task_at_a_time() -> None:
    cluster = a_cluster()
    array = cluster.submit_array("0-2", name="solo", dependency=after("singleton"))
    follower = cluster.submit(name="solo", dependency=after("singleton"))
    for _ in range(3):
        (task,) = cluster.run_cycle()
        assert cluster.job(task).array_id == array
        cluster.start(task)
        cluster.exit(task)
    assert cluster.run_cycle() == [follower]


@pytest.mark.parametrize(
    "dependency",
    [
        Dependency(()),
        after("afterok", -4),
        after("afterok", 1, delay_s=5),
        after("aftercorr", 1, 2, any_of=True),
        after("afterok", 1, index=-7),
    ],
)
def test_malformed_dependencies_are_refused(dependency: Dependency) -> None:
    cluster = a_cluster()
    reply = cluster.try_submit(dependency=dependency)
    assert isinstance(reply, Refused)
    assert reply.slurm == "Job dependency problem"


def test_a_job_cannot_be_made_to_wait_for_itself() -> None:
    cluster = a_cluster()
    a = cluster.submit(hold=True)
    b = cluster.submit(dependency=after("afterok", a))
    outcome = cluster.update(a, dependency=after("afterok", b))[0]
    assert outcome.slurm == "Job dependency problem"
    assert cluster.update(b, dependency=after("afternotok", a))[0].code is None
    assert cluster.update(b, drop_dependency=True)[0].code is None
    assert cluster.run_cycle() == [b]

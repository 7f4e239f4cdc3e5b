"""Hold, release and update: who may do what, and in which state."""

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.reply import RefusalCode
from tests.core.scenario import ADMIN, OTHER, a_cluster, a_config, after


def test_owners_release_their_own_holds_only() -> None:
    cluster = a_cluster()
    mine, theirs, uhold = cluster.submit(), cluster.submit(), cluster.submit()
    cluster.hold(mine)
    cluster.hold(theirs, caller=ADMIN)
    cluster.hold(uhold, caller=ADMIN, as_user=True)
    reasons = [cluster.reason_of(job) for job in (mine, theirs, uhold)]
    assert reasons == [Reason.HELD_USER, Reason.HELD_ADMIN, Reason.HELD_USER]
    assert cluster.run_cycle() == []
    outcomes = cluster.release(mine, theirs, uhold)
    assert [outcome.code for outcome in outcomes] == [None, RefusalCode.DENIED, None]
    assert cluster.run_cycle() == [mine, uhold]
    cluster.release(theirs, caller=ADMIN)
    assert cluster.run_cycle() == [theirs]


def test_what_cannot_be_held_or_released() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    assert cluster.hold(job, caller=Caller(OTHER))[0].slurm == "Invalid user id"
    assert cluster.hold(99)[0].slurm == "Invalid job id specified"
    assert cluster.release(job)[0].code is None
    n = len(cluster.log)
    cluster.release(job)
    assert len(cluster.log) == n
    cluster.run(job)
    assert cluster.hold(job)[0].slurm == "Job is no longer pending execution"


def test_updates_of_a_waiting_job() -> None:
    cluster = a_cluster(cpus=8, config=a_config(others=(Partition("other", max_time_s=60),)))
    job = cluster.submit(hold=True, cpus=2, time_limit_s=500)
    outcome = cluster.update(
        job, name="new", comment="why", nice=50, n_cpus=6, mem_mib_per_node=100, features=""
    )[0]
    assert outcome.code is None, outcome
    spec = cluster.job(job).spec
    assert (spec.name, spec.comment, spec.nice, spec.ask.cpu_milli_per_task) == ("new", "why", 50, 6000)
    assert spec.ask.mem_mib_per_node == 100
    assert cluster.update(job, partition="other")[0].slurm.startswith("Requested time limit")
    assert cluster.update(job, partition="other", time_limit_s=30)[0].code is None
    assert cluster.update(job, partition="nosuch")[0].slurm == "Invalid partition name specified"
    assert cluster.update(job, n_cpus=900)[0].slurm == "More processors requested than permitted"
    assert cluster.update(job, nice=-1)[0].slurm == "Access/permission denied"
    assert cluster.update(job, priority=7)[0].slurm == "Access/permission denied"
    assert cluster.update(job, priority=7, caller=ADMIN)[0].code is None
    assert cluster.update(job, qos="gold")[0].slurm == "Invalid qos specification"
    assert cluster.update(job, array_limit=3)[0].code is RefusalCode.INVALID
    assert cluster.job(job).spec.priority == 7


def test_cpus_of_several_tasks() -> None:
    cluster = a_cluster(nodes=2, cpus=16)
    job = cluster.submit(hold=True, nodes=2, cpus=2, n_tasks=4)
    assert cluster.update(job, n_cpus=8)[0].code is None
    assert cluster.job(job).spec.ask.cpu_milli_per_task == 2000
    assert cluster.update(job, n_cpus=6)[0].code is None
    assert cluster.job(job).spec.ask.n_tasks == 3
    assert "shared evenly" in cluster.update(job, n_cpus=7)[0].message
    assert cluster.update(job, min_nodes=1)[0].code is None


def test_updates_of_a_running_job() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run(job)
    assert cluster.update(job, name="new", requeue=False)[0].code is None
    assert cluster.job(job).spec.name == "new"
    assert cluster.update(job, n_cpus=2)[0].slurm == "Job is no longer pending execution"
    cluster.exit(job)
    assert cluster.update(job, name="late")[0].slurm == "Job/step already completing or completed"
    assert cluster.update(job, name="x", caller=Caller(OTHER))[0].slurm == "Invalid user id"


def test_a_renamed_singleton_waits_for_those_of_its_new_name_only() -> None:
    """It does not wait for ever for a name that nobody watches, nor for jobs of its old name."""
    cluster = a_cluster()
    old, new = cluster.submit(name="old"), cluster.submit(name="new")
    cluster.run(old, new)
    waits = cluster.submit(name="old", dependency=after("singleton"))
    assert cluster.run_cycle() == []
    cluster.update(waits, name="new")
    assert cluster.run_cycle() == []
    cluster.exit(new)
    assert cluster.run_cycle() == [waits]
    free = cluster.submit(name="old", dependency=after("singleton"))
    assert cluster.run_cycle() == []
    cluster.update(free, name="unheard-of")
    assert cluster.run_cycle() == [free]
    assert cluster.replayed() == cluster.state


def test_renaming_moves_a_job_between_singletons() -> None:
    cluster = a_cluster()
    first = cluster.submit(name="a", hold=True)
    second = cluster.submit(name="a", dependency=after("singleton"))
    assert cluster.reason_of(second) is Reason.DEPENDENCY
    cluster.update(first, name="b")
    assert cluster.run_cycle() == [second]


def test_licences_and_wckey_of_a_waiting_job() -> None:
    cluster = a_cluster(config=a_config(licenses=(("matlab", 2),)))
    job = cluster.submit(licenses="matlab")
    assert "3 asked" in cluster.update(job, licenses="matlab:3")[0].message
    assert not cluster.update(job, licenses="matlab:2", wckey="thesis")[0].message
    spec = cluster.job(job).spec
    assert (spec.licenses, spec.wckey) == ("matlab:2", "thesis")
    cluster.run(job)
    assert cluster.state.licenses.held == {"matlab": 2}
    assert "licenses cannot change" in cluster.update(job, licenses="")[0].message
    cluster.exit(job)
    assert not cluster.state.licenses.held

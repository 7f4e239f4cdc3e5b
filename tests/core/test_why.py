"""The smallest change that would start a job: every kind of it on clusters small enough to see why,
followed as a user would, through the real step and the next pass."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.cli.slurm.scontrol_update import _JOB_KEYS
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.why.answer import Why, blockers, why
from packhorse.scheduler.core.why.change import inputs
from packhorse.scheduler.core.why.meanings import MEANINGS, NOT_YET, meaning, word
from packhorse.scheduler.core.why.smallest import Found, Suggestion, smallest
from packhorse.scheduler.core.why.snapshot import again, taken
from packhorse.scheduler.model.cluster import Partition, Priorities
from packhorse.scheduler.model.ids import US, JobId, NodeName
from packhorse.scheduler.model.input import Caller, Release, SuspendJobs
from packhorse.scheduler.model.reply import Done, Submitted
from packhorse.scheduler.model.resources import Gres
from tests.core.accounts.limits import ANN, BOB, a_tree
from tests.core.preempt.cluster_of import HIGH, LOW, told, yielding
from tests.core.scenario import ADMIN, OTHER, USER, Cluster, a_cluster, a_config, a_node, after
from tests.core.steps.stepping import Stepping

HOUR = 3600


def ask(cluster: Cluster, job: int) -> Found:
    waiter = cluster.state.jobs.get(JobId(job)) or cluster.state.arrays[JobId(job)]
    before = cluster.replayed()
    found = smallest(taken(cluster.state), waiter, cluster.clock.now)
    assert cluster.state == before, "asking changes nothing"
    for one in found.suggestions:
        words = one.command.split()
        assert words[:2] != ["scontrol", "update"] or words[3].partition("=")[0].lower() in _JOB_KEYS
    return found


def answer(cluster: Cluster, job: int) -> Why:
    waiter = cluster.state.jobs.get(JobId(job)) or cluster.state.arrays[JobId(job)]
    return why(taken(cluster.state), waiter, cluster.clock.now)


def follow(cluster: Cluster, job: int, suggestion: Suggestion) -> list[JobId]:
    """Does it and runs a pass; returns what that started."""
    waiter = cluster.state.jobs.get(JobId(job)) or cluster.state.arrays[JobId(job)]
    for input in inputs(waiter, suggestion.change, suggestion.admin):
        reply = cluster.do(input).reply
        if isinstance(reply, Done):
            assert all(outcome.code is None for outcome in reply.outcomes), reply
        else:
            assert isinstance(reply, Submitted), reply
    return cluster.run_cycle()


def only(cluster: Cluster, job: int, kind: str) -> Suggestion:
    """Of this kind; there must be one, it must say now, and it must be true."""
    found = ask(cluster, job)
    mine = [s for s in found.suggestions if s.change.kind == kind]
    assert len(mine) == 1, found.suggestions
    assert mine[0].at == cluster.clock.now
    assert mine[0].nodes
    return mine[0]


def check(
    cluster: Cluster, job: int, kind: str, command: str, node: str = "n1", size: float = -1
) -> Suggestion:
    """The suggestion reads so, and doing it starts the job (or its second submission) at once on the node."""
    one = only(cluster, job, kind)
    assert one.command == command
    assert one.nodes == (node,)
    if size >= 0:
        assert one.change.size == pytest.approx(size, abs=0.005)
    highest = cluster.state.next_job_id
    started = follow(cluster, job, one)
    assert started
    mine = {JobId(job)} | {id for id in cluster.state.jobs if id >= highest}
    assert set(started) & mine
    return one


def full(cluster: Cluster, limit_s: int = 2 * HOUR, **amounts: Any) -> JobId:
    """A job that runs and leaves the rest."""
    id = cluster.submit(time_limit_s=limit_s, **amounts)
    assert cluster.run_cycle() == [id]
    cluster.start(id)
    return id


# -- one test for each kind --------------------------------------------------------------------------------


def test_memory() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=65_536)
    full(cluster, cpus=1, mem_mib=16_000)
    job = cluster.submit(cpus=1, mem_mib=65_536, time_limit_s=HOUR)
    cluster.run_cycle()
    one = check(cluster, job, "memory", f"scontrol update JobId={job} MinMemoryNode=48G", size=0.25)
    assert one.change.words == "48G of memory instead of 64G"


def test_memory_for_each_cpu() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=16_384)
    full(cluster, cpus=1, mem_mib=8192)
    job = cluster.submit(cpus=4, mem_mib_per_cpu=4096, time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "memory", f"scontrol update JobId={job} MinMemoryCPU=2G", size=0.5)


def test_all_of_the_memory() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=16_384)
    full(cluster, cpus=1, mem_mib=4096)
    job = cluster.submit(cpus=1, mem_all=True, time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "memory", f"scontrol update JobId={job} MinMemoryNode=12G")


def test_cpus() -> None:
    cluster = a_cluster(nodes=1, cpus=8)
    full(cluster, cpus=3)
    job = cluster.submit(cpus=8, time_limit_s=HOUR)
    cluster.run_cycle()
    one = check(cluster, job, "cpus", f"scontrol update JobId={job} NumCPUs=5", size=3 / 8)
    assert one.change.words == "5 CPUs instead of 8"


def test_tasks() -> None:
    cluster = a_cluster(nodes=1, cpus=8)
    full(cluster, cpus=3)
    job = cluster.submit(n_tasks=7, cpus=1, time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "tasks", f"scancel {job}; sbatch --ntasks=5 … (the rest as before)", size=2 / 7)


def test_devices() -> None:
    cluster = a_cluster(nodes=1, cpus=8, gpus=4)
    full(cluster, cpus=1, gpus=2)
    job = cluster.submit(cpus=1, gpus=4, time_limit_s=HOUR)
    cluster.run_cycle()
    one = check(
        cluster, job, "devices", f"scancel {job}; sbatch --gres=gpu:2 … (the rest as before)", size=0.5
    )
    assert one.change.words == "2 GPUs instead of 4"


@pytest.mark.parametrize(
    ("title", "option"), [("gres_per_job", "--gpus=2"), ("gres_per_task", "--gpus-per-task=2")]
)
def test_devices_of_the_job_or_a_task(title: str, option: str) -> None:
    cluster = a_cluster(nodes=1, cpus=8, gpus=4)
    full(cluster, cpus=1, gpus=2)
    wanted: dict[str, Any] = {title: (Gres("gpu", "", 4),)}
    job = cluster.submit(cpus=1, time_limit_s=HOUR, **wanted)
    cluster.run_cycle()
    check(cluster, job, "devices", f"scancel {job}; sbatch {option} … (the rest as before)")


def typed_node(name: str, model: str) -> Any:
    spec = a_node(name, gpus=2)
    devices = tuple(type(d)(d.kind, model, d.index, mem_mib=81_920) for d in spec.devices)
    return type(spec)(spec.name, spec.address, spec.cpu_milli, spec.mem_mib, devices=devices)


def test_any_model() -> None:
    cluster = Cluster()
    cluster.register(typed_node("n1", "a100"))
    cluster.register(typed_node("n2", "l40"))
    full(cluster, cpus=1, gres_per_node=(Gres("gpu", "a100", 2),))
    job = cluster.submit(cpus=1, gres_per_node=(Gres("gpu", "a100", 1),), time_limit_s=HOUR)
    cluster.run_cycle()
    one = only(cluster, job, "device type")
    assert one.change.words == "any GPU instead of a100"
    check(
        cluster, job, "device type", f"scancel {job}; sbatch --gres=gpu:1 … (the rest as before)", node="n2"
    )


def test_share_of_a_device() -> None:
    cluster = a_cluster(nodes=1, cpus=8, gpus=1)
    full(cluster, cpus=1, gres_per_node=(Gres("gpu", "", 1, 600),))
    job = cluster.submit(cpus=1, gres_per_node=(Gres("gpu", "", 1, 500),), time_limit_s=HOUR)
    cluster.run_cycle()
    one = check(
        cluster, job, "share", f"scancel {job}; sbatch --gres=gpu:0.4 … (the rest as before)", size=0.2
    )
    assert one.change.words == "0.4 of a GPU instead of 0.5"


def test_memory_of_a_device() -> None:
    cluster = Cluster()
    cluster.register(typed_node("n1", "a100"))
    full(cluster, cpus=1, gres_per_node=(Gres("gpu", "", 1, mem_mib=40_960),))
    full(cluster, cpus=1, gres_per_node=(Gres("gpu", "", 1, mem_mib=61_440),))
    job = cluster.submit(cpus=1, gres_per_node=(Gres("gpu", "", 1, mem_mib=51_200),), time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "share", f"scancel {job}; sbatch --gres=gpu:40G … (the rest as before)")


def test_slice_of_a_device() -> None:
    cluster = Cluster()
    cluster.register(a_node("n1", gpus=1, layouts=(("3g.40gb", "2g.20gb", "1g.10gb"),)))
    full(cluster, cpus=1, gres_per_node=(Gres("gpu", "3g.40gb", 1),))
    job = cluster.submit(cpus=1, gres_per_node=(Gres("gpu", "3g.40gb", 1),), time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "slice", f"scancel {job}; sbatch --gres=gpu:2g.20gb:1 … (the rest as before)")


def test_fewer_nodes_for_the_same_tasks() -> None:
    cluster = a_cluster(nodes=2, cpus=8)
    full(cluster, cpus=8, nodes_required=("n2",))
    job = cluster.submit(cpus=2, nodes=2, time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "nodes", f"scontrol update JobId={job} NumNodes=1")


def test_fewer_nodes_and_tasks() -> None:
    cluster = a_cluster(nodes=2, cpus=8)
    full(cluster, cpus=8, nodes_required=("n2",))
    job = cluster.submit(cpus=6, nodes=2, time_limit_s=HOUR)
    cluster.run_cycle()
    command = f"scancel {job}; sbatch --nodes=1 --ntasks=1 … (the rest as before)"
    check(cluster, job, "nodes and tasks", command)


def test_a_time_limit_for_the_hole() -> None:
    """A job of all nodes is promised the end of what runs; a short one fits before that."""
    cluster = a_cluster(nodes=2, cpus=8)
    full(cluster, cpus=8, limit_s=2 * HOUR)
    cluster.submit(cpus=8, nodes=2, time_limit_s=HOUR)
    job = cluster.submit(cpus=8, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.PRIORITY
    one = check(cluster, job, "time limit", f"scontrol update JobId={job} TimeLimit=01:59:00", node="n2")
    assert one.change.words == "a time limit of 01:59:00 instead of 12:00:00"


def test_a_hole_that_opens_later() -> None:
    """Nothing is free, but after the short job and before the promised start a short one has a hole."""
    cluster = a_cluster(nodes=2, cpus=8)
    full(cluster, cpus=8, limit_s=4 * HOUR)
    short = full(cluster, cpus=8, limit_s=HOUR)
    cluster.submit(cpus=8, nodes=2, time_limit_s=HOUR)
    job = cluster.submit(cpus=8, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    found = ask(cluster, job)
    assert found.at == cluster.clock.now + 5 * HOUR * US
    (one,) = [s for s in found.suggestions if s.change.kind == "time limit"]
    assert one.at == cluster.active(short).end_by
    assert one.nodes == ()
    assert HOUR < one.change.spec.time_limit_s <= 3 * HOUR


def test_more_time_than_the_partition_allows() -> None:
    cluster = a_cluster(nodes=1, config=a_config(max_time_s=HOUR))
    job = cluster.submit(cpus=1, time_limit_s=HOUR)
    cluster.update(job, caller=ADMIN, time_limit_s=2 * HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.PARTITION_TIME_LIMIT
    check(cluster, job, "time limit", f"scontrol update JobId={job} TimeLimit=01:00:00")


def test_another_partition() -> None:
    wide = Partition("wide", nodes=(NodeName("n2"),))
    cluster = a_cluster(nodes=2, config=a_config(nodes=(NodeName("n1"),), others=(wide,)))
    full(cluster, cpus=8)
    job = cluster.submit(cpus=8, time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "partition", f"scontrol update JobId={job} Partition=wide", node="n2")


def test_a_partition_that_is_not_for_the_user_is_no_way_out() -> None:
    wide = Partition("wide", nodes=(NodeName("n2"),), allow_users=("donkey",))
    cluster = a_cluster(nodes=2, config=a_config(nodes=(NodeName("n1"),), others=(wide,)))
    full(cluster, cpus=8)
    job = cluster.submit(cpus=8, time_limit_s=HOUR)
    cluster.run_cycle()
    assert not [s for s in ask(cluster, job).suggestions if s.change.kind == "partition"]


def test_constraint() -> None:
    cluster = Cluster()
    cluster.register(a_node("n1"))
    cluster.register(a_node("n2", features=("fast",)))
    full(cluster, cpus=8, features="fast")
    job = cluster.submit(cpus=8, features="fast", time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "constraint", f"scontrol update JobId={job} Features=")


def test_named_nodes() -> None:
    cluster = a_cluster(nodes=2)
    full(cluster, cpus=8, nodes_required=("n2",))
    job = cluster.submit(cpus=8, nodes_required=("n2",), time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "named nodes", f"scontrol update JobId={job} NodeList=")


def test_a_named_node_that_is_drained() -> None:
    cluster = a_cluster(nodes=2)
    cluster.drain("n2")
    job = cluster.submit(cpus=8, nodes_required=("n2",), time_limit_s=HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.NODES_REQUIRED_OFF
    check(cluster, job, "named nodes", f"scontrol update JobId={job} NodeList=")


def test_excluded_nodes() -> None:
    cluster = a_cluster(nodes=2)
    full(cluster, cpus=8, nodes_required=("n2",))
    job = cluster.submit(cpus=8, nodes_excluded=("n1",), time_limit_s=HOUR)
    cluster.run_cycle()
    check(cluster, job, "excluded nodes", f"scontrol update JobId={job} ExcNodeList=")


def test_exclusive() -> None:
    cluster = a_cluster(nodes=1)
    full(cluster, cpus=1)
    job = cluster.submit(cpus=4, exclusive=True, time_limit_s=HOUR)
    cluster.run_cycle()
    command = f"scancel {job}; sbatch (without --exclusive) … (the rest as before)"
    check(cluster, job, "exclusive", command)


def test_switches() -> None:
    cluster = Cluster()
    for i in range(1, 5):
        spec = a_node(f"n{i}")
        rack = ("row", f"rack{(i - 1) // 2}")
        cluster.register(type(spec)(spec.name, spec.address, spec.cpu_milli, spec.mem_mib, topology=rack))
    full(cluster, cpus=8, nodes_required=("n1",))
    full(cluster, cpus=8, nodes_required=("n3",))
    job = cluster.submit(cpus=8, nodes=2, hops=0, time_limit_s=HOUR)
    cluster.run_cycle()
    one = only(cluster, job, "preference")
    assert one.change.words == "without --hops"
    assert one.nodes == ("n2", "n4")
    assert follow(cluster, job, one)


def test_licenses() -> None:
    cluster = a_cluster(nodes=1, config=a_config(licenses=(("matlab", 4),)))
    full(cluster, cpus=1, licenses="matlab:3")
    job = cluster.submit(cpus=1, licenses="matlab:2", time_limit_s=HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.LICENSES
    command = f"scancel {job}; sbatch --licenses=matlab:1 … (the rest as before)"
    check(cluster, job, "licenses", command)


def test_begin_time() -> None:
    cluster = a_cluster(nodes=1)
    job = cluster.submit(cpus=1, begin_at=cluster.clock.now + HOUR * US, time_limit_s=HOUR)
    check(cluster, job, "begin time", f"scontrol update JobId={job} StartTime=now", size=0)


def test_dependency() -> None:
    cluster = a_cluster(nodes=1)
    first = full(cluster, cpus=1)
    job = cluster.submit(cpus=1, dependency=after("afterok", first), time_limit_s=HOUR)
    check(cluster, job, "dependency", f"scontrol update JobId={job} Dependency=", size=0.9)


def test_a_dependency_that_never_comes_true() -> None:
    cluster = a_cluster(nodes=1)
    first = full(cluster, cpus=1)
    job = cluster.submit(cpus=1, dependency=after("afterok", first), time_limit_s=HOUR)
    cluster.exit(first, 1)
    assert cluster.reason_of(job) is Reason.DEPENDENCY_NEVER
    check(cluster, job, "dependency", f"scontrol update JobId={job} Dependency=")


def test_hold() -> None:
    cluster = a_cluster(nodes=1)
    job = cluster.submit(cpus=1, hold=True, time_limit_s=HOUR)
    check(cluster, job, "release", f"scontrol release {job}", size=0)


def test_a_hold_of_an_administrator_is_not_for_its_owner_to_release() -> None:
    cluster = a_cluster(nodes=1)
    job = cluster.submit(cpus=1, time_limit_s=HOUR)
    cluster.hold(job, caller=ADMIN)
    assert cluster.reason_of(job) is Reason.HELD_ADMIN
    one = only(cluster, job, "release")
    assert one.admin
    assert follow(cluster, job, one) == [job]


def test_limit_of_an_array() -> None:
    cluster = a_cluster(nodes=1)
    array = cluster.submit_array("0-3%1", cpus=1, time_limit_s=HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(array) is Reason.ARRAY_TASK_LIMIT
    check(cluster, array, "array limit", f"scontrol update JobId={array} ArrayTaskThrottle=2")


def test_its_own_nice_value() -> None:
    cluster = a_cluster(nodes=1)
    full(cluster, cpus=5)
    cluster.submit(cpus=8, time_limit_s=HOUR)
    job = cluster.submit(cpus=3, nice=100, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    assert cluster.reason_of(job) is Reason.PRIORITY
    assert not [s for s in ask(cluster, job).suggestions if s.change.kind == "nice"], "it came later as well"
    other = a_cluster(nodes=1)
    full(other, cpus=5)
    job = other.submit(cpus=3, nice=100, time_limit_s=12 * HOUR)
    other.submit(cpus=8, time_limit_s=HOUR)
    other.state.pending_columns.set_eligible(job, True)
    found = [s for s in ask(other, job).suggestions if s.change.kind == "nice"]
    assert found and found[0].change.words == "a nice value of 0"
    assert follow(other, job, found[0]) == [job]


def test_priority_is_for_administrators() -> None:
    cluster = a_cluster(nodes=1)
    full(cluster, cpus=5)
    cluster.submit(cpus=8, time_limit_s=HOUR)
    job = cluster.submit(cpus=3, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    one = only(cluster, job, "priority")
    assert one.admin
    assert one.command == f"scontrol update JobId={job} Priority=10001"
    assert follow(cluster, job, one) == [job]


# -- what is said beside that ------------------------------------------------------------------------------


def test_smallest_first_and_now_before_later() -> None:
    cluster = a_cluster(nodes=2, cpus=8, mem_mib=65_536)
    full(cluster, cpus=7, mem_mib=1024)
    full(cluster, cpus=2, mem_mib=16_384)
    job = cluster.submit(cpus=6, mem_mib=60_000, time_limit_s=24 * HOUR)
    cluster.run_cycle()
    found = ask(cluster, job).suggestions
    assert [s.change.kind for s in found if not s.admin][:2] == ["memory", "cpus"]
    sizes = [s.change.size for s in found if s.at == cluster.clock.now and not s.admin]
    assert sizes == sorted(sizes)


def test_memory_and_time_together() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=65_536)
    full(cluster, cpus=1, mem_mib=16_000)
    cluster.submit(cpus=1, mem_mib=65_536, time_limit_s=HOUR)  # the next one, planned in two hours
    job = cluster.submit(cpus=1, mem_mib=65_536, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    command = f"scontrol update JobId={job} MinMemoryNode=48G TimeLimit=01:59:00"
    one = check(cluster, job, "memory and time limit", command, size=0.25 + 1 - 119 / 720)
    assert one.change.words == (
        "48G of memory instead of 64G and a time limit of 01:59:00 instead of 12:00:00"
    )


def test_memory_and_cpus_together() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=16_384)
    full(cluster, cpus=6, mem_mib=8192)
    job = cluster.submit(cpus=8, mem_mib=16_384, time_limit_s=HOUR)
    cluster.run_cycle()
    command = f"scontrol update JobId={job} MinMemoryNode=8G NumCPUs=2"
    check(cluster, job, "memory and cpus", command, size=0.5 + 0.75)


def test_nodes_and_time_together() -> None:
    cluster = a_cluster(nodes=3, cpus=8)
    full(cluster, cpus=8, nodes=1)
    cluster.submit(cpus=8, nodes=3, n_tasks=3, time_limit_s=HOUR)
    job = cluster.submit(cpus=1, nodes=3, n_tasks=3, time_limit_s=12 * HOUR)
    cluster.run_cycle()
    one = only(cluster, job, "nodes and time limit")
    assert one.command == f"scontrol update JobId={job} NumNodes=2 TimeLimit=01:59:00"
    assert one.nodes == ("n2", "n3")
    assert follow(cluster, job, one) == [job]


def test_devices_and_memory_together_are_submitted_anew() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=16_384, gpus=4)
    full(cluster, cpus=1, mem_mib=8192, gpus=3)
    job = cluster.submit(cpus=1, mem_mib=16_384, gpus=4, time_limit_s=HOUR)
    cluster.run_cycle()
    [one] = [s for s in ask(cluster, job).suggestions if s.change.kind == "memory and devices"]
    assert one.command.startswith(f"scancel {job}; sbatch --mem=8G --g"), one.command
    assert len(follow(cluster, job, one)) == 1


def test_two_amounts_only_where_one_does_not_do() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=16_384)
    full(cluster, cpus=4, mem_mib=8192)
    job = cluster.submit(cpus=8, mem_mib=4096, time_limit_s=HOUR)
    cluster.run_cycle()
    assert all(" and " not in one.change.kind for one in ask(cluster, job).suggestions)


def test_what_no_single_change_starts() -> None:
    cluster = a_cluster(nodes=1, cpus=8, mem_mib=16_000)
    full(cluster, cpus=8, mem_mib=16_000)
    job = cluster.submit(cpus=4, mem_mib=8000, time_limit_s=HOUR)
    cluster.run_cycle()
    found = ask(cluster, job)
    assert found.suggestions == ()
    assert found.at == cluster.clock.now + 2 * HOUR * US


def test_a_job_that_the_next_pass_starts_needs_no_change() -> None:
    cluster = a_cluster(nodes=1)
    job = cluster.submit(cpus=1, time_limit_s=HOUR)
    found = answer(cluster, job)
    assert found.starts == ("n1",)
    assert found.suggestions == ()
    assert word(found.reasons[0].reason) == NOT_YET
    assert found.reasons[0].sentence


def test_who_is_ahead() -> None:
    cluster = a_cluster(nodes=1)
    full(cluster, cpus=8)
    first = cluster.submit(cpus=8, time_limit_s=HOUR, caller=Caller(OTHER))
    cluster.update(first, caller=ADMIN, priority=20_000)
    cluster.submit(cpus=8, time_limit_s=HOUR)
    job = cluster.submit(cpus=8, time_limit_s=HOUR)
    cluster.run_cycle()
    queue = answer(cluster, job).queue
    assert queue is not None
    assert (queue.n, queue.n_users, queue.priority) == (2, 2, 10_000)
    assert queue.first[0].name == str(first)
    assert queue.first[0].because == (
        f"by 10000: job {first} was given priority 20000, job {job} has priority 10000"
    )
    assert queue.first[0].planned == cluster.clock.now + 2 * HOUR * US
    assert queue.first[1].because == "their priorities are equal, and its number is lower"


def test_terms_and_fair_share() -> None:
    """Under "multifactor" the sum that sprio shows, and level by level what the fair share comes from."""
    weights = Priorities(weight_age=1000, weight_fairshare=5000, max_age_s=10 * HOUR)
    cluster = a_cluster(nodes=1, config=a_config(order="multifactor", priorities=weights))
    a_tree(cluster, chem={}, bio={})
    full(cluster, caller=ANN, account="chem", cpus=8)
    job = cluster.submit(caller=ANN, account="chem", cpus=8, time_limit_s=HOUR)
    first = cluster.submit(caller=BOB, account="bio", cpus=8, time_limit_s=HOUR)
    cluster.clock.advance(HOUR)
    cluster.run_cycle()
    found = answer(cluster, job)
    assert found.queue is not None
    ahead = found.queue.first[0]
    assert ahead.name == str(first)
    assert ahead.because.startswith(f"by {ahead.priority - found.queue.priority}: fair share +")
    terms, shares = found.standing
    assert terms.startswith(f"priority {found.queue.priority}: 100 by age (it waits for 1:00:00), ")
    assert "by fair share (factor 0." in terms
    assert shares == (
        "fair share: account chem has 50 % of the shares and 100 % of the use, "
        "user ann has 33 % of the shares and 100 % of the use, each among its siblings"
    )


def test_suspended() -> None:
    cluster = a_cluster(nodes=1)
    job = full(cluster, cpus=8)
    cluster.do(SuspendJobs(ADMIN, cluster.targets(job)))
    said = answer(cluster, job).reasons[0].sentence
    assert said == "it is suspended: it keeps its memory and runs on when an administrator resumes it"


def test_why_there() -> None:
    cluster = Cluster()
    cluster.register(a_node("n1", cpus=8, features=("fast",)))
    cluster.register(a_node("n2", cpus=8))
    cluster.register(a_node("n3", cpus=2, features=("fast",)))
    cluster.register(a_node("n4", cpus=8, features=("fast",)))
    cluster.register(a_node("n5", cpus=8, features=("fast",)))
    cluster.drain("n4")
    full(cluster, cpus=8, nodes_required=("n5",))
    job = full(cluster, cpus=4, features="fast")
    place = answer(cluster, job).place
    assert place is not None
    assert place.n_nodes == 5
    assert [rated.node for rated in place.own] == ["n1"]
    assert place.ruled_out == (
        (1, "are not what it asks for (constraint, named or excluded nodes)"),
        (1, "take no new work"),
        (1, "are too small for it even when empty"),
        (1, "are taken by other jobs"),
    )
    assert place.others == ()


def test_why_there_and_not_elsewhere() -> None:
    cluster = a_cluster(nodes=3)
    full(cluster, cpus=2)
    job = full(cluster, cpus=2)
    place = answer(cluster, job).place
    assert place is not None
    assert place.policy == cluster.state.config.policy
    assert place.n_others == 2
    assert place.own[0].score <= place.others[0].score


def test_what_became_of_it_before() -> None:
    cluster = a_cluster(nodes=1)
    job = full(cluster, cpus=1)
    cluster.requeue(job)
    cluster.exit(job, 0, signal=15, cause="terminated")
    assert cluster.state_of(job) == "PENDING"
    assert answer(cluster, job).past == ("it was started anew once",)


def test_why_preempted() -> None:
    cluster = yielding()
    low = cluster.submit(cpus=4, qos=LOW)
    cluster.run(low)
    high = cluster.submit(cpus=4, qos=HIGH, caller=Caller(OTHER))
    assert told(cluster) == [low]
    cluster.exit(low, signal=15)
    said = f"it was stopped once before since it made room for job {high} of QOS high (donkey)"
    assert answer(cluster, low).past == (said,)


def test_how_it_ended() -> None:
    cluster = a_cluster(nodes=1)
    job = full(cluster, cpus=1)
    cluster.exit(job, 3)
    assert answer(cluster, job).reasons[0].sentence.startswith("it is over: FAILED, exit code 3")


def test_every_reason_has_its_sentence() -> None:
    for reason in Reason:
        assert reason in MEANINGS, f"{reason.name} needs a row in core/why/meanings.py"
        assert meaning(reason).text and meaning(reason).todo
    words = [word(reason) for reason in Reason]
    assert len(set(words)) == len(words)
    assert word(Reason.NONE) == "NotYetConsidered"


def test_a_snapshot_is_apart_from_its_state() -> None:
    cluster = a_cluster(nodes=2, gpus=2, config=a_config(licenses=(("x", 3),)))
    full(cluster, cpus=2, gpus=1, licenses="x:1")
    job = cluster.submit(cpus=8, nodes=2, time_limit_s=HOUR)
    cluster.run_cycle()
    snapshot = taken(cluster.state)
    assert snapshot == cluster.state
    trial = again(snapshot)
    trial.pending_columns.remove(job)
    del trial.jobs[job]
    assert job in snapshot.jobs and job in snapshot.pending_columns
    row = snapshot.pending_columns.row(job)
    cluster.cancel(job)
    cluster.exit(1, 0)
    cluster.pass_time(HOUR)
    assert snapshot.pending_columns.row(job) == row
    assert snapshot.node_columns.held(JobId(1))
    assert JobId(1) in snapshot.running_columns
    snapshot.node_columns.check()
    assert smallest(snapshot, snapshot.jobs[job], cluster.clock.now).at


# -- generated ---------------------------------------------------------------------------------------------

amounts = st.fixed_dictionaries(
    {
        "cpus": st.integers(1, 8),
        "mem_mib": st.sampled_from([0, 500, 4000, 9000, 16_000]),
        "time_limit_s": st.sampled_from([300, HOUR, 8 * HOUR]),
    },
    optional={
        "gpus": st.integers(1, 2),
        "nodes": st.integers(1, 3),
        "features": st.sampled_from(["a", "b"]),
        "nodes_excluded": st.sampled_from([("n1",), ("n1", "n2")]),
        "exclusive": st.just(True),
        "hold": st.just(True),
        "nice": st.integers(0, 50),
        "licenses": st.sampled_from(["x:1", "x:2"]),
        "partition": st.sampled_from(["main", "side"]),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(amounts, min_size=3, max_size=12), st.integers(0, 3))
def test_now_is_always_true(jobs: list[dict[str, Any]], ended: int) -> None:
    """Every suggestion that says now is followed on the state as it was; each starts the job. And nobody
    waits without a reason."""
    side = Partition("side", nodes=(NodeName("n2"), NodeName("n3")), max_time_s=HOUR)
    cluster = Cluster(a_config(licenses=(("x", 2),), others=(side,)))
    cluster.register(a_node("n1", features=("a",)))
    cluster.register(a_node("n2", features=("b",), gpus=2))
    cluster.register(a_node("n3", cpus=4, features=("a",), gpus=1))
    known = []
    for what in jobs:
        reply = cluster.try_submit(**what)
        if isinstance(reply, Submitted):
            known.append(reply.first_id)
    started = cluster.run_cycle()
    cluster.start(*started)
    for id in started[:ended]:
        cluster.exit(id, 0)
    cluster.run_cycle()
    now, waiting = cluster.clock.now, [id for id in known if cluster.state_of(id) == "PENDING"]
    for id in waiting[:3]:
        waiter = cluster.job(id)
        said = blockers(cluster.state, waiter, now)
        assert said and all(one.sentence for one in said)
        for one in smallest(taken(cluster.state), waiter, now).suggestions:
            if one.at != now:
                continue
            follower = copy(cluster)
            follower.log, follower.rows, follower.sent = [], [], []
            follower.state = taken(cluster.state)
            n = follower.state.next_job_id
            granted = follow(follower, id, one)
            assert any(job == id or job >= n for job in granted), (one, granted)


def test_the_caller_is_the_owner() -> None:
    """A suggestion for the owner is never one that only an administrator may follow."""
    cluster = a_cluster(nodes=1)
    job = cluster.submit(cpus=1, hold=True, time_limit_s=HOUR)
    one = only(cluster, job, "release")
    (input,) = inputs(cluster.job(job), one.change, one.admin)
    assert isinstance(input, Release)
    assert input.caller == Caller(USER)


@pytest.mark.parametrize("order", ["priority", "packhorse", "fairshare"])
def test_when_nobody_may_start(order: str) -> None:
    cluster = a_cluster(nodes=1, config=a_config(order=order))
    job = cluster.submit(cpus=1, hold=True, time_limit_s=HOUR)
    cluster.hold(job, caller=ADMIN)
    found = answer(cluster, job)
    assert found.reasons[0].reason is Reason.HELD_ADMIN
    assert [s.change.kind for s in found.suggestions] == ["release"]


def test_a_question_while_steps_run() -> None:
    stepping = Stepping(a_cluster(nodes=1, cpus=1))
    job = stepping.job()
    stepping.step(job)
    waits = stepping.cluster.submit()
    stepping.cluster.run_cycle()
    assert answer(stepping.cluster, waits).reasons[0].reason is not Reason.NONE
    assert taken(stepping.cluster.state).steps == stepping.cluster.state.steps

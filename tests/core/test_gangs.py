"""Gangs of jobs: together or not at all, planned as one, given up after a while."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.gangs import text
from packhorse.scheduler.core.grant import run_cycle
from packhorse.scheduler.core.licenses import INVALID_LICENSE
from packhorse.scheduler.core.packing.possible import NODE_CONFIGURATION
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.core.why.answer import why
from packhorse.scheduler.core.why.snapshot import taken
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.event import Item, JobGranted
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, RunCycle, Submit, SubmitArray
from packhorse.scheduler.model.job import Ended, Gang
from packhorse.scheduler.model.reply import RefusalCode, Refused, Submitted
from tests.core.accounts.limits import ANN, a_tree
from tests.core.preempt.cluster_of import HIGH, LOW, told, yielding
from tests.core.scenario import ADMIN, OTHER, USER, Cluster, a_cluster, a_config, a_spec, an_array

FEW = Partition("few", nodes=(NodeName("n1"),))


def member(cluster: Cluster, size: int = 2, name: str = "g", wait_s: int = 0, **what: Any) -> JobId:
    return cluster.submit(gang=Gang(name, size, wait_s), **{"time_limit_s": 100, **what})


def said(cluster: Cluster, job: JobId) -> str:
    found = explain(cluster.state, job, cluster.clock.now)
    return " | ".join(f"{one.reason.value}: {one.sentence}" for one in found)


def test_nobody_starts_before_all_are_there() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    first = member(cluster, 3, cpus=1)
    second = member(cluster, 3, cpus=1)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(first) is cluster.reason_of(second) is Reason.GANG_INCOMPLETE
    assert (
        said(cluster, first) == "GangIncomplete: 2 of the 3 members of its gang g are here; submit the others"
    )
    assert text(cluster.state, cluster.job(first)) == "g:3, 2 of 3 here"
    third = member(cluster, 3, cpus=4)
    assert sorted(cluster.run_cycle()) == [first, second, third]
    assert text(cluster.state, cluster.job(first)) == "g:3"
    assert not cluster.state.gangs.by_key and not cluster.state.gangs.ready
    assert cluster.replayed() == cluster.state


def test_all_or_none() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    blocker = cluster.submit(cpus=3, time_limit_s=50)
    cluster.run(blocker)
    a, b = member(cluster, cpus=4), member(cluster, cpus=4)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(a) is cluster.reason_of(b) is Reason.RESOURCES
    assert "no room for all 2 members of its gang at once" in said(cluster, a)
    cluster.exit(blocker)
    assert sorted(cluster.run_cycle()) == [a, b]


def test_what_did_not_fit_is_given_back() -> None:
    """One member takes a node in the try, and another job is on it afterwards."""
    cluster = a_cluster(nodes=2, cpus=4, config=a_config(backfill_depth=0))
    blocker = cluster.submit(cpus=3, time_limit_s=500)
    cluster.run(blocker)
    member(cluster, cpus=4)
    member(cluster, cpus=4)
    small = [cluster.submit(cpus=1) for _ in range(5)]
    assert cluster.run_cycle() == small


def test_a_common_planned_start_that_backfill_does_not_delay() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    short, long = cluster.submit(cpus=4, time_limit_s=50), cluster.submit(cpus=4, time_limit_s=200)
    cluster.run(short, long)
    a, b = member(cluster, cpus=3), member(cluster, cpus=4)
    late = cluster.submit(cpus=2, time_limit_s=400)
    cluster.run_cycle()
    planned = {cluster.state.pending_columns.planned(id) for id in (a, b)}
    assert planned == {Instant(cluster.clock.now + 200 * US)}
    cluster.exit(short)
    too_long = cluster.submit(cpus=4, time_limit_s=201)
    in_time = cluster.submit(cpus=3, time_limit_s=150)
    begun = cluster.run_cycle()
    assert begun == [in_time], "only what is over by then"
    cluster.start(in_time)
    cluster.pass_time(150)
    cluster.exit(in_time)
    cluster.pass_time(50)
    cluster.exit(long)
    assert sorted(cluster.run_cycle()) == [a, b]
    assert cluster.state_of(too_long) == cluster.state_of(late) == "PENDING"


def test_it_does_not_starve_behind_a_stream_of_small_jobs() -> None:
    cluster = a_cluster(nodes=3, cpus=2)
    running: dict[JobId, int] = {
        id: 30 + 10 * n for n, id in enumerate(cluster.submit(time_limit_s=60) for _ in range(6))
    }
    cluster.run(*running)
    gang = [member(cluster, 3, cpus=2) for _ in range(3)]
    for step in range(1, 30):
        cluster.submit(cpus=1, time_limit_s=60)
        begun = cluster.run_cycle()
        if gang[0] in begun:
            assert set(gang) <= set(begun)
            assert step <= 10
            return
        for id in begun:
            cluster.start(id)
            running[id] = step * 10 + 60
        cluster.pass_time(10)
        for id in [id for id, end in running.items() if end <= step * 10]:
            cluster.exit(id)
            del running[id]
    raise AssertionError("the gang never started")


def test_largest_first() -> None:
    """In the order of submission the small one would take the only place of the large one."""
    cluster = a_cluster(nodes=2, cpus=4)
    blocker = cluster.submit(cpus=2, time_limit_s=500)
    cluster.run(blocker)
    a, b, c = (member(cluster, 3, cpus=cpus) for cpus in (1, 4, 1))
    assert sorted(cluster.run_cycle()) == [a, b, c]


def test_other_jobs_of_the_class_go_by_themselves() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    blocker = cluster.submit(cpus=4, time_limit_s=50)
    cluster.run(blocker)
    before = cluster.submit(cpus=2, time_limit_s=20)
    a, b = member(cluster, cpus=3), member(cluster, cpus=3)
    after = cluster.submit(cpus=2, time_limit_s=20)
    assert cluster.run_cycle() == [before, after]
    assert {cluster.reason_of(a), cluster.reason_of(b)} == {Reason.RESOURCES}


def test_licences_of_all() -> None:
    cluster = a_cluster(nodes=2, cpus=4, config=a_config(licenses=(("x", 4),)))
    cluster.run(cluster.submit(cpus=1, licenses="x:1"))
    a, b = (member(cluster, cpus=1, licenses="x:2") for _ in range(2))
    assert cluster.run_cycle() == []
    assert cluster.reason_of(a) is cluster.reason_of(b) is Reason.LICENSES
    assert cluster.submit(cpus=1, licenses="x:3") in cluster.run_cycle(), "nothing of them was kept"


def test_a_member_that_cannot_start_holds_up_the_others() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    a, b = member(cluster), member(cluster, hold=True)
    cluster.run_cycle()
    assert cluster.reason_of(a) is Reason.GANG_INCOMPLETE
    assert said(cluster, a) == f"GangIncomplete: job {b} of its gang g waits: JobHeldUser"
    cluster.release(b)
    assert sorted(cluster.run_cycle()) == [a, b]
    c, d = member(cluster), member(cluster, licenses="")
    cluster.hold(c)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(d) is Reason.GANG_INCOMPLETE


def test_another_member_waits_for_its_node() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.drain("n2")
    a, b = member(cluster), member(cluster, cpus=3, nodes=2)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(a) is Reason.GANG_INCOMPLETE
    assert f"starts together with job {b} of its gang, which waits: Nodes required" in said(cluster, a)
    answer = why(taken(cluster.state), cluster.job(a), cluster.clock.now)
    assert answer.reasons[0].reason is Reason.GANG_INCOMPLETE
    cluster.resume("n2")
    assert sorted(cluster.run_cycle()) == [a, b]


def test_more_than_a_pass_may_start() -> None:
    cluster = a_cluster(nodes=2, cpus=4, config=a_config(max_starts_per_cycle=2))
    gang = [member(cluster, 4) for _ in range(4)]
    assert sorted(cluster.run_cycle()) == gang


@pytest.mark.parametrize("order", ["priority", "packhorse", "saf", "multifactor"])
@pytest.mark.parametrize("preempt", ["", "order"])
def test_under_any_order(order: str, preempt: str) -> None:
    if preempt and order == "packhorse":
        return
    cluster = a_cluster(
        nodes=2, cpus=4, config=a_config(order=order, **({"preempt": preempt} if preempt else {}))
    )
    blocker = cluster.submit(cpus=4, time_limit_s=50)
    cluster.run(blocker)
    gang = [member(cluster, 3, cpus=2) for _ in range(3)]
    assert not set(gang) & set(cluster.run_cycle())
    assert cluster.state_of(blocker) == "RUNNING", "nobody is stopped for a gang"
    cluster.exit(blocker)
    assert sorted(cluster.run_cycle()) == gang


def test_one_node() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    blocker = cluster.submit(cpus=1)
    cluster.run(blocker)
    a, b = member(cluster, cpus=2), member(cluster, cpus=2)
    assert cluster.run_cycle() == []
    cluster.exit(blocker)
    assert sorted(cluster.run_cycle()) == [a, b]


def test_given_up() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    blocker = cluster.submit(cpus=4, time_limit_s=5000)
    cluster.run(blocker)
    a = member(cluster, 2, wait_s=100, cpus=4)
    cluster.pass_time(60)
    b = member(cluster, 2, wait_s=100, cpus=4)
    cluster.run_cycle()
    assert next_timer(cluster.state) == cluster.clock.now + 40 * US
    cluster.pass_time(39)
    assert cluster.state_of(b) == "PENDING"
    cluster.pass_time(2)
    for id in (a, b):
        phase = cluster.job(id).phase
        assert isinstance(phase, Ended) and phase.cancelled_by == -1
        assert (phase.state.value, phase.reason) == ("CANCELLED", "GangTimeout")
        assert phase.detail == "its gang g could not start within 100 s of its first submission"
    assert cluster.replayed() == cluster.state
    assert not cluster.state.gangs.by_key


def test_once_they_have_started_nobody_is_given_up() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    gang = [member(cluster, 2, wait_s=100) for _ in range(2)]
    cluster.run(*gang)
    cluster.pass_time(99)
    cluster.exit(gang[0])
    cluster.pass_time(20)
    assert cluster.state_of(gang[0]) == "COMPLETED"
    assert cluster.state_of(gang[1]) != "CANCELLED"


def test_after_the_start_members_are_jobs_like_others() -> None:
    """One ends, one loses its node and restarts alone; nobody waits for anybody."""
    cluster = a_cluster(nodes=2, cpus=4)
    gang = [member(cluster, 3, cpus=2, wait_s=50) for _ in range(3)]
    cluster.run(*gang)
    cluster.exit(gang[0])

    assert cluster.state_of(gang[0]) == "COMPLETED"
    cluster.requeue(gang[1], caller=ADMIN)
    cluster.exit(gang[1], signal=15)

    assert cluster.state_of(gang[1]) == "PENDING"
    assert text(cluster.state, cluster.job(gang[1])) == "g:3"
    cluster.pass_time(120)
    assert gang[1] in cluster.run_cycle()


def test_the_node_of_a_member_dies() -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    gang = [member(cluster, 2, cpus=4, time_limit_s=1000) for _ in range(2)]
    cluster.run(*gang)
    node = cluster.active(gang[0]).placements[0].node
    cluster.silence(node)
    cluster.down(node)
    assert cluster.state_of(gang[1]) == "RUNNING"
    cluster.pass_time(60)
    assert cluster.run_cycle() == [gang[0]]


def test_the_name_again() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.run(member(cluster, 2), member(cluster, 2))
    a = member(cluster, 3)
    assert cluster.run_cycle() == []
    assert cluster.reason_of(a) is Reason.GANG_INCOMPLETE


def test_of_another_user_is_another_gang() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    member(cluster, 2)
    member(cluster, 2, caller=Caller(OTHER))
    assert cluster.run_cycle() == []


def refused(cluster: Cluster, gang: Gang, count: int = 1) -> str:
    reply = cluster.try_submit(count=count, gang=gang)
    assert isinstance(reply, Refused)
    return reply.message


def test_refused() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    member(cluster, 3)
    assert refused(cluster, Gang("g", 3), 3) == (
        'gang "g": 1 of its 3 members wait and 3 more would be too many; give another name or a larger size'
    )
    assert "size 4 and no end of waiting asked, but its members that wait have size 3" in refused(
        cluster, Gang("g", 4)
    )
    assert "a wait of 9 s" in refused(cluster, Gang("g", 3, 9))
    both = (a_spec(gang=Gang("h", 2)), a_spec(gang=Gang("h", 3)))
    reply = cluster.do(Submit(Caller(USER), both, (Item(0), Item(1)))).reply
    assert isinstance(reply, Refused) and 'gang "h"' in reply.message
    reply = cluster.do(SubmitArray(Caller(USER), a_spec(gang=Gang("a", 2)), an_array("0-1"))).reply
    assert isinstance(reply, Refused) and "an array cannot be a member" in reply.message


def refused_room(cluster: Cluster, *asks: dict[str, Any], size: int = 9) -> str:
    """What is told of the last of these members; the ones before it are taken."""
    for ask in asks[:-1]:
        member(cluster, size, **ask)
    reply = cluster.try_submit(gang=Gang("g", size), time_limit_s=100, **asks[-1])
    assert isinstance(reply, Refused), reply
    assert reply.code is RefusalCode.IMPOSSIBLE
    assert reply.slurm == (INVALID_LICENSE if "licences" in reply.message else NODE_CONFIGURATION)
    return reply.message


def test_members_that_can_never_run_together_are_refused() -> None:
    """Whatever runs now, and however much is drained."""
    cluster = a_cluster(nodes=3, cpus=4, mem_mib=16_000, gpus=2, config=a_config(others=(FEW,)))
    cpus = refused_room(cluster, {"cpus": 4}, {"cpus": 4}, {"cpus": 4}, {"cpus": 1})
    assert cpus == (
        'gang "g": 4 members ask for 13 CPUs, the nodes that they may use have 12; '
        "ask for less, or for fewer members"
    )
    assert (
        "4 members are 4 parts on one node each of 3 CPUs or more, and the nodes that they may use have "
        in (refused_room(a_cluster(nodes=3, cpus=4), *[{"cpus": 3}] * 4))
    )
    again = a_cluster(nodes=3, cpus=4, mem_mib=16_000, gpus=2, config=a_config(others=(FEW,)))
    mixed = refused_room(again, {"cpus": 3, "mem_mib": 9_000}, *[{"cpus": 3}] * 3)
    assert "4 parts on one node each of 3 CPUs or more" in mixed and "room for 3 of these" in mixed


@pytest.mark.parametrize(
    ("asks", "why"),
    [
        ([{"gpus": 2}, {"gpus": 2}, {"gpus": 2}, {"gpus": 1}], "4 members ask for 7 gpu,"),
        ([{"mem_mib": 16_000}] * 3 + [{"mem_mib": 1}], "48001 MiB of memory"),
        ([{"exclusive": True}] * 3 + [{"cpus": 1}], "whole nodes"),
        ([{"nodes": 3, "n_tasks": 3, "cpus": 3}, {"cpus": 2}, {"cpus": 2}], "13 CPUs"),
        (
            [{"nodes": 2, "n_tasks": 2, "cpus": 3}, {"nodes": 2, "n_tasks": 2, "cpus": 3}],
            "4 parts on one node",
        ),
        ([{"cpus": 3, "partition": "few"}, {"cpus": 2, "partition": "few"}], "2 members ask for 5 CPUs"),
        ([{"nodes_required": ("n2",), "cpus": 3}, {"nodes_required": ("n2",), "cpus": 3}], "6 CPUs"),
        ([{"licenses": "matlab:2"}, {"licenses": "matlab:1"}], "3 licences matlab, and there are 2"),
    ],
)
def test_of_every_resource(asks: list[dict[str, Any]], why: str) -> None:
    config = a_config(others=(FEW,), licenses=(("matlab", 2),))
    cluster = a_cluster(nodes=3, cpus=4, mem_mib=16_000, gpus=2, config=config)
    assert why in refused_room(cluster, *asks)


def test_what_may_fit_is_taken() -> None:
    """Members of different partitions, a drained cluster, one without nodes yet, and what only an exact
    search would find not to fit."""
    cluster = a_cluster(nodes=3, cpus=4, config=a_config(others=(FEW,)))
    for ask in ({"cpus": 4, "partition": "few"}, {"cpus": 4}, {"cpus": 2}, {"cpus": 2}):
        member(cluster, 4, **ask)
    assert len(cluster.run_cycle()) == 4
    for name in ("n1", "n2", "n3"):
        cluster.drain(name)
    member(cluster, 2, "later", cpus=4)
    member(cluster, 2, "later", cpus=4)
    empty = Cluster(a_config())
    assert isinstance(empty.try_submit(count=99, gang=Gang("g", 99)), Submitted)
    gaps = a_cluster(nodes=2, cpus=6)
    for cpus in (4, 4, 3):
        member(gaps, 3, "gaps", cpus=cpus)
    assert gaps.run_cycle() == []


def test_a_member_does_not_grow_beyond_what_there_is() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    first, second = member(cluster, cpus=4), member(cluster, cpus=2)
    [outcome] = cluster.update(second, n_cpus=4)
    assert outcome.code is None
    third = cluster.submit(cpus=1, gang=Gang("h", 3))
    cluster.submit(cpus=4, gang=Gang("h", 3), count=1)
    [outcome] = cluster.update(third, n_cpus=4)
    assert outcome.code is None
    reply = cluster.try_submit(cpus=1, gang=Gang("h", 3))
    assert isinstance(reply, Refused) and "9 CPUs" in reply.message
    [outcome] = cluster.update(third, n_cpus=3)
    assert outcome.code is None
    cluster.submit(cpus=1, gang=Gang("h", 3))
    [outcome] = cluster.update(third, n_cpus=4)
    assert (outcome.code, outcome.slurm) == (RefusalCode.IMPOSSIBLE, NODE_CONFIGURATION)
    assert "9 CPUs, the nodes that they may use have 8" in outcome.message
    assert first != second


def test_in_one_call() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    reply = cluster.try_submit(count=3, gang=Gang("g", 3))
    assert isinstance(reply, Submitted)
    assert len(cluster.run_cycle()) == 3


def test_after_a_snapshot() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    member(cluster, 2, wait_s=70)
    member(cluster, 3, "h", cpus=4, hold=True)
    again = load(dump(cluster.state.freeze()))
    assert again == cluster.state
    assert {k: dict(v.members) for k, v in again.gangs.by_key.items()} == {
        k: dict(v.members) for k, v in cluster.state.gangs.by_key.items()
    }
    assert next_timer(again) == next_timer(cluster.state)


def test_a_plan_that_the_state_does_not_bear_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one grant is not believed, none of the gang is."""
    from packhorse.scheduler.core import cycle

    cluster = a_cluster(nodes=2, cpus=4)
    gang = [member(cluster, 2, cpus=2) for _ in range(2)]
    other = cluster.submit(cpus=1)
    plan = cycle.plan(cluster.state, cluster.clock.now)
    assert [grant.id for grant in plan.grants] == [*gang, other]
    nowhere = plan.grants[1]._replace(placements=())
    broken = plan._replace(grants=[plan.grants[0], nowhere, plan.grants[2]])
    monkeypatch.setattr(cycle, "plan", lambda *_: broken)
    events = run_cycle(cluster.state, RunCycle(), cluster.clock.now).events
    assert [event.job for event in events if isinstance(event, JobGranted)] == [other]


def test_limits_of_all() -> None:
    """Each may start, and not all of them; nobody behind waits for them."""
    cluster = a_cluster(nodes=2, cpus=4)
    a_tree(cluster, bio={"grp_tres": "cpu=3"})
    gang = [member(cluster, cpus=2, caller=ANN, account="bio") for _ in range(2)]
    other = cluster.submit(cpus=3, caller=ANN, account="bio")
    assert cluster.run_cycle() == [other], "what they would have held is given back"
    assert {cluster.reason_of(id) for id in gang} == {Reason.ASSOC_GRP_CPU}


def test_one_next_one_of_its_partition() -> None:
    """With two planned starts the job behind the gang gets one as well, though the gang has three members."""
    cluster = a_cluster(nodes=3, cpus=4, config=a_config(backfill_depth=2))
    blockers = [cluster.submit(cpus=4, time_limit_s=50) for _ in range(3)]
    cluster.run(*blockers)
    gang = [member(cluster, 3, cpus=4) for _ in range(3)]
    behind = cluster.submit(cpus=4, nodes=2, time_limit_s=10)
    last = cluster.submit(cpus=4, nodes=3, time_limit_s=10)
    cluster.run_cycle()
    planned = [cluster.state.pending_columns.planned(id) - cluster.clock.now for id in (*gang, behind)]
    assert planned == [50 * US, 50 * US, 50 * US, 150 * US]
    assert cluster.reason_of(behind) is Reason.RESOURCES
    assert cluster.reason_of(last) is Reason.PRIORITY
    assert not cluster.state.pending_columns.planned(last)


def test_members_that_run_for_different_times_begin_at_one_instant() -> None:
    """The second node is free for the short member at once, and for both only later."""
    cluster = a_cluster(nodes=2, cpus=4, config=a_config(backfill_depth=2))
    cluster.run(cluster.submit(cpus=4, time_limit_s=70))
    member(cluster, cpus=4, time_limit_s=20)
    member(cluster, cpus=2, time_limit_s=400)
    cluster.run_cycle()
    planned = {cluster.state.pending_columns.planned(JobId(id)) - cluster.clock.now for id in (2, 3)}
    assert planned == {70 * US}


def test_nobody_makes_room_for_gangs_and_they_make_room_one_by_one() -> None:
    cluster = yielding()
    low = cluster.submit(cpus=4, qos=LOW, time_limit_s=1000)
    cluster.run(low)
    gang = [member(cluster, cpus=2, qos=HIGH) for _ in range(2)]
    assert told(cluster) == []
    assert {cluster.reason_of(id) for id in gang} == {Reason.RESOURCES}


def test_in_a_reservation() -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    cluster.reserve(nodes="n1,n2")
    inside = [member(cluster, cpus=4, reservation="r", time_limit_s=60) for _ in range(2)]
    outside = [member(cluster, 2, "h", cpus=3, time_limit_s=60, caller=Caller(OTHER)) for _ in range(2)]
    assert sorted(cluster.run_cycle()) == inside
    assert cluster.reason_of(outside[0]) is not Reason.NONE

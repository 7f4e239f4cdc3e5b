"""Create, update and delete: what is filled in, what is refused and in whose words, and which nodes come."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.reservations.entitled import may_use
from packhorse.scheduler.model.accounts import (
    Account,
    AccountsDelta,
    AdminLevel,
    Association,
    AssociationKey,
    Holder,
    User,
)
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.input import Caller, ChangeAccounts
from packhorse.scheduler.model.reply import Done, RefusalCode, Refused
from packhorse.scheduler.model.reservation import Reservation
from tests.core.account_wishes import user
from tests.core.scenario import ADMIN, NOON, OTHER, USER, Cluster, a_cluster, a_config, a_node

HOUR = 3600
GOOD: dict[str, Any] = {"start_s": 0, "hours": 1, "nodes": "n1", "users": "mule"}


def refusal(cluster: Cluster, name: str = "r", **wish: Any) -> tuple[str, str]:
    reply = cluster.try_reserve(name, **{**GOOD, **wish})
    assert isinstance(reply, Refused), reply
    return reply.slurm, reply.message


def test_a_name_is_made_up_as_slurm_does() -> None:
    cluster = a_cluster(nodes=2)
    assert [cluster.try_reserve("", **GOOD).outcomes[0].ref] == ["root_1"]  # type: ignore[union-attr]
    cluster.try_reserve("", **{**GOOD, "nodes": "n2"})
    assert list(cluster.state.reservations) == ["root_1", "root_2"]


@pytest.mark.parametrize(
    ("wish", "slurm", "says"),
    [
        ({"users": None}, "Reservation request lacks users, groups or accounts", "Users="),
        ({"nodes": "n9"}, "Invalid node name specified", "n9"),
        ({"hours": 0}, "Invalid start time", "Duration"),
        ({"nodes": None}, "Requested reservation is invalid", "NodeCnt="),
        ({"nodes": None, "node_counts": (9,)}, "Node count specification invalid", "9 nodes asked"),
        ({"nodes": None, "cpus": 99}, "Requested nodes are busy", "99 CPUs asked"),
        ({"partition": "gone"}, "Invalid partition name specified", "main"),
        ({"flags": "REPLACE"}, "Requested reservation is invalid", "REPLACE"),
        ({"flags": "TIME_FLOAT"}, "Requested reservation is invalid", "Flags=DAILY"),
        ({"flags": "REPLACE_DOWN"}, "Requested reservation is invalid", "say NodeCnt="),
        ({"flags": "REPLACE_DOWN", "nodes": "ALL"}, "Requested reservation is invalid", "say NodeCnt="),
        ({"flags": "REPLACE_DOWN", "nodes": None, "cpus": 2}, "Requested reservation is invalid", "NodeCnt="),
        ({"flags": "SHINY"}, "Requested reservation is invalid", "MAINT"),
        ({"flags": "DAILY,WEEKLY"}, "Requested reservation is invalid", "exclude each other"),
        ({"flags": "HOURLY", "hours": 2}, "Requested reservation is invalid", "longer than what it repeats"),
        ({"flags": "PART_NODES"}, "Requested reservation is invalid", "Nodes=ALL"),
        ({"users": "mule,mul", "strangers": ("mul",)}, "Invalid user id", 'user "mul" is known neither'),
        ({"licenses": "maple"}, "Invalid license specification", "maple"),
        ({"core_counts": (2, 2)}, "Core count for reservation node list is not consistent!", "2 core counts"),
        ({"core_counts": (99,)}, "Node count specification invalid", "99 CPUs asked"),
    ],
)  # fmt: skip
def test_what_is_refused(wish: dict[str, Any], slurm: str, says: str) -> None:
    cluster = a_cluster(nodes=2)
    found = refusal(cluster, **wish)
    assert found[0] == slurm and says in found[1]
    assert not cluster.state.reservations


def test_whom_only_the_book_of_accounts_knows() -> None:
    """Users of other hosts need no entry in this one's list."""
    cluster = a_cluster(nodes=2)
    wish: dict[str, Any] = {**GOOD, "users": "ann", "strangers": ("ann",)}
    assert refusal(cluster, **wish)[0] == "Invalid user id"
    cluster.do(ChangeAccounts(ADMIN, (user("ann"),)))
    assert cluster.reserve("r", **wish).users == ("ann",)


def test_a_name_is_given_once() -> None:
    cluster = a_cluster(nodes=2)
    cluster.reserve("r", nodes="n1")
    assert refusal(cluster, nodes="n2")[0] == "Duplicate reservation name"


def test_nodes_are_reserved_once_unless_flags_say_so() -> None:
    cluster = a_cluster(nodes=2)
    cluster.reserve("a", start_s=HOUR, nodes="n1,n2")
    slurm, message = refusal(cluster, hours=2)
    assert slurm == "Requested reservation overlaps with another reservation" and "node n1" in message
    cluster.reserve("before", nodes="n1")
    cluster.reserve("after", start_s=2 * HOUR, nodes="n1")
    cluster.reserve("over", start_s=HOUR, nodes="n1", flags="OVERLAP")
    cluster.reserve("maint", start_s=HOUR, nodes="n1", flags="MAINT")


def test_windows_that_repeat_are_compared_with_what_comes_later() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve("daily", nodes="n1", flags="DAILY")
    assert refusal(cluster, start_s=10 * 24 * HOUR + 60)[0].startswith("Requested reservation overlaps")
    cluster.reserve("gap", start_s=10 * 24 * HOUR + 2 * HOUR, nodes="n1")


def test_the_scheduler_chooses_idle_nodes_first() -> None:
    cluster = a_cluster(nodes=4, cpus=4)
    cluster.drain("n2")
    job = cluster.submit(cpus=1, time_limit_s=600, nodes_required=(NodeName("n1"),))
    cluster.run(job)
    assert cluster.reserve("a", nodes=None, node_counts=(1,)).nodes == ("n3",)
    assert cluster.reserve("b", nodes=None, node_counts=(1,), start_s=2 * HOUR).nodes == ("n3",)
    assert cluster.reserve("c", nodes=None, node_counts=(2,), start_s=2 * HOUR).nodes == ("n1", "n4")


def test_of_idle_nodes_the_lightest_come_first() -> None:
    """As for jobs: the weight of a node comes before everything else."""
    cluster = a_cluster(nodes=0)
    for name, weight in (("n1", 20), ("n2", 5), ("n3", 10)):
        cluster.register(replace(a_node(name), weight=weight))
    assert cluster.reserve("a", nodes=None, node_counts=(2,)).nodes == ("n2", "n3")
    job = cluster.submit(reservation="a", time_limit_s=60)
    cluster.run_cycle()
    assert [p.node for p in cluster.active(job).placements] == ["n2"]


def test_nodes_are_chosen_from_the_default_partition() -> None:
    """As in Slurm: who counts nodes and names no partition does not get those of another one."""
    cluster = a_cluster(nodes=2, config=a_config(nodes=(NodeName("n2"),), others=(Partition("all"),)))
    r = cluster.reserve("a", nodes=None, node_counts=(1,))
    assert (r.nodes, r.partition) == (("n2",), "main")
    assert cluster.reserve("b", nodes="ALL", flags="OVERLAP").nodes == ("n1", "n2")
    named = cluster.reserve("c", nodes="n1", flags="OVERLAP")
    assert (named.nodes, named.partition) == (("n1",), "")
    more = cluster.try_reserve("d", start_s=0, hours=1, users="mule", node_counts=(2,), flags="OVERLAP")
    assert isinstance(more, Refused) and '2 nodes asked, 1 are free then in partition "main";' in more.message


def test_partition_and_features_narrow_the_choice() -> None:
    gpu = Partition("gpu", (NodeName("n2"), NodeName("n3")))
    cluster = a_cluster(nodes=2, config=a_config(others=(gpu,)))
    cluster.register(a_node("n3", features=("fast",)))
    assert cluster.reserve("a", nodes=None, node_counts=(1,), partition="gpu").nodes == ("n2",)
    assert cluster.reserve("b", nodes=None, node_counts=(1,), features="fast").nodes == ("n3",)
    r = cluster.reserve("c", nodes="ALL", partition="gpu", flags="PART_NODES,OVERLAP")
    assert r.nodes == ("n2", "n3") and "PART_NODES" in r.flags
    assert "ALL_NODES" in cluster.reserve("d", nodes="ALL", flags="MAINT").flags
    job = cluster.submit(reservation="a")
    assert cluster.job(job).spec.partition == "gpu", "as the reservation has it"


def test_cores_are_counted_in_all_or_by_node() -> None:
    cluster = a_cluster(nodes=3, cpus=4)
    assert cluster.reserve("a", nodes=None, core_counts=(5,)).cpu_milli == (4000, 1000)
    r = cluster.reserve("b", nodes=None, core_counts=(4,), node_counts=(2,))
    assert (r.nodes, r.cpu_milli) == (("n2", "n3"), (2000, 2000))
    assert cluster.reserve("c", nodes="n2,n3", core_counts=(1, 2)).cpu_milli == (1000, 2000)


def test_cores_beside_jobs_that_run() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.run(cluster.submit(cpus=3, time_limit_s=2 * HOUR))
    assert refusal(cluster, core_counts=(2,))[0] == "Requested nodes are busy"
    assert cluster.reserve("a", nodes="n1", core_counts=(1,)).cpu_milli == (1000,)


def test_lists_are_added_to_and_taken_from() -> None:
    cluster = a_cluster(nodes=3)
    cluster.reserve(nodes="n1", users="ann,bob")
    assert cluster.change_reservation(users="+carl").users == ("ann", "bob", "carl")
    assert cluster.change_reservation(users="-ann").users == ("bob", "carl")
    assert cluster.change_reservation(users="dora").users == ("dora",)
    assert cluster.change_reservation(nodes="+n3").nodes == ("n1", "n3")
    assert cluster.change_reservation(nodes="-n1").nodes == ("n3",)
    assert cluster.change_reservation(flags="+FLEX").flags == ("SPEC_NODES", "FLEX")
    assert cluster.change_reservation(flags="-FLEX").flags == ("SPEC_NODES",)


def test_an_update_without_nodes_keeps_them_and_says_since_when() -> None:
    cluster = a_cluster(nodes=1)
    r = cluster.reserve(nodes="n1")
    cluster.pass_time(60)
    assert cluster.change_reservation(comment="yes").created_at == r.created_at
    longer = cluster.change_reservation(hours=3)
    assert longer.end_at == r.start_at + 3 * HOUR * US and longer.created_at == cluster.clock.now
    assert cluster.try_reserve("no", update=True).slurm == "Requested reservation is invalid"  # type: ignore[union-attr]


def test_a_window_is_not_moved_over_running_jobs() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve(nodes="n1", start_s=HOUR)
    cluster.run(cluster.submit(caller=Caller(OTHER), time_limit_s=HOUR))
    reply = cluster.try_reserve("r", update=True, start_s=60)
    assert isinstance(reply, Refused) and reply.slurm == "Requested nodes are busy"


def test_it_is_not_deleted_while_jobs_run_in_it() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve(nodes="n1")
    job = cluster.submit(reservation="r")
    cluster.run(job)
    reply = cluster.unreserve()
    assert isinstance(reply, Refused) and reply.slurm == "Requested reservation is in use"
    cluster.exit(job)
    assert isinstance(cluster.unreserve(), Done)
    assert not cluster.state.reservations
    gone = cluster.unreserve()
    assert isinstance(gone, Refused) and gone.code is RefusalCode.NOT_FOUND


def test_operators_and_administrators_only() -> None:
    cluster = a_cluster(nodes=1)
    assert refusal(cluster, caller=Caller(USER))[0] == "Access/permission denied"
    operator = AccountsDelta(users=(User("mule", admin_level=AdminLevel.OPERATOR),))
    from packhorse.scheduler.core.apply import apply

    apply(cluster.state, AccountsChanged(cluster.clock.now, operator, 0))
    assert isinstance(cluster.try_reserve("r", caller=Caller(USER), **GOOD), Done)
    denied = cluster.unreserve(caller=Caller(OTHER))
    assert isinstance(denied, Refused) and denied.code is RefusalCode.DENIED


def test_who_may_submit_to_it() -> None:
    cluster = a_cluster(nodes=1)
    cluster.reserve(nodes="n1")
    denied = cluster.try_submit(caller=Caller(OTHER), reservation="r")
    assert isinstance(denied, Refused) and denied.slurm == "Access denied to requested reservation"
    unknown = cluster.try_submit(reservation="nosuch")
    assert isinstance(unknown, Refused) and unknown.slurm == "Requested reservation is invalid"
    job = cluster.submit()
    [outcome] = cluster.update(job, reservation="nosuch")
    assert outcome.slurm == "Requested reservation is invalid"
    [outcome] = cluster.update(job, reservation="r")
    assert outcome.code is None and cluster.job(job).spec.reservation == "r"


@pytest.mark.parametrize(
    ("lists", "ann", "bob"),
    [
        ({"users": ("ann",)}, True, False),
        ({"users": ("-ann",)}, False, True),
        ({"accounts": ("bio",)}, True, False),
        ({"accounts": ("-bio",)}, False, True),
        ({"users": ("ann", "bob"), "accounts": ("bio",)}, True, False),
        ({"qos": ("normal",)}, True, False),
        ({"groups": ("lab",), "group_users": ("bob",)}, False, True),
        ({"groups": ("lab",)}, False, False),
    ],
)
def test_who_may_use_it(lists: dict[str, Any], ann: bool, bob: bool) -> None:
    """ann is in account cells, below bio; bob in maths with another QOS. A job must match every list."""
    book = Cluster(a_config()).state.accounts
    names = (("bio", "root"), ("cells", "bio"), ("maths", "root"))
    book.change(
        AccountsDelta(
            accounts=tuple(Account(name, parent) for name, parent in names),
            associations=tuple(Association(AssociationKey(name)) for name, _ in names),
        )
    )
    r = Reservation("r", NOON, Instant(NOON + US), **lists)
    assert may_use(r, Holder("cells", "ann", "main", "normal"), book) is ann
    assert may_use(r, Holder("maths", "bob", "main", "high"), book) is bob


def test_a_job_learns_what_it_waits_for() -> None:
    cluster = a_cluster(nodes=2)
    cluster.reserve("maint", start_s=HOUR, nodes="ALL", flags="MAINT", users="root")
    long = cluster.submit(time_limit_s=2 * HOUR)
    own = cluster.submit(reservation="maint", caller=ADMIN) if cluster.state.config.allow_root_jobs else 0
    assert own == 0
    cluster.run_cycle()
    [told, *_] = explain(cluster.state, long, cluster.clock.now)
    assert told.reason.value == "ReqNodeNotAvail, Reserved for maintenance"
    assert "n[1-2] in maintenance (maint) in 1:00:00, over in " in told.sentence
    assert "up to 1:00:00" in told.sentence
    shortly = explain(cluster.state, long, Instant(cluster.clock.now + (HOUR - 30) * US))[0]
    assert "(maint) in 0:30, over in 1:00:30" in shortly.sentence and "up to" not in shortly.sentence
    waits = cluster.submit(time_limit_s=60)
    cluster.reserve("later", start_s=3 * HOUR, nodes="n1")
    cluster.update(waits, reservation="later")
    cluster.run_cycle()
    [told, *_] = explain(cluster.state, waits, cluster.clock.now)
    assert told.reason.value == "Reservation" and 'reservation "later" begins in 3:00:00' in told.sentence
    cluster.unreserve("later")
    cluster.run_cycle()
    [told, *_] = explain(cluster.state, waits, cluster.clock.now)
    assert told.reason.value == "ReservationDeleted" and "ReservationName=" in told.sentence

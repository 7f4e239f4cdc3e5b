"""Limits: at submission, at start, and the reasons of those that wait."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce, Partition, Priorities
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.reply import Refused, Submitted
from packhorse.scheduler.model.resources import Gres
from tests.core.accounts.limits import ANN, BOB, EVE, a_qos, a_tree, reasons
from tests.core.scenario import Cluster, a_cluster, a_config, a_spec

HOUR = 3600


def submit(
    cluster: Cluster, caller: Any = ANN, account: str = "chem", count: int = 1, **what: Any
) -> list[int]:
    """Ids of so many equal jobs."""
    first = cluster.submit(caller=caller, account=account, count=count, **{"time_limit_s": HOUR, **what})
    return list(range(first, first + count))


def running(cluster: Cluster, jobs: list[int]) -> list[bool]:
    return [cluster.state_of(job) != "PENDING" for job in jobs]


# -- at start ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "what", "n", "reason"),
    [
        ({"grp_jobs": 2}, {}, 2, "AssocGrpJobsLimit"),
        ({"max_jobs": 1}, {}, 1, "AssocMaxJobsLimit"),
        ({"grp_tres": "cpu=3"}, {}, 3, "AssocGrpCpuLimit"),
        ({"grp_tres": "mem=4G"}, {"mem_mib": 1500}, 2, "AssocGrpMemLimit"),
        ({"grp_tres": "node=3"}, {"nodes": 2}, 1, "AssocGrpNodeLimit"),
        ({"grp_tres": "gres/gpu=1"}, {"gpus": 1}, 1, "AssocGrpGRES"),
        ({"grp_tres": "gres/gpu=0.5"}, {"gres_per_node": (Gres("gpu", "", 1, 250),)}, 2, "AssocGrpGRES"),
        ({"grp_tres": "license/matlab=2"}, {"licenses": "matlab:1"}, 2, "AssocGrpLicense"),
        ({"grp_tres": "billing=5"}, {"cpus": 2}, 2, "AssocGrpBilling"),
        ({"grp_tres_run_mins": "cpu=150"}, {}, 2, "AssocGrpCPURunMinutesLimit"),
        ({"grp_tres_mins": "cpu=200"}, {}, 3, "AssocGrpCPUMinutesLimit"),
        ({"grp_tres_mins": "gres/gpu=60"}, {"gpus": 1}, 1, "AssocGrpGRESMinutes"),
        ({"grp_wall_s": 2 * HOUR}, {}, 2, "AssocGrpWallLimit"),
        ({"max_tres": "cpu=1"}, {"cpus": 2}, 0, "AssocMaxCpuPerJobLimit"),
        ({"max_tres_per_node": "cpu=1"}, {"cpus": 2}, 0, "AssocMaxCpuPerNode"),
        ({"max_tres_mins": "cpu=59"}, {}, 0, "AssocMaxCpuMinutesPerJobLimit"),
        ({"max_wall_s": HOUR - 1}, {}, 0, "AssocMaxWallDurationPerJobLimit"),
    ],
)  # fmt: skip
def test_no_more_jobs_start_than_the_account_may_have(
    limits: dict[str, Any], what: dict[str, Any], n: int, reason: str
) -> None:
    cluster = a_cluster(nodes=4, gpus=2, config=a_config(licenses=(("matlab", 9),)))
    a_tree(cluster, chem=limits)
    jobs = submit(cluster, count=4, **what)
    cluster.run_cycle()
    assert running(cluster, jobs) == [True] * n + [False] * (4 - n)
    assert set(reasons(cluster, *jobs[n:])) == {reason}


@pytest.mark.parametrize(
    ("limits", "what", "n", "reason"),
    [
        ({"grp_jobs": 2}, {}, 2, "QOSGrpJobsLimit"),
        ({"max_jobs_pu": 1}, {}, 1, "QOSMaxJobsPerUserLimit"),
        ({"max_jobs_pa": 3}, {}, 3, "MaxJobsPerAccount"),
        ({"grp_tres": "cpu=3"}, {}, 3, "QOSGrpCpuLimit"),
        ({"max_tres_pu": "cpu=2"}, {}, 2, "QOSMaxCpuPerUserLimit"),
        ({"max_tres_pu": "gres/gpu=1"}, {"gpus": 1}, 1, "QOSMaxGRESPerUser"),
        ({"max_tres_pa": "mem=2G"}, {"mem_mib": 1024}, 2, "MaxMemoryPerAccount"),
        ({"max_tres": "node=1"}, {"nodes": 2}, 0, "QOSMaxNodePerJobLimit"),
        ({"max_tres_mins": "cpu=59"}, {}, 0, "QOSMaxCpuMinutesPerJobLimit"),
        ({"max_wall_s": HOUR - 1}, {}, 0, "QOSMaxWallDurationPerJobLimit"),
        ({"min_tres": "cpu=2"}, {}, 0, "QOSMinCpuNotSatisfied"),
        ({"min_tres": "gres/gpu=1"}, {}, 0, "QOSMinGRES"),
        ({"grp_tres_run_mins": "cpu=150"}, {}, 2, "QOSGrpCPURunMinutesLimit"),
        ({"grp_tres_mins": "cpu=200"}, {}, 3, "QOSGrpCPUMinutesLimit"),
        ({"grp_wall_s": 2 * HOUR}, {}, 2, "QOSGrpWallLimit"),
    ],
)  # fmt: skip
def test_no_more_jobs_start_than_the_qos_allows(
    limits: dict[str, Any], what: dict[str, Any], n: int, reason: str
) -> None:
    cluster = a_cluster(nodes=4, gpus=2)
    a_tree(cluster, chem={})
    a_qos(cluster, **limits)
    jobs = submit(cluster, count=4, **what)
    cluster.run_cycle()
    assert running(cluster, jobs) == [True] * n + [False] * (4 - n)
    assert set(reasons(cluster, *jobs[n:])) == {reason}


def test_what_ends_makes_room() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_tres": "cpu=2"})
    jobs = submit(cluster, count=3)
    cluster.run(*jobs[:2])
    assert reasons(cluster, jobs[2]) == ["AssocGrpCpuLimit"]
    cluster.exit(jobs[0])
    assert cluster.run_cycle() == [jobs[2]]


def test_all_accounts_above_count() -> None:
    cluster = a_cluster()
    a_tree(
        cluster,
        science={"grp_tres": "cpu=3"},
        chem={"parent": "science", "grp_tres": "cpu=2"},
        bio={"parent": "science", "grp_tres": "cpu=2"},
    )
    jobs = submit(cluster, account="chem", count=3) + submit(cluster, account="bio", count=3)
    assert cluster.run_cycle() == [jobs[0], jobs[1], jobs[3]]
    assert reasons(cluster, jobs[2], jobs[4]) == ["AssocGrpCpuLimit"] * 2


def test_max_jobs_are_each_users_and_the_nearest_counts() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"max_jobs": 1, "users": {"bob": {"max_jobs": 2}}})
    jobs = [id for caller in (ANN, BOB, EVE) for id in submit(cluster, caller=caller, count=3)]
    started: list[int] = list(cluster.run_cycle())
    assert [started.count(id) for id in jobs] == [1, 0, 0, 1, 1, 0, 1, 0, 0]


def test_a_qos_replaces_what_the_association_says_of_the_same_resource_only() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_tres": "cpu=1,mem=3G"})
    a_qos(cluster, grp_tres="cpu=5")
    jobs = submit(cluster, count=6, mem_mib=1024)
    assert cluster.run_cycle() == jobs[:3]
    assert reasons(cluster, jobs[3]) == ["AssocGrpMemLimit"]


def test_the_qos_of_the_partition_comes_first_unless_the_jobs_own_says_otherwise() -> None:
    cluster = a_cluster(config=a_config(qos="night"))
    a_qos(cluster, "night", max_jobs_pu=1)
    a_qos(cluster, max_jobs_pu=2)
    jobs = submit(cluster, account="", count=4)
    assert cluster.run_cycle() == jobs[:1]
    a_qos(cluster, max_jobs_pu=2, flags=("OverPartQOS",))
    assert cluster.run_cycle() == jobs[1:2]
    assert reasons(cluster, *jobs[2:]) == ["QOSMaxJobsPerUserLimit"] * 2


def test_users_without_accounts_have_limits_by_their_qos() -> None:
    cluster = a_cluster()
    a_qos(cluster, max_jobs_pu=1)
    jobs = submit(cluster, account="", count=2) + submit(cluster, caller=BOB, account="", count=2)
    assert cluster.run_cycle() == [jobs[0], jobs[2]]


def test_who_waits_for_a_limit_holds_nobody_up_and_is_promised_nothing() -> None:
    cluster = a_cluster(cpus=4)
    a_tree(cluster, chem={"grp_tres": "cpu=4"}, bio={})
    (first,) = submit(cluster, cpus=2)
    cluster.run(first)
    (too_much,) = submit(cluster, cpus=4)
    (other,) = submit(cluster, account="bio", cpus=4)
    (small,) = submit(cluster, account="bio", cpus=1, time_limit_s=HOUR // 2)
    assert cluster.run_cycle() == [small]
    assert reasons(cluster, too_much, other) == ["AssocGrpCpuLimit", "Resources"]
    assert cluster.state.pending_columns.planned(too_much) == 0  # type: ignore[arg-type]
    assert cluster.state.pending_columns.planned(other) > 0  # type: ignore[arg-type]


def test_every_index_of_an_array_counts() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_jobs": 3})
    array = cluster.submit_array("0-9%5", caller=ANN, account="chem", time_limit_s=HOUR)
    assert len(cluster.run_cycle()) == 3
    assert reasons(cluster, array) == ["AssocGrpJobsLimit"]
    cluster.start(cluster.task(array, 0))
    cluster.exit(cluster.task(array, 0))
    assert cluster.run_cycle() == [cluster.task(array, 3)]


def test_a_whole_node_counts_as_what_it_is() -> None:
    config = a_config(accounts=AccountsPolicy(Enforce.ACCOUNTS))
    cluster = a_cluster(nodes=2, cpus=8, config=config)
    a_tree(cluster, chem={"grp_tres": "cpu=10"})
    jobs = submit(cluster, count=2, exclusive=True)
    assert cluster.run_cycle() == jobs[:1]
    assert reasons(cluster, jobs[1]) == ["AssocGrpCpuLimit"]
    (other,) = submit(cluster, account="", cpus=8)
    assert cluster.run_cycle() == [other], "the node that was looked at is free for others"


def test_a_limit_that_is_lowered_stops_starts_and_ends_nothing() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_jobs": 3})
    jobs = submit(cluster, count=4)
    cluster.run(*jobs[:3])
    a_tree(cluster, chem={"grp_jobs": 1})
    cluster.exit(jobs[0])
    assert cluster.run_cycle() == []
    assert running(cluster, jobs[1:3]) == [True, True]
    assert reasons(cluster, jobs[3]) == ["AssocGrpJobsLimit"]
    cluster.exit(jobs[1])
    cluster.exit(jobs[2])
    assert cluster.run_cycle() == [jobs[3]]


def test_run_minutes_come_back_as_time_passes_and_wake_the_scheduler() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_tres_run_mins": "cpu=90"})
    first, second = submit(cluster, count=2)
    cluster.run(first)
    assert reasons(cluster, second) == ["AssocGrpCPURunMinutesLimit"]
    cluster.clock.advance(29 * 60)
    assert cluster.run_cycle() == []
    cluster.clock.advance(60)
    assert cluster.tick().more, "a pass is due"
    assert cluster.run_cycle() == [second]


def test_a_budget_is_never_spent_beyond_its_end() -> None:
    cluster = a_cluster(config=a_config())
    a_tree(cluster, chem={"grp_tres_mins": "cpu=100"})
    jobs = submit(cluster, count=2, time_limit_s=3000) + submit(cluster, time_limit_s=0)
    assert cluster.run_cycle() == jobs[:2]
    cluster.start(*jobs[:2])
    assert reasons(cluster, jobs[2]) == ["AssocGrpCPUMinutesLimit"], "without a limit it might take all"
    cluster.clock.advance(600)
    cluster.exit(jobs[0])
    (third,) = submit(cluster, time_limit_s=2300)
    (fourth,) = submit(cluster, time_limit_s=2401)
    assert cluster.run_cycle() == [third], "of what was not used, as much is left"
    assert reasons(cluster, fourth) == ["AssocGrpCPUMinutesLimit"]


def test_a_qos_that_costs_double_takes_double_of_a_budget() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_tres_mins": "cpu=240"})
    a_qos(cluster, usage_factor_milli=2000)
    jobs = submit(cluster, count=3)
    assert cluster.run_cycle() == jobs[:2]


def test_jobs_that_a_limit_does_not_hold_for_count_under_it_all_the_same() -> None:
    """A QOS has one of its own in place of it."""
    cluster = a_cluster(config=a_config(others=(Partition("night", qos="night"),)))
    a_tree(cluster, chem={"max_jobs": 2})
    a_qos(cluster, "night", max_jobs_pu=9)
    nights, days = submit(cluster, count=3, partition="night"), submit(cluster, count=3)
    assert cluster.run_cycle() == nights
    assert reasons(cluster, *days) == ["AssocMaxJobsLimit"] * 3


def test_who_has_used_too_much_waits_where_the_qos_says_so() -> None:
    cluster = a_cluster(config=a_config(priorities=Priorities(half_life_s=0)))
    a_tree(cluster, chem={}, bio={})
    (first,) = submit(cluster, cpus=8)
    cluster.run(first)
    cluster.clock.advance(HOUR)
    cluster.exit(first)
    a_qos(cluster, usage_threshold_milli=600)
    (second,) = submit(cluster)
    assert cluster.run_cycle() == [second], "without the flag it is a figure to look at"
    a_qos(cluster, usage_threshold_milli=600, flags=("EnforceUsageThreshold",))
    (third,), (other,) = submit(cluster), submit(cluster, caller=BOB, account="bio")
    assert cluster.run_cycle() == [other]
    assert reasons(cluster, third) == ["QOSUsageThreshold"]
    (why, *_) = explain(cluster.state, JobId(third), cluster.clock.now)
    assert "at least 0.6 (UsageThreshold)" in why.sentence


def test_nothing_is_limited_where_accounts_are_not_enforced() -> None:
    cluster = a_cluster(config=a_config(accounts=AccountsPolicy(Enforce.NONE)))
    a_tree(cluster, chem={"grp_jobs": 0, "max_submit": 1})
    jobs = submit(cluster, count=2)
    assert cluster.run_cycle() == jobs


# -- at submission -------------------------------------------------------------------------------------------


def refusal(cluster: Cluster, **what: Any) -> str:
    reply = cluster.try_submit(**{"caller": ANN, "account": "chem", "time_limit_s": HOUR, **what})
    assert isinstance(reply, Refused), reply
    assert reply.slurm == (
        "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
    )
    return reply.message


def test_more_unfinished_jobs_than_allowed_are_refused() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_submit": 3, "max_submit": 2})
    submit(cluster, count=2)
    assert refusal(cluster) == (
        "account chem: 2 unfinished jobs and 1 more, at most 2 jobs (MaxSubmit); wait until some are over, "
        "or use another account or QOS"
    )
    submit(cluster, caller=BOB)
    assert "at most 3 jobs (GrpSubmit)" in refusal(cluster, caller=EVE)
    cluster.cancel(1, caller=ANN)
    submit(cluster)


def test_an_array_counts_index_by_index_until_each_is_over() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={})
    a_qos(cluster, max_submit_pu=5)
    array = cluster.submit_array("0-3", caller=ANN, account="chem", time_limit_s=HOUR)
    assert "4 unfinished jobs and 2 more, at most 5 jobs (MaxSubmitPU)" in refusal(cluster, count=2)
    cluster.cancel(f"{array}_[2-3]", caller=ANN)
    cluster.run_cycle()
    submit(cluster, count=3)
    refusal(cluster)
    task = cluster.task(array, 0)
    cluster.start(task)
    cluster.exit(task)
    submit(cluster)


def test_a_job_beyond_a_limit_is_refused_only_if_its_qos_says_so() -> None:
    cluster = a_cluster(cpus=16)
    a_tree(cluster, chem={"grp_tres": "cpu=4", "max_wall_s": 2 * HOUR})
    (job,) = submit(cluster, cpus=5)
    cluster.run_cycle()
    assert reasons(cluster, job) == ["AssocGrpCpuLimit"]
    a_qos(cluster, flags=("DenyOnLimit",), min_tres="cpu=2")
    assert refusal(cluster, cpus=5) == (
        "account chem: 5 CPUs asked, at most 4 CPUs (GrpTRES); ask for less, or choose another QOS or account"
    )
    assert "account chem: 3:00:00 of time asked, at most 2:00:00 of time (MaxWall)" in refusal(
        cluster, cpus=2, time_limit_s=3 * HOUR
    )
    assert "QOS normal: 1 CPU asked, at least 2 CPUs (MinTRES); ask for more" in refusal(cluster, cpus=1)
    submit(cluster, cpus=4)


def test_a_job_without_a_time_limit_gets_the_longest_it_may_have() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"max_wall_s": 2 * HOUR})
    (job,) = submit(cluster, time_limit_s=-1)
    assert cluster.job(job).spec.time_limit_s == 2 * HOUR
    (endless,) = submit(cluster, time_limit_s=0)
    assert cluster.run_cycle() == [job]
    assert reasons(cluster, endless) == ["AssocMaxWallDurationPerJobLimit"]


def test_a_job_that_moves_to_another_account_counts_there() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={"grp_submit": 1}, bio={"grp_submit": 1, "grp_jobs": 0})
    (one,) = submit(cluster)
    (two,) = submit(cluster, account="bio")
    (outcome,) = cluster.update(one, caller=ANN, account="bio")
    assert "account bio: 1 unfinished jobs and 1 more" in outcome.message
    cluster.cancel(two, caller=ANN)
    (outcome,) = cluster.update(one, caller=ANN, account="bio")
    assert not outcome.message
    cluster.run_cycle()
    assert reasons(cluster, one) == ["AssocGrpJobsLimit"]
    submit(cluster)


def test_without_limits_nothing_is_measured() -> None:
    cluster = a_cluster()
    a_tree(cluster, chem={})
    assert isinstance(cluster.try_submit(caller=ANN, spec=a_spec(account="chem")), Submitted)
    cluster.run_cycle()
    assert cluster.state.held.book is not None and not cluster.state.held.book.terms.limited

"""Limits, budgets and quotas on real daemons: set by sacctmgr, told by squeue and `packhorse quota`."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, wait_until

ME = getpass.getuser()
FOREVER = "sleep 600"
POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, cpus=8, config="[preemption]\ntake_back = false\n") as running:
        for line in (
            "add account science",
            "add account chem parent=science",
            "add account bio parent=science",
            f"add user {ME} account=chem",
            f"add user {ME} account=bio",
        ):
            running.run("sacctmgr", "-i", *line.split())
        yield running


def set_limits(cluster: Cluster, what: str) -> None:
    """`account chem set GrpTRES=cpu=2`."""
    cluster.run("sacctmgr", "-i", "modify", *what.split())


def reason(cluster: Cluster, job: int) -> str:
    return cluster.text("squeue", "-h", "-j", str(job), "-o", "%r").strip()


def waits_for(cluster: Cluster, job: int, word: str) -> None:
    wait_until(
        lambda: reason(cluster, job) == word, lambda: f"job {job} to wait for {word}: {reason(cluster, job)}"
    )


def test_a_limit_holds_jobs_back_until_it_is_raised_and_survives_a_restart(cluster: Cluster) -> None:
    set_limits(cluster, "account chem set GrpTRES=cpu=2 MaxSubmit=3")
    first = [cluster.sbatch("-A", "chem", "--wrap", FOREVER) for _ in range(3)]
    for job in first[:2]:
        cluster.wait_state(job, "RUNNING")
    waits_for(cluster, first[2], "AssocGrpCpuLimit")
    other = cluster.sbatch("-A", "bio", "--wrap", "true")
    assert cluster.wait(other).state == "COMPLETED", "who waits for a limit holds nobody up"
    code, said = cluster.refused("sbatch", "-A", "chem", "--wrap", "true")
    assert code == 1 and said.endswith(f"sbatch: error: Batch job submission failed: {POLICY}\n"), said
    assert "3 unfinished jobs and 1 more, at most 3 jobs (MaxSubmit)" in said
    shown = cluster.text("packhorse", "quota", "chem").splitlines()
    assert [line.split() for line in shown[1:3]] == [
        ["chem", "MaxSubmit", "jobs", "3", "-", "-", "-", "-"],
        ["chem", "GrpTRES", "cpu", "2", "2", "0", "-", "-"],
    ]
    cluster.run("packhorse", "down")
    cluster.up()
    waits_for(cluster, first[2], "AssocGrpCpuLimit")
    said = cluster.text("scontrol", "show", "job", str(first[2]))
    assert "account chem: needs 1 CPU; 2 CPUs of 2 CPUs (GrpTRES) are held" in said, said
    set_limits(cluster, "account chem set GrpTRES=cpu=3")
    cluster.wait_state(first[2], "RUNNING")


def test_a_qos_limits_each_user_and_refuses_if_it_says_so(cluster: Cluster) -> None:
    set_limits(cluster, "qos normal set MaxJobsPU=1 MaxWall=60 Flags=DenyOnLimit")
    one, two = (cluster.sbatch("-A", account, "--wrap", FOREVER) for account in ("chem", "bio"))
    cluster.wait_state(one, "RUNNING")
    waits_for(cluster, two, "QOSMaxJobsPerUserLimit")
    assert cluster.job(one)["time_limit_s"] == 3600, "the longest that it may have"
    code, said = cluster.refused("sbatch", "-A", "chem", "-t", "2:00:00", "--wrap", "true")
    assert code == 1 and POLICY in said and "at most 1:00:00 of time (MaxWall)" in said
    cluster.run("scancel", str(one))
    cluster.wait_state(two, "RUNNING")


def test_a_quota_is_lent_to_siblings_and_wanted_back(cluster: Cluster) -> None:
    for account in ("chem", "bio"):
        set_limits(cluster, f"account {account} set Quota=cpu=3")
    borrower = [cluster.sbatch("-A", "chem", "--wrap", FOREVER) for _ in range(7)]
    for job in borrower[:6]:
        cluster.wait_state(job, "RUNNING")
    waits_for(cluster, borrower[6], "AssocQuotaLimit")
    mine = cluster.sbatch("-A", "bio", "--wrap", FOREVER)
    waits_for(cluster, mine, "QuotaLent")
    rows = [line.split() for line in cluster.text("packhorse", "quota").splitlines()[1:]]
    assert ["chem", "Quota", "cpu", "3", "6", "0", "3", "0"] in rows
    assert ["bio", "Quota", "cpu", "3", "0", "3", "0", "3"] in rows
    cluster.run("scancel", *map(str, borrower[:2]))
    cluster.wait_state(mine, "RUNNING")
    code, said = cluster.refused("packhorse", "quota", "nobody-of-this-name")
    assert code == 1 and '"nobody-of-this-name": no account, user or QOS' in said

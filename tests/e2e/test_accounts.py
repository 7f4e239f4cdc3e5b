"""Accounts as people keep them: sacctmgr and `packhorse accounts` against real daemons, and what sbatch makes
of it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, wait_until

ME = getpass.getuser()
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
INVALID = "Invalid account or account/partition combination specified"

CAMPUS = f"""\
[qos.long]
max_wall = "7-00:00:00"

[account.science]
shares = 50
qos = ["normal"]

[account.physics]
parent = "science"
users = ["{ME}"]

[account.arts]
users = ["{ME}"]
"""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, config='[accounts]\nenforce = "associations"\n') as running:
        yield running


def test_an_account_from_nothing_to_a_job_and_away_again(cluster: Cluster) -> None:
    code, said = cluster.refused("sbatch", "--wrap", "true")
    assert code == 1 and said.endswith(f"sbatch: error: Batch job submission failed: {INVALID}\n"), said
    assert f"user {ME} has no default account; an administrator has to add one (sacctmgr add user)" in said
    cluster.run("sacctmgr", "-i", "add", "account", "science", "fairshare=50")
    cluster.run("sacctmgr", "-i", "add", "account", "physics", "parent=science")
    cluster.run("sacctmgr", "-i", "add", "user", ME, "account=physics")
    job = cluster.sbatch("--hold", "--wrap", "true")
    assert cluster.text("squeue", "-h", "-o", "%a %q").split() == ["physics", "normal"]
    code, said = cluster.refused("sbatch", "-A", "science", "--wrap", "true")
    assert code == 1 and INVALID in said
    done = cluster.run("sacctmgr", "-i", "delete", "user", ME, check=False)
    assert done.returncode == 1 and "Job(s) active, cancel job(s) before remove" in done.stderr
    assert f"is in use by 1 unfinished job ({job})" in done.stderr
    cluster.run("scontrol", "release", str(job))
    assert cluster.wait(job).state == "COMPLETED"
    row = cluster.text("sacct", "-nPX", "-j", str(job), "-o", "account,qos")
    assert row == "physics|normal\n"
    cluster.run("sacctmgr", "-i", "delete", "user", ME)
    assert INVALID in cluster.refused("sbatch", "--wrap", "true")[1]


def test_a_file_is_applied_survives_a_restart_and_is_printed_back(cluster: Cluster) -> None:
    file = cluster.work / "campus.toml"
    file.write_text(CAMPUS)
    plan = cluster.text("packhorse", "accounts", "apply", str(file), "--dry-run")
    assert "+ account physics: Parent=science\n" in plan and "5 to add" not in plan
    assert cluster.text("sacctmgr", "-nP", "show", "account", "format=account") == "root\n"
    assert cluster.text("packhorse", "accounts", "apply", str(file), "--yes").endswith("done\n")
    shown = cluster.text("packhorse", "accounts", "show")
    cluster.run("packhorse", "down")
    cluster.up()
    assert cluster.text("packhorse", "accounts", "show") == shown
    copy = cluster.work / "copy.toml"
    copy.write_text(shown)
    for words in ((file,), (copy, "--prune")):
        done = cluster.text("packhorse", "accounts", "apply", *map(str, words), "--yes")
        assert done == "nothing to change\n"
    job = cluster.sbatch("--wrap", "true")
    assert cluster.job(job)["account"] == "physics"
    code, said = cluster.refused("sbatch", "--qos=long", "--wrap", "true")
    assert code == 1 and "Invalid qos specification" in said
    job = cluster.sbatch("-A", "arts", "--qos=long", "--hold", "--wrap", "true")
    code, said = cluster.refused("scontrol", "update", f"JobId={job}", "Account=physics")
    assert code == 1 and "Invalid qos specification" in said
    cluster.run("scontrol", "update", f"JobId={job}", "Account=physics", "QOS=normal")
    assert (cluster.job(job)["account"], cluster.job(job)["qos"]) == ("physics", "normal")


@pytest.mark.needs_other_user
def test_a_coordinator_manages_below_the_account_and_nobody_else_does(cluster: Cluster) -> None:
    for line in (
        "add account science",
        "add account physics parent=science",
        "add user nobody account=science",
        "add coordinator account=science name=nobody",
    ):
        cluster.run("sacctmgr", "-i", *line.split())
    assert "science|science|science\n" in cluster.text(*NOBODY, "sacctmgr", "-nP", "show", "account")
    cluster.run(*NOBODY, "sacctmgr", "-i", "modify", "account", "physics", "set", "MaxJobs=2")
    cluster.run(*NOBODY, "sacctmgr", "-i", "add", "user", "daemon", "account=physics")
    for line in ("modify account science set MaxJobs=9", "add account arts", "add qos gold"):
        done = cluster.run(*NOBODY, "sacctmgr", "-i", *line.split(), check=False)
        assert done.returncode == 1 and "Access/permission denied" in done.stderr, line
        assert "a coordinator of science may only change what is below that" in done.stderr
    rows = cluster.text("sacctmgr", "-nP", "show", "assoc", "format=account,user,maxjobs", "woplimits")
    assert rows == "root||\nscience||\nscience|nobody|\nphysics||2\nphysics|daemon|\n"


def test_a_limit_that_is_lowered_stops_starts_and_kills_nothing(cluster: Cluster) -> None:
    for line in ("add account arts", f"add user {ME} account=arts"):
        cluster.run("sacctmgr", "-i", *line.split())
    first = cluster.sbatch("--wrap", "sleep 60")
    cluster.wait_state(first, "RUNNING")
    cluster.run("sacctmgr", "-i", "modify", "user", ME, "set", "MaxJobs=1")
    second = cluster.sbatch("--wrap", "true")
    reason = ("squeue", "-h", "-j", str(second), "-o", "%t %r")
    wait_until(lambda: cluster.text(*reason) == "PD AssocMaxJobsLimit\n", "the limit as the job's reason")
    cluster.run("sacctmgr", "-i", "modify", "account", "arts", "set", "GrpJobs=0")
    assert cluster.state(first) == "RUNNING"
    for line in (f"modify user {ME} set MaxJobs=-1", "modify account arts set GrpJobs=-1"):
        cluster.run("sacctmgr", "-i", *line.split())
    assert cluster.wait(second).state == "COMPLETED"
    assert cluster.state(first) == "RUNNING"
    cluster.run("scancel", str(first))

"""Lent quota is given back, on real processes: the lender comes, and a borrower's job makes room for it."""

from __future__ import annotations

import getpass
import time

from tests.cluster import Cluster, wait_until
from tests.e2e.test_control import accounting

ME = getpass.getuser()
COUNTS = "echo up >> ran-$SLURM_JOB_ID\nwhile :; do sleep 0.05; done"


def lending() -> Cluster:
    """One node of six CPUs; chem and bio are to be sure of three of them each."""
    return Cluster(nodes=1, cpus=6, config='[preemption]\nmode = "requeue"\n')


def begin_borrowing(cluster: Cluster) -> list[int]:
    """Three jobs of chem, of two CPUs each, begun one after the other: three CPUs are borrowed."""
    for line in (
        "add account science",
        "add account chem parent=science",
        "add account bio parent=science",
        f"add user {ME} account=chem",
        f"add user {ME} account=bio",
        "modify account chem set Quota=cpu=3 Borrow=cpu=3",
        "modify account bio set Quota=cpu=3",
    ):
        cluster.run("sacctmgr", "-i", *line.split())
    jobs = []
    for _ in range(3):
        job = cluster.sbatch("-A", "chem", "-c2", "-t", "60", "--wrap", COUNTS)
        wait_until(lambda job=job: (cluster.work / f"ran-{job}").exists(), f"job {job} begins")  # type: ignore[misc]
        jobs.append(job)
        time.sleep(0.1)
    return jobs


def test_the_lender_comes_and_a_borrower_is_requeued_and_goes_on_after_it() -> None:
    with lending() as cluster:
        borrowers = begin_borrowing(cluster)
        rows = [line.split() for line in cluster.text("packhorse", "quota").splitlines()[1:]]
        assert ["chem", "Quota", "cpu", "3", "6", "0", "3", "0"] in rows
        assert ["bio", "Quota", "cpu", "3", "0", "3", "0", "3"] in rows
        mine = cluster.sbatch(
            "-A", "bio", "-c2", "-t", "60", "--wrap", "while [ ! -e stop ]; do sleep 0.05; done"
        )
        cluster.wait_state(mine, "RUNNING")
        victim, stay = borrowers[-1], borrowers[:2]
        assert [cluster.state(job) for job in stay] == ["RUNNING"] * 2, "no more than is wanted"
        assert cluster.state(victim) == "PENDING", "the one that loses least, and it waits again"
        shown = cluster.text("scontrol", "show", "job", str(victim))
        said = f"gave back what account chem had borrowed, for job {mine} of account bio ({ME})"
        assert f"PackhorsePreempted={said}\n" in shown, shown
        assert "Restarts=1 " in shown
        assert accounting(cluster, victim, "State", "-X", "-D") == ["PREEMPTED", "PENDING"]
        reason = cluster.text("squeue", "-h", "-j", str(victim), "-o", "%r").strip()
        assert reason == "AssocQuotaLimit", "bio holds its own now"
        (cluster.work / "stop").touch()
        assert cluster.wait(mine).state == "COMPLETED"
        cluster.wait_state(victim, "RUNNING")
        wait_until(
            lambda: (cluster.work / f"ran-{victim}").read_text() == "up\nup\n", "it begins a second time"
        )
        assert [(cluster.work / f"ran-{job}").read_text() for job in stay] == ["up\n"] * 2

"""What runs where and in which order: amounts bound it, priorities order it, drained nodes take nothing."""

from __future__ import annotations

from tests.cluster import Cluster, wait_until

FOREVER = "sleep 600"


def running(cluster: Cluster, node: str = "") -> int:
    """Jobs that hold resources now, on one node or on all."""
    rows = cluster.jobs(fields=["state", "nodes"])
    return sum(row["state"] in ("CONFIGURING", "RUNNING") and node in ("", row["nodes"]) for row in rows)


def test_cpus_are_not_given_twice(cluster: Cluster) -> None:
    jobs = [cluster.sbatch("-c", "3", "--wrap", FOREVER) for _ in range(6)]
    wait_until(lambda: running(cluster) == 4, "two jobs of 3 CPUs on each node of 8")
    waiting = [job for job in jobs if cluster.state(job) == "PENDING"]

    def reasons() -> set[str]:
        return {cluster.job(job)["reason"] for job in waiting}

    wait_until(lambda: reasons() == {"Resources", "Priority"}, "both to have their reasons")
    cluster.run("scancel", *[str(job) for job in jobs if job not in waiting][:1])
    wait_until(lambda: cluster.state(waiting[0]) == "RUNNING", "the first in line to start")
    assert running(cluster) == 4


def test_memory_is_not_given_twice(cluster: Cluster) -> None:
    jobs = [cluster.sbatch("--mem=6G", "--wrap", FOREVER) for _ in range(5)]
    wait_until(lambda: running(cluster) == 4, "two jobs of 6 GiB on each node of 16")
    assert (
        sorted(cluster.state(job) for job in jobs) == ["PENDING", *["RUNNING"] * 4] or running(cluster) == 4
    )
    shown = cluster.text("sinfo", "-h", "-N", "-o", "%N %C")
    assert shown.split() == ["node1", "2/6/0/8", "node2", "2/6/0/8"]


def test_a_gang_starts_together_or_not_at_all(cluster: Cluster) -> None:
    blocker = cluster.sbatch("-w", "node2", "-c", "8", "--wrap", FOREVER)
    cluster.wait_state(blocker, "RUNNING")
    gang = cluster.sbatch("-N", "2", "-c", "4", "--wrap", "true")
    assert (cluster.state(gang), cluster.job(gang)["nodes"]) == ("PENDING", "")
    cluster.run("scancel", str(blocker))
    assert cluster.wait(gang).state == "COMPLETED"
    row = cluster.job(gang)
    assert (row["nodes"], int(row["n_nodes"]), int(row["n_cpus"])) == ("node[1-2]", 2, 8)


def test_an_exclusive_job_has_its_node_to_itself(cluster: Cluster) -> None:
    alone = cluster.sbatch("--exclusive", "-w", "node1", "--wrap", FOREVER)
    cluster.wait_state(alone, "RUNNING")
    other = cluster.sbatch("-w", "node1", "--wrap", "true")
    free = cluster.sbatch("--wrap", "true")
    assert cluster.wait(free).state == "COMPLETED"
    assert cluster.job(free)["nodes"] == "node2" and cluster.state(other) == "PENDING"


def test_the_higher_priority_goes_first(cluster: Cluster) -> None:
    ledger = cluster.work / "priority"
    blocker = cluster.sbatch("--exclusive", "-w", "node1", "--wrap", FOREVER)
    cluster.wait_state(blocker, "RUNNING")
    jobs = [
        cluster.sbatch(
            "-w", "node1", "-c8", f"--priority={priority}", "--wrap", f"echo {priority} >> {ledger}"
        )
        for priority in (10, 3000, 200)
    ]
    nice = [
        cluster.sbatch("-w", "node1", "-c8", f"--nice={nice}", "--wrap", f"echo nice{nice} >> {ledger}")
        for nice in (50, 5)
    ]
    listed = cluster.text("squeue", "-h", "-t", "PD", "-o", "%i", "-S", "-p").split()
    assert listed.index(str(jobs[1])) < listed.index(str(jobs[2])) < listed.index(str(jobs[0]))
    cluster.run("scancel", str(blocker))
    cluster.wait_all([*jobs, *nice])
    order = ledger.read_text().split()
    assert [word for word in order if word.isdigit()] == ["3000", "200", "10"]
    assert [word for word in order if not word.isdigit()] == ["nice5", "nice50"]


def test_a_drained_node_takes_no_new_work_and_finishes_what_it_has(cluster: Cluster) -> None:
    stays = cluster.sbatch("-w", "node1", "--wrap", "until test -e drained; do sleep 0.02; done; exit 4")
    cluster.wait_state(stays, "RUNNING")
    cluster.run("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=new disk")
    try:
        waits = cluster.sbatch("-w", "node1", "--wrap", "true")
        elsewhere = cluster.sbatch("--wrap", "true")
        assert cluster.wait(elsewhere).state == "COMPLETED" and cluster.job(elsewhere)["nodes"] == "node2"
        assert cluster.job(waits)["reason"].startswith("ReqNodeNotAvail")
        assert cluster.text("sinfo", "-h", "-n", "node1", "-o", "%T") == "draining\n"
        assert "new disk" in cluster.text("scontrol", "show", "node", "node1")
        (cluster.work / "drained").touch()
        assert cluster.wait(stays).exit_code == 4
        wait_until(
            lambda: cluster.text("sinfo", "-h", "-n", "node1", "-o", "%T") == "drained\n",
            "node1 to be drained",
        )
        assert cluster.state(waits) == "PENDING"
    finally:
        cluster.run("scontrol", "update", "NodeName=node1", "State=RESUME")
    assert cluster.wait(waits).state == "COMPLETED"

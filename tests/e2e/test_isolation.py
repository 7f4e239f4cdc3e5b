"""What keeps jobs to their part of a node, with the machine's cgroups and again without any.

The node has the processors that are here, so jobs are bound to them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, command_line, kill, running, wait_until

HERE = sorted(os.sched_getaffinity(0))
MANY = pytest.param(100, marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["auto", "none"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster(nodes=1, cpus=None, more=("--cgroups", request.param)) as found:
        yield found


def has(cluster: Cluster, controller: str) -> bool:
    """Whether a controller is in force on the node; skips nothing by itself."""
    return controller in isolation(cluster).partition(":")[2].split(",")


def isolation(cluster: Cluster) -> str:
    (node,) = json.loads(cluster.text("scontrol", "show", "node", "--json"))["nodes"]
    return str(node["packhorse_isolation"])


def rss_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


# -- processors

WHERE = (
    "until test -e {go}; do sleep 0.02; done; python3 -c 'import os; print(*os.sched_getaffinity(0))'; nproc"
)


def where(cluster: Cluster, job: int) -> tuple[set[int], int]:
    """The processors that a job of WHERE had, and what nproc told it."""
    assert cluster.wait(job).state == "COMPLETED"
    cpus, number = cluster.output(job).splitlines()
    return set(map(int, cpus.split())), int(number)


def test_jobs_have_processors_of_their_own(cluster: Cluster) -> None:
    whole = cluster.sbatch("-c", str(len(HERE)), "--wrap", WHERE.format(go="/"))
    assert where(cluster, whole) == (set(HERE), len(HERE))
    single = [cluster.sbatch("--wrap", WHERE.format(go="both")) for _ in HERE]
    for job in single:
        cluster.wait_state(job, "RUNNING")
    (cluster.work / "both").touch()
    found = [where(cluster, job) for job in single]
    assert [number for _, number in found] == [1] * len(HERE)
    assert sorted(cpu for cpus, _ in found for cpu in cpus) == HERE


@pytest.mark.skipif(len(HERE) < 2, reason="needs two processors")
def test_a_new_agent_knows_whose_processors_are_taken(cluster: Cluster) -> None:
    first = cluster.sbatch("--wrap", WHERE.format(go="again"))
    cluster.wait_state(first, "RUNNING")
    kill(cluster.agent())
    cluster.up()
    others = [cluster.sbatch("--wrap", WHERE.format(go="again")) for _ in HERE[1:]]
    for job in others:
        cluster.wait_state(job, "RUNNING")
    (cluster.work / "again").touch()
    found = [cpu for job in (first, *others) for cpu in where(cluster, job)[0]]
    assert sorted(found) == HERE


def test_what_is_in_force_is_shown_on_node_and_job(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", "true")
    cluster.wait(job)
    shown = isolation(cluster)
    assert shown.partition(":")[0] in ("cgroup1", "cgroup2", "rlimits")
    assert has(cluster, "cpuset") is not has(cluster, "affinity")
    assert f"PackhorseIsolation={shown}" in cluster.text("scontrol", "show", "node").split()
    assert f"PackhorseIsolation={shown}" in cluster.text("scontrol", "show", "job", str(job)).split()


# -- memory

HOG = "python3 -c 'x = b\"x\" * (300 << 20); import time; time.sleep(20)'"
HOGS = {
    "the script": f"exec {HOG}",
    "a child, and the script succeeds": f"{HOG}; exit 0",
    "a child, and the script fails": f"{HOG} || exit 3",
    "a thread": (
        "python3 -c 'import threading, time; x = []\n"
        'threads = [threading.Thread(target=lambda: x.append(b"x" * (100 << 20))) for _ in range(3)]\n'
        "[t.start() for t in threads]; [t.join() for t in threads]; time.sleep(20)'"
    ),
    "little by little": (
        "python3 -c 'x = []\nwhile len(x) < 300: x.append(b\"x\" * (1 << 20))\nimport time; time.sleep(20)'"
    ),
}


@pytest.mark.parametrize("n", [5, MANY])
def test_every_job_out_of_memory_says_so(cluster: Cluster, n: int) -> None:
    cases = [list(HOGS)[i % len(HOGS)] for i in range(n)]
    jobs = {cluster.sbatch("--mem=100M", "--wrap", HOGS[case]): case for case in cases}
    cluster.wait_all(jobs, within_s=60 + 4 * n)
    rows = cluster.text("sacct", "-nPX", "-o", "JobID,State,ExitCode", "-j", ",".join(map(str, jobs)))
    assert sorted(rows.split()) == sorted(f"{job}|OUT_OF_MEMORY|0:125" for job in jobs)
    for job in jobs:
        told = cluster.events(job)[-1]["text"]
        assert "MiB used, limit 100 MiB" in told, told


def test_a_job_that_only_fills_the_page_cache_is_not_blamed(cluster: Cluster) -> None:
    wrap = "head -c 300M /dev/zero > cached && cat cached > /dev/null && rm cached"
    job = cluster.sbatch("--mem=100M", "--wrap", wrap)
    assert cluster.wait(job).state == "COMPLETED"


# -- crowds


def test_a_fork_bomb_hurts_nobody_else() -> None:
    """The agent answers for other jobs, does not swell, and ends the bomb when told to.

    Without a limit of processes this would take the machine, so it is not tried without one.
    """
    with Cluster(nodes=1, cpus=16) as cluster:
        if not has(cluster, "pids"):
            pytest.skip("needs the pids controller")
        others = [cluster.sbatch("--mem=100M", "--wrap", "exec sleep 600") for _ in range(9)]
        for job in others:
            cluster.wait_state(job, "RUNNING")
        agent = cluster.agent()
        before = rss_kib(agent)
        script = cluster.script("bomb.sh", "bomb() { bomb | bomb & }; bomb; sleep 600")
        bomb = cluster.sbatch("--mem=4G", "-o", "/dev/null", script)
        wait_until(lambda: n_processes(cluster) > 1500, "the bomb to go off", within_s=60)
        took = [ended(cluster, job) for job in others]
        assert sorted(took)[len(took) // 2] < 1, took
        assert max(took) < 5, took  # one at a time may meet with other work of the machine
        assert rss_kib(agent) - before < 20 << 10
        began = time.monotonic()
        ended(cluster, bomb)
        assert time.monotonic() - began < 25
        assert n_processes(cluster) < 20


def n_processes(cluster: Cluster) -> int:
    """Processes that were started by a path of this cluster: its daemons, and jobs that run a script."""
    return sum(str(cluster.root) in command_line(pid) for pid in running())


def ended(cluster: Cluster, job: int) -> float:
    """Cancels a running job, without a process of one's own; seconds until nothing of it was left."""
    began = time.monotonic()
    cluster.call("CancelJobs", {"jobs": [{"jobId": job}]})
    assert cluster.wait(job, within_s=60).state == "CANCELLED"
    return time.monotonic() - began

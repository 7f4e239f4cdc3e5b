"""An agent under stress: it answers, it does not grow, and every end it tells is true.

The figures of the long runs are in RESULTS.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, environment, kill, wait_until
from tests.faults.agent_probe import Probe
from tests.faults.workload import Load

BUSY_S = 5.0
"""In the short runs, on machines that are busy with other tests; the long ones hold the agent to a second."""

OUTPUT = "10G"

WAITS = "echo $$ >> pid.$SLURM_JOB_ID; until test -e {}; do sleep 0.2; done; exit {}"


def in_time(slow: bool) -> float:
    return 1.0 if slow else BUSY_S


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2, cpus=16) as running:
        yield running


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ten_gigabytes_of_output(cluster: Cluster, slow: bool) -> None:
    """Into a file that keeps nothing: what counts is what passes the agent by."""
    n = 4 if slow else 1
    with Probe(cluster) as probe:
        jobs = [
            cluster.sbatch(
                "-w", "node1", "-o", "/dev/null", "--wrap", f"head -c {OUTPUT} /dev/zero; exit {40 + i}"
            )
            for i in range(n)
        ]
        assert [cluster.wait(job, 120).exit_code for job in jobs] == [40 + i for i in range(n)]
    probe.check(within_s=in_time(slow))


@pytest.mark.needs_root
def test_output_that_fills_a_file_system(cluster: Cluster, tmp_path: Path) -> None:
    """It is the job that finds no room, and its end says so."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=1777", "packhorse-test", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        with Probe(cluster) as probe:
            said = place / "out"
            job = cluster.sbatch(
                "-o", str(said), "--wrap", f"head -c {OUTPUT} /dev/zero 2> {cluster.work}/why; exit $?"
            )
            result = cluster.wait(job, 120)
            assert (result.state, result.exit_code) == ("FAILED", 1)
            assert "No space left on device" in (cluster.work / "why").read_text()
            assert said.stat().st_size <= 64 << 20
            assert cluster.wait(cluster.sbatch("--wrap", "exit 3")).exit_code == 3
        probe.check(within_s=BUSY_S)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(("n", "slow"), [(200, False), pytest.param(5000, True, marks=pytest.mark.slow)])
def test_many_short_jobs(cluster: Cluster, n: int, slow: bool) -> None:
    load = Load(cluster)
    with Probe(cluster) as probe:
        for i in range(n // 50):
            load.submit(f"short-{n}-{i}", code=i % 7, tasks=50)
        cluster.wait_all([submission.job for submission in load.done], within_s=600)
    load.tally().check()
    probe.check(within_s=in_time(slow))
    (cluster.work / "ledger").unlink()


@pytest.mark.parametrize(("n", "slow"), [(20, False), pytest.param(100, True, marks=pytest.mark.slow)])
def test_killed_with_jobs_running(n: int, slow: bool) -> None:
    """kill -9 of the agent: every job survives, is found again within seconds, and its exit is true."""
    with Cluster(nodes=1, cpus=n + 1) as cluster:
        going = [cluster.sbatch("--mem=16M", "--wrap", WAITS.format("go", 1 + i % 100)) for i in range(n)]
        gone = [cluster.sbatch("--mem=16M", "--wrap", f"sleep 0.{i}; exit {7 + i}") for i in range(3)]
        for job in going:
            cluster.wait_state(job, "RUNNING")
        wait_until(lambda: all(noted(cluster, job) for job in going), "all of them to note their numbers")
        first = {job: process_of(cluster, job) for job in going}
        log = cluster.home.log / f"agent-{cluster.names[0]}.out"
        before = log.read_text().count("attempt.adopted")
        kill(cluster.agent())
        time.sleep(1.5)  # as long as the last of `gone` takes
        began = time.monotonic()
        cluster.up()
        wait_until(lambda: log.read_text().count("attempt.adopted") - before >= n, "all to be adopted")
        took_s = time.monotonic() - began
        print(f"{n} of {n} jobs adopted {took_s:.2f} s after the agent's start was ordered")
        assert took_s <= (5.0 if slow else 4 * BUSY_S)
        assert {job: process_of(cluster, job) for job in going} == first
        assert {cluster.state(job) for job in going} == {"RUNNING"}
        assert [cluster.wait(job).exit_code for job in gone] == [7, 8, 9]
        (cluster.work / "go").touch()
        cluster.wait_all(going, within_s=120)
        assert [cluster.result(job).exit_code for job in going] == [1 + i % 100 for i in range(n)]
        assert {int(cluster.job(job)["restarts"]) for job in going} == {0}


def noted(cluster: Cluster, job: int) -> str:
    """The numbers of the batch shells that this job had so far."""
    path = cluster.work / f"pid.{job}"
    return path.read_text() if path.exists() else ""


def process_of(cluster: Cluster, job: int) -> int:
    """The batch shell of a job that noted its number, once; it lives."""
    (pid,) = noted(cluster, job).split()
    assert f"SLURM_JOB_ID={job}".encode() in environment(int(pid)), f"job {job}'s process {pid} is gone"
    return int(pid)


def test_the_code_is_replaced_under_running_jobs(tmp_path: Path) -> None:
    """An upgrade in place: the old files are gone before the old agent is."""
    tree = tmp_path / "site"
    tmp_path.chmod(0o755)
    install(tree, "1.0.0")
    with Cluster(nodes=1, variables={"PYTHONPATH": str(tree)}) as cluster:
        assert "Version=1.0.0" in cluster.text("scontrol", "show", "node")
        before = cluster.sbatch("--wrap", WAITS.format("one", 3))
        ended = cluster.sbatch("--wrap", "exit 8")
        cluster.wait_state(before, "RUNNING")
        assert cluster.wait(ended).exit_code == 8
        shutil.rmtree(tree)
        install(tree, "2.0.0")
        # The old agent and its fork server go on without their files.
        between = cluster.sbatch("--wrap", WAITS.format("two", 4))
        cluster.wait_state(between, "RUNNING")
        assert cluster.wait(cluster.sbatch("--wrap", "exit 5")).exit_code == 5
        wait_until(lambda: noted(cluster, between), "the second to note its number")
        processes = {job: process_of(cluster, job) for job in (before, between)}
        kill(cluster.agent(), signal.SIGTERM)
        wait_until(lambda: not cluster.home.agent_pids(), "the old agent to end")
        at_rest = cluster.sbatch("--wrap", "exit 6")
        (cluster.work / "one").touch()  # ends while no agent is there
        wait_until(lambda: not environment(processes[before]), "the first to end")
        cluster.up()
        assert "Version=2.0.0" in cluster.text("scontrol", "show", "node")
        assert cluster.wait(before).exit_code == 3
        assert cluster.wait(at_rest).exit_code == 6
        assert cluster.state(between) == "RUNNING" and process_of(cluster, between) == processes[between]
        cluster.run("scontrol", "update", f"JobId={between}", "TimeLimit=60")
        (cluster.work / "two").touch()
        assert cluster.wait(between).exit_code == 4
        assert {int(cluster.job(job)["restarts"]) for job in (before, between, at_rest)} == {0}


def install(tree: Path, version: str) -> None:
    """A copy of the sources as a release of its own."""
    for link in (Path(os.environ["PYTHONPATH"]) / "packhorse").iterdir():
        if link.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(link, tree / "packhorse" / link.name, ignore=ignored)
    about = tree / f"packhorse-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: packhorse\nVersion: {version}\n")


@pytest.mark.slow
def test_an_agent_stopped_with_an_order_in_its_hands() -> None:
    """The lease of the job ended meanwhile and it runs elsewhere: it must not begin here as well.

    Slow for the scheduler's margin, 30 s beyond lease and grace.
    """
    config = '[[partition]]\nname = "main"\ndefault = true\nlease = 3\n'
    with Cluster(nodes=3, config=config) as cluster:
        runs = cluster.work / "runs"
        kill(cluster.agent("node1"), signal.SIGSTOP)
        job = cluster.sbatch("--wrap", "echo $SLURMD_NODENAME >> runs; sleep 6; exit 3")
        try:
            wait_until(runs.exists, "it to run on another node", within_s=90)
        finally:
            kill(cluster.agent("node1"), signal.SIGCONT)
        assert cluster.wait(job).exit_code == 3
        (ran_on,) = runs.read_text().split()
        assert ran_on == cluster.job(job)["nodes"] != "node1"

"""Prolog, epilog and health check on a real cluster: what they are told, and what their failure does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, environment, kill, wait_until


class Site:
    """A cluster of two nodes with three programs. Each does what files beside it say, at first nothing."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.said = place / "said"
        for name in ("prolog", "epilog", "health"):
            self.does(name, "")
            program = place / f"{name}.sh"
            program.write_text(f"#!/bin/sh\n. {place}/{name}-$SLURMD_NODENAME\n. {place}/{name}\n")
            program.chmod(0o755)
            for node in ("node1", "node2"):
                (place / f"{name}-{node}").touch()
        more = ("--prolog", f"{place}/prolog.sh", "--epilog", f"{place}/epilog.sh", "--prolog-timeout", "2s")
        health = ("--health-check", f"{place}/health.sh", "--health-interval", "1s")
        self.cluster = Cluster(nodes=2, gpus=2, more=(*more, *health))

    def does(self, name: str, text: str) -> None:
        """Replaced in one step: it may be running."""
        fresh = self.place / f".{name}"
        fresh.write_text(f"{text}\ntrue\n")
        fresh.replace(self.place / name)

    def state(self, node: str) -> str:
        return self.cluster.text("sinfo", "-h", "-n", node, "-o", "%T").strip()

    def reasons(self) -> str:
        return self.cluster.text("sinfo", "-h", "-R", "-o", "%E|%N").strip()

    def resume(self, node: str) -> None:
        self.cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        wait_until(lambda: self.state(node) == "idle", f"{node} to take work again")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    with site.cluster:
        for node in ("node1", "node2"):
            wait_until(lambda node=node: site.state(node) == "idle", f"{node}'s first health check")  # type: ignore[misc]
        yield site


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """All programs do nothing when a test begins."""
    yield running
    for name in (
        "prolog",
        "epilog",
        "health",
        *(f"{n}-node{i}" for n in ("prolog", "epilog") for i in (1, 2)),
    ):
        running.does(name, "")
    running.said.unlink(missing_ok=True)
    for node in ("node1", "node2"):
        running.cluster.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        wait_until(lambda node=node: running.state(node) == "idle", f"{node} to be idle")  # type: ignore[misc]


def test_what_they_are_told(site: Site) -> None:
    note = f'{{ echo "$SLURM_SCRIPT_CONTEXT $(id -u)"; env; }} > {site.said}-$SLURM_SCRIPT_CONTEXT'
    site.does("prolog", note)
    site.does("epilog", note)
    job = site.cluster.sbatch("-w", "node2", "--gres=gpu:1", "-A", "physics", "--wrap", "exit 7")
    result = site.cluster.wait(job)
    assert (result.state, result.exit_code) == ("FAILED", 7)
    seen = {}
    for context in ("prolog_slurmd", "epilog_slurmd"):
        first, *lines = (site.place / f"said-{context}").read_text().splitlines()
        assert first == f"{context} {os.geteuid()}"
        seen[context] = dict(line.partition("=")[::2] for line in lines)
        for name in ("PWD", "OLDPWD", "_", "SHLVL", "PACKHORSE_NODE_SCRIPT"):
            seen[context].pop(name, None)
    user = site.cluster.env["USER"]
    expected = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "CUDA_VISIBLE_DEVICES": "0",
        "SLURM_CLUSTER_NAME": "packhorse",
        "SLURM_JOB_ACCOUNT": "physics",
        "SLURM_JOB_GPUS": "0",
        "SLURM_JOB_ID": str(job),
        "SLURM_JOBID": str(job),
        "SLURM_JOB_GID": str(os.getegid()),
        "SLURM_JOB_UID": str(os.geteuid()),
        "SLURM_JOB_USER": user,
        "SLURM_JOB_NODELIST": "node2",
        "SLURM_JOB_PARTITION": "main",
        "SLURM_JOB_WORK_DIR": str(site.cluster.work),
        "SLURMD_NODENAME": "node2",
    }
    assert seen["prolog_slurmd"] == expected | {"SLURM_SCRIPT_CONTEXT": "prolog_slurmd"}
    assert seen["epilog_slurmd"] == expected | {
        "SLURM_SCRIPT_CONTEXT": "epilog_slurmd",
        "SLURM_JOB_EXIT_CODE": str(7 << 8),
        "SLURM_JOB_EXIT_CODE2": "7:0",
    }


def test_they_run_before_the_first_process_and_after_the_last(site: Site) -> None:
    site.does("prolog", f"echo prolog >> {site.said}; sleep 0.3; echo prolog over >> {site.said}")
    site.does("epilog", f"pgrep -f 'sleep 4217' >> {site.said}; echo epilog >> {site.said}; sleep 0.3")
    job = site.cluster.sbatch("--wrap", f"echo job >> {site.said}; setsid sleep 4217 & exit 0")
    site.cluster.wait(job)
    assert site.said.read_text().splitlines() == ["prolog", "prolog over", "job", "epilog"]


def test_a_failing_prolog_drains_the_node_and_the_job_goes_elsewhere(site: Site) -> None:
    site.does("prolog-node1", "echo no scratch disk; exit 3")
    site.does("epilog", f"echo $SLURMD_NODENAME $SLURM_JOB_ID >> {site.said}")
    job = site.cluster.sbatch("-w", "node1", "--wrap", "true")
    reason = "prolog failed: exit 3: no scratch disk"
    wait_until(lambda: site.state("node1") == "drained", "node1 to be drained")
    assert site.reasons() == f"{reason}|node1"
    assert f"Reason={reason}" in site.cluster.text("scontrol", "show", "node", "node1")
    assert reason in site.cluster.text("packhorse", "status")
    row = site.cluster.job(job)
    assert row["state"] == "PENDING" and int(row["restarts"]) == 0
    assert reason in site.cluster.text("packhorse", "events", str(job))
    free = site.cluster.sbatch("--wrap", "true")
    site.cluster.wait(free)
    assert site.cluster.job(free)["nodes"] == "node2"
    # What the prolog began the epilog ends.
    assert site.said.read_text().splitlines() == [f"node1 {job}", f"node2 {free}"]
    # It stays drained over a restart of the agent, and until an operator says so.
    kill(site.cluster.agent("node1"))
    site.cluster.up()
    wait_until(lambda: site.reasons() == f"{reason}|node1", "the agent's return")
    site.does("prolog-node1", "")
    site.resume("node1")
    assert site.cluster.wait(job).state == "COMPLETED"
    assert site.cluster.job(job)["nodes"] == "node1"
    kill(site.cluster.agent("node1"))
    site.cluster.up()
    wait_until(lambda: site.state("node1") == "idle", "the agent's return, with nothing against it")


def test_a_prolog_that_hangs(site: Site) -> None:
    site.does("prolog-node1", "echo waiting for the disk; sleep 600")
    job = site.cluster.sbatch("-w", "node1", "--wrap", "true")
    wait_until(lambda: site.state("node1") == "drained", "node1 to be drained")
    assert site.reasons() == "prolog failed: no end within 2 s: waiting for the disk|node1"
    site.cluster.run("scancel", str(job))
    site.resume("node1")


def test_a_job_that_is_cancelled_during_its_prolog_never_starts(site: Site) -> None:
    site.does("prolog", f"echo prolog >> {site.said}; sleep 1")
    site.does("epilog", f"echo epilog >> {site.said}")
    job = site.cluster.sbatch("--wrap", f"echo job >> {site.said}")
    wait_until(site.said.exists, "the prolog")
    site.cluster.run("scancel", str(job))
    assert site.cluster.wait(job).state == "CANCELLED"
    assert site.said.read_text().splitlines() == ["prolog", "epilog"]


def test_a_failing_epilog_drains_the_node_and_the_job_keeps_its_result(site: Site) -> None:
    site.does("epilog", "echo cannot clean up >&2; exit 1")
    job = site.cluster.sbatch("-w", "node2", "--wrap", "exit 5")
    result = site.cluster.wait(job)
    assert (result.state, result.exit_code) == ("FAILED", 5)
    assert site.state("node2") == "drained"  # before its end was told: nothing can have started in between
    assert site.reasons() == "epilog failed: exit 1: cannot clean up|node2"
    site.does("epilog", "")
    site.resume("node2")


def test_an_agent_killed_during_the_prolog_runs_it_again(site: Site) -> None:
    site.does("prolog", f"echo $$ >> {site.said}; test -e {site.place}/second || sleep 600")
    job = site.cluster.sbatch("-w", "node1", "--wrap", "echo run >> runs; exit 6")
    wait_until(lambda: site.said.exists() and site.said.read_text(), "the prolog")
    kill(site.cluster.agent("node1"))
    (site.place / "second").touch()
    site.cluster.up()
    assert site.cluster.wait(job).exit_code == 6
    first, second = site.said.read_text().split()
    assert not environment(int(first)) and first != second
    assert (site.cluster.work / "runs").read_text() == "run\n"
    (site.place / "second").unlink()


def test_a_result_is_kept_though_the_epilog_passes_the_time_limit(site: Site) -> None:
    site.does("epilog", "sleep 1.9")
    job = site.cluster.sbatch("-t", "0:2", "--wrap", "sleep 0.8; exit 4")
    result = site.cluster.wait(job)
    assert (result.state, result.exit_code) == ("FAILED", 4)


def test_an_agent_killed_during_the_epilog_runs_it_again(site: Site) -> None:
    site.does("epilog", f"echo $$ >> {site.said}; test -e {site.place}/second || sleep 600")
    job = site.cluster.sbatch("-w", "node1", "--wrap", "exit 6")
    wait_until(lambda: site.said.exists() and site.said.read_text(), "the epilog")
    assert site.cluster.state(job) == "RUNNING"
    kill(site.cluster.agent("node1"))
    (site.place / "second").touch()
    site.cluster.up()
    assert site.cluster.wait(job).exit_code == 6
    first, second = site.said.read_text().split()
    assert not environment(int(first)) and first != second
    (site.place / "second").unlink()


def test_a_node_is_out_while_its_health_check_fails(site: Site) -> None:
    site.does("health-node1", "echo all is well; echo fan 3 stands still; exit 2")
    wait_until(lambda: site.state("node1") == "drained", "node1 to be drained")
    assert site.reasons() == "health check: fan 3 stands still|node1"
    assert "Reason=health check: fan 3 stands still" in site.cluster.text("scontrol", "show", "node", "node1")
    # Resuming does not help as long as it fails; an operator's own drain stays when it passes.
    site.cluster.run("scontrol", "update", "NodeName=node1", "State=RESUME")
    time.sleep(0.5)
    assert site.state("node1") == "drained"
    site.cluster.run("scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=new fan")
    site.does("health-node1", "")
    wait_until(lambda: "health" not in str(site.cluster.call("GetStatus")), "the health check to pass")
    assert site.reasons() == "new fan|node1"
    site.cluster.run("scontrol", "update", "NodeName=node1", "State=RESUME")
    wait_until(lambda: site.state("node1") == "idle", "node1 to take work again")


def test_a_health_check_that_hangs(site: Site) -> None:
    """Within its interval, one second, it has to end."""
    site.does("health-node2", f"echo $$ >> {site.said}; echo asking the fan; sleep 600")
    wait_until(lambda: site.state("node2") == "drained", "node2 to be drained")
    assert site.reasons() == "health check: asking the fan|node2"
    running = [pid for pid in site.said.read_text().split() if environment(int(pid))]
    assert len(running) <= 1
    job = site.cluster.sbatch("--wrap", "exit 3")
    assert site.cluster.wait(job).exit_code == 3
    site.does("health-node2", "")
    wait_until(lambda: site.state("node2") == "idle", "node2 to take work again")


def test_programs_that_others_may_write_to_are_refused(tmp_path: Path) -> None:
    program = tmp_path / "prolog"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o775)
    cluster = Cluster(nodes=1)
    try:
        done = cluster.run("packhorse", "agent", "--node", "n1", "--prolog", program, check=False)
        assert done.returncode == 1
        assert done.stderr == (
            f"packhorse agent: --prolog {program}: others than root or its owner may write to it: "
            "chown root, chmod 755\n"
        )
        done = cluster.run("packhorse", "agent", "--node", "n1", "--health-interval", "often", check=False)
        assert done.stderr == (
            'packhorse agent: --health-interval "often": write seconds up to a day, as in 90, 90s or 5m\n'
        )
    finally:
        cluster.end()

"""sdiag, strigger, scrontab and scontrol on real daemons: what they change outlives the scheduler."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until

TWO = '[[partition]]\nname = "main"\n[[partition]]\nname = "short"\n'


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1, cpus=2, config=TWO) as found:
        yield found


def restart(cluster: Cluster) -> None:
    """The scheduler dies and is started again."""
    pid = cluster.scheduler()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the scheduler to be gone")
    cluster.up()


def state_of(cluster: Cluster, partition: str) -> str:
    line = cluster.text("scontrol", "-o", "show", "partition", partition)
    return line.partition("State=")[2].split()[0]


def test_partitions_triggers_and_figures(cluster: Cluster) -> None:
    out = cluster.work / "told"
    tell = cluster.script("tell", f'echo "$@" >> {out}', "#!/bin/sh")
    tell.chmod(0o755)
    cluster.run("scontrol", "update", "PartitionName=short", "State=DRAIN")
    cluster.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    waits = cluster.sbatch("-p", "main", "--wrap", "sleep 600")
    code, text = cluster.refused("sbatch", "-p", "short", "--wrap", "true")
    assert code == 1 and "Required partition not available (inactive or drain)" in text
    cluster.run("strigger", "--set", "--jobid", str(waits), "--fini", "--program", f"{tell} over")
    cluster.run("strigger", "--set", "--node", "--drained", "--flags=PERM", "--program", f"{tell} drained")
    restart(cluster)
    assert (state_of(cluster, "main"), state_of(cluster, "short")) == ("DOWN", "DRAIN")
    assert cluster.text("sinfo", "-h", "-p", "short", "-o", "%a").strip() == "drain"
    assert len(cluster.text("strigger", "--get", "-N").splitlines()) == 2
    wait_until(lambda: cluster.result(waits).reason == "PartitionDown", "the reason")
    cluster.run("scontrol", "update", "PartitionName=main", "State=UP")
    cluster.wait_state(waits, "RUNNING")
    assert cluster.run("scontrol", "wait_job", str(waits)).returncode == 0
    cluster.run("scontrol", "update", f"NodeName={cluster.names[0]}", "State=DRAIN", "Reason=fan")
    cluster.run("scancel", str(waits))
    lines = {f"over {waits}", f"drained {cluster.names[0]}"}
    wait_until(lambda: out.exists() and set(out.read_text().splitlines()) == lines, "the programs")
    assert len(cluster.text("strigger", "--get", "-N").splitlines()) == 1, "the permanent one"
    cluster.run("strigger", "--clear", "--id", "2")
    assert "Jobs started:   1\nJobs completed: 0\nJobs canceled:  1\n" in cluster.text("sdiag")
    assert cluster.text("sdiag", "-r") == "Reset scheduling statistics\n"
    assert json.loads(cluster.text("sdiag", "--json"))["statistics"]["jobs_started"] == 0


def test_a_crontab(cluster: Cluster) -> None:
    out = cluster.work / "out"
    tab = cluster.work / "tab"
    tab.write_text(f"#SCRON --job-name=nightly -o /dev/null\n@daily echo ran >> {out}\n")
    cluster.run("scrontab", tab)
    assert cluster.text("scrontab", "-l") == tab.read_text()
    [job] = [int(id) for id in cluster.text("squeue", "-h", "-n", "nightly", "-o", "%i").split()]
    assert cluster.result(job).reason == "BeginTime"
    assert '   CrontabSpec="@daily"\n' in cluster.text("scontrol", "show", "job", str(job))
    for n in (1, 2):
        cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")
        wait_until(lambda: out.exists() and out.read_text() == "ran\n" * n, "its run")  # noqa: B023
        wait_until(lambda: cluster.state(job) == "PENDING", "its next time")
        restart(cluster)
        assert cluster.text("squeue", "-h", "-j", str(job), "-o", "%T %r").split() == ["PENDING", "BeginTime"]
        start = cluster.text("squeue", "-h", "--start", "-j", str(job), "-o", "%S").strip()
        assert start.endswith("T00:00:00"), start
    cluster.run("scancel", str(job))
    disabled = tab.read_text().replace("@daily", "#DISABLED: @daily")
    wait_until(lambda: cluster.text("scrontab", "-l") == disabled, "the line to be disabled")
    cluster.run("scrontab", "-r")
    code, text = cluster.refused("scrontab", "-l")
    assert code == 1 and text.startswith("no crontab for ")


def test_the_scheduler_is_shut_down(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", "sleep 2")
    cluster.wait_state(job, "RUNNING")
    pid = cluster.scheduler()
    cluster.run("scontrol", "shutdown", "slurmctld")
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the scheduler to be gone")
    cluster.up()
    assert cluster.wait(job).state == "COMPLETED"

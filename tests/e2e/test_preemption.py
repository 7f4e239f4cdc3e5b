"""Preemption on real processes: a low job makes room for a high one, by each of the modes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster import Cluster, wait_until
from tests.e2e.test_control import accounting

CONFIG = """\
[[partition]]
name = "low"
default = true

[[partition]]
name = "high"
priority_tier = 10

[preemption]
type = "partition"
"""

COUNTS = "echo up >> ran\nwhile :; do echo x >> ticks; sleep 0.05; done"


@contextmanager
def yielding(more: str = "") -> Iterator[Cluster]:
    """One node of two CPUs."""
    with Cluster(nodes=1, cpus=2, config=CONFIG + more) as cluster:
        yield cluster


def test_a_job_writes_its_checkpoint_makes_room_and_goes_on_from_there() -> None:
    with yielding() as cluster:
        script = cluster.script(
            "train.sh",
            "if [ -e saved ]; then\n"
            '    echo "run $SLURM_RESTART_COUNT goes on at step $(cat saved)"\n'
            "    exit 0\n"
            "fi\n"
            "step=0\n"
            "trap 'echo $step > saved; echo checkpoint; exit 0' USR1\n"
            "touch begun\n"
            "while :; do step=$((step + 1)); sleep 0.05 & wait $!; done\n",
        )
        low = cluster.sbatch("-c2", "--checkpoint-signal=B:USR1@20", script)
        wait_until(lambda: (cluster.work / "begun").exists(), "the low job begins")
        high = cluster.sbatch("-c2", "-p", "high", "--wrap", "echo high ran")
        began = time.monotonic()
        assert cluster.wait(high).state == "COMPLETED"
        assert time.monotonic() - began < 15, "the job that had saved its work was not waited for"
        assert cluster.wait(low).state == "COMPLETED"
        step = (cluster.work / "saved").read_text().strip()
        lines = cluster.output(low).splitlines()
        assert [line for line in lines if line.startswith(("checkpoint", "run"))] == [
            "checkpoint",
            f"run 1 goes on at step {step}",
        ]
        assert accounting(cluster, low, "State", "-X", "-D") == ["PREEMPTED", "COMPLETED"]
        shown = cluster.text("scontrol", "show", "job", str(low))
        user = cluster.text("id", "-un").strip()
        assert "Restarts=1 " in shown
        assert "PackhorseCheckpointSignal=B:USR1@20\n" in shown
        assert f"PackhorsePreempted=made room for job {high} of partition high ({user})\n" in shown


def test_the_same_by_qos_as_sacctmgr_keeps_them() -> None:
    """The high QOS preempts the low one, which is to be cancelled after two seconds."""
    config = '[preemption]\ntype = "qos"\n\n[accounts]\nenforce = "none"\n'
    with Cluster(nodes=1, cpus=2, config=config) as cluster:
        cluster.run("sacctmgr", "-i", "add", "qos", "low", "preemptmode=cancel", "gracetime=2")
        cluster.run("sacctmgr", "-i", "add", "qos", "high", "preempt=low", "priority=100")
        low = cluster.sbatch(
            "-c2", "-q", "low", "--signal=B:USR1@5", "--wrap", f"trap 'echo warned' USR1\n{COUNTS}"
        )
        wait_until(lambda: (cluster.work / "ran").exists(), "the low job begins")
        normal = cluster.sbatch("-c2", "--wrap", "true")
        high = cluster.sbatch("-c2", "-q", "high", "--wrap", "true")
        assert cluster.wait(high).state == "COMPLETED"
        result = cluster.wait(low)
        assert (result.state, result.why) == (
            "PREEMPTED",
            f"made room for job {high} of QOS high ({cluster.text('id', '-un').strip()})",
        )
        assert "warned" in cluster.output(low)
        row = cluster.job(low)
        assert int(row["end_at"]) - int(row["preempted_at"]) >= 2_000_000
        assert cluster.wait(normal).state == "COMPLETED"
        assert int(cluster.job(normal)["start_at"]) >= int(cluster.job(high)["start_at"])


def test_a_job_that_is_cancelled_for_it_is_over() -> None:
    with yielding('mode = "cancel"\n') as cluster:
        low = cluster.sbatch("-c2", "--wrap", COUNTS)
        wait_until(lambda: (cluster.work / "ran").exists(), "the low job begins")
        high = cluster.sbatch("-c2", "-p", "high", "--wrap", "true")
        assert cluster.wait(high).state == "COMPLETED"
        result = cluster.wait(low)
        assert result.state == "PREEMPTED"
        assert result.why.startswith(f"made room for job {high} of partition high (")
        assert accounting(cluster, low, "State", "-X") == ["PREEMPTED"]
        assert "DUE TO PREEMPTION" in cluster.output(low)
        assert "PreemptTime=20" in cluster.text("scontrol", "show", "job", str(low))


def test_a_job_that_is_suspended_for_it_goes_on_where_it_was() -> None:
    with yielding('mode = "suspend"\n') as cluster:
        low = cluster.sbatch("-c2", "--wrap", COUNTS)
        ticks = cluster.work / "ticks"
        wait_until(lambda: ticks.exists(), "the low job begins")
        high = cluster.sbatch(
            "-c2",
            "-p",
            "high",
            "--wrap",
            "sleep 0.3; wc -l < ticks; sleep 1; wc -l < ticks",
        )
        assert cluster.wait(high).state == "COMPLETED"
        before, after = map(int, cluster.output(high).split())
        assert before == after, "the low job went on meanwhile"
        wait_until(lambda: len(ticks.read_text().split()) > after, "it goes on")
        assert (cluster.work / "ran").read_text() == "up\n", "it was not begun again"
        assert cluster.state(low) == "RUNNING"
        cluster.run("scancel", str(low))
        cluster.wait(low)


def test_a_job_without_a_right_waits() -> None:
    with yielding('exempt = "1h"\n') as cluster:
        low = cluster.sbatch("-c2", "--wrap", "sleep 2")
        wait_until(lambda: cluster.state(low) == "RUNNING", "the low job runs")
        high = cluster.sbatch("-c2", "-p", "high", "--wrap", "true")
        assert cluster.wait(high).state == "COMPLETED"
        assert cluster.wait(low).state == "COMPLETED"

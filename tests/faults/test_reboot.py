"""A node comes back from a reboot: what ran there is proven dead, and runs again or failed with its node."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import pytest

from tests.cluster import Cluster, environment, kill, wait_until

BOOT_ID = "/proc/sys/kernel/random/boot_id"


def pull_the_plug(cluster: Cluster, node: str) -> None:
    """Everything on that node dies at once."""
    agent = cluster.agent(node)
    wanted = f"SLURMD_NODENAME={node}".encode()
    children = [pid for pid in cluster.processes() if _parent(pid) == agent]
    jobs = [pid for pid in cluster.processes() if wanted in environment(pid)]
    watchers = {_parent(pid) for pid in jobs} - set(jobs) - {0, 1}  # 0: of one that has ended meanwhile
    for pid in (agent, *children, *watchers, *jobs):
        kill(pid)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return 0


@pytest.mark.needs_root
@pytest.mark.skipif(
    subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0,
    reason="needs a mount namespace to show the agent another boot id",
)
def test_a_reboot_requeues_what_may_run_again(tmp_path: Path) -> None:
    with Cluster(nodes=2) as cluster:
        waits = "until test -e go; do sleep 0.02; done"
        other = cluster.sbatch("-w", "node1", "--wrap", f"{waits}; exit 4")
        again = cluster.sbatch(
            "-w", "node2", "--wrap", f'echo run >> again.txt; test "$SLURM_RESTART_COUNT" && exit 5; {waits}'
        )
        never = cluster.sbatch("-w", "node2", "--no-requeue", "--wrap", waits)
        gang = cluster.sbatch("-N", "2", "--wrap", f'test "$SLURM_RESTART_COUNT" && exit 9; {waits}')
        for job in (other, again, never, gang):
            cluster.wait_state(job, "RUNNING")
        wait_until((cluster.work / "again.txt").exists, "the first run")
        pull_the_plug(cluster, "node2")
        wait_until(
            lambda: cluster.text("sinfo", "-h", "-n", "node2", "-o", "%t").strip()[-1] == "*", "silence"
        )
        # Silence proves nothing: as far as anybody can tell both still run.
        assert (cluster.state(again), cluster.state(never)) == ("RUNNING", "RUNNING")

        fresh = tmp_path / "boot_id"
        fresh.write_text(f"{uuid.uuid4()}\n")
        cluster.up_in(["unshare", "-m", "sh", "-c", f'mount --bind {fresh} {BOOT_ID} && exec "$@"', "reboot"])
        lost = cluster.wait(never)
        assert (lost.state, lost.reason) == ("NODE_FAIL", "NodeDown")
        assert "restarted" in cluster.events(never)[-1]["text"]
        repeated = cluster.wait(again)
        assert (repeated.state, repeated.exit_code) == ("FAILED", 5)
        assert (cluster.work / "again.txt").read_text() == "run\nrun\n"
        # Its script ran on the other node, and could not go on with one node less.
        together = cluster.wait(gang)
        assert (together.state, together.exit_code) == ("FAILED", 9)
        assert cluster.state(other) == "RUNNING"
        (cluster.work / "go").touch()
        assert cluster.wait(other).exit_code == 4

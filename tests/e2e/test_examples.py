"""Examples that need two nodes, run as their READMEs say."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cluster import Cluster

TORCHRUN = Path(__file__).parent.parent.parent / "examples" / "torchrun"


def test_torchrun(cluster: Cluster) -> None:
    cluster.run("sbatch", "--wait", TORCHRUN / "train.sh", variables={"SRC": str(TORCHRUN)})
    told = (cluster.work / "train.out").read_text().splitlines()
    assert [line.partition(":")[0] for line in told[:3]] == ["step 0", "step 50", "step 100"]
    fits = set()
    for rank, line in enumerate(sorted(told[3:])):
        found = re.fullmatch(
            rf"worker {rank} of 4 on node{rank // 2 + 1}: y = (3\.0\d|2\.9\d)x \+ (\S+)", line
        )
        assert found, told
        fits.add(found.groups())
    assert len(fits) == 1


def test_torchrun_when_a_worker_fails(cluster: Cluster) -> None:
    """The workers of the other node do not wait for it."""
    failing = cluster.work / "failing.py"
    failing.write_text("import os, sys, time\nif os.environ['RANK'] == '3': sys.exit(5)\ntime.sleep(600)\n")
    variables = {"SRC": str(TORCHRUN), "TRAINING": str(failing)}
    done = cluster.run("sbatch", "--wait", TORCHRUN / "train.sh", variables=variables, check=False)
    assert done.returncode == 143  # of those that were ended: the highest counts
    told = (cluster.work / "train.out").read_text()
    assert "srun: error: node2: task 1: Exited with exit code 5\n" in told
    assert "srun: error: node1: task 0: Terminated\n" in told

"""The batch part of the acceptance script about task environments, where ../shared has that script.

Its `srun` part waits for the command `srun`: the variables of tasks (SLURM_STEP_*, ranks, GTIDS of a step,
SLURM_LAUNCH_NODE_IPADDR).
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cluster import Cluster

SCRIPT = Path("shared/acceptance/task-env.py")
WAITING = re.compile(r"^srun .*\n", re.MULTILINE)


def test_the_batch_part_of_task_env(cluster: Cluster, repository: Path) -> None:
    path = repository.parent / SCRIPT
    if not path.exists():
        pytest.skip(f"{path} is not here")
    text = path.read_text()
    assert len(WAITING.findall(text)) == 1, "the script has changed: see what waits for srun now"
    # Without its srun line the tasks' files are missing; the batch script's own file stands in for the ranks,
    # so that every probe that concerns the batch script is made by the script itself.
    text = WAITING.sub("", text)
    text = text.replace(
        '("batch.0", "task.0", "task.1", "hosts")', '("batch.0", "batch.0", "batch.0", "hosts")'
    )
    text = re.sub(r"^for rank, e in enumerate.*?(?=^assert)", "", text, flags=re.MULTILINE | re.DOTALL)
    changed = cluster.work / "task-env.py"
    changed.write_text(text)
    done = cluster.run("python3", changed)
    assert done.stdout.startswith("ok task environment: batch script")


def test_what_waits_for_srun_is_known(cluster: Cluster) -> None:
    """When `srun` exists, the whole script has to pass, and this test to make room for that."""
    done = cluster.run("sh", "-c", "command -v srun || echo none")
    srun = done.stdout.strip()
    assert srun == "none" or str(cluster.root) not in srun, json.dumps({"srun": srun})

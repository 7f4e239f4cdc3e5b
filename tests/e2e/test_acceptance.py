"""The acceptance script about the environment of batch scripts and tasks, where ../shared has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import Cluster

SCRIPT = Path("shared/acceptance/task-env.py")


def test_task_env(cluster: Cluster, repository: Path) -> None:
    path = repository.parent / SCRIPT
    if not path.exists():
        pytest.skip(f"{path} is not here")
    done = cluster.run("python3", path)
    assert done.stdout.startswith("ok task environment: batch script"), done.stdout + done.stderr

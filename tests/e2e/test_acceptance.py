"""Programs in ../shared/acceptance that drive Slurm, unmodified, where they are and what they import is here.

All of them, and other clients, run with `make test-clients`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.cluster import Cluster

ACCEPTANCE = Path("shared/acceptance")


@pytest.mark.parametrize(
    ("program", "imports"), [("cli-shapes", ""), ("task-env", ""), ("submitit-basic", "submitit")]
)
def test_program(cluster: Cluster, repository: Path, program: str, imports: str) -> None:
    path = repository.parent / ACCEPTANCE / f"{program}.py"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    if imports and importlib.util.find_spec(imports) is None:
        pytest.skip(f"{imports} is not installed: `make dev`")
    done = cluster.run(sys.executable, path, check=False, within_s=180)  # the one that knows the libraries
    assert done.returncode == 0 and done.stdout.startswith("ok "), f"{done.stdout}{done.stderr}"


def test_from_inside_a_job_too(cluster: Cluster, repository: Path) -> None:
    """Variables of the job that submits never shape the one that it submits."""
    path = repository.parent / ACCEPTANCE / "task-env.py"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    outer = ["--ntasks=3", "--nodes=2", "--mem=100M", "--job-name=outer"]
    job = cluster.sbatch(*outer, "--wrap", f"python3 {path}")
    ended = cluster.wait(job, within_s=120)
    assert ended.exit_code == 0, cluster.said(job)
    assert cluster.output(job).startswith("ok task environment")

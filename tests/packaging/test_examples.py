"""The examples' scripts without a cluster: what they ask for is what their programs expect."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest


def directives(script: Path) -> dict[str, str]:
    """The #SBATCH options of a script."""
    lines = re.findall(r"^#SBATCH\s+(\S+?)(?:=|\s+)(\S+)$", script.read_text(), re.MULTILINE)
    return dict(lines)


def test_array_of_digits_covers_the_grid(repository: Path) -> None:
    grid = runpy.run_path(str(repository / "examples/digits/grid.py"))["GRID"]
    assert directives(repository / "examples/digits/train.sh")["--array"] == f"0-{len(grid) - 1}"


def test_slurm_script_asks_as_documented(repository: Path) -> None:
    asked = directives(repository / "examples/slurm-script/job.sh")
    assert asked == {"-J": "JobName", "--time": "11:00:00", "--mem-per-cpu": "4096", "--cpus-per-task": "4"}


@pytest.mark.parametrize(
    "script",
    [
        *("digits/train.sh", "digits/collect.sh", "digits/submit.sh", "slurm-script/job.sh"),
        *("mpi/mpich.sh", "mpi/openmpi.sh", "torchrun/train.sh"),
    ],
)
def test_scripts_are_shell(repository: Path, script: str) -> None:
    subprocess.run(["bash", "-n", repository / "examples" / script], check=True)


def test_one_training_and_a_collection_that_misses_the_others(repository: Path, tmp_path: Path) -> None:
    """Row 6 (nearest neighbours) is real; the collection names the rows whose scores are not there."""
    digits = repository / "examples/digits"
    here = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (tmp_path / "results").mkdir()
    for name in ("train.sh", "train.py", "collect.sh", "collect.py", "grid.py"):
        (tmp_path / name).symlink_to(digits / name)

    trained = subprocess.run(
        ["bash", "train.sh"],
        cwd=tmp_path,
        env=here | {"SLURM_ARRAY_TASK_ID": "6"},
        capture_output=True,
        text=True,
    )
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"accuracy 0\.98\d\d", trained.stdout)
    assert sorted(os.listdir(tmp_path / "results")) == ["model-6.joblib", "score-6.json"]

    collected = subprocess.run(["bash", "collect.sh"], cwd=tmp_path, env=here, capture_output=True, text=True)
    assert collected.returncode == 1
    assert "no score of row 0, 1, 2, 3, 4, 5, 7, 8," in collected.stderr

"""docs/slurm-commands.md shows what the commands print of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "command",
    [
        "sbatch",
        "srun",
        "salloc",
        "sattach",
        "sbcast",
        "squeue",
        "scancel",
        "sinfo",
        "sacct",
        "sstat",
        "seff",
        "sdiag",
        "scrontab",
        "strigger",
        "sprio",
        "sreport",
        "sshare",
        "scontrol",
        "sacctmgr",
    ],
)
def test_the_page_shows_the_help(repository: Path, command: str) -> None:
    module = [sys.executable, "-m", f"packhorse.cli.slurm.{command}", "--help"]
    text = subprocess.run(module, capture_output=True, text=True, check=True).stdout.rstrip()
    page = (repository / "docs" / "slurm-commands.md").read_text()
    assert f"### {command}\n\n```text\n{text}\n```\n" in page, "copy what --help prints into the page"

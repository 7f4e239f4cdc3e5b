"""What every test may rely on: it never meets the caller's cluster, and a skipped test says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.agent.nvml.fake import fake_nvml, nvml_library

__all__ = ["fake_nvml", "nvml_library"]  # fixtures for every test

ROOT = Path(__file__).resolve().parent.parent

# What would point a command, client or agent under test at a cluster that is not the test's own.
FOREIGN = ("PACKHORSE_", "SLURM_", "SBATCH_", "SQUEUE_", "SINFO_", "SACCT_", "SCANCEL_", "SCONTROL_")

OURS = frozenset({"PACKHORSE_MACHINE", "PACKHORSE_WALKS", "PACKHORSE_SOAK_SEED"})
"""How long the tests themselves are to look."""


def pytest_configure() -> None:
    """Leaves no variable of the caller's cluster, and a home where no cluster is until a test sets its own.

    Processes that a test starts import the sources as the test does, not an older install of them.
    """
    for name in list(os.environ):
        if name.startswith(FOREIGN) and name not in OURS:
            del os.environ[name]
    os.environ["PACKHORSE_HOME"] = "/nonexistent/set-by-tests-conftest"
    os.environ["PYTHONPATH"] = str(ROOT / "build/ns")
    # More threads for products of matrices would only take time from the tests beside.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs uid 0, or another user who can run us too, where that is not so."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("needs_root") or item.get_closest_marker("needs_other_user"):
                item.add_marker(pytest.mark.skip(reason="needs uid 0"))
        return
    others = [item for item in items if item.get_closest_marker("needs_other_user")]
    if others and not _others_may_run_us():
        for item in others:
            item.add_marker(pytest.mark.skip(reason="other users may not read this checkout or its Python"))


def _others_may_run_us() -> bool:
    """Whether uid 65534 can import the sources with this interpreter."""
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = subprocess.run(
        [*become, sys.executable, "-c", "import packhorse.cli.transport"],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "build/ns")},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT

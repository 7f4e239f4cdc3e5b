"""`packhorse demo reclaim`: what it shows happens on real processes, and it says so truly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from packhorse.cli.commands import demo_reclaim

LEAST_FREE = 3 * demo_reclaim.UNITS * demo_reclaim.LEAST_UNIT_MIB << 20


@pytest.mark.skipif(psutil.virtual_memory().available < LEAST_FREE, reason="too little memory is free")
def test_unused_memory_is_lent_and_taken_back(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "packhorse.cli.main", "demo", "reclaim", "--json"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["ok"]
    assert len(said["checks"]) == 6
    assert all(check["ok"] for check in said["checks"])


def test_a_ledger_that_does_not_add_up_is_told() -> None:
    """The check of the demonstration can fail."""
    loan = {"mem_mib": 4, "since_at": 0, "until_at": 2_000_000, "mib_seconds": 8, "outcome": "taken_back"}
    assert demo_reclaim._adds_up([loan], (0, 2_000_000))
    for wrong in (
        {"mib_seconds": 7},
        {"outcome": "returned"},
        {"outcome": ""},
        {"since_at": 5, "mib_seconds": 7},
        {"until_at": 1_500_000, "mib_seconds": 6},
    ):
        assert not demo_reclaim._adds_up([loan | wrong], (0, 2_000_000))
    assert not demo_reclaim._adds_up([], (0, 2_000_000))

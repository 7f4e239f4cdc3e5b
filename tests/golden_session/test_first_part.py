"""The first part of the recorded session: what sbatch accepts and refuses, with its words, on a cluster like
that one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.golden_session import script
from tests.golden_session.__main__ import compared
from tests.golden_session.demo import Demo

CARRIED = Path(__file__).parent / "recorded"


@pytest.mark.skipif(os.geteuid() != 0, reason="the session runs commands as somebody else, which root may")
def test_the_same_is_said_as_by_slurm(tmp_path: Path) -> None:
    demo = Demo()
    with demo:
        script.hold(demo, tmp_path, script.quick((CARRIED / "session.sh").read_text()))
    found = compared(tmp_path, "0*", CARRIED / "out")
    assert found.compared == 56
    assert not found.differing, "\n".join(
        f"{name}: {line}" for name, lines in found.differing.items() for line in lines
    )

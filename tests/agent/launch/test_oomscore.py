"""A supervisor that may not be chosen when memory runs out, and jobs that may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packhorse.agent.launch import oomscore


@pytest.fixture
def score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "oom_score_adj"
    path.write_text("200\n")
    monkeypatch.setattr(oomscore, "_FILE", str(path))
    monkeypatch.setattr(oomscore, "_own", b"")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return path


def test_what_is_started_is_as_likely_as_before(score: Path) -> None:
    assert not oomscore.step_back()  # not protected yet
    oomscore.protect()
    assert score.read_text() == "-1000"
    assert oomscore.step_back()
    assert score.read_text().startswith("200")
    oomscore.step_forward()
    assert score.read_text() == "-1000"


def test_without_the_right_nothing_changes(score: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    oomscore.protect()
    assert (score.read_text(), oomscore.step_back()) == ("200\n", False)

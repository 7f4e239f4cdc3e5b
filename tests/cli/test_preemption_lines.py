"""What sbatch sends for a checkpoint signal, and what scontrol and squeue print of making room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import session
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a script, to submit from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.sh").write_text("#!/bin/sh\ntrue\n")
    return tmp_path


@pytest.mark.parametrize(
    "text, sent",
    [
        ("USR1", {"signal": 10, "secondsBefore": 60, "batchOnly": False}),
        ("B:USR2@300", {"signal": 12, "secondsBefore": 300, "batchOnly": True}),
    ],
)
def test_the_signal_goes_along(
    scheduler: FakeScheduler, run: Run, place: Path, text: str, sent: dict[str, object]
) -> None:
    scheduler.on("SubmitJob", {"jobId": "7"})
    (place / "job.sh").write_text(f"#!/bin/sh\n#SBATCH --checkpoint-signal={text}\ntrue\n")
    assert run("sbatch", "job.sh")[0] == 0
    [body] = scheduler.bodies("SubmitJob")
    assert body["spec"]["checkpoint"] == sent
    assert "warn" not in body["spec"]


def test_a_signal_that_is_none(scheduler: FakeScheduler, run: Run, place: Path) -> None:
    code, out, err = run("sbatch", "--checkpoint-signal=SAVE", "job.sh")
    assert (code, out) == (255, "")
    assert err.startswith("sbatch: error: Invalid --checkpoint-signal specification: ")
    assert scheduler.bodies("SubmitJob") == []


def test_show_job_tells_when_and_why(scheduler: FakeScheduler, run: Run) -> None:
    row = session.job(
        9,
        "train",
        preempt_eligible_at=session.at("03:00:00"),
        preempted_at=session.at("05:30:00"),
        preempted_why="made room for job 17 of QOS high (ann)",
        checkpoint="USR1@60",
    )
    scheduler.table("ListJobs", [row], session.NOW_S)
    _, out, _ = run("scontrol", "show", "job", "9")
    assert (
        "   PreemptEligibleTime=2026-11-23T03:00:00 PreemptTime=2026-11-23T05:30:00\n   SuspendTime=" in out
    )
    assert (
        "   PackhorseCheckpointSignal=USR1@60\n"
        "   PackhorsePreempted=made room for job 17 of QOS high (ann)\n" in out
    )
    # On one line for programs, which split it at white space and want a "=" in every piece.
    _, out, _ = run("scontrol", "show", "job", "-o", "9")
    assert " PackhorsePreempted=made_room_for_job_17_of_QOS_high_(ann) " in out
    assert all("=" in piece for piece in out.split())
    row["preempted_at"] = 0
    scheduler.table("ListJobs", [row], session.NOW_S)
    assert "PreemptTime=None\n" in run("scontrol", "show", "job", "9")[1]


def test_squeue_has_the_time(scheduler: FakeScheduler, run: Run) -> None:
    rows = [session.job(9, "a", preempted_at=session.at("05:30:00")), session.job(10, "b")]
    scheduler.table("ListJobs", rows, session.NOW_S)
    _, out, _ = run("squeue", "-h", "-O", "jobid:4,preempttime")
    assert [line.split() for line in out.splitlines()] == [["9", "2026-11-23T05:30:00"], ["10", "N/A"]]

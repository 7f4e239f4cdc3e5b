"""`packhorse estimates`: what is printed, and what is asked."""

from __future__ import annotations

import json

import pytest

from packhorse.cli import main
from tests.cli import session
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler

US = 1_000_000
DAY = 20_000 * 86_400 * US
ANSWER = {
    "nScored": "40", "nInside": "32", "nTold": "7", "nowUs": str(DAY),
    "sums": [
        {"by": "all", "n": "40", "nInside": "32", "medianErrorS": "600", "medianWaitS": "3600",
         "medianIntervalS": "7200"},
        {"by": "again", "n": "3", "nInside": "2", "medianErrorS": "60", "medianWaitS": "60"},
        {"by": "partition", "key": "main", "n": "40", "nInside": "32"},
        {"by": "size", "key": "5", "n": "40", "nInside": "32"},
        {"by": "wait", "key": "3600", "n": "40", "nInside": "32"},
    ],
    "days": [{"dayUs": str(DAY + i * 86_400 * US), "n": "20", "nInside": str(15 + i), "errorS": "2000",
              "waitS": "40000"} for i in range(3)],
    "latest": [{"jobId": "9", "last": True, "toldAtUs": str(DAY), "lowAtUs": str(DAY + US),
                "medianAtUs": str(DAY + 2 * US), "highAtUs": str(DAY + 3 * US),
                "startAtUs": str(DAY + 9 * US), "partition": "main"}],
}  # fmt: skip


def test_the_figures(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.on("ListEstimates", ANSWER)
    assert main.main(["estimates", "--days", "2", "--latest", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "40 estimates scored, 80.0% of the starts inside the 80 % interval; 7 waiting jobs have an estimate"
    )
    assert lines[3].split() == ["first", "estimates", "40", "80.0%", "00:10:00", "01:00:00", "02:00:00"]
    assert [line for line in lines if line.startswith("by ")] == [
        "by partition", "by share of the partition", "by estimated wait",
    ]  # fmt: skip
    text = "\n".join(lines)
    assert "  5 % and more " in text and "  01:00:00 and more " in text
    assert [line.split()[:3] for line in lines if line.startswith("2024")] == [
        ["2024-10-05", "20", "80.0%"],
        ["2024-10-06", "20", "85.0%"],
    ], "the last two days"
    assert lines[-1].startswith("9 (last) ") and lines[-1].endswith(" no")
    assert scheduler.bodies("ListEstimates") == [{"latest": 1}]


def test_json_has_every_figure(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.on("ListEstimates", ANSWER)
    assert main.main(["estimates", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["n_scored"], found["n_inside"], found["n_told"]) == (40, 32, 7)
    assert found["sums"][1]["median_interval_s"] == 0
    assert found["latest"][0]["start_at_us"] == DAY + 9 * US


def test_nothing_to_say_yet(scheduler: FakeScheduler, capsys: pytest.CaptureFixture[str]) -> None:
    scheduler.on("ListEstimates", {"nTold": "2"})
    assert main.main(["estimates"]) == 0
    assert capsys.readouterr().out == (
        "no job that was told an estimate has started yet; 2 waiting jobs have an estimate\n"
    )


def told() -> list[session.Row]:
    """Two waiting jobs with estimates, the later one first, and one of which nobody knows anything."""
    return [
        session.job(
            12, "later", planned_start_at=session.at("09:00:00"), estimated_low_at=session.at("07:00:00"),
            estimated_start_at=session.at("08:00:00"), estimated_high_at=session.at("10:30:00"),
            reason="Resources",
        ),
        session.job(
            13, "sooner", estimated_low_at=session.at("06:00:00"), estimated_start_at=session.at("06:30:00"),
            estimated_high_at=session.at("07:00:00"), reason="Priority",
        ),
        session.job(14, "unknown", reason="Dependency"),
    ]  # fmt: skip


def test_squeue_shows_medians_in_order_and_the_interval(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.table("ListJobs", told(), session.NOW_S)
    lines = run("squeue", "--start")[1].splitlines()
    assert lines[0].split()[5] == "START_TIME"
    assert [(line.split()[0], line.split()[5]) for line in lines[1:]] == [
        ("13", "2026-11-23T06:30:00"), ("12", "2026-11-23T08:00:00"), ("14", "N/A"),
    ]  # fmt: skip
    scheduler.table("ListJobs", told(), session.NOW_S)
    text = run("squeue", "-h", "-O", "JobID:6,StartEarliest,StartLatest")[1]
    assert text.splitlines()[0].split() == ["12", "2026-11-23T07:00:00", "2026-11-23T10:30:00"]
    scheduler.table("ListJobs", told(), session.NOW_S)
    assert "13 2026-11-23T06:30:00 2026-11-23T07:30:00" in run("squeue", "-h", "-o", "%i %S %e")[1]


def test_scontrol_marks_what_is_an_estimate(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.table("ListJobs", told(), session.NOW_S)
    later, sooner, unknown = run("scontrol", "show", "job")[1].split("JobId=")[1:]
    assert "StartTime=2026-11-23T08:00:00 EndTime=2026-11-23T09:00:00" in later
    assert (
        "PackhorseStartEstimate=2026-11-23T07:00:00..2026-11-23T10:30:00 PlannedStart=2026-11-23T09:00:00"
        in later
    )
    assert "PackhorseStartEstimate=2026-11-23T06:00:00..2026-11-23T07:00:00\n" in sooner
    assert "StartTime=Unknown" in unknown and "PackhorseStartEstimate" not in unknown

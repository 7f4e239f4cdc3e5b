"""sdiag, strigger, scrontab and the rest of scontrol: whole, as in golden/administration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli import session, transcripts
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler

GOLDEN = Path(__file__).parent / "golden" / "administration"

NOW_US = session.NOW_S * 1_000_000

STATISTICS: dict[str, Any] = {
    "nowUs": NOW_US,
    "sinceUs": NOW_US - 630_000_000,
    "nCallsActive": 1,
    "nOrdersQueued": 3,
    "nNodesQueued": 2,
    "nEventsQueued": 4,
    "jobsSubmitted": 63,
    "jobsStarted": 40,
    "jobsCompleted": 33,
    "jobsCancelled": 7,
    "jobsFailed": 1,
    "jobsPending": 16,
    "jobsRunning": 5,
    "main": {
        "count": 230,
        "lastAtUs": NOW_US - 1_000_000,
        "lastUs": 87,
        "maxUs": 4177,
        "meanUs": 539,
        "totalUs": 123_970,
        "lastDepth": 3,
        "meanDepth": 2,
        "lastTried": 1,
        "meanTried": 1,
        "lastQueue": 3,
        "meanQueue": 2,
        "lastTable": 1,
        "meanTable": 1,
    },
    "backfill": {
        "count": 3,
        "lastAtUs": NOW_US - 9_000_000,
        "lastUs": 130,
        "maxUs": 493,
        "meanUs": 261,
        "totalUs": 783,
        "lastDepth": 3,
        "meanDepth": 2,
        "lastTried": 1,
        "meanTried": 1,
        "lastQueue": 3,
        "meanQueue": 2,
        "lastTable": 1,
        "meanTable": 1,
    },
    "backfilled": 1,
    "backfilledEver": 2,
    "clockLatencyUs": 19,
    "methods": [
        {"name": "Ping", "number": 1, "count": 3, "timeUs": 950},
        {"name": "SubmitJob", "number": 2, "count": 46, "timeUs": 32_664},
        {"name": "ListJobs", "number": 12, "count": 28, "timeUs": 14_566},
    ],
    "users": [
        {"name": "nobody", "number": 65534, "count": 3, "timeUs": 1582},
        {"name": "root", "count": 397, "timeUs": 288_311},
    ],
    "orders": [{"kind": "Launch", "count": 2}, {"kind": "Terminate", "count": 1}],
    "waitingNodes": [{"node": "n1", "kind": "Launch"}, {"node": "n2", "kind": "Terminate"}],
}

CASES: dict[str, list[str]] = {
    "sdiag": ["sdiag"],
    "sdiag-by-id": ["sdiag", "-i", "--all"],
    "sdiag-by-time": ["sdiag", "-t"],
    "sdiag-by-mean-time": ["sdiag", "-T"],
    "sdiag-json": ["sdiag", "--json"],
    "sdiag-reset": ["sdiag", "-r"],
    "sdiag-help": ["sdiag", "--help"],
    "sdiag-bad-option": ["sdiag", "--bogus"],
    "sdiag-argument": ["sdiag", "now"],
}


def serve(scheduler: FakeScheduler) -> None:
    """The answers that the transcripts are of."""
    scheduler.on("GetDiagnostics", STATISTICS)
    scheduler.on("ResetDiagnostics", {})


@pytest.mark.parametrize("name", CASES)
def test_golden(scheduler: FakeScheduler, run: Run, name: str) -> None:
    serve(scheduler)
    argv = CASES[name]
    text = transcripts.write(argv, run(*argv))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(CASES)


def test_sdiag_of_a_daemon_that_did_nothing(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("GetDiagnostics", {"nowUs": NOW_US, "sinceUs": NOW_US, "main": {}, "backfill": {}})
    code, out, err = run("sdiag")
    assert (code, err) == (0, "")
    assert "\tTotal cycles: 0\n\tLast queue length: 0\n" in out, "no means of nothing, as in Slurm"
    assert "\tLast cycle when: N/A\n" in out and "\tNo pending RPCs\n" in out
    assert "Cycles per minute" not in out


def test_sdiag_resets_for_administrators_only(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.fail("ResetDiagnostics", "permission_denied", "no", "Access/permission denied", 403)
    assert run("sdiag", "--reset") == (1, "", "slurm_reset_statistics: Access/permission denied\n")

"""The same questions answered by Slurm 22.05, where the transcripts of such a session lie beside the
repository.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli import session, transcripts
from tests.cli.commands import COMMANDS, Run
from tests.cli.fake_scheduler import FakeScheduler, table

TRANSCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "slurm-golden" / "out"

pytestmark = pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason="no transcripts beside the repository")

ALONE = [
    "007-sbatch-timeout-job",
    "008-sbatch-file",
    "009-sbatch-parsable",
    "010-sbatch-wrap",
    "014-sbatch-array",
    "018-sbatch-held",
    "028-err-option",
    "029-err-script-option",
    "030-err-short-option",
    "031-err-time",
    "032-err-mem",
    "033-err-ntasks",
    "041-err-missing-script",
    "042-err-empty-script",
    "043-err-no-shebang",
    "051-err-begin",
    "052-err-signal",
    "077-scancel-running",
    "079-scancel-unknown",
    "081-scancel-unknown-signal",
    "082-scancel-finished",
    "083-scancel-finished-verbose",
    "080-scancel-unknown-verbose",
    "086-scancel-nothing",
    "087-scancel-badid",
    "088-scancel-badsignal",
    "091-scancel-option-after-id",
    "092-scontrol-hold",
    "093-scontrol-release",
    "094-scontrol-update-time",
    "095-scontrol-update-bad",
    "096-scontrol-update-unknown",
    "098-scontrol-hold-unknown",
    "099-scontrol-requeue-unknown",
    "109-scontrol-drain-no-reason",
    "108-scontrol-drain",
    "123-squeue-j-one",
    "124-squeue-j-unknown",
    "125-squeue-j-two-unknown",
    "126-squeue-j-bad",
    "129-squeue-t-bad",
    "134-squeue-user-bad",
    "136-squeue-partition-bad",
    "139-squeue-bad-option",
    "152-sinfo-p-bad",
    "153-sinfo-bad-option",
    "169-sacct-unknown",
    "170-sacct-badfield",
    "171-sacct-bad-option",
    "191-show-job-unknown",
    "194-show-partition-bad",
    "197-show-node-bad",
    "200-show-hostnames",
    "202-show-hostname-alias",
    "203-show-hostlist",
    "204-show-hostlistsorted",
    "206-show-bad-entity",
    "207-scontrol-badcommand",
    "003-ping",
    "102-scontrol-reservation-create",
    "103-scontrol-reservation-show",
    "104-scontrol-reservation-show-o",
    "105-scontrol-reservation-unknown",
    "154-sinfo-T",
]
"""Answered whole, to the letter."""

SORTED = [
    "112-squeue-l",
    "113-squeue-o",
    "114-squeue-o-widths",
    "115-squeue-o-double-percent",
    "116-squeue-O",
    "117-squeue-O-suffix",
    "120-squeue-o-badletter",
    "122-squeue-start",
    "131-squeue-h-o",
    "141-sinfo",
    "142-sinfo-l",
    "143-sinfo-N",
    "144-sinfo-Nl",
    "145-sinfo-R",
    "146-sinfo-Rl",
    "147-sinfo-s",
    "148-sinfo-o",
    "150-sinfo-n",
    "151-sinfo-t",
    "161-sacct-p",
    "162-sacct-array",
    "163-sacct-array-task",
    "164-sacct-width",
    "165-sacct-lower",
    "172-sacct-delimiter",
    "192-show-partition",
    "193-show-partition-o",
    "195-show-node",
    "196-show-nodes-o",
]
"""The same lines; Slurm's order of equal ones is that of its tables in memory."""

RECORDS = [
    "179-show-job-running",
    "180-show-job-oneline",
    "181-show-job-failed",
    "182-show-job-killed",
    "183-show-job-held",
    "184-show-job-never",
    "185-show-job-dependent",
    "189-show-job-requeued",
    "188-show-job-detail",
]

DIFFERENT = re.compile(
    r"AllocNode:Sid=\S+|LastSchedEval=\S+|AccrueTime=\S+|EligibleTime=\S+|RunTime=\S+"
    r"|Nodes=node2 C.*GRES=.*|JOB_GRES=\S+|Mon Nov 23 05:53:\d\d 2026|^ *59\b.*\n",
    re.MULTILINE,
)
"""Process ids and instants of Slurm's daemons, the moment of asking, CPU numbers, and the suspended job."""


def _comparable(text: str) -> list[str]:
    return sorted(DIFFERENT.sub("", text).splitlines())


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts that the session submitted."""
    monkeypatch.chdir(tmp_path)
    Path("sleep.sh").write_text("#!/bin/bash\nsleep 600\n")
    Path("hello.sh").write_text("#!/bin/bash\n#SBATCH --job-name=hello --ntasks=1   # two options\necho\n")
    Path("empty.sh").write_text("")
    Path("noshebang.sh").write_text("echo no shebang\n")
    Path("badopt.sh").write_text("#!/bin/bash\n#SBATCH --frobnicate=3\ntrue\n")
    monkeypatch.setattr("time.time", lambda: float(session.NOW_S))


KNOWN = {row["job_id"]: row for row in session.JOBS + session.ENDED}
FINISHED = {"jobId": 4}


def _outcomes(body: dict[str, Any]) -> dict[str, Any]:
    """What becomes of each job named: 9999 does not exist, 4 has ended."""
    found = []
    for ref in body["jobs"]:
        outcome = {"ref": ref["text"]}
        if ref["jobId"] == 9999:
            outcome |= {"code": "not_found", "slurm": "Invalid job id specified"}
        elif ref["jobId"] == 4:
            outcome |= {"code": "wrong_state", "slurm": "Job/step already completing or completed"}
        found.append(outcome)
    return {"outcomes": found}


def _jobs(body: dict[str, Any]) -> dict[str, Any]:
    wanted = [ref["jobId"] for ref in body.get("jobs", [])]
    rows = [KNOWN[job_id] for job_id in wanted if job_id in KNOWN] if wanted else list(session.JOBS)
    narrowed = body.get("filter", {})
    for key, column in (("states", "state"), ("users", "user"), ("partitions", "partition")):
        if key in narrowed:
            rows = [row for row in rows if row[column] in narrowed[key]]
    reply = table(rows, body["fields"], session.NOW_S)
    reply["unknown"] = [str(job_id) for job_id in wanted if job_id not in KNOWN]
    return reply


def _accounting(body: dict[str, Any]) -> dict[str, Any]:
    names = [ref["text"] for ref in body.get("jobs", [])] or list(session.ACCOUNTING)
    rows = [row for name in sorted(names, key=len) for row in session.ACCOUNTING.get(name, [])]
    if body.get("allocationsOnly"):
        rows = [row for row in rows if row["row_kind"] == "job"]
    return table(rows, body["fields"], session.NOW_S)


def _reservations(body: dict[str, Any]) -> dict[str, Any]:
    names = body.get("names") or ["maint"]
    rows = [row for row in session.RESERVATIONS if row["name"] in names]
    return table(rows, body["fields"], session.NOW_S)


@pytest.fixture
def cluster(scheduler: FakeScheduler) -> FakeScheduler:
    """The session's cluster, as far as these questions go."""
    scheduler.on("ListJobs", _jobs)
    scheduler.on("ListAccounting", _accounting)
    scheduler.table("ListNodes", session.NODES, session.NOW_S)
    scheduler.table("ListPartitions", session.PARTITIONS, session.NOW_S)
    for method in ("CancelJobs", "HoldJobs", "ReleaseJobs", "RequeueJobs", "UpdateJobs"):
        scheduler.on(method, _outcomes)
    scheduler.on("ListReservations", _reservations)
    scheduler.on("CreateReservation", {"outcomes": [{"ref": "maint"}]})
    scheduler.on("UpdateNodes", {"outcomes": [{"ref": "node2"}]})
    return scheduler


def _ask(
    run: Run, scheduler: FakeScheduler, name: str
) -> tuple[transcripts.Transcript, tuple[int, str, str]]:
    theirs = transcripts.read(TRANSCRIPTS / f"{name}.txt")
    prog, *words = theirs.argv
    assert prog in COMMANDS
    number = re.search(r"\d+", theirs.out)
    scheduler.on("SubmitJob", {"jobId": number.group() if number else "0"})
    return theirs, run(prog, *words)


@pytest.mark.parametrize("name", ALONE)
def test_to_the_letter(cluster: FakeScheduler, run: Run, name: str) -> None:
    theirs, ours = _ask(run, cluster, name)
    assert ours == (theirs.code, theirs.out, theirs.err)


@pytest.mark.parametrize("name", SORTED)
def test_line_by_line(cluster: FakeScheduler, run: Run, name: str) -> None:
    theirs, (code, out, err) = _ask(run, cluster, name)
    assert (code, err) == (theirs.code, theirs.err)
    assert out.splitlines()[:1] == theirs.out.splitlines()[:1] or "Mon Nov" in out or "-h" in theirs.argv
    assert _comparable(out) == _comparable(theirs.out)


@pytest.mark.parametrize("name", RECORDS)
def test_records(cluster: FakeScheduler, run: Run, name: str) -> None:
    theirs, (code, out, err) = _ask(run, cluster, name)
    assert (code, err) == (theirs.code, theirs.err)
    assert DIFFERENT.sub("", out).split("\n") == DIFFERENT.sub("", theirs.out).split("\n")

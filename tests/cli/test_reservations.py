"""scontrol create, update and delete of reservations: words of Slurm's manual as requests, and its errors."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from packhorse.client.convert import spec_of
from packhorse.client.request import JobRequest
from tests.cli import session
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler, table

HOUR_US = 3_600_000_000
NOW_US = session.NOW_S * 1_000_000


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packhorse.cli.slurm.scontrol_reservation.time", lambda: float(session.NOW_S))


def wish(scheduler: FakeScheduler, run: Run, method: str, text: str) -> dict[str, Any]:
    """What the command asks of the scheduler, without the zone of whoever runs the tests."""
    scheduler.on(method, {"outcomes": [{"ref": "r"}]})
    code, _, err = run("scontrol", *shlex.split(text))
    assert (code, err) == (0, "")
    found: dict[str, Any] = scheduler.bodies(method)[-1]["wish"]
    found.pop("utcOffsetS")
    return found


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (
            "StartTime=now EndTime=now+2hours Users=ann,-bob NodeCnt=4,2k PartitionName=gpu",
            {
                "startAtUs": NOW_US,
                "endAtUs": NOW_US + 2 * HOUR_US,
                "users": {"names": ["ann", "-bob"]},
                "nodeCounts": [4, 2048],
                "partition": "gpu",
            },
        ),
        (
            "starttime=NOW+60minutes duration=1-00:00:00 Accounts=bio nodes=ALL flags=maint,ignore_jobs",
            {
                "startAtUs": NOW_US + HOUR_US,
                "durationS": 86_400,
                "accounts": {"names": ["bio"]},
                "nodes": {"names": ["ALL"]},
                "flags": {"names": ["MAINT", "IGNORE_JOBS"]},
            },
        ),
        (
            "Reservation=r StartTime=now Duration=infinite Groups=lab Nodes=n[1-2] CoreCnt=2,4 Features=a&b",
            {
                "name": "r",
                "startAtUs": NOW_US,
                "durationS": -1,
                "groups": {"names": ["lab"]},
                "nodes": {"names": ["n1", "n2"]},
                "coreCounts": [2, 4],
                "features": "a&b",
            },
        ),
        (
            "StartTime=now Duration=90 QOS=high TRES=cpu=12,node=3,license/matlab=2 Flags=PURGE_COMP=9,DAILY",
            {
                "startAtUs": NOW_US,
                "durationS": 5400,
                "qos": {"names": ["high"]},
                "cpus": 12,
                "nodeCounts": [3],
                "licenses": "matlab:2",
                "flags": {"names": ["PURGE_COMP", "DAILY"]},
                "purgeAfterS": 540,
            },
        ),
    ],
)  # fmt: skip
def test_create(scheduler: FakeScheduler, run: Run, words: str, asked: dict[str, Any]) -> None:
    assert wish(scheduler, run, "CreateReservation", f"create reservation {words}") == asked
    first, _, rest = words.partition(" ")
    scheduler.requests.clear()
    if first.startswith("Reservation="):
        assert wish(scheduler, run, "CreateReservation", f"create {first} {rest}") == asked


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("Users+=carl", {"users": {"names": ["carl"], "sign": "+"}}),
        ("users-=ann,bob", {"users": {"names": ["ann", "bob"], "sign": "-"}}),
        ("Nodes+=n[3-4]", {"nodes": {"names": ["n3", "n4"], "sign": "+"}}),
        ("Flags+=FLEX", {"flags": {"names": ["FLEX"], "sign": "+"}}),
        ("Flags=-FLEX", {"flags": {"names": ["FLEX"], "sign": "-"}}),
        ("Duration=120 Comment=later", {"durationS": 7200, "comment": "later"}),
    ],
)
def test_update(scheduler: FakeScheduler, run: Run, words: str, asked: dict[str, Any]) -> None:
    for text in (f"update ReservationName=r {words}", f"update reservation r {words}"):
        assert wish(scheduler, run, "UpdateReservation", text) == {"name": "r", **asked}
    assert run("scontrol", "update", "ReservationName=r", *words.split())[1] == "Reservation updated.\n"


@pytest.mark.parametrize("text", ["delete ReservationName=r", "delete reservation r", "delete reservation=r"])
def test_delete(scheduler: FakeScheduler, run: Run, text: str) -> None:
    scheduler.on("DeleteReservation", {"outcomes": [{"ref": "r"}]})
    assert run("scontrol", *text.split()) == (0, "", "")
    assert scheduler.bodies("DeleteReservation")[0]["name"] == "r"


NOT_CREATED = "No reservation created."


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("Nodes=n1", f"scontrol: error: A start time must be given.  {NOT_CREATED}"),
        ("StartTime=now Nodes=n1", f"scontrol: error: An end time or duration must be given.  {NOT_CREATED}"),
        ("StartTime=now EndTime=now+1hour Duration=5 Nodes=n1 Users=a",
         f"scontrol: error: StartTime + Duration does not equal EndTime.  {NOT_CREATED}"),
        ("StartTime=now+1hour EndTime=now Nodes=n1 Users=a",
         f"scontrol: error: Start time cannot be after end time.  {NOT_CREATED}"),
        ("StartTime=now Duration=5 Nodes=n1",
         f"scontrol: error: Either Users/Groups and/or Accounts must be specified.  {NOT_CREATED}"),
        ("StartTime=now Duration=5 Users=a",
         "scontrol: error: CoreCnt, Nodes, NodeCnt, BurstBuffer, Licenses or Watts must be specified.  "
         + NOT_CREATED),
        ("StartTime=now Duration=5 Users=a Groups=b Nodes=n1",
         "scontrol: error: Users and Groups are mutually exclusive.  "
         "You can have one or the other, but not both.  " + NOT_CREATED),
        ("StartTime=now Duration=5 Users=a Nodes=n1 Flags=PART_NODES",
         f"scontrol: error: PART_NODES flag requires specifying a Partition and ALL nodes.  {NOT_CREATED}"),
        ("StartTime=now Colour=red", f"Unknown parameter: Colour=red\n{NOT_CREATED}"),
        ("Watts=5", f"scontrol: error: Watts=5 is not supported by Packhorse\n{NOT_CREATED}"),
        ("NodeCnt=x", f"scontrol: error: Invalid count NodeCnt=x\n{NOT_CREATED}"),
        ("Duration=x", f"scontrol: error: Invalid duration Duration=x\n{NOT_CREATED}"),
        ("TRES=mem=5", "scontrol: error: TRES mem can not be reserved; cpu, node and license/NAME can\n"
         + NOT_CREATED),
    ],
)  # fmt: skip
def test_create_refuses(scheduler: FakeScheduler, run: Run, words: str, says: str) -> None:
    for entity in ("reservation", "res"):
        assert run("scontrol", "create", entity, *words.split()) == (1, "", says + "\n")
    assert not scheduler.bodies("CreateReservation")


@pytest.mark.parametrize(
    ("method", "words", "failed"),
    [
        ("CreateReservation", "create reservation StartTime=now Duration=5 Users=a Nodes=n1",
         "Error creating the reservation"),
        ("UpdateReservation", "update ReservationName=r Duration=5", "Error updating the reservation"),
        ("DeleteReservation", "delete ReservationName=r", "delete_reservation ReservationName=r"),
        ("DeleteReservation", "delete reservation r", "delete_reservation reservation"),
    ],
)  # fmt: skip
def test_what_the_scheduler_refuses(
    scheduler: FakeScheduler, run: Run, method: str, words: str, failed: str
) -> None:
    outcome = {
        "ref": "r",
        "code": "conflict",
        "message": "node n1: busy",
        "slurm": "Requested nodes are busy",
    }
    scheduler.on(method, {"outcomes": [outcome]})
    code, out, err = run("scontrol", *words.split())
    assert (code, out) == (1, "")
    again = "slurm_update error: Requested nodes are busy\n" if method == "UpdateReservation" else ""
    assert err == f"scontrol: error: node n1: busy\n{failed}: Requested nodes are busy\n{again}"


def test_update_wants_a_name_and_a_change(scheduler: FakeScheduler, run: Run) -> None:
    assert run("scontrol", "update", "ReservationName=", "Duration=5")[2] == (
        "Reservation must be given.  No reservation update.\n"
    )
    assert run("scontrol", "update", "ReservationName=r")[2] == "No changes specified\n"


def test_delete_wants_a_reservation(scheduler: FakeScheduler, run: Run) -> None:
    assert run("scontrol", "delete")[2] == "too few arguments for keyword:delete\n"
    assert run("scontrol", "delete", "Moon=x")[2].startswith("invalid entity:Moon=x")
    assert "packhorse.toml" in run("scontrol", "delete", "PartitionName=x")[2]


def test_jobs_are_chosen_by_reservation(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("ListJobs", lambda body: table([], body["fields"], session.NOW_S))
    scheduler.on("CancelJobs", {"outcomes": []})
    run("squeue", "-R", "maint,course")
    assert scheduler.bodies("ListJobs")[0]["filter"] == {"reservations": ["maint", "course"]}
    run("scancel", "-R", "maint")
    assert scheduler.bodies("CancelJobs")[0]["filter"] == {"reservations": ["maint"]}


def test_a_job_is_moved_into_and_out_of_one(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("UpdateJobs", {"outcomes": [{"ref": "5"}]})
    assert run("scontrol", "update", "JobId=5", "ReservationName=maint")[0] == 0
    assert run("scontrol", "update", "job", "5", "ReservationName=")[0] == 0
    assert [b["changes"] for b in scheduler.bodies("UpdateJobs")] == [
        {"reservation": "maint"},
        {"reservation": ""},
    ]


def test_states_of_nodes_in_a_window(scheduler: FakeScheduler, run: Run) -> None:
    idle, busy = dict(session.NODES[0]), dict(session.NODES[0])
    idle.update(name="node3", state="IDLE", cpus_alloc=0, reservation="maint", in_maint=1)
    busy.update(name="node4", reservation="maint", in_maint=1)
    course = {**idle, "name": "node5", "reservation": "course", "in_maint": 0}
    scheduler.table("ListNodes", [idle, busy, course], session.NOW_S)
    scheduler.table("ListPartitions", session.PARTITIONS[:1], session.NOW_S)
    assert run("sinfo", "-h", "-N", "-o", "%N %t %T")[1].splitlines() == [
        "node3 maint maint",
        "node4 mix mixed",
        "node5 resv reserved",
    ]
    assert run("sinfo", "-h", "-t", "maint", "-o", "%N")[1] == "node[3-4]\n"
    assert run("sinfo", "-h", "-t", "resv", "-o", "%N")[1] == "node[3-5]\n"
    shown = run("scontrol", "-o", "show", "node", "node3")[1]
    assert " State=IDLE+MAINTENANCE+RESERVED " in shown and " ReservationName=maint" in shown
    assert " State=IDLE+RESERVED " in run("scontrol", "-o", "show", "node", "node5")[1]


def test_the_client_names_one() -> None:
    assert spec_of(JobRequest(command="true", reservation="course")).reservation == "course"


def test_sbatch_names_one(
    scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    scheduler.on("SubmitJob", {"jobId": 5})
    run("sbatch", "--reservation=course", "--wrap", "true")
    monkeypatch.setenv("SBATCH_RESERVATION", "lab")
    run("sbatch", "--wrap", "true")
    assert [body["spec"]["reservation"] for body in scheduler.bodies("SubmitJob")] == ["course", "lab"]

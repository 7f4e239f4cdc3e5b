"""The calls about reservations, and the table of them."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.cli.slurm.fields_nodes import RESERVATION_COLUMNS
from packhorse.scheduler.service.tables.reservations import RESERVATIONS
from tests.service.doors.running import Running

HOUR_US = 3_600_000_000


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        await running.add_node("n1")
        await running.add_node("n2")
        yield running


def wish(scheduler: Running, **more: Any) -> dict[str, Any]:
    """An hour from now on, of n1, for root."""
    base = {
        "name": "r",
        "startAtUs": scheduler.engine.clock.now() + HOUR_US,
        "durationS": 3600,
        "nodes": {"names": ["n1"]},
        "users": {"names": ["root"]},
    }
    return {key: value for key, value in (base | more).items() if value is not None}


async def outcome(scheduler: Running, method: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await scheduler.call(method, body)
    assert answer.status == 200, answer
    [found] = answer["outcomes"]
    return dict(found)


async def rows(scheduler: Running, **body: Any) -> list[dict[str, Any]]:
    return (await scheduler.call("ListReservations", body)).rows()


def test_both_catalogues_agree() -> None:
    assert {name: field.type.value for name, field in RESERVATIONS.items()} == RESERVATION_COLUMNS


async def test_made_shown_changed_and_deleted(scheduler: Running) -> None:
    made = await outcome(
        scheduler, "CreateReservation", {"wish": wish(scheduler, flags={"names": ["maint"]})}
    )
    assert made == {"ref": "r"}
    [row] = await rows(scheduler)
    assert (row["name"], row["state"], row["nodes"], row["flags"]) == (
        "r",
        "INACTIVE",
        "n1",
        "MAINT,SPEC_NODES",
    )
    assert (row["cpus"], row["cores"], row["whole"], row["users"]) == (8, 8, 1, "root")
    changes = {
        "name": "r",
        "users": {"names": ["daemon"], "sign": "+"},
        "startAtUs": scheduler.engine.clock.now(),
    }
    assert await outcome(scheduler, "UpdateReservation", {"wish": changes}) == {"ref": "r"}
    [row] = await rows(scheduler, names=["r"])
    assert (row["state"], row["users"]) == ("ACTIVE", "root,daemon")
    [n1, n2] = (await scheduler.call("ListNodes", {"fields": ["name", "reservation", "in_maint"]})).rows()
    assert (n1["reservation"], n1["in_maint"], n2["reservation"]) == ("r", 1, "")
    assert await outcome(scheduler, "DeleteReservation", {"name": "r"}) == {"ref": "r"}
    assert await rows(scheduler) == []


async def test_jobs_say_and_are_chosen_by_their_reservation(scheduler: Running) -> None:
    await outcome(scheduler, "CreateReservation", {"wish": wish(scheduler, users={"names": [_me()]})})
    job = await scheduler.submit(reservation="r")
    await scheduler.submit()
    answer = await scheduler.call(
        "ListJobs", {"fields": ["job_id", "reservation"], "filter": {"reservations": ["r"]}}
    )
    assert answer.rows() == [{"job_id": job, "reservation": "r"}]


async def test_who_is_in_a_group_is_looked_up(scheduler: Running) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    body = {"wish": wish(scheduler, users=None, groups={"names": [group]})}
    assert await outcome(scheduler, "CreateReservation", body) == {"ref": "r"}
    assert _me() in scheduler.engine.state.reservations["r"].group_users
    answer = await scheduler.call(
        "CreateReservation", {"wish": wish(scheduler, groups={"names": ["no-such"]})}
    )
    assert answer.status == 400 and '"no-such" is no group' in answer["message"]


async def test_users_are_looked_up(scheduler: Running) -> None:
    for names in (["root", "no-such-user"], ["-no-such-user"]):
        refused = await outcome(
            scheduler, "CreateReservation", {"wish": wish(scheduler, users={"names": names})}
        )
        assert (refused["code"], refused["slurm"]) == ("invalid", "Invalid user id")
        assert 'user "no-such-user" is known neither to this host' in refused["message"]
    assert await outcome(scheduler, "CreateReservation", {"wish": wish(scheduler)}) == {"ref": "r"}
    leaves = {"name": "r", "users": {"names": ["no-such-user"], "sign": "-"}}
    assert await outcome(scheduler, "UpdateReservation", {"wish": leaves}) == {"ref": "r"}, "was there once"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "wish: missing"),
        ({"wish": {"name": "r", "users": {"names": ["a"], "sign": "*"}}}, 'sign "*"'),
        ({"wish": {"name": "r", "durationS": -2}}, "duration_s"),
        ({"wish": {"name": "r", "coreCounts": [0]}}, "core_counts"),
    ],
)
async def test_what_makes_no_sense(scheduler: Running, body: dict[str, Any], says: str) -> None:
    answer = await scheduler.call("CreateReservation", body)
    assert answer.status == 400 and says in answer["message"]


async def test_a_refusal_is_an_outcome_with_slurms_phrase(scheduler: Running) -> None:
    refused = await outcome(scheduler, "UpdateReservation", {"wish": {"name": "gone", "comment": "x"}})
    assert (refused["code"], refused["slurm"]) == ("not_found", "Requested reservation is invalid")
    missing = await scheduler.call("UpdateReservation", {"wish": {"comment": "x"}})
    assert missing.status == 400 and "name: missing" in missing["message"]


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name

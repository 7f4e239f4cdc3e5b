"""The book of accounts through the doors: what may be asked, and what is malformed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.auth import Principal, Role
from packhorse.scheduler.service.failures import CallFailed
from tests.service.doors.running import SETTINGS, Running

ANN = Owner(1001, 1001, "ann", "users")


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    settings = SETTINGS + '[[partition]]\nname = "main"\n[accounts]\nenforce = "associations"\n'
    async with Running(tmp_path, settings) as running:
        yield running


def change(verb: str, thing: str, edits: dict[str, str] | None = None, **names: str) -> dict[str, Any]:
    listed = [{"name": name, "text": text} for name, text in (edits or {}).items()]
    return {"verb": verb, "thing": thing, "edits": listed, **names}


BIO = [
    change("add", "account", {"max_jobs": "5", "MaxWall": "60", "coordinators": "ann"}, name="bio"),
    change("add", "account", {"parent": "bio", "grp_tres": "cpu=4"}, name="cells"),
    change("add", "user", {"default_account": "cells"}, name="ann"),
    change("add", "association", {"shares": "parent"}, account="cells", user="ann", partition="main"),
]


async def test_what_is_changed_is_listed(scheduler: Running) -> None:
    dry = await scheduler.call("ChangeAccounts", {"changes": BIO, "dryRun": True})
    assert dry["lines"][0] == "+ account bio: Parent=root Coordinators=ann MaxJobs=5 MaxWall=01:00:00"
    assert (await scheduler.call("ListAccounts", {"kind": "accounts"}))["nRows"] == 1
    keyed = {"changes": BIO, "idempotencyKey": "k"}
    done = await scheduler.call("ChangeAccounts", keyed)
    assert done["lines"] == dry["lines"]
    assert (await scheduler.call("ChangeAccounts", keyed))["lines"] == dry["lines"]
    assert (await scheduler.call("ChangeAccounts", {"changes": BIO})).status == 400

    async def rows(kind: str, *fields: str, **more: Any) -> list[tuple[Any, ...]]:
        table = await scheduler.call("ListAccounts", {"kind": kind, "fields": list(fields), **more})
        return [tuple(row.values()) for row in table.rows()]

    fields = ("account", "user", "partition", "parent", "depth", "max_jobs", "max_wall_s", "grp_tres")
    own = [
        ("root", "", "", "", 0, "", "", ""),
        ("bio", "", "", "root", 1, "5", "01:00:00", ""),
        ("cells", "", "", "bio", 2, "", "", "cpu=4"),
        ("cells", "ann", "main", "", 2, "", "", ""),
    ]
    assert await rows("associations", *fields) == own
    passed_on = [row[5:] for row in await rows("associations", *fields, inherited=True)]
    assert passed_on[2:] == [("5", "01:00:00", "cpu=4"), ("5", "01:00:00", "")]
    only = {"filters": [{"field": "account", "values": ["cells"]}, {"field": "user", "values": ["ann"]}]}
    assert await rows("associations", "shares", "is_default", **only) == [("parent", 1)]
    assert await rows("users", "name", "default_account", "coordinates") == [("ann", "cells", "bio")]
    assert await rows("coordinators") == [("bio", "ann")]
    assert await rows("qos", "name", "priority") == [("normal", "0")]
    assert [row[0] for row in await rows("tres", "type")] == ["cpu", "mem", "node", "billing"]
    assert await rows("wckeys") == []


async def test_what_is_malformed_is_named(scheduler: Running) -> None:
    for body, message in (
        ({"kind": "nosuch"}, 'kind "nosuch" does not exist; there are accounts, users'),
        ({"kind": "users", "fields": ["nmae"]}, 'did you mean "name"?'),
        ({"kind": "users", "filters": [{"field": "nosuch"}]}, 'field "nosuch" does not exist'),
    ):
        answer = await scheduler.call("ListAccounts", body)
        assert answer.status == 400 and message in answer["message"]
    edit = [{"name": "shares", "text": "1", "how": "*="}]
    for wish, message in (
        (change("burn", "account", name="x"), 'verb: "burn" is none of add, modify'),
        (change("add", "house", name="x"), 'thing: "house" is none of account, user'),
        (change("add", "account", name="a b"), 'account "a b": a name has letters'),
        (change("add", "account", {"nosuch": "1"}, name="x"), 'there is no setting "nosuch"'),
        (
            change("add", "account", {"max_jobs": "x"}, name="x"),
            "account x: MaxJobs: x is not a whole number",
        ),
        ({**change("add", "account", name="x"), "edits": edit}, 'how: "*=" is none of =, +=, -='),
        (change("add", "association", account="root", partition="main"), "only a user's association"),
    ):
        answer = await scheduler.call("ChangeAccounts", {"changes": [wish]})
        assert answer.status == 400 and message in answer["message"], wish


async def test_who_is_no_administrator_is_asked_by_the_core(scheduler: Running) -> None:
    await scheduler.call("ChangeAccounts", {"changes": BIO})
    call = scheduler.methods.change_accounts

    def asked(account: str) -> m.ChangeAccountsRequest:
        edit = m.AccountEdit(name="max_jobs", text="1")
        return m.ChangeAccountsRequest(
            changes=[m.AccountChange(verb="modify", thing="account", name=account, edits=[edit])]
        )

    answer = await call(Principal(ANN, Role.USER), asked("cells"))
    assert answer.lines == ['~ account cells: MaxJobs "" -> 1']
    with pytest.raises(CallFailed, match="may not modify account bio") as refused:
        await call(Principal(ANN, Role.USER), asked("bio"))
    assert (refused.value.refusal, refused.value.slurm) == ("denied", "Access/permission denied")


async def test_a_submission_is_held_to_the_book(scheduler: Running) -> None:
    script = "IyEvYmluL3NoCg=="
    answer = await scheduler.call("SubmitJob", {"spec": {"script": script}})
    assert answer["slurm"] == "Invalid account or account/partition combination specified"
    submit = scheduler.methods.submit_job
    await scheduler.call("ChangeAccounts", {"changes": BIO})
    job = (await submit(Principal(ANN), m.SubmitJobRequest(spec=m.JobSpec(script=b"#!/bin/sh\n")))).job_id
    [row] = (await scheduler.call("ListJobs", {"fields": ["job_id", "account", "qos"]})).rows()
    assert (row["job_id"], row["account"], row["qos"]) == (job, "cells", "normal")

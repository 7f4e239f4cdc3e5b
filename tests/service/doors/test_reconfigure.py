"""The configuration file read again by a scheduler that serves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from packhorse.scheduler.config import changes as changes_of
from packhorse.scheduler.config import file as config_file
from packhorse.scheduler.config.keys import KEYS, PARTITION, SERVICE_TARGET
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service.auth import owner_of
from tests.service.doors.running import SCRIPT, SETTINGS, Running

SHORT = '[[partition]]\nname = "main"\n[[partition]]\nname = "short"\nmax_time = "01:00:00"\n'


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, SETTINGS + SHORT, file=tmp_path / "packhorse.toml") as running:
        yield running


def write(scheduler: Running, text: str) -> None:
    assert scheduler.file is not None
    scheduler.file.write_text(text)


async def config_of(scheduler: Running) -> dict[str, str]:
    settings = (await scheduler.call("GetConfig", {}))["settings"]
    return {item["key"]: item.get("value", "") for item in settings}


async def test_the_difference_is_shown_and_takes_effect(scheduler: Running) -> None:
    write(
        scheduler,
        SETTINGS.replace("kill_wait = 1", "kill_wait = 7")
        + '[scheduling]\norder = "sjf"\n[cluster]\nadmins = ["eve"]\n'
        + '[listen]\nhttp = "127.0.0.1:1"\n[log]\nlevel = "warning"\n'
        + '[[partition]]\nname = "main"\nmax_time = "02:00:00"\n[[partition]]\nname = "long"\n',
    )
    expected = [
        {"key": "cluster.admins", "new": "eve"},
        {"key": "jobs.kill_wait", "old": "1", "new": "7"},
        {"key": "scheduling.order", "old": "priority", "new": "sjf"},
        {"key": "listen.http", "old": "127.0.0.1:0", "new": "127.0.0.1:1", "restart": True},
        {"key": "log.level", "old": "info", "new": "warning"},
        {"key": "partition.short", "old": "there"},
        {"key": "partition.main.max_time", "old": "0", "new": "7200"},
        {"key": "partition.long", "new": "nodes ALL"},
    ]
    seq = scheduler.engine.seq
    answer = await scheduler.call("Reconfigure", {"dryRun": True})
    assert answer == {"changes": expected}
    assert scheduler.engine.seq == seq
    answer = await scheduler.call("Reconfigure", {})
    assert answer == {"changes": expected, "applied": True}
    assert scheduler.engine.seq == seq + 1
    state = scheduler.engine.state
    assert (state.config.kill_wait_s, state.config.order) == (7, "sjf")
    assert [partition.name for partition in state.config.partitions] == ["main", "long"]
    shown = await config_of(scheduler)
    assert (shown["KillWait"], shown["packhorse.scheduling.order"]) == ("7 sec", "sjf")
    assert (shown["packhorse.cluster.admins"], shown["packhorse.listen.http"]) == ("eve", "127.0.0.1:0")
    assert scheduler.methods._is_admin(Owner(1003, 1003, "eve", "eve"))
    # What needs a restart is still to come, and everything else is in force.
    answer = await scheduler.call("Reconfigure", {})
    assert answer == {"changes": [expected[3]], "applied": True}
    assert scheduler.engine.seq == seq + 1
    # And it outlives the store's failures, after which the process begins anew.
    assert scheduler.engine.config.order == "sjf"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SETTINGS + "[jobs]\n", "not TOML"),
        ("[jobs]\nkill_wait = -1\n[scheduling]\norder = 'nosuch'\n", "kill_wait = -1"),
        ("[scheduling]\npolicy = 'nosuch'\n", "there is no such policy"),
        (None, "no such file"),
    ],
)
async def test_mistakes_are_listed_and_nothing_changes(
    scheduler: Running, text: str | None, problem: str
) -> None:
    assert scheduler.file is not None
    if text is None:
        scheduler.file.unlink()
    else:
        write(scheduler, text)
    before = scheduler.engine.state.config
    answer = await scheduler.call("Reconfigure", {})
    assert problem in answer["problems"][0] and str(scheduler.file) in answer["problems"][0]
    assert not answer.get("applied") and not answer.get("changes")
    if text and "nosuch'" in text and "kill_wait" in text:
        assert len(answer["problems"]) == 2
    assert scheduler.engine.state.config is before


async def test_jobs_of_a_partition_that_is_gone_are_told_so(scheduler: Running) -> None:
    job = (await scheduler.call("SubmitJob", {"spec": {"script": SCRIPT, "partition": "short"}}))["jobId"]
    write(scheduler, SETTINGS)
    await scheduler.call("Reconfigure", {})
    await scheduler.add_node("n1")
    [row] = (await scheduler.call("ListJobs", {"fields": ["reason", "reason_text"]})).rows()
    assert row["reason"] == "PartitionConfig"
    assert 'partition "short" does not exist any more' in row["reason_text"]
    ref = {"jobs": [{"jobId": job}], "changes": {"partition": "main"}}
    assert (await scheduler.call("UpdateJobs", ref))["outcomes"] == [{"ref": str(job)}]
    await scheduler.settle()
    [row] = (await scheduler.call("ListJobs", {"fields": ["state"]})).rows()
    assert row["state"] == "CONFIGURING"


async def test_the_improver_is_switched_on_and_off(scheduler: Running) -> None:
    write(scheduler, SETTINGS + SHORT + '[improver]\nhold = "1s"\n')
    first = scheduler.engine._improving
    await scheduler.call("Reconfigure", {})
    second = scheduler.engine._improving
    assert second is not first and second._settings.hold_ms == 1000
    write(scheduler, SETTINGS + SHORT)
    await scheduler.call("Reconfigure", {})
    assert scheduler.engine._improving._settings.hold_ms == 0


async def test_at_a_signal_mistakes_are_logged(scheduler: Running) -> None:
    write(scheduler, "[jobs]\nkill_wait = -1\n")
    owner = owner_of(os.geteuid(), os.getegid())
    with capture_logs() as logs:
        await scheduler.reconfiguring.on_signal(owner)
    [entry] = logs
    assert (entry["event"], entry["log_level"]) == ("config.mistaken", "error")
    assert "kill_wait = -1" in entry["problem"]
    write(scheduler, SETTINGS + SHORT + "[scheduling]\nkeep_next = true\n")
    with capture_logs() as logs:
        await scheduler.reconfiguring.on_signal(owner)
    assert [entry["event"] for entry in logs] == ["config.taken_on"]
    assert logs[0]["changes"] == ["scheduling.keep_next: False -> True"]
    assert scheduler.engine.state.config.keep_next


def test_every_key_has_a_value_and_a_say() -> None:
    """A key that is added is shown and compared without more ado."""
    plain = config_file.parse("", "x", owner_uid=0)
    for key in KEYS:
        if key.section != PARTITION:
            changes_of.text_of(changes_of.value_of(plain, key))
    names = {f"{key.section}.{key.name}" for key in KEYS}
    assert names >= changes_of.LIVE | changes_of.FIXED
    assert {f"{key.section}.{key.name}" for key in KEYS if key.target == SERVICE_TARGET} >= changes_of.LIVE
    assert changes_of.changes(plain, plain) == []


def test_another_order_of_partitions_is_a_change() -> None:
    one = config_file.parse(
        '[[partition]]\nname = "a"\ndefault = true\n[[partition]]\nname = "b"\n', "x", owner_uid=0
    )
    two = config_file.parse(
        '[[partition]]\nname = "b"\n[[partition]]\nname = "a"\ndefault = true\n', "x", owner_uid=0
    )
    assert [change.text for change in changes_of.changes(one, two)] == ["partition.order: a,b -> b,a"]

"""Partitions, triggers and crontabs through the doors; programs of triggers really run."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.scheduler.model.event import TriggersFired
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.trigger import Fired
from packhorse.scheduler.service.auth import owner_of
from packhorse.scheduler.service.trigger_runs import TriggerRuns
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.doors.running import SCRIPT, Running

ME = owner_of(os.geteuid(), os.getegid())


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        yield running


def a_program(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "tell"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


async def text_in(path: Path) -> str:
    """What a program wrote, once it is there."""
    return await asyncio.to_thread(_text_in, path)


def _text_in(path: Path) -> str:
    for _ in range(2000):
        if path.exists() and (text := path.read_text()).endswith("\n"):
            return text
        time.sleep(0.01)
    raise AssertionError(f"{path} was not written")


def is_gone(pid: int) -> bool:
    """Whether the process ends in the next seconds; nobody may have buried it yet."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(500):
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


async def test_partitions(scheduler: Running) -> None:
    [row] = (await scheduler.call("ListPartitions", {})).rows()
    name = row["name"]
    for state in ("DRAIN", "INACTIVE", "DOWN", "UP"):
        answer = await scheduler.call("UpdatePartitions", {"names": [name], "state": state.lower()})
        assert answer["outcomes"] == [{"ref": name}]
        [row] = (await scheduler.call("ListPartitions", {})).rows()
        assert row["state"] == state
    answer = await scheduler.call("UpdatePartitions", {"names": [name], "state": "AJAR"})
    assert answer.status == 400 and "AJAR" in answer["message"]


async def test_a_trigger_runs_its_program_once(scheduler: Running, tmp_path: Path) -> None:
    out = tmp_path / "out"
    program = a_program(tmp_path, f'echo "$1 $2 $USER $PACKHORSE_HOME" >> {out}')
    await scheduler.add_node("n1")
    job = await scheduler.submit()
    await scheduler.settle()
    answer = await scheduler.call(
        "SetTrigger", {"event": "fini", "jobId": job, "program": f"{program} 'two words'"}
    )
    assert answer["outcomes"] == [{"ref": "1"}]
    [listed] = (await scheduler.call("ListTriggers", {}))["triggers"]
    assert (listed["event"], listed["jobId"], listed["user"]) == ("fini", job, ME.user)
    await scheduler.started(job)
    await scheduler.ended(job)
    await scheduler.settle()
    assert await text_in(out) == f"two words {job} {ME.user} {scheduler.home}\n"
    assert (await scheduler.call("ListTriggers", {})) == {}


async def test_triggers_that_cannot_be(scheduler: Running) -> None:
    for body, word in (
        ({"event": "fini", "program": "tell"}, "absolute"),
        ({"event": "sunrise", "program": "/bin/tell"}, "sunrise"),
        ({"event": "fini", "program": "/bin/tell"}, "--jobid"),
        ({"event": "down", "program": "/bin/tell", "nodes": ["n9"]}, "n9"),
    ):
        answer = await scheduler.call("SetTrigger", body)
        assert answer.status >= 400 and word in answer["message"]
    assert "--id" in (await scheduler.call("ClearTriggers", {}))["message"]
    await scheduler.call("SetTrigger", {"event": "down", "program": "/bin/tell"})
    answer = await scheduler.call("ClearTriggers", {"user": ME.user})
    assert answer["outcomes"] == [{"ref": "1"}]


async def test_a_scheduler_that_is_not_root_runs_programs_of_its_own_user_only(
    scheduler: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packhorse.scheduler.service.administration.can_run_as", lambda uid: False)
    answer = await scheduler.call("SetTrigger", {"event": "down", "program": "/bin/tell"})
    assert answer.status == 403 and "does not run as root" in answer["message"]


async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    program = a_program(tmp_path, "sleep 600 &", f"echo $! > {out}.new; mv {out}.new {out}", "wait")
    runs = TriggerRuns({}, limit_s=0.5)
    runs.saw(1, [TriggersFired(Instant(1), (Fired(1, ME, str(program), "x"),))])
    child = int(await text_in(out))
    async with asyncio.timeout(20):
        await asyncio.gather(*runs._tasks)
    assert await asyncio.to_thread(is_gone, child)


async def test_a_program_that_is_not_there_harms_nothing(tmp_path: Path) -> None:
    runs = TriggerRuns({})
    runs.saw(1, [TriggersFired(Instant(1), (Fired(1, ME, "/nonexistent 'open", "x"),))])
    async with asyncio.timeout(20):
        await asyncio.gather(*runs._tasks)


def entry(line: int, when: str) -> dict[str, object]:
    return {"line": line, "when": when, "spec": {"name": "cron", "workDir": "/tmp", "script": SCRIPT}}


async def test_crontabs(tmp_path: Path) -> None:
    store = MemoryStore()
    text = "# mine\n@hourly true\n"
    async with Running(tmp_path, store=store) as scheduler:
        await scheduler.add_node("n1")
        answer = await scheduler.call("SetCrontab", {"text": text, "entries": [entry(1, "@hourly")]})
        [job] = [int(outcome["ref"]) for outcome in answer["outcomes"]]
        found = await scheduler.call("GetCrontab", {})
        assert found == {"user": ME.user, "text": text, "jobs": [job]}
        [row] = (
            await scheduler.call("ListJobs", {"fields": ["job_id", "state", "reason", "begin_at", "cron"]})
        ).rows()
        assert (row["job_id"], row["state"], row["reason"]) == (job, "PENDING", "BeginTime")
        assert row["cron"] == "@hourly"
        assert 0 < row["begin_at"] - scheduler.now() <= 3600 * 1_000_000
        assert row["begin_at"] % 60_000_000 == 0
        answer = await scheduler.call("SetCrontab", {"text": text, "entries": [entry(1, "@never")]})
        assert answer.status == 400 and "line 2" in answer["message"]
        answer = await scheduler.call("SetCrontab", {"user": "nobody-at-all"})
        assert answer.status == 400 and "nobody-at-all" in answer["message"]
        await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}]})
        await scheduler.settle()
        found = await scheduler.call("GetCrontab", {})
        assert found == {"user": ME.user, "text": "# mine\n#DISABLED: @hourly true\n"}


async def test_the_log_level_and_the_end(scheduler: Running) -> None:
    assert (await scheduler.call("SetLogLevel", {"level": "debug3"})).status == 200
    answer = await scheduler.call("SetLogLevel", {"level": "loud"})
    assert answer.status == 400 and "loud" in answer["message"]
    await scheduler.call("SetLogLevel", {"level": "info"})
    answer = await scheduler.call("Shutdown")
    assert answer.status == 400 and "another process" in answer["message"]
    ended = asyncio.Event()
    scheduler.methods._shut_down = ended.set
    assert (await scheduler.call("Shutdown")).status == 200
    async with asyncio.timeout(20):
        await ended.wait()

"""A shadow beside a live scheduler: switched, seen, and harmless."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.core.shadow import twin
from tests.service.doors.running import SETTINGS, Answer, Running

SJF = '[scheduling]\norder = "sjf"\n'


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, SETTINGS + "[shadow]\ninterval = 0\n") as running:
        await running.add_node("n1", cpus=4)
        yield running


async def passes(scheduler: Running, n: int = 1) -> Answer:
    """The answer once so many more live passes were looked at, rightly or not."""
    for _ in range(n):
        scheduler.engine.shadow._not_before = 0.0
        await scheduler.settle()
        await asyncio.sleep(0.01)  # a pass that decides nothing is nobody's commit
        while scheduler.engine.shadow._busy is not None:  # noqa: ASYNC110 - a test looks from outside
            await asyncio.sleep(0.005)
    return await scheduler.call("GetShadow")


async def queue(scheduler: Running) -> tuple[int, int]:
    """A long job, then a short one, that both take all, and neither has been looked at."""
    full: dict[str, Any] = {"ask": {"nTasks": 4, "minNodes": 1}}
    first = await scheduler.submit(**full, timeLimitS=60)
    await scheduler.settle()
    await scheduler.started(first)
    long = await scheduler.submit(**full, timeLimitS=6000)
    short = await scheduler.submit(**full, timeLimitS=60)
    await scheduler.settle()
    await scheduler.call("SwitchShadow", {"name": "sjf.toml", "config": SJF})
    await scheduler.ended(first)
    return long, short


async def test_no_shadow_runs_unless_one_is_wanted(scheduler: Running) -> None:
    answer = await passes(scheduler)
    assert not answer.get("on") and not answer.get("nPasses")


async def test_differences_are_seen_and_nothing_is_started(scheduler: Running) -> None:
    long, short = await queue(scheduler)
    answer = await passes(scheduler)
    assert answer["on"] and answer["name"] == "sjf.toml"
    assert answer["settings"] == ["order: priority -> sjf"]
    counts = {count["kind"]: count["n"] for count in answer["counts"]}
    assert (counts["starts_now"], counts["waits"]) == (1, 1)
    latest = {(d["jobId"], d["kind"]): d for d in answer["latest"]}
    assert latest[long, "waits"]["live"] == latest[short, "starts_now"]["shadow"] == "n1"
    assert answer["liveMilli"] == answer["shadowMilli"] == 1000
    assert scheduler.engine.state.jobs[long].state == "CONFIGURING"  # type: ignore[index]
    assert scheduler.engine.state.jobs[short].state == "PENDING"  # type: ignore[index]
    off = await scheduler.call("SwitchShadow", {"off": True})
    assert not off.get("on")
    n_passes = answer["nPasses"]
    after = await passes(scheduler, 2)
    assert not after.get("on") and after["nPasses"] == n_passes, "what was found stays"


async def test_a_shadow_that_fails_harms_nobody(scheduler: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[()]:
        raise ZeroDivisionError("policy code")

    monkeypatch.setattr("packhorse.scheduler.service.shadowing.decided", broken)
    long, _ = await queue(scheduler)
    answer = await passes(scheduler)
    assert answer["error"] == "ZeroDivisionError: policy code"
    assert answer["nFailed"] >= 1 and not answer.get("nPasses")
    assert scheduler.engine.state.jobs[long].state == "CONFIGURING"  # type: ignore[index]
    monkeypatch.setattr("packhorse.scheduler.service.shadowing.decided", twin.decided)
    await scheduler.submit(timeLimitS=60)
    answer = await passes(scheduler)
    assert not answer.get("error") and answer["nPasses"] >= 1, "it goes on"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[scheduling]\norder = "bogus"\n', 'other.toml:2: order = "bogus"'),
        ("[scheduling\n", "other.toml: not TOML"),
        ('[scheduling]\npolicy = "bogus"\n', "bogus"),
    ],
)
async def test_a_configuration_that_would_not_start(scheduler: Running, text: str, said: str) -> None:
    answer = await scheduler.call("SwitchShadow", {"name": "other.toml", "config": text})
    assert answer.status == 400 and said in answer["message"] and "\n" not in answer["message"]
    assert not (await scheduler.call("GetShadow")).get("on")


async def test_the_rest_stays_as_it_is_live(tmp_path: Path) -> None:
    live = SETTINGS + '[batch]\nreserve = 0.5\n[[partition]]\nname = "a"\n[[partition]]\nname = "b"\n'
    async with Running(tmp_path, live) as scheduler:
        text = "[batch]\nspread = 10\n[jobs]\nmax_requeues = 3\n[listen]\ntoken_valid = 60\n"
        answer = await scheduler.call("SwitchShadow", {"name": "x", "config": text})
        assert answer["settings"] == ["max_requeues: 16 -> 3", "batch.spread: 1000.0 -> 10.0"]
        answer = await scheduler.call("SwitchShadow", {"name": "x", "config": '[[partition]]\nname = "a"\n'})
        assert answer["settings"] == ["partition b: there -> none"]


@pytest.mark.parametrize("text", [SJF, '[scheduling]\norder = "bogus"\n', None])
async def test_the_configured_shadow(tmp_path: Path, text: str | None) -> None:
    """One that cannot be does not keep the scheduler from serving."""
    if text is not None:
        (tmp_path / "other.toml").write_text(text)
    async with Running(tmp_path, SETTINGS + '[shadow]\nconfig = "other.toml"\n') as scheduler:
        answer = await scheduler.call("GetShadow")
        assert bool(answer.get("on")) == (text == SJF)
        assert ("other.toml" in answer.get("error", "")) == (text != SJF)
        assert await scheduler.submit() == 1

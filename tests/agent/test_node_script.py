"""A site's own programs: who may have written them, how they run, and how they are ended."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from packhorse.agent import node_script
from packhorse.agent.launch import processes
from packhorse.agent.node_script import MARK, Outcome

MARKED = "/spool/of/this/test"


def script(place: Path, text: str, mode: int = 0o755) -> Path:
    path = place / "program"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


async def run(path: Path, timeout_s: float = 20.0, **environment: str) -> Outcome:
    return await node_script.run(path, environment, MARKED, timeout_s)


def number_in(path: Path) -> int:
    """The number that a program writes to this file, 0 until it has."""
    return int(path.read_text().strip() or 0) if path.exists() else 0


async def written(path: Path) -> int:
    """That number, once it is there."""
    for _ in range(1000):
        if number := number_in(path):
            return number
        await asyncio.sleep(0.01)
    raise AssertionError(f"nothing was written to {path}")


async def test_how_it_ends(tmp_path: Path) -> None:
    assert await run(script(tmp_path, "exit 0")) == Outcome("", "")
    failed = await run(script(tmp_path, "echo one; echo two >&2; echo; exit 3"))
    assert failed == Outcome("exit 3", "two")
    assert failed.why == "exit 3: two"
    assert (await run(script(tmp_path, "kill -9 $$"))).why == "signal 9"


async def test_its_environment_is_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_TEST", "from the agent")
    said = tmp_path / "said"
    await run(script(tmp_path, f"/usr/bin/env > {said}; pwd >> {said}"), PATH="/usr/bin:/bin", GIVEN="yes")
    lines = set(said.read_text().splitlines())
    own = {"PWD", "OLDPWD", "_", "SHLVL"}  # what a shell adds
    names = {line.partition("=")[0] for line in lines} - own
    assert names == {"PATH", "GIVEN", MARK, "/"}


async def test_the_last_line_is_one_that_can_be_shown(tmp_path: Path) -> None:
    outcome = await run(script(tmp_path, "printf '\\033[31mred\\033[0m\\n  \\n'; exit 1"))
    assert outcome.said == "?[31mred?[0m"
    outcome = await run(script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x; echo; exit 1"))
    assert outcome.said == "x" * node_script.LONGEST_LINE


async def test_at_its_time_limit_all_of_it_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "child"
    began = time.monotonic()
    outcome = await run(script(tmp_path, f"echo going; sleep 600 & echo $! > {child}; wait"), 0.3)
    assert outcome == Outcome("no end within 0.3 s", "going")
    assert time.monotonic() - began < 5
    pid = int(child.read_text())
    for _ in range(200):
        if not processes.start_time(pid):
            break
        await asyncio.sleep(0.01)
    assert not processes.start_time(pid)


async def test_an_endless_writer_holds_nobody_up(tmp_path: Path) -> None:
    longest = 0.0
    running = asyncio.create_task(run(script(tmp_path, "exec yes"), 0.5))
    while not running.done():
        at = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - at)
    assert running.result() == Outcome("no end within 0.5 s", "y")
    assert longest < 1


async def test_what_it_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    assert (await run(script(tmp_path, f"sleep 600 & echo $! > {pid_file}"))).trouble == ""
    assert time.monotonic() - began < 5
    pid = int(pid_file.read_text())
    assert processes.start_time(pid)
    os.kill(pid, 9)


async def test_a_cancelled_run_leaves_nothing(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    task = asyncio.create_task(run(script(tmp_path, f"echo $$ > {pid_file}; exec sleep 600")))
    pid = await written(pid_file)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not processes.start_time(pid)


async def test_a_dead_agents_scripts_are_ended_and_their_services_are_not(tmp_path: Path) -> None:
    path = script(tmp_path, "setsid sleep 600 & echo $! > service; sleep 600")
    text = path.read_text().replace("> service", f"> {tmp_path / 'service'}")
    path.write_text(text)
    task = asyncio.create_task(run(path))
    service = await written(tmp_path / "service")
    await asyncio.sleep(0.05)  # until it is a session of its own
    assert node_script.end_leftovers("/another/spool", [path]) == 0
    assert node_script.end_leftovers(MARKED, [tmp_path / "other"]) == 0
    assert node_script.end_leftovers(MARKED, [path]) == 1
    assert (await task).trouble == "signal 9"
    assert processes.start_time(service)
    os.kill(service, 9)


@pytest.mark.parametrize(
    ("mode", "what"),
    [(0o775, "others than root"), (0o757, "others than root"), (0o644, "not executable"), (0o755, "")],
)
def test_who_may_write_to_it(tmp_path: Path, mode: int, what: str) -> None:
    said = node_script.objection(script(tmp_path, "exit 0", mode))
    assert (what in said) if what else not said


def test_what_is_no_program(tmp_path: Path) -> None:
    assert "absolute" in node_script.objection(Path("program"))
    assert node_script.objection(tmp_path / "none").endswith("No such file or directory")
    assert node_script.objection(tmp_path).endswith("not a file")


def test_a_directory_that_others_write_to(tmp_path: Path) -> None:
    path = script(tmp_path, "exit 0")
    tmp_path.chmod(0o777)
    assert f"others may replace it, since they may write to {tmp_path}" in node_script.objection(path)
    tmp_path.chmod(0o1777)  # as /tmp
    assert not node_script.objection(path)


def test_a_link_that_others_might_point_elsewhere(tmp_path: Path) -> None:
    path = script(tmp_path, "exit 0")
    link = tmp_path / "link"
    link.symlink_to(path)
    assert node_script.objection(link) == f"{link}: leads over a symbolic link: name {path} instead"


@pytest.mark.needs_root
def test_another_users_program(tmp_path: Path) -> None:
    path = script(tmp_path, "exit 0")
    os.chown(path, 65534, 65534)
    assert "others than root" in node_script.objection(path)


async def test_one_that_became_unsafe_is_not_run(tmp_path: Path) -> None:
    outcome = await run(script(tmp_path, "exit 0", 0o777))
    assert "others than root" in outcome.trouble

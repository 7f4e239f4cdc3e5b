"""A supervisor whose attempt has ended takes the next one; what it did before shows nowhere."""

# ruff: noqa: ASYNC240 (a blocking look at a file is what a test is for)
from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from packhorse.agent.launch import attemptdir, forkserver, processes, successor
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Launcher
from tests.agent.launch.yard import Yard, until

WAITS = "while [ ! -e go ]; do sleep 0.01; done; exit 7"


async def test_one_supervisor_for_attempts_that_follow_each_other(yard: Yard) -> None:
    pids = set()
    for number in range(5):
        supervised = await yard.launch(f"exit {number}")
        assert (await yard.end(supervised)).exit_code == number
        assert attemptdir.read_exit(supervised.attempt_dir) is not None
        pids.add(supervised.pid)
    assert len(pids) == 1


@pytest.mark.needs_root
async def test_a_supervisor_serves_one_user_only(yard: Yard) -> None:
    first = await yard.launch("true", uid=65534, gid=65534)
    await yard.end(first)
    other = await yard.launch("true")
    await yard.end(other)
    again = await yard.launch("true", uid=65534, gid=65534)
    await yard.end(again)
    assert other.pid != first.pid
    assert again.pid == first.pid


async def test_attempts_at_the_same_time_have_each_their_own(yard: Yard) -> None:
    jobs = [await yard.launch(WAITS) for _ in range(4)]
    assert len({supervised.pid for supervised in jobs}) == 4
    yard.path("go").touch()
    assert [(await yard.end(supervised)).exit_code for supervised in jobs] == [7] * 4


async def test_nothing_of_an_attempt_shows_in_the_next(plain: Yard) -> None:
    """Usage, limits, mask, directory, processors, descriptors and environment are the next one's own."""
    burn = "python3 -c 'import time\nx = b\"x\" * (50 << 20)\nwhile time.process_time() < 0.15: pass'"
    path = (f"PATH={os.environ['PATH']}",)
    look = "ulimit -n; ulimit -c; umask; pwd; env | grep -c MINE; ls /proc/self/fd | wc -l"
    first = await plain.launch(look)
    await plain.end(first)
    expected = plain.out.read_text()
    other = await plain.launch(
        burn, environment=(*path, "MINE=1"), rlimits=(("nofile", 77), ("core", 0)), umask=0o077, cwd="/",
        cpus=(min(os.sched_getaffinity(0)),), stderr=str(plain.path("err")),
    )  # fmt: skip
    before = await plain.end(other)
    assert before.user_us + before.system_us >= 150_000
    again = await plain.launch(look)
    record = await plain.end(again)
    assert again.pid == other.pid == first.pid
    assert plain.out.read_text() == expected
    assert record.user_us + record.system_us < 100_000
    assert record.max_rss_kib < 40 << 10
    assert os.sched_getaffinity(again.pid) == os.sched_getaffinity(0)
    assert Path(f"/proc/{again.pid}/cwd").readlink() == Path("/")


async def test_a_supervisor_keeps_no_descriptor_of_an_attempt(plain: Yard) -> None:
    counts = []
    for _ in range(4):
        supervised = await plain.launch("true", stderr=str(plain.path("err")))
        await plain.end(supervised)
        counts.append(len(os.listdir(f"/proc/{supervised.pid}/fd")))
    assert counts[0] >= counts[-1]


async def test_one_that_was_told_to_go_takes_no_other(plain: Yard) -> None:
    supervised = await plain.launch("trap 'exit 8' TERM; echo > ready; while :; do sleep 0.01; done")
    await plain.written("ready")
    os.kill(supervised.pid, signal.SIGTERM)
    assert (await plain.end(supervised)).exit_code == 8
    assert not processes.is_running(supervised.pid, supervised.start_time)
    assert (await plain.launch("exit 0")).pid != supervised.pid


async def test_free_ones_go_by_sigterm_and_when_there_is_nothing_for_them(plain: Yard) -> None:
    first = await plain.launch("exit 0")
    await plain.end(first)
    assert processes.is_running(first.pid, first.start_time)
    os.kill(first.pid, signal.SIGTERM)
    await until(lambda: not processes.is_running(first.pid, first.start_time))
    second = await plain.launch("exit 3")
    assert (await plain.end(second)).exit_code == 3
    await until(lambda: not processes.is_running(second.pid, second.start_time))  # within IDLE_S
    assert (await plain.run("exit 4")).exit_code == 4
    assert forkserver.IDLE_S < 5


async def test_a_free_one_that_is_killed_is_not_counted_on(plain: Yard) -> None:
    for _ in range(5):
        supervised = await plain.launch("exit 0")
        await plain.end(supervised)
        os.kill(supervised.pid, signal.SIGKILL)
        await until(lambda: not processes.is_running(supervised.pid, supervised.start_time))  # noqa: B023
        assert (await plain.run("exit 3")).exit_code == 3


async def test_killed_in_its_second_attempt(yard: Yard) -> None:
    first = await yard.launch("exit 0")
    await yard.end(first)
    second = await yard.launch("echo > ready; sleep 600")
    assert second.pid == first.pid
    await yard.written("ready")
    os.kill(second.pid, signal.SIGKILL)
    record = await yard.end(second)
    assert (record.cause, record.detail) == ("lost", "its supervisor was killed")
    found = await yard.launcher.adopt(first.attempt_dir)
    assert isinstance(found, ExitRecord)
    assert found.cause == "exited"


async def test_another_agent_adopts_a_second_attempt(yard: Yard) -> None:
    first = await yard.launch("exit 0")
    await yard.end(first)
    second = await yard.launch(WAITS)
    assert second.pid == first.pid
    await yard.launcher.close()
    yard.launcher = Launcher(yard.home, yard.cgroups)
    assert await yard.launcher.adopt(second.attempt_dir) == second
    waiting = asyncio.create_task(yard.launcher.wait(second))
    yard.path("go").touch()
    assert (await waiting).exit_code == 7
    # Its fork server is gone, so it ended with its attempt: nothing else told the new agent.
    assert not processes.is_running(second.pid, second.start_time)


async def test_the_fork_server_dies_with_attempts_on_used_supervisors(plain: Yard) -> None:
    await plain.end(await plain.launch("exit 0"))
    running = await plain.launch(WAITS)
    waiting = asyncio.create_task(plain.launcher.wait(running))
    await asyncio.sleep(0)
    os.kill(plain.launcher.fork_server_pid, signal.SIGKILL)
    plain.path("go").touch()
    assert (await waiting).exit_code == 7


async def test_a_request_too_long_to_hand_on_gets_a_fork(plain: Yard) -> None:
    first = await plain.launch("exit 0")
    await plain.end(first)
    value = "x" * (successor.MAX_REQUEST + 1)
    environment = ("PATH=/usr/bin:/bin", f"LONG={value[:60_000]}", f"MORE={value[:60_000]}")
    second = await plain.launch("exit ${#LONG}", environment=environment)
    assert second.pid != first.pid
    assert (await plain.end(second)).exit_code == 60_000 % 256


async def test_nicer_ones_are_not_used_again(plain: Yard) -> None:
    supervised = await plain.launch("true", nice=1)
    await plain.end(supervised)
    assert (await plain.launch("true")).pid != supervised.pid

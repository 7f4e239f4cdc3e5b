"""Suspending real jobs: nothing of them runs, whatever they do, and everything goes on afterwards."""

# ruff: noqa: ASYNC251 (a blocking look at a file is what a test is for; so is a pause in which
# nothing may happen)
from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from packhorse.agent.cgroups import Cgroups, Wish
from packhorse.agent.launch import cgroup, control, jobtree, processes
from packhorse.agent.launch.launcher import Supervised
from tests.agent.launch.yard import Yard, left_of, until

COUNT = "i=0; while :; do i=$((i+1)); echo $i > count.new; mv count.new count; sleep 0.01; done"
PAUSE_S = 0.3
"""Thirty turns of the counting job."""


def count(yard: Yard) -> int:
    try:
        return int(yard.path("count").read_text() or 0)
    except FileNotFoundError:
        return 0


async def suspended(yard: Yard, supervised: Supervised) -> control.ControlReply:
    reply = await yard.launcher.send(supervised, control.Suspend())
    assert reply.suspended and reply.reached
    return reply


async def goes_on(yard: Yard, supervised: Supervised, cpus: tuple[int, ...] = ()) -> None:
    reply = await yard.launcher.send(supervised, control.Continue(cpus))
    assert not reply.suspended and not reply.error


def still(yard: Yard) -> None:
    """The job does nothing for a while."""
    before = count(yard)
    time.sleep(PAUSE_S)
    assert count(yard) == before


async def counts_on(yard: Yard) -> None:
    before = count(yard)
    await until(lambda: count(yard) > before, "the job to count on")


async def end(yard: Yard, supervised: Supervised) -> None:
    await yard.launcher.terminate(supervised, 0)
    assert (await yard.end(supervised)).cause == "terminated"


@pytest.fixture(params=["v1", "v2", "none"])
def wish(request: pytest.FixtureRequest, tmp_path: Path) -> Wish:
    """Each version of cgroups by itself, and none: then it is done with signals."""
    found = Cgroups.detect("t", tmp_path, request.param)
    usable = found.kind == request.param
    found.close()
    if not usable:
        pytest.skip("these cgroups cannot be used here")
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def yard(tmp_path: Path, wish: Wish) -> Yard:
    return Yard(tmp_path, wish)


@pytest.fixture(autouse=True)
async def closed(yard: Yard):  # type: ignore[no-untyped-def]
    yield
    await yard.close()


async def test_a_job_stops_counting_and_goes_on(yard: Yard) -> None:
    supervised = await yard.launch(COUNT)
    await counts_on(yard)
    await suspended(yard, supervised)
    still(yard)
    assert not (await yard.launcher.send(supervised, control.Continue())).error
    await counts_on(yard)
    await suspended(yard, supervised)
    await suspended(yard, supervised)  # once more does no harm
    still(yard)
    await goes_on(yard, supervised)
    await goes_on(yard, supervised)
    await counts_on(yard)
    await end(yard, supervised)


async def test_where_there_is_a_freezer_the_job_notices_nothing(yard: Yard, wish: Wish) -> None:
    supervised = await yard.launch(f"trap 'echo continued >> seen' CONT\n{COUNT}")
    await counts_on(yard)
    await suspended(yard, supervised)
    frozen = any(cgroup.is_frozen(group) for group in supervised.groups)
    assert frozen == (wish != "none")
    await goes_on(yard, supervised)
    await counts_on(yard)
    assert yard.path("seen").exists() == (wish == "none")
    await end(yard, supervised)


async def test_no_process_escapes_however_many_there_are_and_come(yard: Yard) -> None:
    """Sessions of their own, a parent that is gone, and a tree that forks without end."""
    supervised = await yard.launch(
        "echo 0 > ticks\n"
        "setsid sh -c 'while :; do echo >> ticks; sleep 0.01; done' &\n"
        "(setsid sh -c 'while :; do echo >> ticks; sleep 0.01; done' &)\n"
        "while :; do sh -c 'sh -c \"echo >> ticks\" & echo >> ticks; wait'; done"
    )
    ticks = yard.path("ticks")

    def size() -> int:
        return ticks.stat().st_size if ticks.exists() else 0

    await until(lambda: size() > 50, "ticks")
    for _ in range(5):
        await suspended(yard, supervised)
        before = size()
        time.sleep(PAUSE_S)
        assert size() == before
        await goes_on(yard, supervised)
        await until(lambda: size() > before, "it to go on")  # noqa: B023
    await end(yard, supervised)


async def test_a_signal_to_go_on_is_not_its_owners_to_send(
    yard: Yard, wish: Wish, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised = await yard.launch(COUNT)
    await counts_on(yard)
    await suspended(yard, supervised)
    assert await yard.launcher.signal(supervised, signal.SIGCONT, "all") == 0
    still(yard)
    for pid in left_of(supervised):  # past the scheduler, as a user may on the node
        os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(1.2)
    still(yard)
    await end(yard, supervised)


async def test_a_suspended_job_hears_the_signal_that_ends_it(yard: Yard) -> None:
    supervised = await yard.launch(f"trap 'echo bye > said; exit 3' TERM\n{COUNT}")
    await counts_on(yard)
    await suspended(yard, supervised)
    await yard.launcher.terminate(supervised, 5)
    record = await yard.end(supervised)
    assert (record.cause, record.exit_code, yard.path("said").read_text()) == ("terminated", 3, "bye\n")


async def test_a_suspended_job_is_killed_at_once(yard: Yard) -> None:
    supervised = await yard.launch(f"trap '' TERM\n{COUNT}")
    await counts_on(yard)
    await suspended(yard, supervised)
    await yard.launcher.terminate(supervised, 0)
    began = time.monotonic()
    record = await yard.end(supervised)
    assert (record.signal, time.monotonic() - began < 5) == (signal.SIGKILL, True)


async def test_one_that_is_killed_from_outside_is_over(yard: Yard) -> None:
    supervised = await yard.launch(COUNT)
    await counts_on(yard)
    await suspended(yard, supervised)
    tree = processes.descendants(supervised.pid)
    os.kill(tree[0], signal.SIGKILL)
    if any(group.version == 1 for group in supervised.groups):
        await goes_on(yard, supervised)  # nothing of a version 1 freezer dies before
    record = await yard.end(supervised)
    assert (record.cause, record.signal) == ("exited", signal.SIGKILL)


async def test_the_time_limit_stands_still(yard: Yard) -> None:
    supervised = await yard.launch(COUNT, time_limit_s=1, backstop_s=0)
    await counts_on(yard)
    await suspended(yard, supervised)
    await asyncio.sleep(1.5)
    assert left_of(supervised)
    await goes_on(yard, supervised)
    await counts_on(yard)
    assert (await yard.end(supervised)).cause == "time_limit"


async def test_another_agent_finds_it_suspended_and_lets_it_go_on(yard: Yard) -> None:
    supervised = await yard.launch(COUNT)
    await counts_on(yard)
    found = await yard.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, Supervised) and not found.suspended
    await suspended(yard, supervised)
    await yard.launcher.close()
    found = await yard.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, Supervised) and found.suspended
    still(yard)
    await goes_on(yard, found)
    found = await yard.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, Supervised) and not found.suspended
    await counts_on(yard)
    await end(yard, found)


async def test_what_a_dead_supervisor_left_suspended_is_killed(yard: Yard) -> None:
    supervised = await yard.launch(COUNT)
    await counts_on(yard)
    await suspended(yard, supervised)
    os.kill(supervised.pid, signal.SIGKILL)
    record = await yard.end(supervised)
    assert record.cause == "lost" and not record.unkillable


async def test_it_may_go_on_elsewhere(yard: Yard) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("there is but one processor")
    supervised = await yard.launch(COUNT, cpus=(cpus[0],))
    await counts_on(yard)
    first = processes.descendants(supervised.pid)[0]
    await suspended(yard, supervised)
    await goes_on(yard, supervised, (cpus[1],))
    await counts_on(yard)
    assert os.sched_getaffinity(first) == {cpus[1]}
    await end(yard, supervised)


def test_stopping_does_not_wait_for_ever_for_what_cannot_be_stopped(
    monkeypatch: pytest.MonkeyPatch, yard: Yard
) -> None:
    monkeypatch.setattr(jobtree, "STOP_S", 0.02)
    tree = jobtree.JobTree(())
    monkeypatch.setattr(tree, "members", lambda: [1])  # it gets no signal from here
    began = time.monotonic()
    assert tree.stop() == (1, 1)
    assert time.monotonic() - began < 2

"""Steps on an agent: ordered, attached to at its door, told to end, found again, reported."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from pathlib import Path

from packhorse.agent.job_scripts import JobScripts
from packhorse.agent.orders import ExitsAcked, Introduction, JobOverOrder, SignalOrder, TerminateOrder
from packhorse.scheduler.model.input import RunningAttempt
from tests.agent.launch.yard import until
from tests.agent.stepagent import BATCH, StepAgent, a_step_agent, an_order, step_key


async def test_a_step_is_ordered_attached_to_and_reported(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        key = step_key()
        await agent.order(an_order(tmp_path, key, argv=("/bin/sh", "-c", "echo rank $SLURM_PROCID; exit 3")))
        client = await agent.attach(key)
        await client.to_the_end()
        assert bytes(client.out[0]) == b"rank 0\n"
        end = await agent.ended(key)
        assert (end.cause, end.exit_code, end.refused) == ("exited", 3, False)
        assert any(isinstance(one, RunningAttempt) and one.attempt == key for one in agent.reports)
        await agent.order(ExitsAcked((key,)))
        assert key not in agent.runtime.machine.attempts


async def test_a_client_that_is_quicker_than_the_order_waits_for_the_step(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        attaching = asyncio.create_task(agent.attach(step_key()))
        await asyncio.sleep(0.1)
        assert not attaching.done()
        await agent.order(an_order(tmp_path, step_key()))
        client = await attaching
        await client.to_the_end()
        assert bytes(client.out[0]) == b"here 0\n"


async def test_who_is_not_let_in(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        for attach, as_, why in (
            ("no key", "owner", "'no key' names no step"),
            (str(BATCH), "owner", "only steps have an owner"),
            (str(step_key()), "king", "only steps have an owner"),
        ):
            with contextlib.closing(await agent.attach(attach, as_)) as client:
                assert why in client.first["error"]
        await agent.order(an_order(tmp_path, step_key(), argv=("/bin/cat",)))
        near, far = socket.socketpair()
        with near:
            near.sendall(json.dumps({"attach": str(step_key()), "as": "watch"}).encode() + b"\n")
            far.setblocking(False)
            await agent.runtime.door.admit(far, os.geteuid() + 4321)
            assert json.loads(near.recv(1000)) == {"error": "step 1.0 is not yours"}
        owner = await agent.attach(step_key())
        await owner.send(17)
        await owner.to_the_end()
        await agent.ended(step_key())
        with contextlib.closing(await agent.attach(step_key())) as client:
            assert client.first == {"error": "step 1.0 is over here"}


async def test_a_step_that_cannot_be_is_told_to_whoever_attaches(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        await agent.order(an_order(tmp_path, step_key(), cpu_bind="sideways"))
        end = await agent.ended(step_key())
        assert end.launch_error == "--cpu-bind=sideways: 'sideways' is no way to bind tasks"
        with contextlib.closing(await agent.attach(step_key())) as client:
            assert client.first == {"error": end.launch_error}


async def test_several_steps_beside_their_batch_script(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        await agent.order(an_order(tmp_path))
        for number in range(3):
            await agent.order(an_order(tmp_path, step_key(number), argv=("/bin/cat",)))
        clients = [await agent.attach(step_key(number)) for number in range(3)]
        await agent.order(SignalOrder(step_key(1), 15, "steps"))
        await clients[1].to_the_end()
        assert (await agent.ended(step_key(1))).exit_signal == 15
        assert agent.runtime.machine.running() == [BATCH, step_key(0), step_key(2)]
        for number in (0, 2):
            await clients[number].send(17)
            await clients[number].to_the_end()
            assert (await agent.ended(step_key(number))).exit_code == 0
        await agent.order(TerminateOrder(BATCH, 0, "cancelled"))
        assert (await agent.ended(BATCH)).cause == "terminated"


async def test_told_to_end(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as agent:
        await agent.order(an_order(tmp_path, step_key(), argv=("/bin/sleep", "60")))
        client = await agent.attach(step_key())
        await agent.order(TerminateOrder(step_key(), 1, "time_limit"))
        await client.to_the_end()
        assert "*** STEP 1.0 ON n1 CANCELLED AT " in client.notices[0]
        assert client.notices[0].endswith(" DUE TO TIME LIMIT ***")
        end = await agent.ended(step_key())
        assert (end.cause, end.detail, end.exit_signal) == ("time_limit", "time_limit", 15)


async def test_an_agent_that_is_started_again_finds_its_steps_and_their_clients_notice_nothing(
    tmp_path: Path,
) -> None:
    body = "while read x; do echo got $x; done; exit 4"
    async with a_step_agent(tmp_path) as first:
        await first.order(an_order(tmp_path, step_key(), argv=("/bin/sh", "-c", body)))
        client = await first.attach(step_key())
        await client.send(16, payload=b"a\n")
        await client.until(0, b"got a\n")
    await client.send(16, payload=b"b\n")  # while there is no agent
    await client.until(0, b"got b\n")
    async with a_step_agent(tmp_path) as second:
        assert second.runtime.machine.running() == [step_key()]
        watcher = await second.attach(step_key(), "watch")
        await client.send(16, payload=b"c\n")
        await client.send(17)
        await asyncio.gather(client.to_the_end(), watcher.to_the_end())
        assert bytes(client.out[0]) == b"got a\ngot b\ngot c\n"
        assert bytes(watcher.out[0]) == b"got c\n"
        assert (await second.ended(step_key())).exit_code == 4


async def test_a_step_that_ended_while_no_agent_was_there_is_reported(tmp_path: Path) -> None:
    async with a_step_agent(tmp_path) as first:
        await first.order(an_order(tmp_path, step_key(), argv=("/bin/sh", "-c", "read x; exit 9")))
        client = await first.attach(step_key())
    await client.send(17)
    await client.to_the_end()
    await until(lambda: list(first.spool.attempts.glob("*/exit")), "the exit record")
    async with a_step_agent(tmp_path) as second:
        assert (await second.ended(step_key())).exit_code == 9
        assert not second.runtime.machine.running()


# -- prolog and epilog


def noting(path: Path, log: Path, code: int = 0) -> Path:
    """A prolog or epilog that writes its name and job down."""
    path.write_text(f"#!/bin/sh\necho {path.name} $SLURM_JOB_ID >> {log}\nexit {code}\n")
    path.chmod(0o755)
    return path


def scripts(home: Path, code: int = 0) -> JobScripts:
    log = home / "log"
    return JobScripts("n1", str(home), noting(home / "prolog", log, code), noting(home / "epilog", log))


async def end_step(agent: StepAgent, number: int) -> None:
    client = await agent.attach(step_key(number))
    await client.send(17)
    await client.to_the_end()
    await agent.ended(step_key(number))


async def test_a_node_with_steps_only_has_its_prolog_once_and_its_epilog_when_the_job_is_over(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    async with a_step_agent(tmp_path, scripts(tmp_path)) as agent:
        for number in (0, 1):
            await agent.order(an_order(tmp_path, step_key(number), argv=("/bin/cat",)))
        for number in (0, 1):
            await end_step(agent, number)
        await agent.order(an_order(tmp_path, step_key(2), argv=("/bin/cat",)))
        await end_step(agent, 2)
        assert log.read_text().split() == ["prolog", "1"]
    async with a_step_agent(tmp_path, scripts(tmp_path)) as agent:
        [hello] = [one for one in agent.reports if isinstance(one, Introduction)]
        assert hello.kept == (BATCH,), "so that a word that it missed is said again"
        await agent.order(JobOverOrder(BATCH))
        await until(lambda: "epilog" in log.read_text(), "the epilog")
        await agent.order(JobOverOrder(BATCH))
        await until(lambda: not agent.runtime._openings.kept(), "what was opened to be closed")
        assert agent.runtime.machine.offer.accepting
        await agent.order(an_order(tmp_path, step_key(3)))
        assert (await agent.ended(step_key(3))).refused
    assert log.read_text().split() == ["prolog", "1", "epilog", "1"]


async def test_the_epilog_waits_for_steps_that_outlive_the_batch_script(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with a_step_agent(tmp_path, scripts(tmp_path)) as agent:
        await agent.order(an_order(tmp_path, script=b"#!/bin/sh\nexit 0\n"))
        await agent.order(an_order(tmp_path, step_key(0), argv=("/bin/cat",)))
        client = await agent.attach(step_key(0))
        await agent.ended(BATCH)
        assert log.read_text().split() == ["prolog", "1"]
        await client.send(17)
        await client.to_the_end()
        await agent.ended(step_key(0))
        assert log.read_text().split() == ["prolog", "1", "epilog", "1"]


async def test_after_a_prolog_that_failed_no_step_starts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with a_step_agent(tmp_path, scripts(tmp_path, 1)) as agent:
        for number in (0, 1):
            await agent.order(an_order(tmp_path, step_key(number)))
        ends = [await agent.ended(step_key(number)) for number in (0, 1)]
        assert [end.refused for end in ends] == [True, True]
        assert not agent.runtime.machine.offer.accepting
    assert log.read_text().split().count("prolog") == log.read_text().split().count("epilog") == 1

"""Steps: tasks that are started together, their streams to whoever attached, and how they end."""

from __future__ import annotations

import signal
import struct
from typing import Any

from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.launch.spec import LaunchSpec, StepPlan, Task
from tests.agent.launch.stepclient import ALL, StepClient
from tests.agent.launch.yard import Yard


def a_step(yard: Yard, body: str = "true", n: int = 1, **changes: Any) -> LaunchSpec:
    """A step of n tasks that run `body` in a shell, each with its rank in $R."""
    own = set(Task.__struct_fields__) - {"environment"}
    of_task = {name: changes.pop(name) for name in list(changes) if name in own}
    of_spec = {name: changes.pop(name) for name in list(changes) if name in LaunchSpec.__struct_fields__}
    given: dict[str, Any] = {"argv": ("/bin/sh", "-c", body)} | of_task
    tasks = tuple(Task(rank=rank, environment=(f"R={rank}",), **given) for rank in range(n))
    of_plan: dict[str, Any] = {"tasks": tasks, "n_tasks": n} | changes
    plan = StepPlan(**of_plan)
    directory = yard.attempt()
    key = f"{directory.rpartition('-')[2]}.1.1.0"
    return yard.spec(argv=(), attempt_dir=directory, key=key, label="STEP 7.0", step=plan, **of_spec)


async def started(
    yard: Yard, body: str = "true", n: int = 1, **changes: Any
) -> tuple[Supervised, StepClient]:
    """The step, with its owner attached."""
    client = StepClient()
    supervised = await yard.launcher.launch(a_step(yard, body, n, **changes))
    await client.attach(yard.launcher, supervised)
    return supervised, client


async def ran(yard: Yard, body: str = "true", n: int = 1, **changes: Any) -> tuple[ExitRecord, StepClient]:
    """The step, to its end."""
    supervised, client = await started(yard, body, n, **changes)
    await client.to_the_end()
    return await yard.end(supervised), client


async def test_output_of_every_task_and_the_worst_of_their_codes(yard: Yard) -> None:
    record, client = await ran(yard, "echo out $R; echo err $R >&2; exit $R", 3)
    assert client.first["ok"] and client.first["ranks"] == [0, 1, 2]
    assert client.first["pids"] == [client.pids[rank] for rank in range(3)]
    for rank in range(3):
        assert client.out[rank] == f"out {rank}\n".encode()
        assert client.err[rank] == f"err {rank}\n".encode()
        assert client.code(rank) == rank
    assert (record.cause, record.exit_code, record.signal) == ("exited", 2, 0)
    assert client.ended == {(rank, kind) for rank in range(3) for kind in (1, 2)}


async def test_a_signal_counts_more_than_a_code(plain: Yard) -> None:
    record, client = await ran(plain, "[ $R = 1 ] && kill -9 $$; exit 7", 2)
    assert [client.code(rank) for rank in range(2)] == [7, 137]
    assert (record.exit_code, record.signal) == (0, signal.SIGKILL)


async def test_a_program_that_is_not_there(plain: Yard) -> None:
    record, client = await ran(plain, argv=("/nosuch/program",))
    assert client.failed == {0: (2, "execve(): /nosuch/program: No such file or directory")}
    assert client.code(0) == 2
    assert (record.cause, record.exit_code) == ("exited", 2)
    kinds = [kind for kind, _ in client.order]
    assert kinds.index(10) < kinds.index(5)


async def test_a_task_is_told_its_own_number(plain: Yard) -> None:
    _, client = await ran(plain, "echo $$ $SLURM_TASK_PID", 2)
    for rank in range(2):
        assert client.out[rank].split() == [str(client.pids[rank]).encode()] * 2


async def test_input_goes_to_all_and_to_one(plain: Yard) -> None:
    supervised, client = await started(plain, "cat", 2)
    await client.send(16, ALL, b"both\n")
    await client.send(16, 1, b"one\n")
    await client.send(17)
    await client.to_the_end()
    await plain.end(supervised)
    assert dict(client.out) == {0: b"both\n", 1: b"both\none\n"}
    assert client.taken == len(b"both\none\n")


async def test_what_is_said_with_the_first_line_counts(plain: Yard) -> None:
    client = StepClient()
    supervised = await plain.launcher.launch(a_step(plain, "cat"))
    early = struct.pack("<BII", 16, ALL, 3) + b"hi\n" + struct.pack("<BII", 17, ALL, 0)
    await client.attach(plain.launcher, supervised, early=early)
    await client.to_the_end()
    await plain.end(supervised)
    assert client.out[0] == b"hi\n"

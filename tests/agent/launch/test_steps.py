"""Steps: tasks that are started together, what they get, and how they end."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import struct
import time
from pathlib import Path

import pytest

from packhorse.agent.launch import processes
from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.launch.spec import Limits, StepPlan, Task
from tests.agent.launch.stepclient import ALL, StepClient
from tests.agent.launch.steps import a_step, ran, started
from tests.agent.launch.yard import Yard, until


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


async def test_a_task_begins_clean(plain: Yard) -> None:
    body = "cat /proc/self/stat; ls /proc/self/fd | wc -l; grep SigIgn /proc/self/status; ulimit -n; umask"
    _, client = await ran(plain, body, 2, umask=0o027)
    for rank in range(2):
        stat, descriptors, ignored, files, umask = client.out[rank].decode().splitlines()
        _, session, terminal = stat.rpartition(")")[2].split()[2:5]
        assert (session, terminal) == (str(client.pids[rank]), "0")
        assert int(descriptors) == 4  # and the one that ls reads the directory with
        assert int(ignored.split()[1], 16) & ~(0b11 << 31) == 0
        assert (int(files), umask) == (resource.getrlimit(resource.RLIMIT_NOFILE)[0], "0027")


async def test_more_tasks_than_descriptors_suffice_for(plain: Yard) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        record, client = await ran(plain, "ulimit -n", 40)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert record.cause == "exited"
    assert {bytes(out) for out in client.out.values()} == {b"128\n"}


async def test_files_instead_of_the_client(plain: Yard) -> None:
    """One file for all tasks is emptied once, and no task's lines are lost."""
    (plain.home / "all").write_text("from before\n")
    (plain.home / "in").write_text("given\n")
    record, client = await ran(
        plain, "cat; echo $R; echo err >&2", 3,
        stdin=str(plain.home / "in"), stdout=str(plain.home / "all"),
    )  # fmt: skip
    assert sorted((plain.home / "all").read_text().split()) == ["0", "1", "2", "given", "given", "given"]
    assert {bytes(err) for err in client.err.values()} == {b"err\n"}
    assert not any(client.out.values())
    assert record.exit_code == 0


async def test_a_file_that_cannot_be_opened(plain: Yard) -> None:
    record, client = await ran(plain, "true", 2, stdout="/nosuch/file")
    assert (record.cause, record.exit_code) == ("launch_error", 1)
    why = 'cannot open output file "/nosuch/file": No such file or directory'
    assert {text for _, text in client.failed.values()} == {why}
    assert [client.code(rank) for rank in range(2)] == [1, 1]


async def test_an_unknown_mpi(plain: Yard) -> None:
    record, client = await ran(plain, mpi="strange")
    assert record.launch_error is not None
    assert client.failed[0][1] == record.launch_error.message == "--mpi=strange: this node knows none, pmi2"


async def test_a_directory_that_is_not_there(plain: Yard) -> None:
    _, client = await ran(plain, "pwd", cwd="/nosuch")
    assert client.out[0] == b"/tmp\n"
    why = "couldn't chdir to `/nosuch': No such file or directory: going to /tmp instead"
    assert client.err[0].decode() == f"packhorse-n1: error: {why}\n"


async def test_processors_of_each_task(plain: Yard) -> None:
    first, *_ = sorted(os.sched_getaffinity(0))
    _, client = await ran(
        plain, "grep Cpus_allowed_list /proc/self/status", cpus=(first,), banner="bound [%d]"
    )
    assert client.out[0].split()[1] == str(first).encode()
    assert client.err[0] == f"bound [{client.pids[0]}]\n".encode()


async def test_what_a_task_leaves_is_killed_when_all_have_ended(yard: Yard) -> None:
    record, client = await ran(yard, "sleep 1000 & [ $R = 0 ] && sleep 0.3; echo done", 2)
    assert record.cause == "exited"
    assert {bytes(out) for out in client.out.values()} == {b"done\n"}


async def test_output_that_a_dead_task_left_in_its_pipe_is_delivered(plain: Yard) -> None:
    """Also when nobody attached before its end."""
    supervised = await plain.launcher.launch(a_step(plain, "echo early"))
    first = await _first_pid(supervised)
    await until(lambda: not processes.start_time(first))
    client = StepClient()
    await client.attach(plain.launcher, supervised)
    await client.to_the_end()
    assert client.out[0] == b"early\n"
    assert (await plain.end(supervised)).exit_code == 0


async def _first_pid(supervised: Supervised) -> int:
    from packhorse.agent.launch import attemptdir

    await until(lambda: attemptdir.read_first(supervised.attempt_dir), "the first task")
    first = attemptdir.read_first(supervised.attempt_dir)
    assert first is not None
    return first.pid


async def test_signals_to_one_task_and_to_all(yard: Yard) -> None:
    body = "trap 'echo usr1; exit 3' USR1; echo ready; while :; do sleep 0.05; done"
    supervised, client = await started(yard, body, 2)
    for rank in range(2):
        await client.until(rank, b"ready\n")
    await client.send(18, 1, bytes([signal.SIGUSR1]))
    while 1 not in client.status:
        await client.read()
    assert (client.code(1), 0 in client.status) == (3, False)
    await client.send(18, ALL, bytes([signal.SIGUSR1]))
    await client.to_the_end()
    assert (client.code(0), bytes(client.out[0])) == (3, b"ready\nusr1\n")
    await yard.end(supervised)


async def test_the_end_of_one_task_is_told_while_another_does_nothing(plain: Yard) -> None:
    supervised, client = await started(plain, "[ $R = 1 ] && exit 4; exec sleep 60", 2)
    begun = time.monotonic()
    while 1 not in client.status:
        await client.read()
    assert time.monotonic() - begun < 10
    await client.send(23, ALL, struct.pack("<I", 0))
    await client.to_the_end()
    assert (await plain.end(supervised)).signal == signal.SIGKILL


async def test_the_owner_ends_the_step_with_a_grace(plain: Yard) -> None:
    body = "trap 'echo term' TERM; echo ready; while :; do sleep 0.05; done"
    supervised, client = await started(plain, body)
    await client.until(0, b"ready\n")
    await client.send(23, ALL, struct.pack("<I", 300))
    await client.to_the_end()
    record = await plain.end(supervised)
    assert bytes(client.out[0]) == b"ready\nterm\n"
    assert (record.cause, record.detail, record.signal) == ("terminated", "cancelled", signal.SIGKILL)
    assert len(client.notices) == 1
    assert client.notices[0].startswith("packhorse-n1: error: *** STEP 7.0 ON n1 CANCELLED AT ")


async def test_an_order_ends_the_step_though_its_client_is_stuck(plain: Yard) -> None:
    """The client takes nothing, and much is to be delivered."""
    supervised, client = await started(plain, "yes")
    await asyncio.sleep(0.2)
    await plain.launcher.terminate(supervised, 0)
    record = await plain.end(supervised)
    assert (record.cause, record.signal) == ("terminated", signal.SIGKILL)
    client.close()


async def test_its_own_time_limit(plain: Yard) -> None:
    record, client = await ran(plain, "sleep 60", time_limit_s=1, backstop_s=0)
    assert record.cause == "time_limit"
    assert "DUE TO TIME LIMIT" in client.notices[0]


async def test_suspended_and_continued(yard: Yard) -> None:
    supervised, client = await started(yard, "while :; do echo x; sleep 0.02; done", 2)
    await client.until(1, b"x\n")
    from packhorse.agent.launch.control import Continue, Suspend

    assert (await yard.launcher.send(supervised, Suspend())).suspended
    pids = list(client.pids.values())
    if not supervised.groups:
        assert {processes.state(pid) for pid in pids} <= {"T", "D"}  # or it waits for a child that is stopped
    await yard.launcher.send(supervised, Continue())
    seen = len(client.out[0])
    while len(client.out[0]) <= seen + 10:
        await client.read()
    await yard.launcher.terminate(supervised, 0)
    client.close()
    await yard.end(supervised)


async def test_memory_of_the_step_is_bounded(yard: Yard) -> None:
    body = "exec python3 -c 'x = bytearray(200 << 20); import time; time.sleep(20)'"
    if "memory" not in yard.cgroups.controllers:
        pytest.skip("needs a memory controller")
    record, client = await ran(yard, body, 2, limits=Limits(mem_mib=150))
    assert record.cause == "oom"
    assert client.status[0] == client.status[1] == 125
    assert record.signal == signal.SIGKILL


async def test_one_supervisor_serves_step_after_step_and_keeps_nothing_open(plain: Yard) -> None:
    supervised, client = await started(plain, "cat", 3)
    await client.send(17)
    await client.to_the_end()
    await plain.end(supervised)
    before = len(os.listdir(f"/proc/{supervised.pid}/fd"))
    again, client = await started(plain, "echo $R", 5)
    await client.to_the_end()
    await plain.end(again)
    assert again.pid == supervised.pid
    assert len(os.listdir(f"/proc/{again.pid}/fd")) == before
    batch = await plain.launch("exit 4")
    assert batch.pid == again.pid
    assert (await plain.end(batch)).exit_code == 4


async def test_each_runs_as_its_user(yard: Yard) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs uid 0")
    os.chmod(yard.home, 0o755)
    for parent in list(Path(yard.home).parents)[:3]:
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    _, client = await ran(
        yard, "id -u; id -g; id -G", 2, uid=65534, gid=65534, groups=(65534, 7), user="nobody"
    )
    for rank in range(2):
        assert client.out[rank].split()[:2] == [b"65534"] * 2
        assert set(client.out[rank].decode().split()[2:]) == {"65534", "7"}


def test_a_plan_survives_the_wire() -> None:
    import msgspec

    plan = StepPlan(tasks=(Task(rank=3, argv=("a", "b"), cpus=(1, 2)),), pty=True, mpi="pmi2", return_s=3)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=StepPlan) == plan

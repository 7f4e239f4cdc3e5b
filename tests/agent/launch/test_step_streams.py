"""Streams of a step: in order, whole, at the pace of who reads them, and over broken connections."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from pathlib import Path

import pytest

from packhorse.agent.launch import processes
from packhorse.agent.launch.launcher import LaunchError, NotRunning
from tests.agent.launch.stepclient import ALL, StepClient
from tests.agent.launch.steps import a_step, ran, started
from tests.agent.launch.yard import Yard, until

LINES = "i=0; while [ $i -lt 1000 ]; do echo task $R line $i; i=$((i+1)); done"


def lines(rank: int) -> bytes:
    return b"".join(b"task %d line %d\n" % (rank, i) for i in range(1000))


def peak_kib(pid: int) -> int:
    """The most a process was resident with."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))


async def test_a_thousand_lines_of_sixteen_tasks_each_in_order(yard: Yard) -> None:
    _, client = await ran(yard, LINES, 16)
    for rank in range(16):
        assert client.out[rank] == lines(rank)


async def test_a_client_that_never_confirms_gets_all(plain: Yard) -> None:
    supervised = await plain.launcher.launch(a_step(plain, "head -c 5000000 /dev/zero", 4))
    client = StepClient(confirm_every=0)
    await client.attach(plain.launcher, supervised)
    await client.to_the_end()
    assert [len(client.out[rank]) for rank in range(4)] == [5_000_000] * 4
    await plain.end(supervised)


async def test_a_slow_client_holds_the_tasks_up_and_costs_no_memory(plain: Yard) -> None:
    supervised, client = await started(plain, "head -c 20000000 /dev/zero; echo over >&2", 4)
    before = peak_kib(supervised.pid)
    for _ in range(20):
        await client.read(1000)
        await asyncio.sleep(0.02)
    assert not client.err, "nobody can have written 20 MB"
    await client.to_the_end()
    assert [len(client.out[rank]) for rank in range(4)] == [20_000_000] * 4
    assert peak_kib(supervised.pid) - before < 4096
    await plain.end(supervised)


async def test_without_an_owner_output_waits(plain: Yard) -> None:
    supervised = await plain.launcher.launch(a_step(plain, "head -c 300000 /dev/zero; touch $HERE/done"))
    watcher = StepClient()
    await watcher.attach(plain.launcher, supervised, owner=False)
    await asyncio.sleep(0.3)
    assert not (plain.home / "done").exists()
    client = StepClient()
    await client.attach(plain.launcher, supervised)
    await client.to_the_end()
    await watcher.to_the_end()
    assert len(client.out[0]) == len(watcher.out[0]) == 300_000
    await plain.end(supervised)


@pytest.mark.parametrize("confirms", [1 << 16, 0])
async def test_an_owner_comes_back_again_and_again_and_misses_nothing(plain: Yard, confirms: int) -> None:
    supervised = await plain.launcher.launch(a_step(plain, f"{LINES}; {LINES}", 8))
    client = StepClient(confirm_every=confirms)
    await client.attach(plain.launcher, supervised)
    for size in (1, 5, 9, 1000, 77, 30_000, 4):
        for _ in range(3):
            await client.read(size)
        client.close()
        await client.attach(plain.launcher, supervised, got=client.got)
        assert client.first["ok"]
    await client.to_the_end()
    for rank in range(8):
        assert client.out[rank] == lines(rank) * 2
    await plain.end(supervised)


async def test_an_owner_that_had_received_nothing_comes_back(plain: Yard) -> None:
    supervised, client = await started(plain, "echo hello; sleep 0.4; echo again")
    await asyncio.sleep(0.2)
    client.close()
    await client.attach(plain.launcher, supervised, got=0)
    await client.to_the_end()
    assert client.out[0] == b"hello\nagain\n"
    assert client.pids
    await plain.end(supervised)


async def test_more_than_was_sent_cannot_have_been_received(plain: Yard) -> None:
    supervised, client = await started(plain, "cat")
    client.close()
    with pytest.raises(LaunchError, match="first 99999 bytes"):
        await StepClient().attach(plain.launcher, supervised, got=99_999)
    await client.attach(plain.launcher, supervised, got=0)
    await client.send(17)
    await client.to_the_end()
    await plain.end(supervised)


async def test_input_of_which_part_was_lost_is_sent_again(plain: Yard) -> None:
    supervised, client = await started(plain, "cat")
    await client.send(16, ALL, b"one ")
    while client.taken < 4:
        await client.read()
    # Half a frame, and the connection breaks: it does not count.
    assert client.connection is not None
    client.connection.send(struct.pack("<BII", 16, ALL, 100) + b"tw")
    client.close()
    await client.attach(plain.launcher, supervised, got=client.got)
    assert client.first["input"] == 4
    await client.send(16, ALL, b"two")
    await client.send(17)
    await client.to_the_end()
    assert client.out[0] == b"one two"
    await plain.end(supervised)


async def test_one_owner_at_a_time_and_another_after_it_has_left(plain: Yard) -> None:
    supervised, client = await started(plain, "while read x; do echo got $x; done", return_s=30)
    other = StepClient()
    with pytest.raises(LaunchError, match="attached already"):
        await other.attach(plain.launcher, supervised)
    await client.send(16, ALL, b"a\n")
    await client.until(0, b"got a\n")
    await client.send(22)
    assert not await client.read()
    client.close()
    await other.attach(plain.launcher, supervised)
    await other.send(16, ALL, b"b\n")
    await other.send(17)
    await other.to_the_end()
    assert (bytes(other.out[0]), other.pids) == (b"got b\n", client.pids)
    assert (await plain.end(supervised)).exit_code == 0


async def test_whoever_follows_gets_what_nobody_was_sent(plain: Yard) -> None:
    supervised, client = await started(plain, "echo first; sleep 0.3; echo second", 2)
    await client.until(1, b"first\n")
    await client.until(0, b"first\n")
    await client.send(22)
    assert not await client.read()
    client.close()
    await until(lambda: not any(processes.start_time(pid) for pid in client.pids.values()))
    other = StepClient()
    await other.attach(plain.launcher, supervised)
    await other.to_the_end()
    assert {rank: bytes(out) for rank, out in other.out.items()} == {0: b"second\n", 1: b"second\n"}
    assert [other.code(rank) for rank in range(2)] == [0, 0]
    await plain.end(supervised)


async def test_a_step_that_nobody_attaches_to_is_ended(plain: Yard) -> None:
    supervised = await plain.launcher.launch(a_step(plain, "sleep 60", attach_s=1))
    record = await plain.end(supervised)
    assert (record.cause, record.detail) == ("terminated", "nobody was attached to it for 1 s")


async def test_a_step_whose_owner_does_not_come_back_is_ended(plain: Yard) -> None:
    supervised, client = await started(plain, "sleep 60", return_s=1)
    client.close()
    record = await plain.end(supervised)
    assert (record.cause, record.detail) == ("terminated", "nobody was attached to it for 1 s")
    assert record.run_us > 900_000


async def test_a_step_that_needs_nobody(plain: Yard) -> None:
    out = str(plain.home / "o")
    supervised = await plain.launcher.launch(
        a_step(plain, "sleep 0.3; echo x", attach_s=0, input_rank=-2, stdout=out, stderr=out)
    )
    record = await plain.end(supervised)
    assert (record.cause, record.exit_code) == ("exited", 0)
    assert (plain.home / "o").read_text() == "x\n"


async def test_what_is_no_frame_ends_the_connection(plain: Yard) -> None:
    supervised, client = await started(plain, "echo $R; cat")
    await client.until(0, b"0\n")
    await client.send(16, ALL)
    assert client.connection is not None
    client.connection.send(struct.pack("<BII", 16, ALL, 1 << 30))
    while await client.read():
        pass
    client.close()
    await client.attach(plain.launcher, supervised, got=client.got)
    await client.send(99, 7, b"a kind nobody knows is ignored")
    await client.send(17)
    await client.to_the_end()
    await plain.end(supervised)


# -- input


async def test_input_that_nobody_reads_holds_nothing_else_up(plain: Yard) -> None:
    """A client that keeps to its credit can still send signals."""
    supervised, client = await started(plain, "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done")
    await client.until(0, b"ready\n")
    sent = 0
    while sent - client.taken < 256 << 10:
        await client.send(16, ALL, bytes(1 << 15))
        sent += 1 << 15
    await client.send(18, ALL, bytes([signal.SIGUSR1]))
    await client.to_the_end()
    assert client.code(0) == 5
    await plain.end(supervised)


async def test_endless_input_costs_no_memory(plain: Yard) -> None:
    supervised, client = await started(plain, "sleep 1", 2)
    before = peak_kib(supervised.pid)

    async def feed() -> None:
        while True:
            await client.send(16, ALL, bytes(1 << 16))

    feeding = asyncio.create_task(feed())
    await asyncio.sleep(0.5)
    assert not feeding.done()
    assert peak_kib(supervised.pid) - before < 4096
    while not client.over:
        await client.read()
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    client.close()
    await plain.end(supervised)


async def test_input_for_one_rank_only(plain: Yard) -> None:
    supervised, client = await started(plain, "cat", 3, input_rank=1)
    await client.send(16, ALL, b"x" * 300_000)
    await client.send(17)
    await client.to_the_end()
    assert [len(client.out[rank]) for rank in range(3)] == [0, 300_000, 0]
    await plain.end(supervised)


async def test_a_task_that_closes_its_input_holds_the_others_not_up(plain: Yard) -> None:
    supervised, client = await started(plain, "[ $R = 0 ] && exec <&-; cat", 2)
    for _ in range(20):
        await client.send(16, ALL, b"y" * 50_000)
        await client.read()
    await client.send(17)
    await client.to_the_end()
    assert len(client.out[1]) == 1_000_000
    assert client.taken == 1_000_000
    await plain.end(supervised)


# -- watchers


async def test_a_watcher_sees_how_things_stand_and_what_comes(plain: Yard) -> None:
    supervised, client = await started(plain, "[ $R = 0 ] && exit 3; read x; echo $x", 2)
    while 0 not in client.status:
        await client.read()
    watcher = StepClient()
    await watcher.attach(plain.launcher, supervised, owner=False)
    await watcher.send(16, ALL, b"not from a watcher\n")
    await client.send(16, ALL, b"from its owner\n")
    await asyncio.gather(client.to_the_end(), watcher.to_the_end())
    assert (watcher.code(0), watcher.code(1), watcher.pids) == (3, 0, client.pids)
    assert bytes(watcher.out[1]) == b"from its owner\n"
    await plain.end(supervised)


async def test_a_watcher_that_does_not_read_misses_output_and_is_told(plain: Yard) -> None:
    supervised, client = await started(plain, "read go; head -c 9000000 /dev/zero; read x; echo $x")
    watcher = StepClient()
    await watcher.attach(plain.launcher, supervised, owner=False)
    await client.send(16, ALL, b"go\n")  # or what came before the watcher is missing as well
    while len(client.out[0]) < 9_000_000:
        await client.read()
    while len(watcher.out[0]) < 1 << 20:
        await watcher.read()
    await client.send(16, ALL, b"end\n")
    await asyncio.gather(client.to_the_end(), watcher.to_the_end())
    assert len(watcher.out[0]) < 9_000_000
    assert watcher.out[0].endswith(b"end\n")
    left_out = int(watcher.notices[0].split()[0])
    assert left_out + len(watcher.out[0]) == 9_000_004
    await plain.end(supervised)


async def test_the_end_is_over(plain: Yard) -> None:
    supervised, client = await started(plain)
    await client.to_the_end()
    await plain.end(supervised)
    with pytest.raises((NotRunning, LaunchError)):
        await StepClient().attach(plain.launcher, supervised)


# -- terminals


async def test_a_terminal(plain: Yard) -> None:
    body = (
        "[ $R = 1 ] && exit; trap 'stty size' WINCH; tty; stty size; until read line; do :; done;"
        " echo got $line; read x; exit 7"
    )
    supervised, client = await started(plain, body, 2, pty=True, rows=33, columns=101)
    await client.until(0, b"33 101\r\n")
    assert bytes(client.out[0]).startswith(b"/dev/pts/")
    await client.send(19, ALL, struct.pack("<HH", 40, 120))
    await client.until(0, b"40 120\r\n")
    await client.send(16, ALL, b"hello\r")
    await client.until(0, b"got hello\r\n")
    await client.send(16, ALL, b"x\r")
    await client.to_the_end()
    record = await plain.end(supervised)
    assert (record.exit_code, client.code(0)) == (7, 7)
    assert not client.out[1] and not client.err


async def test_ctrl_c_at_a_terminal_reaches_what_runs_in_front(plain: Yard) -> None:
    body = "trap 'echo int' INT; sleep 60; echo after; exit 2"
    supervised, client = await started(plain, body, pty=True)
    await asyncio.sleep(0.2)
    await client.send(16, ALL, b"\x03")
    await client.to_the_end()
    assert b"int\r\nafter\r\n" in client.out[0]
    assert client.code(0) == 2
    await plain.end(supervised)


async def test_the_end_of_input_at_a_terminal(plain: Yard) -> None:
    supervised, client = await started(plain, "cat; echo bye", pty=True)
    await client.send(16, ALL, b"text\r")
    await client.until(0, b"text\r\ntext\r\n")
    await client.send(17)
    await client.to_the_end()
    assert client.out[0].endswith(b"bye\r\n")
    await plain.end(supervised)


async def test_a_terminal_belongs_to_its_user(plain: Yard) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs uid 0")
    supervised, client = await started(
        plain, "stat -c %u $(tty); echo here > /dev/tty", pty=True, uid=65534, gid=65534, cwd="/"
    )
    await client.to_the_end()
    assert client.out[0] == b"65534\r\nhere\r\n"
    await plain.end(supervised)

"""Tasks of --mpi=pmi2 under a supervisor."""

from __future__ import annotations

import sys
from pathlib import Path

from packhorse.agent.launch.pmi import exchange
from packhorse.cli.slurm.steps.pmi import Star
from tests.agent.launch.stepclient import ALL
from tests.agent.launch.steps import ran, started
from tests.agent.launch.yard import Yard

PROGRAM = Path(__file__).parent.parent.parent / "pmi_program.py"
BODY = f"SLURMD_NODENAME=n1 exec {sys.executable} {PROGRAM} "


async def test_one_node_needs_nobody_else(plain: Yard) -> None:
    record, client = await ran(plain, BODY + "2", 3, mpi="pmi2")
    assert (record.cause, record.exit_code, client.err) == ("exited", 0, {})
    assert sorted(map(bytes, client.out.values())) == [
        f"{rank} 3 (vector,(0,1,3)) n1\n".encode() for rank in range(3)
    ]
    assert client.pmi == []


async def test_the_other_node_is_heard_of_by_the_owner(plain: Yard) -> None:
    supervised, client = await started(plain, BODY + "1", 2, mpi="pmi2", n_tasks=4, n_nodes=2)
    star = Star([[0, 1], [2, 3]])
    for payload in star.greeting():
        await client.send(21, ALL, payload)
    told = 0
    for fence in range(2):
        while len(client.pmi) == told:
            await client.read()
        put = [exchange.pack_pair(b"%d.%d" % (fence, rank), b"%d/%d/n2" % (fence, rank)) for rank in (2, 3)]
        said = [answer for payload in exchange.parts(fence + 1, put) for answer in star.heard(1, payload)]
        for _, payload in client.pmi[told:]:
            said += star.heard(0, payload)
        told = len(client.pmi)
        for answer in said:
            await client.send(21, ALL, answer)
    await client.to_the_end()
    record = await plain.end(supervised)
    assert (record.cause, record.exit_code, client.err) == ("exited", 0, {})
    assert sorted(map(bytes, client.out.values())) == [
        f"{rank} 4 (vector,(0,2,2)) n1,n2\n".encode() for rank in range(2)
    ]


async def test_an_abort_is_how_the_step_ended(plain: Yard) -> None:
    record, client = await ran(plain, BODY + "1 abort 7", 3, mpi="pmi2")
    assert (record.exit_code, record.signal) == (7, 0)
    assert client.notices[0].endswith("error: task 1 aborted the step with code 7")
    assert (ALL, exchange.aborted(7)) in client.pmi


async def test_a_task_that_dies_while_others_wait(plain: Yard) -> None:
    record, client = await ran(plain, BODY + "2 die", 3, mpi="pmi2")
    assert (client.code(1), record.exit_code) == (3, 1)
    assert "task 1 ended without coming to the PMI fence" in client.notices[0]


async def test_rubbish_ends_the_step(plain: Yard) -> None:
    record, client = await ran(plain, "exec bash -c 'echo rubbish >&$PMI_FD; exec sleep 60'", 2, mpi="pmi2")
    assert record.exit_code == 1
    assert "speaks no PMI: 'rubbish" in client.notices[0]


async def test_one_that_does_not_read_its_answers_is_hung_up_on(plain: Yard) -> None:
    """And nothing is kept for it."""
    flood = (
        "import os, socket; s = socket.socket(fileno=int(os.environ['PMI_FD']))\n"
        "s.sendall(b'cmd=init pmi_version=1 pmi_subversion=1\\n')\n"
        "try:\n while True: s.sendall(b'cmd=get_maxes\\n' * 100)\n"
        "except OSError: print('hung up')"
    )
    record, client = await ran(plain, argv=(sys.executable, "-c", flood), mpi="pmi2")
    assert (record.exit_code, bytes(client.out[0])) == (0, b"hung up\n")


async def test_the_socket_is_the_tasks_alone(plain: Yard) -> None:
    body = 'ls -l /proc/self/fd | grep -c socket; [ -S /proc/self/fd/"$PMI_FD" ] && echo yes'
    _, client = await ran(plain, body, 4, mpi="pmi2")
    assert [bytes(out) for out in client.out.values()] == [b"1\nyes\n"] * 4

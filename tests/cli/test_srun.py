"""srun: what it asks for, and what it makes of what comes back."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.cli.slurm.steps import allocation
from packhorse.cli.transport import TransportError
from tests.cli import fake_door
from tests.cli.fake_door import Visit
from tests.cli.fake_scheduler import FakeScheduler
from tests.cli.stepped import WITHIN_S, Stepped

INSIDE = {"SLURM_JOB_ID": "12"}


@pytest.fixture
def stepped(scheduler: FakeScheduler, tmp_path: Path) -> Iterator[Stepped]:
    world = Stepped(scheduler, tmp_path)
    yield world
    world.close()


def plays(*acts: Callable[[Visit], None], ranks: list[int] | None = None) -> Callable[[Visit], None]:
    """A door that lets a client in, does these things and closes."""

    def script(visit: Visit) -> None:
        visit.welcome(ranks if ranks is not None else [0])
        for act in acts:
            act(visit)
        visit.over()

    return script


def says(rank: int, data: bytes, kind: int = fake_door.OUT) -> Callable[[Visit], None]:
    return lambda visit: visit.send(kind, rank, data)


def ends(rank: int, code: int = 0, number: int = 0) -> Callable[[Visit], None]:
    return lambda visit: visit.ended(rank, code, number)


def test_outside_of_a_job_it_makes_one_runs_the_step_and_ends_it(stepped: Stepped) -> None:
    stepped.serve(([0], plays(says(0, b"here\n"), ends(0))))
    assert stepped.run("srun", "-n", "1", "-t", "5", "--mem=1G", "-p", "main", "hostname") == (
        0,
        "here\n",
        "",
    )
    methods = [method for method, _ in stepped.scheduler.requests]
    assert methods == ["SubmitJob", "AwaitAllocation", "CreateStep", "EndAllocation"]
    job = stepped.scheduler.bodies("SubmitJob")[0]["spec"]
    assert (job["allocation"], job["name"], job["partition"], job["timeLimitS"]) == (
        "srun",
        "hostname",
        "main",
        300,
    )
    assert job["ask"] == {"nTasks": 1, "memMibPerNode": 1024}
    assert "script" not in job and "environment" not in job
    spec = stepped.spec()
    assert spec["argv"] == ["/usr/bin/hostname"] or spec["argv"] == ["/bin/hostname"]
    assert spec["nTasks"] == 1 and "memMibPerNode" not in spec, "the step has what the job has"
    assert stepped.scheduler.bodies("EndAllocation")[0].keys() == {"jobId", "idempotencyKey"}


def test_within_a_job_it_only_makes_a_step(stepped: Stepped) -> None:
    stepped.serve(([0], plays(ends(0))))
    assert stepped.run("srun", "-n1", "--mem=1G", "-p", "other", "true", variables=INSIDE) == (0, "", "")
    assert [method for method, _ in stepped.scheduler.requests] == ["CreateStep"]
    assert stepped.spec()["memMibPerNode"] == 1024
    assert stepped.scheduler.bodies("CreateStep")[0]["jobId"] == 12


@pytest.mark.parametrize("variables", [{}, INSIDE])
def test_overcommitted_tasks_are_all_asked_for(stepped: Stepped, variables: dict[str, str]) -> None:
    """The job of its own is not made for so many, the step is."""
    stepped.serve(([0], plays(ends(0))))
    assert stepped.run("srun", "-N1", "-n16", "-O", "true", variables=variables) == (0, "", "")
    assert stepped.spec()["nTasks"] == 16
    for body in stepped.scheduler.bodies("SubmitJob"):
        assert "nTasks" not in body["spec"]["ask"]


def test_lines_of_tasks_are_labelled_and_never_mixed(stepped: Stepped) -> None:
    stepped.serve(
        (
            [0, 1],
            plays(
                says(0, b"one "), says(1, b"two\nthr"), says(0, b"line\n\n"), says(1, b"ee"), ends(0),
                ends(1), ranks=[0, 1],
            ),
        )
    )  # fmt: skip
    assert stepped.run("srun", "-l", "-n2", "x") == (0, "1: two\n0: one line\n0: \n1: three\n", "")


def test_labels_are_as_wide_as_the_largest(stepped: Stepped) -> None:
    ranks = list(range(12))
    stepped.serve(
        (ranks, plays(says(3, b"a\n"), says(11, b"b\n"), *[ends(rank) for rank in ranks], ranks=ranks))
    )
    assert stepped.run("srun", "-l", "-n12", "x")[1] == " 3: a\n11: b\n"


def test_without_labels_lines_stay_whole_too(stepped: Stepped) -> None:
    stepped.serve(
        ([0, 1], plays(says(0, b"a"), says(1, b"b"), says(0, b"A\n"), ends(0), ends(1), ranks=[0, 1]))
    )
    assert stepped.run("srun", "-n2", "x")[1] == "aA\nb"


def test_unbuffered_output_is_passed_on_as_it_comes(stepped: Stepped) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"name? ")
        visit.read_until(fake_door.INPUT)
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    process = stepped.start("srun", "-u", "-n1", "x", stdin=subprocess.PIPE)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.read(6) == b"name? "
    process.stdin.write(b"me\n")
    process.stdin.flush()
    assert process.wait(WITHIN_S) == 0


@pytest.mark.parametrize(
    ("acts", "code", "lines"),
    [
        ([ends(0, 5), ends(1), ends(2)], 5, ["srun: error: node1: task 0: Exited with exit code 5"]),
        (
            [ends(0), ends(1, 1), ends(2, 2)],
            2,
            [
                "srun: error: node1: task 1: Exited with exit code 1",
                "srun: error: node1: task 2: Exited with exit code 2",
            ],
        ),
        (
            [ends(0, 0, 9), ends(1, 3), ends(2)],
            137,
            [
                "srun: error: node1: task 0: Killed",
                "srun: error: node1: task 1: Exited with exit code 3",
                "srun: Force Terminated StepId=12.0",
            ],
        ),
        (
            [ends(0), ends(1), ends(2, 0, 11 | 0x80)],
            139,
            [
                "srun: error: node1: task 2: Segmentation fault (core dumped)",
                "srun: Force Terminated StepId=12.0",
            ],
        ),
        (
            [ends(0, 0, 125), ends(1), ends(2)],
            253,
            ["srun: error: node1: task 0: Out Of Memory", "srun: Force Terminated StepId=12.0"],
        ),
    ],
)
def test_the_code_is_the_highest_and_every_bad_end_is_told(
    stepped: Stepped, acts: list[Callable[[Visit], None]], code: int, lines: list[str]
) -> None:
    stepped.serve(([0, 1, 2], plays(*acts, ranks=[0, 1, 2])))
    assert stepped.run("srun", "-n3", "x") == (code, "", "".join([line + "\n" for line in lines]))
    ended = stepped.scheduler.bodies("EndAllocation")[0]
    assert (ended.get("exitCode", 0), ended.get("exitSignal", 0)) == (
        (code, 0) if code < 129 else (0, code - 128)
    )


def test_tasks_of_a_node_that_end_alike_are_told_together(stepped: Stepped) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0, 1, 2, 3])
        visit.connection.sendall(
            b"".join(
                [
                    fake_door.frame(fake_door.ENDED, rank, (7 << 8).to_bytes(4, "little"))
                    for rank in (0, 1, 3, 2)
                ]
            )
        )
        visit.over()

    stepped.serve(([0, 1, 2, 3], script))
    assert stepped.run("srun", "-n4", "x")[2] == "srun: error: node1: tasks 0-3: Exited with exit code 7\n"


def test_a_program_that_is_not_there(stepped: Stepped) -> None:
    text = b"execve(): /nosuch/program: No such file or directory"
    stepped.serve(
        (
            [0],
            plays(
                lambda visit: visit.send(fake_door.NOT_STARTED, 0, (2).to_bytes(4, "little") + text),
                ends(0, 2),
            ),
        )
    )
    assert stepped.run("srun", "-t", "5", "/nosuch/program") == (
        2,
        "",
        (
            "srun: error: node1: task 0: Exited with exit code 2\n"
            "packhorse-node1: error: execve(): /nosuch/program: No such file or directory\n"
        ),
    )


def test_kill_on_bad_exit_ends_the_others(stepped: Stepped) -> None:
    def bad(visit: Visit) -> None:
        visit.welcome([0])
        visit.ended(0, 4)
        visit.over()

    def other(visit: Visit) -> None:
        visit.welcome([1])
        ended = visit.read_until(fake_door.END)[-1]
        assert int.from_bytes(ended[2], "little") >= 1000, "time to end by itself"
        visit.ended(1, 0, 15)
        visit.over()

    stepped.serve(([0], bad), ([1], other))
    code, _, err = stepped.run("srun", "-n2", "-K1", "x")
    assert code == 143
    assert err.splitlines() == [
        "srun: error: node1: task 0: Exited with exit code 4",
        "srun: launch/slurm: _step_signal: Terminating StepId=12.0",
        "srun: error: node2: task 1: Terminated",
        "srun: Force Terminated StepId=12.0",
    ]


def test_wait_ends_those_that_go_on_for_too_long(stepped: Stepped) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0, 1])
        visit.ended(0)
        visit.read_until(fake_door.END)
        visit.ended(1, 0, 15)
        visit.over()

    stepped.serve(([0, 1], script))
    code, _, err = stepped.run("srun", "-n2", "-W1", "x")
    assert code == 143
    assert err.splitlines()[:3] == [
        "srun: First task exited 1s ago",
        "srun: StepId=12.0 task 1: running",
        "srun: StepId=12.0 task 0: exited",
    ]


def test_input_goes_to_all_tasks_and_ends(stepped: Stepped) -> None:
    got: dict[int, bytes] = {}

    def echo(rank: int) -> Callable[[Visit], None]:
        def script(visit: Visit) -> None:
            visit.welcome([rank])
            found = visit.read_until(fake_door.INPUT_END)
            assert all(to == fake_door.ALL for kind, to, _ in found if kind == fake_door.INPUT)
            got[rank] = b"".join([data for kind, _, data in found if kind == fake_door.INPUT])
            visit.send(fake_door.OUT, rank, got[rank])
            visit.ended(rank)
            visit.over()

        return script

    stepped.serve(([0], echo(0)), ([1], echo(1)))
    code, out, _ = stepped.run("srun", "-n2", "-l", "cat", stdin=b"line one\nline two\n")
    assert code == 0
    assert sorted(out.splitlines()) == ["0: line one", "0: line two", "1: line one", "1: line two"]
    assert got[0] == got[1]


def test_much_input_and_output_at_once(stepped: Stepped) -> None:
    """Bounded memory on the way, and no byte lost."""
    sent = bytes(range(32, 127)) * 20_000

    def script(visit: Visit) -> None:
        visit.welcome([0])
        total = 0
        while (one := visit.read()) is not None and one[0] != fake_door.INPUT_END:
            if one[0] == fake_door.INPUT:
                total += len(one[2])
                visit.send(fake_door.OUT, 0, one[2])
                visit.take(total)
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    code, out, err = stepped.run("srun", "-n1", "cat", stdin=sent)
    assert (code, err) == (0, "")
    assert out.encode() == sent


def test_input_that_nobody_takes_is_not_read_for_ever(stepped: Stepped) -> None:
    """A signal must not wait behind it."""

    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"ready\n")
        found = visit.read_until(fake_door.SIGNAL)
        assert sum([len(data) for kind, _, data in found if kind == fake_door.INPUT]) <= 256 << 10
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    with open("/dev/zero", "rb") as zero:
        process = stepped.start("srun", "-n1", "x", stdin=zero)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(WITHIN_S) == 0


def test_input_goes_on_after_a_broken_connection(stepped: Stepped) -> None:
    """What came whole is not sent again, what did not is."""

    def script(visit: Visit) -> None:
        if "got" not in visit.hello:
            visit.welcome([0])
            visit.send(fake_door.OUT, 0, b"ready\n")
            first = visit.read()
            assert first is not None and first[2] == b"one\n"
            return
        visit.welcome([0], got=4)
        found = visit.read_until(fake_door.INPUT_END)
        assert b"".join([data for kind, _, data in found if kind == fake_door.INPUT]) == b"two\n"
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", "x", stdin=subprocess.PIPE)
    assert process.stdin is not None and process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"one\n")
    process.stdin.flush()
    while len(stepped.doors[0].visits) < 2:
        time.sleep(0.01)
    process.stdin.write(b"two\n")
    process.stdin.close()
    assert process.wait(WITHIN_S) == 0


@pytest.mark.parametrize(
    ("words", "rank", "sent"),
    [(["--input=none"], -2, None), (["--input=1"], 1, b"x\n"), (["--input=in.txt"], None, b"from a file\n")],
)
def test_input_of_one_task_of_a_file_or_of_nobody(
    stepped: Stepped, words: list[str], rank: int | None, sent: bytes | None
) -> None:
    (stepped.root / "in.txt").write_bytes(b"from a file\n")
    got: list[fake_door.Frame] = []

    def script(visit: Visit) -> None:
        visit.welcome([0, 1])
        if sent is not None:
            got.extend(visit.read_until(fake_door.INPUT_END))
        visit.ended(0)
        visit.ended(1)
        visit.over()

    stepped.serve(([0, 1], script))
    assert stepped.run("srun", "-n2", *words, "cat", stdin=b"x\n")[0] == 0
    assert stepped.spec().get("inputRank") == rank
    if sent is not None:
        assert b"".join([data for kind, _, data in got if kind == fake_door.INPUT]) == sent
        assert got[-1][1] == (fake_door.ALL if rank is None else rank)


def test_output_in_files(stepped: Stepped) -> None:
    acts = [says(0, b"out\n"), says(0, b"err\n", fake_door.ERR), ends(0)]
    stepped.serve(([0], plays(*acts)))
    assert stepped.run("srun", "-n1", "-J", "name", "-o", "o-%j.%s-%x", "x") == (0, "", "")
    assert (stepped.root / "o-12.0-name").read_bytes() == b"out\nerr\n", "errors go where output goes"
    stepped.serve(([0], plays(*acts)))
    assert stepped.run("srun", "-n1", "-o", "o-%J", "--open-mode=append", "-e", "e", "x") == (0, "", "")
    stepped.serve(([0], plays(*acts)))
    assert stepped.run("srun", "-n1", "-o", "o-%J", "--open-mode=append", "-e", "e", "x") == (0, "", "")
    assert (stepped.root / "o-12.0").read_bytes() == b"out\nout\n"
    assert (stepped.root / "e").read_bytes() == b"err\nerr\n"
    assert "stdOut" not in stepped.spec(), "srun writes it itself"


@pytest.mark.parametrize(
    ("words", "std_out", "std_err"),
    [
        (["-o", "o.%t"], "o.%t", None),
        (["-o", "o.%3n", "-e", "e.%N"], "o.%3n", "e.%N"),
        (["-e", "e.%t"], None, "e.%t"),
        (["-o", "none"], "/dev/null", None),
        (["-o", "o.%%t"], None, None),
    ],
)
def test_files_of_every_task_are_the_nodes_business(
    stepped: Stepped, words: list[str], std_out: str | None, std_err: str | None
) -> None:
    stepped.serve(([0], plays(ends(0))))
    assert stepped.run("srun", "-n1", *words, "x")[0] == 0
    assert (stepped.spec().get("stdOut"), stepped.spec().get("stdErr")) == (std_out, std_err)


def test_output_of_one_task(stepped: Stepped) -> None:
    acts = [says(0, b"zero\n"), says(1, b"one\n"), ends(0), ends(1)]
    stepped.serve(([0, 1], plays(*acts, ranks=[0, 1])))
    assert stepped.run("srun", "-n2", "-o", "1", "x") == (0, "one\n", "")


def test_ctrl_c_once_tells_twice_ends(stepped: Stepped) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"ready\n")
        found = visit.read_until(fake_door.END)
        assert [data for kind, _, data in found if kind == fake_door.SIGNAL] == [bytes([signal.SIGINT])]
        visit.ended(0, 0, 2)
        visit.over()

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", "x")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == b"srun: interrupt (one more within 1 sec to abort)\n"
    assert process.stderr.readline() == b"srun: StepId=12.0 task 0: running\n"
    process.send_signal(signal.SIGINT)
    told = process.stderr.read().decode().splitlines()
    assert process.wait(WITHIN_S) == 130, told
    assert told == [
        "srun: sending Ctrl-C to StepId=12.0",
        "srun: forcing job termination",
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.",
        "srun: error: node1: task 0: Interrupt",
        "srun: Force Terminated StepId=12.0",
    ]


@pytest.mark.parametrize("words", [["-X"], ["--quit-on-interrupt"]])
def test_ctrl_c_may_mean_the_tasks_at_once(stepped: Stepped, words: list[str]) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"ready\n")
        found = visit.read_until(fake_door.SIGNAL if words == ["-X"] else fake_door.END)
        assert (fake_door.SIGNAL, fake_door.ALL, bytes([signal.SIGINT])) in found
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", *words, "x")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(WITHIN_S) == 0


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP])
def test_signals_are_passed_on(stepped: Stepped, number: signal.Signals) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"ready\n")
        assert visit.read_until(fake_door.SIGNAL)[-1] == (fake_door.SIGNAL, fake_door.ALL, bytes([number]))
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", "x")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.wait(WITHIN_S) == 0


def test_term_ends_the_step(stepped: Stepped) -> None:
    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"ready\n")
        visit.read_until(fake_door.END)
        visit.ended(0, 0, 15)
        visit.over()

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", "x")
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 143
    assert process.stderr.readline() == b"srun: forcing job termination\n"


def test_a_broken_connection_is_opened_again_where_it_was(stepped: Stepped) -> None:
    """In the middle of a frame, and what was sent before is not asked for again."""
    whole = fake_door.frame(fake_door.OUT, 0, b"first\n") + fake_door.frame(fake_door.OUT, 0, b"second\n")
    cut = len(whole) - 3

    def script(visit: Visit) -> None:
        visit.welcome([0])
        if "got" not in visit.hello:
            visit.connection.sendall(whole[:cut])
            return
        assert visit.hello["got"] == cut
        visit.connection.sendall(whole[cut:])
        visit.ended(0)
        visit.over()

    stepped.serve(([0], script))
    assert stepped.run("srun", "-n1", "x") == (0, "first\nsecond\n", "")
    assert [visit["as"] for visit in stepped.doors[0].visits] == ["owner", "owner"]
    assert stepped.doors[0].visits[0]["attach"] == "12.1.1.0"


def test_a_door_that_is_away_is_tried_again(stepped: Stepped) -> None:
    """The agent starts anew just then."""
    stepped.serve(([0], plays(ends(0))))
    door = stepped.doors[0].path
    door.rename(door.with_suffix(".away"))
    process = stepped.start("srun", "-n1", "x")
    while not stepped.scheduler.bodies("CreateStep"):
        time.sleep(0.01)
    time.sleep(0.3)
    door.with_suffix(".away").rename(door)
    assert process.wait(WITHIN_S) == 0


def test_a_door_that_refuses_is_not_tried_again(stepped: Stepped) -> None:
    stepped.serve(([0], lambda visit: visit.refuse("the step is somebody else's")))
    code, _, err = stepped.run("srun", "-n1", "x")
    assert code == 1
    assert err == (
        "srun: error: Task launch for StepId=12.0 failed on node node1: node1: the step is somebody else's\n"
    )
    assert len(stepped.doors[0].visits) == 1


def test_a_node_that_is_lost_ends_the_step_on_the_others(stepped: Stepped) -> None:
    def lost(visit: Visit) -> None:
        if len(stepped.doors[0].visits) == 1:
            visit.welcome([0])
        else:
            visit.refuse("no step 12.0")

    def other(visit: Visit) -> None:
        visit.welcome([1])
        visit.read_until(fake_door.END)
        visit.ended(1, 0, 15)
        visit.over()

    stepped.serve(([0], lost), ([1], other))
    code, _, err = stepped.run("srun", "-n2", "x")
    assert code == 143
    assert "srun: error: Node failure on node1 (node1: no step 12.0)\n" in err


def test_a_node_that_stays_away_is_given_up_when_the_scheduler_does(stepped: Stepped) -> None:
    stepped.serve(([0], plays(ends(0))))
    stepped.scheduler.fail("GetStep", "not_found", "step 12.0 is over", "Invalid job id specified", 404)
    door = stepped.doors[0].path
    door.rename(door.with_suffix(".away"))
    code, _, err = stepped.run("srun", "-n1", "x")
    door.with_suffix(".away").rename(door)
    assert code == 1
    assert err == "srun: error: Task launch for StepId=12.0 failed on node node1: step 12.0 is over\n"


def test_a_step_that_has_no_room_is_asked_for_again(stepped: Stepped) -> None:
    stepped.serve(([0], plays(ends(0))))
    made = stepped.scheduler.handlers["CreateStep"]
    waits: list[object] = []

    def busy(body: dict[str, object]) -> object:
        waits.append(body.get("waitS"))
        return {"busy": "2 CPUs of node1"} if len(waits) < 3 else made(body)

    stepped.scheduler.handlers["CreateStep"] = busy  # type: ignore[assignment]
    assert stepped.run("srun", "-n1", "x", variables=INSIDE) == (
        0,
        "",
        (
            "srun: Job 12 step creation temporarily disabled, retrying (Requested nodes are busy)\n"
            "srun: Step created for StepId=12.0\n"
        ),
    )
    assert waits[0] is None and waits[1] == waits[2] == 50, "told at once, then waits at the scheduler"
    keys = [body["idempotencyKey"] for body in stepped.scheduler.bodies("CreateStep")]
    assert len(set(keys)) == 3


def test_immediate_gives_up(stepped: Stepped) -> None:
    stepped.scheduler.on("AwaitAllocation", {"state": "PENDING", "reason": "Resources"})
    code, out, err = stepped.run("srun", "-I", "-N", "2", "--exclusive", "-t", "5", "true")
    assert (code, out) == (1, "")
    assert err == "srun: error: Unable to allocate resources: Requested nodes are busy\n"
    assert stepped.scheduler.bodies("EndAllocation"), "nothing is left behind"
    assert stepped.run("srun", "-I", "true", variables={"SLURM_EXIT_IMMEDIATE": "7"})[0] == 7
    stepped.scheduler.on("CreateStep", {"busy": "node1"})
    code, _, err = stepped.run("srun", "-I", "true", variables=INSIDE)
    assert (code, err) == (1, "srun: error: Unable to create step for job 12: Requested nodes are busy\n")


def test_waiting_for_a_job_is_told_and_may_be_given_up(stepped: Stepped) -> None:
    stepped.scheduler.on("AwaitAllocation", {"state": "PENDING", "reason": "PartitionConfig"})
    process = stepped.start("srun", "-N", "1", "-n", "64", "true")
    assert process.stderr is not None
    assert process.stderr.readline() == b"srun: Requested partition configuration not available now\n"
    assert process.stderr.readline() == b"srun: job 12 queued and waiting for resources\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 1
    assert process.stderr.read() == (
        b"srun: Job allocation 12 has been revoked\nsrun: Force Terminated JobId=12\n"
    )
    assert stepped.scheduler.bodies("EndAllocation")


def test_a_job_that_waited_is_told_when_it_starts(stepped: Stepped) -> None:
    stepped.serve(([0], plays(ends(0))))
    ready = stepped.scheduler.handlers["AwaitAllocation"]
    asked: list[object] = []

    def first_not(body: dict[str, object]) -> object:
        asked.append(body["timeoutS"])
        return {"state": "PENDING", "reason": "Resources"} if len(asked) < 2 else ready(body)

    stepped.scheduler.handlers["AwaitAllocation"] = first_not  # type: ignore[assignment]
    assert stepped.run("srun", "true") == (
        0,
        "",
        "srun: job 12 queued and waiting for resources\nsrun: job 12 has been allocated resources\n",
    )
    assert asked == [1, 50]


def test_a_job_that_ends_before_it_starts(stepped: Stepped) -> None:
    stepped.scheduler.on("AwaitAllocation", {"state": "CANCELLED", "detail": "cancelled by root"})
    code, _, err = stepped.run("srun", "true")
    assert (code, err) == (1, "srun: error: Job allocation 12 has been revoked: cancelled by root\n")


def test_what_the_scheduler_refuses(stepped: Stepped) -> None:
    stepped.scheduler.fail(
        "CreateStep", "not_found", "job 9999 is not known", "Invalid job id specified", 404
    )
    assert stepped.run("srun", "--jobid=9999", "true") == (
        1,
        "",
        (
            "srun: error: Unable to confirm allocation for job 9999: Invalid job id specified\n"
            "srun: Check SLURM_JOB_ID environment variable. Expired or invalid job 9999\n"
        ),
    )
    why = "More processors requested than permitted"
    stepped.scheduler.fail("CreateStep", "failed_precondition", why, why)
    code, _, err = stepped.run("srun", "-n99", "true", variables=INSIDE)
    assert (code, err) == (1, f"srun: error: Unable to create step for job 12: {why}\n")
    stepped.scheduler.fail(
        "SubmitJob", "invalid_argument", "partition x: none", "Invalid partition name specified"
    )
    code, _, err = stepped.run("srun", "-p", "x", "true", variables={"SLURM_EXIT_ERROR": "9"})
    assert code == 9
    assert err.endswith("srun: error: Unable to allocate resources: Invalid partition name specified\n")


def test_a_refused_step_of_ones_own_job_ends_the_job(stepped: Stepped) -> None:
    stepped.scheduler.fail("CreateStep", "failed_precondition", "no", "Invalid node name specified")
    assert stepped.run("srun", "true")[0] == 1
    assert stepped.scheduler.bodies("EndAllocation")[0]["exitCode"] == 1


def test_output_that_nobody_reads_ends_the_step(stepped: Stepped) -> None:
    def until_told(visit: Visit) -> None:
        visit.welcome([0])
        visit.connection.settimeout(0.05)
        for _ in range(400):
            visit.send(fake_door.OUT, 0, b"y\n")
            try:
                if (one := visit.read()) is not None and one[0] == fake_door.END:
                    break
            except TimeoutError:
                visit._file = visit.connection.makefile("rb")
        else:
            raise AssertionError("never told to end")
        visit.ended(0, 0, 15)
        visit.over()

    stepped.serve(([0], until_told))
    process = stepped.start("srun", "-n1", "yes")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(WITHIN_S) == 143


def test_a_slow_reader_does_not_keep_signals_away(stepped: Stepped) -> None:
    def script(visit: Visit) -> None:
        if len(stepped.doors[0].visits) > 1:
            visit.refuse("no step 12.0")
            return
        visit.welcome([0])
        visit.connection.setblocking(False)
        for _ in range(200):
            try:
                visit.connection.send(fake_door.frame(fake_door.OUT, 0, b"y" * 4095 + b"\n"))
            except BlockingIOError:
                break
        visit.connection.setblocking(True)
        visit.read_until(fake_door.SIGNAL)
        visit.connection.shutdown(2)

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", "yes")
    time.sleep(0.7)  # its output pipe is full now, and it writes
    process.send_signal(signal.SIGUSR1)
    stepped.scheduler.fail("GetStep", "not_found", "over", "over", 404)
    out, _ = process.communicate(timeout=WITHIN_S)
    assert out


def test_a_job_is_given_back_when_srun_is_killed(stepped: Stepped) -> None:
    """Nobody could do so afterwards."""

    def script(visit: Visit) -> None:
        visit.welcome([0])
        visit.send(fake_door.OUT, 0, b"ready\n")
        while visit.read() is not None:
            pass

    stepped.serve(([0], script))
    process = stepped.start("srun", "-n1", "x")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.kill()
    assert process.stdout.read() == b"", "nobody else holds its output"
    until = time.monotonic() + WITHIN_S
    while not stepped.scheduler.bodies("EndAllocation"):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert stepped.scheduler.bodies("EndAllocation")[0]["exitSignal"] == signal.SIGKILL


def test_a_scheduler_that_is_away_is_told_of_the_end_when_it_is_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the job would keep its nodes."""
    calls: list[dict[str, Any]] = []

    def call(method: str, body: dict[str, Any]) -> dict[str, Any]:
        calls.append(body)
        if len(calls) < 4:
            raise TransportError("no scheduler is running")
        return {}

    monkeypatch.setattr(allocation, "call", call)
    monkeypatch.setattr(allocation, "END_PAUSE_S", 0.0)
    allocation.end(7, 3)
    assert len(calls) == 4 and all(body == calls[0] for body in calls)
    monkeypatch.setattr(allocation, "END_WITHIN_S", -1.0)
    calls.clear()
    allocation.end(7, 3)
    assert len(calls) == 1
    assert "error: job 7 may still run: no scheduler is running" in capsys.readouterr().err

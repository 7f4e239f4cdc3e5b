"""salloc: the command, its environment, its end and the job's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.cli.slurm import salloc
from tests.cli.fake_scheduler import FakeScheduler
from tests.cli.stepped import WITHIN_S, Stepped

GRANTED = "salloc: Granted job allocation 12\n"
RELINQUISHED = "salloc: Relinquishing job allocation 12\n"


def _waits_in_vain(body: dict[str, object]) -> dict[str, object]:
    time.sleep(0.2)
    return {"results": []}


@pytest.fixture
def stepped(scheduler: FakeScheduler, tmp_path: Path) -> Iterator[Stepped]:
    world = Stepped(scheduler, tmp_path)
    scheduler.on("WaitJobs", _waits_in_vain)
    yield world
    world.close()


def test_a_command_runs_with_the_allocation(stepped: Stepped) -> None:
    words = [
        "-n",
        "2",
        "-t",
        "5",
        "-J",
        "held",
        "sh",
        "-c",
        "echo $SLURM_JOB_ID $STALE $SLURM_PROCID; exit 3",
    ]
    code, out, err = stepped.run("salloc", *words, variables={"STALE": "kept", "SLURM_PROCID": "7"})
    assert (code, out, err) == (3, "12 kept\n", GRANTED + RELINQUISHED)
    spec = stepped.scheduler.bodies("SubmitJob")[0]["spec"]
    assert (spec["allocation"], spec["name"], spec["ask"]) == ("salloc", "held", {"nTasks": 2})
    assert stepped.scheduler.bodies("EndAllocation")[0]["exitCode"] == 3


def test_without_a_command_it_is_a_shell(stepped: Stepped) -> None:
    code, out, _ = stepped.run(
        "salloc", "-Q", stdin=b"echo in $SLURM_JOB_ID\n", variables={"SHELL": "/bin/sh"}
    )
    assert (code, out) == (0, "in 12\n")
    assert stepped.scheduler.bodies("SubmitJob")[0]["spec"]["name"] == "interactive"


def test_no_shell_keeps_the_allocation(stepped: Stepped) -> None:
    assert stepped.run("salloc", "--no-shell", "-n", "1") == (0, "", GRANTED)
    assert not stepped.scheduler.bodies("EndAllocation")


def test_quiet_says_nothing(stepped: Stepped) -> None:
    assert stepped.run("salloc", "-Q", "true") == (0, "", "")


def test_waiting_is_told(stepped: Stepped) -> None:
    ready = stepped.scheduler.handlers["AwaitAllocation"]
    asked: list[object] = []

    def first_not(body: dict[str, object]) -> object:
        asked.append(body)
        return {"state": "PENDING", "reason": "Resources"} if len(asked) < 2 else ready(body)

    stepped.scheduler.handlers["AwaitAllocation"] = first_not  # type: ignore[assignment]
    assert stepped.run("salloc", "--bell", "true") == (
        0,
        "\a",
        "salloc: Pending job allocation 12\n"
        "salloc: job 12 queued and waiting for resources\n"
        "salloc: job 12 has been allocated resources\n" + GRANTED + RELINQUISHED,
    )


def test_giving_up_while_it_waits(stepped: Stepped) -> None:
    stepped.scheduler.on("AwaitAllocation", {"state": "PENDING", "reason": "Resources"})
    process = stepped.start("salloc", "true")
    assert process.stderr is not None
    assert process.stderr.readline() == b"salloc: Pending job allocation 12\n"
    assert process.stderr.readline() == b"salloc: job 12 queued and waiting for resources\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(WITHIN_S) == 1
    assert process.stderr.read() == (
        b"salloc: Job allocation 12 has been revoked.\nsalloc: error: Job aborted due to signal\n"
    )
    assert stepped.scheduler.bodies("EndAllocation")


def test_a_command_that_cannot_be_run(stepped: Stepped) -> None:
    code, out, err = stepped.run("salloc", "/nosuch")
    assert (code, out) == (1, "")
    assert err == (
        GRANTED
        + 'salloc: error: Unable to exec command "/nosuch": No such file or directory\n'
        + RELINQUISHED
    )


@pytest.mark.parametrize(("number", "code"), [("KILL", 0), ("INT", 0), ("TERM", 143), ("SEGV", 139)])
def test_a_command_that_a_signal_ends(stepped: Stepped, number: str, code: int) -> None:
    assert stepped.run("salloc", "-Q", "sh", "-c", f"kill -{number} $$")[0] == code


def test_signals_go_to_the_command(stepped: Stepped) -> None:
    script = "trap 'echo got term; exit 4' TERM; echo ready; while :; do sleep 0.05; done"
    process = stepped.start("salloc", "-Q", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == b"got term\n"
    assert process.wait(WITHIN_S) == 4


@pytest.mark.parametrize(("words", "signalled"), [([], False), (["-K"], True), (["-KUSR1"], True)])
def test_the_end_of_the_job_is_told_to_the_command_where_that_is_asked_for(
    stepped: Stepped, words: list[str], signalled: bool
) -> None:
    marker = stepped.root / "marker"

    def over(body: dict[str, object]) -> dict[str, object]:
        while not marker.exists():
            time.sleep(0.01)
        return {"allEnded": True, "results": [{"state": "CANCELLED"}]}

    stepped.scheduler.on("WaitJobs", over)
    script = (
        "trap 'echo told; exit 9' TERM USR1; echo ready; touch marker; "
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done; exit 5"
    )
    code, out, err = stepped.run("salloc", *words, "sh", "-c", script)
    assert (code, out) == ((9, "ready\ntold\n") if signalled else (5, "ready\n"))
    assert err == GRANTED + "salloc: Job allocation 12 has been revoked.\n" + RELINQUISHED


def test_wrong_command_lines(stepped: Stepped) -> None:
    code, _, err = stepped.run("salloc", "--nosuch")
    assert (code, err) == (
        255,
        "salloc: unrecognized option '--nosuch'\nTry \"salloc --help\" for more information\n",
    )
    code, _, err = stepped.run("salloc", "--no-shell", "true")
    assert (code, err) == (1, "salloc: error: --no-shell runs no command, and one is given: true\n")
    assert stepped.run("salloc", "-Knosuch", "true")[0] == 255
    assert stepped.run("salloc", "-n1", ":", "-n2", "true")[0] == 255
    code, _, err = stepped.run("salloc", "--x11", "-Q", "true")
    assert (code, err) == (0, "salloc: warning: option --x11 has no effect\n")


def test_variables_stand_for_options(stepped: Stepped) -> None:
    variables = {
        "SALLOC_PARTITION": "main",
        "SALLOC_TIMELIMIT": "7",
        "SLURM_NTASKS": "5",
        "SALLOC_EXCLUSIVE": "",
    }
    assert stepped.run("salloc", "-Q", "-p", "other", "true", variables=variables)[0] == 0
    spec = stepped.scheduler.bodies("SubmitJob")[0]["spec"]
    assert (spec["partition"], spec["timeLimitS"], spec["ask"]) == ("other", 420, {"exclusive": True})


def test_a_signal_that_comes_while_the_command_is_being_started_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command may run, and say so, before salloc knows that it does."""
    read = os.read

    def with_a_signal_before(fd: int, size: int) -> bytes:
        os.kill(os.getpid(), signal.SIGTERM)
        return read(fd, size)

    numbers = ("SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTTOU")
    before = {number: signal.getsignal(number) for number in (getattr(signal, name) for name in numbers)}
    monkeypatch.setattr(os, "read", with_a_signal_before)
    try:
        child = salloc._Child("/bin/sleep", ["sleep", "60"], {}, "/", False)
        monkeypatch.undo()
        assert os.WTERMSIG(os.waitpid(child.pid, 0)[1]) == signal.SIGTERM
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

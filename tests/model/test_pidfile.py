"""Pid files: who runs, who does no longer, and who only looks."""

from __future__ import annotations

import fcntl
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.scheduler.model.pidfile import AlreadyRunning, PidFile, running_pid

EXIT = {"x86_64": 60, "aarch64": 93}
"""The system call that ends one thread."""

# Its first thread ends as in a killed process; another lives on until told to end, and with it the open file.
GOING = """\
import ctypes, sys, threading
from packhorse.scheduler.model.pidfile import PidFile
held = PidFile(sys.argv[1])
threading.Thread(target=lambda: sys.stdin.read()).start()
ctypes.CDLL(None).syscall(int(sys.argv[2]), 0)
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "daemon.pid")


@pytest.fixture
def going(path: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds the file and is over but for one thread."""
    number = EXIT.get(platform.machine())
    if number is None:
        pytest.skip(f"no system call's number is known for {platform.machine()}")
    with subprocess.Popen([sys.executable, "-c", GOING, path, str(number)], stdin=subprocess.PIPE) as process:
        while b") Z " not in Path(f"/proc/{process.pid}/stat").read_bytes():
            pass
        yield process
        process.kill()


def test_a_daemon_that_runs_is_named_and_keeps_others_out(path: str) -> None:
    held = PidFile(path)
    assert running_pid(path) == os.getpid()
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()} runs already"):
        PidFile(path)
    held.release()
    assert running_pid(path) == 0
    PidFile(path).release()


def test_a_killed_daemon_whose_threads_are_still_ending_does_not_run(
    path: str, going: subprocess.Popen[bytes]
) -> None:
    other = os.open(path, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)
    assert running_pid(path) == 0


def test_its_successor_waits_for_it(path: str, going: subprocess.Popen[bytes]) -> None:
    assert going.stdin is not None
    timer = threading.Timer(0.05, going.stdin.close)
    timer.start()
    held = PidFile(path)
    timer.join()
    assert running_pid(path) == os.getpid()
    held.release()


def test_who_only_looks_keeps_nobody_out(path: str) -> None:
    looks = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(looks, fcntl.LOCK_SH)
    timer = threading.Timer(0.05, os.close, [looks])
    timer.start()
    held = PidFile(path)
    timer.join()
    assert running_pid(path) == os.getpid()
    held.release()

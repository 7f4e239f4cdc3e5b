"""What /proc tells."""

from __future__ import annotations

import os
import subprocess
import time

import pytest

from packhorse.agent.launch import processes


def test_identity_of_a_process() -> None:
    own = os.getpid()
    assert processes.is_running(own, processes.start_time(own))
    assert not processes.is_running(own, processes.start_time(own) + 1)
    assert processes.parent(own) == os.getppid()
    assert processes.session(own) == os.getsid(0)


def test_a_zombie_does_not_run() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert processes.start_time(pid) == 0
        assert processes.parent(pid) == os.getpid()
    finally:
        os.waitpid(pid, 0)
    assert processes.parent(pid) == 0


@pytest.mark.parametrize("kernel_lists_children", [True, False])
def test_descendants_both_ways(monkeypatch: pytest.MonkeyPatch, kernel_lists_children: bool) -> None:
    if kernel_lists_children and not processes._HAS_CHILDREN:
        pytest.skip("this kernel does not list children")
    monkeypatch.setattr(processes, "_HAS_CHILDREN", kernel_lists_children)
    with subprocess.Popen(
        ["bash", "-c", "sleep 600 & sleep 600 & echo $!; wait"], stdout=subprocess.PIPE
    ) as shell:
        try:
            assert shell.stdout is not None
            last = int(shell.stdout.readline())
            deadline = time.monotonic() + 10
            while len(found := processes.descendants(shell.pid)) < 2:
                assert time.monotonic() < deadline
            assert last in found
            assert shell.pid in processes.descendants(os.getpid())
            assert processes.memory_kib([shell.pid]) >= processes.memory_kib([shell.pid], exact=True) > 0
        finally:
            processes.send([*processes.descendants(shell.pid), shell.pid], 9)


def test_signals_never_reach_init_or_oneself() -> None:
    assert processes.send([0, 1, -1, os.getpid()], 9) == 0

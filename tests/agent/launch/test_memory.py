"""Who went out of memory, what is told of it, and what keeps the supervisor out of it."""

# ruff: noqa: ASYNC240 (a blocking look at a file is what a test is for)
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

import pytest

from packhorse.agent.launch import cgroup, supervisor
from packhorse.agent.launch.cgroup import MemoryHistory
from packhorse.agent.launch.spec import Group, Limits
from tests.agent.launch.yard import Yard

HOG = "exec python3 -c 'x = b\"x\" * (300 << 20); import time; time.sleep(600)'"


async def test_memory_above_the_limit_ends_the_job(yard: Yard) -> None:
    limits = Limits(mem_mib=64, mem_sample_ms=20)
    record = await yard.run(HOG, limits=limits, environment=(f"PATH={os.environ['PATH']}",))
    assert (record.cause, record.signal) == ("oom", 9)
    if "memory" in yard.cgroups.controllers:
        assert record.oom_kills >= 1
        assert 30 << 10 < record.peak_mem_kib <= 64 << 10
        assert record.detail == "64 MiB used, limit 64 MiB; the kernel killed 1 process"
    else:
        assert record.peak_mem_kib > 64 << 10
        assert "limit 64 MiB (seen by sampling" in record.detail


CHILD_HOGS = {
    "the script goes on": "python3 -c 'x = b\"x\" * (300 << 20)'; echo on; exit 0",
    "and fails by itself": "python3 -c 'x = b\"x\" * (300 << 20)' || exit 4",
    "in the background": "python3 -c 'x = b\"x\" * (300 << 20)' & wait; exit 0",
    "a grandchild": "(sh -c 'python3 -c \"x = 300 * (1 << 20) * chr(65)\"; exit 0'); exit 0",
    "two of them": "for i in 1 2; do python3 -c 'x = b\"x\" * (300 << 20)'; done; exit 3",
}


@pytest.mark.parametrize("case", CHILD_HOGS)
async def test_a_child_that_memory_killed_is_told_whatever_the_script_makes_of_it(
    tmp_path: Path, case: str
) -> None:
    yard = with_memory(tmp_path)
    try:
        environment = (f"PATH={os.environ['PATH']}",)
        record = await yard.run(CHILD_HOGS[case], limits=Limits(mem_mib=64), environment=environment)
        assert record.cause == "oom"
        assert record.oom_kills == (2 if case == "two of them" else 1)
        assert record.detail.startswith("64 MiB used, limit 64 MiB; the kernel killed ")
    finally:
        await yard.close()


async def test_file_pages_are_not_what_a_job_is_blamed_for(tmp_path: Path) -> None:
    yard = with_memory(tmp_path)
    try:
        body = "head -c 200M /dev/zero > big && cat big big > /dev/null; exit 5"
        record = await yard.run(body, limits=Limits(mem_mib=64))
        assert (record.cause, record.exit_code, record.oom_kills) == ("exited", 5, 0)
        assert record.cache_kib > 20 << 10
        assert record.peak_mem_kib < 44 << 10
    finally:
        await yard.close()


def with_memory(home: Path) -> Yard:
    """A yard whose cgroups bound memory."""
    yard = Yard(home, "auto")
    if "memory" not in yard.cgroups.controllers:
        pytest.skip("needs the memory controller")
    return yard


@pytest.mark.parametrize("version", [1, 2])
def test_what_the_kernel_tells_of_memory(tmp_path: Path, version: Literal[1, 2]) -> None:
    files = (
        {
            "memory.max_usage_in_bytes": "8388608",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
            "memory.limit_in_bytes": "9000000\n",
            "memory.stat": "cache 1\ntotal_inactive_file 2048\ntotal_active_file 1024\ninactive_file 9\n",
        }
        if version == 1
        else {
            "memory.peak": "8388608\n",
            "memory.events": "low 0\nhigh 0\nmax 90\noom 1\noom_kill 3\noom_group_kill 0\n",
            "memory.stat": "file 5\ninactive_file 2048\nactive_file 1024\n",
        }
    )
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    group = Group(str(tmp_path), "/", memory=True, version=version)
    assert cgroup.memory_history(group) == MemoryHistory(8192, 3, 3, True)
    another = (
        ("memory.limit_in_bytes", "99000000") if version == 1 else ("memory.events", "oom 0\noom_kill 1\n")
    )
    (tmp_path / another[0]).write_text(another[1])
    assert not cgroup.memory_history(group).at_limit  # the machine's memory ran out, not this group's
    assert cgroup.memory_history(Group(str(tmp_path), "/", version=version)) == MemoryHistory()


def test_the_machines_want_of_memory_is_not_the_jobs_limit() -> None:
    told = supervisor._killed_for_memory(MemoryHistory(120 << 10, 0, 2), 300)
    assert (
        told
        == "120 MiB used, limit 300 MiB; the kernel killed 2 processes, since the machine was out of memory"
    )
    assert supervisor._killed_for_memory(MemoryHistory(1, 0, 1, True), 0).startswith("no limit of its own; ")


async def test_a_supervisor_is_not_to_be_chosen_and_its_job_is(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not may_be_protected():
        pytest.skip("needs the right to protect itself")
    yard = Yard(tmp_path, "auto")
    try:
        supervised = await yard.launch("cat /proc/self/oom_score_adj > score; sleep 600")
        own = Path("/proc/self/oom_score_adj").read_text().strip()
        assert await yard.written("score") == [own]
        assert Path(f"/proc/{supervised.pid}/oom_score_adj").read_text() == "-1000\n"
        await yard.launcher.terminate(supervised, 0)
        await yard.end(supervised)
    finally:
        await yard.close()


def may_be_protected() -> bool:
    """Whether a process here may lower its score; tried by one that then ends."""
    command = "echo -1000 > /proc/self/oom_score_adj"
    return subprocess.run(["sh", "-c", command], stderr=subprocess.DEVNULL, check=False).returncode == 0


async def test_too_many_processes_end_a_job_without_a_cgroup(plain: Yard) -> None:
    body = "for i in $(seq 40); do sleep 600 & done; wait"
    record = await plain.run(body, limits=Limits(pids=20, mem_sample_ms=20))
    assert (record.cause, record.signal) == ("terminated", 9)
    assert "processes, limit 20 (seen by sampling" in record.detail


async def test_memory_below_the_limit_is_measured(yard: Yard) -> None:
    hold = "exec python3 -c 'x = b\"x\" * (40 << 20); import time; time.sleep(0.3)'"
    limits = Limits(mem_mib=400, mem_sample_ms=20)
    record = await yard.run(hold, limits=limits, environment=(f"PATH={os.environ['PATH']}",))
    assert (record.cause, record.exit_code) == ("exited", 0)
    assert 40 << 10 < record.peak_mem_kib < 400 << 10

"""Totals that never go back, and what cgroup files say in both versions."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from packhorse.agent.launch import processes
from packhorse.agent.launch.spec import Group
from packhorse.agent.sampling import tree
from packhorse.agent.sampling.counter import Counter
from packhorse.agent.sampling.group import GroupMeter, Memory
from packhorse.agent.sampling.tree import TreeMeter


def test_a_total_follows_its_source() -> None:
    counter = Counter(base=100)
    assert all(counter.take(raw) for raw in (100, 150, 150, 400))
    assert counter.total == 300


def test_a_source_that_begins_anew_goes_on_top() -> None:
    counter = Counter()
    counter.take(500)
    assert not counter.take(20)
    assert counter.total == 500
    assert counter.take(60)
    assert counter.total == 540


def test_a_source_that_lags_is_waited_for() -> None:
    counter = Counter()
    counter.take(500, lags=True)
    assert counter.take(400, lags=True)
    assert counter.total == 500
    counter.take(520, lags=True)
    assert counter.total == 520


def test_what_was_counted_before_stays() -> None:
    counter = Counter(start=700)
    counter.take(650)
    assert counter.total == 700
    counter.take(900)
    assert counter.total == 900


def files(directory: Path, **texts: str) -> None:
    for name, text in texts.items():
        (directory / name.replace("__", ".")).write_text(text)


def test_version_1(tmp_path: Path) -> None:
    stat = "cache 1\nactive_file 7\ntotal_inactive_file 2097152\ntotal_active_file 1048576\n"
    files(tmp_path, memory__usage_in_bytes="10485760\n", memory__stat=stat)
    files(tmp_path, memory__oom_control="oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    files(tmp_path, cpuacct__usage_user="5000000\n", cpuacct__usage_sys="7000000\n")
    blkio = "8:0 Read 4096\n8:0 Write 8192\n8:16 Read 1\n8:0 Total 12288\nTotal 12289\n"
    files(tmp_path, blkio__throttle__io_service_bytes=blkio)
    meter = GroupMeter([Group(str(tmp_path), "", memory=True)])
    assert meter.memory() == Memory(7168, 3072)
    assert meter.usage_kib() == 10240
    assert meter.cpu_us() == (5000, 7000)
    assert meter.oom_kills() == 3
    assert meter.io_bytes() == (4097, 8192)
    meter.close()


def test_version_2(tmp_path: Path) -> None:
    stat = "anon 1\nfile 9\ninactive_file 2097152\nactive_file 1048576\nunevictable 0\n"
    files(tmp_path, memory__current="10485760\n", memory__stat=stat, memory__events="oom 1\noom_kill 2\n")
    files(tmp_path, cpu__stat="usage_usec 12\nuser_usec 5\nsystem_usec 7\nnr_periods 0\n")
    files(tmp_path, io__stat="8:0 rbytes=4096 wbytes=8192 rios=1 wios=1\n8:16 rbytes=1 wbytes=0 rios=1\n")
    meter = GroupMeter([Group(str(tmp_path), "", memory=True, version=2)])
    assert meter.memory() == Memory(7168, 3072)
    assert meter.cpu_us() == (5, 7)
    assert meter.oom_kills() == 2
    assert meter.io_bytes() == (4097, 8192)
    meter.close()


@pytest.mark.parametrize("text", ["", "-5\n", "x\n", "max\n"])
def test_nonsense_is_an_error(tmp_path: Path, text: str) -> None:
    files(tmp_path, memory__current=text, memory__stat="inactive_file 1\nactive_file 1\n")
    meter = GroupMeter([Group(str(tmp_path), "", memory=True, version=2)])
    with pytest.raises(ValueError, match=r"invalid literal|no amount"):
        meter.memory()
    meter.close()


def test_cache_larger_than_what_is_charged_is_no_negative_memory(tmp_path: Path) -> None:
    files(tmp_path, memory__current="1048576", memory__stat="inactive_file 2097152\nactive_file 0\n")
    meter = GroupMeter([Group(str(tmp_path), "", memory=True, version=2)])
    assert meter.memory() == Memory(0, 2048)
    meter.close()


def test_a_supervisor_that_passes_through_the_group_is_none_of_the_job(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n{child.pid}\n")
        meter = TreeMeter(os.getpid(), processes.start_time(os.getpid()), str(tmp_path))
        meter.totals()
        assert meter.pids == (child.pid,)
        meter.close()
    finally:
        child.kill()
        child.wait()


def test_of_a_fork_bomb_only_some_processes_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST", 2)
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(4)]
    try:
        pids = sorted(child.pid for child in children)
        (tmp_path / "cgroup.procs").write_text("\n".join(map(str, reversed(pids))))
        for group in (str(tmp_path), ""):
            meter = TreeMeter(os.getpid(), processes.start_time(os.getpid()), group)
            meter.totals()
            assert len(meter.pids) == 2 and set(meter.pids) < {*pids}
            meter.close()
    finally:
        for child in children:
            child.kill()
            child.wait()

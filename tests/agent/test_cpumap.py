"""Sockets, cores and NUMA nodes, from a tree of files as sysfs has it, and from this machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packhorse.agent import cpumap
from packhorse.agent.binding import Processor


def sysfs(tmp_path: Path, cpus: dict[int, tuple[str, str]], numa: dict[int, str]) -> Path:
    for cpu, (socket, core) in cpus.items():
        topology = tmp_path / "cpu" / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{socket}\n")
        (topology / "core_id").write_text(f"{core}\n")
    for node, text in numa.items():
        (tmp_path / "node" / f"node{node}").mkdir(parents=True)
        (tmp_path / "node" / f"node{node}" / "cpulist").write_text(f"{text}\n")
    return tmp_path


def test_what_sysfs_says(tmp_path: Path) -> None:
    cpus = {0: ("0", "0"), 1: ("0", "4"), 2: ("1", "0"), 3: ("1", "4")}
    tree = sysfs(tmp_path, cpus, {0: "0-1", 1: "2,3"})
    assert cpumap.processors(tree, frozenset({0, 1, 3})) == [
        Processor(0, 0, 0, 0), Processor(1, 4, 0, 0), Processor(3, 4, 1, 1),
    ]  # fmt: skip


def test_where_it_is_silent_or_does_not_know(tmp_path: Path) -> None:
    tree = sysfs(tmp_path, {0: ("-1", "-1"), 1: ("", "")}, {0: "rubbish"})
    assert cpumap.processors(tree, frozenset({0, 1, 7})) == [
        Processor(0, 0, 0, 0), Processor(1, 1, 0, 0), Processor(7, 7, 0, 0),
    ]  # fmt: skip


def test_this_machine() -> None:
    found = cpumap.processors()
    assert {processor.cpu for processor in found} == os.sched_getaffinity(0)


@pytest.mark.parametrize(("text", "cpus"), [("", []), ("3\n", [3]), ("0-2,8,10-11", [0, 1, 2, 8, 10, 11])])
def test_lists_of_processors(text: str, cpus: list[int]) -> None:
    assert cpumap.cpu_list(text) == cpus

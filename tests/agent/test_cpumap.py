"""What of sysfs the binding of jobs is told, from a tree of files and from this machine's."""

from __future__ import annotations

import os
from pathlib import Path

from packhorse.agent import cpumap
from packhorse.agent.binding import Processor
from packhorse.agent.inventory import processors


def sysfs(tmp_path: Path, cpus: dict[int, tuple[str, str]], numa: dict[int, str]) -> Path:
    devices = tmp_path / "devices/system"
    for cpu, (socket, core) in cpus.items():
        topology = devices / f"cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{socket}\n")
        (topology / "core_id").write_text(f"{core}\n")
    for node, text in numa.items():
        (devices / f"node/node{node}").mkdir(parents=True)
        (devices / f"node/node{node}/cpulist").write_text(f"{text}\n")
        (devices / f"node/node{node}/meminfo").write_text(f"Node {node} MemTotal: 1024 kB\n")
    return tmp_path


def test_what_sysfs_says(tmp_path: Path) -> None:
    cpus = {0: ("0", "0"), 1: ("0", "4"), 2: ("1", "0"), 3: ("1", "4")}
    tree = sysfs(tmp_path, cpus, {0: "0-1", 1: "2,3"})
    assert cpumap.of_this_process(tree, frozenset({0, 1, 3})) == [
        Processor(0, 0, 0, 0), Processor(1, 4, 0, 0), Processor(3, 4, 1, 1),
    ]  # fmt: skip


def test_where_it_does_not_know(tmp_path: Path) -> None:
    tree = sysfs(tmp_path, {0: ("-1", "-1"), 1: ("-1", "-1")}, {0: "rubbish"})
    assert cpumap.of_this_process(tree, (0, 1)) == [Processor(0, 0, 0, 0), Processor(1, 1, 0, 0)]
    known = processors.cpus(tree, (0, 1), ())
    assert processors.shape(known) == (1, 1), "two cores, not two threads of one"


def test_where_it_is_silent(tmp_path: Path) -> None:
    tree = sysfs(tmp_path, {0: ("", "")}, {})
    assert cpumap.of_this_process(tree, (0, 7)) == [Processor(0, 0, 0, 0), Processor(7, 7, 0, 0)]


def test_this_machine() -> None:
    found = cpumap.of_this_process()
    assert {processor.cpu for processor in found} == os.sched_getaffinity(0)

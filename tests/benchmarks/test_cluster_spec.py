"""Clusters in one line and in files: what they stand for, there and back, and errors that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.scheduler.model.resources import Device
from packhorse.simulator.traces import cluster_spec
from packhorse.simulator.traces.cluster_pool import MEM_MIB_PER_CPU, ClusterSpecError, spec_text


@pytest.mark.parametrize("text", ["256", "procs=256", " procs = 256 "])
def test_a_pool_of_cpus(text: str) -> None:
    (node,) = cluster_spec.cluster(text)
    assert (node.name, node.cpu_milli, node.mem_mib) == ("pool", 256_000, 256 * MEM_MIB_PER_CPU)


def test_nodes_alike() -> None:
    nodes = cluster_spec.cluster("100x1")
    assert [node.name for node in nodes[:2]] == ["n1", "n2"]
    assert {node.cpu_milli for node in nodes} == {1000}
    assert len(nodes) == 100


def test_everything_about_a_node() -> None:
    nodes = cluster_spec.cluster(
        "4x(cpus=64.5, mem=256G, tmp=1T, gpu:a100:2, devmem=80G, link=1, gpu:l40:1, nic:2,"
        " feature=ib, feature=avx512, racks=2) + 2x(cpus=8, name=c) + 16 + 1x2"
    )
    assert [node.name for node in nodes] == ["n1", "n2", "n3", "n4", "c1", "c2", "pool", "n8"]
    first = nodes[0]
    assert (first.cpu_milli, first.mem_mib, first.tmp_mib) == (64_500, 262_144, 1_048_576)
    assert first.features == ("ib", "avx512")
    assert first.devices == (
        Device("gpu", "a100", 0, mem_mib=81_920, link=0),
        Device("gpu", "a100", 1, mem_mib=81_920, link=1),
        Device("gpu", "l40", 2),
        Device("nic", "", 0),
        Device("nic", "", 1),
    )
    assert [node.topology for node in nodes[:5]] == [("rack1",), ("rack1",), ("rack2",), ("rack2",), ()]


@pytest.mark.parametrize(
    "text",
    [
        "procs=256",
        "100x1",
        "8x0.5",
        "8x(cpus=64,mem=256G,tmp=1500M,gpu:a100:8,devmem=80G,link=4,nic:1,feature=ib,racks=2,name=g)+3x2",
        "1x(cpus=1,mem=0)",
    ],
)
def test_there_and_back(text: str) -> None:
    pools = cluster_spec.pools(text)
    assert spec_text(pools) == text
    assert cluster_spec.pools(spec_text(pools)) == pools


@pytest.mark.parametrize(
    ("text", "character", "said"),
    [
        ("", 1, "the end, expected a number of CPUs"),
        ("many", 1, '"many", expected a number of CPUs'),
        ("8y", 2, '"y", expected + and another pool, or the end'),
        ("8x", 3, "the end, expected a number of CPUs"),
        ("8x(", 4, "the end, expected an item"),
        ("8x(cpus=64", 11, 'the end, expected "," and another item, or ")"'),
        ("8x(cpus=64,mem=256Q)", 16, '"256Q", expected an amount'),
        ("8x(mem=5G)", 1, "expected cpus= among"),
        ("0", 1, "expected at least 1 CPU"),
        ("0x5", 1, "expected 1 to 262144 nodes"),
        ("8x(cpus=0)", 9, "expected 0.001 to 16777216 CPUs"),
        ("8x(cpus=1.0005)", 9, '"1.0005", expected a number of CPUs with at most three decimals'),
        ("8x(cpus=1,foo=2)", 11, '"foo", expected cpus, mem, tmp'),
        ("8x(cpus=1,gpu:a100:99)", 20, '"99", expected a count of devices from 1 to 64'),
        ("8x(cpus=1,gpu:a100)", 15, '"a100", expected a count'),
        ("8x(cpus=1,link=2,gpu:8)", 17, "expected devices, as gpu:8, before"),
        ("8x(cpus=1)+", 12, "the end, expected a number"),
        ("8x(cpus=1) 7", 12, '"7", expected + and another pool'),
        ("4x(cpus=1,racks=9)", 17, '"9", expected racks, at most 4'),
        ("9" * 5000, 1, "expected a number of nodes, at most"),
    ],
)
def test_errors_name_the_place(text: str, character: int, said: str) -> None:
    with pytest.raises(ClusterSpecError) as wrong:
        cluster_spec.cluster(text)
    assert f"character {character}: " in str(wrong.value)
    assert said in str(wrong.value)
    assert "\n" not in str(wrong.value)


def test_limits_over_all_pools() -> None:
    with pytest.raises(ClusterSpecError, match="two nodes are called n1; give one pool name="):
        cluster_spec.cluster("1x1+2x(cpus=1,name=n)")
    with pytest.raises(ClusterSpecError, match="524288 nodes, limit 262144"):
        cluster_spec.cluster("262144x1+262144x1")


FILE = """
[[nodes]]
names = "gpu[01-02]"
cpus = 64
mem = "256G"
tmp = "1T"
devices = ["gpu:a100:2", "nic:1"]
devmem = "80G"
link = 2
features = ["ib", "avx512"]
topology = ["row1", "rack7"]

[[nodes]]
n = 4
cpus = 0.5
racks = 2
"""


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(FILE)
    first, second, *rest = cluster_spec.cluster(str(path))
    assert (first.name, second.name) == ("gpu01", "gpu02")
    assert (first.cpu_milli, first.mem_mib, first.topology) == (64_000, 262_144, ("row1", "rack7"))
    assert first.devices[1] == Device("gpu", "a100", 1, mem_mib=81_920, link=0)
    assert [(node.name, node.cpu_milli, node.topology) for node in rest] == [
        ("n3", 500, ("rack1",)),
        ("n4", 500, ("rack1",)),
        ("n5", 500, ("rack2",)),
        ("n6", 500, ("rack2",)),
    ]
    assert rest[0].mem_mib == MEM_MIB_PER_CPU
    with pytest.raises(ClusterSpecError, match="can only be written in a TOML file"):
        spec_text(cluster_spec.pools(str(path)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('mem = "256G"', 'mem = "256Q"', "line 5 (nodes 1, mem): '256Q', expected an amount"),
        ('mem = "256G"', "mem = 5", "line 5 (nodes 1, mem): 5, expected an amount"),
        ("cpus = 0.5", "cpus = 0.0005", "line 15 (nodes 2, cpus): 0.0005, expected 0.001 to"),
        ("cpus = 0.5", "", "line 13 (nodes 2, cpus): missing; expected 0.001 to"),
        ("n = 4\n", "", "line 13 (nodes 2, n): missing; expected how many"),
        ("racks = 2", "racks = 5", "line 16 (nodes 2, racks): 5, expected a whole number from 1 to 4"),
        ("racks = 2", "shelves = 2", "line 16 (nodes 2, shelves): 2, expected one of names, n, cpus"),
        ("gpu:a100:2", "gpu:a100", "line 7 (nodes 1, devices)"),
        ('["ib", ', "[7, ", "line 10 (nodes 1, features)"),
        ("gpu[01-02]", "gpu[01-", "line 3 (nodes 1, names)"),
        ("[[nodes]]\nn", "[[node]]\nn", "node is not known; a cluster is tables [[nodes]]"),
        ("[[nodes]]\nn", "[nodes\nn", "is no TOML"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "cluster.toml"
    assert old in FILE
    path.write_text(FILE.replace(old, new))
    with pytest.raises(ClusterSpecError) as wrong:
        cluster_spec.cluster(str(path))
    assert said in str(wrong.value)


def test_files_that_are_no_clusters(tmp_path: Path) -> None:
    with pytest.raises(ClusterSpecError, match="there is no such file"):
        cluster_spec.cluster(str(tmp_path / "none.toml"))
    path = tmp_path / "cluster.toml"
    path.write_text("nodes = 3")
    with pytest.raises(ClusterSpecError, match=r"expected tables \[\[nodes\]\]"):
        cluster_spec.cluster(str(path))

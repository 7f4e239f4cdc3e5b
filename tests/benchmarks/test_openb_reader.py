"""Reading the openb traces, whole and broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from packhorse.simulator.traces import openb
from packhorse.simulator.traces.csvfile import TraceBroken
from tests.benchmarks.small_trace import NODES, ORDER, PODS, RANKS, write_trace

CARRIED = Path("benchmarks", "data", "openb")


def test_a_small_trace(tmp_path: Path) -> None:
    trace = openb.read(write_trace(tmp_path), "small", (42, 43))
    assert trace.nodes[1] == openb.NodeLine("n1", 8000, 1000, 1, "B")
    assert trace.pods[1] == openb.PodLine("p1", 1000, 100, 1, 1000, ("A",))
    assert trace.pods[3].device_milli == 0
    assert trace.streams[42].rows == [3, 0, 1, 2]
    assert trace.streams[43].rows == [0, 2, 0]
    assert trace.streams[43].rank == {"n0": 0, "n1": 2, "n2": 1}


def test_pods_without_a_column_of_models(tmp_path: Path) -> None:
    pods = "\n".join(line.rpartition(",")[0] for line in PODS.splitlines()) + "\n"
    trace = openb.read(write_trace(tmp_path, pods=pods), "small", (42,))
    assert [pod.models for pod in trace.pods] == [()] * 4


def test_the_carried_variant(repository: Path) -> None:
    data = repository / CARRIED
    assert openb.variants(data) == ["default"]
    trace = openb.read(data, "default", openb.SEEDS)
    assert (len(trace.nodes), sum(node.n_devices for node in trace.nodes)) == (1213, 6212)
    assert len(trace.pods) == 8152
    for stream in trace.streams.values():
        arrived = sum(trace.pods[row].device_milli for row in stream.rows)
        assert abs(arrived - 8_075_600) < 8000  # 130 % and at most one pod more or less
    means = openb.published_means(data, "default", "alloc_pct")
    assert (means["fgd"].mean[130], means["best-fit"].mean[130]) == pytest.approx((95.39, 93.08), abs=0.005)
    assert len(openb.published_curves(data, "default")["fgd"]) == 2
    assert openb.published_means(data, "no-such", "alloc_pct") == {}


@pytest.mark.parametrize(
    ("change", "file", "line", "column", "expected"),
    [
        (
            {"nodes": NODES.replace("8000,1000,1", "8000,-1,1")},
            "node_list",
            3,
            "3 (memory_mib)",
            "a whole number",
        ),
        ({"nodes": NODES.replace("1000,0,", "1000,65,X")}, "node_list", 4, "4 (gpu)", "at most 64"),
        ({"nodes": NODES.replace("1,B", "1,")}, "node_list", 3, "5 (model)", "a device type"),
        ({"nodes": NODES.replace("n1", "n0")}, "node_list", 3, "1 (sn)", "no other node"),
        ({"pods": PODS.replace("600", "6e2")}, "pod_list", 2, "5 (gpu_milli)", "a whole number"),
        ({"pods": PODS.replace("600", "0")}, "pod_list", 2, "5 (gpu_milli)", "1 to 1000"),
        ({"pods": PODS.replace("600", "1200")}, "pod_list", 2, "5 (gpu_milli)", "at most 1000"),
        ({"pods": PODS.replace("2,1000", "2,500")}, "pod_list", 4, "5 (gpu_milli)", "1000, since"),
        (
            {"pods": PODS.replace(",A", ",A|C")},
            "pod_list",
            3,
            "6 (gpu_spec)",
            "device types of the nodes (A, B)",
        ),
        ({"pods": PODS.replace("p3,2000", "p3,²")}, "pod_list", 5, "2 (cpu_milli)", "a whole number"),
        ({"pods": PODS.replace("p3,2000", "p3,1,2000")}, "pod_list", 5, "7", "expected 6"),
        ({"pods": PODS.replace("p3,2000", "p3")}, "pod_list", 5, "6", "expected 6"),
        (
            {"pods": PODS.replace("num_gpu", "gpus")},
            "pod_list",
            1,
            '"num_gpu" is missing',
            "a header with name",
        ),
        ({"pods": PODS.splitlines()[0]}, "pod_list", 2, None, "expected a pod"),
        ({"order": ORDER.replace("1,0,2", "1,0,4")}, "order", 3, "3 (s43)", "at most 3"),
        (
            {"order": ORDER.replace("2,1,0", "2,1,").replace("3,2,", "3,2,1")},
            "order",
            5,
            "3 (s43)",
            "nothing",
        ),
        ({"order": ORDER.replace("2,1,0", "7,1,0")}, "order", 4, "1 (pos)", "expected 2"),
        ({"ranks": RANKS.replace("n2", "n9")}, "noderank", 4, "1 (sn)", "each node"),
        ({"ranks": RANKS.replace("n2,2,1\n", "")}, "noderank", None, None, "n2 has no rank"),
    ],
)
def test_what_is_broken_is_named(
    tmp_path: Path, change: dict[str, str], file: str, line: int | None, column: str | None, expected: str
) -> None:
    data = write_trace(tmp_path, **change)
    with pytest.raises(TraceBroken) as broken:
        openb.read(data, "small", (42, 43))
    said = str(broken.value)
    assert re.search(rf"{file}\w*\.csv", said)
    assert line is None or f"line {line}" in said
    assert column is None or f"column {column}" in said
    assert expected in said
    assert "\n" not in said


def test_a_variant_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TraceBroken, match='no variant "large"; there are small'):
        openb.read(write_trace(tmp_path), "large", (42,))
    with pytest.raises(TraceBroken, match="--data names the folder"):
        openb.read(tmp_path / "nowhere", "small", (42,))


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-9], lambda raw: b"PK" + raw, lambda raw: raw[:20] + b"\0\0" + raw[22:]]
)
def test_a_damaged_archive(tmp_path: Path, damage: object) -> None:
    data = write_trace(tmp_path)
    path = data / "order_small.csv.gz"
    assert callable(damage)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(TraceBroken, match=r"order_small\.csv\.gz: cannot be read"):
        openb.read(data, "small", (42,))


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    data = write_trace(tmp_path)
    (data / "noderank_small.csv.gz").unlink()
    with pytest.raises(TraceBroken, match=r"noderank_small\.csv\.gz: there is no such file"):
        openb.read(data, "small", (42,))

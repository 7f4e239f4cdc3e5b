"""Checks a file of placements against the trace it was made from. Knows nothing of the packer."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any


class Wrong(Exception):
    """The file breaks a rule; names the line."""


def lines_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
        return list(csv.DictReader(text))


def check(data: Path, variant: str, seed: int, placements: Path, *, online: bool = True) -> dict[int, float]:
    """Allocated percent at 100 and 130 (of an online run); raises Wrong at the first line that breaks a rule.

    online: placed in the order of arrival, and absent only what fitted nowhere at that moment.
    """
    pods = lines_of(data / f"openb_pod_list_{variant}.csv.gz")
    arrivals = [
        int(line[f"s{seed}"]) for line in lines_of(data / f"order_{variant}.csv.gz") if line[f"s{seed}"]
    ]
    nodes: dict[str, dict[str, Any]] = {
        line["sn"]: {
            "cpu": int(line["cpu_milli"]),
            "mem": int(line["memory_mib"]),
            "model": line["model"],
            "free": [1000] * int(line["gpu"]),
        }
        for line in lines_of(data / "openb_node_list_gpu_node.csv")
    }
    capacity = sum(1000 * len(node["free"]) for node in nodes.values())
    placed: dict[int, int] = {}
    hopeless: set[tuple[str, ...]] = set()
    looked_at = 0
    for number, line in enumerate(lines_of(placements), 2):
        where = f"{placements.name}, line {number}"
        position = int(line["pos"])
        if position in placed:
            raise Wrong(f"{where}: arrival {position} is placed twice")
        if not 0 <= position < len(arrivals):
            raise Wrong(f"{where}: there is no arrival {position}")
        if online:
            if position < looked_at:
                raise Wrong(f"{where}: arrival {position} is placed after a later one")
            refused_although_it_fits(pods, arrivals, nodes, range(looked_at, position), hopeless)
            looked_at = position + 1
        if int(line["row"]) != arrivals[position]:
            raise Wrong(f"{where}: arrival {position} is row {arrivals[position]}, not {line['row']}")
        pod = pods[arrivals[position]]
        put(pod, nodes, line, where)
        placed[position] = int(pod["num_gpu"]) * int(pod["gpu_milli"])
    if online:
        refused_although_it_fits(pods, arrivals, nodes, range(looked_at, len(arrivals)), hopeless)
    return values(pods, arrivals, placed, capacity)


def put(pod: dict[str, str], nodes: dict[str, dict[str, Any]], line: dict[str, str], where: str) -> None:
    """Take what the pod takes."""
    if line["node"] not in nodes:
        raise Wrong(f"{where}: there is no node {line['node']}")
    node = nodes[line["node"]]
    devices = [int(word) for word in line["devices"].split(";")] if line["devices"] else []
    if len(devices) != int(pod["num_gpu"]) or len(set(devices)) != len(devices):
        raise Wrong(
            f"{where}: devices {line['devices']!r}, but the pod asks for {pod['num_gpu']} different ones"
        )
    if devices and pod.get("gpu_spec") and node["model"] not in pod["gpu_spec"].split("|"):
        raise Wrong(f"{where}: {line['node']} has {node['model']}, the pod asks for {pod['gpu_spec']}")
    node["cpu"] -= int(pod["cpu_milli"])
    node["mem"] -= int(pod["memory_mib"])
    if node["cpu"] < 0 or node["mem"] < 0:
        raise Wrong(f"{where}: {line['node']} has {node['cpu']} milli-CPU and {node['mem']} MiB left")
    for device in devices:
        if not 0 <= device < len(node["free"]):
            raise Wrong(f"{where}: {line['node']} has no device {device}")
        node["free"][device] -= int(pod["gpu_milli"])
        if node["free"][device] < 0:
            raise Wrong(
                f"{where}: device {device} of {line['node']} is taken {-node['free'][device]} beyond 1000"
            )


def fits(pod: dict[str, str], node: dict[str, Any]) -> bool:
    """Whether the node could take the pod now."""
    n, milli = int(pod["num_gpu"]), int(pod["gpu_milli"])
    if node["cpu"] < int(pod["cpu_milli"]) or node["mem"] < int(pod["memory_mib"]):
        return False
    if n and pod.get("gpu_spec") and node["model"] not in pod["gpu_spec"].split("|"):
        return False
    return n == 0 or sum(free >= milli for free in node["free"]) >= n


def refused_although_it_fits(
    pods: list[dict[str, str]],
    arrivals: list[int],
    nodes: dict[str, dict[str, Any]],
    positions: range,
    hopeless: set[tuple[str, ...]],
) -> None:
    """Nothing departs, so what fits nowhere once never will: `hopeless` remembers that."""
    for position in positions:
        pod = pods[arrivals[position]]
        kind = tuple(
            pod.get(name, "") for name in ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec")
        )
        if kind in hopeless:
            continue
        for name, node in nodes.items():
            if fits(pod, node):
                raise Wrong(f"arrival {position} was refused, but fits on {name}")
        hopeless.add(kind)


def values(
    pods: list[dict[str, str]], arrivals: list[int], placed: dict[int, int], capacity: int
) -> dict[int, float]:
    """By the definition of the published metric."""
    arrived = allocated = 0
    at: dict[int, list[float]] = {100: [], 130: []}
    for position, row in enumerate(arrivals):
        arrived += int(pods[row]["num_gpu"]) * int(pods[row]["gpu_milli"])
        allocated += placed.get(position, 0)
        x = round(100 * arrived / capacity)
        if x in at:
            at[x].append(round(100 * allocated / capacity, 2))
    return {x: sum(found) / len(found) for x, found in at.items() if found}

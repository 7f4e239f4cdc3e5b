"""The state of the openb trace at some fill, and the next pods as a queue: input for the improver.

The files and the published best fit are described in the README of the trace.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.problem import AskClass, Problem

MOST_DEVICES = 8


class _Pod(NamedTuple):
    cpu_milli: int
    mem_mib: int
    n_devices: int
    milli: int
    types: tuple[int, ...]


def queue_at(data: Path, variant: str, seed: int, fill: float, n_next: int) -> Problem:
    """Pods arrive in the published order of the seed and are placed by best fit or dropped, until this part
    of all device thousandths is allocated; the problem is what is free then, and the next n_next pods.

    Raises OSError for files that are not there.
    """
    with (data / "openb_node_list_gpu_node.csv").open() as file:
        nodes = list(csv.DictReader(file))
    models = {model: i for i, model in enumerate(sorted({node["model"] for node in nodes}))}
    pods = [_pod(row, models) for row in _rows(data / f"openb_pod_list_{variant}.csv.gz")]
    order = [int(row[f"s{seed}"]) for row in _rows(data / f"order_{variant}.csv.gz") if row[f"s{seed}"]]
    rank_of = {row["sn"]: int(row[f"s{seed}"]) for row in _rows(data / f"noderank_{variant}.csv.gz")}
    free = np.array([[int(node["cpu_milli"]), int(node["memory_mib"])] for node in nodes], dtype=np.int64)
    n_devices = np.array([int(node["gpu"]) for node in nodes])
    types = np.where(
        np.arange(MOST_DEVICES) < n_devices[:, None],
        np.array([models[node["model"]] for node in nodes])[:, None],
        -1,
    )
    devices = np.where(types >= 0, 1000, 0).astype(np.int64)
    rank = np.array([rank_of[node["sn"]] for node in nodes])
    enough, at = (1 - fill) * int(devices.sum()), 0
    while devices.sum() > enough and at < len(order):
        _place(pods[order[at]], free, devices, types, rank)
        at += 1
    queue = Counter(pods[row] for row in order[at : at + n_next])
    asks = [
        AskClass(
            0,
            n,
            (pod.cpu_milli, pod.mem_mib),
            pod.n_devices,
            pod.milli,
            pod.types,
            value=pod.n_devices * pod.milli,
        )
        for pod, n in sorted(queue.items())
    ]
    return Problem.of(free, asks, dev_free=devices, dev_type=types)


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def _pod(row: dict[str, str], models: dict[str, int]) -> _Pod:
    n = int(row["num_gpu"])
    types = sorted(models[model] for model in (row.get("gpu_spec") or "").split("|") if model in models)
    return _Pod(
        int(row["cpu_milli"]), int(row["memory_mib"]), n, int(row["gpu_milli"]) if n else 0, tuple(types)
    )


def _place(pod: _Pod, free: np.ndarray, devices: np.ndarray, types: np.ndarray, rank: np.ndarray) -> None:
    """Best fit as published: integer scores, normalised to 0..100, ties to the smallest rank."""
    fits = (free[:, 0] >= pod.cpu_milli) & (free[:, 1] >= pod.mem_mib)
    usable = (devices >= pod.milli) & (types >= 0)
    if pod.types:
        usable &= np.isin(types, pod.types)
    if pod.n_devices:
        fits &= usable.sum(axis=1) >= pod.n_devices
    at = np.flatnonzero(fits)
    if not at.size:
        return
    cpu_left = (free[at, 0] - pod.cpu_milli) / 128_000
    device_left = (devices[at].sum(axis=1) - pod.n_devices * pod.milli) / 8_000
    raw = (100 * (1 - 0.5 * cpu_left - 0.5 * device_left)).astype(np.int64)
    span = int(raw.max() - raw.min())
    score = (raw - raw.min()) * 100 // span if span else raw
    node = at[np.lexsort((rank[at], -score))[0]]
    free[node] -= (pod.cpu_milli, pod.mem_mib)
    if pod.n_devices:
        taken = np.flatnonzero(usable[node])
        if pod.milli < 1000:
            taken = taken[np.argsort(devices[node, taken], kind="stable")]
        devices[node, taken[: pod.n_devices]] -= pod.milli

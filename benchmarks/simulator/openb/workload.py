"""An openb trace as the core sees it: nodes as columns, pods as ask classes, frequencies as a Mix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Want
from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.traces.openb import NodeLine, PodLine, Stream, Trace

ARRIVE_PERCENT: Final = 130
"""The published streams end when pods that ask for this part of all devices have arrived."""


class AskClass(NamedTuple):
    """What a pod asks for. types: device type codes it may use, None for any."""

    want: Want
    types: tuple[int, ...] | None


class Workload(NamedTuple):
    """One seed of a variant.

    nodes: in order of the published rank, so that the first of equals is the published choice. rows: of the
    pod list, in order of arrival. asks: classes. ask_of: class of each row of the pod list.
    """

    trace: Trace
    seed: int
    nodes: list[NodeLine]
    ground: Ground
    rows: list[int]
    asks: list[AskClass]
    ask_of: list[int]

    @property
    def capacity_milli(self) -> int:
        """Thousandths of all devices."""
        return int(self.ground.n_devices.sum()) * WHOLE

    def arrived_milli(self) -> np.ndarray:
        """Asked for after each arrival `[n_arrivals]`."""
        milli = np.array([pod.device_milli for pod in self.trace.pods], dtype=np.int64)
        return np.cumsum(milli[self.rows])


def workload(trace: Trace, seed: int, n_nodes: int | None = None) -> Workload:
    """n_nodes: repeat the node list and the stream up to so many nodes; None for the published ones."""
    stream = trace.streams[seed]
    nodes = sorted(trace.nodes, key=lambda node: stream.rank[node.name])
    rows = stream.rows
    if n_nodes is not None:
        nodes = [
            nodes[i % len(nodes)]._replace(name=f"{nodes[i % len(nodes)].name}-{i // len(nodes)}")
            for i in range(n_nodes)
        ]
        rows = _repeated(trace, stream, sum(node.n_devices for node in nodes) * WHOLE)
    codes = {model: i for i, model in enumerate(sorted({node.model for node in nodes} - {""}))}
    asks: dict[AskClass, int] = {}
    ask_of = [asks.setdefault(_ask(pod, codes), len(asks)) for pod in trace.pods]
    return Workload(trace, seed, nodes, ground(nodes, codes), rows, list(asks), ask_of)


def ground(nodes: list[NodeLine], codes: dict[str, int]) -> Ground:
    """The nodes as columns, by position in the list."""
    n_devices = np.array([node.n_devices for node in nodes], dtype=np.int64)
    code = np.array([codes.get(node.model, -1) for node in nodes], dtype=np.int64)
    places = np.arange(int(n_devices.max(initial=1)))[:, None]
    kinds: dict[tuple[int, int, int, str], int] = {}
    return Ground(
        cpu=np.array([node.cpu_milli for node in nodes], dtype=np.int64),
        mem=np.array([node.mem_mib for node in nodes], dtype=np.int64),
        n_devices=n_devices,
        type_of=np.where(places < n_devices, code, -1),
        node_class=np.array([kinds.setdefault(node[1:], len(kinds)) for node in nodes], dtype=np.int64),
        n_types=len(codes),
    )


def mix(asks: Iterable[tuple[AskClass, int]], n_types: int) -> Mix:
    """Classes of asks with how many jobs each has; those that differ in memory alone are one, with the mean.

    FGD counts its typical pods without memory; so do we. Equal counts: in the order of the arguments.
    """
    count: Counter[tuple[int, int, int, tuple[int, ...] | None]] = Counter()
    mem: Counter[tuple[int, int, int, tuple[int, ...] | None]] = Counter()
    for (want, types), n in asks:
        key = (want.cpu_milli, want.n_devices, want.milli, types)
        count[key] += n
        mem[key] += n * want.mem_mib
    found = count.most_common()
    allowed = np.array(
        [[types is None or code in types for code in range(n_types)] for (_, _, _, types), _ in found],
        dtype=np.bool_,
    ).reshape(len(found), n_types)
    number = np.array([[*key[:3], mem[key] // n, n] for key, n in found], dtype=np.int64).reshape(-1, 5)
    weight = number[:, 4] / max(int(number[:, 4].sum()), 1)
    return Mix(number[:, 0], number[:, 3], number[:, 1], number[:, 2], allowed, weight)


def mix_of_list(work: Workload) -> Mix:
    """How often each class stands in the whole pod list, as FGD knows it beforehand."""
    return mix(((work.asks[code], n) for code, n in Counter(work.ask_of).items()), work.ground.n_types)


def mix_of_seen(work: Workload, n: int) -> Mix:
    """How often each class stands among the first n arrivals."""
    seen = Counter(work.ask_of[row] for row in work.rows[:n])
    return mix(((work.asks[code], k) for code, k in seen.items()), work.ground.n_types)


def _ask(pod: PodLine, codes: dict[str, int]) -> AskClass:
    types = tuple(sorted(codes[model] for model in pod.models if model in codes)) if pod.models else None
    return AskClass(
        Want(pod.cpu_milli, pod.mem_mib, pod.n_devices, pod.milli), types if pod.n_devices else None
    )


def _repeated(trace: Trace, stream: Stream, capacity_milli: int) -> list[int]:
    """The stream again and again until as much has arrived as the published streams bring."""
    wanted, rows, i = capacity_milli * ARRIVE_PERCENT // 100, list[int](), 0
    if not sum(trace.pods[row].device_milli for row in stream.rows):
        return stream.rows
    while wanted > 0:
        row = stream.rows[i % len(stream.rows)]
        rows.append(row)
        wanted -= trace.pods[row].device_milli
        i += 1
    return rows

"""The openb traces: nodes, pods, and the published arrival orders, tie ranks and results of ten seeds.

Weng et al., "Beware of Fragmentation", USENIX ATC 2023; Alibaba cluster-trace-gpu-v2023. The format is in
benchmarks/data/openb/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from packhorse.simulator.traces.csvfile import Record, TraceBroken, records

SEEDS: Final = tuple(range(42, 52))
NODES: Final = "openb_node_list_gpu_node.csv"
MOST_DEVICES: Final = 64

PUBLISHED_NAMES: Final = {
    "01-Random": "random",
    "02-DotProd": "dot-product",
    "03-GpuClustering": "gpu-clustering",
    "04-GpuPacking": "gpu-packing",
    "05-BestFit": "best-fit",
    "06-FGD": "fgd",
}
"""Our names of the published policies."""


class NodeLine(NamedTuple):
    """A node. model: type of its devices, empty where it has none."""

    name: str
    cpu_milli: int
    mem_mib: int
    n_devices: int
    model: str


class PodLine(NamedTuple):
    """A pod. milli: of each device. models: types it may use, sorted; empty for any."""

    name: str
    cpu_milli: int
    mem_mib: int
    n_devices: int
    milli: int
    models: tuple[str, ...]

    @property
    def device_milli(self) -> int:
        """Thousandths of devices in all."""
        return self.n_devices * self.milli


class Stream(NamedTuple):
    """One seed of a variant. rows: rows of the pod list in the order of arrival. rank: by node name."""

    seed: int
    rows: list[int]
    rank: dict[str, int]


class Curve(NamedTuple):
    """A published curve by arrived percent. sd: by the same, empty for a single seed."""

    mean: dict[int, float]
    sd: dict[int, float]


class Trace(NamedTuple):
    """One variant with some of its seeds."""

    variant: str
    nodes: list[NodeLine]
    pods: list[PodLine]
    streams: dict[int, Stream]


def variants(data: Path) -> list[str]:
    """Those whose pod list is in this folder. TraceBroken if there is none."""
    before, after = "openb_pod_list_", ".csv.gz"
    found = sorted(path.name[len(before) : -len(after)] for path in data.glob(f"{before}*{after}"))
    if not found:
        raise TraceBroken(f"{data}: holds no {before}VARIANT{after}; --data names the folder of the traces")
    return found


def read(data: Path, variant: str, seeds: tuple[int, ...]) -> Trace:
    """A variant and these seeds. TraceBroken names file, line and column, or the variants that are there."""
    there = variants(data)
    if variant not in there:
        raise TraceBroken(f'{data}: no variant "{variant}"; there are {", ".join(there)}')
    nodes = node_list(data / NODES)
    models = {node.model for node in nodes}
    pods = _pods(data / f"openb_pod_list_{variant}.csv.gz", models)
    orders = _orders(data / f"order_{variant}.csv.gz", seeds, len(pods))
    ranks = _ranks(data / f"noderank_{variant}.csv.gz", seeds, nodes)
    return Trace(variant, nodes, pods, {s: Stream(s, orders[s], ranks[s]) for s in seeds})


def node_list(path: Path) -> list[NodeLine]:
    """The nodes of a file in its order. Raises TraceBroken."""
    found: dict[str, NodeLine] = {}
    for line in records(path, ("sn", "cpu_milli", "memory_mib", "gpu", "model")):
        name, n_devices, model = line.text("sn"), line.whole("gpu", MOST_DEVICES), line.text("model")
        if not name or name in found:
            line.wrong("sn", "a name that no other node has")
        if bool(n_devices) != bool(model):
            line.wrong("model", "a device type" if n_devices else "nothing: the node has no devices")
        found[name] = NodeLine(name, line.whole("cpu_milli"), line.whole("memory_mib"), n_devices, model)
    if not found:
        raise TraceBroken(f"{path}, line 2: expected a node")
    return list(found.values())


def _pods(path: Path, models: set[str]) -> list[PodLine]:
    found = [
        pod(line, models)
        for line in records(path, ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"))
    ]
    if not found:
        raise TraceBroken(f"{path}, line 2: expected a pod")
    return found


def pod(line: Record, models: set[str]) -> PodLine:
    """The pod of a line of a pod list. models: those that nodes have. Raises TraceBroken."""
    n_devices, milli = line.whole("num_gpu", MOST_DEVICES), line.whole("gpu_milli", 1000)
    if n_devices == 0:
        milli = 0
    elif not milli or (n_devices > 1 and milli < 1000):
        line.wrong(
            "gpu_milli", "1 to 1000" if n_devices == 1 else "1000, since the pod asks for several devices"
        )
    spec = line.text("gpu_spec") if line.has("gpu_spec") else ""
    allowed = tuple(sorted(set(spec.split("|")))) if spec else ()
    if not models.issuperset(allowed):
        line.wrong(
            "gpu_spec", f"device types of the nodes ({', '.join(sorted(models - {''}))}), separated by |"
        )
    return PodLine(
        line.text("name"), line.whole("cpu_milli"), line.whole("memory_mib"), n_devices, milli, allowed
    )


def _orders(path: Path, seeds: tuple[int, ...], n_pods: int) -> dict[int, list[int]]:
    """Rows of the pod list by seed; a seed with fewer arrivals has blanks at the end."""
    names = [f"s{seed}" for seed in seeds]
    found: dict[int, list[int]] = {seed: [] for seed in seeds}
    for position, line in enumerate(records(path, ("pos", *names))):
        if line.whole("pos") != position:
            line.wrong("pos", str(position))
        for seed, name in zip(seeds, names, strict=True):
            if not line.text(name):
                continue
            if len(found[seed]) != position:
                line.wrong(name, "nothing, as in the line before")
            found[seed].append(line.whole(name, n_pods - 1))
    return found


def _ranks(path: Path, seeds: tuple[int, ...], nodes: list[NodeLine]) -> dict[int, dict[str, int]]:
    names = [f"s{seed}" for seed in seeds]
    known = {node.name for node in nodes}
    found: dict[int, dict[str, int]] = {seed: {} for seed in seeds}
    for line in records(path, ("sn", *names)):
        node = line.text("sn")
        if node not in known or any(node in ranks for ranks in found.values()):
            line.wrong("sn", "each node of the node list once")
        for seed, name in zip(seeds, names, strict=True):
            found[seed][node] = line.whole(name)
    for ranks in found.values():
        if len(ranks) < len(known):
            missing = min(known - ranks.keys())
            raise TraceBroken(f"{path}: node {missing} has no rank; expected each node of the node list once")
    return found


def published_means(data: Path, variant: str, metric: str) -> dict[str, Curve]:
    """Means and deviations over the ten seeds at some percents, by our names of the policies.

    metric: alloc_pct, frag_pct_of_capacity or frag_pct_of_idle. Empty where the file is not there.
    """
    path = data / "published_mean.csv"
    if not path.exists():
        return {}
    found = {}
    for line in records(path, ("workload", "policy", "metric")):
        if line.text("workload") == variant and line.text("metric") == metric:
            at = [int(name[2:]) for name in line.names if name.startswith("at")]
            found[_policy(line)] = Curve(
                {x: line.number(f"at{x}") for x in at}, {x: line.number(f"sd{x}") for x in at}
            )
    return found


def published_curves(data: Path, variant: str) -> dict[str, list[Curve]]:
    """Whole allocation curves of the few seeds that have them, by our names of the policies."""
    path = data / "published_alloc_curve.csv"
    if not path.exists():
        return {}
    found: dict[str, list[Curve]] = {}
    for line in records(path, ("workload", "policy", "seed")):
        if line.text("workload") == variant:
            values = {
                int(name): line.number(name) for name in line.names if name.isdigit() and line.text(name)
            }
            found.setdefault(_policy(line), []).append(Curve(values, {}))
    return found


def _policy(line: Record) -> str:
    name = line.text("policy")
    if name not in PUBLISHED_NAMES:
        line.wrong("policy", f"one of {', '.join(PUBLISHED_NAMES)}")
    return PUBLISHED_NAMES[name]

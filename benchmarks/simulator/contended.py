"""Contended clusters on which more is known to be possible than a plain packer places.

A packing is planted: nodes of random size are cut into jobs until hardly anything is left, so that all these
jobs are known to fit together; up to a tenth more jobs of the lowest rank come on top. The jobs are then
offered as a queue. An instance counts if the planted packing is strictly better than the plain packer's
(value placed, rank by rank). Nothing of the improver is used in making or choosing instances.

After the idea of arXiv 2511.08373 (Christensen, Giallorenzo, Mauro: Priority Matters, 2025), which keeps the
random instances on which the Kubernetes scheduler leaves pods behind; there up to 32 nodes, CPU and memory
only. Here 5 to 1,000 nodes, a third of the instances without devices, a third with shared and whole
devices, a third with gangs as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.best_fit import best_fit
from packhorse.scheduler.core.packing.problem import AskClass, Placed, Problem, Score, Solution, worth
from packhorse.scheduler.core.packing.verify import score, verify

FAMILIES = ("cpu", "gpu", "gangs")

CPU_MILLI, MEM_MIB, GPU_MILLI = 1_000, 1_024, 10


class Instance(NamedTuple):
    """known: an allowed solution better than greedy. fill: what all jobs ask of the scarcest resource, in
    parts of what the nodes have."""

    problem: Problem
    family: str
    known: Solution
    greedy: Solution
    known_score: Score
    greedy_score: Score
    fill: float


class _Form(NamedTuple):
    """What a job asks for, without rank and number."""

    cpu: int
    mem: int
    n_devices: int
    milli: int
    members: int


def contended(seed: int, n_instances: int, n_nodes: tuple[int, int] = (5, 1000)) -> list[Instance]:
    """Instances with sizes spread evenly on a logarithmic scale; the same for the same arguments."""
    found: list[Instance] = []
    attempt = 0
    while len(found) < n_instances:
        rng = np.random.default_rng([seed, attempt])
        share = (len(found) + 0.5) / n_instances
        n = round(n_nodes[0] * (n_nodes[1] / n_nodes[0]) ** share)
        instance = _instance(FAMILIES[len(found) % len(FAMILIES)], n, rng)
        if instance is not None:
            found.append(instance)
        attempt += 1
    return found


def _instance(family: str, n: int, rng: np.random.Generator) -> Instance | None:
    forms = _forms(family, rng)
    free, devices = _nodes(family, n, rng)
    packed = _plant(free.copy(), devices.copy(), forms, float(rng.uniform(0.0, 0.1)), rng)
    n_ranks = int(rng.choice([1, 2, 4]))
    kinds: dict[tuple[int, int], list[tuple[tuple[int, tuple[int, ...]], ...]]] = {}
    for f, members in packed:
        kinds.setdefault((int(rng.integers(n_ranks)), f), []).append(members)
    extra: dict[tuple[int, int], int] = {}
    for _ in range(int(len(packed) * rng.uniform(0.0, 0.1))):
        key = (n_ranks - 1, packed[int(rng.integers(len(packed)))][0])
        extra[key] = extra.get(key, 0) + 1
    most = free.max(axis=0).tolist()
    asks: list[AskClass] = []
    placed: list[Placed] = []
    for rank, f in sorted(kinds.keys() | extra.keys()):
        form = forms[f]
        amounts = (form.cpu, form.mem)
        placed += [Placed(len(asks), members) for members in kinds.get((rank, f), [])]
        asks.append(
            AskClass(
                rank,
                len(kinds.get((rank, f), [])) + extra.get((rank, f), 0),
                amounts,
                form.n_devices,
                form.milli,
                value=worth(amounts, form.n_devices, form.milli, most, form.members),
                members=form.members,
            )
        )
    problem = Problem.of(free, asks, dev_free=devices, dev_type=np.where(_real(devices), 0, -1))
    known, greedy = Solution(tuple(placed)), best_fit(problem)
    wrong = verify(problem, known) + verify(problem, greedy)
    if wrong:
        raise AssertionError(wrong[0])
    known_score, greedy_score = score(problem, known), score(problem, greedy)
    if known_score.levels <= greedy_score.levels:
        return None
    return Instance(problem, family, known, greedy, known_score, greedy_score, _fill(problem))


def _real(devices: np.ndarray) -> np.ndarray:
    real: np.ndarray = devices > 0
    return real


def _forms(family: str, rng: np.random.Generator) -> list[_Form]:
    """6 to 20 kinds of jobs."""
    forms = []
    for _ in range(int(rng.integers(6, 21))):
        cpu = CPU_MILLI * int(rng.integers(1, 17))
        mem = MEM_MIB * int(rng.integers(1, 65))
        n_devices = milli = 0
        if family != "cpu" and rng.random() < 0.8:
            shared = rng.random() < 0.6
            n_devices = 1 if shared else int(rng.choice([1, 1, 2, 4]))
            milli = GPU_MILLI * int(rng.integers(10, 85)) if shared else 1000
        members = int(rng.integers(2, 5)) if family == "gangs" and rng.random() < 0.25 else 1
        forms.append(_Form(cpu, mem, n_devices, milli, members))
    return forms


def _nodes(family: str, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Free amounts and devices of 1 to 4 kinds of nodes, some of them partly taken already."""
    kinds = rng.integers(int(rng.integers(1, 5)), size=n)
    cpus = rng.choice([16, 32, 64, 96], 4)
    mems = cpus * rng.choice([2, 4, 8], 4)
    gpus = rng.choice([2, 4, 8], 4)
    free = np.stack([cpus[kinds] * CPU_MILLI, mems[kinds] * MEM_MIB], axis=1).astype(np.int64)
    used = np.where(rng.random(n) < 0.5, rng.random(n) * 0.6, 0.0)
    free -= (free * used[:, None]).astype(np.int64) // 1000 * 1000
    if family == "cpu":
        return free, np.zeros((n, 0), dtype=np.int64)
    devices = np.where(np.arange(8) < gpus[kinds][:, None], 1000, 0)
    part = np.where(rng.random((n, 8)) < 0.3, GPU_MILLI * rng.integers(10, 100, (n, 8)), 1000)
    return free, np.where(used[:, None] > 0, np.minimum(devices, part), devices)


def _plant(
    free: np.ndarray, devices: np.ndarray, forms: list[_Form], slack: float, rng: np.random.Generator
) -> list[tuple[int, tuple[tuple[int, tuple[int, ...]], ...]]]:
    """Cut the nodes into jobs, in random order, until none of the forms fits; then a few are taken out
    again."""
    packed = []
    order = rng.permutation(free.shape[0]).tolist()
    for i, node in enumerate(order):
        around = order[i:] + order[:i]
        shut: set[int] = set()
        while True:
            room, rooms = free[node].tolist(), devices[node].tolist()
            fitting = [f for f, form in enumerate(forms) if f not in shut and _fits(form, room, rooms)]
            if not fitting:
                break
            f = fitting[int(rng.integers(len(fitting)))]
            members = _members(free, devices, forms[f], around, rng)
            if members is None:
                shut.add(f)
                continue
            for at, taken in members:
                free[at] -= (forms[f].cpu, forms[f].mem)
                devices[at, list(taken)] -= forms[f].milli
            packed.append((f, members))
    keep = rng.random(len(packed)) >= slack
    return [job for job, kept in zip(packed, keep.tolist(), strict=True) if kept]


def _fits(form: _Form, room: list[int], rooms: list[int]) -> bool:
    if room[0] < form.cpu or room[1] < form.mem:
        return False
    return sum(milli >= form.milli for milli in rooms) >= form.n_devices if form.n_devices else True


def _members(
    free: np.ndarray, devices: np.ndarray, form: _Form, around: list[int], rng: np.random.Generator
) -> tuple[tuple[int, tuple[int, ...]], ...] | None:
    """The first nodes of `around` that take a member each, on devices at random; None if there are too
    few."""
    found: list[tuple[int, tuple[int, ...]]] = []
    for at in around:
        if _fits(form, free[at].tolist(), devices[at].tolist()):
            usable = np.flatnonzero(devices[at] >= form.milli)
            taken = rng.choice(usable, form.n_devices, replace=False).tolist() if form.n_devices else []
            found.append((at, tuple(sorted(taken))))
        if len(found) == form.members:
            return tuple(sorted(found))
    return None


def _fill(problem: Problem) -> float:
    need = np.zeros(problem.free.shape[1] + 1)
    for ask in problem.asks:
        need += ask.count * ask.members * np.array([*ask.amounts, ask.n_devices * ask.milli])
    have = np.array([*problem.free.sum(axis=0), max(int(problem.dev_free.sum()), 1)])
    return float((need / np.maximum(have, 1)).max())

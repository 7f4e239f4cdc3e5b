"""Small clusters and mixes for the tests of policies, and a plain FGD to compare with."""

import math

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Sight, Want
from packhorse.scheduler.model.resources import WHOLE

Kind = tuple[int, int, int, int]  # milli-CPU, MiB, devices, type
Job = tuple[int, int, int, int, tuple[int, ...], float]  # milli-CPU, MiB, devices, milli, types, weight


def ground(nodes: list[Kind], n_types: int = 2) -> Ground:
    cpu, mem, n, of = (np.array(x, np.int64) for x in zip(*nodes, strict=True))
    slots = int(n.max())
    type_of = np.where(np.arange(slots)[:, None] < n, of, -1)
    classes = [sorted(set(nodes)).index(node) for node in nodes]
    return Ground(cpu, mem, n, type_of, np.array(classes), n_types)


def mix(jobs: list[Job], n_types: int = 2) -> Mix:
    def column(i: int) -> np.ndarray:
        return np.array([job[i] for job in jobs], np.int64)

    types = np.array([[t in job[4] for t in range(n_types)] for job in jobs], bool).reshape(-1, n_types)
    weight = np.array([job[5] for job in jobs], float)
    return Mix(column(0), column(1), column(2), column(3), types, weight)


def sight(on: Ground, want: Want, free: list[tuple[int, int, list[int]]]) -> tuple[Sight, np.ndarray]:
    """The nodes of these free amounts that fit, and all of them as they are `[D, n]`."""
    cpu, mem = np.array([row[0] for row in free]), np.array([row[1] for row in free])
    dev = np.zeros(on.type_of.shape, np.int64)
    for node, row in enumerate(free):
        dev[: len(row[2]), node] = row[2]
    may = (dev >= max(want.milli, 1)) & (want.n_devices > 0)
    fits = (cpu >= want.cpu_milli) & (mem >= want.mem_mib) & (may.sum(axis=0) >= want.n_devices)
    at = np.flatnonzero(fits)
    return Sight(at, cpu[at], mem[at], dev[:, at], may[:, at]), dev


def fgd(on: Ground, jobs: list[Job], want: Want, node: int, cpu: int, dev: list[int]) -> tuple[int, int]:
    """Published score and device of one node, in the words of the paper."""

    def fragment(cpu: int, dev: list[int]) -> float:
        total = 0.0
        for job_cpu, _, n, milli, types, weight in jobs:
            kinds = [int(t) for t in on.type_of[:, node]]
            able = [g >= milli and t in types for g, t in zip(dev, kinds, strict=True)]
            if n and cpu >= job_cpu and sum(able) >= n:
                total += weight * sum(g for g, ok in zip(dev, able, strict=True) if not ok)
            else:
                total += weight * sum(dev)
        return total

    def score(after: list[int]) -> int:
        fall = fragment(cpu, dev) - fragment(cpu - want.cpu_milli, after)
        return int(100 / (1 + math.exp(-round(fall, 6) / 1000)))

    if want.shares:
        found = [
            (score([g - want.milli if i == d else g for i, g in enumerate(dev)]), -d)
            for d in range(len(dev))
            if dev[d] >= want.milli
        ]
        best, device = max(found)
        return best, -device
    left = want.n_devices
    after = []
    for g in dev:
        takes = left > 0 and g == WHOLE
        after.append(0 if takes else g)
        left -= takes
    return score(after), 0

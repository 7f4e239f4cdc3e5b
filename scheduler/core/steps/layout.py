"""Which node runs which task of a step: the distributions of `srun`.

As Slurm 22.05's slurm_step_layout.c has them, its over-subscription included: once every node has as many
tasks as its CPUs take, the rest goes round the nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

Ranks = tuple[tuple[int, ...], ...]
"""The tasks of each node, ascending."""


def spread(n_tasks: int, caps: Sequence[int]) -> list[int]:
    """How many tasks each node gets: one after the other, round after round, while its CPUs take more.

    caps: how many they take, [n_nodes].
    """
    counts = [0] * len(caps)
    left, round_, beyond = n_tasks, 0, False
    while left > 0:
        room = False
        for node, cap in enumerate(caps):
            if left > 0 and (round_ < cap or beyond):
                counts[node] += 1
                left -= 1
                room = room or round_ + 1 < cap
        beyond = beyond or not room
        round_ += 1
    return counts


def block(n_tasks: int, caps: Sequence[int]) -> Ranks:
    """Neighbours together: the first tasks on the first node; as many on each as `spread` says."""
    found, first = [], 0
    for count in spread(n_tasks, caps):
        found.append(tuple(range(first, first + count)))
        first += count
    return tuple(found)


def cyclic(n_tasks: int, caps: Sequence[int]) -> Ranks:
    """Neighbours on different nodes: task after task round the nodes that take more."""
    found: list[list[int]] = [[] for _ in caps]
    counts = spread(n_tasks, caps)
    task = 0
    while task < n_tasks:
        for node, count in enumerate(counts):
            if len(found[node]) < count:
                found[node].append(task)
                task += 1
    return tuple(map(tuple, found))


def plane(n_tasks: int, n_nodes: int, size: int) -> Ranks:
    """Blocks of so many tasks round the nodes, whatever their CPUs."""
    found: list[list[int]] = [[] for _ in range(n_nodes)]
    for task in range(n_tasks):
        found[task // size % n_nodes].append(task)
    return tuple(map(tuple, found))


def arbitrary(n_tasks: int, order: Sequence[int], n_nodes: int) -> Ranks:
    """Task after task on the nodes named, in that order, which is repeated. order: numbers of nodes."""
    found: list[list[int]] = [[] for _ in range(n_nodes)]
    for task in range(n_tasks):
        found[order[task % len(order)]].append(task)
    return tuple(map(tuple, found))

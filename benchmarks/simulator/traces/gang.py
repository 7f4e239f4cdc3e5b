"""How a job of which only the number of devices is known is split into tasks."""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """tasks with n_gpus devices each, on so many nodes (0: as many as it takes)."""

    tasks: int
    n_gpus: int
    nodes: int


def consolidated(n_gpus: int, per_node: int) -> Shape:
    """The fewest nodes that can hold n_gpus devices, with per_node devices each; 0 devices: one task.

    Devices of one task are on one node. What fits on a node is one task; whole nodes are a task each; else
    each device is a task.
    """
    if n_gpus <= per_node:
        return Shape(1, n_gpus, 1)
    nodes = -(-n_gpus // per_node)
    return Shape(nodes, per_node, nodes) if n_gpus % per_node == 0 else Shape(n_gpus, 1, nodes)

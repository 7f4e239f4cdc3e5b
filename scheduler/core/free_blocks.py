"""How large a block of free nodes is left below one switch, rack or whatever is above them.

What a job that wants nodes near each other can still get at once: free nodes spread over many switches are
worth less to it than the same number below one. A node is free if it takes work and nothing runs on it.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.board import CPU
from packhorse.scheduler.core.packing.masks import near
from packhorse.scheduler.core.state import State


def largest_free_blocks(state: State) -> list[int]:
    """By hops, from the lowest switch (0) up to the top of the tree: most free nodes below one; then how many
    are free at all. Only the latter where no node says where it stands."""
    columns = state.node_columns
    board = columns.board()
    if not board.n:
        return [0]
    order = board.order
    free = columns.schedulable[order] & (columns.free[CPU, order] == columns.capacity[CPU, order])
    depth = max(len(path) for path in board.topology)
    found = []
    for hops in range(depth):
        groups = near(board, hops)
        known = groups >= 0
        sums = np.bincount(groups[known], weights=free[known], minlength=1)
        found.append(int(sums.max(initial=0)))
    return [*found, int(free.sum())]

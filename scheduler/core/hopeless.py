"""Rows of a pass that are not worth a look: their classes need more than any node has free."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle

_FIRST_NODES: Final = 256
MANY_CLASSES: Final = 24
"""From here on, testing classes together is cheaper than one by one."""
_FEW_CLASSES: Final = 4
"""That are not looked at beforehand, if scores are kept from pass to pass."""


def pass_over(cycle: Cycle) -> None:
    """Classes that need more than any node has free. Nodes with less free than all need are left aside,
    so that a full cluster is a small one."""
    field, n = cycle.field, cycle.demands.n
    waiting = np.zeros(n, dtype=np.bool_)
    waiting[cycle.classes[cycle.codes == 0]] = True
    cycle.blocked_from[~cycle.demands.known[:n]] = 0
    if cycle.reserved is not None:
        waiting &= ~cycle.reserved.aside
    classes = np.flatnonzero(waiting & cycle.demands.known[:n])
    if classes.size <= (_FEW_CLASSES if field.kept is not None else 0):
        return  # trying them costs less
    least = cycle.demands.least[:, classes]
    live = field.narrow(least.min(axis=1))
    at, piece = 0, _FIRST_NODES
    while classes.size and at < live.size:
        fits = _fit_somewhere(cycle.demands.least[:, classes], field.free[:, live[at : at + piece]])
        classes = classes[~fits]
        at, piece = at + piece, piece * 8
    cycle.blocked_from[classes] = 0


def test_together(cycle: Cycle, places: np.ndarray) -> None:
    """Marks classes of these rows that fit on no node, many at a time."""
    field = cycle.field
    ends = cycle.durations[places] + cycle.now
    starts = np.array([layer.start for layer in field.layers], dtype=np.int64)
    layers = np.searchsorted(starts, ends, side="left")
    for j in range(len(field.layers) + 1):
        marked = np.zeros(cycle.demands.n, dtype=np.bool_)
        marked[cycle.classes[places[layers == j]]] = True
        if cycle.reserved is not None:
            marked &= ~cycle.reserved.aside
        classes = np.flatnonzero(marked)
        if classes.size <= MANY_CLASSES:
            continue
        room = field.room(j)
        if field.live is not None:
            room = room[:, field.live]
        elif not field.all_up:
            room = np.where(field.up, room, 0)
        for first in range(0, classes.size, 256):
            some = classes[first : first + 256]
            lost = some[~_fit_somewhere(cycle.demands.least[:, some], room)]
            cycle.blocked_from[lost] = np.minimum(cycle.blocked_from[lost], cycle._shortest(j))


def _fit_somewhere(least: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Which classes find all that they need on one node `[n_classes]`; `[n_resources, n_classes]` and
    `[n_resources, n_nodes]`."""
    fits = np.ones((least.shape[1], free.shape[1]), dtype=np.bool_)
    for resource in np.flatnonzero(least.any(axis=1)).tolist():
        # A node may have less than nothing, if it shrank; who wants nothing of it does not mind.
        fits &= np.maximum(free[resource], 0)[None, :] >= least[resource][:, None]
    return np.asarray(fits.any(axis=1))

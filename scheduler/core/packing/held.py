"""What a solution holds on each node, and the devices there by kind: a solution in the terms of the model.

Pure; packing/cpsat.py turns it into values of its variables.
"""

from __future__ import annotations

from typing import TypeVar

from packhorse.scheduler.core.packing.patterns import Pattern, covering, extended
from packhorse.scheduler.core.packing.problem import Problem, Solution

_Key = TypeVar("_Key")


def devices_by_type(problem: Problem, node: int) -> dict[int, dict[int, tuple[int, ...]]]:
    """Devices of a node that are not used up, by type and free thousandths, both ascending."""
    found: dict[int, dict[int, tuple[int, ...]]] = {}
    types, milli = problem.dev_type[node].tolist(), problem.dev_free[node].tolist()
    for room, kind, d in sorted(zip(milli, types, range(len(types)), strict=True)):
        if kind >= 0 and room > 0:
            of_type = found.setdefault(kind, {})
            of_type[room] = (*of_type.get(room, ()), d)
    return dict(sorted(found.items()))


class Held:
    """A solution by node, as counts."""

    def __init__(self, problem: Problem, hint: Solution) -> None:
        self._members: dict[tuple[int, int, int], int] = {}
        self._whole: dict[tuple[int, int, int], int] = {}
        self._on_device: dict[tuple[int, int], list[int]] = {}
        for job in hint.placed:
            ask = problem.asks[job.ask]
            for node, devices in job.members:
                if not ask.shares:
                    _add(self._members, (node, job.ask, -1))
                for d in devices:
                    kind = int(problem.dev_type[node, d])
                    if ask.shares:
                        _add(self._members, (node, job.ask, kind))
                        self._on_device.setdefault((node, d), []).append(ask.milli)
                    else:
                        _add(self._whole, (node, job.ask, kind))

    def members(self, node: int, c: int, kind: int) -> int:
        """Of a class on a node; kind: the type of its device for shares, else -1."""
        return self._members.get((node, c, kind), 0)

    def whole(self, node: int, c: int, kind: int) -> int:
        """Whole devices of a type that the class has on the node."""
        return self._whole.get((node, c, kind), 0)

    def cuts(
        self,
        node: int,
        devices: tuple[int, ...],
        sizes: tuple[int, ...],
        room: int,
        ways: tuple[Pattern, ...],
    ) -> tuple[dict[int, int], tuple[Pattern, ...]]:
        """How many of these devices are cut in each of the ways, and the ways, with those added that
        lacked."""
        cut: dict[int, int] = {}
        for d in devices:
            held = self._on_device.get((node, d))
            if held:
                shares = tuple(held.count(size) for size in sizes)
                p = covering(ways, shares)
                if p is None:
                    p, ways = len(ways), (*ways, extended(sizes, room, shares))
                _add(cut, p)
        return cut, ways


def _add(counts: dict[_Key, int], key: _Key, n: int = 1) -> None:
    counts[key] = counts.get(key, 0) + n

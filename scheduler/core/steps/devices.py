"""Devices of a job on one node, handed out to its steps one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packhorse.scheduler.model.resources import Devices, Gres
from packhorse.scheduler.model.step import StepSpec

NONE = "none"
"""Kind of `--gres=none`: the step sees no devices."""


def none_wanted(gres: Iterable[Gres]) -> bool:
    """Whether it is said that the step gets no devices."""
    return any(wanted.kind == NONE for wanted in gres)


def wanted_kinds(spec: StepSpec) -> tuple[Gres, ...]:
    """What the step asks for by amount."""
    asked = (*spec.gres_per_node, *spec.gres_per_task, *spec.gres_per_step)
    return () if none_wanted(asked) else asked


def joined(devices: Iterable[Devices]) -> tuple[Devices, ...]:
    """Single devices, those alike together."""
    by_kind: dict[Devices, list[int]] = {}
    for one in devices:
        by_kind.setdefault(one._replace(indices=()), []).extend(one.indices)
    found = [one._replace(indices=tuple(sorted(indices))) for one, indices in by_kind.items()]
    return tuple(sorted(found))


class Pool:
    """What is free of some devices. A share or a slice of a device counts as one, as it was given."""

    __slots__ = ("_free",)

    def __init__(self, devices: Iterable[Devices]) -> None:
        self._free = [d._replace(indices=(index,)) for d in devices for index in d.indices]

    def left(self) -> list[Devices]:
        """Each by itself."""
        return list(self._free)

    def take_these(self, devices: Iterable[Devices]) -> None:
        """They are somebody's."""
        for d in devices:
            for index in d.indices:
                one = d._replace(indices=(index,))
                if one in self._free:
                    self._free.remove(one)

    def holds(self, wanted: Sequence[Gres]) -> bool:
        """Whether all of that is free."""
        return none_wanted(wanted) or Pool(self._free).take(wanted) is not None

    def times(self, wanted: Sequence[Gres]) -> int:
        """How often it could be given."""
        pool, n = Pool(self._free), 0
        wanted = [gres for gres in wanted if gres.n]
        if not wanted:
            return len(self._free)
        while pool.take(wanted) is not None:
            n += 1
        return n

    def take(self, wanted: Sequence[Gres]) -> list[Devices] | None:
        """That many of each kind, lowest numbers first; None, and nothing is taken, if there are too few."""
        free, taken = list(self._free), list[Devices]()
        for kind, type_, n, *_ in wanted:
            fitting = [d for d in free if d.kind == kind and type_ in ("", d.type, d.part)]
            if len(fitting) < n:
                return None
            for one in fitting[:n]:
                free.remove(one)
                taken.append(one)
        self._free = free
        return taken

"""The plain packer over a Problem: classes strictly by rank, biggest first, each job on the tightest node.

It is what the improver is measured against, and a hint where the caller has none. Not the packer of a pass
(packing/greedy.py): it knows neither topology nor policies.
"""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.problem import AskClass, Placed, Problem, Solution
from packhorse.scheduler.model.resources import WHOLE


class Room:
    """What is still free while jobs are placed one after the other."""

    __slots__ = ("devices", "free", "licences", "most", "problem")

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.free = problem.free.copy()
        self.devices = problem.dev_free.copy()
        self.licences = list(problem.licences)
        self.most = np.maximum(problem.free.max(axis=0, initial=0), 1)

    def fits(self, ask: AskClass, among: np.ndarray | None = None) -> np.ndarray:
        """Nodes that can take a member now `[n_nodes]`, or of the nodes `among`."""
        at = slice(None) if among is None else among
        ok: np.ndarray = np.all(self.free[at] >= np.array(ask.amounts, dtype=np.int64), axis=1)
        if ask.n_devices:
            ok &= self.usable(ask, at).sum(axis=1) >= ask.n_devices
        return ok

    def usable(self, ask: AskClass, at: slice | np.ndarray) -> np.ndarray:
        """Devices with enough free for the ask `[nodes, D]`."""
        devices = (self.devices[at] >= ask.milli) & (self.problem.dev_type[at] >= 0)
        if ask.types:
            devices &= np.isin(self.problem.dev_type[at], ask.types)
        return devices

    def take(self, ask: AskClass, node: int, devices: tuple[int, ...], times: int = 1) -> None:
        """A member of the ask is placed there; with times = -1 it goes again."""
        self.free[node] -= np.array(ask.amounts, dtype=np.int64) * times
        for d in devices:
            self.devices[node, d] -= ask.milli * times

    def licensed(self, ask: AskClass) -> bool:
        """Are there licences for one more job?"""
        return all(a <= free for a, free in zip(ask.licences, self.licences, strict=False))

    def pick(self, ask: AskClass, node: int) -> tuple[int, ...]:
        """Which devices of a node that fits: shares go to the fullest, whole ones to the first."""
        if not ask.n_devices:
            return ()
        usable = np.flatnonzero(self.usable(ask, np.array([node]))[0])
        if ask.shares:
            usable = usable[np.argsort(self.devices[node, usable], kind="stable")]
        return tuple(sorted(usable[: ask.n_devices].tolist()))


def best_fit(problem: Problem) -> Solution:
    """All that fits in this order; equal nodes go by position. A class that no longer fits is left."""
    room = Room(problem)
    placed: list[Placed] = []
    big = sorted(
        range(len(problem.asks)),
        key=lambda c: (
            problem.asks[c].rank,
            -problem.asks[c].n_devices * problem.asks[c].milli,
            -_size(room, c),
            c,
        ),
    )
    for c in big:
        ask = problem.asks[c]
        allowed = np.ones(problem.n_nodes, dtype=np.bool_)
        if ask.nodes is not None:
            allowed[:] = False
            allowed[list(ask.nodes)] = True
        fits = room.fits(ask) & allowed
        loose = _loose(room, ask)
        on = np.zeros(problem.n_nodes, dtype=np.int64)
        for _ in range(ask.count):
            if not room.licensed(ask):
                break
            candidates = np.flatnonzero(fits)
            if candidates.size < ask.members:
                break
            order = (
                np.argsort(loose[candidates], kind="stable")[: ask.members]
                if ask.members > 1
                else ([int(np.argmin(loose[candidates]))])
            )
            members = []
            for node in candidates[order].tolist():
                devices = room.pick(ask, node)
                room.take(ask, node, devices)
                on[node] += 1
                at = np.array([node])
                fits[node] = bool(room.fits(ask, at)[0]) and not 0 < ask.per_node <= on[node]
                loose[node] = _loose(room, ask, at)[0]
                members.append((node, devices))
            room.licences = [
                f - a for f, a in zip(room.licences, ask.licences or (0,) * len(room.licences), strict=True)
            ]
            placed.append(Placed(c, tuple(sorted(members))))
    return Solution(tuple(placed))


def _size(room: Room, c: int) -> float:
    return float((np.array(room.problem.asks[c].amounts) / room.most).sum())


def _loose(room: Room, ask: AskClass, at: slice | np.ndarray = slice(None)) -> np.ndarray:
    """How much would stay free on each node, in parts of the largest node; the tightest is the best."""
    left: np.ndarray = (room.free[at] / room.most).sum(axis=1)
    if room.devices.shape[1]:
        left = left + room.devices[at].sum(axis=1) / (WHOLE * room.devices.shape[1])
    return left

"""Room for one job on a picture of the nodes, with some of those that could leave gone: see fewest.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.board import CPU, MEM, TMP
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import fitting, gang_shares
from packhorse.scheduler.core.packing.request import Pairs, Request
from packhorse.scheduler.core.preempt.candidates import Candidate, Candidates
from packhorse.scheduler.core.preempt.effort import LEAVE, LOOK_AT_ONE, Effort, look_at
from packhorse.scheduler.core.preempt.fewest import fewest
from packhorse.scheduler.core.preempt.room import Taken, put_back, room_for, take

_BUDGET: Final = 128
"""Choices tried beside the greedy one, on one node or among few jobs: all there are of seven."""
_FEW: Final = 7
_SMALL: Final = 256
"""Nodes."""
_MOST_NODES: Final = 12
"""On which room is looked for, those first where it may cost least."""
_BUDGET_OF_SEVERAL: Final = 64
"""The same for a job on several nodes among many, where each choice costs as much as placing it."""
_ROUNDS: Final = 12
"""So often, about, all candidates are out and in again before a choice of them is made."""
_AMOUNTS: Final = {CPU: 0, MEM: 1, TMP: 2}


Held = tuple[Taken, int]
"""What somebody holds, and until when."""


class _Outs:
    """Who is out, on a picture."""

    def __init__(self, picture: Field, found: Sequence[Held], effort: Effort) -> None:
        self.picture = picture
        self.found = found
        self.effort = effort
        self.given: dict[int, Taken] = {}

    def leave(self, i: int) -> None:
        """What it holds is free."""
        holds, end = self.found[i]
        self.effort.spend(LEAVE)
        self.given[i] = put_back(self.picture, holds, self.picture.layer_of(end))

    def may(self, members: Sequence[int]) -> bool:
        """Whether these could be enough, as far as that is seen at a glance."""
        return True

    def stay(self, i: int) -> None:
        """It is not."""
        self.effort.spend(LEAVE)
        take(self.picture, self.given.pop(i), self.picture.layer_of(self.found[i][1]))


class _OnOneNode(_Outs):
    """A job that is to be on one node as a whole, that one."""

    def __init__(
        self,
        picture: Field,
        found: Sequence[Held],
        request: Request,
        whole: Pairs,
        j: int,
        position: int,
        effort: Effort,
    ) -> None:
        super().__init__(picture, found, effort)
        self.request, self.whole, self.j, self.at = request, whole, j, np.array([position])
        room = picture.room(j)
        self.lack = [(r, n - int(room[r, position])) for r, n in whole if r in _AMOUNTS]
        self.gives = [
            {r: n for at, pairs in holds if at == position for r, n in pairs} for holds, _ in self.found
        ]

    def may(self, members: Sequence[int]) -> bool:
        return all(sum(self.gives[i].get(r, 0) for i in members) >= n for r, n in self.lack)

    def room(self) -> bool:
        picture = self.picture
        self.effort.spend(LOOK_AT_ONE)
        ok = fitting(picture, self.request, self.whole, picture.room(self.j), at=self.at)
        return bool(ok[0])


class Anywhere(_Outs):
    """A job wherever it may be."""

    def __init__(
        self, picture: Field, found: Sequence[Held], request: Request, j: int, effort: Effort
    ) -> None:
        super().__init__(picture, found, effort)
        self.request, self.j = request, j

    def room(self) -> bool:
        self.effort.look(self.picture.n, self.request.shape.multi)
        return room_for(self.picture, self.request, self.j) is not None


def choose(
    picture: Field, request: Request, j: int, among: Candidates, effort: Effort
) -> list[Candidate] | None:
    """Whose leaving makes room for the request, which runs past the first j planned starts; None if nobody's
    does. The picture is as before."""
    if request.shape.exclusive:
        picture.share_with_nobody()
    chosen = None
    if request.whole is not None:
        chosen = _on_one_node(picture, request, request.whole, j, among, effort)
    if chosen is None and request.shape.multi:
        chosen = _on_several(picture, request, j, among, effort)
    return chosen


def _on_one_node(
    picture: Field, request: Request, whole: Pairs, j: int, among: Candidates, effort: Effort
) -> list[Candidate] | None:
    """On the node where that costs least. Nodes come in the order of what it costs at least there, so that
    the rest need not be looked at once a choice is cheaper than that."""
    ok = picture.usable(request.alone).copy()
    room = picture.room(j)
    lack = np.zeros((len(_AMOUNTS), picture.n), dtype=np.int64)
    for resource, amount in whole:
        if resource in _AMOUNTS:
            ok &= room[resource] + among.gives[resource] >= amount
            lack[_AMOUNTS[resource]] = np.maximum(amount - room[resource], 0)
    bounds = among.least_cost(lack)
    able = np.flatnonzero(ok & np.isfinite(bounds))
    best: tuple[int, int, int] | None = None
    chosen: list[Candidate] | None = None
    for n_tried, position in enumerate(able[np.argsort(bounds[able], kind="stable")].tolist()):
        if best is not None and (bounds[position] > best[0] or n_tried >= _MOST_NODES):
            break
        found = among.at[position]
        if best is not None and effort.is_spent and picture.n > _SMALL:
            break
        trial = _OnOneNode(picture, _held(found), request, whole, j, position, effort)
        costs = [candidate.cost for candidate in found]
        out = fewest(trial, costs, _BUDGET, best[0] if best else None, _bound(picture, found, effort))
        if out is not None:
            rank = (sum(found[i].cost for i in out), len(out), position)
            if best is None or rank < best:
                best, chosen = rank, [found[i] for i in out]
    return chosen


def _on_several(
    picture: Field, request: Request, j: int, among: Candidates, effort: Effort
) -> list[Candidate] | None:
    """The best of all choices among few; among many, from the nodes on which least is lost by emptying them,
    as few as there have to be. With too little effort left for so many, from those of them where the job
    would go by best fit."""
    if len(among.all) <= _FEW:
        return _choice(picture, request, j, among.all, _BUDGET, effort)
    room, empty = picture.room(j), emptied(picture, j, among.gives)
    nodes = sorted(among.at, key=lambda position: (sum(c.cost for c in among.at[position]), position))

    def enough(n: int) -> bool:
        some = room.copy()
        some[:, nodes[:n]] = empty[:, nodes[:n]]
        effort.look(picture.n, several=True)
        return gang_shares(picture, request, some, picture.score) is not None

    if not enough(len(nodes)):
        return None
    low, high = 0, len(nodes)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    found = _of(among, nodes[:low])
    if _ROUNDS * (LEAVE * len(found) + look_at(picture.n, several=True)) > effort.left:
        some = room.copy()
        some[:, nodes[:low]] = empty[:, nodes[:low]]
        shares = gang_shares(picture, request, some, picture.score)
        fewer = _of(among, [share.position for share in shares or () if share.position in among.at])
        chosen = _choice(picture, request, j, fewer, _BUDGET_OF_SEVERAL, effort) if fewer else None
        if chosen is not None:
            return chosen
    return _choice(picture, request, j, found, _BUDGET_OF_SEVERAL, effort)


def _choice(
    picture: Field, request: Request, j: int, found: list[Candidate], budget: int, effort: Effort
) -> list[Candidate] | None:
    trial = Anywhere(picture, _held(found), request, j, effort)
    out = fewest(
        trial, [candidate.cost for candidate in found], budget, effort=_bound(picture, found, effort)
    )
    return None if out is None else [found[i] for i in out]


def _bound(picture: Field, found: list[Candidate], effort: Effort) -> Effort | None:
    """None: all choices are tried, of few jobs on a small cluster, where that costs little."""
    return None if len(found) <= _FEW and picture.n <= _SMALL else effort


def emptied(picture: Field, j: int, gives: np.ndarray) -> np.ndarray:
    """What a job that runs past the first j planned starts could use, at most, if all of this became free:
    gives and the answer `[n_resources, n_nodes]`."""
    room = picture.room(j)
    out: np.ndarray = np.minimum(room + gives, np.maximum(picture.offered, room))
    picture.board.settle(out, None, picture.slices_of)
    return out


def fits_in(picture: Field, request: Request, room: np.ndarray, effort: Effort) -> bool:
    """Whether the request finds a place where so much is free `[n_resources, n_nodes]`."""
    if request.shape.exclusive:
        picture.share_with_nobody()
    effort.look(picture.n, several=False)
    if request.whole is not None and fitting(picture, request, request.whole, room).any():
        return True
    if not request.shape.multi:
        return False
    effort.look(picture.n, several=True)
    return gang_shares(picture, request, room, picture.score) is not None


def _of(among: Candidates, nodes: list[int]) -> list[Candidate]:
    """Candidates on these nodes, the cheapest first."""
    ids = {candidate.id for position in nodes for candidate in among.at[position]}
    return [candidate for candidate in among.all if candidate.id in ids]


def _held(found: Sequence[Candidate]) -> list[Held]:
    return [(candidate.holds, candidate.end) for candidate in found]

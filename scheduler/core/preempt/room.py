"""Room on the working copy of the nodes: what would be free if somebody left, and what would fit then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import candidates, gang_shares
from packhorse.scheduler.core.packing.request import Pairs, Request
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.resources import Placement

Taken = Sequence[tuple[int, Pairs]]
"""Amounts by position on the board."""


def held(
    nodes: NodeColumns, board: Board, placements: Iterable[Placement], exclusive: bool = False
) -> list[tuple[int, Pairs]]:
    """What these placements are of the nodes. exclusive: of a job that keeps others off its nodes."""
    return [
        (board.position[p.node], [(r, n) for r, n in enumerate(nodes.amounts(p, exclusive)) if n])
        for p in placements
    ]


def held_by(nodes: NodeColumns, board: Board, job: JobId) -> list[tuple[int, Pairs]]:
    """What the job holds now."""
    return [
        (board.position[p.node], [(r, n) for r, n in enumerate(nodes.amounts_held(job, p)) if n])
        for p in nodes.held(job)
    ]


def room_for(field: Field, request: Request, j: int = 0) -> list[tuple[int, Pairs]] | None:
    """Where the request would go by best fit, running past the first j planned starts, and what it would take
    there; nothing is taken."""
    shape, room = request.shape, field.room(j)
    if shape.exclusive:
        field.share_with_nobody()
    if request.whole is not None:
        found = candidates(field, request, request.whole, room)
        if found.size:
            position = int(found[field.score[found].argmin()])
            return [(position, field.cost(shape, position, shape.tasks, True, room)[0])]
    shares = gang_shares(field, request, room, field.score) if shape.multi else None
    if shares is None:
        return None
    one = len(shares) == 1
    return [
        (position, field.cost(shape, position, tasks, one, room, None if one else devices)[0])
        for position, tasks, devices in shares
    ]


def has_room(field: Field, request: Request, position: int) -> bool:
    """Whether the node has the amounts of the whole job, whatever else it wants."""
    if request.whole is None:
        return False
    return all(field.free[r, position] >= n for r, n in request.whole)


def fits(field: Field, taken: Taken) -> bool:
    """Whether these very amounts are there."""
    return all(field.free[r, position] >= n for position, pairs in taken for r, n in pairs)


def take(field: Field, taken: Taken, j: int = 0) -> None:
    """They are gone, now and until after the first j planned starts."""
    for position, pairs in taken:
        field.take(position, pairs, 1, j)


def put_back(field: Field, taken: Taken, j: int = 0) -> list[tuple[int, Pairs]]:
    """What is held here is free again, as far as the node offers it, now and until after the first j planned
    starts. Returns what came to be free, which `take` undoes."""
    given = []
    for position, pairs in taken:
        free, offered = field.free[:, position], field.offered[:, position]
        back = [(r, min(n, int(offered[r] - free[r]))) for r, n in pairs if offered[r] > free[r]]
        field.take(position, [(r, -n) for r, n in back], 1, j)
        given.append((position, back))
    return given

"""What reservations take from everybody else for a time, and what they keep for their own jobs: as an
estimate of starts goes by it, in sums.

Nodes that are set aside whole belong to no partition while their window is open, and a job whose time limit
reaches into a window must fit beside it. Jobs of such a reservation have a place of their own, which is its
nodes and closed outside its windows. Of reservations that set CPUs or licences aside only these are gone for
the others. Jobs of a reservation that does not bind them (FLEX) are estimated as if they had none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.reservations.window import ahead, window
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.reservation import Reservation

FAR_S: Final = 1e9


class Aside(NamedTuple):
    """Nobody has these of a place in any of the spans. spans: (begin, end) in seconds from now. amounts:
    `[KINDS]`."""

    place: int
    spans: tuple[tuple[float, float], ...]
    amounts: np.ndarray


class Kept(NamedTuple):
    """A reservation of whole nodes. spans: as in Aside, of the windows that plans look at. nodes: mask;
    closed: those of them that are closed to others now, each in one reservation only."""

    reservation: Reservation
    spans: tuple[tuple[float, float], ...]
    nodes: np.ndarray
    closed: np.ndarray

    @property
    def begin_s(self) -> float:
        """When its present window began, at least 0, or the next one begins."""
        return self.spans[0][0]


def spans_of(r: Reservation, now: Instant) -> tuple[tuple[float, float], ...]:
    """Its windows in seconds from now, as far as plans look ahead; where they repeat the last one has no end,
    so that nobody is told of a start that another window would forbid."""
    spans = [(max(w.start - now, 0) / US, (w.end - now) / US) for w in ahead(r, now) if w.end > now]
    if r.repeat and spans:
        spans[-1] = spans[-1][0], FAR_S
    return tuple(spans)


def kept(reservations: Mapping[str, Reservation], board: Board, now: Instant) -> list[Kept]:
    """All reservations of whole nodes whose window is open or to come. Of a node that several hold now the
    one counts that holds it longest."""
    whole = [r for r in reservations.values() if r.whole and window(r, now).end > now]
    whole.sort(key=lambda r: (-window(r, now).end, r.name))
    taken, found = np.zeros(board.n, dtype=np.bool_), []
    for r in whole:
        nodes = np.zeros(board.n, dtype=np.bool_)
        nodes[[board.position[name] for name in r.nodes if name in board.position]] = True
        closed = nodes & ~taken if window(r, now).holds(now) else np.zeros_like(nodes)
        taken |= closed
        found.append(Kept(r, spans_of(r, now), nodes, closed))
    return found


def of_nodes(found: list[Kept], masks: np.ndarray, whole: np.ndarray) -> list[Aside]:
    """What they take from each partition. masks: `[n_partitions, n_nodes]`; whole: `[KINDS, n_nodes]`.

    Of nodes that are closed now others count as if they were empty, so that they are theirs when it is over.
    """
    out = []
    for one in found:
        spans = one.spans
        for place, mask in enumerate(masks):
            for nodes, when in (
                (one.closed, spans),
                (one.nodes & ~one.closed, tuple(s for s in spans if s[0] > 0)),
            ):
                amounts = whole @ (mask & nodes)
                if when and amounts.any():
                    out.append(Aside(place, when, amounts))
    return out


def outside(one: Kept, place: int, amounts: np.ndarray) -> Aside:
    """The place of its own jobs is closed when none of its windows is open."""
    edges = [0.0, *(edge for span in one.spans for edge in span), FAR_S]
    gaps = tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a)
    return Aside(place, gaps, amounts)


def of_cpus(state: State, board: Board, masks: np.ndarray, now: Instant, kinds: int) -> list[Aside]:
    """CPUs that are set aside of nodes, less what jobs inside have of them."""
    out = []
    for claim in state.windows.picture(state.reservations, board, state.config, now).claims:
        inside = state.windows.inside.get(claim.reservation, {})
        used = sum(p.cpu_milli for id in inside for p in state.node_columns.held(id))
        spans = spans_of(state.reservations[claim.reservation], now)
        for place, mask in enumerate(masks):
            milli = sum(n for position, n in claim.cpu_milli if mask[position])
            amounts = np.zeros(kinds)
            amounts[0] = max(milli - used, 0)
            if amounts.any():
                out.append(Aside(place, spans, amounts))
    return out


def of_licenses(
    state: State, board: Board, now: Instant, pool_of: Callable[[str], int | None]
) -> list[tuple[int, tuple[tuple[float, float], ...], int]]:
    """Pools of licences, when some of them are set aside, and how many."""
    out = []
    for one in state.windows.picture(state.reservations, board, state.config, now).licenses:
        spans = spans_of(state.reservations[one.reservation], now)
        out += [(pool, spans, n) for name, n in one.licenses if (pool := pool_of(name)) is not None]
    return out

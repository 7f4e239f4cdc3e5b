"""The score of every node for an ask, kept while a pass goes on.

Each ask that was placed once has a row of scores, one per node, infinite where it does not fit. Only the
nodes at which something was taken since the row was last used are scored again, so that a decision costs a
look at a handful of nodes and one search for the least, however many nodes there are. Borg's "score caching"
and "equivalence classes" (Verma et al., EuroSys 2015, section 3.4) in columns.

Where no node has devices, rows are kept from pass to pass as well, and only the nodes that were touched
meanwhile are scored again.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.board import CPU, MEM, SLOTS
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import candidates, fitting
from packhorse.scheduler.core.packing.policy import Knowing, Scorer, Sight
from packhorse.scheduler.core.packing.request import Request

_MAX_ROWS: Final = 512
_FEW: Final = 6  # up to so many nodes are scored one after the other
_MANY: Final = (
    64  # from so many nodes on, finding those alike is cheaper than scoring them all, if there are devices
)


_KEPT_SCORES: Final = 1 << 21  # of all rows that are kept from pass to pass

_NONE: Final = np.zeros(0)
_NOWHERE: Final = np.zeros(0, dtype=np.intp)


class Row:
    """score: `[n_nodes]`, infinite where the job does not fit; empty if it never did. device: the slot a
    share would come from. any: it fitted somewhere. seen: how much of the field's changes the row knows.
    made_of: versions and phase it was made for. touched_at: of a row that is kept, how many touches of the
    nodes it surely knows.
    """

    __slots__ = ("any", "device", "made_of", "n", "score", "seen", "touched_at")

    def __init__(self, n: int) -> None:
        self.n = n
        self.any = False
        self.score = _NONE
        self.device = _NOWHERE
        self.seen = 0
        self.made_of: tuple[int, int, int] = (-1, -1, -1)
        self.touched_at = -1

    def fill(self) -> None:
        """No node fits, for now."""
        if self.any:
            self.score.fill(np.inf)
        else:
            self.any = True
            self.score = np.full(self.n, np.inf)
            self.device = np.zeros(self.n, dtype=np.intp)


class KeptRows:
    """Rows of the jobs that run past no planned start, from pass to pass; those used last. For one scorer and
    the same nodes."""

    __slots__ = ("_rows", "_scorer")

    def __init__(self) -> None:
        self._rows: dict[Request, Row] = {}
        self._scorer: Scorer | None = None

    def by(self, scorer: Scorer | None) -> KeptRows | None:
        """What is kept of this scorer; None if it is not one whose scores can be kept."""
        if scorer is not self._scorer:
            self._scorer = scorer
            self._rows.clear()
        return self if scorer is not None and not scorer.relative else None

    def row(self, field: Field, request: Request) -> Row:
        """The row, brought up to date with the field."""
        row = self._rows.pop(request, None) or Row(field.n)
        while self._rows and (len(self._rows) + 1) * field.n > _KEPT_SCORES:
            del self._rows[next(iter(self._rows))]
        self._rows[request] = row
        scorer, since = field.scorer, None
        assert scorer is not None
        if row.made_of == _FRESH:
            since = field.nodes.touched_since(row.touched_at)
        row.made_of, row.seen, row.touched_at = _FRESH, field.n_changes, field.touched_at
        if since is None or len(since) * 4 > field.n:
            _score(row, field, request, scorer, 0, 0, None)
        elif since:
            if not row.any:
                row.fill()
            at = field.board.position_of_row[list(set(since))]
            _score(row, field, request, scorer, 0, 0, np.sort(at))
        return row


_FRESH: Final = (0, 0, 0)
"""What a row is made of that can be kept: a field in which nobody keeps others off his nodes, no planned
start, no phase of the policy."""


def best(field: Field, request: Request, scorer: Scorer, j: int) -> tuple[int, int]:
    """Position of the best node for the whole job and the slot for its share; (-1, -1) if it fits nowhere."""
    row = up_to_date(field, request, scorer, j)
    score = row.score
    if not row.any or not score.size:
        return -1, -1
    position = int(score.argmin())
    if score.item(position) == np.inf:
        return -1, -1
    if not field.board.one_weight:
        fits = np.flatnonzero(score < np.inf)
        weight = field.board.weight_score[fits]
        fits = fits[weight == weight.min()]
        position = int(fits[score[fits].argmin()])
    return position, row.device.item(position)


def up_to_date(field: Field, request: Request, scorer: Scorer, j: int) -> Row:
    """The row of this request, for jobs that run past the first j planned starts."""
    key = (request, j)
    row = field.rows.get(key)
    phase = scorer.phase(field.fill()) if field.board.n_slots else 0
    made_of = (field.version, field.layers_version if j else 0, phase)
    if not isinstance(row, Row):
        if len(field.rows) >= _MAX_ROWS:
            field.rows.clear()
        keep = field.kept is not None and made_of == _FRESH and request.by_amounts
        row = field.rows[key] = field.kept.row(field, request) if keep and field.kept else Row(field.n)
    if row.made_of != made_of or scorer.relative:
        row.made_of = made_of
        row.seen = field.n_changes
        _score(row, field, request, scorer, j, phase, None)
    elif row.seen < field.n_changes:
        at = field.changed(row.seen)
        row.seen = field.n_changes
        # Within a pass there is never more free than before.
        at = at[row.score.take(at) < np.inf] if row.any else at[:0]
        if at.size and request.by_amounts:
            _score_again(row, field, request, scorer, j, phase, at)
        elif at.size:
            _score(row, field, request, scorer, j, phase, np.unique(at))
    return row


def _score_again(
    row: Row, field: Field, request: Request, scorer: Scorer, j: int, phase: int, at: np.ndarray
) -> None:
    """Something was taken at these positions, and only amounts are left to be asked."""
    room, whole = field.room(j), request.whole
    assert whole is not None
    row.score[at] = np.inf
    slots_matter = field.slots_matter
    for resource, amount in whole:
        if resource != SLOTS or slots_matter:
            at = at[room[resource].take(at) >= amount]
            if not at.size:
                return
    positions = list(dict.fromkeys(at.tolist()))
    if len(positions) <= _FEW and not j and field.knowing is not None:
        _score_few(row, field, request, field.knowing, positions)
        return
    at = np.array(positions, dtype=np.intp)
    sight = _sight(field, request, room, at, None if j else field.known())
    if request.want.shares:
        fits = sight.may.any(axis=0)
        if not fits.all():
            some = np.flatnonzero(fits)
            if not some.size:
                return
            at = at[some]
            sight = _sight(field, request, room, at, None if j else field.known())
    row.score[at], row.device[at] = scorer.scores(request.want, sight, phase)


def _score_few(row: Row, field: Field, request: Request, scorer: Knowing, positions: list[int]) -> None:
    """Nodes that have what is asked for, one after the other, by plain numbers."""
    want, slots = request.want, field.board.slot_columns
    known, free = field.known_each(), field.free
    for position in positions:
        dev: list[int] = free[slots, position].tolist()
        may: list[bool] = []
        if want.shares:
            need = request.need[:, position].tolist()
            may = [d >= least for d, least in zip(dev, need, strict=True)]
            if True not in may:
                continue
        cpu, mem = free.item(CPU, position), free.item(MEM, position)
        row.score[position], row.device[position] = scorer.score_one(
            want, position, cpu, mem, dev, may, known[position]
        )


def _score(
    row: Row,
    field: Field,
    request: Request,
    scorer: Scorer,
    j: int,
    phase: int,
    at: np.ndarray | None,
) -> None:
    """Scores all nodes, or those at some positions, anew."""
    whole = request.whole
    assert whole is not None
    room = field.room(j)
    if at is None:
        at = candidates(field, request, whole, room)
        if row.any or at.size:
            row.fill()
    else:
        row.score[at] = np.inf
        at = at[fitting(field, request, whole, room, at=at)]
    if not at.size:
        return
    if j == 0 and at.size >= _MANY and field.board.n_slots and not scorer.relative:
        alike = field.alike()
        one, place = alike.one_of_each(at, field)
        score, device = scorer.scores(request.want, _sight(field, request, room, at[one], None), phase)
        row.score[at], row.device[at] = score[place], device[place]
    else:
        known = None if j else field.known()
        sight = _sight(field, request, room, at, known)
        row.score[at], row.device[at] = scorer.scores(request.want, sight, phase)


def _sight(
    field: Field, request: Request, room: np.ndarray, at: np.ndarray, known: np.ndarray | None
) -> Sight:
    """known: of all nodes."""
    board = field.board
    if not board.n_slots:
        none = np.zeros((0, at.size), dtype=np.int64)
        return Sight(at, room[CPU, at], room[MEM, at], none, none > 0)
    dev = room[board.slot_columns].take(at, axis=1)
    may = dev >= request.need.take(at, axis=1)
    if known is not None:
        known = known.take(at, axis=1)
    return Sight(at, room[CPU].take(at), room[MEM].take(at), dev, may, known)

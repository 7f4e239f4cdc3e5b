"""What is free in the time to come, in several futures at once, and when jobs fit there.

Time is cut into pieces that grow: near starts are told apart by seconds, far ones by hours. In each piece an
amount is the mean over the piece, so that many short jobs after one another share a far one (but one that
needs all there is has a piece for itself). A job starts at the first piece from which on all that it needs
stays free for as long as it may run: backfilling with a planned start for everybody (conservative), by what
run times turn out to be in that future.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

FIRST_S: Final = 20.0
"""The first piece."""

HORIZON_S: Final = 40 * 86_400.0
"""Where the last one begins."""

_FAR: Final = 1e15
ENOUGH: Final = 1 - 1e-6
"""Part of an amount that counts as all of it: sums of many parts are not exact."""


class Room:
    """free: `[n_kinds, n_futures, n_pieces]`, amounts of kinds of resources."""

    def __init__(self, free: np.ndarray, n_futures: int, n_pieces: int) -> None:
        """free: now `[n_kinds]`."""
        grown = FIRST_S * (HORIZON_S / FIRST_S) ** (np.arange(n_pieces - 1) / (n_pieces - 2))
        self._begins = np.concatenate([[0.0], grown])
        self._ends = np.concatenate([grown, [2 * HORIZON_S]])
        self._per_s = 1.0 / (self._ends - self._begins)
        self.free = np.repeat(free[:, None], n_futures, axis=1)[:, :, None].repeat(n_pieces, axis=2)
        self._rows = np.arange(n_futures)
        self._most = free.tolist()

    def release(self, at_s: np.ndarray, amounts: np.ndarray) -> None:
        """Jobs let go of what they hold. at_s: `[n_futures, n_jobs]`; amounts: `[n_kinds, n_jobs]`."""
        n_futures, n_pieces = self.free.shape[1:]
        at_s = np.minimum(at_s, HORIZON_S)
        piece = np.searchsorted(self._begins, at_s, side="right") - 1
        part = np.clip((self._ends[piece] - at_s) * self._per_s[piece], 0.0, 1.0)
        place = (piece + np.arange(n_futures)[:, None] * (n_pieces + 1)).ravel()
        size = n_futures * (n_pieces + 1)
        for kind, amount in enumerate(amounts):
            if not amount.any():
                continue
            first = np.bincount(place, (part * amount).ravel(), size)
            rest = np.bincount(place + 1, ((1.0 - part) * amount).ravel(), size)
            steps = (first + rest).reshape(n_futures, n_pieces + 1)[:, :n_pieces]
            self.free[kind] += np.cumsum(steps, axis=1)
        self._most = self.free[:, :, -1].min(axis=1).tolist()

    def set_aside(self, kind: int, spans: Sequence[tuple[float, float]], amount: float) -> None:
        """So much of the kind is nobody's in these spans (begin, end), in seconds, which do not meet.

        A piece at the edge of a span that is longer than the piece counts as inside of it: nobody is told
        that a job fits before a window who does not. A shorter span counts by its part of the piece.
        """
        if not amount:
            return
        part = np.zeros(self._begins.size)
        for begin, end in spans:
            both = np.minimum(self._ends, end) - np.maximum(self._begins, begin)
            inside = np.maximum(both, 0.0) * self._per_s
            part = np.maximum(
                part, np.where((inside > 0) & (end - begin >= 1 / self._per_s), 1.0, part + inside)
            )
        self.free[kind] -= amount * np.minimum(part, 1.0)

    def most(self, kind: int) -> float:
        """How much of the kind will be free in the end, whatever is set aside."""
        return float(self._most[kind])

    def place(
        self,
        needs: list[tuple[int, float]],
        takes: list[tuple[int, float]],
        fit_s: float,
        run_s: np.ndarray,
        not_before: float | np.ndarray = 0.0,
    ) -> np.ndarray:
        """When a job starts in each future, in seconds `[n_futures]`; it takes its amounts from then on.

        needs: kinds and amounts that must be free for fit_s. takes: what it holds for run_s `[n_futures]`.
        What does not fit within the horizon starts there.
        """
        begins = self._begins
        blocked = np.zeros(self.free.shape[1:], dtype=np.bool_)
        for kind, amount in needs:
            blocked |= self.free[kind] < amount * ENOUGH
        next_blocked = np.where(blocked, begins, _FAR)[:, ::-1]
        next_blocked = np.minimum.accumulate(next_blocked, axis=1)[:, ::-1]
        fits = next_blocked >= begins + max(fit_s, 1.0)
        if np.ndim(not_before) or not_before:
            fits &= self._ends > np.reshape(not_before, (-1, 1))
        fits[:, -1] = True  # nobody looks further
        start = np.maximum(begins[fits.argmax(axis=1)], not_before)
        held = np.minimum(self._ends, (start + run_s)[:, None])
        held -= np.maximum(begins, start[:, None])
        held *= self._per_s
        np.maximum(held, 0.0, out=held)
        for kind, amount in takes:
            self.free[kind] -= amount * held
        return np.asarray(start)

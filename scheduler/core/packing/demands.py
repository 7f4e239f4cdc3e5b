"""What the ask classes need, as arrays by class code, so that hopeless ones are passed over in one step.

`verdict[class]` is the code of a reason that holds whatever is free (no node that is up is large enough, the
partition is closed …), 0 for none; it lasts until nodes come, go or change, or the configuration does
(packing/verdicts.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.packing.layout import Shape

NOT_JUDGED: Final = -1


class Demands:
    """Matrices are `[n_resources, n_classes]`; columns beyond the classes in use hold zeros.

    least: what a class takes at least on one node: the whole job if it has to be on one, else one task.
    whole: the whole job on one node, where has_whole (exact: amounts alone decide).
    known: every device that is asked for exists somewhere. verdict_of: what the verdicts were made from.
    """

    __slots__ = ("has_whole", "known", "least", "n", "unknown", "verdict", "verdict_of", "whole")

    def __init__(self) -> None:
        self.n = 0
        self.least = np.zeros((0, 16), dtype=np.int64)
        self.whole = np.zeros((0, 16), dtype=np.int64)
        self.has_whole = np.zeros(16, dtype=np.bool_)
        self.known = np.zeros(16, dtype=np.bool_)
        self.unknown: dict[int, None] = {}
        self.verdict = np.full(16, NOT_JUDGED, dtype=np.int16)
        self.verdict_of: object = None

    def enter(self, codes: list[int], shapes: list[Shape], column_of: dict[str, int]) -> None:
        """These classes are new, or their code was given anew, or new kinds of devices have come."""
        top = max(codes, default=-1) + 1
        while self.known.shape[0] < top:
            self.least = np.concatenate([self.least, np.zeros_like(self.least)], axis=1)
            self.whole = np.concatenate([self.whole, np.zeros_like(self.whole)], axis=1)
            self.known = np.concatenate([self.known, np.zeros_like(self.known)])
            self.has_whole = np.concatenate([self.has_whole, np.zeros_like(self.has_whole)])
            self.verdict = np.concatenate([self.verdict, np.full_like(self.verdict, NOT_JUDGED)])
        self.n = max(self.n, top)
        missing = len(column_of) - self.least.shape[0]
        if missing > 0:
            extra = np.zeros((missing, self.least.shape[1]), dtype=np.int64)
            self.least = np.concatenate([self.least, extra])
            self.whole = np.concatenate([self.whole, extra])
        none = [0] * self.least.shape[0]
        leasts, wholes, known, has_whole = [], [], [], []
        for shape in shapes:
            whole = shape.needs(shape.tasks, True, column_of) if shape.single else None
            least = whole if shape.single and not shape.multi else shape.needs(1, False, column_of)
            leasts.append(least or none)
            wholes.append(whole or none)
            known.append(least is not None)
            has_whole.append(whole is not None and not shape.undecided)
        if not codes:
            return
        self.least[:, codes] = np.array(leasts, dtype=np.int64).T
        self.whole[:, codes] = np.array(wholes, dtype=np.int64).T
        self.known[codes] = known
        self.has_whole[codes] = has_whole
        self.verdict[codes] = NOT_JUDGED
        for code, is_known in zip(codes, known, strict=True):
            if is_known:
                self.unknown.pop(code, None)
            else:
                self.unknown[code] = None

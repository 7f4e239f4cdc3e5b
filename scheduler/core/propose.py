"""The improver's answer for a contended pass, as a guide: what the daemon and the simulator both ask for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

from packhorse.scheduler.core.contended import Contended
from packhorse.scheduler.core.packing.cpsat import Stopper
from packhorse.scheduler.core.packing.improver import Improvement, Limits, Rejected, improve
from packhorse.scheduler.model.cluster import Improver
from packhorse.scheduler.model.input import Guided

PART: Final = 0.8
"""Of the time that starts may be held back, for the solver; the rest is for what happens before and after."""


class Proposal(NamedTuple):
    """guide: for RunCycle, empty if no better plan was found. answer: what the improver said."""

    guide: tuple[Guided, ...]
    answer: Improvement | Rejected


def limits_of(settings: Improver, clock: Callable[[], float] | None = None) -> Limits:
    """Deterministic where that is set or there is no clock (seconds, monotonic); else no longer than starts
    may be held back."""
    if settings.deterministic_limit or clock is None:
        work = settings.deterministic_limit or settings.limit_ms / 1000
        return Limits(deterministic=work, workers=settings.workers, seed=settings.seed)
    wall_s = min(settings.limit_ms, settings.hold_ms * PART or math.inf) / 1000
    return Limits(wall_s, clock, workers=settings.workers, seed=settings.seed)


def propose(case: Contended, limits: Limits, stopper: Stopper | None = None) -> Proposal:
    """Blocking: as long as the limits say. Pure with deterministic limits and one worker."""
    answer = improve(case.problem, case.hint, limits, stopper)
    if isinstance(answer, Rejected) or answer.after.levels <= answer.before.levels:
        return Proposal((), answer)
    return Proposal(case.guide(answer.solution), answer)

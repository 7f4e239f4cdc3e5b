"""What a shadow was seen to do differently, bounded in size however long it runs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from packhorse.scheduler.core.shadow.compare import Difference, Kind
from packhorse.scheduler.model.ids import Instant, JobId

KEPT: Final = 500
"""Differences that are remembered one by one, the last ones."""

JOBS: Final = 10_000
"""Jobs that are told apart for each kind of difference."""

A_PASS: Final = 200
"""Differences of one pass that are remembered one by one."""


class Seen(NamedTuple):
    """A difference, and when it came about."""

    at: Instant
    difference: Difference


class Ledger:
    """A difference that lasts from pass to pass counts once. counts: by kind; jobs: which, as far as is
    remembered. live_milli, shadow_milli: sums of the shares of CPUs that were in use after each pass, or
    would have been, in thousandths."""

    def __init__(self) -> None:
        self.latest: deque[Seen] = deque(maxlen=KEPT)
        self.counts: Counter[Kind] = Counter()
        self.jobs: dict[Kind, dict[JobId, None]] = {kind: {} for kind in Kind}
        self.n_passes = 0
        self.live_milli = 0
        self.shadow_milli = 0
        self._lasting: dict[tuple[JobId, Kind], tuple[str, str]] = {}

    def add(self, at: Instant, found: Iterable[Difference], live_milli: int, shadow_milli: int) -> None:
        """One more pass was compared."""
        self.n_passes += 1
        self.live_milli += live_milli
        self.shadow_milli += shadow_milli
        lasting: dict[tuple[JobId, Kind], tuple[str, str]] = {}
        n_new = 0
        for one in found:
            key, said = (one.job, one.kind), (one.live, one.shadow)
            lasting[key] = said
            before = self._lasting.get(key)
            if before == said or (before is not None and one.kind in (Kind.EARLIER, Kind.LATER)):
                continue
            self.counts[one.kind] += 1
            jobs = self.jobs[one.kind]
            if len(jobs) < JOBS:
                jobs[one.job] = None
            n_new += 1
            if n_new <= A_PASS:
                self.latest.append(Seen(at, one))
        self._lasting = lasting

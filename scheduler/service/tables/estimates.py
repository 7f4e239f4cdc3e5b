"""Expected starts of the rows of the job table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.when.book import Key
from packhorse.scheduler.model.event import StartEstimate
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.job import Job, Pending


class Expected(NamedTuple):
    """Median and interval of a start, 0: nobody can say."""

    low: Instant
    median: Instant
    high: Instant


UNKNOWN_START = Expected(Instant(0), Instant(0), Instant(0))


def expected_starts(
    state: State, now: Instant, rows: Sequence[Job], estimates: Mapping[Key, StartEstimate]
) -> list[Expected]:
    """Of every row. estimates: newer ones than those that jobs were told. Waiting indices of an array that
    are rows of their own are spread evenly between its first task and its last."""
    n_rows = Counter(job.id for job in rows)
    seen: Counter[JobId] = Counter()
    found = []
    for job in rows:
        phase = job.phase
        waits = isinstance(phase, Pending) and not (phase.held or phase.unmet or phase.never)
        first = _newest(state, estimates, job.id, False) if waits else None
        if first is None:
            found.append(UNKNOWN_START)
            continue
        part = seen[job.id] / max(n_rows[job.id] - 1, 1)
        seen[job.id] += 1
        last = (_newest(state, estimates, job.id, True) if part else None) or first
        low, median, high = (
            Instant(max(round(a + (b - a) * part), now)) for a, b in zip(first[1:4], last[1:4], strict=True)
        )
        found.append(Expected(low, median, high))
    return found


def _newest(
    state: State, estimates: Mapping[Key, StartEstimate], id: JobId, last: bool
) -> StartEstimate | None:
    newest = estimates.get((id, last))
    if newest is None and (told := state.estimates.newest(id, last)) is not None:
        newest = told.estimate
    return newest

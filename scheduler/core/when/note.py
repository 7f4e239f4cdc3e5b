"""Estimates of starts become part of the state; so do the starts that they were about.

Estimating takes longer than a pass may, so it is done beside it, from an earlier state. What comes back is an
input like any other: a recorded run is replayed with the same estimates.
"""

from __future__ import annotations

from packhorse.scheduler.core.decision import UNCHANGED, Decision
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.when.calibration import calibrated
from packhorse.scheduler.core.when.futures import foresee
from packhorse.scheduler.core.when.question import question
from packhorse.scheduler.model.event import StartEstimate, StartsEstimated
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.input import NoteEstimates
from packhorse.scheduler.model.job import Job


def due(state: State, now: Instant) -> frozenset[JobId]:
    """Waiting jobs that are to be told (again) when they will start."""
    book, pending = state.estimates, state.pending_columns
    ids = pending.id[pending.ready].tolist()
    return frozenset(id for id in ids if book.due((id, False), now))


def estimates(state: State, now: Instant, seed: int, wanted: frozenset[JobId] | None) -> list[StartEstimate]:
    """Of all waiting jobs, or of those wanted, at once: for a simulation, and for small clusters."""
    return calibrated(state.estimates, foresee(question(state, now), seed, wanted), now)


def note(state: State, input: NoteEstimates, now: Instant) -> Decision:
    """Those are kept whose jobs still wait and are due."""
    pending, book = state.pending_columns, state.estimates
    kept = tuple(e for e in input.estimates if e.job in pending and book.due((e.job, e.last), now))
    return Decision((StartsEstimated(now, kept),)) if kept else UNCHANGED


def starts_estimated(state: State, event: StartsEstimated) -> None:
    state.estimates.tell(event.at, event.estimates, state.pending_columns.__contains__)


def granted(state: State, job: Job, at: Instant) -> None:
    """The job has just been given its nodes."""
    book, partition = state.estimates, job.spec.partition
    book.started(job.id, at, partition)
    if job.array_id:
        book.started(job.array_id, at, partition)
        array, tasks = state.arrays[job.array_id], state.tasks[job.array_id]
        if not array.remaining and not tasks.n_pending:
            book.started(job.array_id, at, partition, last=True)

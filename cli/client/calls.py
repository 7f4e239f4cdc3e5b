"""The calls themselves, made once: what goes out and what comes back, for both clients."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from packhorse.client.convert import (
    INFO_FIELDS,
    JobRef,
    Messages,
    array_of,
    batch_of,
    ref_of,
    spec_of,
    sweep_of,
)
from packhorse.client.request import JobRequest
from packhorse.client.results import CallFailed, JobResult

HOLD_S = 20.0
"""How long the scheduler may hold one call that waits."""

FIRST_LOOK_S = 1.0
"""The same while a progress line is shown, and so its pace."""


def new_key() -> str:
    """An idempotency key: a call repeated with it is done once."""
    return uuid.uuid4().hex


def submission(request: JobRequest) -> Messages.SubmitJobRequest:
    """Raises ValueError naming what cannot be understood."""
    call = Messages.SubmitJobRequest(spec=spec_of(request), idempotency_key=new_key())
    array = array_of(request.array)
    if array is not None:
        call.array.CopyFrom(array)
    return call


def batch(requests: Sequence[JobRequest]) -> Messages.SubmitJobsRequest:
    return batch_of(requests, new_key())


def sweep(request: JobRequest, args: Iterable[Sequence[str]]) -> Messages.SubmitJobsRequest:
    return sweep_of(request, args, new_key())


def cancellation(jobs: Iterable[JobRef], signal: int) -> Messages.CancelJobsRequest:
    return Messages.CancelJobsRequest(
        jobs=[ref_of(job) for job in jobs], signal=signal, idempotency_key=new_key()
    )


def holding(jobs: Iterable[JobRef]) -> Messages.HoldJobsRequest:
    return Messages.HoldJobsRequest(jobs=[ref_of(job) for job in jobs], idempotency_key=new_key())


def releasing(jobs: Iterable[JobRef]) -> Messages.ReleaseJobsRequest:
    return Messages.ReleaseJobsRequest(jobs=[ref_of(job) for job in jobs], idempotency_key=new_key())


def listing(
    jobs: Iterable[JobRef], *, users: Sequence[str], states: Sequence[str], ended: bool
) -> Messages.ListJobsRequest:
    return Messages.ListJobsRequest(
        fields=INFO_FIELDS,
        jobs=[ref_of(job) for job in jobs],
        filter=Messages.JobFilter(users=users, states=states),
        include_ended=ended,
    )


def waiting(jobs: Iterable[JobRef], hold_s: float) -> Messages.WaitJobsRequest:
    return Messages.WaitJobsRequest(jobs=[ref_of(job) for job in jobs], timeout_s=hold_s)


def watching(jobs: Iterable[JobRef], after_seq: int) -> Messages.WatchEventsRequest:
    return Messages.WatchEventsRequest(jobs=[ref_of(job) for job in jobs], after_seq=after_seq)


def check_outcomes(answer: Messages.OutcomesResponse) -> None:
    """Raises CallFailed naming every target that was not done."""
    failures = [outcome for outcome in answer.outcomes if outcome.code]
    if failures:
        raise CallFailed(failures[0].code, "; ".join(f"{o.ref}: {o.message}" for o in failures))


def progress_line(results: Sequence[JobResult]) -> str:
    """What a waiting call shows."""
    ended = sum(r.n_ended if r.n_total > 1 else r.ended for r in results)
    total = sum(r.n_total for r in results)
    width = 30
    filled = width * ended // max(1, total)
    failed = sum(1 for r in results if r.ended and not r.ok)
    trouble = f", {failed} not well" if failed else ""
    return f"[{'#' * filled}{'.' * (width - filled)}] {ended} of {total} ended{trouble}"

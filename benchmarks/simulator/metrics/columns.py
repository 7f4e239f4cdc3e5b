"""The jobs of a trace as arrays, and what became of them as durations: what all metrics compute from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.traces.job import TraceJob

US: Final = 1_000_000
"""Microseconds of a second."""

US_PER_HOUR: Final = 3600 * US

Metric = np.ndarray
"""Floats by job `[n]`; NaN for a job that has no such value, since it never began or never ended."""


class Columns(NamedTuple):
    """What the trace says of each job, `[n]`, in its order; one for all policies that were run on it.

    cpu_milli, gpu_milli: what the whole job asks for, all its tasks together. user: an index into users,
    which are in order of first appearance; "" is a user like any other.
    """

    submit_us: np.ndarray
    cpu_milli: np.ndarray
    gpu_milli: np.ndarray
    user: np.ndarray
    users: tuple[str, ...]


class Times(NamedTuple):
    """What became of each job, `[n]`, in seconds; NaN where it never began (wait) or never ended (the rest).

    wait: first start - submit. turnaround: end - submit. run: the time in which it got somewhere,
    end - first start - stopped - lost: of a job that was never interrupted, end - start.
    """

    wait: Metric
    turnaround: Metric
    run: Metric


def columns(jobs: Sequence[TraceJob]) -> Columns:
    """About a second for a million jobs."""
    n = len(jobs)
    tasks = np.fromiter((job.tasks for job in jobs), np.int64, n)
    cpu = np.fromiter((job.cpu_milli for job in jobs), np.int64, n)
    devices = np.fromiter((job.n_gpus for job in jobs), np.int64, n)
    share = np.fromiter((job.gpu_milli for job in jobs), np.int64, n)
    index: dict[str, int] = {}
    user = np.fromiter((index.setdefault(job.user, len(index)) for job in jobs), np.int64, n)
    return Columns(
        submit_us=np.fromiter((job.submit_us for job in jobs), np.int64, n),
        cpu_milli=tasks * cpu,
        gpu_milli=tasks * devices * np.where(devices == 1, share, WHOLE),
        user=user,
        users=tuple(index),
    )


def submitted_us(outcome: Outcome, of: Columns) -> np.ndarray:
    """When each job was submitted: as the trace says. With think times or, if later, think time after the end
    of the job it is after; NOT_YET where that one did not end. A job that is after one the trace lacks is
    after none. No job is submitted later than it began.
    """
    followers = [i for i, job in enumerate(outcome.jobs) if job.after] if outcome.think_times else []
    if not followers:
        return of.submit_us
    place = {job.id: i for i, job in enumerate(outcome.jobs)}
    submit = of.submit_us.copy()
    for i in followers:
        job = outcome.jobs[i]
        before = place.get(job.after)
        if before is not None:
            ended = int(outcome.end_us[before])
            began = int(outcome.start_us[i])
            come = NOT_YET if ended == NOT_YET else max(job.submit_us, ended + job.think_us)
            if began != NOT_YET:
                come = job.submit_us if come == NOT_YET else min(come, began)
            submit[i] = come
    return submit


def times(outcome: Outcome, of: Columns) -> Times:
    """See Times."""
    submit = submitted_us(outcome, of)
    began, ended = outcome.start_us != NOT_YET, outcome.end_us != NOT_YET
    inside = outcome.end_us - outcome.start_us - outcome.stopped_us - outcome.lost_us
    return Times(
        wait=_seconds(outcome.start_us - submit, began),
        turnaround=_seconds(outcome.end_us - submit, ended),
        run=_seconds(inside, began & ended),
    )


def _seconds(us: np.ndarray, known: np.ndarray) -> Metric:
    return np.where(known, us / US, np.nan)

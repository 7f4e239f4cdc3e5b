"""How full the cluster was: shares of its capacity over a window of time, and what waited meanwhile.

A value of a curve holds until the next one. Areas are amounts times microseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import US, Columns, Times, submitted_us
from packhorse.simulator.outcome import NOT_YET, Outcome

WARM_UP = 0.05
"""Part of all jobs during whose submission the cluster still fills."""


class Window(NamedTuple):
    """From an instant to a later one, microseconds."""

    start_us: int
    end_us: int

    @property
    def length_us(self) -> int:
        """At least 1, so that a share of it is a number."""
        return max(self.end_us - self.start_us, 1)


class Curve(NamedTuple):
    """What was allocated, in thousandths of a CPU and a device, and how many jobs waited; `[m]`, by time."""

    at_us: np.ndarray
    cpu_milli: np.ndarray
    gpu_milli: np.ndarray
    waiting: np.ndarray


def curve(outcome: Outcome, of: Columns) -> Curve:
    """Exactly, from submissions, starts and ends, a point for each instant at which something changed. Where
    jobs were interrupted these do not tell when, and the samples are all that is known.
    """
    if outcome.restarts.any() or outcome.stopped_us.any():
        seen = outcome.samples
        return Curve(seen.at_us, seen.cpu_milli, seen.gpu_milli, seen.waiting)
    submit = submitted_us(outcome, of)
    came, began, ended = (at != NOT_YET for at in (submit, outcome.start_us, outcome.end_us))
    at_us = np.concatenate([submit[came], outcome.start_us[began], outcome.end_us[ended]])
    order = np.argsort(at_us, kind="stable")
    at_us = at_us[order]
    last = np.append(at_us[1:] != at_us[:-1], True)[: at_us.size]

    def after(on_submit: np.ndarray, on_start: np.ndarray, on_end: np.ndarray) -> np.ndarray:
        changes = np.concatenate([on_submit[came], on_start[began], on_end[ended]])[order]
        return np.asarray(np.cumsum(changes)[last])

    one = np.ones_like(of.submit_us)
    return Curve(
        at_us[last],
        after(0 * one, of.cpu_milli, -of.cpu_milli),
        after(0 * one, of.gpu_milli, -of.gpu_milli),
        after(one, -one, 0 * one),
    )


def whole(outcome: Outcome, of: Columns) -> Window:
    """From the first submission to the last end (of a job or, where one never ended, of the samples)."""
    if not of.submit_us.size:
        return Window(0, 0)
    last = int(outcome.end_us.max())
    if (outcome.end_us == NOT_YET).any() and outcome.samples.at_us.size:
        last = max(last, int(outcome.samples.at_us[-1]))
    first = int(of.submit_us.min())
    return Window(first, max(last, first))


def busy(of: Columns) -> Window:
    """From the submission of the job after the first 5 % to the last submission: the same for every policy,
    without the time in which the cluster fills and the time in which nothing new comes.
    """
    if not of.submit_us.size:
        return Window(0, 0)
    ordered = np.sort(of.submit_us)
    return Window(int(ordered[int(WARM_UP * ordered.size)]), int(ordered[-1]))


def makespan_s(of: Window) -> float:
    """Last end - first submission."""
    return (of.end_us - of.start_us) / US


def spans(at_us: np.ndarray, within: Window) -> np.ndarray:
    """For how long each value of a curve held inside the window, microseconds, `[m]`; the last one holds to
    the end of the window. at_us: from when on, `[m]`.
    """
    if not at_us.size:
        return at_us
    until = np.append(at_us[1:], max(within.end_us, int(at_us[-1])))
    held = np.clip(until, None, within.end_us) - np.clip(at_us, within.start_us, None)
    return np.asarray(held).clip(0)


def time_mean(values: np.ndarray, at_us: np.ndarray, within: Window) -> float:
    """Integral of a curve over the window / its length. values: `[m]`."""
    return float(values.astype(np.float64) @ spans(at_us, within)) / within.length_us


def time_quantile(values: np.ndarray, at_us: np.ndarray, within: Window, q: float) -> float:
    """The least value that was not exceeded during a part q of the window; 0 of a curve without values."""
    held = spans(at_us, within)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(held[order])
    if not reached.size or not reached[-1]:
        return 0.0
    return float(values[order][int(np.searchsorted(reached, q * reached[-1]))])


def allocated(milli: np.ndarray, capacity_milli: int, at_us: np.ndarray, within: Window) -> float:
    """Area under what is allocated / (capacity x length of the window). milli: by point of a curve, `[m]`."""
    return _share(time_mean(milli, at_us, within), capacity_milli)


def useful(of: Times, milli: np.ndarray, capacity_milli: int, within: Window) -> float:
    """Sum over ended jobs of amount x run / (capacity x length of the window): allocation without what was
    lost to restarts. Meant for the whole window, since every job counts with all of its run.
    milli: asked for by each job, `[n]`.
    """
    area = float(np.nansum(milli * of.run)) * US
    return _share(area / within.length_us, capacity_milli)


def used(of: Times, used_milli: np.ndarray, capacity_milli: int, within: Window) -> float | None:
    """As useful, of what each job used on the mean while it ran instead of what it asked for. used_milli:
    `[n]`, NaN where nothing was measured; such a job counts as if it used nothing. None where no job was.
    """
    if np.isnan(used_milli).all():
        return None
    return useful(of, used_milli, capacity_milli, within)


def queue_length(of: Curve, within: Window) -> float:
    """Time mean of the number of waiting jobs."""
    return time_mean(of.waiting, of.at_us, within)


def longest_queue(of: Curve) -> int:
    """Most jobs that waited at once."""
    return int(of.waiting.max(initial=0))


def loss_of_capacity(milli: np.ndarray, capacity_milli: int, of: Curve, within: Window) -> float:
    """Area of what is idle while a job waits / (capacity x length of the window). milli: allocated, by point
    of the curve, `[m]`.

    Zhang, Franke, Moreira and Sivasubramaniam, "An Integrated Approach to Parallel Scheduling Using
    Gang-Scheduling, Backfilling, and Migration", JSSPP 2001.
    """
    idle = np.where(of.waiting > 0, capacity_milli - milli, 0)
    return _share(time_mean(idle, of.at_us, within), capacity_milli)


def stranded(outcome: Outcome, within: Window) -> float:
    """Area of the devices that are free on nodes without free CPU / area of all free devices, both as
    sampled; 0 where none is ever free.
    """
    seen = outcome.samples
    free = time_mean(outcome.capacity_gpus * WHOLE - seen.gpu_milli, seen.at_us, within)
    return _share(time_mean(seen.stranded_milli, seen.at_us, within), free)


def free_block(outcome: Outcome, within: Window) -> float:
    """Time mean of the most wholly free devices (CPUs in a cluster without devices) of one node, as sampled:
    what the largest job on one node could have been.
    """
    return time_mean(outcome.samples.free_block, outcome.samples.at_us, within)


def _share(part: float, of: float) -> float:
    return part / of if of else 0.0

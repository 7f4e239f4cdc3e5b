"""How full the cluster was: shares of its capacity over a window of time, and what waited meanwhile.

A sample holds until the next one. Areas are amounts times microseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import US, Columns, Times
from packhorse.simulator.outcome import NOT_YET, Outcome, Samples

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


def spans(samples: Samples, within: Window) -> np.ndarray:
    """For how long each sample held inside the window, microseconds, `[m]`. Before the first nothing is known
    to have happened; the last one holds to the end of the window.
    """
    if not samples.at_us.size:
        return samples.at_us
    until = np.append(samples.at_us[1:], max(within.end_us, int(samples.at_us[-1])))
    return np.asarray(
        np.clip(until, None, within.end_us) - np.clip(samples.at_us, within.start_us, None)
    ).clip(0)


def time_mean(values: np.ndarray, samples: Samples, within: Window) -> float:
    """Integral of the values over the window / its length. values: by sample, `[m]`."""
    return float(values.astype(np.float64) @ spans(samples, within)) / within.length_us


def time_quantile(values: np.ndarray, samples: Samples, within: Window, q: float) -> float:
    """The least value that was not exceeded during a part q of the window; 0 without a sample in it."""
    held = spans(samples, within)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(held[order])
    if not reached.size or not reached[-1]:
        return 0.0
    return float(values[order][int(np.searchsorted(reached, q * reached[-1]))])


def allocated_cpu(outcome: Outcome, within: Window) -> float:
    """Area under the allocated CPU / (CPU of the cluster x length of the window)."""
    return _share(time_mean(outcome.samples.cpu_milli, outcome.samples, within), outcome.capacity_milli)


def allocated_gpu(outcome: Outcome, within: Window) -> float:
    """Area under the allocated devices / (devices of the cluster x length of the window)."""
    return _share(
        time_mean(outcome.samples.gpu_milli, outcome.samples, within), outcome.capacity_gpus * WHOLE
    )


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


def queue_length(outcome: Outcome, within: Window) -> float:
    """Time mean of the number of waiting jobs."""
    return time_mean(outcome.samples.waiting, outcome.samples, within)


def longest_queue(outcome: Outcome) -> int:
    """Most jobs that waited at once, as sampled."""
    return int(outcome.samples.waiting.max(initial=0))


def loss_of_capacity(idle_milli: np.ndarray, capacity_milli: int, samples: Samples, within: Window) -> float:
    """Area of what is idle while a job waits / (capacity x length of the window). idle_milli: `[m]`.

    Zhang, Franke, Moreira and Sivasubramaniam, "An Integrated Approach to Parallel Scheduling Using
    Gang-Scheduling, Backfilling, and Migration", JSSPP 2001.
    """
    return _share(time_mean(np.where(samples.waiting > 0, idle_milli, 0), samples, within), capacity_milli)


def stranded(outcome: Outcome, within: Window) -> float:
    """Area of the devices that are free on nodes without free CPU / area of all free devices; 0 where none
    is ever free.
    """
    samples = outcome.samples
    free = time_mean(outcome.capacity_gpus * WHOLE - samples.gpu_milli, samples, within)
    return _share(time_mean(samples.stranded_milli, samples, within), free)


def free_block(outcome: Outcome, within: Window) -> float:
    """Time mean of the most wholly free devices (CPUs in a cluster without devices) of one node: what the
    largest job on one node could have been.
    """
    return time_mean(outcome.samples.free_block, outcome.samples, within)


def _share(part: float, of: float) -> float:
    return part / of if of else 0.0

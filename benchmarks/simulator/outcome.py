"""What became of the jobs of a simulation, as columns: what metrics, reports and files are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.simulator.traces.job import TraceJob

NOT_YET: Final = -1
"""Time of what has not happened by the end of the simulation."""


class Outcome(NamedTuple):
    """One run of one policy. Arrays are by job `[n]`, in the order of the trace; times in microseconds.

    jobs: as the trace has them. start_us: when it first began, end_us: when it ended for good; NOT_YET where
    that did not happen. restarts: how often it began again. lost_us: time that it held its nodes for nothing
    that it could keep, summed over restarts. stopped_us: time between its first start and its end in which it
    did not run.
    nodes: the names of the nodes of the last start, empty tuples where it never started.
    capacity_milli, capacity_gpus: CPU in thousandths and devices of the whole cluster.
    samples: see Samples. policy, trace, seed: what was run. think_times: jobs that are after another one were
    submitted accordingly, otherwise all were when the trace says. lent_mib_s: memory lent, in MiB times
    seconds. out_of_memory: how often a machine had none left and ended a job.
    """

    policy: str
    trace: str
    seed: int
    jobs: Sequence[TraceJob]
    start_us: np.ndarray
    end_us: np.ndarray
    restarts: np.ndarray
    lost_us: np.ndarray
    stopped_us: np.ndarray
    nodes: Sequence[tuple[str, ...]]
    capacity_milli: int
    capacity_gpus: int
    samples: Samples
    think_times: bool = False
    lent_mib_s: int = 0
    out_of_memory: int = 0


class Samples(NamedTuple):
    """What was seen after events, at most one per simulated second; all `[m]`, by time.

    at_us: when. cpu_milli, gpu_milli: allocated, in thousandths of a CPU and of a device. waiting, running:
    jobs. free_block: the most wholly free devices (CPUs in a cluster without devices) that one node has.
    stranded_milli: thousandths of devices that are free on nodes without free CPU.
    """

    at_us: np.ndarray
    cpu_milli: np.ndarray
    gpu_milli: np.ndarray
    waiting: np.ndarray
    running: np.ndarray
    free_block: np.ndarray
    stranded_milli: np.ndarray

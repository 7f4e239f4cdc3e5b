"""Job lists of Muri: GPU training jobs derived from the Philly trace, in milliseconds.

Zhao et al., "Multi-Resource Interleaving for Deep Learning Training", SIGCOMM 2022. Columns: job_id, num_gpu,
submit_time, iterations, model_name, batch_size, duration, interval, iteration_time, resource_time_0 to _2,
priority; times in milliseconds. Used are the number, GPUs, submission, model and duration: a job runs for
`duration` on GPUs of its own. The published experiments have 8 nodes with 8 GPUs each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhorse.simulator.traces.broken import Skipped, converted
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.gang import consolidated
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.trace import Format, Trace, columns, trace_name

COLUMNS: Final = ("job_id", "num_gpu", "submit_time", "model_name", "duration")
OURS_ALONE: Final = ("batch_size", "resource_time_0")
"""Columns by which these lists are known."""
GPUS_PER_NODE: Final = 8
CLUSTER: Final = "8x(cpus=8,gpu:8)"
"""Of the published experiments; one CPU for each GPU, so that CPUs never decide."""
MOST_GPUS: Final = 1 << 16
MOST_TIME: Final = 1 << 50
"""Of any time, so that it stays a 64-bit number in microseconds."""


def read(path: Path, skipped: Skipped, gpus_per_node: int = GPUS_PER_NODE) -> Iterator[TraceJob]:
    """The jobs of a file, in its order. Raises TraceBroken that names file, line and column."""
    lines = records(path, COLUMNS, skipped)
    return converted(lines, lambda line: gpu_job(line, gpus_per_node, us_per_unit=1000), skipped)


def gpu_job(line: Record, gpus_per_node: int, us_per_unit: int) -> TraceJob:
    """A job of one of COLUMNS with times in units of us_per_unit, and one CPU for each GPU."""
    n_gpus = line.whole("num_gpu", MOST_GPUS)
    if n_gpus == 0:
        line.wrong("num_gpu", "1 and more")
    shape = consolidated(n_gpus, gpus_per_node)
    return TraceJob(
        id=line.text("job_id"),
        submit_us=line.whole("submit_time", MOST_TIME) * us_per_unit,
        run_us=line.whole("duration", MOST_TIME) * us_per_unit,
        tasks=shape.tasks,
        cpu_milli=1000 * shape.n_gpus,
        n_gpus=shape.n_gpus,
        nodes=shape.nodes,
        name=line.text("model_name"),
    )


def _suits(path: Path, top: list[str]) -> bool:
    return columns(top).issuperset((*COLUMNS, *OURS_ALONE))


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """gpus_per_node=N: jobs with up to N GPUs are on one node (8)."""
    how.only("gpus_per_node")
    gpus_per_node = how.whole("gpus_per_node", GPUS_PER_NODE, 1, MOST_GPUS)
    return Trace(trace_name(path), read(path, skipped, gpus_per_node), cluster(CLUSTER), skipped)


FORMAT: Final = Format("job lists of Muri, CSV", _suits, _open)

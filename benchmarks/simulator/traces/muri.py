"""Job lists of Muri: GPU training jobs derived from the Philly trace, in milliseconds.

Zhao et al., "Multi-Resource Interleaving for Deep Learning Training", SIGCOMM 2022. Columns: job_id, num_gpu,
submit_time, iterations, model_name, batch_size, duration, interval, iteration_time, resource_time_0 to _2,
priority; times in milliseconds. Used are the number, GPUs, submission, model and duration: a job runs for
`duration` on GPUs of its own. The published experiments have 8 nodes with 8 GPUs each.

The published simulation does not use `duration`: there a job runs for iterations x iteration_time x 1.015,
and makes no progress for the first seconds after anything happened in the cluster; how many depends on its
model and GPUs (`overhead_dict` of run_sim.py of github.com/Rivendile/Muri at 7264b1ae, read, not copied).
With `published=1` jobs run for that long, and these seconds pass whenever a job is started, and only then.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from packhorse.scheduler.model.ids import US
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
WORK: Final = ("iterations", "iteration_time")
WORK_FACTOR: Final = 1.015
START_GPUS: Final = (1, 2, 4, 8, 16, 32)
START_S: Final = {
    "vgg16": (7, 7, 8, 9, 9, 10),
    "vgg19": (7, 7, 8, 9, 10, 10),
    "resnet18": (4, 5, 5, 7, 7, 7),
    "shufflenet_v2_x1_0": (4, 4, 5, 5, 7, 8),
    "bert": (10, 10, 10, 10, 10, 10),
    "gpt2": (10, 10, 10, 10, 10, 10),
    "a2c": (38, 39, 39, 46, 46, 46),
    "dqn": (5, 5, 6, 6, 8, 8),
}
"""Seconds without progress by model, for the numbers of GPUs above."""
OTHER_START_S: Final = 10
MOST_TIME: Final = 1 << 50
"""Of any time, so that it stays a 64-bit number in microseconds."""


def read(
    path: Path, skipped: Skipped, gpus_per_node: int = GPUS_PER_NODE, published: bool = False
) -> Iterator[TraceJob]:
    """The jobs of a file, in its order. Raises TraceBroken that names file, line and column.

    published: see the module.
    """
    lines = records(path, (*COLUMNS, *(WORK if published else ())), skipped)

    def job(line: Record) -> TraceJob:
        found = gpu_job(line, gpus_per_node, us_per_unit=1000)
        return _as_published(found, line) if published else found

    return converted(lines, job, skipped)


def _as_published(job: TraceJob, line: Record) -> TraceJob:
    """The same job with the run time and the time to start of the published simulation."""
    ms = line.whole("iterations", MOST_TIME) * line.number("iteration_time") * WORK_FACTOR
    n_gpus = job.tasks * job.n_gpus
    by_gpus = START_S.get(job.name, (OTHER_START_S,) * len(START_GPUS))
    start_s = by_gpus[min(bisect_left(START_GPUS, n_gpus), len(START_GPUS) - 1)]
    return replace(job, run_us=round(ms * 1000), start_us=start_s * US)


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
    """gpus_per_node=N: jobs with up to N GPUs are on one node (8). published=1: see the module (0)."""
    how.only("gpus_per_node", "published")
    published = bool(how.whole("published", 0, 0, 1))
    gpus_per_node = how.whole("gpus_per_node", GPUS_PER_NODE, 1, MOST_GPUS)
    return Trace(trace_name(path), read(path, skipped, gpus_per_node, published), cluster(CLUSTER), skipped)


FORMAT: Final = Format("job lists of Muri, CSV", _suits, _open)

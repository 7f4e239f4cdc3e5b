"""Job lists of the Tiresias simulator: GPU training jobs, in seconds.

Gu et al., "Tiresias: A GPU Cluster Manager for Distributed Deep Learning", NSDI 2019. Columns: job_id,
num_gpu, submit_time (s), iterations, model_name, duration (s), interval. The file names no cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.broken import Skipped, converted
from packhorse.simulator.traces.csvfile import records
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.muri import COLUMNS, MOST_GPUS, gpu_job
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.trace import Format, Trace, columns, trace_name

GPUS_PER_NODE: Final = 4
"""Of the paper's testbed."""


def read(path: Path, skipped: Skipped, gpus_per_node: int = GPUS_PER_NODE) -> Iterator[TraceJob]:
    """The jobs of a file, in its order. Raises TraceBroken that names file, line and column."""
    lines = records(path, COLUMNS, skipped)
    return converted(lines, lambda line: gpu_job(line, gpus_per_node, us_per_unit=US), skipped)


def _suits(path: Path, top: list[str]) -> bool:
    return columns(top).issuperset((*COLUMNS, "iterations", "interval"))


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """gpus_per_node=N: jobs with up to N GPUs are on one node (4)."""
    how.only("gpus_per_node")
    gpus_per_node = how.whole("gpus_per_node", GPUS_PER_NODE, 1, MOST_GPUS)
    return Trace(trace_name(path), read(path, skipped, gpus_per_node), None, skipped)


FORMAT: Final = Format("job lists of Tiresias, CSV", _suits, _open)

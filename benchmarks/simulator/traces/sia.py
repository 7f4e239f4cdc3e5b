"""Workloads of Sia and Pollux: when GPU jobs arrive, and how large they are. They have no run times.

Jayaram Subramanya et al., "Sia: Heterogeneity-aware, goodput-optimized ML-cluster scheduling", SOSP 2023.
Columns: name, time (s), application, num_replicas (GPUs), batch_size. How long a job runs followed from the
application's throughput on what the scheduler gave it; here it has to be said: `sia:duration_s=3600` for all,
or by application, `sia:bert=7200,cifar10=600`, or both. The published experiments have 64 GPUs of several
types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.gang import consolidated
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.trace import Format, Trace, columns, trace_name

COLUMNS: Final = ("name", "time", "application", "num_replicas", "batch_size")
ALL: Final = "duration_s"
"""Key of the run time of applications that are not named."""
GPUS_PER_NODE: Final = 4
MOST_GPUS: Final = 1 << 16
MOST_S: Final = 1 << 40


def read(
    path: Path, skipped: Skipped, run_s: Mapping[str, float], gpus_per_node: int = GPUS_PER_NODE
) -> Iterator[TraceJob]:
    """The jobs of a file, in its order. run_s: by application, and under ALL of those that are not named.

    Raises TraceBroken that names file, line and column, also where a run time is not known.
    """
    lines = records(path, COLUMNS, skipped)
    return converted(lines, lambda line: _job(line, run_s, gpus_per_node), skipped)


def _job(line: Record, run_s: Mapping[str, float], gpus_per_node: int) -> TraceJob:
    application, at_s = line.text("application"), line.number("time")
    if application not in run_s and ALL not in run_s:
        line.wrong("application", f"one whose run time was given ({', '.join(run_s)}), or {ALL}=SECONDS")
    n_gpus = line.whole("num_replicas", MOST_GPUS)
    if n_gpus == 0:
        line.wrong("num_replicas", "1 and more")
    if not 0 <= at_s <= MOST_S:
        line.wrong("time", f"0 to {MOST_S} seconds")
    shape = consolidated(n_gpus, gpus_per_node)
    return TraceJob(
        id=line.text("name"),
        submit_us=int(at_s * US),
        run_us=int(run_s.get(application, run_s.get(ALL, 0.0)) * US),
        tasks=shape.tasks,
        cpu_milli=1000 * shape.n_gpus,
        n_gpus=shape.n_gpus,
        nodes=shape.nodes,
        name=application,
    )


def _suits(path: Path, top: list[str]) -> bool:
    return columns(top) == {*COLUMNS}


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """duration_s=N, APPLICATION=N: run times in seconds. gpus_per_node=N: up to N GPUs are on a node (4)."""
    gpus_per_node = how.whole("gpus_per_node", GPUS_PER_NODE, 1, MOST_GPUS)
    run_s = {key: how.number(key, 0, 0, MOST_S) for key in how.values if key != "gpus_per_node"}
    if not run_s:
        raise TraceBroken(
            f"{path}: a Sia workload has no run times; give the format as sia:{ALL}=3600, "
            "or by application as sia:bert=7200,cifar10=600"
        )
    return Trace(trace_name(path), read(path, skipped, run_s, gpus_per_node), None, skipped)


FORMAT: Final = Format("workloads of Sia, CSV", _suits, _open)

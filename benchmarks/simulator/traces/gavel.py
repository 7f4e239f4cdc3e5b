"""Traces of Gavel: GPU training jobs as a number of steps, and how many steps a second they make.

Narayanan et al., "Heterogeneity-Aware Cluster Scheduling Policies for Deep Learning Workloads", OSDI 2020.
Ten fields, separated by tabs: job type, command, working directory, argument for the steps, needs data (0 or
1), steps in all, GPUs, priority weight, SLO (-1: none), arrival (s). A job runs for its steps divided by the
throughput of its type and number of GPUs, alone, on GPUs of one type that is chosen for all jobs, from
simulation_throughputs.json.gz beside the trace. The other throughputs there, of jobs that share a GPU, are
not used; nor are command and SLO. Jobs are numbered by their lines.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record
from packhorse.simulator.traces.gang import consolidated
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.textfile import lines
from packhorse.simulator.traces.trace import Format, Trace, trace_name

FIELDS: Final = (
    "job_type", "command", "directory", "steps_argument", "needs_data",
    "steps", "gpus", "weight", "slo", "arrival_s",
)  # fmt: skip
THROUGHPUTS: Final = "simulation_throughputs.json.gz"
GPU: Final = "v100"
GPUS_PER_NODE: Final = 4
MOST: Final = 1 << 40

Rates = Mapping[tuple[str, int], float]
"""Steps per second by job type and number of GPUs."""

_PLACE: Final = {name: i for i, name in enumerate(FIELDS)}


def rates(path: Path, gpu: str) -> Rates:
    """Of jobs that are alone on GPUs of a type. Raises TraceBroken, also for a type that is not there."""
    try:
        table = json.loads(gzip.decompress(path.read_bytes()))
    except FileNotFoundError:
        raise TraceBroken(f"{path}: there is no such file; a Gavel trace needs its throughputs") from None
    except (OSError, EOFError, zlib.error, ValueError) as why:
        raise TraceBroken(f"{path}: cannot be read: {why}") from why
    if not isinstance(table, dict) or gpu not in table:
        known = ", ".join(table) if isinstance(table, dict) else "none"
        raise TraceBroken(f'{path}: no GPU type "{gpu}"; there are {known}')
    found = {}
    for key, by_partner in table[gpu].items():  # "('ResNet-18 (batch size 16)', 1)"
        name, _, scale = key.strip("()").rpartition(", ")
        found[name.strip("'\""), int(scale)] = float(by_partner["null"])
    return found


def read(path: Path, skipped: Skipped, rate: Rates, gpus_per_node: int = GPUS_PER_NODE) -> Iterator[TraceJob]:
    """The jobs of a file, in its order. Raises TraceBroken that names file, line and field."""
    numbered = enumerate(lines(path), 1)
    return converted(
        ((i, line) for i, line in numbered if line.strip()),
        lambda line: _job(_record(path, *line), rate, gpus_per_node),
        skipped,
    )


def _record(path: Path, number: int, line: str) -> Record:
    fields = line.rstrip("\r\n").split("\t")
    if len(fields) != len(FIELDS):
        raise TraceBroken(
            f"{path}, line {number}: {len(fields)} fields, expected {len(FIELDS)}, between tabs"
        )
    return Record(path, number, _PLACE, fields)


def _job(line: Record, rate: Rates, gpus_per_node: int) -> TraceJob:
    type_, n_gpus = line.text("job_type"), line.whole("gpus", 1 << 16)
    steps_per_s = rate.get((type_, n_gpus), 0.0)
    if steps_per_s <= 0:
        line.wrong("job_type", f"one that has a throughput on {n_gpus} GPUs")
    arrival_s, weight = line.number("arrival_s"), line.number("weight")
    if not 0 <= arrival_s <= MOST:
        line.wrong("arrival_s", f"0 to {MOST} seconds")
    if weight < 0:
        line.wrong("weight", "0 and more")
    shape = consolidated(n_gpus, gpus_per_node)
    return TraceJob(
        id=str(line.line),
        submit_us=int(arrival_s * US),
        run_us=round(line.whole("steps", MOST) / steps_per_s * US),
        tasks=shape.tasks,
        cpu_milli=1000 * shape.n_gpus,
        n_gpus=shape.n_gpus,
        nodes=shape.nodes,
        name=type_,
        weight=weight,
    )


def _suits(path: Path, top: list[str]) -> bool:
    return bool(top) and top[0].count("\t") == len(FIELDS) - 1


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """gpu=TYPE: on which jobs run (v100). gpus_per_node=N: up to N GPUs are on one node (4)."""
    how.only("gpu", "gpus_per_node")
    gpu = how.values.get("gpu", GPU)
    gpus_per_node = how.whole("gpus_per_node", GPUS_PER_NODE, 1, 1 << 16)
    rate = rates(path.parent / THROUGHPUTS, gpu)
    return Trace(trace_name(path), read(path, skipped, rate, gpus_per_node), None, skipped)


FORMAT: Final = Format("traces of Gavel, between tabs", _suits, _open)

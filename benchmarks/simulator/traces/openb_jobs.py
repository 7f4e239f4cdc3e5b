"""The openb traces as jobs: by the times in the pod list, or in a published order of arrival.

With times: submitted at creation_time, and running from scheduled_time to deletion_time; a pod that never
was scheduled is left out. With a published seed: the job at place i of the order, counted from 0, has the id
i, is submitted at second i and runs for ever, since in the published experiment nothing departs; a pod that
comes twice is two jobs.

The nodes are those of openb_node_list_gpu_node.csv in the same folder; with a seed in the order of its tie
ranks. gpu_type has several models joined by "|" where a pod may use any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from packhorse.scheduler.model.ids import US, NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import WHOLE, Device
from packhorse.simulator.traces import openb
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.job import Ending, TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.textfile import head
from packhorse.simulator.traces.trace import Format, Trace, columns, trace_name

FOR_EVER_US: Final = 100 * 365 * 86_400 * US
LIST_BEGINS: Final = "openb_pod_list_"
LIST_ENDS: Final = ".csv.gz"
COLUMNS: Final = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
TIMES: Final = ("creation_time", "deletion_time", "scheduled_time")
MOST_S: Final = 1 << 40


def read(path: Path, skipped: Skipped, models: set[str]) -> Iterator[TraceJob]:
    """The pods of a list with their times, in its order. models: of the nodes' devices."""
    lines = records(path, (*COLUMNS, *TIMES), skipped)
    return converted(lines, lambda line: _timed(line, models, skipped), skipped)


def arrivals(trace: openb.Trace, seed: int) -> Iterator[TraceJob]:
    """The pods in the published order of a seed, one a second."""
    for i, row in enumerate(trace.streams[seed].rows):
        yield _job(trace.pods[row], str(i), i * US, FOR_EVER_US)


def nodes(lines: Iterable[openb.NodeLine]) -> tuple[NodeSpec, ...]:
    """The nodes with their devices, in this order."""
    return tuple(
        NodeSpec(
            NodeName(line.name),
            line.name,
            line.cpu_milli,
            line.mem_mib,
            devices=tuple(Device("gpu", line.model, i) for i in range(line.n_devices)),
        )
        for line in lines
    )


def _timed(line: Record, models: set[str], skipped: Skipped) -> TraceJob | None:
    pod = openb.pod(line, models)
    if not line.text("scheduled_time"):
        skipped.leave_out("never ran")
        return None
    begun_s, ended_s = line.whole("scheduled_time", MOST_S), line.whole("deletion_time", MOST_S)
    if ended_s < begun_s:
        line.wrong("deletion_time", f"a time after scheduled_time, which is {begun_s}")
    failed = line.has("pod_phase") and line.text("pod_phase") == "Failed"
    ending = Ending.FAILED if failed else Ending.COMPLETED
    submit_us = line.whole("creation_time", MOST_S) * US
    return _job(pod, pod.name, submit_us, (ended_s - begun_s) * US, ending)


def _job(
    pod: openb.PodLine, id: str, submit_us: int, run_us: int, ending: Ending = Ending.COMPLETED
) -> TraceJob:
    return TraceJob(
        id=id,
        submit_us=submit_us,
        run_us=run_us,
        cpu_milli=pod.cpu_milli,
        mem_mib=pod.mem_mib,
        n_gpus=pod.n_devices,
        gpu_milli=pod.milli or WHOLE,
        gpu_type="|".join(pod.models),
        nodes=1,
        name=pod.name,
        ending=ending,
    )


def _suits(path: Path, top: list[str]) -> bool:
    return columns(top).issuperset(COLUMNS)


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """seed=N: the published order of a seed from 42 to 51, instead of the times in the list."""
    how.only("seed")
    if "seed" in how.values:
        seed = how.whole("seed", 0)
        if seed not in openb.SEEDS:
            how.wrong("seed", f"{openb.SEEDS[0]} to {openb.SEEDS[-1]}")
        if not (path.name.startswith(LIST_BEGINS) and path.name.endswith(LIST_ENDS)):
            raise TraceBroken(f"{path}: a published order needs a list {LIST_BEGINS}VARIANT{LIST_ENDS}")
        trace = openb.read(path.parent, path.name[len(LIST_BEGINS) : -len(LIST_ENDS)], (seed,))
        rank = trace.streams[seed].rank
        ranked = sorted(trace.nodes, key=lambda node: rank[node.name])
        return Trace(f"{trace_name(path)} seed {seed}", arrivals(trace, seed), nodes(ranked), skipped)
    if not columns(head(path, 1)).issuperset(TIMES):
        raise TraceBroken(f"{path}: the list has no times; take a published order, openb:seed=42")
    listed = openb.node_list(path.parent / openb.NODES)
    jobs = read(path, skipped, {node.model for node in listed})
    return Trace(trace_name(path), jobs, nodes(listed), skipped)


FORMAT: Final = Format("pod lists of Alibaba's openb, CSV", _suits, _open)

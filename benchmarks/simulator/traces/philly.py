"""GPU cluster logs as CSV, a job a line: Helios, and what others write in the manner of Philly and Alibaba.

The first of these names that the header has is taken:

    job        job_id, jobid, id
    GPUs       gpu_num, num_gpu, num_gpus, gpus
    submitted  submit_time, submitted_time        begun   start_time         ended   end_time, finish_time
    run time   duration, run_time                 (seconds; not needed where begun and ended are there)
    status     state, status                      user    user, user_id      queue   vc, partition
    name       jobname, job_name, model_name      nodes   node_num           CPUs    cpu_num

Job, GPUs, submitted and a run time, one way or the other, must be there. GPUs and CPUs are those of the
whole job. Times are seconds, or dates as `2020-04-01 12:30:00`, with or without a time zone (UTC where there
is none). A job without a begin or an end never ran, and is left out. One without CPUs has one for each GPU.

Helios: Hu et al., "Characterization and Prediction of Deep Learning Workloads in Large-Scale GPU
Datacenters", SC 2021. Philly: Jeon et al., "Analysis of Large-Scale Multi-Tenant GPU Clusters for DNN
Training Workloads", ATC 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.gang import Shape, consolidated
from packhorse.simulator.traces.job import Ending, TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.textfile import head
from packhorse.simulator.traces.trace import Format, Trace, columns, trace_name

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "job": ("job_id", "jobid", "id"),
    "gpus": ("gpu_num", "num_gpu", "num_gpus", "gpus"),
    "submitted": ("submit_time", "submitted_time"),
    "begun": ("start_time",),
    "ended": ("end_time", "finish_time"),
    "run": ("duration", "run_time"),
    "status": ("state", "status"),
    "user": ("user", "user_id"),
    "queue": ("vc", "partition"),
    "name": ("jobname", "job_name", "model_name"),
    "nodes": ("node_num",),
    "cpus": ("cpu_num",),
}
NEEDED: Final = ("job", "gpus", "submitted")
GPUS_PER_NODE: Final = 8
MOST: Final = 1 << 20
"""GPUs, CPUs and nodes of a job."""
MOST_S: Final = 1 << 40

_NEVER: Final = ("", "none", "null", "nan", "nat", "-")
_ENDINGS: Final = {
    "fail": Ending.FAILED,
    "error": Ending.FAILED,
    "node_fail": Ending.FAILED,
    "out_of_mem": Ending.FAILED,
    "cancel": Ending.CANCELLED,
    "kill": Ending.CANCELLED,
    "timeout": Ending.TIMEOUT,
}
"""By how the status begins, whatever its case; all else is completed."""


def read(path: Path, skipped: Skipped, gpus_per_node: int = GPUS_PER_NODE) -> Iterator[TraceJob]:
    """The jobs of a file, in its order. Raises TraceBroken that names file, line and column."""
    place = _places(columns(head(path, 1)))
    for what in NEEDED:
        if what not in place:
            raise TraceBroken(
                f"{path}, line 1: no column for {what}; expected one of {', '.join(NAMES[what])}"
            )
    if "run" not in place and not place.keys() >= {"begun", "ended"}:
        raise TraceBroken(f"{path}, line 1: no run times; expected duration, or start_time and end_time")
    lines = records(path, tuple(place.values()), skipped)
    return converted(lines, lambda line: _job(line, place, gpus_per_node, skipped), skipped)


def _places(there: frozenset[str]) -> dict[str, str]:
    """Which column is which."""
    first = {what: next((name for name in names if name in there), "") for what, names in NAMES.items()}
    return {what: name for what, name in first.items() if name}


def _job(line: Record, place: dict[str, str], gpus_per_node: int, skipped: Skipped) -> TraceJob | None:
    run_us = _run_us(line, place)
    if run_us is None:
        skipped.leave_out("never ran")
        return None
    n_gpus = line.whole(place["gpus"], MOST)
    n_cpus = line.whole(place["cpus"], MOST) if "cpus" in place else 0
    shape = _shape(n_gpus, line.whole(place["nodes"], MOST) if "nodes" in place else 0, gpus_per_node)

    def text(what: str) -> str:
        return line.text(place[what]) if what in place else ""

    status = text("status").lower()
    ending = next((end for word, end in _ENDINGS.items() if status.startswith(word)), Ending.COMPLETED)
    return TraceJob(
        id=text("job"),
        submit_us=_when_us(line, place["submitted"]),
        run_us=run_us,
        tasks=shape.tasks,
        cpu_milli=-(-(n_cpus or max(1, n_gpus)) * 1000 // shape.tasks),
        n_gpus=shape.n_gpus,
        nodes=shape.nodes,
        user=text("user"),
        queue=text("queue"),
        name=text("name"),
        ending=ending,
    )


def _shape(n_gpus: int, nodes: int, gpus_per_node: int) -> Shape:
    """As many nodes as the log says, if the GPUs can be the same on each; else the fewest."""
    if nodes > 0 and n_gpus % nodes == 0:
        return Shape(nodes, n_gpus // nodes, nodes)
    return consolidated(n_gpus, gpus_per_node)


def _run_us(line: Record, place: dict[str, str]) -> int | None:
    """None for a job that never ran."""
    if "begun" in place and "ended" in place:
        begun, ended = place["begun"], place["ended"]
        if line.text(begun).strip().lower() in _NEVER or line.text(ended).strip().lower() in _NEVER:
            return None
        run_us = _when_us(line, ended) - _when_us(line, begun)
        if run_us < 0:
            line.wrong(ended, f"a time after {begun}, which is {line.text(begun)}")
        return run_us
    if line.text(place["run"]).strip().lower() in _NEVER:
        return None
    seconds = line.number(place["run"])
    if not 0 <= seconds <= MOST_S:
        line.wrong(place["run"], f"0 to {MOST_S} seconds")
    return int(seconds * US)


def _when_us(line: Record, column: str) -> int:
    text = line.text(column).strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            line.wrong(column, "seconds, or a date as 2020-04-01 12:30:00")
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        if since.days < 0:
            line.wrong(column, "a date from 1970 on")
        return (since.days * 86_400 + since.seconds) * US + since.microseconds
    if not 0 <= seconds <= MOST_S:
        line.wrong(column, f"0 to {MOST_S} seconds")
    return int(seconds * US)


def _suits(path: Path, top: list[str]) -> bool:
    place = _places(columns(top))
    return place.keys() >= {*NEEDED} and ("run" in place or place.keys() >= {"begun", "ended"})


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """gpus_per_node=N: where no nodes are named, jobs with up to N GPUs are on one node (8)."""
    how.only("gpus_per_node")
    gpus_per_node = how.whole("gpus_per_node", GPUS_PER_NODE, 1, MOST)
    return Trace(trace_name(path), read(path, skipped, gpus_per_node), None, skipped)


FORMAT: Final = Format("GPU cluster logs in the manner of Philly and Helios, CSV", _suits, _open)

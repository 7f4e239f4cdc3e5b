"""Between the client's values and the messages on the wire; nothing else in the client names a message."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packhorse.client.request import JobRequest
from packhorse.client.results import JobEvent, JobInfo, JobResult
from packhorse.scheduler.model.arrayspec import parse_array
from packhorse.scheduler.model.dependencyspec import parse_dependency
from packhorse.scheduler.model.gresspec import Wanted, parse_gpus, parse_gres
from packhorse.scheduler.model.hostlist import expand
from packhorse.scheduler.model.oomspec import parse_oom_retry
from packhorse.scheduler.model.units import parse_mem_mib, parse_time_limit_s
from packhorse.v1 import job_pb2, scheduler_pb2
from packhorse.v1 import scheduler_pb2 as Messages
from packhorse.v1.scheduler_pb2_grpc import SchedulerStub

__all__ = [
    "INFO_FIELDS",
    "JobRef",
    "Messages",
    "SchedulerStub",
    "array_of",
    "batch_of",
    "event_of",
    "infos_of",
    "ref_of",
    "results_of",
    "spec_of",
    "sweep_of",
]

JobRef = int | str
"""A job id, or an array task as in "17_3"."""

INFO_FIELDS = (
    "job_id",
    "array_job_id",
    "array_task_id",
    "array_pending",
    "name",
    "user",
    "partition",
    "state",
    "reason",
    "reason_text",
    "priority",
    "n_nodes",
    "n_cpus",
    "nodes",
    "exit_code",
    "exit_signal",
    "submit_at",
    "start_at",
    "end_at",
    "time_limit_s",
)
_N_PLAIN = INFO_FIELDS.index("submit_at")
_RENAMED = {"reason_text": "explanation"}


def spec_of(request: JobRequest) -> job_pb2.JobSpec:
    """The wire form; raises ValueError naming what cannot be understood."""
    spec = job_pb2.JobSpec(
        name=request.job_name(),
        ask=_ask(request),
        partition=request.partition,
        account=request.account,
        qos=request.qos,
        reservation=request.reservation,
        nice=request.nice,
        hold=request.hold,
        requeue=request.requeue,
        std_in=request.input,
        std_out=request.output,
        std_err=request.error,
        comment=request.comment,
        licenses=request.licenses,
        submit_host=platform.node(),
        submit_line=shlex.join(sys.argv),
        work_dir=str(Path(request.work_dir or ".").absolute()),
        submit_dir=str(Path.cwd()),
        args=[str(word) for word in request.args],
        script=request.script(),
        environment=_environment(request),
        umask=_umask(),
    )
    limit_s = _time_limit_s(request.time_limit)
    if limit_s is not None:
        spec.time_limit_s = limit_s
    if request.priority is not None:
        spec.priority = request.priority
    if request.begin is not None:
        spec.begin_at_us = round(request.begin.timestamp() * 1_000_000)
    if request.open_mode is not None:
        spec.append = request.open_mode == "append"
    if request.max_retries:
        spec.retry.CopyFrom(job_pb2.Retry(max_retries=request.max_retries, backoff_s=request.backoff_s))
    if request.oom_retry:
        spec.oom_factor_milli, spec.oom_max_retries = parse_oom_retry(request.oom_retry)
    spec.idle_gpu_ok = request.idle_gpu_ok
    if request.after:
        spec.dependency.CopyFrom(_dependency(request.after))
    spec.given.CopyFrom(
        job_pb2.Given(
            n_tasks=request.tasks != 1,
            cpus_per_task=request.cpus != 1,
            tasks_per_node=request.tasks_per_node != 0,
        )
    )
    return spec


def array_of(text: str) -> job_pb2.ArraySpec | None:
    """The indices of an array, None for no array."""
    if not text:
        return None
    ranges, limit = parse_array(text)
    return job_pb2.ArraySpec(ranges=_ranges(ranges), limit=limit)


def ref_of(job: JobRef) -> scheduler_pb2.JobRef:
    """The wire form of a job's name; raises ValueError."""
    text = str(job)
    number, separator, index = text.partition("_")
    if not number.isdecimal() or (separator and not index.isdecimal()):
        raise ValueError(f'"{text}" is not a job: give a number as in 17, or an array task as in "17_3"')
    ref = scheduler_pb2.JobRef(job_id=int(number), text=text)
    if separator:
        ref.indices.append(job_pb2.IndexRange(start=int(index), stop=int(index), step=1))
    return ref


def batch_of(requests: Sequence[JobRequest], key: str) -> scheduler_pb2.SubmitJobsRequest:
    """Many jobs as one call. Requests that are equal but for name and args share one spec."""
    call = scheduler_pb2.SubmitJobsRequest(idempotency_key=key)
    known: dict[int, int] = {}
    for request in requests:
        if request.array:
            raise ValueError("an array cannot be part of a batch: submit it by itself")
        at = known.get(id(request))
        if at is None:
            at = known[id(request)] = len(call.specs)
            call.specs.append(spec_of(request))
            call.items.append(scheduler_pb2.BatchItem(spec=at))
        elif call.items[-1].spec == at:
            call.items[-1].copies = max(1, call.items[-1].copies) + 1
        else:
            call.items.append(scheduler_pb2.BatchItem(spec=at))
    return call


def sweep_of(request: JobRequest, args: Iterable[Sequence[str]], key: str) -> scheduler_pb2.SubmitJobsRequest:
    """One job per list of arguments, all else equal."""
    call = scheduler_pb2.SubmitJobsRequest(idempotency_key=key, specs=[spec_of(request)])
    call.items.extend(
        scheduler_pb2.BatchItem(spec=0, args=[str(word) for word in words], own_args=True) for words in args
    )
    return call


def results_of(answer: scheduler_pb2.WaitJobsResponse) -> tuple[JobResult, ...]:
    return tuple(
        JobResult(
            job_id=r.job_id,
            ref=r.ref or str(r.job_id),
            state=r.state,
            ended=r.ended,
            exit_code=r.exit_code,
            exit_signal=r.exit_signal,
            reason=r.reason,
            n_ended=r.n_ended,
            n_total=max(1, r.n_total),
        )
        for r in answer.results
    )


def infos_of(table: scheduler_pb2.Table) -> list[JobInfo]:
    """The rows of a job table asked for with INFO_FIELDS."""
    columns: list[list[Any]] = [list(c.texts) if c.texts else list(c.ints) for c in table.columns]
    at = {c.name: i for i, c in enumerate(table.columns)}
    rows = []
    for row in zip(*columns, strict=True):
        plain = {name: row[at[name]] for name in INFO_FIELDS[:_N_PLAIN]}
        limit_s = int(row[at["time_limit_s"]])
        rows.append(
            JobInfo(
                **{_RENAMED.get(name, name): value for name, value in plain.items()},
                submitted=instant(row[at["submit_at"]]),
                started=instant(row[at["start_at"]]),
                ended=instant(row[at["end_at"]]),
                time_limit=datetime.timedelta(seconds=limit_s) if limit_s else None,
            )
        )
    return rows


def event_of(event: scheduler_pb2.JobEvent) -> JobEvent:
    at = instant(event.at_us) or datetime.datetime.fromtimestamp(0, datetime.UTC)
    return JobEvent(event.seq, at, event.kind, event.job_id, event.node, event.text, event.json)


def instant(us: int | str) -> datetime.datetime | None:
    """Microseconds since the epoch as a time with zone, None for 0."""
    return datetime.datetime.fromtimestamp(int(us) / 1_000_000, datetime.UTC) if int(us) else None


def _ask(request: JobRequest) -> job_pb2.Ask:
    if request.cpus < 1 or request.tasks < 1 or request.nodes < 1:
        raise ValueError("cpus, tasks and nodes are 1 or more")
    if request.memory is not None and request.memory_per_cpu is not None:
        raise ValueError("memory and memory_per_cpu exclude each other")
    if request.hops is not None and request.hops < 0:
        raise ValueError("hops is 0 or more")
    per_node = parse_gres(request.gres) if request.gres else []
    if request.gpu_share is not None:
        share = parse_gpus(str(request.gpu_share))
        if len(share) != 1 or (share[0][3] == 1000 and not share[0][4]):
            raise ValueError(f'gpu_share {request.gpu_share!r}: a share of one GPU, as in 0.25 or "20G"')
        per_node += share
    per_task = parse_gpus(str(request.gpus_per_task)) if request.gpus_per_task is not None else []
    return job_pb2.Ask(
        n_tasks=max(request.tasks, request.nodes * max(1, request.tasks_per_node)),
        min_nodes=request.nodes,
        max_nodes=request.nodes,
        tasks_per_node=request.tasks_per_node,
        cpu_milli_per_task=request.cpus * 1000,
        mem_mib_per_node=_mem_mib(request.memory),
        mem_mib_per_cpu=_mem_mib(request.memory_per_cpu),
        gres_per_node=[_gres(item) for item in per_node],
        gres_per_task=[_gres(item) for item in per_task],
        features=request.constraint,
        nodes_required=expand(request.nodelist) if request.nodelist else [],
        nodes_excluded=expand(request.exclude) if request.exclude else [],
        exclusive=request.exclusive,
        hops=request.hops,
        spread=request.spread,
        linked=request.gpu_link,
    )


def _mem_mib(amount: int | str | None) -> int:
    if amount is None:
        return 0
    return parse_mem_mib(str(amount))


def _gres(item: Wanted) -> job_pb2.Gres:
    kind, type_, count, milli, mem_mib = item
    return job_pb2.Gres(
        kind=kind, type=type_, count=count, milli=milli if milli < 1000 else 0, mem_mib=mem_mib
    )


def _time_limit_s(limit: datetime.timedelta | int | str | None) -> int | None:
    if limit is None:
        return None
    if isinstance(limit, datetime.timedelta):
        return max(1, round(limit.total_seconds()))
    return parse_time_limit_s(str(limit))


def _dependency(text: str) -> job_pb2.Dependency:
    any_of, conditions = parse_dependency(text)
    found = job_pb2.Dependency(any_of=any_of)
    for kind, job_id, index, minutes in conditions:
        condition = found.conditions.add(kind=kind, job_id=job_id, delay_s=minutes * 60)
        if index >= 0:
            condition.array_index = index
    return found


def _ranges(ranges: Iterable[tuple[int, int, int]]) -> list[job_pb2.IndexRange]:
    return [job_pb2.IndexRange(start=start, stop=stop, step=step) for start, stop, step in ranges]


def _environment(request: JobRequest) -> list[str]:
    source = os.environ if request.environment is None else request.environment
    return [f"{name}={value}" for name, value in source.items()]


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask

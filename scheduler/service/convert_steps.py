"""What people ask for of steps, to inputs of the core, as convert.py does it for jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import CancelStep, CreateStep, EndAllocation
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.step import SAME, Overlap, StepSpec
from packhorse.scheduler.service import bounds
from packhorse.scheduler.service.bounds import text, texts, whole
from packhorse.scheduler.service.convert import (
    MAX_ENVIRONMENT_BYTES,
    MAX_LIMIT,
    Has,
    caller,
    duration,
    gres,
    job_id,
    node_names,
    presence,
    work_dir,
)
from packhorse.scheduler.service.payloads import Payload, pack_environment, payload

MAX_STEP_TASKS: Final = 1 << 16
MAX_SCREEN: Final = (1 << 16) - 1
"""Rows and columns of a terminal, as the kernel counts them."""

MPI: Final = ("none", "pmi2", "pmix")


class StepCall(NamedTuple):
    """A step for the core, and the environment that has to become durable with it."""

    input: CreateStep
    payloads: tuple[Payload, ...]


def create_step(request: Any, owner: Owner, admin: bool) -> StepCall:
    """A CreateStepRequest. Raises BadValue for what cannot be understood."""
    has = presence(request)
    if not has(request, "spec"):
        raise BadValue("spec: missing; it says what shall run")
    variables = _environment(request.spec)
    spec = _step_spec(request.spec, presence(request.spec), variables.ref)
    return StepCall(CreateStep(caller(owner, admin, request), job_id(request.job_id), spec), (variables,))


def cancel_steps(request: Any, owner: Owner, admin: bool, number: Callable[[Any], JobId]) -> list[CancelStep]:
    """The steps that a CancelJobsRequest names, one input each. number: of the job that a reference means.
    Raises BadValue."""
    by = caller(owner, admin, request)
    signal = whole("signal", request.signal, 0, 64)
    found = []
    for n, ref in enumerate(request.jobs):
        if ref.step is not None:
            each = replace(by, key=f"{by.key}.{n}") if by.key else by
            name = text("jobs", ref.text) or f"{ref.job_id}.{ref.step}"
            found.append(CancelStep(each, name, number(ref), ref.step, signal))
    return found


def end_allocation(request: Any, owner: Owner, admin: bool) -> EndAllocation:
    """An EndAllocationRequest. Raises BadValue."""
    return EndAllocation(
        caller(owner, admin, request),
        job_id(request.job_id),
        whole("exit_code", request.exit_code, 0, 255),
        whole("exit_signal", request.exit_signal, 0, 64),
    )


def _environment(wire: Any) -> Payload:
    packed = pack_environment(texts("environment", wire.environment, MAX_ENVIRONMENT_BYTES))
    if len(packed) > MAX_ENVIRONMENT_BYTES:
        raise BadValue(
            f"environment: {len(packed)} bytes, limit {MAX_ENVIRONMENT_BYTES} (4 MiB); "
            "export fewer variables (--export)"
        )
    return payload(packed)


def _step_spec(wire: Any, has: Has, env_ref: str) -> StepSpec:
    return StepSpec(
        name=text("name", wire.name),
        argv=texts("argv", wire.argv),
        env_ref=env_ref,
        work_dir=work_dir(wire.work_dir),
        n_tasks=whole("n_tasks", wire.n_tasks, 0, MAX_STEP_TASKS),
        min_nodes=whole("min_nodes", wire.min_nodes, 0, bounds.MAX_NODES),
        max_nodes=whole("max_nodes", wire.max_nodes, 0, bounds.MAX_NODES),
        tasks_per_node=whole("tasks_per_node", wire.tasks_per_node, 0, MAX_STEP_TASKS),
        cpu_milli_per_task=whole("cpu_milli_per_task", wire.cpu_milli_per_task, 0, bounds.MAX_CPU_MILLI),
        mem_mib_per_node=whole("mem_mib_per_node", wire.mem_mib_per_node, 0, bounds.MAX_MEM_MIB)
        if has(wire, "mem_mib_per_node")
        else SAME,
        mem_mib_per_cpu=whole("mem_mib_per_cpu", wire.mem_mib_per_cpu, 0, bounds.MAX_MEM_PER_CPU_MIB),
        gres_per_node=gres(wire.gres_per_node),
        gres_per_task=gres(wire.gres_per_task),
        gres_per_step=gres(wire.gres_per_step),
        nodes_required=node_names("nodes_required", wire.nodes_required),
        nodes_excluded=node_names("nodes_excluded", wire.nodes_excluded),
        relative=whole("relative", wire.relative, 0, bounds.MAX_NODES) if has(wire, "relative") else -1,
        distribution=text("distribution", wire.distribution),
        plane_size=whole("plane_size", wire.plane_size, 0, MAX_STEP_TASKS),
        overlap=_overlap(wire.overlap),
        cpu_bind=text("cpu_bind", wire.cpu_bind, bounds.MAX_LINE),
        gpu_bind=text("gpu_bind", wire.gpu_bind, bounds.MAX_LINE),
        multi_prog=tuple(
            [(text("multi_prog", one.ranks), texts("multi_prog", one.argv)) for one in wire.multi_prog]
        ),
        std_in=text("std_in", wire.std_in, bounds.MAX_PATH),
        std_out=text("std_out", wire.std_out, bounds.MAX_PATH),
        std_err=text("std_err", wire.std_err, bounds.MAX_PATH),
        append=wire.append,
        input_rank=whole("input_rank", wire.input_rank, -2, MAX_STEP_TASKS)
        if has(wire, "input_rank")
        else -1,
        pty=wire.pty,
        rows=whole("rows", wire.rows, 0, MAX_SCREEN),
        columns=whole("columns", wire.columns, 0, MAX_SCREEN),
        mpi=_mpi(wire.mpi),
        umask=whole("umask", wire.umask, 0, 0o777) if has(wire, "umask") else 0o022,
        rlimits=tuple(
            [
                (text("rlimits", limit.name), whole("rlimits", limit.value, -1, MAX_LIMIT))
                for limit in wire.rlimits
            ]
        ),
        time_limit_s=duration("time_limit_s", wire.time_limit_s),
        kill_on_bad_exit=wire.kill_on_bad_exit,
        wait_s=duration("wait_s", wire.wait_s),
        submit_line=text("submit_line", wire.submit_line, bounds.MAX_LINE),
        submit_host=text("submit_host", wire.submit_host),
        het_group=whole("het_group", wire.het_group, 0, bounds.MAX_NODES) if has(wire, "het_group") else -1,
        unbuffered=wire.unbuffered,
    )


def _overlap(wire: str) -> Overlap:
    try:
        return Overlap(wire)
    except ValueError as error:
        raise BadValue(f'overlap: "{wire[:40]}" is neither "overlap" nor "exact"') from error


def _mpi(wire: str) -> str:
    if wire and wire not in MPI:
        raise BadValue(f'mpi: "{wire[:40]}" is none of {", ".join(MPI)}')
    return wire or "none"

"""From the order for a step to what the launch layer takes: every task with its program, files, environment,
processors and GPUs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from packhorse.agent import environment, launching, taskbinding
from packhorse.agent.binding import Processor
from packhorse.agent.bounds import Bounds
from packhorse.agent.inventory import visible
from packhorse.agent.launch.spec import LaunchSpec, StepPlan, Task
from packhorse.agent.orders import LaunchOrder, StepOrder
from packhorse.agent.taskbinding import Gpu
from packhorse.scheduler.model.errors import BadValue

MOST_TASKS = 4096
"""Of one step on one node."""

_PATTERN = re.compile(r"%(\d*)([%tnN])")
_WIDEST = 10
"""Digits that a number in a file's name is filled up to, as under Slurm."""


class Node(NamedTuple):
    """What the agent knows of its node. numa_of_gpus: by the GPU's number. names: see HardwareWatch.names."""

    name: str
    machine: Sequence[Processor]
    numa_of_gpus: Mapping[int, int]
    names: str = ""


def spec_of(
    order: LaunchOrder,
    step: StepOrder,
    *,
    node: Node,
    directory: str,
    contact: str,
    cluster: Mapping[str, str],
    bounds: Bounds,
) -> LaunchSpec:
    """What to launch. directory: the attempt's. Raises BadValue for an order that nobody can carry out."""
    if not 0 < len(step.ranks) <= MOST_TASKS:
        raise BadValue(f"{len(step.ranks)} tasks on one node, limit {MOST_TASKS}")
    variables = environment.step(order, node.name, cluster, constrained=bounds.constrained)
    if node.names:
        variables = list(visible.named(variables, node.names))
    plain = launching.spec_of(
        msgspec.structs.replace(order, script=b"", args=()),
        node=node.name,
        directory=directory,
        script="",
        contact=contact,
        cluster={},
        bounds=bounds,
    )
    return msgspec.structs.replace(
        plain,
        argv=(),
        environment=tuple(variables),
        label=f"STEP {order.attempt.job}.{order.attempt.step}",
        append=step.append,
        step=_plan(order, step, node, bounds, dict(pair.partition("=")[::2] for pair in variables)),
    )


def _plan(
    order: LaunchOrder, step: StepOrder, node: Node, bounds: Bounds, variables: Mapping[str, str]
) -> StepPlan:
    n = len(step.ranks)
    bind = taskbinding.parse_cpu_bind(step.cpu_bind)
    cpus = taskbinding.cpus_of_tasks(bind, n, step.cpu_milli_per_task, bounds.cpus, node.machine)
    seen = _gpus(order, step, node, bounds, variables, cpus)
    programs = _programs(step)
    common = _common(order, step)
    tasks = []
    for local, rank in enumerate(step.ranks):
        tasks.append(
            Task(
                rank=rank,
                argv=programs(rank),
                environment=(*common, f"SLURM_LOCALID={local}", f"SLURM_PROCID={rank}", *seen[local]),
                cpus=cpus[local],
                stdin=_file(step.std_in, order, step, node.name, rank),
                stdout=_file(step.std_out, order, step, node.name, rank),
                stderr=_file(step.std_err or step.std_out, order, step, node.name, rank),
                banner=_banner(bind, node, bounds, rank, local, cpus[local]) if bind.verbose else "",
            )
        )
    return StepPlan(
        tasks=tuple(tasks),
        attach_s=step.attach_s,
        input_rank=step.input_rank,
        pty=step.pty,
        rows=step.rows,
        columns=step.columns,
        mpi=step.mpi,
        n_tasks=step.n_tasks,
        n_nodes=step.n_nodes,
        node_index=step.node_index,
        tasks_on_nodes=step.tasks_on_nodes,
        nodes=step.nodes,
    )


def _common(order: LaunchOrder, step: StepOrder) -> list[str]:
    """What all tasks on this node are told."""
    return [
        f"SLURM_CPUS_ON_NODE={max(1, order.cpu_milli // 1000)}",
        f"SLURM_GTIDS={','.join(map(str, step.ranks))}",
        f"SLURM_NODEID={step.node_index}",
    ]


# -- programs


def _programs(step: StepOrder) -> Callable[[int], tuple[str, ...]]:
    """What each rank runs. Raises BadValue, there or here, for a rank without a program."""
    if not step.programs:
        if not step.argv:
            raise BadValue("no command given to execute")
        return lambda rank: step.argv
    given = [(_ranks(ranks), argv) for ranks, argv in step.programs]

    def program(rank: int) -> tuple[str, ...]:
        for ranks, argv in given:
            if (ranks is None or rank in ranks) and argv:
                place = rank if ranks is None else sorted(ranks).index(rank)
                return tuple([_argument(word, rank, place) for word in argv])
        raise BadValue(f"task {rank} has no program in the step's list of programs")

    return program


def _ranks(text: str) -> set[int] | None:
    """As in "0-2,5"; None for "*", all."""
    if text == "*":
        return None
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            low, high = int(first), int(last) if dash else int(first)
        except ValueError:
            raise BadValue(f"list of programs: {text!r} are no task numbers") from None
        if high - low > 1 << 20:
            raise BadValue(f"list of programs: {text!r} are too many tasks")
        found.update(range(low, high + 1))
    return found


def _argument(word: str, rank: int, place: int) -> str:
    """%t is the task's rank, %o its place in the line's ranks, as srun's manual has it."""
    return word.replace("%t", str(rank)).replace("%o", str(place))


# -- files


def _file(pattern: str, order: LaunchOrder, step: StepOrder, node: str, rank: int) -> str:
    """The path that a pattern means for a task, "" for the client. Directories are counted from the working
    directory."""
    if not pattern:
        return ""

    def put(match: re.Match[str]) -> str:
        width = min(int(match[1] or 0), _WIDEST)
        match match[2]:
            case "%":
                return "%"
            case "t":
                return str(rank).zfill(width)
            case "n":
                return str(step.node_index).zfill(width)
            case _:
                return node

    return os.path.join(order.work_dir, _PATTERN.sub(put, pattern))


# -- processors and GPUs


def _banner(
    bind: taskbinding.CpuBind, node: Node, bounds: Bounds, rank: int, local: int, cpus: tuple[int, ...]
) -> str:
    """What --cpu-bind=verbose says of a task; `%d` stands for its pid."""
    kind = {"none": "NONE", "rank": "RANK", "map_cpu": "MAP "}.get(bind.kind, "MASK")
    units = f"_{bind.kind}" if bind.kind in ("threads", "cores", "sockets", "ldoms") else ""
    shown = taskbinding.mask(cpus or bounds.cpus or [one.cpu for one in node.machine])
    done = "" if bind.kind == "none" or not cpus else " set"
    name = node.name.replace("%", "%%")
    return f"cpu-bind{units}={kind} - {name}, task {rank:2} {local:2} [%d]: mask {shown}{done}"


def _gpus(
    order: LaunchOrder,
    step: StepOrder,
    node: Node,
    bounds: Bounds,
    variables: Mapping[str, str],
    cpus: Sequence[tuple[int, ...]],
) -> list[tuple[str, ...]]:
    """For each task the variables that say which of the step's GPUs it sees."""
    rocm = environment.ROCM_ORDINALS
    named = variables.get(rocm) or variables.get(visible.VARIABLE) or ""
    indices = sorted({i for held in order.devices if held.kind == "gpu" for i in held.indices})
    names = named.split(",") if named else []
    if not names:
        return [()] * len(cpus)
    numbers = indices if len(indices) == len(names) else list(range(len(names)))
    gpus = [
        Gpu(name, index, node.numa_of_gpus.get(index, -1)) for name, index in zip(names, numbers, strict=True)
    ]
    numa = {one.cpu: one.numa for one in node.machine}
    near = [frozenset(numa[cpu] for cpu in some or bounds.cpus if cpu in numa) for some in cpus]
    chosen = taskbinding.gpus_of_tasks(
        step.gpu_bind, step.gpus_per_task, gpus, near, counted_anew=bounds.constrained
    )
    if chosen is None:
        return [()] * len(cpus)
    return [_seen([gpus[i].name for i in some], rocm if rocm in variables else "") for some in chosen]


def _seen(names: list[str], rocm: str) -> tuple[str, ...]:
    """With ROCm's own variable the others count what that leaves."""
    text = ",".join(names)
    if not rocm:
        return tuple([f"{variable}={text}" for variable in environment.ORDINALS])
    ordinals = ",".join(map(str, range(len(names))))
    return (f"{rocm}={text}", *[f"{variable}={ordinals}" for variable in environment.ORDINALS])

"""What the options of sbatch about devices amount to: GPUs, shares and slices of them, and what goes along.

--cpus-per-gpu, --mem-per-gpu and --ntasks-per-gpu are turned into amounts here, which can be done where it is
known how many GPUs a node or a task has; elsewhere they are refused with what to give instead.
"""

from __future__ import annotations

from packhorse.cli.slurm.sbatch_request import memory, number, refuse
from packhorse.scheduler.model.gresspec import GresError, parse_gpus, parse_gres, share_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from packhorse.scheduler.model.gresspec import Wanted

_BINDING = ("disable-binding", "enforce-binding")
"""Values of --gres-flags that are read. They say whether a job may have only the CPUs next to its GPUs; here
jobs are given a number of CPUs and not particular ones, so neither has an effect."""


def add(options: Mapping[str, str], ask: dict[str, Any]) -> None:
    """Adds what the options say of devices to the ask, in which everything else is there already."""
    per_node: list[Wanted] = []
    if options.get("gres") and options["gres"].lower() != "none":
        per_node += _read(parse_gres, options["gres"])
    if "gpus-per-node" in options:
        per_node += _read(parse_gpus, options["gpus-per-node"])
    if "gpu-share" in options:
        per_node += _share(options["gpu-share"])
    per_task = _read(parse_gpus, options["gpus-per-task"]) if "gpus-per-task" in options else []
    per_job = _read(parse_gpus, options["gpus"]) if "gpus" in options else []
    if "ntasks-per-gpu" in options:
        per_job = _tasks(options, ask, per_node, per_job)
    for key, wanted in (("gresPerNode", per_node), ("gresPerTask", per_task), ("gresPerJob", per_job)):
        if wanted:
            ask[key] = [_wire(item) for item in wanted]
    total, each = _gpus(per_job), _gpus(per_task)
    if total > 0 and each > 0 and total % each == 0:
        ask.setdefault("nTasks", total // each)
    if "cpus-per-gpu" in options:
        _cpus(options, ask, _gpus(per_node), _gpus(per_task), _gpus(per_job))
    if "mem-per-gpu" in options:
        _memory(options, ask, _gpus(per_node), _gpus(per_task), _gpus(per_job))
    if "gpu-link" in options:
        if options["gpu-link"] not in ("any", "required"):
            raise refuse(f'--gpu-link={options["gpu-link"]}: accepted are "required" and "any"')
        ask["linked"] = options["gpu-link"] == "required"
    for flag in options["gres-flags"].lower().split(",") if "gres-flags" in options else ():
        if flag not in _BINDING:
            raise refuse(f"option --gres-flags={flag} is not supported by Packhorse yet")


def _read(parse: Callable[[str], list[Wanted]], text: str) -> list[Wanted]:
    try:
        return parse(text)
    except GresError as error:
        raise refuse(f"Invalid generic resource (gres) specification: {error}", 1) from None


def _share(text: str) -> list[Wanted]:
    """`0.25`, `20G`, `h200:0.25`: one share."""
    found = _read(parse_gpus, text)
    if len(found) != 1 or not _is_share(found[0]):
        raise refuse(f'--gpu-share="{text}" is not a share of one GPU: write it as in 0.25 or 20G', 1)
    return found


def _is_share(item: Wanted) -> bool:
    _, _, _, milli, mem_mib = item
    return milli < 1000 or mem_mib > 0


def _wire(item: Wanted) -> dict[str, Any]:
    kind, type_, count, milli, mem_mib = item
    found: dict[str, Any] = {"kind": kind, "type": type_, "count": count}
    if milli < 1000:
        found["milli"] = milli
    if mem_mib:
        found["memMib"] = mem_mib
    return found


def _gpus(wanted: list[Wanted]) -> int:
    """Thousandths of GPUs that are asked for; -1 for a share by memory, which differs from GPU to GPU."""
    if any(item[4] for item in wanted):
        return -1
    return sum([item[2] * item[3] for item in wanted if item[0] == "gpu"])


def _one_node(ask: dict[str, Any]) -> bool:
    """Whether the job can only be on one node: a node has at least one task."""
    least: int = max(ask.get("nTasks", 0), ask.get("minNodes", 1))
    return least == 1 or bool(ask.get("maxNodes", 0) == 1)


def _tasks(
    options: Mapping[str, str], ask: dict[str, Any], per_node: list[Wanted], per_job: list[Wanted]
) -> list[Wanted]:
    """--ntasks-per-gpu: tasks from GPUs, or GPUs for the whole job from tasks. Returns the latter."""
    n = number(options["ntasks-per-gpu"], "ntasks-per-gpu")
    for other in ("gpus-per-task", "ntasks-per-node"):
        if other in options:
            raise refuse(f"--ntasks-per-gpu is mutually exclusive with --{other}", 1)
    nodes = ask.get("minNodes", 1)
    if ask.get("maxNodes", nodes) != nodes:
        raise refuse("--ntasks-per-gpu needs a number of nodes, not a range (--nodes)", 1)
    n_tasks = ask.get("nTasks", 0)
    milli = _gpus(per_job) or _gpus(per_node) * nodes
    if milli < 0 or milli % 1000:
        raise refuse("--ntasks-per-gpu is about whole GPUs, and a share of one is asked for", 1)
    gpus = milli // 1000
    if not gpus:
        if not n_tasks:
            raise refuse("--ntasks-per-gpu needs to know how many GPUs (--gpus) or tasks (--ntasks)", 1)
        if n_tasks % n:
            raise refuse(f"--ntasks-per-gpu={n}: {n_tasks} tasks (--ntasks) are not a multiple of it", 1)
        return [("gpu", "", n_tasks // n, 1000, 0)]
    if n_tasks and n_tasks != n * gpus:
        raise refuse(
            f"--ntasks-per-gpu={n}: {gpus} GPU{'s' * (gpus != 1)} make {n * gpus} tasks, "
            f"--ntasks says {n_tasks}; leave one of them out",
            1,
        )
    ask["nTasks"] = n * gpus
    if not per_job:
        ask["tasksPerNode"] = n * gpus // nodes
    return per_job


def _cpus(
    options: Mapping[str, str], ask: dict[str, Any], per_node: int, per_task: int, per_job: int
) -> None:
    """--cpus-per-gpu. per_…: thousandths of GPUs."""
    n = number(options["cpus-per-gpu"], "cpus-per-gpu")
    if "cpus-per-task" in options:
        raise refuse("--cpus-per-gpu is mutually exclusive with --cpus-per-task", 1)
    _known("cpus-per-gpu", "--cpus-per-task or --mincpus", ask, per_node, per_task, per_job)
    if per_task:
        ask["cpuMilliPerTask"] = n * per_task
    else:
        ask["minCpuMilliPerNode"] = max(ask.get("minCpuMilliPerNode", 0), n * (per_node or per_job))


def _memory(
    options: Mapping[str, str], ask: dict[str, Any], per_node: int, per_task: int, per_job: int
) -> None:
    """--mem-per-gpu. per_…: thousandths of GPUs."""
    mib = memory(options["mem-per-gpu"], "mem-per-gpu")
    if not mib:
        raise refuse("Invalid --mem-per-gpu specification: 0; --mem=0 asks for all memory of a node", 1)
    _known("mem-per-gpu", "--mem", ask, per_node, per_task, per_job)
    if per_node or not per_task:
        ask["memMibPerNode"] = -(-mib * (per_node or per_job) // 1000)
        return
    per_task_mib = -(-mib * per_task // 1000)
    n_tasks, on_each = max(ask.get("nTasks", 0), ask.get("minNodes", 1)), ask.get("tasksPerNode", 0)
    nodes = ask.get("minNodes", 1)
    if (
        on_each
        and ask.get("nTasks", nodes * on_each) == nodes * on_each
        and nodes == ask.get("maxNodes", nodes)
    ):
        ask["memMibPerNode"] = per_task_mib * on_each
    elif _one_node(ask):
        ask["memMibPerNode"] = per_task_mib * n_tasks
    else:
        cpus = ask.get("cpuMilliPerTask", 1000)
        if cpus % 1000:
            raise refuse("--mem-per-gpu needs whole CPUs for every task here; give --cpus-per-task", 1)
        ask["memMibPerCpu"] = -(-per_task_mib // (cpus // 1000))


def _known(
    option: str, instead: str, ask: dict[str, Any], per_node: int, per_task: int, per_job: int
) -> None:
    """Refuses where it is not known how many GPUs a node or a task has."""
    if min(per_node, per_task, per_job) < 0:
        raise refuse(
            f"--{option}: how much of a GPU a share by memory is depends on the GPU; give {instead}", 1
        )
    if not (per_node or per_task or per_job):
        raise refuse(f"--{option} needs GPUs: give --gpus-per-node, --gpus-per-task or --gpus as well", 1)
    if per_job and not (per_node or per_task) and not _one_node(ask):
        raise refuse(
            f"--{option}: how many of the {share_text(per_job)} GPUs (--gpus) a node has is not known; "
            f"give --nodes=1, --gpus-per-node or {instead}",
            1,
        )

"""What the tasks of a step find in their environment, as far as srun decides it: --export, and the variables
that Slurm's srun sets.

The scheduler and the node add what describes the step and the task, and replace what is here of the same
name.
"""

from __future__ import annotations

import os

from packhorse.cli.slurm.sbatch_request import callers, exported, is_text, umask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_TASKS = frozenset(
    (
        *("SLURM_CPU_BIND", "SLURM_CPU_BIND_LIST", "SLURM_CPU_BIND_TYPE", "SLURM_CPU_BIND_VERBOSE"),
        *("SLURM_GTIDS", "SLURM_LAUNCH_NODE_IPADDR", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_PROCID"),
        *("SLURM_SRUN_COMM_HOST", "SLURM_SRUN_COMM_PORT", "SLURM_STEPID", "SLURM_TASK_PID"),
        *("SLURM_DISTRIBUTION", "SLURM_MPI_TYPE", "SLURMD_NODENAME"),
    )
)
"""What describes the task that calls srun, and none of those that it starts."""

_DEVICES = ("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
_NO_DEVICES = "NoDevFiles"
"""What they are where a step has none of its job's GPUs; a step that has some is told which."""

_KEPT_OF_LAUNCHER = ("SLURM_JOB_NUM_NODES", "SLURM_NNODES", "SLURM_NTASKS", "SLURM_NPROCS")
"""--preserve-env hands these on as they are."""


def step_environment(options: Mapping[str, str], job: str) -> list[str]:
    """NAME=VALUE each. job: of which the step is; what another job left behind is not handed on."""
    environment = os.environ
    own = (environment.get("SLURM_JOB_ID") or environment.get("SLURM_JOBID")) == job
    source = _within(environment) if own else callers()
    export = options.get("export") or "ALL"
    if export.upper() == "NONE":
        wanted = {name: value for name, value in source.items() if name.startswith("SLURM_")}
    else:
        wanted = exported(export, source)
        if export.upper() != "ALL":
            for name, value in source.items():
                if name.startswith("SLURM_"):
                    wanted.setdefault(name, value)
    wanted["SLURM_UMASK"] = f"{umask():04o}"
    wanted["SLURM_PRIO_PROCESS"] = str(os.getpriority(os.PRIO_PROCESS, 0))
    wanted["SRUN_DEBUG"] = "4" if "verbose" in options else "2" if "quiet" in options else "3"
    if not own:
        wanted["SLURM_SUBMIT_DIR"] = os.getcwd()
        wanted["SLURM_SUBMIT_HOST"] = os.uname().nodename
    return [f"{name}={value}" for name, value in wanted.items() if is_text(name + value)]


def preserved(options: Mapping[str, str]) -> list[tuple[str, str]]:
    """What --preserve-env keeps, to be set for the tasks whatever the step is."""
    if "preserve-env" not in options:
        return []
    return [(name, os.environ[name]) for name in _KEPT_OF_LAUNCHER if name in os.environ]


def _within(environment: Mapping[str, str]) -> dict[str, str]:
    """All that the caller has, but for what describes the task that it is."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _OF_TASKS and not name.startswith(("SLURM_STEP_", "PMI_", "PMIX_"))
    }
    if "SLURM_JOB_GPUS" in kept:
        for name in _DEVICES:
            if name in kept:
                kept[name] = _NO_DEVICES
        kept.pop("SLURM_GPUS_ON_NODE", None)
    return kept

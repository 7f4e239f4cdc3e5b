"""The SLURM_* variables of a step's tasks, and of the command that `salloc` runs, as Slurm 22.05 sets them.

Pure, like batch_environment.py. Here is what is the same for all tasks of a step on a node; what differs from
task to task (SLURM_PROCID, SLURM_LOCALID, SLURM_NODEID, SLURM_GTIDS, SLURM_TASK_PID, SLURM_CPUS_ON_NODE, the
GPUs of each) its node adds.
"""

from __future__ import annotations

from collections.abc import Sequence

from packhorse.scheduler.model.hostlist import compress
from packhorse.scheduler.model.job import Active, ArraySpec, Job
from packhorse.scheduler.model.resources import Placement
from packhorse.scheduler.model.step import AllocationKind, Step, StepPart
from packhorse.scheduler.service.batch_environment import (
    array_variables,
    asked_variables,
    gpu_indices,
    gpu_variables,
    runs,
    submitted_environment,
    whole_cpus,
)

LOOPBACK = "127.0.0.1"
"""Where Slurm's tasks find their srun. Ours is found through the node's agent, but programs want a value."""

WHOLE_CPU = 1000
"""Of less nobody spoke: tasks that share a CPU (--overcommit)."""

NO_ALIASES = "SLURM_NODE_ALIASES=(null)"


def task_environment(variables: Sequence[str], job: Job, gpus_managed: bool) -> list[str]:
    """What `srun` was called with: as it is within the job, else without what described another one."""
    if f"SLURM_JOB_ID={job.id}" in variables:
        return list(variables)
    return submitted_environment(variables, gpus_managed)


def step_environment(
    job: Job, active: Active, step: Step, part: StepPart, array: ArraySpec | None, cluster: str
) -> list[str]:
    """`NAME=VALUE` of everything that the job, the step and its part on one node add."""
    spec = step.spec
    counts = [len(each.ranks) for each in step.parts]
    nodes = compress(each.node for each in step.parts)
    n_tasks = sum(counts)
    env = [
        *_job(job, active, cluster),
        f"SLURMD_NODENAME={part.node}",
        f"SLURM_LAUNCH_NODE_IPADDR={LOOPBACK}",
        f"SLURM_NPROCS={n_tasks}",
        f"SLURM_NTASKS={n_tasks}",
        "SLURM_PRIO_PROCESS=0",
        f"SLURM_SRUN_COMM_HOST={LOOPBACK}",
        f"SLURM_STEPID={step.id}",
        f"SLURM_STEP_ID={step.id}",
        f"SLURM_STEP_NODELIST={nodes}",
        f"SLURM_STEP_NUM_NODES={len(counts)}",
        f"SLURM_STEP_NUM_TASKS={n_tasks}",
        f"SLURM_STEP_TASKS_PER_NODE={runs(counts)}",
        f"SLURM_TASKS_PER_NODE={runs(counts)}",
        f"SLURM_TOPOLOGY_ADDR={part.node}",
        "SLURM_TOPOLOGY_ADDR_PATTERN=node",
        f"SLURM_UMASK={spec.umask:04o}",
        "SRUN_DEBUG=3",
    ]
    per_node = spec.tasks_per_node or (job.spec.ask.tasks_per_node if job.spec.given.tasks_per_node else 0)
    if per_node:
        env.append(f"SLURM_NTASKS_PER_NODE={per_node}")
    if spec.distribution or per_node:
        env.append(f"SLURM_DISTRIBUTION={distribution(step)}")
    if spec.plane_size:
        env.append(f"SLURM_DIST_PLANESIZE={spec.plane_size}")
    if spec.cpu_milli_per_task >= WHOLE_CPU:
        env.append(f"SLURM_CPUS_PER_TASK={whole_cpus(spec.cpu_milli_per_task)}")
    if job.spec.allocation is not AllocationKind.SRUN:
        cpus = runs(whole_cpus(p.cpu_milli) for p in active.placements)
        env += [NO_ALIASES, f"SLURM_JOB_CPUS_PER_NODE_PACK_GROUP_0={cpus}"]
    env += _cpu_bind(spec.cpu_bind)
    env += _gpus(part)
    if array is not None and job.index >= 0:
        env += array_variables(job, array)
    return env


def distribution(step: Step) -> str:
    """How its tasks lie."""
    if step.spec.distribution:
        return step.spec.distribution
    return "block"


def allocation_environment(job: Job, active: Active, cluster: str) -> list[str]:
    """`NAME=VALUE` of what `salloc` and `srun` outside of a job tell their command of the allocation."""
    spec = job.spec
    return [
        *_job(job, active, cluster),
        NO_ALIASES,
        f"SLURM_TASKS_PER_NODE={runs(p.n_tasks for p in active.placements)}",
        *asked_variables(spec.ask, spec.given, active.placements),
    ]


def _job(job: Job, active: Active, cluster: str) -> list[str]:
    """What is true of the job everywhere."""
    spec = job.spec
    nodes = compress(placement.node for placement in active.placements)
    n_nodes = len(active.placements)
    env = [
        f"SLURM_CLUSTER_NAME={cluster}",
        f"SLURM_JOBID={job.id}",
        f"SLURM_JOB_CPUS_PER_NODE={runs(whole_cpus(p.cpu_milli) for p in active.placements)}",
        f"SLURM_JOB_GID={job.owner.gid}",
        f"SLURM_JOB_ID={job.id}",
        f"SLURM_JOB_NAME={spec.name}",
        f"SLURM_JOB_NODELIST={nodes}",
        f"SLURM_JOB_NUM_NODES={n_nodes}",
        f"SLURM_JOB_PARTITION={spec.partition}",
        f"SLURM_JOB_QOS={spec.qos}",
        f"SLURM_JOB_UID={job.owner.uid}",
        f"SLURM_JOB_USER={job.owner.user}",
        f"SLURM_NNODES={n_nodes}",
        f"SLURM_NODELIST={nodes}",
        f"SLURM_SUBMIT_DIR={spec.submit_dir or spec.work_dir}",
    ]
    if spec.account:
        env.append(f"SLURM_JOB_ACCOUNT={spec.account}")
    if spec.submit_host:
        env.append(f"SLURM_SUBMIT_HOST={spec.submit_host}")
    if active.reservation:
        env.append(f"SLURM_JOB_RESERVATION={active.reservation}")
    if job.restarts:
        env.append(f"SLURM_RESTART_COUNT={job.restarts}")
    return env


def _cpu_bind(asked: str) -> list[str]:
    """`verbose,map_cpu:0,1` as srun hands it on."""
    if not asked:
        return []
    words = asked.split(",")
    verbose = "verbose" if words[0] in ("v", "verbose") else "quiet"
    kind = ",".join(words[1:] if words[0] in ("v", "verbose", "q", "quiet") else words)
    type_, colon, listed = kind.partition(":")
    return [
        f"SLURM_CPU_BIND={verbose}{',' if kind else ''}{kind}",
        f"SLURM_CPU_BIND_LIST={listed}",
        f"SLURM_CPU_BIND_TYPE={type_}{colon}",
        f"SLURM_CPU_BIND_VERBOSE={verbose}",
    ]


def _gpus(part: StepPart) -> list[str]:
    """The GPUs of the step there, of which a task may see fewer."""
    here = Placement(part.node, part.cpu_milli, part.mem_mib, len(part.ranks), part.devices)
    indices = gpu_indices(here)
    if not indices:
        return []
    return [f"SLURM_STEP_GPUS={','.join(map(str, indices))}", *gpu_variables(here)]

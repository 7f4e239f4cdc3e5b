"""The SLURM_* variables of a batch script, as Slurm 22.05 sets them.

Pure: job, allocation and cluster in, `NAME=VALUE` out. What only the node knows (SLURM_TASK_PID, how to
reach the cluster from there) its agent adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packhorse.scheduler.model.gresspec import share_text
from packhorse.scheduler.model.hostlist import compress
from packhorse.scheduler.model.job import Active, ArraySpec, Given, Job
from packhorse.scheduler.model.resources import WHOLE, Ask, Placement

STALE = ("SLURM_", "SLURMD_")
"""Variables that say which job one is in: a job submitted from inside another one must not see that one's."""

PREFERENCES = frozenset(
    {
        "SLURM_CLUSTERS",
        "SLURM_CONF",
        "SLURM_EXIT_ERROR",
        "SLURM_EXIT_IMMEDIATE",
        "SLURM_EXTERNAL_LAUNCHER",
        "SLURM_MPI_TYPE",
        "SLURM_TIME_FORMAT",
        "SLURM_UNBUFFEREDIO",
    }
)
"""Set by people to say how commands shall behave, never by a job."""

SAID = "PACKHORSE_SBATCH_"
"""Begins the names of variables that sbatch sets by its options; the rest follows on SLURM_ in the job. So
they cannot be those of a job that sbatch ran in."""

GPU_VARIABLES = ("CUDA_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
"""Which GPUs a program sees. Slurm also has one for AMD and one for Intel, where it knows them to be such."""


OWN_VARIABLES = ("PACKHORSE_GPU_SHARE", "PACKHORSE_GPU_SLICE")
"""What a job is told of its share or slices; MPS_VARIABLE goes with the former."""

MPS_VARIABLE = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
"""What NVIDIA's MPS lets a process use of a GPU."""

TPU_VARIABLES = ("TPU_VISIBLE_CHIPS", "TPU_VISIBLE_DEVICES")
"""The same for TPU chips; older and newer libtpu."""


TPU_GRIDS = {1: "1,1,1", 2: "1,2,1", 4: "2,2,1", 8: "2,4,1"}
"""How so many chips of one host lie, for libtpu: a process that has not all of a host's must say so."""


def submitted_environment(variables: Iterable[str], gpus_managed: bool) -> list[str]:
    """The environment as submitted, without what described the job it was submitted from.

    gpus_managed: the node has GPUs that are handed out, so the submitting shell's choice means nothing there.
    """
    variables = tuple(variables)
    names: tuple[str, ...] = OWN_VARIABLES
    if gpus_managed:
        names += GPU_VARIABLES
    if any(variable.startswith("PACKHORSE_GPU_SHARE=") for variable in variables):
        names += (MPS_VARIABLE,)
    stale = tuple([f"{name}=" for name in names])
    kept = []
    for variable in variables:
        if variable.startswith(STALE):
            if variable.partition("=")[0] not in PREFERENCES:
                continue
        elif variable.startswith(stale):
            continue
        elif variable.startswith(SAID):
            variable = f"SLURM_{variable.removeprefix(SAID)}"
        kept.append(variable)
    return kept


def batch_environment(job: Job, active: Active, array: ArraySpec | None, cluster: str) -> list[str]:
    """`NAME=VALUE` of everything the job and its allocation add. array: the one the job belongs to."""
    spec, ask, given = job.spec, job.spec.ask, job.spec.given
    first = active.placements[0]
    nodes = compress(placement.node for placement in active.placements)
    n_nodes = len(active.placements)
    env = [
        "ENVIRONMENT=BATCH",
        f"HOSTNAME={first.node}",
        f"SLURMD_NODENAME={first.node}",
        f"SLURM_CLUSTER_NAME={cluster}",
        f"SLURM_CPUS_ON_NODE={whole_cpus(first.cpu_milli)}",
        "SLURM_GTIDS=0",
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
        "SLURM_LOCALID=0",
        f"SLURM_NNODES={n_nodes}",
        "SLURM_NODEID=0",
        f"SLURM_NODELIST={nodes}",
        "SLURM_NODE_ALIASES=(null)",
        "SLURM_PRIO_PROCESS=0",
        "SLURM_PROCID=0",
        f"SLURM_SUBMIT_DIR={spec.submit_dir or spec.work_dir}",
        f"SLURM_TASKS_PER_NODE={runs(p.n_tasks for p in active.placements)}",
        f"SLURM_TOPOLOGY_ADDR={first.node}",
        "SLURM_TOPOLOGY_ADDR_PATTERN=node",
    ]
    if spec.account:
        env.append(f"SLURM_JOB_ACCOUNT={spec.account}")
    if spec.submit_host:
        env.append(f"SLURM_SUBMIT_HOST={spec.submit_host}")
    env += _memory(ask, first)
    env += _tasks(ask, given, n_nodes)
    env += _gpus(given, first)
    env += _chips(first, alone=n_nodes == 1)
    if job.restarts:
        env.append(f"SLURM_RESTART_COUNT={job.restarts}")
    if given.export:
        env.append(f"SLURM_EXPORT_ENV={given.export}")
        if given.export.upper() not in ("ALL", "NIL"):
            env.append("SLURM_GET_USER_ENV=1")
    if array is not None and job.index >= 0:
        env += array_variables(job, array)
    return env


def whole_cpus(cpu_milli: int) -> int:
    """CPUs as Slurm counts them: a share of one counts as one."""
    return max(1, -(-cpu_milli // 1000))


def runs(counts: Iterable[int]) -> str:
    """One number per node, equal neighbours as one: `2(x3),1`."""
    found: list[list[int]] = []
    for count in counts:
        if found and found[-1][0] == count:
            found[-1][1] += 1
        else:
            found.append([count, 1])
    return ",".join(f"{count}(x{n})" if n > 1 else str(count) for count, n in found)


def _memory(ask: Ask, first: Placement) -> list[str]:
    if ask.mem_mib_per_cpu:
        return [f"SLURM_MEM_PER_CPU={ask.mem_mib_per_cpu}"]
    if ask.mem_all:
        return [f"SLURM_MEM_PER_NODE={first.mem_mib}"]
    if ask.mem_mib_per_node:
        return [f"SLURM_MEM_PER_NODE={ask.mem_mib_per_node}"]
    return []


def asked_variables(ask: Ask, given: Given, placements: Sequence[Placement]) -> list[str]:
    """What was asked for, as far as it is told."""
    return _memory(ask, placements[0]) + _tasks(ask, given, len(placements)) + _gpus(given, placements[0])


def _tasks(ask: Ask, given: Given, n_nodes: int) -> list[str]:
    """Task counts, those only that were asked for: clients take SLURM_NTASKS for a wish of the user."""
    env = []
    if given.n_tasks or given.tasks_per_node:
        n_tasks = ask.n_tasks if given.n_tasks else n_nodes * ask.tasks_per_node
        env += [f"SLURM_NPROCS={n_tasks}", f"SLURM_NTASKS={n_tasks}"]
    if given.tasks_per_node:
        env.append(f"SLURM_NTASKS_PER_NODE={ask.tasks_per_node}")
    if given.cpus_per_task:
        env.append(f"SLURM_CPUS_PER_TASK={whole_cpus(ask.cpu_milli_per_task)}")
    return env


def _gpus(given: Given, first: Placement) -> list[str]:
    env = []
    if given.gpus:
        env.append(f"SLURM_GPUS={given.gpus}")
    if given.gpus_per_node:
        env.append(f"SLURM_GPUS_PER_NODE={given.gpus_per_node}")
    if given.gpus_per_task:
        env.append(f"SLURM_GPUS_PER_TASK={given.gpus_per_task}")
    indices = gpu_indices(first)
    if indices:
        ordinals = ",".join(map(str, indices))
        env.append(f"SLURM_JOB_GPUS={ordinals}")
    return env + gpu_variables(first)


def gpu_variables(placement: Placement) -> list[str]:
    """Which GPUs a program sees there, and how much of each."""
    indices = gpu_indices(placement)
    if not indices:
        return []
    ordinals = ",".join(map(str, indices))
    env = [f"SLURM_GPUS_ON_NODE={len(indices)}", *(f"{name}={ordinals}" for name in GPU_VARIABLES)]
    return env + _shares(placement, indices) + _slices(placement)


def _chips(first: Placement, *, alone: bool) -> list[str]:
    """Which TPU chips are the job's; on one host also how they lie, which of several only the job knows."""
    chips = sorted({i for devices in first.devices if devices.kind == "tpu" for i in devices.indices})
    if not chips:
        return []
    env = [f"{name}={','.join(map(str, chips))}" for name in TPU_VARIABLES]
    if alone and len(chips) in TPU_GRIDS:
        env += [f"TPU_CHIPS_PER_PROCESS_BOUNDS={TPU_GRIDS[len(chips)]}", "TPU_PROCESS_BOUNDS=1,1,1"]
    return env


def gpu_indices(placement: Placement) -> list[int]:
    """The GPUs of which this placement holds all or a part, ascending, each once."""
    return sorted({i for devices in placement.devices if devices.kind == "gpu" for i in devices.indices})


def _shares(placement: Placement, indices: Sequence[int]) -> list[str]:
    """Of a job with shares, the share of each GPU it sees, in that order; and what MPS shall let it have.

    The percentage of MPS holds for all GPUs of a process alike, so it is the smallest of them.
    """
    milli = dict.fromkeys(indices, 0)
    for devices in placement.devices:
        for index in devices.indices if devices.kind == "gpu" else ():
            milli[index] += WHOLE if devices.part else devices.milli
    if all(share >= WHOLE for share in milli.values()):
        return []
    return [
        f"PACKHORSE_GPU_SHARE={','.join([share_text(share) for share in milli.values()])}",
        f"{MPS_VARIABLE}={max(1, min(milli.values()) // 10)}",
    ]


def _slices(placement: Placement) -> list[str]:
    """`3:1g.18gb#2`: GPU, slice and its number on the GPU, of each slice."""
    held = sorted(
        (devices.indices[0], devices.place[1], devices.part) for devices in placement.devices if devices.part
    )
    return [f"PACKHORSE_GPU_SLICE={','.join([f'{i}:{name}#{n}' for i, n, name in held])}"] if held else []


def array_variables(job: Job, array: ArraySpec) -> list[str]:
    """Which task of which array the job is."""
    step = array.ranges[0].step if len(array.ranges) == 1 else 1
    return [
        f"SLURM_ARRAY_JOB_ID={job.array_id}",
        f"SLURM_ARRAY_TASK_COUNT={sum(found.size for found in array.ranges)}",
        f"SLURM_ARRAY_TASK_ID={job.index}",
        f"SLURM_ARRAY_TASK_MAX={array_bounds(array.ranges)[1]}",
        f"SLURM_ARRAY_TASK_MIN={array_bounds(array.ranges)[0]}",
        f"SLURM_ARRAY_TASK_STEP={step}",
    ]


def array_bounds(ranges: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Lowest and highest index."""
    return min(start for start, _, _ in ranges), max(stop for _, stop, _ in ranges)

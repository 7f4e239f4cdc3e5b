"""Steps: what `srun` starts within a job's allocation.

A step is named by its job and a number that counts from 0 within one attempt of the job. On every node that
it runs on it is launched, watched and reported like an attempt of its own, under the key
`AttemptKey(job, number, epoch, step)`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName
from packhorse.scheduler.model.resources import Devices, Gres, Usage

SAME = -1
"""As much as the job has."""


class AllocationKind(StrEnum):
    """What a job consists of: a batch script, or an allocation that its submitter's command holds and fills
    with steps."""

    BATCH = ""
    SALLOC = "salloc"
    SRUN = "srun"


class Overlap(StrEnum):
    """Which of the job's resources a step may use while other steps run."""

    EXCLUSIVE = ""  # its own CPUs, GPUs and memory, or it waits: Slurm's default since 20.11
    OVERLAP = "overlap"  # whatever the job has, others or not
    EXACT = "exact"  # its own, and of its nodes no more than it asks for


class StepSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step as asked for. Amounts of 0 mean the default.

    argv: the command of every task, () where multi_prog says it: (ranks as in "0-2,5" or "*", argv) each.
    env_ref: blob with the environment, `NAME=VALUE` each, as `JobSpec.env_ref`. n_tasks 0: one per node, or
    as many as the job has tasks. cpu_milli_per_task 0: the job's. mem_mib_per_node SAME: what the job has
    there; 0 with mem_mib_per_cpu 0: the same. distribution: "block", "cyclic", "plane", "arbitrary" (the
    order of nodes_required, repeated); plane_size for "plane". relative: its first node is this one of the
    job's, -1: any. std_…: patterns of a file per task or node (`%t`, `%n`, `%N`) which the nodes open; "":
    the bytes go through the command that attaches. input_rank: the only task that gets its input, -1: all
    get a copy, -2: none gets any. pty: rank 0 has a terminal, of rows × columns. mpi: "none" or "pmi2"
    ("pmix" where the node can). bcast: the program is copied to the nodes first; "": it is not. het_group:
    component of a heterogeneous job. wait_s, kill_on_bad_exit: what its command does by itself, for show.
    """

    name: str
    argv: tuple[str, ...]
    env_ref: str
    work_dir: str
    n_tasks: int = 0
    min_nodes: int = 0
    max_nodes: int = 0
    tasks_per_node: int = 0
    cpu_milli_per_task: int = 0
    mem_mib_per_node: int = SAME
    mem_mib_per_cpu: int = 0
    gres_per_node: tuple[Gres, ...] = ()
    gres_per_task: tuple[Gres, ...] = ()
    gres_per_step: tuple[Gres, ...] = ()
    nodes_required: tuple[NodeName, ...] = ()
    nodes_excluded: tuple[NodeName, ...] = ()
    relative: int = -1
    distribution: str = "block"
    plane_size: int = 0
    overlap: Overlap = Overlap.EXCLUSIVE
    cpu_bind: str = ""
    gpu_bind: str = ""
    multi_prog: tuple[tuple[str, tuple[str, ...]], ...] = ()
    std_in: str = ""
    std_out: str = ""
    std_err: str = ""
    append: bool = False
    input_rank: int = -1
    pty: bool = False
    rows: int = 0
    columns: int = 0
    mpi: str = "none"
    umask: int = 0o022
    rlimits: tuple[tuple[str, int], ...] = ()
    time_limit_s: int = 0
    kill_on_bad_exit: bool = False
    wait_s: int = 0
    submit_line: str = ""
    submit_host: str = ""
    het_group: int = -1
    unbuffered: bool = False


class StepPart(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a step has and does on one node. ranks: its tasks there, ascending.

    started_at 0: its node has not said yet that it runs. over: it has ended there, with the fields below.
    """

    node: NodeName
    ranks: tuple[int, ...]
    cpu_milli: int
    mem_mib: int
    devices: tuple[Devices, ...] = ()
    started_at: Instant = UNKNOWN
    over: bool = False
    ended_at: Instant = UNKNOWN
    exit_code: int = 0
    exit_signal: int = 0
    cause: str = ""
    detail: str = ""
    usage: Usage = Usage()


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A step that runs. ending_at: since when it is told to end, 0: it is not; ending_by: by whom (uid, -1:
    the scheduler itself). end_by: the instant of its own time limit, 0 for none. suspended_us: for how long
    it has been suspended with its job, the present suspension not counted; end_by is later by that.
    """

    id: int
    spec: StepSpec
    created_at: Instant
    parts: tuple[StepPart, ...]
    end_by: Instant = UNKNOWN
    ending_at: Instant = UNKNOWN
    ending_by: int = -1
    suspended_us: int = 0

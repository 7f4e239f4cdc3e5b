"""`--oom-retry 2x`: how much memory the next run of a job gets that ran out of it, or why there is none.

The memory grows by the job's factor, as far as its partition's limit (MaxMemPerNode) and its largest node
allow: where the whole step does not fit, the job gets what does. Whether it really fits is decided by the
same rules as at submission.
"""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.packing.possible import possible
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.job import Active, Job, JobSpec
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.resources import WHOLE, Ask
from packhorse.scheduler.model.units import format_mem_mib

MEMORY = "Memory specification can not be satisfied"


def check_oom_retry(spec: JobSpec) -> Refused | None:
    """What is wrong with asking for it, of a spec whose memory is filled in."""
    if not spec.oom_factor_milli:
        if spec.oom_max_retries:
            return _invalid(
                "a number of runs with more memory was given without a factor; give --oom-retry 2x"
            )
        return None
    if spec.oom_factor_milli <= WHOLE or spec.oom_max_retries < 0:
        return _invalid(
            "--oom-retry: the factor is over 1 (2x, 1.5x), the number of further runs not negative"
        )
    if spec.ask.mem_all:
        return _invalid(
            "--oom-retry with --mem=0: the job has all memory of its nodes, there is no more; "
            "say how much it needs"
        )
    if not (spec.ask.mem_mib_per_node or spec.ask.mem_mib_per_cpu):
        return _invalid(
            "--oom-retry without an ask for memory: there is nothing to grow; give --mem or --mem-per-cpu"
        )
    if not spec.requeue:
        return _invalid("--oom-retry and --no-requeue exclude each other; give one of them")
    return None


def with_more_memory(state: State, job: Job, active: Active) -> Ask | str:
    """The ask of the next run, or a clause that says why there is none."""
    spec = job.spec
    limit = retries_allowed(spec, state.config.max_requeues)
    if job.oom_retries >= limit:
        which = "max" if limit == spec.oom_max_retries else "max_requeues"
        plural = "s" * (job.oom_retries != 1)
        return f"it has had {job.oom_retries} further run{plural} ({which} = {limit})"
    if not spec.requeue:
        return "it may not be requeued any more (Requeue=0)"
    if spec.ask.mem_all or not memory_of(spec.ask):
        return "it names no amount of memory any more"
    partition = next((p for p in state.config.partitions if p.name == spec.partition), None)
    if partition is None:
        return f'partition "{spec.partition}" does not exist any more'
    n_cpus = max(-(-placement.cpu_milli // WHOLE) for placement in active.placements)
    per = n_cpus if spec.ask.mem_mib_per_cpu else 1
    old = memory_of(spec.ask)
    wanted = max(old + 1, -(-old * spec.oom_factor_milli // WHOLE))
    if partition.max_mem_mib_per_node:
        wanted = min(wanted, partition.max_mem_mib_per_node // per)
        if wanted <= old:
            most = format_mem_mib(partition.max_mem_mib_per_node)
            return f'partition "{partition.name}" gives at most {most} on a node (MaxMemPerNode)'
    refused: Refused | None = None
    for mib in _steps(state, partition, per, old, wanted):
        ask = with_memory(spec.ask, mib)
        found = possible(ask, partition, state.node_columns)
        if found is None:
            return ask
        refused = refused or found
    if refused is None:
        return f'no node of partition "{partition.name}" has more than {format_mem_mib(old * per)}'
    return refused.message


def retries_allowed(spec: JobSpec, max_requeues: int) -> int:
    """How many further runs a job gets at most."""
    return min(spec.oom_max_retries or max_requeues, max_requeues)


def memory_of(ask: Ask) -> int:
    """MiB that the ask names, per node or per CPU."""
    return ask.mem_mib_per_node or ask.mem_mib_per_cpu


def with_memory(ask: Ask, mib: int) -> Ask:
    """The same ask with this much memory, per node or per CPU as before."""
    if ask.mem_mib_per_cpu:
        return replace(ask, mem_mib_per_cpu=mib)
    return replace(ask, mem_mib_per_node=mib)


def memory_text(ask: Ask) -> str:
    """`2G on each node`, `500M for each CPU`."""
    which = "for each CPU" if ask.mem_mib_per_cpu else "on each node"
    return f"{format_mem_mib(memory_of(ask))} {which}"


def _steps(state: State, partition: Partition, per: int, old: int, wanted: int) -> list[int]:
    """What may be tried, the most first: the whole step, else all that the nodes of some size have."""
    everywhere = "ALL" in partition.nodes
    of_nodes = {
        node.spec.mem_mib // per
        for name, node in state.nodes.items()
        if everywhere or name in partition.nodes
    }
    most = max(of_nodes, default=0)
    steps = {mib for mib in of_nodes if old < mib < wanted}
    if wanted <= most:
        steps.add(wanted)
    return sorted(steps, reverse=True)


def _invalid(message: str) -> Refused:
    return Refused(RefusalCode.INVALID, message, MEMORY)

"""The part of a step that runs on one node, for its agent."""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.core.steps.book import step_key
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.hostlist import compress
from packhorse.scheduler.model.job import Active, ArraySpec, Job
from packhorse.scheduler.model.outputpath import expand_pattern
from packhorse.scheduler.model.step import Step, StepPart
from packhorse.scheduler.service.convert_agents import device_grant, wire_key
from packhorse.scheduler.service.payloads import unpack_environment
from packhorse.scheduler.service.step_environment import distribution, step_environment, task_environment
from packhorse.v1 import agent_pb2 as pb

ATTACH_S: Final = 60
"""A step to which nobody attached for so long is ended."""

GPU: Final = "gpu"


def launch_step(
    job: Job,
    active: Active,
    step: Step,
    part: StepPart,
    *,
    array: ArraySpec | None,
    environment: bytes,
    config: ClusterConfig,
    node_has_gpus: bool,
) -> pb.SchedulerMessage:
    """Everything that the node needs to start its tasks of the step."""
    spec = step.spec

    lent_mib = next(p.lent_mib for p in active.placements if p.node == part.node)

    return pb.SchedulerMessage(
        launch=pb.Launch(
            attempt=wire_key(step_key(active.attempt, step)),
            uid=job.owner.uid,
            gid=job.owner.gid,
            user=job.owner.user,
            environment=task_environment(unpack_environment(environment), job, node_has_gpus),
            slurm_environment=step_environment(job, active, step, part, array, config.name),
            work_dir=spec.work_dir,
            umask=spec.umask,
            rlimits=[pb.RLimit(name=name, value=value) for name, value in spec.rlimits],
            cpu_milli=part.cpu_milli,
            mem_mib=part.mem_mib,
            lent_mib=min(lent_mib, part.mem_mib),
            devices=[device_grant(devices) for devices in part.devices],
            time_limit_s=spec.time_limit_s,
            kill_wait_s=config.kill_wait_s,
            lease_s=job.spec.lease_s,
            job_name=job.spec.name,
            allow_root=config.allow_root_jobs,
            step=_step(job, active, step, part),
        )
    )


def _step(job: Job, active: Active, step: Step, part: StepPart) -> pb.StepLaunch:
    spec = step.spec
    nodes = [each.node for each in step.parts]
    job_nodes = [p.node for p in active.placements]
    asked = spec.cpu_milli_per_task
    return pb.StepLaunch(
        argv=spec.argv,
        programs=[pb.StepProgram(ranks=ranks, argv=argv) for ranks, argv in spec.multi_prog],
        ranks=part.ranks,
        node_index=nodes.index(part.node),
        n_nodes=len(nodes),
        n_tasks=sum(len(each.ranks) for each in step.parts),
        tasks_on_nodes=[len(each.ranks) for each in step.parts],
        nodes=compress(nodes),
        cpu_milli_per_task=asked or max(part.cpu_milli // len(part.ranks), 1),
        cpu_bind=spec.cpu_bind,
        gpu_bind=spec.gpu_bind,
        gpus_per_task=sum(gres.n for gres in spec.gres_per_task if gres.kind == GPU),
        std_in=_path(job, step, spec.std_in),
        std_out=_path(job, step, spec.std_out),
        std_err=_path(job, step, spec.std_err),
        append=spec.append,
        input_rank=spec.input_rank,
        pty=spec.pty,
        rows=spec.rows,
        columns=spec.columns,
        mpi=spec.mpi,
        name=spec.name,
        unbuffered=spec.unbuffered,
        distribution=distribution(step),
        plane_size=spec.plane_size,
        job_nodes=compress(job_nodes),
        job_node_index=job_nodes.index(part.node),
        het_group=max(spec.het_group, 0),
        attach_s=ATTACH_S,
    )


def _path(job: Job, step: Step, pattern: str) -> str:
    """The pattern with what is the same everywhere filled in, absolute; "" stays."""
    if not pattern:
        return ""
    expanded = expand_pattern(
        pattern,
        job_id=job.id,
        array_job_id=job.array_id,
        array_index=job.index,
        job_name=step.spec.name,
        user=job.owner.user,
        step=str(step.id),
        per_task=True,
    )
    return expanded if expanded.startswith("/") else f"{step.spec.work_dir.rstrip('/')}/{expanded}"

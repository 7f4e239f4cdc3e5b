"""The environment of steps, against what Slurm 22.05.8 gave its tasks (values copied here).

Left out is what a node adds (SLURM_PROCID ...), and what is only Slurm's: ports, its configuration file.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, ArraySpec, Given, IndexRange, Job, JobSpec, Owner
from packhorse.scheduler.model.resources import Ask, Devices, Gres, Placement
from packhorse.scheduler.model.step import AllocationKind, Step, StepPart, StepSpec
from packhorse.scheduler.service.convert_step_launch import launch_step
from packhorse.scheduler.service.payloads import pack_environment
from packhorse.scheduler.service.step_environment import (
    allocation_environment,
    step_environment,
    task_environment,
)

TWO_NODES = {
    "SLURMD_NODENAME": "node1",
    "SLURM_CLUSTER_NAME": "demo",
    "SLURM_DISTRIBUTION": "block",
    "SLURM_JOBID": "40",
    "SLURM_JOB_ACCOUNT": "lab",
    "SLURM_JOB_CPUS_PER_NODE": "2(x2)",
    "SLURM_JOB_CPUS_PER_NODE_PACK_GROUP_0": "2(x2)",
    "SLURM_JOB_GID": "0",
    "SLURM_JOB_ID": "40",
    "SLURM_JOB_NAME": "envstep",
    "SLURM_JOB_NODELIST": "node[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_JOB_PARTITION": "normal",
    "SLURM_JOB_QOS": "normal",
    "SLURM_JOB_UID": "0",
    "SLURM_JOB_USER": "root",
    "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
    "SLURM_MEM_PER_CPU": "500",
    "SLURM_NNODES": "2",
    "SLURM_NODELIST": "node[1-2]",
    "SLURM_NODE_ALIASES": "(null)",
    "SLURM_NPROCS": "4",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_PRIO_PROCESS": "0",
    "SLURM_SRUN_COMM_HOST": "127.0.0.1",
    "SLURM_STEPID": "0",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURM_SUBMIT_DIR": "/srv/demo",
    "SLURM_SUBMIT_HOST": "vm",
    "SLURM_TASKS_PER_NODE": "2(x2)",
    "SLURM_TOPOLOGY_ADDR": "node1",
    "SLURM_TOPOLOGY_ADDR_PATTERN": "node",
    "SLURM_UMASK": "0022",
    "SRUN_DEBUG": "3",
}
"""`srun` in `sbatch -N 2 -n 4 --ntasks-per-node=2`, its task 0."""

OUTSIDE = {
    "SLURMD_NODENAME": "node1",
    "SLURM_CLUSTER_NAME": "demo",
    "SLURM_JOBID": "43",
    "SLURM_JOB_ACCOUNT": "lab",
    "SLURM_JOB_CPUS_PER_NODE": "1",
    "SLURM_JOB_GID": "0",
    "SLURM_JOB_ID": "43",
    "SLURM_JOB_NAME": "sh",
    "SLURM_JOB_NODELIST": "node1",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_JOB_PARTITION": "normal",
    "SLURM_JOB_QOS": "normal",
    "SLURM_JOB_UID": "0",
    "SLURM_JOB_USER": "root",
    "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
    "SLURM_NNODES": "1",
    "SLURM_NODELIST": "node1",
    "SLURM_NPROCS": "1",
    "SLURM_NTASKS": "1",
    "SLURM_PRIO_PROCESS": "0",
    "SLURM_SRUN_COMM_HOST": "127.0.0.1",
    "SLURM_STEPID": "0",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node1",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NUM_TASKS": "1",
    "SLURM_STEP_TASKS_PER_NODE": "1",
    "SLURM_SUBMIT_DIR": "/srv/demo",
    "SLURM_SUBMIT_HOST": "vm",
    "SLURM_TASKS_PER_NODE": "1",
    "SLURM_TOPOLOGY_ADDR": "node1",
    "SLURM_TOPOLOGY_ADDR_PATTERN": "node",
    "SLURM_UMASK": "0022",
    "SRUN_DEBUG": "3",
}
"""`srun -n 1 -t 5` outside of a job."""

N1, N2 = NodeName("node1"), NodeName("node2")
NOTHING_GIVEN = Given()
ROOT = Owner(0, 0, "root", "root")


def variables(env: list[str]) -> dict[str, str]:
    """By name, each once."""
    pairs = [one.split("=", 1) for one in env]
    assert len({name for name, _ in pairs}) == len(pairs), "a name twice"
    return dict(pairs)


def a_job(
    id: int, name: str, ask: Ask, *placements: Placement, given: Given = NOTHING_GIVEN, **fields: object
) -> tuple[Job, Active]:
    spec = JobSpec(
        name=name,
        ask=ask,
        partition="normal",
        script_ref="",
        env_ref="",
        work_dir="/srv/demo",
        account="lab",
        submit_host="vm",
        given=given,
        **fields,  # type: ignore[arg-type]
    )
    active = Active(AttemptKey(JobId(id), 1, 1), placements, Instant(1))
    return Job(JobId(id), spec, ROOT, Instant(1), active), active


def a_step(*parts: StepPart, **fields: object) -> Step:
    spec = StepSpec("sh", ("sh",), "", "/srv/demo", **fields)  # type: ignore[arg-type]
    return Step(0, spec, Instant(1), parts)


def wide() -> tuple[Job, Active, Step]:
    ask = Ask(n_tasks=4, min_nodes=2, tasks_per_node=2, mem_mib_per_cpu=500)
    given = Given(n_tasks=True, tasks_per_node=True)
    job, active = a_job(
        40, "envstep", ask, Placement(N1, 2000, 1000, 2), Placement(N2, 2000, 1000, 2), given=given
    )
    step = a_step(
        StepPart(N1, (0, 1), 2000, 1000), StepPart(N2, (2, 3), 2000, 1000), distribution="", tasks_per_node=2
    )
    return job, active, step


@pytest.mark.parametrize("node", [N1, N2])
def test_a_step_on_two_nodes(node: NodeName) -> None:
    job, active, step = wide()
    part = next(part for part in step.parts if part.node == node)
    inherited = ["SLURM_MEM_PER_CPU=500", "SLURM_JOB_ID=40", "HOME=/root"]
    kept = task_environment(inherited, job, gpus_managed=False)
    env = {**variables(kept), **variables(step_environment(job, active, step, part, None, "demo"))}
    expected = TWO_NODES | {"SLURMD_NODENAME": node, "SLURM_TOPOLOGY_ADDR": node, "HOME": "/root"}
    assert env == expected


def test_a_step_outside_of_a_job() -> None:
    job, active = a_job(
        43,
        "sh",
        Ask(),
        Placement(N1, 1000, 500, 1),
        given=Given(n_tasks=True),
        allocation=AllocationKind.SRUN,
    )
    part = StepPart(N1, (0,), 1000, 500)
    env = variables(step_environment(job, active, a_step(part, distribution=""), part, None, "demo"))
    assert env == OUTSIDE


def test_what_described_another_job_is_dropped() -> None:
    job, *_ = wide()
    other = ["SLURM_JOB_ID=7", "SLURM_NTASKS=9", "SLURM_CONF=/etc/slurm.conf", "HOME=/root"]
    assert task_environment(other, job, gpus_managed=False) == ["SLURM_CONF=/etc/slurm.conf", "HOME=/root"]


def test_what_was_asked_for_is_told() -> None:
    job, active, step = wide()
    spec = replace(
        step.spec,
        cpu_milli_per_task=2000,
        distribution="plane",
        plane_size=2,
        cpu_bind="verbose,map_cpu:0,1",
        umask=0o077,
    )
    part = replace(step.parts[0], devices=(Devices("gpu", "h200", (1, 2)),))
    env = variables(step_environment(job, active, replace(step, spec=spec), part, None, "demo"))
    expected = {
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_DISTRIBUTION": "plane",
        "SLURM_DIST_PLANESIZE": "2",
        "SLURM_CPU_BIND": "verbose,map_cpu:0,1",
        "SLURM_CPU_BIND_TYPE": "map_cpu:",
        "SLURM_CPU_BIND_LIST": "0,1",
        "SLURM_CPU_BIND_VERBOSE": "verbose",
        "SLURM_UMASK": "0077",
        "SLURM_STEP_GPUS": "1,2",
        "SLURM_GPUS_ON_NODE": "2",
        "CUDA_VISIBLE_DEVICES": "1,2",
    }
    assert expected.items() <= env.items()


def test_a_step_of_an_array_task() -> None:
    job, active, step = wide()
    array = ArraySpec((IndexRange(3, 5, 2),), 1)
    env = variables(
        step_environment(
            replace(job, array_id=JobId(41), index=3), active, step, step.parts[0], array, "demo"
        )
    )
    assert (env["SLURM_ARRAY_JOB_ID"], env["SLURM_ARRAY_TASK_ID"]) == ("41", "3")


def test_the_environment_of_an_allocation() -> None:
    """salloc(1), OUTPUT ENVIRONMENT VARIABLES."""
    ask = Ask(n_tasks=2, cpu_milli_per_task=2000, mem_mib_per_node=800)
    given = Given(n_tasks=True, cpus_per_task=True)
    job, active = a_job(56, "interactive", ask, Placement(N1, 4000, 800, 2), given=given)
    assert variables(allocation_environment(job, active, "demo")) == {
        "SLURM_CLUSTER_NAME": "demo",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_JOBID": "56",
        "SLURM_JOB_ACCOUNT": "lab",
        "SLURM_JOB_CPUS_PER_NODE": "4",
        "SLURM_JOB_GID": "0",
        "SLURM_JOB_ID": "56",
        "SLURM_JOB_NAME": "interactive",
        "SLURM_JOB_NODELIST": "node1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_JOB_PARTITION": "normal",
        "SLURM_JOB_QOS": "normal",
        "SLURM_JOB_UID": "0",
        "SLURM_JOB_USER": "root",
        "SLURM_MEM_PER_NODE": "800",
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": "node1",
        "SLURM_NODE_ALIASES": "(null)",
        "SLURM_NPROCS": "2",
        "SLURM_NTASKS": "2",
        "SLURM_SUBMIT_DIR": "/srv/demo",
        "SLURM_SUBMIT_HOST": "vm",
        "SLURM_TASKS_PER_NODE": "2",
    }


def test_what_a_launch_says() -> None:
    job, active, step = wide()
    spec = replace(
        step.spec,
        multi_prog=(("0", ("./lead",)), ("*", ("./work", "%t"))),
        gres_per_task=(Gres("gpu", "", 1),),
        std_out="out.%j.%s.%t",
        std_err="/logs/%N",
        time_limit_s=60,
        input_rank=0,
        het_group=-1,
    )
    step = replace(step, spec=spec, id=3)
    part = replace(step.parts[1], devices=(Devices("gpu", "", (0, 1)),))
    message = launch_step(
        job,
        active,
        step,
        part,
        array=None,
        environment=pack_environment(["A=b"]),
        config=ClusterConfig(name="demo"),
        node_has_gpus=True,
    )
    launch = message.launch
    assert (launch.attempt.step, launch.attempt.job_id, launch.attempt.number) == (3, 40, 1)
    assert (launch.script, list(launch.environment)) == (b"", ["A=b"])
    assert (launch.cpu_milli, launch.mem_mib, launch.time_limit_s) == (2000, 1000, 60)
    assert "SLURM_STEP_ID=3" in launch.slurm_environment
    said = launch.step
    assert [(p.ranks, list(p.argv)) for p in said.programs] == [("0", ["./lead"]), ("*", ["./work", "%t"])]
    assert (list(said.ranks), said.node_index, said.n_nodes, said.n_tasks) == ([2, 3], 1, 2, 4)
    assert (list(said.tasks_on_nodes), said.nodes, said.job_nodes, said.job_node_index) == (
        [2, 2],
        "node[1-2]",
        "node[1-2]",
        1,
    )
    assert (said.std_in, said.std_out, said.std_err) == ("", "/srv/demo/out.40.3.%t", "/logs/%N")
    assert (said.gpus_per_task, said.cpu_milli_per_task, said.input_rank, said.attach_s) == (1, 1000, 0, 60)

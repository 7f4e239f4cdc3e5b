"""The environment of batch scripts, against what Slurm 22.05.8 gave the same scripts (values copied here)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, ArraySpec, Given, IndexRange, Job, JobSpec, Owner
from packhorse.scheduler.model.resources import Ask, Devices, Placement
from packhorse.scheduler.service.batch_environment import (
    batch_environment,
    runs,
    submitted_environment,
    whole_cpus,
)

NOTHING_GIVEN = Given()
ROOT = Owner(0, 0, "root", "root")

EVERY_JOB = {
    "ENVIRONMENT": "BATCH",
    "SLURM_CLUSTER_NAME": "demo",
    "SLURM_GTIDS": "0",
    "SLURM_JOB_ACCOUNT": "lab",
    "SLURM_JOB_GID": "0",
    "SLURM_JOB_PARTITION": "normal",
    "SLURM_JOB_QOS": "normal",
    "SLURM_JOB_UID": "0",
    "SLURM_JOB_USER": "root",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_NODE_ALIASES": "(null)",
    "SLURM_PRIO_PROCESS": "0",
    "SLURM_PROCID": "0",
    "SLURM_SUBMIT_DIR": "/srv/demo",
    "SLURM_SUBMIT_HOST": "vm",
    "SLURM_TOPOLOGY_ADDR_PATTERN": "node",
}


def a_job(
    id: int, name: str, ask: Ask, *placements: Placement, given: Given = NOTHING_GIVEN, **job: object
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
    )
    active = Active(AttemptKey(JobId(id), 1, 1), placements, Instant(1))
    return Job(JobId(id), spec, ROOT, Instant(1), active, **job), active  # type: ignore[arg-type]


def on(node: str, cpus: int, tasks: int = 1, **more: object) -> Placement:
    return Placement(NodeName(node), cpus * 1000, 500 * cpus, tasks, **more)  # type: ignore[arg-type]


def environment(job: Job, active: Active, array: ArraySpec | None = None) -> dict[str, str]:
    made = batch_environment(job, active, array, "demo")
    pairs = dict(variable.split("=", 1) for variable in made)
    assert len(pairs) == len(made), "no name twice"
    return pairs


def test_no_options() -> None:
    assert environment(*a_job(31, "envbatch", Ask(mem_mib_per_cpu=500), on("node2", 1))) == EVERY_JOB | {
        "HOSTNAME": "node2",
        "SLURMD_NODENAME": "node2",
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_JOBID": "31",
        "SLURM_JOB_CPUS_PER_NODE": "1",
        "SLURM_JOB_ID": "31",
        "SLURM_JOB_NAME": "envbatch",
        "SLURM_JOB_NODELIST": "node2",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_MEM_PER_CPU": "500",
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": "node2",
        "SLURM_TASKS_PER_NODE": "1",
        "SLURM_TOPOLOGY_ADDR": "node2",
    }


def test_three_tasks_of_two_cpus_on_two_nodes() -> None:
    job = a_job(
        39,
        "envbatch2",
        Ask(n_tasks=3, cpu_milli_per_task=2000, mem_mib_per_node=200),
        on("node1", 2, 1),
        on("node2", 4, 2),
        given=Given(n_tasks=True, cpus_per_task=True),
    )
    assert environment(*job) == EVERY_JOB | {
        "HOSTNAME": "node1",
        "SLURMD_NODENAME": "node1",
        "SLURM_CPUS_ON_NODE": "2",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_JOBID": "39",
        "SLURM_JOB_CPUS_PER_NODE": "2,4",
        "SLURM_JOB_ID": "39",
        "SLURM_JOB_NAME": "envbatch2",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_MEM_PER_NODE": "200",
        "SLURM_NNODES": "2",
        "SLURM_NODELIST": "node[1-2]",
        "SLURM_NPROCS": "3",
        "SLURM_NTASKS": "3",
        "SLURM_TASKS_PER_NODE": "1,2",
        "SLURM_TOPOLOGY_ADDR": "node1",
    }


def test_two_nodes_with_two_tasks_each() -> None:
    job = a_job(
        40,
        "envstep",
        Ask(n_tasks=4, min_nodes=2, max_nodes=2, tasks_per_node=2, mem_mib_per_cpu=500),
        on("node1", 2, 2),
        on("node2", 2, 2),
        given=Given(n_tasks=True, tasks_per_node=True),
    )
    assert environment(*job) == EVERY_JOB | {
        "HOSTNAME": "node1",
        "SLURMD_NODENAME": "node1",
        "SLURM_CPUS_ON_NODE": "2",
        "SLURM_JOBID": "40",
        "SLURM_JOB_CPUS_PER_NODE": "2(x2)",
        "SLURM_JOB_ID": "40",
        "SLURM_JOB_NAME": "envstep",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_MEM_PER_CPU": "500",
        "SLURM_NNODES": "2",
        "SLURM_NODELIST": "node[1-2]",
        "SLURM_NPROCS": "4",
        "SLURM_NTASKS": "4",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_TASKS_PER_NODE": "2(x2)",
        "SLURM_TOPOLOGY_ADDR": "node1",
    }


@pytest.mark.parametrize(("id", "index"), [(42, 3), (41, 5)])
def test_array_task(id: int, index: int) -> None:
    array = ArraySpec((IndexRange(3, 3, 1), IndexRange(5, 5, 1)), limit=1)
    job, active = a_job(
        id, "envarr", Ask(mem_mib_per_cpu=500), on("node1", 1), array_id=JobId(41), index=index
    )
    assert environment(job, active, array) == EVERY_JOB | {
        "HOSTNAME": "node1",
        "SLURMD_NODENAME": "node1",
        "SLURM_ARRAY_JOB_ID": "41",
        "SLURM_ARRAY_TASK_COUNT": "2",
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_ARRAY_TASK_MAX": "5",
        "SLURM_ARRAY_TASK_MIN": "3",
        "SLURM_ARRAY_TASK_STEP": "1",
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_JOBID": str(id),
        "SLURM_JOB_CPUS_PER_NODE": "1",
        "SLURM_JOB_ID": str(id),
        "SLURM_JOB_NAME": "envarr",
        "SLURM_JOB_NODELIST": "node1",
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_MEM_PER_CPU": "500",
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": "node1",
        "SLURM_TASKS_PER_NODE": "1",
        "SLURM_TOPOLOGY_ADDR": "node1",
    }


def test_step_of_an_array_with_one_range() -> None:
    job, active = a_job(9, "a", Ask(), on("node1", 1), array_id=JobId(8), index=4)
    env = environment(job, active, ArraySpec((IndexRange(0, 12, 4),)))
    assert {k: v for k, v in env.items() if "ARRAY" in k} == {
        "SLURM_ARRAY_JOB_ID": "8",
        "SLURM_ARRAY_TASK_COUNT": "4",
        "SLURM_ARRAY_TASK_ID": "4",
        "SLURM_ARRAY_TASK_MAX": "12",
        "SLURM_ARRAY_TASK_MIN": "0",
        "SLURM_ARRAY_TASK_STEP": "4",
    }


def test_submitted_from_elsewhere() -> None:
    job, active = a_job(1, "j", Ask(), on("n1", 1))
    job = replace(job, spec=replace(job.spec, submit_dir="/home/ann"))
    assert environment(job, active)["SLURM_SUBMIT_DIR"] == "/home/ann"


def test_export_none() -> None:
    env = environment(*a_job(44, "wrap", Ask(), on("node1", 1), given=Given(export="NONE")))
    assert (env["SLURM_EXPORT_ENV"], env["SLURM_GET_USER_ENV"]) == ("NONE", "1")
    env = environment(*a_job(44, "wrap", Ask(), on("node1", 1), given=Given(export="ALL")))
    assert env["SLURM_EXPORT_ENV"] == "ALL"
    assert "SLURM_GET_USER_ENV" not in env


def test_task_counts_appear_only_when_asked_for() -> None:
    asks = [Ask(), Ask(min_nodes=2), Ask(cpu_milli_per_task=3000)]
    for ask, given in zip(asks, [Given(), Given(), Given(cpus_per_task=True)], strict=True):
        env = environment(*a_job(1, "j", ask, on("n1", 3), on("n2", 3), given=given))
        assert not {"SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE"} & env.keys()
    env = environment(
        *a_job(1, "j", Ask(tasks_per_node=3), on("n1", 3), on("n2", 3), given=Given(tasks_per_node=True))
    )
    assert env["SLURM_NTASKS"] == env["SLURM_NPROCS"] == "6"


def test_restart_count_appears_after_a_requeue() -> None:
    assert "SLURM_RESTART_COUNT" not in environment(*a_job(1, "j", Ask(), on("n1", 1)))
    assert environment(*a_job(1, "j", Ask(), on("n1", 1), restarts=2))["SLURM_RESTART_COUNT"] == "2"


def test_gpus_of_the_first_node() -> None:
    held = (Devices("gpu", "h200", (1, 3)), Devices("tpu", "v4", (0,)))
    job = a_job(
        1,
        "j",
        Ask(),
        on("n1", 1, devices=held),
        on("n2", 1, devices=(Devices("gpu", "h200", (0,)),)),
        given=Given(gpus="3"),
    )
    env = environment(*job)
    assert {name: value for name, value in env.items() if "GPU" in name or "CUDA" in name} == {
        "CUDA_VISIBLE_DEVICES": "1,3",
        "GPU_DEVICE_ORDINAL": "1,3",
        "SLURM_GPUS": "3",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_JOB_GPUS": "1,3",
    }
    assert env["TPU_VISIBLE_CHIPS"] == env["TPU_VISIBLE_DEVICES"] == "0"
    assert "TPU_CHIPS_PER_PROCESS_BOUNDS" not in env  # two nodes: how their chips lie only the job knows


@pytest.mark.parametrize(("chips", "grid"), [((3,), "1,1,1"), ((0, 1), "1,2,1"), ((0, 1, 2, 3), "2,2,1")])
def test_chips_of_one_host_say_how_they_lie(chips: tuple[int, ...], grid: str) -> None:
    env = environment(*a_job(1, "j", Ask(), on("n1", 1, devices=(Devices("tpu", "v4", chips),))))
    assert env["TPU_VISIBLE_CHIPS"] == ",".join(map(str, chips))
    assert (env["TPU_CHIPS_PER_PROCESS_BOUNDS"], env["TPU_PROCESS_BOUNDS"]) == (grid, "1,1,1")


def gpu_variables(*held: Devices, given: Given = Given()) -> dict[str, str]:  # noqa: B008 - a frozen value
    env = environment(*a_job(1, "j", Ask(), on("n1", 1, devices=held), given=given))
    return {name: value for name, value in env.items() if "GPU" in name or "CUDA" in name}


def test_a_share_of_a_gpu() -> None:
    assert gpu_variables(Devices("gpu", "h200", (3,), 250), given=Given(gpus="0.25")) == {
        "CUDA_VISIBLE_DEVICES": "3",
        "GPU_DEVICE_ORDINAL": "3",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "PACKHORSE_GPU_SHARE": "0.25",
        "SLURM_GPUS": "0.25",
        "SLURM_GPUS_ON_NODE": "1",
        "SLURM_JOB_GPUS": "3",
    }


def test_shares_of_several_tasks_add_up_by_gpu() -> None:
    quarter = [Devices("gpu", "h200", (index,), 250) for index in (5, 2, 5)]
    env = gpu_variables(*quarter)
    assert (env["CUDA_VISIBLE_DEVICES"], env["PACKHORSE_GPU_SHARE"]) == ("2,5", "0.25,0.5")
    assert (env["SLURM_GPUS_ON_NODE"], env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"]) == ("2", "25")
    whole = [Devices("gpu", "h200", (5,), 500), Devices("gpu", "h200", (5,), 500)]
    assert not {"PACKHORSE_GPU_SHARE", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"} & gpu_variables(*whole).keys()
    assert gpu_variables(Devices("gpu", "", (0,), 1))["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "1"


def test_slices_of_gpus() -> None:
    env = gpu_variables(
        Devices("gpu", "h200", (3,), part="1g.18gb", place=(0, 2)),
        Devices("gpu", "h200", (3,), part="1g.18gb", place=(0, 0)),
    )
    assert (env["PACKHORSE_GPU_SLICE"], env["CUDA_VISIBLE_DEVICES"]) == ("3:1g.18gb#0,3:1g.18gb#2", "3")
    assert "PACKHORSE_GPU_SHARE" not in env


def test_a_job_submitted_from_a_share_does_not_inherit_it() -> None:
    inside = ["PACKHORSE_GPU_SHARE=0.25", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25", "A=1"]
    assert submitted_environment(inside, gpus_managed=False) == ["A=1"]
    assert submitted_environment(inside[1:], gpus_managed=False) == inside[1:]
    assert submitted_environment(["PACKHORSE_HOME=/h", "PACKHORSE_GPU_SLICE=x"], False) == [
        "PACKHORSE_HOME=/h"
    ]
    assert not [
        name for name in environment(*a_job(1, "j", Ask(), on("n1", 1))) if "GPU" in name or "CUDA" in name
    ]


def test_all_memory_of_a_node() -> None:
    env = environment(*a_job(1, "j", Ask(mem_all=True), on("n1", 4)))
    assert env["SLURM_MEM_PER_NODE"] == "2000"


@pytest.mark.parametrize(
    ("counts", "text"), [([2, 2, 2, 1], "2(x3),1"), ([1], "1"), ([1, 2, 1], "1,2,1"), ([4, 4], "4(x2)")]
)
def test_runs(counts: list[int], text: str) -> None:
    assert runs(counts) == text


@pytest.mark.parametrize(("milli", "cpus"), [(250, 1), (1000, 1), (1001, 2), (4000, 4)])
def test_whole_cpus(milli: int, cpus: int) -> None:
    assert whole_cpus(milli) == cpus


def test_what_described_another_job_is_left_out() -> None:
    submitted = [
        "PATH=/bin",
        "SLURM_JOB_ID=7",
        "SLURM_NTASKS=64",
        "SLURMD_NODENAME=n9",
        "SLURM_TIME_FORMAT=%s",
        "SLURM_CONF=/etc/slurm.conf",
        "SLURMX=1",
        "CUDA_VISIBLE_DEVICES=5",
    ]
    kept = ["PATH=/bin", "SLURM_TIME_FORMAT=%s", "SLURM_CONF=/etc/slurm.conf", "SLURMX=1"]
    assert submitted_environment(submitted, gpus_managed=True) == kept
    assert submitted_environment(submitted, gpus_managed=False) == [*kept, "CUDA_VISIBLE_DEVICES=5"]

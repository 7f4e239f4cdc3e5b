"""What a batch script finds in its environment, and what must not be in there."""

from __future__ import annotations

import os
import platform
import pwd

import pytest

from tests.cluster import Cluster, wait_until

STALE = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOBID": "4711",
    "SLURM_NTASKS": "77",
    "SLURM_NPROCS": "77",
    "SLURM_CPUS_PER_TASK": "7",
    "SLURM_ARRAY_TASK_ID": "7",
    "SLURM_ARRAY_JOB_ID": "4700",
    "SLURM_RESTART_COUNT": "3",
    "SLURM_STEP_ID": "0",
    "SLURM_MEM_PER_NODE": "77",
    "SLURM_GTIDS": "5",
    "SLURM_PROCID": "5",
}
"""What a job would hand on to a job submitted from inside it, were it not kept from doing so."""

DUMP = "env -0 > environment.$SLURM_JOB_ID"


def environment(cluster: Cluster, job: int) -> dict[str, str]:
    """What the job `DUMP`ed."""
    text = (cluster.work / f"environment.{job}").read_text()
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def run(
    cluster: Cluster, *options: str, variables: dict[str, str] | None = None
) -> tuple[int, dict[str, str]]:
    job = cluster.sbatch(*options, "--wrap", DUMP, variables=variables)
    assert cluster.wait(job).state == "COMPLETED"
    return job, environment(cluster, job)


def test_what_every_batch_script_is_told(cluster: Cluster) -> None:
    job, env = run(cluster, "-J", "told", variables=STALE)
    row = cluster.job(job)
    user = pwd.getpwuid(os.getuid())
    expected = {
        "SLURM_JOB_ID": str(job),
        "SLURM_JOBID": str(job),
        "SLURM_JOB_NAME": "told",
        "SLURM_JOB_PARTITION": "main",
        "SLURM_JOB_USER": user.pw_name,
        "SLURM_JOB_UID": str(os.getuid()),
        "SLURM_JOB_NUM_NODES": "1",
        "SLURM_NNODES": "1",
        "SLURM_JOB_NODELIST": row["nodes"],
        "SLURM_NODELIST": row["nodes"],
        "SLURMD_NODENAME": row["nodes"],
        "SLURM_TOPOLOGY_ADDR": row["nodes"],
        "SLURM_PROCID": "0",
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": "0",
        "SLURM_GTIDS": "0",
        "SLURM_CPUS_ON_NODE": "1",
        "SLURM_JOB_CPUS_PER_NODE": "1",
        "SLURM_TASKS_PER_NODE": "1",
        "SLURM_SUBMIT_DIR": str(cluster.work),
        "SLURM_SUBMIT_HOST": platform.node(),
        "SLURM_CLUSTER_NAME": "packhorse",
        "ENVIRONMENT": "BATCH",
        "USER": user.pw_name,
        "PWD": str(cluster.work),
    }
    assert {name: env.get(name) for name in expected} == expected
    absent = [
        "SLURM_NTASKS",
        "SLURM_NPROCS",
        "SLURM_NTASKS_PER_NODE",
        "SLURM_CPUS_PER_TASK",
        "SLURM_ARRAY_JOB_ID",
        "SLURM_ARRAY_TASK_ID",
        "SLURM_RESTART_COUNT",
        "SLURM_STEP_ID",
        "SLURM_STEPID",
        "SLURM_STEP_NODELIST",
        "SLURM_MEM_PER_NODE",
        "SLURM_MEM_PER_CPU",
        "CUDA_VISIBLE_DEVICES",
        "SLURM_JOB_GPUS",
    ]
    assert [name for name in absent if name in env] == []


@pytest.mark.parametrize(
    ("options", "expected", "absent"),
    [
        (
            ["-n", "3"],
            {"SLURM_NTASKS": "3", "SLURM_NPROCS": "3", "SLURM_TASKS_PER_NODE": "3"},
            ["SLURM_CPUS_PER_TASK"],
        ),
        (["-c", "3"], {"SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "3"}, ["SLURM_NTASKS"]),
        (
            ["-N", "2"],
            {"SLURM_NNODES": "2", "SLURM_TASKS_PER_NODE": "1(x2)"},
            ["SLURM_NTASKS", "SLURM_NPROCS"],
        ),
        (
            ["-N", "2", "--ntasks-per-node=2"],
            {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "2", "SLURM_TASKS_PER_NODE": "2(x2)"},
            ["SLURM_CPUS_PER_TASK"],
        ),
        (["--mem=300"], {"SLURM_MEM_PER_NODE": "300"}, ["SLURM_MEM_PER_CPU"]),
        (["--mem-per-cpu=300", "-n2"], {"SLURM_MEM_PER_CPU": "300"}, ["SLURM_MEM_PER_NODE"]),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_what_an_ask_adds(
    cluster: Cluster, options: list[str], expected: dict[str, str], absent: list[str]
) -> None:
    _, env = run(cluster, *options, variables=STALE)
    assert {name: env.get(name) for name in expected} == expected
    assert [name for name in absent if name in env] == []


def test_nodes_of_a_job_on_two(cluster: Cluster) -> None:
    job = cluster.sbatch("-N", "2", "--wrap", f"{DUMP}; scontrol show hostnames > hosts.$SLURM_JOB_ID")
    assert cluster.wait(job).state == "COMPLETED"
    env = environment(cluster, job)
    assert env["SLURM_JOB_NODELIST"] == "node[1-2]" and env["SLURMD_NODENAME"] == "node1"
    assert env["SLURM_JOB_CPUS_PER_NODE"] == "1(x2)"
    assert (cluster.work / f"hosts.{job}").read_text().split() == ["node1", "node2"]


def test_tasks_of_an_array(cluster: Cluster) -> None:
    array = cluster.sbatch("--array=2-6:2", "--wrap", "env -0 > environment.$SLURM_ARRAY_TASK_ID.of-array")
    cluster.wait_all([array])
    ids = set()
    for index in (2, 4, 6):
        text = (cluster.work / f"environment.{index}.of-array").read_text()
        env = dict(entry.split("=", 1) for entry in text.split("\0") if entry)
        ids.add(env["SLURM_JOB_ID"])
        expected = {"JOB_ID": str(array), "TASK_ID": str(index), "TASK_MIN": "2", "TASK_MAX": "6"}
        expected |= {"TASK_COUNT": "3", "TASK_STEP": "2"}
        assert {key: env[f"SLURM_ARRAY_{key}"] for key in expected} == expected
    assert len(ids) == 3


def test_the_restart_count_is_there_from_the_second_run_on(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", f'{DUMP}; test "$SLURM_RESTART_COUNT" || sleep 600')
    wait_until((cluster.work / f"environment.{job}").exists, "the first run")
    cluster.run("scontrol", "requeue", str(job))
    assert cluster.wait(job).state == "COMPLETED"
    assert environment(cluster, job)["SLURM_RESTART_COUNT"] == "1"


def test_gpus_are_handed_out(cluster: Cluster) -> None:
    ready = "until test -e go; do sleep 0.02; done"
    jobs = [cluster.sbatch("-w", "node1", "--gres=gpu:1", "--wrap", f"{DUMP}; {ready}") for _ in range(2)]
    for job in jobs:
        wait_until((cluster.work / f"environment.{job}").exists, "both to run")
    waits = cluster.sbatch("-w", "node1", "--gres=gpu:1", "--wrap", "true")
    assert cluster.state(waits) == "PENDING"
    found = [environment(cluster, job) for job in jobs]
    assert sorted(env["CUDA_VISIBLE_DEVICES"] for env in found) == ["0", "1"]
    for env in found:
        assert env["SLURM_JOB_GPUS"] == env["GPU_DEVICE_ORDINAL"] == env["CUDA_VISIBLE_DEVICES"]
        assert env["SLURM_GPUS_ON_NODE"] == "1"
    (cluster.work / "go").touch()
    cluster.wait_all([*jobs, waits])
    (cluster.work / "go").unlink()
    _, both = run(cluster, "--gpus=2")
    assert (both["CUDA_VISIBLE_DEVICES"], both["SLURM_GPUS"]) == ("0,1", "2")
    _, none = run(cluster, variables={"CUDA_VISIBLE_DEVICES": "5"})
    assert "SLURM_JOB_GPUS" not in none and none.get("CUDA_VISIBLE_DEVICES", "") != "5"


def test_export(cluster: Cluster) -> None:
    variables = {"MINE": "from the shell", "ODD": "line 1\nline 2"}
    _, everything = run(cluster, variables=variables)
    assert (everything["MINE"], everything["ODD"]) == (variables["MINE"], variables["ODD"])
    _, nothing = run(cluster, "--export=NONE", variables=variables)
    assert "MINE" not in nothing and nothing["SLURM_JOB_ID"] and "/bin" in nothing["PATH"]
    _, some = run(cluster, "--export=MINE,OTHER=set here", variables=variables)
    assert (some["MINE"], some["OTHER"]) == (variables["MINE"], "set here") and "ODD" not in some
    _, added = run(cluster, "--export=ALL,OTHER=x", variables=variables)
    assert (added["OTHER"], added["ODD"]) == ("x", variables["ODD"])


def test_a_job_submitted_from_inside_a_job_is_its_own(cluster: Cluster) -> None:
    script = cluster.script(
        "parent.sh",
        f"#SBATCH -n 2 -c 2 --mem=700 --array=7\n{DUMP}\n"
        f"sbatch --parsable -J child --wrap '{DUMP}' > child.$SLURM_ARRAY_JOB_ID",
    )
    array = cluster.sbatch(script)
    cluster.wait_all([array])
    child = int((cluster.work / f"child.{array}").read_text())
    assert cluster.wait(child).state == "COMPLETED"
    env = environment(cluster, child)
    assert (env["SLURM_JOB_ID"], env["SLURM_JOB_NAME"]) == (str(child), "child")
    stale = [
        "SLURM_NTASKS",
        "SLURM_CPUS_PER_TASK",
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_JOB_ID",
        "SLURM_MEM_PER_NODE",
    ]
    assert [name for name in stale if name in env] == []
    assert env["SLURM_CPUS_ON_NODE"] == "1"

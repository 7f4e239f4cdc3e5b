"""Shares of GPUs, whole ones beside them, and what the commands show of each device: on declared devices."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster, wait_until

FOREVER = "sleep 600"
N_NODES, N_GPUS = 4, 8


@pytest.fixture(scope="module")
def gpus() -> Iterator[Cluster]:
    """Four nodes of eight declared GPUs each, in two racks."""
    shape = ["--gpu-type", "h200", "--gpu-mem", "141G", "--gpu-link-groups", "2", "--racks", "2"]
    config = '[cluster]\nlicenses = ["matlab:2"]\n'
    with Cluster(nodes=N_NODES, cpus=32, mem="64G", gpus=N_GPUS, config=config, more=shape) as running:
        yield running


@pytest.fixture
def cluster(gpus: Cluster) -> Iterator[Cluster]:
    """The same for every test, empty again after each."""
    yield gpus
    active = [str(row["job_id"]) for row in gpus.jobs(fields=["state", "end_at"]) if not int(row["end_at"])]
    if active:
        gpus.run("scancel", *active)
        gpus.wait_all([int(job) for job in active])


def started(cluster: Cluster, *words: str) -> tuple[int, str, str]:
    """A job that runs until it is cancelled: (its id, its node, its devices as Slurm writes them)."""
    job = cluster.sbatch(*words, "--wrap", FOREVER)
    cluster.wait_state(job, "RUNNING")
    row = cluster.job(job)
    return job, row["nodes"], row["gres_detail"]


def lines(cluster: Cluster, node: str) -> dict[str, str]:
    """The lines about devices of `scontrol show node`, by device."""
    text = cluster.text("scontrol", "show", "node", node)
    return {
        line.split()[0].removeprefix("Device="): line.strip()
        for line in text.splitlines()
        if " Device=" in line
    }


def index(detail: str) -> int:
    found = re.search(r"IDX:(\d+)\)", detail)
    assert found, detail
    return int(found[1])


def test_shares_land_together_on_one_device(cluster: Cluster) -> None:
    held = [started(cluster, "--gres=gpu:0.25") for _ in range(4)]
    assert len({(node, index(detail)) for _, node, detail in held}) == 1
    assert all(detail.startswith("gpu:h200:0.25(IDX:") for _, _, detail in held)
    node = held[0][1]
    line = lines(cluster, node)[f"gpu:{index(held[0][2])}"]
    jobs = ",".join(str(job) for job, _, _ in held)
    assert f"Used=1.00 Free=0.00 Jobs={jobs}" in line and "Type=h200 Memory=141G" in line
    assert "gres/gpu=0.25" in cluster.text("scontrol", "show", "job", str(held[0][0]))
    used = cluster.text("sinfo", "-h", "-N", "-n", node, "-O", "gresused:40")
    assert used.split() == ["gpu:h200:1"]
    *_, (_, other, detail) = (started(cluster, "--gpu-share=0.5"),)
    assert (other, index(detail)) != (node, index(held[0][2]))


def test_whole_gpus_never_overlap_with_shares(cluster: Cluster) -> None:
    _, node, detail = started(cluster, "--gres=gpu:h200:0.1")
    _, _, whole = started(cluster, "-w", node, f"--gres=gpu:{N_GPUS - 1}")
    _, _, beside = started(cluster, "-w", node, "--gpu-share=0.9")
    assert index(beside) == index(detail)
    waits = cluster.sbatch("-w", node, "--gres=gpu:1", "--wrap", FOREVER)
    found = re.search(r"IDX:([\d,-]+)\)", whole)
    assert found
    taken: set[int] = set()
    for part in found[1].split(","):
        low, _, high = part.partition("-")
        taken |= set(range(int(low), int(high or low) + 1))
    assert taken == set(range(N_GPUS)) - {index(detail)}
    assert cluster.state(waits) == "PENDING"


def test_shares_for_tasks_and_for_a_job(cluster: Cluster) -> None:
    job, _, _ = started(cluster, "-n", "4", "-N", "1", "--gpus-per-task=0.25")
    assert "gres/gpu=1," in cluster.job(job)["alloc_tres"] + ","
    job, _, detail = started(cluster, "--gpus=0.5")
    assert detail.startswith("gpu:h200:0.5(IDX:")
    job, _, detail = started(cluster, "--gpus=2", "--cpus-per-gpu=3", "--mem-per-gpu=1G")
    row = cluster.job(job)
    assert (int(row["n_cpus"]), row["mem_per_node"]) == (6, "2048")
    assert re.match(r"gpu:h200:2\(IDX:\d[-,]\d\)", detail)


def test_a_share_by_memory_and_what_a_job_is_told(cluster: Cluster) -> None:
    job = cluster.sbatch("--gpus-per-node=h200:70G", "--wrap", "env | grep -E 'GPU|CUDA' | sort")
    assert cluster.wait(job).state == "COMPLETED"
    env = dict(line.split("=", 1) for line in cluster.output(job).splitlines())
    assert env["CUDA_VISIBLE_DEVICES"].isdecimal() and env["SLURM_GPUS_ON_NODE"] == "1"
    assert 0.49 <= float(env["PACKHORSE_GPU_SHARE"]) <= 0.5
    assert env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] in ("49", "50")


def test_slices_are_shown_with_their_layout() -> None:
    shape = ["--gpu-type", "h200", "--gpu-layouts", "7x1g.18gb|1x4g.71gb+1x3g.71gb"]
    with Cluster(nodes=1, cpus=32, gpus=2, more=shape) as cluster:
        job, node, detail = started(cluster, "--gres=gpu:1g.18gb:2")
        assert detail.count("gpu:1g.18gb:1(IDX:") == 2
        shown = "\n".join(lines(cluster, node).values())
        assert re.search(rf"Layout=7x1g\.18gb InUse=1g\.18gb#\d:{job}", shown), shown
        told = cluster.sbatch("--gres=gpu:4g.71gb", "--wrap", "echo $PACKHORSE_GPU_SLICE")
        assert cluster.wait(told).state == "COMPLETED"
        assert re.fullmatch(r"[01]:4g\.71gb#0\n", cluster.output(told))
        code, text = cluster.refused("sbatch", "--gres=gpu:0.5", "--wrap", "true")
        assert code == 1 and "slice" in text


def test_a_node_says_what_was_declared(cluster: Cluster) -> None:
    text = cluster.text("scontrol", "show", "node", "node1")
    assert f"   Gres=gpu:h200:{N_GPUS}\n" in text
    assert f"   PackhorseDevices=gpu:h200:{N_GPUS}(declared)\n" in text
    assert "PackhorseTopology=rack1\n" in text
    assert "PackhorseTopology=rack2\n" in cluster.text("scontrol", "show", "node", "node4")
    assert "Link=0" in lines(cluster, "node1")["gpu:3"] and "Link=1" in lines(cluster, "node1")["gpu:4"]


def test_nodes_below_one_switch(cluster: Cluster) -> None:
    for option in ("--hops=0", "--switches=1"):
        _, nodes, _ = started(cluster, "-N", "2", "--exclusive", option)
        assert nodes in ("node[1-2]", "node[3-4]")


def test_linked_gpus(cluster: Cluster) -> None:
    started(cluster, "-w", "node1", "--gres=gpu:2")
    _, _, detail = started(cluster, "-w", "node1", "--gres=gpu:4", "--gpu-link=required")
    assert detail in ("gpu:h200:4(IDX:0-3)", "gpu:h200:4(IDX:4-7)")


def test_licences_are_counted(cluster: Cluster) -> None:
    started(cluster, "-L", "matlab:2")
    waits = cluster.sbatch("-L", "matlab", "--wrap", "true")
    assert cluster.text("scontrol", "-o", "show", "lic").split() == [
        "LicenseName=matlab",
        *("Total=2", "Used=2", "Free=0", "Reserved=0", "Remote=no"),
    ]
    wait_until(lambda: cluster.job(waits)["reason"] == "Licenses", "the job to wait for a licence")


REFUSED = {
    "more than one GPU but no whole number": (["--gpus=1.5"], "ask for whole GPUs or for a share below 1"),
    "a share of nothing": (["--gres=gpu:0.000"], "the least is 0.001"),
    "too fine a share": (["--gpu-share=0.1234"], "more than 3 decimals"),
    "a negative share": (["--gpus-per-task=-0.5"], "has a sign"),
    "not a number": (["--gres=gpu:nan"], '"nan" is no amount'),
    "an unknown unit": (["--gres=gpu:h200:20X"], '"20X" is no amount'),
    "more shares than fit": (["--gres=gpu:0.5:2"], "a share has no count"),
    "a share of a nic": (["--gres=nic:0.5"], "only of a gpu there are shares"),
    "whole ones and a share": (["--gres=gpu:0.5", "--gpus-per-task=1"], "beside other devices"),
    "a share for two nodes": (["-N", "2", "--gpus=0.5"], "ask for it per node or per task"),
    "tasks that do not fit": (["-n8", "-N2", "--ntasks-per-node=2"], "4 tasks at most"),
    "tasks per GPU that contradict": (["-n3", "--gpus=2", "--ntasks-per-gpu=2"], "2 GPUs make 4 tasks"),
    "more memory than a GPU has": (["--gres=gpu:200G"], "gpu"),
    "a type nobody has": (["--gres=gpu:b300:0.5"], "b300"),
    "a licence nobody has": (["-L", "fluent"], "fluent"),
    "more licences than there are": (["-L", "matlab:3"], "matlab"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(cluster: Cluster, case: str) -> None:
    words, expected = REFUSED[case]
    code, text = cluster.refused("sbatch", *words, "--wrap", "true")
    assert code in (1, 255) and expected in text and "Traceback" not in text, text

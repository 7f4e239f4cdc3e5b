"""A cluster whose agent has GPUs, by a libnvidia-ml of our own: what it shows, and what becomes of one that
disappears, reports an error or is still used by an ended job."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.agent.nvml.fake import FakeNvml
from tests.cluster import Cluster, wait_until

SOON_S = 8.0
"""A driver's error is told at once; the rest is the time of busy machines."""

GPU_1_IS_GONE = {"gpu1.lost": 1, "event.1": "1 8 79"}


@pytest.fixture
def cluster(fake_nvml: FakeNvml) -> Iterator[Cluster]:
    fake_nvml.set({"gpus": 3, "gpu0.nvlinks": "gpu1", "gpu1.nvlinks": "gpu0"})
    with Cluster(nodes=1, cpus=8, mem="8G", variables=fake_nvml.env()) as running:
        yield running


def node(cluster: Cluster) -> str:
    return cluster.text("scontrol", "show", "node")


def reason(cluster: Cluster) -> str:
    found = re.search(r"^ *Reason=(.*?)(?: \[.*)?$", node(cluster), re.MULTILINE)
    return found[1] if found else ""


def indices(cluster: Cluster, job: int) -> str:
    found = re.search(r"IDX:([\d,-]+)\)", cluster.job(job)["gres_detail"])
    assert found, cluster.job(job)
    return found[1]


def gpu_job(cluster: Cluster, n: int, script: str = "sleep 600") -> int:
    return cluster.sbatch(f"--gres=gpu:{n}", "-c1", "--mem=100M", "--wrap", script)


def test_a_gpu_that_falls_off_the_bus_and_comes_back(cluster: Cluster, fake_nvml: FakeNvml) -> None:
    assert cluster.text("sinfo", "-h", "-o", "%G").strip() == "gpu:h200:3"
    assert "Device=gpu:1 Type=h200 Memory=143771M Link=0 Used=0.00 Free=1.00" in node(cluster)
    first = gpu_job(cluster, 1)
    cluster.wait_state(first, "RUNNING")
    assert indices(cluster, first) == "0"

    fake_nvml.set(GPU_1_IS_GONE)
    wait_until(lambda: reason(cluster).startswith("gpu 1: "), lambda: node(cluster), within_s=SOON_S)
    assert "fell off the bus" in reason(cluster)
    assert re.search(r"Device=gpu:1 .* Free=0.00 Dead=.*fell off the bus", node(cluster))
    assert "gpu 1" in cluster.text("sinfo", "-R")
    assert "fell off the bus" in cluster.text("packhorse", "status")
    assert cluster.text("sinfo", "-h", "-o", "%T").strip() == "mixed", "the node goes on"
    assert cluster.state(first) == "RUNNING"

    one = gpu_job(cluster, 1)
    cluster.wait_state(one, "RUNNING")
    assert indices(cluster, one) == "2"
    both = gpu_job(cluster, 2)
    assert cluster.state(both) == "PENDING"

    cluster.run("scancel", str(one))
    fake_nvml.set({"gpu1.lost": None})
    cluster.wait_state(both, "RUNNING")
    assert indices(cluster, both) == "1-2"
    assert reason(cluster) == ""


def test_an_agent_that_starts_while_a_gpu_is_gone_keeps_the_numbers(
    cluster: Cluster, fake_nvml: FakeNvml
) -> None:
    job = gpu_job(cluster, 1)
    cluster.wait_state(job, "RUNNING")
    os.kill(cluster.agent(), signal.SIGTERM)
    wait_until(lambda: not cluster.home.agent_pids().get(cluster.names[0]), "the agent to end")
    fake_nvml.set({"gpu1.absent": 1})
    cluster.up()
    wait_until(lambda: reason(cluster).startswith("gpu 1: "), lambda: node(cluster), within_s=SOON_S)
    assert "gpu:h200:3" in cluster.text("sinfo", "-h", "-o", "%G")
    assert cluster.state(job) == "RUNNING"
    other = gpu_job(cluster, 1, "echo $CUDA_VISIBLE_DEVICES")
    cluster.wait(other)
    assert indices(cluster, other) == "2"
    assert cluster.output(other).strip().endswith("0002"), "CUDA counts it as number 1 now: its UUID is told"


def test_a_process_that_an_ended_job_left_on_its_gpu(cluster: Cluster, fake_nvml: FakeNvml) -> None:
    job = gpu_job(cluster, 3)
    cluster.wait_state(job, "RUNNING")
    # Not a descendant of the job, as a daemon that got away would be where there is no cgroup.
    left = subprocess.Popen(["sleep", "600"])
    try:
        fake_nvml.set({"gpu2.compute": f"{left.pid}:512"})
        cluster.run("scancel", str(job))
        cluster.wait(job)
        assert reason(cluster) == f"gpu 2: process {left.pid} (sleep) of an ended job still uses it"
        waiting = gpu_job(cluster, 3)
        pair = gpu_job(cluster, 2)
        cluster.wait_state(pair, "RUNNING")
        assert indices(cluster, pair) == "0-1"
        cluster.run("scancel", str(pair))
        cluster.wait(pair)
        assert cluster.state(waiting) == "PENDING"
    finally:
        left.kill()
        left.wait()
    fake_nvml.set({"gpu2.compute": None})
    cluster.wait_state(waiting, "RUNNING")


def test_garbage_and_a_library_that_hangs_are_warnings(cluster: Cluster, fake_nvml: FakeNvml) -> None:
    fake_nvml.set(
        {"gpu0.mem_total_bytes": -1, "gpu1.error.nvmlDeviceGetMemoryInfo": 999, "event.1": "0 8 13"}
    )
    wait_until(lambda: "PackhorseWarning=" in node(cluster), lambda: node(cluster), within_s=20)
    shown = node(cluster)
    assert "PackhorseWarning=gpu 0 says it has 17592186044415 MiB of memory, which is not believed" in shown
    assert "PackhorseWarning=gpu 1 does not tell its memory (NVML: Unknown Error)" in shown
    assert "Device=gpu:0 Type=h200 Memory=143771M" in shown, "what was known stays"
    fake_nvml.set({"hang.nvmlDeviceGetCount_v2": 600, "event.2": "0 8 13"})
    job = gpu_job(cluster, 3, "exit 5")
    assert cluster.wait(job).exit_code == 5


def test_slices_that_are_made_while_the_agent_runs(cluster: Cluster, fake_nvml: FakeNvml) -> None:
    job = gpu_job(cluster, 1)
    cluster.wait_state(job, "RUNNING")
    fake_nvml.set({"gpu2.mig": 1, "gpu2.mig_max": 7, "event.1": "0 8 31"})
    wait_until(lambda: reason(cluster).startswith("gpu 2: MIG is on"), lambda: node(cluster))
    fake_nvml.set({"gpu2.mig0": "3g.71gb", "gpu2.mig1": "1g.18gb", "event.2": "0 8 31"})
    wait_until(lambda: "Layouts=1x3g.71gb+1x1g.18gb" in node(cluster), lambda: node(cluster))
    assert cluster.state(job) == "RUNNING", "the node registered anew, and it goes on"
    wait_until(lambda: not reason(cluster), lambda: node(cluster))
    on_a_slice = cluster.sbatch("--gres=gpu:1g.18gb:1", "--mem=100M", "--wrap", "echo $CUDA_VISIBLE_DEVICES")
    cluster.wait(on_a_slice)
    assert cluster.output(on_a_slice) == "MIG-00000000-0000-4000-8000-000000020001\n"

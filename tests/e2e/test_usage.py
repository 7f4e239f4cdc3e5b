"""What real jobs use, seen by sstat, seff, sacct and packhorse usage while they run and after they ended."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator

import pynvml
import pytest

from tests.agent.nvml.fake import FakeNvml
from tests.cluster import Cluster, kill, wait_until

MIB = 120
"""Memory that the job takes."""

PROGRAM = f"""\
import os, time
x = bytearray({MIB} << 20)
open("full", "w").close()
while not os.path.exists("end"):
    time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=1) as cluster:
        yield cluster


def start(cluster: Cluster) -> int:
    for name in ("full", "end"):
        (cluster.work / name).unlink(missing_ok=True)
    (cluster.work / "hold.py").write_text(PROGRAM)
    job = cluster.sbatch("--mem=300M", "--wrap", f"exec {sys.executable} hold.py")
    wait_until((cluster.work / "full").exists, "the job to take its memory")
    return job


def rss_mib(cluster: Cluster, job: int) -> float:
    """As sstat says, 0 while it says nothing."""
    text = cluster.run("sstat", "-nP", "--noconvert", "-j", str(job), "-o", "MaxRSS", check=False).stdout
    return float(text.strip().rstrip("K") or 0) / 1024


def test_a_running_and_an_ended_job(cluster: Cluster) -> None:
    job = start(cluster)
    wait_until(lambda: rss_mib(cluster, job) > MIB, "sstat to tell the job's memory")
    assert MIB < rss_mib(cluster, job) < MIB + 40
    live = cluster.text("seff", str(job))
    assert "State: RUNNING" in live and "WARNING: Efficiency statistics" in live
    assert (used := re.search(r"Memory Utilized: (\d+\.\d\d) MB", live)) is not None
    assert MIB < float(used[1]) < MIB + 40
    wait_until(
        lambda: cluster.text("packhorse", "usage", "--csv", str(job)).count("\n") > 2, "points of the series"
    )
    (cluster.work / "end").touch()
    assert cluster.wait(job).state == "COMPLETED"
    ended = cluster.text("seff", str(job))
    assert "State: COMPLETED (exit code 0)" in ended
    assert re.search(r"Memory Efficiency: (4|5)\d\.\d\d% of 300\.00 MB", ended), ended
    tres = cluster.text("sacct", "-nPj", f"{job}.batch", "-o", "TRESUsageInMax").strip()
    assert re.search(r"cpu=00:00:0\d,.*mem=\d+K", tres), tres
    assert cluster.refused("sstat", "-nj", str(job))[1] == f"sstat: error: no steps running for job {job}\n"
    chart = cluster.text("packhorse", "usage", str(job))
    assert f"job {job}, attempt 1 (ended)" in chart and "limit 300M" in chart and "█" in chart
    lines = cluster.text("packhorse", "usage", "--csv", str(job)).splitlines()
    assert max(int(line.split(",")[2]) for line in lines[1:]) / 1024 == pytest.approx(MIB, abs=40)


def test_restarts_of_agent_and_scheduler_lose_nothing(cluster: Cluster) -> None:
    job = start(cluster)
    wait_until(lambda: rss_mib(cluster, job) > MIB, "sstat to tell the job's memory")
    before = cluster.text("packhorse", "usage", "--csv", str(job)).splitlines()
    kill(cluster.agent(), signal.SIGTERM)
    wait_until(lambda: not cluster.home.agent_pids().get(cluster.names[0]), "the agent to end")
    kill(cluster.scheduler(), signal.SIGTERM)
    wait_until(lambda: not cluster.home.scheduler_pid(), "the scheduler to end")
    cluster.up()
    wait_until(lambda: rss_mib(cluster, job) > MIB, "the new agent to tell the job's memory")
    wait_until(
        lambda: len(cluster.text("packhorse", "usage", "--csv", str(job)).splitlines()) > len(before),
        "the series to go on",
    )
    after = cluster.text("packhorse", "usage", "--csv", str(job)).splitlines()
    assert after[: len(before) - 1] == before[:-1]
    (cluster.work / "end").touch()
    assert cluster.wait(job).state == "COMPLETED"
    assert (
        cluster.text("packhorse", "usage", "--csv", str(job)).splitlines()[: len(before) - 1] == before[:-1]
    )


def test_page_cache_is_apart_and_disk_traffic_is_told(cluster: Cluster) -> None:
    body = "dd if=/dev/zero of=big bs=1M count=60 2>/dev/null; sleep 2.5"
    job = cluster.sbatch("--mem=300M", "--wrap", body)
    assert cluster.wait(job).state == "COMPLETED"
    row = cluster.text("sacct", "-nPj", f"{job}.batch", "--noconvert", "-o", "MaxRSS,TRESUsageOutMax").strip()
    found = re.fullmatch(r"(\d+)K\|fs/disk=(\d+)", row)
    assert found is not None, row
    assert int(found[1]) < 40 * 1024
    assert 60 << 20 <= int(found[2]) < 62 << 20


def test_jobs_that_are_not_there(cluster: Cluster) -> None:
    assert cluster.refused("seff", "987654") == (2, "Job not found.\n")
    assert "987654" in cluster.refused("packhorse", "usage", "987654")[1]
    assert cluster.refused("sstat")[0] == 1


def test_a_job_with_a_gpu(fake_nvml: FakeNvml) -> None:
    """Half of the time busy, three tenths of the peak: allocated, busy and computed are three things."""
    fake_nvml.set(
        {
            "gpu0.util": 50,
            "gpu0.mem_used_mib": 5120,
            "gpu0.power_mw": 400_000,
            "gpu0.gpm": 1,
            f"gpu0.gpm.{pynvml.NVML_GPM_METRIC_HMMA_TENSOR_UTIL}": 30.0,
            "gpu0.clock.sm": 1830,
        }
    )
    with Cluster(nodes=1, cpus=None, mem=None, variables=fake_nvml.env()) as cluster:
        job = cluster.sbatch("--gres=gpu:1", "--mem=100M", "--wrap", "sleep 600")

        def measured() -> bool:
            return "GPU FLOPS: 30.00% of peak" in cluster.text("seff", str(job))

        wait_until(measured, lambda: f"the GPU to be measured\n{cluster.text('seff', str(job))}")
        live = cluster.text("seff", str(job))
        assert "GPUs: 1\n" in live and re.search(r"GPU Busy: (49|50)\.\d\d% of 00:0", live), live
        assert "GPU Memory Utilized: 5.00 GB" in live
        tres = cluster.text("sstat", "-nPj", str(job), "-o", "TRESUsageInTot")
        assert re.search("gres/gpumem=5120M,gres/gpuutil=(49|50),", tres), tres
        cluster.run("scancel", str(job))
        cluster.wait(job)
        ended = cluster.text("seff", str(job))
        assert "GPU FLOPS: 30.00% of peak" in ended and "GPU Energy: unknown" not in ended
        chart = cluster.text("packhorse", "usage", str(job))
        assert "GPUs busy: now 50%" in chart and "GPU FLOPS of the peak: now 30%" in chart

"""Traces whose run times come from elsewhere (Sia, Gavel), and usage over time."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from packhorse.simulator.traces import usage
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.job import TraceJob

SIA = """name,time,application,num_replicas,batch_size
bert-0,107.5,bert,6,2048
cifar10-1,110,cifar10,4,320
yolo-2,111,yolo,1,20
"""
GAVEL = """\
ResNet (batch size 16)\tmain.py\tdir\t--steps\t1\t1000\t1\t2\t-1.000000\t5
LM\tmain.py\tdir\t--steps\t1\t1000\t8\t1\t-1.000000\t6.5
"""
THROUGHPUTS = {
    "k80": {"('ResNet (batch size 16)', 1)": {"null": 4.0, "('LM', 1)": [1, 2]}, "('LM', 8)": {"null": 10}},
    "v100": {"('ResNet (batch size 16)', 1)": {"null": 8.0}, "('LM', 8)": {"null": 0}},
}


def test_sia(tmp_path: Path) -> None:
    path = tmp_path / "workload.csv"
    path.write_text(SIA)
    first, second, third = open_trace(path, "sia:duration_s=60,bert=7200").jobs
    assert first == TraceJob(
        id="bert-0",
        submit_us=107_500_000,
        run_us=7_200_000_000,
        tasks=6,
        cpu_milli=1000,
        n_gpus=1,
        nodes=2,
        name="bert",
    )
    assert (second.tasks, second.n_gpus, second.run_us) == (1, 4, 60_000_000)
    assert third.run_us == 60_000_000


def test_sia_without_run_times(tmp_path: Path) -> None:
    path = tmp_path / "workload.csv"
    path.write_text(SIA)
    with pytest.raises(TraceBroken, match="has no run times; give the format as sia:duration_s=3600"):
        open_trace(path)
    with pytest.raises(TraceBroken, match=r'line 3, column 3 \(application\): "cifar10", expected one whose'):
        list(open_trace(path, "sia:bert=7200").jobs)


def test_gavel(tmp_path: Path) -> None:
    path = tmp_path / "a.trace.gz"
    path.write_bytes(gzip.compress(GAVEL.encode()))
    with pytest.raises(TraceBroken, match="a Gavel trace needs its throughputs"):
        open_trace(path)
    table = tmp_path / "simulation_throughputs.json.gz"
    table.write_bytes(gzip.compress(json.dumps(THROUGHPUTS).encode()))
    first, second = open_trace(path, "gavel:gpu=k80").jobs
    assert first == TraceJob(
        id="1",
        submit_us=5_000_000,
        run_us=250_000_000,
        cpu_milli=1000,
        n_gpus=1,
        nodes=1,
        name="ResNet (batch size 16)",
        weight=2.0,
    )
    assert (second.tasks, second.n_gpus, second.submit_us, second.run_us) == (2, 4, 6_500_000, 100_000_000)
    trace = open_trace(path, on_broken="skip")
    assert [job.run_us for job in trace.jobs] == [125_000_000]
    assert "line 2, column 1 (job_type)" in trace.skipped.messages[0]
    with pytest.raises(TraceBroken, match='no GPU type "a100"; there are k80, v100'):
        open_trace(path, "gavel:gpu=a100")
    table.write_bytes(b"{}")
    with pytest.raises(TraceBroken, match="cannot be read"):
        open_trace(path)


def test_bitbrains(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(
        "vm,t,cores,cpu_prov_mhz,cpu_used_mhz,mem_prov_kb,mem_used_kb\n"
        "1,600,2,5852,1463.0,8388608,1308620\n"
        "1,300,2,5852,585.2,8388608,1024\n"
        "2,300,4,0,0,0,0\n"
        "1,600,2,5852,2926.0,4194304,1025\n"
    )
    first, second = usage.read(path, Skipped())
    assert (first.name, second.name) == ("1", "2")
    assert first.at_us.tolist() == [300_000_000, 600_000_000]
    assert first.cpu_asked_milli.tolist() == [2000, 2000]
    assert first.cpu_milli.tolist() == [200, 1000]  # the last of two samples
    assert first.mem_asked_mib.tolist() == [8192, 4096]
    assert first.mem_mib.tolist() == [1, 2]
    assert second.cpu_milli.tolist() == [0]


def test_google(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text("vm,slot,cpu_pct,mem_pct\nv,0,8.533,6.25\nv,1,x,6\nv,2,120,0\n")
    skipped = Skipped("skip")
    (series,) = usage.read(path, skipped)
    assert series.at_us.tolist() == [0, 600_000_000]
    assert series.cpu_milli.tolist() == [85, 1200]
    assert series.mem_mib.tolist() == [6400, 0]
    assert set(series.mem_asked_mib.tolist()) == {102_400}
    assert 'line 3, column 3 (cpu_pct): "x", expected a number' in skipped.messages[0]


def test_what_is_no_usage(tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    path.write_text(SIA)
    with pytest.raises(TraceBroken, match="line 1: no usage over time; expected vm,t,cores"):
        usage.read(path, Skipped())

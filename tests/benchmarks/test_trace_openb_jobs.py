"""The openb traces as jobs: by their times, and in the published order."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.scheduler.model.resources import Device
from packhorse.simulator.traces.broken import TraceBroken
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.job import Ending, TraceJob
from packhorse.simulator.traces.openb_jobs import FOR_EVER_US
from packhorse.simulator.traces.parameters import ParameterError
from tests.benchmarks.small_trace import write_trace

PODS = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,pod_phase,creation_time,deletion_time,scheduled_time
p0,1000,100,1,600,,Running,10,100,20
p1,1000,100,1,1000,A|B,Failed,30,90,30
p2,1000,100,2,1000,,Pending,40,100,
p3,2000,100,0,0,,Succeeded,50,40,60
"""
LIST = "openb_pod_list_small.csv.gz"


def test_by_their_times(tmp_path: Path) -> None:
    trace = open_trace(write_trace(tmp_path, pods=PODS) / LIST, on_broken="skip")
    first, second = trace.jobs
    assert first == TraceJob(
        id="p0",
        submit_us=10_000_000,
        run_us=80_000_000,
        cpu_milli=1000,
        mem_mib=100,
        n_gpus=1,
        gpu_milli=600,
        nodes=1,
        name="p0",
    )
    assert (second.gpu_type, second.ending, second.gpu_milli) == ("A|B", Ending.FAILED, 1000)
    assert trace.skipped.left_out == {"never ran": 1}
    assert '(deletion_time): "40", expected a time after scheduled_time' in trace.skipped.messages[0]
    assert trace.cluster is not None
    assert [node.name for node in trace.cluster] == ["n0", "n1", "n2"]
    assert trace.cluster[0].devices == (Device("gpu", "A", 0), Device("gpu", "A", 1))
    assert (trace.cluster[2].cpu_milli, trace.cluster[2].mem_mib) == (4000, 1000)


def test_in_the_published_order(tmp_path: Path) -> None:
    trace = open_trace(write_trace(tmp_path, pods=PODS) / LIST, "openb:seed=42")
    jobs = list(trace.jobs)
    assert [(job.id, job.name) for job in jobs] == [("0", "p3"), ("1", "p0"), ("2", "p1"), ("3", "p2")]
    assert [job.submit_us for job in jobs] == [0, 1_000_000, 2_000_000, 3_000_000]
    assert {job.run_us for job in jobs} == {FOR_EVER_US}
    assert (jobs[0].n_gpus, jobs[0].gpu_milli) == (0, 1000)
    assert trace.cluster is not None
    assert [node.name for node in trace.cluster] == ["n1", "n0", "n2"]  # by rank


def test_the_carried_variant(repository: Path) -> None:
    path = repository / "benchmarks" / "data" / "openb" / "openb_pod_list_default.csv.gz"
    trace = open_trace(path)
    assert sum(1 for _ in trace.jobs) == 8152 - 897
    assert trace.skipped.left_out == {"never ran": 897}
    trace = open_trace(path, "openb:seed=51")
    arrived = sum(job.n_gpus * job.gpu_milli for job in trace.jobs)
    assert abs(arrived - 8_075_600) < 8000
    assert trace.cluster is not None
    assert sum(len(node.devices) for node in trace.cluster) == 6212


def test_what_is_missing(tmp_path: Path) -> None:
    folder = write_trace(tmp_path)
    with pytest.raises(TraceBroken, match="the list has no times; take a published order, openb:seed=42"):
        open_trace(folder / LIST)
    with pytest.raises(ParameterError, match='seed: "7", expected 42 to 51'):
        open_trace(folder / LIST, "openb:seed=7")
    (folder / LIST).rename(folder / "pods.csv.gz")
    with pytest.raises(TraceBroken, match="a published order needs a list openb_pod_list_VARIANT"):
        open_trace(folder / "pods.csv.gz", "openb:seed=42")

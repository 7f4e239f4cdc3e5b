"""Reading the job lists of GPU clusters: Muri, Tiresias, and logs in the manner of Philly and Helios."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.simulator.traces import muri, philly, tiresias
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.gang import Shape, consolidated
from packhorse.simulator.traces.job import Ending, TraceJob

DL = Path("benchmarks", "data", "dl")


@pytest.mark.parametrize(
    ("n_gpus", "shape"),
    [(0, (1, 0, 1)), (1, (1, 1, 1)), (8, (1, 8, 1)), (12, (12, 1, 2)), (16, (2, 8, 2)), (32, (4, 8, 4))],
)
def test_the_fewest_nodes(n_gpus: int, shape: tuple[int, int, int]) -> None:
    assert consolidated(n_gpus, 8) == Shape(*shape)


def test_muri(repository: Path) -> None:
    trace = open_trace(repository / DL / "muri" / "trace1.csv.gz")
    jobs = list(trace.jobs)
    assert len(jobs) == 1494
    assert jobs[1] == TraceJob(
        id="1",
        submit_us=201_694_000_000,  # 201,694,000 ms
        run_us=4_472_936_000_000,
        tasks=1,
        cpu_milli=8000,
        n_gpus=8,
        nodes=1,
        name="dqn",
    )
    assert trace.cluster is not None
    assert (len(trace.cluster), sum(len(node.devices) for node in trace.cluster)) == (8, 64)
    large = [job for job in jobs if job.tasks > 1]
    assert {(job.tasks, job.n_gpus, job.nodes) for job in large} <= {(2, 8, 2), (4, 8, 4)}
    assert sum(1 for _ in open_trace(repository / DL / "muri" / "trace3.csv.gz").jobs) == 992


def test_tiresias(repository: Path) -> None:
    trace = open_trace(repository / DL / "tiresias" / "60_job.csv")
    jobs = list(trace.jobs)
    assert len(jobs) == 60
    assert jobs[1] == TraceJob(
        id="1",
        submit_us=30_000_000,
        run_us=147_000_000,
        tasks=2,
        cpu_milli=4000,
        n_gpus=4,
        nodes=2,
        name="vgg11",
    )
    assert trace.cluster is None
    path = repository / DL / "tiresias" / "60_job.csv"
    (second,) = (job for job in open_trace(path, "tiresias:gpus_per_node=8").jobs if job.id == "1")
    assert (second.tasks, second.n_gpus) == (1, 8)


def test_a_broken_line_of_a_list(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "job_id,num_gpu,submit_time,iterations,model_name,duration,interval\n"
        "0,1,0,606,vgg19,164,30\n1,0,30,133,vgg11,147,23\n2,2\n3,1,1e3,157,x,127,26\n4,1,79,513,vgg16,121,20\n"
    )
    with pytest.raises(TraceBroken, match=r'line 3, column 2 \(num_gpu\): "0", expected 1 and more'):
        list(tiresias.read(path, Skipped()))
    skipped = Skipped("skip")
    assert [job.id for job in tiresias.read(path, skipped)] == ["0", "4"]
    assert skipped.broken == 3
    assert "line 4, column 3: 2 fields, expected 7" in skipped.messages[1]
    path.write_text("job_id,num_gpu\n")
    with pytest.raises(TraceBroken, match='column "submit_time" is missing'):
        list(muri.read(path, Skipped()))


HELIOS = """\
job_id,user,vc,jobname,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue
j1,u1,vcA,n1,16,32,2,COMPLETED,2020-04-01 00:00:10,2020-04-01 00:00:20,2020-04-01 00:01:20,60,10
j2,u2,vcA,n2,0,3,1,FAILED,2020-04-01 00:00:11+02:00,2020-04-01 00:00:11,2020-04-01 00:00:11.5,0,0
j3,u2,vcB,n3,1,0,0,NODE_FAIL,20.5,30,40,10,10
j4,u2,vcB,n4,1,0,0,CANCELLED,20,,40,10,10
j5,u2,vcB,n5,12,0,0,Killed,20,30,40,10,10
j6,u2,vcB,n6,1,0,0,TIMEOUT,20,30,29,10,10
j7,u2,vcB,n7,1,0,0,TIMEOUT,yesterday,30,40,10,10
"""


def test_helios(tmp_path: Path) -> None:
    path = tmp_path / "cluster_log.csv"
    path.write_text(HELIOS)
    trace = open_trace(path, on_broken="skip")
    first, second, third, fifth = trace.jobs
    midnight_us = 1_585_699_200_000_000
    assert first == TraceJob(
        id="j1",
        submit_us=midnight_us + 10_000_000,
        run_us=60_000_000,
        tasks=2,
        cpu_milli=16_000,
        n_gpus=8,
        nodes=2,
        user="u1",
        queue="vcA",
        name="n1",
    )
    assert second.submit_us == midnight_us + 11_000_000 - 7200 * 1_000_000
    assert (second.run_us, second.cpu_milli, second.n_gpus) == (500_000, 3000, 0)
    assert (third.submit_us, third.cpu_milli) == (20_500_000, 1000)
    assert [job.ending for job in (first, second, third, fifth)] == [
        Ending.COMPLETED,
        Ending.FAILED,
        Ending.FAILED,
        Ending.CANCELLED,
    ]
    assert (fifth.tasks, fifth.n_gpus, fifth.nodes) == (12, 1, 2)
    assert trace.skipped.left_out == {"never ran": 1}
    assert 'line 7, column 11 (end_time): "29", expected a time after start_time' in trace.skipped.messages[0]
    assert 'line 8, column 9 (submit_time): "yesterday", expected seconds' in trace.skipped.messages[1]


def test_a_list_with_durations(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("id,num_gpus,submit_time,duration,status\na,2,0,1.5,Pass\nb,1,5,,Pass\n")
    trace = open_trace(path)
    (job,) = trace.jobs
    assert (job.id, job.run_us, job.n_gpus, job.cpu_milli) == ("a", 1_500_000, 2, 2000)
    assert str(trace.skipped) == "1 line skipped: 1 never ran"


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("job_id,submit_time,duration", "no column for gpus; expected one of gpu_num, num_gpu"),
        (
            "job_id,gpu_num,submit_time,start_time",
            "no run times; expected duration, or start_time and end_time",
        ),
    ],
)
def test_columns_that_are_missing(tmp_path: Path, header: str, said: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(header + "\n")
    with pytest.raises(TraceBroken) as broken:
        list(philly.read(path, Skipped()))
    assert said in str(broken.value)

"""The file of jobs: its text, reading it again, and what the independent check says of it."""

from __future__ import annotations

import gzip
import random
from fractions import Fraction
from pathlib import Path

import pytest

from packhorse.simulator import jobs_out
from packhorse.simulator.metrics import slowdown
from packhorse.simulator.metrics.columns import columns, times
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.traces import swf
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.job import TraceJob
from tests.benchmarks import jobs_check
from tests.benchmarks.outcomes import S, outcome, played, random_jobs


def by_hand() -> Outcome:
    jobs = [
        TraceJob("1", 0, 10 * S, tasks=2),
        TraceJob("a,b", 1_500_000, 3, cpu_milli=1250),
        TraceJob("3", 2 * S, S),
        TraceJob("4", 2 * S, S, after="3"),
    ]
    ran = [(4.25, 14.25), (5, NOT_YET), (NOT_YET, NOT_YET), (NOT_YET, NOT_YET)]
    found = outcome(jobs, ran, restarts=[1, 0, 0, 0], nodes=[("n2", "n1"), ("n1",), (), ()])
    return found._replace(think_times=True)


TEXT = """job,submit,start,end,procs,nodes,restarts
1,0,4.25,14.25,2,n2;n1,1
"a,b",1.5,5,,1.25,n1,0
3,2,,,1,,0
4,,,,1,,0
"""


def test_the_file_by_hand(tmp_path: Path) -> None:
    jobs_out.write(tmp_path / "jobs.csv", by_hand())
    assert (tmp_path / "jobs.csv").read_text() == TEXT
    jobs_out.write(tmp_path / "jobs.csv.gz", by_hand())
    assert gzip.decompress((tmp_path / "jobs.csv.gz").read_bytes()).decode() == TEXT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jobs.csv", "jobs.csv.gz"]


def test_a_compressed_file_has_always_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        jobs_out.write(tmp_path / name, by_hand())
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_reading_the_file_again(tmp_path: Path) -> None:
    jobs_out.write(tmp_path / "jobs.csv", by_hand())
    assert list(jobs_out.read(tmp_path / "jobs.csv")) == [
        jobs_out.JobLine("1", 0, 4_250_000, 14_250_000, 2000, ("n2", "n1"), 1),
        jobs_out.JobLine("a,b", 1_500_000, 5_000_000, None, 1250, ("n1",), 0),
        jobs_out.JobLine("3", 2_000_000, None, None, 1000, (), 0),
        jobs_out.JobLine("4", None, None, None, 1000, (), 0),
    ]


def test_microseconds_survive(tmp_path: Path) -> None:
    far = 1_700_000_000_000_001
    ran = outcome([TraceJob("1", far, 1)], [(0, 0)])._replace(
        start_us=columns([TraceJob("1", far + 7, 1)]).submit_us
    )
    jobs_out.write(tmp_path / "jobs.csv", ran)
    assert "1700000000.000001,1700000000.000008" in (tmp_path / "jobs.csv").read_text()
    (line,) = jobs_out.read(tmp_path / "jobs.csv")
    assert (line.submit_us, line.start_us) == (far, far + 7)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text(TEXT.replace("4.25", "soon"))
    with pytest.raises(TraceBroken, match=r'line 2, column 3 \(start\): "soon", expected a number'):
        list(jobs_out.read(tmp_path / "jobs.csv"))


# ------------------------------------------------------------------------------------- the independent check


def trace_of(ran: Outcome) -> dict[str, jobs_check.Job]:
    return {
        job.id: jobs_check.Job(Fraction(job.submit_us, S), Fraction(job.run_us, S), Fraction(job.tasks))
        for job in ran.jobs
    }


@pytest.mark.parametrize("shortest", [False, True])
def test_the_check_finds_the_same_metrics(tmp_path: Path, shortest: bool) -> None:
    ran = played(random_jobs(300, random.Random(5), 16), 16, shortest=shortest)
    jobs_out.write(tmp_path / "jobs.csv.gz", ran)
    found = jobs_check.check(trace_of(ran), tmp_path / "jobs.csv.gz", 16)
    spent = times(ran, columns(ran.jobs))
    slow, wait = slowdown.spread(slowdown.bounded_slowdown(spent)), slowdown.spread(spent.wait)
    assert slow is not None and wait is not None
    assert (found.ended, found.most_procs) == (300, 16)
    assert [found.slowdown, found.wait_s] == pytest.approx([slow.mean, wait.mean])


LOG = """; a log
1 0 -1 10 4 -1 -1 2 20 -1 1 1 1 1 1 1 -1 -1
2 1 -1 0 4 -1 -1 4 20 -1 1 1 1 1 1 1 -1 -1
3 1 -1 -1 4 -1 -1 4 20 -1 1 1 1 1 1 1 -1 -1
4 1 -1 5 -1 -1 -1 -1 20 -1 1 1 1 1 1 1 -1 -1
1 1 -1 5 4 -1 -1 4 20 -1 3 1 1 1 1 1 -1 -1
"""
GOOD = """job,submit,start,end,procs,nodes,restarts
1,0,0,10,4,n,0
2,1,10,15,8,n,0
3,2,5,8,4,n,0
"""
JOBS = {
    "1": jobs_check.Job(Fraction(0), Fraction(10), Fraction(4)),
    "2": jobs_check.Job(Fraction(1), Fraction(5), Fraction(8)),
    "3": jobs_check.Job(Fraction(2), Fraction(3), Fraction(4)),
}


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ("2,1,10,15", "2,1,9,14", "line 3, job 2: with it 12 processors are in use at 9, there are 8"),
        ("3,2,5,8", "3,2,1,4", "line 4, job 3: starts at 1, before its submission at 2"),
        ("3,2,5,8", "3,1,5,8", "submitted at 1, not before 2"),
        ("3,2,5,8", "3,2,5,9", "ran 4 s, 3 s in the trace"),
        ("3,2,5,8,4,n,0", "3,2,5,7,4,n,1", "ran 2 s with restarts, 3 s in the trace without"),
        ("3,2,5,8,4", "3,2,5,8,2", "2 processors, 4 in the trace"),
        ("3,2,5,8", "3,2,5,", "has no end"),
        ("3,2,5,8", "2,1,5,8", "is there twice"),
        ("3,2,5,8", "9,1,5,8", "the trace has no such job"),
        ("3,2,5,8,4,n,0\n", "", "1 jobs of the trace are not there, 3 is one"),
    ],
)
def test_the_check_refuses(tmp_path: Path, was: str, becomes: str, why: str) -> None:
    (tmp_path / "good.csv").write_text(GOOD)
    assert jobs_check.check(JOBS, tmp_path / "good.csv", 8).ended == 3
    (tmp_path / "bad.csv").write_text(GOOD.replace(was, becomes))
    with pytest.raises(jobs_check.Wrong, match=why):
        jobs_check.check(JOBS, tmp_path / "bad.csv", 8)


def test_the_check_reads_a_log_by_itself(tmp_path: Path) -> None:
    (tmp_path / "log.swf").write_text(LOG)
    assert jobs_check.swf(tmp_path / "log.swf") == {
        "1": jobs_check.Job(Fraction(0), Fraction(10), Fraction(4)),
        "2": jobs_check.Job(Fraction(1), Fraction(0), Fraction(4)),
    }
    assert jobs_check.swf(tmp_path / "log.swf", unknown_run_s=10)["3"].run == 10
    (tmp_path / "jobs.csv").write_text("job,submit,start,end,procs,nodes,restarts\n1,0,0,10,4,n,0\n")
    assert jobs_check.check(jobs_check.swf(tmp_path / "log.swf"), tmp_path / "jobs.csv", 4).ended == 1


@pytest.mark.parametrize("name", ["KTH-SP2-filtered", "HPC2N-2002-first3171", "lublin_256"])
def test_the_check_and_the_reader_agree_on_a_log(repository: Path, name: str) -> None:
    path = repository / "benchmarks" / "data" / "swf" / f"{name}.swf.gz"
    read = {job.id: job for job in swf.read(path, Skipped())}
    checked = jobs_check.swf(path)
    assert read.keys() == checked.keys()
    for i, job in read.items():
        submit, run, procs = checked[i]
        assert [job.submit_us, job.run_us, job.tasks] == [submit * S, run * S, procs]

"""Our own job format: every column, defaults, what is wrong, and Parquet with and without its reader."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from packhorse.simulator.traces import jobfile
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.job import Ending, TraceJob

FULL = TraceJob(
    id="a,b",
    submit_us=1,
    run_us=2,
    limit_us=3,
    tasks=4,
    cpu_milli=500,
    mem_mib=6,
    n_gpus=1,
    gpu_milli=250,
    gpu_type="a100",
    nodes=2,
    user="u",
    group="g",
    queue="q",
    name='say "n"',
    ending=Ending.TIMEOUT,
    after="x",
    think_us=7,
    start_us=9,
    weight=0.5,
)


def test_there_and_back(tmp_path: Path) -> None:
    jobs = [FULL, TraceJob(id="x", submit_us=0, run_us=0), *(TraceJob(str(i), i, 1) for i in range(20_000))]
    path = tmp_path / "jobs.csv"
    path.write_text("".join(jobfile.write(jobs)))
    trace = open_trace(path)
    assert list(trace.jobs) == jobs
    assert (trace.name, trace.cluster, trace.skipped.count) == ("jobs", None, 0)


def test_every_field_has_a_column() -> None:
    assert {column.field for column in jobfile.COLUMNS.values()} == set(TraceJob.__struct_fields__)


def test_the_least_and_seconds(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("run_s,id,submit_s,tasks,think_s\n0.25,a,1e3,,2\n10,b,0.000001,3,\n")
    assert list(open_trace(path).jobs) == [
        TraceJob(id="a", submit_us=1_000_000_000, run_us=250_000, think_us=2_000_000),
        TraceJob(id="b", submit_us=1, run_us=10_000_000, tasks=3),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,run_s\n", "no column for submit_us; expected a header with id"),
        ("id,submit_s,run_s,cpus\n", 'column "cpus" is not known; there are id, submit_us'),
        ("id,submit_s,run_s,run_us\n", "is there in two units; keep one"),
        ("id,submit_s,run_s,id\n", 'column "id" is there twice'),
        ("id,submit_s,run_s\n,1,2\n", 'line 2, column 1 (id): "", expected something'),
        ("id,submit_s,run_s\na,1,\n", 'line 2, column 3 (run_s): "", expected something'),
        ("id,submit_s,run_s\na,-1,2\n", 'line 2, column 2 (submit_s): "-1", expected 0 to'),
        ("id,submit_s,run_us\na,1,2.5\n", 'line 2, column 3 (run_us): "2.5", expected a whole number'),
        ("id,submit_s,run_s,tasks\na,1,2,0\n", 'column 4 (tasks): "0", expected 1 and more'),
        ("id,submit_s,run_s,ending\na,1,2,done\n", 'column 4 (ending): "done", expected one of completed'),
        ("id,submit_s,run_s,nodes\na,1,2,3\n", 'column 4 (nodes): "3", expected at most as many as tasks, 1'),
        ("id,submit_s,run_s,gpu_milli\na,1,2,500\n", "expected 1000, since n_gpus is not 1"),
        ("id,submit_s,run_s,weight\na,1,2,-1\n", 'column 4 (weight): "-1", expected 0 and more'),
        ('id,submit_s,run_s\n"a,1,2\n', "unexpected end of data"),
        ('id,submit_s,run_s\na,"1\n2\x1b",2\n', r'column 2 (submit_s): "1\n2\x1b", expected a number'),
        (f"id,submit_s,run_us\na,1,{'9' * 5000}\n", f'(run_us): "{"9" * 59}…", expected at most'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(text)
    with pytest.raises(TraceBroken) as broken:
        list(jobfile.read(path, Skipped()))
    assert said in str(broken.value)
    assert "\n" not in str(broken.value)


def test_skip_and_count(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("id,submit_s,run_s\na,1,2\nb,x,2\nc,1\nd,1,2\n")
    trace = open_trace(path, on_broken="skip")
    assert [job.id for job in trace.jobs] == ["a", "d"]
    assert str(trace.skipped) == "2 lines skipped: 2 cannot be read"


def test_parquet_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = tmp_path / "jobs.parquet"
    path.write_bytes(b"PAR1\x00\xffPAR1")
    with pytest.raises(TraceBroken) as broken:
        open_trace(path)
    assert 'not installed: pip install "packhorse[parquet]", or write the jobs as CSV' in str(broken.value)


def test_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "jobs.parquet"
    table = pyarrow.table(
        {"id": ["a", "b"], "submit_s": [0.5, 1.0], "run_us": [7, 8], "tasks": [None, 2], "user": ["u", None]}
    )
    pyarrow.parquet.write_table(table, path)
    assert list(open_trace(path).jobs) == [
        TraceJob(id="a", submit_us=500_000, run_us=7, user="u"),
        TraceJob(id="b", submit_us=1_000_000, run_us=8, tasks=2),
    ]
    pyarrow.parquet.write_table(table.set_column(2, "run_us", [[7, None]]), path)
    with pytest.raises(TraceBroken, match=r'line 2, column 3 \(run_us\): "", expected something'):
        list(open_trace(path).jobs)
    path.write_bytes(b"PAR1\x00\xffPAR1")
    with pytest.raises(TraceBroken, match="cannot be read"):
        open_trace(path)
    with pytest.raises(TraceBroken, match="there is no such file"):
        jobfile.read(tmp_path / "none.parquet", Skipped())

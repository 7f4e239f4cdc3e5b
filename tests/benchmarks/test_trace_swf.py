"""Reading logs in the Standard Workload Format: every field, what is left out, what is broken."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.simulator.traces import swf
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.job import Ending, TraceJob

LOGS = Path("benchmarks", "data", "swf")

SMALL = """; Version: 2.2
; MaxNodes: 16
; MaxProcs: 128
; UnixStartTime: 1027839845
; Note: first
;       goes on
; Note: second
;
  1   0   5  100  4  90  2048  8  600  -1  1  7  3  2  1  1  -1  -1
  2  10  -1   60 16  -1    -1 -1   -1 512  0 -1 -1 -1  0 -1   1  30

  3  20  -1    0  1  -1    -1  1   60  -1  5  7  3 -1 -1 -1  -1  -1
  4  30  -1   -1  2  -1    -1  2   60  -1  5  7  3 -1 -1 -1  -1  -1
  5  40  -1   50 -1  -1    -1 -1   60  -1  1  7  3 -1 -1 -1  -1  -1
  7  -1  -1   50  1  -1    -1  1   60  -1  1  7  3 -1 -1 -1  -1  -1
  6  50  -1   50  1 9.5    -1  1   60  -1  4  7  3 -1 -1 -1  -1  -1
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.swf"
    path.write_text(SMALL)
    return path


def test_header(small: Path) -> None:
    header = swf.header(small)
    assert (header.max_procs, header.max_nodes, header.unix_start_s) == (128, 16, 1_027_839_845)
    assert header.procs == 128
    assert header.notes == ("first\ngoes on", "second")
    assert header.fields["Version"] == ("2.2",)


def test_all_fields_as_they_stand(small: Path) -> None:
    first, *_, last = swf.read_lines(small, Skipped())
    assert tuple(first) == (1, 0, 5, 100, 4, 90, 2048, 8, 600, -1, 1, 7, 3, 2, 1, 1, -1, -1)
    assert (last.cpu_s, last.status) == (9.5, 4)
    assert len(first) == swf.N_FIELDS == 18


def test_jobs(small: Path) -> None:
    skipped = Skipped()
    first, second, third = swf.read(small, skipped)
    assert first == TraceJob(
        id="1",
        submit_us=0,
        run_us=100_000_000,
        limit_us=600_000_000,
        tasks=8,  # more were asked for than given
        mem_mib=2,  # used, since nothing was asked for
        user="7",
        group="3",
        queue="1",
        name="2",
    )
    assert (second.tasks, second.limit_us, second.mem_mib) == (16, 60_000_000, 1)
    assert (second.ending, second.after, second.think_us) == (Ending.FAILED, "1", 30_000_000)
    assert (second.user, second.queue) == ("", "0")
    assert (third.run_us, third.ending) == (0, Ending.CANCELLED)
    assert skipped.left_out == {
        "run time unknown": 1,
        "processors unknown": 1,
        "submission unknown": 1,
        "part of a job that has another line": 1,
    }
    assert str(skipped) == (
        "4 lines skipped: 1 part of a job that has another line, 1 processors unknown, 1 run time unknown, "
        "1 submission unknown"
    )


def test_rules(small: Path) -> None:
    jobs = list(swf.read(small, Skipped(), swf.Rules(drop_zero_run=True, unknown_run_s=7)))
    assert [(job.id, job.run_us) for job in jobs] == [("1", 100_000_000), ("2", 60_000_000), ("4", 7_000_000)]


def test_reads_as_it_goes(small: Path) -> None:
    """A line that is broken further down is not seen before the ones above it are used."""
    small.write_text(SMALL + "broken\n")
    jobs = swf.read(small, Skipped())
    assert isinstance(jobs, Iterator)
    assert next(jobs).id == "1"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("7 1 2", "line 18: 3 fields, expected 18"),
        ("x " + "1 " * 17, 'line 18, field 1 (job): "x", expected a whole number'),
        ("1 1 1 1 1.5 " + "1 " * 13, 'line 18, field 5 (procs): "1.5", expected a whole number'),
        ("1 1 1 nan " + "1 " * 14, 'line 18, field 4 (run_s): "nan", expected a number'),
        ("1 1e30 " + "1 " * 16, 'line 18, field 2 (submit_s): "1e30", expected a number'),
        ("1 1 1 1 " + "9" * 5000 + " 1" * 13, "line 18, field 5 (procs)"),
    ],
)
def test_broken_lines(small: Path, line: str, said: str) -> None:
    whole = "8 60 -1 50 1 -1 -1 1 60 -1 1 7 3 -1 -1 -1 -1 -1"
    small.write_text(f"{SMALL};\n{line}\n{whole}\n")
    with pytest.raises(TraceBroken) as broken:
        list(swf.read(small, Skipped()))
    assert said in str(broken.value)
    skipped = Skipped("skip")
    assert [job.id for job in swf.read(small, skipped)] == ["1", "2", "3", "8"]
    assert (skipped.broken, skipped.count) == (1, 5)
    assert said in skipped.messages[0]


def test_many_broken_lines(small: Path) -> None:
    small.write_text("no log\n" * 1000)
    skipped = Skipped("skip")
    assert list(swf.read(small, skipped)) == []
    assert skipped.broken == 1000
    assert len(skipped.messages) == 5


def test_neither_stop_nor_skip() -> None:
    with pytest.raises(TraceBroken, match='on_broken "ignore": write stop or skip'):
        Skipped("ignore")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TraceBroken, match="there is no such file"):
        swf.header(tmp_path / "none.swf")
    path = tmp_path / "cut.swf.gz"
    path.write_bytes(gzip.compress(SMALL.encode())[:-12])
    with pytest.raises(TraceBroken, match=r"cut\.swf\.gz: cannot be read"):
        list(swf.read(path, Skipped("skip")))
    path = tmp_path / "latin.swf"
    path.write_bytes(b"; Acknowledge: \xc5ke\n; MaxProcs: many\n")
    with pytest.raises(TraceBroken, match='header field MaxProcs: "many", expected a whole number'):
        swf.header(path)


@pytest.mark.parametrize(
    ("log", "procs", "n", "n_by_rules"),
    [
        ("lublin_256", 256, 10_000, 10_000),
        ("KTH-SP2-filtered", 100, 28_481, 28_481),
        ("HPC2N-2002-first3171", 240, 3145, 3170),
    ],
)
def test_the_carried_logs(repository: Path, log: str, procs: int, n: int, n_by_rules: int) -> None:
    """n_by_rules: as many as reference_full_logs.csv counts."""
    path = repository / LOGS / f"{log}.swf.gz"
    assert swf.header(path).procs == procs
    assert sum(1 for _ in swf.read(path, Skipped())) == n
    jobs = swf.rlscheduler_jobs(path)
    assert len(jobs) == n_by_rules
    assert all(job.run_us > 0 and job.limit_us > 0 and 1 <= job.tasks <= procs for job in jobs)


def test_rlscheduler_sequences(repository: Path) -> None:
    starts = swf.sequences(repository / LOGS / "rlscheduler_sequences.csv", "lublin_256")
    assert starts[:2] == [(1981, 1024), (2756, 1024)]
    jobs = swf.rlscheduler_jobs(repository / LOGS / "lublin_256.swf.gz")
    window = swf.window(jobs, *starts[0])
    assert len(window) == 1024
    assert (window[0].id, window[-1].id) == ("1982", "3005")
    with pytest.raises(TraceBroken, match="1024 jobs from index 9000 on: the trace has 10000"):
        swf.window(jobs, 9000)
    with pytest.raises(TraceBroken, match='no sequence of workload "lublin_2"'):
        swf.sequences(repository / LOGS / "rlscheduler_sequences.csv", "lublin_2")

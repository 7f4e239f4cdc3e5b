"""Opening traces without saying what they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from packhorse.simulator.traces.broken import TraceBroken
from packhorse.simulator.traces.catalogue import FormatUnknown, open_trace
from packhorse.simulator.traces.parameters import ParameterError

DATA = Path("benchmarks", "data")


def test_a_batch_log(repository: Path) -> None:
    trace = open_trace(repository / DATA / "swf" / "HPC2N-2002-first3171.swf.gz")
    assert trace.name == "HPC2N-2002-first3171"
    assert trace.cluster is not None
    assert [node.cpu_milli for node in trace.cluster] == [240_000]
    assert sum(1 for _ in trace.jobs) == 3145
    assert trace.skipped.left_out == {"run time unknown": 25}


@pytest.mark.parametrize(
    ("format", "n"),
    [("swf:rlscheduler=1", 3170), ("swf:unknown_run_s=10", 3170), ("swf:drop_zero_run=1", 3145)],
)
def test_rules_of_a_batch_log(repository: Path, format: str, n: int) -> None:
    trace = open_trace(repository / DATA / "swf" / "HPC2N-2002-first3171.swf.gz", format)
    assert sum(1 for _ in trace.jobs) == n


def test_a_format_that_cannot_be_told(tmp_path: Path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text("job one\n")
    with pytest.raises(FormatUnknown) as unknown:
        open_trace(path)
    assert 'neither its name nor its first line ("job one") tells the format' in str(unknown.value)
    assert "swf (batch logs" in str(unknown.value)
    with pytest.raises(FormatUnknown, match='"swff" is no format of traces; there are swf'):
        open_trace(path, "swff")


def test_a_name_without_its_ending(repository: Path, tmp_path: Path) -> None:
    shutil.copy(repository / DATA / "swf" / "lublin_256.swf.gz", tmp_path / "log.gz")
    assert sum(1 for _ in open_trace(tmp_path / "log.gz", "swf").jobs) == 10_000


@pytest.mark.parametrize(
    ("format", "said"),
    [
        ("swf:unknown_run=10", 'parameter "unknown_run" is not known; accepted are drop_zero_run'),
        ("swf:unknown_run_s=x", 'unknown_run_s: "x", expected a number'),
        ("swf:drop_zero_run=2", 'drop_zero_run: "2", expected one of 0, 1'),
        ("swf:drop_zero_run", '"drop_zero_run" is not KEY=VALUE'),
        ("swf:drop_zero_run=1,drop_zero_run=1", "is there twice"),
    ],
)
def test_wrong_parameters(repository: Path, format: str, said: str) -> None:
    with pytest.raises(ParameterError) as wrong:
        open_trace(repository / DATA / "swf" / "lublin_256.swf.gz", format)
    assert said in str(wrong.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(TraceBroken, match="there is no such file"):
        open_trace(tmp_path / "none")

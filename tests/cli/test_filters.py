"""Which rows options leave: squeue --licenses, scancel --wckey, sacct's on asks and what was given."""

from __future__ import annotations

from typing import Any

import pytest

from packhorse.cli.slurm import sacct, sacct_narrow
from packhorse.cli.slurm.fields_accounting import ACCOUNTING_COLUMNS
from packhorse.cli.slurm.fields_jobs import JOB_COLUMNS
from packhorse.cli.slurm.process import CommandError
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler, table

NOW_S = 1_800_000_000


def row(columns: dict[str, str], **values: Any) -> dict[str, Any]:
    return {name: values.get(name, 0 if kind == "int" else "") for name, kind in columns.items()}


@pytest.fixture
def jobs(scheduler: FakeScheduler) -> FakeScheduler:
    rows = [
        row({**JOB_COLUMNS, "wckey": "text"}, job_id=job_id, array_task_id=-1, state="PENDING", **more)
        for job_id, more in (
            (1, {"licenses": "matlab:2", "wckey": "thesis"}),
            (2, {"licenses": "fluent,matlab:1"}),
            (3, {"licenses": "matlab2:1", "wckey": "course"}),
            (4, {}),
        )
    ]
    scheduler.on("ListJobs", lambda body: table(rows, body["fields"], NOW_S))
    scheduler.on(
        "CancelJobs", lambda body: {"outcomes": [{"ref": str(ref["jobId"])} for ref in body["jobs"]]}
    )
    return scheduler


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        (["-L", "matlab"], ["1", "2"]),
        (["--licenses=fluent,matlab2"], ["2", "3"]),
        (["-L", "none"], []),
        ([], ["1", "2", "3", "4"]),
    ],
)
def test_squeue_by_licences(jobs: FakeScheduler, run: Run, words: list[str], ids: list[str]) -> None:
    assert run("squeue", "-h", "-o", "%i", "-S", "i", *words) == (0, "".join(f"{one}\n" for one in ids), "")


def test_squeue_by_a_variable(jobs: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_LICENSES", "matlab2")
    assert run("squeue", "-h", "-o", "%i")[1] == "3\n"
    assert run("squeue", "-h", "-o", "%i", "-L", "fluent")[1] == "2\n"


def test_scancel_by_wckey(jobs: FakeScheduler, run: Run) -> None:
    said = run("scancel", "-v", "--wckey=thesis,course")
    assert said == (0, "", "scancel: Terminating job 1\nscancel: Terminating job 3\n")
    assert run("scancel", "--wckey=other") == (0, "", "")
    assert run("scancel", "-v", "--wckey=other")[2].endswith(
        "match ALL job filters, including: wckey=other \n"
    )


def test_scancel_without_anything_is_refused(jobs: FakeScheduler, run: Run) -> None:
    assert run("scancel") == (1, "", "scancel: error: No job identification provided\n")
    assert run("scancel", "--wckey=") == (1, "", "scancel: error: No job identification provided\n")


def accounted(job_id: int, **values: Any) -> list[dict[str, Any]]:
    """A job's row and that of its script."""
    job = row(ACCOUNTING_COLUMNS, job_id=job_id, row_kind="job", **values)
    return [job, row(ACCOUNTING_COLUMNS, job_id=job_id, row_kind="step", step="batch")]


ROWS = [
    *accounted(1, features="a100&ib", n_nodes=1, alloc_cpus=4, reason="None", time_limit_s=3600, wckey="w"),
    *accounted(2, features="[rack1*2&rack2]", n_nodes=3, alloc_cpus=12, reason="Licenses", time_limit_s=0),
    *accounted(3, features="a100|v100", n_nodes=8, alloc_cpus=512, reason="Priority", time_limit_s=86_400),
]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"constraints": "a100"}, [1, 3]),
        ({"constraints": "ib,a100"}, [1]),
        ({"constraints": "rack1"}, [2]),
        ({"constraints": "a10"}, []),
        ({"nnodes": "3"}, [2]),
        ({"nnodes": "1-3"}, [1, 2]),
        ({"ncpus": "12-1000"}, [2, 3]),
        ({"reason": "priority,licenses"}, [2, 3]),
        ({"timelimit-min": "60"}, [1]),
        ({"timelimit-min": "30", "timelimit-max": "1-00:00:00"}, [1, 3]),
        ({"timelimit-min": "2:00:00", "timelimit-max": "UNLIMITED"}, [2, 3]),
        ({"timelimit-max": "10"}, [1, 2, 3]),
        ({"nnodes": "1-3", "ncpus": "4"}, [1]),
        ({"wckeys": "v,w"}, [1]),
    ],
)
def test_sacct_narrowed(options: dict[str, str], ids: list[int]) -> None:
    found = sacct_narrow.narrowed(ROWS, options)
    assert [one["job_id"] for one in found] == [job_id for job_id in ids for _ in range(2)]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nnodes": "few"}, "sacct: error: --nnodes=few: write a number or MIN-MAX"),
        ({"timelimit-min": "x"}, "sacct: error: --timelimit-min: time limit"),
    ],
)
def test_sacct_refuses(options: dict[str, str], text: str) -> None:
    with pytest.raises(CommandError) as caught:
        sacct_narrow.narrowed(ROWS, options)
    assert caught.value.text.startswith(text)


def test_sacct_truncates(scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacct, "time", lambda: float(NOW_S))
    long_one = row(
        ACCOUNTING_COLUMNS,
        job_id=1,
        row_kind="job",
        array_task_id=-1,
        cancelled_by=-1,
        state="COMPLETED",
        start_at=(NOW_S - 7200) * 1_000_000,
        end_at=(NOW_S - 600) * 1_000_000,
    )
    scheduler.on("ListAccounting", lambda body: table([long_one], body["fields"], NOW_S))
    words = ("sacct", "-nPX", "-a", "-S", "now-1hour", "-E", "now-30minutes", "-o", "Start,End,Elapsed")
    assert run(*words)[1] == "2027-01-15T06:00:00|2027-01-15T07:50:00|01:50:00\n"
    assert run(*words, "-T")[1] == "2027-01-15T07:00:00|2027-01-15T07:30:00|00:30:00\n"

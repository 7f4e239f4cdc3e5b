"""Our own accounting as a trace."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from packhorse.scheduler.store.protocol import Batch
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore
from packhorse.simulator.traces import history
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.job import Ending, TraceJob
from tests.store.samples import row

US = 1_000_000


def test_a_job() -> None:
    (job,) = history.jobs(
        [
            row(
                7,
                submitted_at=10 * US,
                eligible_at=15 * US,
                started_at=20 * US,
                ended_at=50 * US,
                time_limit_s=60,
                n_nodes=2,
                n_tasks=4,
                n_cpus=8,
                mem_mib=4000,
                req_tres="billing=8,cpu=8,gres/gpu=4,gres/gpu:h100=4,node=2",
                alloc_tres="billing=8,cpu=8,gres/gpu=4,gres/gpu:h100=4,node=2",
                account="physics",
                state="TIMEOUT",
            )
        ],
        Skipped(),
    )
    assert job == TraceJob(
        id="7",
        submit_us=15 * US,
        run_us=30 * US,
        limit_us=60 * US,
        tasks=4,
        cpu_milli=2000,
        mem_mib=1000,
        n_gpus=1,
        gpu_type="h100",
        nodes=2,
        user="alice",
        group="physics",
        queue="main",
        name="job",
        ending=Ending.TIMEOUT,
    )


@pytest.mark.parametrize(
    ("tres", "n_tasks", "n_nodes", "shape"),
    [
        ("cpu=4", 4, 1, (4, 0, 1000)),
        ("cpu=4,gres/gpu=2", 4, 2, (4, 1, 500)),  # half a device a task is what it comes to
        ("cpu=4,gres/gpu=6", 4, 2, (2, 3, 1000)),
        ("cpu=4,gres/gpu=5", 4, 2, (1, 5, 1000)),
        ("cpu=4,gres/gpu=0.25", 1, 1, (1, 1, 250)),
        ("cpu=4,gres/gpu:1g.10gb=2", 1, 1, (1, 2, 1000)),
    ],
)
def test_devices_over_tasks(tres: str, n_tasks: int, n_nodes: int, shape: tuple[int, int, int]) -> None:
    rows = [row(1, req_tres=tres, alloc_tres=tres, n_tasks=n_tasks, n_nodes=n_nodes, n_cpus=4)]
    (job,) = history.jobs(rows, Skipped())
    assert (job.tasks, job.n_gpus, job.gpu_milli) == shape
    assert job.tasks * job.cpu_milli == 4000


def test_a_type_that_was_given_and_not_asked_for() -> None:
    rows = [row(1, req_tres="cpu=1,gres/gpu=1", alloc_tres="cpu=1,gres/gpu=1,gres/gpu:l40=1")]
    (job,) = history.jobs(rows, Skipped())
    assert (job.n_gpus, job.gpu_type) == (1, "")


def test_attempts_and_jobs_that_never_ran() -> None:
    skipped = Skipped()
    rows = [
        row(1, 1, state="REQUEUED", eligible_at=5, started_at=20, ended_at=30),
        row(1, 2, state="FAILED", eligible_at=40, started_at=50, ended_at=57),
        row(2, 0, state="CANCELLED", started_at=0),
        row(3, 1, state="NODE_FAIL", started_at=60, ended_at=61),
        row(3, 2, state="CANCELLED", started_at=0, ended_at=70),
    ]
    first, third = history.jobs(rows, skipped)
    assert (first.submit_us, first.run_us, first.ending) == (10, 7, Ending.FAILED)
    assert (third.id, third.run_us, third.ending) == ("3", 1, Ending.FAILED)
    assert skipped.left_out == {"never ran": 1}


def test_a_store(tmp_path: Path) -> None:
    """Beside the scheduler that has it open."""
    path = tmp_path / "store" / FILE_NAME
    store = SqliteStore(path, ballast=0)
    try:
        store.append(Batch(rows=[row(job, ended_at=(10 * job + 2) * US) for job in range(1, 41)]))
        store.append(Batch(rows=[row(41, 0, started_at=0)]))
        trace = open_trace(path)
        assert [job.id for job in trace.jobs] == [str(job) for job in range(1, 41)]
        assert trace.skipped.left_out == {"never ran": 1}
        assert [job.id for job in open_trace(path, "history:since=390").jobs] == ["39", "40"]
    finally:
        store.close()


def test_what_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(TraceBroken, match="is a database of something else; expected a store"):
        list(open_trace(path).jobs)
    path.write_bytes(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(TraceBroken, match=r"other\.db: cannot be read: "):
        list(open_trace(path).jobs)
    with pytest.raises(TraceBroken, match="there is no such file"):
        list(history.attempt_rows(tmp_path / "none.db"))

"""A store with a long history: finished jobs in log and accounting, as if they had run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.store_rate import fill as append_finished
from packhorse.scheduler.core import snapshot
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.store.sqlite import SqliteStore


def fill(database: Path, rows: int) -> None:
    """Add `rows` finished jobs to the store of a scheduler that is stopped, and a snapshot behind them."""
    store = SqliteStore(database)
    try:
        found = store.read_snapshot()
        if found is None:
            raise RuntimeError(f"{database}: no snapshot; stop the scheduler with packhorse down first")
        state = snapshot.load(found[1])
        append_finished(store, rows)
        state.next_job_id = JobId(store.highest_job_id() + 1)
        store.write_snapshot(store.last_seq(), snapshot.dump(state.freeze()))
    finally:
        store.close()

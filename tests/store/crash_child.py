"""A process that uses a store as the scheduler does, says what was acknowledged, and may be told to die.

    python -m tests.store.crash_child DIRECTORY

Appends `record N` and `snapshot N` to DIRECTORY/acknowledged whenever it was told that one is durable. The
state of which it writes snapshots is just that number.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.protocol import Batch, Live, Retention, blob_ref
from packhorse.scheduler.store.writer import GroupCommitWriter
from tests.store.conftest import sqlite_store
from tests.store.samples import row, submitted

ROUNDS = 12
JOBS = 3


def script(seq: int) -> bytes:
    """The blob that comes with a record."""
    return b"#!/bin/sh\n: %d\n" % seq


def state(seq: int) -> list[bytes]:
    """The chunks of the snapshot after a record."""
    return [b"state", b"%d" % seq, bytes(1000)]


def batch(seq: int, highest_job: int) -> Batch:
    """Record number seq: three new jobs, one script, and three rows of jobs that ended."""
    content = script(seq)
    return Batch(
        [encode(submitted(highest_job + 1, JOBS, at=seq), seq)],
        [(blob_ref(content), content)],
        [row(job, submitted_at=seq) for job in range(highest_job + 1, highest_job + JOBS + 1)],
    )


async def work(directory: Path) -> None:
    """Twelve batches with a snapshot after every third, and compaction at the end."""
    store = sqlite_store(directory)
    writer = GroupCommitWriter(store)
    writer.start()
    seq, job = store.last_seq(), store.highest_job_id()
    with (directory / "acknowledged").open("ab", buffering=0) as acknowledged:
        for number in range(ROUNDS):
            seq += 1
            await writer.submit(batch(seq, job))
            os.write(acknowledged.fileno(), b"record %d\n" % seq)
            job += JOBS  # type: ignore[assignment]
            if number % 3 == 2:
                await writer.write_snapshot(seq, state(seq))
                os.write(acknowledged.fileno(), b"snapshot %d\n" % seq)
    refs = frozenset(blob_ref(script(kept)) for kept in range(1, seq + 1))
    await writer.compact(Retention(log_keep_us=0), Live(seq, refs), Instant(1 << 60))
    await writer.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))

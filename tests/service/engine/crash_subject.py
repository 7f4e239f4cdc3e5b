"""A scheduler in a process of its own, to be killed: `-m tests.service.engine.crash_subject DB ACKS N`.

Prints its address, then submits N jobs one after the other and writes the number of each to ACKS as soon
as it was acknowledged. Serves until its input has ended and all jobs are over.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from packhorse.scheduler.model.reply import Submitted
from packhorse.scheduler.service.recovery import Housekeeping
from packhorse.scheduler.store.sqlite import SqliteStore
from tests.service.engine.cluster import ENDED, TEXTS, Cluster, a_submission, until


async def main(database: Path, acks: Path, n: int) -> None:
    store = SqliteStore(database, ballast=0, reserve=0)
    cluster = await Cluster(store, housekeeping=Housekeeping(snapshot_events=40)).start()
    print(cluster.address, flush=True)
    fd = os.open(acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(n):
        reply = await cluster.engine.call(a_submission(), TEXTS)
        assert isinstance(reply, Submitted)
        os.write(fd, f"{reply.first_id}\n".encode())
        await asyncio.sleep(0.005)
    await asyncio.to_thread(sys.stdin.read)
    await until(lambda: {job.state.name for job in cluster.engine.state.jobs.values()} <= ENDED, "all to end")
    await cluster.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))

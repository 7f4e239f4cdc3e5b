"""How fast the store is, empty and after a million finished jobs.

    python benchmarks/store_rate.py [--rows 1000000] [--directory DIR] [--json FILE]

Rates on the empty and on the full store are measured in turns, in one run, on the same disk: what counts is
their ratio. The full store is filled through the same `append` with what a job leaves behind: a submission, a
grant, a start, an end and its accounting row.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import platform
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.event import AttemptStarted, Event, Item, JobEnded, JobGranted, JobsSubmitted
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Job, JobSpec, JobState, Owner, Pending
from packhorse.scheduler.model.resources import Ask, Placement, Usage
from packhorse.scheduler.store.codec import encode
from packhorse.scheduler.store.protocol import AttemptQuery, Batch, Live, Retention, blob_ref
from packhorse.scheduler.store.sqlite import FILE_NAME, SqliteStore
from packhorse.scheduler.store.writer import Commit, GroupCommitWriter

USERS = 50
SCRIPT = b"#!/bin/bash\n#SBATCH -J name\n#SBATCH --time=1:00:00\nsrun ./solver --input data/file.in\n"
ENVIRONMENT = b"".join(b"VARIABLE_%d=some/path/of/usual/length:%d\0" % (n, n) for n in range(60))
SPEC = JobSpec(
    "job-name", Ask(), "main", blob_ref(SCRIPT), blob_ref(ENVIRONMENT), "/home/user/project/work",
    time_limit_s=3600, submit_host="login1", submit_line="sbatch --mem=4096 -t 60 job.sh", command="job.sh",
)  # fmt: skip


class Feed:
    """Makes what jobs leave behind, one job after the other, a job per millisecond."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.seq = store.last_seq()
        self.job = store.highest_job_id()

    def submission(self, count: int = 1) -> Batch:
        """One submission of count jobs with their script and environment."""
        first = JobId(self.job + 1)
        self.job = JobId(self.job + count)
        event = JobsSubmitted(self._at(first), _owner(first), first, (SPEC,), (Item(0),) * count)
        self.seq += 1
        return Batch([encode(event, self.seq)], [(SPEC.script_ref, SCRIPT), (SPEC.env_ref, ENVIRONMENT)])

    def finished(self, count: int) -> Batch:
        """All of the life of count jobs, each submitted on its own."""
        events: list[Event] = []
        rows: list[AttemptRow] = []
        for job in range(self.job + 1, self.job + count + 1):
            events += self._life(JobId(job))
            rows.append(self._row(JobId(job)))
        self.job = JobId(self.job + count)
        records = [encode(event, seq) for seq, event in enumerate(events, self.seq + 1)]
        self.seq += len(records)
        return Batch(records, (), rows)

    def _at(self, job: JobId) -> Instant:
        return Instant(1_700_000_000 * US + job * 1000)

    def _life(self, job: JobId) -> list[Event]:
        at = self._at(job)
        key = AttemptKey(job, 1, 1)
        node = Placement(NodeName(f"node{job % 100}"), 1000, 4096)
        return [
            JobsSubmitted(at, _owner(job), job, (SPEC,), (Item(0),)),
            JobGranted(at, job, key, (node,)),
            AttemptStarted(at, job, key),
            JobEnded(at, job, JobState.COMPLETED, key, at, usage=Usage(1000, 1000, 5000, 9000)),
        ]

    def _row(self, job: JobId) -> AttemptRow:
        at = self._at(job)
        owner = _owner(job)
        return AttemptRow(
            job, 1, JobId(0), -1, "", SPEC.name, owner.uid, owner.gid, owner.user, owner.group, "account",
            "main", "normal", "COMPLETED", "None", "", 0, 0, -1, at, at, at, at, 3600, 1, 1, 1, 4096, "4096M",
            "billing=1,cpu=1,mem=4G,node=1", "billing=1,cpu=1,mem=4G,node=1", f"node{job % 100}", 1000, 0,
            SPEC.work_dir, "", SPEC.submit_line, "", "", 0, "", "", 0, "", Usage(1000, 1000, 5000, 9000),
        )  # fmt: skip


def _owner(job: int) -> Owner:
    return Owner(1000 + job % USERS, 1000, f"user{job % USERS}", "users")


async def sequential(writer: GroupCommitWriter, feed: Feed, seconds: float) -> tuple[float, list[float]]:
    """Single submissions one after the other: per second, and how long each took."""
    took = []
    begun = time.perf_counter()
    while (now := time.perf_counter()) - begun < seconds:
        await writer.submit(feed.submission())
        took.append(time.perf_counter() - now)
    return len(took) / (time.perf_counter() - begun), took


async def concurrent(writer: GroupCommitWriter, feed: Feed, seconds: float, callers: int = 64) -> float:
    """Single submissions of many callers at once, per second."""
    n = 0
    begun = time.perf_counter()

    async def caller() -> None:
        nonlocal n
        while time.perf_counter() - begun < seconds:
            await writer.submit(feed.submission())
            n += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return n / (time.perf_counter() - begun)


async def batches(writer: GroupCommitWriter, feed: Feed, seconds: float) -> float:
    """Submissions of 10,000 jobs each: jobs per second."""
    n = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        await writer.submit(feed.submission(10_000))
        n += 10_000
    return n / (time.perf_counter() - begun)


async def lives(writer: GroupCommitWriter, feed: Feed, seconds: float) -> float:
    """Whole lives of jobs, 64 to a transaction: jobs per second."""
    n = 0
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        await writer.submit(feed.finished(64))
        n += 64
    return n / (time.perf_counter() - begun)


def fill(store: SqliteStore, rows: int) -> float:
    """Append that many finished jobs; returns jobs per second."""
    feed = Feed(store)
    begun = time.perf_counter()
    while feed.job < rows:
        store.append(feed.finished(min(5000, rows - feed.job)))
    return rows / (time.perf_counter() - begun)


async def rates(stores: dict[str, SqliteStore], rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Every rate on every store, the stores in turns; the median of the rounds."""
    writers: dict[str, GroupCommitWriter] = {}
    feeds = {name: Feed(store) for name, store in stores.items()}
    commits: dict[str, list[float]] = {name: [] for name in stores}
    for name, store in stores.items():
        times = commits[name]

        def note(commit: Commit, times: list[float] = times) -> None:
            times.append(commit.seconds)

        writers[name] = GroupCommitWriter(store, on_commit=note)
        writers[name].start()
    found: dict[str, dict[str, list[float]]] = {name: {} for name in stores}
    for turn in range(rounds):
        for name in list(stores) if turn % 2 else reversed(stores):
            writer, feed = writers[name], feeds[name]
            values = {
                "64 callers, submissions/s": await concurrent(writer, feed, seconds),
                "batches of 10,000, jobs/s": await batches(writer, feed, seconds / 4),
                "whole lives, jobs/s": await lives(writer, feed, seconds),
            }
            commits[name].clear()
            values["one after the other, submissions/s"], took = await sequential(writer, feed, seconds)
            took.sort()
            times = sorted(commits[name])
            values["  round trip median, us"] = took[len(took) // 2] * 1e6
            values["  round trip 99 %, us"] = took[len(took) * 99 // 100] * 1e6
            values["  round trip longest, us"] = took[-1] * 1e6
            values["  of which commit median, us"] = times[len(times) // 2] * 1e6
            for key, value in values.items():
                found[name].setdefault(key, []).append(value)
    for writer in writers.values():
        await writer.close()
    return {
        name: {key: statistics.median(values) for key, values in of.items()} for name, of in found.items()
    }


def timed(work: Callable[[], object], times: int = 5) -> float:
    """Milliseconds, the median."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took) * 1e3


def queries(store: SqliteStore, rows: int) -> dict[str, float]:
    """Milliseconds of the usual accounting queries and lookups."""
    at = Feed(store)._at(JobId(rows))
    hour = Instant(at - rows * 1000 // 24)
    log = store.job_log(JobId(rows // 2))
    assert len(log) == 4, log
    some = tuple(range(1, rows, rows // 100))
    return {
        "sacct -j ID, ms": timed(lambda: store.attempts(AttemptQuery(jobs=(rows // 2,)))),
        "sacct -j 100 IDs, ms": timed(lambda: store.attempts(AttemptQuery(jobs=some))),
        f"sacct -u USER -S, {rows // 24 // USERS} rows, ms": timed(
            lambda: store.attempts(AttemptQuery(users=("user7",), since=hour))
        ),
        f"sacct -u USER, {rows // USERS} rows of all time, ms": timed(
            lambda: store.attempts(AttemptQuery(users=("user7",)))
        ),
        "sacct -u NOBODY, all time, ms": timed(lambda: store.attempts(AttemptQuery(users=("nobody",)))),
        f"sacct -a -S, {rows // 24} rows, ms": timed(lambda: store.attempts(AttemptQuery(since=hour))),
        "sacct -s FAILED, whole table, ms": timed(lambda: store.attempts(AttemptQuery(states=("FAILED",)))),
        "sacct newest 1000, ms": timed(lambda: store.attempts(AttemptQuery(limit=1000))),
        "events JOB, ms": timed(lambda: store.job_log(JobId(rows // 2))),
        "script, ms": timed(lambda: store.blob(SPEC.script_ref)),
    }


def snapshots(store: SqliteStore, jobs: int = 100_000) -> dict[str, float]:
    """Milliseconds to write and read the state of that many pending jobs, 1000 to a chunk."""
    encoder = msgspec.msgpack.Encoder()

    def chunks() -> Iterator[bytes]:
        for first in range(1, jobs + 1, 1000):
            ids = map(JobId, range(first, first + 1000))
            yield encoder.encode([Job(id_, SPEC, _owner(id_), Instant(id_), Pending()) for id_ in ids])

    decoder = msgspec.msgpack.Decoder(list[Job])
    steps: list[float] = []
    begun = time.perf_counter()
    last = begun
    for _ in store.snapshot_steps(store.last_seq(), chunks()):
        steps.append((now := time.perf_counter()) - last)
        last = now
    written = time.perf_counter() - begun
    begun = time.perf_counter()
    found = store.read_snapshot()
    assert found is not None
    size = sum(map(len, found[1]))
    read = time.perf_counter() - begun
    again = store.read_snapshot()
    assert again is not None
    begun = time.perf_counter()
    n = sum(len(decoder.decode(chunk)) for chunk in again[1])
    assert n == jobs
    return {
        "snapshot, MB": size / 1e6,
        "  written, encoding included, ms": written * 1e3,
        "  longest step, ms": max(steps) * 1e3,
        "  read and verified, ms": read * 1e3,
        "  decoded, ms": (time.perf_counter() - begun) * 1e3,
    }


def compaction(store: SqliteStore) -> dict[str, float]:
    """Milliseconds of the steps that remove the log a snapshot covers."""
    store.write_snapshot(store.last_seq(), [b"state"])
    store.write_snapshot(store.last_seq(), [b"state"])
    live = Live(store.last_seq(), {SPEC.script_ref, SPEC.env_ref})
    steps: list[float] = []
    more = True
    while more and len(steps) < 2000:
        begun = time.perf_counter()
        more = store.compact_step(Retention(log_keep_us=0), live, Instant(1 << 60))
        steps.append(time.perf_counter() - begun)
    steps.sort()
    return {
        "compaction step, median, ms": steps[len(steps) // 2] * 1e3,
        "  99 %, ms": steps[len(steps) * 99 // 100] * 1e3,
        "  longest, ms": steps[-1] * 1e3,
        "  steps": len(steps),
    }


def machine() -> str:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(names, platform.machine())
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}"
    )


def show(title: str, values: dict[str, float]) -> None:
    print(f"\n{title}")
    for key, value in values.items():
        print(f"  {key:<44}{value:>14,.3f}" if value < 100 else f"  {key:<44}{value:>14,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000, help="finished jobs in the full store")
    parser.add_argument("--directory", type=Path, default=None, help="where to make the stores")
    parser.add_argument("--rounds", type=int, default=15, help="turns of the rates on both stores")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of one measurement")
    parser.add_argument("--json", type=Path, default=None, help="write the figures there too")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="store-rate-", dir=options.directory))
    try:
        print(machine())
        full = SqliteStore(directory / "full" / FILE_NAME)
        filled = fill(full, options.rows)
        size = sum(
            file.stat().st_size for file in (directory / "full").glob("*.db*") if "ballast" not in file.name
        )
        figures = {
            f"filled with {options.rows:,} finished jobs": {
                "jobs/s": filled, "bytes a job": size / options.rows
            }
        }  # fmt: skip
        full.append(Feed(full).submission())
        figures["queries on it"] = queries(full, options.rows)
        empty = SqliteStore(directory / "empty" / FILE_NAME)
        gc.freeze()
        found = asyncio.run(rates({"empty": empty, "full": full}, options.rounds, options.seconds))
        figures["rates, empty store"] = found["empty"]
        figures["rates, full store"] = found["full"]
        figures["full / empty"] = {key: found["full"][key] / value for key, value in found["empty"].items()}
        begun = time.perf_counter()
        full = SqliteStore(directory / "full" / FILE_NAME)
        figures["opened again, full store"] = {"ms": (time.perf_counter() - begun) * 1e3}
        figures["snapshot of 100,000 pending jobs"] = snapshots(full)
        figures["compaction of the full store"] = compaction(full)
        full.close()
        for title, values in figures.items():
            show(title, values)
        if options.json is not None:
            options.json.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n")
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()

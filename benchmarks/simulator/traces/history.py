"""Our own accounting: what a cluster of Packhorse has recorded, as jobs that can be simulated.

A job with several attempts (requeued, retried) is one job that runs as long as its last attempt that ran did.
It counts as submitted when it was first eligible: holds, begin times and dependencies are in that. Amounts
are those that were allocated, spread evenly over its tasks, or over fewer tasks if devices could not be
spread otherwise; types of devices are those that were asked for. group is the account, where there is one.
Jobs that never ran are left out; those that have not ended are not in the accounting, nor are licences and
topologies that were asked for. Features are there, but a trace has no field for them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.model.resources import WHOLE
from packhorse.scheduler.store.accounting import add_functions, from_values, select
from packhorse.scheduler.store.protocol import AttemptQuery, Attempts
from packhorse.scheduler.store.schema import APPLICATION_ID
from packhorse.simulator.traces.broken import Skipped, TraceBroken
from packhorse.simulator.traces.job import Ending, TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.trace import Format, Trace, trace_name

MAGIC: Final = "SQLite format 3\0"
"""What an SQLite file begins with."""

_ENDINGS: Final = {
    JobState.COMPLETED: Ending.COMPLETED,
    JobState.CANCELLED: Ending.CANCELLED,
    JobState.TIMEOUT: Ending.TIMEOUT,
    JobState.DEADLINE: Ending.TIMEOUT,
}
"""All else is a failure."""


class Gpus(NamedTuple):
    """Devices of a whole job: thousandths in all, and the type that was asked for, "" for any."""

    milli: int
    type: str


def read(path: Path, skipped: Skipped, since: Instant | None = None) -> Iterator[TraceJob]:
    """The jobs recorded in a store, packhorse.db, by number. since: without those that had ended before.

    Reads beside a scheduler that is at work. Raises TraceBroken.
    """
    return jobs(attempt_rows(path, since), skipped)


def attempt_rows(path: Path, since: Instant | None = None) -> Iterator[AttemptRow]:
    """All attempts in a store by job, oldest first, read as they are needed. Raises TraceBroken."""
    if not path.is_file():
        raise TraceBroken(f"{path}: there is no such file")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5.0)) as connection:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise TraceBroken(f"{path}: is a database of something else; expected a store, packhorse.db")
            add_functions(connection)
            statement, values = select(AttemptQuery(since=since, attempts=Attempts.ALL))
            for row in connection.execute(statement, values):
                yield from_values(row)
    except sqlite3.Error as why:
        raise TraceBroken(f"{path}: cannot be read: {why}") from why


def jobs(rows: Iterable[AttemptRow], skipped: Skipped) -> Iterator[TraceJob]:
    """The jobs of accounting rows, which come by job and attempt."""
    for _, group in groupby(rows, key=lambda row: row.job):
        attempts = list(group)
        ran = [row for row in attempts if row.started_at and row.ended_at >= row.started_at]
        if ran:
            yield _job(attempts[0], ran[-1])
        else:
            skipped.leave_out("never ran")


def _job(first: AttemptRow, last: AttemptRow) -> TraceJob:
    gpus = gpus_of(last)
    tasks = _tasks(last, gpus.milli)
    milli = gpus.milli // tasks
    return TraceJob(
        id=str(last.job),
        submit_us=max(first.submitted_at, first.eligible_at),
        run_us=last.ended_at - last.started_at,
        limit_us=last.time_limit_s * US,
        tasks=tasks,
        cpu_milli=-(-last.n_cpus * 1000 // tasks),
        mem_mib=-(-last.mem_mib // tasks),
        n_gpus=1 if 0 < milli < WHOLE else milli // WHOLE,
        gpu_milli=milli if 0 < milli < WHOLE else WHOLE,
        gpu_type=gpus.type,
        nodes=min(last.n_nodes, tasks),
        user=last.user,
        group=last.account or last.group,
        queue=last.partition,
        name=last.name,
        ending=_ENDINGS.get(JobState(last.state), Ending.FAILED),
    )


def _tasks(row: AttemptRow, gpu_milli: int) -> int:
    """As many as the job had tasks, or nodes, or one: so that each has whole devices or a share of one."""
    for n in (row.n_tasks, row.n_nodes):
        if n > 0 and gpu_milli % n == 0 and (gpu_milli // n % WHOLE == 0 or gpu_milli // n < WHOLE):
            return n
    return 1


def gpus_of(row: AttemptRow) -> Gpus:
    """What the accounting's texts (`cpu=4,gres/gpu=2,gres/gpu:h100=2`) say of devices."""
    given, asked = _tres(row.alloc_tres or row.req_tres), _tres(row.req_tres)
    typed = [name for name in asked if name.startswith("gpu:")]
    type_ = typed[0].removeprefix("gpu:") if len(typed) == 1 else ""
    return Gpus(given.get("gpu", 0) or sum(n for name, n in given.items() if name.startswith("gpu:")), type_)


def _tres(text: str) -> dict[str, int]:
    """Thousandths by name of what is `gres/NAME=AMOUNT`."""
    found = {}
    for part in text.split(","):
        name, _, amount = part.partition("=")
        if name.startswith("gres/") and amount.replace(".", "", 1).isdecimal():
            found[name.removeprefix("gres/")] = round(float(amount) * WHOLE)
    return found


def _suits(path: Path, top: list[str]) -> bool:
    return bool(top) and top[0].startswith(MAGIC)


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """since=SECONDS: without jobs that had ended before, in seconds since 1970."""
    how.only("since")
    since = Instant(how.whole("since", 0, 0, 1 << 40) * US) if "since" in how.values else None
    return Trace(trace_name(path), read(path, skipped, since), None, skipped)


FORMAT: Final = Format("our own accounting, packhorse.db", _suits, _open)

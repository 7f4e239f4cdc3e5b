"""What became of each job as a CSV file that anyone can check again: a row a job, in the order of the trace.

`job,submit,start,end,procs,nodes,restarts`: times in seconds of the trace's clock, with as many decimals as
they need; start: the first; start and end are empty where that did not happen. procs: CPUs of the whole job,
with decimals where it asks for parts. nodes: names of the nodes of the last start, joined by ";".
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from packhorse.scheduler.model.resources import WHOLE
from packhorse.simulator.metrics.columns import US, columns, submitted_us
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.traces.csvfile import Record, records

HEADER: Final = ("job", "submit", "start", "end", "procs", "nodes", "restarts")


class JobLine(NamedTuple):
    """One row. Times in microseconds, None where it did not happen; nodes: of the last start."""

    id: str
    submit_us: int | None
    start_us: int | None
    end_us: int | None
    cpu_milli: int
    nodes: tuple[str, ...]
    restarts: int


def write(path: Path, outcome: Outcome) -> None:
    """The file is there whole or not at all; a name that ends in .gz makes it compressed, always to the same
    bytes. A job that waits for the end of another that never came has no submission.
    """
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as raw, ExitStack() as stack:
        packed = (
            stack.enter_context(gzip.GzipFile("", "wb", mtime=0, fileobj=raw))
            if path.suffix == ".gz"
            else raw
        )
        with io.TextIOWrapper(packed, encoding="utf-8", newline="") as text:
            rows = csv.writer(text, lineterminator="\n")
            rows.writerow(HEADER)
            rows.writerows(_rows(outcome))
    os.replace(part, path)


def _rows(outcome: Outcome) -> Iterator[tuple[str, str, str, str, str, str, int]]:
    of = columns(outcome.jobs)
    numbers = zip(
        submitted_us(outcome, of).tolist(),
        outcome.start_us.tolist(),
        outcome.end_us.tolist(),
        of.cpu_milli.tolist(),
        outcome.restarts.tolist(),
        strict=True,
    )
    for job, nodes, (submit, start, end, milli, restarts) in zip(
        outcome.jobs, outcome.nodes, numbers, strict=True
    ):
        times = (_decimal(us, US) if us != NOT_YET else "" for us in (submit, start, end))
        yield job.id, *times, _decimal(milli, WHOLE), ";".join(nodes), restarts


def _decimal(amount: int, of: int) -> str:
    """amount / of without loss; of: a power of ten."""
    whole, rest = divmod(amount, of)
    return f"{whole}.{rest:0{len(str(of)) - 1}}".rstrip("0") if rest else str(whole)


def read(path: Path) -> Iterator[JobLine]:
    """The rows again. Raises TraceBroken with line and column where one is not as it should be."""
    for record in records(path, HEADER):
        yield JobLine(
            id=record.text("job"),
            submit_us=_scaled(record, "submit", US),
            start_us=_scaled(record, "start", US),
            end_us=_scaled(record, "end", US),
            cpu_milli=round(record.number("procs") * WHOLE),
            nodes=tuple(record.text("nodes").split(";")) if record.text("nodes") else (),
            restarts=record.whole("restarts"),
        )


def _scaled(record: Record, column: str, by: int) -> int | None:
    return round(record.number(column) * by) if record.text(column) else None

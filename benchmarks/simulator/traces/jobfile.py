"""Our own job format, `packhorse-jobs`: CSV or Parquet with a header, a job a line, for anyone to write.

Columns, in any order; id, a submission and a run time must be there. An empty field means the default.

    id          text     the job's name, once in the file
    submit_us   whole    when it is submitted, in microseconds; or submit_s, in seconds with decimals
    run_us      whole    how long it runs once started; or run_s
    limit_us    whole    how long its user says it may run, 0: not known (0); or limit_s
    tasks       whole    processes (1)
    cpu_milli   whole    thousandths of a CPU that each takes (1000)
    mem_mib     whole    memory that each takes (0: not counted)
    n_gpus      whole    devices that each takes (0)
    gpu_milli   whole    with n_gpus 1, thousandths of that device (1000: all of it)
    gpu_type    text     type of the devices (any)
    nodes       whole    nodes that the tasks are spread over (0: as many as it takes)
    user, group, queue, name    text ("")
    ending      text     completed, failed, cancelled or timeout (completed)
    after       text     id of the job that has to end before this one is submitted ("": none)
    think_us    whole    how long after that it is submitted (0); or think_s
    weight      number   relative importance (1)
    qos         text     quality of service ("": the usual one)
    use         text     name of its memory use over time ("": all that it asks for, all the time)
    start_us    whole    time that every start of it takes before it gets on with its work (0); or start_s
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import astuple

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces import parquetfile
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted
from packhorse.simulator.traces.csvfile import Record, records
from packhorse.simulator.traces.job import Ending, TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.textfile import head
from packhorse.simulator.traces.trace import Format, Trace, columns, trace_name

MOST_US: Final = 1 << 61
MOST_MILLI: Final = 1 << 40
MOST_COUNT: Final = 1 << 30
BUFFER: Final = 65_536
"""Characters that are written at once."""

Value = str | int | float


class Column(NamedTuple):
    """One column, of the field of TraceJob that is called `field`."""

    field: str
    read: Callable[[Record, str], Value]


def _text(line: Record, column: str) -> str:
    return line.text(column)


def _whole(most: int, least: int = 0) -> Callable[[Record, str], int]:
    def read(line: Record, column: str) -> int:
        value = line.whole(column, most)
        if value < least:
            line.wrong(column, f"{least} and more")
        return value

    return read


def _seconds(line: Record, column: str) -> int:
    value = line.number(column)
    if not 0 <= value <= MOST_US // US:
        line.wrong(column, f"0 to {MOST_US // US}")
    return round(value * US)


def _ending(line: Record, column: str) -> Ending:
    try:
        return Ending(line.text(column))
    except ValueError:
        line.wrong(column, f"one of {', '.join(Ending)}")


def _weight(line: Record, column: str) -> float:
    value = line.number(column)
    if value < 0:
        line.wrong(column, "0 and more")
    return value


COLUMNS: Final[dict[str, Column]] = {
    "id": Column("id", _text),
    "submit_us": Column("submit_us", _whole(MOST_US)),
    "submit_s": Column("submit_us", _seconds),
    "run_us": Column("run_us", _whole(MOST_US)),
    "run_s": Column("run_us", _seconds),
    "limit_us": Column("limit_us", _whole(MOST_US)),
    "limit_s": Column("limit_us", _seconds),
    "tasks": Column("tasks", _whole(MOST_COUNT, 1)),
    "cpu_milli": Column("cpu_milli", _whole(MOST_MILLI)),
    "mem_mib": Column("mem_mib", _whole(MOST_MILLI)),
    "n_gpus": Column("n_gpus", _whole(MOST_COUNT)),
    "gpu_milli": Column("gpu_milli", _whole(1000, 1)),
    "gpu_type": Column("gpu_type", _text),
    "nodes": Column("nodes", _whole(MOST_COUNT)),
    "user": Column("user", _text),
    "group": Column("group", _text),
    "queue": Column("queue", _text),
    "name": Column("name", _text),
    "ending": Column("ending", _ending),
    "after": Column("after", _text),
    "think_us": Column("think_us", _whole(MOST_US)),
    "think_s": Column("think_us", _seconds),
    "start_us": Column("start_us", _whole(MOST_US)),
    "start_s": Column("start_us", _seconds),
    "weight": Column("weight", _weight),
    "qos": Column("qos", _text),
    "use": Column("use", _text),
}
NEEDED: Final = ("id", "submit_us", "run_us")


def read(path: Path, skipped: Skipped) -> Iterator[TraceJob]:
    """The jobs of a file, in its order; a name that ends in .parquet is Parquet.

    Raises TraceBroken that names file, line and column; lines of a Parquet file are its rows, from 1 on.
    """
    if path.suffix == ".parquet":
        names, lines = parquetfile.records(path)
    else:
        names, lines = sorted(columns(head(path, 1))), records(path, (), skipped)
    fields = [COLUMNS[name].field for name in names if name in COLUMNS]
    for field in NEEDED:
        if field not in fields:
            raise TraceBroken(
                f"{path}: no column for {field}; expected a header with id, submit_us and run_us"
            )
    for name in names:
        if name not in COLUMNS:
            raise TraceBroken(f'{path}: column "{name}" is not known; there are {", ".join(COLUMNS)}')
        if fields.count(COLUMNS[name].field) > 1:
            raise TraceBroken(f'{path}: column "{name}" is there in two units; keep one')
    taken = [(name, COLUMNS[name]) for name in names]
    return converted(lines, lambda line: _job(line, taken), skipped)


def _job(line: Record, taken: list[tuple[str, Column]]) -> TraceJob:
    values = {column.field: column.read(line, name) for name, column in taken if line.text(name)}
    for field in NEEDED:
        if field not in values:
            name = next(name for name, column in taken if column.field == field)
            line.wrong(name, "something: it has no default")
    job = TraceJob(**values)  # type: ignore[arg-type]
    if job.gpu_milli < 1000 and job.n_gpus != 1:
        line.wrong("gpu_milli", "1000, since n_gpus is not 1")
    if job.nodes > job.tasks:
        line.wrong("nodes", f"at most as many as tasks, {job.tasks}")
    return job


def write(jobs: Iterable[TraceJob]) -> Iterator[str]:
    """A CSV file with these jobs, line by line, that reads as the same jobs."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(TraceJob.__struct_fields__)
    for job in jobs:
        writer.writerow(astuple(job))
        if buffer.tell() > BUFFER:
            yield from _lines(buffer)
    yield from _lines(buffer)


def _lines(buffer: io.StringIO) -> Iterator[str]:
    """What has been written, which is forgotten."""
    yield from buffer.getvalue().splitlines(keepends=True)
    buffer.seek(0)
    buffer.truncate()


def _suits(path: Path, top: list[str]) -> bool:
    there = columns(top)
    fields = {COLUMNS[name].field for name in there if name in COLUMNS}
    return path.suffix == ".parquet" or fields.issuperset(NEEDED)


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """No parameters."""
    how.only()
    return Trace(trace_name(path), read(path, skipped), None, skipped)


FORMAT: Final = Format("our own job format, CSV or .parquet", _suits, _open)

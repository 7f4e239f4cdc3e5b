"""The Standard Workload Format of the Parallel Workloads Archive: logs of batch systems.

Chapin et al., "Benchmarks and Standards for the Evaluation of Parallel Job Schedulers", JSSPP 1999; version
2.2 of the format. A line is a job of 18 fields separated by blanks, -1 meaning "not known"; lines that begin
with ";" are `; Name: value` and come first. Files may be gzipped.

What a line becomes (`Rules` says what may be chosen):
- tasks: the larger of fields 5 and 8 (processors allocated and requested), each one CPU.
- run_us: field 4. Unknown (below 0): left out, or taken for `unknown_run_s`. 0: kept, or left out
  (`drop_zero_run`). Processors or submission unknown: left out. A status of 2, 3 or 4 is part of a job that
  has a line for the whole as well, and is left out.
- limit_us: field 9, what the user asked for; where unknown, the run time.
- mem_mib of a task: field 10 (requested), where unknown field 7 (used); both are KiB for each processor.
- user, group, name (executable) and queue: fields 12 to 15 as they stand there. Partition (16) is not used,
  nor are wait (3) and CPU time (6), which are what another scheduler made of the job.
- ending: 0 failed, 5 cancelled, all else completed. after, think_us: fields 17 and 18.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from packhorse.scheduler.model.ids import US
from packhorse.simulator.traces.broken import Skipped, TraceBroken, converted, shown
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.csvfile import records
from packhorse.simulator.traces.job import Ending, TraceJob
from packhorse.simulator.traces.parameters import Named
from packhorse.simulator.traces.textfile import lines
from packhorse.simulator.traces.trace import Format, Trace, trace_name

WINDOW: Final = 1024
"""Jobs of one of RLScheduler's sequences."""

MOST: Final = 1 << 40
"""No field is larger: seconds, processors and KiB stay far from the end of 64 bits in microseconds."""


class SwfLine(NamedTuple):
    """The 18 fields in their order; -1: not known. Times in seconds, memory in KiB for each processor."""

    job: int
    submit_s: float
    wait_s: float
    run_s: float
    procs: int
    cpu_s: float
    used_kib: float
    req_procs: int
    req_s: float
    req_kib: float
    status: int
    user: int
    group: int
    executable: int
    queue: int
    partition: int
    after: int
    think_s: float


N_FIELDS: Final = len(SwfLine._fields)
_WHOLE: Final = frozenset(i for i, name in enumerate(SwfLine._fields) if not name.endswith(("_s", "_kib")))
"""Fields that have no decimals."""
_ENDINGS: Final = {0: Ending.FAILED, 5: Ending.CANCELLED}
_PARTS: Final = (2, 3, 4)


class SwfHeader(NamedTuple):
    """What the lines at the top say. 0 where they do not. fields: all of them, by name in the file's order, a
    name that stands there twice with both values."""

    max_procs: int
    max_nodes: int
    unix_start_s: int
    notes: tuple[str, ...]
    fields: dict[str, tuple[str, ...]]

    @property
    def procs(self) -> int:
        """Processors of the machine; a log that counts nodes only had one in each."""
        return self.max_procs or self.max_nodes


class Rules(NamedTuple):
    """Which lines become jobs. unknown_run_s: a run time below 0 is taken for this; None: left out."""

    drop_zero_run: bool = False
    unknown_run_s: int | None = None


DEFAULT: Final = Rules()
RLSCHEDULER: Final = Rules(drop_zero_run=True, unknown_run_s=10)
"""As the experiments of RLScheduler read a log (Zhang et al., SC 2020)."""


def header(path: Path) -> SwfHeader:
    """The top of a file. Raises TraceBroken where it cannot be read."""
    found: dict[str, list[str]] = {}
    last: list[str] = []
    for number, line in enumerate(lines(path, strict=False), 1):
        text = line.strip()
        if text and not text.startswith(";"):
            break
        name, colon, value = text.lstrip(";").partition(":")
        if colon and name.strip().isidentifier():
            last = found.setdefault(name.strip(), [])
            last.append(value.strip())
        elif text.lstrip("; \t") and last:
            last[-1] = f"{last[-1]}\n{text.lstrip(';').strip()}"
        if number == 1 and "\0" in line:
            raise TraceBroken(f"{path}, line 1: is no text")
    fields = {name: tuple(values) for name, values in found.items()}
    return SwfHeader(
        _count(path, fields, "MaxProcs"),
        _count(path, fields, "MaxNodes"),
        _count(path, fields, "UnixStartTime"),
        fields.get("Note", ()),
        fields,
    )


def read_lines(path: Path, skipped: Skipped) -> Iterator[SwfLine]:
    """The jobs of a file as they stand there. Raises TraceBroken that names file, line and field."""
    numbered = ((i, line.split()) for i, line in enumerate(lines(path, strict=False), 1))
    jobs = ((i, fields) for i, fields in numbered if fields and not fields[0].startswith(";"))
    return converted(jobs, lambda job: _line(path, *job), skipped)


def read(path: Path, skipped: Skipped, rules: Rules = DEFAULT) -> Iterator[TraceJob]:
    """The jobs of a file in its order, as they are read."""
    return converted(read_lines(path, skipped), lambda line: trace_job(line, rules, skipped), skipped)


def trace_job(line: SwfLine, rules: Rules, skipped: Skipped) -> TraceJob | None:
    """The job of a line; None and a count in skipped where the rules leave it out."""
    tasks, run_s = max(line.procs, line.req_procs), line.run_s
    if run_s < 0 and rules.unknown_run_s is not None:
        run_s = rules.unknown_run_s
    reason = ""
    if line.status in _PARTS:
        reason = "part of a job that has another line"
    elif line.submit_s < 0:
        reason = "submission unknown"
    elif tasks <= 0:
        reason = "processors unknown"
    elif run_s < 0:
        reason = "run time unknown"
    elif run_s == 0 and rules.drop_zero_run:
        reason = "run time of 0"
    if reason:
        skipped.leave_out(reason)
        return None
    kib = line.req_kib if line.req_kib > 0 else line.used_kib
    return TraceJob(
        id=str(line.job),
        submit_us=_us(line.submit_s),
        run_us=_us(run_s),
        limit_us=_us(line.req_s if line.req_s > 0 else run_s),
        tasks=tasks,
        mem_mib=-int(-kib // 1024) if kib > 0 else 0,
        user=_known(line.user),
        group=_known(line.group),
        queue=_known(line.queue),
        name=_known(line.executable),
        ending=_ENDINGS.get(line.status, Ending.COMPLETED),
        after=str(line.after) if line.after > 0 else "",
        think_us=max(0, _us(line.think_s)),
    )


def rlscheduler_jobs(path: Path) -> list[TraceJob]:
    """All jobs of a file by RLScheduler's rules, sorted by job number."""
    return sorted(read(path, Skipped(), RLSCHEDULER), key=lambda job: int(job.id))


def window(jobs: Sequence[TraceJob], start: int, n: int = WINDOW) -> list[TraceJob]:
    """n consecutive jobs from a 0-based index on. TraceBroken if there are fewer."""
    if not 0 <= start <= len(jobs) - n:
        raise TraceBroken(f"{n} jobs from index {start} on: the trace has {len(jobs)} jobs")
    return list(jobs[start : start + n])


def sequences(path: Path, workload: str) -> list[tuple[int, int]]:
    """(0-based start index, length) of each sequence of a workload, from a file rlscheduler_sequences.csv."""
    found = [
        (line.whole("start_index0"), line.whole("length"))
        for line in records(path, ("workload", "seq", "start_index0", "length"))
        if line.text("workload") == workload
    ]
    if not found:
        raise TraceBroken(f'{path}: no sequence of workload "{workload}"')
    return found


def _line(path: Path, number: int, fields: list[str]) -> SwfLine:
    if len(fields) != N_FIELDS:
        raise TraceBroken(f"{path}, line {number}: {len(fields)} fields, expected {N_FIELDS}")
    values: list[float] = []
    for i, text in enumerate(fields):
        try:
            value = int(text) if i in _WHOLE or text.isdecimal() else float(text)
        except ValueError:
            value = MOST + 1
        if not -MOST <= value <= MOST:
            what = "a whole number" if i in _WHOLE else "a number"
            raise TraceBroken(
                f"{path}, line {number}, field {i + 1} ({SwfLine._fields[i]}): {shown(text)}, expected {what}"
            )
        values.append(value)
    return SwfLine(*values)  # type: ignore[arg-type]


def _count(path: Path, fields: dict[str, tuple[str, ...]], name: str) -> int:
    """The first word of a header field, "-1" and what is not there for 0."""
    word = (fields.get(name, ("",))[0].split() or ["0"])[0]
    if not word.removeprefix("-").isdecimal() or len(word) > 15:
        raise TraceBroken(f"{path}, header field {name}: {shown(word)}, expected a whole number")
    return max(0, int(word))


def _us(seconds: float) -> int:
    return int(seconds * US)


def _known(number: int) -> str:
    return str(number) if number >= 0 else ""


def _suits(path: Path, top: list[str]) -> bool:
    return path.name.removesuffix(".gz").endswith(".swf")


def _open(path: Path, how: Named, skipped: Skipped) -> Trace:
    """drop_zero_run=1: without jobs that ran for no time. unknown_run_s=N: a run time for jobs that lack one.
    rlscheduler=1: both, as RLScheduler's experiments do (0, 10), in the order of the job numbers.
    """
    how.only("drop_zero_run", "unknown_run_s", "rlscheduler")
    if how.flag("rlscheduler"):
        jobs: Iterable[TraceJob] = rlscheduler_jobs(path)
    else:
        unknown_run_s = how.whole("unknown_run_s", 0) if "unknown_run_s" in how.values else None
        jobs = read(path, skipped, Rules(how.flag("drop_zero_run"), unknown_run_s))
    procs = header(path).procs
    return Trace(trace_name(path), jobs, cluster(str(procs)) if procs else None, skipped)


FORMAT: Final = Format("batch logs, .swf", _suits, _open)

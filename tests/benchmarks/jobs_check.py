"""Checks what a simulation says of its jobs against the trace, by the rules of the trace alone.

Knows nothing of the simulator: it reads both files itself. `python tests/benchmarks/jobs_check.py
TRACE.swf.gz JOBS.csv PROCS [SECONDS]` says what it found, and exits 1 at the first line that breaks a rule;
SECONDS: what was taken for a run time that the log does not know.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple


class Wrong(Exception):
    """The file breaks a rule; names the line."""


class Job(NamedTuple):
    """Of a trace; seconds and processors."""

    submit: Fraction
    run: Fraction
    procs: Fraction


class Found(NamedTuple):
    """What the file came to: jobs that ended, mean bounded slowdown and mean wait of these, greatest use."""

    ended: int
    slowdown: float
    wait_s: float
    most_procs: float


def lines_of(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
        yield from text


def larger(allocated: Fraction, requested: Fraction) -> Fraction:
    return max(allocated, requested)


def swf(
    path: Path,
    procs: Callable[[Fraction, Fraction], Fraction] = larger,
    unknown_run_s: int | None = None,
) -> dict[str, Job]:
    """The jobs of a log whose run time and processors are known, each once. procs: from the allocated
    (column 5) and the requested ones (column 8). unknown_run_s: taken for a run time that is not known.
    """
    jobs = {}
    for line in lines_of(path):
        fields = line.split()
        if fields and not fields[0].startswith(";"):
            run, width = Fraction(fields[3]), procs(Fraction(fields[4]), Fraction(fields[7]))
            if run < 0 and unknown_run_s is not None:
                run = Fraction(unknown_run_s)
            part_of_another = fields[10] in ("2", "3", "4")
            if run >= 0 and width > 0 and not part_of_another:
                jobs[fields[0]] = Job(Fraction(fields[1]), run, width)
    return jobs


def check(jobs: dict[str, Job], out: Path, capacity: int, *, all_end: bool = True) -> Found:
    """Every job once, none before its submission, each as wide and as long as in the trace, a restarted one
    longer, and at no time more processors than there are. A job of no run time may be left out.
    all_end: a job without an end breaks a rule.
    """
    seen: set[str] = set()
    edges: list[tuple[Fraction, Fraction, str]] = []
    slowdown = waits = Fraction(0)
    ended = 0
    for number, line in enumerate(csv.DictReader(lines_of(out)), 2):
        where = f"{out.name}, line {number}, job {line['job']}"
        job = jobs.get(line["job"])
        if job is None:
            raise Wrong(f"{where}: the trace has no such job")
        if line["job"] in seen:
            raise Wrong(f"{where}: is there twice")
        seen.add(line["job"])
        if Fraction(line["procs"]) != job.procs:
            raise Wrong(f"{where}: {line['procs']} processors, {job.procs} in the trace")
        if not line["end"]:
            if all_end:
                raise Wrong(f"{where}: has no end")
            continue
        submit, start, end = (Fraction(line[name]) for name in ("submit", "start", "end"))
        span(job, submit, start, end, int(line["restarts"]), where)
        edges += [(end, -job.procs, where), (start, job.procs, where)]
        waits += start - submit
        slowdown += max(Fraction(1), (end - submit) / max(job.run, Fraction(10)))
        ended += 1
    missing = {name for name, job in jobs.items() if job.run > 0} - seen
    if missing:
        raise Wrong(f"{out.name}: {len(missing)} jobs of the trace are not there, {min(missing)} is one")
    most = use(edges, capacity)
    return Found(ended, float(slowdown / max(ended, 1)), float(waits / max(ended, 1)), float(most))


def span(job: Job, submit: Fraction, start: Fraction, end: Fraction, restarts: int, where: str) -> None:
    if submit < job.submit:
        raise Wrong(f"{where}: submitted at {submit}, not before {job.submit} by the trace")
    if start < submit:
        raise Wrong(f"{where}: starts at {start}, before its submission at {submit}")
    if restarts == 0 and end - start != job.run:
        raise Wrong(f"{where}: ran {end - start} s, {job.run} s in the trace")
    if restarts > 0 and end - start < job.run:
        raise Wrong(f"{where}: ran {end - start} s with restarts, {job.run} s in the trace without")


def use(edges: list[tuple[Fraction, Fraction, str]], capacity: int) -> Fraction:
    """The most processors in use; at one instant what ends makes room for what starts. Of a restarted job the
    whole time from first start to end counts, so such a file may be refused although it is right.
    """
    used = most = Fraction(0)
    for at, change, where in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        used += change
        most = max(most, used)
        if used > capacity:
            raise Wrong(f"{where}: with it {used} processors are in use at {at}, there are {capacity}")
    return most


if __name__ == "__main__":
    trace, jobs_out, n_procs, *seconds = sys.argv[1:]
    try:
        log = swf(Path(trace), unknown_run_s=int(seconds[0]) if seconds else None)
        print(check(log, Path(jobs_out), int(n_procs)))
    except Wrong as why:
        sys.exit(str(why))

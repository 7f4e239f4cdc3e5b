"""Opens a trace whatever its format is: by name, by what its first lines look like, or as it is told.

A format may be given with parameters, `swf:unknown_run_s=10`; which there are stands at each opener below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.traces import cluster_spec, swf
from packhorse.simulator.traces.broken import OnBroken, Skipped
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import Named, named
from packhorse.simulator.traces.textfile import head


class FormatUnknown(PackhorseError):
    """Nothing tells in which format a trace is, or there is no such format; the formats are named."""


class Trace(NamedTuple):
    """A trace that is open. name: for people, without folder and ending.

    jobs: read or made while they are gone through, once; TraceBroken comes from there. cluster: the machine
    that the trace tells of, None where it does not. skipped: complete when the jobs have been gone through.
    """

    name: str
    jobs: Iterable[TraceJob]
    cluster: tuple[NodeSpec, ...] | None
    skipped: Skipped


class Format(NamedTuple):
    """One format. what: for people. suits: whether a file of this name, with these first lines, is one."""

    what: str
    suits: Callable[[Path, list[str]], bool]
    open: Callable[[Path, Named, Skipped], Trace]


def open_trace(path: str | Path, format: str = "", on_broken: str = OnBroken.STOP) -> Trace:
    """The trace in a file. format: one of FORMATS, perhaps with parameters; "": told by name and header.

    on_broken: "stop" raises TraceBroken at a line that cannot be read, "skip" counts it and goes on.
    Raises FormatUnknown, ParameterError, and TraceBroken for a file that cannot be read.
    """
    path, how = Path(path), named(format)
    skipped = Skipped(on_broken)
    if how.name and how.name not in FORMATS:
        raise FormatUnknown(f'"{how.name}" is no format of traces; there are {_known()}')
    name = how.name or _guess(path)
    return FORMATS[name].open(path, how, skipped)


def trace_name(path: Path) -> str:
    """The file's name without folder and endings."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def _guess(path: Path) -> str:
    top = head(path, 5)
    for name, format in FORMATS.items():
        if format.suits(path, top):
            return name
    first = top[0].strip()[:80] if top else ""
    raise FormatUnknown(
        f'{path}: neither its name nor its first line ("{first}") tells the format; name it: {_known()}'
    )


def _known() -> str:
    return ", ".join(f"{name} ({format.what})" for name, format in FORMATS.items())


def _suits_swf(path: Path, top: list[str]) -> bool:
    return path.name.removesuffix(".gz").endswith(".swf")


def _open_swf(path: Path, how: Named, skipped: Skipped) -> Trace:
    """drop_zero_run=1: without jobs that ran for no time. unknown_run_s=N: a run time for jobs that lack one.
    rlscheduler=1: both, as RLScheduler's experiments do (0, 10), in the order of the job numbers.
    """
    how.only("drop_zero_run", "unknown_run_s", "rlscheduler")
    if how.flag("rlscheduler"):
        jobs: Iterable[TraceJob] = swf.rlscheduler_jobs(path)
    else:
        unknown_run_s = how.whole("unknown_run_s", 0) if "unknown_run_s" in how.values else None
        jobs = swf.read(path, skipped, swf.Rules(how.flag("drop_zero_run"), unknown_run_s))
    procs = swf.header(path).procs
    return Trace(trace_name(path), jobs, cluster_spec.cluster(str(procs)) if procs else None, skipped)


FORMATS: Final[dict[str, Format]] = {
    "swf": Format("batch logs, .swf", _suits_swf, _open_swf),
}
"""By name, in the order in which they are tried."""

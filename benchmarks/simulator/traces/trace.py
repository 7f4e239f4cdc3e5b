"""A trace that is open, and what a format has to offer to be among those that are opened."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.traces.parameters import Named


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
    """One format. what: for people. suits: whether a file of this name, with these first lines, is one. open:
    raises TraceBroken, and ParameterError where it is told what it does not know."""

    what: str
    suits: Callable[[Path, list[str]], bool]
    open: Callable[[Path, Named, Skipped], Trace]


def trace_name(path: Path) -> str:
    """The file's name without folder and endings."""
    name = path.name.removesuffix(".gz")
    return name.rpartition(".")[0] or name


def columns(top: list[str]) -> frozenset[str]:
    """The names in the first line, if that is the header of a CSV file."""
    try:
        return frozenset(next(csv.reader(top[:1], strict=True), []))
    except csv.Error:
        return frozenset()

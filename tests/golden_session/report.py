"""The transcripts of a session held against the recorded ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.cli import transcripts
from tests.golden_session import compare
from tests.golden_session.meant import Meant

IN_ORDER = ("scontrol", "cat")
"""Commands whose lines have an order. Of the others' lines those that sort alike come as they lie in Slurm's
tables."""

SEVERAL = ("186-show-job-array", "198-show-steps")
"""Records of several jobs, in the order of Slurm's tables."""


class Report(NamedTuple):
    """differing: name of a transcript -> lines as `diff` shows them; unused: entries of the list that nothing
    needed.
    """

    compared: int
    differing: dict[str, list[str]]
    unused: list[Meant]


def report(
    recorded: Path,
    held: Path,
    theirs: compare.Side,
    ours: compare.Side,
    meant: Iterable[Meant],
    only: str = "*",
) -> Report:
    """Compares every recorded transcript whose name `only` (a pattern) has."""
    differing: dict[str, list[str]] = {}
    listed = list(meant)
    used: set[Meant] = set()
    names = sorted(path.name for path in recorded.glob(f"{only}.txt"))
    for name in names:
        stem = name.removesuffix(".txt")
        if not (held / name).exists():
            differing[stem] = ["+ no such transcript"]
            continue
        mine, other = transcripts.read(held / name), transcripts.read(recorded / name)
        found: list[str] = []
        for part, their_text, our_text in (
            ("exit", f"{other.code}", f"{mine.code}"),
            ("stdout", other.out, mine.out),
            ("stderr", other.err, mine.err),
        ):
            entries = [entry for entry in listed if entry.concerns(stem, part)]
            in_order = other.argv[0] in IN_ORDER and stem not in SEVERAL
            their_lines, our_lines = compare.lines(their_text, theirs), compare.lines(our_text, ours)
            lines = _left(their_lines, our_lines, entries, used, in_order)
            found += [f"{line[0]} {part}: {line[2:]}" for line in lines]
        if found:
            differing[stem] = found
    unused = [entry for entry in listed if entry not in used and not entry.maybe and only == "*"]
    return Report(len(names), differing, unused)


def _left(
    theirs: list[compare.Line],
    ours: list[compare.Line],
    entries: list[Meant],
    used: set[Meant],
    in_order: bool,
) -> list[str]:
    """What differs and is not meant to."""
    left = compare.differences(theirs, ours, in_order=in_order)
    for entry in entries:
        if not left:
            break
        if entry.whole:
            used.add(entry)
            return []
        if entry.both is not None:
            theirs = [_without(line, entry) for line in theirs]
            ours = [_without(line, entry) for line in ours]
        if entry.theirs is not None:
            theirs = [line for line in theirs if not entry.theirs.search(line.text)]
        if entry.ours is not None:
            ours = [line for line in ours if not entry.ours.search(line.text)]
        fewer = compare.differences(theirs, ours, in_order=in_order)
        if fewer != left:
            used.add(entry)
        left = fewer
    return left


def _without(line: compare.Line, entry: Meant) -> compare.Line:
    assert entry.both is not None
    fields = line.fields
    if any("<" in found[0] for found in entry.both.finditer(line.shape)):  # it covers a time
        fields = ()
    return line._replace(shape=entry.both.sub("<...>", line.shape).rstrip(), fields=fields)

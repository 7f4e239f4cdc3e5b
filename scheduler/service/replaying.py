"""A recording run again: the same inputs through the same `step` must give the same event log, byte for byte.

What was decided and then lost with a failed store is void, as it is in the store: the recovery that follows
says how far the log went. Where a recording was interrupted (it was switched off, or its end got lost with
the machine), the events in between are not known here, and are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from packhorse.scheduler.core import snapshot
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.service.recording import Entry, Full, Happened, RecordingBroken, Recovered, read
from packhorse.scheduler.store.codec import decode_data, encode
from packhorse.scheduler.store.protocol import LogRecord


class Replayed(NamedTuple):
    """What a recording leads to. log: records by number, in order. n_inputs: inputs run again; n_lives: how
    often the scheduler began. trouble: why the recording ends where it does, "" where it was closed in order.
    """

    log: dict[int, LogRecord]
    state: State
    n_inputs: int
    n_lives: int
    trouble: str


class Difference(NamedTuple):
    """The first event that is not the same. before: what led there."""

    recorded: LogRecord
    replayed: LogRecord
    before: list[LogRecord]


class Comparison(NamedTuple):
    """n_same: events that are equal. only_recorded: events of the store that the recording tells nothing
    about, before, between and after its parts. only_replayed: events that are not in the store: they were
    decided when the scheduler died or after the store was read, or the store has forgotten them.
    """

    n_same: int
    only_recorded: int
    only_replayed: int
    difference: Difference | None


def replay(path: Path) -> Replayed:
    """Runs it. Raises RecordingBroken for what is no recording at all."""
    log: dict[int, LogRecord] = {}
    state = State.empty()
    seq = n_inputs = n_lives = 0
    trouble = ""
    for entry in _as_far_as_good(path):
        match entry:
            case str():
                trouble = entry
            case Full(limit_mib=limit):
                trouble = f"{path}: ended at its limit of {limit} MiB (record_limit_mib)"
            case Recovered():
                for void in range(entry.seq + 1, seq + 1):
                    log.pop(void, None)
                seq, state = entry.seq, _state(entry)
                n_lives += 1
            case Happened(now=now, input=input):
                n_inputs += 1
                for event in step(state, input, now).events:
                    apply(state, event)
                    seq += 1
                    log[seq] = encode(event, seq)
    return Replayed(log, state, n_inputs, n_lives, trouble)


def _state(of: Recovered) -> State:
    """As the scheduler came to it."""
    state = snapshot.load(of.snapshot) if of.snapshot else State.empty()
    for seq, data in enumerate(of.tail, of.seq - len(of.tail) + 1):
        apply(state, decode_data(data, seq))
    return state


def compare(
    mine: dict[int, LogRecord], recorded: Iterable[LogRecord], until: int | None = None
) -> Comparison:
    """The replayed log against the recorded one, up to the first difference. until: the last event."""
    n_same = only = 0
    for record in recorded:
        if until is not None and record.seq > until:
            break
        again = mine.get(record.seq)
        if again is None:
            only += 1
        elif again.data != record.data:
            return Comparison(n_same, only, 0, Difference(record, again, _before(mine, record.seq)))
        else:
            n_same += 1
    in_question = len(mine) if until is None else sum(seq <= until for seq in mine)
    return Comparison(n_same, only, in_question - n_same, None)


def _before(log: dict[int, LogRecord], seq: int, n: int = 3) -> list[LogRecord]:
    return [log[at] for at in range(seq - n, seq) if at in log]


def _as_far_as_good(path: Path) -> Iterator[Entry | str]:
    """The entries, then, where they end badly, why. One that is no recording raises."""
    entries = read(path)
    n = 0
    while True:
        try:
            entry = next(entries, None)
        except RecordingBroken as why:
            if not n:
                raise
            yield str(why)
            return
        if entry is None:
            return
        n += 1
        yield entry

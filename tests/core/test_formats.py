"""Events and snapshots of version 1 are read for ever.

The two files were written once, by the version of the code that introduced the format, and are never written
again: a change that cannot read them needs an upgrade on reading, not new files.
"""

from pathlib import Path

import msgspec
import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.snapshot import load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import Event


@pytest.fixture
def data(repository: Path) -> Path:
    """Where the old files are."""
    return repository / "tests" / "core" / "data"


def records(path: Path) -> list[bytes]:
    """The file's records: a msgpack list of byte strings."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[bytes])


def test_an_old_log_is_replayed(data: Path) -> None:
    decoder = msgspec.msgpack.Decoder(Event)
    state = State.empty()
    kinds = set()
    for record in records(data / "events-1.msgpack"):
        event = decoder.decode(record)
        kinds.add(type(event))
        apply(state, event)
    check(state)
    assert len(kinds) == 26


def test_an_old_snapshot_is_read(data: Path) -> None:
    decoder = msgspec.msgpack.Decoder(Event)
    replayed = State.empty()
    for record in records(data / "events-1.msgpack"):
        apply(replayed, decoder.decode(record))
    state = load(records(data / "snapshot-1.msgpack"))
    check(state)
    # It was written before it was known how long a job had run in earlier attempts.
    for id, job in replayed.jobs.items():
        replayed.jobs[id] = msgspec.structs.replace(job, ran_us=0)
    # And before it held what is known of jobs that are gone: the ended ones that are there teach some of it.
    assert not state.arrivals.recent and replayed.arrivals.recent
    replayed.history, replayed.usage, replayed.arrivals = state.history, state.usage, state.arrivals
    # And since when nodes are as they are.
    for name, node in replayed.nodes.items():
        assert not state.nodes[name].since
        replayed.nodes[name] = msgspec.structs.replace(node, since=0)
    # And since when its configuration holds.
    assert not state.configured_at
    replayed.configured_at = state.configured_at
    assert state == replayed

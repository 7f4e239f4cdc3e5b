"""The log's format: what was written by any released program stays readable."""

from __future__ import annotations

import typing

import msgspec
import pytest

from packhorse.scheduler.model.errors import StoreDamaged, StoreNewer
from packhorse.scheduler.model.event import SCHEMA, Event, JobsEligible, NodeSilenced
from packhorse.scheduler.model.ids import Instant, JobId, NodeName
from packhorse.scheduler.store.codec import RawEvent, concerns, decode, decode_data, encode
from tests.store.event_samples import AT, EVENTS, JOBS, NODE, RECORDED

ABOUT_NODES = {"MemoryEstimated", "StepStarted", "StepPartEnded"} | {
    kind.__name__ for kind in typing.get_args(Event) if kind.__name__.startswith("Node")
}
KINDS = [kind.__name__ for kind in typing.get_args(Event)]


def test_every_kind_has_a_sample_and_is_recorded() -> None:
    assert [type(event).__name__ for event in EVENTS[:-1]] == KINDS
    recorded = [line.split()[0] for line in RECORDED.read_text().splitlines()]
    assert sorted(set(recorded)) == sorted(KINDS)


def test_what_schema_1_wrote_is_read_as_it_was_meant() -> None:
    lines = RECORDED.read_text().splitlines()
    assert [decode_data(bytes.fromhex(line.split()[1]), 1) for line in lines] == list(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_round_trip(event: Event) -> None:
    record = encode(event, 42)
    assert decode(record) == event
    assert (record.seq, record.at, record.kind) == (42, AT, type(event).__name__)
    assert (record.first_job, record.last_job) == JOBS.get(record.kind, (0, 0))
    assert record.node == (NODE if record.kind in ABOUT_NODES else "")


def test_an_older_schema_is_upgraded_one_number_at_a_time() -> None:
    """As if schema 1 had said "NodeLost" and schema 2 had kept seconds."""

    def from_1(raw: RawEvent) -> RawEvent:
        return ["NodeSilenced", *raw[1:]]

    def from_2(raw: RawEvent) -> RawEvent:
        return [raw[0], raw[1] * 1_000_000, *raw[2:]]

    upgrades = {1: from_1, 2: from_2}
    for written, raw in ((1, ["NodeLost", 5, "n"]), (2, ["NodeSilenced", 5, "n"])):
        data = bytes([written]) + msgspec.msgpack.encode(raw)
        assert decode_data(data, 1, 3, upgrades) == NodeSilenced(Instant(5_000_000), NodeName("n"))


def test_a_newer_schema_is_refused() -> None:
    data = bytes([SCHEMA + 1]) + encode(EVENTS[0], 1).data[1:]
    with pytest.raises(StoreNewer, match=rf"record 7 has event schema {SCHEMA + 1}; .* up to {SCHEMA}"):
        decode_data(data, 7)


@pytest.mark.parametrize("data", [b"", b"\x01", b"\x01\x90", b"\x01\x91\xa4What", b"\x00\x90"])
def test_rubbish_is_damage(data: bytes) -> None:
    with pytest.raises(StoreDamaged, match="record 7"):
        decode_data(data, 7)


def test_a_range_with_holes_concerns_only_the_jobs_named() -> None:
    record = encode(JobsEligible(AT, (JobId(9), JobId(2))), 1)
    assert [job for job in range(12) if concerns(record, JobId(job))] == [2, 9]

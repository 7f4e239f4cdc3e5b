"""Events to log records and back.

`data` is one byte, the schema number, then the event as msgpack `[kind, fields…]`. An event written under
an older schema is upgraded while it is read, one number at a time; the log itself is never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from packhorse.scheduler.model.errors import StoreDamaged, StoreNewer
from packhorse.scheduler.model.event import (
    SCHEMA,
    ArrayRemainderCancelled,
    ArraySubmitted,
    BatchEnded,
    CallAnswered,
    Configured,
    Event,
    JobsEligible,
    JobsForgotten,
    JobsRanked,
    JobsSubmitted,
    NodeRegistered,
    PolicyTaught,
    SchedulerStarted,
    StepCreated,
    StepEnding,
    StepPartEnded,
    StepStarted,
)
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.store.protocol import LogRecord

RawEvent = list[Any]
"""An event of any schema as it was stored: kind, then its fields in order."""

Upgrade = Callable[[RawEvent], RawEvent]

UPGRADES: Mapping[int, Upgrade] = {}
"""Schema number -> how an event of it becomes one of the next."""

NO_JOB = JobId(0)
NO_NODE = NodeName("")

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_raw_decoder: msgspec.msgpack.Decoder[RawEvent] = msgspec.msgpack.Decoder(RawEvent)
_PREFIX = bytes([SCHEMA])


def encode(event: Event, seq: int) -> LogRecord:
    """The record that stores the event as number seq."""
    first, last = jobs_of(event)
    data = _PREFIX + _encoder.encode(event)
    return LogRecord(seq, event.at, type(event).__name__, first, last, node_of(event), data)


def decode(record: LogRecord) -> Event:
    """The event, upgraded to today's schema. StoreNewer or StoreDamaged if it cannot be read."""
    return decode_data(record.data, record.seq)


def decode_data(
    data: bytes, seq: int, schema: int = SCHEMA, upgrades: Mapping[int, Upgrade] = UPGRADES
) -> Event:
    """As `decode`, for the data alone; seq is for the message."""
    if not data:
        raise StoreDamaged(f"log record {seq} is empty")
    written = data[0]
    if written > schema:
        raise StoreNewer(
            f"log record {seq} has event schema {written}; this program reads up to {schema}: "
            "run the newer packhorse that wrote it"
        )
    try:
        if written == schema:
            return _decoder.decode(memoryview(data)[1:])
        raw = _raw_decoder.decode(memoryview(data)[1:])
        for number in range(written, schema):
            raw = upgrades[number](raw)
        event: Event = msgspec.convert(raw, Event)
        return event
    except (msgspec.DecodeError, KeyError) as error:
        raise StoreDamaged(f"log record {seq} (event schema {written}) cannot be read: {error}") from error


def concerns(record: LogRecord, job: JobId) -> bool:
    """The event is part of this job's story: for most kinds, its range of jobs holds it."""
    if not record.first_job <= job <= record.last_job:
        return False
    if record.kind not in (JobsEligible.__name__, JobsRanked.__name__):
        return True
    event = decode(record)
    return isinstance(event, JobsEligible | JobsRanked) and job in event.jobs


def jobs_of(event: Event) -> tuple[JobId, JobId]:
    """First and last number of the jobs whose story the event belongs to; zeros for none.

    Between those of JobsEligible and JobsRanked may lie others, see `concerns`. A task splitting off belongs
    to the task. Forgetting belongs to no story: it is about memory, not about jobs.
    """
    match event:
        case JobsSubmitted(first_id=first, items=items):
            return first, JobId(first + len(items) - 1)
        case ArraySubmitted(id=array) | ArrayRemainderCancelled(array=array):
            return array, array
        case JobsEligible(jobs=jobs) | JobsRanked(jobs=jobs):
            return (min(jobs), max(jobs)) if jobs else (NO_JOB, NO_JOB)
        case SchedulerStarted() | Configured() | JobsForgotten() | CallAnswered() | PolicyTaught():
            return NO_JOB, NO_JOB
        case StepCreated(key=key) | StepStarted(key=key) | StepEnding(key=key) | StepPartEnded(key=key):
            return key.job, key.job
        case BatchEnded(attempt=attempt):
            return attempt.job, attempt.job
    job = getattr(event, "job", NO_JOB)
    return job, job


def node_of(event: Event) -> NodeName:
    """The node the event is about, "" for none."""
    if isinstance(event, NodeRegistered):
        return event.spec.name
    return getattr(event, "node", NO_NODE)

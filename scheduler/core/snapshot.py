"""A state as bytes and back, in chunks small enough that a background thread never holds the loop up.

A chunk is a msgpack array whose first element names its kind. Specs and owners are written once and
named by number from then on, in the chunk before the first job that has them; reading gives back the
same sharing. Like the event log the format only grows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import msgspec

from packhorse.scheduler.core import past
from packhorse.scheduler.core.past import AnyPast, PastChunk
from packhorse.scheduler.core.rebuild import learn_from_finished, rebuild
from packhorse.scheduler.core.state import Frozen, State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import StoreDamaged, StoreNewer
from packhorse.scheduler.model.event import CallAnswered
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, JobSpec, Owner, Pending
from packhorse.scheduler.model.loan import Switch
from packhorse.scheduler.model.node import Node

VERSION = 3
"""2: what many specs have in common is written once. 3: what is remembered of jobs that are gone."""
CHUNK = 1_000
"""Values per chunk: about a millisecond of encoding."""

_T = TypeVar("_T")


class _Chunk(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    pass


class Header(_Chunk, frozen=True, array_like=True, tag="packhorse-state", gc=False):
    """First chunk of every snapshot."""

    version: int
    config: ClusterConfig
    epoch: int
    next_job_id: JobId
    lending_off: tuple[Switch, ...] = ()
    configured_at: Instant = UNKNOWN


class Nodes(_Chunk, frozen=True, array_like=True, tag="nodes", gc=False):
    nodes: list[Node]


class Shared(_Chunk, frozen=True, array_like=True, tag="shared", gc=False):
    """Continues the numbering of the chunks before it."""

    specs: list[JobSpec]
    owners: list[Owner]


class Variants(_Chunk, frozen=True, array_like=True, tag="variants", gc=False):
    """More specs, which continue the numbering: number of one before it, and the name and arguments that
    differ.
    """

    specs: list[tuple[int, str, tuple[str, ...]]]


class StoredJob(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A job with spec and owner by number."""

    id: JobId
    spec: int
    owner: int
    submitted_at: Instant
    phase: Pending | Active | Ended
    array_id: JobId
    index: int
    attempts: int
    restarts: int
    retries: int
    avoid: tuple[NodeName, ...]
    refusals: int
    ran_us: int = 0
    preemptions: int = 0
    borrow_after: Instant = UNKNOWN
    oom_retries: int = 0
    preempted_by: JobId = JobId(0)
    preempted_at: Instant = UNKNOWN
    preempted_why: str = ""
    room_until: Instant = UNKNOWN


class Jobs(_Chunk, frozen=True, array_like=True, tag="jobs", gc=False):
    jobs: list[StoredJob]


class Arrays(_Chunk, frozen=True, array_like=True, tag="arrays", gc=False):
    arrays: list[ArrayJob]


class Finished(_Chunk, frozen=True, array_like=True, tag="finished", gc=False):
    finished: list[tuple[JobId, Instant]]


class Answered(_Chunk, frozen=True, array_like=True, tag="answered", gc=False):
    answered: list[CallAnswered]


class End(_Chunk, frozen=True, array_like=True, tag="end", gc=False):
    """Last chunk; its counts show that nothing is missing. n_past: chunks, -1: of a version that had none."""

    n_jobs: int
    n_arrays: int
    n_nodes: int
    n_finished: int
    n_answered: int
    n_past: int = -1


AnyChunk = Header | Nodes | Shared | Variants | Jobs | Arrays | Finished | Answered | End | AnyPast

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(AnyChunk)


def dump(frozen: Frozen) -> Iterator[bytes]:
    """The state as chunks, in an order that `load` needs."""
    pack = _ENCODER.encode
    yield pack(
        Header(
            VERSION,
            frozen.config,
            frozen.epoch,
            frozen.next_job_id,
            frozen.lending_off,
            frozen.configured_at,
        )
    )
    for nodes in _chunks(frozen.nodes.values()):
        yield pack(Nodes(nodes))
    # By identity: the jobs keep their specs alive, so no number is used twice.
    specs: dict[int, int] = {}
    owners: dict[int, int] = {}
    families: dict[tuple[object, ...], JobSpec] = {}
    for jobs in _chunks(frozen.jobs.values()):
        shared = Shared([], [])
        variants: list[tuple[JobSpec, JobSpec]] = []
        for job in jobs:
            spec = job.spec
            if id(spec) not in specs:
                first = families.setdefault(_family(spec), spec)
                if first is not spec and _differs_little(first, spec):
                    specs[id(spec)] = -1  # numbered after those that it may differ from
                    variants.append((first, spec))
                else:
                    specs[id(spec)] = len(specs) - len(variants)
                    shared.specs.append(spec)
            if id(job.owner) not in owners:
                owners[id(job.owner)] = len(owners)
                shared.owners.append(job.owner)
        n = len(specs) - len(variants)
        specs.update((id(spec), number) for number, (_, spec) in enumerate(variants, n))
        if shared.specs or shared.owners:
            yield pack(shared)
        if variants:
            yield pack(Variants([(specs[id(first)], spec.name, spec.args) for first, spec in variants]))
        yield pack(Jobs([_stored(job, specs[id(job.spec)], owners[id(job.owner)]) for job in jobs]))
    for arrays in _chunks(frozen.arrays.values()):
        yield pack(Arrays(arrays))
    for finished in _chunks(frozen.finished.items()):
        yield pack(Finished(finished))
    for answered in _chunks(frozen.answered.values()):
        yield pack(Answered(answered))
    n_past = 0
    for piece in past.pieces(frozen):
        yield pack(piece)
        n_past += 1
    yield pack(
        End(
            len(frozen.jobs),
            len(frozen.arrays),
            len(frozen.nodes),
            len(frozen.finished),
            len(frozen.answered),
            n_past,
        )
    )


def load(chunks: Iterable[bytes]) -> State:
    """The state as it was frozen. StoreDamaged if something is missing or malformed, StoreNewer if newer."""
    state = State.empty()
    specs: list[JobSpec] = []
    owners: list[Owner] = []
    phases: dict[Pending, Pending] = {}
    end: End | None = None
    n_past = 0
    for number, data in enumerate(chunks):
        chunk = _read(data, number)
        if end is not None:
            raise StoreDamaged(f"snapshot: chunk {number} follows the end")
        match chunk:
            case Header():
                state.config = chunk.config
                state.epoch = chunk.epoch
                state.next_job_id = chunk.next_job_id
                state.lending_off = chunk.lending_off
                state.configured_at = chunk.configured_at
            case Nodes():
                state.nodes.update((node.name, node) for node in chunk.nodes)
            case Shared():
                specs += [state.interned.spec(spec) for spec in chunk.specs]
                owners += [state.interned.owner(owner) for owner in chunk.owners]
            case Variants():
                try:
                    variant = state.interned.variant
                    specs += [variant(specs[first], name, args) for first, name, args in chunk.specs]
                except IndexError as error:
                    raise StoreDamaged(f"snapshot: chunk {number} names a spec that is missing") from error
            case Jobs():
                try:
                    _take_jobs(state, chunk.jobs, specs, owners, phases)
                except IndexError as error:
                    raise StoreDamaged(f"snapshot: chunk {number} names a spec that is missing") from error
            case Arrays():
                for array in chunk.arrays:
                    state.arrays[array.id] = msgspec.structs.replace(
                        array,
                        spec=state.interned.spec(array.spec),
                        owner=state.interned.owner(array.owner),
                    )
            case Finished():
                state.finished.update(chunk.finished)
            case Answered():
                state.answered.update(((a.uid, a.key), a) for a in chunk.answered)
            case PastChunk():
                past.take(state, chunk)
                n_past += 1
            case End():
                end = chunk
    _check_complete(state, end, n_past or -1)
    if not n_past:
        learn_from_finished(state)
    rebuild(state)
    return state


def _family(spec: JobSpec) -> tuple[object, ...]:
    """Equal for specs that may differ in name and arguments only."""
    return spec.script_ref, spec.env_ref, spec.work_dir, spec.ask, spec.time_limit_s, spec.begin_at


def _differs_little(first: JobSpec, spec: JobSpec) -> bool:
    """Whether nothing but name and arguments tell the two apart."""
    return msgspec.structs.replace(first, name=spec.name, args=spec.args) == spec


def _stored(job: Job, spec: int, owner: int) -> StoredJob:
    return StoredJob(
        job.id,
        spec,
        owner,
        job.submitted_at,
        job.phase,
        job.array_id,
        job.index,
        job.attempts,
        job.restarts,
        job.retries,
        job.avoid,
        job.refusals,
        job.ran_us,
        job.preemptions,
        job.borrow_after,
        job.oom_retries,
        job.preempted_by,
        job.preempted_at,
        job.preempted_why,
        job.room_until,
    )


def _take_jobs(
    state: State,
    jobs: list[StoredJob],
    specs: list[JobSpec],
    owners: list[Owner],
    phases: dict[Pending, Pending],
) -> None:
    """Jobs in order. Equal waiting phases become one object, as they were when submitted together."""
    share, last = phases.setdefault, Pending()
    at = Instant(0)
    for s in jobs:
        phase = s.phase
        if type(phase) is Pending:
            if phase.eligible_at and phase == last:
                phase = last
            elif phase.eligible_at:
                last = phase  # jobs that were submitted together follow each other
            else:
                phase = share(phase, phase)
        if s.submitted_at != at:
            at = s.submitted_at
        state.jobs[s.id] = Job(
            s.id,
            specs[s.spec],
            owners[s.owner],
            at,
            phase,
            s.array_id,
            s.index,
            s.attempts,
            s.restarts,
            s.retries,
            s.avoid,
            s.refusals,
            s.ran_us,
            s.preemptions,
            s.borrow_after,
            s.oom_retries,
            s.preempted_by,
            s.preempted_at,
            s.preempted_why,
            s.room_until,
        )


def _read(data: bytes, number: int) -> AnyChunk:
    try:
        chunk: AnyChunk = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise StoreDamaged(f"snapshot: chunk {number} cannot be read: {error}") from error
    if (number == 0) != isinstance(chunk, Header):
        raise StoreDamaged(f"snapshot: chunk {number} is a {type(chunk).__name__}")
    if isinstance(chunk, Header) and chunk.version > VERSION:
        raise StoreNewer(f"snapshot has format {chunk.version}, this program reads up to {VERSION}")
    return chunk


def _check_complete(state: State, end: End | None, n_past: int) -> None:
    if end is None:
        raise StoreDamaged("snapshot: its end is missing")
    found = End(
        len(state.jobs),
        len(state.arrays),
        len(state.nodes),
        len(state.finished),
        len(state.answered),
        n_past,
    )
    if found != end:
        raise StoreDamaged(f"snapshot: {found} were read, {end} were written")


def _chunks(values: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(values)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk

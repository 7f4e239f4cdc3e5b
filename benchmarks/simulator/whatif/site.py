"""What a store knows of its site: the jobs that ran, the nodes there are, the configuration in force."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import localtime, strftime
from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core import snapshot
from packhorse.scheduler.core.accounts.rights import known_qos
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.accounts import AccountsDelta
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import PackhorseError, StoreDamaged
from packhorse.scheduler.model.event import AttemptStarted, JobGranted
from packhorse.scheduler.model.ids import US, AttemptKey, Instant
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.store.codec import decode
from packhorse.scheduler.store.protocol import LogRecord
from packhorse.scheduler.store.reading import StoreReader
from packhorse.simulator.traces import history
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.job import TraceJob

_MEASURED: Final = 50_000
"""Newest events of the log by which launches are timed."""


class NoHistory(PackhorseError):
    """There are no jobs to simulate: why not, and what to do."""


class Site(NamedTuple):
    """jobs: by time of submission, counted in microseconds from `origin`. started_us: when each of them first
    ran, by its id, counted likewise. unavailable: nodes that an operator has set down or drained, which are
    among `nodes`. launch_s: median time from the grant of a job to its first instruction, 0.0: not known.
    book: its accounts, users and QOS; None: nobody has made any.
    """

    jobs: list[TraceJob]
    started_us: dict[str, int]
    left_out: Skipped
    origin: Instant
    nodes: tuple[NodeSpec, ...]
    unavailable: tuple[str, ...]
    config: ClusterConfig
    launch_s: float
    book: AccountsDelta | None


def read(path: Path, since: Instant | None, since_text: str) -> Site:
    """The site of a store, read beside the scheduler that works on it. since: without jobs that had ended
    before; since_text: as it was asked for. Raises NoHistory, TraceBroken, StoreError.
    """
    with StoreReader(path) as store:
        state = _state(store)
        launch_s = _launch_s(store.read_log(max(store.last_seq - _MEASURED, 0)))
    first_start: dict[str, int] = {}
    qos_of: dict[str, str] = {}
    left_out = Skipped()
    rows = _watched(history.attempt_rows(path, since), first_start, qos_of)
    jobs = sorted(history.jobs(rows, left_out), key=lambda job: (job.submit_us, int(job.id)))
    if not jobs:
        raise NoHistory(_why_none(path, since_text, left_out))
    origin = min(state.config.origin or jobs[0].submit_us, jobs[0].submit_us)
    return Site(
        jobs=[
            replace(job, submit_us=job.submit_us - origin, qos=_known(state, qos_of[job.id])) for job in jobs
        ],
        started_us={id: at - origin for id, at in first_start.items()},
        left_out=left_out,
        origin=Instant(origin),
        nodes=tuple(state.nodes[name].spec for name in sorted(state.nodes)),
        unavailable=tuple(name for name, node in sorted(state.nodes.items()) if node.admin != "up"),
        config=state.config,
        launch_s=launch_s,
        book=state.accounts.delta() if state.accounts.in_use else None,
    )


def _state(store: StoreReader) -> State:
    """As the newest snapshot and the log behind it give it."""
    found = store.read_snapshot()
    seq, state = (found[0], snapshot.load(found[1])) if found is not None else (0, State.empty())
    for record in store.read_log(seq):
        try:
            apply(state, decode(record))
        except (PackhorseError, LookupError, ValueError) as error:
            raise StoreDamaged(
                f"store {store.path}: log record {record.seq} ({record.kind}) does not fit what is before "
                f"it: {error}"
            ) from error
    return state


def _launch_s(records: Iterable[LogRecord]) -> float:
    granted: dict[AttemptKey, Instant] = {}
    took: list[int] = []
    for record in records:
        if record.kind == JobGranted.__name__:
            event = decode(record)
            assert isinstance(event, JobGranted)
            granted[event.attempt] = event.at
        elif record.kind == AttemptStarted.__name__:
            event = decode(record)
            assert isinstance(event, AttemptStarted)
            at = granted.pop(event.attempt, None)
            if at is not None and event.started_at >= at:
                took.append(event.started_at - at)
    return statistics.median(took) / US if took else 0.0


def _known(state: State, qos: str) -> str:
    """The QOS, "" for one that is no more."""
    return qos if qos in known_qos(state) else ""


def _watched(
    rows: Iterator[AttemptRow], first_start: dict[str, int], qos_of: dict[str, str]
) -> Iterator[AttemptRow]:
    """The rows; when each job first ran goes into first_start as they pass, and its QOS into qos_of."""
    for row in rows:
        qos_of[str(row.job)] = row.qos
        if row.started_at:
            first_start.setdefault(str(row.job), row.started_at)
        yield row


def _why_none(path: Path, since_text: str, left_out: Skipped) -> str:
    newest = max((row.ended_at for row in history.attempt_rows(path)), default=None)
    if newest is None:
        return f"store {path}: no job has ended yet, so there is nothing to simulate"
    if since_text and not left_out.count:
        return (
            f"store {path}: no job has ended since {since_text}; the last one ended at {local_time(newest)}"
        )
    return f"store {path}: none of the jobs that have ended ever ran ({left_out})"


def local_time(at: Instant) -> str:
    """For people, in the time zone of the process."""
    return strftime("%Y-%m-%d %H:%M:%S", localtime(at // US))

"""`packhorse why`: one job explained, on a snapshot and in a thread, so that the scheduler goes on
meanwhile."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.targets import resolve
from packhorse.scheduler.core.why.answer import Why, why
from packhorse.scheduler.core.why.change import Waiter
from packhorse.scheduler.core.why.meanings import word
from packhorse.scheduler.core.why.place import Place, Rated
from packhorse.scheduler.core.why.snapshot import taken
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.service import convert
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.engine import Engine

AT_ONCE: Final = 1
"""Questions that are worked on at once: each is a fraction of a second of one core."""


async def explain_job(engine: Engine, ref: m.JobRef, turn: asyncio.Semaphore) -> m.ExplainJobResponse | None:
    """The answer, None for a job that is not known. turn: whoever has it may ask."""
    async with turn:
        waiter = _waiter(engine, ref)
        if waiter is None:
            return None
        with collector_paused():
            now = engine.clock.now()
            snapshot = taken(engine.state)
            await engine.barrier()
            found = await asyncio.to_thread(why, snapshot, waiter, now)
            del snapshot
        return _response(found, now)


@contextmanager
def collector_paused() -> Iterator[None]:
    """The garbage collector rests for the length of a question. Its copies are many objects that all go again
    soon: they would have it walk the whole state, which takes as long as the answer."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _waiter(engine: Engine, ref: m.JobRef) -> Waiter | None:
    """The job; of an array what still waits of it, else its first task."""
    aim = resolve(engine.state, convert.target(ref))
    if aim is None:
        return None
    if aim.array is not None and (aim.ranges or not aim.jobs):
        return aim.array
    return aim.jobs[0]


def _response(found: Why, now: Instant) -> m.ExplainJobResponse:
    waits = found.state is JobState.PENDING
    answer = m.ExplainJobResponse(
        job=found.job,
        name=found.name,
        user=found.user,
        partition=found.partition,
        state=found.state.value,
        reasons=[
            *(_reason(one.reason, one.sentence, waits) for one in found.reasons),
            *(m.JobReason(text=text) for text in found.past),
        ],
        starts=compress_sorted(sorted(found.starts)),
        planned_start_us=found.planned,
        standing=list(found.standing),
        changes=[
            m.JobChange(
                kind=one.change.kind,
                text=one.change.words,
                command=one.command,
                start_us=one.at,
                now=one.at == now,
                nodes=compress_sorted(sorted(one.nodes)),
                admin=one.admin,
                size_milli=round(one.change.size * 1000),
            )
            for one in found.suggestions
        ],
        place=_place(found.place) if found.place is not None else None,
        now_us=now,
    )
    if found.queue is not None:
        answer.n_ahead, answer.n_users_ahead = found.queue.n, found.queue.n_users
        answer.ahead = [
            m.JobAhead(
                job=one.name,
                user=one.user,
                account=one.account,
                qos=one.qos,
                priority=one.priority,
                because=one.because,
                planned_start_us=one.planned,
            )
            for one in found.queue.first
        ]
    return answer


def _reason(reason: Reason, sentence: str, waits: bool) -> m.JobReason:
    return m.JobReason(reason=word(reason) if waits else "", text=sentence)


def _place(place: Place) -> m.JobPlace:
    return m.JobPlace(
        n_nodes=place.n_nodes,
        ruled_out=[m.NodesRuledOut(n_nodes=n, text=why) for n, why in place.ruled_out],
        own=_rated(place.own),
        others=_rated(place.others),
        n_others=place.n_others,
        policy=place.policy,
    )


def _rated(rated: tuple[Rated, ...]) -> list[m.NodeScore]:
    return [m.NodeScore(node=one.node, score=one.score) for one in rated]

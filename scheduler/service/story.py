"""Whose log `packhorse events` shows: a job's by number, or an array task's by its place in the array, also
after the memory has forgotten it."""

from __future__ import annotations

import asyncio

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.targets import resolve
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.service import convert
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.store.protocol import AttemptQuery


async def job_of(engine: Engine, ref: m.JobRef) -> JobId | None:
    """The number that its events have, None for nobody's. A task that is no job of its own yet, or was
    cancelled before it was one, is told of by its array's events.

    What has ended and is forgotten is looked up in the accounting.
    """
    aim = None if engine.trouble else resolve(engine.state, convert.target(ref))
    if not ref.indices:
        return JobId(ref.job_id)
    if aim is not None and len(aim.jobs) == 1 and not aim.ranges:
        await engine.barrier()
        return aim.jobs[0].id
    ranges = convert.index_ranges(ref.indices)
    if indices.size(ranges) != 1:
        return None
    if aim is not None and aim.array is not None and aim.ranges:
        await engine.barrier()
        return aim.array.id
    query = AttemptQuery(tasks=((ref.job_id, next(iter(indices.each(ranges)))),))
    rows = await asyncio.to_thread(engine.store.attempts, query)
    return rows[-1].job if rows else None

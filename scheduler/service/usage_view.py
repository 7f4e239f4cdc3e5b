"""What an attempt used over time, from the book of running ones and from the store."""

from __future__ import annotations

from packhorse.scheduler.core.targets import resolve
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.usage_series import Series
from packhorse.scheduler.service import convert, messages
from packhorse.scheduler.service.convert import index_ranges
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.series_book import Name, joined, unpacked
from packhorse.scheduler.service.tables.table import Catalogue, ints, make_table
from packhorse.scheduler.store.protocol import AttemptQuery, Attempts, Store

POINTS: Catalogue[Series] = {
    "at_us": ints(lambda series: [point.at_s * 1_000_000 for point in series]),
    "cpu_ms": ints(lambda series: [point.cpu_ms for point in series]),
    "mem_kib": ints(lambda series: [point.mem_kib for point in series]),
    "cache_kib": ints(lambda series: [point.cache_kib for point in series]),
    "busy_milli": ints(lambda series: [point.busy_milli for point in series]),
    "gpu_mem_mib": ints(lambda series: [point.gpu_mem_mib for point in series]),
    "flops_milli": ints(lambda series: [point.flops_milli for point in series]),
}


async def job_usage(
    engine: Engine, ref: messages.JobRef, attempt: int
) -> messages.GetJobUsageResponse | None:
    """The answer to GetJobUsage, without points for a job that never ran; None if there is no such job.
    attempt 0: the newest that ran or runs.

    Raises CallFailed if the reference means several, or the job has no such attempt.
    """
    running = _running(engine, ref)
    if running is not None and attempt in (0, running[1]):
        name, live = running, engine.series.series(running)
        earlier = None
        if live is None or engine.series.is_unread(name):
            earlier = await _stored(engine, name)
        if earlier is not None and live is not None:
            series = joined(earlier, live)
        else:
            series = earlier or live or Series()
    else:
        await engine.barrier()
        found = await engine.ask(lambda store: _newest(store, ref, attempt))
        if found is None:
            known = not engine.trouble and resolve(engine.state, convert.target(ref)) is not None
            newest = await engine.ask(lambda store: _newest(store, ref, 0)) if attempt else None
            if attempt and (known or newest is not None):
                has = f"its newest is {newest[1]}" if newest is not None else "it has not run yet"
                raise CallFailed(
                    Code.NOT_FOUND, f"job {ref.text or ref.job_id} has no attempt {attempt}: {has}"
                )
            return messages.GetJobUsageResponse(job_id=ref.job_id) if known else None
        name = found
        series = await _stored(engine, name) or Series()
    now = engine.clock.now()
    table = make_table(POINTS, series, list(POINTS), n_rows=len(series), now=now)
    return messages.GetJobUsageResponse(
        job_id=name[0], attempt=name[1], points=table, step_s=series.step_s, running=name == running
    )


async def _stored(engine: Engine, name: Name) -> Series | None:
    return unpacked(await engine.ask(lambda store: store.series(*name)))


def _running(engine: Engine, ref: messages.JobRef) -> Name | None:
    """The attempt that the reference means, if it runs now."""
    if engine.trouble:
        return None
    aim = resolve(engine.state, convert.target(ref))
    if aim is None or len(aim.jobs) != 1 or not isinstance(aim.jobs[0].phase, Active):
        return None
    phase = aim.jobs[0].phase
    return phase.attempt.job, phase.attempt.number


def _newest(store: Store, ref: messages.JobRef, attempt: int) -> Name | None:
    ranges = index_ranges(ref.indices)
    tasks = tuple([(ref.job_id, r.start) for r in ranges if r.start == r.stop])
    if ranges and len(tasks) != len(ranges):
        raise CallFailed(
            Code.INVALID_ARGUMENT, f"job {ref.text or ref.job_id}: name one element of the array"
        )
    rows = store.attempts(
        AttemptQuery(
            jobs=() if tasks else (ref.job_id,),
            tasks=tasks,
            attempts=Attempts.ALL if attempt else Attempts.NEWEST,
        )
    )
    own = [row for row in rows if row.job == ref.job_id or tasks] or rows
    names = {(row.job, row.attempt) for row in own if not attempt or row.attempt == attempt}
    if len(names) > 1:
        raise CallFailed(
            Code.INVALID_ARGUMENT, f"job {ref.text or ref.job_id}: an array; name an element, as in 12_3"
        )
    return next(iter(names), None)

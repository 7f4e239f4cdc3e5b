"""Accounting as it stands now: attempts that ended, from the store, and what waits or runs, from the state.

The state is read first and the store after everything in it is durable; what ended in between is in the store
and hides its row from the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.accounting import NONE_ASSIGNED, Amounts, command_of
from packhorse.scheduler.core.active import suspended_us
from packhorse.scheduler.core.steps.book import step_key
from packhorse.scheduler.core.steps.rows import running_row
from packhorse.scheduler.model.accounting import AttemptRow, StepRow
from packhorse.scheduler.model.ids import UNKNOWN, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.job import Active, Ended, Job
from packhorse.scheduler.model.resources import Usage, joined_usage
from packhorse.scheduler.model.units import format_mem_mib
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.convert import index_ranges
from packhorse.scheduler.service.convert_agents import NodeUsage
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.selection import choose, state_words
from packhorse.scheduler.service.tables.accounting import (
    ACCOUNTING,
    AccountingRow,
    AccountingView,
    job_row,
    step_rows,
)
from packhorse.scheduler.service.tables.jobs import nodes_text, priorities, reasons, view
from packhorse.scheduler.service.tables.table import check_fields, make_table
from packhorse.scheduler.store.protocol import AttemptQuery, Attempts, Store

SPELLED_OUT = 1_000
"""Indices of arrays that a query names one by one; more are picked from all rows of their array."""

MAX_ROWS = 1 << 62
"""No store holds as many, and no more can be told to SQLite."""

NO_USAGE = Usage(-1, -1, -1, -1, -1, -1)


class Live(NamedTuple):
    """A job that waits (attempt: of the grants so far) or runs, as the row it would leave now."""

    row: AttemptRow
    waiting: bool


class Present(NamedTuple):
    """What waits and runs and is wanted, as frozen values: rows can be made of it while the state goes on.

    texts: of the waiting remainders of arrays, by array. priorities: of the jobs.
    """

    jobs: list[Job]
    reasons: list[str]
    texts: dict[JobId, str]
    priorities: list[int]
    usage: dict[NodeName, NodeUsage]
    now: Instant
    steps: list[StepRow]


async def list_accounting(engine: Engine, request: messages.ListAccountingRequest) -> messages.Table:
    """The table that a ListAccountingRequest asks for; all but a look at the state is done in a thread."""
    fields = check_fields(ACCOUNTING, request.fields)
    now = engine.clock.now()
    query = query_of(request)
    here = present(engine, request, now)
    await engine.barrier()
    cluster = engine.config.name
    return await engine.ask(lambda store: _table(here, store, query, request, fields, cluster, now))


def _table(
    here: Present,
    store: Store,
    query: AttemptQuery,
    request: messages.ListAccountingRequest,
    fields: Sequence[str],
    cluster: str,
    now: Instant,
) -> messages.Table:
    stored = _of_indices(store.attempts(query), request)
    attempts = merged(live_rows(here), stored, duplicates=request.duplicates)
    if request.limit and len(attempts) > request.limit:
        attempts.sort(key=lambda row: row.ended_at or now)
        del attempts[: len(attempts) - request.limit]
    attempts.sort(key=lambda row: (row.array_id or row.job, row.index, row.job, row.attempt))
    steps = _steps(here, store, attempts)
    rows: list[AccountingRow] = []
    for attempt in attempts:
        mine = steps.get((attempt.job, attempt.attempt), ())
        rows.append(job_row(attempt, mine))
        if attempt.started_at and not request.allocations_only:
            rows += step_rows(attempt, mine)
    unknown = _unknown(request, attempts)
    rows = _only_steps(request, rows)
    view = AccountingView(rows, cluster)
    return make_table(ACCOUNTING, view, fields, n_rows=len(rows), now=now, unknown=unknown)


def _steps(
    here: Present, store: Store, attempts: Sequence[AttemptRow]
) -> dict[tuple[int, int], list[StepRow]]:
    """The steps of each attempt, ended ones first, by number."""
    found: dict[tuple[int, int], list[StepRow]] = {}
    wanted = {row.job for row in attempts if row.started_at}
    for row in store.steps(wanted):
        found.setdefault((row.job, row.attempt), []).append(row)
    for row in here.steps:
        own = found.setdefault((row.job, row.attempt), [])
        if row.step not in [other.step for other in own]:
            own.append(row)
            own.sort(key=lambda each: each.step)
    return found


def _only_steps(request: messages.ListAccountingRequest, rows: list[AccountingRow]) -> list[AccountingRow]:
    """Of jobs of which single steps were named only those."""
    only: dict[int, set[str] | None] = {}
    for ref in request.jobs:
        known = only.get(ref.job_id, set())
        only[ref.job_id] = None if ref.step is None or known is None else {*known, str(ref.step)}
    if all(steps is None for steps in only.values()):
        return rows
    return [
        row
        for row in rows
        if (wanted := only.get(row.attempt.job, only.get(row.attempt.array_id))) is None or row.step in wanted
    ]


def query_of(request: messages.ListAccountingRequest) -> AttemptQuery:
    """The rows of the store that may be wanted."""
    jobs: list[int] = []
    tasks: list[tuple[int, int]] = []
    for ref in request.jobs:
        ranges = index_ranges(ref.indices)
        if ranges and indices.size(ranges) <= SPELLED_OUT:
            tasks += [(ref.job_id, index) for index in indices.each(ranges)]
        else:
            jobs.append(ref.job_id)
    wanted = request.filter or messages.JobFilter()
    return AttemptQuery(
        jobs=tuple(jobs),
        tasks=tuple(tasks),
        users=tuple([name for name in wanted.users if not name.isdecimal()]),
        uids=tuple([int(name) for name in wanted.users if name.isdecimal()]),
        accounts=tuple(wanted.accounts),
        partitions=tuple(wanted.partitions),
        qos=tuple(wanted.qos),
        states=tuple(state_words(wanted.states)),
        names=tuple(wanted.names),
        nodes=tuple(wanted.nodes),
        since=Instant(request.since_us) if request.since_us else None,
        until=Instant(request.until_us) if request.until_us else None,
        attempts=Attempts.ALL if request.duplicates else Attempts.NEWEST,
        limit=min(request.limit, MAX_ROWS) or None,
    )


def present(engine: Engine, request: messages.ListAccountingRequest, now: Instant) -> Present:
    """What waits or runs and is wanted."""
    state = engine.state
    chosen = choose(state, request.jobs, request.filter, include_ended=False)
    items = [
        item
        for item in chosen.items
        if not isinstance(item.phase, Ended)
        and (not request.until_us or item.submitted_at <= request.until_us)
    ]
    table = view(state, now, items)
    limits = {id: state.arrays[id].array.limit for id in table.remaining}
    return Present(
        table.rows,
        reasons(table),
        {id: indices.text(ranges, limits[id]) for id, ranges in table.remaining.items()},
        priorities(table),
        engine.usage.copy(),
        now,
        _running_steps(engine, table.rows),
    )


def _running_steps(engine: Engine, jobs: Sequence[Job]) -> list[StepRow]:
    """The rows that their steps would leave if they ended now."""
    found = []
    for job in jobs:
        steps, active = engine.state.steps.get(job.id), job.phase
        if steps is not None and isinstance(active, Active):
            for step in steps.running:
                parts = [(part.node, step_key(active.attempt, step)) for part in step.parts]
                used = [_usage_of(engine.usage, *part) for part in parts]
                measured = [usage for usage in used if usage is not NO_USAGE]
                usage = joined_usage(measured) if measured else NO_USAGE
                found.append(running_row(job, active, step, usage))
    return found


def live_rows(here: Present) -> list[Live]:
    """The rows that these jobs would leave if they ended now."""
    return [_live(here, *each) for each in zip(here.jobs, here.reasons, here.priorities, strict=True)]


def merged(live: Sequence[Live], stored: Sequence[AttemptRow], *, duplicates: bool) -> list[AttemptRow]:
    """One list without a job's past beside its present (but for duplicates), and without anything twice."""
    newest: dict[JobId, int] = {}
    for row in stored:
        if not row.array_indices:
            newest[row.job] = max(newest.get(row.job, 0), row.attempt)
    kept = []
    current: set[JobId] = set()
    for row, waiting in live:
        ended = newest.get(row.job, -1)
        # A job that waits again has ended as often as it was granted; cancelled then, its row has the next
        # number.
        if ended > row.attempt or (ended == row.attempt and (not waiting or not row.attempt)):
            continue
        kept.append(row)
        current.add(row.job)
    past = [row for row in stored if duplicates or row.array_indices or row.job not in current]
    return past + kept


def _of_indices(stored: list[AttemptRow], request: messages.ListAccountingRequest) -> list[AttemptRow]:
    """Without rows of arrays of which only other indices were named (too many to name in the query)."""
    wide = {}
    whole = set()
    for ref in request.jobs:
        ranges = index_ranges(ref.indices)
        if ranges and indices.size(ranges) > SPELLED_OUT:
            wide[ref.job_id] = ranges
        else:
            whole.add(ref.job_id)
    if not wide:
        return stored
    return [
        row
        for row in stored
        if row.array_id not in wide
        or row.array_id in whole
        or row.job in whole
        or row.index < 0
        or indices.contains(wide[row.array_id], row.index)
    ]


def _unknown(request: messages.ListAccountingRequest, attempts: Sequence[AttemptRow]) -> list[str]:
    known = {row.job for row in attempts} | {row.array_id for row in attempts}
    return [ref.text or str(ref.job_id) for ref in request.jobs if ref.job_id not in known]


def _live(here: Present, job: Job, reason: str, priority: int) -> Live:
    """The row of a job that has not ended: as an ended one, with what is not known yet left open."""
    phase, spec = job.phase, job.spec
    active = phase if isinstance(phase, Active) else None
    placements = active.placements if active else ()
    asked = Amounts.asked(spec.ask)
    amounts = Amounts.given(placements) if placements else asked
    row = AttemptRow(
        job=job.id,
        attempt=active.attempt.number if active else job.attempts,
        array_id=job.array_id,
        index=job.index,
        array_indices=here.texts.get(job.id, "") if job.index < 0 else "",
        name=spec.name,
        uid=job.owner.uid,
        gid=job.owner.gid,
        user=job.owner.user,
        group=job.owner.group,
        account=spec.account,
        partition=spec.partition,
        qos=spec.qos,
        state=job.state.value,
        reason=reason,
        detail="",
        exit_code=0,
        exit_signal=0,
        cancelled_by=-1,
        submitted_at=job.submitted_at,
        eligible_at=phase.eligible_at,
        started_at=(active.started_at or active.granted_at) if active else UNKNOWN,
        ended_at=UNKNOWN,
        time_limit_s=spec.time_limit_s,
        n_nodes=amounts.n_nodes,
        n_tasks=sum([placement.n_tasks for placement in placements]) or spec.ask.n_tasks,
        n_cpus=amounts.n_cpus,
        mem_mib=amounts.mem_mib,
        req_mem=format_mem_mib(asked.mem_mib),
        req_tres=asked.text(),
        alloc_tres=amounts.text() if placements else "",
        nodes=nodes_text(placements) if placements else NONE_ASSIGNED,
        priority=priority,
        restarts=job.restarts,
        work_dir=spec.work_dir,
        comment=spec.comment,
        submit_line=spec.submit_line,
        features=spec.ask.features,
        command=command_of(spec),
        gpu_milli=amounts.gpu_milli,
        wckey=spec.wckey,
        reservation=(active.reservation if active else "") or spec.reservation,
        suspended_us=suspended_us(active, here.now) if active else 0,
        allocation=spec.allocation.value,
        usage=_usage(here, placements[0].node, active.attempt) if active and placements else NO_USAGE,
    )
    return Live(row, active is None)


def _usage(here: Present, node: NodeName, attempt: AttemptKey) -> Usage:
    """What its node last measured of a running attempt."""
    return _usage_of(here.usage, node, attempt)


def _usage_of(usage: Mapping[NodeName, NodeUsage], node: NodeName, attempt: AttemptKey) -> Usage:
    said = usage.get(node)
    sample = said.attempts.get(attempt) if said is not None else None
    return NO_USAGE if sample is None else sample.usage

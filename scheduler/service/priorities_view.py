"""Answers to questions about priorities and shares: sprio, sshare, `packhorse compare`."""

from __future__ import annotations

from packhorse.scheduler.core.compare import compare
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.targets import resolve
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.service import messages
from packhorse.scheduler.service.convert import target
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.selection import choose
from packhorse.scheduler.service.tables.priorities import PRIORITIES, PriorityView
from packhorse.scheduler.service.tables.shares import SHARES, ShareView
from packhorse.scheduler.service.tables.table import check_fields, make_table


def list_priorities(state: State, request: messages.ListPrioritiesRequest, now: Instant) -> messages.Table:
    """Under an order other than "multifactor" there are no terms."""
    fields = check_fields(PRIORITIES, request.fields)
    chosen = choose(state, request.jobs, request.filter, include_ended=False)
    view = PriorityView(state, now, chosen.items)
    return make_table(PRIORITIES, view, fields, n_rows=len(view.rows), now=now, unknown=chosen.unknown)


def list_shares(state: State, request: messages.ListSharesRequest, now: Instant) -> messages.Table:
    """Accounts and users that do not exist are among the table's unknown ones."""
    fields = check_fields(SHARES, request.fields)
    view = ShareView(state, now, request.accounts, request.users)
    book = state.accounts
    unknown = [name for name in request.accounts if name not in book.accounts]
    unknown += [name for name in request.users if name not in book.users]
    return make_table(SHARES, view, fields, n_rows=len(view.rows), now=now, unknown=unknown)


def compare_jobs(
    state: State, request: messages.CompareJobsRequest, now: Instant
) -> messages.CompareJobsResponse:
    """Raises CallFailed unless it is about jobs that wait."""
    first, second = _waiter(state, request.first), _waiter(state, request.second)
    if first == second:
        sentence = f"both are job {request.first.text if request.first else first}"
        return messages.CompareJobsResponse(ahead=first, behind=first, sentence=sentence)
    found = compare(state, first, second, now)
    return messages.CompareJobsResponse(
        ahead=found.ahead,
        behind=found.behind,
        by=found.by,
        sentence=found.sentence,
        terms=[messages.PriorityTerm(name=t.name, amount=t.amount, why=t.why) for t in found.terms],
    )


def _waiter(state: State, ref: messages.JobRef | None) -> JobId:
    """The row that the reference stands for: an array's remainder is one."""
    if ref is None:
        raise CallFailed(Code.INVALID_ARGUMENT, "name two jobs")
    aim = resolve(state, target(ref))
    text = ref.text or str(ref.job_id)
    if aim is None:
        raise CallFailed(Code.NOT_FOUND, f"job {text} is not known", slurm="Invalid job id specified")
    if aim.array is not None and aim.ranges:
        return aim.array.id
    for job in aim.jobs:
        if job.id in state.pending_columns:
            return job.id
    state_word = aim.jobs[0].state.value if aim.jobs else "over"
    raise CallFailed(
        Code.FAILED_PRECONDITION, f"job {text} is {state_word}: only jobs that wait have a place in the queue"
    )

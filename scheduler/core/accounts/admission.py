"""Limits at submission: how many jobs may be unfinished, and what can never start.

As in Slurm, a submission beyond MaxSubmit or GrpSubmit is refused whatever else. A job that passes a limit by
itself (MaxTRES, MaxWall, MinTRES, or more than a Grp… allows altogether) is accepted and waits with its
reason, until the limit or the job is changed; it is refused if its QOS, or that of its partition, has the
flag DenyOnLimit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packhorse.scheduler.core.accounts.holding import holdings
from packhorse.scheduler.core.accounts.needs import asked, is_within, need, seconds_of
from packhorse.scheduler.core.accounts.quota import book_of
from packhorse.scheduler.core.accounts.quota_text import amount_text, limit_text
from packhorse.scheduler.core.accounts.terms import Limit, Terms, What
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.job import JobSpec, Owner
from packhorse.scheduler.model.reply import RefusalCode, Refused

POLICY = "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)"
"""Slurm's phrase."""


def check_submission(state: State, owner: Owner, jobs: Iterable[tuple[JobSpec, int]]) -> Refused | None:
    """Whether so many more jobs of each spec may be queued; every index of an array is one."""
    terms = book_of(state).terms
    if not terms.limited:
        return None
    more: dict[Holder, int] = {}
    for spec, n in jobs:
        refused = check_alone(state, spec, owner)
        if refused is not None:
            return refused
        holder = holder_of(spec, owner)
        more[holder] = more.get(holder, 0) + n
    return _check_numbers(state, terms, more)


def check_change(state: State, owner: Owner, old: JobSpec, new: JobSpec, n: int) -> Refused | None:
    """Whether n unfinished jobs may be changed so: on another name they count there."""
    terms = book_of(state).terms
    if not terms.limited:
        return None
    before, after = holder_of(old, owner), holder_of(new, owner)
    refused = check_alone(state, new, owner)
    if refused is not None or before == after:
        return refused
    return _check_numbers(state, terms, {after: n, before: -n})


def check_alone(state: State, spec: JobSpec, owner: Owner) -> Refused | None:
    """Whether the job could start if there were no other, where that is asked for (DenyOnLimit)."""
    terms, holder = book_of(state).terms, holder_of(spec, owner)
    if not terms.denies(holder):
        return None
    for limit, needed in beyond(terms, spec, holder):
        least = "at least" if limit.what is What.LEAST else "at most"
        return Refused(
            RefusalCode.IMPOSSIBLE,
            f"{limit.of}: {amount_text(limit, needed)} asked, {least} {limit_text(limit)}; "
            f"ask for {'more' if limit.what is What.LEAST else 'less'}, or choose another QOS or account",
            POLICY,
        )
    return None


def beyond(terms: Terms, spec: JobSpec, holder: Holder) -> Iterator[tuple[Limit, int]]:
    """Limits that the job passes by itself, each with what it needs of it."""
    needs = asked(spec.ask, spec.licenses, terms.config, spec.partition)
    for limit in terms.limits(holder):
        if limit.what in (What.RUNNING, What.UNFINISHED):
            continue
        needed = need(limit, needs, seconds_of(spec.time_limit_s), terms.factor_milli(holder))
        if not is_within(limit, needed, -limit.most if limit.what is What.LEAST else limit.most):
            yield limit, abs(needed)


def longest_s(state: State, spec: JobSpec, owner: Owner) -> int:
    """The longest time limit that limits allow a job which has none of its own; 0: any."""
    terms = book_of(state).terms
    if not terms.limited:
        return 0
    found = [
        limit.most
        for limit in terms.limits(holder_of(spec, owner))
        if limit.title == "MaxWall" and limit.most
    ]
    return min(found, default=0)


def _check_numbers(state: State, terms: Terms, more: dict[Holder, int]) -> Refused | None:
    sums = holdings(state).sums(terms.scopes)
    added: dict[object, int] = {}
    for holder, n in more.items():
        for scope in terms.scopes(holder):
            added[scope] = added.get(scope, 0) + n
    for holder, n in more.items():
        for limit in terms.limits(holder) if n > 0 else ():
            if limit.what is not What.UNFINISHED:
                continue
            total = sums.get(limit.scope) if limit.scope is not None else None
            there = total.n_unfinished if total is not None else 0
            new = added[limit.scope]
            if new > 0 and there + new > limit.most:
                return Refused(
                    RefusalCode.EXHAUSTED,
                    f"{limit.of}: {there} unfinished jobs and {new} more, at most {limit_text(limit)}; "
                    "wait until some are over, or use another account or QOS",
                    POLICY,
                )
    return None

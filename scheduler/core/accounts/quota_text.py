"""Limits, and what is measured against them, as people read them."""

from __future__ import annotations

from packhorse.scheduler.core.accounts.held import WALL
from packhorse.scheduler.core.accounts.needs import NO_END
from packhorse.scheduler.core.accounts.terms import MINUTE_S, WITH_TIME, Limit, What
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.tres import BILLING, CPU, MEM, NODE, format_amount
from packhorse.scheduler.model.units import format_elapsed


def amount_text(limit: Limit, amount: int) -> str:
    """An amount in the unit of the limit: `3 jobs`, `16 CPUs`, `1200 CPU minutes`, `2-00:00:00`."""
    if amount >= NO_END:
        return "a time without end"
    if limit.what in (What.RUNNING, What.UNFINISHED):
        return _n(amount, "job")
    if limit.tres == WALL:
        return f"{format_elapsed(max(amount, 0))} of time"
    if limit.what in WITH_TIME:
        units = _units(limit.tres, amount // MINUTE_S)
        return f"{units.removesuffix('s') if limit.tres == CPU else units} minutes"
    node = " on a node" if limit.what is What.NODE_OF_JOB else ""
    return f"{_units(limit.tres, amount)}{node}"


def limit_text(limit: Limit) -> str:
    """What it allows, and its name: `16 CPUs (GrpTRES)`."""
    return f"{amount_text(limit, limit.most)} ({limit.title})"


def held_up_text(limit: Limit, needed: int, room: int) -> str:
    """Why a job waits for a limit, with figures: `account chem: needs 4 CPUs; 14 CPUs of 16 CPUs (GrpTRES)
    are held`."""
    if limit.what is What.LEAST:
        return f"{limit.of}: has {amount_text(limit, -needed)}, needs at least {limit_text(limit)}"
    if limit.scope is None:
        return f"{limit.of}: needs {amount_text(limit, needed)}, at most {limit_text(limit)}"
    used = f"{amount_text(limit, limit.most - room)} of {limit_text(limit)}"
    if limit.reason is Reason.QUOTA_LENT:
        return (
            f"{limit.of}: needs {amount_text(limit, needed)} of its quota, which is lent to its siblings; "
            f"together they hold {used}"
        )
    if limit.reason is Reason.QUOTA:
        return f"{limit.of}: needs {amount_text(limit, needed)}; {used} are held, nothing is left to borrow"
    if needed >= NO_END and limit.what is not What.JOB:
        return f"{limit.of}: has no time limit, and so might need more than is left of {limit_text(limit)}"
    verb = {What.SPENT: "spent or promised", What.RUNNING: "running"}.get(limit.what, "held")
    return f"{limit.of}: needs {amount_text(limit, needed)}; {used} are {verb}"


def _units(tres: str, amount: int) -> str:
    number = format_amount(tres, amount) if amount >= 0 else f"-{format_amount(tres, -amount)}"
    match tres:
        case _ if tres == CPU:
            return f"{number} CPU{'' if number == '1' else 's'}"
        case _ if tres == MEM:
            return f"{number} of memory"
        case _ if tres == NODE:
            return f"{number} node{'' if number == '1' else 's'}"
        case _ if tres == BILLING:
            return f"{number} of billing"
    kind, _, name = tres.partition("/")
    return f"{number} {name}" if kind == "gres" else f"{number} of license {name}"


def _n(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"

"""Conditions of a waiting job that could be dropped or put differently, one at a time.

Nothing is searched for here: whether one of them helps, a pass says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.why.change import Change, Waiter
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Changes
from packhorse.scheduler.model.job import ArrayJob, Held, JobSpec, Pending

SIZES: Final = {
    "release": 0.0,
    "begin time": 0.0,
    "nice": 0.05,
    "preference": 0.15,
    "partition": 0.2,
    "QOS": 0.2,
    "account": 0.25,
    "excluded nodes": 0.25,
    "named nodes": 0.3,
    "device type": 0.3,
    "constraint": 0.35,
    "exclusive": 0.35,
    "reservation": 0.4,
    "array limit": 0.1,
    "priority": 0.5,
    "licenses": 0.6,
    "dependency": 0.9,
}
"""How much of a change each is, beside amounts, which count by their part. What only says when or where is
little; what the job computes with, or its order after others, is much."""

MOST_PARTITIONS: Final = 6
MOST_NAMES: Final = 4
"""QOS and accounts that are tried, each."""


def waits(state: State, waiter: Waiter, now: Instant) -> Iterator[Change]:
    """What keeps it out of the queue altogether: hold, begin time, dependency, limit of its array."""
    phase, spec = waiter.phase, waiter.spec
    assert isinstance(phase, Pending)
    if phase.held is not Held.NO:
        words = "released" if phase.held is Held.USER else "released, which an administrator has to do"
        yield Change("release", words, SIZES["release"], spec, release=True)
    if phase.unmet or phase.never or (isinstance(waiter, ArrayJob) and waiter.blocked):
        new = replace(spec, dependency=None)
        words = "without its dependency"
        changes = Changes(drop_dependency=True)
        yield Change("dependency", words, SIZES["dependency"], new, changes, "Dependency=")
    if phase.begin_at > now:
        new = replace(spec, begin_at=now)
        words = "its begin time set to now"
        yield Change("begin time", words, SIZES["begin time"], new, Changes(begin_at=now), "StartTime=now")
    at_its_limit = state.pending_columns.reason(waiter.id) is Reason.ARRAY_TASK_LIMIT
    if isinstance(waiter, ArrayJob) and waiter.array.limit and at_its_limit:
        limit = state.tasks[waiter.id].n_active + 1
        words = f"{limit} of its tasks at once instead of {waiter.array.limit}"
        changes = Changes(array_limit=limit)
        yield Change("array limit", words, SIZES["array limit"], spec, changes, f"ArrayTaskThrottle={limit}")


def _drop(
    kind: str, words: str, spec: JobSpec, changes: Changes | None, update: str, options: str = ""
) -> Change:
    return Change(kind, words, SIZES[kind], spec, changes, update, options)


def dropped(spec: JobSpec) -> Iterator[Change]:
    """Wishes about nodes that it could do without."""
    ask = spec.ask
    if ask.features:
        new = replace(spec, ask=replace(ask, features=""))
        yield _drop(
            "constraint", f"without the constraint {ask.features}", new, Changes(features=""), "Features="
        )
    if ask.nodes_required:
        new = replace(spec, ask=replace(ask, nodes_required=()))
        words = "on any nodes instead of those that it names"
        yield _drop("named nodes", words, new, Changes(nodes_required=()), "NodeList=")
    if ask.nodes_excluded:
        new = replace(spec, ask=replace(ask, nodes_excluded=()))
        yield _drop(
            "excluded nodes", "with no nodes excluded", new, Changes(nodes_excluded=()), "ExcNodeList="
        )
    if ask.exclusive:
        new = replace(spec, ask=replace(ask, exclusive=False))
        yield _drop("exclusive", "without --exclusive", new, None, "", "(without --exclusive)")
    for title, value, option in (
        ("hops", -1, "--hops"),
        ("max_switches", 0, "--switches"),
        ("contiguous", False, "--contiguous"),
        ("linked", False, "--gpu-link"),
        ("spread", False, "--spread-job"),
    ):
        if getattr(ask, title) != value:
            new = replace(spec, ask=replace(ask, **{title: value}))
            yield _drop("preference", f"without {option}", new, None, "", f"(without {option})")


def elsewhere(state: State, spec: JobSpec) -> Iterator[Change]:
    """Other partitions."""
    names = [p.name for p in state.config.partitions if p.up and p.name != spec.partition]
    for name in names[:MOST_PARTITIONS]:
        new = replace(spec, partition=name)
        yield _drop("partition", f"partition {name}", new, Changes(partition=name), f"Partition={name}")


def on_whose_name(state: State, waiter: Waiter) -> Iterator[Change]:
    """Another QOS or account, or no reservation."""
    spec, book = waiter.spec, state.accounts
    names = dict.fromkeys([*book.qos, *state.config.reclaim.stoppable_qos])
    for name in [name for name in names if name != spec.qos][:MOST_NAMES]:
        yield _drop("QOS", f"QOS {name}", replace(spec, qos=name), Changes(qos=name), f"QOS={name}")
    own = dict.fromkeys(key.account for key in book.associations if key.user == waiter.owner.user)
    for name in [name for name in own if name != spec.account][:MOST_NAMES]:
        new = replace(spec, account=name)
        yield _drop("account", f"account {name}", new, Changes(account=name), f"Account={name}")
    if spec.reservation:
        new = replace(spec, reservation="")
        words = f"outside reservation {spec.reservation}"
        yield _drop("reservation", words, new, Changes(reservation=""), "ReservationName=")


def unlicensed(state: State, spec: JobSpec) -> Iterator[Change]:
    """As many of each licence as are free, none of those of which none is."""
    if not spec.licenses:
        return
    free = state.licenses.free(state.config)
    wanted = parse_licenses(spec.licenses)
    left = [(name, min(n, max(free.get(name, 0), 0))) for name, n in wanted]
    if tuple(left) == tuple(wanted):
        return
    text = ",".join(f"{name}:{n}" for name, n in left if n)
    new = replace(spec, licenses=text)
    words = f"licenses {text} instead of {spec.licenses}" if text else f"without licenses {spec.licenses}"
    options = f"--licenses={text}" if text else "(without --licenses)"
    yield _drop("licenses", words, new, None, "", options)


def sooner(waiter: Waiter, top: int) -> Iterator[Change]:
    """Its place in the order: its own nice value, and a priority, which administrators give. top: a
    priority above that of everybody who waits."""
    spec = waiter.spec
    if spec.nice > 0:
        yield _drop("nice", "a nice value of 0", replace(spec, nice=0), Changes(nice=0), "Nice=0")
    words = f"a priority of {top}, ahead of all others of its partition"
    yield _drop("priority", words, replace(spec, priority=top), Changes(priority=top), f"Priority={top}")


def markdown() -> str:
    """The table of sizes, as in docs/policy/why.md."""
    rows = [f"| {kind} | {size:g} |" for kind, size in sorted(SIZES.items(), key=lambda item: item[1])]
    return "\n".join(["| what is changed or dropped | counts as |", "|---|---|", *rows])

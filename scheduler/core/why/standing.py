"""What a waiting job's place in the order is made of, and what puts another one ahead of it, in sentences."""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.accounts.book import ROOT_KEY
from packhorse.scheduler.core.accounts.spent import path
from packhorse.scheduler.core.compare import compare
from packhorse.scheduler.core.multifactor import Key, weigh
from packhorse.scheduler.core.names import name_of
from packhorse.scheduler.core.orders import MULTIFACTOR
from packhorse.scheduler.core.priority import BASE_PRIORITY, base_priority
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.core.why.change import Waiter
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Pending
from packhorse.scheduler.model.units import format_elapsed


def priority_of(state: State, waiter: Waiter, now: Instant) -> int:
    """The number that `squeue` shows of a job that waits."""
    if state.config.order == MULTIFACTOR:
        slots = np.array([state.pending_columns.slot(waiter.id)], dtype=np.intp)
        return max(int(Key(state, now).priority(slots)[0]), 1)
    partition = next((p for p in state.config.partitions if p.name == waiter.spec.partition), None)
    return base_priority(waiter.spec, partition)


def top_priority(state: State, slots: np.ndarray, now: Instant) -> int:
    """One above that of all these rows."""
    if not slots.size:
        return 1
    if state.config.order == MULTIFACTOR:
        return int(Key(state, now).priority(slots).max()) + 1
    pending = state.pending_columns
    _, negative, _ = pending.keys(slots, pending.rules(state.config))
    return int(-negative.min()) + 1


def standing(state: State, waiter: Waiter, now: Instant) -> tuple[str, ...]:
    """What its priority is made of, and why its fair share is what it is."""
    spec = waiter.spec
    if spec.priority is not None:
        return (f"priority {spec.priority}, given to it by an administrator",)
    if state.config.order == MULTIFACTOR:
        return _terms(state, waiter, now)
    partition = next((p for p in state.config.partitions if p.name == spec.partition), None)
    terms = [f"{BASE_PRIORITY} of every job"]
    if partition is not None and partition.priority:
        terms.append(f"{partition.priority:+} of partition {partition.name}")
    if spec.nice:
        terms.append(f"{-spec.nice:+} by its nice value")
    return (f"priority {priority_of(state, waiter, now)}: {', '.join(terms)}{_tier(state, waiter)}",)


def because(state: State, waiter: Waiter, other: Waiter, now: Instant) -> str:
    """What puts the other job, which may start, ahead of this one; as `packhorse compare` says it."""
    found = compare(state, other.id, waiter.id, now)
    if found.ahead != other.id:
        return "it keeps the place that it had"
    return (
        found.sentence.removeprefix(f"job {name_of(other)} is ahead of job {name_of(waiter)}")
        .strip()
        .removeprefix(": ")
    )


def _tier(state: State, waiter: Waiter) -> str:
    tiers = {p.name: p.priority_tier for p in state.config.partitions}
    own = tiers.get(waiter.spec.partition, 0)
    if all(tier <= own for tier in tiers.values()):
        return ""
    return f"; jobs of partitions with a tier above {own} come first"


def _terms(state: State, waiter: Waiter, now: Instant) -> tuple[str, ...]:
    """Under "multifactor"."""
    slots = np.array([state.pending_columns.slot(waiter.id)], dtype=np.intp)
    weights = state.config.priorities
    factors = Key(state, now).factors(slots)
    terms = weigh(weights, factors)
    phase, spec = waiter.phase, waiter.spec
    assert isinstance(phase, Pending)
    waits = format_elapsed(max(now - phase.eligible_at, 0) // US) if phase.eligible_at else "0:00"
    named = [
        (int(terms.age[0]), f"by age (it waits for {waits})"),
        (int(terms.fairshare[0]), f"by fair share (factor {float(factors.fairshare[0]):.3f})"),
        (int(terms.job_size[0]), "by its size"),
        (int(terms.partition[0]), f"of partition {spec.partition}"),
        (int(terms.qos[0]), f"of QOS {spec.qos}"),
        (int(terms.assoc[0]), "of its association"),
        *(
            (int(values[0]), f"by its {name}")
            for (name, _), values in zip(weights.weight_tres, terms.tres, strict=True)
        ),
        (-spec.nice, "by its nice value"),
        (spec.site_factor, "by its site factor"),
    ]
    text = ", ".join(f"{amount} {what}" for amount, what in named if amount) or "no term counts for it"
    sentence = f"priority {max(int(terms.priority[0]), 1)}: {text}{_tier(state, waiter)}"
    return (sentence, *_fair_share(state, waiter, now)) if weights.weight_fairshare else (sentence,)


def _fair_share(state: State, waiter: Waiter, now: Instant) -> tuple[str, ...]:
    """Level by level from the top: what part of the shares it has, and what part of the use."""
    book = state.accounts
    own = book.chain(holder_of(waiter.spec, waiter.owner))[0]
    if own == ROOT_KEY:
        return ("it has no account with shares: its fair share is nothing",)
    rows = {row.key: row for row in state.fair_shares.rows(book, state.spent, now, state.config.priorities)}
    parts = []
    for key in path(book, own)[::-1]:
        row = rows.get(key)
        if row is None or key == ROOT_KEY:
            continue
        name = f"user {key.user}" if key.user else f"account {key.account}"
        shares, use = 100 * row.norm_shares, 100 * row.effective_usage
        parts.append(f"{name} has {shares:.0f} % of the shares and {use:.0f} % of the use")
    return (f"fair share: {', '.join(parts)}, each among its siblings",)

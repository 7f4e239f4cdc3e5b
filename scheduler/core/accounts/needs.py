"""How much of each limit a job needs: by its ask before it is placed, exactly once it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from packhorse.scheduler.core.accounts.billing import billing_milli, partition_named
from packhorse.scheduler.core.accounts.held import WALL
from packhorse.scheduler.core.accounts.terms import Limit, What
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.resources import Ask, Placement
from packhorse.scheduler.model.tres import BILLING, MEM, MILLI, Tres, asked_tres, placed_tres

NO_END: Final = 1 << 61
"""Of time, what a job without a limit needs."""

MOST_TIME_S: Final = 1 << 29
"""17 years: a longer limit is none."""

MOST_AMOUNT: Final = 1 << 31
"""More of anything than one job has, in the units of `Tres`."""


class Needs(NamedTuple):
    """Of one job, by TRES name with WALL: in all, and at most on one of its nodes."""

    amounts: dict[str, int]
    per_node: dict[str, int]


def with_billing(tres: Tres, config: ClusterConfig, partition: str) -> Tres:
    """What a job has, and what that costs in its partition; whole units, rounded up."""
    found = partition_named(config, partition)
    cost = -(-billing_milli(found, tres, max_tres=config.priorities.max_tres) // MILLI)
    return (*tres, (BILLING, cost)) if cost else tres


def asked(ask: Ask, licenses: str, config: ClusterConfig, partition: str) -> Needs:
    """The least that a job with this ask gets."""
    tres = asked_tres(ask, licenses)
    most_nodes = max(ask.max_nodes or ask.n_tasks, ask.min_nodes, 1)
    per_node = {name: -(-amount // most_nodes) for name, amount in tres}
    if ask.mem_mib_per_node:
        per_node[MEM] = ask.mem_mib_per_node
    per_node.update((f"gres/{g.kind}", g.n * g.milli) for g in ask.gres_per_node)
    per_node.update((f"gres/{g.kind}:{g.type}", g.n * g.milli) for g in ask.gres_per_node if g.type)
    return _needs(with_billing(tres, config, partition), per_node)


def placed(placements: Sequence[Placement], licenses: str, config: ClusterConfig, partition: str) -> Needs:
    """What a job on these has."""
    per_node: dict[str, int] = {}
    for placement in placements:
        for name, amount in placed_tres((placement,)):
            per_node[name] = max(per_node.get(name, 0), amount)
    return _needs(with_billing(placed_tres(placements, licenses), config, partition), per_node)


def covers(asked: Needs, placed: Needs) -> bool:
    """Whether a job has what was expected of it, and on no node more."""
    return asked.amounts == placed.amounts and all(
        amount <= asked.per_node.get(name, 0) for name, amount in placed.per_node.items()
    )


def _needs(tres: Tres, per_node: dict[str, int]) -> Needs:
    return Needs({WALL: 1, **{name: min(n, MOST_AMOUNT) for name, n in tres}}, per_node)


def seconds_of(limit_s: int) -> int:
    """A time limit as it is counted here; 0: none."""
    return limit_s if 0 < limit_s < MOST_TIME_S else NO_END


def need(limit: Limit, needs: Needs, seconds: int, factor_milli: int) -> int:
    """How much of this limit, in its unit; of LEAST the negative amount. seconds: as of `seconds_of`."""
    match limit.what:
        case What.RUNNING | What.UNFINISHED:
            return 1
        case What.HELD | What.JOB:
            return needs.amounts.get(limit.tres, 0)
        case What.NODE_OF_JOB:
            return needs.per_node.get(limit.tres, 0)
        case What.LEAST:
            return -needs.amounts.get(limit.tres, 0)
    amount = needs.amounts.get(limit.tres, 0)
    if limit.what is What.SPENT and limit.tres != WALL:
        amount = min(-(-amount * factor_milli // MILLI), MOST_AMOUNT)
    if not amount:
        return 0
    return NO_END if seconds == NO_END else amount * seconds


def is_within(limit: Limit, needed: int, room: int) -> bool:
    """Whether there is room for it; a job that needs nothing of a limit does not mind."""
    return needed <= room or (not needed and limit.what is not What.LEAST)

"""A scheduling policy by name: an order, who may go before blocked jobs, a predictor and a placement policy.

    fcfs, sjf, saf, f1, wfp3 …    an order of core/orders.py, with easy backfilling
    saf+textbook, fcfs+none       with another kind of backfilling (core/backfill_kinds.py)
    fcfs+easy:4, fcfs+easy:all    planned starts for the first four blocked jobs, or for all (conservative)
    fcfs+none!                    a blocked job that is next stays next, whoever comes
    srsf^order                    running jobs make room for those before them (core/preemption.py);
                                  nothing is planned ahead then
    sjf@last2, fcfs@clairvoyant   with a predictor (core/predictors.py); clairvoyant: told the run times
    fcfs/fgd                      with a placement policy (core/packing/policies.py)

Parts can be put together in this order, `sjf+sjbf:2@last2/best-fit`; PRESETS are names for some of them.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.backfill_kinds import backfill
from packhorse.scheduler.core.orders import BY_ORDER, FCFS, NOBODY, order
from packhorse.scheduler.core.predictors import LIMIT, predictor
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.plugins import require_policy

CLAIRVOYANT: Final = "clairvoyant"
ALL: Final = 1 << 16
"""Planned starts for every blocked job."""

PRESETS: Final = {
    "easy": "fcfs",
    "easy-sjbf": "fcfs+sjbf",
    "easy++": "fcfs+sjbf@last2",
    "conservative": "fcfs+easy:all",
    "rlscheduler": "fcfs+before!",
    "packhorse": "packhorse+easy",
    "srtf": "srtf^order@clairvoyant",
    "srsf": "srsf^order@clairvoyant",
    "tiresias": "las2d^order",
}
"""Names for combinations."""

_SHAPE: Final = re.compile(
    r"(?P<order>[a-z0-9-]+)(\+(?P<backfill>[a-z-]+)(:(?P<depth>\d+|all))?)?(?P<keep>!)?"
    r"(\^(?P<preempt>[a-z]+))?"
    r"(@(?P<predictor>[a-z0-9-]+))?(/(?P<placement>[a-z0-9-]+))?"
)


class LabPolicy(NamedTuple):
    """name: as it was asked for. clairvoyant: time limits are the real run times."""

    name: str
    order: str
    backfill: str = "easy"
    depth: int = 1
    keep_next: bool = False
    predictor: str = LIMIT
    clairvoyant: bool = False
    placement: str = ""
    preempt: str = NOBODY

    def configured(self, config: ClusterConfig) -> ClusterConfig:
        """The configuration of a cluster under this policy."""
        return replace(
            config,
            order=self.order,
            backfill=self.backfill,
            backfill_depth=self.depth,
            keep_next=self.keep_next,
            predictor=self.predictor,
            policy=self.placement or config.policy,
            preempt=self.preempt,
        )


def as_configured(config: ClusterConfig, name: str) -> LabPolicy:
    """The policy that a configuration stands for, under a name."""
    return LabPolicy(
        name,
        config.order,
        config.backfill,
        config.backfill_depth,
        config.keep_next,
        config.predictor,
        placement=config.policy,
        preempt=config.preempt,
    )


def lab_policy(name: str) -> LabPolicy:
    """The policy of this name; BadValue says which part of it is not known."""
    text = PRESETS.get(name, name)
    found = _SHAPE.fullmatch(text)
    if found is None:
        raise BadValue(
            f'policy "{name}": not of the form '
            "ORDER[+BACKFILL[:DEPTH]][!][^PREEMPT][@PREDICTOR][/PLACEMENT], "
            f"nor one of {', '.join(PRESETS)}"
        )
    part = found.groupdict()
    try:
        queue = FCFS if part["order"] == "fcfs" else order(part["order"]).name
        kind = backfill(part["backfill"] or "easy").name
        clairvoyant = part["predictor"] == CLAIRVOYANT
        run = LIMIT if clairvoyant else predictor(part["predictor"] or LIMIT).name
        placement = require_policy(part["placement"]).name if part["placement"] else ""
    except BadValue as bad:
        raise BadValue(f'policy "{name}": {bad}') from None
    depth = ALL if part["depth"] == "all" else int(part["depth"] or 1)
    if not 1 <= depth <= ALL:
        raise BadValue(f'policy "{name}": depth {depth}: from 1 to {ALL}, or all')
    preempt = part["preempt"] or NOBODY
    if preempt not in (NOBODY, BY_ORDER):
        raise BadValue(f'policy "{name}": preemption "{preempt}" is not known; there is {BY_ORDER}')
    return LabPolicy(name, queue, kind, depth, bool(part["keep"]), run, clairvoyant, placement, preempt)

"""The placement policies by name."""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.core.packing.policy import Policy
from packhorse.scheduler.core.packing.tightest import TIGHTEST, Tightest
from packhorse.scheduler.model.errors import BadValue

POLICIES: Final[dict[str, Policy]] = {
    TIGHTEST: Policy(TIGHTEST, "the node that is left fullest over all its resources", Tightest),
}


def policy(name: str) -> Policy:
    """The policy of this name. BadValue, listing those there are, if there is none."""
    found = POLICIES.get(name)
    if found is None:
        raise BadValue(f'placement policy "{name}" is not known; choose one of {", ".join(sorted(POLICIES))}')
    return found


def add(more: Policy) -> None:
    """One more policy, of another package. BadValue if the name is taken by a different one."""
    if POLICIES.setdefault(more.name, more) is not more:
        raise BadValue(f'placement policy "{more.name}" is there already; give yours another name')

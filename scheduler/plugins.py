"""Placement policies from other packages: those that announce one under the entry point `packhorse.policies`.

The name of the entry point is the name of the policy; what it points to is a `Policy`
(core/packing/policy.py). A package is imported only when its policy is asked for by name.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from packhorse.scheduler.core.packing.policies import POLICIES, add
from packhorse.scheduler.core.packing.policy import Policy
from packhorse.scheduler.model.errors import BadValue

GROUP = "packhorse.policies"


def known_policies() -> tuple[str, ...]:
    """Names of all policies there are, those of other packages included, without importing these."""
    return tuple(sorted({*POLICIES, *(point.name for point in entry_points(group=GROUP))}))


def require_policy(name: str) -> Policy:
    """The policy of this name, its package imported if need be. BadValue if there is none or it is broken."""
    if name in POLICIES:
        return POLICIES[name]
    points = [point for point in entry_points(group=GROUP) if point.name == name]
    if not points:
        raise BadValue(f'placement policy "{name}" is not known; there are {", ".join(known_policies())}')
    try:
        found = points[0].load()
    except (
        Exception
    ) as error:  # whatever another package's import does wrong is told, not shown as a traceback
        raise BadValue(
            f'placement policy "{name}": {points[0].value} cannot be imported: '
            f"{type(error).__name__}: {error}"
        ) from error
    return add(name, found)

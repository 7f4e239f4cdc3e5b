"""The placement policies by name.

Third parties add theirs through entry points, which the shell loads; `with_more` checks what it found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from packhorse.scheduler.core.packing.baselines import (
    BestFit,
    DotProduct,
    Even,
    GpuClustering,
    GpuPacking,
    WorstFit,
)
from packhorse.scheduler.core.packing.fgd import Fgd
from packhorse.scheduler.core.packing.learning import learn
from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy
from packhorse.scheduler.core.packing.potential import Potential, kinds_of, table_of
from packhorse.scheduler.model.errors import BadValue

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def packhorse(ground: Ground, mix: Mix) -> Potential:
    """Our policy, taught by playing: some seconds where jobs with devices are known, at once otherwise."""
    kinds = kinds_of(ground, mix)
    return Potential(ground, kinds, table_of(kinds, learn(ground, mix, kinds)))


DEFAULT: Final = "packhorse"

POLICIES: Final[Mapping[str, Policy]] = {
    p.name: p
    for p in (
        Policy(DEFAULT, "least free device time made worthless, learned from the mix of jobs", packhorse),
        Policy("fgd", "fragmentation gradient descent (Weng et al., ATC 2023)", Fgd),
        Policy("best-fit", "the node it leaves fullest", BestFit),
        Policy("first-fit", "the first node", Even),
        Policy("worst-fit", "spread: the node it leaves emptiest", WorstFit),
        Policy("dot-product", "free amounts point least along the ask (Tetris, SIGCOMM 2014)", DotProduct),
        Policy("gpu-packing", "devices in use before idle ones, nodes in use before idle ones", GpuPacking),
        Policy(
            "gpu-clustering", "shares with shares, whole devices with whole ones (Gandiva)", GpuClustering
        ),
    )
}
"""All that come with Packhorse."""


def policy(name: str, table: Mapping[str, Policy] = POLICIES) -> Policy:
    """The policy of this name; BadValue lists the known ones."""
    found = table.get(name)
    if found is None:
        raise BadValue(f"policy {name!r}: there is none of this name; known: {', '.join(table)}")
    return found


def with_more(table: Mapping[str, Policy], extra: Mapping[str, object]) -> dict[str, Policy]:
    """The table with the policies of others, by the name of their entry point.

    Raises BadValue if one is no Policy, has an odd name or another than its entry point, or is known already.
    """
    more = dict(table)
    for name, found in extra.items():
        if not _NAME.fullmatch(name):
            raise BadValue(f"policy {name!r}: a name is lower-case letters, digits and '-', 40 at most")
        if name in more:
            raise BadValue(f"policy {name!r}: there is one of this name already; give it another")
        if not isinstance(found, Policy) or not callable(found.make):
            raise BadValue(f"policy {name!r}: the entry point is a {type(found).__name__}, not a Policy")
        if found.name != name:
            raise BadValue(f"policy {name!r}: calls itself {found.name!r}; both names must be the same")
        more[name] = found
    return more

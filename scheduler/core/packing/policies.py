"""The placement policies by name.

Those of other packages come through entry points, which the shell loads and adds.
"""

from __future__ import annotations

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
from packhorse.scheduler.core.packing.tightest import TIGHTEST, Tightest
from packhorse.scheduler.model.errors import BadValue


def packhorse(ground: Ground, mix: Mix) -> Potential:
    """Our policy, taught by playing: some seconds where jobs with devices are known, at once otherwise."""
    kinds = kinds_of(ground, mix)
    return Potential(ground, kinds, table_of(kinds, learn(ground, mix, kinds)))


DEFAULT: Final = "packhorse"

POLICIES: Final[dict[str, Policy]] = {
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
        Policy(TIGHTEST, "the node that is left fullest over all its resources", Tightest),
    )
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

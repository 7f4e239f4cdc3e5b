"""The placement policies by name.

Third parties add theirs through entry points, which packhorse.scheduler.plugins loads; `add` checks what it
found.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

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
from packhorse.scheduler.core.packing.potential import Potential, kinds_of, table_of, untaught
from packhorse.scheduler.core.packing.tightest import TIGHTEST, Tightest
from packhorse.scheduler.model.errors import BadValue

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def packhorse(ground: Ground, mix: Mix) -> Potential:
    """Our policy, taught by playing: some seconds where jobs with devices are known, at once otherwise."""
    return taught(ground, mix, lesson(ground, mix))


def lesson(ground: Ground, mix: Mix) -> np.ndarray:
    """What it learns by playing; slow. On few nodes chance has the say in the games, and nothing is
    learned."""
    kinds = kinds_of(ground, mix)
    if int((ground.n_devices > 0).sum()) < LEAST or not (mix.weight * mix.n_devices).any():
        return untaught(kinds)
    return learn(ground, mix, kinds)


def taught(ground: Ground, mix: Mix, learned: np.ndarray | None) -> Potential:
    """Our policy with what it has learned, or with its prior; quick."""
    kinds = kinds_of(ground, mix)
    return Potential(ground, kinds, table_of(kinds, untaught(kinds) if learned is None else learned))


DEFAULT: Final = "packhorse"

LEAST: Final = 50
"""Nodes with devices, below which `packhorse` goes by what it knows without learning."""

POLICIES: Final[dict[str, Policy]] = {
    p.name: p
    for p in (
        Policy(
            DEFAULT,
            "least free device time made worthless, learned from the mix of jobs",
            packhorse,
            lesson,
            taught,
            devices=True,
        ),
        Policy(TIGHTEST, "the node it leaves fullest, over all resources", Tightest),
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
"""All that come with Packhorse, and those that `add` added."""


def policy(name: str) -> Policy:
    """The policy of this name; BadValue lists the known ones."""
    found = POLICIES.get(name)
    if found is None:
        raise BadValue(f'placement policy "{name}" is not known; there are {", ".join(sorted(POLICIES))}')
    return found


def add(name: str, found: object) -> Policy:
    """One more policy, of another package, by the name of its entry point; again and again the same one.

    Raises BadValue if it is no Policy, has an odd name or another than its entry point, or is known already.
    """
    if not _NAME.fullmatch(name):
        raise BadValue(f'placement policy "{name}": a name is lower-case letters, digits and "-", 40 at most')
    if not isinstance(found, Policy) or not callable(found.make):
        raise BadValue(
            f'placement policy "{name}": the entry point is a {type(found).__name__}, not a Policy'
        )
    if found.name != name:
        raise BadValue(
            f'placement policy "{name}": it calls itself "{found.name}"; both names must be the same'
        )
    if POLICIES.setdefault(name, found) is not found:
        raise BadValue(f'placement policy "{name}": there is one of this name already; give it another')
    return found

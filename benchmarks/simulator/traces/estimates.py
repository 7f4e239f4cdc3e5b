"""How long users say that their jobs may run.

Their accuracy, run time / estimate, is close to uniformly distributed (Mu'alem and Feitelson, IEEE TPDS
12(6), 2001), some just ask for the most they can get, and all like round numbers (Tsafrir, Etsion and
Feitelson, "Modeling user runtime estimates", JSSPP 2005: about twenty values make up nine tenths of the
estimates). Departure from the latter: values are rounded up to the next popular one, not drawn from a fitted
ranking.
"""

from __future__ import annotations

from typing import Final

import numpy as np

POPULAR_S: Final = tuple(60 * minutes for minutes in (1, 2, 5, 10, 15, 20, 30, 45)) + tuple(
    3600 * hours
    for hours in (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 24, 36, 48, 72, 96, 120, 168, 240, 336, 720)
)
ASK_THE_MOST: Final = 0.1
"""Part of the jobs that ask for the longest time there is."""
LEAST_ACCURACY: Final = 0.05
MODELS: Final = ("exact", "rounded", "none")


def limits_us(run_us: np.ndarray, model: str, most_s: float, chance: np.random.Generator) -> np.ndarray:
    """A limit for each run time `[n]`, never below it.

    model: "exact" is the run time itself, "none" 0, not known, "rounded" as described above, with limits up
    to most_s, or up to the next whole day for what runs longer.
    """
    if model == "none":
        return np.zeros_like(run_us)
    if model == "exact":
        return run_us
    popular_us = np.array([*(s for s in POPULAR_S if s < most_s), most_s], dtype=np.float64) * 1e6
    accuracy = LEAST_ACCURACY + (1 - LEAST_ACCURACY) * chance.random(run_us.size)
    asked_us = np.minimum(run_us / accuracy, popular_us[-1])
    asked_us = np.where(chance.random(run_us.size) < ASK_THE_MOST, popular_us[-1], asked_us)
    limits = popular_us[np.searchsorted(popular_us, asked_us)].astype(np.int64)
    day_us = 86_400_000_000
    return np.where(run_us > limits, -(-run_us // day_us) * day_us, limits)

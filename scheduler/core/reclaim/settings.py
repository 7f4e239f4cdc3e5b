"""Constants of usage estimates, the same struct for every estimator."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Seconds are time that an attempt was measured in. Every estimator takes what its rule names.

    settle_s: for so long after its start an attempt is taken to use its limit (Borg: 300 s).
    margin_milli: added to what was measured, in thousandths of it; None for the estimator's own.
    half_life_s: an estimate above its target comes half-way down in this time.
    window_s: how long a peak counts as recent.
    silent_s: without a sample an estimate holds for so long, and rises to the limit in as long again.
    """

    settle_s: int = 300
    margin_milli: int | None = None
    half_life_s: int = 3600
    window_s: int = 3600
    silent_s: int = 900

    def __post_init__(self) -> None:
        for name in ("settle_s", "half_life_s", "window_s", "silent_s"):
            if getattr(self, name) < (1 if name in ("window_s", "silent_s") else 0):
                raise ValueError(f"{name} {getattr(self, name)}: too short")
        if self.margin_milli is not None and self.margin_milli < 0:
            raise ValueError(f"margin_milli {self.margin_milli}: negative")

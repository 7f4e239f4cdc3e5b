"""Constants of usage estimates, the same struct for every estimator."""

from __future__ import annotations

from typing import Final

import msgspec

_LEAST: Final = {
    "settle_s": 0,
    "silent_s": 1,
    "margin_milli": 0,
    "half_life_s": 0,
    "window_s": 1,
    "percentile_milli": 1,
    "overrun_days": 0,
}


class Settings(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """None: what the estimator comes with. ValueError names what is too small or too large.

    settle_s: for so long after its start an attempt is taken to use its limit (Borg: 300 s).
    silent_s: without a sample an estimate holds for so long, and rises to the limit in as long again.
    margin_milli: added to what was measured, in thousandths of it. Of `borg` and `window`.
    half_life_s: an estimate above its target comes half-way down in this time; 0: at once.
    window_s: how long a peak counts as recent; for a percentile, the half-life of a sample's weight.
    percentile_milli: which percentile `window` takes, in tenths of a percent; 1000 for the peak.
    overrun_days: how bad it is for `packhorse` when an attempt grows past its estimate: as bad as to keep the
        peak of a mean attempt idle for so many days.
    """

    settle_s: int = 300
    silent_s: int = 900
    margin_milli: int | None = None
    half_life_s: int | None = None
    window_s: int | None = None
    percentile_milli: int = 1000
    overrun_days: int = 60

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} is {value}, and has to be {least} or more")
        if self.percentile_milli > 1000:
            raise ValueError(f"percentile_milli is {self.percentile_milli}, and has to be 1000 or less")


class Own(msgspec.Struct, frozen=True, gc=False):
    """What an estimator comes with; fields as in Settings."""

    margin_milli: int
    half_life_s: int
    window_s: int

    def fill(self, settings: Settings) -> Settings:
        """The settings, with these where there is None."""
        missing = {
            name: getattr(self, name) for name in self.__struct_fields__ if getattr(settings, name) is None
        }
        return msgspec.structs.replace(settings, **missing)

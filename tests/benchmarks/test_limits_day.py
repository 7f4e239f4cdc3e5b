"""The day under limits: nothing is broken, and the referee would have seen it."""

from __future__ import annotations

import pytest

from benchmarks import limits_day
from packhorse.scheduler.core.accounts.limit_book import Demand
from packhorse.scheduler.core.accounts.quota import Quota
from packhorse.simulator.limits_referee import LimitBroken


@pytest.fixture(autouse=True)
def a_short_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_day, "CYCLE_S", 600)


def test_a_small_day_breaks_nothing() -> None:
    today, _ = limits_day.run(1_500, 8, 3)
    assert today.referee.n_starts > 300 and today.referee.n_judged > 3_000
    assert {"AssocQuotaLimit", "AssocGrpCPURunMinutesLimit", "QOSMaxCpuPerUserLimit"} <= set(today.reasons)


def test_the_referee_sees_that_nothing_is_taken_of_what_a_pass_gives_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take_nothing(quota: Quota, demand: Demand, n: int) -> None:
        pass

    monkeypatch.setattr(Quota, "_take", take_nothing)
    with pytest.raises(LimitBroken):
        limits_day.run(1_500, 8, 3)

"""Usage estimates: the rules that all estimators keep."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.reclaim.estimators import ESTIMATORS, Estimates, Settings
from packhorse.scheduler.model.ids import US

MINUTE = 60 * US


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r'"bork" is not known; there are .*borg'):
        Estimates("bork", Settings())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimate_begins_at_the_limit_falls_slowly_and_jumps_up(name: str) -> None:
    estimates = Estimates(name, Settings(settle_s=300))
    estimates.add("a", 1000, 0)
    seen = []
    for minute in range(60):
        estimates.observe(["a"], [100], minute * MINUTE)
        seen += estimates.estimates(["a"], minute * MINUTE).tolist()
    assert seen[:6] == [1000] * 6
    assert 100 <= seen[-1] < seen[10] < 1000
    assert seen == sorted(seen, reverse=True)
    estimates.observe(["a"], [900], 60 * MINUTE)
    assert estimates.estimates(["a"], 60 * MINUTE)[0] >= 900

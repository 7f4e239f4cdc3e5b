"""What users have used and hold."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.usage import HALF_LIFE_S, UserUsage
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.resources import Devices, Placement
from tests.core.scenario import NOON


def place(cpus: int, gpus: int = 0) -> tuple[Placement, ...]:
    devices = (Devices("gpu", "", tuple(range(gpus))),) if gpus else ()
    return (Placement(NodeName("n1"), cpus * 1000, 0, 1, devices),)


def test_use_halves_in_a_week() -> None:
    usage = UserUsage()
    usage.use(1, place(4), 100 * US, NOON)
    usage.use(2, place(1, gpus=2), 100 * US, NOON)
    assert usage.used(NOON) == {1: 400.0, 2: 300.0}
    later = Instant(NOON + HALF_LIFE_S * US)
    assert usage.used(later) == pytest.approx({1: 200.0, 2: 150.0})
    usage.use(1, place(4), 100 * US, later)
    assert usage.used(later) == pytest.approx({1: 600.0, 2: 150.0})


def test_asking_changes_nothing() -> None:
    """A pass asks, and a log that is replayed has no passes."""
    asked, alone = UserUsage(), UserUsage()
    assert asked.used(NOON) == {}
    for week in range(0, 200, 7):
        at = Instant(NOON + week * HALF_LIFE_S * US // 3)
        asked.used(at)
        for usage in (asked, alone):
            usage.use(week % 3, place(4), 100 * US, at)
        asked.used(Instant(at + 100 * HALF_LIFE_S * US))
        assert asked == alone
    assert asked.used(at) == alone.used(at)


def test_years_later_numbers_are_as_small_as_ever_and_old_users_are_gone() -> None:
    usage = UserUsage()
    usage.use(1, place(1), US, NOON)
    at = NOON
    for _ in range(300):
        at = Instant(at + HALF_LIFE_S * US)
        usage.use(2, place(1), 100 * US, at)
    assert usage.used(at)[2] == pytest.approx(200.0)
    assert 1 not in usage.used(at)


def test_what_is_held_comes_and_goes() -> None:
    usage = UserUsage()
    usage.take(1, place(4, gpus=1))
    usage.take(1, place(2))
    assert (usage.held[1].cpu_milli, usage.held[1].device_milli) == (6000, 1000)
    usage.take(1, place(4, gpus=1), -1)
    usage.take(1, place(2), -1)
    assert not usage.held

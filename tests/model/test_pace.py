"""The first messages go at once, many of them wait for each other, and a pause gives the credit back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.pace import BURST, PER_S, Pace


def test_a_few_go_at_once_and_then_each_waits_for_its_turn() -> None:
    pace = Pace()
    assert [pace.wait_s(5.0) for _ in range(BURST)] == [0.0] * BURST
    wait_s = pace.wait_s(5.0)
    assert 0 < wait_s <= 1 / PER_S
    # Sent when it was due, the one after it waits as long again.
    assert abs(pace.wait_s(5.0 + wait_s) - 1 / PER_S) < 1e-9


def test_a_pause_gives_the_credit_back_but_no_more_than_it_was() -> None:
    pace = Pace()
    while not pace.wait_s(1.0):
        pass
    assert [pace.wait_s(1000.0) for _ in range(BURST)] == [0.0] * BURST
    assert pace.wait_s(1000.0) > 0


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_never_more_than_the_rate_and_never_a_long_wait(pauses: list[float]) -> None:
    pace, now = Pace(), 0.0
    for sent, pause in enumerate(pauses, 1):
        now += pause
        wait_s = pace.wait_s(now)
        assert 0 <= wait_s <= 1 / PER_S + 1e-9  # the sender sleeps before it asks again
        now += wait_s
        assert sent <= BURST + now * PER_S + 1e-6

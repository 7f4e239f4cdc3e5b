"""Reports of utilisation: known hours, and the sums by brute force."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from packhorse.scheduler.model.accounting import NodeRow
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.service.report_view import HOUR_US, _Spans, _use, amounts
from packhorse.scheduler.store.protocol import Lifetime

N1 = NodeName("n1")
H = HOUR_US


def node(state: str, since: int, until: int, tres: str = "cpu=4") -> NodeRow:
    return NodeRow(N1, state, tres, Instant(since), Instant(until))


def life(eligible: int, started: int, ended: int, tres: str = "cpu=2") -> Lifetime:
    return Lifetime(Instant(eligible), Instant(started), Instant(ended), tres)


def test_every_hour_is_filled_by_itself() -> None:
    """Four CPUs for three hours, down for the last half hour. A job of 2 CPUs runs in the second hour, one of
    4 waits in the first two: the first is all planned, of the second only what the other left."""
    rows = [node("up", 0, 2 * H + H // 2), node("down", 2 * H + H // 2, 3 * H)]
    lives = [life(H, H, 2 * H), life(1, 0, 2 * H, "cpu=4")]
    use = _use("cpu", rows, [], lives, 0, 3 * H)
    hour = 3600 * 1000
    assert use.amount == 4000
    assert use.reported_s == 12 * hour
    assert use.allocated_s == 2 * hour
    assert use.down_s == 2 * hour
    assert abs(use.planned_s - 6 * hour) <= 10
    assert abs(use.over_s - 2 * hour) <= 10
    assert abs(use.idle_s + use.planned_s - 8 * hour) <= 10


def test_maintenance_is_no_outage() -> None:
    rows = [node("up", 0, H), node("down", H, 2 * H)]
    use = _use("cpu", rows, [(frozenset({"n1"}), H, H + H // 2)], [], 0, 2 * H)
    assert (use.planned_down_s, use.down_s, use.idle_s) == (2 * 3_600_000, 2 * 3_600_000, 4 * 3_600_000)


def test_memory_and_what_no_node_has() -> None:
    rows = [node("up", 0, H, "cpu=4,mem=8G")]
    use = _use("mem", rows, [], [life(1, 0, 0), life(1, 1, H, "cpu=1,mem=2G")], 0, H)
    assert (use.reported_s, use.allocated_s) == (8192 * 3600, 2048 * 3600 - 1)
    assert _use("gres/gpu", rows, [], [], 0, H).reported_s == 0


spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 9)), max_size=12)


@given(spans, st.lists(st.integers(0, 50), min_size=2, max_size=8, unique=True))
@settings(max_examples=80, deadline=None)
def test_sums_by_brute_force(made: list[tuple[int, int, int]], edges: list[int]) -> None:
    found = _Spans()
    for begin, length, amount in made:
        found.add(begin, begin + length, amount)
    at = sorted(edges)
    by_hand = [
        sum(amount for begin, length, amount in made for t in range(low, high) if begin <= t < begin + length)
        for low, high in pairwise(at)
    ]
    assert [int(x) for x in found.within(np.array(at, dtype=np.int64))] == by_hand


def test_years_of_a_large_cluster_are_exact() -> None:
    found = _Spans()
    year = 365 * 24 * H
    for _ in range(3):
        found.add(0, 10 * year, 10**9)
    whole = found.within(np.array([0, 5 * year + 1, 10 * year], dtype=np.int64))
    assert [int(x) for x in whole] == [3 * 10**9 * (5 * year + 1), 3 * 10**9 * (5 * year - 1)]


def test_what_cannot_be_read_does_not_hide_the_rest() -> None:
    assert amounts("billing=2,cpu=2,gres/gpumem=20G,mem=1G,node=1") == (
        ("cpu", 2000), ("mem", 1024), ("node", 1), ("billing", 2),
    )  # fmt: skip

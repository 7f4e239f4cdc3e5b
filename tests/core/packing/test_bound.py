from __future__ import annotations

from hypothesis import given, settings

from packhorse.scheduler.core.packing.bound import most_members, volume_bound
from packhorse.scheduler.core.packing.cpsat import lp_bound
from packhorse.scheduler.core.packing.patterns import covering, extended, maximal
from packhorse.scheduler.core.packing.problem import AskClass, Problem
from tests.core.packing.small_problems import best_score, problems


@settings(max_examples=40, deadline=None)
@given(problems(nodes=3, classes=4, count=3))
def test_no_solution_beats_a_bound(problem: Problem) -> None:
    best = best_score(problem).levels
    for kept in ((), best):
        assert all(value <= bound for value, bound in zip(best, volume_bound(problem, kept), strict=True))
        assert all(value <= bound for value, bound in zip(best, lp_bound(problem, kept), strict=True))


def test_bounds_say_what_is_short() -> None:
    problem = Problem.of(
        [[10, 100]] * 3, [AskClass(0, 100, (4, 1), value=8), AskClass(1, 100, (1, 1), value=1)]
    )
    assert volume_bound(problem) == (48, 30)  # 30 processors in all, and two big ones on each node
    assert lp_bound(problem) == (48, 30)
    assert lp_bound(problem, (48,)) == (48, 6)


def test_a_rank_that_is_placed_in_full_leaves_the_rest() -> None:
    problem = Problem.of([[10]] * 3, [AskClass(0, 5, (4,), value=8), AskClass(1, 100, (1,), value=1)])
    assert volume_bound(problem, (40,)) == (40, 10)


def test_large_shares_go_one_on_a_device() -> None:
    problem = Problem.of([[10]], [AskClass(0, 5, (1,), 1, 600, value=600)], dev_free=[[1000, 1000, 500]])
    assert lp_bound(problem) == (1200,)
    assert most_members(problem).tolist() == [[2]]


def test_ways_to_cut_a_device_are_those_to_which_nothing_can_be_added() -> None:
    assert maximal((600, 300), 1000).ways == ((0, 3), (1, 1))
    assert maximal((600, 300), 299).ways == ()
    assert not maximal(tuple(range(130, 10, -7)), 1000).complete
    assert covering(((1, 1), (0, 3)), (0, 2)) == 1
    assert covering(((1, 1),), (2, 0)) is None
    assert extended((600, 300), 1000, (0, 1)) == (1, 1)

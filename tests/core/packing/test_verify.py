"""Each rule has a solution that breaks it, and only it."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.packing.problem import AskClass, Placed, Problem, Score, Solution
from packhorse.scheduler.core.packing.verify import score, verify

PROBLEM = Problem.of(
    [[8, 8], [8, 8], [2, 8]],
    [
        AskClass(0, 4, (1, 1), 1, 600, value=600),  # 0: a share
        AskClass(0, 2, (1, 1), 2, 1000, types=(0,), value=2000),  # 1: two whole devices of type 0
        AskClass(1, 2, (1, 1), value=5, members=2),  # 2: a gang
        AskClass(1, 9, (1, 1), nodes=(0, 2), per_node=2, licences=(1,)),  # 3: restricted
        AskClass(2, 9, (3, 1)),  # 4: processors
    ],
    dev_free=[[1000, 1000, 700], [1000, 1000, 1000], [0, 0, 0]],
    dev_type=[[0, 0, 0], [0, 0, 1], [-1, -1, -1]],
    wake_cost=[0, 7, 5],
    licences=[3],
)


def at(ask: int, *members: tuple[int, tuple[int, ...]]) -> Placed:
    return Placed(ask, members)


GOOD = Solution(
    (
        at(0, (0, (2,))),
        at(1, (0, (0, 1))),
        at(2, (0, ()), (1, ())),
        at(3, (2, ())),
        at(4, (1, ())),
    )
)


def test_a_good_solution_passes() -> None:
    assert verify(PROBLEM, GOOD) == []
    assert verify(PROBLEM, Solution()) == []


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ((at(5, (0, ())),), "no ask class 5"),
        ((at(4, (3, ())),), "no node 3"),
        ((at(4, (-1, ())),), "no node -1"),
        ((at(4, (2, ())),), "node 2: 1 more of resource 0"),
        ((at(4, (0, ())), at(4, (0, ())), at(4, (0, ()))), "node 0: 1 more of resource 0"),
        ((at(0, (0, (2,))), at(0, (0, (2,)))), "node 0: 500 thousandths more of device 2"),
        ((at(0, (0, (0,))), at(1, (0, (0, 1)))), "thousandths more of device 0"),
        ((at(1, (0, (0, 2))),), "device 2 of node 0 is not wholly free"),
        ((at(1, (1, (0, 2))),), "device 2 of node 1 is of type 1"),
        ((at(1, (0, (0,))),), "devices [0] on node 0, asked 2"),
        ((at(1, (0, (0, 0))),), "devices [0, 0] on node 0, asked 2"),
        ((at(0, (0, ())),), "devices [] on node 0, asked 1"),
        ((at(0, (0, (3,))),), "node 0 has no device 3"),
        ((at(0, (2, (0,))),), "node 2 has no device 0"),
        ((at(4, (0, (0,))),), "devices [0] on node 0, asked 0"),
        ((at(2, (0, ())),), "1 of its 2 members"),
        ((at(2, (0, ()), (0, ())),), "two members on one node"),
        ((at(2, (0, ()), (1, ())),) * 3, "class 2: 3 jobs placed, 2 wait"),
        ((at(3, (1, ())),), "node 1 is not allowed"),
        ((at(3, (0, ())),) * 3, "class 3: 3 on node 0, limit 2"),
        ((*(at(3, (0, ())),) * 2, *(at(3, (2, ())),) * 2), "licence 0: 1 more taken"),
    ],
)
def test_every_broken_rule_is_named(jobs: tuple[Placed, ...], words: str) -> None:
    found = verify(PROBLEM, Solution(jobs))
    assert any(words in sentence for sentence in found), found


def test_score_counts_value_by_rank_then_stranded_then_cost() -> None:
    # Stranded: 100 of the cut device on node 0; node 1 has all it needs; node 2 has no devices.
    assert score(PROBLEM, GOOD) == Score((2600, 6, 1), 100, 12)
    # Node 1 has less than the 1 processor that every ask with devices takes: its three devices are stranded.
    full = Solution((at(4, (1, ())), at(4, (1, ())), at(2, (0, ()), (1, ())), at(2, (0, ()), (1, ()))))
    assert score(PROBLEM, full) == Score((0, 10, 2), 700 + 3000, 7)


def test_a_higher_rank_outweighs_any_number_of_lower_ones() -> None:
    assert Score((1, 0), 9, 9).better_than(Score((0, 99), 0, 0))
    assert Score((1, 1), 3, 9).better_than(Score((1, 1), 4, 0))
    assert Score((1, 1), 3, 1).better_than(Score((1, 1), 3, 2))
    assert not Score((1, 1), 3, 1).better_than(Score((1, 1), 3, 1))

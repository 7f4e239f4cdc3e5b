from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from packhorse.scheduler.core.packing.best_fit import best_fit
from packhorse.scheduler.core.packing.problem import AskClass, BadProblem, Placed, Problem, Solution, worth
from packhorse.scheduler.core.packing.verify import verify
from tests.core.packing.small_problems import problems


@settings(max_examples=60, deadline=None)
@given(problems())
def test_json_gives_the_same_problem_and_solution_back(problem: Problem) -> None:
    again = Problem.from_json(problem.to_json())
    assert again == problem and again.to_json() == problem.to_json()
    greedy = best_fit(problem)
    assert Solution.from_json(greedy.to_json()) == greedy
    assert best_fit(again) == greedy


@settings(max_examples=100, deadline=None)
@given(problems())
def test_the_plain_packer_keeps_to_the_rules(problem: Problem) -> None:
    assert verify(problem, best_fit(problem)) == []


def test_the_plain_packer_serves_the_more_important_first_and_big_before_small() -> None:
    problem = Problem.of([[4]], [AskClass(1, 1, (3,)), AskClass(0, 1, (1,)), AskClass(0, 1, (3,))])
    assert best_fit(problem).counts(3) == [0, 1, 1]


def test_the_plain_packer_takes_the_tightest_node_and_the_fullest_device() -> None:
    problem = Problem.of([[9], [4]], [AskClass(0, 1, (3,), 1, 300)], dev_free=[[1000, 1000], [1000, 400]])
    assert best_fit(problem) == Solution((Placed(0, ((1, (1,)),)),))


def test_arrays_are_taken_as_they_are_and_shut() -> None:
    free = np.array([[1, 2]], dtype=np.int32)
    problem = Problem.of(free, [])
    assert problem.free.dtype == np.int64
    with pytest.raises(ValueError):
        problem.free[0, 0] = 5


ASK = AskClass(0, 1, (1,))


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Problem.of([[-1]], []), "free[0][0]: -1"),
        (lambda: Problem.of([[2**63]], []), "free: not a table"),
        (lambda: Problem.of([[2**50]], []), "free[0][0]: 1125899906842624"),
        (lambda: Problem.of([[0.5]], []), "free: amounts are whole"),  # type: ignore[list-item]
        (lambda: Problem.of([[float("nan")]], []), "free"),  # type: ignore[list-item]
        (lambda: Problem.of([[1]], [], dev_free=[[1001]]), "dev_free: 1001"),
        (lambda: Problem.of([[1]], [], dev_free=[[7]], dev_type=[[-1]]), "dev_free: more than 0"),
        (lambda: Problem.of([[1]], [], dev_free=[[7], [7]]), "nodes: free has 1 rows"),
        (lambda: Problem.of([[1]], [], wake_cost=[-1]), "wake_cost[0][0]: -1"),
        (lambda: Problem.of([[1]], [], licences=[-1]), "licences[0]: -1"),
        (lambda: Problem.of([[1]], [ASK._replace(count=-1)]), "asks[0].count: -1"),
        (lambda: Problem.of([[1]], [ASK._replace(value=2**60)]), "asks[0].value: 1152921504606846976"),
        (lambda: Problem.of([[1]], [ASK._replace(members=0)]), "asks[0].members: 0"),
        (lambda: Problem.of([[1]], [ASK._replace(amounts=(-3,))]), "asks[0].amounts[0]: -3"),
        (lambda: Problem.of([[1]], [ASK._replace(amounts=(1, 1))]), "asks[0].amounts: 2 amounts"),
        (lambda: Problem.of([[1]], [ASK._replace(amounts=(0,))]), "asks[0]: takes nothing"),
        (lambda: Problem.of([[1]], [ASK._replace(n_devices=1)]), "asks[0]: n_devices 1 with milli 0"),
        (lambda: Problem.of([[1]], [ASK._replace(n_devices=2, milli=5)]), "asks[0]: a share of 5"),
        (lambda: Problem.of([[1]], [ASK._replace(nodes=(1,))]), "asks[0].nodes: a node index"),
        (lambda: Problem.of([[1], [1]], [ASK._replace(nodes=(1, 0))]), "asks[0].nodes: not in ascending"),
        (lambda: Problem.of([[1]], [ASK._replace(licences=(1,))]), "asks[0].licences: 1 amounts"),
        (lambda: Problem.from_json("{}"), "problem: no field 'free'"),
        (lambda: Problem.from_json("["), "problem: "),
        (lambda: Solution.from_json("[[1]]"), "solution: "),
    ],
)
def test_what_cannot_be_is_refused_by_name(build: object, words: str) -> None:
    with pytest.raises(BadProblem) as caught:
        build()  # type: ignore[operator]
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_worth_is_device_thousandths_or_the_largest_part_of_a_node() -> None:
    assert worth((4, 1), 2, 1000, (8, 8)) == 2000
    assert worth((4, 1), 1, 250, (8, 8), members=3) == 750
    assert worth((4, 1), 0, 0, (8, 8)) == 500
    assert worth((0, 0), 0, 0, (8, 0)) == 1

"""Small problems at random, and the best solution of tiny ones by trying everything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from random import Random

from hypothesis import strategies as st

from packhorse.scheduler.core.packing.problem import AskClass, Placed, Problem, Score, Solution
from packhorse.scheduler.core.packing.verify import score, verify


def problems(nodes: int = 5, classes: int = 5, count: int = 6) -> st.SearchStrategy[Problem]:
    """Problems by number. Drawn field by field nine of ten would place nothing, for want of one thing or
    another."""
    return st.integers(0, 2**32).map(lambda seed: a_problem(Random(seed), nodes, classes, count))


def a_problem(rng: Random, nodes: int, classes: int, count: int) -> Problem:
    """Up to so many nodes with up to 3 devices of up to 2 types, and ask classes of all forms."""
    n, n_devices, n_licences = rng.randint(1, nodes), rng.randint(0, 3), int(rng.random() < 0.2)
    types = [[rng.choice([-1, 0, 0, 0, 1]) for _ in range(n_devices)] for _ in range(n)]
    milli = [250, 500, 700, 850, 1000, 1000, 1000, 1000]
    return Problem.of(
        [[rng.randint(4, 13), rng.randint(6, 13)] for _ in range(n)],
        [_ask(rng, n, n_devices, n_licences, count) for _ in range(rng.randint(1, classes))],
        dev_free=[[0 if kind < 0 else rng.choice(milli) for kind in row] for row in types],
        dev_type=types,
        wake_cost=[rng.choice([0, 0, 1, 3]) for _ in range(n)],
        licences=[rng.randint(0, 4) for _ in range(n_licences)],
    )


def _ask(rng: Random, n_nodes: int, n_devices: int, n_licences: int, count: int) -> AskClass:
    form = rng.choice(["none", "share", "share", "whole"]) if n_devices else "none"
    return AskClass(
        rank=rng.randint(0, 2),
        count=rng.randint(1, count),
        amounts=(rng.randint(1, 7), rng.randint(0, 5)),
        n_devices={"none": 0, "share": 1, "whole": rng.randint(1, 2)}[form],
        milli={"none": 0, "share": rng.choice([200, 250, 300, 500, 700]), "whole": 1000}[form],
        types=rng.choice([(), (), (0,), (1,), (0, 1)]) if form != "none" else (),
        nodes=None if rng.random() < 0.7 else tuple(i for i in range(n_nodes) if rng.random() < 0.6),
        value=rng.choice([0, 1, 1, 2, 3, 5, 9]),
        members=rng.choice([1, 1, 1, 1, 2, 3]),
        per_node=rng.choice([0, 0, 0, 1, 2]),
        licences=(rng.randint(0, 2),) * n_licences,
    )


def all_solutions(problem: Problem) -> Iterator[Solution]:
    """Every allowed solution, up to the order of jobs."""
    yield from _longer(problem, Solution(), 0)


def _longer(problem: Problem, solution: Solution, first: int) -> Iterator[Solution]:
    yield solution
    for c in range(first, len(problem.asks)):
        for job in _ways(problem, c):
            if solution.placed and (job.ask, job.members) < (
                solution.placed[-1].ask,
                solution.placed[-1].members,
            ):
                continue
            longer = Solution((*solution.placed, job))
            if not verify(problem, longer):
                yield from _longer(problem, longer, c)


def _ways(problem: Problem, c: int) -> Iterator[Placed]:
    ask = problem.asks[c]
    n_devices = problem.dev_free.shape[1]
    for nodes in combinations(range(problem.n_nodes), ask.members):
        choices = [list(combinations(range(n_devices), ask.n_devices))] * len(nodes)
        for devices in product(*choices):
            yield Placed(c, tuple(zip(nodes, devices, strict=True)))


def best_score(problem: Problem) -> Score:
    """Of all solutions."""
    return max((score(problem, solution) for solution in all_solutions(problem)), key=Score.key)

"""Small problems at random, and the best solution of tiny ones by trying everything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from hypothesis import strategies as st

from packhorse.scheduler.core.packing.problem import AskClass, Placed, Problem, Score, Solution
from packhorse.scheduler.core.packing.verify import score, verify


@st.composite
def problems(draw: st.DrawFn, nodes: int = 5, classes: int = 5, count: int = 6) -> Problem:
    """Up to so many nodes with up to 3 devices of up to 2 types, and ask classes of all forms."""
    n = draw(st.integers(1, nodes))
    n_devices = draw(st.integers(0, 3))
    free = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=n, max_size=n))
    milli = st.sampled_from([0, 250, 500, 700, 1000, 1000, 1000])
    device = st.tuples(st.integers(-1, 1), milli)
    devices = draw(st.lists(st.lists(device, min_size=n_devices, max_size=n_devices), min_size=n, max_size=n))
    licences = draw(st.lists(st.integers(0, 4), max_size=1))
    asks = draw(st.lists(_asks(n, len(licences), count), min_size=1, max_size=classes))
    return Problem.of(
        [list(row) for row in free],
        asks,
        dev_free=[[0 if kind < 0 else m for kind, m in row] for row in devices] if n_devices else None,
        dev_type=[[kind for kind, _ in row] for row in devices] if n_devices else None,
        wake_cost=draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)),
        licences=licences,
    )


@st.composite
def _asks(draw: st.DrawFn, n_nodes: int, n_licences: int, count: int) -> AskClass:
    form = draw(st.sampled_from(["none", "share", "share", "whole"]))
    n_devices = {"none": 0, "share": 1, "whole": draw(st.integers(1, 2))}[form]
    milli = {"none": 0, "share": draw(st.sampled_from([200, 250, 300, 500, 700])), "whole": 1000}[form]
    nodes = st.sets(st.integers(0, n_nodes - 1)).map(lambda found: tuple(sorted(found)))
    return AskClass(
        rank=draw(st.integers(0, 2)),
        count=draw(st.integers(0, count)),
        amounts=(draw(st.integers(1, 5)), draw(st.integers(0, 5))),
        n_devices=n_devices,
        milli=milli,
        types=draw(st.sampled_from([(), (), (0,), (1,), (0, 1)])) if n_devices else (),
        nodes=draw(st.one_of(st.none(), st.none(), nodes)),
        value=draw(st.integers(0, 9)),
        members=draw(st.sampled_from([1, 1, 1, 2, 3])),
        per_node=draw(st.sampled_from([0, 0, 0, 1, 2])),
        licences=(draw(st.integers(0, 2)),) * n_licences,
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

"""Better than greedy, given a little time: large-neighbourhood search over the contended part of a pass.

A small problem goes to the solver whole, which may prove the answer optimal. A large one is too slow for that
(a whole cluster of 1,213 nodes needs seconds before the first answer), so again and again a
neighbourhood is taken out: nodes that nearly fit a job left behind, and nodes where the jobs in the way
could go. The jobs placed there in this plan and those left behind are placed anew by the solver, and the
answer is kept if it is better. The neighbourhood is as large as the solver finishes within a fraction of
the time; its size follows how it went. Shaw, "Using constraint programming and local search methods to
solve vehicle routing problems", CP 1998, for the idea.

Never worse than the hint, never past the limit by more than a solver's step, and checked by the verifier.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.bound import volume_bound
from packhorse.scheduler.core.packing.cpsat import Slice, Solved, Stopper, lp_bound, solve
from packhorse.scheduler.core.packing.neighbourhood import Dice, Plan, carve, choose, replace
from packhorse.scheduler.core.packing.problem import Problem, Score, Solution
from packhorse.scheduler.core.packing.verify import score, verify

WHOLE_PART: Final = 0.5
"""Part of the limits the whole problem may take at first."""

WHOLE_CELLS: Final = 4000
"""Up to so many (class, node, device) combinations a problem is first tried whole."""

CELLS: Final = 500
"""Combinations in the first neighbourhood."""

SLICE: Final = 0.08
"""Seconds that one neighbourhood may take. With 0.2 and 0.3 the size settles at what
takes longer to prove than to find, and after 1 s the openb queue stands at less."""

SLICE_WORK: Final = 0.02
"""The same in deterministic time, of which the solver does about 0.25 in a second."""

GAP: Final = 0.005
"""What a neighbourhood may miss of its optimum while the search goes well: proving the last bit takes longer
than the next neighbourhood."""

SHORTEST: Final = 0.02
"""Seconds; with less left no further neighbourhood is begun."""

OVERRUN_S: Final = 0.02
"""Kept back for how late the solver notices that its time is over."""

ROUND_WORK: Final = 0.002
"""Deterministic time charged for building a model, so that a run of trivial ones ends as well."""

STUCK: Final = 4
"""Neighbourhoods in a row without a better answer after which the linear program may show that there is
none."""

LP_PART: Final = 0.25
"""Part of what is left of a wall limit that it may take."""

LP_CELL_S: Final = 1e-5
"""Seconds it takes for a (class, node, device) combination: 0.1 on the 11,421 of the openb queue."""

LP_WORK: Final = 0.05
"""Deterministic time charged for it."""

PATIENCE: Final = 60
"""Neighbourhoods in a row without a better answer after which the search ends."""


class Limits(NamedTuple):
    """Give wall_s with a clock (seconds, monotonic), or deterministic: work of the solver, counted the
    same on every machine; 0.25 take about a second. With the latter and one worker, same input, same answer.
    workers: threads for a problem that is solved whole; a neighbourhood is done before a second thread is of
    use."""

    wall_s: float = math.inf
    clock: Callable[[], float] | None = None
    deterministic: float = math.inf
    workers: int = 1
    seed: int = 0


class Improvement(NamedTuple):
    """solution: at least as good as the hint. status: "optimal" (no solution places more value), "feasible"
    (better than the hint, perhaps not the best) or "none" (the hint, perhaps not the best). bounds: per rank,
    the most it could reach while more important ones keep what they have. rounds: solves tried."""

    solution: Solution
    status: str
    before: Score
    after: Score
    bounds: tuple[int, ...]
    wall_s: float
    deterministic: float
    rounds: int

    @property
    def better(self) -> bool:
        """Is it strictly better than the hint?"""
        return self.after.better_than(self.before)


class Rejected(NamedTuple):
    """The hint or the answer broke a rule, which is a fault of its maker: what is wrong, and the input and
    answer as JSON for a replay. Keep the hint if only the answer is at fault."""

    wrong: tuple[str, ...]
    problem: str
    hint: str
    answer: str


class _Clock:
    """What is left of the limits."""

    def __init__(self, limits: Limits) -> None:
        if limits.wall_s < math.inf and limits.clock is None:
            raise ValueError("limits: wall_s needs a clock")
        if limits.wall_s == limits.deterministic == math.inf:
            raise ValueError("limits: neither wall_s nor deterministic is given")
        self.limits = limits
        self.began = limits.clock() if limits.clock is not None else 0.0
        self.step = SLICE if limits.wall_s < math.inf else SLICE_WORK
        self.reserve = 0.0
        self.spent = 0.0

    def elapsed(self) -> float:
        return self.limits.clock() - self.began if self.limits.clock is not None else 0.0

    def left(self) -> float:
        """Wall seconds for solves; what the final check takes is kept back."""
        return self.limits.wall_s - self.elapsed() - self.reserve

    def slice(self, most: float, seed: int, workers: int = 1, gap: float = 0.0) -> Slice:
        """For one solve of at most that many seconds (or deterministic time)."""
        limits = self.limits
        clock = limits.clock or Slice().clock
        if limits.wall_s == math.inf:  # no wall time may have a say, or the answer would vary
            wall_s, work = math.inf, min(limits.deterministic - self.spent, most)
        else:
            wall_s, work = min(self.left(), most), limits.deterministic - self.spent
        return Slice(wall_s, clock, work, workers, limits.seed * 1009 + seed, gap)

    def over(self) -> bool:
        return self.left() < SHORTEST or self.spent >= self.limits.deterministic


def improve(
    problem: Problem, hint: Solution, limits: Limits, stopper: Stopper | None = None
) -> Improvement | Rejected:
    """A solution better than the hint if one is found within the limits. Returns at once when the hint leaves
    nothing behind. Blocking: run it on a worker thread; `stopper.stop()` ends it early with the best so far.
    """
    clock = _Clock(limits)
    wrong = verify(problem, hint)
    if wrong:
        return Rejected(tuple(wrong), problem.to_json(), hint.to_json(), "")
    before = score(problem, hint)
    clock.reserve = 1.5 * clock.elapsed() + OVERRUN_S
    plan = Plan(problem, hint)
    search = _Search(plan, clock, stopper or Stopper())
    search.run()
    answer = plan.solution()
    wrong = verify(problem, answer)
    after = score(problem, answer) if not wrong else before
    if wrong or before.better_than(after):
        return Rejected(
            tuple(wrong or ["worse than the hint"]), problem.to_json(), hint.to_json(), answer.to_json()
        )
    status = "optimal" if search.optimal else "feasible" if after.better_than(before) else "none"
    return Improvement(
        answer if after.better_than(before) else hint,
        status,
        before,
        after,
        search.bounds(),
        clock.elapsed(),
        clock.spent,
        search.rounds,
    )


class _Proof(NamedTuple):
    """Upper bounds per rank that hold while the more important ranks have at least what is kept."""

    kept: tuple[int, ...]
    bounds: tuple[int, ...]


class _Search:
    """The rounds of one run."""

    def __init__(self, plan: Plan, clock: _Clock, stopper: Stopper) -> None:
        self.plan = plan
        self.clock = clock
        self.stopper = stopper
        self.rounds = 0
        self.optimal = False
        self.levels = self._levels()
        self._most = _values_of_all(plan.problem)
        self.proofs = [_Proof(self.levels, volume_bound(plan.problem, self.levels))]
        self.dice = Dice(clock.limits.seed)

    def run(self) -> None:
        """Until nothing is left behind, the answer is known to be the best, or the limits are reached."""
        self.optimal = not self.plan.waiting().size or self._reached()
        if self.optimal:
            return
        cells = _cells(self.plan)
        if cells.sum() <= WHOLE_CELLS and not self.clock.over():
            self._whole()
        k = max(4, int(CELLS / max(cells[cells > 0].mean(), 1.0)))
        idle, proving = 0, False
        while idle < PATIENCE and not self.clock.over() and not self.stopper.stopped:
            waiting = self.plan.waiting()
            if self.optimal or not waiting.size or self._reached():
                break
            if idle == STUCK and not proving:
                proving = True
                self._prove()
            c = int(waiting[self._turn(waiting.size)])
            better, easy = self._round(c, k, stuck=idle > 0)
            idle = 0 if better else idle + 1
            k = min(int(k * 1.3) + 1, self.plan.problem.n_nodes) if easy else max(4, int(k / 1.5))
        self.optimal = self.optimal or not self.plan.waiting().size or self._reached()

    def _turn(self, n: int) -> int:
        """Which of the classes that wait comes next: the most important ones more often."""
        return min(int(-max(n / 3, 1.0) * math.log(1.0 - self.dice.throw(1)[0])), n - 1)

    def _whole(self) -> None:
        plan, limits = self.plan, self.clock.limits
        part = WHOLE_PART * (limits.wall_s if limits.wall_s < math.inf else limits.deterministic)
        found = solve(plan.problem, plan.solution(), self.clock.slice(part, 0, limits.workers), self.stopper)
        self._account(found)
        nodes = np.arange(plan.problem.n_nodes)
        replace(plan, nodes, list(plan.jobs), found.solution)
        self.optimal = found.optimal
        self.levels = self._levels()
        self.proofs.append(_Proof(self.levels, found.bounds))

    def _round(self, c: int, k: int, stuck: bool) -> tuple[bool, bool]:
        """Place the surroundings of a class anew: was more value placed, and was it easy? When the search is
        stuck also at equal value with less stranded: free room close together is what it lacks."""
        plan, clock = self.plan, self.clock
        nodes = choose(plan, c, k, self.dice)
        part, hint, keys = carve(plan, nodes)
        began = clock.elapsed()
        limits = clock.slice(clock.step, self.rounds, gap=0.0 if stuck else GAP)
        found = solve(part, hint, limits, self.stopper, tidy=stuck)
        self._account(found)
        took = found.spent if clock.limits.wall_s == math.inf else clock.elapsed() - began
        easy = took < clock.step / 2
        was, now = score(part, hint), score(part, found.solution)
        if now.better_than(was):
            replace(plan, nodes, keys, found.solution)
            self.levels = self._levels()
        return now.levels > was.levels, easy

    def _prove(self) -> None:
        """Tighten the bounds by the linear program."""
        problem, clock = self.plan.problem, self.clock
        wall_s = clock.left() * LP_PART
        if _cells(self.plan).sum() * LP_CELL_S > wall_s:
            return
        found = lp_bound(problem, self.levels, wall_s)
        clock.spent += LP_WORK
        self.proofs.append(_Proof(self.levels, found))

    def _account(self, found: Solved) -> None:
        self.rounds += 1
        self.clock.spent += found.spent + ROUND_WORK

    def _levels(self) -> tuple[int, ...]:
        return _values(self.plan.problem, self.plan.solution())

    def bounds(self) -> tuple[int, ...]:
        """Per rank, the least that is proven for what the more important ranks have now."""
        best = []
        for r in range(len(self.levels)):
            holding = [
                proof.bounds[r]
                for proof in self.proofs
                if all(now >= kept for now, kept in zip(self.levels[:r], proof.kept[:r], strict=True))
            ]
            best.append(min(holding, default=self._most[r]))
        return tuple(best)

    def _reached(self) -> bool:
        return all(value >= bound for value, bound in zip(self.levels, self.bounds(), strict=True))


def _values(problem: Problem, solution: Solution) -> tuple[int, ...]:
    """Value placed per rank."""
    level = dict.fromkeys(problem.ranks, 0)
    for c, n in enumerate(solution.counts(len(problem.asks))):
        level[problem.asks[c].rank] += n * problem.asks[c].value
    return tuple(level.values())


def _values_of_all(problem: Problem) -> tuple[int, ...]:
    """Value per rank of all jobs that wait."""
    level = dict.fromkeys(problem.ranks, 0)
    for ask in problem.asks:
        level[ask.rank] += ask.count * ask.value
    return tuple(level.values())


def _cells(plan: Plan) -> np.ndarray:
    """About how many variables each node brings into a model `[n_nodes]`."""
    problem = plan.problem
    shares = np.array([ask.shares for ask in problem.asks], dtype=np.bool_)
    fits = plan.most > 0
    devices = ((problem.dev_type >= 0) & (problem.dev_free > 0)).sum(axis=1)
    cells: np.ndarray = fits[~shares].sum(axis=0) + fits[shares].sum(axis=0) * devices
    return cells

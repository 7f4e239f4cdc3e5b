"""A Problem as a CP-SAT model, and as a linear program: the only module that knows the solver.

Variables are counts: how many members of each ask class on each node, for shares on each device. Jobs of a
class are alike, and so are the wholly free devices of one type on a node, so neither has an identity here.
Nodes are not merged: the prototypes found 900 different states among 1,213 half-full nodes, and a pooled
count of unlike needs says nothing about single nodes; nodes that are alike are left to the symmetry detection of
the solver. A gang of m members needs no identity either: counts x[n] with sum m*z and x[n] <= z can always be
dealt out to z jobs with m different nodes each (deal them node by node, in turn).

The objective is solved rank by rank, each with what the earlier ones reached as a constraint, then what is
stranded and what waking nodes costs (`Score`). OR-Tools 9.15, https://developers.google.com/optimization/cp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from ortools.linear_solver.python import model_builder
from ortools.sat.python import cp_model

from packhorse.scheduler.core.packing.bound import most_members
from packhorse.scheduler.core.packing.problem import WHOLE, AskClass, Placed, Problem, Solution

_Key = TypeVar("_Key")

TOGETHER: Final = 2**31
"""Ranks are solved as one weighted sum as long as it stays below this: large coefficients make the linear
relaxation of CP-SAT weak, single solves cost a presolve each."""


UNBOUNDED: Final = 2**62
"""Stands for: the solver proved no bound."""

SHORTEST_S: Final = 0.005
"""Not worth starting a solve for."""


class Slice(NamedTuple):
    """Limits of one solve. wall_s and deterministic (the solver's own measure of work, about a second each):
    whichever comes first. With one worker and no wall limit the answer depends on nothing but the input and
    the seed."""

    wall_s: float = math.inf
    deterministic: float = math.inf
    workers: int = 1
    seed: int = 0


class Solved(NamedTuple):
    """solution: at least as good as the hint in value. optimal: no other places more value, rank by rank.
    settled: the last criteria are optimal as well. bounds: per rank, what it can reach at most while the more
    important ones keep what they have. spent: deterministic time."""

    solution: Solution
    optimal: bool
    settled: bool
    bounds: tuple[int, ...]
    spent: float


class Stopper:
    """Lets another thread end a solve early."""

    __slots__ = ("_solver", "stopped")

    def __init__(self) -> None:
        self.stopped = False
        self._solver: cp_model.CpSolver | None = None

    def stop(self) -> None:
        """From any thread, any number of times. A solve about to begin just now may still take its slice."""
        self.stopped = True
        solver = self._solver
        if solver is not None:
            solver.stop_search()

    def watch(self, solver: cp_model.CpSolver | None) -> None:
        """This solver is at work."""
        self._solver = solver


class _Slot(NamedTuple):
    """A device that shares may go to: one partly used (device >= 0), or the k-th opened of those wholly free."""

    device: int
    type: int
    room: int
    open: cp_model.IntVar | None


class _Level(NamedTuple):
    """Value placed at a rank: variables, weights, and what they come to at most."""

    columns: list[int]
    weights: list[int]
    most: int


class _Model:
    """The variables and rules; `values` holds a complete assignment, the hint at first."""

    def __init__(self, problem: Problem, hint: Solution) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.vars: list[cp_model.IntVar] = []
        self.values: list[int] = []
        self.upper: list[int] = []
        self.most = most_members(problem)
        self.jobs: dict[int, int] = {}
        self.cells: list[list[tuple[int, int, int]]] = [[] for _ in range(problem.n_nodes)]
        """Per node: (class, slot or -1, variable)."""
        self.by_type: dict[tuple[int, int, int], int] = {}
        """Devices of a type that a class takes on a node with several types: (node, class, type) to variable."""
        self.slots: list[list[_Slot]] = [[] for _ in range(problem.n_nodes)]
        self._columns: list[dict[int, list[int]]] = [{} for _ in problem.asks]
        self._placed = _Hint(problem, hint)
        for node in np.flatnonzero(self.most.any(axis=0)).tolist():
            self._node(node)
        self._classes(hint.counts(len(problem.asks)))

    def var(self, upper: int, value: int) -> int:
        """A new variable from 0 to upper, with its value in the hint; its index."""
        self.vars.append(
            self.model.new_bool_var("") if upper == 1 else self.model.new_int_var(0, upper, "")
        )
        self.values.append(value)
        self.upper.append(upper)
        return len(self.vars) - 1

    def total(self, columns: list[int], weights: list[int]) -> cp_model.LinearExprT:
        """A weighted sum of variables."""
        return cp_model.LinearExpr.weighted_sum([self.vars[k] for k in columns], weights)

    def at_most(self, columns: list[int], weights: list[int], limit: int) -> None:
        """The weighted sum stays within the limit; left out where the upper bounds say so already."""
        if sum(w * self.upper[k] for k, w in zip(columns, weights, strict=True)) > limit:
            self.model.add(self.total(columns, weights) <= limit)

    def _node(self, node: int) -> None:
        problem = self.problem
        here = np.flatnonzero(self.most[:, node]).tolist()
        self._open(node, [problem.asks[c] for c in here])
        cells = self.cells[node]
        for c in here:
            ask, most = problem.asks[c], int(self.most[c, node])
            columns = []
            if ask.shares:
                for s, slot in enumerate(self.slots[node]):
                    if slot.room >= ask.milli and (not ask.types or slot.type in ask.types):
                        k = self.var(min(most, slot.room // ask.milli), self._placed.shares(node, c, s))
                        columns.append(k)
                        cells.append((c, s, k))
                if most < sum(self.upper[k] for k in columns) and ask.per_node:
                    self.model.add(self.total(columns, [1] * len(columns)) <= most)
            else:
                k = self.var(most, self._placed.whole(node, c))
                columns.append(k)
                cells.append((c, -1, k))
            if columns:
                self._columns[c][node] = columns
        for i, free in enumerate(problem.free[node].tolist()):
            taking = [(k, problem.asks[c].amounts[i]) for c, _, k in cells if problem.asks[c].amounts[i]]
            self.at_most([k for k, _ in taking], [a for _, a in taking], free)
        self._devices(node)

    def _open(self, node: int, asks: list[AskClass]) -> None:
        """The devices that shares may use here."""
        shares = [ask for ask in asks if ask.shares]
        if not shares:
            return
        problem, slots = self.problem, self.slots[node]
        smallest = min(ask.milli for ask in shares)
        types = problem.dev_type[node].tolist()
        fresh: dict[int, int] = {}
        for d, milli in enumerate(problem.dev_free[node].tolist()):
            if types[d] >= 0 and smallest <= milli < WHOLE:
                slots.append(_Slot(d, types[d], milli, None))
            elif types[d] >= 0 and milli == WHOLE:
                fresh[types[d]] = fresh.get(types[d], 0) + 1
        for kind, n in sorted(fresh.items()):
            of_kind = [ask for ask in shares if not ask.types or kind in ask.types]
            n = min(n, sum(ask.count * ask.members for ask in of_kind))
            for i, free in enumerate(problem.free[node].tolist()):
                least = min((ask.amounts[i] for ask in of_kind), default=0)
                n = min(n, free // least) if least else n
            opened = self._placed.opened(node, kind)
            for k in range(n):
                opening = self.vars[self.var(1, int(k < len(opened)))]
                self._placed.into(node, opened[k] if k < len(opened) else -1, len(slots))
                slots.append(_Slot(-1, kind, WHOLE, opening))
        for s, slot in enumerate(slots):
            if slot.device >= 0:
                self._placed.into(node, slot.device, s)

    def _devices(self, node: int) -> None:
        problem, asks = self.problem, self.problem.asks
        for s, slot in enumerate(self.slots[node]):
            inside = [(k, asks[c].milli) for c, where, k in self.cells[node] if where == s]
            columns, weights = [k for k, _ in inside], [w for _, w in inside]
            if slot.open is None:
                self.at_most(columns, weights, slot.room)
                continue
            self.model.add(self.total(columns, weights) <= WHOLE * slot.open)
            after = self.slots[node][s + 1] if s + 1 < len(self.slots[node]) else None
            if after is not None and after.type == slot.type and after.open is not None:
                nexts = [(k, asks[c].milli) for c, where, k in self.cells[node] if where == s + 1]
                self.model.add(
                    self.total(columns, weights) >= self.total([k for k, _ in nexts], [w for _, w in nexts])
                )
        fresh = self.fresh(node)
        for kind, n in fresh.items():
            terms = [slot.open for slot in self.slots[node] if slot.open is not None and slot.type == kind]
            weights = [1] * len(terms)
            for c, _, k in self.cells[node]:
                if asks[c].milli == WHOLE and (not asks[c].types or kind in asks[c].types):
                    if len(fresh) > 1:
                        taken = self._placed.of_type(node, c, kind)
                        k = self.by_type[node, c, kind] = self.var(n, taken)
                    terms.append(self.vars[k])
                    weights.append(1 if len(fresh) > 1 else asks[c].n_devices)
            if terms:
                self.model.add(cp_model.LinearExpr.weighted_sum(terms, weights) <= n)
        if len(fresh) > 1:
            for c, _, k in self.cells[node]:
                if asks[c].milli == WHOLE:
                    kinds = [self.by_type[node, c, kind] for kind in fresh if (node, c, kind) in self.by_type]
                    self.model.add(self.total(kinds, [1] * len(kinds)) == asks[c].n_devices * self.vars[k])

    def fresh(self, node: int) -> dict[int, int]:
        """Wholly free devices by type."""
        found: dict[int, int] = {}
        for kind, milli in zip(
            self.problem.dev_type[node].tolist(), self.problem.dev_free[node].tolist(), strict=True
        ):
            if kind >= 0 and milli == WHOLE:
                found[kind] = found.get(kind, 0) + 1
        return dict(sorted(found.items()))

    def _classes(self, placed: list[int]) -> None:
        asks = self.problem.asks
        for c, ask in enumerate(asks):
            by_node = self._columns[c]
            if not by_node:
                continue
            k = self.jobs[c] = self.var(min(ask.count, int(self.most[c].sum()) // ask.members), placed[c])
            columns = [k for here in by_node.values() for k in here]
            self.model.add(self.total(columns, [1] * len(columns)) == ask.members * self.vars[k])
            if ask.members > 1:
                for here in by_node.values():
                    self.model.add(self.total(here, [1] * len(here)) <= self.vars[k])
        for i, free in enumerate(self.problem.licences):
            taking = [(k, asks[c].licences[i]) for c, k in self.jobs.items() if asks[c].licences]
            self.at_most([k for k, _ in taking], [a for _, a in taking], free)

    def level(self, rank: int) -> _Level:
        """The value placed at a rank."""
        asks = self.problem.asks
        terms = [(k, asks[c].value) for c, k in self.jobs.items() if asks[c].rank == rank]
        most = sum(w * self.upper[k] for k, w in terms)
        return _Level([k for k, _ in terms], [w for _, w in terms], most)

    def reached(self, level: _Level) -> int:
        """The value at hand."""
        return sum(w * self.values[k] for k, w in zip(level.columns, level.weights, strict=True))

    def waste(self) -> cp_model.LinearExprT | None:
        """What is stranded, and below that the cost of nodes woken; None if nothing could differ."""
        problem, least = self.problem, self.problem.least
        stranded: list[cp_model.LinearExprT] = []
        cost: list[cp_model.LinearExprT] = []
        for node, cells in enumerate(self.cells):
            if not cells:
                continue
            if least is not None:
                stranded += self._stranded(node, least)
            price = int(problem.wake_cost[node])
            if price:
                used = self.vars[self.var(1, int(any(self.values[k] for _, _, k in cells)))]
                for _, _, k in cells:
                    self.model.add(self.vars[k] <= self.upper[k] * used)
                cost.append(price * used)
        if not stranded and not cost:
            return None
        weight = int(problem.wake_cost.sum()) + 1
        return cp_model.LinearExpr.sum(stranded) * weight + cp_model.LinearExpr.sum(cost)

    def _stranded(self, node: int, least: np.ndarray) -> Iterator[cp_model.LinearExprT]:
        asks, cells = self.problem.asks, self.cells[node]
        for s, slot in enumerate(self.slots[node]):
            inside = [(k, asks[c].milli) for c, where, k in cells if where == s]
            used = self.total([k for k, _ in inside], [w for _, w in inside])
            yield (WHOLE * slot.open if slot.open is not None else slot.room) - used
        fresh = sum(self.fresh(node).values())
        if not fresh:
            return
        taken = [(k, asks[c].n_devices) for c, _, k in cells if asks[c].milli == WHOLE]
        left = fresh - self.total([k for k, _ in taken], [w for _, w in taken])
        left -= cp_model.LinearExpr.sum([slot.open for slot in self.slots[node] if slot.open is not None])
        short = self.vars[self.var(1, 1)]
        for i, need in enumerate(least.tolist()):
            taking = [(k, asks[c].amounts[i]) for c, _, k in cells if asks[c].amounts[i]]
            used = self.total([k for k, _ in taking], [w for _, w in taking])
            self.model.add(used <= int(self.problem.free[node, i]) - need).only_enforce_if(~short)
        lost = self.vars[self.var(fresh, fresh)]
        self.model.add(lost >= left).only_enforce_if(short)
        yield WHOLE * lost

    def hint(self) -> None:
        """Tell the solver the values at hand."""
        self.model.clear_hints()
        for variable, value in zip(self.vars, self.values, strict=True):
            self.model.add_hint(variable, value)

    def solution(self) -> Solution:
        """The values at hand as jobs on nodes and devices."""
        members: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for node, cells in enumerate(self.cells):
            if any(self.values[k] for _, _, k in cells):
                self._deal(node, members)
        placed = []
        for c, found in sorted(members.items()):
            jobs = len(found) // self.problem.asks[c].members
            placed += [Placed(c, tuple(found[j::jobs])) for j in range(jobs)]
        return Solution(tuple(placed))

    def _deal(self, node: int, members: dict[int, list[tuple[int, tuple[int, ...]]]]) -> None:
        """Give devices out: first those that partly used or opened slots stand for, then wholly free ones."""
        asks = self.problem.asks
        types = self.problem.dev_type[node].tolist()
        free: dict[int, list[int]] = {}
        for d, milli in enumerate(self.problem.dev_free[node].tolist()):
            if types[d] >= 0 and milli == WHOLE:
                free.setdefault(types[d], []).append(d)
        device_of: dict[int, int] = {}
        for c, s, k in self.cells[node]:
            if s >= 0 and self.values[k]:
                slot = self.slots[node][s]
                if s not in device_of:
                    device_of[s] = slot.device if slot.device >= 0 else free[slot.type].pop(0)
                members.setdefault(c, []).extend([(node, (device_of[s],))] * self.values[k])
        for c, s, k in self.cells[node]:
            if s < 0 and self.values[k]:
                n = self.values[k] * asks[c].n_devices
                taken: list[int] = []
                for kind, devices in sorted(free.items()) if n else ():
                    if asks[c].types and kind not in asks[c].types:
                        continue
                    of_kind = self.values[self.by_type[node, c, kind]] if (node, c, kind) in self.by_type else n
                    taken += devices[:of_kind]
                    del devices[:of_kind]
                for j in range(self.values[k]):
                    part = taken[j * asks[c].n_devices : (j + 1) * asks[c].n_devices]
                    members.setdefault(c, []).append((node, tuple(sorted(part))))


class _Hint:
    """A solution by node, as values of the variables of a model."""

    def __init__(self, problem: Problem, hint: Solution) -> None:
        self._whole: dict[tuple[int, int], int] = {}
        self._types: dict[tuple[int, int, int], int] = {}
        self._shares: dict[tuple[int, int, int], int] = {}
        self._opened: dict[tuple[int, int], dict[int, int]] = {}
        self._slot: dict[tuple[int, int], int] = {}
        for job in hint.placed:
            ask = problem.asks[job.ask]
            for node, devices in job.members:
                if not ask.shares:
                    _add(self._whole, (node, job.ask))
                for d in devices:
                    kind = int(problem.dev_type[node, d])
                    if not ask.shares:
                        _add(self._types, (node, job.ask, kind))
                        continue
                    _add(self._shares, (node, job.ask, d))
                    if int(problem.dev_free[node, d]) == WHOLE:
                        _add(self._opened.setdefault((node, kind), {}), d, ask.milli)

    def whole(self, node: int, c: int) -> int:
        return self._whole.get((node, c), 0)

    def of_type(self, node: int, c: int, kind: int) -> int:
        return self._types.get((node, c, kind), 0)

    def opened(self, node: int, kind: int) -> list[int]:
        """Wholly free devices that got shares, fullest first, as the model orders them."""
        found = self._opened.get((node, kind), {})
        return sorted(found, key=lambda d: (-found[d], d))

    def into(self, node: int, device: int, slot: int) -> None:
        """This slot stands for that device."""
        self._slot[node, slot] = device

    def shares(self, node: int, c: int, slot: int) -> int:
        return self._shares.get((node, c, self._slot.get((node, slot), -1)), 0)


def _add(counts: dict[_Key, int], key: _Key, n: int = 1) -> None:
    counts[key] = counts.get(key, 0) + n


class _Work:
    """Runs the stages of one solve within its slice."""

    def __init__(self, model: _Model, limits: Slice, stopper: Stopper | None) -> None:
        self.model = model
        self.limits = limits
        self.stopper = stopper
        self.wall_s = 0.0
        self.spent = 0.0

    def maximise(self, objective: cp_model.LinearExprT, part: float) -> tuple[bool, int]:
        """Take over the best values found in this part of what is left of the slice: are they the optimum, and
        what is the most that the objective could be."""
        model, limits = self.model, self.limits
        wall_s, work = (limits.wall_s - self.wall_s) * part, (limits.deterministic - self.spent) * part
        if wall_s < SHORTEST_S or work <= 0.0 or (self.stopper is not None and self.stopper.stopped):
            return False, UNBOUNDED
        model.model.maximize(objective)
        model.hint()
        solver = cp_model.CpSolver()
        parameters = solver.parameters
        if wall_s < math.inf:
            parameters.max_time_in_seconds = wall_s
        if work < math.inf:
            parameters.max_deterministic_time = work
        parameters.num_workers = limits.workers
        parameters.random_seed = limits.seed
        if self.stopper is not None:
            self.stopper.watch(solver)
        status = solver.solve(model.model)
        if self.stopper is not None:
            self.stopper.watch(None)
        self.wall_s += solver.wall_time
        self.spent += solver.deterministic_time
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return False, UNBOUNDED
        model.values = [solver.value(variable) for variable in model.vars]
        return status == cp_model.OPTIMAL, math.floor(solver.best_objective_bound + 1e-6)


def solve(
    problem: Problem, hint: Solution, limits: Slice, stopper: Stopper | None = None, tidy: bool = True
) -> Solved:
    """The best solution the solver finds within the limits, the hint (an allowed solution) if none.

    tidy: afterwards also strand less and wake less, at equal value.
    """
    model = _Model(problem, hint)
    work = _Work(model, limits, stopper)
    levels = [model.level(rank) for rank in problem.ranks]
    bounds: list[int] = []
    optimal = True
    at = 0
    while at < len(levels):
        group = _together(levels[at:])
        at += len(group)
        weights = [math.prod(other.most + 1 for other in group[i + 1 :]) for i in range(len(group))]
        if all(model.reached(level) == level.most for level in group):
            proven, bound = True, sum(w * level.most for w, level in zip(weights, group, strict=True))
        else:
            objective = [w * v for w, level in zip(weights, group, strict=True) for v in level.weights]
            columns = [k for level in group for k in level.columns]
            proven, bound = work.maximise(model.total(columns, objective), 1.0 if at == len(levels) else 0.7)
        optimal = optimal and proven
        for weight, level in zip(weights, group, strict=True):
            bounds.append(min(level.most, bound // weight))
            bound = bound - bounds[-1] * weight if proven else UNBOUNDED
            if at < len(levels) or tidy:
                model.model.add(model.total(level.columns, level.weights) >= model.reached(level))
    waste = model.waste() if tidy and optimal else None
    settled = optimal and (waste is None or work.maximise(-waste, 1.0)[0])
    return Solved(model.solution(), optimal, settled, tuple(bounds), work.spent)


def _together(levels: list[_Level]) -> list[_Level]:
    """The levels from the front that go into one weighted sum."""
    size, n = 1, 0
    while n < len(levels) and (n == 0 or size * (levels[n].most + 1) <= TOGETHER):
        size *= levels[n].most + 1
        n += 1
    return levels[:n]


def lp_bound(problem: Problem, kept: Sequence[int] = ()) -> tuple[float, ...]:
    """The most value each rank could reach if jobs and nodes could be cut in pieces, while the more important
    ranks reach at least `kept` (by default nothing).

    Nodes with the same free amounts are merged. Devices: whole ones from those wholly free, shares by their
    sum and by how many pieces of that size the devices hold, and of jobs that take more than half of a device
    one each. Linear program, GLOP; seconds for a thousand different nodes.
    """
    most = most_members(problem)
    kinds, first, times = _alike(problem)
    model = model_builder.Model()
    jobs = {
        c: model.new_num_var(0, ask.count, "") for c, ask in enumerate(problem.asks) if ask.count and most[c].any()
    }
    cells: dict[int, list[tuple[Any, int]]] = {c: [] for c in jobs}
    for _, node, n in zip(kinds, first.tolist(), times.tolist(), strict=True):
        here = {c: model.new_num_var(0, int(most[c, node]) * n, "") for c in jobs if most[c, node]}
        for c, cell in here.items():
            cells[c].append((cell, n))
        for limit, row in _node_rows(problem, node, list(here)):
            model.add(_dot([here[c] for c in row], list(row.values())) <= limit * n)
    for c, job in jobs.items():
        ask = problem.asks[c]
        model.add(_dot([cell for cell, _ in cells[c]], [1] * len(cells[c])) == ask.members * job)
        if ask.members > 1:
            for cell, n in cells[c]:
                model.add(cell <= n * job)
    for i, free in enumerate(problem.licences):
        taking = [(job, problem.asks[c].licences[i]) for c, job in jobs.items() if problem.asks[c].licences]
        if taking:
            model.add(_dot([job for job, _ in taking], [a for _, a in taking]) <= free)
    bounds = []
    for r, rank in enumerate(problem.ranks):
        value = [(job, problem.asks[c].value) for c, job in jobs.items() if problem.asks[c].rank == rank]
        level = _dot([job for job, _ in value], [v for _, v in value]) if value else None
        bounds.append(0.0 if level is None else _lp_maximum(model, level))
        if level is not None and r < len(kept):
            model.add(level >= kept[r])
    return tuple(bounds)


def _lp_maximum(model: model_builder.Model, objective: Any) -> float:
    model.maximize(objective)
    solver = model_builder.Solver("glop")
    if solver.solve(model) != model_builder.SolveStatus.OPTIMAL:
        return math.inf
    return float(solver.objective_value)


def _dot(variables: list[Any], weights: list[int]) -> Any:
    return model_builder.LinearExpr.weighted_sum(variables, weights)


def _alike(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes by equal state: the state, one node of it, how many."""
    order = np.sort(np.where(problem.dev_type >= 0, problem.dev_type * 2048 + problem.dev_free, -1), axis=1)
    allowed = np.zeros((problem.n_nodes, len(problem.asks)), dtype=np.int64)
    for c, ask in enumerate(problem.asks):
        if ask.nodes is not None:
            allowed[list(ask.nodes), c] = 1
    states = np.concatenate([problem.free, order, allowed], axis=1)
    kinds, first, times = np.unique(states, axis=0, return_index=True, return_counts=True)
    return kinds, first, times


def _node_rows(problem: Problem, node: int, classes: list[int]) -> Iterator[tuple[int, dict[int, int]]]:
    """Linear limits on the members on one node: (limit, weight by class)."""
    asks = problem.asks
    for i, free in enumerate(problem.free[node].tolist()):
        yield free, {c: asks[c].amounts[i] for c in classes if asks[c].amounts[i]}
    free_of = np.where(problem.dev_type[node] >= 0, problem.dev_free[node], 0)
    with_devices = [c for c in classes if asks[c].n_devices]
    if not with_devices:
        return
    smallest = min(asks[c].milli for c in with_devices)
    yield int(free_of[free_of >= smallest].sum()), {c: asks[c].milli * asks[c].n_devices for c in with_devices}
    yield int((free_of == WHOLE).sum()), {c: asks[c].n_devices for c in with_devices if asks[c].milli == WHOLE}
    yield int((free_of > WHOLE // 2).sum()), {
        c: asks[c].n_devices for c in with_devices if asks[c].milli > WHOLE // 2
    }

"""A Problem as a CP-SAT model, and as a linear program: the only module that knows the solver.

Variables are counts: how many members of each ask class on each node, and for shares, how many devices of a
type and free amount are cut in each way (packing/patterns.py). Jobs of a class are alike, and so are such
devices, so neither has an identity here.
Nodes are not merged: the prototypes found 900 different states among 1,213 half-full nodes, and a pooled
count of unlike needs says nothing about single nodes; nodes that are alike are left to the symmetry
detection of the solver. A gang of m members needs no identity either: counts x[n] with sum m*z and x[n] <=
z can always be dealt out to z jobs with m different nodes each (deal them node by node, in turn).

The objective is solved rank by rank, each with what the earlier ones reached as a constraint, then what is
stranded and what waking nodes costs (`Score`). OR-Tools 9.15, https://developers.google.com/optimization/cp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from ortools.linear_solver.python import model_builder
from ortools.sat.python import cp_model

from packhorse.scheduler.core.packing.bound import most_members, rounded_down
from packhorse.scheduler.core.packing.held import Held, devices_by_type
from packhorse.scheduler.core.packing.patterns import Pattern, maximal
from packhorse.scheduler.core.packing.problem import Placed, Problem, Solution
from packhorse.scheduler.model.resources import WHOLE

TOGETHER: Final = 2**31
"""Ranks are solved as one weighted sum as long as it stays below this: large coefficients make the linear
relaxation of CP-SAT weak, single solves cost a presolve each."""


UNBOUNDED: Final = 2**62
"""Stands for: the solver proved no bound."""

TIDY_PART: Final = 0.3
"""Part of what is left of a slice for the last criteria."""

SHORTEST_S: Final = 0.005
"""Not worth starting a solve for."""


class Slice(NamedTuple):
    """Limits of one solve. wall_s (by the clock given, building the model included) and deterministic (the
    solver's own measure of work): whichever comes first. With one worker and no wall
    limit the answer depends on nothing but the input and the seed. gap: part of the objective that may be
    missing from the optimum; with more than 0 nothing is claimed optimal."""

    wall_s: float = math.inf
    clock: Callable[[], float] = lambda: 0.0
    deterministic: float = math.inf
    workers: int = 1
    seed: int = 0
    gap: float = 0.0


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
        """From any thread, any number of times: a solve that begins in this very moment may not hear the
        first."""
        self.stopped = True
        solver = self._solver
        if solver is not None:
            solver.stop_search()

    def watch(self, solver: cp_model.CpSolver | None) -> None:
        """This solver is at work."""
        self._solver = solver


class _Group(NamedTuple):
    """Devices of one type and one free amount on a node, for shares: how many, and the variables that count
    how many of them are cut in each of the ways. Wholly free ones may go to jobs with whole devices as
    well."""

    type: int
    room: int
    devices: tuple[int, ...]
    ways: tuple[Pattern, ...]
    cuts: tuple[int, ...]


class _Cell(NamedTuple):
    """A class on a node: the variable that counts its members there. type: of the devices, where the class
    may use several on the node and shares one; else -1."""

    ask: int
    type: int
    var: int


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
        self.exact = True
        """No way to cut a device was left out."""
        self.most = most_members(problem)
        self.jobs: dict[int, int] = {}
        """Variable of the jobs placed, by class."""
        self.cells: list[list[_Cell]] = [[] for _ in range(problem.n_nodes)]
        self.groups: list[list[_Group]] = [[] for _ in range(problem.n_nodes)]
        self.by_type: dict[tuple[int, int, int], int] = {}
        """Whole devices of a type that a class takes on a node with several types: (node, class, type)."""
        self._sizes: dict[tuple[int, int], tuple[int, ...]] = {}
        self._of_class: list[dict[int, list[int]]] = [{} for _ in problem.asks]
        held = Held(problem, hint)
        for node in np.flatnonzero(self.most.any(axis=0)).tolist():
            self._node(node, held)
        self._classes(hint.counts(len(problem.asks)))

    def var(self, upper: int, value: int) -> int:
        """A new variable from 0 to upper, with its value in the hint; its index."""
        self.vars.append(self.model.new_bool_var("") if upper == 1 else self.model.new_int_var(0, upper, ""))
        self.values.append(value)
        self.upper.append(upper)
        return len(self.vars) - 1

    def total(self, columns: Sequence[int], weights: Sequence[int]) -> cp_model.LinearExprT:
        """A weighted sum of variables."""
        return cp_model.LinearExpr.weighted_sum([self.vars[k] for k in columns], weights)

    def count(self, columns: Sequence[int]) -> cp_model.LinearExprT:
        """A sum of variables."""
        return cp_model.LinearExpr.sum([self.vars[k] for k in columns])

    def at_most(self, columns: list[int], weights: list[int], limit: int) -> None:
        """The weighted sum stays within the limit; left out where the upper bounds say so already."""
        if sum(w * self.upper[k] for k, w in zip(columns, weights, strict=True)) > limit:
            self.model.add(self.total(columns, weights) <= limit)

    def _node(self, node: int, held: Held) -> None:
        problem = self.problem
        cells = self.cells[node]
        kinds = devices_by_type(problem, node)
        for c in np.flatnonzero(self.most[:, node]).tolist():
            ask, most = problem.asks[c], int(self.most[c, node])
            types = [kind for kind in kinds if not ask.types or kind in ask.types] if ask.shares else [-1]
            here = []
            for kind in types:
                k = self.var(most, held.members(node, c, kind))
                here.append(k)
                cells.append(_Cell(c, kind, k))
            if len(here) > 1:
                self.at_most(here, [1] * len(here), most)
            self._of_class[c][node] = here
        for i, free in enumerate(problem.free[node].tolist()):
            taking = [(cell.var, problem.asks[cell.ask].amounts[i]) for cell in cells]
            self.at_most([k for k, a in taking if a], [a for _, a in taking if a], free)
        for kind, rooms in kinds.items():
            self._shares(node, kind, rooms, held)
            self._whole(node, kind, rooms.get(WHOLE, ()), len(kinds) > 1, held)
        for cell in cells if len(kinds) > 1 else ():
            if self.problem.asks[cell.ask].milli == WHOLE:
                parts = [
                    self.by_type[key] for kind in kinds if (key := (node, cell.ask, kind)) in self.by_type
                ]
                n = self.problem.asks[cell.ask].n_devices
                self.model.add(self.count(parts) == n * self.vars[cell.var])

    def _shares(self, node: int, kind: int, rooms: dict[int, tuple[int, ...]], held: Held) -> None:
        """Shares on the devices of one type: the ways they are cut have to hold the members."""
        asks = self.problem.asks
        by_size: dict[int, list[int]] = {}
        for cell in self.cells[node]:
            if cell.type == kind:
                by_size.setdefault(asks[cell.ask].milli, []).append(cell.var)
        sizes = tuple(sorted(by_size, reverse=True))
        if not sizes:
            return
        self._sizes[node, kind] = sizes
        supply: dict[int, tuple[list[int], list[int]]] = {size: ([], []) for size in sizes}
        for room, devices in rooms.items():
            ways, complete = maximal(sizes, room)
            self.exact &= complete
            cut, ways = held.cuts(node, devices, sizes, room, ways)
            if not ways:
                continue
            columns = [self.var(len(devices), cut.get(p, 0)) for p in range(len(ways))]
            self.groups[node].append(_Group(kind, room, devices, ways, tuple(columns)))
            if room < WHOLE:
                self.model.add(self.count(columns) <= len(devices))
            for p, way in enumerate(ways):
                for size, n in zip(sizes, way, strict=True):
                    if n:
                        supply[size][0].append(columns[p])
                        supply[size][1].append(n)
        for size, columns in by_size.items():
            self.model.add(self.count(columns) <= self.total(*supply[size]))

    def _whole(self, node: int, kind: int, devices: tuple[int, ...], mixed: bool, held: Held) -> None:
        """Wholly free devices go to jobs with whole devices, or are cut."""
        asks = self.problem.asks
        columns = list(self.cuts(node, kind))
        weights = [1] * len(columns)
        for cell in self.cells[node]:
            ask = asks[cell.ask]
            if ask.milli == WHOLE and (not ask.types or kind in ask.types):
                k = cell.var
                if mixed:
                    k = self.by_type[node, cell.ask, kind] = self.var(
                        len(devices), held.whole(node, cell.ask, kind)
                    )
                columns.append(k)
                weights.append(1 if mixed else ask.n_devices)
        if columns:
            self.model.add(self.total(columns, weights) <= len(devices))

    def cuts(self, node: int, kind: int | None = None) -> list[int]:
        """Variables of the wholly free devices that are cut."""
        groups = [g for g in self.groups[node] if g.room == WHOLE and (kind is None or g.type == kind)]
        return [k for g in groups for k in g.cuts]

    def _classes(self, placed: list[int]) -> None:
        asks = self.problem.asks
        for c, ask in enumerate(asks):
            by_node = self._of_class[c]
            if not by_node:
                continue
            k = self.jobs[c] = self.var(min(ask.count, int(self.most[c].sum()) // ask.members), placed[c])
            columns = [k for here in by_node.values() for k in here]
            self.model.add(self.count(columns) == ask.members * self.vars[k])
            if ask.members > 1:
                for here in by_node.values():
                    self.model.add(self.count(here) <= self.vars[k])
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
        return _dot_product(level.columns, level.weights, self.values)

    def waste(self) -> tuple[list[int], list[int]] | None:
        """What is stranded, and below that the cost of nodes woken, as variables with negative weights;
        None if nothing could differ."""
        problem, least = self.problem, self.problem.least
        weight = int(problem.wake_cost.sum()) + 1
        terms: list[tuple[int, int]] = []
        for node, cells in enumerate(self.cells):
            if not cells:
                continue
            if least is not None:
                terms += [(k, -w * weight) for k, w in self._stranded(node, least)]
            price = int(problem.wake_cost[node])
            if price:
                used = self.var(1, int(any(self.values[cell.var] for cell in cells)))
                for cell in cells:
                    self.model.add(self.vars[cell.var] <= self.upper[cell.var] * self.vars[used])
                terms.append((used, -price))
        return ([k for k, _ in terms], [w for _, w in terms]) if terms else None

    def _stranded(self, node: int, least: np.ndarray) -> Iterator[tuple[int, int]]:
        """What the plan changes of the thousandths stranded there: those of cut devices, and of whole ones
        if a resource runs short."""
        asks, cells, values = self.problem.asks, self.cells[node], self.values
        cuts = self.cuts(node)
        yield from ((k, WHOLE) for k in cuts)
        yield from ((cell.var, -asks[cell.ask].milli) for cell in cells if asks[cell.ask].shares)
        fresh = int(((self.problem.dev_free[node] == WHOLE) & (self.problem.dev_type[node] >= 0)).sum())
        if not fresh:
            return
        taken = [(cell.var, asks[cell.ask].n_devices) for cell in cells if asks[cell.ask].milli == WHOLE]
        taken += [(k, 1) for k in cuts]
        columns, weights = [k for k, _ in taken], [n for _, n in taken]
        margins = [
            (
                [cell.var for cell in cells],
                [asks[cell.ask].amounts[i] for cell in cells],
                int(self.problem.free[node, i]) - need,
            )
            for i, need in enumerate(least.tolist())
        ]
        is_short = any(_dot_product(k, w, values) > margin for k, w, margin in margins)
        left = fresh - _dot_product(columns, weights, values)
        short = self.var(1, int(is_short))
        lost = self.var(fresh, left if is_short else 0)
        for k, w, margin in margins:
            self.model.add(self.total(k, w) <= margin).only_enforce_if(~self.vars[short])
        self.model.add(self.total([lost, *columns], [1, *weights]) >= fresh).only_enforce_if(self.vars[short])
        yield lost, WHOLE

    def hint(self) -> None:
        """Tell the solver the values at hand."""
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for variable, value in zip(self.vars, self.values, strict=True):
            self.model.add_hint(variable, value)

    def solution(self) -> Solution:
        """The values at hand as jobs on nodes and devices."""
        members: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for node, cells in enumerate(self.cells):
            if any(self.values[cell.var] for cell in cells):
                self._deal(node, members)
        placed = []
        for c, found in sorted(members.items()):
            jobs = len(found) // self.problem.asks[c].members
            placed += [Placed(c, tuple(found[j::jobs])) for j in range(jobs)]
        return Solution(tuple(placed))

    def _deal(self, node: int, members: dict[int, list[tuple[int, tuple[int, ...]]]]) -> None:
        """Give devices out: shares first, to the devices cut for them, whole devices to the rest."""
        asks = self.problem.asks
        free = {
            kind: list(rooms.get(WHOLE, ())) for kind, rooms in devices_by_type(self.problem, node).items()
        }
        waiting: dict[tuple[int, int], list[int]] = {}
        for cell in self.cells[node]:
            if cell.type >= 0:
                of_size = waiting.setdefault((cell.type, asks[cell.ask].milli), [])
                of_size += [cell.ask] * self.values[cell.var]
        for group in self.groups[node]:
            devices = free[group.type] if group.room == WHOLE else list(group.devices)
            for way, k in zip(group.ways, group.cuts, strict=True):
                for _ in range(self.values[k]):
                    device = devices.pop(0)
                    for size, n in zip(self._sizes[node, group.type], way, strict=True):
                        of_size = waiting[group.type, size]
                        for c in of_size[:n]:
                            members.setdefault(c, []).append((node, (device,)))
                        del of_size[:n]
        for cell in self.cells[node]:
            n, ask = self.values[cell.var], asks[cell.ask]
            if n and not ask.shares:
                taken: list[int] = []
                for kind, devices in sorted(free.items()) if ask.n_devices else ():
                    if not ask.types or kind in ask.types:
                        k = self.by_type.get((node, cell.ask, kind), -1)
                        of_kind = self.values[k] if k >= 0 else n * ask.n_devices
                        taken += devices[:of_kind]
                        del devices[:of_kind]
                for j in range(n):
                    part = taken[j * ask.n_devices : (j + 1) * ask.n_devices]
                    members.setdefault(cell.ask, []).append((node, tuple(sorted(part))))


def _dot_product(columns: list[int], weights: list[int], values: list[int]) -> int:
    return sum(w * values[k] for k, w in zip(columns, weights, strict=True))


class _Work:
    """Runs the stages of one solve within its slice."""

    def __init__(self, model: _Model, limits: Slice, stopper: Stopper, began: float) -> None:
        self.model = model
        self.limits = limits
        self.stopper = stopper
        self.levels = [model.level(rank) for rank in model.problem.ranks]
        self.began = began
        self.spent = 0.0

    def maximise(
        self, columns: list[int], weights: list[int], part: float, gap: float = 0.0
    ) -> tuple[bool, int]:
        """Take over the best values found in this part of what is left of the slice: are they the optimum,
        and what is the most that the objective could be."""
        model, limits = self.model, self.limits
        wall_s = (limits.wall_s - (limits.clock() - self.began)) * part
        work = (limits.deterministic - self.spent) * part
        if wall_s < SHORTEST_S or work <= 0.0:
            return False, UNBOUNDED
        model.model.maximize(model.total(columns, weights))
        model.hint()
        solver = cp_model.CpSolver()
        parameters = solver.parameters
        if wall_s < math.inf:
            parameters.max_time_in_seconds = wall_s
        if work < math.inf:
            parameters.max_deterministic_time = work
        parameters.num_workers = limits.workers
        parameters.random_seed = limits.seed
        parameters.relative_gap_limit = gap
        # Measured on 16-node neighbourhoods of openb: presolve's probing takes longer than the solve it
        # saves, and the full relaxation proves in 80 ms what the default does not in 250.
        parameters.linearization_level = 2
        parameters.cp_model_probing_level = 0
        parameters.symmetry_level = 0
        self.stopper.watch(solver)
        if self.stopper.stopped:
            return False, UNBOUNDED
        status = solver.solve(model.model)
        self.stopper.watch(None)
        self.spent += solver.deterministic_time
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return False, UNBOUNDED
        values = [solver.value(variable) for variable in model.vars]
        # Stopped early, the solver may come back with less than the hint; and at equal value of the rank it
        # looked at, with less at the next.
        if self._key(columns, weights, values) >= self._key(columns, weights, model.values):
            model.values = values
        return status == cp_model.OPTIMAL and gap == 0.0, math.floor(solver.best_objective_bound + 1e-6)

    def _key(self, columns: list[int], weights: list[int], values: list[int]) -> tuple[list[int], int]:
        by_rank = [_dot_product(level.columns, level.weights, values) for level in self.levels]
        return by_rank, _dot_product(columns, weights, values)


def solve(
    problem: Problem, hint: Solution, limits: Slice, stopper: Stopper | None = None, tidy: bool = True
) -> Solved:
    """The best solution the solver finds within the limits, the hint (an allowed solution) if none.

    tidy: afterwards also strand less and wake less, at equal value.
    """
    began = limits.clock()
    model = _Model(problem, hint)
    work = _Work(model, limits, stopper or Stopper(), began)
    levels = work.levels
    bounds: list[int] = []
    optimal = True
    at = 0
    while at < len(levels):
        group = _together(model, levels[at:])
        at += len(group)
        weights = [math.prod(other.most + 1 for other in group[i + 1 :]) for i in range(len(group))]
        if all(model.reached(level) == level.most for level in group):
            proven, bound = True, sum(w * level.most for w, level in zip(weights, group, strict=True))
        else:
            objective = [w * v for w, level in zip(weights, group, strict=True) for v in level.weights]
            columns = [k for level in group for k in level.columns]
            proven, bound = work.maximise(
                columns,
                objective,
                1.0 if at == len(levels) else 0.7,
                limits.gap if len(group) == 1 else 0.0,
            )
        optimal = optimal and proven and model.exact
        for weight, level in zip(weights, group, strict=True):
            bounds.append(min(level.most, bound // weight if model.exact else UNBOUNDED))
            bound = bound - bounds[-1] * weight if proven else UNBOUNDED
            if at < len(levels) or tidy:
                model.model.add(model.total(level.columns, level.weights) >= model.reached(level))
    waste = model.waste() if tidy and optimal else None
    settled = optimal and (waste is None or work.maximise(*waste, TIDY_PART)[0])
    return Solved(model.solution(), optimal, settled, tuple(bounds), work.spent)


def _together(model: _Model, levels: list[_Level]) -> list[_Level]:
    """The levels from the front that go into one weighted sum; one that can't do better alone."""
    if model.reached(levels[0]) == levels[0].most:
        return levels[:1]
    size, n = 1, 0
    while n < len(levels) and (n == 0 or size * (levels[n].most + 1) <= TOGETHER):
        size *= levels[n].most + 1
        n += 1
    return levels[:n]


def lp_bound(problem: Problem, kept: Sequence[int] = (), wall_s: float = math.inf) -> tuple[int, ...]:
    """The most value each rank could reach if jobs and nodes could be cut in pieces, while the more important
    ranks reach at least `kept` (by default nothing). wall_s: of one solve, after which a rank counts as
    unbounded.

    Nodes with the same free amounts are merged. Shares have to fit the ways their devices are cut; on nodes
    with several types of devices, or where there are too many ways, their sum has to fit. A linear program,
    solved by GLOP: 0.1 s for 54 classes and the 441 nodes of the openb queue where any of them fits.
    """
    members = most_members(problem)
    first, times = _alike(problem)
    model = model_builder.Model()  # type: ignore[no-untyped-call]
    jobs = {
        c: model.new_num_var(0, ask.count, "")
        for c, ask in enumerate(problem.asks)
        if ask.count and members[c].any()
    }
    cells: dict[int, list[tuple[Any, int]]] = {c: [] for c in jobs}
    for node, n in zip(first.tolist(), times.tolist(), strict=True):
        here = {c: model.new_num_var(0, int(members[c, node]) * n, "") for c in jobs if members[c, node]}
        for c, cell in here.items():
            cells[c].append((cell, n))
        for i, free in enumerate(problem.free[node].tolist()):
            _lp_limit(model, [(cell, problem.asks[c].amounts[i]) for c, cell in here.items()], free * n)
        kinds = devices_by_type(problem, node)
        if len(kinds) != 1 or not _lp_cuts(model, problem, here, next(iter(kinds.values())), n):
            _lp_sums(model, problem, here, node, n)
    for c, job in jobs.items():
        ask = problem.asks[c]
        model.add(_dot([cell for cell, _ in cells[c]], [1] * len(cells[c])) == ask.members * job)
        if ask.members > 1:
            for cell, n in cells[c]:
                model.add(cell <= n * job)
    for i, free in enumerate(problem.licences):
        taking = [(job, problem.asks[c].licences[i]) for c, job in jobs.items() if problem.asks[c].licences]
        _lp_limit(model, taking, free)
    bounds = []
    for r, rank in enumerate(problem.ranks):
        value = [(job, problem.asks[c].value) for c, job in jobs.items() if problem.asks[c].rank == rank]
        most = sum(ask.count * ask.value for ask in problem.asks if ask.rank == rank)
        if not value or (r < len(kept) and kept[r] == most):
            bounds.append(most if value else 0)
        else:
            level = _dot([job for job, _ in value], [v for _, v in value])
            bound = _lp_maximum(model, level, wall_s)
            bounds.append(rounded_down(problem, rank, bound) if bound < most else most)
        if value and r < len(kept):
            model.add(_dot([job for job, _ in value], [v for _, v in value]) >= kept[r])
    return tuple(bounds)


def _lp_maximum(model: model_builder.Model, objective: Any, wall_s: float) -> float:
    model.maximize(objective)
    solver = model_builder.Solver("glop")
    if wall_s < math.inf:
        solver.set_time_limit_in_seconds(wall_s)
    if solver.solve(model) != model_builder.SolveStatus.OPTIMAL:
        return math.inf
    return float(solver.objective_value)


def _dot(variables: list[Any], weights: list[int]) -> Any:
    return model_builder.LinearExpr.weighted_sum(variables, [float(weight) for weight in weights])


def _lp_limit(model: model_builder.Model, terms: list[tuple[Any, int]], limit: int) -> None:
    taking = [(variable, weight) for variable, weight in terms if weight]
    if taking:
        model.add(_dot([variable for variable, _ in taking], [weight for _, weight in taking]) <= limit)


def _lp_cuts(
    model: model_builder.Model,
    problem: Problem,
    here: dict[int, Any],
    rooms: dict[int, tuple[int, ...]],
    n_nodes: int,
) -> bool:
    """Rules for the devices of nodes with devices of one type, by the ways to cut them; False, and none, if
    there are too many ways."""
    asks = problem.asks
    by_size: dict[int, list[Any]] = {}
    for c, cell in here.items():
        if asks[c].shares:
            by_size.setdefault(asks[c].milli, []).append(cell)
    sizes = tuple(sorted(by_size, reverse=True))
    patterns = {room: maximal(sizes, room) for room in rooms}
    if not all(ways.complete for ways in patterns.values()):
        return False
    supply: dict[int, list[tuple[Any, int]]] = {size: [] for size in sizes}
    whole = [(cell, asks[c].n_devices) for c, cell in here.items() if asks[c].milli == WHOLE]
    for room, ways in patterns.items():
        most = len(rooms[room]) * n_nodes
        cuts = [model.new_num_var(0, most, "") for _ in ways.ways]
        for cut, way in zip(cuts, ways.ways, strict=True):
            for size, n in zip(sizes, way, strict=True):
                supply[size].append((cut, n))
        _lp_limit(model, [(cut, 1) for cut in cuts] + (whole if room == WHOLE else []), most)
    for size, cells in by_size.items():
        taken = [(cell, 1) for cell in cells]
        _lp_limit(model, taken + [(cut, -n) for cut, n in supply[size]], 0)
    return True


def _lp_sums(
    model: model_builder.Model, problem: Problem, here: dict[int, Any], node: int, n_nodes: int
) -> None:
    """Looser rules for the devices of a node: the thousandths in all, wholly free devices for jobs with whole
    ones, and a device each for what takes more than half of one."""
    free_of = np.where(problem.dev_type[node] >= 0, problem.dev_free[node], 0)
    users = [(problem.asks[c], cell) for c, cell in here.items() if problem.asks[c].n_devices]
    smallest = min((ask.milli for ask, _ in users), default=WHOLE)
    milli = int(free_of[free_of >= smallest].sum())
    _lp_limit(model, [(cell, ask.milli * ask.n_devices) for ask, cell in users], milli * n_nodes)
    for least in (WHOLE, WHOLE // 2 + 1):
        n = int((free_of >= least).sum()) * n_nodes
        _lp_limit(model, [(cell, ask.n_devices) for ask, cell in users if ask.milli >= least], n)


def _alike(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Nodes by equal state: one node of each, and how many there are."""
    order = np.sort(np.where(problem.dev_type >= 0, problem.dev_type * 2048 + problem.dev_free, -1), axis=1)
    allowed = np.zeros((problem.n_nodes, len(problem.asks)), dtype=np.int64)
    for c, ask in enumerate(problem.asks):
        if ask.nodes is not None:
            allowed[list(ask.nodes), c] = 1
    states = np.concatenate([problem.free, order, allowed], axis=1)
    _, first, times = np.unique(states, axis=0, return_index=True, return_counts=True)
    return first, times

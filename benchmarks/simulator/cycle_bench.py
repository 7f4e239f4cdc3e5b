"""`packhorse bench cycle`: how long a scheduling pass takes on a large made-up cluster, all constraints on.

The state's columns and the daemon's own `cycle.plan`, no store and no agents. Figures are CPU time of one
core, the best of three where a case can be repeated (planning changes nothing): the machine may be shared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from msgspec import structs

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.greedy import place
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.resources import Ask
from packhorse.scheduler.plugins import require_policy
from packhorse.simulator import synthetic
from packhorse.simulator.progress import Progress

PROGRAM = "packhorse bench cycle"
TIMES = 3
ONLINE_NODES = 1_213
"""Nodes of Alibaba's openb cluster, which the online rates are compared on."""
DECISIONS = 4_000
MOST_NODES, MOST_PENDING, MOST_CLASSES = 200_000, 2_000_000, 100_000


class Figure(NamedTuple):
    """One measured value. bar: what it has to reach, None for none; less: lower is better."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    goal: float | None = None
    less: bool = True

    @property
    def verdict(self) -> str:
        """goal, bar or below; empty where nothing is asked."""
        if self.bar is None or self.goal is None:
            return ""
        for word, limit in (("goal", self.goal), ("bar", self.bar)):
            if (self.value <= limit) if self.less else (self.value >= limit):
                return word
        return "below"


def best(act: Callable[[], object], times: int = TIMES) -> float:
    """Least CPU seconds of one call."""
    least = float("inf")
    for _ in range(times):
        begin = time.process_time()
        act()
        least = min(least, time.process_time() - begin)
    return least


def passes(args: argparse.Namespace) -> Iterator[Figure]:
    """Passes of the daemon over the whole queue, from an empty cluster to a nearly full one."""
    chance = Random(args.seed)
    state = synthetic.cluster(args.nodes, args.policy)
    kinds = synthetic.asks(chance, args.classes, args.nodes)
    pending = state.pending_columns
    pending.add_many(synthetic.jobs(chance, kinds, args.pending))
    yield from memory(state)
    begin = time.process_time()
    plan = cycle.plan(state, synthetic.NOW)
    first = time.process_time() - begin
    yield Figure(f"very first pass, asks judged, {len(plan.grants)} starts", first, "s")
    seconds = best(lambda: cycle.plan(state, synthetic.NOW))
    yield Figure(f"empty cluster, {len(plan.grants)} starts", seconds, "s", 1.0, 0.3)
    limit = state.config
    state.config = structs.replace(limit, max_starts_per_cycle=1 << 40)
    begin = time.process_time()
    plan = cycle.plan(state, synthetic.NOW)
    yield Figure(f"no limit, {len(plan.grants)} starts", time.process_time() - begin, "s")
    next_id = args.pending + 1
    while plan.grants:
        synthetic.start(state, plan)
        if len(pending) < args.pending:
            more = synthetic.jobs(chance, kinds, args.pending - len(pending), next_id)
            pending.add_many(more)
            next_id += len(more)
        plan = cycle.plan(state, synthetic.NOW)
    state.config = limit
    cycle.plan(state, synthetic.NOW)
    seconds = best(lambda: cycle.plan(state, synthetic.NOW))
    yield Figure(f"full cluster, {len(pending)} wait, no start", seconds, "s", 1.0, 0.3)
    running = sorted(id for id in state.node_columns._held)
    synthetic.end(state, chance.sample(running, len(running) // 50))
    plan = cycle.plan(state, synthetic.NOW)
    seconds = best(lambda: cycle.plan(state, synthetic.NOW))
    yield Figure(f"2 % of the jobs ended, {len(plan.grants)} starts", seconds, "s", 1.0, 0.3)
    while plan.grants:
        synthetic.start(state, plan)
        plan = cycle.plan(state, synthetic.NOW)
    yield arrivals(state, chance, kinds, next_id)


def arrivals(state: State, chance: Random, kinds: list[tuple[Ask, str]], next_id: int) -> Figure:
    """A hundred jobs arrive and twenty have ended; every time others, the best of three."""
    pending, least, n = state.pending_columns, float("inf"), 0
    for _ in range(TIMES):
        running = sorted(id for id in state.node_columns._held)
        synthetic.end(state, chance.sample(running, 20))
        pending.add_many(synthetic.jobs(chance, kinds, 100, next_id))
        next_id += 100
        begin = time.process_time()
        plan = cycle.plan(state, synthetic.NOW)
        least = min(least, time.process_time() - begin)
        n = len(plan.grants)
        synthetic.start(state, plan)
    return Figure(f"nearly full, 100 arrive, 20 ended, {n} starts", least * 1e3, "ms", 30, 10)


def online(args: argparse.Namespace, n_nodes: int, bar: float, goal: float) -> Figure:
    """Decisions one at a time, each a job of a random class on the field as the last one left it; the best of
    three times."""
    rate = max(_decisions(args, n_nodes) for _ in range(TIMES))
    return Figure(f"decisions one at a time, {n_nodes} nodes", rate, "/s", bar, goal, less=False)


def _decisions(args: argparse.Namespace, n_nodes: int) -> float:
    """Per second, from an empty cluster on."""
    chance = Random(args.seed)
    state = synthetic.cluster(n_nodes, args.policy)
    kinds = synthetic.asks(chance, args.classes, n_nodes, gangs=False)
    pending = state.pending_columns
    pending.add_many(synthetic.jobs(chance, kinds, max(10 * args.classes, 1000)))
    config, nodes = state.config, state.node_columns
    field = Field(nodes, scorer=state.demand.scorer(require_policy(args.policy), None, pending, nodes))
    partitions = {p.name: p for p in config.partitions}
    requests = [
        found.request(field.board, partitions[found.partition], nodes.column_of)
        for found in pending.classes
        if found is not None and not found.shape.exclusive
    ]
    stream = chance.choices(requests, k=DECISIONS)
    for request in requests:
        place(field, request, 1, 0)
    begin = time.process_time()
    for request in stream:
        place(field, request, 1, 0)
    return DECISIONS / (time.process_time() - begin)


def memory(state: State) -> Iterator[Figure]:
    """Bytes of arrays and index entries."""
    nodes, pending = state.node_columns, state.pending_columns
    nodes.board()
    yield Figure("columns per node", node_bytes(nodes) / len(nodes) / 1024, "KiB", 2, 1)
    yield Figure("columns per pending job", pending_bytes(pending) / len(pending) / 1024, "KiB", 1, 0.25)


def node_bytes(nodes: NodeColumns) -> float:
    """Arrays of the columns and of their board, and the indices by name."""
    board = nodes.board()
    own = (nodes.capacity, nodes.offered, nodes.used, nodes.free, nodes.schedulable, nodes.node_class)
    static = (
        board.capacity,
        board.node_class,
        board.order,
        board.position_of_row,
        board.weight_score,
        board.type_of,
        board.slot_mem,
        board.link,
        board.shareable,
    )
    arrays = sum(a.nbytes for a in (*own, *static))
    lists = (nodes.row_of, board.position, nodes.banks, nodes.maps, nodes.slices, nodes._on_row, nodes._nodes)
    small = sum(sys.getsizeof(x) for group in (nodes.banks, nodes.slices, nodes._on_row) for x in group)
    return arrays + small + sum(sys.getsizeof(x) for x in lists)


def pending_bytes(pending: PendingColumns) -> float:
    """Arrays, the index by id, and the order."""
    arrays = sum(x.nbytes for x in vars(pending).values() if isinstance(x, np.ndarray))
    lists = (pending._slot, pending._free, pending._limbo, pending._fresh)
    return arrays + sum(sys.getsizeof(x) for x in lists) + 32 * len(pending)  # an int object for every id


def parser() -> argparse.ArgumentParser:
    """The command's words."""
    own = argparse.ArgumentParser(
        prog=PROGRAM, description=(__doc__ or "").partition(": ")[2].partition("\n")[0].capitalize()
    )
    add = own.add_argument
    add("--nodes", type=int, default=10_000, metavar="N", help="nodes (default: %(default)s)")
    add("--pending", type=int, default=100_000, metavar="M", help="waiting jobs (default: %(default)s)")
    add("--classes", type=int, default=200, metavar="C", help="distinct asks (default: %(default)s)")
    add("--policy", default="", metavar="P", help="placement policy (default: the daemon's)")
    add("--seed", type=int, default=1, metavar="S", help="of cluster and queue (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return own


def wrong(args: argparse.Namespace) -> str:
    """What is wrong with the words, empty if nothing is."""
    limits = (
        ("nodes", 20, MOST_NODES),
        ("pending", 1000, MOST_PENDING),
        ("classes", 1, MOST_CLASSES),
        ("seed", 0, (1 << 31) - 1),
    )
    for name, low, high in limits:
        value = getattr(args, name)
        if not low <= value <= high:
            return f"--{name} {value}: from {low} to {high}; choose a number in between"
    if args.json is not None and not args.json.resolve().parent.is_dir():
        return f"--json {args.json}: there is no folder {args.json.resolve().parent}; make it first"
    return ""


def main(words: Sequence[str] | None = None) -> int:
    """Measures, prints the table, writes the file. 1 if a bar is missed, 2 for wrong words."""
    args = parser().parse_args(words)
    args.policy = args.policy or ClusterConfig().policy
    message = wrong(args)
    try:
        require_policy(args.policy)
    except BadValue as bad:
        message = f"--policy {args.policy}: {bad}"
    if message:
        print(f"{PROGRAM}: {message}", file=sys.stderr)
        return 2
    sizes = [(ONLINE_NODES, 20_000, 80_000), (args.nodes, 10_000, 50_000)]
    print(
        f"{args.nodes} nodes, {args.pending} pending jobs, {args.classes} asks, policy {args.policy}, "
        f"seed {args.seed}; Python {platform.python_version()}, {platform.machine()}"
    )
    figures: list[Figure] = []
    with Progress(10, "figures") as progress:
        for figure in passes(args):
            figures.append(figure)
            progress.step(figure.what)
        for n_nodes, bar, goal in dict.fromkeys(sizes):
            figures.append(online(args, n_nodes, bar, goal))
            progress.step(figures[-1].what)
    print(f"{'what':<52}{'measured':>12}      {'bar':>8} {'goal':>8}  reaches")
    for f in figures:
        asked = f"{f.bar:>8g} {f.goal:>8g}" if f.bar is not None else " " * 17
        print(f"{f.what:<52}{f.value:>12.5g} {f.unit:<4} {asked}  {f.verdict}")
    if args.json is not None:
        args.json.write_text(
            json.dumps(
                {
                    "command": " ".join([PROGRAM, *(sys.argv[1:] if words is None else words)]),
                    "python": platform.python_version(),
                    "cores": os.cpu_count(),
                    "figures": [f._asdict() | {"reaches": f.verdict} for f in figures],
                },
                indent=1,
            )
            + "\n"
        )
    return 1 if any(f.verdict == "below" for f in figures) else 0


if __name__ == "__main__":
    sys.exit(main())

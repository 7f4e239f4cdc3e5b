"""The CP-SAT improver on contended clusters, and on the queue of Alibaba's trace.

Run:  packhorse bench improver [--instances 200] [--seed 1] [--limits 1,10] [--workers 2]
          [--data DIR] [--json FILE]
      packhorse bench improver --replay FILE [--limits 1]

Instances (simulator/contended.py): improved means better than the plain packer in value placed, compared
rank by rank from the most important one; stranding and waking do not count. Proven optimal: the improver
itself proved that no solution places more value. As planted: at least as good as the packing that was
planted.
Gap: of the value by which the planted packing beats the plain packer, at the most important rank where they
differ, the part that was won.

Trace: openb `default`, seed 42, best fit as published until 0.88 of the devices are allocated; the next 500
pods are a queue. Value is device thousandths, so pods without devices are worth nothing here and go last.
Greedy is the plain packer (packing/best_fit.py), biggest first; the bound is the linear program over nodes
and ways to cut a device (`lp_bound`).

Replay: a problem that the scheduler has written to log/improver-N.json, because the improver got it wrong:
the same seed and workers, on the clock. Status 1 if it goes wrong again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from packhorse.scheduler.core.packing.best_fit import best_fit
from packhorse.scheduler.core.packing.cpsat import lp_bound
from packhorse.scheduler.core.packing.improver import Improvement, Limits, Rejected, improve
from packhorse.scheduler.core.packing.problem import BadProblem, Problem, Solution
from packhorse.simulator.contended import FAMILIES, Instance, contended
from packhorse.simulator.openb_queue import queue_at

Tell = Callable[[str], None]

MOST_S = 3600


@dataclass(frozen=True)
class Result:
    """One instance with one limit. rank: the most important rank where the planted packing beats greedy;
    greedy, found, planted: value placed there."""

    family: str
    n_nodes: int
    n_jobs: int
    fill: float
    limit_s: float
    improved: bool
    optimal: bool
    reached: bool
    rank: int
    greedy: int
    found: int
    planted: int
    rounds: int
    took_s: float

    @property
    def gap_closed(self) -> float:
        """Part of what is known to be possible that was won."""
        if self.reached:
            return 1.0
        part = (self.found - self.greedy) / (self.planted - self.greedy)
        return min(max(part, 0.0), 1.0)


@dataclass(frozen=True)
class TraceResult:
    """The trace's queue with one limit and seed of the search: device thousandths placed."""

    limit_s: float
    seed: int
    greedy: int
    found: int
    bound: int
    optimal: bool
    rounds: int
    took_s: float

    @property
    def gap_closed(self) -> float:
        """Part of the way from greedy to the bound."""
        return (self.found - self.greedy) / (self.bound - self.greedy) if self.bound > self.greedy else 1.0


def run_instances(
    n: int, seed: int, limits_s: Sequence[float], workers: int, tell: Tell = lambda _: None
) -> list[Result]:
    """Every instance with every limit; raises AssertionError if an answer is rejected."""
    results = []
    for i, instance in enumerate(contended(seed, n)):
        for limit_s in limits_s:
            tell(f"instance {i + 1} of {n}, {instance.problem.n_nodes} nodes, {limit_s:g} s")
            results.append(run_instance(instance, limit_s, workers))
    return results


def run_instance(instance: Instance, limit_s: float, workers: int) -> Result:
    """One instance."""
    found = _improve(instance.problem, instance.greedy, limit_s, workers, 0)
    greedy, planted, after = instance.greedy_score.levels, instance.known_score.levels, found.after.levels
    rank = next(r for r, (a, b) in enumerate(zip(greedy, planted, strict=True)) if a != b)
    return Result(
        instance.family,
        instance.problem.n_nodes,
        sum(ask.count for ask in instance.problem.asks),
        round(instance.fill, 4),
        limit_s,
        after > greedy,
        found.status == "optimal",
        after >= planted,
        rank,
        greedy[rank],
        after[rank],
        planted[rank],
        found.rounds,
        round(found.wall_s, 4),
    )


def run_trace(
    data: Path, limits_s: Sequence[float], workers: int, seeds: Sequence[int], tell: Tell = lambda _: None
) -> list[TraceResult]:
    """The trace's queue with every limit and seed of the search."""
    problem = queue_at(data, "default", 42, 0.88, 500)
    greedy = best_fit(problem)
    bound = lp_bound(problem)[0]
    results = []
    for limit_s in limits_s:
        for seed in seeds:
            tell(f"openb, {limit_s:g} s, search {seed}")
            found = _improve(problem, greedy, limit_s, workers, seed)
            before, after = found.before.levels[0], found.after.levels[0]
            optimal, took_s = found.status == "optimal", round(found.wall_s, 4)
            results.append(TraceResult(limit_s, seed, before, after, bound, optimal, found.rounds, took_s))
    return results


def _improve(problem: Problem, hint: Solution, limit_s: float, workers: int, seed: int) -> Improvement:
    found = improve(problem, hint, Limits(limit_s, time.perf_counter, workers=workers, seed=seed))
    if isinstance(found, Rejected):
        raise AssertionError(f"rejected: {found.wrong[0]}")
    return found


def table(results: Sequence[Result], trace: Sequence[TraceResult]) -> str:
    """Shares per limit and family, then the trace, in Markdown."""
    lines = [
        "| instances | n | limit | improved | proven optimal | as planted | gap closed, mean | longest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for limit_s in sorted({r.limit_s for r in results}):
        for name in ("all", *FAMILIES):
            of = [r for r in results if r.limit_s == limit_s and name in ("all", r.family)]
            if of:
                lines.append(
                    f"| {name} | {len(of)} | {limit_s:g} s | {_share([r.improved for r in of])} | "
                    f"{_share([r.optimal for r in of])} | {_share([r.reached for r in of])} | "
                    f"{_share([r.gap_closed for r in of])} | "
                    f"{max(r.took_s for r in of):.2f} s |"
                )
    if trace:
        lines += [
            "",
            "| openb queue | limit | greedy | found | bound | gap closed |",
            "|---|---|---|---|---|---|",
        ]
    for t in trace:
        lines.append(
            f"| search {t.seed} | {t.limit_s:g} s | {t.greedy:,} | {t.found:,}{' (optimal)' * t.optimal} | "
            f"{t.bound:,} | {100 * t.gap_closed:.0f} % |"
        )
    return "\n".join(lines)


def _share(values: Sequence[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f} %"


def on_stderr(n_steps: int) -> Tell:
    """A line that counts the steps and says what is being done, rewritten in place."""
    done = 0

    def tell(what: str) -> None:
        nonlocal done
        filled = 30 * done // max(n_steps, 1)
        done += 1
        bar = "#" * filled + "." * (30 - filled)
        print(f"\r[{bar}] {done}/{n_steps} {what:<50}", end="", file=sys.stderr, flush=True)

    return tell


def replay(path: Path, limit_s: float) -> Improvement | Rejected:
    """The improver's answer to a problem as the scheduler dumps it."""
    dump = json.loads(path.read_text())
    problem = Problem.from_json(json.dumps(dump["problem"]))
    hint = Solution.from_json(json.dumps(dump["hint"]))
    limits = Limits(limit_s, time.perf_counter, workers=int(dump["workers"]), seed=int(dump["seed"]))
    return improve(problem, hint, limits)


def said(answer: Improvement | Rejected) -> str:
    """In words."""
    if isinstance(answer, Rejected):
        return "rejected: " + "; ".join(answer.wrong)
    return (
        f"{answer.status}: value by rank {list(answer.before.levels)} -> {list(answer.after.levels)}, "
        f"at most {list(answer.bounds)}, {answer.rounds} solves, {answer.wall_s:.3f} s"
    )


def _wrong(args: argparse.Namespace, limits_s: Sequence[float]) -> str:
    """What is wrong with the words, empty if nothing is; before work of minutes is begun."""
    if not limits_s or not all(0 < limit_s <= MOST_S for limit_s in limits_s):
        return f"--limits {args.limits}: seconds separated by commas, like 1,10, each at most {MOST_S}"
    for name, low, high in (("instances", 0, 100_000), ("seed", 0, (1 << 31) - 1), ("workers", 1, 256)):
        value = getattr(args, name)
        if not low <= value <= high:
            return f"--{name} {value}: from {low} to {high}; choose a number in between"
    if not args.instances and not args.data and not args.replay:
        return "--instances 0 without --data: there is nothing to do"
    if args.json and not args.json.parent.is_dir():
        return f"--json {args.json}: there is no folder {args.json.parent}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="packhorse bench improver", description=__doc__)
    parser.add_argument("--instances", type=int, default=200, metavar="N")
    parser.add_argument("--seed", type=int, default=1, help="of the instances")
    parser.add_argument("--limits", default="1,10", metavar="S[,S…]", help="seconds")
    parser.add_argument("--workers", type=int, default=2, help="threads of the solver")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder of the openb trace; without it, none"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="a problem that the scheduler wrote down")
    args = parser.parse_args()
    try:
        limits_s = [float(word) for word in args.limits.split(",")]
    except ValueError:
        limits_s = []
    if why := _wrong(args, limits_s):
        parser.error(why)
    if args.replay:
        try:
            answer = replay(args.replay, limits_s[0])
        except OSError as error:
            parser.error(f"--replay {args.replay}: {error.strerror}")
        except (KeyError, TypeError, ValueError, BadProblem) as error:
            parser.error(f"--replay {args.replay}: not a problem that the scheduler wrote: {error!r}")
        print(said(answer))
        return int(isinstance(answer, Rejected))
    seeds = range(3)
    steps = len(limits_s) * (args.instances + (len(seeds) if args.data else 0))
    tell = on_stderr(steps)
    try:
        trace = run_trace(args.data, limits_s, args.workers, seeds, tell) if args.data else []
    except OSError as error:
        parser.error(f"--data {args.data}: {error.filename}: {error.strerror}")
    results = run_instances(args.instances, args.seed, limits_s, args.workers, tell)
    print("\r" + " " * 90 + "\r", end="", file=sys.stderr, flush=True)
    print(table(results, trace))
    if args.json:
        value = {
            "seed": args.seed,
            "workers": args.workers,
            "instances": [{**asdict(r), "gap_closed": round(r.gap_closed, 4)} for r in results],
            "trace": [{**asdict(t), "gap_closed": round(t.gap_closed, 4)} for t in trace],
        }
        args.json.write_text(json.dumps(value, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

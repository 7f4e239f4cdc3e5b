"""`packhorse simulate`: traces under scheduling policies, in the scheduler's own code.

Every policy runs on every trace with every seed, on all cores. What is done is kept in a folder, so that a
sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Final

import msgspec

from packhorse.scheduler.core.backfill_kinds import BACKFILLS
from packhorse.scheduler.core.orders import BY_ORDER, FCFS, ORDERS
from packhorse.scheduler.core.predictors import PREDICTORS
from packhorse.scheduler.core.reclaim.estimators import ESTIMATORS
from packhorse.scheduler.model.errors import BadValue, ConfigError, PackhorseError
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator import jobs_out, policy_file, reservations, runs
from packhorse.simulator.asks import ACCOUNT_OF
from packhorse.simulator.lab_policy import CLAIRVOYANT, PRESETS, LabPolicy, as_configured, lab_policy
from packhorse.simulator.metrics.cost import Prices
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.report.write import About, write
from packhorse.simulator.runs import Run, Window
from packhorse.simulator.summary import Summary, summarise
from packhorse.simulator.sweep import Bar, sweep
from packhorse.simulator.table import table
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.generate import GENERATORS
from packhorse.simulator.world import World

PROGRAM: Final = "packhorse simulate"
MOST_RUNS: Final = 100_000
REPORT_S: Final = 60.0
"""Between two reports of a machine, where memory use is simulated."""
STOP_S: Final = 10.0
"""From the order to stop until a job is gone."""
WINDOW_COLUMNS: Final = ("start_index0", "length")


class Wrong(PackhorseError):
    """The words on the command line: what is wrong with them."""


def parser() -> argparse.ArgumentParser:
    """The command's words."""
    own = argparse.ArgumentParser(
        prog=PROGRAM,
        description=(__doc__ or "").partition(": ")[2].partition("\n\n")[0].capitalize(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_names(),
    )
    add = own.add_argument
    add("traces", nargs="+", metavar="TRACE", help="file, or generator as lublin:jobs=10000,procs=256")
    add("--policy", default="", metavar="P[,P…]", help="see below (default: that of --config, else easy)")
    add("--config", type=Path, metavar="FILE", help="a packhorse.toml: weights, partitions, limits …")
    add("--cluster", default="", metavar="SPEC", help="256, 100x1, 8x(cpus=64,gpu:8) … (default: from trace)")
    add("--format", default="", metavar="F", help="of the traces, where their names do not tell")
    add("--seeds", default="0", metavar="A-B[,C…]", help="of world and generators (default: %(default)s)")
    add(
        "--windows",
        default="",
        metavar="W",
        help="start+jobs[,…] or a CSV file: pieces, each alone",
    )
    add("--on-broken", default="stop", choices=("stop", "skip"), help="lines that cannot be read")
    add("--on-refused", default="stop", choices=("stop", "skip"), help="jobs that the cluster cannot hold")
    add("--launch", type=float, default=0.0, metavar="S", help="seconds from the grant to the job's start")
    add("--failures", type=float, default=0.0, metavar="N", help="of a node per day, on average")
    add("--repair", type=float, default=3600.0, metavar="S", help="seconds that a failed node is away")
    add("--enforce-limits", action="store_true", help="stop jobs at their time limit")
    add("--one-by-one", action="store_true", help="a cycle after each single arrival and end, arrivals first")
    add("--use", type=Path, metavar="FILE", help="what jobs use of their memory over time (docs/traces.md)")
    add("--lend", default="", metavar="E", help=f"lend unused memory, estimated by {', '.join(ESTIMATORS)}")
    add(
        "--accounts",
        type=Path,
        metavar="FILE",
        help="accounts and QOS, as packhorse accounts apply takes them",
    )
    add(
        "--account-of",
        default="default",
        choices=tuple(ACCOUNT_OF),
        help="whose name a job's account has (default: its user's default account in the file)",
    )
    add("--reservations", type=Path, metavar="FILE", help="made while it runs (docs/policy/reservations.md)")
    add("--prices", default="", metavar="K=V[,…]", help=f"of {', '.join(Prices.__struct_fields__)}")
    add("--jobs-out", type=Path, metavar="FILE", help="one CSV row per job; several runs: one file each")
    add("--json", type=Path, metavar="FILE", help="write the figures there")
    add("--report", type=Path, metavar="DIR", help="write a page with plots there")
    add("--runs", type=Path, metavar="DIR", help="where finished runs are kept (default: a cache)")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: the cores)")
    return own


def _names() -> str:
    """What policies are made of."""
    lines = [
        "policies: ORDER[+BACKFILL[:DEPTH]][!][^PREEMPT][@PREDICTOR][/PLACEMENT], a file with one of",
        "  your own (name.py), or one of these presets:",
        *(f"    {name:<16}{text}" for name, text in PRESETS.items()),
        "  orders:",
        *(f"    {'fcfs' if name == FCFS else name:<16}{found.summary}" for name, found in ORDERS.items()),
        "  backfilling (DEPTH: how many blocked jobs have a planned start, or all):",
        *(f"    {name:<16}{kind.summary}" for name, kind in BACKFILLS.items()),
        "  predictors:",
        *(f"    {name:<16}{found.summary}" for name, found in PREDICTORS.items()),
        f"    {CLAIRVOYANT:<16}the real run time",
        "  !: a blocked job that is next stays next",
        f"  ^{BY_ORDER}: running jobs make room for those before them",
    ]
    return "\n".join(lines)


def policies(text: str, file: Path | None = None) -> tuple[list[tuple[LabPolicy, Path | None]], list[str]]:
    """Those asked for, with the file where there is one, and what was refused. file: a configuration, whose
    policy it is if none is asked for."""
    if not text and file is not None:
        return [(as_configured(runs.load_config(file), file.stem), None)], []
    text = text or "easy"
    found: list[tuple[LabPolicy, Path | None]] = []
    refused: list[str] = []
    for name in dict.fromkeys(re.split(r",(?![^()]*\))", text)):
        try:
            if name.endswith(".py"):
                path = Path(name).resolve()
                order, placement = policy_file.load(path)
                words = (order.name if order else "fcfs") + (f"/{placement.name}" if placement else "")
                found.append((lab_policy(words), path))
            else:
                found.append((lab_policy(name), None))
        except BadValue as bad:
            refused.append(str(bad))
    return found, refused


def seeds(text: str) -> list[int]:
    """`1-5,9`; Wrong if it is not like that."""
    out: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not low.isdigit() or (dash and not high.isdigit()):
            raise Wrong(f'--seeds {text}: "{part}" is no seed and no range as 1-5')
        first, last = int(low), int(high) if dash else int(low)
        if last < first or last - first >= MOST_RUNS:
            raise Wrong(f"--seeds {text}: {part} is empty or has more than {MOST_RUNS} seeds")
        out += range(first, last + 1)
    return list(dict.fromkeys(out))


def windows(text: str) -> list[Window]:
    """`0+1024,1024+1024`, or a CSV file with the columns start_index0 and length."""
    if not text:
        return [Window()]
    if text.endswith(".csv"):
        from packhorse.simulator.traces.csvfile import records

        return [
            Window(r.whole("start_index0"), r.whole("length")) for r in records(Path(text), WINDOW_COLUMNS)
        ]
    found = []
    for part in text.split(","):
        start, plus, n = part.partition("+")
        if not (start.isdigit() and plus and n.isdigit() and int(n)):
            raise Wrong(f'--windows {text}: "{part}" is not start+jobs, as 1981+1024')
        found.append(Window(int(start), int(n)))
    return found


def prices(text: str) -> Prices | None:
    """`per_kwh=0.3,cpu_busy_watts=8`."""
    if not text:
        return None
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        try:
            found[name] = float(value)
        except ValueError:
            raise Wrong(f'--prices: "{part}" is not NAME=NUMBER') from None
    try:
        return msgspec.convert(found, Prices, strict=False)
    except msgspec.ValidationError as why:
        raise Wrong(f"--prices: {why}; there are {', '.join(Prices.__struct_fields__)}") from None


def plan(args: argparse.Namespace) -> tuple[list[Run], list[str]]:
    """All runs, by trace, policy, window and seed; and what was refused of the policies."""
    found, refused = policies(args.policy, args.config)
    pieces, numbers = windows(args.windows), seeds(args.seeds)
    if len(pieces) > 1 and len(numbers) > 1:
        raise Wrong("--windows and --seeds: only one of them can be several")
    todo: list[Run] = []
    for trace, (policy, file), piece, seed in product(args.traces, found, pieces, numbers):
        generated = trace.partition(":")[0] in GENERATORS
        name = f"{trace},seed={seed}" if generated and "seed=" not in trace else trace
        world = World(seed, args.launch, args.failures, args.repair, args.enforce_limits, args.one_by_one)
        if args.use is not None or args.lend:
            # Machines must say what began, for anything to be known of its use; so limits count as well.
            world = world._replace(report_s=REPORT_S, stop_s=STOP_S, keeps_work=False, enforce_limits=True)
        title = trace if generated else _title(trace, pieces)
        number = piece.start if len(pieces) > 1 else seed
        nodes, keep_going = _nodes(name, args), args.on_refused == "skip"
        todo.append(
            Run(
                title,
                number,
                name,
                args.format,
                args.on_broken,
                piece,
                policy,
                file,
                nodes,
                world,
                keep_going,
                args.use.resolve() if args.use is not None else None,
                args.lend,
                args.accounts.resolve() if args.accounts is not None else None,
                args.account_of,
                args.reservations.resolve() if args.reservations is not None else None,
                args.config.resolve() if args.config is not None else None,
            )
        )
    if len(todo) > MOST_RUNS:
        raise Wrong(f"{len(todo)} runs, at most {MOST_RUNS}: fewer policies, windows or seeds")
    return todo, refused


def _title(trace: str, pieces: Sequence[Window]) -> str:
    name = Path(trace).name
    for end in (".gz", ".swf", ".csv", ".parquet"):
        name = name.removesuffix(end)
    if len(pieces) > 1:
        return f"{name}, {len(pieces)} windows"
    return f"{name} [{pieces[0].name}]" if pieces[0].name else name


def _nodes(trace: str, args: argparse.Namespace) -> tuple[NodeSpec, ...]:
    if args.cluster:
        return cluster(args.cluster)
    found = _CLUSTERS.get(trace)
    if found is None:
        found = _CLUSTERS[trace] = open_trace(trace, args.format, args.on_broken).cluster or ()
    if not found:
        raise Wrong(f"{trace} does not say on what cluster: give --cluster, as 256 or 8x(cpus=64,gpu:8)")
    return found


_CLUSTERS: Final[dict[str, tuple[NodeSpec, ...]]] = {}


def main(words: Sequence[str] | None = None) -> int:
    """Runs, prints the table, writes the files. 1 if a run failed or a policy was refused, 2 for wrong
    words."""
    args = parser().parse_args(words)
    try:
        _check(args)
        price = prices(args.prices)
        todo, refused = plan(args)
        if not todo:
            raise Wrong("; ".join(refused))
        folder = args.runs or _cache()
        bar = Bar()
        try:
            failed = sweep(todo, folder, max(args.jobs, 1), bar)
        finally:
            bar.end()
        complaints = [*refused, *(f"{todo[i].policy.name} on {todo[i].title}: {failed[i]}" for i in failed)]
        _tell(args, [run for i, run in enumerate(todo) if i not in failed], folder, price, complaints)
    except KeyboardInterrupt:
        print(f"{PROGRAM}: stopped; the same command goes on with what is not done yet", file=sys.stderr)
        return 130
    except PackhorseError as why:
        print(f"{PROGRAM}: {why}", file=sys.stderr)
        return 2 if isinstance(why, Wrong | BadValue) else 1
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # whoever read the table has seen enough
        return 0
    except OSError as why:
        print(f"{PROGRAM}: {why.filename or ''}: {why.strerror or why}", file=sys.stderr)
        return 1
    for line in complaints:
        print(f"{PROGRAM}: {line}", file=sys.stderr)
    return 1 if complaints else 0


def _check(args: argparse.Namespace) -> None:
    for name in ("launch", "failures", "repair"):
        if not 0 <= getattr(args, name) <= 1e9:
            raise Wrong(f"--{name} {getattr(args, name)}: from 0 to 1e9")
    if args.lend and args.lend not in ESTIMATORS:
        raise Wrong(f"--lend {args.lend}: no such estimator; there are {', '.join(ESTIMATORS)}")
    if args.lend and args.use is None:
        raise Wrong("--lend needs --use FILE: without it jobs use all that they ask for, and nothing is lent")
    if args.accounts is not None:
        runs.load_accounts(args.accounts)
    if args.config is not None:
        try:
            runs.load_config(args.config)
        except ConfigError as why:
            raise Wrong(f"--config: {'; '.join(str(why).splitlines())}") from None
    for name in ("jobs_out", "json"):
        path = getattr(args, name)
        if path is not None and not path.resolve().parent.is_dir():
            raise Wrong(f"--{name.replace('_', '-')} {path}: there is no folder {path.resolve().parent}")
    if args.reservations is not None:
        reservations.read(args.reservations)
    if args.report is not None and args.report.exists() and not args.report.is_dir():
        raise Wrong(f"--report {args.report}: is there and no folder")


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "packhorse" / "simulate"


def _tell(
    args: argparse.Namespace, done: list[Run], folder: Path, price: Prices | None, complaints: Sequence[str]
) -> None:
    """Table, files and page, from the kept results: one run in memory at a time but for those drawn."""
    summaries: list[Summary] = []
    summaries_of: list[tuple[Run, int, int]] = []
    drawn: dict[tuple[str, str], Outcome] = {}
    for run in done:
        outcome = runs.read(folder, run)
        summaries.append(summarise(outcome, prices=price))
        summaries_of.append((run, outcome.lent_mib_s, outcome.out_of_memory))
        if args.jobs_out is not None:
            jobs_out.write(_jobs_file(args.jobs_out, run, len(done)), outcome)
        if args.report is not None:
            drawn.setdefault((run.title, run.policy.name), outcome)
    if summaries:
        print(table(summaries))
    skipped = {run.trace: runs.load(run.trace, run.format, run.on_broken).skipped for run in done}
    notes = [
        f"{trace}: {found.broken} lines could not be read and were left out"
        for trace, found in skipped.items()
        if found.broken
    ]
    notes += _memory_notes(args, summaries_of)
    for note in notes:
        print(note)
    if args.json is not None:
        args.json.write_bytes(msgspec.json.format(msgspec.json.encode(summaries), indent=1) + b"\n")
    if args.report is not None and summaries:
        command = shlex.join([*PROGRAM.split(), *sys.argv[1:]])
        about = About(
            "Policies compared",
            command,
            {run.title: _described(run.nodes) for run in done},
            {"packhorse": version("packhorse"), "numpy": version("numpy")},
            [*notes, *complaints],
        )
        print(write(args.report, about, summaries, list(drawn.values())))


def _memory_notes(args: argparse.Namespace, found: Sequence[tuple[Run, int, int]]) -> list[str]:
    """What was lent in each run, and how often a machine ran out; nothing where use is not simulated."""
    if args.use is None and not args.lend:
        return []
    return [
        f"{run.policy.name} on {run.title}, {run.number}: {mib_s / 3600 / 1024:,.1f} GiB-hours lent; "
        f"machines without memory ended {n} job{'s' * (n != 1)}"
        for run, mib_s, n in found
    ]


def _jobs_file(path: Path, run: Run, n: int) -> Path:
    if n == 1:
        return path
    word = re.sub(r"[^A-Za-z0-9.+-]+", "-", f"{run.title}-{run.policy.name}-{run.number}")
    return path.with_name(f"{path.stem}-{word}{path.suffix}")


def _described(nodes: tuple[NodeSpec, ...]) -> str:
    cpus = sum(node.cpu_milli for node in nodes) // 1000
    gpus = sum(len(node.devices) for node in nodes)
    return f"{len(nodes)} nodes, {cpus} CPUs" + (f", {gpus} devices" if gpus else "")


if __name__ == "__main__":
    sys.exit(main())

"""`packhorse whatif`: the jobs of the past under today's configuration and under another, side by side."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from packhorse.scheduler.config import file as config
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.lab_policy import LabPolicy, as_configured, lab_policy
from packhorse.simulator.metrics.fairness import Change
from packhorse.simulator.progress import Progress
from packhorse.simulator.report.write import About, write
from packhorse.simulator.summary import Summary, compare, summarise
from packhorse.simulator.table import table
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.whatif import said, site
from packhorse.simulator.whatif.calibration import Calibration, calibrate, sentence
from packhorse.simulator.whatif.changes import changes
from packhorse.simulator.whatif.runs import Run, run
from packhorse.simulator.whatif.site import Site
from packhorse.simulator.world import World

PROG: Final = "packhorse whatif"
TODAY: Final = "today"
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Column(msgspec.Struct, frozen=True):
    """One configuration in the JSON. changes: against today's. change: of the jobs, None of today itself."""

    name: str
    changes: list[str]
    refused: list[tuple[str, str]]
    summary: Summary
    change: Change | None


class Found(msgspec.Struct, frozen=True):
    """What is written as JSON."""

    store: str
    since: str
    seed: int
    jobs: int
    left_out: dict[str, int]
    nodes: list[str]
    calibration: Calibration
    assumptions: list[str]
    columns: list[Column]


class _Asked(NamedTuple):
    """What to do, all of it checked. others: name, configuration and policy of each column but today's."""

    store: Path
    since: str
    site: Site
    nodes: tuple[NodeSpec, ...]
    own_nodes: bool
    others: list[tuple[ClusterConfig, LabPolicy]]
    seed: int


def parser() -> argparse.ArgumentParser:
    """Its options."""
    own = argparse.ArgumentParser(
        prog=PROG,
        description="What another configuration would have done to the jobs that this cluster has run: they "
        "are simulated under today's configuration and under the new one. Reads beside a scheduler at work.",
    )
    own.add_argument("--config", type=Path, metavar="FILE", help="the new packhorse.toml")
    own.add_argument(
        "--policy",
        metavar="P[,P…]",
        help="policies instead of a file or beside it, on today's configuration: saf, fcfs+sjbf:4, sjf@last2",
    )
    own.add_argument(
        "--since",
        default="",
        metavar="TIME",
        help="only jobs that ended in the last 30d, 12h … (default: all)",
    )
    own.add_argument(
        "--store",
        type=Path,
        metavar="PATH",
        help="packhorse.db, or the home of another cluster (default: the home's store)",
    )
    own.add_argument(
        "--home",
        type=Path,
        default=None,
        metavar="DIR",
        help="the cluster's home (default: $PACKHORSE_HOME, else ~/.packhorse)",
    )
    own.add_argument(
        "--cluster",
        metavar="SPEC",
        help="other nodes than those registered, as in 8x(cpus=64,mem=256G,gpu:8)",
    )
    own.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance (default: 0)")
    own.add_argument(
        "--json", type=Path, metavar="FILE", help="all figures, for programs; - is standard output"
    )
    own.add_argument(
        "--report", type=Path, metavar="DIR", help="a page with tables and plots, DIR/index.html"
    )
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 an error in one line on stderr."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(words)
    try:
        _run(args, shlex.join(["packhorse", "whatif", *words]))
    except (PackhorseError, OSError) as error:
        for line in str(error).splitlines():
            print(f"{PROG}: {line}", file=sys.stderr)
        return 1
    return 0


def _run(args: argparse.Namespace, command: str) -> None:
    asked = _asked(args)
    columns = [(asked.site.config, as_configured(asked.site.config, TODAY)), *asked.others]
    world = World(seed=asked.seed, launch_s=asked.site.launch_s, enforce_limits=True)
    runs = _simulated(asked, columns, world)
    found = _found(asked, runs)
    if args.json is None or str(args.json) != "-":
        print(_text(asked, runs, found))
    if args.json is not None:
        text = msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"
        if str(args.json) == "-":
            sys.stdout.write(text.decode())
        else:
            args.json.write_bytes(text)
    if args.report is not None:
        page = write(
            args.report,
            _about(asked, runs, found, command),
            [column.summary for column in found.columns],
            [each.outcome for each in runs],
        )
        print(f"report: {page}", file=sys.stderr)


def _simulated(asked: _Asked, columns: Sequence[tuple[ClusterConfig, LabPolicy]], world: World) -> list[Run]:
    jobs, trace = asked.site.jobs, asked.site.config.name
    runs: list[Run] = []
    with Progress(len(jobs) * len(columns), "jobs simulated") as progress:
        for configuration, policy in columns:
            done = 0

            def ended(n: int, name: str = policy.name) -> None:
                nonlocal done
                progress.step(name, n - done)
                done = n

            book = asked.site.book
            runs.append(run(jobs, asked.nodes, configuration, policy, world, trace, ended, book))
            ended(len(jobs))
    return runs


def _asked(args: argparse.Namespace) -> _Asked:
    if args.config is None and args.policy is None:
        raise BadValue("nothing to compare with: give --config FILE, or --policy NAME")
    new = _configuration(args.config) if args.config is not None else None
    policies = (
        [lab_policy(name.strip()) for name in args.policy.split(",")] if args.policy is not None else []
    )
    nodes = cluster(args.cluster) if args.cluster is not None else ()
    if args.json is not None and str(args.json) != "-" and not args.json.absolute().parent.is_dir():
        raise BadValue(f"--json {args.json}: there is no folder {args.json.parent}")
    path = _store(args)
    found = site.read(path, _since(args.since), args.since)
    if not nodes and not found.nodes:
        raise BadValue(f"store {path}: no node has ever registered; say which there are: --cluster SPEC")
    others = [(found.config, policy) for policy in policies]
    if new is not None:
        others.insert(0, (new, as_configured(new, args.config.stem)))
    names = [policy.name for _, policy in others]
    if TODAY in names or len(set(names)) < len(names):
        raise BadValue(f"each column needs a name of its own: {', '.join([TODAY, *names])}")
    return _Asked(path, args.since, found, nodes or found.nodes, not nodes, others, args.seed)


def _configuration(path: Path) -> ClusterConfig:
    if not path.is_file():
        raise BadValue(f"--config {path}: there is no such file")
    return config.load(path, owner_uid=os.geteuid()).cluster


def _store(args: argparse.Namespace) -> Path:
    """The file: as named, or of the home that is named or known."""
    given: Path | None = args.store
    if given is not None and not given.is_dir():
        return given
    home = given or args.home or Path(os.environ.get("PACKHORSE_HOME") or Path.home() / ".packhorse")
    return home / config.load(home / "packhorse.toml", owner_uid=os.geteuid()).service.store_path


def _since(text: str) -> Instant | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,9})([smhdw])", text)
    if found is None:
        raise BadValue(f'--since "{text}": a number and a unit of s, m, h, d or w, as in 30d')
    back_s = int(found[1]) * _UNITS_S[found[2]]
    return Instant(max(int(time.time()) - back_s, 0) * US)


def _found(asked: _Asked, runs: Sequence[Run]) -> Found:
    today = runs[0]
    summaries = [summarise(each.outcome) for each in runs]
    columns = [
        Column(
            each.name,
            changes(today.config, each.config),
            each.refused,
            summary,
            compare(each.outcome, today.outcome) if each is not today else None,
        )
        for each, summary in zip(runs, summaries, strict=True)
    ]
    return Found(
        store=str(asked.store),
        since=asked.since,
        seed=asked.seed,
        jobs=len(asked.site.jobs),
        left_out=dict(asked.site.left_out.left_out),
        nodes=[node.name for node in asked.nodes],
        calibration=calibrate(today.outcome, asked.site.started_us, asked.site.launch_s),
        assumptions=said.assumptions(asked.site, runs, asked.own_nodes),
        columns=columns,
    )


def _text(asked: _Asked, runs: Sequence[Run], found: Found) -> str:
    lines = [f"history      {said.history(asked.site)}", f"cluster      {said.cluster(asked.nodes)}"]
    lines += [
        f"{'changes':<12} {column.name}: {'; '.join(column.changes) or 'decides as today'}"
        for column in found.columns[1:]
    ]
    lines += [f"{'refused':<12} {line}" for each in runs for line in said.refusals(each)]
    lines += [f"calibration  {sentence(found.calibration)}", ""]
    lines.append(table([column.summary for column in found.columns]))
    lines.append(said.classes([column.summary for column in found.columns]))
    for column in found.columns:
        if column.change is not None:
            lines += said.gains(column.name, column.change)
    return "\n".join([*lines, "", "assumed", *(f"  {line}" for line in found.assumptions)])


def _about(asked: _Asked, runs: Sequence[Run], found: Found, command: str) -> About:
    notes = [f"History: {said.history(asked.site)}."]
    notes += [f"{c.name}: {'; '.join(c.changes) or 'decides as today'}." for c in found.columns[1:]]
    notes += [f"{line}." for each in runs for line in said.refusals(each)]
    notes += [f"Calibration: {sentence(found.calibration)}.", f"Assumed: {' '.join(found.assumptions)}"]
    return About(
        title=f"What if: {', '.join(column.name for column in found.columns[1:])}",
        command=command,
        clusters={runs[0].outcome.trace: said.cluster(asked.nodes)},
        notes=notes,
    )


if __name__ == "__main__":
    sys.exit(main())

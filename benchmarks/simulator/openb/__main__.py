"""`packhorse bench openb`: reads the words, runs, prints the table, writes the files."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from packhorse.scheduler.core.packing.policies import POLICIES
from packhorse.scheduler.model.errors import BadValue, PackhorseError
from packhorse.scheduler.plugins import known_policies, require_policy
from packhorse.simulator.openb import results
from packhorse.simulator.openb.plan import Job, run_all
from packhorse.simulator.openb.queue import Hold
from packhorse.simulator.openb.run import Manner
from packhorse.simulator.progress import Progress
from packhorse.simulator.traces import openb

PROGRAM = "packhorse bench openb"
DATA_VARIABLE = "PACKHORSE_OPENB"
IN_A_CHECKOUT = Path("benchmarks", "data", "openb")
MOST_NODES = 100_000


def parser() -> argparse.ArgumentParser:
    """The command's words."""
    own = argparse.ArgumentParser(
        prog=PROGRAM,
        description="The published packing experiment on Alibaba's openb traces (Weng et al., USENIX ATC "
        "2023): pods arrive one by one until 130 % of the cluster's devices are asked for; how much can be "
        "allocated?",
    )
    add = own.add_argument
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help=f"folder of the traces (default: ${DATA_VARIABLE}, else {IN_A_CHECKOUT} of a checkout)",
    )
    add("--variant", default="default", metavar="V[,V…]", help="pod lists, or all (default: %(default)s)")
    add(
        "--policy",
        default="packhorse",
        metavar="P[,P…]",
        help=f"of {', '.join(known_policies())}, or all (default: %(default)s)",
    )
    add("--seeds", default="42-51", metavar="A-B[,C…]", help="published streams (default: %(default)s)")
    add(
        "--mode",
        default="online",
        metavar="M[,M]",
        help="online: placed at once or rejected for ever; queue: what does not fit waits "
        "(default: %(default)s)",
    )
    add(
        "--mix",
        choices=("known", "seen"),
        default="known",
        help="class frequencies that policies know: of the pod list, as published, or only of what has "
        "arrived (default: %(default)s)",
    )
    add(
        "--every",
        type=int,
        default=1,
        metavar="N",
        help="queue: try those that wait after every N arrivals (default: 1)",
    )
    add(
        "--hold-arrivals",
        type=int,
        default=0,
        metavar="N",
        help="queue: a job that would strand devices may wait until N more have come (default: 0, no hold)",
    )
    add(
        "--hold-above",
        type=float,
        default=0.15,
        metavar="PART",
        help="hold what strands more than this part of what it asks for (default: %(default)s)",
    )
    add(
        "--hold-at-most",
        type=float,
        default=0.04,
        metavar="PART",
        help="hold jobs that ask for no more than this part of all devices together (default: %(default)s)",
    )
    add(
        "--nodes",
        type=int,
        default=None,
        metavar="N",
        help="repeat the node list and the stream up to N nodes, for speed",
    )
    add("--jobs", type=int, default=None, metavar="N", help="processes (default: one for each core)")
    add("--placements", type=Path, metavar="DIR", help="write who went where, a CSV file for each run")
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="write everything, curves included; - for stdout instead of the table",
    )
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw allocation and fragmentation beside the published curves (PNG)",
    )
    return own


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 it went wrong (one line on stderr), 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(words)
    try:
        return _run(args, shlex.join([*PROGRAM.split(), *words]))
    except PackhorseError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"{PROGRAM}: {place}{error.strerror or error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace, command: str) -> int:
    if args.plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise PackhorseError('--plot needs matplotlib: pip install "packhorse[examples]"')
    for option in ("json", "plot"):
        path = getattr(args, option)
        if path is not None and not path.parent.is_dir():
            raise BadValue(f"--{option} {path}: there is no folder {path.parent}")
    if args.jobs is not None and args.jobs < 1:
        raise BadValue(f"--jobs {args.jobs}: at least 1")
    data = data_folder(args.data)
    jobs = _jobs(args, data)
    with Progress(len(jobs), "runs") as progress:
        done = {}
        for job, outcome in run_all(jobs, args.jobs or os.cpu_count() or 1):
            done[job] = outcome
            progress.step(f"{job.variant} {job.policy} s{job.seed}: {outcome.alloc_pct.get(130, 0):.2f} %")
    found = results.rows([(job, done[job]) for job in jobs], data)
    about = {
        "command": command,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "seeds": sorted({job.seed for job in jobs}),
        "nodes": args.nodes,
    }
    if args.json is not None and str(args.json) != "-":
        args.json.write_text(results.as_json(found, about))
    if args.plot is not None:
        from packhorse.simulator.openb.plot import draw

        draw(found, data, args.plot)
    print(results.as_json(found, about) if str(args.json) == "-" else results.table(found))
    return 0


def data_folder(given: Path | None) -> Path:
    """The folder of the traces: as given, as in the environment, or that of a checkout."""
    if given is not None:
        if not given.is_dir():
            raise BadValue(f"--data {given}: there is no such folder")
        return given
    named = os.environ.get(DATA_VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise BadValue(f"{DATA_VARIABLE}={named}: there is no such folder")
        return Path(named)
    for root in (Path.cwd(), *Path(__file__).resolve().parents[3:4]):
        if (root / IN_A_CHECKOUT).is_dir():
            return root / IN_A_CHECKOUT
    raise BadValue(
        f"no traces here: pass --data DIR, or set {DATA_VARIABLE}, or start in a checkout of Packhorse, "
        f"which has the variant default in {IN_A_CHECKOUT}"
    )


def _jobs(args: argparse.Namespace, data: Path) -> list[Job]:
    variants = openb.variants(data) if args.variant == "all" else _words(args.variant, "--variant")
    there = openb.variants(data)
    for variant in variants:
        if variant not in there:
            raise BadValue(f"--variant {variant}: not in {data}; there are {', '.join(there)}")
    policies = list(POLICIES) if args.policy == "all" else _words(args.policy, "--policy")
    for policy in policies:
        require_policy(policy)
    if args.nodes is not None and not 1 <= args.nodes <= MOST_NODES:
        raise BadValue(f"--nodes {args.nodes}: from 1 to {MOST_NODES:,}")
    return [
        Job(data, variant, policy, manner, seed, args.nodes, args.placements)
        for variant in variants
        for policy in policies
        for manner in _manners(args)
        for seed in _seeds(args.seeds)
    ]


def _manners(args: argparse.Namespace) -> list[Manner]:
    if args.every < 1:
        raise BadValue(f"--every {args.every}: at least 1")
    if args.hold_arrivals < 0:
        raise BadValue(f"--hold-arrivals {args.hold_arrivals}: at least 0, which is no hold")
    if not 0 <= args.hold_above < float("inf"):
        raise BadValue(f"--hold-above {args.hold_above}: at least 0")
    if not 0 <= args.hold_at_most <= 1:
        raise BadValue(f"--hold-at-most {args.hold_at_most}: from 0 to 1")
    hold = Hold(args.hold_arrivals, args.hold_above, args.hold_at_most) if args.hold_arrivals else None
    seen = args.mix == "seen"
    modes = _words(args.mode, "--mode")
    for mode in modes:
        if mode not in ("online", "queue"):
            raise BadValue(f"--mode {mode}: online or queue")
    if "queue" not in modes and (hold or args.every > 1):
        raise BadValue("--hold-arrivals and --every are for --mode queue: online nothing waits")
    both = {"online": Manner(seen=seen), "queue": Manner(True, args.every, hold, seen)}
    return [both[mode] for mode in modes]


def _seeds(text: str) -> list[int]:
    found: dict[int, None] = {}
    for word in _words(text, "--seeds"):
        first, _, last = word.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or int(first) > int(last or first):
            raise BadValue(f"--seeds {word}: a number or a range such as 42-51")
        for seed in range(int(first), min(int(last or first), openb.SEEDS[-1] + 1) + 1):
            if seed not in openb.SEEDS:
                raise BadValue(
                    f"--seeds {word}: the published streams are {openb.SEEDS[0]}-{openb.SEEDS[-1]}"
                )
            found[seed] = None
    return list(found)


def _words(text: str, option: str) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in text.split(",")))
    if "" in words:
        raise BadValue(f'{option} "{text}": names separated by commas')
    return words


if __name__ == "__main__":
    sys.exit(main())

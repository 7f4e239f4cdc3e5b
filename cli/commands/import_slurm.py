"""`packhorse import`: a Slurm cluster's configuration as one of Packhorse, with what was not taken over."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from packhorse.cli import daemons
from packhorse.cli.importing import book, cgroup, conf_file, general, nodes, partitions, topology, write
from packhorse.cli.importing.conf_file import Line
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.report import Fate, text_of
from packhorse.scheduler.model.errors import BadValue, PackhorseError

_THINGS = ("nodename", "partitionname", "nodeset", "downnodes", "frontendname")
"""Keys that begin lines about a thing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which files, and where to."""
    parser.add_argument("file", type=Path, metavar="slurm.conf")
    parser.add_argument("--gres", type=Path, metavar="FILE", help="gres.conf")
    parser.add_argument("--cgroup", type=Path, metavar="FILE", help="cgroup.conf")
    parser.add_argument("--topology", type=Path, metavar="FILE", help="topology.conf")
    parser.add_argument("--sacctmgr-dump", type=Path, metavar="FILE", help="what sacctmgr dump CLUSTER wrote")
    parser.add_argument(
        "--sacctmgr-qos",
        type=Path,
        metavar="FILE",
        help="what sacctmgr -P show qos printed: a dump has no QOS",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="write packhorse.toml, agent-options.sh, accounts.toml and report.txt there (default: nothing)",
    )


def run(args: argparse.Namespace) -> int:
    plan = Plan()
    map_files(plan, args)
    texts = write.files(plan, args.file.name)
    _check(texts[write.CONFIG])
    if args.output is not None:
        write.write(args.output, texts)
    if args.json:
        rows = [
            {"fate": row.fate.value, "what": row.what, "place": row.place, "remark": row.remark}
            for row in plan.report.rows
        ]
        print(json.dumps({"rows": rows, "files": texts}))
        return 0
    print(text_of(plan.report.rows, plan.report.count()), end="")
    if args.output is None:
        print(f"nothing was written; -o DIR writes {', '.join(texts)}")
    else:
        print(f"written to {args.output}: {', '.join(texts)}")
    return 0


def map_files(plan: Plan, args: argparse.Namespace) -> None:
    """Fills the plan from the files that were named. Raises BadValue with file and line."""
    lines = conf_file.read(args.file)
    things = [line for line in lines if line.first.key.lower() in _THINGS]
    plain = [line for line in lines if line.first.key.lower() not in _THINGS]
    found = general.settings(plain, plan)
    nodes.map_nodes(plan, things, _optional(args.gres))
    if args.topology is not None:
        topology.map_topology(plan, conf_file.read(args.topology))
    general.map_all(plan, found)
    partitions.map_partitions(plan, things, found)
    cgroup.map_cgroup(plan, _optional(args.cgroup))
    qos = partitions.qos_named(plan)
    if args.sacctmgr_dump is None and args.sacctmgr_qos is None:
        for name in qos:
            plan.report.tell(Fate.IN_PART, f"QOS={name}", "", f"has to be made: sacctmgr add qos {name}")
    else:
        accounts = book.Book(plan)
        accounts.named(qos)
        if args.sacctmgr_qos is not None:
            accounts.show_qos(args.sacctmgr_qos)
        if args.sacctmgr_dump is not None:
            accounts.dump(args.sacctmgr_dump)
        plan.accounts = accounts.text()


def _optional(path: Path | None) -> list[Line]:
    return [] if path is None else conf_file.read(path)


def _check(text: str) -> None:
    """Has the scheduler read the configuration, where it is installed. Raises BadValue."""
    try:
        daemons.require_scheduler()
    except PackhorseError:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, write.CONFIG)
        file.write_text(text, encoding="utf-8")
        command = [*daemons.PYTHON, "-m", "packhorse.scheduler.service", "--home", folder]
        done = subprocess.run(
            [*command, "--config", str(file), "--check-config"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).replace(str(file), write.CONFIG).strip()
            raise BadValue(f"what it comes to is refused by the scheduler, and nothing was written:\n{said}")

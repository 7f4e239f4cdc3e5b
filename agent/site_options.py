"""The agent's options for a site's own programs: prolog, epilog, health check."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

from packhorse.agent import health, job_scripts, node_script
from packhorse.agent.health import HealthCheck
from packhorse.agent.job_scripts import JobScripts
from packhorse.scheduler.model.errors import BadValue

LONGEST_S = 86_400.0


def add_to(parser: argparse.ArgumentParser) -> None:
    """The options, as `packhorse agent` has them; each may come from the environment, PACKHORSE_PROLOG …"""
    for name, default in (
        ("prolog", ""),
        ("epilog", ""),
        ("prolog-timeout", f"{job_scripts.TIMEOUT_S:g}"),
        ("health-check", ""),
        ("health-interval", f"{health.INTERVAL_S:g}"),
    ):
        variable = f"PACKHORSE_{name.replace('-', '_').upper()}"
        parser.add_argument(f"--{name}", default=os.environ.get(variable) or default)


def scripts(args: argparse.Namespace, node: str, spool: Path) -> JobScripts:
    """Prolog and epilog. Raises BadValue for a file that may not be run."""
    timeout_s = seconds("prolog-timeout", args.prolog_timeout)
    prolog, epilog = _file("prolog", args.prolog), _file("epilog", args.epilog)
    return JobScripts(node, str(spool), prolog, epilog, timeout_s)


def health_check(args: argparse.Namespace, node: str, spool: Path) -> HealthCheck | None:
    """The health check, None if there is none. Raises BadValue for a file that may not be run."""
    interval_s = seconds("health-interval", args.health_interval)
    file = _file("health-check", args.health_check)
    if file is None:
        return None
    return HealthCheck(file, node=node, spool=str(spool), interval_s=interval_s)


def end_leftovers(args: argparse.Namespace, spool: Path) -> int:
    """Ends the programs that an agent before this one left at work as it died; how many."""
    files = [Path(file) for file in (args.prolog, args.epilog, args.health_check) if file]
    return node_script.end_leftovers(str(spool), files) if files else 0


def seconds(option: str, text: str) -> float:
    """`90`, `90s`, `5m`, `1h`. Raises BadValue."""
    number, factor = text, 1
    for unit, worth in (("s", 1), ("m", 60), ("h", 3600)):
        if text.endswith(unit):
            number, factor = text[:-1], worth
    try:
        value = float(number) * factor
    except ValueError:
        value = math.nan
    if not 0 < value <= LONGEST_S:
        raise BadValue(f'--{option} "{text}": write seconds up to a day, as in 90, 90s or 5m')
    return value


def _file(option: str, path: str) -> Path | None:
    if not path:
        return None
    if why := node_script.objection(Path(path)):
        raise BadValue(f"--{option} {why}")
    return Path(path)

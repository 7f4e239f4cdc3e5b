"""`packhorse status`: the cluster in one screen."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from packhorse.cli import transport
from packhorse.cli.transport import field, int_field

BAR = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def run(args: argparse.Namespace) -> int:
    status = transport.call("GetStatus", {})
    print(json.dumps(status) if args.json else render(status))
    return 0


def render(status: dict[str, Any]) -> str:
    """The whole screen as text."""
    ping = field(status, "scheduler", {})
    now = int_field(ping, "now_us")
    up_s = max(0, now - int_field(ping, "started_at_us")) // 1_000_000
    store = field(status, "store", "ok")
    head = (
        f"cluster {field(ping, 'cluster', '')} on {field(ping, 'host', '')}, Packhorse "
        f"{field(ping, 'version', '')}, up {_duration(up_s)}, store {store}"
    )
    lines = [head, *[f"WARNING: {text}" for text in field(status, "warnings", [])], ""]
    lines += _amounts(field(status, "amounts", []))
    lines += ["", *_nodes(field(status, "nodes", [])), "", *_jobs(field(status, "jobs", []))]
    return "\n".join(lines)


def _amounts(amounts: list[dict[str, Any]]) -> list[str]:
    lines = [f"{'':12} {'allocated':>23}   {'used':>10}"]
    for amount in amounts:
        name = field(amount, "resource", "")
        capacity, allocated = int_field(amount, "capacity"), int_field(amount, "allocated")
        used = int_field(amount, "used")
        share = allocated / capacity if capacity else 0.0
        bar = "#" * round(share * BAR)
        text = f"{_amount(name, allocated)} of {_amount(name, capacity)}"
        measured = _amount(name, used) if used >= 0 else "-"
        lent = int_field(amount, "lent")
        beyond = f" + {_amount(name, lent)} lent" if lent else ""
        lines.append(f"{_title(name):12} {text:>23}   {measured:>10}  [{bar:<{BAR}}] {share:4.0%}{beyond}")
    return lines


def _nodes(nodes: list[dict[str, Any]]) -> list[str]:
    if not nodes:
        return ["no node has registered yet (packhorse up, packhorse agent)"]
    lines = [f"{'NODE':<14} {'STATE':<12} {'JOBS':>5} {'CPUS':>11} {'MEMORY':>19} {'GPUS':>7}  REASON"]
    for node in nodes:
        amounts = {field(a, "resource", ""): a for a in field(node, "amounts", [])}
        declared = " (declared)" if field(node, "declared", False) else ""
        lines.append(
            f"{field(node, 'name', ''):<14} {field(node, 'state', ''):<12} {int_field(node, 'n_jobs'):>5} "
            f"{_of(amounts, 'cpu_milli'):>11} {_of(amounts, 'mem_mib'):>19} {_of(amounts, 'gpu'):>7}  "
            f"{field(node, 'reason', '')}{declared}".rstrip()
        )
    return lines


def _jobs(jobs: list[dict[str, Any]]) -> list[str]:
    if not jobs:
        return ["no jobs"]
    lines = [f"{'JOBS':>7}  {'STATE':<14} REASON"]
    for row in jobs:
        reason = field(row, "reason", "")
        lines.append(f"{int_field(row, 'count'):>7}  {field(row, 'state', ''):<14} {reason}".rstrip())
    return lines


def _of(amounts: dict[str, dict[str, Any]], name: str) -> str:
    amount = amounts.get(name)
    if amount is None:
        return "-"
    return f"{_amount(name, int_field(amount, 'allocated'))}/{_amount(name, int_field(amount, 'capacity'))}"


def _title(resource: str) -> str:
    return {"cpu_milli": "CPUs", "mem_mib": "memory"}.get(resource, resource)


def _amount(resource: str, value: int) -> str:
    if resource == "cpu_milli":
        return f"{value / 1000:g}"
    if resource.endswith("_mib"):
        return f"{value / 1024:.1f}G" if value >= 1024 else f"{value}M"
    return str(value)


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    text = time.strftime("%H:%M:%S", time.gmtime(rest))
    return f"{days}-{text}" if days else text

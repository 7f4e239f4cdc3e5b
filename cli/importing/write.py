"""The files that an import writes: packhorse.toml, agent-options.sh, accounts.toml, report.txt."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from packhorse.cli.importing.plan import Plan, Value
from packhorse.cli.importing.report import Fate, text_of
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.hostlist import compress_sorted

CONFIG = "packhorse.toml"
AGENTS = "agent-options.sh"
ACCOUNTS = "accounts.toml"
REPORT = "report.txt"
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ORDER = ("cluster", "accounts", "jobs", "scheduling", "priority", "preemption", "nodes", "mail", "log")


def files(plan: Plan, source: str) -> dict[str, str]:
    """Their texts by name. source: where it all came from."""
    found = {CONFIG: _config(plan, source), REPORT: text_of(plan.report.rows, plan.report.count())}
    if plan.agents:
        found[AGENTS] = _agents(plan, source)
    if plan.accounts:
        found[ACCOUNTS] = plan.accounts
    return found


def write(folder: Path, texts: dict[str, str]) -> None:
    """All of them, none over one that is there. Raises BadValue, OSError."""
    there = [name for name in texts if (folder / name).exists()]
    if there:
        raise BadValue(f"{folder / there[0]} is there already; choose another folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _config(plan: Plan, source: str) -> str:
    lines = [
        f"# Made by packhorse import from {source}.",
        "# docs/configuration.md explains every key. What was not mapped, or in part:",
    ]
    lines += [
        _one_line(f"#   {row.what} ({row.fate.value}): {row.remark}")
        for row in plan.report.rows
        if row.fate in (Fate.IN_PART, Fate.UNSUPPORTED, Fate.UNKNOWN)
    ]
    for section in sorted(plan.sections, key=_ORDER.index):
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in plan.sections[section].items()]
    for block in plan.partitions:
        lines += ["", "[[partition]]"]
        lines += [f"{key} = {_toml(value)}" for key, value in block.items()]
    return "\n".join(lines) + "\n"


def _agents(plan: Plan, source: str) -> str:
    """A script that prints the options of a node's agent."""
    groups: dict[str, list[str]] = {}
    for node, options in plan.agents.items():
        words = [
            word
            for name, value in {**options, **plan.everywhere}.items()
            for word in (f"--{name}", shlex.quote(value))
        ]
        groups.setdefault(" ".join(words), []).append(node)
    lines = [
        "#!/bin/sh",
        _one_line(f"# Made by packhorse import from {source}: what a node's agent is to declare."),
        "# On the node, or with its name as argument:",
        '#     eval "packhorse agent $(sh agent-options.sh)"',
        "# An agent finds CPUs, memory and GPUs by itself (packhorse agent --inventory prints them): options",
        "# that say the same may go.",
        "node=${1:-$(hostname -s)}",
        'case "$node" in',
    ]
    for said, nodes in groups.items():
        lines += [f"# {compress_sorted(nodes)}", f"{'|'.join(nodes)}) options={shlex.quote(said)} ;;"]
    lines.append('*) echo "$0: $node is not in what was imported" >&2; exit 1 ;;')
    lines += ["esac", "printf '%s\\n' \"--node $node $options\""]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_quoted(one) for one in value)}]"
    if isinstance(value, dict):
        pairs = [
            f"{name if _BARE.fullmatch(name) else _quoted(name)} = {_number(n)}" for name, n in value.items()
        ]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    return _quoted(value) if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.12f}".rstrip("0")


def _quoted(text: str) -> str:
    """As in JSON, which TOML reads alike but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

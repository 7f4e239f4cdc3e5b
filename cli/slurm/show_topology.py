"""scontrol show topology: the tree of racks and switches, a line for each, the lowest level first."""

from __future__ import annotations

from packhorse.scheduler.model.hostlist import compress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str, ...]

COLUMNS = ("name", "topology")


def lines(rows: list[dict[str, Any]], wanted: list[str]) -> list[str]:
    """Of the switches (by name) or those above the nodes that are named; all for none."""
    nodes: dict[Path, list[str]] = {}
    below: dict[Path, set[Path]] = {}
    for row in rows:
        path = tuple(row["topology"].split("/")) if row["topology"] else ()
        for depth in range(1, len(path) + 1):
            nodes.setdefault(path[:depth], []).append(row["name"])
            if depth < len(path):
                below.setdefault(path[:depth], set()).add(path[: depth + 1])
    name_of = _names(list(nodes))
    level: dict[Path, int] = {}
    for path in sorted(nodes, key=len, reverse=True):
        level[path] = 1 + max((level[lower] for lower in below.get(path, ())), default=-1)
    out = []
    for path in sorted(nodes, key=lambda path: (level[path], path)):
        if wanted and name_of[path] not in wanted and not set(wanted).intersection(nodes[path]):
            continue
        text = f"SwitchName={name_of[path]} Level={level[path]} LinkSpeed=1 Nodes={compress(nodes[path])}"
        if path in below:
            text += f" Switches={compress(name_of[lower] for lower in sorted(below[path]))}"
        out.append(text)
    return out


def _names(paths: list[Path]) -> dict[Path, str]:
    """The last part of each path; all of it, joined by dots, where two end alike."""
    last: dict[str, int] = {}
    for path in paths:
        last[path[-1]] = last.get(path[-1], 0) + 1
    return {path: path[-1] if last[path[-1]] == 1 else ".".join(path) for path in paths}

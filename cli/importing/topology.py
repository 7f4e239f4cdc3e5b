"""topology.conf as [cluster] topology: each leaf switch with the switches above it."""

from __future__ import annotations

from packhorse.cli.importing.conf_file import Line
from packhorse.cli.importing.nodes import Own, thing, told
from packhorse.cli.importing.parts import TOPOLOGY
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.report import Fate
from packhorse.cli.importing.values import hosts
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.node import are_levels


def map_topology(plan: Plan, lines: list[Line]) -> None:
    """Sets [cluster] topology. Raises BadValue for a tree that is none."""
    above: dict[str, str] = {}
    leaves: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    at: dict[str, str] = {}
    for line in lines:
        first = line.first
        own: Own = thing(plan, line, {}, TOPOLOGY, {})
        if "switchname" not in own or ("switches" in own) == ("nodes" in own):
            raise BadValue(f"{first.place}: a line has SwitchName and either Switches or Nodes")
        name = own["switchname"].value
        if name in places:
            raise BadValue(f"{first.place}: switch {name} is there twice")
        places[name] = first.place
        for below in hosts(own["switches"]) if "switches" in own else ():
            if below in above:
                raise BadValue(f"{first.place}: switch {below} is below {above[below]} already")
            above[below] = name
        if "nodes" in own:
            leaves[name] = list(plan.agents) if own["nodes"].value.upper() == "ALL" else hosts(own["nodes"])
            for node in leaves[name]:
                if node in at:
                    raise BadValue(f"{first.place}: node {node} is at switch {at[node]} already")
                at[node] = name
        told(plan, own, TOPOLOGY, {}, f"SwitchName={name}")
    missing = sorted(set(above) - set(places))
    if missing:
        raise BadValue(f"{places[above[missing[0]]]}: there is no switch {missing[0]}")
    paths = {name: _path(name, above, places) for name in places}
    plan.set(
        "cluster",
        "topology",
        [f"{paths[leaf]}:{compress_sorted(nodes)}" for leaf, nodes in leaves.items()],
    )
    strange = sorted(set(at) - set(plan.agents))
    if strange:
        plan.report.tell(
            Fate.IN_PART, f"Nodes={strange[0]}", places[at[strange[0]]], "slurm.conf has no such node"
        )


def _path(leaf: str, above: dict[str, str], places: dict[str, str]) -> str:
    """From the top down."""
    path = [leaf]
    while path[0] in above:
        path.insert(0, above[path[0]])
        if len(path) > len(places):
            raise BadValue(f"{places[leaf]}: switch {leaf} is above itself")
    if not are_levels(tuple(path)):
        raise BadValue(f"{places[leaf]}: {'/'.join(path)}: too many levels, or a name of other letters")
    return "/".join(path)

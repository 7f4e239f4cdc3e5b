"""PartitionName and NodeSet lines as [[partition]] blocks."""

from __future__ import annotations

from collections.abc import Mapping

from packhorse.cli.importing.conf_file import Line, Pair
from packhorse.cli.importing.general import preempt_mode
from packhorse.cli.importing.nodes import Own, thing, told
from packhorse.cli.importing.parts import NODESET, PARTITION
from packhorse.cli.importing.plan import Plan, Value
from packhorse.cli.importing.report import Fate
from packhorse.cli.importing.values import (
    bad,
    count,
    flag,
    hosts,
    is_counted,
    is_unlimited,
    seconds,
    weights,
    words,
)
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.job import NORMAL_QOS
from packhorse.scheduler.model.units import format_time_limit

ALIASES = {"allowgroup": "allowgroups", "allowaccount": "allowaccounts", "denyaccount": "denyaccounts"}
_LISTS = {
    "allowaccounts": "allow_accounts",
    "allowgroups": "allow_groups",
    "allowqos": "allow_qos",
    "denyaccounts": "deny_accounts",
    "denyqos": "deny_qos",
}
_PER_GIB = {"": 1024.0, "K": 1024.0 * 1024, "M": 1024.0, "G": 1.0, "T": 1 / 1024, "P": 1 / 1024 / 1024}
"""Slurm's weights of memory are of a MiB, or of what the suffix says."""
_MOST_NODES = 1_048_576
_YEAR = 31_622_400


def map_partitions(plan: Plan, lines: list[Line], found: Mapping[str, Pair]) -> None:
    """Fills plan.partitions. found: the general parameters, some of which hold for all of them."""
    sets = _node_sets(plan, lines)
    defaults: Own = {}
    for line in lines:
        first = line.first
        if first.key.lower() != "partitionname":
            continue
        own = thing(plan, line, defaults, PARTITION, ALIASES)
        if first.value.upper() == "DEFAULT":
            defaults = own
            defaults.pop("partitionname", None)
            continue
        for name in hosts(first):
            _partition(plan, name, own, sets, found)
    defaults_of = [block for block in plan.partitions if "default" in block]
    for block in defaults_of[:-1]:
        del block["default"]
        remark = f"{defaults_of[-1]['name']} is the default one: it comes later"
        plan.report.tell(Fate.IN_PART, f"PartitionName={block['name']} Default=YES", "", remark)


def qos_named(plan: Plan) -> list[str]:
    """The QOS that partitions name, but the one that is always there."""
    found: dict[str, None] = {}
    for block in plan.partitions:
        for key in ("qos", "allow_qos", "deny_qos"):
            value = block.get(key, [])
            for name in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
                found[name] = None
    found.pop(NORMAL_QOS, None)
    return list(found)


def _node_sets(plan: Plan, lines: list[Line]) -> dict[str, list[str]]:
    sets: dict[str, list[str]] = {}
    for line in lines:
        if line.first.key.lower() != "nodeset":
            continue
        own = thing(plan, line, {}, NODESET, {"features": "feature"})
        names = hosts(own["nodes"]) if "nodes" in own else []
        if names == ["ALL"]:
            names = list(plan.agents)
        if "feature" in own:
            wanted = own["feature"].value
            names += [
                node
                for node, options in plan.agents.items()
                if wanted in options.get("features", "").split(",")
            ]
        sets[line.first.value] = list(dict.fromkeys(names))
        told(plan, own, NODESET, {}, f"NodeSet={line.first.value}")
    return sets


def _partition(
    plan: Plan, name: str, own: Own, sets: Mapping[str, list[str]], found: Mapping[str, Pair]
) -> None:
    within = f"PartitionName={name}"
    lost: dict[str, str] = {}
    if not name or not all(char.isalnum() or char in "-_." for char in name):
        raise bad(own["partitionname"], "a name of letters, digits, -, _ and .")
    if any(one["name"] == name for one in plan.partitions):
        raise BadValue(f"{own['partitionname'].place}: partition {name} is there twice")
    block: dict[str, Value] = {"name": name}
    if not _nodes(plan, own, sets, block, within):
        return
    _limits(own, found, block, lost)
    for key, ours in _LISTS.items():
        if key in own and own[key].value.upper() != "ALL":
            block[ours] = words(own[key])
    if "qos" in own:
        block["qos"] = own["qos"].value
    if "rootonly" in own and flag(own["rootonly"]):
        block["allow_users"] = ["root"]
    if "tresbillingweights" in own:
        block["billing"] = _billing(own["tresbillingweights"], lost)
    _preemption(own, block, lost)
    if "state" in own:
        _state(own["state"], block, lost)
    plan.partitions.append(block)
    told(plan, own, PARTITION, lost, within)


def _nodes(plan: Plan, own: Own, sets: Mapping[str, list[str]], block: dict[str, Value], within: str) -> bool:
    """Whether it has any."""
    names = hosts(own["nodes"]) if "nodes" in own else []
    if names == ["ALL"]:
        block["nodes"] = "ALL"
        return True
    known: list[str] = []
    for one in names:
        if one not in sets and one not in plan.agents:
            raise BadValue(f"{own['nodes'].place}: {within}: there is no node {one}")
        known += sets.get(one, [one])
    known = list(dict.fromkeys(known))
    if not known:
        where = own["partitionname"].place
        plan.report.tell(Fate.UNSUPPORTED, within, where, "left out: a partition here has at least one node")
        return False
    block["nodes"] = "ALL" if set(known) == set(plan.agents) else [compress_sorted(known)]
    return True


def _limits(own: Own, found: Mapping[str, Pair], block: dict[str, Value], lost: dict[str, str]) -> None:
    if "default" in own and flag(own["default"]):
        block["default"] = True
    for key, ours in (("maxtime", "max_time"), ("defaulttime", "default_time")):
        if key in own and own[key].value.upper() != "NONE":
            block[ours] = format_time_limit(seconds(own[key]))
    for key, ours in (("maxnodes", "max_nodes"), ("minnodes", "min_nodes")):
        if key in own and not is_unlimited(own[key]):
            block[ours] = count(own[key], 0, _MOST_NODES)
            if key == "maxnodes" and block[ours] == 0:
                lost[key] = "0 is no limit here; use up = false"
    for key, ours in (("defmempercpu", "def_mem_per_cpu"), ("maxmempernode", "max_mem_per_node")):
        pair = own.get(key, found.get(key))
        if pair is not None and not is_unlimited(pair):
            block[ours] = count(pair)
    if "priorityjobfactor" in own:
        block["priority"] = count(own["priorityjobfactor"], 0, 65_533)
    if "prioritytier" in own:
        block["priority_tier"] = count(own["prioritytier"], 0, 65_533)


def _billing(pair: Pair, lost: dict[str, str]) -> dict[str, float]:
    found: dict[str, float] = {}
    dropped: list[str] = []
    for name, (weight, suffix) in weights(pair).items():
        if not is_counted(name) or name == "billing":
            dropped.append(f"{name} is not counted")
        elif name == "mem":
            found[name] = weight * _PER_GIB[suffix]
        elif suffix:
            dropped.append(f"{name}={weight:g}{suffix}: no suffix")
        else:
            found[name] = weight
    if dropped:
        lost["tresbillingweights"] = "; ".join(dropped)
    return found


def _preemption(own: Own, block: dict[str, Value], lost: dict[str, str]) -> None:
    if "preemptmode" in own:
        mode, remark = preempt_mode(own["preemptmode"])
        block["preempt_mode"] = mode
        if remark:
            lost["preemptmode"] = remark
    if "gracetime" in own:
        pair = own["gracetime"]
        block["grace"] = _YEAR if is_unlimited(pair) else min(_grace(pair), _YEAR)


def _grace(pair: Pair) -> int:
    """Bare numbers are seconds, other than in limits."""
    return count(pair) if pair.value.isdecimal() else seconds(pair)


def _state(pair: Pair, block: dict[str, Value], lost: dict[str, str]) -> None:
    word = pair.value.upper()
    if word not in ("UP", "DOWN", "DRAIN", "INACTIVE"):
        raise bad(pair, "UP, DOWN, DRAIN or INACTIVE")
    if word != "UP":
        block["up"] = False
    if word in ("DRAIN", "INACTIVE"):
        lost["state"] = "up = false: jobs are accepted, and wait"

"""NodeName lines and gres.conf: what each node's agent is to declare.

An agent finds CPUs, memory, scratch space and GPUs by itself; what Slurm's file says of them is declared all
the same, because jobs are used to it. Features and weights nobody can find.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from packhorse.cli.importing.conf_file import Line, Pair
from packhorse.cli.importing.general import unknown
from packhorse.cli.importing.parts import DOWN, FRONTEND, GRES, NODE
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.report import Fate, Known
from packhorse.cli.importing.values import bad, count, hosts
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.units import UnitError, parse_count_range

ALIASES = {"feature": "features"}
"""Spellings that Slurm takes as well."""
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_COUNT = re.compile(r"([0-9]{1,15})([KMGTP]?)", re.IGNORECASE)
MAX_DEVICES = 4096
_SHAPE = ("boards", "sockets", "socketsperboard", "corespersocket", "threadspercore")

Own = dict[str, Pair]


class Device(NamedTuple):
    """`gpu:a100:4`."""

    kind: str
    type: str
    n: int


class Listed(NamedTuple):
    """gres.conf: what lines without NodeName say, of every node, and what others say, by node."""

    everybody: list[Device]
    by_node: dict[str, list[Device]]

    def of(self, node: str) -> list[Device]:
        return [*self.everybody, *self.by_node.get(node, ())]


def thing(
    plan: Plan, line: Line, defaults: Own, table: Mapping[str, Known], aliases: Mapping[str, str]
) -> Own:
    """The pairs of a line over the defaults, by key in lower case; keys that no table has are told."""
    known = {name.lower() for name in table}
    own = dict(defaults)
    within = f"{line.first.key}={line.first.value}"
    for pair in line.pairs:
        key = aliases.get(pair.key.lower(), pair.key.lower())
        if key not in known:
            plan.report.of(pair, Fate.UNKNOWN, unknown(pair.key, table), within)
            continue
        own[key] = pair
    return own


def told(plan: Plan, own: Own, table: Mapping[str, Known], lost: Mapping[str, str], within: str) -> None:
    """Each pair's row. lost: remarks by key, of what is lost."""
    for name, known in table.items():
        pair = own.get(name.lower())
        if pair is None:
            continue
        fate, remark = known.of(pair.value)
        if name.lower() in lost:
            fate, remark = Fate.IN_PART, lost[name.lower()]
        plan.report.of(pair, fate, remark, "" if within.startswith(f"{pair.key}=") else within)


def map_nodes(plan: Plan, lines: list[Line], gres_lines: list[Line]) -> None:
    """Fills plan.agents. Raises BadValue."""
    gres = _gres_conf(plan, gres_lines)
    defaults: Own = {}
    for line in lines:
        first = line.first
        if first.key.lower() == "downnodes":
            _down(plan, line)
        elif first.key.lower() == "frontendname":
            told(plan, thing(plan, line, {}, FRONTEND, {}), FRONTEND, {}, f"FrontendName={first.value}")
        elif first.key.lower() == "nodename" and first.value.upper() == "DEFAULT":
            defaults = thing(plan, line, defaults, NODE, ALIASES)
            defaults.pop("nodename", None)
        elif first.key.lower() == "nodename":
            _node(plan, thing(plan, line, defaults, NODE, ALIASES), first, gres)


def _node(plan: Plan, own: Own, first: Pair, gres: Listed) -> None:
    within = f"NodeName={first.value}"
    lost: dict[str, str] = {}
    names = hosts(first)
    state = own["state"].value.upper() if "state" in own else "UNKNOWN"
    if state in ("CLOUD", "FUTURE"):
        plan.report.of(
            own["state"], Fate.UNSUPPORTED, "these nodes join when their agents are started", within
        )
        own.pop("state")
    elif state not in ("UNKNOWN", "IDLE"):
        reason = own["reason"].value if "reason" in own else state.lower()
        plan.report.of(
            own.pop("state"),
            Fate.UNSUPPORTED,
            f"afterwards: scontrol update NodeName={first.value} State={state} Reason='{reason}'",
            within,
        )
    cpus = _cpus(own, lost)
    options: dict[str, str] = {} if cpus is None else {"cpus": str(cpus)}
    _memory(own, options)
    if "features" in own:
        features = [word for word in own["features"].value.split(",") if word and word != "(null)"]
        strange = [word for word in features if not _NAME.fullmatch(word)]
        if strange:
            raise bad(own["features"], f'a list of names ("{strange[0]}")')
        if features:
            options["features"] = ",".join(features)
    if "weight" in own:
        weight = count(own["weight"])
        options["weight"] = str(max(weight, 1))
        if weight == 0:
            lost["weight"] = "weights begin with 1"
    stated = _declared(own["gres"], lost) if "gres" in own else []
    for name in names:
        if name in plan.agents:
            raise BadValue(f"{first.place}: node {name} is there twice")
        devices = _typed(stated, gres.of(name), plan, first, name) if "gres" in own else []
        text = ",".join(f"{d.kind}:{d.type + ':' if d.type else ''}{d.n}" for d in devices)
        plan.agents[name] = {**options, **({"gres": text} if text else {})}
    told(plan, own, NODE, lost, within)


def _cpus(own: Own, lost: dict[str, str]) -> int | None:
    """As many as can be given out; None where the file does not say."""
    shape = {key: count(own[key], 1) for key in _SHAPE if key in own}
    given = own.get("cpus", own.get("procs"))
    boards = shape.get("boards", 1)
    sockets = shape.get("sockets", shape.get("socketsperboard", 1) * boards)
    threads = shape.get("threadspercore", 1)
    cores = sockets * shape.get("corespersocket", 1)
    if given is None and not shape:
        return None
    n = count(given, 1) if given is not None else cores * threads
    by_cores = n if n <= cores or threads == 1 else n // threads
    if "corespeccount" in own:
        n -= count(own["corespeccount"]) * max(1, n // by_cores)
    if "cpuspeclist" in own:
        n -= _n_listed(own["cpuspeclist"])
    if threads > 1 and n > cores:
        lost["threadspercore"] = (
            "a CPU is a thread: jobs may share cores; declare as many CPUs as cores if not"
        )
    if n < 1:
        raise BadValue(f"{own['nodename'].place}: no CPU is left for jobs")
    return n


def _n_listed(pair: Pair) -> int:
    """How many `0-1,8` are."""
    total = 0
    for word in pair.value.split(","):
        try:
            low, high = parse_count_range(word.strip())
        except UnitError:
            raise bad(pair, f'a list of CPUs like 0-1,8 ("{word}")') from None
        total += high - low + 1
    return total


def _memory(own: Own, options: dict[str, str]) -> None:
    if "realmemory" not in own:
        return
    mem = count(own["realmemory"], 1)
    if "memspeclimit" in own:
        mem -= count(own["memspeclimit"])
    if mem < 1:
        raise BadValue(f"{own['realmemory'].place}: no memory is left for jobs")
    options["mem"] = str(mem)


def _declared(pair: Pair, lost: dict[str, str]) -> list[Device]:
    """`gpu:tesla:2,gpu:1,bandwidth:lustre:no_consume:4g`: kinds, types and counts."""
    found: list[Device] = []
    remarks: list[str] = []
    for word in filter(None, (part.strip() for part in pair.value.split(","))):
        parts = word.partition("(")[0].split(":")
        no_consume = "no_consume" in parts
        parts = [part for part in parts if part != "no_consume"]
        amount = _amount(parts[-1]) if len(parts) > 1 else None
        n = 1 if amount is None else amount
        names = parts if amount is None else parts[:-1]
        if len(names) not in (1, 2) or not all(_NAME.fullmatch(name) for name in names):
            raise bad(pair, f'a list of KIND[:TYPE][:COUNT] ("{word}")')
        kind = names[0]
        if no_consume:
            remarks.append(f"{kind}: what is not used up cannot be declared; make it a feature")
        elif kind in ("mps", "shard"):
            remarks.append(f"{kind}: jobs ask for a share of a GPU, --gres=gpu:0.25")
        elif n > MAX_DEVICES:
            remarks.append(f"{kind}: {n} is more than {MAX_DEVICES} devices of a kind")
        elif n:
            found.append(Device(kind, names[1] if len(names) == 2 else "", n))
    if remarks:
        lost["gres"] = "; ".join(remarks)
    return found


def _typed(stated: list[Device], listed: list[Device], plan: Plan, first: Pair, name: str) -> list[Device]:
    """slurm.conf says how many; where it names no type and gres.conf does, that type."""
    found: list[Device] = []
    for device in stated:
        own = [one for one in listed if one.kind == device.kind]
        n = sum(one.n for one in own if device.type in ("", one.type) or not one.type)
        if own and n != device.n:
            plan.report.tell(
                Fate.IN_PART,
                f"NodeName={first.value} Gres={device.kind}",
                first.place,
                f"{device.n} in slurm.conf, {n} in gres.conf (first seen on {name}); slurm.conf counts",
            )
        elif own and not device.type:
            found += own
            continue
        found.append(device)
    return found


def _gres_conf(plan: Plan, lines: list[Line]) -> Listed:
    by_node: dict[str, list[Device]] = {}
    everybody: list[Device] = []
    for line in lines:
        own = thing(plan, line, {}, GRES, {"cpus": "cores"})
        within = f"{line.first.key}={line.first.value}"
        if "name" not in own:
            if set(own) - {"autodetect", "nodename"}:
                raise BadValue(f"{line.first.place}: a line without Name=")
            told(plan, own, GRES, {}, within)
            continue
        kind = own["name"].value
        if "file" in own and "count" not in own:
            n = len(hosts(own["file"]))
        elif "multiplefiles" in own and "count" not in own:
            n = len(hosts(own["multiplefiles"]))
        else:
            amount = _amount(own["count"].value) if "count" in own else 1
            if amount is None:
                raise bad(own["count"], "a count")
            n = amount
        device = Device(kind, own["type"].value if "type" in own else "", n)
        if "nodename" in own:
            for name in hosts(own["nodename"]):
                by_node.setdefault(name, []).append(device)
        else:
            everybody.append(device)
        told(plan, own, GRES, {}, within)
    return Listed(everybody, by_node)


def _amount(text: str) -> int | None:
    """`4`, `16K`; None for what is no count."""
    match = _COUNT.fullmatch(text)
    if not match:
        return None
    return int(match[1]) << 10 * ("KMGTP".index(match[2].upper()) + 1 if match[2] else 0)


def _down(plan: Plan, line: Line) -> None:
    own = thing(plan, line, {}, DOWN, {})
    names = line.first.value
    if names.upper() == "DEFAULT":
        return
    hosts(line.first)
    state = own["state"].value.upper() if "state" in own else "DOWN"
    reason = own["reason"].value if "reason" in own else "as in slurm.conf"
    plan.report.of(
        line.first,
        Fate.UNSUPPORTED,
        f"afterwards: scontrol update NodeName={names} State={state} Reason='{reason}'",
    )

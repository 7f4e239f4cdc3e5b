"""Trackable resources (TRES): what limits, budgets and shares are counted in, and how Slurm writes them.

A `Tres` says how much of each: pairs of a name and a whole number, in the order of `sort_key`, no name twice.

| name | unit here | as written |
|---|---|---|
| cpu | thousandths of a CPU | CPUs: `cpu=4`, `cpu=0.5` |
| mem | MiB | `mem=16G`, `mem=512M`; a bare number is MiB |
| node | nodes | `node=2` |
| billing | weighed resources | `billing=40` |
| gres/KIND, gres/KIND:TYPE | thousandths of a device | devices: `gres/gpu=8`, `gres/gpu:h200=0.25` |
| license/NAME | licences | `license/matlab=2` |

A device counts under its kind, and once more under its type. Budgets (GrpTRESMins …) are the same names times
minutes, `TresSeconds` times seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import WHOLE, Ask, Placement
from packhorse.scheduler.model.units import UnitError, parse_mem_mib

Tres = tuple[tuple[str, int], ...]
"""See the module."""

CPU: Final = "cpu"
MEM: Final = "mem"
NODE: Final = "node"
BILLING: Final = "billing"
_FIRST: Final = (CPU, MEM, NODE, BILLING)
_NAME: Final = re.compile(
    r"(?:gres/[a-z][a-z0-9_]*(?::[A-Za-z0-9][A-Za-z0-9._-]*)?|license/[A-Za-z0-9._@-]+)"
)
_AMOUNT: Final = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,3})?")
MILLI: Final = 1000
"""Of a CPU, of a device."""
MOST: Final = 1 << 60
"""No amount is larger."""


def sort_key(name: str) -> tuple[int, str]:
    """cpu, mem, node, billing, then the others by name: Slurm's order."""
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST), name)


def is_name(name: str) -> bool:
    """Whether something is counted under this name."""
    return name in _FIRST or _NAME.fullmatch(name) is not None


def is_milli(name: str) -> bool:
    """Whether it is counted in thousandths."""
    return name == CPU or name.startswith("gres/")


def make_tres(amounts: Iterable[tuple[str, int]]) -> Tres:
    """Sums by name, names with nothing left out."""
    total: dict[str, int] = {}
    for name, amount in amounts:
        total[name] = total.get(name, 0) + amount
    return tuple(sorted(((n, a) for n, a in total.items() if a), key=lambda pair: sort_key(pair[0])))


def parse_tres(text: str, what: str = "TRES", *, unset: int | None = None) -> Tres:
    """`cpu=4,mem=16G,gres/gpu:h200=2`. Raises BadValue that names `what`.

    unset: the value that a name gets for -1 (Slurm: take this limit away); None: -1 is not accepted.
    """
    found: dict[str, int] = {}
    for part in text.split(","):
        name, equals, amount = part.strip().partition("=")
        name = name.strip().lower() if name.strip().lower() in _FIRST else name.strip()
        if not equals or not is_name(name):
            raise BadValue(
                f'{what}: "{part.strip()}" is not NAME=AMOUNT with NAME one of cpu, mem, node, billing, '
                "gres/KIND[:TYPE] or license/NAME"
            )
        if name in found:
            raise BadValue(f"{what}: {name} is there twice")
        if amount.strip() == "-1" and unset is not None:
            found[name] = unset
            continue
        found[name] = _amount(name, amount.strip(), what)
    return tuple(sorted(found.items(), key=lambda pair: sort_key(pair[0])))


def _amount(name: str, text: str, what: str) -> int:
    if name == MEM:
        try:
            return parse_mem_mib(text)
        except UnitError as error:
            raise BadValue(f"{what}: {name}={text}: {error}") from error
    if not _AMOUNT.fullmatch(text):
        raise BadValue(f"{what}: {name}={text} is not an amount")
    whole, _, rest = text.partition(".")
    if rest and not is_milli(name):
        raise BadValue(f"{what}: {name}={text} is not a whole number")
    return int(whole) * MILLI + int((rest or "0").ljust(3, "0")) if is_milli(name) else int(whole)


def format_amount(name: str, amount: int) -> str:
    """One amount as Slurm writes it: `4`, `16G`, `0.5`."""
    if name == MEM:
        for unit, size in (("T", 1 << 20), ("G", 1 << 10)):
            if amount >= size and amount % size == 0:
                return f"{amount // size}{unit}"
        return f"{amount}M"
    if is_milli(name):
        return f"{amount / MILLI:g}" if amount % MILLI else str(amount // MILLI)
    return str(amount)


def format_tres(tres: Tres) -> str:
    """`cpu=4,mem=16G,gres/gpu=2`; "" for nothing."""
    return ",".join(f"{name}={format_amount(name, amount)}" for name, amount in tres)


def device_amounts(kind: str, type_: str, milli: int) -> tuple[tuple[str, int], ...]:
    """So many thousandths of devices, under their kind and once more under their type."""
    of_kind = (f"gres/{kind}", milli)
    return (of_kind, (f"gres/{kind}:{type_}", milli)) if type_ else (of_kind,)


def node_amounts(spec: NodeSpec) -> list[tuple[str, int]]:
    """CPUs, memory and devices that the node has."""
    amounts = [(CPU, spec.cpu_milli), (MEM, spec.mem_mib)]
    for device in spec.devices:
        amounts += device_amounts(device.kind, device.type, WHOLE)
    return amounts


def placed_tres(placements: Iterable[Placement], licenses: str = "") -> Tres:
    """What a job on these placements has. Without billing, which depends on the partition."""
    amounts: list[tuple[str, int]] = []
    for p in placements:
        amounts += [(CPU, p.cpu_milli), (MEM, p.mem_mib), (NODE, 1)]
        for d in p.devices:
            amounts += device_amounts(d.kind, d.type, d.milli * len(d.indices))
    amounts += [(f"license/{name}", n) for name, n in parse_licenses(licenses)]
    return make_tres(amounts)


def asked_tres(ask: Ask, licenses: str = "") -> Tres:
    """The least that a job with this ask gets, before it is known where; devices by memory count as whole."""
    nodes = max(ask.min_nodes, 1)
    cpu = max(ask.cpu_milli_per_task * ask.n_tasks, ask.min_cpu_milli_per_node * nodes)
    mem = ask.mem_mib_per_node * nodes or -(-ask.mem_mib_per_cpu * cpu // MILLI)
    amounts: list[tuple[str, int]] = [(CPU, cpu), (MEM, mem), (NODE, nodes)]
    for times, group in ((nodes, ask.gres_per_node), (ask.n_tasks, ask.gres_per_task), (1, ask.gres_per_job)):
        for g in group:
            amounts += device_amounts(g.kind, g.type, g.n * g.milli * times)
    amounts += [(f"license/{name}", n) for name, n in parse_licenses(licenses)]
    return make_tres(amounts)

"""Whether the members of a gang could ever run together on the nodes that are registered, all of them empty.

Of members that are there: those that wait and those that come. A gang is refused only where it is certain:

1. Amounts. For members that may use the same nodes, and for all: what they take at least, added up, is no
   more than what these nodes have; nor are their licences more than there are.
2. Parts. A member is at least one part on one node, or as many as it needs nodes. With d what one part of a
   member takes at least: all parts as large as d or larger find room on nodes that hold
   min over resources of floor(capacity / d) of them each.

Both are exact for equal jobs on one node each. What else is no fit (parts of different sizes that leave gaps)
is not found, and such a gang waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.accounts.billing import partition_named
from packhorse.scheduler.core.licenses import INVALID_LICENSE
from packhorse.scheduler.core.packing.board import CPU, FIXED, MEM, SLOTS, TMP
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.possible import NODE_CONFIGURATION
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import JobSpec, Owner
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.resources import Ask

if TYPE_CHECKING:
    from packhorse.scheduler.core.state import State

_NO_AMOUNT: Final = frozenset("#%@")
"""In the names of columns that say what a device can give, which cannot be added up."""


class _Wish(NamedTuple):
    """What a member asks for, as far as it matters here."""

    ask: Ask
    partition: str
    licenses: str


class _Kind(NamedTuple):
    """n equal members. nodes: which they may use, `[n_nodes]`. amounts, part: what one takes at least, in all
    and on one node, `[n_resources]`; parts: on how many nodes."""

    n: int
    nodes: np.ndarray
    amounts: np.ndarray
    part: np.ndarray
    parts: int


def check_room(
    state: State, owner: Owner, wanted: Iterable[tuple[JobSpec, int]], instead_of: JobId | None = None
) -> Refused | None:
    """Whether the gangs that these jobs join, so many of each, could run. instead_of: a member that waits and
    is to be like that from now on."""
    members: dict[str, Counter[_Wish]] = {}
    for spec, n in wanted:
        if spec.gang is not None:
            members.setdefault(spec.gang.name, Counter())[_wish(spec)] += n
    for name, counted in members.items():
        found = state.gangs.by_key.get((owner.uid, name))
        for id in found.members if found is not None else ():
            if id != instead_of:
                counted[_wish(state.jobs[id].spec)] += 1
        if counted.total() < 2:
            continue  # what is true of it alone has been looked at
        for why, slurm in ((_licences, INVALID_LICENSE), (_too_much, NODE_CONFIGURATION)):
            in_vain = why(state, counted)
            if in_vain:
                message = f'gang "{name}": {in_vain}; ask for less, or for fewer members'
                return Refused(RefusalCode.IMPOSSIBLE, message, slurm)
    return None


def _wish(spec: JobSpec) -> _Wish:
    return _Wish(spec.ask, spec.partition, spec.licenses)


def _licences(state: State, members: Counter[_Wish]) -> str:
    """Those of which there are too few in all, "" for none."""
    there, asked = dict(state.config.licenses), Counter[str]()
    for wish, n in members.items():
        for name, each in parse_licenses(wish.licenses) if wish.licenses else ():
            asked[name] += n * each
    return next(
        (
            f"{members.total()} members ask for {n} licences {name}, and there are {there.get(name, 0)}"
            for name, n in sorted(asked.items())
            if n > there.get(name, 0)
        ),
        "",
    )


def _too_much(state: State, members: Counter[_Wish]) -> str:
    """What they ask for in vain, "" if there may be room, and while no node is registered."""
    if not state.nodes:
        return ""
    field = Field(state.node_columns, empty=True)
    kinds = []
    for wish, n in members.items():
        partition = partition_named(state.config, wish.partition)
        kind = _kind(field, wish.ask, partition, n) if partition is not None else None
        if kind is not None:
            kinds.append(kind)
    return _amounts(field, kinds) or _parts(field, kinds)


def _kind(field: Field, ask: Ask, partition: Partition, n: int) -> _Kind | None:
    """None for what cannot be judged: a device that no node has any more."""
    shape, columns = Shape(ask), field.column_of
    request = Request(ask, shape, partition, (), field.board, columns)
    nodes = np.logical_or.reduce([request.alone, *request.together] if shape.multi else [request.alone])
    part = shape.needs(shape.tasks if not shape.multi else 1, not shape.multi, columns)
    whole = shape.needs(shape.tasks, True, columns)
    if part is None or whole is None:
        return None
    amounts = np.array(whole, dtype=np.int64)
    if shape.lo > 1:
        amounts[CPU] = max(shape.cpu_task * shape.tasks, shape.cpu_min * shape.lo)
        amounts[MEM] = shape.mem_node * shape.lo or -(-shape.mem_cpu * int(amounts[CPU]) // 1000)
        amounts[[TMP, SLOTS]] *= shape.lo
        for name, n_devices in shape.gres_node:
            amounts[columns[name]] += n_devices * (shape.lo - 1)
    least = np.array(part, dtype=np.int64)
    for column, name in enumerate(field.board.resources):
        if column >= FIXED and set(name) & _NO_AMOUNT:
            amounts[column] = least[column] = 0
    return _Kind(n, nodes, amounts, least, shape.lo)


def _amounts(field: Field, kinds: list[_Kind]) -> str:
    """Of those that may use the same nodes, and of all."""
    masks = {kind.nodes.tobytes(): kind.nodes for kind in kinds}
    for nodes in (*masks.values(), np.logical_or.reduce(list(masks.values()))):
        here = [kind for kind in kinds if not (kind.nodes & ~nodes).any()]
        asked = np.sum([kind.amounts * kind.n for kind in here], axis=0)
        there = field.free[:, nodes].sum(axis=1)
        for column in np.flatnonzero(asked > there).tolist():
            n = sum(kind.n for kind in here)
            what = _described(field, column, int(asked[column]), int(there[column]))
            return f"{n} members ask for {what}"
    return ""


def _parts(field: Field, kinds: list[_Kind]) -> str:
    """Of those that are as large as one of them, or larger, on its nodes."""
    for kind in kinds:
        taken = np.flatnonzero(kind.part)
        room = (field.free[taken][:, kind.nodes] // kind.part[taken, None]).min(axis=0)
        larger = [
            one for one in kinds if (one.part >= kind.part).all() and not (one.nodes & ~kind.nodes).any()
        ]
        asked, there = sum(one.n * one.parts for one in larger), int(room.sum())
        if asked > there:
            n = sum(one.n for one in larger)
            return (
                f"{n} members are {asked} parts on one node each of {kind.part[CPU] / 1000:g} CPUs or more, "
                f"and the nodes that they may use have room for {there} of these"
            )
    return ""


def _described(field: Field, column: int, asked: int, there: int) -> str:
    """`9 CPUs, the nodes that they may use have 8`."""
    if column == SLOTS:
        return "whole nodes, of which there are too few"
    name = {CPU: "CPUs", MEM: "MiB of memory", TMP: "MiB of scratch space"}.get(
        column, field.board.resources[column]
    )
    scale = 1000 if column == CPU else 1
    return f"{asked / scale:g} {name}, the nodes that they may use have {there / scale:g}"

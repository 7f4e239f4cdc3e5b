"""Whether an ask can ever be satisfied by the nodes that are registered, and if not, what to change.

What runs, what is offered and what is drained does not matter here: those change. Slurm's phrases are those
of 22.05 with EnforcePartLimits=ALL.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing import features as feature_expressions
from packhorse.scheduler.core.packing import slotfit
from packhorse.scheduler.core.packing.board import CPU, MEM, TMP
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.fit import fitting, gang_shares
from packhorse.scheduler.core.packing.layout import NO_BOUND, Shape, counted, feature_parts
from packhorse.scheduler.core.packing.masks import near, partition_mask
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.packing.slots import ALIGNED, LOCATED, Share
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.reply import RefusalCode, Refused
from packhorse.scheduler.model.resources import DIVISIBLE, WHOLE, Ask, is_slice

NODE_CONFIGURATION: Final = "Requested node configuration is not available"
NODE_NAME: Final = "Invalid node name specified"
NODE_COUNT: Final = "Node count specification invalid"
FEATURE: Final = "Invalid feature specification"
GRES: Final = "Invalid generic resource (gres) specification"
CPUS: Final = "More processors requested than permitted"

_MAX_REMEMBERED: Final = 4096


def possible(ask: Ask, partition: Partition, nodes: NodeColumns) -> Refused | None:
    """None if the nodes of the partition could hold the job when empty; else what is asked in vain."""
    board = nodes.board()
    key = (ask, partition.nodes, partition.max_nodes)
    if key in board.possible:
        return None
    contradiction = _contradiction(ask)
    if contradiction is not None:
        return contradiction
    shape = Shape(ask)
    field = Field(nodes, empty=True)
    request = Request(ask, shape, partition, (), board, nodes.column_of)
    fits = request.whole is not None and bool(fitting(field, request, request.whole, field.free, False).any())
    if not fits and shape.multi:
        fits = gang_shares(field, request, field.free, field.score, False) is not None
    if fits and not shape.lo > request.most:
        if len(board.possible) >= _MAX_REMEMBERED:
            board.possible.clear()
        board.possible.add(key)
        return None
    return (
        _names(ask, partition, field)
        or _features(ask, partition, request, field)
        or _node_count(shape, partition, request)
        or _devices(ask, shape, partition, request, field)
        or _share(shape, partition, request, field)
        or _near(shape, partition, request, field)
        or _one_node(ask, shape, partition, request, field)
        or _together(shape, partition, request, field)
    )


def _impossible(message: str, slurm: str) -> Refused:
    return Refused(RefusalCode.IMPOSSIBLE, message, slurm)


def _contradiction(ask: Ask) -> Refused | None:
    """Wishes for devices and features that cannot be meant."""
    every = [g for g in (*ask.gres_per_node, *ask.gres_per_task, *ask.gres_per_job) if g.n]
    shares = [g for g in every if g.shares]
    for g in shares:
        if g.kind not in DIVISIBLE or is_slice(g.type):
            return _invalid(f"{g}: of {g.kind} only whole devices are given; ask for a whole number", GRES)
        if g.n != 1 or not 0 < g.milli <= WHOLE:
            return _invalid(f"{g}: a share is of one device and below 1; ask for one share", GRES)
    divisible = [g for g in every if g.kind in DIVISIBLE]
    sliced = {g.type for g in divisible if is_slice(g.type)}
    if (shares and len(divisible) > 1) or len(sliced) > 1 or (sliced and len(divisible) > len(sliced)):
        listed = ", ".join(str(g) for g in divisible)
        return _invalid(
            f"{listed}: whole devices, a share and slices cannot be asked for together; choose one of them",
            GRES,
        )
    blocks = [g for g in every if g.kind in ALIGNED or (ask.linked and g.kind in LOCATED)]
    for kind in dict.fromkeys(g.kind for g in blocks):
        if len({g.type for g in blocks if g.kind == kind and not is_slice(g.type)}) > 1:
            listed = ", ".join(str(g) for g in blocks if g.kind == kind)
            return _invalid(
                f"{listed}: devices that belong together (one block, one link group) are of one type; "
                f"ask for {kind} once",
                GRES,
            )
    if "*" in ask.features and "[" not in ask.features.strip()[1:]:
        parts = feature_parts(ask.features)
        if len(counted(ask.features)) != len(parts) or any(n < 1 for _, n in counted(ask.features)):
            return _invalid(
                f'features "{ask.features}": with counts, every part is FEATURE*COUNT, as in "a*2&b*4"',
                FEATURE,
            )
    return None


def _invalid(message: str, slurm: str) -> Refused:
    return Refused(RefusalCode.INVALID, message, slurm)


def _share(shape: Shape, partition: Partition, request: Request, field: Field) -> Refused | None:
    """A share that no device can give, or devices that are never free in the way that is asked for."""
    allowed = np.logical_or.reduce(request.together)
    if shape.share is None:
        return None
    share, board = shape.share, field.board
    if not board.n_slots or not board.may_use(share.kind, share.type)[:, allowed].any():
        name = f"{share.kind}:{share.type}" if share.type else share.kind
        return _impossible(f'{name}: no node of partition "{partition.name}" that qualifies has one', GRES)
    n = slotfit.shares(board, share, field.free[board.slot_columns])
    if int(n[allowed].max(initial=0)) == 0:
        give = (board.may_use(share.kind, share.type) & board.shareable)[:, allowed]
        return _impossible(
            f'{_no_share(share, give, board.slot_mem[:, allowed])} (partition "{partition.name}")',
            NODE_CONFIGURATION,
        )
    return None


def _no_share(share: Share, give: np.ndarray, mem: np.ndarray) -> str:
    """Why no device gives the share. give: which of the type give any; mem: MiB that they have; by slot and
    node."""
    name = f"{share.kind}:{share.type}" if share.type else share.kind
    asked = f"{share.mem_mib} MiB of one {name}'s memory" if share.mem_mib else f"a share of one {name}"
    if not give.any():
        return (
            f"{asked} asked, and those there are cut into slices and give no shares; "
            f"ask for a slice (scontrol show node lists them) or a whole {share.kind}"
        )
    most = int(mem[give].max())
    if not most:
        return (
            f"{asked} asked, and no node says how much its devices have; "
            "ask for a share such as 0.5, or declare it (--gpu-mem)"
        )
    return f"{asked} asked, the largest that gives shares has {most}; ask for less"


def _near(shape: Shape, partition: Partition, request: Request, field: Field) -> Refused | None:
    """Nodes that would have to be closer to each other than they stand."""
    if (shape.hops < 0 and not shape.max_switches) or shape.lo < 2:
        return None
    groups = near(field.board, max(shape.hops, 0))[np.logical_or.reduce(request.together)]
    sizes = np.sort(np.bincount(groups[groups >= 0], minlength=1))[::-1]
    if shape.hops < 0:
        most = int(sizes[: shape.max_switches].sum())
        if shape.lo <= most:
            return None
        return _impossible(
            f"{shape.lo} nodes below at most {shape.max_switches} switches asked, "
            f'partition "{partition.name}" has {most} there; ask for fewer nodes or more switches',
            NODE_CONFIGURATION,
        )
    most = int(sizes.max(initial=0))
    if shape.lo > most:
        return _impossible(
            f"{shape.lo} nodes within {shape.hops} hops of each other asked, "
            f'partition "{partition.name}" has {most} together; ask for fewer nodes or more hops',
            NODE_CONFIGURATION,
        )
    return None


def _names(ask: Ask, partition: Partition, field: Field) -> Refused | None:
    board = field.board
    members = partition_mask(board, partition)
    for name in ask.nodes_required:
        if name not in board.position:
            return Refused(
                RefusalCode.INVALID,
                f'node "{name}" is not registered; `sinfo -N` lists the nodes that are',
                NODE_NAME,
            )
        if not members[board.position[name]]:
            return _impossible(
                f'node "{name}" is not in partition "{partition.name}"; name its nodes or another partition',
                NODE_CONFIGURATION,
            )
        if name in ask.nodes_excluded:
            return Refused(
                RefusalCode.INVALID, f'node "{name}" is both required and excluded', NODE_CONFIGURATION
            )
    if not members.any():
        return _impossible(
            f'partition "{partition.name}" has no registered node; choose another partition, '
            "or start an agent on one of its nodes",
            NODE_CONFIGURATION,
        )
    return None


def _features(ask: Ask, partition: Partition, request: Request, field: Field) -> Refused | None:
    if not ask.features:
        return None
    try:
        texts = [text for text, _ in counted(ask.features)] or [ask.features]
        words = [word for text in texts for word in feature_expressions.words(text)]
    except BadValue as wrong:
        return Refused(RefusalCode.INVALID, str(wrong), FEATURE)
    members = np.flatnonzero(partition_mask(field.board, partition)).tolist()
    known = sorted(set().union(*(field.board.features[p] for p in members)))
    listed = ", ".join(known) if known else "none"
    for word in words:
        if word not in known:
            return _impossible(
                f'feature "{word}": no node of partition "{partition.name}" has it; known there: {listed}',
                FEATURE,
            )
    for mask, n in request.counts:
        if int(mask.sum()) < n:
            return _impossible(
                f'features "{ask.features}": {n} nodes asked of one, {int(mask.sum())} have it; '
                "ask for fewer",
                FEATURE,
            )
    if not np.logical_or.reduce(request.together).any():
        return _impossible(
            f'features "{ask.features}": no node of partition "{partition.name}" has that combination; '
            f"known there: {listed}; ask for others or exclude fewer nodes",
            FEATURE if not ask.nodes_excluded else NODE_CONFIGURATION,
        )
    return None


def _node_count(shape: Shape, partition: Partition, request: Request) -> Refused | None:
    allowed = max(int(mask.sum()) for mask in request.together)
    if shape.lo > shape.hi:
        why = f"at least {shape.lo} and at most {shape.hi}"
        if shape.per_node != NO_BOUND:
            why += f" ({shape.tasks} tasks, at most {shape.per_node} on each)"
        return Refused(
            RefusalCode.INVALID, f"number of nodes: {why} contradict each other; change one", NODE_COUNT
        )
    if shape.lo > request.most:
        return _impossible(
            f'partition "{partition.name}": {shape.lo} nodes asked, limit {partition.max_nodes} (MaxNodes); '
            "ask for fewer nodes",
            NODE_COUNT,
        )
    if shape.lo > allowed:
        return _impossible(
            f'{shape.lo} nodes asked, partition "{partition.name}" has {allowed} that qualify; '
            "ask for fewer nodes or allow others",
            NODE_COUNT,
        )
    return None


def _devices(ask: Ask, shape: Shape, partition: Partition, request: Request, field: Field) -> Refused | None:
    """Kinds and types that nobody has, and more on one node than any has."""
    allowed = np.logical_or.reduce(request.together)
    whole = shape.single and not shape.multi
    for name, n in shape.devices(1 if not whole else shape.tasks, whole).items():
        most, total = _most(field, name, allowed)
        if most == 0:
            names = [r for r in field.board.resources[4:] if not set(r) & set("#%@")]
            kinds = ", ".join(names) or "none"
            registered = name in field.column_of
            return _impossible(
                f'{name}: no node of partition "{partition.name}" that qualifies has one; '
                f"kinds in the cluster: {kinds}",
                NODE_CONFIGURATION if registered else GRES,
            )
        if n > most:
            return _impossible(
                f'{name}: {n} asked on one node, the most on any in partition "{partition.name}" is {most}'
                f"{_lacking(field, field.column_of[name], n, allowed)}; "
                "ask for fewer per node, or for more nodes",
                NODE_CONFIGURATION,
            )
    for name, n in shape.job_devices:
        most, total = _most(field, name, allowed)
        if total < n:
            return _impossible(
                f'{name}: {n} asked, the nodes of partition "{partition.name}" that qualify have {total}; '
                "ask for fewer",
                NODE_CONFIGURATION if name in field.column_of else GRES,
            )
    return None


def _lacking(field: Field, column: int, amount: int, allowed: np.ndarray) -> str:
    """The node that comes closest, and what it lacks."""
    positions = np.flatnonzero(allowed)
    if not positions.size:
        return ""
    closest = int(positions[np.argmax(field.free[column, positions])])
    lack = amount - int(field.free[column, closest])
    return f" ({field.board.names[closest]} lacks {_cpus(lack) if column == CPU else lack})"


def _most(field: Field, name: str, allowed: np.ndarray) -> tuple[int, int]:
    """The most that a node has of the device, and what all have."""
    column = field.column_of.get(name)
    if column is None:
        return 0, 0
    amounts = field.free[column, allowed]
    return int(amounts.max(initial=0)), int(amounts.sum())


def _one_node(ask: Ask, shape: Shape, partition: Partition, request: Request, field: Field) -> Refused | None:
    """CPUs, memory and scratch space that a single node would have to give."""
    allowed = np.logical_or.reduce(request.together)
    tasks = 1 if shape.multi else -(-shape.tasks // shape.hi)
    where = f'on one node, the most on any in partition "{partition.name}" is'
    cpu, most = shape.cpus(tasks), int(field.free[CPU, allowed].max(initial=0))
    if cpu > most:
        out = "ask for fewer CPUs per task or node"
        if tasks > 1:
            out += ", or let the tasks spread over more nodes (-N)"
        lacking = _lacking(field, CPU, cpu, allowed)
        return _impossible(f"{_cpus(cpu)} CPUs asked {where} {_cpus(most)}{lacking}; {out}", CPUS)
    mem, most = (
        shape.mem(cpu),
        int(field.free[MEM, allowed].max(initial=0)),
    )
    if mem > most:
        how = f" ({shape.mem_cpu} MiB for each of {_cpus(cpu)} CPUs)" if shape.mem_cpu else ""
        lacking = _lacking(field, MEM, mem, allowed)
        return _impossible(
            f"{mem} MiB of memory asked{how} {where} {most}{lacking}; ask for less", NODE_CONFIGURATION
        )
    most = int(field.free[TMP, allowed].max(initial=0))
    if shape.tmp > most:
        return _impossible(
            f"{shape.tmp} MiB of scratch space asked {where} {most}"
            f"{_lacking(field, TMP, shape.tmp, allowed)}; ask for less",
            NODE_CONFIGURATION,
        )
    return None


def _together(shape: Shape, partition: Partition, request: Request, field: Field) -> Refused:
    """Everything is there, but not enough in one place or in all places together."""
    caps = shape.caps(field.free, field.offered, field.column_of, field.board)
    sizes = [np.sort(caps[mask])[::-1] for mask in request.together]
    total = max(int(size[: request.most].sum()) for size in sizes)
    usable = max(int((size > 0).sum()) for size in sizes)
    if usable == 0:
        return _impossible(
            f'no node of partition "{partition.name}" has all that one task needs at once '
            f"({_n_cpus(shape.cpus(1))}, memory, devices); ask for less of one of them",
            NODE_CONFIGURATION,
        )
    if usable < shape.lo:
        return _impossible(
            f'{shape.lo} nodes asked, {usable} of partition "{partition.name}" can hold a task; '
            "ask for fewer nodes or for less on each",
            NODE_CONFIGURATION,
        )
    if total < shape.tasks:
        where = f" on {request.most} node{'s' if request.most > 1 else ''}" if request.most < usable else ""
        return _impossible(
            f'{shape.tasks} tasks of {_n_cpus(shape.cpus(1))} asked{where}, partition "{partition.name}" '
            f"holds {total} of them; ask for fewer tasks, smaller ones, or more nodes",
            CPUS if shape.cpu_task * shape.tasks > int(field.free[CPU].sum()) else NODE_CONFIGURATION,
        )
    return _impossible(
        f'no set of nodes in partition "{partition.name}" gives all of this at once; '
        "ask for less, or drop what ties it to particular nodes",
        NODE_CONFIGURATION,
    )


def _cpus(milli: int) -> str:
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli / 1000:g}"


def _n_cpus(milli: int) -> str:
    return f"{_cpus(milli)} CPU{'' if milli == 1000 else 's'}"

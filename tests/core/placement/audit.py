"""Whether placements are right, worked out from nodes and asks alone: no column and no packer is believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.node import Node
from packhorse.scheduler.model.resources import Ask, Device, Devices, Gres, Placement, is_slice

Held = Mapping[JobId, tuple[Ask, tuple[Placement, ...]]]


def audit(nodes: Mapping[NodeName, Node], held: Held) -> None:
    """Fails if a node gives more than it has, a device is used wrongly, or a job got what it did not ask."""
    by_node: dict[NodeName, list[tuple[JobId, Ask, Placement]]] = {}
    for id, (ask, placements) in held.items():
        satisfied(nodes, id, ask, placements)
        for p in placements:
            by_node.setdefault(p.node, []).append((id, ask, p))
    for name, parts in by_node.items():
        within(nodes[name], parts)


def within(node: Node, parts: list[tuple[JobId, Ask, Placement]]) -> None:
    """All of one node."""
    spec = node.spec
    assert sum(p.cpu_milli for *_, p in parts) <= min(spec.cpu_milli, node.offer.cpu_milli), node.name
    assert sum(p.mem_mib for *_, p in parts) <= spec.mem_mib, node.name
    assert sum(p.tmp_mib for *_, p in parts) <= spec.tmp_mib, node.name
    assert len(parts) == 1 or not any(ask.exclusive for _, ask, _ in parts), f"{node.name} is shared"
    there = {(d.kind, d.index): d for d in spec.devices}
    used: dict[tuple[str, int], int] = {}
    cut: dict[tuple[str, int], int] = {}
    slices: set[tuple[str, int, int]] = set()
    for id, _, p in parts:
        for d in p.devices:
            for index in d.indices:
                key = (d.kind, index)
                device = there[key]
                assert key not in node.offer.dead_devices, f"{id}: {key} of {node.name} is dead"
                assert device.type == d.type, f"{id}: {key} of {node.name} is a {device.type}"
                used[key] = used.get(key, 0) + d.milli
                assert used[key] <= 1000, f"{id}: {key} of {node.name} gives {used[key]}"
                if d.part:
                    layout, place = d.place
                    assert device.layouts[layout][place] == d.part
                    assert cut.setdefault(key, layout) == layout, f"{key} of {node.name} is cut in two ways"
                    assert (*key, place) not in slices, f"{key} of {node.name}: slice {place} is given twice"
                    slices.add((*key, place))
                elif d.milli < 1000:
                    assert not device.layouts, f"{id}: a share of {key} of {node.name}, which is cut"
    assert not any(
        key in cut for _, _, p in parts for d in p.devices if not d.part for key in _keys(d.kind, d.indices)
    )


def satisfied(nodes: Mapping[NodeName, Node], id: JobId, ask: Ask, placements: tuple[Placement, ...]) -> None:
    """The job has what it asked for."""
    lo = max(ask.min_nodes, sum(int(part.partition("*")[2] or 0) for part in ask.features.split("&")), 1)
    assert len({p.node for p in placements}) == len(placements) >= lo
    assert not ask.max_nodes or len(placements) <= ask.max_nodes
    assert sum(p.n_tasks for p in placements) == max(ask.n_tasks, lo)
    every = (*ask.gres_per_node, *ask.gres_per_task, *ask.gres_per_job)
    for p in placements:
        node = nodes[p.node]
        assert p.n_tasks >= 1 and node.schedulable
        assert p.node not in ask.nodes_excluded
        assert p.cpu_milli >= max(ask.cpu_milli_per_task * p.n_tasks, ask.min_cpu_milli_per_node)
        assert p.mem_mib >= ask.mem_mib_per_node and p.tmp_mib == ask.tmp_mib_per_node
        if not ask.gres_per_job:
            wanted = [*ask.gres_per_node, *(g._replace(n=g.n * p.n_tasks) for g in ask.gres_per_task)]
            devices_right(id, node, p, wanted)
        if ask.linked and not any(g.shares for g in every):
            groups = {
                _of(node, d.kind, i).link
                for d in p.devices
                if d.kind == "gpu" and not d.part
                for i in d.indices
            }
            counts = sum(
                len(d.indices) for d in p.devices if d.kind == "gpu" and d.milli == 1000 and not d.part
            )
            assert not counts or (len(groups) == 1 and -1 not in groups), f"{id}: links {groups} on {p.node}"
        chips = sorted(i for d in p.devices if d.kind == "tpu" for i in d.indices)
        if chips and not ask.gres_per_job:
            size = 1 << (len(chips) - 1).bit_length()
            assert len({i // size for i in chips}) == 1, f"{id}: chips {chips} of {p.node} are no block"
    if ask.gres_per_job:
        given = [d for p in placements for d in p.devices]
        counts_right(id, given, ask.gres_per_job)
    if ask.hops >= 0 and len(placements) > 1:
        paths = [nodes[p.node].spec.topology for p in placements]
        assert all(paths), f"{id} is on nodes of unknown place"
        assert len({path[: max(len(path) - ask.hops, 1)] for path in paths}) == 1, f"{id}: {paths}"
    if "*" in ask.features:
        for part in ask.features.split("&"):
            word, _, n = part.partition("*")
            assert sum(word in nodes[p.node].spec.features for p in placements) >= int(n)
    elif ask.features in ("a", "a|b"):
        words = set(ask.features.split("|"))
        assert all(words & set(nodes[p.node].spec.features) for p in placements)
    if ask.contiguous:
        numbers = sorted(int(p.node[1:]) for p in placements)
        assert numbers[-1] - numbers[0] == len(numbers) - 1


def devices_right(id: JobId, node: Node, p: Placement, wanted: list[Gres]) -> None:
    shares = [g for g in wanted if g.shares]
    if not shares:
        counts_right(id, list(p.devices), wanted)
        return
    (share,) = shares
    got = [d for d in p.devices if d.kind == "gpu"]
    total = 0
    for d in got:
        assert not d.part
        device = _of(node, "gpu", d.indices[0])
        assert not share.type or device.type == share.type
        each = -(-1000 * share.mem_mib // device.mem_mib) if share.mem_mib else share.milli
        assert d.milli % each == 0, f"{id}: {d.milli} of {each}"
        total += len(d.indices) * (d.milli // each)
    assert total == share.n, f"{id}: {total} shares of {share.n}"
    counts_right(id, [d for d in p.devices if d.kind != "gpu"], [g for g in wanted if not g.shares])


def counts_right(id: JobId, got: Sequence[Devices], wanted: Sequence[Gres]) -> None:
    """Whole devices and slices by kind and type."""
    by: dict[str, int] = {}
    for d in got:
        kind, type_, indices, part = d.kind, d.type, d.indices, d.part
        if part:
            by[f"{kind}/{part}"] = by.get(f"{kind}/{part}", 0) + 1
            continue
        by[kind] = by.get(kind, 0) + len(indices)
        by[f"{kind}:{type_}"] = by.get(f"{kind}:{type_}", 0) + len(indices)
    total: dict[str, int] = {}
    for g in wanted:
        if is_slice(g.type):
            total[f"{g.kind}/{g.type}"] = total.get(f"{g.kind}/{g.type}", 0) + g.n
            continue
        total[g.kind] = total.get(g.kind, 0) + g.n
        if g.type:
            assert by.get(f"{g.kind}:{g.type}", 0) >= g.n, f"{id}: {by}, wanted {wanted}"
    for kind in total.keys() | {k for k in by if ":" not in k}:
        assert by.get(kind, 0) == total.get(kind, 0), f"{id}: {by}, wanted {wanted}"


def _keys(kind: str, indices: tuple[int, ...]) -> list[tuple[str, int]]:
    return [(kind, i) for i in indices]


def _of(node: Node, kind: str, index: int) -> Device:
    return next(d for d in node.spec.devices if (d.kind, d.index) == (kind, index))

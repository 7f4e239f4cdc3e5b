"""Columns agree with nodes and allocations after any sequence of changes, and refuse what cannot be."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.node import Admin, Node, Offer
from packhorse.scheduler.model.resources import Devices, Placement
from tests.core.placement.yard import a_node

NAMES = [f"n{i}" for i in range(1, 13)]
GPUS = ["", "gpu:2", "gpu:h200:2", "gpu:h200:1,gpu:a100:2", "gpu:1,gpu:a100:1,fpga:1"]


def place(node: str, cpus: int = 1, mem: int = 0, gpus: tuple[Devices, ...] = (), tmp: int = 0) -> Placement:
    return Placement(NodeName(node), cpus * 1000, mem, devices=gpus, tmp_mib=tmp)


class ColumnsMachine(RuleBasedStateMachine):
    """Nodes come, change, shrink and go; jobs are allocated and released."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = NodeColumns()
        self.nodes: dict[str, Node] = {}
        self.jobs: dict[int, tuple[Placement, ...]] = {}
        self.next_id = 1

    @rule(
        name=st.sampled_from(NAMES),
        cpus=st.integers(1, 8),
        mem=st.integers(100, 1000),
        gpus=st.sampled_from(GPUS),
    )
    def put(self, name: str, cpus: int, mem: int, gpus: str) -> None:
        self.nodes[name] = a_node(name, cpus, mem, gpus)
        self.columns.put(self.nodes[name])

    @precondition(lambda self: self.nodes)
    @rule(
        data=st.data(),
        cpus=st.integers(0, 10),
        mem=st.integers(0, 1200),
        accepting=st.booleans(),
        dead=st.lists(st.tuples(st.sampled_from(["gpu", "fpga"]), st.integers(0, 3))),
    )
    def offer(
        self, data: st.DataObject, cpus: int, mem: int, accepting: bool, dead: list[tuple[str, int]]
    ) -> None:
        name = data.draw(st.sampled_from(sorted(self.nodes)))
        offer = Offer(2, cpus * 1000, mem, accepting, dead_devices=tuple(dead))
        self.nodes[name] = msgspec.structs.replace(self.nodes[name], offer=offer)
        self.columns.put(self.nodes[name])

    @precondition(lambda self: self.nodes)
    @rule(data=st.data(), admin=st.sampled_from(list(Admin)))
    def drain(self, data: st.DataObject, admin: Admin) -> None:
        name = data.draw(st.sampled_from(sorted(self.nodes)))
        self.nodes[name] = msgspec.structs.replace(self.nodes[name], admin=admin)
        self.columns.put(self.nodes[name])

    @precondition(lambda self: self.nodes)
    @rule(
        data=st.data(),
        cpus=st.integers(1, 4),
        mem=st.integers(0, 600),
        n_gpus=st.integers(0, 2),
        exclusive=st.booleans(),
    )
    def allocate(self, data: st.DataObject, cpus: int, mem: int, n_gpus: int, exclusive: bool) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(self.nodes)), min_size=1, max_size=3, unique=True))
        parts = []
        for name in names:
            there = [d for d in self.nodes[name].spec.devices if d.kind == "gpu"]
            chosen = there[:n_gpus]
            groups: dict[str, list[int]] = {}
            for device in chosen:
                groups.setdefault(device.type, []).append(device.index)
            gpus = tuple(Devices("gpu", type_, tuple(i)) for type_, i in sorted(groups.items()))
            parts.append(place(name, cpus, mem, gpus))
        job, self.next_id = self.next_id, self.next_id + 1
        fits = self._fits(parts, exclusive)
        if fits:
            self.columns.allocate(JobId(job), tuple(parts), exclusive=exclusive)
            self.jobs[job] = tuple(parts)
        else:
            with pytest.raises(InvariantBroken):
                self.columns.allocate(JobId(job), tuple(parts), exclusive=exclusive)

    def _fits(self, parts: list[Placement], exclusive: bool) -> bool:
        for part in parts:
            spec = self.nodes[part.node].spec
            here = [(j, p) for j, ps in self.jobs.items() for p in ps if p.node == part.node]
            if here and (exclusive or any(self.columns.is_exclusive(JobId(j)) for j, _ in here)):
                return False
            if sum(p.cpu_milli for _, p in here) + part.cpu_milli > spec.cpu_milli:
                return False
            if sum(p.mem_mib for _, p in here) + part.mem_mib > spec.mem_mib:
                return False
            taken = {(d.kind, i) for _, p in here for d in p.devices for i in d.indices}
            if any((d.kind, i) in taken for d in part.devices for i in d.indices):
                return False
        return True

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        self.columns.release(JobId(job))
        del self.jobs[job]

    @precondition(lambda self: self.nodes)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.nodes)))
        if any(p.node == name for ps in self.jobs.values() for p in ps):
            with pytest.raises(InvariantBroken):
                self.columns.remove(NodeName(name))
        else:
            self.columns.remove(NodeName(name))
            del self.nodes[name]

    @invariant()
    def consistent(self) -> None:
        self.columns.check()
        board = self.columns.board()
        assert list(board.names) == sorted(self.nodes, key=lambda name: int(name[1:]))
        for name, node in self.nodes.items():
            free = self.columns.amounts_free(NodeName(name))
            here = [p for ps in self.jobs.values() for p in ps if p.node == name]
            offered = min(node.spec.cpu_milli, node.offer.cpu_milli)
            assert free["cpu_milli"] == offered - sum(p.cpu_milli for p in here)
            taken = {i for p in here for d in p.devices if d.kind == "gpu" for i in d.indices}
            dead = {i for kind, i in node.offer.dead_devices if kind == "gpu"}
            gpus = {d.index for d in node.spec.devices if d.kind == "gpu"}
            assert free.get("gpu", 0) == len(gpus - taken - dead)
            position = board.position[NodeName(name)]
            row = self.columns.row_of[NodeName(name)]
            assert board.order[position] == row and board.position_of_row[row] == position


TestColumns = ColumnsMachine.TestCase
TestColumns.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_an_allocation_is_refused_whole() -> None:
    columns = NodeColumns()
    columns.put(a_node("n1", cpus=4))
    columns.put(a_node("n2", cpus=1))
    with pytest.raises(InvariantBroken, match="2000 cpu_milli on n2"):
        columns.allocate(JobId(1), (place("n1", 2), place("n2", 2)))
    columns.check()
    assert columns.amounts_free(NodeName("n1"))["cpu_milli"] == 4000
    for wrong in ((place("n9"),), (place("n1"), place("n1")), (), (place("n1", -1),)):
        with pytest.raises(InvariantBroken):
            columns.allocate(JobId(1), wrong)
    with pytest.raises(InvariantBroken, match="holds no allocation"):
        columns.release(JobId(1))
    columns.allocate(JobId(1), (place("n1"),))
    with pytest.raises(InvariantBroken, match="already holds"):
        columns.allocate(JobId(1), (place("n1"),))


def test_restored_use_beyond_a_shrunken_node_is_kept_and_counted() -> None:
    columns = NodeColumns()
    columns.put(a_node("n1", cpus=2, gpus="gpu:1"))
    gone = Devices("gpu", "h200", (0, 5))
    columns.allocate(JobId(1), (place("n1", 6, gpus=(gone,)),), beyond_capacity=True)
    columns.check()
    assert columns.amounts_free(NodeName("n1"))["cpu_milli"] == -4000
    assert columns.amounts_free(NodeName("n1"))["gpu"] == 0
    columns.put(a_node("n2", gpus="gpu:h200:2"))
    columns.check()
    columns.release(JobId(1))
    columns.check()
    assert columns.amounts_free(NodeName("n1"))["gpu"] == 1
    assert int(columns.used.sum()) == 0


def test_generations_move_only_when_something_that_counts_changes() -> None:
    columns = NodeColumns()
    node = a_node("n1")
    columns.put(node)
    board, shape, availability = columns.board(), columns.shape, columns.availability
    columns.put(msgspec.structs.replace(node, offer=Offer(7, 3000, 100)))
    assert (columns.shape, columns.availability) == (shape, availability)
    assert columns.board() is board
    columns.put(msgspec.structs.replace(node, admin=Admin.DRAIN))
    assert columns.shape == shape and columns.availability == availability + 1
    columns.put(a_node("n1", cpus=9))
    assert columns.shape > shape and columns.board() is not board

"""Placing by a policy's scores, with kept rows and whole runs, against one job and one node at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing import greedy, rows
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.policies import POLICIES
from packhorse.scheduler.core.packing.policy import Ground, Mix, Scorer, Scores, Sight, Want
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import Node, NodeSpec, Offer
from packhorse.scheduler.model.resources import WHOLE, Ask, Device, Gres
from tests.core.placement.yard import NOON, Yard

MAIN = Partition("main", is_default=True)


def no_mix(ground: Ground) -> Mix:
    """Nothing is known of the jobs."""
    none = np.zeros(0, dtype=np.int64)
    return Mix(none, none, none, none, np.zeros((0, ground.n_types), dtype=np.bool_), np.zeros(0))


class Jagged:
    """Scores that rise and fall as a node fills, differ by node, change when half the devices are taken."""

    relative = False

    def __init__(self, ground: Ground) -> None:
        self._kind = ground.node_class

    def phase(self, fill: float) -> int:
        return int(fill >= 0.5)

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        left = sight.cpu // 500 + sight.mem // 250 + sight.dev.sum(axis=0) // 100
        score = (left * (7 + 4 * phase) + 3 * self._kind[sight.at]) % 5
        if not want.shares:
            return score, np.zeros(score.size, dtype=np.intp)
        return score, np.where(sight.may, (sight.dev + 300) % 700, 9999).argmin(axis=0)


class Relative(Jagged):
    """Scores that depend on which other nodes fit."""

    relative = True

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        score, device = super().scores(want, sight, phase)
        return (score + sight.at + int(sight.at.size)) % 4, device


@dataclass
class Plain:
    """One node."""

    spec: NodeSpec
    cpu: int
    mem: int
    dev: list[int] = field(default_factory=list)

    def usable(self, gres: Gres | None) -> list[int]:
        """Devices with enough free, of the right type."""
        if gres is None:
            return []
        need = gres.milli if gres.shares else WHOLE
        return [
            i
            for i, d in enumerate(self.spec.devices)
            if self.dev[i] >= need and (not gres.type or d.type == gres.type)
        ]


def a_ground(chance: Random) -> tuple[Yard, list[Plain]]:
    yard = Yard(MAIN)
    mixed = chance.random() < 0.3
    plain = []
    for i in range(chance.randint(1, 7)):
        n, type_ = chance.choice([0, 1, 2, 4]), chance.choice(["a100", "h200"])
        types = [chance.choice(["a100", "h200"]) if mixed else type_ for _ in range(n)]
        devices = tuple(Device("gpu", t, k) for k, t in enumerate(types))
        name = NodeName(f"n{i + 1}")
        cpu, mem = chance.choice([4000, 8000, 16_000]), chance.choice([4000, 8000])
        spec = NodeSpec(name, name, cpu, mem, devices=devices, weight=chance.choice([1, 1, 1, 2]))
        yard.put(Node(spec, "boot", Offer(1, cpu, mem), NOON))
        plain.append(Plain(spec, cpu, mem, [WHOLE] * n))
    return yard, plain


def an_ask(chance: Random) -> tuple[Ask, Gres | None]:
    gres = chance.choice(
        [
            None,
            Gres("gpu", "", 1),
            Gres("gpu", "", 2),
            Gres("gpu", "h200", 1),
            Gres("gpu", "", 1, chance.choice([100, 250, 400])),
            Gres("gpu", "a100", 1, 500),
        ]
    )
    ask = Ask(
        cpu_milli_per_task=chance.choice([500, 1000, 2000]),
        mem_mib_per_node=chance.choice([0, 250, 1000]),
        max_nodes=1,
        gres_per_node=(gres,) if gres else (),
    )
    return ask, gres


def one_by_one(
    nodes: list[Plain], scorer: Scorer, ask: Ask, gres: Gres | None, want: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Each job to the node with the least weight and score, the first of equals."""
    went: list[tuple[str, tuple[int, ...]]] = []
    whole = sum(len(n.dev) for n in nodes) * WHOLE
    slots = max(max(len(n.dev) for n in nodes), 1)
    n_devices = gres.n if gres else 0
    milli = (gres.milli if gres.shares else WHOLE) if gres else 0
    told = Want(ask.cpu_milli_per_task, ask.mem_mib_per_node, n_devices, milli)
    for _ in range(want):
        able = [
            i
            for i, n in enumerate(nodes)
            if n.cpu >= told.cpu_milli and n.mem >= told.mem_mib and len(n.usable(gres)) >= n_devices
        ]
        if not able:
            break
        dev = np.array([nodes[i].dev + [0] * (slots - len(nodes[i].dev)) for i in able]).T
        may = (
            np.array([[k in nodes[i].usable(gres) for k in range(slots)] for i in able]).reshape(-1, slots).T
        )
        fill = 1 - sum(map(sum, (n.dev for n in nodes))) / whole if whole else 0.0
        cpu, mem = np.array([nodes[i].cpu for i in able]), np.array([nodes[i].mem for i in able])
        if scorer.relative:
            scores, device = scorer.scores(
                told, Sight(np.array(able), cpu, mem, dev.reshape(slots, -1), may), scorer.phase(fill)
            )
            both = list(zip(scores.tolist(), device.tolist(), strict=True))
        else:
            both = []
            for k, i in enumerate(able):
                sight = Sight(
                    np.array([i]), cpu[k : k + 1], mem[k : k + 1], dev[:, k : k + 1], may[:, k : k + 1]
                )
                score, where = scorer.scores(told, sight, scorer.phase(fill))
                both.append((score.tolist()[0], where.tolist()[0]))
        k = min(range(len(able)), key=lambda k: (nodes[able[k]].spec.weight, both[k][0], k))
        node = nodes[able[k]]
        node.cpu -= told.cpu_milli
        node.mem -= told.mem_mib
        taken = [both[k][1]] if told.shares else node.usable(gres)[:n_devices]
        for d in taken:
            node.dev[d] -= milli
        went.append((node.spec.name, tuple(taken)))
    return went


@pytest.mark.parametrize("name", ["jagged", "relative", *sorted(POLICIES)])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_rows_and_runs_decide_as_one_by_one(name: str, seed: int) -> None:
    chance = Random(seed)
    yard, plain = a_ground(chance)
    columns = yard.state.node_columns
    board = columns.board()
    own: dict[str, type[Jagged]] = {"jagged": Jagged, "relative": Relative}
    scorer: Scorer = (
        own[name](board.ground) if name in own else POLICIES[name].make(board.ground, no_mix(board.ground))
    )
    ground = Field(columns, scorer=scorer)
    asks = [an_ask(chance) for _ in range(3)]
    requests = [Request(ask, Shape(ask), MAIN, (), board, columns.column_of) for ask, _ in asks]
    many, long = rows._MANY, greedy._LONG_RUN
    rows._MANY, greedy._LONG_RUN = chance.choice([1, 64]), chance.choice([2, 16])  # type: ignore[misc]
    try:
        for _ in range(6):
            k, want = chance.randrange(3), chance.choice([1, 1, 3, 20, 40])
            found = greedy.place(ground, requests[k], want, 0)
            went = [
                (p.node, tuple(sorted(i for d in p.devices for i in d.indices)))
                for batch in found
                for p in batch.parts.placements
                for _ in range(batch.n)
            ]
            expected = one_by_one(plain, scorer, *asks[k], want)
            assert sorted(went) == sorted(expected)
            if not any(batch.n > 1 for batch in found):
                assert went == expected
    finally:
        rows._MANY, greedy._LONG_RUN = many, long  # type: ignore[misc]
    for node in plain:
        position = board.position[node.spec.name]
        assert ground.free[0, position] == node.cpu and ground.free[1, position] == node.mem
        assert ground.free[board.slot_list, position].tolist()[: len(node.dev)] == node.dev

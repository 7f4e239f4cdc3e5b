"""Fences over several nodes: the spaces of the nodes, and the star at the step's owner that joins them."""

from __future__ import annotations

import random

import pytest

from packhorse.agent.launch.pmi import exchange, space
from packhorse.agent.launch.pmi.space import Layout, Space
from packhorse.cli.slurm.steps import pmi
from packhorse.cli.slurm.steps.pmi import Star, mapping


class Nodes:
    """Some nodes with a space each, and what they told the star that was not yet delivered to it."""

    def __init__(self, ranks: list[list[int]]) -> None:
        self.star = Star(ranks)
        self.told: list[list[bytes]] = [[] for _ in ranks]
        self.aborts: list[tuple[int, str, int]] = []
        n = sum(map(len, ranks))
        self.spaces = [
            Space(
                Layout("1.0", tuple(own), n, len(ranks), f"n{at}"),
                self.told[at].append,
                lambda why, code, at=at: self.aborts.append((at, why, code)),  # type: ignore[misc]
            )
            for at, own in enumerate(ranks)
        ]
        for at in range(len(ranks)):
            self.greet(at)

    def greet(self, at: int) -> None:
        for payload in self.star.greeting():
            self.spaces[at].heard(payload)

    def deliver(self, lost: frozenset[int] = frozenset()) -> None:
        for at, told in enumerate(self.told):
            while told:
                self.spread(self.star.heard(at, told.pop(0)), lost)

    def spread(self, payloads: list[bytes], lost: frozenset[int] = frozenset()) -> None:
        for payload in payloads:
            for to, one in enumerate(self.spaces):
                if to not in lost:
                    one.heard(payload)


def test_all_get_what_all_put() -> None:
    nodes = Nodes([[0, 1], [2, 3], [4]])
    for fence in (1, 2):
        for at, own in enumerate(([0, 1], [2, 3], [4])):
            for rank in own:
                assert nodes.spaces[at].put(f"{fence}.{rank}", f"value {rank}") == 0
                assert nodes.spaces[at].enter(rank) == fence
            if at < 2:
                nodes.deliver()
                assert [one.over for one in nodes.spaces] == [fence - 1] * 3
        nodes.deliver()
        assert [one.over for one in nodes.spaces] == [fence] * 3
        for one in nodes.spaces:
            assert [one.get(f"{fence}.{rank}") for rank in range(5)] == [f"value {rank}" for rank in range(5)]


def test_much_goes_in_parts_and_a_lost_connection_loses_nothing() -> None:
    nodes = Nodes([[0], [1]])
    for at in (0, 1):
        for key in range(600):
            assert nodes.spaces[at].put(f"{at}.{key}", "x" * 1000) == 0
        nodes.spaces[at].enter(at)
    assert len(nodes.told[0]) > 2
    assert all(len(payload) < exchange.PART_BYTES + 2000 for payload in nodes.told[0])
    nodes.deliver(lost=frozenset([1]))
    assert [one.over for one in nodes.spaces] == [1, 0]
    again = nodes.star.greeting()
    nodes.spaces[1].heard(again[1])  # a part, then the connection breaks
    nodes.spaces[1].heard(again[-1])
    assert nodes.spaces[1].over == 0
    nodes.greet(1)
    nodes.greet(1)
    assert nodes.spaces[1].over == 1
    assert nodes.spaces[1].get("0.599") == "x" * 1000


def test_a_node_ahead_of_the_others_waits() -> None:
    nodes = Nodes([[0], [1]])
    nodes.spaces[0].enter(0)
    nodes.deliver()
    assert nodes.spaces[0].over == 0
    nodes.spaces[1].enter(1)
    nodes.deliver()
    nodes.spaces[1].enter(1)
    nodes.deliver()
    assert [one.over for one in nodes.spaces] == [1, 1]


def test_a_task_that_is_gone_ends_a_fence_of_its_node() -> None:
    nodes = Nodes([[0, 1, 2]])
    one = nodes.spaces[0]
    one.gone(2)
    assert not nodes.aborts
    one.enter(0)
    why = "packhorse-n0: error: task 2 ended without coming to the PMI fence that others wait at"
    assert nodes.aborts == [(0, why, 1)]
    one.gone(1)
    assert len(nodes.aborts) == 1


def test_a_task_that_is_gone_while_others_wait() -> None:
    nodes = Nodes([[0, 1]])
    nodes.spaces[0].enter(0)
    nodes.spaces[0].gone(1)
    assert nodes.aborts[0][2] == 1


def test_tasks_that_end_after_the_last_fence_are_no_trouble() -> None:
    nodes = Nodes([[0], [1]])
    for at in (0, 1):
        nodes.spaces[at].enter(at)
        nodes.deliver()
    for at in (0, 1):
        nodes.spaces[at].gone(at)
        nodes.spread(nodes.star.task_ended(at))
    assert (nodes.aborts, nodes.star.code) == ([], -1)


@pytest.mark.parametrize("ended_first", [True, False])
def test_a_task_that_is_gone_on_another_node(ended_first: bool) -> None:
    nodes = Nodes([[0], [1]])
    if ended_first:
        nodes.spread(nodes.star.task_ended(1))
    nodes.spaces[0].enter(0)
    nodes.deliver()
    if not ended_first:
        assert nodes.star.code == -1
        nodes.spread(nodes.star.task_ended(1))
    assert nodes.star.code == 1
    assert nodes.star.stuck
    assert nodes.aborts == [(0, "", 1), (1, "", 1)]


def test_a_node_that_came_to_a_fence_before_its_task_ended_is_not_waited_for() -> None:
    nodes = Nodes([[0], [1]])
    nodes.spaces[1].enter(1)
    nodes.deliver()
    nodes.spread(nodes.star.task_ended(1))
    assert nodes.star.code == -1
    nodes.spaces[0].enter(0)
    nodes.deliver()
    assert nodes.spaces[0].over == 1


def test_an_abort_reaches_all_nodes_with_its_code() -> None:
    nodes = Nodes([[0], [1]])
    nodes.spaces[1].abort("task 1 aborted", 300)
    nodes.deliver()
    assert nodes.star.code == 300 & 0xFF
    assert nodes.aborts == [(1, "packhorse-n1: error: task 1 aborted", 300), (0, "", 300 & 0xFF)]
    assert nodes.star.stuck == ""


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "MOST_PUT", 5000)
    monkeypatch.setattr(exchange, "MOST", 9000)
    monkeypatch.setattr(pmi, "MOST", 9000)
    nodes = Nodes([[0], [1], [2]])
    one = nodes.spaces[0]
    assert [one.put(f"k{at}", "x" * 1000) for at in range(5)] == [0, 0, 0, 0, space.NO_ROOM]
    assert [one.put_attribute(f"k{at}", "x" * 1000) for at in range(5)] == [0, 0, 0, 0, space.NO_ROOM]
    one.enter(0)
    for at in (1, 2):
        for key in range(4):
            nodes.spaces[at].put(f"{at}.{key}", "x" * 1000)
        nodes.spaces[at].enter(at)
    nodes.deliver()
    assert nodes.star.code == 1
    assert "MiB of PMI keys" in nodes.star.stuck
    assert [(at, code) for at, _, code in nodes.aborts] == [(0, 1), (1, 1), (2, 1)]


def test_what_tasks_put_over_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MOST", 9000)
    nodes = Nodes([[0]])
    for _ in range(3):
        for key in range(4):
            nodes.spaces[0].put(f"k{key}", "x" * 1000)
        nodes.spaces[0].enter(0)
    assert [code for _, _, code in nodes.aborts] == [1]


def test_rubbish_from_an_owner() -> None:
    nodes = Nodes([[0], [1]])
    for payload in (b"F", b"F123", b"A12", b"A"):
        with pytest.raises(ValueError, match="cut off"):
            nodes.spaces[0].heard(payload)
    nodes.spaces[0].heard(b"?")
    with pytest.raises(ValueError, match="cut off"):
        list(exchange.pairs(b"\x05\x00\x05\x00abc"))
    assert nodes.star.heard(0, b"?") == []


# -- where ranks run


def nodes_of(text: str, n: int) -> list[int]:
    """Reads a mapping as MPICH does: blocks after blocks, from the first again, until there are n ranks."""
    body = text.removeprefix("(vector,").removesuffix(")")
    blocks = [tuple(map(int, block.strip("()").split(","))) for block in body.replace("),(", ") (").split()]
    found: list[int] = []
    while True:
        for first, count, size in blocks:
            for node in range(first, first + count):
                for _ in range(size):
                    found.append(node)
                    if len(found) == n:
                        return found


@pytest.mark.parametrize(
    ("ranks", "expected"),
    [
        ([[0, 1], [2, 3]], "(vector,(0,2,2))"),
        ([[0, 1, 2], [3]], "(vector,(0,1,3),(1,1,1))"),
        ([[0, 2], [1, 3]], "(vector,(0,2,1))"),
        ([[0, 2, 4], [1, 3]], "(vector,(0,2,1))"),
        ([[0, 1, 4, 5], [2, 3, 6]], "(vector,(0,2,2),(0,1,2),(1,1,1))"),
        ([[0]], "(vector,(0,1,1))"),
        ([[1, 2], [0]], "(vector,(1,1,1),(0,1,2))"),
    ],
)
def test_mapping(ranks: list[list[int]], expected: str) -> None:
    assert mapping(ranks) == expected


def test_any_mapping_is_read_as_it_was_meant() -> None:
    chance = random.Random(7)
    for _ in range(500):
        n_nodes, n = chance.randint(1, 6), chance.randint(1, 20)
        node_of = [chance.randrange(n_nodes) for _ in range(n)]
        if chance.random() < 0.5:
            node_of = [(rank // chance.choice((1, 1, 2))) % n_nodes for rank in range(n)]
        ranks = [[rank for rank in range(n) if node_of[rank] == node] for node in range(n_nodes)]
        assert nodes_of(mapping(ranks), n) == node_of, ranks


def test_a_mapping_that_is_too_long_is_left_out() -> None:
    chance = random.Random(3)
    node_of = [chance.randrange(1000) for _ in range(3000)]
    assert mapping([[rank for rank in range(3000) if node_of[rank] == node] for node in range(1000)]) == ""

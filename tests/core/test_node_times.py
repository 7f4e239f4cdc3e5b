"""What nodes were and for how long: a row for every stretch, none twice, and one that goes on."""

from __future__ import annotations

from itertools import pairwise

from packhorse.scheduler.core.node_times import present_row
from packhorse.scheduler.model.ids import US, NodeName
from packhorse.scheduler.model.input import Start
from tests.core.scenario import a_cluster

NODE = NodeName("n1")


def test_a_nodes_day_without_gaps() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    begun = cluster.clock.now
    then = cluster.clock.advance
    then(100)
    cluster.drain(NODE)
    then(50)
    cluster.resume(NODE)
    then(10)
    cluster.silence(NODE)
    then(5)
    cluster.register(NODE)
    then(7)
    rows = cluster.node_rows
    spans = [(row.state, (row.until - row.since) // US) for row in rows]
    assert spans == [("up", 100), ("drained", 50), ("up", 10), ("down", 5)]
    assert rows[0].since == begun and all(a.until == b.since for a, b in pairwise(rows))
    last = present_row(cluster.state.nodes[NODE], cluster.clock.now)
    assert (last.state, last.since, last.until - last.since) == ("up", rows[-1].until, 7 * US)
    assert last.tres.startswith("cpu=4,mem=")


def test_an_offer_that_changes_nothing_ends_nothing() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.clock.advance(10)
    cluster.register(NODE)
    assert cluster.node_rows == []


def test_a_new_process_ends_them_all() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    cluster.clock.advance(10)
    cluster.do(Start(cluster.state.config))
    assert [(row.node, row.state) for row in cluster.node_rows] == [("n1", "up"), ("n2", "up")]

"""Few switches if possible, any after a while; where nodes stand by the configuration; free blocks."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.free_blocks import largest_free_blocks
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.cluster import Topology
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.input import Reconfigure
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import ADMIN, Cluster, a_cluster, a_config

RACKS: Topology = tuple(
    (f"row/rack{rack}", tuple(NodeName(f"n{3 * rack + i}") for i in (1, 2, 3))) for rack in range(3)
)
"""Nine nodes in three racks of one row."""


def racks(cpus: int = 4) -> Cluster:
    return a_cluster(nodes=9, cpus=cpus, config=a_config(topology=RACKS))


def rack_of(cluster: Cluster, job: int) -> set[str]:
    columns = cluster.state.node_columns
    nodes = [p.node for p in cluster.active(job).placements]
    return {columns.place_of(cluster.state.nodes[name].spec)[-1] for name in nodes}


def test_below_as_few_switches_as_hold_it() -> None:
    cluster = racks()
    alone = cluster.submit(cpus=4, nodes=3, max_switches=2)
    cluster.run_cycle()
    assert len(rack_of(cluster, alone)) == 1
    wide = cluster.submit(cpus=4, nodes=5, max_switches=2)
    cluster.run_cycle()
    assert len(rack_of(cluster, wide)) == 2 and rack_of(cluster, wide).isdisjoint(rack_of(cluster, alone))


def test_not_below_more_than_it_takes() -> None:
    cluster = racks()
    for node in ("n1", "n4", "n7"):
        cluster.drain(node)
    job = cluster.submit(cpus=4, nodes=5, max_switches=2)
    cluster.run_cycle()
    assert cluster.state_of(job) == "PENDING"
    cluster.resume("n1")
    cluster.run_cycle()
    assert len(rack_of(cluster, job)) == 2


def test_the_second_switch_is_one_that_completes_it() -> None:
    """The roomiest rack and the one with the least room that is enough, not the two roomiest."""
    cluster = racks()
    cluster.drain("n4")
    cluster.drain("n7")
    cluster.drain("n8")
    job = cluster.submit(cpus=4, nodes=4, max_switches=2)
    cluster.run_cycle()
    assert rack_of(cluster, job) == {"rack0", "rack2"}


def test_the_rack_of_a_node_that_is_required_is_one_of_them_however_many_there_are() -> None:
    """A hundred racks of two nodes, of which each but the last has more room than the first."""
    names = [NodeName(f"n{i + 1}") for i in range(200)]
    places: Topology = tuple((f"row/rack{i}", tuple(names[2 * i : 2 * i + 2])) for i in range(100))
    cluster = a_cluster(nodes=200, cpus=4, config=a_config(topology=places))
    cluster.run(cluster.submit(cpus=4, nodes_required=(names[0],)))
    cluster.run(cluster.submit(cpus=4, nodes_required=(names[3],)))
    job = cluster.submit(cpus=4, nodes=3, max_switches=2, nodes_required=(names[2],))
    cluster.run_cycle()
    assert "rack1" in rack_of(cluster, job) and len(rack_of(cluster, job)) == 2


def test_what_no_number_of_nodes_allows_is_refused() -> None:
    reply = racks().try_submit(cpus=4, nodes=7, max_switches=2)
    assert isinstance(reply, Refused)
    assert '7 nodes below at most 2 switches asked, partition "main" has 6 there' in reply.message


def test_after_a_while_any_switches_will_do() -> None:
    cluster = racks()
    for node in ("n1", "n4", "n7"):
        cluster.drain(node)
    job = cluster.submit(cpus=4, nodes=3, max_switches=1, switches_wait_s=600)
    cluster.run_cycle()
    cluster.pass_time(599)
    cluster.run_cycle()
    assert cluster.state_of(job) == "PENDING"
    cluster.pass_time(2)
    cluster.run_cycle()
    assert len(rack_of(cluster, job)) == 2
    assert cluster.replayed() == cluster.state


def test_its_patience_outlives_a_snapshot() -> None:
    cluster = racks()
    for node in ("n1", "n4", "n7"):
        cluster.drain(node)
    job = cluster.submit(cpus=4, nodes=3, max_switches=1, switches_wait_s=600)
    cluster.state = load(dump(cluster.state.freeze()))
    assert cluster.state.node_columns.board().topology[0] == ("row", "rack0")
    cluster.pass_time(601)
    assert cluster.job(job).spec.ask.max_switches == 0


def test_the_configuration_counts_more_than_the_agent_and_may_change() -> None:
    cluster = racks()
    assert isinstance(cluster.try_submit(cpus=4, nodes=4, max_switches=1), Refused)
    flat: Topology = (("hall", tuple(NodeName(f"n{i}") for i in range(1, 10))),)
    cluster.do(Reconfigure(ADMIN, replace(cluster.state.config, topology=flat), ("topology",)))
    wide = cluster.submit(cpus=4, nodes=4, max_switches=1)
    cluster.run_cycle()
    assert rack_of(cluster, wide) == {"hall"}


def test_the_largest_free_block() -> None:
    cluster = racks()
    assert largest_free_blocks(cluster.state) == [3, 9, 9]
    cluster.drain("n1")
    cluster.submit(cpus=1, nodes_required=(NodeName("n4"),))
    cluster.run_cycle()
    assert largest_free_blocks(cluster.state) == [3, 7, 7]
    cluster.drain("n7")
    assert largest_free_blocks(cluster.state) == [2, 6, 6]
    assert largest_free_blocks(a_cluster(nodes=2, cpus=1).state) == [2]

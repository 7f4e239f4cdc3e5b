"""Partitions that an administrator opens and closes."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.partitions import Openness, openness
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.event import Configured, PartitionSwitched
from packhorse.scheduler.model.input import Caller, Reconfigure, Start, SwitchPartition
from packhorse.scheduler.model.reply import Done, Refused, Submitted
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster, a_config


def switch(cluster: Cluster, state: str, *names: str, caller: Caller = ADMIN) -> Done | Refused:
    reply = cluster.do(SwitchPartition(caller, names or ("main",), state)).reply
    assert isinstance(reply, Done | Refused)
    return reply


def a_partitioned(up: bool = True) -> Cluster:
    return a_cluster(nodes=1, cpus=4, config=a_config(up=up))


def test_down_takes_jobs_and_starts_none() -> None:
    cluster = a_partitioned()
    running = cluster.submit()
    cluster.run_cycle()
    cluster.run(running)
    switch(cluster, "DOWN")
    job = cluster.submit()
    assert cluster.run_cycle() == []
    assert cluster.reason_of(job) is Reason.PARTITION_DOWN and cluster.state_of(running) == "RUNNING"
    switch(cluster, "UP")
    assert cluster.run_cycle() == [job]


def test_drain_starts_jobs_and_takes_none() -> None:
    cluster = a_partitioned()
    job = cluster.submit()
    switch(cluster, "DRAIN")
    refused = cluster.try_submit()
    assert isinstance(refused, Refused)
    assert refused.slurm == "Required partition not available (inactive or drain)"
    assert cluster.run_cycle() == [job]


def test_inactive_does_neither() -> None:
    cluster = a_partitioned()
    cluster.submit()
    switch(cluster, "INACTIVE")
    assert isinstance(cluster.try_submit(), Refused) and cluster.run_cycle() == []


def test_up_is_said_against_the_configuration() -> None:
    cluster = a_partitioned(up=False)
    job = cluster.submit()
    assert cluster.run_cycle() == []
    switch(cluster, "UP")
    assert cluster.run_cycle() == [job]


def test_the_word_outlives_restarts_and_the_configuration() -> None:
    cluster = a_partitioned()
    config = cluster.state.config
    switch(cluster, "DRAIN")
    cluster.state = load(list(dump(cluster.state.freeze())))
    cluster.do(Start(config))
    assert openness(cluster.state, "main") is Openness.DRAIN
    switch(cluster, "DOWN")
    n = len(cluster.log)
    cluster.do(Reconfigure(ADMIN, config))
    assert not any(isinstance(event, Configured) for event in cluster.log[n:]), "nothing is different"
    cluster.do(Start(config))
    assert not cluster.state.config.partitions[0].up
    cluster.do(Reconfigure(ADMIN, replace(config, partitions=(Partition("other", is_default=True),))))
    assert cluster.state.partition_states == {}


def test_only_administrators_and_only_what_there_is() -> None:
    cluster = a_partitioned()
    assert isinstance(switch(cluster, "DOWN", caller=Caller(USER)), Refused)
    done = switch(cluster, "DOWN", "nosuch", "main")
    assert isinstance(done, Done)
    assert [outcome.slurm for outcome in done.outcomes] == ["Invalid partition name specified", ""]
    n = len(cluster.log)
    switch(cluster, "DOWN")
    assert not any(isinstance(event, PartitionSwitched) for event in cluster.log[n:])
    assert isinstance(cluster.try_submit(), Submitted)
    assert cluster.replayed() == cluster.state

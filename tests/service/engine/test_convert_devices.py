"""Shares, slices, links and racks across the wire: from a submission, from an agent, and to an agent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from packhorse.agent import convert as agent_convert
from packhorse.agent.orders import Introduction
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.input import Submit
from packhorse.scheduler.model.job import JobSpec, Owner
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask, Device, Devices, Gres
from packhorse.scheduler.service import convert, convert_agents, messages
from packhorse.scheduler.service.convert_queries import reader
from packhorse.v1 import agent_pb2, job_pb2, scheduler_pb2

ME = Owner(1000, 100, "user", "users")
G = job_pb2.Gres


def asked(ask: job_pb2.Ask, **spec: Any) -> Ask:
    """What either door makes of the ask; the same at both."""
    wire = scheduler_pb2.SubmitJobRequest(spec=job_pb2.JobSpec(ask=ask, script=b"#!/bin/sh\n", **spec))
    specs: list[JobSpec] = []
    for request in (wire, reader(messages.SubmitJobRequest)(wire)):
        made = convert.submission(request, ME, False).input
        assert isinstance(made, Submit)
        specs += made.specs
    assert specs[0] == specs[1]
    return specs[0].ask


def test_shares_and_where_the_nodes_may_be() -> None:
    share = [G(kind="gpu", type="h200", milli=250)]
    assert asked(job_pb2.Ask(gres_per_node=share, hops=0, spread=True, linked=True)) == Ask(
        gres_per_node=(Gres("gpu", "h200", 1, 250),), hops=0, spread=True, linked=True
    )
    assert asked(job_pb2.Ask()).hops == -1
    by_memory = asked(job_pb2.Ask(n_tasks=4, gres_per_task=[G(kind="gpu", mem_mib=2048)]))
    assert by_memory.gres_per_task == (Gres("gpu", "", 1, 1000, 2048),)
    assert asked(job_pb2.Ask(gres_per_job=[G(kind="gpu", milli=1000, count=3)])).gres_per_job == (
        Gres("gpu", "", 3),
    )


def test_a_share_for_the_whole_job_is_one_of_its_only_node() -> None:
    made = asked(job_pb2.Ask(gres_per_job=[G(kind="gpu", milli=500), G(kind="nic", count=2)]))
    assert made == Ask(
        max_nodes=1, gres_per_node=(Gres("gpu", "", 1, 500),), gres_per_job=(Gres("nic", "", 2),)
    )


REFUSED = {
    "gres gpu: milli": job_pb2.Ask(gres_per_node=[G(kind="gpu", milli=-1)]),
    "gres gpu: milli: 1500": job_pb2.Ask(gres_per_node=[G(kind="gpu", milli=1500)]),
    "gres gpu: mem_mib": job_pb2.Ask(gres_per_task=[G(kind="gpu", mem_mib=1 << 40)]),
    "gres gpu: count": job_pb2.Ask(gres_per_task=[G(kind="gpu", count=1 << 40)]),
    "gres nic: only whole ones": job_pb2.Ask(gres_per_node=[G(kind="nic", milli=500)]),
    "give one of milli and mem_mib": job_pb2.Ask(gres_per_node=[G(kind="gpu", milli=500, mem_mib=1)]),
    "2 shares": job_pb2.Ask(gres_per_node=[G(kind="gpu", milli=500, count=2)]),
    "a slice is given out whole": job_pb2.Ask(gres_per_node=[G(kind="gpu", type="1g.10gb", milli=500)]),
    "beside other devices": job_pb2.Ask(
        gres_per_node=[G(kind="gpu", milli=500)], gres_per_task=[G(kind="gpu", count=1)]
    ),
    "ask for it per node or per task": job_pb2.Ask(min_nodes=2, gres_per_job=[G(kind="gpu", milli=500)]),
    "hops": job_pb2.Ask(hops=64),
    "features: nodes in .*2000000000 is not between": job_pb2.Ask(features="[a*2&b*2000000000]"),
    "features: nodes in .*99999999999999999999 is not": job_pb2.Ask(features="a*99999999999999999999 &b*1"),
    "min_nodes: 3 is over max_nodes": job_pb2.Ask(min_nodes=3, max_nodes=2),
    "n_tasks: 8 tasks do not go on 2 nodes": job_pb2.Ask(
        n_tasks=8, min_nodes=2, max_nodes=2, tasks_per_node=2
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_makes_no_sense_is_refused_at_every_door(why: str) -> None:
    with pytest.raises(BadValue, match=why):
        asked(REFUSED[why])


def four(n: int, type_: str = "") -> list[job_pb2.Gres]:
    return [G(kind="gpu", type=type_, count=n)]


SAME = [
    (job_pb2.Ask(gres_per_job=four(8), gres_per_task=four(2)), Ask(n_tasks=4)),
    (job_pb2.Ask(n_tasks=4, gres_per_job=four(8, "h200"), gres_per_task=four(2)), Ask(n_tasks=4)),
    (
        job_pb2.Ask(gres_per_node=four(4), gres_per_task=four(2), min_nodes=2, max_nodes=3),
        Ask(n_tasks=4, min_nodes=2, max_nodes=3, tasks_per_node=2),
    ),
    (
        job_pb2.Ask(gres_per_node=four(4), gres_per_task=four(2), n_tasks=6),
        Ask(n_tasks=6, min_nodes=3, max_nodes=3, tasks_per_node=2),
    ),
    (
        job_pb2.Ask(gres_per_job=four(8), gres_per_node=four(4), gres_per_task=four(2)),
        Ask(n_tasks=4, min_nodes=2, max_nodes=2, tasks_per_node=2),
    ),
]


@pytest.mark.parametrize(("told", "meant"), SAME)
def test_devices_told_in_two_ways_are_the_same_devices(told: job_pb2.Ask, meant: Ask) -> None:
    type_ = "h200" if "h200" in str(told) else ""
    assert asked(told) == msgspec.structs.replace(meant, gres_per_task=(Gres("gpu", type_, 2),))


def test_a_total_of_devices_says_how_many_nodes() -> None:
    assert asked(job_pb2.Ask(gres_per_job=four(8), gres_per_node=four(4), min_nodes=1, max_nodes=4)) == Ask(
        n_tasks=2, min_nodes=2, max_nodes=2, gres_per_node=(Gres("gpu", "", 4),)
    )


def test_slices_beside_whole_ones_are_left_to_the_core() -> None:
    both = job_pb2.Ask(gres_per_job=four(4), gres_per_node=four(2, "1g.10gb"))
    assert asked(both) == Ask(gres_per_job=(Gres("gpu", "", 4),), gres_per_node=(Gres("gpu", "1g.10gb", 2),))


DISAGREE = {
    "n_tasks: 2, but": job_pb2.Ask(n_tasks=2, gres_per_job=four(4), gres_per_task=four(1)),
    "not a multiple of gres_per_task": job_pb2.Ask(gres_per_job=four(3), gres_per_task=four(2)),
    "make 2 nodes, which": job_pb2.Ask(max_nodes=1, gres_per_job=four(8), gres_per_node=four(4)),
    "tasks_per_node: 3, but": job_pb2.Ask(tasks_per_node=3, gres_per_node=four(4), gres_per_task=four(1)),
    "n_tasks: 2, but gres_per_node": job_pb2.Ask(n_tasks=2, gres_per_node=four(4), gres_per_task=four(1)),
    "a100 and h200 in two ways": job_pb2.Ask(gres_per_job=four(4, "h200"), gres_per_task=four(1, "a100")),
    "leave one of them out": job_pb2.Ask(gres_per_job=four(4) + four(2, "h200"), gres_per_task=four(1)),
}


@pytest.mark.parametrize("why", DISAGREE)
def test_devices_told_in_two_ways_that_disagree(why: str) -> None:
    with pytest.raises(BadValue, match=why):
        asked(DISAGREE[why])


def test_licences_are_read_at_the_door() -> None:
    with pytest.raises(BadValue, match=r"licenses: .*whole count"):
        asked(job_pb2.Ask(), licenses="matlab:x")


def test_a_node_with_devices_arrives_as_it_was_sent() -> None:
    spec = NodeSpec(
        NodeName("n1"),
        "host",
        8000,
        1000,
        devices=(
            Device("gpu", "h200", 0, "GPU-1", 144_384, 0, 1, (("1g.18gb",) * 7, ("4g.71gb", "3g.71gb"))),
            Device("gpu", "h200", 1),
            Device("nic", "", 0),
        ),
        topology=("rack1", "switch2"),
    )
    hello = Introduction(spec, "boot", Offer(1, 8000, 1000), (), (), ())
    heard = convert_agents.introduction(agent_convert.to_message(hello), "")
    assert heard is not None
    assert (heard.spec.devices, heard.spec.topology) == (spec.devices, spec.topology)


@pytest.mark.parametrize(
    "held",
    [
        Devices("gpu", "h200", (0, 3)),
        Devices("gpu", "h200", (3,), 250),
        Devices("gpu", "h200", (3,), 1000, "1g.18gb", (1, 2)),
        Devices("gpu", "h200", (3,), 142, "1g.18gb", (0, 0)),
    ],
)
def test_a_grant_arrives_as_it_was_made(held: Devices) -> None:
    launch = agent_pb2.Launch(devices=[convert_agents.device_grant(held)])
    [order] = agent_convert.from_message(agent_pb2.SchedulerMessage(launch=launch))
    assert order.devices == (held,)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("hello", "why"),
    [
        (agent_pb2.Hello(topology=["a", ""]), "topology: not at most 8 names"),
        (agent_pb2.Hello(topology=["a"] * 9), "topology: not at most 8 names"),
        (agent_pb2.Hello(topology=["rack/1"]), "topology: not at most 8 names"),
        (agent_pb2.Hello(devices=[agent_pb2.Device(kind="gpu", mem_mib=-1)]), "device gpu: mem_mib"),
        (agent_pb2.Hello(devices=[agent_pb2.Device(kind="gpu", link=1 << 20)]), "device gpu: link"),
        (
            agent_pb2.Hello(
                devices=[agent_pb2.Device(kind="gpu", layouts=[agent_pb2.Layout(slices=["half"])])]
            ),
            '"half" is not a slice',
        ),
        (
            agent_pb2.Hello(devices=[agent_pb2.Device(kind="gpu", layouts=[agent_pb2.Layout()])]),
            "slices of a layout",
        ),
    ],
)
def test_a_node_that_makes_no_sense_is_sent_away(hello: agent_pb2.Hello, why: str) -> None:
    hello.MergeFrom(agent_pb2.Hello(node="n1", cpu_milli=1000, mem_mib=1))
    with pytest.raises(BadValue, match=why):
        convert_agents.introduction(agent_pb2.AgentMessage(hello=hello), "")

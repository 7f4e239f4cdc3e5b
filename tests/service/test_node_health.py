"""Dead devices, missing amounts and warnings of a node, as tables and events tell of them."""

from __future__ import annotations

import json

from packhorse.scheduler.model.event import NodeOffered
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.model.node import Node, NodeSpec, Offer
from packhorse.scheduler.model.resources import Device
from packhorse.scheduler.service.event_text import sentence
from packhorse.scheduler.service.tables.devices import dead_reasons, device_uses, uses_json
from packhorse.scheduler.service.tables.nodes import reason_of

SPEC = NodeSpec(
    NodeName("n1"),
    "host",
    8000,
    65_536,
    devices=tuple(Device("gpu", "h200", i, f"GPU-{i}") for i in range(2)),
)
BROKEN = Offer(
    2,
    6000,
    32_768,
    dead_devices=(("gpu", 1), ("nic", 0)),
    dead_reasons=("fell off the bus (NVML: GPU is lost)",),
    warnings=("gpu 0 is warm",),
)


def node(offer: Offer, **more: object) -> Node:
    return Node(SPEC, "boot", offer, Instant(0), **more)  # type: ignore[arg-type]


def test_the_reason_of_a_node_that_takes_work_but_not_on_all_of_it() -> None:
    assert reason_of(node(Offer(1, 8000, 65_536))) == ""
    assert reason_of(node(Offer(1, 8000, 65_536, warnings=("gpu 0 is warm",)))) == ""
    assert reason_of(node(BROKEN)) == (
        "gpu 1: fell off the bus (NVML: GPU is lost); nic 0: its agent says so; 6 of 8 CPUs are there; "
        "32G of 64G memory are there"
    )
    assert reason_of(node(BROKEN, reason="taken out for repair")) == "taken out for repair"


def test_the_event_says_why() -> None:
    text = sentence(NodeOffered(Instant(1), NodeName("n1"), BROKEN))
    assert text == (
        "node n1 offers 6 CPUs, 32G memory, without gpu 1: fell off the bus (NVML: GPU is lost); nic 0: its "
        "agent says so; warnings: gpu 0 is warm"
    )
    assert sentence(NodeOffered(Instant(1), NodeName("n1"), Offer(3, 8000, 65_536))) == (
        "node n1 offers 8 CPUs, 64G memory"
    )


def test_the_device_says_why() -> None:
    shown = json.loads(uses_json(device_uses(SPEC.devices, {}, dead_reasons(BROKEN))))
    assert [device.get("dead", "") for device in shown] == ["", "fell off the bus (NVML: GPU is lost)"]

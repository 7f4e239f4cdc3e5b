"""Nodes: what an agent registers, what it offers, and what operators did to them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from packhorse.scheduler.model.ids import UNKNOWN, Instant, NodeName
from packhorse.scheduler.model.resources import Device

MAX_LEVELS = 8
"""Of racks and switches above a node."""

LEVELS = f"at most {MAX_LEVELS} names of ASCII letters, digits, -, _ and ."
"""What `are_levels` asks for, in words."""


def are_levels(names: Sequence[str]) -> bool:
    """Whether racks and switches above a node may have these names, from the top down. None: it stands
    nowhere in particular."""
    return len(names) <= MAX_LEVELS and all(
        name and all(char.isascii() and (char.isalnum() or char in "-_.") for char in name) for name in names
    )


class NodeSpec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A machine as its agent registered it. declared: amounts were stated by its owner, beyond or
    instead of the hardware found. isolation: "cgroup2", "cgroup1" or "rlimits". topology: where it stands in
    the tree of racks and switches, from the top down: ("rack3", "switch7"). step_door: path on its host of
    the socket at which its steps are attached to."""

    name: NodeName
    host_name: str
    cpu_milli: int
    mem_mib: int
    tmp_mib: int = 0
    devices: tuple[Device, ...] = ()
    features: tuple[str, ...] = ()
    sockets: int = 1
    cores_per_socket: int = 1
    threads_per_core: int = 1
    weight: int = 1
    declared: bool = False
    isolation: str = ""
    arch: str = ""
    os: str = ""
    version: str = ""
    address: str = ""
    boot_at: Instant = UNKNOWN
    topology: tuple[str, ...] = ()
    step_door: str = ""


class Offer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a node can take in all (running work included) as of epoch; a later epoch voids it.

    Never counted above the registered amounts. accepting False: running work goes on, nothing new.
    dead_devices: (kind, index) pairs that must not be handed out; dead_reasons: why, in the same order.
    warnings: what an operator should know although the node takes work (a sensor that answers garbage …).
    """

    epoch: int
    cpu_milli: int
    mem_mib: int
    accepting: bool = True
    reason: str = ""
    dead_devices: tuple[tuple[str, int], ...] = ()
    dead_reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Admin(StrEnum):
    """What an operator wants of a node."""

    UP = "up"
    DRAIN = "drain"
    DOWN = "down"


class Node(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A registered machine. boot_id changes with every boot: proof that nothing from before runs.

    reachable: its agent's stream is open. silent_since: when the stream was lost, 0 while reachable.
    refusing_since: when its agent began to take no new work, 0 while it does. since: when it became what it
    is for reports of utilisation (core/node_times.py), 0: not known.
    """

    spec: NodeSpec
    boot_id: str
    offer: Offer
    registered_at: Instant
    reachable: bool = True
    silent_since: Instant = UNKNOWN
    admin: Admin = Admin.UP
    reason: str = ""
    reason_by: int = -1
    reason_at: Instant = UNKNOWN
    refusing_since: Instant = UNKNOWN
    since: Instant = UNKNOWN

    @property
    def name(self) -> NodeName:
        return self.spec.name

    @property
    def schedulable(self) -> bool:
        """New work may be placed here."""
        return self.reachable and self.admin is Admin.UP and self.offer.accepting

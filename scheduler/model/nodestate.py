"""The whole state of a node, of a row of the table of nodes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def full_state(node: dict[str, Any]) -> str:
    """The base state and every flag, as scontrol has it: `MIXED+DRAIN`, `DOWN+NOT_RESPONDING`."""
    word = str(node["state"])
    if word == "DRAINED":
        word = "IDLE+DRAIN"
    elif word == "DRAINING":
        word = ("ALLOCATED" if node["cpus_alloc"] >= node["cpus"] else "MIXED") + "+DRAIN"
    if node["in_maint"]:
        word += "+MAINTENANCE"
    if node["reservation"]:
        word += "+RESERVED"
    return word + ("+NOT_RESPONDING" if node["not_responding"] else "")

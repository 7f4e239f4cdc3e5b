"""What a look at the hardware gives: devices with what speaks against each, and remarks for people."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.scheduler.model.resources import Device


class Remark(NamedTuple):
    """Something an operator should know although work goes on. key: the same for as long as it is about the
    same thing, whatever numbers the text has."""

    key: str
    text: str


class Found(NamedTuple):
    """One device as a library or the kernel tells of it now.

    device: as it would be registered; its index is only the place in this look. dead: why nothing may be
    started on it, "" if nothing speaks against it. pids: processes that use it, as far as that is told.
    slices: profile and UUID of each slice that it is cut into, in the order of the layout. peers: how it is
    connected to the other devices of the look, in their order ("NV4", "NODE", "X" for itself). details: for
    people.
    """

    device: Device
    dead: str = ""
    remarks: tuple[Remark, ...] = ()
    pids: tuple[int, ...] = ()
    slices: tuple[tuple[str, str], ...] = ()
    peers: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()


class Look(NamedTuple):
    """The devices of one maker. prefix: what their UUIDs begin with, and no others. missing: why one that is
    not among them is not there.

    complete: False if they could not be listed; then nothing is known of any, which is no reason to give one
    up.
    """

    prefix: str
    devices: tuple[Found, ...] = ()
    remarks: tuple[Remark, ...] = ()
    missing: str = "it is not there any more"
    complete: bool = True


def type_name(text: str) -> str:
    """A model in Slurm's manner, fit for --gres: lower case, words joined by "_", without its maker."""
    words = [
        word
        for word in text.lower().replace("-", " ").replace("/", " ").split()
        if word not in ("nvidia", "geforce", "tesla", "amd", "radeon")
    ]
    name = "_".join(words)
    return "".join(char for char in name if char.isascii() and (char.isalnum() or char in "_.-"))[:64]

"""What a node offers as its hardware changes: decisions, without I/O.

Compares what is there with what was registered. A device that is dead is told at once; one that is well again
must have been so for a while, longer each time it comes and goes, so that a flapping one is not handed out
and told of every few seconds. Amounts and remarks count once two looks in a row agree; remarks alone
make a new offer at most once a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from packhorse.agent.inventory.found import Found, Look, Remark
from packhorse.agent.inventory.numbering import Known, number
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import Device

WELL_S = 10.0
"""How long a device must have been well before it is used again; twice that after each further failure …"""
LONGEST_WELL_S = 1800.0
"""… up to this …"""
FORGIVEN_S = 3600.0
"""… and a failure that is so long ago counts no more."""
REMARKS_S = 60.0
"""Between offers that differ in their remarks only; and how long a remark stays after it was last true."""
REGISTER_S = 60.0
"""Between registrations anew because there is more than before, or devices are cut in another way."""
MAX_REMARKS = 32
SLACK = 128
"""Memory that differs by less than 1/128 is the same."""

Key = tuple[str, int]
"""Kind and index of a device."""


class Seen(NamedTuple):
    """One look at everything. leftovers: of devices that something of an ended job still uses, the sentence.
    remarks: what is to be said beside what the looks say.
    """

    cpus: int
    mem_mib: int
    looks: tuple[Look, ...] = ()
    leftovers: Mapping[Key, str] = {}
    remarks: tuple[Remark, ...] = ()


class Verdict(NamedTuple):
    """What the node is and offers now. dead: device and reason, in the order of the devices. unsettled: look
    again soon. happened: what changed, one sentence each.
    """

    spec: NodeSpec
    cpu_milli: int
    mem_mib: int
    dead: tuple[tuple[Key, str], ...]
    warnings: tuple[str, ...]
    unsettled: bool
    happened: tuple[str, ...]


class _Fate(msgspec.Struct):
    """Of one device: why it is dead, "" if it is not; when it failed; since when it looks well."""

    reason: str = ""
    failed_at: list[float] = []
    well_since: float | None = None
    leftover: bool = False


class _Said(msgspec.Struct):
    """Of one remark: its text as first seen, how often in a row it was true, when last."""

    text: str
    times: int = 0
    last: float = 0.0


class Watch:
    """Of one node. spec: as registered. seen: what was there then.

    declared: its devices are what its owner says, and those of them that no hardware answers for (they have
    no UUID) are never judged.
    """

    def __init__(self, spec: NodeSpec, boot_id: str, seen: Seen, *, declared: bool, at_s: float) -> None:
        self.spec = spec
        self._boot_id = boot_id
        self._declared = declared
        self._base_cpus, self._base_mem = seen.cpus, seen.mem_mib
        self._cpus, self._mem = seen.cpus, seen.mem_mib
        self._pending: tuple[int, int, tuple[Device, ...]] | None = None
        self._fates: dict[Key, _Fate] = {}
        self._said: dict[str, _Said] = {}
        self._warnings: tuple[str, ...] = ()
        self._warned_at = at_s - REMARKS_S
        self._registered_at = at_s - REGISTER_S
        for remark in self._remarks(seen):
            self._said[remark.key] = _Said(remark.text, times=1, last=at_s)
        self.verdict = self._judge(seen, at_s)

    def see(self, seen: Seen, at_s: float) -> Verdict:
        """What follows from a look. at_s: seconds of any clock that only goes forward."""
        before = self.verdict
        settled = self._settle(seen, at_s)
        after = self._judge(seen, at_s)
        self.verdict = after._replace(
            unsettled=after.unsettled or not settled, happened=_happened(before, after)
        )
        return self.verdict

    # -- amounts, and what is registered

    def _settle(self, seen: Seen, at_s: float) -> bool:
        """Takes over amounts and devices that two looks in a row agree on. False: another look is needed."""
        devices = self._devices(seen)
        mem = seen.mem_mib if abs(seen.mem_mib - self._mem) * SLACK > self._mem else self._mem
        now = (seen.cpus, mem, devices)
        if now == (self._cpus, self._mem, self.spec.devices):
            self._pending = None
            return True
        if self._pending != now:
            self._pending = now
            return False
        more_cpus = self.spec.cpu_milli == self._base_cpus * 1000 and seen.cpus > self._base_cpus
        more_mem = self.spec.mem_mib == self._base_mem and mem > self._base_mem
        anew = more_cpus or more_mem or devices != self.spec.devices
        if anew and at_s - self._registered_at < REGISTER_S:
            self._cpus, self._mem = min(self._cpus, seen.cpus), min(self._mem, mem)
            return False
        self._cpus, self._mem = seen.cpus, mem
        if not anew:
            return True
        self._registered_at = at_s
        spec = msgspec.structs.replace(self.spec, devices=devices)
        if more_cpus:
            per_core = spec.sockets * spec.threads_per_core
            spec = msgspec.structs.replace(
                spec, cpu_milli=seen.cpus * 1000, cores_per_socket=max(1, seen.cpus // per_core)
            )
            self._base_cpus = seen.cpus
        if more_mem:
            spec = msgspec.structs.replace(spec, mem_mib=mem)
            self._base_mem = mem
        self.spec = spec
        self._pending = None
        return True

    def _devices(self, seen: Seen) -> tuple[Device, ...]:
        """The node's devices as they are now, numbered as they were."""
        if self._declared:
            return self.spec.devices
        known = Known(self._boot_id, self.spec.devices)
        fresh = number(seen.looks, known, self._boot_id).devices
        # Links are worked out among those that are well: a lost GPU must not make others of the rest.
        old = {device.uuid: device for device in self.spec.devices}
        return tuple(
            msgspec.structs.replace(device, link=old[device.uuid].link) if device.uuid in old else device
            for device in fresh
        )

    # -- health

    def _judge(self, seen: Seen, at_s: float) -> Verdict:
        found = {gpu.device.uuid: gpu for look in seen.looks for gpu in look.devices}
        for device in self.spec.devices:
            if device.uuid:
                fate = self._fates.setdefault((device.kind, device.index), _Fate())
                self._fate(fate, device, found.get(device.uuid), seen, at_s)
        changed = self._note(self._remarks(seen), at_s)
        dead = tuple((key, fate.reason) for key, fate in self._fates.items() if fate.reason)
        return Verdict(
            self.spec,
            self._offered(self.spec.cpu_milli, self._base_cpus * 1000, self._cpus * 1000),
            self._offered(self.spec.mem_mib, self._base_mem, self._mem),
            dead,
            self._warnings,
            unsettled=bool(dead) or changed,
            happened=(),
        )

    @staticmethod
    def _offered(registered: int, base: int, now: int) -> int:
        """Of an amount: as registered, less what is missing. base: what was there when it was registered;
        what was declared beyond that stays."""
        return max(0, min(registered, now + max(0, registered - base)))

    def _fate(self, fate: _Fate, device: Device, found: Found | None, seen: Seen, at_s: float) -> None:
        leftover = seen.leftovers.get((device.kind, device.index), "")
        trouble = found.dead if found is not None else _missing(device, seen.looks)
        if trouble is None:  # nobody can tell: it stays what it was
            return
        if trouble or leftover:
            fate.well_since = None
            if fate.reason and not fate.leftover:
                return  # it was told why; the same fault has many names
            if trouble:
                fate.failed_at = [at for at in fate.failed_at if at > at_s - FORGIVEN_S] + [at_s]
            fate.reason, fate.leftover = trouble or leftover, not trouble
            return
        if not fate.reason:
            return
        if fate.well_since is None:
            fate.well_since = at_s
        wait_s = min(LONGEST_WELL_S, WELL_S * 2.0 ** (len(fate.failed_at) - 1))
        # A process that is gone is gone: that needs no time to be believed.
        if fate.leftover or at_s - fate.well_since >= wait_s:
            fate.reason, fate.leftover, fate.well_since = "", False, None

    # -- remarks

    def _remarks(self, seen: Seen) -> list[Remark]:
        numbers = {device.uuid: f"{device.kind} {device.index}" for device in self.spec.devices}
        remarks = list(seen.remarks)
        for look in seen.looks:
            remarks += look.remarks
            remarks += [
                Remark(remark.key, f"{numbers.get(found.device.uuid, found.device.uuid)} {remark.text}")
                for found in look.devices
                for remark in found.remarks
            ]
        return remarks

    def _note(self, remarks: list[Remark], at_s: float) -> bool:
        """Works out the warnings. True if some wait to be told."""
        now = {remark.key: remark.text for remark in remarks}
        for key, text in now.items():
            said = self._said.setdefault(key, _Said(text))
            said.times += 1
            said.last = at_s
        for key in [key for key, said in self._said.items() if key not in now]:
            said = self._said[key]
            if said.times < 2 or at_s - said.last >= REMARKS_S:
                del self._said[key]
        wanted = tuple(sorted(said.text for said in self._said.values() if said.times >= 2))[:MAX_REMARKS]
        if wanted != self._warnings and at_s - self._warned_at >= REMARKS_S:
            self._warnings, self._warned_at = wanted, at_s
        return any(said.times < 2 for said in self._said.values())


def _missing(device: Device, looks: tuple[Look, ...]) -> str | None:
    """Why a device is in no look; None if it may be in one that did not succeed."""
    for look in looks:
        if device.uuid.startswith(look.prefix):
            return look.missing if look.complete else None
    return "nothing on this machine tells of it any more"


def _happened(before: Verdict, after: Verdict) -> tuple[str, ...]:
    """What is worth a line of the agent's log."""
    was, now = dict(before.dead), dict(after.dead)
    told = [f"{kind} {index}: {why}" for (kind, index), why in after.dead if was.get((kind, index)) != why]
    told += [f"{kind} {index} is well again" for kind, index in was if (kind, index) not in now]
    if after.spec != before.spec:
        told.append("the hardware is registered anew")
    if after.cpu_milli != before.cpu_milli:
        told.append(f"{after.cpu_milli / 1000:g} CPUs can be used, {before.cpu_milli / 1000:g} before")
    if after.mem_mib != before.mem_mib:
        told.append(f"{after.mem_mib} MiB of memory can be used, {before.mem_mib} before")
    told += [warning for warning in after.warnings if warning not in before.warnings]
    return tuple(told)

"""Who has used how much: what fair share and dominant resource fairness go by.

Used CPU time is counted when a job lets go of it, and halves every `HALF_LIFE_S`, as with Slurm's
PriorityDecayHalfLife; a device counts as much as the CPUs of the cluster that go with it. What is held now is
counted apart, by kind of resource.
"""

from __future__ import annotations

import math
from typing import Final

from packhorse.scheduler.core.predictors import total_cpu_milli
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.resources import Ask, Placement

HALF_LIFE_S: Final = 7 * 86_400
"""Slurm's default."""

_REBASE: Final = 60.0
"""Powers of two that weights may grow by before all are divided."""


class Held:
    """What one user holds now: thousandths of CPUs, MiB, and thousandths of devices."""

    __slots__ = ("cpu_milli", "device_milli", "mem_mib")

    def __init__(self) -> None:
        self.cpu_milli = 0
        self.mem_mib = 0
        self.device_milli = 0


class UserUsage:
    """See the module. Users are numbers (uid). Those who hold nothing and have used next to nothing are
    forgotten."""

    __slots__ = ("_base", "_used", "held")

    def __init__(self) -> None:
        self.held: dict[int, Held] = {}
        self._used: dict[int, float] = {}
        self._base: Instant | None = None

    def take(self, uid: int, placements: tuple[Placement, ...], sign: int = 1) -> None:
        """A job of the user holds these from now on; sign -1: not any more."""
        held = self.held.get(uid)
        if held is None:
            held = self.held[uid] = Held()
        for placement in placements:
            held.cpu_milli += sign * placement.cpu_milli
            held.mem_mib += sign * placement.mem_mib
            held.device_milli += sign * device_milli(placement)
        if not (held.cpu_milli or held.mem_mib or held.device_milli):
            del self.held[uid]

    def use(self, uid: int, placements: tuple[Placement, ...], run_us: int, now: Instant) -> None:
        """A job of the user has had these for so long."""
        cpu_s = sum(p.cpu_milli + device_milli(p) for p in placements) / 1000 * (run_us / US)
        # Old use is not halved again and again: new use weighs the more instead.
        weight = 2 ** self._age(now)  # first: it may change the scale of all others
        self._used[uid] = self._used.get(uid, 0.0) + cpu_s * weight

    def used(self, now: Instant) -> dict[int, float]:
        """CPU seconds of each user, as of now; of those who have any."""
        weight = 2 ** -self._age(now)
        return {uid: used * weight for uid, used in self._used.items()}

    def _age(self, now: Instant) -> float:
        """Half-lives since the time at which use weighs one."""
        if self._base is None:
            self._base = now
        age = (now - self._base) / (HALF_LIFE_S * US)
        if age > _REBASE:
            whole = math.floor(age)
            scaled = {uid: used * 2.0**-whole for uid, used in self._used.items()}
            self._used = {uid: used for uid, used in scaled.items() if used > 1.0}
            self._base = Instant(self._base + whole * HALF_LIFE_S * US)
            age -= whole
        return age


def about(ask: Ask) -> tuple[float, float, float]:
    """CPU in thousandths, MiB and thousandths of devices that a job takes in all, near enough for its
    share."""
    cpu = total_cpu_milli(ask)
    mem = ask.mem_mib_per_node * max(ask.min_nodes, 1) or ask.mem_mib_per_cpu * cpu / 1000
    devices = sum(g.n * g.milli for g in ask.gres_per_job)
    devices += sum(g.n * g.milli for g in ask.gres_per_task) * ask.n_tasks
    devices += sum(g.n * g.milli for g in ask.gres_per_node) * max(ask.min_nodes, 1)
    return float(cpu), float(mem), float(devices)


def device_milli(placement: Placement) -> int:
    """Thousandths of devices in it."""
    return sum(d.milli * len(d.indices) for d in placement.devices)

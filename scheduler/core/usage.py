"""Who has used how much: what fair share and dominant resource fairness go by.

Used CPU time is counted when a job lets go of it, and halves every `HALF_LIFE_S`, as with Slurm's
PriorityDecayHalfLife; a device counts as much as the CPUs of the cluster that go with it. What is held now is
counted apart, by kind of resource.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from packhorse.scheduler.core.predictors import total_cpu_milli
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Job
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
    """See the module. Users are numbers (uid); what is held is counted by account as well, by its name. Those
    who hold nothing and have used next to nothing are forgotten.

    What was used is a part of the state; what is held follows from the jobs that hold it.
    """

    __slots__ = ("_base", "_used", "held")

    def __init__(self) -> None:
        self.held: dict[int | str, Held] = {}
        self._used: dict[int, float] = {}
        self._base: Instant | None = None

    def take(self, who: int | str, placements: tuple[Placement, ...], sign: int = 1) -> None:
        """A job of the user, or of the account, holds these from now on; sign -1: not any more."""
        held = self.held.get(who)
        if held is None:
            held = self.held[who] = Held()
        for placement in placements:
            held.cpu_milli += sign * placement.cpu_milli
            held.mem_mib += sign * placement.mem_mib
            held.device_milli += sign * device_milli(placement)
        if not (held.cpu_milli or held.mem_mib or held.device_milli):
            del self.held[who]

    def take_cpus(self, job: Job, placements: tuple[Placement, ...], sign: int) -> None:
        """A suspended job has its CPUs again; sign -1: has given them back."""
        for who in (job.owner.uid, job.spec.account):
            if who == "":
                continue
            held = self.held.setdefault(who, Held())
            held.cpu_milli += sign * sum(p.cpu_milli for p in placements)
            if not (held.cpu_milli or held.mem_mib or held.device_milli):
                del self.held[who]

    def use(self, uid: int, placements: tuple[Placement, ...], run_us: int, now: Instant) -> None:
        """A job of the user has had these for so long."""
        cpu_s = sum([p.cpu_milli + device_milli(p) for p in placements]) / 1000 * (run_us / US)
        # Old use is not halved again and again: new use weighs the more instead.
        weight = 2 ** self._rebased(now)  # first: it may change the scale of all others
        self._used[uid] = self._used.get(uid, 0.0) + cpu_s * weight

    def used(self, now: Instant) -> dict[int, float]:
        """CPU seconds of each user, as of now; of those who have any."""
        if self._base is None:
            return {}
        age = (now - self._base) / (HALF_LIFE_S * US)
        whole = math.floor(age) if age > _REBASE else 0
        weight = 2.0 ** (whole - age)
        return {uid: used * weight for uid, used in self._scaled(whole).items()}

    def past(self) -> tuple[Instant | None, dict[int, float]]:
        """Since when use is weighed, and the weighed use of each user. Not to be changed."""
        return self._base, self._used

    def restore(self, base: Instant | None, used: Iterable[tuple[int, float]]) -> None:
        """More of what was remembered, after what is there."""
        self._base = base
        self._used.update(used)

    def copy(self) -> UserUsage:
        """What was used, as it is now; nothing that is held."""
        copy = UserUsage()
        copy.restore(self._base, self._used.items())
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UserUsage):
            return NotImplemented
        return self._base == other._base and list(self._used.items()) == list(other._used.items())

    __hash__ = None  # type: ignore[assignment]

    def _rebased(self, now: Instant) -> float:
        """Half-lives since the time at which use weighs one, which is moved where that is long ago."""
        if self._base is None:
            self._base = now
        age = (now - self._base) / (HALF_LIFE_S * US)
        if age > _REBASE:
            whole = math.floor(age)
            self._used = self._scaled(whole)
            self._base = Instant(self._base + whole * HALF_LIFE_S * US)
            age -= whole
        return age

    def _scaled(self, whole: int) -> dict[int, float]:
        """The weighed use if weights began so many half-lives later, of those of whom anything is left."""
        if not whole:
            return self._used
        scaled = {uid: used * 2.0**-whole for uid, used in self._used.items()}
        return {uid: used for uid, used in scaled.items() if used > 1.0}


def dominant_shares(of: np.ndarray, held: np.ndarray, wants: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Of each row: the largest share of a resource that its holder has once all that the holder has waiting
    before it runs as well `[n]`.

    of: number of each row's holder `[n]`. held: by them now `[3, n_holders]`. wants: of each row `[3, n]`.
    total: of the cluster `[3]`. Progressive filling: Ghodsi et al., NSDI 2011.
    """
    by_holder = np.argsort(of, kind="stable")
    before = wants[:, by_holder].cumsum(axis=1) - wants[:, by_holder]
    first = np.searchsorted(of[by_holder], np.arange(held.shape[1]))
    first = np.minimum(first, max(of.size - 1, 0))  # a holder without rows
    before -= before[:, first][:, of[by_holder]]
    share = (held[:, of[by_holder]] + before) / np.maximum(total, 1)[:, None]
    dominant = np.empty(of.size)
    dominant[by_holder] = share.max(axis=0)
    return dominant


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
    devices = placement.devices
    return sum([d.milli * len(d.indices) for d in devices]) if devices else 0

"""What a state derives from its reservations: who runs in which, when something of them is due, and the
picture that passes work with, kept until something of it changes."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.reservations.picture import Picture
from packhorse.scheduler.core.reservations.window import over_run_us, window, windows
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId
from packhorse.scheduler.model.reservation import PURGE_COMP, Reservation


class Windows:
    """See the module.

    inside: the running jobs of each reservation that has any. wake_at: a window begins or ends then, so that
    a pass is due; UNKNOWN for never. Like the instant at which a reservation is over it is worked out by
    `changed`, whenever a reservation or what runs in it is another than before.
    """

    __slots__ = ("_due", "_picture", "_version", "inside", "version", "wake_at")

    def __init__(self) -> None:
        self.inside: dict[str, dict[JobId, None]] = {}
        self.wake_at: Instant = UNKNOWN
        self.version = 0
        self._picture: Picture | None = None
        self._due: Instant | None = None
        self._version = -1

    def changed(self, reservations: Mapping[str, Reservation], now: Instant) -> None:
        """A reservation came, went or is another."""
        self.version += 1
        self.wake(reservations, now)

    def wake(self, reservations: Mapping[str, Reservation], now: Instant) -> None:
        """Sets when the next window begins or ends."""
        times = []
        for r in reservations.values():
            found = window(r, now)
            times += [at for at in found if at > now]
        self.wake_at = min(times, default=UNKNOWN)

    def enter(self, name: str, job: JobId) -> None:
        """The job runs in the reservation."""
        self.inside.setdefault(name, {})[job] = None
        self.version += 1

    def leave(self, name: str, job: JobId) -> None:
        """It does so no more."""
        jobs = self.inside[name]
        del jobs[job]
        if not jobs:
            del self.inside[name]
        self.version += 1

    def due(self, reservations: Mapping[str, Reservation], config: ClusterConfig) -> Instant | None:
        """When the first of them is over, or has been unused for too long; None for never."""
        if not reservations:
            return None
        if self._version != self.version:
            self._version = self.version
            over_run_s = config.resv_over_run_s
            self._due = min(over_at(r, over_run_s, r.name in self.inside) for r in reservations.values())
        return self._due

    def picture(
        self, reservations: Mapping[str, Reservation], board: Board, config: ClusterConfig, now: Instant
    ) -> Picture:
        """What passes at this instant work with."""
        found = self._picture
        made_from = (self.version, board.serial, config.resv_over_run_s)
        if found is None or found.made_from != made_from or not found.since <= now < found.until:
            found = self._picture = Picture(reservations, board, config.resv_over_run_s, now, made_from)
        return found


def over_at(r: Reservation, over_run_s: int, in_use: bool) -> Instant:
    """When the reservation goes, or moves on: its jobs have had their over-run by then."""
    end = r.end_at + over_run_us(r, over_run_s)
    idle = idle_at(r)
    return Instant(min(end, idle)) if idle and not in_use else Instant(end)


def idle_at(r: Reservation) -> Instant:
    """When it has been unused for as long as PURGE_COMP allows, if nobody comes; UNKNOWN: never."""
    if PURGE_COMP not in r.flags or r.purge_after_s < 0:
        return UNKNOWN
    return Instant(max(r.start_at, r.used_at) + r.purge_after_s * US)


def next_of(r: Reservation, now: Instant) -> Reservation | None:
    """The reservation once its present window is over for good, None if it does not repeat."""
    if not r.repeat:
        return None
    for found in windows(r, now):
        if found.start > r.start_at:
            return replace(r, start_at=found.start, end_at=found.end)
    return None

"""Licences that reservations set aside, as one pass gives them out: others leave alone what of them the
reservation's own jobs do not hold, from when a job would stand in the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packhorse.scheduler.core.licenses import Wanted
from packhorse.scheduler.core.reservations.picture import Reserved
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.gresspec import parse_licenses


class Kept:
    """See the module."""

    def __init__(self, state: State, reserved: Sequence[Reserved], free: Mapping[str, int]) -> None:
        """free: of each licence; looked at when asked, so that what is given out counts."""
        self._free = free
        self._windows: list[tuple[str, int, dict[str, int]]] = []
        for one in reserved:
            left = dict(one.licenses)
            for id in state.windows.inside.get(one.reservation, ()):
                for name, n in parse_licenses(state.jobs[id].spec.licenses):
                    if name in left:
                        left[name] = max(left[name] - n, 0)
            self._windows.append((one.reservation, one.window.start, left))

    def jobs(self, wanted: Wanted, reservation: str, end: int) -> int:
        """For how many jobs of this reservation ("" for none) that end then there are enough."""
        kept: dict[str, int] = {}
        for name, start, left in self._windows:
            if name != reservation and start < end:
                for license, n in left.items():
                    kept[license] = kept.get(license, 0) + n
        return min(max(self._free.get(name, 0) - kept.get(name, 0), 0) // n for name, n in wanted)

    def take(self, wanted: Wanted, reservation: str, jobs: int) -> None:
        """So many jobs of the reservation have started."""
        for name, _, left in self._windows:
            if name == reservation:
                for license, n in wanted:
                    if license in left:
                        left[license] = max(left[license] - n * jobs, 0)

"""Which GPUs something of an ended job still uses: decisions, without I/O.

Only what can have come from a job is held against a device, so that a desktop, a monitor or somebody's
notebook on a shared machine does not take GPUs away from the queue:

- nothing on a device that no job of ours has held since it was last free of such processes;
- nothing that began before the first of these jobs got the device, or after the last one's end;
- nothing that descends from the supervisor of an attempt that runs;
- where another attempt holds the device meanwhile, only what runs as the user of one that has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from packhorse.scheduler.model.ids import AttemptKey
from packhorse.scheduler.model.resources import Devices

Key = tuple[str, int]
"""Kind and index of a device."""

SERVERS = frozenset(("nvidia-cuda-mps-server", "nvidia-cuda-mps-control", "nvidia-persistenced"))
"""They serve jobs and belong to none."""

MAX_HOLDS = 256
"""Of one device that are remembered; jobs may have shares of it."""

SLACK_S = 1.0
"""A process's start is known to a hundredth of a second, and by another clock than ours."""


class Process(NamedTuple):
    """A process that uses a device. began_at: in seconds of the clock that grants are told in, which has to
    be one that nobody sets.
    """

    pid: int
    name: str
    uid: int
    began_at: float


class _Hold(msgspec.Struct):
    """An attempt and its time on a device; to is 0 while it runs."""

    attempt: AttemptKey
    uid: int
    since: float
    to: float = 0.0


class Leftovers:
    """Remembers who held what."""

    def __init__(self) -> None:
        self._holds: dict[Key, list[_Hold]] = {}

    def granted(self, attempt: AttemptKey, uid: int, devices: Iterable[Devices], at_s: float) -> None:
        """An attempt is about to start with these devices, or was found running with them since `at_s`."""
        for held in devices:
            for index in held.indices:
                holds = self._holds.setdefault((held.kind, index), [])
                if any(hold.attempt == attempt and not hold.to for hold in holds):
                    continue  # it is started once more
                if len(holds) >= MAX_HOLDS:  # its library has been silent for long
                    holds.pop(0)
                holds.append(_Hold(attempt, uid, at_s))

    def ended(self, attempt: AttemptKey, at_s: float) -> list[Key]:
        """Nothing of it should be left. The devices that it held."""
        keys = []
        for key, holds in self._holds.items():
            for hold in holds:
                if hold.attempt == attempt and not hold.to:
                    hold.to = at_s
                    keys.append(key)
        return keys

    @property
    def busy(self) -> bool:
        """Attempts hold devices, or have held some that may not be free of them."""
        return bool(self._holds)

    @property
    def watched(self) -> list[Key]:
        """Devices on which something of an ended attempt could be left."""
        return sorted(key for key, holds in self._holds.items() if any(hold.to for hold in holds))

    def judge(
        self,
        pids: Mapping[Key, Iterable[int]],
        describe: Callable[[int], Process | None],
        runs: Callable[[int], bool],
    ) -> dict[Key, str]:
        """Device -> why it is not to be given away yet. pids: who uses each device, as its library says;
        a device that is not in it is not known of, and stays as it is.

        describe: None for one that is not to be seen from here. runs: whether it belongs to an attempt that
        runs.
        """
        found = {}
        for key in self.watched:
            if key not in pids:
                continue
            for pid in sorted(pids[key]):
                process = describe(pid)
                if process is not None and not runs(pid) and self._is_left(key, process):
                    found[key] = f"process {pid} ({process.name}) of an ended job still uses it"
                    break
            if key not in found:
                self._forget(key)
        return found

    def _is_left(self, key: Key, process: Process) -> bool:
        holds = self._holds[key]
        over = [hold for hold in holds if hold.to]
        now = [hold for hold in holds if not hold.to]
        if process.name in SERVERS:
            return False
        return any(
            hold.since - SLACK_S <= process.began_at <= hold.to + SLACK_S
            and (not now or process.uid == hold.uid)
            for hold in over
        )

    def _forget(self, key: Key) -> None:
        """The device is free of what has ended."""
        left = [hold for hold in self._holds[key] if not hold.to]
        if left:
            self._holds[key] = left
        else:
            del self._holds[key]

"""Readings of a node's GPUs, one after the other, by threads that may hang without anybody waiting for
them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from packhorse.agent.sampling.nvml import MAX_POWER_MW, Gpus, Reading
from packhorse.scheduler.model.sample import DeviceSample

PATIENCE_S = 5.0
"""A driver that takes longer is left to itself until it comes back."""

POLL_S = 0.1
"""Between looks whether a reading has come."""

MAX_GAP_S = 15.0
"""One reading stands for no longer time than this before it: nobody knows what was in between."""


ENERGY_SLACK_S = 1.0
"""A reading takes a while, and drivers count energy in steps."""


class Turn(NamedTuple):
    """What a reading brought: by index of the device. spent_mj: energy since the reading before.

    seconds: for how long, up to it, it stands.
    """

    readings: Mapping[int, Reading]
    spent_mj: Mapping[int, int]
    seconds: float


class _Call:
    """One call of Gpus.read in a thread. It ends with the process, whatever it waits for."""

    def __init__(self, gpus: Gpus) -> None:
        self.asked_at = time.monotonic()
        self.at = 0.0
        self.readings: Sequence[Reading] = ()
        self.odd: Sequence[str] = ()
        self._gpus = gpus
        self.done = threading.Event()
        threading.Thread(target=self._run, name="gpus", daemon=True).start()

    def _run(self) -> None:
        try:
            self.readings, self.odd = self._gpus.read()
        except Exception as error:  # whatever a driver's library does, the node works on
            self.odd = [f"GPUs cannot be read: {type(error).__name__}: {error}"]
        self.at = time.monotonic()
        self.done.set()


class GpuFeed:
    """Asks and collects. odd: told what is strange. samples: the newest of all devices, () if not known.

    due: when `poll` wants to be called again (monotonic clock).
    """

    def __init__(self, gpus: Gpus, odd: Callable[[str], None]) -> None:
        self.due = 0.0
        self.samples: tuple[DeviceSample, ...] = ()
        self._gpus = gpus
        self._odd = odd
        self._call: _Call | None = None
        self._read_at = 0.0
        self._energy_mj: dict[int, int] = {}

    def poll(self, now: float, interval_s: float) -> Turn | None:
        """A reading, if one has come; the next is asked for `interval_s` after it."""
        call = self._call
        if call is None:
            if now >= self.due:
                self._call = _Call(self._gpus)
                self.due = now + POLL_S
            return None
        if not call.done.is_set():
            self.due = now + POLL_S
            if now - call.asked_at > PATIENCE_S:
                self._odd("the NVIDIA driver does not answer: what the GPUs do is not known")
                self.samples = ()
                self.due = now + PATIENCE_S
            return None
        self._call = None
        self.due = call.at + interval_s
        for text in call.odd:
            self._odd(text)
        gap_s = call.at - self._read_at
        seconds = min(gap_s, MAX_GAP_S) if self._read_at else 0.0
        self._read_at = call.at
        self.samples = tuple([reading.sample for reading in call.readings])
        return Turn({r.sample.index: r for r in call.readings}, self._spent(call.readings, gap_s), seconds)

    def _spent(self, readings: Sequence[Reading], gap_s: float) -> dict[int, int]:
        """Energy of each GPU since the reading before, gap_s ago; a counter that went back began anew."""
        spent = {}
        told = {r.sample.index: r.energy_mj for r in readings if r.energy_mj is not None}
        for index, energy in told.items():
            before = self._energy_mj.get(index)
            if before is not None and energy < before:
                self._odd(f"GPU {index}: its count of energy went backwards")
            elif before is not None and energy - before > MAX_POWER_MW * (gap_s + ENERGY_SLACK_S):
                self._odd(f"GPU {index}: its count of energy jumped by {(energy - before) // 1000} J")
            elif before is not None:
                spent[index] = energy - before
        self._energy_mj = told
        return spent

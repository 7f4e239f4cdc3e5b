"""Asks every maker's devices in a thread of its own, which may hang without anything else hanging with it."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from packhorse.agent.inventory import amd, nvidia, tpu
from packhorse.agent.inventory.found import Look, Remark

NVIDIA = "0x10de"
FIRST_S = 30.0
"""How long the first look may take before the node registers without it: a driver that has to set up eight
GPUs takes some seconds for each."""
SLICE_S = 1.0
"""Of waiting for errors that a driver reports: a wish to look is heard after so long …"""
BUSY_SLICE_S = 0.05
"""… and while jobs have devices, whose ends wait for a look."""

STORM_S = 0.5
"""At least between two looks that errors call for: a sick GPU may report hundreds a second."""


class Places(NamedTuple):
    """Where the kernel shows devices, and what this process was told of them."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    environment: Mapping[str, str] = os.environ


class Probes:
    """The thread and its results. start() begins; looks are told by `told`, in the thread."""

    def __init__(self, places: Places = Places()) -> None:  # noqa: B008 - frozen
        self.places = places
        self.note = ""
        """Why no NVIDIA GPUs are looked for, "" if they are."""
        self.defect: Remark | None = None
        """What went wrong in this code at the last look."""
        self._told: Callable[[], None] | None = None
        self._looks: tuple[Look, ...] | None = None
        self._first = threading.Event()
        self._again = threading.Event()
        self._lock = threading.Lock()
        self._looking = False
        self._stop = False
        self._nvml: nvidia.Nvml | None = None
        self._thread: threading.Thread | None = None
        self._began_at = 0.0
        self.interval_s = 10.0
        self.busy = False
        """Whether jobs have devices."""
        self.rounds = 0

    def start(self) -> None:
        """Begin to look."""
        self._began_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="hardware", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more looks. The thread is not waited for: it may hang."""
        self._stop = True
        self._again.set()

    def tell(self, told: Callable[[], None]) -> None:
        """Whom to call after each look, in the thread."""
        self._told = told

    def again(self) -> int:
        """Look now. Returns the round in which everything after this moment is seen."""
        with self._lock:
            self._again.set()
            return self.rounds + (2 if self._looking else 1)

    def first(self, limit_s: float = FIRST_S) -> tuple[Look, ...] | None:
        """The first look; None if it takes longer than that."""
        self._first.wait(limit_s)
        return self._looks

    @property
    def looks(self) -> tuple[Look, ...] | None:
        """The newest; None if there was none yet."""
        return self._looks

    def silence(self) -> Remark | None:
        """What to say where a look takes longer than it ever should."""
        if not self._looking or time.monotonic() - self._began_at < FIRST_S:
            return None
        what = self._nvml.doing if self._nvml is not None and self._nvml.doing else "a look at the devices"
        return Remark("silence", f"the driver of its devices does not answer ({what})")

    # -- in the thread

    def _run(self) -> None:
        if nvidia.present():
            self._nvml = nvidia.Nvml(self.places.sys)
        else:
            self.note = "no NVIDIA driver here (libnvidia-ml.so.1 cannot be loaded)"
        while not self._stop:
            with self._lock:
                self._again.clear()
                self._looking = True
            self._began_at = time.monotonic()
            try:
                self._looks = self._look()
                self.defect = None
            except Exception as error:  # outermost frame of the thread: nothing here may stop scheduling
                self.defect = Remark("defect", f"the look at its devices failed ({error!r})")
            with self._lock:
                self._looking = False
                self.rounds += 1
            self._first.set()
            if self._told is not None:
                with contextlib.suppress(RuntimeError):  # the loop that wants to know has ended
                    self._told()
            self._wait()
        if self._nvml is not None:
            self._nvml.close()

    def _look(self) -> tuple[Look, ...]:
        places = self.places
        looks = []
        if self._nvml is not None:
            look = self._nvml.look()
            if not look.complete and self._looks is None and not _has_nvidia(places.sys):
                self.note = "; ".join(remark.text for remark in look.remarks)
                self._nvml = None
            else:
                looks.append(look)
                self._nvml.watch(look.devices)
        looks += [amd.look(places.sys), tpu.look(places.dev, places.sys, places.environment)]
        return tuple(looks)

    def _wait(self) -> None:
        until = time.monotonic() + self.interval_s
        while not self._stop and (left := until - time.monotonic()) > 0:
            slice_s = BUSY_SLICE_S if self.busy else SLICE_S
            events = self._nvml.wait(min(left, slice_s)) if self._nvml is not None else None
            if events:
                self._again.wait(max(0.0, self._began_at + STORM_S - time.monotonic()))
                return
            if self._again.wait(0 if events is not None else left):
                return


def _has_nvidia(sys: Path) -> bool:
    """Whether the PCI bus has something of NVIDIA's, whatever the driver says."""
    for vendor in sys.glob("bus/pci/devices/*/vendor"):
        with contextlib.suppress(OSError):
            if vendor.read_text().strip() == NVIDIA:
                return True
    return False

"""What the node and its running jobs use, sampled."""

from __future__ import annotations

import os
from collections.abc import Iterable

import psutil

from packhorse.agent.launch.launcher import AttemptUse
from packhorse.agent.orders import AttemptSample, UsageSample
from packhorse.scheduler.model.ids import AttemptKey, Instant
from packhorse.scheduler.model.resources import Usage

MIB = 1 << 20


class Sampler:
    """Takes samples; remembers the last processor times to tell the share in between, and memory peaks."""

    def __init__(self) -> None:
        self._busy, self._total = _cpu_times()
        self._peak_kib: dict[AttemptKey, int] = {}

    def take(self, now: Instant, attempts: Iterable[tuple[AttemptKey, AttemptUse]]) -> UsageSample:
        """A sample of the node, with what its attempts use."""
        busy, total = _cpu_times()
        share = (busy - self._busy) / (total - self._total) if total > self._total else 0.0
        self._busy, self._total = busy, total
        memory = psutil.virtual_memory()
        samples = []
        peaks = {}
        for key, use in attempts:
            peaks[key] = max(use.mem_kib, self._peak_kib.get(key, 0))
            usage = Usage(user_cpu_us=use.user_us, system_cpu_us=use.system_us, max_rss_kib=peaks[key])
            samples.append(AttemptSample(key, usage, rss_kib=use.mem_kib))
        self._peak_kib = peaks
        return UsageSample(
            at=now,
            cpu_milli_used=max(0, round(share * 1000 * (os.cpu_count() or 1))),
            mem_mib_used=(memory.total - memory.available) // MIB,
            mem_mib_free=memory.available // MIB,
            load_milli=round(os.getloadavg()[0] * 1000),
            attempts=tuple(samples),
        )


def _cpu_times() -> tuple[float, float]:
    """Busy and total processor seconds since boot, over all processors."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guest times are part of user and nice already
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - idle, total

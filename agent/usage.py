"""What the node and its running jobs use, sampled."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import psutil

from packhorse.agent.orders import AttemptSample, UsageSample
from packhorse.scheduler.model.ids import US, AttemptKey, Instant
from packhorse.scheduler.model.resources import Usage

MIB = 1 << 20


class Sampler:
    """Takes samples; remembers the last processor times to tell the share in between."""

    def __init__(self) -> None:
        self._busy, self._total = _cpu_times()
        self._peak_rss: dict[AttemptKey, int] = {}

    def take(self, now: Instant, supervisors: Iterable[tuple[AttemptKey, int]]) -> UsageSample:
        """A sample of the node and of every attempt, given as (key, pid of its supervisor)."""
        busy, total = _cpu_times()
        share = (busy - self._busy) / (total - self._total) if total > self._total else 0.0
        self._busy, self._total = busy, total
        memory = psutil.virtual_memory()
        samples = tuple(self._attempt(key, pid) for key, pid in supervisors)
        alive = {sample.attempt for sample in samples}
        self._peak_rss = {key: peak for key, peak in self._peak_rss.items() if key in alive}
        return UsageSample(
            at=now,
            cpu_milli_used=round(share * 1000 * (os.cpu_count() or 1)),
            mem_mib_used=(memory.total - memory.available) // MIB,
            mem_mib_free=memory.available // MIB,
            load_milli=round(os.getloadavg()[0] * 1000),
            attempts=samples,
        )

    def _attempt(self, key: AttemptKey, supervisor: int) -> AttemptSample:
        """Sums over the processes below the supervisor; those that vanish meanwhile are left out."""
        user = system = 0.0
        rss = vm = read = written = 0
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(supervisor).children(recursive=True):
                with contextlib.suppress(psutil.Error), process.oneshot():
                    times = process.cpu_times()
                    user += times.user + times.children_user
                    system += times.system + times.children_system
                    sizes = process.memory_info()
                    rss += sizes.rss
                    vm += sizes.vms
                    with contextlib.suppress(psutil.Error, OSError):
                        io = process.io_counters()
                        read += io.read_bytes
                        written += io.write_bytes
        peak = self._peak_rss[key] = max(rss // 1024, self._peak_rss.get(key, 0))
        usage = Usage(
            user_cpu_us=round(user * US),
            system_cpu_us=round(system * US),
            max_rss_kib=peak,
            max_vm_kib=vm // 1024,
            disk_read_bytes=read,
            disk_write_bytes=written,
        )
        return AttemptSample(key, usage, rss_kib=rss // 1024)


def _cpu_times() -> tuple[float, float]:
    """Busy and total processor seconds since boot, over all processors."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guest times are part of user and nice already
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - idle, total

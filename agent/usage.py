"""What the node and its running jobs use, sampled as often as what is seen asks for.

`step` does what is due and says how long to wait; the agent's runtime calls it again and again. Reports go
out every `report_s`, and at once where memory is lent and somebody's grows, or the node's runs low. What
cannot be read, or reads like nonsense, becomes a warning and never an end.
"""

from __future__ import annotations

import os
import time

import psutil
import structlog

from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.orders import LaunchOrder, UsageSample
from packhorse.agent.sampling import pace
from packhorse.agent.sampling.attempt import AttemptMeter, Kept
from packhorse.agent.sampling.gpufeed import GpuFeed
from packhorse.agent.sampling.nvml import Gpus
from packhorse.agent.sampling.openfile import OpenFile
from packhorse.scheduler.model.ids import AttemptKey, Instant

log = structlog.get_logger()

FIRST_LOOK_S = 1.0
"""A job that just started is looked at soon, but not before it did something."""

GPU_S = 5.0
"""Between readings of GPUs; while one of their jobs is young, YOUNG_GPU_S."""

YOUNG_GPU_S = 2.0
YOUNG_S = 60.0

KEEP_S = 10.0
"""Between two writes of an attempt's figures to its directory."""

URGENT_S = 0.2
"""At least between two reports that are sent before their time."""

LOW_PART = 16
"""Less free memory than one part in so many of all is low."""

WARN_S = 600.0
"""A warning stays for so long after what it tells of was last seen."""

MAX_WARNINGS = 8


class _Watched:
    """An attempt and when it is due. Times are of the monotonic clock."""

    __slots__ = ("began", "due", "is_measured", "looked_kib", "looks_at", "memory_due", "meter", "told_kib")

    def __init__(self, meter: AttemptMeter, began: float, due: float) -> None:
        self.meter = meter
        self.began = began
        self.due = due  # a look at everything
        self.memory_due = due
        self.is_measured = False
        self.looks_at = 0.0  # the last pause between looks at its memory
        self.looked_kib = 0
        self.told_kib = 0


class Sampler:
    """Follows the attempts of one node. gpus: None on a node without.

    report_s: seconds between reports, as the scheduler asks.
    """

    def __init__(self, gpus: Gpus | None = None) -> None:
        self.report_s = 10.0
        self._watched: dict[AttemptKey, _Watched] = {}
        self._gpus = GpuFeed(gpus, self._odd) if gpus is not None and gpus.devices else None
        self._busy, self._total = _cpu_times()
        self._meminfo = OpenFile("/proc/meminfo")
        self._pressure = OpenFile("/proc/pressure/memory")
        self._report_due = 0.0
        self._reported_at = 0.0
        self._low = False
        self._lent_due = 0.0
        self._rest_until = 0.0
        self._keep_due = 0.0
        self._warnings: dict[str, float] = {}

    # -- what there is to follow

    def watch(self, key: AttemptKey, supervised: Supervised, order: LaunchOrder | None) -> None:
        """Follow this attempt. order: None where it is not known any more."""
        age_s = max(0.0, time.time() - supervised.started_at / 1e6)
        now = time.monotonic()
        try:
            meter = AttemptMeter(key, supervised, order, self._odd)
        except Exception as error:  # it runs all the same
            self.failed(error, key)
            return
        if not self._watched:  # an idle node reports seldom, and its first job must not wait for that
            self._report_due = min(self._report_due, now + 2 * FIRST_LOOK_S)
        due = now + max(0.0, FIRST_LOOK_S - age_s)
        self._watched[key] = _Watched(meter, now - age_s, due)
        if len(self._watched) == 1:  # reports of an idle node are far apart
            self._report_due = min(self._report_due, due)

    def suspended(self, key: AttemptKey, on: bool) -> None:
        """The attempt was suspended, or goes on."""
        if (watched := self._watched.get(key)) is not None:
            watched.meter.is_suspended = on

    def end(self, key: AttemptKey) -> Kept:
        """The attempt is over: what was measured of it."""
        watched = self._watched.pop(key, None)
        if watched is None:
            return Kept()
        watched.meter.close()
        return watched.meter.kept()

    def keep_all(self) -> None:
        """Write down everything now: this agent ends."""
        for watched in self._watched.values():
            self._keep(watched.meter)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an operator should know, in a steady order."""
        now = time.monotonic()
        self._warnings = {text: at for text, at in self._warnings.items() if now - at < WARN_S}
        texts = sorted(self._warnings)
        if len(texts) > MAX_WARNINGS:
            texts = [*texts[: MAX_WARNINGS - 1], f"and {len(texts) - MAX_WARNINGS + 1} more about sampling"]
        return tuple(texts)

    def failed(self, error: Exception, key: AttemptKey | None = None) -> None:
        """A step raised, or what it did for one attempt: say so, and go on after a while."""
        log.error("sampling.failed", attempt=str(key or ""), exc_info=error)
        of = f" of attempt {key}" if key is not None else ""
        self._odd(f"sampling{of} failed: {type(error).__name__}: {error}")
        if key is None:
            self._rest_until = time.monotonic() + self.report_s

    def _odd(self, text: str) -> None:
        if text not in self._warnings:
            log.warning("sampling.odd", what=text)
        self._warnings[text] = time.monotonic()

    # -- one step

    def pause_s(self) -> float:
        """How long there is nothing to do, if nothing else begins."""
        dues = [self._report_due, *(min(w.due, w.memory_due) for w in self._watched.values())]
        if self._gpus is not None:
            dues.append(self._gpus.due)
        now = time.monotonic()
        at = max(min(dues), self._rest_until)
        if self._lends():
            at = min(at, self._lent_due)
        return max(0.0, at - now)

    def report_now(self) -> None:
        """Somebody listens anew."""
        self._report_due = 0.0

    def step(self, at: Instant) -> UsageSample | None:
        """Do what is due. Returns a report if one is: as of `at`."""
        begun = time.thread_time()
        now = time.monotonic()
        if self._gpus is not None:
            self._read_gpus(self._gpus, now)
        lent_due = self._lends() and self._lent_due <= now
        if lent_due:
            self._lent_due = now + pace.LENT_S
        for watched in self._watched.values():
            try:
                if watched.due <= now or watched.memory_due <= now:
                    self._look(watched, now)
                elif lent_due and watched.is_measured:
                    watched.meter.look_at_memory()
            except Exception as error:  # one attempt that cannot be measured must not hide the others
                # Nor is it told that it uses what it used when it last could be.
                watched.is_measured = False
                watched.due = watched.memory_due = now + self.report_s
                self.failed(error, watched.meter.key)
        report = None
        if now >= self._report_due or self._is_urgent(now):
            report = self._report(at, now)
        if now >= self._keep_due:
            self._keep_due = now + KEEP_S
            self.keep_all()
        cost_s = time.thread_time() - begun
        self._rest_until = now + pace.rest_s(cost_s, len(self._watched))
        return report

    def _lends(self) -> bool:
        return any(watched.meter.is_lent for watched in self._watched.values())

    def _look(self, watched: _Watched, now: float) -> None:
        meter, age_s = watched.meter, now - watched.began
        if watched.due <= now:
            meter.look()
            watched.due = now + pace.look_at_all_s(age_s, self.report_s)
        else:
            meter.look_at_memory()
        watched.is_measured = True
        moved = pace.moved(watched.looked_kib, meter.mem_kib, meter.limit_kib, pace.MOVED)
        near = pace.near(meter.mem_kib, meter.limit_kib)
        watched.looked_kib = meter.mem_kib
        watched.looks_at = pace.look_again_s(watched.looks_at, age_s, self.report_s, moved=moved, near=near)
        watched.memory_due = now + watched.looks_at

    def _read_gpus(self, gpus: GpuFeed, now: float) -> None:
        held = [watched for watched in self._watched.values() if watched.meter.devices]
        young = any(now - watched.began < YOUNG_S for watched in held)
        interval_s = YOUNG_GPU_S if young else GPU_S if held else max(GPU_S, self.report_s)
        if held and gpus.due > now + interval_s:
            gpus.due = now  # the first job after a quiet time
        turn = gpus.poll(now, interval_s)
        if turn is None:
            return
        for watched in held:
            own_s = max(0.0, min(turn.seconds, now - watched.began))
            part = own_s / turn.seconds if turn.seconds else 0.0
            own_mj = {index: round(energy * part) for index, energy in turn.spent_mj.items()}
            watched.meter.took_gpus(turn.readings, own_mj, own_s)

    def _is_urgent(self, now: float) -> bool:
        """Memory is lent here, and somebody's has grown since it was last told, or the node's runs low."""
        if not self._lends() or now - self._reported_at < URGENT_S:
            return False
        for watched in self._watched.values():
            meter = watched.meter
            grown = meter.mem_kib > watched.told_kib
            if grown and pace.moved(watched.told_kib, meter.mem_kib, meter.limit_kib, pace.GROWN):
                return True
        total_kib, available_kib = self._node_memory()
        low = available_kib * LOW_PART < total_kib
        news = low and (not self._low or now - self._reported_at >= 1.0)
        self._low = low
        return news

    def _report(self, at: Instant, now: float) -> UsageSample:
        busy, total = _cpu_times()
        share = (busy - self._busy) / (total - self._total) if total > self._total else 0.0
        self._busy, self._total = busy, total
        total_kib, available_kib = self._node_memory()
        for watched in self._watched.values():
            watched.told_kib = watched.meter.mem_kib
        self._reported_at = now
        self._report_due = now + self.report_s
        return UsageSample(
            at=at,
            cpu_milli_used=max(0, round(share * 1000 * (os.cpu_count() or 1))),
            mem_mib_used=(total_kib - available_kib) // 1024,
            mem_mib_free=available_kib // 1024,
            load_milli=round(os.getloadavg()[0] * 1000),
            attempts=tuple([w.meter.sample() for w in self._watched.values() if w.is_measured]),
            devices=self._gpus.samples if self._gpus is not None else (),
            pressure_milli=self._pressure_milli(),
        )

    def _node_memory(self) -> tuple[int, int]:
        """All memory and what is free or could be at once, in KiB; psutil's where /proc is not Linux's."""
        try:
            text = self._meminfo.read()
            return _meminfo(text, b"MemTotal:"), _meminfo(text, b"MemAvailable:")
        except (OSError, ValueError):
            memory = psutil.virtual_memory()
            return memory.total // 1024, memory.available // 1024

    def _pressure_milli(self) -> int | None:
        """Thousandths of the last 10 s in which some process waited for memory; None: not told here."""
        try:
            text = self._pressure.read()
            return round(10 * float(text.partition(b"avg10=")[2].partition(b" ")[0]))
        except (OSError, ValueError):
            return None

    def _keep(self, meter: AttemptMeter) -> None:
        try:
            meter.keep()
        except FileNotFoundError:
            pass  # its directory is being removed
        except OSError as why:
            self._odd(f"attempt {meter.key}: its figures cannot be written down: {why.strerror}")


def _cpu_times() -> tuple[float, float]:
    """Busy and total processor seconds since boot, over all processors."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # guest times are part of user and nice already
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - idle, total


def _meminfo(text: bytes, name: bytes) -> int:
    """KiB. Raises ValueError where the line is missing."""
    return int(text.partition(name)[2].split(maxsplit=1)[0]) if name in text else int(name)

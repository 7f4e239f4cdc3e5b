"""One running attempt: what it uses now, the most it used, and what it has used in all.

What is kept of it goes to the file `usage` in its directory, so that another agent goes on counting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import msgspec

from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.orders import AttemptSample, LaunchOrder
from packhorse.agent.sampling.counter import Counter
from packhorse.agent.sampling.group import GroupMeter
from packhorse.agent.sampling.nvml import Reading
from packhorse.agent.sampling.tree import TreeMeter
from packhorse.scheduler.model.ids import AttemptKey
from packhorse.scheduler.model.resources import WHOLE, Devices, Usage
from packhorse.scheduler.model.sample import DeviceSample

FILE = "usage"

CACHE_PART = 64
"""A look at the page cache may be left out while all that is charged changed by less than this part of the
limit: it is a second read, ten times as long as the first."""


class Kept(msgspec.Struct, frozen=True):
    """What the file holds: figures so far, and what the supervisor had counted before this attempt.

    charged: its memory is what a cgroup is charged with.
    """

    usage: Usage = Usage()
    base: tuple[int, int, int, int] = (0, 0, 0, 0)
    charged: bool = False


class AttemptMeter:
    """The figures of one attempt. Methods that read raise nothing: what cannot be read is told to `odd`.

    mem_kib, cache_kib: now. is_suspended: then its GPUs are not idle through any fault of its own, and are
    not counted. order: None for one whose order was not found (no limit is known then).
    """

    def __init__(
        self,
        key: AttemptKey,
        supervised: Supervised,
        order: LaunchOrder | None,
        odd: Callable[[str], None],
    ) -> None:
        self.key = key
        self.limit_kib = order.mem_mib * 1024 if order is not None else 0
        self.is_lent = order is not None and order.lent_mib > 0
        self.devices = tuple(d for d in order.devices if d.kind == "gpu") if order is not None else ()
        self.started_at = supervised.started_at
        self._path = f"{supervised.attempt_dir}/{FILE}"
        self._odd = odd
        self._group = GroupMeter(supervised.groups)
        group = supervised.groups[0].path if supervised.groups else ""
        self._tree = TreeMeter(supervised.pid, supervised.start_time, group)
        kept = _read(self._path)
        if kept is None:
            base = self._tree.reaped()
            kept = Kept(
                base=(base.user_us, base.system_us, base.read_bytes, base.written_bytes),
                charged=self._group.counts_memory,
            )
            self._keep_base(kept)
        was, tree_base = kept.usage, kept.base
        self._kept = kept
        self._user = Counter(was.user_cpu_us, 0 if self._group.counts_cpu else tree_base[0])
        self._system = Counter(was.system_cpu_us, 0 if self._group.counts_cpu else tree_base[1])
        self._read_bytes = Counter(was.disk_read_bytes, 0 if self._group.counts_io else tree_base[2])
        self._written_bytes = Counter(was.disk_write_bytes, 0 if self._group.counts_io else tree_base[3])
        self._oom_kills = Counter(was.oom_kills)
        self.is_suspended = supervised.suspended
        self.mem_kib = 0
        self.cache_kib = 0
        self.peak_kib = was.max_rss_kib
        self._peak_cache_kib = was.max_cache_kib
        self._peak_virtual_kib = was.max_vm_kib
        self._charged_kib = -1  # at the last look at the page cache
        self._gpu_ms = float(was.gpu_ms)
        self._gpu_busy_ms = float(was.gpu_busy_ms)
        self._gpu_energy_mj = float(was.gpu_energy_mj)
        self._gflop = float(was.gpu_gflop)
        self._peak_gflop = float(was.gpu_peak_gflop)
        self._gpu_mem_mib = was.gpu_max_mem_mib
        self._device_samples: tuple[DeviceSample, ...] = ()

    # -- looks

    def look_at_memory(self) -> None:
        """What it holds now: a few microseconds, most times."""
        try:
            if self._group.counts_memory:
                self._look_at_group()
            else:
                self.mem_kib = self._tree.memory_kib()
        except OSError:
            return  # it is ending
        except ValueError as why:
            self._odd(f"attempt {self.key}: its memory cannot be read: {why}")
            return
        self.peak_kib = max(self.peak_kib, self.mem_kib)
        self._peak_cache_kib = max(self._peak_cache_kib, self.cache_kib)

    def _look_at_group(self) -> None:
        charged_kib = self._group.usage_kib()
        step_kib = (self.limit_kib or 1 << 20) // CACHE_PART
        if self._charged_kib >= 0 and abs(charged_kib - self._charged_kib) < step_kib:
            self.mem_kib = max(0, charged_kib - self.cache_kib)
            return
        self.mem_kib, self.cache_kib = self._group.memory()
        self._charged_kib = charged_kib

    def look(self) -> None:
        """Everything: some 100 microseconds, and 30 more for each of its processes."""
        self._charged_kib = -1
        totals = self._tree.totals()
        self.look_at_memory()
        cpu_us: tuple[int, int] | None = (totals.user_us, totals.system_us)
        io_bytes: tuple[int, int] | None = (totals.read_bytes, totals.written_bytes)
        if self._group.counts_cpu:
            cpu_us = self._from_group("processor time", self._group.cpu_us)
        if self._group.counts_io:
            io_bytes = self._from_group("disk traffic", self._group.io_bytes)
        self._peak_virtual_kib = max(self._peak_virtual_kib, self._tree.virtual_kib())
        if self._group.counts_memory:
            self._take(self._oom_kills, self._group.oom_kills(), "count of processes killed for memory")
        if cpu_us is not None:
            self._take(self._user, cpu_us[0], "processor time", lags=not self._group.counts_cpu)
            self._take(self._system, cpu_us[1], "processor time", lags=not self._group.counts_cpu)
        if io_bytes is not None:
            self._take(self._read_bytes, io_bytes[0], "disk traffic", lags=not self._group.counts_io)
            self._take(self._written_bytes, io_bytes[1], "disk traffic", lags=not self._group.counts_io)

    def _from_group(self, what: str, ask: Callable[[], tuple[int, int]]) -> tuple[int, int] | None:
        try:
            return ask()
        except OSError:
            return None  # it is ending
        except ValueError as why:
            self._odd(f"attempt {self.key}: its {what} cannot be read: {why}")
            return None

    def _take(self, counter: Counter, raw: int, what: str, *, lags: bool = False) -> None:
        if not counter.take(raw, lags=lags):
            self._odd(f"attempt {self.key}: its {what} went backwards")

    # -- GPUs

    def took_gpus(self, readings: Mapping[int, Reading], spent_mj: Mapping[int, int], seconds: float) -> None:
        """The node's GPUs were read. spent_mj: energy of each since the reading before, where it is told;
        seconds: since then, or since this attempt began. A figure that is not told for a device is not made
        up."""
        samples = []
        mem_mib = 0
        for held in self.devices:
            for index in held.indices:
                if (reading := readings.get(index)) is None:
                    continue
                sample = self._own(held, reading)
                samples.append(sample)
                mem_mib += sample.mem_mib or 0
                if sample.busy_milli is not None and not self.is_suspended:
                    self._gpu_ms += seconds * 1000
                    self._gpu_busy_ms += seconds * sample.busy_milli
                if is_whole(held):
                    self._gpu_energy_mj += spent_mj.get(index, 0)
                    if reading.gflops is not None and reading.peak_gflops:
                        self._gflop += reading.gflops * seconds
                        self._peak_gflop += reading.peak_gflops * seconds
        self._device_samples = tuple(samples)
        self._gpu_mem_mib = max(self._gpu_mem_mib, mem_mib)

    def _own(self, held: Devices, reading: Reading) -> DeviceSample:
        """What of a reading is this attempt's: all of a whole GPU; of a shared or cut one what its own
        processes are told to use."""
        if is_whole(held):
            return reading.sample
        busy: int | None = None
        mem_mib: int | None = None
        if reading.processes is not None:
            own = [reading.processes[pid] for pid in self._tree.pids if pid in reading.processes]
            memory = [process.mem_mib for process in own]
            use = [process.busy_milli for process in own]
            if None not in memory:
                mem_mib = sum(filter(None, memory))
            told = any(process.busy_milli is not None for process in reading.processes.values())
            if not held.part and None not in use and (told or not reading.processes):
                busy = min(1000, sum(filter(None, use)))
        return DeviceSample(reading.sample.kind, reading.sample.index, busy, mem_mib)

    # -- what is told and kept

    def usage(self) -> Usage:
        """All so far."""
        return Usage(
            user_cpu_us=self._user.total,
            system_cpu_us=self._system.total,
            max_rss_kib=self.peak_kib,
            max_vm_kib=self._peak_virtual_kib,
            disk_read_bytes=self._read_bytes.total,
            disk_write_bytes=self._written_bytes.total,
            max_cache_kib=self._peak_cache_kib,
            oom_kills=self._oom_kills.total,
            gpu_ms=round(self._gpu_ms),
            gpu_busy_ms=round(self._gpu_busy_ms),
            gpu_max_mem_mib=self._gpu_mem_mib,
            gpu_energy_mj=round(self._gpu_energy_mj),
            gpu_gflop=round(self._gflop),
            gpu_peak_gflop=round(self._peak_gflop),
        )

    def sample(self) -> AttemptSample:
        """As it stands now."""
        return AttemptSample(self.key, self.usage(), self.mem_kib, self.cache_kib, self._device_samples)

    def kept(self) -> Kept:
        """What stays of it when it has ended."""
        return Kept(self.usage(), self._kept.base, self._kept.charged)

    def keep(self) -> None:
        """Write down what another agent would not find out, unless nothing changed. Raises OSError."""
        kept = self.kept()
        if kept != self._kept:
            self._write(kept)

    def _keep_base(self, kept: Kept) -> None:
        """Another agent could not find out what the supervisor had counted before."""
        try:
            self._write(kept)
        except OSError as why:
            self._odd(f"attempt {self.key}: its figures cannot be written down: {why.strerror}")

    def _write(self, kept: Kept) -> None:
        fresh = f"{self._path}.new"
        with open(fresh, "wb", opener=_opener) as out:
            out.write(msgspec.json.encode(kept))
        os.replace(fresh, self._path)
        self._kept = kept

    def close(self) -> None:
        self._group.close()
        self._tree.close()


def is_whole(held: Devices) -> bool:
    """Whole devices, not shares or slices."""
    return held.milli >= WHOLE and not held.part


def read_kept(attempt_dir: str) -> Kept:
    """What an agent before this one wrote down of an attempt."""
    return _read(f"{attempt_dir}/{FILE}") or Kept()


def final_usage(record: ExitRecord, told: Usage, kept: Kept) -> Usage:
    """What an attempt used. told: as its exit record says; kept: as was measured while it ran.

    The record is exact about processor time. Of memory it has the largest process and, where there is a
    cgroup, the most that was ever charged, less the page cache that was left at the end. That is too much
    where page cache went before the end, with its files: then what was measured counts, unless memory was
    the end of the job.
    """
    measured = kept.usage
    fields = {name: max(getattr(told, name), getattr(measured, name)) for name in Usage.__struct_fields__}
    if told.user_cpu_us or told.system_cpu_us:
        fields |= {"user_cpu_us": told.user_cpu_us, "system_cpu_us": told.system_cpu_us}
    cache_went = measured.max_cache_kib > told.max_cache_kib
    ran_out = record.cause == "oom" or record.oom_kills > 0
    if kept.charged and measured.max_rss_kib and cache_went and not ran_out:
        largest_kib = record.max_rss_kib if record.max_rss_kib != record.peak_mem_kib else 0
        fields["max_rss_kib"] = max(measured.max_rss_kib, largest_kib)
    return Usage(**fields)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _read(path: str) -> Kept | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return None

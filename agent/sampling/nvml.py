"""What NVIDIA GPUs do right now, by NVML. Every call blocks, and may hang: not for the event loop's thread.

A driver that does not answer a question leaves that figure unknown; one that answers nonsense does too, and
that is a warning.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from packhorse.agent.sampling.flops import (
    MAX_CLOCK_MHZ,
    Peak,
    computed_peak,
    known_peak,
    rate_gflops,
    stated_peak,
)
from packhorse.scheduler.model.resources import Device
from packhorse.scheduler.model.sample import DeviceSample

T = TypeVar("T")

MIB = 1 << 20

MAX_POWER_MW = 20_000_000
MIN_CELSIUS, MAX_CELSIUS = -60, 200
AGAIN_S = 30.0
"""Between tries to open a driver that does not answer."""

# Metric of NVML's GPM -> field of Peak whose pipe it tells of.
_PIPES = {
    "NVML_GPM_METRIC_HMMA_TENSOR_UTIL": "tensor",
    "NVML_GPM_METRIC_DFMA_TENSOR_UTIL": "fp64_tensor",
    "NVML_GPM_METRIC_FP64_UTIL": "fp64",
    "NVML_GPM_METRIC_FP32_UTIL": "fp32",
    "NVML_GPM_METRIC_FP16_UTIL": "fp16",
}
_ANY_TENSOR = "NVML_GPM_METRIC_ANY_TENSOR_UTIL"
_INTEGER_TENSOR = "NVML_GPM_METRIC_IMMA_TENSOR_UTIL"


class Process(NamedTuple):
    """One process on a GPU. None: not told."""

    mem_mib: int | None
    busy_milli: int | None


class Reading(NamedTuple):
    """One GPU at an instant. energy_mj: since its driver was loaded. gflops, peak_gflops: billions of
    operations per second since the last reading, and at best. processes: by process id, as this machine
    numbers them; None where they are not told, or are another machine's numbers."""

    sample: DeviceSample
    energy_mj: int | None = None
    gflops: float | None = None
    peak_gflops: int = 0
    processes: Mapping[int, Process] | None = None


class _Gpu:
    """One GPU that NVML knows."""

    def __init__(self, nvml: Any, device: Device, peaks: Mapping[str, int]) -> None:
        self.device = device
        self.handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
        self.peak = _peak(nvml, self.handle, device.type, peaks)
        self.samples: list[Any] = []  # of GPM: the one before, and the one to be overwritten next
        self.seen_us = 0  # the newest sample of processes


class Gpus:
    """The GPUs of a node. peaks: what their owner says of them (flops.parse_peaks)."""

    def __init__(self, devices: Sequence[Device], peaks: Mapping[str, int]) -> None:
        self.devices = tuple(device for device in devices if device.kind == "gpu" and device.uuid)
        self._peaks = peaks
        self._nvml: Any = None
        self._gpus: dict[int, _Gpu] = {}
        self._open_again_at = 0.0
        self._odd: list[str] = []

    def read(self) -> tuple[list[Reading], list[str]]:
        """All of them that answer, and what is odd about the answers."""
        self._odd = []
        if not self._open():
            return [], self._odd
        found = []
        for device in self.devices:
            try:
                gpu = self._gpus.get(device.index)
                if gpu is None:
                    gpu = self._gpus[device.index] = _Gpu(self._nvml, device, self._peaks)
                found.append(self._reading(gpu))
            except self._nvml.NVMLError as why:
                # It fell off the bus, or the driver was loaded anew: its handle is worth nothing.
                self._forget(device.index)
                self._odd.append(f"GPU {device.index} does not answer: {why}")
                if isinstance(why, self._nvml.NVMLError_Uninitialized):
                    self._nvml = None
                    break
        return found, self._odd

    def _open(self) -> bool:
        if self._nvml is not None:
            return True
        if time.monotonic() < self._open_again_at:
            return False
        self._open_again_at = time.monotonic() + AGAIN_S
        import pynvml  # only here: a machine without GPUs pays nothing for it

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as why:
            self._odd.append(f"NVML does not open: {why}")
            return False
        self._nvml = pynvml
        self._gpus.clear()
        return True

    def _forget(self, index: int) -> None:
        gpu = self._gpus.pop(index, None)
        for sample in gpu.samples if gpu is not None else ():
            with suppress(self._nvml.NVMLError):  # a driver that is gone took them along
                self._nvml.nvmlGpmSampleFree(sample)

    def _reading(self, gpu: _Gpu) -> Reading:
        nvml, handle, index = self._nvml, gpu.handle, gpu.device.index
        memory = nvml.nvmlDeviceGetMemoryInfo(
            handle
        )  # told by every GPU that is there: its error is the GPU's
        used_mib = None
        if self._holds(index, "a memory in use of {} bytes", int(memory.used), 0, int(memory.total)):
            used_mib = int(memory.used) // MIB
        busy = self._told(lambda: int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
        power = self._told(lambda: int(nvml.nvmlDeviceGetPowerUsage(handle)))
        celsius = self._told(lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)))
        energy = self._told(lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)))
        gflops = self._gflops(gpu)
        share = None
        if gflops is not None and gpu.peak is not None:
            share = round(1000 * gflops / gpu.peak.highest)
        sample = DeviceSample(
            kind="gpu",
            index=index,
            busy_milli=busy * 10
            if self._holds(index, "a use of {} %", busy, 0, 100) and busy is not None
            else None,
            mem_mib=used_mib,
            power_mw=power if self._holds(index, "a power of {} mW", power, 0, MAX_POWER_MW) else None,
            celsius=celsius
            if self._holds(index, "a temperature of {} °C", celsius, MIN_CELSIUS, MAX_CELSIUS)
            else None,
            flops_milli=share,
        )
        return Reading(
            sample,
            energy if energy is not None and energy >= 0 else None,
            gflops,
            gpu.peak.highest if gpu.peak is not None and gflops is not None else 0,
            self._processes(gpu),
        )

    def _gflops(self, gpu: _Gpu) -> float | None:
        """Billions of operations per second since the last reading; None where the GPU does not tell."""
        nvml = self._nvml
        if gpu.peak is None:
            return None
        try:
            shares = self._activity(gpu)
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_Uninitialized):
            raise
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            return None  # an older driver, or a GPU that is cut into slices
        except nvml.NVMLError as why:
            self._odd.append(f"GPU {gpu.device.index} does not tell its activity: {why}")
            return None
        if shares is None:
            return None
        clock = self._told(lambda: int(nvml.nvmlDeviceGetClockInfo(gpu.handle, nvml.NVML_CLOCK_SM))) or 0
        if not self._holds(gpu.device.index, "a clock of {} MHz", clock, 0, MAX_CLOCK_MHZ):
            clock = 0
        return rate_gflops(shares, gpu.peak, clock)

    def _activity(self, gpu: _Gpu) -> dict[str, float] | None:
        """As _shares, from a new sample on; None at the first. Raises NVMLError."""
        nvml = self._nvml
        if not gpu.samples:
            if not nvml.nvmlGpmQueryDeviceSupport(gpu.handle).isSupportedDevice:
                return None
            gpu.samples = [nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()]
            nvml.nvmlGpmSampleGet(gpu.handle, gpu.samples[0])
            return None
        nvml.nvmlGpmSampleGet(gpu.handle, gpu.samples[1])
        gpu.samples.reverse()
        return self._shares(gpu)

    def _shares(self, gpu: _Gpu) -> dict[str, float] | None:
        """Activity by pipe, 0 to 1, between the last two samples; None if no pipe is told of, or nonsense."""
        nvml = self._nvml
        names = (*_PIPES, _ANY_TENSOR, _INTEGER_TENSOR)
        asked = nvml.c_nvmlGpmMetricsGet_t()
        asked.version, asked.numMetrics = nvml.NVML_GPM_METRICS_GET_VERSION, len(names)
        asked.sample2, asked.sample1 = gpu.samples[0], gpu.samples[1]
        for place, name in enumerate(names):
            asked.metrics[place].metricId = getattr(nvml, name)
        nvml.nvmlGpmMetricsGet(asked)
        told: dict[str, float] = {}
        for place, name in enumerate(names):
            if asked.metrics[place].nvmlReturn == nvml.NVML_SUCCESS:
                value = float(asked.metrics[place].value)
                if not self._holds(
                    gpu.device.index, f"an activity ({name[16:].lower()}) of {{}} %", value, 0, 100.5
                ):
                    return None
                told[name] = min(value / 100, 1.0)
        shares = {pipe: told[name] for name, pipe in _PIPES.items() if name in told}
        if "tensor" not in shares and _ANY_TENSOR in told:
            others = shares.get("fp64_tensor", 0.0) + told.get(_INTEGER_TENSOR, 0.0)
            shares["tensor"] = max(0.0, told[_ANY_TENSOR] - others)
        return shares or None

    def _processes(self, gpu: _Gpu) -> dict[int, Process] | None:
        nvml = self._nvml
        running = self._told(
            lambda: [
                *nvml.nvmlDeviceGetComputeRunningProcesses(gpu.handle),
                *(self._told(lambda: nvml.nvmlDeviceGetGraphicsRunningProcesses(gpu.handle)) or ()),
            ]
        )
        if running is None or not all(os.path.exists(f"/proc/{process.pid}") for process in running):
            return None
        found: dict[int, Process] = {}
        for process in running:
            used = process.usedGpuMemory
            before = found.get(process.pid)
            mem_mib = None if used is None else int(used) // MIB
            if before is not None and before.mem_mib is not None and mem_mib is not None:
                mem_mib = max(mem_mib, before.mem_mib)  # told as a user of both compute and graphics
            found[process.pid] = Process(mem_mib, None)
        for pid, busy in self._process_use(gpu, found).items():
            found[pid] = found[pid]._replace(busy_milli=busy)
        return found

    def _process_use(self, gpu: _Gpu, running: Mapping[int, Process]) -> dict[int, int]:
        """How busy each process kept the GPU since the last reading; {} where that is not told."""
        nvml = self._nvml
        try:
            samples = nvml.nvmlDeviceGetProcessUtilization(gpu.handle, gpu.seen_us)
        except nvml.NVMLError_NotFound:
            return dict.fromkeys(running, 0)  # nothing ran since
        except nvml.NVMLError:
            return {}
        by_pid: dict[int, list[int]] = {}
        for sample in samples:
            if sample.pid in running and 0 <= sample.smUtil <= 100:
                by_pid.setdefault(sample.pid, []).append(int(sample.smUtil))
            gpu.seen_us = max(gpu.seen_us, int(sample.timeStamp))
        return dict.fromkeys(running, 0) | {pid: 10 * sum(n) // len(n) for pid, n in by_pid.items()}

    def _told(self, ask: Callable[[], T]) -> T | None:
        """The answer; None where this GPU, driver or moment has none. A GPU that is gone still raises."""
        nvml = self._nvml
        try:
            return ask()
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_Uninitialized):
            raise
        except nvml.NVMLError:
            return None

    def _holds(self, index: int, what: str, value: float | None, low: float, high: float) -> bool:
        """Whether it can be believed; what cannot is told. what: with {} for the value."""
        if value is None or low <= value <= high:
            return True
        self._odd.append(f"GPU {index}: the driver tells {what.format(f'{value:.15g}')}")
        return False


def _peak(nvml: Any, handle: Any, model: str, stated: Mapping[str, int]) -> Peak | None:
    """What its owner says, else what its maker says, else what its architecture makes of cores and clock."""
    known = known_peak(model)
    if known is None:
        try:
            major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
            clock = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)
            known = computed_peak((major, minor), nvml.nvmlDeviceGetNumGpuCores(handle), clock)
        except nvml.NVMLError:
            known = None
    word = stated.get(model.lower(), stated.get("", 0))
    return stated_peak(word, known) if word else known

"""The fake library itself, by the real pynvml: what other tests take for granted of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pynvml
import pytest

from tests.agent.nvml.fake import FakeNvml


@pytest.fixture
def nvml(fake_nvml: FakeNvml) -> Iterator[FakeNvml]:
    """Loaded into this process and initialised, with two GPUs."""
    fake_nvml.set({"gpus": 2})
    fake_nvml.load()
    pynvml.nvmlInit()
    yield fake_nvml
    fake_nvml.set({"error.nvmlShutdown": None})
    pynvml.nvmlShutdown()


def gpu(index: int) -> object:
    return pynvml.nvmlDeviceGetHandleByIndex(index)


def test_a_process_finds_it_by_its_environment(fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"gpus": 3, "gpu2.name": "NVIDIA L4"})
    code = (
        "import pynvml as n; n.nvmlInit(); print(n.nvmlDeviceGetCount(), "
        "n.nvmlDeviceGetName(n.nvmlDeviceGetHandleByIndex(2)))"
    )
    env = os.environ | fake_nvml.env()
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "3 NVIDIA L4\n"


def test_use_of_a_gpu(nvml: FakeNvml) -> None:
    nvml.set(
        {"gpu1.util": 37, "gpu1.power_mw": 350_000, "gpu1.mem_total_mib": 1000, "gpu1.mem_used_mib": 250}
    )
    nvml.set({"gpu1.compute": "4711:200 4712:-1", "gpu1.celsius": 61, "gpu1.process_util": "4711:30"})
    assert pynvml.nvmlDeviceGetUtilizationRates(gpu(1)).gpu == 37
    assert pynvml.nvmlDeviceGetUtilizationRates(gpu(0)).gpu == 0
    assert pynvml.nvmlDeviceGetPowerUsage(gpu(1)) == 350_000
    assert pynvml.nvmlDeviceGetTemperature(gpu(1), pynvml.NVML_TEMPERATURE_GPU) == 61
    memory = pynvml.nvmlDeviceGetMemoryInfo(gpu(1))
    assert (memory.total >> 20, memory.used >> 20) == (1000, 250)
    found = pynvml.nvmlDeviceGetComputeRunningProcesses(gpu(1))
    assert [(p.pid, p.usedGpuMemory) for p in found] == [(4711, 200 << 20), (4712, None)]
    assert pynvml.nvmlDeviceGetComputeRunningProcesses(gpu(0)) == []
    assert [(u.pid, u.smUtil) for u in pynvml.nvmlDeviceGetProcessUtilization(gpu(1), 0)] == [(4711, 30)]
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetPowerUsage(gpu(0))


def test_energy_is_power_over_time_or_what_is_said(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.power_mw": 1000})
    before, at = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu(0)), time.monotonic()
    time.sleep(0.05)
    spent = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu(0)) - before
    assert 45 <= spent <= (time.monotonic() - at) * 1e3 + 2  # mJ at 1 W, in as many milliseconds
    nvml.set({"gpu0.energy_mj": 5})
    assert pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu(0)) == 5


def test_gpm_metrics_between_two_samples(nvml: FakeNvml) -> None:
    assert not pynvml.nvmlGpmQueryDeviceSupport(gpu(0)).isSupportedDevice
    nvml.set({"gpu0.gpm": 1})
    assert pynvml.nvmlGpmQueryDeviceSupport(gpu(0)).isSupportedDevice
    first, second = pynvml.nvmlGpmSampleAlloc(), pynvml.nvmlGpmSampleAlloc()
    pynvml.nvmlGpmSampleGet(gpu(0), first)
    nvml.set({f"gpu0.gpm.{pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL}": 30.5})
    time.sleep(0.001)
    pynvml.nvmlGpmSampleGet(gpu(0), second)
    asked = pynvml.c_nvmlGpmMetricsGet_t()
    asked.version, asked.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, 2
    asked.sample1, asked.sample2 = first, second
    asked.metrics[0].metricId = pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL
    asked.metrics[1].metricId = pynvml.NVML_GPM_METRIC_FP64_UTIL
    pynvml.nvmlGpmMetricsGet(asked)
    assert (asked.metrics[0].nvmlReturn, asked.metrics[0].value) == (0, 30.5)
    assert asked.metrics[1].nvmlReturn == pynvml.NVML_ERROR_NOT_SUPPORTED
    for sample in (first, second):
        pynvml.nvmlGpmSampleFree(sample)


def test_a_lost_gpu_and_errors_of_single_calls(nvml: FakeNvml) -> None:
    handle = gpu(1)
    nvml.set({"gpu1.lost": 1, "gpu0.error.nvmlDeviceGetMemoryInfo": 999})
    with pytest.raises(pynvml.NVMLError_GpuIsLost, match="GPU is lost"):
        pynvml.nvmlDeviceGetUUID(handle)
    with pytest.raises(pynvml.NVMLError_Unknown):
        pynvml.nvmlDeviceGetMemoryInfo(gpu(0))
    assert pynvml.nvmlDeviceGetCount() == 2
    nvml.set({"gpu1.lost": None, "gpu0.absent": 1, "gpu0.error.nvmlDeviceGetMemoryInfo": None})
    assert pynvml.nvmlDeviceGetUUID(handle).endswith("1")
    pynvml.nvmlShutdown()
    pynvml.nvmlInit()
    assert pynvml.nvmlDeviceGetCount() == 1
    assert pynvml.nvmlDeviceGetUUID(gpu(0)).endswith("1")


def test_mig_slices(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.mig": 1, "gpu0.mig_max": 7, "gpu0.mig0": "3g.71gb", "gpu0.mig3": "1g.18gb"})
    assert pynvml.nvmlDeviceGetMigMode(gpu(0)) == [1, 1]
    assert pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu(0)) == 7
    names = []
    for index in range(7):
        try:
            names.append(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu(0), index)))
        except pynvml.NVMLError_NotFound:
            names.append("")
    assert names == ["NVIDIA H200 MIG 3g.71gb", "", "", "NVIDIA H200 MIG 1g.18gb", "", "", ""]
    with pytest.raises(pynvml.NVMLError_NotSupported):
        pynvml.nvmlDeviceGetMigMode(gpu(1))


def test_events_after_the_set_was_made(nvml: FakeNvml) -> None:
    nvml.set({"event.1": "0 8 13"})
    events = pynvml.nvmlEventSetCreate()
    for index in range(2):
        pynvml.nvmlDeviceRegisterEvents(gpu(index), pynvml.nvmlEventTypeXidCriticalError, events)
    with pytest.raises(pynvml.NVMLError_Timeout):
        pynvml.nvmlEventSetWait(events, 10)
    told = threading.Timer(0.02, nvml.set, [{"event.2": "1 8 79"}])
    told.start()
    event = pynvml.nvmlEventSetWait(events, 5000)
    told.join()
    assert (event.eventType, event.eventData) == (pynvml.nvmlEventTypeXidCriticalError, 79)
    assert pynvml.nvmlDeviceGetIndex(event.device) == 1
    pynvml.nvmlEventSetFree(events)


def test_links_and_places(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.nvlinks": "gpu1 off", "gpu1.nvlinks": "gpu0 off", "gpu1.numa": 1, "topology.0.1": 20})
    assert [pynvml.nvmlDeviceGetNvLinkState(gpu(0), link) for link in range(2)] == [1, 0]
    remote = pynvml.nvmlDeviceGetNvLinkRemotePciInfo(gpu(0), 0)
    own = pynvml.nvmlDeviceGetPciInfo(gpu(1))
    assert (remote.busId, remote.bus) == (own.busId, own.bus) == ("00000000:11:00.0", 0x11)
    assert pynvml.nvmlDeviceGetTopologyCommonAncestor(gpu(0), gpu(1)) == 20
    assert pynvml.nvmlDeviceGetP2PStatus(gpu(0), gpu(1), pynvml.NVML_P2P_CAPS_INDEX_NVLINK) == 0
    assert list(pynvml.nvmlDeviceGetMemoryAffinity(gpu(1), 1, 0)) == [2]


def test_health(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.ecc": 1, "gpu0.ecc_uncorrected_volatile": 3, "gpu0.remapped": "0 1 1 0"})
    uncorrected, volatile = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
    assert pynvml.nvmlDeviceGetTotalEccErrors(gpu(0), uncorrected, volatile) == 3
    assert pynvml.nvmlDeviceGetRemappedRows(gpu(0)) == (0, 1, 1, 0)


def test_garbage_and_a_call_that_hangs(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.mem_total_bytes": -1, "gpu1.hang.nvmlDeviceGetPowerUsage": 0.2, "gpu1.power_mw": 1})
    assert pynvml.nvmlDeviceGetMemoryInfo(gpu(0)).total == 2**64 - 1
    handle, began = gpu(1), time.monotonic()
    waiting = threading.Thread(target=pynvml.nvmlDeviceGetPowerUsage, args=[handle])
    waiting.start()
    assert pynvml.nvmlDeviceGetCount() == 2  # others are answered meanwhile
    assert time.monotonic() - began < 0.2
    waiting.join()
    assert time.monotonic() - began >= 0.2

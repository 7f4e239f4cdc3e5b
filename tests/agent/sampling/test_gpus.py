"""GPUs by the real pynvml against a libnvidia-ml that answers from a file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pynvml
import pytest

from packhorse.agent.inventory import nvidia
from packhorse.agent.sampling import gpufeed
from packhorse.agent.sampling.attempt import AttemptMeter
from packhorse.agent.sampling.gpufeed import GpuFeed, Turn
from packhorse.agent.sampling.nvml import Gpus, Process, Reading
from packhorse.agent.sampling.tree import _Process
from packhorse.scheduler.model.resources import Devices
from packhorse.scheduler.model.sample import DeviceSample
from tests.agent.nvml.fake import FakeNvml
from tests.agent.sampling.orders import KEY, an_order, supervised

HMMA = pynvml.NVML_GPM_METRIC_HMMA_TENSOR_UTIL
ANY = pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL
FP32 = pynvml.NVML_GPM_METRIC_FP32_UTIL
FP64 = pynvml.NVML_GPM_METRIC_FP64_UTIL
WHOLE_GPU = (Devices("gpu", "h200", (0,)),)


@pytest.fixture
def nvml(fake_nvml: FakeNvml) -> Iterator[FakeNvml]:
    fake_nvml.load()
    yield fake_nvml
    with pytest.raises(pynvml.NVMLError_Uninitialized):
        while True:  # what the test opened; the library counts the GPUs when it is opened first
            pynvml.nvmlShutdown()


def gpus(peaks: dict[str, int] | None = None) -> Gpus:
    look = nvidia.Nvml().look()
    assert look.devices, look.remarks
    return Gpus(tuple(found.device for found in look.devices), peaks or {})


def two_readings(of: Gpus) -> tuple[Reading, list[str]]:
    """The second one: GPM tells what was between two."""
    of.read()
    time.sleep(0.002)
    readings, odd = of.read()
    return readings[0], odd


def test_what_a_gpu_does(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.util": 37, "gpu0.mem_used_mib": 500, "gpu0.power_mw": 350_000, "gpu0.celsius": 61})
    (reading,), odd = gpus().read()
    assert reading.sample == DeviceSample("gpu", 0, 370, 500, 350_000, 61, None)
    assert odd == []


def test_300_gflops_on_a_teraflop_show_three_tenths(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 30.0, "gpu0.util": 100})
    reading, odd = two_readings(gpus({"": 1000}))
    assert reading.gflops == pytest.approx(300)
    assert reading.peak_gflops == 1000
    assert (reading.sample.busy_milli, reading.sample.flops_milli) == (1000, 300)
    assert odd == []


def test_pipes_of_a_known_model(nvml: FakeNvml) -> None:
    """An H200 at its nominal clock: 989.4 TFLOP/s on the tensor cores, 66.9 on the FP32 units."""
    nvml.set({"gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 50.0, f"gpu0.gpm.{FP32}": 10.0, "gpu0.clock.sm": 1830})
    reading, _ = two_readings(gpus())
    assert reading.gflops == pytest.approx(0.5 * 989_400 + 0.1 * 66_900)
    assert reading.sample.flops_milli == round(1000 * (0.5 + 0.1 * 66_900 / 989_400))


def test_a_throttled_clock_does_less(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 50.0, "gpu0.clock.sm": 915})
    reading, _ = two_readings(gpus())
    assert reading.sample.flops_milli == 250


def test_any_tensor_activity_where_kinds_are_not_told(nvml: FakeNvml) -> None:
    integer = pynvml.NVML_GPM_METRIC_IMMA_TENSOR_UTIL
    nvml.set({"gpu0.gpm": 1, f"gpu0.gpm.{ANY}": 40.0, f"gpu0.gpm.{integer}": 15.0, "gpu0.clock.sm": 1830})
    reading, _ = two_readings(gpus())
    assert reading.sample.flops_milli == 250, "whole numbers are no floating-point operations"


def test_an_unknown_model_by_its_architecture(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.name": "NVIDIA X999", "gpu0.capability": "9.0", "gpu0.cores": 12_800})
    nvml.set({"gpu0.max_clock.sm": 1000, "gpu0.clock.sm": 1000, "gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 10.0})
    reading, _ = two_readings(gpus())
    assert reading.peak_gflops == 100 * 4096
    assert reading.sample.flops_milli == 100


def test_an_unknown_architecture_stays_unknown(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.name": "NVIDIA X999", "gpu0.capability": "3.7", "gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 10.0})
    reading, odd = two_readings(gpus())
    assert (reading.gflops, reading.peak_gflops, reading.sample.flops_milli) == (None, 0, None)
    assert odd == []


def test_without_gpm_operations_are_unknown(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.util": 90, f"gpu0.gpm.{HMMA}": 50.0})
    reading, odd = two_readings(gpus())
    assert reading.sample.busy_milli == 900
    assert (reading.gflops, reading.sample.flops_milli) == (None, None)
    assert odd == []


@pytest.mark.parametrize(
    ("key", "value", "field", "says"),
    [
        ("gpu0.util", 250, "busy_milli", "a use of 250 %"),
        ("gpu0.mem_used_bytes", -1, "mem_mib", "a memory in use of"),
        ("gpu0.power_mw", 4_000_000_000, "power_mw", "a power of 4000000000 mW"),
        ("gpu0.celsius", 100_000, "celsius", "a temperature of"),
        (f"gpu0.gpm.{HMMA}", -3.0, "flops_milli", "an activity"),
        (f"gpu0.gpm.{HMMA}", "nan", "flops_milli", "an activity"),
    ],
)
def test_nonsense_is_a_warning_and_no_figure(
    nvml: FakeNvml, key: str, value: object, field: str, says: str
) -> None:
    nvml.set({"gpu0.util": 50, "gpu0.power_mw": 1, "gpu0.celsius": 1, "gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 1.0})
    nvml.set({key: value})
    reading, odd = two_readings(gpus())
    assert getattr(reading.sample, field) is None
    others = {"busy_milli", "mem_mib", "power_mw", "celsius", "flops_milli"} - {field}
    assert all(getattr(reading.sample, other) is not None for other in others)
    assert len(odd) == 1 and "GPU 0" in odd[0]
    assert says in odd[0]


def test_a_gpu_that_is_lost_leaves_the_others(nvml: FakeNvml) -> None:
    nvml.set({"gpus": 2, "gpu1.util": 20})
    both = gpus()
    both.read()
    nvml.set({"gpu0.lost": 1})
    readings, odd = both.read()
    assert [reading.sample.index for reading in readings] == [1]
    assert odd == ["GPU 0 does not answer: GPU is lost"]
    nvml.set({"gpu0.lost": None})
    assert [reading.sample.index for reading in both.read()[0]] == [0, 1]


def test_single_questions_may_fail(nvml: FakeNvml) -> None:
    nvml.set({"error.nvmlDeviceGetUtilizationRates": 999, "gpu0.power_mw": 5})
    (reading,), odd = gpus().read()
    assert (reading.sample.busy_milli, reading.sample.power_mw) == (None, 5)
    assert odd == []


def test_activity_that_cannot_be_told_hides_nothing_else(nvml: FakeNvml) -> None:
    nvml.set({"gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 30.0, "gpu0.util": 80, "error.nvmlGpmMetricsGet": 999})
    of = gpus()
    reading, odd = two_readings(of)
    assert (reading.sample.busy_milli, reading.sample.flops_milli) == (800, None)
    assert odd == ["GPU 0 does not tell its activity: Unknown Error"]
    nvml.set({"error.nvmlGpmMetricsGet": None})
    time.sleep(0.002)
    assert (of.read()[0][0].sample.flops_milli or 0) >= 300


def test_samples_of_a_gpu_that_fails_are_given_back(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml.set({"gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 30.0})
    calls: list[str] = []

    def counted(name: str) -> None:
        real = getattr(pynvml, name)

        def call(*arguments: object) -> object:
            calls.append(name)
            return real(*arguments)

        monkeypatch.setattr(pynvml, name, call)

    counted("nvmlGpmSampleAlloc")
    counted("nvmlGpmSampleFree")
    of = gpus()
    for error in (None, 999, None, 999):
        nvml.set({"error.nvmlDeviceGetMemoryInfo": error})
        of.read()
    assert calls.count("nvmlGpmSampleAlloc") == calls.count("nvmlGpmSampleFree") == 4


@pytest.mark.parametrize(("cores", "clock"), [(1, 1000), (12_800, 4_000_000_000)])
def test_an_impossible_architecture_is_unknown(nvml: FakeNvml, cores: int, clock: int) -> None:
    nvml.set({"gpu0.name": "NVIDIA X999", "gpu0.capability": "9.0", "gpu0.cores": cores, "gpu0.util": 7})
    nvml.set({"gpu0.max_clock.sm": clock, "gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 10.0})
    reading, odd = two_readings(gpus())
    assert (reading.sample.busy_milli, reading.sample.flops_milli, odd) == (70, None, [])


# -- what of it is an attempt's


def turn(of: Gpus, seconds: float = 10.0, energy: int = 0) -> Turn:
    readings, _ = of.read()
    return Turn({r.sample.index: r for r in readings}, {r.sample.index: energy for r in readings}, seconds)


def a_meter(tmp_path: Path, *devices: Devices) -> AttemptMeter:
    return AttemptMeter(KEY, supervised(tmp_path), an_order(devices=devices), pytest.fail)


def test_an_attempt_with_whole_gpus(nvml: FakeNvml, tmp_path: Path) -> None:
    nvml.set({"gpus": 3, "gpu0.gpm": 1, f"gpu0.gpm.{HMMA}": 30.0, "gpu0.util": 80, "gpu0.mem_used_mib": 100})
    nvml.set({"gpu1.util": 20, "gpu1.mem_used_mib": 50, "gpu2.util": 99})
    all_three = gpus({"": 1000})
    all_three.read()
    time.sleep(0.002)
    meter = a_meter(tmp_path, Devices("gpu", "h200", (0, 1)))
    meter.took_gpus(*turn(all_three, 10, energy=700))
    usage = meter.usage()
    assert (usage.gpu_ms, usage.gpu_busy_ms) == (20_000, 10_000)
    assert usage.gpu_max_mem_mib == 150
    assert usage.gpu_energy_mj == 1400
    assert (usage.gpu_gflop, usage.gpu_peak_gflop) == (3_000, 10_000), "of the one that tells"
    assert [(d.index, d.busy_milli) for d in meter.sample().devices] == [(0, 800), (1, 200)]
    nvml.set({"gpu0.mem_used_mib": 10})
    meter.took_gpus(*turn(all_three, 5))
    assert meter.usage().gpu_max_mem_mib == 150
    assert meter.usage().gpu_ms == 30_000


def test_a_share_has_what_its_own_processes_use(nvml: FakeNvml, tmp_path: Path) -> None:
    nvml.set({"gpu0.util": 90, "gpu0.compute": f"{os.getpid()}:300 {os.getppid()}:9000"})
    nvml.set({"gpu0.process_util": f"{os.getpid()}:15 {os.getppid()}:70", "gpu0.mem_used_mib": 9300})
    reading = turn(gpus())
    assert reading.readings[0].processes == {
        os.getpid(): Process(300, 150),
        os.getppid(): Process(9000, 700),
    }
    meter = a_meter(tmp_path, Devices("gpu", "h200", (0,), milli=250))
    meter._tree._members = {os.getpid(): _Process(os.getpid())}
    meter.took_gpus(*reading)
    assert meter.sample().devices == (DeviceSample("gpu", 0, 150, 300),)
    usage = meter.usage()
    assert (usage.gpu_ms, usage.gpu_busy_ms, usage.gpu_max_mem_mib) == (10_000, 1_500, 300)
    assert (usage.gpu_energy_mj, usage.gpu_peak_gflop) == (0, 0), "nobody can tell whose they were"
    meter.close()


def test_a_slice_has_memory_at_most(nvml: FakeNvml, tmp_path: Path) -> None:
    nvml.set({"gpu0.util": 90, "gpu0.compute": f"{os.getppid()}:9000"})
    meter = a_meter(tmp_path, Devices("gpu", "h200", (0,), part="1g.18gb", place=(0, 0)))
    meter.took_gpus(*turn(gpus()))
    assert meter.sample().devices == (DeviceSample("gpu", 0, None, 0),)
    assert meter.usage().gpu_ms == 0, "not measured is not idle"


def test_processes_of_another_numbering_make_a_share_unknown(nvml: FakeNvml, tmp_path: Path) -> None:
    nvml.set({"gpu0.compute": "4000000:300", "gpu0.util": 90})
    reading = turn(gpus())
    assert reading.readings[0].processes is None
    meter = a_meter(tmp_path, Devices("gpu", "h200", (0,), milli=250))
    meter.took_gpus(*reading)
    assert meter.sample().devices == (DeviceSample("gpu", 0),)
    assert meter.usage().gpu_ms == 0


# -- in a thread


def collected(feed: GpuFeed) -> Turn:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if (turn := feed.poll(max(time.monotonic(), feed.due), 0.0)) is not None:
            return turn
        time.sleep(0.002)
    raise AssertionError("no reading came")


def test_energy_between_readings(nvml: FakeNvml) -> None:
    said: list[str] = []
    feed = GpuFeed(gpus(), said.append)
    nvml.set({"gpu0.energy_mj": 1000})
    assert collected(feed).spent_mj == {}
    nvml.set({"gpu0.energy_mj": 1500})
    assert collected(feed).spent_mj == {0: 500}
    nvml.set({"gpu0.energy_mj": 20})
    assert collected(feed).spent_mj == {}
    assert said == ["GPU 0: its count of energy went backwards"]
    nvml.set({"gpu0.energy_mj": 50})
    assert collected(feed).spent_mj == {0: 30}
    nvml.set({"gpu0.energy_mj": 1 << 62})
    assert collected(feed).spent_mj == {}, "no GPU takes so much"
    assert len(said) == 2 and said[1].startswith("GPU 0: its count of energy jumped by 46")


def test_a_driver_that_hangs_holds_nobody_up(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpufeed, "PATIENCE_S", 0.05)
    said: list[str] = []
    feed = GpuFeed(gpus(), said.append)
    collected(feed)
    assert feed.samples
    nvml.set({"hang.nvmlDeviceGetMemoryInfo": 0.3})
    began = time.monotonic()
    feed.poll(began + 1, 0.0)
    time.sleep(0.06)
    assert feed.poll(time.monotonic(), 0.0) is None
    assert time.monotonic() - began < 0.25
    assert said == ["the NVIDIA driver does not answer: what the GPUs do is not known"]
    assert feed.samples == ()
    nvml.set({"hang.nvmlDeviceGetMemoryInfo": None})
    assert collected(feed).readings and feed.samples


def test_a_library_that_raises_anything_is_a_warning(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    feed = GpuFeed(gpus(), said.append)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: None)
    assert collected(feed).readings == {}
    assert said[0].startswith("GPUs cannot be read: AttributeError")

"""NVIDIA GPUs that a test makes up: a real libnvidia-ml.so.1, compiled here, that answers from a text file.

    def test_it(fake_nvml: FakeNvml) -> None:        # the fixture; skipped where there is no C compiler
        fake_nvml.set({"gpus": 2, "gpu1.util": 37})  # before or while the library is loaded
        subprocess.run(..., env=os.environ | fake_nvml.env())   # a process whose pynvml finds it, or
        fake_nvml.load()                                        # this very process

Keys, all optional but `gpus`; N is a GPU (its number in this file), M one of its slices:

    gpus = 2                        how many there are
    driver, nvml                    versions
    count                           what nvmlDeviceGetCount says instead of the truth
    error.FUNCTION = 999            the NVML error that a function returns; FUNCTION as it is called in C
    hang.FUNCTION = 2.5             seconds that it takes first
    gpuN.error = 15, gpuN.error.FUNCTION, gpuN.hang.FUNCTION     the same for calls about one GPU
    gpuN.lost = 1                   it fell off the bus: every call about it says "GPU is lost"
    gpuN.absent = 1                 the same, and an nvmlInit after that does not count it any more
    gpuN.name, .uuid, .pci ("00000000:1B:00.0"), .numa, .minor, .capability ("9.0"), .cores
    gpuN.mem_total_mib, .mem_used_mib, or .mem_total_bytes, .mem_used_bytes ("-1": the largest number)
    gpuN.util, .util_mem (per cent), .power_mw, .power_limit_mw, .celsius, .clock.sm, .max_clock.sm (MHz)
    gpuN.energy_mj                  unset: what power_mw was since the library was loaded makes it
    gpuN.compute, .graphics = "4711:512 4712:-1:7"   pid:MiB (-1: not told) and the GPU instance, if in one
    gpuN.process_util = "4711:40"   pid:per cent
    gpuN.nvlinks = "gpu1 gpu1 switch off"            what its links go to
    topology.0.1 = 10               NVML_TOPOLOGY_* between two; unset: 40 within a NUMA node, else 50
    gpuN.ecc = 1, .ecc_uncorrected_volatile, .ecc_uncorrected_aggregate, .ecc_corrected_volatile …
    gpuN.retired_pending = 1, .remapped = "1 0 0 0"  rows: corrected, uncorrected, pending, failed
    gpuN.mig = 1, .mig_max, .mig_pending             its mode; with .mig_max alone it could be cut but is not
    gpuN.migM = "1g.18gb", .migM.uuid, .migM.gi, .migM.mem_total_mib, .migM.mem_used_mib     its slices
    gpuN.profileP = "19 1 18432 7 1g.18gb"           id, slices, MiB, how many fit, name
    gpuN.events = 8                 the events that it supports
    event.K = "1 8 79"              GPU, type, data (type 8: XID); told once, in the order of K, to event
                                    sets that are older than it
    gpuN.gpm = 1, gpuN.gpm.5 = 30.0, gpuN.giG.gpm.5  GPM metrics: what they are between two samples,
                                    as the file says at the second

Not given, a GPU is an H200 with 143771 MiB, used by nobody, and what belongs to no key is not supported.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")
SONAME = "libnvidia-ml.so.1"
STATE = "FAKE_NVML_STATE"


class FakeNvml:
    """The library, and the state it answers from. Changes are seen by the next call of any process."""

    def __init__(self, library: Path, state: Path, patch: pytest.MonkeyPatch) -> None:
        self.library = library
        self.state = state
        self._patch = patch
        self._values: dict[str, object] = {}
        self.set({"gpus": 1})

    def set(self, values: Mapping[str, object]) -> None:
        """Changes or adds keys. None: removes one."""
        self._values = {k: v for k, v in (self._values | dict(values)).items() if v is not None}
        temporary = self.state.with_suffix(".new")
        temporary.write_text("".join(f"{key} = {value}\n" for key, value in self._values.items()))
        temporary.replace(self.state)

    def env(self) -> dict[str, str]:
        """What a process needs in its environment to find this library in place of a driver's."""
        return {"LD_LIBRARY_PATH": str(self.library.parent), STATE: str(self.state)}

    def load(self) -> None:
        """Makes pynvml of this process use it until the end of the test.

        The loader knows a library by its soname and takes one that is there. It stays loaded, but without
        the variable it says what a machine without a driver says.
        """
        self._patch.setenv(STATE, str(self.state))
        ctypes.CDLL(str(self.library))


def compiler() -> str | None:
    """A C compiler, if this machine has one."""
    return next(filter(None, map(shutil.which, (os.environ.get("CC", "cc"), "gcc", "clang"))), None)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library, in a directory of its own."""
    cc = compiler()
    if cc is None:
        pytest.skip("no C compiler here for the fake libnvidia-ml (cc, gcc and clang were tried)")
    directory = tmp_path_factory.mktemp("nvml")
    directory.chmod(0o755)
    out = directory / SONAME
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-pthread"]
    subprocess.run([cc, *flags, f"-Wl,-soname,{SONAME}", "-o", str(out), str(SOURCE)], check=True)
    return out


@pytest.fixture
def fake_nvml(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """One GPU until the test says otherwise."""
    return FakeNvml(nvml_library, tmp_path / "nvml.state", monkeypatch)

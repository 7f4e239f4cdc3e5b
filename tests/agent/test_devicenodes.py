"""Which device files a job is kept from. The files are real ones, of drivers that need not be there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from packhorse.agent.devicenodes import DeviceFiles
from packhorse.scheduler.model.resources import Device, Devices


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two GPUs whose minor numbers are the other way round than their indices, and a TPU chip."""
    dev = tmp_path / "dev"
    dev.mkdir()
    try:
        for name, major, minor in (("nvidia0", 195, 0), ("nvidia1", 195, 1), ("accel0", 120, 0)):
            os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
    except PermissionError:
        pytest.skip("device files can be made by root only")
    for bus, uuid, minor in (("0000:01", "GPU-a", 1), ("0000:02", "GPU-b", 0)):
        place = tmp_path / "proc/driver/nvidia/gpus" / bus
        place.mkdir(parents=True)
        (place / "information").write_text(
            f"Model: \t\t H200\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n"
        )
    return tmp_path


GPUS = (Device("gpu", "h200", 0, "GPU-a"), Device("gpu", "h200", 1, "GPU-b"), Device("tpu", "v4", 0))


def test_others_devices_are_denied_by_the_drivers_numbers(root: Path) -> None:
    files = DeviceFiles(GPUS, root)
    assert files.known
    assert files.denied(()) == ("c 120:0 rwm", "c 195:0 rwm", "c 195:1 rwm")
    assert files.denied((Devices("gpu", "h200", (0,)),)) == ("c 120:0 rwm", "c 195:0 rwm")
    assert files.denied((Devices("gpu", "h200", (0, 1)), Devices("tpu", "v4", (0,)))) == ()


def test_a_share_of_a_gpu_is_a_right_to_its_file(root: Path) -> None:
    files = DeviceFiles(GPUS[:2], root)
    assert files.denied((Devices("gpu", "h200", (1,), 250),)) == ("c 195:1 rwm",)


def test_without_the_drivers_word_the_index_counts(root: Path) -> None:
    unnamed = (Device("gpu", "h200", 0), Device("gpu", "h200", 1))
    assert DeviceFiles(unnamed, root).denied((Devices("gpu", "h200", (0,)),)) == ("c 195:1 rwm",)


def test_devices_without_a_file_of_their_own(root: Path) -> None:
    (root / "dev/nvidia2").write_text("no device")
    files = DeviceFiles((Device("gpu", "h200", 2), Device("gpu", "h200", 3), Device("fpga", "", 0)), root)
    assert not files.known
    assert files.denied(()) == ()

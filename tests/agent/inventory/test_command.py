"""`packhorse agent --inventory`: what it prints, of GPUs that are made up and of those that are here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from packhorse.agent.inventory import nvidia
from tests.agent.nvml.fake import FakeNvml

WORN_OUT = "rows of its memory could not be remapped: it needs to be replaced"


def has_driver() -> bool:
    """Asked in another process: in this one our own library may be loaded."""
    code = f"import ctypes; ctypes.CDLL({nvidia.LIBRARY!r})"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def inventory(home: Path, *words: str, env: Mapping[str, str] | None = None) -> str:
    command = [sys.executable, "-m", "packhorse.cli.main", "agent", "--node", "n1", "--inventory", *words]
    done = subprocess.run(
        command,
        env=os.environ | {"PACKHORSE_HOME": str(home)} | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


@pytest.fixture(params=["fake", "real"])
def driver(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The environment in which a process meets our library, or the one of this machine's driver."""
    if request.param == "fake":
        fake: FakeNvml = request.getfixturevalue("fake_nvml")
        fake.set({"gpus": 4, "gpu0.nvlinks": "gpu1", "gpu1.nvlinks": "gpu0", "gpu0.ecc": 1, "gpu3.numa": 1})
        return fake.env()
    if not has_driver():
        pytest.skip("no NVIDIA driver on this machine: the real libnvidia-ml is not tested here")
    return {}


def test_gpus_of_the_library(driver: Mapping[str, str], tmp_path: Path) -> None:
    """Holds for any machine with healthy GPUs; run with -rA on one to see that it was the real library."""
    shown: dict[str, Any] = json.loads(inventory(tmp_path, "--json", env=driver))
    gpus = [device for device in shown["devices"] if device["uuid"].startswith("GPU-")]
    assert gpus and [gpu["index"] for gpu in gpus] == list(range(len(gpus)))
    assert len({gpu["uuid"] for gpu in gpus}) == len(gpus)
    for gpu in gpus:
        assert gpu["kind"] == "gpu" and gpu["type"] == gpu["type"].lower() != ""
        assert 1024 <= gpu["mem_mib"] <= nvidia.MAX_MEM_MIB
        assert gpu["dead"] == ""
        assert len(gpu["peers"]) == len(gpus) and gpu["peers"][gpu["index"]] == "X"
        assert len(gpu["details"]["pci"].split(":")) == 3
        assert bool(gpu["layouts"]) == bool(gpu["slices"])
    text = inventory(tmp_path, env=driver)
    assert all(gpu["uuid"] in text for gpu in gpus)


WATCH = """
from packhorse.agent.inventory.nvidia import Nvml
nvml = Nvml()
first = nvml.look()
nvml.watch(first.devices)
told = nvml.wait(0.3)
second = nvml.look()
nvml.close()
third = nvml.look()
nvml.close()
uuids = [[gpu.device.uuid for gpu in look.devices] for look in (first, second, third)]
print(uuids[0] == uuids[1] == uuids[2] != [], told in ([], None), first.complete, third.complete)
print(sorted(remark.text for look in (first, third) for remark in look.remarks))
print(all(type(pid) is int for gpu in first.devices for pid in gpu.pids))
"""


def test_watching_the_library(driver: Mapping[str, str]) -> None:
    """Looks, waits for errors, lets go and looks again: nothing is lost and nothing is strange."""
    command = [sys.executable, "-c", WATCH]
    done = subprocess.run(
        command, env=os.environ | dict(driver), capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("True True True True\n[]\nTrue\n", "")


def test_everything_of_a_machine_for_people(fake_nvml: FakeNvml, tmp_path: Path) -> None:
    fake_nvml.set(
        {"gpus": 3, "gpu0.nvlinks": "gpu1 gpu1", "gpu1.nvlinks": "gpu0 gpu0", "gpu1.compute": "77:1"}
    )
    fake_nvml.set({"gpu2.mig": 1, "gpu2.mig_max": 7, "gpu2.mig0": "3g.71gb", "gpu2.mig1": "1g.18gb"})
    fake_nvml.set({"gpu0.remapped": "0 1 1 0", "gpu1.remapped": "0 1 0 1"})
    text = inventory(tmp_path, env=fake_nvml.env())
    for line in (
        "DEVICE   TYPE                MEMORY NUMA LINK PCI           HEALTH",
        "gpu:0    h200               143771M    -    0 0000:10:00.0  ok",
        f"gpu:1    h200               143771M    -    0 0000:11:00.0  DEAD: {WORN_OUT}",
        "         used by: 77",
        "         slices: 1x3g.71gb+1x1g.18gb",
        "gpu:0        X   NV2  NODE",
        "warning: gpu 0 has rows of memory to be remapped by its next reset",
    ):
        assert line in text.splitlines(), text
    assert text.startswith("node n1 on ") and "\nisolation  " in text and "\nNUMA NODE" in text
    assert f"CPUs       {len(os.sched_getaffinity(0))} (" in text
    assert not (tmp_path / "nodes/n1/devices.json").exists(), "a look keeps nothing"


def test_devices_that_are_declared(tmp_path: Path, fake_nvml: FakeNvml) -> None:
    text = inventory(tmp_path, "--gres", "fpga:u280:2,gpu:1", "--cpus", "900")
    assert "declared, not found in the hardware: fpga:u280:2, gpu:1" in text
    assert "note: 900 CPUs are declared" in text
    shown = json.loads(inventory(tmp_path, "--json", "--gres", "gpu:h200:1", env=fake_nvml.env()))
    assert shown["declared"] is False
    assert shown["devices"][0]["uuid"].startswith("GPU-"), "the one that is declared is the one that is there"


def test_a_machine_without_a_driver(tmp_path: Path) -> None:
    if has_driver():
        pytest.skip("this machine has an NVIDIA driver")
    assert f"note: no NVIDIA driver here ({nvidia.LIBRARY} cannot be loaded)" in inventory(tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--cpus", "0"), "--cpus 0: a node has from 1 to"),
        (("--cpus=-3",), "--cpus -3: a node has from 1 to"),
        (("--cpus", "9" * 20), f"--cpus {'9' * 20}: a node has from 1 to"),
        (("--mem", "0"), "--mem 0 MiB: a node has from 1 to"),
        (("--mem", "99999999999T"), "MiB: a node has from 1 to"),
        (("--weight=-1",), "--weight -1: a node has from 1 to"),
        (("--gpu-peak-gflops", "1e5"), '--gpu-peak-gflops: "1e5" is neither'),
        (("--prolog", "/none/such"), "--prolog /none/such: No such file"),
        (("--health-interval", "0"), '--health-interval "0": write seconds'),
        (("--pids", "9" * 30), "is not a number of processes up to 4194304"),
        (("--node", "../x"), '--node "../x": a name begins with'),
        (("--node", "a/b"), '--node "a/b": a name begins with'),
    ],
)
def test_what_no_node_can_be_is_refused(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    command = [sys.executable, "-m", "packhorse.cli.main", "agent", "--inventory", *words]
    env = os.environ | {"PACKHORSE_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode != 0 and done.stdout == ""
    assert says in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert not (tmp_path / "home/x").exists() and not (tmp_path / "home/nodes/a").exists()

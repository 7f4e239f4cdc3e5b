"""Processors, AMD GPUs and TPU chips as files show them: a sysfs and a /dev of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from packhorse.agent.inventory import amd, machine, processors, tpu
from packhorse.agent.inventory.processors import Cpu, NumaNode


def write(root: Path, files: Mapping[str, object]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def two_sockets(root: Path) -> Path:
    """2 sockets of 2 cores with 2 threads, numbered as Linux does: CPU 4 is the second thread of CPU 0."""
    for cpu in range(8):
        at = f"devices/system/cpu/cpu{cpu}/topology"
        write(root, {f"{at}/physical_package_id": cpu % 4 // 2, f"{at}/core_id": cpu % 2})
    for node, cpus in ((0, "0-1,4-5"), (1, "2-3,6-7")):
        at = f"devices/system/node/node{node}"
        write(root, {f"{at}/cpulist": cpus, f"{at}/meminfo": f"Node {node} MemTotal:  {(node + 1) << 20} kB"})
    return write(root, {"devices/system/cpu/online": "0-7"})


def test_processors_by_socket_core_and_numa_node(tmp_path: Path) -> None:
    sys = two_sockets(tmp_path)
    nodes = processors.numa_nodes(sys)
    assert nodes == [NumaNode(0, 1024, (0, 1, 4, 5)), NumaNode(1, 2048, (2, 3, 6, 7))]
    found = processors.cpus(sys, range(8), nodes)
    assert found[5] == Cpu(5, 0, 1, 0) and found[6] == Cpu(6, 1, 0, 1)
    assert processors.shape(found) == (2, 2)
    assert processors.shape(processors.cpus(sys, (0, 1), nodes)) == (1, 1), "of those that may be used"


def test_a_processor_taken_offline_is_not_usable(tmp_path: Path) -> None:
    sys = two_sockets(tmp_path)
    assert processors.usable(sys, range(4)) == [0, 1, 2, 3], "the others may not be used"
    write(sys, {"devices/system/cpu/online": "0,2-7"})
    assert processors.usable(sys, range(4)) == [0, 2, 3]
    write(sys, {"devices/system/cpu/online": "nonsense"})
    assert processors.usable(sys, range(4)) == [0, 1, 2, 3], "what cannot be read changes nothing"
    assert processors.usable(tmp_path / "none", (1,)) == [1]


def test_a_sysfs_that_is_silent_or_talks_nonsense(tmp_path: Path) -> None:
    assert processors.numa_nodes(tmp_path) == []
    assert processors.cpus(tmp_path, (0,), ()) == []
    assert processors.shape([]) == (1, 1)
    sys = two_sockets(tmp_path)
    write(sys, {"devices/system/cpu/cpu0/topology/core_id": "-"})
    assert processors.cpus(sys, range(8), ()) == []
    write(sys, {"devices/system/node/node1/cpulist": "x-y"})
    assert [node.number for node in processors.numa_nodes(sys)] == [0]


@pytest.mark.parametrize(("text", "numbers"), [("", []), ("3", [3]), ("0-2,7", [0, 1, 2, 7])])
def test_sets_of_processors(text: str, numbers: list[int]) -> None:
    assert processors.parse_list(text) == numbers
    assert processors.list_text(numbers) == text


def test_a_containers_memory_limit_counts(tmp_path: Path) -> None:
    whole = machine.memory_mib(tmp_path)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        root = write(tmp_path / name.replace("/", "-"), {name: 512 << 20})
        assert machine.memory_mib(root) == 512
        assert machine.memory_mib(write(root, {name: "max"})) == whole
        assert machine.memory_mib(write(root, {name: 1 << 62})) == whole


# -- TPU

V5E = {"vendor": "0x1ae0", "device": "0x0063", "numa_node": 0}


def tpu_host(root: Path, chips: int, files: list[str]) -> tuple[Path, Path]:
    for chip in range(chips):
        write(root / "sys", {f"bus/pci/devices/0000:00:{chip + 4:02x}.0/{k}": v for k, v in V5E.items()})
    write(root / "sys", {"bus/pci/devices/0000:00:01.0/vendor": "0x8086"})
    write(root / "dev", {"null": "", "vfio/vfio": ""} | dict.fromkeys(files, ""))
    return root / "dev", root / "sys"


def test_tpu_chips_on_the_bus(tmp_path: Path) -> None:
    dev, sys = tpu_host(tmp_path, 4, [f"vfio/{n}" for n in range(4)])
    environment = {
        "TPU_ACCELERATOR_TYPE": "v5litepod-16",
        "TPU_CHIPS_PER_HOST_BOUNDS": "2,2,1",
        "TPU_WORKER_ID": "1",
    }
    look = tpu.look(dev, sys, environment)
    assert look.complete and look.remarks == ()
    assert [(d.kind, d.type, d.index, d.mem_mib, d.numa, d.link) for d, *_ in look.devices] == [
        ("tpu", "v5e", index, 16_384, 0, 0) for index in range(4)
    ]
    assert look.devices[2].device.uuid == "tpu-0000:00:06.0"
    assert dict(look.devices[0].details)["worker_id"] == "1"
    assert all(not chip.dead for chip in look.devices)
    (dev / "vfio/3").unlink()
    dead = [chip.dead for chip in tpu.look(dev, sys, {}).devices]
    assert dead == ["", "", "", "its device file is missing (/dev/accel*, /dev/vfio/*)"]


def test_tpu_chips_by_device_files_and_environment_alone(tmp_path: Path) -> None:
    dev, sys = tpu_host(tmp_path, 0, ["accel10", "accel2", "accel0"])
    look = tpu.look(dev, sys, {"TPU_ACCELERATOR_TYPE": "v4-8", "TPU_CHIPS_PER_HOST_BOUNDS": "2,2,1"})
    assert [chip.device.uuid for chip in look.devices] == ["tpu-accel0", "tpu-accel2", "tpu-accel10"]
    assert {chip.device.type for chip in look.devices} == {"v4"}
    assert [r.text for r in look.remarks] == ["TPU_CHIPS_PER_HOST_BOUNDS tells of 4 TPU chips, 3 are here"]


def test_a_vfio_group_is_no_tpu_by_itself(tmp_path: Path) -> None:
    dev, sys = tpu_host(tmp_path, 0, ["vfio/0"])
    assert tpu.look(dev, sys, {}).devices == ()
    assert len(tpu.look(dev, sys, {"TPU_ACCELERATOR_TYPE": "v6e-1"}).devices) == 1
    assert tpu.look(tmp_path / "none", tmp_path / "none", {}).devices == ()


# -- AMD


def amd_host(sys: Path, n: int) -> Path:
    """Node 0 is the processors; GPUs 1 to n, all linked to each other but the last one."""
    nodes = "class/kfd/kfd/topology/nodes"
    write(sys, {f"{nodes}/0/gpu_id": 0, f"{nodes}/0/properties": "cpu_cores_count 64"})
    for gpu in range(1, n + 1):
        at, device = f"{nodes}/{gpu}", f"class/drm/renderD{127 + gpu}/device"
        properties = {
            "simd_count": 1216,
            "vendor_id": 4098,
            "gfx_target_version": 90402,
            "location_id": gpu << 8,
            "domain": 0,
            "drm_render_minor": 127 + gpu,
            "unique_id": 0xABC0 + gpu,
        }
        lines = "\n".join(f"{key} {value}" for key, value in properties.items())
        write(sys, {f"{at}/gpu_id": 1000 + gpu, f"{at}/properties": lines})
        for link, other in enumerate([0, *[o for o in range(1, n) if o != gpu and gpu < n]]):
            kind = 11 if other else 2
            write(sys, {f"{at}/io_links/{link}/properties": f"type {kind}\nnode_to {other}"})
        write(
            sys,
            {
                f"{device}/product_name": "AMD Instinct MI300X",
                f"{device}/mem_info_vram_total": 196_592 << 20,
                f"{device}/numa_node": gpu % 2,
                f"{device}/ras/umc_err_count": "ue: 0\nce: 3",
            },
        )
    return sys


def test_amd_gpus(tmp_path: Path) -> None:
    sys = write(amd_host(tmp_path, 3), {"class/kfd/kfd/proc/4711/vram_1002": 1 << 30})
    write(sys, {"class/kfd/kfd/proc/4712/vram_1002": 0})
    look = amd.look(sys)
    assert look.complete and look.remarks == ()
    first, second, third = look.devices
    assert (first.device.type, first.device.mem_mib, first.device.uuid) == (
        "instinct_mi300x",
        196_592,
        "amd-000000000000abc1",
    )
    assert [gpu.device.index for gpu in look.devices] == [0, 1, 2]
    assert [gpu.device.numa for gpu in look.devices] == [1, 0, 1]
    assert [gpu.device.link for gpu in look.devices] == [0, 0, -1]
    assert first.peers == ("X", "XGMI", "PCIE")
    assert dict(second.details) == {"model": "AMD Instinct MI300X", "pci": "0000:02:00.0", "gfx": "gfx942"}
    assert (first.pids, second.pids, third.dead) == ((), (4711,), "")


def test_an_amd_gpu_in_trouble(tmp_path: Path) -> None:
    sys = amd_host(tmp_path, 2)
    write(sys, {"class/drm/renderD128/device/ras/umc_err_count": "ue: 2\nce: 3"})
    write(sys, {"class/drm/renderD129/device/mem_info_vram_total": "-5"})
    first, second = amd.look(sys).devices
    assert first.dead == "uncorrected memory errors (umc): it needs a reset"
    assert second.dead == "" and second.device.mem_mib == 0
    assert second.remarks[0].text == 'says "-5" of its memory, which is not believed'
    (sys / "class/drm/renderD128").rename(sys / "class/drm/gone")
    assert amd.look(sys).devices[0].dead == "its device is gone from the bus"
    (sys / "class/kfd/kfd/topology/nodes/1/gpu_id").unlink()
    look = amd.look(sys)
    assert [gpu.device.uuid for gpu in look.devices] == [second.device.uuid] and look.complete


def test_no_amd_gpus(tmp_path: Path) -> None:
    assert amd.look(tmp_path).devices == ()

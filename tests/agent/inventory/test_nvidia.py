"""NVIDIA GPUs through the real pynvml and a libnvidia-ml of our own: what is made of what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.agent.inventory import nvidia
from packhorse.agent.inventory.found import Found, Look
from tests.agent.nvml.fake import FakeNvml


@pytest.fixture
def nvml(fake_nvml: FakeNvml, tmp_path: Path) -> Iterator[nvidia.Nvml]:
    """Without a PCI bus in sysfs."""
    fake_nvml.load()
    library = nvidia.Nvml(tmp_path / "sys")
    yield library
    fake_nvml.set({"hang.nvmlShutdown": None, "error.nvmlShutdown": None})
    library.close()


def gpus(look: Look) -> list[Found]:
    assert look.complete
    return list(look.devices)


def texts(found: Found) -> list[str]:
    return [remark.text for remark in found.remarks]


def test_what_a_gpu_is(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set(
        {
            "gpu0.name": "NVIDIA A100-SXM4-80GB",
            "gpu0.mem_total_mib": 81_920,
            "gpu0.pci": "00000000:1B:00.0",
            "gpu0.numa": 1,
            "gpu0.capability": "8.0",
            "gpu0.compute": "4711:100 4712:-1",
            "gpu0.graphics": "99:1 4711:1",
        }
    )
    [gpu] = gpus(nvml.look())
    device = gpu.device
    assert (device.kind, device.type, device.mem_mib, device.numa, device.link) == (
        "gpu",
        "a100_sxm4_80gb",
        81_920,
        1,
        -1,
    )
    assert device.uuid == "GPU-00000000-0000-4000-8000-000000000000"
    assert gpu.pids == (99, 4711, 4712)
    assert (gpu.dead, gpu.remarks, gpu.peers) == ("", (), ("X",))
    assert dict(gpu.details) == {
        "model": "NVIDIA A100-SXM4-80GB",
        "pci": "0000:1b:00.0",
        "capability": "8.0",
        "ecc": "-",
    }


def test_the_numa_node_is_that_of_its_place_on_the_bus(
    nvml: nvidia.Nvml, fake_nvml: FakeNvml, tmp_path: Path
) -> None:
    place = tmp_path / "sys/bus/pci/devices/0000:10:00.0"
    place.mkdir(parents=True)
    fake_nvml.set({"gpu0.numa": 3})
    for text, numa in (("2\n", 2), ("-1\n", -1), ("nonsense", 3)):
        (place / "numa_node").write_text(text)
        assert gpus(nvml.look())[0].device.numa == numa


def test_links(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"gpus": 6, "gpu0.nvlinks": "gpu1 off gpu1", "gpu1.nvlinks": "gpu0 gpu0 off"})
    fake_nvml.set({f"gpu{i}.nvlinks": "switch switch switch" for i in (3, 4)} | {"gpu5.numa": 1})
    found = gpus(nvml.look())
    assert [gpu.device.link for gpu in found] == [0, 0, -1, 1, 1, -1]
    assert found[0].peers == ("X", "NV2", "NODE", "NODE", "NODE", "SYS")
    assert found[3].peers == ("NODE", "NODE", "NODE", "X", "NV3", "SYS")


def test_slices(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set(
        {"gpus": 3, "gpu0.nvlinks": "gpu1", "gpu1.nvlinks": "gpu0", "gpu2.mig": 1, "gpu2.mig_max": 7}
    )
    fake_nvml.set({"gpu1.mig": 1, "gpu1.mig_max": 7, "gpu1.mig0": "3g.71gb", "gpu1.mig2": "1g.18gb+me"})
    whole, cut, empty = gpus(nvml.look())
    assert whole.device.layouts == () and whole.device.link == -1, "no link to a GPU that is cut"
    assert cut.device.layouts == (("3g.71gb", "1g.18gb"),)
    assert [profile for profile, _ in cut.slices] == ["3g.71gb", "1g.18gb"]
    assert len({uuid for _, uuid in cut.slices if uuid.startswith("MIG-")}) == 2
    assert empty.dead == "MIG is on and it has no slices: nothing can run on it"
    fake_nvml.set({"gpu1.mig_pending": 0, "gpu1.mig2": "who knows"})
    cut = gpus(nvml.look())[1]
    assert cut.device.layouts == (("3g.71gb",),)
    assert any("changes its MIG mode" in text for text in texts(cut))
    assert any('"NVIDIA H200 MIG who knows"' in text for text in texts(cut))


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ({"gpu0.remapped": "0 1 0 1"}, "rows of its memory could not be remapped: it needs to be replaced"),
        (
            {"gpu0.ecc": 1, "gpu0.ecc_uncorrected_volatile": 2},
            "uncorrected memory errors since its driver was loaded: it needs a reset",
        ),
    ],
)
def test_what_kills(nvml: nvidia.Nvml, fake_nvml: FakeNvml, state: dict[str, object], why: str) -> None:
    fake_nvml.set(state)
    assert gpus(nvml.look())[0].dead == why


@pytest.mark.parametrize(
    ("state", "remark"),
    [
        ({"gpu0.remapped": "1 1 1 0"}, "has rows of memory to be remapped by its next reset"),
        ({"gpu0.retired_pending": 1}, "has pages of memory to be retired by its next reset"),
        (
            {"gpu0.ecc": 1, "gpu0.ecc_uncorrected_volatile": -1},
            "counts 18446744073709551615 memory errors, which is not believed",
        ),
        ({"gpu0.mem_total_bytes": -1}, "says it has 17592186044415 MiB of memory, which is not believed"),
        ({"gpu0.mem_total_bytes": 0}, "says it has 0 MiB of memory, which is not believed"),
        (
            {"gpu0.error.nvmlDeviceGetComputeRunningProcesses_v3": 999},
            "does not tell its processes (NVML: Unknown Error)",
        ),
    ],
)
def test_what_is_only_told(
    nvml: nvidia.Nvml, fake_nvml: FakeNvml, state: dict[str, object], remark: str
) -> None:
    fake_nvml.set(state)
    [gpu] = gpus(nvml.look())
    assert (gpu.dead, texts(gpu)) == ("", [remark])


def test_old_errors_are_no_trouble(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"gpu0.ecc": 1, "gpu0.ecc_uncorrected_aggregate": 9, "gpu0.remapped": "7 2 0 0"})
    assert gpus(nvml.look())[0][1:3] == ("", ())


def test_a_lost_gpu_is_missed_by_its_uuid_and_found_again(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"gpus": 3})
    first = gpus(nvml.look())
    for trouble, missing in (
        ({"gpu1.lost": 1}, nvidia.LOST),
        ({"gpu1.error.nvmlDeviceGetUUID": 16}, nvidia.LOST),  # it wants a reset
        ({"gpu1.absent": 1}, "NVML does not list it any more"),
    ):
        fake_nvml.set(trouble)
        nvml.look()
        look = nvml.look()
        assert [gpu.device.uuid for gpu in look.devices] == [first[0].device.uuid, first[2].device.uuid]
        assert look.missing == missing
        assert nvml.wait(5.0) is None, "there is nothing to wait for: it is looked for at once"
        fake_nvml.set(dict.fromkeys(trouble))
        assert [gpu.device.uuid for gpu in nvml.look().devices] == [gpu.device.uuid for gpu in first]


def test_errors_that_the_driver_reports(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"gpus": 2})
    look = nvml.look()
    nvml.watch(look.devices)
    one = look.devices[1].device.uuid
    assert nvml.wait(0.01) == []
    fake_nvml.set({"event.1": "1 8 31"})
    assert nvml.wait(5.0) == [nvidia.Xid(one, 31)]
    assert [gpu[1:3] for gpu in nvml.look().devices] == [("", ()), ("", ())], "a program's own fault"
    fake_nvml.set({"event.2": "1 8 63"})
    nvml.wait(5.0)
    assert [texts(gpu) for gpu in nvml.look().devices] == [
        [],
        ["reported XID 63 (see NVIDIA's list of XID errors)"],
    ]
    fake_nvml.set({"event.3": "1 8 95"})
    assert nvml.wait(5.0) == [nvidia.Xid(one, 95)]
    assert [gpu.dead for gpu in nvml.look().devices] == ["", "XID 95: a memory error that was not contained"]
    fake_nvml.set({"gpu1.lost": 1, "event.4": "1 8 79"})
    assert nvml.wait(5.0) == [nvidia.Xid("", 79)]
    nvml.look()
    fake_nvml.set({"gpu1.lost": None})
    assert [gpu.dead for gpu in nvml.look().devices] == ["", ""], "it was reset"


def test_a_driver_that_cannot_tell_of_errors(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"error.nvmlEventSetCreate": 3})
    nvml.watch(nvml.look().devices)
    assert nvml.wait(5.0) is None


@pytest.mark.parametrize(
    ("state", "remark"),
    [
        ({"error.nvmlInitWithFlags": 9}, "NVML does not list its GPUs (Driver Not Loaded)"),
        ({"error.nvmlDeviceGetCount_v2": 999}, "NVML does not list its GPUs (Unknown Error)"),
        ({"count": 4_000_000_000}, "NVML counts 4000000000 GPUs, which is not believed"),
    ],
)
def test_a_list_that_cannot_be_had(
    nvml: nvidia.Nvml, fake_nvml: FakeNvml, state: dict[str, object], remark: str
) -> None:
    nvml.look()
    nvml.close()
    fake_nvml.set(state)
    look = nvml.look()
    assert not look.complete and [found.text for found in look.remarks] == [remark]
    fake_nvml.set(dict.fromkeys(state))
    assert len(gpus(nvml.look())) == 1


def test_names_and_uuids_that_are_none(nvml: nvidia.Nvml, fake_nvml: FakeNvml) -> None:
    fake_nvml.set({"gpus": 3, "gpu0.name": "NVIDIA  Fancy/Card, v2: é=x", "gpu1.uuid": "GPU-same"})
    fake_nvml.set({"gpu2.uuid": "GPU-same"})
    look = nvml.look()
    assert [gpu.device.type for gpu in look.devices] == ["fancy_card_v2_x", "h200"]
    assert [remark.text for remark in look.remarks] == ["NVML lists GPU-same twice"]
    fake_nvml.set({"gpu2.uuid": None, "gpu2.error.nvmlDeviceGetUUID": 999})
    look = nvml.look()
    assert len(look.devices) == 2
    assert [r.text for r in look.remarks] == ["NVML does not tell what its GPU 2 is (Unknown Error)"]


def test_whether_there_is_a_driver(fake_nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_nvml.load()
    assert nvidia.present()
    monkeypatch.setattr(nvidia, "LIBRARY", "libnot-there.so.1")
    assert not nvidia.present()

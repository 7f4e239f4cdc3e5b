"""Jobs find the GPUs that they were given, whatever CUDA counts."""

from __future__ import annotations

from packhorse.agent.inventory import visible
from packhorse.agent.inventory.found import Found, Look
from packhorse.scheduler.model.resources import Device, Devices

NODE = tuple(Device("gpu", "h200", index, f"GPU-{index}") for index in range(3))
SLICES = (("3g.71gb", "MIG-a"), ("1g.18gb", "MIG-b"), ("1g.18gb", "MIG-c"))


def names(look: Look, *held: Devices) -> str:
    return visible.uuids(held, NODE, [look])


def look(*uuids: int) -> Look:
    """The library counts these from 0."""
    return Look("GPU-", tuple(Found(Device("gpu", "h200", n, f"GPU-{i}")) for n, i in enumerate(uuids)))


def test_numbers_do_while_nothing_is_missing() -> None:
    assert names(look(0, 1, 2), Devices("gpu", "h200", (0, 2))) == ""
    assert names(look(0, 1, 2), Devices("fpga", "", (1,))) == ""


def test_behind_a_missing_gpu_the_others_are_named() -> None:
    without = look(0, 2)
    assert names(without, Devices("gpu", "h200", (0,))) == ""
    assert names(without, Devices("gpu", "h200", (0, 2))) == "GPU-0,GPU-2"
    assert names(without, Devices("gpu", "h200", (1,))) == "", "nothing is known of that one"


def test_slices_are_named() -> None:
    cut = Look("GPU-", (Found(NODE[0], slices=SLICES),))
    held = Devices("gpu", "h200", (0,), 250, "1g.18gb", (0, 2))
    assert names(cut, held) == "MIG-c"
    assert names(cut, Devices("gpu", "h200", (0,))) == "MIG-a,MIG-b,MIG-c", "the whole of it"
    assert names(cut, held._replace(place=(0, 0))) == "", "another layout than was granted"
    assert names(cut, held._replace(place=(0, 7))) == ""


def test_the_environment() -> None:
    before = ("PATH=/bin", "CUDA_VISIBLE_DEVICES=2", "X=CUDA_VISIBLE_DEVICES=2")
    assert visible.named(before, "GPU-2") == ("PATH=/bin", before[2], "CUDA_VISIBLE_DEVICES=GPU-2")

"""What an agent registers: what is there, and what its owner says is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packhorse.agent.inventory import declare, machine
from packhorse.agent.inventory.declare import Declared
from packhorse.agent.inventory.found import type_name
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.resources import Device, Gres


def taken(tmp_path: Path, declared: Declared) -> declare.Inventory:
    return declare.take(NodeName("n1"), declared, tmp_path, version="1", isolation="rlimits")


def test_what_is_found_is_registered(tmp_path: Path) -> None:
    found = machine.look(tmp_path)
    spec = taken(tmp_path, Declared()).spec
    assert spec.cpu_milli == len(os.sched_getaffinity(0)) * 1000
    assert spec.mem_mib == found.mem_mib > 0
    assert spec.sockets * spec.cores_per_socket * spec.threads_per_core <= found.cpus
    assert not spec.declared


def test_amounts_beyond_the_hardware_are_labelled(tmp_path: Path) -> None:
    found = machine.look(tmp_path)
    inventory = taken(tmp_path, Declared(cpus=found.cpus + 1, mem_mib=found.mem_mib + 1))
    assert inventory.spec.declared
    assert any(str(found.cpus) in remark for remark in inventory.remarks)
    assert inventory.offer().cpu_milli == (found.cpus + 1) * 1000


def test_less_than_the_hardware_is_no_boast(tmp_path: Path) -> None:
    assert not taken(tmp_path, Declared(cpus=1, mem_mib=64)).spec.declared


def test_declared_devices_are_numbered_within_their_kind(tmp_path: Path) -> None:
    gres = declare.parse_gres("gpu:a100:2,gpu:h200:1,fpga:1")
    spec = taken(tmp_path, Declared(gres=gres)).spec
    assert spec.declared
    assert spec.devices == (
        Device("fpga", "", 0),
        Device("gpu", "a100", 0),
        Device("gpu", "a100", 1),
        Device("gpu", "h200", 2),
    )


@pytest.mark.parametrize(
    "text", ["gpu", "gpu:x", ":2", "gpu:a:b:2", "gpu:-1", "gpu:²", "gpu:a b:1", "ü:1", "gpu::2"]
)
def test_a_device_count_that_is_none_is_named(text: str) -> None:
    with pytest.raises(BadValue, match=text):
        declare.parse_gres(text)


def test_device_counts_are_read() -> None:
    assert declare.parse_gres("gpu:2,fpga:u280:1") == (Gres("gpu", "", 2), Gres("fpga", "u280", 1))


def test_models_are_named_as_in_slurm() -> None:
    assert type_name("NVIDIA H200") == "h200"
    assert type_name("NVIDIA A100-SXM4-80GB") == "a100_sxm4_80gb"
    assert type_name("NVIDIA GeForce RTX 4090") == "rtx_4090"
    assert type_name("AMD Instinct MI300X") == "instinct_mi300x"


LAYOUTS = (("1g.18gb",) * 7, ("4g.71gb", "3g.71gb"))


def test_what_is_declared_of_gpus(tmp_path: Path) -> None:
    declared = Declared(
        gres=declare.parse_gres("gpu:h200:4,nic:1"),
        gpu_mem_mib=144_384,
        gpu_link_groups=2,
        gpu_layouts=LAYOUTS,
        topology=declare.parse_topology("rack1/switch2"),
    )
    spec = taken(tmp_path, declared).spec
    assert spec.devices == (
        *[
            Device("gpu", "h200", index, "", 144_384, link, link, LAYOUTS)
            for index, link in enumerate([0, 0, 1, 1])
        ],
        Device("nic", "", 0),
    )
    assert spec.topology == ("rack1", "switch2")


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        (Declared(gpu_mem_mib=1), "add --gres gpu:COUNT"),
        (Declared(gres=(Gres("gpu", "", 1),), gpu_mem_mib=1 << 40), "--gpu-mem: 1099511627776 MiB is over"),
        (Declared(gres=(Gres("nic", "", 1),), gpu_layouts=LAYOUTS), "add --gres gpu:COUNT"),
        (Declared(gres=(Gres("gpu", "", 3),), gpu_link_groups=2), "3 GPUs do not come in 2 equal groups"),
    ],
)
def test_declarations_that_contradict_are_refused(tmp_path: Path, declared: Declared, why: str) -> None:
    with pytest.raises(BadValue, match=why):
        taken(tmp_path, declared)


def test_places_and_counts_that_are_none_are_named() -> None:
    assert declare.parse_topology("") == ()
    for text in ("/", "rack1/", "a b", "räck1", "rack²", "a/" * 8 + "b"):
        with pytest.raises(BadValue, match="--topology"):
            declare.parse_topology(text)
    with pytest.raises(BadValue, match="at most 4096"):
        declare.parse_gres("gpu:99999999999999999999")

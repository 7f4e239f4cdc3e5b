"""Devices keep their numbers while the machine runs."""

from __future__ import annotations

from pathlib import Path

from packhorse.agent.inventory.found import Found, Look
from packhorse.agent.inventory.numbering import Known, keep, number, read
from packhorse.scheduler.model.resources import Device


def gpu(uuid: str, index: int = 0) -> Device:
    return Device("gpu", "h200", index, uuid, 1000)


def look(*uuids: str, complete: bool = True) -> Look:
    return Look("", tuple(Found(gpu(uuid, index)) for index, uuid in enumerate(uuids)), complete=complete)


BEFORE = Known("boot-1", (gpu("a", 0), gpu("b", 1), gpu("c", 2)))


def numbers(*looks: Look, before: Known | None = BEFORE, boot_id: str = "boot-1") -> dict[str, int]:
    return {device.uuid: device.index for device in number(looks, before, boot_id).devices}


def test_the_first_time_in_the_order_of_the_looks() -> None:
    assert numbers(look("a", "b"), look("z"), before=None) == {"a": 0, "b": 1, "z": 2}


def test_what_is_gone_keeps_its_number_and_what_is_new_gets_another() -> None:
    assert numbers(look("a", "c")) == {"a": 0, "b": 1, "c": 2}
    assert numbers(look("new", "c", "b")) == {"a": 0, "b": 1, "c": 2, "new": 3}
    assert numbers(look(complete=False)) == {"a": 0, "b": 1, "c": 2}


def test_after_a_restart_of_the_machine_they_are_counted_anew_and_missing_ones_are_told() -> None:
    found = number((look("a", "c"),), BEFORE, "boot-2")
    assert [device.index for device in found.devices] == [0, 1]
    [remark] = found.remarks
    assert remark.text == "gpu 1 (h200, b) was here before the restart of the machine and is not found"
    assert number((look("a", complete=False),), BEFORE, "boot-2").remarks == ()
    again = Known("boot-2", found.devices, found.remarks)
    assert number((look("a", "c"),), again, "boot-2").remarks == found.remarks


def test_the_file(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    assert read(path) is None
    keep(path, BEFORE)
    assert read(path) == BEFORE
    path.write_text('{"boot_id": 1')
    assert read(path) is None

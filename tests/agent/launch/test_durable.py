"""How often the disk is waited for, by what the file system promises."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packhorse.agent.launch import durable

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys rw - sysfs sysfs rw
31 22 0:40 /sub /data rw shared:1 - btrfs /dev/vdb rw,subvol=/sub
"""


@pytest.mark.parametrize(("device", "kind"), [((254, 0), "ext4"), ((0, 40), "btrfs"), ((8, 1), "")])
def test_the_type_of_a_file_system(tmp_path: Path, device: tuple[int, int], kind: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert durable._type_of(os.makedev(*device), str(tmp_path / "mountinfo")) == kind
    assert durable._type_of(os.makedev(*device), str(tmp_path / "none")) == ""


@pytest.mark.parametrize(
    ("kind", "synced"), [("ext4", ["file"]), ("xfs", ["file"]), ("btrfs", ["file", "directory"])]
)
def test_a_directory_is_synced_where_order_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, synced: list[str]
) -> None:
    done = []

    def fsync(fd: int) -> None:
        done.append("directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(durable, "_known", {})
    monkeypatch.setattr(durable, "_type_of", lambda device: kind)
    with (tmp_path / "record").open("w") as file:
        durable.sync_file(file.fileno(), str(tmp_path))
    assert done == synced
    monkeypatch.setattr(durable, "_type_of", lambda device: "looked twice")
    assert durable.keeps_order(str(tmp_path)) is (kind != "btrfs")

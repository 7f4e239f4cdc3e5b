"""Which cgroups are used and what is written there; hierarchies are real where there are any, else files."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from packhorse.agent import cgroups
from packhorse.agent.cgroups import Cgroups, Mount
from packhorse.agent.launch import cgroup
from packhorse.agent.launch.spec import Group, Limits

FULL = Limits(mem_mib=100, cpu_milli=1500, cpu_hard=True, pids=30, deny_devices=("c 195:* rwm",))


def v1(swap: bool, tmp_path: Path) -> Cgroups:
    bases = {name: str(tmp_path / name / "base") for name in ("memory", "cpu", "pids", "devices")}
    for base in bases.values():
        os.makedirs(base)
    if swap:
        Path(bases["memory"], "memory.memsw.limit_in_bytes").touch()
    return Cgroups("v1", bases, {}, "", {base: os.path.dirname(base) for base in bases.values()})


def v2(swap: bool, tmp_path: Path) -> Cgroups:
    base = tmp_path / "base"
    base.mkdir()
    if swap:
        (base / "memory.swap.max").touch()
    bases = dict.fromkeys(("memory", "cpu", "pids"), str(base))
    return Cgroups("v2", bases, {}, str(base), {str(base): str(tmp_path)})


def test_version_1_has_a_group_for_each_limit(tmp_path: Path) -> None:
    groups = v1(True, tmp_path).groups("1.1.1", FULL)
    assert groups == (
        Group(
            f"{tmp_path}/memory/base/job-1.1.1",
            f"{tmp_path}/memory",
            (("memory.limit_in_bytes", "104857600"), ("memory.memsw.limit_in_bytes", "104857600")),
            memory=True,
        ),
        Group(
            f"{tmp_path}/cpu/base/job-1.1.1",
            f"{tmp_path}/cpu",
            (("cpu.shares", "1536"), ("cpu.cfs_quota_us", "150000")),
        ),
        Group(f"{tmp_path}/pids/base/job-1.1.1", f"{tmp_path}/pids", (("pids.max", "30"),)),
        Group(
            f"{tmp_path}/devices/base/job-1.1.1", f"{tmp_path}/devices", (("devices.deny", "c 195:* rwm"),)
        ),
    )


def test_version_1_tracks_a_job_without_limits(tmp_path: Path) -> None:
    groups = v1(False, tmp_path).groups("1.1.1", Limits())
    assert groups == (Group(f"{tmp_path}/pids/base/job-1.1.1", f"{tmp_path}/pids"),)


def test_version_1_without_swap_accounting(tmp_path: Path) -> None:
    (group,) = v1(False, tmp_path).groups("1.1.1", Limits(mem_mib=1))
    assert group.writes == (("memory.limit_in_bytes", str(8 << 20)),)  # the least there is


def test_version_2_has_one_group(tmp_path: Path) -> None:
    assert v2(True, tmp_path).groups("1.1.1", FULL) == (
        Group(
            f"{tmp_path}/base/job-1.1.1",
            str(tmp_path),
            (
                ("memory.max", "104857600"),
                ("memory.swap.max", "0"),
                ("cpu.weight", "59"),
                ("cpu.max", "150000 100000"),
                ("pids.max", "30"),
            ),
            memory=True,
            version=2,
        ),
    )


def test_version_1_binds_to_processors_with_all_of_the_memory(tmp_path: Path) -> None:
    base = tmp_path / "cpuset" / "base"
    base.mkdir(parents=True)
    (base / "cpuset.mems").write_text("0-1\n")
    found = Cgroups("v1", {"cpuset": str(base)}, {}, "", {str(base): str(base.parent)})
    (group,) = found.groups("1.1.1", Limits(mem_mib=7), (2, 3, 8))
    assert group.writes == (("cpuset.mems", "0-1"), ("cpuset.cpus", "2,3,8"))
    assert found.groups("1.1.1", Limits())[0].writes == ()  # for tracking alone


def test_version_2_binds_and_keeps_from_devices(tmp_path: Path) -> None:
    bases = dict.fromkeys(("pids", "cpuset", "devices"), str(tmp_path))
    found = Cgroups("v2", bases, {}, str(tmp_path), {str(tmp_path): "/home"})
    (group,) = found.groups("1.1.1", FULL, (4, 5))
    assert group.writes == (("pids.max", "30"), ("cpuset.cpus", "4,5"))
    assert group.deny == ("c 195:* rwm",)


def test_a_version_2_without_bpf_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(group: str, rules: tuple[str, ...]) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), group)

    monkeypatch.setattr("packhorse.agent.launch.bpf.keep_from_devices", refused)
    assert cgroups._try_devices(str(tmp_path)) == "the kernel takes no BPF program: Operation not permitted"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("controllers", "kind", "isolation"),
    [
        ((), "none", "rlimits"),
        (("cpu",), "v2", "rlimits:cpu"),
        (("memory", "cpu"), "v2", "cgroup2:memory,cpu"),
        (("memory", "cpuset"), "v1", "cgroup1:memory,cpuset"),
    ],
)
def test_isolation_is_about_memory(controllers: tuple[str, ...], kind: cgroups.Kind, isolation: str) -> None:
    assert Cgroups(kind, dict.fromkeys(controllers, "/x"), {}).isolation == isolation


def test_reading_mounts_and_own_group(tmp_path: Path) -> None:
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(
        "30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs ro,mode=755\n"
        "31 30 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "33 30 0:29 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    mounts = cgroups.read_mounts(str(mountinfo))
    assert [mount.point.rpartition("/")[2] for mount in mounts] == ["cpu,cpuacct", "systemd", "unified"]
    assert mounts[0].root == "/docker/abc"
    assert "cpuacct" in mounts[0].controllers
    assert "systemd" in mounts[1].controllers
    assert mounts[2].controllers == ("",)
    own = tmp_path / "cgroup"
    own.write_text("4:cpu,cpuacct:/docker/abc/x\n1:name=systemd:/user\n0::/user.slice\n")
    assert cgroups.read_own(str(own)) == {
        "cpu": "/docker/abc/x", "cpuacct": "/docker/abc/x", "systemd": "/user", "": "/user.slice",
    }  # fmt: skip
    assert cgroups.read_mounts("/no/such") == []
    assert cgroups.read_own("/no/such") == {}


def test_the_own_group_below_a_mount_that_shows_a_part(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    mount = Mount(str(tmp_path), "/docker/abc", ("cpu",))
    assert cgroups._place(mount, "/docker/abc/x") == f"{tmp_path}/x"
    assert cgroups._place(mount, "/docker/abc") == str(tmp_path)
    assert cgroups._place(mount, "/elsewhere") == str(tmp_path)


def test_a_machine_without_cgroups_says_why(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("")
    (tmp_path / "cgroup").write_text("")
    found = Cgroups.detect("n", tmp_path, proc=str(tmp_path))
    assert (found.kind, found.isolation, found.tracking) == ("none", "rlimits", False)
    names = ("v2", "memory", "cpu", "pids", "devices", "cpuset")
    lacking = "; ".join(f"{name}: not mounted" for name in names)
    assert found.describe() == f"cgroup none, limits enforced: none (cgroup: {lacking})"
    assert found.groups("1.1.1", FULL) == ()


def test_a_hierarchy_that_may_not_be_written_says_why(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("31 30 0:27 / /proc/1 rw - cgroup cgroup rw,memory\n")
    (tmp_path / "cgroup").write_text("4:memory:/\n")
    found = Cgroups.detect("n", tmp_path, "v1", proc=str(tmp_path))
    assert found.kind == "none"
    assert found.missing["cgroup"].startswith("memory: cannot make a group: ")


@pytest.mark.parametrize("wish", ["v1", "v2"])
def test_leftovers_are_killed_and_removed(tmp_path: Path, wish: cgroups.Wish) -> None:
    found = Cgroups.detect("n", tmp_path, wish)
    if found.kind == "none":
        pytest.skip("no cgroup can be used here")
    try:
        groups = found.groups("5.1.1", Limits(pids=10, cpu_milli=1000))
        with subprocess.Popen(["sleep", "600"]) as sleeper:
            for group in groups:
                cgroup.create(group)
                cgroup.write(f"{group.path}/cgroup.procs", str(sleeper.pid))
            assert cgroup.members(groups[0]) == [sleeper.pid]
            assert found.leftovers() == {"5.1.1": [group.path for group in groups]}
            assert found.remove_leftovers({"5.1.1"}) == []
            assert found.remove_leftovers(set()) == ["5.1.1"]
            assert sleeper.wait(10) == -9
        assert found.remove_leftovers(set()) in ([], ["5.1.1"])  # it may have been a zombie in there
        assert found.leftovers() == {}
    finally:
        found.close()
    for group in groups:
        assert not os.path.exists(os.path.dirname(group.path))


def test_two_agents_on_one_machine_have_groups_of_their_own(tmp_path: Path) -> None:
    names = set()
    for spool in ("a", "b"):
        (tmp_path / spool).mkdir()
        found = Cgroups.detect("n", tmp_path / spool)
        if not found.tracking:
            pytest.skip("no cgroup can be used here")
        names.add(found.groups("1.1.1", Limits())[0].path)
        found.close()
    assert len(names) == 2

"""Jobs of other users, started by root: nothing of root is left in them, nor needed by them."""

# ruff: noqa: ASYNC240 (a blocking look at a file is what a test is for)

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from packhorse.agent.cgroups import Wish
from packhorse.agent.launch.launcher import NeverStarted
from tests.agent.launch.yard import Yard, until

pytestmark = pytest.mark.needs_root

UID, GID, OTHER_GROUP = 54321, 54322, 54323


@pytest.fixture
async def open_yard(wish: Wish) -> AsyncIterator[Yard]:
    """A yard that another user may enter."""
    home = Path(tempfile.mkdtemp(prefix="packhorse-test-"))
    home.chmod(0o755)
    (home / "theirs").mkdir()
    os.chown(home / "theirs", UID, GID)
    yard = Yard(home, wish)
    yard.out = home / "theirs" / "out"
    try:
        yield yard
    finally:
        await yard.close()
        shutil.rmtree(home)


async def test_ids_groups_and_rights(open_yard: Yard) -> None:
    record = await open_yard.run(
        "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status; umask; ls /root; echo done",
        uid=UID, gid=GID, groups=(GID, OTHER_GROUP), user="somebody", cwd=str(open_yard.home / "theirs"),
    )  # fmt: skip
    assert record.exit_code == 0
    lines = open_yard.out.read_text().splitlines()
    said = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    assert said["Uid"] == [str(UID)] * 4
    assert said["Gid"] == [str(GID)] * 4
    assert said["Groups"] == [str(GID), str(OTHER_GROUP)]
    assert said["CapPrm"] == said["CapEff"] == said["CapInh"] == said["CapAmb"] == ["0" * 16]
    assert any("Permission denied" in line for line in lines)
    assert lines[-1] == "done"
    owner = open_yard.out.stat()
    assert (owner.st_uid, owner.st_gid) == (UID, GID)


async def test_root_cannot_be_got_back(open_yard: Yard) -> None:
    program = """
import os
for take in (
    lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])
):
    try:
        take()
        print("got it")
    except PermissionError:
        print("refused")
"""
    await open_yard.run(
        argv=("python3", "-c", program), uid=UID, gid=GID, cwd="/",
        environment=("PATH=/usr/local/bin:/usr/bin:/bin",),
    )  # fmt: skip
    assert open_yard.out.read_text().split() == ["refused"] * 4


async def test_files_are_opened_with_the_users_rights(open_yard: Yard) -> None:
    secret = open_yard.home / "secret"
    secret.write_text("root's\n")
    secret.chmod(0o600)
    for changes, stage in (
        ({"stdin": str(secret)}, "stdin"),
        ({"stdout": str(secret)}, "stdout"),
        ({"stdout": str(open_yard.home / "new")}, "stdout"),
        ({"stderr": str(secret)}, "stderr"),
        ({"cwd": "/root"}, "chdir"),
        ({"argv": (str(secret),)}, "exec"),
    ):
        record = await open_yard.run(uid=UID, gid=GID, **changes)
        assert record.launch_error is not None
        assert (record.cause, record.launch_error.stage) == ("launch_error", stage)
        assert "Permission denied" in record.detail
    assert secret.read_text() == "root's\n"


async def test_a_script_behind_a_closed_directory_is_run_all_the_same(open_yard: Yard) -> None:
    closed = open_yard.home / "closed"
    closed.mkdir(mode=0o700)
    script = closed / "job.sh"
    script.write_text('#!/bin/bash\necho "ran with $1"\nexit 9\n')
    script.chmod(0o700)
    os.chown(script, UID, GID)
    record = await open_yard.run(argv=(str(script), "x"), uid=UID, gid=GID)
    assert (record.cause, record.exit_code) == ("exited", 9)
    assert open_yard.out.read_text() == "ran with x\n"


async def test_the_supervisor_is_root_again(open_yard: Yard) -> None:
    supervised = await open_yard.launch("echo ready > theirs/ready; exec sleep 600", uid=UID, gid=GID)
    await open_yard.written("theirs/ready")

    def ids() -> list[list[str]]:
        lines = Path(f"/proc/{supervised.pid}/status").read_text().splitlines()
        said = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        return [said["Uid"], said["Gid"], said["Groups"]]

    expected = [["0"] * 4, [str(os.getgid())] * 4, [str(group) for group in os.getgroups()]]
    await until(lambda: ids() == expected, "the way back")  # the job may be quicker than its supervisor
    await open_yard.launcher.terminate(supervised, 0)
    record = await open_yard.end(supervised)
    assert record.signal == 9
    assert not isinstance(await open_yard.launcher.adopt(supervised.attempt_dir), NeverStarted)

"""What cannot be started: the right stage, one clear line why, and the same line where the user looks."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import pytest

from packhorse.agent.launch import launcher
from packhorse.agent.launch.exitrecord import ExitRecord, LaunchFailure
from packhorse.agent.launch.spec import LaunchSpec
from tests.agent.launch.yard import Yard


async def failure(yard: Yard, **changes: Any) -> tuple[ExitRecord, LaunchFailure]:
    record = await yard.run(**changes)
    assert record.cause == "launch_error"
    assert record.launch_error is not None
    assert record.detail == record.launch_error.message
    assert "\n" not in record.detail
    assert (record.signal, record.oom_kills, record.unkillable) == (0, 0, 0)
    return record, record.launch_error


@pytest.mark.parametrize(
    ("first", "mode", "number", "reason"),
    [
        ("#!/no/such", 0o755, errno.ENOENT, 'its interpreter "/no/such": No such file or directory'),
        ("#!/bin/bash\r", 0o755, errno.ENOENT, 'its "#!" line has DOS line ends: "/bin/bash\\r" not found'),
        ("#!/etc/passwd", 0o755, errno.EACCES, 'its interpreter "/etc/passwd": Permission denied'),
        ("", 0o755, errno.ENOEXEC, 'neither a program nor a script with a "#!" line (Exec format error)'),
        ("#!/bin/bash", 0o644, errno.EACCES, "it is not executable (Permission denied)"),
    ],
)  # fmt: skip
async def test_cannot_execute(yard: Yard, first: str, mode: int, number: int, reason: str) -> None:
    script = yard.script("true", first=first, mode=mode)
    record, error = await failure(yard, argv=(script,))
    assert error == LaunchFailure("exec", number, f'cannot execute "{script}": {reason}')
    assert record.exit_code == number
    assert yard.out.read_text() == f"packhorse-n1: error: {error.message}\n"


async def test_missing_script(plain: Yard) -> None:
    _, error = await failure(plain, argv=("/no/script",))
    assert error == LaunchFailure(
        "exec", errno.ENOENT, 'cannot execute "/no/script": No such file or directory'
    )


async def test_program_not_in_path(plain: Yard) -> None:
    _, error = await failure(plain, argv=("no-such-program",))
    assert error == LaunchFailure("exec", errno.ENOENT, 'cannot execute "no-such-program": not found in PATH')


async def test_environment_too_long(plain: Yard) -> None:
    _, error = await failure(plain, argv=("/bin/true",), environment=("X=" + "x" * (1 << 20),))
    assert (error.stage, error.errno) == ("exec", errno.E2BIG)


async def test_missing_working_directory(yard: Yard) -> None:
    record, error = await failure(yard, cwd="/nosuch")
    message = 'cannot enter working directory "/nosuch": No such file or directory'
    assert error == LaunchFailure("chdir", errno.ENOENT, message)
    assert record.exit_code == 1
    assert yard.out.read_text() == f"packhorse-n1: error: {message}\n"


async def test_unwritable_output(yard: Yard) -> None:
    record, error = await failure(yard, stdout="/proc/1/x/y.out")
    assert error.stage == "stdout"
    assert error.message == 'cannot open output file "/proc/1/x/y.out": No such file or directory'
    assert record.exit_code == 1


async def test_the_directory_of_the_output_may_come_late(yard: Yard) -> None:
    """submitit names it after the job, and makes it when it knows the id."""
    late = yard.path("late")
    asyncio.get_running_loop().call_later(0.3, late.mkdir, 0o777)
    record = await yard.run("echo here", stdout=str(late / "out"), stderr=str(late / "err"))
    assert (record.cause, record.exit_code) == ("exited", 0)
    assert (late / "out").read_text() == "here\n"


@pytest.mark.parametrize(
    ("changes", "stage", "message"),
    [
        ({"stdout": "/"}, "stdout", 'cannot open output file "/": Is a directory'),
        ({"stderr": "/no/err"}, "stderr", 'cannot open error file "/no/err": No such file or directory'),
        ({"stdin": "/no/in"}, "stdin", 'cannot open input file "/no/in": No such file or directory'),
        ({"rlimits": (("furlongs", 1),)}, "limits", 'unknown resource limit "furlongs"'),
        ({"cpus": (4000,)}, "limits", "cannot run on processors 4000: Invalid argument"),
    ],
)
async def test_other_stages(plain: Yard, changes: dict[str, Any], stage: str, message: str) -> None:
    _, error = await failure(plain, **changes)
    assert (error.stage, error.message) == (stage, message)


async def test_input_from_a_fifo_is_refused(plain: Yard) -> None:
    os.mkfifo(plain.path("pipe"))
    writer = os.open(plain.path("pipe"), os.O_RDWR)
    try:
        _, error = await failure(plain, stdin=str(plain.path("pipe")))
    finally:
        os.close(writer)
    assert (
        error.message == f'cannot open input file "{plain.home}/pipe": a FIFO, to which nobody may ever write'
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="uid 0 may become anybody")
async def test_another_user_needs_root(plain: Yard) -> None:
    _, error = await failure(plain, uid=os.geteuid() + 1)
    assert error.stage == "user"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": "a/b"}, 'cannot launch: "a/b" does not name an attempt'),
        ({"argv": ()}, "cannot launch: there is nothing to execute"),
        ({"cwd": "here"}, 'cannot launch: cwd "here" is not absolute'),
        ({"lease_s": 5}, "cannot launch: a lease without a contact file"),
        ({"environment": ("A=\0",)}, "cannot launch: the environment holds a NUL character"),
    ],
)
async def test_nonsense_is_refused_before_anything_is_done(
    plain: Yard, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(launcher.LaunchError) as caught:
        await plain.launch(**changes)
    assert str(caught.value) == message


async def test_attempt_directory_must_exist_and_be_unused(plain: Yard) -> None:
    spec = plain.spec("true")
    await plain.end(await plain.launcher.launch(spec))
    with pytest.raises(
        launcher.Interrupted, match=r"cannot use attempt directory .*: Address already in use"
    ):
        await plain.launcher.launch(spec)
    changed = {name: getattr(spec, name) for name in spec.__struct_fields__} | {"attempt_dir": "/no/dir"}
    with pytest.raises(
        launcher.Interrupted, match=r"cannot use attempt directory .*: No such file or directory"
    ):
        await plain.launcher.launch(LaunchSpec(**changed))


async def test_cgroup_that_cannot_be_made(yard: Yard) -> None:
    if not yard.cgroups.tracking:
        pytest.skip("needs a cgroup")
    await yard.launcher.start()
    yard.cgroups.close()  # takes the base away
    _, error = await failure(yard)
    assert error.stage == "cgroup"
    assert error.message.startswith('cannot set up cgroup "/')
    assert error.message.endswith(": No such file or directory")

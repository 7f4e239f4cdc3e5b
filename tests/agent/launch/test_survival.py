"""Agent, fork server and supervisor die, and what is found afterwards."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240 (a blocking look at a file or process is what a test is for)

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from packhorse.agent.launch import attemptdir, launcher, processes
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.launcher import Launcher, NeverStarted, Supervised
from tests.agent.launch.yard import Yard, left_of, until

WAITS = "echo $$ >> ran; while [ ! -e go ]; do sleep 0.01; done; exit 7"


async def test_another_agent_takes_over_a_running_job(yard: Yard) -> None:
    supervised = await yard.launch(WAITS)
    await yard.written("ran")
    await yard.launcher.close()
    yard.launcher = Launcher(yard.home, yard.cgroups)
    assert await yard.launcher.adopt(supervised.attempt_dir) == supervised
    yard.path("go").touch()
    record = await yard.end(supervised)
    assert (record.cause, record.exit_code) == ("exited", 7)
    assert await yard.launcher.adopt(supervised.attempt_dir) == record


async def test_a_job_that_ends_while_no_agent_looks(yard: Yard) -> None:
    supervised = await yard.launch("exit 5")
    await yard.launcher.close()
    await until(lambda: not processes.is_running(supervised.pid, supervised.start_time))
    yard.launcher = Launcher(yard.home, yard.cgroups)
    found = await yard.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, ExitRecord)
    assert (found.cause, found.exit_code, found.started_at) == ("exited", 5, supervised.started_at)


async def test_fork_server_is_killed_and_jobs_run_on(yard: Yard) -> None:
    supervised = await yard.launch(WAITS)
    await yard.written("ran")
    first = yard.launcher.fork_server_pid
    os.kill(first, signal.SIGKILL)
    await until(lambda: not os.path.exists(f"/proc/{first}"))
    other = await yard.launch("exit 3")
    assert yard.launcher.fork_server_pid not in (0, first)
    assert (await yard.end(other)).exit_code == 3
    yard.path("go").touch()
    assert (await yard.end(supervised)).exit_code == 7


async def test_supervisor_is_killed(yard: Yard) -> None:
    daemon = "setsid setsid bash -c \"trap '' TERM; echo daemon >> ready; while :; do sleep 1; done\" &"
    supervised = await yard.launch(f"{daemon}\necho batch >> ready; while :; do sleep 1; done")
    await yard.written("ready", 2)
    waiting = asyncio.create_task(yard.launcher.wait(supervised))
    os.kill(supervised.pid, signal.SIGKILL)
    record = await asyncio.wait_for(waiting, 30)
    assert (record.cause, record.detail, record.unkillable) == ("lost", "its supervisor was killed", 0)
    assert record.started_at == supervised.started_at
    assert left_of(supervised) == []
    assert await yard.launcher.adopt(supervised.attempt_dir) == record  # it was written down


async def test_supervisor_is_killed_and_the_job_hides_its_environment(yard: Yard) -> None:
    supervised = await yard.launch("exec env -i bash -c 'echo $$ > shell; sleep 601 & echo $! > child; wait'")
    pids = [int((await yard.written(name))[0]) for name in ("shell", "child")]
    assert len(left_of(supervised)) == 0  # no mark, and yet:
    os.kill(supervised.pid, signal.SIGKILL)
    assert (await yard.launcher.wait(supervised)).cause == "lost"
    assert [processes.start_time(pid) for pid in pids] == [0, 0]


async def test_nothing_ever_runs_in_a_fenced_directory(yard: Yard) -> None:
    spec = yard.spec("echo ran >> ran")
    found = await yard.launcher.adopt(spec.attempt_dir, spec.key)
    assert found == NeverStarted(spec.key)
    supervised = await yard.launcher.launch(spec)  # a request that was still on its way
    record = await yard.launcher.wait(supervised)
    assert (record.cause, record.exit_code) == ("lost", 0)
    assert not yard.path("ran").exists()
    assert await yard.launcher.adopt(spec.attempt_dir, spec.key) == NeverStarted(spec.key)
    assert "not started" in Path(spec.attempt_dir, attemptdir.LOG).read_text()


async def test_a_job_of_another_boot_is_lost(plain: Yard) -> None:
    supervised = await plain.launch(WAITS)
    await plain.written("ran")
    started = Path(supervised.attempt_dir, attemptdir.STARTED)
    started.write_text(started.read_text().replace(processes.boot_id(), "another-boot"))
    found = await plain.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, ExitRecord)
    assert (found.cause, found.detail) == ("lost", "the machine was restarted while it ran")
    plain.path("go").touch()
    await until(lambda: not processes.is_running(supervised.pid, supervised.start_time))


async def test_a_number_that_belongs_to_another_process_now(plain: Yard) -> None:
    supervised = await plain.launch("exit 0")
    await plain.end(supervised)
    os.unlink(f"{supervised.attempt_dir}/{attemptdir.EXIT}")
    started = Path(supervised.attempt_dir, attemptdir.STARTED)
    started.write_text(started.read_text().replace(f'"pid":{supervised.pid}', f'"pid":{os.getpid()}'))
    # So does the number of the job's first process: to another one, which is none of its business.
    bystander = subprocess.Popen(["sleep", "600"])
    first = attemptdir.First(bystander.pid, processes.start_time(bystander.pid) - 1)
    Path(supervised.attempt_dir, attemptdir.EXIT_SPACE).write_bytes(msgspec.json.encode(first))
    assert attemptdir.read_first(supervised.attempt_dir) == first
    found = await plain.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, ExitRecord)
    assert (found.cause, found.unkillable) == ("lost", 0)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("text", ["", '{"kind":"superv'])
async def test_records_damaged_by_a_power_cut(plain: Yard, text: str) -> None:
    directory = plain.attempt()
    Path(directory, attemptdir.STARTED).write_text(text)
    assert await plain.launcher.adopt(directory, "1.1.1") == NeverStarted("1.1.1")

    supervised = await plain.launch("exit 4")
    await plain.end(supervised)
    await plain.launcher.close()  # a power cut leaves no supervisor
    await until(lambda: not processes.is_running(supervised.pid, supervised.start_time))
    Path(supervised.attempt_dir, attemptdir.EXIT).write_text(text)
    found = await plain.launcher.adopt(supervised.attempt_dir)
    assert isinstance(found, ExitRecord)
    assert found.cause == "lost"
    assert Path(supervised.attempt_dir, "exit.damaged").exists()


async def test_waiting_again_after_cancelling(plain: Yard) -> None:
    supervised = await plain.launch(WAITS)
    waiting = asyncio.create_task(plain.launcher.wait(supervised))
    await plain.written("ran")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    plain.path("go").touch()
    assert (await plain.end(supervised)).exit_code == 7


async def test_many_at_once(yard: Yard) -> None:
    specs = [yard.spec(f"exit {number}") for number in range(40)]
    jobs = await asyncio.gather(*map(yard.launcher.launch, specs))
    records = await asyncio.gather(*map(yard.end, jobs))
    assert [record.exit_code for record in records] == list(range(40))


@pytest.mark.needs_root
async def test_a_full_disk_does_not_swallow_the_exit(plain: Yard) -> None:
    disk = plain.home / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], stderr=subprocess.PIPE
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        directory = disk / "attempt-1"
        directory.mkdir(mode=0o700)
        supervised = await plain.launch(
            f"head -c 1M /dev/zero > {disk}/filler; exit 6", attempt_dir=str(directory)
        )
        record = await plain.end(supervised)
        assert record.exit_code == 6
        assert attemptdir.read_exit(str(directory)) == record
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_supervisors_are_light_and_the_fork_server_imports_little(plain: Yard) -> None:
    supervised = await plain.launch("exec sleep 600")
    server = plain.launcher.fork_server_pid
    maps = Path(f"/proc/{server}/maps").read_text()
    for heavy in ("numpy", "grpc", "_asyncio", "_sqlite3", "_ssl", "psutil", "protobuf"):
        assert heavy not in maps
    await until(lambda: processes.descendants(supervised.pid) != [])
    lines = Path(f"/proc/{supervised.pid}/smaps_rollup").read_text().splitlines()
    private_kib = sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
    assert private_kib < 3000
    await plain.launcher.terminate(supervised, 0)
    await plain.end(supervised)


async def test_only_the_agent_can_look_into_an_attempt(plain: Yard) -> None:
    supervised = await plain.launch("true")
    await plain.end(supervised)
    for name in (attemptdir.STARTED, attemptdir.EXIT):
        assert stat.S_IMODE(os.stat(f"{supervised.attempt_dir}/{name}").st_mode) == 0o600


async def test_adopting_while_the_job_starts_and_ends(plain: Yard) -> None:
    """Whatever instant an agent looks at, it sees one of the states, never a job in two of them."""
    for _ in range(20):
        spec = plain.spec("true")
        launching = asyncio.create_task(plain.launcher.launch(spec))
        found = await plain.launcher.adopt(spec.attempt_dir, spec.key)
        supervised = await launching
        record = await plain.launcher.wait(supervised)
        if isinstance(found, NeverStarted):
            assert record.cause == "lost"
        else:
            assert isinstance(found, Supervised | ExitRecord)
            assert record.cause == "exited"


async def test_a_stopped_fork_server_does_not_hold_up_the_agents_end(
    plain: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "CLOSE_S", 0.05)
    supervised = await plain.launch("sleep 600")
    server = plain.launcher.fork_server_pid
    os.kill(server, signal.SIGSTOP)
    await asyncio.wait_for(plain.launcher.close(), 10)
    assert not processes.start_time(server)
    await plain.launcher.terminate(supervised, 0)
    assert (await plain.end(supervised)).cause == "terminated"

"""Ending jobs: signals and their scopes, grace, limits, leases, memory."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from pathlib import Path

import msgspec
import pytest

from packhorse.agent.launch import contact, control, launcher, processes
from packhorse.agent.launch.control import Scope
from packhorse.agent.launch.spec import Limits
from tests.agent.launch.yard import Yard, until

STUBBORN = "trap '' TERM INT HUP USR1; echo ready > ready; while :; do sleep 0.05; done"


async def test_a_job_that_ignores_term_is_killed_after_the_grace(yard: Yard) -> None:
    supervised = await yard.launch(STUBBORN)
    await yard.written("ready")
    began = time.monotonic()
    await yard.launcher.terminate(supervised, 0.3, detail="cancelled")
    record = await yard.end(supervised)
    assert time.monotonic() - began >= 0.3
    assert (record.cause, record.detail, record.exit_code, record.signal) == ("terminated", "cancelled", 0, 9)


async def test_a_job_may_use_its_grace(yard: Yard) -> None:
    supervised = await yard.launch(
        "trap 'echo saved; exit 12' TERM; echo ready > ready; while :; do sleep 0.01; done"
    )
    await yard.written("ready")
    await yard.launcher.terminate(supervised, 60)
    record = await yard.end(supervised)
    assert (record.cause, record.exit_code, record.signal) == ("terminated", 12, 0)
    assert yard.out.read_text().endswith("saved\n")


async def test_what_is_left_when_the_shell_is_gone_may_use_the_grace_too(yard: Yard) -> None:
    inner = (
        "trap 'sleep 0.2; echo saved > saved; exit' TERM; echo ready > ready; while :; do sleep 0.01; done"
    )
    supervised = await yard.launch(f'bash -c "{inner}"; true')
    await yard.written("ready")
    await yard.launcher.terminate(supervised, 60)
    record = await yard.end(supervised)
    assert (record.cause, record.signal) == ("terminated", signal.SIGTERM)
    assert yard.path("saved").exists()


async def test_a_stopped_job_gets_its_signal(yard: Yard) -> None:
    supervised = await yard.launch("trap 'exit 5' TERM; echo ready > ready; while :; do sleep 0.01; done")
    await yard.written("ready")
    assert await yard.launcher.signal(supervised, signal.SIGSTOP, "all") >= 1
    await yard.launcher.terminate(supervised, 60)
    assert (await yard.end(supervised)).exit_code == 5


async def test_the_first_cause_stays_and_the_grace_only_shrinks(yard: Yard) -> None:
    supervised = await yard.launch(STUBBORN)
    await yard.written("ready")
    await yard.launcher.terminate(supervised, 600, detail="first")
    await yard.launcher.terminate(supervised, 6000, cause="time_limit", detail="second")
    await yard.launcher.terminate(supervised, 0, cause="time_limit", detail="third")
    record = await yard.end(supervised)
    assert (record.cause, record.detail, record.signal) == ("terminated", "first", 9)


async def test_another_first_signal_and_a_notice(yard: Yard) -> None:
    supervised = await yard.launch(
        "trap 'echo int; exit 1' INT; echo ready > ready; while :; do sleep 0.01; done"
    )
    await yard.written("ready")
    line = control.cancel_notice("JOB 7", "n1", "DUE TO PREEMPTION")
    await yard.launcher.terminate(supervised, 60, number=signal.SIGINT, notice=line)
    await yard.end(supervised)
    assert yard.out.read_text().splitlines()[0] == line
    assert yard.out.read_text().endswith("int\n")
    assert line.startswith("packhorse-n1: error: *** JOB 7 ON n1 CANCELLED AT ")
    assert line.endswith(" DUE TO PREEMPTION ***")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("batch", ["batch"]),
        ("steps", ["child", "daemon"]),
        ("tree", ["batch", "child"]),
        ("all", ["batch", "child", "daemon"]),
    ],
)
async def test_scopes(yard: Yard, scope: Scope, expected: list[str]) -> None:
    def listener(name: str) -> str:
        return f"trap 'echo {name} >> got' USR1; echo {name} >> ready; while :; do read -t 0.01 <> pipe; done"

    os.mkfifo(yard.path("pipe"))
    body = f"""
        bash -c "{listener("child")}" &
        setsid bash -c "(setsid bash -c \\"{listener("daemon")}\\" &)" &
        {listener("batch")}
    """
    supervised = await yard.launch(body)
    await yard.written("ready", 3)
    await until(lambda: all(processes.parent(pid) for pid in processes.descendants(supervised.pid)))
    assert await yard.launcher.signal(supervised, signal.SIGUSR1, scope) >= len(expected)
    await yard.written("got", len(expected))
    await yard.launcher.terminate(supervised, 0)
    await yard.end(supervised)
    assert sorted(yard.path("got").read_text().split()) == expected


async def test_signal_that_ends_the_job_is_the_jobs_own_end(plain: Yard) -> None:
    supervised = await plain.launch("exec sleep 600")
    await until(lambda: comm(supervised.pid) == ["sleep"])
    await plain.launcher.signal(supervised, signal.SIGUSR2, "batch")
    record = await plain.end(supervised)
    assert (record.cause, record.signal) == ("exited", signal.SIGUSR2)


def comm(pid: int) -> list[str]:
    return [Path(f"/proc/{child}/comm").read_text().strip() for child in processes.descendants(pid)]


async def test_orders_that_make_no_sense_or_come_too_late(plain: Yard) -> None:
    supervised = await plain.launch("exec sleep 600")
    with pytest.raises(launcher.LaunchError, match="no signal 99"):
        await plain.launcher.signal(supervised, 99)
    back = control.send(supervised.attempt_dir, msgspec.Raw(msgspec.msgpack.encode({"type": "Dance"})))  # type: ignore[arg-type]
    with back:
        reply = await asyncio.get_running_loop().sock_recv(back, 4096)
    assert "not understood" in control.decode_reply(reply).error
    await plain.launcher.terminate(supervised, 0)
    await plain.end(supervised)
    with pytest.raises(launcher.NotRunning):
        await plain.launcher.signal(supervised, signal.SIGTERM)


async def test_time_limit_as_a_backstop(yard: Yard) -> None:
    record = await yard.run("echo begun; exec sleep 600", time_limit_s=1, backstop_s=0)
    assert (record.cause, record.signal, record.detail) == ("time_limit", 15, "time limit of 1 s")
    assert record.run_us >= 1_000_000
    begun, notice = yard.out.read_text().splitlines()
    assert begun == "begun"
    assert notice.startswith("packhorse-n1: error: *** JOB 7 ON n1 CANCELLED AT ")
    assert notice.endswith(" DUE TO TIME LIMIT ***")


async def test_time_limit_can_be_changed(plain: Yard) -> None:
    supervised = await plain.launch("exec sleep 600", time_limit_s=3600, backstop_s=0)
    await plain.launcher.set_limit(supervised, 1)
    assert (await plain.end(supervised)).cause == "time_limit"

    supervised = await plain.launch("while [ ! -e go ]; do sleep 0.01; done", time_limit_s=1, backstop_s=0)
    await plain.launcher.set_limit(supervised, 0)
    began = contact.boot_clock_us()
    await until(lambda: contact.boot_clock_us() > began + 1_200_000)
    plain.path("go").touch()
    assert (await plain.end(supervised)).cause == "exited"


async def test_a_limit_of_months_is_no_trouble(plain: Yard) -> None:
    supervised = await plain.launch("exec sleep 600", time_limit_s=10**8)
    await plain.launcher.terminate(supervised, 0)
    assert (await plain.end(supervised)).cause == "terminated"


async def test_a_lease_that_nobody_renews_ends_the_job_in_time(yard: Yard) -> None:
    record = await yard.run(STUBBORN, lease_s=1, grace_s=30, contact_file=str(yard.path("contact")))
    assert (record.cause, record.signal) == ("lease", 9)
    assert record.detail == "no contact to the scheduler within the lease of 1 s"
    assert 1_000_000 <= record.run_us < 3_000_000


async def test_a_lease_that_is_renewed_lasts(plain: Yard) -> None:
    path = str(plain.path("contact"))
    supervised = await plain.launch(
        "while [ ! -e go ]; do sleep 0.01; done", lease_s=1, grace_s=0, contact_file=path
    )
    began = contact.boot_clock_us()
    while contact.boot_clock_us() < began + 1_500_000:
        contact.note_contact(path)
        await asyncio.sleep(0.05)
    plain.path("go").touch()
    assert (await plain.end(supervised)).cause == "exited"


async def test_a_job_whose_lease_is_over_before_it_starts_never_does(plain: Yard) -> None:
    """Its agent was stopped with the order in its hands; the job may run elsewhere by now."""
    at = contact.boot_clock_us()
    plain.path("contact").write_text(f"{processes.boot_id()} {at - 5_000_000}\n")
    path = str(plain.path("contact"))
    record = await plain.run("touch ran", lease_s=5, contact_file=path)
    assert record.cause == "lease"
    assert record.detail == "no contact to the scheduler within the lease of 5 s: not started"
    assert not plain.path("ran").exists()
    began = time.monotonic()
    record = await plain.run("touch ran; sleep 600", lease_s=8, grace_s=0, contact_file=path)
    assert record.cause == "lease" and plain.path("ran").exists()
    assert time.monotonic() - began < 5, "it had what was left of the lease"


def test_contact_of_another_boot_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "contact"
    assert contact.last_contact_us(str(path)) == 0
    before = contact.boot_clock_us()
    contact.note_contact(str(path))
    assert before <= contact.last_contact_us(str(path)) <= contact.boot_clock_us()
    path.write_text(f"another-boot {before}\n")
    assert contact.last_contact_us(str(path)) == 0
    path.write_text("rubbish")
    assert contact.last_contact_us(str(path)) == 0


async def test_use_of_a_running_job(yard: Yard) -> None:
    program = "x = b'x' * (40 << 20); print(file=open('ready', 'w')); import time; time.sleep(600)"
    supervised = await yard.launch(
        argv=("python3", "-c", program),
        limits=Limits(mem_mib=400),
        environment=(f"PATH={os.environ['PATH']}",),
    )
    await yard.written("ready")
    use = yard.launcher.use(supervised)
    assert use.processes == 1
    assert 40 << 10 < use.mem_kib < 400 << 10
    assert use.user_us + use.system_us > 0
    await yard.launcher.terminate(supervised, 0)
    await yard.end(supervised)


async def test_pids_limit(yard: Yard) -> None:
    if "pids" not in yard.cgroups.controllers:
        pytest.skip("needs the pids controller")
    body = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; exit 6"
    record = await yard.run(argv=("/bin/sh", "-c", body), limits=Limits(pids=10))
    assert record.exit_code == 2
    assert "Cannot fork" in yard.out.read_text()


async def test_sigterm_to_the_supervisor_ends_the_job_with_a_record(plain: Yard) -> None:
    supervised = await plain.launch("trap 'exit 8' TERM; echo ready > ready; while :; do sleep 0.01; done")
    await plain.written("ready")
    os.kill(supervised.pid, signal.SIGTERM)
    record = await plain.end(supervised)
    assert (record.cause, record.exit_code, record.detail) == ("terminated", 8, "supervisor got SIGTERM")


async def test_hangup_and_interrupt_do_not_touch_the_supervisor(plain: Yard) -> None:
    supervised = await plain.launch("while [ ! -e go ]; do sleep 0.01; done; exit 2")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        os.kill(supervised.pid, number)
    plain.path("go").touch()
    assert (await plain.end(supervised)).exit_code == 2


def test_a_full_disk_does_not_keep_contact_from_being_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "contact")
    contact.note_contact(path)
    before = contact.last_contact_us(path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("packhorse.agent.launch.contact.os.replace", full)
    contact.note_contact(path)
    assert contact.last_contact_us(path) > before

"""Steps on another host: two network namespaces stand for the two, as in test_second_host.py.

A boot id of its own makes the second one another machine to whoever looks for a step's door.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import FAST, wait_until
from tests.e2e.test_second_host import FIRST, Host, _state, agent_of, python_of, two_hosts

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs the ip command (Debian: iproute2)"),
]

BOOT_ID = "11111111-2222-3333-4444-555555555555"
_OTHER_MACHINE = 'mount --bind "$1" /proc/sys/kernel/random/boot_id && shift && exec "$@"'


class OtherMachine(Host):
    """Its commands have mounts of their own, as `ip netns exec` gives them."""

    __slots__ = ()

    def words(self, *words: str) -> list[str]:
        boot_id = str(self.home.parent / "boot_id")
        return super().words("sh", "-c", _OTHER_MACHINE, "sh", boot_id, *words)


class Pair:
    """first runs the scheduler and the node "one"; shared: a directory that both see."""

    def __init__(self, root: Path, first: Host, second: Host) -> None:
        self.root = root
        self.first = first
        self.second = second
        self.shared = root / "shared"

    def srun(self, host: Host, *words: str, input: bytes = b"", user: str = "") -> tuple[int, bytes, str]:
        """(exit code, output, error output)."""
        done = subprocess.run(
            self.command(host, *words, user=user),
            env=host.env,
            input=input,
            capture_output=True,
            check=False,
            timeout=120,
            cwd=self.shared,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    def alloc(self, host: Host, script: str) -> tuple[int, bytes, str]:
        """What a script prints in an allocation of both nodes, of user nobody."""
        words = ("-N2", "--quiet", "sh", "-c", script)
        done = subprocess.run(
            self.command(host, *words, user="nobody", program="salloc"),
            env=host.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=120,
            cwd=self.shared,
        )
        return done.returncode, done.stdout, done.stderr.decode()

    def command(self, host: Host, *words: str, user: str = "", program: str = "srun") -> list[str]:
        become = ("runuser", "-u", user, "--") if user else ()
        return host.words(*become, python_of(user), "-m", f"packhorse.cli.slurm.{program}", *words)

    def tunnels(self) -> int:
        """How many were closed in good order."""
        log = (self.first.home / "log").glob("scheduler*")
        return sum(path.read_text().count('"tunnel.closed"') for path in log)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    root = Path(tempfile.mkdtemp(prefix="ph-"))
    root.chmod(0o755)
    (root / "shared").mkdir()
    (root / "shared").chmod(0o777)
    (root / "boot_id").write_text(f"{BOOT_ID}\n")
    with two_hosts(root) as (first, plain):
        second = OtherMachine(*plain)
        first.home.mkdir()
        (first.home / "packhorse.toml").write_text(FAST)
        first.packhorse("up", "--detach", "--listen", FIRST)
        try:
            invitation = json.loads(first.packhorse("invite", "second", "--json"))["invitation"]
            with agent_of(second, invitation, root / "agent.log"):
                wait_until(lambda: _state(first, "second") == "IDLE", "the second host to join")
                yield Pair(root, first, second)
                first.packhorse("up", "--detach")
                first.packhorse("down", "--kill-jobs")
                assert "Traceback" not in (root / "agent.log").read_text()
        finally:
            first.packhorse("down")
            shutil.rmtree(root)


WHERE = ("sh", "-c", "echo $SLURM_PROCID $(cat /proc/sys/kernel/random/boot_id)")


def own_boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_from_either_host_over_both(pair: Pair) -> None:
    n = pair.tunnels()
    for host in (pair.first, pair.second):
        code, out, err = pair.srun(host, "-N2", *WHERE)
        assert (code, err) == (0, "")
        assert {line.split()[1] for line in out.decode().splitlines()} == {own_boot_id(), BOOT_ID}
        code, out, err = pair.srun(host, "-w", "second", "sh", "-c", "cat; echo bad >&2; exit 7", input=b"in")
        assert (code, out) == (7, b"in")
        assert err.startswith("bad\n")
    assert pair.tunnels() - n == 3, "and what is on one's own host goes straight there"


def test_another_user(pair: Pair) -> None:
    for host in (pair.first, pair.second):
        code, out, err = pair.srun(host, "-N2", "id", "-un", user="nobody")
        assert (code, out, err) == (0, b"nobody\nnobody\n", "")


def test_a_batch_script_on_the_second_host_with_steps_on_both(pair: Pair) -> None:
    script = pair.shared / "both.sh"
    srun = f"{python_of('')} -m packhorse.cli.slurm.srun"
    script.write_text(
        "#!/bin/sh\necho batch $(cat /proc/sys/kernel/random/boot_id)\n"
        f"{srun} -N2 -n2 {' '.join(WHERE[:2])} '{WHERE[2]}'\n"
    )
    out = pair.shared / "both.out"
    # The first node of a job runs its script: that is the host whose name comes first.
    words = ("--parsable", "-N2", "-o", str(out), str(script))
    job = pair.second.text("slurm.sbatch", *words, cwd=pair.shared)
    wait_until(lambda: _ended(pair, job), "the job to end")
    said = out.read_text()
    on_first = BOOT_ID if min(_nodes(pair)) == "second" else own_boot_id()
    assert said.splitlines()[0] == f"batch {on_first}"
    assert {line.split()[1] for line in said.splitlines()[1:]} == {own_boot_id(), BOOT_ID}


def _ended(pair: Pair, job: str) -> bool:
    state = pair.first.text("slurm.squeue", "-h", "-t", "all", "-j", job, "-o", "%T")
    assert state != "FAILED"
    return state == "COMPLETED"


SIZE = 50_000_000


def test_much_through_a_scheduler_that_is_killed_midway(pair: Pair) -> None:
    """What came before is not said again, and nothing is left out."""
    data = os.urandom(1 << 20)
    whole = (data * (SIZE // len(data) + 1))[:SIZE]
    source = pair.shared / "source"
    source.write_bytes(whole)
    received = pair.shared / "received"
    for host, node in ((pair.first, "second"), (pair.second, "second")):
        if host is pair.second:
            node = next(n for n in _nodes(pair) if n != "second")
        with received.open("wb") as out:
            process = subprocess.Popen(
                pair.command(host, "-w", node, "cat", str(source)),
                env=host.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                cwd=pair.shared,
            )
            try:
                wait_until(lambda: received.stat().st_size > SIZE // 10, "some of it to come")
                before = received.stat().st_size
                os.kill(
                    int((pair.first.home / "run" / "scheduler.pid").read_text().split()[0]), signal.SIGKILL
                )
                assert before < SIZE
                pair.first.packhorse("up", "--detach")
                _, err = process.communicate(timeout=120)
            finally:
                process.kill()
                process.wait()
        assert (process.returncode, err) == (0, b"")
        assert hashlib.sha256(received.read_bytes()).digest() == hashlib.sha256(whole).digest()
        wait_until(lambda: _state(pair.first, "second") == "IDLE", "the second host to be back")


def _nodes(pair: Pair) -> list[str]:
    return [n["name"] for n in json.loads(pair.first.packhorse("status", "--json"))["nodes"]]


def test_sbcast_to_both(pair: Pair) -> None:
    """As the user that types it."""
    for host in (pair.first, pair.second):
        source, target = pair.shared / f"from-{host.home.name}", pair.shared / f"to-{host.home.name}"
        source.write_bytes(os.urandom(2_000_000))
        script = (
            f"{python_of('nobody')} -m packhorse.cli.slurm.sbcast -f {source} {target} && "
            f"{python_of('nobody')} -m packhorse.cli.slurm.srun -N2 cksum {target}"
        )
        code, out, err = pair.alloc(host, script)
        assert (code, err) == (0, ""), err
        lines = out.decode().splitlines()
        assert len(lines) == 2 and lines[0] == lines[1]
        assert target.read_bytes() == source.read_bytes()
        assert target.owner() == "nobody"


def test_a_signal_and_hanging_up_arrive(pair: Pair) -> None:
    process = subprocess.Popen(
        pair.command(
            pair.first,
            "-w",
            "second",
            "sh",
            "-c",
            "trap 'echo told; exit 3' TERM; echo up; while :; do sleep 0.1; done",
        ),
        env=pair.first.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=pair.shared,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        began = time.monotonic()
        process.terminate()
        out, _ = process.communicate(timeout=60)
        assert out == b"told\n"
        assert time.monotonic() - began < 30
    finally:
        process.kill()
        process.wait()

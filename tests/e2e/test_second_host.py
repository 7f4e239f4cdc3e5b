"""A second machine joins: two network namespaces stand for the two hosts, TLS and a token between them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster import wait_until

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs the ip command (Debian: iproute2)"),
]

FIRST, SECOND = "10.99.41.1", "10.99.41.2"


class Host(NamedTuple):
    """One network namespace with a home of its own."""

    namespace: str
    home: Path

    def words(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *words]

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ["PYTHONPATH"],
            "PACKHORSE_HOME": str(self.home),
        }

    def run(self, module: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = self.words(sys.executable, "-m", f"packhorse.cli.{module}", *words)
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, check=False, cwd=cwd, timeout=60
        )

    def packhorse(self, *words: str) -> str:
        done = self.run("main", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    tag = f"ph{os.getpid()}"
    names = (f"{tag}a", f"{tag}b")
    commands = [
        *(f"ip netns add {name}" for name in names),
        f"ip link add {names[0]} netns {names[0]} type veth peer name {names[1]} netns {names[1]}",
    ]
    for name, address in zip(names, (FIRST, SECOND), strict=True):
        inside = (f"addr add {address}/24 dev {name}", f"link set {name} up", "link set lo up")
        commands += [f"ip netns exec {name} ip {rest}" for rest in inside]
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network namespaces here: {done.stderr.strip()}")
        yield Host(names[0], tmp_path / "a"), Host(names[1], tmp_path / "b")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def test_a_second_host_joins_with_one_command(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    first, second = hosts
    first.packhorse("up", "--detach", "--listen", FIRST)
    agent: subprocess.Popen[bytes] | None = None
    try:
        invitation = json.loads(first.packhorse("invite", "second", "--json"))["invitation"]
        with (tmp_path / "agent.log").open("wb") as log:
            words = second.words(sys.executable, "-m", "packhorse.cli.main", "agent", "--join", invitation)
            agent = subprocess.Popen(words, env=second.env, stdout=log, stderr=log)
        wait_until(lambda: _state(first, "second") == "IDLE", "the second host to join")

        done = first.run(
            "slurm.sbatch",
            "--parsable",
            "-w",
            "second",
            "-o",
            f"{tmp_path}/out",
            "--wrap",
            "ip -br addr",
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        first.packhorse("wait", done.stdout.strip())
        assert SECOND in (tmp_path / "out").read_text()

        # A token is good for the node it was given to, and for no other.
        other = second._replace(home=tmp_path / "c")
        shutil.copytree(second.home, other.home, ignore=shutil.ignore_patterns("*.pid", "control"))
        (other.home / "secrets" / "agent-first.token").write_text(
            (second.home / "secrets" / "agent-second.token").read_text()
        )
        (other.home / "run" / "joined-first.json").write_text(
            (second.home / "run" / "joined-second.json").read_text()
        )
        refused = subprocess.run(
            other.words(
                "timeout", "3", sys.executable, "-m", "packhorse.cli.main", "agent", "--node", "first"
            ),
            env=other.env,
            capture_output=True,
            check=False,
        )
        assert refused.returncode != 0
        assert _state(first, "first") == ""
    finally:
        if agent is not None:
            agent.send_signal(signal.SIGTERM)
            agent.wait(30)
        first.packhorse("down", "--kill-jobs")


def _state(host: Host, node: str) -> str:
    nodes = json.loads(host.packhorse("status", "--json")).get("nodes", [])
    return next((n["state"] for n in nodes if n["name"] == node), "")


def test_without_tls_nothing_listens_off_loopback(hosts: tuple[Host, Host]) -> None:
    first, _ = hosts
    first.home.mkdir()
    (first.home / "packhorse.toml").write_text(f'[listen]\ngrpc = "{FIRST}:7077"\n')
    done = first.run("main", "up", "--detach")
    assert done.returncode == 1
    assert "tls_cert" in done.stderr

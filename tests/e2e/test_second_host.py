"""A second machine joins: two network namespaces stand for the two hosts, TLS and a token between them.

What is typed on the second host, or run in a job there, finds the scheduler through the agent's relay.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from packhorse.client import CallFailed, Client
from tests.cluster import FAST, wait_until

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs the ip command (Debian: iproute2)"),
]

FIRST, SECOND = "10.99.41.1", "10.99.41.2"


@cache
def python_of(user: str) -> str:
    """An interpreter that this user may run, for commands that need nothing but the standard library."""
    if not user:
        return sys.executable
    check = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        words = ["runuser", "-u", user, "--", python, "-c", check]
        if not subprocess.run(words, capture_output=True, check=False).returncode:
            return python
    pytest.skip(f"user {user} may run no Python here")


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

    def run(
        self, module: str, *words: str, cwd: Path | None = None, user: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """A command on this host. user: who types it, root if nobody is named."""
        become = ("runuser", "-u", user, "--") if user else ()
        command = self.words(*become, python_of(user), "-m", f"packhorse.cli.{module}", *words)
        return subprocess.run(
            command, env=self.env, capture_output=True, text=True, check=False, cwd=cwd, timeout=60
        )

    def text(self, module: str, *words: str, cwd: Path | None = None, user: str = "") -> str:
        """What a command that succeeds prints."""
        done = self.run(module, *words, cwd=cwd, user=user)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def packhorse(self, *words: str) -> str:
        done = self.run("main", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout


_pairs = count()


@contextmanager
def two_hosts(root: Path) -> Iterator[tuple[Host, Host]]:
    """Two namespaces with a line between them, and a home below `root` for each."""
    tag = f"ph{os.getpid()}{next(_pairs)}"
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
        yield Host(names[0], root / "a"), Host(names[1], root / "b")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    with two_hosts(tmp_path) as found:
        yield found


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
        shutil.copytree(second.home, other.home, ignore=shutil.ignore_patterns("*.pid", "*.sock", "control"))
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


class Pair(NamedTuple):
    """Two hosts of one cluster, and a directory that every user may write to, at the same place on both."""

    first: Host
    second: Host
    shared: Path

    def submit(self, host: Host, *words: str, user: str = "") -> str:
        """The id of a job that must run on the second host; its output is `shared`/out-ID."""
        options = ("--parsable", "-w", "second", "-o", f"{self.shared}/out-%j")
        return host.text("slurm.sbatch", *options, *words, cwd=self.shared, user=user)

    def owner(self, job: str, *, of: Host) -> str:
        return of.text("slurm.squeue", "-h", "-t", "all", "-j", job, "-o", "%u")

    def state(self, job: str) -> str:
        return self.first.text("slurm.squeue", "-h", "-t", "all", "-j", job, "-o", "%T")


@contextmanager
def agent_of(host: Host, invitation: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The second host's agent, until the block ends."""
    with log.open("ab") as out:
        words = host.words(sys.executable, "-m", "packhorse.cli.main", "agent", "--join", invitation)
        agent = subprocess.Popen(words, env=host.env, stdout=out, stderr=out)
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(30)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A cluster of both hosts, in homes that every user can reach."""
    root = Path(tempfile.mkdtemp(prefix="ph-"))
    root.chmod(0o755)
    (root / "shared").mkdir()
    (root / "shared").chmod(0o777)
    with two_hosts(root) as (first, second):
        first.home.mkdir()
        (first.home / "packhorse.toml").write_text(f'[cluster]\nadmins = ["nobody"]\n\n{FAST}')
        first.packhorse("up", "--detach", "--listen", FIRST)
        try:
            invitation = json.loads(first.packhorse("invite", "second", "--json"))["invitation"]
            with agent_of(second, invitation, root / "agent.log"):
                wait_until(lambda: _state(first, "second") == "IDLE", "the second host to join")
                yield Pair(first, second, root / "shared")
                first.packhorse("up", "--detach")
                first.packhorse("down", "--kill-jobs")
        finally:
            first.packhorse("down")
            shutil.rmtree(root)


def test_commands_typed_on_the_second_host(pair: Pair) -> None:
    job = pair.submit(pair.second, "--wrap", "sleep 60")
    wait_until(lambda: pair.state(job) == "RUNNING", "the job to run")
    assert pair.owner(job, of=pair.second) == "root"
    assert "second" in pair.second.text("slurm.sinfo", "-N", "-h")
    assert "second" in pair.second.text("main", "status")
    pair.second.text("slurm.scancel", job)
    assert pair.second.run("main", "wait", job).returncode != 0
    assert pair.state(job) == "CANCELLED"
    assert pair.second.text("slurm.sacct", "-n", "-X", "-j", job, "-o", "State").startswith("CANCELLED")


def test_another_user_of_the_second_host_is_who_they_are(pair: Pair) -> None:
    first, second, _ = pair
    job = pair.submit(second, "--wrap", "id -un; sleep 60", user="nobody")
    wait_until(lambda: pair.state(job) == "RUNNING", "the job to run")
    assert pair.owner(job, of=first) == "nobody"
    wait_until(lambda: (pair.shared / f"out-{job}").read_text() == "nobody\n", "the job to say who it is")

    # Neither root nor an administrator of the cluster is more than a user here.
    of_root = pair.submit(first, "--hold", "--wrap", "true")
    for other, user in ((job, ""), (of_root, "nobody")):
        refused = second.run("slurm.scancel", other, user=user)
        assert refused.returncode != 0
        assert "Access/permission denied" in refused.stderr
    for user in ("", "nobody"):
        change = ("update", "NodeName=second", "State=DRAIN", "Reason=x")
        refused = second.run("slurm.scontrol", *change, user=user)
        assert refused.returncode == 1
        assert "not even root" in refused.stderr
    for words in (("token",), ("invite", "third")):
        assert second.run("main", *words).returncode == 1
    assert (pair.state(job), pair.state(of_root)) == ("RUNNING", "PENDING")

    second.text("slurm.scancel", job, user="nobody")
    wait_until(lambda: pair.state(job) == "CANCELLED", "the job to end")


@pytest.mark.parametrize("user", ["", "nobody"])
def test_a_job_on_the_second_host_requeues_itself(pair: Pair, user: str) -> None:
    script = pair.shared / "again.sh"
    script.write_text(
        "#!/bin/sh\n"
        'echo "run ${SLURM_RESTART_COUNT:-0} as $(id -un) at $PACKHORSE_HOME"\n'
        'if [ -z "$SLURM_RESTART_COUNT" ]; then\n'
        f'  {python_of(user)} -m packhorse.cli.slurm.scontrol requeue "$SLURM_JOB_ID" && sleep 60\n'
        "fi\n"
    )
    # The home has another name where the job is submitted: in the job it is that of the job's host.
    job = pair.submit(pair.first, "--requeue", "--open-mode=append", str(script), user=user)
    wait_until(lambda: pair.state(job) == "COMPLETED", "the job to run twice")
    said = (pair.shared / f"out-{job}").read_text()
    who = f"as {user or 'root'} at {pair.second.home}"
    assert f"run 0 {who}" in said and f"run 1 {who}" in said, said


def test_without_a_scheduler_the_relay_says_so_at_once(pair: Pair) -> None:
    first, second, _ = pair
    first.packhorse("down")
    log = second.home.parent / "agent.log"
    wait_until(lambda: "session.lost" in log.read_text(), "the agent to notice")
    done = second.run("slurm.squeue")
    assert done.returncode == 1
    assert "the scheduler is away" in done.stderr and done.stderr.count("\n") <= 2
    first.packhorse("up", "--detach")
    wait_until(lambda: second.run("slurm.squeue").returncode == 0, "the agent to be connected again")


def test_without_an_agent_commands_say_what_to_start(pair: Pair) -> None:
    home = pair.second.home.parent / "c"
    (home / "run").mkdir(parents=True)
    shutil.copy(pair.second.home / "run" / "joined-second.json", home / "run")
    done = pair.second._replace(home=home).run("slurm.squeue")
    assert done.returncode == 1
    assert "packhorse agent" in done.stderr


def test_the_python_client_says_what_it_needs_there(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "joined-second.json").write_text("{}")
    with pytest.raises(CallFailed, match="PACKHORSE_TOKEN"), Client(home=tmp_path) as client:
        client.jobs()


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

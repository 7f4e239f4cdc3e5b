"""A cluster of real processes in a temporary directory, for tests that need the whole thing.

    with Cluster(nodes=2, cpus=8) as cluster:
        job = cluster.sbatch("--wrap", "exit 3")
        assert cluster.wait(job).exit_code == 3

`packhorse up` starts it, the Slurm-style commands talk to it, and leaving the `with` block ends every process
of it: a process that is left over fails the test.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packhorse.cli import transport, wire
from packhorse.cli.home import Home

WITHIN_S = 30.0
"""Everything here takes well under a second; this is for machines that are busy with something else."""

DEFECTS = ("Traceback (most recent call last)", "was never retrieved", "was destroyed but it is pending")

COMMANDS = (
    "sbatch",
    "srun",
    "salloc",
    "sattach",
    "sbcast",
    "squeue",
    "scancel",
    "sinfo",
    "sacct",
    "sstat",
    "seff",
    "sdiag",
    "scrontab",
    "strigger",
    "sprio",
    "sreport",
    "sshare",
    "scontrol",
    "sacctmgr",
)

FAST = """\
[jobs]
allow_root_jobs = true
kill_wait = 2
requeue_delay = 0

[nodes]
heartbeat = 1
usage_interval = 1
"""
"""Configuration of every test's cluster: nothing waits longer than a test would."""


class Result(NamedTuple):
    """How a job ended, or how it stands. signal 0: none. why: the whole sentence about it."""

    job: int
    state: str
    exit_code: int
    signal: int
    reason: str
    why: str
    ended: bool


class Cluster:
    """A home, its daemons, and a directory `work` to submit from. config is added to FAST, more to what
    `packhorse up` is told.

    variables are part of every process's environment, daemons and commands alike.
    """

    def __init__(
        self,
        *,
        nodes: int = 2,
        cpus: int | None = 8,
        mem: str | None = "16G",
        gpus: int | None = None,
        config: str = "",
        more: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="ph-"))
        self.root.chmod(0o755)
        self.home = Home(self.root / "home")
        self.work = self.root / "work"
        self.names = [f"node{i}" for i in range(1, nodes + 1)] if nodes > 1 else [_host()]
        self._shape = ["--nodes", str(nodes)]
        for option, value in (("--cpus-per-node", cpus), ("--mem-per-node", mem), ("--gpus-per-node", gpus)):
            if value is not None:
                self._shape += [option, str(value)]
        self._shape += more
        self.env = {
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "PACKHORSE_HOME": str(self.home.root),
            "PATH": f"{self.root / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": os.environ["PYTHONPATH"],
            "TMPDIR": str(self.root / "tmp"),
            "USER": "root" if os.geteuid() == 0 else os.environ.get("USER", "user"),
        } | dict(variables or {})
        for directory in (self.home.root, self.work, self.root / "bin", self.root / "tmp"):
            directory.mkdir()
        self.home.config.write_text(f"{FAST}\n{config}")
        self._write_commands()

    # -- life

    def __enter__(self) -> Cluster:
        try:
            self.up()
        except BaseException as error:
            self._explain(error)
            self.end()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._explain(error)
        troubles = self.troubles()
        left = self.end()
        assert error is not None or not left, f"left over after the cluster's end: {left}"
        assert error is not None or not troubles, "\n".join(["in the daemons' logs:", *troubles])

    def up(self, variables: Mapping[str, str] | None = None, *, check: bool = True) -> None:
        """`packhorse up --detach`: starts what does not run. variables: for the daemons started now."""
        self.run("packhorse", "up", "--detach", *self._shape, variables=variables, check=check)

    def troubles(self) -> list[str]:
        """Lines of the daemons' logs that tell of a defect, with what is around them."""
        found = []
        for path in self._logs():
            lines = path.read_text(errors="replace").splitlines()
            for at, line in enumerate(lines):
                if any(sign in line for sign in DEFECTS):
                    found += [f"{path.name}: {near}" for near in lines[max(0, at - 2) : at + 12]]
        return found[:60]

    def up_in(self, wrapper: Sequence[str]) -> None:
        """`up`, with the daemons started from inside `wrapper`, as in `unshare -m`."""
        self.run(*wrapper, "packhorse", "up", "--detach", *self._shape)

    def end(self) -> list[str]:
        """Ends every process of this cluster and removes its files; what had to be ended by force."""
        if self.home.shape.exists() and self.processes():
            try:
                if not self.is_whole():
                    self.up(check=False)  # only a whole cluster can end its jobs
                self.run("packhorse", "down", "--kill-jobs", check=False)
            except subprocess.TimeoutExpired:
                pass  # what is left is ended below, and told
        for pid in self.daemons():
            kill(pid)
        try:
            wait_until(lambda: not self.processes(), "the cluster's processes to end", within_s=10)
        except AssertionError:
            pass
        left = [describe(pid) for pid in self.processes()]
        while pids := self.processes():
            for pid in pids:
                kill(pid)
        shutil.rmtree(self.root, ignore_errors=True)
        return left

    # -- processes

    def is_whole(self) -> bool:
        """Whether the scheduler and every agent run."""
        return bool(self.home.scheduler_pid()) and len(self.home.agent_pids()) == len(self.names)

    def daemons(self) -> list[int]:
        """Scheduler, agents and fork servers that run now, as their pid files say."""
        found = [self.home.scheduler_pid(), *self.home.agent_pids().values()]
        return [pid for pid in found if pid] + self.fork_servers()

    def scheduler(self) -> int:
        """The pid of the scheduler; it runs."""
        pid = self.home.scheduler_pid()
        assert pid, "the scheduler does not run"
        return pid

    def agent(self, node: str = "") -> int:
        """The pid of a node's agent (by default the first node's); it runs."""
        pid = self.home.agent_pids().get(node or self.names[0], 0)
        assert pid, f"the agent of {node or self.names[0]} does not run"
        return pid

    def fork_servers(self) -> list[int]:
        return [
            pid
            for pid in self.processes()
            if "agent.launch.forkserver" in command_line(pid) and supervises(pid)
        ]

    def processes(self) -> list[int]:
        """Every process that has this cluster's home in its environment."""
        wanted = f"PACKHORSE_HOME={self.home.root}".encode()
        return [pid for pid in running() if wanted in environment(pid)]

    # -- commands

    def run(
        self,
        *words: str | Path,
        check: bool = True,
        input: str | None = None,
        cwd: Path | None = None,
        variables: Mapping[str, str] | None = None,
        within_s: float = 2 * WITHIN_S,
    ) -> subprocess.CompletedProcess[str]:
        """A command in the cluster's environment. check: it must exit 0."""
        done = subprocess.run(
            [str(word) for word in words],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            cwd=cwd or self.work,
            env=self.env | dict(variables or {}),
            timeout=within_s,
        )
        assert not check or done.returncode == 0, (
            f"{' '.join(map(str, words))} exited {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def text(self, *words: str | Path) -> str:
        """What a command that succeeds prints."""
        return self.run(*words).stdout

    def sbatch(self, *words: str | Path, input: str | None = None, **more: Any) -> int:
        """Submits; the job's id."""
        return int(self.run("sbatch", "--parsable", *words, input=input, **more).stdout)

    def script(self, name: str, text: str, head: str = "#!/bin/bash") -> Path:
        """A batch script in `work`."""
        path = self.work / name
        path.write_text(f"{head}\n{text}\n")
        return path

    def refused(self, *words: str | Path, **more: Any) -> tuple[int, str]:
        """Exit code and stderr of a command that must fail and print nothing else."""
        done = self.run(*words, check=False, **more)
        assert done.returncode != 0 and not done.stdout, f"accepted: {words}\n{done.stdout}{done.stderr}"
        return done.returncode, done.stderr

    # -- questions

    def call(self, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call at the local socket, without a process of its own; raises what the transport raises."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WITHIN_S)
        try:
            sock.connect(str(self.home.socket))
        except OSError as error:
            sock.close()
            raise transport.TransportError(str(error)) from error
        request = transport.request_bytes(method, "local", wire.dumps(dict(body or {})))
        return transport.parse_reply(*transport.exchange(sock, request))

    def jobs(self, *jobs: int, fields: Iterable[str] = ()) -> list[dict[str, Any]]:
        """The rows of the table of jobs, ended ones included; all jobs unless some are named."""
        wanted = {"jobId", *fields} if fields else set()
        table = self.call(
            "ListJobs",
            {
                "fields": sorted(wanted - {"jobId"} | {"job_id"}) if wanted else [],
                "jobs": [{"jobId": job} for job in jobs],
                "includeEnded": True,
            },
        )
        columns = {c["name"]: c.get("ints") or c.get("texts") or [] for c in table.get("columns", [])}
        n = int(table.get("nRows", 0))
        filled = [values or [""] * n for values in columns.values()]
        return [dict(zip(columns, row, strict=True)) for row in zip(*filled, strict=True)]

    def job(self, job: int) -> dict[str, Any]:
        """The row of one job."""
        rows = [row for row in self.jobs(job) if int(row["job_id"]) == job]
        assert len(rows) == 1, f"job {job}: {len(rows)} rows"
        return rows[0]

    def state(self, job: int) -> str:
        return str(self.job(job)["state"])

    def result(self, job: int) -> Result:
        """How a job stands."""
        row = self.job(job)
        return Result(
            job,
            row["state"],
            int(row["exit_code"]),
            int(row["exit_signal"]),
            row["reason"],
            str(row.get("reason_text", "")),
            bool(int(row["end_at"])),
        )

    def wait(self, job: int, within_s: float = WITHIN_S) -> Result:
        """How a job ended; fails if it does not end in time."""
        self.wait_all([job], within_s)
        return self.result(job)

    def wait_all(self, jobs: Iterable[int], within_s: float = WITHIN_S) -> list[dict[str, Any]]:
        """Waits until all have ended; the scheduler's answers, one for each."""
        refs = [{"jobId": job} for job in jobs]
        deadline = time.monotonic() + within_s
        while True:
            left = deadline - time.monotonic()
            answer = self.call("WaitJobs", {"jobs": refs, "timeoutS": max(0.001, min(left, 5.0))})
            results: list[dict[str, Any]] = answer.get("results", [])
            if answer.get("allEnded"):
                return results
            waiting = [r for r in results if not r.get("ended")]
            assert left > 0, f"not ended within {within_s:g} s: {waiting}"

    def wait_state(self, job: int, *states: str, within_s: float = WITHIN_S) -> None:
        """Waits until a job is in one of the states."""
        wait_until(
            lambda: self.state(job) in states,
            lambda: f"job {job} to be {' or '.join(states)}; it is {self.job(job)}",
            within_s=within_s,
        )

    def output(self, job: int) -> str:
        """What a job wrote to the default output file."""
        return (self.work / f"slurm-{job}.out").read_text()

    def said(self, job: int) -> str:
        """What it wrote so far, "" while there is no such file."""
        try:
            return self.output(job)
        except FileNotFoundError:
            return ""

    def events(self, job: int) -> list[dict[str, Any]]:
        """A job's story."""
        found: list[dict[str, Any]] = json.loads(self.text("packhorse", "events", "--json", str(job)))
        return found

    # -- inside

    def _write_commands(self) -> None:
        """The commands as an installation would put them on PATH, importing what the tests import, whatever
        environment they are called in.
        """
        before = self.env["PYTHONPATH"].split(os.pathsep)
        modules = {name: f"packhorse.cli.slurm.{name}" for name in COMMANDS}
        for name, module in (modules | {"packhorse": "packhorse.cli.main"}).items():
            path = self.root / "bin" / name
            first = f"#!{sys.executable}\nimport sys\nsys.path[:0] = {before}\n"
            path.write_text(f"{first}from {module} import main\nsys.exit(main())\n")
            path.chmod(0o755)
        (self.root / "bin" / "python3").symlink_to(sys.executable)

    def _logs(self) -> list[Path]:
        return sorted([*self.home.log.glob("*"), *self.home.root.glob("nodes/*/*.log")])

    def _explain(self, error: BaseException) -> None:
        """Adds the ends of the logs to a failure."""
        for path in self._logs():
            tail = path.read_text(errors="replace").splitlines()[-25:]
            if tail:
                error.add_note("\n".join([f"--- {path.name}", *tail]))


def wait_until(
    ready: Callable[[], object], what: str | Callable[[], str], within_s: float = WITHIN_S
) -> None:
    """Asks until `ready()` is true; fails naming `what` if it is not in time."""
    deadline = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s for {what if isinstance(what, str) else what()}")
        time.sleep(0.01)


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Sends a signal; with KILL, returns when the process is gone (or a zombie) and its files closed."""
    assert pid > 1, f"{pid} is no process of a test: 0 would be all of this one's group"
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    if number == signal.SIGKILL:
        wait_until(lambda: _is_over(pid), f"process {pid} to die")


def running() -> list[int]:
    """Every process of this machine that is not a zombie."""
    return [pid for name in os.listdir("/proc") if name.isdigit() and status(pid := int(name)) not in "ZX"]


def status(pid: int) -> str:
    """R, S, T, Z …; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0].decode()
    except OSError:
        return "X"


def _is_over(pid: int) -> bool:
    """Whether no thread is left: the first may be over long before the last, and only that closes files."""
    try:
        return status(pid) in "ZX" and len(os.listdir(f"/proc/{pid}/task")) == 1
    except OSError:
        return True


def environment(pid: int) -> list[bytes]:
    """The environment a process was executed with, [] if it is gone or somebody else's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def describe(pid: int) -> str:
    return f"{pid} ({status(pid)}) {command_line(pid)}"


def supervises(pid: int) -> bool:
    """Whether this is a fork server itself and not a supervisor that it forked."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:
        return False
    return "packhorse.agent " in f"{command_line(parent)} "


def _host() -> str:
    return os.uname().nodename.split(".")[0] or "localhost"

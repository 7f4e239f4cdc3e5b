"""Starting and stopping this machine's scheduler and agents as processes of their own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from packhorse.cli.home import Home
from packhorse.scheduler.model.errors import PackhorseError


class DaemonFailed(PackhorseError):
    """A daemon did not come up, or did not go away."""


def require_scheduler() -> None:
    """Raises PackhorseError naming the extra to install where the scheduler's libraries are missing."""
    missing = [
        name
        for name in ("numpy", "aiohttp", "sqlite_utils", "joserfc")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise PackhorseError(
            f"this is the thin installation (agent and commands): {', '.join(missing)} "
            'not found; install the scheduler with: pip install "packhorse[scheduler]"'
        )


PYTHON = (sys.executable, "-P")
"""-P: nothing is imported from the directory that the administrator happens to be in."""


def scheduler_command(home: Home) -> list[str]:
    return [*PYTHON, "-m", "packhorse.scheduler.service", "--home", str(home.root)]


def agent_command(home: Home, node: str, options: Sequence[str]) -> list[str]:
    return [*PYTHON, "-m", "packhorse.agent", "--home", str(home.root), "--node", node, *options]


def spawn(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a daemon that outlives this command; what it prints goes to the end of log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    holder: Callable[[], int],
    what: str,
    log: Path,
    *,
    within_s: float,
) -> None:
    """Wait for ready(); raises DaemonFailed with the end of the log if the process dies or time runs out.

    holder: the pid of the daemon that runs now, 0 if none does. When somebody else has started it at the same
    time, the process that was started here ends, and the other one is waited for.
    """
    deadline = time.monotonic() + within_s
    while not ready():
        if process.poll() is not None and holder() in (0, process.pid):
            raise DaemonFailed(f"{what} ended with status {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise DaemonFailed(f"{what} does not answer after {within_s:.0f} s; its log: {log}\n{_tail(log)}")
        time.sleep(0.01)


def stop(pid: int, what: str, still: Callable[[], int], *, within_s: float = 30) -> None:
    """TERM, and wait until the pid file says that nobody holds it; raises DaemonFailed otherwise."""
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as why:
        raise DaemonFailed(f"{what} (process {pid}) belongs to somebody else") from why
    deadline = time.monotonic() + within_s
    while still() == pid:
        if time.monotonic() > deadline:
            raise DaemonFailed(f"{what} (process {pid}) still runs {within_s:.0f} s after SIGTERM")
        time.sleep(0.01)


def _tail(log: Path, lines: int = 15) -> str:
    try:
        text = log.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])

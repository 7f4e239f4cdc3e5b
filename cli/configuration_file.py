"""The home's configuration file: written when a cluster is first started, or taken from a file then."""

from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path

from packhorse.cli import daemons
from packhorse.cli.home import Home
from packhorse.scheduler.model.errors import BadValue

_OF_ROOT = (
    "# Written because `packhorse up` ran as root: without it, jobs of uid 0 are refused.",
    "allow_root_jobs = true",
)


def first(home: Home) -> None:
    """Writes the file of a new home: all defaults."""
    _write(
        home,
        "# This cluster's configuration. Every key has a default; docs/configuration.md lists them all.\n"
        "# Check a change with: packhorse scheduler --check-config\n",
    )


def take(home: Home, file: Path) -> None:
    """Makes `file` the configuration of a home that has none; raises BadValue.

    A home that has one keeps it: it may have been changed since. The same file once more is no mistake.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as why:
        raise BadValue(f"--config {file}: {getattr(why, 'strerror', None) or 'not a text file'}") from why
    _check(home, file)
    wanted = _for_this_user(text)
    if not home.config.exists():
        _write(home, text)
    elif home.config.read_text() != wanted:
        raise BadValue(
            f"--config {file}: {home.config} is there already and says otherwise; change that one and call "
            "packhorse reconfigure, or choose a new home (--home, PACKHORSE_HOME)"
        )


def _write(home: Home, text: str) -> None:
    home.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    home.config.write_text(_for_this_user(text))


def _for_this_user(text: str) -> str:
    """Root, who is the only user of many a container, may run jobs, unless the file says whether it may."""
    if os.geteuid() != 0:
        return text
    jobs = tomllib.loads(text).get("jobs")
    if jobs is None:
        return "\n".join([text.rstrip("\n"), "", "[jobs]", *_OF_ROOT]) + "\n"
    if "allow_root_jobs" in jobs:
        return text
    lines = text.splitlines()
    at = next((i for i, line in enumerate(lines) if line.partition("#")[0].strip() == "[jobs]"), None)
    if at is None:  # an inline table, or dotted keys
        return text
    return "\n".join([*lines[: at + 1], *_OF_ROOT, *lines[at + 1 :]]) + "\n"


def _check(home: Home, file: Path) -> None:
    """Raises BadValue with what the scheduler has against the file."""
    command = [*daemons.scheduler_command(home), "--config", str(file), "--check-config"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BadValue(f"--config {file} is refused:\n{(done.stderr or done.stdout).strip()}")

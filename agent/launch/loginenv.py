"""The environment that a user has after logging in on this node (`sbatch --get-user-env`, `--export=NONE`).

Taken by the user's own shell, run as the user, in the job's groups and limits: what a login script does, the
job did.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping

from packhorse.agent.launch.spec import TOKEN_VARIABLE

HOW = "PACKHORSE_GET_USER_ENV"
"""Seconds and mode, as in "8L": L a login shell, S one that is none."""

MARK = b"\0packhorse-environment\0"
"""Before the variables, so that what login scripts print is not taken for any."""

_LEAST = ("HOME", "LOGNAME", "USER", "SHELL", "PATH", TOKEN_VARIABLE)
_OF_THE_SHELL = frozenset(("_", "SHLVL", "PWD", "OLDPWD", TOKEN_VARIABLE))


class NoLogin(Exception):
    """The environment could not be had. One line."""


def with_login(environment: Mapping[str, str], user: str, cwd: str, token: str) -> dict[str, str]:
    """The job's environment on top of the login one. token: marks what the shell leaves behind as the job's.
    Raises NoLogin."""
    found = login({**environment, TOKEN_VARIABLE: token}, user, cwd)
    return found | {name: value for name, value in environment.items() if name != HOW}


def login(environment: Mapping[str, str], user: str, cwd: str) -> dict[str, str]:
    """What the user's shell has after its start. Raises NoLogin, after the time that the job allows."""
    how = environment.get(HOW, "8L")
    seconds, mode = int(how[:-1]), how[-1]
    shell = environment.get("SHELL") or "/bin/sh"
    command = [
        shell,
        *(["-l"] if mode == "L" else []),
        "-c",
        r"printf '\000packhorse-environment\000'; exec env -0",
    ]
    least = {name: environment[name] for name in _LEAST if name in environment}
    who = user or "the user"
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=least,
            cwd=least.get("HOME") if os.path.isdir(least.get("HOME", "")) else cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise NoLogin(f"cannot run {shell} of {who}: {error.strerror}") from None
    try:
        said, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise NoLogin(f"{shell} of {who} did not start within {seconds} s") from None
    _, mark, listed = said.rpartition(MARK)
    if not mark:
        raise NoLogin(f"{shell} of {who} ended without an environment (status {process.returncode})")
    pairs = (entry.partition("=") for entry in os.fsdecode(listed).split("\0"))
    return {name: value for name, equals, value in pairs if equals and name not in _OF_THE_SHELL}

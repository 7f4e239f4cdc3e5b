"""A site's own program for its node: prolog, epilog, health check. Run as the agent's user, and watched.

It starts with the environment that is built for it and nothing else, in a session of its own, its output
read as it comes: only the last line is kept. At its time limit its process group is killed. What it leaves
running when it ends by itself is left alone, as Slurm does: a prolog may start a service.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from packhorse.agent.launch import processes

log = structlog.get_logger()

MARK = "PACKHORSE_NODE_SCRIPT"
"""In the environment of all of them: the spool of the agent that runs them. So the next one finds them."""

KILLED_S = 5.0
"""A killed script is gone by then, or hangs in the kernel: it is waited for no longer."""

LONGEST_LINE = 200
"""Of its last line, what is shown."""

_TAIL_BYTES = 4096


class Outcome(NamedTuple):
    """How a script ended. trouble: why that is no success, "" if it is one. said: its last line, or ""."""

    trouble: str
    said: str

    @property
    def why(self) -> str:
        """One line: `exit 3: no disk`."""
        return ": ".join(filter(None, (self.trouble, self.said)))


def objection(path: Path) -> str:
    """Why the agent may not run this file, "" if it may: nobody but root and the agent's user may change it.

    The directories above it count as well, but for those (/tmp) in which nobody replaces others' files.
    """
    if not path.is_absolute():
        return f"{path}: write an absolute path"
    trusted = {0, os.geteuid()}
    try:
        place = path.resolve(strict=True)
        if place != path:  # who may change the link is another question
            return f"{path}: leads over a symbolic link: name {place} instead"
        about = place.stat()
        if not stat.S_ISREG(about.st_mode):
            return f"{path}: not a file"
        if about.st_uid not in trusted or about.st_mode & 0o022:
            return f"{path}: others than root or its owner may write to it: chown root, chmod 755"
        for above in place.parents:
            about = above.stat()
            if about.st_uid not in trusted or (about.st_mode & 0o022 and not about.st_mode & stat.S_ISVTX):
                return (
                    f"{path}: others may replace it, since they may write to {above}: chown root, chmod 755"
                )
    except OSError as error:
        return f"{path}: {error.strerror}"
    if not os.access(place, os.X_OK):
        return f"{path}: not executable: chmod 755"
    return ""


async def run(path: Path, environment: Mapping[str, str], mark: str, timeout_s: float) -> Outcome:
    """Runs the script to its end or its time limit. Cancelled, it kills it.

    mark: the agent's spool. Raises StillThere if it was killed and did not go.
    """
    if why := objection(path):
        return Outcome(why, "")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 (returns after a vfork)
            [str(path)],
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            cwd="/",
            env={**environment, MARK: mark},
            start_new_session=True,
        )
    except OSError as error:
        os.close(reader)
        return Outcome(f"{path}: cannot be executed: {error.strerror}", "")
    finally:
        os.close(writer)
    with _Tail(reader) as tail:
        try:
            async with asyncio.timeout(timeout_s):
                await _gone(process)
        except TimeoutError:
            await _end(process, path)
            return Outcome(f"no end within {timeout_s:g} s", tail.last_line())
        except asyncio.CancelledError:
            with contextlib.suppress(StillThere):
                await _end(process, path)
            raise
        process.wait()
        code = process.returncode
        if code == 0:
            return Outcome("", tail.last_line())
        return Outcome(f"exit {code}" if code > 0 else f"signal {-code}", tail.last_line())


class StillThere(Exception):
    """A killed script did not go. process: to be waited for before the next of its kind."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        super().__init__(f"{path.name} hangs: process {process.pid} cannot be killed")
        self.process = process

    async def gone(self) -> None:
        """Returns when it has ended after all."""
        await _gone(self.process)
        self.process.wait()


def end_leftovers(mark: str, files: Sequence[Path]) -> int:
    """Kills those of these scripts that an agent of this spool left running as it died; how many.

    Not what they had started for good, in a session of its own or as another program. Reads all of /proc.
    """
    names = {os.fsencode(file) for file in files}
    found = [
        pid
        for pid in processes.with_environment(f"{MARK}={mark}")
        if processes.session(pid) == pid and names & set(processes.arguments(pid))
    ]
    for pid in found:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    return len(found)


async def _end(process: subprocess.Popen[bytes], path: Path) -> None:
    _kill(process)
    try:
        async with asyncio.timeout(KILLED_S):
            await _gone(process)
    except TimeoutError:
        raise StillThere(process, path) from None
    process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Its whole group: the number cannot belong to others while it has not been waited for."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


async def _gone(process: subprocess.Popen[bytes]) -> None:
    """Returns when the process has ended; it is still to be waited for."""
    loop = asyncio.get_running_loop()
    fd = os.pidfd_open(process.pid)
    over = loop.create_future()
    loop.add_reader(fd, _finish, over)
    try:
        await over
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def _finish(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


class _Tail:
    """Reads a pipe as it fills, for as long as the `with` block; keeps the end of what came."""

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._kept = b""
        os.set_blocking(reader, False)

    def __enter__(self) -> _Tail:
        asyncio.get_running_loop().add_reader(self._reader, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._reader)
        os.close(self._reader)

    def _read(self) -> bool:
        """One read, so that an endless writer does not hold the agent up; whether more may come."""
        try:
            data = os.read(self._reader, 1 << 16)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._reader)
            return False
        self._kept = (self._kept + data)[-_TAIL_BYTES:]
        return True

    def last_line(self) -> str:
        """The last line with something in it, of what was written up to now."""
        for _ in range(4):  # it holds one or two reads; something that writes on must not keep us here
            if not self._read():
                break
        lines = (line.strip() for line in reversed(self._kept.decode(errors="replace").splitlines()))
        line = next(filter(None, lines), "")
        return "".join(char if char.isprintable() else "?" for char in line)[:LONGEST_LINE]

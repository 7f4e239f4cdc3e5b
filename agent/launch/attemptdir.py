"""The files of one attempt, and the order in which they become durable.

    started         who supervises; complete and on disk before anything of the job runs. Taken once: by the
                    supervisor, or by an agent that found none and wants to be sure that none will follow
                    ("never")
    exit            the exit record; on disk before the supervisor goes away
    exit.tmp        its space, set aside at the start, so that a full disk cannot swallow an exit; holds the
                    number of the job's first process meanwhile
    control         the supervisor's datagram socket
    suspended       while the job is stopped
    supervisor.log  only when there was trouble

What an agent finds after a crash, and what it may conclude (`read_state`):

    exit                                          over, and this is how
    started, same boot, supervisor alive          runs
    started, same boot, supervisor gone           lost: whatever is left of the job must be killed first
    started, another boot                         lost, and nothing is left
    neither; `fence` succeeds                     never ran and never will in this directory
    neither; `fence` fails                        a supervisor was quicker: look again

A record is written under another name, then linked (which fails if there is one) or renamed, then file and
directory are synced (durable.py), and only then anything builds on it. Whoever looks while the machine runs
sees all of it or nothing. After a power cut it may be there and empty: then nothing was built on it, so a
damaged started record of which no exit exists means that nothing ran, and a damaged exit record counts as
none. (Syncing before and after the rename costs a second journal commit and gives no stronger promise.)
"""

from __future__ import annotations

import errno
import os
import time
from typing import Literal, TypeVar

import msgspec

from packhorse.agent.launch import contact, durable, processes
from packhorse.agent.launch.exitrecord import ExitRecord
from packhorse.agent.launch.spec import Group
from packhorse.scheduler.model.crashpoint import crash_point, register

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_decode_exit = msgspec.json.Decoder(ExitRecord).decode

STARTED = "started"
EXIT = "exit"
EXIT_SPACE = "exit.tmp"
CONTROL = "control"
SUSPENDED = "suspended"
LOG = "supervisor.log"

_RESERVED_BYTES = 4096
"""Room for an exit record: one block. A longer one (very long paths) is written all the same, if there is
space.
"""

EXIT_TEMPORARY = register("supervisor.exit_temporary", "exit record written but not yet under its name")


class First(msgspec.Struct, frozen=True, array_like=True):
    """The job's first process. With its start time, in ticks since boot, the number means this process
    only.
    """

    pid: int
    start_time: int


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """Who supervises this attempt. kind "never": nobody, and nobody ever will.

    cpus: the processors it is bound to, () for none in particular; cpu_milli: what it has of them.
    """

    kind: Literal["supervised", "never"]
    key: str
    pid: int
    start_time: int
    boot_id: str
    started_at: int
    boot_clock_us: int
    token: str = ""
    groups: tuple[Group, ...] = ()
    cpus: tuple[int, ...] = ()
    cpu_milli: int = 0
    version: int = 1


def claim(directory: str, record: Started) -> bool:
    """Makes `record` the started record, durably; False if there is one already."""
    temporary = f"{directory}/.started.{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        text = _encode(record)
        if os.write(fd, text) != len(text):  # half a record would count as none, and the job could run twice
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)
        try:
            os.link(temporary, f"{directory}/{STARTED}")
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        durable.sync_file(fd, directory)
    finally:
        os.close(fd)
    return True


def fence(directory: str, key: str) -> bool:
    """Makes sure that nothing will ever start in `directory`; False if something did."""
    return claim(
        directory,
        Started(
            kind="never",
            key=key,
            pid=os.getpid(),
            start_time=0,
            boot_id=processes.boot_id(),
            started_at=time.time_ns() // 1000,
            boot_clock_us=contact.boot_clock_us(),
        ),
    )


def read_started(directory: str) -> Started | None:
    """The started record, None if there is none. Raises msgspec.DecodeError if it is damaged."""
    return _read(f"{directory}/{STARTED}", Started)


def read_exit(directory: str) -> ExitRecord | None:
    """The exit record, None if there is none. Raises msgspec.DecodeError if it is damaged."""
    return _read(f"{directory}/{EXIT}", ExitRecord)


def reserve_exit(directory: str) -> int:
    """Sets space for the exit record aside; the descriptor to write it through."""
    fd = os.open(f"{directory}/{EXIT_SPACE}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, _RESERVED_BYTES)
    except OSError:  # this file system cannot: should the disk be full when it matters, the writer waits
        pass
    return fd


def note_first(fd: int, first: First) -> None:
    """Keeps the job's first process in the space of the exit record. Not durable: no process outlives a
    boot.
    """
    os.pwrite(fd, _encode(first), 0)


def decode_exit(text: bytes) -> ExitRecord:
    """The exit record that `write_exit` returned as `text`."""
    return _decode_exit(text)


def note_suspended(directory: str, on: bool) -> None:
    """Keeps, durably, that the job is stopped; or that it is not. For an agent that begins meanwhile."""
    path = f"{directory}/{SUSPENDED}"
    if on:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    else:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return
    durable.sync_directory(directory)


def is_suspended(directory: str) -> bool:
    """Whether the job is stopped, as `note_suspended` left it."""
    return os.path.exists(f"{directory}/{SUSPENDED}")


def read_first(directory: str) -> First | None:
    """The job's first process as `note_first` left it, if the supervisor came that far."""
    try:
        with open(f"{directory}/{EXIT_SPACE}", "rb") as file:
            return msgspec.json.decode(file.read().rstrip(b"\0"), type=First)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_exit(directory: str, fd: int, record: ExitRecord) -> bytes:
    """Writes the exit record through `fd` of `reserve_exit`, durably; returns its text.

    Raises OSError; may then be called again.
    """
    text = _encode(record)
    if os.pwrite(fd, text, 0) != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{directory}/{EXIT_SPACE}")
    os.ftruncate(fd, len(text))
    crash_point(EXIT_TEMPORARY)
    os.rename(f"{directory}/{EXIT_SPACE}", f"{directory}/{EXIT}")
    durable.sync_file(fd, directory)
    return text


def log_trouble(directory: str, line: str) -> None:
    """Adds a line to supervisor.log; silent if even that is impossible."""
    try:
        with open(f"{directory}/{LOG}", "a", encoding="utf-8") as out:
            out.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {line}\n")
    except OSError:
        pass


def _read(path: str, kind: type[T]) -> T | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=kind)
    except FileNotFoundError:
        return None

"""The agent's own files below its spool directory: what it has to know again after a restart.

epoch                 the newest leader epoch obeyed
contact               touched whenever the scheduler was heard from (leases are judged by it)
attempts/KEY/order    the journalled order of an attempt, durable before anything is forked
attempts/KEY/…        the supervisor's records (agent/launch/attemptdir.py)
scripts/KEY           the batch script, readable by the user it runs as
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from packhorse.agent.launch.contact import note_contact
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.ids import AttemptKey

BEFORE_JOURNAL = register("agent.before_journal", "an order that arrived and was not written down")
AFTER_JOURNAL = register("agent.after_journal", "an order written down and not yet forked")
BEFORE_FORGET = register("agent.before_forget", "an exit acknowledged whose records are still there")


class Spool:
    """One node's directory. Raises OSError when the disk will not take a write."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.attempts = root / "attempts"
        self.scripts = root / "scripts"
        self.contact = root / "contact"
        root.mkdir(parents=True, exist_ok=True)
        self.attempts.mkdir(mode=0o700, exist_ok=True)
        self.scripts.mkdir(mode=0o711, exist_ok=True)
        # Jobs read their scripts in here as their own users: passing through is allowed, listing is not.
        os.chmod(root, 0o711)
        os.chmod(self.scripts, 0o711)

    def directory(self, key: AttemptKey) -> Path:
        return self.attempts / str(key)

    def script(self, key: AttemptKey) -> Path:
        return self.scripts / str(key)

    # -- epoch

    def epoch(self) -> int:
        """The newest leader epoch obeyed, 0 on a new node."""
        try:
            return int((self.root / "epoch").read_text())
        except FileNotFoundError:
            return 0

    def keep_epoch(self, epoch: int) -> None:
        _write_durably(self.root / "epoch", str(epoch).encode())

    def renew_contact(self) -> None:
        """Note that the scheduler was heard from now."""
        note_contact(str(self.contact))

    # -- attempts

    def journal(self, order: LaunchOrder) -> Path:
        """Write the order and its script; durable on return. The attempt's directory."""
        crash_point(BEFORE_JOURNAL)
        directory = self.directory(order.attempt)
        directory.mkdir(mode=0o700)
        script = self.script(order.attempt)
        script.unlink(missing_ok=True)
        fd = os.open(script, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o500)
        try:
            _write_all(fd, order.script)
            if os.geteuid() == 0:
                os.fchown(fd, order.uid, order.gid)
        finally:
            os.close(fd)
        # The script needs no fsync of its own: after a reboot no journalled order is carried out any more.
        _write_durably(
            directory / "order", msgspec.msgpack.encode(msgspec.structs.replace(order, script=b""))
        )
        _sync(self.attempts)
        crash_point(AFTER_JOURNAL)
        return directory

    def order(self, key: AttemptKey) -> LaunchOrder | None:
        """The journalled order (without its script), or None where none was completed."""
        try:
            return msgspec.msgpack.decode((self.directory(key) / "order").read_bytes(), type=LaunchOrder)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def known(self) -> Iterator[AttemptKey]:
        """Every attempt with a directory, oldest first."""
        keys = []
        for entry in self.attempts.iterdir():
            try:
                keys.append(AttemptKey.parse(entry.name))
            except ValueError:
                continue
        return iter(sorted(keys))

    def forget(self, key: AttemptKey) -> None:
        crash_point(BEFORE_FORGET)
        self.script(key).unlink(missing_ok=True)
        shutil.rmtree(self.directory(key), ignore_errors=True)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _write_durably(path: Path, data: bytes) -> None:
    """Replace the file's content; after a crash it holds the old or the new, whole."""
    fresh = path.with_name(path.name + ".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(fd, data)
        os.fdatasync(fd)
    finally:
        os.close(fd)
    os.replace(fresh, path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

"""The agent's own files below its spool directory: what it has to know again after a restart.

epoch                 the newest leader epoch obeyed
contact               touched whenever the scheduler was heard from (leases are judged by it)
attempts/KEY          the journal: durable before anything of that attempt is forked
attempts/KEY/order    what was ordered
attempts/KEY/…        the supervisor's records (agent/launch/attemptdir.py)
scripts/KEY           the batch script, readable by the user it runs as

That there is an attempt has to survive a power cut, or a job could run twice. What it was to do has not:
after a reboot no order is carried out any more. So orders and scripts are not synced, and those that come
together cost one sync of their directory.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
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
        self._attempts = str(self.attempts)
        self._scripts = str(self.scripts)
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

    def journal(self, orders: Sequence[LaunchOrder]) -> list[OSError | None]:
        """Write orders and scripts; on return those without an error are durable."""
        crash_point(BEFORE_JOURNAL)
        errors: list[OSError | None] = []
        for order in orders:
            try:
                self._write_down(order)
                errors.append(None)
            except OSError as error:
                errors.append(error)
        try:
            _sync(self._attempts)
        except OSError as error:
            errors = [error] * len(orders)
        crash_point(AFTER_JOURNAL)
        return errors

    def _write_down(self, order: LaunchOrder) -> None:
        directory = f"{self._attempts}/{order.attempt}"
        os.mkdir(directory, 0o700)
        script = f"{self._scripts}/{order.attempt}"
        fd = _create(script, 0o500)
        try:
            _write_all(fd, order.script)
            if os.geteuid() == 0:
                os.fchown(fd, order.uid, order.gid)
        finally:
            os.close(fd)
        fd = _create(f"{directory}/order", 0o600)
        try:
            _write_all(fd, msgspec.msgpack.encode(msgspec.structs.replace(order, script=b"")))
        finally:
            os.close(fd)

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

    def forget(self, keys: Iterable[AttemptKey]) -> None:
        """Remove all that is kept of these attempts."""
        for key in keys:
            crash_point(BEFORE_FORGET)
            _remove(f"{self._scripts}/{key}")
            directory = f"{self._attempts}/{key}"
            try:
                for name in os.listdir(directory):
                    os.unlink(f"{directory}/{name}")
                os.rmdir(directory)
            except OSError:
                shutil.rmtree(directory, ignore_errors=True)


def _create(path: str, mode: int) -> int:
    """A new file to write to, whatever was there before."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(path, flags, mode)
    except FileExistsError:
        os.unlink(path)
        return os.open(path, flags, mode)


def _remove(path: str) -> None:
    """Nothing comes of a file that stays: the next agent finds its attempt settled, or fences it."""
    try:
        os.unlink(path)
    except OSError:
        pass


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


def _sync(directory: str | Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

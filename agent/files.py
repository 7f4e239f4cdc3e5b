"""The agent's own files below its spool directory: what it has to know again after a restart.

epoch                   the newest leader epoch obeyed
drained                 why the node takes no work until an operator resumes it: a failed prolog or epilog
contact                 touched whenever the scheduler was heard from (leases are judged by it)
devices.json            which number each device has (agent/inventory/numbering.py)
attempts/KEY-TRY        the journal: durable before anything of that attempt is forked
attempts/KEY-TRY/order  what was ordered
attempts/KEY-TRY/epilog the epilog has run
attempts/KEY-TRY/…      the supervisor's records (agent/launch/attemptdir.py)
opened/KEY              the first order of an attempt for which the prolog has run, until the epilog has
scripts/KEY-TRY         the batch script, readable by the user it runs as

TRY is new whenever an attempt is written down. An agent that finds nothing of an attempt begun fences its
directory and removes it, and the scheduler may order the attempt again; a supervisor that the agent before
had asked for, and that comes late, then finds no directory, instead of a new one not yet ready for it.

That there is an attempt has to survive a power cut, or a job could run twice. What it was to do has not:
after a reboot no order is carried out any more. So orders and scripts are not synced, and those that come
together cost one sync of their directory, or none where the file system keeps the order of what is done
(launch/durable.py): the supervisor syncs its first record before it starts anything.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from packhorse.agent.launch import durable
from packhorse.agent.launch.contact import note_contact
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.crashpoint import crash_point, register
from packhorse.scheduler.model.errors import BadValue
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
        self.openings = root / "opened"
        self.contact = root / "contact"
        self._names: dict[AttemptKey, str] = {}
        """Where the attempts are that this process journalled or found."""
        self._attempts = str(self.attempts)
        self._scripts = str(self.scripts)
        root.mkdir(parents=True, exist_ok=True)
        self.attempts.mkdir(mode=0o700, exist_ok=True)
        self.scripts.mkdir(mode=0o711, exist_ok=True)
        self.openings.mkdir(mode=0o700, exist_ok=True)
        # Jobs read their scripts in here as their own users: passing through is allowed, listing is not.
        os.chmod(root, 0o711)
        os.chmod(self.scripts, 0o711)

    def directory(self, key: AttemptKey) -> Path:
        """Of an attempt that was journalled or taken over; KeyError for any other."""
        return self.attempts / self._names[key]

    def script(self, key: AttemptKey) -> Path:
        """As `directory`."""
        return self.scripts / self._names[key]

    def order(self, key: AttemptKey) -> LaunchOrder | None:
        """What was ordered, without the script; None if it cannot be read. As `directory`."""
        try:
            return msgspec.msgpack.decode((self.directory(key) / "order").read_bytes(), type=LaunchOrder)
        except (OSError, msgspec.DecodeError):
            return None

    # -- epoch

    def epoch(self) -> int:
        """The newest leader epoch obeyed, 0 on a new node. Raises BadValue for a file that says something
        else: who obeys an older leader runs jobs twice.
        """
        path = self.root / "epoch"
        try:
            text = path.read_text(errors="replace").strip()
            return int(text)
        except FileNotFoundError:
            return 0
        except ValueError:
            raise BadValue(
                f"{path}: {text[:20]!r} is no epoch: write the one of packhorse status --json into it"
            ) from None

    def keep_epoch(self, epoch: int) -> None:
        _write_durably(self.root / "epoch", str(epoch).encode())

    # -- a failed prolog or epilog

    def drained(self) -> str:
        """Why the node was drained, "" if it was not."""
        try:
            return (self.root / "drained").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def keep_drained(self, why: str) -> None:
        """Why the node takes no work from now on; "" if it takes some again."""
        if why:
            _write_durably(self.root / "drained", why.encode())
        else:
            (self.root / "drained").unlink(missing_ok=True)

    def renew_contact(self) -> None:
        """Note that the scheduler was heard from now."""
        note_contact(str(self.contact))

    # -- attempts

    def journal(self, orders: Sequence[LaunchOrder]) -> list[OSError | None]:
        """Write orders and scripts; on return those without an error are durable, or will be before anything
        that is done from now on is."""
        crash_point(BEFORE_JOURNAL)
        errors: list[OSError | None] = []
        for order in orders:
            try:
                self._write_down(order)
                errors.append(None)
            except OSError as error:
                errors.append(error)
        try:
            # In order: the supervisor's record that something began cannot be durable before these are.
            if not durable.keeps_order(self._attempts):
                durable.sync_directory(self._attempts)
        except OSError as error:
            errors = [error] * len(orders)
        crash_point(AFTER_JOURNAL)
        return errors

    def journal_again(self, order: LaunchOrder) -> None:
        """Nothing came of an attempt in its directory, and nothing will: it goes on in a new one.

        Raises OSError; then what is known of it stays where it was.
        """
        old = self._names.pop(order.attempt)
        (error,) = self.journal([order])
        if self._names.setdefault(order.attempt, old) != old:
            self.discard(old)
        if error is not None:
            raise error

    def _write_down(self, order: LaunchOrder) -> None:
        if order.attempt in self._names:
            raise FileExistsError(errno.EEXIST, "journalled already", str(self.directory(order.attempt)))
        name = f"{order.attempt}-{secrets.token_hex(4)}"
        try:
            self._write_files(name, order)
        except OSError:
            self.discard(name)
            raise
        self._names[order.attempt] = name

    def _write_files(self, name: str, order: LaunchOrder) -> None:
        directory = f"{self._attempts}/{name}"
        os.mkdir(directory, 0o700)
        if order.step is None:
            self._write_script(f"{self._scripts}/{name}", order)
        fd = _create(f"{directory}/order", 0o600)
        try:
            _write_all(fd, msgspec.msgpack.encode(msgspec.structs.replace(order, script=b"")))
        finally:
            os.close(fd)

    @staticmethod
    def _write_script(path: str, order: LaunchOrder) -> None:
        fd = _create(path, 0o500)
        try:
            _write_all(fd, order.script)
            if os.geteuid() == 0:
                os.fchown(fd, order.uid, order.gid)
        finally:
            os.close(fd)

    # -- attempts whose prolog has run and whose epilog has not

    def note_opened(self, order: LaunchOrder) -> None:
        """The prolog has run for the order's attempt, and its epilog will. Not durable: what a power cut
        takes is over."""
        path = self.openings / str(order.attempt.whole)
        fresh = path.with_name(f"{path.name}-new")
        fresh.write_bytes(msgspec.msgpack.encode(msgspec.structs.replace(order, script=b"", environment=())))
        fresh.replace(path)

    def note_closed(self, whole: AttemptKey) -> None:
        """The epilog has run."""
        (self.openings / str(whole)).unlink(missing_ok=True)

    def opened(self, whole: AttemptKey) -> bool:
        """Whether the prolog has run, and the epilog has not."""
        return (self.openings / str(whole)).exists()

    def opened_for(self, whole: AttemptKey) -> LaunchOrder | None:
        """The first order of an attempt that was opened, None for any other."""
        try:
            return msgspec.msgpack.decode((self.openings / str(whole)).read_bytes(), type=LaunchOrder)
        except (OSError, msgspec.DecodeError):
            return None

    def openings_found(self) -> list[AttemptKey]:
        """Attempts that were opened and not closed."""
        return [AttemptKey.parse(name) for name in os.listdir(self.openings) if "-" not in name]

    def opened_before(self, whole: AttemptKey) -> list[AttemptKey]:
        """Older attempts of the same job that were opened and not closed."""
        return sorted(key for key in self.openings_found() if key.job == whole.job and key < whole)

    # -- attempts

    def had_epilog(self, key: AttemptKey) -> bool:
        """Whether the attempt's epilog has run."""
        return (self.directory(key) / "epilog").exists()

    def note_epilog(self, key: AttemptKey) -> None:
        """The attempt's epilog has run. Not durable: after a power cut it may run once more."""
        os.close(_create(str(self.directory(key) / "epilog"), 0o600))

    def found(self) -> list[tuple[AttemptKey, str]]:
        """What is on disk, oldest first: attempts and the names of their directories."""
        there = []
        for entry in self.attempts.iterdir():
            try:
                there.append((AttemptKey.parse(entry.name.partition("-")[0]), entry.name))
            except ValueError:
                continue
        return sorted(there)

    def take_over(self, key: AttemptKey, name: str) -> None:
        """The attempt goes on, or its exit has still to be told, from this directory."""
        self._names[key] = name

    def forget(self, keys: Iterable[AttemptKey]) -> None:
        """Remove all that is kept of these attempts."""
        for key in keys:
            crash_point(BEFORE_FORGET)
            if name := self._names.pop(key, None):
                self.discard(name)

    def discard(self, name: str) -> None:
        """Remove this directory and its script."""
        _remove(f"{self._scripts}/{name}")
        directory = f"{self._attempts}/{name}"
        try:
            for inner in os.listdir(directory):
                os.unlink(f"{directory}/{inner}")
            os.rmdir(directory)
        except OSError:
            shutil.rmtree(directory, ignore_errors=True)


def _create(path: str, mode: int) -> int:
    """A new file to write to."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


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
    durable.sync_directory(str(path.parent))

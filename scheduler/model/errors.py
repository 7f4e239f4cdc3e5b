"""The tree of errors; each carries what its message names. Standard library only."""

from __future__ import annotations


class PackhorseError(Exception):
    """Anything that goes wrong in a way a user or operator can be told about in one line."""


class InvalidTransition(PackhorseError):
    """An event does not fit the state it is applied to: a defect, never a user's mistake."""

    def __init__(self, event: object, why: str) -> None:
        super().__init__(f"{type(event).__name__}: {why}: {event!r}")
        self.event = event


class InvariantBroken(PackhorseError):
    """check(state) found the state contradicting itself."""


class StoreError(PackhorseError):
    """The store cannot be read or written; the message says which file and why."""


class StoreDamaged(StoreError):
    """The file is not what this program wrote."""


class StoreNewer(StoreError):
    """The file was written by a newer program."""


class StoreUnavailable(StoreError):
    """Nothing can be written now (disk full, I/O error); may come back by itself."""


class ConfigError(PackhorseError):
    """A configuration file is wrong: file, line, key, and what is accepted."""


class BadValue(PackhorseError):
    """A value that a user wrote cannot be understood: names it, the limit and the way out."""

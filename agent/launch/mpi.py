"""How the tasks of a step find each other: what a supervisor does for it.

A supervisor makes one `Mpi` for its step (mpikinds.py), asks for each task's outfit before it is started,
watches the descriptors that are to be watched, and passes on what the step's owner says. An owner joins what
the nodes of a step tell it (frames 8 and 21).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

Tell = Callable[[int, bytes], None]
"""Says something to the step's owner: rank, and what; it waits while there is none."""

Abort = Callable[[str, int], None]
"""Ends the step; why, as a line for its user, and the code it ends with (0: that of what was killed)."""


class Outfit(NamedTuple):
    """What a task is given. environment: K=V. inherited: (number that it has in the task, descriptor here),
    numbers from 3 on; the descriptors are closed when the task has been started."""

    environment: tuple[str, ...] = ()
    inherited: tuple[tuple[int, int], ...] = ()


class Mpi(Protocol):
    """Of one step on one node."""

    def outfit(self, rank: int) -> Outfit:
        """Called once for each task, by rank. Raises OSError."""

    def descriptors(self) -> Iterable[int]:
        """Which to watch for reading, once all tasks are started."""

    def readable(self, fd: int) -> bool:
        """One of them can be read, or was hung up on; False: it is not to be watched any more, and closed."""

    def heard(self, rank: int, payload: bytes) -> None:
        """The owner said this."""

    def task_ended(self, rank: int) -> None:
        """A task is over, or could not be started."""

    def close(self) -> None:
        """The step is over."""

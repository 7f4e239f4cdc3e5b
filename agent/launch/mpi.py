"""How the tasks of a step find each other: what a supervisor does for it.

A supervisor makes one `Mpi` for its step with `begin`, asks for each task's outfit before it is started,
watches the descriptors that are to be watched, and passes on what the step's owner says. An owner joins what
the nodes of a step tell it (frames 8 and 21).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from packhorse.agent.launch.spec import StepPlan

Tell = Callable[[int, bytes], None]
"""Says something to the step's owner: rank, and what; it waits while there is none."""

Abort = Callable[[str], None]
"""Ends the step; why, as a line for its user."""


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


class _NoMpi:
    """`--mpi=none`: tasks are told nothing."""

    def outfit(self, rank: int) -> Outfit:
        return Outfit()

    def descriptors(self) -> Iterable[int]:
        return ()

    def readable(self, fd: int) -> bool:
        return False

    def heard(self, rank: int, payload: bytes) -> None:
        """Somebody else is meant."""

    def task_ended(self, rank: int) -> None:
        """Nobody waits for it."""

    def close(self) -> None:
        """There is nothing."""


def _none(plan: StepPlan, tell: Tell, abort: Abort) -> Mpi:
    return _NoMpi()


KINDS: dict[str, Callable[[StepPlan, Tell, Abort], Mpi]] = {"none": _none}
"""By the word after --mpi."""


def begin(plan: StepPlan, tell: Tell, abort: Abort) -> Mpi:
    """What the step asks for. Raises ValueError, a line for its user, where this node has none of that."""
    try:
        kind = KINDS[plan.mpi]
    except KeyError:
        known = ", ".join(KINDS)
        raise ValueError(f"--mpi={plan.mpi}: this node knows {known}") from None
    return kind(plan, tell, abort)

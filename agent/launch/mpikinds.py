"""The values of --mpi that this node knows."""

from __future__ import annotations

from collections.abc import Callable

from packhorse.agent.launch.mpi import Abort, Mpi, Outfit, Tell
from packhorse.agent.launch.pmi.tasks import PmiTasks
from packhorse.agent.launch.spec import StepPlan


class _NoMpi:
    """`--mpi=none`: tasks are told nothing."""

    def outfit(self, rank: int) -> Outfit:
        return Outfit()

    def descriptors(self) -> tuple[int, ...]:
        return ()

    def readable(self, fd: int) -> bool:
        return False

    def heard(self, rank: int, payload: bytes) -> None:
        """Somebody else is meant."""

    def task_ended(self, rank: int) -> None:
        """Nobody waits for it."""

    def close(self) -> None:
        """There is nothing."""


def _none(plan: StepPlan, name: str, node: str, tell: Tell, abort: Abort) -> Mpi:
    return _NoMpi()


KINDS: dict[str, Callable[[StepPlan, str, str, Tell, Abort], Mpi]] = {"none": _none, "pmi2": PmiTasks}
"""By the word after --mpi."""


def begin(plan: StepPlan, name: str, node: str, tell: Tell, abort: Abort) -> Mpi:
    """What the step `name` (`12.0`) asks for. Raises ValueError, a line for its user, where this node has
    none of that.
    """
    try:
        kind = KINDS[plan.mpi]
    except KeyError:
        known = ", ".join(KINDS)
        raise ValueError(f"--mpi={plan.mpi}: this node knows {known}") from None
    return kind(plan, name, node, tell, abort)

"""What is known of the tasks of a step, and what srun says of them: Slurm's sentences (22.05)."""

from __future__ import annotations

import os
from _signal import strsignal  # type: ignore[import-not-found]

OUT_OF_MEMORY = 125
"""Instead of a signal, in the end of a task that went out of memory."""

OUT_OF_MEMORY_CODE = 253
"""srun's exit code for it: reserved by Slurm."""

UNKNOWN, RUNNING, EXITED, FAILED = range(4)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packhorse.cli.slurm.steps.door import StepNode


def ranges(ranks: Iterable[int]) -> str:
    """`0-3,7`."""
    parts: list[str] = []
    first = last = -2
    for rank in sorted(ranks):
        if rank == last + 1:
            last = rank
            continue
        if first >= 0:
            parts.append(f"{first}-{last}" if last > first else str(first))
        first = last = rank
    if first >= 0:
        parts.append(f"{first}-{last}" if last > first else str(first))
    return ",".join(parts)


def named(ranks: Sequence[int]) -> str:
    """`task 3` or `tasks 0-3,7`."""
    return f"task{'s' * (len(ranks) != 1)} {ranges(ranks)}"


def tell(text: str) -> None:
    """To standard error, past the buffer, which a signal may have found half written."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        return  # nobody reads it


class Tasks:
    """The tasks of one step. step: `12.0`. code: what srun is to end with: the highest so far."""

    def __init__(self, prog: str, step: str, nodes: Sequence[StepNode], *, verbose: bool = False) -> None:
        self.code = 0
        self.signalled = False
        """A signal ended one of them."""
        self.first_end = False
        """One is over."""
        self.first_failure = False
        """One ended as it should not."""
        self._prog = prog
        self._step = step
        self._nodes = nodes
        self._verbose = verbose
        self._state = {rank: UNKNOWN for node in nodes for rank in node.ranks}
        self._ended: dict[tuple[int, int], list[int]] = {}
        self._notices: list[str] = []
        self._once = os.environ.get("SLURM_SRUN_REDUCE_TASK_EXIT_MSG", "0") not in ("", "0")
        self._told: set[int] = set()

    @property
    def left(self) -> list[int]:
        """Tasks that are not known to be over."""
        return [rank for rank, state in self._state.items() if state < EXITED]

    def started(self, rank: int) -> None:
        """A task runs."""
        if self._state.get(rank) == UNKNOWN:
            self._state[rank] = RUNNING

    def ended(self, index: int, rank: int, status: int) -> None:
        """A task is over, with this wait status, on the node of this index; `report` tells of it."""
        if self._state.get(rank, EXITED) >= EXITED:
            return
        self.first_end = True
        self._state[rank] = EXITED if status == 0 else FAILED
        if status:
            self.first_failure = True
            self.code = max(self.code, _code(status))
            self.signalled |= bool(status & 0x7F)
        self._ended.setdefault((index, status), []).append(rank)

    def not_started(self, index: int, text: str) -> None:
        """A task's program could not be executed: told after its end, which follows, as Slurm does."""
        self._notices.append(f"packhorse-{self._nodes[index].name}: error: {text}\n")

    def lost(self, index: int) -> list[int]:
        """Nothing more is heard of this node: its tasks are over for whoever waits. Which they are."""
        ranks = [rank for rank in self._nodes[index].ranks if self._state[rank] < EXITED]
        for rank in ranks:
            self._state[rank] = FAILED
        self.first_end |= bool(ranks)
        self.code = max(self.code, 1)
        return ranks

    def report(self) -> None:
        """Says which tasks ended, those of one node that ended alike in one line."""
        if not self._ended:
            return
        lines: list[str] = []
        for (index, status), ranks in self._ended.items():
            who = f"{self._nodes[index].name}: {named(ranks)}"
            if status == 0:
                if self._verbose:
                    lines.append(f"{self._prog}: {who}: Completed\n")
            elif not (self._once and status in self._told):
                self._told.add(status)
                lines.append(f"{self._prog}: error: {who}: {_how(status)}\n")
        self._ended.clear()
        lines += self._notices
        self._notices = []
        tell("".join(lines))

    def print_status(self) -> None:
        """How they stand, a line for each of the ways."""
        for state, word in (
            (UNKNOWN, "unknown"),
            (RUNNING, "running"),
            (EXITED, "exited"),
            (FAILED, "exited abnormally"),
        ):
            ranks = [rank for rank, its in self._state.items() if its == state]
            if ranks:
                tell(f"{self._prog}: StepId={self._step} {named(ranks)}: {word}\n")


def _code(status: int) -> int:
    """The exit code that stands for a wait status: 128 and the signal, or the code."""
    number = status & 0x7F
    if number == OUT_OF_MEMORY:
        return OUT_OF_MEMORY_CODE
    return 128 + number if number else status >> 8 & 0xFF


def _how(status: int) -> str:
    number = status & 0x7F
    if number == OUT_OF_MEMORY:
        return "Out Of Memory"
    if number:
        try:
            name = strsignal(number) or f"Signal {number}"
        except ValueError:
            name = f"Signal {number}"
        return name + " (core dumped)" * bool(status & 0x80)
    return f"Exited with exit code {status >> 8 & 0xFF}"

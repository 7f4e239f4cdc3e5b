"""Our terminal, for a task that has one of its own: `srun --pty`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

USUAL = (24, 80)
"""Rows and columns where nothing says how many there are."""


def size(fd: int) -> tuple[int, int]:
    """Rows and columns."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return USUAL
    return (rows, columns) if rows and columns else USUAL


class Raw:
    """While it is entered, keys reach the task as they are, Ctrl-C and all. Without a terminal it does
    nothing.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def __enter__(self) -> None:
        if not os.isatty(self._fd):
            return
        import termios
        import tty

        self._before = termios.tcgetattr(self._fd)
        tty.setraw(self._fd, termios.TCSADRAIN)

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)

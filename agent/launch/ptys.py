"""Pseudo terminals: of the step's first task, where its user wants one."""

from __future__ import annotations

import fcntl
import os
import termios
from typing import NamedTuple

from packhorse.agent.launch import frames


class Terminal(NamedTuple):
    """master: the supervisor's side, which does not block. slave: the task's, to be closed once that has it:
    with nobody at that side the terminal counts as hung up. path: what the task opens."""

    master: int
    slave: int
    path: str


def make(rows: int, columns: int) -> Terminal:
    """A new terminal, which belongs to the user as whom this is called. Raises OSError."""
    master, slave = os.openpty()
    try:
        path = os.ttyname(slave)
        os.set_blocking(master, False)
        if rows and columns:
            resize(master, frames.SIZE.pack(rows, columns))
    except BaseException:
        os.close(master)
        os.close(slave)
        raise
    return Terminal(master, slave, path)


def resize(master: int, size: bytes) -> None:
    """Sets its size, as in a WINDOW_SIZE frame; what runs in its foreground gets SIGWINCH."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, size.ljust(8, b"\0"))


def enter(path: str) -> None:
    """Makes it the caller's controlling terminal and its input and output. Of a session's leader."""
    fd = os.open(path, os.O_RDWR)
    for number in range(3):
        os.dup2(fd, number)
    if fd > 2:
        os.close(fd)

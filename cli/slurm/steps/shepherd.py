"""A process that gives an allocation back when the command that holds it dies without doing so (`kill -9`).

It waits at a pipe whose other end the command has: the kernel closes that whatever ends the command.
"""

from __future__ import annotations

import os
from _signal import SIGKILL  # type: ignore[import-not-found]

from packhorse.cli.slurm.steps.allocation import end

_DONE = b"\n"


class Shepherd:
    """Of one job, while it is entered. Where an exception leaves it, the job is given back too."""

    def __init__(self, job_id: int) -> None:
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        if not os.fork():
            os.close(self._pipe)
            _watch(read_end, job_id)
        os.close(read_end)

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            os.write(self._pipe, _DONE)
        os.close(self._pipe)
        # It ends by itself, and is not waited for: the command ends just now, too.


def _watch(pipe: int, job_id: int) -> None:
    """In the child: never returns."""
    try:
        os.setsid()  # what ends the command's group or its terminal does not end this one
        nothing = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(nothing, fd)  # whoever reads the command's output must see its end
        if not os.read(pipe, 1):
            end(job_id, 0, int(SIGKILL))
    finally:
        os._exit(0)

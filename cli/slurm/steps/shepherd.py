"""A process that gives an allocation back when the command that holds it cannot: it died without doing so
(`kill -9`), or the scheduler was away when it ended.

It waits at a pipe whose other end the command has: the kernel closes that whatever ends the command.
"""

from __future__ import annotations

import os
import sys
from _signal import SIGKILL  # type: ignore[import-not-found]
from time import monotonic, sleep

from packhorse.cli.slurm.process import program
from packhorse.cli.slurm.steps.allocation import NotEnded, end
from packhorse.cli.transport import socket_path

PATIENCE_S = 7 * 86400.0
"""So long a scheduler that is away is waited for; who runs that late ends the job by hand."""

_LONGEST_PAUSE_S = 15.0
_DONE = b"\n"


class Shepherd:
    """Of one job, while it is entered. Where an exception leaves it, the job is given back too."""

    def __init__(self, job_id: int) -> None:
        self._job_id = job_id
        self._said = False
        read_end, self._pipe = os.pipe2(os.O_CLOEXEC)
        if not os.fork():
            os.close(self._pipe)
            _watch(read_end, job_id)
        os.close(read_end)

    def __enter__(self) -> Shepherd:
        return self

    def end(self, code: int, number: int = 0) -> None:
        """The command is done with the job: its exit code, or the signal that ended it. Where the scheduler
        is away the other process says so as soon as it is back, since the job would go on otherwise.
        """
        try:
            end(self._job_id, code, number)
        except NotEnded as error:
            what = f"job {self._job_id} is given back as soon as the scheduler answers"
            sys.stderr.write(f"{program()}: error: {what}: {error}\n")
            self._said = True
            os.write(self._pipe, b"%d %d\n" % (code, number))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._said:
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
        said = os.read(pipe, 64)
        if said != _DONE:
            code, number = map(int, said.split()) if said else (0, int(SIGKILL))
            _give_back(job_id, code, number)
    finally:
        os._exit(0)


def _give_back(job_id: int, code: int, number: int) -> None:
    """Ends the job, whenever the scheduler is back; a home that was removed has none any more."""
    until = monotonic() + PATIENCE_S
    pause_s = 0.5
    while True:
        try:
            end(job_id, code, number, wait=False)
            return
        except NotEnded:
            gone = not os.environ.get("PACKHORSE_SERVER") and not os.path.isdir(
                os.path.dirname(socket_path())
            )
            if gone or monotonic() > until:
                return
        sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

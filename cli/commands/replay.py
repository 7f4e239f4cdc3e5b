"""`packhorse replay LOG`: hands over to a program of the scheduler, which knows what a recording is."""

from __future__ import annotations

import os
from collections.abc import Sequence

from packhorse.cli import daemons

MODULE = "packhorse.scheduler.service.replay_command"


def hand_over(words: Sequence[str]) -> int:
    """Becomes that program, so that terminal, exit status and Ctrl-C are its own."""
    daemons.require_scheduler()
    # It runs beside a scheduler at work: numpy must not take its cores.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command = [*daemons.PYTHON, "-m", MODULE, *words]
    os.execv(command[0], command)

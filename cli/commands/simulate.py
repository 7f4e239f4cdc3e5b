"""`packhorse simulate TRACE …`: hands over to the simulator's program, with all words as they are."""

from __future__ import annotations

import os
from collections.abc import Sequence

from packhorse.cli import daemons

MODULE = "packhorse.simulator.simulate"


def hand_over(words: Sequence[str]) -> int:
    """Becomes that program, so that terminal, exit status and Ctrl-C are its own."""
    daemons.require_scheduler()
    # Runs are one process each: numpy must not start threads in every one of them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command = [*daemons.PYTHON, "-m", MODULE, *words]
    os.execv(command[0], command)

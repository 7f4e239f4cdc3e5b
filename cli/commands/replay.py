"""`packhorse replay …`: a program of the scheduler, which knows what a recording is."""

from __future__ import annotations

from typing import Final

PROGRAM: Final = "packhorse.scheduler.service.replay_command"

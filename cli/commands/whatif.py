"""`packhorse whatif …`: a program of the simulator."""

from __future__ import annotations

from typing import Final

PROGRAM: Final = "packhorse.simulator.whatif"

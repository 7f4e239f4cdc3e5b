"""Orders and attempts as values, for tests that start nothing."""

from __future__ import annotations

import os
from pathlib import Path

from packhorse.agent.launch import processes
from packhorse.agent.launch.launcher import Supervised
from packhorse.agent.launch.spec import Group
from packhorse.agent.orders import LaunchOrder
from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.resources import Devices

KEY = AttemptKey(JobId(7), 1, 1)


def an_order(mem_mib: int = 1024, *, lent_mib: int = 0, devices: tuple[Devices, ...] = ()) -> LaunchOrder:
    return LaunchOrder(
        KEY, 0, 0, "root", b"", (), (), "/", "", "", "", mem_mib=mem_mib, lent_mib=lent_mib, devices=devices
    )


def supervised(directory: Path, *groups: Group, started_at: int = 1) -> Supervised:
    """An attempt whose supervisor is this process."""
    pid = os.getpid()
    start_time = processes.start_time(pid)
    return Supervised(str(KEY), str(directory), pid, start_time, "boot", started_at, "token", groups)

"""How an attempt ended, as its supervisor saw it."""

from __future__ import annotations

from typing import Literal

import msgspec

Cause = Literal["exited", "terminated", "time_limit", "lease", "oom", "launch_error", "lost"]
"""What ended the job: itself; an order from the agent (whose own word is in `detail`); its time limit or
lease; memory; it never ran; nobody knows, since the supervisor vanished or the machine went down."""

Stage = Literal["fork", "cgroup", "limits", "user", "stdin", "stdout", "stderr", "chdir", "exec"]


class LaunchFailure(msgspec.Struct, frozen=True):
    """Why nothing was run. message: one line for the user."""

    stage: Stage
    errno: int
    message: str


class ExitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attempt: nothing of it is left on the machine, unless `unkillable` says so.

    exit_code, signal, core_dumped: of the first process; one of code and signal is 0. A job that could not be
        executed has its errno as exit code (as under Slurm), one whose files or directory could not be
        opened 1.
    detail: a line for people; for "terminated" the word the agent gave.
    started_at, ended_at: wall clock, microseconds. ended_at is when the last process was gone. run_us:
        between the two, measured on a clock that nobody sets.
    user_us, system_us, max_rss_kib: of all processes of the job; max_rss_kib is the largest one's. Where
        that is not above the supervisor's (some 13 MiB, which the kernel hands on to what it starts), it is
        peak_mem_kib, or 0 for not known. Block I/O as the kernel charges it.
    peak_mem_kib: of all together; from the cgroup or from samples; 0: not measured. File pages that the
        cgroup still held at the end (cache_kib) are not in it: the kernel takes them away before anybody goes
        short. A job whose cached files were removed before its end is counted with them.
    oom_kills: processes that the kernel killed for memory.
    unkillable: processes that did not go away by SIGKILL within a minute.
    """

    key: str
    cause: Cause
    exit_code: int = 0
    signal: int = 0
    core_dumped: bool = False
    detail: str = ""
    launch_error: LaunchFailure | None = None
    started_at: int = 0
    ended_at: int = 0
    run_us: int = 0
    user_us: int = 0
    system_us: int = 0
    max_rss_kib: int = 0
    peak_mem_kib: int = 0
    cache_kib: int = 0
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0
    oom_kills: int = 0
    unkillable: int = 0
    boot_id: str = ""
    version: int = 1

"""Who belongs to a job, and how to reach all of them.

The supervisor is the subreaper of everything below it: a process whose parent dies becomes the supervisor's
child, session and process group notwithstanding. So while the supervisor has no children nothing of the job
is left, and a walk down from it finds all. A cgroup gives the same answer in one read, also when the
supervisor is gone.
"""

from __future__ import annotations

import os
import signal
import time

from packhorse.agent.launch import cgroup, processes
from packhorse.agent.launch.attemptdir import First
from packhorse.agent.launch.control import Scope
from packhorse.agent.launch.spec import TOKEN_VARIABLE, Group

STOP_S = 2.0
"""One that waits for a disk stops when it has got what it waits for, and does nothing until then either."""


class JobTree:
    """The processes below the supervisor that runs this code. first: the job's first process."""

    def __init__(self, groups: tuple[Group, ...]) -> None:
        self.groups = groups
        self.first = 0

    def members(self) -> list[int]:
        """Every process of the job: what the cgroup holds and what descends from the supervisor."""
        found = dict.fromkeys(processes.descendants(os.getpid()))
        for group in self.groups[:1]:
            found.update(dict.fromkeys(cgroup.members(group)))
        return list(found)

    def in_scope(self, scope: Scope) -> list[int]:
        """The processes an order with `scope` means."""
        match scope:
            case "batch":
                return [self.first] if self.first else []
            case "steps":
                return [pid for pid in self.members() if pid != self.first]
            case "all":
                return self.members()
            case "tree":
                return [self.first, *processes.descendants(self.first)] if self.first else []

    def signal(self, number: int, scope: Scope = "all") -> int:
        """Sends a signal; how many processes got it. KILL to all goes through the cgroup where that can do
        it.
        """
        if number == signal.SIGKILL and scope == "all":
            for group in self.groups:
                cgroup.kill(group)
        return processes.send(self.in_scope(scope), number)

    def stop(self) -> tuple[int, int]:
        """Stops every process of the job where it is. May be done again and again.

        By the freezer of its cgroup, which the job does not notice; those outside of it, or all where there
        is none, by SIGSTOP, until none of them runs: one that forks meanwhile is met in the next round.
        Returns how many there are, and how many of them no freezer holds.
        """
        freezers = [group for group in self.groups if cgroup.freeze(group, True)]
        told: set[int] = set()
        until = time.monotonic() + STOP_S
        while True:
            inside = {pid for group in freezers for pid in cgroup.members(group)}
            members = self.members()
            outside = [pid for pid in members if pid not in inside]
            running = [pid for pid in outside if _runs(pid, pid in told)]
            still = not running and all(map(cgroup.is_frozen, freezers))
            if still or time.monotonic() > until:
                return len(members), len(outside)
            processes.send(running, signal.SIGSTOP)
            told.update(running)
            time.sleep(0.001)

    def go_on(self) -> int:
        """Lets what was stopped go on; how many processes that are."""
        freezers = [group for group in self.groups if cgroup.freeze(group, False)]
        inside = {pid for group in freezers for pid in cgroup.members(group)}
        members = self.members()
        processes.send([pid for pid in members if pid not in inside], signal.SIGCONT)
        return len(members)

    def bind(self, cpus: tuple[int, ...]) -> None:
        """The job runs on these processors from now on: by its cpuset group, else by its affinity, as at its
        start. What cannot be moved stays where it is."""
        bound = [group for group in self.groups if group.writes_to("cpuset.cpus")]
        for group in bound:
            try:
                cgroup.write(f"{group.path}/cpuset.cpus", ",".join(map(str, cpus)))
            except OSError:
                pass
        for thread in [] if bound else [t for pid in self.members() for t in processes.threads(pid)]:
            try:
                os.sched_setaffinity(thread, cpus)
            except OSError:
                pass

    def size(self, limit_kib: int) -> tuple[int, int]:
        """What the job's processes hold, in KiB, and how many they are.

        Counted exactly only when the quick count is above `limit_kib`.
        """
        pids = self.members()
        quick = processes.memory_kib(pids)
        held = processes.memory_kib(pids, exact=True) if quick > limit_kib > 0 else quick
        return held, len(pids)


def _runs(pid: int, told: bool) -> bool:
    """Whether it does something. One that waits for a device, or for a child that it lent its memory to,
    stops when it has what it waits for, if it has been told to.
    """
    state = processes.state(pid)
    return state not in "TtZX" and not (told and state == "D")


def kill_orphans(token: str, groups: tuple[Group, ...], first: First | None, timeout_s: float) -> int:
    """Kills what a dead supervisor left behind and removes its cgroups; how many processes would not die.

    Without a cgroup they are found by the job's mark in their environment, as sharing a session with one of
    those or with the first process, and by descent. A process that has left those sessions, wears another
    environment and has no living parent in the job is not found. Blocks up to `timeout_s`; reads all of
    /proc.
    """
    entry = f"{TOKEN_VARIABLE}={token}"
    until = time.monotonic() + timeout_s
    pause = 0.002
    while True:
        found = dict.fromkeys(processes.with_environment(entry) if token else ())
        if first is not None and processes.is_running(first.pid, first.start_time):
            found[first.pid] = None
        # The job began with a session of its own: whoever is in one with its processes belongs to it.
        found.update(dict.fromkeys(processes.in_sessions({processes.session(pid) for pid in found})))
        for group in groups:
            cgroup.kill(group)
            cgroup.freeze(group, False)
            found.update(dict.fromkeys(cgroup.members(group)))
        alive = [pid for pid in found if processes.start_time(pid)]
        if not alive or time.monotonic() > until:
            break
        processes.send(alive, signal.SIGKILL)
        time.sleep(pause)
        pause = min(0.1, pause * 2)
    for group in groups:
        cgroup.remove(group)
    return len(alive)

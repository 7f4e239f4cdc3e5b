"""`packhorse down`: stop this machine's agents and scheduler."""

from __future__ import annotations

import argparse
import json
import sys
import time

from packhorse.cli import daemons, transport
from packhorse.cli.home import Home
from packhorse.scheduler.model.errors import PackhorseError

KILLED_WITHIN_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether jobs are ended too."""
    parser.add_argument(
        "--kill-jobs", action="store_true", help="cancel every job first and wait until all are gone"
    )


def run(args: argparse.Namespace) -> int:
    home: Home = args.home
    left = 0
    if args.kill_jobs:
        if not home.scheduler_pid():
            raise PackhorseError("--kill-jobs needs the scheduler, and it does not run: packhorse up first")
        kill_jobs()
    elif home.scheduler_pid():
        left = _running_jobs()
    stopped = take_down(home)
    if args.json:
        print(json.dumps({"stopped": stopped, "running_jobs": left}))
    elif not stopped:
        print(f"nothing runs in {home.root}")
    else:
        print(f"stopped: {', '.join(stopped)}")
        if left:
            print(f"{left} running job{'s' * (left != 1)} left alone; packhorse up finds them again")
    return 0


def take_down(home: Home) -> list[str]:
    """Stop agents, then the scheduler. Returns what was stopped."""
    stopped = []
    for node in home.agent_pids():
        pid = home.agent_pids().get(node, 0)
        if pid:
            daemons.stop(pid, f"the agent of {node}", lambda node=node: home.agent_pids().get(node, 0))  # type: ignore[misc]
            stopped.append(f"agent {node}")
    if pid := home.scheduler_pid():
        daemons.stop(pid, "the scheduler", home.scheduler_pid)
        stopped.append("scheduler")
    return stopped


RUN = ("CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING")


def kill_jobs() -> None:
    """Cancel everything and wait until nothing runs; raises PackhorseError if something will not die."""
    transport.call("CancelJobs", {"filter": {"states": ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED"]}})
    deadline = time.monotonic() + KILLED_WITHIN_S
    while n := _running_jobs():
        if time.monotonic() > deadline:
            raise PackhorseError(f"{n} jobs still run {KILLED_WITHIN_S:.0f} s after they were cancelled")
        if sys.stderr.isatty():
            print(f"\r\033[Kwaiting for {n} jobs to end … ", end="", file=sys.stderr, flush=True)
        time.sleep(0.2)


def _running_jobs() -> int:
    states = transport.call("GetStatus", {}).get("jobs", [])
    return sum(int(s["count"]) for s in states if s["state"] in RUN)

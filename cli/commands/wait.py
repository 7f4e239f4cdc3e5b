"""`packhorse wait JOB…`: until jobs have ended, with progress on a terminal."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from packhorse.cli import transport
from packhorse.cli.jobrefs import parse_job_ref
from packhorse.cli.transport import field, int_field

ASK_EVERY_S = 1.0
"""How long the scheduler may hold one call: so often the progress line is renewed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which jobs."""
    parser.add_argument(
        "jobs", nargs="+", metavar="JOB", help="job ids; an array's id stands for all its tasks"
    )
    parser.add_argument(
        "--timeout", type=float, default=None, metavar="SECONDS", help="give up after that long"
    )


def run(args: argparse.Namespace) -> int:
    results, done = wait_for(args.jobs, timeout_s=args.timeout, progress=not args.json)
    if args.json:
        print(json.dumps({"results": results, "all_ended": done}))
    else:
        for result in results:
            print(describe(result))
    if not done:
        print(f"packhorse wait: not all ended within {args.timeout:g} s", file=sys.stderr)
        return 124
    return 0 if all(field(r, "state", "") == "COMPLETED" for r in results) else 1


def wait_for(
    jobs: list[str], *, timeout_s: float | None, progress: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Results of the jobs, and whether all have ended.

    progress: a line on stderr, renewed on a terminal, elsewhere written anew when it has changed.
    """
    terminal = sys.stderr.isatty()
    shown = ""
    refs = [parse_job_ref(job) for job in jobs]
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = ASK_EVERY_S if deadline is None else deadline - time.monotonic()
        hold = max(0.001, min(ASK_EVERY_S, left))
        answer = transport.call("WaitJobs", {"jobs": refs, "timeoutS": hold})
        results: list[dict[str, Any]] = field(answer, "results", [])
        if progress and (line := _line(results)) != shown:
            shown = line
            print(
                f"\r\033[K{line}" if terminal else line,
                end="" if terminal else "\n",
                file=sys.stderr,
                flush=True,
            )
        done = bool(field(answer, "all_ended", False))
        if done or (deadline is not None and time.monotonic() >= deadline):
            if progress and terminal:
                print(file=sys.stderr)
            return results, done


def describe(result: dict[str, Any]) -> str:
    """One line about how a job ended or where it is."""
    total = int_field(result, "n_total")
    tasks = f", {int_field(result, 'n_ended')} of {total} tasks ended" if total > 1 else ""
    code, signal = int_field(result, "exit_code"), int_field(result, "exit_signal")
    status = f", exit {code}:{signal}" if code or signal else ""
    reason = field(result, "reason", "")
    why = f" ({reason})" if reason not in ("", "None") else ""
    name = field(result, "ref", "") or result.get("jobId")
    return f"job {name}: {field(result, 'state', '')}{why}{status}{tasks}"


def _line(results: list[dict[str, Any]]) -> str:
    ended = sum(int_field(r, "n_ended") for r in results)
    total = sum(max(1, int_field(r, "n_total")) for r in results)
    width = 30
    filled = width * ended // max(total, 1)
    return f"[{'#' * filled}{'.' * (width - filled)}] {ended} of {total} ended"

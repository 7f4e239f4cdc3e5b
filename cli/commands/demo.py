"""`packhorse demo [digits|reclaim]`: a cluster in a temporary directory, something real on it, no trace left.

What it does is what a person would type: it says each command before it runs it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from packhorse.cli import transport
from packhorse.cli.commands import down, up
from packhorse.cli.commands.wait import describe, wait_for
from packhorse.cli.daemons import require_scheduler
from packhorse.cli.home import Home
from packhorse.cli.slurm.table import fetch
from packhorse.cli.transport import field
from packhorse.scheduler.model.errors import PackhorseError

WITHIN_S = 600.0
RESULTS = ("summary.txt", "best.json", "confusion.png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to show, and where to keep what it computed."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("digits", "reclaim"),
        default="digits",
        help="digits: a machine-learning example (default); reclaim: unused memory lent and taken back",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        default=None,
        metavar="DIR",
        help="where the results go (default: packhorse-demo in this folder)",
    )


def run(args: argparse.Namespace) -> int:
    require_scheduler()
    if args.what == "reclaim":
        return _reclaim(args)
    for module in ("sklearn", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            raise PackhorseError(f'the example needs {module}: pip install "packhorse[examples]"')
    keep = (args.keep or Path("packhorse-demo")).absolute()
    say = _quiet if args.json else _loud
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="packhorse-demo-") as scratch:
        home = _own_home(Path(scratch))
        say("$ packhorse up --detach")
        try:
            up.bring_up(home, up.shape(nodes=1), quiet=True)
            say(f"  serving after {time.monotonic() - began:.1f} s")
            results = _example(Path(scratch), keep, say, progress=not args.json)
        finally:
            if home.scheduler_pid():
                _end(home, say)
    ok = all(field(result, "state", "") == "COMPLETED" for result in results)
    took = time.monotonic() - began
    if args.json:
        print(json.dumps({"ok": ok, "seconds": round(took, 1), "results": results, "kept": str(keep)}))
    else:
        say(f"\n{'done' if ok else 'failed'} in {took:.0f} s; results in {keep}")
    return 0 if ok else 1


def _reclaim(args: argparse.Namespace) -> int:
    from packhorse.cli.commands import demo_reclaim

    say = _quiet if args.json else _loud
    with tempfile.TemporaryDirectory(prefix="packhorse-demo-") as folder:
        home = _own_home(Path(folder))
        try:
            return demo_reclaim.run(args.json, home, Path(folder))
        finally:
            if home.scheduler_pid():
                _end(home, say)


def _own_home(scratch: Path) -> Home:
    """A cluster's home that this process and what it starts take for theirs."""
    home = Home(scratch / "home")
    os.environ["PACKHORSE_HOME"] = str(home.root)
    os.environ.pop("PACKHORSE_SERVER", None)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return home


def _example(scratch: Path, keep: Path, say: Any, *, progress: bool) -> list[dict[str, Any]]:
    """Submit the digits example, wait, show what it found; returns how its jobs ended."""
    work = scratch / "digits"
    with as_file(files("packhorse.examples") / "digits") as source:
        shutil.copytree(source, work)
    say("$ bash submit.sh            # two sbatch commands: an array job, and one that depends on it")
    submitted = output_of("bash", "submit.sh", folder=work)
    say(indented(submitted))
    say("$ squeue")
    say(indented(output_of("squeue", folder=work)))
    listed = fetch("ListJobs", {"fields": ["job_id", "array_job_id"], "includeEnded": True})
    jobs = sorted({_whole(row) for row in listed.rows()})
    say("$ packhorse wait " + " ".join(map(str, jobs)))
    results, ended = wait_for([str(job) for job in jobs], timeout_s=WITHIN_S, progress=progress)
    for result in results:
        say("  " + describe(result))
    if not ended:
        raise PackhorseError(f"the example did not end within {WITHIN_S:.0f} s")
    say("$ sacct -X --format=JobID,JobName,State,Elapsed,NodeList")
    say(indented(output_of("sacct", "-X", "--format=JobID,JobName,State,Elapsed,NodeList", folder=work)))
    keep.mkdir(parents=True, exist_ok=True)
    for name in RESULTS:
        if (work / "results" / name).exists():
            shutil.copy(work / "results" / name, keep / name)
    if (keep / "summary.txt").exists():
        say("$ cat results/summary.txt")
        say(indented((keep / "summary.txt").read_text()))
    return results


def _whole(row: dict[str, Any]) -> int:
    return int(row["array_job_id"]) or int(row["job_id"])


def _end(home: Home, say: Any) -> None:
    say("$ packhorse down --kill-jobs")
    try:
        down.kill_jobs()
    except (PackhorseError, transport.TransportError, transport.CallError) as why:
        print(f"packhorse demo: {why}", file=sys.stderr)
    say(f"  stopped: {', '.join(down.take_down(home))}")


def output_of(*words: str, folder: Path | None = None) -> str:
    """What the command prints; PackhorseError if it fails. folder: where it runs."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackhorseError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def indented(text: str) -> str:
    """Two blanks before each line."""
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip().splitlines())


def _loud(text: str) -> None:
    print(text, flush=True)


def _quiet(text: str) -> None:
    pass

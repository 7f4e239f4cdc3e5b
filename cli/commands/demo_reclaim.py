"""`packhorse demo reclaim`: memory that a job asked for and does not use, lent to another and taken back.

One node of eight units. The first job asks for all of them and uses four; a second one, which may be stopped,
asks for four and starts in the unused half once that is known to be unused. Then the first grows to what it
asked for: the second is told to stop, waits again and runs when the first is done.

What happened is read from the event log, the ledger and what the two jobs wrote down themselves.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from packhorse.cli import transport
from packhorse.cli.commands import up
from packhorse.cli.commands.demo import indented, output_of
from packhorse.cli.home import Home
from packhorse.cli.slurm.table import Table, fetch
from packhorse.cli.transport import field, int_field
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.units import format_mem_mib

UNITS = 8
MOST_UNIT_MIB, LEAST_UNIT_MIB = 96, 24
"""An interpreter that does nothing has about 10 MiB."""
SETTLE_S = 6
BORROWED_WITHIN_S = 90.0
ENDED_WITHIN_S = 120.0
STOPPED_WITHIN_S = 2.0
"""From the first's growth to the signal that the second gets."""
LONGEST_PAUSE_S = 1.0
"""Of the first: it must not feel that another one had its memory. A busy machine takes some tenths."""

CONFIG = f"""\
[jobs]
allow_root_jobs = true
requeue_delay = 0

[nodes]
usage_interval = 1

[reclaim]
enabled = true
settle = {SETTLE_S}
estimator = "borg"
estimate_margin = 5
half_life = 1
share = 100
margin = 0
floor_percent = 1
grace = 5
"""

LENDER = '''\
"""Uses four of eight units, all of them from the word on; notes how long it was ever kept waiting."""
import json, pathlib, sys, time

unit = int(sys.argv[1]) << 20
here = pathlib.Path(sys.argv[2])
held = bytearray(b"x") * (3 * unit + unit // 2)
longest, last, grew_at, grown_at = 0.0, time.monotonic(), 0.0, 0.0
while True:
    if not grew_at and (here / "grow").exists():
        grew_at = time.time()
        more = []
        for _ in range(32):  # in small steps, as a program does that reads its input
            more.append(bytearray(b"x") * ((3 * unit + unit // 2) // 32))
            last = time.monotonic()
            time.sleep(0.01)
            longest = max(longest, time.monotonic() - last - 0.01)
        grown_at = last = time.time()
        last = time.monotonic()
    if grew_at and (here / "finish").exists():
        break
    held[(time.monotonic_ns() >> 12) % len(held)] ^= 1
    time.sleep(0.01)
    longest = max(longest, time.monotonic() - last - 0.01)
    last = time.monotonic()
report = {"grew_at": grew_at, "grown_at": grown_at, "longest_pause_s": round(longest, 3)}
(here / "lender.json").write_text(json.dumps(report))
'''

BORROWER = '''\
"""Uses its four units until it is told to stop; the second time it just ends."""
import os, pathlib, signal, sys, time

unit = int(sys.argv[1]) << 20
here = pathlib.Path(sys.argv[2])


def told(number, frame):
    (here / "signal").write_text(f"{number} {time.time()}")
    sys.exit(1)


signal.signal(signal.SIGTERM, told)
held = bytearray(b"x") * (3 * unit)
again = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
(here / f"started-{again}").write_text(str(time.time()))
for _ in range(20 if again else 100_000):
    time.sleep(0.05)
'''


class Check(NamedTuple):
    """One thing that must be so, with what was seen."""

    what: str
    seen: str
    ok: bool


def run(as_json: bool, home: Home, scratch: Path) -> int:
    """The demonstration on a cluster of its own; 0 if everything was as it should be."""
    unit = _unit_mib()
    view = _View(quiet=as_json)
    home.root.mkdir(parents=True, exist_ok=True)
    home.config.write_text(CONFIG)
    view.say(f"$ packhorse up --mem-per-node {UNITS * unit}M    # one node of {UNITS} units of {unit} MiB")
    up.bring_up(home, up.shape(nodes=1, cpus=4, mem=f"{UNITS * unit}M"), quiet=True)
    (scratch / "lender.py").write_text(LENDER)
    (scratch / "borrower.py").write_text(BORROWER)
    lender = _submit(view, scratch, unit, "lender", UNITS)
    _until(view, lambda: _state(lender) == "RUNNING", ENDED_WITHIN_S, "the first job did not start")
    borrower = _submit(view, scratch, unit, "borrower", 4, "--qos=scavenger")
    view.jobs = (lender, borrower)
    view.say(f"  job {borrower} finds no room: it waits until job {lender} is known to leave some")
    _until(view, (scratch / "started-0").exists, BORROWED_WITHIN_S, "nothing was lent")
    view.say(f"  job {borrower} runs in memory that job {lender} does not use")
    _watch(view, 2.0)
    view.say(f"  job {lender} grows")
    (scratch / "grow").touch()
    _until(view, (scratch / "signal").exists, ENDED_WITHIN_S, "the second job was not stopped")
    _until(view, lambda: _state(borrower) == "PENDING", ENDED_WITHIN_S, "the second job does not wait again")
    view.say(f"  job {borrower} was told to stop and waits again; job {lender} has its memory")
    _watch(view, 2.0)
    (scratch / "finish").touch()
    _until(view, lambda: _state(lender) == "COMPLETED", ENDED_WITHIN_S, "the first job did not end")
    _until(view, lambda: _state(borrower) == "COMPLETED", ENDED_WITHIN_S, "the second job did not run again")
    view.over()
    checks = _judge(scratch, lender, borrower, unit)
    view.say("$ packhorse loans")
    view.say(indented(output_of("packhorse", "loans")))
    view.say(f"$ sacct -D -X -j {lender},{borrower} --format=JobID,JobName,State,Elapsed,ReqMem,QOS")
    view.say(indented(output_of("sacct", "-D", "-X", "-j", f"{lender},{borrower}",
                           "--format=JobID,JobName,State,Elapsed,ReqMem,QOS")))  # fmt: skip
    ok = all(check.ok for check in checks)
    if as_json:
        print(json.dumps({"ok": ok, "unit_mib": unit, "checks": [check._asdict() for check in checks]}))
    for check in checks:
        view.say(f"  {'ok  ' if check.ok else 'FAIL'} {check.what}: {check.seen}")
    view.say(f"\n{'PASS' if ok else 'FAIL'}: lent memory was {'' if ok else 'not '}given back as it must be")
    return 0 if ok else 1


def _judge(scratch: Path, lender: int, borrower: int, unit: int) -> list[Check]:
    """What must have happened, against what is written down of it."""
    said = json.loads((scratch / "lender.json").read_text())
    number, at = (scratch / "signal").read_text().split()
    took = float(at) - said["grew_at"]
    events = _events(borrower)
    (ending,) = [event for event in events if event["kind"] == "JobEnding"][:1] or [
        {"text": "", "json": "{}"}
    ]
    ends = {job: _job(job) for job in (lender, borrower)}
    loans = [loan for loan in _loans() if loan["borrower"] == borrower]
    first = [loan for loan in loans if loan["lender"] == lender]
    lent = sum(loan["mib_seconds"] for loan in loans)
    most = max((loan["mem_mib"] for loan in first), default=0)
    pause = said["longest_pause_s"]
    return [
        Check(
            f"the second started in lent memory, not before {SETTLE_S} s",
            f"{format_mem_mib(most)} lent by job {lender}" if first else "no loan",
            bool(first) and most > 0,
        ),
        Check(
            f"from growth to its signal at most {STOPPED_WITHIN_S:g} s",
            f"{took:.2f} s, signal {number}",
            0 <= took <= STOPPED_WITHIN_S,
        ),
        Check(
            "its reason names the job that took its memory back",
            ending["text"],
            f"job {lender}" in ending["text"],
        ),
        Check(
            "it waited again and ran to its end",
            f"{ends[borrower]['state']}, restarted {ends[borrower]['restarts']} time(s)",
            ends[borrower]["state"] == "COMPLETED" and ends[borrower]["restarts"] == 1,
        ),
        Check(
            "the first never felt it",
            f"{ends[lender]['state']}, longest pause {pause:.2f} s",
            ends[lender]["state"] == "COMPLETED" and pause <= LONGEST_PAUSE_S,
        ),
        Check(
            "the ledger adds up",
            f"{len(loans)} loan(s), {lent / 1024:.1f} GiB s, from its start to its end",
            _adds_up(loans, _held(events)),
        ),
    ]


def _held(events: list[dict[str, Any]]) -> tuple[int, int]:
    """From when to when the first attempt held its memory, in microseconds, by the log."""
    granted = next(event["at"] for event in events if event["kind"] == "JobGranted")
    requeued = next((event["at"] for event in events if event["kind"] == "JobRequeued"), 0)
    return granted, requeued


def _adds_up(loans: list[dict[str, Any]], held: tuple[int, int]) -> bool:
    """Together the loans last from the borrower's start to its end, each for its amount times its time, all
    are over, and the last was taken back."""
    if not loans or any(not loan["outcome"] for loan in loans):
        return False
    first, last = min(loan["since_at"] for loan in loans), max(loans, key=lambda loan: loan["until_at"])
    exact = all(
        loan["mib_seconds"] == loan["mem_mib"] * (loan["until_at"] - loan["since_at"]) // 1_000_000
        for loan in loans
    )
    return exact and (first, last["until_at"]) == held and last["outcome"] == "taken_back"


class _View:
    """A line that is always true, under what has been said. On a terminal it is rewritten in place."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.jobs: tuple[int, int] | None = None
        self._live = sys.stdout.isatty() and not quiet
        self._shown = False
        self._next = 0.0

    def say(self, text: str) -> None:
        """A line that stays."""
        self.over()
        if not self.quiet:
            print(text, flush=True)

    def tick(self) -> None:
        """Look again. In a file, where nothing can be rewritten, one line in two seconds."""
        now = time.monotonic()
        if self.quiet or self.jobs is None or now < self._next:
            return
        self._next = now + (0.25 if self._live else 2.0)
        line = _picture(*self.jobs)
        print(f"\r\033[K{line}" if self._live else line, end="" if self._live else "\n", flush=True)
        self._shown = self._live

    def over(self) -> None:
        """The line as it is stays."""
        if self._shown:
            print(flush=True)
            self._shown = False


def _picture(lender: int, borrower: int) -> str:
    """Limit, use, estimate and loans of both jobs in one line."""
    parts = []
    for id, row in ((lender, _job(lender)), (borrower, _job(borrower))):
        if row["state"] in ("RUNNING", "COMPLETING"):
            used = _used(id)
            use = "?" if used is None else format_mem_mib(used)
            limit = format_mem_mib(row["mem_mib_per_node"])
            parts.append(f"job {id}: limit {limit}, uses {use} {row['lending']}".rstrip())
        else:
            parts.append(f"job {id}: {row['state']}")
    return "  " + "  |  ".join(parts)


def _unit_mib() -> int:
    """An eighth of what the demonstration may take; raises PackhorseError where there is too little."""
    import psutil

    free = int(psutil.virtual_memory().available) >> 20
    unit = min(MOST_UNIT_MIB, free // (3 * UNITS))
    if unit < LEAST_UNIT_MIB:
        need = 3 * UNITS * LEAST_UNIT_MIB
        raise PackhorseError(f"{free} MiB of memory are free; the demonstration needs {need}")
    return unit


def _submit(view: _View, scratch: Path, unit: int, name: str, units: int, *options: str) -> int:
    words = ["sbatch", "--parsable", f"--job-name={name}", f"--mem={units * unit}M", "-c", "1", *options]
    words.append(f"--output={scratch}/{name}.out")
    script = f"exec {sys.executable} {scratch}/{name}.py {unit} {scratch}"
    view.say(f"$ sbatch --job-name={name} --mem={units * unit}M {' '.join(options)}".rstrip())
    return int(output_of(*words, "--wrap", script).strip())


def _until(view: _View, done: Any, within_s: float, otherwise: str) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        if time.monotonic() > deadline:
            raise PackhorseError(f"{otherwise} within {within_s:.0f} s")
        view.tick()
        time.sleep(0.05)


def _watch(view: _View, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        view.tick()
        time.sleep(0.05)


def _job(id: int) -> dict[str, Any]:
    wanted = ["state", "mem_mib_per_node", "lending", "restarts"]
    return fetch("ListJobs", {"fields": wanted, "jobs": [{"jobId": id}], "includeEnded": True}).rows()[0]


def _state(id: int) -> str:
    return str(_job(id)["state"])


def _used(id: int) -> int | None:
    """MiB that the job uses, as last measured."""
    points = Table(field(transport.call("GetJobUsage", {"job": {"jobId": id}}), "points", {})).rows()
    return points[-1]["mem_kib"] // 1024 if points else None


def _events(id: int) -> list[dict[str, Any]]:
    """Its story from the log."""
    events = field(transport.call("ListJobEvents", {"job": {"jobId": id}}), "events", [])
    return [
        {"kind": e.get("kind", ""), "text": e.get("text", ""), "at": int_field(e, "atUs")} for e in events
    ]


def _loans() -> list[dict[str, Any]]:
    return fetch("ListLoans", {}).rows()

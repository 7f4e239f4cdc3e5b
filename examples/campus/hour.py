#!/usr/bin/env python3
"""A busy hour on the campus, in two minutes: python3 examples/campus/hour.py, once `packhorse up` serves.

A minute of the hour takes 2 s (--minute). You stand for everybody: the script puts you into all twelve groups
and submits for them with the commands that users type. It looks at the queue all the while, and says at the
end whether what was promised held.
"""

from __future__ import annotations

import argparse
import getpass
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ME = getpass.getuser()
FACULTIES = {"science", "engineering", "humanities"}
RESERVATIONS = ("course", "maint")


class Waiting(NamedTuple):
    """What squeue says of a job. gres: on each node; reason: why it waits; where: its nodes."""

    id: str
    state: str
    account: str
    qos: str
    cpus: str
    gres: str
    nodes: str
    reason: str
    where: str

    @property
    def gpus(self) -> int:
        count = self.gres.rpartition(":")[2]
        return int(count) * int(self.nodes) if "gpu" in self.gres and count.isdecimal() else 0


QUEUE = ("squeue", "-h", "-r", "-o", "%i|%t|%a|%q|%C|%b|%D|%r|%N")


def run(*words: str, quiet: bool = False) -> str:
    """What a command prints; the command itself is shown first. Ends the script if it fails."""
    if not quiet:
        print("  $", " ".join(f"'{word}'" if " " in word else word for word in words), flush=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}hour.py: {words[0]} failed, see above")
    return done.stdout


class Hour:
    """The plan of the hour, what has been submitted, and what was seen."""

    def __init__(self, minute_s: float, book: dict[str, Any]) -> None:
        self.minute_s = minute_s
        self.book = book
        self.began = time.monotonic()
        self.ids: dict[str, list[str]] = {}
        self.samples = 0
        self.silent: list[str] = []
        self.unseen: set[str] = set()
        self.passed: list[str] = []
        self.reasons: Counter[str] = Counter()
        self.kept = ""
        self.guests: set[str] = set()
        self.plan: list[tuple[int, Callable[[], None]]] = [
            (0, self.open_the_day),
            (1, self.fill),
            (6, self.take_back),
            (9, self.urgent),
            (12, self.limits),
            (16, self.course),
            (20, self.ask),
            (24, self.more),
            (36, self.more),
        ]

    def submit(self, what: str, account: str, *words: str, minutes: float) -> None:
        """One sbatch: a job that sleeps for so many minutes of the hour."""
        body = f"sleep {minutes * self.minute_s:g}"
        said = run(
            "sbatch", "--parsable", "-A", account, "-J", what, "-o", "/dev/null", *words, "--wrap", body
        )
        self.ids.setdefault(what, []).append(said.strip())

    # -- what happens

    def open_the_day(self) -> None:
        self.say("reserved: a node for a course in a quarter of an hour, all for maintenance tonight")
        begin, end = round(15 * self.minute_s), round(45 * self.minute_s)
        create = ("scontrol", "create", "reservation")
        window = (f"StartTime=now+{begin}", f"EndTime=now+{end}")
        run(
            *create,
            "ReservationName=course",
            "PartitionName=main",
            "NodeCnt=1",
            "Accounts=linguistics",
            *window,
        )
        window = ("StartTime=now+12hours", "Duration=4:00:00")
        run(*create, "ReservationName=maint", "Nodes=ALL", "Flags=MAINT", f"Users={ME}", *window)
        self.kept = run("sinfo", "-h", "-T", quiet=True).partition("course")[2].split()[4]

    def fill(self) -> None:
        self.say("physics uses what chemistry and biology leave of theirs; scavengers take the rest")
        self.submit("spectra", "physics", "--array=1-14", "-c2", "-t5", minutes=25)
        self.submit(
            "crumbs", "electronics", "-pscavenger", "-qscavenger", "--array=1-30", "-c2", "-t5", minutes=14
        )

    def take_back(self) -> None:
        print(run("packhorse", "quota", "physics", "chemistry", "biology"), end="")
        self.say("chemistry and biology want theirs: physics gives back what it has borrowed")
        self.submit("dock", "chemistry", "--array=1-2", "-c4", "-t5", minutes=8)
        self.submit("fold", "biology", "-c4", "-t5", minutes=8)

    def urgent(self) -> None:
        self.say("robotics has a deadline: two whole nodes with GPUs, now; scavengers there make room")
        self.submit(
            "deadline", "robotics", "-pgpu", "-qurgent", "-N2", "-n2", "-c8", "--gres=gpu:2", "-t5", minutes=6
        )

    def limits(self) -> None:
        self.say("who asks for more than there is for them waits, with the reason")
        self.submit("finds", "archaeology", "--array=1-5", "-pshort", "-t2", minutes=5)
        self.submit("sky", "astronomy", "--array=1-12", "-c2", "-t5", minutes=6)
        self.submit("stress", "mechanics", "--array=1-6", "-Lmatlab:1", "-pshort", "-t5", minutes=5)
        self.submit("survey", "astronomy", "-qlong", "-t2-00:00:00", minutes=5)

    def course(self) -> None:
        self.say("the course begins, on the node that was kept for it")
        self.submit("course", "linguistics", "--reservation=course", "--array=1-4", "-t1", minutes=8)

    def ask(self) -> None:
        self.say("why does the survey of astronomy wait?")
        job = self.ids["survey"][0]
        print(run("packhorse", "why", job), end="")
        self.say("and when do the others start?")
        print("\n".join(run("squeue", "--start").splitlines()[:8]))

    def more(self) -> None:
        self.say("more of everything")
        for account in ("physics", "chemistry", "biology", "materials", "history", "music"):
            self.submit("daily", account, "--array=1-3", "-c2", "-t5", minutes=5)
        self.submit("train", "robotics", "-pgpu", "--array=1-4", "-c2", "--gres=gpu:1", "-t5", minutes=6)

    # -- what is seen

    def look(self) -> list[Waiting]:
        """The queue once; notes what must not be."""
        rows = [Waiting(*line.split("|")) for line in run(*QUEUE, quiet=True).splitlines()]
        self.samples += 1
        # "None" until the next pass has looked at it, a blink of an eye later: not in two looks.
        unseen = {row.id for row in rows if row.state == "PD" and row.reason in ("", "None")}
        self.silent += sorted(unseen & self.unseen)
        self.unseen = unseen
        for row in rows:
            if row.state == "PD":
                self.reasons[row.reason] += 1
        running = [row for row in rows if row.state in ("R", "S", "CG")]
        self.passed += [text for text in self.over(running) if text not in self.passed]
        course = set(self.ids.get("course", []))
        self.guests |= {row.where for row in running if row.id.partition("_")[0] in course}
        return rows

    def over(self, running: list[Waiting]) -> list[str]:
        """Limits of accounts.toml that running jobs are over: the file against what squeue says."""
        found = []
        jobs: Counter[str] = Counter(row.account for row in running)
        cpus: Counter[str] = Counter()
        gpus: Counter[str] = Counter()
        for row in running:
            cpus[row.account] += int(row.cpus)
            gpus[row.account] += row.gpus
        accounts = self.book["account"]
        for name, account in accounts.items():
            limit = account.get("max_jobs", accounts.get(account.get("parent"), {}).get("max_jobs"))
            for what, used, most in (
                ("jobs (max_jobs)", jobs[name], limit),
                ("CPUs (grp_tres)", cpus[name], account.get("grp_tres", {}).get("cpu")),
                ("GPUs (grp_tres)", gpus[name], account.get("grp_tres", {}).get("gres/gpu")),
                ("CPUs (quota, borrow)", cpus[name], _most(account)),
            ):
                if most is not None and used > most:
                    found.append(f"{name}: {used} {what}, limit {most}")
        together = {name: account["quota"]["cpu"] for name, account in accounts.items() if "quota" in account}
        if (held := sum(cpus[name] for name in together)) > sum(together.values()):
            found.append(f"{', '.join(together)}: {held} CPUs, quotas {sum(together.values())}")
        urgent = sum(row.qos == "urgent" for row in running)
        if urgent > self.book["qos"]["urgent"]["max_jobs_pu"]:
            found.append(f"urgent: {urgent} jobs (max_jobs_pu)")
        return found

    def say(self, text: str) -> None:
        minute = round((time.monotonic() - self.began) / self.minute_s)
        print(f"\n[minute {minute}] {text}", flush=True)

    def live(self) -> None:
        """The hour: what is due is done, the queue is looked at in between."""
        for minute, act in self.plan:
            while (left := self.began + minute * self.minute_s - time.monotonic()) > 0:
                self.look()
                time.sleep(min(left, 0.5))
            act()
        run("scancel", *self.ids["survey"])
        self.say("nothing more comes; what there is is finished")
        give_up = time.monotonic() + 120 + 60 * self.minute_s
        while self.look():
            if time.monotonic() > give_up:
                sys.exit(f"hour.py: jobs are left:\n{run('squeue')}")
            time.sleep(0.5)

    # -- what came of it

    def summary(self) -> bool:
        """Prints what was seen and whether it is as it should be."""
        own = ",".join(job for jobs in self.ids.values() for job in jobs)
        states = Counter(run("sacct", "-nPX", "-D", "-j", own, "-o", "state", quiet=True).splitlines())
        told = preempted(run("scontrol", "show", "job", quiet=True), set(own.split(",")))
        for_urgent = [why for why in told if f"for job {self.ids['deadline'][0]} " in why]
        returned = [why for why in told if why.startswith("gave back")]
        self.say("the hour is over")
        print("ended:", ", ".join(f"{n} {state.split()[0]}" for state, n in states.most_common()))
        print("waited for:", "; ".join(reason for reason, _ in self.reasons.most_common()))
        for why, n in Counter(told).most_common():
            print(f"{n} jobs {why}")
        rescued = bool(for_urgent) and self.completed("deadline")
        owners = bool(returned) and self.completed("dock") and self.completed("fold")
        course = self.completed("course") and self.guests == {self.kept}
        checks = [
            ("the urgent job had scavengers make room, and ran", rescued),
            ("borrowed quota was given back, and its owners ran", owners),
            (f"nobody was over a limit in {self.samples} looks at the queue", not self.passed),
            ("every job that waited had a reason", not self.silent),
            ("the course ran on the node that was kept for it", course),
        ]
        for text, ok in checks:
            print("pass" if ok else "FAIL", text)
        for text in [*self.passed, *(f"job {job} waited without a reason" for job in self.silent[:5])]:
            print("     ", text)
        return all(ok for _, ok in checks)

    def completed(self, what: str) -> bool:
        """Whether all jobs of that name ended well."""
        ids = ",".join(self.ids[what])
        states = run("sacct", "-nPX", "-j", ids, "-o", "state", quiet=True).split()
        return bool(states) and set(states) == {"COMPLETED"}


def _most(account: dict[str, Any]) -> int | None:
    """CPUs that an account may hold with all that it may borrow; None: whatever siblings leave."""
    if "borrow" not in account:
        return None
    return int(account["quota"]["cpu"] + account["borrow"]["cpu"])


def preempted(shown: str, jobs: set[str]) -> list[str]:
    """For whom these jobs made room, a sentence for each, of what `scontrol show job` prints."""
    told = []
    for job in shown.split("\n\n"):
        ids = {
            field.partition("=")[2] for field in job.split() if field.startswith(("JobId=", "ArrayJobId="))
        }
        told += [line.partition("PackhorsePreempted=")[2] for line in job.splitlines() if ids & jobs]
    return [why for why in told if why]


def prepare(book: dict[str, Any]) -> None:
    """Accounts as the file says, and whoever runs this in all groups."""
    print(run("packhorse", "accounts", "apply", str(HERE / "accounts.toml"), "--yes").splitlines()[-1])
    mine = run("sacctmgr", "-nP", "show", "assoc", f"user={ME}", "format=account", quiet=True).split()
    missing = [name for name in book["account"] if name not in {*FACULTIES, *mine}]
    if missing:
        run("sacctmgr", "-i", "add", "user", ME, f"account={','.join(missing)}")
    for line in run("sinfo", "-h", "-T", quiet=True).splitlines():
        if line.split()[0] in RESERVATIONS:  # of a run before
            run("scontrol", "delete", f"ReservationName={line.split()[0]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--minute", type=float, default=2.0, metavar="S", help="seconds that a minute of the hour takes"
    )
    args = parser.parse_args()
    if not 0.2 <= args.minute <= 60:
        parser.error("--minute: from 0.2 to 60 seconds")
    book = tomllib.loads((HERE / "accounts.toml").read_text())
    prepare(book)
    hour = Hour(args.minute, book)
    hour.live()
    return 0 if hour.summary() else 1


if __name__ == "__main__":
    sys.exit(main())

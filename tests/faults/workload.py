"""A load of submissions whose truth is known without asking the scheduler, and the check of what it says.

Each job notes in a file when it starts and ends, holds a lock of its own while it runs (so that a second run
of it at the same time finds out), and exits with a code chosen by the submitter. Each submission carries a
key and is repeated until it is acknowledged, as every client does it.
"""

from __future__ import annotations

import base64
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from packhorse.cli.transport import CallError, TransportError
from tests.cluster import Cluster, wait_until

JOB = """\
#!/bin/sh
# Arguments: directory, exit code, seconds.
exec 8> "$1/lock.$SLURM_JOB_ID"
note="$SLURM_JOB_ID ${SLURM_RESTART_COUNT:-0}"
if flock -n 8; then echo "$note start" >> "$1/ledger"; else echo "$note twice" >> "$1/ledger"; fi
sleep "$3"
echo "$note end" >> "$1/ledger"
exit "$2"
"""

MOST_UNFINISHED = 40
"""What is tested is dying under load, not a long queue."""

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"})


class Acknowledged(NamedTuple):
    """One submission that was answered. tasks: 0 if it is no array. cancelled: that was asked for as well."""

    key: str
    job: int
    code: int
    seconds: float
    tasks: int = 0
    cancelled: bool = False


class Tally(NamedTuple):
    """What became of a load. lost: acknowledged and not known. wrong: with another end than its own."""

    acknowledged: int
    lost: list[Acknowledged]
    reused: list[int]
    twice: list[str]
    wrong: list[str]
    runs: Counter[int]

    @property
    def runs_again(self) -> int:
        """Jobs that ran more than once."""
        return sum(n > 1 for n in self.runs.values())

    def summary(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {len(self.lost)} lost, {len(self.reused)} ids reused, "
            f"{len(self.twice)} run twice at once, {len(self.wrong)} wrong exits, {self.runs_again} run again"
        )

    def check(self) -> None:
        """Fails unless every job of the load came out right."""
        assert not (self.lost or self.reused or self.twice or self.wrong), (
            f"{self.summary()}\nlost {self.lost[:5]}\nreused {self.reused[:5]}\ntwice {self.twice[:5]}\n"
            f"wrong {self.wrong[:5]}"
        )


class Load:
    """Submissions to one cluster. seed: chooses codes and durations."""

    def __init__(self, cluster: Cluster, seed: int = 1) -> None:
        self.cluster = cluster
        self.done: list[Acknowledged] = []
        self.lock = threading.Lock()
        self._place = cluster.work
        self._chance = random.Random(seed)
        self._script = base64.b64encode(JOB.encode()).decode()
        self._ends_before = self._ends()

    def submit(
        self,
        key: str,
        *,
        code: int | None = None,
        seconds: float | None = None,
        tasks: int = 0,
        cancel: bool = False,
    ) -> int:
        """Submits under this key until there is an answer; the job's id. tasks: as an array of so many."""
        with self.lock:
            code = self._chance.choice((0, 0, 0, 1, 7, 42)) if code is None else code
            seconds = self._chance.choice((0, 0.01, 0.05, 0.2)) if seconds is None else seconds
        submission = Acknowledged(key, 0, code, seconds, tasks, cancel)
        job = self.again(submission)
        with self.lock:
            self.done.append(submission._replace(job=job))
        if cancel:
            request = {"jobs": [{"jobId": job}], "idempotencyKey": f"{key}-cancel"}
            self.answer(lambda: self.cluster.call("CancelJobs", request))
        return job

    def again(self, submission: Acknowledged) -> int:
        """The answer to a submission, for the first time or once more under its key."""
        request = self._request(submission.key, submission.code, submission.seconds)
        if submission.tasks:
            request["array"] = {"ranges": [{"start": 1, "stop": submission.tasks, "step": 1}]}
        return int(self.answer(lambda: self.cluster.call("SubmitJob", request))["jobId"])

    def answer(self, call: Callable[[], dict[str, Any]], within_s: float = 60.0) -> dict[str, Any]:
        """What the scheduler answers, however often it takes to get it."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                return call()
            except (TransportError, CallError) as error:
                if isinstance(error, CallError) and error.code != "unavailable":
                    raise
                assert time.monotonic() < deadline, f"no answer within {within_s:g} s: {error}"
            time.sleep(0.02)

    def settle(self, within_s: float = 60.0) -> None:
        """Waits until nothing waits or runs any more."""

        def idle() -> bool:
            try:
                counts = self.cluster.call("GetStatus").get("jobs", [])
            except (TransportError, CallError):
                return False
            return all(count["state"] in ENDED for count in counts)

        wait_until(idle, lambda: f"the load to end; there are {self._unsettled()}", within_s=within_s)

    def tally(self) -> Tally:
        """What is known of every submission, from the scheduler's accounting and from the jobs' own notes."""
        rows = accounting(self.cluster)
        lost, wrong = [], []
        notes = self.notes()
        runs = Counter(job for job, _, what in notes if what == "start")
        by_job: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            by_job.setdefault(row["array_job_id"] or row["job_id"], []).append(row)
        for submission in self.done:
            found = by_job.get(submission.job, [])
            n = sum(row["state"] in ENDED for row in found)
            if n != max(1, submission.tasks) and not (submission.cancelled and n):
                lost.append(submission)
                continue
            told = {(row["state"], row["exit_code"], row["exit_signal"]) for row in found}
            true = ("FAILED" if submission.code else "COMPLETED", submission.code, 0)
            ran = [row["job_id"] for row in found if row["state"] != "CANCELLED"]
            if submission.cancelled:
                told = {end for end in told if end[0] != "CANCELLED"}
            if told - {true} or not all(runs[job] for job in ran) or not (told or submission.cancelled):
                wrong.append(f"{submission}: {told}, {[runs[job] for job in ran]} runs")
        twice = [f"{job} run {run}" for job, run, what in notes if what == "twice"]
        answers = Counter(submission.job for submission in self.done)
        # Tasks of an array have numbers of their own; those that never ran are told under the array's.
        ran_as = Counter(row["job_id"] for row in rows if row["state"] != "CANCELLED")
        reused = [job for ids in (answers, ran_as) for job, n in ids.items() if n > 1]
        return Tally(len(self.done), lost, reused, twice, wrong, runs)

    def unfinished(self) -> int:
        """About how many runs of this load are still to come to their end."""
        over = self._ends() - self._ends_before
        with self.lock:
            return sum(0 if done.cancelled else max(1, done.tasks) for done in self.done) - over

    def notes(self) -> list[tuple[int, int, str]]:
        """(job, run, what) as the jobs wrote it down."""
        path = self._place / "ledger"
        lines = path.read_text().splitlines() if path.exists() else []
        split = [line.split() for line in lines]
        return [(int(job), int(run), what) for job, run, what in split]

    def _ends(self) -> int:
        path = self._place / "ledger"
        return path.read_bytes().count(b" end\n") if path.exists() else 0

    def _request(self, key: str, code: int, seconds: float) -> dict[str, Any]:
        spec = {
            "name": key,
            "script": self._script,
            "args": [str(self._place), str(code), f"{seconds:g}"],
            "workDir": str(self._place),
            "stdOut": "/dev/null",
            "environment": ["PATH=/usr/bin:/bin"],
        }
        return {"spec": spec, "idempotencyKey": key}

    def _unsettled(self) -> list[Any]:
        rows = self.cluster.jobs(fields=["state", "reason", "end_at", "nodes"])
        return [row for row in rows if row["state"] not in ENDED][:5]


class Submitter:
    """Submits from a thread while the `with` block runs, never far ahead of what ends; fails if that does."""

    def __init__(self, load: Load, label: str) -> None:
        self.label = label
        self.failure: BaseException | None = None
        self._load = load
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._submit)

    def __enter__(self) -> Submitter:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._thread.join()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        if self.failure is not None:
            raise self.failure

    def describe(self) -> str:
        """How far it came."""
        load = self._load
        return f"{len(load.done)} submissions acknowledged, about {load.unfinished()} runs unfinished"

    def _submit(self) -> None:
        number = 0
        try:
            while not self._over.is_set():
                if self._load.unfinished() > MOST_UNFINISHED:
                    time.sleep(0.02)
                    continue
                number += 1
                tasks = 4 if number % 7 == 3 else 0
                self._load.submit(f"{self.label}-{number}", tasks=tasks, cancel=number % 9 == 5)
        except BaseException as error:
            self.failure = error


def accounting(cluster: Cluster) -> list[dict[str, Any]]:
    """The last row of every job there ever was, with numbers as numbers."""
    fields = ["job_id", "array_job_id", "state", "exit_code", "exit_signal"]
    table = cluster.call("ListAccounting", {"fields": fields, "sinceUs": 1, "allocationsOnly": True})
    columns = [column.get("ints") or column.get("texts") or [] for column in table["columns"]]
    names = [column["name"] for column in table["columns"]]
    found = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return [{k: v if k == "state" else int(v) for k, v in row.items()} for row in found]

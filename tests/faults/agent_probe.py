"""How an agent bears what is done to it: asked five times a second, its memory read as often.

The question is a signal for a job of the node's own that does nothing else than answer it, through
everything an order passes: scheduler, agent, supervisor, process.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from packhorse.cli.transport import CallError, TransportError
from tests.cluster import Cluster, wait_until

EVERY_S = 0.2
LOST_S = 30.0
"""An answer that takes longer will not come."""

ANSWERS = """\
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
out = os.open("{place}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(out, b"ready\\n")
while True:
    signal.sigwait([signal.SIGUSR1])
    os.write(out, b"heard\\n")
"""


class Figures(NamedTuple):
    """n answers; the longest took longest_s; the agent's resident memory before, and the most it had."""

    n: int
    longest_s: float
    before_mib: float
    most_mib: float

    def __str__(self) -> str:
        grown = self.most_mib - self.before_mib
        return (
            f"{self.n} answers, the longest after {self.longest_s:.2f} s; "
            f"agent {self.before_mib:.1f} MiB, {grown:+.1f} MiB at most"
        )


class Probe:
    """Asks for as long as the `with` block runs. node: whose agent; it must not be restarted meanwhile."""

    def __init__(self, cluster: Cluster, node: str = "") -> None:
        self._cluster = cluster
        self._node = node or cluster.names[0]
        self._place = cluster.work / f"answers-{time.monotonic_ns()}"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._n = 0
        self._longest_s = 0.0
        self._failure = ""

    def __enter__(self) -> Probe:
        program = self._place.with_suffix(".py")
        program.write_text(ANSWERS.format(place=self._place))
        self._job = self._cluster.sbatch(
            "-w", self._node, "-o", "/dev/null", "--mem=64M", "--wrap", f"exec {sys.executable} {program}"
        )
        wait_until(lambda: self._lines() == 1, "the job that answers")
        self._agent = self._cluster.agent(self._node)
        self._before_mib = self._most_mib = memory_mib(self._agent)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._over.set()
        self._thread.join()
        self._cluster.call("CancelJobs", {"jobs": [{"jobId": self._job}]})
        if error is None:
            assert not self._failure, self._failure
            assert self._n, "nothing was asked"
            print(self.figures())

    def figures(self) -> Figures:
        """What came of it up to now."""
        return Figures(self._n, self._longest_s, self._before_mib, self._most_mib)

    def check(self, *, within_s: float = 1.0, mib: float = 20.0) -> None:
        """Every answer came in time and the agent's memory did not grow by more than mib."""
        figures = self.figures()
        assert figures.longest_s <= within_s, str(figures)
        assert figures.most_mib - figures.before_mib <= mib, str(figures)

    def _lines(self) -> int:
        return self._place.read_bytes().count(b"\n") if self._place.exists() else 0

    def _ask(self) -> None:
        request = {
            "jobs": [{"jobId": self._job}],
            "signal": int(signal.SIGUSR1),
            "scope": "SIGNAL_SCOPE_BATCH",
        }
        while not self._over.is_set():
            lines, began = self._lines(), time.monotonic()
            try:
                self._cluster.call("CancelJobs", request)
            except (CallError, TransportError) as error:
                self._failure = f"asked in vain: {error}"
                return
            while self._lines() == lines:
                if time.monotonic() - began > LOST_S:
                    self._failure = f"no answer within {LOST_S:g} s"
                    return
                time.sleep(0.002)
            self._n += 1
            self._longest_s = max(self._longest_s, time.monotonic() - began)
            self._most_mib = max(self._most_mib, memory_mib(self._agent))
            self._over.wait(EVERY_S)


def memory_mib(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no memory any more")

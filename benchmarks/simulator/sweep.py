"""Many runs on all cores, one process each; what fails is reported by name and the others go on."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import sys
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Final, NamedTuple

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.simulator import runs
from packhorse.simulator.runs import Run

_EVERY_S: Final = 0.5


class Told(NamedTuple):
    """What a run's process says. n: jobs ended so far; failed: why it came to nothing."""

    run: int
    n: int = 0
    failed: str = ""
    over: bool = False


def sweep(todo: Sequence[Run], folder: Path, processes: int, bar: Bar) -> dict[int, str]:
    """Does the runs whose results are not in the folder yet. Returns why runs failed, by their place."""
    folder.mkdir(parents=True, exist_ok=True)
    failed: dict[int, str] = {}
    open_ = [i for i, run in enumerate(todo) if not runs.done(folder, run)]
    bar.begin(len(todo), len(todo) - len(open_))
    # Jobs are read once, here; processes made by fork share them.
    for i in open_:
        runs.jobs_of(todo[i])
    context = multiprocessing.get_context("fork")
    told: Queue[Told] = context.Queue()
    running: dict[int, multiprocessing.process.BaseProcess] = {}
    try:
        while open_ or running:
            while open_ and len(running) < processes:
                i = open_.pop(0)
                bar.add(
                    i, len(runs.jobs_of(todo[i])), f"{todo[i].title} {todo[i].policy.name} {todo[i].number}"
                )
                running[i] = context.Process(target=_work, args=(i, todo[i], folder, told), daemon=True)
                running[i].start()
            _listen(told, running, failed, bar)
    finally:
        for process in running.values():
            process.kill()  # what it has not finished leaves nothing behind
            process.join()
    return failed


def _listen(
    told: Queue[Told],
    running: dict[int, multiprocessing.process.BaseProcess],
    failed: dict[int, str],
    bar: Bar,
) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            word = told.get(timeout=_EVERY_S)
            if word.over:
                running.pop(word.run).join()
                if word.failed:
                    failed[word.run] = word.failed
                bar.over(word.run)
                return
            bar.at(word.run, word.n)
    for i, process in list(running.items()):
        if not process.is_alive() and told.empty():
            del running[i]
            failed[i] = f"its process ended with status {process.exitcode}"
            bar.over(i)


def _work(i: int, run: Run, folder: Path, told: Queue[Told]) -> None:
    """In a process of its own, which knows the traces and policies that its parent has read."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops it
    try:
        outcome = runs.simulate(run, lambda n: told.put(Told(i, n)))
        runs.save(folder, run, outcome)
    except PackhorseError as why:
        told.put(Told(i, 0, str(why), True))
    except Exception as why:  # a policy of the user's own may raise anything
        told.put(Told(i, 0, f"{type(why).__name__}: {why}", True))
    else:
        told.put(Told(i, over=True))


class Bar:
    """A line on stderr: how many jobs of all runs are done. Renewed on a terminal, elsewhere at times."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._began = self._said = time.monotonic()
        self._n: dict[int, int] = {}
        self._of: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._total = self._done = 0

    def begin(self, total: int, done: int) -> None:
        """So many runs, of which so many are there already."""
        self._total, self._done = total, done
        if done:
            print(f"{done} of {total} runs are there already", file=sys.stderr)

    def add(self, i: int, jobs: int, name: str) -> None:
        """A run begins."""
        self._n[i], self._of[i], self._names[i] = 0, max(jobs, 1), name
        self._show()

    def at(self, i: int, n: int) -> None:
        """So many of its jobs have ended."""
        self._n[i] = n
        self._show()

    def over(self, i: int) -> None:
        """It is done."""
        self._n.pop(i)
        self._done += 1
        self._show(self._names[i])

    def end(self) -> None:
        """The line goes."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _show(self, what: str = "") -> None:
        now = time.monotonic()
        if now - self._said < (0.1 if self._terminal else 10.0) and not (what and self._terminal):
            return
        self._said = now
        part = self._done + sum(n / self._of[i] for i, n in self._n.items())
        share = part / max(self._total, 1)
        left = f", {(now - self._began) * (1 - share) / share:.0f} s left" if 0.02 < share < 1 else ""
        names = what or ", ".join(self._names[i] for i in self._n)
        filled = round(30 * share)
        bar = f"[{'#' * filled}{'.' * (30 - filled)}]"
        line = f"{bar} {self._done} of {self._total} runs, {share:.0%}{left}  {names}"
        if self._terminal:
            print(f"\r\033[K{line[:160]}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

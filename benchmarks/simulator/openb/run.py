"""One run: a seed of a variant under one policy, arrival by arrival."""

from __future__ import annotations

import time
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.online import Placer, Taken
from packhorse.scheduler.core.packing.policy import Mix, Policy
from packhorse.simulator.openb.curve import alloc_curve, last_at_each_percent, percent
from packhorse.simulator.openb.fragments import Fragments
from packhorse.simulator.openb.lessons import made
from packhorse.simulator.openb.queue import Hold, Queue
from packhorse.simulator.openb.stranding import Stranding
from packhorse.simulator.openb.workload import Workload, mix_of_list, mix_of_seen

FIRST_LEARNED: Final = 200
"""With a mix of what has been seen, the policy is made anew after so many arrivals, then twice as many …"""


class Manner(NamedTuple):
    """How the jobs are placed. queue: what does not fit waits, else it is rejected for ever. every: waiting
    jobs are tried after so many arrivals. hold: None for none. seen: the policy knows the frequencies of what
    has arrived, else those of the whole list.
    """

    queue: bool = False
    every: int = 1
    hold: Hold | None = None
    seen: bool = False

    @property
    def label(self) -> str:
        """As a column of the table."""
        words = ["queue" if self.queue else "online"]
        words += [f"every {self.every}"] if self.every > 1 else []
        words += [f"hold {self.hold.arrivals}"] if self.hold else []
        words += ["mix seen"] if self.seen else []
        return ", ".join(words)


class Placed(NamedTuple):
    """A pod that was placed: position of its arrival, row of the pod list, node by name, device indices."""

    position: int
    row: int
    node: str
    devices: tuple[int, ...]


class Outcome(NamedTuple):
    """What a run came to.

    alloc_pct, frag_pct_of_capacity, frag_pct_of_idle: by arrived percent; the last two as things stand at the
    last arrival of that percent. decisions_per_s: of CPU time, the policy's included, from arrival to columns
    brought up to date, without making policies and sampling. waited: longest wait of a started job, in
    arrivals.
    """

    alloc_pct: dict[int, float]
    frag_pct_of_capacity: dict[int, float]
    frag_pct_of_idle: dict[int, float]
    unallocated_devices: float
    n_arrived: int
    n_waiting: int
    waited: int
    decisions_per_s: float
    placed: list[Placed]


def run(work: Workload, policy: Policy, manner: Manner) -> Outcome:
    """The whole stream on empty nodes."""
    return _Run(work, policy, manner).to_the_end()


class _Run:
    def __init__(self, work: Workload, policy: Policy, manner: Manner) -> None:
        self.work = work
        self.policy = policy
        self.manner = manner
        known = mix_of_list(work)
        start = mix_of_seen(work, 0) if manner.seen else known
        self.placer = Placer(work.ground, made(policy, work.ground, start))
        self.codes = [self.placer.code(*work.asks[work.ask_of[row]]) for row in work.rows]
        self.queue = Queue(self.placer, manner.hold, self._stranding(start)) if manner.queue else None
        self.fragments = Fragments(work.ground, known)
        self.placed: list[Placed] = []
        self.placed_milli = np.zeros(len(work.rows), dtype=np.int64)
        self.waited = 0
        self.n_decisions = 0
        self.seconds = 0.0

    def to_the_end(self) -> Outcome:
        """Segment by segment: between two of them fragmentation is sampled and the policy learns."""
        work = self.work
        arrived = work.arrived_milli()
        samples = {end: x for x, end in last_at_each_percent(arrived, work.capacity_milli).items()}
        lessons = self._lessons() if self.manner.seen else set()
        frag: dict[int, float] = {}
        idle: dict[int, float] = {}
        begin = 0
        for end in sorted({*samples, *lessons, len(work.rows)}):
            self._segment(begin, end)
            begin = end
            if end in lessons:
                self._learn(end)
            if end in samples:
                fragments, free = self.fragments.total(self.placer)
                frag[samples[end]] = float(percent(np.array(fragments), work.capacity_milli))
                idle[samples[end]] = float(percent(np.array(fragments), free))
        curve = alloc_curve(arrived, np.cumsum(self.placed_milli), work.capacity_milli)
        waiting = [*self.queue.waiting().values(), *self.queue.held().values()] if self.queue else []
        return Outcome(
            curve,
            frag,
            idle,
            (work.capacity_milli - self.placer.taken_milli) / 1000,
            len(work.rows),
            sum(len(jobs) for jobs in waiting),
            self.waited,
            self.n_decisions / self.seconds if self.seconds else 0.0,
            self.placed,
        )

    def _segment(self, begin: int, end: int) -> None:
        """Arrivals begin to end - 1; only what is timed is the deciding itself."""
        if self.queue is None:
            self._online(begin, end)
        else:
            self._queued(self.queue, begin, end)

    def _online(self, begin: int, end: int) -> None:
        place = self.placer.place
        codes = self.codes[begin:end]
        clock = time.process_time()
        answers = [place(code) for code in codes]
        self.seconds += time.process_time() - clock
        self.n_decisions += end - begin
        for position, taken in enumerate(answers, begin):
            if taken is not None:
                self._note(position, position, taken)

    def _queued(self, queue: Queue, begin: int, end: int) -> None:
        every, last = self.manner.every, len(self.codes)
        started = []
        tries = queue.n_tries
        clock = time.process_time()
        for position in range(begin, end):
            queue.add(position, self.codes[position])
            if (position + 1) % every == 0 or position + 1 == last:
                started += [(position, job) for job in queue.start(position)]
        self.seconds += time.process_time() - clock
        self.n_decisions += queue.n_tries - tries
        for position, job in started:
            self._note(position, job.position, job.taken)
            self.waited = max(self.waited, job.waited)

    def _note(self, now: int, position: int, taken: Taken) -> None:
        row = self.work.rows[position]
        self.placed_milli[now] += self.work.trace.pods[row].device_milli
        self.placed.append(Placed(position, row, self.work.nodes[taken.node].name, taken.devices))
        self.fragments.changed([taken.node])

    def _lessons(self) -> set[int]:
        found, n = set(), FIRST_LEARNED
        while n < len(self.work.rows):
            found.add(n)
            n *= 2
        return found

    def _learn(self, n: int) -> None:
        mix = mix_of_seen(self.work, n)
        self.placer.use(made(self.policy, self.work.ground, mix))
        if self.queue is not None:
            self.queue.relearn(self._stranding(mix))

    def _stranding(self, mix: Mix) -> Stranding | None:
        return Stranding(self.placer, mix) if self.manner.hold else None

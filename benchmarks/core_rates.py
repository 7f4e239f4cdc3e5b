"""How fast the core decides: rates of `step` + `apply`, memory per job, snapshot times.

Run:  python benchmarks/core_rates.py [--jobs 100000]
Everything is in one process and nothing is stored: these are the costs of the decisions alone.
"""

from __future__ import annotations

import argparse
import gc
import resource
import time
from collections.abc import Callable
from pathlib import Path

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.command import Launch
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    Input,
    RegisterNode,
    ReportExit,
    ReportStart,
    RunCycle,
    Start,
    Submit,
)
from packhorse.scheduler.model.job import JobSpec, Owner
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask

USER = Owner(1000, 1000, "user", "group")


class Bench:
    """A cluster of 64 CPUs, and a clock that moves a microsecond with every input."""

    def __init__(self) -> None:
        self.state = State.empty()
        self.now = 1_750_000_000 * US
        self.do(Start(ClusterConfig()))
        node = NodeSpec(NodeName("n1"), "n1", 64_000, 256_000)
        self.do(RegisterNode(node, "boot", Offer(1, 64_000, 256_000)))

    def do(self, input: Input) -> Decision:
        self.now += 1
        decision = step(self.state, input, Instant(self.now))
        for event in decision.events:
            apply(self.state, event)
        next_timer(self.state)
        return decision


def a_spec() -> JobSpec:
    """A spec as it comes from the wire: equal to the others, but no object shared with them."""
    text = "".join(["0"] * 64)
    return JobSpec(
        name="true",
        ask=Ask(cpu_milli_per_task=1000, mem_mib_per_node=100),
        partition="",
        script_ref=text[:32] + text[32:],
        env_ref=text[1:] + "x",
        work_dir="/home/user/project/" + text[:5],
        time_limit_s=3600,
        submit_line="sbatch job.sh " + text[:3],
        command="/home/user/project/job.sh",
    )


def per_unit(what: str, n: int, work: Callable[[], object]) -> None:
    """Best of three, in microseconds per unit."""
    best = float("inf")
    for _ in range(3):
        gc.collect()
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    print(f"{what:<58} {best / n * 1e6:9.2f} us each   ({n})")


def submit_batch(n: int) -> None:
    bench = Bench()
    call = Submit(Caller(USER), (a_spec(),), (Item(0),) * n)
    per_unit("one Submit of many jobs: step + apply, per job", n, lambda: bench.do(call))


def submit_single(n: int) -> None:
    bench = Bench()
    calls = [
        Submit(Caller(USER, key=f"k{i}", fingerprint="f"), (a_spec(),), (Item(0),)) for i in range(3 * n)
    ]
    rest = iter(calls)

    def work() -> None:
        for _ in range(n):
            bench.do(next(rest))

    per_unit("Submit of one job with a key: step + apply", n, work)


def whole_life(n: int) -> None:
    """Grant, start and exit of jobs that wait, 64 at a time."""
    bench = Bench()
    bench.do(Submit(Caller(USER), (a_spec(),), (Item(0),) * (4 * n)))

    def work() -> None:
        ended = 0
        while ended < n:
            launches = [c for c in bench.do(RunCycle()).commands if isinstance(c, Launch)]
            for launch in launches:
                bench.do(ReportStart(launch.node, launch.attempt, Instant(bench.now)))
            for launch in launches:
                bench.do(ReportExit(launch.node, launch.attempt, Instant(bench.now), Instant(bench.now)))
            ended += len(launches)

    per_unit("grant + start + exit + end of one job (64 per cycle)", n, work)


def single_lives(n: int) -> None:
    """The same, one job at a time on an idle cluster: one cycle for each."""
    bench = Bench()

    def work() -> None:
        for _ in range(n):
            bench.do(Submit(Caller(USER), (a_spec(),), (Item(0),)))
            (launch,) = bench.do(RunCycle()).commands
            assert isinstance(launch, Launch)
            bench.do(ReportStart(launch.node, launch.attempt, Instant(bench.now)))
            bench.do(ReportExit(launch.node, launch.attempt, Instant(bench.now), Instant(bench.now)))

    per_unit("submit + cycle + start + exit of one job, idle cluster", n, work)


def resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def many_pending(n: int) -> None:
    """Memory, cycle, freeze, snapshot and restart with n separate submissions waiting."""
    bench = Bench()
    gc.collect()
    before = resident_kib()
    for _ in range(n):
        bench.do(Submit(Caller(USER), (a_spec(),), (Item(0),)))
    gc.collect()
    after = resident_kib()
    each = (after - before) * 1024 / n
    print(f"{n} separate pending jobs: {each:.0f} bytes each, resident {after // 1024} MiB")
    gc.freeze()
    for name, work in (
        ("first cycle", lambda: bench.do(RunCycle())),
        ("next cycle", lambda: bench.do(RunCycle())),
        ("freeze", bench.state.freeze),
    ):
        begin = time.perf_counter()
        work()
        print(f"  {name:<30} {(time.perf_counter() - begin) * 1e3:8.2f} ms")
    longest = 0.0
    chunks = []
    begin = last = time.perf_counter()
    for chunk in dump(bench.state.freeze()):
        chunks.append(chunk)
        longest = max(longest, time.perf_counter() - last)
        last = time.perf_counter()
    total, size = last - begin, sum(map(len, chunks))
    print(
        f"  snapshot: {total * 1e3:.0f} ms, {size / n:.0f} bytes a job, longest chunk {longest * 1e3:.1f} ms"
    )
    begin = time.perf_counter()
    again = load(chunks)
    print(f"  load:     {(time.perf_counter() - begin) * 1e3:.0f} ms")
    assert again == bench.state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    n = parser.parse_args().jobs
    submit_batch(10_000)
    submit_single(3_000)
    whole_life(3_000)
    single_lives(1_000)
    many_pending(n)


if __name__ == "__main__":
    main()

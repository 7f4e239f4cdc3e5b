"""A simulated day of 100,000 jobs under limits, budgets and quotas, with a referee who looks at every event.

    python -m benchmarks.limits_day [--jobs N] [--nodes N] [--seed S] [--json FILE]

Three faculties, twelve groups, sixty users, three QOS, a partition with a QOS; budgets that run out, quotas
that are lent, and limits that are lowered and raised again while all of that runs. Every start and every
submission is judged by `simulator/limits_referee.py`, which shares no code with what decides. Exits 1 at the
first one that broke anything.
"""

from __future__ import annotations

import argparse
import heapq
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.model.accounts import (
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Limits,
    Qos,
    QosLimits,
    User,
)
from packhorse.scheduler.model.cluster import ClusterConfig, Partition, Priorities, Reclaim
from packhorse.scheduler.model.command import Launch, Terminate
from packhorse.scheduler.model.event import AccountsChanged, Event, Item
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    Input,
    RegisterNode,
    ReportExit,
    ReportStart,
    RunCycle,
    Start,
    Submit,
    SubmitArray,
    Tick,
)
from packhorse.scheduler.model.job import Active, ArraySpec, IndexRange, JobSpec, Owner
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.model.resources import Ask, Device, Gres
from packhorse.scheduler.model.tres import parse_tres
from packhorse.simulator.limits_referee import LimitBroken, Referee
from packhorse.simulator.progress import Progress

DAY_S: Final = 86_400
CYCLE_S: Final = 10
"""Between two passes, as in a daemon that is busy."""
STOP_S: Final = 5
"""From the order to stop until a job is gone."""
NOON: Final = Instant(1_750_000_000 * US)
FACULTIES: Final = 3
GROUPS: Final = 12
USERS: Final = 60
QOS: Final = ("normal", "long", "idle")
CHANGES: Final = 20
"""Changes of limits in the course of the day."""


class Coming(NamedTuple):
    """A submission. n: equal jobs, or (array) the indices of one."""

    at_s: int
    caller: Caller
    spec: JobSpec
    n: int
    array: bool
    run_s: int


def group_of(user: int) -> int:
    return user % GROUPS


def tree(chance: Random, n_cpus: int, n_gpus: int) -> AccountsDelta:
    """Accounts with limits of every kind. n_cpus, n_gpus: of the cluster."""
    accounts, associations = [], []
    for f in range(FACULTIES):
        accounts.append(Account(f"faculty{f}"))
        quota = parse_tres(f"cpu={n_cpus // FACULTIES},gres/gpu={n_gpus // FACULTIES}")
        associations.append(Association(AssociationKey(f"faculty{f}"), limits=Limits(quota=quota)))
    for g in range(GROUPS):
        accounts.append(Account(f"group{g}", f"faculty{g % FACULTIES}"))
        associations.append(
            Association(AssociationKey(f"group{g}"), limits=group_limits(chance, g, n_cpus, n_gpus))
        )
    users = []
    for u in range(USERS):
        users.append(User(f"user{u}", f"group{group_of(u)}"))
        limits = Limits(max_jobs=chance.choice([None, None, 20, 40]), max_submit=chance.choice([None, 3_000]))
        associations.append(Association(AssociationKey(f"group{group_of(u)}", f"user{u}"), limits=limits))
    return AccountsDelta(tuple(accounts), tuple(users), tuple(associations), qos(n_cpus, n_gpus))


def group_limits(chance: Random, group: int, n_cpus: int, n_gpus: int) -> Limits:
    """Of one group: some are tight in this, some in that."""
    share = n_cpus // GROUPS
    limits = Limits(
        quota=parse_tres(f"cpu={share}"),
        borrow=(None, parse_tres(f"cpu={share}"), ())[group % 3],
        max_wall_s=chance.choice([None, 6 * 3600]),
    )
    match group % 6:
        case 0:
            return replace(limits, grp_tres=parse_tres(f"cpu={share},mem={share * 2}G"))
        case 1:
            return replace(limits, grp_jobs=chance.randrange(20, 60))
        case 2:
            return replace(limits, grp_tres_run_mins=parse_tres(f"cpu={share * 60}"))
        case 3:
            return replace(limits, grp_tres_mins=parse_tres(f"cpu={share * 60 * 6},gres/gpu={n_gpus * 20}"))
        case 4:
            return replace(limits, grp_wall_s=DAY_S * share // 8, max_tres=parse_tres("cpu=16"))
    return replace(limits, grp_tres=parse_tres(f"gres/gpu={max(n_gpus // GROUPS, 1)}"), grp_submit=4_000)


def qos(n_cpus: int, n_gpus: int) -> tuple[Qos, ...]:
    """Of the jobs, and one of the partition `short`."""
    return (
        Qos(
            "normal",
            limits=QosLimits(
                max_tres_pu=parse_tres(f"cpu={n_cpus // 6}"), max_tres_pa=parse_tres(f"cpu={n_cpus // 3}")
            ),
        ),
        Qos(
            "long",
            usage_factor_milli=2000,
            limits=QosLimits(
                grp_tres=parse_tres(f"cpu={n_cpus // 4}"), max_jobs_pu=10, max_wall_s=DAY_S // 2
            ),
        ),
        Qos(
            "idle",
            usage_factor_milli=500,
            limits=QosLimits(grp_jobs=200, max_jobs_pa=40, max_tres_mins=parse_tres("cpu=960")),
        ),
        Qos(
            "shorts",
            limits=QosLimits(
                max_wall_s=3600,
                max_tres_per_node=parse_tres("cpu=8"),
                grp_tres_run_mins=parse_tres(f"cpu={n_cpus * 10}"),
                min_tres=parse_tres("cpu=1"),
                max_tres_pu=parse_tres(f"gres/gpu={max(n_gpus // 4, 1)}"),
            ),
        ),
    )


def day(chance: Random, n_jobs: int) -> Iterator[Coming]:
    """Submissions by time, more of them in working hours, some beyond what limits allow."""
    left = n_jobs
    times = []
    while left > 0:
        n = min(chance.choice([1, 1, 1, 1, 5, 20]), left)
        hour = chance.choices(range(24), [1] * 8 + [4] * 10 + [2] * 6)[0]
        times.append((hour * 3600 + chance.randrange(3600), n))
        left -= n
    for at_s, n in sorted(times):
        u = min(int(chance.expovariate(1 / 15)), USERS - 1)
        run_s = min(int(chance.lognormvariate(6, 1.4)) + 1, DAY_S // 2)
        limit_s = chance.choices([run_s + 60, run_s * 2, 4 * 3600, DAY_S // 2, 0], [6, 6, 3, 1, 0.2])[0]
        spec = JobSpec(
            name="job",
            ask=ask(chance),
            partition=chance.choice(["main", "main", "short"]),
            script_ref="",
            env_ref="",
            work_dir="/",
            account=f"group{group_of(u)}",
            qos=chance.choice(["normal", "normal", "normal", "long", "idle"]),
            time_limit_s=limit_s,
        )
        owner = Owner(1000 + u, 1000, f"user{u}", "users")
        run_s = min(run_s, limit_s or run_s)
        yield Coming(at_s, Caller(owner), spec, n, n > 1 and chance.random() < 0.5, run_s)


def ask(chance: Random) -> Ask:
    """One to 32 CPUs, some on two nodes, some with devices, some with a node for themselves."""
    gpus = chance.choice([0, 0, 0, 0, 1, 2])
    nodes = chance.choice([1, 1, 1, 1, 1, 1, 2])
    return Ask(
        n_tasks=nodes,
        min_nodes=nodes,
        cpu_milli_per_task=1000 * chance.choices([1, 2, 4, 8, 16], [40, 25, 15, 8, 2])[0],
        mem_mib_per_node=1024 * chance.choice([1, 2, 4, 16]),
        gres_per_node=(Gres("gpu", "", gpus),) if gpus else (),
        exclusive=chance.random() < 0.01,
    )


class Day:
    """The cluster, its clock, and the referee."""

    def __init__(self, n_nodes: int, seed: int) -> None:
        self.chance = Random(seed)
        self.state = State.empty()
        self.referee = Referee(self.state)
        self.now = NOON
        self.ends: list[tuple[int, AttemptKey, NodeName]] = []
        self.run_s: dict[JobId, int] = {}
        self.reasons: Counter[str] = Counter()
        self.n_refused = self.n_passes = 0
        self.pass_s = 0.0
        partitions = (
            Partition("main", is_default=True),
            Partition("short", qos="shorts", billing=(("cpu", 1.0), ("gres/gpu", 8.0))),
        )
        config = ClusterConfig(
            partitions=partitions, reclaim=Reclaim(stoppable_qos=QOS), priorities=Priorities(half_life_s=0)
        )
        self.do(Start(config))
        for i in range(n_nodes):
            name = NodeName(f"n{i + 1}")
            devices = tuple(Device("gpu", "", d) for d in range(4)) if i % 8 == 0 else ()
            spec = NodeSpec(name, name, 32_000, 131_072, devices=devices)
            self.do(RegisterNode(spec, "boot", Offer(1, spec.cpu_milli, spec.mem_mib)))
        self.n_cpus, self.n_gpus = 32 * n_nodes, 4 * -(-n_nodes // 8)
        self.change(tree(self.chance, self.n_cpus, self.n_gpus))

    def do(self, input: Input) -> Decision:
        decision = step(self.state, input, self.now)
        for event in decision.events:
            self.see(event)
        for command in decision.commands:
            if isinstance(command, Launch):
                job = self.state.jobs[command.job]
                run_s = self.run_s[job.array_id or job.id]
                at = self.now + self.chance.randrange(US)
                self.do_later(at + run_s * US, command.attempt, command.node)
                self.do(ReportStart(command.node, command.attempt, self.now))
            elif isinstance(command, Terminate):
                self.do_later(self.now + STOP_S * US, command.attempt, command.node)
        return decision

    def see(self, event: Event) -> None:
        self.referee.before(event)
        apply(self.state, event)

    def do_later(self, at: int, attempt: AttemptKey, node: NodeName) -> None:
        heapq.heappush(self.ends, (at, attempt, node))

    def change(self, delta: AccountsDelta) -> None:
        self.see(AccountsChanged(self.now, delta, 0))

    def submit(self, coming: Coming) -> None:
        if coming.array:
            ranges = (IndexRange(0, coming.n - 1, 1),)
            call: Input = SubmitArray(coming.caller, coming.spec, ArraySpec(ranges))
        else:
            call = Submit(coming.caller, (coming.spec,), (Item(0),) * coming.n)
        first = self.state.next_job_id
        if isinstance(self.do(call).reply, Refused):
            self.n_refused += coming.n
            return
        for id in range(first, self.state.next_job_id):
            self.run_s[JobId(id)] = coming.run_s

    def until(self, at: Instant) -> None:
        """What ends by then, what time brings about, and a pass."""
        while self.ends and self.ends[0][0] <= at:
            end, attempt, node = heapq.heappop(self.ends)
            self.now = Instant(max(end, self.now))
            job = self.state.jobs.get(attempt.job)
            if job is not None and isinstance(job.phase, Active) and job.phase.attempt == attempt:
                self.do(ReportExit(node, attempt, job.phase.started_at, self.now))
        self.now = at
        timer = next_timer(self.state)
        while timer is not None and timer <= self.now:
            self.do(Tick())
            timer = next_timer(self.state)
        begin = time.process_time()
        while self.do(RunCycle()).more:
            pass
        self.pass_s += time.process_time() - begin
        self.n_passes += 1


def run(n_jobs: int, n_nodes: int, seed: int) -> tuple[Day, float]:
    """The day, and how long it took. Raises LimitBroken."""
    begin = time.monotonic()
    today = Day(n_nodes, seed)
    coming = list(day(today.chance, n_jobs))
    changes = sorted(today.chance.randrange(DAY_S) for _ in range(CHANGES))
    with Progress(DAY_S // CYCLE_S, "passes") as progress:
        for second in range(0, DAY_S, CYCLE_S):
            while coming and coming[0].at_s <= second:
                today.submit(coming.pop(0))
            while changes and changes[0] <= second:
                changes.pop(0)
                group = today.chance.randrange(GROUPS)
                limits = group_limits(today.chance, today.chance.randrange(6), today.n_cpus, today.n_gpus)
                today.change(
                    AccountsDelta(associations=(Association(AssociationKey(f"group{group}"), limits=limits),))
                )
            today.until(Instant(NOON + second * US))
            counts = today.state.pending_columns.reason_counts()
            today.reasons.update({reason.value: 1 for reason in counts})
            progress.step(f"{today.referee.n_starts} starts")
    today.referee.recount()
    return today, time.monotonic() - begin


def main(words: Sequence[str] | None = None) -> int:
    """Runs it, prints what was seen, writes the file."""
    parser = argparse.ArgumentParser(prog="limits_day", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(words)
    try:
        today, took = run(args.jobs, args.nodes, args.seed)
    except LimitBroken as broken:
        print(f"limits_day: {broken}", file=sys.stderr)
        return 1
    referee = today.referee
    figures = {
        "jobs": args.jobs,
        "nodes": args.nodes,
        "seed": args.seed,
        "refused_at_submission": today.n_refused,
        "starts": referee.n_starts,
        "limits_judged": referee.n_judged,
        "recounts": referee.n_recounts,
        "broken": 0,
        "waiting_at_the_end": len(today.state.pending_columns),
        "passes": today.n_passes,
        "seconds_in_passes": round(today.pass_s, 1),
        "seconds": round(took, 1),
        "python": platform.python_version(),
    }
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):<24}{value}")
    print("passes after which somebody waited for")
    for reason, n in today.reasons.most_common():
        print(f"  {reason:<40}{n}")
    if args.json is not None:
        args.json.write_text(json.dumps({**figures, "reasons": dict(today.reasons)}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

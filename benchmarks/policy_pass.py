"""How long a pass takes where policy is in full use: `python -m benchmarks.policy_pass [--json FILE]`.

2,000 nodes in racks, nearly full, 10,000 waiting jobs of 500 users in 50 groups of 10 faculties, every group
with a quota and limits of several kinds, QOS with limits of each user and account, twenty reservations, jobs
on several nodes that want to be within a rack or two; ordered by priorities in which fair share weighs most.
With everything on ("all") a QOS has others make room for it, a partition as well, and what was borrowed of
quotas is taken back, on a cluster that was filled before, with work that has to give way and work that is
lent: the first passes find somebody who has to leave for nearly every job they look at. Ten jobs come once
that has come to rest. The daemon's own state, made by submissions and passes. Figures are CPU seconds of one
core, the best of three: the machine may be shared.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import step
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
from packhorse.scheduler.model.cluster import ClusterConfig, Partition, PreemptBy, Preemption, Priorities
from packhorse.scheduler.model.command import Terminate
from packhorse.scheduler.model.event import AccountsChanged, Item, JobEnding, ReservationSet
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, Input, RegisterNode, ReportExit, RunCycle, Start, Submit
from packhorse.scheduler.model.job import Active, JobSpec, Owner
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.scheduler.model.reservation import Reservation
from packhorse.scheduler.model.resources import Ask, Device, Gres
from packhorse.scheduler.model.tres import parse_tres
from packhorse.simulator.progress import Progress

NOON: Final = Instant(1_750_000_000 * US)
TIMES: Final = 3
FACULTIES: Final = 10
GROUPS: Final = 50
USERS: Final = 500
RESERVATIONS: Final = 20
RACK: Final = 40
SETTLE: Final = 400
TIMES_FEW: Final = 9
FULL_S, FEW_MS = 0.5, 50.0
CASES: Final = (("no limits", False, False), ("limits", True, False), ("all", True, True))
"""Name, whether there are limits and quotas, whether jobs make room for others."""


class Figure(NamedTuple):
    """A measured time. bar: what it has to reach, None for none."""

    what: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def reaches(self) -> str:
        return "" if self.bar is None else "yes" if self.value <= self.bar else "no"


class Site:
    """The cluster, its users and its queue."""

    def __init__(
        self, n_nodes: int, n_pending: int, seed: int, order: str, *, limited: bool, preempt: bool
    ) -> None:
        self.chance = Random(seed)
        self.state = State.empty()
        self.now = NOON
        weights = Priorities(
            weight_age=1_000, weight_fairshare=100_000, weight_job_size=500, weight_qos=2_000
        )
        config = ClusterConfig(
            partitions=(Partition("main", is_default=True), Partition("debug", priority_tier=2)),
            order=order,
            priorities=weights,
            backfill_depth=1,
            preemption=Preemption(take_back=False),
        )
        self.do(Start(config))
        for i in range(n_nodes):
            name = NodeName(f"n{i + 1:04}")
            devices = tuple(Device("gpu", "", d) for d in range(4)) if i % 8 == 0 else ()
            place = (f"row{i // (10 * RACK)}", f"rack{i // RACK}")
            spec = NodeSpec(name, name, 64_000, 262_144, devices=devices, topology=place)
            self.do(RegisterNode(spec, "boot", Offer(1, spec.cpu_milli, spec.mem_mib)))
        self.asks = [self.ask() for _ in range(200)]
        self.change(tree(self.chance, 64 * n_nodes, 4 * (n_nodes // 8), limited=limited))
        self.reserve(n_nodes)
        self.submit(n_pending)
        self.first = self.passes()
        self.fill(n_pending)
        if preempt:  # only now, so that all who have a right to make others go still have it to use
            self.state.config = replace(config, preemption=Preemption(PreemptBy.BOTH))

    def do(self, input: Input) -> Decision:
        decision = step(self.state, input, self.now)
        for event in decision.events:
            apply(self.state, event)
        for command in decision.commands:
            if isinstance(command, Terminate) and isinstance(
                self.state.jobs[command.attempt.job].phase, Active
            ):
                self.over(command.attempt.job)
        return decision

    def change(self, delta: AccountsDelta) -> None:
        apply(self.state, AccountsChanged(self.now, delta, 0))

    def reserve(self, n_nodes: int) -> None:
        """Twenty reservations: half of them of a group now, half for later, some of these maintenance."""
        wide = max(n_nodes // 100, 1)
        for i in range(RESERVATIONS):
            nodes = tuple(NodeName(f"n{i * wide + k + 1:04}") for k in range(wide))
            now = i % 2 == 0
            start = self.now if now else Instant(self.now + (1 + i) * 3600 * US)
            one = Reservation(
                f"r{i}",
                start,
                Instant(start + 86_400 * US),
                nodes,
                accounts=(f"group{i}",) if now else (),
                users=() if now else ("root",),
                flags=("MAINT",) if i % 4 == 1 else (),
            )
            apply(self.state, ReservationSet(self.now, one))

    def ask(self) -> Ask:
        chance = self.chance
        gpus = chance.choice([0, 0, 0, 0, 1, 2])
        nodes = chance.choice([1] * 12 + [2, 4, 8])
        hops, switches = chance.choice([(-1, 0), (0, 0), (1, 0), (-1, 2)]) if nodes > 1 else (-1, 0)
        return Ask(
            n_tasks=nodes,
            min_nodes=nodes,
            cpu_milli_per_task=1000 * chance.choice([1, 2, 4, 8, 16, 32]),
            mem_mib_per_node=1024 * chance.choice([1, 2, 4, 8, 16, 32, 64]),
            gres_per_node=(Gres("gpu", "", gpus),) if gpus else (),
            hops=hops,
            max_switches=switches,
        )

    def submit(self, n: int) -> None:
        """So many jobs, in submissions of one to ten, each of some user."""
        while n > 0:
            some = min(n, self.chance.choice([1, 1, 2, 10]))
            u = self.chance.randrange(USERS)
            spec = JobSpec(
                name="job",
                ask=self.chance.choice(self.asks),
                partition=self.chance.choice(["main"] * 19 + ["debug"]),
                script_ref="",
                env_ref="",
                work_dir="/",
                account=f"group{u % GROUPS}",
                qos=self.chance.choice(["normal"] * 19 + ["high"]),
                time_limit_s=60 * self.chance.choice([10, 30, 60, 240, 720, 1440]),
            )
            caller = Caller(Owner(1000 + u, 1000, f"user{u}", "users"))
            self.do(Submit(caller, (spec,), (Item(0),) * some))
            n -= some

    def fill(self, n_pending: int) -> None:
        """Until nothing more can start and so many wait."""
        pending = self.state.pending_columns
        with Progress(n_pending, "waiting jobs") as progress:
            while True:
                self.now = Instant(self.now + 60 * US)
                while self.do(RunCycle()).more:
                    pass
                if len(pending) >= n_pending:
                    return
                self.submit(min(2_000, n_pending - len(pending)))
                progress.step(f"{len(self.state.running_columns)} run")

    def settle(self) -> int:
        """Passes until nothing more is decided, or so many. How many jobs have made room."""
        n = 0
        for _ in range(SETTLE):
            self.now = Instant(self.now + US)
            decision = self.do(RunCycle())
            if not decision.events and not decision.more:
                break
            n += sum(isinstance(event, JobEnding) for event in decision.events)
        return n

    def later(self) -> None:
        """All that is kept from the last pass is out of date: shares, and the order of the rows."""
        self.now = Instant(self.now + self.state.config.priorities.calc_period_s * US)
        self.state.pending_columns.rules(replace(self.state.config))  # another object

    def end(self, n: int) -> None:
        """So many of the jobs that run are over."""
        running = sorted(self.state.running_columns.jobs())
        for id in self.chance.sample(running, min(n, len(running))):
            self.over(id)

    def over(self, id: JobId) -> None:
        """The job's agent says that nothing of it is left."""
        active = self.state.jobs[id].phase
        assert isinstance(active, Active)
        self.do(ReportExit(active.placements[0].node, active.attempt, active.granted_at, self.now))

    def passes(self, before: Callable[[], None] = lambda: None) -> tuple[float, int]:
        """Least CPU seconds of a pass over all that waits, and how many would start. before: what happens
        before every one."""
        least, n = float("inf"), 0
        for _ in range(TIMES):
            before()
            self.state.preempting.looks.all_done()  # each of them is the same
            begin = time.process_time()
            n = len(cycle.plan(self.state, self.now).grants)
            least = min(least, time.process_time() - begin)
        return least, n


def tree(chance: Random, n_cpus: int, n_gpus: int, *, limited: bool) -> AccountsDelta:
    """Faculties, groups and users. limited: with quotas and limits; else the tree alone."""
    accounts, users, associations = [], [], []
    share = n_cpus // GROUPS

    def add(key: AssociationKey, **fields: object) -> None:
        limits = Limits(**fields) if limited else Limits()  # type: ignore[arg-type]
        associations.append(Association(key, shares=chance.randrange(1, 20), limits=limits))

    for f in range(FACULTIES):
        accounts.append(Account(f"faculty{f}"))
        add(AssociationKey(f"faculty{f}"), quota=parse_tres(f"cpu={n_cpus // FACULTIES}"))
    for g in range(GROUPS):
        accounts.append(Account(f"group{g}", f"faculty{g % FACULTIES}"))
        add(
            AssociationKey(f"group{g}"),
            quota=parse_tres(f"cpu={share}"),
            borrow=parse_tres(f"cpu={share}"),
            grp_tres=parse_tres(f"gres/gpu={max(2 * n_gpus // GROUPS, 1)},mem={share * 8}G"),
            grp_tres_run_mins=parse_tres(f"cpu={share * 1440}"),
            grp_tres_mins=parse_tres(f"cpu={share * 60 * 24 * 30}"),
            max_wall_s=86_400,
        )
    for u in range(USERS):
        users.append(User(f"user{u}", f"group{u % GROUPS}"))
        key = AssociationKey(f"group{u % GROUPS}", f"user{u}")
        add(key, max_jobs=chance.choice([None, 20, 50]), max_submit=chance.choice([None, 5_000]))
    of_qos = QosLimits(max_tres_pu=parse_tres(f"cpu={n_cpus // 100}"), max_jobs_pa=400)
    normal = Qos("normal", limits=of_qos) if limited else Qos("normal")
    qos = (normal, Qos("high", priority=10, preempts=("normal",)))
    return AccountsDelta(tuple(accounts), tuple(users), tuple(associations), qos)


def measure(site: Site) -> list[Figure]:
    """A pass when nothing has changed, when room has become free, and when ten jobs have come."""
    running, waiting = len(site.state.running_columns), len(site.state.pending_columns)
    figures = [Figure(f"empty cluster, {site.first[1]} start", site.first[0], "s")]
    seconds, _ = site.passes()
    figures.append(Figure(f"nothing changed, {running} run, {waiting} wait", seconds, "s", FULL_S))
    seconds, _ = site.passes(site.later)
    figures.append(
        Figure("fair shares and priorities recomputed, all rows ordered anew", seconds, "s", FULL_S)
    )
    site.end(running // 10)
    seconds, n = site.passes()
    figures.append(Figure(f"a tenth of what ran is over, {n} start", seconds, "s", FULL_S))
    victims = site.settle()
    times, started = list[float](), 0
    for _ in range(TIMES_FEW):
        site.submit(10)
        site.now = Instant(site.now + US)
        begin = time.process_time()
        plan = cycle.plan(site.state, site.now)
        times.append(time.process_time() - begin)
        started += len(plan.grants)
        victims += len(plan.evictions)
        site.do(RunCycle())
    what = f"10 jobs came, {started} start in {TIMES_FEW} passes"
    figures.append(Figure(what, min(times) * 1e3, "ms", FEW_MS))
    figures.append(Figure(f"the same, the middle one; {victims} made room in all", median(times) * 1e3, "ms"))
    return figures


def main(words: Sequence[str] | None = None) -> int:
    """Prints the table, writes the file. 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="policy_pass", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=2_000)
    parser.add_argument("--pending", type=int, default=10_000)
    parser.add_argument("--order", default="multifactor")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", choices=[title for title, *_ in CASES], help="this one only")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(words)
    figures: list[Figure] = []
    for title, limited, preempt in CASES:
        if args.case not in (None, title):
            continue
        site = Site(args.nodes, args.pending, args.seed, args.order, limited=limited, preempt=preempt)
        figures += [one._replace(what=f"{title}: {one.what}") for one in measure(site)]
        if limited:
            reasons = site.state.pending_columns.reason_counts()
            print("waiting for: " + ", ".join(f"{reason.value} {n}" for reason, n in reasons.items()))
    print(
        f"{args.nodes} nodes, {args.pending} pending jobs, {USERS} users, order {args.order}, "
        f"seed {args.seed}"
    )
    for f in figures:
        bar = f"{f.bar:>6g}" if f.bar is not None else ""
        print(f"{f.what:<64}{f.value:>10.4g} {f.unit:<3}{bar}  {f.reaches}")
    if args.json is not None:
        found = [f._asdict() | {"reaches": f.reaches} for f in figures]
        about = {"order": args.order, "seed": args.seed, "python": platform.python_version()}
        args.json.write_text(json.dumps({**about, "figures": found}, indent=1) + "\n")
    return 1 if any(f.reaches == "no" for f in figures) else 0


if __name__ == "__main__":
    sys.exit(main())

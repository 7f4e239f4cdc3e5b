"""Watches every event and says when a start broke a limit, a budget or a quota: by itself, from events alone.

It shares no code with what decides (core/accounts): it keeps its own lists of who runs, adds them up its own
way, and reads limits straight from the book. From time to time all sums are made anew from the list of what
runs.

Only starts and submissions are judged. A limit that was lowered may be passed by what ran before; what is
judged is that nothing is started under it then. Budgets are judged without decay (half life 0).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.accounts import AssociationKey, Limits, Qos, QosLimits
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.job import Active, ArrayJob, Ended, Job, JobSpec, Owner
from packhorse.scheduler.model.resources import Placement

_RECOUNT: Final = 5_000
"""Events after which everything is added up from nothing."""

_MINUTE: Final = 60

Amounts = dict[str, int]


class LimitBroken(PackhorseError):
    """A start or a submission that should not have been."""


class _Run(NamedTuple):
    """A job that runs. each: what it has on each node. factor: what a second costs, in thousandths. charged:
    what time costs it since then. left_us: how long it may still run, once it goes on; -1 while it does."""

    where: tuple[tuple[str, ...], ...]
    amounts: Amounts
    each: list[Amounts]
    since: Instant
    end_by: Instant
    factor: int
    charged: Amounts
    left_us: int = -1


class Referee:
    """See the module. n_starts, n_judged: starts seen, and limits that were looked at for them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.running: dict[JobId, _Run] = {}
        self.n_starts = self.n_judged = self.n_recounts = 0
        self._held: dict[tuple[str, ...], Counter[str]] = {}
        self._unfinished: Counter[tuple[str, ...]] = Counter()
        self._spent: dict[tuple[str, ...], Counter[str]] = {}
        """Amounts times microseconds times thousandths."""
        self._n = 0

    def before(self, event: ev.Event) -> None:
        """The event is about to change the state."""
        self._n += 1
        match event:
            case ev.JobGranted():
                self._granted(self.state.jobs[event.job], event)
            case ev.AttemptStarted() if event.job in self.running:
                self.running[event.job] = self.running[event.job]._replace(end_by=event.end_by)
            case ev.JobEnded() | ev.JobRequeued() if event.job in self.running:
                self._released(event.job, event.at)
            case ev.JobSuspended() if event.job in self.running:
                self._bank(event.job, event.at)
                run = self.running[event.job]
                rest = {name: n for name, n in run.amounts.items() if name not in ("cpu", "wall", "billing")}
                billing = self._billing(self.state.jobs[event.job].spec.partition, rest)
                charged = {**rest, "billing": billing} if billing else rest
                left_us = run.end_by - event.at if run.end_by else 0
                self.running[event.job] = run._replace(charged=charged, left_us=left_us)
            case ev.JobResumed() if event.job in self.running:
                self._bank(event.job, event.at)
                run = self.running[event.job]
                self.running[event.job] = run._replace(charged=run.amounts, end_by=event.end_by, left_us=-1)
            case ev.JobUpdated():
                self._updated(event)
            case ev.JobsSubmitted():
                for number, spec in enumerate(event.specs):
                    n = sum(1 for item in event.items if item.spec == number)
                    self._submitted(spec, event.owner, n)
            case ev.ArraySubmitted():
                n = sum(len(range(r.start, r.stop + 1, r.step)) for r in event.array.ranges)
                self._submitted(event.spec, event.owner, n)
        match event:
            case ev.JobEnded():
                job = self.state.jobs[event.job]
                self._count(job.spec, job.owner, -1)
            case ev.JobReopened():
                job = self.state.jobs[event.job]
                self._count(job.spec, job.owner, 1)
            case ev.ArrayRemainderCancelled():
                array = self.state.arrays[event.array]
                n = sum(len(range(r.start, r.stop + 1, r.step)) for r in event.ranges)
                self._count(array.spec, array.owner, -n)
        if self._n % _RECOUNT == 0:
            self.recount()

    def recount(self) -> None:
        """What is added up is what the state has: who runs, with what, and who is not over."""
        self.n_recounts += 1
        active = {id for id, job in self.state.jobs.items() if isinstance(job.phase, Active)}
        held: dict[tuple[str, ...], Counter[str]] = {}
        if len(active ^ self.running.keys()) > 1:  # the event that comes now may be a start or an end
            raise LimitBroken(f"{len(active)} jobs run, {len(self.running)} were seen to start")
        for run in self.running.values():
            for place in run.where:
                held.setdefault(place, Counter()).update({**run.amounts, "": 1})
        kept = {place: sums for place, sums in self._held.items() if any(sums.values())}
        if {p: +c for p, c in held.items()} != {p: +c for p, c in kept.items()}:
            raise LimitBroken("what was added up step by step is not what runs")

    # -- what happens ------------------------------------------------------------------------------------

    def _granted(self, job: Job, event: ev.JobGranted) -> None:
        spec, owner = job.spec, job.owner
        each = [_on_node(placement) for placement in event.placements]
        amounts: Amounts = dict(sum((Counter(one) for one in each), Counter()))
        for part in filter(None, spec.licenses.split(",")):
            name, _, n = part.partition(":")
            amounts[f"license/{name}"] = amounts.get(f"license/{name}", 0) + int(n or 1)
        amounts["billing"] = self._billing(spec.partition, amounts)
        amounts["wall"] = 1
        qos = self.state.accounts.qos.get(spec.qos)
        held = {name: n for name, n in amounts.items() if n}
        run = _Run(
            tuple(self._where(spec, owner)),
            held,
            each,
            event.at,
            event.end_by,
            qos.usage_factor_milli if qos is not None else 1000,
            held,
        )
        self.running[job.id] = run
        for place in run.where:
            self._held.setdefault(place, Counter()).update({**run.amounts, "": 1})
        self.n_starts += 1
        self._judge(job.id, spec, owner, run, event.at)

    def _released(self, id: JobId, at: Instant) -> None:
        self._bank(id, at)
        run = self.running.pop(id)
        for place in run.where:
            self._held[place].subtract({**run.amounts, "": 1})

    def _bank(self, id: JobId, at: Instant) -> None:
        """What it has cost until now is spent."""
        run = self.running[id]
        for place in run.where:
            spent = self._spent.setdefault(place, Counter())
            for name, n in run.charged.items():
                spent[name] += n * (at - run.since) * (1000 if name == "wall" else run.factor)
        self.running[id] = run._replace(since=at)

    def _updated(self, event: ev.JobUpdated) -> None:
        waiter: Job | ArrayJob | None = self.state.jobs.get(event.job) or self.state.arrays.get(event.job)
        assert waiter is not None
        old, new = tuple(self._where(waiter.spec, waiter.owner)), tuple(self._where(event.spec, waiter.owner))
        n = (
            sum(len(range(r.start, r.stop + 1, r.step)) for r in waiter.remaining)
            if isinstance(waiter, ArrayJob)
            else int(not isinstance(waiter.phase, Ended))
        )
        self._unfinished.subtract(dict.fromkeys(old, n))
        self._unfinished.update(dict.fromkeys(new, n))
        if event.job in self.running and isinstance(waiter.phase, Active):
            self._bank(event.job, event.at)
            run = self.running[event.job]
            for place in run.where:
                self._held[place].subtract({**run.amounts, "": 1})
            end_by = event.end_by if event.spec.time_limit_s != waiter.spec.time_limit_s else run.end_by
            if run.left_us >= 0 and end_by:
                run = run._replace(left_us=max(run.left_us + end_by - run.end_by, 0))
            run = self.running[event.job] = run._replace(where=new, end_by=end_by)
            for place in new:
                self._held.setdefault(place, Counter()).update({**run.amounts, "": 1})

    def _submitted(self, spec: JobSpec, owner: Owner, n: int) -> None:
        self._count(spec, owner, n)
        qos_limits = [qos.limits for qos in self._qos(spec)]
        account, user = self._account(spec), owner.user

        def first(*names: str) -> bool:
            return any(getattr(limits, name) is not None for limits in qos_limits for name in names)

        for name, place in (
            ("grp_submit", lambda q: ("qos", q)),
            ("max_submit_pu", lambda q: ("qos", q, "user", user)),
            ("max_submit_pa", lambda q: ("qos", q, "account", spec.account)),
        ):
            for qos in self._qos(spec):
                most = getattr(qos.limits, name)
                if most is not None:
                    self._at_most(self._unfinished[place(qos.name)], most, f"QOS {qos.name} {name}")
                    break
        chain = self._chain(spec, owner)
        for key in chain:
            most = self._limits(key).grp_submit
            if most is not None and not first("grp_submit"):
                self._at_most(self._unfinished["assoc", *key], most, f"{key} grp_submit")
        most = next((m for key in chain if (m := self._limits(key).max_submit) is not None), None)
        if most is not None and not first("max_submit_pu", "max_submit_pa"):
            own = self._own(spec, owner, account)
            self._at_most(self._unfinished["assoc", *own], most, f"{own} max_submit")

    def _count(self, spec: JobSpec, owner: Owner, n: int) -> None:
        for place in self._where(spec, owner):
            self._unfinished[place] += n

    # -- whose it is -------------------------------------------------------------------------------------

    def _account(self, spec: JobSpec) -> str | None:
        return spec.account if spec.account in self.state.accounts.accounts else None

    def _chain(self, spec: JobSpec, owner: Owner) -> list[AssociationKey]:
        """Associations from the user's up."""
        book, account = self.state.accounts, self._account(spec)
        if account is None:
            return [AssociationKey("root")]
        users = [AssociationKey(account, owner.user, part) for part in (spec.partition, "")]
        found = [key for key in users if key in book.associations][:1]
        at: str = account
        while at:
            found.append(AssociationKey(at))
            at = book.accounts[at].parent
        return found

    def _own(self, spec: JobSpec, owner: Owner, account: str | None) -> AssociationKey:
        first = self._chain(spec, owner)[0]
        return first if first.user else AssociationKey(spec.account, owner.user)

    def _limits(self, key: AssociationKey) -> Limits:
        return self.state.accounts.associations[key].limits

    def _qos(self, spec: JobSpec) -> list[Qos]:
        book = self.state.accounts.qos
        of_partition = next((p.qos for p in self.state.config.partitions if p.name == spec.partition), "")
        names = [of_partition, spec.qos]
        if spec.qos in book and "OverPartQOS" in book[spec.qos].flags:
            names.reverse()
        return [book[name] for name in dict.fromkeys(names) if name in book]

    def _where(self, spec: JobSpec, owner: Owner) -> Iterator[tuple[str, ...]]:
        """Every sum that the job is part of."""
        keys = dict.fromkeys((self._own(spec, owner, self._account(spec)), *self._chain(spec, owner)))
        for key in keys:
            yield ("assoc", *key)
        for qos in self._qos(spec):
            yield ("qos", qos.name)
            yield ("qos", qos.name, "user", owner.user)
            yield ("qos", qos.name, "account", spec.account)

    def _billing(self, partition: str, amounts: Amounts) -> int:
        weights = next((p.billing for p in self.state.config.partitions if p.name == partition), ())
        total = 0.0
        for name, weight in weights or (("cpu", 1.0),):
            n = amounts.get(name, 0)
            scale = 1000 if name == "cpu" or name.startswith("gres/") else 1024 if name == "mem" else 1
            total += weight * n / scale
        return -(-round(total * 1000) // 1000)

    # -- judging -----------------------------------------------------------------------------------------

    def _judge(self, id: JobId, spec: JobSpec, owner: Owner, run: _Run, now: Instant) -> None:
        qos = self._qos(spec)
        chain = self._chain(spec, owner)
        own = self._own(spec, owner, self._account(spec))
        self._judge_numbers(id, spec, owner, qos, chain, own)
        for name in run.amounts:
            self._judge_together(id, spec, owner, name, qos, chain, run, now)
            self._judge_alone(id, spec, name, qos, chain, run)
            for key in chain:
                self._judge_quota(id, key, name)

    def _judge_numbers(
        self,
        id: JobId,
        spec: JobSpec,
        owner: Owner,
        qos: list[Qos],
        chain: list[AssociationKey],
        own: AssociationKey,
    ) -> None:
        def of_qos(name: str, *more: str) -> bool:
            for one in qos:
                most = getattr(one.limits, name)
                if most is not None:
                    self._at_most(
                        self._sum(("qos", one.name, *more), ""), most, f"job {id}: {one.name} {name}"
                    )
                    return True
            return False

        if not of_qos("grp_jobs"):
            for key in chain:
                most = self._limits(key).grp_jobs
                if most is not None:
                    self._at_most(self._sum(("assoc", *key), ""), most, f"job {id}: {key} grp_jobs")
        per_user = of_qos("max_jobs_pu", "user", owner.user)
        per_account = of_qos("max_jobs_pa", "account", spec.account)
        if not (per_user or per_account):
            found = [m for key in chain if (m := self._limits(key).max_jobs) is not None]
            if found:
                self._at_most(self._sum(("assoc", *own), ""), found[0], f"job {id}: {own} max_jobs")

    def _judge_together(
        self,
        id: JobId,
        spec: JobSpec,
        owner: Owner,
        name: str,
        qos: list[Qos],
        chain: list[AssociationKey],
        run: _Run,
        now: Instant,
    ) -> None:
        def measure(kind: str, place: tuple[str, ...]) -> float:
            if kind == "grp_tres":
                return self._sum(place, name)
            left = self._left(place, name, now, weighed=kind != "grp_tres_run_mins")
            if kind == "grp_tres_run_mins":
                return left / (US * _MINUTE)
            return (left + self._used(place, name, now)) / (1000 * US * _MINUTE)

        for kind in ("grp_tres", "grp_tres_run_mins", "grp_tres_mins"):
            if name == "wall" and kind != "grp_tres_mins":
                continue
            set_by_qos = False
            for one in qos:
                most = _limit(one.limits, kind, name)
                if most is not None:
                    self._at_most(
                        measure(kind, ("qos", one.name)), most, f"job {id}: {one.name} {kind} {name}"
                    )
                    set_by_qos = True
                    break
            for key in chain if not set_by_qos else ():
                most = _limit(self._limits(key), kind, name)
                if most is not None:
                    self._at_most(measure(kind, ("assoc", *key)), most, f"job {id}: {key} {kind} {name}")
        for kind, more in (("max_tres_pu", ("user", owner.user)), ("max_tres_pa", ("account", spec.account))):
            for one in qos:
                most = dict(getattr(one.limits, kind)).get(name)
                if most is not None:
                    held = self._sum(("qos", one.name, *more), name)
                    self._at_most(held, most, f"job {id}: {one.name} {kind} {name}")
                    break

    def _judge_alone(
        self, id: JobId, spec: JobSpec, name: str, qos: list[Qos], chain: list[AssociationKey], run: _Run
    ) -> None:
        everything: list[Limits | QosLimits] = [one.limits for one in qos]
        everything += [self._limits(key) for key in chain]
        seconds = spec.time_limit_s or float("inf")
        for kind, value in (
            ("max_tres", run.amounts[name]),
            ("max_tres_per_node", max((one.get(name, 0) for one in run.each), default=0)),
            ("max_tres_mins", run.amounts[name] * seconds / _MINUTE),
        ):
            if name in ("node", "billing") and kind == "max_tres_per_node":
                continue
            most = next((m for one in everything if (m := _limit(one, kind, name)) is not None), None)
            if most is not None:
                self._at_most(value, most, f"job {id}: {kind} {name}")
        for one in qos:
            least = dict(one.limits.min_tres)
            if least and run.amounts.get(name, 0) < least.get(name, 0):
                raise LimitBroken(f"job {id}: {run.amounts} is less than {least} ({one.name})")

    def _judge_quota(self, id: JobId, key: AssociationKey, name: str) -> None:
        limits = self._limits(key)
        sure = dict(limits.quota).get(name)
        if sure is None:
            return
        if limits.borrow is not None:
            most = sure + dict(limits.borrow).get(name, 0)
            self._at_most(self._sum(("assoc", *key), name), most, f"job {id}: {key} quota and borrow {name}")
        book = self.state.accounts
        siblings = [
            other
            for other, one in book.associations.items()
            if bool(other.user) == bool(key.user)
            and book.parent(other) == book.parent(key)
            and name in dict(one.limits.quota)
        ]
        together = sum(dict(self._limits(other).quota)[name] for other in siblings)
        held = sum(self._sum(("assoc", *other), name) for other in siblings)
        self._at_most(held, together, f"job {id}: siblings of {key} together, {name}")

    def _sum(self, place: tuple[str, ...], name: str) -> int:
        return self._held.get(place, Counter())[name]

    def _left(self, place: tuple[str, ...], name: str, now: Instant, *, weighed: bool) -> float:
        """Amounts times microseconds that what runs may still take, times thousandths if weighed."""
        total = 0
        for run in self.running.values():
            if place in run.where and name in run.amounts:
                if not run.end_by:
                    return float("inf")
                left = max(run.end_by - now, 0) if run.left_us < 0 else run.left_us
                factor = (1000 if name == "wall" else run.factor) if weighed else 1
                total += run.amounts[name] * left * factor
        return total

    def _used(self, place: tuple[str, ...], name: str, now: Instant) -> int:
        running = sum(
            run.charged[name] * (now - run.since) * (1000 if name == "wall" else run.factor)
            for run in self.running.values()
            if place in run.where and name in run.charged
        )
        return self._spent.get(place, Counter())[name] + running

    def _at_most(self, value: float, most: float, what: str) -> None:
        self.n_judged += 1
        if value > most:
            raise LimitBroken(f"{what}: {value}, at most {most}")


def _limit(limits: Limits | QosLimits, kind: str, name: str) -> float | None:
    """What the limit of this kind is for the resource; time is a resource too, counted in minutes."""
    if name != "wall":
        return dict(getattr(limits, kind)).get(name)
    seconds = {"grp_tres_mins": limits.grp_wall_s, "max_tres_mins": limits.max_wall_s}.get(kind)
    return seconds / _MINUTE if seconds is not None else None


def _on_node(placement: Placement) -> Amounts:
    found = Counter({"cpu": placement.cpu_milli, "mem": placement.mem_mib, "node": 1})
    for held in placement.devices:
        names: Iterable[str] = (f"gres/{held.kind}", f"gres/{held.kind}:{held.type}")
        for name in names if held.type else (f"gres/{held.kind}",):
            found[name] += held.milli * len(held.indices)
    return {name: n for name, n in found.items() if n}

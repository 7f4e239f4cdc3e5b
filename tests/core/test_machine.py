"""The core under everything at once: users, agents, broken wires, dying nodes, time, restarts.

After every step the invariants hold and no job runs twice at the same time. At the end the log alone, and
snapshot plus tail, give the same state; the recorded inputs give the same events byte for byte; and once
everything is repaired, everything that may run comes to an end.

`PACKHORSE_MACHINE=long` runs some hundred times as much.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import structs

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reclaim.ledger import loan_row, loan_rows
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import Frozen, State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.core.when import note
from packhorse.scheduler.core.why.answer import why
from packhorse.scheduler.core.why.snapshot import taken
from packhorse.scheduler.model.account_settings import Thing
from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.model.accounts import AccountsDelta
from packhorse.scheduler.model.accounts_change import AccountChange, Verb
from packhorse.scheduler.model.cluster import Batch, ClusterConfig, GpuIdle, GpuIdleAction, Reclaim
from packhorse.scheduler.model.event import AccountsChanged, Event, JobEnding
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    ChangeAccounts,
    Input,
    NoteEstimates,
    Reconfigure,
    ReportGpus,
    ReportOffer,
    ReportUsage,
    Start,
    SubmitArray,
    SwitchReclaim,
)
from packhorse.scheduler.model.job import OOM_SIGNAL, Active, Dependency, Ended, Gang, Retry, WarnSignal
from packhorse.scheduler.model.loan import LoanEnd, Switch
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.model.resources import Gres
from packhorse.simulator.limits_referee import Referee
from tests.core.account_wishes import account, coordinator, member, qos, user
from tests.core.scenario import ADMIN, OTHER, USER, Cluster, a_config, a_node, a_spec, after, an_array
from tests.core.world import Agent, Truth

EVENT_DECODER = msgspec.msgpack.Decoder(Event)
ENCODER = msgspec.msgpack.Encoder()

NODES = ("n1", "n2", "n3")
GPUS = {"n1": 2, "n3": 1}
CUTS = (("1g.10gb", "1g.10gb"), ("3g.40gb", "1g.10gb"))
WISHES = (
    (),
    (),
    (),
    (Gres("gpu", "", 1),),
    (Gres("gpu", "", 1, 250),),
    (Gres("gpu", "", 1, 600),),
    (Gres("gpu", "1g.10gb", 1),),
    (Gres("gpu", "3g.40gb", 1),),
)
"""Nothing, a whole GPU, shares, slices."""
CALLERS = st.sampled_from([Caller(USER), Caller(USER), Caller(OTHER), ADMIN])
KINDS = ("after", "afterany", "afterok", "afternotok", "aftercorr")
WAITS = st.none() | st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 12), max_size=2), st.booleans())


LENDING = Reclaim(
    enabled=True, settle_s=20, share=90, margin_mib=100, floor_percent=10, grace_s=5, stoppable_qos=("idle",)
)
IDLE = GpuIdle(True, warn_after_s=5, grace_s=20, action=GpuIdleAction.REQUEUE)

LAWS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"order": "sjf", "backfill": "sjbf", "predictor": "last2"},
    {"order": "wfp3", "backfill_depth": 3, "predictor": "like", "keep_next": True},
    {"order": "saf", "backfill": "before", "predictor": "last2", "keep_next": True},
    {"order": "f1", "backfill": "textbook-sjbf", "backfill_depth": 0},
    {"order": "unicep", "backfill": "none"},
    {"order": "srtf", "preempt": "order"},
    {"order": "las2d", "preempt": "order"},
    {"order": "fairshare"},
    {"order": "drf", "predictor": "last2"},
    {"order": "packhorse", "batch": Batch(ageing_s=600, guard=3.0)},
    {"order": "packhorse", "batch": Batch(ageing_s=60, reserve=0.5, wide=0.7, guard=2.0)},
    {"order": "packhorse", "batch": Batch(ageing_s=60, idle=0.0, reserve=0.5, wide=0.3), "predictor": "like"},
    {"gpu_idle": GpuIdle(True, warn_after_s=5, grace_s=0, action=GpuIdleAction.CANCEL)},
)
"""Who goes first, as an administrator may set it."""

LENDING_LAWS: tuple[dict[str, Any], ...] = (
    {"reclaim": LENDING},
    {"reclaim": structs.replace(LENDING, estimator="borg"), "backfill_depth": 3},
    {"reclaim": LENDING, "order": "sjf", "backfill": "sjbf"},
)

NEW_RULES: tuple[dict[str, Any], ...] = (
    {"enabled": False},
    {"stoppable_qos": ()},
    {"stoppable_qos": ("idle", "spare")},
    {"exempt_accounts": ("bio",)},
    {"no_borrow": ("main",)},
    {"share": 30},
    {"max_lent_mib": 2_000},
    {"estimator": "window", "settle_s": 60},
)
DELETE, MODIFY, SET = Verb.DELETE, Verb.MODIFY, Verb.SET
ACCOUNT_WISHES: tuple[tuple[AccountChange, ...], ...] = (
    (account("bio"), user("mule"), member("mule", "bio"), user("mule", MODIFY, default_account="bio")),
    (account("chem", parent="bio", shares=3), user("donkey"), member("donkey", "chem", partition="main")),
    (account("chem", MODIFY, parent="root"), account("bio", MODIFY, parent="chem")),
    (account("bio", MODIFY, parent="chem"),),
    (qos("long", priority=5, preempts="normal"), account("bio", MODIFY, qos="normal,long")),
    (account("bio", MODIFY, qos="", shares=7), qos("long", DELETE)),
    (coordinator("mule", "bio"),),
    (member("mule", "chem"), user("mule", MODIFY, default_account="chem")),
    (member("mule", "bio", DELETE),),
    (user("mule", DELETE),),
    (account("chem", DELETE),),
    (user("mule", MODIFY, default_account=""), account("bio", DELETE)),
    (account("bio", SET), user("mule", SET), AccountChange(Verb.PRUNE, Thing.ACCOUNT)),
    (AccountChange(Verb.RESET, Thing.ASSOCIATION, account="bio"),),
)
"""What people want of the book of accounts; much of it cannot be, as things are."""
NEW_TERMS: tuple[dict[str, Any], ...] = ({"no_lend": True}, {"account": "bio"}, {"time_limit_s": 30})


class Recorded(Cluster):
    """A cluster that keeps its inputs, to be fed to another one."""

    def __init__(self, **law: Any) -> None:
        self.inputs: list[tuple[Instant, Input | AccountsChanged]] = []
        self.loans: list[LoanRow] = []
        self.referee = Referee(State.empty())
        super().__init__(
            a_config(
                min_job_age_s=200,
                max_requeues=3,
                allow_root_jobs=True,
                key_retention_s=50,
                licenses=(("matlab", 2),),
                **{"gpu_idle": IDLE, **law},
            )
        )

    def do(self, input: Input):  # type: ignore[no-untyped-def]
        self.inputs.append((self.clock.now, input))
        return super().do(input)

    def before(self, event: Event) -> None:
        """Only those are stopped for memory who have lent memory, and no start breaks a limit."""
        self.referee.state = self.state
        self.referee.before(event)
        self.loans += loan_rows(self.state, event)
        if isinstance(event, JobEnding) and event.why and not event.mode:
            job = self.state.jobs[event.job]
            assert isinstance(job.phase, Active) and job.phase.loans and job.spec.qos == "idle"
            assert job.phase.ending is None, "it is stopped twice"

    def change_accounts(self, delta: AccountsDelta) -> None:
        """The book of accounts is another one from now on."""
        event = AccountsChanged(self.clock.now, delta, 0)
        self.inputs.append((self.clock.now, event))
        self.before(event)
        apply(self.state, event)
        self.log.append(event)
        check(self.state)

    def lent_mib(self) -> int:
        """What is lent to anybody now."""
        jobs = self.state.jobs.values()
        return sum(p.lent_mib for job in jobs if isinstance(job.phase, Active) for p in job.phase.placements)


class ClusterMachine(RuleBasedStateMachine):
    """See the module."""

    @initialize(law=st.sampled_from(LAWS), n_wishes=st.integers(0, 2))
    def boot(self, law: dict[str, Any], n_wishes: int) -> None:
        """n_wishes: so many of the first ones have been fulfilled."""
        self.begin(law)
        for wish in ACCOUNT_WISHES[:n_wishes]:
            assert self.cluster.do(ChangeAccounts(ADMIN, wish)).events

    def begin(self, law: dict[str, Any]) -> None:
        """Three nodes whose agents are connected."""
        self.cluster = self.made(law)
        self.lends = "reclaim" in law
        self.lent_mib_us = 0
        self.truth = Truth()
        self.agents = {
            NodeName(name): Agent(
                a_node(name, cpus=4, gpus=GPUS.get(name, 0), layouts=CUTS if name == "n3" else ()), self.truth
            )
            for name in NODES
        }
        self.frozen: tuple[int, Frozen] = (0, State.empty().freeze())
        self.moved = 0
        for agent in self.agents.values():
            agent.connect()
            self.deliver_all(agent)

    def made(self, law: dict[str, Any]) -> Recorded:
        """A new cluster under this law."""
        return Recorded(**law)

    # -- people ------------------------------------------------------------------------------------------

    @rule(
        count=st.integers(1, 4),
        cpus=st.sampled_from([1, 1, 2, 4]),
        nodes=st.integers(1, 2),
        gpus=st.sampled_from(WISHES),
        name=st.sampled_from(["a", "b"]),
        what=st.fixed_dictionaries(
            {},
            optional={
                "hold": st.just(True),
                "requeue": st.just(False),
                "time_limit_s": st.sampled_from([5, 30, 100]),
                "lease_s": st.just(20),
                "retry": st.builds(Retry, st.integers(0, 2), st.sampled_from([1, 40])),
                "warn": st.just(WarnSignal(10, 20)),
                "kill_on_invalid_dep": st.just(True),
                "licenses": st.sampled_from(["matlab", "matlab:2"]),
                "no_lend": st.just(True),
                "idle_gpu_ok": st.just(True),
                "account": st.sampled_from(["bio", "chem"]),
            },
        ),
        mem_mib=st.sampled_from([0, 0, 4_000, 9_000, 16_000]),
        stoppable=st.booleans(),
        begin=st.sampled_from([0, 0, 25]),
        wait=WAITS,
        memory=st.sampled_from([(0, 0, 0), (0, 0, 0), (1_000, 0, 0), (1_000, 2_000, 0), (9_000, 1_500, 2)]),
        key=st.sampled_from(["", "", "k1", "k2"]),
    )  # fmt: skip
    def submit(
        self,
        *,
        count: int,
        cpus: int,
        nodes: int,
        gpus: tuple[Gres, ...],
        name: str,
        what: dict[str, Any],
        mem_mib: int,
        stoppable: bool,
        begin: int,
        wait: tuple[str, list[int], bool] | None,
        memory: tuple[int, int, int],
        key: str,
    ) -> None:
        if self.lends:
            what = {**what, "qos": "idle" if stoppable else "normal"}
        begin_at = Instant(self.now + begin * US) if begin else Instant(0)
        spec = a_spec(
            cpus=cpus,
            nodes=nodes,
            gres_per_node=gpus if nodes == 1 else (),
            name=name,
            begin_at=begin_at,
            dependency=self.dependency(wait),
            mem_mib=memory[0] or (mem_mib if self.lends else 0),
            oom_factor_milli=memory[1],
            oom_max_retries=memory[2],
            **what,
        )
        caller = Caller(USER, key=key, fingerprint=f"{count} {spec}")
        self.cluster.try_submit(count=count, caller=caller, spec=spec)

    @rule(
        count=st.integers(1, 3),
        cpus=st.sampled_from([1, 2, 3]),
        gang=st.sampled_from([Gang("g", 2), Gang("g", 3), Gang("h", 3, 60), Gang("h", 2, 60)]),
        limit_s=st.sampled_from([0, 30, 100]),
        licensed=st.booleans(),
        hold=st.sampled_from([False, False, True]),
        begin=st.sampled_from([0, 0, 25]),
        wait=WAITS,
    )
    def submit_members(
        self,
        *,
        count: int,
        cpus: int,
        gang: Gang,
        limit_s: int,
        licensed: bool,
        hold: bool,
        begin: int,
        wait: tuple[str, list[int], bool] | None,
    ) -> None:
        """Jobs that start together with others, or are refused. All members fit into the empty cluster."""
        spec = a_spec(
            cpus=cpus,
            gang=gang,
            time_limit_s=limit_s,
            licenses="matlab" if licensed and gang.size == 2 else "",
            hold=hold,
            begin_at=Instant(self.now + begin * US) if begin else Instant(0),
            dependency=self.dependency(wait),
        )
        self.cluster.try_submit(count=count, spec=spec)

    @rule(
        array=st.sampled_from(["0-9%2", "1-20:3", "0-4", "5"]),
        kind=st.sampled_from(["", "", *KINDS]),
        other=st.integers(1, 20),
        requeue=st.booleans(),
        hold=st.booleans(),
        kill=st.booleans(),
        licenses=st.sampled_from(["", "", "matlab"]),
        mem_mib=st.sampled_from([0, 0, 3_000]),
    )
    def submit_array(
        self,
        *,
        array: str,
        kind: str,
        other: int,
        requeue: bool,
        hold: bool,
        kill: bool,
        licenses: str,
        mem_mib: int,
    ) -> None:
        dependency = after(kind, other) if kind else None
        spec = a_spec(
            name="a",
            qos="idle" if self.lends and mem_mib else "normal",
            requeue=requeue,
            hold=hold,
            dependency=dependency,
            kill_on_invalid_dep=kill,
            licenses=licenses,
            mem_mib=mem_mib,
            oom_factor_milli=2_000 if mem_mib else 0,
        )
        self.cluster.do(SubmitArray(Caller(USER), spec, an_array(array)))

    @rule(
        a=st.integers(1, 40), b=st.integers(1, 40), signal=st.sampled_from([0, 0, 0, 9, 10]), caller=CALLERS
    )
    def cancel(self, a: int, b: int, signal: int, caller: Caller) -> None:
        self.cluster.cancel(self.ref(a), self.ref(b), signal=signal, caller=caller)

    @rule(a=st.integers(1, 40), caller=CALLERS, as_user=st.booleans())
    def hold(self, a: int, caller: Caller, as_user: bool) -> None:
        self.cluster.hold(self.ref(a), caller=caller, as_user=as_user)

    @rule(a=st.integers(1, 40), caller=CALLERS)
    def release(self, a: int, caller: Caller) -> None:
        self.cluster.release(self.ref(a), caller=caller)

    @rule(a=st.integers(1, 40), hold=st.booleans(), caller=CALLERS)
    def requeue(self, a: int, hold: bool, caller: Caller) -> None:
        self.cluster.requeue(self.ref(a), hold=hold, caller=caller)

    @rule(a=st.integers(1, 40), b=st.integers(1, 40))
    def suspend(self, a: int, b: int) -> None:
        self.cluster.suspend(self.ref(a), self.ref(b))

    @rule(a=st.integers(1, 40), b=st.integers(1, 40))
    def let_go_on(self, a: int, b: int) -> None:
        self.cluster.go_on(self.ref(a), self.ref(b))

    @rule(
        a=st.integers(1, 40),
        caller=CALLERS,
        changes=st.one_of(
            st.fixed_dictionaries({"time_limit_s": st.sampled_from([0, 3, 60])}),
            st.fixed_dictionaries({"name": st.sampled_from(["a", "b"]), "nice": st.just(3)}),
            st.fixed_dictionaries({"array_limit": st.integers(0, 3)}),
            st.fixed_dictionaries({"n_cpus": st.integers(1, 4), "requeue": st.booleans()}),
            st.just({"drop_dependency": True}),
            st.fixed_dictionaries({"no_lend": st.booleans()}),
            st.fixed_dictionaries({"other": st.integers(1, 20), "kind": st.sampled_from(KINDS)}),
        ),
    )
    def update(self, a: int, caller: Caller, changes: dict[str, object]) -> None:
        if "other" in changes:
            changes = {"dependency": after(str(changes["kind"]), int(str(changes["other"])))}
        self.cluster.update(self.ref(a), caller=caller, **changes)

    # -- the scheduler -----------------------------------------------------------------------------------

    @rule()
    def cycle(self) -> None:
        self.cluster.run_cycle()

    @rule(late=st.booleans())
    def estimate(self, *, late: bool) -> None:
        """Who is due is told when it will start; late: a pass comes in between."""
        state, now = self.cluster.state, self.cluster.clock.now
        told = NoteEstimates(tuple(note.estimates(state, now, 0, note.due(state, now))))
        if late:
            self.cluster.run_cycle()
        self.cluster.do(told)
        assert not note.due(state, now) & {e.job for e in told.estimates if not late}

    @rule(end=st.sampled_from(["", "", "ok", "failed", "oom"]), idle_s=st.sampled_from([0, 0, 10, 100]))
    def all_goes_well(self, end: str, idle_s: int = 0) -> None:
        """A cycle, and all that follows from it, without delay. idle_s: so long no GPU did anything."""
        self.cluster.run_cycle()
        self.send()
        for agent in self.agents.values():
            self.deliver_all(agent)
            while agent.inbox:
                agent.obey(agent.inbox.pop(0), self.now, refuse=False)
            for key in [key for key in agent.launching if key not in agent.stopping]:
                agent.begin(key, self.now)
            self.deliver_all(agent)
            for key in list(agent.running) if idle_s else ():
                self.cluster.do(ReportGpus(key, Instant(self.now - idle_s * US)))
            for key in list(agent.running)[:2] if end else ():
                if end == "oom":
                    agent.end(key, self.now, signal=9, cause="oom")
                else:
                    agent.end(key, self.now, code=0 if end == "ok" else 2)
            self.deliver_all(agent)

    @rule(
        n=st.integers(1, 3),
        cpus=st.sampled_from([1, 2, 4]),
        limit=st.sampled_from([0, 30]),
        seconds=st.sampled_from([1, 20, 60]),
        end=st.sampled_from(["", "", "failed", "oom"]),
        back=st.booleans(),
    )
    def some_are_suspended(
        self, *, n: int, cpus: int, limit: int, seconds: int, end: str, back: bool
    ) -> None:
        """One more of those that run, and the first of them; others come to their CPUs, and they go on or
        not."""
        self.cluster.try_submit(cpus=cpus, time_limit_s=limit, mem_mib=1_000)
        self.all_goes_well("")
        running = [id for id, job in self.cluster.state.jobs.items() if job.state == "RUNNING"][-n:]
        if not running:
            return
        self.cluster.suspend(*running)
        self.cluster.try_submit(cpus=4)
        self.time_passes(seconds)
        self.all_goes_well(end)
        if back:
            self.cluster.go_on(*running)
            self.all_goes_well("")

    @rule(
        mem_mib=st.sampled_from([500, 6_000]),
        factor=st.sampled_from([1_500, 4_000]),
        most=st.integers(0, 2),
        gpus=st.sampled_from([0, 1]),
        ends=st.lists(st.sampled_from(["oom", "oom", "failed", ""]), min_size=1, max_size=4),
        idle_s=st.sampled_from([0, 10, 100]),
    )
    def jobs_outgrow_their_memory(
        self, *, mem_mib: int, factor: int, most: int, gpus: int, ends: list[str], idle_s: int
    ) -> None:
        """One more of them, and the first on each node run out of it, once or a few times."""
        spec = a_spec(mem_mib=mem_mib, oom_factor_milli=factor, oom_max_retries=most, gpus=gpus)
        self.cluster.try_submit(spec=spec)
        for end in ends:
            self.all_goes_well(end, idle_s)
            self.time_passes(20)

    @rule(seconds=st.sampled_from([1, 4, 20, 60, 250]))
    def time_passes(self, seconds: int) -> None:
        """In steps, so that nodes stop leased work before the scheduler believes that they did."""
        end = self.now + seconds * US
        while self.now < end:
            at = next_timer(self.cluster.state)
            to = Instant(min(end, max(self.now, at)) if at is not None else end)
            self.lent_mib_us += self.cluster.lent_mib() * (to - self.now)
            self.cluster.clock.now = to
            leases = {id: job.spec.lease_s for id, job in self.cluster.state.jobs.items()}
            for agent in self.agents.values():
                agent.enforce_leases(self.now, leases, 30)
            if at is not None and at <= self.now:
                done = self.cluster.tick()
                assert done.events or done.more, "a timer was due for nothing"

    @rule(
        name=st.sampled_from(NODES),
        tenths=st.lists(st.integers(0, 11), min_size=4, max_size=4),
        free=st.sampled_from([16_000, 16_000, 9_000, 1_700, 900]),
        pressure=st.sampled_from([None, 0, 50, 400]),
        times=st.sampled_from([1, 1, 30]),
    )
    def node_reports_use(
        self, name: NodeName, tenths: list[int], free: int, pressure: int | None, times: int
    ) -> None:
        """Tenths of their limits that attempts use, for some minutes where it is reported often."""
        agent = self.agents[name]
        if not self.lends or not agent.connected:
            return
        for _ in range(times):
            used = []
            for i, key in enumerate((*agent.running, *agent.stopping)):
                job = self.cluster.state.jobs.get(key.job)
                limit = job.spec.ask.mem_mib_per_node if job is not None else 0
                used.append((key, limit * tenths[i % len(tenths)] // 10))
            self.cluster.do(ReportUsage(name, self.now, free, pressure, tuple(used)))
            self.send()
            if times > 1:
                self.time_passes(60)

    @rule(on=st.booleans(), kind=st.sampled_from(["", "partition", "account"]), recall=st.booleans())
    def lending_is_switched(self, on: bool, kind: str, recall: bool) -> None:
        name = {"partition": "main", "account": "bio"}.get(kind, "")
        self.cluster.do(SwitchReclaim(ADMIN, on, Switch(kind, name, recall)))

    @rule(
        wish=st.sampled_from(ACCOUNT_WISHES),
        caller=st.sampled_from([ADMIN, ADMIN, ADMIN, Caller(USER)]),
        key=st.sampled_from(["", "k3"]),
    )
    def accounts_change(self, wish: tuple[AccountChange, ...], caller: Caller, key: str) -> None:
        """All of it or nothing; a dry run before tells the same. What jobs count under stays."""
        state = self.cluster.state
        dry = self.cluster.do(ChangeAccounts(caller, wish, dry_run=True))
        assert not dry.events and not dry.commands
        under = {
            id: state.accounts.chain(holder_of(job.spec, job.owner))
            for id, job in state.jobs.items()
            if not isinstance(job.phase, Ended)
        }
        caller = structs.replace(caller, key=key, fingerprint=str(wish)) if key else caller
        done = self.cluster.do(ChangeAccounts(caller, wish))
        if done.events:
            assert isinstance(done.events[0], AccountsChanged) and done.reply == dry.reply
        if isinstance(done.reply, Refused):
            assert not done.events and done.reply.message
        left = [id for id, chain in under.items() if chain[0] not in state.accounts.associations]
        assert not left, f"jobs {left} count under an association that is gone"

    @rule()
    def snapshot(self) -> None:
        self.frozen = (len(self.cluster.log), self.cluster.state.freeze())

    @rule(from_snapshot=st.booleans())
    def restart(self, from_snapshot: bool) -> None:
        """The process dies after a commit: commands and streams are gone, the log is not."""
        self.start_again(self.cluster.state.config, from_snapshot)

    def start_again(self, config: ClusterConfig, from_snapshot: bool) -> None:
        """The same, and the next one is started with this configuration."""
        at, frozen = self.frozen if from_snapshot else (0, State.empty().freeze())
        state = load(dump(frozen))
        for event in self.cluster.log[at:]:
            apply(state, EVENT_DECODER.decode(ENCODER.encode(event)))
        assert state == self.cluster.state
        check(state)
        self.cluster.state = state
        for agent in self.agents.values():
            if agent.connected:
                agent.disconnect(self.now, lose_reports=True)
            agent.outbox.clear()
        self.cluster.do(Start(config))

    @rule(law=st.sampled_from(LAWS), licenses=st.integers(0, 2), limit=st.sampled_from([0, 0, 50]))
    def configuration_is_read_again(self, law: dict[str, Any], licenses: int, limit: int) -> None:
        """Another law than it began with, for what runs and waits; nothing of it is stopped."""
        if self.lends and "preempt" in law:
            return
        config = self.cluster.state.config
        plain = a_config(**{"preempt": "none", **law})
        partitions = tuple(structs.replace(p, max_time_s=limit) for p in config.partitions)
        taken = {name: getattr(plain, name) for name in ("order", "backfill", "backfill_depth", "preempt")}
        taken |= {"predictor": plain.predictor, "keep_next": plain.keep_next, "batch": plain.batch}
        new = structs.replace(
            config, **taken, partitions=partitions, licenses=(("matlab", licenses),) if licenses else ()
        )
        before = {id: job.state for id, job in self.cluster.state.jobs.items()}
        self.cluster.do(Reconfigure(ADMIN, new))
        assert {id: job.state for id, job in self.cluster.state.jobs.items()} == before

    # -- wires -------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(NODES), n=st.integers(1, 4), refuse=st.sampled_from([False] * 7 + [True]))
    def commands_arrive(self, name: NodeName, n: int, refuse: bool) -> None:
        agent = self.agents[name]
        for _ in range(min(n, len(agent.inbox))):
            agent.obey(agent.inbox.pop(0), self.now, refuse)

    @rule(name=st.sampled_from(NODES), which=st.integers(0, 3), twice=st.booleans())
    def a_report_arrives(self, name: NodeName, which: int, twice: bool) -> None:
        """Perhaps not the oldest, perhaps twice. An introduction overtakes nothing and comes once."""
        agent = self.agents[name]
        if not agent.outbox:
            return
        position = min(which, len(agent.outbox) - 1)
        if any(type(report).__name__ == "RegisterNode" for report in agent.outbox[: position + 1]):
            position, twice = 0, False
        report = agent.outbox.pop(position)
        self.deliver(report)
        if twice:
            self.deliver(report)

    @rule(name=st.sampled_from(NODES), lose=st.booleans(), noticed=st.booleans())
    def stream_breaks(self, name: NodeName, lose: bool, noticed: bool) -> None:
        agent = self.agents[name]
        if agent.connected:
            agent.disconnect(self.now, lose)
            if noticed:
                self.cluster.silence(name)

    @rule(name=st.sampled_from(NODES))
    def agent_connects(self, name: NodeName) -> None:
        agent = self.agents[name]
        if not agent.connected:
            agent.connect()

    # -- nodes -------------------------------------------------------------------------------------------

    @rule(which=st.integers(0, 20))
    def script_begins(self, which: int) -> None:
        launching = [(a, key) for a in self.agents.values() for key in a.launching if key not in a.stopping]
        if launching:
            agent, key = launching[which % len(launching)]
            agent.begin(key, self.now)

    @rule(
        which=st.integers(0, 20),
        how=st.sampled_from(
            [{}, {}, {"code": 1}, {"signal": 9}, {"signal": 9, "cause": "oom"}, {"lost": True}]
        ),
    )
    def script_ends(self, which: int, how: dict[str, object]) -> None:
        running = [(a, key) for a in self.agents.values() for key in (*a.running, *a.stopping)]
        if running:
            agent, key = running[which % len(running)]
            agent.end(key, self.now, **how)  # type: ignore[arg-type]

    @rule(which=st.integers(0, 20), idle_s=st.sampled_from([0, 5, 30, 100]))
    def gpus_are_measured(self, which: int, idle_s: int) -> None:
        """Idle since so long ago, or busy."""
        running = [key for agent in self.agents.values() for key in (*agent.running, *agent.stopping)]
        if running:
            since = Instant(self.now - idle_s * US) if idle_s else Instant(0)
            self.cluster.do(ReportGpus(running[which % len(running)], since))

    @rule(which=st.integers(0, 20))
    def script_cannot_begin(self, which: int) -> None:
        launching = [(a, key) for a in self.agents.values() for key in a.launching]
        if launching:
            agent, key = launching[which % len(launching)]
            agent.end(key, self.now, code=1, launch_error="no such directory")

    @rule(name=st.sampled_from(NODES), connect=st.booleans())
    def node_reboots(self, name: NodeName, connect: bool) -> None:
        agent = self.agents[name]
        agent.reboot()
        agent.disconnect(self.now, lose_reports=True)
        if connect:
            agent.connect()

    @rule(which=st.integers(0, 20))
    def agent_loses_an_attempt(self, which: int) -> None:
        """Its process is gone without a trace; the agent introduces itself anew.

        Of an attempt that nobody heard of yet the journal remains: else its job would begin once more.
        """
        running = [(a, key) for a in self.agents.values() for key in a.running]
        if running:
            agent, key = running[which % len(running)]
            job = self.cluster.state.jobs.get(key.job)
            heard = job is not None and isinstance(job.phase, Active) and bool(job.phase.started_at)
            agent.forget(key, journal_too=heard)
            agent.disconnect(self.now, lose_reports=True)
            agent.connect()

    @rule(name=st.sampled_from(NODES), epoch_step=st.integers(0, 2), accepting=st.booleans())
    def node_offers(self, name: NodeName, epoch_step: int, accepting: bool) -> None:
        agent = self.agents[name]
        agent.offers += epoch_step
        self.cluster.do(ReportOffer(name, Offer(agent.offers, 3000, 16_000, accepting)))

    @rule(name=st.sampled_from(NODES), action=st.sampled_from(["drain", "resume", "down"]))
    def operator(self, name: NodeName, action: str) -> None:
        """An operator who says down of a silent node has pulled its plug."""
        node = self.cluster.state.nodes.get(name)
        if action == "down" and node is not None and not node.reachable:
            agent = self.agents[name]
            agent.reboot()
            agent.disconnect(self.now, lose_reports=True)
        getattr(self.cluster, action)(name)

    # -- what must always hold ---------------------------------------------------------------------------

    @rule(which=st.integers(0, 100))
    def somebody_asks_why(self, which: int) -> None:
        """Whoever waits has a reason in words, whatever became of the cluster; and asking changes nothing."""
        state = self.cluster.state
        waiting = [id for id in (*state.jobs, *state.arrays) if id in state.pending_columns]
        if waiting:
            id = waiting[which % len(waiting)]
            waiter = state.jobs.get(id) or state.arrays[id]
            found = why(taken(state), waiter, self.cluster.clock.now)
            assert found.reasons and all(one.sentence for one in found.reasons)

    @invariant()
    def nothing_runs_twice(self) -> None:
        running: dict[JobId, list[AttemptKey]] = {}
        for agent in getattr(self, "agents", {}).values():
            for key in agent.running:
                running.setdefault(key.job, []).append(key)
        twice = {job: keys for job, keys in running.items() if len(keys) > 1}
        assert not twice, twice

    @invariant()
    def memory_grows_as_far_as_it_may(self) -> None:
        """Never beyond the largest node, nor more often than the job and the cluster allow."""
        for job in self.cluster.state.jobs.values() if hasattr(self, "cluster") else ():
            spec = job.spec
            assert spec.ask.mem_mib_per_node <= 16_000, job
            assert job.oom_retries <= (min(spec.oom_max_retries or 3, 3) if spec.oom_factor_milli else 0), job

    def teardown(self) -> None:
        if not hasattr(self, "agents"):
            return
        assert self.cluster.replayed() == self.cluster.state
        assert load(dump(self.cluster.state.freeze())) == self.cluster.state
        self.repair_and_finish()
        self.nothing_runs_twice()
        self.accounting_is_true()
        self.ledger_adds_up()
        log = [ENCODER.encode(event) for event in self.cluster.log]
        assert [EVENT_DECODER.decode(data) for data in log] == self.cluster.log
        again = State.empty()
        events: list[bytes] = []
        for now, input in self.cluster.inputs:
            made: tuple[Event, ...]
            made = (input,) if isinstance(input, AccountsChanged) else step(again, input, now).events
            for event in made:
                apply(again, event)
                events.append(ENCODER.encode(event))
        assert events == log, "the same inputs gave other events"

    def repair_and_finish(self) -> None:
        """With all nodes there, up and obedient, whatever may run has its turn and ends."""
        config = self.cluster.state.config
        partitions = tuple(structs.replace(p, max_time_s=0) for p in config.partitions)
        open_to_all = structs.replace(config, partitions=partitions, licenses=(("matlab", 2),))
        self.cluster.do(Reconfigure(ADMIN, open_to_all))
        for name, agent in self.agents.items():
            self.cluster.resume(name)
            if agent.connected:
                agent.disconnect(self.now, lose_reports=False)
            agent.connect()
        for _ in range(200):
            for agent in self.agents.values():
                self.deliver_all(agent)
            stopped = [id for id, job in self.cluster.state.jobs.items() if job.state == "SUSPENDED"]
            if stopped:
                self.cluster.go_on(*stopped)
                self.send()
            self.cluster.run_cycle()
            self.send()
            for agent in self.agents.values():
                while agent.inbox:
                    agent.obey(agent.inbox.pop(0), self.now, refuse=False)
                for key in list(agent.stopping):
                    agent.end(key, self.now, signal=15)
                for key in list(agent.launching):
                    agent.begin(key, self.now)
                for key in [key for key in agent.running if key not in agent.suspended]:
                    agent.end(key, self.now)
            self.time_passes(5)
            busy = any(isinstance(job.phase, Active) for job in self.cluster.state.jobs.values())
            if not busy and not self.unstarted() and not any(a.outbox for a in self.agents.values()):
                unacknowledged = [key for agent in self.agents.values() for key in agent.exits]
                assert not unacknowledged, "exits that no agent may ever forget"
                return
        raise AssertionError(f"still there: {self.unstarted()}")

    def accounting_is_true(self) -> None:
        """One row for every attempt that began, and no exit code that was not."""
        rows = {(row.job, row.attempt): row for row in self.cluster.rows if row.array_indices == ""}
        n_rows = sum(1 for row in self.cluster.rows if row.array_indices == "")
        assert len(rows) == n_rows, "an attempt has two rows"
        for key in self.truth.begun:
            row = rows[key.job, key.number]
            end = self.truth.ended.get(key)
            by_signal = row.reason == "JobLaunchFailure" and row.exit_signal
            if row.state == "COMPLETED" or row.reason in ("NonZeroExitCode", "OutOfMemory") or by_signal:
                assert end is not None, f"{key} has an end that nobody saw: {row}"
                told = (0, OOM_SIGNAL) if row.reason == "OutOfMemory" else (end.exit_code, end.exit_signal)
                assert (row.exit_code, row.exit_signal) == told, row

    def ledger_adds_up(self) -> None:
        """Every MiB that was lent is in a row, for as long as it was."""
        state, now = self.cluster.state, self.now
        rows = list(self.cluster.loans)
        for job in state.jobs.values():
            if isinstance(job.phase, Active):
                rows += [loan_row(state, job, job.phase, loan, now, None) for loan in job.phase.loans]
        assert sum(row.mem_mib * (row.until - row.since) for row in rows) == self.lent_mib_us
        assert {row.outcome for row in rows} <= {"", *LoanEnd}

    def unstarted(self) -> list[tuple[JobId, Reason]]:
        """What waits for something that comes by itself."""
        columns = self.cluster.state.pending_columns
        stuck = (
            Reason.HELD_USER,
            Reason.HELD_ADMIN,
            Reason.HELD_REQUEUED,
            Reason.DEPENDENCY_NEVER,
            Reason.GANG_INCOMPLETE,
        )
        waiting = [job.id for job in self.cluster.state.jobs.values() if job.id in columns]
        waiting += [id for id in self.cluster.state.arrays if id in columns]
        found = [(id, columns.reason(id)) for id in waiting if columns.reason(id) not in stuck]
        # A dependency on something that is itself stuck may wait for ever.
        return [(id, reason) for id, reason in found if reason is not Reason.DEPENDENCY]

    # -- inside ------------------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        return self.cluster.clock.now

    @invariant()
    def send(self) -> None:
        """Commands decided since the last time go to the agents whose stream is open at both ends."""
        if not hasattr(self, "agents"):
            return
        for command in self.cluster.sent[self.moved :]:
            agent = self.agents[command.node]
            node = self.cluster.state.nodes.get(command.node)
            if agent.connected and node is not None and node.reachable:
                agent.inbox.append(command)
        self.moved = len(self.cluster.sent)

    def deliver(self, report: Input) -> None:
        self.cluster.do(report)
        self.send()

    def deliver_all(self, agent: Agent) -> None:
        while agent.outbox:
            self.deliver(agent.outbox.pop(0))

    def ref(self, a: int) -> str:
        """A job that holds something, any job, an array, or one index of an array."""
        state = self.cluster.state
        active = [job.id for job in state.jobs.values() if isinstance(job.phase, Active)]
        if active and a % 2:
            id = active[a // 2 % len(active)]
        else:
            id = JobId(max(1, state.next_job_id - a // 2))
        array = self.cluster.state.arrays.get(id)
        if array is not None and a % 3 == 0:
            some = indices.first(array.array.ranges, 3)
            return f"{id}_{some[a % len(some)]}"
        return str(id)

    def dependency(self, wait: tuple[str, list[int], bool] | None) -> Dependency | None:
        if wait is None:
            return None
        kind, jobs, any_of = wait
        if not jobs:
            return after("singleton")
        newest = self.cluster.state.next_job_id
        return after(kind, *(max(1, newest - back) for back in jobs), any_of=any_of)


class LendingMachine(ClusterMachine):
    """The same where memory is lent: on two nodes runs a guaranteed job that uses little of what it asked
    for."""

    @initialize(law=st.sampled_from(LENDING_LAWS))
    def boot(self, law: dict[str, Any]) -> None:
        self.law = law
        self.begin(law)
        self.lend_again()

    def lend_again(self) -> None:
        """As in the beginning: lending is on, and what it takes for that is there."""
        config = self.cluster.state.config
        if config.reclaim != self.law["reclaim"]:
            self.start_again(structs.replace(config, reclaim=self.law["reclaim"]), from_snapshot=False)
        self.cluster.do(SwitchReclaim(ADMIN, True, Switch()))
        for name in map(NodeName, NODES[:2]):
            self.cluster.resume(name)
            if not self.agents[name].connected:
                self.agents[name].connect()
        running = [job for job in self.cluster.state.jobs.values() if isinstance(job.phase, Active)]
        if sum(bool(job.phase.estimated) for job in running if isinstance(job.phase, Active)) < 2:
            self.all_give_up()
            self.cluster.try_submit(
                count=2, caller=Caller(USER), mem_mib=9_000, nodes_excluded=(NodeName("n3"),)
            )
            self.all_goes_well("")
            for _ in range(12):
                self.time_passes(300)
                for node in NODES[:2]:
                    self.use_changes(NodeName(node), 1, 16_000, None)

    def all_give_up(self) -> None:
        """Everything is cancelled, so that there is room."""
        state = self.cluster.state
        found = [id for id, job in state.jobs.items() if not isinstance(job.phase, Ended)]
        found += [id for id, array in state.arrays.items() if array.remaining]
        if found:
            self.cluster.cancel(*found, caller=ADMIN)
            self.all_goes_well("")
            for agent in self.agents.values():
                for key in list(agent.stopping):
                    agent.end(key, self.now, signal=15)
                self.deliver_all(agent)

    @rule(rules=st.sampled_from(NEW_RULES), from_snapshot=st.booleans())
    def rules_change(self, rules: dict[str, Any], from_snapshot: bool) -> None:
        """The scheduler is started with another configuration."""
        config = self.cluster.state.config
        reclaim = structs.replace(config.reclaim, **rules)
        self.start_again(structs.replace(config, reclaim=reclaim), from_snapshot)

    @rule(a=st.integers(0, 3), changes=st.sampled_from(NEW_TERMS))
    def a_lender_changes_its_mind(self, a: int, changes: dict[str, Any]) -> None:
        lenders = list(self.cluster.state.reclaim.borrowers_of)
        if lenders:
            self.cluster.update(lenders[a % len(lenders)], **changes)

    @rule(
        mem_mib=st.sampled_from([3_000, 8_000, 10_000, 12_000]),
        count=st.integers(1, 3),
        limit=st.sampled_from([0, 600, 100_000]),
        nodes=st.sampled_from([1, 1, 1, 2]),
        then=st.sampled_from([None, None, 3, 6, 9]),
    )
    def idle_work_comes(self, mem_mib: int, count: int, limit: int, nodes: int, then: int | None) -> None:
        """On nodes that have just reported. then: tenths that the guaranteed jobs use a minute later."""
        self.lend_again()
        self.cluster.try_submit(
            count=count,
            caller=Caller(OTHER),
            mem_mib=mem_mib,
            qos="idle",
            time_limit_s=limit,
            nodes=nodes,
            nodes_excluded=(NodeName("n3"),),
        )
        for name in NODES[:2]:
            self.use_changes(NodeName(name), 1, 16_000, None)
        self.all_goes_well("")
        if then is not None:
            self.time_passes(60)
            for name in NODES[:2]:
                self.use_changes(NodeName(name), then, 16_000, None)

    @rule(
        name=st.sampled_from(NODES[:2]),
        tenths=st.integers(0, 11),
        free=st.sampled_from([16_000, 16_000, 900]),
        pressure=st.sampled_from([None, None, 400]),
    )
    def use_changes(self, name: NodeName, tenths: int, free: int, pressure: int | None) -> None:
        """The guaranteed job came first."""
        self.node_reports_use(name, tenths=[tenths, 5, 5, 5], free=free, pressure=pressure, times=1)


ClusterMachine.TestCase.settings = settings(
    max_examples=4_000 if os.environ.get("PACKHORSE_MACHINE") == "long" else 60,
    stateful_step_count=100 if os.environ.get("PACKHORSE_MACHINE") == "long" else 50,
    deadline=None,
    derandomize=os.environ.get("PACKHORSE_MACHINE") != "long",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    database=None,
)
LendingMachine.TestCase.settings = ClusterMachine.TestCase.settings
TestClusterMachine = ClusterMachine.TestCase
TestLendingMachine = LendingMachine.TestCase

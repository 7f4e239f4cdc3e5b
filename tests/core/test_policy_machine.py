"""The core under everything at once, and every policy at once: limits and quotas, QOS and tiers that preempt,
reservations, suspended jobs, deadlines, racks, and a configuration that changes meanwhile.

On top of what the machines of the single policies hold (tests/core/test_machine.py and those beside it): a
state that is read back from its snapshot decides the next pass as the living one does, at any moment.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from msgspec import structs

from packhorse.scheduler.core.batch.memory import Memory
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.accounts import (
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    PreemptMode,
    Qos,
    User,
)
from packhorse.scheduler.model.cluster import (
    AccountsPolicy,
    Enforce,
    Partition,
    PreemptBy,
    Preemption,
    Priorities,
)
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US, Instant, NodeName
from packhorse.scheduler.model.input import Caller, Reconfigure, RunCycle, Tick
from packhorse.scheduler.model.job import WarnSignal
from packhorse.simulator.limits_referee import LimitBroken, Referee
from tests.core.accounts.test_limits_machine import ACCOUNTS, LIMITS, LimitsMachine
from tests.core.reservations.test_reserving_machine import NAMES, ReservingMachine
from tests.core.scenario import ADMIN, OTHER, USER, a_spec
from tests.core.test_machine import ClusterMachine, Recorded

TIERS = (
    Partition("fast", priority_tier=9),
    Partition("slow", priority_tier=0, preempt_mode="cancel"),
    Partition("idle", priority_tier=0, grace_s=5, preempt_mode="suspend"),
)
RACKS = (("a/x", (NodeName("n1"), NodeName("n2"))), ("a/y", (NodeName("n3"),)))
PREEMPTION = st.builds(
    Preemption,
    type=st.sampled_from(
        [PreemptBy.BOTH, PreemptBy.BOTH, PreemptBy.QOS, PreemptBy.PARTITION, PreemptBy.NONE]
    ),
    mode=st.sampled_from([PreemptMode.REQUEUE, PreemptMode.CANCEL, PreemptMode.SUSPEND]),
    grace_s=st.sampled_from([0, 0, 4]),
    exempt_s=st.sampled_from([0, 0, 10]),
    max_victims=st.sampled_from([100, 2]),
    take_back=st.booleans(),
)
ORDERS: tuple[dict[str, Any], ...] = (
    {},
    {"backfill_depth": 3},
    {"order": "multifactor", "backfill_depth": 2, "keep_next": True},
    {"order": "sjf", "backfill": "sjbf", "predictor": "last2"},
    {"order": "fairshare", "backfill_depth": 0},
    {"order": "srtf", "preempt": "order"},
)
WEIGHTS = Priorities(
    weight_age=10, weight_fairshare=1000, weight_job_size=5, weight_partition=7, weight_qos=50, half_life_s=0
)


class Lenient(Referee):
    """Limits hold while they are enforced."""

    def before(self, event: Event) -> None:
        try:
            super().before(event)
        except LimitBroken:
            if self.state.config.accounts.enforce is not Enforce.NONE:
                raise


class PolicyMachine(LimitsMachine, ReservingMachine):
    """See the module."""

    def made(self, law: dict[str, Any]) -> Recorded:
        cluster = super().made(law)
        cluster.referee = Lenient(cluster.state)
        return cluster

    @initialize(
        law=st.sampled_from(ORDERS),
        preemption=PREEMPTION,
        limits=st.lists(st.tuples(st.sampled_from([*ACCOUNTS]), LIMITS), max_size=3),
    )
    def boot(
        self, law: dict[str, Any], preemption: Preemption, limits: list[tuple[str, dict[str, Any]]]
    ) -> None:
        self.begin(
            {
                **law,
                "preemption": preemption,
                "others": TIERS,
                "priorities": WEIGHTS,
                "topology": RACKS,
                "resv_over_run_s": 10,
            }
        )
        names = tuple(Account(name, parent) for name, parent in ACCOUNTS.items())
        keys = [AssociationKey(name) for name in ACCOUNTS]
        keys += [AssociationKey("chem", "mule"), AssociationKey("arts", "donkey")]
        qos = (
            Qos("gate"),
            Qos("low", preempt_mode=PreemptMode.SUSPEND),
            Qos("high", priority=10, preempts=("low", "normal")),
            Qos("mid", priority=5, preempts=("low",), preempt_mode=PreemptMode.REQUEUE, grace_s=3),
        )
        every = tuple(Association(key) for key in keys)
        self.cluster.change_accounts(AccountsDelta(names, (User("mule"), User("donkey")), every, qos))
        for name, some in limits:
            self.limits_are_set(AssociationKey(name), some)

    @rule(
        qos=st.sampled_from(["normal", "low", "mid", "high"]),
        partition=st.sampled_from(["main", "main", "fast", "slow", "idle"]),
        account=st.sampled_from(["", *ACCOUNTS]),
        owner=st.sampled_from([USER, OTHER]),
        count=st.integers(1, 3),
        deadline_s=st.sampled_from([0, 0, 0, 30, 100]),
        what=st.fixed_dictionaries(
            {"cpus": st.sampled_from([1, 2, 4]), "time_limit_s": st.sampled_from([0, 20, 60, 500])},
            optional={
                "nodes": st.integers(2, 3),
                "checkpoint": st.just(WarnSignal(10, 7)),
                "requeue": st.just(False),
                "licenses": st.just("matlab"),
                "exclusive": st.just(True),
                "max_switches": st.just(1),
                "switches_wait_s": st.just(15),
                "mem_mib": st.sampled_from([3_000, 9_000]),
                "gpus": st.just(1),
                "reservation": st.sampled_from(NAMES),
            },
        ),
        wait_s=st.sampled_from([0, 1, 12]),
    )
    def work_comes(
        self,
        *,
        qos: str,
        partition: str,
        account: str,
        owner: Any,
        count: int,
        deadline_s: int,
        what: dict[str, Any],
        wait_s: int,
    ) -> None:
        deadline = Instant(self.now + deadline_s * US) if deadline_s else Instant(0)
        spec = a_spec(qos=qos, partition=partition, account=account, deadline_at=deadline, **what)
        self.cluster.try_submit(count=count, caller=Caller(owner), spec=spec)
        self.all_goes_well("")
        if wait_s:
            self.time_passes(wait_s)
            self.all_goes_well("")

    @rule(
        preemption=PREEMPTION,
        enforce=st.sampled_from([*Enforce]),
        racks=st.sampled_from([(), RACKS]),
        gone=st.sampled_from(["", "", "fast", "idle"]),
    )
    def policy_is_read_again(self, preemption: Preemption, enforce: Enforce, racks: Any, gone: str) -> None:
        config = self.cluster.state.config
        partitions = [p for p in (config.partitions[0], *TIERS) if p.name != gone]
        new = structs.replace(
            config,
            preemption=preemption,
            accounts=AccountsPolicy(enforce),
            topology=racks,
            partitions=tuple(partitions),
        )
        before = {id: job.state for id, job in self.cluster.state.jobs.items()}
        self.cluster.do(Reconfigure(ADMIN, new))
        assert {id: job.state for id, job in self.cluster.state.jobs.items()} == before

    @rule(a=st.integers(1, 40), seconds=st.sampled_from([5, 40, 200]))
    def a_deadline_is_set(self, a: int, seconds: int) -> None:
        self.cluster.update(self.ref(a), caller=ADMIN, deadline_at=Instant(self.now + seconds * US))

    @rule(
        a=st.integers(1, 40),
        qos=st.sampled_from(["low", "high"]),
        partition=st.sampled_from(["fast", "idle"]),
    )
    def a_job_moves(self, a: int, qos: str, partition: str) -> None:
        self.cluster.update(self.ref(a), caller=ADMIN, qos=qos)
        self.cluster.update(self.ref(a), caller=ADMIN, partition=partition)

    @rule(name=st.sampled_from(["low", "mid", "high"]))
    def a_qos_goes_and_comes(self, name: str) -> None:
        book = self.cluster.state.accounts
        state = self.cluster.state
        used = {job.spec.qos for job in state.jobs.values()} | {one.spec.qos for one in state.arrays.values()}
        if name in book.qos and name not in used:
            self.cluster.change_accounts(AccountsDelta(gone_qos=(name,)))
        else:
            self.cluster.change_accounts(
                AccountsDelta(qos=(Qos(name, preempts=("low",) * (name == "high")),))
            )

    @rule()
    def read_back_it_decides_alike(self) -> None:
        """Whatever is derived. What passes leave behind is of one process only."""
        state = self.cluster.state
        state.pending_columns.forget_passes()
        state.batch = Memory()
        state.history.samples.touched.clear()
        again = load(dump(state.freeze()))
        assert again == state
        for input in (Tick(), RunCycle()):
            one, other = step(state, input, self.now), step(again, input, self.now)
            assert one.events == other.events
            assert one.commands == other.commands

    def repair_and_finish(self) -> None:
        config = self.cluster.state.config
        self.cluster.do(
            Reconfigure(
                ADMIN,
                structs.replace(
                    config,
                    partitions=(config.partitions[0], *TIERS),
                    accounts=AccountsPolicy(Enforce.NONE),
                    preemption=Preemption(),
                ),
            )
        )
        super().repair_and_finish()


_LONG = os.environ.get("PACKHORSE_MACHINE") == "long"
TestPolicy = PolicyMachine.TestCase
TestPolicy.settings = settings(
    max_examples=2_000 if _LONG else 15,
    stateful_step_count=80 if _LONG else 40,
    deadline=None,
    derandomize=not _LONG,
    suppress_health_check=list(HealthCheck),
    database=None,
)
assert issubclass(PolicyMachine, ClusterMachine)

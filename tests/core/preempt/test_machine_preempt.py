"""The core under everything at once (tests/core/test_machine.py), where jobs make room for those of a higher
tier or QOS.

Whoever makes room has run its exempt time, for a job that has a right to that; and no two jobs ever make room
for each other.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from packhorse.scheduler.core.preempt.rights import Rights, group_of
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import AccountsPolicy, Enforce, Partition, PreemptBy, Preemption
from packhorse.scheduler.model.event import Event, JobEnding
from packhorse.scheduler.model.ids import US, JobId
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Active, WarnSignal
from tests.core.account_wishes import qos
from tests.core.scenario import USER, a_spec
from tests.core.test_accounts import change
from tests.core.test_machine import ClusterMachine, Recorded

TIERS = (
    Partition("fast", priority_tier=9),
    Partition("slow", priority_tier=0, preempt_mode="cancel"),
    Partition("idle", priority_tier=0, grace_s=5),
)
LAWS: tuple[dict[str, Any], ...] = (
    {"preemption": Preemption(PreemptBy.PARTITION), "backfill_depth": 2},
    {"preemption": Preemption(PreemptBy.PARTITION, exempt_s=20, grace_s=5)},
    {"preemption": Preemption(PreemptBy.BOTH, PreemptMode.CANCEL, exempt_s=1), "order": "sjf"},
    {"preemption": Preemption(PreemptBy.PARTITION, grace_s=3, max_victims=2), "backfill_depth": 0},
    {"preemption": Preemption(PreemptBy.PARTITION, PreemptMode.SUSPEND), "backfill_depth": 2},
    {"preemption": Preemption(PreemptBy.BOTH, PreemptMode.SUSPEND, exempt_s=5), "order": "sjf"},
    {"preemption": Preemption(PreemptBy.QOS), "backfill_depth": 3},
    {"preemption": Preemption(PreemptBy.QOS, PreemptMode.CANCEL, grace_s=4, exempt_s=3)},
    {"preemption": Preemption(PreemptBy.PARTITION), "order": "packhorse"},
    {"preemption": Preemption(PreemptBy.PARTITION), "backfill": "none", "order": "fairshare"},
)


class Yielding(Recorded):
    """Checks whom it has make room for whom."""

    def __init__(self, **law: Any) -> None:
        self.pairs: set[tuple[JobId, JobId]] = set()
        super().__init__(**law)

    def before(self, event: Event) -> None:
        super().before(event)
        if not isinstance(event, JobEnding) or not event.mode:
            return
        state, job, waiter = self.state, self.state.jobs[event.job], self.state.jobs[event.for_job]
        active = job.phase
        assert isinstance(active, Active) and active.ending is None
        right = Rights(state.config, state.accounts.qos).over(group_of(waiter), group_of(job))
        assert right is not None, f"{event.for_job} has no right over {event.job}"
        assert event.at - (active.started_at or active.granted_at) >= right.exempt_s * US
        self.pairs.add((job.id, waiter.id))
        assert (waiter.id, job.id) not in self.pairs, f"{job.id} and {waiter.id} take turns"


class YieldingMachine(ClusterMachine):
    """See the module."""

    @initialize(law=st.sampled_from(LAWS))
    def boot(self, law: dict[str, Any]) -> None:
        self.begin({**law, "others": TIERS, "accounts": AccountsPolicy(Enforce.NONE)})
        change(self.cluster, qos("low"), qos("high", preempts="low,normal"))

    def made(self, law: dict[str, Any]) -> Recorded:
        return Yielding(**law)

    @rule(
        partition=st.sampled_from(["fast", "slow", "idle", "main"]),
        count=st.integers(1, 3),
        cpus=st.sampled_from([1, 2, 4]),
        nodes=st.integers(1, 3),
        limit=st.sampled_from([0, 30, 500]),
        checkpoint=st.sampled_from([None, None, WarnSignal(10, 7)]),
        requeue=st.booleans(),
        name=st.sampled_from(["normal", "low", "high"]),
    )
    def submit_somewhere(
        self,
        *,
        partition: str,
        count: int,
        cpus: int,
        nodes: int,
        limit: int,
        checkpoint: WarnSignal | None,
        requeue: bool,
        name: str,
    ) -> None:
        spec = a_spec(
            cpus=cpus,
            nodes=nodes,
            partition=partition,
            time_limit_s=limit,
            checkpoint=checkpoint,
            requeue=requeue,
            qos=name,
        )
        self.cluster.try_submit(count=count, caller=Caller(USER), spec=spec)

    @rule(
        cpus=st.sampled_from([1, 2, 4]),
        nodes=st.integers(1, 3),
        n=st.integers(1, 3),
        wait_s=st.sampled_from([0, 10, 30]),
        checkpoint=st.sampled_from([None, WarnSignal(10, 7)]),
        limit=st.sampled_from([0, 2000]),
    )
    def better_jobs_come(
        self, *, cpus: int, nodes: int, n: int, wait_s: int, checkpoint: WarnSignal | None, limit: int
    ) -> None:
        """Low ones have filled the nodes, if these take work."""
        low = a_spec(cpus=2, partition="idle", qos="low", time_limit_s=limit, checkpoint=checkpoint)
        self.cluster.try_submit(count=6, caller=Caller(USER), spec=low)
        self.all_goes_well("")
        if wait_s:
            self.time_passes(wait_s)
        high = a_spec(cpus=cpus, nodes=nodes, partition="fast", qos="high", time_limit_s=limit)
        self.cluster.try_submit(count=n, caller=Caller(USER), spec=high)
        self.all_goes_well("")
        self.time_passes(1)
        self.all_goes_well("")


_LONG = os.environ.get("PACKHORSE_MACHINE") == "long"
TestYielding = YieldingMachine.TestCase
TestYielding.settings = settings(
    max_examples=300 if _LONG else 12,
    stateful_step_count=60 if _LONG else 40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

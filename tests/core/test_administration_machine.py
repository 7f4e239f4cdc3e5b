"""Partitions, triggers and crontabs under jobs, nodes, time and restarts, at once.

After every step the invariants hold; the log alone and a snapshot give the same state; no trigger is fired
twice, and a job of a crontab that has ended waits again or its line is disabled.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.crontab import DISABLED, CronLine
from packhorse.scheduler.model.event import TriggerSet, TriggersFired
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    ClearTriggers,
    Reconfigure,
    SetCrontab,
    SetTrigger,
    Start,
    SwitchPartition,
)
from packhorse.scheduler.model.job import Active, Ended, Owner
from packhorse.scheduler.model.trigger import TriggerKind
from tests.core.scenario import ADMIN, OTHER, USER, a_cluster, a_config, a_spec

OWNERS = st.sampled_from([USER, OTHER])
NODES = st.sampled_from(["n1", "n2"])
LINES = st.lists(st.sampled_from(["* * * * *", "@hourly", "*/7 3-20 * * *", "0 0 29 2 *"]), max_size=3)


class AdministrationMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.config = a_config(others=(Partition("side"),))
        self.cluster = a_cluster(nodes=2, cpus=2, config=self.config)

    @rule(limit_s=st.sampled_from([0, 30, 300]), partition=st.sampled_from(["", "side"]))
    def submit(self, limit_s: int, partition: str) -> None:
        self.cluster.try_submit(time_limit_s=limit_s, partition=partition)

    @rule(owner=OWNERS, lines=LINES, limit_s=st.sampled_from([0, 30]))
    def crontab(self, owner: Owner, lines: list[str], limit_s: int) -> None:
        text = "".join(f"{line} x\n" for line in lines)
        made = tuple(CronLine(n, line, a_spec(time_limit_s=limit_s)) for n, line in enumerate(lines))
        self.cluster.do(SetCrontab(ADMIN, owner, text, made, ((0, 3600),)))

    @rule(
        kind=st.sampled_from(list(TriggerKind)),
        job=st.integers(0, 12),
        node=st.sampled_from(["", "n1", "n2"]),
        offset_s=st.sampled_from([-20, 0, 0, 45]),
        permanent=st.booleans(),
    )
    def trigger(self, kind: TriggerKind, job: int, node: str, offset_s: int, permanent: bool) -> None:
        nodes = (NodeName(node),) if node and not job else ()
        self.cluster.do(SetTrigger(Caller(USER), kind, "/x", JobId(job), nodes, offset_s, permanent))

    @rule(id=st.integers(0, 5), job=st.integers(0, 5))
    def clear(self, id: int, job: int) -> None:
        self.cluster.do(ClearTriggers(ADMIN, id, JobId(job)))

    @rule(name=st.sampled_from(["main", "side"]), state=st.sampled_from(["UP", "DOWN", "DRAIN", "INACTIVE"]))
    def partition(self, name: str, state: str) -> None:
        self.cluster.do(SwitchPartition(ADMIN, (name,), state))

    @rule(job=st.integers(1, 12))
    def cancel(self, job: int) -> None:
        self.cluster.cancel(job, caller=ADMIN)

    @rule(job=st.integers(1, 12))
    def requeue(self, job: int) -> None:
        self.cluster.requeue(job, caller=ADMIN)

    @rule(node=NODES)
    def drain(self, node: str) -> None:
        self.cluster.drain(node)

    @rule(node=NODES)
    def down(self, node: str) -> None:
        self.cluster.down(node)

    @rule(node=NODES)
    def resume(self, node: str) -> None:
        self.cluster.resume(node)

    @rule(node=NODES)
    def silence(self, node: str) -> None:
        self.cluster.silence(node)

    @rule(node=NODES)
    def come_back(self, node: str) -> None:
        self.cluster.register(node)

    @rule(seconds=st.sampled_from([1, 25, 70, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.pass_time(seconds)

    @rule(code=st.sampled_from([0, 3]))
    def work_is_done(self, code: int) -> None:
        """A cycle; what starts runs, what runs ends."""
        self.cluster.run_cycle()
        for job in list(self.cluster.state.jobs.values()):
            if isinstance(job.phase, Active):
                if not job.phase.started_at:
                    self.cluster.run(job.id)
                else:
                    self.cluster.exit(job.id, code)

    @rule(fresh=st.booleans())
    def restart(self, fresh: bool) -> None:
        self.cluster.state = load(list(dump(self.cluster.state.freeze())))
        self.cluster.do(Start(self.config))
        if fresh:
            self.cluster.do(Reconfigure(ADMIN, self.config))

    @invariant()
    def nothing_is_due_for_long(self) -> None:
        """Ticks end: what a tick can do is done after one."""
        cluster = self.cluster
        for _ in range(20):
            at = next_timer(cluster.state)
            if at is None or at > cluster.clock.now:
                break
            if not cluster.tick().events:
                break
        for crontab in cluster.state.crontabs.values():
            for entry in crontab.entries:
                assert not isinstance(cluster.job(entry.job).phase, Ended)
                assert not crontab.text.splitlines()[entry.line].startswith(DISABLED)

    @invariant()
    def no_trigger_is_fired_twice(self) -> None:
        log = self.cluster.log
        fired = Counter(one.id for event in log if isinstance(event, TriggersFired) for one in event.fired)
        again = {
            event.trigger.id
            for event in log
            if isinstance(event, TriggerSet) and event.trigger.permanent and not event.trigger.job
        }
        assert all(n == 1 or id in again for id, n in fired.items())
        assert not (fired.keys() & self.cluster.state.triggers.by_id.keys()) - again

    def teardown(self) -> None:
        if hasattr(self, "cluster"):
            assert load(list(dump(self.cluster.state.freeze()))) == self.cluster.state
            assert self.cluster.replayed() == self.cluster.state


TestAdministration = AdministrationMachine.TestCase
TestAdministration.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

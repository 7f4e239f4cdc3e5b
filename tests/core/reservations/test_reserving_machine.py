"""The core under everything at once, while nodes, CPUs and licences of it are reserved, for all or for some.

What tests/core/test_machine.py does to a cluster, and on top of it people who make, change and delete
reservations and submit jobs that name them. `check` after every event says whether anybody stands where he
has no right to.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import Caller, SubmitArray
from packhorse.scheduler.model.job import Ended
from packhorse.scheduler.model.reply import Done
from tests.core.scenario import ADMIN, OTHER, USER, a_spec, an_array
from tests.core.test_machine import NODES, ClusterMachine

LAWS: tuple[dict[str, Any], ...] = (
    {},
    {"resv_over_run_s": 10},
    {"order": "sjf", "backfill": "sjbf", "predictor": "last2"},
    {"order": "fairshare", "backfill_depth": 4, "predictor": "like"},
    {"backfill": "none"},
    {"order": "srtf", "preempt": "order"},
    {"order": "packhorse"},
)
NAMES = ("a", "b", "c")
USERS = ("mule", "donkey", "mule,donkey", "-mule")
WHAT = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.sampled_from(["n1", "n2", "n1,n3", "ALL"]),
        "node_counts": st.sampled_from([(1,), (2,)]),
        "core_counts": st.sampled_from([(1,), (3,), (6,)]),
        "licenses": st.sampled_from(["matlab", "matlab:2"]),
    },
)
WORDS = (
    *("MAINT", "OVERLAP", "IGNORE_JOBS", "FLEX", "MAGNETIC", "ANY_NODES", "PURGE_COMP"),
    *("NO_HOLD_JOBS_AFTER", "REPLACE_DOWN"),
)
FLAGS = st.lists(st.sampled_from(WORDS), max_size=2, unique=True)
REPEATS = st.sampled_from(["", "", "", "HOURLY", "DAILY", "WEEKEND"])


class ReservingMachine(ClusterMachine):
    """See the module."""

    @initialize(law=st.sampled_from(LAWS))
    def boot(self, law: dict[str, Any]) -> None:
        self.begin(law)

    @rule(
        name=st.sampled_from(NAMES),
        start_s=st.sampled_from([0, 0, 5, 60, 300]),
        length_s=st.sampled_from([20, 100, 1000]),
        users=st.sampled_from(USERS),
        what=WHAT,
        flags=FLAGS,
        repeat=REPEATS,
        update=st.booleans(),
    )
    def reserve(
        self,
        *,
        name: str,
        start_s: int,
        length_s: int,
        users: str,
        what: dict[str, Any],
        flags: list[str],
        repeat: str,
        update: bool,
    ) -> None:
        """What is refused leaves everything as it was. A second passes: what runs was there before."""
        before = dict(self.cluster.state.reservations)
        words = [*flags, *([repeat] if repeat else [])]
        reply = self.cluster.try_reserve(
            name,
            start_s=start_s,
            hours=length_s / 3600,
            users=users,
            flags=",".join(words) or None,
            update=update,
            **what,
        )
        if not isinstance(reply, Done):
            assert before == self.cluster.state.reservations
        self.time_passes(1)

    @rule(
        name=st.sampled_from(NAMES),
        start_s=st.sampled_from([0, 0, 40]),
        what=st.sampled_from(
            [{"nodes": "n1"}, {"nodes": "n1,n2"}, {"node_counts": (1,)}, {"core_counts": (2,)},
             {"nodes": "n1", "core_counts": (3,)}, {"nodes": "n2", "licenses": "matlab"}]
        ),
        flags=st.sampled_from([None, None, "DAILY", "MAGNETIC", "FLEX", "MAINT", "OVERLAP", "PURGE_COMP"]),
        limits=st.lists(st.sampled_from([5, 30, 100, 0]), min_size=4, max_size=4),
        cpus=st.lists(st.sampled_from([1, 2, 4]), min_size=4, max_size=4),
        after_s=st.sampled_from([0, 10, 39, 60]),
    )  # fmt: skip
    def window_is_used(
        self,
        *,
        name: str,
        start_s: int,
        what: dict[str, Any],
        flags: str | None,
        limits: list[int],
        cpus: list[int],
        after_s: int,
    ) -> None:
        """A reservation of a minute, and jobs of both kinds before it, in it and after it."""
        self.all_give_up()
        self.cluster.try_reserve(name, start_s=start_s, hours=1 / 60, users="mule", flags=flags, **what)
        self.time_passes(1)
        for round in range(2):
            for i, (limit, n) in enumerate(zip(limits, cpus, strict=True)):
                licenses = "matlab" if what.get("licenses") and i % 2 else ""
                spec: dict[str, Any] = {"time_limit_s": limit, "cpus": n, "licenses": licenses}
                if i % 2 and name in self.cluster.state.reservations:
                    spec["reservation"] = name
                self.cluster.try_submit(caller=Caller(OTHER if i == 0 else USER), **spec)
            self.all_goes_well("")
            if not round:
                self.time_passes(after_s)

    def all_give_up(self) -> None:
        """Everything is cancelled and all nodes are there, so that there is room."""
        state = self.cluster.state
        found = [id for id, job in state.jobs.items() if not isinstance(job.phase, Ended)]
        found += [id for id, array in state.arrays.items() if array.remaining]
        if found:
            self.cluster.cancel(*found, caller=ADMIN)
        for name, agent in self.agents.items():
            self.cluster.resume(name)
            if not agent.connected:
                agent.connect()
        self.all_goes_well("")
        for agent in self.agents.values():
            for key in list(agent.stopping):
                agent.end(key, self.now, signal=15)
            self.deliver_all(agent)

    @rule(name=st.sampled_from(NAMES), words=st.sampled_from(
        [{"users": "+donkey"}, {"users": "mule"}, {"nodes": "+n2"}, {"nodes": "-n1"}, {"start_s": 30},
         {"flags": "+FLEX"}, {"flags": "-FLEX"}, {"hours": 2}, {"core_counts": (2,)}]
    ))  # fmt: skip
    def change(self, name: str, words: dict[str, Any]) -> None:
        self.cluster.try_reserve(name, update=True, **words)
        self.time_passes(1)

    @rule(name=st.sampled_from(NAMES), caller=st.sampled_from([ADMIN, ADMIN, Caller(USER)]))
    def unreserve(self, name: str, caller: Caller) -> None:
        self.cluster.unreserve(name, caller)

    @rule(
        name=st.sampled_from(NAMES),
        count=st.integers(1, 3),
        cpus=st.sampled_from([1, 1, 2, 4]),
        nodes=st.integers(1, 2),
        caller=st.sampled_from([Caller(USER), Caller(OTHER)]),
        limit=st.sampled_from([0, 10, 50, 500]),
        licenses=st.sampled_from(["", "", "matlab"]),
        array=st.booleans(),
    )
    def submit_into(
        self,
        *,
        name: str,
        count: int,
        cpus: int,
        nodes: int,
        caller: Caller,
        limit: int,
        licenses: str,
        array: bool,
    ) -> None:
        what: dict[str, Any] = {"cpus": cpus, "nodes": nodes, "licenses": licenses, "time_limit_s": limit}
        if array:
            spec = a_spec(reservation=name, **what)
            self.cluster.do(SubmitArray(caller, spec, an_array("0-3%2")))
        self.cluster.try_submit(count=count, caller=caller, reservation=name, **what)
        self.cluster.run_cycle()

    @rule(a=st.integers(1, 40), name=st.sampled_from(["", *NAMES]))
    def move_job(self, a: int, name: str) -> None:
        self.cluster.update(self.ref(a), caller=ADMIN, reservation=name)

    def repair_and_finish(self) -> None:
        """With no reservations left: those that are in use go when their jobs have ended."""
        for name, agent in self.agents.items():
            self.cluster.resume(name)
            if agent.connected:
                agent.disconnect(self.now, lose_reports=False)
            agent.connect()
        for _ in range(50):
            for agent in self.agents.values():
                self.deliver_all(agent)
                while agent.inbox:
                    agent.obey(agent.inbox.pop(0), self.now, refuse=False)
                for key in list(agent.launching):
                    agent.begin(key, self.now)
                for key in list(agent.running):
                    agent.end(key, self.now)
                self.deliver_all(agent)
            for reserved in list(self.cluster.state.reservations):
                self.cluster.unreserve(reserved)
            if not self.cluster.state.reservations:
                break
            self.time_passes(5)
        super().repair_and_finish()

    def unstarted(self) -> list[tuple[JobId, Reason]]:
        gone = Reason.RESERVATION_DELETED
        return [(id, reason) for id, reason in super().unstarted() if reason is not gone]


assert set(NODES) == {"n1", "n2", "n3"}
ReservingMachine.TestCase.settings = settings(
    ClusterMachine.TestCase.settings,
    max_examples=4_000 if os.environ.get("PACKHORSE_MACHINE") == "long" else 20,
)
TestReservingMachine = ReservingMachine.TestCase

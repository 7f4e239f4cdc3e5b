"""The core under everything at once, with limits, budgets and quotas that change while it runs.

A referee who shares no code with what decides judges every start and every submission (`Recorded.before`),
and after every step what is counted is what the jobs have (`check`).
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from msgspec import structs

from packhorse.scheduler.model.accounts import (
    NO_LIMITS,
    NO_QOS_LIMITS,
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Limits,
    Qos,
    QosLimits,
    User,
)
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import Caller, SubmitArray
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.resources import Gres
from packhorse.scheduler.model.tres import parse_tres
from tests.core.scenario import OTHER, USER, a_spec, an_array
from tests.core.test_machine import ClusterMachine

NO_DECAY = {"priorities": Priorities(half_life_s=0)}
LAWS: tuple[dict[str, Any], ...] = (
    NO_DECAY,
    {**NO_DECAY, "backfill_depth": 3},
    {**NO_DECAY, "order": "srtf", "preempt": "order"},
    {**NO_DECAY, "order": "packhorse"},
    {**NO_DECAY, "qos": "gate"},
)
ACCOUNTS = {"science": "root", "chem": "science", "bio": "science", "arts": "root"}
KEYS = st.sampled_from(
    [
        AssociationKey("root"),
        *map(AssociationKey, ACCOUNTS),
        AssociationKey("chem", "mule"),
        AssociationKey("arts", "donkey"),
        AssociationKey("bio", "mule", "main"),
    ]
)
AMOUNTS = st.sampled_from(
    ["cpu=2", "cpu=5,mem=4G", "gres/gpu=1", "gres/gpu=0.5,node=2", "license/matlab=1", "billing=3"]
).map(parse_tres)
MINUTES = st.sampled_from(["cpu=1", "cpu=4", "gres/gpu=2", "mem=9G"]).map(parse_tres)
FEW = st.sampled_from([0, 1, 2, 5])
SECONDS = st.sampled_from([20, 60, 200])

LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "grp_jobs": FEW,
        "grp_submit": st.sampled_from([2, 8]),
        "grp_tres": AMOUNTS,
        "grp_tres_mins": MINUTES,
        "grp_tres_run_mins": MINUTES,
        "grp_wall_s": SECONDS,
        "max_jobs": FEW,
        "max_submit": st.sampled_from([2, 8]),
        "max_tres": AMOUNTS,
        "max_tres_per_node": AMOUNTS,
        "max_tres_mins": MINUTES,
        "max_wall_s": SECONDS,
        "quota": AMOUNTS,
        "borrow": st.none() | AMOUNTS,
    },
)
QOS_LIMITS = st.fixed_dictionaries(
    {},
    optional={
        "grp_jobs": FEW,
        "grp_tres": AMOUNTS,
        "grp_tres_mins": MINUTES,
        "grp_tres_run_mins": MINUTES,
        "max_jobs_pu": FEW,
        "max_jobs_pa": FEW,
        "max_submit_pu": st.sampled_from([2, 8]),
        "max_tres_pu": AMOUNTS,
        "max_tres_pa": AMOUNTS,
        "max_tres": AMOUNTS,
        "max_wall_s": SECONDS,
        "min_tres": AMOUNTS,
    },
)

WORK = st.tuples(
    st.sampled_from([*ACCOUNTS, "", "nowhere"]),
    st.sampled_from([USER, OTHER]),
    st.integers(1, 3),
    st.fixed_dictionaries(
        {"time_limit_s": st.sampled_from([0, 20, 60, 60, 600])},
        optional={
            "cpus": st.just(2),
            "gres_per_node": st.sampled_from([(Gres("gpu", "", 1),), (Gres("gpu", "", 1, 250),)]),
            "licenses": st.just("matlab"),
            "mem_mib": st.just(3_000),
            "exclusive": st.just(True),
        },
    )
    | st.just({"nodes": 2, "time_limit_s": 60}),
)
"""Account, owner, how many jobs, and of what kind."""


class LimitsMachine(ClusterMachine):
    """See the module. Users are in some of the accounts, and may use all of them."""

    @initialize(
        law=st.sampled_from(LAWS),
        limits=st.lists(st.tuples(KEYS, LIMITS), min_size=2, max_size=5),
        of_qos=st.none() | QOS_LIMITS,
    )
    def boot(
        self,
        law: dict[str, Any],
        limits: list[tuple[AssociationKey, dict[str, Any]]],
        of_qos: dict[str, Any] | None,
    ) -> None:
        self.begin(law)
        names = tuple(Account(name, parent) for name, parent in ACCOUNTS.items())
        users = (User("mule"), User("donkey"))
        keys = [AssociationKey(name) for name in ACCOUNTS]
        keys += [AssociationKey("chem", "mule"), AssociationKey("arts", "donkey")]
        keys += [AssociationKey("bio", "mule", "main")]
        every = tuple(Association(key) for key in keys)
        self.cluster.change_accounts(AccountsDelta(names, users, every, (Qos("gate"),)))
        for key, some in limits:
            self.limits_are_set(key, some)
        if of_qos is not None:
            self.limits_of_a_qos_are_set("normal", of_qos, (), 1000)

    @rule(key=KEYS, limits=LIMITS)
    def limits_are_set(self, key: AssociationKey, limits: dict[str, Any]) -> None:
        """Of what is still there."""
        found = self.cluster.state.accounts.associations.get(key)
        if found is not None:
            changed = structs.replace(found, limits=Limits(**limits))
            self.cluster.change_accounts(AccountsDelta(associations=(changed,)))

    @rule(
        name=st.sampled_from(["normal", "gate"]),
        limits=QOS_LIMITS,
        flags=st.sampled_from([(), (), ("OverPartQOS",), ("DenyOnLimit",)]),
        factor=st.sampled_from([1000, 1000, 2000]),
    )
    def limits_of_a_qos_are_set(
        self, name: str, limits: dict[str, Any], flags: tuple[str, ...], factor: int
    ) -> None:
        """What running work costs stays as it is."""
        if name not in self.cluster.state.accounts.qos:
            return
        if any(isinstance(job.phase, Active) for job in self.cluster.state.jobs.values()):
            factor = self.cluster.state.accounts.qos[name].usage_factor_milli
        qos = Qos(name, flags=flags, usage_factor_milli=factor, limits=QosLimits(**limits))
        self.cluster.change_accounts(AccountsDelta(qos=(qos,)))

    @rule()
    def limits_are_lifted(self) -> None:
        """All of them."""
        book = self.cluster.state.accounts
        self.cluster.change_accounts(
            AccountsDelta(
                associations=tuple(
                    structs.replace(one, limits=NO_LIMITS) for one in book.associations.values()
                ),
                qos=tuple(structs.replace(qos, limits=NO_QOS_LIMITS) for qos in book.qos.values()),
            )
        )
        assert all(one.limits == NO_LIMITS for one in book.associations.values())

    @rule(work=st.lists(WORK, min_size=1, max_size=5), end=st.sampled_from(["", "", "ok"]), wait=SECONDS)
    def a_busy_minute(self, work: list[tuple[str, Any, int, dict[str, Any]]], end: str, wait: int) -> None:
        for account, owner, count, what in work:
            self.cluster.try_submit(count=count, caller=Caller(owner), account=account, **what)
        self.all_goes_well(end)
        self.time_passes(wait // 4)
        self.all_goes_well("")

    @rule(account=st.sampled_from([*ACCOUNTS]), array=st.sampled_from(["0-5", "0-9%3"]))
    def an_array_comes(self, account: str, array: str) -> None:
        self.cluster.do(SubmitArray(Caller(USER), a_spec(account=account), an_array(array)))
        self.all_goes_well("")

    @precondition(lambda self: self.cluster.state.jobs)
    @rule(a=st.integers(0, 20), account=st.sampled_from([*ACCOUNTS]))
    def a_job_changes_its_account(self, a: int, account: str) -> None:
        jobs = sorted(self.cluster.state.jobs)
        self.cluster.update(jobs[a % len(jobs)], account=account)

    @rule(a=st.integers(1, 8))
    def some_time_goes_by(self, a: int) -> None:
        self.all_goes_well("ok")
        self.time_passes(10 * a)
        self.all_goes_well("")

    def teardown(self) -> None:
        if hasattr(self, "agents"):
            for id in [*self.cluster.state.jobs, *self.cluster.state.arrays]:
                if id in self.cluster.state.pending_columns:
                    assert self.cluster.state.pending_columns.reason(JobId(id)).value
            self.limits_are_lifted()
        super().teardown()


LimitsMachine.TestCase.settings = ClusterMachine.TestCase.settings
TestLimitsMachine = LimitsMachine.TestCase

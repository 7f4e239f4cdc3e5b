"""A queue and a tree of accounts behind the fake socket: the real core and the real tables answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.model.accounts import (
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Limits,
    Qos,
    User,
)
from packhorse.scheduler.model.cluster import Partition, Priorities
from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service import messages, priorities_view
from packhorse.scheduler.service.failures import failure_of
from packhorse.scheduler.service.settings import priority_settings
from tests.cli.fake_scheduler import FakeScheduler, Reply
from tests.core.scenario import ADMIN, Cluster, a_cluster, a_config

ANN, BOB = Owner(1001, 1001, "ann", "users"), Owner(1002, 1002, "bob", "users")

SLURM_WEIGHTS = Priorities(weight_age=1000, weight_fairshare=10_000, weight_partition=1000, weight_qos=2000)
"""Those of the session whose transcripts there are (shared/slurm-golden/cluster.sh)."""


def serve(scheduler: FakeScheduler, cluster: Cluster) -> None:
    """The cluster answers for the scheduler."""

    def on(method: str, kind: Any, answer: Callable[..., Any]) -> None:
        def reply(body: dict[str, Any]) -> Reply:
            request = msgspec.convert(body, kind)
            try:
                return 200, msgspec.to_builtins(answer(cluster.state, request, cluster.clock.now))
            except PackhorseError as error:
                failure = failure_of(error)
                return 400, {"code": failure.code.value, "message": failure.message, "slurm": failure.slurm}

        scheduler.on(method, reply)

    on("ListPriorities", messages.ListPrioritiesRequest, priorities_view.list_priorities)
    on("ListShares", messages.ListSharesRequest, priorities_view.list_shares)
    on("CompareJobs", messages.CompareJobsRequest, priorities_view.compare_jobs)
    settings = {"ClusterName": "demo", **priority_settings(cluster.state.config)}
    scheduler.on("GetConfig", {"settings": [{"key": k, "value": v} for k, v in settings.items()]})


def change(cluster: Cluster, delta: AccountsDelta) -> None:
    """An administrator changes the book of accounts."""
    event = AccountsChanged(cluster.clock.now, delta, 0)
    apply(cluster.state, event)
    cluster.log.append(event)


def slurm_session() -> Cluster:
    """The jobs that waited in that session: all of root's, in account lab, where nothing was used yet."""
    config = a_config(
        order="multifactor",
        priorities=SLURM_WEIGHTS,
        allow_root_jobs=True,
        others=(Partition("normal", priority=1), Partition("high", priority_tier=10, priority=10)),
    )
    cluster = a_cluster(nodes=1, cpus=1, config=config)
    keys = [AssociationKey(*names) for names in (("lab",), ("other",), ("root", "root"), ("lab", "root"))]
    accounts = (Account("lab"), Account("other"))
    users, qos = (User("root", "lab"),), (Qos("long", priority=5),)
    change(cluster, AccountsDelta(accounts, users, tuple(map(Association, keys)), qos))
    for number in range(1, 64):
        nice = 100 if number == 18 else 0
        cluster.submit(caller=ADMIN, account="lab", partition="normal", nice=nice)
    for number in range(1, 64):
        if number not in (16, 17, 18, 21, 22, 23, 63):
            cluster.cancel(number, caller=ADMIN)
    return cluster


def campus() -> Cluster:
    """Two faculties: ann of chem waits, and bob of law, who has used 40 CPUs for 25 hours."""
    weights = Priorities(
        weight_age=1000,
        weight_fairshare=10_000,
        weight_job_size=500,
        weight_partition=200,
        weight_qos=300,
        weight_assoc=100,
        weight_tres=(("cpu", 100), ("gres/gpu", 1000)),
        half_life_s=0,
    )
    config = a_config(
        order="multifactor", priorities=weights, others=(Partition("short", priority=10), Partition("long"))
    )
    cluster = a_cluster(nodes=4, cpus=10, gpus=2, config=config)
    limits = Limits(grp_tres_mins=(("cpu", 100_000_000), ("gres/gpu", 6_000_000)))
    associations = (
        Association(AssociationKey("science"), 60, limits),
        Association(AssociationKey("chem"), 2),
        Association(AssociationKey("law"), 40),
        Association(AssociationKey("chem", "ann"), priority=5),
        Association(AssociationKey("law", "ann")),
        Association(AssociationKey("law", "bob")),
        Association(AssociationKey("law", "bob", "short"), 3),
    )
    accounts = (Account("science"), Account("chem", "science"), Account("law"))
    users = (User("ann", "chem"), User("bob", "law"))
    qos = (Qos("normal", priority=10), Qos("urgent", priority=40))
    change(cluster, AccountsDelta(accounts, users, associations, qos))
    first = cluster.submit(nodes=4, cpus=10, account="law", caller=Caller(BOB), time_limit_s=26 * 3600)
    cluster.run(first)
    cluster.clock.advance(3600)
    cluster.submit(nodes=2, cpus=10, account="law", caller=Caller(BOB), partition="long")  # 2
    cluster.submit(cpus=4, gpus=1, account="law", caller=Caller(BOB), partition="short")  # 3
    cluster.submit_array("0-9", cpus=1, account="law", caller=Caller(BOB), partition="long", nice=50)  # 4
    cluster.clock.advance(23 * 3600)
    cluster.submit(cpus=2, account="chem", caller=Caller(ANN), partition="short")  # 5
    cluster.submit(cpus=10, account="chem", caller=Caller(ANN), partition="long", gpus=2)  # 6
    held = cluster.submit(cpus=1, account="chem", caller=Caller(ANN), hold=True, partition="long")  # 7
    cluster.submit(cpus=1, account="law", caller=Caller(ANN), partition="long")  # 8
    assert held == 7
    cluster.update(8, caller=ADMIN, priority=5000)
    cluster.update(6, caller=ADMIN, site_factor=-20)
    cluster.clock.advance(3600)
    assert (cluster.clock.now - cluster.job(1).submitted_at) // US == 25 * 3600
    return cluster

"""A pass tries out only so much: without that bound it finds what is found by the plain way, and with it
everybody has a turn."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.preempt import search
from packhorse.scheduler.core.preempt.looks import AGAIN_US
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AccountsDelta, PreemptMode
from packhorse.scheduler.model.cluster import PreemptBy, Preemption
from packhorse.scheduler.model.input import RunCycle
from packhorse.scheduler.model.job import Active
from tests.core.accounts.limits import ANN, BOB, EVE, a_tree, change
from tests.core.preempt.cluster_of import FAST, HIGH, LOW, a_qos, yielding
from tests.core.preempt.plainly import PlainTakeBack
from tests.core.scenario import Cluster, a_cluster, a_config

NO_END = 1 << 40
ACCOUNTS = ("chem", "bio", "maths", "oil", "gas")


def lending(chance: Random) -> Cluster:
    """Two levels of quotas on a few nodes, some with devices, and QOS and a tier that preempt."""
    mode = chance.choice([PreemptMode.REQUEUE, PreemptMode.CANCEL, PreemptMode.SUSPEND])
    kind = chance.choice([PreemptBy.NONE, PreemptBy.QOS, PreemptBy.BOTH])
    preemption = Preemption(
        kind, mode, exempt_s=chance.choice([0, 0, 100]), max_victims=chance.choice([3, 100])
    )
    config = a_config(preemption=preemption, others=(FAST,), backfill_depth=chance.choice([0, 1, 3]))
    cluster = a_cluster(chance.randint(2, 5), 8, gpus=chance.choice([0, 2]), config=config)
    borrow = {"borrow": chance.choice(["cpu=2", "cpu=8,mem=9G"])} if chance.random() < 0.3 else {}
    a_tree(
        cluster,
        science={"quota": "cpu=14"},
        firms={"quota": "cpu=8"},
        chem={"parent": "science", "quota": "cpu=4,mem=4G"},
        bio={"parent": "science", "quota": "cpu=6,mem=6G", **borrow},
        maths={"parent": "science", "quota": "cpu=4"},
        oil={"parent": "firms", "quota": "cpu=4"},
        gas={"parent": "firms", "quota": "cpu=4"},
    )
    change(cluster, AccountsDelta(qos=(a_qos(LOW, grace_s=5), a_qos(HIGH, LOW, "normal"))))
    return cluster


def some_work(chance: Random) -> dict[str, Any]:
    what: dict[str, Any] = {
        "cpus": chance.choice([1, 1, 2, 4, 8]),
        "mem_mib": chance.choice([0, 1_000, 3_000]),
        "account": chance.choice(ACCOUNTS),
        "caller": chance.choice([ANN, BOB, EVE]),
        "qos": chance.choice([LOW, "normal", "normal", HIGH]),
        "partition": chance.choice(["main", "main", "fast"]),
        "time_limit_s": chance.choice([60, 600, 6_000]),
    }
    if chance.random() < 0.2:
        what["nodes"] = 2
    if chance.random() < 0.2:
        what["gpus"] = 1
    if chance.random() < 0.1:
        what["exclusive"] = True
    return what


def plan_of(state: State, cluster: Cluster) -> tuple[Any, ...]:
    found = cycle.plan(state, cluster.clock.now)
    return found.grants, found.planned, found.more, found.evictions


def test_the_search_finds_what_the_plain_way_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """On small clusters, pass after pass; the plain way has a state read back, which remembers nothing."""
    monkeypatch.setattr(search, "_EFFORT", NO_END)
    n_back = n_other = 0
    for seed in range(40):
        chance = Random(seed)
        cluster = lending(chance)
        for _ in range(14):
            for _ in range(chance.choice([0, 1, 3])):
                cluster.try_submit(count=chance.choice([1, 2, 5]), **some_work(chance))
            again = load(dump(cluster.state.freeze()))
            with monkeypatch.context() as patched:
                patched.setattr(search, "TakeBack", PlainTakeBack)
                plainly = plan_of(again, cluster)
            assert plan_of(cluster.state, cluster) == plainly, seed
            n_back += sum(one.why.startswith("gave back") for one in plainly[3])
            n_other += sum(not one.why.startswith("gave back") for one in plainly[3])
            cluster.run_cycle()
            for job in [job for job in cluster.state.jobs.values() if isinstance(job.phase, Active)]:
                assert isinstance(job.phase, Active)
                if job.phase.ending is not None:
                    cluster.exit(job.id, signal=15)
                elif not job.phase.started_at:
                    cluster.start(job.id)
                elif chance.random() < 0.1:
                    cluster.exit(job.id)
            cluster.clock.advance(chance.choice([1, 30, 90]))
    assert n_back > 60 and n_other > 15, "there was something to find"


@pytest.mark.parametrize("effort", [1, 40])
def test_with_little_effort_all_have_room_made_for_them_all_the_same(
    monkeypatch: pytest.MonkeyPatch, effort: int
) -> None:
    """A row or two in each pass, and the next one at once; no more victims than with all effort."""
    monkeypatch.setattr(search, "_EFFORT", effort)
    cluster = yielding(nodes=6, cpus=2)
    low = [cluster.submit(cpus=2, qos=LOW, time_limit_s=100_000) for _ in range(6)]
    cluster.run(*low)
    cluster.clock.advance(1000)
    high = [cluster.submit(cpus=2, qos=HIGH, time_limit_s=1000 + 60 * i) for i in range(6)]
    n, more = 0, True
    while more:
        decision = cluster.do(RunCycle())
        n, more = n + 1, decision.more
        assert n < 20
    assert n > 2, "that was too much for one pass"
    assert sorted(cluster.active(job).ending_for for job in low) == sorted(high)


def in_vain(n: int) -> tuple[Cluster, int, int, int]:
    """Low jobs hold half of a node, others the rest and all of the second but one CPU. Rows that nobody can
    help want whole nodes, each another amount of memory; behind them one wants what the low job has. Also the
    last: a job on the second node that comes and goes."""
    cluster = yielding(nodes=2, cpus=4, fields={"backfill_depth": 0})
    low = cluster.submit(cpus=2, qos=LOW, time_limit_s=100_000)
    cluster.run(low)
    for cpus in (2, 3):
        cluster.run(cluster.submit(cpus=cpus, time_limit_s=100_000))
    guest = cluster.submit(cpus=1, time_limit_s=100_000)
    cluster.run(guest)
    cluster.clock.advance(1000)
    for i in range(n):
        cluster.submit(cpus=4, mem_mib=100 + i, qos=HIGH, time_limit_s=1000)
    return cluster, low, cluster.submit(cpus=2, qos=HIGH, time_limit_s=1000), guest


def test_nobody_starves_behind_rows_that_cost_all_effort_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though something changes before each pass, so that all would have to be looked at again."""
    monkeypatch.setattr(search, "_EFFORT", 1)
    cluster, low, mine, guest = in_vain(8)
    n = 0
    while cluster.state_of(low) == "RUNNING":
        cluster.exit(guest)
        guest = cluster.submit(cpus=1, qos=HIGH, time_limit_s=100_000)
        assert guest in cluster.run_cycle()
        cluster.start(guest)
        cluster.clock.advance(1)
        n += 1
        assert n <= 10, "its turn never comes"
    assert n > 4, "one pass does not come to all"
    assert cluster.active(low).ending_for == mine


def test_passes_end_when_all_was_looked_at_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pass follows another for ever; time alone has them look again."""
    monkeypatch.setattr(search, "_EFFORT", 1)
    cluster, low, mine, _ = in_vain(8)
    cluster.cancel(mine)
    n, more = 0, True
    while more:
        more = cluster.do(RunCycle()).more
        n += 1
        assert n < 20
    assert n >= 8
    assert cluster.state_of(low) == "RUNNING"
    assert not cluster.do(RunCycle()).more
    at = cluster.state.preempting.wake_at
    assert cluster.clock.now < at <= cluster.clock.now + AGAIN_US

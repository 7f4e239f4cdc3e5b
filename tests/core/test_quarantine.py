"""A policy that raises: for one job, for some, for all, once; the loop goes on in every case."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from packhorse.scheduler.core import orders
from packhorse.scheduler.core.decision import Decision
from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.orders import Order, Waiting
from packhorse.scheduler.core.packing.policies import POLICIES
from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy, Scores, Sight, Want
from packhorse.scheduler.core.quarantine import RETRY_S, SAFE_POLICY, error_text
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.model.event import Configured, JobQuarantined
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import Caller, RunCycle
from packhorse.scheduler.model.job import Held, Pending
from packhorse.scheduler.model.reply import RefusalCode
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster, a_config

Raises = Callable[[Want], bool]


class Fragile:
    """Best fit by CPUs, but for asks that it cannot bear. calls: how often it was asked."""

    relative = False

    def __init__(self, raises: Raises) -> None:
        self.raises = raises
        self.calls = 0

    def phase(self, fill: float) -> int:
        return 0

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        self.calls += 1
        if self.raises(want):
            raise ZeroDivisionError(f"no share of\n{want.cpu_milli} milli-CPU")
        return sight.cpu, np.zeros_like(sight.cpu)


class Policies:
    """Put into the table by name for as long as a test lasts."""

    def __init__(self) -> None:
        self.scorer = Fragile(lambda want: False)

    def make(self, ground: Ground, mix: Mix) -> Fragile:
        return self.scorer


@pytest.fixture
def fragile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Policies]:
    policies = Policies()
    policy = Policy("fragile", "breaks", policies.make)
    monkeypatch.setitem(POLICIES, "fragile", policy)
    yield policies


def a_fragile_cluster(**config: object) -> Cluster:
    return a_cluster(nodes=2, cpus=8, config=a_config(policy="fragile", **config))


def cycle(cluster: Cluster) -> Decision:
    return cluster.do(RunCycle())


def running(cluster: Cluster, *jobs: int) -> list[bool]:
    return [cluster.state_of(job) == "CONFIGURING" for job in jobs]


def test_one_job_is_set_aside_and_the_others_start(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: want.cpu_milli == 3_000
    cluster = a_fragile_cluster()
    first, bad, last = (cluster.submit(cpus=n) for n in (1, 3, 2))
    decision = cycle(cluster)
    assert running(cluster, first, bad, last) == [True, False, True]
    error = "ZeroDivisionError: no share of 3000 milli-CPU"
    assert [event for event in decision.events if isinstance(event, JobQuarantined)] == [
        JobQuarantined(cluster.clock.now, bad, error)
    ]
    assert decision.trouble is not None
    assert (decision.trouble.kind, decision.trouble.error, decision.trouble.jobs) == ("jobs", error, (bad,))
    assert "in scores" in decision.trouble.trace
    phase = cluster.job(bad).phase
    assert isinstance(phase, Pending) and (phase.held, phase.error) == (Held.QUARANTINED, error)
    assert cluster.reason_of(bad) is Reason.QUARANTINED and Reason.QUARANTINED.value == "Quarantined"
    (why,) = explain(cluster.state, bad, cluster.clock.now)
    assert error in why.sentence and f"`scontrol release {bad}`" in why.sentence
    assert cycle(cluster).trouble is None
    assert cluster.replayed() == cluster.state


def test_all_jobs_of_the_kind_that_was_looked_at_are_set_aside_together(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: want.cpu_milli == 3_000
    cluster = a_fragile_cluster()
    good = [cluster.submit(cpus=1) for _ in range(4)]
    bad = [cluster.submit(cpus=3) for _ in range(3)]
    array = cluster.submit_array("1-5", cpus=3)
    assert cluster.run_cycle() == good
    assert [cluster.reason_of(id) for id in (*bad, array)] == [Reason.QUARANTINED] * 4
    assert fragile.scorer.calls < 30


def test_only_an_administrator_lets_it_try_again(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: want.cpu_milli == 3_000
    cluster = a_fragile_cluster()
    cluster.submit(cpus=1)
    bad = cluster.submit(cpus=3)
    cycle(cluster)
    (outcome,) = cluster.release(bad)
    assert outcome.code is RefusalCode.DENIED and "an administrator may release it" in outcome.message
    cluster.hold(bad, caller=Caller(USER))  # which would make it the owner's to release
    (outcome,) = cluster.release(bad)
    assert outcome.code is RefusalCode.DENIED
    fragile.scorer.raises = lambda want: False
    assert [outcome.code for outcome in cluster.release(bad, caller=ADMIN)] == [None]
    phase = cluster.job(bad).phase
    assert isinstance(phase, Pending) and phase.error == ""
    assert cluster.run_cycle() == [bad]
    cluster.cancel(bad)


def test_it_may_be_cancelled(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: want.cpu_milli == 3_000
    cluster = a_fragile_cluster()
    cluster.submit(cpus=1)
    bad = cluster.submit(cpus=3)
    cycle(cluster)
    cluster.cancel(bad)
    assert cluster.state_of(bad) == "CANCELLED"


def test_what_fails_once_is_tried_again_at_once(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: fragile.scorer.calls == 1
    cluster = a_fragile_cluster()
    jobs = [cluster.submit(cpus=n) for n in (1, 2)]
    decision = cycle(cluster)
    assert running(cluster, *jobs) == [True, True]
    assert decision.trouble is not None and decision.trouble.kind == "once"
    assert cluster.state.fallback is None


@pytest.mark.parametrize("cpus", [(1,), (1, 1, 1), (1, 2), (1, 2, 3, 1, 2)])
def test_a_policy_that_fails_for_all_is_replaced_and_nobody_is_set_aside(
    fragile: Policies, cpus: tuple[int, ...]
) -> None:
    fragile.scorer.raises = lambda want: True
    cluster = a_fragile_cluster()
    jobs = [cluster.submit(cpus=n) for n in cpus]
    decision = cycle(cluster)
    assert running(cluster, *jobs) == [True] * len(jobs)
    assert decision.trouble is not None and decision.trouble.kind == "policy"
    broken = cluster.state.fallback
    assert broken is not None and broken.since == cluster.clock.now
    assert broken.error.startswith("ZeroDivisionError: no share of")
    # For a while it is not asked at all, then again, and when it works it is used again.
    n = fragile.scorer.calls
    cluster.submit()
    assert len(cluster.run_cycle()) == 1 and fragile.scorer.calls == n
    cluster.clock.advance(RETRY_S)
    cluster.submit()
    assert len(cluster.run_cycle()) == 1 and fragile.scorer.calls > n
    assert cluster.state.fallback is not None and cluster.state.fallback.since == broken.since
    cluster.clock.advance(RETRY_S)
    fragile.scorer.raises = lambda want: False
    cluster.submit()
    assert len(cluster.run_cycle()) == 1 and cluster.state.fallback is None


def test_a_new_configuration_gives_the_policy_its_chance(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: True
    cluster = a_fragile_cluster()
    cluster.submit()
    cycle(cluster)
    assert cluster.state.fallback is not None
    from packhorse.scheduler.core.apply import apply

    apply(cluster.state, Configured(cluster.clock.now, cluster.state.config))
    assert cluster.state.fallback is None


def an_order(monkeypatch: pytest.MonkeyPatch, key: Callable[[Waiting], np.ndarray]) -> None:
    monkeypatch.setitem(orders.ORDERS, "fragile", Order("fragile", "breaks", True, key))


def test_one_job_that_breaks_the_order_is_found_among_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is made of all at once, so nobody is looked at when it fails: the queue is halved."""
    n_calls = 0

    def key(w: Waiting) -> np.ndarray:
        nonlocal n_calls
        n_calls += 1
        if (w.cpus == 7).any():
            raise ValueError("seven")
        return w.run_s

    an_order(monkeypatch, key)
    cluster = a_cluster(nodes=1, cpus=8, config=a_config(order="fragile"))
    good = [cluster.submit(cpus=9 - 1, time_limit_s=60 + n) for n in range(50)]
    bad = cluster.submit(cpus=7)
    more = [cluster.submit(cpus=8, time_limit_s=60 + n) for n in range(50)]
    assert cluster.run_cycle() == [good[0]]
    assert cluster.reason_of(bad) is Reason.QUARANTINED
    assert n_calls < 40
    assert all(cluster.state_of(job) == "PENDING" for job in more)


def test_an_order_that_always_fails_is_replaced_by_first_come_first_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key(w: Waiting) -> np.ndarray:
        raise ValueError("no order")

    an_order(monkeypatch, key)
    cluster = a_cluster(nodes=1, cpus=1, config=a_config(order="fragile"))
    jobs = [cluster.submit() for _ in range(5)]
    assert cluster.run_cycle() == [jobs[0]]
    assert cluster.state.fallback is not None
    assert not any(isinstance(event, JobQuarantined) for event in cluster.log)


def test_requests_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the policy's fault but ours: the job is set aside all the same."""
    from packhorse.scheduler.core.cycle import Cycle

    real = Cycle._request

    def broken(self: Cycle, code: int, *more: int):  # type: ignore[no-untyped-def]
        found = self.pending.classes[code]
        if found is not None and found.ask.cpu_milli_per_task == 3_000:
            raise KeyError("no such thing")
        return real(self, code, *more)

    monkeypatch.setattr(Cycle, "_request", broken)
    cluster = a_cluster(nodes=2, cpus=8)
    good, bad, other = cluster.submit(cpus=1), cluster.submit(cpus=3), cluster.submit(cpus=2)
    assert cluster.run_cycle() == [good, other]
    assert cluster.reason_of(bad) is Reason.QUARANTINED


def test_a_single_job_that_nothing_helps_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    from packhorse.scheduler.core.cycle import Cycle

    def broken(self: Cycle, code: int, *more: int) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr(Cycle, "_request", broken)
    cluster = a_cluster(nodes=2, cpus=8)
    cluster.submit(cpus=1)
    with pytest.raises(KeyError):
        cycle(cluster)


def test_with_running_jobs_that_make_room(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: want.cpu_milli == 3_000
    cluster = a_fragile_cluster(order="srtf", preempt="order")
    first, bad, last = (cluster.submit(cpus=n) for n in (1, 3, 2))
    cycle(cluster)
    assert running(cluster, first, bad, last) == [True, False, True]
    assert cluster.reason_of(bad) is Reason.QUARANTINED


def test_an_error_is_one_line() -> None:
    assert error_text(ValueError("a\n b" + "x" * 1000)).startswith("ValueError: a bxxx")
    assert len(error_text(ValueError("x" * 1000))) == 300
    assert error_text(RuntimeError()) == "RuntimeError:"


def test_job_ids_are_those_of_the_queue(fragile: Policies) -> None:
    fragile.scorer.raises = lambda want: want.cpu_milli == 3_000
    cluster = a_fragile_cluster()
    cluster.submit(cpus=1)
    array = cluster.submit_array("1-3%1", cpus=3)
    cycle(cluster)
    held = cluster.state.arrays[JobId(array)].phase
    assert held.held is Held.QUARANTINED


def test_while_the_plainest_policy_decides_jobs_that_it_cannot_bear_are_set_aside(
    fragile: Policies, monkeypatch: pytest.MonkeyPatch
) -> None:
    fragile.scorer.raises = lambda want: True
    cluster = a_fragile_cluster()
    cluster.submit(cpus=1)
    cycle(cluster)
    assert cluster.state.fallback is not None
    plainest = Fragile(lambda want: want.cpu_milli == 3_000)
    monkeypatch.setitem(
        POLICIES, SAFE_POLICY, Policy(SAFE_POLICY, "breaks too", lambda ground, mix: plainest)
    )
    bad, good = cluster.submit(cpus=3), cluster.submit(cpus=2)
    assert cluster.run_cycle() == [good]
    assert cluster.reason_of(bad) is Reason.QUARANTINED

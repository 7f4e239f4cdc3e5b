"""The order "packhorse": predictions, quiet hours, headroom and turns, by hand and on small clusters."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.batch.estimates import predicted
from packhorse.scheduler.core.batch.headroom import holds
from packhorse.scheduler.core.batch.hours import Hours
from packhorse.scheduler.core.batch.samples import ALL, OWN, Samples
from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.past import PastChunk
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.rebuild import rebuild
from packhorse.scheduler.core.snapshot import AnyChunk, End, dump, load
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.model.cluster import Batch, ClusterConfig
from packhorse.scheduler.model.errors import StoreDamaged
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Caller, RegisterNode, RunCycle, Start
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.units import format_elapsed
from tests.core.scenario import NOON, OTHER, USER, Cluster, a_node

HOUR = 3600 * US


def a_cluster(cpus: int = 10, gpus: int = 0, **batch: float) -> Cluster:
    given = {"reserve": 0.0, "wide": 2.0, **batch}
    config = ClusterConfig(order="packhorse", batch=Batch(**given))  # type: ignore[arg-type]
    cluster = Cluster(config)
    cluster.register(a_node(cpus=cpus, gpus=gpus))
    return cluster


def one(samples: Samples, uid: int, limit_s: float) -> tuple[float, float]:
    mean, rate = predicted(samples, np.array([uid]), np.array([limit_s]))
    return float(mean[0]), float(rate[0])


# -- what is expected --------------------------------------------------------------------------------------


def test_nothing_known_is_the_limit() -> None:
    assert one(Samples(), 1, 200.0) == (200.0, 1 / 200)
    assert one(Samples(), 1, 4.0) == (4.0, 1 / 10)


def test_samples_of_the_user_weigh_by_how_alike_limits_are() -> None:
    samples = Samples()
    samples.add(1, 100 * US, 50 * US)
    samples.add(2, 100 * US, 100 * US)
    # Anybody: 0.5 and 1 of 200 s, together of weight 1. Own: half of 200 s, weight 100/200.
    mean, rate = one(samples, 1, 200.0)
    assert mean == pytest.approx((150 + 0.5 * 100) / 1.5)
    assert rate == pytest.approx(((1 / 100 + 1 / 200) / 2 + 0.5 / 100) / 1.5)
    assert one(samples, 3, 200.0)[0] == pytest.approx(150)


def test_exact_limits_stay_exact() -> None:
    samples = Samples()
    for limit_s in (10, 500, 70_000):
        samples.add(1, limit_s * US, limit_s * US)
    mean, rate = one(samples, 1, 300.0)
    assert mean == pytest.approx(300.0)
    assert rate == pytest.approx(1 / 300)


def test_a_job_without_limit_counts_as_a_day_and_memory_is_bounded() -> None:
    samples = Samples()
    samples.add(1, 0, 43_200 * US)
    assert one(samples, 1, 100.0)[0] == pytest.approx(50.0)
    for _ in range(1000):
        samples.add(1, 100 * US, 100 * US)
    assert len(samples.shares) == ALL
    assert len(samples.own(1)) == OWN


# -- room and hours ----------------------------------------------------------------------------------------


def test_hold_grows_with_the_expected_run() -> None:
    mean = np.array([10.0, 100.0, 1000.0, 1e6])
    left, much = np.full(4, 90.0), np.full(4, 1e9)
    assert holds(0.2, 1000.0, mean, 10.0, much, left).tolist() == [0, 6, 12, 18]
    assert holds(0.2, 1000.0, mean, 10.0, np.full(4, 500.0), left).tolist() == [0, 6, 0, 0]
    assert holds(0.2, 1000.0, mean, 10.0, much, np.zeros(4)).tolist() == [0, 0, 0, 0]


def test_hours_are_alike_until_something_is_known() -> None:
    hours = Hours()
    at = Instant(9 * HOUR + 5)
    assert hours.quiet_from(at, 3600.0, 0, 0.0, 0.0) == at


def test_a_quiet_hour_is_found_and_given_up_in_time() -> None:
    hours = Hours()
    for day in range(7):
        for hour in range(24):
            hours.see((day * 24 + hour) * HOUR, 100 if 8 <= hour < 18 else 1)
    morning = Instant(7 * 24 * HOUR + 9 * HOUR)
    evening = Instant(morning + 9 * HOUR)
    assert hours.quiet_from(morning, 3600.0, morning, 0.2, 0.0) == evening
    assert hours.quiet_from(evening, 3600.0, morning, 0.2, 0.0) == evening
    # Whoever waits long enough takes any hour.
    assert hours.quiet_from(morning, 3600.0, morning - 10 * HOUR, 0.2, 0.1 / HOUR) == morning


# -- turns -------------------------------------------------------------------------------------------------


def test_smallest_expected_work_first() -> None:
    cluster = a_cluster(cpus=4)
    long = cluster.submit(cpus=4, time_limit_s=50_000)
    wide = cluster.submit(cpus=4, time_limit_s=600)
    small = cluster.submit(cpus=1, time_limit_s=600)
    assert cluster.run_cycle()[0] == small
    cluster.start(small)
    cluster.clock.advance(600)
    cluster.exit(small)
    assert cluster.run_cycle() == [wide]
    assert long not in cluster.run_cycle()


def test_a_user_whose_jobs_are_short_goes_first() -> None:
    cluster = a_cluster(cpus=1)
    for owner, run_s in ((USER, 3600), (OTHER, 30)):
        for _ in range(5):
            job = cluster.submit(caller=Caller(owner), cpus=1, time_limit_s=3600)
            cluster.run(job)
            cluster.clock.advance(run_s)
            cluster.exit(job)
    blocker = cluster.submit(cpus=1, time_limit_s=3600)
    cluster.run(blocker)
    slow = cluster.submit(caller=Caller(USER), cpus=1, time_limit_s=3600)
    quick = cluster.submit(caller=Caller(OTHER), cpus=1, time_limit_s=3600)
    cluster.exit(blocker)
    assert cluster.run_cycle() == [quick]
    assert cluster.state_of(slow) == "PENDING"


def test_who_waited_too_long_goes_before_all() -> None:
    cluster = a_cluster(cpus=1, ageing_s=1000, guard=2.0)
    blocker = cluster.submit(cpus=1, time_limit_s=100_000)
    cluster.run(blocker)
    old = cluster.submit(cpus=1, time_limit_s=100_000)
    cluster.clock.advance(2001)
    small = cluster.submit(cpus=1, time_limit_s=1)
    cluster.exit(blocker)
    assert cluster.run_cycle() == [old]
    assert cluster.state_of(small) == "PENDING"


def test_priority_comes_before_turns() -> None:
    cluster = a_cluster(cpus=1)
    cluster.submit(cpus=1, time_limit_s=10)
    nice = cluster.submit(caller=Caller(USER, admin=True), cpus=1, time_limit_s=1000, priority=20_000)
    assert cluster.run_cycle() == [nice]


def with_small_ones(cluster: Cluster) -> None:
    """Small jobs that have just been seen, so that what is small is known."""
    cluster.submit(count=100, cpus=1, time_limit_s=60)
    while jobs := cluster.run_cycle():
        cluster.start(*jobs)
        cluster.clock.advance(60)
        for job in jobs:
            cluster.exit(job)


@pytest.mark.parametrize("of", ["cpus", "gpus"])
def test_long_jobs_leave_room(of: str) -> None:
    cluster = a_cluster(cpus=20, gpus=20, reserve=0.5, idle=0.3)
    with_small_ones(cluster)
    n_gpus = int(of == "gpus")
    for _ in range(40):
        cluster.submit(time_limit_s=100_000, gpus=n_gpus)
    # More than 6 of 20 free: any may start; then half of the other 19 has to stay free of long jobs.
    assert len(cluster.run_cycle()) == 14
    held = cluster.submit(time_limit_s=100_000, gpus=n_gpus)
    small = [cluster.submit(time_limit_s=60, gpus=n_gpus) for _ in range(8)]
    assert cluster.run_cycle() == small[:6]
    assert cluster.reason_of(held) == "Priority"
    rebuild(cluster.state)
    assert cluster.run_cycle() == []


def test_an_array_leaves_room_task_by_task() -> None:
    cluster = a_cluster(cpus=20, reserve=0.5)
    with_small_ones(cluster)
    cluster.submit_array("0-39", cpus=1, time_limit_s=100_000)
    assert len(cluster.run_cycle()) == 14
    assert cluster.run_cycle() == []


def late_by_day(cluster: Cluster) -> JobId:
    """A job of 9 of 10 CPUs that has waited for 1,200 s by day; few jobs come at night."""
    hours = cluster.state.arrivals.hours
    for hour in range(14 * 24 + 8):
        hours.see(hour * HOUR, 100 if 8 <= hour % 24 < 18 else 0)
    cluster.clock.now = Instant(NOON + (14 * 24 + 8) * HOUR)
    with_small_ones(cluster)
    blocker = cluster.submit(cpus=10, time_limit_s=1800)
    cluster.run(blocker)
    wide = cluster.submit(cpus=9, time_limit_s=3600)
    cluster.clock.advance(1200)
    cluster.exit(blocker)
    return wide


def test_a_late_job_of_full_width_waits_for_the_evening() -> None:
    cluster = a_cluster(cpus=10, ageing_s=1000, guard=1e6, wide=0.8, quiet=0.2, yielding=0.0)
    wide = late_by_day(cluster)
    assert cluster.run_cycle() == []
    planned = cluster.state.pending_columns.planned(wide)
    assert planned > cluster.clock.now
    assert (planned - NOON) % HOUR == 0
    cluster.clock.advance(3600)
    cluster.tick()
    assert next_timer(cluster.state) == cluster.state.batch.wake_at == planned
    # Others use the time up to then, and nobody runs into it.
    fits = cluster.submit(cpus=10, time_limit_s=600)
    too_long = cluster.submit(cpus=10, time_limit_s=100_000)
    assert cluster.run_cycle() == [fits]
    cluster.start(fits)
    cluster.clock.advance(60)
    cluster.exit(fits)
    cluster.clock.now = planned
    assert cluster.tick().more
    assert cluster.run_cycle() == [wide]
    assert cluster.state_of(too_long) == "PENDING"


def test_what_is_known_outlives_jobs_and_processes() -> None:
    cluster = Cluster(ClusterConfig(order="packhorse", min_job_age_s=0, max_finished_kept=0))
    cluster.register(a_node(cpus=4))
    for run_s in (5, 50, 500):
        job = cluster.submit(cpus=1, time_limit_s=1000)
        cluster.run(job)
        cluster.clock.advance(run_s)
        cluster.exit(job)
    cluster.submit_array("0-99", time_limit_s=70)
    cluster.pass_time(10)
    assert job not in cluster.state.jobs, "it was forgotten"
    for state in (load(dump(cluster.state.freeze())), cluster.replayed()):
        assert state == cluster.state
        samples = state.history.samples
        assert samples.own(USER.uid) == ((1000.0, 5.0), (1000.0, 50.0), (1000.0, 500.0))
        assert list(samples.shares) == [0.005, 0.05, 0.5]
        assert list(state.arrivals.recent) == [(USER.uid, 1000)] * 3 + [(USER.uid, 70)]
        assert sum(state.arrivals.hours.counts) == pytest.approx(4)
        assert state.usage.used(cluster.clock.now)[USER.uid] == pytest.approx(555, rel=0.01)


def test_states_that_did_not_hold_it_teach_what_their_ended_jobs_do() -> None:
    cluster = a_cluster(cpus=4)
    for run_s in (5, 50):
        job = cluster.submit(cpus=1, time_limit_s=1000)
        cluster.run(job)
        cluster.clock.advance(run_s)
        cluster.exit(job)
    chunks = [msgspec.msgpack.decode(chunk, type=AnyChunk) for chunk in dump(cluster.state.freeze())]
    end = chunks[-1]
    assert isinstance(end, End) and end.n_past > 0
    older = [chunk for chunk in chunks[:-1] if not isinstance(chunk, PastChunk)]
    older += [End(end.n_jobs, end.n_arrays, end.n_nodes, end.n_finished, end.n_answered)]
    state = load(map(msgspec.msgpack.encode, older))
    assert state.history == cluster.state.history
    assert state.usage.used(cluster.clock.now) == pytest.approx(cluster.state.usage.used(cluster.clock.now))
    with pytest.raises(StoreDamaged):
        load(map(msgspec.msgpack.encode, [*older[:-1], end]))


def test_a_new_process_decides_as_the_one_before_would_have() -> None:
    """The state goes on, as in a replay of inputs, or is read from the store: equal decisions."""
    cluster = a_cluster(cpus=10, reserve=0.5, ageing_s=1000, wide=0.8)
    with_small_ones(cluster)
    for cpus, limit_s in ((9, 5000), (1, 600), (3, 50_000), (2, 40), (10, 900)) * 4:
        cluster.submit(cpus=cpus, time_limit_s=limit_s)
    began = cluster.run_cycle()
    cluster.start(*began)
    cluster.clock.advance(300)
    cluster.exit(began[0])
    again = load(dump(cluster.state.freeze()))
    start = Start(cluster.state.config)
    for state in (again, cluster.state):
        for input in (start, RegisterNode(a_node(cpus=10), "boot-0", Offer(2, 10_000, 16_000))):
            for event in step(state, input, cluster.clock.now).events:
                apply(state, event)
    assert again == cluster.state
    for seconds in (0, 900, 4000):
        now = Instant(cluster.clock.now + seconds * US)
        assert step(again, RunCycle(), now) == step(cluster.state, RunCycle(), now)


# -- why ---------------------------------------------------------------------------------------------------


def sentences(cluster: Cluster, job: JobId) -> list[str]:
    found = explain(cluster.state, job, cluster.clock.now)
    assert {why.reason for why in found} == {Reason.PRIORITY}
    return [why.sentence for why in found]


@pytest.mark.parametrize(("of", "what"), [("cpus", "CPUs"), ("gpus", "devices")])
def test_it_is_said_for_whom_a_job_leaves_room(of: str, what: str) -> None:
    cluster = a_cluster(cpus=20, gpus=20, reserve=0.5, idle=0.3)
    with_small_ones(cluster)
    n_gpus = int(of == "gpus")
    jobs = [cluster.submit(time_limit_s=100_000, gpus=n_gpus) for _ in range(40)]
    assert cluster.run_cycle() == jobs[:14]
    cluster.start(*jobs[:14])
    cluster.run_cycle()
    kept = (
        f'kept back so that 9 {what} of partition "main" stay free for short jobs: it takes 1, and 6 are free'
    )
    first, second = jobs[14:16]
    assert cluster.reason_of(first) == Reason.RESOURCES, "it is the next one"
    (why,) = explain(cluster.state, first, cluster.clock.now)
    assert why.sentence.startswith(f"{kept}; as things stand it starts in ")
    assert cluster.reason_of(second) == Reason.PRIORITY
    assert sentences(cluster, second)[0] == kept
    assert sentences(cluster, second)[1].startswith('1 job is ahead in partition "main"')


def test_who_is_ahead_is_told_by_the_order_of_the_pass() -> None:
    cluster = a_cluster(cpus=4)
    cluster.run(cluster.submit(cpus=4, time_limit_s=60))
    long = cluster.submit(cpus=4, time_limit_s=50_000)
    cluster.submit(cpus=4, time_limit_s=600)
    assert [why.reason for why in explain(cluster.state, long, cluster.clock.now)] == [Reason.RESOURCES]
    cluster.run_cycle()
    assert sentences_of_all(cluster, long)[0].startswith('1 job is ahead in partition "main"')


def sentences_of_all(cluster: Cluster, job: JobId) -> list[str]:
    return [why.sentence for why in explain(cluster.state, job, cluster.clock.now)]


def test_it_is_said_that_a_job_waits_for_a_quiet_hour() -> None:
    cluster = a_cluster(cpus=10, ageing_s=1000, guard=1e6, wide=0.8, quiet=0.2, yielding=0.0)
    wide = late_by_day(cluster)
    assert cluster.run_cycle() == []
    (why,) = sentences(cluster, wide)
    left = cluster.state.pending_columns.planned(wide) - cluster.clock.now
    assert why == (
        'takes nearly all of partition "main", and waits for an hour in which few jobs come; '
        f"as things stand it starts in {format_elapsed(left // US)}"
    )

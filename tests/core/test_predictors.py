"""How long jobs are expected to run: by hand, in a cluster, after a restart, with another predictor."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.predictors import (
    PREDICTORS,
    STEPS_S,
    History,
    Kind,
    corrected_us,
    kind_of,
    predicted_us,
    predictor,
)
from packhorse.scheduler.core.running_columns import RunningColumns
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import Caller, RunCycle, Start
from packhorse.scheduler.model.job import JobState
from packhorse.scheduler.model.resources import Ask
from tests.core.scenario import NOON, OTHER, USER, Cluster, a_cluster, a_config, a_node, a_spec

ONE = Kind(1, 1000, 600 * US)


def seconds(us: int) -> float:
    return (us - NOON) / US


# -- by hand -----------------------------------------------------------------------------------------------


def test_the_mean_of_the_last_two() -> None:
    history = History()
    assert predicted_us("last2", history, ONE) == 0, "nobody knows"
    history.add(ONE, 100 * US)
    assert predicted_us("last2", history, ONE) == 100 * US
    history.add(ONE._replace(cpu_milli=4000), 40 * US)
    assert predicted_us("last2", history, ONE) == 70 * US
    history.add(ONE, 300 * US)
    assert predicted_us("last2", history, ONE) == 170 * US
    assert predicted_us("last2", history, ONE._replace(uid=2)) == 0
    assert predicted_us("limit", history, ONE) == 0


def test_jobs_that_are_alike_else_the_user() -> None:
    history = History()
    history.add(ONE, 100 * US)
    history.add(ONE, 200 * US)
    history.add(ONE._replace(cpu_milli=2000), 10 * US)
    assert predicted_us("like", history, ONE) == 150 * US
    assert predicted_us("like", history, ONE._replace(cpu_milli=2000)) == 10 * US
    assert predicted_us("like", history, ONE._replace(limit_us=1200 * US)) == 105 * US
    assert predicted_us("last2", history, ONE) == 105 * US


def test_never_above_the_limit_and_no_time_at_all_is_known_too() -> None:
    history = History()
    history.add(ONE, 900 * US)
    assert predicted_us("last2", history, ONE) == 600 * US
    assert predicted_us("last2", history, ONE._replace(limit_us=0)) == 900 * US
    history.add(ONE, 0)
    history.add(ONE, 0)
    assert 0 < predicted_us("last2", history, ONE) < US


def test_history_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packhorse.scheduler.core.predictors._MOST", 6)
    history = History()
    for uid in range(100):
        history.add(Kind(uid, 1000, 0), 5 * US)
        history.add(Kind(7, 1000, 0), uid * US)
    assert len(history._last) == 6
    assert history.mean_us(99) == 5 * US and history.mean_us(7) and not history.mean_us(50)


def test_corrections_grow_step_by_step() -> None:
    given, limit = 100 * US, 100_000 * US
    bounds, total = [], 100
    for more in STEPS_S:
        total += more
        bounds.append(total)
    assert bounds[:4] == [160, 460, 1360, 3160]
    for passed, expected in ((100, 160), (159, 160), (160, 460), (459, 460), (460, 1360), (1360, 3160)):
        assert corrected_us(passed * US, given, limit) == expected * US
    assert corrected_us(3160 * US, given, 3500 * US) == 3500 * US
    assert corrected_us(3600 * US, given, 3500 * US) > 3600 * US, "it was not stopped at its limit"
    far = corrected_us(10_000_000 * US, given, 0)
    assert (far // US - bounds[-1]) % STEPS_S[-1] == 0, "the last step again and again"


def test_a_correction_is_the_same_however_often_it_is_looked_at() -> None:
    chance = Random(1)
    for _ in range(50):
        once, often = RunningColumns(), RunningColumns()
        for columns in (once, often):
            columns.add(JobId(1), Instant(NOON + 50_000 * US), ())
            columns.expect(JobId(1), NOON, 100 * US)
        at = NOON
        while at < NOON + 20_000 * US:
            at = Instant(at + chance.randint(1, 4000) * US)
            often.correct(at)
            assert often.end(JobId(1)) > at
        once.correct(at)
        assert once.end(JobId(1)) == often.end(JobId(1))


def test_kinds_are_of_the_whole_job() -> None:
    spec = a_spec(cpus=2, nodes=3, time_limit_s=60)
    assert kind_of(5, spec) == Kind(5, 6000, 60 * US)
    wide = replace(spec, ask=Ask(n_tasks=1, min_nodes=2, min_cpu_milli_per_node=4000))
    assert kind_of(5, wide).cpu_milli == 8000


def test_unknown_predictors() -> None:
    with pytest.raises(BadValue, match='predictor "oracle" is not known; there are last2, like, limit'):
        predictor("oracle")
    assert predicted_us("oracle", History(), ONE) == 0
    assert all(found.summary for found in PREDICTORS.values())


# -- in a cluster ------------------------------------------------------------------------------------------


def experienced(predictor: str = "last2", **config: Any) -> Cluster:
    """Its user's jobs of an hour have run for 100 and for 200 seconds."""
    cluster = a_cluster(cpus=2, config=a_config(predictor=predictor, min_job_age_s=100_000, **config))
    for run_s in (100, 200):
        job = cluster.submit(cpus=2, time_limit_s=3600)
        cluster.run(job)
        cluster.pass_time(run_s)
        cluster.exit(job)
    return cluster


def restarted(cluster: Cluster, predictor: str) -> None:
    cluster.do(Start(replace(cluster.state.config, predictor=predictor)))
    cluster.register(a_node("n1", 2))


def planned(cluster: Cluster, job: int) -> float:
    """Seconds from now to its planned start, -1 for none."""
    at = cluster.state.pending_columns.planned(JobId(job))
    return (at - cluster.clock.now) / US if at else -1


def test_a_planned_start_by_what_is_expected_and_its_corrections() -> None:
    cluster = experienced()
    runs = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.run(runs)
    waits = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.run_cycle()
    assert planned(cluster, waits) == 150
    cluster.pass_time(149)
    cluster.run_cycle()
    assert planned(cluster, waits) == 1
    cluster.pass_time(1)
    cluster.run_cycle()
    assert planned(cluster, waits) == 60
    cluster.pass_time(60)
    cluster.run_cycle()
    assert planned(cluster, waits) == 300
    cluster.pass_time(3000)
    cluster.run_cycle()
    assert planned(cluster, waits) == 3600 - 3210, "at its limit at last"


def test_nobody_is_stopped_for_running_longer_than_expected() -> None:
    cluster = experienced()
    job = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.run(job)
    cluster.pass_time(3599)
    assert cluster.state_of(job) == "RUNNING"
    cluster.pass_time(1)
    assert cluster.active(job).ending is not None


def test_what_is_expected_counts_from_the_start() -> None:
    cluster = experienced()
    job = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.run_cycle()
    cluster.pass_time(20)
    cluster.start(job)
    waits = cluster.submit(cpus=2)
    cluster.run_cycle()
    assert planned(cluster, waits) == 150


def test_users_are_told_apart_and_short_jobs_go_first() -> None:
    cluster = experienced(order="sjf")
    blocker = cluster.submit(cpus=2, time_limit_s=50)
    cluster.run(blocker)
    long = cluster.submit(cpus=2, time_limit_s=1000, caller=Caller(OTHER))
    short = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.exit(blocker)
    assert cluster.run_cycle() == [short], f"{long} may run for less, but nobody knows its user"


def test_tasks_of_an_array_are_expected_too() -> None:
    cluster = experienced()
    array = cluster.submit_array("0-3", cpus=2, time_limit_s=3600)
    cluster.run_cycle()
    assert planned(cluster, array) == 150
    task = cluster.task(array, 0)
    cluster.start(task)
    cluster.pass_time(10)
    cluster.exit(task)
    cluster.run_cycle()
    cluster.run_cycle()
    assert planned(cluster, array) == 105, "200 and 10 are the last two now"
    assert cluster.state.pending_columns.expected(array) == 105 * US


def test_another_predictor_counts_for_all_at_once() -> None:
    cluster = experienced("limit")
    runs = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.run(runs)
    waits = cluster.submit(cpus=2, time_limit_s=3600)
    behind = cluster.submit_array("0-1", cpus=2, time_limit_s=3600)
    cluster.run_cycle()
    assert planned(cluster, waits) == 3600
    for name, expected in (("last2", 150), ("limit", 3600), ("like", 150), ("limit", 3600)):
        restarted(cluster, name)
        cluster.run_cycle()
        assert planned(cluster, waits) == expected, name
        for id in (waits, behind):
            assert cluster.state.pending_columns.expected(JobId(id)) == (150 * US if expected == 150 else 0)
    restarted(cluster, "last2")
    restarted(cluster, "limit")
    cluster.pass_time(1000)
    cluster.run_cycle()
    assert planned(cluster, waits) == 2600, "nothing of it is left"


def test_after_a_restart_the_same_is_expected() -> None:
    cluster = experienced("like")
    runs = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.run_cycle()
    cluster.pass_time(5)
    cluster.start(runs)
    waits = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.submit_array("0-9", cpus=1, time_limit_s=3600)
    cluster.run_cycle()
    cluster.pass_time(170)
    again = load(dump(cluster.state.freeze()))
    check(again)
    for state in (again, cluster.replayed(), cluster.state):
        step(state, RunCycle(), cluster.clock.now)
        assert state.pending_columns.expected(waits) == 150 * US
        assert seconds(state.running_columns.end(runs)) == 305 + 150 + 60
        assert seconds(state.pending_columns.planned(waits)) == 305 + 150 + 60


def test_a_stored_predictor_that_is_not_known_any_more_does_not_keep_the_state_from_being_read() -> None:
    cluster = experienced()
    cluster.run(cluster.submit(cpus=2, time_limit_s=3600))
    waits = cluster.submit(cpus=2, time_limit_s=3600)
    cluster.state.config = replace(cluster.state.config, predictor="oracle")
    again = load(dump(cluster.state.freeze()))
    assert again.pending_columns.expected(waits) == 0
    known = Start(replace(again.config, predictor="last2"))
    for event in step(again, known, cluster.clock.now).events:
        apply(again, event)
    assert again.pending_columns.expected(waits) == 150 * US


def test_a_job_that_was_requeued_is_expected_by_what_is_known_now() -> None:
    cluster = experienced()
    job = cluster.submit(cpus=2, time_limit_s=3600, requeue=True)
    cluster.run(job)
    cluster.pass_time(10)
    cluster.requeue(job)
    cluster.exit(job, signal=15)
    assert cluster.state.pending_columns.expected(job) == 150 * US, "what was cut short tells nothing"
    assert cluster.state.history.mean_us(USER.uid) == 150 * US


def test_what_a_failing_node_or_a_preemption_cut_short_tells_nothing() -> None:
    cluster = experienced()
    lost = cluster.submit(cpus=2, time_limit_s=3600, requeue=False)
    cluster.run(lost)
    cluster.pass_time(10)
    cluster.silence("n1")
    cluster.register("n1", reboot=True)
    assert cluster.state_of(lost) == "NODE_FAIL"
    assert cluster.state.history.mean_us(USER.uid) == 150 * US
    kind = kind_of(USER.uid, a_spec(cpus=2, time_limit_s=3600))
    for state in (JobState.NODE_FAIL, JobState.PREEMPTED, JobState.BOOT_FAIL):
        cluster.state.history.ended(USER.uid, a_spec(cpus=2, time_limit_s=3600), state, US)
        assert cluster.state.history.mean_us(kind) == 150 * US, state
    for n, state in enumerate((JobState.CANCELLED, JobState.TIMEOUT, JobState.FAILED), 1):
        cluster.state.history.ended(USER.uid, a_spec(cpus=2, time_limit_s=3600), state, n * 1000 * US)
        assert cluster.state.history.mean_us(kind) > 150 * US, state
        assert cluster.state.history.samples.own(USER.uid)[-1] == (3600.0, n * 1000.0)

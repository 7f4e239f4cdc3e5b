"""Jobs whose GPUs do nothing: warned, then stopped, and only for what was measured."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.cluster import GpuIdle, GpuIdleAction
from packhorse.scheduler.model.command import Signal, Terminate
from packhorse.scheduler.model.event import JobGpusBusy, JobGpusIdle
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.input import ReportGpus, SignalScope
from packhorse.scheduler.model.job import EndCause, Ended, WarnSignal
from tests.core.scenario import Cluster, a_cluster, a_config

HOUR = 3_600
POLICY = GpuIdle(True, warn_after_s=2 * HOUR, grace_s=600, action=GpuIdleAction.CANCEL)


def a_gpu_cluster(policy: GpuIdle = POLICY) -> Cluster:
    return a_cluster(gpus=2, config=a_config(gpu_idle=policy))


def a_job(cluster: Cluster, **what: object) -> int:
    """A job that runs on both GPUs."""
    job = cluster.submit(gpus=2, **what)  # type: ignore[arg-type]
    cluster.run(job)
    return job


def report(cluster: Cluster, job: int, idle_s: int | None) -> None:
    """Idle for so long by now; None: busy."""
    since = Instant(0) if idle_s is None else Instant(cluster.clock.now - idle_s * US)
    cluster.do(ReportGpus(cluster.active(job).attempt, since))


def idle_until_stopped(cluster: Cluster, job: int) -> None:
    """Warned after 2 h, stopped 10 min later."""
    cluster.pass_time(2 * HOUR)
    report(cluster, job, 2 * HOUR)
    cluster.pass_time(600)
    report(cluster, job, 2 * HOUR + 600)


def test_warned_then_stopped_with_the_reason() -> None:
    cluster = a_gpu_cluster()
    job = a_job(cluster, warn=WarnSignal(10, 60, True))
    cluster.pass_time(2 * HOUR)
    report(cluster, job, 2 * HOUR - 1)
    assert not cluster.active(job).gpus_warned_at
    report(cluster, job, 2 * HOUR)
    active = cluster.active(job)
    assert isinstance(cluster.log[-1], JobGpusIdle)
    assert active.gpus_idle_since == cluster.clock.now - 2 * HOUR * US
    assert cluster.sent[-1] == Signal(active.placements[0].node, active.attempt, 10, SignalScope.BATCH)
    cluster.pass_time(599)
    report(cluster, job, 2 * HOUR + 599)
    assert cluster.state_of(job) == "RUNNING"
    cluster.pass_time(1)
    report(cluster, job, 2 * HOUR + 600)
    assert cluster.state_of(job) == "COMPLETING"
    assert isinstance(cluster.sent[-1], Terminate)
    assert cluster.sent[-1].cause is EndCause.GPU_IDLE
    report(cluster, job, None)  # too late
    cluster.exit(job, 0, signal=15)
    end = cluster.job(job).phase
    assert isinstance(end, Ended)
    assert (end.state, end.reason, end.detail) == (
        "CANCELLED",
        "GpuIdle",
        "GPU idle for 2 h 10 min (limit 2 h)",
    )
    assert (cluster.rows[0].reason, cluster.rows[0].detail) == (end.reason, end.detail)
    assert cluster.replayed() == cluster.state == load(dump(cluster.state.freeze()))


def test_requeued_it_waits_held_until_released() -> None:
    cluster = a_gpu_cluster(GpuIdle(True, grace_s=600, action=GpuIdleAction.REQUEUE))
    job = a_job(cluster)
    idle_until_stopped(cluster, job)
    cluster.exit(job, 0, signal=15)
    assert cluster.state_of(job) == "PENDING"
    assert cluster.run_cycle() == []
    row = cluster.rows[0]
    assert (row.state, row.reason, row.detail) == (
        "REQUEUED",
        "GpuIdle",
        "GPU idle for 2 h 10 min (limit 2 h)",
    )
    cluster.release(job)
    assert cluster.run_cycle() == [job]
    assert not cluster.active(job).gpus_warned_at


def test_a_job_that_may_not_be_requeued_is_cancelled_instead() -> None:
    cluster = a_gpu_cluster(GpuIdle(True, grace_s=600, action=GpuIdleAction.REQUEUE))
    job = a_job(cluster, requeue=False)
    idle_until_stopped(cluster, job)
    cluster.exit(job, 0, signal=15)
    assert cluster.state_of(job) == "CANCELLED"


def test_only_a_warning_if_that_is_all_there_is_to_be() -> None:
    cluster = a_gpu_cluster(GpuIdle(True, grace_s=0))
    job = a_job(cluster)
    idle_until_stopped(cluster, job)
    assert cluster.active(job).gpus_warned_at
    assert cluster.state_of(job) == "RUNNING"


def test_busy_again_the_warning_is_void() -> None:
    cluster = a_gpu_cluster()
    job = a_job(cluster)
    cluster.pass_time(2 * HOUR)
    report(cluster, job, 2 * HOUR)
    report(cluster, job, None)
    assert isinstance(cluster.log[-1], JobGpusBusy)
    assert not cluster.active(job).gpus_warned_at
    cluster.pass_time(600)
    report(cluster, job, 600)
    assert cluster.state_of(job) == "RUNNING"


def test_a_break_in_what_was_measured_voids_the_warning() -> None:
    """Say, the scheduler was away: it knows of an idle span that began after the warning."""
    cluster = a_gpu_cluster()
    job = a_job(cluster)
    cluster.pass_time(2 * HOUR)
    report(cluster, job, 2 * HOUR)
    cluster.pass_time(3 * HOUR)
    report(cluster, job, HOUR)
    assert isinstance(cluster.log[-1], JobGpusBusy)
    assert cluster.state_of(job) == "RUNNING"


def test_time_alone_brings_nothing_about() -> None:
    cluster = a_gpu_cluster()
    job = a_job(cluster)
    cluster.pass_time(2 * HOUR)
    report(cluster, job, 2 * HOUR)
    n = len(cluster.log)
    cluster.pass_time(48 * HOUR)
    assert len(cluster.log) == n
    assert cluster.state_of(job) == "RUNNING"


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ({"enabled": False}, {}),
        ({"exempt_partitions": ("main",)}, {}),
        ({"exempt_users": ("mule",)}, {}),
        ({"exempt_accounts": ("thesis",)}, {"account": "thesis"}),
        ({}, {"idle_gpu_ok": True}),
    ],
)
def test_who_is_left_alone(policy: dict[str, object], what: dict[str, object]) -> None:
    given = {"enabled": True, "grace_s": 600, "action": GpuIdleAction.CANCEL, **policy}
    cluster = a_gpu_cluster(GpuIdle(**given))  # type: ignore[arg-type]
    job = a_job(cluster, **what)
    n = len(cluster.log)
    idle_until_stopped(cluster, job)
    assert len(cluster.log) == n


def test_reports_of_other_attempts_mean_nothing() -> None:
    cluster = a_gpu_cluster()
    job = a_job(cluster)
    old = cluster.active(job).attempt
    cluster.requeue(job)
    cluster.pass_time(2)
    cluster.exit(job, 0, signal=15)
    cluster.pass_time(5)
    cluster.run(job)
    n = len(cluster.log)
    cluster.pass_time(3 * HOUR)
    cluster.do(ReportGpus(old, Instant(cluster.clock.now - 3 * HOUR * US)))
    assert len(cluster.log) == n

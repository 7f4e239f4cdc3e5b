"""Suspended jobs: what they give back and what they keep, their clock, and every way out of that state."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core import suspend
from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.core.packing.board import CPU, MEM
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.step import next_timer
from packhorse.scheduler.model.cluster import GpuIdle, GpuIdleAction
from packhorse.scheduler.model.command import Continue, SetTimeLimit, Signal, Suspend, Terminate
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.event import JobResumed, JobSuspended
from packhorse.scheduler.model.ids import US, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    RegisterNode,
    ReportGpus,
    ReportOffer,
    ReportSuspension,
    ResumeJobs,
    RunningAttempt,
    SuspendJobs,
)
from packhorse.scheduler.model.job import Active, Ended, WarnSignal
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.reply import RefusalCode, Refused
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster, a_config, a_node


def free(cluster: Cluster, column: int, node: str = "n1") -> int:
    columns = cluster.state.node_columns
    return int(columns.free[column, columns.row_of[NodeName(node)]])


def running(cluster: Cluster, **what: object) -> int:
    job = cluster.submit(**what)  # type: ignore[arg-type]
    cluster.run(job)
    assert cluster.state_of(job) == "RUNNING"
    return job


def end_of(cluster: Cluster, job: int) -> Ended:
    phase = cluster.job(job).phase
    assert isinstance(phase, Ended)
    return phase


# -- amounts


def test_its_cpus_are_free_for_others_and_its_memory_and_devices_are_not() -> None:
    cluster = a_cluster(nodes=1, cpus=4, mem_mib=8_000, gpus=2)
    job = running(cluster, cpus=4, mem_mib=6_000, gpus=1)
    n = len(cluster.sent)
    assert [outcome.code for outcome in cluster.suspend(job)] == [None]
    assert cluster.state_of(job) == "SUSPENDED"
    assert cluster.sent_since(n) == [Suspend(NodeName("n1"), cluster.active(job).attempt)]
    assert (free(cluster, CPU), free(cluster, MEM)) == (4_000, 2_000)
    too_much = cluster.submit(cpus=1, mem_mib=3_000)
    both_gpus = cluster.submit(cpus=1, gpus=2)
    fits = cluster.submit(cpus=3, mem_mib=2_000, gpus=1)
    assert cluster.run_cycle() == [fits]
    assert (cluster.state_of(too_much), cluster.state_of(both_gpus)) == ("PENDING", "PENDING")


def test_it_goes_on_only_if_its_cpus_are_free() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    job = running(cluster, cpus=4)
    cluster.suspend(job)
    other = cluster.submit(cpus=2, nodes_required=(cluster.active(job).placements[0].node,))
    cluster.run(other)
    (refused,) = cluster.go_on(job)
    assert refused.code is RefusalCode.WRONG_STATE and refused.slurm == "Requested nodes are busy"
    assert refused.message == f"job {job} cannot go on: node n1 has 2 CPUs free, 4 needed"
    assert cluster.state_of(job) == "SUSPENDED"
    cluster.exit(other)
    n = len(cluster.sent)
    assert [outcome.code for outcome in cluster.go_on(job)] == [None]
    assert cluster.state_of(job) == "RUNNING"
    assert cluster.sent_since(n) == [Continue(NodeName("n1"), cluster.active(job).attempt)]
    assert free(cluster, CPU) == 0


def test_two_in_one_call_do_not_get_the_same_cpus() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    first = running(cluster, cpus=3)
    cluster.suspend(first)
    second = running(cluster, cpus=3)
    cluster.suspend(second)
    ok, refused = cluster.go_on(first, second)
    assert ok.code is None
    assert refused.message == f"job {second} cannot go on: node n1 has 1 CPU free, 3 needed"
    assert (cluster.state_of(first), cluster.state_of(second)) == ("RUNNING", "SUSPENDED")


def test_one_draft_may_take_turns() -> None:
    """As a policy does it: one is suspended and the other goes on, in the same step."""
    cluster = a_cluster(nodes=1, cpus=4)
    first = running(cluster, cpus=4)
    cluster.suspend(first)
    second = running(cluster, cpus=4)
    draft = Draft(cluster.state, cluster.clock.now)
    assert "0 CPUs free" in suspend.resume(draft, cluster.job(first), cluster.active(first))
    assert suspend.suspend(draft, cluster.job(second), cluster.active(second), for_job=JobId(first)) == ""
    assert suspend.resume(draft, cluster.job(first), cluster.active(first)) == ""
    for event in draft.events:
        apply(cluster.state, event)
    check(cluster.state)
    assert [type(event) for event in draft.events] == [JobSuspended, JobResumed]
    assert cluster.active(second).suspended_for == first
    assert (cluster.state_of(first), cluster.state_of(second)) == ("RUNNING", "SUSPENDED")


def test_one_that_wants_the_node_for_itself_shares_it_while_it_is_suspended() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.do(ReportOffer(NodeName("n1"), Offer(2, 2_000, 16_000)))
    alone = running(cluster, cpus=1, exclusive=True)
    cluster.do(ReportOffer(NodeName("n1"), Offer(3, 4_000, 16_000)))
    cluster.submit()
    assert cluster.run_cycle() == []
    cluster.suspend(alone)
    (guest,) = cluster.run_cycle()
    cluster.start(guest)
    (refused,) = cluster.go_on(alone)
    assert "on node n1 runs another job, it wants the node for itself" in refused.message
    cluster.suspend(guest)
    assert [outcome.code for outcome in cluster.go_on(alone)] == [None]
    (refused,) = cluster.go_on(guest)
    assert "on node n1 runs another job, which has the node for itself" in refused.message


def test_what_it_holds_is_no_release_to_plan_on_until_it_goes_on() -> None:
    """Its memory never becomes free as far as anybody knows; planned starts that need it are not shown."""
    cluster = a_cluster(nodes=1, cpus=4, mem_mib=8_000)
    job = running(cluster, cpus=4, mem_mib=8_000, time_limit_s=600)
    waits = cluster.submit(cpus=1, mem_mib=1_000, time_limit_s=60)
    cluster.run_cycle()
    planned = cluster.state.pending_columns.planned
    assert planned(waits) == cluster.active(job).end_by
    cluster.suspend(job)
    cluster.run_cycle()
    assert planned(waits) == 0
    cluster.clock.advance(100)
    cluster.go_on(job)
    cluster.run_cycle()
    assert planned(waits) == cluster.active(job).end_by


def test_licences_stay_held() -> None:
    cluster = Cluster(a_config(licenses=(("matlab", 1),)))
    cluster.register(a_node("n1", 4))
    job = running(cluster, licenses="matlab")
    cluster.suspend(job)
    waits = cluster.submit(licenses="matlab")
    assert cluster.run_cycle() == []
    cluster.exit(job)
    assert cluster.run_cycle() == [waits]


# -- time


def test_the_time_limit_stands_still() -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster, time_limit_s=100, warn=WarnSignal(10, 20))
    began = cluster.active(job).started_at
    cluster.pass_time(60)
    cluster.suspend(job)
    n = len(cluster.sent)
    cluster.pass_time(1_000)
    assert cluster.state_of(job) == "SUSPENDED" and cluster.sent_since(n) == []
    cluster.go_on(job)
    assert cluster.active(job).end_by == began + 1_100 * US
    cluster.pass_time(19)
    assert not cluster.active(job).warned
    cluster.pass_time(2)
    assert cluster.active(job).warned and any(isinstance(c, Signal) for c in cluster.sent_since(n))
    cluster.pass_time(18)
    assert cluster.state_of(job) == "RUNNING"
    cluster.pass_time(2)
    assert cluster.state_of(job) == "COMPLETING"
    cluster.exit(job, signal=15)
    assert cluster.state_of(job) == "TIMEOUT"
    assert cluster.rows[-1].suspended_us == 1_000 * US


def test_a_new_limit_counts_without_the_time_it_stood_still() -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster, time_limit_s=100)
    began = cluster.active(job).started_at
    cluster.pass_time(10)
    cluster.suspend(job)
    cluster.pass_time(50)
    cluster.go_on(job)
    cluster.suspend(job)
    cluster.pass_time(30)
    cluster.update(job, caller=ADMIN, time_limit_s=200)
    assert SetTimeLimit(NodeName("n1"), cluster.active(job).attempt, 200) in cluster.sent
    cluster.go_on(job)
    assert cluster.active(job).end_by == began + (200 + 50 + 30) * US
    cluster.exit(job)
    assert cluster.rows[-1].suspended_us == 80 * US


def test_nobody_is_charged_for_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = running(cluster, cpus=2, mem_mib=100, account="bio")
    cluster.pass_time(10)
    cluster.suspend(job)
    assert cluster.state.usage.held["bio"].cpu_milli == 0
    cluster.update(job, account="chem")
    assert "bio" not in cluster.state.usage.held
    assert cluster.state.usage.held["chem"].cpu_milli == 0
    assert cluster.state.usage.held[USER.uid].cpu_milli == 0
    cluster.pass_time(1_000)
    cluster.go_on(job)
    assert cluster.state.usage.held[USER.uid].cpu_milli == 2_000
    cluster.pass_time(5)
    cluster.exit(job)
    assert cluster.state.usage.used(cluster.clock.now)[USER.uid] == pytest.approx(30)
    assert end_of(cluster, job).ended_at - end_of(cluster, job).started_at == 1_015 * US


def test_a_requeued_job_has_run_for_as_long_as_it_ran() -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster)
    cluster.pass_time(10)
    cluster.suspend(job)
    cluster.pass_time(100)
    cluster.requeue(job)
    cluster.pass_time(2)
    cluster.exit(job, signal=15)
    assert cluster.job(job).ran_us == 12 * US  # those two in which it took its leave
    assert cluster.rows[-1].suspended_us == 100 * US


# -- ways out


def test_it_is_cancelled_like_any_other_and_its_cpus_are_not_taken_again() -> None:
    cluster = a_cluster(nodes=1, cpus=4, mem_mib=8_000)
    job = running(cluster, cpus=4, mem_mib=4_000)
    cluster.suspend(job)
    other = running(cluster, cpus=4, mem_mib=4_000)
    n = len(cluster.sent)
    cluster.cancel(job)
    assert cluster.state_of(job) == "COMPLETING"
    assert any(isinstance(c, Terminate) for c in cluster.sent_since(n))
    assert (free(cluster, CPU), free(cluster, MEM)) == (0, 0)
    (refused,) = cluster.go_on(job)
    assert refused.message == f"job {job} is being ended"
    cluster.exit(job, signal=15)
    assert cluster.state_of(job) == "CANCELLED" and cluster.state_of(other) == "RUNNING"
    assert (free(cluster, CPU), free(cluster, MEM)) == (0, 4_000)


def test_it_may_end_by_itself_or_with_its_node() -> None:
    cluster = a_cluster(nodes=2, cpus=4)
    killed, lost = running(cluster, cpus=4), running(cluster, cpus=4)
    cluster.suspend(killed, lost)
    cluster.exit(killed, signal=9)
    assert cluster.state_of(killed) == "FAILED"
    cluster.register("n2", reboot=True)
    assert cluster.state_of(lost) == "PENDING" and cluster.job(lost).restarts == 1
    assert free(cluster, CPU, "n2") == 4_000


def test_what_cannot_be_suspended_or_resumed() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    configuring = cluster.submit(cpus=2)
    cluster.run_cycle()
    waits = cluster.submit(cpus=4)
    (one,) = cluster.suspend(configuring)
    assert one.message == f"job {configuring} has not begun yet"
    (one,) = cluster.suspend(waits)
    assert one.slurm == "Job is pending execution"
    (one,) = cluster.suspend(99)
    assert one.slurm == "Invalid job id specified"
    cluster.start(configuring)
    (one,) = cluster.go_on(configuring)
    assert (one.message, one.slurm) == (
        f"job {configuring} is not suspended",
        "Requested operation is presently disabled",
    )
    cluster.suspend(configuring)
    (one,) = cluster.suspend(configuring)
    assert one.message == f"job {configuring} is suspended already"
    cluster.exit(configuring)
    (one,) = cluster.suspend(configuring)
    assert one.slurm == "Job/step already completing or completed"


@pytest.mark.parametrize("kind", [SuspendJobs, ResumeJobs])
def test_only_administrators_may(kind: type[SuspendJobs] | type[ResumeJobs]) -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster)
    reply = cluster.do(kind(Caller(USER), cluster.targets(job))).reply
    assert isinstance(reply, Refused) and reply.slurm == "Access/permission denied"
    assert cluster.state_of(job) == "RUNNING"


def test_all_tasks_of_an_array_that_run_are_suspended_together() -> None:
    cluster = a_cluster(nodes=1, cpus=2)
    array = cluster.submit_array("1-4")
    cluster.start(*cluster.run_cycle())
    assert [outcome.code for outcome in cluster.suspend(array)] == [None]
    tasks = [cluster.task(array, index) for index in (1, 2)]
    assert [cluster.state_of(task) for task in tasks] == ["SUSPENDED"] * 2
    (one,) = cluster.go_on(f"{array}_2")
    assert one.code is None and cluster.state_of(tasks[1]) == "RUNNING"


# -- agents


def test_nothing_is_ordered_of_a_silent_node() -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster)
    cluster.silence("n1")
    (one,) = cluster.suspend(job)
    assert one.code is RefusalCode.WRONG_STATE and "node n1, which is silent" in one.message
    cluster.register("n1")
    cluster.suspend(job)
    cluster.silence("n1")
    (one,) = cluster.go_on(job)
    assert "node n1, which is silent" in one.message
    assert cluster.state_of(job) == "SUSPENDED"


@pytest.mark.parametrize(
    ("suspended", "said", "order"),
    [(True, False, Suspend), (False, True, Continue), (True, True, None), (False, False, None)],
)
def test_an_agent_that_comes_back_is_told_what_it_missed(
    suspended: bool, said: bool, order: type[Suspend] | type[Continue] | None
) -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster)
    if suspended:
        cluster.suspend(job)
    cluster.silence("n1")
    active = cluster.active(job)
    spec = cluster.specs["n1"]
    told = cluster.do(
        RegisterNode(
            spec,
            "boot-0",
            Offer(2, spec.cpu_milli, spec.mem_mib),
            running=(RunningAttempt(active.attempt, active.started_at, said),),
        )
    ).commands
    assert [type(c) for c in told if isinstance(c, Suspend | Continue)] == ([order] if order else [])


def report(cluster: Cluster, job: int, suspended: bool, error: str = "") -> None:
    active = cluster.active(job)
    cluster.do(ReportSuspension(active.placements[0].node, active.attempt, suspended, error))


def test_an_order_that_arrived_late_is_given_again_and_one_that_arrived_is_not() -> None:
    cluster = a_cluster(nodes=1)
    job = running(cluster)
    cluster.suspend(job)
    n = len(cluster.sent)
    report(cluster, job, suspended=True)
    assert cluster.sent_since(n) == []
    cluster.go_on(job)
    n = len(cluster.sent)
    report(cluster, job, suspended=True)
    assert cluster.sent_since(n) == [Continue(NodeName("n1"), cluster.active(job).attempt)]


def test_a_job_that_could_not_be_stopped_runs() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = running(cluster, cpus=4)
    cluster.suspend(job)
    report(cluster, job, suspended=False, error="its supervisor does not answer")
    assert cluster.state_of(job) == "RUNNING"
    cluster.suspend(job)
    running(cluster, cpus=2)
    report(cluster, job, suspended=False, error="its supervisor does not answer")
    assert cluster.state_of(job) == "SUSPENDED"  # its CPUs are somebody else's by now


# -- others that look at running jobs


def test_idle_gpus_of_a_suspended_job_are_nobodys_business() -> None:
    policy = GpuIdle(True, warn_after_s=60, grace_s=30, action=GpuIdleAction.CANCEL)
    cluster = Cluster(a_config(gpu_idle=policy))
    cluster.register(a_node("n1", 4, gpus=1))
    job = running(cluster, gpus=1)
    idle_since = cluster.clock.now
    cluster.clock.advance(70)
    cluster.do(ReportGpus(cluster.active(job).attempt, idle_since))
    assert cluster.active(job).gpus_warned_at
    cluster.suspend(job)
    assert not cluster.active(job).gpus_warned_at
    cluster.clock.advance(100)
    cluster.do(ReportGpus(cluster.active(job).attempt, idle_since))
    assert cluster.state_of(job) == "SUSPENDED" and not cluster.active(job).gpus_warned_at


def test_the_order_by_service_counts_without_it() -> None:
    """Tiresias' queues: a job does not sink while it is suspended."""
    cluster = Cluster(a_config(order="las2d", preempt="order"))
    cluster.register(a_node("n1", 1))
    job = running(cluster)
    cluster.pass_time(1_000)
    cluster.suspend(job)
    cluster.pass_time(10_000)
    cluster.go_on(job)
    cluster.pass_time(2_000)
    assert not cluster.active(job).ranked_at
    cluster.pass_time(300)
    assert cluster.active(job).ranked_at


def test_a_predictor_does_not_count_the_time_either() -> None:
    cluster = Cluster(a_config(predictor="last2"))
    cluster.register(a_node("n1", 1))
    for _ in range(2):
        past = running(cluster, time_limit_s=10_000)
        cluster.pass_time(100)
        cluster.exit(past)
    job = running(cluster, time_limit_s=10_000)
    began = cluster.active(job).started_at
    assert cluster.state.running_columns.end(JobId(job)) == began + 100 * US
    cluster.pass_time(40)
    cluster.suspend(job)
    assert cluster.state.running_columns.end(JobId(job)) == 0
    cluster.pass_time(500)
    cluster.go_on(job)
    assert cluster.state.running_columns.end(JobId(job)) == began + 600 * US


def test_the_check_sees_cpus_that_are_counted_wrongly() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = running(cluster, cpus=2)
    cluster.suspend(job)
    cluster.state.usage.take_cpus(cluster.job(job), cluster.active(job).placements, 1)
    with pytest.raises(InvariantBroken, match="users are said to hold"):
        check(cluster.state)
    cluster.state.usage.take_cpus(cluster.job(job), cluster.active(job).placements, -1)
    cluster.state.node_columns.resume(JobId(job))
    with pytest.raises(InvariantBroken, match="its CPUs are free: False"):
        check(cluster.state)


# -- the log


def test_replay_and_snapshot_give_the_same() -> None:
    cluster = a_cluster(nodes=2, cpus=4, mem_mib=8_000)
    first = running(cluster, cpus=4, mem_mib=2_000, time_limit_s=500)
    second = running(cluster, cpus=2, exclusive=True)
    cluster.pass_time(5)
    cluster.suspend(first, second)
    cluster.pass_time(5)
    cluster.go_on(first)
    third = cluster.submit(cpus=1)
    cluster.run(third)
    cluster.suspend(first)
    cluster.cancel(second)
    assert cluster.replayed() == cluster.state
    loaded = load(dump(cluster.state.freeze()))
    assert loaded == cluster.state
    check(loaded)
    assert next_timer(loaded) == next_timer(cluster.state)
    for resource in (CPU, MEM):
        ours, theirs = cluster.state.node_columns, loaded.node_columns
        for name in ("n1", "n2"):
            row, twin = ours.row_of[NodeName(name)], theirs.row_of[NodeName(name)]
            assert ours.free[resource, row] == theirs.free[resource, twin]
    phase = loaded.jobs[cluster.job(first).id].phase
    assert isinstance(phase, Active) and phase.suspended_us == 5 * US


def test_a_reservation_beside_a_suspended_job_counts_with_its_end() -> None:
    cluster = a_cluster(nodes=1)
    job = cluster.submit(time_limit_s=1800)
    cluster.run(job)
    cluster.suspend(job)
    assert isinstance(cluster.try_reserve("soon", nodes="n1", start_s=600), Refused), "it might go on now"
    cluster.reserve("later", nodes="n1", start_s=3600)
    cluster.pass_time(600)
    assert cluster.go_on(job)[0].code is None, "it will be over in time"
    cluster.suspend(job)
    cluster.pass_time(2400)
    (outcome,) = cluster.go_on(job)
    assert outcome.code is not None and "later" in outcome.message, "now it would stand in the window"

"""The life of steps: created, started, ended, with and without their job."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.command import AckExit, Continue, JobOver, Launch, Signal, Suspend, Terminate
from packhorse.scheduler.model.event import AttemptStarted, BatchEnded, JobEnded, StepPartEnded
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, RunningAttempt, SignalScope
from packhorse.scheduler.model.job import EndCause
from packhorse.scheduler.model.reply import RefusalCode, StepMade
from packhorse.scheduler.model.step import AllocationKind, Overlap
from tests.core.scenario import ADMIN, OTHER, a_cluster, a_config
from tests.core.steps.stepping import Stepping


def test_a_step_is_told_to_its_nodes_and_gone_with_its_last_part() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2, cpus=2)
    n = len(s.cluster.sent)
    key = s.step(job)
    assert key == AttemptKey(job, 1, 1, 0)
    assert s.launched(n) == [("n1", key), ("n2", key)]
    s.start(key)
    assert all(part.started_at for part in s.running(key).parts)
    s.exit(key, "n2")
    assert s.nodes(key) == ("n1",)
    s.exit(key, "n1", code=3)
    assert not s.runs(key)
    assert s.cluster.state_of(job) == "RUNNING"
    assert s.step(job).step == 1, "numbers grow"


def test_numbers_begin_anew_with_the_next_attempt() -> None:
    s = Stepping()
    job = s.job()
    s.exit(s.step(job))
    s.cluster.exit(job, lost=True)
    s.cluster.pass_time(600)
    s.cluster.run(job)
    assert s.step(job) == AttemptKey(job, 2, 1, 0)


def test_a_job_ends_with_the_last_part_of_its_steps() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2, cpus=2)
    key = s.step(job)
    s.start(key)
    n = len(s.cluster.sent)
    s.cluster.exit(job, 3)
    assert isinstance(s.cluster.log[-1], BatchEnded)
    told = [c for c in s.cluster.sent_since(n) if isinstance(c, Terminate)]
    assert [(c.node, c.attempt) for c in told] == [("n1", key), ("n2", key)]
    assert s.cluster.submit(nodes=2, cpus=8) and not s.cluster.run_cycle(), "its nodes are held"
    s.exit(key, "n1", exit_signal=15)
    assert s.cluster.state_of(job) == "RUNNING"
    s.exit(key, "n2", exit_signal=15)
    assert s.cluster.state_of(job) == "FAILED"
    ended = s.cluster.log[-1]
    assert isinstance(ended, JobEnded) and ended.exit_code == 3
    assert [c for c in s.cluster.sent if isinstance(c, JobOver)] == [
        JobOver(NodeName(node), key.whole) for node in ("n1", "n2")
    ]
    assert s.cluster.run_cycle()


def test_an_agent_that_was_away_when_a_job_was_over_hears_of_it_when_it_is_back() -> None:
    s = Stepping(nodes=2)
    over, running = s.job(nodes=2, cpus=2), s.job(nodes=2, cpus=2)
    keys = []
    for job in (over, running):
        keys.append(s.step(job))
        s.start(keys[-1])
    s.cluster.exit(over, 0)
    s.exit(keys[0], "n1")
    s.cluster.silence("n2")
    s.exit(keys[0], "n2")
    kept = tuple(key.whole for key in keys)
    told = s.cluster.register("n2", kept=kept, also_running=(RunningAttempt(keys[1], Instant(1)),))
    assert [c for c in told if isinstance(c, JobOver)] == [JobOver(NodeName("n2"), kept[0])]
    told = s.cluster.register("n1", also_running=(RunningAttempt(keys[1], Instant(1)),))
    assert not any(isinstance(c, JobOver) for c in told)


def test_the_exit_of_a_batch_script_is_told_twice_and_counts_once() -> None:
    s = Stepping()
    job = s.job()
    key = s.step(job)
    s.cluster.exit(job, 3)
    s.cluster.exit(job, 5)
    s.exit(key)
    assert s.cluster.log[-1].exit_code == 3  # type: ignore[union-attr]


def test_no_step_in_a_job_that_ends() -> None:
    s = Stepping()
    job = s.job()
    s.step(job)
    s.cluster.exit(job)
    assert s.refused(job).slurm == "Job/step already completing or completed"


@pytest.mark.parametrize("started", [True, False])
def test_cancelling_a_job_reaches_its_steps(started: bool) -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    if started:
        s.start(key)
    n = len(s.cluster.sent)
    s.cluster.cancel(job)
    told = [(c.node, c.attempt) for c in s.cluster.sent_since(n) if isinstance(c, Terminate)]
    assert told == [("n1", key.whole), ("n1", key), ("n2", key)]
    s.exit(key)
    assert s.cluster.state_of(job) == "COMPLETING"
    s.cluster.exit(job, signal=15)
    assert s.cluster.state_of(job) == "CANCELLED"


def test_a_time_limit_reaches_the_steps() -> None:
    s = Stepping()
    job = s.job(time_limit_s=60)
    key = s.step(job)
    s.cluster.pass_time(61)
    causes = {c.attempt: c.cause for c in s.cluster.sent if isinstance(c, Terminate)}
    assert causes == {key.whole: EndCause.TIME_LIMIT, key: EndCause.TIME_LIMIT}
    s.cluster.exit(job, signal=15, cause="time_limit")
    s.exit(key)
    assert s.cluster.state_of(job) == "TIMEOUT"


def test_a_step_has_a_time_limit_of_its_own() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job, time_limit_s=30)
    other = s.step(job, overlap=Overlap.OVERLAP)
    s.start(key)
    s.cluster.pass_time(29)
    assert not [c for c in s.cluster.sent if isinstance(c, Terminate)]
    s.cluster.pass_time(2)
    told = [(c.node, c.attempt, c.cause) for c in s.cluster.sent if isinstance(c, Terminate)]
    assert told == [(node, key, EndCause.TIME_LIMIT) for node in ("n1", "n2")]
    assert s.running(key).ending_at and not s.running(other).ending_at
    s.exit(key)
    assert s.cluster.state_of(job) == "RUNNING"


def test_scancel_of_a_step_leaves_its_job_alone() -> None:
    s = Stepping()
    job = s.job()
    key = s.step(job)
    assert s.cancel(key, caller=Caller(OTHER)).code is RefusalCode.DENIED
    assert s.cancel(key).code is None
    assert s.running(key).ending_by == 1000
    assert [c.attempt for c in s.cluster.sent if isinstance(c, Terminate)] == [key]
    s.exit(key)
    assert s.cancel(key).code is RefusalCode.WRONG_STATE
    assert s.cancel(AttemptKey(job, 1, 1, 9)).code is RefusalCode.NOT_FOUND
    assert s.cluster.state_of(job) == "RUNNING"


def test_a_signal_goes_to_the_steps_of_a_job_on_all_nodes() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    n = len(s.cluster.sent)
    s.cluster.cancel(job, signal=10)
    assert [(c.node, c.attempt, c.scope) for c in s.cluster.sent_since(n) if isinstance(c, Signal)] == [
        ("n1", key.whole, SignalScope.STEPS),
        ("n1", key, SignalScope.ALL),
        ("n2", key, SignalScope.ALL),
    ]
    n = len(s.cluster.sent)
    s.cancel(key, signal=12)
    assert [(c.node, c.attempt) for c in s.cluster.sent_since(n) if isinstance(c, Signal)] == [
        ("n1", key),
        ("n2", key),
    ]


def test_suspending_a_job_reaches_its_steps() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    s.cluster.suspend(job)
    assert [(c.node, c.attempt) for c in s.cluster.sent if isinstance(c, Suspend)] == [
        ("n1", key.whole),
        ("n1", key),
        ("n2", key),
    ]
    assert s.refused(job, overlap=Overlap.OVERLAP).slurm == "Requested operation is presently disabled"
    s.cluster.go_on(job)
    assert len([c for c in s.cluster.sent if isinstance(c, Continue)]) == 3


def test_a_part_that_cannot_start_ends_the_step() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    s.start(key, "n1")
    s.exit(key, "n2", code=1, refused=True, launch_error="no such user")
    assert [(c.node, c.attempt) for c in s.cluster.sent if isinstance(c, Terminate)] == [("n1", key)]
    part_ended = s.cluster.log[-2]
    assert isinstance(part_ended, StepPartEnded) and part_ended.detail == "no such user"
    s.exit(key, "n1", exit_signal=15)
    assert not s.runs(key) and s.cluster.state_of(job) == "RUNNING"


def test_who_may_start_steps() -> None:
    s = Stepping()
    job = s.job()
    assert s.refused(job, caller=Caller(OTHER)).code is RefusalCode.DENIED
    assert s.refused(99).slurm == "Invalid job id specified"
    waiting = s.cluster.submit(cpus=8)
    assert s.refused(waiting).slurm == "Job is pending execution"
    s.cluster.exit(job)
    assert s.refused(job).slurm == "Job/step already completing or completed"
    array = s.cluster.submit_array("0-1", cpus=1)
    assert "one task of it" in s.refused(array).message
    s.cluster.cancel(waiting, array)
    assert isinstance(s.try_step(s.job(), caller=ADMIN), StepMade)


# -- allocations


def test_an_allocation_runs_as_soon_as_it_is_granted() -> None:
    s = Stepping()
    job = s.cluster.submit(allocation=AllocationKind.SALLOC, time_limit_s=60)
    n = len(s.cluster.sent)
    s.cluster.run_cycle()
    assert isinstance(s.cluster.log[-1], AttemptStarted)
    assert s.cluster.sent_since(n) == [], "nothing is launched"
    assert s.cluster.active(job).end_by == s.cluster.clock.now + 60 * US


def test_ending_an_allocation() -> None:
    s = Stepping()
    for code, state in ((0, "COMPLETED"), (5, "FAILED")):
        job = s.allocation()
        s.exit(s.step(job), code=code)
        assert s.end(job, caller=Caller(OTHER)).code is RefusalCode.DENIED
        assert s.end(job, code).code is None
        assert s.cluster.state_of(job) == state
        assert s.end(job).code is RefusalCode.WRONG_STATE


def test_an_allocation_waits_for_the_steps_that_it_leaves() -> None:
    s = Stepping()
    job = s.allocation()
    key = s.step(job)
    s.end(job, 2)
    assert [c.attempt for c in s.cluster.sent if isinstance(c, Terminate)] == [key]
    assert s.cluster.state_of(job) == "RUNNING"
    s.end(job, 7)
    s.exit(key, exit_signal=15)
    assert s.cluster.state_of(job) == "FAILED"
    assert s.cluster.log[-1].exit_code == 2  # type: ignore[union-attr]


def test_a_waiting_allocation_is_given_up() -> None:
    s = Stepping()
    s.job(cpus=8)
    job = s.cluster.submit(allocation=AllocationKind.SRUN)
    s.end(job)
    assert s.cluster.state_of(job) == "CANCELLED"


def test_a_batch_job_is_not_ended_that_way() -> None:
    s = Stepping()
    answer = s.end(s.job())
    assert answer.code is RefusalCode.WRONG_STATE


@pytest.mark.parametrize("with_step", [True, False])
def test_cancelling_an_allocation(with_step: bool) -> None:
    s = Stepping()
    job = s.allocation()
    key = s.step(job) if with_step else None
    n = len(s.cluster.sent)
    s.cluster.cancel(job)
    assert [c.attempt for c in s.cluster.sent_since(n) if isinstance(c, Terminate)] == ([key] if key else [])
    if key:
        s.exit(key)
    s.cluster.pass_time(0)
    assert s.cluster.state_of(job) == "CANCELLED"


def test_the_time_limit_of_an_allocation() -> None:
    s = Stepping()
    job = s.allocation(time_limit_s=60)
    s.cluster.pass_time(60)
    assert s.cluster.state_of(job) == "TIMEOUT"


def test_an_inactive_allocation_is_ended_where_that_is_wanted() -> None:
    s = Stepping(a_cluster(config=a_config(inactive_limit_s=60)))
    job = s.allocation()
    s.cluster.pass_time(50)
    key = s.step(job)
    s.cluster.pass_time(300)
    s.exit(key)
    s.cluster.pass_time(59)
    assert s.cluster.state_of(job) == "RUNNING"
    s.cluster.pass_time(1)
    assert s.cluster.state_of(job) == "TIMEOUT"
    batch = s.job()
    s.cluster.pass_time(600)
    assert s.cluster.state_of(batch) == "RUNNING", "a batch script is never inactive"


def test_an_allocation_is_never_run_again() -> None:
    s = Stepping(nodes=2)
    job = s.allocation(nodes=2)
    [outcome] = s.cluster.requeue(job)
    assert outcome.slurm == "Only batch jobs are accepted or processed"
    s.cluster.register("n2", reboot=True)
    s.cluster.pass_time(0)
    assert s.cluster.state_of(job) == "NODE_FAIL"


def test_an_agent_need_not_list_an_allocation() -> None:
    s = Stepping()
    job = s.allocation()
    told = s.cluster.register("n1", running=())
    assert told == [] and s.cluster.state_of(job) == "RUNNING"


def test_no_arrays_of_allocations() -> None:
    cluster = a_cluster()
    with pytest.raises(AssertionError, match="an array needs a batch script"):
        cluster.submit_array("0-3", allocation=AllocationKind.SALLOC)


# -- agents come back


def back(s: Stepping, node: str, *keys: AttemptKey, **what: object) -> list[object]:
    """The node registers, with these steps running; what it is told."""
    running = tuple(RunningAttempt(key, s.cluster.clock.now) for key in keys)
    return list(s.cluster.register(node, also_running=running, **what))  # type: ignore[arg-type]


def test_what_the_agent_never_saw_is_launched_again() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    s.cluster.silence("n2")
    assert back(s, "n2", running=()) == [Launch(NodeName("n2"), job, key)]


def test_what_it_runs_is_known_to_run_then() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    assert back(s, "n2", key, running=()) == []
    assert [bool(part.started_at) for part in s.running(key).parts] == [False, True]


def test_what_began_and_is_unknown_is_lost_and_its_step_with_it() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    s.start(key)
    told = back(s, "n2", running=())
    assert [type(c) for c in told] == [Terminate] and told[0].node == "n1"  # type: ignore[attr-defined]
    assert s.nodes(key) == ("n1",)
    s.exit(key)
    assert s.cluster.state_of(job) == "RUNNING"


def test_orders_to_end_are_given_again() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    s.start(key)
    s.cancel(key)
    assert [c.attempt for c in back(s, "n2", key, running=())] == [key]  # type: ignore[attr-defined]


def test_stale_steps_are_stopped() -> None:
    s = Stepping()
    job = s.job()
    key = s.step(job)
    s.exit(key)
    told = back(s, "n1", key)
    assert Terminate(NodeName("n1"), key, s.cluster.state.config.kill_wait_s, EndCause.STALE) in told
    s.start(key, "n1")
    assert isinstance(s.cluster.sent[-1], Terminate)


def test_a_lost_node_ends_the_steps_there() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2, requeue=False)
    key = s.step(job)
    s.start(key)
    s.cluster.register("n2", reboot=True)
    assert s.nodes(key) == ("n1",)
    assert s.cluster.state_of(job) == "COMPLETING"
    s.cluster.exit(job, signal=15)
    assert s.cluster.state_of(job) == "COMPLETING", "the step on the other node is not over"
    s.exit(key)
    assert s.cluster.state_of(job) == "NODE_FAIL"


def test_the_loss_of_the_script_s_node_waits_for_steps_elsewhere() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job)
    s.start(key)
    s.cluster.register("n1", reboot=True)
    assert s.nodes(key) == ("n2",)
    assert s.cluster.active(job).batch_end is not None
    s.exit(key)
    assert s.cluster.state_of(job) == "PENDING", "it is run again"


def test_a_lost_script_waits_for_steps_on_its_node_too() -> None:
    s = Stepping()
    job = s.job(requeue=False)
    key = s.step(job)
    s.start(key)
    told = back(s, "n1", key, running=())
    assert [c.attempt for c in told if isinstance(c, Terminate)][:1] == [key]
    assert s.runs(key)
    s.exit(key)
    assert s.cluster.state_of(job) == "NODE_FAIL"


def test_a_lease_ends_steps_on_silent_nodes() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2, lease_s=60, requeue=False)
    key = s.step(job)
    s.start(key)
    s.cluster.silence("n2")
    s.cluster.pass_time(300)
    assert s.nodes(key) == ("n1",)
    s.exit(key)
    s.cluster.exit(job, signal=15)
    assert s.cluster.state_of(job) == "NODE_FAIL"


def test_acknowledged_whatever_it_is() -> None:
    s = Stepping()
    key = s.step(s.job())
    s.exit(key)
    n = len(s.cluster.sent)
    s.exit(key, "n1")
    assert s.cluster.sent_since(n) == [AckExit(NodeName("n1"), key)]


# -- memory and disk


def test_snapshot_and_log_give_the_same_steps() -> None:
    s = Stepping(nodes=2)
    job = s.job(nodes=2)
    key = s.step(job, time_limit_s=600)
    s.start(key, "n1")
    s.step(job, overlap=Overlap.OVERLAP)
    s.exit(key, "n1")
    s.cluster.exit(job, 3)
    again = load(dump(s.cluster.state.freeze()))
    assert again == s.cluster.state == s.cluster.replayed()
    assert again.steps == s.cluster.state.steps
    before = s.cluster.state
    s.cluster.state = again
    s.cluster.pass_time(700)
    assert before is not again and JobId(job) in again.steps


def test_a_job_without_steps_has_nothing_of_them() -> None:
    s = Stepping()
    s.cluster.exit(s.job())
    assert s.cluster.state.steps == {}

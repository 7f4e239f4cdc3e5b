"""The agent's decisions: journalled before forked, forked once, reported until acknowledged."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from packhorse.agent.machine import (
    CloseJob,
    Forget,
    Fork,
    Instruction,
    Journal,
    KeepEpoch,
    Leave,
    Machine,
    Renew,
    Resume,
    Send,
    Tell,
)
from packhorse.agent.orders import (
    Dismissed,
    ExitReport,
    ExitsAcked,
    Introduction,
    JobOverOrder,
    LaunchOrder,
    ResumeOrder,
    SignalOrder,
    StepOrder,
    SuspendOrder,
    SuspensionReport,
    TerminateOrder,
    Welcome,
)
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import RunningAttempt
from packhorse.scheduler.model.node import NodeSpec, Offer

SPEC = NodeSpec(NodeName("n1"), "host", 4000, 8192)


def a_machine(epoch: int = 0) -> Machine:
    return Machine(SPEC, "boot-1", Offer(1, 4000, 8192), epoch=epoch)


def welcomed(machine: Machine, epoch: int = 1) -> list[Instruction]:
    machine.session_opened()
    return machine.received(Welcome(epoch, "c", 5, 10))


def an_order(job: int = 1, number: int = 1, epoch: int = 1) -> LaunchOrder:
    return LaunchOrder(
        attempt=AttemptKey(JobId(job), number, epoch),
        uid=1,
        gid=1,
        user="u",
        script=b"#!/bin/sh\n",
        environment=(),
        slurm_environment=(),
        work_dir="/",
        std_in="/dev/null",
        std_out="/dev/null",
        std_err="",
    )


def started(machine: Machine, order: LaunchOrder) -> None:
    assert machine.received(order) == [Journal(order)]
    assert machine.journalled(order.attempt, Instant(5)) == [Fork(order)]
    assert machine.started(order.attempt, Instant(6)) == [Send(RunningAttempt(order.attempt, Instant(6)))]


def an_exit(order: LaunchOrder) -> ExitReport:
    return ExitReport(order.attempt, Instant(6), Instant(9), exit_code=3)


def test_what_runs_is_suspended_and_the_next_introduction_says_so() -> None:
    machine, order = a_machine(), an_order()
    welcomed(machine)
    key = order.attempt
    stop, go_on = SuspendOrder(key, True), SuspendOrder(key, False)
    assert machine.received(stop) == []  # there is nothing to stop
    started(machine, order)
    assert machine.received(stop) == [Tell(key, stop)]
    said = SuspensionReport(key, True)
    assert machine.suspended(said) == [Send(said)]
    assert introduction(machine).running == (RunningAttempt(key, Instant(6), True),)
    assert machine.received(go_on) == [Leave("SuspendOrder came before the welcome", retry=True)]
    welcomed(machine)
    assert machine.received(go_on) == [Tell(key, go_on)]
    failed = SuspensionReport(key, True, "its supervisor does not answer")
    assert machine.suspended(failed) == [Send(failed)]
    assert introduction(machine).running[0].suspended
    welcomed(machine)
    machine.suspended(SuspensionReport(key, False))
    assert not introduction(machine).running[0].suspended
    machine.exited(an_exit(order))
    assert machine.suspended(said) == []  # its end has been told


def test_an_attempt_is_found_suspended() -> None:
    machine = a_machine()
    machine.adopt_running(an_order().attempt, Instant(6), suspended=True)
    assert introduction(machine).running[0].suspended


def introduction(machine: Machine) -> Introduction:
    machine.session_closed()
    [instruction] = machine.session_opened()
    assert isinstance(instruction, Send) and isinstance(instruction.report, Introduction)
    return instruction.report


def test_an_order_is_journalled_then_forked_then_reported_until_acknowledged() -> None:
    machine, order = a_machine(), an_order()
    assert welcomed(machine) == [KeepEpoch(1), Renew()]
    started(machine, order)
    assert machine.exited(an_exit(order)) == [Send(an_exit(order))]
    machine.session_closed()
    assert machine.session_opened() == [
        Send(Introduction(SPEC, "boot-1", Offer(1, 4000, 8192), exited=(order.attempt,)))
    ]
    assert machine.received(Welcome(2, "c", 5, 10)) == [KeepEpoch(2), Renew(), Send(an_exit(order))]
    assert machine.received(ExitsAcked((order.attempt,))) == [Forget(order.attempt)]
    assert machine.attempts == {}


def test_a_repeated_order_starts_nothing_and_tells_what_is_known() -> None:
    machine, order = a_machine(), an_order()
    welcomed(machine)
    machine.received(order)
    assert machine.received(order) == []
    machine.journalled(order.attempt, Instant(5))
    assert machine.received(order) == []
    machine.started(order.attempt, Instant(6))
    assert machine.received(order) == [Send(RunningAttempt(order.attempt, Instant(6)))]
    machine.exited(an_exit(order))
    assert machine.received(order) == [Send(an_exit(order))]


def refused(instructions: list[Instruction]) -> bool:
    match instructions:
        case [Send(report=ExitReport(refused=True))]:
            return True
    return False


def test_an_older_or_settled_attempt_is_refused() -> None:
    machine, order = a_machine(), an_order(number=2)
    welcomed(machine)
    started(machine, order)
    assert refused(machine.received(an_order(number=1)))
    machine.exited(an_exit(order))
    machine.received(ExitsAcked((order.attempt,)))
    assert refused(machine.received(order))


def test_a_newer_attempt_waits_for_the_older_to_be_gone() -> None:
    machine = a_machine()
    welcomed(machine)
    started(machine, an_order(number=1))
    assert refused(machine.received(an_order(number=2)))


def test_a_stop_before_the_fork_means_no_fork() -> None:
    machine, order = a_machine(), an_order()
    welcomed(machine)
    machine.received(order)
    assert machine.received(TerminateOrder(order.attempt, 30, "cancelled")) == []
    [said] = machine.journalled(order.attempt, Instant(7))
    assert isinstance(said, Send)
    assert isinstance(said.report, ExitReport)
    assert said.report.cause == "terminated"


def test_a_stop_during_the_fork_is_passed_on_once_it_runs() -> None:
    machine, order = a_machine(), an_order()
    stop = TerminateOrder(order.attempt, 30, "cancelled")
    welcomed(machine)
    machine.received(order)
    machine.journalled(order.attempt, Instant(5))
    assert machine.received(stop) == []
    assert machine.started(order.attempt, Instant(6))[-1] == Tell(order.attempt, stop)


def test_stopping_an_unknown_attempt_is_answered_and_it_never_starts_later() -> None:
    machine, order = a_machine(), an_order()
    welcomed(machine)
    assert refused(machine.received(TerminateOrder(order.attempt, 30, "cancelled")))
    assert refused(machine.received(order))


def test_a_scheduler_of_an_older_epoch_is_not_obeyed() -> None:
    machine = a_machine(epoch=7)
    machine.session_opened()
    [leave] = machine.received(Welcome(6, "c", 5, 10))
    assert isinstance(leave, Leave)
    assert leave.retry
    [leave] = machine.received(an_order())
    assert isinstance(leave, Leave)


def test_an_offer_that_changes_before_the_welcome_goes_out_with_it_ahead_of_the_exits() -> None:
    machine, order = a_machine(), an_order()
    machine.adopt_exit(an_exit(order))
    machine.session_opened()
    broken = replace(machine.offer, dead_devices=(("gpu", 0),), dead_reasons=("lost",))
    assert machine.offered(broken) == []
    changed = replace(broken, epoch=2)
    assert machine.received(Welcome(1, "c", 5, 10))[1:] == [Renew(), Send(changed), Send(an_exit(order))]
    machine.session_closed()
    [introduction] = machine.session_opened()
    assert isinstance(introduction, Send) and isinstance(introduction.report, Introduction)
    assert introduction.report.offer == changed
    assert machine.received(Welcome(1, "c", 5, 10)) == [Renew(), Send(an_exit(order))]


def test_a_dismissal_for_good_ends_the_agent() -> None:
    machine = a_machine()
    machine.session_opened()
    assert machine.received(Dismissed("name taken", False)) == [Leave("name taken", False)]


def test_signals_for_what_does_not_run_are_dropped() -> None:
    machine, order = a_machine(), an_order()
    welcomed(machine)
    wish = SignalOrder(order.attempt, 10, "steps")
    assert machine.received(wish) == []
    started(machine, order)
    assert machine.received(wish) == [Tell(order.attempt, wish)]


def test_what_was_adopted_is_introduced() -> None:
    machine = a_machine()
    running, over = an_order(1), an_order(2)
    machine.adopt_running(running.attempt, Instant(3))
    machine.adopt_exit(an_exit(over))
    [said] = machine.session_opened()
    assert isinstance(said, Send)
    assert isinstance(said.report, Introduction)
    assert said.report.running == (RunningAttempt(running.attempt, Instant(3)),)
    assert said.report.exited == (over.attempt,)


class AgentUnderRepeats(RuleBasedStateMachine):
    """Orders repeated, late and out of order, streams that break, restarts: nothing is forked twice."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = a_machine()
        self.forked: list[AttemptKey] = []
        self.journalled: set[AttemptKey] = set()
        self.alive: set[AttemptKey] = set()
        self.over: dict[AttemptKey, ExitReport] = {}
        self.acked: set[AttemptKey] = set()
        self.epoch = 1
        self.follow(welcomed(self.machine))

    def follow(self, instructions: list[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Journal(order=order):
                    self.journalled.add(order.attempt)
                    self.follow(self.machine.journalled(order.attempt, Instant(1)))
                case Fork(order=order):
                    assert order.attempt in self.journalled
                    assert not any(key.job == order.attempt.job for key in self.alive)
                    self.forked.append(order.attempt)
                    self.alive.add(order.attempt)
                    self.follow(self.machine.started(order.attempt, Instant(2)))
                case Forget(attempt=key):
                    assert key in self.acked
                case Send(report=ExitReport() as report) if not report.refused:
                    assert self.over[report.attempt] == report

    @rule(job=st.integers(1, 3), number=st.integers(1, 3))
    def order(self, job: int, number: int) -> None:
        self.follow(self.machine.received(an_order(job, number, 1)))

    @rule(data=st.data())
    def exit(self, data: st.DataObject) -> None:
        if self.alive:
            key = data.draw(st.sampled_from(sorted(self.alive)))
            self.alive.discard(key)
            self.over[key] = ExitReport(key, Instant(2), Instant(3))
            self.follow(self.machine.exited(self.over[key]))

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        if self.over:
            key = data.draw(st.sampled_from(sorted(self.over)))
            self.acked.add(key)
            self.follow(self.machine.received(ExitsAcked((key,))))

    @rule()
    def stream_breaks(self) -> None:
        self.machine.session_closed()
        self.epoch += 1
        self.follow(self.machine.session_opened())
        self.follow(self.machine.received(Welcome(self.epoch, "c", 5, 10)))

    @rule()
    def restart(self) -> None:
        """A new process knows what is on disk: what runs, and exits that were not acknowledged."""
        settled = dict(self.machine._settled)
        self.machine = a_machine(self.epoch)
        for key in sorted(self.alive):
            self.machine.adopt_running(key, Instant(2))
        for key in sorted(self.over.keys() - self.acked):
            self.machine.adopt_exit(self.over[key])
        # A real scheduler never orders a settled attempt again; this careless one does, so carry that over.
        for key in settled.values():
            self.machine._settle(key)
        self.follow(welcomed(self.machine, self.epoch))

    @invariant()
    def never_twice(self) -> None:
        assert len(self.forked) == len(set(self.forked))


TestAgentUnderRepeats = AgentUnderRepeats.TestCase
TestAgentUnderRepeats.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_an_epoch_that_could_not_be_written_down_is_not_obeyed() -> None:
    machine = a_machine(epoch=3)
    assert KeepEpoch(4) in welcomed(machine, epoch=4)
    machine.epoch_not_kept(3)
    assert not machine.connected
    (answer,) = machine.received(an_order())
    assert isinstance(answer, Leave) and answer.retry
    assert KeepEpoch(4) in welcomed(machine, epoch=4), "written down before the next session is believed"


def test_an_operator_wants_the_node_to_work() -> None:
    machine = a_machine()
    welcomed(machine)
    assert machine.received(ResumeOrder()) == [Resume()]


def test_an_offer_that_changes_between_introduction_and_welcome_is_told() -> None:
    machine = a_machine()
    machine.session_opened()
    assert machine.offered(Offer(0, 4000, 8192, accepting=False, reason="hot")) == []
    said = machine.received(Welcome(1, "c", 5, 10))
    assert Send(Offer(2, 4000, 8192, accepting=False, reason="hot")) in said
    assert not any(isinstance(i, Send) for i in welcomed(machine)[1:])


def test_told_to_stop_during_its_prolog() -> None:
    machine = a_machine()
    welcomed(machine)
    order = an_order()
    machine.received(order)
    assert machine.journalled(order.attempt, Instant(1)) == [Fork(order)]
    assert machine.stopped_before(order.attempt, Instant(2)) is None
    assert machine.received(TerminateOrder(order.attempt, 30, "cancelled")) == []
    end = machine.stopped_before(order.attempt, Instant(3))
    assert end == ExitReport(order.attempt, Instant(0), Instant(3), exit_signal=15, cause="terminated")
    assert machine.exited(end) == [Send(end)]
    assert machine.received(ExitsAcked((order.attempt,))) == [Forget(order.attempt)]


# -- steps


def a_step(number: int = 0, *, job: int = 1, attempt: int = 1) -> LaunchOrder:
    order = an_order(job, attempt)
    return replace(order, attempt=replace(order.attempt, step=number), step=StepOrder(("true",), ranks=(0,)))


def test_steps_run_beside_their_batch_script_and_each_other() -> None:
    machine = a_machine()
    welcomed(machine)
    started(machine, an_order())
    for number in (0, 2, 1):
        started(machine, a_step(number))
    assert machine.running() == sorted(order.attempt for order in (an_order(), *map(a_step, range(3))))
    assert [one.attempt.step for one in introduction(machine).running] == [-1, 0, 1, 2]


def test_a_step_is_started_once() -> None:
    machine, step = a_machine(), a_step()
    welcomed(machine)
    started(machine, step)
    assert machine.received(step) == [Send(RunningAttempt(step.attempt, Instant(6)))]
    machine.exited(an_exit(step))
    assert machine.received(ExitsAcked((step.attempt,))) == [Forget(step.attempt)]
    assert refused(machine.received(step))
    started(machine, a_step(1))


def test_a_step_of_an_older_attempt_is_refused_and_one_of_a_newer_waits() -> None:
    machine = a_machine()
    welcomed(machine)
    started(machine, a_step(0, attempt=2))
    assert refused(machine.received(a_step(1, attempt=1)))
    assert refused(machine.received(an_order(number=1)))
    assert refused(machine.received(a_step(0, attempt=3)))
    machine.exited(an_exit(a_step(0, attempt=2)))
    started(machine, a_step(0, attempt=3))
    machine.exited(an_exit(a_step(0, attempt=3)))
    machine.received(ExitsAcked((a_step(0, attempt=3).attempt,)))
    assert refused(machine.received(a_step(5, attempt=2)))
    started(machine, a_step(1, attempt=3))


def test_a_step_that_was_to_be_ended_before_it_came_never_starts() -> None:
    machine, step = a_machine(), a_step()
    welcomed(machine)
    assert refused(machine.received(TerminateOrder(step.attempt, 30, "cancelled")))
    assert refused(machine.received(step))
    started(machine, an_order(job=2))


def test_orders_for_a_step_reach_that_step() -> None:
    machine, step = a_machine(), a_step()
    welcomed(machine)
    started(machine, an_order())
    wish = SignalOrder(step.attempt, 10, "all")
    assert machine.received(wish) == []
    started(machine, step)
    assert machine.received(wish) == [Tell(step.attempt, wish)]


def test_when_a_job_is_over_it_is_closed_once_nothing_of_it_is_left() -> None:
    machine, step = a_machine(), a_step()
    welcomed(machine)
    started(machine, step)
    over = JobOverOrder(an_order().attempt)
    assert machine.received(over) == []
    assert refused(machine.received(a_step(1)))
    assert refused(machine.received(an_order()))
    assert machine.exited(an_exit(step)) == [Send(an_exit(step)), CloseJob(an_order().attempt)]
    assert machine.received(JobOverOrder(an_order(2).attempt)) == [CloseJob(an_order(2).attempt)]
    assert refused(machine.received(a_step(0, job=2)))
    started(machine, a_step(0, job=2, attempt=2))


def test_where_its_steps_are_attached_to_is_told() -> None:
    machine = a_machine()
    machine.step_door = "/run/door"
    assert introduction(machine).step_door == "/run/door"

"""Steps between the wire and the agent."""

from __future__ import annotations

from packhorse.agent import convert
from packhorse.agent.orders import (
    ExitReport,
    ExitsAcked,
    Introduction,
    JobOverOrder,
    LaunchOrder,
    StepOrder,
    TerminateOrder,
)
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.node import NodeSpec, Offer
from packhorse.v1 import agent_pb2 as pb

KEY = AttemptKey(JobId(7), 2, 3, 0)
WIRE = pb.AttemptKey(job_id=7, number=2, epoch=3, step=0)


def test_every_field_of_a_step_arrives() -> None:
    wire = pb.StepLaunch(
        argv=["a", "b"],
        programs=[pb.StepProgram(ranks="0-1", argv=["c"])],
        ranks=[4, 5],
        node_index=1,
        n_nodes=2,
        n_tasks=6,
        tasks_on_nodes=[4, 2],
        nodes="n[1-2]",
        cpu_milli_per_task=1500,
        cpu_bind="cores",
        gpu_bind="closest",
        gpus_per_task=1,
        std_in="/i",
        std_out="/o",
        std_err="/e",
        append=True,
        input_rank=-2,
        pty=True,
        rows=24,
        columns=80,
        mpi="pmi2",
        name="it",
        unbuffered=True,
        distribution="cyclic",
        plane_size=3,
        job_nodes="n[1-3]",
        job_node_index=2,
        het_group=1,
        het_size=2,
        attach_s=5,
    )
    assert {field.name for field, _ in wire.ListFields()} == {field.name for field in wire.DESCRIPTOR.fields}
    [order] = convert.from_message(pb.SchedulerMessage(launch=pb.Launch(attempt=WIRE, step=wire)))
    assert isinstance(order, LaunchOrder)
    assert order.attempt == KEY
    step = order.step
    assert step == StepOrder(
        argv=("a", "b"), programs=(("0-1", ("c",)),), ranks=(4, 5), node_index=1, n_nodes=2, n_tasks=6,
        tasks_on_nodes=(4, 2), nodes="n[1-2]", cpu_milli_per_task=1500, cpu_bind="cores", gpu_bind="closest",
        gpus_per_task=1, std_in="/i", std_out="/o", std_err="/e", append=True, input_rank=-2, pty=True,
        rows=24, columns=80, mpi="pmi2", name="it", unbuffered=True, distribution="cyclic", plane_size=3,
        job_nodes="n[1-3]", job_node_index=2, het_group=1, het_size=2, attach_s=5,
    )  # fmt: skip


def test_a_batch_script_is_no_step() -> None:
    wire = pb.Launch(attempt=pb.AttemptKey(job_id=7, number=2, epoch=3))
    [order] = convert.from_message(pb.SchedulerMessage(launch=wire))
    assert isinstance(order, LaunchOrder)
    assert (order.step, order.attempt) == (None, KEY.whole)


def test_orders_and_reports_name_the_step() -> None:
    [stop] = convert.from_message(
        pb.SchedulerMessage(terminate=pb.TerminateAttempt(attempt=WIRE, grace_s=3, cause="cancelled"))
    )
    assert stop == TerminateOrder(KEY, 3, "cancelled")
    [acked] = convert.from_message(pb.SchedulerMessage(ack_exits=pb.AckExits(attempts=[WIRE])))
    assert acked == ExitsAcked((KEY,))
    assert convert.to_message(ExitReport(KEY, Instant(1), Instant(2))).exited.attempt == WIRE


def test_a_job_that_is_over_everywhere() -> None:
    wire = pb.AttemptKey(job_id=7, number=2, epoch=3)
    [over] = convert.from_message(pb.SchedulerMessage(job_over=pb.JobOver(attempt=wire)))
    assert over == JobOverOrder(KEY.whole)


def test_where_steps_are_attached_to_is_told() -> None:
    spec = NodeSpec(NodeName("n1"), "host", 4000, 8192)
    hello = convert.to_message(
        Introduction(spec, "boot", Offer(1, 4000, 8192), step_door="/run/x.sock")
    ).hello
    assert hello.step_door == "/run/x.sock"

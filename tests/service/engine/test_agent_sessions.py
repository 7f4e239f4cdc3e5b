"""The agents' streams, with agents that speak the real protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.model.cluster import ClusterConfig, Reclaim
from packhorse.scheduler.model.command import Signal
from packhorse.scheduler.model.event import MemoryEstimated
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, Cancel, NodeAction, SignalScope, Target, UpdateNode
from packhorse.scheduler.model.job import Active, JobState, WarnSignal
from packhorse.scheduler.model.resources import Ask, Gres
from packhorse.scheduler.service.agent_sessions import SessionSettings
from packhorse.v1 import agent_pb2 as pb
from tests.service.engine.cluster import CALLER, SCRIPT, Cluster, until
from tests.service.engine.fake_agent import FakeAgent, wire_key
from tests.service.engine.slow_store import GatedStore

N1 = NodeName("n1")


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = await Cluster(GatedStore()).start()
    yield made
    await made.stop()


def exits(agent: FakeAgent) -> list[AttemptKey]:
    return sorted(agent.settled)


async def test_a_node_registers_and_runs_a_job(cluster: Cluster) -> None:
    agent = FakeAgent()
    await agent.connect(cluster.address)
    assert agent.welcome is not None
    assert (agent.welcome.epoch, agent.welcome.cluster, agent.welcome.takes_batches) == (1, "packhorse", True)
    assert cluster.engine.state.nodes[N1].reachable
    assert cluster.engine.state.nodes[N1].spec.address.startswith("127.0.0.1")
    job = await cluster.submit()
    await cluster.ended(job)
    assert cluster.state_of(job) is JobState.COMPLETED
    await until(lambda: exits(agent) == [AttemptKey(job, 1, 1)], "the acknowledgement")
    assert len(agent.launches) == 1
    await agent.disconnect()


async def test_what_a_launch_says(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True, gpus=2)
    await agent.connect(cluster.address)
    job = await cluster.submit(
        name="fit",
        args=("a b", "c"),
        std_out="out/%x-%j.log",
        std_err="/logs/%u.err",
        umask=0o077,
        rlimits=(("core", 0),),
        time_limit_s=60,
        ask=Ask(cpu_milli_per_task=2000, mem_mib_per_node=100, gres_per_node=(Gres("gpu", "", 1),)),
    )
    await until(lambda: bool(agent.launches))
    (launch,) = agent.launches
    assert launch.attempt == wire_key(AttemptKey(job, 1, 1))
    assert (launch.uid, launch.gid, launch.user, launch.job_name) == (1000, 1000, "ann", "fit")
    assert launch.script == SCRIPT.data
    assert list(launch.args) == ["a b", "c"]
    assert list(launch.environment) == ["PATH=/bin"]
    assert {f"SLURM_JOB_ID={job}", "SLURM_CLUSTER_NAME=packhorse", "SLURM_JOB_GPUS=0"} <= set(
        launch.slurm_environment
    )
    assert (launch.work_dir, launch.std_in) == ("/tmp", "/dev/null")
    assert (launch.std_out, launch.std_err) == (f"/tmp/out/fit-{job}.log", "/logs/ann.err")
    assert (launch.append, launch.umask, launch.time_limit_s) == (False, 0o077, 60)
    assert [(limit.name, limit.value) for limit in launch.rlimits] == [("core", 0)]
    assert (launch.cpu_milli, launch.mem_mib) == (2000, 100)
    assert [(d.kind, list(d.indices)) for d in launch.devices] == [("gpu", [0])]
    assert (launch.kill_wait_s, launch.allow_root) == (30, False)
    await agent.disconnect()


async def test_output_goes_to_slurms_default_name(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: bool(agent.launches))
    assert (agent.launches[0].std_out, agent.launches[0].std_err) == (f"/tmp/slurm-{job}.out", "")
    await agent.disconnect()


@pytest.mark.parametrize("batches", [True, False])
async def test_many_at_once(cluster: Cluster, batches: bool) -> None:
    agent = FakeAgent(cpus=40, batches=batches)
    await agent.connect(cluster.address)
    first = await cluster.submit(100)
    jobs = [JobId(first + i) for i in range(100)]
    await cluster.ended(*jobs)
    await until(lambda: len(agent.settled) == 100)
    assert {cluster.state_of(job) for job in jobs} == {JobState.COMPLETED}
    assert bool(agent.batches_heard) is batches
    await agent.disconnect()


async def test_exits_that_arrive_together_share_a_commit_and_an_acknowledgement(cluster: Cluster) -> None:
    store = cluster.store
    assert isinstance(store, GatedStore)
    agent = FakeAgent(cpus=20, hold=True)
    await agent.connect(cluster.address)
    await cluster.submit(20)
    await until(lambda: len(agent.running) == 20)
    agent.orders.clear()
    store.shut()
    engine = cluster.engine
    stopper = asyncio.create_task(engine.call(Cancel(CALLER, (Target("1", JobId(999)),))))
    before = len(store.appended)
    for key in sorted(agent.running):
        agent.finish(key)
    await until(lambda: all(not isinstance(job.phase, Active) for job in engine.state.jobs.values()))
    assert not agent.settled
    store.open()
    await until(lambda: len(agent.settled) == 20)
    assert len(store.appended) - before <= 3
    acks = [order for order in agent.orders if order.HasField("ack_exits")]
    assert len(acks) <= 3
    await stopper
    await agent.disconnect()


async def test_a_heartbeat_is_answered_and_usage_is_kept(cluster: Cluster) -> None:
    agent = FakeAgent()
    await agent.connect(cluster.address)
    seq = cluster.engine.seq
    agent.say(pb.AgentMessage(heartbeat=pb.Heartbeat(at_us=1)))
    key = AttemptKey(JobId(1), 1, 1)
    sample = pb.AttemptSample(attempt=wire_key(key), rss_kib=5, usage=pb.AttemptUsage(user_cpu_us=7))
    agent.say(
        pb.AgentMessage(
            batch=pb.AgentBatch(
                messages=[pb.AgentMessage(usage=pb.UsageReport(at_us=3, mem_mib_used=9, attempts=[sample]))]
            )
        )
    )
    await until(lambda: any(order.HasField("heartbeat") for order in agent.orders))
    await until(lambda: N1 in cluster.engine.usage)
    usage = cluster.engine.usage[N1]
    assert (usage.at, usage.mem_mib_used) == (3, 9)
    assert usage.attempts[key].rss_kib == 5
    assert usage.attempts[key].usage.user_cpu_us == 7
    assert cluster.engine.seq == seq, "neither is worth an event"
    await agent.disconnect()
    await until(lambda: N1 not in cluster.engine.usage)


async def test_a_newer_session_of_a_node_replaces_the_older(cluster: Cluster) -> None:
    old, new = FakeAgent(hold=True), FakeAgent(hold=True)
    await old.connect(cluster.address)
    await new.connect(cluster.address)
    await asyncio.wait_for(old.left.wait(), 10)
    assert old.goodbye is not None
    assert not old.goodbye.retry
    assert cluster.engine.state.nodes[N1].reachable
    await cluster.submit()
    await until(lambda: bool(new.launches))
    assert not old.launches
    await new.disconnect()


async def test_a_broken_stream_makes_the_node_unreachable(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: bool(agent.running))
    await agent.disconnect()
    await until(lambda: not cluster.engine.state.nodes[N1].reachable)
    assert cluster.state_of(job) is JobState.RUNNING, "silence is not death"
    agent.finish(AttemptKey(job, 1, 1))
    await agent.connect(cluster.address)
    await cluster.ended(job)
    assert cluster.state_of(job) is JobState.COMPLETED
    assert len(agent.launches) == 1
    await agent.disconnect()


async def test_a_stream_that_breaks_while_it_registers_leaves_nobody_behind(cluster: Cluster) -> None:
    store = cluster.store
    assert isinstance(store, GatedStore)
    store.shut()
    agent = FakeAgent()
    connecting = asyncio.create_task(agent.connect(cluster.address))
    await until(lambda: N1 in cluster.engine.state.nodes, "the registration")
    await agent.disconnect()
    await connecting
    await until(lambda: not cluster.engine.state.nodes[N1].reachable, "the silence")
    assert not cluster.sessions.connected
    store.open()


async def test_what_a_replaced_session_still_says_is_not_heard(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(ref: str) -> bytes | None:
        await asyncio.Event().wait()
        return None

    older, newer = FakeAgent(), FakeAgent()
    await older.connect(cluster.address)
    session = cluster.sessions._by_node[N1]
    monkeypatch.setattr(cluster.engine.payloads, "get", never)
    await cluster.submit()  # its launch keeps the older session from hearing that it is to end
    await until(lambda: not session.queue._items, "the launch")
    await newer.connect(cluster.address)
    heard_at = session.heard_at
    older.say(pb.AgentMessage(offer=pb.Offer(epoch=9, cpu_milli=1000, mem_mib=1000)))
    await until(lambda: session.heard_at > heard_at, "the offer")
    assert cluster.engine.state.nodes[N1].offer.epoch == 1
    await newer.disconnect()
    await older.disconnect()


async def test_what_was_queued_goes_out_before_the_goodbye(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: bool(agent.running))
    session = cluster.sessions._by_node[N1]
    session.queue.put(Signal(N1, AttemptKey(job, 1, 1), 10, SignalScope.BATCH))
    cluster.sessions.close_all("enough")
    await agent.left.wait()
    assert [order.WhichOneof("message") for order in agent.orders[-2:]] == ["signal", "goodbye"]
    await agent.disconnect()


async def test_a_silent_stream_is_closed() -> None:
    cluster = await Cluster(settings=SessionSettings(heartbeat_s=0.05, silent_beats=3)).start()
    agent = FakeAgent()
    await agent.connect(cluster.address)
    await asyncio.wait_for(agent.left.wait(), 10)
    await until(lambda: not cluster.engine.state.nodes[N1].reachable)
    await agent.disconnect()
    await cluster.stop()


async def test_a_launch_that_was_lost_on_the_way_is_sent_again(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True, deaf=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: any(order.HasField("launch") for order in agent.orders))
    await agent.disconnect()
    agent.deaf = False
    await agent.connect(cluster.address)
    await until(lambda: bool(agent.launches))
    assert agent.launches[0].attempt == wire_key(AttemptKey(job, 1, 1))
    await agent.disconnect()


async def test_a_token_speaks_for_one_node(cluster: Cluster) -> None:
    agent = FakeAgent("n1", token="n2")
    await agent.connect(cluster.address)
    assert agent.welcome is None
    assert agent.goodbye is not None
    assert '"n1"' in agent.goodbye.reason
    assert N1 not in cluster.engine.state.nodes
    await agent.disconnect()


async def test_a_stream_begins_with_an_introduction(cluster: Cluster) -> None:
    agent = FakeAgent()
    agent._hello = lambda: pb.AgentMessage(heartbeat=pb.Heartbeat())  # type: ignore[method-assign]
    await agent.connect(cluster.address)
    assert agent.goodbye is not None
    assert "introduction" in agent.goodbye.reason
    await agent.disconnect()


async def test_a_stream_that_says_nothing_is_closed() -> None:
    cluster = await Cluster(settings=SessionSettings(hello_s=0.05)).start()
    agent = FakeAgent(mute=True)
    await agent.connect(cluster.address)
    assert agent.goodbye is not None
    assert "no introduction" in agent.goodbye.reason
    await agent.disconnect()
    await cluster.stop()


async def test_a_script_that_cannot_be_read_back_is_said_to_the_user() -> None:
    class Forgetful(GatedStore):
        def blob(self, ref: str) -> bytes | None:
            return None

    cluster = await Cluster(Forgetful()).start()
    agent = FakeAgent()
    job = await cluster.submit()
    cluster.engine.payloads._kept.clear()
    await agent.connect(cluster.address)
    await cluster.ended(job)
    assert cluster.state_of(job) is JobState.FAILED
    assert not agent.launches
    await agent.disconnect()
    await cluster.stop()


async def test_terminate_and_signals_reach_the_node(cluster: Cluster) -> None:
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: cluster.state_of(job) is JobState.RUNNING)
    await cluster.call(Cancel(CALLER, (Target(str(job), job),), signal=10))
    await until(lambda: any(order.HasField("signal") for order in agent.orders))
    await cluster.call(Cancel(CALLER, (Target(str(job), job),)))
    await cluster.ended(job)
    assert cluster.state_of(job) is JobState.CANCELLED
    await agent.disconnect()


async def test_an_operators_resume_reaches_an_agent_that_takes_no_work(cluster: Cluster) -> None:
    agent = FakeAgent()
    await agent.connect(cluster.address)
    offer = pb.Offer(epoch=2, cpu_milli=4000, mem_mib=16_000, reason="prolog failed: " + 1000 * "x")
    agent.say(pb.AgentMessage(offer=offer))
    await until(lambda: not cluster.engine.state.nodes[N1].offer.accepting)
    assert len(cluster.engine.state.nodes[N1].offer.reason) == 400
    await cluster.call(UpdateNode(Caller(CALLER.owner, admin=True), (N1,), NodeAction.RESUME))
    await until(lambda: any(order.HasField("resume") for order in agent.orders))
    await agent.disconnect()


async def test_losing_the_store_sends_agents_away_and_takes_them_back(cluster: Cluster) -> None:
    store = cluster.store
    assert isinstance(store, GatedStore)
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: cluster.state_of(job) is JobState.RUNNING)
    store.capacity = 1
    agent.finish(AttemptKey(job, 1, 1))
    await asyncio.wait_for(agent.left.wait(), 10)
    assert agent.goodbye is not None
    assert agent.goodbye.retry
    await agent.connect(cluster.address)
    assert agent.goodbye is not None, "nothing can be promised yet"
    assert agent.goodbye.retry
    assert agent.unacked, "nobody acknowledged what was not durable"
    store.capacity = None
    await until(lambda: not cluster.engine.trouble)
    await agent.connect(cluster.address)
    assert agent.welcome is not None
    assert agent.welcome.epoch == 2
    await cluster.ended(job)
    assert cluster.state_of(job) is JobState.COMPLETED
    await until(lambda: not agent.unacked)
    assert len(agent.launches) == 1
    await agent.disconnect()


async def test_a_job_runs_again_with_its_output_appended() -> None:
    cluster = await Cluster(config=ClusterConfig(requeue_delay_s=0)).start()
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    job = await cluster.submit()
    await until(lambda: bool(agent.running))
    key = AttemptKey(job, 1, 1)
    agent.running.remove(key)
    lost = pb.Exited(attempt=wire_key(key), lost=True, ended_at_us=Instant(1))
    agent.unacked[key] = lost
    agent.say(pb.AgentMessage(exited=lost))
    await until(lambda: len(agent.launches) == 2)
    again = agent.launches[1]
    assert again.attempt.number == 2
    assert again.append
    assert "SLURM_RESTART_COUNT=1" in again.slurm_environment
    await agent.disconnect()
    await cluster.stop()


async def test_lent_memory_is_taken_back_when_the_agent_says_that_its_lender_grows() -> None:
    """By the order that follows the report: with the job's own signal and the grace of [reclaim]."""
    reclaim = Reclaim(
        enabled=True, estimator="borg", settle_s=0, share=100, margin_mib=0, floor_percent=1, grace_s=7
    )
    cluster = await Cluster(config=ClusterConfig(reclaim=reclaim)).start()
    agent = FakeAgent(hold=True)
    await agent.connect(cluster.address)
    lender = await cluster.submit(ask=Ask(mem_mib_per_node=16_000))
    await until(lambda: cluster.state_of(lender) is JobState.RUNNING)
    key = AttemptKey(lender, 1, 1)

    def uses(mib: int) -> None:
        sample = pb.AttemptSample(attempt=wire_key(key), rss_kib=mib * 1024)
        usage = pb.UsageReport(at_us=3, mem_mib_free=15_000 - mib, attempts=[sample])
        agent.say(pb.AgentMessage(usage=usage))

    apply(cluster.engine.state, MemoryEstimated(Instant(1), N1, ((lender, 4_000),)))
    uses(2_000)
    await until(lambda: bool(cluster.engine.state.reclaim.seen_at.any()))
    borrower = await cluster.submit(ask=Ask(mem_mib_per_node=8_000), qos="scavenger", warn=WarnSignal(10, 60))
    await until(lambda: cluster.state_of(borrower) is JobState.RUNNING)
    assert (agent.launches[-1].mem_mib, agent.launches[-1].lent_mib) == (8_000, 8_000)
    uses(12_000)
    await until(lambda: any(order.HasField("terminate") for order in agent.orders))
    [order] = [order.terminate for order in agent.orders if order.HasField("terminate")]
    assert (order.attempt.job_id, order.signal, order.grace_s, order.cause) == (borrower, 10, 7, "preempted")
    assert cluster.state_of(lender) is JobState.RUNNING
    await agent.disconnect()
    await cluster.stop()

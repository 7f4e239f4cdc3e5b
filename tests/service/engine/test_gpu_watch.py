"""Spans in which a job's GPUs did nothing: what is told of them, and what is never taken for idleness."""

from __future__ import annotations

from packhorse.scheduler.model.cluster import ClusterConfig, GpuIdle, GpuIdleAction
from packhorse.scheduler.model.event import JobGpusBusy, JobGpusIdle
from packhorse.scheduler.model.ids import US, AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import ReportGpus
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.resources import Ask, Gres, Usage
from packhorse.scheduler.model.sample import DeviceSample
from packhorse.scheduler.service.clock import ManualClock
from packhorse.scheduler.service.convert_agents import AttemptSample, NodeUsage
from packhorse.scheduler.service.gpu_watch import GpuWatch
from packhorse.scheduler.service.tables import jobs
from packhorse.v1 import agent_pb2 as pb
from tests.core.scenario import Cluster, a_cluster, a_config
from tests.service.engine.cluster import Cluster as Served
from tests.service.engine.cluster import until
from tests.service.engine.fake_agent import FakeAgent, wire_key

EVERY_S = 10
POLICY = GpuIdle(True, busy_below_milli=50, warn_after_s=600, grace_s=300, action=GpuIdleAction.CANCEL)
N1, N2 = NodeName("n1"), NodeName("n2")


class Watched:
    """A cluster of the core's tests whose nodes report every 10 s."""

    def __init__(self, policy: GpuIdle = POLICY, nodes: int = 1) -> None:
        self.cluster: Cluster = a_cluster(nodes, gpus=2, config=a_config(gpu_idle=policy))
        self.watch = GpuWatch(EVERY_S)
        self.usage: dict[NodeName, NodeUsage] = {}
        self.told: list[ReportGpus] = []

    def job(self, **what: object) -> int:
        job = self.cluster.submit(**{"gpus": 2, **what})  # type: ignore[arg-type]
        self.cluster.run(job)
        return job

    def report(
        self,
        *busy: int | None,
        node: NodeName = N1,
        of_attempt: tuple[AttemptKey, tuple[int | None, ...]] | None = None,
    ) -> None:
        """The node says how busy its GPUs are, perhaps those of one attempt apart."""
        attempts = {}
        if of_attempt is not None:
            key, values = of_attempt
            attempts[key] = AttemptSample(Usage(), 0, 0, samples(values))
        self.usage[node] = NodeUsage(Instant(0), 0, 0, 0, 0, attempts, samples(busy))
        for input in self.watch.heard(self.cluster.state, node, self.usage, self.cluster.clock.now):
            self.told.append(input)
            self.cluster.do(input)

    def idle_for(self, seconds: int, *busy: int | None, every: int = EVERY_S) -> None:
        for _ in range(seconds // every):
            self.cluster.pass_time(every)
            self.report(*(busy or (0, 0)))


def samples(busy: tuple[int | None, ...]) -> tuple[DeviceSample, ...]:
    return tuple(DeviceSample("gpu", index, value) for index, value in enumerate(busy))


def kinds(watched: Watched) -> list[type]:
    return [type(event) for event in watched.cluster.log if isinstance(event, JobGpusIdle | JobGpusBusy)]


def test_an_idle_job_is_warned_and_stopped_and_little_is_said() -> None:
    watched = Watched()
    job = watched.job()
    watched.report(0, 0)
    watched.idle_for(590)
    assert watched.told == []
    watched.idle_for(10, 49, 0)
    assert kinds(watched) == [JobGpusIdle]
    watched.idle_for(290)
    assert watched.cluster.state_of(job) == "RUNNING"
    watched.idle_for(10)
    assert watched.cluster.state_of(job) == "COMPLETING"
    watched.idle_for(600)
    assert len(watched.told) == 2


def test_whoever_looks_sees_the_warning() -> None:
    watched = Watched()
    job = watched.job()
    watched.idle_for(620)
    state, now = watched.cluster.state, watched.cluster.clock.now
    view = jobs.view(state, now, [state.jobs[JobId(job)]])
    [since] = jobs.JOBS["gpus_idle_since"].values(view)
    [stop] = jobs.JOBS["gpus_stop_at"].values(view)
    warned = watched.cluster.active(job).gpus_warned_at
    assert (warned - since, stop - warned) == (600 * US, 300 * US)
    watched.report(900, 900)
    view = jobs.view(state, now, [state.jobs[JobId(job)]])
    assert (jobs.JOBS["gpus_idle_since"].values(view), jobs.JOBS["gpus_stop_at"].values(view)) == ([0], [0])


def test_one_busy_gpu_of_several_is_enough() -> None:
    watched = Watched()
    watched.job()
    watched.report(0, 0)
    watched.idle_for(3600, 0, 50)
    watched.idle_for(590)
    assert watched.told == []


def test_a_job_that_computes_now_and_then_fills_no_log() -> None:
    watched = Watched()
    watched.job()
    for _ in range(50):
        watched.idle_for(300)
        watched.report(0, 900)
    assert watched.told == []


def test_busy_after_the_warning() -> None:
    watched = Watched()
    watched.job()
    watched.idle_for(620)
    watched.report(900, 0)
    assert kinds(watched) == [JobGpusIdle, JobGpusBusy]
    watched.idle_for(590)
    assert len(watched.told) == 2


def test_what_was_not_measured_is_not_idle() -> None:
    for unknown in ((0, None), (None, None), (0,), ()):
        watched = Watched()
        watched.job()
        for _ in range(100):
            watched.cluster.pass_time(10)
            watched.report(*unknown)
        assert watched.told == [], unknown
    watched = Watched()
    watched.job()
    watched.idle_for(590)
    watched.report(0, None)
    watched.idle_for(590)
    assert watched.told == [], "a gap begins the span anew"


def test_a_node_that_reports_too_seldom_or_fell_silent_begins_anew() -> None:
    watched = Watched()
    watched.job()
    watched.idle_for(590)
    watched.idle_for(40, every=40)
    assert watched.told == []
    watched.idle_for(560)
    watched.watch.silent(N1)
    watched.idle_for(590)
    assert watched.told == []
    watched.idle_for(20)
    assert kinds(watched) == [JobGpusIdle]


def test_a_restart_of_the_scheduler_voids_the_warning() -> None:
    """A new process knows of no span: what happened while it was away, nobody saw."""
    watched = Watched()
    job = watched.job()
    watched.idle_for(620)
    watched.watch = GpuWatch(EVERY_S)
    watched.cluster.pass_time(7200)
    watched.report(0, 0)
    assert kinds(watched) == [JobGpusIdle, JobGpusBusy]
    assert watched.cluster.state_of(job) == "RUNNING"


def test_the_attempts_own_sample_counts_before_its_nodes() -> None:
    watched = Watched()
    job = watched.job()
    key = watched.cluster.active(job).attempt
    for _ in range(70):
        watched.cluster.pass_time(10)
        watched.report(0, 0, of_attempt=(key, (0, 800)))
    assert watched.told == []


def test_a_shared_gpu_is_busy_while_anybody_uses_it() -> None:
    watched = Watched()
    watched.job(gpus=0, gres_per_node=(Gres("gpu", "", 1, 250),))
    watched.idle_for(1200, 300, 300)
    assert watched.told == []


def test_all_nodes_of_a_job_count() -> None:
    watched = Watched(nodes=2)
    watched.job(nodes=2)
    watched.idle_for(1200)
    assert watched.told == [], "nobody heard of the other node"
    for _ in range(62):
        watched.cluster.pass_time(10)
        watched.report(0, 0, node=N2)
        watched.report(0, 0, node=N1)
    assert kinds(watched) == [JobGpusIdle]


def test_who_is_exempt_and_who_has_no_gpus_is_not_watched() -> None:
    watched = Watched()
    watched.job(idle_gpu_ok=True)
    watched.job(gpus=0)
    watched.idle_for(3600)
    assert watched.told == []
    off = Watched(GpuIdle(False, warn_after_s=10))
    off.job()
    off.idle_for(3600)
    assert off.told == []


async def test_reports_of_a_real_stream_reach_the_core() -> None:
    clock = ManualClock()
    served = await Served(clock=clock, config=ClusterConfig(gpu_idle=POLICY)).start()
    agent = FakeAgent(hold=True, gpus=1)
    await agent.connect(served.address)
    job = await served.submit(ask=Ask(gres_per_node=(Gres("gpu", "", 1),)))
    await until(lambda: bool(agent.running))
    key = next(iter(agent.running))

    def active() -> Active:
        phase = served.engine.state.jobs[job].phase
        assert isinstance(phase, Active)
        return phase

    await until(lambda: bool(active().started_at))
    device = pb.DeviceSample(kind="gpu", index=0, busy_milli=0)
    for second in range(0, 640, 20):
        clock.advance(20)
        sample = pb.AttemptSample(attempt=wire_key(key), devices=[device])
        agent.say(pb.AgentMessage(usage=pb.UsageReport(at_us=second + 1, attempts=[sample])))
        await until(lambda at=second + 1: getattr(served.engine.usage.get(N1), "at", 0) == at)  # type: ignore[misc]
    await until(lambda: bool(active().gpus_warned_at), "the warning")
    await agent.disconnect()
    await served.stop()

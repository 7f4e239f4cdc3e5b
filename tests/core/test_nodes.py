"""Nodes: registration proves, silence does not, and what becomes of the jobs there."""

from msgspec.structs import replace

from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.step import next_timer
from packhorse.scheduler.model.command import Launch, Resume, SetTimeLimit, Terminate
from packhorse.scheduler.model.ids import AttemptKey, Instant, JobId, NodeName
from packhorse.scheduler.model.input import (
    Caller,
    NodeAction,
    ReportExit,
    ReportOffer,
    RunningAttempt,
    Start,
    UpdateNode,
)
from packhorse.scheduler.model.job import EndCause, Ended
from packhorse.scheduler.model.node import Offer
from packhorse.scheduler.model.reply import Refused
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster, a_config, a_node

N1 = NodeName("n1")


def running_job(**what: object) -> tuple[Cluster, JobId]:
    cluster = a_cluster()
    job = cluster.submit(**what)  # type: ignore[arg-type]
    cluster.run(job)
    return cluster, job


def test_submissions_are_counted_from_the_first_start() -> None:
    """Whatever the file says later; a configuration that names an instant has its way."""
    cluster = a_cluster()
    first = cluster.state.config.origin
    assert first == cluster.clock.now
    cluster.pass_time(3600)
    cluster.do(Start(a_config(order="f1")))
    assert (cluster.state.config.order, cluster.state.config.origin) == ("f1", first)
    cluster.do(Start(a_config(origin=Instant(7))))
    assert cluster.state.config.origin == 7


def test_silence_proves_nothing() -> None:
    cluster, job = running_job()
    cluster.silence("n1")
    cluster.silence("n1")
    cluster.pass_time(7 * 24 * 3600)
    assert cluster.state_of(job) == "RUNNING"
    other = cluster.submit()
    assert cluster.run_cycle() == []
    cluster.register("n1")
    assert cluster.state_of(job) == "RUNNING"
    assert cluster.run_cycle() == [other]


def test_a_new_boot_proves_that_everything_from_before_is_dead() -> None:
    cluster = a_cluster()
    again, once = cluster.submit(), cluster.submit(requeue=False)
    cancelled, exited = cluster.submit(), cluster.submit()
    cluster.run(again, once, cancelled, exited)
    cluster.cancel(cancelled)
    cluster.register("n1", reboot=True, exited=(exited,))
    assert cluster.state_of(again) == "PENDING"
    assert cluster.reason_of(again) is Reason.BEGIN_TIME
    end = cluster.job(once).phase
    assert isinstance(end, Ended)
    assert (end.state.value, end.reason, end.detail) == ("NODE_FAIL", "NodeDown", "node n1 was restarted")
    assert cluster.state_of(cancelled) == "CANCELLED"
    # Its exit was written down before the machine went: it is on its way.
    assert cluster.state_of(exited) == "RUNNING"
    cluster.exit(exited, 0)
    assert cluster.state_of(exited) == "COMPLETED"
    cluster.pass_time(3)
    assert cluster.run_cycle() == [again]


def test_a_reconnected_agent_is_told_again_what_may_have_been_lost() -> None:
    cluster = a_cluster()
    granted, launching, runs, stopped = (cluster.submit(time_limit_s=600) for _ in range(4))
    cluster.run(runs, stopped)
    cluster.cancel(stopped)
    cluster.silence("n1")
    told = cluster.register("n1", launching=(launching,))
    assert told == [
        Launch(N1, granted, cluster.active(granted).attempt),
        SetTimeLimit(N1, cluster.active(runs).attempt, 600),
        Terminate(N1, cluster.active(stopped).attempt, 30, EndCause.CANCELLED),
    ]


def test_a_start_that_was_not_heard_of_is_learnt_from_the_registration() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    cluster.clock.advance(5)
    cluster.silence("n1")
    cluster.register("n1", running=(job,))
    assert cluster.state_of(job) == "RUNNING"


def test_what_the_agent_does_not_know_is_lost() -> None:
    cluster, job = running_job()
    cluster.register("n1", running=())
    assert cluster.state_of(job) == "PENDING"
    assert cluster.rows[-1].detail == "the agent of node n1 has lost it"


def test_a_cancelled_job_whose_launch_never_arrived_is_asked_about() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    cluster.cancel(job)
    told = cluster.register("n1")
    assert [type(command) for command in told] == [Terminate]
    assert cluster.state_of(job) == "COMPLETING"
    cluster.exit(job, refused=True, launch_error="no such attempt on this node")
    assert cluster.state_of(job) == "CANCELLED"


def test_an_attempt_that_may_not_have_begun_is_launched_again_even_after_a_reboot() -> None:
    cluster = a_cluster()
    job = cluster.submit()
    cluster.run_cycle()
    key = cluster.active(job).attempt
    assert cluster.register("n1", reboot=True) == [Launch(N1, job, key)]
    # It had begun in the boot before: the agent's journal says so, and the job starts anew.
    cluster.exit(job, refused=True, launch_error="attempt 1.1.1 is already settled")
    assert cluster.state_of(job) == "PENDING"


def test_attempts_that_are_not_current_are_stopped_and_their_exits_acknowledged() -> None:
    cluster, job = running_job()
    stale = AttemptKey(job, 1, 0)
    never = AttemptKey(JobId(77), 1, 1)
    told = cluster.register(
        "n1",
        also_running=(RunningAttempt(stale, cluster.clock.now), RunningAttempt(never, cluster.clock.now)),
    )
    assert [c.attempt for c in told if isinstance(c, Terminate)] == [stale, never]
    assert cluster.state_of(job) == "RUNNING"


def test_losing_another_node_of_the_allocation_stops_the_attempt() -> None:
    cluster = a_cluster(nodes=2, cpus=2)
    job = cluster.submit(nodes=2, cpus=2)
    cluster.run(job)
    first, second = (p.node for p in cluster.active(job).placements)
    cluster.register(second, reboot=True)
    assert cluster.state_of(job) == "COMPLETING"
    assert cluster.sent[-1] == Terminate(first, cluster.active(job).attempt, 30, EndCause.NODE_FAIL)
    cluster.exit(job, 0, signal=15)
    assert cluster.state_of(job) == "PENDING"
    assert cluster.rows[-1].state == "NODE_FAIL"


def test_losing_the_first_node_of_the_allocation_ends_the_attempt() -> None:
    cluster = a_cluster(nodes=2, cpus=2)
    job = cluster.submit(nodes=2, cpus=2, requeue=False)
    cluster.run(job)
    cluster.register(cluster.active(job).placements[0].node, reboot=True)
    assert cluster.state_of(job) == "NODE_FAIL"


def test_an_operators_word_is_believed_of_a_silent_node_only() -> None:
    cluster = a_cluster(nodes=2, cpus=1)
    here, there = cluster.submit(), cluster.submit()
    cluster.run(here, there)
    cluster.silence("n2")
    cluster.down("n1")
    cluster.down("n2")
    states = {str(cluster.state.nodes[NodeName(n)].admin) for n in ("n1", "n2")}
    assert states == {"down"}
    # n1 answers: its job is stopped first. n2 is silent: nothing runs there, says the operator.
    stopping, gone = (here, there) if cluster.state_of(here) == "COMPLETING" else (there, here)
    assert cluster.state_of(stopping) == "COMPLETING"
    assert cluster.state_of(gone) == "PENDING"
    cluster.silence("n1")
    cluster.down("n1", "pulled the plug")
    assert cluster.state_of(stopping) == "PENDING"
    cluster.pass_time(10)
    assert cluster.run_cycle() == []
    cluster.register("n1", running=())
    assert cluster.run_cycle() == []
    cluster.resume("n1")
    assert len(cluster.run_cycle()) == 1


def test_drain_lets_work_finish_and_takes_no_more() -> None:
    cluster, job = running_job()
    cluster.drain("n1")
    other = cluster.submit()
    assert cluster.run_cycle() == []
    cluster.exit(job)
    assert cluster.state_of(job) == "COMPLETED"
    cluster.resume("n1")
    cluster.resume("n1")
    assert cluster.run_cycle() == [other]


def test_node_changes_need_an_administrator_and_a_reason() -> None:
    cluster = a_cluster()
    reply = cluster.do(UpdateNode(Caller(USER), (N1,), NodeAction.RESUME)).reply
    assert isinstance(reply, Refused)
    reply = cluster.do(UpdateNode(ADMIN, (N1,), NodeAction.DRAIN, " ")).reply
    assert isinstance(reply, Refused)
    assert reply.slurm.startswith("You must specify a reason")
    assert cluster.drain("n9")[0].slurm == "Invalid node name specified"


def test_resume_reaches_a_node_whose_agent_takes_no_work() -> None:
    cluster = a_cluster(nodes=2)
    cluster.resume("n1")
    assert Resume(N1) not in cluster.sent
    cluster.do(ReportOffer(N1, Offer(2, 4000, 16_000, accepting=False, reason="prolog failed: exit 3")))
    since = cluster.clock.now
    assert cluster.state.nodes[N1].refusing_since == since
    cluster.clock.advance(60)
    cluster.do(ReportOffer(N1, Offer(3, 4000, 16_000, accepting=False, reason="worse")))
    assert cluster.state.nodes[N1].refusing_since == since
    cluster.drain("n1")
    cluster.resume("n1")
    assert cluster.sent == [Resume(N1)]
    assert not cluster.state.nodes[N1].schedulable, "until the agent says so"
    cluster.do(ReportOffer(N1, Offer(4, 4000, 16_000)))
    assert cluster.state.nodes[N1].schedulable and not cluster.state.nodes[N1].refusing_since


def test_offers() -> None:
    cluster = a_cluster(cpus=4)
    n = len(cluster.log)
    cluster.do(ReportOffer(N1, Offer(2, 4000, 16_000)))
    cluster.do(ReportOffer(NodeName("n9"), Offer(2, 0, 0)))
    assert len(cluster.log) == n, "the same once more is not recorded"
    cluster.do(ReportOffer(N1, Offer(3, 1000, 16_000)))
    cluster.do(ReportOffer(N1, Offer(3, 4000, 16_000)))
    jobs = [cluster.submit(), cluster.submit()]
    assert cluster.run_cycle() == jobs[:1]
    cluster.do(ReportOffer(N1, Offer(4, 4000, 16_000, accepting=False, reason="disk full")))
    assert cluster.run_cycle() == []
    cluster.do(ReportOffer(N1, Offer(5, 4000, 16_000)))
    assert cluster.run_cycle() == jobs[1:]


def test_offers_that_say_more_of_a_node_are_recorded() -> None:
    cluster = a_cluster(cpus=4)
    dead = (("gpu", 1),)
    for epoch, offer in enumerate(
        (
            Offer(0, 4000, 16_000, warnings=("gpu 0 is warm",)),
            Offer(0, 4000, 16_000, dead_devices=dead, dead_reasons=("lost",)),
            Offer(0, 4000, 16_000, dead_devices=dead, dead_reasons=("worn",)),
        ),
        start=2,
    ):
        n = len(cluster.log)
        cluster.do(ReportOffer(N1, replace(offer, epoch=epoch)))
        assert len(cluster.log) == n + 1
        cluster.do(ReportOffer(N1, replace(offer, epoch=epoch + 100)))
        assert len(cluster.log) == n + 1, "the same once more is not"
        assert cluster.state.nodes[N1].offer == replace(offer, epoch=epoch)


def test_a_node_that_comes_back_smaller_keeps_what_runs() -> None:
    cluster = a_cluster(cpus=4)
    job = cluster.submit(cpus=4)
    cluster.run(job)
    cluster.register(a_node("n1", cpus=2), running=(job,))
    assert cluster.run_cycle() == []
    cluster.exit(job)
    assert cluster.submit(cpus=2) in cluster.run_cycle()


def test_a_lease_ends_the_wait_for_a_silent_node() -> None:
    cluster = a_cluster(nodes=2, cpus=1)
    leased, patient = cluster.submit(lease_s=100), cluster.submit()
    cluster.run(leased, patient)
    for name in ("n1", "n2"):
        cluster.silence(name)
    cluster.pass_time(100 + 30 + 29)
    assert cluster.state_of(leased) == "RUNNING"
    cluster.pass_time(2)
    assert cluster.state_of(leased) == "PENDING"
    assert cluster.state_of(patient) == "RUNNING"


def test_a_lease_means_nothing_when_the_node_came_back_in_time() -> None:
    cluster = a_cluster()
    job = cluster.submit(lease_s=100)
    cluster.run(job)
    cluster.silence("n1")
    cluster.pass_time(100)
    cluster.register("n1")
    cluster.pass_time(1000)
    assert cluster.state_of(job) == "RUNNING"


def test_the_brake_holds_while_most_nodes_are_silent() -> None:
    cluster = a_cluster(nodes=4, cpus=1)
    jobs = [cluster.submit(lease_s=10, requeue=False) for _ in range(4)]
    cluster.run(*jobs)
    for name in ("n1", "n2", "n3"):
        cluster.silence(name)
    cluster.pass_time(24 * 3600)
    assert all(cluster.state_of(job) == "RUNNING" for job in jobs)
    assert next_timer(cluster.state) is None
    cluster.register("n1")
    cluster.pass_time(0)
    states = sorted(cluster.state_of(job) for job in jobs)
    assert states == ["NODE_FAIL", "NODE_FAIL", "RUNNING", "RUNNING"]


def test_the_partition_may_give_the_lease() -> None:
    cluster = a_cluster(config=a_config(lease_s=50))
    job = cluster.submit()
    assert cluster.job(job).spec.lease_s == 50


def test_a_restarted_scheduler_waits_for_its_agents() -> None:
    cluster, job = running_job()
    cluster.do(Start(cluster.state.config))
    assert cluster.state.epoch == 2
    assert not cluster.state.nodes[N1].reachable
    assert cluster.state_of(job) == "RUNNING"
    other = cluster.submit()
    assert cluster.run_cycle() == []
    cluster.register("n1")
    assert cluster.run_cycle() == [other]
    assert cluster.active(other).attempt == AttemptKey(other, 1, 2)
    cluster.exit(job)
    assert cluster.state_of(job) == "COMPLETED"


def test_an_exit_reported_by_another_node_of_the_job_is_only_acknowledged() -> None:
    cluster = a_cluster(nodes=2, cpus=1)
    job = cluster.submit(nodes=2)
    cluster.run(job)
    second = cluster.active(job).placements[1].node
    now = cluster.clock.now
    cluster.do(ReportExit(second, cluster.active(job).attempt, now, now))
    assert cluster.state_of(job) == "RUNNING"


def test_who_wants_none_of_what_a_shrunk_node_lacks_still_starts_there() -> None:
    for other in (False, True):
        cluster = a_cluster(mem_mib=1000)
        if other:
            cluster.register(a_node("n2", 1, 1000))
        job = cluster.submit(cpus=2, mem_mib=800)
        cluster.run(job)
        cluster.register(a_node("n1", 8, 500))
        waiting = cluster.submit(cpus=2, mem_mib=0)
        cluster.pass_time(1)
        assert cluster.run_cycle() == [waiting]

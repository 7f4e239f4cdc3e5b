"""Licences: counted for the cluster, held from grant to release, and waited for without being in the way."""

from __future__ import annotations

import msgspec
import pytest

from packhorse.scheduler.core import cycle
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.explain import explain
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import Caller, Start, Submit
from packhorse.scheduler.model.reply import RefusalCode, Refused
from tests.core.scenario import USER, Cluster, a_cluster, a_config, a_spec


def licensed(nodes: int = 1, cpus: int = 8, **config: object) -> Cluster:
    """A cluster with 2 matlab and 5 fluent."""
    return a_cluster(nodes, cpus, config=a_config(licenses=(("matlab", 2), ("fluent", 5)), **config))


def said(cluster: Cluster, job: JobId) -> list[tuple[Reason, str]]:
    return [tuple(e) for e in explain(cluster.state, job, cluster.clock.now)]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("licenses", "code", "says"),
    [
        ("nosuch", RefusalCode.INVALID, '"nosuch" does not exist; those that exist: matlab:2, fluent:5'),
        ("matlab,nosuch:3", RefusalCode.INVALID, 'license "nosuch" does not exist'),
        (
            "fluent,matlab:3",
            RefusalCode.IMPOSSIBLE,
            'license "matlab": 3 asked, the cluster has 2; ask for fewer; those that exist: matlab:2, flu',
        ),
        ("matlab:x", RefusalCode.INVALID, '"x" is not a whole count'),
        ("matlab:0", RefusalCode.INVALID, "the count is not between 1 and"),
    ],
)
def test_what_the_cluster_does_not_have_is_refused(licenses: str, code: RefusalCode, says: str) -> None:
    reply = licensed().try_submit(licenses=licenses)
    assert isinstance(reply, Refused)
    assert (reply.code, reply.slurm) == (code, "Invalid license specification")
    assert says in reply.message and "\n" not in reply.message


def test_a_cluster_without_licences_says_where_they_are_set() -> None:
    reply = a_cluster().try_submit(licenses="matlab")
    assert isinstance(reply, Refused)
    assert (
        reply.message == 'license "matlab" does not exist; the cluster has none (licenses in packhorse.toml)'
    )


def test_all_that_there_are_may_be_asked_for_whoever_holds_them() -> None:
    cluster = licensed()
    jobs = [cluster.submit(licenses="matlab:2,fluent:5") for _ in range(2)]
    assert cluster.run_cycle() == jobs[:1]
    assert cluster.reason_of(jobs[1]) is Reason.LICENSES


def test_they_are_held_from_grant_to_release() -> None:
    cluster = licensed(nodes=2)
    job = cluster.submit(licenses="matlab:2", nodes=2)
    waits = cluster.submit(licenses="matlab")
    held = cluster.state.licenses.held
    assert cluster.run_cycle() == [job] and held == {"matlab": 2}  # two nodes, and counted once
    cluster.start(job)
    assert cluster.run_cycle() == [] and cluster.reason_of(waits).value == "Licenses"
    cluster.cancel(job)
    assert cluster.state_of(job) == "COMPLETING" and held == {"matlab": 2}
    assert cluster.run_cycle() == []
    cluster.exit(job, signal=15)
    assert held == {}
    assert cluster.run_cycle() == [waits] and held == {"matlab": 1}


def test_a_requeued_job_gives_them_back() -> None:
    cluster = licensed()
    job = cluster.submit(licenses="matlab:2")
    cluster.run(job)
    cluster.requeue(job)
    cluster.exit(job, signal=15)
    assert cluster.state_of(job) == "PENDING" and cluster.state.licenses.held == {}
    cluster.pass_time(10)
    assert cluster.run_cycle() == [job]


def test_who_waits_for_licences_is_in_nobodys_way() -> None:
    cluster = licensed()
    holder = cluster.submit(licenses="matlab:2")
    cluster.run(holder)
    waits = [cluster.submit(licenses=wanted, cpus=8, priority=None) for wanted in ("matlab", "matlab:2")]
    other = cluster.submit(licenses="fluent", cpus=3)
    plain = cluster.submit(cpus=4, time_limit_s=0)
    assert cluster.run_cycle() == [other, plain]
    assert [cluster.reason_of(job) for job in waits] == [Reason.LICENSES] * 2
    assert [cluster.state.pending_columns.planned(job) for job in waits] == [0, 0]


def test_one_that_wants_fewer_goes_first() -> None:
    cluster = licensed()
    first, many, few = (cluster.submit(licenses=wanted) for wanted in ("matlab", "matlab:2", "matlab"))
    assert cluster.run_cycle() == [first, few]
    assert cluster.reason_of(many) is Reason.LICENSES


def test_one_cycle_gives_no_more_than_there_are() -> None:
    cluster = licensed(cpus=32)
    items = tuple(Item(spec) for spec in (0, 0, 0, 1, 1, 2, 2, 3, 3, 3))
    wants = ("fluent", "matlab,fluent", "fluent:2", "")
    specs = tuple(a_spec(licenses=wanted, name=wanted or "none") for wanted in wants)
    cluster.do(Submit(Caller(USER), specs, items))
    started = [cluster.job(id).spec.name for id in cluster.run_cycle()]
    assert started == ["fluent"] * 3 + ["matlab,fluent"] * 2 + ["none"] * 3
    waiting = [job for job in cluster.state.jobs if job in cluster.state.pending_columns]
    assert [cluster.reason_of(job) for job in waiting] == [Reason.LICENSES] * 2


def test_tasks_of_an_array_take_one_each() -> None:
    cluster = licensed(cpus=32)
    array = cluster.submit_array("0-9", licenses="fluent:2")
    behind = cluster.submit()
    started = cluster.run_cycle()
    assert [cluster.job(id).index for id in started] == [0, 1, -1] and started[2] == behind
    assert cluster.reason_of(array) is Reason.LICENSES and cluster.waiting(array) == "2-9"
    cluster.start(started[0])
    cluster.exit(started[0])
    assert [cluster.job(id).index for id in cluster.run_cycle()] == [2]


def test_what_the_nodes_cannot_hold_takes_no_licence() -> None:
    cluster = licensed(cpus=4)
    jobs = [cluster.submit(cpus=3, licenses="matlab") for _ in range(3)]
    assert cluster.run_cycle() == jobs[:1]
    assert cluster.state.licenses.held == {"matlab": 1}
    assert [cluster.reason_of(job) for job in jobs[1:]] == [Reason.RESOURCES, Reason.PRIORITY]


def test_the_plan_of_a_cycle_is_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = licensed()
    jobs = [cluster.submit(licenses="matlab") for _ in range(3)]
    grant = cycle.plan(cluster.state, cluster.clock.now).grants[0]
    plan = cycle.Plan([grant._replace(id=job) for job in jobs], {}, False)
    monkeypatch.setattr(cycle, "plan", lambda *_: plan)
    assert cluster.run_cycle() == jobs[:2]


def test_the_sentence_has_the_figures() -> None:
    cluster = licensed()
    cluster.run(cluster.submit(licenses="matlab,fluent:4"))
    job = cluster.submit(licenses="matlab:2,fluent:3")
    cluster.run_cycle()
    behind = cluster.submit(cpus=8)
    assert said(cluster, job) == [
        (
            Reason.LICENSES,
            'needs 2 of license "matlab"; 1 of 2 free; needs 3 of license "fluent"; 1 of 5 free',
        )
    ]
    assert [reason for reason, _ in said(cluster, behind)] == [Reason.RESOURCES]  # nobody is ahead of it


def test_fewer_licences_after_a_restart() -> None:
    cluster = licensed()
    job = cluster.submit(licenses="matlab:2")
    cluster.run(job)
    waits, plain = cluster.submit(licenses="fluent:5"), cluster.submit()
    config = msgspec.structs.replace(cluster.state.config, licenses=(("matlab", 1), ("fluent", 1)))
    cluster.do(Start(config))
    cluster.register("n1")
    assert cluster.state.licenses.free(config) == {"matlab": -1, "fluent": 1}
    assert cluster.run_cycle() == [plain]
    assert said(cluster, waits)[0] == (
        Reason.LICENSES,
        (
            'needs 5 of license "fluent", of which the cluster now has 1: it will not start '
            "until that is raised (licenses in packhorse.toml)"
        ),
    )
    cluster.exit(job)
    assert cluster.state.licenses.held == {}


def test_a_snapshot_and_the_log_give_the_same_counts() -> None:
    cluster = licensed()
    cluster.run(cluster.submit(licenses="fluent:3"))
    waits = cluster.submit(licenses="fluent:3")
    for state in (load(dump(cluster.state.freeze())), cluster.replayed()):
        assert state.licenses.held == {"fluent": 3}
        assert state.pending_columns.class_of(waits).licenses == "fluent:3"
        check(state)


def test_the_check_sees_what_is_wrong() -> None:
    cluster = licensed()
    cluster.clock.advance(1)  # given under this configuration
    cluster.run(cluster.submit(licenses="fluent:3"))
    cluster.state.licenses.hold("fluent")
    with pytest.raises(InvariantBroken, match=r"4} counted, {'fluent': 3} held"):
        check(cluster.state)
    cluster.state.licenses.release("fluent")
    cluster.state.config = msgspec.structs.replace(cluster.state.config, licenses=(("fluent", 2),))
    with pytest.raises(InvariantBroken, match="license fluent: 3 are held, of 2"):
        check(cluster.state)


def test_jobs_without_licences_share_their_class_and_cost_nothing() -> None:
    cluster = licensed(cpus=1)
    cluster.submit(count=5)
    pending = cluster.state.pending_columns
    assert len(pending.classes) == 1 and not pending.licensed
    cluster.submit(count=5, licenses="matlab")
    assert len(pending.classes) == 2 and pending.licensed == {1: (("matlab", 1),)}

"""Lending: who may, how much, who is stopped for it, and what the ledger says; every rule once."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.reclaim.book import Book
from packhorse.scheduler.core.reclaim.ledger import loan_rows
from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.step import next_timer, step
from packhorse.scheduler.model.accounting import LoanRow
from packhorse.scheduler.model.cluster import Reclaim
from packhorse.scheduler.model.command import Terminate
from packhorse.scheduler.model.event import (
    JobEnding,
    LoansChanged,
    MemoryEstimated,
    ReclaimSwitched,
    UsageLearned,
)
from packhorse.scheduler.model.ids import US, Instant, JobId, NodeName
from packhorse.scheduler.model.input import Caller, ReportUsage, RunCycle, Start, SwitchReclaim, Tick
from packhorse.scheduler.model.job import Active, EndCause, WarnSignal
from packhorse.scheduler.model.loan import Loan, Switch
from packhorse.scheduler.model.reply import Done, Refused
from tests.core.scenario import ADMIN, OTHER, USER, Cluster, a_config, a_node

N1 = NodeName("n1")
MEM = 10_000


class Lending(Cluster):
    """A cluster on which memory is lent; reports come when a test says so."""

    def __init__(
        self, *, nodes: int = 1, cpus: int = 8, partition: dict[str, Any] | None = None, **rules: Any
    ):
        given = {"estimator": "borg", "share": 100, "margin_mib": 0, "floor_percent": 1, **rules}
        super().__init__(a_config(reclaim=Reclaim(enabled=True, **given), **(partition or {})))
        for i in range(1, nodes + 1):
            self.register(a_node(f"n{i}", cpus, MEM))
        self.sent.clear()

    def report(
        self, *used: tuple[int, int], node: str = "n1", free: int = 9_000, pressure: int | None = None
    ) -> Any:
        """Jobs of the node use so much now. Returns the decision."""
        attempts = tuple((self.active(job).attempt, mib) for job, mib in used)
        return self.do(ReportUsage(NodeName(node), self.clock.now, free, pressure, attempts))

    def settle(self, *used: tuple[int, int], minutes: int = 10, node: str = "n1", free: int = 9_000) -> None:
        """The jobs use so much all the time, and nodes report it; after hours estimates are down."""
        step = 5 if minutes >= 60 else 1
        for _ in range(minutes // step):
            self.clock.advance(60 * step)
            self.report(*used, node=node, free=free)

    def stoppable(self, mem_mib: int, **what: Any) -> JobId:
        """A job that may borrow."""
        return self.submit(mem_mib=mem_mib, qos="scavenger", **what)

    def lender(self, mem_mib: int = MEM, used: int = 1_000, **what: Any) -> JobId:
        """A guaranteed job that has used so little for hours that its estimate is down."""
        job = self.submit(mem_mib=mem_mib, **what)
        self.run(job)
        self.settle((job, used), minutes=300)
        return job

    def lent(self, job: int) -> int:
        return sum(p.lent_mib for p in self.active(job).placements)

    def estimate(self, job: int) -> int:
        return self.active(job).estimated[0]


def events(decision: Any, kind: type) -> list[Any]:
    return [event for event in decision.events if type(event) is kind]


def test_a_stoppable_job_starts_in_what_a_settled_job_does_not_use() -> None:
    cluster = Lending()
    first = cluster.submit(mem_mib=8_000)
    cluster.run(first)
    second = cluster.stoppable(4_000)
    assert cluster.run_cycle() == []
    cluster.settle((first, 4_000), minutes=4)
    assert cluster.run_cycle() == [], "before the settling time nothing is lent"
    cluster.settle((first, 3_000), minutes=300)
    assert cluster.estimate(first) < 4_500
    assert cluster.run_cycle() == [second]
    placement = cluster.active(second).placements[0]
    assert (placement.mem_mib, placement.lent_mib) == (4_000, 2_000), "ordinary room first"
    assert cluster.active(second).loans == (Loan(first, N1, 2_000, cluster.clock.now),)
    assert cluster.state.node_columns.amounts_free(N1)["mem_mib"] == 0


def test_a_guaranteed_job_never_gets_lent_memory() -> None:
    cluster = Lending()
    cluster.lender(8_000)
    cluster.submit(mem_mib=4_000)
    assert cluster.run_cycle() == []


def test_nothing_is_lent_while_it_is_off() -> None:
    cluster = Cluster(a_config())
    cluster.register(a_node("n1", 8, MEM))
    job = cluster.submit(mem_mib=MEM)
    cluster.run(job)
    waiting = cluster.submit(mem_mib=1_000, qos="scavenger")
    decision = cluster.do(
        ReportUsage(N1, cluster.clock.now, 9_000, None, ((cluster.active(job).attempt, 10),))
    )
    assert decision.events == () and cluster.run_cycle() == []
    assert cluster.reason_of(waiting) is Reason.RESOURCES


def test_cpus_are_never_lent() -> None:
    cluster = Lending(cpus=4)
    cluster.lender(cpus=3)
    cluster.stoppable(1_000, cpus=2)
    assert cluster.run_cycle() == []


def test_growth_stops_the_borrower_in_the_same_step_with_its_signal() -> None:
    cluster = Lending(grace_s=7)
    first = cluster.lender()
    second = cluster.stoppable(5_000, warn=WarnSignal(10, 60))
    cluster.run(second)
    cluster.clock.advance(30)
    decision = cluster.report((first, 9_000), (second, 4_000))
    assert decision.commands == (Terminate(N1, cluster.active(second).attempt, 7, EndCause.PREEMPTED, 10),)
    assert cluster.state_of(second) == "COMPLETING" and cluster.state_of(first) == "RUNNING"
    cluster.exit(second, signal=10)
    job, row = cluster.job(second), cluster.rows[-1]
    assert (job.state.value, job.preemptions, job.restarts) == ("PENDING", 1, 1)
    assert (row.state, row.detail) == ("PREEMPTED", f"lent memory taken back by job {first}")


def test_without_a_warning_signal_it_gets_the_usual_one() -> None:
    cluster = Lending()
    first = cluster.lender()
    second = cluster.stoppable(5_000)
    cluster.run(second)
    [stop] = cluster.report((first, 9_000)).commands
    assert (stop.signal, stop.grace_s) == (0, 30)


def test_no_more_are_stopped_than_needed_and_those_who_lose_least() -> None:
    cluster = Lending()
    first = cluster.lender(used=500)
    old, wide, young = cluster.stoppable(2_000), cluster.stoppable(2_000, cpus=4), cluster.stoppable(2_000)
    cluster.run_cycle()
    cluster.start(old, wide)
    cluster.clock.advance(600)
    cluster.start(young)
    cluster.clock.advance(10)
    cluster.report((first, 4_000))
    stopped = [job for job in (old, wide, young) if cluster.state_of(job) == "COMPLETING"]
    assert stopped == [young]
    cluster.report((first, 5_500))
    stopped = [job for job in (old, wide, young) if cluster.state_of(job) == "COMPLETING"]
    assert stopped == [old, young], "600 s of one CPU are less than 600 s of four"


def test_one_large_borrower_is_enough_where_small_ones_were_taken_first() -> None:
    cluster = Lending()
    first = cluster.lender(used=500)
    small, large = cluster.stoppable(500), cluster.stoppable(4_000)
    cluster.run_cycle()
    cluster.start(large)
    cluster.clock.advance(10)
    cluster.start(small)
    cluster.clock.advance(10)
    cluster.report((first, 5_000))
    assert (cluster.state_of(small), cluster.state_of(large)) == ("RUNNING", "COMPLETING")


def test_one_that_was_stopped_does_not_borrow_again_at_once() -> None:
    cluster = Lending(nodes=2)
    first, other = cluster.submit(mem_mib=MEM), cluster.submit(mem_mib=MEM)
    cluster.run(first, other)
    on = {cluster.active(job).placements[0].node: job for job in (first, other)}

    def all_report(minutes: int, **used: int) -> None:
        for _ in range(minutes):
            cluster.clock.advance(60)
            for name, job in on.items():
                cluster.report((job, used.get(name, 1_000)), node=name)

    all_report(300)
    second = cluster.stoppable(5_000)
    cluster.run(second)
    node = cluster.active(second).placements[0].node
    cluster.report((on[node], 9_000), node=node)
    cluster.exit(second, signal=15)
    third = cluster.stoppable(5_000)
    assert cluster.run_cycle() == [third], "others may, where there is memory to lend"
    at = cluster.job(second).borrow_after
    assert at == cluster.clock.now + 300 * US and next_timer(cluster.state) == at
    cluster.cancel(third)
    cluster.exit(third)
    all_report(5, **{node: 9_000})
    assert cluster.clock.now == at
    assert load(dump(cluster.state.freeze())).jobs[second].borrow_after == at
    assert cluster.tick().more, "a cycle is due when it may borrow again"
    assert cluster.run_cycle() == [second]


def test_it_may_start_in_ordinary_room_meanwhile() -> None:
    cluster = Lending()
    first = cluster.lender()
    second = cluster.stoppable(5_000)
    cluster.run(second)
    cluster.report((first, 9_000))
    cluster.exit(second, signal=15)
    cluster.exit(first)
    assert cluster.run_cycle() == [second]
    assert cluster.lent(second) == 0


def test_a_lender_that_ends_leaves_its_memory_to_the_borrower() -> None:
    cluster = Lending()
    first = cluster.lender()
    second = cluster.stoppable(5_000)
    cluster.run(second)
    cluster.exit(first)
    assert cluster.active(second).loans == () and cluster.lent(second) == 0
    assert cluster.state.node_columns.amounts_free(N1)["mem_mib"] == MEM - 5_000


def test_when_a_lender_ends_others_may_have_lent_too_much() -> None:
    """What it did not lend itself was a part of what all of them may lend together."""
    cluster = Lending(share=50)
    jobs = cluster.submit(mem_mib=4_000), cluster.submit(mem_mib=6_000)
    cluster.run(*jobs)
    cluster.settle(*((job, 500) for job in jobs), minutes=600)
    second = cluster.stoppable(3_500)
    cluster.run(second)
    [loan] = cluster.active(second).loans
    assert loan.lender == jobs[1]
    cluster.exit(jobs[0])
    cluster.pass_time(0)
    assert cluster.state_of(second) == "RUNNING" and cluster.lent(second) <= (6_000 - 500) // 2


def test_a_planned_start_is_not_put_off_by_what_becomes_of_loans() -> None:
    """The guaranteed job is promised the end of the lender; a borrower that would outlive it does not
    start."""
    cluster = Lending()
    first = cluster.submit(mem_mib=MEM, time_limit_s=100_000)
    cluster.run(first)
    cluster.settle((first, 1_000), minutes=300)
    head = cluster.submit(mem_mib=MEM, time_limit_s=600)
    long, short = cluster.stoppable(1_000, time_limit_s=200_000), cluster.stoppable(1_000, time_limit_s=600)
    assert cluster.run_cycle() == [short]
    planned = cluster.state.pending_columns.planned(head)
    assert planned == cluster.active(first).end_by and cluster.state_of(long) == "PENDING"


def test_a_planned_start_knows_that_a_borrower_will_keep_what_was_lent() -> None:
    cluster = Lending()
    first = cluster.submit(mem_mib=MEM, time_limit_s=100_000)
    cluster.run(first)
    cluster.settle((first, 1_000), minutes=300)
    long = cluster.stoppable(1_000, time_limit_s=200_000)
    cluster.run(long)
    head = cluster.submit(mem_mib=MEM, time_limit_s=600)
    cluster.run_cycle()
    planned = cluster.state.pending_columns.planned(head)
    assert planned == cluster.active(long).end_by
    cluster.exit(first)
    cluster.run_cycle()
    assert cluster.state.pending_columns.planned(head) == planned


def test_a_planned_start_does_not_keep_its_own_job_from_borrowing() -> None:
    """Nor does it let others go past it where the job cannot borrow."""
    for wanted, starts in ((6_000, True), (9_900, False)):
        cluster = Lending()
        cluster.lender(time_limit_s=6 * 3600)
        first = cluster.stoppable(wanted)
        assert cluster.run_cycle() == ([first] if starts else [])
        late, soon = cluster.stoppable(2_000), cluster.stoppable(2_000, time_limit_s=600)
        assert cluster.run_cycle() == ([late] if starts else [soon])


def test_another_lender_takes_a_loan_over() -> None:
    cluster = Lending()
    a, b = cluster.submit(mem_mib=5_000), cluster.submit(mem_mib=5_000)
    cluster.run(a, b)
    cluster.settle((a, 500), (b, 500), minutes=300)
    second = cluster.stoppable(3_000)
    cluster.run(second)
    [loan] = cluster.active(second).loans
    other = b if loan.lender == a else a
    decision = cluster.report((loan.lender, 4_500), (other, 500))
    [changed] = events(decision, LoansChanged)
    assert [(ended.loan.lender, ended.end.value) for ended in changed.ended] == [(loan.lender, "moved")]
    assert sum(new.mem_mib for new in changed.loans if new.lender == other) >= 2_500
    assert cluster.state_of(second) == "RUNNING" and cluster.lent(second) == 3_000


def test_free_memory_pays_back_before_anybody_is_stopped() -> None:
    cluster = Lending()
    first = cluster.lender(5_000)
    other = cluster.submit(mem_mib=5_000)
    cluster.run(other)
    second = cluster.stoppable(3_000)
    cluster.run(second)
    assert cluster.lent(second) == 3_000
    cluster.exit(other)
    cluster.report((first, 4_500))
    assert cluster.state_of(second) == "RUNNING" and cluster.lent(second) < 1_000
    assert cluster.state.node_columns.amounts_free(N1)["mem_mib"] < 5_000


def test_free_memory_is_kept_for_a_guaranteed_job_that_waits() -> None:
    cluster = Lending()
    first = cluster.lender(5_000)
    other = cluster.submit(mem_mib=5_000)
    cluster.run(other)
    second = cluster.stoppable(3_000)
    cluster.run(second)
    cluster.submit(mem_mib=MEM)
    cluster.exit(other)
    cluster.report((first, 4_500))
    assert cluster.state_of(second) == "COMPLETING"


def test_a_node_below_its_floor_takes_back_what_it_needs() -> None:
    cluster = Lending(floor_percent=10)
    first = cluster.lender()
    a, b = cluster.stoppable(2_000), cluster.stoppable(2_000)
    cluster.run(a)
    cluster.start(b)
    cluster.clock.advance(5)
    cluster.report((first, 1_000), (a, 1_500), (b, 1_500), free=400)
    stopped = [job for job in (a, b) if cluster.state_of(job) == "COMPLETING"]
    assert len(stopped) == 1, "1500 MiB bring it back over 1000"
    cluster.report((first, 1_000), (a, 1_500), (b, 1_500), free=300)
    assert [job for job in (a, b) if cluster.state_of(job) == "COMPLETING"] == stopped, "it is on its way"
    cluster.exit(stopped[0], signal=15)
    assert cluster.rows[-1].detail == "lent memory taken back: 400 MiB free on node n1, floor 1000 MiB"


def test_pressure_stops_one_borrower_at_a_time() -> None:
    cluster = Lending(pressure_milli=100)
    first = cluster.lender()
    a, b = cluster.stoppable(2_000), cluster.stoppable(2_000)
    cluster.run(a)
    cluster.start(b)
    cluster.report((first, 1_000), (a, 100), (b, 100), pressure=100)
    assert {cluster.state_of(a), cluster.state_of(b)} == {"RUNNING"}
    cluster.report((first, 1_000), (a, 100), (b, 100), pressure=231)
    cluster.report((first, 1_000), (a, 100), (b, 100), pressure=250)
    [stopped] = [job for job in (a, b) if cluster.state_of(job) == "COMPLETING"]
    cluster.exit(stopped, signal=15)
    assert cluster.rows[-1].detail == "lent memory taken back: memory pressure 23.1 % on node n1, bound 10 %"


def test_what_a_borrower_brings_that_is_stopped_already_counts_once() -> None:
    """It borrows of two jobs."""
    cluster = Lending(floor_percent=20)
    lenders = cluster.submit(mem_mib=5_000), cluster.submit(mem_mib=5_000)
    cluster.run(*lenders)
    cluster.settle(*((job, 500) for job in lenders), minutes=600)
    wide = cluster.stoppable(6_000)
    cluster.run(wide)
    assert {loan.lender for loan in cluster.active(wide).loans} == set(lenders)
    other = cluster.stoppable(1_000, cpus=2)
    cluster.run(other)
    cluster.clock.advance(60)
    used = ((lenders[0], 500), (lenders[1], 500), (wide, 600), (other, 600))
    cluster.report(*used, free=1_900)
    assert cluster.state_of(wide) == "COMPLETING", "it has the fewest CPUs"
    assert cluster.state_of(other) == "RUNNING"
    cluster.report(*used, free=1_400)
    assert cluster.state_of(other) == "RUNNING", "600 MiB are on their way"
    cluster.report(*used, free=1_300)
    assert cluster.state_of(other) == "COMPLETING", "which are not enough"


def test_nothing_is_lent_on_a_node_that_is_short_or_has_not_reported() -> None:
    cluster = Lending(floor_percent=10)
    first = cluster.lender()
    second = cluster.stoppable(3_000)
    cluster.report((first, 1_000), free=3_900)
    assert cluster.run_cycle() == [], "beyond the floor only 2900 are free"
    cluster.report((first, 1_000), free=8_000, pressure=900)
    assert cluster.run_cycle() == []
    cluster.report((first, 1_000), free=8_000, pressure=0)
    cluster.clock.advance(61)
    assert cluster.run_cycle() == []
    cluster.report((first, 1_000), free=8_000)
    assert cluster.run_cycle() == [second]


def test_a_report_that_makes_memory_lendable_is_followed_by_a_cycle() -> None:
    cluster = Lending(floor_percent=10)
    first = cluster.lender()
    second = cluster.stoppable(3_000)
    cluster.clock.advance(120)
    assert cluster.run_cycle() == [], "the node has not reported for two minutes"
    assert cluster.report((first, 1_000), pressure=900).more is False, "it is short"
    assert cluster.report((first, 1_000), free=2_000, pressure=0).more is True
    assert cluster.run_cycle() == [], "only 1000 MiB are free beyond the floor"
    assert cluster.report((first, 1_000), free=2_000, pressure=0).more is False, "nothing has changed"
    assert cluster.report((first, 1_000), free=6_000, pressure=0).more is True
    assert cluster.run_cycle() == [second]


def test_what_is_free_is_not_lent_twice_between_two_reports() -> None:
    cluster = Lending(floor_percent=10)
    first = cluster.lender()
    cluster.report((first, 1_000), free=4_000)
    second, third = cluster.stoppable(2_000), cluster.stoppable(2_000)
    assert cluster.run_cycle() == [second]
    assert cluster.run_cycle() == [], "of 3000 MiB beyond the floor 1000 are left"
    assert cluster.report((first, 1_000), free=4_000).more is True
    assert cluster.run_cycle() == [third]


def test_who_does_not_lend() -> None:
    cases: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({}, {"no_lend": True}),
        ({"exempt_users": ("mule",)}, {}),
        ({"exempt_accounts": ("bio",)}, {"account": "bio"}),
        ({"exempt_partitions": ("main",)}, {}),
        ({}, {"qos": "scavenger"}),
    )
    for rules, what in cases:
        cluster = Lending(**rules)
        job = cluster.submit(mem_mib=MEM, **what)
        cluster.run(job)
        cluster.settle((job, 100), minutes=120)
        cluster.stoppable(1_000)
        assert cluster.run_cycle() == [], (rules, what)


def test_who_does_not_borrow() -> None:
    cases: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({"no_borrow": ("main",)}, {}),
        ({}, {"requeue": False}),
        ({}, {"exclusive": True}),
        ({}, {"qos": "normal"}),
    )
    for rules, what in cases:
        cluster = Lending(**rules)
        cluster.lender()
        cluster.submit(**{"mem_mib": 1_000, "qos": "scavenger", **what})
        assert cluster.run_cycle() == [], (rules, what)


def test_how_much_is_lent_at_most() -> None:
    for share, margin, most in ((50, 0, 0), (100, 2_000, 0), (70, 300, 0), (100, 0, 1_500)):
        cluster = Lending(share=share, margin_mib=margin, max_lent_mib=most)
        job = cluster.lender(used=1_000)
        cluster.submit_array("0-99", mem_mib=100, qos="scavenger", cpu_milli_per_task=10)
        cluster.run_cycle()
        lent = int(cluster.state.reclaim.lent.sum())
        slack = (MEM - cluster.estimate(job)) * share // 100 - margin
        slack = min(slack, most) if most else slack
        assert slack - 100 < lent <= slack


def test_the_qos_must_exist() -> None:
    cluster = Lending()
    refused = cluster.try_submit(qos="gold")
    assert isinstance(refused, Refused)
    assert refused.message == 'QOS "gold" does not exist; choose one of: normal, scavenger'
    job = cluster.submit(mem_mib=1_000)
    assert cluster.update(job, qos="scavenger")[0].code is None
    assert cluster.job(job).spec.qos == "scavenger"
    assert cluster.update(job, qos="gold")[0].code is not None
    cluster.run(job)
    assert cluster.update(job, qos="normal")[0].code is not None, "it runs"


def test_a_job_may_stop_to_lend_while_it_runs() -> None:
    cluster = Lending()
    first = cluster.lender()
    second = cluster.stoppable(5_000)
    cluster.run(second)
    cluster.update(first, no_lend=True)
    due = next_timer(cluster.state)
    assert due is not None and due <= cluster.clock.now
    cluster.tick()
    assert cluster.state_of(second) == "COMPLETING"
    cluster.exit(second, signal=15)
    assert cluster.rows[-1].detail == f"lent memory taken back by job {first}"
    cluster.stoppable(100)
    assert cluster.run_cycle() == []


def test_a_job_may_come_to_an_account_that_does_not_lend_while_it_runs() -> None:
    cluster = Lending(exempt_accounts=("rich",))
    first = cluster.lender()
    second = cluster.stoppable(5_000)
    cluster.run(second)
    cluster.update(first, account="rich")
    cluster.pass_time(0)
    assert cluster.state_of(second) == "COMPLETING"


def switch(
    cluster: Cluster, on: bool, kind: str = "", name: str = "", recall: bool = False, caller: Caller = ADMIN
) -> Any:
    return cluster.do(SwitchReclaim(caller, on, Switch(kind, name, recall)))


def test_switched_off_nothing_new_is_lent_and_loans_run_out() -> None:
    cluster = Lending()
    cluster.lender()
    second = cluster.stoppable(2_000)
    cluster.run(second)
    [event] = events(switch(cluster, False), ReclaimSwitched)
    assert event.off == (Switch(),)
    third = cluster.stoppable(2_000)
    assert cluster.run_cycle() == []
    assert cluster.state_of(second) == "RUNNING" and cluster.lent(second) == 2_000
    switch(cluster, True)
    assert cluster.run_cycle() == [third]


def test_switched_off_with_recall_loans_are_taken_back() -> None:
    for kind, name in (("", ""), ("partition", "main"), ("account", "")):
        cluster = Lending()
        cluster.lender(account="" if kind != "account" else "bio")
        second = cluster.stoppable(2_000)
        cluster.run(second)
        switch(cluster, False, kind, name or ("bio" if kind == "account" else ""), recall=True)
        cluster.pass_time(0)
        assert cluster.state_of(second) == "COMPLETING", kind


def test_in_a_partition_that_is_switched_off_nobody_borrows() -> None:
    cluster = Lending()
    cluster.lender()
    job = cluster.stoppable(2_000)
    switch(cluster, False, "partition", "main")
    assert cluster.run_cycle() == []
    switch(cluster, True, "partition", "main")
    assert cluster.run_cycle() == [job]


def two_nodes_lend_to_one_job() -> tuple[Lending, tuple[JobId, JobId], JobId]:
    """The lenders, and who has 3000 MiB of each."""
    cluster = Lending(nodes=2)
    lenders = cluster.submit(mem_mib=MEM), cluster.submit(mem_mib=MEM)
    cluster.run(*lenders)
    for _ in range(60):
        cluster.clock.advance(300)
        for job in lenders:
            cluster.report((job, 1_000), node=cluster.active(job).placements[0].node)
    wide = cluster.stoppable(3_000, nodes=2)
    cluster.run(wide)
    assert cluster.lent(wide) == 6_000
    return cluster, lenders, wide


def test_a_job_on_two_nodes_is_stopped_once() -> None:
    cluster, _, wide = two_nodes_lend_to_one_job()
    n, m = len(cluster.log), len(cluster.sent)
    switch(cluster, False, recall=True)
    cluster.pass_time(0)
    assert [type(event) for event in cluster.log[n:]] == [ReclaimSwitched, JobEnding]
    assert len(cluster.sent[m:]) == 1 and cluster.state_of(wide) == "COMPLETING"


def test_for_whom_a_job_on_two_nodes_is_stopped_is_the_same_after_a_restart() -> None:
    cluster, lenders, wide = two_nodes_lend_to_one_job()
    for job in reversed(lenders):
        cluster.update(job, no_lend=True)
    restarted = load(dump(cluster.state.freeze()))
    now = cluster.clock.now
    decisions = [step(state, Tick(), now) for state in (cluster.state, restarted) if next_timer(state)]
    assert len(decisions) == 2 and decisions[0].events == decisions[1].events
    [event] = events(decisions[0], JobEnding)
    assert (event.job, event.for_job) == (wide, lenders[0])


def test_a_suspect_that_is_none_holds_up_no_other() -> None:
    cluster, lenders, wide = two_nodes_lend_to_one_job()
    cluster.update(lenders[1], no_lend=True)
    cluster.update(lenders[0], account="rich")
    assert list(cluster.state.reclaim.suspects) == ["n2", "n1"], "of which only the first has lent too much"
    cluster.pass_time(0)
    assert cluster.state_of(wide) == "COMPLETING"


def test_on_two_nodes_at_once_each_loan_is_paid_back_once() -> None:
    cluster, lenders, wide = two_nodes_lend_to_one_job()
    for name in ("n1", "n2"):  # there is memory to pay with
        cluster.register(structs.replace(cluster.specs[name], mem_mib=2 * MEM))
    before = cluster.state.freeze()
    n = len(cluster.log)
    switch(cluster, False, recall=True)
    cluster.pass_time(0)
    assert cluster.state_of(wide) == "RUNNING" and cluster.lent(wide) == 0
    rows: list[LoanRow] = []
    state = load(dump(before))
    for event in cluster.log[n:]:
        rows += loan_rows(state, event)
        apply(state, event)
    assert sorted((row.lender, row.mem_mib, row.outcome) for row in rows) == [
        (lender, 3_000, "repaid") for lender in lenders
    ]


def test_a_switch_for_one_account_leaves_others_alone() -> None:
    cluster = Lending()
    cluster.lender(account="bio")
    switch(cluster, False, "account", "chemistry", recall=True)
    job, other = cluster.stoppable(2_000, account="chemistry"), cluster.stoppable(2_000)
    assert cluster.run_cycle() == [other] and cluster.state_of(job) == "PENDING"


def test_a_switch_is_refused_with_the_way_out() -> None:
    cluster = Lending()
    assert isinstance(switch(cluster, False, caller=Caller(USER)).reply, Refused)
    refused = switch(cluster, False, "partition", "gpu").reply
    assert refused.message == 'partition "gpu" does not exist; choose one of: main'
    assert isinstance(switch(cluster, True).reply, Done)
    assert switch(cluster, True).events == ()
    switch(cluster, False, "partition", "main")
    switch(cluster, False)
    refused = switch(cluster, True, "partition", "main").reply
    assert refused.message == (
        "lending is off everywhere, not only there; switch it on with: packhorse reclaim on"
    )
    assert cluster.state.lending_off == (Switch("partition", "main"), Switch())


def test_after_a_restart_with_lending_disabled_loans_are_taken_back() -> None:
    cluster = Lending()
    cluster.lender()
    second = cluster.stoppable(2_000)
    cluster.run(second)
    cluster.do(Start(a_config(reclaim=Reclaim())))
    cluster.pass_time(0)
    assert cluster.state_of(second) == "COMPLETING"


def test_snapshot_and_log_give_loans_and_estimates_back() -> None:
    cluster = Lending()
    first = cluster.lender()
    second = cluster.stoppable(2_000)
    cluster.run(second)
    switch(cluster, False, "account", "x")
    state = load(dump(cluster.state.freeze()))
    assert state == cluster.state == cluster.replayed()
    assert state.lending_off == (Switch("account", "x"),)
    cluster.state = state
    cluster.report((first, 9_500))
    assert cluster.state_of(second) == "COMPLETING", "what was known of the lender is known again"


def test_estimates_hold_over_a_restart() -> None:
    cluster = Lending()
    first = cluster.lender(used=1_000)
    known = cluster.estimate(first)
    cluster.state = load(dump(cluster.state.freeze()))
    cluster.clock.advance(10)
    decision = cluster.report((first, 1_000))
    assert cluster.estimate(first) <= known and not any(cluster.state.reclaim.suspects)
    assert all(type(event) is MemoryEstimated for event in decision.events)


def test_a_job_that_nobody_measures_any_more_is_expected_to_use_its_limit() -> None:
    """The sampler of one job died; the node and its other jobs are reported as ever."""
    for restart in (False, True):
        cluster = Lending()
        first, other = cluster.submit(mem_mib=6_000), cluster.submit(mem_mib=4_000)
        cluster.run(first, other)
        cluster.settle((first, 500), (other, 500), minutes=300)
        second = cluster.stoppable(5_000)
        cluster.run(second)
        cluster.start(second)
        if restart:
            cluster.do(Start(cluster.state.config))
        cluster.settle((other, 500), minutes=14)
        assert cluster.estimate(first) < 1_000 and cluster.state_of(second) == "RUNNING"
        cluster.settle((other, 500), minutes=17)
        assert cluster.estimate(first) == 6_000 and cluster.estimate(other) < 1_000
        assert cluster.state_of(second) == "COMPLETING"
        n = len(cluster.log)
        cluster.settle((other, 500), minutes=60)
        assert cluster.log[n:] == [], "it is told once"


def test_the_log_is_not_flooded_by_estimates() -> None:
    cluster = Lending()
    job = cluster.submit(mem_mib=MEM)
    cluster.run(job)
    for i in range(6 * 60):
        cluster.clock.advance(10)
        cluster.report((job, 3_000 + (i * 7_919) % 2_000))
    n = sum(type(event) is MemoryEstimated for event in cluster.log)
    assert 0 < n <= 12, "at most one fall in settle_s"


def test_samples_of_others_count_for_nothing() -> None:
    cluster = Lending(nodes=2)
    job = cluster.lender()
    known = cluster.estimate(job)
    assert cluster.report((job, 9_000), node="n2").events == ()
    assert cluster.estimate(job) == known
    assert cluster.do(ReportUsage(NodeName("n9"), Instant(0), 1, None, ())).events == ()
    assert cluster.report((job, -5)).events == ()


def test_the_ledger_adds_up() -> None:
    cluster = Lending()
    rows: list[LoanRow] = []
    first = cluster.lender(5_000, used=500)
    other = cluster.submit(mem_mib=5_000, caller=Caller(OTHER))
    cluster.run(other)
    cluster.settle((first, 500), (other, 4_900), minutes=1)
    a, b = cluster.stoppable(1_500, account="idle"), cluster.stoppable(1_500)
    cluster.run(a)
    cluster.start(b)
    begun = cluster.clock.now
    cluster.clock.advance(100)
    integral = 3_000 * 100
    cluster.exit(a)
    cluster.clock.advance(50)
    integral += 1_500 * 50
    cluster.report((first, 4_900))
    cluster.clock.advance(10)
    integral += 1_500 * 10
    cluster.exit(b, signal=15)
    state = State.empty()
    for event in cluster.log:
        rows += loan_rows(state, event)
        apply(state, event)
    assert sum(row.mem_mib * (row.until - row.since) for row in rows) == integral * US
    found = [(r.lender, r.borrower, r.mem_mib, r.since, r.outcome, r.borrower_account) for r in rows]
    assert found == [(first, a, 1_500, begun, "returned", "idle"), (first, b, 1_500, begun, "taken_back", "")]
    assert (rows[0].lender_user, rows[0].node, rows[0].borrower_attempt) == ("mule", "n1", 1)


def test_a_lender_and_its_borrower_on_different_terms() -> None:
    """A job whose borrower is being stopped ends first: what was lent becomes the borrower's own."""
    cluster = Lending()
    first = cluster.lender()
    second = cluster.stoppable(5_000)
    cluster.run(second)
    cluster.report((first, 9_000))
    cluster.exit(first)
    phase = cluster.job(second).phase
    assert isinstance(phase, Active) and phase.loans == () and phase.ending is EndCause.PREEMPTED
    cluster.exit(second, signal=15)
    assert step(cluster.state, RunCycle(), cluster.clock.now).events, "it starts in ordinary room"


def test_what_the_estimator_learned_outlives_the_process() -> None:
    """It is written down once an hour, is in snapshots, and a new process goes on from it."""
    cluster = Lending(estimator="packhorse")
    job = cluster.submit(mem_mib=8_000)
    cluster.run(job)
    for i in range(6 * 12):
        cluster.clock.advance(300)
        cluster.report((job, 500 + 40 * (i % 7)))
    told = [event for event in cluster.log if isinstance(event, UsageLearned)]
    assert 5 <= len(told) <= 7
    assert cluster.state.learned == told[-1]
    again = load(dump(cluster.state.freeze()))
    assert again.learned == told[-1]
    assert again == cluster.state
    config = cluster.state.config.reclaim
    assert again.reclaim.estimates(config, again.learned).learned() == list(told[-1].learned)
    assert any(told[-1].learned)


def test_what_another_estimator_learned_is_left_alone() -> None:
    cluster = Lending(estimator="packhorse")
    config = cluster.state.config.reclaim
    for learned in (UsageLearned(Instant(1), "borg", (1.0,)), UsageLearned(Instant(1), "packhorse", (1.0,))):
        assert not any(Book().estimates(config, learned).learned())


def test_an_estimator_that_learns_nothing_writes_nothing_down() -> None:
    cluster = Lending(estimator="borg")
    job = cluster.submit(mem_mib=8_000)
    cluster.run(job)
    cluster.settle((job, 500), minutes=180)
    assert not [event for event in cluster.log if isinstance(event, UsageLearned)]

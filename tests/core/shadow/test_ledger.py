"""What is kept of a shadow's differences."""

from __future__ import annotations

from packhorse.scheduler.core.shadow.compare import Difference, Kind
from packhorse.scheduler.core.shadow.ledger import A_PASS, JOBS, KEPT, Ledger
from packhorse.scheduler.model.ids import Instant, JobId


def reason(job: int, live: str = "Priority", shadow: str = "Resources") -> Difference:
    return Difference(JobId(job), Kind.REASON, live, shadow)


def test_a_difference_that_lasts_counts_once() -> None:
    ledger = Ledger()
    for at in range(5):
        ledger.add(Instant(at), [reason(1)], 500, 600)
    ledger.add(Instant(5), [reason(1, shadow="Licenses")], 500, 600)
    ledger.add(Instant(6), [], 500, 600)
    ledger.add(Instant(7), [reason(1)], 500, 600)
    assert ledger.counts[Kind.REASON] == 3
    assert [seen.at for seen in ledger.latest] == [0, 5, 7]
    assert (ledger.n_passes, ledger.live_milli, ledger.shadow_milli) == (8, 4000, 4800)
    assert list(ledger.jobs[Kind.REASON]) == [1]


def test_a_planned_start_that_moves_along_is_the_same_difference() -> None:
    ledger = Ledger()
    for at in range(5):
        ledger.add(Instant(at), [Difference(JobId(1), Kind.EARLIER, str(at), str(at - 1), -1)], 0, 0)
    assert ledger.counts[Kind.EARLIER] == 1


def test_it_is_bounded() -> None:
    ledger = Ledger()
    for at in range(30):
        ledger.add(Instant(at), [reason(1000 * at + i) for i in range(1000)], 0, 0)
    assert ledger.counts[Kind.REASON] == 30_000
    assert (len(ledger.latest), len(ledger.jobs[Kind.REASON])) == (KEPT, JOBS)
    assert sum(seen.at == 29 for seen in ledger.latest) == A_PASS

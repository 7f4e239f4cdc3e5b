"""Estimates are told, kept, scored, and survive."""

from __future__ import annotations

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.when import note
from packhorse.scheduler.core.when.book import AGAIN_S, KEPT, EstimateBook, Scored, Track
from packhorse.scheduler.core.when.hits import sums
from packhorse.scheduler.model.event import Basis, StartEstimate, StartsEstimated
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import NoteEstimates
from tests.core.scenario import NOON, Cluster, a_cluster


def busy() -> Cluster:
    cluster = a_cluster(nodes=1, cpus=4)
    cluster.submit(cpus=4, time_limit_s=1000)
    cluster.start(*cluster.run_cycle())
    return cluster


def tell(cluster: Cluster) -> list[StartEstimate]:
    """What jobs that are due are told, as the service does it."""
    now = cluster.clock.now
    told = note.estimates(cluster.state, now, 0, note.due(cluster.state, now))
    cluster.do(NoteEstimates(tuple(told)))
    return told


def at(after_s: int, low: int, median: int, high: int, job: int = 1) -> StartEstimate:
    low_at, median_at, high_at = (Instant(NOON + s * US) for s in (low, median, high))
    return StartEstimate(JobId(job), low_at, median_at, high_at, False, Basis(after_s, 10, 60, 1000, 5))


def test_a_job_is_told_once_and_scored_when_it_starts() -> None:
    cluster = busy()
    job = cluster.submit(cpus=4, time_limit_s=100)
    cluster.run_cycle()
    [told] = tell(cluster)
    assert told.job == job
    assert tell(cluster) == []
    assert cluster.state.estimates.newest(job).estimate == told  # type: ignore[union-attr]
    cluster.clock.advance(900)
    cluster.exit(1)
    cluster.run_cycle()
    [scored] = cluster.state.estimates.first.scored
    assert (scored.estimate, scored.start, scored.partition, scored.nth) == (
        told,
        cluster.clock.now,
        "main",
        0,
    )
    assert scored.inside
    assert cluster.state.estimates.told == {}
    assert (cluster.state.estimates.first.n, cluster.state.estimates.first.n_inside) == (1, 1)


def test_it_is_told_again_ever_more_rarely() -> None:
    cluster = busy()
    cluster.submit(cpus=4, time_limit_s=100)
    cluster.run_cycle()
    told_at = []
    for minute in range(60 * 24):
        if tell(cluster):
            told_at.append(minute)
        cluster.clock.advance(60)
    assert told_at == [0, 10, 20, 40, 80, 160, 320, 640, 1280]
    assert len(told_at) <= 2 + (60 * 24 * 60 // AGAIN_S).bit_length()
    cluster.exit(1)
    cluster.run_cycle()
    book = cluster.state.estimates
    assert (book.first.n, book.again.n) == (1, 8)
    assert [scored.nth for scored in book.again.scored] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_an_array_is_scored_by_its_first_task_and_its_last() -> None:
    cluster = busy()
    array = cluster.submit_array("0-2%1", cpus=4, time_limit_s=100)
    cluster.run_cycle()
    first, last = tell(cluster)
    assert (first.job, first.last, last.job, last.last) == (array, False, array, True)
    cluster.exit(1)
    starts = []
    for _ in range(3):
        cluster.clock.advance(50)
        [task] = cluster.run_cycle()
        starts.append(cluster.clock.now)
        cluster.start(task)
        cluster.clock.advance(50)
        cluster.exit(task)
    scored = cluster.state.estimates.first.scored
    assert [(s.estimate.last, s.start) for s in scored] == [(False, starts[0]), (True, starts[2])]


def test_what_was_told_is_void_once_the_job_is_another_or_gone() -> None:
    cluster = busy()
    held, changed, gone, same = (cluster.submit(cpus=4, time_limit_s=100) for _ in range(4))
    cluster.run_cycle()
    tell(cluster)
    cluster.hold(held)
    cluster.update(str(changed), time_limit_s=50)
    cluster.cancel(gone)
    assert list(cluster.state.estimates.told) == [(same, False)]
    cluster.release(held)
    assert {e.job for e in tell(cluster)} == {held, changed}


def test_a_late_note_counts_only_for_those_who_still_wait() -> None:
    cluster = busy()
    job = cluster.submit(cpus=4, time_limit_s=100)
    cluster.run_cycle()
    late = note.estimates(cluster.state, cluster.clock.now, 0, None)
    cluster.exit(1)
    cluster.run_cycle()
    assert cluster.do(NoteEstimates(tuple(late))).events == ()
    other = cluster.submit(cpus=4, time_limit_s=100)
    more = late[0]._replace(job=other)
    [event] = cluster.do(NoteEstimates((late[0], more))).events
    assert isinstance(event, StartsEstimated)
    assert [e.job for e in event.estimates] == [other]
    assert job not in {key[0] for key in cluster.state.estimates.told}


def test_snapshot_and_replay_hold_all_of_it() -> None:
    cluster = busy()
    for _ in range(5):
        cluster.submit(cpus=4, time_limit_s=100)
        cluster.submit_array("0-4", cpus=4, time_limit_s=100)
    running = [JobId(1)]
    for _ in range(6):
        cluster.clock.advance(700)
        tell(cluster)
        cluster.exit(running.pop())
        running = cluster.run_cycle()
        cluster.start(*running)
    book = cluster.state.estimates
    assert book.first.n and book.again.n and book.told
    again = load(dump(cluster.state.freeze()))
    assert again.estimates == book
    assert again == cluster.state == cluster.replayed()
    frozen = cluster.state.freeze()
    before = list(dump(frozen))
    cluster.clock.advance(700)
    cluster.exit(running.pop())
    cluster.run_cycle()
    tell(cluster)
    assert list(dump(frozen)) == before


def test_the_book_is_bounded() -> None:
    track = Track()
    for i in range(KEPT + 500):
        start = Instant(NOON + i * 86_400 * US)
        track.score(Scored(NOON, at(60, 0, 60, 120), start, "main", 0))
    assert (len(track.scored), len(track.days), track.n) == (KEPT, 400, KEPT + 500)


def test_the_level_follows_the_hits() -> None:
    right, wrong = at(60, 0, 60, 120), at(60, 1000, 2000, 3000)
    narrow, wide = Track(), Track()
    for _ in range(50):
        narrow.score(Scored(NOON, wrong, Instant(NOON + 60 * US), "main", 0))
        wide.score(Scored(NOON, right, Instant(NOON + 60 * US), "main", 0))
    assert narrow.level < Track().level < wide.level


def test_sums_by_partition_size_and_wait() -> None:
    book = EstimateBook()
    for partition, start_s in (("a", 60), ("a", 500), ("b", 60)):
        estimate = at(60, 50, 60, 70)._replace(basis=Basis(60, 10, 60, 250_000, 5))
        book.first.score(Scored(NOON, estimate, Instant(NOON + start_s * US), partition, 0))
    found = {(s.by, s.key): s for s in sums(book)}
    assert {key: (s.n, s.n_inside) for key, s in found.items()} == {
        ("all", ""): (3, 2), ("partition", "a"): (2, 1), ("partition", "b"): (1, 1),
        ("size", "20"): (3, 2), ("wait", "60"): (3, 2),
    }  # fmt: skip
    assert (found["all", ""].median_wait_s, found["partition", "a"].median_error_s) == (60, 220)

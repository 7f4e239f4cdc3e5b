"""What ended runs had within a time: known sums, both kinds of store alike, and times of nodes."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from packhorse.scheduler.model.accounting import AttemptRow, NodeRow, ReservationRow
from packhorse.scheduler.model.ids import Instant, NodeName
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Batch, Lifetime, Live, Retention, RunSum, Store, SumQuery
from tests.store.conftest import sqlite_store
from tests.store.samples import row


def ran(job: int, start: int, end: int, **fields: Any) -> AttemptRow:
    given: dict[str, Any] = {"eligible_at": max(start - 5, 1)}
    return row(job, started_at=start, ended_at=end, **(given | fields))


def query(since: int, until: int, **fields: Any) -> SumQuery:
    return SumQuery(Instant(since), Instant(until), **fields)


def test_only_what_lies_within_counts(store: Store) -> None:
    store.append(
        Batch(
            rows=[
                ran(1, 100, 200, account="bio"),
                ran(2, 150, 400, account="bio"),
                ran(3, 100, 300, account="chem", suspended_us=100),
                ran(4, 500, 600),
                row(5, started_at=0, ended_at=150),
            ]
        )
    )
    assert store.sums(query(150, 300)) == [
        RunSum("bio", "alice", "", "", "cpu=1", 50 + 150, 2),
        RunSum("chem", "alice", "", "", "cpu=1", 150 - 75, 1),
    ]
    assert store.sums(query(150, 300, accounts=("chem",), but_for=((3, 1),))) == []
    assert store.sums(query(150, 300, accounts=("chem",), but_for=((3, 2),)))[0].us == 75


def test_lifetimes_have_those_too_that_only_waited(store: Store) -> None:
    waited = row(1, eligible_at=20, started_at=0, ended_at=90, alloc_tres="", req_tres="cpu=8")
    store.append(Batch(rows=[waited, ran(2, 100, 200), ran(3, 300, 400)]))
    assert store.lifetimes(query(50, 150)) == [
        Lifetime(Instant(20), Instant(0), Instant(90), "cpu=8"),
        Lifetime(Instant(95), Instant(100), Instant(200), "cpu=1"),
    ]


def test_times_of_nodes_and_reservations(store: Store) -> None:
    up = NodeRow(NodeName("n1"), "up", "cpu=4", Instant(0), Instant(100))
    down = NodeRow(NodeName("n1"), "down", "cpu=4", Instant(100), Instant(150))
    course = ReservationRow("course", "n1", "cpu=4", "MAINT", "ann", "", Instant(50), Instant(80))
    store.append(Batch(times=[up, course, down]))
    assert store.node_times(Instant(20), Instant(120)) == [up, down]
    assert store.node_times(Instant(100), Instant(120)) == [down]
    assert store.reservation_times(Instant(0), Instant(51)) == [course]
    assert store.reservation_times(Instant(80), Instant(90)) == []


def test_they_are_kept_as_long_as_accounting(store: Store) -> None:
    old = NodeRow(NodeName("n1"), "up", "cpu=4", Instant(0), Instant(100))
    store.append(Batch(times=[old, old.__class__(old.node, "down", old.tres, Instant(100), Instant(900))]))
    while store.compact_step(Retention(attempts_keep_us=500), Live(0, frozenset()), Instant(1000)):
        pass
    assert [row.state for row in store.node_times(Instant(0), Instant(2000))] == ["down"]


runs = st.builds(
    lambda job, start, length, stop, account, tres, wckey: ran(
        job,
        start,
        start + length,
        suspended_us=min(stop, length),
        account=account,
        alloc_tres=tres,
        wckey=wckey,
    ),
    st.integers(1, 9),
    st.integers(1, 1000),
    st.integers(0, 500),
    st.integers(0, 700),
    st.sampled_from(["", "bio", "chem"]),
    st.sampled_from(["cpu=1", "cpu=2,mem=1G", ""]),
    st.sampled_from(["", "w"]),
)


@given(st.lists(runs, max_size=12), st.integers(0, 900), st.integers(1, 900), st.lists(st.integers(1, 9)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_stores_agree(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[AttemptRow],
    since: int,
    length: int,
    without: list[int],
) -> None:
    wanted = query(since, since + length, but_for=tuple((job, 1) for job in sorted(set(without))))
    memory = MemoryStore()
    memory.append(Batch(rows=rows))
    sqlite = sqlite_store(tmp_path_factory.mktemp("agree"))
    try:
        sqlite.append(Batch(rows=rows))
        assert sqlite.sums(wanted) == memory.sums(wanted)
        assert sorted(sqlite.lifetimes(wanted)) == sorted(memory.lifetimes(wanted))
    finally:
        sqlite.close()

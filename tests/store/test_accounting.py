"""Accounting queries: the two kinds of store agree, and the SQL uses the index it should."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import fields

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.store import accounting
from packhorse.scheduler.store.export import ExportForm, export_attempts
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import AttemptQuery, Attempts, Batch, Store
from packhorse.scheduler.store.schema import ATTEMPT_COLUMNS, TEXT_COLUMNS
from packhorse.scheduler.store.sqlite import FILE_NAME
from tests.store.conftest import sqlite_store
from tests.store.samples import row

ROWS = [
    row(1, state="FAILED", user="bob", uid=1001, account="physics", nodes="node[1-3]"),
    row(2, name="train", partition="gpu", qos="high", nodes="gpu7", command="/train.sh -x"),
    row(3, attempt=1, state="REQUEUED"),
    row(3, attempt=2),
    row(10, array_id=10, array_indices="[4-6]", attempt=0, state="CANCELLED", nodes="None assigned"),
    row(10, array_id=10, array_indices="9", attempt=0, state="CANCELLED", nodes="None assigned"),
    row(11, array_id=10, index=0),
    row(12, array_id=10, index=1),
    row(10, array_id=10, index=2),
]


@pytest.fixture
def filled(store: Store) -> Store:
    store.append(Batch(rows=ROWS[:4]))
    store.append(Batch(rows=ROWS[4:]))
    return store


def jobs(found: list[AttemptRow]) -> list[tuple[int, int]]:
    return [(found_row.job, found_row.attempt) for found_row in found]


def test_columns_are_the_fields_of_a_row() -> None:
    """A new field of AttemptRow or Usage needs a migration, the column at the end of its part, and this."""
    *plain, usage = (field.name for field in fields(AttemptRow))
    assert usage == "usage"
    assert [*plain, *(field.name for field in fields(Usage))] == list(ATTEMPT_COLUMNS)
    assert {field.name for field in fields(AttemptRow) if field.type is str} == TEXT_COLUMNS


def test_rows_come_back_as_they_went_in(filled: Store) -> None:
    found = filled.attempts(AttemptQuery(attempts=Attempts.ALL))
    assert sorted(map(repr, found)) == sorted(map(repr, ROWS))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AttemptQuery(jobs=(1,)), [(1, 1)]),
        (AttemptQuery(jobs=(3,)), [(3, 2)]),
        (AttemptQuery(jobs=(3,), attempts=Attempts.ALL), [(3, 1), (3, 2)]),
        (AttemptQuery(jobs=(12,)), [(12, 1)]),
        (AttemptQuery(jobs=(99,)), []),
        (AttemptQuery(tasks=((10, 0), (10, 1))), [(11, 1), (12, 1)]),
        (AttemptQuery(tasks=((10, 5),), attempts=Attempts.ALL), [(10, 0)]),
        (AttemptQuery(tasks=((10, 7),), attempts=Attempts.ALL), []),
        (AttemptQuery(jobs=(1,), tasks=((10, 1),)), [(1, 1), (12, 1)]),
        (AttemptQuery(users=("bob",)), [(1, 1)]),
        (AttemptQuery(uids=(1001,)), [(1, 1)]),
        (AttemptQuery(users=("alice",), jobs=(1, 2)), [(2, 1)]),
        (AttemptQuery(accounts=("physics",)), [(1, 1)]),
        (AttemptQuery(partitions=("gpu",)), [(2, 1)]),
        (AttemptQuery(qos=("high",)), [(2, 1)]),
        (AttemptQuery(names=("train",)), [(2, 1)]),
        (AttemptQuery(commands=("/train.sh -x",)), [(2, 1)]),
        (AttemptQuery(names=("job",), commands=("/train.sh -x",)), []),
        (AttemptQuery(states=("FAILED", "REQUEUED"), attempts=Attempts.ALL), [(1, 1), (3, 1)]),
        (AttemptQuery(nodes=("node2", "gpu7")), [(1, 1), (2, 1)]),
        (AttemptQuery(since=Instant(112), until=Instant(115)), [(11, 1)]),
        (AttemptQuery(users=("alice",), since=Instant(122)), [(12, 1)]),
        (AttemptQuery(limit=2), [(11, 1), (12, 1)]),
        (AttemptQuery(limit=1, users=("bob",)), [(1, 1)]),
    ],
)
def test_queries(filled: Store, query: AttemptQuery, expected: list[tuple[int, int]]) -> None:
    assert jobs(filled.attempts(query)) == expected


def test_an_array_is_all_its_rows(filled: Store) -> None:
    assert jobs(filled.attempts(AttemptQuery(jobs=(10,), attempts=Attempts.ALL))) == [
        (10, 0), (10, 0), (10, 1), (11, 1), (12, 1),
    ]  # fmt: skip


def test_indices_cancelled_together_are_never_superseded(filled: Store) -> None:
    """They carry the array's number, as its last task may: they are no earlier attempt of that."""
    found = filled.attempts(AttemptQuery(tasks=((10, 2), (10, 5), (10, 9))))
    assert [(found_row.array_indices, found_row.index) for found_row in found] == [
        ("[4-6]", -1), ("9", -1), ("", 2),
    ]  # fmt: skip


small = st.integers(1, 4)
some_row = st.builds(
    row,
    small,
    st.integers(0, 2),
    array_id=st.integers(0, 2),
    index=st.integers(-1, 2),
    array_indices=st.sampled_from(["", "", "", "0-1", "2"]),
    user=st.sampled_from(["alice", "bob"]),
    uid=st.integers(1, 2),
    state=st.sampled_from(["FAILED", "COMPLETED"]),
    nodes=st.sampled_from(["node1", "node[1-2]", "None assigned"]),
    submitted_at=st.integers(0, 5),
    ended_at=st.integers(0, 5),
)


def some(values: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.one_of(st.just(()), st.lists(values, max_size=2).map(tuple))


some_query = st.builds(
    AttemptQuery,
    jobs=some(small),
    tasks=some(st.tuples(st.integers(1, 2), st.integers(0, 2))),
    users=some(st.sampled_from(["alice", "bob", "carol"])),
    uids=some(st.integers(1, 2)),
    states=some(st.sampled_from(["FAILED", "COMPLETED"])),
    nodes=some(st.sampled_from(["node1", "node2", "node3"])),
    since=st.none() | st.integers(0, 5),
    until=st.none() | st.integers(0, 5),
    attempts=st.sampled_from(Attempts),
    limit=st.none() | st.integers(0, 5),
)


@given(rows=st.lists(some_row, max_size=12), queries=st.lists(some_query, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_kinds_agree(
    tmp_path_factory: pytest.TempPathFactory, rows: list[AttemptRow], queries: list[AttemptQuery]
) -> None:
    store = sqlite_store(tmp_path_factory.mktemp("agree"))
    twin = MemoryStore()
    try:
        for kind in (store, twin):
            kind.append(Batch(rows=rows))
        for query in queries:
            assert store.attempts(query) == twin.attempts(query)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (AttemptQuery(jobs=(1,), since=Instant(5), users=("alice",)), "attempts_by_job"),
        (AttemptQuery(jobs=(1,), since=Instant(5), users=("alice",)), "attempts_by_array"),
        (AttemptQuery(tasks=((1, 2),)), "attempts_by_array"),
        (AttemptQuery(users=("alice",), since=Instant(5), states=("FAILED",)), "attempts_by_end"),
        (AttemptQuery(users=("alice",)), "attempts_by_end"),
        (AttemptQuery(since=Instant(5), uids=(7,)), "attempts_by_end"),
        (AttemptQuery(limit=10), "attempts_by_end"),
        (AttemptQuery(users=("alice",), limit=10), "attempts_by_end"),
    ],
)
def test_the_right_index_is_used(tmp_path: Path, query: AttemptQuery, index: str) -> None:
    sqlite_store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "store" / FILE_NAME)
    accounting.add_functions(connection)
    statement, values = accounting.select(query)
    plan = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    connection.close()
    assert any(f"USING INDEX {index}" in step or f"USING COVERING INDEX {index}" in step for step in plan), (
        plan
    )
    assert not any(step.startswith("SCAN attempts") and "INDEX" not in step for step in plan), plan


def test_export(tmp_path: Path) -> None:
    store = sqlite_store(tmp_path)
    store.append(Batch(rows=ROWS))
    file = tmp_path / "store" / FILE_NAME
    texts = {form: io.StringIO() for form in ExportForm}
    query = AttemptQuery(nodes=("node2", "gpu7"))
    for form, out in texts.items():
        assert export_attempts(file, query, out, form) == 2
    store.close()
    from_csv = list(csv.DictReader(io.StringIO(texts[ExportForm.CSV].getvalue())))
    from_json = json.loads(texts[ExportForm.JSON].getvalue())
    from_lines = [json.loads(line) for line in texts[ExportForm.LINES].getvalue().splitlines()]
    assert from_json == from_lines
    assert [{key: str(value) for key, value in one.items()} for one in from_json] == from_csv
    assert list(from_json[0]) == list(ATTEMPT_COLUMNS)
    assert (from_json[0]["user"], from_json[0]["group"], from_json[1]["name"]) == ("bob", "users", "train")
    empty = io.StringIO()
    assert export_attempts(file, AttemptQuery(jobs=(99,)), empty, ExportForm.JSON) == 0
    assert json.loads(empty.getvalue()) == []

"""Waste: the formulas on known runs, and both kinds of store to the last bit."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.resources import Usage
from packhorse.scheduler.model.waste import Waste, WasteKey, WasteQuery, WasteSort
from packhorse.scheduler.store import waste
from packhorse.scheduler.store.memory import MemoryStore
from packhorse.scheduler.store.protocol import Batch, Store
from packhorse.scheduler.store.sqlite import FILE_NAME
from tests.store.conftest import sqlite_store
from tests.store.samples import row

HOUR = 3600
EVER = WasteQuery(Instant(0), Instant(1 << 62))


def ran(job: int, seconds: int, usage: Usage = Usage(), **fields: Any) -> AttemptRow:  # noqa: B008 - frozen
    """A run that ended at second 1,000,000."""
    end = 1_000_000 * US
    return row(job, started_at=end - seconds * US, ended_at=end, usage=usage, **fields)


def total(store: Store, *rows: AttemptRow) -> Waste:
    store.append(Batch(rows=rows))
    (found,) = store.waste(EVER)
    return found


def test_the_three_formulas(store: Store) -> None:
    """An hour with 8 GiB, 4 CPUs and 2 GPUs, of which it used 2 GiB, 1 CPU, and a quarter of the GPUs."""
    usage = Usage(
        user_cpu_us=3000 * US,
        system_cpu_us=600 * US,
        max_rss_kib=2 << 20,
        gpu_ms=7_200_000,
        gpu_busy_ms=1_800_000,
    )
    found = total(store, ran(1, HOUR, usage, mem_mib=8192, n_cpus=4, gpu_milli=2000))
    assert (found.mem_given, found.mem_wasted, found.mem_unmeasured) == (8192 * HOUR, 6144 * HOUR, 0)
    assert (found.cpu_given, found.cpu_wasted, found.cpu_unmeasured) == (4 * HOUR * 1000, 3 * HOUR * 1000, 0)
    assert (found.gpu_given, found.gpu_wasted, found.gpu_unmeasured) == (
        2 * HOUR * 1000,
        1.5 * HOUR * 1000,
        0,
    )
    assert (found.n_runs, found.n_mem_measured, found.n_cpu_measured, found.n_gpu_measured) == (1, 1, 1, 1)


def test_what_was_not_measured_is_not_waste(store: Store) -> None:
    found = total(store, ran(1, HOUR, mem_mib=8192, n_cpus=4, gpu_milli=2000))
    assert (found.mem_wasted, found.cpu_wasted, found.gpu_wasted) == (0, 0, 0)
    assert (found.mem_given, found.cpu_given, found.gpu_given) == (0, 0, 0)
    assert (found.mem_unmeasured, found.cpu_unmeasured) == (8192 * HOUR, 4 * HOUR * 1000)
    assert found.gpu_unmeasured == 2 * HOUR * 1000
    assert (found.n_mem, found.n_mem_measured, found.n_cpu_measured, found.n_gpu, found.n_gpu_measured) == (
        1, 0, 0, 1, 0,
    )  # fmt: skip


def test_more_than_was_given_is_no_negative_waste(store: Store) -> None:
    usage = Usage(user_cpu_us=99 * HOUR * US, max_rss_kib=1 << 30, gpu_ms=10, gpu_busy_ms=20)
    found = total(store, ran(1, HOUR, usage, mem_mib=100, n_cpus=1, gpu_milli=1000))
    assert (found.mem_wasted, found.cpu_wasted, found.gpu_wasted) == (0, 0, 0)
    assert found.mem_given > 0


def test_of_several_nodes_the_measured_one_counts(store: Store) -> None:
    usage = Usage(user_cpu_us=HOUR * US, max_rss_kib=1 << 20)
    found = total(store, ran(1, HOUR, usage, n_nodes=4, mem_mib=8192, n_cpus=10))
    assert (found.n_runs, found.n_wide) == (1, 1)
    assert (found.mem_given, found.mem_wasted) == (2048 * HOUR, 1024 * HOUR)
    assert (found.cpu_given, found.cpu_wasted) == (3 * HOUR * 1000, 2 * HOUR * 1000)


def test_a_job_that_never_ran_and_one_without_a_limit(store: Store) -> None:
    found = total(store, ran(1, HOUR, Usage(max_rss_kib=5), mem_mib=0), row(2, started_at=0))
    assert (found.n_runs, found.n_mem, found.mem_given, found.mem_unmeasured) == (1, 0, 0, 0)


def test_by_user_the_worst_first_and_within_the_window(store: Store) -> None:
    used = Usage(max_rss_kib=1)
    store.append(
        Batch(
            rows=[
                ran(1, 10, used, user="ann", mem_mib=100),
                ran(2, 10, used, user="bob", mem_mib=500),
                ran(3, 10, used, user="bob", name="x", mem_mib=100),
                ran(4, 10, used, user="cleo", mem_mib=550),
                row(5, user="dan", ended_at=5 * US, started_at=1, mem_mib=9999, usage=used),
            ]
        )
    )
    query = WasteQuery(Instant(6 * US), Instant(1 << 62), (WasteKey.USER,))
    assert [found.key for found in store.waste(query)] == [("bob",), ("cleo",), ("ann",)]
    few = WasteQuery(
        Instant(6 * US), Instant(1 << 62), (WasteKey.USER, WasteKey.NAME), users=("bob",), limit=1
    )
    (worst,) = store.waste(few)
    assert (worst.key, worst.last_job) == (("bob", "job"), 2)


def test_an_empty_store_has_wasted_nothing(store: Store) -> None:
    assert store.waste(EVER) == [Waste()]
    assert store.waste(WasteQuery(Instant(0), Instant(1), (WasteKey.USER,))) == []


def test_a_site_of_a_thousand_large_nodes_does_not_overflow(store: Store) -> None:
    """A hundred runs on 1000 nodes of 6 TiB, 512 CPUs and 16 GPUs, a year each."""
    year = 366 * 24 * HOUR
    usage = Usage(user_cpu_us=year * US, max_rss_kib=1, gpu_ms=16 * year * 1000, gpu_busy_ms=1)
    one = {"mem_mib": 6 << 20, "n_cpus": 512, "gpu_milli": 16_000}
    rows = [row(job, started_at=1, ended_at=1 + year * US, usage=usage, **one) for job in range(1, 101)]
    found = total(store, *rows)
    assert found.mem_given == 100 * (6 << 20) * year
    assert found.cpu_wasted == 100 * 511 * year * 1000


amount = st.sampled_from([0, 0, 1, 2, 7, 1000, 1 << 20])
some_row = st.builds(
    row,
    st.integers(1, 9),
    user=st.sampled_from(["ann", "bob"]),
    account=st.sampled_from(["", "physics"]),
    name=st.sampled_from(["job", "train"]),
    uid=st.integers(1, 2),
    started_at=st.sampled_from([0, 5, 3 * US]),
    ended_at=st.integers(0, 9 * US),
    n_nodes=st.integers(0, 3),
    n_cpus=st.integers(0, 9),
    mem_mib=amount,
    gpu_milli=amount,
    usage=st.builds(
        Usage, amount, amount, amount, gpu_ms=amount, gpu_busy_ms=amount
    ),
)  # fmt: skip
some_query = st.builds(
    WasteQuery,
    st.integers(0, 5 * US),
    st.integers(0, 9 * US),
    st.lists(st.sampled_from(WasteKey), unique=True, max_size=2).map(tuple),
    uids=st.sampled_from([(), (1,)]),
    users=st.sampled_from([(), ("ann",)]),
    accounts=st.sampled_from([(), ("physics",)]),
    names=st.sampled_from([(), ("job", "train")]),
    sort=st.sampled_from(WasteSort),
    limit=st.integers(1, 4),
)


@given(rows=st.lists(some_row, max_size=12), queries=st.lists(some_query, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_kinds_agree(
    tmp_path_factory: pytest.TempPathFactory, rows: list[AttemptRow], queries: list[WasteQuery]
) -> None:
    store = sqlite_store(tmp_path_factory.mktemp("agree"))
    twin = MemoryStore()
    try:
        for kind in (store, twin):
            kind.append(Batch(rows=rows))
        for query in queries:
            assert store.waste(query) == twin.waste(query)
    finally:
        store.close()


def test_a_window_is_found_by_its_ends(tmp_path: Path) -> None:
    sqlite_store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "store" / FILE_NAME)
    statement, values = waste.select(WasteQuery(Instant(1), Instant(9), (WasteKey.USER,)))
    plan = [step[3] for step in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    connection.close()
    assert any("attempts_by_end" in step for step in plan), plan

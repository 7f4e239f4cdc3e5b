"""Further runs after a failure: after which ends, how often, and not again where it failed."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from packhorse.scheduler.model.job import Retry
from packhorse.scheduler.model.retryspec import RetryError, format_retry, parse_retry
from tests.core.scenario import Cluster, a_cluster


def runs(cluster: Cluster, job: int) -> str:
    cluster.pass_time(3600)
    cluster.run_cycle()
    cluster.start(job)
    return str(cluster.active(job).placements[0].node)


@pytest.mark.parametrize(
    ("codes", "code", "signal", "again"),
    [
        ((), 1, 0, True),
        ((75,), 75, 0, True),
        ((75,), 1, 0, False),
        ((75, 137), 0, 9, True),
        ((75,), 0, 9, False),
    ],
)
def test_only_after_the_codes_named(codes: tuple[int, ...], code: int, signal: int, again: bool) -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    job = cluster.submit(cpus=1, retry=Retry(2, 0, codes))
    runs(cluster, job)
    cluster.exit(job, code, signal=signal)
    assert cluster.state_of(job) == ("PENDING" if again else "FAILED")


def test_at_most_so_often() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    job = cluster.submit(cpus=1, retry=Retry(2, 1))
    for _ in range(3):
        runs(cluster, job)
        cluster.exit(job, 1)
    assert cluster.state_of(job) == "FAILED"


def test_not_again_where_it_failed_if_there_is_another_node() -> None:
    cluster = a_cluster(nodes=2, cpus=1)
    job = cluster.submit(cpus=1, retry=Retry(5, 0, (), True))
    first = runs(cluster, job)
    cluster.exit(job, 1)
    second = runs(cluster, job)
    assert second != first
    cluster.exit(job, 1)
    assert runs(cluster, job) == second  # nothing else is left


def test_without_that_wish_the_node_may_be_the_same() -> None:
    cluster = a_cluster(nodes=2, cpus=1)
    job = cluster.submit(cpus=1, retry=Retry(5, 0))
    first = runs(cluster, job)
    cluster.exit(job, 1)
    assert runs(cluster, job) == first


def test_a_node_that_died_under_it_is_not_tried_again() -> None:
    cluster = a_cluster(nodes=2, cpus=1)
    job = cluster.submit(cpus=1)
    first = runs(cluster, job)
    cluster.silence(first)
    cluster.register(first, running=(), reboot=True)
    assert cluster.state_of(job) == "PENDING" and cluster.job(job).avoid == (first,)
    assert runs(cluster, job) != first


def test_a_single_node_is_tried_again_after_it_died() -> None:
    cluster = a_cluster(nodes=1, cpus=1)
    job = cluster.submit(cpus=1)
    first = runs(cluster, job)
    cluster.silence(first)
    cluster.register(first, running=(), reboot=True)
    assert cluster.job(job).avoid == () and runs(cluster, job) == first


@given(
    st.integers(1, 1000),
    st.integers(0, 86_400),
    st.lists(st.integers(1, 255), unique=True, max_size=5),
    st.booleans(),
)
def test_what_is_written_is_read(most: int, backoff_s: int, codes: list[int], avoid: bool) -> None:
    given_ = (most, backoff_s, tuple(sorted(codes)), avoid)
    assert parse_retry(format_retry(*given_)) == given_


@given(st.text(alphabet="0123456789,=:abckofnvoid-e. ", max_size=30))
def test_anything_else_is_refused_in_words(text: str) -> None:
    try:
        parse_retry(text)
    except RetryError as error:
        assert str(error)

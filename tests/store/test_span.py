"""Ranges of jobs in one index."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from packhorse.scheduler.store.span import LEVELS, span_of, spans_holding

job = st.integers(1, 1 << 40)


@given(first=job, width=st.integers(0, 1 << 20), inside=st.floats(0, 1))
def test_every_range_is_found_by_every_job_in_it(first: int, width: int, inside: float) -> None:
    last = first + width
    for member in (first, last, first + int(width * inside)):
        assert span_of(first, last) in spans_holding(member)


@given(job)
def test_lookup_is_bounded(member: int) -> None:
    spans = spans_holding(member)
    assert len(spans) == len(set(spans)) <= 2 * LEVELS
    assert all(0 < span < 1 << 63 for span in spans)


def test_no_job_has_no_span() -> None:
    assert span_of(0, 0) == 0

"""Array indexes stay ranges."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.arrayspec import (
    ArraySpecError,
    array_indexes,
    array_size,
    format_array,
    parse_array,
)


@pytest.mark.parametrize(
    ("text", "indexes", "limit"),
    [
        ("0-5", [0, 1, 2, 3, 4, 5], 0),
        ("1,3,7", [1, 3, 7], 0),
        ("0-15:4", [0, 4, 8, 12], 0),
        ("1-9%2", [1, 2, 3, 4, 5, 6, 7, 8, 9], 2),
        ("7,1,3-4", [1, 3, 4, 7], 0),
        ("1,1,1-2", [1, 2], 0),
        ("0-10:5,3-4", [0, 3, 4, 5, 10], 0),
        ("5-5:3", [5], 0),
    ],
)
def test_parse(text: str, indexes: list[int], limit: int) -> None:
    ranges, at_once = parse_array(text)
    assert array_indexes(ranges) == indexes
    assert array_size(ranges) == len(indexes)
    assert at_once == limit


@pytest.mark.parametrize(
    "text",
    ["", "5-1", "a", "1-", "-1", "1:2", "1-9:0", "1%0", "1%", "1%x", "1,,2", "1-2-3", "99999999999", "1.5"],
)
def test_unreadable(text: str) -> None:
    with pytest.raises(ArraySpecError):
        parse_array(text)


def test_a_million_elements_are_one_range() -> None:
    assert parse_array("0-999999%50") == (((0, 999999, 1),), 50)
    assert format_array(((4, 7, 1),), 2) == "4-7%2"
    assert format_array(((0, 12, 4), (20, 20, 1))) == "0-12:4,20"


def test_many_parts_are_read_quickly() -> None:
    start = time.process_time()
    ranges, _ = parse_array(",".join(str(i) for i in range(0, 40000, 2)))
    assert array_size(ranges) == 20000
    assert time.process_time() - start < 2


@given(st.sets(st.integers(0, 60), min_size=1), st.randoms(use_true_random=False))
def test_any_spelling_of_a_set(indexes: set[int], rng: object) -> None:
    shuffled = sorted(indexes)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    ranges, _ = parse_array(",".join(map(str, shuffled)))
    assert array_indexes(ranges) == sorted(indexes)
    assert parse_array(format_array(ranges))[0] == ranges


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 30), st.integers(1, 7)), min_size=1, max_size=6))
def test_overlapping_ranges(parts: list[tuple[int, int, int]]) -> None:
    text = ",".join(f"{first}-{first + length}:{step}" for first, length, step in parts)
    want = {i for first, length, step in parts for i in range(first, first + length + 1, step)}
    ranges, _ = parse_array(text)
    assert array_indexes(ranges) == sorted(want)

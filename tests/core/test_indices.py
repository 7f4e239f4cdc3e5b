"""Sets of indices as ranges, compared with plain sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.indices import Ranges
from packhorse.scheduler.model.job import IndexRange

NUMBERS = st.sets(st.integers(0, 40))


def a_set(numbers: set[int]) -> Ranges:
    return indices.of(sorted(numbers))


def as_numbers(ranges: Ranges) -> set[int]:
    assert indices.is_canonical(ranges), ranges
    found = list(indices.each(ranges))
    assert found == sorted(set(found))
    assert indices.size(ranges) == len(found)
    return set(found)


@given(NUMBERS)
def test_of(numbers: set[int]) -> None:
    assert as_numbers(a_set(numbers)) == numbers


@given(NUMBERS, st.integers(0, 41))
def test_one_index(numbers: set[int], index: int) -> None:
    ranges = a_set(numbers)
    assert indices.contains(ranges, index) == (index in numbers)
    assert as_numbers(indices.remove(ranges, index)) == numbers - {index}
    assert as_numbers(indices.add(ranges, index)) == numbers | {index}


@given(NUMBERS, NUMBERS)
def test_two_sets(a: set[int], b: set[int]) -> None:
    assert as_numbers(indices.subtract(a_set(a), a_set(b))) == a - b
    assert as_numbers(indices.intersect(a_set(a), a_set(b))) == a & b
    assert as_numbers(indices.union(a_set(a), a_set(b))) == a | b


@given(st.lists(NUMBERS, max_size=5), st.integers(0, 3))
def test_many_sets(sets: list[set[int]], n_big: int) -> None:
    big = [set(range(start, start + 100)) for start in range(n_big)]
    found = indices.union_all([a_set(numbers) for numbers in (*big, *sets)])
    assert as_numbers(found) == set().union(*big, *sets)


@given(NUMBERS, st.integers(0, 50))
def test_first(numbers: set[int], n: int) -> None:
    assert indices.first(a_set(numbers), n) == sorted(numbers)[:n]


def test_text() -> None:
    ranges = (IndexRange(1, 1, 1), IndexRange(3, 7, 1), IndexRange(10, 20, 5), IndexRange(30, 32, 2))
    assert indices.text(ranges, 4) == "1,3-7,10-20:5,30,32%4"


def test_ends_in_order_keep_a_large_set_small() -> None:
    ranges: Ranges = ()
    for index in range(1000):
        ranges = indices.add(ranges, index)
    assert ranges == (IndexRange(0, 999, 1),)
    left: Ranges = (IndexRange(0, 999_999, 1),)
    for index in range(1000):
        left = indices.remove(left, index)
    assert left == (IndexRange(1000, 999_999, 1),)

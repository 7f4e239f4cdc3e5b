"""Host lists: what `scontrol show hostnames|hostlist|hostlistsorted` of Slurm 22.05 answered, and round
trips.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.hostlist import (
    MAX_NAMES,
    HostlistError,
    compress,
    compress_sorted,
    count,
    expand,
    natural_key,
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node[1-2],x[08-11,20]", "node1 node2 x08 x09 x10 x11 x20"),
        ("r[1-2]n[01-02]", "r1n01 r1n02 r2n01 r2n02"),
        ("n[8-12]", "n8 n9 n10 n11 n12"),
        ("n[08-12]", "n08 n09 n10 n11 n12"),
        ("a1,,a2", "a1 a2"),
        ("[1-3]", "1 2 3"),
        ("a[1-2] b", "a1 a2 b"),
        ("a[1-2],a[1]", "a1 a2 a1"),
        ("a[9-010]", "a9 a10"),
        ("a[01-1]", "a01"),
        ("a[1-2]x[3-4]y[5-6]", "a1x3y5 a1x3y6 a2x3y5 a2x3y6 a1x4y5 a1x4y6 a2x4y5 a2x4y6"),
        ("n[1-3][4-5]", "n14 n15 n24 n25 n34 n35"),
        ("a1b", "a1b"),
        ("", ""),
        # Slurm 22.05 refuses a suffix; here it is one.
        ("a[1,3-5]b", "a1b a3b a4b a5b"),
    ],
)
def test_expand(text: str, names: str) -> None:
    assert expand(text) == names.split()
    assert count(text) == len(names.split())


@pytest.mark.parametrize(
    ("names", "in_order", "in_sequence"),
    [
        ("node1,node2,x08,x09,node5", "node[1-2],x[08-09],node5", "node[1-2,5],x[08-09]"),
        ("n09,n10,n1,n2", "n[09-10,1-2]", "n[1-2,09-10]"),
        ("a1b,a2b,a3b", "a1b,a2b,a3b", "a1b,a2b,a3b"),
        ("r1n1,r1n2,r2n1,r2n2", "r1n[1-2],r2n[1-2]", "r1n[1-2],r2n[1-2]"),
        ("n3,n2,n1", "n[3,2,1]", "n[1-3]"),
        ("n001,n1,n2,n002", "n[001,1-2,002]", "n[1-2,001-002]"),
        ("n9,n10,n11", "n[9-11]", "n[9-11]"),
        ("n09,n10,n011", "n[09-10,011]", "n[09-10,011]"),
        ("n99,n100,n098", "n[99-100,098]", "n[99-100,098]"),
        ("1,2,3", "[1-3]", "[1-3]"),
        ("r10n1,r9n1", "r10n1,r9n1", "r9n1,r10n1"),
        ("b,a,c1", "b,a,c1", "a,b,c1"),
        ("a,a1,a2", "a,a[1-2]", "a,a[1-2]"),
        ("n0,n00,n000", "n[0,00,000]", "n[0,00,000]"),
        ("x0,x1,x10,x2", "x[0-1,10,2]", "x[0-2,10]"),
        ("n07,n95,n0009,n101", "n[07,95,0009,101]", "n[07,95,101,0009]"),
        ("n-1,n-2", "n-[1-2]", "n-[1-2]"),
    ],
)
def test_compress(names: str, in_order: str, in_sequence: str) -> None:
    assert compress(names.split(",")) == in_order
    assert compress_sorted(names.split(",")) == in_sequence


def test_compress_keeps_repeats_and_sorted_drops_them() -> None:
    assert compress(["n1", "n1", "n2"]) == "n[1,1-2]"
    assert compress_sorted(["n2", "n1", "n1"]) == "n[1-2]"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("n[3-1]", "runs backwards"),
        ("n[a-b]", "not a number"),
        ("n[1-10:3]", "not a number"),
        ("a[-1]", "not a number"),
        ("a[1-]", "not a number"),
        ("a[]", "not a number"),
        ("n[1-3", "without"),
        ("n1]", "without"),
        ("n[1-3]]", "without"),
        ("n[[1]]", "inside"),
        (f"n[1-{MAX_NAMES + 1}]", str(MAX_NAMES)),
        ("a[1-999]b[1-999]", str(MAX_NAMES)),
        ("a[1-40000],b[1-40000]", str(MAX_NAMES)),
        ("n[" + "9" * 50 + "]", "too long"),
        ("n[١-٣]", "not a number"),
    ],
)
def test_unreadable(text: str, part: str) -> None:
    with pytest.raises(HostlistError, match=part):
        expand(text)


def test_the_largest_list_is_read() -> None:
    assert count(f"n[1-{MAX_NAMES}]") == MAX_NAMES


NAMES = st.builds(
    lambda prefix, number, width: prefix + (str(number).zfill(width) if number >= 0 else ""),
    st.sampled_from(["n", "node", "r1n", "gpu-", "x0", "a.b"]),
    st.integers(-1, 1200),
    st.integers(0, 5),
)


@given(st.lists(NAMES, max_size=40))
def test_round_trip(names: list[str]) -> None:
    assert expand(compress(names)) == names


@given(st.lists(NAMES, max_size=40))
def test_sorted_round_trip(names: list[str]) -> None:
    text = compress_sorted(names)
    assert sorted(expand(text)) == sorted(set(names))
    assert compress_sorted(reversed(names)) == text
    assert compress_sorted(expand(text)) == text


def test_natural_key() -> None:
    assert sorted(["n10", "n9", "n1x2", "n"], key=natural_key) == ["n", "n1x2", "n9", "n10"]

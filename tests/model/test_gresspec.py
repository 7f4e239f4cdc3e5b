"""What people write about devices, layouts and licences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model import gresspec, resources
from packhorse.scheduler.model.gresspec import (
    GresError,
    parse_gpus,
    parse_gres,
    parse_layouts,
    parse_licenses,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("gpu", [("gpu", "", 1, 1000, 0)]),
        ("gpu:2", [("gpu", "", 2, 1000, 0)]),
        ("gres:gpu:h100:2,nic", [("gpu", "h100", 2, 1000, 0), ("nic", "", 1, 1000, 0)]),
        ("gpu=4", [("gpu", "", 4, 1000, 0)]),
        ("gpu:2080ti", [("gpu", "2080ti", 1, 1000, 0)]),
        ("gpu:2080ti:3", [("gpu", "2080ti", 3, 1000, 0)]),
        ("gpu:0", []),
        ("gpu:0.25", [("gpu", "", 1, 250, 0)]),
        ("gpu:.5", [("gpu", "", 1, 500, 0)]),
        ("gpu:h200:0.125", [("gpu", "h200", 1, 125, 0)]),
        ("gpu:20G", [("gpu", "", 1, 1000, 20480)]),
        ("gpu:h200:512m", [("gpu", "h200", 1, 1000, 512)]),
        ("gpu:1g.10gb", [("gpu", "1g.10gb", 1, 1000, 0)]),
        ("gpu:1g.10gb:2", [("gpu", "1g.10gb", 2, 1000, 0)]),
        ("tpu:4", [("tpu", "", 4, 1000, 0)]),
    ],
)
def test_devices_are_read(text: str, found: list[gresspec.Wanted]) -> None:
    assert parse_gres(text) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gpu:-1", "has a sign"),
        ("gpu:+0.5", "has a sign"),
        ("gpu:nan", "is no amount"),
        ("gpu:inf", "is no amount"),
        ("gpu:1e3", "is no amount"),
        ("gpu:h100:many", "is no amount"),
        ("gpu:0.1.2", "is no amount"),
        ("gpu:٣", "is no amount"),
        ("gpu:0.1234", "more than 3 decimals"),
        ("gpu:1.5", "ask for whole GPUs or for a share below 1"),
        ("gpu:2.0", "ask for whole GPUs or for a share below 1"),
        ("gpu:0.0", "the least is 0.001"),
        ("gpu:0.5:2", "a share has no count"),
        ("gpu:20G:2", "a share has no count"),
        ("gpu:20X", "is no amount"),
        ("gpu:20K", "no amount of memory"),
        ("gpu:1.5G", "no amount of memory"),
        ("gpu:0G", "not between 1 and"),
        ("gpu:99999999999999G", "not between 1 and"),
        ("gpu:99999999999999999999", "the count is over"),
        ("nic:0.5", "only of a gpu there are shares"),
        ("gpu:1g.10gb:0.5", "a slice is given out whole"),
        ("gpu:a:b:c:1", "not KIND"),
        ("gpu:", "not KIND"),
        ("gpu:h100:", "is no amount"),
        (":1", "not KIND"),
        ("gpu,,nic", "not KIND"),
    ],
)
def test_what_is_wrong_is_named(text: str, why: str) -> None:
    with pytest.raises(GresError, match=why) as caught:
        parse_gres(text)
    assert text.partition(",,")[0] in str(caught.value) or text == "gpu,,nic"


def test_gpus_need_no_kind() -> None:
    assert parse_gpus("4") == parse_gpus("gpu:4") == [("gpu", "", 4, 1000, 0)]
    assert parse_gpus("a100:1,h100:0.5") == [("gpu", "a100", 1, 1000, 0), ("gpu", "h100", 1, 500, 0)]
    assert parse_gpus("1g.10gb:2") == [("gpu", "1g.10gb", 2, 1000, 0)]
    for text in ("", "h100", "a:b:1", "1.5", "0.5:1g.10gb"):
        with pytest.raises(GresError):
            parse_gpus(text)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_gres, parse_gpus):
        try:
            for kind, _, n, milli, mem_mib in parse(text):
                assert kind and 1 <= n <= gresspec.MAX_COUNT and 1 <= milli <= 1000
                assert (n == 1 and kind == "gpu") or (milli == 1000 and not mem_mib)
        except GresError:
            pass


@given(st.integers(1, 999), st.sampled_from(["", "h200"]))
def test_shares_are_written_as_they_are_read(milli: int, type_: str) -> None:
    written = str(resources.Gres("gpu", type_, 1, milli))
    assert [resources.Gres(*item) for item in parse_gres(written)] == [resources.Gres("gpu", type_, 1, milli)]
    assert gresspec.share_text(milli) == written.rpartition(":")[2]


def test_both_know_a_slice() -> None:
    for name in ("1g.10gb", "7g.141gb", "12g.1gb"):
        assert gresspec.is_slice(name) and resources.is_slice(name)
    for name in ("g.10gb", "0g.10gb", "1g.010gb", "1g.10", "h200", "", "123g.10gb", "1g.12345gb"):
        assert not gresspec.is_slice(name) and not resources.is_slice(name)


def test_the_kinds_with_shares_are_the_same() -> None:
    assert gresspec.SHARED_KINDS == resources.DIVISIBLE


def test_layouts() -> None:
    found = parse_layouts("7x1g.18gb|1x4g.71gb+1x3g.71gb|2g.35gb")
    assert found == (("1g.18gb",) * 7, ("4g.71gb", "3g.71gb"), ("2g.35gb",))
    assert [gresspec.layout_text(layout) for layout in found] == [
        "7x1g.18gb",
        "1x4g.71gb+1x3g.71gb",
        "1x2g.35gb",
    ]
    for text in ("", "7x", "x1g.18gb", "0x1g.18gb", "7xh200", "17x1g.18gb", "1g.18gb|", "-1x1g.18gb"):
        with pytest.raises(GresError, match="layout"):
            parse_layouts(text)


def test_licences() -> None:
    assert parse_licenses("") == ()
    assert parse_licenses("matlab:10,fluent,a@b:2") == (("matlab", 10), ("fluent", 1), ("a@b", 2))
    for text in (
        ",",
        "a,",
        ":1",
        "a:",
        "a:0",
        "a:-1",
        "a:1.5",
        "a:x",
        "a b",
        "a,a",
        "a:99999999999999999999",
    ):
        with pytest.raises(GresError):
            parse_licenses(text)

"""Feature expressions, as Slurm users write them."""

from __future__ import annotations

import pytest

from packhorse.scheduler.core.packing.features import alternatives, parse, words
from packhorse.scheduler.model.errors import BadValue


@pytest.mark.parametrize(
    ("text", "yes", "no"),
    [
        ("a", ["a", "ab a"], ["", "b", "ab"]),
        ("a&b", ["a b"], ["a", "b"]),
        ("a|b", ["a", "b"], ["c"]),
        ("a&b|c", ["a b", "c"], ["a", "b"]),
        ("a|b&c", ["a", "b c"], ["b", "c"]),
        ("(a|b)&c", ["a c", "b c"], ["a b", "c"]),
        ("(a)&(b)", ["a b"], ["a"]),
        ("[a|b]", ["a", "b"], ["c"]),
        ("[(a&b)|c]", ["a b", "c"], ["a"]),
        (" gpu.v2 ", ["gpu.v2"], ["gpu"]),
    ],
)
def test_what_satisfies(text: str, yes: list[str], no: list[str]) -> None:
    test = parse(text)
    assert all(test(features.split()) for features in yes)
    assert not any(test(features.split()) for features in no)


@pytest.mark.parametrize(
    "text", ["", "&", "a&", "|a", "a||b", "(a", "a)", "a b", "a*2", "[a*2&b*1]", "a,b", "[a|b", "()"]
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="features"):
        parse(text)


def test_alternatives_and_words() -> None:
    assert alternatives("[a|b|(c&d)]") == ("a", "b", "(c&d)")
    assert alternatives("a|b") == ("a|b",)
    assert alternatives("[a]|[b]") == ("[a]|[b]",)
    assert words("(b|a)&b&c") == ["b", "a", "c"]

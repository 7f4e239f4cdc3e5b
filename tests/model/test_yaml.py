"""YAML as it is written: read back by the rules of the little of YAML that is used."""

from __future__ import annotations

from json import loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.model.shapes.yaml import yaml

WORDS = ("true", "false", "null")


def read(text: str) -> object:
    """What a document says. Block collections of plain, quoted and JSON scalars."""
    head, *lines = text.splitlines()
    assert head == "---"
    assert text.endswith("\n")
    value, rest = _block([line for line in lines if line], 0)
    assert not rest, rest
    return value


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _block(lines: list[str], depth: int) -> tuple[object, list[str]]:
    first = lines[0]
    if first[depth : depth + 2] == "- " or first[depth:] == "-":
        return _items(lines, depth)
    if _key(first[depth:]) is not None:
        return _pairs(lines, depth)
    return _scalar(first[depth:]), lines[1:]


def _items(lines: list[str], depth: int) -> tuple[object, list[str]]:
    found = []
    while lines and _depth(lines[0]) == depth and lines[0][depth:].startswith("- "):
        value, lines = _block([" " * (depth + 2) + lines[0][depth + 2 :], *lines[1:]], depth + 2)
        found.append(value)
    return found, lines


def _pairs(lines: list[str], depth: int) -> tuple[object, list[str]]:
    found = {}
    while lines and _depth(lines[0]) == depth:
        key = _key(lines[0][depth:])
        assert key is not None
        name, rest = key
        if rest:
            found[name], lines = _scalar(rest), lines[1:]
        else:
            found[name], lines = _block(lines[1:], depth + 2)
    return found, lines


def _key(text: str) -> tuple[str, str] | None:
    if text.startswith('"'):
        end = 1
        while text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        name, rest = loads(text[: end + 1]), text[end + 1 :]
    else:
        name, colon, rest = text.partition(":")
        rest = colon + rest
    if not rest.startswith(":") or (len(rest) > 1 and rest[1] != " "):
        return None
    return name, rest[2:]


def _scalar(text: str) -> object:
    if text[:1] in '"[{-0123456789' or text in WORDS:
        return loads(text)
    assert text and text == text.strip() and not set(text) & set(":#,[]{}\"'&*!|>%@`"), text
    assert text.lower() not in ("yes", "no", "on", "off", "y", "n", "null", "true", "false"), text
    return text


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_again(value: object) -> None:
    assert read(yaml(value)) == value


def test_it_looks_like_slurms() -> None:
    value = {
        "jobs": [{"state": ["RUNNING"], "name": "a b", "nodes": [], "at": {"set": True, "number": 5}}],
        "x": {},
    }
    assert yaml(value) == (
        "---\njobs:\n  - state:\n      - RUNNING\n    name: a b\n    nodes: []\n    at:\n      set: true\n"
        "      number: 5\nx: {}\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        *[("no", '"no"'), ("Yes", '"Yes"'), ("NULL", '"NULL"'), ("", '""'), ("12", '"12"'), ("1e3", '"1e3"')],
        *[("a: b", '"a: b"'), ("#x", '"#x"'), ("cn1", "cn1"), ("ends ", '"ends "'), ("a\nb", '"a\\nb"')],
    ],
)
def test_words_that_mean_something_else_are_quoted(text: str, written: str) -> None:
    assert yaml({"key": text}) == f"---\nkey: {written}\n"

"""JSON without the json package says what json says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.cli import wire

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), 1 << 63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_round_trip(value: object) -> None:
    data = wire.dumps(value)
    assert json.loads(data) == value
    assert wire.loads(data) == value
    assert (
        wire.loads(json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value
    )


@given(VALUES)
def test_lines_for_people(value: object) -> None:
    assert wire.dumps_text(value, 2) == json.dumps(value, indent=2)


def test_bytes_travel_as_base64() -> None:
    assert wire.dumps({"script": b"#!\x00\xff"}) == b'{"script":"IyEA/w=="}'


def test_tuples_and_refusals() -> None:
    assert wire.dumps((1, "a")) == b'[1,"a"]'
    with pytest.raises(TypeError, match="set has no JSON"):
        wire.dumps({1})


@pytest.mark.parametrize("data", [b"", b"{", b"{}x", b"nope", b"\xff", b"[1,]", b"'a'"])
def test_what_is_not_json(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.loads(data)

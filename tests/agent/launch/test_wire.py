"""Messages on the stream between agent and fork server, cut anywhere."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.agent.launch import wire
from packhorse.agent.launch.spec import ForkAnswer, ForkRequest, Group, LaunchSpec

answers = st.builds(
    ForkAnswer,
    st.integers(0, 2**31),
    st.integers(0, 2**31),
    st.integers(0, 2**53),
    error=st.text(max_size=20),
)


@given(st.lists(answers), st.lists(st.integers(1, 40)))
def test_frames_survive_any_cutting(messages: list[ForkAnswer], cuts: list[int]) -> None:
    data = b"".join(map(wire.frame, messages))
    frames = wire.Frames()
    found = []
    at = 0
    for cut in cuts:
        found += frames.feed(data[at : at + cut])
        at += cut
    found += frames.feed(data[at:])
    assert [msgspec.msgpack.decode(body, type=ForkAnswer) for body in found] == messages


def test_a_length_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        wire.Frames().feed(wire.HEADER.pack(wire.MAX_BYTES + 1))


def test_a_request_comes_through_whole() -> None:
    spec = LaunchSpec(
        key="1.1.1", attempt_dir="/a", argv=("/b", "ü"), environment=("A=1",), cwd="/", uid=1, gid=2,
        rlimits=(("core", -1),), cpus=(0, 3),
    )  # fmt: skip
    request = ForkRequest(3, spec, "token", (Group("/sys/x", "/sys", (("memory.max", "1"),), True, 2),))
    (body,) = wire.Frames().feed(wire.frame(request))
    assert msgspec.msgpack.decode(body, type=ForkRequest) == request

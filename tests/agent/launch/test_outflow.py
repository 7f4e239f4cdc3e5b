"""A client's stream: whatever breaks when, it receives every byte once and in order."""

from __future__ import annotations

import socket

from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.agent.launch import frames, outflow
from packhorse.agent.launch.outflow import Outflow

ADD, READ, BREAK, CONFIRM = range(4)
STEPS = st.lists(st.tuples(st.integers(ADD, CONFIRM), st.integers(0, 60_000)), max_size=60)


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_every_byte_once_and_in_order(steps: list[tuple[int, int]]) -> None:
    flow, wanted, got = Outflow(), bytearray(), bytearray()
    near, far = pair()
    for number, (what, size) in enumerate(steps):
        if what == ADD and flow.has_room:
            payload = bytes([number]) * size
            flow.add(frames.OUTPUT, number, payload)
            wanted += frames.HEADER.pack(frames.OUTPUT, number, size) + payload
        elif what == READ:
            got += read(near, far, flow, size)
        elif what == BREAK:  # what was sent and not read is lost
            near.close()
            far.close()
            near, far = pair()
            assert flow.can_resume(len(got))
            flow.resume(len(got))
        elif what == CONFIRM:
            flow.confirm(len(got))
    while more := read(near, far, flow, 1 << 20):
        got += more
    near.close()
    far.close()
    assert got == wanted
    assert flow.waiting == 0


def pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


def read(near: socket.socket, far: socket.socket, flow: Outflow, size: int) -> bytes:
    flow.send(near)
    try:
        return far.recv(size) if size else b""
    except BlockingIOError:
        return b""


def has_room(flow: Outflow) -> bool:
    return flow.has_room


def test_one_that_confirms_is_never_further_ahead_than_what_is_kept() -> None:
    flow = Outflow()
    near, far = pair()
    flow.confirm(0)
    sent = 0
    while has_room(flow):
        flow.add(frames.OUTPUT, 0, bytes(1 << 16))
        flow.send(near)
        while flow.waiting and read(near, far, flow, 1 << 20):
            pass
        sent += (1 << 16) + frames.HEADER.size
    assert outflow.KEPT <= sent < outflow.KEPT + (1 << 17)
    assert flow.can_resume(0)
    flow.confirm(sent)
    assert has_room(flow)
    assert not flow.can_resume(0)
    near.close()
    far.close()


def test_another_client_gets_whole_frames_of_what_was_not_all_sent() -> None:
    flow = Outflow()
    near, far = pair()
    flow.add(frames.OUTPUT, 1, b"sent")
    flow.send(near)
    big = bytes(1 << 20)
    flow.add(frames.OUTPUT, 2, big)
    flow.add(frames.TASK_ENDED, 2, b"0000")
    flow.add(frames.NOTICE, 3, b"hear")
    flow.send(near)
    other = Outflow()
    assert flow.has_output
    other.take_over(flow.leave())
    assert other.waiting == 2 * frames.HEADER.size + len(big) + 4
    near.close()
    far.close()

"""When jobs fit into what is free in the time to come."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse.scheduler.core.when.room import HORIZON_S, Room


def a_room(*free: float, n_futures: int = 1, n_pieces: int = 512) -> Room:
    return Room(np.array(free, dtype=np.float64), n_futures, n_pieces)


def start(room: Room, amount: float, run_s: float, fit_s: float = 0, not_before: float = 0.0) -> float:
    found = room.place([(0, amount)], [(0, amount)], fit_s or run_s, np.array([run_s]), not_before)
    return float(found[0])


def test_what_fits_starts_now_and_what_does_not_waits_for_a_release() -> None:
    room = a_room(4)
    room.release(np.array([[1000.0]]), np.array([[4.0]]))
    assert start(room, 3, 500) == 0
    assert start(room, 3, 500) == pytest.approx(500, rel=0.05), "the first has ended by then"
    assert start(room, 8, 100) == pytest.approx(1000, rel=0.05)


def test_a_job_goes_before_another_only_where_it_fits_for_its_whole_limit() -> None:
    def room() -> Room:
        room = a_room(2)
        room.release(np.array([[1000.0]]), np.array([[2.0]]))
        assert start(room, 4, 5000) == pytest.approx(1000, rel=0.05)
        return room

    assert start(room(), 2, run_s=100, fit_s=900) == 0, "a hole of 1000 s"
    assert start(room(), 2, run_s=100, fit_s=2000) == pytest.approx(6000, rel=0.05), "might not be over"


def test_many_short_jobs_share_a_far_piece_of_time() -> None:
    room = a_room(10)
    assert start(room, 10, 1_000_000) == 0
    ends = [start(room, 1, 60) for _ in range(500)]
    assert ends[0] == pytest.approx(1_000_000, rel=0.05)
    assert ends[-1] - ends[0] < 50_000, "an hour's work, in pieces of half a day"


def test_what_does_not_fit_together_never_shares_a_piece() -> None:
    room = a_room(2)
    assert start(room, 1, 10_000_000) == 0
    assert start(room, 2, 60) == pytest.approx(HORIZON_S), "half of it is never enough"
    assert start(room, 1, 60) == 0


def test_futures_differ() -> None:
    room = a_room(0, n_futures=2)
    room.release(np.array([[100.0], [10_000.0]]), np.array([[1.0]]))
    found = room.place([(0, 1.0)], [(0, 1.0)], 10.0, np.array([10.0, 10.0]))
    assert found == pytest.approx([100, 10_000], rel=0.06)


def test_all_kinds_must_be_free() -> None:
    room = Room(np.array([4.0, 0.0]), 1, 256)
    room.release(np.array([[300.0]]), np.array([[0.0], [2.0]]))
    found = room.place([(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 2.0)], 10, np.array([10.0]))
    assert found[0] == pytest.approx(300, rel=0.06)
    assert room.most(1) == 2


def test_nothing_starts_before_its_time_or_after_the_horizon() -> None:
    room = a_room(1)
    assert start(room, 1, 10, not_before=5000) == 5000
    assert start(room, 2, 10) == pytest.approx(HORIZON_S)

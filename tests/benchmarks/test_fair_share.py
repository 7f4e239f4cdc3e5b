"""Accounts in the simulator: shares are kept, and wide jobs start in spite of small ones."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import fair_share, starvation
from benchmarks.fair_share import Day
from benchmarks.starvation import STREAMS, union


def test_shares_are_kept_over_six_hours() -> None:
    """Two nodes, jobs of some minutes: the parts of any six hours are within 2 points of the shares."""
    day = Day(hours=9, nodes=2, cpus=8, longest_s=1800)
    used = fair_share.simulate(day)
    off = fair_share.off_by(used)
    assert used.cpu_s.sum() > 0.9 * day.hours * 3600 * day.nodes * day.cpus
    assert off.shape[0] == 3 and off.shape[1] > 10
    assert np.abs(off).max() <= fair_share.GOAL
    # First come, first served, each gets what it asks for: a third.
    blind = fair_share.off_by(fair_share.simulate(day, "fcfs"))
    assert np.abs(blind).max() > 10


@pytest.mark.parametrize("policy", ["fcfs", "multifactor", "multifactor!"])
@pytest.mark.parametrize("stream", [STREAMS[1], STREAMS[4]], ids=lambda stream: stream.name)
def test_no_small_jobs_keep_a_wide_one_out(stream: starvation.Stream, policy: str) -> None:
    found = starvation.simulate(stream, policy, 1, 2)
    assert len(found) > 5
    assert max(one.late_s for one in found) <= 0
    assert max(one.started_s - one.made_s for one in found) > 600, "somebody had to wait"


def test_the_time_that_others_took() -> None:
    assert union([]) == 0
    assert union([(0, 10), (5, 7), (20, 30), (29, 35)]) == 25

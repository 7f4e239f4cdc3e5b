"""When a job without a cgroup is looked at, and what follows."""

from __future__ import annotations

from itertools import pairwise

from packhorse.agent.launch.spec import Group, Limits
from packhorse.agent.launch.watch import SOONEST_US, Watch

MIB = 1024
LIMITS = Limits(mem_mib=1000, pids=100)


def looks(watch: Watch, kib_per_s: float, until_us: int) -> list[int]:
    """The instants at which a job that grows steadily is looked at; ends when it passes its limit."""
    at = []
    while watch.due < until_us:
        now = watch.due
        at.append(now)
        if watch.seen(now, int(kib_per_s * now / 1e6), 1):
            break
    return at


def test_nothing_is_watched_that_a_cgroup_bounds() -> None:
    groups = (
        Group("/m", "/", (("memory.limit_in_bytes", "1"),), memory=True),
        Group("/p", "/", (("pids.max", "1"),)),
    )
    assert Watch(LIMITS, groups, 5).due == 0
    assert Watch(LIMITS, groups[1:], 5).most == 0
    assert Watch(LIMITS, groups[:1], 5).limit_kib == 0
    assert Watch(Limits(), (), 5).due == 0
    assert Watch(LIMITS, (), 5).due == 5 + SOONEST_US


def test_a_job_that_does_not_grow_is_left_alone_more_and_more() -> None:
    at = looks(Watch(LIMITS, (), 0), 0, 60_000_000)
    pauses = [after - before for before, after in pairwise(at)]
    assert pauses[0] == 2 * SOONEST_US
    assert pauses[-1] == 2_000_000
    assert len(at) < 40


def test_a_job_that_grows_is_seen_soon_after_its_limit() -> None:
    for kib_per_s in (10 * MIB, 100 * MIB, 1000 * MIB, 3000 * MIB):
        watch = Watch(LIMITS, (), 0)
        at = looks(watch, kib_per_s, 200_000_000)
        over_us = at[-1] - 1000 * MIB / kib_per_s * 1e6
        assert 0 <= over_us <= 2 * SOONEST_US, kib_per_s
        assert watch.peak_kib > 1000 * MIB


def test_what_is_said_of_an_excess() -> None:
    excess = Watch(LIMITS, (), 0).seen(9, 1200 * MIB, 1)
    assert excess is not None
    assert (excess.cause, excess.detail[:33]) == ("oom", "1200 MiB used, limit 1000 MiB (se")
    crowd = Watch(LIMITS, (), 0).seen(9, 0, 101)
    assert crowd is not None
    assert (crowd.cause, crowd.detail[:25]) == ("terminated", "101 processes, limit 100 ")


def test_a_growing_crowd_is_watched_closely() -> None:
    watch = Watch(LIMITS, (), 0)
    for n in (1, 2, 3, 3, 3, 3):
        watch.seen(watch.due, 0, n)
    before = watch.due
    watch.seen(before, 0, 51)
    assert watch.due == before + SOONEST_US

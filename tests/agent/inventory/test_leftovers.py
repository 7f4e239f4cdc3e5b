"""Which processes are held against a device after a job, and which are not."""

from __future__ import annotations

from packhorse.agent.inventory.leftovers import Leftovers, Process
from packhorse.scheduler.model.ids import AttemptKey, JobId
from packhorse.scheduler.model.resources import Devices

A, B = AttemptKey(JobId(1), 1, 1), AttemptKey(JobId(2), 1, 1)
GPU0 = (Devices("gpu", "h200", (0,)),)
KEY = ("gpu", 0)


def judged(
    leftovers: Leftovers, *users: Process, runs: tuple[int, ...] = (), unseen: tuple[int, ...] = ()
) -> dict[tuple[str, int], str]:
    known = {process.pid: process for process in users}
    return leftovers.judge({KEY: [*known, *unseen]}, known.get, lambda pid: pid in runs)


def process(began_at: float, *, pid: int = 4711, name: str = "python", uid: int = 1000) -> Process:
    return Process(pid, name, uid, began_at)


def after_a_job() -> Leftovers:
    """A job had the GPU from 100 to 200."""
    leftovers = Leftovers()
    leftovers.granted(A, 1000, GPU0, 100.0)
    assert leftovers.ended(A, 200.0) == [KEY]
    assert leftovers.watched == [KEY]
    return leftovers


def test_what_began_during_the_job_is_left_of_it() -> None:
    leftovers = after_a_job()
    assert judged(leftovers, process(150.0)) == {KEY: "process 4711 (python) of an ended job still uses it"}
    assert judged(leftovers, process(150.0, uid=0)) != {}, "also as another user: nobody else was to be there"
    assert judged(leftovers) == {}
    assert leftovers.watched == [], "free once is free"
    assert judged(leftovers, process(150.0)) == {}


def test_what_was_there_before_or_came_later_is_not() -> None:
    for began_at in (50.0, 250.0):
        assert judged(after_a_job(), process(began_at)) == {}


def test_servers_and_what_cannot_be_seen_are_not() -> None:
    assert judged(after_a_job(), process(150.0, name="nvidia-cuda-mps-server")) == {}
    assert judged(after_a_job(), unseen=(17,)) == {}


def test_a_device_that_no_job_had_is_nobody_s_business() -> None:
    assert judged(Leftovers(), process(150.0)) == {}


def test_while_a_job_runs_only_what_others_left_counts() -> None:
    leftovers = Leftovers()
    leftovers.granted(A, 1000, GPU0, 100.0)
    assert judged(leftovers, process(150.0)) == {}, "it runs"
    leftovers.granted(B, 2000, GPU0, 120.0)  # a share each
    leftovers.ended(A, 200.0)
    assert judged(leftovers, process(150.0, uid=2000)) == {}
    assert judged(leftovers, process(150.0), runs=(4711,)) == {}
    leftovers = Leftovers()
    leftovers.granted(A, 1000, GPU0, 100.0)
    leftovers.granted(B, 2000, GPU0, 120.0)
    leftovers.ended(A, 200.0)
    assert KEY in judged(leftovers, process(150.0))


def test_of_several_that_ended_any_may_have_left_it() -> None:
    """Shares of one GPU: two jobs of two users have ended, a third one has it now."""
    leftovers = Leftovers()
    for attempt, uid in ((A, 1000), (B, 2000)):
        leftovers.granted(attempt, uid, GPU0, 100.0)
        leftovers.ended(attempt, 200.0)
    leftovers.granted(AttemptKey(JobId(3), 1, 1), 3000, GPU0, 210.0)
    for uid in (1000, 2000):
        assert KEY in judged(leftovers, process(150.0, uid=uid))
    assert judged(leftovers, process(150.0, uid=3000)) == {}


def test_a_device_of_which_nothing_is_known_stays_watched() -> None:
    leftovers = after_a_job()
    assert leftovers.judge({}, lambda pid: None, lambda pid: False) == {}
    assert leftovers.watched == [KEY]


def test_an_attempt_without_devices_has_nothing_to_leave() -> None:
    leftovers = Leftovers()
    leftovers.granted(A, 1000, (), 100.0)
    assert leftovers.ended(A, 200.0) == []

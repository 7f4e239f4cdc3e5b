"""Reservations in the simulator: what runs up to a maintenance, and a file of them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.core.check import check
from packhorse.scheduler.core.reservations.check_reservations import intruded
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import Event, JobEnded, JobGranted, JobRequeued
from packhorse.scheduler.model.job import Active
from packhorse.simulator import simulate
from packhorse.simulator.engine import ORIGIN, NotRunnable, Simulation
from packhorse.simulator.lab_policy import lab_policy
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.reservations import Made, ReservationFileError, read
from packhorse.simulator.traces.cluster_spec import cluster
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

US = 1_000_000
HOUR = 3600
MAINTENANCE = """
[[reservations]]
name = "maint"
start = 14400
duration = 3600
nodes = "ALL"
flags = ["MAINT"]
users = ["root"]
"""


def made(tmp_path: Path, text: str) -> tuple[Made, ...]:
    path = tmp_path / "reservations.toml"
    path.write_text(text)
    return read(path)


def jobs(n: int, every_s: int, seed: int = 1) -> list[TraceJob]:
    """Of 1 to 8 CPUs, which run for half to all of their limits of up to three hours."""
    dice = random.Random(seed)
    found = []
    for i in range(n):
        limit = dice.choice([60, 300, 1800, HOUR, 2 * HOUR, 3 * HOUR])
        run = round(limit * dice.uniform(0.5, 1.0))
        cpus = dice.choice([1, 2, 4, 8])
        found.append(TraceJob(str(i), i * every_s * US, run * US, cpu_milli=cpus * 1000, limit_us=limit * US))
    return found


def simulated(
    policy: str, what: list[TraceJob], reservations: tuple[Made, ...], nodes: str = "4x(cpus=8)"
) -> tuple[Outcome, list[Event]]:
    log: list[Event] = []
    run = Simulation(lab_policy(policy), cluster(nodes), World(), seen=log.append, reservations=reservations)
    run.run(what)
    return run.outcome("test"), log


def overlapping(log: list[Event], start_s: int, end_s: int) -> int:
    """How many runs of jobs meet this span of the trace."""
    since: dict[int, int] = {}
    n = 0
    for event in log:
        if isinstance(event, JobGranted):
            since[event.job] = event.at - ORIGIN
        elif isinstance(event, JobEnded | JobRequeued):
            n += since.pop(event.job) < end_s * US and event.at - ORIGIN > start_s * US
    assert not since
    return n


@pytest.mark.parametrize("policy", ["easy", "sjf+easy:4", "srsf^order", "packhorse"])
def test_nothing_runs_during_a_maintenance_of_all_nodes(policy: str, tmp_path: Path) -> None:
    """And all of a crowd is through in the end."""
    crowd = jobs(150, 100)
    _, without = simulated(policy, crowd, ())
    assert overlapping(without, 4 * HOUR, 5 * HOUR) > 0
    outcome, log = simulated(policy, crowd, made(tmp_path, MAINTENANCE))
    assert overlapping(log, 4 * HOUR, 5 * HOUR) == 0
    assert (outcome.end_us > 0).all()
    state = State.empty()
    for event in log:
        apply(state, event)
        if isinstance(event, JobGranted):
            job = state.jobs[event.job]
            assert isinstance(job.phase, Active) and not intruded(job, job.phase, state.reservations)
    check(state)


def test_all_that_is_short_enough_runs_before(tmp_path: Path) -> None:
    """A cluster with room: who is through by then starts at once, and only those wait who are not."""
    few = [job for job in jobs(60, 240) if job.submit_us < 4 * HOUR * US]
    outcome, _ = simulated("easy", few, made(tmp_path, MAINTENANCE), "40x(cpus=8)")
    for i, job in enumerate(few):
        assert job.limit_us is not None
        if job.submit_us + job.limit_us <= 4 * HOUR * US:
            assert outcome.start_us[i] == job.submit_us, job
        else:
            assert outcome.start_us[i] >= 5 * HOUR * US, job
    assert {int(start) for start in outcome.start_us} & {5 * HOUR * US}, "some begin as soon as it is over"


def test_a_crowd_fills_the_time_before_with_what_fits(tmp_path: Path) -> None:
    """In the last quarter of an hour no node has room for a short job that waits."""
    crowd = jobs(200, 60)
    outcome, _ = simulated("easy", crowd, made(tmp_path, MAINTENANCE))
    limit = np.array([job.limit_us for job in crowd])
    cpus = np.array([job.cpu_milli for job in crowd])
    submit = np.array([job.submit_us for job in crowd])
    for at in range(4 * HOUR - 900, 4 * HOUR - 60, 13):
        now = at * US
        running = (outcome.start_us <= now) & (outcome.end_us > now)
        waits = (submit < now) & (outcome.start_us > now)
        free = 4 * 8000 - cpus[running].sum()
        able = waits & (limit <= 4 * HOUR * US - now)
        assert not (able & (cpus <= free // 4)).any(), (at, free)


def test_reservations_are_made_when_the_file_says(tmp_path: Path) -> None:
    late = MAINTENANCE + "at = 14000\n"
    with pytest.raises(NotRunnable, match=r"maint.*may run past the start"):
        simulated("easy", jobs(150, 100), made(tmp_path, late))
    outcome, log = simulated(
        "easy", jobs(150, 100), made(tmp_path, late.replace('["MAINT"]', '["MAINT", "IGNORE_JOBS"]'))
    )
    inside = (outcome.start_us >= 14_000 * US) & (outcome.start_us < 5 * HOUR * US)
    assert not ((outcome.end_us > 4 * HOUR * US) & inside).any()
    assert overlapping(log, 4 * HOUR, 5 * HOUR) > 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "nothing else"),
        ("[[reservations]]\nstart = 1\n", "duration): missing"),
        ("[[reservations]]\nstart = 1\nduration = 'x'\n", "duration): 'x'; expected a number"),
        ("[[reservations]]\nstart = 1\nduration = 2\ncolour = 3\n", "colour): 3; expected one of at"),
        ("[[reservations]]\nstart = 1\nduration = 2\nflags = 'MAINT'\n", "flags): 'MAINT'; expected a list"),
        ("[[reservations]]\nstart = 1\nduration = 2\nnodes = 'n[1-'\n", "nodes): 'n[1-'; expected \"ALL\""),
        ("[[reservations]", "cannot be read"),
    ],
)
def test_a_file_that_says_something_else(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ReservationFileError) as caught:
        made(tmp_path, text)
    assert says in str(caught.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "reservations.toml"
    path.write_text(MAINTENANCE)
    words = ["lublin:jobs=200,procs=16", "--cluster", "16x1", "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    assert simulate.main([*words, "--reservations", str(path)]) == 0
    assert simulate.main([*words, "--reservations", str(tmp_path / "none")]) != 0
    assert "there is no such file" in capsys.readouterr().err

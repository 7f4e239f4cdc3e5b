"""Crontabs: their jobs are run again and again, until somebody cancels them or writes another."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.core.snapshot import dump, load
from packhorse.scheduler.core.tick import next_timer
from packhorse.scheduler.model.crontab import CronLine
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.input import Caller, SetCrontab, Start
from packhorse.scheduler.model.job import Owner, Pending
from packhorse.scheduler.model.reply import Done, Refused
from tests.core.scenario import ADMIN, USER, Cluster, a_cluster, a_spec

OTHER = Owner(1002, 1002, "bob", "users")
HOUR_S = 3600


def put(
    cluster: Cluster, *lines: str, caller: Caller | None = None, owner: Owner = USER, **what: Any
) -> list[int] | Refused:
    """A crontab of these lines; the numbers of its jobs."""
    text = "".join(f"{line} /bin/true\n" for line in lines)
    wanted = tuple(CronLine(n, line, a_spec(name="cron", **what)) for n, line in enumerate(lines))
    reply = cluster.do(SetCrontab(caller or Caller(USER), owner, text, wanted)).reply
    if isinstance(reply, Refused):
        return reply
    assert isinstance(reply, Done)
    return [int(outcome.ref) for outcome in reply.outcomes]


def begins(cluster: Cluster, job: int) -> int:
    """Seconds from now until it may begin."""
    phase = cluster.job(job).phase
    assert isinstance(phase, Pending), phase
    return (phase.begin_at - cluster.clock.now) // US


def go(cluster: Cluster, job: int) -> None:
    """Its time comes, and it runs."""
    cluster.pass_time(begins(cluster, job) + 1)
    assert cluster.run_cycle() == [job]
    cluster.run(job)


def one(cluster: Cluster, *lines: str, **what: Any) -> int:
    found = put(cluster, *lines, **what)
    assert isinstance(found, list)
    return found[0]


def test_a_job_is_run_every_hour_whatever_becomes_of_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = one(cluster, "@hourly", time_limit_s=60)
    assert cluster.run_cycle() == [] and 0 < begins(cluster, job) <= HOUR_S
    go(cluster, job)
    cluster.exit(job, 3)
    cluster.tick()
    assert HOUR_S - 30 < begins(cluster, job) <= HOUR_S
    assert cluster.job(job).attempts == 1
    go(cluster, job)
    cluster.pass_time(120)  # its time limit
    cluster.exit(job, 143)
    cluster.tick()
    assert HOUR_S - 300 < begins(cluster, job) <= HOUR_S
    assert cluster.replayed() == cluster.state


def test_a_run_that_takes_longer_than_its_interval_is_not_caught_up_with() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = one(cluster, "*/10 * * * *")
    go(cluster, job)
    cluster.pass_time(1500)
    cluster.exit(job)
    cluster.tick()
    assert 0 < begins(cluster, job) <= 600


def test_cancelling_the_job_disables_its_line() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    found = put(cluster, "@hourly", "@daily")
    assert isinstance(found, list)
    first, second = found
    cluster.cancel(first)
    cluster.tick()
    crontab = cluster.state.crontabs[USER.uid]
    assert crontab.text == "#DISABLED: @hourly /bin/true\n@daily /bin/true\n"
    assert [entry.job for entry in crontab.entries] == [second]
    cluster.pass_time(2 * HOUR_S)
    assert first not in cluster.state.jobs, "long forgotten, and not run again"
    go(cluster, second)
    cluster.cancel(second)
    cluster.exit(second, 143)
    cluster.tick()
    assert cluster.state.crontabs[USER.uid].entries == ()
    assert cluster.replayed() == cluster.state


def test_another_crontab_ends_what_waits_and_leaves_what_runs() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    found = put(cluster, "@hourly", "@yearly")
    assert isinstance(found, list)
    running, waiting = found
    go(cluster, running)
    [new] = [one(cluster, "@daily")]
    assert cluster.state_of(running) == "RUNNING" and cluster.state_of(waiting) == "CANCELLED"
    cluster.exit(running)
    cluster.tick()
    assert cluster.state_of(running) == "COMPLETED", "it is in no crontab any more"
    cluster.do(SetCrontab(Caller(USER), USER, ""))
    assert cluster.state.crontabs == {} and cluster.state_of(new) == "CANCELLED"
    assert next_timer(cluster.state) != 1


def test_a_job_that_ended_before_a_restart_is_run_again_after_it() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = one(cluster, "@hourly")
    go(cluster, job)
    cluster.exit(job)
    cluster.state = load(list(dump(cluster.state.freeze())))
    cluster.clock.advance(3 * HOUR_S)
    cluster.do(Start(cluster.state.config))
    assert next_timer(cluster.state) == 1
    cluster.tick()
    assert 0 < begins(cluster, job) <= HOUR_S


def test_a_crontab_is_taken_whole_or_not_at_all() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    job = one(cluster, "@hourly")
    for lines, word in ((("@daily", "61 * * * *"), "line 2"), (("0 0 30 2 *",), "never comes")):
        refused = put(cluster, *lines)
        assert isinstance(refused, Refused) and word in refused.message
    refused = put(cluster, "@daily", cpus=5)
    assert isinstance(refused, Refused)
    assert cluster.state_of(job) == "PENDING" and len(cluster.state.jobs) == 1


def test_other_peoples_crontabs_are_for_administrators() -> None:
    cluster = a_cluster(nodes=1, cpus=4)
    assert isinstance(put(cluster, "@daily", owner=OTHER), Refused)
    job = one(cluster, "@daily", owner=OTHER, caller=ADMIN)
    assert cluster.job(job).owner == OTHER

"""sprio, sshare and `packhorse compare` over a real queue: as Slurm answered, and whole in golden/."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packhorse.cli.slurm import users
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.ids import US, Instant
from tests.cli import queue, transcripts
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler
from tests.core.scenario import a_cluster, a_config, after

TRANSCRIPTS = Path(__file__).resolve().parents[3] / "shared" / "slurm-golden" / "out"
GOLDEN = Path(__file__).parent / "golden" / "priority"


@pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason="no transcripts beside the repository")
@pytest.mark.parametrize("name", ["211-sprio", "212-sprio-l", "213-sprio-w", "214-sprio-o", "217-sshare-U"])
def test_to_the_letter(
    scheduler: FakeScheduler, run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "own_name", lambda: "root")
    queue.serve(scheduler, queue.slurm_session())
    theirs = transcripts.read(TRANSCRIPTS / f"{name}.txt")
    assert transcripts.write(theirs.argv, run(*theirs.argv)) == transcripts.write(
        theirs.argv, (theirs.code, theirs.out, theirs.err)
    )


@pytest.mark.skipif(not TRANSCRIPTS.is_dir(), reason="no transcripts beside the repository")
@pytest.mark.parametrize("name", ["215-sshare", "216-sshare-a"])
def test_the_same_table(
    scheduler: FakeScheduler, run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slurm had not worked its numbers out since the first jobs ended; head, ruler and rows are the same."""
    monkeypatch.setattr(users, "own_name", lambda: "root")
    queue.serve(scheduler, queue.slurm_session())
    theirs = transcripts.read(TRANSCRIPTS / f"{name}.txt")
    code, out, err = run(*theirs.argv)
    assert (code, err, len(out.splitlines())) == (0, "", len(theirs.out.splitlines()))
    assert out.splitlines()[:2] == theirs.out.splitlines()[:2]
    for mine, line in zip(out.splitlines()[2:], theirs.out.splitlines()[2:], strict=True):
        assert mine[:54] == line[:54], "account, user, shares"
        assert len(mine) == len(line)


CASES: dict[str, list[str]] = {
    "sprio": ["sprio"],
    "sprio-long": ["sprio", "-l"],
    "sprio-norm": ["sprio", "-n"],
    "sprio-norm-long": ["sprio", "-n", "-l"],
    "sprio-weights": ["sprio", "-w"],
    "sprio-weights-long": ["sprio", "-l", "-w", "-h"],
    "sprio-user": ["sprio", "-u", "bob", "-S", "-Y"],
    "sprio-partition": ["sprio", "-h", "-p", "short", "-o", "%i|%o|%n|%c|%y|%N|%S|%T|%t|"],
    "sprio-jobs": ["sprio", "-j", "5,6", "-S", "u,-i"],
    "sprio-jobs-none": ["sprio", "-j", "999"],
    "sprio-bad-letter": ["sprio", "-o", "%i %x"],
    "sprio-bad-sort": ["sprio", "-S", "w"],
    "sprio-bad-job": ["sprio", "-j", "x"],
    "sprio-help": ["sprio", "--help"],
    "sshare": ["sshare"],
    "sshare-all": ["sshare", "-a"],
    "sshare-long": ["sshare", "-a", "-l", "-m"],
    "sshare-users": ["sshare", "-a", "-U"],
    "sshare-json": ["sshare", "--json", "-A", "chem", "-u", "ann"],
    "sshare-yaml-users": ["sshare", "--yaml", "-U", "-u", "ann"],
    "sshare-account": ["sshare", "-A", "chem,law", "-u", "ann"],
    "sshare-parsable": ["sshare", "-a", "-P", "-n", "-o", "account,user,fairshare,rawu,eff,grptresraw"],
    "sshare-parsable-end": ["sshare", "-a", "-p", "-o", "A%8,User,ID,Cluster,TRESRun%40,LevelFS"],
    "sshare-bad-field": ["sshare", "-o", "Account,Nosuch"],
    "sshare-helpformat": ["sshare", "-e"],
    "sshare-help": ["sshare", "--help"],
    "compare": ["packhorse", "compare", "2", "5"],
    "compare-other-way": ["packhorse", "compare", "5", "2"],
    "compare-same-account": ["packhorse", "compare", "2", "3"],
    "compare-array": ["packhorse", "compare", "4", "3"],
    "compare-site": ["packhorse", "compare", "5", "6"],
    "compare-given": ["packhorse", "compare", "8", "2"],
    "compare-held": ["packhorse", "compare", "7", "2"],
    "compare-running": ["packhorse", "compare", "1", "2"],
    "compare-unknown": ["packhorse", "compare", "2", "77"],
    "compare-itself": ["packhorse", "compare", "2", "2"],
    "compare-bad": ["packhorse", "compare", "2", "x"],
    "compare-json": ["packhorse", "compare", "2", "5", "--json"],
}


@pytest.mark.parametrize("name", CASES)
def test_golden(scheduler: FakeScheduler, run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"ann": "ann", "bob": "bob"}
    monkeypatch.setattr(users, "own_name", lambda: "ann")
    monkeypatch.setattr(users, "known_name", lambda text: known.get(text, ""))
    queue.serve(scheduler, queue.campus())
    argv = CASES[name]
    text = transcripts.write(argv, run(*argv))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(CASES)


def test_other_orders_have_no_factors(scheduler: FakeScheduler, run: Run) -> None:
    queue.serve(scheduler, a_cluster(config=a_config(priorities=Priorities(weight_age=5))))
    code, out, err = run("sprio")
    assert (code, out) == (1, "")
    assert err == (
        "You are not running a supported priority plugin\n(priority/basic).\n"
        "Only 'priority/multifactor' is supported.\n"
    )


def test_only_those_whose_turn_it_can_be_are_shown(scheduler: FakeScheduler, run: Run) -> None:
    """As in Slurm: not who waits for a time, for another job, or is held."""
    cluster = a_cluster(config=a_config(order="multifactor", priorities=Priorities(weight_age=5)))
    first = cluster.submit(cpus=8)
    later = cluster.submit(begin_at=Instant(cluster.clock.now + 60 * US))
    follows = cluster.submit(dependency=after("afterok", first))
    cluster.submit(hold=True)
    waits = cluster.submit(cpus=8)
    queue.serve(scheduler, cluster)

    def shown() -> list[int]:
        return [int(line.split()[0]) for line in run("sprio", "-h")[1].splitlines()]

    assert shown() == [first, waits]
    assert run("sprio", "-h", "-j", str(follows))[1] == "Unable to find jobs matching user/id(s) specified\n"
    cluster.clock.advance(61)
    cluster.tick()
    assert shown() == [first, later, waits]


def test_comparing_under_other_orders(scheduler: FakeScheduler, run: Run) -> None:
    for order, sentence in (
        ("priority", "job 1 is ahead of job 2: their priorities are equal, and its number is lower\n"),
        ("saf", 'job 2 is ahead of job 1: their priorities are equal, and order "saf" says so: '),
    ):
        cluster = a_cluster(config=a_config(order=order))
        cluster.submit(cpus=8, time_limit_s=1000)
        cluster.submit(cpus=2, time_limit_s=60)
        cluster.submit(cpus=2, time_limit_s=60, nice=7)
        queue.serve(scheduler, cluster)
        assert run("packhorse", "compare", "2", "1")[1].startswith(sentence)
        assert run("packhorse", "compare", "3", "1")[1] == (
            "job 1 is ahead of job 3 by 7: nice +7 (0 against 7)\n"
        )

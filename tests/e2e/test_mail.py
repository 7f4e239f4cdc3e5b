"""Mail about jobs, through a program that writes down what it was given."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until


class Post:
    """A cluster and the letters that left it: (address, subject)."""

    def __init__(self, cluster: Cluster, box: Path) -> None:
        self.cluster = cluster
        self.box = box

    def about(self, job: int) -> list[tuple[str, str]]:
        found = []
        for line in self.box.read_text().splitlines() if self.box.exists() else ():
            to, _, subject = line.partition("|")
            if f"Job_id={job} " in subject or f"Job_id={job}_" in subject:
                found.append((to, subject))
        return found

    def wait(self, job: int, n: int) -> list[tuple[str, str]]:
        wait_until(lambda: len(self.about(job)) >= n, lambda: f"{n} letters; there are {self.about(job)}")
        return self.about(job)


@pytest.fixture(scope="module")
def post() -> Iterator[Post]:
    cluster = Cluster(nodes=1)
    program = cluster.root / "bin" / "mail"
    box = cluster.root / "box"
    program.write_text(f'#!/bin/sh\n[ "$1" = -s ] && echo "$3|$2" >> {box}\nid -u >> {box}.uids\n')
    program.chmod(0o755)
    cluster.home.config.write_text(f'{cluster.home.config.read_text()}\n[mail]\nprogram = "{program}"\n')
    with cluster:
        yield Post(cluster, box)


def test_begin_and_end(post: Post) -> None:
    job = post.cluster.sbatch("-J", "calc", "--mail-type=BEGIN", "--mail-type=end", "--wrap", "true")
    me = post.cluster.env["USER"]
    (to, began), (other, ended) = post.wait(job, 2)
    assert to == other == me
    assert began.startswith(f"Slurm Job_id={job} Name=calc Began, Queued time 00:00:")
    assert ended.startswith(f"Slurm Job_id={job} Name=calc Ended, Run time 00:00:")
    assert ended.endswith(", COMPLETED, ExitCode 0")
    assert post.box.with_suffix(".uids").read_text().splitlines()[0] == str(os.geteuid())


def test_a_failure_goes_to_the_address_that_was_given(post: Post) -> None:
    words = ("--mail-type=FAIL", "--mail-user=ann@example.org", "-J", "bad")
    job = post.cluster.sbatch(*words, "--wrap", "exit 3")
    ((to, subject),) = post.wait(job, 1)
    assert to == "ann@example.org"
    assert subject.endswith("FAILED, ExitCode 3") and f"Job_id={job} Name=bad Failed, Run time " in subject
    quiet = post.cluster.sbatch(*words, "--wrap", "true")
    silent = post.cluster.sbatch("--mail-type=NONE", "--wrap", "exit 3")
    post.cluster.wait_all([quiet, silent])
    last = post.cluster.sbatch("--mail-type=END", "--wrap", "true")
    post.wait(last, 1)
    assert not post.about(quiet) and not post.about(silent), "letters go one after the other"


def test_an_array_is_one_letter_unless_each_task_is_asked_for(post: Post) -> None:
    wrap = ("--wrap", "exit $((SLURM_ARRAY_TASK_ID == 2))")
    job = post.cluster.sbatch("-J", "arr", "--array=1-3", "--mail-type=ALL", *wrap)
    begun, ended = [subject for _, subject in post.wait(job, 2)]
    assert begun.startswith(f"Slurm Array Summary Job_id={job}_* ({job}) Name=arr Began, Queued time ")
    assert ended == f"Slurm Array Summary Job_id={job}_* ({job}) Name=arr Failed, Mixed, MaxExitCode 1"
    job = post.cluster.sbatch("-J", "each", "--array=1-3", "--mail-type=END,FAIL,ARRAY_TASKS", *wrap)
    subjects = sorted(subject for _, subject in post.wait(job, 3))
    assert len(subjects) == 3
    first, failed, last = subjects
    assert failed.startswith(f"Slurm Array Task Job_id={job}_2 (") and " Name=each Failed, " in failed
    assert " Ended, Run time " in first and " Ended, Run time " in last


def test_requeue_and_a_dependency_in_vain(post: Post) -> None:
    job = post.cluster.sbatch("--mail-type=REQUEUE", "--wrap", "sleep 100")
    post.cluster.wait_state(job, "RUNNING")
    post.cluster.run("scontrol", "requeuehold", str(job))
    ((_, subject),) = post.wait(job, 1)
    assert " Name=wrap Requeued, " in subject
    post.cluster.run("scancel", str(job))
    bad = post.cluster.sbatch("--wrap", "exit 1")
    waits = post.cluster.sbatch(f"--dependency=afterok:{bad}", "--mail-type=INVALID_DEPEND", "--wrap", "true")
    assert post.wait(waits, 1)[0][1] == f"Slurm Job_id={waits} Name=wrap Invalid dependency"
    post.cluster.run("scancel", str(waits))


def test_half_of_the_time_limit(post: Post) -> None:
    job = post.cluster.sbatch("-t", "0:10", "--mail-type=TIME_LIMIT_50,TIME_LIMIT_90", "--wrap", "sleep 100")
    first = post.wait(job, 1)[0][1]
    assert (
        first.startswith(f"Slurm Job_id={job} Name=wrap Reached ") and "% of time limit, Run time " in first
    )
    post.cluster.run("scancel", str(job))


def test_what_cannot_be_meant(post: Post) -> None:
    code, said = post.cluster.refused("sbatch", "--mail-type=SOMETIMES", "--wrap", "true")
    assert code == 255
    assert 'Invalid --mail-type specification: "SOMETIMES" is not one of NONE, ALL, BEGIN' in said
    code, said = post.cluster.refused("sbatch", "--mail-type=END", "--mail-user=-x", "--wrap", "true")
    assert code == 1 and 'mail_user: "-x" is no mail address' in said

"""Jobs that do what jobs should not: each gets the right state and code, one clear line, leaves nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster import Cluster, command_line, environment, running, wait_until


def left_of(cluster: Cluster, job: int) -> list[int]:
    """Processes that still belong to a job."""
    wanted = f"SLURM_JOB_ID={job}".encode()
    return [pid for pid in cluster.processes() if wanted in environment(pid)]


def why(cluster: Cluster, job: int) -> str:
    """The lines of a job's story about its end."""
    return "\n".join(event["text"] for event in cluster.events(job)[-2:])


def test_one_that_ignores_term(cluster: Cluster) -> None:
    script = cluster.script("deaf.sh", 'trap "" TERM INT HUP\necho ready\nwhile :; do sleep 0.1; done')
    job = cluster.sbatch(script)
    wait_until(lambda: "ready" in cluster.said(job), "it to run")
    cluster.run("scancel", str(job))
    assert cluster.wait(job).state == "CANCELLED"
    assert left_of(cluster, job) == []


def test_one_that_leaves_daemons_behind(cluster: Cluster) -> None:
    note = cluster.work / "daemon.pid"
    seconds = 100_000 + os.getpid()
    script = cluster.script(
        "daemons.sh",
        "exec < /dev/null > /dev/null 2>&1\n"
        f"setsid sh -c 'trap \"\" HUP TERM; echo $$ > {note}; while :; do sleep 0.1; done' &\n"
        f"setsid setsid env -i sleep {seconds} &\n"
        f"until test -s {note}; do sleep 0.01; done\nexit 7",
    )
    job = cluster.sbatch(script)
    result = cluster.wait(job)
    assert (result.state, result.exit_code) == ("FAILED", 7)
    assert left_of(cluster, job) == [] and not Path(f"/proc/{note.read_text().strip()}").exists()
    bare = [pid for pid in running() if command_line(pid) == f"sleep {seconds}"]
    assert bare == [], "a daemon without the job's environment lives on"


@pytest.mark.parametrize("mib", [200, pytest.param(1024, marks=pytest.mark.slow)])
def test_one_that_writes_a_lot(cluster: Cluster, mib: int) -> None:
    job = cluster.sbatch("--wrap", f"head -c {mib}M /dev/zero")
    result = cluster.wait(job, within_s=120)
    path = cluster.work / f"slurm-{job}.out"
    size = path.stat().st_size
    path.unlink()
    assert (result.state, size) == ("COMPLETED", mib << 20)


def test_one_that_exceeds_its_memory(cluster: Cluster) -> None:
    script = cluster.script(
        "eater.py",
        "x = bytearray(300 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\nimport time\ntime.sleep(5)",
        head="#!/usr/bin/env python3",
    )
    job = cluster.sbatch("--mem=100M", script)
    result = cluster.wait(job)
    assert (result.state, result.reason) == ("OUT_OF_MEMORY", "OutOfMemory")
    assert "100 MiB" in why(cluster, job), why(cluster, job)
    assert left_of(cluster, job) == []


CANNOT_RUN = {
    "no such interpreter": (
        "#!/no/such/interpreter",
        [],
        '"/no/such/interpreter": No such file or directory',
    ),
    "an interpreter that is a directory": ("#!/tmp", [], "Permission denied"),
    "an interpreter that is no program": ("#!/etc/passwd", [], ""),
    "no such directory": (
        "#!/bin/sh",
        ["-D", "/no/such/place", "-o", "/dev/null"],
        'working directory "/no/such/place": No such file',
    ),
    "no directory for the output": ("#!/bin/sh", ["-D", "/no/such/place"], '"/no/such/place'),
    "output into nowhere": (
        "#!/bin/sh",
        ["-o", "/no/such/place/out"],
        'output file "/no/such/place/out": No such file',
    ),
    "output onto a directory": ("#!/bin/sh", ["-o", "/tmp"], 'output file "/tmp": Is a directory'),
    "no such input": ("#!/bin/sh", ["-i", "/no/such/input"], 'input file "/no/such/input": No such file'),
}


@pytest.mark.parametrize("case", CANNOT_RUN)
def test_one_that_cannot_be_executed(cluster: Cluster, case: str) -> None:
    head, options, words = CANNOT_RUN[case]
    script = cluster.script("never.sh", "echo it ran", head=head)
    job = cluster.sbatch(*options, script)
    result = cluster.wait(job)
    assert (result.state, result.reason) == ("FAILED", "JobLaunchFailure")
    assert result.exit_code not in (0, None)
    assert words in why(cluster, job), why(cluster, job)
    assert left_of(cluster, job) == []
    shown = cluster.text("scontrol", "show", "job", str(job))
    assert "JobState=FAILED Reason=JobLaunchFailure" in shown


@pytest.mark.needs_other_user
def test_one_whose_user_may_not_write_its_output(cluster: Cluster) -> None:
    """Files are opened as the user, not as the agent, whatever the agent could do."""
    place = cluster.work / "locked"
    place.mkdir(mode=0o755)
    job = _as_nobody(cluster, place)
    result = cluster.wait(job)
    assert (result.state, result.reason) == ("FAILED", "JobLaunchFailure")
    assert "Permission denied" in why(cluster, job)
    assert list(place.iterdir()) == []


def _as_nobody(cluster: Cluster, place: Path) -> int:
    done = cluster.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                       "sbatch", "--parsable", "--wrap", "id", cwd=place)  # fmt: skip
    return int(done.stdout)


@pytest.mark.needs_other_user
def test_a_job_runs_as_its_submitter(cluster: Cluster) -> None:
    place = cluster.work / "nobodys"
    place.mkdir()
    os.chown(place, 65534, 65534)
    job = _as_nobody(cluster, place)
    assert cluster.wait(job).state == "COMPLETED"
    text = (place / f"slurm-{job}.out").read_text()
    assert text.startswith("uid=65534") and "gid=65534" in text and "root" not in text

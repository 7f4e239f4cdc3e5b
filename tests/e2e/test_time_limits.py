"""Time limits: a warning first, TERM at the limit, KILL after the grace (`kill_wait`, 2 s here)."""

from __future__ import annotations

from tests.cluster import Cluster
from tests.e2e.test_control import accounting


def test_warning_term_and_kill_come_in_this_order(cluster: Cluster) -> None:
    script = cluster.script(
        "stubborn.sh",
        'trap "echo USR1" USR1\ntrap "echo TERM" TERM\necho start\nwhile :; do sleep 0.05 & wait $!; done',
    )
    job = cluster.sbatch("--time=0:2", "--signal=B:USR1@1", script)
    result = cluster.wait(job)
    row = cluster.job(job)
    ran_s = (int(row["end_at"]) - int(row["start_at"])) / 1_000_000
    lines = cluster.output(job).splitlines()
    assert [line for line in lines if line in ("start", "USR1", "TERM")] == ["start", "USR1", "TERM"]
    assert any(f"JOB {job} ON " in line and "DUE TO TIME LIMIT" in line for line in lines), lines
    assert (result.state, result.reason) == ("TIMEOUT", "TimeLimit")
    assert 3.9 <= ran_s < 6, f"2 s of limit and 2 s of grace took {ran_s} s"
    assert accounting(cluster, job, "State,ExitCode", "-X") == ["TIMEOUT|0:0"]


def test_a_job_that_ends_in_its_grace_has_still_timed_out(cluster: Cluster) -> None:
    script = cluster.script(
        "graceful.sh", 'trap "echo saved; exit 0" TERM\nwhile :; do sleep 0.05 & wait $!; done'
    )
    job = cluster.sbatch("--time=0:1", script)
    result = cluster.wait(job)
    assert (result.state, result.reason) == ("TIMEOUT", "TimeLimit")
    assert cluster.output(job).startswith("saved\n") or "\nsaved\n" in cluster.output(job)


def test_a_warning_to_the_steps_only_does_not_reach_the_script(cluster: Cluster) -> None:
    script = cluster.script(
        "warned.sh",
        'trap "echo shell" USR1\n'
        "bash -c 'trap \"echo child; exit\" USR1; while :; do sleep 0.05; done' &\nwait; wait",
    )
    job = cluster.sbatch("--time=0:2", "--signal=USR1@1", script)
    cluster.wait(job)
    assert not {"shell", "child"} & set(cluster.output(job).split())


def test_a_job_that_ends_before_its_limit_is_left_alone(cluster: Cluster) -> None:
    job = cluster.sbatch("--time=0:30", "--wrap", "sleep 0.1")
    assert cluster.wait(job).state == "COMPLETED"

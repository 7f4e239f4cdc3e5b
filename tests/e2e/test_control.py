"""What is done to jobs that wait or run: cancelling, signals, requeueing, changing; what accounting keeps."""

from __future__ import annotations

import os

import pytest

from tests.cluster import Cluster, wait_until

FOREVER = "sleep 600"


def accounting(cluster: Cluster, job: int | str, fields: str = "State,ExitCode", *more: str) -> list[str]:
    """Lines of sacct without header, columns joined by `|`."""
    return cluster.text("sacct", "-n", "-P", "-j", str(job), "-o", fields, *more).splitlines()


def test_cancelling_what_waits(cluster: Cluster) -> None:
    job = cluster.sbatch("--hold", "--wrap", "true")
    done = cluster.run("scancel", str(job))
    assert (done.stdout, done.stderr) == ("", "")
    result = cluster.wait(job)
    assert (result.state, result.exit_code) == ("CANCELLED", 0)
    assert accounting(cluster, job, "State", "-X") == [f"CANCELLED by {os.getuid()}"]


def test_cancelling_what_runs(cluster: Cluster) -> None:
    job = cluster.sbatch("--wrap", FOREVER)
    cluster.wait_state(job, "RUNNING")
    cluster.run("scancel", str(job))
    assert cluster.wait(job).state == "CANCELLED"
    assert accounting(cluster, job, "State", "-X") == [f"CANCELLED by {os.getuid()}"]
    assert f"JOB {job} ON " in cluster.output(job) and "CANCELLED AT" in cluster.output(job)
    again = cluster.run("scancel", str(job))
    assert (again.stdout, again.stderr) == ("", "")


def test_cancelling_one_task_of_an_array(cluster: Cluster) -> None:
    array = cluster.sbatch("--array=1-3", "--wrap", "test $SLURM_ARRAY_TASK_ID != 2 || sleep 600")
    wait_until(lambda: "2" in running_tasks(cluster, array), "task 2 to run")
    cluster.run("scancel", f"{array}_2")
    cluster.wait_all([array])
    assert sorted(accounting(cluster, array, "JobID,State", "-X")) == [
        f"{array}_1|COMPLETED",
        f"{array}_2|CANCELLED by {os.getuid()}",
        f"{array}_3|COMPLETED",
    ]


def test_cancelling_by_name_and_state(cluster: Cluster) -> None:
    named = [cluster.sbatch("--hold", "-J", "these", "--wrap", "true") for _ in range(3)]
    other = cluster.sbatch("--hold", "-J", "that", "--wrap", "true")
    cluster.run("scancel", "-n", "these", "--state=PENDING")
    assert [cluster.state(job) for job in named] == ["CANCELLED"] * 3
    assert cluster.state(other) == "PENDING"


def test_a_signal_that_does_not_end_the_job(cluster: Cluster) -> None:
    script = cluster.script(
        "usr1.sh", 'trap "echo got USR1; exit 5" USR1\necho ready\nwhile :; do sleep 0.05; done'
    )
    job = cluster.sbatch(script)
    wait_until(lambda: "ready" in cluster.said(job), "the trap to be set")
    cluster.run("scancel", "--batch", "--signal=USR1", str(job))
    result = cluster.wait(job)
    assert (result.state, result.exit_code) == ("FAILED", 5)
    assert cluster.output(job) == "ready\ngot USR1\n"


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV"])
def test_the_signal_that_ended_a_job_is_known(cluster: Cluster, name: str) -> None:
    number = {"KILL": 9, "TERM": 15, "SEGV": 11}[name]
    job = cluster.sbatch("--wrap", f"ulimit -c 0; kill -{name} $$")
    result = cluster.wait(job)
    assert (result.state, result.exit_code, result.signal) == ("FAILED", 0, number)
    # Slurm takes a script that was killed for one that could not be launched.
    assert result.reason == "JobLaunchFailure"
    assert accounting(cluster, job, "State,ExitCode", "-X") == [f"FAILED|0:{number}"]


def test_a_job_requeues_itself_and_goes_on(cluster: Cluster) -> None:
    """As submitit, Lightning and TorchX do it: by a child of the batch script whose exit code counts."""
    script = cluster.script(
        "requeue.sh",
        'echo "run ${SLURM_RESTART_COUNT:-0} of $SLURM_JOB_ID"\n'
        'if [ -z "$SLURM_RESTART_COUNT" ]; then\n'
        "  scontrol requeue $SLURM_JOB_ID\n"
        '  echo "scontrol said $?"\n'
        "  exit 255\n"
        "fi",
    )
    job = cluster.sbatch("--open-mode=append", script)
    result = cluster.wait(job)
    assert (result.state, result.exit_code) == ("COMPLETED", 0)
    text = cluster.output(job)
    assert text.startswith(f"run 0 of {job}\nscontrol said 0\n") and text.endswith(f"run 1 of {job}\n"), text
    assert int(cluster.job(job)["restarts"]) == 1
    kinds = [event["kind"] for event in cluster.events(job)]
    assert kinds.count("JobRequeued") == 1 and kinds[-1] == "JobEnded"


def test_a_requeued_job_is_stopped_after_the_answer(cluster: Cluster) -> None:
    script = cluster.script(
        "requeue-wait.sh",
        'test -n "$SLURM_RESTART_COUNT" && exit 0\nscontrol requeue $SLURM_JOB_ID; echo "said $?"\nsleep 600',
    )
    job = cluster.sbatch("--open-mode=append", script)
    result = cluster.wait(job)
    assert (result.state, result.exit_code) == ("COMPLETED", 0)
    assert cluster.output(job).startswith("said 0\n")


@pytest.mark.parametrize("mode", ["truncate", "append", ""])
def test_requeue_from_outside(cluster: Cluster, mode: str) -> None:
    """Without a mode the second run appends: what the first one said is not lost."""
    script = 'echo run ${SLURM_RESTART_COUNT:-0}; test "$SLURM_RESTART_COUNT" || sleep 600'
    job = cluster.sbatch(*([f"--open-mode={mode}"] if mode else []), "--wrap", script)
    wait_until(lambda: "run 0" in cluster.said(job), "the job to run")
    cluster.run("scontrol", "requeue", str(job))
    assert cluster.wait(job).state == "COMPLETED"
    text = cluster.output(job)
    if mode == "truncate":
        assert text == "run 1\n"
    else:
        assert text.startswith("run 0\n") and text.endswith("\nrun 1\n")
        assert f"JOB {job} ON " in text and "DUE TO JOB REQUEUE" in text


def test_a_job_that_forbids_requeueing_is_not_requeued(cluster: Cluster) -> None:
    job = cluster.sbatch("--no-requeue", "--wrap", FOREVER)
    cluster.wait_state(job, "RUNNING")
    cluster.run("scontrol", "requeue", str(job), check=False)
    # The administrator who submitted it may; nobody else. What counts is that the answer is what happens.
    cluster.run("scancel", str(job))
    assert cluster.wait(job).state == "CANCELLED"


def test_changing_a_waiting_job(cluster: Cluster) -> None:
    job = cluster.sbatch("--hold", "-t", "10", "--wrap", "true")
    cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=20", "JobName=renamed", "Comment=why not")
    row = cluster.job(job)
    assert (int(row["time_limit_s"]), row["name"], row["comment"]) == (1200, "renamed", "why not")


def test_shortening_the_limit_of_a_running_job(cluster: Cluster) -> None:
    job = cluster.sbatch("-t", "60", "--wrap", FOREVER)
    cluster.wait_state(job, "RUNNING")
    cluster.run("scontrol", "update", f"JobId={job}", "TimeLimit=0:1")
    assert cluster.wait(job).state == "TIMEOUT"


def running_tasks(cluster: Cluster, array: int) -> list[str]:
    return cluster.text("squeue", "-h", "-t", "R", "-j", str(array), "-o", "%K").split()

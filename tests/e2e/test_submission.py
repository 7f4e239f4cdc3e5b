"""From `sbatch` to the exit code: scripts from files, options and standard input, arguments, arrays."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until


def test_a_script_runs_and_its_exit_code_is_known(cluster: Cluster) -> None:
    script = cluster.script("plain.sh", 'echo "on $(hostname) in $PWD"\necho trouble >&2\nexit 3')
    done = cluster.run("sbatch", script)
    found = re.fullmatch(r"Submitted batch job (\d+)\n", done.stdout)
    assert found and not done.stderr
    job = int(found[1])
    result = cluster.wait(job)
    assert (result.state, result.exit_code, result.signal, result.reason) == (
        "FAILED",
        3,
        0,
        "NonZeroExitCode",
    )
    assert cluster.output(job) == f"on {_host()} in {cluster.work}\ntrouble\n"


def test_parsable_prints_the_bare_id(cluster: Cluster) -> None:
    done = cluster.run("sbatch", "--parsable", "--wrap", "true")
    assert re.fullmatch(r"\d+\n", done.stdout)
    result = cluster.wait(int(done.stdout))
    assert (result.state, result.exit_code, result.reason) == ("COMPLETED", 0, "None")


def test_a_script_on_standard_input(cluster: Cluster) -> None:
    job = cluster.sbatch(input="#!/bin/sh\n#SBATCH --job-name=piped\necho from stdin as $SLURM_JOB_NAME\n")
    assert cluster.wait(job).state == "COMPLETED"
    assert cluster.output(job) == "from stdin as piped\n"


def test_arguments_reach_the_script_as_they_were(cluster: Cluster) -> None:
    script = cluster.script("args.sh", 'for word; do echo "<$word>"; done')
    job = cluster.sbatch("-J", "with-args", script, "one", "two words", "--time=5", "", "$HOME")
    cluster.wait(job)
    assert cluster.output(job).splitlines() == ["<one>", "<two words>", "<--time=5>", "<>", "<$HOME>"]


def test_the_script_that_runs_is_the_one_that_was_submitted(cluster: Cluster) -> None:
    script = cluster.script("edited.sh", "echo first version")
    job = cluster.sbatch("--hold", script)
    cluster.script("edited.sh", "echo second version")
    cluster.run("scontrol", "release", str(job))
    cluster.wait(job)
    assert cluster.output(job) == "first version\n"


def test_options_of_the_line_win_over_those_in_the_script(cluster: Cluster) -> None:
    script = cluster.script(
        "options.sh",
        '#SBATCH -J in-script --time=10   # two on a line\n#SBATCH --comment="x y"\n'
        "echo $SLURM_JOB_NAME\n#SBATCH -J late",
    )
    job = cluster.sbatch("-J", "on-line", script)
    cluster.wait(job)
    row = cluster.job(job)
    assert cluster.output(job) == "on-line\n"
    assert (row["name"], int(row["time_limit_s"]), row["comment"]) == ("on-line", 600, "x y")


def test_wait_gives_the_exit_code_of_the_job(cluster: Cluster) -> None:
    done = cluster.run("sbatch", "--wait", "--wrap", "sleep 0.1; exit 13", check=False)
    assert (done.returncode, done.stdout.split()[:3]) == (13, ["Submitted", "batch", "job"])
    assert cluster.run("sbatch", "--wait", "--array=1-3", "--wrap", "true").returncode == 0


def test_test_only_queues_nothing(cluster: Cluster) -> None:
    before = len(cluster.jobs())
    done = cluster.run("sbatch", "--test-only", "--wrap", "true")
    assert not done.stdout and "to start at" in done.stderr, done.stderr
    code, said = cluster.refused("sbatch", "--test-only", "-c", "99", "--wrap", "true")
    assert code == 1 and said.startswith(("allocation failure", "sbatch: error")), said
    assert len(cluster.jobs()) == before


def test_options_from_the_environment(cluster: Cluster) -> None:
    script = cluster.script("env-options.sh", "#SBATCH -J in-script\necho $SLURM_JOB_NAME")
    variables = {"SBATCH_JOB_NAME": "from-environment", "SBATCH_TIMELIMIT": "7"}
    job = cluster.sbatch(script, variables=variables)
    cluster.wait(job)
    row = cluster.job(job)
    assert (row["name"], int(row["time_limit_s"])) == ("from-environment", 420)


def test_an_array_with_a_limit(cluster: Cluster) -> None:
    ledger = cluster.work / "array-limit"
    script = cluster.script(
        "array.sh",
        f"echo start $SLURM_ARRAY_TASK_ID >> {ledger}\nsleep 0.2\necho end $SLURM_ARRAY_TASK_ID >> {ledger}\n"
        "exit $((SLURM_ARRAY_TASK_ID == 5 ? 9 : 0))",
    )
    array = cluster.sbatch("--array=1-7:2,10%2", script)
    wait_until(ledger.exists, "the first task to start")
    queued = cluster.text("squeue", "-h", "-j", str(array), "-o", "%i %r")
    assert re.search(rf"^{array}_\[[\d,]+%2\] JobArrayTaskLimit$", queued, re.MULTILINE), queued
    (whole,) = cluster.wait_all([array])
    assert (int(whole["nEnded"]), int(whole["nTotal"]), whole["state"]) == (5, 5, "FAILED")
    at_once = most = 0
    for line in ledger.read_text().splitlines():
        at_once += 1 if line.startswith("start") else -1
        most = max(most, at_once)
    assert most == 2
    shown = cluster.text("sacct", "-X", "-n", "-P", "-j", str(array), "-o", "JobID,State,ExitCode").split()
    assert sorted(shown) == sorted(
        f"{array}_{i}|{'FAILED|9:0' if i == 5 else 'COMPLETED|0:0'}" for i in (1, 3, 5, 7, 10)
    )


def test_a_big_array_is_one_row_until_it_starts(cluster: Cluster) -> None:
    array = cluster.sbatch("--hold", "--array=0-99999", "--wrap", "true")
    assert (
        cluster.text("squeue", "-h", "-j", str(array), "-o", "%i %T %r")
        == f"{array}_[0-99999] PENDING JobHeldUser\n"
    )
    cluster.run("scancel", str(array))
    assert cluster.text("squeue", "-h", "-o", "%i") == ""


@pytest.mark.parametrize(
    ("kind", "code", "runs"),
    [
        ("afterok", 0, True),
        ("afterok", 1, False),
        ("afternotok", 1, True),
        ("afternotok", 0, False),
        ("afterany", 1, True),
    ],
)
def test_dependencies(cluster: Cluster, kind: str, code: int, runs: bool) -> None:
    first = cluster.sbatch("--hold", "--wrap", f"exit {code}")
    second = cluster.sbatch("-d", f"{kind}:{first}", "--wrap", "true")
    third = cluster.sbatch("-d", f"{kind}:{first}", "--kill-on-invalid-dep=yes", "--wrap", "true")
    assert cluster.job(second)["reason"] == "Dependency"
    cluster.run("scontrol", "release", str(first))
    assert cluster.wait(first).exit_code == code
    if runs:
        assert cluster.wait(second).state == cluster.wait(third).state == "COMPLETED"
    else:
        wait_until(
            lambda: cluster.job(second)["reason"] == "DependencyNeverSatisfied", "the dependency to fail"
        )
        assert cluster.state(second) == "PENDING"
        assert cluster.wait(third).state == "CANCELLED"


def test_a_chain_runs_in_its_order(cluster: Cluster) -> None:
    ledger = cluster.work / "chain"
    jobs: list[int] = []
    for i in range(4):
        after = ["-d", f"afterok:{jobs[-1]}"] if jobs else []
        jobs.append(cluster.sbatch(*after, "--wrap", f"echo {i} >> {ledger}"))
    cluster.wait_all(jobs)
    assert ledger.read_text().split() == ["0", "1", "2", "3"]


def test_hold_and_release(cluster: Cluster) -> None:
    job = cluster.sbatch("--hold", "--wrap", "true")
    assert (cluster.state(job), cluster.job(job)["reason"]) == ("PENDING", "JobHeldUser")
    cluster.run("scontrol", "release", str(job))
    assert cluster.wait(job).state == "COMPLETED"


def test_a_job_waits_for_its_begin_time(cluster: Cluster) -> None:
    job = cluster.sbatch("--begin=now+2", "--wrap", "true")
    assert (cluster.state(job), cluster.job(job)["reason"]) == ("PENDING", "BeginTime")
    cluster.wait(job)
    row = cluster.job(job)
    assert int(row["start_at"]) - int(row["submit_at"]) >= 1_000_000


def test_the_example_for_slurm_is_granted_what_it_asks(cluster: Cluster, repository: Path) -> None:
    job = cluster.sbatch(repository / "examples/slurm-script/job.sh", cwd=cluster.work)
    assert cluster.wait(job).state == "COMPLETED"
    row = cluster.job(job)
    assert (row["name"], int(row["n_cpus"]), row["mem_per_node"], int(row["time_limit_s"])) == (
        "JobName",
        4,
        "16384",
        11 * 3600,
    )
    assert "CPUs per task: 4, memory per CPU: 4096 MiB\ntime limit: 11:00:00\n" in cluster.output(job)
    shown = cluster.text("scontrol", "show", "job", str(job))
    assert "NumCPUs=4 " in shown and "TimeLimit=11:00:00 " in shown and "mem=16G" in shown


def _host() -> str:
    import platform

    return platform.node()

"""Bad input is refused: the message names the thing, the limit and the way out, and nothing changes."""

from __future__ import annotations

import os

import pytest

from tests.cluster import Cluster

REFUSED: dict[str, tuple[list[str], int, list[str]]] = {
    "more CPUs than a node has": (
        ["-c", "9"],
        1,
        ["9", "8", "Batch job submission failed"],
    ),
    "more memory than a node has": (
        ["--mem=17G"],
        1,
        ["17", "16", "Batch job submission failed"],
    ),
    "more nodes than there are": (["-N", "3"], 1, ["3", "2"]),
    "more tasks than all nodes take": (["-n", "17"], 1, ["17", "16"]),
    "more GPUs than a node has": (["--gres=gpu:3"], 1, ["gpu", "3", "2"]),
    "a device nobody has": (["--gres=fpga:1"], 1, ["fpga"]),
    "a feature nobody has": (["-C", "infiniband"], 1, ["infiniband"]),
    "a node nobody knows": (["-w", "node9"], 1, ["node9"]),
    "an unknown partition": (["-p", "fast"], 1, ['"fast"', "main", "Invalid partition name specified"]),
    "an unknown QOS": (["-q", "gold"], 1, ["gold", "Invalid qos specification"]),
    "an unknown option": (["--frobnicate"], 255, ["unrecognized option '--frobnicate'"]),
    "an unknown short option": (["-Z"], 255, ["invalid option -- 'Z'"]),
    "a malformed time": (["-t", "1:2:3:4"], 255, ["Invalid --time specification"]),
    "a time that is a word": (["-t", "soon"], 255, ["Invalid --time specification"]),
    "a malformed memory": (["--mem=lots"], 255, ["Invalid --mem specification"]),
    "a malformed count": (["-n", "two"], 1, ["two", "ntasks"]),
    "no tasks": (["-n", "0"], 1, ["0", "ntasks"]),
    "a malformed array": (["--array=1-"], 1, ["Invalid job array specification"]),
    "an array over the limit": (["--array=0-1000001"], 1, ["1000001", "Invalid job array specification"]),
    "a malformed dependency": (["-d", "afterok:x"], 1, ["afterok:x"]),
    "a malformed begin": (["--begin=someday"], 255, ["Invalid --begin specification"]),
    "a malformed signal": (["--signal=NOSUCH@10"], 255, ["Invalid --signal specification"]),
    "two kinds of memory": (["--mem=1G", "--mem-per-cpu=1G"], 1, ["mutually exclusive"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_sbatch_refuses(cluster: Cluster, case: str) -> None:
    options, code, words = REFUSED[case]
    before = _counts(cluster)
    found, said = cluster.refused("sbatch", *options, "--wrap", "true")
    assert (found, [word for word in words if word not in said]) == (code, []), said
    assert "sbatch: " in said and "Traceback" not in said, said
    assert _counts(cluster) == before


SCRIPTS: dict[str, tuple[str, int, list[str]]] = {
    "an empty script": ("", 1, ["Batch script is empty!"]),
    "no first line": ("echo hello\n", 1, ["must start with #!"]),
    "DOS line ends": ("#!/bin/sh\r\ntrue\r\n", 1, ["DOS line breaks"]),
    "an unknown directive": ("#!/bin/sh\n#SBATCH --no-such-thing\ntrue\n", 255, ["--no-such-thing"]),
    "over one MiB": ("#!/bin/sh\n" + "#" * (1 << 20) + "\n", 1, ["1048576 bytes", "1 MiB"]),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_sbatch_refuses_scripts(cluster: Cluster, case: str) -> None:
    text, code, words = SCRIPTS[case]
    before = _counts(cluster)
    (cluster.work / "bad.sh").write_text(text, newline="")
    for more in ({}, {"input": text}):
        found, said = cluster.refused("sbatch", *([] if more else ["bad.sh"]), **more)
        assert (found, [word for word in words if word not in said]) == (code, []), said
    assert _counts(cluster) == before


def test_a_script_that_is_not_there(cluster: Cluster) -> None:
    code, said = cluster.refused("sbatch", "no-such-file.sh")
    assert (code, said) == (1, "sbatch: error: Unable to open file no-such-file.sh\n")


def test_a_script_of_just_one_mib_is_taken(cluster: Cluster) -> None:
    head, tail = "#!/bin/sh\n", "\necho whole\n"
    (cluster.work / "big.sh").write_text(head + "#" * ((1 << 20) - len(head) - len(tail)) + tail)
    job = cluster.sbatch("big.sh")
    assert cluster.wait(job).state == "COMPLETED"
    assert cluster.output(job) == "whole\n"


OTHERS: dict[str, tuple[list[str], int, list[str]]] = {
    "squeue, an unknown job": (["squeue", "-j", "999999"], 1, ["Invalid job id specified"]),
    "squeue, an unknown option": (["squeue", "--frobnicate"], 1, ["unrecognized option"]),
    "sacct, a count for an option": (["sacct", "-1"], 1, ["invalid option -- '1'"]),
    "scancel, nothing": (["scancel"], 1, []),
    "scancel, no number": (["scancel", "abc"], 1, ["Invalid job id abc"]),
    "scontrol, an unknown job": (["scontrol", "show", "job", "999999"], 1, ["Invalid job id specified"]),
    "scontrol, an unknown node": (["scontrol", "show", "node", "node9"], 1, ["node9 not found"]),
    "scontrol, requeue of nothing": (["scontrol", "requeue", "999999"], 1, ["Invalid job id specified"]),
    "drain without a reason": (
        ["scontrol", "update", "NodeName=node1", "State=DRAIN"],
        1,
        ["You must specify a reason when DOWNING or DRAINING a node"],
    ),
    "packhorse, a job that is a word": (["packhorse", "events", "seven"], 1, ['"seven" is not a job']),
    "packhorse, an unknown job": (["packhorse", "wait", "999999"], 1, ["999999"]),
}


@pytest.mark.parametrize("case", OTHERS)
def test_the_other_commands_refuse(cluster: Cluster, case: str) -> None:
    words, code, expected = OTHERS[case]
    done = cluster.run(*words, check=False)
    said = done.stdout + done.stderr
    assert (done.returncode, [word for word in expected if word not in said]) == (code, []), said
    assert "Traceback" not in said


def test_without_a_scheduler_the_way_out_is_told(cluster: Cluster) -> None:
    code, said = cluster.refused("sbatch", "--wrap", "true", variables={"PACKHORSE_HOME": "/tmp/nobody-home"})
    assert code == 1 and "packhorse up" in said and len(said.splitlines()) == 1


@pytest.mark.needs_other_user
def test_another_users_job_is_not_ones_own(cluster: Cluster) -> None:
    job = cluster.sbatch("--hold", "--wrap", "true")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    code, said = cluster.refused(*nobody, "scancel", str(job))
    assert (code, "Access/permission denied" in said) == (210, True), said
    code, said = cluster.refused(*nobody, "scontrol", "release", str(job))
    assert code == 1 and "Invalid user id" in said, said
    code, said = cluster.refused(*nobody, "scontrol", "update", "NodeName=node1", "State=DRAIN", "Reason=x")
    assert code == 1 and "denied" in said
    assert cluster.state(job) == "PENDING"
    assert os.geteuid() == 0


def _counts(cluster: Cluster) -> list[int]:
    return sorted(int(row["job_id"]) for row in cluster.jobs(fields=["job_id"]))

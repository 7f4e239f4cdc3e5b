"""srun --mpi=pmi2: tasks of one step on two nodes find each other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cluster import Cluster, wait_until
from tests.e2e.test_steps import srun

PROGRAM = str(Path(__file__).parent.parent / "pmi_program.py")


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(
    ("distribution", "mapping"),
    [("block", "(vector,(0,2,8))"), ("cyclic", "(vector,(0,2,1))")],
)
def test_sixteen_ranks_on_two_nodes(cluster: Cluster, version: str, distribution: str, mapping: str) -> None:
    code, out, err = srun(
        cluster, "--mpi=pmi2", "-N2", "-n16", "-m", distribution, sys.executable, PROGRAM, version
    )
    assert (code, err) == (0, "")
    lines = sorted(out.splitlines(), key=lambda line: int(line.split()[0]))
    assert lines == [f"{rank} 16 {mapping} node1,node2" for rank in range(16)]


def test_one_node(cluster: Cluster) -> None:
    code, out, err = srun(cluster, "--mpi=pmi2", "-N1", "-n3", sys.executable, PROGRAM, "2")
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == [f"{rank} 3 (vector,(0,1,3)) node1" for rank in range(3)]


def test_abort_ends_the_step_with_its_code(cluster: Cluster) -> None:
    code, _, err = srun(cluster, "--mpi=pmi2", "-N2", "-n4", sys.executable, PROGRAM, "1", "abort", "7")
    assert code == 7
    assert "packhorse-node1: error: task 1 aborted the step with code 7\n" in err
    step = ("sacct", "-nP", "-o", "jobid,exitcode", "-S", "now-60")
    wait_until(lambda: cluster.text(*step).splitlines()[-1].endswith(".0|7:0"), "the step's code to be known")


@pytest.mark.parametrize("n", [2, 4])
def test_a_task_that_dies_before_a_fence_ends_the_step(cluster: Cluster, n: int) -> None:
    """On the same node as one that waits, and alone on its own."""
    code, _, err = srun(cluster, "--mpi=pmi2", "-N2", f"-n{n}", sys.executable, PROGRAM, "2", "die")
    assert code == 1
    assert "without coming to the PMI fence that" in err


def test_without_it_tasks_are_told_nothing(cluster: Cluster) -> None:
    """Not even what the task that starts them is told."""
    inner = "env | grep ^PMI; srun --overlap -n1 sh -c 'env | grep ^PMI; echo $?'"
    code, out, err = srun(cluster, "--mpi=pmi2", "-n1", "sh", "-c", inner)
    assert (code, err) == (0, "")
    told = out.splitlines()
    assert sorted(word.partition("=")[0] for word in told[:-1]) == [
        "PMI_FD",
        "PMI_JOBID",
        "PMI_RANK",
        "PMI_SIZE",
    ]
    assert told[-1] == "1"


def test_programs_that_are_no_mpi_run_all_the_same(cluster: Cluster) -> None:
    code, out, err = srun(cluster, "--mpi=pmi2", "-N2", "-n4", "sh", "-c", "echo $PMI_RANK")
    assert (code, sorted(out.split()), err) == (0, ["0", "1", "2", "3"], "")


def test_pmix_is_refused_by_name(cluster: Cluster) -> None:
    code, _, err = srun(cluster, "--mpi=pmix_v3", "-n1", "true")
    assert code == 1
    assert err.startswith(
        "srun: error: option --mpi=pmix_v3 is not supported by Packhorse: programs of Open MPI"
    )
    assert srun(cluster, "--mpi=list")[1] == "MPI plugin types are...\n\tnone\n\tpmi2\n"

"""Real MPI programs over two nodes: Debian's MPICH under srun and its own mpiexec, Open MPI under its mpirun.

They are skipped where neither is installed; `make test-mpi` unpacks both.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests import mpi_toolkits
from tests.cluster import Cluster
from tests.e2e.test_steps import srun
from tests.mpi_toolkits import HERE, Toolkit

EXAMPLES = HERE / "examples" / "mpi"
RING = EXAMPLES / "ring.c"

TOKENS = {4: 8, 16: 2**15 % 10007}


def the(name: str, find: Callable[[], Toolkit | None]) -> Toolkit:
    """Skips the test where there is none."""
    toolkit = find()
    if toolkit is None:
        pytest.skip(f"no {name} here: make test-mpi unpacks Debian's")
    return toolkit


@pytest.fixture
def mpich() -> Toolkit:
    return the("MPICH", mpi_toolkits.mpich)


@pytest.fixture
def openmpi() -> Toolkit:
    return the("Open MPI", mpi_toolkits.openmpi)


def passed_around(lines: list[str], n: int) -> set[str]:
    """Checks what the ranks of ring.c say; the nodes that they ran on."""
    told = {}
    for line in lines:
        what, _, node = line.partition(", on ")
        told[what] = node
    token, total = TOKENS[n], n * (n - 1) // 2
    expected = [
        f"rank {rank} of {n}: token {2**rank % 10007 if rank else token}, sum {total}" for rank in range(n)
    ]
    assert sorted(told) == sorted(expected)
    return set(told.values())


@pytest.mark.parametrize("distribution", ["block", "cyclic"])
@pytest.mark.parametrize("n", [4, 16])
def test_mpich_under_srun(cluster: Cluster, mpich: Toolkit, n: int, distribution: str) -> None:
    program = mpich.build(RING, cluster.work / "ring.mpich")
    code, out, err = srun(
        cluster, "--mpi=pmi2", "-N2", f"-n{n}", "-m", distribution, program, **mpich.variables
    )
    assert (code, err) == (0, "")
    assert passed_around(out.splitlines(), n) == {"node1", "node2"}


def test_mpich_aborts(cluster: Cluster, mpich: Toolkit) -> None:
    program = mpich.build(RING, cluster.work / "ring.mpich")
    code, _, err = srun(cluster, "--mpi=pmi2", "-N2", "-n4", program, "9", **mpich.variables)
    assert code == 9
    assert "aborted the step with code 9" in err


def test_mpich_under_its_own_launcher(cluster: Cluster, mpich: Toolkit) -> None:
    """mpiexec starts its proxies by srun."""
    program = mpich.build(RING, cluster.work / "ring.mpich")
    done = cluster.run("salloc", "-N2", "-n4", mpich.mpirun, "-n", "4", program, variables=mpich.variables)
    assert len(passed_around(done.stdout.splitlines(), 4)) == 2


@pytest.mark.parametrize("n", [[], ["-n", "4"]])
def test_open_mpi_in_salloc(cluster: Cluster, openmpi: Toolkit, n: list[str]) -> None:
    """mpirun starts its daemons by srun."""
    program = openmpi.build(RING, cluster.work / "ring.openmpi")
    done = cluster.run("salloc", "-N2", "-n4", openmpi.mpirun, *n, program, variables=openmpi.variables)
    assert len(passed_around(done.stdout.splitlines(), 4)) == 2


@pytest.mark.parametrize("kind", ["mpich", "openmpi"])
def test_the_examples_scripts(cluster: Cluster, kind: str, request: pytest.FixtureRequest) -> None:
    toolkit: Toolkit = request.getfixturevalue(kind)
    tools = cluster.work / f"tools-{kind}"
    tools.mkdir(exist_ok=True)
    compiler = " ".join(toolkit.compile).replace("PROGRAM", f"ring.{kind}").replace("SOURCE", '"${@: -1}"')
    for name, command in ((f"mpicc.{kind}", compiler), (f"mpirun.{kind}", f'{toolkit.mpirun} "$@"')):
        (tools / name).write_text(f"#!/bin/bash\nexec {command}\n")
        (tools / name).chmod(0o755)
    script = cluster.work / f"{kind}.sh"
    shutil.copy(EXAMPLES / f"{kind}.sh", script)
    variables = toolkit.variables | {"PATH": f"{tools}:{cluster.env['PATH']}", "SRC": str(EXAMPLES)}
    cluster.run("sbatch", "--wait", script, variables=variables)
    lines = [line for line in (cluster.work / f"ring-{kind}.out").read_text().splitlines() if "token" in line]
    assert len(passed_around([line[line.index("rank ") :] for line in lines], 4)) == 2


CLIENT = """
import ctypes, os
l, i = ctypes.CDLL(os.environ["LIBPMI2"]), ctypes.c_int
spawned, size, rank, appnum, n = i(), i(), i(), i(), i()
text, left, right = (ctypes.create_string_buffer(1024) for _ in range(3))
assert l.PMI2_Init(*map(ctypes.byref, (spawned, size, rank, appnum))) == 0
r = rank.value
assert l.PMI2_Job_GetId(text, 1024) == 0
job = text.value
assert l.PMI2_KVS_Put(b"k%d" % r, b"v;%d;;x" % r) == 0
assert l.PMI2_KVS_Fence() == 0
assert l.PMI2_KVS_Get(job, -1, b"k%d" % ((r + 1) % size.value), text, 1024, ctypes.byref(n)) == 0
value = text.value.decode()
assert l.PMIX_Ring(b"ring%d" % r, ctypes.byref(i()), ctypes.byref(i()), left, right, 1024) == 0
if os.environ["SLURM_LOCALID"] == "0":
    assert l.PMI2_Info_PutNodeAttr(b"here", os.environ["SLURMD_NODENAME"].encode()) == 0
assert l.PMI2_Info_GetNodeAttr(b"here", text, 1024, ctypes.byref(n), 1) == 0
print(r, size.value, value, left.value.decode(), right.value.decode(), text.value.decode(), flush=True)
assert l.PMI2_Finalize() == 0
"""


def test_slurms_own_client_of_pmi_2(cluster: Cluster) -> None:
    library = mpi_toolkits.slurms_pmi2()
    if library is None:
        pytest.skip("no libpmi2 here: make test-mpi unpacks Debian's")
    code, out, err = srun(cluster, "--mpi=pmi2", "-N2", "-n4", "python3", "-c", CLIENT, LIBPMI2=str(library))
    assert (code, err) == (0, "")
    assert sorted(out.splitlines()) == [
        f"{rank} 4 v;{(rank + 1) % 4};;x ring{(rank + 3) % 4} ring{(rank + 1) % 4} node{rank // 2 + 1}"
        for rank in range(4)
    ]

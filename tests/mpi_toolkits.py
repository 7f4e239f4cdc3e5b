"""The MPIs that are on this machine: Debian's, installed, or unpacked by `make test-mpi` into build/mpi."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent.parent
UNPACKED = Path(os.environ.get("MPI_UNPACKED") or HERE / "build" / "mpi")


@dataclass(frozen=True)
class Toolkit:
    """How to compile and start a program. mpirun: its own launcher."""

    compile: list[str]
    mpirun: str
    variables: dict[str, str] = field(default_factory=dict)

    def build(self, source: Path, program: Path) -> str:
        """The path of the program. Raises CalledProcessError."""
        command = [
            word.replace("SOURCE", str(source)).replace("PROGRAM", str(program)) for word in self.compile
        ]
        subprocess.run(command, check=True, capture_output=True, text=True)
        return str(program)


def mpich() -> Toolkit | None:
    """None where there is none."""
    if compiler := shutil.which("mpicc.mpich"):
        return Toolkit(
            [compiler, "-o", "PROGRAM", "SOURCE"], shutil.which("mpiexec.hydra") or "mpiexec.mpich"
        )
    if (lib := _unpacked("libmpich.so")) is None:
        return None
    include = f"-I{UNPACKED}/usr/include/{lib.name}/mpich"
    compile = ["gcc", include, "-o", "PROGRAM", "SOURCE", f"-L{lib}", "-lmpich", _LOOSE]
    return Toolkit(compile, f"{UNPACKED}/usr/bin/mpiexec.hydra", _libraries(lib))


def openmpi() -> Toolkit | None:
    """None where there is none.

    Two nodes on one machine are two hosts to it with the same files in /dev/shm, so it has to use TCP.
    """
    variables = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_btl": "tcp,self",
        "OMPI_MCA_pml": "ob1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
    }
    if compiler := shutil.which("mpicc.openmpi"):
        mpirun = shutil.which("mpirun.openmpi") or "mpirun"
        return Toolkit([compiler, "-o", "PROGRAM", "SOURCE"], mpirun, variables)
    if (lib := _unpacked("libmpi.so.40")) is None:
        return None
    home = lib / "openmpi"
    compile = [
        "gcc",
        f"-I{home}/include",
        "-o",
        "PROGRAM",
        "SOURCE",
        f"-L{home}/lib",
        f"-L{lib}",
        "-lmpi",
        _LOOSE,
    ]
    variables |= {
        "OPAL_BINDIR": f"{UNPACKED}/usr/bin",
        "OPAL_LIBDIR": f"{home}/lib",
        "OPAL_PKGDATADIR": f"{UNPACKED}/usr/share/openmpi",
        "OPAL_PREFIX": str(home),
        "OMPI_MCA_mca_base_component_path": f"{home}/lib/openmpi3",
        "OMPI_MCA_orte_launch_agent": f"{UNPACKED}/usr/bin/orted",
    }
    return Toolkit(compile, f"{UNPACKED}/usr/bin/mpirun.openmpi", variables | _libraries(lib))


def slurms_pmi2() -> Path | None:
    """Slurm's own client library for PMI-2."""
    for lib in (*UNPACKED.glob("usr/lib/*"), *Path("/usr/lib").glob("*-linux-gnu")):
        if (lib / "libpmi2.so.0").exists():
            return lib / "libpmi2.so.0"
    return None


_LOOSE = "-Wl,--allow-shlib-undefined"


def _unpacked(library: str) -> Path | None:
    """The folder that holds it."""
    return next((path.parent for path in UNPACKED.glob(f"usr/lib/*/{library}")), None)


def _libraries(lib: Path) -> dict[str, str]:
    folders = [lib, lib / "pmix2" / "lib", UNPACKED / "usr/lib/libpsm1", UNPACKED / "lib" / lib.name]
    return {"LD_LIBRARY_PATH": ":".join(map(str, folders))}

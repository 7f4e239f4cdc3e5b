"""The wheel, which is what people get: complete, able to stand alone, and thin without extras."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

from packhorse.cli.start import COMMANDS

MAPPED = {
    "packhorse/scheduler": "scheduler",
    "packhorse/agent": "agent",
    "packhorse/cli": "cli",
    "packhorse/client": "cli/client",
    "packhorse/simulator": "benchmarks/simulator",
    "packhorse/v1": "proto/packhorse/v1",
    "packhorse/examples": "examples",
}
SLURM_COMMANDS = COMMANDS
# Only the extras bring these; agent, commands and client have to do without.
NOT_IN_A_THIN_INSTALL = [
    *(
        "numpy",
        "ortools",
        "pandas",
        "aiohttp",
        "sqlite_utils",
        "prometheus_client",
        "joserfc",
        "cryptography",
    ),
    *("grpc_health", "grpc_reflection", "sklearn", "scipy", "matplotlib", "joblib"),
]

SLOW_TO_LOAD = [
    *(
        "argparse",
        "asyncio",
        "dataclasses",
        "enum",
        "http.client",
        "json",
        "pathlib",
        "re",
        "socket",
        "subprocess",
    ),
    *("typing", "urllib", "grpc", "google", "msgspec", "structlog", "psutil"),
]


def run(*command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command with nothing of this process' Python in its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, cwd=cwd, env=kept | variables, capture_output=True, text=True, timeout=120)


def files_below(folder: Path) -> set[str]:
    """Files of a mapped folder as a user should get them, relative to it."""
    skipped = {"__pycache__", "results", "ruff.toml"}
    inner = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {
        path.as_posix()
        for path in inner
        if not any(part in skipped or part.startswith(".") for part in path.parts)
    }


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that no earlier build's leftovers can fill a gap."""
    source = tmp_path_factory.mktemp("source")
    leave = shutil.ignore_patterns("__pycache__", "results", ".*")
    for folder in MAPPED.values():
        if folder != "cli/client":
            shutil.copytree(repository / folder, source / folder, ignore=leave)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "wheel",
        "-q",
        "--no-deps",
        "--no-index",
    ]
    built = run(*pip, "--no-build-isolation", "--wheel-dir", "dist", ".", cwd=source)
    assert built.returncode == 0, built.stderr
    (found,) = (source / "dist").glob("packhorse-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment's bin folder: the wheel in it, and behind it the libraries these tests run with."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, with_pip=False, symlinks=True)
    bin_ = home / "bin"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(bin_ / "python")]
    done = run(*pip, "install", "-q", "--no-deps", "--no-index", "--no-compile", wheel, cwd=home)
    assert done.returncode == 0, done.stderr
    (site,) = home.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return bin_


def test_wheel_holds_every_file_of_every_package(repository: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        outside = (".dist-info/", ".data/scripts/")
        held = {name for name in archive.namelist() if not any(part in name for part in outside)}
    wanted = {
        f"{package}/{name}"
        for package, folder in MAPPED.items()
        for name in files_below(repository / folder)
        if not (package == "packhorse/cli" and name.startswith("client/"))
    }
    assert held == wanted


def test_folders_with_modules_are_packages(repository: Path) -> None:
    """A folder without __init__.py would travel as data, and import in the checkout only."""
    missing = [
        path.parent.relative_to(repository).as_posix()
        for package, folder in MAPPED.items()
        if package != "packhorse/examples"
        for path in (repository / folder).rglob("*.py")
        if "__pycache__" not in path.parts and not (path.parent / "__init__.py").exists()
    ]
    assert missing == []


def test_scripts_name_modules_that_exist(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
        (entry_points,) = (name for name in held if name.endswith("entry_points.txt"))
        scripts = ConfigParser()
        scripts.read_string(archive.read(entry_points).decode())
    assert set(scripts["console_scripts"]) == {"packhorse", "packhorse-slurm"}
    modules = [target.split(":")[0].replace(".", "/") for target in scripts["console_scripts"].values()]
    modules += [f"packhorse/cli/slurm/{name}" for name in SLURM_COMMANDS]
    assert [module for module in modules if f"{module}.py" not in held] == []
    launchers = {name.rpartition("/")[2] for name in held if ".data/scripts/" in name}
    assert launchers == set(SLURM_COMMANDS)


def test_installed_packages_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    names = [package.replace("/", ".") for package in MAPPED if package != "packhorse/examples"]
    script = f"import importlib; [print(importlib.import_module(name).__file__) for name in {names}]"
    seen = run(installed / "python", "-c", script, cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    places = seen.stdout.split()
    assert len(places) == len(names)
    assert [place for place in places if not place.startswith(str(installed.parent))] == []


@pytest.mark.parametrize("command", SLURM_COMMANDS)
def test_slurm_commands_tell_their_version(installed: Path, tmp_path: Path, command: str) -> None:
    told = run(installed / command, "--version", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("slurm "), "clients take the second word of `slurm 22.05.8`"


@pytest.mark.parametrize("command", SLURM_COMMANDS)
def test_slurm_commands_start_light(installed: Path, tmp_path: Path, command: str) -> None:
    """Without the modules that take longer to load than such a command runs: `re` is 5 ms, `socket` 7."""
    script = f"import sys, packhorse.cli.slurm.{command}; print(*sys.modules)"
    seen = run(installed / "python", "-c", script, cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    assert set(seen.stdout.split()) & set(SLOW_TO_LOAD) == set()


AS_TYPED = (
    "sbatch --wrap true",
    "srun true",
    "salloc true",
    "squeue",
    "squeue -o %i -S M --start",
    "scancel 1",
    "sinfo -N",
    "sacct",
    "sstat -j 1",
    "seff 1",
    "sdiag",
    "scrontab -l",
    "strigger --get",
    "sprio",
    "sshare",
    "scontrol show job 1",
    "scontrol show node",
    "sacctmgr show user",
)
"""Up to the first call: what a command needs for its own table is loaded by then. sreport takes `typing`, for
reports that take longer than that."""


@pytest.mark.parametrize("line", AS_TYPED)
def test_slurm_commands_load_nothing_slow_on_their_way(installed: Path, tmp_path: Path, line: str) -> None:
    words = line.split()
    script = f"""
import os, sys
os._exit = sys.exit  # srun ends with it
sys.argv = {words}
from packhorse.cli.slurm.{words[0]} import main
try:
    code = main()
except SystemExit as ended:
    code = ended.code
print(code, *sys.modules)
"""
    seen = run(installed / "python", "-c", script, cwd=tmp_path, PACKHORSE_HOME=str(tmp_path))
    assert "no scheduler is running at" in seen.stderr, seen.stderr
    code, *modules = seen.stdout.split()
    assert code == "1"
    assert set(modules) & set(SLOW_TO_LOAD) == set()


PRINT_FLAGS = """
import sys
def main():
    print(sys.flags.isolated, sys.flags.no_site, sys.executable, *sys.argv)
    print(*(name for name in sys.modules if name == "site"))
    return 7
"""


@pytest.fixture
def probe(installed: Path, tmp_path: Path) -> Path:
    """A copy of the launchers and of the package, in which squeue tells how it was started."""
    (site,) = installed.parent.glob("lib/python*/site-packages")
    home = tmp_path / "env"
    own = home / "lib" / site.parent.name / "site-packages/packhorse"
    shutil.copytree(site / "packhorse/cli", own / "cli")
    (own / "cli/slurm/squeue.py").write_text(PRINT_FLAGS)
    shutil.copytree(installed, home / "bin", symlinks=True)
    shutil.copy(installed.parent / "pyvenv.cfg", home)
    return home / "bin"


def test_launchers_start_the_interpreter_without_what_a_command_does_not_need(
    probe: Path, tmp_path: Path
) -> None:
    told = run(probe / "squeue", "-u", "a b", "", cwd=tmp_path, PYTHONPATH="/nowhere")
    assert (told.returncode, told.stderr) == (7, "")
    assert told.stdout == f"1 1 {probe / 'python3'} {probe / 'squeue'} -u a b \n\n"


def test_launchers_work_through_links(probe: Path, tmp_path: Path) -> None:
    """As pipx and uv put them on PATH: absolute, relative, and a link to a link."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there/one").symlink_to(probe / "squeue")
    (tmp_path / "two").symlink_to("there/one")
    for place in ("there/one", "two"):
        told = run(tmp_path / place, cwd=tmp_path)
        assert (told.returncode, told.stderr) == (7, ""), place
        assert told.stdout.startswith("1 1 "), place


@pytest.mark.parametrize("beside", ["no interpreter", "another one"])
def test_launchers_elsewhere_ask_the_console_script(probe: Path, tmp_path: Path, beside: str) -> None:
    """Where the interpreter beside them is not that of the package, as below /usr/local of some systems."""
    (probe.parent / "lib").rename(probe.parent / "other")
    if beside == "no interpreter":
        (probe / "python3").unlink()
    (probe / "packhorse-slurm").write_text('#!/bin/sh\necho "$@"\nexit 5\n')
    told = run(probe / "squeue", "-u", "a", cwd=tmp_path)
    assert (told.returncode, told.stdout, told.stderr) == (5, "squeue -u a\n", "")


def test_launchers_find_what_pth_files_add(installed: Path, tmp_path: Path) -> None:
    """sreport needs msgspec, which lies where only `site` would look: this environment's libraries.pth."""
    told = run(installed / "sreport", "cluster", "utilization", cwd=tmp_path, PACKHORSE_HOME=str(tmp_path))
    assert told.returncode == 1
    assert told.stderr.startswith("sreport: error: no scheduler is running at "), told.stderr


def test_output_that_cannot_be_written_is_one_line(installed: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [installed / "squeue", "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert told.returncode == 1
    assert told.stderr == "squeue: error: cannot write the output: No space left on device\n"


def test_commands_by_the_console_script(installed: Path, tmp_path: Path) -> None:
    told = run(installed / "packhorse-slurm", "squeue", "--version", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("slurm ")
    refused = run(installed / "packhorse-slurm", "squiggle", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("packhorse-slurm: error: name a command to run: sbatch srun ")


def test_packhorse_tells_the_version_of_the_wheel(installed: Path, wheel: Path, tmp_path: Path) -> None:
    told = run(installed / "packhorse", "version", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert wheel.name.split("-")[1] in told.stdout


def test_thin_install_imports_agent_commands_and_client(installed: Path, tmp_path: Path) -> None:
    """Every module of the three, with the extras' libraries made unimportable."""
    script = f"""
import importlib, pkgutil, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_IN_A_THIN_INSTALL}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
for top in ("packhorse.agent", "packhorse.cli", "packhorse.client", "packhorse.scheduler.model"):
    package = importlib.import_module(top)
    print(top)
    for module in pkgutil.walk_packages(package.__path__, top + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""
    seen = run(installed / "python", "-c", script, cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    assert len(seen.stdout.split()) > 10


def test_example_travels_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = (
        "from importlib.resources import files;"
        "print(*sorted(p.name for p in (files('packhorse.examples') / 'digits').iterdir() if p.is_file()))"
    )
    seen = run(installed / "python", "-c", script, cwd=tmp_path)
    held = ["README.md", "collect.py", "collect.sh", "grid.py", "submit.sh", "train.py", "train.sh"]
    assert seen.stdout.split() == held

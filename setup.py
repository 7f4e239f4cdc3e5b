"""Which folder of this repository is which package: read from the disk, so that no list can fall behind.

The top-level folders install as one namespace, `packhorse.*`. setuptools cannot search through such a
mapping, so the search is here: a mapped folder is a package, so is every folder with an `__init__.py`
below it, and all other files found there travel with the package they lie in. The Slurm-style commands get
launchers of their own, written here from one text.
"""

import runpy
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent

MAPPED = {
    "packhorse.scheduler": "scheduler",
    "packhorse.agent": "agent",
    "packhorse.cli": "cli",
    "packhorse.client": "cli/client",
    "packhorse.simulator": "benchmarks/simulator",
    "packhorse.v1": "proto/packhorse/v1",
    "packhorse.examples": "examples",
}


def is_package(folder: Path) -> bool:
    """Folders of examples count, modules or not: setuptools takes all that could be imported for one."""
    place = folder.relative_to(HERE)
    inside = place.parts[0] == "examples" and folder.name.isidentifier() and folder.name != "__pycache__"
    return inside or (folder / "__init__.py").exists() or place.as_posix() in MAPPED.values()


def packages_in(name: str, folder: Path) -> dict[str, Path]:
    """The package `name` in `folder` and those below it, without folders that are mapped elsewhere."""
    found = {name: folder}
    for inner in sorted(folder.iterdir()):
        if inner.is_dir() and is_package(inner) and inner.relative_to(HERE).as_posix() not in MAPPED.values():
            found |= packages_in(f"{name}.{inner.name}", inner)
    return found


def data_in(folder: Path, of_package: bool = True) -> list[str]:
    """Files in `folder`, relative to it, that are no modules of the package, byte code or hidden."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__pycache__")) or path.name in ("ruff.toml", "results"):
            continue
        if path.is_dir():
            found += [] if is_package(path) else [f"{path.name}/{inner}" for inner in data_in(path, False)]
        elif not (of_package and path.suffix == ".py"):
            found.append(path.name)
    return found


def launchers() -> list[str]:
    """The scripts of the Slurm-style commands, relative to this folder, as setuptools wants them."""
    text = (HERE / "cli/launcher").read_text()
    folder = HERE / "build/launchers"
    folder.mkdir(parents=True, exist_ok=True)
    names: tuple[str, ...] = runpy.run_path(str(HERE / "cli/start.py"))["COMMANDS"]
    for name in names:
        (folder / name).write_text(text.replace("NAME", name))
        (folder / name).chmod(0o755)
    return [f"build/launchers/{name}" for name in names]


folders = {name: path for root, at in MAPPED.items() for name, path in packages_in(root, HERE / at).items()}
setup(
    packages=list(folders),
    package_dir={name: path.relative_to(HERE).as_posix() for name, path in folders.items()},
    package_data={name: data_in(path) for name, path in folders.items()},
    scripts=launchers(),
)

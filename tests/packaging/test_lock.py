"""The lock files: complete for what pyproject.toml asks for, hashed, and free of any place to fetch from."""

import re
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = {"lock/run.txt": "all", "lock/dev.txt": "dev"}


def locked(path: Path) -> list[tuple[Requirement, int]]:
    """Requirements of a lock file, each with the number of its hashes."""
    blocks = path.read_text().replace("\\\n", " ").splitlines()
    return [(Requirement(block.split("--hash=")[0]), block.count("--hash=sha256:")) for block in blocks]


def asked_for(repository: Path, extra: str) -> list[Requirement]:
    """What the project and one of its extras require, extras within extras resolved."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    found, waiting = [], [*project["dependencies"], f"packhorse[{extra}]"]
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name == "packhorse":
            for inner in requirement.extras:
                waiting += project["optional-dependencies"][inner]
        else:
            found.append(requirement)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_lock_covers_what_is_asked_for(repository: Path, name: str) -> None:
    """Fails when pyproject.toml was changed without `make lock`."""
    versions: dict[str, set[str]] = {}
    for requirement, _ in locked(repository / name):
        (specifier,) = requirement.specifier
        versions.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    unmet = [
        str(requirement)
        for requirement in asked_for(repository, LOCKS[name])
        if not (there := versions.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in there)
    ]
    assert unmet == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_is_pinned_and_hashed_and_names_no_place(repository: Path, name: str) -> None:
    entries = locked(repository / name)
    assert len(entries) > 30
    loose = [
        str(r) for r, hashes in entries if not hashes or r.url or [s.operator for s in r.specifier] != ["=="]
    ]
    assert loose == []
    text = (repository / name).read_text()
    assert re.findall(r"^\s*(?:-i|-f|-e|--(?!hash=)\S+)|\S*://\S*", text, re.MULTILINE) == []


def test_what_runs_is_what_is_tested(repository: Path) -> None:
    """dev.txt has every pin of run.txt, so that an environment may be grown from one to the other."""
    run, dev = ({str(requirement) for requirement, _ in locked(repository / name)} for name in LOCKS)
    assert run <= dev


def test_vendored_pip_is_the_one_described(repository: Path) -> None:
    (wheel,) = (repository / "third_party/pip").glob("*.whl")
    described = (repository / "third_party/README.md").read_text()
    assert wheel.name in described
    assert sha256(wheel.read_bytes()).hexdigest() in described

"""Policies of other packages, by entry point: the example's, and broken ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.scheduler.core.packing import policies
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.plugins import known_policies, require_policy
from tests.core.placement.yard import Yard, gres

EXAMPLE = Path(__file__).parents[3] / "examples" / "policy"


def install(site: Path, points: str) -> None:
    """What pip leaves behind: the package, and its entry points."""
    shutil.copytree(EXAMPLE / "packhorse_leave_gpus", site / "packhorse_leave_gpus")
    info = site / "packhorse_leave_gpus-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: packhorse-leave-gpus\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[packhorse.policies]\n{points}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = dict(policies.POLICIES)
    yield tmp_path
    policies.POLICIES.clear()
    policies.POLICIES.update(before)


def test_the_example_as_its_own_pyproject_announces_it_places_jobs(site: Path) -> None:
    assert 'leave-gpus = "packhorse_leave_gpus:POLICY"' in (EXAMPLE / "pyproject.toml").read_text()
    install(site, "leave-gpus = packhorse_leave_gpus:POLICY")
    assert "leave-gpus" in known_policies()
    assert require_policy("leave-gpus") is require_policy("leave-gpus")
    yard = Yard(policy="leave-gpus")
    yard.node("n1", gpus="gpu:4")
    yard.node("n2", gpus="gpu:1")
    yard.node("n3")
    yard.wait(1)
    yard.wait(2, gres_per_node=gres("gpu:1"))
    yard.wait(3, gres_per_node=gres("gpu:1"))
    assert yard.cycle() == {1: "n3", 2: "n2", 3: "n1"}


def test_a_name_that_nobody_announces(site: Path) -> None:
    with pytest.raises(BadValue, match=r'policy "thirstiest" is not known; there are .*tightest'):
        require_policy("thirstiest")


@pytest.mark.parametrize(
    ("points", "wrong"),
    [
        ("broken = no_such_module:POLICY", "cannot be imported: ModuleNotFoundError"),
        ("broken = packhorse_leave_gpus:POLICY", "both names must be the same"),
        ("broken = packhorse_leave_gpus:LeaveGpus", "is a type, not a Policy"),
    ],
)
def test_one_that_is_broken(site: Path, points: str, wrong: str) -> None:
    install(site, points)
    with pytest.raises(BadValue, match=wrong):
        require_policy("broken")


def test_a_name_is_not_taken_twice() -> None:
    first = policies.policy("tightest")
    assert policies.add("tightest", first) is first
    with pytest.raises(BadValue, match="there is one of this name already"):
        policies.add("tightest", first._replace(summary="another"))

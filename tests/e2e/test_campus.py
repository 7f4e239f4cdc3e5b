"""examples/campus: its busy hour, shortened, on a cluster as its README has it; `packhorse up --config`."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.cluster import Cluster

CAMPUS = Path(__file__).resolve().parents[2] / "examples" / "campus"
CHECKS = (
    "the urgent job had scavengers make room, and ran",
    "borrowed quota was given back, and its owners ran",
    "nobody was over a limit in",
    "every job that waited had a reason",
    "the course ran on the node that was kept for it",
)


def configured(file: Path, nodes: int = 1) -> Cluster:
    """A cluster whose home has no configuration yet; `up` is told of a file."""
    cluster = Cluster(nodes=nodes, cpus=8, mem="16G", gpus=2, more=("--config", str(file)))
    cluster.home.config.unlink()
    return cluster


@pytest.mark.parametrize("hours", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_busy_hour_holds_what_it_promises(hours: int) -> None:
    """What one hour leaves is not in the way of a second one."""
    with configured(CAMPUS / "packhorse.toml", nodes=8) as cluster:
        for _ in range(hours):
            done = cluster.run("python3", CAMPUS / "hour.py", "--minute", "0.6", check=False, within_s=400)
            assert done.returncode == 0, done.stdout + done.stderr
            told = [line for line in done.stdout.splitlines() if line.startswith(("pass", "FAIL"))]
            assert [line.startswith(f"pass {text}") for line, text in zip(told, CHECKS, strict=True)] == [
                True
            ] * 5


def test_the_campus_has_what_its_readme_says() -> None:
    book = tomllib.loads((CAMPUS / "accounts.toml").read_text())
    users = [user for account in book["account"].values() for user in account.get("users", [])]
    faculties = [name for name, account in book["account"].items() if "parent" not in account]
    assert (len(faculties), len(book["account"]) - len(faculties), len(set(users)), len(book["qos"])) == (
        3,
        12,
        40,
        4,
    )
    assert all(account.get("users") for account in book["account"].values() if "parent" in account)
    config = tomllib.loads((CAMPUS / "packhorse.toml").read_text())
    assert len(config["partition"]) == 4


def test_a_file_is_the_configuration_of_a_new_home_and_of_no_other(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[cluster]\nname = "site"\n\n[jobs]   # ours\nkill_wait = 3\n')
    with configured(file) as cluster:
        assert cluster.text("scontrol", "show", "config").count("site") >= 1
        cluster.wait(cluster.sbatch("--wrap", "true"))
        kept = cluster.home.config.read_text()
        assert "kill_wait = 3" in kept
        cluster.up()
        assert cluster.home.config.read_text() == kept
        file.write_text('[cluster]\nname = "other"\n')
        done = cluster.run("packhorse", "up", "--detach", "--config", file, check=False)
        assert done.returncode != 0
        assert f"{cluster.home.config} is there already and says otherwise" in done.stderr
        assert cluster.home.config.read_text() == kept
        file.write_text(kept)


@pytest.mark.parametrize(
    ("text", "said"), [("[nosuch]\n", ":1: [nosuch] is not known"), (None, "No such file or directory")]
)
def test_a_bad_file_starts_nothing(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "site.toml"
    if text is not None:
        file.write_text(text)
    cluster = configured(file)
    try:
        done = cluster.run("packhorse", "up", "--detach", "--config", file, check=False)
        assert done.returncode != 0 and said in done.stderr and "Traceback" not in done.stderr
        assert not cluster.home.config.exists() and not cluster.home.scheduler_pid()
    finally:
        cluster.end()

"""The user's login environment on the node, and batch scripts inside of containers: with a runtime that only
says what it was told."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(nodes=1) as running:
        yield running


@pytest.fixture
def home(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home whose shell is one with a login script. Jobs are told of it as of any variable."""
    tmp_path.chmod(0o755)
    (tmp_path / ".profile").write_text("echo chatter\nexport LOGIN=yes MODULES=a:b BOTH=login\n")
    return tmp_path


def shown(cluster: Cluster, *words: str, **more: str) -> dict[str, str]:
    """The environment of a job submitted with these words."""
    job = cluster.sbatch(*words, "--wrap", "env -0 > env.$SLURM_JOB_ID", variables=more)
    assert cluster.wait(job).state == "COMPLETED", cluster.said(job)
    text = (cluster.work / f"env.{job}").read_text()
    return dict(pair.partition("=")[::2] for pair in text.split("\0") if pair)


def test_the_login_environment_lies_below_the_job_s(cluster: Cluster, home: Path) -> None:
    there = {"HOME": str(home), "SHELL": "/bin/sh", "BOTH": "sbatch"}
    env = shown(cluster, "--get-user-env", "--export=ALL", **there)
    assert env["LOGIN"] == "yes" and env["MODULES"] == "a:b" and env["BOTH"] == "sbatch"
    assert env["SLURM_GET_USER_ENV"] == "1" and "PACKHORSE_GET_USER_ENV" not in env
    assert "LOGIN" not in shown(cluster, "--get-user-env=S", **there), "that is no login shell"
    assert "LOGIN" not in shown(cluster, **there)
    env = shown(cluster, "--export=HOME,SHELL", **there)
    assert env["LOGIN"] == "yes" and env["BOTH"] == "login", "what is not exported comes from the login"


def test_a_login_that_hangs_is_given_up(cluster: Cluster, home: Path) -> None:
    (home / ".profile").write_text("sleep 100\n")
    job = cluster.sbatch(
        *("--get-user-env=1", "--wrap", "echo went on"), variables={"HOME": str(home), "SHELL": "/bin/sh"}
    )
    assert cluster.wait(job).state == "COMPLETED"
    said = cluster.output(job)
    assert "went on\n" in said and "no login environment: /bin/sh of" in said and "within 1 s" in said


@pytest.fixture
def runtimes(tmp_path: Path) -> Path:
    """A directory with programs that write down their command line and run what stands behind it."""
    tmp_path.chmod(0o755)
    for name, kept in (("podman", '"${@: -1}"'), ("crun", "true")):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/bash\nprintf "%s\\n" {name} "$@" > told.$SLURM_JOB_ID\n'
            f'[ {name} = crun ] && cp "$5/config.json" config.$SLURM_JOB_ID\necho in {name}\nexec {kept}\n'
        )
        program.chmod(0o755)
    return tmp_path


def test_a_script_in_an_image(cluster: Cluster, runtimes: Path) -> None:
    path = {"PATH": f"{runtimes}:{cluster.env['PATH']}"}
    script = cluster.script("inside.sh", "echo unreachable")
    job = cluster.sbatch("--container-image=docker.io/debian:12", script, "/bin/true", variables=path)
    assert cluster.wait(job).state == "COMPLETED", cluster.said(job)
    told = (cluster.work / f"told.{job}").read_text().splitlines()
    assert told[:3] == ["podman", "run", "--rm"] and told[-2:] == ["docker.io/debian:12", "/bin/true"]
    assert f"--volume={cluster.work}:{cluster.work}" in told and f"--workdir={cluster.work}" in told
    assert "--env=SLURM_JOB_ID" in told
    assert any(word.startswith("--entrypoint=/") for word in told)
    assert cluster.output(job) == "in podman\n"


def test_a_script_in_a_bundle(cluster: Cluster, runtimes: Path) -> None:
    path = {"PATH": f"{runtimes}:{cluster.env['PATH']}"}
    bundle = cluster.work / "bundle"
    bundle.mkdir()
    config = {"ociVersion": "1.0.2", "process": {"args": ["sh"], "cwd": "/"}, "root": {"path": "rootfs"}}
    (bundle / "config.json").write_text(json.dumps(config))
    job = cluster.sbatch("--container", str(bundle), "--wrap", "true", variables=path)
    assert cluster.wait(job).state == "COMPLETED", cluster.said(job)
    made = json.loads((cluster.work / f"config.{job}").read_text())
    assert made["root"]["path"] == str(bundle / "rootfs") and made["process"]["cwd"] == str(cluster.work)
    assert f"SLURM_JOB_ID={job}" in made["process"]["env"]
    assert {mount["destination"] for mount in made["mounts"]} >= {str(cluster.work)}
    assert not list(Path(cluster.env["TMPDIR"]).glob("oci-*")), "the copy of the bundle is gone"


def test_without_a_runtime_it_is_an_error(cluster: Cluster, tmp_path: Path) -> None:
    assert not os.path.exists("/usr/bin/podman") or pytest.skip("podman is here")
    job = cluster.sbatch("--container-image=docker.io/debian:12", "--wrap", "true")
    ended = cluster.wait(job)
    assert ended.state == "FAILED" and ended.reason == "JobLaunchFailure"
    assert "nothing on this node can run the image docker.io/debian:12" in cluster.output(job)


def test_one_container_at_a_time(cluster: Cluster) -> None:
    code, said = cluster.refused("sbatch", "--container=a", "--container-image=b", "--wrap", "true")
    assert code == 255 and "--container names a bundle already" in said

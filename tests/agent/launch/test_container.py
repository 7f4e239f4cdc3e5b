"""Command lines of containers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from packhorse.agent.launch import container


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH with every runtime."""
    for name in (*container.IMAGE_RUNTIMES, *container.BUNDLE_RUNTIMES):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    return str(tmp_path / "bin")


def test_the_first_runtime_that_is_there(path: str, tmp_path: Path) -> None:
    env = {"PATH": path, container.IMAGE: "debian:12", "TMPDIR": str(tmp_path)}
    assert container.wrapped(("/s/job", "x"), env, "/w", 5, 5)[:2] == (f"{path}/podman", "run")
    os.remove(f"{path}/podman")
    argv = container.wrapped(("/s/job", "x"), env, "/w", 5, 5)
    assert argv[:3] == (f"{path}/apptainer", "exec", "--pwd=/w")
    assert argv[-3:] == ("debian:12", "/s/job", "x") and "--bind=/s/job" in argv
    os.remove(f"{path}/apptainer")
    assert container.wrapped(("/s/job",), env, "/w", 5, 5)[0] == f"{path}/singularity"
    os.remove(f"{path}/singularity")
    with pytest.raises(container.NoContainer, match=r"none of podman, apptainer, singularity is on"):
        container.wrapped(("/s/job",), env, "/w", 5, 5)


def test_a_bundle_for_a_user(path: str, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"root": {"path": "rootfs", "readonly": True}}))
    env = {"PATH": path, container.BUNDLE: "bundle", "TMPDIR": str(tmp_path), "SLURM_JOB_ID": "7"}
    argv = container.wrapped(("/s/job", "x"), env, str(tmp_path), 5, 6)
    assert argv[:2] == ("/bin/sh", "-c") and argv[4] == f"{path}/crun"
    config = json.loads((Path(argv[6]) / "config.json").read_text())
    assert config["root"] == {"path": str(bundle / "rootfs"), "readonly": True}
    assert config["process"]["args"] == ["/s/job", "x"] and config["process"]["user"] == {"uid": 5, "gid": 6}
    assert config["linux"]["uidMappings"] == [{"containerID": 5, "hostID": 5, "size": 1}]
    assert {"type": "user"} in config["linux"]["namespaces"]


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"root": {}}'])
def test_what_is_no_bundle(path: str, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    env = {"PATH": path, container.BUNDLE: str(tmp_path), "TMPDIR": str(tmp_path)}
    with pytest.raises(container.NoContainer, match="is no OCI bundle"):
        container.wrapped(("/s/job",), env, "/w", 5, 5)


def test_a_script_that_cannot_be_reached_is_copied_and_removed(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('#!/bin/sh\necho "$1"; exit 3\n')
    fd = os.open(script, os.O_RDONLY)
    copy = container.copied(fd, {"TMPDIR": str(tmp_path)})
    os.close(fd)
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o700
    done = subprocess.run(
        container.removing(copy, (copy, "said")), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "said\n") and not os.path.exists(copy)

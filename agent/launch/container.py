"""A batch script inside of a container: how its command line is wrapped.

Only rootless runtimes that are on the node, run as the user: `podman`, `apptainer` or `singularity` for an
image (`--container-image`), `crun` or `runc` for an unpacked OCI bundle (`--container`). The script, the
working directory and the job's temporary directory are there under their own names, and so is the network of
the node.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

IMAGE = "SLURM_CONTAINER_IMAGE"
BUNDLE = "SLURM_CONTAINER"

IMAGE_RUNTIMES = ("podman", "apptainer", "singularity")
BUNDLE_RUNTIMES = ("crun", "runc")


class NoContainer(Exception):
    """There is no runtime, or no such bundle. One line."""


def wrapped(
    argv: Sequence[str], environment: Mapping[str, str], cwd: str, uid: int, gid: int
) -> tuple[str, ...]:
    """The command line that runs `argv` there. Raises NoContainer."""
    if image := environment.get(IMAGE):
        return _in_image(image, argv, environment, cwd)
    return _in_bundle(environment[BUNDLE], argv, environment, cwd, uid, gid)


def copied(script: int, environment: Mapping[str, str]) -> str:
    """A copy of the script behind the descriptor where the user, and so a container, can reach it."""
    fd, path = tempfile.mkstemp(prefix="script-", dir=_temporary(environment))
    with open(fd, "wb") as file, open(os.dup(script), "rb") as source:
        source.seek(0)
        shutil.copyfileobj(source, file)
        os.fchmod(file.fileno(), 0o700)
    return path


def removing(path: str, argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command line that removes `path` when `argv` is over, and ends as that did."""
    return ("/bin/sh", "-c", 'f=$1; shift; "$@"; s=$?; rm -f "$f"; exit $s', "container", path, *argv)


def _in_image(image: str, argv: Sequence[str], environment: Mapping[str, str], cwd: str) -> tuple[str, ...]:
    runtime = _runtime(IMAGE_RUNTIMES, environment, f"the image {image}")
    places = _places(argv[0], cwd, environment)
    if os.path.basename(runtime) == "podman":
        mounts = [f"--volume={place}:{place}" for place in places]
        names = [f"--env={name}" for name in environment]
        common = ("--rm", "--network=host", "--userns=keep-id", "--cgroups=disabled", f"--workdir={cwd}")
        return (runtime, "run", *common, *mounts, *names, f"--entrypoint={argv[0]}", image, *argv[1:])
    mounts = [f"--bind={place}" for place in places]
    return (runtime, "exec", f"--pwd={cwd}", *mounts, image, *argv)


def _in_bundle(
    bundle: str, argv: Sequence[str], environment: Mapping[str, str], cwd: str, uid: int, gid: int
) -> tuple[str, ...]:
    """A copy of the bundle's configuration that runs the job's command line in the bundle's root."""
    runtime = _runtime(BUNDLE_RUNTIMES, environment, f"the bundle {bundle}")
    path = os.path.join(cwd, bundle)
    try:
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            config: dict[str, Any] = json.load(file)
        root = config["root"]["path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "config.json is not that of an OCI bundle"
        raise NoContainer(f"{bundle} is no OCI bundle: {why}") from None
    process = config.setdefault("process", {})
    process |= {
        "args": list(argv),
        "cwd": cwd,
        "env": [f"{name}={value}" for name, value in environment.items()],
        "terminal": False,
    }
    config["root"] |= {"path": os.path.join(path, root)}
    config["mounts"] = config.get("mounts", []) + [
        {"destination": place, "source": place, "type": "bind", "options": ["rbind"]}
        for place in _places(argv[0], cwd, environment)
    ]
    if uid:
        linux = config.setdefault("linux", {})
        if not any(space.get("type") == "user" for space in linux.setdefault("namespaces", [])):
            linux["namespaces"].append({"type": "user"})
        linux["uidMappings"] = [{"containerID": uid, "hostID": uid, "size": 1}]
        linux["gidMappings"] = [{"containerID": gid, "hostID": gid, "size": 1}]
        process["user"] = {"uid": uid, "gid": gid}
    own = tempfile.mkdtemp(prefix="oci-", dir=_temporary(environment))
    with open(os.path.join(own, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    name = f"packhorse-{environment.get('SLURM_JOB_ID', '0')}-{os.path.basename(own)}"
    state = os.path.join(own, "state")
    # A shell stays behind to clean up; it is part of the job like everything else.
    clean = '"$1" --root "$2" run --bundle "$3" "$4"; s=$?; rm -rf "$3"; exit $s'
    return ("/bin/sh", "-c", clean, "container", runtime, state, own, name)


def _runtime(names: Sequence[str], environment: Mapping[str, str], what: str) -> str:
    """The first of these programs on the job's PATH."""
    for name in names:
        for place in environment.get("PATH", "").split(":"):
            path = os.path.join(place, name)
            if place and os.access(path, os.X_OK, effective_ids=True) and os.path.isfile(path):
                return path
    raise NoContainer(f"nothing on this node can run {what}: none of {', '.join(names)} is on the job's PATH")


def _places(script: str, cwd: str, environment: Mapping[str, str]) -> list[str]:
    """Directories and files that are to be the node's own."""
    places = [cwd, _temporary(environment)]
    if not any(script.startswith(f"{place.rstrip('/')}/") for place in places):
        places.append(script)
    return list(dict.fromkeys(places))


def _temporary(environment: Mapping[str, str]) -> str:
    return environment.get("TMPDIR") or "/tmp"

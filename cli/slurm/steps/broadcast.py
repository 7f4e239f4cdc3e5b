"""`srun --bcast`: the program is copied to the nodes by a step of its own, which reads it from us."""

from __future__ import annotations

import os

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.steps.copying import feed
from packhorse.cli.transport import int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.cli.slurm.steps.start import Launch

_COPY = """\
umask 077
d=$1$SLURM_JOB_ID.$SLURM_STEP_ID
[ -z "$2" ] || d=$2
[ -n "$2" ] || d=${d}_$SLURMD_NODENAME
p=$d.$SLURMD_NODENAME.$$
cat >"$p" && chmod 700 "$p" && mv "$p" "$d"
"""
"""$1: where a file of the usual name goes, as far as its job; $2: the file's name where it was given."""

_RUN = 'p=$1_$SLURMD_NODENAME\nshift\nexec "$p" "$@"\n'
_USUAL = "slurm_bcast_"


def broadcast(launch: Launch, options: dict[str, str], spec: dict[str, Any]) -> None:
    """Copies the step's program, and has the step run the copies. Raises CommandError."""
    argv: list[str] = spec.get("argv", [])
    if not argv:
        raise CommandError("srun: error: --bcast copies one program, --multi-prog names several", 1)
    path = argv[0]
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CommandError(f"srun: error: --bcast: {path}: {error.strerror}", 1) from None
    target = options["bcast"]
    given = bool(target) and not target.endswith("/")
    place = os.path.join(spec["workDir"], target)
    usual = os.path.join(place, _USUAL)
    made = launch.create(
        {
            "name": "bcast",
            "workDir": spec["workDir"],
            "environment": spec["environment"],
            "argv": ["/bin/sh", "-c", _COPY, "sh", usual, place if given else ""],
            "tasksPerNode": 1,
            "overlap": "overlap",
        }
    )
    if code := feed("srun", launch.job_id, made, source, quiet=True):
        raise CommandError(f"srun: error: --bcast: {path} could not be copied to all nodes", code)
    if given:
        spec["argv"] = [place, *argv[1:]]
    else:
        stem = f"{usual}{launch.job_id}.{int_field(made, 'step_id')}"
        spec["argv"] = ["/bin/sh", "-c", _RUN, "sh", stem, *argv[1:]]

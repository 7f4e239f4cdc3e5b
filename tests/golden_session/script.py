"""The recorded session's script, made to run on another cluster: its paths, and the way to configure it."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from tests.golden_session.demo import Demo

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "slurm-golden"
"""Where the recorded session lies, beside the repository."""

WORK = "/srv/demo"
"""Where it was held."""

RECONFIGURE = """sed -i 's/^EnforcePartLimits=.*//; $aEnforcePartLimits=ALL' "$SLURM_CONF"; """


ABOUT = "about"
"""File beside the transcripts: when the session began, where, and on which host; a line each."""


class ScriptChanged(Exception):
    """The recorded script has no longer what is looked for in it."""


def quick(text: str) -> str:
    """The script's first part: what is submitted and refused, and no waiting."""
    first, found, _ = text.partition("\n# ---- environment\n")
    if not found:
        raise ScriptChanged("the script has no section about the environment")
    return f"{first}\nscancel -u root\n"


def hold(cluster: Demo, out: Path, text: str) -> None:
    """Runs the session on the cluster; its transcripts lie in `out` then, its environments in `out/env`."""
    scratch = cluster.root / "tmp"
    for old, new in (
        (WORK, str(cluster.work)),
        ("/tmp/.", f"{scratch}/."),
        ("\nsleep 9\n", "\nsleep 4\n"),
        ("\nsleep 12   # one scheduler pass", "\nsleep 5   # one scheduler pass"),
        (
            RECONFIGURE,
            f"sed -i 's/^enforce_part_limits.*/enforce_part_limits = \"all\"/' {cluster.home.config}; ",
        ),
    ):
        text = text.replace(old, new)
    shutil.rmtree(cluster.work)  # the script makes it anew
    script = cluster.root / "session.sh"
    script.write_text(text)
    variables = {"CLEAN": "1", "OUT": str(out), "SLURM_CONF": "/dev/null"}
    began = datetime.now(tz=None).isoformat(timespec="seconds")
    subprocess.run(["bash", str(script)], env=cluster.env | variables, check=True, stdin=subprocess.DEVNULL)
    (out / ABOUT).write_text(f"{began}\n{cluster.work}\n{os.uname().nodename}\n")

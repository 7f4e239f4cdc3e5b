"""How the Slurm-style commands begin and end as processes.

The launchers beside the interpreter (made by setup.py from `cli/launcher`) call `start`. `packhorse-slurm
NAME ARGUMENTS` does the same for a console script: what a launcher falls back to where its interpreter is
elsewhere.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib_external import PathFinder  # loaded already, unlike `importlib`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

COMMANDS = (
    "sbatch",
    "srun",
    "salloc",
    "sattach",
    "squeue",
    "scancel",
    "sinfo",
    "sacct",
    "sstat",
    "seff",
    "sreport",
    "sdiag",
    "scrontab",
    "strigger",
    "sprio",
    "sshare",
    "scontrol",
    "sacctmgr",
)
"""Every one is a module of `packhorse.cli.slurm` with a `main`. setup.py makes a launcher for each."""


def main() -> int:
    """The console script `packhorse-slurm`. Returns only for a wrong name."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.stderr.write(f"packhorse-slurm: error: name a command to run: {' '.join(COMMANDS)}\n")
        return 2
    name = sys.argv.pop(1)
    start(name)
    return 0


class _WithSite:
    """Asked last, for modules that nothing else finds: `-S` leaves out what `.pth` files add to the path."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        import site

        sys.meta_path.remove(_WithSite)
        site.main()
        return PathFinder.find_spec(name, path)


def start(name: str) -> None:
    """Runs the command and ends the process with its exit code.

    What the interpreter would take apart at its end is left to the kernel: 1.5 of 12 ms. Everything that a
    command keeps is written by then, and none of them leaves a thread or an exit handler behind.
    """
    if sys.flags.no_site:
        sys.meta_path.append(_WithSite)
    module = __import__(f"packhorse.cli.slurm.{name}", fromlist=["main"])
    code = module.main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # the command has said so
        code = code or 1
    os._exit(code)

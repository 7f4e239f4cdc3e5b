"""The options of salloc, and the environment variables that stand for them.

`python -m packhorse.cli.slurm.salloc_options` prints the table.
"""

from __future__ import annotations

from packhorse.cli.slurm.options import (
    HARMLESS,
    NONE,
    NOT_YET,
    OPTIONAL,
    REQUIRED,
    USED,
    WARNED,
    Parser,
    from_variables,
)
from packhorse.cli.slurm.sbatch_options import TABLE as SBATCH
from packhorse.cli.slurm.srun_options import BATCH_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from packhorse.cli.slurm.options import Option

_STREAMS = frozenset(("error", "export", "input", "open-mode", "output", "propagate"))
"""Options about a script's streams, of which there is none."""

_OWN: dict[str, Option] = {
    "bell": ("", NONE, USED),
    "cpu-freq": ("", REQUIRED, WARNED),
    "get-user-env": ("", OPTIONAL, HARMLESS),
    "gpu-bind": ("", REQUIRED, HARMLESS),
    "gpu-freq": ("", REQUIRED, WARNED),
    "hint": ("", REQUIRED, WARNED),
    "immediate": ("I", OPTIONAL, USED),
    "kill-command": ("K", OPTIONAL, USED),
    "mem-bind": ("", REQUIRED, HARMLESS),
    "container": ("", REQUIRED, NOT_YET),
    "container-image": ("", REQUIRED, NOT_YET),
    "network": ("", REQUIRED, WARNED),
    "no-bell": ("", NONE, USED),
    "no-shell": ("", NONE, USED),
    "wait-all-nodes": ("", REQUIRED, HARMLESS),
    "x11": ("", OPTIONAL, WARNED),
}

TABLE: dict[str, Option] = dict(
    sorted(
        {
            **{name: option for name, option in SBATCH.items() if name not in BATCH_ONLY | _STREAMS},
            **_OWN,
        }.items()
    )
)

PARSER = Parser("salloc", TABLE, bad=255, permute=False)

_VARIABLES = {
    "SLURM_CLUSTERS": "clusters",
    "SLURM_HINT": "hint",
    "SALLOC_BURST_BUFFER": "bb",
    "SALLOC_DEBUG": "verbose",
    "SALLOC_KILL_CMD": "kill-command",
    "SALLOC_MEM_PER_NODE": "mem",
    "SALLOC_REQ_SWITCH": "switches",
    "SALLOC_TIMELIMIT": "time",
}
"""Variables that are not spelled SALLOC_ plus the option's name."""

# fmt: off
_SPELLED = (
    "account", "acctg-freq", "bell", "clusters", "constraint", "container", "core-spec", "cpus-per-gpu",
    "delay-boot", "exclusive", "gpu-bind", "gpu-freq", "gpus", "gpus-per-node", "gpus-per-task", "gres",
    "gres-flags", "hint", "immediate", "mem-bind", "mem-per-cpu", "mem-per-gpu", "network", "no-bell",
    "no-kill", "overcommit", "partition", "power", "profile", "qos", "reservation", "signal", "spread-job",
    "thread-spec", "threads-per-core", "use-min-nodes", "wait-all-nodes", "wckey",
)
# fmt: on


def from_environment(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """The options that SALLOC_* variables stand for, as (long name, value)."""
    spelled = {"SALLOC_" + name.upper().replace("-", "_"): name for name in _SPELLED}
    return from_variables(environment, TABLE, {**_VARIABLES, **spelled})


if __name__ == "__main__":
    import sys

    from packhorse.cli.slurm.srun_options import row

    lines = ["| option | here |", "|---|---|", *[row(name, option) for name, option in TABLE.items()]]
    sys.stdout.write("\n".join(lines) + "\n")

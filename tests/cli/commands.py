"""The commands under test, and what running one gives."""

from collections.abc import Callable

from packhorse.cli import main
from packhorse.cli.slurm import (
    sacct,
    sacctmgr,
    sbatch,
    scancel,
    scontrol,
    scrontab,
    sdiag,
    seff,
    sinfo,
    sprio,
    squeue,
    sshare,
    sstat,
    strigger,
)

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "packhorse": main.main,
    "sacct": sacct.command,
    "sacctmgr": sacctmgr.command,
    "sbatch": sbatch.command,
    "scancel": scancel.command,
    "scontrol": scontrol.command,
    "sdiag": sdiag.command,
    "scrontab": scrontab.command,
    "strigger": strigger.command,
    "seff": seff.command,
    "sinfo": sinfo.command,
    "sprio": sprio.command,
    "squeue": squeue.command,
    "sshare": sshare.command,
    "sstat": sstat.command,
}

Answer = tuple[int, str, str]
"""(exit code, standard output, standard error)."""

Run = Callable[..., Answer]

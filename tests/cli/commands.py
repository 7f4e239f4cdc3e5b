"""The commands under test, and what running one gives."""

from collections.abc import Callable

from packhorse.cli import main
from packhorse.cli.slurm import sacct, sbatch, scancel, scontrol, sinfo, squeue

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "packhorse": main.main,
    "sacct": sacct.command,
    "sbatch": sbatch.command,
    "scancel": scancel.command,
    "scontrol": scontrol.command,
    "sinfo": sinfo.command,
    "squeue": squeue.command,
}

Answer = tuple[int, str, str]
"""(exit code, standard output, standard error)."""

Run = Callable[..., Answer]

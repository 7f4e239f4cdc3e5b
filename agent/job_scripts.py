"""Prolog and epilog: what the site does on the node before an attempt's first process and after its last.

Both run as the agent's user with an environment built from nothing: what Slurm documents for them, of the
values that the scheduler gave, and nothing that a user chose but the name of the working directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from packhorse.agent import node_script
from packhorse.agent.environment import DEFAULT_PATH
from packhorse.agent.orders import ExitReport, LaunchOrder

TIMEOUT_S = 300.0

PASSED_ON = (
    "CUDA_VISIBLE_DEVICES",
    "SLURM_CLUSTER_NAME",
    "SLURM_JOB_ACCOUNT",
    "SLURM_JOB_GPUS",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_PARTITION",
)
"""Variables of the job that its prolog and epilog have too."""


class JobScripts(NamedTuple):
    """What is run around every attempt; None: nothing. spool: the agent's, which marks what it runs."""

    node: str = ""
    spool: str = ""
    prolog_file: Path | None = None
    epilog_file: Path | None = None
    timeout_s: float = TIMEOUT_S

    async def prolog(self, order: LaunchOrder) -> str:
        """Runs the prolog. Returns why the attempt may not start nor the node take more, "" if it may."""
        return await self._run("prolog", self.prolog_file, environment(order, self.node, "prolog_slurmd"))

    async def epilog(self, order: LaunchOrder, end: ExitReport) -> str:
        """Runs the epilog. Returns why the node must take no more, "" for all well."""
        variables = environment(order, self.node, "epilog_slurmd")
        # As wait() has it; and in the second as sacct shows it.
        variables["SLURM_JOB_EXIT_CODE"] = str(end.exit_signal or (end.exit_code & 0xFF) << 8)
        variables["SLURM_JOB_EXIT_CODE2"] = f"{end.exit_code}:{end.exit_signal}"
        return await self._run("epilog", self.epilog_file, variables)

    async def _run(self, what: str, file: Path | None, variables: dict[str, str]) -> str:
        if file is None:
            return ""
        try:
            outcome = await node_script.run(file, variables, self.spool, self.timeout_s)
        except node_script.StillThere as hangs:
            return f"{what} failed: {hangs}"
        return f"{what} failed: {outcome.why}" if outcome.trouble else ""


def environment(order: LaunchOrder, node: str, context: str) -> dict[str, str]:
    """All that a prolog ("prolog_slurmd") or epilog ("epilog_slurmd") is told."""
    given = dict(pair.partition("=")[::2] for pair in order.slurm_environment)
    job = str(order.attempt.job)
    return {
        "PATH": DEFAULT_PATH,
        **{name: given[name] for name in PASSED_ON if name in given},
        "SLURMD_NODENAME": node,
        "SLURM_JOBID": job,
        "SLURM_JOB_GID": str(order.gid),
        "SLURM_JOB_ID": job,
        "SLURM_JOB_UID": str(order.uid),
        "SLURM_JOB_USER": order.user,
        "SLURM_JOB_WORK_DIR": order.work_dir,
        "SLURM_SCRIPT_CONTEXT": context,
    }

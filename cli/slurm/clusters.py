"""`--clusters`: there is one cluster, so the name given must be its own."""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.transport import call, field


def checked(prog: str, names: str) -> str:
    """The cluster's name, if it is among `names` (or these are `all`). Raises CommandError otherwise."""
    own = str(field(call("Ping", {}), "cluster", ""))
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if wanted in (["all"], []):
        return own
    for name in wanted:
        if name != own:
            raise CommandError(
                f"{prog}: error: '{name}' can't be reached now, or it is an invalid entry for --cluster.  "
                f"This scheduler is of cluster '{own}'."
            )
    return own

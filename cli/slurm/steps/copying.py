"""A file on its way to nodes of a job: a step there reads it from us and puts it in its place."""

from __future__ import annotations

from packhorse.cli.transport import field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def feed(prog: str, job_id: int, made: dict[str, Any], source: int, *, quiet: bool) -> int:
    """Has the step read the open file `source`; the step's code. made: the answer to CreateStep."""
    from packhorse.cli.slurm.steps.client import StepClient
    from packhorse.cli.slurm.steps.lines import LineWriter
    from packhorse.cli.slurm.steps.start import step_nodes, still_there
    from packhorse.cli.slurm.steps.steering import Settings

    settings = Settings()
    settings.prog = prog
    settings.stdin = source
    settings.quiet = quiet
    nodes = step_nodes(made)
    step_id = int_field(made, "step_id")
    n_tasks = sum([len(node.ranks) for node in nodes])
    client = StepClient(
        str(field(made, "key", "")),
        f"{job_id}.{step_id}",
        nodes,
        LineWriter(1, n_tasks, label=False, whole_lines=True),
        LineWriter(2, n_tasks, label=False, whole_lines=True),
        settings,
        lambda: still_there(job_id, step_id),
    )
    return client.run()

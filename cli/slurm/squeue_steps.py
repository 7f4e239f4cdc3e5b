"""`squeue --steps`: the steps of running jobs, their batch scripts among them."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.formats import parse_letters, render
from packhorse.cli.slurm.jobids import JobIdError, split_ids
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.squeue import PROG, selection
from packhorse.cli.slurm.step_columns import BATCH, by_number, step_ids, step_ref
from packhorse.cli.slurm.table import Table, fetch
from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.units import format_elapsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    StepField = tuple[str, Callable[[Table], Sequence[str]]]

FORMAT = "%.15i %.8j %.9P %.8u %.9M %N"


def _used(table: Table) -> list[str]:
    """How long each has run, not counting the time in which it was suspended."""
    now = table.now_s
    pairs = zip(table.seconds("start_at"), table.ints("suspended_s"), strict=True)
    return [format_elapsed(max(now - start - suspended, 0)) for start, suspended in pairs]


LETTERS: dict[str, StepField] = {
    "i": ("STEPID", step_ids),
    "j": ("NAME", lambda table: table.texts("name")),
    "P": ("PARTITION", lambda table: table.texts("partition")),
    "u": ("USER", lambda table: table.texts("user")),
    "U": ("UID", lambda table: [str(uid) for uid in table.ints("uid")]),
    "M": ("TIME", _used),
    "N": ("NODELIST", lambda table: table.texts("nodes")),
    "S": ("START_TIME", lambda table: [stamp(seconds) for seconds in table.seconds("start_at")]),
    "l": (
        "TIME_LIMIT",
        lambda table: [format_elapsed(s) if s else "UNLIMITED" for s in table.ints("time_limit_s")],
    ),
    "A": ("TASKS", lambda table: [str(n) for n in table.ints("n_tasks")]),
    "b": ("TRES_PER_NODE", lambda table: ["N/A"] * table.n),
}

COLUMNS = (
    "job_id",
    "array_job_id",
    "array_task_id",
    "step",
    "name",
    "partition",
    "user",
    "uid",
    "start_at",
    "suspended_s",
    "time_limit_s",
    "n_tasks",
    "nodes",
)


def listing(options: dict[str, str]) -> str:
    """The lines of `squeue -s`."""
    prefix, pieces, bad = parse_letters(options.get("format", FORMAT), LETTERS)
    for name in bad:
        sys.stderr.write(f"{PROG}: error: Invalid job step format specification: {name}\n")
    request = selection({name: value for name, value in options.items() if name != "states"})
    if "filter" in request:
        request["filter"].pop("states", None)
    request["fields"] = list(COLUMNS)
    try:
        wanted = [step_ref(part) for part in split_ids(options["steps"])]
    except JobIdError as error:
        raise CommandError(f"{PROG}: error: Invalid job_step id: {error}.??") from None
    if wanted:
        request["jobs"] = [ref for ref, _ in wanted]
    table = fetch("ListSteps", request)
    rows = by_number(table)
    if wanted and all(step == BATCH for _, step in wanted):
        steps = table.texts("step")
        rows = [row for row in rows if steps[row] == BATCH]
    table.keep(rows)
    return render(prefix, pieces, table, "noheader" not in options)

"""`squeue --steps`: the steps of running jobs. This release launches one step per job, the batch script."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.fields_jobs import ARRAY_COLUMNS, job_ids, used_seconds
from packhorse.cli.slurm.formats import parse_letters, render
from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids, split_step
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.squeue import PROG, selection
from packhorse.cli.slurm.table import Table, fetch
from packhorse.cli.slurm.times import stamp
from packhorse.scheduler.model.units import format_elapsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    StepField = tuple[str, Callable[[Table], Sequence[str]]]

FORMAT = "%.15i %.8j %.9P %.8u %.9M %N"

LETTERS: dict[str, StepField] = {
    "i": ("STEPID", lambda table: [name + ".batch" for name in job_ids(table)]),
    "j": ("NAME", lambda table: ["batch"] * table.n),
    "P": ("PARTITION", lambda table: table.texts("partition")),
    "u": ("USER", lambda table: table.texts("user")),
    "U": ("UID", lambda table: [str(uid) for uid in table.ints("uid")]),
    "M": ("TIME", lambda table: [format_elapsed(seconds) for seconds in used_seconds(table)]),
    "N": ("NODELIST", lambda table: table.texts("batch_host")),
    "S": ("START_TIME", lambda table: [stamp(seconds) for seconds in table.seconds("start_at")]),
    "l": ("TIME_LIMIT", lambda table: ["UNLIMITED"] * table.n),
    "A": ("TASKS", lambda table: ["1"] * table.n),
    "b": ("TRES_PER_NODE", lambda table: ["N/A"] * table.n),
}
"""The batch step is one task on the job's first node, without a limit of its own."""

COLUMNS = (
    *ARRAY_COLUMNS,
    "partition",
    "user",
    "uid",
    "state",
    "start_at",
    "end_at",
    "suspended_s",
    "batch_host",
)


def listing(options: dict[str, str]) -> str:
    """The lines of `squeue -s`."""
    prefix, pieces, bad = parse_letters(options.get("format", FORMAT), LETTERS)
    for name in bad:
        sys.stderr.write(f"{PROG}: error: Invalid job step format specification: {name}\n")
    request = selection({name: value for name, value in options.items() if name != "states"})
    request.setdefault("filter", {})["states"] = ["RUNNING", "COMPLETING", "SUSPENDED"]
    request["fields"] = list(COLUMNS)
    wanted = [split_step(part) for part in split_ids(options["steps"])]
    if wanted:
        try:
            request["jobs"] = [job_ref(job) for job, _ in wanted]
        except JobIdError as error:
            raise CommandError(f"{PROG}: error: Invalid job_step id: {error}.??") from None
    table = fetch("ListJobs", request)
    if wanted and all(step not in ("", "batch") for _, step in wanted):
        table.keep([])
    ids = table.ints("job_id")
    table.keep(sorted(range(table.n), key=ids.__getitem__))
    return render(prefix, pieces, table, "noheader" not in options)

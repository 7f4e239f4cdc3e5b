"""The raw columns of running steps, and what commands make of them.

Instants are microseconds since the epoch.
"""

from __future__ import annotations

from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.cli.slurm.table import Table

STEP_COLUMNS = {
    "job_id": "int",
    "array_job_id": "int",  # 0: not of an array
    "array_task_id": "int",  # -1: not an element of one
    "step": "text",  # "batch", "0" ...
    "name": "text",
    "partition": "text",
    "user": "text",
    "uid": "int",
    "state": "text",
    "start_at": "int",
    "suspended_s": "int",
    "time_limit_s": "int",  # 0: none
    "n_nodes": "int",
    "n_cpus": "int",
    "n_tasks": "int",
    "nodes": "text",
    "alloc_tres": "text",
    "layout": "text",
    "submit_host": "text",
}

BATCH = "batch"


def step_ids(table: Table) -> list[str]:
    """`12.0`, `9_3.batch`."""
    return [
        f"{array_id}_{index}.{step}" if index >= 0 else f"{job_id}.{step}"
        for job_id, array_id, index, step in zip(
            table.ints("job_id"),
            table.ints("array_job_id"),
            table.ints("array_task_id"),
            table.texts("step"),
            strict=True,
        )
    ]


def by_number(table: Table) -> list[int]:
    """The rows by job and step, the batch script last, as Slurm numbers it."""
    jobs, steps = table.ints("job_id"), table.texts("step")
    return sorted(range(table.n), key=lambda i: (jobs[i], int(steps[i]) if steps[i].isdecimal() else 1 << 32))


def step_ref(text: str) -> tuple[dict[str, Any], str]:
    """(the request's form, the step) of `12`, `12.0`, `9_3.batch`; "" for all steps. Raises JobIdError."""
    job, step = split_step(text)
    ref = job_ref(job)
    if step.isdecimal() and step.isascii() and len(step) < 10:
        ref |= {"step": int(step), "text": text}
    elif step not in ("", BATCH):
        raise JobIdError(text)
    return ref, step

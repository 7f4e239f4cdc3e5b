"""Accounting as JSON, in the shape of Slurm 24.11's data parser v0.0.42."""

from __future__ import annotations

from packhorse.cli.slurm.fields_accounting import Units, elapsed_s, is_step, planned_s
from packhorse.cli.slurm.json_jobs import envelope, exit_status, number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]


def document(prog: str, rows: list[Row], now_us: int) -> str:
    """The whole document of `sacct --json`: jobs with their steps inside."""
    units = Units(now_us)
    jobs: list[dict[str, Any]] = []
    for row in rows:
        if not is_step(row):
            jobs.append(_job(row, units))
        elif jobs and jobs[-1]["job_id"] == row["job_id"]:
            jobs[-1]["steps"].append(_step(row, units))
    return envelope(prog, {"jobs": jobs}, now_us // 1_000_000)


def _job(row: Row, units: Units) -> dict[str, Any]:
    limit_s = row["time_limit_s"]
    return {
        "account": row["account"],
        "comment": {"administrator": "", "job": row["comment"], "system": ""},
        "allocation_nodes": row["n_nodes"],
        "array": {
            "job_id": row["array_job_id"],
            "task_id": number(row["array_task_id"], unset=row["array_task_id"] < 0),
            "task": row["array_pending"],
        },
        "time": {**_times(row, units), "limit": number(-(-limit_s // 60), infinite=not limit_s)},
        "cluster": row["cluster"],
        "constraints": row["features"],
        "derived_exit_code": exit_status(row["derived_exit_code"], row["derived_exit_signal"]),
        "exit_code": exit_status(row["exit_code"], row["exit_signal"]),
        "group": row["group"],
        "job_id": row["job_id"],
        "name": row["name"],
        "nodes": row["nodes"] or "None assigned",
        "partition": row["partition"],
        "priority": number(row["priority"]),
        "qos": row["qos"],
        "required": {"CPUs": row["req_cpus"]},
        "restart_cnt": row["restarts"],
        "state": {"current": [row["state"]], "reason": row["reason"]},
        "kill_request_user": str(row["cancelled_by"]) if row["cancelled_by"] >= 0 else "",
        "steps": [],
        "submit_line": row["submit_line"],
        "tres": {"allocated": _tres(row["alloc_tres"]), "requested": _tres(row["req_tres"])},
        "user": row["user"],
        "working_directory": row["work_dir"],
    }


def _step(row: Row, units: Units) -> dict[str, Any]:
    return {
        "time": _times(row, units),
        "exit_code": exit_status(row["exit_code"], row["exit_signal"]),
        "nodes": {"count": row["n_nodes"], "range": row["nodes"]},
        "tasks": {"count": row["n_tasks"]},
        "step": {"id": f"{row['job_id']}.{row['step']}", "name": row["name"]},
        "state": [row["state"]],
        "tres": {"allocated": _tres(row["alloc_tres"])},
    }


def _times(row: Row, units: Units) -> dict[str, Any]:
    return {
        "elapsed": elapsed_s(row, units),
        "eligible": row["eligible_at"] // 1_000_000,
        "end": row["end_at"] // 1_000_000,
        "planned": number(planned_s(row, units)),
        "start": row["start_at"] // 1_000_000,
        "submission": row["submit_at"] // 1_000_000,
        "suspended": row["suspended_s"],
        "system": _cpu(row["system_cpu_us"]),
        "total": _cpu(max(row["user_cpu_us"], 0) + max(row["system_cpu_us"], 0)),
        "user": _cpu(row["user_cpu_us"]),
    }


def _cpu(micros: int) -> dict[str, int]:
    micros = max(micros, 0)
    return {"seconds": micros // 1_000_000, "microseconds": micros % 1_000_000}


def _tres(text: str) -> list[dict[str, Any]]:
    """`cpu=2,mem=1000M,gres/gpu=1` as a list; memory in MiB, devices rounded up, since counts are whole."""
    from math import ceil

    from packhorse.scheduler.model.units import parse_mem_mib

    found = []
    for part in text.split(",") if text else []:
        name, _, amount = part.partition("=")
        kind, _, rest = name.partition("/")
        count = parse_mem_mib(amount) if kind == "mem" or rest == "gpumem" else ceil(float(amount))
        found.append({"type": kind, "name": rest, "count": count})
    return found

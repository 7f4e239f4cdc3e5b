"""Attempts of jobs with their steps: `job` of sacct and /slurmdb/…/jobs."""

from __future__ import annotations

from packhorse.scheduler.model.rowtimes import elapsed_s, planned_s
from packhorse.scheduler.model.shapes.shape import (
    US,
    Shape,
    always,
    asked,
    exit_field,
    inner,
    listed,
    no_number,
    no_text,
    no_texts,
    no_tres,
    number,
    second,
    text,
    tres_field,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.scheduler.model.shapes.shape import Field

    Row = dict[str, Any]


def jobs(rows: list[Row], now_us: int) -> list[Row]:
    """The rows that `JOB` is made of, of rows of the table of accounting, in which a job's steps come after
    it."""
    found: list[Row] = []
    for row in rows:
        if row["row_kind"] != "step":
            found.append(row | {"now_us": now_us, "steps": []})
        elif found and found[-1]["job_id"] == row["job_id"]:
            found[-1]["steps"].append(row | {"now_us": now_us})
    return found


def _node_names(row: Row) -> list[str]:
    from packhorse.scheduler.model.hostlist import expand

    return expand(row["nodes"]) if row["nodes"] else []


def _cpu_time(*columns: str) -> Field:
    """CPU time in two parts; what was not measured counts as none."""

    def made(row: Row) -> dict[str, Any]:
        return _SECONDS.of({"us": sum([max(row[column], 0) for column in columns])})

    return _SECONDS, made


_SECONDS = Shape(
    "cpu_time",
    {"seconds": ("int", lambda row: row["us"] // US), "microseconds": ("int", lambda row: row["us"] % US)},
)
_TIME = Shape(
    "job_time",
    {
        "elapsed": ("int", lambda row: elapsed_s(row, row["now_us"])),
        "eligible": second("eligible_at"),
        "end": second("end_at"),
        "planned": ("number", lambda row: number(planned_s(row, row["now_us"]))),
        "start": second("start_at"),
        "submission": second("submit_at"),
        "suspended": whole("suspended_s"),
        "system": _cpu_time("system_cpu_us"),
        "limit": (
            "number",
            lambda row: number(-(-row["time_limit_s"] // 60), infinite=not row["time_limit_s"]),
        ),
        "total": _cpu_time("user_cpu_us", "system_cpu_us"),
        "user": _cpu_time("user_cpu_us"),
    },
)
_COMMENT = Shape("job_comment", {"administrator": no_text(), "job": text("comment"), "system": no_text()})
_TASKS = Shape("job_array_max_tasks", {"tasks": always("int", 0)})
_RUNNING = Shape("job_array_max_running", {"running": inner(_TASKS)})
_MOST = Shape("job_array_limits", {"max": inner(_RUNNING)})
_ARRAY = Shape(
    "job_array",
    {
        "job_id": whole("array_job_id"),
        "limits": inner(_MOST),
        "task_id": (
            "number",
            lambda row: number(row["array_task_id"], unset=row["array_task_id"] < 0),
        ),
        "task": text("array_pending"),
    },
)
ASSOCIATION = Shape(
    "assoc_short",
    {
        "account": text("account"),
        "cluster": text("cluster"),
        "partition": no_text(),
        "user": text("user"),
        "id": always("int", 0),
    },
)
_HET = Shape("job_het", {"job_id": always("int", 0), "job_offset": no_number()})
_MCS = Shape("job_mcs", {"label": no_text()})
_REQUIRED = Shape(
    "job_required",
    {"CPUs": whole("req_cpus"), "memory_per_cpu": no_number(), "memory_per_node": asked("mem_mib_each")},
)
_RESERVATION = Shape("job_reservation", {"id": always("int", 0), "name": no_text()})
_STATE = Shape(
    "job_state_current", {"current": ("texts", lambda row: [row["state"]]), "reason": text("reason")}
)
_WCKEY = Shape("wckey_tag", {"wckey": no_text(), "flags": no_texts()})
_JOB_TRES = Shape("job_tres", {"allocated": tres_field("alloc_tres"), "requested": tres_field("req_tres")})

_STEP_TIME = Shape(
    "step_time",
    {
        "elapsed": ("int", lambda row: elapsed_s(row, row["now_us"])),
        "end": ("number", lambda row: number(row["end_at"] // US, unset=not row["end_at"])),
        "start": ("number", lambda row: number(row["start_at"] // US, unset=not row["start_at"])),
        "suspended": whole("suspended_s"),
        "system": _cpu_time("system_cpu_us"),
        "total": _cpu_time("user_cpu_us", "system_cpu_us"),
        "user": _cpu_time("user_cpu_us"),
    },
)
_STEP_NODES = Shape(
    "step_nodes", {"count": whole("n_nodes"), "range": text("nodes"), "list": ("texts", _node_names)}
)
_STEP_TASKS = Shape("step_tasks", {"count": whole("n_tasks")})
_FREQUENCY = Shape("step_cpu_frequency", {"min": no_number(), "max": no_number()})
_STEP_CPU = Shape("step_cpu", {"requested_frequency": inner(_FREQUENCY), "governor": always("text", "0")})
_STEP_NAME = Shape(
    "step_name",
    {"id": ("text", lambda row: f"{row['job_id']}.{row['step']}"), "name": text("name")},
)
_STEP_TASK = Shape("step_task", {"distribution": always("text", "Unknown")})
_SPENT = Shape(
    "step_tres_spent", {"max": no_tres(), "min": no_tres(), "average": no_tres(), "total": no_tres()}
)


def _measured(row: Row) -> str:
    """What a step was seen to use, as TRES."""
    parts = []
    if row["user_cpu_us"] >= 0 or row["system_cpu_us"] >= 0:
        parts.append(f"cpu={(max(row['user_cpu_us'], 0) + max(row['system_cpu_us'], 0)) // 1000}")
    if row["max_rss_kib"] >= 0:
        parts.append(f"mem={-(-row['max_rss_kib'] // 1024)}M")
    if row["disk_read_bytes"] >= 0:
        parts.append(f"fs/disk={row['disk_read_bytes']}")
    return ",".join(parts)


_USED = Shape(
    "step_tres_used",
    {name: tres_field("measured") for name in ("max", "min", "average", "total")},
)
_STEP_TRES = Shape(
    "step_tres",
    {
        "requested": (_USED, lambda row: _USED.of({"measured": _measured(row)})),
        "consumed": inner(_SPENT),
        "allocated": tres_field("alloc_tres"),
    },
)
_ENERGY = Shape(
    "step_energy",
    {
        "consumed": (
            "number",
            lambda row: number(max(row["gpu_energy_mj"], 0) // 1000, unset=row["gpu_energy_mj"] < 0),
        )
    },
)
_ACTUAL = Shape("step_cpu_actual", {"actual_frequency": always("int", 0)})
_STATISTICS = Shape("step_statistics", {"CPU": inner(_ACTUAL), "energy": inner(_ENERGY)})
STEP = Shape(
    "step",
    {
        "time": inner(_STEP_TIME),
        "exit_code": exit_field("exit_code", "exit_signal"),
        "nodes": inner(_STEP_NODES),
        "tasks": inner(_STEP_TASKS),
        "pid": no_text(),
        "CPU": inner(_STEP_CPU),
        "kill_request_user": no_text(),
        "state": ("texts", lambda row: [row["state"]]),
        "statistics": inner(_STATISTICS),
        "step": inner(_STEP_NAME),
        "task": inner(_STEP_TASK),
        "tres": inner(_STEP_TRES),
    },
)

JOB = Shape(
    "job",
    {
        "account": text("account"),
        "comment": inner(_COMMENT),
        "allocation_nodes": whole("n_nodes"),
        "array": inner(_ARRAY),
        "association": inner(ASSOCIATION),
        "block": no_text(),
        "cluster": text("cluster"),
        "constraints": text("features"),
        "container": no_text(),
        "derived_exit_code": exit_field("derived_exit_code", "derived_exit_signal"),
        "time": inner(_TIME),
        "exit_code": exit_field("exit_code", "exit_signal"),
        "extra": no_text(),
        "failed_node": no_text(),
        "flags": no_texts(),
        "group": text("group"),
        "het": inner(_HET),
        "job_id": whole("job_id"),
        "name": text("name"),
        "licenses": no_text(),
        "mcs": inner(_MCS),
        "nodes": ("text", lambda row: row["nodes"] or "None assigned"),
        "partition": text("partition"),
        "hold": ("bool", lambda row: row["priority"] == 0 and row["state"] == "PENDING"),
        "priority": ("number", lambda row: number(row["priority"])),
        "qos": text("qos"),
        "qosreq": no_text(),
        "required": (
            _REQUIRED,
            lambda row: _REQUIRED.of(
                row | {"mem_mib_each": -(-row["mem_mib"] // max(row["n_nodes"], 1)) if row["mem_mib"] else 0}
            ),
        ),
        "kill_request_user": (
            "text",
            lambda row: str(row["cancelled_by"]) if row["cancelled_by"] >= 0 else "",
        ),
        "restart_cnt": whole("restarts"),
        "reservation": inner(_RESERVATION),
        "script": no_text(),
        "state": inner(_STATE),
        "steps": listed(STEP, "steps"),
        "submit_line": text("submit_line"),
        "tres": inner(_JOB_TRES),
        "used_gres": no_text(),
        "user": text("user"),
        "wckey": inner(_WCKEY),
        "working_directory": text("work_dir"),
    },
)

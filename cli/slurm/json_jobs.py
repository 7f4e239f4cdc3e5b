"""Jobs as JSON, in the shape of Slurm 24.11's data parser v0.0.42: lists of states, number objects."""

from __future__ import annotations

from packhorse.cli import wire
from packhorse.cli.slurm.fields_jobs import JOB_COLUMNS
from packhorse.cli.slurm.job_files import job_file
from packhorse.scheduler.model.signalspec import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.cli.slurm.table import Table

COLUMNS = tuple(name for name in JOB_COLUMNS if name not in ("submit_line", "reason_text"))


def document(prog: str, table: Table) -> str:
    """The whole document of `squeue --json` and `scontrol show job --json`."""
    return envelope(prog, {"jobs": [job(row) for row in table.rows()]}, table.now_s)


def envelope(prog: str, content: dict[str, Any], now_s: int) -> str:
    """`content` with meta, errors and warnings beside it."""
    whole = {
        **content,
        "last_update": number(now_s),
        "meta": {
            "plugin": {
                "type": "",
                "name": "",
                "data_parser": "data_parser/v0.0.42",
                "accounting_storage": "",
            },
            "client": {"source": "", "user": "", "group": ""},
            "command": [prog],
            "slurm": {
                "version": {"major": "24", "micro": "0", "minor": "11"},
                "release": "24.11.0",
                "cluster": "",
            },
        },
        "errors": [],
        "warnings": [],
    }
    return wire.dumps_text(whole, 2) + "\n"


def number(value: int, *, unset: bool = False, infinite: bool = False) -> dict[str, Any]:
    """A number object."""
    return {
        "set": not unset and not infinite,
        "infinite": infinite,
        "number": 0 if unset or infinite else value,
    }


def exit_status(code: int, signal: int) -> dict[str, Any]:
    """How something ended."""
    return {
        "status": ["SIGNALED" if signal else "ERROR" if code else "SUCCESS"],
        "return_code": number(code, unset=bool(signal)),
        "signal": {"id": number(signal, unset=not signal), "name": signal_name(signal) if signal else ""},
    }


def job(row: dict[str, Any]) -> dict[str, Any]:
    """One job."""
    pending = row["state"] == "PENDING"
    start = (row["estimated_start_at"] or row["planned_start_at"]) if pending else row["start_at"]
    limit_s = row["time_limit_s"]
    most_s = limit_s + row["suspended_s"]
    end = row["end_at"] or (start + most_s * 1_000_000 if start and limit_s else 0)
    return {
        "account": row["account"],
        "accrue_time": _instant(row["eligible_at"]),
        "admin_comment": "",
        "array_job_id": number(row["array_job_id"]),
        "array_task_id": number(row["array_task_id"], unset=row["array_task_id"] < 0),
        "array_max_tasks": number(row["array_limit"]),
        "array_task_string": row["array_pending"],
        "batch_flag": True,
        "batch_host": row["batch_host"],
        "command": row["command"],
        "comment": row["comment"],
        "contiguous": bool(row["contiguous"]),
        "cores_per_socket": number(0, unset=True),
        "cpus_per_task": number(row["cpus_per_task"]),
        "dependency": row["dependency"],
        "derived_exit_code": exit_status(0, 0),
        "eligible_time": _instant(row["eligible_at"]),
        "end_time": _instant(end),
        "excluded_nodes": row["exc_nodes"],
        "exit_code": exit_status(row["exit_code"], row["exit_signal"]),
        "features": row["features"],
        "flags": [],
        "group_id": row["gid"],
        "group_name": row["group"],
        "hold": row["priority"] == 0 and pending,
        "job_id": row["job_id"],
        "job_resources": None if pending or not row["nodes"] else _resources(row),
        "job_state": [row["state"]],
        "licenses": row["licenses"],
        "max_nodes": number(row["max_nodes"]),
        "memory_per_cpu": number(row["mem_mib_per_cpu"], unset=not row["mem_mib_per_cpu"]),
        "memory_per_node": number(row["mem_mib_per_node"], unset=not row["mem_mib_per_node"]),
        "minimum_cpus_per_node": number(row["min_cpus"]),
        "minimum_tmp_disk_per_node": number(row["tmp_mib"]),
        "name": row["name"],
        "nice": row["nice"],
        "node_count": number(row["n_nodes"]),
        "nodes": row["nodes"],
        "cpus": number(row["n_cpus"]),
        "tasks": number(row["n_tasks"]),
        "tasks_per_node": number(row["tasks_per_node"]),
        "partition": row["partition"],
        "priority": number(row["priority"]),
        "qos": row["qos"],
        "requeue": bool(row["requeue"]),
        "resv_name": row["reservation"],
        "required_nodes": row["req_nodes"],
        "restart_cnt": row["restarts"],
        "scheduled_nodes": "",
        "shared": ["none"] if row["exclusive"] else [],
        "standard_error": job_file(row, "std_err"),
        "standard_input": job_file(row, "std_in"),
        "standard_output": job_file(row, "std_out"),
        "start_time": _instant(start),
        "state_description": "",
        "state_reason": row["reason"],
        "submit_time": _instant(row["submit_at"]),
        "suspend_time": _instant(row["suspended_at"]),
        "threads_per_core": number(0, unset=True),
        "time_limit": number(-(-limit_s // 60), infinite=not limit_s),
        "tres_alloc_str": row["alloc_tres"],
        "tres_per_job": _devices(row["gres_per_job"]),
        "tres_per_node": _devices(row["gres"]),
        "tres_per_task": _devices(row["gres_per_task"]),
        "tres_req_str": row["req_tres"],
        "user_id": row["uid"],
        "user_name": row["user"],
        "current_working_directory": row["work_dir"],
    }


def _instant(micros: int) -> dict[str, Any]:
    return number(micros // 1_000_000)


def _devices(text: str) -> str:
    return ",".join(["gres/" + part for part in text.split(",")]) if text else ""


def _resources(row: dict[str, Any]) -> dict[str, Any]:
    """What the job holds, node by node."""
    from packhorse.scheduler.model.hostlist import expand

    names = expand(row["nodes"])
    cpus = _repeated(row["cpus_per_node"], len(names))
    memory = _repeated(row["mem_per_node"], len(names))
    return {
        "select_type": ["CPU", "CORE", "MEMORY"],
        "nodes": {
            "count": len(names),
            "select_type": ["AVAILABLE"],
            "list": row["nodes"],
            "whole": bool(row["exclusive"]),
            "allocation": [
                {
                    "index": index,
                    "name": name,
                    "cpus": {"count": cpus[index], "used": cpus[index]},
                    "memory": {"used": 0, "allocated": memory[index]},
                    "sockets": [],
                }
                for index, name in enumerate(names)
            ],
        },
        "cpus": row["n_cpus"],
        "threads_per_core": number(0, unset=True),
    }


def _repeated(text: str, n: int) -> list[int]:
    """`4(x2),2` as numbers, one per node."""
    numbers: list[int] = []
    for part in text.split(","):
        value, _, times = part.partition("(x")
        if value:
            numbers.extend([int(value)] * (int(times.rstrip(")")) if times else 1))
    return (numbers + [0] * n)[:n]

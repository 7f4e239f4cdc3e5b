"""Jobs in memory: `job_info` of squeue, scontrol and /slurm/…/jobs."""

from __future__ import annotations

from packhorse.scheduler.model.jobfile import job_file
from packhorse.scheduler.model.shapes.shape import (
    Shape,
    always,
    asked,
    clean_exit,
    counted,
    exit_field,
    inner,
    instant,
    listed,
    no_number,
    no_text,
    no_texts,
    number,
    text,
    truth,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from packhorse.scheduler.model.shapes.shape import Field

    Row = dict[str, Any]

# fmt: off
COLUMNS = (
    "job_id", "array_job_id", "array_task_id", "array_pending", "array_limit", "name", "user", "uid",
    "group", "gid", "account", "partition", "qos", "state", "reason", "priority", "nice", "submit_at",
    "eligible_at", "start_at", "end_at", "planned_start_at", "estimated_start_at", "time_limit_s",
    "restarts", "requeue", "exit_code", "exit_signal", "dependency", "n_nodes", "max_nodes", "n_cpus",
    "n_tasks", "cpus_per_task", "min_cpus", "tasks_per_node", "nodes", "req_nodes", "exc_nodes",
    "batch_host", "mem_mib_per_node", "mem_mib_per_cpu", "tmp_mib", "gres", "gres_per_job",
    "gres_per_task", "gres_detail", "features", "exclusive", "contiguous", "deadline_at",
    "preempt_eligible_at", "preempted_at", "suspended_at", "suspended_s", "licenses", "reservation",
    "work_dir", "std_in", "std_out", "std_err", "command", "comment", "wckey", "mail", "mail_user",
    "submit_host", "alloc_tres", "req_tres", "cpus_per_node", "mem_per_node", "cron",
)
# fmt: on
"""Of ListJobs, what `JOB` is made of."""

STATE_COLUMNS = ("job_id", "array_job_id", "array_task_id", "array_pending", "state")
"""What `STATE` is made of."""


def _start(row: Row) -> int:
    pending = row["state"] == "PENDING"
    return int((row["estimated_start_at"] or row["planned_start_at"]) if pending else row["start_at"])


def _end(row: Row) -> int:
    """When it ended, or has to; 0 where nobody can say."""
    start, limit_s = _start(row), row["time_limit_s"]
    most_s = limit_s + row["suspended_s"]
    return int(row["end_at"] or (start + most_s * 1_000_000 if start and limit_s else 0))


def _at(when: Callable[[Row], int]) -> Field:
    return "number", lambda row: number(when(row) // 1_000_000)


def _file(name: str) -> Field:
    return "text", lambda row: job_file(row, name)


def _devices(column: str) -> Field:
    return "text", lambda row: ",".join(["gres/" + part for part in row[column].split(",") if part])


MAIL_WORDS = {
    "TIME_LIMIT": "TIME=100%",
    "TIME_LIMIT_90": "TIME=90%",
    "TIME_LIMIT_80": "TIME=80%",
    "TIME_LIMIT_50": "TIME=50%",
    "INVALID_DEPEND": "INVALID_DEPENDENCY",
}
"""Words of sbatch for kinds of mail, and those of the data parser where it has others."""


def _mail_types(row: Row) -> list[str]:
    return [MAIL_WORDS.get(word, word) for word in row["mail"].split(",") if word]


def _task_id(row: Row) -> dict[str, Any]:
    return number(row["array_task_id"], unset=row["array_task_id"] < 0)


def _granted(row: Row) -> list[str]:
    """`gpu:1(IDX:0,2),nic:1` cut where a device ends."""
    parts: list[str] = []
    for piece in row["gres_detail"].split(",") if row["gres_detail"] else ():
        if parts and parts[-1].count("(") > parts[-1].count(")"):
            parts[-1] += "," + piece
        else:
            parts.append(piece)
    return parts


def _repeated(text: str, n: int) -> list[int]:
    """`4(x2),2` as numbers, one per node."""
    numbers: list[int] = []
    for part in text.split(","):
        value, _, times = part.partition("(x")
        if value:
            numbers.extend([int(value)] * (int(times.rstrip(")")) if times else 1))
    return (numbers + [0] * n)[:n]


def _allocation(row: Row) -> list[Row]:
    """What the job holds, node by node."""
    from packhorse.scheduler.model.hostlist import expand

    names = expand(row["nodes"])
    cpus = _repeated(row["cpus_per_node"], len(names))
    memory = _repeated(row["mem_per_node"], len(names))
    return [
        {"index": index, "name": name, "cpus": cpus[index], "memory": memory[index]}
        for index, name in enumerate(names)
    ]


def _resources(row: Row) -> dict[str, Any] | None:
    if row["state"] == "PENDING" or not row["nodes"]:
        return None
    allocation = _allocation(row)
    return RESOURCES.of(row | {"allocation": allocation, "count": len(allocation)})


_NODE_CPUS = Shape("job_res_node_cpus", {"count": whole("cpus"), "used": whole("cpus")})
_NODE_MEMORY = Shape("job_res_node_memory", {"used": always("int", 0), "allocated": whole("memory")})
_CORE = Shape("job_res_core", {"index": whole("index"), "status": no_texts()})
_SOCKET = Shape("job_res_socket", {"index": whole("index"), "cores": listed(_CORE, "cores")})
_NODE = Shape(
    "job_res_node",
    {
        "index": whole("index"),
        "name": text("name"),
        "cpus": inner(_NODE_CPUS),
        "memory": inner(_NODE_MEMORY),
        "sockets": always(("list", _SOCKET), []),
    },
)
_NODES = Shape(
    "job_res_nodes",
    {
        "count": whole("count"),
        "select_type": always("texts", ["AVAILABLE"]),
        "list": text("nodes"),
        "whole": truth("exclusive"),
        "allocation": listed(_NODE, "allocation"),
    },
)
RESOURCES = Shape(
    "job_res",
    {
        "select_type": always("texts", ["CPU", "CORE", "MEMORY"]),
        "nodes": inner(_NODES),
        "cpus": whole("n_cpus"),
        "threads_per_core": no_number(),
    },
)

_PARTITION = Shape("part_prio", {"partition": text("partition"), "priority": whole("priority")})
_POWER = Shape("job_info_power", {"flags": no_texts()})

JOB = Shape(
    "job_info",
    {
        "account": text("account"),
        "accrue_time": instant("eligible_at"),
        "admin_comment": no_text(),
        "allocating_node": text("submit_host"),
        "array_job_id": counted("array_job_id"),
        "array_task_id": ("number", _task_id),
        "array_max_tasks": counted("array_limit"),
        "array_task_string": text("array_pending"),
        "association_id": always("int", 0),
        "batch_features": no_text(),
        "batch_flag": always("bool", True),
        "batch_host": text("batch_host"),
        "flags": no_texts(),
        "burst_buffer": no_text(),
        "burst_buffer_state": no_text(),
        "cluster": ("text", lambda row: row.get("cluster", "")),
        "cluster_features": no_text(),
        "command": text("command"),
        "comment": text("comment"),
        "container": no_text(),
        "container_id": no_text(),
        "contiguous": truth("contiguous"),
        "core_spec": always("int", 0),
        "thread_spec": always("int", 0),
        "cores_per_socket": no_number(),
        "billable_tres": ("float_number", lambda row: number(_billing(row), unset=not row["nodes"])),
        "cpus_per_task": counted("cpus_per_task"),
        "cpu_frequency_minimum": no_number(),
        "cpu_frequency_maximum": no_number(),
        "cpu_frequency_governor": no_number(),
        "cpus_per_tres": no_text(),
        "cron": text("cron"),
        "deadline": instant("deadline_at"),
        "delay_boot": no_number(),
        "dependency": text("dependency"),
        "derived_exit_code": clean_exit(),
        "eligible_time": instant("eligible_at"),
        "end_time": _at(_end),
        "excluded_nodes": text("exc_nodes"),
        "exit_code": exit_field("exit_code", "exit_signal"),
        "extra": no_text(),
        "failed_node": no_text(),
        "features": text("features"),
        "federation_origin": no_text(),
        "federation_siblings_active": no_text(),
        "federation_siblings_viable": no_text(),
        "gres_detail": ("texts", _granted),
        "group_id": whole("gid"),
        "group_name": text("group"),
        "het_job_id": no_number(),
        "het_job_id_set": no_text(),
        "het_job_offset": no_number(),
        "hold": ("bool", lambda row: row["priority"] == 0 and row["state"] == "PENDING"),
        "job_id": whole("job_id"),
        "job_resources": (("nullable", RESOURCES), _resources),
        "job_size_str": no_texts(),
        "job_state": ("texts", lambda row: [row["state"]]),
        "last_sched_evaluation": no_number(),
        "licenses": text("licenses"),
        "mail_type": ("texts", _mail_types),
        "mail_user": text("mail_user"),
        "max_cpus": no_number(),
        "max_nodes": counted("max_nodes"),
        "mcs_label": no_text(),
        "memory_per_tres": no_text(),
        "memory_per_cpu": asked("mem_mib_per_cpu"),
        "memory_per_node": asked("mem_mib_per_node"),
        "minimum_cpus_per_node": counted("min_cpus"),
        "minimum_tmp_disk_per_node": counted("tmp_mib"),
        "name": text("name"),
        "network": no_text(),
        "nice": whole("nice"),
        "node_count": counted("n_nodes"),
        "nodes": text("nodes"),
        "cpus": counted("n_cpus"),
        "tasks": counted("n_tasks"),
        "tasks_per_node": counted("tasks_per_node"),
        "tasks_per_core": no_number(),
        "tasks_per_socket": no_number(),
        "tasks_per_board": no_number(),
        "tasks_per_tres": no_number(),
        "partition": text("partition"),
        "power": inner(_POWER),
        "preempt_time": instant("preempted_at"),
        "preemptable_time": instant("preempt_eligible_at"),
        "pre_sus_time": no_number(),
        "prefer": no_text(),
        "priority": counted("priority"),
        "priority_by_partition": always(("list", _PARTITION), []),
        "profile": no_texts(),
        "qos": text("qos"),
        "reboot": always("bool", False),
        "requeue": truth("requeue"),
        "required_switches": always("int", 0),
        "resize_time": no_number(),
        "resv_name": text("reservation"),
        "required_nodes": text("req_nodes"),
        "restart_cnt": whole("restarts"),
        "scheduled_nodes": no_text(),
        "selinux_context": no_text(),
        "shared": ("texts", lambda row: ["none"] if row["exclusive"] else []),
        "sockets_per_board": always("int", 0),
        "sockets_per_node": no_number(),
        "standard_error": _file("std_err"),
        "standard_input": _file("std_in"),
        "standard_output": _file("std_out"),
        "start_time": _at(_start),
        "state_description": no_text(),
        "state_reason": text("reason"),
        "submit_time": instant("submit_at"),
        "suspend_time": instant("suspended_at"),
        "system_comment": no_text(),
        "threads_per_core": no_number(),
        "time_limit": ("number", lambda row: _minutes(row["time_limit_s"])),
        "time_minimum": no_number(),
        "tres_alloc_str": text("alloc_tres"),
        "tres_bind": no_text(),
        "tres_freq": no_text(),
        "tres_per_job": _devices("gres_per_job"),
        "tres_per_node": _devices("gres"),
        "tres_per_socket": no_text(),
        "tres_per_task": _devices("gres_per_task"),
        "tres_req_str": text("req_tres"),
        "user_id": whole("uid"),
        "user_name": text("user"),
        "maximum_switch_wait_time": always("int", 0),
        "wckey": text("wckey"),
        "current_working_directory": text("work_dir"),
    },
)


def _billing(row: Row) -> float:
    """Of what it holds."""
    for part in row["alloc_tres"].split(","):
        name, _, amount = part.partition("=")
        if name == "billing":
            return float(amount)
    return 0.0


def _minutes(limit_s: int) -> dict[str, Any]:
    return number(-(-limit_s // 60), infinite=not limit_s)


STATE = Shape(
    "job_info_state",
    {
        "job_id": whole("job_id"),
        "array_job_id": counted("array_job_id"),
        "array_task_id": ("number", _task_id),
        "array_task_string": text("array_pending"),
        "job_state": ("texts", lambda row: [row["state"]]),
    },
)
"""What is answered of many jobs quickly: a part of `JOB`."""

"""The raw columns of accounting, and the fields of sacct made from them.

A row is one attempt of a job, or a step of one (row_kind). Instants are microseconds since the epoch, 0
where unknown; a measurement that was not made is -1.
"""

from __future__ import annotations

ACCOUNTING_COLUMNS = {
    "row_kind": "text",  # job, step
    "step": "text",  # of step rows: "batch", "0" ...
    "job_id": "int",
    "array_job_id": "int",  # 0: not of an array
    "array_task_id": "int",  # -1: not an element with a number of its own
    "array_pending": "text",  # the waiting remainder of an array as one row
    "name": "text",
    "user": "text",
    "uid": "int",
    "group": "text",
    "gid": "int",
    "account": "text",
    "partition": "text",
    "qos": "text",
    "cluster": "text",
    "state": "text",  # Slurm's long word; REQUEUED for an attempt that was run again
    "reason": "text",
    "cancelled_by": "int",  # uid, -1: nobody
    "exit_code": "int",
    "exit_signal": "int",
    "derived_exit_code": "int",
    "derived_exit_signal": "int",
    "submit_at": "int",
    "eligible_at": "int",
    "start_at": "int",
    "end_at": "int",
    "suspended_s": "int",
    "time_limit_s": "int",  # 0: none
    "priority": "int",
    "restarts": "int",
    "n_nodes": "int",
    "req_nodes": "int",  # how many were asked for
    "alloc_cpus": "int",
    "req_cpus": "int",
    "n_tasks": "int",
    "nodes": "text",
    "alloc_tres": "text",
    "req_tres": "text",
    "user_cpu_us": "int",
    "system_cpu_us": "int",
    "max_rss_kib": "int",
    "max_rss_node": "text",
    "ave_rss_kib": "int",
    "max_vm_kib": "int",
    "ave_vm_kib": "int",
    "disk_read_bytes": "int",
    "disk_write_bytes": "int",
    "features": "text",
    "comment": "text",
    "work_dir": "text",
    "submit_line": "text",
}

"""The raw columns of jobs, and the fields of squeue made from them.

Instants are microseconds since the epoch, 0 where unknown; -1 marks "none" where 0 means something.
"""

from __future__ import annotations

JOB_COLUMNS = {
    "job_id": "int",
    "array_job_id": "int",  # 0: not of an array
    "array_task_id": "int",  # -1: not an element with a number of its own
    "array_pending": "text",  # "4-7%2": the waiting remainder of an array as one row, "" otherwise
    "array_limit": "int",  # elements that may run at once, 0: all
    "name": "text",
    "user": "text",
    "uid": "int",
    "group": "text",
    "gid": "int",
    "account": "text",
    "partition": "text",
    "qos": "text",
    "state": "text",  # Slurm's long word
    "reason": "text",  # Slurm's word or phrase, "None" where there is nothing to say
    "reason_text": "text",  # our whole sentence
    "priority": "int",
    "nice": "int",
    "submit_at": "int",
    "eligible_at": "int",
    "begin_at": "int",  # not before
    "start_at": "int",  # of the current or last run
    "end_at": "int",  # 0 while not ended
    "planned_start_at": "int",
    "planned_nodes": "text",  # where the planned start would be
    "last_sched_at": "int",
    "time_limit_s": "int",  # 0: none
    "restarts": "int",
    "requeue": "int",
    "exit_code": "int",
    "exit_signal": "int",
    "dependency": "text",  # "afterok:4(failed)", "" for none
    "n_nodes": "int",
    "max_nodes": "int",  # as asked, 0: as many as it takes
    "n_cpus": "int",
    "n_tasks": "int",
    "cpus_per_task": "int",
    "min_cpus": "int",  # per node, at least 1
    "tasks_per_node": "int",  # 0: not set
    "nodes": "text",  # host list, "" while waiting
    "req_nodes": "text",
    "exc_nodes": "text",
    "batch_host": "text",
    "mem_mib_per_node": "int",  # 0: not set
    "mem_mib_per_cpu": "int",  # 0: not set
    "tmp_mib": "int",
    "gres": "text",  # as asked per node: "gpu:1"
    "gres_per_job": "text",
    "gres_per_task": "text",
    "gres_detail": "text",  # devices granted: "gpu:1(IDX:0)"
    "features": "text",
    "exclusive": "int",
    "contiguous": "int",
    "licenses": "text",
    "work_dir": "text",
    "std_in": "text",  # pattern as submitted; "" for the default
    "std_out": "text",
    "std_err": "text",
    "command": "text",  # path of the script, "" for --wrap and standard input
    "comment": "text",
    "submit_host": "text",
    "alloc_tres": "text",  # "cpu=2,mem=1000M,node=1,billing=2,gres/gpu=1", "" while waiting
    "req_tres": "text",
    "cpus_per_node": "text",  # "4(x2),2" in the order of nodes, "" while waiting
    "mem_per_node": "text",  # MiB, same form
    "submit_line": "text",
}

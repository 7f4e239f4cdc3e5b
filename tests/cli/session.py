"""The jobs and nodes of one scripted Slurm session, as raw rows: the same cluster whose answers are known.

Two nodes of 8 CPUs and 16000 MiB, the second with two GPUs and being drained; it is 05:53:22 of 23 November
2026.
"""

import calendar
from typing import Any

from packhorse.cli.slurm.fields_accounting import ACCOUNTING_COLUMNS
from packhorse.cli.slurm.fields_jobs import JOB_COLUMNS
from packhorse.cli.slurm.fields_nodes import NODE_COLUMNS, PARTITION_COLUMNS, RESERVATION_COLUMNS
from packhorse.cli.slurm.step_columns import STEP_COLUMNS

Row = dict[str, Any]


def at(clock: str) -> int:
    """Microseconds of a time of that day."""
    hour, minute, second = (int(part) for part in clock.split(":"))
    return calendar.timegm((2026, 11, 23, hour, minute, second)) * 1_000_000


NOW_S = at("05:53:22") // 1_000_000
MINUTE = 60


def _row(columns: dict[str, str], values: Row) -> Row:
    unknown = values.keys() - columns.keys()
    assert not unknown, unknown
    return {name: values.get(name, 0 if kind == "int" else "") for name, kind in columns.items()}


def job(job_id: int, name: str, **values: Any) -> Row:
    """One job of user root, pending unless said otherwise."""
    cpus, nodes = values.get("n_cpus", 1), values.get("n_nodes", 1)
    mem = f"{values['mem_mib_per_node'] * nodes}M" if "mem_mib_per_node" in values else f"{500 * cpus}M"
    base: Row = {
        "job_id": job_id,
        "array_task_id": -1,
        "name": name,
        "user": "root",
        "group": "root",
        "account": "lab",
        "partition": "normal",
        "qos": "normal",
        "state": "PENDING",
        "reason": "None",
        "priority": 10100,
        "submit_at": at("05:52:31"),
        "time_limit_s": 60 * MINUTE,
        "requeue": 1,
        "n_nodes": 1,
        "n_cpus": 1,
        "n_tasks": 1,
        "cpus_per_task": 1,
        "min_cpus": 1,
        "mem_mib_per_cpu": 0 if "mem_mib_per_node" in values else 500,
        "work_dir": "/srv/demo",
        "command": "/srv/demo/sleep.sh",
        "submit_host": "localhost",
        "req_tres": f"cpu={cpus},mem={mem},node={nodes},billing={cpus}",
    }
    if values.get("state", "PENDING") != "PENDING" and values.get("nodes"):
        base["alloc_tres"] = base["req_tres"]
        base["cpus_per_node"] = str(cpus) if nodes == 1 else f"{cpus // nodes}(x{nodes})"
        base["mem_per_node"] = "500"
    return _row(JOB_COLUMNS, {**base, **values})


def _running(job_id: int, name: str, start: str, nodes: str, **values: Any) -> Row:
    base: Row = {
        "state": "RUNNING",
        "start_at": at(start),
        "eligible_at": at("05:52:31"),
        "nodes": nodes,
        "batch_host": "node1" if "1" in nodes else nodes,
    }
    return job(job_id, name, **{**base, **values})


THROTTLED: Row = {"array_job_id": 9, "array_limit": 2, "mem_mib_per_node": 100, "time_limit_s": 10 * MINUTE}
NO_NODES = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"

WAITING = [
    job(9, "thr", **THROTTLED, array_pending="4-7%2", reason="JobArrayTaskLimit", std_out="thr-%a.out"),
    job(12, "held", priority=0, reason="JobHeldUser", time_limit_s=20 * MINUTE, comment="changed"),
    job(13, "later", reason="BeginTime", begin_at=at("06:52:31"), time_limit_s=5 * MINUTE),
    job(
        14,
        "never",
        reason="DependencyNeverSatisfied",
        dependency="afterok:4(failed)",
        time_limit_s=5 * MINUTE,
    ),
    job(
        15,
        "after",
        reason="Dependency",
        dependency="afterany:11(unfulfilled),afterany:12(unfulfilled)",
        time_limit_s=5 * MINUTE,
    ),
    job(16, "overlimit", reason="PartitionTimeLimit", time_limit_s=2 * 86400),
    job(17, "big", reason=NO_NODES, n_nodes=2, n_cpus=2, exclusive=1, time_limit_s=20 * MINUTE),
    job(
        18,
        "behind",
        reason="Priority",
        n_nodes=2,
        n_cpus=16,
        priority=10000,
        nice=100,
        time_limit_s=20 * MINUTE,
        req_tres="cpu=16,mem=8000M,node=1,billing=16",
    ),
    job(
        19,
        "urgent",
        reason="job requeued in held state",
        partition="high",
        qos="long",
        priority=0,
        n_cpus=2,
        submit_at=at("05:53:01"),
        begin_at=at("05:55:02"),
        time_limit_s=20 * MINUTE,
        std_out="urgent.out",
        restarts=1,
    ),
    job(
        21,
        "sleep.sh",
        reason="PartitionConfig",
        n_nodes=8,
        n_cpus=64,
        submit_at=at("05:52:32"),
        req_tres="cpu=64,mem=32000M,node=1,billing=64",
    ),
    job(22, "sleep.sh", reason="PartitionConfig", n_cpus=64, submit_at=at("05:52:32")),
    job(23, "sleep.sh", reason="PartitionNodeLimit", n_nodes=9, n_cpus=9, submit_at=at("05:52:32")),
    job(
        58,
        "requeued",
        reason="BeginTime",
        submit_at=at("05:53:00"),
        begin_at=at("05:55:01"),
        time_limit_s=10 * MINUTE,
        std_out="requeued.out",
        restarts=1,
        eligible_at=at("05:55:01"),
    ),
    job(
        63,
        "ondrained",
        reason="ReqNodeNotAvail, UnavailableNodes:node2",
        req_nodes="node2",
        submit_at=at("05:53:10"),
        time_limit_s=5 * MINUTE,
    ),
]

RUNNING = [
    _running(1, "toolong", "05:52:34", "node1", time_limit_s=MINUTE, std_out="toolong.out"),
    _running(38, "thr", "05:52:35", "node1", **THROTTLED, array_task_id=2, std_out="thr-%a.out"),
    _running(
        11,
        "wide",
        "05:52:35",
        "node[1-2]",
        n_nodes=2,
        n_cpus=4,
        n_tasks=4,
        time_limit_s=30 * MINUTE,
        std_out="wide.out",
        comment="two nodes",
        command="",
    ),
    _running(
        62,
        "thr",
        "05:53:01",
        "node1",
        **THROTTLED,
        array_task_id=3,
        std_out="thr-%a.out",
        eligible_at=at("05:53:01"),
    ),
]

ENDED = [
    _running(
        4,
        "fails",
        "05:52:34",
        "node1",
        state="FAILED",
        reason="NonZeroExitCode",
        exit_code=3,
        end_at=at("05:52:34"),
        time_limit_s=5 * MINUTE,
        std_out="fails.out",
        command="",
    ),
    _running(
        5,
        "killed",
        "05:52:34",
        "node1",
        state="FAILED",
        reason="JobLaunchFailure",
        exit_signal=9,
        end_at=at("05:52:34"),
        time_limit_s=5 * MINUTE,
        std_out="killed.out",
        command="",
    ),
    _running(
        20,
        "gpu",
        "05:52:35",
        "node2",
        state="COMPLETED",
        end_at=at("05:53:15"),
        time_limit_s=5 * MINUTE,
        std_out="gpu.out",
        command="",
        gres="gpu:1",
        gres_detail="gpu:1(IDX:0)",
        alloc_tres="cpu=1,mem=500M,node=1,billing=1,gres/gpu=1",
    ),
]

JOBS = WAITING + RUNNING


def _node(name: str, **values: Any) -> Row:
    base: Row = {
        "name": name,
        "host_name": "vm",
        "addr": "127.0.0.1",
        "cpus": 8,
        "mem_mib": 16000,
        "cpu_load_milli": 300,
        "weight": 1,
        "boards": 1,
        "sockets": 1,
        "cores": 8,
        "threads": 1,
        "boot_at": at("03:45:19"),
        "agent_start_at": at("05:52:31"),
        "last_busy_at": at("05:52:31"),
        "partitions": "normal,high",
        "version": "22.05.8",
        "arch": "x86_64",
        "os": "Linux 6.18.44-fc-v669 #1 SMP PREEMPT_DYNAMIC @0",
        "reason_uid": -1,
    }
    return _row(NODE_COLUMNS, {**base, **values})


NODES = [
    _node(
        "node1",
        state="MIXED",
        port=44683,
        cpus_alloc=5,
        mem_alloc_mib=2200,
        mem_free_mib=23497,
        features="cpu",
        cfg_tres="cpu=8,mem=16000M,billing=8",
        alloc_tres="cpu=5,mem=2200M",
    ),
    _node(
        "node2",
        state="DRAINING",
        port=34009,
        cpus_alloc=2,
        mem_alloc_mib=1000,
        mem_free_mib=23496,
        features="cpu,gpu",
        gres="gpu:2",
        gres_used="gpu:0",
        reason="replace fan",
        reason_user="root",
        reason_uid=0,
        reason_at=at("05:53:10"),
        cfg_tres="cpu=8,mem=16000M,billing=8,gres/gpu=2",
        alloc_tres="cpu=2,mem=1000M",
    ),
]


def _partition(name: str, **values: Any) -> Row:
    base: Row = {
        "name": name,
        "state": "UP",
        "nodes": "node[1-2]",
        "total_cpus": 16,
        "total_nodes": 2,
        "def_mem_mib_per_cpu": 500,
        "priority_tier": 1,
        "priority_factor": 1,
        "tres": "cpu=16,mem=32000M,node=2,billing=16,gres/gpu=2",
    }
    return _row(PARTITION_COLUMNS, {**base, **values})


PARTITIONS = [
    _partition("normal", is_default=1, max_time_s=86400, default_time_s=3600),
    _partition("high", default_time_s=1800, priority_tier=10, priority_factor=10),
]


def _attempt(job_id: int, name: str, **values: Any) -> list[Row]:
    """The row of a job and that of its batch step."""
    base: Row = {
        "row_kind": "job",
        "job_id": job_id,
        "array_task_id": -1,
        "name": name,
        "user": "root",
        "group": "root",
        "account": "lab",
        "partition": "normal",
        "qos": "normal",
        "cluster": "demo",
        "state": "COMPLETED",
        "reason": "None",
        "cancelled_by": -1,
        "submit_at": at("05:52:31"),
        "eligible_at": at("05:52:31"),
        "start_at": at("05:52:34"),
        "end_at": at("05:52:34"),
        "time_limit_s": 5 * MINUTE,
        "priority": 10100,
        "n_nodes": 1,
        "req_nodes": 1,
        "alloc_cpus": 1,
        "req_cpus": 1,
        "n_tasks": 1,
        "nodes": "node1",
        "alloc_tres": "cpu=1,mem=500M,node=1,billing=1",
        "req_tres": "cpu=1,mem=500M,node=1,billing=1",
        "user_cpu_us": 13000,
        "system_cpu_us": 13000,
        "max_rss_kib": -1,
        "ave_rss_kib": -1,
        "max_vm_kib": -1,
        "ave_vm_kib": -1,
        "disk_read_bytes": -1,
        "disk_write_bytes": -1,
        "max_cache_kib": -1,
        "gpu_ms": -1,
        "gpu_busy_ms": -1,
        "gpu_max_mem_mib": -1,
        "gpu_energy_mj": -1,
        "gpu_gflop": -1,
        "gpu_peak_gflop": -1,
        "attempt": 1,
        "mem_mib": 500,
        "work_dir": "/srv/demo",
        "submit_line": f"sbatch {name}.sh",
    }
    whole = {**base, **{key: value for key, value in values.items() if not key.startswith("step_")}}
    step: Row = {
        **whole,
        "row_kind": "step",
        "step": "batch",
        "name": "batch",
        "cancelled_by": -1,
        "submit_at": whole["start_at"],
        "eligible_at": whole["start_at"],
        "alloc_tres": "cpu=1,mem=500M,node=1",
        "req_tres": "",
        "submit_line": "",
        **{key[5:]: value for key, value in values.items() if key.startswith("step_")},
    }
    rows = [_row(ACCOUNTING_COLUMNS, whole)]
    if whole["start_at"]:
        rows.append(_row(ACCOUNTING_COLUMNS, step))
    return rows


def _element(job_id: int, index: int, code: int) -> list[Row]:
    return _attempt(
        job_id,
        "arr",
        array_job_id=8,
        array_task_id=index,
        nodes="node2",
        exit_code=code,
        state="FAILED" if code else "COMPLETED",
    )


ACCOUNTING: dict[str, list[Row]] = {
    "4": _attempt(4, "fails", state="FAILED", exit_code=3),
    "5": _attempt(5, "killed", state="FAILED", exit_signal=9, step_state="CANCELLED"),
    "8": [row for index in range(6) for row in _element(8 if index == 5 else 32 + index, index, index % 2)],
    "8_3": _element(35, 3, 1),
    "11": _attempt(
        11,
        "wide",
        state="RUNNING",
        end_at=0,
        start_at=at("05:52:35"),
        time_limit_s=30 * MINUTE,
        n_nodes=2,
        req_nodes=2,
        alloc_cpus=4,
        req_cpus=4,
        nodes="node[1-2]",
        alloc_tres="cpu=4,mem=2000M,node=2,billing=4",
        req_tres="cpu=4,mem=2000M,node=2,billing=4",
        step_alloc_cpus=2,
        mem_mib=2000,
        step_nodes="node1",
        step_max_rss_kib=10500,
        step_disk_read_bytes=29621,
    ),
    "16": _attempt(
        16,
        "overlimit",
        state="PENDING",
        reason="PartitionTimeLimit",
        start_at=0,
        end_at=0,
        nodes="",
        alloc_tres="",
        time_limit_s=2 * 86400,
    ),
    "60": _attempt(
        60, "cancelrun", state="CANCELLED", cancelled_by=0, step_state="CANCELLED", step_exit_signal=15
    ),
    "61": _attempt(61, "cancelpd", state="CANCELLED", cancelled_by=0, start_at=0, nodes="", alloc_tres=""),
}

MEASURED: dict[str, list[Row]] = {
    "12": _attempt(
        12,
        "train",
        state="RUNNING",
        end_at=0,
        start_at=at("05:12:35"),
        alloc_cpus=8,
        req_cpus=8,
        mem_mib=65536,
        alloc_tres="cpu=8,mem=64G,node=1,billing=8,gres/gpu=2,gres/gpu:h200=2",
        req_tres="cpu=8,mem=64G,node=1,billing=8,gres/gpu=2",
        user_cpu_us=9_000_000_000,
        system_cpu_us=600_400_000,
        gpu_energy_mj=3_012_345_678,
        step_max_rss_kib=33 << 20,
        step_max_rss_node="node1",
        step_ave_rss_kib=33 << 20,
        step_max_vm_kib=90 << 20,
        step_ave_vm_kib=90 << 20,
        step_disk_read_bytes=5 << 30,
        step_disk_write_bytes=70_123_456,
        step_gpu_ms=4_780_000,
        step_gpu_busy_ms=3_585_000,
        step_gpu_max_mem_mib=91_000,
        step_gpu_gflop=1_418_799_600,
        step_gpu_peak_gflop=4_729_332_000,
    ),
    "13": _attempt(
        13,
        "shared",
        start_at=at("05:42:34"),
        alloc_tres="cpu=1,mem=500M,node=1,billing=1,gres/gpu=1",
        step_max_rss_kib=256_000,
        step_ave_rss_kib=256_000,
    ),
}
"""Jobs with GPUs: one that tells everything, one whose GPU is shared and tells nothing."""

RESERVATIONS = [
    _row(
        RESERVATION_COLUMNS,
        {
            "name": "maint",
            "state": "INACTIVE",
            "start_at": at("07:53:01"),
            "end_at": at("08:53:01"),
            "nodes": "node1",
            "n_nodes": 1,
            "cores": 8,
            "cpus": 8,
            "whole": 1,
            "flags": "MAINT,SPEC_NODES",
            "users": "root",
            "purge_after_s": -1,
        },
    )
]
"""The one that the session made."""


def _step(job_id: int, step: str, start: str, nodes: str = "node1", **values: Any) -> Row:
    base: Row = {
        "job_id": job_id,
        "array_task_id": -1,
        "step": step,
        "name": step,
        "partition": "normal",
        "user": "root",
        "state": "RUNNING",
        "start_at": at(start),
        "n_nodes": 1,
        "n_cpus": 1,
        "n_tasks": 1,
        "nodes": nodes,
    }
    return _row(STEP_COLUMNS, {**base, **values})


STEPS = [
    _step(1, "batch", "05:52:34"),
    _step(38, "batch", "05:52:35", array_job_id=9, array_task_id=2),
    _step(11, "batch", "05:52:35"),
    _step(
        11,
        "0",
        "05:52:35",
        "node[1-2]",
        name="sleep",
        n_nodes=2,
        n_cpus=4,
        n_tasks=4,
        alloc_tres="cpu=4,mem=2000M,node=2",
        layout="Block",
        submit_host="vm",
    ),
    _step(62, "batch", "05:53:01", array_job_id=9, array_task_id=3),
]
"""What ran of the session's jobs, job 59 apart."""


def steps(body: dict[str, Any]) -> list[Row]:
    """Those that are asked for."""
    refs = body.get("jobs", [])
    return [
        row
        for row in STEPS
        if not refs
        or any(
            ref["jobId"] in (row["job_id"], row["array_job_id"])
            and str(ref.get("step", row["step"])) == row["step"]
            for ref in refs
        )
    ]

"""Nodes as JSON, in the shape of Slurm 24.11's data parser v0.0.42."""

from __future__ import annotations

from packhorse.cli.slurm.json_jobs import envelope, number
from packhorse.cli.slurm.sinfo_fields import full_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def document(prog: str, nodes: list[dict[str, Any]], now_s: int) -> str:
    """The whole document of `sinfo --json` and `scontrol show node --json`."""
    return envelope(prog, {"nodes": [node(row) for row in nodes]}, now_s)


def node(row: dict[str, Any]) -> dict[str, Any]:
    """One node. Measurements that were not made are 0 (`cpu_load`) or not set."""
    usable = row["state"] in ("IDLE", "MIXED", "ALLOCATED")
    idle = max(row["cpus"] - row["cpus_alloc"], 0) if usable else 0
    return {
        "architecture": row["arch"],
        "boards": row["boards"],
        "boot_time": number(row["boot_at"] // 1_000_000),
        "cores": row["cores"],
        "cpu_load": max(row["cpu_load_milli"], 0) // 10,
        "free_mem": number(max(row["mem_free_mib"], 0), unset=row["mem_free_mib"] < 0),
        "free_memory": max(row["mem_free_mib"], 0),
        "cpus": row["cpus"],
        "features": row["features"].split(",") if row["features"] else [],
        "active_features": row["features"].split(",") if row["features"] else [],
        "gres": row["gres"],
        "gres_used": row["gres_used"],
        "last_busy": number(row["last_busy_at"] // 1_000_000),
        "name": row["name"],
        "operating_system": row["os"],
        "state": full_state(row).split("+"),
        "hostname": row["host_name"],
        "address": row["addr"],
        "port": row["port"],
        "partitions": row["partitions"].split(",") if row["partitions"] else [],
        "real_memory": row["mem_mib"],
        "reason": row["reason"],
        "reason_changed_at": number(row["reason_at"] // 1_000_000),
        "reason_set_by_user": row["reason_user"],
        "slurmd_start_time": number(row["agent_start_at"] // 1_000_000),
        "sockets": row["sockets"],
        "threads": row["threads"],
        "temporary_disk": row["tmp_mib"],
        "weight": row["weight"],
        "tres": row["cfg_tres"],
        "tres_used": row["alloc_tres"],
        "alloc_memory": row["mem_alloc_mib"],
        "alloc_cpus": row["cpus_alloc"],
        "alloc_idle_cpus": idle,
        "idle_cpus": idle,
        "version": row["version"],
    }

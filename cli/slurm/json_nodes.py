"""Nodes as JSON, in the shape of Slurm 24.11's data parser v0.0.42."""

from __future__ import annotations

from packhorse.cli.slurm.json_jobs import envelope, number
from packhorse.cli.slurm.show_node import devices_of
from packhorse.cli.slurm.sinfo_fields import full_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def document(prog: str, nodes: list[dict[str, Any]], now_s: int) -> str:
    """The whole document of `sinfo --json` and `scontrol show node --json`."""
    return envelope(prog, {"nodes": [node(row) for row in nodes]}, now_s)


def license_document(prog: str, rows: list[dict[str, Any]], now_s: int) -> str:
    """The whole document of `scontrol show lic --json`."""
    found = [
        {
            "LicenseName": row["name"],
            "Total": row["total"],
            "Used": row["used"],
            "Free": row["free"],
            "Remote": False,
            "Reserved": 0,
            "LastConsumed": 0,
            "LastDeficit": 0,
            "LastUpdate": number(0),
        }
        for row in rows
    ]
    return envelope(prog, {"licenses": found}, now_s)


def node(row: dict[str, Any]) -> dict[str, Any]:
    """One node. Measurements that were not made are 0 (`cpu_load`) or not set."""
    usable = row["state"] in ("IDLE", "MIXED", "ALLOCATED")
    idle = max(row["cpus"] - row["cpus_alloc"], 0) if usable else 0
    found = {
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
        "reservation": row["reservation"],
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
    # Ours, not Slurm's.
    if row["devices"]:
        found["packhorse_devices"] = [_device(entry) for entry in devices_of(row)]
    if row["warnings"]:
        found["packhorse_warnings"] = row["warnings"].splitlines()
    if row["isolation"]:
        found["packhorse_isolation"] = row["isolation"]
    if row["topology"]:
        found["packhorse_topology"] = row["topology"].split("/")
    return found


def _device(entry: dict[str, Any]) -> dict[str, Any]:
    """One device, every field there. used_milli: thousandths; in_use: `SLICE#NUMBER:JOB` each."""
    return {
        "kind": entry["kind"],
        "index": entry["index"],
        "type": entry.get("type", ""),
        "declared": entry.get("declared", False),
        "memory_mib": entry.get("mem_mib", 0),
        "numa_node": number(max(entry.get("numa", -1), 0), unset=entry.get("numa", -1) < 0),
        "link_group": number(max(entry.get("link", -1), 0), unset=entry.get("link", -1) < 0),
        "used_milli": entry.get("used", 0),
        "jobs": entry.get("jobs", []),
        "layouts": entry.get("layouts", []),
        "layout": entry.get("layout", ""),
        "in_use": entry.get("in_use", []),
        "dead": entry.get("dead", ""),
    }

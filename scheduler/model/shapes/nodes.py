"""Nodes and partitions: `node` of sinfo, scontrol and /slurm/…/nodes, `partition_info`."""

from __future__ import annotations

from packhorse.scheduler.model.nodestate import full_state
from packhorse.scheduler.model.shapes.shape import (
    Shape,
    always,
    asked,
    bounded,
    inner,
    instant,
    no_number,
    no_text,
    no_texts,
    number,
    split,
    text,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Row = dict[str, Any]


def _idle(row: Row) -> int:
    usable = row["state"] in ("IDLE", "MIXED", "ALLOCATED")
    return max(row["cpus"] - row["cpus_alloc"], 0) if usable else 0


def _or_unset(name: str) -> tuple[str, Any]:
    """A number of a device that is -1 where it is not known."""
    return "number", lambda row: number(max(row.get(name, -1), 0), unset=row.get(name, -1) < 0)


_DEVICE = Shape(
    "packhorse_device",
    {
        "kind": text("kind"),
        "index": whole("index"),
        "type": ("text", lambda row: row.get("type", "")),
        "declared": ("bool", lambda row: row.get("declared", False)),
        "memory_mib": ("int", lambda row: row.get("mem_mib", 0)),
        "numa_node": _or_unset("numa"),
        "link_group": _or_unset("link"),
        "used_milli": ("int", lambda row: row.get("used", 0)),
        "jobs": ("ints", lambda row: row.get("jobs", [])),
        "layouts": ("texts", lambda row: row.get("layouts", [])),
        "layout": ("text", lambda row: row.get("layout", "")),
        "in_use": ("texts", lambda row: row.get("in_use", [])),
        "dead": ("text", lambda row: row.get("dead", "")),
    },
)
"""Ours. used_milli: thousandths; in_use: `SLICE#NUMBER:JOB` each."""


def _devices(row: Row) -> list[dict[str, Any]] | None:
    if not row["devices"]:
        return None
    from json import loads

    return [_DEVICE.of(entry) for entry in loads(row["devices"])]


_ENERGY = Shape(
    "acct_gather_energy",
    {
        "average_watts": always("int", 0),
        "base_consumed_energy": always("int", 0),
        "consumed_energy": always("int", 0),
        "current_watts": no_number(),
        "previous_consumed_energy": always("int", 0),
        "last_collected": always("int", 0),
    },
)

NODE = Shape(
    "node",
    {
        "architecture": text("arch"),
        "burstbuffer_network_address": no_text(),
        "boards": whole("boards"),
        "boot_time": instant("boot_at"),
        "cluster_name": no_text(),
        "cores": whole("cores"),
        "specialized_cores": always("int", 0),
        "cpu_binding": always("int", 0),
        "cpu_load": ("int", lambda row: max(row["cpu_load_milli"], 0) // 10),
        "free_mem": (
            "number",
            lambda row: number(max(row["mem_free_mib"], 0), unset=row["mem_free_mib"] < 0),
        ),
        "free_memory": ("int", lambda row: max(row["mem_free_mib"], 0)),
        "cpus": whole("cpus"),
        "effective_cpus": whole("cpus"),
        "specialized_cpus": no_text(),
        "energy": inner(_ENERGY),
        "external_sensors": always(("map", "any"), {}),
        "power": always(("map", "any"), {}),
        "extra": no_text(),
        "features": split("features"),
        "active_features": split("features"),
        "gpu_spec": no_text(),
        "gres": text("gres"),
        "gres_drained": always("text", "N/A"),
        "gres_used": text("gres_used"),
        "instance_id": no_text(),
        "instance_type": no_text(),
        "last_busy": instant("last_busy_at"),
        "mcs_label": no_text(),
        "specialized_memory": always("int", 0),
        "name": text("name"),
        "next_state_after_reboot": always("texts", ["INVALID"]),
        "address": text("addr"),
        "hostname": text("host_name"),
        "state": ("texts", lambda row: full_state(row).split("+")),
        "operating_system": text("os"),
        "owner": no_text(),
        "partitions": split("partitions"),
        "port": whole("port"),
        "real_memory": whole("mem_mib"),
        "res_cores_per_gpu": always("int", 0),
        "comment": no_text(),
        "reason": text("reason"),
        "reason_changed_at": instant("reason_at"),
        "reason_set_by_user": text("reason_user"),
        "resume_after": no_number(),
        "reservation": text("reservation"),
        "alloc_memory": whole("mem_alloc_mib"),
        "alloc_cpus": whole("cpus_alloc"),
        "alloc_idle_cpus": ("int", _idle),
        "idle_cpus": ("int", _idle),
        "tres_used": text("alloc_tres"),
        "tres_weighted": always("float", 0.0),
        "slurmd_start_time": instant("agent_start_at"),
        "sockets": whole("sockets"),
        "threads": whole("threads"),
        "temporary_disk": whole("tmp_mib"),
        "weight": whole("weight"),
        "tres": text("cfg_tres"),
        "version": text("version"),
    },
    # Ours, not Slurm's.
    {
        "packhorse_devices": (("list", _DEVICE), _devices),
        "packhorse_warnings": ("texts", lambda row: row["warnings"].splitlines() or None),
        "packhorse_isolation": ("text", lambda row: row["isolation"] or None),
        "packhorse_topology": ("texts", lambda row: row["topology"].split("/") if row["topology"] else None),
    },
)
"""Measurements that were not made are 0 (`cpu_load`) or not set. free_memory and idle_cpus: as older
exporters call them."""

_NODES = Shape(
    "partition_info_nodes",
    {"allowed_allocation": no_text(), "configured": text("nodes"), "total": whole("total_nodes")},
)
_ACCOUNTS = Shape(
    "partition_info_accounts", {"allowed": text("allow_accounts"), "deny": text("deny_accounts")}
)
_GROUPS = Shape("partition_info_groups", {"allowed": text("allow_groups")})
_QOS = Shape(
    "partition_info_qos", {"allowed": text("allow_qos"), "deny": text("deny_qos"), "assigned": text("qos")}
)
_TRES = Shape("partition_info_tres", {"billing_weights": text("billing"), "configured": text("tres")})
_CPUS = Shape("partition_info_cpus", {"task_binding": always("int", 0), "total": whole("total_cpus")})
_DEFAULTS = Shape(
    "partition_info_defaults",
    {
        "memory_per_cpu": ("int", lambda row: row["def_mem_mib_per_node"] or row["def_mem_mib_per_cpu"]),
        "partition_memory_per_cpu": asked("def_mem_mib_per_cpu"),
        "partition_memory_per_node": asked("def_mem_mib_per_node"),
        "time": ("number", lambda row: number(row["default_time_s"] // 60, unset=not row["default_time_s"])),
        "job": no_text(),
    },
)
_SHARED = Shape("partition_info_oversubscribe", {"jobs": always("int", 1), "flags": no_texts()})
_MOST = Shape(
    "partition_info_maximums",
    {
        "cpus_per_node": ("number", lambda row: number(0, infinite=True)),
        "cpus_per_socket": ("number", lambda row: number(0, infinite=True)),
        "memory_per_cpu": always("int", 0),
        "partition_memory_per_cpu": no_number(),
        "partition_memory_per_node": asked("max_mem_mib_per_node"),
        "nodes": bounded("max_nodes"),
        "shares": always("int", 1),
        "oversubscribe": inner(_SHARED),
        "time": ("number", lambda row: number(row["max_time_s"] // 60, infinite=not row["max_time_s"])),
        "over_time_limit": no_number(),
    },
)
_LEAST = Shape("partition_info_minimums", {"nodes": whole("min_nodes")})
_PRIORITY = Shape(
    "partition_info_priority", {"job_factor": whole("priority_factor"), "tier": whole("priority_tier")}
)
_TIMEOUTS = Shape("partition_info_timeouts", {"resume": no_number(), "suspend": no_number()})
_STATE = Shape("partition_info_partition", {"state": ("texts", lambda row: [row["state"]])})
PARTITION = Shape(
    "partition_info",
    {
        "nodes": inner(_NODES),
        "accounts": inner(_ACCOUNTS),
        "groups": inner(_GROUPS),
        "qos": inner(_QOS),
        "alternate": no_text(),
        "tres": inner(_TRES),
        "cluster": no_text(),
        "select_type": no_texts(),
        "cpus": inner(_CPUS),
        "defaults": inner(_DEFAULTS),
        "grace_time": whole("grace_s"),
        "maximums": inner(_MOST),
        "minimums": inner(_LEAST),
        "name": text("name"),
        "node_sets": no_text(),
        "priority": inner(_PRIORITY),
        "timeouts": inner(_TIMEOUTS),
        "partition": inner(_STATE),
        "suspend_time": no_number(),
    },
)

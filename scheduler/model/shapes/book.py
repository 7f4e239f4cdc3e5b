"""The book of accounts: `account`, `user`, `assoc`, `qos`, `tres`, `wckey` and `cluster_rec` of /slurmdb.

Rows are those of the tables of ListAccounts, whose values are texts as sacctmgr writes them, "" for nothing.
"""

from __future__ import annotations

from packhorse.scheduler.model.shapes.accounting import ASSOCIATION
from packhorse.scheduler.model.shapes.shape import (
    TRES,
    Shape,
    always,
    inner,
    listed,
    no_number,
    no_text,
    no_texts,
    no_tres,
    number,
    split,
    text,
    tres_field,
    whole,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.scheduler.model.shapes.shape import Field

    Row = dict[str, Any]


def grouped(rows: list[Row], column: str) -> dict[str, list[Row]]:
    """Rows by what a column says."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def with_lineages(associations: list[Row]) -> list[Row]:
    """All associations, in the order of the tree, with the way to each: `/root/bio/0-ann/`."""
    paths: dict[str, str] = {}
    found = []
    for row in associations:
        if row["user"]:
            partition = f"{row['partition']}/" if row["partition"] else ""
            way = f"{paths[row['account']]}0-{row['user']}/{partition}"
        else:
            way = paths[row["account"]] = f"{paths.get(row['parent'], '/')}{row['account']}/"
        found.append(row | {"lineage": way})
    return found


def _limit(column: str) -> Field:
    """A limit on a count; none where the text is empty."""
    return "number", lambda row: number(int(row[column] or 0), infinite=not row[column])


def _no_limit() -> Field:
    return "number", lambda row: number(0, infinite=True)


def _wall(column: str) -> Field:
    """A limit on minutes, of a text like `1-00:00:00`."""
    return "number", lambda row: number(-(-_seconds(row[column]) // 60), infinite=not row[column])


def _seconds(text: str) -> int:
    if not text:
        return 0
    from packhorse.scheduler.model.units import parse_time_limit_s

    return parse_time_limit_s(text)


def _span(column: str) -> Field:
    """A length of time in seconds; not set where the text is empty."""
    return "number", lambda row: number(_seconds(row[column]), unset=not row[column])


def _plain_number(column: str) -> Field:
    return "number", lambda row: number(int(row[column] or 0))


def _shares(row: Row) -> int:
    return 2147483647 if row["shares"] == "parent" else int(row["shares"] or 1)


ALLOCATED = Shape("accounting_allocated", {"seconds": whole("seconds")})
ACCOUNTING = Shape(
    "accounting",
    {
        "allocated": inner(ALLOCATED),
        "id": whole("id"),
        "id_alt": always("int", 0),
        "start": whole("start"),
        "TRES": inner(TRES),
    },
)
"""Use of an association or wckey in an hour; sreport tells of it, this does not."""

# -- accounts and users

COORDINATOR = Shape("coord", {"name": text("name"), "direct": always("bool", True)})


def _coordinators(row: Row) -> list[dict[str, Any]]:
    return [COORDINATOR.of({"name": name}) for name in row["coordinators"].split(",") if name]


def _coordinated(row: Row) -> list[dict[str, Any]]:
    return [COORDINATOR.of({"name": name}) for name in row["coordinates"].split(",") if name]


ACCOUNT = Shape(
    "account",
    {
        "associations": listed(ASSOCIATION, "associations"),
        "coordinators": (("list", COORDINATOR), _coordinators),
        "description": text("description"),
        "name": text("name"),
        "organization": text("organization"),
        "flags": no_texts(),
    },
)
_DEFAULT = Shape("user_default", {"account": text("default_account"), "wckey": no_text()})
_LEVELS = {"": "None", "none": "None", "operator": "Operator", "administrator": "Administrator"}
WCKEY = Shape(
    "wckey",
    {
        "accounting": always(("list", ACCOUNTING), []),
        "cluster": text("cluster"),
        "id": whole("id"),
        "name": text("name"),
        "user": text("user"),
        "flags": no_texts(),
    },
)
USER = Shape(
    "user",
    {
        "administrator_level": (
            "texts",
            lambda row: [_LEVELS.get(row["admin_level"].lower(), row["admin_level"])],
        ),
        "associations": listed(ASSOCIATION, "associations"),
        "coordinators": (("list", COORDINATOR), _coordinated),
        "default": inner(_DEFAULT),
        "flags": no_texts(),
        "name": text("name"),
        "old_name": no_text(),
        "wckeys": listed(WCKEY, "wckeys"),
    },
)

# -- associations

_PER_JOBS = Shape(
    "assoc_max_jobs_per",
    {
        "count": _limit("grp_jobs"),
        "accruing": _no_limit(),
        "submitted": _limit("grp_submit"),
        "wall_clock": _wall("grp_wall_s"),
    },
)
_JOBS = Shape(
    "assoc_max_jobs",
    {
        "per": inner(_PER_JOBS),
        "active": _limit("max_jobs"),
        "accruing": _no_limit(),
        "total": _limit("max_submit"),
    },
)
_GROUP = Shape(
    "assoc_max_tres_group",
    {"minutes": tres_field("grp_tres_mins"), "active": tres_field("grp_tres_run_mins")},
)
_MINUTES_PER = Shape("assoc_max_tres_minutes_per", {"job": tres_field("max_tres_mins")})
_MINUTES = Shape("assoc_max_tres_minutes", {"total": tres_field("grp_tres_mins"), "per": inner(_MINUTES_PER)})
_PER = Shape("assoc_max_tres_per", {"job": tres_field("max_tres"), "node": tres_field("max_tres_per_node")})
_MAX_TRES = Shape(
    "assoc_max_tres",
    {
        "total": tres_field("grp_tres"),
        "group": inner(_GROUP),
        "minutes": inner(_MINUTES),
        "per": inner(_PER),
    },
)
_ACCOUNT_WALL = Shape("assoc_max_per_account", {"wall_clock": _wall("max_wall_s")})
_MAX_PER = Shape("assoc_max_per", {"account": inner(_ACCOUNT_WALL)})
_MAX = Shape("assoc_max", {"jobs": inner(_JOBS), "tres": inner(_MAX_TRES), "per": inner(_MAX_PER)})
_ASSOC_DEFAULT = Shape("assoc_default", {"qos": text("default_qos")})
_ASSOC_MIN = Shape("assoc_min", {"priority_threshold": no_number()})
ASSOC = Shape(
    "assoc",
    {
        "accounting": always(("list", ACCOUNTING), []),
        "account": text("account"),
        "cluster": text("cluster"),
        "comment": text("comment"),
        "default": inner(_ASSOC_DEFAULT),
        "flags": no_texts(),
        "max": inner(_MAX),
        "id": whole("id"),
        "is_default": ("bool", lambda row: bool(row["is_default"])),
        "lineage": text("lineage"),
        "min": inner(_ASSOC_MIN),
        "parent_account": text("parent"),
        "partition": text("partition"),
        "priority": _plain_number("priority"),
        "qos": split("allowed_qos"),
        "shares_raw": ("int", _shares),
        "user": text("user"),
    },
)

# -- QOS

_ACTIVE = Shape("qos_max_active", {"accruing": _no_limit(), "count": _limit("grp_jobs")})
_QOS_MINUTES_PER = Shape(
    "qos_max_minutes_per",
    {
        "qos": tres_field("grp_tres_mins"),
        "job": tres_field("max_tres_mins"),
        "account": no_tres(),
        "user": no_tres(),
    },
)
_QOS_MINUTES = Shape("qos_max_minutes", {"total": no_tres(), "per": inner(_QOS_MINUTES_PER)})
_QOS_PER = Shape(
    "qos_max_tres_per",
    {
        "account": tres_field("max_tres_pa"),
        "job": tres_field("max_tres"),
        "node": tres_field("max_tres_per_node"),
        "user": tres_field("max_tres_pu"),
    },
)
_QOS_TRES = Shape(
    "qos_max_tres",
    {"total": tres_field("grp_tres"), "minutes": inner(_QOS_MINUTES), "per": inner(_QOS_PER)},
)
_QOS_WALL_PER = Shape("qos_max_wall_per", {"qos": _wall("grp_wall_s"), "job": _wall("max_wall_s")})
_QOS_WALL = Shape("qos_max_wall", {"per": inner(_QOS_WALL_PER)})
_ACTIVE_PER = Shape("qos_active_per", {"account": _limit("max_jobs_pa"), "user": _limit("max_jobs_pu")})
_ACTIVE_JOBS = Shape("qos_active_jobs", {"per": inner(_ACTIVE_PER)})
_SUBMIT_PER = Shape("qos_jobs_per", {"account": _limit("max_submit_pa"), "user": _limit("max_submit_pu")})
_QOS_JOBS = Shape(
    "qos_max_jobs",
    {"count": _limit("grp_submit"), "active_jobs": inner(_ACTIVE_JOBS), "per": inner(_SUBMIT_PER)},
)
_ACCRUE_PER = Shape("qos_accruing_per", {"account": _no_limit(), "user": _no_limit()})
_ACCRUING = Shape("qos_accruing", {"per": inner(_ACCRUE_PER)})
_QOS_MAX = Shape(
    "qos_max",
    {
        "active_jobs": inner(_ACTIVE),
        "tres": inner(_QOS_TRES),
        "wall_clock": inner(_QOS_WALL),
        "jobs": inner(_QOS_JOBS),
        "accruing": inner(_ACCRUING),
    },
)
_QOS_MIN_PER = Shape("qos_min_tres_per", {"job": tres_field("min_tres")})
_QOS_MIN_TRES = Shape("qos_min_tres", {"per": inner(_QOS_MIN_PER)})
_QOS_MIN = Shape("qos_min", {"priority_threshold": no_number(), "tres": inner(_QOS_MIN_TRES)})
_QOS_LIMITS = Shape(
    "qos_limits",
    {
        "grace_time": ("int", lambda row: _seconds(row["grace_s"])),
        "max": inner(_QOS_MAX),
        "factor": always("float_number", number(0, unset=True)),
        "min": inner(_QOS_MIN),
    },
)
_PREEMPT = Shape(
    "qos_preempt",
    {
        "list": split("preempts"),
        "mode": (
            "texts",
            lambda row: [
                row["preempt_mode"].upper() if row["preempt_mode"] not in ("", "cluster") else "DISABLED"
            ],
        ),
        "exempt_time": _span("exempt_s"),
    },
)
_FLAG_WORDS = {
    "DenyOnLimit": "DENY_LIMIT",
    "EnforceUsageThreshold": "ENFORCE_USAGE_THRESHOLD",
    "NoDecay": "NO_DECAY",
    "NoReserve": "NO_RESERVE",
    "OverPartQOS": "OVERRIDE_PARTITION_QOS",
    "PartitionMaxNodes": "PARTITION_MAXIMUM_NODE",
    "PartitionMinNodes": "PARTITION_MINIMUM_NODE",
    "PartitionTimeLimit": "PARTITION_TIME_LIMIT",
    "RequiresReservation": "REQUIRED_RESERVATION",
    "UsageFactorSafe": "USAGE_FACTOR_SAFE",
}
"""The words of the data parser for sacctmgr's."""


def _factor(column: str) -> Field:
    return "float_number", lambda row: number(float(row[column] or 0), unset=not row[column])


QOS = Shape(
    "qos",
    {
        "description": text("description"),
        "flags": (
            "texts",
            lambda row: [_FLAG_WORDS.get(flag, flag) for flag in row["flags"].split(",") if flag],
        ),
        "id": whole("id"),
        "limits": inner(_QOS_LIMITS),
        "name": text("name"),
        "preempt": inner(_PREEMPT),
        "priority": _plain_number("priority"),
        "usage_factor": _factor("usage_factor_milli"),
        "usage_threshold": _factor("usage_threshold_milli"),
    },
)

# -- the cluster

TRES_ROW = Shape(
    "tres_record",
    {"type": text("type"), "name": text("name"), "id": whole("id"), "count": always("int", 0)},
)
_CONTROLLER = Shape("cluster_controller", {"host": text("host"), "port": whole("port")})
_ROOT = {"account": "root", "user": ""}
_CLUSTER_ROOT = Shape(
    "cluster_associations", {"root": (ASSOCIATION, lambda row: ASSOCIATION.of(row | _ROOT))}
)
CLUSTER = Shape(
    "cluster_rec",
    {
        "controller": inner(_CONTROLLER),
        "flags": no_texts(),
        "name": text("cluster"),
        "nodes": text("nodes"),
        "select_plugin": no_text(),
        "associations": inner(_CLUSTER_ROOT),
        "rpc_version": always("int", 0),
        "tres": (("list", TRES), lambda row: [TRES.of(item) for item in row["tres"]]),
    },
)
_INSTANCE_TIME = Shape("instance_time", {"time_end": whole("end"), "time_start": whole("start")})
INSTANCE = Shape(
    "instance",
    {
        "cluster": text("cluster"),
        "extra": text("extra"),
        "instance_id": text("instance_id"),
        "instance_type": text("instance_type"),
        "node_name": text("node_name"),
        "time": inner(_INSTANCE_TIME),
    },
)
"""A machine that a cloud lends; there are none of these."""

"""Figures of the scheduler: `stats_msg` of sdiag and /slurm/…/diag.

A row is an answer of GetDiagnostics as a dict, its passes, calls and orders as dicts within. What Slurm
counts and this scheduler has no equal of is 0.
"""

from __future__ import annotations

from packhorse.scheduler.model.shapes.shape import Shape, always, number, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from packhorse.scheduler.model.shapes.shape import Field

    Row = dict[str, Any]

# fmt: off
NUMBERS = (
    "now_us", "since_us", "n_calls_active", "n_orders_queued", "n_nodes_queued", "n_events_queued",
    "jobs_submitted", "jobs_started", "jobs_completed", "jobs_cancelled", "jobs_failed", "jobs_pending",
    "jobs_running", "backfilled", "backfilled_ever", "clock_latency_us",
)
PASS_NUMBERS = (
    "count", "last_at_us", "last_us", "max_us", "mean_us", "total_us", "last_depth", "mean_depth",
    "last_tried", "mean_tried", "last_queue", "mean_queue", "last_table", "mean_table",
)
# fmt: on
"""The plain figures of a row, and of its passes: `main` and `backfill`."""

US = 1_000_000
_MINUTE_US = 60 * US


def _of(part: str, column: str) -> Field:
    """A figure of the passes of a kind."""
    return "int", lambda row: row[part][column]


def _at(column: str) -> Field:
    return "number", lambda row: number(row[column] // US, unset=not row[column])


def _mean_us(row: Row) -> int:
    return int(row["time_us"] // row["count"]) if row["count"] else 0


def _per_minute(row: Row) -> int:
    minutes = (row["now_us"] - row["since_us"]) // _MINUTE_US
    return int(row["main"]["count"] // minutes) if minutes > 0 else 0


def _sum(mean: str, part: str = "backfill") -> Field:
    """What a mean is of."""
    return "int", lambda row: row[part][mean] * row[part]["count"]


def _calls(column: str, shape: Shape) -> Field:
    return ("list", shape), lambda row: [shape.of(call) for call in row[column]]


_TIMES: dict[str, Field] = {
    "count": whole("count"),
    "average_time": ("number", lambda row: number(_mean_us(row), unset=not row["count"])),
    "total_time": whole("time_us"),
}
RPC_TYPE = Shape(
    "stats_msg_rpc_type",
    {
        "message_type": ("text", lambda row: row["name"]),
        "type_id": whole("number"),
        **_TIMES,
        "queued": always("int", 0),
        "dropped": always("int", 0),
        "cycle_last": always("int", 0),
        "cycle_max": always("int", 0),
    },
)
RPC_USER = Shape(
    "stats_msg_rpc_user",
    {"user": ("text", lambda row: row["name"]), "user_id": whole("number"), **_TIMES},
)
RPC_QUEUED = Shape(
    "stats_msg_rpc_queue",
    {"type_id": always("int", 0), "message_type": ("text", lambda row: row["kind"]), "count": whole("count")},
)
RPC_DUMP = Shape(
    "stats_msg_rpc_dump",
    {
        "type_id": always("int", 0),
        "message_type": ("text", lambda row: row["kind"]),
        "count": ("texts", lambda row: [row["node"]]),
    },
)

_SCHEDULE_EXIT = Shape(
    "schedule_exit_fields",
    {
        name: always("int", 0)
        for name in (
            "end_job_queue",
            "default_queue_depth",
            "max_job_start",
            "max_rpc_cnt",
            "max_sched_time",
            "licenses",
        )
    },
)
_BACKFILL_EXIT = Shape(
    "bf_exit_fields",
    {
        name: always("int", 0)
        for name in (
            "end_job_queue",
            "bf_max_job_start",
            "bf_max_job_test",
            "bf_max_time",
            "bf_node_space_size",
            "state_changed",
        )
    },
)


def _exit(shape: Shape) -> Field:
    return shape, shape.of


STATISTICS = Shape(
    "stats_msg",
    {
        "parts_packed": always("int", 1),
        "req_time": _at("now_us"),
        "req_time_start": _at("since_us"),
        "server_thread_count": whole("n_calls_active"),
        "agent_queue_size": whole("n_orders_queued"),
        "agent_count": whole("n_nodes_queued"),
        "agent_thread_count": whole("n_nodes_queued"),
        "dbd_agent_queue_size": whole("n_events_queued"),
        "gettimeofday_latency": whole("clock_latency_us"),
        "schedule_cycle_max": _of("main", "max_us"),
        "schedule_cycle_last": _of("main", "last_us"),
        "schedule_cycle_sum": _of("main", "total_us"),
        "schedule_cycle_total": _of("main", "count"),
        "schedule_cycle_mean": _of("main", "mean_us"),
        "schedule_cycle_mean_depth": _of("main", "mean_depth"),
        "schedule_cycle_per_minute": ("int", _per_minute),
        "schedule_cycle_depth": _sum("mean_depth", "main"),
        "schedule_exit": _exit(_SCHEDULE_EXIT),
        "schedule_queue_length": _of("main", "last_queue"),
        "jobs_submitted": whole("jobs_submitted"),
        "jobs_started": whole("jobs_started"),
        "jobs_completed": whole("jobs_completed"),
        "jobs_canceled": whole("jobs_cancelled"),
        "jobs_failed": whole("jobs_failed"),
        "jobs_pending": whole("jobs_pending"),
        "jobs_running": whole("jobs_running"),
        "job_states_ts": _at("now_us"),
        "bf_backfilled_jobs": whole("backfilled_ever"),
        "bf_last_backfilled_jobs": whole("backfilled"),
        "bf_backfilled_het_jobs": always("int", 0),
        "bf_cycle_counter": _of("backfill", "count"),
        "bf_cycle_mean": _of("backfill", "mean_us"),
        "bf_depth_mean": _of("backfill", "mean_depth"),
        "bf_depth_mean_try": _of("backfill", "mean_tried"),
        "bf_cycle_sum": _of("backfill", "total_us"),
        "bf_cycle_last": _of("backfill", "last_us"),
        "bf_cycle_max": _of("backfill", "max_us"),
        "bf_exit": _exit(_BACKFILL_EXIT),
        "bf_last_depth": _of("backfill", "last_depth"),
        "bf_last_depth_try": _of("backfill", "last_tried"),
        "bf_depth_sum": _sum("mean_depth"),
        "bf_depth_try_sum": _sum("mean_tried"),
        "bf_queue_len": _of("backfill", "last_queue"),
        "bf_queue_len_mean": _of("backfill", "mean_queue"),
        "bf_queue_len_sum": _sum("mean_queue"),
        "bf_table_size": _of("backfill", "last_table"),
        "bf_table_size_sum": _sum("mean_table"),
        "bf_table_size_mean": _of("backfill", "mean_table"),
        "bf_when_last_cycle": (
            "number",
            lambda row: number(row["backfill"]["last_at_us"] // US, unset=not row["backfill"]["last_at_us"]),
        ),
        "bf_active": always("bool", False),
        "rpcs_by_message_type": _calls("methods", RPC_TYPE),
        "rpcs_by_user": _calls("users", RPC_USER),
        "pending_rpcs": _calls("orders", RPC_QUEUED),
        "pending_rpcs_by_hostlist": _calls("waiting_nodes", RPC_DUMP),
    },
)

_DURATION = Shape("rollup_stats_duration", {name: always("int", 0) for name in ("last", "max", "time")})
_ROLLUP = Shape(
    "rollup_stats_of",
    {"count": always("int", 0), "last_run": always("int", 0), "duration": (_DURATION, _DURATION.of)},
)
_ROLLUPS = Shape("rollup_stats", dict.fromkeys(("hourly", "daily", "monthly"), (_ROLLUP, _ROLLUP.of)))
_TIME = Shape("stats_rec_time", {"average": ("int", _mean_us), "total": whole("time_us")})
_RPC = Shape(
    "stats_rpc",
    {"rpc": ("text", lambda row: row["name"]), "count": whole("count"), "time": (_TIME, _TIME.of)},
)
_USER = Shape(
    "stats_user",
    {"user": ("text", lambda row: row["name"]), "count": whole("count"), "time": (_TIME, _TIME.of)},
)
DATABASE_STATISTICS = Shape(
    "stats_rec",
    {
        "time_start": ("int", lambda row: row["since_us"] // US),
        "rollups": (_ROLLUPS, _ROLLUPS.of),
        "RPCs": _calls("methods", _RPC),
        "users": _calls("users", _USER),
    },
)
"""Of the accounting, which is kept by the same daemon: there is nothing to roll up."""

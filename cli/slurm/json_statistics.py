"""What sdiag knows as JSON, in the shape of Slurm 24.11's data parser v0.0.42."""

from __future__ import annotations

from packhorse.cli.slurm.json_jobs import envelope, number
from packhorse.cli.transport import field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def document(prog: str, stats: dict[str, Any]) -> str:
    """The whole document of `sdiag --json`."""
    return envelope(prog, {"statistics": statistics(stats)}, int_field(stats, "now_us") // 1_000_000)


def statistics(stats: dict[str, Any]) -> dict[str, Any]:
    """The object `statistics`. stats: the answer of GetDiagnostics."""
    main, backfill = field(stats, "main", {}), field(stats, "backfill", {})
    now, since = _at(stats, "now_us"), _at(stats, "since_us")
    minutes = (int_field(stats, "now_us") - int_field(stats, "since_us")) // 60_000_000
    passes = int_field(main, "count")
    return {
        "parts_packed": 1,
        "req_time": now,
        "req_time_start": since,
        "server_thread_count": int_field(stats, "n_calls_active"),
        "agent_queue_size": int_field(stats, "n_orders_queued"),
        "agent_count": int_field(stats, "n_nodes_queued"),
        "agent_thread_count": int_field(stats, "n_nodes_queued"),
        "dbd_agent_queue_size": int_field(stats, "n_events_queued"),
        "gettimeofday_latency": int_field(stats, "clock_latency_us"),
        "schedule_cycle_max": int_field(main, "max_us"),
        "schedule_cycle_last": int_field(main, "last_us"),
        "schedule_cycle_sum": int_field(main, "total_us"),
        "schedule_cycle_total": passes,
        "schedule_cycle_mean": int_field(main, "mean_us"),
        "schedule_cycle_mean_depth": int_field(main, "mean_depth"),
        "schedule_cycle_per_minute": passes // minutes if minutes > 0 else 0,
        "schedule_cycle_depth": int_field(main, "last_depth"),
        "schedule_queue_length": int_field(main, "last_queue"),
        "jobs_submitted": int_field(stats, "jobs_submitted"),
        "jobs_started": int_field(stats, "jobs_started"),
        "jobs_completed": int_field(stats, "jobs_completed"),
        "jobs_canceled": int_field(stats, "jobs_cancelled"),
        "jobs_failed": int_field(stats, "jobs_failed"),
        "jobs_pending": int_field(stats, "jobs_pending"),
        "jobs_running": int_field(stats, "jobs_running"),
        "job_states_ts": now,
        "bf_backfilled_jobs": int_field(stats, "backfilled_ever"),
        "bf_last_backfilled_jobs": int_field(stats, "backfilled"),
        "bf_backfilled_het_jobs": 0,
        "bf_cycle_counter": int_field(backfill, "count"),
        "bf_cycle_mean": int_field(backfill, "mean_us"),
        "bf_depth_mean": int_field(backfill, "mean_depth"),
        "bf_depth_mean_try": int_field(backfill, "mean_tried"),
        "bf_cycle_sum": int_field(backfill, "total_us"),
        "bf_cycle_last": int_field(backfill, "last_us"),
        "bf_last_depth": int_field(backfill, "last_depth"),
        "bf_last_depth_try": int_field(backfill, "last_tried"),
        "bf_cycle_max": int_field(backfill, "max_us"),
        "bf_queue_len": int_field(backfill, "last_queue"),
        "bf_queue_len_mean": int_field(backfill, "mean_queue"),
        "bf_table_size": int_field(backfill, "last_table"),
        "bf_table_size_mean": int_field(backfill, "mean_table"),
        "bf_when_last_cycle": _at(backfill, "last_at_us"),
        "bf_active": False,
        "rpcs_by_message_type": [
            {"message_type": one["name"], "type_id": int_field(one, "number"), **_tally(one)}
            for one in field(stats, "methods", [])
        ],
        "rpcs_by_user": [
            {"user": one["name"], "user_id": int_field(one, "number"), **_tally(one)}
            for one in field(stats, "users", [])
        ],
        "pending_rpcs": [
            {"type_id": 0, "message_type": one["kind"], "count": int_field(one, "count")}
            for one in field(stats, "orders", [])
        ],
        "pending_rpcs_by_hostlist": [
            {"type_id": 0, "message_type": one["kind"], "count": [one["node"]]}
            for one in field(stats, "waiting_nodes", [])
        ],
    }


def _at(stats: dict[str, Any], name: str) -> dict[str, Any]:
    micros = int_field(stats, name)
    return number(micros // 1_000_000, unset=not micros)


def _tally(one: dict[str, Any]) -> dict[str, Any]:
    n, micros = int_field(one, "count"), int_field(one, "time_us")
    mean = number(micros // n, unset=False) if n else number(0, unset=True)
    return {"count": n, "queued": 0, "dropped": 0, "cycle_last": 0, "cycle_max": 0, "total_time": micros} | {
        "average_time": mean
    }

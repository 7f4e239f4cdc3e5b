"""The tables of the SQLite store and how they came to be, one migration after the other.

`user_version` of the file is the number of migrations it has seen; sqlite-utils records their names. A
migration is never changed once released. sqlite-utils is imported only when there is something to migrate: a
third of a second that a restart would rather not wait for.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database

APPLICATION_ID = 0x5061636B
"""Marks the file as Packhorse's ("Pack")."""

NAMES = (
    "0001_log_blobs_snapshots_attempts",
    "0002_measured_usage_and_loans",
    "0003_commands_and_gpus",
    "0004_wckeys_and_nodes",
    "0005_steps",
)
"""The migrations, oldest first."""

FORMAT = len(NAMES)

USAGE_COLUMNS = (
    "user_cpu_us",
    "system_cpu_us",
    "max_rss_kib",
    "max_vm_kib",
    "disk_read_bytes",
    "disk_write_bytes",
    "max_cache_kib",
    "oom_kills",
    "gpu_ms",
    "gpu_busy_ms",
    "gpu_max_mem_mib",
    "gpu_energy_mj",
    "gpu_gflop",
    "gpu_peak_gflop",
)

_FIRST_USAGE = USAGE_COLUMNS[:6]
"""Those of the first migration; the second one adds the others."""

TEXT_COLUMNS = frozenset(
    {
        "array_indices", "name", "user", "group", "account", "partition", "qos", "state", "reason", "detail",
        "req_mem", "req_tres", "alloc_tres", "nodes", "work_dir", "comment", "submit_line", "features",
        "command", "wckey", "reservation", "allocation",
    }
)  # fmt: skip

ATTEMPT_COLUMNS = (
    "job", "attempt", "array_id", "index", "array_indices", "name", "uid", "gid", "user", "group", "account",
    "partition", "qos", "state", "reason", "detail", "exit_code", "exit_signal", "cancelled_by",
    "submitted_at", "eligible_at", "started_at", "ended_at", "time_limit_s", "n_nodes", "n_tasks", "n_cpus",
    "mem_mib", "req_mem", "req_tres", "alloc_tres", "nodes", "priority", "restarts", "work_dir", "comment",
    "submit_line", "features", "command", "gpu_milli",
    "wckey", "reservation", "suspended_us", "allocation",
    *USAGE_COLUMNS,
)  # fmt: skip
"""The fields of AttemptRow, its usage spread out: the order in which rows are written and read."""


STEP_COLUMNS = (
    "job", "attempt", "step", "name", "nodes", "n_nodes", "n_tasks", "n_cpus", "mem_mib", "alloc_tres",
    "layout", "state", "exit_code", "exit_signal", "cancelled_by", "detail", "started_at", "ended_at",
    "submit_line", "max_rss_node", *USAGE_COLUMNS,
)  # fmt: skip
"""The fields of StepRow, its usage spread out."""

_STEP_TEXTS = frozenset(
    {"name", "nodes", "alloc_tres", "layout", "state", "detail", "submit_line", "max_rss_node"}
)

_LATER = ("command", "gpu_milli", "wckey", "reservation", "suspended_us", "allocation")
"""Those of the third migration, the fourth and the fifth."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to FORMAT. Each migration is one transaction: a crash leaves all of it or nothing."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations("packhorse")
    migrations(name=NAMES[0])(_log_blobs_snapshots_attempts)
    migrations(name=NAMES[1])(_measured_usage_and_loans)
    migrations(name=NAMES[2])(_commands_and_gpus)
    migrations(name=NAMES[3])(_wckeys_and_nodes)
    migrations(name=NAMES[4])(_steps)
    migrations.apply(Database(connection))


def _log_blobs_snapshots_attempts(db: Database) -> None:
    db.table("meta").create({"key": str, "value": int}, pk="key")
    db.table("meta").insert_all(
        [{"key": "clean", "value": 1}, {"key": "event_schema", "value": 0}],
    )
    # highest_job: highest number any record up to this one tells of. span: store/span.py.
    # crc: CRC-32 of data, begun with seq.
    db.table("log").create(
        {
            "seq": int, "at": int, "kind": str, "first_job": int, "last_job": int, "node": str,
            "highest_job": int, "span": int, "crc": int, "data": bytes,
        },
        pk="seq",
    )  # fmt: skip
    db.execute("CREATE INDEX log_by_span ON log(span) WHERE span > 0")
    # A table with its own growing key and a small index beside it: content is appended, never moved.
    db.table("blobs").create({"id": int, "ref": bytes, "packed": int, "content": bytes}, pk="id")
    db.table("blobs").create_index(["ref"], index_name="blobs_by_ref", unique=True)
    db.table("snapshots").create({"id": int, "seq": int, "n_parts": int, "current": int}, pk="id")
    # id: snapshot << 32 | number of the part. ends: it is the last part of its chunk.
    db.table("snapshot_parts").create({"id": int, "ends": int, "crc": int, "data": bytes}, pk="id")
    # No unique key: several rows may tell of one array's cancelled indices. Every index grows at its end, so
    # that a full store writes no more pages than an empty one.
    later = (*USAGE_COLUMNS, *_LATER)
    names = [*(name for name in ATTEMPT_COLUMNS if name not in later), *_FIRST_USAGE]
    columns = {name: str if name in TEXT_COLUMNS else int for name in names}
    db.table("attempts").create({"id": int, **columns}, pk="id")
    db.table("attempts").create_index(["job", "attempt"], index_name="attempts_by_job")
    # One index for times and users: a user's rows of a day are found by passing over the day's entries, about
    # 70 ns each. An index by user first would write a page per user instead of one per transaction: measured
    # with 50 users and 64 rows at a time, three times the bytes, and 12 % slower after a million rows.
    db.table("attempts").create_index(["ended_at", "user"], index_name="attempts_by_end")
    db.execute("CREATE INDEX attempts_by_array ON attempts(array_id) WHERE array_id > 0")
    db.execute("PRAGMA user_version = 1")


def _measured_usage_and_loans(db: Database) -> None:
    for name in USAGE_COLUMNS[len(_FIRST_USAGE) :]:
        db.execute(f"ALTER TABLE attempts ADD COLUMN {name} INTEGER NOT NULL DEFAULT 0")
    # What an attempt used over time, packed; its times are those of its row in attempts.
    db.table("usage_series").create(
        {"id": int, "job": int, "attempt": int, "ended_at": int, "data": bytes}, pk="id"
    )
    db.table("usage_series").create_index(["job", "attempt"], index_name="usage_series_by_job")
    db.table("usage_series").create_index(["ended_at"], index_name="usage_series_by_end")
    # Memory of one job lent to another, from since to until; outcome: what ended it.
    db.table("loans").create(
        {
            "id": int, "node": str, "lender": int, "lender_user": str, "lender_account": str,
            "borrower": int, "borrower_attempt": int, "borrower_user": str, "borrower_account": str,
            "mem_mib": int, "since": int, "until": int, "outcome": str,
        },
        pk="id",
    )  # fmt: skip
    db.table("loans").create_index(["until"], index_name="loans_by_end")
    db.table("loans").create_index(["borrower"], index_name="loans_by_borrower")
    db.table("loans").create_index(["lender"], index_name="loans_by_lender")
    db.execute("PRAGMA user_version = 2")


def _commands_and_gpus(db: Database) -> None:
    db.execute("ALTER TABLE attempts ADD COLUMN command TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE attempts ADD COLUMN gpu_milli INTEGER NOT NULL DEFAULT 0")
    # What older rows say only in words: `gres/gpu=0.25` counts 250 thousandths of a GPU.
    db.execute(
        "UPDATE attempts SET gpu_milli = CAST(round(1000 * CAST(substr(alloc_tres, "
        "instr(alloc_tres, 'gres/gpu=') + length('gres/gpu=')) AS REAL)) AS INTEGER) "
        "WHERE instr(alloc_tres, 'gres/gpu=') > 0"
    )
    db.execute("PRAGMA user_version = 3")


def _wckeys_and_nodes(db: Database) -> None:
    for column in ("wckey TEXT NOT NULL DEFAULT ''", "reservation TEXT NOT NULL DEFAULT ''"):
        db.execute(f"ALTER TABLE attempts ADD COLUMN {column}")
    db.execute("ALTER TABLE attempts ADD COLUMN suspended_us INTEGER NOT NULL DEFAULT 0")
    # What nodes were, and which windows reservations had, from since to until.
    db.table("node_times").create(
        {"id": int, "node": str, "state": str, "tres": str, "since": int, "until": int}, pk="id"
    )
    db.table("node_times").create_index(["until"], index_name="node_times_by_end")
    db.table("reservation_times").create(
        {
            "id": int, "name": str, "nodes": str, "tres": str, "flags": str, "users": str, "accounts": str,
            "since": int, "until": int,
        },
        pk="id",
    )  # fmt: skip
    db.table("reservation_times").create_index(["until"], index_name="reservation_times_by_end")
    db.execute("PRAGMA user_version = 4")


def _steps(db: Database) -> None:
    db.execute("ALTER TABLE attempts ADD COLUMN allocation TEXT NOT NULL DEFAULT ''")
    # Steps that are over, some thousands of one job maybe; step -1: its batch script.
    columns = {name: str if name in _STEP_TEXTS else int for name in STEP_COLUMNS}
    db.table("steps").create({"id": int, **columns}, pk="id")
    db.table("steps").create_index(["job", "attempt"], index_name="steps_by_job")
    db.table("steps").create_index(["ended_at"], index_name="steps_by_end")
    db.execute("PRAGMA user_version = 5")

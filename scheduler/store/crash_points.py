"""Where a store may be told to die, see model/crashpoint.py."""

from __future__ import annotations

from packhorse.scheduler.model.crashpoint import register

BEFORE_APPEND = register("store.before_append", "a batch was handed in, nothing of it is written")
IN_TRANSACTION = register("store.in_transaction", "part of a batch is written, its transaction is open")
BEFORE_COMMIT = register("store.before_commit", "all of a batch is written, its transaction is open")
AFTER_COMMIT = register("store.after_commit", "a batch is durable, the writer thread does not know yet")
BEFORE_NOTIFY = register("store.before_notify", "a batch is durable, nobody who waits for it has been told")
IN_SNAPSHOT = register("store.in_snapshot", "part of a snapshot is written")
BEFORE_SWITCH = register("store.before_switch", "all of a snapshot is written, the one before it is current")
AFTER_SWITCH = register("store.after_switch", "a new snapshot is current, the oldest is not removed yet")
IN_COMPACTION = register("store.in_compaction", "one step of compaction is done, others are due")

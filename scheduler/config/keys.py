"""Every key of the configuration file: where it goes, its default, its unit."""

from __future__ import annotations

from typing import Any, NamedTuple

from packhorse.scheduler.config.kinds import (
    ACTION,
    ADDRESS,
    BACKFILL,
    DEFAULT_MODE,
    ENFORCE,
    ESTIMATOR,
    FLAG,
    FRACTION,
    LEVEL,
    LICENSES,
    MEMORY,
    NAME,
    NAME_OR_NONE,
    NAMES,
    NODES,
    ORDER,
    PERCENT,
    POLICY,
    PREDICTOR,
    PREEMPT,
    PREEMPT_BY,
    PREEMPT_MODE,
    QOS_NAMES,
    RESET,
    SECONDS,
    SHORT_TIME,
    SHORT_TIME_OR_0,
    TEXT,
    TIME_LIMIT,
    TOPOLOGY,
    TRES_WEIGHTS,
    VICTIMS,
    WEIGHTS,
    Kind,
    count,
    duration,
    number,
)
from packhorse.scheduler.config.meanings import MEANING

CLUSTER_TARGET = "cluster"
SERVICE_TARGET = "service"
PARTITION_TARGET = "partition"
IMPROVER_TARGET = "improver"
RECLAIM_TARGET = "reclaim"
BATCH_TARGET = "batch"
GPU_IDLE_TARGET = "gpu_idle"
PREEMPTION_TARGET = "preemption"
PRIORITY_TARGET = "priorities"
ACCOUNTS_TARGET = "accounts"
PARTITION = "partition"

SECTIONS: dict[str, str] = {
    "cluster": "The cluster and who runs it.",
    PARTITION: (
        "A named set of nodes with its limits and defaults; one `[[partition]]` block each. Without any "
        'there is one partition, "main", with all nodes and no limits. The first is the default one '
        "unless another says so."
    ),
    "jobs": "Limits on jobs, and what happens to them when they end.",
    "scheduling": "How decisions are made.",
    "priority": (
        'What `order = "multifactor"` goes by, and how use of accounts fades; docs/policy/priority.md says '
        "what it comes to. A job's priority is the sum of these weights, each times a factor from 0 to 1, "
        "less its nice value."
    ),
    "batch": (
        'What `order = "packhorse"` goes by; without meaning under any other order. How it works is said in '
        "scheduler/core/batch/turns.py, what it comes to in docs/benchmarks/policies-batch.md."
    ),
    "improver": (
        "The solver that looks for a better plan than the quick one where jobs compete for what is free. It "
        "runs beside the scheduler, and delays starts only where `hold` allows it, and no longer."
    ),
    "reclaim": (
        "Lending of memory that jobs ask for and do not use, to jobs that may be stopped; docs/reclaim.md "
        "says how to switch it on safely."
    ),
    "gpu_idle": (
        "What is done about jobs whose GPUs do nothing: one that was measured on all its GPUs, all of the "
        "time, and found idle is warned (its --signal, an event, `scontrol show job`), and stopped if "
        "`action` says so. What was not measured is never idle. `sbatch --idle-gpu-ok` exempts a job "
        "(docs/waste.md)."
    ),
    "preemption": (
        "Who makes room for whom by right: jobs of a QOS for those of one that preempts it, jobs of a "
        "partition for those of a higher tier, borrowers of a quota for its owner "
        "(docs/policy/preemption.md)."
    ),
    "shadow": (
        "A second configuration that runs beside this one on the same state, decides, and starts nothing; "
        "`packhorse shadow` shows what it would have done otherwise (docs/policy/shadow.md)."
    ),
    "accounts": "How far accounts, associations and QOS are enforced (docs/policy/accounts.md).",
    "nodes": "The agents and what is expected of them.",
    "listen": (
        "Where the scheduler can be reached. Callers over TCP need a token; the Unix socket asks the kernel."
    ),
    "store": "What is kept on disk.",
    "mail": "Mail to users about their jobs (`sbatch --mail-type`).",
    "accounting": "What is kept of jobs beside their rows in accounting ([store] has how long these stay).",
    "log": "What the scheduler writes about itself.",
}


class Key(NamedTuple):
    """One key. field: of the class that target says: ClusterConfig, ServiceConfig, Partition, Improver,
    Batch, Reclaim, GpuIdle, Preemption, Priorities or AccountsPolicy. default: as in a file.
    """

    section: str
    name: str
    kind: Kind
    default: str
    unit: str
    target: str
    field: str

    @property
    def text(self) -> str:
        """What it means."""
        return MEANING[f"{self.section}.{self.name}"]

    @property
    def accepted(self) -> str:
        """What a value may be."""
        return self.kind.accepted

    def read(self, raw: object) -> Any:
        """The value `raw` means; raises KeyProblem."""
        return self.kind.read(raw)


_C, _S, _P, _I = CLUSTER_TARGET, SERVICE_TARGET, PARTITION_TARGET, IMPROVER_TARGET
_B, _R, _G, _E = BATCH_TARGET, RECLAIM_TARGET, GPU_IDLE_TARGET, PREEMPTION_TARGET
_M = PRIORITY_TARGET
_YEAR_S = 366 * 86400

KEYS: tuple[Key, ...] = (
    Key("cluster", "name", NAME, '"packhorse"', "", _C, "name"),
    Key("cluster", "admins", NAMES, "[]", "", _S, "admins"),
    Key("cluster", "topology", TOPOLOGY, "[]", "", _C, "topology"),
    Key("cluster", "licenses", LICENSES, "[]", "", _C, "licenses"),
    Key("jobs", "allow_root_jobs", FLAG, "false", "", _C, "allow_root_jobs"),
    Key(PARTITION, "name", NAME, "", "", _P, "name"),
    Key(PARTITION, "nodes", NODES, '"ALL"', "", _P, "nodes"),
    Key(PARTITION, "default", FLAG, "false", "", _P, "is_default"),
    Key(PARTITION, "up", FLAG, "true", "", _P, "up"),
    Key(PARTITION, "max_time", TIME_LIMIT, '"UNLIMITED"', "minutes", _P, "max_time_s"),
    Key(PARTITION, "default_time", TIME_LIMIT, '"UNLIMITED"', "minutes", _P, "default_time_s"),
    Key(PARTITION, "max_nodes", count(0, 1 << 20), "0", "nodes", _P, "max_nodes"),
    Key(PARTITION, "min_nodes", count(0, 1 << 20), "0", "nodes", _P, "min_nodes"),
    Key(PARTITION, "def_mem_per_cpu", MEMORY, "0", "MiB", _P, "def_mem_mib_per_cpu"),
    Key(PARTITION, "max_mem_per_node", MEMORY, "0", "MiB", _P, "max_mem_mib_per_node"),
    Key(PARTITION, "priority_tier", count(0, 65533), "1", "", _P, "priority_tier"),
    Key(PARTITION, "priority", count(0, 1 << 31), "0", "", _P, "priority"),
    Key(PARTITION, "allow_users", NAMES, "[]", "", _P, "allow_users"),
    Key(PARTITION, "allow_groups", NAMES, "[]", "", _P, "allow_groups"),
    Key(PARTITION, "allow_accounts", NAMES, "[]", "", _P, "allow_accounts"),
    Key(PARTITION, "deny_accounts", NAMES, "[]", "", _P, "deny_accounts"),
    Key(PARTITION, "allow_qos", NAMES, "[]", "", _P, "allow_qos"),
    Key(PARTITION, "deny_qos", NAMES, "[]", "", _P, "deny_qos"),
    Key(PARTITION, "qos", NAME_OR_NONE, '""', "", _P, "qos"),
    Key(PARTITION, "billing", WEIGHTS, "{}", "", _P, "billing"),
    Key(PARTITION, "preempt_mode", PREEMPT_MODE, '""', "", _P, "preempt_mode"),
    Key(PARTITION, "grace", duration(0, _YEAR_S), "0", "seconds", _P, "grace_s"),
    Key(PARTITION, "lease", duration(0, _YEAR_S), "0", "seconds", _P, "lease_s"),
    Key("jobs", "max_array_size", count(1, 1 << 30), "1000001", "", _C, "max_array_size"),
    Key("jobs", "max_pending_jobs", count(1, 1 << 30), "1000000", "jobs", _C, "max_pending_jobs"),
    Key("jobs", "min_job_age", duration(0, _YEAR_S), "300", "seconds", _C, "min_job_age_s"),
    Key("jobs", "max_finished_kept", count(0, 1 << 24), "100000", "jobs", _C, "max_finished_kept"),
    Key("jobs", "kill_wait", duration(0, 3600), "30", "seconds", _C, "kill_wait_s"),
    Key("jobs", "inactive_limit", duration(0, _YEAR_S), "0", "seconds", _C, "inactive_limit_s"),
    Key("jobs", "requeue_delay", duration(0, _YEAR_S), "2", "seconds", _C, "requeue_delay_s"),
    Key("jobs", "max_requeues", count(0, 1 << 16), "16", "", _C, "max_requeues"),
    Key("jobs", "key_retention", duration(1, _YEAR_S), "3600", "seconds", _C, "key_retention_s"),
    Key("jobs", "max_keys_kept", count(1, 1 << 24), "200000", "keys", _C, "max_keys_kept"),
    Key("scheduling", "policy", POLICY, '"packhorse"', "", _C, "policy"),
    Key("scheduling", "order", ORDER, '"priority"', "", _C, "order"),
    Key("scheduling", "backfill", BACKFILL, '"easy"', "", _C, "backfill"),
    Key("scheduling", "backfill_depth", count(0, 1 << 16), "1", "jobs", _C, "backfill_depth"),
    Key("scheduling", "keep_next", FLAG, "false", "", _C, "keep_next"),
    Key("scheduling", "preempt", PREEMPT, '"none"', "", _C, "preempt"),
    Key("scheduling", "predictor", PREDICTOR, '"limit"', "", _C, "predictor"),
    Key("scheduling", "max_starts_per_cycle", count(1, 1 << 20), "4096", "jobs", _C, "max_starts_per_cycle"),
    Key(
        "scheduling",
        "reservation_over_run",
        duration(0, _YEAR_S),
        "0",
        "seconds",
        _C,
        "resv_over_run_s",
    ),
    Key("scheduling", "learn_interval", duration(0, _YEAR_S), "600", "seconds", _S, "learn_interval_s"),
    Key("scheduling", "cycle_interval_ms", count(0, 60000), "20", "milliseconds", _S, "cycle_interval_ms"),
    Key("priority", "weight_age", count(0, 1 << 32), "0", "", _M, "weight_age"),
    Key("priority", "weight_fairshare", count(0, 1 << 32), "0", "", _M, "weight_fairshare"),
    Key("priority", "weight_job_size", count(0, 1 << 32), "0", "", _M, "weight_job_size"),
    Key("priority", "weight_partition", count(0, 1 << 32), "0", "", _M, "weight_partition"),
    Key("priority", "weight_qos", count(0, 1 << 32), "0", "", _M, "weight_qos"),
    Key("priority", "weight_assoc", count(0, 1 << 32), "0", "", _M, "weight_assoc"),
    Key("priority", "weight_tres", TRES_WEIGHTS, "{}", "", _M, "weight_tres"),
    Key("priority", "max_age", duration(1, _YEAR_S), "604800", "seconds", _M, "max_age_s"),
    Key("priority", "favor_small", FLAG, "false", "", _M, "favor_small"),
    Key("priority", "half_life", duration(0, 10 * _YEAR_S), "604800", "seconds", _M, "half_life_s"),
    Key("priority", "usage_reset", RESET, '"none"', "", _M, "usage_reset"),
    Key("priority", "calc_period", duration(1, 86400), "300", "seconds", _M, "calc_period_s"),
    Key("priority", "look_ahead", duration(0, 86400 * 7), "1800", "seconds", _M, "look_ahead_s"),
    Key("priority", "max_tres", FLAG, "false", "", _M, "max_tres"),
    Key("batch", "ageing", duration(60, _YEAR_S), "280000", "seconds", _B, "ageing_s"),
    Key("batch", "power", number(1, 64), "28", "", _B, "power"),
    Key("batch", "guard", number(1, 1000), "4", "times ageing", _B, "guard"),
    Key("batch", "reserve", FRACTION, "0.2", "", _B, "reserve"),
    Key("batch", "spread", number(2, 1_000_000), "1000", "times as long", _B, "spread"),
    Key("batch", "idle", FRACTION, "0.3", "", _B, "idle"),
    Key("batch", "wide", number(0, 2), "0.8", "", _B, "wide"),
    Key("batch", "quiet", FRACTION, "0.2", "", _B, "quiet"),
    Key("batch", "yielding", number(0, 100), "0.3", "", _B, "yielding"),
    Key("improver", "enabled", FLAG, "true", "", _I, "enabled"),
    Key("improver", "limit", SHORT_TIME, '"1s"', "seconds", _I, "limit_ms"),
    Key("improver", "hold", SHORT_TIME_OR_0, "0", "seconds", _I, "hold_ms"),
    Key("improver", "deterministic_limit", SECONDS, "0", "seconds", _I, "deterministic_limit"),
    Key("improver", "workers", count(1, 256), "1", "threads", _I, "workers"),
    Key("improver", "seed", count(0, (1 << 31) - 1), "0", "", _I, "seed"),
    Key("improver", "max_nodes", count(1, 1 << 20), "1000", "nodes", _I, "max_nodes"),
    Key("improver", "max_jobs", count(1, 1 << 20), "2000", "jobs", _I, "max_jobs"),
    Key("reclaim", "enabled", FLAG, "false", "", _R, "enabled"),
    Key("reclaim", "estimator", ESTIMATOR, '"packhorse"', "", _R, "estimator"),
    Key("reclaim", "estimate_margin", count(0, 1000), "0", "percent", _R, "estimate_margin"),
    Key("reclaim", "half_life", duration(0, _YEAR_S), "0", "seconds", _R, "half_life_s"),
    Key("reclaim", "window", duration(0, _YEAR_S), "0", "seconds", _R, "window_s"),
    Key("reclaim", "overrun_days", count(0, 1_000_000), "60", "days", _R, "overrun_days"),
    Key("reclaim", "settle", duration(0, _YEAR_S), "300", "seconds", _R, "settle_s"),
    Key("reclaim", "share", count(0, 100), "80", "percent", _R, "share"),
    Key("reclaim", "margin", MEMORY, "256", "MiB", _R, "margin_mib"),
    Key("reclaim", "max_lent", MEMORY, "0", "MiB", _R, "max_lent_mib"),
    Key("reclaim", "floor_percent", count(0, 100), "5", "percent", _R, "floor_percent"),
    Key("reclaim", "floor", MEMORY, "0", "MiB", _R, "floor_mib"),
    Key("reclaim", "pressure", PERCENT, "10", "percent", _R, "pressure_milli"),
    Key("reclaim", "grace", duration(0, 3600), "30", "seconds", _R, "grace_s"),
    Key("reclaim", "exempt_partitions", NAMES, "[]", "", _R, "exempt_partitions"),
    Key("reclaim", "exempt_accounts", NAMES, "[]", "", _R, "exempt_accounts"),
    Key("reclaim", "exempt_users", NAMES, "[]", "", _R, "exempt_users"),
    Key("reclaim", "no_borrow", NAMES, "[]", "", _R, "no_borrow"),
    Key("reclaim", "stoppable_qos", QOS_NAMES, '["scavenger"]', "", _R, "stoppable_qos"),
    Key("gpu_idle", "enabled", FLAG, "false", "", _G, "enabled"),
    Key("gpu_idle", "busy_below", PERCENT, "5", "percent", _G, "busy_below_milli"),
    Key("gpu_idle", "warn_after", duration(1, _YEAR_S), "7200", "seconds", _G, "warn_after_s"),
    Key("gpu_idle", "grace", duration(0, _YEAR_S), "1800", "seconds", _G, "grace_s"),
    Key("gpu_idle", "action", ACTION, '"warn"', "", _G, "action"),
    Key("gpu_idle", "exempt_partitions", NAMES, "[]", "", _G, "exempt_partitions"),
    Key("gpu_idle", "exempt_accounts", NAMES, "[]", "", _G, "exempt_accounts"),
    Key("gpu_idle", "exempt_users", NAMES, "[]", "", _G, "exempt_users"),
    Key("preemption", "type", PREEMPT_BY, '"none"', "", _E, "type"),
    Key("preemption", "mode", DEFAULT_MODE, '"requeue"', "", _E, "mode"),
    Key("preemption", "grace", duration(0, _YEAR_S), "0", "seconds", _E, "grace_s"),
    Key("preemption", "exempt", duration(0, _YEAR_S), "0", "seconds", _E, "exempt_s"),
    Key("preemption", "checkpoint", duration(0, _YEAR_S), "300", "seconds", _E, "checkpoint_s"),
    Key("preemption", "max_victims", count(1, 1 << 20), "100", "jobs", _E, "max_victims"),
    Key("preemption", "victims", VICTIMS, '"work"', "", _E, "victims"),
    Key("preemption", "take_back", FLAG, "true", "", _E, "take_back"),
    Key("accounts", "enforce", ENFORCE, '"limits"', "", ACCOUNTS_TARGET, "enforce"),
    Key("nodes", "silent_brake_fraction", FRACTION, "0.5", "", _C, "silent_brake_fraction"),
    Key("nodes", "heartbeat", duration(1, 3600), "10", "seconds", _S, "heartbeat_s"),
    Key("nodes", "usage_interval", duration(1, 3600), "10", "seconds", _S, "usage_s"),
    Key("listen", "grpc", ADDRESS, '"127.0.0.1:0"', "", _S, "listen_grpc"),
    Key("listen", "http", ADDRESS, '"127.0.0.1:0"', "", _S, "listen_http"),
    Key("listen", "socket", TEXT, '"run/scheduler.sock"', "", _S, "socket"),
    Key("listen", "tls_cert", TEXT, '""', "", _S, "tls_cert"),
    Key("listen", "tls_key", TEXT, '""', "", _S, "tls_key"),
    Key("listen", "tls_client_ca", TEXT, '""', "", _S, "tls_client_ca"),
    Key("listen", "token_valid", duration(60, _YEAR_S), "3600", "seconds", _S, "token_valid_s"),
    Key("listen", "max_message_mib", count(1, 1024), "16", "MiB", _S, "max_message_mib"),
    Key("listen", "watch_queue", count(16, 1 << 24), "10000", "events", _S, "watch_queue"),
    Key("listen", "wait_limit", duration(1, 7 * 86400), "3600", "seconds", _S, "wait_limit_s"),
    Key("store", "path", TEXT, '"store/packhorse.db"', "", _S, "store_path"),
    Key("store", "reserve_mib", count(0, 1 << 24), "64", "MiB", _S, "reserve_mib"),
    Key(
        "store", "snapshot_every_events", count(100, 1 << 31), "50000", "events", _S, "snapshot_every_events"
    ),
    Key("store", "retention_days", count(0, 36500), "365", "days", _S, "retention_days"),
    Key("store", "record_inputs", FLAG, "false", "", _S, "record_inputs"),
    Key("store", "record_limit_mib", count(1, 1 << 24), "1024", "MiB", _S, "record_limit_mib"),
    Key("shadow", "config", TEXT, '""', "", _S, "shadow_config"),
    Key("shadow", "interval", duration(0, _YEAR_S), "10", "seconds", _S, "shadow_interval_s"),
    Key("mail", "program", TEXT, '""', "", _S, "mail_program"),
    Key("accounting", "usage_retention", count(0, 36500), "30", "days", _S, "usage_retention_days"),
    Key("accounting", "usage_max_mib", count(1, 1 << 24), "1024", "MiB", _S, "usage_max_mib"),
    Key("log", "level", LEVEL, '"info"', "", _S, "log_level"),
    Key("log", "file", TEXT, '"log/scheduler.log"', "", _S, "log_file"),
)

"""Every key of the configuration file: where it goes, its default, its unit, what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from packhorse.scheduler.core.accounts.decay import RESETS
from packhorse.scheduler.core.backfill_kinds import BACKFILLS
from packhorse.scheduler.core.orders import BY_ORDER, NOBODY, ORDERS
from packhorse.scheduler.core.predictors import PREDICTORS
from packhorse.scheduler.core.reclaim.estimators import ESTIMATORS
from packhorse.scheduler.model.accounts import PreemptMode
from packhorse.scheduler.model.cluster import Enforce, GpuIdleAction, PreemptBy, Topology, VictimOrder
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.job import NORMAL_QOS
from packhorse.scheduler.model.node import LEVELS, are_levels
from packhorse.scheduler.model.tres import is_name, sort_key
from packhorse.scheduler.model.units import UnitError, parse_mem_mib, parse_time_limit_s

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
    "accounting": "What is kept of jobs beside their rows in accounting ([store] has how long these stay).",
    "log": "What the scheduler writes about itself.",
}


class KeyProblem(Exception):
    """A value that a key does not take; the text says why."""


class Kind(NamedTuple):
    """How values of a kind are read and described."""

    accepted: str
    read: Callable[[object], Any]


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


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise KeyProblem("not true or false")
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise KeyProblem("not a text in quotes")
    return raw


def _name(raw: object) -> str:
    text = _text(raw)
    if not text or not all(char.isalnum() or char in "-_." for char in text):
        raise KeyProblem("not a name")
    return text


def _names(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    if not isinstance(raw, list) or not all(isinstance(item, str | int) for item in raw):
        raise KeyProblem("not a list")
    return tuple(str(item) for item in raw)


def _nodes(raw: object) -> tuple[str, ...]:
    from packhorse.scheduler.model.hostlist import HostlistError, expand

    text = ",".join(_names(raw)) if isinstance(raw, list) else _text(raw)
    if text.strip().upper() == "ALL":
        return ("ALL",)
    try:
        names = tuple(dict.fromkeys(expand(text)))
    except HostlistError as error:
        raise KeyProblem(str(error)) from error
    if not names:
        raise KeyProblem("no node is named")
    return names


def _count(low: int, high: int) -> Kind:
    def read(raw: object) -> int:
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise KeyProblem("not a whole number")
        if not low <= raw <= high:
            raise KeyProblem(f"not between {low} and {high}")
        return raw

    return Kind(f"a whole number from {low} to {high}", read)


def _fraction(raw: object) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= 1:
        raise KeyProblem("not between 0 and 1")
    return float(raw)


def _name_or_none(raw: object) -> str:
    return _name(raw) if raw != "" else ""


def _weights(raw: object) -> tuple[tuple[str, float], ...]:
    """By name of what may be counted (model/tres.py), sorted as there."""
    if not isinstance(raw, dict):
        raise KeyProblem("not a table")
    for name, weight in raw.items():
        if not is_name(name):
            raise KeyProblem(f'"{name}" is none of cpu, mem, node, gres/KIND[:TYPE], license/NAME')
        if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight <= 1e9:
            raise KeyProblem(f"{name}: not a number from 0 to 1000000000")
    return tuple((name, float(raw[name])) for name in sorted(raw, key=sort_key))


def _percent(raw: object) -> int:
    """Thousandths of a percentage with at most one decimal."""
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= 100:
        raise KeyProblem("not between 0 and 100")
    return round(raw * 10)


def _qos_names(raw: object) -> tuple[str, ...]:
    names = _names(raw)
    if NORMAL_QOS in names:
        raise KeyProblem(f'jobs of QOS "{NORMAL_QOS}" are never stopped; name others')
    return names


def _number(low: int, high: int) -> Kind:
    """Any number within these bounds, both included."""
    bounds = f"{low} to {high}"

    def read(raw: object) -> float:
        if not isinstance(raw, int | float) or isinstance(raw, bool):
            raise KeyProblem("not a number")
        if not low <= raw <= high:  # nor is "nan" between anything
            raise KeyProblem(f"not from {bounds}")
        return float(raw)

    return Kind(f"a number from {bounds}", read)


def _licenses(raw: object) -> tuple[tuple[str, int], ...]:
    from packhorse.scheduler.model.gresspec import GresError, parse_licenses

    try:
        return parse_licenses(",".join(_names(raw)))
    except GresError as error:
        raise KeyProblem(str(error)) from error


def _topology(raw: object) -> Topology:
    """By path; no node twice."""
    found: dict[str, tuple[NodeName, ...]] = {}
    seen: set[str] = set()
    for text in _names(raw):
        path, colon, nodes = text.partition(":")
        levels = path.split("/")
        if not colon or not are_levels(levels) or path in found:
            raise KeyProblem(f'"{text}" is not RACK/SWITCH:NODES with every path there once, of {LEVELS}')
        names = _nodes(nodes)
        twice = seen.intersection(names)
        if twice or names == ("ALL",):
            raise KeyProblem(f'"{text}": {min(twice) if twice else "ALL"} cannot stand in two places')
        seen.update(names)
        found[path] = tuple(NodeName(name) for name in names)
    return tuple(sorted(found.items()))


def _policy(raw: object) -> str:
    from packhorse.scheduler.plugins import known_policies  # only when one is named: it loads the policies

    names = known_policies()
    if raw not in names:
        raise KeyProblem(f"there is no such policy; there are {', '.join(names)}")
    return str(raw)


def _named(what: str, names: Iterable[str]) -> Kind:
    """One of a table's names."""
    known = tuple(names)

    def read(raw: object) -> str:
        if raw not in known:
            raise KeyProblem(f"there is no such {what}")
        return str(raw)

    return Kind(", ".join(f'"{name}"' for name in known), read)


def _member(what: str, members: Iterable[StrEnum]) -> Kind:
    """One of these words."""
    kind, words = _named(what, members), {str(member): member for member in members}
    return Kind(kind.accepted, lambda raw: words[kind.read(raw)])


def _tres_weights(raw: object) -> tuple[tuple[str, int], ...]:
    found = _weights(raw)
    if any(weight != int(weight) for _, weight in found):
        raise KeyProblem("not whole numbers")
    return tuple((name, int(weight)) for name, weight in found)


def _action(raw: object) -> GpuIdleAction:
    if raw not in list(GpuIdleAction):
        raise KeyProblem("there is no such action")
    return GpuIdleAction(str(raw))


def _enforce(raw: object) -> Enforce:
    if raw not in list(Enforce):
        raise KeyProblem("there is no such way to enforce accounts")
    return Enforce(str(raw))


def _seconds(raw: object) -> float:
    if not isinstance(raw, int | float) or isinstance(raw, bool) or not 0 <= raw <= 3600:
        raise KeyProblem("not between 0 and 3600")
    return float(raw)


def _short_time(low_ms: int) -> Kind:
    """Milliseconds, up to one hour."""

    def read(raw: object) -> int:
        ms: object = None
        if isinstance(raw, str) and raw.endswith("ms") and raw[:-2].isdecimal():
            ms = int(raw[:-2])
        elif isinstance(raw, str) and raw[-1:] in _UNIT_S and raw[:-1].isdecimal():
            ms = int(raw[:-1]) * _UNIT_S[raw[-1]] * 1000
        elif isinstance(raw, int) and not isinstance(raw, bool):
            ms = raw * 1000
        if not isinstance(ms, int):
            raise KeyProblem("not a time")
        if not low_ms <= ms <= 3_600_000:
            raise KeyProblem(f"not between {low_ms} ms and 3600 s")
        return ms

    return Kind('seconds, or a text like "500ms", "1s"', read)


_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration_kind(low: int, high: int) -> Kind:
    def read(raw: object) -> int:
        if isinstance(raw, str) and raw[-1:] in _UNIT_S and raw[:-1].isdecimal():
            raw = int(raw[:-1]) * _UNIT_S[raw[-1]]
        if not isinstance(raw, int) or isinstance(raw, bool):
            raise KeyProblem("not a duration")
        if not low <= raw <= high:
            raise KeyProblem(f"not between {low} and {high} seconds")
        return raw

    return Kind(f'seconds, or a text like "90s", "5m", "2h", "7d" ({low} to {high} seconds)', read)


def _time_limit(raw: object) -> int:
    if isinstance(raw, str):
        try:
            return parse_time_limit_s(raw)
        except UnitError as error:
            raise KeyProblem(str(error)) from error
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 0:
        raise KeyProblem("not a time limit")
    return raw * 60


def _memory(raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    try:
        return parse_mem_mib(_text(raw))
    except UnitError as error:
        raise KeyProblem(str(error)) from error


def _address(raw: object) -> str:
    host, colon, port = _text(raw).rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise KeyProblem("not HOST:PORT")
    return _text(raw)


_LEVELS = ("debug", "info", "warning", "error")


def _level(raw: object) -> str:
    if raw not in _LEVELS:
        raise KeyProblem("not a log level")
    return str(raw)


FLAG = Kind("true or false", _flag)
TEXT = Kind("a text in quotes", _text)
NAME = Kind("a name of letters, digits, -, _ and .", _name)
NAMES = Kind('a list of texts, like ["ann", "bob"]', _names)
NODES = Kind('"ALL", or a list of nodes like "node[1-8],gpu1"', _nodes)
NAME_OR_NONE = Kind('a name of letters, digits, -, _ and ., or ""', _name_or_none)
WEIGHTS = Kind('a table of numbers, like { cpu = 1, mem = 0.25, "gres/gpu" = 8 }', _weights)
FRACTION = Kind("a number from 0 to 1", _fraction)
TIME_LIMIT = Kind('minutes, or a text like "01:30:00", "2-00:00:00", "UNLIMITED"', _time_limit)
MEMORY = Kind('MiB, or a text like "500M", "4G"', _memory)
TOPOLOGY = Kind('a list of texts like ["rack1/leaf1:n[1-4]", "rack1/leaf2:n[5-8]"]', _topology)
LICENSES = Kind('a list of texts with counts, like ["matlab:10", "fluent:2"]', _licenses)
ORDER = _named("order", ORDERS)
BACKFILL = _named("kind of backfilling", BACKFILLS)
PREEMPT = _named("kind of preemption", (NOBODY, BY_ORDER))
PREEMPT_MODE = _named("kind of preemption", [mode.value for mode in PreemptMode])
PREEMPT_BY = _member("kind of right", list(PreemptBy))
VICTIMS = _member("order of victims", list(VictimOrder))
DEFAULT_MODE = _member("kind of preemption", [mode for mode in PreemptMode if mode])
PREDICTOR = _named("predictor", PREDICTORS)
ESTIMATOR = _named("estimator", ESTIMATORS)
RESET = _named("period", RESETS)
TRES_WEIGHTS = Kind('a table of whole numbers, like { cpu = 1000, "gres/gpu" = 5000 }', _tres_weights)
PERCENT = Kind("a percentage from 0 to 100, one decimal at most", _percent)
QOS_NAMES = Kind('a list of texts, like ["scavenger"]', _qos_names)
POLICY = Kind("the name of a policy, see docs/packing.md", _policy)
ENFORCE = Kind(", ".join(f'"{way.value}"' for way in Enforce), _enforce)
ACTION = Kind(", ".join(f'"{action.value}"' for action in GpuIdleAction), _action)
SHORT_TIME = _short_time(1)
SHORT_TIME_OR_0 = _short_time(0)
SECONDS = Kind("seconds from 0 to 3600, fractions too", _seconds)
ADDRESS = Kind('"HOST:PORT"; port 0 takes a free one', _address)
LEVEL = Kind(", ".join(f'"{level}"' for level in _LEVELS), _level)

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
    Key(PARTITION, "max_nodes", _count(0, 1 << 20), "0", "nodes", _P, "max_nodes"),
    Key(PARTITION, "min_nodes", _count(0, 1 << 20), "0", "nodes", _P, "min_nodes"),
    Key(PARTITION, "def_mem_per_cpu", MEMORY, "0", "MiB", _P, "def_mem_mib_per_cpu"),
    Key(PARTITION, "max_mem_per_node", MEMORY, "0", "MiB", _P, "max_mem_mib_per_node"),
    Key(PARTITION, "priority_tier", _count(0, 65533), "1", "", _P, "priority_tier"),
    Key(PARTITION, "priority", _count(0, 1 << 31), "0", "", _P, "priority"),
    Key(PARTITION, "allow_users", NAMES, "[]", "", _P, "allow_users"),
    Key(PARTITION, "allow_groups", NAMES, "[]", "", _P, "allow_groups"),
    Key(PARTITION, "allow_accounts", NAMES, "[]", "", _P, "allow_accounts"),
    Key(PARTITION, "deny_accounts", NAMES, "[]", "", _P, "deny_accounts"),
    Key(PARTITION, "allow_qos", NAMES, "[]", "", _P, "allow_qos"),
    Key(PARTITION, "deny_qos", NAMES, "[]", "", _P, "deny_qos"),
    Key(PARTITION, "qos", NAME_OR_NONE, '""', "", _P, "qos"),
    Key(PARTITION, "billing", WEIGHTS, "{}", "", _P, "billing"),
    Key(PARTITION, "preempt_mode", PREEMPT_MODE, '""', "", _P, "preempt_mode"),
    Key(PARTITION, "grace", _duration_kind(0, _YEAR_S), "0", "seconds", _P, "grace_s"),
    Key(PARTITION, "lease", _duration_kind(0, _YEAR_S), "0", "seconds", _P, "lease_s"),
    Key("jobs", "max_array_size", _count(1, 1 << 30), "1000001", "", _C, "max_array_size"),
    Key("jobs", "max_pending_jobs", _count(1, 1 << 30), "1000000", "jobs", _C, "max_pending_jobs"),
    Key("jobs", "min_job_age", _duration_kind(0, _YEAR_S), "300", "seconds", _C, "min_job_age_s"),
    Key("jobs", "max_finished_kept", _count(0, 1 << 24), "100000", "jobs", _C, "max_finished_kept"),
    Key("jobs", "kill_wait", _duration_kind(0, 3600), "30", "seconds", _C, "kill_wait_s"),
    Key("jobs", "requeue_delay", _duration_kind(0, _YEAR_S), "2", "seconds", _C, "requeue_delay_s"),
    Key("jobs", "max_requeues", _count(0, 1 << 16), "16", "", _C, "max_requeues"),
    Key("jobs", "key_retention", _duration_kind(1, _YEAR_S), "3600", "seconds", _C, "key_retention_s"),
    Key("jobs", "max_keys_kept", _count(1, 1 << 24), "200000", "keys", _C, "max_keys_kept"),
    Key("scheduling", "policy", POLICY, '"packhorse"', "", _C, "policy"),
    Key("scheduling", "order", ORDER, '"priority"', "", _C, "order"),
    Key("scheduling", "backfill", BACKFILL, '"easy"', "", _C, "backfill"),
    Key("scheduling", "backfill_depth", _count(0, 1 << 16), "1", "jobs", _C, "backfill_depth"),
    Key("scheduling", "keep_next", FLAG, "false", "", _C, "keep_next"),
    Key("scheduling", "preempt", PREEMPT, '"none"', "", _C, "preempt"),
    Key("scheduling", "predictor", PREDICTOR, '"limit"', "", _C, "predictor"),
    Key("scheduling", "max_starts_per_cycle", _count(1, 1 << 20), "4096", "jobs", _C, "max_starts_per_cycle"),
    Key(
        "scheduling",
        "reservation_over_run",
        _duration_kind(0, _YEAR_S),
        "0",
        "seconds",
        _C,
        "resv_over_run_s",
    ),
    Key("scheduling", "learn_interval", _duration_kind(0, _YEAR_S), "600", "seconds", _S, "learn_interval_s"),
    Key("scheduling", "cycle_interval_ms", _count(0, 60000), "20", "milliseconds", _S, "cycle_interval_ms"),
    Key("priority", "weight_age", _count(0, 1 << 32), "0", "", _M, "weight_age"),
    Key("priority", "weight_fairshare", _count(0, 1 << 32), "0", "", _M, "weight_fairshare"),
    Key("priority", "weight_job_size", _count(0, 1 << 32), "0", "", _M, "weight_job_size"),
    Key("priority", "weight_partition", _count(0, 1 << 32), "0", "", _M, "weight_partition"),
    Key("priority", "weight_qos", _count(0, 1 << 32), "0", "", _M, "weight_qos"),
    Key("priority", "weight_assoc", _count(0, 1 << 32), "0", "", _M, "weight_assoc"),
    Key("priority", "weight_tres", TRES_WEIGHTS, "{}", "", _M, "weight_tres"),
    Key("priority", "max_age", _duration_kind(1, _YEAR_S), "604800", "seconds", _M, "max_age_s"),
    Key("priority", "favor_small", FLAG, "false", "", _M, "favor_small"),
    Key("priority", "half_life", _duration_kind(0, 10 * _YEAR_S), "604800", "seconds", _M, "half_life_s"),
    Key("priority", "usage_reset", RESET, '"none"', "", _M, "usage_reset"),
    Key("priority", "calc_period", _duration_kind(1, 86400), "300", "seconds", _M, "calc_period_s"),
    Key("priority", "look_ahead", _duration_kind(0, 86400 * 7), "1800", "seconds", _M, "look_ahead_s"),
    Key("priority", "max_tres", FLAG, "false", "", _M, "max_tres"),
    Key("batch", "ageing", _duration_kind(60, _YEAR_S), "280000", "seconds", _B, "ageing_s"),
    Key("batch", "power", _number(1, 64), "28", "", _B, "power"),
    Key("batch", "guard", _number(1, 1000), "4", "times ageing", _B, "guard"),
    Key("batch", "reserve", FRACTION, "0.2", "", _B, "reserve"),
    Key("batch", "spread", _number(2, 1_000_000), "1000", "times as long", _B, "spread"),
    Key("batch", "idle", FRACTION, "0.3", "", _B, "idle"),
    Key("batch", "wide", _number(0, 2), "0.8", "", _B, "wide"),
    Key("batch", "quiet", FRACTION, "0.2", "", _B, "quiet"),
    Key("batch", "yielding", _number(0, 100), "0.3", "", _B, "yielding"),
    Key("improver", "enabled", FLAG, "true", "", _I, "enabled"),
    Key("improver", "limit", SHORT_TIME, '"1s"', "seconds", _I, "limit_ms"),
    Key("improver", "hold", SHORT_TIME_OR_0, "0", "seconds", _I, "hold_ms"),
    Key("improver", "deterministic_limit", SECONDS, "0", "seconds", _I, "deterministic_limit"),
    Key("improver", "workers", _count(1, 256), "1", "threads", _I, "workers"),
    Key("improver", "seed", _count(0, (1 << 31) - 1), "0", "", _I, "seed"),
    Key("improver", "max_nodes", _count(1, 1 << 20), "1000", "nodes", _I, "max_nodes"),
    Key("improver", "max_jobs", _count(1, 1 << 20), "2000", "jobs", _I, "max_jobs"),
    Key("reclaim", "enabled", FLAG, "false", "", _R, "enabled"),
    Key("reclaim", "estimator", ESTIMATOR, '"packhorse"', "", _R, "estimator"),
    Key("reclaim", "estimate_margin", _count(0, 1000), "0", "percent", _R, "estimate_margin"),
    Key("reclaim", "half_life", _duration_kind(0, _YEAR_S), "0", "seconds", _R, "half_life_s"),
    Key("reclaim", "window", _duration_kind(0, _YEAR_S), "0", "seconds", _R, "window_s"),
    Key("reclaim", "overrun_days", _count(0, 1_000_000), "60", "days", _R, "overrun_days"),
    Key("reclaim", "settle", _duration_kind(0, _YEAR_S), "300", "seconds", _R, "settle_s"),
    Key("reclaim", "share", _count(0, 100), "80", "percent", _R, "share"),
    Key("reclaim", "margin", MEMORY, "256", "MiB", _R, "margin_mib"),
    Key("reclaim", "max_lent", MEMORY, "0", "MiB", _R, "max_lent_mib"),
    Key("reclaim", "floor_percent", _count(0, 100), "5", "percent", _R, "floor_percent"),
    Key("reclaim", "floor", MEMORY, "0", "MiB", _R, "floor_mib"),
    Key("reclaim", "pressure", PERCENT, "10", "percent", _R, "pressure_milli"),
    Key("reclaim", "grace", _duration_kind(0, 3600), "30", "seconds", _R, "grace_s"),
    Key("reclaim", "exempt_partitions", NAMES, "[]", "", _R, "exempt_partitions"),
    Key("reclaim", "exempt_accounts", NAMES, "[]", "", _R, "exempt_accounts"),
    Key("reclaim", "exempt_users", NAMES, "[]", "", _R, "exempt_users"),
    Key("reclaim", "no_borrow", NAMES, "[]", "", _R, "no_borrow"),
    Key("reclaim", "stoppable_qos", QOS_NAMES, '["scavenger"]', "", _R, "stoppable_qos"),
    Key("gpu_idle", "enabled", FLAG, "false", "", _G, "enabled"),
    Key("gpu_idle", "busy_below", PERCENT, "5", "percent", _G, "busy_below_milli"),
    Key("gpu_idle", "warn_after", _duration_kind(1, _YEAR_S), "7200", "seconds", _G, "warn_after_s"),
    Key("gpu_idle", "grace", _duration_kind(0, _YEAR_S), "1800", "seconds", _G, "grace_s"),
    Key("gpu_idle", "action", ACTION, '"warn"', "", _G, "action"),
    Key("gpu_idle", "exempt_partitions", NAMES, "[]", "", _G, "exempt_partitions"),
    Key("gpu_idle", "exempt_accounts", NAMES, "[]", "", _G, "exempt_accounts"),
    Key("gpu_idle", "exempt_users", NAMES, "[]", "", _G, "exempt_users"),
    Key("preemption", "type", PREEMPT_BY, '"none"', "", _E, "type"),
    Key("preemption", "mode", DEFAULT_MODE, '"requeue"', "", _E, "mode"),
    Key("preemption", "grace", _duration_kind(0, _YEAR_S), "0", "seconds", _E, "grace_s"),
    Key("preemption", "exempt", _duration_kind(0, _YEAR_S), "0", "seconds", _E, "exempt_s"),
    Key("preemption", "checkpoint", _duration_kind(0, _YEAR_S), "300", "seconds", _E, "checkpoint_s"),
    Key("preemption", "max_victims", _count(1, 1 << 20), "100", "jobs", _E, "max_victims"),
    Key("preemption", "victims", VICTIMS, '"work"', "", _E, "victims"),
    Key("preemption", "take_back", FLAG, "true", "", _E, "take_back"),
    Key("accounts", "enforce", ENFORCE, '"limits"', "", ACCOUNTS_TARGET, "enforce"),
    Key("nodes", "silent_brake_fraction", FRACTION, "0.5", "", _C, "silent_brake_fraction"),
    Key("nodes", "heartbeat", _duration_kind(1, 3600), "10", "seconds", _S, "heartbeat_s"),
    Key("nodes", "usage_interval", _duration_kind(1, 3600), "10", "seconds", _S, "usage_s"),
    Key("listen", "grpc", ADDRESS, '"127.0.0.1:0"', "", _S, "listen_grpc"),
    Key("listen", "http", ADDRESS, '"127.0.0.1:0"', "", _S, "listen_http"),
    Key("listen", "socket", TEXT, '"run/scheduler.sock"', "", _S, "socket"),
    Key("listen", "tls_cert", TEXT, '""', "", _S, "tls_cert"),
    Key("listen", "tls_key", TEXT, '""', "", _S, "tls_key"),
    Key("listen", "tls_client_ca", TEXT, '""', "", _S, "tls_client_ca"),
    Key("listen", "token_valid", _duration_kind(60, _YEAR_S), "3600", "seconds", _S, "token_valid_s"),
    Key("listen", "max_message_mib", _count(1, 1024), "16", "MiB", _S, "max_message_mib"),
    Key("listen", "watch_queue", _count(16, 1 << 24), "10000", "events", _S, "watch_queue"),
    Key("listen", "wait_limit", _duration_kind(1, 7 * 86400), "3600", "seconds", _S, "wait_limit_s"),
    Key("store", "path", TEXT, '"store/packhorse.db"', "", _S, "store_path"),
    Key("store", "reserve_mib", _count(0, 1 << 24), "64", "MiB", _S, "reserve_mib"),
    Key(
        "store", "snapshot_every_events", _count(100, 1 << 31), "50000", "events", _S, "snapshot_every_events"
    ),
    Key("store", "retention_days", _count(0, 36500), "365", "days", _S, "retention_days"),
    Key("store", "record_inputs", FLAG, "false", "", _S, "record_inputs"),
    Key("store", "record_limit_mib", _count(1, 1 << 24), "1024", "MiB", _S, "record_limit_mib"),
    Key("shadow", "config", TEXT, '""', "", _S, "shadow_config"),
    Key("shadow", "interval", _duration_kind(0, _YEAR_S), "10", "seconds", _S, "shadow_interval_s"),
    Key("accounting", "usage_retention", _count(0, 36500), "30", "days", _S, "usage_retention_days"),
    Key("accounting", "usage_max_mib", _count(1, 1 << 24), "1024", "MiB", _S, "usage_max_mib"),
    Key("log", "level", LEVEL, '"info"', "", _S, "log_level"),
    Key("log", "file", TEXT, '"log/scheduler.log"', "", _S, "log_file"),
)

MEANING: dict[str, str] = {
    "cluster.name": "Name of the cluster; tokens of another name are refused.",
    "cluster.admins": (
        "Users (names or uids) who may act on everybody's jobs and on nodes, beside uid 0 and the user "
        "who runs the scheduler."
    ),
    "cluster.topology": (
        "Where nodes stand in the tree of racks and switches, from the top down; --switches and --hops go "
        "by it. Of nodes that are not named, what their agents say (--topology)."
    ),
    "cluster.licenses": (
        "What `sbatch --licenses` can ask for, and how many of each the cluster has; without a count one."
    ),
    "jobs.allow_root_jobs": (
        "Whether uid 0 may run jobs. `packhorse up` as root writes true, since nobody else is there."
    ),
    "partition.name": "What `sbatch -p` calls it. Required.",
    "partition.nodes": "Its nodes.",
    "partition.default": "Jobs that name no partition go here.",
    "partition.up": "false: jobs are accepted and wait.",
    "partition.max_time": "Longest time limit of a job.",
    "partition.default_time": "Time limit of jobs that state none; unlimited means max_time.",
    "partition.max_nodes": "Most nodes of one job; 0: no limit.",
    "partition.min_nodes": "Fewest nodes of one job.",
    "partition.def_mem_per_cpu": (
        "Memory for each CPU of jobs that state none; 0: they are given no memory of their own."
    ),
    "partition.max_mem_per_node": "Most memory of one job on one node; 0: no limit.",
    "partition.priority_tier": "Jobs of a higher tier go before all of a lower one.",
    "partition.priority": "Added to the priority of its jobs.",
    "partition.allow_users": "Only these users may use it; empty: everybody.",
    "partition.allow_groups": "Only members of these groups may use it; empty: everybody.",
    "partition.allow_accounts": "Only jobs of these accounts, or of accounts below them; empty: all.",
    "partition.deny_accounts": "Not jobs of these accounts, nor of accounts below them.",
    "partition.allow_qos": "Only jobs of these QOS; empty: all.",
    "partition.deny_qos": "Not jobs of these QOS.",
    "partition.qos": "The limits of this QOS hold for all jobs of the partition together.",
    "partition.billing": (
        "What use of it costs: weight of each CPU, GiB of memory (mem) and device (gres/gpu), as Slurm's "
        "TRESBillingWeights; {}: a CPU costs 1, nothing else anything."
    ),
    "partition.preempt_mode": (
        "What becomes of its jobs when jobs of a partition of a higher tier need their room: off, requeue, "
        'cancel or suspend; "": what [preemption] says.'
    ),
    "partition.grace": "How long its jobs have between the warning and the end when they are preempted.",
    "partition.lease": (
        "A node that has not heard of its scheduler for this long stops these jobs itself, so that they "
        "can be run elsewhere; 0: they run on however long the silence."
    ),
    "jobs.max_array_size": "Array indices must be below this (MaxArraySize).",
    "jobs.max_pending_jobs": "Submissions beyond this many waiting jobs are refused.",
    "jobs.min_job_age": (
        "How long `squeue -t all` and `scontrol show job` know a job after its end (MinJobAge)."
    ),
    "jobs.max_finished_kept": (
        "Most ended jobs kept in memory whatever their age; accounting keeps them all."
    ),
    "jobs.kill_wait": "Between TERM and KILL (KillWait).",
    "jobs.requeue_delay": "A requeued job waits at least this long.",
    "jobs.max_requeues": "A job that was requeued this often is held instead of started again.",
    "jobs.key_retention": "How long the answer to a call with an idempotency key is remembered.",
    "jobs.max_keys_kept": "Most such answers remembered.",
    "scheduling.policy": "How nodes and devices are chosen among those that fit.",
    "scheduling.order": (
        "In what order jobs of equal partition tier and priority are looked at; `priority`: as they came. "
        "f1 to f4 count submission times from the first start of the scheduler."
    ),
    "scheduling.backfill": "Who may start before blocked jobs that have a planned start; `none`: nobody.",
    "scheduling.backfill_depth": (
        "How many blocked jobs get a planned start that others must not delay; 1 is EASY backfilling."
    ),
    "scheduling.keep_next": (
        "A blocked job that has a planned start stays ahead of those that come later, whatever the order."
    ),
    "preemption.type": (
        "What lets a waiting job have running ones make room for it: its QOS (what that preempts), the tier "
        "of its partition, or both; none: nothing. Not together with preempt in [scheduling]."
    ),
    "preemption.mode": (
        "What becomes of jobs that make room, where their QOS or partition does not say: requeue, cancel, "
        "suspend; off: they never do. With --no-requeue a job is cancelled instead of requeued."
    ),
    "preemption.grace": (
        "How long they have between the warning (their checkpoint signal, that of --signal, or TERM) and the "
        "end, where their QOS or partition does not say."
    ),
    "preemption.exempt": "How long a job runs before it may have to make room, where its QOS does not say.",
    "preemption.checkpoint": (
        "The longest time that a job gets after the signal that it named with `sbatch --checkpoint-signal`."
    ),
    "preemption.max_victims": "At most so many jobs are told to make room in one scheduling pass.",
    "preemption.victims": (
        "Which of those that could make room do: work, those that lose the least of it; newest, those that "
        "began last."
    ),
    "preemption.take_back": (
        "Accounts with a quota get back what others borrowed of it as soon as they want it; false: when it "
        "is given back. Whatever type says."
    ),
    "scheduling.preempt": (
        "Who may be stopped, and waits again, where a job before it needs its room; `none`: nobody; "
        "`order`: running jobs that may be requeued. With `order` there are no planned starts."
    ),
    "scheduling.predictor": (
        "How long jobs are expected to run, for the order and for backfilling; `limit`: their time limit, "
        "which stays the bound whatever is predicted."
    ),
    "scheduling.max_starts_per_cycle": "Most jobs started in one pass.",
    "scheduling.reservation_over_run": (
        "How long jobs of a reservation may run on when its window is over, before they are stopped (Slurm's "
        "ResvOverRun)."
    ),
    "scheduling.learn_interval": (
        "A policy that learns from what jobs are like does so at most this often, for some seconds; 0: never."
    ),
    "scheduling.cycle_interval_ms": "Least time between the starts of two passes.",
    "priority.weight_age": "Worth of having waited for `max_age`, in proportion before.",
    "priority.weight_fairshare": "Worth of a fair share factor of 1: the least used of what is due.",
    "priority.weight_job_size": "Worth of asking for the whole cluster (`favor_small`: for little).",
    "priority.weight_partition": "Worth of its partition's `priority`, against the highest of all.",
    "priority.weight_qos": "Worth of the priority of its QOS, against the highest of all.",
    "priority.weight_assoc": "Worth of the priority of the user's association, against the highest of all.",
    "priority.weight_tres": "Worth of asking for all of these resources that its partition has.",
    "priority.max_age": "A job that has waited for so long since it could start gains no more from waiting.",
    "priority.favor_small": "Small jobs come first instead of large ones.",
    "priority.half_life": "After so long use counts half as much; 0: it counts for ever.",
    "priority.usage_reset": (
        "When all use is forgotten: never by itself, or at the start of each day, week … (UTC; weeks begin "
        "on Sunday)."
    ),
    "priority.calc_period": "How often fair shares are worked out again while no job starts or ends.",
    "priority.look_ahead": (
        "Fair shares are held against what was used and what running jobs use in so long from now on: a "
        "start counts at once. 0: only against what was used, as Slurm does."
    ),
    "priority.max_tres": (
        "A job costs what the dearest of its resources does (partition.billing) instead of all together; "
        "licences come on top."
    ),
    "batch.ageing": (
        "A wait from which a job moves ahead of smaller ones: set it to what users may be asked to wait; the "
        "longest wait may be nearly twice that. The higher it is, the shorter most waits."
    ),
    "batch.power": (
        "How abruptly: a job that has waited x times `ageing` counts as if it were 1 + x^power times smaller."
    ),
    "batch.guard": "After this long the longest wait goes first, whatever the job.",
    "batch.reserve": (
        "Share of what a long job leaves of its partition that is kept free of it, for small jobs; 0: none."
    ),
    "batch.spread": (
        "All of `reserve` is kept free of a job that is expected to run this much longer than a small one, "
        "less of shorter jobs."
    ),
    "batch.idle": "Nothing is kept free while more than this share of the partition is.",
    "batch.wide": (
        "A job that takes at least this share of its partition, and has waited for `ageing`, starts in a "
        "quiet hour; above 1: no job does."
    ),
    "batch.quiet": (
        "Which hours are quiet, by how many jobs usually arrive: 0 is the quietest of the next 24, 1 any."
    ),
    "batch.yielding": "Added to `quiet` for each further `ageing` that the job has waited.",
    "improver.enabled": "Whether it runs at all.",
    "improver.limit": "Longest time of one try, on the clock.",
    "improver.hold": (
        "How long the starts of a pass may wait for a better plan where one could matter; 0: never. What "
        "started is never moved, so with 0 there is nothing for the improver to do."
    ),
    "improver.deterministic_limit": (
        "Instead of `limit`: the solver's own count of seconds, which makes the same input give the same "
        "plan on every machine; 0: `limit` holds."
    ),
    "improver.workers": "Threads of the solver.",
    "improver.seed": "Where its search starts.",
    "improver.max_nodes": "Most nodes of the contended part that it is given.",
    "improver.max_jobs": "Most jobs of it.",
    "reclaim.enabled": (
        "Whether usage is watched and memory is lent. Off, loans that are left from before are taken back."
    ),
    "reclaim.estimator": "How it is estimated what a job will use; docs/reclaim.md compares them.",
    "reclaim.estimate_margin": (
        "What the estimators borg and window add to the use that they saw; 0: what they come with."
    ),
    "reclaim.half_life": (
        "An estimate above what it should be comes half-way down in so long; 0: as the estimator's own."
    ),
    "reclaim.window": "How long a peak of use counts as recent; 0: as the estimator's own.",
    "reclaim.overrun_days": (
        "How bad it is for the estimator packhorse when a job grows past what was expected: as bad as to "
        "keep the peak of a mean job idle for so many days. Less lends more, and takes back more often."
    ),
    "reclaim.settle": (
        "A job lends nothing before it has run for so long, and one that was stopped for its lent memory "
        "borrows none for so long."
    ),
    "reclaim.share": "How much of the memory that jobs of a node are not expected to use may be lent.",
    "reclaim.margin": "So much of it on each node is never lent.",
    "reclaim.max_lent": "Most that is lent on one node; 0: no bound.",
    "reclaim.floor_percent": "With less of its memory free than this a node takes loans back.",
    "reclaim.floor": "The same as an amount; the larger of the two holds.",
    "reclaim.pressure": (
        "A node takes loans back where processes waited for memory in more than this part of the last 10 s "
        "(PSI)."
    ),
    "reclaim.grace": "Between the signal that tells a borrower to stop and KILL.",
    "reclaim.exempt_partitions": "Memory of jobs in these partitions is never lent.",
    "reclaim.exempt_accounts": "Nor that of jobs of these accounts.",
    "reclaim.exempt_users": "Nor that of jobs of these users.",
    "reclaim.no_borrow": "Jobs in these partitions never borrow.",
    "reclaim.stoppable_qos": (
        'QOS that `sbatch --qos` takes beside "normal". Jobs of these may be stopped for memory, and only '
        "they borrow."
    ),
    "gpu_idle.enabled": "Whether anything is done.",
    "gpu_idle.busy_below": "A GPU on which something runs for less of the time than this is idle.",
    "gpu_idle.warn_after": "A job is warned when all its GPUs have been idle for so long without a break.",
    "gpu_idle.grace": "So long after the warning `action` follows, if they still are.",
    "gpu_idle.action": (
        "What follows: `warn`: nothing; `requeue`: the job is stopped and waits again, held until somebody "
        "releases it (one that may not be requeued is cancelled); `cancel`."
    ),
    "gpu_idle.exempt_partitions": "Partitions whose jobs are left alone.",
    "gpu_idle.exempt_accounts": "Accounts whose jobs are left alone.",
    "gpu_idle.exempt_users": "Users whose jobs are left alone.",
    "accounts.enforce": (
        '"none": accounts and QOS are names in records. "limits": everybody is held to the limits and QOS of '
        "their association, and once there is an account below root, nobody submits without one. "
        '"associations": nobody ever does. "accounts": whoever has an association, or names an account that '
        "exists, is held to it; others go free."
    ),
    "nodes.silent_brake_fraction": (
        "When more than this part of the nodes falls silent at once, nothing is declared lost."
    ),
    "nodes.heartbeat": "How often an idle agent says that it is there.",
    "nodes.usage_interval": "How often an agent reports what its jobs use.",
    "listen.grpc": "For agents and remote clients. Off loopback only with tls_cert and tls_key.",
    "listen.http": "HTTP/JSON, /healthz and /metrics. Loopback only.",
    "listen.socket": (
        "Unix socket of the commands, relative to PACKHORSE_HOME; callers are who the kernel says they are."
    ),
    "listen.tls_cert": "PEM file with the certificate of the gRPC door, relative to PACKHORSE_HOME.",
    "listen.tls_key": "PEM file with its key.",
    "listen.tls_client_ca": "PEM file; callers must then show a certificate signed by it.",
    "listen.token_valid": "How long a token of IssueToken is good; callers may ask for less.",
    "listen.max_message_mib": "Largest request that is read.",
    "listen.watch_queue": "A watcher this far behind is dropped, and may resume where it was.",
    "listen.wait_limit": "Longest a single WaitJobs call waits.",
    "store.path": "The database, relative to PACKHORSE_HOME.",
    "store.reserve_mib": (
        "With less free space than this, new submissions are refused and the ends of running jobs still "
        "recorded."
    ),
    "store.snapshot_every_events": "A snapshot of the state is written after this many events.",
    "store.retention_days": "How long accounting keeps ended jobs; 0: for ever.",
    "store.record_inputs": (
        "Keep every input of the core in log/inputs.rec, so that `packhorse replay` can run it again. It "
        "names users and what they ask for, but holds no script and no environment."
    ),
    "store.record_limit_mib": "The recording ends when it is that large.",
    "shadow.config": (
        "The other configuration: a file like this one, relative to PACKHORSE_HOME, with what is to be "
        'otherwise; "": no shadow. `packhorse shadow on FILE` and `off` switch it while the scheduler runs.'
    ),
    "shadow.interval": (
        "The shadow decides after a live pass, at most this often; after a pass that took it long it waits "
        "twenty times as long."
    ),
    "accounting.usage_retention": (
        "How long it is kept what each job used over time (packhorse usage); 0: as long as there is room."
    ),
    "accounting.usage_max_mib": "And how much room there is for that; the oldest goes first.",
    "log.level": "The least serious messages that are written.",
    "log.file": 'JSON lines, relative to PACKHORSE_HOME; "-" is standard error, for people to read.',
}

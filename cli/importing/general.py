"""The parameters of slurm.conf that stand on lines of their own, mapped one by one.

Where the file is silent, and Packhorse by itself does not what Slurm does, Slurm's default is mapped and
reported as such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from packhorse.cli.importing.conf_file import Line, Pair
from packhorse.cli.importing.parameters import (
    OBSOLETE,
    OLD,
    PARAMETERS,
    PRIORITY_FLAGS,
    SCHEDULER_PARAMETERS,
)
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.report import Fate, Known
from packhorse.cli.importing.values import bad, count, flag, is_counted, is_unlimited, seconds, weights, words
from packhorse.scheduler.model.errors import BadValue

Mapper = Callable[[Plan, Pair], str | None]
"""Sets keys of the plan. What it returns is a remark on what is lost; None: nothing is."""

_NAMES = {name.lower(): name for name in (*PARAMETERS, *OLD)}
_MANY = ("slurmctldhost", "backupaddr", "backupcontroller")
"""May stand on several lines, all of which count."""


def settings(lines: list[Line], plan: Plan) -> dict[str, Pair]:
    """The pairs that count, by key in lower case: of a repeated one the last, as in Slurm."""
    found: dict[str, Pair] = {}
    for line in lines:
        for pair in line.pairs:
            key = pair.key.lower()
            if key in found and key not in _MANY:
                plan.report.of(found[key], Fate.NOT_NEEDED, f"said again at {pair.place}, which counts")
            elif key in found:
                _general(plan, pair)
                continue
            found[key] = pair
    return found


def map_all(plan: Plan, found: Mapping[str, Pair]) -> None:
    """Everything that `settings` found, then Slurm's defaults."""
    for pair in found.values():
        _general(plan, pair)
    for name, known in PARAMETERS.items():
        if known.slurm_default and name.lower() not in found:
            pair = Pair(name, known.slurm_default, "", 0)
            lost = MAPPERS[name](plan, pair)
            remark = f"{known.remark}: {lost}" if lost else known.remark
            plan.report.tell(Fate.BY_DEFAULT, f"{name}={known.slurm_default}", "", remark)
    scheduling = plan.sections.get("scheduling", {})
    if scheduling.get("backfill") == "easy" and "backfill_depth" not in scheduling:
        plan.report.tell(
            Fate.IN_PART,
            "bf_max_job_test",
            "",
            "not given: the first blocked job of each partition gets a planned start ([scheduling] "
            "backfill_depth = 1), where Slurm plans for 500",
        )
    if scheduling.get("order") == "multifactor":
        plan.set("priority", "look_ahead", 0)
        plan.report.tell(
            Fate.BY_DEFAULT, "fair shares", "", "[priority] look_ahead = 0: by what was used, as Slurm does"
        )


def _general(plan: Plan, pair: Pair) -> None:
    name = _NAMES.get(pair.key.lower(), "")
    if not name:
        plan.report.of(pair, Fate.UNKNOWN, unknown(pair.key, PARAMETERS))
        return
    known = PARAMETERS.get(name, OBSOLETE)
    lost = MAPPERS[name](plan, pair) if name in MAPPERS else None
    fate, remark = known.of(pair.value)
    plan.report.of(pair, fate if lost is None else Fate.IN_PART, remark if lost is None else lost)


def unknown(key: str, names: Mapping[str, Known]) -> str:
    """The remark on a key that no table has."""
    near = get_close_matches(key.lower(), [name.lower() for name in names], n=1, cutoff=0.8)
    hint = next((f"; {name} is" for name in names if near and name.lower() == near[0]), "")
    return f"Slurm 22.05 does not have it{hint}"


def _count(section: str, key: str, low: int = 0, high: int = (1 << 32) - 1) -> Mapper:
    """A count that stays one, cut to what the key takes."""

    def mapper(plan: Plan, pair: Pair) -> str | None:
        number = count(pair)
        plan.set(section, key, min(max(number, low), high))
        return None if low <= number <= high else f"[{section}] {key} is from {low} to {high}"

    return mapper


def _span(section: str, key: str, low: int, high: int, *, minutes: bool = False) -> Mapper:
    """A duration in seconds, or as a time whose bare numbers are minutes."""

    def mapper(plan: Plan, pair: Pair) -> str | None:
        if is_unlimited(pair):
            plan.set(section, key, high)
            return f"[{section}] {key} = {high} is the most"
        value = seconds(pair) if minutes else count(pair)
        plan.set(section, key, min(max(value, low), high))
        return None if low <= value <= high else f"[{section}] {key} is from {low} to {high} seconds"

    return mapper


def _agent(option: str, note: str | None = None) -> Mapper:
    """A program of every agent."""

    def mapper(plan: Plan, pair: Pair) -> str | None:
        if pair.value.lower() in ("none", "(null)"):
            return "no program: nothing to do"
        if any(char in pair.value for char in "*?[%"):
            return "a pattern of several programs; write one that calls them"
        plan.everywhere[option] = pair.value
        return note

    return mapper


def _agent_time(option: str) -> Mapper:
    """A time in seconds of every agent."""

    def mapper(plan: Plan, pair: Pair) -> str | None:
        n = count(pair)
        if n:
            plan.everywhere[option] = f"{n}s"
        return None if n else f"packhorse agent --{option} has no value for never"

    return mapper


def _flag(section: str, key: str, *, inverted: bool = False) -> Mapper:
    def mapper(plan: Plan, pair: Pair) -> str | None:
        plan.set(section, key, flag(pair) != inverted)
        return None

    return mapper


def _cluster(plan: Plan, pair: Pair) -> str | None:
    if not pair.value or not all(char.isalnum() or char in "-_." for char in pair.value):
        raise bad(pair, "a name of letters, digits, -, _ and .")
    plan.set("cluster", "name", pair.value.lower())
    return None


def _enforce(plan: Plan, pair: Pair) -> str | None:
    asked = {word.lower() for word in words(pair)}
    strange = asked - {
        *(
            "associations",
            "limits",
            "nojobs",
            "nosteps",
            "qos",
            "safe",
            "wckeys",
            "all",
            "none",
            "0",
            "1",
            "2",
        )
    }
    if strange:
        raise bad(pair, f'a list of associations, limits, qos, safe … ("{min(strange)}")')
    if not asked - {"none", "0"}:
        plan.set("accounts", "enforce", "none")
        return None
    plan.set("accounts", "enforce", "associations")
    lost = [
        text
        for word, text in (
            ("nojobs", "jobs are always recorded"),
            ("nosteps", "steps are always recorded"),
            ("wckeys", "any wckey is taken"),
        )
        if word in asked
    ]
    if not asked & {"limits", "safe", "all", "2"}:
        lost.append("limits of associations hold as well")
    return "; ".join(lost) or None


def _licenses(plan: Plan, pair: Pair) -> str | None:
    found: list[str] = []
    for word in words(pair):
        name, _, n = word.replace("*", ":").partition(":")
        if not name or (n and not (n.isascii() and n.isdecimal())):
            raise bad(pair, f'a list of NAME:COUNT ("{word}")')
        found.append(f"{name}:{n or 1}")
    plan.set("cluster", "licenses", found)
    return None


def _job_gather(plan: Plan, pair: Pair) -> str | None:
    parts = dict(word.partition("=")[::2] for word in words(pair))
    text = parts.get("task", pair.value if "=" not in pair.value else "")
    if text:
        plan_pair = pair._replace(value=text)
        n = count(plan_pair)
        if n == 0:
            return "use is always measured"
        plan.set("nodes", "usage_interval", min(n, 3600))
    others = ", ".join(sorted(name for name in parts if name != "task" and "=" in pair.value))
    return f"{others}: not measured" if others else None


def _mail(plan: Plan, pair: Pair) -> str | None:
    if not pair.value.startswith("/"):
        return "[mail] program is an absolute path"
    plan.set("mail", "program", pair.value)
    return None


def _mem_per_node(plan: Plan, pair: Pair) -> str | None:
    """Taken by the partitions, in partitions.py."""
    if not is_unlimited(pair):
        count(pair)
    return None


def _preempt_type(plan: Plan, pair: Pair) -> str | None:
    word = pair.value.lower().removeprefix("preempt/")
    types = {"none": "none", "qos": "qos", "partition_prio": "partition"}
    if word not in types:
        raise bad(pair, "preempt/none, preempt/qos or preempt/partition_prio")
    plan.set("preemption", "type", types[word])
    return None


def preempt_mode(pair: Pair) -> tuple[str, str | None]:
    """The mode, and what is lost."""
    asked = {word.lower() for word in words(pair)}
    modes = asked & {"off", "cancel", "requeue", "suspend"}
    if asked - modes - {"gang", "within"} or len(modes) > 1:
        raise bad(pair, "one of OFF, CANCEL, REQUEUE, SUSPEND, with or without GANG")
    lost = [] if "gang" not in asked or "suspend" in modes else ["no time slicing (GANG)"]
    lost += ["jobs of a QOS do not preempt each other (WITHIN)"] if "within" in asked else []
    return (modes or {"off"}).pop(), "; ".join(lost) or None


def _preempt_mode(plan: Plan, pair: Pair) -> str | None:
    mode, lost = preempt_mode(pair)
    plan.set("preemption", "mode", mode)
    return lost


def _priority_flags(plan: Plan, pair: Pair) -> str | None:
    lost: list[str] = []
    for word in words(pair):
        known = PRIORITY_FLAGS.get(word.upper())
        if known is None:
            lost.append(f"{word} is no flag that Slurm 22.05 has")
        elif known.fate is Fate.UNSUPPORTED:
            lost.append(f"{word.upper()}: {known.remark}")
        elif known.fate is Fate.MAPPED:
            plan.set("priority", "max_tres", True)
    return "; ".join(lost) or None


def _priority_type(plan: Plan, pair: Pair) -> str | None:
    word = pair.value.lower().removeprefix("priority/")
    orders = {"basic": "priority", "multifactor": "multifactor"}
    if word not in orders:
        raise bad(pair, "priority/basic or priority/multifactor")
    plan.set("scheduling", "order", orders[word])
    return None


def _usage_reset(plan: Plan, pair: Pair) -> str | None:
    word = pair.value.lower()
    if word == "now":
        return "use begins with nothing anyhow"
    if word not in ("none", "daily", "weekly", "monthly", "quarterly", "yearly"):
        raise bad(pair, "NONE, NOW, DAILY, WEEKLY, MONTHLY, QUARTERLY or YEARLY")
    plan.set("priority", "usage_reset", word)
    return None


def _weight_tres(plan: Plan, pair: Pair) -> str | None:
    found: dict[str, float] = {}
    lost: list[str] = []
    for name, (weight, suffix) in weights(pair).items():
        if not is_counted(name):
            lost.append(f"{name} is not counted")
        elif suffix or weight != int(weight):
            lost.append(f"{name}={weight:g}{suffix}: weights are whole numbers")
        else:
            found[name] = int(weight)
    plan.set("priority", "weight_tres", found)
    return "; ".join(lost) or None


def _backfill(plan: Plan, pair: Pair) -> str | None:
    word = pair.value.lower().removeprefix("sched/")
    if word not in ("backfill", "builtin", "hold"):
        raise bad(pair, "sched/backfill or sched/builtin")
    plan.set("scheduling", "backfill", "none" if word == "builtin" else "easy")
    if word == "hold":
        return "jobs are not held; submit with --hold"
    return None


def _scheduler_parameters(plan: Plan, pair: Pair) -> str | None:
    lost: list[str] = []
    for word in words(pair):
        name, _, text = word.partition("=")
        known = SCHEDULER_PARAMETERS.get(name.lower(), Known(Fate.UNSUPPORTED, "no counterpart"))
        own = Pair(f"{pair.key}={name}", text, pair.file, pair.number)
        if known.fate is Fate.MAPPED:
            remark = _SCHEDULER[name.lower()](plan, own)
            plan.report.tell(
                Fate.IN_PART if remark else Fate.MAPPED,
                f"{pair.key}={word}",
                pair.place,
                remark or known.remark,
            )
        else:
            plan.report.tell(known.fate, f"{pair.key}={word}", pair.place, known.remark)
            lost += [name] if known.fate is Fate.UNSUPPORTED else []
    return f"not {', '.join(lost)}" if lost else None


def _interval_ms(plan: Plan, pair: Pair) -> str | None:
    """Slurm counts microseconds."""
    plan.set("scheduling", "cycle_interval_ms", min(-(-count(pair) // 1000), 60_000))
    return None


def _newest(plan: Plan, pair: Pair) -> str | None:
    plan.set("preemption", "victims", "newest")
    return None


_SCHEDULER: dict[str, Mapper] = {
    "bf_max_job_test": _count("scheduling", "backfill_depth", 0, 65_536),
    "sched_max_job_start": _count("scheduling", "max_starts_per_cycle", 1, 1_048_576),
    "sched_min_interval": _interval_ms,
    "preempt_youngest_first": _newest,
}


_LEVELS = ("quiet", "fatal", "error", "info", "verbose", "debug", "debug2", "debug3", "debug4", "debug5")


def _log_level(plan: Plan, pair: Pair) -> str | None:
    """A word, or its place in the list."""
    word = pair.value.lower()
    if word in map(str, range(len(_LEVELS))):
        word = _LEVELS[int(word)]
    if word not in _LEVELS:
        raise bad(pair, f"one of {', '.join(_LEVELS)}")
    ours = "error" if word in _LEVELS[:3] else "info" if word in _LEVELS[3:5] else "debug"
    plan.set("log", "level", ours)
    return None


def _resv_over_run(plan: Plan, pair: Pair) -> str | None:
    if is_unlimited(pair):
        plan.set("scheduling", "reservation_over_run", 31_622_400)
        return "a year is the most"
    plan.set("scheduling", "reservation_over_run", min(count(pair) * 60, 31_622_400))
    return None


def _calc_period(plan: Plan, pair: Pair) -> str | None:
    n = count(pair, 1)
    plan.set("priority", "calc_period", min(n * 60, 86_400))
    return None if n <= 1440 else "a day is the most"


def _topology(plan: Plan, pair: Pair) -> str | None:
    word = pair.value.lower().removeprefix("topology/")
    if word in ("none", "default"):
        return "no tree: nothing to do"
    if word != "tree":
        return f"{word}: trees of switches only"
    if "topology" not in plan.sections.get("cluster", {}):
        return "name its file with --topology FILE"
    return None


def _exempt(plan: Plan, pair: Pair) -> str | None:
    plan.set("preemption", "exempt", 0 if pair.value == "-1" else min(seconds(pair), 31_622_400))
    return None


_ENVIRONMENT = "what its environment has is said in docs/operations.md"
_MAX_WEIGHT = 4_294_967_296
_YEAR = 31_622_400
MAPPERS: dict[str, Mapper] = {
    "AccountingStorageEnforce": _enforce,
    "ClusterName": _cluster,
    "DefMemPerCPU": _mem_per_node,
    "DisableRootJobs": _flag("jobs", "allow_root_jobs", inverted=True),
    "Epilog": _agent("epilog", _ENVIRONMENT),
    "HealthCheckInterval": _agent_time("health-interval"),
    "HealthCheckProgram": _agent("health-check"),
    "InactiveLimit": _span("jobs", "inactive_limit", 0, _YEAR),
    "JobAcctGatherFrequency": _job_gather,
    "KillWait": _span("jobs", "kill_wait", 0, 3_600),
    "Licenses": _licenses,
    "MailProg": _mail,
    "MaxArraySize": _count("jobs", "max_array_size", 1, 1_073_741_824),
    "MaxJobCount": _count("jobs", "max_pending_jobs", 1, 1_073_741_824),
    "MaxMemPerNode": _mem_per_node,
    "MinJobAge": _span("jobs", "min_job_age", 0, _YEAR),
    "PreemptExemptTime": _exempt,
    "PreemptMode": _preempt_mode,
    "PreemptType": _preempt_type,
    "PriorityCalcPeriod": _calc_period,
    "PriorityDecayHalfLife": _span("priority", "half_life", 0, 316_224_000, minutes=True),
    "PriorityFavorSmall": _flag("priority", "favor_small"),
    "PriorityFlags": _priority_flags,
    "PriorityMaxAge": _span("priority", "max_age", 1, _YEAR, minutes=True),
    "PriorityType": _priority_type,
    "PriorityUsageResetPeriod": _usage_reset,
    "PriorityWeightAge": _count("priority", "weight_age", 0, _MAX_WEIGHT),
    "PriorityWeightAssoc": _count("priority", "weight_assoc", 0, _MAX_WEIGHT),
    "PriorityWeightFairshare": _count("priority", "weight_fairshare", 0, _MAX_WEIGHT),
    "PriorityWeightJobSize": _count("priority", "weight_job_size", 0, _MAX_WEIGHT),
    "PriorityWeightPartition": _count("priority", "weight_partition", 0, _MAX_WEIGHT),
    "PriorityWeightQOS": _count("priority", "weight_qos", 0, _MAX_WEIGHT),
    "PriorityWeightTRES": _weight_tres,
    "Prolog": _agent("prolog", _ENVIRONMENT),
    "PrologEpilogTimeout": _agent_time("prolog-timeout"),
    "ResvOverRun": _resv_over_run,
    "SchedulerParameters": _scheduler_parameters,
    "SchedulerType": _backfill,
    "SlurmctldDebug": _log_level,
    "TopologyPlugin": _topology,
}
"""Of every parameter that is mapped, and of those in part that set something."""


def check_tables() -> None:
    """Raises BadValue where a parameter is said to be mapped and has no function, or the other way round."""
    mapped = {name for name, known in PARAMETERS.items() if known.fate is Fate.MAPPED}
    wrong = mapped.difference(MAPPERS) | {
        name for name in MAPPERS if PARAMETERS[name].fate not in (Fate.MAPPED, Fate.IN_PART)
    }
    if wrong:
        raise BadValue(f"no function, or one too many: {', '.join(sorted(wrong))}")

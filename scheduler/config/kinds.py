"""Kinds of values in the configuration file: what each accepts, in words, and how it is read."""

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


class KeyProblem(Exception):
    """A value that a key does not take; the text says why."""


class Kind(NamedTuple):
    """How values of a kind are read and described."""

    accepted: str
    read: Callable[[object], Any]


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


def count(low: int, high: int) -> Kind:
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


def number(low: int, high: int) -> Kind:
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


def short_time(low_ms: int) -> Kind:
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


def duration(low: int, high: int) -> Kind:
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
SHORT_TIME = short_time(1)
SHORT_TIME_OR_0 = short_time(0)
SECONDS = Kind("seconds from 0 to 3600, fractions too", _seconds)
ADDRESS = Kind('"HOST:PORT"; port 0 takes a free one', _address)
LEVEL = Kind(", ".join(f'"{level}"' for level in _LEVELS), _level)

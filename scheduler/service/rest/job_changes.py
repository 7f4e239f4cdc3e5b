"""What the body of POST /slurm/…/job/{id} changes: the fields of `job_desc_msg` that a job takes later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.rest.fields import Reader, count, text, truth
from packhorse.scheduler.service.rest.job_description import (
    FIELDS,
    REFUSED,
    dependency,
    host_names,
    time_limit_s,
)


class Change(msgspec.Struct):
    """What is built. hold: True holds the job, False releases it."""

    changes: m.JobChanges
    hold: bool | None = None
    any: bool = False


Take = Callable[[Change, str, Any], None]


def _set(change: Change, field: str, value: Any) -> None:
    setattr(change.changes, field, value)
    change.any = True


def _text(field: str) -> Take:
    return lambda change, name, value: _set(change, field, text(name, value))


def _number(field: str, times: int = 1) -> Take:
    def take(change: Change, name: str, value: Any) -> None:
        found = count(name, value)
        if found is not None:
            _set(change, field, found * times)

    return take


def _nodes(field: str) -> Take:
    return lambda change, name, value: _set(change, field, m.StringList(values=host_names(name, value)))


def _time_limit(change: Change, name: str, value: Any) -> None:
    found = time_limit_s(name, value)
    if found is not None:
        _set(change, "time_limit_s", found)


def _dependency(change: Change, name: str, value: Any) -> None:
    if value:
        _set(change, "dependency", dependency(name, value))
    else:
        _set(change, "drop_dependency", True)


def _hold(change: Change, name: str, value: Any) -> None:
    change.hold = truth(name, value)


def _requeue(change: Change, name: str, value: Any) -> None:
    _set(change, "requeue", truth(name, value))


def _array(change: Change, name: str, value: Any) -> None:
    """`%4`: how many tasks at once; the indices of an array stay."""
    said = text(name, value)
    limit = said.partition("%")[2]
    if not limit.isdecimal() or said[:1] != "%":
        raise BadValue(f'{name}: "{said[:80]}": of an array only how many run at once may change: "%4"')
    _set(change, "array_limit", int(limit))


_CHANGED: dict[str, Take] = {
    "account": _text("account"),
    "array": _array,
    "begin_time": _number("begin_at_us", 1_000_000),
    "comment": _text("comment"),
    "constraints": _text("features"),
    "deadline": _number("deadline_at_us", 1_000_000),
    "dependency": _dependency,
    "excluded_nodes": _nodes("nodes_excluded"),
    "hold": _hold,
    "licenses": _text("licenses"),
    "memory_per_cpu": _number("mem_mib_per_cpu"),
    "memory_per_node": _number("mem_mib_per_node"),
    "minimum_nodes": _number("min_nodes"),
    "name": _text("name"),
    "nice": _number("nice"),
    "partition": _text("partition"),
    "priority": _number("priority"),
    "qos": _text("qos"),
    "requeue": _requeue,
    "required_nodes": _nodes("nodes_required"),
    "reservation": _text("reservation"),
    "site_factor": _number("site_factor"),
    "time_limit": _time_limit,
    "wckey": _text("wckey"),
}

UPDATE: Reader[Change] = Reader(
    "job_update_msg",
    {name: (FIELDS[name][0], take) for name, take in _CHANGED.items()},
    REFUSED | dict.fromkeys(FIELDS.keys() - _CHANGED.keys(), "it stays as it was submitted"),
)


def job_change(body: dict[str, Any]) -> Change:
    """What a body says. Raises BadValue, also where it says nothing."""
    change = UPDATE.read("job", body, Change(m.JobChanges()))
    if not change.any and change.hold is None:
        raise BadValue(f"nothing to change; there are {', '.join(_CHANGED)}")
    return change

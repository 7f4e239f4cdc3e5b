"""What differs between two configurations, by the names of the configuration file."""

from __future__ import annotations

from typing import Final

import msgspec

from packhorse.scheduler.model.cluster import ClusterConfig, Partition

_SET_BY_THE_SCHEDULER: Final = ("origin", "owner_uid", "partitions")


def changes(old: ClusterConfig, new: ClusterConfig) -> list[str]:
    """One line each, `order: priority -> saf`; empty where they decide alike."""
    found = _fields("", old, new, _SET_BY_THE_SCHEDULER)
    before = {partition.name: partition for partition in old.partitions}
    after = {partition.name: partition for partition in new.partitions}
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            found.append(f"partition {name}: is no more")
        elif name not in before:
            found.append(f"partition {name}: is new{_settings(after[name])}")
        else:
            found += _fields(f"partition {name}: ", before[name], after[name], ("name",))
    return found


def _fields(prefix: str, old: msgspec.Struct, new: msgspec.Struct, without: tuple[str, ...]) -> list[str]:
    found = []
    for name in old.__struct_fields__:
        before, after = getattr(old, name), getattr(new, name)
        if name in without or before == after:
            continue
        if isinstance(before, msgspec.Struct):
            found += _fields(f"{prefix}{name}.", before, after, ())
        else:
            found.append(f"{prefix}{name}: {_shown(before)} -> {_shown(after)}")
    return found


def _settings(of: Partition) -> str:
    """What is not the default."""
    plain = Partition(of.name)
    set_ = [
        f"{name} {_shown(getattr(of, name))}"
        for name in of.__struct_fields__
        if getattr(of, name) != getattr(plain, name)
    ]
    return f" ({', '.join(set_)})" if set_ else ""


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(":".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in value)
    return str(value).lower() if isinstance(value, bool) else str(value)

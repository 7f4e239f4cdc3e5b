"""What is different between two configurations, key by key, and which of it a running scheduler takes on.

Everything that decisions depend on (ClusterConfig) takes effect at once, but for the name of the cluster,
which is in tokens. Of how the process runs (ServiceConfig) most is set up once: those keys need a restart.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import structs

from packhorse.scheduler.config.file import Configuration
from packhorse.scheduler.config.keys import CLUSTER_TARGET, KEYS, PARTITION, SERVICE_TARGET, Key
from packhorse.scheduler.model.cluster import Partition

LIVE = frozenset({"cluster.admins", "listen.token_valid", "log.level"})
"""Keys of the process itself that a running one takes on."""
FIXED = frozenset({"cluster.name"})
"""Keys of the cluster that it does not."""


class Change(NamedTuple):
    """One key: `scheduling.order`, `partition.short.max_time`. old, new: as `scontrol show config` has them,
    "" for a partition that is not there. restart: only a new process takes it on."""

    key: str
    old: str
    new: str
    restart: bool = False

    @property
    def text(self) -> str:
        """`jobs.kill_wait: 30 -> 60`, with what has to be done for it."""
        after = " (at the next start of the scheduler)" if self.restart else ""
        return f"{self.key}: {self.old or NOTHING} -> {self.new or NOTHING}{after}"


NOTHING = '""'


def value_of(configuration: Configuration, key: Key) -> object:
    """What the key of a section (not of a partition) is set to."""
    if key.target == SERVICE_TARGET:
        target: object = configuration.service
    elif key.target == CLUSTER_TARGET:
        target = configuration.cluster
    else:
        target = getattr(configuration.cluster, key.target)
    found: object = getattr(target, key.field)
    return found


def text_of(value: object) -> str:
    """As it is shown: lists joined by commas, entries of several parts by colons."""
    return ",".join([_item(item) for item in value]) if isinstance(value, tuple) else str(value)


def changes(old: Configuration, new: Configuration) -> list[Change]:
    """In the order of the table of keys, partitions where they stand in it, by name."""
    found: list[Change] = []
    for key in KEYS:
        if key.section == PARTITION:
            continue
        before, after = value_of(old, key), value_of(new, key)
        if before != after:
            name = f"{key.section}.{key.name}"
            restart = name in FIXED or (key.target == SERVICE_TARGET and name not in LIVE)
            found.append(Change(name, text_of(before), text_of(after), restart))
    return found + _partitions(old.cluster.partitions, new.cluster.partitions)


def taken_on(old: Configuration, new: Configuration) -> Configuration:
    """The new configuration, as far as a process that runs with the old one takes it on."""
    service = old.service
    for key in KEYS:
        if key.target == SERVICE_TARGET and f"{key.section}.{key.name}" in LIVE:
            service = structs.replace(service, **{key.field: getattr(new.service, key.field)})
    cluster = structs.replace(new.cluster, name=old.cluster.name)
    return Configuration(cluster, service, new.path)


def _partitions(old: tuple[Partition, ...], new: tuple[Partition, ...]) -> list[Change]:
    before, after = {p.name: p for p in old}, {p.name: p for p in new}
    found = [Change(f"{PARTITION}.{name}", "there", "") for name in before if name not in after]
    for name, partition in after.items():
        was = before.get(name)
        if was is None:
            found.append(Change(f"{PARTITION}.{name}", "", f"nodes {text_of(partition.nodes)}"))
            continue
        for key in KEYS:
            if key.section == PARTITION and getattr(was, key.field) != getattr(partition, key.field):
                texts = text_of(getattr(was, key.field)), text_of(getattr(partition, key.field))
                found.append(Change(f"{PARTITION}.{name}.{key.name}", *texts))
    if not found and [*before] != [*after]:
        found.append(Change(f"{PARTITION}.order", ",".join(before), ",".join(after)))
    return found


def _item(value: object) -> str:
    return ":".join(map(str, value)) if isinstance(value, tuple) else str(value)

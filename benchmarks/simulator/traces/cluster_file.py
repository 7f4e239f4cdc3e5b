"""A cluster in a TOML file: one table `[[nodes]]` for each pool of nodes that are alike.

[[nodes]]
names = "gpu[01-16]"                          # a host list; or n = 16, which calls them n1, n2 …
cpus = 64                                     # up to three decimals; needed
mem = "256G"                                  # else a TiB for each CPU: never what decides
tmp = "1T"
devices = ["gpu:a100:8"]
devmem = "80G"                                # of each device
link = 4                                      # devices in a link group
features = ["ib", "avx512"]
racks = 4                                     # the nodes in so many blocks; or, of all of them:
topology = ["row1", "rack7"]                  # racks and switches, from the top down
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.units import UnitError, parse_mem_mib
from packhorse.simulator.traces.cluster_pool import (
    MEM_MIB_PER_CPU,
    MOST_CPUS,
    MOST_DEVICES,
    MOST_NODES,
    ClusterSpecError,
    DeviceGroup,
    Pool,
)

TABLE: Final = "nodes"
KEYS: Final = (
    "names",
    "n",
    "cpus",
    "mem",
    "tmp",
    "devices",
    "devmem",
    "link",
    "features",
    "racks",
    "topology",
)
MOST_LEVELS: Final = 8
"""Of a topology."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")


def pools(path: Path) -> list[Pool]:
    """The pools of a file in its order. Raises ClusterSpecError that names file, line and key."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise ClusterSpecError(f"{path}: there is no such file") from None
    except OSError as why:
        raise ClusterSpecError(f"{path}: cannot be read: {why.strerror}") from why
    except UnicodeDecodeError as why:
        raise ClusterSpecError(f"{path}: is no text: byte {why.start} is not UTF-8") from why
    except tomllib.TOMLDecodeError as why:
        raise ClusterSpecError(f"{path}: is no TOML: {why}") from why
    for key in document:
        if key != TABLE:
            raise ClusterSpecError(f"{path}: {key} is not known; a cluster is tables [[{TABLE}]]")
    tables = document.get(TABLE)
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise ClusterSpecError(f"{path}: expected tables [[{TABLE}]], each with n or names, and cpus")
    found = [_pool(Table(path, text, i, table)) for i, table in enumerate(tables)]
    n = sum(pool.n for pool in found)
    if n > MOST_NODES:
        raise ClusterSpecError(f"{path}: {n} nodes, limit {MOST_NODES}")
    return found


class Table(NamedTuple):
    """One table of a file, with what its errors name."""

    path: Path
    text: str
    number: int
    values: dict[str, object]

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Raises ClusterSpecError about a key, or one that is not there."""
        is_there = key in self.values
        found = f"{self.values[key]!r}, expected" if is_there else "missing; expected"
        raise ClusterSpecError(
            f"{self.path}, line {self._line(key)} ({TABLE} {self.number + 1}, {key}): {found} {expected}"
        )

    def _line(self, key: str) -> int:
        """Where the key stands, which tomllib does not tell, or else its table."""
        table, at = -1, 1
        for number, line in enumerate(self.text.splitlines(), 1):
            if re.match(rf"\s*\[\[\s*{TABLE}\s*\]\]", line):
                table += 1
                at = number if table == self.number else at
            elif table == self.number and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                return number
        return at

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number, 0 where it is not there."""
        value = self.values.get(key, 0)
        if key in self.values and (type(value) is not int or not least <= value <= most):
            self.wrong(key, f"a whole number from {least} to {most}")
        return value if isinstance(value, int) else 0

    def amount(self, key: str) -> int:
        """MiB, -1 where it is not there."""
        value = self.values.get(key)
        if value is None:
            return -1
        try:
            mib = parse_mem_mib(value) if isinstance(value, str) else -1
        except UnitError:
            mib = -1
        if not 0 <= mib <= MEM_MIB_PER_CPU * MOST_CPUS:
            self.wrong(key, 'an amount as "256G": a whole number with K, M, G, T or P')
        return mib

    def names(self, key: str) -> tuple[str, ...]:
        """A list of names, empty where it is not there."""
        value = self.values.get(key, [])
        if isinstance(value, list) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
            return tuple(value)
        self.wrong(key, "a list of names of letters, digits, -, _ and .")


def _pool(table: Table) -> Pool:
    for key in table.values:
        if key not in KEYS:
            table.wrong(key, f"one of {', '.join(KEYS)}")
    names = _node_names(table)
    n = len(names) or table.whole("n", 1, MOST_NODES)
    if not n:
        table.wrong("n", "how many nodes there are, or names")
    topology = table.names("topology")
    racks = table.whole("racks", 1, n)
    if len(topology) > MOST_LEVELS or (topology and racks):
        table.wrong("topology", f"at most {MOST_LEVELS} levels, and no racks beside it")
    return Pool(
        n,
        _cpu_milli(table),
        mem_mib=table.amount("mem"),
        tmp_mib=max(0, table.amount("tmp")),
        devices=_devices(table),
        features=table.names("features"),
        racks=racks,
        topology=topology,
        names=names,
    )


def _node_names(table: Table) -> tuple[str, ...]:
    value = table.values.get("names", "")
    try:
        names = tuple(expand(value)) if isinstance(value, str) else ()
    except HostlistError:
        names = ()
    if "names" in table.values and (not names or "n" in table.values):
        table.wrong("names", 'a host list as "gpu[01-16]", and no n beside it')
    return names


def _cpu_milli(table: Table) -> int:
    value = table.values.get("cpus")
    if isinstance(value, int | float) and not isinstance(value, bool):
        milli = value * 1000
        if 1 <= milli <= MOST_CPUS * 1000 and abs(milli - round(milli)) < 1e-6:
            return round(milli)
    table.wrong("cpus", f"0.001 to {MOST_CPUS} CPUs, with at most three decimals")


def _devices(table: Table) -> tuple[DeviceGroup, ...]:
    value = table.values.get("devices", [])
    mem_mib, link = max(0, table.amount("devmem")), table.whole("link", 1, MOST_DEVICES)
    found = []
    for text in value if isinstance(value, list) else [None]:
        match = re.fullmatch(r"([\w.-]+)(?::([\w.-]+))?:(\d{1,4})", text) if isinstance(text, str) else None
        if match is None or not 1 <= int(match[3]) <= MOST_DEVICES:
            table.wrong("devices", f'a list as ["gpu:a100:8"], with counts from 1 to {MOST_DEVICES}')
        found.append(DeviceGroup(match[1], match[2] or "", int(match[3]), mem_mib, link))
    return tuple(found)

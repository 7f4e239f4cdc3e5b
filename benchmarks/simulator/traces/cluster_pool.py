"""Pools of nodes that are alike, and the nodes they stand for: what a described cluster is read into."""

from __future__ import annotations

from typing import Final, NamedTuple

from packhorse.scheduler.model.errors import PackhorseError
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import NodeSpec
from packhorse.scheduler.model.resources import Device
from packhorse.scheduler.model.units import format_mem_mib

MOST_NODES: Final = 1 << 18
MOST_CPUS: Final = 1 << 24
"""Of one node: a pool may stand for a whole machine."""
MOST_DEVICES: Final = 64
"""Of one kind and type on a node."""
MEM_MIB_PER_CPU: Final = 1 << 20
"""Of nodes of which no memory is stated."""


class ClusterSpecError(PackhorseError):
    """A cluster cannot be understood: names the text, the place in it, and what is accepted there."""


class DeviceGroup(NamedTuple):
    """n devices of a node that are alike. mem_mib of each. link: how many form a link group, 0: none do."""

    kind: str
    type: str
    n: int
    mem_mib: int = 0
    link: int = 0


class Pool(NamedTuple):
    """Nodes that are alike. n: how many. mem_mib -1: not stated. racks 0: none. topology: of all of them,
    where there are no racks. prefix: of their names; names: instead, each name."""

    n: int
    cpu_milli: int
    mem_mib: int = -1
    tmp_mib: int = 0
    devices: tuple[DeviceGroup, ...] = ()
    features: tuple[str, ...] = ()
    racks: int = 0
    topology: tuple[str, ...] = ()
    prefix: str = ""
    names: tuple[str, ...] = ()


def nodes(pools: list[Pool], where: str) -> tuple[NodeSpec, ...]:
    """The nodes of these pools. where: what the error about two nodes of one name begins with."""
    found: dict[str, NodeSpec] = {}
    for pool in pools:
        for i in range(pool.n):
            name = _name(pool, i, len(found), found)
            if name in found:
                raise ClusterSpecError(f'cluster "{where}": two nodes are called {name}; give one pool name=')
            topology = (f"rack{i * pool.racks // pool.n + 1}",) if pool.racks else pool.topology
            found[name] = NodeSpec(
                NodeName(name),
                name,
                pool.cpu_milli,
                pool.mem_mib if pool.mem_mib >= 0 else -(-pool.cpu_milli // 1000) * MEM_MIB_PER_CPU,
                tmp_mib=pool.tmp_mib,
                devices=_devices(pool),
                features=pool.features,
                topology=topology,
            )
    return tuple(found.values())


def _name(pool: Pool, i: int, n_before: int, taken: dict[str, NodeSpec]) -> str:
    if pool.names:
        return pool.names[i]
    if pool.prefix == "pool":
        return "pool" if "pool" not in taken else f"pool{n_before + 1}"
    return f"{pool.prefix}{i + 1}" if pool.prefix else f"n{n_before + 1}"


def _devices(pool: Pool) -> tuple[Device, ...]:
    """Indices count from 0 within a kind."""
    found: list[Device] = []
    for kind, type_, n, mem_mib, link in pool.devices:
        first = sum(device.kind == kind for device in found)
        groups = 1 + max((device.link for device in found if device.kind == kind), default=-1)
        found += [
            Device(kind, type_, first + i, mem_mib=mem_mib, link=groups + i // link if link else -1)
            for i in range(n)
        ]
    return tuple(found)


def spec_text(pools: list[Pool]) -> str:
    """The pools as cluster_spec.py reads them, into the same pools again.

    Raises ClusterSpecError for what only a file can say: names that do not count from 1, and a topology.
    """
    return "+".join(_pool_text(pool) for pool in pools)


def _pool_text(pool: Pool) -> str:
    if pool.names or pool.topology:
        raise ClusterSpecError("names and topologies of single nodes can only be written in a TOML file")
    cpus = _cpus_text(pool.cpu_milli)
    if pool == Pool(1, pool.cpu_milli, prefix="pool"):
        return f"procs={cpus}"
    if pool == Pool(pool.n, pool.cpu_milli):
        return f"{pool.n}x{cpus}"
    items = [f"cpus={cpus}"]
    items += [f"mem={format_mem_mib(pool.mem_mib)}"] if pool.mem_mib >= 0 else []
    items += [f"tmp={format_mem_mib(pool.tmp_mib)}"] if pool.tmp_mib else []
    for kind, type_, n, mem_mib, link in pool.devices:
        items.append(":".join(word for word in (kind, type_, str(n)) if word))
        items += [f"devmem={format_mem_mib(mem_mib)}"] if mem_mib else []
        items += [f"link={link}"] if link else []
    items += [f"feature={name}" for name in pool.features]
    items += [f"racks={pool.racks}"] if pool.racks else []
    items += [f"name={pool.prefix}"] if pool.prefix else []
    return f"{pool.n}x({','.join(items)})"


def _cpus_text(cpu_milli: int) -> str:
    return f"{cpu_milli / 1000:.3f}".rstrip("0").rstrip(".")

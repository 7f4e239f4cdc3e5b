"""What a job costs per second: its resources, weighed as its partition says (Slurm's TRESBillingWeights).

billing = sum of weight x amount over CPUs, GiB of memory, devices, nodes and licences; with MAX_TRES the
largest of these terms on its own, and licences on top of it. Without weights a CPU counts 1.
"""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.model.cluster import ClusterConfig, Partition
from packhorse.scheduler.model.tres import CPU, MEM, MILLI, Tres, is_milli

_MIB_PER_GIB: Final = 1024
_PLAIN: Final = ((CPU, 1.0),)


def billing_milli(partition: Partition | None, tres: Tres, *, max_tres: bool = False) -> int:
    """Thousandths of a billing unit per second of `tres`. partition None: it is gone."""
    weights = dict((partition.billing if partition is not None else ()) or _PLAIN)
    local, shared = [0.0], 0.0
    for name, amount in tres:
        weight = weights.get(name, 0.0)
        if not weight:
            continue
        if name.startswith("license/"):
            shared += weight * amount
        else:
            local.append(weight * in_units(name, amount))
    return round(((max(local) if max_tres else sum(local)) + shared) * MILLI)


def in_units(name: str, amount: float) -> float:
    """CPUs, GiB, devices or whatever else is counted, of an amount as `Tres` has it."""
    if name == MEM:
        return amount / _MIB_PER_GIB
    return amount / MILLI if is_milli(name) else float(amount)


def partition_named(config: ClusterConfig, name: str) -> Partition | None:
    return next((partition for partition in config.partitions if partition.name == name), None)

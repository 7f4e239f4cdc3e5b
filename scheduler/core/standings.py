"""What job priorities go by, kept from pass to pass: factors of holders, and sizes of ask classes.

Worked out again when configuration, accounts or nodes change; fair shares with each new fair tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from packhorse.scheduler.core.accounts.billing import billing_milli
from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.fair_tree import FairTree
from packhorse.scheduler.core.ask_classes import AskClass
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.model.accounts import Holder
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import NodeName
from packhorse.scheduler.model.node import Node
from packhorse.scheduler.model.resources import Ask
from packhorse.scheduler.model.tres import BILLING, CPU, MEM, MILLI, NODE, asked_tres

ASSOC: Final = 0
FAIR: Final = 1
PARTITION: Final = 2
QOS: Final = 3
"""Rows of what follows from the holder."""


class Standings:
    """What is kept of holders and ask classes from pass to pass. Derived: nothing of it is in a snapshot."""

    def __init__(self) -> None:
        self._rules: object = None
        self._filled: FairTree | None = None
        self._holders = np.zeros((4, 0))
        self._classes: list[AskClass | None] = []
        self._sizes = np.zeros((1, 0))

    def refresh(
        self,
        config: ClusterConfig,
        book: AccountBook,
        fair: FairTree,
        nodes: Mapping[NodeName, Node],
        nodes_version: int,
    ) -> None:
        """To be called before anything else, once a pass. nodes_version: another one, other nodes."""
        self._config, self._book, self._nodes, self._fair = config, book, nodes, fair
        rules = (config, book.version, nodes_version)
        if rules != self._rules:
            self._rules = rules
            self._partitions = {p.name: p for p in config.partitions}
            self._most_partition = max([p.priority for p in config.partitions], default=0)
            self._most_qos = max([qos.priority for qos in book.qos.values()], default=0)
            self._most_assoc = max([one.priority for one in book.associations.values()], default=0)
            self._names = [name for name, _ in config.priorities.weight_tres]
            self._totals = {name: self._total(name) for name in self._partitions}
            self._all = len(nodes), sum(node.spec.cpu_milli for node in nodes.values())
            self._holders, self._classes, self._filled = np.zeros((4, 0)), [], None

    def of_holders(self, pending: PendingColumns) -> np.ndarray:
        """Factors by holder code: association, fairshare, partition, QOS `[4, n_holders]`."""
        known, n = self._holders.shape[1], len(pending.holders)
        if known < n:
            more = np.array([self.of_holder(holder) for holder in pending.holders[known:]]).T
            self._holders = np.concatenate([self._holders, more], axis=1)
        if self._filled is not self._fair:
            factor_of, chain = self._fair.factor_of, self._book.chain
            self._holders[FAIR] = [factor_of.get(chain(h)[0], 0.0) for h in pending.holders]
            self._filled = self._fair
        return self._holders

    def of_holder(self, holder: Holder) -> tuple[float, float, float, float]:
        """The same of one."""
        book = self._book
        own = book.chain(holder)[0]
        association, qos = book.associations.get(own), book.qos.get(holder.qos)
        partition = self._partitions.get(holder.partition)
        return (
            _part(association.priority if association is not None else 0, self._most_assoc),
            self._fair.factor_of.get(own, 0.0),
            _part(partition.priority if partition is not None else 0, self._most_partition),
            _part(qos.priority if qos is not None else 0, self._most_qos),
        )

    def sizes(self, pending: PendingColumns, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Job size factors `[n]` and TRES factors `[n_weights, n]` of these rows."""
        if not self._config.priorities.weight_job_size and not self._names:
            return np.zeros(slots.size), np.zeros((0, slots.size))
        codes = pending.ask_class[slots]
        classes, known = pending.classes, self._classes
        if len(known) < len(classes):
            more = len(classes) - len(known)
            known += [None] * more
            self._sizes = np.concatenate([self._sizes, np.zeros((self._sizes.shape[0], more))], axis=1)
        if self._sizes.shape != (1 + len(self._names), len(known)):
            self._sizes = np.zeros((1 + len(self._names), len(known)))
        for code in np.unique(codes).tolist():
            found = classes[code]
            if known[code] is not found and found is not None:
                self._sizes[:, code] = self.size(found.ask, found.partition, found.licenses)
                known[code] = found
        of_row = self._sizes[:, codes]
        return of_row[0], of_row[1:]

    def size(self, ask: Ask, partition: str, licenses: str) -> list[float]:
        """Job size factor and TRES factors of a job."""
        tres = dict(asked_tres(ask, licenses))
        n_nodes, cpu_milli = self._all
        size = (_part(tres[NODE], n_nodes) + _part(tres.get(CPU, 0), cpu_milli)) / 2
        if self._config.priorities.favor_small:
            size = 1.0 - size
        totals = self._totals.get(partition, {})
        if BILLING in self._names:
            max_tres = self._config.priorities.max_tres
            tres[BILLING] = billing_milli(
                self._partitions.get(partition), tuple(tres.items()), max_tres=max_tres
            )
        return [size, *(_part(tres.get(name, 0), totals.get(name, 0)) for name in self._names)]

    def _total(self, name: str) -> dict[str, int]:
        """What a partition has of each resource that has a weight; billing in thousandths."""
        if not self._names:
            return {}
        partition, total = self._partitions[name], {NODE: 0, CPU: 0, MEM: 0}
        everywhere, members = "ALL" in partition.nodes, frozenset(partition.nodes)
        for node in self._nodes.values():
            if not everywhere and node.spec.name not in members:
                continue
            total[NODE] += 1
            total[CPU] += node.spec.cpu_milli
            total[MEM] += node.spec.mem_mib
            for device in node.spec.devices:
                kinds = [f"gres/{device.kind}"] + (
                    [f"gres/{device.kind}:{device.type}"] if device.type else []
                )
                for kind in kinds:
                    total[kind] = total.get(kind, 0) + MILLI
        total.update((f"license/{title}", n) for title, n in self._config.licenses)
        max_tres = self._config.priorities.max_tres
        total[BILLING] = billing_milli(partition, tuple(total.items()), max_tres=max_tres)
        return total


def _part(amount: float, total: float) -> float:
    return min(amount / total, 1.0) if total > 0 else 0.0

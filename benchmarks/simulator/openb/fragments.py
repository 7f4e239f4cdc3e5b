"""How much of what is free no typical job could use: the measure of FGD (Weng et al., USENIX ATC 2023)."""

from __future__ import annotations

import numpy as np

from packhorse.scheduler.core.packing.online import Placer
from packhorse.scheduler.core.packing.policy import Ground, Mix


class Fragments:
    """Expected fragments of every node, brought up to date where nodes have changed.

    Of a node that can host a class (enough devices with enough free, enough CPU, type allowed), the
    fragment is what is free on devices with less free than the class takes of one; of a node that cannot, or
    of a class without devices, all that is free. Memory does not count. Averaged over the classes by weight.
    """

    def __init__(self, ground: Ground, mix: Mix) -> None:
        """mix: all jobs; the most frequent classes that make up 95 % of them are looked at."""
        self.typical = mix.typical(0.95)
        kind = ground.type_of.max(axis=0, initial=-1)
        padded = np.concatenate(
            [self.typical.types, np.zeros((self.typical.weight.size, 1), np.bool_)], axis=1
        )
        self._allowed = padded[:, kind]
        self.milli = np.zeros(ground.cpu.shape[0])
        self._dirty = np.ones(ground.cpu.shape[0], dtype=np.bool_)

    def changed(self, nodes: list[int]) -> None:
        """These nodes are to be looked at again."""
        self._dirty[nodes] = True

    def total(self, placer: Placer) -> tuple[float, int]:
        """Fragments of all nodes, and all that is free; thousandths of devices."""
        cpu, _, dev = placer.free()
        at = self._dirty.nonzero()[0]
        self._dirty[at] = False
        typical, free = self.typical, dev[:, at]
        all_free = free.sum(axis=0)
        fragment = np.zeros(at.size)
        for i in range(typical.weight.size):
            milli, n = typical.milli[i], typical.n_devices[i]
            enough = free >= milli
            hosts = (enough.sum(axis=0) >= n) & (cpu[at] >= typical.cpu[i]) & self._allowed[i, at] & (n > 0)
            fragment += typical.weight[i] * np.where(hosts, np.where(enough, 0, free).sum(axis=0), all_free)
        self.milli[at] = fragment
        return float(self.milli.sum()), int(dev.sum())

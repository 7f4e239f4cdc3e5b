"""Which nodes are alike: of the same class, with the same free amounts. One of them can be scored for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from packhorse.scheduler.core.packing.field import Field

_BITS: Final = (1 << 64) - 1

Amounts = tuple[int, ...]
"""Node class, free CPU, free memory, free thousandths of every device."""


class Alike:
    """A number for each node, equal for those alike; always less than the number of nodes."""

    __slots__ = ("_count", "_first", "_number_of", "_of_number", "_order", "_spare", "number")

    def __init__(self, amounts: list[Amounts]) -> None:
        """Of all nodes, by position."""
        n = len(amounts)
        self.number = np.zeros(n, dtype=np.intp)
        self._spare = list(range(n))
        self._of_number: list[Amounts] = [()] * n
        self._count = [0] * n
        self._number_of: dict[Amounts, int] = {}
        self._first = np.zeros(n, dtype=np.intp)
        self._order = np.arange(n)
        for node, amount in enumerate(amounts):
            self._enter(node, amount)

    def change(self, node: int, amounts: Amounts) -> None:
        """The node's amounts are these now."""
        old = self.number.item(node)
        self._count[old] -= 1
        if not self._count[old]:
            del self._number_of[self._of_number[old]]
            self._spare.append(old)
        self._enter(node, amounts)

    def _enter(self, node: int, amounts: Amounts) -> None:
        number = self._number_of.get(amounts)
        if number is None:
            number = self._number_of[amounts] = self._spare.pop()
            self._of_number[number] = amounts
        self._count[number] += 1
        self.number[node] = number

    def one_of_each(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices into `at` of the first node of each number, rising; for each node its place among those."""
        return one_of_each(self.number[at], self._first, self._order)


def one_of_each(number: np.ndarray, first: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices into `number` of the first of each value, rising; for every entry its place there.

    first: room to work in, longer than the highest number. order: 0, 1, 2 … at least as many as entries.
    """
    order = order[: number.size]
    first[number[::-1]] = order[::-1]  # of several values for one place the last stays
    first = first[number]
    is_first = first == order
    return is_first.nonzero()[0], (is_first.cumsum() - 1)[first]


class Alikeness:
    """Numbers for the nodes of a field during a pass, where nodes only ever change: equal for those that were
    alike when it began, a number of its own for each node that has changed since.

    They are told apart by a hash of 64 bits: were it ever equal for nodes that differ, one would get the
    score of the other, and what fits where is not asked here.
    """

    __slots__ = ("_first", "_n", "_order", "_seen", "number")

    def __init__(self, node_class: np.ndarray, amounts: np.ndarray) -> None:
        """node_class: `[n]`. amounts: all that scores depend on, `[n_amounts, n]`."""
        n = node_class.shape[0]
        mixed = np.zeros(n, dtype=np.int64)
        for i, amount in enumerate((node_class, *amounts)):
            mixed += amount * _factor(i)  # modulo 2**64
        self.number = np.unique(mixed, return_inverse=True)[1].astype(np.intp)
        self._n = n
        self._seen = 0
        self._first = np.zeros(2 * n, dtype=np.intp)
        self._order = np.arange(n)

    def one_of_each(self, at: np.ndarray, field: Field) -> tuple[np.ndarray, np.ndarray]:
        """As above, of the nodes at these positions of the field."""
        if self._seen < field.n_changes:
            changed = field.changed(self._seen)
            self.number[changed] = self._n + changed
            self._seen = field.n_changes
        return one_of_each(self.number[at], self._first, self._order)


def _factor(i: int) -> np.int64:
    """An odd multiplier without pattern: the i-th output of SplitMix64 (Steele et al., OOPSLA 2014)."""
    z = (i + 1) * 0x9E3779B97F4A7C15 & _BITS
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _BITS
    return np.uint64((z ^ z >> 31) | 1).view(np.int64)

"""Which nodes are alike: of the same class, with the same free amounts. One of them can be scored for all."""

from __future__ import annotations

import numpy as np

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
        number, order = self.number[at], self._order[: at.size]
        self._first[number[::-1]] = order[::-1]  # of several values for one place the last stays
        first = self._first[number]
        is_first = first == order
        return is_first.nonzero()[0], (is_first.cumsum() - 1)[first]

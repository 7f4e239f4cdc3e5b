"""Fair shares of the moment, kept from pass to pass.

They are worked out again when a job starts or ends, when the book of accounts or its rules change, and at the
start of every calc_period. What they are depends on the state and that start alone, never on who asked when.
"""

from __future__ import annotations

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.fair_tree import FairTree, Tree
from packhorse.scheduler.core.accounts.spent import Spent
from packhorse.scheduler.model.ids import US, Instant


class FairShares:
    """See the module. Derived: nothing of it is in a snapshot."""

    __slots__ = ("_fair", "_made_from", "_tree", "_tree_of")

    def __init__(self) -> None:
        self._tree_of: tuple[AccountBook, int] | None = None
        self._made_from: object = None

    def of(self, book: AccountBook, spent: Spent, now: Instant, calc_period_s: int) -> FairTree:
        """As of the start of the calc period that `now` is in, with all that has started and ended since."""
        tree = self.tree(book)
        at = Instant(now - now % (calc_period_s * US))
        made_from = (id(spent), spent.version, at)
        if made_from != self._made_from:
            self._fair, self._made_from = FairTree(tree, spent.billings(at)), made_from
        return self._fair

    def tree(self, book: AccountBook) -> Tree:
        """Who is above whom, with which shares."""
        if self._tree_of is None or self._tree_of[0] is not book or self._tree_of[1] != book.version:
            self._tree, self._tree_of, self._made_from = Tree(book), (book, book.version), None
        return self._tree

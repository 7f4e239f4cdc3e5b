"""Fair shares of the moment, kept from pass to pass.

They are worked out again when a job starts or ends, when the book of accounts or its rules change, and at the
start of every calc_period. What they are depends on the state and that start alone, never on who asked when.

Shares are held against what was used and what running jobs use in the next look_ahead: a job has its effect
on who comes next when it starts, and not bit by bit while it runs, by which time too many have followed it.
(benchmarks/fair_share.py: six-hour parts that were up to 3 points of a hundred off are within 0.5.) Slurm has
no such thing; with look_ahead 0 it is the same.
"""

from __future__ import annotations

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.fair_tree import FairTree, Share, Tree
from packhorse.scheduler.core.accounts.spent import Spent
from packhorse.scheduler.model.cluster import Priorities
from packhorse.scheduler.model.ids import US, Instant


class FairShares:
    """See the module. Derived: nothing of it is in a snapshot."""

    __slots__ = ("_fair", "_made_from", "_tree", "_tree_of")

    def __init__(self) -> None:
        self._tree_of: tuple[AccountBook, int] | None = None
        self._made_from: object = None

    def of(self, book: AccountBook, spent: Spent, now: Instant, rules: Priorities) -> FairTree:
        """As of the start of the calc period that `now` is in, with all that has started and ended since."""
        tree, at, ahead_s = self.tree(book), period_start(now, rules), rules.look_ahead_s
        made_from = (id(spent), spent.version, at, ahead_s)
        if made_from != self._made_from:
            self._fair, self._made_from = FairTree(tree, spent.billings(at, ahead_s)), made_from
        return self._fair

    def rows(self, book: AccountBook, spent: Spent, now: Instant, rules: Priorities) -> list[Share]:
        """The same for people to look at."""
        return self.of(book, spent, now, rules).rows(spent.billings(period_start(now, rules)))

    def tree(self, book: AccountBook) -> Tree:
        """Who is above whom, with which shares."""
        if self._tree_of is None or self._tree_of[0] is not book or self._tree_of[1] != book.version:
            self._tree, self._tree_of, self._made_from = Tree(book), (book, book.version), None
        return self._tree


def period_start(now: Instant, rules: Priorities) -> Instant:
    """When shares were due to be worked out last."""
    return Instant(now - now % (rules.calc_period_s * US))

"""Fair Tree: whose turn it is, by shares and what was spent, level by level of the tree of accounts.

Cox and Morrison (Brigham Young University), Slurm's PriorityFlags=FAIR_TREE since 14.11. Among siblings the
one with the largest level fairshare LF = S / U comes first: S is its part of its siblings' shares, U its part
of what its parent has spent; nothing spent: infinite; no shares: 0. Everybody below an account comes before
everybody below the next one. The users, in this order, have rank N, N - 1 … 1, and the fairshare factor rank
/ N.

Equals share a rank: users of equal LF have the same, the next one that which it would have had anyway;
accounts of equal LF are taken together, the children of all in one order; a user and an account of equal LF
have the same rank, the account's best user that is. An account with fairshare=parent is not there: its
children are those of the account above it. A user with it is the first of the account.

Beyond the source: a job may count under an account itself, because its user has no association there. It
comes with the last of the account's users; where an account has none, where its users would come. Without any
user in the whole tree the accounts without children are ranked like users.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from packhorse.scheduler.core.accounts.book import ROOT_KEY, AccountBook
from packhorse.scheduler.model.accounts import FAIRSHARE_PARENT, AssociationKey

_ROOT: Final = 0


class Share(NamedTuple):
    """One association. shares: as given, FAIRSHARE_PARENT. norm_shares: of those of its level. usage: what
    was spent, in billing-seconds. Of the use that shares are held against norm_usage is its part of
    everybody's, effective_usage of its parent's. factor: what its jobs get, from 0 to 1. level_fs: among its
    siblings, None where there are none to compare with (ROOT, fairshare=parent)."""

    key: AssociationKey
    depth: int
    shares: int
    norm_shares: float
    usage: float
    norm_usage: float
    effective_usage: float
    factor: float
    level_fs: float | None


class Tree:
    """The associations of a book as it is now: numbers in the order that `sshare` shows them, parents first,
    users before accounts, by name."""

    def __init__(self, book: AccountBook) -> None:
        children: dict[AssociationKey, list[AssociationKey]] = {}
        for key in book.associations:
            parent = book.parent(key)
            if parent is not None:
                children.setdefault(parent, []).append(key)
        self.keys: list[AssociationKey] = []
        self.depth: list[int] = []
        above: list[int] = []
        todo = [(ROOT_KEY, 0, _ROOT)]
        while todo:
            key, depth, parent_number = todo.pop()
            number = len(self.keys)
            self.keys.append(key)
            self.depth.append(depth)
            above.append(parent_number)
            below = sorted(children.get(key, ()), key=lambda k: (not k.user, k.account, k.user, k.partition))
            todo += [(child, depth + 1, number) for child in reversed(below)]
        self.number = {key: number for number, key in enumerate(self.keys)}
        self.shares = [book.associations[key].shares for key in self.keys]
        n = len(self.keys)
        # With fairshare=parent an account is passed over, upwards and downwards.
        self.parent = [_ROOT] * n
        self.children: list[list[int]] = [[] for _ in range(n)]
        for i in range(1, n):
            up = above[i]
            self.parent[i] = self.parent[up] if up and self.passed_over(up) else up
            if not self.passed_over(i):
                self.children[self.parent[i]].append(i)
        self.level_shares = [sum(max(self.shares[i], 0) for i in below) for below in self.children]
        users = [bool(key.user) for key in self.keys]
        self.is_leaf = users if any(users) else [bool(i) and not self.children[i] for i in range(n)]
        self.n_leaves = sum(self.is_leaf)
        self.norm_shares = [0.0] * n
        for i in range(1, n):
            up, total = self.parent[i], self.level_shares[self.parent[i]]
            if self.shares[i] == FAIRSHARE_PARENT:
                self.norm_shares[i] = self.norm_shares[up]
            else:
                self.norm_shares[i] = self.shares[i] / total if total else 0.0

    def passed_over(self, i: int) -> bool:
        """Whether it is an account that is not there for fair shares."""
        return self.shares[i] == FAIRSHARE_PARENT and not self.keys[i].user


class FairTree:
    """The tree with the use that shares are held against at one time. factor_of: by association."""

    def __init__(self, tree: Tree, spent: Mapping[AssociationKey, float]) -> None:
        self.tree = tree
        self.usage = [spent.get(key, 0.0) for key in tree.keys]
        self.level_fs = [self._level_fs(i) for i in range(len(tree.keys))]
        self._factor = [0.0] * len(tree.keys)
        self._rank = self._next = tree.n_leaves
        self._walk(tree.children[_ROOT], tied=False)
        self._factor[_ROOT] = 0.0
        for i in range(1, len(tree.keys)):
            if tree.passed_over(i):
                self._factor[i] = self._factor[tree.parent[i]]
        self.factor_of = dict(zip(tree.keys, self._factor, strict=True))

    def rows(self, spent: Mapping[AssociationKey, float]) -> list[Share]:
        """All associations, in the tree's order. spent: what they really have."""
        tree, total = self.tree, self.usage[_ROOT]
        found = []
        for i, key in enumerate(tree.keys):
            used, above = self.usage[i], self.usage[tree.parent[i]]
            own = tree.shares[i] != FAIRSHARE_PARENT and i != _ROOT
            found.append(
                Share(
                    key,
                    tree.depth[i],
                    tree.shares[i],
                    tree.norm_shares[i],
                    spent.get(key, 0.0),
                    used / total if total else 0.0,
                    used / above if above else 0.0,
                    self._factor[i],
                    self.level_fs[i] if own else None,
                )
            )
        return found

    def _level_fs(self, i: int) -> float:
        """One division of products rather than a quotient of quotients: what is equal stays equal."""
        tree = self.tree
        shares, total = tree.shares[i], tree.level_shares[tree.parent[i]]
        if shares == FAIRSHARE_PARENT:
            return math.inf
        used, above = self.usage[i], self.usage[tree.parent[i]]
        if not shares:
            return 0.0
        return shares * above / (total * used) if used > 0 else math.inf

    def _walk(self, siblings: list[int], *, tied: bool) -> None:
        """Ranks those below these. tied: the first of them has the rank of the last one ranked."""
        tree, level_fs, is_leaf, n = self.tree, self.level_fs, self.tree.is_leaf, self.tree.n_leaves
        order = sorted(siblings, key=lambda i: (-level_fs[i], not is_leaf[i]))
        at, before = 0, -1.0
        while at < len(order):
            i = order[at]
            equal = tied if at == 0 else level_fs[i] == before
            before = level_fs[i]
            if is_leaf[i]:
                if not equal:
                    self._rank = self._next
                self._factor[i] = self._rank / n
                self._next -= 1
                at += 1
                continue
            end = at + 1
            while end < len(order) and level_fs[order[end]] == before:
                end += 1
            first = self._next
            self._walk([child for account in order[at:end] for child in tree.children[account]], tied=equal)
            rank = self._rank if equal or self._next != first else self._next
            for account in order[at:end]:
                self._factor[account] = rank / n if n else 0.0
            at = end

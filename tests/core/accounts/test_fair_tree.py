"""Fair Tree against Slurm's own answers, and what else the algorithm promises."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.fair_tree import FairTree, Tree
from packhorse.scheduler.model.accounts import (
    FAIRSHARE_PARENT,
    ROOT,
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    User,
)

PARENT = FAIRSHARE_PARENT

SLURM_TREE = """
root u1 10 0 | 0.048077 0.000000 1.000000 inf
root u2 10 10 | 0.048077 0.041667 0.666667 1.153846
aA 40 | 0.192308 0.187500 1.025641
 aAA 30 | 0.750000 0.444444 1.687500
 aAA uAA1 1 20 | 1.000000 1.000000 0.619048 1.000000
 aAB 10 | 0.250000 0.555556 0.450000
 aAB uAB1 1 25 | 0.500000 1.000000 0.523810 0.500000
 aAB uAB2 1 0 | 0.500000 0.000000 0.571429 inf
aB 60 | 0.288462 0.104167 2.769231
 aBA 25 | 0.416667 1.000000 0.416667
 aBA uBA1 1 25 | 1.000000 1.000000 0.714286 1.000000
 aBB 35 | 0.583333 0.000000 inf
 aBB uBB1 1 0 | 1.000000 0.000000 0.761905 inf
aC 0 | 0.000000 0.125000 0.000000
aC uC1 0 30 | 0.000000 1.000000 0.047619 0.000000
aD 50 | 0.240385 0.458333 0.524476
aD uD1 parent 20 | 0.240385 0.181818 0.476190
aD uD2 40 20 | 0.235294 0.181818 0.333333 1.294118
aD uD3 50 25 | 0.294118 0.227273 0.333333 1.294118
 aDA parent | 0.240385 0.409091
 aDA uDA1 parent 10 | 0.240385 0.090909 0.476190
 aDA uDA2 30 10 | 0.176471 0.090909 0.380952 1.941176
 aDA uDA3 50 25 | 0.294118 0.227273 0.333333 1.294118
aE 10 | 0.048077 0.000000 inf
aE aE1 10 0 | 0.500000 0.000000 1.000000 inf
aE aE2 10 0 | 0.500000 0.000000 1.000000 inf
aF 20 | 0.096154 0.000000 inf
aF uF1 10 0 | 0.333333 0.000000 1.000000 inf
aF uF2 20 0 | 0.666667 0.000000 1.000000 inf
aG 8 | 0.038462 0.083333 0.461538
aG uG1 10 10 | 0.500000 0.500000 0.190476 1.000000
 aGA 10 | 0.500000 0.500000 1.000000
 aGA uGA1 20 4 | 0.500000 0.400000 0.190476 1.250000
 aGA uGA2 20 6 | 0.500000 0.600000 0.095238 0.833333
"""
"""From test24.4 of Slurm (testsuite/expect, by the authors of Fair Tree): account, user, shares and raw usage
of users | normalised shares, effective usage, fairshare factor of users, level fairshare. One answer differs:
uD2 has (40/170)/(20/110), which is (50/170)/(25/110), as uD3 and uDA3 have. Slurm, which divides quotients,
parts them in the last digit and gives uD2 0.238095, five ranks of 21. Here equals are equal."""


def a_book(text: str) -> tuple[AccountBook, dict[AssociationKey, float]]:
    """Indented accounts are below the last account that is not."""
    accounts, associations, used, top = [], [], {}, ""
    for line in text.strip().splitlines():
        words = line.partition("|")[0].split()
        given_shares = words[1] if len(words) == 2 else words[2]
        shares = PARENT if given_shares == "parent" else int(given_shares)
        if len(words) == 2:
            parent = top if line.startswith(" ") else ROOT
            top = top if line.startswith(" ") else words[0]
            accounts.append(Account(words[0], parent))
            key = AssociationKey(words[0])
        else:
            key = AssociationKey(words[0], words[1])
            used[key] = float(words[3])
        associations.append(Association(key, shares))
    users = tuple(User(key.user) for key in used)
    book = AccountBook()
    book.change(AccountsDelta(tuple(accounts), users, tuple(associations)))
    book.check()
    for key, amount in list(used.items()):
        above = book.parent(key)
        while above is not None:
            used[above] = used.get(above, 0.0) + amount
            above = book.parent(above)
    return book, used


def fair(text: str) -> dict[str, float]:
    """Factors by user, and by account without one."""
    book, used = a_book(text)
    found = FairTree(Tree(book), used).factor_of
    return {key.user or key.account: factor for key, factor in found.items()}


def test_slurm_s_own_example() -> None:
    book, used = a_book(SLURM_TREE)
    rows = {(row.key.account, row.key.user): row for row in FairTree(Tree(book), used).rows(used)}
    assert rows[ROOT, ""].usage == 240 and rows[ROOT, ""].effective_usage == 1
    for line in SLURM_TREE.strip().splitlines():
        words, _, answers = (part.split() for part in line.partition("|"))
        is_user = len(words) == 4
        row = rows[words[0], words[1] if is_user else ""]
        shown = [f"{row.norm_shares:.6f}", f"{row.effective_usage:.6f}"]
        shown += [f"{row.factor:.6f}"] if is_user else []
        shown += [f"{row.level_fs:.6f}"] if row.level_fs is not None else []
        assert shown == answers, line


def test_everybody_of_an_account_comes_before_everybody_of_the_next() -> None:
    """The promise of Fair Tree: who used most of an underused account passes who used nothing of an overused
    one."""
    found = fair(
        """
        low 1
        low idle 1 0
        low busy 1 90
        high 1
        high hungry 1 9
        high thin 1 1""".replace("        ", "")
    )
    assert found["thin"] > found["hungry"] > found["idle"] > found["busy"]
    assert [found[name] for name in ("thin", "hungry", "idle", "busy")] == [1.0, 0.75, 0.5, 0.25]


def test_jobs_of_an_account_itself_come_with_its_last_user() -> None:
    found = fair("a 1\na ann 1 5\na bob 1 1\nb 1\nb cat 1 1\nc 1")
    assert found["c"] == found["cat"] == 1.0, "nothing spent: where its users would come"
    assert found["b"] == found["cat"] and found["a"] == found["ann"] == pytest.approx(1 / 3)
    assert found[ROOT] == 0


def test_accounts_without_users_are_ranked_themselves() -> None:
    assert fair("a 50\nb 30\nc 20") == {ROOT: 0.0, "a": 1.0, "b": 1.0, "c": 1.0}
    book, _ = a_book("a 50\nb 30\nc 20")
    spent = {AssociationKey(ROOT): 100.0, AssociationKey("a"): 60.0, AssociationKey("b"): 40.0}
    found = FairTree(Tree(book), spent).factor_of
    assert [found[AssociationKey(name)] for name in "cab"] == pytest.approx([1.0, 2 / 3, 1 / 3])


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40))
def test_ranks_are_those_of_a_sort(users: list[tuple[int, int, int]]) -> None:
    """Factors go down in the order of level fairshares, and the best has 1."""
    lines = [f"a{i} {i % 3}" for i in range(4)]
    lines += [f"a{account} u{i} {shares} {used}" for i, (shares, used, account) in enumerate(users)]
    book, used = a_book("\n".join(sorted(lines, key=lambda line: line.split()[0] + str(len(line.split())))))
    tree = FairTree(Tree(book), used)
    rows = {row.key: row for row in tree.rows(used)}
    leaves = [row for row in tree.rows(used) if row.key.user]
    assert max(row.factor for row in leaves) == 1.0

    def turn(row_key: AssociationKey) -> tuple[float, float]:
        account = rows[AssociationKey(row_key.account)]
        own = rows[row_key].level_fs
        assert account.level_fs is not None and own is not None
        return account.level_fs, own

    for one in leaves:
        for other in leaves:
            if turn(one.key) > turn(other.key):
                assert one.factor > other.factor
            elif turn(one.key) == turn(other.key):
                assert one.factor == other.factor


def test_five_hundred_users_take_a_few_milliseconds() -> None:
    lines = []
    for i in range(25):
        lines.append(f"a{i} {i % 7 + 1}")
        lines += [f"a{i} u{i}x{j} {j % 5 + 1} {(i * 7 + j * 13) % 50}" for j in range(20)]
    book, used = a_book("\n".join(lines))
    tree = Tree(book)
    best = min(_timed(lambda: FairTree(tree, used)) for _ in range(5))
    assert best < 0.02, f"{best * 1000:.1f} ms"


def _timed(what: object) -> float:
    assert callable(what)
    start = time.perf_counter()
    what()
    return time.perf_counter() - start

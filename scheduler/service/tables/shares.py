"""The table of shares and what was used of them, as sshare asks for it: the tree from the top down."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

from packhorse.scheduler.core.accounts.fair_tree import Share
from packhorse.scheduler.core.accounts.spent import WALL, path
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Active
from packhorse.scheduler.model.tres import MEM, MILLI, Tres, format_amount, is_milli, make_tres
from packhorse.scheduler.service.tables.table import Catalogue, ints, texts

_MINUTE_S = 60


class ShareView:
    """Associations of these accounts and these users, of all where none is named."""

    def __init__(
        self, state: State, now: Instant, accounts: Sequence[str] = (), users: Sequence[str] = ()
    ) -> None:
        self.state, self.now = state, now
        wanted = state.fair_shares.rows(state.accounts, state.spent, now, state.config.priorities)
        if accounts:
            names = frozenset(accounts)
            wanted = [row for row in wanted if row.key.account in names]
        if users:
            some = frozenset(users)
            wanted = [row for row in wanted if not row.key.user or row.key.user in some]
        self.rows: list[Share] = wanted

    def numbers(self, value: Callable[[Share], float | None]) -> list[str]:
        """With nine decimals; "inf", and "" for None."""
        found = []
        for row in self.rows:
            number = value(row)
            found.append("" if number is None else "inf" if math.isinf(number) else f"{number:.9f}")
        return found

    def tres(self, of: Callable[[AssociationKey], Tres]) -> list[str]:
        """`cpu=4,mem=2000`: CPUs, MiB, devices."""
        return [",".join(f"{name}={_plain(name, n)}" for name, n in of(row.key)) for row in self.rows]

    def limit(self, key: AssociationKey) -> Tres:
        """Its budget in TRES minutes."""
        return self.state.accounts.associations[key].limits.grp_tres_mins

    def used(self, key: AssociationKey) -> Tres:
        """What it has used in TRES minutes."""
        used = self.state.spent.of(key, self.now)
        return make_tres((name, _minutes(name, amount)) for name, amount in used.items())

    def to_come(self, key: AssociationKey) -> Tres:
        """What its running jobs use until their time limits, in TRES minutes."""
        to_come = self._to_come.get(key, {})
        return make_tres((name, _minutes(name, amount)) for name, amount in to_come.items())

    @cached_property
    def _to_come(self) -> dict[AssociationKey, dict[str, int]]:
        """In TRES seconds."""
        state, found = self.state, dict[AssociationKey, dict[str, int]]()
        for id, charge in state.spent.charges.items():
            phase = state.jobs[id].phase
            assert isinstance(phase, Active)
            left_s = max(phase.end_by - self.now, 0) // US if phase.end_by else 0
            for key in path(state.accounts, charge.own):
                own = found.setdefault(key, {})
                for name, rate in charge.rates:
                    if name != WALL:
                        own[name] = own.get(name, 0) + rate * left_s // MILLI
        return found


def _minutes(name: str, seconds: float) -> int:
    """Whole TRES minutes of TRES seconds, in the unit of `Tres`."""
    whole = round(seconds / _MINUTE_S / (MILLI if is_milli(name) else 1))
    return whole * (MILLI if is_milli(name) else 1)


def _plain(name: str, amount: int) -> str:
    return str(amount) if name == MEM else format_amount(name, amount)


SHARES: Catalogue[ShareView] = {
    "account": texts(lambda view: [row.key.account for row in view.rows]),
    "user": texts(lambda view: [row.key.user for row in view.rows]),
    "partition": texts(lambda view: [row.key.partition for row in view.rows]),
    "depth": ints(lambda view: [row.depth for row in view.rows]),
    "shares": ints(lambda view: [row.shares for row in view.rows]),
    "norm_shares": texts(lambda view: view.numbers(lambda row: row.norm_shares)),
    "usage_s": ints(lambda view: [round(row.usage) for row in view.rows]),
    "norm_usage": texts(lambda view: view.numbers(lambda row: row.norm_usage)),
    "effective_usage": texts(lambda view: view.numbers(lambda row: row.effective_usage)),
    "fairshare": texts(lambda view: view.numbers(lambda row: row.factor if row.key.user else None)),
    "level_fs": texts(lambda view: view.numbers(lambda row: row.level_fs)),
    "grp_tres_mins": texts(lambda view: view.tres(view.limit)),
    "tres_mins": texts(lambda view: view.tres(view.used)),
    "tres_run_mins": texts(lambda view: view.tres(view.to_come)),
}

"""The book of accounts: the tree, its users, associations and QOS, as `sacctmgr` keeps them.

A part of the state: it changes by `AccountsChanged` only. Where a job stands in it follows from its Holder.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from packhorse.scheduler.model.accounts import (
    ROOT,
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Holder,
    Qos,
    User,
)
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.job import NORMAL_QOS

ROOT_KEY: Final = AssociationKey(ROOT)


class AccountBook:
    """See the module. Dictionaries are in the order in which things came; read them freely.

    version grows with every change. chains are kept until then. plain: nobody has an account, and nothing is
    set of all jobs together.
    """

    __slots__ = ("_chains", "accounts", "associations", "plain", "qos", "users", "version")

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {ROOT: Account(ROOT, "", "root of all accounts")}
        self.users: dict[str, User] = {}
        self.associations: dict[AssociationKey, Association] = {ROOT_KEY: Association(ROOT_KEY)}
        self.qos: dict[str, Qos] = {NORMAL_QOS: Qos(NORMAL_QOS, description="of jobs that name none")}
        self.version = 0
        self.plain = True
        self._chains: dict[tuple[str, str, str], tuple[AssociationKey, ...]] = {}

    @property
    def in_use(self) -> bool:
        """Whether anybody has made an account."""
        return len(self.accounts) > 1

    def change(self, delta: AccountsDelta) -> None:
        """What is gone goes first. Raises InvariantBroken for a delta that leaves ends loose."""
        for name in delta.gone_accounts:
            del self.accounts[name]
        for name in delta.gone_users:
            del self.users[name]
        for key in delta.gone_associations:
            del self.associations[key]
        for name in delta.gone_qos:
            del self.qos[name]
        self.accounts.update((account.name, account) for account in delta.accounts)
        self.users.update((user.name, user) for user in delta.users)
        self.associations.update((one.key, one) for one in delta.associations)
        self.qos.update((qos.name, qos) for qos in delta.qos)
        self.version += 1
        self.plain = self.associations == {ROOT_KEY: Association(ROOT_KEY)}
        self._chains.clear()

    def chain(self, holder: Holder) -> tuple[AssociationKey, ...]:
        """The associations that a job of this holder counts under, its own first, ROOT's last.

        The user's own in the partition, else in any; then the account's and those above it. An account that
        does not exist counts under ROOT alone.
        """
        if holder.account not in self.accounts:  # nothing to keep for names that anybody may make up
            return (ROOT_KEY,)
        key = (holder.account, holder.user, holder.partition)
        found = self._chains.get(key)
        if found is None:
            found = self._chains[key] = tuple(self._walk(*key))
        return found

    def parent(self, key: AssociationKey) -> AssociationKey | None:
        """The association above it, None for ROOT's."""
        if key.user:
            return AssociationKey(key.account)
        account = self.accounts[key.account]
        return AssociationKey(account.parent) if account.parent else None

    def is_below(self, name: str, above: str) -> bool:
        """Whether the account is the other one, or somewhere below it."""
        while name != above:
            account = self.accounts.get(name)
            if account is None or not account.parent:
                return False
            name = account.parent
        return True

    def delta(self) -> AccountsDelta:
        """All there is, as one change of an empty book."""
        return AccountsDelta(
            tuple(self.accounts.values()),
            tuple(self.users.values()),
            tuple(self.associations.values()),
            tuple(self.qos.values()),
        )

    def copy(self) -> AccountBook:
        copy = AccountBook()
        copy.accounts, copy.users = self.accounts.copy(), self.users.copy()
        copy.associations, copy.qos = self.associations.copy(), self.qos.copy()
        copy.version, copy.plain = self.version, self.plain
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AccountBook):
            return NotImplemented
        return all(
            list(getattr(self, title).items()) == list(getattr(other, title).items())
            for title in ("accounts", "users", "associations", "qos")
        )

    __hash__ = None  # type: ignore[assignment]

    def check(self) -> None:
        """Raises InvariantBroken where one thing names another that is not there, or the tree is none."""
        for account in self.accounts.values():
            if account.name != ROOT and not self.is_below(account.name, ROOT):
                raise InvariantBroken(f"account {account.name} does not hang below {ROOT}")
            if AssociationKey(account.name) not in self.associations:
                raise InvariantBroken(f"account {account.name} has no association")
        for key in self.associations:
            if key.account not in self.accounts:
                raise InvariantBroken(f"association {key} is of an account that is not there")
            if key.user and key.user not in self.users:
                raise InvariantBroken(f"association {key} is of a user who is not there")
        if NORMAL_QOS not in self.qos:
            raise InvariantBroken(f"QOS {NORMAL_QOS} is gone")

    def _walk(self, account: str, user: str, partition: str) -> Iterable[AssociationKey]:
        for own in (AssociationKey(account, user, partition), AssociationKey(account, user)):
            if user and own in self.associations:
                yield own
                break
        name = account
        while name:
            yield AssociationKey(name)
            name = self.accounts[name].parent

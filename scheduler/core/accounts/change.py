"""`sacctmgr` and `packhorse accounts apply`: what becomes of a wish to change the book of accounts.

The changes are made one after the other on a copy, each checked for who may and for what it names; then the
whole is checked (loose_ends.py), and the difference is one event. All or nothing. What jobs that run or wait
count under cannot be taken away; a limit lowered below present use stops new starts and kills nothing.

Who may: an administrator and users of AdminLevel Operator or Administrator everything (levels themselves
only Administrators); a coordinator what is below an account of theirs. As in Slurm, a coordinator does not
change the limits of that account itself, and gives nobody a QOS that the account above lacks.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from packhorse.scheduler.core.accounts import rights
from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.accounts.loose_ends import check_ends
from packhorse.scheduler.core.accounts.plan import difference, lines
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import account_settings
from packhorse.scheduler.model.account_settings import Setting, Thing, find
from packhorse.scheduler.model.accounts import (
    ROOT,
    Account,
    AccountsDelta,
    AdminLevel,
    Association,
    AssociationKey,
    Qos,
    User,
)
from packhorse.scheduler.model.accounts_change import MAX_CHANGES, AccountChange, Edit, Verb, check_change
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Caller, ChangeAccounts
from packhorse.scheduler.model.job import NORMAL_QOS
from packhorse.scheduler.model.reply import Planned, RefusalCode, Refused

ACCESS_DENIED: Final = "Access/permission denied"


def change_accounts(state: State, call: ChangeAccounts, now: Instant) -> Decision:
    """The changes of one call. Replies with what changed, one line each."""
    draft = Draft(state, now)
    if len(call.changes) > MAX_CHANGES:
        text = f"{len(call.changes)} changes in one call, limit {MAX_CHANGES}; make several calls"
        return draft.answer(call.caller, Refused(RefusalCode.EXHAUSTED, text))
    desk = _Desk(state, call)
    refused = desk.make_all() or check_ends(state, desk.book) or desk.check_levels()
    if refused is not None:
        return draft.answer(call.caller, refused)
    delta = difference(state.accounts, desk.book, desk.reset)
    planned = Planned(tuple(lines(state.accounts, delta)))
    if call.dry_run or delta == AccountsDelta():
        return draft.decision(planned)
    draft.events.append(AccountsChanged(now, delta, call.caller.owner.uid))
    return draft.answer(call.caller, planned)


class _Desk:
    """The copy of the book that the changes are made on. reset: whose use counts from zero."""

    def __init__(self, state: State, call: ChangeAccounts) -> None:
        self.state = state
        self.book = state.accounts.copy()
        self.reset: tuple[AssociationKey, ...] = ()
        self._gone_accounts: set[str] = set()
        self._gone_users: set[str] = set()
        """Of which associations may be left; many removals are swept up at once."""
        self._changes = call.changes
        self._caller = call.caller
        self._level = _level(self.book, call.caller)

    def make_all(self) -> Refused | None:
        """Make every change; the first that cannot be made is refused by name."""
        for change in self._changes:
            try:
                check_change(change)
                refused = self._check_may(change) or self._make(change)
            except BadValue as error:
                return _invalid(f"{_title(change)}: {error}")
            if refused is not None:
                return refused
        self._sweep()
        return None

    def check_levels(self) -> Refused | None:
        """Only an administrator makes administrators and operators, or takes that away."""
        if self._level is AdminLevel.ADMINISTRATOR:
            return None
        before, after = self.state.accounts.users, self.book.users
        for name in dict.fromkeys((*before, *after)):
            old = before[name].admin_level if name in before else AdminLevel.NONE
            new = after[name].admin_level if name in after else AdminLevel.NONE
            if old is not new:
                return _denied(f"user {name}: only an administrator may change an AdminLevel")
        return None

    def _make(self, change: AccountChange) -> Refused | None:
        if change.verb is not Verb.DELETE or change.thing not in (Thing.ACCOUNT, Thing.USER):
            self._sweep()
        match change.verb, change.thing:
            case Verb.PRUNE, _:
                self._prune()
                return None
            case Verb.RESET, _:
                return self._reset_use(change.key)
            case _, Thing.COORDINATOR:
                return self._coordinator(change)
        there = self._found(change) is not None
        if there and change.verb is Verb.ADD:
            return _invalid(f"{_title(change)} exists already; modify it")
        if not there and change.verb in (Verb.MODIFY, Verb.DELETE):
            return Refused(RefusalCode.NOT_FOUND, f"{_title(change)} does not exist")
        if change.verb is Verb.DELETE:
            return self._delete(change)
        return self._set(change)

    def _found(self, change: AccountChange) -> Account | User | Association | Qos | None:
        match change.thing:
            case Thing.ACCOUNT:
                return self.book.accounts.get(change.name)
            case Thing.USER:
                return self.book.users.get(change.name)
            case Thing.QOS:
                return self.book.qos.get(change.name)
        return self.book.associations.get(change.key)

    def _set(self, change: AccountChange) -> Refused | None:
        """Add it, or change it; SET starts from nothing."""
        book, new = self.book, change.verb is not Verb.MODIFY
        match change.thing:
            case Thing.ACCOUNT:
                return self._set_account(change, new)
            case Thing.USER:
                user = User(change.name) if new else book.users[change.name]
                book.users[change.name] = self._edited(Thing.USER, user, change.edits)
            case Thing.QOS:
                qos = Qos(change.name) if new else book.qos[change.name]
                book.qos[change.name] = self._edited(Thing.QOS, qos, change.edits)
            case _:
                return self._set_association(change, new)
        return None

    def _set_account(self, change: AccountChange, new: bool) -> Refused | None:
        book, name = self.book, change.name
        key = AssociationKey(name)
        old = book.accounts.get(name)
        account = Account(name, "" if name == ROOT else ROOT) if new or old is None else old
        if name == ROOT and any(find(Thing.ACCOUNT, e.name) == _PARENT for e in change.edits):
            return _invalid(f"account {ROOT}: has no parent, and cannot get one")
        account = self._edited(Thing.ACCOUNT, account, change.edits)
        if name != ROOT and not account.parent:
            account = replace(account, parent=ROOT)
        book.accounts[name] = account
        association = Association(key) if new else book.associations[key]
        book.associations[key] = self._edited(Thing.ASSOCIATION, association, change.edits)
        return self._check_granted(book.associations[key])

    def _set_association(self, change: AccountChange, new: bool) -> Refused | None:
        book, key = self.book, change.key
        if key.account not in book.accounts:
            return Refused(RefusalCode.NOT_FOUND, f'account "{key.account}" does not exist')
        if key.user and key.user not in book.users:
            return Refused(RefusalCode.NOT_FOUND, f'user "{key.user}" does not exist; add the user first')
        partitions = [partition.name for partition in self.state.config.partitions]
        if new and key.partition and key.partition not in partitions:
            known = ", ".join(partitions)
            return _invalid(f'partition "{key.partition}" does not exist; choose one of: {known}')
        association = Association(key) if new else book.associations[key]
        book.associations[key] = self._edited(Thing.ASSOCIATION, association, change.edits)
        return self._check_granted(book.associations[key])

    def _edited(self, thing: Thing, value: Any, edits: tuple[Edit, ...]) -> Any:
        """The value with those of the edits made that are about such a thing."""
        for edit in edits:
            setting = find(thing, edit.name)
            if setting is not None:
                base = (
                    self._allowed(value) if isinstance(value, Association) and setting.name == "qos" else None
                )
                value = account_settings.change(value, setting, edit.text, edit.how, base=base)
        return value

    def _allowed(self, association: Association) -> tuple[str, ...]:
        """The QOS that it may use now: what += adds to, and -= takes from."""
        allowed = association.qos or rights.allowed_qos(self.book, self._chain_above(association.key))
        return tuple(rights.known_qos(self.state)) if allowed is None else allowed

    def _chain_above(self, key: AssociationKey) -> list[AssociationKey]:
        if key.user:
            return [AssociationKey(name) for name in _upwards(self.book, key.account)]
        return [AssociationKey(name) for name in _upwards(self.book, key.account) if name != key.account]

    def _delete(self, change: AccountChange) -> Refused | None:
        book, name = self.book, change.name
        match change.thing:
            case Thing.ACCOUNT:
                if name == ROOT:
                    return _invalid(f"account {ROOT} cannot be removed: all others are below it")
                del book.accounts[name]
                self._gone_accounts.add(name)
            case Thing.USER:
                del book.users[name]
                self._gone_users.add(name)
            case Thing.QOS:
                if name == NORMAL_QOS:
                    return _invalid(f"QOS {NORMAL_QOS} cannot be removed: jobs that name none are in it")
                del book.qos[name]
            case _:
                if not change.user:
                    return _invalid(
                        f"account {change.account}: its own association goes with the account only"
                    )
                del book.associations[change.key]
        return None

    def _sweep(self) -> None:
        """Take along what belonged to accounts and users that were removed."""
        book, accounts, users = self.book, self._gone_accounts, self._gone_users
        if not accounts and not users:
            return
        for key in [key for key in book.associations if key.account in accounts or key.user in users]:
            del book.associations[key]
        for account in list(book.accounts.values()):
            if not users.isdisjoint(account.coordinators):
                rest = tuple(one for one in account.coordinators if one not in users)
                book.accounts[account.name] = replace(account, coordinators=rest)
        accounts.clear()
        users.clear()

    def _coordinator(self, change: AccountChange) -> Refused | None:
        account = self.book.accounts.get(change.account)
        if account is None:
            return Refused(RefusalCode.NOT_FOUND, f'account "{change.account}" does not exist')
        there = change.name in account.coordinators
        if change.verb is Verb.DELETE and not there:
            text = f"user {change.name} is no coordinator of account {change.account}"
            return Refused(RefusalCode.NOT_FOUND, text)
        rest = {name for name in account.coordinators if name != change.name}
        now = rest if change.verb is Verb.DELETE else rest | {change.name}
        self.book.accounts[account.name] = replace(account, coordinators=tuple(sorted(now)))
        return None

    def _reset_use(self, key: AssociationKey) -> Refused | None:
        """Of an account: with all that is below it."""
        if key not in self.book.associations:
            return Refused(
                RefusalCode.NOT_FOUND, f"association {':'.join(p for p in key if p)} does not exist"
            )
        keys = [key]
        if not key.user:
            keys = [one for one in self.book.associations if self.book.is_below(one.account, key.account)]
        self.reset = tuple(dict.fromkeys((*self.reset, *keys)))
        return None

    def _prune(self) -> None:
        """What no change of the call names goes, but what must always be there."""
        book = self.book
        named: dict[Thing, set[object]] = {thing: set() for thing in Thing}
        for change in self._changes:
            named[change.thing].add(change.key if change.thing is Thing.ASSOCIATION else change.name)
        accounts = named[Thing.ACCOUNT] | {ROOT}
        own = {AssociationKey(str(name)) for name in accounts}
        book.accounts = {name: one for name, one in book.accounts.items() if name in accounts}
        book.users = {name: one for name, one in book.users.items() if name in named[Thing.USER]}
        book.qos = {n: one for n, one in book.qos.items() if n in named[Thing.QOS] or n == NORMAL_QOS}
        keep = own | named[Thing.ASSOCIATION]
        book.associations = {key: one for key, one in book.associations.items() if key in keep}

    # -- who may

    def _check_may(self, change: AccountChange) -> Refused | None:
        if self._level is not AdminLevel.NONE:
            return None
        name = self._caller.owner.user
        if self._coordinator_may(change):
            return None
        mine = [account.name for account in self.book.accounts.values() if name in account.coordinators]
        way_out = (
            f"a coordinator of {', '.join(mine)} may only change what is below that"
            if mine
            else "only an administrator, an operator or a coordinator may"
        )
        what = _title(change) if change.verb is not Verb.PRUNE else "everything that is not named"
        return _denied(f"user {name} may not {change.verb} {what}; {way_out}")

    def _coordinator_may(self, change: AccountChange) -> bool:
        if change.verb not in (Verb.ADD, Verb.MODIFY, Verb.DELETE):
            return False
        match change.thing:
            case Thing.ACCOUNT:
                old = self.book.accounts.get(change.name)
                parents = [] if old is None else [old.parent]
                wished = [e.text.strip() for e in change.edits if find(Thing.ACCOUNT, e.name) == _PARENT]
                if change.verb is not Verb.DELETE:
                    parents += wished if wished or old is not None else [ROOT]
                return all(parent and self._coordinates(parent) for parent in parents)
            case Thing.ASSOCIATION:
                above = self.book.accounts.get(change.account)
                parent = change.account if change.user else above.parent if above is not None else ""
                return bool(parent) and self._coordinates(parent)
            case Thing.COORDINATOR:
                return self._coordinates(change.account)
            case Thing.USER:
                return self._coordinator_may_user(change)
        return False

    def _coordinator_may_user(self, change: AccountChange) -> bool:
        """Add a user, whose first account is theirs; remove one who has no other."""
        if change.verb is Verb.ADD:
            defaults = [e.text.strip() for e in change.edits if find(Thing.USER, e.name) == _DEFAULT_ACCOUNT]
            return bool(defaults) and all(self._coordinates(name) for name in defaults)
        keys = [key for key in self.book.associations if key.user == change.name]
        return (
            change.verb is Verb.DELETE and bool(keys) and all(self._coordinates(key.account) for key in keys)
        )

    def _coordinates(self, account: str) -> bool:
        name = self._caller.owner.user
        return any(name in self.book.accounts[one].coordinators for one in _upwards(self.book, account))

    def _check_granted(self, association: Association) -> Refused | None:
        """That a coordinator gives nobody a QOS that the account above may not use."""
        if self._level is not AdminLevel.NONE or not association.qos:
            return None
        key = association.key
        allowed = rights.allowed_qos(self.book, self._chain_above(key))
        beyond = [name for name in association.qos if allowed is not None and name not in allowed]
        if not beyond:
            return None
        who = key.user or key.account
        return _denied(
            f"{who} gets QOS {', '.join(beyond)} from an administrator only: the account above lacks it"
        )


_PARENT: Final[Setting] = account_settings.SETTINGS[Thing.ACCOUNT][0]
_DEFAULT_ACCOUNT: Final[Setting] = account_settings.SETTINGS[Thing.USER][0]


def _level(book: AccountBook, caller: Caller) -> AdminLevel:
    if caller.admin:
        return AdminLevel.ADMINISTRATOR
    user = book.users.get(caller.owner.user)
    return user.admin_level if user is not None else AdminLevel.NONE


def _upwards(book: AccountBook, name: str) -> list[str]:
    """The account and those above it, as far as they are there; each once, though changes made a ring."""
    found: dict[str, None] = {}
    while name in book.accounts and name not in found:
        found[name] = None
        name = book.accounts[name].parent
    return list(found)


def _title(change: AccountChange) -> str:
    """`account physics`, `user bob in account physics`."""
    if change.thing is Thing.ASSOCIATION:
        who = (
            f"user {change.user} in account {change.account}" if change.user else f"account {change.account}"
        )
        return f"{who}, partition {change.partition}" if change.partition else who
    if change.thing is Thing.COORDINATOR:
        return f"coordinator {change.name} of account {change.account}"
    return f"{'QOS' if change.thing is Thing.QOS else change.thing.value} {change.name}"


def _invalid(text: str) -> Refused:
    return Refused(RefusalCode.INVALID, text)


def _denied(text: str) -> Refused:
    return Refused(RefusalCode.DENIED, text, ACCESS_DENIED)

"""Tables of the book of accounts, as sacctmgr and `packhorse accounts` ask for them: texts as Slurm writes
values, "" for what is not set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.accounts import rights
from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.account_settings import SETTINGS, Setting, Thing
from packhorse.scheduler.model.accounts import ROOT, Account, Association, AssociationKey, Qos, User
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.messages import FieldFilter, ListAccountsRequest, Table
from packhorse.scheduler.service.tables.table import (
    Catalogue,
    Field,
    Type,
    check_fields,
    ints,
    make_table,
    texts,
)

Rows = list[Any]
"""Of one kind: what the catalogue of that kind makes columns of."""

_FIRST_GRES: Final = 1001
_TRES: Final = (("cpu", "", 1), ("mem", "", 2), ("node", "", 4), ("billing", "", 5))
"""Type, name and id, as Slurm numbers them."""


class AssociationRow(NamedTuple):
    """id: counted from 1 in the order of the tree. shown: with the settings to show. depth: how far down."""

    id: int
    association: Association
    shown: Association
    allowed: tuple[str, ...]
    parent: str
    depth: int
    is_default: bool


def list_accounts(state: State, request: ListAccountsRequest, now: Instant) -> Table:
    """The table of one kind. Raises CallFailed for a kind or field that does not exist."""
    if request.kind not in KINDS:
        raise CallFailed(
            Code.INVALID_ARGUMENT, f'kind "{request.kind[:100]}" does not exist; there are {", ".join(KINDS)}'
        )
    catalogue, make = KINDS[request.kind]
    fields = check_fields(catalogue, request.fields)
    check_fields(catalogue, [filter.field for filter in request.filters])
    rows = make(state, request.inherited)
    for filter in request.filters:
        rows = _kept(catalogue, rows, filter)
    return make_table(catalogue, rows, fields, n_rows=len(rows), now=now)


def _kept(catalogue: Catalogue[Rows], rows: Rows, filter: FieldFilter) -> Rows:
    wanted = set(filter.values)
    values = catalogue[filter.field].values(rows)
    return [row for row, value in zip(rows, values, strict=True) if str(value) in wanted]


# -- the rows


def _accounts(state: State, inherited: bool) -> Rows:
    return sorted(state.accounts.accounts.values(), key=lambda account: account.name)


def _users(state: State, inherited: bool) -> Rows:
    book = state.accounts
    coordinates: dict[str, list[str]] = {}
    for account in sorted(book.accounts):
        for name in book.accounts[account].coordinators:
            coordinates.setdefault(name, []).append(account)
    return [(book.users[name], ",".join(coordinates.get(name, ()))) for name in sorted(book.users)]


def _coordinators(state: State, inherited: bool) -> Rows:
    accounts = state.accounts.accounts.values()
    return sorted((account.name, user) for account in accounts for user in account.coordinators)


def _qos(state: State, inherited: bool) -> Rows:
    return list(enumerate(state.accounts.qos.values(), start=1))


def _associations(state: State, inherited: bool) -> Rows:
    """The tree: an account, its users, the accounts below it, each by name."""
    book = state.accounts
    every = tuple(sorted(rights.known_qos(state)))
    users: dict[str, list[AssociationKey]] = {}
    for key in sorted(key for key in book.associations if key.user):
        users.setdefault(key.account, []).append(key)
    rows: Rows = []
    above: dict[AssociationKey, AssociationRow] = {}
    for name, depth in _tree(book):
        for key in (AssociationKey(name), *users.get(name, ())):
            own, parent = book.associations[key], book.parent(key)
            higher = above.get(parent) if parent is not None else None
            shown = _with_inherited(own, higher.shown if higher else None) if inherited else own
            allowed = own.qos or (higher.allowed if higher else every)
            user = book.users.get(key.user)
            default = user is not None and user.default_account == key.account
            row = AssociationRow(
                len(rows) + 1,
                own,
                shown,
                allowed,
                "" if key.user or parent is None else parent.account,
                depth,
                default,
            )
            rows.append(row)
            above[key] = row
    return rows


def _tree(book: AccountBook) -> Iterator[tuple[str, int]]:
    below: dict[str, list[str]] = {}
    for account in book.accounts.values():
        below.setdefault(account.parent, []).append(account.name)
    stack = [(ROOT, 0)]
    while stack:
        name, depth = stack.pop()
        yield name, depth
        stack += [(child, depth + 1) for child in sorted(below.get(name, ()), reverse=True)]


_PASSED_ON: Final = tuple(
    s for s in SETTINGS[Thing.ASSOCIATION] if s.name.startswith("max_") or s.name == "default_qos"
)
"""Settings that hold below where they are set; grp_… are of all together."""
_NOTHING: Final = (None, (), "")


def _with_inherited(own: Association, above: Association | None) -> Association:
    if above is None:
        return own
    missing = [s for s in _PASSED_ON if s.of(above) not in _NOTHING and s.of(own) in _NOTHING]
    if not missing:
        return own
    limits = {s.name: s.of(above) for s in missing if s.limit}
    plain = {s.name: s.of(above) for s in missing if not s.limit}
    return replace(own, limits=replace(own.limits, **limits), **plain)


def _tres(state: State, inherited: bool) -> Rows:
    kinds = dict.fromkeys(
        name
        for node in state.nodes.values()
        for device in node.spec.devices
        for name in ((device.kind, f"{device.kind}:{device.type}") if device.type else (device.kind,))
    )
    found = [*_TRES]
    for name in sorted(kinds):
        found.append(("gres", name, _FIRST_GRES + len(found) - len(_TRES)))
    for name, _ in state.config.licenses:
        found.append(("license", name, _FIRST_GRES + len(found) - len(_TRES)))
    return found


def _wckeys(state: State, inherited: bool) -> Rows:
    """Those of the jobs in memory."""
    found = {(job.spec.wckey, job.owner.user) for job in state.jobs.values()}
    found |= {(array.spec.wckey, array.owner.user) for array in state.arrays.values()}
    return sorted(pair for pair in found if pair[0])


# -- the columns


def _settings(thing: Thing, of: Callable[[Any], Any]) -> Catalogue[Rows]:
    return {setting.name: _setting(setting, of) for setting in SETTINGS[thing]}


def _setting(setting: Setting, of: Callable[[Any], Any]) -> Field[Rows]:
    get = attrgetter(setting.path)

    def column(rows: Rows) -> list[str]:
        values = [get(of(row)) for row in rows]
        shown = {value: setting.kind.show(value) for value in set(values)}
        return [shown[value] for value in values]

    return Field(Type.TEXT, column)


def _keys(names: Sequence[str]) -> Catalogue[Rows]:
    """Columns of rows that are plain tuples of texts."""
    return {name: _at(index) for index, name in enumerate(names)}


def _at(index: int) -> Field[Rows]:
    return texts(lambda rows: [row[index] for row in rows])


def _account(row: Account) -> Account:
    return row


def _user(row: tuple[User, str]) -> User:
    return row[0]


def _qos_of(row: tuple[int, Qos]) -> Qos:
    return row[1]


KINDS: Final[dict[str, tuple[Catalogue[Rows], Callable[[State, bool], Rows]]]] = {
    "accounts": (
        {"name": texts(lambda rows: [row.name for row in rows]), **_settings(Thing.ACCOUNT, _account)},
        _accounts,
    ),
    "users": (
        {
            "name": texts(lambda rows: [row[0].name for row in rows]),
            **_settings(Thing.USER, _user),
            "coordinates": texts(lambda rows: [row[1] for row in rows]),
        },
        _users,
    ),
    "associations": (
        {
            "id": ints(lambda rows: [row.id for row in rows]),
            "account": texts(lambda rows: [row.association.key.account for row in rows]),
            "user": texts(lambda rows: [row.association.key.user for row in rows]),
            "partition": texts(lambda rows: [row.association.key.partition for row in rows]),
            "parent": texts(lambda rows: [row.parent for row in rows]),
            "depth": ints(lambda rows: [row.depth for row in rows]),
            "is_default": ints(lambda rows: [int(row.is_default) for row in rows]),
            "allowed_qos": texts(lambda rows: [",".join(row.allowed) for row in rows]),
            **_settings(Thing.ASSOCIATION, lambda row: row.shown),
        },
        _associations,
    ),
    "qos": (
        {
            "id": ints(lambda rows: [row[0] for row in rows]),
            "name": texts(lambda rows: [row[1].name for row in rows]),
            **_settings(Thing.QOS, _qos_of),
        },
        _qos,
    ),
    "coordinators": (_keys(("account", "user")), _coordinators),
    "tres": ({**_keys(("type", "name")), "id": ints(lambda rows: [row[2] for row in rows])}, _tres),
    "wckeys": (_keys(("name", "user")), _wckeys),
}
"""Columns and rows of each kind."""

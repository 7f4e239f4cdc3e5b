"""Changes of the book of accounts as somebody wishes them; what comes of them: core/accounts/change.py."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from packhorse.scheduler.model.account_settings import MAX_VALUE, How, Thing, check_name, find
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.errors import BadValue

MAX_CHANGES: Final = 100_000
MAX_EDITS: Final = 200
"""Of one call, of one change."""


class Verb(StrEnum):
    """ADD what is not there, MODIFY or DELETE what is; SET: it is there with exactly these settings, whatever
    was before; PRUNE: what no other change of the call names goes; RESET: its use counts from zero."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"
    SET = "set"
    PRUNE = "prune"
    RESET = "reset"


class Edit(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """name: of a setting of the thing; an account has those of its own association too."""

    name: str
    text: str
    how: How = How.SET


class AccountChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """name: of the account, user, QOS or coordinator. account: of the association or coordinator; user,
    partition: of the association, both "" for the account's own."""

    verb: Verb
    thing: Thing
    name: str = ""
    account: str = ""
    user: str = ""
    partition: str = ""
    edits: tuple[Edit, ...] = ()

    @property
    def key(self) -> AssociationKey:
        """Of the association it is about."""
        return AssociationKey(self.account, self.user, self.partition)


def check_change(change: AccountChange) -> None:
    """Raises BadValue for a name that is none, a setting that the thing does not have, or too much."""
    if change.verb is Verb.PRUNE:
        return
    if change.thing is Thing.ASSOCIATION:
        check_name("account", change.account)
        for what, name in (("user", change.user), ("partition", change.partition)):
            if name:
                check_name(what, name)
        if change.partition and not change.user:
            raise BadValue(f"account {change.account}: only a user's association can be for one partition")
    else:
        check_name(change.thing.value, change.name)
    if change.thing is Thing.COORDINATOR:
        check_name("account", change.account)
    if change.verb is Verb.RESET and change.thing is not Thing.ASSOCIATION:
        raise BadValue(f"{change.thing} {change.name}: only the use of an association can be reset")
    if len(change.edits) > MAX_EDITS:
        raise BadValue(f"{change.thing} {change.name}: {len(change.edits)} settings, limit {MAX_EDITS}")
    for edit in change.edits:
        if not any(find(thing, edit.name) for thing in settings_of(change.thing)):
            raise BadValue(
                f'{change.thing} {change.name or change.account}: there is no setting "{edit.name}"'
            )
        if len(edit.text) > MAX_VALUE:
            raise BadValue(f"{edit.name}: {len(edit.text)} characters, limit {MAX_VALUE}")


def settings_of(thing: Thing) -> tuple[Thing, ...]:
    """Whose settings a change of the thing may have."""
    if thing is Thing.ACCOUNT:
        return (Thing.ACCOUNT, Thing.ASSOCIATION)
    return () if thing is Thing.COORDINATOR else (thing,)

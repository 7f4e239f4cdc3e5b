"""A ChangeAccountsRequest as the core takes it. What is malformed is named here, with the change it is in."""

from __future__ import annotations

from typing import Final

from packhorse.scheduler.model.account_settings import MAX_VALUE, How, Thing
from packhorse.scheduler.model.accounts_change import MAX_CHANGES, AccountChange, Edit, Verb, check_change
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.input import Caller, ChangeAccounts
from packhorse.scheduler.service import bounds, messages

_HOWS: Final = {"": How.SET, **{how.value: how for how in How}}


def change_input(request: messages.ChangeAccountsRequest, caller: Caller) -> ChangeAccounts:
    """The input. Raises BadValue."""
    if len(request.changes) > MAX_CHANGES:
        raise BadValue(
            f"changes: {len(request.changes)} in one call, limit {MAX_CHANGES}; make several calls"
        )
    return ChangeAccounts(caller, tuple(_change(change) for change in request.changes), request.dry_run)


def _change(wire: messages.AccountChange) -> AccountChange:
    verbs, things = [verb.value for verb in Verb], [thing.value for thing in Thing]
    if wire.verb not in verbs:
        raise BadValue(f'verb: "{bounds.text("verb", wire.verb)}" is none of {", ".join(verbs)}')
    verb = Verb(wire.verb)
    if wire.thing not in things and (verb is not Verb.PRUNE or wire.thing):
        raise BadValue(f'thing: "{bounds.text("thing", wire.thing)}" is none of {", ".join(things)}')
    change = AccountChange(
        verb,
        Thing(wire.thing or Thing.ACCOUNT),
        bounds.text("name", wire.name),
        bounds.text("account", wire.account),
        bounds.text("user", wire.user),
        bounds.text("partition", wire.partition),
        tuple(_edit(edit) for edit in wire.edits),
    )
    check_change(change)
    return change


def _edit(wire: messages.AccountEdit) -> Edit:
    if wire.how not in _HOWS:
        raise BadValue(f'how: "{bounds.text("how", wire.how)}" is none of =, +=, -=')
    return Edit(bounds.text("name", wire.name), bounds.text(wire.name, wire.text, MAX_VALUE), _HOWS[wire.how])

"""Changes of the book of accounts in a word each: `account("physics", shares=50)`."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.model.account_settings import How, Thing
from packhorse.scheduler.model.accounts_change import AccountChange, Edit, Verb


def edits(given: dict[str, Any]) -> tuple[Edit, ...]:
    """`max_jobs=4`, `qos=("+=", "long")`."""
    return tuple(
        Edit(name, value[1], How(value[0])) if isinstance(value, tuple) else Edit(name, str(value))
        for name, value in given.items()
    )


def account(name: str, verb: Verb = Verb.ADD, **given: Any) -> AccountChange:
    """An account and its own association."""
    return AccountChange(verb, Thing.ACCOUNT, name, edits=edits(given))


def user(name: str, verb: Verb = Verb.ADD, **given: Any) -> AccountChange:
    """A user."""
    return AccountChange(verb, Thing.USER, name, edits=edits(given))


def qos(name: str, verb: Verb = Verb.ADD, **given: Any) -> AccountChange:
    """A QOS."""
    return AccountChange(verb, Thing.QOS, name, edits=edits(given))


def member(who: str, where: str, verb: Verb = Verb.ADD, partition: str = "", **given: Any) -> AccountChange:
    """A user in an account."""
    return AccountChange(
        verb, Thing.ASSOCIATION, account=where, user=who, partition=partition, edits=edits(given)
    )


def coordinator(who: str, where: str, verb: Verb = Verb.ADD) -> AccountChange:
    """A user who may change what is below the account."""
    return AccountChange(verb, Thing.COORDINATOR, who, where)

"""What two books of accounts differ in: as the change that leads from one to the other, and as lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.model.account_settings import SETTINGS, UNSET, Thing
from packhorse.scheduler.model.accounts import (
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
)

K = TypeVar("K")
V = TypeVar("V")


def difference(before: AccountBook, after: AccountBook, reset: tuple[AssociationKey, ...]) -> AccountsDelta:
    """The change that makes the one book the other. reset: whose use is to count from zero."""
    return AccountsDelta(
        accounts=_changed(before.accounts, after.accounts),
        users=_changed(before.users, after.users),
        associations=_changed(before.associations, after.associations),
        qos=_changed(before.qos, after.qos),
        gone_accounts=_gone(before.accounts, after.accounts),
        gone_users=_gone(before.users, after.users),
        gone_associations=_gone(before.associations, after.associations),
        gone_qos=_gone(before.qos, after.qos),
        reset_usage=tuple(key for key in reset if key in after.associations),
    )


def _changed(before: dict[K, V], after: dict[K, V]) -> tuple[V, ...]:
    return tuple(one for key, one in after.items() if (old := before.get(key)) is not one and old != one)


def _gone(before: dict[K, V], after: dict[K, V]) -> tuple[K, ...]:
    return tuple(key for key in before if key not in after)


def lines(before: AccountBook, delta: AccountsDelta) -> Iterator[str]:
    """One line for each thing: `+ account physics: Parent=root Fairshare=50`, `~ user bob in physics: MaxJobs
    4 -> 8`, `- QOS urgent`. An account and its own association are one thing.
    """
    for qos in delta.qos:
        yield from _line(f"QOS {qos.name}", Thing.QOS, before.qos.get(qos.name), qos)
    own = {one.key.account: one for one in delta.associations if not one.key.user}
    for account in delta.accounts:
        yield from _account(before, account, own.pop(account.name, None))
    for name, association in own.items():
        old = before.associations.get(association.key)
        yield from _line(f"account {name}", Thing.ASSOCIATION, old, association)
    for user in delta.users:
        yield from _line(f"user {user.name}", Thing.USER, before.users.get(user.name), user)
    for association in delta.associations:
        if association.key.user:
            old = before.associations.get(association.key)
            yield from _line(_who(association.key), Thing.ASSOCIATION, old, association)
    yield from (f"- {_who(key)}" for key in delta.gone_associations if key.user)
    yield from (f"- user {name}" for name in delta.gone_users)
    yield from (f"- account {name}" for name in delta.gone_accounts)
    yield from (f"- QOS {name}" for name in delta.gone_qos)
    yield from (f"~ {_who(key)}: use counts from zero" for key in delta.reset_usage)


def _who(key: AssociationKey) -> str:
    if not key.user:
        return f"account {key.account}"
    return f"user {key.user} in {key.account}" + (f", partition {key.partition}" if key.partition else "")


def _account(before: AccountBook, account: Account, own: Association | None) -> Iterator[str]:
    old = before.accounts.get(account.name)
    parts = _parts(Thing.ACCOUNT, old, account)
    if own is not None:
        parts += _parts(Thing.ASSOCIATION, before.associations.get(own.key), own)
    yield _joined("+" if old is None else "~", f"account {account.name}", parts)


def _line(title: str, thing: Thing, old: Any, new: Any) -> Iterator[str]:
    yield _joined("+" if old is None else "~", title, _parts(thing, old, new))


def _joined(mark: str, title: str, parts: list[str]) -> str:
    return f"{mark} {title}: {' '.join(parts)}" if parts else f"{mark} {title}"


def _parts(thing: Thing, old: Any, new: Any) -> list[str]:
    """The settings that differ, from what they are when nothing is set if the thing is new."""
    found = []
    for setting in SETTINGS[thing]:
        value = _quoted(setting.show(new))
        if old is None:
            if setting.show(UNSET[thing]) != setting.show(new):
                found.append(f"{setting.slurm}={value}")
        elif setting.of(old) != setting.of(new):
            found.append(f"{setting.slurm} {_quoted(setting.show(old))} -> {value}")
    return found


def _quoted(text: str) -> str:
    return f'"{text}"' if not text or " " in text else text

"""Whether a changed book of accounts holds together, and leaves nobody without what a job counts under."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

from packhorse.scheduler.core.accounts import rights
from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.accounts import ROOT, AssociationKey, Holder
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import ArrayJob, Job
from packhorse.scheduler.model.reply import RefusalCode, Refused

MAX_ACCOUNTS: Final = 100_000
MAX_USERS: Final = 100_000
MAX_ASSOCIATIONS: Final = 300_000
MAX_QOS: Final = 1_000
MAX_DEPTH: Final = 64
"""Accounts above each other, ROOT included."""
_SHOWN: Final = 5
"""Of a list in a message."""


def check_ends(state: State, after: AccountBook) -> Refused | None:
    """Why the state's book may not become this one, None if it may."""
    return (
        _check_size(after)
        or _check_tree(state.accounts, after)
        or _check_users(after)
        or _check_qos(state, after)
        or _check_jobs(state, after)
    )


def _check_size(after: AccountBook) -> Refused | None:
    for what, found, limit in (
        ("accounts", len(after.accounts), MAX_ACCOUNTS),
        ("users", len(after.users), MAX_USERS),
        ("associations", len(after.associations), MAX_ASSOCIATIONS),
        ("QOS", len(after.qos), MAX_QOS),
    ):
        if found > limit:
            return Refused(
                RefusalCode.EXHAUSTED, f"{found} {what}, limit {limit}; remove some that nobody uses"
            )
    return None


def _check_tree(before: AccountBook, after: AccountBook) -> Refused | None:
    """Every account hangs below ROOT."""
    depth = {ROOT: 1}
    for name in after.accounts:
        path: list[str] = []
        while name not in depth:
            path.append(name)
            parent = after.accounts[name].parent
            if parent not in after.accounts:
                gone = parent in before.accounts
                return _invalid(
                    f'account "{parent}" has account "{name}" below it; remove or move that first'
                    if gone
                    else f'account "{name}": its parent "{parent}" does not exist'
                )
            if parent in path:
                return _invalid(f'account "{name}": its parent "{parent}" is below it, or is it')
            name = parent
        for at, one in enumerate(reversed(path), start=depth[name] + 1):
            if at > MAX_DEPTH:
                return _invalid(f'account "{one}": {at} accounts above each other, limit {MAX_DEPTH}')
            depth[one] = at
    return None


def _check_users(after: AccountBook) -> Refused | None:
    """Who has a default account has an association with it; coordinators are users."""
    member = {(key.account, key.user) for key in after.associations}
    for user in after.users.values():
        if user.default_account and (user.default_account, user.name) not in member:
            return _invalid(
                f'user "{user.name}" would have no association with the default account '
                f'"{user.default_account}"; change the default account first, or remove the user'
            )
    for key in after.associations:
        if key.user and key.user not in after.users:
            return _invalid(
                f'user "{key.user}" has an association with account "{key.account}"; name the user too'
            )
    for account in after.accounts.values():
        for name in account.coordinators:
            if name not in after.users:
                return _invalid(
                    f'account "{account.name}": coordinator "{name}" is no user; add the user first'
                )
    return None


def _check_qos(state: State, after: AccountBook) -> Refused | None:
    """Every QOS that is named exists, and every default is one that may be used."""
    known = set(after.qos) | set(state.config.reclaim.stoppable_qos)
    for qos in after.qos.values():
        if missing := _missing(qos.preempts, known):
            return _no_qos(state, missing, f'QOS "{qos.name}" preempts it')
    for partition in state.config.partitions:
        if partition.qos and partition.qos in state.accounts.qos and partition.qos not in known:
            return _no_qos(state, partition.qos, f'it is the QOS of partition "{partition.name}"')
    for key, association in after.associations.items():
        if not association.qos and not association.default_qos:
            continue
        who = f'user "{key.user}" in account "{key.account}"' if key.user else f'account "{key.account}"'
        if missing := _missing(association.qos, known):
            return _no_qos(state, missing, f"{who} has it in the list")
        default = association.default_qos
        if default and default not in known:
            return _no_qos(state, default, f"it is the default of {who}")
        if default:
            allowed = rights.allowed_qos(after, _chain(after, key))
            if allowed is not None and default not in allowed:
                return _invalid(f'QOS "{default}" cannot be the default of {who}: it may not be used there')
    return None


def _check_jobs(state: State, after: AccountBook) -> Refused | None:
    """No unfinished job counts under what is gone."""
    before = state.accounts
    gone = {key for key in before.associations if key not in after.associations}
    gone_qos = {name for name in before.qos if name not in after.qos}
    if not gone and not gone_qos:
        return None
    using: dict[AssociationKey | str, list[JobId]] = {}
    for id, holder in _holders(state):
        for thing in (holder.qos, *before.chain(holder)):
            if thing in gone or thing in gone_qos:
                using.setdefault(thing, []).append(id)
                break
    for thing, jobs in using.items():
        shown = ", ".join(str(id) for id in jobs[:_SHOWN]) + (" …" if len(jobs) > _SHOWN else "")
        what = f'QOS "{thing}"' if isinstance(thing, str) else _title(thing)
        return Refused(
            RefusalCode.WRONG_STATE,
            f"{what} is in use by {len(jobs)} unfinished {'job' if len(jobs) == 1 else 'jobs'} ({shown}); "
            "cancel them, or wait until they are over",
            "Job(s) active, cancel job(s) before remove",
        )
    return None


def _holders(state: State) -> Iterable[tuple[JobId, Holder]]:
    """On whose name each unfinished job and array counts."""
    waiting_or_active: tuple[Iterable[Job | ArrayJob], ...] = (state.jobs.values(), state.arrays.values())
    for one in chain.from_iterable(waiting_or_active):
        if one.id not in state.finished:
            yield one.id, holder_of(one.spec, one.owner)


def _chain(book: AccountBook, key: AssociationKey) -> list[AssociationKey]:
    """The association and those above it."""
    found: list[AssociationKey] = []
    here: AssociationKey | None = key
    while here is not None:
        found.append(here)
        here = book.parent(here)
    return found


def _title(key: AssociationKey) -> str:
    return (
        f'the association of user "{key.user}" with account "{key.account}"'
        if key.user
        else f'account "{key.account}"'
    )


def _missing(names: Iterable[str], known: set[str]) -> str:
    return next((name for name in names if name not in known), "")


def _no_qos(state: State, name: str, where: str) -> Refused:
    if name in state.accounts.qos:
        return _invalid(f'QOS "{name}" cannot be removed: {where}')
    there = ", ".join(state.accounts.qos)
    text = f'QOS "{name}" does not exist, and {where}; add it first, or choose one of: {there}'
    return Refused(RefusalCode.INVALID, text, rights.INVALID_QOS)


def _invalid(text: str) -> Refused:
    return Refused(RefusalCode.INVALID, text)

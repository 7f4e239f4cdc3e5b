"""Under which account and QOS a job may run: defaults from the owner's associations, then permission.

A list of QOS holds for the association that has it and for all below it that have none; with none anywhere
every QOS may be used. `[accounts] enforce` says who is held to this: with "limits" (the default) nobody runs
without an association once there is an account below root, with "associations" nobody ever does; with
"accounts" it is whoever has an association, or names an account that exists.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from packhorse.scheduler.core.accounts.book import AccountBook
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.accounts import AssociationKey, Holder
from packhorse.scheduler.model.cluster import Enforce, Partition
from packhorse.scheduler.model.job import NORMAL_QOS, JobSpec, Owner
from packhorse.scheduler.model.reply import RefusalCode, Refused

INVALID_ACCOUNT: Final = "Invalid account or account/partition combination specified"
INVALID_QOS: Final = "Invalid qos specification"
NOT_IN_GROUP: Final = "User's group not permitted to use this partition"


def complete_account(state: State, owner: Owner, spec: JobSpec) -> JobSpec | Refused:
    """The spec with account and QOS filled in, or why the owner may not run under them.

    The partition's name must be there already.
    """
    found = account_and_qos(state, owner, spec, spec.partition)
    if isinstance(found, Refused) or found == (spec.account, spec.qos):
        return found if isinstance(found, Refused) else spec
    return replace(spec, account=found[0], qos=found[1])


def account_and_qos(state: State, owner: Owner, spec: JobSpec, partition: str) -> tuple[str, str] | Refused:
    """Under which account and QOS the job runs in this partition, or why the owner may not."""
    book, enforce = state.accounts, state.config.accounts.enforce
    if book.plain and not spec.account and enforce is not Enforce.ASSOCIATIONS:
        qos = _as_written(book.qos, spec.qos) or NORMAL_QOS
        return check_qos(state, qos) or ("", qos)
    account, qos = _as_written(book.accounts, spec.account), _as_written(book.qos, spec.qos)
    if not account and enforce is not Enforce.NONE:
        user = book.users.get(owner.user)
        account = user.default_account if user is not None else ""
    if enforce is not Enforce.NONE:
        chain = book.chain(Holder(account, owner.user, partition, qos))
        if _needs_association(book, enforce) and not chain[0].user:
            return _no_association(book, owner, account, partition)
        qos = qos or starting_qos(book, chain)
        refused = check_qos(state, qos) or _check_allowed(book, chain, qos)
    else:
        qos = qos or NORMAL_QOS
        refused = check_qos(state, qos)
    return refused if refused is not None else (account, qos)


def check_access(state: State, partition: Partition, owner: Owner, spec: JobSpec) -> Refused | None:
    """Whether the partition takes jobs of this group, account and QOS. What is denied comes first."""
    p, book = partition, state.accounts
    if p.allow_groups and owner.group not in p.allow_groups:
        return Refused(
            RefusalCode.DENIED,
            f'partition "{p.name}": group {owner.group} may not use it (AllowGroups); choose another one',
            NOT_IN_GROUP,
        )
    if not (p.allow_accounts or p.deny_accounts or p.allow_qos or p.deny_qos):
        return None
    within = (p.allow_accounts or p.deny_accounts) and tuple(_above(book, spec.account))
    if (p.allow_accounts and not any(name in p.allow_accounts for name in within)) or any(
        name in p.deny_accounts for name in within
    ):
        return Refused(
            RefusalCode.DENIED,
            f'partition "{p.name}": jobs of account "{spec.account}" may not use it '
            "(allow_accounts, deny_accounts); choose another partition or account",
            INVALID_ACCOUNT,
        )
    if (p.allow_qos and spec.qos not in p.allow_qos) or spec.qos in p.deny_qos:
        return Refused(
            RefusalCode.DENIED,
            f'partition "{p.name}": jobs of QOS "{spec.qos}" may not use it (allow_qos, deny_qos); choose '
            "another partition or QOS",
            INVALID_QOS,
        )
    return None


def known_qos(state: State) -> Iterable[str]:
    """Every QOS that there is: the book's, and those that the configuration lets be stopped for memory."""
    return dict.fromkeys((*state.accounts.qos, *state.config.reclaim.stoppable_qos))


def check_qos(state: State, qos: str) -> Refused | None:
    """Whether there is such a QOS."""
    if qos in state.accounts.qos or qos in state.config.reclaim.stoppable_qos:
        return None
    return Refused(
        RefusalCode.INVALID,
        f'QOS "{qos}" does not exist; choose one of: {", ".join(known_qos(state))}',
        INVALID_QOS,
    )


def allowed_qos(book: AccountBook, chain: Sequence[AssociationKey]) -> tuple[str, ...] | None:
    """The QOS that these associations, lowest first, allow; None for all."""
    for key in chain:
        own = book.associations[key].qos
        if own:
            return own
    return None


def default_qos(book: AccountBook, chain: Sequence[AssociationKey]) -> str:
    """The default that is set lowest, "" for none."""
    for key in chain:
        own = book.associations[key].default_qos
        if own:
            return own
    return ""


def starting_qos(book: AccountBook, chain: Sequence[AssociationKey]) -> str:
    """What a job gets that names no QOS: the default; else the only one that it may use, else "normal"."""
    allowed = allowed_qos(book, chain)
    only = allowed[0] if allowed is not None and len(allowed) == 1 else NORMAL_QOS
    return default_qos(book, chain) or only


def _as_written(known: Container[str], name: str) -> str:
    """The name; in lower case where only that is known, since Slurm does not tell them apart."""
    if not name:
        return ""
    return name.lower() if name not in known and name.lower() in known else name


def _needs_association(book: AccountBook, enforce: Enforce) -> bool:
    """Whether nobody may go without. As in Slurm limits imply associations: who could do without one would
    name another account, and be free of the limits of their own."""
    return enforce is Enforce.ASSOCIATIONS or (enforce is Enforce.LIMITS and book.in_use)


def _check_allowed(book: AccountBook, chain: Sequence[AssociationKey], qos: str) -> Refused | None:
    allowed = allowed_qos(book, chain)
    if allowed is None or qos in allowed:
        return None
    key = chain[0]
    who = f"user {key.user} in account {key.account}" if key.user else f"account {key.account}"
    return Refused(
        RefusalCode.DENIED,
        f'QOS "{qos}": {who} may not use it; choose one of: {", ".join(allowed)}',
        INVALID_QOS,
    )


def _no_association(book: AccountBook, owner: Owner, account: str, partition: str) -> Refused:
    own = sorted({key.account for key in book.associations if key.user == owner.user})
    if not account:
        what = f"user {owner.user} has no default account"
    else:
        what = f'user {owner.user} has no association with account "{account}" in partition "{partition}"'
    way_out = (
        f"choose one of: {', '.join(own)}" if own else "an administrator has to add one (sacctmgr add user)"
    )
    return Refused(RefusalCode.DENIED, f"{what}; {way_out}", INVALID_ACCOUNT)


def _above(book: AccountBook, name: str) -> Iterable[str]:
    """The account and those above it; one that does not exist has none above it."""
    yield name
    while (account := book.accounts.get(name)) is not None and account.parent:
        name = account.parent
        yield name

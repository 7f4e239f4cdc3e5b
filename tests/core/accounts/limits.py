"""A cluster with a tree of accounts, for tests of limits: `a_tree(chem={"grp_jobs": 2})`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packhorse.scheduler.core.apply import apply
from packhorse.scheduler.model.accounts import (
    ROOT,
    Account,
    AccountsDelta,
    Association,
    AssociationKey,
    Limits,
    Qos,
    QosLimits,
    User,
)
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.tres import parse_tres
from tests.core.scenario import Cluster

ANN, BOB, EVE = (Caller(Owner(1000 + i, 1000, name, "pack")) for i, name in enumerate(("ann", "bob", "eve")))


def change(cluster: Cluster, delta: AccountsDelta) -> None:
    """The book of accounts is another one from now on."""
    event = AccountsChanged(cluster.clock.now, delta, 0)
    apply(cluster.state, event)
    cluster.log.append(event)


def a_tree(cluster: Cluster, **accounts: Mapping[str, Any]) -> None:
    """Accounts below ROOT, or `parent`, with these limits; users ann, bob and eve are in each of them.
    `users`: limits of some."""
    names, associations = [], []
    for name, fields in accounts.items():
        rest = dict(fields)
        names.append(Account(name, rest.pop("parent", ROOT)))
        users = rest.pop("users", {})
        associations.append(Association(AssociationKey(name), limits=limits(**rest)))
        for user in ("ann", "bob", "eve"):
            of_user = limits(**users.get(user, {}))
            associations.append(Association(AssociationKey(name, user), limits=of_user))
    users = tuple(User(name) for name in ("ann", "bob", "eve"))
    change(cluster, AccountsDelta(accounts=tuple(names), users=users, associations=tuple(associations)))


def a_qos(cluster: Cluster, name: str = "normal", **fields: Any) -> None:
    """A QOS with these limits; `flags`, `usage_factor_milli` … are its own."""
    own = {field: fields.pop(field) for field in Qos.__struct_fields__ if field in fields}
    change(cluster, AccountsDelta(qos=(Qos(name, limits=QosLimits(**_parsed(fields)), **own),)))


def limits(**fields: Any) -> Limits:
    """Amounts as people write them: `grp_tres="cpu=4"`."""
    return Limits(**_parsed(fields))


def _parsed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parse_tres(value) if isinstance(value, str) else value for name, value in fields.items()}


def reasons(cluster: Cluster, *jobs: int) -> list[str]:
    """Slurm's words for why they wait; "" for those that do not."""
    waiting = cluster.state.pending_columns
    return [waiting.reason(id).value if id in waiting else "" for id in map(JobId, jobs)]

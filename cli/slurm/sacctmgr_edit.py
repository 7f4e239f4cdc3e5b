"""`sacctmgr modify` and `delete`: what is meant is found in the tables, shown, and sent as one call.

The scheduler checks everything again, and makes all changes of a command or none.
"""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sacctmgr_add import change_coordinators
from packhorse.cli.slurm.sacctmgr_session import Known, check_cluster, edits_of
from packhorse.cli.slurm.sacctmgr_show import ASSOCIATION_FIELDS, cluster_name, listed, matching
from packhorse.cli.slurm.sacctmgr_words import modification, settings
from packhorse.scheduler.model.account_settings import Thing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from packhorse.cli.slurm.sacctmgr_session import Change, Session
    from packhorse.cli.slurm.sacctmgr_words import Options

    Row = dict[str, Any]

MODIFY_ENTITIES = (
    'No valid entity in modify command\nInput line must include "Account", "Cluster", "QOS" or "User"'
)
DELETE_ENTITIES = (
    "No valid entity in delete command\n"
    'Input line must include "Account", "Cluster", "Coordinator", "QOS", or "User"'
)


def modify(entity: str, words: Sequence[str], session: Session) -> int:
    """The command after `modify ENTITY`."""
    match entity:
        case "account":
            options = modification(words, (Thing.ACCOUNT, Thing.ASSOCIATION), "account")
            return _modify_accounts(options, session)
        case "user":
            return _modify_users(modification(words, (Thing.USER, Thing.ASSOCIATION), "user"), session)
        case "qos":
            return _modify_qos(modification(words, (Thing.QOS,), "name"), session)
        case "cluster":
            return _modify_cluster(modification(words, (Thing.ASSOCIATION,), "cluster"), session)
    raise CommandError(MODIFY_ENTITIES)


def _check_modification(options: Options, session: Session) -> bool:
    """Whether to go on: something is to be set, and if it is to be set everywhere, that is meant."""
    if not options.edited() and not options.rawusage:
        raise CommandError(" You didn't give me anything to set")
    if options.chosen:
        return True
    if session.agreed("You didn't set any conditions with 'WHERE'.\nAre you sure you want to continue?"):
        return True
    session.say(" Changes Discarded")
    return False


def _association_line(row: Row, parent: str = "") -> str:
    """`  C = demo       A = newlab of root`, as Slurm's database tells of one."""
    if not row["user"]:
        return f"  C = {row['cluster']:<10} A = {row['account']}" + (f" of {parent}" if parent else "")
    line = f"  C = {row['cluster']:<10} A = {row['account']:<20} U = {row['user']:<9}"
    return f"{line} P = {row['partition']}" if row["partition"] else line


def _removal_line(row: Row) -> str:
    """The same of one that goes: its account takes less room there."""
    line = f"  C = {row['cluster']:<10} A = {row['account']:<10} U = {row['user']:<9}"
    return f"{line} P = {row['partition']:<10}" if row["partition"] else line


def _key(row: Row) -> dict[str, str]:
    return {"thing": "association", **{name: row[name] for name in ("account", "user", "partition")}}


def _modify_accounts(options: Options, session: Session) -> int:
    check_cluster(options)
    known = Known()
    if not _check_modification(options, session):
        return 0
    info = {row["name"]: row for row in listed("accounts")}
    rows = [{**row, **_described(info[row["account"]])} for row in listed("associations") if not row["user"]]
    fields = {**ASSOCIATION_FIELDS, "description": "description", "organization": "organization"}
    rows = matching(rows, options, fields)
    if not rows:
        session.say(" Nothing modified")
        return 1
    edits = edits_of(options, known, Thing.ACCOUNT, Thing.ASSOCIATION)
    changes: list[Change] = []
    if edits:
        changes += [
            {"verb": "modify", "thing": "account", "name": row["account"], "edits": edits} for row in rows
        ]
    if options.rawusage:
        changes += [{"verb": "reset", **_key(row)} for row in rows]
    plain = [edit for edit in options.edits(Thing.ACCOUNT) if edit["name"] != "parent"]
    told = []
    if plain:
        told += [" Modified accounts...", *(f"  {row['account']}" for row in rows)]
    if len(plain) < len(options.edited()) or options.rawusage:
        told.append(" Modified account associations...")
        told += [_association_line(row, row["parent"]) for row in rows]
    return session.commit(changes, "Error with request", "\n".join(told))


def _described(account: Row) -> Row:
    return {name: account[name] for name in ("description", "organization")}


def _modify_users(options: Options, session: Session) -> int:
    check_cluster(options)
    known = Known()
    if not _check_modification(options, session):
        return 0
    users = {row["name"]: row for row in listed("users")}
    of_user = {"adminlevel": "admin_level", "defaultaccount": "default_account"}
    rows = [
        {**row, **{name: users[row["user"]][name] for name in of_user.values()}}
        for row in listed("associations")
        if row["user"]
    ]
    for name in options.texts("user"):
        if name not in users:
            raise CommandError(f" You specified a non-existent user '{name}'.")
    rows = matching(rows, options, {**ASSOCIATION_FIELDS, **of_user})
    own, limits = edits_of(options, known, Thing.USER), edits_of(options, known, Thing.ASSOCIATION)
    named = list(dict.fromkeys(row["user"] for row in rows)) or options.texts("user")
    default = next((edit["text"] for edit in own if edit["name"] == "default_account"), "")
    if default and (strangers := _strangers(named, default)):
        session.say(
            f" Can't modify because these users aren't associated with new default account '{default}'...\n"
            + "\n".join(f"  U = {name} C = {cluster_name()}" for name in strangers)
        )
        return 1
    changes: list[Change] = []
    told: list[str] = []
    if own and named:
        changes += [{"verb": "modify", "thing": "user", "name": name, "edits": own} for name in named]
        told += [" Modified users...", *(f"  {name}" for name in named)]
    if (limits or options.rawusage) and rows:
        told += [" Modified user associations...", *(_association_line(row) for row in rows)]
        if limits:
            changes += [{"verb": "modify", **_key(row), "edits": limits} for row in rows]
        if options.rawusage:
            changes += [{"verb": "reset", **_key(row)} for row in rows]
    if not changes:
        session.say(" Nothing modified")
        return 1
    return session.commit(changes, "Error with request", "\n".join(told))


def _strangers(users: Sequence[str], account: str) -> list[str]:
    """Those of the users who are not in the account."""
    members = {row["user"] for row in listed("associations") if row["account"] == account}
    return [name for name in users if name not in members]


def _modify_qos(options: Options, session: Session) -> int:
    if options.rawusage:
        raise CommandError("sacctmgr: error: RawUsage= of a QOS is not supported by Packhorse")
    known = Known()
    if not _check_modification(options, session):
        return 0
    rows = matching(listed("qos"), options, {"name": "name", "id": "id", "description": "description"})
    if not rows:
        session.say(" Nothing modified")
        return 1
    edits = edits_of(options, known, Thing.QOS)
    told = " Modified qos...\n" + "\n".join(f"  {row['name']}" for row in rows)
    changes = [{"verb": "modify", "thing": "qos", "name": row["name"], "edits": edits} for row in rows]
    return session.commit(changes, "Error with request", told)


def _modify_cluster(options: Options, session: Session) -> int:
    """The association of the account above all others."""
    check_cluster(options)
    if not options.edited():
        raise CommandError(" You didn't give me anything to set")
    edits = edits_of(options, Known(), Thing.ASSOCIATION)
    told = f" Modified cluster defaults for associations...\n  C = {cluster_name():<10} A = root"
    change = {"verb": "modify", "thing": "association", "account": "root", "edits": edits}
    return session.commit([change], "Error with request", told)


# -- delete


def delete(entity: str, words: Sequence[str], session: Session) -> int:
    """The command after `delete ENTITY`."""
    match entity:
        case "account":
            return _delete_accounts(settings(words, (), "account"), session)
        case "user":
            return _delete_users(settings(words, (), "user"), session)
        case "qos":
            return _delete_qos(settings(words, (), "name"), session)
        case "coordinator":
            return change_coordinators(settings(words, (), "user"), "delete", session)
        case "cluster":
            raise CommandError(" A Packhorse scheduler has one cluster, which cannot be deleted.")
    raise CommandError(DELETE_ENTITIES)


def _delete_accounts(options: Options, session: Session) -> int:
    check_cluster(options)
    if not options.chosen.keys() - {"cluster"}:
        raise CommandError(" No conditions given to remove, not executing.")
    if options.texts("user"):
        return _delete_associations(options, session, "account")
    info = {row["name"]: row for row in listed("accounts")}
    rows = [{**row, **_described(info[row["account"]])} for row in listed("associations") if not row["user"]]
    fields = {**ASSOCIATION_FIELDS, "description": "description", "organization": "organization"}
    rows = matching(rows, options, fields)
    if not rows:
        session.say(" Nothing deleted")
        return 1
    told = " Deleting accounts...\n" + "\n".join(f"  {row['account']}" for row in rows)
    # Those furthest down come first: no account may be left hanging.
    rows.sort(key=lambda row: -row["depth"])
    changes = [{"verb": "delete", "thing": "account", "name": row["account"]} for row in rows]
    return session.commit(changes, "Error with request", told)


def _delete_users(options: Options, session: Session) -> int:
    check_cluster(options)
    if not options.chosen.keys() - {"cluster"}:
        raise CommandError(" No conditions given to remove, not executing.")
    if options.texts("account") or options.texts("partition"):
        return _delete_associations(options, session, "user")
    rows = [{**row, "user": row["name"]} for row in listed("users")]
    columns = {"user": "user", "adminlevel": "admin_level", "defaultaccount": "default_account"}
    rows = matching(rows, options, {**columns, "cluster": "cluster"})
    if not rows:
        session.say(" Nothing deleted")
        return 1
    told = " Deleting users...\n" + "\n".join(f"  {row['user']}" for row in rows)
    changes = [{"verb": "delete", "thing": "user", "name": row["user"]} for row in rows]
    return session.commit(changes, "Error with request", told)


def _delete_associations(options: Options, session: Session, of: str) -> int:
    """Users taken out of accounts; who is in none after that is removed."""
    every = [row for row in listed("associations") if row["user"]]
    rows = matching(every, options, ASSOCIATION_FIELDS)
    if not rows:
        session.say(" Nothing deleted")
        return 1
    told = f" Deleting {of} associations...\n" + "\n".join(_removal_line(row) for row in rows)
    left = {row["user"] for row in every if row not in rows}
    gone = list(dict.fromkeys(row["user"] for row in rows if row["user"] not in left))
    if gone:
        told += "\n Deleting users (No Associations)...\n" + "\n".join(f"  {name}" for name in gone)
    changes: list[Change] = [{"verb": "delete", "thing": "user", "name": name} for name in gone]
    changes += [{"verb": "delete", **_key(row)} for row in rows if row["user"] in left]
    return session.commit(changes, "Error with request", told)


def _delete_qos(options: Options, session: Session) -> int:
    if not options.chosen:
        raise CommandError(" No conditions given to remove, not executing.")
    rows = matching(listed("qos"), options, {"name": "name", "id": "id", "description": "description"})
    if not rows:
        session.say(" Nothing deleted")
        return 1
    told = " Deleting QOS(s)...\n" + "\n".join(f"  {row['name']}" for row in rows)
    changes = [{"verb": "delete", "thing": "qos", "name": row["name"]} for row in rows]
    return session.commit(changes, "Error with request", told)

"""`sacctmgr show`: accounts, users, associations, QOS and what else there is, in Slurm's tables."""

from __future__ import annotations

import sys

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sacctmgr_fields import DEFAULTS, columns, render
from packhorse.cli.slurm.sacctmgr_words import conditions
from packhorse.cli.slurm.table import fetch
from packhorse.cli.transport import call, field, int_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from packhorse.cli.slurm.sacctmgr_words import Options

    Row = dict[str, Any]

LIST_ENTITIES = (
    "No valid entity in list command\n"
    'Input line must include "Account", "Association", "Cluster", "Configuration",\n'
    '"Event", "Federation", "Problem", "QOS", "Resource", "Reservation",\n'
    '"RunAwayJobs", "Stats", "Transaction", "TRES", "User", or "WCKey"'
)

_NAMES = {
    "user": "user",
    "account": "account",
    "qos": "name",
    "tres": "name",
    "wckey": "name",
    "cluster": "cluster",
}
"""Where in a row a bare word is looked for."""


class Style:
    """How tables are printed. form: "", "parsable" or "parsable2". structured: --json and --yaml."""

    def __init__(self) -> None:
        self.form = ""
        self.header = True
        self.associations = False
        self.structured: dict[str, str] = {}


def show(entity: str, words: Sequence[str], style: Style) -> int:
    """The command after `show ENTITY`. Raises CommandError."""
    if entity == "configuration":
        return _configuration()
    if entity == "stats":
        return _stats()
    if entity == "runawayjobs":
        # What runs is known from the state alone; a record of a job that runs cannot be left behind.
        sys.stdout.write(f"Runaway Jobs: No runaway jobs found on cluster {cluster_name()}\n")
        return 0
    maker = _ROWS.get(entity)
    if maker is None:
        raise CommandError(f"sacctmgr: error: show {entity} is not supported by Packhorse")
    options = conditions(words, _NAMES.get(entity, "user" if entity == "coordinator" else "account"))
    if style.associations and entity in ("user", "account"):
        options.flags.add("withassoc")
    format = options.format or _default_format(entity, options)
    chosen = columns(entity, format)
    rows = maker(options)
    for row in rows:
        row["tree"] = "tree" in options.flags
    if "tree" in options.flags:
        for column in chosen:
            if column.field.name in ("Account", "Acct") and not column.wished:
                column.width = -20
    if style.structured:
        from packhorse.cli.slurm.sacctmgr_structured import document

        sys.stdout.write(document(entity, rows, style.structured))
        return 0
    sys.stdout.write(render(chosen, rows, style.form, style.header))
    return 0


def cluster_name() -> str:
    """What the cluster is called."""
    return str(field(call("Ping", {}), "cluster", ""))


def _default_format(entity: str, options: Options) -> str:
    for flag in ("withassoc", "wolimits"):
        if flag in options.flags and f"{entity} {flag}" in DEFAULTS:
            entity = f"{entity} {flag}"
            break
    format = DEFAULTS[entity]
    return format + ",Coordinators" if "withcoordinators" in options.flags else format


def listed(kind: str, inherited: bool = False) -> list[Row]:
    """All rows of one kind, with the cluster's name."""
    rows = fetch("ListAccounts", {"kind": kind, "inherited": inherited}).rows()
    cluster = cluster_name()
    for row in rows:
        row["cluster"] = cluster
    return rows


def matching(rows: Iterable[Row], options: Options, fields: dict[str, str]) -> list[Row]:
    """The rows that fit every condition; fields: which column a condition is about."""
    found = []
    for row in rows:
        for name, wanted in options.chosen.items():
            column = fields.get(name)
            if column is None:
                raise CommandError(f" Unknown condition: {name}")
            have = [part.lower() for part in str(row.get(column, "")).split(",")]
            if not any(value.lower() in have for value in wanted):
                break
        else:
            found.append(row)
    return found


ASSOCIATION_FIELDS = {
    "account": "account",
    "user": "user",
    "partition": "partition",
    "cluster": "cluster",
    "parent": "parent",
    "qos": "allowed_qos",
    "defaultqos": "default_qos",
    "id": "id",
}


def _associations(options: Options) -> list[Row]:
    rows = listed("associations", inherited=not options.flags & {"woplimits", "wopinfo"})
    if "withsubaccounts" in options.flags and options.texts("account"):
        parents = {row["account"]: row["parent"] for row in rows if not row["user"]}
        wanted = {name.lower() for name in options.texts("account")}
        below = [name for name in parents if _is_below(parents, name, wanted)]
        options.chosen["account"] = below
    if "onlydefaults" in options.flags:
        rows = [row for row in rows if row["is_default"]]
    if "wopinfo" in options.flags:
        for row in rows:
            row["parent"] = ""
    return matching(rows, options, ASSOCIATION_FIELDS)


def _is_below(parents: dict[str, str], name: str, wanted: set[str]) -> bool:
    while name:
        if name.lower() in wanted:
            return True
        name = parents.get(name, "")
    return False


_USER_FIELDS = {
    "user": "user",
    "adminlevel": "admin_level",
    "defaultaccount": "default_account",
    "cluster": "cluster",
    "coordinator": "coordinates",
}


def _users(options: Options) -> list[Row]:
    """Users; with associations, each of those that fits is a row."""
    rows = [{**row, "user": row["name"]} for row in listed("users")]
    own = _only(options, _USER_FIELDS)
    rows = matching(rows, own, _USER_FIELDS)
    rest = _only(options, {n: c for n, c in ASSOCIATION_FIELDS.items() if n not in _USER_FIELDS})
    _refuse_others(options, {**_USER_FIELDS, **ASSOCIATION_FIELDS})
    if "withassoc" not in options.flags and not rest.chosen:
        return rows
    associations = matching(listed("associations", inherited=True), rest, ASSOCIATION_FIELDS)
    associations.sort(key=lambda row: (row["account"], row["partition"]))
    by_user: dict[str, list[Row]] = {}
    for association in associations:
        by_user.setdefault(association["user"], []).append(association)
    if "withassoc" not in options.flags:
        return [row for row in rows if row["user"] in by_user]
    return [{**row, **one} for row in rows for one in by_user.get(row["user"], ())]


_ACCOUNT_FIELDS = {
    "account": "account",
    "description": "description",
    "organization": "organization",
    "cluster": "cluster",
    "coordinator": "coordinators",
}


def _accounts(options: Options) -> list[Row]:
    rows = [{**row, "account": row["name"], "depth": 0} for row in listed("accounts")]
    own = _only(options, _ACCOUNT_FIELDS)
    rows = matching(rows, own, _ACCOUNT_FIELDS)
    rest = _only(options, {n: c for n, c in ASSOCIATION_FIELDS.items() if n not in _ACCOUNT_FIELDS})
    _refuse_others(options, {**_ACCOUNT_FIELDS, **ASSOCIATION_FIELDS})
    if "withassoc" not in options.flags and not rest.chosen:
        return rows
    associations = matching(listed("associations", inherited=True), rest, ASSOCIATION_FIELDS)
    by_account: dict[str, list[Row]] = {}
    for association in associations:
        by_account.setdefault(association["account"], []).append(association)
    if "withassoc" not in options.flags:
        return [row for row in rows if row["account"] in by_account]
    return [{**row, **one} for row in rows for one in by_account.get(row["account"], ())]


def _only(options: Options, fields: dict[str, str]) -> Options:
    """The conditions about these fields."""
    part = type(options)()
    part.chosen = {name: values for name, values in options.chosen.items() if name in fields}
    return part


def _refuse_others(options: Options, fields: dict[str, str]) -> None:
    for name in options.chosen:
        if name not in fields:
            raise CommandError(f" Unknown condition: {name}")


def _qos(options: Options) -> list[Row]:
    fields = {"name": "name", "id": "id", "description": "description"}
    return matching(listed("qos"), options, fields)


def _clusters(options: Options) -> list[Row]:
    """This one, with the association of the account above all others."""
    ping = call("Ping", {})
    [root] = [row for row in listed("associations") if row["account"] == "root" and not row["user"]]
    row = {**root, "host": field(ping, "host", ""), "port": "0", "rpc": "0"}
    return matching([row], options, {"cluster": "cluster"})


def _coordinators(options: Options) -> list[Row]:
    return matching(listed("coordinators"), options, {"account": "account", "user": "user"})


def _tres(options: Options) -> list[Row]:
    return matching(listed("tres"), options, {"name": "name", "type": "type", "id": "id"})


def _wckeys(options: Options) -> list[Row]:
    return matching(listed("wckeys"), options, {"name": "name", "user": "user", "cluster": "cluster"})


_ROWS: dict[str, Callable[[Options], list[Row]]] = {
    "account": _accounts,
    "association": _associations,
    "cluster": _clusters,
    "coordinator": _coordinators,
    "qos": _qos,
    "tres": _tres,
    "user": _users,
    "wckey": _wckeys,
}


def _configuration() -> int:
    import time

    settings = {
        setting["key"]: setting.get("value", "") for setting in field(call("GetConfig", {}), "settings", [])
    }
    lines = [f"Configuration data as of {time.strftime('%Y-%m-%dT%H:%M:%S')}"]
    for title, key in (
        ("AccountingStorageEnforce", "AccountingStorageEnforce"),
        ("AccountingStorageHost", "SlurmctldHost[0]"),
        ("AccountingStorageLoc", "StateSaveLocation"),
        ("ClusterName", "ClusterName"),
        ("SLURM_CONF", "SLURM_CONF"),
        ("SLURM_VERSION", "SLURM_VERSION"),
    ):
        lines.append(f"{title:<22} = {settings.get(key, '')}")
    lines += [f"{'AccountingStorageType':<22} = accounting_storage/packhorse", f"{'PrivateData':<22} = none"]
    sys.stdout.write("\n".join([lines[0], *sorted(lines[1:])]) + "\n")
    return 0


def _stats() -> int:
    import time

    ping = call("Ping", {})
    now, since = (int_field(ping, name) // 1_000_000 for name in ("now_us", "started_at_us"))
    for title, at in (("sacctmgr show stats output at", now), ("Data since                   ", since)):
        sys.stdout.write(f"{title} {time.ctime(at)} ({at})\n")
    for kind in ("accounts", "users", "associations", "qos"):
        sys.stdout.write(f"\t{kind:<25}({len(listed(kind)):>5})\n")
    return 0

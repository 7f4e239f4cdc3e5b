"""The file of `packhorse accounts`: the accounts, users and QOS of a cluster as they are to be, in TOML.

    [qos.urgent]
    priority = 100
    preempts = ["normal"]

    [account.science]
    shares = 50
    qos = ["normal", "urgent"]

    [account.physics]
    parent = "science"
    coordinators = ["ann"]
    users = ["bob"]                    # with nothing of their own
    grp_tres = { cpu = 64, "gres/gpu" = 8 }

    [account.physics.user.ann]         # with something
    max_jobs = 4

    [account.physics.user."eve:gpu"]   # in the partition gpu only

    [user.ann]                         # where the first account that lists her is not the default
    default_account = "science"

What the file names is to be exactly as it says, defaults included; what it does not name is left alone
(`--prune`: goes). Keys are the settings' names, or Slurm's.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from packhorse.scheduler.model import account_settings
from packhorse.scheduler.model.account_settings import SETTINGS, UNSET, Setting, Thing, check_name, find
from packhorse.scheduler.model.accounts import ROOT
from packhorse.scheduler.model.accounts_change import AccountChange, Edit, Verb, settings_of
from packhorse.scheduler.model.errors import BadValue

MAX_BYTES: Final = 16 << 20
"""Of a file."""
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_MOST_PROBLEMS: Final = 20

Row = Mapping[str, str]


def read(text: str, name: str) -> tuple[AccountChange, ...]:
    """The changes that make it so. name: what messages call the file. Raises BadValue, one mistake a line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{name}: not TOML: {error}") from error
    except RecursionError as error:
        raise BadValue(f"{name}: not TOML: nested too deeply") from error
    reading = _Reading(name)
    changes = tuple(reading.changes(document))
    if reading.problems:
        more = len(reading.problems) - _MOST_PROBLEMS
        shown = reading.problems[:_MOST_PROBLEMS] + (
            [f"{name}: and {more} mistakes more"] if more > 0 else []
        )
        raise BadValue("\n".join(shown))
    return changes


class _Reading:
    """Mistakes are kept in `problems`, and what has one is left out."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.problems: list[str] = []

    def changes(self, document: dict[str, object]) -> Iterator[AccountChange]:
        for key in document:
            if key not in ("qos", "account", "user"):
                self._problem(key, "is not known; accepted are [qos.NAME], [account.NAME] and [user.NAME]")
        for name, body in self._tables(document, "qos"):
            yield self._change(Thing.QOS, f"qos.{name}", body, name=name)
        members: list[AccountChange] = []
        first: dict[str, str] = {}
        for name, body in self._tables(document, "account"):
            where = f"account.{name}"
            own = {key: value for key, value in body.items() if key not in ("user", "users")}
            yield self._change(Thing.ACCOUNT, where, own, name=name)
            found = list(self._members(where, name, body))
            for member in found:
                first.setdefault(member.user, name)
            members += found
            coordinators = body.get("coordinators", [])
            for one in coordinators if isinstance(coordinators, list) else ():
                first.setdefault(str(one), "")
        yield from self._users(document, first)
        yield from members

    def _members(self, where: str, account: str, body: dict[str, object]) -> Iterator[AccountChange]:
        """The associations of users with the account, those with nothing of their own first."""
        plain = body.get("users", [])
        if not isinstance(plain, list) or not all(isinstance(one, str) for one in plain):
            self._problem(f"{where}.users", 'is not a list of names, like ["ann", "bob"]')
            plain = []
        detailed = dict(self._tables(body, "user", where))
        for name in plain:
            if name in detailed:
                self._problem(
                    f"{where}.users", f'"{name}" is there and has a table [{where}.user.{name}] too'
                )
        for name, own in {**{one: {} for one in plain}, **detailed}.items():
            user, _, partition = str(name).partition(":")
            title = f"{where}.user.{name}"
            yield self._change(Thing.ASSOCIATION, title, own, account=account, user=user, partition=partition)

    def _users(self, document: dict[str, object], first: dict[str, str]) -> Iterator[AccountChange]:
        own = dict(self._tables(document, "user"))
        for name in {**first, **own}:
            change = self._change(Thing.USER, f"user.{name}", own.get(name, {}), name=name)
            if not any(edit.name == "default_account" for edit in change.edits):
                edit = Edit("default_account", first.get(name, ""))
                change = AccountChange(Verb.SET, Thing.USER, name, edits=(*change.edits, edit))
            yield change

    def _tables(
        self, document: dict[str, object], key: str, where: str = ""
    ) -> Iterator[tuple[str, dict[str, object]]]:
        title = f"{where}.{key}" if where else key
        found = document.get(key, {})
        if not isinstance(found, dict):
            self._problem(title, f"is not a table; write [{title}.NAME]")
            return
        for name, body in found.items():
            if isinstance(body, dict):
                yield name, body
            else:
                self._problem(f"{title}.{name}", f"is not a table; write [{title}.{name}]")

    def _change(
        self,
        thing: Thing,
        where: str,
        body: Mapping[str, object],
        *,
        name: str = "",
        account: str = "",
        user: str = "",
        partition: str = "",
    ) -> AccountChange:
        for what, one in (
            (thing.value, name),
            ("account", account),
            ("user", user),
            ("partition", partition),
        ):
            if one:
                self._try(where, what, one)
        edits = [
            edit for key, raw in body.items() if (edit := self._edit(thing, where, key, raw)) is not None
        ]
        return AccountChange(Verb.SET, thing, name, account, user, partition, tuple(edits))

    def _try(self, where: str, what: str, name: str) -> None:
        try:
            check_name(what, name)
        except BadValue as error:
            self._problem(where, str(error))

    def _edit(self, thing: Thing, where: str, key: str, raw: object) -> Edit | None:
        for kind in settings_of(thing):
            setting = find(kind, key)
            if setting is None:
                continue
            text = _text(raw)
            if text is None:
                self._problem(f"{where}.{key}", f"{raw!r:.60} is not a value")
                return None
            try:
                account_settings.change(UNSET[kind], setting, text)
            except BadValue as error:
                self._problem(f"{where}.{key}", str(error))
                return None
            return Edit(setting.name, text)
        from difflib import get_close_matches  # only when somebody made a mistake

        known = [key_of(setting) for kind in settings_of(thing) for setting in SETTINGS[kind]]
        near = get_close_matches(key, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(known)}"
        self._problem(f"{where}.{key}", f"is not a setting; {hint}")
        return None

    def _problem(self, where: str, text: str) -> None:
        self.problems.append(f"{self._name}: {where}: {text}")


def _text(raw: object) -> str | None:
    """The value as Slurm writes it."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return str(raw)
    if isinstance(raw, list) and all(isinstance(one, str) for one in raw):
        return ",".join(raw)
    if isinstance(raw, dict) and all(isinstance(one, int | float | str) for one in raw.values()):
        return ",".join(f"{name}={amount}" for name, amount in raw.items())
    return None


def write(
    accounts: Sequence[Row], users: Sequence[Row], associations: Sequence[Row], qos: Sequence[Row]
) -> str:
    """The file of what there is; reading it back changes nothing.

    Rows have the settings as texts, under their names, and `name`; associations, in the order of the tree,
    have `account`, `user` and `partition`.
    """
    parts = ["# Accounts, users and QOS; made so by: packhorse accounts apply FILE\n"]
    parts += [_section(("qos", row["name"]), _lines(Thing.QOS, row)) for row in qos]
    described = {row["name"]: row for row in accounts}
    members: dict[str, list[Row]] = {}
    first: dict[str, str] = {}
    for row in associations:
        if row["user"]:
            members.setdefault(row["account"], []).append(row)
    for row in associations:
        if not row["user"]:
            parts += _account(described[row["account"]], row, members.get(row["account"], []))
            for member in members.get(row["account"], ()):
                first.setdefault(member["user"], row["account"])
    for row in users:
        lines = [line for line in _lines(Thing.USER, row) if not line.startswith("default_account ")]
        if row["default_account"] != first.get(row["name"], ""):
            lines.insert(0, f"default_account = {_quoted(row['default_account'])}")
        if lines or row["name"] not in first:
            parts.append(_section(("user", row["name"]), lines))
    return "\n".join(parts)


def _account(row: Row, own: Row, members: Sequence[Row]) -> Iterator[str]:
    name = row["name"]
    lines = [line for line in _lines(Thing.ACCOUNT, row) if line != f'parent = "{ROOT}"']
    lines += _lines(Thing.ASSOCIATION, own)
    detailed = {_member(one): _lines(Thing.ASSOCIATION, one) for one in members}
    plain = [one for one, settings in detailed.items() if not settings]
    if plain:
        lines.append(f"users = {_list(plain)}")
    yield _section(("account", name), lines)
    for one, settings in detailed.items():
        if settings:
            yield _section(("account", name, "user", one), settings)


def _member(row: Row) -> str:
    return f"{row['user']}:{row['partition']}" if row["partition"] else row["user"]


def _lines(thing: Thing, row: Row) -> list[str]:
    """What is set."""
    return [
        f"{key_of(setting)} = {_value(setting, row[setting.name])}"
        for setting in SETTINGS[thing]
        if row[setting.name] != setting.show(UNSET[thing])
    ]


def key_of(setting: Setting) -> str:
    """What the file calls it."""
    return setting.name.removesuffix("_s").removesuffix("_milli")


def _value(setting: Setting, text: str) -> str:
    if setting.kind.number and text.isdecimal():
        return text
    return _list(text.split(",")) if setting.kind.names and text else _quoted(text)


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(name) for name in names)}]"


def _section(path: Sequence[str], lines: Sequence[str]) -> str:
    title = ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in path)
    return "".join(f"{line}\n" for line in (f"[{title}]", *lines))


def _quoted(text: str) -> str:
    """As in JSON, which TOML reads alike."""
    return json.dumps(text, ensure_ascii=False)

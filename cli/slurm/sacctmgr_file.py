"""`sacctmgr dump` and `load`: Slurm's flat file of accounts and users.

    Cluster - 'demo':Fairshare=1:QOS='normal'
    Parent - 'root'
    Account - 'bio':Description='biology':Organization='demo':Fairshare=30
    Parent - 'bio'
    User - 'ann':DefaultAccount='bio':Fairshare=1:MaxJobs=4

QOS themselves are not in it, as in Slurm.
"""

from __future__ import annotations

import sys

from packhorse.cli.dump_line import cut
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.slurm.sacctmgr_session import Known
from packhorse.cli.slurm.sacctmgr_show import cluster_name, listed
from packhorse.scheduler.model.account_settings import SETTINGS, Setting, Thing, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from packhorse.cli.slurm.sacctmgr_session import Change, Session

    Row = dict[str, Any]
    Line = tuple[int, str, str, dict[str, str]]
    """Number, title, name and specifications of a line."""

_HEADER = """\
# To edit this file start with a cluster line for the new cluster
# Cluster - 'cluster_name':MaxTRESPerJob=node=50
# Followed by Accounts you want in this fashion (root is created by default)...
# Parent - 'root'
# Account - 'cs':MaxTRESPerJob=node=5:MaxJobs=4:MaxTRESMinsPerJob=cpu=20:FairShare=399:\
MaxWallDurationPerJob=40:Description='Computer Science':Organization='LC'
# Any of the options after a ':' can be left out and they can be in any order.
# If you want to add any sub accounts just list the Parent THAT HAS ALREADY
# BEEN CREATED before the account line in this fashion...
# Parent - 'cs'
# Account - 'test':MaxTRESPerJob=node=1:MaxJobs=1:MaxTRESMinsPerJob=cpu=1:FairShare=1:\
MaxWallDurationPerJob=1:Description='Test Account':Organization='Test'
# To add users to a account add a line like this after a Parent - 'line'
# User - 'lipari':MaxTRESPerJob=node=2:MaxJobs=3:MaxTRESMinsPerJob=cpu=4:FairShare=1:MaxWallDurationPerJob=1
"""
_TITLES = ("cluster", "parent", "account", "user")
_IN_FILE = {
    "max_tres": "MaxTRESPerJob",
    "max_tres_mins": "MaxTRESMinsPerJob",
    "max_wall_s": "MaxWallDurationPerJob",
}
"""Spellings of the file's own."""
_MOST_LINES = 1_000_000


def dump(words: Sequence[str]) -> int:
    """`dump [CLUSTER] [file=NAME]`; "-" is standard output."""
    path, cluster = "", cluster_name()
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name.lower() == "file":
            path = value
        elif not equals or name.lower() in ("cluster", "clusters", "name", "names"):
            wanted = value if equals else word
            if wanted.lower() != cluster.lower():
                raise CommandError(f" Cluster {wanted} doesn't exist.")
        else:
            raise CommandError(f" Unknown option: {word}")
    if not path:
        path = f"./{cluster}.cfg"
        sys.stdout.write(f" No filename given, using {path}.\n")
    text = _HEADER + "".join(f"{line}\n" for line in _dumped(cluster))
    if path == "-":
        sys.stdout.write(text)
        return 0
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"Can't open file {path}, {error.strerror}") from error
    return 0


def _dumped(cluster: str) -> Iterable[str]:
    accounts = {row["name"]: row for row in listed("accounts")}
    users = {row["name"]: row for row in listed("users")}
    rows = listed("associations")
    [root] = [row for row in rows if row["account"] == "root" and not row["user"]]
    yield f"Cluster - {_quoted(cluster)}{_limits(root)}"
    told: set[str] = set()
    for parent in [row["account"] for row in rows if not row["user"]]:
        below = [row for row in rows if (row["user"] and row["account"] == parent) or row["parent"] == parent]
        if not below:
            continue
        yield f"Parent - {_quoted(parent)}"
        for row in below:
            if not row["user"]:
                about = accounts[row["account"]]
                described = f":Description={_quoted(about['description'])}"
                described += f":Organization={_quoted(about['organization'])}"
                yield f"Account - {_quoted(row['account'])}{described}{_limits(row)}"
                continue
            own = f":Partition={_quoted(row['partition'])}" if row["partition"] else ""
            if row["user"] not in told:
                told.add(row["user"])
                own += _about_user(users[row["user"]])
            yield f"User - {_quoted(row['user'])}{own}{_limits(row)}"


def _about_user(user: Row) -> str:
    text = f":DefaultAccount={_quoted(user['default_account'])}"
    if user["admin_level"] != "None":
        text += f":AdminLevel={_quoted(user['admin_level'])}"
    return text + (f":Coordinator={_quoted(user['coordinates'])}" if user["coordinates"] else "")


def _limits(row: Row) -> str:
    parts = []
    for setting in SETTINGS[Thing.ASSOCIATION]:
        value = row[setting.name]
        if value == "" or (setting.name == "priority" and value == "0"):
            continue
        if setting.name in ("grp_wall_s", "max_wall_s"):
            value = _minutes(value)
        quoted = setting.kind.names or setting.name in ("default_qos", "comment")
        spelling = _IN_FILE.get(setting.name, setting.slurm)
        parts.append(f":{spelling}={_quoted(value) if quoted else value}")
    return "".join(parts)


def _minutes(clock: str) -> str:
    """Whole minutes as Slurm writes them; a time with seconds stays as it is."""
    days, _, rest = clock.rpartition("-")
    hours, minutes, seconds = (int(part) for part in rest.split(":"))
    return clock if seconds else str((int(days or 0) * 24 + hours) * 60 + minutes)


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"


def load(words: Sequence[str], session: Session) -> int:
    """`load [file=]NAME [clean] [cluster=NAME]`: what the file has is added or changed; with clean, what it
    lacks goes."""
    path, clean, wanted = "", False, ""
    for word in words:
        name, equals, value = word.partition("=")
        if not equals and word.lower() == "clean":
            clean = True
        elif equals and name.lower() in ("cluster", "clusters"):
            wanted = value
        elif not equals or name.lower() == "file":
            path = value if equals else word
        else:
            raise CommandError(f" Unknown option: {word}")
    if not path:
        raise CommandError("sacctmgr: error: load needs the name of a file: sacctmgr load FILE")
    try:
        with open(path, encoding="utf-8") as file:
            lines = _parsed(file)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            f' Unable to read "{path}": {getattr(error, "strerror", None) or error}'
        ) from error
    changes = _Loading(wanted, clean).changes(lines)
    return session.commit(changes, "Problem with requests", f"For cluster {cluster_name()}", with_plan=True)


def _parsed(file: Iterable[str]) -> list[Line]:
    found: list[Line] = []
    for number, text in enumerate(file, start=1):
        if number > _MOST_LINES:
            raise CommandError(f" Problem with line({number}): more lines than {_MOST_LINES}")
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        title, dash, rest = text.partition(" - ")
        if not dash or title.strip().lower() not in _TITLES:
            raise CommandError(f" Misformatted line({number}): {text[:200]}")
        words = cut(rest.strip())
        if words is None:
            raise CommandError(f" Problem with line({number}): a quote is not closed")
        name, *parts = words
        specs = {}
        for part in parts:
            key, equals, value = part.partition("=")
            if not equals:
                raise CommandError(f" Bad format on {part}: End your option with an '=' sign")
            specs[key.strip()] = value
        found.append((number, title.strip().lower(), name, specs))
    return found


class _Loading:
    """The changes that a file means, line after line. clean: what is there is put aside first."""

    def __init__(self, wanted: str, clean: bool) -> None:
        self._wanted = wanted
        self._clean = clean
        self._known = Known()
        self._have = {(row["account"], row["user"], row["partition"]) for row in listed("associations")}
        self._told = {"account": {"root"}, "user": set[str]()}
        self._parent = "root"
        self._made: list[Change] = []
        self._coordinators: list[tuple[str, str]] = []

    def changes(self, lines: list[Line]) -> list[Change]:
        """All of them. Raises CommandError for a line that cannot be."""
        if not lines or lines[0][1] != "cluster":
            raise CommandError(
                " You need to specify a cluster name first with 'Cluster - $NAME' in your file"
            )
        for number, title, name, specs in lines:
            match title:
                case "cluster":
                    self._cluster(number, name, specs)
                case "parent":
                    self._below(number, name)
                case "account":
                    self._account(number, name, specs)
                case _:
                    self._user(number, name, specs)
        have = set() if self._clean else {(row["user"], row["account"]) for row in listed("coordinators")}
        for user, account in self._coordinators:
            if (user, account) not in have:
                self._add("add", "coordinator", name=user, account=account)
        if self._clean:
            for row in listed("qos"):  # the file has none: they stay
                self._add("modify", "qos", name=row["name"])
            self._add("prune", "")
        return self._made

    def _add(self, verb: str, thing: str, **rest: Any) -> None:
        self._made.append({"verb": verb, "thing": thing, **rest})

    def _verb(self, there: bool) -> str:
        return "set" if self._clean else "modify" if there else "add"

    def _cluster(self, number: int, name: str, specs: dict[str, str]) -> None:
        cluster = cluster_name()
        if (self._wanted or name).lower() != cluster.lower():
            raise CommandError(
                f" The file is of cluster {name}, and this is {cluster}; to load it here: cluster={cluster}"
            )
        edits = self._edits(number, specs, (Thing.ASSOCIATION,), ("classification",))
        self._add(self._verb(True), "association", account="root", edits=edits)

    def _below(self, number: int, name: str) -> None:
        name = self._known.name("accounts", name)
        if name not in self._told["account"] and not self._known.is_there("accounts", name):
            raise CommandError(
                f" line({number}) You need to add this parent ({name}) as a child before you can add "
                "children to it."
            )
        self._parent = name

    def _account(self, number: int, name: str, specs: dict[str, str]) -> None:
        name = self._known.name("accounts", name)
        edits = self._edits(number, specs, (Thing.ACCOUNT, Thing.ASSOCIATION), ())
        edits.append({"name": "parent", "text": self._parent})
        self._add(self._verb(self._known.is_there("accounts", name)), "account", name=name, edits=edits)
        self._told["account"].add(name)

    def _user(self, number: int, name: str, specs: dict[str, str]) -> None:
        specs = {key.lower(): value for key, value in specs.items()}
        partition = specs.pop("partition", "")
        of_user: dict[str, str] = {
            key: specs.pop(key) for key in ("defaultaccount", "adminlevel") if key in specs
        }
        coordinator = specs.pop("coordinator", "")
        if name not in self._told["user"]:
            self._told["user"].add(name)
            there = self._known.is_there("users", name) and self._known.name("users", name) == name
            if not there or self._clean:
                of_user.setdefault("defaultaccount", self._parent)
            edits = self._edits(number, of_user, (Thing.USER,), ())
            if edits or not there or self._clean:
                self._add(self._verb(there), "user", name=name, edits=edits)
            accounts = [one.strip() for one in coordinator.split(",") if one.strip()]
            self._coordinators += [(name, self._known.name("accounts", one)) for one in accounts]
        verb = self._verb((self._parent, name, partition) in self._have)
        edits = self._edits(number, specs, (Thing.ASSOCIATION,), ("defaultwckey", "wckeys"))
        self._add(verb, "association", account=self._parent, user=name, partition=partition, edits=edits)

    def _edits(
        self, number: int, specs: dict[str, str], things: Sequence[Thing], ignored: Sequence[str]
    ) -> list[dict[str, str]]:
        edits = []
        for key, value in specs.items():
            how = key[-1] + "=" if key[-1:] in ("+", "-") else "="
            setting = self._setting(key.rstrip("+-"), things)
            if setting is not None:
                edit = {"name": setting.name, "text": value, "how": how}
                edits.append(self._known.edit(edit))
            elif key.lower() not in ignored:
                raise CommandError(f" Problem with line({number}): Unknown option: {key}")
        return edits

    def _setting(self, word: str, things: Sequence[Thing]) -> Setting | None:
        return next((found for thing in things if (found := find(thing, word)) is not None), None)

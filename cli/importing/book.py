"""`sacctmgr dump` and `sacctmgr -P show qos` as a file for `packhorse accounts apply`.

    Cluster - 'demo':Fairshare=1:QOS='normal'
    Parent - 'root'
    Account - 'bio':Description='biology':Organization='demo':Fairshare=30
    Parent - 'bio'
    User - 'ann':DefaultAccount='bio':Fairshare=1:MaxJobs=4

A dump names QOS and does not describe them: `show qos` does.
"""

from __future__ import annotations

from pathlib import Path

from packhorse.cli.dump_line import cut
from packhorse.cli.importing.conf_file import Pair
from packhorse.cli.importing.plan import Plan
from packhorse.cli.importing.report import Fate
from packhorse.cli.importing.values import is_counted, tres_name
from packhorse.scheduler.model.account_settings import (
    QOS_FLAGS,
    SETTINGS,
    TRES,
    UNSET,
    Setting,
    Thing,
    change,
    check_name,
    find,
    split_names,
)
from packhorse.scheduler.model.accounts import ROOT, Account, Association, Qos, User
from packhorse.scheduler.model.accounts_file import read, write
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.job import NORMAL_QOS

MAX_BYTES = 64 << 20
_TITLES = ("cluster", "parent", "account", "user")
_WCKEYS = ("defaultwckey", "wckeys", "wckey")
_IGNORED = ("name", "id", "classification")

_FIRST_ACCOUNT = Account(ROOT, "", "root of all accounts")
_FIRST_QOS = Qos(NORMAL_QOS, description="of jobs that name none")
"""What every cluster has, and how it is described (core/accounts/book.py)."""

Value = Account | User | Association | Qos
Row = dict[str, str]


class Book:
    """Accounts, users, associations and QOS, filled from files."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._accounts: dict[str, Value] = {ROOT: _FIRST_ACCOUNT}
        self._users: dict[str, Value] = {}
        self._associations: dict[tuple[str, str, str], Value] = {}
        self._qos: dict[str, Value] = {}
        self._described: set[str] = set()
        self._parents: dict[str, str] = {}
        self._coordinators: dict[str, list[str]] = {}

    # -------------------------------------------------------------------------------------- sacctmgr dump

    def dump(self, path: Path) -> None:
        """Raises BadValue with file and line."""
        parent, first = ROOT, True
        for number, text in enumerate(_text_of(path).split("\n"), start=1):
            text = text.strip()
            if not text or text.startswith("#"):
                continue
            place = f"{path}:{number}"
            title, dash, rest = text.partition(" - ")
            kind = title.strip().lower()
            if not dash or kind not in _TITLES:
                raise BadValue(f'{place}: "{text[:60]}" is none of Cluster, Parent, Account, User - NAME')
            words = cut(rest.strip())
            if words is None:
                raise BadValue(f"{place}: a quote is not closed")
            name, *parts = words
            if first != (kind == "cluster"):
                raise BadValue(f"{place}: the first line, and it alone, is Cluster - NAME")
            first = False
            specs = _specs(parts, str(path), number)
            if kind == "parent":
                if name not in self._accounts:
                    raise BadValue(f"{place}: account {name} is not there yet")
                parent = name
            elif kind == "cluster":
                self._association((ROOT, "", ""), specs, "")
            elif kind == "account":
                self._account(name, parent, specs, place)
            else:
                self._user(name, parent, specs, place)

    def _account(self, name: str, parent: str, specs: list[Pair], place: str) -> None:
        if name in self._accounts:
            raise BadValue(f"{place}: account {name} is there twice")
        self._named("account", name, place)
        self._parents[name] = parent
        own = UNSET[Thing.ACCOUNT]
        rest = []
        for pair in specs:
            setting = find(Thing.ACCOUNT, pair.key)
            if setting is None:
                rest.append(pair)
            else:
                own = self._changed(own, setting, pair, f"Account={name}")
        self._accounts[name] = own
        self._association((name, "", ""), rest, parent)

    def _user(self, name: str, account: str, specs: list[Pair], place: str) -> None:
        self._named("user", name, place)
        rest, partition = [], ""
        user = self._users.get(name, UNSET[Thing.USER])
        for pair in specs:
            key = pair.key.lower()
            setting = find(Thing.USER, pair.key)
            if key == "partition":
                partition = pair.value
            elif key == "coordinator":
                for one in split_names(pair.value):
                    self._coordinators.setdefault(one, []).append(name)
                self._plan.report.of(pair, Fate.MAPPED, "coordinators of the account", f"User={name}")
            elif setting is not None:
                user = self._changed(user, setting, pair, f"User={name}")
            else:
                rest.append(pair)
        self._users[name] = user
        key_of_it = (account, name, partition)
        if key_of_it in self._associations:
            raise BadValue(f"{place}: user {name} is in account {account} twice")
        self._association(key_of_it, rest, account)

    def _association(self, key: tuple[str, str, str], specs: list[Pair], above: str) -> None:
        own = UNSET[Thing.ASSOCIATION]
        within = ":".join(part for part in key if part)
        for pair in specs:
            setting = find(Thing.ASSOCIATION, pair.key)
            if setting is None:
                self._strange(pair, within)
                continue
            if setting.name == "qos":
                pair = pair._replace(value=",".join(self._qos_list(pair, above)))
            if setting.name in ("qos", "default_qos"):
                for one in split_names(pair.value):
                    self._qos.setdefault(one, UNSET[Thing.QOS])
            own = self._changed(own, setting, pair, within)
        self._associations[key] = own

    def _qos_list(self, pair: Pair, above: str) -> list[str]:
        """The names; with `+` and `-` before them, those of the account above, changed."""
        names = split_names(pair.value)
        if not any(name[:1] in "+-" for name in names):
            return names
        found: list[str] = []
        while not found and above:
            own = self._associations[above, "", ""]
            assert isinstance(own, Association)
            found = list(own.qos)
            above = self._parents.get(above, ROOT if above != ROOT else "")
        for name in names:
            bare = name.lstrip("+-")
            if name.startswith("-"):
                found = [one for one in found if one != bare]
            elif bare not in found:
                found.append(bare)
        return found

    # -------------------------------------------------------------------------------------- sacctmgr show qos

    def show_qos(self, path: Path) -> None:
        """The table of `sacctmgr -P show qos`. Raises BadValue with file and line."""
        lines = [(n, line) for n, line in enumerate(_text_of(path).split("\n"), start=1) if line.strip()]
        if not lines or "|" not in lines[0][1]:
            raise BadValue(f"{path}:1: not the output of: sacctmgr -P show qos (with its heading)")
        heads = lines[0][1].strip().rstrip("|").split("|")
        if "Name" not in heads:
            raise BadValue(f"{path}:1: no column Name; call: sacctmgr -P show qos")
        for number, line in lines[1:]:
            cells = line.rstrip("\r").split("|")
            if cells[-1] == "" and len(cells) == len(heads) + 1:  # of -p, where every line ends with a bar
                cells.pop()
            if len(cells) != len(heads):
                raise BadValue(f"{path}:{number}: {len(cells)} columns, the heading has {len(heads)}")
            row = dict(zip(heads, cells, strict=True))
            name = row["Name"].strip()
            self._named("QOS", name, f"{path}:{number}")
            own = _FIRST_QOS if name == NORMAL_QOS else UNSET[Thing.QOS]
            for head, text in row.items():
                if text.strip():
                    own = self._qos_setting(own, name, Pair(head, text.strip(), str(path), number))
            self._qos[name] = own
            self._described.add(name)

    def _qos_setting(self, own: Value, name: str, pair: Pair) -> Value:
        within = f"QOS={name}"
        word = {"usagethres": "usagethreshold", "descr": "description"}.get(pair.key.lower(), pair.key)
        setting = find(Thing.QOS, word)
        if setting is None:
            self._strange(pair, within)
            return own
        if setting.name == "flags":
            known = {flag.lower() for flag in QOS_FLAGS}
            flags = split_names(pair.value)
            for flag in flags:
                if flag.lower() not in known:
                    lost = pair._replace(value=flag)
                    self._plan.report.of(lost, Fate.UNSUPPORTED, "QOS have no such flag here", within)
            pair = pair._replace(value=",".join(flag for flag in flags if flag.lower() in known))
        if setting.name == "preempts":
            for one in split_names(pair.value):
                self._qos.setdefault(one, UNSET[Thing.QOS])
        if setting.name == "preempt_mode":
            modes = [mode for mode in split_names(pair.value.lower()) if mode not in ("gang", "within")]
            if len(modes) < len(split_names(pair.value)):
                self._plan.report.of(pair, Fate.IN_PART, "no time slicing, no preemption within", within)
            pair = pair._replace(value=modes[0] if modes else "cluster")
        return self._changed(own, setting, pair, within)

    # -------------------------------------------------------------------------------------- what it comes to

    def named(self, qos: list[str]) -> None:
        """QOS that the configuration names: they have to be there."""
        for name in qos:
            self._qos.setdefault(name, UNSET[Thing.QOS])

    def text(self) -> str:
        """The file. Raises BadValue where it would not be read back."""
        for account, names in self._coordinators.items():
            if account not in self._accounts:
                raise BadValue(f"coordinator {names[0]}: there is no account {account}")
            setting = find(Thing.ACCOUNT, "coordinators")
            assert setting is not None
            self._accounts[account] = change(self._accounts[account], setting, ",".join(names))
        for name in self._qos:
            if name not in self._described and name != NORMAL_QOS:
                remark = "made with nothing set; its settings: --sacctmgr-qos FILE, of sacctmgr -P show qos"
                self._plan.report.tell(Fate.IN_PART, f"QOS={name}", "", remark)
        accounts: list[Row] = [
            {**_row(Thing.ACCOUNT, own), "name": name, "parent": self._parents.get(name, "")}
            for name, own in self._accounts.items()
        ]
        associations: list[Row] = [
            {**_row(Thing.ASSOCIATION, own), "account": account, "user": user, "partition": partition}
            for (account, user, partition), own in self._associations.items()
        ]
        users: list[Row] = [{**_row(Thing.USER, own), "name": name} for name, own in self._users.items()]
        qos: list[Row] = [
            {**_row(Thing.QOS, own), "name": name}
            for name, own in self._qos.items()
            if name != NORMAL_QOS or name in self._described  # of itself it is there
        ]
        text = write(accounts, users, associations, qos)
        read(text, "accounts.toml")
        return text

    def _named(self, what: str, name: str, place: str) -> None:
        try:
            check_name(what, name)
        except BadValue as error:
            raise BadValue(f"{place}: {error}") from None

    def _changed(self, own: Value, setting: Setting, pair: Pair, within: str) -> Value:
        """With the setting as the pair says. TRES that are not counted are told and left out."""
        text = pair.value
        if setting.kind is TRES:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            kept = [part for part in parts if is_counted(tres_name(part.partition("=")[0]))]
            for part in parts:
                if part not in kept:
                    self._plan.report.of(
                        pair._replace(value=part), Fate.UNSUPPORTED, "this is not counted", within
                    )
            text = ",".join(kept)
        try:
            changed: Value = change(own, setting, text)
        except BadValue as error:
            raise BadValue(f"{pair.place}: {within}: {error}") from None
        self._plan.report.of(pair, Fate.MAPPED, "accounts.toml", within)
        return changed

    def _strange(self, pair: Pair, within: str) -> None:
        key = pair.key.lower()
        if key in _WCKEYS:
            self._plan.report.of(pair, Fate.NOT_NEEDED, "any wckey may be used", within)
        elif key not in _IGNORED:
            self._plan.report.of(pair, Fate.UNSUPPORTED, "no such setting here", within)


def _row(thing: Thing, own: Value) -> Row:
    return {setting.name: setting.show(own) for setting in SETTINGS[thing]}


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise BadValue(f"{path}: more than {MAX_BYTES >> 20} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise BadValue(f"{path}:{number}: not UTF-8: {error.reason}") from error


def _specs(parts: list[str], file: str, number: int) -> list[Pair]:
    found = []
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise BadValue(f'{file}:{number}: "{part[:60]}" is not KEY=VALUE')
        found.append(Pair(key.strip(), value, file, number))
    return found

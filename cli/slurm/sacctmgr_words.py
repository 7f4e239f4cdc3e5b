"""The words of a sacctmgr command: `modify user where name=ann account=bio set MaxJobs=4 qos+=long`.

Names of options may be shortened, as in Slurm, as long as they mean one thing.
"""

from __future__ import annotations

from packhorse.cli.slurm.process import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packhorse.scheduler.model.account_settings import Thing

    Edit = dict[str, str]
    """name, text and how, as the scheduler takes them."""

    Filters = dict[str, list[str]]

ENTITIES = {
    "account": 2,
    "association": 2,
    "cluster": 2,
    "configuration": 3,
    "coordinator": 3,
    "event": 2,
    "federation": 1,
    "job": 1,
    "problem": 1,
    "qos": 1,
    "reservation": 3,
    "resource": 4,
    "runawayjobs": 2,
    "stats": 2,
    "transaction": 4,
    "tres": 3,
    "user": 1,
    "wckey": 1,
}
"""What commands are about, and how many letters say which."""

ALIASES = {
    "acct": "account",
    "assoc": "association",
    "txn": "transaction",
    "resv": "reservation",
    "conf": "configuration",
}

CONDITIONS = {
    "accounts": "account",
    "acct": "account",
    "adminlevel": "adminlevel",
    "clusters": "cluster",
    "coordinators": "coordinator",
    "defaultaccount": "defaultaccount",
    "defaultqos": "defaultqos",
    "descriptions": "description",
    "desc": "description",
    "format": "format",
    "ids": "id",
    "names": "name",
    "organizations": "organization",
    "org": "organization",
    "parent": "parent",
    "partitions": "partition",
    "qoslevel": "qos",
    "qos": "qos",
    "types": "type",
    "users": "user",
    "wckeys": "wckey",
}
"""What entities are chosen by, and where in a row that is looked for."""

FLAGS = (
    "onlydefaults",
    "tree",
    "withassoc",
    "withcoordinators",
    "withdeleted",
    "withrawqoslevel",
    "withsubaccounts",
    "wolimits",
    "wopinfo",
    "woplimits",
)

_OLD = {
    "grpcpus": ("grp_tres", "cpu"),
    "grpnodes": ("grp_tres", "node"),
    "grpmemory": ("grp_tres", "mem"),
    "grpcpumins": ("grp_tres_mins", "cpu"),
    "grpcpurunmins": ("grp_tres_run_mins", "cpu"),
    "maxcpusperjob": ("max_tres", "cpu"),
    "maxnodesperjob": ("max_tres", "node"),
    "maxcpuminsperjob": ("max_tres_mins", "cpu"),
    "maxcpusperuser": ("max_tres_pu", "cpu"),
    "maxnodesperuser": ("max_tres_pu", "node"),
}
"""Names from before there were TRES, which Slurm still takes."""

_INSTEAD = {
    "grpjobsaccrue": "; GrpSubmitJobs= bounds how many jobs may wait, and with that how many gain age",
    "maxjobsaccrue": "; MaxSubmitJobs= bounds how many jobs may wait, and with that how many gain age",
    "maxtresrunmins": "; GrpTRESRunMins= of each user's association bounds the same",
}
"""What to say instead of some of these, without PU and PA at their ends."""

_NEVER = (
    "defaultwckey",
    "grpjobsaccrue",
    "limitfactor",
    "maxjobsaccrue",
    "maxjobsaccruepu",
    "maxjobsaccruepa",
    "maxtresrunmins",
    "maxtresrunminspu",
    "maxtresrunminspa",
    "minpriothreshold",
    "newname",
    "wckeys",
)


class Options:
    """What was said after the entity. chosen: conditions by their field. rawusage:
    whether use is to count from zero."""

    def __init__(self) -> None:
        self.chosen: Filters = {}
        self._edits: dict[Thing, list[Edit]] = {}
        self.flags: set[str] = set()
        self.format = ""
        self.rawusage = False

    def texts(self, name: str) -> list[str]:
        """The values of a condition, none if it was not given."""
        return self.chosen.get(name, [])

    def edits(self, thing: Thing) -> list[Edit]:
        """What is to be set of it."""
        return self._edits.setdefault(thing, [])

    def edited(self) -> list[tuple[Thing, Edit]]:
        """Everything that is to be set."""
        return [(thing, edit) for thing, edits in self._edits.items() for edit in edits]


def entity_of(word: str) -> str:
    """The entity that the word says, "" for none."""
    lowered = word.lower()
    if lowered in ALIASES:
        return ALIASES[lowered]
    for name, least in ENTITIES.items():
        if len(lowered) >= least and (name.startswith(lowered) or lowered == f"{name}s"):
            return name
    return ""


def conditions(words: Sequence[str], names: str) -> Options:
    """What rows are chosen by; a bare word is a name. names: the field of those."""
    options = Options()
    for word in words:
        if word.lower() in ("where", "set"):
            continue
        _take_condition(options, word, names, "condition")
    return options


def settings(words: Sequence[str], things: Sequence[Thing], names: str) -> Options:
    """Of `add`: names and what is set together; what is no setting of these things is a condition."""
    options = Options()
    for word in words:
        if word.lower() in ("where", "set"):
            continue
        if not _take_setting(options, word, things):
            _take_condition(options, word, names, "option")
    return options


def modification(words: Sequence[str], things: Sequence[Thing], names: str) -> Options:
    """Of `modify`: conditions before `set` and after `where`, settings after `set`."""
    options = Options()
    setting = False
    for word in words:
        lowered = word.lower()
        if lowered in ("where", "set"):
            setting = lowered == "set"
        elif not setting:
            _take_condition(options, word, names, "condition")
        elif not _take_setting(options, word, things):
            raise CommandError(f" Unknown option: {word}\n Use keyword 'where' to modify condition")
    return options


def _take_condition(options: Options, word: str, names: str, what: str) -> None:
    name, how, value = _cut(word)
    if how == "":
        flag = _only(name.lower(), FLAGS, 4)
        if flag:
            options.flags.add(flag)
            return
        name, value = "names", word
    elif how != "=":
        raise CommandError(f" Unknown {what}: {word}")
    found = "names" if name.lower() in ("name", "names") else _only(name.lower(), CONDITIONS, 2)
    if not found:
        raise CommandError(f" Unknown {what}: {word}")
    field = CONDITIONS[found]
    if field == "format":
        options.format += ("," if options.format else "") + value
        return
    field = names if field == "name" else field
    values = [part.strip() for part in value.split(",") if part.strip()]
    options.chosen.setdefault(field, []).extend(v for v in values if v not in options.texts(field))


def _take_setting(options: Options, word: str, things: Sequence[Thing]) -> bool:
    """Whether the word sets something of these things."""
    from packhorse.scheduler.model.account_settings import SETTINGS, find  # slow to load, and not for `show`

    name, how, value = _cut(word)
    if not how:
        return False
    lowered = name.lower()
    if lowered == "rawusage":
        if value.strip() not in ("0", "0.0"):
            raise CommandError("Raw usage can only be set to 0 (zero)")
        options.rawusage = True
        return True
    if lowered in _NEVER:
        way = _INSTEAD.get(lowered.removesuffix("pu").removesuffix("pa"), "")
        raise CommandError(f"sacctmgr: error: {name}= is not supported by Packhorse{way}")
    old = _only(lowered, _OLD, 6)
    if old:
        lowered, tres = _OLD[old]
        value = f"{tres}={value}"
    for thing in things:
        setting = find(thing, lowered)
        if setting is not None:
            options.edits(thing).append({"name": setting.name, "text": value, "how": how})
            return True
    shortened = {
        spelling: (thing, setting)
        for thing in things
        for setting in SETTINGS[thing]
        for spelling in (setting.slurm.lower(), *setting.also)
    }
    found = _only(lowered, shortened, 3)
    if not found:
        return False
    thing, setting = shortened[found]
    options.edits(thing).append({"name": setting.name, "text": value, "how": how})
    return True


def _cut(word: str) -> tuple[str, str, str]:
    """`qos+=long` -> ("qos", "+=", "long"); a bare word has neither. Quotes around a value are the shell's
    that were quoted."""
    name, equals, value = word.partition("=")
    how = equals
    if equals and name[-1:] in ("+", "-"):
        name, how = name[:-1], name[-1] + "="
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        value = value[1:-1]
    return name.strip(), how, value


def _only(word: str, known: Iterable[str], least: int) -> str:
    """The known word that this one is, or the only one that it is the beginning of; "" for none."""
    names = list(known)
    if word in names:
        return word
    found = [name for name in names if name.startswith(word)] if len(word) >= least else []
    return found[0] if len(found) == 1 else ""

"""What can be set of an account, a user, an association or a QOS: names, spellings, how values are written.

One table for `sacctmgr`, the files of `packhorse accounts` and the core, which reads the same texts again: a
value is always a text as Slurm writes it (`4`, `7-00:00:00`, `cpu=4,mem=16G`, `normal,long`), and "" or -1
takes a thing away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.model.accounts import (
    FAIRSHARE_PARENT,
    Account,
    AdminLevel,
    Association,
    AssociationKey,
    PreemptMode,
    Qos,
    User,
)
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.tres import MOST, Tres, format_tres, parse_tres, sort_key
from packhorse.scheduler.model.units import UnitError, format_clock, parse_time_limit_s

MAX_NAME: Final = 64
MAX_TEXT: Final = 1024
MAX_VALUE: Final = 65_536
"""Characters of a name, of a description, and of the text of any value."""
MAX_NAMES: Final = 1_000
MAX_COUNT: Final = (1 << 31) - 1
MAX_SECONDS: Final = 100 * 365 * 86_400
MAX_MILLI: Final = 1_000_000_000
_UNSET: Final = -1
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")

QOS_FLAGS: Final = (
    "DenyOnLimit",
    "EnforceUsageThreshold",
    "NoDecay",
    "NoReserve",
    "OverPartQOS",
    "PartitionMaxNodes",
    "PartitionMinNodes",
    "PartitionTimeLimit",
    "RequiresReservation",
    "UsageFactorSafe",
)


class Thing(StrEnum):
    """What a book of accounts is made of. A coordinator is a user in an account's list."""

    ACCOUNT = "account"
    USER = "user"
    ASSOCIATION = "association"
    QOS = "qos"
    COORDINATOR = "coordinator"


class How(StrEnum):
    """SET puts the value in place of the old one; ADD and REMOVE change a list of names."""

    SET = "="
    ADD = "+="
    REMOVE = "-="


class Kind(NamedTuple):
    """How values of a kind are read, written and told apart from nothing.

    read: of a text and the old value, raises BadValue that starts with the name it is given. show: "" for
    nothing. names: a list, which += and -= may change. number: bare in a file.
    """

    read: Callable[[str, str, Any], Any]
    show: Callable[[Any], str]
    names: bool = False
    number: bool = False


class Setting(NamedTuple):
    """One of them. name: of the field. slurm: what Slurm calls it; also: other spellings, in lower case.
    limit: the field is one of the limits."""

    name: str
    kind: Kind
    slurm: str
    also: tuple[str, ...] = ()
    limit: bool = False

    @property
    def path(self) -> str:
        """Where it is, for attrgetter."""
        return f"limits.{self.name}" if self.limit else self.name

    def of(self, thing: Account | User | Association | Qos) -> Any:
        """Its value."""
        limits = getattr(thing, "limits", None)
        return getattr(limits if self.limit else thing, self.name)

    def show(self, thing: Account | User | Association | Qos) -> str:
        """Its value as it is written, "" for nothing."""
        return self.kind.show(self.of(thing))


def check_name(what: str, name: str) -> str:
    """The name. Raises BadValue for one that is none."""
    if len(name) > MAX_NAME:
        raise BadValue(f"{what} {name[:MAX_NAME]}…: {len(name)} characters, limit {MAX_NAME}")
    if not _NAME.fullmatch(name):
        raise BadValue(
            f'{what} "{name}": a name has letters, digits and _ . @ + -, and begins with none of . @ + -'
        )
    return name


def split_names(text: str) -> list[str]:
    """`a,b`, blanks around names left out."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _names(what: str, text: str, old: Any) -> tuple[str, ...]:
    found = dict.fromkeys(split_names(text) if text.strip() != "-1" else ())
    if len(found) > MAX_NAMES:
        raise BadValue(f"{what}: {len(found)} names, limit {MAX_NAMES}")
    return tuple(sorted(check_name(what, name) for name in found))


def _flags(what: str, text: str, old: Any) -> tuple[str, ...]:
    known = {flag.lower(): flag for flag in QOS_FLAGS}
    found = set()
    for word in split_names(text) if text.strip() != "-1" else ():
        if word.lower() not in known:
            raise BadValue(f'{what}: "{word}" is not a flag of a QOS; there are {", ".join(QOS_FLAGS)}')
        found.add(known[word.lower()])
    return tuple(sorted(found))


def _name(what: str, text: str, old: Any) -> str:
    return "" if text.strip() in ("", "-1") else check_name(what, text.strip())


def _text(what: str, text: str, old: Any) -> str:
    if len(text) > MAX_TEXT:
        raise BadValue(f"{what}: {len(text)} characters, limit {MAX_TEXT}")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise BadValue(f"{what}: must be one line, without control characters")
    return text


def _number(low: int, high: int, unset: int | None) -> Callable[[str, str, Any], int | None]:
    def read(what: str, text: str, old: Any) -> int | None:
        text = text.strip()
        if text in ("", "-1"):
            return unset
        if not text.isascii() or not text.isdecimal() or len(text) > 18 or not low <= int(text) <= high:
            raise BadValue(f"{what}: {text} is not a whole number from {low} to {high} (-1: none)")
        return int(text)

    return read


def _shares(what: str, text: str, old: Any) -> int:
    if text.strip().lower() == "parent":
        return FAIRSHARE_PARENT
    found = _number(0, MAX_COUNT, 1)(what, text, old)
    assert found is not None
    return found


def _seconds(unset: int | None, unit_s: int) -> Callable[[str, str, Any], int | None]:
    """unit_s: of a bare number."""

    def read(what: str, text: str, old: Any) -> int | None:
        text = text.strip()
        if text.lower() in ("", "-1", "infinite", "unlimited"):
            return unset
        try:
            if text.isascii() and text.isdecimal() and len(text) <= 12:
                seconds = int(text) * unit_s
            else:
                seconds = parse_time_limit_s(text)
        except UnitError as error:
            raise BadValue(f"{what}: {error}") from error
        if seconds > MAX_SECONDS:
            raise BadValue(f"{what}: {text} is more than {MAX_SECONDS // 86_400} days")
        return seconds

    return read


def _milli(what: str, text: str, unset: int) -> int:
    text = text.strip()
    if text in ("", "-1"):
        return unset
    match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,9}))?", text)
    milli = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0")[:3]) if match else MAX_MILLI + 1
    if milli > MAX_MILLI:
        raise BadValue(f"{what}: {text} is not a number from 0 to {MAX_MILLI // 1000} (-1: the default)")
    return milli


def _tres(what: str, text: str, old: Any) -> Tres:
    """Names that the text does not tell stay; -1 alone takes all of them away."""
    if text.strip() in ("", "-1"):
        return ()
    merged = dict(old or ())
    merged.update(parse_tres(text, what, unset=_UNSET))
    if any(amount > MOST for amount in merged.values()):
        raise BadValue(f"{what}: an amount is larger than {MOST}")
    left = ((name, amount) for name, amount in merged.items() if amount != _UNSET)
    return tuple(sorted(left, key=lambda pair: sort_key(pair[0])))


def _borrow(what: str, text: str, old: Any) -> Tres | None:
    """ "any" and nothing: without bound; "none": nothing."""
    if text.strip().lower() in ("", "-1", "any"):
        return None
    return () if text.strip().lower() == "none" else _tres(what, text, old)


def _word(
    words: type[StrEnum], unset: StrEnum, aliases: dict[str, str]
) -> Callable[[str, str, Any], StrEnum]:
    def read(what: str, text: str, old: Any) -> StrEnum:
        lowered = text.strip().lower()
        if lowered in ("", "-1"):
            return unset
        known = {word.value.lower(): word for word in words if word.value}
        found = known.get(aliases.get(lowered, lowered))
        if found is None and aliases.get(lowered) == "":
            return unset
        if found is None:
            raise BadValue(
                f'{what}: "{text.strip()}" is none of {", ".join(word.value for word in known.values())}'
            )
        return found

    return read


def _show_optional(value: int | None) -> str:
    return "" if value is None else str(value)


def _show_shares(value: int) -> str:
    return "parent" if value == FAIRSHARE_PARENT else str(value)


def _show_seconds(value: int | None) -> str:
    return "" if value is None else format_clock(value)


def _show_borrow(value: Tres | None) -> str:
    return "" if value is None else format_tres(value) or "none"


def _show_milli(value: int) -> str:
    return f"{value // 1000}.{value % 1000:03d}000"


COUNT: Final = Kind(_number(0, MAX_COUNT, None), _show_optional, number=True)
PRIORITY: Final = Kind(_number(0, MAX_COUNT, 0), str, number=True)
SHARES: Final = Kind(_shares, _show_shares, number=True)
WALL: Final = Kind(_seconds(None, 60), _show_seconds)
SPAN: Final = Kind(_seconds(0, 1), lambda value: format_clock(value))
EXEMPT: Final = Kind(_seconds(0, 1), lambda value: format_clock(value) if value else "")
TRES: Final = Kind(_tres, format_tres)
BORROW: Final = Kind(_borrow, _show_borrow)
FACTOR: Final = Kind(lambda what, text, old: _milli(what, text, 1000), _show_milli)
THRESHOLD: Final = Kind(lambda what, text, old: _milli(what, text, 0), lambda v: _show_milli(v) if v else "")
NAME: Final = Kind(_name, str)
NAMES: Final = Kind(_names, ",".join, names=True)
FLAGS: Final = Kind(_flags, ",".join, names=True)
TEXT: Final = Kind(_text, str)
LEVEL: Final = Kind(_word(AdminLevel, AdminLevel.NONE, {"admin": "administrator"}), str)
MODE: Final = Kind(_word(PreemptMode, PreemptMode.CLUSTER, {"cluster": ""}), lambda v: str(v) or "cluster")


def _limit(name: str, kind: Kind, slurm: str, *also: str) -> Setting:
    return Setting(name, kind, slurm, also, limit=True)


_ASSOCIATION: Final = (
    Setting("shares", SHARES, "Fairshare", ("share", "fs")),
    Setting("priority", PRIORITY, "Priority"),
    _limit("grp_jobs", COUNT, "GrpJobs"),
    _limit("grp_submit", COUNT, "GrpSubmitJobs", "grpsubmit"),
    _limit("grp_tres", TRES, "GrpTRES"),
    _limit("grp_tres_mins", TRES, "GrpTRESMins"),
    _limit("grp_tres_run_mins", TRES, "GrpTRESRunMins"),
    _limit("grp_wall_s", WALL, "GrpWall", "grp_wall"),
    _limit("max_jobs", COUNT, "MaxJobs"),
    _limit("max_submit", COUNT, "MaxSubmitJobs", "maxsubmit"),
    _limit("max_tres", TRES, "MaxTRES", "maxtresperjob"),
    _limit("max_tres_per_node", TRES, "MaxTRESPerNode", "maxtrespn"),
    _limit("max_tres_mins", TRES, "MaxTRESMins", "maxtresminsperjob"),
    _limit("max_wall_s", WALL, "MaxWall", "max_wall", "maxwalldurationperjob"),
    _limit("quota", TRES, "Quota"),
    _limit("borrow", BORROW, "Borrow"),
    Setting("qos", NAMES, "QOS", ("qoslevel",)),
    Setting("default_qos", NAME, "DefaultQOS"),
    Setting("comment", TEXT, "Comment"),
)
_QOS: Final = (
    Setting("priority", PRIORITY, "Priority"),
    Setting("description", TEXT, "Description"),
    Setting("preempts", NAMES, "Preempt"),
    Setting("preempt_mode", MODE, "PreemptMode"),
    Setting("grace_s", SPAN, "GraceTime", ("grace",)),
    Setting("exempt_s", EXEMPT, "PreemptExemptTime", ("exempt",)),
    Setting("usage_factor_milli", FACTOR, "UsageFactor", ("usage_factor",)),
    Setting("usage_threshold_milli", THRESHOLD, "UsageThreshold", ("usage_threshold",)),
    Setting("flags", FLAGS, "Flags"),
    _limit("grp_jobs", COUNT, "GrpJobs"),
    _limit("grp_submit", COUNT, "GrpSubmitJobs", "grpsubmit"),
    _limit("grp_tres", TRES, "GrpTRES"),
    _limit("grp_tres_mins", TRES, "GrpTRESMins"),
    _limit("grp_tres_run_mins", TRES, "GrpTRESRunMins"),
    _limit("grp_wall_s", WALL, "GrpWall", "grp_wall"),
    _limit("max_jobs_pu", COUNT, "MaxJobsPerUser", "maxjobspu", "maxjobs"),
    _limit("max_jobs_pa", COUNT, "MaxJobsPerAccount", "maxjobspa", "maxjobsperacct"),
    _limit(
        "max_submit_pu",
        COUNT,
        "MaxSubmitJobsPerUser",
        "maxsubmitjobspu",
        "maxsubmitpu",
        "maxsubmitjobs",
        "maxsubmit",
    ),
    _limit(
        "max_submit_pa",
        COUNT,
        "MaxSubmitJobsPerAccount",
        "maxsubmitjobspa",
        "maxsubmitpa",
        "maxsubmitjobsperacct",
    ),
    _limit("max_tres_pu", TRES, "MaxTRESPerUser", "maxtrespu"),
    _limit("max_tres_pa", TRES, "MaxTRESPerAccount", "maxtrespa", "maxtresperacct"),
    _limit("max_tres", TRES, "MaxTRESPerJob", "maxtres", "maxtrespj"),
    _limit("max_tres_per_node", TRES, "MaxTRESPerNode", "maxtrespn"),
    _limit("max_tres_mins", TRES, "MaxTRESMins", "maxtresminsperjob"),
    _limit("max_wall_s", WALL, "MaxWall", "max_wall", "maxwalldurationperjob"),
    _limit("min_tres", TRES, "MinTRESPerJob", "mintres"),
)

SETTINGS: Final[dict[Thing, tuple[Setting, ...]]] = {
    Thing.ACCOUNT: (
        Setting("parent", NAME, "Parent"),
        Setting("description", TEXT, "Description", ("desc",)),
        Setting("organization", TEXT, "Organization", ("org",)),
        Setting("coordinators", NAMES, "Coordinators"),
    ),
    Thing.USER: (
        Setting("default_account", NAME, "DefaultAccount", ("defaultacct",)),
        Setting("admin_level", LEVEL, "AdminLevel", ("admin",)),
    ),
    Thing.ASSOCIATION: _ASSOCIATION,
    Thing.QOS: _QOS,
}
"""In the order in which they are shown."""

UNSET: Final[dict[Thing, Account | User | Association | Qos]] = {
    Thing.ACCOUNT: Account("", ""),
    Thing.USER: User(""),
    Thing.ASSOCIATION: Association(AssociationKey("")),
    Thing.QOS: Qos(""),
}
"""Each with nothing set."""

_BY_WORD: Final = {
    thing: {
        word: setting
        for setting in settings
        for word in (
            setting.name.replace("_", ""),
            setting.slurm.lower(),
            *(a.replace("_", "") for a in setting.also),
        )
    }
    for thing, settings in SETTINGS.items()
}


def find(thing: Thing, word: str) -> Setting | None:
    """The setting of this name or spelling: `max_jobs`, `MaxJobs`, `maxwalldurationperjob`."""
    return _BY_WORD[thing].get(word.replace("_", "").lower())


def change(
    thing: Any, setting: Setting, text: str, how: How = How.SET, *, base: Iterable[str] | None = None
) -> Any:
    """The thing with the setting changed. Raises BadValue.

    base: what += and -= start from, None: its own list.
    """
    if len(text) > MAX_VALUE:
        raise BadValue(f"{setting.slurm}: {len(text)} characters, limit {MAX_VALUE}")
    old = setting.of(thing)
    if how is How.SET:
        value = setting.kind.read(setting.slurm, text, old)
    elif not setting.kind.names:
        raise BadValue(f"{setting.slurm}: {how} goes with a list of names; use =")
    else:
        names = set(setting.kind.read(setting.slurm, text, old))
        start = set(old if base is None else base)
        value = tuple(sorted(start | names if how is How.ADD else start - names))
    if setting.limit:
        return replace(thing, limits=replace(thing.limits, **{setting.name: value}))
    return replace(thing, **{setting.name: value})

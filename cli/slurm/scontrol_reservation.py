"""`scontrol create`, `update` and `delete` of reservations: KEY=VALUE words to a request."""

from __future__ import annotations

import os
from time import localtime, time

from packhorse.cli.slurm.process import CommandError
from packhorse.cli.transport import CallError, call, field
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.units import UnitError, parse_time_limit_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Word = tuple[str, str, str, str]
    """Key in lower case, sign, value, and the word as it was given."""

NAMES = ("reservation", "reservationname")
ERROR = "scontrol: error: "
NOT_CREATED = "No reservation created."
NOT_UPDATED = "No reservation update."
YEAR = ("infinite", "unlimited", "-1")


def create(words: list[str]) -> int:
    """Exit code of `scontrol create reservation WORDS`; also `create ReservationName=…`."""
    if words and "=" not in words[0]:
        if not any(name.startswith(words[0].lower()) for name in NAMES):
            raise CommandError(f"scontrol: error: create {words[0]} is not supported by Packhorse")
        words = words[1:]
    elif words and words[0].partition("=")[0].lower().startswith("partition"):
        raise CommandError(
            "scontrol: error: create partition is not supported by Packhorse (they are in packhorse.toml)"
        )
    wish = _wish([_split(word) for word in words], NOT_CREATED)
    _complete(wish)
    name = _sent("CreateReservation", {"wish": wish}, "Error creating the reservation")
    print(f"Reservation created: {name}")
    return 0


def update(words: list[str]) -> int:
    """Exit code of `scontrol update ReservationName=… WORDS`."""
    wish = _wish([_split(word) for word in words], NOT_UPDATED)
    if not wish.get("name"):
        raise CommandError("Reservation must be given.  No reservation update.")
    if wish.keys() == {"name", "utcOffsetS"}:
        raise CommandError("No changes specified")
    _sent("UpdateReservation", {"wish": wish}, "Error updating the reservation")
    print("Reservation updated.")
    return 0


def delete(words: list[str]) -> int:
    """Exit code of `scontrol delete ReservationName=…` (or `delete reservation …`)."""
    if not words:
        raise CommandError("too few arguments for keyword:delete")
    first, equals, name = words[0].partition("=")
    if not equals and len(words) > 1:
        name = words[1].partition("=")[2] or words[1]
    if first.lower() in ("partition", "partitionname", "node", "nodename"):
        raise CommandError(
            f"scontrol: error: delete {first} is not supported by Packhorse: partitions are in "
            "packhorse.toml, and nodes are those whose agents connect"
        )
    if first.lower() not in NAMES or not name:
        raise CommandError(f"invalid entity:{words[0]} for keyword:delete ")
    _sent("DeleteReservation", {"name": name}, f"delete_reservation {words[0]}")
    return 0


def _sent(method: str, request: dict[str, Any], failed: str) -> str:
    """The name of the reservation that it was done for."""
    request["idempotencyKey"] = os.urandom(16).hex()
    try:
        [outcome] = field(call(method, request), "outcomes", [])
    except CallError as error:
        raise CommandError(f"{failed}: {error.slurm or error.message}") from None
    if field(outcome, "code", ""):
        slurm, message = field(outcome, "slurm", ""), field(outcome, "message", "")
        lines = [f"{failed}: {slurm or message}"]
        if method == "UpdateReservation":  # Slurm's command says it once more
            lines.append(f"slurm_update error: {slurm or message}")
        if slurm and message:
            lines.insert(0, f"scontrol: error: {message}")
        raise CommandError("\n".join(lines))
    return str(field(outcome, "ref", ""))


def _split(word: str) -> Word:
    key, _, value = word.partition("=")
    sign = key[-1:] if key[-1:] in ("+", "-") else ""
    return (key[:-1] if sign else key).strip().lower(), sign, value, word


def _wish(words: list[Word], failed: str) -> dict[str, Any]:
    """What the words ask for, as a ReservationWish."""
    wish: dict[str, Any] = {"utcOffsetS": localtime().tm_gmtoff}
    for key, sign, value, word in words:
        if key in NAMES:
            wish["name"] = value
        elif key in _LISTS:
            wish[_LISTS[key]] = _list(key, sign, value, failed)
        elif key == "flags":
            _flags(wish, sign, value, word, failed)
        elif sign:
            raise CommandError(f"Unknown parameter: {word}\n{failed}")
        elif key in _TEXTS:
            wish[_TEXTS[key]] = value
        elif key in ("starttime", "endtime"):
            wish["startAtUs" if key == "starttime" else "endAtUs"] = _instant(value, failed)
        elif key == "duration":
            wish["durationS"] = _seconds(value, word, failed)
        elif key in ("nodecnt", "nodecount"):
            wish["nodeCounts"] = _counts(value, word, failed)
        elif key in ("corecnt", "corecount"):
            wish["coreCounts"] = _counts(value, word, failed)
        elif key == "tres":
            _tres(wish, value, word, failed)
        elif key in _NOT_SUPPORTED:
            raise CommandError(f"scontrol: error: {word} is not supported by Packhorse\n{failed}")
        else:
            raise CommandError(f"Unknown parameter: {word}\n{failed}")
    return wish


def _complete(wish: dict[str, Any]) -> None:
    """What Slurm's command asks for itself before it calls anybody."""
    if "startAtUs" not in wish:
        raise CommandError(f"{ERROR}A start time must be given.  {NOT_CREATED}")
    if "endAtUs" not in wish and "durationS" not in wish:
        raise CommandError(f"{ERROR}An end time or duration must be given.  {NOT_CREATED}")
    if "endAtUs" in wish and wish["endAtUs"] < wish["startAtUs"]:
        raise CommandError(f"{ERROR}Start time cannot be after end time.  {NOT_CREATED}")
    length = wish.get("durationS", -1)
    if "endAtUs" in wish and length >= 0 and wish["startAtUs"] + length * 1_000_000 != wish["endAtUs"]:
        raise CommandError(f"{ERROR}StartTime + Duration does not equal EndTime.  {NOT_CREATED}")
    flags = wish.get("flags", {}).get("names", [])
    if "PART_NODES" in flags and (not wish.get("partition") or wish.get("nodes", {}).get("names") != ["ALL"]):
        raise CommandError(
            f"{ERROR}PART_NODES flag requires specifying a Partition and ALL nodes.  {NOT_CREATED}"
        )
    if not wish.keys() & {"nodes", "nodeCounts", "coreCounts", "cpus", "licenses"}:
        raise CommandError(
            f"{ERROR}CoreCnt, Nodes, NodeCnt, BurstBuffer, Licenses or Watts must be specified.  "
            + NOT_CREATED
        )
    if not wish.keys() & {"users", "accounts", "groups", "qos"}:
        raise CommandError(f"{ERROR}Either Users/Groups and/or Accounts must be specified.  {NOT_CREATED}")
    if wish.keys() >= {"users", "groups"}:
        raise CommandError(
            f"{ERROR}Users and Groups are mutually exclusive.  You can have one or the other, but not both.  "
            + NOT_CREATED
        )


def _list(key: str, sign: str, value: str, failed: str) -> dict[str, Any]:
    if key not in ("node", "nodes", "nodelist"):
        names = [name for name in value.split(",") if name]
    elif value.upper() == "ALL":
        names = ["ALL"]
    else:
        try:
            names = expand(value)
        except HostlistError as error:
            raise CommandError(f"scontrol: error: {error}\n{failed}") from None
    return {"names": names, "sign": sign} if sign else {"names": names}


def _instant(value: str, failed: str) -> int:
    from packhorse.cli.slurm.when import WhenError, parse_when_s

    if value.lower().startswith("now"):
        value = value.lower()
    try:
        return parse_when_s(value, int(time())) * 1_000_000
    except WhenError as error:
        raise CommandError(f"{error}\nscontrol: error: Invalid time {value}\n{failed}") from None


def _seconds(value: str, word: str, failed: str) -> int:
    if value.lower() in YEAR:
        return -1
    try:
        return parse_time_limit_s(value)
    except UnitError:
        raise CommandError(f"scontrol: error: Invalid duration {word}\n{failed}") from None


def _counts(value: str, word: str, failed: str) -> list[int]:
    found = []
    for part in value.split(","):
        digits = part.lower().removesuffix("k")
        if not (digits.isascii() and digits.isdecimal() and int(digits)):
            raise CommandError(f"scontrol: error: Invalid count {word}\n{failed}")
        found.append(int(digits) * (1024 if part.lower().endswith("k") else 1))
    return found


def _tres(wish: dict[str, Any], value: str, word: str, failed: str) -> None:
    """`cpu=12,node=3,license/matlab=2`."""
    licenses = []
    for part in value.split(","):
        name, _, n = part.partition("=")
        if not (n.isascii() and n.isdecimal() and int(n)):
            raise CommandError(f"scontrol: error: Invalid TRES {word}\n{failed}")
        if name == "cpu":
            wish["cpus"] = int(n)
        elif name == "node":
            wish["nodeCounts"] = [int(n)]
        elif name.startswith("license/"):
            licenses.append(f"{name.removeprefix('license/')}:{n}")
        else:
            can = "cpu, node and license/NAME can"
            raise CommandError(f"scontrol: error: TRES {name} can not be reserved; {can}\n{failed}")
    if licenses:
        wish["licenses"] = ",".join(licenses)


def _flags(wish: dict[str, Any], sign: str, value: str, word: str, failed: str) -> None:
    """`MAINT,DAILY,PURGE_COMP=5`; a sign before a name (`Flags=+FLEX`) is as in `Flags+=FLEX`."""
    if value[:1] in ("+", "-"):
        sign, value = value[0], value[1:]
    names = []
    for part in value.split(","):
        name, equals, seconds = part.strip().partition("=")
        if equals:
            wish["purgeAfterS"] = _seconds(seconds, word, failed)
        if name:
            names.append(name.upper())
    wish["flags"] = {"names": names, "sign": sign} if sign else {"names": names}


_LISTS = {
    "account": "accounts",
    "accounts": "accounts",
    "group": "groups",
    "groups": "groups",
    "node": "nodes",
    "nodelist": "nodes",
    "nodes": "nodes",
    "qos": "qos",
    "user": "users",
    "users": "users",
}
_TEXTS = {
    "comment": "comment",
    "feature": "features",
    "features": "features",
    "license": "licenses",
    "licenses": "licenses",
    "partition": "partition",
    "partitionname": "partition",
}
_NOT_SUPPORTED = frozenset(("burstbuffer", "maxstartdelay", "skip", "trespernode", "watts"))

"""Who calls, and what they may do: one table of (method, role, own or another's), deny by default.

Identity comes from the kernel (SO_PEERCRED on the Unix socket) or from a token this scheduler signed, never
from a request. The core asks once more for every single job, with `Caller.admin` as this table says.
"""

from __future__ import annotations

import grp
import os
import pwd
import time
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec

from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service.failures import CallFailed, Code


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"
    AGENT = "agent"


class Relation(StrEnum):
    """Whose the thing is that a call is about. What belongs to nobody (a ping, one's own submission) is OWN;
    the cluster itself and other people's jobs are OTHER."""

    OWN = "own"
    OTHER = "other"


class Principal(msgspec.Struct, frozen=True):
    """A verified caller. node: the only node an agent's token speaks for."""

    owner: Owner
    role: Role = Role.USER
    node: str = ""

    @property
    def admin(self) -> bool:
        """May act on everybody's jobs and on nodes."""
        return self.role is Role.ADMIN


_U, _A, _N = Role.USER, Role.ADMIN, Role.AGENT
_OWN, _OTHER = Relation.OWN, Relation.OTHER

# Like Slurm's default (PrivateData=none) everybody sees every job, and its owner alone its script.
ALLOWED: dict[str, frozenset[tuple[Role, Relation]]] = {
    "Ping": frozenset({(_U, _OWN), (_A, _OWN), (_N, _OWN)}),
    "SubmitJob": frozenset({(_U, _OWN), (_A, _OWN)}),
    "SubmitJobs": frozenset({(_U, _OWN), (_A, _OWN)}),
    "CancelJobs": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "HoldJobs": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "ReleaseJobs": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "RequeueJobs": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "UpdateJobs": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "UpdateNodes": frozenset({(_A, _OTHER)}),
    "SuspendJobs": frozenset({(_A, _OWN), (_A, _OTHER)}),
    "ResumeJobs": frozenset({(_A, _OWN), (_A, _OTHER)}),
    "ListJobs": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "ListNodes": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ListPartitions": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ListLicenses": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ListQuotas": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ListReservations": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    # Whoever calls may ask; the core knows operators by the book of accounts, and refuses the others.
    "CreateReservation": frozenset({(_U, _OWN), (_A, _OWN)}),
    "UpdateReservation": frozenset({(_U, _OWN), (_A, _OWN)}),
    "DeleteReservation": frozenset({(_U, _OWN), (_A, _OWN)}),
    "ListAccounting": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "ListLoans": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "SwitchReclaim": frozenset({(_A, _OTHER)}),
    # Whoever calls may ask; the core knows operators and coordinators, and refuses the others.
    "ChangeAccounts": frozenset({(_U, _OWN), (_A, _OWN)}),
    "ListAccounts": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "SuggestAsk": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "ListWaste": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "ListEstimates": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "GetShadow": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "SwitchShadow": frozenset({(_A, _OTHER)}),
    "ExplainJob": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "GetReport": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ListPriorities": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "ListShares": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "CompareJobs": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "GetConfig": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "Reconfigure": frozenset({(_A, _OTHER)}),
    "GetStatus": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "GetDiagnostics": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ResetDiagnostics": frozenset({(_A, _OTHER)}),
    "UpdatePartitions": frozenset({(_A, _OTHER)}),
    "SetTrigger": frozenset({(_U, _OWN), (_A, _OWN)}),
    "ListTriggers": frozenset({(_U, _OTHER), (_A, _OTHER)}),
    "ClearTriggers": frozenset({(_U, _OWN), (_A, _OWN)}),
    "GetCrontab": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "SetCrontab": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "SetLogLevel": frozenset({(_A, _OTHER)}),
    "Shutdown": frozenset({(_A, _OTHER)}),
    "GetJobScript": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "GetJobUsage": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "ListJobEvents": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "WaitJobs": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "WatchEvents": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    # Steps run as their job's owner, so that nobody but administrators has any business in those of others.
    "CreateStep": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "GetStep": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "ListSteps": frozenset({(_U, _OWN), (_U, _OTHER), (_A, _OWN), (_A, _OTHER)}),
    "AwaitAllocation": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "EndAllocation": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    # Not a method of the service: a connection to a step, see tunnels.py.
    "StepTunnel": frozenset({(_U, _OWN), (_A, _OWN), (_A, _OTHER)}),
    "IssueToken": frozenset({(_U, _OWN), (_A, _OWN)}),
    "AdmitNode": frozenset({(_A, _OTHER)}),
    # The agents' stream: an agent's token for its own node only.
    "Session": frozenset({(_N, _OWN)}),
    # What agents pass on for callers on their hosts.
    "Relay": frozenset({(_N, _OWN)}),
    # The agents' ends of such connections: of their own node, or for callers on their hosts.
    "Tunnel": frozenset({(_N, _OWN)}),
    "RelayTunnel": frozenset({(_N, _OWN)}),
}

RELAYED = frozenset(
    {
        "Ping",
        "SubmitJob",
        "SubmitJobs",
        "CancelJobs",
        "HoldJobs",
        "ReleaseJobs",
        "RequeueJobs",
        "UpdateJobs",
        "UpdateNodes",
        "SuspendJobs",
        "ResumeJobs",
        "ListJobs",
        "ListNodes",
        "ListPartitions",
        "ListLicenses",
        "ListQuotas",
        "ListReservations",
        "ListAccounting",
        "ListLoans",
        "SwitchReclaim",
        "ListAccounts",
        "SuggestAsk",
        "ListWaste",
        "ListEstimates",
        "GetShadow",
        "SwitchShadow",
        "ExplainJob",
        "GetReport",
        "ListPriorities",
        "ListShares",
        "CompareJobs",
        "GetConfig",
        "Reconfigure",
        "GetStatus",
        "GetDiagnostics",
        "ResetDiagnostics",
        "UpdatePartitions",
        "ListTriggers",
        "ClearTriggers",
        "GetCrontab",
        "SetCrontab",
        "SetLogLevel",
        "Shutdown",
        "GetJobScript",
        "GetJobUsage",
        "ListJobEvents",
        "WaitJobs",
        "CreateStep",
        "GetStep",
        "ListSteps",
        "AwaitAllocation",
        "EndAllocation",
    }
)
"""What agents may pass on at all: calls with one answer that make nobody more than they are (ChangeAccounts
would: an agent's word is all there is for who is an operator or coordinator; so would SetTrigger, whose
programs run on the scheduler's host as whom the agent names). The table above
then decides, for a caller whose role is always USER."""


def allowed(method: str, role: Role, relation: Relation) -> bool:
    """Whether the table has this cell. A method it does not name is nobody's."""
    return (role, relation) in ALLOWED.get(method, frozenset())


_DEEDS = {"SuspendJobs": "suspend", "ResumeJobs": "resume", "UpdateNodes": "change", "Reconfigure": "reread"}
"""What commands of administrators do, for those who are none."""

_ADMINS = 'root, the user that runs the scheduler, and those in "admins" of packhorse.toml'


def require(principal: Principal, method: str, relation: Relation, what: str = "") -> None:
    """Raises CallFailed unless the cell is in the table. what: the thing asked for, for the message."""
    if allowed(method, principal.role, relation):
        return
    who = f"agent of {principal.node}" if principal.role is Role.AGENT else f'user "{principal.owner.user}"'
    about = f" on {what}" if what else ""
    deed = (
        f"{who} may not {_DEEDS[method]} {what}"
        if method in _DEEDS
        else f"{method}{about}: {who} may not do this"
    )
    way_out = (
        "only its owner or an administrator may"
        if allowed(method, Role.USER, Relation.OWN)
        else f"only an administrator may ({_ADMINS})"
        if allowed(method, Role.ADMIN, relation)
        else "only an agent, for its own node, may"
    )
    raise CallFailed(
        Code.PERMISSION_DENIED,
        f"{deed}; {way_out}",
        slurm="Access/permission denied",
        refusal="denied",
    )


NAMES_S = 300.0
"""Names of ids are looked up again after this long: accounts come, go, and leave their ids to others."""


def _period() -> int:
    return int(time.monotonic() // NAMES_S)


def user_name(uid: int) -> str:
    """The account's name, its number where it has none (as Slurm shows it)."""
    return owner_of(uid, 0).user


def owner_of(uid: int, gid: int) -> Owner:
    """The owner with these ids; names as this host knows them."""
    return _owner_of(uid, gid, _period())


@lru_cache(maxsize=4096)
def _owner_of(uid: int, gid: int, _when: int) -> Owner:
    return Owner(uid, gid, _name(pwd.getpwuid, uid), _name(grp.getgrgid, gid))


def _name(look_up: Callable[[int], tuple[Any, ...]], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


class Directory:
    """Who is an administrator: uid 0, the uid the scheduler runs as, and those the configuration names."""

    def __init__(self, admins: tuple[str, ...] = ()) -> None:
        self._period = _period()
        self.appoint(admins)

    def appoint(self, admins: tuple[str, ...]) -> None:
        """From now on the configuration names these."""
        self._uids = {0, os.geteuid()}
        self._names: set[str] = set()
        for name in admins:
            if name.isdecimal():
                self._uids.add(int(name))
            else:
                self._names.add(name)
        self._local: dict[tuple[int, int], Principal] = {}

    def is_admin(self, owner: Owner) -> bool:
        """Whether this user administers the cluster."""
        return owner.uid in self._uids or owner.user in self._names

    def local(self, uid: int, gid: int) -> Principal:
        """The caller the kernel named by these ids."""
        period = _period()
        if period != self._period or len(self._local) > 4096:
            self._local.clear()
            self._period = period
        known = self._local.get((uid, gid))
        if known is None:
            owner = owner_of(uid, gid)
            known = Principal(owner, Role.ADMIN if self.is_admin(owner) else Role.USER)
            self._local[uid, gid] = known
        return known

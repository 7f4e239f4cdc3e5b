"""Calls about partitions, triggers and crontabs, as structs of `messages`, to inputs of the core and back."""

from __future__ import annotations

import os
import pwd
from typing import Final, NamedTuple

from packhorse.scheduler.core.partitions import Openness
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.crontab import CronLine, Offsets
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.input import ClearTriggers, SetCrontab, SetTrigger, SwitchPartition
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.trigger import TriggerKind
from packhorse.scheduler.service import bounds, messages
from packhorse.scheduler.service.auth import owner_of
from packhorse.scheduler.service.bounds import MAX_DURATION_S, text, whole
from packhorse.scheduler.service.convert import caller, job_id, job_spec, node_names, presence
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.payloads import Payload

MAX_CRONTAB: Final = 1 << 20
"""Bytes of a crontab."""
MAX_LINES: Final = 10_000

LEVELS: Final = {
    "quiet": "critical",
    "fatal": "critical",
    "error": "error",
    "info": "info",
    "verbose": "info",
    **dict.fromkeys(("debug", "debug2", "debug3", "debug4", "debug5"), "debug"),
}
"""Slurm's levels of logs, from 0 on, and ours."""


def switch_partition(request: messages.UpdatePartitionsRequest, owner: Owner, admin: bool) -> SwitchPartition:
    """Raises BadValue."""
    state = request.state.upper()
    if state not in list(Openness):
        raise BadValue(f'state: "{request.state[:40]}" is none of {", ".join(Openness)}')
    names = tuple(text("names", name, bounds.MAX_NAME) for name in request.names)
    return SwitchPartition(caller(owner, admin, request), names, state)


def set_trigger(request: messages.SetTriggerRequest, owner: Owner, admin: bool) -> SetTrigger:
    """Raises BadValue, and CallFailed where the program could not be run as its user."""
    try:
        kind = TriggerKind(request.event)
    except ValueError as error:
        known = ", ".join(TriggerKind)
        raise BadValue(f'event: "{request.event[:40]}" is none of {known}') from error
    program = text("program", request.program, bounds.MAX_PATH)
    if not program.startswith("/"):
        raise BadValue(f'program: "{program[:200]}" is no absolute path')
    if not can_run_as(owner.uid):
        raise CallFailed(
            Code.PERMISSION_DENIED,
            f'user "{owner.user}" may not set triggers: this scheduler does not run as root, so that '
            f"programs of others than {owner_of(os.geteuid(), 0).user} cannot be run as them",
            slurm="Access/permission denied",
            refusal="denied",
        )
    offset_s = whole("offset_s", request.offset_s, -MAX_DURATION_S, MAX_DURATION_S)
    nodes: tuple[NodeName, ...] = node_names("nodes", request.nodes)
    job = job_id(request.job_id) if request.job_id else JobId(0)
    by = caller(owner, admin, request)
    return SetTrigger(by, kind, program, job, nodes, offset_s, request.permanent)


def can_run_as(uid: int) -> bool:
    """Whether this process could run a program as that user."""
    return os.geteuid() in (0, uid)


def clear_triggers(request: messages.ClearTriggersRequest, owner: Owner, admin: bool) -> ClearTriggers:
    """Raises BadValue."""
    if not (request.id or request.job_id or request.user):
        raise BadValue("a trigger, a job or a user is needed: --id, --jobid or --user")
    job = job_id(request.job_id) if request.job_id else JobId(0)
    uid = _uid(request.user) if request.user else -1
    return ClearTriggers(caller(owner, admin, request), request.id, job, uid)


def triggers(state: State) -> messages.ListTriggersResponse:
    """All that wait."""
    return messages.ListTriggersResponse(
        triggers=[
            messages.Trigger(
                id=trigger.id,
                event=trigger.kind.value,
                job_id=trigger.job,
                nodes=list(trigger.nodes),
                offset_s=trigger.offset_s,
                user=trigger.owner.user,
                uid=trigger.owner.uid,
                program=trigger.program,
                permanent=trigger.permanent,
            )
            for trigger in state.triggers.by_id.values()
        ]
    )


class CrontabCall(NamedTuple):
    """A crontab for the core, and the texts that have to become durable with it."""

    input: SetCrontab
    payloads: tuple[Payload, ...]


def set_crontab(
    request: messages.SetCrontabRequest, owner: Owner, admin: bool, offsets: Offsets
) -> CrontabCall:
    """Raises BadValue."""
    content = text("text", request.text, MAX_CRONTAB)
    lines: list[CronLine] = []
    payloads: dict[str, Payload] = {}
    for entry in request.entries[:MAX_LINES]:
        if entry.spec is None:
            raise BadValue(f"line {entry.line + 1}: spec: missing; it says what shall run")
        spec, mine = job_spec(entry.spec, presence(entry))
        payloads.update((one.ref, one) for one in mine)
        lines.append(CronLine(whole("line", entry.line, 0, MAX_CRONTAB), text("when", entry.when), spec))
    whose = whose_crontab(request.user, owner)
    call = SetCrontab(caller(owner, admin, request), whose, content, tuple(lines), offsets)
    return CrontabCall(call, tuple(payloads.values()))


def whose_crontab(user: str, owner: Owner) -> Owner:
    """The user of that name, or the caller for "". Raises BadValue."""
    if user in ("", owner.user):
        return owner
    try:
        found = pwd.getpwnam(text("user", user))
    except KeyError:
        raise BadValue(f'user: "{user}" is not known on this host') from None
    return owner_of(found.pw_uid, found.pw_gid)


def _uid(user: str) -> int:
    """Of a name or a number. Raises BadValue."""
    if user.isascii() and user.isdecimal():
        return whole("user", int(user), 0, (1 << 32) - 1)
    try:
        return pwd.getpwnam(text("user", user)).pw_uid
    except KeyError:
        raise BadValue(f'user: "{user}" is not known on this host') from None

"""`scontrol update`: KEY=VALUE words to a request."""

from __future__ import annotations

import os

from packhorse.cli.slurm.jobids import JobIdError, job_ref, split_ids
from packhorse.cli.slurm.process import CommandError
from packhorse.cli.transport import call, field
from packhorse.scheduler.model.hostlist import HostlistError, expand
from packhorse.scheduler.model.units import UnitError, parse_count_range, parse_mem_mib, parse_time_limit_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NODE_ACTIONS = {
    "drain": "NODE_ACTION_DRAIN",
    "drained": "NODE_ACTION_DRAIN",
    "draining": "NODE_ACTION_DRAIN",
    "down": "NODE_ACTION_DOWN",
    "resume": "NODE_ACTION_RESUME",
    "undrain": "NODE_ACTION_RESUME",
    "idle": "NODE_ACTION_RESUME",
}

NO_REASON = "You must specify a reason when DOWNING or DRAINING a node. Request denied"


def update(words: list[str]) -> int:
    """Exit code of `scontrol update WORDS`."""
    if not words:
        raise CommandError("too few arguments for update keyword")
    pairs = [_pair(word) for word in words]
    kinds = [key for key, _, _ in pairs]
    if "jobid" in kinds or "job" in kinds:
        return _update_jobs(pairs, words)
    if "nodename" in kinds or "node" in kinds:
        return _update_nodes(pairs, words)
    if kinds[0] in ("reservation", "reservationname"):
        from packhorse.cli.slurm import scontrol_reservation

        return scontrol_reservation.update(words)
    for kind in ("partitionname", "partition"):
        if kind in kinds:
            from packhorse.cli.slurm.scontrol_daemon import update_partition

            return update_partition(pairs[kinds.index(kind)][2], pairs, words)
    if "stepid" in kinds:
        from packhorse.cli.slurm.scontrol_daemon import refusal

        raise refusal(
            f"update of step {pairs[kinds.index('stepid')][2]}",
            "its job's time limit bounds it (update JobId=ID TimeLimit=TIME), and scancel ends it",
        )
    if "slurmctlddebug" in kinds:
        from packhorse.cli.slurm.scontrol_daemon import setdebug

        return setdebug([pairs[kinds.index("slurmctlddebug")][2]], {})
    raise CommandError(
        "No valid entity in update command\n"
        'Input line must include "NodeName", "PartitionName", "Reservation", "JobId", or "SlurmctldDebug"'
    )


def _pair(word: str) -> tuple[str, str, str]:
    """(key in lower case, sign, value) of `Key=Value`, `Key+=Value`, `Key-=Value` or a bare `Key`."""
    key, _, value = word.partition("=")
    sign = ""
    if key[-1:] in ("+", "-"):
        sign = key[-1]
        key = key[:-1]
    return key.strip().lower(), sign, value


def _unsupported(word: str) -> CommandError:
    return CommandError(f"Update of this parameter is not supported: {word}\nRequest aborted")


def _update_jobs(pairs: list[tuple[str, str, str]], words: list[str]) -> int:
    refs: list[dict[str, Any]] = []
    changes: dict[str, Any] = {}
    for (key, sign, value), word in zip(pairs, words, strict=True):
        if key in ("jobid", "job"):
            for part in split_ids(value):
                try:
                    refs.append(job_ref(part))
                except JobIdError:
                    raise CommandError(f"Invalid job id specified for job {part}") from None
            continue
        make = _JOB_KEYS.get(key)
        if make is None or (sign and key != "timelimit"):
            raise _unsupported(word)
        changes.update(make(sign + value if key == "timelimit" else value))
    if not changes or not refs:
        raise CommandError("No changes specified")
    request = {"jobs": refs, "changes": changes, "idempotencyKey": os.urandom(16).hex()}
    return told(field(call("UpdateJobs", request), "outcomes", []))


def told(outcomes: list[dict[str, Any]], after: str = "") -> int:
    """Prints what went wrong for each job; the exit code. after: a last line that some commands add."""
    lines = [
        f"{field(outcome, 'slurm', '') or field(outcome, 'message', '')} for job {field(outcome, 'ref', '')}"
        for outcome in outcomes
        if field(outcome, "code", "")
    ]
    if not lines:
        return 0
    if after:
        first = next(outcome for outcome in outcomes if field(outcome, "code", ""))
        lines.append(after + (field(first, "slurm", "") or field(first, "message", "")))
    raise CommandError("\n".join(lines))


def _time_limit(value: str) -> dict[str, Any]:
    sign = value[:1] if value[:1] in ("+", "-") and value != "-1" else ""
    try:
        seconds = parse_time_limit_s(value[1:] if sign else value)
    except UnitError:
        raise CommandError("scontrol: error: Invalid TimeLimit value") from None
    if sign:
        return {"timeLimitByS": seconds if sign == "+" else -seconds}
    return {"timeLimitS": seconds}


def _whole(name: str, key: str, low: int = 0) -> Any:
    def make(value: str) -> dict[str, Any]:
        digits = value.removeprefix("-")
        if not (digits.isdecimal() and digits.isascii()) or int(value) < low:
            raise CommandError(f"scontrol: error: Invalid {name} value: {value}")
        return {key: int(value)}

    return make


def _nice(value: str) -> dict[str, Any]:
    result: dict[str, Any] = _whole("Nice", "nice", -(1 << 31))(value or "100")
    return result


def _low_end(name: str, key: str) -> Any:
    def make(value: str) -> dict[str, Any]:
        try:
            return {key: parse_count_range(value)[0]}
        except UnitError:
            raise CommandError(f"scontrol: error: Invalid {name} value: {value}") from None

    return make


def _memory(name: str, key: str) -> Any:
    def make(value: str) -> dict[str, Any]:
        try:
            return {key: parse_mem_mib(value)}
        except UnitError:
            raise CommandError(f"scontrol: error: Invalid {name} value: {value}") from None

    return make


def _text(key: str) -> Any:
    return lambda value: {key: value}


def _nodes(name: str, key: str) -> Any:
    def make(value: str) -> dict[str, Any]:
        try:
            return {key: {"values": expand(value)}}
        except HostlistError as error:
            raise CommandError(f"scontrol: error: Invalid {name} value: {error}") from None

    return make


def _instant(key: str) -> Any:
    def make(value: str) -> dict[str, Any]:
        from time import time

        from packhorse.cli.slurm.when import WhenError, parse_when_s

        try:
            return {key: parse_when_s(value, int(time())) * 1_000_000}
        except WhenError as error:
            raise CommandError(f"{error}\nNo changes specified") from None

    return make


def _dependency(value: str) -> dict[str, Any]:
    if not value:
        return {"dropDependency": True}
    from packhorse.cli.slurm.sbatch_request import dependency_or_error

    made, error = dependency_or_error(value)
    if made is None:
        raise CommandError(f"scontrol: error: {error}\nJob dependency problem")
    return {"dependency": made}


def _requeue(value: str) -> dict[str, Any]:
    if value.lower() not in ("0", "1", "yes", "no"):
        raise CommandError(f"scontrol: error: Invalid Requeue value: {value}")
    return {"requeue": value.lower() in ("1", "yes")}


def _lend(value: str) -> dict[str, Any]:
    if value.lower() not in ("0", "1", "yes", "no"):
        raise CommandError(f"scontrol: error: Invalid Lend value: {value}")
    return {"noLend": value.lower() in ("0", "no")}


_JOB_KEYS: dict[str, Any] = {
    "account": _text("account"),
    "arraytaskthrottle": _whole("ArrayTaskThrottle", "arrayLimit"),
    "comment": _text("comment"),
    "dependency": _dependency,
    "deadline": _instant("deadlineAtUs"),
    "eligibletime": _instant("beginAtUs"),
    "excnodelist": _nodes("ExcNodeList", "nodesExcluded"),
    "features": _text("features"),
    "jobname": _text("name"),
    "lend": _lend,
    "minmemorycpu": _memory("MinMemoryCPU", "memMibPerCpu"),
    "minmemorynode": _memory("MinMemoryNode", "memMibPerNode"),
    "name": _text("name"),
    "nice": _nice,
    "nodelist": _nodes("NodeList", "nodesRequired"),
    "numcpus": _low_end("NumCPUs", "nCpus"),
    "numnodes": _low_end("NumNodes", "minNodes"),
    "partition": _text("partition"),
    "priority": _whole("Priority", "priority"),
    "qos": _text("qos"),
    "reservation": _text("reservation"),
    "reservationname": _text("reservation"),
    "reqnodelist": _nodes("ReqNodeList", "nodesRequired"),
    "requeue": _requeue,
    "sitefactor": _whole("SiteFactor", "siteFactor", -(1 << 31)),
    "starttime": _instant("beginAtUs"),
    "timelimit": _time_limit,
}


def _update_nodes(pairs: list[tuple[str, str, str]], words: list[str]) -> int:
    names: list[str] = []
    action = ""
    reason = ""
    for (key, sign, value), word in zip(pairs, words, strict=True):
        if key in ("nodename", "node"):
            try:
                names = expand(value)
            except HostlistError as error:
                raise CommandError(
                    f"scontrol: error: {error}\nslurm_update error: Invalid node name specified"
                ) from None
        elif key == "state" and not sign:
            action = NODE_ACTIONS.get(value.lower(), "")
            if not action:
                raise CommandError(
                    f"Invalid input: {word}\nRequest aborted\n"
                    "Valid states are: DRAIN RESUME UNDRAIN DOWN IDLE\n"
                    "Not all states are valid given a node's prior state"
                )
        elif key == "reason" and not sign:
            reason = value
        else:
            raise _unsupported(word)
    if not action or not names:
        raise CommandError("No changes specified")
    if action != "NODE_ACTION_RESUME" and not reason:
        raise CommandError(NO_REASON)
    request = {"nodes": names, "action": action, "reason": reason, "idempotencyKey": os.urandom(16).hex()}
    return change("UpdateNodes", request)


def change(method: str, request: dict[str, Any]) -> int:
    """Makes the call; 0 if all was done. Raises CommandError with Slurm's line for each kind of refusal."""
    lines = [
        f"slurm_update error: {field(outcome, 'slurm', '') or field(outcome, 'message', '')}"
        for outcome in field(call(method, request), "outcomes", [])
        if field(outcome, "code", "")
    ]
    if lines:
        raise CommandError("\n".join(dict.fromkeys(lines)))
    return 0

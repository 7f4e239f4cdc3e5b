"""What each reason means, and what can be done about it: a row for every member of Reason.

The table of docs/policy/why.md is made of this; a test compares them, and sees that no reason is left out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from packhorse.scheduler.core.reasons import Reason


class Meaning(NamedTuple):
    """text: what it says about the job. todo: what helps. word: shown by `packhorse why` instead of
    Slurm's word where that says nothing."""

    text: str
    todo: str
    word: str = ""


NOT_YET: Final = "NotYetConsidered"
"""Instead of Slurm's `None`."""

_BY_NAME: Final[dict[str, Meaning]] = {
    "NONE": Meaning(
        "nothing is in its way: no pass has looked at it since it came or was changed",
        "wait for the next pass, which follows within moments",
        NOT_YET,
    ),
    "PRIORITY": Meaning(
        "jobs ahead of it come first, or starting it would delay a start that was promised to one of them",
        "ask for less time, so that it fits before the next promised start; `packhorse why` says how much",
    ),
    "RESOURCES": Meaning(
        "it is the next of its partition, and too little of what it asks for is free",
        "ask for less, or wait; `packhorse why` names the smallest change",
    ),
    "DEPENDENCY": Meaning(
        "it waits for another job to start or to end",
        "wait, or drop the condition: `scontrol update JobId=… Dependency=`",
    ),
    "DEPENDENCY_NEVER": Meaning(
        "the job it depends on ended otherwise than it asks, so that it will never start",
        "cancel it, or drop the condition: `scontrol update JobId=… Dependency=`",
    ),
    "BEGIN_TIME": Meaning(
        "its begin time, or the pause after a requeue or a failure, has not come yet",
        "`scontrol update JobId=… StartTime=now`",
    ),
    "HELD_USER": Meaning("its owner holds it", "`scontrol release …`"),
    "HELD_ADMIN": Meaning("an administrator holds it", "ask an administrator for `scontrol release …`"),
    "HELD_REQUEUED": Meaning(
        "it was put back into the queue and held there", "`scontrol release …`, by an administrator"
    ),
    "ARRAY_TASK_LIMIT": Meaning(
        "as many tasks of its array run as the array allows at once",
        "raise the limit: `scontrol update JobId=… ArrayTaskThrottle=…`",
    ),
    "PARTITION_DOWN": Meaning(
        "its partition is closed", "move it: `scontrol update JobId=… Partition=…`, or ask when it opens"
    ),
    "PARTITION_TIME_LIMIT": Meaning(
        "its time limit is above that of its partition (MaxTime)",
        "lower it: `scontrol update JobId=… TimeLimit=…`, or choose another partition",
    ),
    "PARTITION_NODE_LIMIT": Meaning(
        "it asks for more or fewer nodes than its partition allows or has (MinNodes, MaxNodes)",
        "`scontrol update JobId=… NumNodes=…`, or choose another partition",
    ),
    "PARTITION_CONFIG": Meaning(
        "no set of nodes of its partition could hold it, even if all were empty and up",
        "ask for less, or choose another partition",
    ),
    "NODES_REQUIRED_OFF": Meaning(
        "a node that it names takes no work", "name others: `scontrol update JobId=… NodeList=`, or wait"
    ),
    "NODES_OFF": Meaning(
        "the nodes that could hold it are drained or down", "an administrator resumes them, or ask for less"
    ),
    "NODES_SILENT": Meaning(
        "the nodes that could hold it do not answer", "an administrator looks after their agents"
    ),
    "LICENSES": Meaning(
        "too few of the licences that it wants are free", "wait until some are given back, or ask for fewer"
    ),
    "QUARANTINED": Meaning(
        "a decision about it failed, so that it was set aside and the others go on",
        "an administrator reads what failed, and releases it: `scontrol release …`",
    ),
    "RESERVATION": Meaning(
        "the reservation that it names has not begun, is over, is not for its user, or has no room left",
        "wait for its window, or `scontrol update JobId=… ReservationName=`",
    ),
    "RESERVATION_DELETED": Meaning(
        "the reservation that it names is no more", "`scontrol update JobId=… ReservationName=`"
    ),
    "RESERVED_MAINT": Meaning(
        "by its time limit it would run into a maintenance window",
        "ask for less time, so that it is over before, or wait until after it",
    ),
    "RESERVED_OTHER": Meaning(
        "by its time limit it would run into a reservation of others on these nodes",
        "ask for less time, so that it is over before, or wait until after it",
    ),
    "GANG_INCOMPLETE": Meaning(
        "members of its gang are missing, or another of them waits for more than room",
        "submit the missing ones; `packhorse why` says how many there are, and which of them holds it up",
    ),
    "QUOTA": Meaning(
        "its account holds its quota, and others leave nothing that it could borrow",
        "wait until jobs of the account end, ask for less, or use another account",
    ),
    "QUOTA_LENT": Meaning(
        "others have borrowed of its account's quota and have to give it back first",
        "wait: what was borrowed is taken back",
    ),
}

_AMOUNTS: Final = {
    "CPU": "CPUs",
    "MEM": "memory",
    "NODE": "nodes",
    "GRES": "devices",
    "LICENSE": "licences",
    "BILLING": "billing units",
}

_LESS: Final = "ask for less, or use another QOS or account that allows it"
_WAIT: Final = "wait until others of these jobs end, ask for less, or use another QOS or account"

# What stands between ASSOC_ or QOS_ and the amount: the text, Slurm's name of the limit, and what helps.
_LIMITS: Final[dict[str, tuple[str, str, str]]] = {
    "GRP_RUN_MINS": (
        "jobs of {whose} have as many {what} x minutes before them as they may",
        "GrpTRESRunMins",
        _WAIT,
    ),
    "GRP_MINS": (
        "the {what} x minutes of {whose} are used up",
        "GrpTRESMins",
        "wait until use has decayed, or ask for more of the budget",
    ),
    "GRP": ("jobs of {whose} hold as many {what} together as they may", "GrpTRES", _WAIT),
    "MAX_PER_NODE": ("it asks for more {what} on a node than a job of {whose} may", "MaxTRESPerNode", _LESS),
    "MAX_PER_USER": ("its user's jobs of {whose} hold as many {what} as they may", "MaxTRESPerUser", _WAIT),
    "MAX_PER_ACCOUNT": (
        "its account's jobs of {whose} hold as many {what} as they may",
        "MaxTRESPerAccount",
        _WAIT,
    ),
    "MAX_MINS": (
        "its {what} x time limit is more than a job of {whose} may have",
        "MaxTRESMinsPerJob",
        "ask for less, or for less time",
    ),
    "MAX": ("it asks for more {what} than a job of {whose} may", "MaxTRESPerJob", _LESS),
    "MIN": (
        "it asks for fewer {what} than a job of {whose} must",
        "MinTRESPerJob",
        "ask for more, or use another QOS",
    ),
}

_SINGLE: Final[dict[str, tuple[str, str, str]]] = {
    "GRP_JOBS": ("as many jobs of {whose} run as may", "GrpJobs", _WAIT),
    "GRP_WALL": (
        "the run time of {whose} is used up",
        "GrpWall",
        "wait until use has decayed, or ask for more of the budget",
    ),
    "MAX_JOBS": ("as many of its user's jobs of {whose} run as may", "MaxJobs", _WAIT),
    "MAX_JOBS_PER_USER": ("as many of its user's jobs of {whose} run as may", "MaxJobsPerUser", _WAIT),
    "MAX_JOBS_PER_ACCOUNT": (
        "as many of its account's jobs of {whose} run as may",
        "MaxJobsPerAccount",
        _WAIT,
    ),
    "MAX_WALL": (
        "its time limit is above what a job of {whose} may have",
        "MaxWall",
        "`scontrol update JobId=… TimeLimit=…`",
    ),
    "USAGE_THRESHOLD": (
        "its account's fair share is below what {whose} asks for",
        "UsageThreshold",
        "wait until use has decayed, or use another QOS",
    ),
}


def _of_limit(name: str) -> Meaning | None:
    """Of a limit, by how the reason is called: ASSOC_ or QOS_, which limit, and of what."""
    side, _, rest = name.partition("_")
    whose = {"ASSOC": "its account or one above it", "QOS": "its QOS"}.get(side)
    if whose is None:
        return None
    head, _, amount = rest.rpartition("_")
    text, title, todo = _SINGLE.get(rest) or _LIMITS.get(head, ("", "", ""))
    if not text:
        return None
    said = text.format(whose=whose, what=_AMOUNTS.get(amount, ""))
    return Meaning(f"{said} ({title})", todo)


MEANINGS: Final[dict[Reason, Meaning]] = {
    reason: found
    for reason in Reason
    if (found := _BY_NAME.get(reason.name) or _of_limit(reason.name)) is not None
}


def meaning(reason: Reason) -> Meaning:
    """Its row. A reason that has none yet speaks for itself."""
    return MEANINGS.get(reason) or Meaning(reason.value, "ask an administrator")


def word(reason: Reason) -> str:
    """How `packhorse why` calls it: Slurm's word, or one that says more."""
    return meaning(reason).word or reason.value


def markdown() -> str:
    """The table of reasons, as in docs/policy/why.md."""
    rows = [f"| `{word(reason)}` | {meaning(reason).text} | {meaning(reason).todo} |" for reason in Reason]
    return "\n".join(["| reason | what it means | what helps |", "|---|---|---|", *rows])

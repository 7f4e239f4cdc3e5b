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

MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.NONE: Meaning(
        "nothing is in its way: no pass has looked at it since it came or was changed",
        "wait for the next pass, which follows within moments",
        NOT_YET,
    ),
    Reason.PRIORITY: Meaning(
        "jobs ahead of it come first, or starting it would delay a start that was promised to one of them",
        "ask for less time, so that it fits before the next promised start; `packhorse why` says how much",
    ),
    Reason.RESOURCES: Meaning(
        "it is the next of its partition, and too little of what it asks for is free",
        "ask for less, or wait; `packhorse why` names the smallest change",
    ),
    Reason.DEPENDENCY: Meaning(
        "it waits for another job to start or to end",
        "wait, or drop the condition: `scontrol update JobId=… Dependency=`",
    ),
    Reason.DEPENDENCY_NEVER: Meaning(
        "the job it depends on ended otherwise than it asks, so that it will never start",
        "cancel it, or drop the condition: `scontrol update JobId=… Dependency=`",
    ),
    Reason.BEGIN_TIME: Meaning(
        "its begin time, or the pause after a requeue or a failure, has not come yet",
        "`scontrol update JobId=… StartTime=now`",
    ),
    Reason.HELD_USER: Meaning("its owner holds it", "`scontrol release …`"),
    Reason.HELD_ADMIN: Meaning("an administrator holds it", "ask an administrator for `scontrol release …`"),
    Reason.HELD_REQUEUED: Meaning(
        "it was put back into the queue and held there", "`scontrol release …`, by an administrator"
    ),
    Reason.ARRAY_TASK_LIMIT: Meaning(
        "as many tasks of its array run as the array allows at once",
        "raise the limit: `scontrol update JobId=… ArrayTaskThrottle=…`",
    ),
    Reason.PARTITION_DOWN: Meaning(
        "its partition is closed", "move it: `scontrol update JobId=… Partition=…`, or ask when it opens"
    ),
    Reason.PARTITION_TIME_LIMIT: Meaning(
        "its time limit is above that of its partition (MaxTime)",
        "lower it: `scontrol update JobId=… TimeLimit=…`, or choose another partition",
    ),
    Reason.PARTITION_NODE_LIMIT: Meaning(
        "it asks for more or fewer nodes than its partition allows or has (MinNodes, MaxNodes)",
        "`scontrol update JobId=… NumNodes=…`, or choose another partition",
    ),
    Reason.PARTITION_CONFIG: Meaning(
        "no set of nodes of its partition could hold it, even if all were empty and up",
        "ask for less, or choose another partition",
    ),
    Reason.NODES_REQUIRED_OFF: Meaning(
        "a node that it names takes no work", "name others: `scontrol update JobId=… NodeList=`, or wait"
    ),
    Reason.NODES_OFF: Meaning(
        "the nodes that could hold it are drained or down", "an administrator resumes them, or ask for less"
    ),
    Reason.NODES_SILENT: Meaning(
        "the nodes that could hold it do not answer", "an administrator looks after their agents"
    ),
    Reason.LICENSES: Meaning(
        "too few of the licences that it wants are free", "wait until some are given back, or ask for fewer"
    ),
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

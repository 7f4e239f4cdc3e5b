"""Why a job waits: every reason there is, in Slurm's words where Slurm has one.

The value of a member is what `squeue` shows in REASON. Columns keep a reason as its `code` (one byte).
Slurm adds names to `ReqNodeNotAvail`; `core/explain.py` does the same (`reason_text`).

| reason | decided by | it goes away when |
|---|---|---|
| NONE | nobody yet | the next cycle looks at the job |
| PRIORITY | cycle | the jobs ahead have started, or the job fits beside their planned starts (1) |
| RESOURCES | cycle | enough of what it asks for becomes free; it is next in its partition |
| DEPENDENCY | lifecycle | the other job does what the dependency says |
| DEPENDENCY_NEVER | lifecycle | never; somebody must cancel or change the job |
| BEGIN_TIME | lifecycle | its begin time, requeue delay or retry backoff has come |
| HELD_USER | lifecycle | its owner or an administrator releases it |
| HELD_ADMIN, HELD_REQUEUED | lifecycle | an administrator releases it |
| QUARANTINED | lifecycle | an administrator releases it: decisions about it had failed |
| ARRAY_TASK_LIMIT | columns | another task of the array ends (`--array=…%limit`) |
| PARTITION_DOWN | cycle | an administrator opens the partition |
| PARTITION_TIME_LIMIT | cycle | its time limit is lowered or the partition's raised |
| PARTITION_NODE_LIMIT | cycle | it asks for a number of nodes that the partition allows |
| PARTITION_CONFIG | cycle | nodes are added or changed: no set of registered ones could hold it |
| NODES_REQUIRED_OFF | cycle | a node that it names (`-w`) is resumed or answers again |
| NODES_OFF | cycle | drained or downed nodes are resumed: what is up is too little even when empty |
| NODES_SILENT | cycle | silent nodes answer again: what answers is too little even when empty |
| LICENSES | cycle | enough of the licences that it wants are given back |
(1) Under the order "packhorse" also: enough stays free for short jobs without it, or its quiet hour has come.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a job waits. New members go to the end: the position is the code in the columns."""

    NONE = "None"
    PRIORITY = "Priority"
    RESOURCES = "Resources"
    DEPENDENCY = "Dependency"
    DEPENDENCY_NEVER = "DependencyNeverSatisfied"
    BEGIN_TIME = "BeginTime"
    HELD_USER = "JobHeldUser"
    HELD_ADMIN = "JobHeldAdmin"
    HELD_REQUEUED = "job requeued in held state"
    ARRAY_TASK_LIMIT = "JobArrayTaskLimit"
    PARTITION_DOWN = "PartitionDown"
    PARTITION_TIME_LIMIT = "PartitionTimeLimit"
    PARTITION_NODE_LIMIT = "PartitionNodeLimit"
    PARTITION_CONFIG = "PartitionConfig"
    NODES_REQUIRED_OFF = "ReqNodeNotAvail"
    NODES_OFF = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"
    NODES_SILENT = "NodeDown"
    LICENSES = "Licenses"
    QUARANTINED = "Quarantined"

    @property
    def code(self) -> int:
        """Its number in the columns."""
        return _CODE[self]


REASONS: tuple[Reason, ...] = tuple(Reason)
"""By code."""

_CODE: dict[Reason, int] = {reason: code for code, reason in enumerate(REASONS)}

BY_CYCLE = frozenset(
    {
        Reason.NONE,
        Reason.PRIORITY,
        Reason.RESOURCES,
        Reason.PARTITION_DOWN,
        Reason.PARTITION_TIME_LIMIT,
        Reason.PARTITION_NODE_LIMIT,
        Reason.PARTITION_CONFIG,
        Reason.NODES_REQUIRED_OFF,
        Reason.NODES_OFF,
        Reason.NODES_SILENT,
        Reason.LICENSES,
    }
)
"""Reasons of eligible jobs: the cycle gives them, and only it."""

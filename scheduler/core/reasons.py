"""Why a job waits: every reason there is, in Slurm's words where Slurm has one.

The value of a member is what `squeue` shows in REASON. Columns keep a reason as its `code`.
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
| RESERVATION | cycle | the window of its reservation opens, and its user may use it |
| RESERVATION_DELETED | cycle | it is given another reservation, or none; or one of that name is made |
| RESERVED_MAINT | cycle | the maintenance is over that it would run into; a shorter time limit helps before |
| RESERVED_OTHER | cycle | the same of any other reservation |
| ASSOC_…, QOS_… | cycle | other jobs that count under the limit end, or the limit is raised (2) |
| QUOTA | cycle | the account holds less, or its siblings leave more of their quota |
| QUOTA_LENT | cycle | siblings that borrowed of its account's quota give it back |
| GANG_INCOMPLETE | gangs, cycle | all members of its gang wait, and for nothing but room |
(1) Under the order "packhorse" also: enough stays free for short jobs without it, or its quiet hour has come.
(2) Limits of each job by itself (…_MAX_… per job or node, …_MIN_…): never, unless the job or the limit is
changed. Minutes of a budget come back as use decays or is reset, those of running jobs as time passes. All
limits and their reasons: docs/policy/limits.md.
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
    RESERVATION = "Reservation"
    RESERVATION_DELETED = "ReservationDeleted"
    RESERVED_MAINT = "ReqNodeNotAvail, Reserved for maintenance"
    RESERVED_OTHER = "ReqNodeNotAvail, May be reserved for other job"
    QUARANTINED = "Quarantined"
    ASSOC_GRP_CPU = "AssocGrpCpuLimit"
    ASSOC_GRP_MEM = "AssocGrpMemLimit"
    ASSOC_GRP_NODE = "AssocGrpNodeLimit"
    ASSOC_GRP_GRES = "AssocGrpGRES"
    ASSOC_GRP_LICENSE = "AssocGrpLicense"
    ASSOC_GRP_BILLING = "AssocGrpBilling"
    ASSOC_GRP_MINS_CPU = "AssocGrpCPUMinutesLimit"
    ASSOC_GRP_MINS_MEM = "AssocGrpMemMinutes"
    ASSOC_GRP_MINS_NODE = "AssocGrpNodeMinutes"
    ASSOC_GRP_MINS_GRES = "AssocGrpGRESMinutes"
    ASSOC_GRP_MINS_LICENSE = "AssocGrpLicenseMinutes"
    ASSOC_GRP_MINS_BILLING = "AssocGrpBillingMinutes"
    ASSOC_GRP_RUN_MINS_CPU = "AssocGrpCPURunMinutesLimit"
    ASSOC_GRP_RUN_MINS_MEM = "AssocGrpMemRunMinutes"
    ASSOC_GRP_RUN_MINS_NODE = "AssocGrpNodeRunMinutes"
    ASSOC_GRP_RUN_MINS_GRES = "AssocGrpGRESRunMinutes"
    ASSOC_GRP_RUN_MINS_LICENSE = "AssocGrpLicenseRunMinutes"
    ASSOC_GRP_RUN_MINS_BILLING = "AssocGrpBillingRunMinutes"
    ASSOC_MAX_CPU = "AssocMaxCpuPerJobLimit"
    ASSOC_MAX_MEM = "AssocMaxMemPerJob"
    ASSOC_MAX_NODE = "AssocMaxNodePerJobLimit"
    ASSOC_MAX_GRES = "AssocMaxGRESPerJob"
    ASSOC_MAX_LICENSE = "AssocMaxLicensePerJob"
    ASSOC_MAX_BILLING = "AssocMaxBillingPerJob"
    ASSOC_MAX_PER_NODE_CPU = "AssocMaxCpuPerNode"
    ASSOC_MAX_PER_NODE_MEM = "AssocMaxMemPerNode"
    ASSOC_MAX_PER_NODE_GRES = "AssocMaxGRESPerNode"
    ASSOC_MAX_MINS_CPU = "AssocMaxCpuMinutesPerJobLimit"
    ASSOC_MAX_MINS_MEM = "AssocMaxMemMinutesPerJob"
    ASSOC_MAX_MINS_NODE = "AssocMaxNodeMinutesPerJob"
    ASSOC_MAX_MINS_GRES = "AssocMaxGRESMinutesPerJob"
    ASSOC_MAX_MINS_LICENSE = "AssocMaxLicenseMinutesPerJob"
    ASSOC_MAX_MINS_BILLING = "AssocMaxBillingMinutesPerJob"
    ASSOC_GRP_JOBS = "AssocGrpJobsLimit"
    ASSOC_GRP_WALL = "AssocGrpWallLimit"
    ASSOC_MAX_JOBS = "AssocMaxJobsLimit"
    ASSOC_MAX_WALL = "AssocMaxWallDurationPerJobLimit"
    QOS_GRP_CPU = "QOSGrpCpuLimit"
    QOS_GRP_MEM = "QOSGrpMemLimit"
    QOS_GRP_NODE = "QOSGrpNodeLimit"
    QOS_GRP_GRES = "QOSGrpGRES"
    QOS_GRP_LICENSE = "QOSGrpLicense"
    QOS_GRP_BILLING = "QOSGrpBilling"
    QOS_GRP_MINS_CPU = "QOSGrpCPUMinutesLimit"
    QOS_GRP_MINS_MEM = "QOSGrpMemoryMinutes"
    QOS_GRP_MINS_NODE = "QOSGrpNodeMinutes"
    QOS_GRP_MINS_GRES = "QOSGrpGRESMinutes"
    QOS_GRP_MINS_LICENSE = "QOSGrpLicenseMinutes"
    QOS_GRP_MINS_BILLING = "QOSGrpBillingMinutes"
    QOS_GRP_RUN_MINS_CPU = "QOSGrpCPURunMinutesLimit"
    QOS_GRP_RUN_MINS_MEM = "QOSGrpMemoryRunMinutes"
    QOS_GRP_RUN_MINS_NODE = "QOSGrpNodeRunMinutes"
    QOS_GRP_RUN_MINS_GRES = "QOSGrpGRESRunMinutes"
    QOS_GRP_RUN_MINS_LICENSE = "QOSGrpLicenseRunMinutes"
    QOS_GRP_RUN_MINS_BILLING = "QOSGrpBillingRunMinutes"
    QOS_MAX_CPU = "QOSMaxCpuPerJobLimit"
    QOS_MAX_MEM = "QOSMaxMemoryPerJob"
    QOS_MAX_NODE = "QOSMaxNodePerJobLimit"
    QOS_MAX_GRES = "QOSMaxGRESPerJob"
    QOS_MAX_LICENSE = "QOSMaxLicensePerJob"
    QOS_MAX_BILLING = "QOSMaxBillingPerJob"
    QOS_MAX_PER_NODE_CPU = "QOSMaxCpuPerNode"
    QOS_MAX_PER_NODE_MEM = "QOSMaxMemoryPerNode"
    QOS_MAX_PER_NODE_GRES = "QOSMaxGRESPerNode"
    QOS_MAX_MINS_CPU = "QOSMaxCpuMinutesPerJobLimit"
    QOS_MAX_MINS_MEM = "QOSMaxMemoryMinutesPerJob"
    QOS_MAX_MINS_NODE = "QOSMaxNodeMinutesPerJob"
    QOS_MAX_MINS_GRES = "QOSMaxGRESMinutesPerJob"
    QOS_MAX_MINS_LICENSE = "QOSMaxLicenseMinutesPerJob"
    QOS_MAX_MINS_BILLING = "QOSMaxBillingMinutesPerJob"
    QOS_MAX_PER_USER_CPU = "QOSMaxCpuPerUserLimit"
    QOS_MAX_PER_USER_MEM = "QOSMaxMemoryPerUser"
    QOS_MAX_PER_USER_NODE = "QOSMaxNodePerUserLimit"
    QOS_MAX_PER_USER_GRES = "QOSMaxGRESPerUser"
    QOS_MAX_PER_USER_LICENSE = "QOSMaxLicensePerUser"
    QOS_MAX_PER_USER_BILLING = "QOSMaxBillingPerUser"
    QOS_MAX_PER_ACCOUNT_CPU = "MaxCpuPerAccount"
    QOS_MAX_PER_ACCOUNT_MEM = "MaxMemoryPerAccount"
    QOS_MAX_PER_ACCOUNT_NODE = "MaxNodePerAccount"
    QOS_MAX_PER_ACCOUNT_GRES = "MaxGRESPerAccount"
    QOS_MAX_PER_ACCOUNT_LICENSE = "MaxLicensePerAccount"
    QOS_MAX_PER_ACCOUNT_BILLING = "MaxBillingPerAccount"
    QOS_MIN_CPU = "QOSMinCpuNotSatisfied"
    QOS_MIN_MEM = "QOSMinMemory"
    QOS_MIN_NODE = "QOSMinNode"
    QOS_MIN_GRES = "QOSMinGRES"
    QOS_MIN_LICENSE = "QOSMinLicense"
    QOS_MIN_BILLING = "QOSMinBilling"
    QOS_GRP_JOBS = "QOSGrpJobsLimit"
    QOS_GRP_WALL = "QOSGrpWallLimit"
    QOS_MAX_JOBS_PER_USER = "QOSMaxJobsPerUserLimit"
    QOS_MAX_JOBS_PER_ACCOUNT = "MaxJobsPerAccount"
    QOS_MAX_WALL = "QOSMaxWallDurationPerJobLimit"
    QOS_USAGE_THRESHOLD = "QOSUsageThreshold"
    QUOTA = "AssocQuotaLimit"
    QUOTA_LENT = "QuotaLent"
    GANG_INCOMPLETE = "GangIncomplete"

    @property
    def code(self) -> int:
        """Its number in the columns."""
        return _CODE[self]


REASONS: tuple[Reason, ...] = tuple(Reason)
"""By code."""

_CODE: dict[Reason, int] = {reason: code for code, reason in enumerate(REASONS)}

OF_LIMITS = frozenset(REASONS[Reason.ASSOC_GRP_CPU.code : Reason.QUOTA_LENT.code + 1])
"""Reasons of jobs that a limit, a budget or a quota holds up (core/accounts/quota.py)."""

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
        Reason.RESERVATION,
        Reason.RESERVATION_DELETED,
        Reason.RESERVED_MAINT,
        Reason.RESERVED_OTHER,
        Reason.GANG_INCOMPLETE,
        *OF_LIMITS,
    }
)
"""Reasons of eligible jobs: the cycle gives them, and only it."""

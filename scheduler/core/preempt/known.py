"""What preemption has to know of running and waiting jobs, without looking at all of them in every pass.

Derived from the values: `apply` keeps it, and a state read from a snapshot has it made again.
"""

from __future__ import annotations

from packhorse.scheduler.core.preempt.looks import Looks
from packhorse.scheduler.core.preempt.rights import Group, Rights, group_of
from packhorse.scheduler.model.accounts import Qos
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId
from packhorse.scheduler.model.job import Active, Job, Pending

CLAIM_S = 120
"""So long after its victims should have gone, room is kept for a job; then it is like others."""


class Known:
    """See the module. running: jobs that hold an allocation, by group. leaving: those of them that were told
    to stop. suspended: those that are to make room for others. claims: waiting jobs for which others make
    room. wake_at: when somebody's exemption ends that a waiting job would have make room, 0: none is waited
    for. changes: grows when somebody gets an allocation, or it changes or ends. looks: which rows the
    searches of passes came to."""

    __slots__ = (
        "_group",
        "_rights",
        "_rights_of",
        "changes",
        "claims",
        "leaving",
        "looks",
        "running",
        "suspended",
        "wake_at",
    )

    def __init__(self) -> None:
        self.running: dict[Group, dict[JobId, None]] = {}
        self.leaving: dict[JobId, None] = {}
        self.suspended: dict[JobId, None] = {}
        self.claims: dict[JobId, None] = {}
        self.wake_at: Instant = UNKNOWN
        self.changes = 0
        self.looks = Looks()
        self._group: dict[JobId, Group] = {}
        self._rights: Rights | None = None
        self._rights_of: tuple[ClusterConfig | None, int] = (None, 0)

    def rights(self, config: ClusterConfig, qos: dict[str, Qos], version: int) -> Rights:
        """Those of this configuration; version: of the book that has these QOS."""
        if self._rights is None or self._rights_of[0] is not config or self._rights_of[1] != version:
            self._rights, self._rights_of = Rights(config, qos), (config, version)
            self.changes += 1
        return self._rights

    def forget_rights(self) -> None:
        """They are worked out anew."""
        self._rights = None

    def put(self, job: Job) -> None:
        """The job is as it is now: waiting, with an allocation, or changed in one of these."""
        self.gone(job.id)
        if isinstance(job.phase, Active):
            self.changes += 1
            group = self._group[job.id] = group_of(job)
            self.running.setdefault(group, {})[job.id] = None
            if job.phase.ending is not None:
                self.leaving[job.id] = None
            elif job.phase.suspended_for:
                self.suspended[job.id] = None
        elif isinstance(job.phase, Pending) and job.room_until:
            self.claims[job.id] = None

    def gone(self, id: JobId) -> None:
        """It is over, or of no interest any more."""
        self.claims.pop(id, None)
        self.leaving.pop(id, None)
        self.suspended.pop(id, None)
        group = self._group.pop(id, None)
        if group is not None:
            self.changes += 1
            members = self.running[group]
            del members[id]
            if not members:
                del self.running[group]

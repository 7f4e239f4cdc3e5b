"""What preemption has to know of running and waiting jobs, without looking at all of them in every pass.

Derived from the values: `apply` keeps it, and a state read from a snapshot has it made again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.preempt.looks import Looks
from packhorse.scheduler.core.preempt.rights import Group, Rights, group_of
from packhorse.scheduler.core.preempt.room import Taken, held_by
from packhorse.scheduler.core.usage import device_milli
from packhorse.scheduler.model.accounts import Qos
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.ids import UNKNOWN, Instant, JobId
from packhorse.scheduler.model.job import Active, Job, Pending
from packhorse.scheduler.model.resources import Placement

_PARTS: Final = 1_000_000

CLAIM_S = 120
"""So long after its victims should have gone, room is kept for a job; then it is like others."""


class Amounts(NamedTuple):
    """held: the placements that the rest is of. holds: amounts by position on the board. share: of the
    cluster's CPUs, or of its devices if that is more, in millionths, at least one. sliced: whether it has
    slices of devices."""

    held: tuple[Placement, ...]
    holds: Taken
    share: int
    sliced: bool


class Known:
    """See the module. running: jobs that hold an allocation, by group. leaving: those of them that were told
    to stop. suspended: those that are to make room for others. claims: waiting jobs for which others make
    room. wake_at: when somebody's exemption ends that a waiting job would have make room, 0: none is waited
    for. changes: grows when somebody gets an allocation, or it changes or ends. looks: which rows the
    searches of passes came to."""

    __slots__ = (
        "_amounts",
        "_amounts_of",
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
        self._amounts: dict[JobId, Amounts] = {}
        self._amounts_of: Board | None = None
        self._group: dict[JobId, Group] = {}
        self._rights: Rights | None = None
        self._rights_of: tuple[ClusterConfig | None, int] = (None, 0)

    def rights(self, config: ClusterConfig, qos: dict[str, Qos], version: int) -> Rights:
        """Those of this configuration; version: of the book that has these QOS."""
        if self._rights is None or self._rights_of[0] is not config or self._rights_of[1] != version:
            self._rights, self._rights_of = Rights(config, qos), (config, version)
            self.changes += 1
        return self._rights

    def amounts(self, nodes: NodeColumns, job: JobId, active: Active) -> Amounts:
        """What the job, which has an allocation, holds; the answer is kept while that is so."""
        board, held = nodes.board(), nodes.held(job)
        if self._amounts_of is not board:
            self._amounts.clear()
            self._amounts_of = board
        found = self._amounts.get(job)
        if found is None or found.held is not held:
            cpus, _, devices = board.totals.tolist()
            parts = (
                (sum(p.cpu_milli for p in active.placements), cpus),
                (sum(device_milli(p) for p in active.placements), devices),
            )
            share = max(amount * _PARTS // max(int(total), 1) for amount, total in parts)
            sliced = any(d.part for p in active.placements for d in p.devices)
            found = self._amounts[job] = Amounts(held, held_by(nodes, board, job), max(share, 1), sliced)
        return found

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
        self._amounts.pop(id, None)
        group = self._group.pop(id, None)
        if group is not None:
            self.changes += 1
            members = self.running[group]
            del members[id]
            if not members:
                del self.running[group]

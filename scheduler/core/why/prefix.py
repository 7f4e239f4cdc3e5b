"""A pass that ends just before one row: what is free for the job then, and what it must leave for others.

With it a question of the kind "and with less memory?" costs a search for one place, not a pass. Its
answers are good guesses, since a changed job may stand elsewhere in the order or meet rules that count
more than room; the pass of core/why/trial.py decides.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from packhorse.scheduler.core.backfill import find
from packhorse.scheduler.core.cycle import Cycle
from packhorse.scheduler.core.licenses import jobs_within
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.request import Request
from packhorse.scheduler.core.packing.verdicts import holds
from packhorse.scheduler.core.pending_columns import FOREVER
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.reservations.picture import View
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.together import Together
from packhorse.scheduler.model.cluster import Partition
from packhorse.scheduler.model.gresspec import parse_licenses
from packhorse.scheduler.model.ids import UNKNOWN, US, Instant, JobId, NodeName
from packhorse.scheduler.model.job import JobSpec

_BY_PLACE: Final = ("order", "classes", "durations", "codes", "queue")
"""Arrays of a pass that have one entry per row."""


NO_CLASS: Final = -1
"""Of jobs outside all reservations."""


class Ahead(Cycle):
    """See the module. place: how many rows are before the job's; all, if it may not start at all. before:
    their slots. depth: how many blocked jobs of its partition get a planned start, 0: as the configuration
    says."""

    def __init__(self, state: State, now: Instant, id: JobId, depth: int = 0) -> None:
        super().__init__(state, now)
        found = np.flatnonzero(self.pending.id[self.order] == id)
        self.place = int(found[0])
        slot = self.order[self.place]
        self.code = int(self.pending.ask_class[slot])
        own = state.jobs.get(id) or state.arrays[id]
        self.own_reservation = own.spec.reservation
        self.avoid = state.jobs[id].avoid if id in state.jobs else ()
        if self.together is not None:
            self.together.show()
        for title in _BY_PLACE:
            setattr(self, title, getattr(self, title)[: self.place])
        self.before = self.order
        if self.together is not None:
            self.together = Together(self)
        self.expected_us = self.pending.expected(id) if state.config.predictor != LIMIT else 0
        if depth:
            self.heads_left[int(self.pending.partition[slot])] = depth
        self.run()
        self.free_licenses = self.supply._free

    def where(self, spec: JobSpec) -> tuple[NodeName, ...]:
        """Nodes that could take it now, planned starts unharmed; empty if none can."""
        request = self.request_of(spec)
        if request is None:
            return ()
        field = self.field
        j = field.layer_of(self.now + self.duration_us(spec))
        able = np.flatnonzero(field.up)
        view = self.view(spec)
        if view is not None:
            request = view.narrowed(request, self.now + self.duration_us(spec))
        taken = find(field, request, field.room(j), able) if able.size else None
        return tuple(field.board.names[position] for position, _ in taken) if taken else ()

    def fits(self, spec: JobSpec) -> bool:
        """Whether some do."""
        return bool(self.where(spec))

    def earliest(self, spec: JobSpec) -> Instant:
        """When it would start if all keep to their limits, UNKNOWN if no end is in sight or it is tried in
        vain."""
        request = self.request_of(spec)
        if request is None:
            return UNKNOWN
        if self.fits(spec):
            return self.now
        duration, view = self.duration_us(spec), self.view(spec)
        planned = self._timeline().earliest(request, duration, view=view)
        return planned.start if planned is not None and planned.start < NEVER else UNKNOWN

    def deadlines(self, spec: JobSpec) -> list[int]:
        """Instants from which on less is free for it: planned starts, and windows of reservations."""
        view = self.view(spec)
        return [*(layer.start for layer in self.field.layers), *(view.starts if view is not None else ())]

    def view(self, spec: JobSpec) -> View | None:
        """Which nodes reservations leave open to it; None where nothing is reserved."""
        if self.reserved is None:
            return None
        return self.reserved.view(self.code if spec.reservation == self.own_reservation else NO_CLASS)

    def duration_us(self, spec: JobSpec) -> int:
        """How long it is believed to run."""
        limit = spec.time_limit_s * US if spec.time_limit_s else FOREVER
        return min(limit, self.expected_us) if self.expected_us else limit

    def is_room(self, spec: JobSpec) -> bool:
        """Whether it would fit if nobody were ahead of it."""
        request = self.request_of(spec)
        return request is not None and holds(Field(self.state.node_columns), request, up=True)

    def request_of(self, spec: JobSpec) -> Request | None:
        """Ready to be placed; None if its partition or the licences are against it."""
        partition = self.rules.partitions.get(spec.partition)
        if partition is None or not allows(partition, spec):
            return None
        if spec.licenses and not jobs_within(parse_licenses(spec.licenses), self.free_licenses):
            return None
        shape = Shape(spec.ask)
        return Request(spec.ask, shape, partition, self.avoid, self.field.board, self.field.column_of)


def allows(partition: Partition, spec: JobSpec) -> bool:
    """Whether the partition is open for that many nodes and so much time."""
    if not partition.up:
        return False
    if partition.max_time_s and not 0 < spec.time_limit_s <= partition.max_time_s:
        return False
    if partition.max_nodes and spec.ask.min_nodes > partition.max_nodes:
        return False
    return not (partition.min_nodes and spec.ask.max_nodes and spec.ask.max_nodes < partition.min_nodes)

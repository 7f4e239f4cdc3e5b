"""The nodes as each waiting row saw them in a pass: what the search for victims goes by.

What began or was planned before the row's place stands, what comes after it does not; who is leaving has
left; and what was decided for rows before it is so. Rows are asked for in order: from one to the next only
what lies between them changes, and a picture is made anew only where a planned start does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from packhorse.scheduler.core.packing.field import Field, Layer
from packhorse.scheduler.core.preempt.candidates import Candidate
from packhorse.scheduler.core.preempt.effort import LEAVE, PICTURE_NODES, Effort
from packhorse.scheduler.core.preempt.room import Taken, held, held_by, put_back, take
from packhorse.scheduler.core.running_columns import NEVER
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.job import Active, ArrayJob, Job

if TYPE_CHECKING:
    from packhorse.scheduler.core.cycle import Cycle, Grant


_NO_ROW: Final = -1


class Decided(NamedTuple):
    """Room for a job: what it will take until then, and who leaves for it, or does not start (by number)."""

    taken: Taken
    end: int
    victims: Sequence[Candidate] = ()
    unstarted: Sequence[int] = ()


class Pictures:
    """See the module. grants: what the pass starts; of one in which slices of devices are given out it is not
    known what is left without it, so that it stands in every picture."""

    def __init__(self, cycle: Cycle, grants: Sequence[Grant], effort: Effort) -> None:
        self.cycle = cycle
        self.effort = effort
        self.state = cycle.state
        self.grants = grants
        self.decided: list[Decided] = []
        ids = cycle.pending.id[cycle.order].tolist()
        self._place: dict[int, int] = dict(zip(ids, range(len(ids)), strict=True))
        of_row = {id(planned): self._place[job] for job, planned in cycle.plans.items()}
        plans = cycle.timeline.planned if cycle.timeline is not None else ()
        self._plans = sorted(
            ((of_row.get(id(planned), _NO_ROW), planned) for planned in plans), key=lambda pair: pair[1].start
        )
        """Of rows by their place, and of reservations."""
        self._held: dict[int, Taken] = {}
        self._field: Field | None = None
        self._at = 0
        self._gone: set[int] = set()

    def at(self, place: int) -> Field:
        """For the row at this place, not before that of the last call. What is changed in it stays, and has
        to be told by `decide` if it is to be so for the rows after it."""
        field = self._field
        if field is None or any(self._at <= row < place for row, _ in self._plans):
            field = self._field = self._made(place)
        else:
            back = [n for n in self._gone if self._at < self.place_of(self.grants[n].id) <= place]
            for number in sorted(back):
                if not any(number in one.unstarted for one in self.decided):
                    self._gone.remove(number)
                    take(field, self.of_grant(number), field.layer_of(self.end_of(number)))
        self._at = place
        return field

    def from_the_first(self) -> None:
        """Rows are asked for in order once more."""
        self._field, self._at = None, 0

    def decide(self, decided: Decided) -> None:
        """The last picture says so already."""
        self.decided.append(decided)

    def place_of(self, id: JobId) -> int:
        """Where the row is looked at."""
        return self._place[id]

    def end_of(self, number: int) -> int:
        """When the job that starts is expected to end."""
        return self.cycle.now + int(self.cycle.durations[self.place_of(self.grants[number].id)])

    def of_grant(self, number: int) -> Taken:
        """What it takes."""
        found = self._held.get(number)
        if found is None:
            grant = self.grants[number]
            exclusive = self.waiter(grant.id).spec.ask.exclusive
            board = self.cycle.field.board
            found = self._held[number] = held(self.state.node_columns, board, grant.placements, exclusive)
        return found

    def is_sliced(self, number: int) -> bool:
        """Whether it has slices of devices."""
        return any(d.part for p in self.grants[number].placements for d in p.devices)

    def waiter(self, id: JobId) -> Job | ArrayJob:
        """The job, or the array of the row."""
        return self.state.jobs.get(id) or self.state.arrays[id]

    def in_the_way(self, place: int) -> bool:
        """Whether starts after this place have some of the room that the last decision counts on."""
        field = self.at(place)
        later: dict[tuple[int, int], int] = {}
        for number in self._gone:
            if self.place_of(self.grants[number].id) > place:
                for position, pairs in self.of_grant(number):
                    for resource, amount in pairs:
                        later[position, resource] = later.get((position, resource), 0) + amount
        return any(
            later.get((position, r), 0) > field.free[r, position]
            for position, pairs in self.decided[-1].taken
            for r, _ in pairs
        )

    # -- inside ------------------------------------------------------------------------------------------

    def _made(self, place: int) -> Field:
        field = self.cycle.field.copy(self.state.node_columns)
        self._without_later_plans(field, place)
        self._gone = {
            number
            for number, grant in enumerate(self.grants)
            if self.place_of(grant.id) > place and not self.is_sliced(number)
        }
        for one in self.decided:
            self._gone.update(one.unstarted)
        self.effort.spend(field.n // PICTURE_NODES + LEAVE * len(self._gone))
        for number in sorted(self._gone):
            put_back(field, self.of_grant(number), field.layer_of(self.end_of(number)))
        for holds, end in self._leavers():
            put_back(field, holds, field.layer_of(end))
        for one in self.decided:
            for victim in one.victims:
                put_back(field, victim.holds, field.layer_of(victim.end))
            take(field, one.taken, field.layer_of(one.end))
        return field

    def _without_later_plans(self, field: Field, place: int) -> None:
        """Planned starts of rows at this place, or later, are none of the row's business; nor are those of
        which no end is in sight, which nobody can delay."""
        layers: list[Layer] = []
        dropped = []
        for layer, (row, planned) in zip(field.layers, self._plans, strict=True):
            if row < place and planned.start < NEVER:
                layers.append(layer)
            else:
                dropped.append(planned)
        for planned in dropped:
            for layer in layers:
                if planned.start <= layer.start < planned.end:
                    for position, pairs in planned.taken:
                        for resource, amount in pairs:
                            layer.free[position][resource] += amount
        field.keep_layers(layers, {position for planned in dropped for position, _ in planned.taken})

    def _leavers(self) -> list[tuple[Taken, Instant]]:
        """What those hold that are leaving, and when they are gone. What is set aside for others stays so."""
        found: list[tuple[Taken, Instant]] = []
        for id in self.state.preempting.leaving:
            active = self.state.jobs[id].phase
            assert isinstance(active, Active)
            if not active.reservation and not any(d.part for p in active.placements for d in p.devices):
                holds = held_by(self.state.node_columns, self.cycle.field.board, id)
                found.append((holds, self.state.running_columns.end(id) or NEVER))
        return found

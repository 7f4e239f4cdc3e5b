"""CPUs that are set aside of nodes, as one pass gives them out.

While the window is open, what the reservation's own jobs do not hold of its CPUs is taken off what is free,
as if a job held it until the window ends; for a window to come the same is a planned start. Jobs of the
reservation are placed beside that, on its nodes, with no more than is left of its CPUs there. It takes a slot
as well, so that exclusive jobs, which have all CPUs of their nodes, are neither beside it nor, unless all of
them are set aside, in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from packhorse.scheduler.core.backfill import Planned
from packhorse.scheduler.core.packing.board import CPU, SLOTS
from packhorse.scheduler.core.packing.field import Field
from packhorse.scheduler.core.packing.greedy import place
from packhorse.scheduler.core.packing.growth import Begun
from packhorse.scheduler.core.packing.request import Batch, Request
from packhorse.scheduler.core.reservations.picture import Claim, Picture
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import Instant, NodeName


class Claims:
    """See the module. The field is told of present windows when this is made.

    begun: what ends when windows do, for the timeline; coming: planned starts of windows to come.
    """

    def __init__(self, state: State, field: Field, picture: Picture, now: Instant) -> None:
        self.field = field
        self.begun: list[Begun] = []
        self.coming: list[Planned] = []
        self._left: dict[str, dict[int, int]] = {}
        self._end: dict[str, int] = {}
        for claim in picture.claims:
            left = dict(_unheld(state, field, claim))
            taken = [(position, [(CPU, n), (SLOTS, 1)]) for position, n in left.items() if n]
            if claim.window.holds(now):
                self._left[claim.reservation] = left
                self._end[claim.reservation] = claim.window.end
                for position, pairs in taken:
                    for resource, n in pairs:
                        field.free[resource, position] -= n
                self.begun.append(Begun(claim.window.end, taken, 1))
            elif taken:
                self.coming.append(Planned(claim.window.start, claim.window.end, taken))
        field.kept = None  # scores of earlier passes are of more CPUs than there are now
        self.coming.sort(key=lambda planned: planned.start)

    def place(self, name: str, request: Request, want: int, end: int) -> list[Batch]:
        """Up to so many jobs of the reservation, which end then. request: on its nodes."""
        field, left = self.field, self._left[name]
        side = field.beside()
        for position, n in left.items():
            side.free[CPU, position] = min(n, int(side.free[CPU, position]) + n)
            side.free[SLOTS, position] += n == field.offered[CPU, position]
        batches = place(side, request, want, 0)
        j = field.layer_of(end)
        if side.slots_matter:
            field.share_with_nobody()
        self._take(name, batches, 1, j)
        return batches

    def give_back(self, name: str, batches: list[Batch], j: int) -> None:
        """These do not start after all."""
        self._take(name, batches, -1, j)

    def _take(self, name: str, batches: list[Batch], sign: int, j: int) -> None:
        left = self._left[name]
        for parts, n in batches:
            for position, pairs in parts.taken:
                cpu = sum(amount for resource, amount in pairs if resource == CPU) * n * sign
                left[position] -= cpu
                self.field.take(position, [pair for pair in pairs if pair[0] != CPU], n * sign, j)
                # Of what the window gives back at its end, this is given back by the job.
                self.begun.append(Begun(self._end[name], [(position, [(CPU, -cpu)])], 1))

    def news(self) -> list[Begun]:
        """What has come to `begun` since the last time."""
        found, self.begun = self.begun, []
        return found


def held_inside(state: State, reservation: str, node: NodeName) -> int:
    """Milli-CPU of the node that jobs of the reservation hold; suspended ones hold none."""
    inside, columns = state.windows.inside.get(reservation, {}), state.node_columns
    here = columns.jobs_on(node)
    return sum(here[job].cpu_milli for job in inside if job in here and not columns.is_suspended(job))


def _unheld(state: State, field: Field, claim: Claim) -> Iterator[tuple[int, int]]:
    """By position: what of the claim the reservation's jobs do not hold."""
    for position, n in claim.cpu_milli:
        yield position, max(n - held_inside(state, claim.reservation, field.board.names[position]), 0)

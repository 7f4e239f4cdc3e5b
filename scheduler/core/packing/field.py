"""The working copy of the nodes during one pass: what is free now, and at the instants that matter later.

`free` is now. A `Layer` is added for every planned start: what is free then, once the planned job has begun.
A job that runs past the first j planned starts may only use what is free now and at all of them: `room(j)`.
Matrices are `[n_resources, n_nodes]` by position on the board. `changed` says at which positions something
was taken, in order, so that scores which were worked out before can be brought up to date (packing/rows.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from packhorse.scheduler.core.node_columns import NodeColumns
from packhorse.scheduler.core.packing.alike import Alikeness
from packhorse.scheduler.core.packing.board import CPU, MEM
from packhorse.scheduler.core.packing.layout import Shape
from packhorse.scheduler.core.packing.policy import Knowing, Scorer
from packhorse.scheduler.core.packing.request import Pairs
from packhorse.scheduler.core.packing.slots import Part, Share, Slices, Taken, Whole
from packhorse.scheduler.model.resources import WHOLE, Devices, Placement

if TYPE_CHECKING:
    from packhorse.scheduler.core.packing.rows import KeptRows


class Layer:
    """start: the planned start. free: what is free then `[n_resources]` by position, where planned jobs are;
    elsewhere it is as much as now, or more. room: the least of now and all layers up to here
    `[n_resources, n_nodes]`. since: releases from this number on are of jobs begun after it was made."""

    __slots__ = ("free", "room", "since", "start")

    def __init__(self, start: int, room: np.ndarray, since: int) -> None:
        self.start = start
        self.since = since
        self.free: dict[int, np.ndarray] = {}
        self.room = room


class Field:
    """See the module. knowing: the scorer, if it is of the kind `Knowing`.

    scorer: the placement policy made ready, None for best fit by `score`. version: grows when scores of all
    nodes may have changed. live: positions of the nodes that may take something, ascending; None for all.
    kept: rows of scores from earlier passes, None where they cannot be used. touched_at: how often nodes had
    been touched when this pass began.
    """

    __slots__ = (
        "_alike",
        "_counted",
        "_free_milli",
        "_known",
        "_known_at",
        "_known_each",
        "_known_each_at",
        "_log",
        "_masks",
        "_score",
        "_slices",
        "_slot_set",
        "_whole_milli",
        "all_up",
        "board",
        "column_of",
        "empty",
        "free",
        "kept",
        "knowing",
        "layers",
        "layers_version",
        "live",
        "n",
        "n_changes",
        "nodes",
        "offered",
        "rows",
        "scorer",
        "slots_matter",
        "tightness",
        "touched_at",
        "up",
        "version",
    )

    def __init__(
        self,
        nodes: NodeColumns,
        empty: bool = False,
        scorer: Scorer | None = None,
        kept: KeptRows | None = None,
    ) -> None:
        """empty: as if nothing ran and every node offered all that it registered. kept: by this scorer."""
        board = nodes.board()
        self.board = board
        self.nodes = nodes
        self.n = board.n
        self.column_of = nodes.column_of
        if empty:
            self.free = board.capacity.copy()
            self.offered = board.capacity
            self.up = nodes.schedulable[board.order]
        elif board.identity:
            n = board.n
            self.free = nodes.free[:, :n].copy()
            self.offered = nodes.offered[:, :n]
            self.up = nodes.schedulable[:n]
        else:
            order = board.order
            self.free = nodes.free[:, order]
            self.offered = nodes.offered[:, order]
            self.up = nodes.schedulable[order]
        self.all_up = bool(self.up.all())
        self.tightness = board.tightness.tolist()
        self._score: np.ndarray | None = None
        self.live: np.ndarray | None = None
        self.slots_matter = nodes.n_exclusive > 0 and not empty
        """Some node is held by an exclusive job, or was given to one in this pass."""
        usable = kept is not None and not board.n_slots and not self.slots_matter
        self.kept = kept if usable else None
        self.touched_at = nodes.n_touched
        self.layers: list[Layer] = []
        self._masks: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._counted: dict[tuple[int, str], int] = {}
        self._slices: dict[int, dict[int, tuple[int, int]]] = {}
        self._slot_set = frozenset(board.slot_list)
        self.scorer = scorer
        self.rows: dict[object, object] = {}
        self._log = np.zeros(64, dtype=np.intp)
        self.n_changes = 0
        self.version = 0
        self.layers_version = 0
        self._alike: Alikeness | None = None
        self.knowing = scorer if board.n_slots and isinstance(scorer, Knowing) else None
        self._known = np.zeros((0, 0), dtype=np.int64)
        self._known_each: list[Sequence[int]] = []
        self._known_each_at = 0
        self._known_at = 0
        self.empty = empty
        self._whole_milli = int(self.offered[board.slot_columns].sum()) if board.n_slots else 0
        self._free_milli = int(self.free[board.slot_columns].sum()) if board.n_slots else 0

    def copy(self, nodes: NodeColumns) -> Field:
        """The same amounts, devices and planned starts, without a policy. nodes: those it was made of."""
        new = Field(nodes)
        new.free[:] = self.free
        new.slots_matter = self.slots_matter
        new._counted = dict(self._counted)
        new._slices = {position: dict(slices) for position, slices in self._slices.items()}
        new._free_milli = self._free_milli
        for layer in self.layers:
            twin = Layer(layer.start, layer.room.copy(), layer.since)
            twin.free = {position: free.copy() for position, free in layer.free.items()}
            new.layers.append(twin)
        return new

    def usable(self, allowed: np.ndarray) -> np.ndarray:
        """The allowed nodes that take new work. The same array each time within a pass."""
        if self.all_up:
            return allowed
        found = self._masks.get(id(allowed))
        if found is None:
            found = self._masks[id(allowed)] = (
                allowed & self.up,
                allowed,
            )  # kept, so that no id is used twice
        return found[0]

    @property
    def score(self) -> np.ndarray:
        """`[n_nodes]`, lower is tighter: the node's weight comes first, then what it has left."""
        if self._score is None:
            self._score = self.board.tightness @ self.free + self.board.weight_score
        return self._score

    def narrow(self, least: np.ndarray) -> np.ndarray:
        """From now on only nodes with at least this much free are looked at, `[n_resources]`: nothing that
        will be asked for takes less. Their positions, ascending, of nodes that take new work."""
        ok = self.up.copy()
        for resource in np.flatnonzero(least).tolist():
            ok &= self.free[resource] >= least[resource]
        found = np.flatnonzero(ok)
        self.live = found if found.size * 2 < self.n else None
        return found

    def room(self, j: int) -> np.ndarray:
        """What a job may use that runs past the first j planned starts."""
        return self.layers[j - 1].room if j else self.free

    def layer_of(self, end: int) -> int:
        """How many planned starts a job that ends then runs past."""
        j = 0
        for layer in self.layers:
            if layer.start >= end:
                break
            j += 1
        return j

    def add_layer(self, start: int, since: int) -> Layer:
        """One more planned start. The caller says in `Layer.free` what is left then, on all layers that the
        planned job runs past, and calls `see_layers`."""
        layer = Layer(start, self.free.copy(), since)
        self.layers.append(layer)
        self.layers.sort(key=lambda layer: layer.start)
        return layer

    def see_layers(self) -> None:
        """What is left at planned starts has changed."""
        self.layers_version += 1
        for position in {position for layer in self.layers for position in layer.free}:
            self._settle_layers(position)

    def keep_layers(self, layers: list[Layer], at: Iterable[int]) -> None:
        """Of the planned starts only these are left, as they say; at: positions of those that are gone."""
        self.layers = layers
        for position in at:
            self._settle_layers(position)
        self.see_layers()

    def _settle_layers(self, position: int) -> None:
        """The rooms of this node follow from what is free now and then."""
        board, slices = self.board, self.slices_of(position)
        room = self.free[:, position]
        for layer in self.layers:
            free = layer.free.get(position)
            if free is not None:
                room = board.both(room, free)
                board.settle_one(room, position, slices)
            layer.room[:, position] = room

    def changed(self, since: int) -> np.ndarray:
        """Positions at which something was taken after the first so many changes, in order."""
        return self._log[since : self.n_changes]

    def fill(self) -> float:
        """Part of all devices that have slots which is allocated, 0 to 1; 0 where there are none."""
        return 1.0 - self._free_milli / self._whole_milli if self._whole_milli else 0.0

    def fill_with(self, milli: int) -> float:
        """The same once so many thousandths more are taken."""
        return 1.0 - (self._free_milli - milli) / self._whole_milli if self._whole_milli else 0.0

    def share_with_nobody(self) -> None:
        """A job is looked at that keeps others off its nodes: from now on who is where matters."""
        if not self.slots_matter:
            self.slots_matter = True
            self.version += 1

    def alike(self) -> Alikeness:
        """Which nodes are alike now."""
        if self._alike is None:
            amounts = [self.free[CPU], self.free[MEM], *(self.free[c] for c in self._slot_set)]
            self._alike = Alikeness(self.board.node_class, np.array(amounts))
        return self._alike

    def known(self) -> np.ndarray | None:
        """What the scorer knows of every node as it is now `[m, n_nodes]`; None if it is not of that kind."""
        if self.knowing is None:
            return None
        each, known = self.known_each(), self._known
        if self._known_at < self.n_changes:
            at = self.changed(self._known_at)
            self._known_at = self.n_changes
            known[:, at] = np.array([each[position] for position in at.tolist()], dtype=np.int64).T
        return known

    def known_each(self) -> list[Sequence[int]]:
        """The same by node; only for a scorer of that kind."""
        scorer, slots = self.knowing, self.board.slot_columns
        assert scorer is not None
        if not self._known_each:
            at = np.arange(self.n) if self.live is None else self.live  # nobody asks about the others
            found = scorer.know(at, self.free[CPU].take(at), self.free[slots].take(at, axis=1))
            self._known = np.zeros((found.shape[0], self.n), dtype=np.int64)
            self._known[:, at] = found
            self._known_each = [()] * self.n
            for position, numbers in zip(at.tolist(), found.T.tolist(), strict=True):
                self._known_each[position] = numbers
            self._known_at = self._known_each_at = self.n_changes
        elif self._known_each_at < self.n_changes:
            for position in dict.fromkeys(self.changed(self._known_each_at).tolist()):
                dev: list[int] = self.free[slots, position].tolist()
                self._known_each[position] = scorer.know_one(position, self.free.item(CPU, position), dev)
            self._known_each_at = self.n_changes
        return self._known_each

    def slices_of(self, position: int) -> Slices:
        """The devices of the node that are cut now."""
        found = self._slices.get(position)
        if found is not None:
            return found
        return {} if self.empty else self.nodes.slices[int(self.board.order[position])]

    def beside(self) -> Field:
        """Another field of the same nodes, with what is free here now and no policy: to ask "what if".

        Devices that are chosen or cut here, now or later, are so there too.
        """
        new = Field(self.nodes)
        new.free[:] = self.free
        new.slots_matter = self.slots_matter
        new._slices, new._counted = self._slices, self._counted
        return new

    def take(self, position: int, pairs: Pairs, copies: int, j: int) -> None:
        """That many jobs take these amounts of the node, until after the first j planned starts."""
        free, score, slot_set = self.free, self._score, self._slot_set
        located = False
        for resource, amount in pairs:
            amount *= copies
            if resource in slot_set:
                located = True
                self._free_milli -= amount
            free[resource, position] -= amount
            if score is not None:
                score[position] -= self.tightness[resource] * amount
        run_past = [layer.free[position] for layer in self.layers[:j] if position in layer.free]
        for later in run_past:
            for resource, amount in pairs:
                later[resource] -= amount * copies
        if self.n_changes == self._log.size:
            self._log = np.concatenate([self._log, self._log])
        self._log[self.n_changes] = position
        self.n_changes += 1
        if located:
            slices = self.slices_of(position)
            self.board.settle_one(free[:, position], position, slices)
            for later in run_past:
                self.board.settle_one(later, position, slices)
        if self.layers:
            self._settle_layers(position)
        if self.kept is not None:
            self.nodes.touch(int(self.board.order[position]))

    def give_back(self, position: int, pairs: Pairs, copies: int, j: int) -> None:
        """That many jobs which took these amounts do not start after all. Scores of before know of nothing
        that becomes free (packing/rows.py), so all are worked out anew."""
        self.take(position, pairs, -copies, j)
        self.version += 1

    def cost(
        self,
        shape: Shape,
        position: int,
        tasks: int,
        whole_job: bool,
        room: np.ndarray,
        job_devices: dict[str, int] | None = None,
        first: int = -1,
    ) -> tuple[Pairs, tuple[Devices, ...], dict[str, int]]:
        """What that many tasks take of the node, and which of its devices that have slots.

        room: what may be used, `[n_resources, n_nodes]`. job_devices: this node's part of devices per job,
        where several nodes share them. first: the slot that a share is to come from, -1: any. Also the
        devices that are only counted, by resource, not yet chosen.
        """
        _, _, base = self._base(shape, position, tasks)
        pairs = base.copy()
        if not shape.has_devices:
            return pairs, (), {}
        if job_devices:
            wanted = shape.devices(tasks, whole_job)
            for name, n in job_devices.items():
                wanted[name] = wanted.get(name, 0) + n
            counted, located = shape.wishes_of(tasks, wanted)
        else:
            counted, located = shape.wishes(tasks, whole_job)
        for name, n in counted.items():
            pairs.append((self.column_of[name], n))
        devices: tuple[Devices, ...] = ()
        if located:
            taken = self._locate(position, located, room, first)
            devices = taken.devices
            columns = self.board.slot_list
            for slot, milli in taken.milli:
                pairs.append((columns[slot], milli))
        return pairs, devices, counted

    def give(
        self,
        shape: Shape,
        position: int,
        tasks: int,
        whole_job: bool,
        j: int,
        job_devices: dict[str, int] | None = None,
        first: int = -1,
    ) -> tuple[Placement, Pairs]:
        """The placement of that many tasks on the node, with devices chosen (and marked as chosen).

        Also the amounts for `take`, which the caller calls; these count the types of chosen devices.
        """
        pairs, devices, counted = self.cost(
            shape, position, tasks, whole_job, self.room(j), job_devices, first
        )
        cpu, mem, _ = self._base(shape, position, tasks)
        if counted:
            more = self._choose(position, counted, j)
            pairs = [pair for pair in pairs if self.board.resources[pair[0]] not in counted]
            for kind, type_, indices, *_ in more:
                pairs.append((self.column_of[kind], len(indices)))
                if type_:
                    pairs.append((self.column_of[f"{kind}:{type_}"], len(indices)))
            devices += more
        for d in devices:
            if d.part:
                self._cut(position, d)
        return Placement(self.board.names[position], cpu, mem, tasks, devices, shape.tmp), pairs

    def _locate(
        self, position: int, wants: tuple[Whole | Share | Part, ...], room: np.ndarray, first: int
    ) -> Taken:
        """The devices that have slots; there are enough, or the caller has not looked."""
        board = self.board
        slots = board.maps[position]
        left: list[int] = room[board.slot_columns, position].tolist()
        devices: tuple[Devices, ...] = ()
        milli: tuple[tuple[int, int], ...] = ()
        for want in wants:
            if isinstance(want, Share):
                taken = slots.choose_share(want, left, first)
            elif isinstance(want, Whole):
                taken = slots.choose_whole(want, left)
            else:
                taken = slots.choose_parts(want, left, self.slices_of(position))
            assert taken is not None, "fewer devices are free than were counted"
            if len(wants) == 1 and not isinstance(want, Part):
                return taken
            devices += taken.devices
            milli += taken.milli
            for slot, n in taken.milli:
                left[slot] -= n
        return Taken(_together(devices), milli)

    def _cut(self, position: int, d: Devices) -> None:
        """The slice is in use from now on."""
        slices = self._slices.get(position)
        if slices is None:
            slices = self._slices[position] = dict(self.slices_of(position))
        slot = self.board.maps[position].slot_of[d.kind, d.indices[0]]
        layout, place = d.place
        slices[slot] = (layout, slices.get(slot, (layout, 0))[1] | 1 << place)

    def _base(self, shape: Shape, position: int, tasks: int) -> tuple[int, int, Pairs]:
        """CPU and memory of that many tasks there, and the amounts that are no devices."""
        if not shape.node_decides:
            return shape.base(tasks)
        cpu = int(self.offered[CPU, position]) if shape.exclusive else shape.cpus(tasks)
        return shape.base_of(cpu, int(self.offered[MEM, position]) if shape.mem_all else shape.mem(cpu))

    def _choose(self, position: int, wanted: dict[str, int], j: int) -> tuple[Devices, ...]:
        """Concrete devices of those that are only counted: lowest free index first, typed wishes before
        open."""
        banks = self.nodes.banks[int(self.board.order[position])]
        open_wish: dict[str, int] = {}
        typed: dict[str, list[tuple[str, int]]] = {}
        for name, n in wanted.items():
            kind, colon, type_ = name.partition(":")
            open_wish[kind] = open_wish.get(kind, 0) + (-n if colon else n)
            if colon:
                typed.setdefault(kind, []).append((type_, n))
        out: list[Devices] = []
        for kind, n_open in open_wish.items():
            bank = banks[kind]
            free = self._counted.get((position, kind), bank.free)
            chosen = 0
            for type_, n in typed.get(kind, ()):
                chosen |= _lowest(free & bank.types[type_] & ~chosen, n)
            if j and n_open and len(bank.types) > 1:
                n_open, chosen = self._spare_types(position, kind, free, chosen, n_open, j)
            chosen |= _lowest(free & ~chosen, n_open)
            self._counted[position, kind] = free & ~chosen
            rest = chosen
            for type_ in sorted(bank.types):
                mask = rest & bank.types[type_]
                if mask:
                    out.append(Devices(kind, type_, _indices(mask)))
                    rest &= ~mask
            if rest:
                out.append(Devices(kind, "", _indices(rest)))
        return tuple(out)

    def _spare_types(
        self, position: int, kind: str, free: int, chosen: int, n_open: int, j: int
    ) -> tuple[int, int]:
        """First those devices whose type no planned start needs. Returns what is still open, and chosen."""
        bank = self.nodes.banks[int(self.board.order[position])][kind]
        room = self.room(j)
        for type_ in sorted(bank.types):
            mask = bank.types[type_]
            spare = int(room[self.column_of[f"{kind}:{type_}"], position]) - (chosen & mask).bit_count()
            n = max(0, min(n_open, spare, (free & mask & ~chosen).bit_count()))
            chosen |= _lowest(free & mask & ~chosen, n)
            n_open -= n
        return n_open, chosen


def _together(devices: tuple[Devices, ...]) -> tuple[Devices, ...]:
    """One entry per kind and type for whole devices that several wishes chose."""
    whole: dict[tuple[str, str], list[int]] = {}
    rest = []
    for d in devices:
        if d.part or d.milli != WHOLE:
            rest.append(d)
        else:
            whole.setdefault((d.kind, d.type), []).extend(d.indices)
    return (*(Devices(kind, type_, tuple(sorted(i))) for (kind, type_), i in sorted(whole.items())), *rest)


def _lowest(mask: int, n: int) -> int:
    """The lowest n bits that are set."""
    out = 0
    for _ in range(n):
        bit = mask & -mask
        assert bit, "fewer devices are free than were counted"
        out |= bit
        mask ^= bit
    return out


def _indices(mask: int) -> tuple[int, ...]:
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)

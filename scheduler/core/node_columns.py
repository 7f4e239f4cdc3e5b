"""Nodes as columns: what each has, offers and has free, kept up to date allocation by allocation.

One row per registered node, one resource after the other: `free[resource, row]`. Resources are CPU, memory,
scratch space and slots (packing/board.py), then one per kind of device (`gpu`) and one per typed kind
(`gpu:h200`); a kind that was never seen before adds its rows. GPUs and TPU chips are told apart: each has a
column of free thousandths, and the columns of their kinds and types only say what follows from these
(packing/slots.py). Rows are in order of arrival; whatever has to depend on order goes through `board()`,
which sorts by name.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import structs

from packhorse.scheduler.core.packing.board import CPU, EXCLUSIVE, FIXED, MEM, SLOTS, TMP, Board
from packhorse.scheduler.core.packing.slots import LOCATED, UNDECLARED, SlotMap, slot_name
from packhorse.scheduler.model.cluster import Topology
from packhorse.scheduler.model.errors import InvariantBroken
from packhorse.scheduler.model.hostlist import natural_key
from packhorse.scheduler.model.ids import JobId, NodeName
from packhorse.scheduler.model.node import Node, NodeSpec
from packhorse.scheduler.model.resources import WHOLE, Device, Placement

NO_SLOTS = SlotMap(())

_MOST_TOUCHED = 4096

Profile = tuple[int, int, int, int, str]
"""What a job takes of a node, for the placement policies: milli-CPU, MiB, devices, thousandths of each, and
the kind or kind:type of these."""


class Bank:
    """The devices of one kind on one node that are only counted, as bit masks over their indices."""

    __slots__ = ("dead", "present", "types", "used")

    def __init__(self) -> None:
        self.present = 0
        self.dead = 0
        self.used = 0
        self.types: dict[str, int] = {}

    @property
    def free(self) -> int:
        """Mask of those that can be handed out."""
        return self.present & ~self.dead & ~self.used


class NodeColumns:
    """See the module. `free` may be negative on a node whose offer shrank below what runs there."""

    def __init__(self) -> None:
        self.resources: list[str] = ["cpu_milli", "mem_mib", "tmp_mib", "slots"]
        self.column_of: dict[str, int] = {name: i for i, name in enumerate(self.resources)}
        self.row_of: dict[NodeName, int] = {}
        self.n_rows = 0
        self.capacity = np.zeros((FIXED, 8), dtype=np.int64)
        self.offered = np.zeros((FIXED, 8), dtype=np.int64)
        self.used = np.zeros((FIXED, 8), dtype=np.int64)
        self.free = np.zeros((FIXED, 8), dtype=np.int64)
        self.schedulable = np.zeros(8, dtype=np.bool_)
        self.node_class = np.zeros(8, dtype=np.int64)
        self.banks: list[dict[str, Bank]] = []
        self.maps: list[SlotMap] = []
        """The slots of each row."""
        self.slices: list[dict[int, tuple[int, int]]] = []
        """Of each row the devices that are cut: slot to layout and mask of the slices in use."""
        self.slot_columns: list[int] = []
        """Columns of the slots: that of slot i is slot_columns[i]."""
        self.n_shared = 0
        """Shares and slices that jobs hold."""
        self.profiles: dict[Profile, int] = {}
        """Placements that jobs hold, by what they take. Types are left out: that a job got
        one does not say that it asked for it."""
        self.n_exclusive = 0
        self.shape = 0
        """Grows when a node appears, goes, or changes amounts, devices, features or weight."""
        self.renumbered = 0
        """Grows when a node comes to have other slots while jobs hold something there."""
        self.availability = 0
        """Grows with shape, and when a node starts or stops taking new work, or for another reason."""
        self.touched: list[int] = []
        """Rows at which something has come to be free or taken, or may have in a pass that was given up;
        after those that are listed no more."""
        self.n_untold = 0
        """How many touched rows are listed no more."""
        self._nodes: list[Node | None] = []
        self._on_row: list[dict[JobId, Placement]] = []
        self._held: dict[JobId, tuple[Placement, ...]] = {}
        self._exclusive: set[JobId] = set()
        self._suspended: set[JobId] = set()
        self._free_rows: list[int] = []
        self._classes: dict[tuple[object, ...], int] = {}
        self._maps: dict[tuple[Device, ...], SlotMap] = {}
        self._derived_columns: dict[SlotMap, list[int]] = {NO_SLOTS: []}
        self._board: Board | None = None
        self._places: dict[NodeName, tuple[str, ...]] = {}
        """Where nodes stand by the configuration's word, which counts more than their own."""

    def __len__(self) -> int:
        return len(self.row_of)

    def __contains__(self, name: NodeName) -> bool:
        return name in self.row_of

    def node(self, name: NodeName) -> Node:
        """The node as last put. KeyError if there is none."""
        found = self._nodes[self.row_of[name]]
        assert found is not None
        return found

    def held(self, job: JobId) -> tuple[Placement, ...]:
        """What the job holds; empty if nothing."""
        return self._held.get(job, ())

    def jobs_on(self, name: NodeName) -> dict[JobId, Placement]:
        """Who holds what on the node, in order of allocation. Not to be changed."""
        return self._on_row[self.row_of[name]]

    def is_exclusive(self, job: JobId) -> bool:
        """Whether the job keeps everybody else off its nodes."""
        return job in self._exclusive

    def is_suspended(self, job: JobId) -> bool:
        """Whether the job has given its CPUs back."""
        return job in self._suspended

    def amounts_free(self, name: NodeName) -> dict[str, int]:
        """Free amount by resource name."""
        row = self.row_of[name]
        return {resource: int(self.free[i, row]) for i, resource in enumerate(self.resources)}

    def touch(self, row: int) -> None:
        """What is free there has changed, or may have; see `touched`."""
        if len(self.touched) >= _MOST_TOUCHED:
            self.n_untold += len(self.touched)
            self.touched.clear()
        self.touched.append(row)

    def touched_since(self, n: int) -> list[int] | None:
        """Rows touched after the first n; None if nobody knows any more."""
        return self.touched[n - self.n_untold :] if n >= self.n_untold else None

    @property
    def n_touched(self) -> int:
        """How many times a row was touched."""
        return self.n_untold + len(self.touched)

    # -- nodes -------------------------------------------------------------------------------------------

    def put(self, node: Node) -> None:
        """Adds the node or replaces what is known of it. Its allocations stay; free follows from them."""
        name = node.spec.name
        row = self.row_of.get(name)
        if row is None:
            row = self._new_row()
            self.row_of[name] = row
            before = None
        else:
            before = self._nodes[row]
        self._nodes[row] = node
        self.touch(row)
        if before is None or before.spec != node.spec:
            self._put_spec(row, node)
            self._changed()
            self._put_offer(row, node)
        elif before.offer != node.offer:
            self._put_offer(row, node)
        if before is None or _standing(before) != _standing(node):
            self.schedulable[row] = node.schedulable
            self.availability += 1

    def remove(self, name: NodeName) -> None:
        """Forgets the node. InvariantBroken while a job holds anything there."""
        row = self.row_of[name]
        if self._on_row[row]:
            raise InvariantBroken(f"node {name} cannot go: {len(self._on_row[row])} jobs hold it")
        del self.row_of[name]
        self._nodes[row] = None
        self.banks[row] = {}
        self.maps[row] = NO_SLOTS
        self.slices[row] = {}
        for columns in (self.capacity, self.offered, self.used, self.free):
            columns[:, row] = 0
        self.schedulable[row] = False
        self._free_rows.append(row)
        self._changed()

    def board(self) -> Board:
        """The nodes in order; the same object until shape changes."""
        if self._board is None:
            names = sorted(self.row_of, key=lambda name: (natural_key(name), name))
            rows = [self.row_of[name] for name in names]
            specs = [self.node(name).spec for name in names]
            self._board = Board(
                names,
                rows,
                self.n_rows,
                [frozenset(spec.features) for spec in specs],
                [spec.weight for spec in specs],
                self.node_class,
                self.capacity,
                tuple(self.resources),
                self.shape,
                [self.maps[row] for row in rows],
                self.slot_columns,
                self._derived_columns,
                [self.place_of(spec) for spec in specs],
            )
        return self._board

    def set_places(self, topology: Topology) -> None:
        """The configuration says where nodes stand: paths such as "rack1/leaf2", and the nodes of each."""
        self._places = {name: tuple(path.split("/")) for path, names in topology for name in names}
        self._changed()

    def place_of(self, spec: NodeSpec) -> tuple[str, ...]:
        """The racks and switches above the node, from the top down."""
        return self._places.get(spec.name, spec.topology)

    # -- allocations -------------------------------------------------------------------------------------

    def allocate(
        self,
        job: JobId,
        placements: tuple[Placement, ...],
        *,
        exclusive: bool = False,
        beyond_capacity: bool = False,
        suspended: bool = False,
    ) -> None:
        """The job now holds the placements. exclusive: nobody else may be on its nodes. suspended: as after
        `suspend`.

        InvariantBroken, and nothing changed, if a node is unknown or would exceed its registered amounts,
        or a device is not there or taken. beyond_capacity: amounts may exceed (a restored snapshot of a
        node that shrank under running work); devices may be unknown.
        """
        if job in self._held:
            raise InvariantBroken(f"job {job} already holds an allocation")
        if not placements:
            raise InvariantBroken(f"job {job}: an allocation names at least one node")
        slots = EXCLUSIVE if exclusive else 1
        seen: set[int] = set()
        for p in placements:
            row = self.row_of.get(p.node, -1)
            if row < 0:
                raise InvariantBroken(f"job {job}: node {p.node} is not registered")
            if row in seen:
                raise InvariantBroken(f"job {job}: node {p.node} appears twice")
            seen.add(row)
            if not beyond_capacity:
                self._check_fits(job, p, row, slots)
            elif p.devices:
                self._know_devices(p)
        if exclusive:
            self._exclusive.add(job)
            self.n_exclusive += 1
        self._held[job] = placements
        for p in placements:
            row = self.row_of[p.node]
            self._on_row[row][job] = p
            self._take(row, p, slots, 1)
            profile = _profile(p)
            self.profiles[profile] = self.profiles.get(profile, 0) + 1
        if suspended:
            self.suspend(job)

    def suspend(self, job: JobId) -> None:
        """The job gives its CPUs back and keeps memory and devices. One that wants its nodes for itself lets
        others on them meanwhile, and does not keep off those that want the same. InvariantBroken if it holds
        nothing, or has given its CPUs back."""
        if job not in self._held or job in self._suspended:
            raise InvariantBroken(f"job {job} has no CPUs to give back")
        self._move_cpus(job, -1)
        self._suspended.add(job)

    def resume(self, job: JobId) -> None:
        """The job has its CPUs again. InvariantBroken, and nothing changed, if they are not there."""
        if job not in self._suspended:
            raise InvariantBroken(f"job {job} has its CPUs")
        for p in self._held[job]:
            row = self.row_of[p.node]
            for column, amount in self._running_amounts(job, p):
                if self.used[column, row] + amount > self.capacity[column, row]:
                    raise InvariantBroken(f"job {job}: its {self.resources[column]} of {p.node} are taken")
        self._take_cpus_back(job)

    def _take_cpus_back(self, job: JobId) -> None:
        self._suspended.remove(job)
        self._move_cpus(job, 1)

    def _move_cpus(self, job: JobId, sign: int) -> None:
        """What only a job that runs holds is taken; sign -1: is free."""
        self.n_exclusive += sign if job in self._exclusive else 0
        for p in self._held[job]:
            row = self.row_of[p.node]
            self.touch(row)
            for column, amount in self._running_amounts(job, p):
                self.used[column, row] += sign * amount
                self.free[column, row] -= sign * amount

    def _running_amounts(self, job: JobId, p: Placement) -> tuple[tuple[int, int], tuple[int, int]]:
        """What it gives back while it is suspended, by column: its CPUs, and its claim on the node."""
        return (CPU, p.cpu_milli), (SLOTS, EXCLUSIVE if job in self._exclusive else 1)

    def release(self, job: JobId) -> None:
        """The job holds nothing any more. InvariantBroken if it held nothing."""
        if job in self._suspended:
            self._take_cpus_back(job)
        placements = self._held.pop(job, None)
        if placements is None:
            raise InvariantBroken(f"job {job} holds no allocation")
        slots = 1
        if job in self._exclusive:
            self._exclusive.remove(job)
            self.n_exclusive -= 1
            slots = EXCLUSIVE
        for p in placements:
            row = self.row_of[p.node]
            del self._on_row[row][job]
            self._take(row, p, slots, -1)
            profile = _profile(p)
            self.profiles[profile] -= 1
            if not self.profiles[profile]:
                del self.profiles[profile]

    def lend(self, job: JobId, placements: tuple[Placement, ...]) -> None:
        """The job holds what it held, but other parts of its memory are lent to it."""
        for old, new in zip(self._held[job], placements, strict=True):
            row = self.row_of[new.node]
            self._on_row[row][job] = new
            if old.lent_mib != new.lent_mib:
                self.used[MEM, row] += old.lent_mib - new.lent_mib
                self.free[MEM, row] -= old.lent_mib - new.lent_mib
                self.touch(row)
        self._held[job] = placements

    def amounts_held(self, job: JobId, placement: Placement) -> list[int]:
        """What of a placement of its own the job holds now, as `amounts`."""
        out = self.amounts(placement, job in self._exclusive)
        if job in self._suspended:
            out[CPU] = out[SLOTS] = 0
        return out

    def amounts(self, placement: Placement, exclusive: bool = False) -> list[int]:
        """The placement as one amount per resource, `[n_resources]`; nothing in derived columns."""
        out = [0] * len(self.resources)
        out[CPU] = placement.cpu_milli
        out[MEM] = placement.mem_mib - placement.lent_mib
        out[TMP] = placement.tmp_mib
        out[SLOTS] = EXCLUSIVE if exclusive else 1
        for kind, type_, indices, milli, *_ in placement.devices:
            if kind in LOCATED:
                slot_of = self.maps[self.row_of[placement.node]].slot_of
                for index in indices:
                    slot = slot_of.get((kind, index), -1)
                    if slot >= 0:
                        out[self.slot_columns[slot]] += milli
                continue
            column = self.column_of.get(kind)
            if column is not None:
                out[column] += len(indices)
            column = self.column_of.get(f"{kind}:{type_}") if type_ else None
            if column is not None:
                out[column] += len(indices)
        return out

    def check(self) -> None:
        """Everything again from the nodes and allocations alone; InvariantBroken where columns differ."""
        again = NodeColumns()
        for name in sorted(self.row_of, key=self.row_of.__getitem__):
            again.put(self.node(name))
        for job, placements in self._held.items():
            again.allocate(
                job,
                placements,
                exclusive=job in self._exclusive,
                beyond_capacity=True,
                suspended=job in self._suspended,
            )
        for name, row in self.row_of.items():
            other = again.row_of[name]
            for resource, column in self.column_of.items():
                twin = again.column_of.get(resource)
                for title in ("capacity", "offered", "used", "free"):
                    ours = int(getattr(self, title)[column, row])
                    theirs = 0 if twin is None else int(getattr(again, title)[twin, other])
                    if ours != theirs:
                        raise InvariantBroken(f"node {name}: {title} {resource} is {ours}, not {theirs}")
            if bool(self.schedulable[row]) != self.node(name).schedulable:
                raise InvariantBroken(f"node {name}: schedulable differs")
            if self._on_row[row] != again._on_row[other]:
                raise InvariantBroken(f"node {name}: its jobs differ")
            bank = {kind: (b.present, b.dead, b.used, b.types) for kind, b in self.banks[row].items()}
            twin_bank = {kind: (b.present, b.dead, b.used, b.types) for kind, b in again.banks[other].items()}
            if bank != twin_bank:
                raise InvariantBroken(f"node {name}: devices {bank}, not {twin_bank}")
            if self.slices[row] != again.slices[other]:
                raise InvariantBroken(f"node {name}: slices {self.slices[row]}, not {again.slices[other]}")
        if self.profiles != again.profiles:
            raise InvariantBroken(f"{self.profiles} are counted, {again.profiles} are held")
        if self.n_exclusive != again.n_exclusive:
            raise InvariantBroken(f"{self.n_exclusive} exclusive jobs are counted, {again.n_exclusive} run")
        if self.n_shared != again.n_shared:
            raise InvariantBroken(f"{self.n_shared} shares are counted, {again.n_shared} are held")

    # -- inside ------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self.shape += 1
        self.availability += 1
        self._board = None

    def _new_row(self) -> int:
        if self._free_rows:
            return self._free_rows.pop()
        row = self.n_rows
        self.n_rows += 1
        if row == self.schedulable.shape[0]:
            for title in ("capacity", "offered", "used", "free"):
                old = getattr(self, title)
                setattr(self, title, np.concatenate([old, np.zeros_like(old)], axis=1))
            self.schedulable = np.concatenate([self.schedulable, np.zeros_like(self.schedulable)])
            self.node_class = np.concatenate([self.node_class, np.zeros_like(self.node_class)])
        self._nodes.append(None)
        self._on_row.append({})
        self.banks.append({})
        self.maps.append(NO_SLOTS)
        self.slices.append({})
        return row

    def _column(self, resource: str) -> int:
        column = self.column_of.get(resource)
        if column is None:
            column = len(self.resources)
            self.resources.append(resource)
            self.column_of[resource] = column
            for title in ("capacity", "offered", "used", "free"):
                old = getattr(self, title)
                setattr(self, title, np.concatenate([old, np.zeros((1, old.shape[1]), dtype=np.int64)]))
        return column

    def _know_devices(self, p: Placement) -> None:
        """Columns for devices that no registered node has (any more), so that they are counted alike."""
        before = len(self.resources)
        for kind, type_, *_ in p.devices:
            if kind not in LOCATED:
                self._column(kind)
                if type_:
                    self._column(f"{kind}:{type_}")
        if len(self.resources) != before:
            self._changed()

    def _put_spec(self, row: int, node: Node) -> None:
        """Registered amounts and devices; used devices stay marked, even those that are no longer there."""
        spec = node.spec
        banks: dict[str, Bank] = {}
        for device in spec.devices:
            if device.kind in LOCATED:
                continue
            bank = banks.setdefault(device.kind, Bank())
            bit = 1 << device.index
            bank.present |= bit
            if device.type:
                bank.types[device.type] = bank.types.get(device.type, 0) | bit
                self._column(f"{device.kind}:{device.type}")
            self._column(device.kind)
        for placement in self._on_row[row].values():
            for kind, _type, indices, *_ in placement.devices:
                if kind not in LOCATED:
                    bank = banks.setdefault(kind, Bank())
                    for index in indices:
                        bank.used |= 1 << index
        self.banks[row] = banks
        slots = self._slot_map(spec.devices)
        if slots is not self.maps[row] and self._on_row[row]:
            self.renumbered += 1
        self.maps[row] = slots
        self.slices[row] = {}
        self._see_slices(row, self._on_row[row].values())
        self.capacity[:, row] = 0
        self.capacity[CPU, row] = spec.cpu_milli
        self.capacity[MEM, row] = spec.mem_mib
        self.capacity[TMP, row] = spec.tmp_mib
        self.capacity[SLOTS, row] = EXCLUSIVE
        self.capacity[self.slot_columns[: slots.n], row] = WHOLE
        self.capacity[self._derived(slots), row] = slots.capacity()
        for kind, bank in banks.items():
            column = self.column_of.get(kind)
            if column is not None:
                self.capacity[column, row] = bank.present.bit_count()
            for type_, mask in bank.types.items():
                self.capacity[self.column_of[f"{kind}:{type_}"], row] = mask.bit_count()
        self.used[:, row] = 0
        for job, placement in self._on_row[row].items():
            self.used[:, row] += np.array(self.amounts_held(job, placement), dtype=np.int64)
        key = (
            slots.devices,
            *(
                (resource, int(self.capacity[column, row]))
                for resource, column in self.column_of.items()
                if self.capacity[column, row]
            ),
        )
        self.node_class[row] = self._classes.setdefault(key, len(self._classes))

    def _slot_map(self, devices: tuple[Device, ...]) -> SlotMap:
        """The slots of these devices; one object for all nodes with alike ones. Adds the columns it needs."""
        alike = tuple([structs.replace(d, uuid="") if d.uuid else d for d in devices if d.kind in LOCATED])
        found = self._maps.get(alike)
        if found is None:
            found = self._maps[alike] = SlotMap(alike)
            self._derived_columns[found] = [self._column(name) for name in found.names]
        while len(self.slot_columns) < found.n:
            self.slot_columns.append(self._column(slot_name(len(self.slot_columns))))
        return found

    def _put_offer(self, row: int, node: Node) -> None:
        """What the node can take now; never above what it registered."""
        spec, offer = node.spec, node.offer
        banks, slots = self.banks[row], self.maps[row]
        for bank in banks.values():
            bank.dead = 0
        dead = set()
        for kind, index in offer.dead_devices:
            if kind in banks:
                banks[kind].dead |= banks[kind].present & 1 << index
            dead.add(slots.slot_of.get((kind, index), -1))
        self.offered[:, row] = 0
        self.offered[CPU, row] = min(spec.cpu_milli, offer.cpu_milli)
        self.offered[MEM, row] = min(spec.mem_mib, offer.mem_mib)
        self.offered[TMP, row] = spec.tmp_mib
        self.offered[SLOTS, row] = EXCLUSIVE
        alive = [0 if slot in dead else WHOLE for slot in range(slots.n)]
        self.offered[self.slot_columns[: slots.n], row] = alive
        self.offered[self._derived(slots), row] = slots.derive(alive, {})
        self.free[:FIXED, row] = self.offered[:FIXED, row] - self.used[:FIXED, row]
        self.free[FIXED:, row] = 0
        self._settle_slots(row)
        for kind, bank in banks.items():
            working = bank.present & ~bank.dead
            column = self.column_of.get(kind)
            if column is not None:
                self.offered[column, row] = working.bit_count()
            for type_, mask in bank.types.items():
                self.offered[self.column_of[f"{kind}:{type_}"], row] = (working & mask).bit_count()
            self._count_free(row, kind, bank)

    def _settle_slots(self, row: int) -> None:
        """What is free of each slot, and what follows. Of one that is dead, overdrawn, or cut in a way that
        its node does not declare any more nothing is free."""
        slots = self.maps[row]
        if not slots.n:
            return
        columns = self.slot_columns[: slots.n]
        used = self.used[columns, row]
        free = np.maximum(self.offered[columns, row] - used, 0)
        for slot, (layout, _) in self.slices[row].items():
            if layout == UNDECLARED:
                free[slot] = 0
        self.free[columns, row] = free
        in_use = slots.in_use(used.tolist())
        self.used[self._derived(slots)[: len(in_use)], row] = in_use
        self.free[self._derived(slots), row] = slots.derive(free.tolist(), self.slices[row])

    def _derived(self, slots: SlotMap) -> list[int]:
        """Columns of what follows from these slots."""
        return self._derived_columns[slots]

    def _count_free(self, row: int, kind: str, bank: Bank) -> None:
        """Free devices are counted, not subtracted: one in use may be dead or gone as well."""
        column = self.column_of.get(kind)
        if column is None:
            return
        free = bank.free
        self.free[column, row] = free.bit_count()
        for type_, mask in bank.types.items():
            self.free[self.column_of[f"{kind}:{type_}"], row] = (free & mask).bit_count()

    def _check_fits(self, job: JobId, p: Placement, row: int, slots: int) -> None:
        capacity, used = self.capacity, self.used
        mem = p.mem_mib - p.lent_mib
        for column, amount in ((CPU, p.cpu_milli), (MEM, mem), (TMP, p.tmp_mib), (SLOTS, slots)):
            if amount < 0 or (amount and used[column, row] + amount > capacity[column, row]):
                raise InvariantBroken(
                    f"job {job}: {amount} {self.resources[column]} on {p.node} would exceed its "
                    f"{capacity[column, row]}, of which {used[column, row]} are taken"
                )
        if not p.devices:
            return
        if any(devices.kind in LOCATED for devices in p.devices):
            self._check_slots(job, p, row)
        for kind, type_, indices, *_ in p.devices:
            if kind in LOCATED:
                continue
            bank = self.banks[row].get(kind)
            allowed = 0
            if bank is not None:
                allowed = bank.present & ~bank.used
                if type_:
                    allowed &= bank.types.get(type_, 0)
            for index in indices:
                if index < 0 or not allowed >> index & 1:
                    raise InvariantBroken(f"job {job}: {kind} {index} of {p.node} is taken or not there")
                allowed &= ~(1 << index)

    def _check_slots(self, job: JobId, p: Placement, row: int) -> None:
        """Devices are there, of the type that is said, with as much free; slices are of the layout in
        force."""
        slots, slices = self.maps[row], dict(self.slices[row])
        left: dict[int, int] = {}
        for d in p.devices:
            if d.kind not in LOCATED:
                continue
            for index in d.indices:
                slot = slots.slot_of.get((d.kind, index), -1)
                if slot < 0 or (d.type and slots.devices[slot].type != d.type):
                    raise InvariantBroken(f"job {job}: {d.kind} {index} of {p.node} is taken or not there")
                free = left.get(slot, WHOLE - int(self.used[self.slot_columns[slot], row]))
                if not 0 < d.milli <= free or (slot in slices and not d.part):
                    raise InvariantBroken(
                        f"job {job}: {d.milli} thousandths of {d.kind} {index} of {p.node} "
                        "are taken or not there"
                    )
                left[slot] = free - d.milli
                if d.part:
                    layout, place = d.place
                    now, mask = slices.get(slot, (layout, 0))
                    layouts = slots.devices[slot].layouts
                    cut = 0 <= layout < len(layouts) and 0 <= place < len(layouts[layout])
                    fresh = cut and now == layout and not mask >> place & 1
                    unused = slot in slices or free == WHOLE
                    if not fresh or not unused or layouts[layout][place] != d.part:
                        raise InvariantBroken(
                            f"job {job}: slice {d.part} of {d.kind} {index} of {p.node} is taken or not there"
                        )
                    slices[slot] = (layout, mask | 1 << place)

    def _take(self, row: int, p: Placement, slots: int, sign: int) -> None:
        self.touch(row)
        used, free = self.used, self.free
        mem = p.mem_mib - p.lent_mib
        for column, amount in ((CPU, p.cpu_milli), (MEM, mem), (TMP, p.tmp_mib), (SLOTS, slots)):
            if amount:
                used[column, row] += sign * amount
                free[column, row] -= sign * amount
        if not p.devices:
            return
        located = False
        for kind, type_, indices, milli, part, *_ in p.devices:
            if kind in LOCATED:
                located = True
                self.n_shared += sign if milli < WHOLE or part else 0
                for index in indices:
                    slot = self.maps[row].slot_of.get((kind, index), -1)
                    if slot >= 0:
                        used[self.slot_columns[slot], row] += sign * milli
                continue
            bank = self.banks[row].setdefault(kind, Bank())
            mask = 0
            for index in indices:
                mask |= 1 << index
            if sign > 0:
                bank.used |= mask
            else:
                bank.used &= ~mask
            n = sign * len(indices)
            for resource in (kind, f"{kind}:{type_}" if type_ else ""):
                column = self.column_of.get(resource, -1)
                if column >= 0:
                    used[column, row] += n
            self._count_free(row, kind, bank)
            if not bank.used and not bank.present:
                del self.banks[row][kind]
        if located:
            self._see_slices(row, (p,))
            self._settle_slots(row)

    def _see_slices(self, row: int, some: Iterable[Placement]) -> None:
        """Which slices are in use of the devices that these placements have or had slices of."""
        slot_of, slices = self.maps[row].slot_of, self.slices[row]
        touched = {slot_of.get((d.kind, d.indices[0]), -1) for p in some for d in p.devices if d.part}
        touched.discard(-1)
        if not touched:
            return
        for slot in touched:
            slices.pop(slot, None)
        for d in [d for p in self._on_row[row].values() for d in p.devices if d.part]:
            slot = slot_of.get((d.kind, d.indices[0]), -1)
            if slot in touched:
                layout, place = d.place
                declared = self.maps[row].devices[slot].layouts[layout : layout + 1]
                known = any(cut[place : place + 1] == (d.part,) for cut in declared)
                now, mask = slices.get(slot, (layout, 0))
                slices[slot] = (now if known and now == layout else UNDECLARED, mask | 1 << place)


def _profile(p: Placement) -> Profile:
    located = [d for d in p.devices if d.kind in LOCATED] if p.devices else ()
    if not located:
        return (p.cpu_milli, p.mem_mib, 0, 0, "")
    n = sum([len(d.indices) for d in located])
    milli = WHOLE if located[0].milli == WHOLE else sum([d.milli for d in located])
    return (p.cpu_milli, p.mem_mib, n, min(milli, WHOLE), located[0].kind)


def _standing(node: Node) -> tuple[bool, str, bool]:
    """What decides whether it takes new work."""
    return node.reachable, node.admin, node.offer.accepting

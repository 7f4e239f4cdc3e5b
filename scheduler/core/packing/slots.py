"""The devices of one node that are told apart when work is placed: GPUs and TPU chips, one *slot* each.

What is free of a slot is a column of its own (thousandths of the device), so that shares, slices and whole
devices are counted by the same sums as processors and memory. What follows from the slots of a node, `derive`
works out: how many devices are wholly free, of each type, the largest share that can be had, the largest
aligned block of TPU chips, how many slices of each profile. Those are columns too; they are never added up.

Devices of other kinds (a network card, an FPGA) are only counted, and need no slots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from packhorse.scheduler.model.resources import DIVISIBLE, WHOLE, Device, Devices, is_slice

LOCATED: Final = ("gpu", "tpu")
"""Kinds of devices that have slots."""

ALIGNED: Final = ("tpu",)
"""Kinds of which several are given as an aligned block: 2 chips are 0-1 or 2-3, never 1-2, since only those
are wired together (Google's TPU topologies are powers of two)."""

Slices = Mapping[int, tuple[int, int]]
"""Devices of a node that are cut at the moment: slot to (which of its layouts, mask of its slices in use)."""

UNDECLARED: Final = -1
"""Instead of the layout, where slices are held of one that the node does not register any more:
nothing more is given of the device before it is empty."""


def slot_name(slot: int) -> str:
    """The column of the slot's free thousandths."""
    return f"slot#{slot}"


def share_name(kind: str) -> str:
    """The column of the largest share of one device of the kind that can be had, in thousandths."""
    return f"{kind}%"


def share_mem_name(kind: str) -> str:
    """The same in MiB of the device's memory."""
    return f"{kind}%MiB"


def block_name(resource: str) -> str:
    """The column of the largest aligned block of free devices of the kind, or of the type of it."""
    return f"{resource}@"


def is_inner(resource: str) -> bool:
    """Whether the column is one for packing only, that adds nothing to the count of devices."""
    return not {"#", "%", "@"}.isdisjoint(resource) or is_slice(resource.partition(":")[2])


_MOST_KNOWN: Final = 20_000


class Whole(NamedTuple):
    """Whole devices of a kind; type "" for any. linked: all of one link group."""

    kind: str
    type: str
    n: int
    linked: bool = False


class Share(NamedTuple):
    """n shares, each of one device and each milli thousandths of it, or as much as gives mem_mib."""

    kind: str
    type: str
    n: int
    milli: int
    mem_mib: int


class Part(NamedTuple):
    """n slices of one profile ("1g.10gb")."""

    kind: str
    profile: str
    n: int


class Taken(NamedTuple):
    """What was chosen: the devices as they are granted, and thousandths by slot."""

    devices: tuple[Devices, ...]
    milli: tuple[tuple[int, int], ...]


class SlotMap:
    """The slots of a node, in order of kind and index. Nodes with equal devices share one.

    devices: by slot. slot_of: by (kind, index). names: every derived column of the node.
    """

    __slots__ = (
        "_blocks",
        "_counts",
        "_known",
        "_mems",
        "_parts",
        "_shares",
        "devices",
        "n",
        "names",
        "slot_of",
    )

    def __init__(self, devices: Sequence[Device]) -> None:
        located = [d for d in devices if d.kind in LOCATED]
        self.devices = tuple(sorted(located, key=lambda d: (LOCATED.index(d.kind), d.index)))
        self.n = len(self.devices)
        self._known: dict[object, object] = {}
        self.slot_of = {(d.kind, d.index): slot for slot, d in enumerate(self.devices)}
        counts: dict[str, list[int]] = {}
        for slot, d in enumerate(self.devices):
            counts.setdefault(d.kind, []).append(slot)
            if d.type:
                counts.setdefault(f"{d.kind}:{d.type}", []).append(slot)
        self._counts = tuple((name, tuple(slots)) for name, slots in counts.items())
        self._shares = tuple(
            (share_name(kind), tuple(s for s in counts[kind] if not self.devices[s].layouts))
            for kind in DIVISIBLE
            if kind in counts
        )
        self._mems = tuple(
            (share_mem_name(kind), tuple((s, self.devices[s].mem_mib) for s in slots))
            for kind, (_, slots) in zip([k for k in DIVISIBLE if k in counts], self._shares, strict=True)
        )
        self._blocks = tuple(
            (block_name(name), tuple(counts[kind]), frozenset(slots))
            for name, slots in counts.items()
            if (kind := name.partition(":")[0]) in ALIGNED
        )
        profiles = sorted({p for d in self.devices for layout in d.layouts for p in layout})
        self._parts = tuple(
            (f"{kind}:{profile}", profile, tuple(s for s in counts[kind] if self._most(s, profile)))
            for kind in DIVISIBLE
            for profile in profiles
        )
        self.names = tuple(
            entry[0]
            for group in (self._counts, self._shares, self._mems, self._blocks, self._parts)
            for entry in group
        )

    def derive(self, free: Sequence[int], slices: Slices) -> list[int]:
        """The derived columns' values in the order of `names`, from the free thousandths by slot (at least
        n)."""
        key = tuple(free[: self.n]) if not slices else None
        known = self._known.get(key) if key is not None else None
        if known is not None:
            return known  # type: ignore[return-value]
        out = [sum([free[s] == WHOLE for s in slots]) for _, slots in self._counts]
        out += [max([free[s] for s in slots], default=0) for _, slots in self._shares]
        out += [max([free[s] * mem // WHOLE for s, mem in pairs], default=0) for _, pairs in self._mems]
        out += [
            _largest_block([free[s] == WHOLE and s in members for s in slots])
            for _, slots, members in self._blocks
        ]
        out += [
            sum([self._available(s, profile, free[s], slices) for s in slots])
            for _, profile, slots in self._parts
        ]
        if key is not None:
            self._keep(key, out)
        return out

    def _keep(self, key: object, found: object) -> None:
        """Nodes with alike devices are in the same few states again and again."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[key] = found

    def in_use(self, used: Sequence[int]) -> list[int]:
        """Devices of which something is in use, for the first of `names`: those of kinds and types."""
        return [sum([used[s] > 0 for s in slots]) for _, slots in self._counts]

    def capacity(self) -> list[int]:
        """Derived columns of the node when nothing is in use, in the order of `names`."""
        return self.derive([WHOLE] * self.n, {})

    # -- choosing ----------------------------------------------------------------------------------------

    def choose_whole(self, want: Whole, free: Sequence[int]) -> Taken | None:
        """Which devices: of one link group where one has enough (the one with the fewest free), else of as
        few groups as possible; lowest index first. None if there are not enough."""
        key = (want, tuple(free[: self.n]))
        if key not in self._known:
            self._keep(key, self._choose_whole(want, free))
        return self._known[key]  # type: ignore[return-value]

    def _choose_whole(self, want: Whole, free: Sequence[int]) -> Taken | None:
        able = [
            s
            for s, d in enumerate(self.devices)
            if free[s] == WHOLE and d.kind == want.kind and (not want.type or d.type == want.type)
        ]
        if len(able) < want.n:
            return None
        if want.kind in ALIGNED:
            able = self._aligned(want, able)
        elif want.n > 1 or want.linked:
            able = self._by_link(want, able)
        if len(able) < want.n:
            return None
        return self._whole(sorted(able[: want.n]))

    def choose_share(self, want: Share, free: Sequence[int], first: int = -1) -> Taken | None:
        """Which devices give the shares: the fullest that can, one after the other. first: the slot of the
        first share, where a policy chose it."""
        key = (want, first, tuple(free[: self.n]))
        known = self._known.get(key)
        if known is None:
            known = self._choose_share(want, free, first)
            self._keep(key, known)
        return known  # type: ignore[return-value]

    def _choose_share(self, want: Share, free: Sequence[int], first: int) -> Taken | None:
        left = list(free[: self.n])
        given: dict[int, int] = {}
        for i in range(want.n):
            best, need_of_best = -1, 0
            for s, d in enumerate(self.devices):
                need = self.milli_of(want, s)
                if not need or need > left[s] or d.layouts:
                    continue
                if i == 0 and s == first:
                    best, need_of_best = s, need
                    break
                if best < 0 or left[s] < left[best]:
                    best, need_of_best = s, need
            if best < 0:
                return None
            left[best] -= need_of_best
            given[best] = given.get(best, 0) + need_of_best
        slots = sorted(given)
        devices = tuple(
            Devices(self.devices[s].kind, self.devices[s].type, (self.devices[s].index,), given[s])
            for s in slots
        )
        return Taken(devices, tuple((s, given[s]) for s in slots))

    def choose_parts(self, want: Part, free: Sequence[int], slices: Slices) -> Taken | None:
        """Which slices: of devices that are cut already first, then of as few new ones as possible, each cut
        the way that has most of the profile."""
        out: list[Devices] = []
        milli: dict[int, int] = {}
        cut_first = sorted(range(self.n), key=lambda s: (s not in slices, s))
        for s in cut_first:
            d = self.devices[s]
            if d.kind != want.kind or not d.layouts:
                continue
            if free[s] == WHOLE:  # also one that is cut now, but free at the time that is looked at
                layout, used = max(range(len(d.layouts)), key=lambda i: d.layouts[i].count(want.profile)), 0
            elif s in slices and slices[s][0] != UNDECLARED:
                layout, used = slices[s]
            else:
                continue
            each = slice_milli(d.layouts[layout], want.profile)
            for place, profile in enumerate(d.layouts[layout]):
                room = free[s] - milli.get(s, 0)
                if len(out) < want.n and profile == want.profile and not used >> place & 1 and room >= each:
                    out.append(Devices(d.kind, d.type, (d.index,), each, profile, (layout, place)))
                    milli[s] = milli.get(s, 0) + each
        if len(out) < want.n:
            return None
        return Taken(tuple(out), tuple(sorted(milli.items())))

    def milli_of(self, want: Share, slot: int) -> int:
        """Thousandths of the device that one share takes; 0 if the device is not one to take it from."""
        d = self.devices[slot]
        if d.kind != want.kind or (want.type and d.type != want.type):
            return 0
        if not want.mem_mib:
            return want.milli
        return -(-WHOLE * want.mem_mib // d.mem_mib) if d.mem_mib >= want.mem_mib else 0

    # -- inside ------------------------------------------------------------------------------------------

    def _whole(self, slots: list[int]) -> Taken:
        by_type: dict[tuple[str, str], list[int]] = {}
        for s in slots:
            d = self.devices[s]
            by_type.setdefault((d.kind, d.type), []).append(d.index)
        devices = tuple(Devices(kind, type_, tuple(i)) for (kind, type_), i in sorted(by_type.items()))
        return Taken(devices, tuple((s, WHOLE) for s in slots))

    def _by_link(self, want: Whole, able: list[int]) -> list[int]:
        groups: dict[int, list[int]] = {}
        for s in able:
            groups.setdefault(self.devices[s].link, []).append(s)
        if want.linked:
            groups.pop(-1, None)
        enough = [members for members in groups.values() if len(members) >= want.n]
        if enough:
            return min(enough, key=lambda members: (len(members), members[0]))
        if want.linked:
            return []
        return [
            s for _, members in sorted(groups.items(), key=lambda g: (-len(g[1]), g[1][0])) for s in members
        ]

    def _aligned(self, want: Whole, able: list[int]) -> list[int]:
        """The first aligned block that is free, the one in the fullest surroundings."""
        size = 1 << (want.n - 1).bit_length()
        slots = [s for s, d in enumerate(self.devices) if d.kind == want.kind]
        free = set(able)
        blocks = [slots[i : i + size] for i in range(0, len(slots), size)]
        fitting = [b for b in blocks if len(b) == size and free.issuperset(b)]

        def surroundings(block: list[int]) -> int:
            at = slots.index(block[0]) // (2 * size) * (2 * size)
            return len(free.intersection(slots[at : at + 2 * size]))

        return min(fitting, key=lambda b: (surroundings(b), b[0]), default=[])

    def blocks_of(self, slots: Collection[int]) -> list[int]:
        """Slots of the aligned blocks that these are part of and that have to be free for them, others
        only."""
        out: list[int] = []
        for kind in ALIGNED:
            every = [s for s, d in enumerate(self.devices) if d.kind == kind]
            mine = [every.index(s) for s in slots if self.devices[s].kind == kind]
            if mine:
                size = 1 << (len(mine) - 1).bit_length()
                first = mine[0] // size * size
                out += [s for s in every[first : first + size] if s not in slots]
        return out

    def _most(self, slot: int, profile: str) -> int:
        return max([layout.count(profile) for layout in self.devices[slot].layouts], default=0)

    def _available(self, slot: int, profile: str, free: int, slices: Slices) -> int:
        """Slices of the profile that can be had of the device."""
        if free == WHOLE:
            return self._most(slot, profile)
        layout, used = slices.get(slot, (UNDECLARED, 0))
        if layout == UNDECLARED:
            return 0
        parts = self.devices[slot].layouts[layout]
        n = sum([p == profile and not used >> place & 1 for place, p in enumerate(parts)])
        # Not more than is free there: what is looked at may be another time, when the slices in use differ.
        return min(n, max(free, 0) // slice_milli(parts, profile)) if n else 0


def slice_milli(layout: Sequence[str], profile: str) -> int:
    """Thousandths of the device that a slice counts for: its part of the layout's compute slices."""
    total = sum([_compute(p) for p in layout])
    return WHOLE * _compute(profile) // total


def _compute(profile: str) -> int:
    """Compute slices of a profile: 3 of "3g.40gb"."""
    return int(profile.partition("g")[0])


def _largest_block(free: Sequence[bool]) -> int:
    """Size of the largest aligned run of free ones whose size is a power of two."""
    size = 1 << max(len(free).bit_length() - 1, 0)
    while size:
        if any(all(free[i : i + size]) for i in range(0, len(free) - size + 1, size)):
            return size
        size >>= 1
    return 0

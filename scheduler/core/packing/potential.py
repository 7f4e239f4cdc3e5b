"""Packhorse's own policy: the node where the job makes the least free device time worthless.

Every free device has a potential, the part of it that is expected to stay free for good. It depends on the
kind of node, on how much CPU the node still has per free device, on how much of the device is free, and, when
it is free altogether, on how many such devices the node has. A job goes where the sum of potentials rises
least (or falls most): it leaves behind what later jobs can use, and takes first what they could not.

The potential is learned by playing (learning.py), like the afterstate values of TD-Gammon (Tesauro, CACM
1995), from the jobs that are typical here, by which FGD judges a cluster too (Weng et al., USENIX ATC 2023).
FGD asks what the *next* job could not use, the potential what *no later one* will. Near equals go to the
fuller node, so that empty nodes stay whole for jobs that want all of one.

Without a mix, a device counts for less the more CPU goes with it: a tight best fit. On nodes without free
devices only the last term counts, CPU and memory left over: the tightest fit of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.policy import Ground, Mix, Scores, Sight, Want
from packhorse.scheduler.model.resources import WHOLE

UNIT: Final = 1000  # of scores per thousandth of a device. Integers: the sum is the same in any order
FULLER: Final = 3  # score per free thousandth of the node: 3 thousandths of a device per free device
TIGHTER: Final = 500  # score per part of the largest node left over, for CPU and memory each
STEP: Final = 10  # thousandths of a device per column
PARTS: Final = WHOLE // STEP
BINS: Final = 58  # of CPU per free device
FINER: Final = 4  # rows per bin in a Table
ROWS: Final = (BINS - 2) * FINER + 1
BENT: Final = 1.0  # how much more the first thousandth of a free device counts than the last, untaught
FEW: Final = 4  # up to so many nodes are scored number by number: a vector operation costs as much as 30 such
_FAR: Final = 1 << 60
_STEPS: Final = 16 * 64  # sixteenths of CPU per device that are told apart: from 64 on all is alike


class Kinds(NamedTuple):
    """of: kind of each node `[n]`, alike in device type, number, and CPU per device (to a tenth). n: how many
    kinds. cpu: milli-CPU per thousandth of a device that counts as 12 on the scale of `place`. ratio: of each
    kind, capacity in CPU per device on that scale `[n kinds]`. most: devices of a node at most."""

    of: np.ndarray
    n: int
    cpu: float
    ratio: np.ndarray
    most: int

    def place(self, cpu: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Where CPU per free device lies, 0..56: fine up to a third more than jobs want, then coarser."""
        ratio = cpu * (12.0 / self.cpu) / np.maximum(total, 1)
        near = np.minimum(2 * ratio, 16 + ratio)
        return np.asarray(np.minimum(near, np.minimum(40 + ratio / 4, BINS - 2.0)))


class Table(NamedTuple):
    """Potentials in UNITs. part: of a device by kind and row, and by what is free `[kinds * ROWS, PARTS]`;
    its column 0 is 0. whole: of all wholly free devices of a node, by how many `[kinds * ROWS, most + 1]`."""

    part: np.ndarray
    whole: np.ndarray


def kinds_of(ground: Ground, mix: Mix) -> Kinds:
    """The kinds of nodes; never more than (types + 1) x (devices + 1) x about 60."""
    most = int(ground.n_devices.max(initial=0))
    each = ground.cpu / np.maximum(ground.n_devices, 1)
    tenths = np.where(ground.n_devices > 0, np.round(np.log2(np.maximum(each, 1)) * 7), 0).astype(np.int64)
    first = ground.type_of[0] if ground.type_of.shape[0] else np.full(ground.cpu.size, -1)
    key = (first.astype(np.int64) * (most + 1) + ground.n_devices) * 1000 + tenths
    _, at, of = np.unique(key, return_index=True, return_inverse=True)
    devices = (mix.weight * mix.n_devices * mix.milli).sum()
    if devices:
        cpu = float((mix.weight * mix.cpu * (mix.n_devices > 0)).sum() / devices)
    else:
        cpu = float(ground.cpu.sum() / max(int(ground.n_devices.sum()) * WHOLE, 1))
    cpu = max(cpu, 1e-3)
    capacity = ground.cpu[at] * 12.0 / cpu / np.maximum(ground.n_devices[at] * WHOLE, 1)
    return Kinds(of.reshape(-1), int(at.size), cpu, capacity, most)


def prior(kinds: Kinds) -> np.ndarray:
    """Potentials before anything is learned, in thousandths of a device `[kinds, BINS, PARTS + most]`:
    half of what is free, down to a quarter the more CPU there is for it."""
    column = np.arange(PARTS + kinds.most)
    free = np.minimum(column, PARTS) * float(STEP)
    b = np.arange(BINS, dtype=float)
    ratio = np.where(b < 32, b / 2, np.where(b < 48, b - 16, 4 * (b - 40)))  # place() backwards
    scarce = 1 - np.minimum(ratio / np.maximum(kinds.ratio, 1e-9)[:, None], 1) / 2
    return np.asarray(0.5 * scarce[:, :, None] * free)


def untaught(kinds: Kinds) -> np.ndarray:
    """Potentials to go by without having learned: the prior, and of a device that is wholly free less is
    expected to stay free for good than of one in use, so that shares go together and whole devices stay
    whole."""
    value = prior(kinds)
    free = np.minimum(np.arange(PARTS + kinds.most), PARTS) / PARTS
    return np.asarray(value * (1 + BENT * (1 - free)))


def table_of(kinds: Kinds, value: np.ndarray) -> Table:
    """The look-up table of potentials `[kinds, BINS, PARTS + most]`, straight lines between bins."""
    row = np.arange(ROWS)
    low, part = row // FINER, ((row % FINER) / FINER)[:, None]
    fine = value[:, low] * (1 - part) + value[:, low + 1] * part
    fine = np.round(fine * UNIT).astype(np.int64)
    whole = np.zeros((kinds.n, ROWS, kinds.most + 1), np.int64)
    whole[:, :, 1:] = fine[:, :, PARTS:] * np.arange(1, kinds.most + 1)
    fine[:, :, 0] = 0
    return Table(
        np.ascontiguousarray(fine[:, :, :PARTS]).reshape(-1, PARTS), whole.reshape(-1, kinds.most + 1)
    )


class Potential:
    """Scores from a Table."""

    relative = False

    def __init__(self, ground: Ground, kinds: Kinds, table: Table) -> None:
        self.kinds = kinds
        self.base = kinds.of * ROWS
        self.part = table.part.reshape(-1)
        self.whole = table.whole.reshape(-1)
        self.columns = kinds.most + 1
        self.column = np.arange(WHOLE + 1) // STEP % PARTS  # wholly free: 0, they count in `whole`
        # A row begins at a multiple of a sixteenth of CPU per device, whichever slope Kinds.place has there.
        self.per_device = 16 * 12.0 / kinds.cpu
        sixteenths = np.arange(_STEPS + 1)
        self.row_of = (kinds.place(sixteenths * (kinds.cpu / 192.0), np.ones(1)) * FINER + 0.5 + 1e-9).astype(
            np.int64
        )
        # Single numbers are read faster from these than from arrays.
        self._part, self._whole = self.part.data, self.whole.data
        self._base: list[int] = self.base.tolist()
        self._row_of: list[int] = self.row_of.tolist()
        self.per_cpu = TIGHTER / max(int(ground.cpu.max(initial=1)), 1)
        self.per_mem = TIGHTER / max(int(ground.mem.max(initial=1)), 1)

    def phase(self, fill: float) -> int:
        return 0

    def know(self, at: np.ndarray, cpu: np.ndarray, dev: np.ndarray) -> np.ndarray:
        """What a score owes to the node as it is: less its potentials, for its free devices; free devices in
        thousandths; how many are wholly free."""
        total = np.add.reduce(dev, axis=0)
        whole = np.add.reduce(dev == WHOLE, axis=0)
        row = self._rows(cpu, total, at)
        value = np.add.reduce(self.part.take(row * PARTS + self.column.take(dev)), axis=0)
        value += self.whole.take(row * self.columns + whole)
        return np.stack((FULLER * total - value, total, whole))

    def know_one(self, at: int, cpu: int, dev: list[int]) -> tuple[int, int, int]:
        part, total, whole = self._part, sum(dev), dev.count(WHOLE)
        row = self._row(cpu, total, at)
        cell = row * PARTS
        value = sum([part[cell + f // STEP % PARTS] for f in dev]) + self._whole[row * self.columns + whole]
        return FULLER * total - value, total, whole

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        left = sight.cpu - want.cpu_milli
        if not self.kinds.most:
            tight = left * self.per_cpu
            tight += (sight.mem - want.mem_mib) * self.per_mem
            return tight.astype(np.int64), np.zeros(left.size, np.int64)
        known = sight.known
        if known is None:
            if sight.at.size <= FEW:
                return self._few(want, sight)
            known = self.know(sight.at, sight.cpu, sight.dev)
        tight = left * self.per_cpu
        tight += (sight.mem - want.mem_mib) * self.per_mem
        value, total, whole = known
        score = tight.astype(np.int64)
        score += value
        dev = sight.dev
        row = self._rows(left, total - want.n_devices * want.milli, sight.at)
        after = row * PARTS
        cells = self.part.take(after + self.column.take(dev))
        score += np.add.reduce(cells, axis=0)
        most = row * self.columns
        most += whole
        if not want.shares:
            score += self.whole.take(most - want.n_devices)
            return score, np.zeros(score.size, np.int64)
        # Taken from a device partly free, or from one of the wholly free, which then are one less.
        all_whole = self.whole.take(most)
        one = all_whole - self.whole.take(most - (whole > 0))
        rise = self.part.take(after + self.column.take(dev - want.milli, mode="clip"))
        rise -= np.where(dev == WHOLE, one, cells)
        rise[~sight.may] = _FAR
        device = rise.argmin(axis=0)
        score += all_whole
        score += rise[device, np.arange(device.size)]
        return score, device

    def _few(self, want: Want, sight: Sight) -> Scores:
        """The same for a few nodes, number by number."""
        score, device = [], []
        devs = sight.dev.T.tolist()
        mays = sight.may.T.tolist() if want.shares else [[]] * len(devs)
        each = zip(sight.at.tolist(), sight.cpu.tolist(), sight.mem.tolist(), devs, mays, strict=True)
        for at, cpu, mem, dev, may in each:
            one = self.score_one(want, at, cpu, mem, dev, may, self.know_one(at, cpu, dev))
            score.append(one[0])
            device.append(one[1])
        return np.array(score, np.int64), np.array(device, np.intp)

    def score_one(
        self, want: Want, at: int, cpu: int, mem: int, dev: list[int], may: list[bool], known: Sequence[int]
    ) -> tuple[int, int]:
        part, whole_value, milli = self._part, self._whole, want.milli
        value, total, whole = known
        left = cpu - want.cpu_milli
        row = self._row(left, total - want.n_devices * milli, at)
        score = int(left * self.per_cpu + (mem - want.mem_mib) * self.per_mem) + value
        cell = row * PARTS
        values = [part[cell + f // STEP % PARTS] for f in dev]
        score += sum(values)
        most = row * self.columns + whole
        if not want.shares:
            return score + whole_value[most - want.n_devices], 0
        all_whole = whole_value[most]
        one = all_whole - whole_value[most - (whole > 0)]
        rise = [
            part[cell + (f - milli) // STEP % PARTS] - (one if f == WHOLE else value) if able else _FAR
            for f, value, able in zip(dev, values, may, strict=True)
        ]
        least = min(rise)
        return score + least + all_whole, rise.index(least)

    def _row(self, cpu: int, total: int, at: int) -> int:
        """`_rows` for one node. A node that shrank may have less than no CPU free."""
        step = int(cpu * self.per_device / max(total, 1))
        return self._row_of[min(max(step, 0), _STEPS)] + self._base[at]

    def _rows(self, cpu: np.ndarray, total: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Rows of the table, from CPU and free devices."""
        ratio = cpu * self.per_device
        ratio /= np.maximum(total, 1)
        rows: np.ndarray = self.row_of.take(ratio.astype(np.int64), mode="clip")
        rows += self.base.take(at)
        return rows

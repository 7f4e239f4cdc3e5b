"""Where one job goes, decided at once: the lowest score of its ask class, from a row of scores that is kept.

Every ask class has a row with the score of each node. A decision changes one node, so what a class has to
score when it is asked again are the nodes changed since it last was, in one call of the policy; then the
least of its row wins. Rows are void when the policy's phase changes or the policy itself does. Where many
nodes are scored at once, those alike in class and free amounts are scored once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.alike import Alike
from packhorse.scheduler.core.packing.policy import Ground, Scorer, Sight, Want
from packhorse.scheduler.model.resources import WHOLE

UNFIT: Final = np.inf
"""Score of a node that cannot take the job."""

_CPU, _MEM, _GRADE, _DEV = range(4)
"""Rows of the state: free CPU and memory, the grade, and from _DEV on the free thousandths of every device.
The grade is a thousand for each wholly free device; if there is none, the most that is free on one."""

_MANY: Final = 64
"""From so many nodes on, finding those alike is cheaper than scoring them all."""


class Taken(NamedTuple):
    """What a job got: position of the node, indices of the devices in rising order."""

    node: int
    devices: tuple[int, ...]


class _Row:
    """What is kept for one ask class.

    need: least values of the first three rows of the state `[3, 1]`. may_use: devices of allowed types
    `[D, n]`, None if all those of the nodes in open are. open: nodes with enough allowed devices when
    empty `[n]`. score, device: `[n]`. seen: length of the log when it was last brought up to date. phase: of
    the scores, -1 for void ones.
    """

    __slots__ = ("device", "may_use", "milli", "need", "open", "phase", "score", "seen", "shares", "want")

    def __init__(self, want: Want, may_use: np.ndarray | None, open_: np.ndarray) -> None:
        self.want = want
        self.shares = want.shares
        self.milli = want.milli * want.n_devices
        self.need = np.array([[want.cpu_milli], [want.mem_mib], [self.milli]], dtype=np.int64)
        self.may_use = may_use
        self.open = open_
        self.score = np.where(open_, 0.0, UNFIT)
        self.device = np.zeros(open_.shape[0], dtype=np.int64)
        self.seen = 0
        self.phase = -1


class Placer:
    """Nodes and what is free on them; see the module. Positions are the ground's; ties go to the first.

    With a scorer that has an attribute `relative` that is true (its scores of a node depend on which others
    fit), only what fits is kept, and all that fit are scored for every decision.
    """

    def __init__(self, ground: Ground, scorer: Scorer) -> None:
        """All nodes empty: what is free is the ground's capacity. Its D is 1 at least."""
        self.ground = ground
        self.n = int(ground.cpu.shape[0])
        n_places = int(ground.type_of.shape[0])
        self._state = np.zeros((_DEV + n_places, self.n), dtype=np.int64)
        self._state[_CPU] = ground.cpu
        self._state[_MEM] = ground.mem
        self._state[_GRADE] = ground.n_devices * WHOLE
        self._state[_DEV:] = np.where(ground.type_of >= 0, WHOLE, 0)
        # The same as lists by node: reading single numbers from them is many times faster.
        self._cpu: list[int] = self._state[_CPU].tolist()
        self._mem: list[int] = self._state[_MEM].tolist()
        self._dev: list[list[int]] = self._state[_DEV:].T.tolist()
        each = zip(ground.node_class.tolist(), self._cpu, self._mem, self._dev, strict=True)
        self._alike = Alike([(kind, cpu, mem, *dev) for kind, cpu, mem, dev in each])
        self._alike_seen = 0  # length of the log when that was last brought up to date
        self._class: list[int] = ground.node_class.tolist()
        self._none = np.zeros((n_places, self.n), dtype=np.bool_)
        self.capacity_milli = int(ground.n_devices.sum()) * WHOLE
        self.taken_milli = 0
        self._rows: list[_Row] = []
        self._codes: dict[tuple[Want, tuple[int, ...] | None], int] = {}
        self._masks: dict[tuple[int, ...], np.ndarray] = {}
        self._log = np.zeros(max(1024, 2 * self.n), dtype=np.intp)
        self._log_start = 0
        self._log_end = 0
        self.use(scorer)

    # ------------------------------------------------------------------------------------- asking

    def use(self, scorer: Scorer) -> None:
        """From now on this policy decides; every score kept is void."""
        self.scorer = scorer
        self.relative = bool(scorer.relative)
        for row in self._rows:
            row.phase = -1

    def code(self, want: Want, types: tuple[int, ...] | None = None) -> int:
        """The code of an ask class. types: device type codes it may use, in rising order; None for any."""
        found = self._codes.get((want, types))
        if found is None:
            found = self._codes[(want, types)] = len(self._rows)
            self._rows.append(self._new_row(want, types))
        return found

    def _new_row(self, want: Want, types: tuple[int, ...] | None) -> _Row:
        kind = self.ground.type_of
        if types is None or not want.n_devices:
            return _Row(want, None, self.ground.n_devices >= want.n_devices)
        mask = self._masks.get(types)
        if mask is None:
            mask = self._masks[types] = np.isin(kind, types) & (kind >= 0)
        n_usable = mask.sum(axis=0)
        open_: np.ndarray = n_usable >= want.n_devices
        pure = bool((n_usable[open_] == self.ground.n_devices[open_]).all())
        return _Row(want, None if pure else mask, open_)

    def want(self, code: int) -> Want:
        """What the ask class takes."""
        return self._rows[code].want

    @property
    def fill(self) -> float:
        """Part of all devices that is taken."""
        return self.taken_milli / self.capacity_milli if self.capacity_milli else 0.0

    def free(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Free CPU and memory `[n]` and thousandths of every device `[D, n]`; views, not to be changed."""
        return self._state[_CPU], self._state[_MEM], self._state[_DEV:]

    # ------------------------------------------------------------------------------------- deciding

    def best(self, code: int) -> tuple[int, int, float] | None:
        """The node with the least score for this class, the device a share would go to (0 for other jobs)
        and the score; None if no node can take it now.
        """
        row = self._rows[code]
        self._bring_up(row)
        if self.relative:
            return self._best_of_all(row)
        node = int(row.score.argmin())
        score = row.score.item(node)
        return None if score == UNFIT else (node, row.device.item(node), score)

    def place(self, code: int) -> Taken | None:
        """Decide and take; None if no node can take it now."""
        found = self.best(code)
        return None if found is None else self.take(code, found[0], found[1])

    def _bring_up(self, row: _Row) -> None:
        """Score what may have changed since this row was last asked for."""
        capacity = self.capacity_milli
        phase = self.scorer.phase(self.taken_milli / capacity if capacity else 0.0)
        seen, end = row.seen, self._log_end
        row.seen = end
        if row.phase != phase or seen < self._log_start or end - seen > self.n >> 1:
            row.phase = phase
            at = (row.score < UNFIT).nonzero()[0]
        elif seen == end:
            return
        else:
            at = self._log[seen - self._log_start : end - self._log_start]
            at = at[row.score[at] < UNFIT]  # the others fit no better now; release() says where one may again
        if at.size:
            self._score(row, at, phase)

    def _score(self, row: _Row, at: np.ndarray, phase: int) -> None:
        """Bring the scores of these nodes up to date."""
        state = self._state.take(at, axis=1)
        fits = (state[:_DEV] >= row.need).all(axis=0)
        if row.may_use is not None:
            fits &= self._may(row, at, state[_DEV:]).sum(axis=0) >= row.want.n_devices
        good = at[fits]
        if good.size < at.size:
            row.score[at] = UNFIT
            if not good.size:
                return
            state = self._state.take(good, axis=1)
        if self.relative:
            row.score[good] = 0.0
        elif good.size < _MANY:
            dev = state[_DEV:]
            sight = Sight(good, state[_CPU], state[_MEM], dev, self._may(row, good, dev))
            row.score[good], row.device[good] = self.scorer.scores(row.want, sight, phase)
        else:
            self._score_alike(row, good, state, phase)

    def _score_alike(self, row: _Row, at: np.ndarray, state: np.ndarray, phase: int) -> None:
        """As above for many nodes that fit: one of those alike is scored for all."""
        self._bring_alike_up()
        one, place = self._alike.one_of_each(at)
        at_one, state = at[one], state.take(one, axis=1)
        dev = state[_DEV:]
        sight = Sight(at_one, state[_CPU], state[_MEM], dev, self._may(row, at_one, dev))
        score, device = self.scorer.scores(row.want, sight, phase)
        row.score[at] = score[place]
        row.device[at] = device[place]

    def _bring_alike_up(self) -> None:
        start, seen = self._log_start, self._alike_seen
        changed = self._log[seen - start : self._log_end - start].tolist() if seen >= start else range(self.n)
        for node in dict.fromkeys(changed):
            amounts = (self._class[node], self._cpu[node], self._mem[node], *self._dev[node])
            self._alike.change(node, amounts)
        self._alike_seen = self._log_end

    def _may(self, row: _Row, at: np.ndarray, dev: np.ndarray) -> np.ndarray:
        """Which devices of these nodes the class may use and have enough free `[D, k]`."""
        if not row.milli:
            return self._none[:, : at.size]
        may: np.ndarray = dev >= row.want.milli
        return may if row.may_use is None else may & row.may_use[:, at]

    def _best_of_all(self, row: _Row) -> tuple[int, int, float] | None:
        at = (row.score < UNFIT).nonzero()[0]
        if not at.size:
            return None
        state = self._state.take(at, axis=1)
        sight = Sight(at, state[_CPU], state[_MEM], state[_DEV:], self._may(row, at, state[_DEV:]))
        score, device = self.scorer.scores(row.want, sight, row.phase)
        i = int(score.argmin())
        return int(at[i]), int(device[i]), float(score[i])

    # ------------------------------------------------------------------------------------- changing

    def take(self, code: int, node: int, device: int = 0) -> Taken:
        """Give a job of this class the node. device: the one for a share. Whole devices are the wholly free
        ones of allowed types with the lowest indices. ValueError if it does not fit.
        """
        row = self._rows[code]
        want = row.want
        free = self._dev[node]
        devices: tuple[int, ...] = ()
        if row.shares:
            may = free[device] >= want.milli and (row.may_use is None or bool(row.may_use[device, node]))
            devices = (device,) if may else ()
        elif want.n_devices == 1 and row.may_use is None:
            devices = (free.index(WHOLE),) if WHOLE in free else ()
        elif row.milli:
            usable = [d for d, milli in enumerate(free) if milli == WHOLE]
            if row.may_use is not None:
                usable = [d for d in usable if row.may_use[d, node]]
            devices = tuple(usable[: want.n_devices])
        cpu = self._cpu[node] - want.cpu_milli
        mem = self._mem[node] - want.mem_mib
        if cpu < 0 or mem < 0 or len(devices) < want.n_devices:
            raise ValueError(f"{want} does not fit on node {node}")
        self._put(node, cpu, mem, devices, want.milli)
        self.taken_milli += row.milli
        return Taken(node, devices)

    def release(self, code: int, taken: Taken) -> None:
        """Give back what take() gave; the columns are then as they were before it."""
        want = self._rows[code].want
        node = taken.node
        self._put(
            node, self._cpu[node] + want.cpu_milli, self._mem[node] + want.mem_mib, taken.devices, -want.milli
        )
        self.taken_milli -= self._rows[code].milli
        for row in self._rows:
            if row.open[node]:
                row.score[node] = 0.0  # may fit again; it is in the log, so it is scored before it is used

    def _put(self, node: int, cpu: int, mem: int, devices: tuple[int, ...], milli: int) -> None:
        """New free amounts of a node. milli: taken of each of these devices."""
        state = self._state
        self._cpu[node] = state[_CPU, node] = cpu
        self._mem[node] = state[_MEM, node] = mem
        if devices:
            free = self._dev[node]
            for d in devices:
                free[d] = state[_DEV + d, node] = free[d] - milli
            state[_GRADE, node] = WHOLE * free.count(WHOLE) or max(free)
        at = self._log_end - self._log_start
        if at == self._log.shape[0]:
            half = at >> 1
            self._log[: at - half] = self._log[half:]
            self._log_start += half
            at -= half
        self._log[at] = node
        self._log_end += 1

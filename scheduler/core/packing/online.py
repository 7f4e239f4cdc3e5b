"""Where one job goes, decided at once: the lowest score of its ask class, from a row of scores that is kept.

Every ask class has a row with the score of each node. A decision changes one node, so what a class has to score
when it is asked again are the nodes changed since it last was, in one call of the policy; then the least of
its row wins. Rows are void when the policy's phase changes or the policy itself does. Where many nodes are
scored at once, those alike in class and free amounts are scored once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from packhorse.scheduler.core.packing.policy import WHOLE, Ground, Scorer, Sight, Want

UNFIT: Final = np.inf
"""Score of a node that cannot take the job."""

_CPU, _MEM, _IDLE, _LARGEST, _DEV = range(5)
"""Rows of the state: free CPU and memory, wholly free devices, most thousandths free on one device, and from
_DEV on the free thousandths of every device."""

_MANY: Final = 96
"""From so many nodes on, finding the alike ones is cheaper than scoring them all."""


_GOLDEN: Final = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio, odd: its powers spread sums of small numbers over all 64 bits (Knuth 6.4)."""


class Taken(NamedTuple):
    """What a job got: position of the node, indices of the devices in rising order."""

    node: int
    devices: tuple[int, ...]


class _Row:
    """What is kept for one ask class.

    need: least values of the first four rows of the state `[4, 1]`. may_use: devices of allowed types
    `[D, n]`, None if all those of the nodes in open are. open: nodes with enough allowed devices when
    empty `[n]`. score, device: `[n]`. seen: length of the log when it was last brought up to date. phase: of
    the scores, -1 for void ones.
    """

    __slots__ = ("device", "may_use", "need", "open", "phase", "score", "seen", "want")

    def __init__(self, want: Want, may_use: np.ndarray | None, open_: np.ndarray) -> None:
        self.want = want
        idle, largest = (want.n_devices, 0) if want.milli == WHOLE else (0, want.milli)
        self.need = np.array([[want.cpu_milli], [want.mem_mib], [idle], [largest]], dtype=np.int64)
        self.may_use = may_use
        self.open = open_
        self.score = np.where(open_, 0.0, UNFIT)
        self.device = np.zeros(open_.shape[0], dtype=np.int64)
        self.seen = 0
        self.phase = -1


class Placer:
    """Nodes and what is free on them; see the module. Positions are those of the ground; ties go to the first.

    With a scorer that has an attribute `relative` that is true (its scores of a node depend on which others
    fit), only what fits is kept, and all that fit are scored for every decision.
    """

    def __init__(self, ground: Ground, scorer: Scorer) -> None:
        """All nodes empty: what is free is the ground's capacity."""
        self.ground = ground
        self.n = int(ground.cpu.shape[0])
        self.n_places = int(ground.type_of.shape[0])
        self._state = np.zeros((_DEV + self.n_places, self.n), dtype=np.int64)
        self._state[_CPU] = ground.cpu
        self._state[_MEM] = ground.mem
        self._state[_IDLE] = ground.n_devices
        self._state[_LARGEST] = np.where(ground.n_devices > 0, WHOLE, 0)
        self._state[_DEV:] = np.where(ground.type_of >= 0, WHOLE, 0)
        self._odd = np.array([pow(_GOLDEN, i + 1, 1 << 63) for i in range(_DEV + self.n_places)], dtype=np.int64)
        self._none = np.zeros((self.n_places, self.n), dtype=np.bool_)
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
        self.relative = bool(getattr(scorer, "relative", False))
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
        self._bring_up(row, self.scorer.phase(self.fill))
        if self.relative:
            return self._best_of_all(row)
        node = int(row.score.argmin())
        score = row.score.item(node)
        return None if score == UNFIT else (node, row.device.item(node), score)

    def place(self, code: int) -> Taken | None:
        """Decide and take; None if no node can take it now."""
        found = self.best(code)
        return None if found is None else self.take(code, found[0], found[1])

    def _bring_up(self, row: _Row, phase: int) -> None:
        """Score what may have changed since this row was last asked for."""
        seen, end = row.seen, self._log_end
        row.seen = end
        stale = row.phase != phase
        row.phase = phase
        if stale or seen < self._log_start or end - seen > self.n >> 1:
            at = (row.score < UNFIT).nonzero()[0]
        elif seen == end:
            return
        else:
            at = self._log[seen - self._log_start : end - self._log_start]
            at = at[row.score[at] < UNFIT]  # what did not fit fits no better; release() says where it may again
        if at.size:
            self._score(row, at, phase)

    def _score(self, row: _Row, at: np.ndarray, phase: int) -> None:
        """Bring the scores of these nodes up to date."""
        state = self._state.take(at, axis=1)
        fits = (state[:_DEV] >= row.need).all(axis=0)
        if row.may_use is not None:
            fits &= self._may(row, at, state).sum(axis=0) >= row.want.n_devices
        good = at[fits]
        if good.size < at.size:
            row.score[at] = UNFIT
            if not good.size:
                return
            state = state.compress(fits, axis=1)
        if self.relative:
            row.score[good] = 0.0
        elif good.size < _MANY:
            sight = Sight(good, state[_CPU], state[_MEM], state[_DEV:], self._may(row, good, state))
            row.score[good], row.device[good] = self.scorer.scores(row.want, sight, phase)
        else:
            self._score_alike(row, good, state, phase)

    def _score_alike(self, row: _Row, at: np.ndarray, state: np.ndarray, phase: int) -> None:
        """As above for many nodes that fit, one of each kind of node and free amounts."""
        mark = self._odd @ state + self.ground.node_class[at] * self._odd[0]
        _, first, inverse = np.unique(mark, return_index=True, return_inverse=True)
        one = state[:, first]
        alike = (one[:, inverse] == state).all() and (
            self.ground.node_class[at[first]][inverse] == self.ground.node_class[at]
        ).all()
        if not alike:  # two sums are equal by chance
            first = inverse = np.arange(at.size)
            one = state
        some = at[first]
        sight = Sight(some, one[_CPU], one[_MEM], one[_DEV:], self._may(row, some, one))
        score, device = self.scorer.scores(row.want, sight, phase)
        row.score[at] = score[inverse]
        row.device[at] = device[inverse]

    def _may(self, row: _Row, at: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Which devices of these nodes the class may use and have enough free `[D, k]`."""
        if not row.want.n_devices:
            return self._none[:, : at.size]
        may: np.ndarray = state[_DEV:] >= row.want.milli
        return may if row.may_use is None else may & row.may_use[:, at]

    def _best_of_all(self, row: _Row) -> tuple[int, int, float] | None:
        at = (row.score < UNFIT).nonzero()[0]
        if not at.size:
            return None
        state = self._state.take(at, axis=1)
        sight = Sight(at, state[_CPU], state[_MEM], state[_DEV:], self._may(row, at, state))
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
        free = self._state[_DEV:, node].tolist()
        if want.shares:
            devices: tuple[int, ...] = (device,)
        elif want.n_devices:
            usable = [d for d, milli in enumerate(free) if milli == WHOLE]
            if row.may_use is not None:
                usable = [d for d in usable if row.may_use[d, node]]
            devices = tuple(usable[: want.n_devices])
        else:
            devices = ()
        cpu = self._state.item((_CPU, node)) - want.cpu_milli
        mem = self._state.item((_MEM, node)) - want.mem_mib
        if cpu < 0 or mem < 0 or len(devices) < want.n_devices or any(free[d] < want.milli for d in devices):
            raise ValueError(f"{want} does not fit on node {node}")
        for d in devices:
            free[d] -= want.milli
        self._put(node, cpu, mem, devices, free)
        self.taken_milli += want.milli * want.n_devices
        return Taken(node, devices)

    def release(self, code: int, taken: Taken) -> None:
        """Give back what take() gave; the columns are then as they were before it."""
        want = self._rows[code].want
        node = taken.node
        free = self._state[_DEV:, node].tolist()
        for d in taken.devices:
            free[d] += want.milli
        cpu = self._state.item((_CPU, node)) + want.cpu_milli
        mem = self._state.item((_MEM, node)) + want.mem_mib
        self._put(node, cpu, mem, taken.devices, free)
        self.taken_milli -= want.milli * want.n_devices
        for row in self._rows:
            if row.open[node]:
                row.score[node] = 0.0  # may fit again; it is in the log, so it is scored before it is used

    def _put(self, node: int, cpu: int, mem: int, devices: tuple[int, ...], free: list[int]) -> None:
        state = self._state
        state[_CPU, node] = cpu
        state[_MEM, node] = mem
        if devices:
            for d in devices:
                state[_DEV + d, node] = free[d]
            state[_IDLE, node] = free.count(WHOLE)
            state[_LARGEST, node] = max(free)
        at = self._log_end - self._log_start
        if at == self._log.shape[0]:
            half = at >> 1
            self._log[: at - half] = self._log[half:]
            self._log_start += half
            at -= half
        self._log[at] = node
        self._log_end += 1

"""Placing one job at a time with kept scores gives what scoring every node for every job gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing import online
from packhorse.scheduler.core.packing.online import Placer, Taken
from packhorse.scheduler.core.packing.policy import Ground, Scores, Sight, Want
from packhorse.scheduler.model.resources import WHOLE


class Tight:
    """Least left over, with a preference that turns at half full, so that there are phases."""

    relative = False

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.n_scored = 0

    def phase(self, fill: float) -> int:
        return int(fill >= 0.5)

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        assert not (sight.may & (sight.dev < want.milli)).any()
        self.n_scored += sight.at.size
        devices = sight.dev.sum(axis=0) + 300 * sight.may.sum(axis=0)
        score = sight.cpu + (devices if phase else -devices) + self.ground.node_class[sight.at]
        return score, np.where(sight.may, sight.dev, 9999).argmin(axis=0)


class Relative(Tight):
    """A node's score depends on the greatest of all that fit."""

    relative = True

    def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
        score, device = super().scores(want, sight, phase)
        return (score - score.min()) * 10 // (np.ptp(score) + 1), device


def a_ground(nodes: list[tuple[int, int, list[int]]]) -> Ground:
    """Nodes as CPU, memory and device types."""
    most = max(1, *(len(types) for _, _, types in nodes))
    kinds: dict[str, int] = {}
    return Ground(
        cpu=np.array([cpu for cpu, _, _ in nodes]),
        mem=np.array([mem for _, mem, _ in nodes]),
        n_devices=np.array([len(types) for _, _, types in nodes]),
        type_of=np.array([types + [-1] * (most - len(types)) for _, _, types in nodes])
        .reshape(len(nodes), most)
        .T,
        node_class=np.array([kinds.setdefault(str(node), len(kinds)) for node in nodes]),
        n_types=3,
    )


class Plain:
    """The same in loops over nodes, with nothing kept."""

    def __init__(self, ground: Ground, scorer: Any) -> None:
        self.ground = ground
        self.scorer = scorer
        self.free: list[list[Any]] = [
            [
                int(ground.cpu[i]),
                int(ground.mem[i]),
                [WHOLE * (t >= 0) for t in ground.type_of[:, i].tolist()],
            ]
            for i in range(ground.cpu.size)
        ]

    def place(self, want: Want, types: tuple[int, ...] | None) -> Taken | None:
        fit, may = [], []
        for i, (cpu, mem, dev) in enumerate(self.free):
            kinds = self.ground.type_of[:, i].tolist()
            usable = [
                bool(want.n_devices) and free >= want.milli and kind >= 0 and (types is None or kind in types)
                for free, kind in zip(dev, kinds, strict=True)
            ]
            if cpu >= want.cpu_milli and mem >= want.mem_mib and sum(usable) >= want.n_devices:
                fit.append(i)
                may.append(usable)
        if not fit:
            return None
        sight = Sight(
            np.array(fit),
            np.array([self.free[i][0] for i in fit]),
            np.array([self.free[i][1] for i in fit]),
            np.array([self.free[i][2] for i in fit]).T,
            np.array(may).T,
        )
        total = int(self.ground.n_devices.sum()) * WHOLE
        taken = total - sum(sum(dev) for _, _, dev in self.free)
        score, device = self.scorer.scores(want, sight, self.scorer.phase(taken / total if total else 0.0))
        best = min(range(len(fit)), key=lambda k: (score[k], k))
        whole = [d for d, usable in enumerate(may[best]) if usable][: want.n_devices]
        got = Taken(fit[best], (int(device[best]),) if want.shares else tuple(whole))
        self.change(want, got, -1)
        return got

    def change(self, want: Want, taken: Taken, sign: int) -> None:
        node = self.free[taken.node]
        node[0] += sign * want.cpu_milli
        node[1] += sign * want.mem_mib
        for d in taken.devices:
            node[2][d] += sign * want.milli


nodes_of = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 8), st.lists(st.integers(0, 2), max_size=4)),
    min_size=1,
    max_size=12,
)
wants = st.one_of(
    st.builds(Want, st.integers(0, 4), st.integers(0, 3), st.just(0), st.just(0)),
    st.builds(Want, st.integers(0, 4), st.integers(0, 3), st.just(1), st.sampled_from([300, 500, 700])),
    st.builds(Want, st.integers(0, 4), st.integers(0, 3), st.integers(1, 4), st.just(WHOLE)),
)
types_of = st.one_of(
    st.none(), st.sets(st.integers(0, 2), min_size=1).map(lambda found: tuple(sorted(found)))
)


@pytest.mark.parametrize("scorer_of", [Tight, Relative])
@pytest.mark.parametrize("many", [2, 96])
@given(nodes=nodes_of, asks=st.lists(st.tuples(wants, types_of), min_size=1, max_size=6), data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_as_a_plain_loop_decides(
    scorer_of: Any,
    many: int,
    nodes: list[Any],
    asks: list[tuple[Want, tuple[int, ...] | None]],
    data: st.DataObject,
) -> None:
    """Placing and releasing in any order; many: from where on alike nodes are scored once."""
    ground = a_ground(nodes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(online, "_MANY", many)
        placer, plain = Placer(ground, scorer_of(ground)), Plain(ground, scorer_of(ground))
        codes = [placer.code(*ask) for ask in asks]
        held: list[tuple[int, Taken]] = []
        for step in data.draw(st.lists(st.integers(-3, len(asks) - 1), max_size=40)):
            if step < 0:
                if held:
                    i, taken = held.pop(step % len(held))
                    placer.release(codes[i], taken)
                    plain.change(asks[i][0], taken, 1)
                continue
            taken_ = placer.place(codes[step])
            assert taken_ == plain.place(*asks[step])
            if taken_ is not None:
                held.append((step, taken_))
            cpu, mem, dev = placer.free()
            assert [
                [c, m, d] for c, m, d in zip(cpu.tolist(), mem.tolist(), dev.T.tolist(), strict=True)
            ] == plain.free
            assert min(cpu.min(), mem.min(), dev.min(initial=0)) >= 0


@given(nodes=nodes_of, asks=st.lists(st.tuples(wants, types_of), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_releasing_restores_the_columns(
    nodes: list[Any], asks: list[tuple[Want, tuple[int, ...] | None]]
) -> None:
    ground = a_ground(nodes)
    placer = Placer(ground, Tight(ground))
    before = placer._state.copy()
    held = [(code, taken) for code in (placer.code(*ask) for ask in asks) if (taken := placer.place(code))]
    for code, taken in held[::2] + held[1::2]:
        placer.release(code, taken)
    assert (placer._state == before).all()
    assert placer.fill == 0.0


def test_only_changed_nodes_are_scored_again() -> None:
    ground = a_ground([(64, 64, [0, 0]) for _ in range(200)])
    scorer = Tight(ground)
    placer = Placer(ground, scorer)
    code = placer.code(Want(1, 1, 1, 500))
    placer.place(code)
    assert scorer.n_scored == 1, "200 nodes alike are one to score"
    placer.place(code)
    assert scorer.n_scored == 2
    placer.best(code)
    placer.best(code)
    assert scorer.n_scored == 3


def test_a_long_log_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that was not asked for since is brought up to date as a whole."""
    ground = a_ground([(8, 8, [0, 0, 0, 0]) for _ in range(6)])
    placer, plain = Placer(ground, Tight(ground)), Plain(ground, Tight(ground))
    placer._log = placer._log[:8]
    rare, common = Want(0, 0, 1, 300), Want(1, 1, 1, 700)
    codes = {want: placer.code(want) for want in (rare, common)}
    for i in range(60):
        want = rare if i % 25 == 0 else common
        taken = placer.place(codes[want])
        assert taken == plain.place(want, None)
        if taken and i % 3:
            placer.release(codes[want], taken)
            plain.change(want, taken, 1)


def test_a_new_policy_decides_from_now_on() -> None:
    ground = a_ground([(8, 8, []), (4, 8, [])])
    placer = Placer(ground, Tight(ground))
    code = placer.code(Want(1, 1, 0, 0))
    assert placer.place(code) == Taken(1, ())

    class Wide(Tight):
        def scores(self, want: Want, sight: Sight, phase: int) -> Scores:
            score, device = super().scores(want, sight, phase)
            return -score, device

    placer.use(Wide(ground))
    assert placer.place(code) == Taken(0, ())


def test_what_does_not_fit_is_not_taken() -> None:
    ground = a_ground([(8, 8, [0])])
    placer = Placer(ground, Tight(ground))
    code = placer.code(Want(1, 1, 1, 700))
    placer.take(code, 0, 0)
    with pytest.raises(ValueError, match="does not fit on node 0"):
        placer.take(code, 0, 0)
    assert placer.place(code) is None


def test_a_share_of_a_type_that_is_not_allowed_is_not_taken() -> None:
    ground = a_ground([(8, 8, [0, 1])])
    placer = Placer(ground, Tight(ground))
    code = placer.code(Want(1, 1, 1, 700), (1,))
    with pytest.raises(ValueError, match="does not fit on node 0"):
        placer.take(code, 0, 0)
    assert placer.place(code) == Taken(0, (1,))

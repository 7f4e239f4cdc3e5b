"""Our policy: what it prefers, before and after learning, and that learning is repeatable and learns."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing import learning, policies, potential
from packhorse.scheduler.core.packing.policy import Ground, Mix, Sight, Want
from packhorse.scheduler.core.packing.potential import BINS, FEW, PARTS, Potential, kinds_of, prior, table_of
from tests.core.packing import field

EIGHT = (96000, 400000, 8, 0)
PAIR = (104000, 500000, 2, 1)


def untaught(on: Ground, mix: Mix) -> Potential:
    kinds = kinds_of(on, mix)
    return Potential(on, kinds, table_of(kinds, potential.untaught(kinds)))


def preferred(scorer: Potential, on: Ground, want: Want, free: list[tuple[int, int, list[int]]]) -> int:
    sight, _ = field.sight(on, want, free)
    return int(sight.at[scorer.scores(want, sight, 0)[0].argmin()])


def test_untaught_it_is_a_tight_fit() -> None:
    on = field.ground([EIGHT, EIGHT, (96000, 400000, 0, 0)])
    scorer = untaught(on, field.mix([]))
    empty, half = (96000, 400000, [1000] * 8), (48000, 200000, [1000] * 4)
    no_devices: tuple[int, int, list[int]] = (96000, 400000, [])
    assert preferred(scorer, on, Want(12000, 1000, 1, 1000), [empty, half, no_devices]) == 1
    assert preferred(scorer, on, Want(8000, 1000, 0, 0), [empty, half, no_devices]) == 2
    used = (48000, 200000, [0] * 4)
    assert preferred(scorer, on, Want(8000, 1000, 0, 0), [empty, half, used]) == 2


def test_untaught_shares_go_together_and_whole_devices_stay_whole() -> None:
    on = field.ground([EIGHT, EIGHT])
    scorer = untaught(on, field.mix([]))
    want = Want(1000, 1000, 1, 250)
    used = (48000, 200000, [1000, 750, 500, 250, 1000, 1000, 1000, 1000])
    sight, _ = field.sight(on, want, [used])
    assert scorer.scores(want, sight, 0)[1].tolist() == [3]
    assert (
        preferred(scorer, on, want, [(48000, 200000, [1000] * 8), (48000, 200000, [1000] * 7 + [750])]) == 1
    )


def test_on_few_nodes_nothing_is_learned() -> None:
    jobs: list[field.Job] = [(1000, 100, 1, 500, (0, 1), 1.0)]
    on, mix = field.ground([EIGHT] * (policies.LEAST - 1)), field.mix(jobs)
    assert (policies.lesson(on, mix) == potential.untaught(kinds_of(on, mix))).all()


def test_a_share_goes_where_the_rest_counts_least() -> None:
    on = field.ground([EIGHT])
    scorer = untaught(on, field.mix([]))
    want = Want(1000, 1000, 1, 400)
    sight, _ = field.sight(on, want, [(50000, 9000, [1000, 0, 400, 900])])
    _, device = scorer.scores(want, sight, 0)
    assert sight.may[device[0], 0]


def test_kinds_are_few_on_a_cluster_of_unlike_nodes() -> None:
    nodes = [(90000 + i, 400000 + i, 8, 0) for i in range(500)]
    kinds = kinds_of(field.ground(nodes), field.mix([]))
    assert kinds.n <= 2
    assert kinds.of.max() == kinds.n - 1


@pytest.mark.parametrize(
    ("nodes", "jobs"),
    [([EIGHT, PAIR], []), ([(64000, 64000, 0, 0)], [(1000, 100, 1, 500, (0, 1), 1.0)])],
)
def test_nothing_to_learn_from(nodes: list[field.Kind], jobs: list[field.Job]) -> None:
    on, mix = field.ground(nodes), field.mix(jobs)
    kinds = kinds_of(on, mix)
    assert (learning.learn(on, mix, kinds) == prior(kinds)).all()


def test_chance_is_the_same_everywhere() -> None:
    # The first two numbers of splitmix64 seeded with 0: e220a8397b1dcdaf, 6e789e6aa1b965f4.
    first = learning.Chance(0).numbers(2)
    assert first.tolist() == [(0xE220A8397B1DCDAF >> 11) * 2.0**-53, (0x6E789E6AA1B965F4 >> 11) * 2.0**-53]


JOBS: list[field.Job] = [
    (11000, 9000, 1, 1000, (0, 1), 0.4),
    (3000, 9000, 1, 700, (0, 1), 0.4),
    (20000, 9000, 0, 0, (), 0.1),
    (8000, 9000, 1, 300, (0, 1), 0.1),
]


def test_it_learns_and_does_so_twice_alike() -> None:
    on, mix = field.ground([EIGHT] * 20 + [PAIR] * 20), field.mix(JOBS)
    kinds = kinds_of(on, mix)
    value = learning.learn(on, mix, kinds, rounds=4)
    assert value.shape == (kinds.n, BINS, PARTS + kinds.most)
    assert np.isfinite(value).all()
    assert (value == learning.learn(on, mix, kinds, rounds=4)).all()
    # 300 beside a share of 700 are used by one job in ten: more of it stays free than of 700.
    row = int(kinds.place(np.array([12000]), np.array([1000]))[0])
    kind = int(kinds.of[0])
    assert value[kind, row, 30] / 300 > value[kind, row, 70] / 700
    assert value.min() >= 0
    assert value.max() <= 1000


SIZES: list[field.Job] = [
    (3000, 9000, 1, 810, (0, 1), 0.25),
    (11300, 9000, 1, 1000, (0, 1), 0.35),
    (11900, 9000, 1, 470, (0, 1), 0.15),
    (4000, 9000, 1, 320, (0, 1), 0.15),
    (16000, 9000, 0, 0, (), 0.1),
]
BOUND: list[field.Job] = [(11000, 9000, 1, 1000, (0, 1), 0.5), (11000, 9000, 1, 1000, (1,), 0.5)]


@pytest.mark.parametrize("jobs", [SIZES, BOUND], ids=["many sizes", "half bound to one type"])
def test_what_is_learned_allocates_more_than_a_tight_fit(jobs: list[field.Job]) -> None:
    on, mix = field.ground([EIGHT] * 20 + [PAIR] * 20), field.mix(jobs)
    kinds = kinds_of(on, mix)

    def allocated(value: np.ndarray) -> float:
        chance = (learning.Chance(7), learning.Chance(8))
        games = learning.Games(on, mix, kinds, [table_of(kinds, value)], [chance])
        games.play()
        return games.allocated(0)

    assert allocated(learning.learn(on, mix, kinds, rounds=3)) > allocated(prior(kinds)) + 0.005


def some_games() -> learning.Games:
    on, mix = field.ground([EIGHT] * 3 + [PAIR] * 2 + [(8000, 4000, 0, 0)]), field.mix(JOBS)
    kinds = kinds_of(on, mix)
    chances = [(learning.Chance(1), learning.Chance(2 + start)) for start in range(2)]
    tables = [table_of(kinds, value) for value in (prior(kinds), potential.untaught(kinds))]
    games = learning.Games(on, mix, kinds, tables, chances)
    games.play()
    return games


def test_games_never_take_more_than_there_is() -> None:
    games = some_games()
    free = games.nodes[games.free]
    assert games.nodes[:2].min() >= 0 and free.min() >= 0
    assert (games.nodes[learning._TOTAL] == free.sum(axis=0)).all()
    assert games.ends[1].sum() < games.ends[0].sum() < games.capacity.sum()
    assert (games.ends[1] == free).mean() > 0.9  # a game may go on until the last one is over


def test_scores_that_are_kept_are_those_that_would_be_made() -> None:
    games = some_games()
    n, n_nodes = games.classes.n, games.n_nodes
    kept, device = games.scores.copy(), games.device.copy()
    row, node = np.nonzero(games.changed[np.arange(games.n_games * n) // n] <= games.known[:, None])
    assert row.size > 100
    games._score(row * n_nodes + node, row // n * n_nodes + node, row % n)
    assert (games.scores[row, node] == kept[row, node]).all()
    assert (games.device[row, node] == device[row, node]).all()


def test_starts_play_side_by_side_as_alone() -> None:
    on, mix = field.ground([EIGHT] * 3 + [PAIR] * 2), field.mix(JOBS)
    kinds = kinds_of(on, mix)
    table = table_of(kinds, prior(kinds))

    def played(*seeds: int) -> learning.Games:
        chances = [(learning.Chance(1), learning.Chance(seed)) for seed in seeds]
        games = learning.Games(on, mix, kinds, [table] * len(seeds), chances)
        games.play()
        return games

    both = played(5, 6)
    for start, seed in enumerate((5, 6)):
        alone = played(seed)
        assert alone.allocated(0) == both.allocated(start)
        mine, ours = (
            learning.Seen(np.zeros_like(prior(kinds)), np.zeros_like(prior(kinds))) for _ in range(2)
        )
        alone.note(mine, 0)
        both.note(ours, start)
        assert (mine.free == ours.free).all() and (mine.visits == ours.visits).all()


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_few_nodes_score_as_many_do(seed: int) -> None:
    """Number by number and by vectors: the same scores, the same devices."""
    random = Random(seed)
    on = field.ground(
        [(random.randrange(1000, 128_000), 64_000, random.randrange(1, 9), 0) for _ in range(9)]
    )
    kinds = kinds_of(on, field.mix([(4000, 100, 1, 470, (0,), 0.7), (9000, 100, 2, 1000, (0,), 0.3)]))
    values = np.array([random.random() * 1000 for _ in range(prior(kinds).size)])
    scorer = Potential(on, kinds, table_of(kinds, values.reshape(prior(kinds).shape)))
    free = [
        (random.randrange(900, 128_000), 64_000, [random.choice((0, 190, 530, 1000, 1000)) for _ in range(n)])
        for n in on.n_devices.tolist()
    ]
    for want in (
        Want(2000, 40, 1, 470),
        Want(1000, 1, 1, 1000),
        Want(500, 100, 0, 0),
        Want(900, 10, 2, 1000),
    ):
        sight, _ = field.sight(on, want, free)
        if sight.at.size <= FEW:
            continue
        scores, devices = scorer.scores(want, sight, 0)
        for i in range(sight.at.size):
            one = Sight(*(column[..., i : i + 1] for column in sight[:5]))
            score, device = scorer.scores(want, one, 0)
            assert (score.tolist(), device.tolist()) == ([scores[i]], [devices[i]])
            dev = one.dev[:, 0].tolist()
            known = scorer.know_one(int(one.at[0]), int(one.cpu[0]), dev)
            may = one.may[:, 0].tolist() if want.shares else []
            alone = scorer.score_one(want, int(one.at[0]), int(one.cpu[0]), int(one.mem[0]), dev, may, known)
            assert alone == (scores[i], devices[i])
        of_all = scorer.know(sight.at, sight.cpu, sight.dev)
        told = scorer.scores(want, sight._replace(known=of_all), 0)
        assert [x.tolist() for x in told] == [scores.tolist(), devices.tolist()]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 8000)), min_size=1, max_size=30))
def test_rows_are_those_of_place(nodes: list[tuple[int, int]]) -> None:
    """The quick look-up of a row agrees with the slopes it stands for, but for rounding at a row's very
    edge."""
    on = field.ground([EIGHT, PAIR])
    kinds = kinds_of(on, field.mix([(7000, 100, 1, 470, (0,), 1.0)]))
    scorer = Potential(on, kinds, table_of(kinds, prior(kinds)))
    cpu, total = np.array(nodes).T
    at = np.zeros(cpu.size, np.int64)
    rows = scorer._rows(cpu, total, at) - scorer.base[0]
    exact = kinds.place(cpu, total) * potential.FINER + 0.5
    inside = np.abs(exact - np.round(exact)) > 1e-6
    assert (rows[inside] == exact.astype(np.int64)[inside]).all()

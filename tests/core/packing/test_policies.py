"""What every policy keeps to, the hand-computed scores of the published ones, and the table of names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.scheduler.core.packing import learning
from packhorse.scheduler.core.packing.fgd import Fgd
from packhorse.scheduler.core.packing.policies import DEFAULT, POLICIES, add, policy
from packhorse.scheduler.core.packing.policy import Mix, Policy, Scores, Want
from packhorse.scheduler.model.errors import BadValue
from tests.core.packing import field

NODES = [(32000, 64000, 4, 0), (96000, 128000, 2, 1), (64000, 64000, 0, 0), (16000, 32000, 1, 0)]
JOBS: list[field.Job] = [
    (4000, 8000, 1, 500, (0, 1), 0.4),
    (8000, 8000, 1, 1000, (0, 1), 0.3),
    (16000, 9000, 2, 1000, (1,), 0.2),
    (8000, 1000, 0, 0, (), 0.1),
]
NO_JOBS = field.mix([])
FREE = [
    (20000, 50000, [1000, 300, 700, 0]),
    (96000, 99000, [1000, 1000]),
    (30000, 60000, []),
    (16000, 9000, [640]),
]
WANTS = [
    Want(4000, 2000, 1, 300),
    Want(8000, 2000, 1, 1000),
    Want(9000, 2000, 2, 1000),
    Want(2000, 500, 0, 0),
    Want(0, 0, 1, 1),
]


def scored(name: str, want: Want, mix: Mix, free: list[tuple[int, int, list[int]]] = FREE) -> Scores:
    on = field.ground(NODES)
    return policy(name).make(on, mix).scores(want, field.sight(on, want, free)[0], 0)


@pytest.fixture(autouse=True)
def short_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """Games of the learner are few here: the contract does not depend on how much it has learned."""
    monkeypatch.setattr(learning.learn, "__defaults__", (0, 2))


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("want", WANTS)
@pytest.mark.parametrize("mix", [NO_JOBS, field.mix(JOBS)], ids=["no jobs", "jobs"])
def test_contract(name: str, want: Want, mix: Mix) -> None:
    on = field.ground(NODES)
    sight, _ = field.sight(on, want, FREE)
    scorer = policy(name).make(on, mix)
    score, device = scorer.scores(want, sight, scorer.phase(0.5))
    k = sight.at.size
    assert k
    assert score.shape == device.shape == (k,)
    assert np.isfinite(score).all()
    assert device.dtype.kind == "i"
    if want.shares:
        assert sight.may[device, np.arange(k)].all()
    else:
        assert not device.any()
    again = policy(name).make(on, mix).scores(want, sight, 0)
    assert [x.tolist() for x in again] == [score.tolist(), device.tolist()]
    if not scorer.relative:  # what may be kept per node does not depend on the others
        alone = [
            scorer.scores(want, type(sight)(*(x[..., i : i + 1] for x in sight[:5])), 0) for i in range(k)
        ]
        assert [int(d[0]) for _, d in alone] == device.tolist()
        assert [s[0] for s, _ in alone] == score.tolist()


@pytest.mark.parametrize("name", POLICIES)
def test_no_devices_anywhere(name: str) -> None:
    on = field.ground([(64000, 64000, 0, 0), (32000, 64000, 0, 0)])
    want = Want(2000, 500, 0, 0)
    sight, _ = field.sight(on, want, [(30000, 60000, []), (3000, 2000, [])])
    score, _ = policy(name).make(on, field.mix(JOBS[3:])).scores(want, sight, 0)
    assert np.isfinite(score).all()
    if name in (DEFAULT, "best-fit"):
        assert score[1] < score[0]  # tightest in CPU and memory
    if name == "worst-fit":
        assert score[0] < score[1]


def test_best_fit_stretches_over_the_nodes_that_fit() -> None:
    # Left over of 96000 milli-CPU and 4 devices: node 0 12000, 1000; node 1 88000, 1000.
    # int(100 (1 - 0.0625 - 0.125)) = 81 and int(100 (1 - 0.4583 - 0.125)) = 41.
    score, _ = scored("best-fit", Want(8000, 2000, 1, 1000), NO_JOBS)
    assert score.tolist() == [-100, 0]
    assert policy("best-fit").make(field.ground(NODES), NO_JOBS).relative


def test_dot_product() -> None:
    # Node 0: (20000/96000 * 8000/96000 + 2000/4000 * 1000/4000) / 2 = 0.0712; node 1: 0.1042.
    score, _ = scored("dot-product", Want(8000, 2000, 1, 1000), NO_JOBS)
    assert score.tolist() == [-92, -89]


def test_gpu_packing() -> None:
    # Node 0 has an idle device and is in use; node 1 is idle with 2; shares fit the devices in use.
    score, _ = scored("gpu-packing", Want(8000, 2000, 1, 1000), NO_JOBS)
    assert score.tolist() == [-49, -31]
    score, device = scored("gpu-packing", Want(4000, 2000, 1, 300), NO_JOBS)
    assert score.tolist() == [-97, -31, -94]
    assert device.tolist() == [1, 0, 0]


def test_gpu_clustering() -> None:
    # Node 0 runs shares and whole devices, node 1 nothing, node 3 shares; 25 (4000 - free) // 4000 each.
    score, _ = scored("gpu-clustering", Want(4000, 2000, 1, 300), NO_JOBS)
    assert score.tolist() == [-62, -37, -96]
    score, _ = scored("gpu-clustering", Want(8000, 2000, 1, 1000), NO_JOBS)
    assert score.tolist() == [-62, -37]


SHARE = st.sampled_from([0, 10, 190, 500, 700, 1000])
STATES = st.tuples(
    st.tuples(st.integers(0, 32000), st.lists(SHARE, min_size=4, max_size=4)),
    st.tuples(st.integers(0, 96000), st.lists(SHARE, min_size=2, max_size=2)),
)


@given(STATES, st.sampled_from([*WANTS, Want(500, 1, 1, 190), Want(1000, 1, 4, 1000)]))
def test_fgd_is_the_published_one(
    state: tuple[tuple[int, list[int]], tuple[int, list[int]]], want: Want
) -> None:
    on = field.ground(NODES[:2])
    sight, dev = field.sight(on, want, [(cpu, 64000, free) for cpu, free in state])
    score, device = Fgd(on, field.mix(JOBS)).scores(want, sight, 0)
    jobs = [(*job[:5], 1.0 * job[5]) for job in JOBS]
    plain = [
        field.fgd(on, jobs, want, int(at), state[at][0], [int(g) for g in dev[:, at]]) for at in sight.at
    ]
    assert [(-int(s), int(d)) for s, d in zip(score, device, strict=True)] == plain


@settings(max_examples=30, deadline=None)
@given(STATES, st.sampled_from(WANTS))
def test_scores_are_finite_whatever_is_free(
    state: tuple[tuple[int, list[int]], tuple[int, list[int]]], want: Want
) -> None:
    on = field.ground(NODES[:2])
    sight, _ = field.sight(on, want, [(cpu, 64000, free) for cpu, free in state])
    for each in POLICIES.values():
        score, device = each.make(on, NO_JOBS).scores(want, sight, 0)
        assert np.isfinite(score).all()
        assert device.shape == score.shape == sight.at.shape


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(BadValue, match='policy "bestfit" is not known; there are best-fit, dot-product, fgd'):
        policy("bestfit")


def test_what_is_no_policy_of_its_name_is_refused() -> None:
    mine = Policy("mine", "by name", POLICIES["first-fit"].make)
    for name, found, why in (
        ("fgd", mine._replace(name="fgd"), "there is one of this name already"),
        ("Mine!", mine, "lower-case"),
        ("other", mine, 'calls itself "mine"'),
        ("mine", len, "a builtin_function_or_method, not a Policy"),
    ):
        with pytest.raises(BadValue, match=why):
            add(name, found)
    assert "mine" not in POLICIES

"""What jobs are like, and the placement policy that goes by it: kept, taught, and the same in a replay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from packhorse.scheduler.core.demand import Lesson, due, mix_of, mixed
from packhorse.scheduler.core.packing import policies
from packhorse.scheduler.core.packing.policy import Ground, Mix, Policy, Scorer
from packhorse.scheduler.core.packing.tightest import Tightest
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.event import PolicyTaught
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Start, Teach
from packhorse.scheduler.model.resources import Gres
from tests.core.placement.yard import NOON, Yard, gres

HALF = (Gres("gpu", "", 1, 500),)


class Pupil(Tightest):
    """Knows how often it learned, and what it was told."""

    lessons = 0

    def __init__(self, ground: Ground, mix: Mix, learned: np.ndarray | None) -> None:
        super().__init__(ground, mix)
        self.mix = mix
        self.learned = learned


def _learn(ground: Ground, mix: Mix) -> np.ndarray:
    Pupil.lessons += 1
    return np.array([mix.weight.size])


@pytest.fixture
def pupil() -> Iterator[Policy]:
    def make(ground: Ground, mix: Mix) -> Scorer:
        return Pupil(ground, mix, _learn(ground, mix))

    Pupil.lessons = 0
    policy = policies.add("pupil", Policy("pupil", "for these tests", make, _learn, Pupil))
    yield policy
    del policies.POLICIES["pupil"]


def a_yard() -> Yard:
    yard = Yard(policy="pupil")
    yard.node("n1", gpus="gpu:h200:4")
    yard.node("n2")
    return yard


def scorer(yard: Yard, policy: Policy) -> Pupil:
    state = yard.state
    found = state.demand.scorer(policy, state.taught, state.pending_columns, state.node_columns)
    assert isinstance(found, Pupil)
    return found


def lesson(yard: Yard, policy: Policy) -> Lesson | None:
    state = yard.state
    return due(policy, state.taught, state.pending_columns, state.node_columns)


def test_what_waits_and_what_runs_is_counted_alike(pupil: Policy) -> None:
    yard = a_yard()
    for id in range(1, 4):
        yard.wait(id, gres_per_node=HALF)
    yard.wait(4, cpus=2, gres_per_node=gres("gpu:h200:2"), count=3, room=-1)
    before = mixed(yard.state.pending_columns, yard.state.node_columns)
    assert {item[:5]: item[5] for item in before} == {
        (1000, 0, 1, 500, "gpu"): 512,
        (2000, 0, 2, 1000, "gpu:h200"): 512,
    }
    yard.cycle()
    after = mixed(yard.state.pending_columns, yard.state.node_columns)
    assert {item[:3] for item in after} == {(1000, 0, 1), (2000, 0, 2)}
    mix = mix_of(before, yard.state.node_columns.board())
    assert mix.weight.tolist() == [0.5, 0.5]
    assert mix.types.all()


def test_a_little_more_of_the_same_changes_nothing(pupil: Policy) -> None:
    yard = a_yard()
    for id in range(1, 101):
        yard.wait(id, gres_per_node=HALF)
        yard.wait(1000 + id)
    columns = yard.state.pending_columns, yard.state.node_columns
    before = mixed(*columns)
    yard.wait(2000)
    assert mixed(*columns) == before
    for id in range(3000, 3200):
        yard.wait(id)
    assert mixed(*columns) != before


def test_it_learns_only_where_there_are_jobs_and_devices(pupil: Policy) -> None:
    yard = Yard(policy="pupil")
    yard.node("n2")
    yard.wait(1)
    assert lesson(yard, pupil) is None
    yard.node("n1", gpus="gpu:h200:4")
    assert lesson(yard, pupil) is None
    yard.wait(2, gres_per_node=HALF)
    found = lesson(yard, pupil)
    assert found is not None
    yard.state.taught = PolicyTaught(NOON, "pupil", found.mix, found.ground)
    assert lesson(yard, pupil) is None


def test_it_decides_without_having_learned_and_never_learns_by_itself(pupil: Policy) -> None:
    yard = a_yard()
    yard.wait(1, gres_per_node=HALF)
    assert yard.cycle() == {1: "n1"}
    assert scorer(yard, pupil).learned is None
    assert Pupil.lessons == 0


def test_what_it_was_taught_holds_until_the_nodes_change(pupil: Policy) -> None:
    yard = a_yard()
    yard.wait(1, gres_per_node=HALF)
    found = lesson(yard, pupil)
    assert found is not None
    yard.state.demand.keep(found, np.array([7]))
    yard.state.taught = PolicyTaught(NOON, "pupil", found.mix, found.ground)
    assert scorer(yard, pupil).learned == np.array([7])
    assert scorer(yard, pupil) is scorer(yard, pupil)
    assert Pupil.lessons == 0
    yard.node("n3", gpus="gpu:a100:8")
    assert scorer(yard, pupil).learned is None
    assert lesson(yard, pupil) is not None


def test_a_replay_works_out_the_lesson_that_it_does_not_have(pupil: Policy) -> None:
    yard = a_yard()
    yard.wait(1, gres_per_node=HALF)
    found = lesson(yard, pupil)
    assert found is not None
    yard.state.taught = PolicyTaught(NOON, "pupil", found.mix, found.ground)
    assert scorer(yard, pupil).learned == np.array([len(found.mix)])
    assert Pupil.lessons == 1


def test_the_core_is_told_by_an_input_and_forgets_with_the_next_start(pupil: Policy) -> None:
    from packhorse.scheduler.core.apply import apply

    yard = a_yard()
    yard.wait(1, gres_per_node=HALF)
    found = lesson(yard, pupil)
    assert found is not None
    for event in step(yard.state, Teach("another", found.mix, found.ground), NOON).events:
        raise AssertionError(f"{event} of a policy that is not in force")
    for event in step(yard.state, Teach("pupil", found.mix, found.ground), NOON).events:
        apply(yard.state, event)
    assert yard.state.taught == PolicyTaught(NOON, "pupil", found.mix, found.ground)
    for event in step(yard.state, Start(ClusterConfig(policy="pupil")), Instant(NOON + 1)).events:
        apply(yard.state, event)
    assert yard.state.taught is None

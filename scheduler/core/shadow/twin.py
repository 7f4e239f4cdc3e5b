"""A state of its own with the same values and another configuration; what it decides is for comparison."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.core.demand import Lesson
from packhorse.scheduler.core.rebuild import rebuild
from packhorse.scheduler.core.state import Frozen, State
from packhorse.scheduler.core.step import step
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.event import Event, PolicyTaught
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import RunCycle


class Moment(NamedTuple):
    """The live state right before a pass. taught, lessons: what its placement policy goes by."""

    at: Instant
    frozen: Frozen
    taught: PolicyTaught | None
    lessons: dict[Lesson, np.ndarray]


def moment(state: State, now: Instant) -> Moment:
    """As it is now. Costs one copy of each dictionary."""
    return Moment(now, state.freeze(), state.taught, state.demand.lessons.copy())


def as_shadow(config: ClusterConfig, live: ClusterConfig) -> ClusterConfig:
    """The configuration of a shadow: whose cluster it is stays as it is."""
    return replace(config, name=live.name, owner_uid=live.owner_uid, origin=live.origin)


def twin(of: Moment, config: ClusterConfig) -> State:
    """The state under that configuration."""
    state = State.empty()
    for value in Frozen.__slots__:
        setattr(state, value, getattr(of.frozen, value))
    state.config = as_shadow(config, of.frozen.config)
    rebuild(state)
    if config.policy == of.frozen.config.policy:
        state.taught = of.taught
        state.demand.lessons = of.lessons
    return state


def decided(state: State, now: Instant) -> tuple[Event, ...]:
    """What a pass of the twin decides. Its columns say afterwards why the others wait."""
    return step(state, RunCycle(), now).events


def settings_apart(live: ClusterConfig, shadow: ClusterConfig) -> list[str]:
    """`order: fcfs -> sjf`, a text for each setting that differs."""
    return _apart("", live, as_shadow(shadow, live))


def _apart(path: str, live: object, other: object) -> list[str]:
    if live == other:
        return []
    if isinstance(live, msgspec.Struct) and type(live) is type(other):
        dot = f"{path}." if path else ""
        return [
            text
            for name in live.__struct_fields__
            for text in _apart(f"{dot}{name}", getattr(live, name), getattr(other, name))
        ]
    mine, theirs = _by_name(live), _by_name(other)
    if mine is not None and theirs is not None:
        return [
            text
            for name in dict.fromkeys((*mine, *theirs))
            for text in _apart(f"{path.removesuffix('s')} {name}", mine.get(name), theirs.get(name))
        ]
    return [f"{path}: {_shown(live)} -> {_shown(other)}"]


def _by_name(values: object) -> dict[str, object] | None:
    """Partitions by name; None for what is no list of named things."""
    if not isinstance(values, tuple) or not all(hasattr(value, "name") for value in values) or not values:
        return None
    return {value.name: value for value in values}


def _shown(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, msgspec.Struct):
        return "there"
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return str(value)

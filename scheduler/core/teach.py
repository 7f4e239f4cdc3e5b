"""The placement policy is told that what it can learn is at hand (core/demand.py says what there is to
learn)."""

from __future__ import annotations

from packhorse.scheduler.core.decision import UNCHANGED, Decision
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.event import PolicyTaught
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Teach


def teach(state: State, input: Teach, now: Instant) -> Decision:
    """From now on the policy goes by the lesson, if it is still the policy in force."""
    if input.policy != state.config.policy:
        return UNCHANGED
    return Decision((PolicyTaught(now, input.policy, input.mix, input.ground),))

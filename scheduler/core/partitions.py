"""`scontrol update PartitionName=… State=…`: partitions that an administrator opens and closes.

UP: jobs are taken and started. DOWN: taken, not started. DRAIN: started, not taken any more. INACTIVE:
neither. The word outlives restarts and readings of the configuration, whose own `up` is what holds before it.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec.structs import replace

from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.event import PartitionSwitched
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import SwitchPartition
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused

INVALID = "Invalid partition name specified"
NOT_AVAILABLE = "Required partition not available (inactive or drain)"


class Openness(StrEnum):
    UP = "UP"
    DOWN = "DOWN"
    DRAIN = "DRAIN"
    INACTIVE = "INACTIVE"

    @property
    def starts(self) -> bool:
        return self in (Openness.UP, Openness.DRAIN)

    @property
    def takes(self) -> bool:
        return self in (Openness.UP, Openness.DOWN)


def switch_partition(state: State, call: SwitchPartition, now: Instant) -> Decision:
    """Administrators only."""
    draft = Draft(state, now)
    if not call.caller.admin:
        message = "only an administrator may change partitions"
        return draft.answer(call.caller, Refused(RefusalCode.DENIED, message, "Access/permission denied"))
    known = [p.name for p in state.config.partitions]
    outcomes = []
    for name in dict.fromkeys(call.names):
        if name not in known:
            message = f'partition "{name}" does not exist; choose one of: {", ".join(known)}'
            outcomes.append(Outcome(name, RefusalCode.NOT_FOUND, message, INVALID))
            continue
        if openness(state, name).value != call.state:
            draft.events.append(PartitionSwitched(now, name, call.state, call.caller.owner.uid))
        outcomes.append(Outcome(name))
    return draft.answer(call.caller, Done(tuple(outcomes)))


def openness(state: State, name: str) -> Openness:
    """How the partition is."""
    said = state.partition_states.get(name)
    if said is not None:
        return Openness(said)
    return Openness.UP if any(p.up for p in state.config.partitions if p.name == name) else Openness.DOWN


def as_switched(state: State, config: ClusterConfig) -> ClusterConfig:
    """The configuration with what administrators said."""
    said = state.partition_states
    if not said:
        return config
    partitions = tuple(
        replace(p, up=Openness(said[p.name]).starts) if p.name in said else p for p in config.partitions
    )
    return config if partitions == config.partitions else replace(config, partitions=partitions)


def partition_switched(state: State, event: PartitionSwitched) -> None:
    """Applies it. What is derived from the configuration follows as after a reading of it."""
    state.partition_states[event.name] = event.state
    state.config = as_switched(state, state.config)


def configured(state: State) -> None:
    """A new configuration holds: what was said of its partitions still does."""
    names = {p.name for p in state.config.partitions}
    for name in [name for name in state.partition_states if name not in names]:
        del state.partition_states[name]
    state.config = as_switched(state, state.config)


def check_open(state: State, name: str) -> Refused | None:
    """Whether it takes jobs."""
    if not state.partition_states or openness(state, name).takes:
        return None
    message = f'partition "{name}" takes no jobs ({openness(state, name).value}); choose another'
    return Refused(RefusalCode.INVALID, message, NOT_AVAILABLE)

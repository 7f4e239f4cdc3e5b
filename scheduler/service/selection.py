"""Which jobs a call is about: references and a filter to jobs, array remainders and targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core import indices
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.targets import resolve
from packhorse.scheduler.model.input import Target
from packhorse.scheduler.model.job import Active, ArrayJob, ArraySpec, Ended, Job, JobState, Pending
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.convert import target
from packhorse.scheduler.service.failures import CallFailed, Code

Item = Job | ArrayJob
"""A job, or an array of which only what `remaining` says is meant."""

STATE_WORDS: dict[str, str] = {
    **{state.value: state.value for state in JobState},
    "PD": "PENDING",
    "CF": "CONFIGURING",
    "R": "RUNNING",
    "CG": "COMPLETING",
    "CD": "COMPLETED",
    "F": "FAILED",
    "CA": "CANCELLED",
    "TO": "TIMEOUT",
    "NF": "NODE_FAIL",
    "OOM": "OUT_OF_MEMORY",
    "DL": "DEADLINE",
    "BF": "BOOT_FAIL",
    "PR": "PREEMPTED",
    "RQ": "REQUEUED",
    "SUSPENDED": "SUSPENDED",
    "S": "SUSPENDED",
}
"""Slurm's long and short words; nothing is ever SUSPENDED here."""


class Chosen(NamedTuple):
    """What was found, and the references for which there is nothing (any more)."""

    items: list[Item]
    unknown: list[str]


def choose(state: State, refs: Sequence[Any], filter: Any, *, include_ended: bool) -> Chosen:
    """The jobs that are named (all of them if none is) and fit the filter (None: everything does)."""
    fits = matcher(filter)
    unknown: list[str] = []
    if not refs:
        items = _everything(state, include_ended or _names_ended(filter))
    else:
        items, unknown = _named(state, refs, include_ended or _names_ended(filter))
    if fits is not None:
        items = [item for item in items if fits(item)]
    return Chosen(items, unknown)


def _everything(state: State, ended: bool) -> list[Item]:
    items: list[Item]
    if ended:
        items = list(state.jobs.values())
    else:
        items = [job for job in state.jobs.values() if type(job.phase) is not Ended]
    items += [array for array in state.arrays.values() if array.remaining]
    return items


def _named(state: State, refs: Sequence[Any], ended: bool) -> tuple[list[Item], list[str]]:
    items: dict[tuple[int, bool], Item] = {}
    unknown: list[str] = []
    for ref in refs:
        aim = resolve(state, target(ref))
        if aim is None:
            unknown.append(ref.text or str(ref.job_id))
            continue
        for job in aim.jobs:
            if ended or type(job.phase) is not Ended:
                items[job.id, False] = job
        if aim.array is not None and aim.ranges:
            key = (aim.array.id, True)
            before = items.get(key)
            ranges = aim.ranges
            if isinstance(before, ArrayJob):
                ranges = indices.union(before.remaining, ranges)
            items[key] = replace(aim.array, remaining=ranges)
    return list(items.values()), unknown


def _names_ended(filter: Any) -> bool:
    """Whether the filter asks for states that only ended jobs have."""
    waiting_or_active = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED"}
    return filter is not None and any(word not in waiting_or_active for word in state_words(filter.states))


def state_words(given: Sequence[str]) -> list[str]:
    """Slurm's long words for long or short ones in any case. Raises CallFailed for one that is none."""
    words = []
    for text in given:
        word = STATE_WORDS.get(text.upper())
        if word is None:
            raise CallFailed(
                Code.INVALID_ARGUMENT,
                f'job state "{text}" is none of {", ".join(sorted(set(STATE_WORDS.values())))}',
                slurm="Invalid job state specified",
            )
        words.append(word)
    return words


def matcher(filter: Any) -> Callable[[Item], bool] | None:
    """Whether an item fits every condition of a JobFilter; None if there is none."""
    if filter is None:
        return None
    tests: list[Callable[[Item], bool]] = []
    if filter.users:
        names = set(filter.users)
        uids = {int(name) for name in names if name.isdecimal()}
        tests.append(lambda item: item.owner.user in names or item.owner.uid in uids)
    for wanted, attribute in (
        (filter.partitions, "partition"),
        (filter.names, "name"),
        (filter.accounts, "account"),
        (filter.qos, "qos"),
    ):
        if wanted:
            tests.append(_spec_test(frozenset(wanted), attribute))
    if filter.reservations:
        reservations = frozenset(filter.reservations)
        tests.append(
            lambda item: (
                item.spec.reservation in reservations
                or (isinstance(item.phase, Active) and item.phase.reservation in reservations)
            )
        )
    if filter.states:
        states = frozenset(state_words(filter.states))
        tests.append(lambda item: _state_word(item) in states)
    if filter.nodes:
        nodes = frozenset(filter.nodes)
        tests.append(
            lambda item: (
                not isinstance(item.phase, Pending)
                and any(placement.node in nodes for placement in item.phase.placements)
            )
        )
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)


def _state_word(item: Item) -> str:
    return item.state.value if isinstance(item, Job) else JobState.PENDING.value


def _spec_test(wanted: frozenset[str], attribute: str) -> Callable[[Item], bool]:
    return lambda item: getattr(item.spec, attribute) in wanted


def cancel_targets(
    state: State, principal: Principal, refs: Sequence[Any], filter: Any
) -> tuple[Target, ...]:
    """What a CancelJobsRequest is aimed at.

    References alone go to the core as they stand, which knows best what there is. A filter chooses among
    unfinished jobs; without a user in it, a caller who is no administrator means their own.
    """
    fits = matcher(filter)
    if refs and fits is None:
        return tuple([target(ref) for ref in refs])
    if fits is None and not refs:
        raise CallFailed(
            Code.INVALID_ARGUMENT,
            "no job is named and no filter given; name jobs, or say which (users, states, names …)",
            slurm="No job identification provided",
        )
    own_only = not refs and not principal.admin and not filter.users
    chosen = choose(state, refs, filter, include_ended=False)
    named = [target(ref) for ref in refs]
    found = [item for item in named if resolve(state, item) is None]
    for item in chosen.items:
        if own_only and item.owner.uid != principal.owner.uid:
            continue
        if isinstance(item, ArrayJob):
            text = f"{item.id}_[{indices.text(item.remaining)}]"
            found.append(Target(text, item.id, ArraySpec(item.remaining)))
        else:
            text = f"{item.array_id}_{item.index}" if item.array_id else str(item.id)
            found.append(Target(text, item.id))
    return tuple(found)

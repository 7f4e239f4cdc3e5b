"""Copies of a state to ask "what if" of: they go through real steps and passes, and are thrown away.

`taken` copies everything that changes in place, so that the state may go on (in another thread) while the
copy is asked; nothing is worked out anew, as `rebuild` would. `again` makes one more of such a copy for one
trial, in which jobs and queue may change and the nodes may not.

Frozen values, boards and ask classes are the same objects in both: what they remember follows from what
they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, cast

import numpy as np

from packhorse.scheduler.core.accounts.limit_book import Book
from packhorse.scheduler.core.accounts.terms import Terms
from packhorse.scheduler.core.ask_classes import AskClass
from packhorse.scheduler.core.demand import Demand
from packhorse.scheduler.core.interning import Interned
from packhorse.scheduler.core.packing.board import Board
from packhorse.scheduler.core.packing.slots import SlotMap
from packhorse.scheduler.core.pending_columns import PendingColumns
from packhorse.scheduler.core.reservations.picture import Picture
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.steps.book import JobSteps

_SAME: Final = (Board, SlotMap, AskClass, Picture, Terms, JobSteps)
"""Classes whose objects both copies may use."""

_OWN: Final = "packhorse.scheduler.core."
"""Where the classes are whose objects change in place."""

_OF_THE_NODES: Final = (
    "accounts",
    "demand",
    "history",
    "interned",
    "node_columns",
    "nodes",
    "running_columns",
    "usage",
)
"""What no submission, cancellation, release or update of a waiting job changes, nor a pass."""


def taken(state: State) -> State:
    """A copy of all that changes. Cost: that of copying arrays and dictionaries, some bytes per job and
    node."""
    new = State.__new__(State)
    for title in State.__slots__:
        if title not in ("pending_columns", "demand", "interned", "answered", "held"):
            setattr(new, title, _twin(getattr(state, title)))
    new.held = state.held.fork()
    new.pending_columns = _queue(state.pending_columns)
    new.demand = _demand(state.demand)
    new.interned = Interned()
    new.answered = {}
    return new


def again(snapshot: State) -> State:
    """A copy of a copy for one trial. Nodes and what runs are shared: no grant may be applied to it."""
    new = State.__new__(State)
    for title in State.__slots__:
        if title not in ("pending_columns", "held"):
            value = getattr(snapshot, title)
            setattr(new, title, value if title in _OF_THE_NODES else _twin(value))
    new.pending_columns = _queue(snapshot.pending_columns)
    new.held = snapshot.held.fork()
    new.held.book = cast(Book | None, _twin(snapshot.held.book))
    return new


def _queue(pending: PendingColumns) -> PendingColumns:
    """The verdicts stay those of its rules, which it has for itself: they grow with its partitions."""
    new = cast(PendingColumns, _twin(pending))
    made_from = pending.demands.verdict_of
    if isinstance(made_from, tuple) and made_from[1] is pending._rules:
        new.demands.verdict_of = (made_from[0], new._rules)
    return new


def _demand(demand: Demand) -> Demand:
    """The policy as it is made ready; scores of nodes are kept anew."""
    new = Demand()
    new._digest, new._key, new._scorer = demand._digest, demand._key, demand._scorer
    new.lessons = demand.lessons.copy()
    return new


def _twin(value: object) -> object:
    """The value, or a copy of it if it may change."""
    match value:
        case np.ndarray() | set() | deque():
            return value.copy()
        case dict():
            kept = _inside(value.values())
            if kept == 0:
                return value.copy()
            if kept == 1:
                return {key: one.copy() for key, one in value.items()}
            return {key: _twin(one) for key, one in value.items()}
        case list():
            kept = _inside(value)
            if kept == 0:
                return value.copy()
            return [one.copy() for one in value] if kept == 1 else [_twin(one) for one in value]
    if _never_changes(value):
        return value
    kind = type(value)
    new = kind.__new__(kind)
    titles = [t for one in kind.__mro__ for t in getattr(one, "__slots__", ())]
    for title in titles or vars(value):
        if hasattr(value, title):
            object.__setattr__(new, title, _twin(getattr(value, title)))
    return new


def _inside(many: Iterable[object]) -> int:
    """What is in a container, which holds one kind of thing: 0 what never changes, 1 small dictionaries or
    lists of that (there are thousands of these, and they are copied in one go), 2 anything else."""
    some = next((one for one in many if one is not None), None)
    if _never_changes(some):
        return 0
    if type(some) is dict:
        inner = next((x for one in many if type(one) is dict for x in one.values()), None)
    elif type(some) is list:
        inner = next((x for one in many if type(one) is list for x in one), None)
    else:
        return 2
    return 1 if _never_changes(inner) else 2


def _never_changes(value: object) -> bool:
    """Whether the copy may have the same object: values of the model, numbers, texts, tuples, functions."""
    if isinstance(value, np.ndarray | dict | list | set | deque):
        return False
    kind = type(value)
    return isinstance(value, (*_SAME, tuple)) or not kind.__module__.startswith(_OWN) or callable(value)

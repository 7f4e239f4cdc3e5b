"""How long a job is expected to run, for the order and for backfilling. Its time limit stays the bound: no
prediction is above it, and nobody is stopped for running longer than predicted.

    limit   what the user asked for
    last2   the mean of the user's last two run times: Tsafrir, Etsion and Feitelson, "Backfilling using
            system-generated predictions rather than user runtime estimates", IEEE TPDS 18(6), 2007 (EASY++)
    like    the mean of the last two run times of the user's jobs with the same limit and as many CPUs, else
            as last2

A running job that has outlived its prediction gets the first of `STEPS_S` on top of what it was given, when
it has outlived that the second as well, and so on (the same paper, section 4), until its time limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from packhorse.scheduler.core.batch.samples import Samples
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import JobSpec, JobState
from packhorse.scheduler.model.resources import Ask

STEPS_S: Final = (60, 300, 900, 1800, 3600, 7200, 18_000, 36_000, 72_000, 180_000, 360_000)
"""One minute to a hundred hours, one after the other."""

_MOST: Final = 100_000
"""Kinds of jobs that are remembered, those seen last."""


CUT_SHORT: Final = frozenset({JobState.NODE_FAIL, JobState.PREEMPTED, JobState.BOOT_FAIL})
"""Ends that say nothing about the job: it would have run on."""


class Kind(NamedTuple):
    """What predictors tell jobs apart by. limit_us: 0 for none."""

    uid: int
    cpu_milli: int
    limit_us: int


def total_cpu_milli(ask: Ask) -> int:
    """Thousandths of CPUs that a job takes, at least."""
    return max(ask.n_tasks * ask.cpu_milli_per_task, ask.min_nodes * ask.min_cpu_milli_per_node)


def kind_of(uid: int, spec: JobSpec) -> Kind:
    """Of a job of this user."""
    return Kind(uid, total_cpu_milli(spec.ask), spec.time_limit_s * US)


class History:
    """The last two run times of each user, and of each user's jobs of one kind; in the order of use.

    A part of the state: what a job is expected to run is no other after a restart. samples: the last run
    times against their limits, of all and of each user.
    """

    __slots__ = ("_last", "samples")

    def __init__(self) -> None:
        self.samples = Samples()
        self._last: dict[int | Kind, tuple[int, int]] = {}

    def ended(self, uid: int, spec: JobSpec, state: JobState, run_us: int) -> None:
        """A job of this user ended like that after so long."""
        if state not in CUT_SHORT:
            self.add(kind_of(uid, spec), run_us)

    def add(self, kind: Kind, run_us: int) -> None:
        """A job ran that long, to whatever end of its own."""
        self.samples.add(kind.uid, kind.limit_us, run_us)
        run_us = max(run_us, 1)  # 0 is for what is not known
        for key in (kind.uid, kind):
            last = self._last.pop(key, None)
            self._last[key] = (last[1], run_us) if last else (run_us, run_us)
        while len(self._last) > _MOST:
            del self._last[next(iter(self._last))]

    def mean_us(self, key: int | Kind) -> int:
        """Mean of the last two of a user or a kind, 0 if there was none."""
        last = self._last.get(key)
        return (last[0] + last[1]) // 2 if last else 0

    def last(self) -> dict[int | Kind, tuple[int, int]]:
        """The last two run times by user and by kind. Not to be changed."""
        return self._last

    def restore(self, last: Iterable[tuple[int | Kind, tuple[int, int]]]) -> None:
        """More of what was remembered, after what is there."""
        self._last.update(last)

    def copy(self) -> History:
        """As it is now."""
        copy = History()
        copy.samples = self.samples.copy()
        copy._last = self._last.copy()
        return copy

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        return self.samples == other.samples and list(self._last.items()) == list(other._last.items())

    __hash__ = None  # type: ignore[assignment]


class Predictor(NamedTuple):
    """By name. expect: microseconds, 0 where it cannot say."""

    name: str
    summary: str
    expect: Callable[[History, Kind], int]


def _like(history: History, kind: Kind) -> int:
    return history.mean_us(kind) or history.mean_us(kind.uid)


LIMIT: Final = "limit"

PREDICTORS: Final[dict[str, Predictor]] = {
    predictor.name: predictor
    for predictor in (
        Predictor(LIMIT, "the user's time limit", lambda history, kind: 0),
        Predictor(
            "last2", "mean of the user's last two jobs", lambda history, kind: history.mean_us(kind.uid)
        ),
        Predictor("like", "mean of the user's last two jobs of the same limit and size", _like),
    )
}
"""All that come with Packhorse."""


def predictor(name: str) -> Predictor:
    """The predictor of this name; BadValue lists the known ones."""
    found = PREDICTORS.get(name)
    if found is None:
        raise BadValue(f'predictor "{name}" is not known; there are {", ".join(sorted(PREDICTORS))}')
    return found


def predicted_us(name: str, history: History, kind: Kind) -> int:
    """What a job is expected to run, at most its limit; 0 for as long as it may.

    Also 0 for a name that is not known: a state may have been stored by a version that knew others.
    """
    known = PREDICTORS.get(name)
    found = known.expect(history, kind) if known is not None else 0
    if not found:
        return 0
    return min(found, kind.limit_us) if kind.limit_us else found


def corrected_us(passed_us: int, given_us: int, limit_us: int) -> int:
    """What a job is expected to run in all that has run passed_us and was given given_us at its start: the
    same however often it was corrected in between.

    limit_us 0: it has none.
    """
    steps = iter(STEPS_S)
    step = next(steps)
    while given_us <= passed_us:
        given_us += step * US
        step = next(steps, step)
    return min(given_us, limit_us) if limit_us > passed_us else given_us

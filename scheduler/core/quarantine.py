"""A scheduling cycle that survives what goes wrong in it: a job that makes it fail is set aside, and a policy
that fails for most of them is replaced by the plainest one until it works again.

What can fail is code that looks at jobs: placement policies (also those of other packages), orders, requests.
A pass that raised changed nothing but what is derived, so it is simply made again:

1. the same without a guide and without holding starts back. If that works it was chance, or the improver;
2. without the jobs that were looked at when it failed, again and again for others. Where nobody was looked at
   (an order is made of all at once) the half of the queue without which it works is halved, until one job is
   left;
3. if most jobs would have to be set aside: all of them, by best fit and first come, first served. So it stays
   for RETRY_S, then the policy has another chance;
4. if that fails as well it is the scheduler's own code. The jobs that were suspected are set aside, and what
   is left is tried; if nothing helps the error goes on to the caller, and nothing starts.

Jobs are set aside by JobQuarantined: held, with the error, until an administrator releases them.
"""

from __future__ import annotations

import copy
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.core.decision import Decision, Trouble
from packhorse.scheduler.core.grant import run_cycle as plain_cycle
from packhorse.scheduler.core.orders import FCFS, NOBODY
from packhorse.scheduler.core.predictors import LIMIT
from packhorse.scheduler.core.reasons import Reason
from packhorse.scheduler.core.state import Fallback, State
from packhorse.scheduler.model.event import JobQuarantined
from packhorse.scheduler.model.ids import US, Instant, JobId
from packhorse.scheduler.model.input import RunCycle

RETRY_S: Final = 60
"""How long a policy that failed for most jobs is not asked."""
ROUNDS: Final = 4
"""How often more jobs are suspected before it is the policy."""
SAFE_POLICY: Final = "best-fit"
LONGEST_ERROR: Final = 300
"""Characters of an error that a job keeps."""

_PLAIN: Final = RunCycle()


def run_cycle(state: State, input: RunCycle, now: Instant) -> Decision:
    """Start what can start now, whatever goes wrong with some of it. Raises what nothing helps against."""
    broken = state.fallback
    if broken is not None and now < broken.retry_at:
        try:
            return plain_cycle(_safely(state), _PLAIN, now)
        except Exception as error:  # somebody came since, whom even the plainest policy cannot deal with
            return _Recovery(state, now, error).run()
    try:
        decision = plain_cycle(state, input, now)
    except Exception as error:  # what it is, other people's code decides
        return _Recovery(state, now, error).run()
    state.fallback = None
    return decision


def error_text(error: Exception) -> str:
    """One line: its kind and what it says."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= LONGEST_ERROR else text[: LONGEST_ERROR - 1] + "…"


class _Recovery:
    """After a pass that raised `error`."""

    def __init__(self, state: State, now: Instant, error: Exception) -> None:
        self.state = state
        self.now = now
        self.error = error
        self.ready = _ready(state)
        self.hidden: dict[JobId, str] = {}
        """Whom to set aside, and for what."""

    def run(self) -> Decision:
        again = self._try(())
        if again is not None:
            self.state.fallback = None
            return again._replace(trouble=self._trouble("once"))
        decision = self._without_suspects(safe=False)
        if decision is not None and 2 * len(self.hidden) <= len(self.ready):
            self.state.fallback = None
            return self._quarantined(decision)
        policy_error = self.error
        decision = self._try((), safe=True)
        if decision is not None:
            before = self.state.fallback
            self.state.fallback = Fallback(
                error_text(policy_error),
                self.now if before is None else before.since,
                Instant(self.now + RETRY_S * US),
            )
            self.error = policy_error
            return decision._replace(trouble=self._trouble("policy"))
        self.hidden.clear()
        decision = self._without_suspects(safe=True)
        if decision is None:
            raise self.error
        return self._quarantined(decision)

    def _without_suspects(self, safe: bool) -> Decision | None:
        """The decision without those who make it fail, who are in `hidden` then; None if it always fails."""
        for _ in range(ROUNDS):
            suspects = self._looked_at() or self._halved(safe)
            if not suspects:
                return None
            self.hidden.update(dict.fromkeys(suspects, error_text(self.error)))
            if len(self.hidden) >= len(self.ready):
                return None
            decision = self._try(tuple(self.hidden), safe=safe)
            if decision is not None:
                return decision
        return None

    def _looked_at(self) -> list[JobId]:
        """Whom the pass that failed last was looking at."""
        ids, first, end = self.state.looking_at
        return [JobId(id) for id in dict.fromkeys(ids[first:end]) if id not in self.hidden]

    def _halved(self, safe: bool) -> list[JobId]:
        """One job without which the pass works, found by halves; none if it is not one alone."""
        some = [id for id in self.ready if id not in self.hidden]
        while len(some) > 1:
            half = some[: len(some) // 2], some[len(some) // 2 :]
            found = next((part for part in half if self._try((*self.hidden, *part), safe=safe)), None)
            if found is None:
                return []
            some = found
        return some

    def _try(self, hidden: Sequence[JobId], safe: bool = False) -> Decision | None:
        """The pass without these; None if it raises."""
        # Scores that are kept from pass to pass may be half made.
        self.state.demand.forget_scores()
        state = _safely(self.state) if safe else self.state
        with _without(self.state, hidden):
            self.state.looking_at = state.looking_at = ((), 0, 0)
            try:
                return plain_cycle(state, _PLAIN, self.now)
            except Exception as error:  # as above
                self.error = error
                self.state.looking_at = state.looking_at
                return None

    def _quarantined(self, decision: Decision) -> Decision:
        events = [JobQuarantined(self.now, id, self.hidden[id]) for id in sorted(self.hidden)]
        trouble = self._trouble("jobs")._replace(jobs=tuple(self.hidden))
        return decision._replace(events=(*events, *decision.events), trouble=trouble)

    def _trouble(self, kind: str) -> Trouble:
        lines = traceback.format_exception(self.error)
        return Trouble(kind, error_text(self.error), "".join(lines))


def _ready(state: State) -> list[JobId]:
    """Who may start, in order of id."""
    pending = state.pending_columns
    return [JobId(id) for id in np.sort(pending.id[pending.ready]).tolist()]


def _safely(state: State) -> State:
    """The state under the plainest rules: best fit, first come, first served, time limits believed."""
    shadow = copy.copy(state)
    shadow.config = replace(
        state.config, policy=SAFE_POLICY, order=FCFS, preempt=NOBODY, predictor=LIMIT, keep_next=False
    )
    return shadow


@contextmanager
def _without(state: State, hidden: Sequence[JobId]) -> Iterator[None]:
    """As long as it lasts these rows are not there for the pass."""
    columns = state.pending_columns
    reasons = [columns.reason(id) for id in hidden]
    for id in hidden:
        columns.set_eligible(id, False, Reason.QUARANTINED)
    try:
        yield
    finally:
        for id, reason in zip(hidden, reasons, strict=True):
            columns.set_eligible(id, True, reason)

"""What the plots and tables of one trace are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packhorse.simulator.metrics import usage
from packhorse.simulator.metrics.columns import Columns, Times, columns, times
from packhorse.simulator.metrics.fairness import Change
from packhorse.simulator.metrics.usage import Curve, Window
from packhorse.simulator.outcome import Outcome
from packhorse.simulator.summary import Summary, aligned, compare
from packhorse.simulator.table import by_policy


class Material(NamedTuple):
    """policies: those that are drawn, in order; the first is the one others are compared with. runs: by
    policy, one a seed, those that are drawn first. outcomes, spent, curves, changes: of the seed that is
    drawn, by position of the policy; changes lack the first. within: from the first submission to the last
    end under any policy.
    """

    trace: str
    policies: list[str]
    runs: dict[str, list[Summary]]
    outcomes: list[Outcome]
    of: Columns
    spent: list[Times]
    curves: list[Curve]
    changes: list[Change]
    within: Window

    @property
    def gpus(self) -> bool:
        """Whether devices are what is scarce."""
        return bool(self.outcomes[0].capacity_gpus)


def material(trace: str, summaries: Sequence[Summary], outcomes: Sequence[Outcome]) -> Material:
    """Of each policy the first outcome; raises OtherJobs where policies ran different jobs."""
    first: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.trace == trace:
            first.setdefault(outcome.policy, outcome)
    base = next(iter(first.values()))
    drawn = [aligned(outcome, base) for outcome in first.values()]
    of = columns(base.jobs)
    windows = [usage.whole(outcome, of) for outcome in drawn]
    runs = by_policy([run for run in summaries if run.trace == trace])
    return Material(
        trace=trace,
        policies=list(first),
        runs={policy: runs.get(policy, []) for policy in [*first, *runs]},
        outcomes=drawn,
        of=of,
        spent=[times(outcome, of) for outcome in drawn],
        curves=[usage.curve(outcome, of) for outcome in drawn],
        changes=[compare(outcome, base, of) for outcome in drawn[1:]],
        within=Window(min(w.start_us for w in windows), max(w.end_us for w in windows)),
    )

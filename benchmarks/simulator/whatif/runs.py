"""The recorded jobs under one configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace

from packhorse.scheduler.model.accounts import AccountsDelta
from packhorse.scheduler.model.cluster import AccountsPolicy, ClusterConfig, Enforce
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator.asks import recorded
from packhorse.simulator.engine import Simulation
from packhorse.simulator.lab_policy import LabPolicy
from packhorse.simulator.outcome import NOT_YET, Outcome
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

_KEPT: Final = 1000
"""Ended jobs that are kept in memory: what was recorded depends on none."""


class Run(NamedTuple):
    """One column of the comparison. config: in force. outcome: of all jobs, of which those that were refused
    never start. refused: id and reason. elsewhere: jobs whose partition the configuration lacks, which ran in
    its default one, by the name of the partition.
    """

    name: str
    policy: LabPolicy
    config: ClusterConfig
    outcome: Outcome
    refused: list[tuple[str, str]]
    elsewhere: dict[str, int]


def run(
    jobs: Sequence[TraceJob],
    nodes: Sequence[NodeSpec],
    config: ClusterConfig,
    policy: LabPolicy,
    world: World,
    trace: str,
    progress: Callable[[int], None] | None = None,
    book: AccountsDelta | None = None,
) -> Run:
    """Everything until the last job has ended. jobs: by time of submission. book: the site's accounts.

    Jobs run under the account they had, whoever is in it by now: those that were recorded had a right to it.
    """
    config = policy.configured(config)
    here = replace(config, min_job_age_s=0, max_finished_kept=_KEPT)
    if here.accounts.enforce is not Enforce.NONE:
        here = replace(here, accounts=AccountsPolicy(Enforce.ACCOUNTS))
    simulation = Simulation(
        policy,
        nodes,
        world,
        here,
        keep_going=True,
        progress=progress,
        limit=recorded,
        account_of="group",
        book=book,
    )
    simulation.run(jobs)
    known = {partition.name for partition in config.partitions}
    elsewhere: dict[str, int] = {}
    for job in jobs:
        if job.queue not in known:
            elsewhere[job.queue] = elsewhere.get(job.queue, 0) + 1
    outcome = _of_all(simulation.outcome(trace), jobs)
    return Run(policy.name, policy, config, outcome, simulation.refused, elsewhere)


def _of_all(outcome: Outcome, jobs: Sequence[TraceJob]) -> Outcome:
    """With the jobs that were refused at their places, as jobs that never started."""
    place = {job.id: i for i, job in enumerate(jobs)}
    at = np.fromiter((place[job.id] for job in outcome.jobs), np.int64, len(outcome.jobs))
    nodes: list[tuple[str, ...]] = [()] * len(jobs)
    for i, names in zip(at.tolist(), outcome.nodes, strict=True):
        nodes[i] = names

    def spread(values: np.ndarray, rest: int) -> np.ndarray:
        found = np.full(len(jobs), rest, np.int64)
        found[at] = values
        return found

    return outcome._replace(
        jobs=jobs,
        nodes=nodes,
        start_us=spread(outcome.start_us, NOT_YET),
        end_us=spread(outcome.end_us, NOT_YET),
        restarts=spread(outcome.restarts, 0),
        lost_us=spread(outcome.lost_us, 0),
        stopped_us=spread(outcome.stopped_us, 0),
    )

"""Runs of a sweep: what each is made of, and its result in a file, so that nothing is done twice.

A run's file is named by a digest of everything that its result depends on: the jobs, the cluster, the policy
(the user's own file included), the world, the seed, and the version of the sources. It is written under
another name and renamed, so that a run that was cut short leaves nothing behind that looks like a result.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

import packhorse.scheduler.core
import packhorse.scheduler.model
import packhorse.simulator
from packhorse.scheduler.config.file import overlaid
from packhorse.scheduler.core.reclaim.ledger import loan_rows
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import accounts_file
from packhorse.scheduler.model.accounts_change import AccountChange
from packhorse.scheduler.model.cluster import ClusterConfig
from packhorse.scheduler.model.errors import BadValue, ConfigError
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.node import NodeSpec
from packhorse.simulator import reservations
from packhorse.simulator.engine import CONFIG, Simulation
from packhorse.simulator.lab_policy import LabPolicy
from packhorse.simulator.memory import Use
from packhorse.simulator.outcome import Outcome, Samples
from packhorse.simulator.policy_file import digest
from packhorse.simulator.traces import memory_uses
from packhorse.simulator.traces.broken import Skipped
from packhorse.simulator.traces.catalogue import open_trace
from packhorse.simulator.traces.job import TraceJob
from packhorse.simulator.world import World

FORMAT: Final = 2


class Window(NamedTuple):
    """Jobs from this one on (0 is the first), so many of them; n 0: all."""

    start: int = 0
    n: int = 0

    @property
    def name(self) -> str:
        """`1981+1024`; empty for the whole trace."""
        return f"{self.start}+{self.n}" if self.n or self.start else ""


class Run(NamedTuple):
    """title, number: what it is called in tables, where runs of one title and policy are averaged over their
    numbers: seeds, or starts of windows. trace: path or generator. file: that of a policy of the user's
    own. uses: what jobs use of their memory over time, a file; None: all that they ask for. lend: estimator
    by which unused memory is lent, "": it is not. accounts: a file of them (model/accounts_file.py), None:
    there are none; account_of: see asks.ACCOUNT_OF. reservations: a file of them. config: a configuration
    file, for what the policy does not say."""

    title: str
    number: int
    trace: str
    format: str
    on_broken: str
    window: Window
    policy: LabPolicy
    file: Path | None
    nodes: tuple[NodeSpec, ...]
    world: World
    keep_going: bool
    uses: Path | None = None
    lend: str = ""
    accounts: Path | None = None
    account_of: str = "default"
    reservations: Path | None = None
    config: Path | None = None


class Loaded(NamedTuple):
    """The jobs of a trace, in the order of submission. skipped: lines that could not be read."""

    jobs: list[TraceJob]
    skipped: Skipped


@cache
def load(trace: str, format: str, on_broken: str) -> Loaded:
    """The trace, read once in a process."""
    found = open_trace(trace, format, on_broken)
    jobs = sorted(found.jobs, key=lambda job: job.submit_us)
    return Loaded(jobs, found.skipped)


@cache
def load_uses(path: Path, on_broken: str) -> dict[str, Use]:
    """Memory use over time, read once in a process."""
    return memory_uses.read(path, Skipped(on_broken))


@cache
def load_accounts(path: Path) -> tuple[AccountChange, ...]:
    """The accounts in the file, read once in a process. Raises BadValue."""
    try:
        return accounts_file.read(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise BadValue(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error


@cache
def load_config(path: Path) -> ClusterConfig:
    """A simulated cluster's configuration with what the file says about decisions, read once in a process.
    How long ended jobs are kept is the simulator's own affair. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at byte {error.start}") from error
    found = overlaid(text, str(path), CONFIG)
    return replace(found, min_job_age_s=CONFIG.min_job_age_s, max_finished_kept=CONFIG.max_finished_kept)


def jobs_of(run: Run) -> Sequence[TraceJob]:
    """The jobs of the run."""
    jobs = load(run.trace, run.format, run.on_broken).jobs
    start, n = run.window
    return jobs[start : start + n] if n else jobs[start:]


@cache
def version() -> str:
    """Of the sources that a result depends on."""
    sha = hashlib.sha256(f"{FORMAT} {np.__version__}".encode())
    for package in (packhorse.scheduler.core, packhorse.scheduler.model, packhorse.simulator):
        root = Path(next(iter(package.__path__)))
        for path in sorted(root.rglob("*.py")):
            if "report" not in path.parts:
                sha.update(path.read_bytes())
    return sha.hexdigest()


@cache
def _content(trace: str) -> str:
    path = Path(trace)
    return digest(path) if path.is_file() else ""


def key(run: Run) -> str:
    """The name of its file."""
    parts = (
        version(),
        run.trace,
        _content(run.trace),
        run.format,
        run.on_broken,
        run.window,
        run.policy,
        digest(run.file) if run.file else "",
        [msgspec.json.encode(node).decode() for node in run.nodes],
        run.world,
        run.keep_going,
        digest(run.uses) if run.uses else "",
        run.lend,
        digest(run.accounts) if run.accounts else "",
        run.account_of,
        digest(run.reservations) if run.reservations else "",
        digest(run.config) if run.config else "",
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def simulate(run: Run, progress: object = None) -> Outcome:
    """The run, now. progress: called with the number of jobs that have ended."""
    ledger = _Ledger()
    config = load_config(run.config) if run.config else CONFIG
    if run.lend:
        config = replace(config, reclaim=replace(config.reclaim, enabled=True, estimator=run.lend))
    simulation = Simulation(
        run.policy,
        run.nodes,
        run.world,
        config,
        keep_going=run.keep_going,
        progress=progress if callable(progress) else None,
        uses=load_uses(run.uses, run.on_broken) if run.uses else None,
        before=ledger.see if run.lend else None,
        accounts=load_accounts(run.accounts) if run.accounts else (),
        account_of=run.account_of,
        reservations=reservations.read(run.reservations) if run.reservations else (),
    )
    ledger.state = simulation.state
    simulation.run(jobs_of(run))
    return simulation.outcome(run.title)._replace(
        seed=run.number, lent_mib_s=ledger.mib_us // US, out_of_memory=len(simulation.killed)
    )


class _Ledger:
    """How much memory was lent for how long."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.mib_us = 0

    def see(self, event: Event) -> None:
        """An event that is about to change the state."""
        if self.state is not None:
            rows = loan_rows(self.state, event)
            self.mib_us += sum(row.mem_mib * (row.until - row.since) for row in rows)


def save(folder: Path, run: Run, outcome: Outcome) -> None:
    """The outcome to its file; the jobs stay in the trace, their places in it go along."""
    place = {id(job): i for i, job in enumerate(jobs_of(run))}
    names = sorted({name for names in outcome.nodes for name in names})
    code = {name: i for i, name in enumerate(names)}
    path = folder / f"{key(run)}.npz"
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            place=np.array([place[id(job)] for job in outcome.jobs], dtype=np.int64),
            start=outcome.start_us,
            end=outcome.end_us,
            restarts=outcome.restarts,
            lost=outcome.lost_us,
            stopped=outcome.stopped_us,
            names=np.array(names, dtype=np.str_),
            n_nodes=np.array([len(found) for found in outcome.nodes], dtype=np.int64),
            nodes=np.array([code[name] for found in outcome.nodes for name in found], dtype=np.int32),
            capacity=np.array([outcome.capacity_milli, outcome.capacity_gpus], dtype=np.int64),
            memory=np.array([outcome.lent_mib_s, outcome.out_of_memory], dtype=np.int64),
            samples=np.array(outcome.samples),
        )
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)


def done(folder: Path, run: Run) -> bool:
    """Whether its result is there."""
    return (folder / f"{key(run)}.npz").is_file()


def read(folder: Path, run: Run) -> Outcome:
    """The outcome from its file."""
    jobs = jobs_of(run)
    with np.load(folder / f"{key(run)}.npz", allow_pickle=False) as found:
        names = found["names"].tolist()
        flat = [names[i] for i in found["nodes"].tolist()]
        where, at = [], 0
        for n in found["n_nodes"].tolist():
            where.append(tuple(flat[at : at + n]))
            at += n
        milli, gpus = found["capacity"].tolist()
        lent_mib_s, out_of_memory = found["memory"].tolist()
        return Outcome(
            run.policy.name,
            run.title,
            run.number,
            [jobs[i] for i in found["place"].tolist()],
            found["start"],
            found["end"],
            found["restarts"],
            found["lost"],
            found["stopped"],
            where,
            milli,
            gpus,
            Samples(*found["samples"]),
            run.world.think_times,
            lent_mib_s,
            out_of_memory,
        )

"""What a job should ask for, by what its past runs used.

For each resource, from the runs of which it was measured: S = most + max(most * margin, Q3 - Q1), rounded up,
where `most` is the largest use of any run that ended well and Q1, Q3 are the quartiles of those uses. So S
never lies below what a successful run used plus the margin. A run that ran out of memory (or time) needed
more than its limit, nobody knows how much: while no later attempt of the same job has ended well, S is at
least BEYOND times that limit, and the run counts as one that would not have fitted.

The chance that the next run fits is stated as n_fit / (n + 1), with n runs of which n_fit would have fitted
into S. That is the bound of conformal prediction: of n + 1 exchangeable runs the next one is equally likely
to have any rank (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; for the largest of
n it is Wilks' bound of 1941 with the coverage averaged). It believes that the next run is like the past ones,
in any order: with other input it may not be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import US
from packhorse.scheduler.model.job import JobState

LAST: Final = 50
"""Newest runs that are looked at: long enough for a chance of 98 %, short enough to follow a job that
changes."""

SURE_MILLI: Final = 900
"""From this chance on, in thousandths, an ask may be changed by itself: nine runs that all fit are enough."""

BEYOND: Final = 1500
"""Thousandths of a limit that was too small."""

NOISE_MILLI: Final = 20
"""Thousandths of one CPU or GPU that are no use of it."""

STATES: Final = (JobState.COMPLETED, JobState.OUT_OF_MEMORY, JobState.TIMEOUT)
"""Ends of runs that say what a job needs: a run that failed or was cancelled may have used less than a whole
one."""


class PastRun(NamedTuple):
    """One ended run, on its first node, the one that is measured. 0: not measured, or no limit.

    cpu_milli: thousandths of CPUs that were busy on average. gpu_busy_milli: the same of GPUs, -1: not
    measured.
    """

    job: int
    state: str
    mem_mib: int
    mem_limit_mib: int
    wall_s: int
    limit_s: int
    cpu_milli: int
    gpu_busy_milli: int


class Present(NamedTuple):
    """What is asked for now, on each node; 0: no limit, or none of it."""

    mem_mib: int = 0
    limit_s: int = 0
    n_cpus: int = 1
    n_gpus: int = 0


class Advice(NamedTuple):
    """About one resource. Amounts are MiB, seconds, CPUs or GPUs; median and most in thousandths for the
    latter two.

    n_runs: runs that say something about it, of which n_fit would have fitted into `suggested` and n_beyond
    needed more than their limit. chance_milli: see the module.
    """

    present: int
    suggested: int
    n_runs: int
    n_fit: int
    n_beyond: int
    median: int
    most: int
    chance_milli: int

    @property
    def sure(self) -> bool:
        """Whether an ask may be changed to it by itself."""
        return self.chance_milli >= SURE_MILLI


class Suggestion(NamedTuple):
    """None: nothing is known about it, or none of it is asked for."""

    n_runs: int
    mem: Advice | None = None
    time: Advice | None = None
    cpus: Advice | None = None
    gpus: Advice | None = None


def past_run(row: AttemptRow) -> PastRun:
    """The run that an accounting row tells of."""
    usage, n_nodes = row.usage, max(row.n_nodes, 1)
    wall_us = max(0, row.ended_at - row.started_at - row.suspended_us)
    busy = -1
    if usage.gpu_ms > 0:
        busy = row.gpu_milli // n_nodes * min(usage.gpu_busy_ms, usage.gpu_ms) // usage.gpu_ms
    return PastRun(
        row.job,
        row.state,
        -(-usage.max_rss_kib // 1024),
        row.mem_mib // n_nodes,
        -(-wall_us // US),
        row.time_limit_s,
        (usage.user_cpu_us + usage.system_cpu_us) * 1000 // wall_us if wall_us else 0,
        busy,
    )


def suggest(runs: Sequence[PastRun], present: Present) -> Suggestion:
    """What these runs, in the order of their job numbers and attempts, say about the ask."""
    known = [run for run in runs if run.state in STATES]
    done = {run.job for run in known if run.state == JobState.COMPLETED}
    well = [run for run in known if run.state == JobState.COMPLETED]
    too_little: dict[int, int] = {}
    too_short: dict[int, int] = {}
    for run in known:  # of several attempts of one job the last and largest limit is what is known of it
        if run.job in done:
            continue
        if run.state == JobState.OUT_OF_MEMORY and run.mem_limit_mib:
            too_little[run.job] = max(run.mem_limit_mib, too_little.get(run.job, 0))
        if run.state == JobState.TIMEOUT and run.limit_s:
            too_short[run.job] = max(run.limit_s, too_short.get(run.job, 0))
    mem_used = [run.mem_mib for run in well if run.mem_mib]
    mem = _advice(mem_used, list(too_little.values()), present.mem_mib, 100, 0, _memory_step)
    wall = [run.wall_s for run in well if run.wall_s]
    time = _advice(wall, list(too_short.values()), present.limit_s, 500, 600, _time_step)
    cpus = _shares([run.cpu_milli for run in well if run.cpu_milli], present.n_cpus, least=1)
    gpus = None
    if present.n_gpus:
        gpus = _shares(
            [run.gpu_busy_milli for run in well if run.gpu_busy_milli >= 0], present.n_gpus, least=0
        )
    return Suggestion(len(known), mem, time, cpus, gpus)


def _advice(
    used: list[int],
    too_small: list[int],
    present: int,
    margin_milli: int,
    least_margin: int,
    step: Callable[[int], int],
) -> Advice | None:
    """From what runs used and the limits that were too small; step: to which multiple an amount is
    rounded."""
    if not used and not too_small:
        return None
    used = sorted(used)
    most = used[-1] if used else 0
    margin = max(-(-most * margin_milli // 1000), _quartiles(used))
    beyond = max([-(-limit * BEYOND // 1000) for limit in too_small], default=1)
    needed = max(most + max(margin, least_margin) if used else 0, beyond)
    suggested = -(-needed // step(needed)) * step(needed)
    if max(most + margin, beyond) <= present < suggested:
        suggested = present  # it is enough: neither round numbers nor the least margin are worth a change
    return _counted(used, present, suggested, len(too_small), scale=1)


def _shares(used: list[int], present: int, least: int) -> Advice | None:
    """Whole CPUs or GPUs that are busy on average, in thousandths; a quarter more is given, and never more
    than are asked for now: a run that used all it had may be able to use more, and nobody knows."""
    if not used:
        return None
    used = sorted(used)
    most = used[-1]
    needed = -(-(most + max(most // 4, _quartiles(used))) // 1000)
    if most < NOISE_MILLI:
        needed = 0
    return _counted(used, present, min(max(needed, least), max(present, least)), 0, scale=1000)


def _counted(used: list[int], present: int, suggested: int, n_beyond: int, scale: int) -> Advice:
    # Of CPUs and GPUs that are asked for already a run may have kept all busy, and a little more.
    all_there_was = scale > 1 and suggested == present
    noise = NOISE_MILLI if scale > 1 else 0
    fits = [value for value in used if all_there_was or value <= max(suggested * scale, noise)]
    n = len(used) + n_beyond
    median = used[(len(used) - 1) // 2] if used else 0
    most = used[-1] if used else 0
    return Advice(present, suggested, n, len(fits), n_beyond, median, most, len(fits) * 1000 // (n + 1))


def _quartiles(used: list[int]) -> int:
    """How far the quartiles are apart; used: sorted."""
    if len(used) < 4:
        return 0
    return used[-(-3 * len(used) // 4) - 1] - used[-(-len(used) // 4) - 1]


def _memory_step(mib: int) -> int:
    """Memory is said in round numbers: of 64 MiB below 1 GiB, 512 MiB below 16 GiB, else whole GiB."""
    return 64 if mib <= 1024 else 512 if mib <= 16_384 else 1024


def _time_step(seconds: int) -> int:
    """Times too: of 5 minutes below 6 hours, a quarter of an hour below a day, else whole hours."""
    return 300 if seconds <= 6 * 3600 else 900 if seconds <= 86_400 else 3600

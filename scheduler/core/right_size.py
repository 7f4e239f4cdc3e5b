"""`sbatch --right-size`: what past runs suggest, put in the place of what was asked for.

Memory and time limit go down or up where the suggestion is sure enough, CPUs only where that was asked for
too, GPUs never. What the partition or the nodes refuse is left as it was. Memory that was changed comes with
a safety net: should it not be enough after all, the job runs again with twice as much (core/oom_retry.py).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from packhorse.scheduler.core.accounting import Amounts
from packhorse.scheduler.core.oom_retry import memory_of, with_memory
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.submit import complete
from packhorse.scheduler.core.suggest import SURE_MILLI, Advice, PastRun, Present, suggest
from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Caller
from packhorse.scheduler.model.job import JobSpec
from packhorse.scheduler.model.reply import Refused
from packhorse.scheduler.model.resources import WHOLE
from packhorse.scheduler.model.units import format_mem_mib, format_time_limit

OOM_FACTOR_MILLI = 2_000
"""Of the safety net."""

NOT_WORTH_MILLI = 50
"""An ask that is too large by less than so many thousandths is left alone."""


def present_of(spec: JobSpec) -> Present:
    """What a spec with its defaults filled in asks for on each node."""
    amounts = Amounts.asked(spec.ask)
    n = max(amounts.n_nodes, 1)
    return Present(
        amounts.mem_mib // n,
        spec.time_limit_s,
        -(-amounts.n_cpus // n),
        -(-amounts.gpu_milli // (n * WHOLE)),
    )


def present_of_row(row: AttemptRow) -> Present:
    """The same of a run that is over."""
    n = max(row.n_nodes, 1)
    return Present(row.mem_mib // n, row.time_limit_s, -(-row.n_cpus // n), -(-row.gpu_milli // (n * WHOLE)))


def right_sized(
    state: State, caller: Caller, spec: JobSpec, runs: list[PastRun], now: Instant, *, cpus: bool
) -> tuple[JobSpec, tuple[str, ...]]:
    """The spec as it is best submitted, and what was changed or left, a sentence each, for its submitter.

    A spec that would be refused is left to be refused.
    """
    full = complete(state, caller, spec, now)
    if isinstance(full, Refused):
        return spec, ()
    present = present_of(full)
    found = suggest(runs, present)
    steps: list[Callable[[JobSpec], tuple[JobSpec, str]]] = [
        lambda one: _memory(one, present, found.mem),
        lambda one: _time(one, found.time),
    ]
    if cpus:
        steps.append(lambda one: _cpus(one, found.cpus))
    new, changed, notes = full, list[str](), list[str]()
    for step in steps:
        wanted, note = step(new)
        taken = new if wanted == new else complete(state, caller, wanted, now)
        if isinstance(taken, Refused):
            note = f"{note.partition(':')[0]} was not possible: {taken.message}"
        elif taken != new:
            new = taken
            changed.append(note)
        notes.append(note)
    if not changed:
        return spec, tuple(notes)
    if new.ask != full.ask and not new.oom_factor_milli and new.requeue and memory_of(new.ask):
        new = replace(new, oom_factor_milli=OOM_FACTOR_MILLI)
        notes.append(
            "--oom-retry 2x: should it run out of memory after all, it runs again with twice as much"
        )
    return replace(new, right_sized="; ".join(changed)), tuple(notes)


def _memory(spec: JobSpec, present: Present, advice: Advice | None) -> tuple[JobSpec, str]:
    ask = spec.ask
    if ask.mem_all or not present.mem_mib:
        return spec, "memory is left as it is: the job names no amount of it"
    option = "--mem-per-cpu" if ask.mem_mib_per_cpu else "--mem"
    old = memory_of(ask)
    left = f"{option} is left at {format_mem_mib(old)}"
    if advice is None or not advice.sure:
        return spec, f"{left}: {unsure(advice)}"
    used = f"{runs_text(advice)} used at most {rough_mem(advice.most)}{_beyond(advice, 'memory')}"
    if _good_enough(present.mem_mib, advice.suggested):
        return spec, f"{left}: {used}"
    mib = -(-advice.suggested // present.n_cpus) if ask.mem_mib_per_cpu else advice.suggested
    note = f"{option} {format_mem_mib(old)} -> {format_mem_mib(mib)}: {used}"
    return replace(spec, ask=with_memory(ask, mib)), note


def _time(spec: JobSpec, advice: Advice | None) -> tuple[JobSpec, str]:
    old = spec.time_limit_s
    if not old:
        return spec, "the time limit is left as it is: the job has none"
    left = f"--time is left at {format_time_limit(old)}"
    if advice is None or not advice.sure:
        return spec, f"{left}: {unsure(advice)}"
    used = f"{runs_text(advice)} took at most {format_time_limit(advice.most)}{_beyond(advice, 'time')}"
    if _good_enough(old, advice.suggested):
        return spec, f"{left}: {used}"
    note = f"--time {format_time_limit(old)} -> {format_time_limit(advice.suggested)}: {used}"
    return replace(spec, time_limit_s=advice.suggested), note


def _cpus(spec: JobSpec, advice: Advice | None) -> tuple[JobSpec, str]:
    ask = spec.ask
    old = -(-ask.cpu_milli_per_task // WHOLE)
    left = f"--cpus-per-task is left at {old}"
    if ask.n_tasks != 1:
        return spec, f"{left}: the job has {ask.n_tasks} tasks, and nobody measured them one by one"
    if advice is None or not advice.sure:
        return spec, f"{left}: {unsure(advice)}"
    used = f"{runs_text(advice)} kept at most {advice.most / WHOLE:.1f} CPUs busy on average"
    if advice.suggested >= old:
        return spec, f"{left}: {used}"
    note = f"--cpus-per-task {old} -> {advice.suggested}: {used}"
    return replace(spec, ask=replace(ask, cpu_milli_per_task=advice.suggested * WHOLE)), note


def _good_enough(old: int, suggested: int) -> bool:
    """Neither too little nor so much more that it matters."""
    return suggested <= old and (old - suggested) * WHOLE <= old * NOT_WORTH_MILLI


def unsure(advice: Advice | None) -> str:
    """Why a suggestion is not to be trusted."""
    if advice is None:
        return "no past run of this job was measured"
    if advice.n_beyond:
        return (
            f"{_n(advice.n_beyond, 'past run')} of {advice.n_runs} needed more than they had, "
            f"so the chance that the next one fits is only {advice.chance_milli / 10:.0f} %"
        )
    needed = -(-SURE_MILLI // (WHOLE - SURE_MILLI))
    known = (
        f"only {_n(advice.n_runs, 'past run')} of this job {'was' if advice.n_runs == 1 else 'were'} measured"
    )
    return f"{known}, {needed} are needed"


def runs_text(advice: Advice) -> str:
    """`50 past runs`."""
    return _n(advice.n_runs - advice.n_beyond, "past run")


def rough_mem(mib: int) -> str:
    """`9.8G`: an amount that was measured, near enough to be read."""
    return f"{mib}M" if mib < 1024 else f"{mib / 1024:.1f}G"


def _beyond(advice: Advice, what: str) -> str:
    return f", {advice.n_beyond} needed more {what} than they had" if advice.n_beyond else ""


def _n(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"

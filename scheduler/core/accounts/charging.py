"""Feeds `state.spent`: what a job that holds an allocation is charged, and when that begins and ends.

A suspended job keeps its memory and devices, and is charged for these; its CPUs are free, and no time passes
on its clock.

As in Slurm it is the start that says what a job costs: weights and usage factors that change meanwhile are
for those that start later. Of a suspended job what it keeps is weighed when it is suspended.
"""

from __future__ import annotations

from packhorse.scheduler.core.accounts.billing import billing_milli, partition_named
from packhorse.scheduler.core.accounts.decay import Decay
from packhorse.scheduler.core.accounts.spent import WALL, Charge
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.waiting import holder_of
from packhorse.scheduler.model.event import AccountsChanged
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.job import Active, Job
from packhorse.scheduler.model.tres import BILLING, CPU, MILLI, placed_tres


def charge(state: State, job: Job, now: Instant) -> None:
    """The job, which is active, is charged for what it has from now on. Also after any change of that."""
    if state.spent.counting:
        before = state.spent.charges.get(job.id)
        state.spent.charge(state.accounts, job.id, _charge_of(state, job, before), now)


def release(state: State, job: JobId, now: Instant) -> None:
    """It has let go of its allocation."""
    if state.spent.counting:
        state.spent.release(state.accounts, job, now)


def configured(state: State, now: Instant) -> None:
    """The configuration says how use fades."""
    rules = state.config.priorities
    decay = Decay(rules.half_life_s, rules.usage_reset)
    if state.spent.counting and decay != state.spent.decay:
        state.spent.fade(state.accounts, decay, now)


def accounts_changed(state: State, event: AccountsChanged) -> None:
    """Change the book. With its first change, what runs begins to count."""
    first = not state.spent.counting
    state.spent.change(state.accounts, event.delta, event.at)
    if first:
        configured(state, event.at)
        for id in sorted(state.running_columns.jobs()):
            charge(state, state.jobs[id], event.at)


def _charge_of(state: State, job: Job, before: Charge | None = None) -> Charge:
    """before: what it was charged so far, if it has started already."""
    active, spec = job.phase, job.spec
    assert isinstance(active, Active)
    holder = holder_of(spec, job.owner)
    partition = partition_named(state.config, spec.partition)
    tres = placed_tres(active.placements, spec.licenses)
    if active.suspended_at:
        tres = tuple(pair for pair in tres if pair[0] != CPU)
    qos = state.accounts.qos.get(holder.qos)
    factor = qos.usage_factor_milli if qos is not None else MILLI
    cost = billing_milli(partition, tres, max_tres=state.config.priorities.max_tres)
    rates = [(name, amount * factor) for name, amount in tres]
    rates.append((BILLING, cost * factor // MILLI))
    if not active.suspended_at:
        rates.append((WALL, MILLI))
    names = dict.fromkeys(name for name in (holder.qos, partition.qos if partition else "") if name)
    charge = Charge(state.accounts.chain(holder)[0], tuple(names), tuple(pair for pair in rates if pair[1]))
    if before is None:
        return charge
    running = before.running or before.rates
    return charge._replace(running=running) if active.suspended_at else charge._replace(rates=running)

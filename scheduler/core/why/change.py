"""One thing that would be different about a waiting job: in words, as a command, and as the inputs it
makes."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.names import name_of
from packhorse.scheduler.model.event import Item
from packhorse.scheduler.model.input import (
    Caller,
    Cancel,
    Changes,
    Input,
    Release,
    Submit,
    SubmitArray,
    Target,
    UpdateJob,
)
from packhorse.scheduler.model.job import ArrayJob, ArraySpec, Job, JobSpec

Waiter = Job | ArrayJob


class Change(NamedTuple):
    """kind: which constraint is relaxed. words: what would be different. size: how much that is of what is
    asked, 0 (nothing of it) to 1 (all); see docs/policy/why.md.

    spec: the job's with the change. changes: what `scontrol update` is given, None where it cannot do it:
    then options are what sbatch gets for the job submitted anew (amounts have them in any case). release: it
    is `scontrol release`.
    """

    kind: str
    words: str
    size: float
    spec: JobSpec
    changes: Changes | None = None
    update: str = ""
    options: str = ""
    release: bool = False


def command(waiter: Waiter, change: Change) -> str:
    """What to type."""
    name = name_of(waiter)
    if change.release:
        return f"scontrol release {name}"
    if change.changes is not None:
        return f"scontrol update JobId={name} {change.update}"
    return f"scancel {name}; sbatch {change.options} … (the rest as before)"


def inputs(waiter: Waiter, change: Change, admin: bool) -> tuple[Input, ...]:
    """What that command would make. admin: an administrator gives it."""
    caller = Caller(waiter.owner, admin=admin)
    targets = (Target(name_of(waiter), waiter.id),)
    if change.release:
        return (Release(caller, targets),)
    if change.changes is not None:
        return (UpdateJob(caller, targets, change.changes),)
    spec = anew(change.spec)
    own = Caller(waiter.owner)
    if isinstance(waiter, ArrayJob):
        array = ArraySpec(waiter.remaining, waiter.array.limit)
        return (Cancel(own, targets), SubmitArray(own, spec, array))
    return (Cancel(own, targets), Submit(own, (spec,), (Item(0),)))


def anew(spec: JobSpec) -> JobSpec:
    """What its owner may submit: a place in the queue that was given to it is lost."""
    return replace(spec, priority=None, nice=max(spec.nice, 0), site_factor=0, hold=False)

"""Whether a dependency may be given to a job at all. What it then means is judged in `conditions`."""

from __future__ import annotations

from packhorse.scheduler.core.conditions import WHOLE
from packhorse.scheduler.core.state import State
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Dependency, DependencyKind, Pending
from packhorse.scheduler.model.reply import RefusalCode, Refused

PROBLEM = "Job dependency problem"
MAX_CONDITIONS = 10_000


def check_dependency(state: State, dependency: Dependency, job: JobId | None = None) -> Refused | None:
    """Why it cannot be: malformed, or (for an existing job) waiting for itself by way of others."""
    conditions = dependency.conditions
    if not conditions or len(conditions) > MAX_CONDITIONS:
        return _problem(f"a dependency has 1 to {MAX_CONDITIONS} conditions, this one has {len(conditions)}")
    for condition in conditions:
        single = condition.kind is DependencyKind.SINGLETON
        if not single and condition.job < 1:
            return _problem(f"{condition.kind.value}:{condition.job}: job ids start at 1")
        if condition.delay_s and condition.kind is not DependencyKind.AFTER:
            return _problem(f"{condition.kind.value}: only `after` takes a delay")
        if condition.delay_s < 0 or condition.index < WHOLE:
            return _problem("delays and indices must not be negative")
        if dependency.any_of and condition.kind is DependencyKind.AFTERCORR:
            return _problem("aftercorr cannot be one of several alternatives (`?`); join conditions by `,`")
    if job is not None and _reaches(state, dependency, job):
        return _problem(f"job {job} would wait for itself")
    return None


def _reaches(state: State, dependency: Dependency, job: JobId) -> bool:
    """Whether following open conditions of waiting jobs leads from the dependency back to the job."""
    seen: set[JobId] = set()
    todo = [c.job for c in dependency.conditions]
    while todo:
        id = todo.pop()
        if id == job:
            return True
        if id in seen:
            continue
        seen.add(id)
        other = state.jobs.get(id) or state.arrays.get(id)
        if other is not None and isinstance(other.phase, Pending) and other.spec.dependency is not None:
            todo += [c.job for c in other.spec.dependency.conditions]
    return False


def _problem(message: str) -> Refused:
    return Refused(RefusalCode.INVALID, message, PROBLEM)

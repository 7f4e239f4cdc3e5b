"""Applying events to crontabs."""

from __future__ import annotations

from packhorse.scheduler.core.state import State
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.job import Ended


def crontab_set(state: State, event: ev.CrontabSet) -> None:
    """In place of what the user had; an empty one is none."""
    crontab = event.crontab
    uid = crontab.owner.uid
    old = state.crontabs.pop(uid, None)
    for entry in old.entries if old is not None else ():
        state.cron_jobs.pop(entry.job, None)
        state.cron_due.pop(entry.job, None)
    if crontab.text:
        state.crontabs[uid] = crontab
        watch(state, uid)


def watch(state: State, uid: int) -> None:
    """Its jobs are run again when they have ended."""
    for entry in state.crontabs[uid].entries:
        state.cron_jobs[entry.job] = uid
        job = state.jobs.get(entry.job)
        if job is not None and isinstance(job.phase, Ended):
            state.cron_due[entry.job] = None


def job_ended(state: State, id: JobId) -> None:
    if id in state.cron_jobs:
        state.cron_due[id] = None

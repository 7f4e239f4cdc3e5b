"""Jobs of crontabs that have ended: each waits for its next time, but for those that somebody cancelled."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.crontabs.due import next_after
from packhorse.scheduler.core.decision import Draft
from packhorse.scheduler.model.cron import parse_cron
from packhorse.scheduler.model.crontab import DISABLED, Crontab
from packhorse.scheduler.model.event import CrontabSet, JobReopened
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Ended, Job, JobState


def again(draft: Draft) -> None:
    """Everything that is due. A cancelled job disables its line, as in Slurm."""
    state = draft.state
    for uid in sorted({state.cron_jobs[id] for id in state.cron_due}):
        crontab = state.crontabs[uid]
        changed = crontab
        for entry in crontab.entries:
            if entry.job not in state.cron_due:
                continue
            job = state.jobs[entry.job]
            begin_at = next_begin(crontab, entry.when, draft.now)
            if _cancelled(job) or begin_at is None:
                changed = _without(changed, entry.line)
            else:
                draft.events.append(JobReopened(draft.now, job.id, -1, begin_at))
        if changed is not crontab:
            draft.events.append(CrontabSet(draft.now, changed))


def next_begin(crontab: Crontab, when: str, now: Instant) -> Instant | None:
    """When a line is due after now; None if it never is."""
    at_s = next_after(parse_cron(when), now // US, crontab.offsets)
    return None if at_s is None else Instant(at_s * US)


def _cancelled(job: Job) -> bool:
    return isinstance(job.phase, Ended) and job.state is JobState.CANCELLED and job.phase.cancelled_by >= 0


def _without(crontab: Crontab, line: int) -> Crontab:
    """The line is disabled: its text stays."""
    lines = crontab.text.splitlines(keepends=True)
    lines[line] = DISABLED + lines[line]
    rest = tuple(entry for entry in crontab.entries if entry.line != line)
    return replace(crontab, text="".join(lines), entries=rest)

"""scrontab: a user's crontab in place of the one before."""

from __future__ import annotations

from msgspec.structs import replace

from packhorse.scheduler.core.cancel import end_pending
from packhorse.scheduler.core.crontabs.again import next_begin
from packhorse.scheduler.core.decision import Decision, Draft
from packhorse.scheduler.core.state import State
from packhorse.scheduler.core.submit import submit
from packhorse.scheduler.model.crontab import CronEntry, CronLine, Crontab
from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.event import CrontabSet, Item, JobsSubmitted
from packhorse.scheduler.model.ids import Instant, JobId
from packhorse.scheduler.model.input import Caller, SetCrontab, Submit
from packhorse.scheduler.model.job import JobSpec, Pending
from packhorse.scheduler.model.reply import Done, Outcome, RefusalCode, Refused, Reply

MOST_LINES = 200
"""Jobs of one crontab."""


def set_crontab(state: State, call: SetCrontab, now: Instant) -> Decision:
    """All of it or nothing. Jobs of the old one that wait are cancelled, those that run end as they would.

    The outcomes' refs are the numbers of the new jobs.
    """
    draft = Draft(state, now)
    owner = call.owner
    if owner.uid != call.caller.owner.uid and not call.caller.admin:
        message = f'the crontab of user "{owner.user}": only they or an administrator may change it'
        return draft.answer(call.caller, Refused(RefusalCode.DENIED, message, "Access/permission denied"))
    crontab = Crontab(owner, call.text, offsets=call.offsets)
    specs = _specs(call.lines, crontab, now)
    if isinstance(specs, Refused):
        return draft.answer(call.caller, specs)
    old = state.crontabs.get(owner.uid)
    for entry in old.entries if old is not None else ():
        job = state.jobs.get(entry.job)
        if job is not None and isinstance(job.phase, Pending):
            end_pending(draft, job, call.caller.owner.uid, detail="its crontab was replaced")
    if specs:
        items = tuple(Item(n) for n in range(len(specs)))
        submitted = submit(state, Submit(Caller(owner), tuple(specs), items), now)
        event = submitted.events[0] if submitted.events else None
        if not isinstance(event, JobsSubmitted):
            return Draft(state, now).answer(call.caller, _about_crontab(submitted.reply))
        draft.events.append(event)
        entries = tuple(
            CronEntry(line.line, line.when, JobId(event.first_id + n)) for n, line in enumerate(call.lines)
        )
        crontab = replace(crontab, entries=entries)
    draft.events.append(CrontabSet(now, crontab, call.caller.owner.uid))
    return draft.answer(call.caller, Done(tuple(Outcome(str(entry.job)) for entry in crontab.entries)))


def _about_crontab(reply: Reply) -> Refused:
    assert isinstance(reply, Refused)
    return reply


def _specs(lines: tuple[CronLine, ...], crontab: Crontab, now: Instant) -> list[JobSpec] | Refused:
    """With their first begin times."""
    if len(lines) > MOST_LINES:
        message = f"{len(lines)} jobs in the crontab; at most {MOST_LINES} may be"
        return Refused(RefusalCode.EXHAUSTED, message)
    specs = []
    n_lines = len(crontab.text.splitlines())
    for line in lines:
        try:
            begin_at = next_begin(crontab, line.when, now)
        except BadValue as error:
            return Refused(RefusalCode.INVALID, f"line {line.line + 1}: {error}")
        if begin_at is None:
            return Refused(RefusalCode.INVALID, f'line {line.line + 1}: "{line.when}" never comes')
        if line.spec.allocation or line.spec.gang is not None or line.spec.dependency is not None:
            message = f"line {line.line + 1}: a job of a crontab has no gang and no dependency"
            return Refused(RefusalCode.INVALID, message)
        if not 0 <= line.line < n_lines:
            return Refused(RefusalCode.INVALID, f"line {line.line + 1} is not in the crontab")
        specs.append(replace(line.spec, begin_at=begin_at))
    return specs

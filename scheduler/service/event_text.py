"""Events for people: one sentence each, as `packhorse events JOB` and watchers show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from packhorse.scheduler.core import indices
from packhorse.scheduler.model import event as ev
from packhorse.scheduler.model.accounts import AssociationKey
from packhorse.scheduler.model.event import Event
from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import OOM_SIGNAL, EndCause, Held, JobState
from packhorse.scheduler.model.loan import LoanEnd
from packhorse.scheduler.model.reply import Refused, Submitted
from packhorse.scheduler.model.signalspec import signal_name
from packhorse.scheduler.model.units import format_mem_mib, format_time_limit
from packhorse.scheduler.service.auth import user_name
from packhorse.scheduler.service.messages import JobEvent
from packhorse.scheduler.service.tables.amounts import granted_text, placed
from packhorse.scheduler.service.tables.devices import dead_texts
from packhorse.scheduler.store.codec import jobs_of, node_of

LONGEST_LIST = 100
"""Of the lists in an event's JSON: ten thousand jobs submitted at once are one event."""

CAUSES: dict[EndCause, str] = {
    EndCause.EXITED: "its script ended",
    EndCause.CANCELLED: "it was cancelled",
    EndCause.TIME_LIMIT: "its time limit was reached",
    EndCause.REQUEUED: "it is to be requeued",
    EndCause.NODE_FAIL: "its node failed",
    EndCause.LAUNCH_FAILED: "it could not be launched",
    EndCause.OUT_OF_MEMORY: "it ran out of memory",
    EndCause.LEASE: "its node had not heard from the scheduler for too long",
    EndCause.STALE: "an attempt was running that this scheduler does not know",
    EndCause.PREEMPTED: "a job that comes before it needs its room",
    EndCause.GPU_IDLE: "its GPUs were idle for too long",
    EndCause.DEADLINE: "its deadline came",
}

STEP_CAUSES: dict[EndCause, str] = {EndCause.EXITED: "its job ended"}
"""What is different where a step is told to end."""

HOLDS: dict[Held, str] = {
    Held.NO: "not held",
    Held.USER: "held by its user",
    Held.ADMIN: "held by an administrator",
    Held.REQUEUED: "held after its requeue",
    Held.QUARANTINED: "held because decisions about it failed",
}


def sentence(event: Event) -> str:
    """What happened, in one sentence without the time."""
    return SENTENCES[type(event)](event)


def job_event(seq: int, event: Event) -> JobEvent:
    """The message that tells of an event. JobsEligible tells of all its jobs by first and last."""
    first, last = jobs_of(event)
    return JobEvent(
        seq=seq,
        at_us=event.at,
        kind=type(event).__name__,
        job_id=first,
        last_job_id=last if last != first else 0,
        node=node_of(event),
        text=sentence(event),
        json=msgspec.json.encode(_fields(event)).decode(),
    )


def _fields(event: Event) -> dict[str, Any]:
    """By name, without lists too long to be sent to everybody who watches; `n_…` says how long they are."""
    return dict([_field(name, getattr(event, name)) for name in event.__struct_fields__])


def _field(name: str, value: Any) -> tuple[str, Any]:
    is_list = isinstance(value, tuple | list) and not hasattr(value, "_asdict")
    if is_list and len(value) > LONGEST_LIST:
        return f"n_{name}", len(value)
    return name, named(value)


def named(value: Any) -> Any:
    """The event with its fields by name: stored events are arrays, which nobody can read."""
    if isinstance(value, msgspec.Struct):
        return {name: named(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: named(item) for name, item in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [named(item) for item in value]
    return value


def _by(uid: int) -> str:
    return f" by {user_name(uid)}" if uid >= 0 else ""


def _clock(at: Instant) -> str:
    import time  # only when somebody reads the story

    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at // US))


def _exit(code: int, signal: int) -> str:
    if signal == OOM_SIGNAL:
        return "killed for memory"
    return f"ended by signal {signal_name(signal)}" if signal else f"exit code {code}"


def _submitted(event: ev.JobsSubmitted) -> str:
    n = len(event.items)
    spec = event.specs[event.items[0].spec]
    name = event.items[0].name or spec.name
    if n == 1:
        return f'submitted by {event.owner.user} as "{name}" to partition {spec.partition}'
    last = event.first_id + n - 1
    return f"submitted by {event.owner.user}: {n} jobs at once, {event.first_id} to {last}"


def _array(event: ev.ArraySubmitted) -> str:
    text = indices.text(event.array.ranges, event.array.limit)
    return (
        f'submitted by {event.owner.user} as "{event.spec.name}" to partition {event.spec.partition}: '
        f"array {text}, {indices.size(event.array.ranges)} tasks"
    )


def _granted(event: ev.JobGranted) -> str:
    amounts = placed(event.placements)
    nodes = compress_sorted([placement.node for placement in event.placements])
    devices = granted_text(event.placements)
    memory = f"{format_mem_mib(amounts.mem_mib)} memory" if amounts.mem_mib else "memory without limit"
    return (
        f"granted {amounts.cpus} CPU{'s' * (amounts.cpus != 1)}, {memory}"
        f"{f', {devices}' if devices else ''} on {nodes} (attempt {event.attempt.number})"
    )


def _gave_up(event: ev.ArrayRemainderCancelled) -> str:
    """With the reason, if it was not somebody's wish."""
    how = "cancelled" if event.end is JobState.CANCELLED else f"given up ({event.end.value})"
    return f"{how}{_by(event.by)}{f': {event.detail}' if event.detail else ''}"


def _ended(event: ev.JobEnded) -> str:
    text = f"{event.state.value}"
    if event.started_at:
        text += f": {_exit(event.exit_code, event.exit_signal)}"
    else:
        text += " without having run"
    text += _by(event.cancelled_by) if event.cancelled_by >= 0 else ""
    if event.reason != "None":
        text += f" ({event.reason})"
    return f"{text}: {event.detail}" if event.detail else text


def _requeued(event: ev.JobRequeued) -> str:
    what = "tried again" if event.retried else "requeued"
    text = f"{what}{_by(event.by)}: {CAUSES[event.cause]}"
    if event.started_at:
        text += f", {_exit(event.exit_code, event.exit_signal)}"
    if event.held is not Held.NO:
        text += f"; {HOLDS[event.held]}"
    elif event.begin_at:
        text += f"; not before {_clock(event.begin_at)}"
    if event.avoid:
        text += f"; not on {event.avoid} again"
    return f"{text}: {event.detail}" if event.detail else text


def _updated(event: ev.JobUpdated) -> str:
    spec = event.spec
    limit = format_time_limit(spec.time_limit_s)
    text = f"changed{_by(event.by)}: time limit {limit}, partition {spec.partition}"
    return text if event.array_limit is None else f"{text}, {event.array_limit or 'all'} tasks at once"


def _registered(event: ev.NodeRegistered) -> str:
    spec = event.spec
    declared = " (declared)" if spec.declared else ""
    return (
        f"node {spec.name} registered: {spec.cpu_milli / 1000:g} CPUs, {format_mem_mib(spec.mem_mib)} "
        f"memory, {len(spec.devices)} devices{declared}"
    )


def _offered(event: ev.NodeOffered) -> str:
    offer = event.offer
    if not offer.accepting:
        return f"node {event.node} takes no new work: {offer.reason or 'its agent says so'}"
    amounts = f"{offer.cpu_milli / 1000:g} CPUs, {format_mem_mib(offer.mem_mib)} memory"
    dead = f", without {'; '.join(dead_texts(offer))}" if offer.dead_devices else ""
    warned = f"; warnings: {'; '.join(offer.warnings)}" if offer.warnings else ""
    return f"node {event.node} offers {amounts}{dead}{warned}"


def _ending(event: ev.JobEnding) -> str:
    text = f"told to stop{_by(event.by)}: {event.why or CAUSES[event.cause]}"
    if event.for_job and not event.why:
        text += f" (job {event.for_job})"
    return f"{text}; its processes are told at {_clock(event.terminate_at)}" if event.terminate_at else text


def _answered(event: ev.CallAnswered) -> str:
    match event.reply:
        case Submitted(first_id=first, count=count):
            what = f"job {first}" if count == 1 else f"{count} jobs from {first}"
        case Refused(message=message):
            what = f"refused: {message}"
        case _:
            what = "done"
    return f"call {event.key} of {user_name(event.uid)} answered: {what}"


def _loans_changed(event: ev.LoansChanged) -> str:
    parts = [f"{_LOAN_ENDS[e.end]} {e.loan.mem_mib} MiB of job {e.loan.lender}" for e in event.ended]
    lent = sum(loan.mem_mib for loan in event.loans)
    return f"lent memory: {', '.join(parts)}; {lent} MiB of its memory are lent now"


_LOAN_ENDS = {
    LoanEnd.REPAID: "paid back",
    LoanEnd.MOVED: "another job lends",
    LoanEnd.RETURNED: "gave back",
    LoanEnd.TAKEN_BACK: "lost",
}


def _estimated(event: ev.MemoryEstimated) -> str:
    each = ", ".join(f"job {id}: {mib} MiB" for id, mib in event.jobs)
    return f"memory that is expected to be used on node {event.node}: {each}"


def _switched(event: ev.ReclaimSwitched) -> str:
    if not event.off:
        return f"lending of unused memory switched on everywhere{_by(event.by)}"
    parts = [f"{s.kind} {s.name}" if s.kind else "everybody" for s in event.off]
    return f"lending of unused memory is off{_by(event.by)} for {', '.join(parts)}"


def _configured(event: ev.Configured) -> str:
    """With every key that is different, where an administrator had it read again."""
    what = f"configuration of cluster {event.config.name} took effect{_by(event.by)}"
    return f"{what}: {'; '.join(event.changed)}" if event.changed else what


def _accounts_changed(event: ev.AccountsChanged) -> str:
    delta = event.delta
    parts = [f"account {a.name} set" for a in delta.accounts]
    parts += [f"user {u.name} set" for u in delta.users]
    parts += [f"association {_association(a.key)} set" for a in delta.associations]
    parts += [f"QOS {q.name} set" for q in delta.qos]
    parts += [f"account {name} removed" for name in delta.gone_accounts]
    parts += [f"user {name} removed" for name in delta.gone_users]
    parts += [f"association {_association(key)} removed" for key in delta.gone_associations]
    parts += [f"QOS {name} removed" for name in delta.gone_qos]
    parts += [f"use of {_association(key)} counts from zero" for key in delta.reset_usage]
    shown = parts[:_MOST_CHANGES]
    more = f" and {len(parts) - len(shown)} more" if len(parts) > len(shown) else ""
    return f"{', '.join(shown)}{more}{_by(event.by)}"


_MOST_CHANGES = 5


def _association(key: AssociationKey) -> str:
    return ":".join(part for part in key if part)


def _reservation_set(event: ev.ReservationSet) -> str:
    r = event.reservation
    until = _clock(r.end_at)
    return f"reservation {r.name}: {len(r.nodes)} nodes from {_clock(r.start_at)} to {until}{_by(event.by)}"


def _crontab_set(event: ev.CrontabSet) -> str:
    crontab = event.crontab
    n = len(crontab.entries)
    whose = f"crontab of {crontab.owner.user}"
    return (
        f"{whose}: {n} job{'s' * (n != 1)}{_by(event.by)}"
        if crontab.text
        else f"{whose} removed{_by(event.by)}"
    )


def _step_created(event: ev.StepCreated) -> str:
    n_tasks = sum(len(part.ranks) for part in event.parts)
    nodes = compress_sorted([part.node for part in event.parts])
    cpu_milli = sum(part.cpu_milli for part in event.parts)
    text = (
        f'step {event.key.step} "{event.spec.name}" created: {n_tasks} task{"s" * (n_tasks != 1)} on {nodes}'
    )
    return f"{text}, {cpu_milli / 1000:g} CPU{'s' * (cpu_milli != 1000)}"


def _part_ended(event: ev.StepPartEnded) -> str:
    if event.started_at:
        text = f"step {event.key.step} ended on {event.node}: {_exit(event.exit_code, event.exit_signal)}"
    else:
        text = f"step {event.key.step} did not run on {event.node}"
    return f"{text}: {event.detail}" if event.detail else text


def _batch_ended(event: ev.BatchEnded) -> str:
    how = _exit(event.end.exit_code, event.end.exit_signal)
    return f"its script, or the command that held it, ended ({how}) while steps run: they are told to end"


SENTENCES: dict[type[Any], Callable[[Any], str]] = {
    ev.PolicyTaught: lambda e: f'placement policy "{e.policy}" has learned {len(e.mix)} kinds of asks',
    ev.SchedulerStarted: lambda e: f"scheduler started, epoch {e.epoch}",
    ev.Configured: _configured,
    ev.JobsSubmitted: _submitted,
    ev.ArraySubmitted: _array,
    ev.ArrayTaskSplit: lambda e: f"task {e.array}_{e.index} of array {e.array} got job id {e.job}",
    ev.ArrayRemainderCancelled: lambda e: (
        f"waiting tasks {indices.text(e.ranges)} of array {e.array} {_gave_up(e)}"
    ),
    ev.JobsEligible: lambda e: (
        "nothing but resources and order is in its way any more"
        if len(e.jobs) == 1
        else f"nothing but resources and order is in the way of {len(e.jobs)} jobs any more"
    ),
    ev.JobGranted: _granted,
    ev.AttemptStarted: lambda e: "running" + (f", until {_clock(e.end_by)} at most" if e.end_by else ""),
    ev.JobWarned: lambda e: "signalled ahead of its time limit",
    ev.JobsRanked: lambda e: "has run for so long that it stands elsewhere in the order now",
    ev.JobGpusIdle: lambda e: f"warned: its GPUs have been idle since {_clock(e.since)}",
    ev.JobGpusBusy: lambda e: "its GPUs are busy again, or not measured any more: the warning is void",
    ev.JobEnding: _ending,
    ev.JobTerminating: lambda e: "its processes were told to stop",
    ev.JobEnded: _ended,
    ev.JobRequeued: _requeued,
    ev.JobReopened: lambda e: (
        f"requeued{_by(e.by)} after its end"
        + (f"; {HOLDS[e.held]}" if e.held else f"; not before {_clock(e.begin_at)}" if e.begin_at else "")
    ),
    ev.JobHeld: lambda e: f"{HOLDS[e.held]}{f' ({user_name(e.by)})' if e.by >= 0 else ''}",
    ev.JobReleased: lambda e: f"released{_by(e.by)}",
    ev.JobUpdated: _updated,
    ev.NodeRegistered: _registered,
    ev.NodeOffered: _offered,
    ev.NodeSilenced: lambda e: f"node {e.node} fell silent: the stream of its agent broke",
    ev.NodeDrained: lambda e: f"node {e.node} drained{_by(e.by)}: {e.reason}",
    ev.NodeDowned: lambda e: f"node {e.node} taken down{_by(e.by)}: {e.reason}",
    ev.NodeResumed: lambda e: f"node {e.node} resumed{_by(e.by)}",
    ev.JobsForgotten: lambda e: f"{len(e.jobs)} ended jobs left memory; accounting keeps them",
    ev.CallAnswered: _answered,
    ev.MemoryEstimated: _estimated,
    ev.LoansChanged: _loans_changed,
    ev.ReclaimSwitched: _switched,
    ev.AccountsChanged: _accounts_changed,
    ev.ReservationSet: _reservation_set,
    ev.ReservationDeleted: lambda e: (
        f"reservation {e.name} is over" if e.by < 0 else (f"reservation {e.name} deleted{_by(e.by)}")
    ),
    ev.PartitionSwitched: lambda e: f"partition {e.name} is {e.state}{_by(e.by)}",
    ev.TriggerSet: lambda e: (
        f"trigger {e.trigger.id} waits ({e.trigger.kind.value}){_by(e.trigger.owner.uid)}"
    ),
    ev.TriggersCleared: lambda e: f"triggers {', '.join(map(str, e.ids))} cleared{_by(e.by)}",
    ev.TriggersFired: lambda e: "; ".join(f"trigger {f.id} fired: {f.program} {f.argument}" for f in e.fired),
    ev.CrontabSet: _crontab_set,
    ev.JobSuspended: lambda e: f"suspended{_by(e.by)}" + (f" for job {e.for_job}" if e.for_job else ""),
    ev.JobResumed: lambda e: (
        f"resumed{_by(e.by)}" + (f", until {_clock(e.end_by)} at most" if e.end_by else "")
    ),
    ev.JobQuarantined: lambda e: f"held, because decisions about it failed: {e.error}",
    ev.StartsEstimated: lambda e: f"starts of {len(e.estimates)} waiting jobs estimated",
    ev.StepCreated: _step_created,
    ev.StepStarted: lambda e: f"step {e.key.step} runs on {e.node}",
    ev.StepEnding: lambda e: (
        f"step {e.key.step} told to end{_by(e.by)}: {STEP_CAUSES.get(e.cause) or CAUSES[e.cause]}"
    ),
    ev.StepPartEnded: _part_ended,
    ev.BatchEnded: _batch_ended,
    ev.UsageLearned: lambda event: f"what the estimator {event.estimator} has learned was written down",
}
"""Every kind of event; a test compares with the union."""

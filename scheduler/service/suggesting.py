"""What a job should ask for: past runs from the store, advice from the core, words for people."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from packhorse.scheduler.core.accounting import command_of, plain_command
from packhorse.scheduler.core.right_size import (
    NOT_WORTH_MILLI,
    present_of,
    present_of_row,
    right_sized,
    rough_mem,
    unsure,
)
from packhorse.scheduler.core.suggest import (
    LAST,
    STATES,
    SURE_MILLI,
    Advice,
    PastRun,
    Present,
    Suggestion,
    past_run,
    suggest,
)
from packhorse.scheduler.core.targets import resolve
from packhorse.scheduler.model.accounting import AttemptRow
from packhorse.scheduler.model.ids import Instant
from packhorse.scheduler.model.input import Submit, SubmitArray
from packhorse.scheduler.model.job import JobSpec
from packhorse.scheduler.model.resources import WHOLE
from packhorse.scheduler.model.units import format_mem_mib, format_time_limit
from packhorse.scheduler.service import convert, messages
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.store.protocol import DAY_US, AttemptQuery, Attempts, Store

HISTORY_US = 90 * DAY_US
"""Older runs say little about the next one."""

SCRIPT_RUNS = 1_000
"""Newest runs of a name among which those of the same script are looked for."""

ENOUGH = -(-SURE_MILLI // (WHOLE - SURE_MILLI))
"""Runs that may be enough for a sure suggestion."""


class Subject(NamedTuple):
    """Whose past is asked about, and what is asked for now. n_tasks 0: not known."""

    name: str
    user: str
    command: str
    present: Present | None = None
    n_tasks: int = 0


class History(NamedTuple):
    """Past runs, oldest job first. any_arguments: of the script, whatever its arguments were."""

    runs: list[PastRun]
    newest: AttemptRow | None
    any_arguments: bool = False


async def suggest_ask(
    engine: Engine, principal: Principal, request: messages.SuggestAskRequest
) -> messages.SuggestAskResponse:
    """The answer to a SuggestAskRequest."""
    now = engine.clock.now()
    subject = _of_state(engine, request) if request.job is not None else _of_name(principal, request)
    await engine.barrier()
    return await engine.ask(lambda store: _answer(store, request, subject, now))


async def right_size(
    engine: Engine, call: Submit | SubmitArray, *, cpus: bool
) -> tuple[Submit | SubmitArray, tuple[str, ...]]:
    """The submission with the ask that past runs suggest, and what was changed or left."""
    spec = call.spec if isinstance(call, SubmitArray) else call.specs[0]
    now, user = engine.clock.now(), call.caller.owner.user
    past = await engine.ask(lambda store: history(store, Subject(spec.name, user, command_of(spec)), now))
    new, notes = right_sized(engine.state, call.caller, spec, past.runs, now, cpus=cpus)
    if isinstance(call, SubmitArray):
        return replace(call, spec=new), notes
    return replace(call, specs=(new, *call.specs[1:])), notes


def history(store: Store, subject: Subject, now: Instant) -> History:
    """The runs of this name, command and user; with another command line where there are too few."""
    query = AttemptQuery(
        users=() if subject.user.isdecimal() else (subject.user,),
        uids=(int(subject.user),) if subject.user.isdecimal() else (),
        names=(subject.name,),
        commands=(subject.command,) if subject.command else (),
        states=tuple([state.value for state in STATES]),
        since=Instant(max(0, now - HISTORY_US)),
        attempts=Attempts.ALL,
        limit=LAST,
    )
    rows = store.attempts(query)
    any_arguments = False
    if subject.command and len(rows) < ENOUGH:
        wider = store.attempts(replace(query, commands=(), limit=SCRIPT_RUNS))
        program = subject.command.partition(" ")[0]
        same = [row for row in wider if row.command.partition(" ")[0] == program]
        if len(same) > len(rows):
            same.sort(key=lambda row: (row.ended_at, row.job, row.attempt))
            rows, any_arguments = same[-LAST:], True
            rows.sort(key=lambda row: (row.job, row.attempt))
    newest = max(rows, key=lambda row: (row.ended_at, row.job, row.attempt), default=None)
    return History([past_run(row) for row in rows], newest, any_arguments)


def advice_texts(found: Suggestion) -> dict[str, str]:
    """A sentence for each resource of which something is known."""
    texts = {}
    for name, advice in _each(found):
        show = SHOWN[name]
        if not advice.sure:
            texts[name] = f"not sure enough to go by: {unsure(advice)}"
            continue
        if name == "gpus" and not advice.suggested:
            texts[name] = f"nothing ran on its GPUs in {advice.n_runs} past runs"
            continue
        used = f"used {show(advice.median)} as a rule and at most {show(advice.most)}"
        texts[name] = f"fits {advice.n_fit} of {advice.n_runs} past runs, which {used}"
    return texts


def options_of(found: Suggestion, n_tasks: int) -> str:
    """What to give sbatch, of what is sure and different; GPUs are for people to decide."""
    options = []
    if found.mem is not None and _differs(found.mem):
        options += [f"--mem={format_mem_mib(found.mem.suggested)}", "--oom-retry=2x"]
    if found.time is not None and _differs(found.time):
        options.append(f"--time={format_time_limit(found.time.suggested)}")
    cpus = found.cpus
    if cpus is not None and cpus.sure and cpus.suggested < cpus.present and n_tasks == 1:
        options.append(f"--cpus-per-task={cpus.suggested}")
    return " ".join(options)


def _of_state(engine: Engine, request: messages.SuggestAskRequest) -> Subject | None:
    """The job as it is in memory, None where it is not."""
    ref = request.job
    if ref is None or not ref.job_id:
        raise CallFailed(Code.INVALID_ARGUMENT, "job: missing; it says which job")
    aim = resolve(engine.state, convert.target(ref))
    waiter = None if aim is None else aim.jobs[0] if aim.jobs else aim.array
    if waiter is None:
        return None
    spec: JobSpec = waiter.spec
    return Subject(spec.name, waiter.owner.user, command_of(spec), present_of(spec), spec.ask.n_tasks)


def _of_name(principal: Principal, request: messages.SuggestAskRequest) -> Subject:
    if not request.name:
        raise CallFailed(Code.INVALID_ARGUMENT, "a job or a name: missing; it says whose past")
    return Subject(request.name, request.user or principal.owner.user, plain_command(request.command))


def _answer(
    store: Store, request: messages.SuggestAskRequest, subject: Subject | None, now: Instant
) -> messages.SuggestAskResponse:
    if subject is None:
        subject = _of_accounting(store, request.job or messages.JobRef())
    past = history(store, subject, now)
    present, n_tasks = subject.present, subject.n_tasks
    if present is None and past.newest is not None:
        present, n_tasks = present_of_row(past.newest), past.newest.n_tasks
    found = suggest(past.runs, present or Present())
    texts = advice_texts(found)
    return messages.SuggestAskResponse(
        name=subject.name,
        user=subject.user,
        command=subject.command,
        any_arguments=past.any_arguments,
        n_runs=found.n_runs,
        advice=[_message(name, advice, texts[name]) for name, advice in _each(found)],
        options=options_of(found, n_tasks),
        note="" if texts else _nothing(subject, found),
    )


def _of_accounting(store: Store, ref: messages.JobRef) -> Subject:
    """The job as it last was. Raises CallFailed where nobody knows it."""
    rows = store.attempts(AttemptQuery(jobs=(ref.job_id,), limit=1))
    if not rows:
        raise CallFailed(
            Code.NOT_FOUND,
            f"job {ref.text or ref.job_id} is not known: never submitted, or older than the accounting",
            slurm="Invalid job id specified",
            refusal="not_found",
        )
    row = rows[0]
    return Subject(row.name, row.user, row.command, present_of_row(row), row.n_tasks)


def _nothing(subject: Subject, found: Suggestion) -> str:
    if found.n_runs:
        return f"{found.n_runs} past runs are known, and nobody measured what they used"
    return (
        f'no run of "{subject.name}" by {subject.user} ended well, out of memory or out of time in the last '
        f"{HISTORY_US // DAY_US} days"
    )


def _each(found: Suggestion) -> list[tuple[str, Advice]]:
    named = (("mem", found.mem), ("time", found.time), ("cpus", found.cpus), ("gpus", found.gpus))
    return [(name, advice) for name, advice in named if advice is not None]


def _message(name: str, advice: Advice, text: str) -> messages.Advice:
    return messages.Advice(resource=name, text=text, sure=advice.sure, **advice._asdict())


def _differs(advice: Advice) -> bool:
    """Sure, and worth a change."""
    less = advice.present - advice.suggested
    return advice.sure and (less < 0 or less * WHOLE > advice.present * NOT_WORTH_MILLI)


def _count(milli: int) -> str:
    return f"{milli / WHOLE:.1f}"


SHOWN = {"mem": rough_mem, "time": format_time_limit, "cpus": _count, "gpus": _count}
"""How amounts that were used are written."""

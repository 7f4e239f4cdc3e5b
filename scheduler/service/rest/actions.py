"""The routes below /slurm that change something: submit, alter and cancel jobs, drain and resume nodes."""

from __future__ import annotations

from typing import Any

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.reply import RefusalCode
from packhorse.scheduler.model.shapes.shape import Shape, always, inner, no_text, number, text, whole
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.auth import Principal
from packhorse.scheduler.service.failures import REFUSALS, CallFailed, Code
from packhorse.scheduler.service.rest import fields
from packhorse.scheduler.service.rest.errors import slurm_error
from packhorse.scheduler.service.rest.fields import Reader
from packhorse.scheduler.service.rest.job_changes import UPDATE, job_change
from packhorse.scheduler.service.rest.job_description import (
    ALLOCATE_BODY,
    SUBMIT_BODY,
    Description,
    allocation,
    host_names,
    signal,
    submission,
)
from packhorse.scheduler.service.rest.job_refs import job_ref
from packhorse.scheduler.service.rest.routes import SLURM, Answer, Call, Calls, Parameter, Route

_RESULT = Shape(
    "job_submit_response_msg",
    {
        "job_id": whole("job_id"),
        "step_id": always("text", "batch"),
        "error_code": always("int", 0),
        "error": no_text(),
        "job_submit_user_msg": text("notes"),
    },
)
_UPDATED = Shape(
    "job_array_response",
    {
        "job_id": whole("job_id"),
        "step_id": text("ref"),
        "error": text("error"),
        "error_code": whole("error_code"),
        "why": text("why"),
    },
)
_KILL_ERROR = Shape(
    "kill_jobs_resp_error",
    {"string": text("error"), "code": whole("error_code"), "message": text("why")},
)
_FEDERATION = Shape("kill_jobs_resp_federation", {"sibling": no_text()})
_KILLED = Shape(
    "kill_jobs_resp_job",
    {
        "error": inner(_KILL_ERROR),
        "step_id": text("ref"),
        "job_id": ("number", lambda row: number(row["job_id"])),
        "federation": inner(_FEDERATION),
    },
)

_SIGNAL = Parameter("signal", "a name or number; without one the job is cancelled")
_KILL_FLAGS = Parameter("flags", "BATCH_JOB: the batch script alone; FULL_JOB: everything")

_KILL_FIELDS = ("account", "job_name", "partition", "qos", "reservation", "user_name", "nodes")


class _Kill:
    """What DELETE /jobs is to end."""

    def __init__(self) -> None:
        self.refs: list[m.JobRef] = []
        self.filter = m.JobFilter()
        self.filtered = False
        self.signal = 0
        self.flags: list[str] = []


def _jobs(kill: _Kill, name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise BadValue(f"{name}: not a list of jobs")
    kill.refs = [job_ref(str(item)) for item in value]


def _kill_signal(kill: _Kill, name: str, value: Any) -> None:
    kill.signal = signal(name, value) if value else 0


def _kill_flags(kill: _Kill, name: str, value: Any) -> None:
    kill.flags = fields.texts(name, value)


def _narrow(field: str) -> Any:
    def take(kill: _Kill, name: str, value: Any) -> None:
        found = fields.texts(name, value)
        if found:
            setattr(kill.filter, field, found)
            kill.filtered = True

    return take


KILL: Reader[_Kill] = Reader(
    "kill_jobs_msg",
    {
        "account": ("text", _narrow("accounts")),
        "flags": ("texts", _kill_flags),
        "job_name": ("text", _narrow("names")),
        "jobs": ("texts", _jobs),
        "partition": ("text", _narrow("partitions")),
        "qos": ("text", _narrow("qos")),
        "reservation": ("text", _narrow("reservations")),
        "signal": ("text", _kill_signal),
        "job_state": ("texts", _narrow("states")),
        "user_name": ("text", _narrow("users")),
        "nodes": ("texts", _narrow("nodes")),
    },
    {"wckey": "", "user_id": "say user_name"},
)


class Actions:
    """Submissions and changes, as the caller."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[Route]:
        """All of them."""
        submitted = {
            "result": _RESULT,
            "job_id": "int",
            "step_id": "text",
            "job_submit_user_msg": "text",
        }
        allocated = {"job_id": "int", "job_submit_user_msg": "text"}
        updated = {"results": ("list", _UPDATED)}
        killed = {"status": ("list", _KILLED)}
        return [
            Route(
                *("POST", f"{SLURM}/job/submit", "submit a batch job or an array", submitted, self.submit),
                body=SUBMIT_BODY,
            ),
            Route(
                *("POST", f"{SLURM}/job/allocate", "nodes without a batch script", allocated, self.allocate),
                body=ALLOCATE_BODY,
            ),
            Route(
                *("POST", f"{SLURM}/job/{{job_id}}", "change a job", updated, self.update),
                body=UPDATE.body,
            ),
            Route(
                *("DELETE", f"{SLURM}/job/{{job_id}}", "cancel a job, or signal it", killed, self.cancel),
                (_SIGNAL, _KILL_FLAGS),
            ),
            Route(
                *("DELETE", f"{SLURM}/jobs", "cancel jobs, or signal them", killed, self.kill),
                body=KILL.body,
            ),
            Route(
                *("POST", f"{SLURM}/node/{{node_name}}", "drain, resume or take down a node", {}, self.node),
                body=NODE.body,
            ),
            Route(
                *("POST", f"{SLURM}/nodes", "the same of several: `name` says which", {}, self.nodes),
                body=NODES.body,
            ),
            Route(
                "DELETE",
                f"{SLURM}/reservation/{{reservation_name}}",
                "end a reservation",
                {},
                self.delete_reservation,
            ),
        ]

    # -- jobs

    async def submit(self, call: Call) -> Answer:
        job = submission(call.body)
        _check_caller(job, call.principal, self._calls.engine.config.name)
        job.spec.submit_host = self._calls.about.host
        request = m.SubmitJobRequest(spec=job.spec, array=job.array)
        answer = await self._calls.ask("SubmitJob", call.principal, request)
        result = _RESULT.of({"job_id": answer.job_id, "notes": "\n".join(answer.notes)})
        content = {
            "result": result,
            "job_id": answer.job_id,
            "step_id": result["step_id"],
            "job_submit_user_msg": result["job_submit_user_msg"],
        }
        return Answer(content, warnings=answer.warnings)

    async def allocate(self, call: Call) -> Answer:
        """As salloc --no-shell: `srun --jobid` starts steps in it, and it ends when it is cancelled or its
        time is up."""
        job = allocation(call.body)
        _check_caller(job, call.principal, self._calls.engine.config.name)
        job.spec.submit_host = self._calls.about.host
        request = m.SubmitJobRequest(spec=job.spec)
        answer = await self._calls.ask("SubmitJob", call.principal, request)
        content = {"job_id": answer.job_id, "job_submit_user_msg": "\n".join(answer.notes)}
        return Answer(content, warnings=answer.warnings)

    async def update(self, call: Call) -> Answer:
        ref = job_ref(call.path["job_id"])
        change = job_change(call.body)
        outcomes: list[m.Outcome] = []
        if change.any:
            request = m.UpdateJobsRequest(jobs=[ref], changes=change.changes)
            outcomes += (await self._calls.ask("UpdateJobs", call.principal, request)).outcomes
            _done(outcomes)
        if change.hold:
            held = m.HoldJobsRequest(jobs=[ref])
            outcomes += (await self._calls.ask("HoldJobs", call.principal, held)).outcomes
        elif change.hold is False:
            let_go = m.ReleaseJobsRequest(jobs=[ref])
            outcomes += (await self._calls.ask("ReleaseJobs", call.principal, let_go)).outcomes
        _done(outcomes)
        return Answer({"results": [_UPDATED.of(_outcome_row(item)) for item in outcomes]})

    async def cancel(self, call: Call) -> Answer:
        ref = job_ref(call.path["job_id"])
        asked = call.query.get("signal", "")
        flags = call.names("flags")
        number = signal("signal", asked) if asked else 0
        request = m.CancelJobsRequest(jobs=[ref], signal=number, scope=_scope(flags, number))
        outcomes = (await self._calls.ask("CancelJobs", call.principal, request)).outcomes
        _done(outcomes)
        return Answer({"status": [_KILLED.of(_outcome_row(item)) for item in outcomes]})

    async def kill(self, call: Call) -> Answer:
        kill = KILL.read("the body", call.body, _Kill())
        if not kill.refs and not kill.filtered:
            raise BadValue(f"no job is meant; say jobs or one of {', '.join(_KILL_FIELDS)}")
        request = m.CancelJobsRequest(
            jobs=kill.refs,
            filter=kill.filter if kill.filtered else None,
            signal=kill.signal,
            scope=_scope(kill.flags, kill.signal),
        )
        answer = await self._calls.ask("CancelJobs", call.principal, request)
        errors = [
            slurm_error(_failure(item), "slurm_v0042_delete_jobs") for item in answer.outcomes if item.code
        ]
        return Answer({"status": [_KILLED.of(_outcome_row(item)) for item in answer.outcomes]}, errors=errors)

    # -- nodes

    async def node(self, call: Call) -> Answer:
        change = NODE.read("the body", call.body, _NodeChange())
        return await self._change_nodes(call, [call.path["node_name"]], change)

    async def nodes(self, call: Call) -> Answer:
        change = NODES.read("the body", call.body, _NodeChange())
        if not change.names:
            raise BadValue("name: missing; it says which nodes")
        return await self._change_nodes(call, change.names, change)

    async def _change_nodes(self, call: Call, names: list[str], change: _NodeChange) -> Answer:
        if change.action is m.NodeAction.UNSPECIFIED:
            raise BadValue("state: missing; say DRAIN, RESUME or DOWN")
        if change.action is not m.NodeAction.RESUME and not change.reason:
            raise BadValue("reason: missing; say why the node shall take no work")
        request = m.UpdateNodesRequest(nodes=names, action=change.action, reason=change.reason)
        _done((await self._calls.ask("UpdateNodes", call.principal, request)).outcomes)
        return Answer({})

    async def delete_reservation(self, call: Call) -> Answer:
        request = m.DeleteReservationRequest(name=call.path["reservation_name"])
        _done((await self._calls.ask("DeleteReservation", call.principal, request)).outcomes)
        return Answer({})


class _NodeChange:
    """What shall become of a node."""

    def __init__(self) -> None:
        self.action = m.NodeAction.UNSPECIFIED
        self.reason = ""
        self.names: list[str] = []


_ACTIONS = {
    "DRAIN": m.NodeAction.DRAIN,
    "RESUME": m.NodeAction.RESUME,
    "UNDRAIN": m.NodeAction.RESUME,
    "IDLE": m.NodeAction.RESUME,
    "DOWN": m.NodeAction.DOWN,
}


def _state(change: _NodeChange, name: str, value: Any) -> None:
    words = fields.texts(name, value)
    if not words:
        return
    if len(words) > 1 or words[0].upper() not in _ACTIONS:
        raise BadValue(f'{name}: "{",".join(words)[:80]}" is none of {", ".join(_ACTIONS)}')
    change.action = _ACTIONS[words[0].upper()]


def _reason(change: _NodeChange, name: str, value: Any) -> None:
    change.reason = fields.text(name, value)


def _node_names(change: _NodeChange, name: str, value: Any) -> None:
    change.names = host_names(name, value)


_NODE_FIELDS: dict[str, tuple[Any, Any]] = {"state": ("texts", _state), "reason": ("text", _reason)}
_NODE_REFUSED = {
    "address": "agents say where they are",
    "comment": "",
    "cpu_bind": "",
    "extra": "",
    "features": "the node's agent is told its features",
    "features_act": "the node's agent is told its features",
    "gres": "the node's agent finds its devices",
    "hostname": "agents say where they are",
    "reason_uid": "it is the caller's",
    "resume_after": "",
    "weight": "the node's agent is told its weight",
}
NODE: Reader[_NodeChange] = Reader(
    "update_node_msg", _NODE_FIELDS, _NODE_REFUSED | {"name": "it is in the path"}
)
NODES: Reader[_NodeChange] = Reader(
    "update_nodes_msg", _NODE_FIELDS | {"name": ("texts", _node_names)}, _NODE_REFUSED
)


def _check_caller(job: Description, principal: Principal, cluster: str) -> None:
    """Raises where the job names another user, group or cluster."""
    owner = principal.owner
    if job.user and job.user not in (owner.user, str(owner.uid)):
        raise CallFailed(
            Code.PERMISSION_DENIED,
            f'user_id "{job.user[:100]}": jobs are their caller\'s, who is {owner.user} ({owner.uid})',
            slurm="Access/permission denied",
        )
    if job.group and job.group not in (owner.group, str(owner.gid)):
        raise CallFailed(
            Code.PERMISSION_DENIED,
            f'group_id "{job.group[:100]}": jobs have their caller\'s group, {owner.group} ({owner.gid})',
            slurm="Access/permission denied",
        )
    if job.clusters and job.clusters not in (cluster, "all"):
        raise BadValue(f'clusters: "{job.clusters[:100]}", but this is the cluster "{cluster}"')


def _scope(flags: list[str], number: int) -> m.SignalScope:
    """Who gets a signal: the steps, as for scancel, unless a flag says otherwise."""
    words = {flag.upper() for flag in flags}
    unknown = words - {"BATCH_JOB", "FULL_JOB", "FULL_STEPS_ONLY"}
    if unknown:
        raise BadValue(f'flags: "{min(unknown)[:80]}" is none of BATCH_JOB, FULL_JOB, FULL_STEPS_ONLY')
    if "BATCH_JOB" in words:
        return m.SignalScope.BATCH
    return m.SignalScope.ALL if "FULL_JOB" in words else m.SignalScope.STEPS


def _failure(outcome: m.Outcome) -> CallFailed:
    return CallFailed(
        REFUSALS[RefusalCode(outcome.code)], outcome.message, slurm=outcome.slurm, refusal=outcome.code
    )


def _done(outcomes: list[m.Outcome]) -> None:
    """Raises the first failure."""
    for outcome in outcomes:
        if outcome.code:
            raise _failure(outcome)


def _outcome_row(outcome: m.Outcome) -> dict[str, Any]:
    digits = outcome.ref.partition("_")[0].partition(".")[0]
    error = slurm_error(_failure(outcome), "") if outcome.code else None
    return {
        "ref": outcome.ref,
        "job_id": int(digits) if digits.isdecimal() else 0,
        "error": error["error"] if error else "No error",
        "error_code": error["error_number"] if error else 0,
        "why": outcome.message,
    }

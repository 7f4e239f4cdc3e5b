"""The RPC Relay: an agent passes calls on for users of its host, who are nobody's administrators there."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from packhorse.scheduler.model.errors import BadValue
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.auth import ALLOWED, RELAYED, Principal, Relation, Role, allowed
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.rpc import Streaming
from packhorse.v1 import scheduler_pb2 as pb
from packhorse.v1.scheduler_pb2_grpc import SchedulerStub
from tests.service.doors.running import SCRIPT, SETTINGS, Answer, Running, dumps
from tests.service.doors.test_auth import CONNECTIONS

AGENT = Principal(Owner(0, 0, "root", "root"), Role.AGENT, "n1")
NEVER = {
    *("ChangeAccounts", "CreateReservation", "UpdateReservation", "DeleteReservation"),
    *("SetTrigger", "Relay", "AdmitNode", "IssueToken", "WatchEvents"),
    *CONNECTIONS,
}
CALLERS = [(0, "root"), (os.geteuid(), "owner"), (1001, "ann"), (1002, "bob"), (1003, "eve")]
"""Root, whoever runs the scheduler, two administrators that the configuration names, and anybody."""


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, f'[cluster]\nadmins = ["ann", "1002"]\n{SETTINGS}') as running:
        yield running


async def relay(
    scheduler: Running, method: str, body: dict[str, Any] | bytes, uid: int = 1003, user: str = "eve"
) -> Answer:
    """What the caller on the agent's host gets."""
    request = m.RelayRequest(
        uid=uid,
        gid=uid,
        user=user,
        group=user,
        method=method,
        body=body if isinstance(body, bytes) else dumps(body),
    )
    answer = await scheduler.methods.table()["Relay"].call(AGENT, request)
    assert isinstance(answer, m.RelayResponse)
    return Answer(answer.http_status, json.loads(answer.body))


def test_what_is_relayed_is_written_out(scheduler: Running) -> None:
    table = scheduler.methods.table()
    assert set(ALLOWED) - RELAYED == NEVER
    assert not any(isinstance(table[method], Streaming) for method in RELAYED)


@pytest.mark.parametrize(("uid", "user"), CALLERS)
async def test_every_method_as_a_user_whoever_it_is(scheduler: Running, uid: int, user: str) -> None:
    """Each method on one's own job and on another's: what the table says for USER, never more."""
    await scheduler.add_node("n1")
    spec = {"script": SCRIPT, "hold": True}
    for method in sorted(set(ALLOWED) - CONNECTIONS):
        own = (await relay(scheduler, "SubmitJob", {"spec": spec}, uid, user))["jobId"]
        other = (await relay(scheduler, "SubmitJob", {"spec": spec}, 4242, "somebody"))["jobId"]
        for relation, job, whose in ((Relation.OWN, own, uid), (Relation.OTHER, other, 4242)):
            asked = body(method, job, whose)
            answer = await relay(scheduler, method, asked, uid, user)
            if method in NEVER:
                assert (answer.status, answer["code"]) == (403, "permission_denied"), method
                assert "not relayed" in answer["message"] and "scheduler's host" in answer["message"]
                continue
            may = allowed(method, Role.USER, relation)
            if method in ("Ping", "SubmitJob", "SubmitJobs", "ClearTriggers", "GetCrontab", "SetCrontab"):
                may = True
            elif not {"jobs", "job", "filter", "jobId"} & asked.keys():
                may = allowed(method, Role.USER, Relation.OTHER)
            denials = [o for o in answer.get("outcomes", []) if o.get("code") == "denied"]
            if answer.get("code") == "permission_denied":
                denials.append(answer)
            assert bool(denials) is not may, (method, relation, answer)
            for text in [denial[key] for denial in denials for key in ("message", "slurm")]:
                assert ("on n1 nobody is an administrator, not even root" in text) is (user != "eve"), text


def body(method: str, job: int, whose: int) -> dict[str, Any]:
    """A request about this job or this user's runs, or about nothing in particular."""
    ref = {"jobId": job}
    jobs: dict[str, Any] = {"jobs": [ref]}
    bodies: dict[str, dict[str, Any]] = {
        "SubmitJob": {"spec": {"script": SCRIPT}},
        "SubmitJobs": {"specs": [{"script": SCRIPT}], "items": [{}]},
        "CancelJobs": jobs,
        "HoldJobs": jobs,
        "ReleaseJobs": jobs,
        "RequeueJobs": jobs,
        "UpdateJobs": jobs | {"changes": {"comment": "x"}},
        "UpdateNodes": {"nodes": ["n1"], "action": "NODE_ACTION_DRAIN", "reason": "test"},
        "SuspendJobs": jobs,
        "ResumeJobs": jobs,
        "SuggestAsk": {"job": ref},
        "ExplainJob": {"job": ref},
        "ListAccounts": {"kind": "users"},
        "ListWaste": {"filter": {"users": [str(whose)]}},
        "ListJobs": jobs,
        "ListAccounting": jobs,
        "GetJobScript": {"job": ref},
        "GetJobUsage": {"job": ref},
        "ListJobEvents": {"job": ref},
        "WaitJobs": jobs | {"timeoutS": 0.001},
        "CreateStep": {"jobId": job, "spec": {"argv": ["true"]}},
        "GetStep": {"jobId": job},
        "ListSteps": jobs,
        "AwaitAllocation": {"jobId": job},
        "EndAllocation": {"jobId": job},
        "AdmitNode": {"node": "n9"},
        "ClearTriggers": {"id": 1},
    }
    return bodies.get(method, {})


async def test_the_job_is_the_callers(scheduler: Running) -> None:
    job = (await relay(scheduler, "SubmitJob", {"spec": {"script": SCRIPT}}))["jobId"]
    [row] = (await scheduler.call("ListJobs", {"fields": ["uid", "gid", "user", "group"]})).rows()
    assert row == {"uid": 1003, "gid": 1003, "user": "eve", "group": "eve"}
    denied = await relay(scheduler, "CancelJobs", {"jobs": [{"jobId": job}]}, 0, "root")
    assert denied["outcomes"][0]["code"] == "denied"
    assert "not even root" in denied["outcomes"][0]["message"]
    done = await relay(scheduler, "CancelJobs", {"jobs": [{"jobId": job}]})
    assert done["outcomes"] == [{"ref": str(job)}]


async def test_what_only_administrators_may_submit_is_refused(scheduler: Running) -> None:
    spec = {"script": SCRIPT, "priority": 1_000_000}
    as_admin = await scheduler.call("SubmitJob", {"spec": spec})
    relayed = await relay(scheduler, "SubmitJob", {"spec": spec}, 0, "root")
    assert as_admin.status == 200
    assert (relayed.status, relayed["code"]) == (403, "permission_denied")
    assert "not even root" in relayed["message"]
    assert relayed["slurm"].startswith("Access/permission denied (")


async def test_jobs_of_root_are_refused_here_as_everywhere(tmp_path: Path) -> None:
    async with Running(tmp_path, "") as scheduler:
        answer = await relay(scheduler, "SubmitJob", {"spec": {"script": SCRIPT}}, 0, "root")
        assert "allow_root_jobs" in answer["message"]


@pytest.mark.parametrize(
    ("method", "sent", "status", "words"),
    [
        ("ListJob", b"{}", 501, 'did you mean "ListJobs"'),
        ("", b"{}", 501, "no method"),
        ("ListJobs", b"{", 400, "not JSON"),
        ("ListJobs", b'{"field": []}', 400, '"field"'),
        ("GetJobScript", b'{"job": {"jobId": 99}}', 404, "not known"),
        ("SubmitJob", dumps({"spec": {"partition": "nosuch", "script": SCRIPT}}), 400, "nosuch"),
    ],
)
async def test_errors_are_those_of_the_http_door(
    scheduler: Running, method: str, sent: bytes, status: int, words: str
) -> None:
    answer = await relay(scheduler, method, sent)
    assert answer.status == status
    assert words in answer["message"]
    url = f"http://local/packhorse.v1.Scheduler/{method}"
    async with scheduler.local.post(url, data=sent, headers={"Content-Type": "application/json"}) as response:
        assert (response.status, await response.json()) == (status, answer)


@pytest.mark.parametrize(
    "wrong",
    [{"uid": 2**32 - 1}, {"gid": 2**32 - 1}, {"user": "a\nb"}, {"user": "x" * 300}, {"group": "a\0b"}],
)
async def test_callers_that_nobody_is(scheduler: Running, wrong: dict[str, Any]) -> None:
    fields: dict[str, Any] = {
        "uid": 1003,
        "gid": 1003,
        "user": "eve",
        "group": "eve",
        "method": "Ping",
    } | wrong
    with pytest.raises(BadValue, match=next(iter(wrong))):
        await scheduler.methods.table()["Relay"].call(AGENT, m.RelayRequest(**fields))


async def test_users_without_a_name_are_their_number(scheduler: Running) -> None:
    await relay(scheduler, "SubmitJob", {"spec": {"script": SCRIPT}}, 1003, "")
    [row] = (await scheduler.call("ListJobs", {"fields": ["user", "group"]})).rows()
    assert row == {"user": "1003", "group": "1003"}


@pytest.mark.parametrize("role", [Role.USER, Role.ADMIN])
async def test_only_agents_relay(scheduler: Running, role: Role) -> None:
    with pytest.raises(CallFailed, match="only an agent") as caught:
        await scheduler.methods.table()["Relay"].call(
            Principal(Owner(0, 0, "root", "root"), role), m.RelayRequest(method="Ping")
        )
    assert caught.value.code is Code.PERMISSION_DENIED


async def test_over_grpc_with_an_agents_token_alone(scheduler: Running) -> None:
    request = pb.RelayRequest(uid=1003, gid=1003, user="eve", group="eve", method="Ping")
    async with grpc.aio.insecure_channel(scheduler.addresses.grpc) as channel:
        stub: Any = SchedulerStub(channel)

        async def call(token: str) -> Any:
            metadata = (("authorization", f"Bearer {scheduler.secret(token)}"),)
            return await stub.Relay(request, metadata=metadata, timeout=10)

        answer = await call("agent-n1.token")
        assert answer.http_status == 200
        assert json.loads(answer.body)["cluster"] == "packhorse"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call("owner.token")
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_relayed_calls_are_counted_as_what_they_are(scheduler: Running) -> None:
    await relay(scheduler, "ListNodes", {})
    await relay(scheduler, "UpdateNodes", {"nodes": ["n1"], "action": "NODE_ACTION_DRAIN"})
    async with scheduler.remote.get(f"http://{scheduler.addresses.http}/metrics") as response:
        page = await response.text()
    assert 'packhorse_calls_total{code="ok",method="ListNodes"} 1.0' in page
    assert 'packhorse_calls_total{code="permission_denied",method="UpdateNodes"} 1.0' in page

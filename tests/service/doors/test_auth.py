"""Who may do what: every cell of (method, role, own or another's), called for real."""

from __future__ import annotations

import base64
import itertools
import pwd
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from pwd import struct_passwd
from typing import Any

import pytest

from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.model.reply import RefusalCode
from packhorse.scheduler.service import administration, auth
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.auth import ALLOWED, Directory, Principal, Relation, Role, allowed
from packhorse.scheduler.service.failures import CallFailed, Code
from tests.service.doors.running import Running

ANN = Owner(1001, 1001, "ann", "users")
BOB = Owner(1002, 1002, "bob", "users")
SPEC = m.JobSpec(name="job", work_dir="/tmp", script=b"#!/bin/sh\n")

# What is expected, written out: U user, A admin, N agent; own and other. Anything not here is denied.
EXPECTED = {
    "Ping": "U A N own",
    "SubmitJob": "U A own",
    "SubmitJobs": "U A own",
    "CancelJobs": "U A own, A other",
    "HoldJobs": "U A own, A other",
    "ReleaseJobs": "U A own, A other",
    "RequeueJobs": "U A own, A other",
    "UpdateJobs": "U A own, A other",
    "UpdateNodes": "A other",
    "SuspendJobs": "A own, A other",
    "ResumeJobs": "A own, A other",
    "ListJobs": "U A own, U A other",
    "ListNodes": "U A other",
    "ListPartitions": "U A other",
    "ListLicenses": "U A other",
    "ListQuotas": "U A other",
    "ListReservations": "U A other",
    "CreateReservation": "U A own",
    "UpdateReservation": "U A own",
    "DeleteReservation": "U A own",
    "ListLoans": "U A own, U A other",
    "SwitchReclaim": "A other",
    "ChangeAccounts": "U A own",
    "ListAccounts": "U A other",
    "ListAccounting": "U A own, U A other",
    "SuggestAsk": "U A own, U A other",
    "ExplainJob": "U A own, U A other",
    "ListWaste": "U A own, A other",
    "ListEstimates": "U A other",
    "GetShadow": "U A other",
    "SwitchShadow": "A other",
    "ListPriorities": "U A own, U A other",
    "ListShares": "U A other",
    "CompareJobs": "U A own, U A other",
    "GetReport": "U A other",
    "GetConfig": "U A other",
    "Reconfigure": "A other",
    "GetStatus": "U A other",
    "GetDiagnostics": "U A other",
    "ResetDiagnostics": "A other",
    "UpdatePartitions": "A other",
    "SetTrigger": "U A own",
    "ListTriggers": "U A other",
    "ClearTriggers": "U A own",
    "GetCrontab": "U A own, A other",
    "SetCrontab": "U A own, A other",
    "SetLogLevel": "A other",
    "Shutdown": "A other",
    "GetJobScript": "U A own, A other",
    "GetJobUsage": "U A own, U A other",
    "ListJobEvents": "U A own, U A other",
    "WaitJobs": "U A own, U A other",
    "WatchEvents": "U A own, U A other",
    "CreateStep": "U A own, A other",
    "GetStep": "U A own, A other",
    "ListSteps": "U A own, U A other",
    "AwaitAllocation": "U A own, A other",
    "EndAllocation": "U A own, A other",
    "IssueToken": "U A own",
    "AdmitNode": "A other",
    "Session": "N own",
    "Relay": "N own",
    "Tunnel": "N own",
    "RelayTunnel": "N own",
    "StepTunnel": "U A own, A other",
}
ROLES = {"U": Role.USER, "A": Role.ADMIN, "N": Role.AGENT}
CELLS = list(itertools.product(EXPECTED, Role, Relation))


def expected(method: str, role: Role, relation: Relation) -> bool:
    for part in EXPECTED[method].split(", "):
        *roles, word = part.split()
        if word == relation.value and role in [ROLES[letter] for letter in roles]:
            return True
    return False


def request(method: str, job: int, owner: Owner) -> Any:
    """A request about this job or this user's runs, or about nothing in particular."""
    ref = m.JobRef(job_id=job)
    return {
        "Ping": m.PingRequest(),
        "SubmitJob": m.SubmitJobRequest(spec=SPEC),
        "SubmitJobs": m.SubmitJobsRequest(specs=[SPEC], items=[m.BatchItem()]),
        "CancelJobs": m.CancelJobsRequest(jobs=[ref]),
        "HoldJobs": m.HoldJobsRequest(jobs=[ref]),
        "ReleaseJobs": m.ReleaseJobsRequest(jobs=[ref]),
        "RequeueJobs": m.RequeueJobsRequest(jobs=[ref]),
        "UpdateJobs": m.UpdateJobsRequest(jobs=[ref], changes=m.JobChanges(comment="x")),
        "UpdateNodes": m.UpdateNodesRequest(nodes=["n1"], action=m.NodeAction.DRAIN, reason="test"),
        "SuspendJobs": m.SuspendJobsRequest(jobs=[ref]),
        "ResumeJobs": m.ResumeJobsRequest(jobs=[ref]),
        "ListJobs": m.ListJobsRequest(jobs=[ref]),
        "ListNodes": m.ListNodesRequest(),
        "ListPartitions": m.ListPartitionsRequest(),
        "ListLicenses": m.ListLicensesRequest(),
        "ListQuotas": m.ListQuotasRequest(),
        "ListReservations": m.ListReservationsRequest(),
        "CreateReservation": m.CreateReservationRequest(wish=m.ReservationWish(name="r")),
        "UpdateReservation": m.UpdateReservationRequest(wish=m.ReservationWish(name="r")),
        "DeleteReservation": m.DeleteReservationRequest(name="r"),
        "ListLoans": m.ListLoansRequest(),
        "SwitchReclaim": m.SwitchReclaimRequest(),
        "ChangeAccounts": m.ChangeAccountsRequest(),
        "ListAccounts": m.ListAccountsRequest(kind="accounts"),
        "ListAccounting": m.ListAccountingRequest(jobs=[ref]),
        "SuggestAsk": m.SuggestAskRequest(job=ref),
        "ExplainJob": m.ExplainJobRequest(job=ref),
        "ListWaste": m.ListWasteRequest(filter=m.JobFilter(users=[owner.user])),
        "ListEstimates": m.ListEstimatesRequest(),
        "GetShadow": m.GetShadowRequest(),
        "SwitchShadow": m.SwitchShadowRequest(off=True),
        "ListPriorities": m.ListPrioritiesRequest(jobs=[ref]),
        "ListShares": m.ListSharesRequest(),
        "CompareJobs": m.CompareJobsRequest(first=ref, second=ref),
        "GetReport": m.GetReportRequest(kind="cluster", until_us=3_600_000_000),
        "GetConfig": m.GetConfigRequest(),
        "Reconfigure": m.ReconfigureRequest(dry_run=True),
        "GetStatus": m.GetStatusRequest(),
        "GetDiagnostics": m.GetDiagnosticsRequest(),
        "ResetDiagnostics": m.ResetDiagnosticsRequest(),
        "UpdatePartitions": m.UpdatePartitionsRequest(state="UP"),
        "SetTrigger": m.SetTriggerRequest(event="down", program="/bin/true"),
        "ListTriggers": m.ListTriggersRequest(),
        "ClearTriggers": m.ClearTriggersRequest(user=str(owner.uid)),
        "GetCrontab": m.GetCrontabRequest(user=owner.user),
        "SetCrontab": m.SetCrontabRequest(user=owner.user),
        "SetLogLevel": m.SetLogLevelRequest(level="info"),
        "Shutdown": m.ShutdownRequest(),
        "GetJobScript": m.GetJobScriptRequest(job=ref),
        "GetJobUsage": m.GetJobUsageRequest(job=ref),
        "ListJobEvents": m.ListJobEventsRequest(job=ref),
        "WaitJobs": m.WaitJobsRequest(jobs=[ref], timeout_s=0.001),
        "WatchEvents": m.WatchEventsRequest(jobs=[ref]),
        "CreateStep": m.CreateStepRequest(job_id=job, spec=m.StepSpec(argv=["true"])),
        "GetStep": m.GetStepRequest(job_id=job),
        "ListSteps": m.ListStepsRequest(jobs=[ref]),
        "AwaitAllocation": m.AwaitAllocationRequest(job_id=job),
        "EndAllocation": m.EndAllocationRequest(job_id=job),
        "IssueToken": m.IssueTokenRequest(),
        "AdmitNode": m.AdmitNodeRequest(node="n9"),
        "Relay": m.RelayRequest(uid=ANN.uid, gid=ANN.gid, user=ANN.user, group=ANN.group, method="Ping"),
    }[method]


ABOUT_NOBODY = frozenset(
    {
        "Ping",
        "SubmitJob",
        "SubmitJobs",
        "IssueToken",
        "Relay",
        "ChangeAccounts",
        "SetTrigger",
        "ClearTriggers",
        "CreateReservation",
        "UpdateReservation",
        "DeleteReservation",
    }
)
ABOUT_THE_CLUSTER = frozenset(
    {
        "UpdateNodes",
        "ListNodes",
        "ListPartitions",
        "ListLicenses",
        "ListShares",
        "ListQuotas",
        "ListReservations",
        "ListLoans",
        "SwitchReclaim",
        "ListEstimates",
        "GetShadow",
        "SwitchShadow",
        "ListAccounts",
        "GetReport",
        "GetConfig",
        "Reconfigure",
        "GetStatus",
        "GetDiagnostics",
        "ResetDiagnostics",
        "UpdatePartitions",
        "ListTriggers",
        "SetLogLevel",
        "Shutdown",
        "AdmitNode",
    }
)


CONNECTIONS = {"Session", "Tunnel", "RelayTunnel", "StepTunnel"}
"""No methods with a request and an answer; who may have a tunnel is tried in test_tunnels.py."""


@pytest.fixture
async def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    people = {one.user: struct_passwd((one.user, "x", one.uid, one.gid, "", "/", "")) for one in (ANN, BOB)}
    getpwnam = pwd.getpwnam
    monkeypatch.setattr(pwd, "getpwnam", lambda name: people.get(name) or getpwnam(name))
    monkeypatch.setattr(administration, "can_run_as", lambda uid: True)
    async with Running(tmp_path) as running:
        yield running


def test_the_table_names_every_method(scheduler: Running) -> None:
    assert set(ALLOWED) == set(EXPECTED) == {*scheduler.methods.table(), *CONNECTIONS}


@pytest.mark.parametrize(("method", "role", "relation"), CELLS)
def test_every_cell_is_as_written(method: str, role: Role, relation: Relation) -> None:
    assert allowed(method, role, relation) is expected(method, role, relation)


def test_what_the_table_does_not_name_is_nobodys() -> None:
    assert not any(allowed("Nosuch", role, relation) for role in Role for relation in Relation)


async def test_every_cell_called(scheduler: Running) -> None:
    """One caller of each role, a job of their own and one of another user, every method on both."""
    table = scheduler.methods.table()
    await scheduler.add_node("n1")
    for role in Role:
        caller = Principal(ANN, role, "n1" if role is Role.AGENT else "")
        for method in table:
            for relation in Relation:
                owner = ANN if relation is Relation.OWN else BOB
                submit = table["SubmitJob"].call
                job = (
                    await submit(
                        Principal(owner), m.SubmitJobRequest(spec=m.JobSpec(hold=True, script=SPEC.script))
                    )
                ).job_id  # type: ignore[union-attr]
                done = await was_let_in(table[method].call, caller, request(method, job, owner))
                if method in ABOUT_NOBODY:
                    assert done is expected(method, role, Relation.OWN), (method, role)
                elif method in ABOUT_THE_CLUSTER:
                    assert done is expected(method, role, Relation.OTHER), (method, role)
                else:
                    assert done is expected(method, role, relation), (method, role, relation)


async def was_let_in(call: Any, caller: Principal, message: Any) -> bool:
    """Whether the call was not denied; other failures count as let in."""
    try:
        answer = await call(caller, message)
    except CallFailed as failure:
        if failure.refusal in (RefusalCode.WRONG_STATE, RefusalCode.NOT_FOUND):
            return True  # a job that waits has no steps
        assert failure.code is Code.PERMISSION_DENIED, failure
        assert "may" in failure.message
        return False
    if isinstance(answer, AsyncGenerator):
        await answer.aclose()
        return True
    outcomes = getattr(answer, "outcomes", [])
    return not any(outcome.code == "denied" for outcome in outcomes)


async def test_a_user_without_users_in_the_filter_means_their_own(scheduler: Running) -> None:
    submit = scheduler.methods.submit_job
    mine = (await submit(Principal(ANN), m.SubmitJobRequest(spec=SPEC))).job_id
    other = (await submit(Principal(BOB), m.SubmitJobRequest(spec=SPEC))).job_id
    answer = await scheduler.methods.cancel_jobs(
        Principal(ANN), m.CancelJobsRequest(filter=m.JobFilter(states=["PENDING"]))
    )
    assert [(outcome.ref, outcome.code) for outcome in answer.outcomes] == [(str(mine), "")]
    answer = await scheduler.methods.cancel_jobs(
        Principal(ANN), m.CancelJobsRequest(filter=m.JobFilter(users=["bob"]))
    )
    assert [(outcome.ref, outcome.code) for outcome in answer.outcomes] == [(str(other), "denied")]


async def test_cancelling_everything_must_be_said(scheduler: Running) -> None:
    with pytest.raises(CallFailed, match="no job is named"):
        await scheduler.methods.cancel_jobs(Principal(ANN, Role.ADMIN), m.CancelJobsRequest())


def test_administrators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 500)
    directory = Directory(("bob", "1003"))
    assert directory.is_admin(Owner(0, 0, "root", "root"))
    assert directory.is_admin(Owner(500, 500, "scheduler", "scheduler"))
    assert directory.is_admin(BOB)
    assert directory.is_admin(Owner(1003, 1, "eve", "users"))
    assert not directory.is_admin(ANN)
    assert directory.local(0, 0).role is Role.ADMIN
    assert directory.local(0, 0) is directory.local(0, 0)


def test_users_without_an_account_are_their_number() -> None:
    assert auth.user_name(4_000_000_001) == "4000000001"
    assert auth.owner_of(0, 4_000_000_001).group == "4000000001"
    assert auth.owner_of(0, 0).user == "root"


async def test_the_identity_is_the_kernels(scheduler: Running) -> None:
    """Nothing in a body says who somebody is."""
    import os

    job = await scheduler.submit()
    [row] = (await scheduler.call("ListJobs", {"jobs": [{"jobId": job}], "fields": ["uid", "user"]})).rows()
    assert row["uid"] == os.geteuid()
    script = await scheduler.call("GetJobScript", {"job": {"jobId": job}})
    assert base64.b64decode(script["script"]).startswith(b"#!/bin/sh")


def test_the_page_on_calling_names_every_method(repository: Path) -> None:
    page = (repository / "docs" / "calling.md").read_text()
    assert all(f"`{method}`" in page for method in EXPECTED if method not in CONNECTIONS)


async def test_a_filter_never_widens_a_reference(scheduler: Running) -> None:
    """A task that does not exist is not its array."""
    array = await scheduler.submit(array="0-3", hold=True)
    missing = m.JobRef(job_id=array, indices=[m.IndexRange(start=9, stop=9)], text=f"{array}_9")
    answer = await scheduler.methods.cancel_jobs(
        Principal(BOB, Role.ADMIN),
        m.CancelJobsRequest(jobs=[missing], filter=m.JobFilter(states=["PENDING"])),
    )
    assert [(outcome.ref, outcome.code) for outcome in answer.outcomes] == [(f"{array}_9", "not_found")]
    [row] = (await scheduler.call("ListJobs", {"fields": ["array_pending"]})).rows()
    assert row["array_pending"] == "0-3"


def test_an_account_that_came_or_changed_is_known_before_long(monkeypatch: pytest.MonkeyPatch) -> None:
    uid = 54_321
    accounts: dict[int, tuple[str]] = {}
    monkeypatch.setattr(pwd, "getpwuid", lambda number: accounts[number])
    monkeypatch.setattr(auth, "_period", lambda: len(accounts.get(uid, ("",))[0]))
    directory = Directory(("ann",))
    assert directory.local(uid, uid) == Principal(Owner(uid, uid, str(uid), str(uid)))
    accounts[uid] = ("ann",)
    assert directory.local(uid, uid) == Principal(Owner(uid, uid, "ann", str(uid)), Role.ADMIN)
    accounts[uid] = ("robert",)
    assert directory.local(uid, uid) == Principal(Owner(uid, uid, "robert", str(uid)))


@pytest.mark.parametrize(
    ("method", "deed"),
    [
        ("SuspendJobs", "suspend job 7_2"),
        ("ResumeJobs", "resume job 7_2, 8, 9, 10, 11 and 1 more"),
        ("UpdateNodes", "change nodes n1"),
        ("Reconfigure", "reread the configuration"),
    ],
)
async def test_a_refusal_says_who_asked_and_who_may(scheduler: Running, method: str, deed: str) -> None:
    asked = request(method, 7, ANN)
    if isinstance(asked, m.SuspendJobsRequest):
        asked.jobs = [m.JobRef(job_id=7, text="7_2")]
    elif isinstance(asked, m.ResumeJobsRequest):
        asked.jobs = [m.JobRef(job_id=7, text="7_2"), *(m.JobRef(job_id=id) for id in range(8, 13))]
    with pytest.raises(CallFailed) as refused:
        await getattr(scheduler.methods, SNAKE[method])(Principal(ANN), asked)
    may = 'root, the user that runs the scheduler, and those in "admins" of packhorse.toml'
    assert refused.value.message == f'user "ann" may not {deed}; only an administrator may ({may})'
    assert refused.value.slurm == "Access/permission denied"


SNAKE = {
    "SuspendJobs": "suspend_jobs",
    "ResumeJobs": "resume_jobs",
    "UpdateNodes": "update_nodes",
    "Reconfigure": "reconfigure",
}

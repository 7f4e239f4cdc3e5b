"""Every method of the Scheduler service, once, for every door.

A method gets the verified caller and the request, a struct of `messages` (SubmitJob and SubmitJobs take the
protobuf message as well), and returns the answer's struct or raises an error of the tree. What it shows was
durable before it is shown. Who may call what is decided by the table in `auth`; the core asks again for
every job.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec

from packhorse.scheduler.config.file import Configuration
from packhorse.scheduler.core.accounts.standing import nobody_of, standings
from packhorse.scheduler.core.targets import owner_uid, resolve
from packhorse.scheduler.model.ids import US, Instant, JobId, is_node_name
from packhorse.scheduler.model.input import Input
from packhorse.scheduler.model.job import Job, Owner
from packhorse.scheduler.model.reply import Done, Planned, Refused, Reply, Submitted
from packhorse.scheduler.service import (
    administration,
    convert,
    convert_steps,
    messages,
    priorities_view,
    reservation_calls,
)
from packhorse.scheduler.service.accounting_view import list_accounting
from packhorse.scheduler.service.accounts_change import change_input
from packhorse.scheduler.service.agent_sessions import Unsent
from packhorse.scheduler.service.auth import Principal, Relation, Role, allowed, require
from packhorse.scheduler.service.diagnostics import Diagnostics, numbered
from packhorse.scheduler.service.engine import Engine
from packhorse.scheduler.service.estimate import estimate
from packhorse.scheduler.service.estimates_view import list_estimates
from packhorse.scheduler.service.event_text import job_event
from packhorse.scheduler.service.failures import CallFailed, Code, refused
from packhorse.scheduler.service.loans_view import list_loans
from packhorse.scheduler.service.logs import set_level
from packhorse.scheduler.service.payloads import Payload
from packhorse.scheduler.service.reconfiguring import Reconfiguring
from packhorse.scheduler.service.relay import Relay
from packhorse.scheduler.service.report_view import get_report
from packhorse.scheduler.service.rpc import Method, Streaming, Unary
from packhorse.scheduler.service.selection import cancel_targets, choose
from packhorse.scheduler.service.settings import settings
from packhorse.scheduler.service.shadow_view import get_shadow, switch_shadow
from packhorse.scheduler.service.status import About, ping, status
from packhorse.scheduler.service.step_calls import StepCalls
from packhorse.scheduler.service.story import job_of
from packhorse.scheduler.service.suggesting import right_size, suggest_ask
from packhorse.scheduler.service.tables import jobs as job_table
from packhorse.scheduler.service.tables.accounts import list_accounts
from packhorse.scheduler.service.tables.licenses import LICENSES, LicenseView
from packhorse.scheduler.service.tables.nodes import NODES, NodeView
from packhorse.scheduler.service.tables.partitions import PARTITIONS, PartitionView
from packhorse.scheduler.service.tables.quotas import QUOTAS
from packhorse.scheduler.service.tables.reservations import RESERVATIONS, ReservationView
from packhorse.scheduler.service.tables.steps import STEPS, StepView
from packhorse.scheduler.service.tables.table import check_fields, make_table
from packhorse.scheduler.service.tokens import LONG_LIVED_S, Tokens
from packhorse.scheduler.service.usage_view import job_usage
from packhorse.scheduler.service.wait import Waiting
from packhorse.scheduler.service.waste_view import list_waste
from packhorse.scheduler.service.why_view import AT_ONCE, explain_job
from packhorse.scheduler.service.zone import local_zone, offsets_of
from packhorse.scheduler.store.codec import decode

MOST_NAMED = 5
"""Jobs that a refusal names."""

ANSWER_FIRST_S = 0.1
"""Between the answer of Shutdown and the end."""

MAX_JOB_EVENTS = 10_000
"""Of one ListJobEvents answer, the newest."""


class Methods:
    """The service over one engine."""

    def __init__(
        self,
        engine: Engine,
        reconfiguring: Reconfiguring,
        about: About,
        tokens: Tokens,
        *,
        submitted: Callable[[int], None] = lambda n: None,
        relayed: Callable[[str, str], None] = lambda method, code: None,
        is_admin: Callable[[Owner], bool] = lambda owner: False,
        diagnostics: Diagnostics,
        unsent: Callable[[], Unsent],
        shut_down: Callable[[], None] | None = None,
    ) -> None:
        """submitted: told how many jobs each accepted submission brought.

        relayed: told of every call that an agent passed on, its method and code. is_admin: whether a user
        whom an agent named would be an administrator on this host. unsent: what nodes are still to be told.
        shut_down: ends the process.
        """
        self.engine = engine
        self._reconfiguring = reconfiguring
        self.about = about
        self._tokens = tokens
        self._submitted = submitted
        self._relayed = relayed
        self._is_admin = is_admin
        self._diagnostics = diagnostics
        self._unsent = unsent
        self._shut_down = shut_down
        self._numbers: dict[str, int] = {}
        self._explaining = asyncio.Semaphore(AT_ONCE)
        self._steps = StepCalls(engine, wait_limit_s=self.configuration.service.wait_limit_s)
        self._waiting = Waiting(
            engine,
            queue=self.configuration.service.watch_queue,
            wait_limit_s=self.configuration.service.wait_limit_s,
        )

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._reconfiguring.current

    @property
    def n_waiting(self) -> int:
        """Callers of WaitJobs and WatchEvents that are being served."""
        return self._waiting.n

    def table(self) -> dict[str, Method]:
        """Every method by name."""
        m = messages
        methods: list[Method] = [
            Unary("Ping", m.PingRequest, m.PingResponse, self.ping),
            Unary("SubmitJob", m.SubmitJobRequest, m.SubmitJobResponse, self.submit_job, True),
            Unary("SubmitJobs", m.SubmitJobsRequest, m.SubmitJobsResponse, self.submit_jobs, True),
            Unary("CancelJobs", m.CancelJobsRequest, m.OutcomesResponse, self.cancel_jobs),
            Unary("HoldJobs", m.HoldJobsRequest, m.OutcomesResponse, self.hold_jobs),
            Unary("ReleaseJobs", m.ReleaseJobsRequest, m.OutcomesResponse, self.release_jobs),
            Unary("RequeueJobs", m.RequeueJobsRequest, m.OutcomesResponse, self.requeue_jobs),
            Unary("UpdateJobs", m.UpdateJobsRequest, m.OutcomesResponse, self.update_jobs),
            Unary("UpdateNodes", m.UpdateNodesRequest, m.OutcomesResponse, self.update_nodes),
            Unary("SuspendJobs", m.SuspendJobsRequest, m.OutcomesResponse, self.suspend_jobs),
            Unary("ResumeJobs", m.ResumeJobsRequest, m.OutcomesResponse, self.resume_jobs),
            Unary("ListJobs", m.ListJobsRequest, m.Table, self.list_jobs),
            Unary("ListNodes", m.ListNodesRequest, m.Table, self.list_nodes),
            Unary("ListPartitions", m.ListPartitionsRequest, m.Table, self.list_partitions),
            Unary("ListLicenses", m.ListLicensesRequest, m.Table, self.list_licenses),
            Unary("ListQuotas", m.ListQuotasRequest, m.Table, self.list_quotas),
            Unary("ListReservations", m.ListReservationsRequest, m.Table, self.list_reservations),
            Unary(
                "CreateReservation", m.CreateReservationRequest, m.OutcomesResponse, self.create_reservation
            ),
            Unary(
                "UpdateReservation", m.UpdateReservationRequest, m.OutcomesResponse, self.update_reservation
            ),
            Unary(
                "DeleteReservation", m.DeleteReservationRequest, m.OutcomesResponse, self.delete_reservation
            ),
            Unary("ListAccounting", m.ListAccountingRequest, m.Table, self.list_accounting),
            Unary("ListLoans", m.ListLoansRequest, m.Table, self.list_loans),
            Unary("SwitchReclaim", m.SwitchReclaimRequest, m.OutcomesResponse, self.switch_reclaim),
            Unary("ChangeAccounts", m.ChangeAccountsRequest, m.ChangeAccountsResponse, self.change_accounts),
            Unary("ListAccounts", m.ListAccountsRequest, m.Table, self.list_accounts),
            Unary("SuggestAsk", m.SuggestAskRequest, m.SuggestAskResponse, self.suggest_ask),
            Unary("ListWaste", m.ListWasteRequest, m.ListWasteResponse, self.list_waste),
            Unary("ListEstimates", m.ListEstimatesRequest, m.ListEstimatesResponse, self.list_estimates),
            Unary("GetShadow", m.GetShadowRequest, m.GetShadowResponse, self.get_shadow),
            Unary("SwitchShadow", m.SwitchShadowRequest, m.SwitchShadowResponse, self.switch_shadow),
            Unary("ExplainJob", m.ExplainJobRequest, m.ExplainJobResponse, self.explain_job),
            Unary("GetReport", m.GetReportRequest, m.GetReportResponse, self.get_report),
            Unary("ListPriorities", m.ListPrioritiesRequest, m.Table, self.list_priorities),
            Unary("ListShares", m.ListSharesRequest, m.Table, self.list_shares),
            Unary("CompareJobs", m.CompareJobsRequest, m.CompareJobsResponse, self.compare_jobs),
            Unary("GetConfig", m.GetConfigRequest, m.GetConfigResponse, self.get_config),
            Unary("Reconfigure", m.ReconfigureRequest, m.ReconfigureResponse, self.reconfigure),
            Unary("GetStatus", m.GetStatusRequest, m.GetStatusResponse, self.get_status),
            Unary("GetDiagnostics", m.GetDiagnosticsRequest, m.GetDiagnosticsResponse, self.get_diagnostics),
            Unary(
                "ResetDiagnostics",
                m.ResetDiagnosticsRequest,
                m.ResetDiagnosticsResponse,
                self.reset_diagnostics,
            ),
            Unary("UpdatePartitions", m.UpdatePartitionsRequest, m.OutcomesResponse, self.update_partitions),
            Unary("SetTrigger", m.SetTriggerRequest, m.OutcomesResponse, self.set_trigger),
            Unary("ListTriggers", m.ListTriggersRequest, m.ListTriggersResponse, self.list_triggers),
            Unary("ClearTriggers", m.ClearTriggersRequest, m.OutcomesResponse, self.clear_triggers),
            Unary("GetCrontab", m.GetCrontabRequest, m.GetCrontabResponse, self.get_crontab),
            Unary("SetCrontab", m.SetCrontabRequest, m.OutcomesResponse, self.set_crontab),
            Unary("SetLogLevel", m.SetLogLevelRequest, m.SetLogLevelResponse, self.set_log_level),
            Unary("Shutdown", m.ShutdownRequest, m.ShutdownResponse, self.shutdown),
            Unary("GetJobScript", m.GetJobScriptRequest, m.GetJobScriptResponse, self.get_job_script),
            Unary("GetJobUsage", m.GetJobUsageRequest, m.GetJobUsageResponse, self.get_job_usage),
            Unary("ListJobEvents", m.ListJobEventsRequest, m.ListJobEventsResponse, self.list_job_events),
            Unary("WaitJobs", m.WaitJobsRequest, m.WaitJobsResponse, self.wait_jobs),
            Streaming("WatchEvents", m.WatchEventsRequest, m.JobEvent, self.watch_events),
            Unary("CreateStep", m.CreateStepRequest, m.CreateStepResponse, self.create_step),
            Unary("GetStep", m.GetStepRequest, m.CreateStepResponse, self.get_step),
            Unary("ListSteps", m.ListStepsRequest, m.Table, self.list_steps),
            Unary(
                "AwaitAllocation",
                m.AwaitAllocationRequest,
                m.AwaitAllocationResponse,
                self.await_allocation,
            ),
            Unary("EndAllocation", m.EndAllocationRequest, m.OutcomesResponse, self.end_allocation),
            Unary("IssueToken", m.IssueTokenRequest, m.IssueTokenResponse, self.issue_token),
            Unary("AdmitNode", m.AdmitNodeRequest, m.AdmitNodeResponse, self.admit_node),
        ]
        table = {method.name: method for method in methods}
        self._numbers = numbered(table)
        table = self._diagnostics.timed(table)
        return Relay(table, answered=self._relayed, is_admin=self._is_admin).methods

    async def ping(self, principal: Principal, request: messages.PingRequest) -> messages.PingResponse:
        require(principal, "Ping", Relation.OWN)
        return ping(self.about, self.engine)

    # -- submitting

    async def submit_job(self, principal: Principal, request: Any) -> messages.SubmitJobResponse:
        """One job or one array. With test_only nothing is queued and an estimate comes back."""
        require(principal, "SubmitJob", Relation.OWN)
        submission = convert.submission(request, principal.owner, principal.admin)
        input, notes = submission.input, list[str]()
        if request.right_size or request.right_size_cpus:
            input, said = await right_size(self.engine, input, cpus=request.right_size_cpus)
            notes += said
        if request.test_only:
            answer = await estimate(self.engine, input)
            return msgspec.structs.replace(answer, notes=notes + answer.notes)
        first, count = await self._submit(input, submission.payloads)
        self._submitted(count)
        return messages.SubmitJobResponse(job_id=first, notes=notes)

    async def submit_jobs(self, principal: Principal, request: Any) -> messages.SubmitJobsResponse:
        """Many jobs in one commit, all or none."""
        require(principal, "SubmitJobs", Relation.OWN)
        submission = convert.batch_submission(request, principal.owner, principal.admin)
        first, count = await self._submit(submission.input, submission.payloads)
        self._submitted(count)
        return messages.SubmitJobsResponse(first_job_id=first, count=count)

    async def _submit(self, input: Input, payloads: tuple[Payload, ...]) -> tuple[int, int]:
        reply = await self.engine.call(input, payloads)
        match reply:
            case Submitted(first_id=first, count=count):
                return first, count
            case _:
                raise _failed(reply)

    # -- acting on jobs and nodes

    async def cancel_jobs(
        self, principal: Principal, request: messages.CancelJobsRequest
    ) -> messages.OutcomesResponse:
        """End jobs, or only signal them."""
        admin = self._acting(principal, "CancelJobs")
        if any(ref.step is not None for ref in request.jobs):
            return await self._cancel_steps(request, principal, admin)
        targets = cancel_targets(self.engine.state, principal, request.jobs, request.filter)
        return await self._act(convert.cancel(request, principal.owner, admin, targets))

    async def _cancel_steps(
        self, request: messages.CancelJobsRequest, principal: Principal, admin: bool
    ) -> messages.OutcomesResponse:
        """Steps one by one, then the jobs that are named as a whole; the outcomes of these come last."""
        whole = [ref for ref in request.jobs if ref.step is None]
        outcomes = []
        for input in convert_steps.cancel_steps(request, principal.owner, admin, self._number):
            outcomes += (await self._act(input)).outcomes
        if whole:
            rest = msgspec.structs.replace(request, jobs=whole)
            targets = cancel_targets(self.engine.state, principal, whole, request.filter)
            outcomes += (await self._act(convert.cancel(rest, principal.owner, admin, targets))).outcomes
        return messages.OutcomesResponse(outcomes=outcomes)

    def _number(self, ref: messages.JobRef) -> JobId:
        """The job that a reference means, of an array's task its own number."""
        aim = resolve(self.engine.state, convert.target(ref))
        return aim.jobs[0].id if aim is not None and len(aim.jobs) == 1 else convert.job_id(ref.job_id)

    async def hold_jobs(
        self, principal: Principal, request: messages.HoldJobsRequest
    ) -> messages.OutcomesResponse:
        admin = self._acting(principal, "HoldJobs")
        return await self._act(convert.hold(request, principal.owner, admin))

    async def release_jobs(
        self, principal: Principal, request: messages.ReleaseJobsRequest
    ) -> messages.OutcomesResponse:
        admin = self._acting(principal, "ReleaseJobs")
        return await self._act(convert.release(request, principal.owner, admin))

    async def requeue_jobs(
        self, principal: Principal, request: messages.RequeueJobsRequest
    ) -> messages.OutcomesResponse:
        admin = self._acting(principal, "RequeueJobs")
        return await self._act(convert.requeue(request, principal.owner, admin))

    async def update_jobs(
        self, principal: Principal, request: messages.UpdateJobsRequest
    ) -> messages.OutcomesResponse:
        admin = self._acting(principal, "UpdateJobs")
        return await self._act(convert.update_jobs(request, principal.owner, admin))

    async def suspend_jobs(
        self, principal: Principal, request: messages.SuspendJobsRequest
    ) -> messages.OutcomesResponse:
        """Stop running jobs where they are."""
        require(principal, "SuspendJobs", Relation.OTHER, _named(request.jobs))
        return await self._act(convert.suspend(request, principal.owner, principal.admin))

    async def resume_jobs(
        self, principal: Principal, request: messages.ResumeJobsRequest
    ) -> messages.OutcomesResponse:
        """Let suspended jobs go on."""
        require(principal, "ResumeJobs", Relation.OTHER, _named(request.jobs))
        return await self._act(convert.resume(request, principal.owner, principal.admin))

    async def update_nodes(
        self, principal: Principal, request: messages.UpdateNodesRequest
    ) -> messages.OutcomesResponse:
        """Drain, resume, take down."""
        require(principal, "UpdateNodes", Relation.OTHER, f"nodes {', '.join(request.nodes)}")
        return await self._act(convert.update_nodes(request, principal.owner, principal.admin))

    async def switch_reclaim(
        self, principal: Principal, request: messages.SwitchReclaimRequest
    ) -> messages.OutcomesResponse:
        """Lending on or off."""
        require(principal, "SwitchReclaim", Relation.OTHER, "lending")
        return await self._act(convert.switch_reclaim(request, principal.owner, principal.admin))

    async def change_accounts(
        self, principal: Principal, request: messages.ChangeAccountsRequest
    ) -> messages.ChangeAccountsResponse:
        """Accounts, users, associations and QOS; with dry_run only what would change."""
        require(principal, "ChangeAccounts", Relation.OWN)
        reply = await self.engine.call(
            change_input(request, convert.caller(principal.owner, principal.admin, request))
        )
        match reply:
            case Planned(lines=lines):
                return messages.ChangeAccountsResponse(lines=list(lines))
            case _:
                raise _failed(reply)

    async def create_reservation(
        self, principal: Principal, request: messages.CreateReservationRequest
    ) -> messages.OutcomesResponse:
        """Set nodes aside; the outcome's ref is the name. The core knows who may."""
        require(principal, "CreateReservation", Relation.OWN)
        return await self._act(reservation_calls.create(request, principal.owner, principal.admin))

    async def update_reservation(
        self, principal: Principal, request: messages.UpdateReservationRequest
    ) -> messages.OutcomesResponse:
        require(principal, "UpdateReservation", Relation.OWN)
        return await self._act(reservation_calls.update(request, principal.owner, principal.admin))

    async def delete_reservation(
        self, principal: Principal, request: messages.DeleteReservationRequest
    ) -> messages.OutcomesResponse:
        require(principal, "DeleteReservation", Relation.OWN)
        return await self._act(reservation_calls.delete(request, principal.owner, principal.admin))

    def _acting(self, principal: Principal, method: str) -> bool:
        """Whether the caller may act on everybody's jobs; raises CallFailed if not even on their own."""
        require(principal, method, Relation.OWN)
        return allowed(method, principal.role, Relation.OTHER)

    async def _act(self, input: Input, payloads: tuple[Payload, ...] = ()) -> messages.OutcomesResponse:
        reply = await self.engine.call(input, payloads)
        match reply:
            case Done(outcomes=outcomes):
                return messages.OutcomesResponse(
                    outcomes=[
                        messages.Outcome(
                            ref=outcome.ref,
                            code=outcome.code.value if outcome.code else "",
                            message=outcome.message,
                            slurm=outcome.slurm,
                        )
                        for outcome in outcomes
                    ]
                )
            case _:
                raise _failed(reply)

    # -- looking

    async def list_jobs(self, principal: Principal, request: messages.ListJobsRequest) -> messages.Table:
        """Jobs in memory as columns."""
        require(principal, "ListJobs", Relation.OTHER)
        fields = check_fields(job_table.JOBS, request.fields)
        now = self.engine.clock.now()
        state = self.engine.state
        chosen = choose(state, request.jobs, request.filter, include_ended=request.include_ended)
        view = job_table.view(
            state, now, chosen.items, expand=request.expand_arrays, estimates=self.engine.estimates
        )
        table = make_table(
            job_table.JOBS, view, fields, n_rows=len(view.rows), now=now, unknown=chosen.unknown
        )
        await self.engine.barrier()
        return table

    async def list_nodes(self, principal: Principal, request: messages.ListNodesRequest) -> messages.Table:
        """Registered nodes as columns."""
        require(principal, "ListNodes", Relation.OTHER)
        fields = check_fields(NODES, request.fields)
        now = self.engine.clock.now()
        state = self.engine.state
        wanted: list[Any] = request.nodes or list(state.nodes)
        nodes = [state.nodes[name] for name in wanted if name in state.nodes]
        table = make_table(
            NODES,
            NodeView(state, now, nodes, self.engine.usage),
            fields,
            n_rows=len(nodes),
            now=now,
            unknown=[name for name in wanted if name not in state.nodes],
        )
        await self.engine.barrier()
        return table

    async def list_partitions(
        self, principal: Principal, request: messages.ListPartitionsRequest
    ) -> messages.Table:
        """Configured partitions as columns."""
        require(principal, "ListPartitions", Relation.OTHER)
        fields = check_fields(PARTITIONS, request.fields)
        view = PartitionView(self.engine.state)
        table = make_table(PARTITIONS, view, fields, n_rows=len(view.partitions), now=self.engine.clock.now())
        await self.engine.barrier()
        return table

    async def list_licenses(
        self, principal: Principal, request: messages.ListLicensesRequest
    ) -> messages.Table:
        """Configured licences as columns."""
        require(principal, "ListLicenses", Relation.OTHER)
        fields = check_fields(LICENSES, request.fields)
        view = LicenseView(self.engine.state)
        table = make_table(LICENSES, view, fields, n_rows=len(view.licenses), now=self.engine.clock.now())
        await self.engine.barrier()
        return table

    async def list_priorities(
        self, principal: Principal, request: messages.ListPrioritiesRequest
    ) -> messages.Table:
        """What makes up the priorities of waiting jobs, as columns."""
        require(principal, "ListPriorities", Relation.OTHER)
        table = priorities_view.list_priorities(self.engine.state, request, self.engine.clock.now())
        await self.engine.barrier()
        return table

    async def list_shares(self, principal: Principal, request: messages.ListSharesRequest) -> messages.Table:
        """The tree of accounts as columns."""
        require(principal, "ListShares", Relation.OTHER)
        table = priorities_view.list_shares(self.engine.state, request, self.engine.clock.now())
        await self.engine.barrier()
        return table

    async def compare_jobs(
        self, principal: Principal, request: messages.CompareJobsRequest
    ) -> messages.CompareJobsResponse:
        """Which of two waiting jobs is ahead."""
        require(principal, "CompareJobs", Relation.OTHER)
        answer = priorities_view.compare_jobs(self.engine.state, request, self.engine.clock.now())
        await self.engine.barrier()
        return answer

    async def list_accounts(
        self, principal: Principal, request: messages.ListAccountsRequest
    ) -> messages.Table:
        """The book of accounts as columns, one kind of thing at a time."""
        require(principal, "ListAccounts", Relation.OTHER)
        table = list_accounts(self.engine.state, request, self.engine.clock.now())
        await self.engine.barrier()
        return table

    async def list_quotas(self, principal: Principal, request: messages.ListQuotasRequest) -> messages.Table:
        """Limits of accounts, users and QOS as columns, with what is used of them."""
        require(principal, "ListQuotas", Relation.OTHER)
        fields = check_fields(QUOTAS, request.fields)
        now = self.engine.clock.now()
        rows = standings(self.engine.state, now, request.names)
        unknown = nobody_of(self.engine.state, request.names)
        table = make_table(QUOTAS, rows, fields, n_rows=len(rows), now=now, unknown=unknown)
        await self.engine.barrier()
        return table

    async def list_reservations(
        self, principal: Principal, request: messages.ListReservationsRequest
    ) -> messages.Table:
        """Reservations as columns."""
        require(principal, "ListReservations", Relation.OTHER)
        fields = check_fields(RESERVATIONS, request.fields)
        now = self.engine.clock.now()
        view = ReservationView(self.engine.state, now, request.names)
        n, unknown = len(view.reservations), view.unknown
        table = make_table(RESERVATIONS, view, fields, n_rows=n, now=now, unknown=unknown)
        await self.engine.barrier()
        return table

    async def list_accounting(
        self, principal: Principal, request: messages.ListAccountingRequest
    ) -> messages.Table:
        """Attempts, ended ones from the store, as columns."""
        require(principal, "ListAccounting", Relation.OTHER)
        return await list_accounting(self.engine, request)

    async def list_loans(self, principal: Principal, request: messages.ListLoansRequest) -> messages.Table:
        """Loans as columns, those that are over from the store."""
        require(principal, "ListLoans", Relation.OTHER)
        return await list_loans(self.engine, request)

    async def suggest_ask(
        self, principal: Principal, request: messages.SuggestAskRequest
    ) -> messages.SuggestAskResponse:
        """What a job should ask for, by its past runs."""
        require(principal, "SuggestAsk", Relation.OTHER)
        return await suggest_ask(self.engine, principal, request)

    async def list_waste(
        self, principal: Principal, request: messages.ListWasteRequest
    ) -> messages.ListWasteResponse:
        """What ended runs were given and did not use: one's own, of administrators everybody's."""
        return await list_waste(self.engine, principal, request)

    async def list_estimates(
        self, principal: Principal, request: messages.ListEstimatesRequest
    ) -> messages.ListEstimatesResponse:
        """How right estimates of starts were."""
        require(principal, "ListEstimates", Relation.OTHER)
        answer = list_estimates(self.engine, request)
        await self.engine.barrier()
        return answer

    async def get_shadow(
        self, principal: Principal, request: messages.GetShadowRequest
    ) -> messages.GetShadowResponse:
        """What the shadow would have done otherwise."""
        require(principal, "GetShadow", Relation.OTHER)
        answer = get_shadow(self.engine, request)
        await self.engine.barrier()
        return answer

    async def switch_shadow(
        self, principal: Principal, request: messages.SwitchShadowRequest
    ) -> messages.SwitchShadowResponse:
        """The shadow on or off."""
        require(principal, "SwitchShadow", Relation.OTHER, "the shadow")
        return switch_shadow(self.engine, request)

    async def get_report(
        self, principal: Principal, request: messages.GetReportRequest
    ) -> messages.GetReportResponse:
        """What was used in a time."""
        require(principal, "GetReport", Relation.OTHER)
        return await get_report(self.engine, request)

    async def get_config(
        self, principal: Principal, request: messages.GetConfigRequest
    ) -> messages.GetConfigResponse:
        require(principal, "GetConfig", Relation.OTHER)
        return messages.GetConfigResponse(settings=settings(self.configuration, self.engine, self.about))

    async def reconfigure(
        self, principal: Principal, request: messages.ReconfigureRequest
    ) -> messages.ReconfigureResponse:
        """The configuration file read again."""
        require(principal, "Reconfigure", Relation.OTHER, "the configuration")
        outcome = await self._reconfiguring.read_again(principal.owner, principal.admin, request.dry_run)
        return messages.ReconfigureResponse(
            changes=[messages.ConfigChange(**change._asdict()) for change in outcome.changes],
            problems=outcome.problems,
            applied=outcome.applied,
        )

    async def get_status(
        self, principal: Principal, request: messages.GetStatusRequest
    ) -> messages.GetStatusResponse:
        """The cluster in one screen."""
        require(principal, "GetStatus", Relation.OTHER)
        answer = status(self.about, self.engine)
        await self.engine.barrier()
        return answer

    async def get_diagnostics(
        self, principal: Principal, request: messages.GetDiagnosticsRequest
    ) -> messages.GetDiagnosticsResponse:
        """What the daemon did and does."""
        require(principal, "GetDiagnostics", Relation.OTHER)
        answer = self._diagnostics.answer(self.engine, self._numbers, self._unsent())
        await self.engine.barrier()
        return answer

    async def reset_diagnostics(
        self, principal: Principal, request: messages.ResetDiagnosticsRequest
    ) -> messages.ResetDiagnosticsResponse:
        """All its figures from zero."""
        require(principal, "ResetDiagnostics", Relation.OTHER, "figures of the daemon")
        self._diagnostics.reset(calls=True)
        return messages.ResetDiagnosticsResponse()

    # -- administration

    async def update_partitions(
        self, principal: Principal, request: messages.UpdatePartitionsRequest
    ) -> messages.OutcomesResponse:
        """Open and close them."""
        require(principal, "UpdatePartitions", Relation.OTHER, f"partitions {', '.join(request.names)}")
        return await self._act(administration.switch_partition(request, principal.owner, principal.admin))

    async def set_trigger(
        self, principal: Principal, request: messages.SetTriggerRequest
    ) -> messages.OutcomesResponse:
        """Have a program run as the caller once something has happened; the outcome's ref is its number."""
        require(principal, "SetTrigger", Relation.OWN)
        return await self._act(administration.set_trigger(request, principal.owner, principal.admin))

    async def list_triggers(
        self, principal: Principal, request: messages.ListTriggersRequest
    ) -> messages.ListTriggersResponse:
        """All that wait."""
        require(principal, "ListTriggers", Relation.OTHER)
        answer = administration.triggers(self.engine.state)
        await self.engine.barrier()
        return answer

    async def clear_triggers(
        self, principal: Principal, request: messages.ClearTriggersRequest
    ) -> messages.OutcomesResponse:
        """Those that wait are told apart by the core, whose they are too."""
        require(principal, "ClearTriggers", Relation.OWN)
        return await self._act(administration.clear_triggers(request, principal.owner, principal.admin))

    async def get_crontab(
        self, principal: Principal, request: messages.GetCrontabRequest
    ) -> messages.GetCrontabResponse:
        """As it was written, with what was disabled since."""
        owner = self._whose_crontab(principal, "GetCrontab", request.user)
        crontab = self.engine.state.crontabs.get(owner.uid)
        await self.engine.barrier()
        if crontab is None:
            return messages.GetCrontabResponse(user=owner.user)
        jobs = [int(entry.job) for entry in crontab.entries]
        return messages.GetCrontabResponse(user=owner.user, text=crontab.text, jobs=jobs)

    async def set_crontab(
        self, principal: Principal, request: messages.SetCrontabRequest
    ) -> messages.OutcomesResponse:
        """In place of the one before; the outcomes' refs are the numbers of its jobs."""
        self._whose_crontab(principal, "SetCrontab", request.user)
        offsets = await asyncio.to_thread(offsets_of, local_zone(), self.engine.clock.now() // US)
        call = administration.set_crontab(request, principal.owner, principal.admin, offsets)
        return await self._act(call.input, call.payloads)

    def _whose_crontab(self, principal: Principal, method: str, user: str) -> Owner:
        owner = administration.whose_crontab(user, principal.owner)
        relation = Relation.OWN if owner.uid == principal.owner.uid else Relation.OTHER
        require(principal, method, relation, f"the crontab of {owner.user}")
        return owner

    async def set_log_level(
        self, principal: Principal, request: messages.SetLogLevelRequest
    ) -> messages.SetLogLevelResponse:
        """How much the daemon logs."""
        require(principal, "SetLogLevel", Relation.OTHER, "the log")
        level = administration.LEVELS.get(request.level)
        if level is None:
            known = ", ".join(administration.LEVELS)
            raise CallFailed(Code.INVALID_ARGUMENT, f'level: "{request.level[:40]}" is none of {known}')
        set_level(level)
        return messages.SetLogLevelResponse()

    async def shutdown(
        self, principal: Principal, request: messages.ShutdownRequest
    ) -> messages.ShutdownResponse:
        """Answers, and ends."""
        require(principal, "Shutdown", Relation.OTHER, "the scheduler")
        if self._shut_down is None:
            message = "this scheduler is part of another process, which has to end it"
            raise CallFailed(Code.FAILED_PRECONDITION, message, refusal="wrong_state")
        asyncio.get_running_loop().call_later(ANSWER_FIRST_S, self._shut_down)
        return messages.ShutdownResponse()

    async def get_job_script(
        self, principal: Principal, request: messages.GetJobScriptRequest
    ) -> messages.GetJobScriptResponse:
        """The script as submitted, for the owner and administrators."""
        ref = _given(request.job)
        aim = resolve(self.engine.state, convert.target(ref))
        if aim is None:
            raise _unknown(ref)
        relation = Relation.OWN if owner_uid(aim) == principal.owner.uid else Relation.OTHER
        require(principal, "GetJobScript", relation, f"job {ref.text or ref.job_id}")
        spec = aim.jobs[0].spec if aim.jobs else aim.array.spec if aim.array else None
        if spec is None:
            raise _unknown(ref)
        await self.engine.barrier()
        script = await self.engine.payloads.get(spec.script_ref)
        if script is None:
            raise CallFailed(
                Code.NOT_FOUND, f"job {ref.text or ref.job_id}: the store does not hold its script any more"
            )
        return messages.GetJobScriptResponse(script=script, args=list(spec.args))

    async def explain_job(
        self, principal: Principal, request: messages.ExplainJobRequest
    ) -> messages.ExplainJobResponse:
        """Why it waits, what would start it, why it is where it is."""
        require(principal, "ExplainJob", Relation.OTHER)
        ref = _given(request.job)
        answer = await explain_job(self.engine, ref, self._explaining)
        if answer is None:
            raise _unknown(ref)
        return answer

    async def get_job_usage(
        self, principal: Principal, request: messages.GetJobUsageRequest
    ) -> messages.GetJobUsageResponse:
        """What an attempt used over time."""
        require(principal, "GetJobUsage", Relation.OTHER)
        ref = _given(request.job)
        answer = await job_usage(self.engine, ref, request.attempt)
        if answer is None:
            raise _unknown(ref)
        return answer

    async def list_job_events(
        self, principal: Principal, request: messages.ListJobEventsRequest
    ) -> messages.ListJobEventsResponse:
        """A job's story from the log; of an array task asked for by index, the task's."""
        require(principal, "ListJobEvents", Relation.OTHER)
        ref = _given(request.job)
        job = await job_of(self.engine, ref)
        if job is None:
            raise _unknown(ref)
        records = await asyncio.to_thread(self.engine.store.job_log, job, MAX_JOB_EVENTS)
        known = not self.engine.trouble and resolve(self.engine.state, convert.target(ref)) is not None
        if not records and not known:
            raise _unknown(ref)
        return messages.ListJobEventsResponse(
            events=[job_event(record.seq, decode(record)) for record in records]
        )

    async def wait_jobs(
        self, principal: Principal, request: messages.WaitJobsRequest
    ) -> messages.WaitJobsResponse:
        """Answers when all named jobs have ended, or with what is known when time is up."""
        require(principal, "WaitJobs", Relation.OTHER)
        return await self._waiting.wait_jobs(request)

    async def watch_events(
        self, principal: Principal, request: messages.WatchEventsRequest
    ) -> AsyncGenerator[messages.JobEvent]:
        """Durable events, one after the other."""
        require(principal, "WatchEvents", Relation.OTHER)
        return await self._waiting.watch(request)

    # -- steps, and allocations without a batch script

    async def create_step(
        self, principal: Principal, request: messages.CreateStepRequest
    ) -> messages.CreateStepResponse:
        """Start a step; busy while others hold what it needs."""
        admin = self._acting(principal, "CreateStep")
        return await self._steps.create(request, principal.owner, admin)

    async def get_step(
        self, principal: Principal, request: messages.GetStepRequest
    ) -> messages.CreateStepResponse:
        """Where a step runs."""
        job = self._own_job(principal, "GetStep", request.job_id)
        answer = self._steps.get(job, request.step_id)
        await self.engine.barrier()
        return answer

    async def list_steps(self, principal: Principal, request: messages.ListStepsRequest) -> messages.Table:
        """Steps of running jobs as columns, batch scripts among them."""
        require(principal, "ListSteps", Relation.OTHER)
        fields = check_fields(STEPS, request.fields)
        now = self.engine.clock.now()
        state = self.engine.state
        chosen = choose(state, request.jobs, request.filter, include_ended=False)
        view = StepView(state, now, chosen.items, self.engine.usage, request.jobs)
        n, unknown = len(view.rows), [*chosen.unknown, *view.unknown]
        table = make_table(STEPS, view, fields, n_rows=n, now=now, unknown=unknown)
        await self.engine.barrier()
        return table

    async def await_allocation(
        self, principal: Principal, request: messages.AwaitAllocationRequest
    ) -> messages.AwaitAllocationResponse:
        """Answers when the job has its nodes, has ended, or time is up."""
        job = self._own_job(principal, "AwaitAllocation", request.job_id)
        return await self._steps.await_allocation(job.id, request.timeout_s)

    async def end_allocation(
        self, principal: Principal, request: messages.EndAllocationRequest
    ) -> messages.OutcomesResponse:
        """The command that held such a job is done."""
        admin = self._acting(principal, "EndAllocation")
        return await self._act(convert_steps.end_allocation(request, principal.owner, admin))

    def _own_job(self, principal: Principal, method: str, number: int) -> Job:
        """The job; raises CallFailed for one that is unknown, or somebody else's and not theirs to act on."""
        job = self.engine.state.jobs.get(convert.job_id(number))
        if job is None:
            raise _unknown(messages.JobRef(job_id=number))
        relation = Relation.OWN if job.owner.uid == principal.owner.uid else Relation.OTHER
        require(principal, method, relation, f"job {number}")
        return job

    async def issue_token(
        self, principal: Principal, request: messages.IssueTokenRequest
    ) -> messages.IssueTokenResponse:
        """A token for the caller's own use, never for more than the configured time."""
        require(principal, "IssueToken", Relation.OWN)
        limit = self.configuration.service.token_valid_s
        if request.valid_s < 0 or request.valid_s > limit:
            raise CallFailed(
                Code.INVALID_ARGUMENT, f"valid_s {request.valid_s}: at most {limit} (token_valid in [listen])"
            )
        valid_s = request.valid_s or limit
        now = self.engine.clock.now()
        token = self._tokens.issue(principal.owner, Role(principal.role), now=now, valid_s=valid_s)
        return messages.IssueTokenResponse(token=token, expires_at_us=Instant((now // US + valid_s) * US))

    async def admit_node(
        self, principal: Principal, request: messages.AdmitNodeRequest
    ) -> messages.AdmitNodeResponse:
        """The token of one node's agent; it is good for that node's name alone."""
        require(principal, "AdmitNode", Relation.OTHER, f"node {request.node}")
        if not is_node_name(request.node):
            raise CallFailed(
                Code.INVALID_ARGUMENT,
                f'node "{request.node}": letters, digits, "-", "_", "." and a letter or digit first',
            )
        token = self._tokens.issue(
            principal.owner, Role.AGENT, now=self.engine.clock.now(), valid_s=LONG_LIVED_S, node=request.node
        )
        return messages.AdmitNodeResponse(token=token)


def _given(ref: messages.JobRef | None) -> messages.JobRef:
    if ref is None or not ref.job_id:
        raise CallFailed(Code.INVALID_ARGUMENT, "job: missing; it says which job")
    return ref


def _named(refs: list[messages.JobRef]) -> str:
    """The jobs as the caller wrote them, the first few."""
    names = [ref.text or str(ref.job_id) for ref in refs[:MOST_NAMED]]
    more = f" and {len(refs) - MOST_NAMED} more" if len(refs) > MOST_NAMED else ""
    return f"job {', '.join(names)}{more}"


def _unknown(ref: messages.JobRef) -> CallFailed:
    return CallFailed(
        Code.NOT_FOUND,
        f"job {ref.text or ref.job_id} is not known: never submitted, or finished and forgotten",
        slurm="Invalid job id specified",
        refusal="not_found",
    )


def _failed(reply: Reply) -> CallFailed:
    if isinstance(reply, Refused):
        return refused(reply)
    return CallFailed(Code.INTERNAL, f"the core answered {type(reply).__name__} to this call")

"""What slurmctld would answer: /slurm/v0.0.42, from the tables of the service's methods."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import asdict

from packhorse.scheduler.model.shapes import diagnostics, jobs, nodes, reservations, shares
from packhorse.scheduler.model.shapes.ping import PING
from packhorse.scheduler.model.shapes.shape import number
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.rest.job_refs import job_ref
from packhorse.scheduler.service.rest.routes import (
    FLAGS,
    SLURM,
    UPDATE_TIME,
    Answer,
    Call,
    Calls,
    Listed,
    Parameter,
    Route,
    Rows,
    rows,
)

_LISTED = (UPDATE_TIME, FLAGS)


class Controller:
    """The routes below /slurm that only look."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[Route]:
        """Those of this class."""

        def get(path: str, summary: str, content: dict[str, Any], call: Any, *query: Parameter) -> Route:
            return Route(
                "GET",
                SLURM + path,
                summary,
                content,
                call,
                query,
                dated=path not in ("/ping", "/diag", "/shares", "/reconfigure"),
            )

        job_list = {"jobs": ("list", jobs.JOB), "last_backfill": "number"}
        node_list = {"nodes": ("list", nodes.NODE)}
        partition_list = {"partitions": ("list", nodes.PARTITION)}
        reservation_list = {"reservations": ("list", reservations.RESERVATION)}
        which = Parameter("job_id", "jobs, separated by commas; all of them without")
        return [
            get("/jobs", "jobs in memory: all that wait or run, and those that ended lately",
                job_list, self.jobs, *_LISTED),
            get("/jobs/state", "the states of jobs, and no more",
                {"jobs": ("list", jobs.STATE), "last_backfill": "number"}, self.states, which),
            get("/job/{job_id}", "a job, or an array with its tasks", job_list, self.job, *_LISTED),
            get("/nodes", "registered nodes", node_list, self.nodes, *_LISTED),
            get("/node/{node_name}", "one node", node_list, self.node, *_LISTED),
            get("/partitions", "partitions", partition_list, self.partitions, *_LISTED),
            get("/partition/{partition_name}", "one partition", partition_list, self.partition, *_LISTED),
            get("/reservations", "reservations", reservation_list, self.reservations, *_LISTED),
            get("/reservation/{reservation_name}", "one reservation", reservation_list,
                self.reservation, *_LISTED),
            get("/licenses", "licences and how many are in use",
                {"licenses": ("list", reservations.LICENSE)}, self.licenses, *_LISTED),
            get("/shares", "the tree of shares and what was used of them", {"shares": shares.SHARES},
                self.shares, Parameter("accounts", "only these, separated by commas"),
                Parameter("users", "only these, separated by commas")),
            get("/reconfigure", "read the configuration again; administrators", {}, self.reconfigure),
            get("/diag", "figures of this scheduler", {"statistics": diagnostics.STATISTICS}, self.diag),
            get("/ping", "whether the scheduler answers", {"pings": ("list", PING)}, self.ping),
        ]  # fmt: skip

    async def jobs(self, call: Call) -> Answer:
        return await self._jobs(call, [])

    async def job(self, call: Call) -> Answer:
        ref = job_ref(call.path["job_id"])
        answer = await self._jobs(call, [ref])
        if not answer.content["jobs"].rows:
            raise unknown_job(ref.text)
        return answer

    async def _jobs(self, call: Call, refs: list[m.JobRef]) -> Answer:
        request = m.ListJobsRequest(fields=list(jobs.COLUMNS), jobs=refs, include_ended=True)
        table = await self._calls.ask("ListJobs", call.principal, request)
        listed = Listed(jobs.JOB, Rows(table, cluster=self.cluster))
        return Answer({"jobs": listed, "last_backfill": number(0, unset=True)}, _s(table))

    async def states(self, call: Call) -> Answer:
        refs = [job_ref(name) for name in call.names("job_id")]
        request = m.ListJobsRequest(fields=list(jobs.STATE_COLUMNS), jobs=refs, include_ended=True)
        table = await self._calls.ask("ListJobs", call.principal, request)
        if refs and not table.n_rows:
            raise unknown_job(call.query["job_id"])
        listed = Listed(jobs.STATE, rows(table))
        return Answer({"jobs": listed, "last_backfill": number(0, unset=True)}, _s(table))

    async def nodes(self, call: Call) -> Answer:
        return await self._nodes(call, [])

    async def node(self, call: Call) -> Answer:
        name = call.path["node_name"]
        answer = await self._nodes(call, [name])
        if not answer.content["nodes"].rows:
            raise CallFailed(
                Code.NOT_FOUND, f"Failure to query node {name}", slurm="Invalid node name specified"
            )
        return answer

    async def _nodes(self, call: Call, names: list[str]) -> Answer:
        table = await self._calls.ask("ListNodes", call.principal, m.ListNodesRequest(nodes=names))
        return Answer({"nodes": Listed(nodes.NODE, rows(table))}, _s(table))

    async def partitions(self, call: Call) -> Answer:
        table = await self._calls.ask("ListPartitions", call.principal, m.ListPartitionsRequest())
        return Answer({"partitions": Listed(nodes.PARTITION, rows(table))}, _s(table))

    async def partition(self, call: Call) -> Answer:
        name = call.path["partition_name"]
        answer = await self.partitions(call)
        every: Listed = answer.content["partitions"]
        found = [row for row in every.rows if row["name"] == name]
        if not found:
            there = ", ".join(row["name"] for row in every.rows)
            raise CallFailed(
                Code.NOT_FOUND,
                f'partition "{name[:100]}" is not configured; there are {there}',
                slurm="Invalid partition name specified",
            )
        return Answer({"partitions": every._replace(rows=found)}, answer.now_s)

    async def reservations(self, call: Call) -> Answer:
        return await self._reservations(call, [])

    async def reservation(self, call: Call) -> Answer:
        name = call.path["reservation_name"]
        answer = await self._reservations(call, [name])
        if not answer.content["reservations"].rows:
            raise CallFailed(
                Code.NOT_FOUND,
                f'there is no reservation "{name[:100]}"',
                slurm="Requested reservation is invalid",
            )
        return answer

    async def _reservations(self, call: Call, names: list[str]) -> Answer:
        request = m.ListReservationsRequest(names=names)
        table = await self._calls.ask("ListReservations", call.principal, request)
        return Answer({"reservations": Listed(reservations.RESERVATION, rows(table))}, _s(table))

    async def licenses(self, call: Call) -> Answer:
        table = await self._calls.ask("ListLicenses", call.principal, m.ListLicensesRequest())
        return Answer({"licenses": Listed(reservations.LICENSE, rows(table))}, _s(table))

    async def shares(self, call: Call) -> Answer:
        request = m.ListSharesRequest(accounts=call.names("accounts"), users=call.names("users"))
        table = await self._calls.ask("ListShares", call.principal, request)
        return Answer({"shares": shares.answer(rows(table), self.cluster)})

    async def diag(self, call: Call) -> Answer:
        answer = await self._calls.ask("GetDiagnostics", call.principal, m.GetDiagnosticsRequest())
        statistics = diagnostics.STATISTICS.of(figures(answer))
        return Answer({"statistics": statistics})

    async def reconfigure(self, call: Call) -> Answer:
        """A GET that changes something, as it is in Slurm."""
        answer = await self._calls.ask("Reconfigure", call.principal, m.ReconfigureRequest())
        if answer.problems:
            raise CallFailed(Code.INVALID_ARGUMENT, "; ".join(answer.problems))
        said = [f"{change.key}: {change.old} -> {change.new}" for change in answer.changes]
        return Answer({}, warnings=said)

    async def ping(self, call: Call) -> Answer:
        return Answer({"pings": [await self.pinged(call)]})

    async def pinged(self, call: Call) -> dict[str, Any]:
        """This scheduler as `pings` has it."""
        before = time.perf_counter()
        answer = await self._calls.ask("Ping", call.principal, m.PingRequest())
        latency_us = round((time.perf_counter() - before) * 1e6)
        return PING.of({"host": answer.host, "latency_us": latency_us})

    @property
    def cluster(self) -> str:
        """What the cluster is called."""
        return self._calls.engine.config.name


def figures(answer: m.GetDiagnosticsResponse) -> dict[str, Any]:
    """The answer as the shapes of diagnostics take it."""
    return {
        **{name: getattr(answer, name) for name in diagnostics.NUMBERS},
        **{
            kind: {name: getattr(passes or m.PassStatistics(), name) for name in diagnostics.PASS_NUMBERS}
            for kind, passes in (("main", answer.main), ("backfill", answer.backfill))
        },
        **{
            kind: [asdict(one) for one in getattr(answer, kind)]
            for kind in ("methods", "users", "orders", "waiting_nodes")
        },
    }


def unknown_job(text: str) -> CallFailed:
    """There is no such job in memory."""
    return CallFailed(
        Code.NOT_FOUND,
        f"job {text} is not known: never submitted, or finished and forgotten (/slurmdb has it then)",
        slurm="Invalid job id specified",
    )


def _s(table: m.Table) -> int:
    return table.now_us // 1_000_000

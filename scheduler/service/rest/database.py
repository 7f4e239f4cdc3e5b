"""What slurmdbd would answer: /slurmdb/v0.0.42, from accounting and the book of accounts."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from packhorse.scheduler.model.hostlist import compress_sorted
from packhorse.scheduler.model.ids import JobId
from packhorse.scheduler.model.shapes import accounting, book
from packhorse.scheduler.model.shapes.diagnostics import DATABASE_STATISTICS
from packhorse.scheduler.model.shapes.ping import DATABASE_PING
from packhorse.scheduler.service import messages as m
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.rest.controller import figures
from packhorse.scheduler.service.rest.job_refs import job_ref
from packhorse.scheduler.service.rest.routes import (
    SLURMDB,
    Answer,
    Call,
    Calls,
    Listed,
    Parameter,
    Route,
    rows,
)
from packhorse.scheduler.service.rest.times import instant_us

Row = dict[str, Any]

_JOB_QUERY = (
    Parameter("start_time", "ended after this: seconds since 1970, 2026-11-28, 2026-11-28T12:00:00; today's"),
    Parameter("end_time", "began before this; now"),
    Parameter("users", "of these users, separated by commas, as everywhere"),
    Parameter("account", "of these accounts"),
    Parameter("partition", "in these partitions"),
    Parameter("qos", "with these QOS"),
    Parameter("state", "in these states"),
    Parameter("job_name", "with these names"),
    Parameter("node", "on these nodes"),
    Parameter("reservation", "in these reservations"),
    Parameter("step", "these jobs, by id"),
    Parameter("cluster", "of this cluster, which has to be this one"),
    Parameter("format", "read and not needed: answers have every field"),
    Parameter("skip_steps", "true leaves steps out"),
    Parameter("show_duplicates", "true shows runs before a requeue too"),
)
_NAMED = Parameter("name", "only these, separated by commas")


def _unneeded(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name, "read and not needed: answers have every detail") for name in names)


_DETAILS = _unneeded("with_assocs", "with_coords", "with_deleted", "with_wckeys")
_USERS = (
    *(_NAMED, Parameter("admin_level", "with this level"), Parameter("default_account", "with this one")),
    *_DETAILS,
)
_ACCOUNTS = (
    _NAMED,
    *_unneeded("with_associations", "with_coordinators", "with_deleted", "with_assocs", "with_coords"),
)
_ASSOCIATION_COLUMNS = {
    "account": "account",
    "user": "user",
    "partition": "partition",
    "parent_account": "parent",
    "default_qos": "default_qos",
    "cluster": "cluster",
    "id": "id",
}
"""Parameters of associations, and the columns that they are about."""
_ASSOCIATIONS = (
    *[Parameter(name, "only of these, separated by commas") for name in _ASSOCIATION_COLUMNS],
    *_unneeded("format", "with_deleted", "include_usage"),
)
_QOS = (_NAMED, Parameter("id", "only these numbers"), *_unneeded("format", "with_deleted"))


class Database:
    """The routes below /slurmdb, which only look: accounts are changed by sacctmgr."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def routes(self) -> list[Route]:
        """All of them."""

        def get(path: str, summary: str, content: dict[str, Any], call: Any, *query: Parameter) -> Route:
            return Route("GET", SLURMDB + path, summary, content, call, query)

        jobs = {"jobs": ("list", accounting.JOB)}
        accounts = {"accounts": ("list", book.ACCOUNT)}
        users = {"users": ("list", book.USER)}
        associations = {"associations": ("list", book.ASSOC)}
        qos = {"qos": ("list", book.QOS)}
        clusters = {"clusters": ("list", book.CLUSTER)}
        tres = {"TRES": ("list", book.TRES_ROW)}
        wckeys = {"wckeys": ("list", book.WCKEY)}
        instances = {"instances": ("list", book.INSTANCE)}
        return [
            get("/jobs", "jobs of the accounting", jobs, self.jobs, *_JOB_QUERY),
            get("/job/{job_id}", "a job of the accounting, whenever it was", jobs, self.job),
            get("/users", "users", users, self.users, *_USERS),
            get("/user/{name}", "one user", users, self.user, *_DETAILS),
            get("/accounts", "accounts", accounts, self.accounts, *_ACCOUNTS),
            get("/account/{account_name}", "one account", accounts, self.account,
                *_ACCOUNTS[1:]),
            get("/associations", "the tree of associations", associations, self.associations, *_ASSOCIATIONS),
            get("/association", "one association", associations, self.association, *_ASSOCIATIONS),
            get("/qos", "QOS", qos, self.qos, *_QOS),
            get("/qos/{qos}", "one QOS", qos, self.one_qos, *_unneeded("with_deleted")),
            get("/clusters", "the cluster", clusters, self.clusters, *_unneeded("update_time")),
            get("/cluster/{cluster_name}", "the cluster, if that is its name", clusters, self.cluster),
            get("/tres", "what is counted", tres, self.tres),
            get("/instances", "machines lent by a cloud: none", instances, self.instances),
            get("/wckeys", "wckeys of the jobs in memory", wckeys, self.wckeys, _NAMED),
            get("/wckey/{id}", "one of them", wckeys, self.wckey),
            get("/config", "everything but jobs in one",
                {**accounts, **users, **associations, **qos, **clusters, **wckeys, **instances,
                 "tres": ("list", book.TRES_ROW)}, self.config),
            get("/diag", "figures of the calls", {"statistics": DATABASE_STATISTICS}, self.diag),
            get("/ping", "whether the accounting answers", {"pings": ("list", DATABASE_PING)}, self.ping),
        ]  # fmt: skip

    # -- jobs

    async def jobs(self, call: Call) -> Answer:
        query = call.query
        if query.get("cluster", self._cluster) != self._cluster:
            return Answer({"jobs": []}, warnings=[f'this is the cluster "{self._cluster}"'])
        now_us = self._calls.engine.clock.now()
        request = m.ListAccountingRequest(
            jobs=[job_ref(name) for name in call.names("step")],
            filter=m.JobFilter(
                users=call.names("users"),
                partitions=call.names("partition"),
                names=call.names("job_name"),
                states=call.names("state"),
                accounts=call.names("account"),
                qos=call.names("qos"),
                nodes=call.names("node"),
                reservations=call.names("reservation"),
            ),
            since_us=instant_us("start_time", query.get("start_time", ""), now_us) or _midnight_us(now_us),
            until_us=instant_us("end_time", query.get("end_time", ""), now_us) or now_us,
            allocations_only=query.get("skip_steps", "").lower() in ("true", "1", "yes"),
            duplicates=query.get("show_duplicates", "").lower() in ("true", "1", "yes"),
        )
        return await self._jobs(call, request)

    async def job(self, call: Call) -> Answer:
        ref = job_ref(call.path["job_id"])
        return await self._jobs(call, m.ListAccountingRequest(jobs=[ref]))

    async def _jobs(self, call: Call, request: m.ListAccountingRequest) -> Answer:
        table = await self._calls.ask("ListAccounting", call.principal, request)
        found = accounting.jobs(rows(table), table.now_us)
        # As slurmrestd: an answer without any, and a word about it.
        return Answer(
            {"jobs": Listed(accounting.JOB, found)}, warnings=[] if found else ["nothing was found"]
        )

    # -- the book of accounts

    async def users(self, call: Call) -> Answer:
        return await self._users(call, call.names("name"))

    async def user(self, call: Call) -> Answer:
        return _one("user", call.path["name"], await self._users(call, [call.path["name"]]))

    async def _users(self, call: Call, names: list[str]) -> Answer:
        associations = await self._associations_by(call, "user")
        keys = book.grouped(await self._list(call, "wckeys"), "user")
        found = [
            row | {"associations": associations.get(row["name"], []), "wckeys": keys.get(row["name"], [])}
            for row in await self._list(
                call,
                "users",
                name=names,
                default_account=call.names("default_account"),
                admin_level=call.names("admin_level"),
            )
        ]
        return Answer({"users": Listed(book.USER, found)})

    async def accounts(self, call: Call) -> Answer:
        return await self._accounts(call, call.names("name"))

    async def account(self, call: Call) -> Answer:
        name = call.path["account_name"]
        return _one("account", name, await self._accounts(call, [name]))

    async def _accounts(self, call: Call, names: list[str]) -> Answer:
        associations = await self._associations_by(call, "account")
        found = [
            row | {"associations": associations.get(row["name"], [])}
            for row in await self._list(call, "accounts", name=names)
        ]
        return Answer({"accounts": Listed(book.ACCOUNT, found)})

    async def _associations_by(self, call: Call, column: str) -> dict[str, list[Row]]:
        return book.grouped(await self._list(call, "associations"), column)

    async def associations(self, call: Call) -> Answer:
        chosen = {
            column: call.names(name) for name, column in _ASSOCIATION_COLUMNS.items() if name in call.query
        }
        found = [
            row
            for row in book.with_lineages(await self._list(call, "associations"))
            if all(str(row[column]) in names for column, names in chosen.items())
        ]
        return Answer({"associations": Listed(book.ASSOC, found)})

    async def association(self, call: Call) -> Answer:
        every: Listed = (await self.associations(call)).content["associations"]
        return Answer({"associations": every._replace(rows=every.rows[:1])})

    async def qos(self, call: Call) -> Answer:
        return await self._qos(call, call.names("name"))

    async def one_qos(self, call: Call) -> Answer:
        name = call.path["qos"]
        return _one("qos", name, await self._qos(call, [name]))

    async def _qos(self, call: Call, names: list[str]) -> Answer:
        found = await self._list(call, "qos", name=names, id=call.names("id"))
        return Answer({"qos": Listed(book.QOS, found)})

    async def tres(self, call: Call) -> Answer:
        found = await self._list(call, "tres")
        return Answer({"TRES": Listed(book.TRES_ROW, found)})

    async def wckeys(self, call: Call) -> Answer:
        found = await self._list(call, "wckeys", name=call.names("name"))
        return Answer({"wckeys": Listed(book.WCKEY, found)})

    async def wckey(self, call: Call) -> Answer:
        answer = await self.wckeys(call)
        every: Listed = answer.content["wckeys"]
        found = [row for row in every.rows if str(row["id"]) == call.path["id"]]
        return _one("wckey", call.path["id"], Answer({"wckeys": every._replace(rows=found)}))

    async def clusters(self, call: Call) -> Answer:
        ping = await self._calls.ask("Ping", call.principal, m.PingRequest())
        request = m.ListNodesRequest(fields=["name", "cfg_tres"])
        table = await self._calls.ask("ListNodes", call.principal, request)
        nodes = rows(table)
        row = {
            "cluster": ping.cluster,
            "host": ping.host,
            "port": 0,  # nothing of Slurm's protocol listens
            "nodes": compress_sorted([node["name"] for node in nodes]),
            "tres": _added([node["cfg_tres"] for node in nodes]),
        }
        return Answer({"clusters": Listed(book.CLUSTER, [row])})

    async def cluster(self, call: Call) -> Answer:
        name = call.path["cluster_name"]
        answer = await self.clusters(call)
        every: Listed = answer.content["clusters"]
        found = [row for row in every.rows if row["cluster"] == name]
        return _one("cluster", name, Answer({"clusters": every._replace(rows=found)}))

    async def instances(self, call: Call) -> Answer:
        await self._calls.ask("Ping", call.principal, m.PingRequest())  # whoever calls is somebody
        return Answer({"instances": []}, warnings=["nothing was found"])

    async def config(self, call: Call) -> Answer:
        parts = [
            await part(call)
            for part in (
                *(self.accounts, self.users, self.associations, self.qos, self.clusters, self.wckeys),
                self.instances,
            )
        ]
        whole = {key: value for part in parts for key, value in part.content.items()}
        return Answer(whole | {"tres": (await self.tres(call)).content["TRES"]})

    async def diag(self, call: Call) -> Answer:
        answer = await self._calls.ask("GetDiagnostics", call.principal, m.GetDiagnosticsRequest())
        return Answer({"statistics": DATABASE_STATISTICS.of(figures(answer))})

    async def ping(self, call: Call) -> Answer:
        """The store is asked: a thing that the accounting alone could not answer."""
        before = time.perf_counter()
        answer = await self._calls.ask("Ping", call.principal, m.PingRequest())
        if self._calls.engine.trouble:
            raise CallFailed(Code.UNAVAILABLE, f"the store does not answer: {self._calls.engine.trouble}")
        await asyncio.to_thread(self._calls.engine.store.job_log, JobId(1), 1)
        latency_us = round((time.perf_counter() - before) * 1e6)
        return Answer({"pings": [DATABASE_PING.of({"host": answer.host, "latency_us": latency_us})]})

    async def _list(self, call: Call, kind: str, **names: list[str]) -> list[Row]:
        """Rows of one kind of the book, with the cluster's name and a number."""
        filters = [m.FieldFilter(field=field, values=values) for field, values in names.items() if values]
        request = m.ListAccountsRequest(kind=kind, filters=filters)
        table = await self._calls.ask("ListAccounts", call.principal, request)
        return [{"id": at, "cluster": self._cluster} | row for at, row in enumerate(rows(table), 1)]

    @property
    def _cluster(self) -> str:
        return self._calls.engine.config.name


def _one(key: str, name: str, answer: Answer) -> Answer:
    """The answer, if there is something in it. Raises CallFailed."""
    if not any(listed.rows for listed in answer.content.values()):
        raise CallFailed(Code.NOT_FOUND, f'{key} "{name[:100]}": there is none of this name')
    return answer


def _added(texts: list[str]) -> list[Row]:
    """TRES of all nodes together."""
    from packhorse.scheduler.model.shapes.shape import tres

    found: dict[tuple[str, str], Row] = {}
    for text in texts:
        for item in tres(text):
            total = found.setdefault((item["type"], item["name"]), item | {"count": 0})
            total["count"] += item["count"]
    return list(found.values())


def _midnight_us(now_us: int) -> int:
    """When the present day began here."""
    day = time.localtime(now_us // 1_000_000)
    return int(time.mktime((day.tm_year, day.tm_mon, day.tm_mday, 0, 0, 0, 0, 0, -1))) * 1_000_000

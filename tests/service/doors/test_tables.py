"""The tables: the same columns that the commands ask for, and what Slurm shows in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from packhorse.cli.slurm.fields_accounting import ACCOUNTING_COLUMNS
from packhorse.cli.slurm.fields_jobs import JOB_COLUMNS
from packhorse.cli.slurm.fields_nodes import LICENSE_COLUMNS, NODE_COLUMNS, PARTITION_COLUMNS
from packhorse.cli.slurm.fields_priority import PRIORITY_COLUMNS, SHARE_COLUMNS
from packhorse.scheduler.core.packing.board import CPU
from packhorse.scheduler.model.accounts import AccountsDelta, Qos, QosLimits
from packhorse.scheduler.model.ids import US, JobId, NodeName
from packhorse.scheduler.model.input import RegisterNode, ReportSilence
from packhorse.scheduler.model.node import Admin, NodeSpec, Offer
from packhorse.scheduler.model.resources import Ask, Device, Devices, Gres, Placement
from packhorse.scheduler.service.tables import amounts, devices
from packhorse.scheduler.service.tables.accounting import ACCOUNTING
from packhorse.scheduler.service.tables.jobs import JOBS
from packhorse.scheduler.service.tables.licenses import LICENSES
from packhorse.scheduler.service.tables.nodes import NODES
from packhorse.scheduler.service.tables.partitions import PARTITIONS
from packhorse.scheduler.service.tables.priorities import PRIORITIES
from packhorse.scheduler.service.tables.shares import SHARES
from packhorse.scheduler.service.tables.table import Catalogue
from tests.service.doors.running import SCRIPT, SETTINGS, Running

PARTITIONED = (
    SETTINGS
    + """
[[partition]]
name = "normal"
max_time = "1-00:00:00"
default_time = 60
def_mem_per_cpu = 500
[[partition]]
name = "high"
nodes = "n1"
priority_tier = 10
priority = 10
"""
)


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, PARTITIONED) as running:
        yield running


async def job_row(scheduler: Running, job: int, **more: Any) -> dict[str, Any]:
    answer = await scheduler.call("ListJobs", {"jobs": [{"jobId": job}], "includeEnded": True} | more)
    [row] = answer.rows()
    return row


@pytest.mark.parametrize(
    ("catalogue", "columns"),
    [
        (JOBS, JOB_COLUMNS),
        (NODES, NODE_COLUMNS),
        (PARTITIONS, PARTITION_COLUMNS),
        (LICENSES, LICENSE_COLUMNS),
        (ACCOUNTING, ACCOUNTING_COLUMNS),
        (PRIORITIES, PRIORITY_COLUMNS),
        (SHARES, SHARE_COLUMNS),
    ],
)
def test_both_catalogues_agree(catalogue: Catalogue[Any], columns: dict[str, str]) -> None:
    assert {name: field.type.value for name, field in catalogue.items()} == columns


async def test_a_waiting_job(scheduler: Running) -> None:
    job = await scheduler.submit(
        name="wide",
        ask={"nTasks": 4, "minNodes": 2, "cpuMilliPerTask": 1000},
        comment="two nodes",
        dependency={"conditions": [{"kind": "afterok", "jobId": await scheduler.submit()}]},
    )
    row = await job_row(scheduler, job)
    assert (row["state"], row["reason"], row["nodes"]) == ("PENDING", "Dependency", "")
    assert (row["n_nodes"], row["n_cpus"], row["n_tasks"]) == (2, 4, 4)
    assert row["req_tres"] == "cpu=4,mem=2000M,node=2,billing=4"
    assert row["alloc_tres"] == ""
    assert row["dependency"] == f"afterok:{job - 1}(unfulfilled)"
    assert (row["partition"], row["time_limit_s"]) == ("normal", 3600)
    assert (row["start_at"], row["end_at"], row["eligible_at"]) == (0, 0, 0)
    assert (row["priority"], row["mem_mib_per_cpu"]) == (10_000, 500)


async def test_a_running_job(scheduler: Running) -> None:
    await scheduler.add_node("n1", gpus=4)
    await scheduler.add_node("n2", gpus=4)
    job = await scheduler.submit(
        ask={"nTasks": 4, "minNodes": 2, "maxNodes": 2, "gresPerNode": [{"kind": "gpu", "count": 2}]}
    )
    await scheduler.settle()
    row = await job_row(scheduler, job)
    assert row["state"] == "CONFIGURING"
    await scheduler.started(job)
    row = await job_row(scheduler, job)
    assert (row["state"], row["reason"], row["nodes"]) == ("RUNNING", "None", "n[1-2]")
    assert row["batch_host"] == "n1"
    assert row["alloc_tres"] == "cpu=4,mem=2000M,node=2,billing=4,gres/gpu=4,gres/gpu:h200=4"
    assert row["gres_detail"] == "gpu:h200:2(IDX:0-1)"
    assert row["gres"] == "gpu:2"
    assert row["cpus_per_node"] == "2(x2)"
    assert row["mem_per_node"] == "1000(x2)"
    assert 0 < row["submit_at"] <= row["eligible_at"] <= row["start_at"]
    assert row["end_at"] == 0


@pytest.mark.parametrize(
    ("exit", "state", "reason", "code"),
    [
        ({}, "COMPLETED", "None", (0, 0)),
        ({"exit_code": 3}, "FAILED", "NonZeroExitCode", (3, 0)),
        ({"exit_signal": 9}, "FAILED", "JobLaunchFailure", (0, 9)),
        ({"launch_error": "sh: not found", "exit_code": 127}, "FAILED", "JobLaunchFailure", None),
    ],
)
async def test_an_ended_job(
    scheduler: Running, exit: dict[str, Any], state: str, reason: str, code: tuple[int, int] | None
) -> None:
    await scheduler.add_node()
    job = await scheduler.submit(requeue=False)
    await scheduler.settle()
    await scheduler.started(job)
    await scheduler.ended(job, **exit)
    row = await job_row(scheduler, job)
    assert (row["state"], row["reason"], row["nodes"]) == (state, reason, "n1")
    assert code is None or (row["exit_code"], row["exit_signal"]) == code
    assert row["end_at"] >= row["start_at"] > 0
    assert not (await scheduler.call("ListJobs", {"fields": ["job_id"]})).rows()
    assert (await scheduler.call("ListJobs", {"filter": {"states": ["F", "cd"]}})).rows()


async def test_holds_and_begin_times(scheduler: Running) -> None:
    held = await scheduler.submit(hold=True)
    row = await job_row(scheduler, held)
    assert (row["reason"], row["priority"], row["eligible_at"]) == ("JobHeldUser", 0, 0)
    begin = scheduler.now() + 3600 * US
    later = await scheduler.submit(beginAtUs=begin)
    row = await job_row(scheduler, later)
    assert (row["reason"], row["start_at"], row["begin_at"], row["eligible_at"]) == (
        "BeginTime",
        begin,
        begin,
        begin,
    )


async def test_dependencies_that_cannot_come_true(scheduler: Running) -> None:
    await scheduler.add_node()
    first = await scheduler.submit()
    after = {"kind": "afterok", "jobId": first}
    second = await scheduler.submit(dependency={"conditions": [after]})
    any_of = await scheduler.submit(
        dependency={
            "conditions": [after, {"kind": "after", "jobId": second, "delayS": 120}, {"kind": "singleton"}],
            "anyOf": True,
        },
        hold=True,
    )
    row = await job_row(scheduler, any_of)
    assert row["dependency"] == (
        f"afterok:{first}(unfulfilled)?after:{second}+2(unfulfilled)?singleton(unfulfilled)"
    )
    await scheduler.settle()
    await scheduler.started(first)
    await scheduler.ended(first, exit_code=1)
    row = await job_row(scheduler, second)
    assert (row["reason"], row["dependency"]) == ("DependencyNeverSatisfied", f"afterok:{first}(failed)")


async def test_arrays(scheduler: Running) -> None:
    await scheduler.add_node(cpus=2)
    array = await scheduler.submit(array="1-9%2", name="arr")
    await scheduler.settle()
    rows = (await scheduler.call("ListJobs", {"jobs": [{"jobId": array}]})).rows()
    by_index = {row["array_task_id"]: row for row in rows}
    assert set(by_index) == {-1, 1, 2}
    remainder = by_index[-1]
    assert (remainder["job_id"], remainder["array_job_id"]) == (array, array)
    assert (remainder["array_pending"], remainder["array_limit"]) == ("3-9%2", 2)
    assert remainder["reason"] == "JobArrayTaskLimit"
    assert by_index[1]["array_pending"] == ""
    expanded = (await scheduler.call("ListJobs", {"jobs": [{"jobId": array}], "expandArrays": True})).rows()
    assert sorted(row["array_task_id"] for row in expanded) == list(range(1, 10))
    some = {"jobId": array, "indices": [{"start": 2, "stop": 4}]}
    rows = (await scheduler.call("ListJobs", {"jobs": [some]})).rows()
    assert [(row["array_task_id"], row["array_pending"]) for row in rows] == [(2, ""), (-1, "3-4%2")]


async def test_what_is_unknown_is_said(scheduler: Running) -> None:
    job = await scheduler.submit()
    refs = [
        {"jobId": 99},
        {"jobId": job},
        {"jobId": job, "indices": [{"start": 1, "stop": 1}], "text": f"{job}_1"},
    ]
    answer = await scheduler.call("ListJobs", {"jobs": refs, "fields": ["job_id"]})
    assert answer["unknown"] == ["99", f"{job}_1"]
    assert answer.rows() == [{"job_id": job}]


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ({"users": ["nobody-of-that-name"]}, []),
        ({"users": ["0"]}, ["a", "b", "c"]),
        ({"partitions": ["high"]}, ["b"]),
        ({"names": ["a", "c"]}, ["a", "c"]),
        ({"accounts": ["lab"]}, ["c"]),
        ({"qos": ["normal"], "names": ["b"]}, ["b"]),
        ({"states": ["PD"]}, ["b", "c"]),
        ({"states": ["running", "CF"]}, ["a"]),
        ({"nodes": ["n1"]}, ["a"]),
        ({"nodes": ["n2"]}, []),
    ],
)
@pytest.mark.needs_root
async def test_filters(scheduler: Running, filter: dict[str, Any], names: list[str]) -> None:
    await scheduler.add_node()
    await scheduler.submit(name="a")
    await scheduler.settle()
    await scheduler.submit(name="b", partition="high", hold=True)
    await scheduler.submit(name="c", account="lab", hold=True)
    answer = await scheduler.call("ListJobs", {"filter": filter, "fields": ["name"]})
    assert [row["name"] for row in answer.rows()] == names


async def test_a_state_that_does_not_exist(scheduler: Running) -> None:
    answer = await scheduler.call("ListJobs", {"filter": {"states": ["sleeping"]}})
    assert (answer.status, answer["slurm"]) == (400, "Invalid job state specified")
    assert "PENDING" in answer["message"]


async def test_a_node_that_was_asked_for_and_is_away(scheduler: Running) -> None:
    await scheduler.add_node("n1")
    await scheduler.add_node("n2")
    drained = await scheduler.call(
        "UpdateNodes", {"nodes": ["n2"], "action": "NODE_ACTION_DRAIN", "reason": "replace fan"}
    )
    assert drained["outcomes"] == [{"ref": "n2"}]
    job = await scheduler.submit(ask={"nodesRequired": ["n2"]})
    await scheduler.settle()
    row = await job_row(scheduler, job)
    assert row["reason"] == "ReqNodeNotAvail, UnavailableNodes:n2"
    assert row["req_nodes"] == "n2"


async def test_nodes(scheduler: Running) -> None:
    await scheduler.add_node("n1", cpus=2, gpus=2)
    await scheduler.add_node("n2", cpus=2)
    job = await scheduler.submit(
        partition="high", ask={"nTasks": 1, "gresPerNode": [{"kind": "gpu", "type": "h200", "count": 1}]}
    )
    await scheduler.settle()
    await scheduler.call(
        "UpdateNodes", {"nodes": ["n2"], "action": "NODE_ACTION_DRAIN", "reason": "replace fan"}
    )
    one, two = (await scheduler.call("ListNodes")).rows()
    assert (one["state"], one["cpus"], one["cpus_alloc"]) == ("MIXED", 2, 1)
    assert (one["gres"], one["gres_used"]) == ("gpu:h200:2", "gpu:h200:1")
    assert one["partitions"] == "normal,high"
    assert one["cfg_tres"] == "cpu=2,mem=16000M,billing=2,gres/gpu=2,gres/gpu:h200=2"
    assert one["alloc_tres"] == "cpu=1,gres/gpu=1,gres/gpu:h200=1"
    assert (one["reason"], one["mem_free_mib"], one["cpu_load_milli"]) == ("", -1, -1)
    assert (two["state"], two["partitions"]) == ("DRAINED", "normal")
    assert (two["reason"], two["reason_at"] > 0) == ("replace fan", True)
    more = await scheduler.submit(partition="high")
    await scheduler.settle()
    [row] = (await scheduler.call("ListNodes", {"nodes": ["n1"], "fields": ["state"]})).rows()
    assert row["state"] == "ALLOCATED"
    await scheduler.call("UpdateNodes", {"nodes": ["n1"], "action": "NODE_ACTION_DRAIN", "reason": "x"})
    answer = await scheduler.call("ListNodes", {"nodes": ["n1", "n9"], "fields": ["state"]})
    assert (answer.rows(), answer["unknown"]) == ([{"state": "DRAINING"}], ["n9"])
    assert scheduler.active(job) and scheduler.active(more)


async def test_a_silent_node_is_down(scheduler: Running) -> None:
    await scheduler.add_node("n1")
    await scheduler.engine.call(ReportSilence(next(iter(scheduler.engine.state.nodes))))
    [row] = (await scheduler.call("ListNodes")).rows()
    assert (row["state"], row["not_responding"], row["reason"]) == ("DOWN", 1, "Not responding")


async def test_partitions(scheduler: Running) -> None:
    await scheduler.add_node("n1", gpus=1)
    await scheduler.add_node("n2")
    normal, high = (await scheduler.call("ListPartitions")).rows()
    assert (normal["name"], normal["is_default"], normal["nodes"]) == ("normal", 1, "n[1-2]")
    assert (normal["max_time_s"], normal["default_time_s"], normal["def_mem_mib_per_cpu"]) == (
        86400,
        3600,
        500,
    )
    assert normal["tres"] == "cpu=16,mem=32000M,node=2,billing=16,gres/gpu=1,gres/gpu:h200=1"
    assert (high["nodes"], high["priority_tier"], high["total_nodes"]) == ("n1", 10, 1)


async def test_status_counts_what_there_is(scheduler: Running) -> None:
    await scheduler.add_node("n1", cpus=2)
    await scheduler.submit(array="0-9")
    await scheduler.settle()
    status = await scheduler.call("GetStatus")
    counts = {(row["state"], row.get("reason", "")): row["count"] for row in status["jobs"]}
    assert counts[("CONFIGURING", "")] == 2
    assert sum(n for (state, _), n in counts.items() if state == "PENDING") == 8
    [node] = status["nodes"]
    assert (node["name"], node["state"], node["nJobs"]) == ("n1", "ALLOCATED", 2)
    cpu = next(amount for amount in status["amounts"] if amount["resource"] == "cpu_milli")
    assert (cpu["capacity"], cpu["allocated"], cpu["used"]) == (2000, 2000, -1)
    assert status["store"] == "ok"
    assert scheduler.engine.state.node_columns.used[CPU].sum() == 2000
    assert all(node.admin is Admin.UP for node in scheduler.engine.state.nodes.values())


async def test_a_waiting_job_has_as_many_nodes_as_its_cpus_take(scheduler: Running) -> None:
    for name in ("n1", "n2"):
        await scheduler.add_node(name, cpus=4)
    job = await scheduler.submit(hold=True, ask={"nTasks": 5})
    assert (await job_row(scheduler, job))["n_nodes"] == 2
    job = await scheduler.submit(hold=True, ask={"nTasks": 4})
    assert (await job_row(scheduler, job))["n_nodes"] == 1


def test_what_an_ask_comes_to() -> None:
    assert amounts.asked(Ask())[:4] == (1, 0, 1, 1)
    assert amounts.asked(Ask(n_tasks=64, min_nodes=8))[:4] == (64, 0, 8, 64)
    assert amounts.asked(Ask(min_nodes=9))[:4] == (9, 0, 9, 9)
    assert amounts.asked(Ask(n_tasks=8, tasks_per_node=2, mem_mib_per_node=100))[:4] == (8, 400, 4, 8)
    assert amounts.asked(Ask(n_tasks=4, cpu_milli_per_task=1500, mem_mib_per_cpu=10))[:2] == (6, 60)
    gres = Ask(
        n_tasks=2,
        min_nodes=2,
        gres_per_node=(Gres("gpu", "", 1),),
        gres_per_task=(Gres("gpu", "", 1),),
        gres_per_job=(Gres("nic", "x", 3),),
    )
    assert amounts.asked(gres).gres == (("gpu", "", 4000), ("nic", "x", 3000))


def test_amounts_as_text() -> None:
    assert amounts.index_text((0, 1, 3, 5, 6, 7)) == "0-1,3,5-7"
    assert amounts.index_text((2,)) == "2"
    assert amounts.repeated_text([4, 4, 2]) == "4(x2),2"
    assert amounts.repeated_text([1]) == "1"
    placements = (
        Placement("a", 1500, 1024, devices=(Devices("gpu", "h200", (0, 1)), Devices("nic", "", (3,)))),  # type: ignore[arg-type]
    )
    assert amounts.tres_text(amounts.placed(placements)) == (
        "cpu=2,mem=1G,node=1,billing=2,gres/gpu=2,gres/gpu:h200=2,gres/nic=1"
    )
    assert amounts.granted_text(placements) == "gpu:h200:2(IDX:0-1),nic:1(IDX:3)"


async def test_ten_thousand_waiting_jobs(scheduler: Running) -> None:
    """Measured 10 ms to build and encode the default view; the bound only catches another order of growth."""
    import time

    item = {"specs": [{"name": "j", "script": "IyEvYmluL3NoCg=="}], "items": [{"spec": 0, "copies": 10_000}]}
    assert (await scheduler.call("SubmitJobs", item))["count"] == 10_000
    begun = time.perf_counter()
    answer = await scheduler.call("ListJobs", {"fields": ["job_id", "name", "state", "reason", "nodes"]})
    assert answer["nRows"] == 10_000
    assert time.perf_counter() - begun < 5
    assert msgspec.json.encode(answer)


async def test_one_job_among_many(scheduler: Running) -> None:
    item = {"specs": [{"name": "j", "script": "IyEvYmluL3NoCg=="}], "items": [{"spec": 0, "copies": 200}]}
    await scheduler.call("SubmitJobs", item)
    held = await scheduler.submit(hold=True)
    row = await job_row(scheduler, held)
    assert (row["reason"], row["planned_start_at"]) == ("JobHeldUser", 0)


async def test_why_it_waits_in_a_sentence(scheduler: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packhorse.scheduler.service.tables.jobs.MAX_EXPLAINED", 1)
    await scheduler.submit(hold=True)
    await scheduler.submit(hold=True)
    rows = (await scheduler.call("ListJobs", {"fields": ["reason_text"]})).rows()
    assert rows[0]["reason_text"].startswith("held by its owner; ")
    assert rows[1]["reason_text"] == "JobHeldUser"


def test_shares_and_slices_as_text() -> None:
    placements = (
        Placement(
            NodeName("a"),
            1000,
            0,
            devices=(
                Devices("gpu", "h200", (3,), 250),
                Devices("gpu", "h200", (4,), 500),
                Devices("gpu", "h200", (5,), 142, "1g.18gb", (0, 2)),
            ),
        ),
    )
    assert amounts.tres_text(amounts.placed(placements), billing=False) == (
        "cpu=1,node=1,gres/gpu=0.892,gres/gpu:h200=0.75,gres/gpu:1g.18gb=1"
    )
    assert amounts.granted_text(placements) == (
        "gpu:h200:0.25(IDX:3),gpu:h200:0.5(IDX:4),gpu:1g.18gb:1(IDX:5#2)"
    )
    ask = Ask(n_tasks=4, gres_per_task=(Gres("gpu", "", 1, 250),))
    assert amounts.tres_text(amounts.asked(ask)) == "cpu=4,node=1,billing=4,gres/gpu=1"
    ask = Ask(gres_per_node=(Gres("gpu", "", 1, 1000, 20480),))
    assert amounts.tres_text(amounts.asked(ask)) == "cpu=1,node=1,billing=1,gres/gpumem=20G"
    ask = Ask(gres_per_node=(Gres("gpu", "1g.18gb", 2),))
    assert amounts.tres_text(amounts.asked(ask)) == "cpu=1,node=1,billing=1,gres/gpu:1g.18gb=2"


async def test_slices_count_what_they_are_of_a_device(scheduler: Running) -> None:
    layouts = (("1g.18gb",) * 7, ("4g.71gb", "3g.71gb"))
    gpus = tuple([Device("gpu", "h200", index, layouts=layouts) for index in range(8)])
    spec = NodeSpec(NodeName("n1"), "n1", 8_000, 16_000, devices=gpus)
    await scheduler.engine.call(RegisterNode(spec, "boot", Offer(1, 8_000, 16_000)))
    asks = (("1g.18gb", 8), ("3g.71gb", 1), ("h200", 5), ("3g.71gb", 4))
    sliced, *_, waits = [
        await scheduler.submit(ask={"gresPerNode": [{"kind": "gpu", "type": type_, "count": n}]})
        for type_, n in asks
    ]
    await scheduler.settle()
    row = await job_row(scheduler, sliced)
    assert row["alloc_tres"] == "cpu=1,mem=500M,node=1,billing=1,gres/gpu=1.136,gres/gpu:1g.18gb=8"
    row = await job_row(scheduler, waits)
    assert row["req_tres"] == "cpu=1,mem=500M,node=1,billing=1,gres/gpu:3g.71gb=4"
    [node] = (await scheduler.call("ListNodes", {"fields": ["alloc_tres"]})).rows()
    assert node["alloc_tres"] == (
        "cpu=3,mem=1500M,gres/gpu=6.564,gres/gpu:1g.18gb=8,gres/gpu:3g.71gb=1,gres/gpu:h200=5"
    )
    jobs = await scheduler.call("ListAccounting", {"jobs": [{"jobId": sliced}]})
    assert "gres/gpu=1.136,gres/gpu:1g.18gb=8" in str(jobs)


def test_who_holds_what_of_a_device() -> None:
    layouts = (("4g.71gb", "3g.71gb"), ("1g.18gb",) * 7)
    node = (
        Device("gpu", "h200", 0, "GPU-1", 1024, 0, 1, layouts),
        Device("gpu", "h200", 1),
        Device("gpu", "h200", 2, layouts=layouts),
    )
    a, b, c = JobId(7), JobId(8), JobId(9)
    held = {
        a: Placement(NodeName("n"), 0, 0, devices=(Devices("gpu", "h200", (1,), 250),) * 2),
        b: Placement(NodeName("n"), 0, 0, devices=(Devices("gpu", "h200", (1,), 100),)),
        c: Placement(
            NodeName("n"),
            0,
            0,
            devices=tuple([Devices("gpu", "h200", (2,), 142, "1g.18gb", (1, slice_)) for slice_ in (0, 6)]),
        ),
    }
    idle, shared, cut = msgspec.json.decode(devices.uses_json(devices.device_uses(node, held)))
    assert idle == {
        "kind": "gpu",
        "index": 0,
        "type": "h200",
        "mem_mib": 1024,
        "numa": 0,
        "link": 1,
        "layouts": ["1x4g.71gb+1x3g.71gb", "7x1g.18gb"],
    }
    assert (shared["used"], shared["jobs"], shared["declared"]) == (600, [7, 8], True)
    assert (cut["layout"], cut["in_use"], cut["jobs"]) == ("7x1g.18gb", ["1g.18gb#0:9", "1g.18gb#6:9"], [9])
    assert cut["used"] == 284
    held = {
        a: Placement(NodeName("n"), 0, 0, devices=(Devices("gpu", "h200", (0,), 428, "3g.71gb", (0, 1)),)),
        b: Placement(NodeName("n"), 0, 0, devices=(Devices("gpu", "h200", (2,), 428, "3g.71gb", (0, 1)),)),
        c: Placement(NodeName("n"), 0, 0, devices=(Devices("gpu", "h200", (2,), 571, "4g.71gb", (0, 0)),)),
    }
    uses = msgspec.json.decode(devices.uses_json(devices.device_uses(node, held)))
    assert [use.get("used", 0) for use in uses] == [428, 0, 1000]
    assert devices.uses_json([]) == ""


async def test_quotas(scheduler: Running) -> None:
    fields = {"fields": ["kind", "name", "title", "tres", "limit", "used"]}
    assert (await scheduler.call("ListQuotas", fields)).rows() == []
    qos = Qos("normal", limits=QosLimits(grp_jobs=1, max_tres_pu=(("cpu", 4000),)))
    scheduler.engine.state.accounts.change(AccountsDelta(qos=(qos,)))
    await scheduler.add_node("n1")
    await scheduler.submit()
    waits = await scheduler.submit()
    await scheduler.settle()
    rows = [
        {"kind": "qos", "name": "normal", "title": "GrpJobs", "tres": "", "limit": 1, "used": 1},
        {"kind": "qos", "name": "normal", "title": "MaxTRESPU", "tres": "cpu", "limit": 4000, "used": -1},
    ]
    assert (await scheduler.call("ListQuotas", fields)).rows() == rows
    nobodys = await scheduler.call("ListQuotas", {**fields, "names": ["chem", "normal", "root"]})
    assert (nobodys.rows(), nobodys["unknown"]) == (rows[:2], ["chem"])
    jobs = (await scheduler.call("ListJobs", {"fields": ["job_id", "reason"]})).rows()
    assert {"job_id": waits, "reason": "QOSGrpJobsLimit"} in jobs


async def test_licences(scheduler: Running) -> None:
    assert (await scheduler.call("ListLicenses")).rows() == []
    state = scheduler.engine.state
    state.config = msgspec.structs.replace(state.config, licenses=(("matlab", 10), ("fluent", 1)))
    await scheduler.add_node("n1")
    await scheduler.submit(licenses="matlab:3")
    waits = await scheduler.submit(licenses="matlab:8")
    await scheduler.settle()
    assert (await scheduler.call("ListLicenses")).rows() == [
        {"name": "matlab", "total": 10, "used": 3, "free": 7},
        {"name": "fluent", "total": 1, "used": 0, "free": 1},
    ]
    rows = (await scheduler.call("ListJobs", {"fields": ["job_id", "reason", "licenses"]})).rows()
    assert {"job_id": waits, "reason": "Licenses", "licenses": "matlab:8"} in rows
    spec = {"name": "job", "workDir": "/tmp", "script": SCRIPT, "licenses": "fluent:2"}
    refused = await scheduler.call("SubmitJob", {"spec": spec})
    assert refused["slurm"] == "Invalid license specification"
    assert 'license "fluent": 2 asked, the cluster has 1' in refused["message"]

"""The HTTP door over real sockets: who gets in, what comes back, what is refused and how."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from google.protobuf import json_format

from packhorse.scheduler.service.auth import Directory
from packhorse.scheduler.service.convert_queries import message_class, writer
from packhorse.scheduler.service.messages import ListJobsRequest
from packhorse.scheduler.store.memory import MemoryStore
from tests.service.doors.running import SCRIPT, Running


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path) as running:
        yield running


async def test_the_socket_needs_no_token(scheduler: Running) -> None:
    answer = await scheduler.call("Ping")
    assert answer.status == 200
    assert answer["cluster"] == "packhorse"
    assert answer["epoch"] == 1


async def test_tcp_needs_a_token(scheduler: Running) -> None:
    answer = await scheduler.call_tcp("Ping")
    assert (answer.status, answer["code"]) == (401, "unauthenticated")
    assert "Authorization: Bearer" in answer["message"]
    answer = await scheduler.call_tcp("Ping", token="nonsense")
    assert (answer.status, answer["code"]) == (401, "unauthenticated")
    answer = await scheduler.call_tcp("Ping", token=scheduler.secret("owner.token"))
    assert answer.status == 200


async def test_a_local_caller_gets_a_token_for_tcp(scheduler: Running) -> None:
    issued = await scheduler.call("IssueToken", {"validS": 60})
    answer = await scheduler.call_tcp("GetStatus", token=issued["token"])
    assert answer.status == 200
    too_long = await scheduler.call("IssueToken", {"validS": 10**9})
    assert (too_long.status, too_long["code"]) == (400, "invalid_argument")


async def test_an_agents_token_is_for_agents_only(scheduler: Running) -> None:
    answer = await scheduler.call_tcp("ListJobs", token=scheduler.secret("agent-n1.token"))
    assert (answer.status, answer["code"]) == (403, "permission_denied")


async def test_submit_list_cancel(scheduler: Running) -> None:
    job = await scheduler.submit(name="first")
    array = await scheduler.submit(name="many", array="0-9%2")
    table = await scheduler.call("ListJobs", {"fields": ["job_id", "array_pending", "name", "state"]})
    assert table.rows() == [
        {"job_id": job, "array_pending": "", "name": "first", "state": "PENDING"},
        {"job_id": array, "array_pending": "0-9%2", "name": "many", "state": "PENDING"},
    ]
    answer = await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}, {"jobId": 99, "text": "99"}]})
    done, unknown = answer["outcomes"]
    assert done == {"ref": str(job)}
    assert (unknown["ref"], unknown["code"]) == ("99", "not_found")
    assert unknown["slurm"] == "Invalid job id specified"


async def test_a_refusal_says_what_slurm_says(scheduler: Running) -> None:
    answer = await scheduler.call("SubmitJob", {"spec": {"partition": "nosuch", "script": SCRIPT}})
    assert (answer.status, answer["code"], answer["refusal"]) == (400, "invalid_argument", "invalid")
    assert answer["slurm"] == "Invalid partition name specified"
    assert '"nosuch"' in answer["message"] and "main" in answer["message"]


async def test_a_repeated_call_with_a_key_gets_the_first_answer(scheduler: Running) -> None:
    body = {"spec": {"script": SCRIPT}, "idempotencyKey": "k1"}
    first = await scheduler.call("SubmitJob", body)
    assert await scheduler.call("SubmitJob", body) == first
    other = await scheduler.call("SubmitJob", {**body, "spec": {"script": SCRIPT, "name": "x"}})
    assert (other.status, other["code"]) == (409, "already_exists")


async def test_a_repeated_cancel_gets_the_first_answer_though_nothing_fits_its_filter_any_more(
    scheduler: Running,
) -> None:
    job = await scheduler.submit(hold=True, name="gone")
    body = {"filter": {"names": ["gone"]}, "idempotencyKey": "k2"}
    first = await scheduler.call("CancelJobs", body)
    assert [outcome["ref"] for outcome in first["outcomes"]] == [str(job)]
    assert await scheduler.call("CancelJobs", body) == first
    assert await scheduler.call("CancelJobs", {**body, "idempotencyKey": "k3"}) == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"spec":', "not JSON"),
        (b"[]", "SubmitJobRequest"),
        (b'{"spec": {"nam": "x"}}', '"nam"'),
        (b'{"spec": {"work_dri": "x"}}', '"work_dri"'),
        (b'{"spec": {"nice": "many"}}', "nice"),
        (b'{"spec": {"ask": {"nTasks": -1}}}', "$.spec.ask.nTasks"),
        (b'{"spec": {"nice": 1e400}}', "SubmitJobRequest"),
        (b"\xff\xfe", "not JSON"),
        (b"{}", "spec: missing"),
    ],
)
async def test_bad_bodies_are_named(scheduler: Running, body: bytes, words: str) -> None:
    url = "http://local/packhorse.v1.Scheduler/SubmitJob"
    headers = {"Content-Type": "application/json"}
    async with scheduler.local.post(url, data=body, headers=headers) as response:
        answer = await response.json()
    assert (response.status, answer["code"]) == (400, "invalid_argument")
    assert words in answer["message"]


async def test_protobufs_other_spellings_are_read(scheduler: Running) -> None:
    spec = {"script": SCRIPT, "work_dir": "/srv", "nice": "7", "time_limit_s": 60, "name": None}
    job = (await scheduler.call("SubmitJob", {"spec": spec}))["jobId"]
    table = await scheduler.call(
        "ListJobs", {"jobs": [{"job_id": str(job)}], "fields": ["work_dir", "nice", "time_limit_s"]}
    )
    assert table.rows() == [{"work_dir": "/srv", "nice": 7, "time_limit_s": 60}]
    done = await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}], "signal": 9, "scope": 2})
    assert done.status == 200


async def test_large_bodies_are_refused(tmp_path: Path) -> None:
    async with Running(tmp_path, "[listen]\nmax_message_mib = 1\n") as scheduler:
        answer = await scheduler.call("SubmitJob", {"spec": {"comment": "x" * (1 << 20)}})
        assert (answer.status, answer["code"]) == (429, "resource_exhausted")
        assert "1 MiB" in answer["message"]


async def test_scripts_have_a_limit(scheduler: Running) -> None:
    import base64

    script = base64.b64encode(b"#!/bin/sh\n" + b"#" * (1 << 20)).decode()
    answer = await scheduler.call("SubmitJob", {"spec": {"script": script}})
    assert answer["code"] == "invalid_argument"
    assert "1 MiB" in answer["message"]


async def test_what_is_not_there(scheduler: Running) -> None:
    answer = await scheduler.call("ListJob")
    assert (answer.status, answer["code"]) == (501, "unimplemented")
    assert 'did you mean "ListJobs"' in answer["message"]
    answer = await scheduler.call("ListJobs", {"fields": ["job_idd"]})
    assert 'did you mean "job_id"' in answer["message"]
    async with scheduler.local.get("http://local/packhorse.v1.Scheduler/Ping") as response:
        assert response.status == 501
    async with scheduler.local.get("http://local/elsewhere") as response:
        assert (response.status, (await response.json())["code"]) == (404, "not_found")
    headers = {"Content-Type": "application/proto"}
    url = "http://local/packhorse.v1.Scheduler/Ping"
    async with scheduler.local.post(url, data=b"", headers=headers) as response:
        assert "application/json" in (await response.json())["message"]


async def test_an_empty_body_is_an_empty_message(scheduler: Running) -> None:
    headers = {"Content-Type": "application/json"}
    url = "http://local/packhorse.v1.Scheduler/Ping"
    async with scheduler.local.post(url, data=b"", headers=headers) as response:
        assert response.status == 200


async def test_health_and_metrics_need_no_token(scheduler: Running) -> None:
    await scheduler.submit()
    base = f"http://{scheduler.addresses.http}"
    async with scheduler.remote.get(f"{base}/healthz") as response:
        assert (response.status, (await response.json())["status"]) == (200, "serving")
    async with scheduler.remote.get(f"{base}/metrics") as response:
        page = await response.text()
    assert response.headers["Content-Type"].startswith("text/plain")
    assert 'packhorse_jobs{reason="' in page and 'state="PENDING"} 1.0' in page
    assert "packhorse_jobs_submitted_total 1.0" in page
    assert 'packhorse_calls_total{code="ok",method="SubmitJob"} 1.0' in page
    assert "packhorse_commit_seconds_count" in page
    assert "packhorse_store_up 1.0" in page
    assert "process_resident_memory_bytes" in page
    assert "_created" not in page


async def test_a_table_is_proto3_json(scheduler: Running) -> None:
    await scheduler.add_node()
    for n in range(3):
        await scheduler.submit(name=f"job {n} \N{SNOWMAN}")
    await scheduler.submit(array="1-5")
    body = b'{"includeEnded":true}'
    headers = {"Content-Type": "application/json"}
    url = "http://local/packhorse.v1.Scheduler/ListJobs"
    async with scheduler.local.post(url, data=body, headers=headers) as response:
        sent = await response.read()
    parsed = json_format.Parse(sent, message_class("Table")())
    principal = Directory().local(os.geteuid(), os.getegid())
    table = await scheduler.methods.list_jobs(principal, ListJobsRequest(include_ended=True))
    table.now_us = parsed.now_us  # type: ignore[attr-defined]
    assert writer(type(table))(table) == parsed


async def test_events_come_as_lines(scheduler: Running) -> None:
    job = await scheduler.submit()
    url = "http://local/packhorse.v1.Scheduler/WatchEvents"
    body = {"afterSeq": 1, "jobs": [{"jobId": job}]}
    async with scheduler.local.post(url, json=body) as response:
        assert response.headers["Content-Type"] == "application/x-ndjson"
        async with asyncio.timeout(10):
            first = json.loads(await response.content.readline())
            await scheduler.call("CancelJobs", {"jobs": [{"jobId": job}]})
            second = json.loads(await response.content.readline())
    assert (first["kind"], first["jobId"]) == ("JobsSubmitted", job)
    assert second["kind"] == "JobEnded"
    assert "CANCELLED" in second["text"]
    assert second["seq"] > first["seq"]


async def test_a_watcher_ahead_of_the_log_is_refused(scheduler: Running) -> None:
    answer = await scheduler.call("WatchEvents", {"afterSeq": 10**6})
    assert (answer.status, answer["code"]) == (400, "out_of_range")


async def test_hanging_up_ends_a_wait(scheduler: Running) -> None:
    job = await scheduler.submit()
    url = "http://local/packhorse.v1.Scheduler/WaitJobs"
    with pytest.raises(TimeoutError):
        async with scheduler.local.post(
            url, json={"jobs": [{"jobId": job}]}, timeout=aiohttp.ClientTimeout(total=0.1)
        ):
            pass
    async with asyncio.timeout(10):
        while scheduler.methods.n_waiting:  # noqa: ASYNC110 - nothing tells when a handler was cancelled
            await asyncio.sleep(0.005)


async def test_the_socket_belongs_to_its_user(scheduler: Running) -> None:
    mode = os.stat(scheduler.addresses.socket).st_mode & 0o777
    assert mode == (0o666 if os.geteuid() == 0 else 0o600)


async def test_a_full_disk_is_told_and_healed_from(tmp_path: Path) -> None:
    """Calls, /healthz and /metrics say what is wrong, and serve again without a restart."""
    store = MemoryStore()
    async with Running(tmp_path, store=store) as scheduler:
        kept = await scheduler.submit(name="kept")
        store.capacity = 1
        answer = await scheduler.call("SubmitJob", {"spec": {"script": SCRIPT}})
        assert (answer.status, answer["code"]) == (503, "unavailable")
        base = f"http://{scheduler.addresses.http}"
        async with scheduler.remote.get(f"{base}/healthz") as response:
            assert (response.status, (await response.json())["status"]) == (503, "unavailable")
        async with scheduler.remote.get(f"{base}/metrics") as response:
            assert "packhorse_store_up 0.0" in await response.text()
        assert (await scheduler.call("ListJobs")).status == 503
        assert (await scheduler.call("Ping")).status == 200
        store.capacity = None
        async with asyncio.timeout(20):
            while (await scheduler.call("GetStatus")).status != 200:  # noqa: ASYNC110 - as a caller would
                await asyncio.sleep(0.02)
        table = await scheduler.call("ListJobs", {"fields": ["job_id", "name"]})
        assert table.rows() == [{"job_id": kept, "name": "kept"}]
        assert await scheduler.submit() > kept

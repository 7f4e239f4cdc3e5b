"""Slurm's REST interface over real sockets: every route, its answers against the OpenAPI document, who may
what, and what is refused how."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service.auth import Directory, Role
from packhorse.scheduler.service.rest.job_description import FIELDS, REFUSED, submission
from packhorse.scheduler.service.tokens import Tokens, load_key
from tests.service.doors.openapi_check import answer_schema, problems
from tests.service.doors.running import SCRIPT as RAW_SCRIPT
from tests.service.doors.running import SETTINGS, Running

SLURM = "/slurm/v0.0.42"
SLURMDB = "/slurmdb/v0.0.42"
SCRIPT = "#!/bin/sh\necho hello\n"
CONFIG = (
    SETTINGS
    + """
[[partition]]
name = "main"
default = true
max_time = "1-00:00:00"

[[partition]]
name = "high"
priority_tier = 10
qos = "fast"
allow_accounts = ["bio"]

[cluster]
licenses = ["matlab:4"]
"""
)
BOOK = [
    {"verb": "add", "thing": "qos", "name": "fast", "edits": [
        {"name": "priority", "text": "1000", "how": "="},
        {"name": "max_tres_pu", "text": "cpu=16,mem=2G", "how": "="},
        {"name": "max_wall_s", "text": "02:00:00", "how": "="},
        {"name": "flags", "text": "DenyOnLimit", "how": "="},
    ]},
    {"verb": "add", "thing": "account", "name": "bio", "edits": [
        {"name": "description", "text": "the biologists", "how": "="},
    ]},
    {"verb": "add", "thing": "user", "name": "root", "edits": [
        {"name": "default_account", "text": "bio", "how": "="},
    ]},
    {"verb": "add", "thing": "association", "account": "bio", "user": "root"},
    {"verb": "add", "thing": "user", "name": "ann"},
    {"verb": "add", "thing": "association", "account": "bio", "user": "ann", "edits": [
        {"name": "max_jobs", "text": "5", "how": "="},
        {"name": "max_tres", "text": "cpu=8", "how": "="},
    ]},
]  # fmt: skip


@pytest.fixture
async def scheduler(tmp_path: Path) -> AsyncIterator[Running]:
    async with Running(tmp_path, CONFIG) as running:
        yield running


def token_of(scheduler: Running, name: str = "ann", uid: int = 1001) -> str:
    """A token of an ordinary user."""
    tokens = Tokens(load_key(scheduler.home / "secrets"), "packhorse", Directory())
    return tokens.issue(Owner(uid, uid, name, name), Role.USER, now=scheduler.now(), valid_s=60)


def desc(**fields: Any) -> dict[str, Any]:
    return {
        "script": SCRIPT,
        "job": {
            "name": "hello",
            "current_working_directory": "/tmp",
            "environment": ["PATH=/bin:/usr/bin"],
            **fields,
        },
    }


async def submit(scheduler: Running, token: str | None = None, **fields: Any) -> int:
    answer = await scheduler.rest("POST", f"{SLURM}/job/submit", desc(**fields), token=token)
    assert answer["errors"] == []
    assert answer.status == 200
    return int(answer["job_id"])


async def lively(scheduler: Running) -> int:
    """Nodes, a running job, a waiting array, one that ended, a reservation, accounts. The running job."""
    await scheduler.add_node("n1", gpus=2)
    await scheduler.add_node("n2")
    changed = await scheduler.call("ChangeAccounts", {"changes": BOOK})
    assert changed.status == 200, changed
    over = await submit(scheduler, name="over")
    await scheduler.settle()
    await scheduler.started(over)
    await scheduler.ended(over, exit_code=3)
    job = await submit(scheduler, name="runs", tres_per_node="gres/gpu:1", time_limit=30, wckey="paper")
    await submit(scheduler, name="many", array="0-9%2", hold=True)
    await submit(scheduler, name="licensed", licenses="matlab:3", dependency=f"afterok:{job}")
    await scheduler.settle()
    await scheduler.started(job)
    wish = {"name": "course", "users": {"names": ["ann"]}, "nodes": {"names": ["n2"]}, "durationS": 3600}
    start = scheduler.now() + 3_600_000_000
    made = await scheduler.call("CreateReservation", {"wish": wish | {"startAtUs": start}})
    assert made.status == 200 and not made["outcomes"][0].get("code"), made
    return job


async def looks(scheduler: Running, job: int) -> list[tuple[str, str]]:
    """Every route that only looks, and a path of it."""
    document = await scheduler.rest("GET", "/openapi/v3")
    values = {
        "job_id": str(job),
        "node_name": "n1",
        "partition_name": "high",
        "reservation_name": "course",
        "account_name": "bio",
        "qos": "fast",
        "cluster_name": "packhorse",
        "id": "1",
    }
    found: list[tuple[str, str]] = []
    for path, operations in document["paths"].items():
        if "get" not in operations or path.endswith("/reconfigure"):  # that one does something
            continue
        name = "ann" if "/user/" in path else "?"
        found.append((path, path.format(name=name, **values)))
    return found


async def test_every_answer_is_what_the_document_says(scheduler: Running) -> None:
    job = await lively(scheduler)
    document = await scheduler.rest("GET", "/openapi/v3")
    assert document["openapi"].startswith("3.")
    assert await scheduler.rest("GET", "/openapi.json") == document
    there = await looks(scheduler, job)
    assert len(there) > 25
    for path, asked in there:
        answer = await scheduler.rest("GET", asked)
        assert answer.status == 200, (asked, answer)
        assert answer["errors"] == []
        assert problems(document, answer_schema(document, "GET", path), dict(answer)) == [], asked
        content = answer.keys() - {"meta", "errors", "warnings", "last_update"}
        assert content, asked
        for name in content - {"instances"}:
            assert answer[name], f"{asked} has nothing in {name}"


async def test_the_document_has_what_slurms_clients_look_for(scheduler: Running) -> None:
    document = await scheduler.rest("GET", "/openapi/v3")
    submit = document["paths"][f"{SLURM}/job/submit"]["post"]
    assert submit["operationId"] == "slurm_v0042_post_job_submit"
    body = submit["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    assert body == "#/components/schemas/v0.0.42_job_submit_req"
    schemas = document["components"]["schemas"]
    assert "v0.0.42_job_desc_msg" in schemas and "v0.0.42_job_info" in schemas
    assert schemas["v0.0.42_uint64_no_val_struct"]["properties"].keys() == {"set", "infinite", "number"}
    ids = [item["operationId"] for path in document["paths"].values() for item in path.values()]
    assert len(ids) == len(set(ids))
    get = document["paths"][f"{SLURM}/job/{{job_id}}"]["get"]
    assert [one["in"] for one in get["parameters"] if one["name"] == "job_id"] == ["path"]


SLURM_WEB = {
    f"{SLURM}/jobs": (
        "jobs",
        (
            "account cpus gres_detail job_id job_state node_count nodes partition priority qos "
            "sockets_per_node state_reason tasks tres_per_job tres_per_node tres_per_socket tres_per_task "
            "user_name "
        ),
    ),
    f"{SLURMDB}/jobs": ("jobs", "account job_id nodes partition priority qos state time tres user"),
    f"{SLURMDB}/job/{{job}}": (
        "jobs",
        (
            "association comment derived_exit_code exit_code group name nodes partition priority qos "
            "script state steps submit_line time tres user wckey working_directory "
        ),
    ),
    f"{SLURM}/job/{{job}}": (
        "jobs",
        (
            "accrue_time batch_flag command cpus current_working_directory gres_detail "
            "last_sched_evaluation node_count partition shared sockets_per_node standard_error "
            "standard_input standard_output tasks tres_per_job tres_per_node tres_per_socket "
            "tres_per_task tres_req_str "
        ),
    ),
    f"{SLURM}/nodes": (
        "nodes",
        (
            "name cpus sockets cores gres gres_used real_memory state reason partitions alloc_cpus "
            "alloc_idle_cpus "
        ),
    ),
    f"{SLURM}/node/n1": (
        "nodes",
        (
            "name architecture operating_system boot_time last_busy cpus sockets cores threads "
            "real_memory gres gres_used state reason partitions alloc_cpus alloc_idle_cpus alloc_memory "
        ),
    ),
    f"{SLURM}/partitions": ("partitions", "name node_sets"),
    f"{SLURMDB}/qos": ("qos", "name description priority flags limits"),
    f"{SLURM}/reservations": (
        "reservations",
        ("name users accounts node_list node_count start_time end_time flags "),
    ),
    f"{SLURMDB}/accounts": ("accounts", "name"),
    f"{SLURMDB}/associations": ("associations", "account max parent_account qos user"),
}
"""What Slurm-web's agent keeps of each answer (its filters)."""


async def test_slurm_web_finds_its_keys(scheduler: Running) -> None:
    job = await lively(scheduler)
    for path, (key, names) in SLURM_WEB.items():
        answer = await scheduler.rest("GET", path.format(job=job))
        assert answer.status == 200 and answer["errors"] == [] and "warnings" in answer
        for item in answer[key]:
            assert set(names.split()) <= item.keys(), path
    ping = await scheduler.rest("GET", f"{SLURM}/ping")
    assert ping["meta"]["slurm"]["cluster"] == "packhorse"
    assert ping["meta"]["slurm"]["release"] == "24.11.0"
    newer = await scheduler.rest("GET", "/slurm/v0.0.43/ping")
    assert newer.status == 404, "how Slurm-web finds the version that is spoken"


async def test_exporters_find_their_keys(scheduler: Running) -> None:
    await lively(scheduler)
    nodes = (await scheduler.rest("GET", f"{SLURM}/nodes"))["nodes"]
    wanted = (
        "hostname cpus alloc_cpus idle_cpus cpu_load real_memory free_mem alloc_memory partitions state "
        "weight"
    )
    assert set(wanted.split()) <= nodes[0].keys()
    lic = (await scheduler.rest("GET", f"{SLURM}/licenses"))["licenses"]
    names = "LicenseName Total Used Free Remote Reserved LastConsumed LastDeficit"
    assert set(names.split()) <= lic[0].keys()
    jobs = (await scheduler.rest("GET", f"{SLURM}/jobs"))["jobs"]
    wanted = "account end_time job_state partition user_name features state_reason job_resources"
    assert set(wanted.split()) <= jobs[0].keys()


async def test_jobs_say_what_is_known_of_them(scheduler: Running) -> None:
    job = await lively(scheduler)
    answer = await scheduler.rest("GET", f"{SLURM}/jobs")
    by_name = {item["name"]: item for item in answer["jobs"]}
    assert by_name["over"]["job_state"] == ["FAILED"]
    assert by_name["over"]["exit_code"]["return_code"] == {"set": True, "infinite": False, "number": 3}
    assert by_name["many"]["array_task_string"] == "0-9%2"
    assert by_name["many"]["hold"] is True
    assert by_name["many"]["job_resources"] is None
    assert by_name["licensed"]["state_reason"] == "Dependency"
    runs = by_name["runs"]
    assert runs["job_id"] == job and runs["job_state"] == ["RUNNING"]
    assert runs["time_limit"]["number"] == 30
    assert runs["wckey"] == "paper"
    assert runs["gres_detail"] == ["gpu:h200:1(IDX:0)"]
    [held] = runs["job_resources"]["nodes"]["allocation"]
    assert (held["name"], held["cpus"]["used"]) == ("n1", 1)
    assert runs["cluster"] == answer["meta"]["slurm"]["cluster"] == "packhorse"
    states = await scheduler.rest("GET", f"{SLURM}/jobs/state?job_id={job},999")
    assert [(one["job_id"], one["job_state"]) for one in states["jobs"]] == [(job, ["RUNNING"])]


async def test_a_partition_says_who_may_use_it(scheduler: Running) -> None:
    answer = await scheduler.rest("GET", f"{SLURM}/partition/high")
    [high] = answer["partitions"]
    assert high["accounts"] == {"allowed": "bio", "deny": ""}
    assert high["qos"]["assigned"] == "fast"
    assert high["priority"]["tier"] == 10
    assert high["maximums"]["time"] == {"set": False, "infinite": True, "number": 0}
    unknown = await scheduler.rest("GET", f"{SLURM}/partition/low")
    assert (unknown.status, unknown["errors"][0]["error_number"]) == (404, 2000)
    assert "main, high" in unknown["errors"][0]["description"]


async def test_the_book_of_accounts(scheduler: Running) -> None:
    await lively(scheduler)
    [fast] = (await scheduler.rest("GET", f"{SLURMDB}/qos/fast"))["qos"]
    assert fast["priority"]["number"] == 1000 and fast["flags"] == ["DENY_LIMIT"]
    limits = fast["limits"]["max"]
    assert limits["wall_clock"]["per"]["job"] == {"set": True, "infinite": False, "number": 120}
    per_user = {item["type"]: item["count"] for item in limits["tres"]["per"]["user"]}
    assert per_user == {"cpu": 16, "mem": 2048}
    assert limits["jobs"]["per"]["user"]["infinite"] is True
    [ann] = (await scheduler.rest("GET", f"{SLURMDB}/user/ann"))["users"]
    assert [one["account"] for one in ann["associations"]] == ["bio"]
    found = (await scheduler.rest("GET", f"{SLURMDB}/associations?user=ann"))["associations"]
    assert [(one["lineage"], one["max"]["jobs"]["active"]["number"]) for one in found] == [
        ("/root/bio/0-ann/", 5)
    ]
    missing = await scheduler.rest("GET", f"{SLURMDB}/user/bob")
    assert missing.status == 404


async def test_accounting_by_user_state_and_time(scheduler: Running) -> None:
    job = await lively(scheduler)
    answer = await scheduler.rest("GET", f"{SLURMDB}/jobs?state=FAILED")
    assert [item["name"] for item in answer["jobs"]] == ["over"]
    assert answer["jobs"][0]["state"] == {"current": ["FAILED"], "reason": "NonZeroExitCode"}
    assert [step["step"]["name"] for step in answer["jobs"][0]["steps"]] == ["batch"]
    later = scheduler.now() // 1_000_000 + 600
    none = await scheduler.rest("GET", f"{SLURMDB}/jobs?start_time={later}&state=FAILED")
    assert none["jobs"] == [] and none.status == 200
    assert none["warnings"][0]["description"] == "nothing was found"
    assert (await scheduler.rest("GET", f"{SLURMDB}/jobs?users=nobody"))["jobs"] == []
    [one] = (await scheduler.rest("GET", f"{SLURMDB}/job/{job}"))["jobs"]
    assert one["state"]["current"] == ["RUNNING"]
    wrong = await scheduler.rest("GET", f"{SLURMDB}/jobs?start_time=soon")
    assert wrong.status == 400 and "soon" in wrong["errors"][0]["description"]
    for text in ("2020-01-01", "2020-01-01T10:00:00", "1577836800", "uts1577836800"):
        answer = await scheduler.rest("GET", f"{SLURMDB}/jobs?start_time={text}&state=FAILED")
        assert len(answer["jobs"]) == 1, text


# -- submitting


async def test_everything_that_is_said_of_a_job_is_heard(scheduler: Running) -> None:
    await lively(scheduler)
    number = {"set": True, "infinite": False, "number": 2000}
    job = await submit(
        scheduler,
        account="bio",
        argv=["run.sh", "one", "two"],
        begin_time={"set": True, "infinite": False, "number": 4_000_000_000},
        comment="a word",
        constraints="fast",
        contiguous=True,
        cpus_per_task=2,
        deadline=4_100_000_000,
        environment={"COLOUR": "blue"},
        excluded_nodes=["n2"],
        flags=["KILL_INVALID_DEPENDENCY"],
        hold=True,
        kill_warning_signal="USR1",
        kill_warning_delay={"set": True, "infinite": False, "number": 90},
        kill_warning_flags=["BATCH_JOB"],
        mail_type=["END", "TIME=90%", "INVALID_DEPENDENCY"],
        mail_user="ann@example.org",
        memory_per_node=number,
        nice=7,
        nodes="1-3",
        open_mode=["APPEND"],
        partition="main",
        requeue=False,
        required_nodes="n1",
        required_switches=1,
        rlimits={"NOFILE": 4096},
        shared=["none"],
        standard_error="/tmp/err",
        standard_output="/tmp/out",
        tasks=2,
        tasks_per_node=2,
        time_limit={"set": True, "infinite": False, "number": 90},
        tres_per_task="cpu:3,gres/gpu:h200:1",
        wait_for_switch=600,
        wckey="paper",
    )
    spec = scheduler.engine.state.jobs[job].spec  # type: ignore[index]
    ask = spec.ask
    assert (spec.account, spec.args, spec.command) == ("bio", ("one", "two"), "run.sh")
    assert (spec.begin_at, spec.deadline_at) == (4_000_000_000_000_000, 4_100_000_000_000_000)
    assert (spec.comment, spec.wckey, spec.nice, spec.hold) == ("a word", "paper", 7, True)
    assert (spec.requeue, spec.append, spec.kill_on_invalid_dep) == (False, True, True)
    assert (spec.std_out, spec.std_err, spec.time_limit_s) == ("/tmp/out", "/tmp/err", 5400)
    assert spec.warn is not None
    assert (spec.warn.signal, spec.warn.seconds_before, spec.warn.batch_only) == (10, 90, True)
    assert spec.rlimits == (("nofile", 4096),)
    assert spec.switches_wait_s == 600
    [seen] = (await scheduler.rest("GET", f"{SLURM}/job/{job}"))["jobs"]
    assert seen["mail_type"] == ["END", "INVALID_DEPENDENCY", "TIME=90%"]
    assert (spec.mail, spec.mail_user) == ("END,INVALID_DEPEND,TIME_LIMIT_90", "ann@example.org")
    assert (ask.min_nodes, ask.max_nodes, ask.n_tasks, ask.tasks_per_node) == (1, 3, 2, 2)
    assert (ask.cpu_milli_per_task, ask.mem_mib_per_node) == (3000, 2000)
    assert (ask.features, ask.exclusive, ask.contiguous) == ("fast", True, True)
    assert (ask.nodes_required, ask.nodes_excluded, ask.max_switches) == (("n1",), ("n2",), 1)
    assert [(gres.kind, gres.type, gres.n) for gres in ask.gres_per_task] == [("gpu", "h200", 1)]
    assert spec.given.gpus_per_task == "h200:1" and spec.given.n_tasks


def test_every_field_of_slurms_is_read_or_refused() -> None:
    """Those of job_desc_msg that v0.0.42 has."""
    read, refused = set(FIELDS), set(REFUSED)
    assert not read & refused
    assert read | refused >= set(JOB_DESC_MSG.split())
    job = submission(
        {
            "jobs": [
                {
                    "temporary_disk_per_node": 5,
                    "memory_per_cpu": 7,
                    "tres_per_job": "gres:gpu:2,nic:1",
                    "flags": "SPREAD_JOB",
                }
            ]
        }
    )
    assert job.ask.spread
    assert (job.ask.tmp_mib_per_node, job.ask.mem_mib_per_cpu, job.given.gpus) == (5, 7, "2")
    assert [(gres.kind, gres.count) for gres in job.ask.gres_per_job] == [("gpu", 2), ("nic", 1)]


JOB_DESC_MSG = """
account account_gather_frequency admin_comment allocation_node_list allocation_node_port argv array
batch_features begin_time flags burst_buffer clusters cluster_constraint comment contiguous container
container_id core_specification thread_specification cpu_binding cpu_binding_flags cpu_frequency cpus_per_tres
crontab deadline delay_boot dependency end_time environment rlimits excluded_nodes extra constraints group_id
hetjob_group immediate job_id kill_on_node_fail licenses mail_type mail_user mcs_label memory_binding
memory_binding_type memory_per_tres name network nice tasks open_mode reserve_ports overcommit partition
distribution_plane_size power_flags prefer hold priority profile qos reboot required_nodes requeue reservation
resv_mpi_ports script shared site_factor spank_environment distribution time_limit time_minimum tres_bind
tres_freq tres_per_job tres_per_node tres_per_socket tres_per_task user_id wait_all_nodes kill_warning_flags
kill_warning_signal kill_warning_delay current_working_directory cpus_per_task minimum_cpus maximum_cpus nodes
minimum_nodes maximum_nodes minimum_boards_per_job minimum_sockets_per_board sockets_per_node threads_per_core
tasks_per_node tasks_per_socket tasks_per_core tasks_per_board ntasks_per_tres minimum_cpus_per_node
memory_per_cpu memory_per_node temporary_disk_per_node selinux_context required_switches segment_size
standard_error standard_input standard_output wait_for_switch wckey x11 x11_magic_cookie x11_target_host
x11_target_port
"""


async def test_fields_that_mean_nothing_here_are_refused_by_name(scheduler: Running) -> None:
    async def refusal(**fields: Any) -> str:
        answer = await scheduler.rest("POST", f"{SLURM}/job/submit", desc(**fields))
        assert answer.status == 400, answer
        [error] = answer["errors"]
        assert error["source"] == "slurm_v0042_post_job_submit" and error["error_number"]
        return str(error["description"])

    assert 'no field "time_limits"; did you mean "time_limit"' in await refusal(time_limits=5)
    assert await refusal(burst_buffer="x") == "burst_buffer: not supported by Packhorse"
    assert "tasks and cpus_per_task" in await refusal(minimum_cpus=4)
    assert "time_limit: not a whole number" in await refusal(time_limit="an hour")
    assert "nodes:" in await refusal(nodes="few")
    assert "array" in await refusal(array="9-1")
    assert "open_mode" in await refusal(open_mode=["WRITE"])
    assert "kill_warning_signal: missing" in await refusal(kill_warning_delay=5)
    assert "environment" in await refusal(environment=["BROKEN"])
    # Nothing is said by these.
    await submit(
        scheduler, burst_buffer="", reboot=False, x11=[], memory_per_cpu={"set": False}, minimum_cpus=0
    )


async def test_an_allocation_has_nodes_and_no_script(scheduler: Running) -> None:
    await scheduler.add_node("n1")
    path = f"{SLURM}/job/allocate"
    answer = await scheduler.rest("POST", path, {"job": {"name": "room", "tasks": 2, "time_limit": 10}})
    assert answer.status == 200, answer
    await scheduler.settle()
    [job] = (await scheduler.rest("GET", f"{SLURM}/job/{answer['job_id']}"))["jobs"]
    assert job["nodes"] == "n1" and job["tasks"]["number"] == 2
    refused = await scheduler.rest("POST", path, {"job": {"name": "room", "script": SCRIPT}})
    assert refused.status == 400 and "script: an allocation has none" in refused["errors"][0]["description"]


async def test_long_lists_are_whole(scheduler: Running) -> None:
    """They are made and sent in pieces."""
    for count in (1, 119, 5):
        item = {"spec": 0, "copies": count}
        spec = {"name": "one", "workDir": "/tmp", "script": RAW_SCRIPT}
        await scheduler.call("SubmitJobs", {"specs": [spec], "items": [item]})
    answer = await scheduler.rest("GET", f"{SLURM}/jobs")
    assert [job["job_id"] for job in answer["jobs"]] == list(range(1, 126))


async def test_bodies_that_are_no_submission(scheduler: Running) -> None:
    path = f"{SLURM}/job/submit"
    missing = await scheduler.rest("POST", path, {"script": SCRIPT})
    assert missing.status == 400 and "job: missing" in missing["errors"][0]["description"]
    several = await scheduler.rest("POST", path, {"jobs": [desc()["job"], desc()["job"]]})
    assert several.status == 400 and "heterogeneous" in several["errors"][0]["description"]
    other = await scheduler.rest("POST", path, {"scripts": SCRIPT})
    assert other.status == 400 and '"scripts"' in other["errors"][0]["description"]
    for body in (b"{", b"[1]", b"\xff"):
        url = f"http://local{path}"
        headers = {"Content-Type": "application/json"}
        async with scheduler.local.post(url, data=body, headers=headers) as response:
            assert response.status == 400
            answer = await response.json()
            assert answer["errors"][0]["error_number"] == 9000
    refused = await scheduler.rest("POST", path, desc(partition="nosuch"))
    assert (refused.status, refused["errors"][0]["error_number"]) == (400, 2000)
    assert refused["errors"][0]["error"] == "Invalid partition name specified"


# -- changing


async def test_a_job_is_changed_held_and_released(scheduler: Running) -> None:
    job = await submit(scheduler)
    path = f"{SLURM}/job/{job}"
    changed = await scheduler.rest(
        "POST", path, {"comment": "new", "time_limit": 10, "nice": 5, "hold": True}
    )
    assert changed.status == 200, changed
    [now] = (await scheduler.rest("GET", path))["jobs"]
    assert (now["comment"], now["time_limit"]["number"], now["nice"], now["hold"]) == ("new", 10, 5, True)
    assert (await scheduler.rest("POST", path, {"hold": False})).status == 200
    [now] = (await scheduler.rest("GET", path))["jobs"]
    assert now["hold"] is False
    nothing = await scheduler.rest("POST", path, {})
    assert nothing.status == 400 and "nothing to change" in nothing["errors"][0]["description"]
    fixed = await scheduler.rest("POST", path, {"environment": ["A=B"]})
    assert "it stays as it was submitted" in fixed["errors"][0]["description"]


async def test_jobs_are_cancelled_and_signalled(scheduler: Running) -> None:
    job = await lively(scheduler)
    signalled = await scheduler.rest("DELETE", f"{SLURM}/job/{job}?signal=USR1&flags=BATCH_JOB")
    assert signalled.status == 200, signalled
    array = await submit(scheduler, name="small", array="0-3", hold=True)
    one = await scheduler.rest("DELETE", f"{SLURM}/job/{array}_2")
    assert one.status == 200
    [rest] = [
        item
        for item in (await scheduler.rest("GET", f"{SLURM}/job/{array}"))["jobs"]
        if item["array_task_string"]
    ]
    assert rest["array_task_string"] == "0-1,3"
    killed = await scheduler.rest("DELETE", f"{SLURM}/jobs", {"jobs": [str(array), "999"]})
    assert killed.status == 200
    assert [item["job_id"]["number"] for item in killed["status"]] == [array, 999]
    assert killed["status"][1]["error"]["code"] == 2017 and killed["errors"][0]["error_number"] == 2017
    nobody = await scheduler.rest("DELETE", f"{SLURM}/jobs", {})
    assert nobody.status == 400 and "no job is meant" in nobody["errors"][0]["description"]
    gone = await scheduler.rest("DELETE", f"{SLURM}/job/999")
    assert (gone.status, gone["errors"][0]["error_number"]) == (404, 2017)
    bad = await scheduler.rest("DELETE", f"{SLURM}/job/{job}?signal=NOPE")
    assert bad.status == 400
    assert (await scheduler.rest("DELETE", f"{SLURM}/jobs", {"user_name": "root"})).status == 200


async def test_a_node_is_drained_and_resumed(scheduler: Running) -> None:
    await scheduler.add_node("n1")
    path = f"{SLURM}/node/n1"
    drained = await scheduler.rest("POST", path, {"state": ["DRAIN"], "reason": "new fan"})
    assert drained.status == 200, drained
    [node] = (await scheduler.rest("GET", path))["nodes"]
    assert node["state"] == ["IDLE", "DRAIN"] and node["reason"] == "new fan"
    assert (await scheduler.rest("POST", path, {"state": ["RESUME"]})).status == 200
    [node] = (await scheduler.rest("GET", path))["nodes"]
    assert node["state"] == ["IDLE"]
    assert (await scheduler.rest("POST", path, {"state": ["DRAIN"]})).status == 400, "no reason"
    assert (await scheduler.rest("POST", path, {"weight": 4})).status == 400
    both = {"name": "n[1-2]", "state": ["DRAIN"], "reason": "power"}
    assert (await scheduler.rest("POST", f"{SLURM}/nodes", both)).status == 404, "there is no n2"
    await scheduler.add_node("n2")
    assert (await scheduler.rest("POST", f"{SLURM}/nodes", both)).status == 200
    found = (await scheduler.rest("GET", f"{SLURM}/nodes"))["nodes"]
    assert [node["state"] for node in found] == [["IDLE", "DRAIN"]] * 2
    unknown = await scheduler.rest("POST", f"{SLURM}/node/n9", {"state": ["RESUME"]})
    assert unknown.status == 404


async def test_a_reservation_is_deleted_and_the_configuration_read_again(scheduler: Running) -> None:
    await lively(scheduler)
    path = f"{SLURM}/reservation/course"
    bob = token_of(scheduler, "bob", 1002)
    assert (await scheduler.rest("DELETE", path, token=bob)).status == 403
    assert (await scheduler.rest("DELETE", path)).status == 200
    assert (await scheduler.rest("GET", path)).status == 404
    assert (await scheduler.rest("GET", f"{SLURM}/reconfigure", token=bob)).status == 403
    no_file = await scheduler.rest("GET", f"{SLURM}/reconfigure")
    assert no_file.status == 400 and no_file["errors"][0]["description"], "this scheduler has no file"


# -- who calls


async def test_over_tcp_a_token_is_needed(scheduler: Running) -> None:
    url = f"http://{scheduler.addresses.http}{SLURM}/ping"
    async with scheduler.remote.get(url) as response:
        answer = await response.json()
        assert (response.status, answer["errors"][0]["error_number"]) == (401, 9008)
        assert "Authorization" in answer["errors"][0]["description"]
    assert (await scheduler.rest("GET", f"{SLURM}/ping", token="nonsense")).status == 401
    token = token_of(scheduler)
    answer = await scheduler.rest("GET", f"{SLURM}/ping", token=token, headers={"X-SLURM-USER-NAME": "ann"})
    assert answer.status == 200 and answer["meta"]["client"]["user"] == "ann"
    async with scheduler.remote.get(url, headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 200
    async with scheduler.remote.get(f"http://{scheduler.addresses.http}/openapi/v3") as response:
        assert response.status == 200, "the document is no secret"


async def test_nobody_calls_as_somebody_else(scheduler: Running) -> None:
    name = {"X-SLURM-USER-NAME": "root"}
    answer = await scheduler.rest("GET", f"{SLURM}/jobs", token=token_of(scheduler), headers=name)
    assert answer.status == 401 and '"ann"' in answer["errors"][0]["description"]
    as_root = await scheduler.rest(
        "POST", f"{SLURM}/job/submit", desc(user_id="0"), token=token_of(scheduler)
    )
    assert (as_root.status, as_root["errors"][0]["error_number"]) == (403, 2002)
    on_the_socket = await scheduler.rest("GET", f"{SLURM}/jobs", headers={"X-SLURM-USER-NAME": "ann"})
    assert on_the_socket.status == 401


async def test_jobs_of_others_and_nodes_are_for_administrators(scheduler: Running) -> None:
    await scheduler.add_node("n1")
    ann, bob = token_of(scheduler), token_of(scheduler, "bob", 1002)
    job = await submit(scheduler, ann)
    path = f"{SLURM}/job/{job}"
    [seen] = (await scheduler.rest("GET", path, token=bob))["jobs"]
    assert seen["user_name"] == "ann"
    for method, body in (("POST", {"comment": "mine now"}), ("DELETE", None)):
        answer = await scheduler.rest(method, path, body, token=bob)
        assert answer.status == 403 and answer["errors"][0]["error_number"] in (2002, 2010), answer
        assert "belongs to another user" in answer["errors"][0]["description"]
    drain = {"state": ["DRAIN"], "reason": "mine"}
    assert (await scheduler.rest("POST", f"{SLURM}/node/n1", drain, token=bob)).status == 403
    assert (await scheduler.rest("POST", path, {"comment": "x"}, token=ann)).status == 200
    owner = scheduler.secret("owner.token")
    assert (await scheduler.rest("DELETE", path, token=owner)).status == 200


# -- what is not there


async def test_paths_methods_and_parameters_that_do_not_exist(scheduler: Running) -> None:
    nowhere = await scheduler.rest("GET", f"{SLURM}/nothing")
    assert nowhere.status == 404 and "/openapi/v3" in nowhere["errors"][0]["description"]
    older = await scheduler.rest("GET", "/slurmdb/v0.0.39/jobs")
    assert older.status == 404 and "v0.0.42" in older["errors"][0]["description"]
    wrong = await scheduler.rest("DELETE", f"{SLURM}/nodes")
    assert wrong.status == 405 and "use GET" in wrong["errors"][0]["description"]
    parameter = await scheduler.rest("GET", f"{SLURM}/jobs?user=ann")
    assert parameter.status == 400 and "update_time, flags" in parameter["errors"][0]["description"]
    assert (await scheduler.rest("GET", f"{SLURM}/jobs?update_time=then")).status == 400
    assert (await scheduler.rest("GET", f"{SLURM}/jobs/?update_time=0&flags=DETAIL")).status == 200
    job = await scheduler.rest("GET", f"{SLURM}/job/999")
    assert (job.status, job["errors"][0]["error_number"]) == (404, 2017)
    assert (await scheduler.rest("GET", f"{SLURM}/job/abc")).status == 400
    node = await scheduler.rest("GET", f"{SLURM}/node/n9")
    assert node["errors"][0]["description"] == "Failure to query node n9", "Slurm-web looks for this"
    assert (await scheduler.rest("GET", f"{SLURM}/reservation/none")).status == 404


async def test_answers_in_yaml(scheduler: Running) -> None:
    url = f"http://local{SLURM}/ping"
    async with scheduler.local.get(url, headers={"Accept": "application/x-yaml"}) as response:
        assert response.content_type == "application/x-yaml"
        text = await response.text()
    assert text.startswith("---\npings:\n  - hostname: ")
    assert "\n    pinged: UP\n" in text


async def test_calls_are_counted(scheduler: Running) -> None:
    await scheduler.rest("GET", f"{SLURM}/ping")
    await scheduler.rest("GET", f"{SLURM}/job/999")
    async with scheduler.local.get("http://local/metrics") as response:
        page = await response.text()
    assert 'packhorse_calls_total{code="ok",method="slurm_v0042_get_ping"} 1.0' in page
    assert 'packhorse_calls_total{code="not_found",method="slurm_v0042_get_job"} 1.0' in page

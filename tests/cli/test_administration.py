"""sdiag, strigger, scrontab and the rest of scontrol: whole, as in golden/administration."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhorse.cli.slurm.scrontab import _entries
from tests.cli import session, transcripts
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler, table

GOLDEN = Path(__file__).parent / "golden" / "administration"

NOW_US = session.NOW_S * 1_000_000

STATISTICS: dict[str, Any] = {
    "nowUs": NOW_US,
    "sinceUs": NOW_US - 630_000_000,
    "nCallsActive": 1,
    "nOrdersQueued": 3,
    "nNodesQueued": 2,
    "nEventsQueued": 4,
    "jobsSubmitted": 63,
    "jobsStarted": 40,
    "jobsCompleted": 33,
    "jobsCancelled": 7,
    "jobsFailed": 1,
    "jobsPending": 16,
    "jobsRunning": 5,
    "main": {
        "count": 230,
        "lastAtUs": NOW_US - 1_000_000,
        "lastUs": 87,
        "maxUs": 4177,
        "meanUs": 539,
        "totalUs": 123_970,
        "lastDepth": 3,
        "meanDepth": 2,
        "lastTried": 1,
        "meanTried": 1,
        "lastQueue": 3,
        "meanQueue": 2,
        "lastTable": 1,
        "meanTable": 1,
    },
    "backfill": {
        "count": 3,
        "lastAtUs": NOW_US - 9_000_000,
        "lastUs": 130,
        "maxUs": 493,
        "meanUs": 261,
        "totalUs": 783,
        "lastDepth": 3,
        "meanDepth": 2,
        "lastTried": 1,
        "meanTried": 1,
        "lastQueue": 3,
        "meanQueue": 2,
        "lastTable": 1,
        "meanTable": 1,
    },
    "backfilled": 1,
    "backfilledEver": 2,
    "clockLatencyUs": 19,
    "methods": [
        {"name": "Ping", "number": 1, "count": 3, "timeUs": 950},
        {"name": "SubmitJob", "number": 2, "count": 46, "timeUs": 32_664},
        {"name": "ListJobs", "number": 12, "count": 28, "timeUs": 14_566},
    ],
    "users": [
        {"name": "nobody", "number": 65534, "count": 3, "timeUs": 1582},
        {"name": "root", "count": 397, "timeUs": 288_311},
    ],
    "orders": [{"kind": "Launch", "count": 2}, {"kind": "Terminate", "count": 1}],
    "waitingNodes": [{"node": "n1", "kind": "Launch"}, {"node": "n2", "kind": "Terminate"}],
}

TRIGGERS = [
    {
        "id": 7,
        "event": "time",
        "jobId": 12,
        "offsetS": -60,
        "user": "ann",
        "uid": 1000,
        "program": "/bin/tell x",
    },
    {"id": 8, "event": "down", "user": "root", "program": "/sbin/notify", "permanent": True},
    {
        "id": 9,
        "event": "down",
        "nodes": ["n1", "n2"],
        "offsetS": 60,
        "user": "ann",
        "uid": 1000,
        "program": "/t",
    },
]

JOBS = [
    {"job_id": 11, "state": "RUNNING", "nodes": "n1", "end_at": 0},
    {"job_id": 12, "state": "COMPLETED", "nodes": "n1", "end_at": NOW_US},
    {"job_id": 13, "state": "COMPLETING", "nodes": "n[1-3]", "end_at": NOW_US - 30_000_000},
]

NODES = [
    {"name": "n1", "host_name": "host1", "state": "IDLE"},
    {"name": "n2", "host_name": "host1", "state": "DOWN"},
    {"name": "n3", "host_name": "host3", "state": "IDLE"},
]

CASES: dict[str, list[str]] = {
    "sdiag": ["sdiag"],
    "sdiag-by-id": ["sdiag", "-i", "--all"],
    "sdiag-by-time": ["sdiag", "-t"],
    "sdiag-by-mean-time": ["sdiag", "-T"],
    "sdiag-json": ["sdiag", "--json"],
    "sdiag-reset": ["sdiag", "-r"],
    "sdiag-help": ["sdiag", "--help"],
    "sdiag-bad-option": ["sdiag", "--bogus"],
    "sdiag-argument": ["sdiag", "now"],
    "strigger-set": [
        "strigger",
        "--set",
        "-j",
        "12",
        "--time",
        "--offset=-60",
        "-p",
        "/bin/tell 'two words'",
    ],
    "strigger-get": ["strigger", "--get"],
    "strigger-get-some": ["strigger", "--get", "-N", "--node=n2", "--user=1000", "--down"],
    "strigger-clear": ["strigger", "--clear", "--id", "7"],
    "strigger-nothing": ["strigger"],
    "strigger-no-event": ["strigger", "--set", "-p", "/bin/tell"],
    "strigger-no-program": ["strigger", "--set", "--down", "-p", "tell"],
    "strigger-both": ["strigger", "--set", "--down", "-p", "/bin/tell", "-j1", "-nn1"],
    "strigger-flags": ["strigger", "--set", "--down", "-p", "/bin/tell", "--flags=perm,twice"],
    "strigger-clear-nothing": ["strigger", "--clear"],
    "strigger-fail": ["strigger", "--set", "--fail", "-p", "/bin/tell"],
    "strigger-database": ["strigger", "--set", "-h", "-p", "/bin/tell"],
    "strigger-help": ["strigger", "--help"],
    "scrontab-list": ["scrontab", "-l"],
    "scrontab-remove": ["scrontab", "-r", "-u", "ann"],
    "scrontab-two": ["scrontab", "-l", "-r"],
    "scrontab-help": ["scrontab", "--help"],
    "scrontab-no-file": ["scrontab", "/nonexistent/file"],
    "update-partition": ["scontrol", "update", "PartitionName=normal,high", "State=drain"],
    "update-partition-unknown": ["scontrol", "update", "partition", "nosuch", "State=DOWN"],
    "update-step": ["scontrol", "update", "StepId=12.0", "TimeLimit=5"],
    "setdebug": ["scontrol", "setdebug", "5"],
    "setdebug-bad": ["scontrol", "setdebug", "loud"],
    "shutdown": ["scontrol", "shutdown"],
    "shutdown-controller": ["scontrol", "shutdown", "slurmctld"],
    "shutdown-bad": ["scontrol", "shutdown", "now"],
    "token": ["scontrol", "token", "lifespan=600"],
    "token-of-another": ["scontrol", "token", "username=somebody-else"],
    "token-bad": ["scontrol", "token", "long"],
    "errnumstr": ["scontrol", "errnumstr", "2017"],
    "errnumstr-system": ["scontrol", "errnumstr", "2"],
    "errnumstr-unknown": ["scontrol", "errnumstr", "9999"],
    "errnumstr-bad": ["scontrol", "errnumstr", "x"],
    "completing": ["scontrol", "completing"],
    "wait-job": ["scontrol", "wait_job", "11"],
    "wait-job-ended": ["scontrol", "wait_job", "12"],
    "show-daemons": ["scontrol", "show", "daemons"],
    "show-aliases": ["scontrol", "show", "aliases", "host1"],
    "show-aliases-none": ["scontrol", "show", "aliases", "host9"],
    "show-assoc-mgr": ["scontrol", "show", "assoc_mgr"],
    "reboot": ["scontrol", "reboot", "ASAP", "n1"],
    "takeover": ["scontrol", "takeover"],
    "top": ["scontrol", "top", "12"],
    "cluster": ["scontrol", "cluster", "demo"],
    "cluster-other": ["scontrol", "cluster", "moon"],
    "delete-partition": ["scontrol", "delete", "PartitionName=high"],
    "listpids-none": ["scontrol", "listpids", "4000000000.5"],
    "listpids-bad": ["scontrol", "listpids", "x"],
    "pidinfo-none": ["scontrol", "pidinfo", "1"],
}


def serve(scheduler: FakeScheduler) -> None:
    """The answers that the transcripts are of."""
    scheduler.on("GetDiagnostics", STATISTICS)
    for method in ("ResetDiagnostics", "SetLogLevel", "Shutdown", "SetCrontab"):
        scheduler.on(method, {})
    for method in ("SetTrigger", "ClearTriggers"):
        scheduler.on(method, {"outcomes": [{"ref": "7"}]})
    scheduler.on("ListTriggers", {"triggers": TRIGGERS})
    scheduler.on("GetCrontab", lambda body: {"user": body.get("user") or "me", "text": "@daily /bin/true\n"})
    scheduler.on("IssueToken", {"token": "eyJ"})
    scheduler.on(
        "UpdatePartitions",
        lambda body: {
            "outcomes": [
                {"ref": name}
                if name != "nosuch"
                else {"ref": name, "code": "not_found", "slurm": "Invalid partition name specified"}
                for name in body["names"]
            ]
        },
    )
    scheduler.on("ListJobs", lambda body: table(_jobs(body), body.get("fields") or [], session.NOW_S))
    scheduler.table("ListNodes", NODES, session.NOW_S)
    scheduler.on("Ping", {"cluster": "demo", "host": "host1", "version": "0"})


def _jobs(body: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = {one["jobId"] for one in body.get("jobs", [])}
    states = body.get("filter", {}).get("states", [])
    return [
        row
        for row in JOBS
        if (not wanted or row["job_id"] in wanted) and (not states or row["state"] in states)
    ]


@pytest.mark.parametrize("name", CASES)
def test_golden(scheduler: FakeScheduler, run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(scheduler)
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(nodename="host1"))
    argv = CASES[name]
    text = transcripts.write(argv, run(*argv))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


def test_no_golden_file_is_left_over() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(CASES)


def test_sdiag_of_a_daemon_that_did_nothing(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("GetDiagnostics", {"nowUs": NOW_US, "sinceUs": NOW_US, "main": {}, "backfill": {}})
    code, out, err = run("sdiag")
    assert (code, err) == (0, "")
    assert "\tTotal cycles: 0\n\tLast queue length: 0\n" in out, "no means of nothing, as in Slurm"
    assert "\tLast cycle when: N/A\n" in out and "\tNo pending RPCs\n" in out
    assert "Cycles per minute" not in out


def test_sdiag_resets_for_administrators_only(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.fail("ResetDiagnostics", "permission_denied", "no", "Access/permission denied", 403)
    assert run("sdiag", "--reset") == (1, "", "slurm_reset_statistics: Access/permission denied\n")


def test_strigger_asks(scheduler: FakeScheduler, run: Run) -> None:
    serve(scheduler)
    words = ["--set", "--node=n[1-2]", "--down", "--up", "--flags=PERM", "-o5", "--program=/bin/tell"]
    assert run("strigger", *words) == (0, "", "")
    asked = scheduler.bodies("SetTrigger")
    assert [body["event"] for body in asked] == ["up", "down"]
    assert asked[0]["nodes"] == ["n1", "n2"] and asked[0]["permanent"] and asked[0]["offsetS"] == 5
    assert run("strigger", "--clear", "-j", "12", "--user=ann") == (0, "", "")
    body = scheduler.bodies("ClearTriggers")[-1]
    assert (body["jobId"], body["user"]) == (12, "ann")
    scheduler.fail("ClearTriggers", "not_found", "no such trigger waits")
    assert run("strigger", "--clear", "--id=1", "-Q") == (0, "", "")
    assert run("strigger", "--clear", "--id=1")[0] == 1


CRONTAB = """\
# mine
#SCRON --time=5 -p high
#SCRON --job-name="my job"
*/5 * * * mon-fri /usr/bin/work --fast "a b"

@daily echo done > out
"""


def test_scrontab_makes_jobs_of_its_lines(
    scheduler: FakeScheduler, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(scheduler)
    monkeypatch.setattr("packhorse.cli.slurm.scrontab._home", lambda user: "/home/ann")
    file = tmp_path / "tab"
    file.write_text(CRONTAB)
    assert run("scrontab", str(file)) == (0, "", "")
    body = scheduler.bodies("SetCrontab")[-1]
    assert body["text"] == CRONTAB
    first, second = body["entries"]
    assert (first["line"], first["when"]) == (3, "*/5 * * * mon-fri")
    assert (second["line"], second["when"]) == (5, "@daily")
    spec = first["spec"]
    assert (spec["name"], spec["partition"], spec["timeLimitS"]) == ("my job", "high", 300)
    script = base64.b64decode(spec["script"]).decode()
    assert script == '#!/bin/sh\n# This job was submitted through scrontab\n/usr/bin/work --fast "a b"\n'
    assert spec["workDir"] == "/home/ann"
    assert second["spec"]["name"] == "echo" and "partition" not in second["spec"], "options are for one line"


def test_scrontab_names_every_wrong_line(scheduler: FakeScheduler, run: Run, tmp_path: Path) -> None:
    serve(scheduler)
    file = tmp_path / "tab"
    file.write_text(
        "61 * * * * x\n#SCRON --array=1-3\n@daily x\n#SCRON --bogus\n@daily x\n* * * * *\n@never x\n"
    )
    code, out, err = run("scrontab", str(file))
    assert (code, out) == (1, "") and not scheduler.bodies("SetCrontab")
    lines = err.splitlines()
    assert [line.split(": ")[2] for line in lines if line.startswith("scrontab: error: line")] == [
        "line 1",
        "line 3",
        "line 5",
        "line 6",
        "line 7",
    ]


def an_editor(tmp_path: Path, text: str) -> str:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_scrontab_edits(
    scheduler: FakeScheduler, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(scheduler)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", an_editor(tmp_path, 'echo "@hourly /bin/false" >> "$1"'))
    assert run("scrontab", "-e") == (0, "", "")
    assert scheduler.bodies("SetCrontab")[-1]["text"] == "@daily /bin/true\n@hourly /bin/false\n"
    monkeypatch.setenv("EDITOR", "true")
    assert run("scrontab", "-e") == (0, "", "no changes were made to the crontab\n")
    monkeypatch.setenv("EDITOR", "false")
    assert run("scrontab", "-e")[0] == 1
    monkeypatch.setenv("EDITOR", an_editor(tmp_path, 'echo "@never /bin/false" >> "$1"'))
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    code, _, err = run("scrontab", "-e")
    assert code == 1 and "line 2" in err and "(y/n)" in err
    assert len(scheduler.bodies("SetCrontab")) == 1


def test_scontrol_without_a_command_reads_them(
    scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(scheduler)
    script = "errnumstr 2017\n!!\n\nbogus\nshow 'hostnames' n[1-2]\nhide\nquit\nerrnumstr 2\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(script))
    code, out, err = run("scontrol")
    text = "Invalid job id specified\n"
    prompt = "scontrol: "
    assert out == f"{prompt}{text}{prompt}{text}{prompt}{prompt}{prompt}n1\nn2\n{prompt}{prompt}"
    assert (code, err) == (1, "invalid keyword: bogus\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("oneliner\nversion\n"))
    assert run("scontrol") == (0, f"{prompt}{prompt}slurm 24.11.0\n{prompt}\n", "")


def test_scontrol_finds_processes_of_jobs(scheduler: FakeScheduler, run: Run) -> None:
    serve(scheduler)
    scheduler.table("ListJobs", [{"start_at": NOW_US, "time_limit_s": 600}], session.NOW_S)
    variables = {"SLURM_JOB_ID": "11", "SLURMD_NODENAME": "n1", "PATH": os.environ["PATH"]}
    step = {"SLURM_STEP_ID": "3", "SLURM_LOCALID": "0", "SLURM_PROCID": "4"}
    with (
        subprocess.Popen(["sh", "-c", "sleep 60; true"], env=variables, start_new_session=True) as batch,
        subprocess.Popen(["sleep", "60"], env=variables | step) as task,
    ):
        try:
            code, out, _ = run("scontrol", "listpids", "11")
            rows = [line.split() for line in out.splitlines()[1:]]
            assert code == 0
            assert rows[0] == [str(task.pid), "11", "3", "0", "4"], "steps come first"
            assert rows[1] == [str(batch.pid), "11", "batch", "0", "0"]
            assert [row[1:] for row in rows[2:]] in ([], [["11", "batch", "-", "-"]]), "its child, once there"
            assert len(run("scontrol", "listpids", "11.3")[1].splitlines()) == 2
            assert len(run("scontrol", "listpids", "11.3", "n1")[1].splitlines()) == 2
            assert run("scontrol", "listpids", "11.3", "n2")[0] == 1, "it runs on another node of this host"
            code, out, _ = run("scontrol", "pidinfo", str(task.pid))
            assert code == 0 and out.startswith("Slurm JobId=11 ends at Mon Nov 23 06:03:22 2026\n")
        finally:
            os.killpg(batch.pid, signal.SIGKILL)
            task.kill()


def test_scontrol_writes_the_configuration(
    scheduler: FakeScheduler, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scheduler.on("GetConfig", {"settings": [{"key": "ClusterName", "value": "demo"}]})
    code, out, _ = run("scontrol", "write", "config", "mine")
    [path] = tmp_path.glob("mine.2*")
    assert (code, out) == (0, f"Slurm config saved to {path}\n")
    assert path.read_text().splitlines()[1:] == ["ClusterName=demo"]


def test_requeue_incomplete_leaves_what_has_ended(scheduler: FakeScheduler, run: Run) -> None:
    serve(scheduler)
    scheduler.on("RequeueJobs", {"outcomes": [{"ref": "11"}]})
    assert run("scontrol", "requeue", "Incomplete", "11,12") == (0, "", "")
    asked = scheduler.bodies("ListJobs")[-1]
    assert asked["filter"]["states"] == ["CONFIGURING", "RUNNING", "SUSPENDED"]
    assert [one["jobId"] for one in scheduler.bodies("RequeueJobs")[-1]["jobs"]] == [11]


def test_wait_job_waits_until_the_job_has_its_nodes(
    scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = ["PENDING", "CONFIGURING", "RUNNING"]
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    scheduler.on("ListJobs", lambda body: table([{"state": states.pop(0)}], ["state"], session.NOW_S))
    assert run("scontrol", "wait_job", "11") == (0, "", "")
    assert not states and len(pauses) == 2


WORDS = st.one_of(
    st.sampled_from(
        [
            "--set",
            "--get",
            "--clear",
            "--down",
            "--fini",
            "-j",
            "-n",
            "--offset",
            "-p",
            "/bin/x",
            "--flags",
            "--id",
        ]
    ),
    st.sampled_from(
        [
            "update",
            "PartitionName=x",
            "State=UP",
            "listpids",
            "pidinfo",
            "errnumstr",
            "token",
            "lifespan=9",
            "top",
        ]
    ),
    st.sampled_from(["1" * 5000, "-1", "²", "n[1-", "n[2-1]", "=", "-", "--", ""]),
    st.text(max_size=8),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(prog=st.sampled_from(["sdiag", "strigger", "scontrol"]), words=st.lists(WORDS, max_size=5))
def test_no_words_end_in_a_traceback(
    scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch, prog: str, words: list[str]
) -> None:
    serve(scheduler)
    monkeypatch.setattr(sys, "stdin", io.StringIO(" ".join(words)))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    code, _, err = run(prog, *[word for word in words if word not in ("write", "shutdown")])
    assert code in (0, 1) and "Traceback" not in err


CRON_WORDS = st.sampled_from(
    ["*", "*/5", "1-5", "mon", "31", "9" * 5000, "@daily", "@x", "x", "-", "/", ",", '"', "#SCRON"]
)


@given(st.lists(st.lists(CRON_WORDS, max_size=7).map(" ".join), max_size=4).map("\n".join))
def test_no_crontab_ends_in_a_traceback(text: str) -> None:
    entries, wrong = _entries("", text)
    assert len(entries) + len(wrong) <= 2 * len(text.splitlines())

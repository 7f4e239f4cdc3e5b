"""What squeue, scancel, sacct and scontrol ask of the scheduler, and what they make of its refusals."""

from typing import Any

import pytest

from packhorse.cli.slurm import sacct
from tests.cli import session
from tests.cli.commands import Run
from tests.cli.fake_scheduler import FakeScheduler, table


@pytest.fixture
def cluster(scheduler: FakeScheduler, monkeypatch: pytest.MonkeyPatch) -> FakeScheduler:
    """A cluster that answers everything with little."""
    for method, rows in (
        ("ListJobs", session.JOBS),
        ("ListAccounting", session.ACCOUNTING["4"]),
        ("ListNodes", session.NODES),
    ):
        scheduler.table(method, rows, session.NOW_S)
    for method in (
        "CancelJobs",
        "HoldJobs",
        "ReleaseJobs",
        "RequeueJobs",
        "UpdateJobs",
        "UpdateNodes",
        "SuspendJobs",
        "ResumeJobs",
    ):
        scheduler.on(method, {"outcomes": [{"ref": "12"}]})
    monkeypatch.setattr(sacct, "time", lambda: float(session.NOW_S))
    return scheduler


def asked(cluster: FakeScheduler, run: Run, method: str, *argv: str) -> dict[str, Any]:
    code, _, err = run(*argv)
    assert (code, err) == (0, "")
    body = cluster.bodies(method)[-1]
    body.pop("fields", None)
    key = body.pop("idempotencyKey", None)
    assert key is None or len(key) == 32
    return body


def element(job_id: int, first: int, last: int, text: str) -> dict[str, Any]:
    return {"jobId": job_id, "text": text, "indices": [{"start": first, "stop": last, "step": 1}]}


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ("", {}),
        ("-j 5", {"jobs": [{"jobId": 5, "text": "5"}]}),
        ("-j5,6", {"jobs": [{"jobId": 5, "text": "5"}, {"jobId": 6, "text": "6"}]}),
        ("--jobs=9_3", {"jobs": [element(9, 3, 3, "9_3")]}),
        ("--job 9_[4-7]", {"jobs": [element(9, 4, 7, "9_[4-7]")]}),
        ("-t all", {"includeEnded": True}),
        ("-t R,pd", {"filter": {"states": ["RUNNING", "PENDING"]}}),
        ("-t F", {"filter": {"states": ["FAILED"]}, "includeEnded": True}),
        ("-t ST", {"filter": {"states": ["SUSPENDED"]}}),
        (
            "-p a,b -n x -A lab -q long",
            {"filter": {"partitions": ["a", "b"], "names": ["x"], "accounts": ["lab"], "qos": ["long"]}},
        ),
        ("-u root", {"filter": {"users": ["root"]}}),
        ("-u 0", {"filter": {"users": ["root"]}}),
        ("-w node[1-2]", {"filter": {"nodes": ["node1", "node2"]}}),
        ("-r", {"expandArrays": True}),
        ("--start", {"filter": {"states": ["PENDING"]}}),
    ],
)
def test_squeue_asks(cluster: FakeScheduler, run: Run, words: str, body: dict[str, Any]) -> None:
    assert asked(cluster, run, "ListJobs", "squeue", *words.split()) == body


def test_squeue_asks_for_what_it_shows(cluster: FakeScheduler, run: Run) -> None:
    run("squeue", "-h", "-o", "%j %Z", "-S", "i")
    assert cluster.bodies("ListJobs")[-1]["fields"] == [
        *("job_id", "array_job_id", "array_task_id", "array_pending", "name", "work_dir")
    ]


def test_squeue_variables(cluster: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    monkeypatch.setenv("SQUEUE_STATES", "PD")
    monkeypatch.setenv("SQUEUE_SORT", "-i")
    assert run("squeue")[1].splitlines()[:2] == ["JOBID", "63"]
    assert cluster.bodies("ListJobs")[-1]["filter"] == {"states": ["PENDING"]}
    assert run("squeue", "-o", "%j", "-S", "i")[1].splitlines()[:2] == ["NAME", "toolong"]


def test_squeue_refuses_contradictions(cluster: FakeScheduler, run: Run) -> None:
    assert run("squeue", "-o", "%i", "-O", "JobID")[2].endswith(
        "-O (--Format) is incompatible with -o (--format)\n"
    )
    assert "mutually exclusive" in run("squeue", "-l", "-o", "%i")[2]
    assert run("squeue", "-S", "?")[:2] == (1, "")
    bad = "squeue: error: Invalid job state specified: foo\n"
    assert run("squeue", "-t", "foo")[2].startswith(bad)
    assert run("squeue", "--start", "-t", "foo")[2].startswith(bad)
    code, out, err = run("squeue", "7")
    assert (code, err) == (1, "squeue: error: Unrecognized option: 7\n")
    assert out.startswith("Usage: squeue")
    assert run("squeue", "-i", "x") == (1, "", "squeue: error: --iterate=x\n")
    assert run("squeue", "-w", "node9") == (1, "", "squeue: error: Invalid node name node9\n")


def test_long_arrays_are_cut(scheduler: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    many = ",".join(str(index) for index in range(1, 200, 2))
    scheduler.table("ListJobs", [session.job(9, "x", array_job_id=9, array_pending=many)], session.NOW_S)
    shown = run("squeue", "-h", "-o", "%i")[1].strip()
    assert shown.startswith("9_[1,3,5,") and shown.endswith(",...]") and len(shown) <= 9 + 64
    monkeypatch.setenv("SLURM_BITSTR_LEN", "0")
    assert run("squeue", "-h", "-o", "%K")[1].strip() == many


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ("12", {"jobs": [{"jobId": 12, "text": "12"}]}),
        ("12 13", {"jobs": [{"jobId": 12, "text": "12"}, {"jobId": 13, "text": "13"}]}),
        ("9_[8-9]", {"jobs": [element(9, 8, 9, "9_[8-9]")]}),
        (
            "12 --signal USR1",
            {"jobs": [{"jobId": 12, "text": "12"}], "signal": 10, "scope": "SIGNAL_SCOPE_STEPS"},
        ),
        ("-b -s 15 12", {"jobs": [{"jobId": 12, "text": "12"}], "signal": 15, "scope": "SIGNAL_SCOPE_BATCH"}),
        ("-f -s INT 12", {"jobs": [{"jobId": 12, "text": "12"}], "signal": 2, "scope": "SIGNAL_SCOPE_ALL"}),
        ("-b 12", {"jobs": [{"jobId": 12, "text": "12"}], "signal": 9, "scope": "SIGNAL_SCOPE_BATCH"}),
        ("-s KILL 12", {"jobs": [{"jobId": 12, "text": "12"}]}),
        ("-f 12", {"jobs": [{"jobId": 12, "text": "12"}]}),
        ("-u root -t PENDING,R", {"filter": {"users": ["root"], "states": ["PENDING", "RUNNING"]}}),
        (
            "-n a -p b -A c -q d -w n[1-2]",
            {
                "filter": {
                    "names": ["a"],
                    "partitions": ["b"],
                    "accounts": ["c"],
                    "qos": ["d"],
                    "nodes": ["n1", "n2"],
                }
            },
        ),
    ],
)
def test_scancel_asks(cluster: FakeScheduler, run: Run, words: str, body: dict[str, Any]) -> None:
    assert asked(cluster, run, "CancelJobs", "scancel", *words.split()) == body


def outcome(code: str, slurm: str = "", message: str = "") -> dict[str, Any]:
    return {"outcomes": [{"ref": "12", "code": code, "slurm": slurm, "message": message}]}


def test_scancel_of_somebody_elses_job(cluster: FakeScheduler, run: Run) -> None:
    cluster.on("CancelJobs", outcome("denied", "Access/permission denied"))
    line = "scancel: error: Kill job error on job id 12: Access/permission denied\n"
    assert run("scancel", "12") == (210, "", line)
    assert run("scancel", "-Q", "12") == (210, "", "")


def test_scancel_tells_what_it_does(cluster: FakeScheduler, run: Run) -> None:
    assert run("scancel", "-v", "12") == (0, "", "scancel: Terminating job 12\n")
    assert run("scancel", "-v", "-s", "TERM", "12") == (0, "", "scancel: Signal 15 to job 12\n")
    cluster.on("CancelJobs", {})
    assert run("scancel", "-v", "-n", "x") == (
        0,
        "",
        "scancel: error: No active jobs match ALL job filters, including: job_name=x \n",
    )
    cluster.on("CancelJobs", outcome("wrong_state", "", "job 12 has ended"))
    assert run("scancel", "12") == (0, "", "")
    assert run("scancel", "-s", "TERM", "12")[::2] == (
        1,
        "scancel: error: Kill job error on job id 12: job 12 has ended\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("12.x", "scancel: error: Invalid job id 12.x"),
        ("-t CD 12", "Invalid job state specified: CD\nValid job states are PENDING, RUNNING, and SUSPENDED"),
        ("-u nosuchuser", "scancel: error: Invalid user name: nosuchuser"),
    ],
)
def test_scancel_refuses(cluster: FakeScheduler, run: Run, words: str, message: str) -> None:
    assert run("scancel", *words.split()) == (1, "", message + "\n")
    assert cluster.bodies("CancelJobs") == []


def test_scancel_asks_before_each(cluster: FakeScheduler, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        session.job(12, "a"),
        session.job(9, "b", array_job_id=9, array_pending="4-7%2"),
        session.job(13, "c"),
    ]
    cluster.on("ListJobs", lambda body: table(rows, body["fields"], session.NOW_S))
    answers = iter(["n\n", "y\n", "Yes\n"])
    monkeypatch.setattr("sys.stdin.readline", lambda: next(answers), raising=False)
    code, out, _ = run("scancel", "-i", "-u", "root")
    assert code == 0
    assert out.startswith("Cancel job_id=12 name=a partition=normal [y/n]? Cancel job_id=9_[4-7%2] name=b")
    assert [ref["text"] for ref in cluster.bodies("CancelJobs")[-1]["jobs"]] == ["9_[4-7]", "13"]


MIDNIGHT = session.at("00:00:00")
NOW = session.NOW_S * 1_000_000
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ("-a", {"sinceUs": MIDNIGHT}),
        (
            "-a -s F -S now-1hour",
            {"sinceUs": session.NOW_S * 1_000_000 - HOUR, "filter": {"states": ["FAILED"]}},
        ),
        ("-a -s R", {"sinceUs": NOW, "filter": {"states": ["RUNNING"]}}),
        ("-a -S 01:00 -E 02:00", {"sinceUs": MIDNIGHT + HOUR, "untilUs": MIDNIGHT + 2 * HOUR}),
        ("-j 4", {"jobs": [{"jobId": 4, "text": "4"}]}),
        ("-j 4 -j 5,6", {"jobs": [{"jobId": n, "text": str(n)} for n in (4, 5, 6)]}),
        ("-j 4.batch,4", {"jobs": [{"jobId": 4, "text": "4"}]}),
        ("-XD -j 4", {"jobs": [{"jobId": 4, "text": "4"}], "allocationsOnly": True, "duplicates": True}),
        (
            "-a -S1970-01-01-00:00:01 -u root -A lab --name=x,y -q a -r p -N node[1-2]",
            {
                "sinceUs": 1_000_000,
                "filter": {
                    "accounts": ["lab"],
                    "names": ["x", "y"],
                    "partitions": ["p"],
                    "qos": ["a"],
                    "nodes": ["node1", "node2"],
                    "users": ["root"],
                },
            },
        ),
    ],
)
def test_sacct_asks(cluster: FakeScheduler, run: Run, words: str, body: dict[str, Any]) -> None:
    assert asked(cluster, run, "ListAccounting", "sacct", *words.split()) == body


def test_sacct_steps_and_groups(cluster: FakeScheduler, run: Run) -> None:
    shown = ["-n", "-P", "-o", "jobid"]
    assert run("sacct", "-j", "4", *shown)[1] == "4\n4.batch\n"
    assert run("sacct", "-j", "4.batch", *shown)[1] == "4.batch\n"
    assert run("sacct", "-j", "4.0", *shown)[1] == ""
    assert run("sacct", "-g", "root", *shown)[1] == "4\n4.batch\n"
    assert run("sacct", "-g", "7", *shown)[1] == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-j abc", "sacct: fatal: Bad job/step specified: abc"),
        ("-s bogus", "sacct: fatal: unrecognized job state value 'bogus'"),
        ("-S bogus", "Invalid time specification (pos=0): bogus"),
        ("-S 05:00 -E 04:00", "sacct: fatal: Start time requested is after end time."),
        ("-u nosuchuser", "sacct: error: Invalid user id: nosuchuser"),
        ("-o JobID%x", 'sacct: error: Invalid field requested: "JobID%x"'),
        ("foo", "sacct: error: Unrecognized option: foo"),
        ("-c", "sacct: error: option --completion is not supported by Packhorse yet"),
        (
            "--units=X",
            (
                "sacct: error: Invalid unit type 'X'. Possible options are 'KMGTP'\n"
                "sacct: fatal: Invalid unit type"
            ),
        ),
    ],
)
def test_sacct_refuses(cluster: FakeScheduler, run: Run, words: str, message: str) -> None:
    assert run("sacct", *words.split()) == (1, "", message + "\n")


@pytest.mark.parametrize(
    ("words", "method", "body"),
    [
        ("hold 12,13", "HoldJobs", {"jobs": [{"jobId": 12, "text": "12"}, {"jobId": 13, "text": "13"}]}),
        ("uhold 12", "HoldJobs", {"jobs": [{"jobId": 12, "text": "12"}], "asUser": True}),
        ("release 9_3", "ReleaseJobs", {"jobs": [element(9, 3, 3, "9_3")]}),
        ("requeue 12", "RequeueJobs", {"jobs": [{"jobId": 12, "text": "12"}]}),
        ("requeuehold 12", "RequeueJobs", {"jobs": [{"jobId": 12, "text": "12"}], "hold": True}),
        ("suspend 12", "SuspendJobs", {"jobs": [{"jobId": 12, "text": "12"}]}),
        ("resume 9_3", "ResumeJobs", {"jobs": [element(9, 3, 3, "9_3")]}),
        (
            "update JobId=12 TimeLimit=20 Comment=a=b",
            "UpdateJobs",
            {"jobs": [{"jobId": 12, "text": "12"}], "changes": {"timeLimitS": 1200, "comment": "a=b"}},
        ),
        (
            "update job 12 TimeLimit+=1 nice Dependency= Requeue=0 ReqNodeList=n[1-2] MinMemoryNode=1G",
            "UpdateJobs",
            {
                "jobs": [{"jobId": 12, "text": "12"}],
                "changes": {
                    "timeLimitByS": 60,
                    "nice": 100,
                    "dropDependency": True,
                    "requeue": False,
                    "nodesRequired": {"values": ["n1", "n2"]},
                    "memMibPerNode": 1024,
                },
            },
        ),
        (
            "update jobid=12 dependency=afterok:4 StartTime=2027-01-01 NumCPUs=4 NumNodes=2 Name=x Nice=-5",
            "UpdateJobs",
            {
                "jobs": [{"jobId": 12, "text": "12"}],
                "changes": {
                    "dependency": {"conditions": [{"kind": "afterok", "jobId": 4}], "anyOf": False},
                    "beginAtUs": 1798761600 * 1_000_000,
                    "nCpus": 4,
                    "minNodes": 2,
                    "name": "x",
                    "nice": -5,
                },
            },
        ),
        (
            "update NodeName=node[1-2] State=drain Reason=fan",
            "UpdateNodes",
            {"nodes": ["node1", "node2"], "action": "NODE_ACTION_DRAIN", "reason": "fan"},
        ),
        (
            "update NodeName=node1 State=UNDRAIN",
            "UpdateNodes",
            {"nodes": ["node1"], "action": "NODE_ACTION_RESUME", "reason": ""},
        ),
    ],
)
def test_scontrol_asks(
    cluster: FakeScheduler, run: Run, words: str, method: str, body: dict[str, Any]
) -> None:
    assert asked(cluster, run, method, "scontrol", *words.split()) == body


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("hold", "too few arguments for keyword:hold"),
        ("show", "too few arguments for keyword:show"),
        ("hold abc", "Invalid job id specified for job abc\nslurm_suspend error: Invalid job id specified"),
        ("requeue abc", "Invalid job id specified for job abc"),
        ("update", "too few arguments for update keyword"),
        ("update JobId=12", "No changes specified"),
        ("update JobId=12 TimeLimit=x", "scontrol: error: Invalid TimeLimit value"),
        ("update JobId=12 Priority=x", "scontrol: error: Invalid Priority value: x"),
        (
            "update JobId=12 StartTime=bogus",
            "Invalid time specification (pos=0): bogus\nNo changes specified",
        ),
        ("update NodeName=node1", "No changes specified"),
        (
            "update NodeName=node1 Weight=5",
            "Update of this parameter is not supported: Weight=5\nRequest aborted",
        ),
        (
            "update PartitionName=x MaxTime=60",
            (
                "scontrol: error: update of MaxTime is not supported by Packhorse: change the partition in "
                "packhorse.toml, then `scontrol reconfigure` (MaxTime=60)"
            ),
        ),
        (
            "update PartitionName=x State=AJAR",
            (
                "Invalid input: State=AJAR\nRequest aborted\n"
                "Acceptable State values are UP, DOWN, DRAIN, INACTIVE"
            ),
        ),
        ("update PartitionName=x", "No changes specified"),
        (
            "suspend abc",
            "Invalid job id specified for job abc\nslurm_suspend error: Invalid job id specified",
        ),
        ("resume", "too few arguments for keyword:resume"),
        ("show topology", "No topology information available"),
        ("show hostnames", "scontrol: error: host list is empty"),
        ("write nothing", "invalid write argument:nothing"),
        ("ping x", "too many arguments for keyword:ping"),
        (
            "requeuehold State=SpecialExit 12",
            (
                "scontrol: error: State=SpecialExit is not supported by Packhorse: there is no such state; "
                "requeuehold holds the job"
            ),
        ),
    ],
)
def test_scontrol_refuses(cluster: FakeScheduler, run: Run, words: str, message: str) -> None:
    assert run("scontrol", *words.split()) == (1, "", message + "\n")


def test_scontrol_on_nodes_that_are_not_there(cluster: FakeScheduler, run: Run) -> None:
    cluster.on("UpdateNodes", outcome("not_found", "Invalid node name specified"))
    assert run("scontrol", "update", "NodeName=nosuch", "State=DRAIN", "Reason=a b") == (
        1,
        "",
        "slurm_update error: Invalid node name specified\n",
    )


def test_scontrol_hostnames_of_the_job(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_NODELIST", "a[01-03,7],b9")
    assert run("scontrol", "show", "hostnames") == (0, "a01\na02\na03\na7\nb9\n", "")


def test_scontrol_holds_by_name(cluster: FakeScheduler, run: Run) -> None:
    body = asked(cluster, run, "HoldJobs", "scontrol", "hold", "name=thr")
    assert cluster.bodies("ListJobs")[-1]["filter"]["names"] == ["thr"]
    assert {"jobId": 9, "text": "9"} in body["jobs"]


def test_scripts(cluster: FakeScheduler, run: Run, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cluster.on("GetJobScript", {"script": "IyEvYmluL3NoCnRydWUK"})
    assert run("scontrol", "write", "batch_script", "12", "-") == (0, "#!/bin/sh\ntrue\n", "")
    assert (
        run("scontrol", "write", "batch_script", "12")[1]
        == "batch script for job 12 written to slurm-12.sh\n"
    )
    assert (tmp_path / "slurm-12.sh").read_text() == "#!/bin/sh\ntrue\n"
    assert run("sacct", "-B", "-j", "12")[1].endswith("\n#!/bin/sh\ntrue\n\n")


def test_ping_without_a_scheduler(run: Run) -> None:
    code, out, err = run("scontrol", "ping")
    assert code == 1
    assert out.endswith(" is DOWN\n")
    assert "packhorse up" in err


@pytest.mark.parametrize("prog", ["sbatch", "squeue", "scancel", "sinfo", "sacct", "scontrol"])
def test_version_usage_and_help(run: Run, prog: str) -> None:
    assert run(prog, "--version") == (0, "slurm 24.11.0\n", "")
    assert run(prog, "-V") == (0, "slurm 24.11.0\n", "")
    code, usage, _ = run(prog, "--usage")
    assert code == 0 and usage.startswith(f"Usage: {prog} ") and usage.count("\n") == 1
    assert run(prog, "--help")[1].startswith(usage)


@pytest.mark.parametrize(
    ("words", "method"),
    [
        ("suspend 12", "SuspendJobs"),
        ("update NodeName=n1 State=RESUME", "UpdateNodes"),
        ("reconfigure", "Reconfigure"),
    ],
)
def test_scontrol_says_who_may(cluster: FakeScheduler, run: Run, words: str, method: str) -> None:
    sentence = 'user "ann" may not suspend job 12; only an administrator may'
    cluster.fail(method, "permission_denied", sentence, "Access/permission denied", 403)
    line = f"scontrol: error: Access/permission denied: {sentence}\n"
    assert run("scontrol", *words.split()) == (1, "", line)
    cluster.fail(method, "permission_denied", sentence, "Access/permission denied (by a relay)", 403)
    assert run("scontrol", *words.split()) == (1, "", line)


def test_another_failure_stays_slurms_phrase(cluster: FakeScheduler, run: Run) -> None:
    cluster.fail("SuspendJobs", "not_found", "job 12 is not known", "Invalid job id specified")
    assert run("scontrol", "suspend", "12") == (1, "", "scontrol: error: Invalid job id specified\n")


def test_scancel_of_a_step_names_it(scheduler: FakeScheduler, run: Run) -> None:
    scheduler.on("CancelJobs", {"outcomes": []})
    assert run("scancel", "12.3", "9_4.0", "5")[0] == 0
    jobs = scheduler.bodies("CancelJobs")[-1]["jobs"]
    assert jobs[0] == {"jobId": 12, "step": 3, "text": "12.3"}
    assert jobs[1] == {
        "jobId": 9,
        "indices": [{"start": 4, "stop": 4, "step": 1}],
        "step": 0,
        "text": "9_4.0",
    }
    assert jobs[2] == {"jobId": 5, "text": "5"}
